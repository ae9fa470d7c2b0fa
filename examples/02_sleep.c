/* 02_sleep.c - waiting: a sleep parks the fiber, and its worker does something else meanwhile.
 *
 * Time is nanoseconds in an int64_t everywhere; deadlines are absolute, on the clock of skua_now().
 * Sleeping until a moment, instead of for a duration, keeps a beat that does not drift. */
#include <skua/skua.h>

#include <stdio.h>

static int app(void *arg)
{
    const int64_t begin = skua_now();

    (void)arg;
    for (int beat = 1; beat <= 5; beat++) {
        int rc = skua_sleep_until(begin + beat * 100 * SKUA_MILLISECOND);

        if (rc < 0)
            return rc; /* -ECANCELED: somebody wants us to stop */
        printf("beat %d after %.1f ms\n", beat,
               (double)(skua_now() - begin) / (double)SKUA_MILLISECOND);
    }
    return 0;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
