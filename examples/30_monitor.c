/* 30_monitor.c - how often and how long: the performance monitor.
 *
 * Clients call a service; the service asks a database. Both are measured, the sizes of the replies
 * too. A fiber reports in a rhythm, and once more at the end. */
#include <skua/skua.h>

#include <stdio.h>

static skua_measure replies = SKUA_MEASURE_OF("reply.size", "By");

static int query(int key)
{
    SKUA_MEASURE("db.query")
    {
        if (key % 7 == 0)
            return skua_sleep(3 * SKUA_MILLISECOND); /* this is measured, too */
        return skua_sleep(SKUA_MILLISECOND);
    }
    return 0;
}

static int client(void *arg)
{
    int rc = 0;

    for (int i = 0; i < 40 && rc == 0; i++)
        SKUA_MEASURE("request")
        {
            rc = query(i);
            skua_measure_record(&replies, 200 + 37 * i);
        }
    (void)arg;
    return rc;
}

static void report(const char *text, size_t len, void *arg)
{
    printf("%s:\n%.*s\n", (const char *)arg, (int)len, text);
}

static int app(void *arg)
{
    skua_scope clients, background;

    (void)arg;
    skua_scope_open(&background, SKUA_COLLECT);
    (void)skua_monitor_every(&background, 30 * SKUA_MILLISECOND, SKUA_MONITOR_OPTIONS(.reset = 1),
                             report, "so far, since the last report");

    skua_scope_open(&clients, SKUA_COLLECT);
    for (int i = 0; i < 20; i++)
        (void)skua_spawn(&clients, client, NULL);
    (void)skua_scope_join(&clients);

    skua_scope_cancel(&background);
    (void)skua_scope_join(&background);
    return skua_monitor_report(SKUA_MONITOR_OPTIONS(.json = 1), report, "as JSON");
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
