/* 08_select.c - whatever comes first: a log that writes a batch when it is full, or when its oldest
 * line has waited for 20 ms, and stops when it is told.
 *
 * skua_select waits for several futures and drops those that lose: no line is received and lost.
 * A branch that is NULL is switched off: an empty batch waits for no time. */
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>

enum { FULL = 4 };

struct log {
    skua_mpsc_receiver *lines;
    skua_event stop;
};

static int flush(const char *why, int count)
{
    printf("%s: %d lines\n", why, count);
    return 0;
}

static int writes(void *arg)
{
    struct log *log = arg;
    int64_t oldest = 0;
    int line, count = 0;

    for (;;) {
        switch (skua_select(skua_mpsc_receiving(log->lines, &line),
                            count > 0 ? skua_sleeping_until(oldest + 20 * SKUA_MILLISECOND) : NULL,
                            skua_event_waiting(&log->stop))) {
        case 0:
            if (count++ == 0)
                oldest = skua_now();
            if (count == FULL)
                count = flush("full", count);
            break;
        case 1:
            count = flush("in time", count);
            break;
        case 2:
            return flush("the end", count);
        default:
            return -ECANCELED;
        }
    }
}

static int app(void *arg)
{
    struct log log = {.stop = SKUA_EVENT_INIT};
    skua_mpsc_sender *lines;
    skua_scope scope;
    int rc = skua_mpsc_new(&lines, &log.lines, sizeof(int), 16);

    (void)arg;
    if (rc != 0)
        return rc;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    rc = skua_spawn(&scope, writes, &log);
    for (int i = 0; rc == 0 && i < 10; i++)
        rc = skua_mpsc_send(lines, &i);
    if (rc == 0)
        rc = skua_sleep(100 * SKUA_MILLISECOND);
    skua_event_set(&log.stop);
    skua_scope_join(&scope);
    skua_mpsc_sender_close(lines);
    skua_mpsc_receiver_close(log.lines);
    return rc;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
