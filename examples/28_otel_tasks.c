/* 28_otel_tasks.c - every task a span: who spawned whom, what became of it, where its time went.
 *
 *     main                        SKUA_OTEL_TASKS=all: the program's own code knows nothing of it
 *       report
 *         fetch "users"           busy for a while
 *         fetch "orders"          waits, mostly
 *         fetch "prices"          fails: an error, and the scope cancels the others
 *         heartbeat               for ever, until it is cancelled: an event, not an error
 *
 * Each line on standard output has skua.task.polls, and how long the task was busy, scheduled (it
 * could have run) and idle, in seconds. For a single task .flags = SKUA_TRACED does the same. */
#include <skua/otel/console.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int heartbeat(void *arg)
{
    (void)arg;
    for (;;) {
        int rc = skua_sleep(SKUA_MILLISECOND);

        if (rc < 0)
            return rc;
    }
}

static int fetch(void *arg)
{
    const char *what = arg;
    int64_t end = skua_now() + 2 * SKUA_MILLISECOND;
    int rc = 0;

    skua_span_set(skua_span_current(), SKUA_STR("table", what)); /* the task's own span */
    if (strcmp(what, "users") == 0) {
        while (skua_now() < end)
            rc = skua_yield();
        return rc;
    }
    rc = skua_sleep(strcmp(what, "orders") == 0 ? 5 * SKUA_MILLISECOND : 10 * SKUA_MILLISECOND);
    return rc == 0 && strcmp(what, "prices") == 0 ? -EHOSTUNREACH : rc;
}

static int report(void *arg)
{
    static const char *const tables[] = {"users", "orders", "prices"};
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_FAIL_FAST);

    (void)arg;
    if (rc != 0)
        return rc;
    rc = skua_spawn(&scope, heartbeat, NULL);
    for (size_t i = 0; rc == 0 && i < sizeof tables / sizeof tables[0]; i++)
        rc = skua_spawn(&scope, fetch, (void *)(uintptr_t)tables[i]);
    if (rc != 0)
        (void)skua_scope_cancel(&scope);
    return skua_scope_join(&scope);
}

static int program(void *arg)
{
    skua_task *task;
    int result = 0;
    int rc = skua_spawn(NULL, report, arg, .task = &task);

    if (rc == 0)
        rc = skua_task_join(task, &result);
    return rc != 0 ? rc : result == -EHOSTUNREACH ? 0 : -EIO;
}

int main(void)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    int rc = skua_otel_console_new(&to.exporter, NULL);

    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                               .tasks = "all")); /* whatever the variable says */
    if (rc != 0) {
        fprintf(stderr, "telemetry: %s\n", skua_strerror(rc));
        return 1;
    }
    rc = skua_main(program, NULL, NULL);
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    return rc != 0;
}
