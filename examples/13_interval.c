/* 13_interval.c - rhythm: a heartbeat, and reminders that come when their time has come.
 *
 * An interval keeps its beat whatever the work between two ticks takes; a delay queue is one timer
 * for any number of values, which may be moved and taken back. */
#include <skua/skua.h>

#include <stdio.h>

struct reminder {
    const char *text;
};

static int remind(skua_delay_queue *reminders, const char *text, int64_t after, skua_delay_key *key)
{
    const struct reminder reminder = {text};

    return skua_delay_queue_insert_after(reminders, &reminder, after, key);
}

static int fill(skua_delay_queue *reminders)
{
    skua_delay_key tea, call;
    int rc = remind(reminders, "tea is ready", 120 * SKUA_MILLISECOND, &tea);

    if (rc == 0)
        rc = remind(reminders, "stand up", 70 * SKUA_MILLISECOND, NULL);
    if (rc == 0)
        rc = remind(reminders, "call back", 90 * SKUA_MILLISECOND, &call);
    if (rc == 0)
        rc = skua_delay_queue_reset_after(reminders, tea, 230 * SKUA_MILLISECOND); /* a big pot */
    if (rc == 0)
        rc = skua_delay_queue_remove(reminders, call, NULL); /* they called */
    skua_delay_queue_close(reminders);                       /* no more for today */
    return rc;
}

static int app(void *arg)
{
    const int64_t begin = skua_now();
    skua_delay_queue *reminders;
    struct reminder reminder;
    skua_interval beat;
    int64_t answer;
    int rc = skua_delay_queue_new(&reminders, sizeof reminder, NULL);

    (void)arg;
    if (rc == 0)
        rc = skua_interval_init(&beat, 50 * SKUA_MILLISECOND, SKUA_MISSED_SKIP);
    if (rc != 0)
        return rc;
    rc = fill(reminders);
    while (rc == 0) {
        int which =
            skua_select_to(&answer, skua_ticking(&beat), skua_expiring(reminders, &reminder));

        if (which == 0)
            printf("beat, due after %d ms\n", (int)((answer - begin) / SKUA_MILLISECOND));
        else if (which == 1 && answer == 0)
            printf("      %s\n", reminder.text);
        else
            rc = which == 1 ? (int)answer : which;
    }
    skua_delay_queue_free(reminders);
    return rc == SKUA_ECLOSED ? 0 : rc;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
