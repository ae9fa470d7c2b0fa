/* 11_graceful_stop.c - a service that is told to stop, and waits for what it has begun.
 *
 * Requests are tracked; a token tells everybody that the service stops. New requests are not taken
 * any more, those that run finish their work.
 */
#include <stdio.h>

#include <skua/skua.h>

static skua_tracker requests = SKUA_TRACKER_INIT;
static skua_token *stop;

static int request(void *arg)
{
    int steps = 0;

    (void)arg;
    while (steps < 10 && skua_sleep(SKUA_MILLISECOND) == 0)
        steps++;
    printf("a request is done%s\n", skua_token_is_cancelled(stop) ? ", after the stop" : "");
    return 0;
}

static int listens(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5 && !skua_token_is_cancelled(stop); i++) {
        if (skua_tracker_spawn(&requests, NULL, request, NULL) != 0)
            break;
        if (skua_sleep(4 * SKUA_MILLISECOND) != 0)
            break;
    }
    return 0;
}

static int app(void *arg)
{
    int rc = skua_token_new(&stop, NULL);

    (void)arg;
    if (rc == 0)
        rc = skua_spawn(NULL, listens, NULL);
    if (rc == 0)
        rc = skua_sleep(10 * SKUA_MILLISECOND); /* a signal, say */
    printf("stopping\n");
    skua_token_cancel(stop);
    skua_tracker_close(&requests);
    if (rc == 0)
        rc = skua_tracker_wait_until(&requests, skua_now() + SKUA_SECOND);
    printf("stopped: %s\n", skua_strerror(rc));
    return rc;
}

int main(void)
{
    int status = skua_main(app, NULL, SKUA_RUNTIME_OPTIONS(.name = "graceful"));

    skua_token_unref(stop); /* nobody looks at it any more */
    return status;
}
