/* test_otel_tasks_over.c - spans of tasks behind an end: of a task, of an SDK, of a choice.
 *
 * Specifies trace.h ("Tasks") and telemetry.h (skua_task_spans), beside test_otel_tasks.c.
 */
#include <stdlib.h>

#include <skua/telemetry.h>

#include "../lib/event.h"
#include "traced.h"

static int yields(void *arg)
{
    for (intptr_t i = 0; i < (intptr_t)arg; i++)
        CHECK_EQ(skua_yield(), 0);
    return 0;
}

/* ---- of a choice ----------------------------------------------------------------------------- */

static int wanted_always(const skua_site *site, void *arg)
{
    (void)site;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 1;
}

static int spawns(void *arg)
{
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_spawn(&scope, yields, (void *)1, .name = "store"), 0);
    (void)arg;
    return skua_scope_join(&scope);
}

/* With its root fiber it spawns six. */
static void spawned_under(const char *tasks, size_t wanted)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    skua_otel_destination to;

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    to = (skua_otel_destination){.exporter = traced_memory};
    MUST(skua_otel_start(
             SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1, .tasks = tasks)) == 0);
    test_run(runtime, spawns, NULL);
    test_runtime_free(runtime);
    CHECK(traced_wait(wanted));
    traced_end();
}

/* Who has no choice of tasks leaves that of others where it is. */
TEST(the_choice_of_others_outlives_a_shutdown)
{
    static atomic_int asked;
    static const skua_task_spans spans = {sizeof spans, wanted_always, &asked};

    CHECK_EQ(skua_task_spans_install(&spans), 0);
    spawned_under("none", 6);
    CHECK_EQ(atomic_load(&asked), 6);
    spawned_under("store", 6); /* there is one already */
    CHECK_EQ(atomic_load(&asked), 12);
    CHECK_EQ(skua_task_spans_install(NULL), 0);
    spawned_under("none", 0);
}

/* ---- of an SDK ------------------------------------------------------------------------------- */

struct waits_twice {
    skua_notify go;
    atomic_int waits;
};

static int waits_twice(void *arg)
{
    struct waits_twice *self = arg;

    atomic_fetch_add(&self->waits, 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_notified(&self->go), 0);
    return 0;
}

static double busy(const skua_otel_span *span)
{
    const char key[] = "skua.task.busy";

    for (uint32_t i = 0; i < span->attrs.count; i++)
        if (span->attrs.at[i].key_len == strlen(key) &&
            memcmp(span->attrs.at[i].key, key, strlen(key)) == 0)
            return span->attrs.at[i].value.f64;
    return -1;
}

/* What was not told, while no SDK was there, is not known. */
TEST_FIBER_CURRENT(figures_of_a_shutdown_between_are_not_told)
{
    struct waits_twice self = {.go = SKUA_NOTIFY_INIT};
    skua_scope scope;

    traced_begin(NULL);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, waits_twice, &self, .flags = SKUA_TRACED), 0);
    test_yield_until(&self.waits);
    traced_end();
    skua_notify_one(&self.go);
    CHECK_EQ(skua_yield(), 0);
    traced_begin(NULL);
    CHECK_EQ(skua_spawn(&scope, yields, (void *)1, .flags = SKUA_TRACED), 0);
    skua_notify_one(&self.go);
    CHECK_EQ(skua_scope_join(&scope), 0);
    MUST(traced_wait(2));
    CHECK_ATTRS(traced_next(NULL, 0, "waits_twice"), {"skua.task.result", "0"},
                {"skua.task.polls", ""});
    CHECK(busy(traced_next(NULL, 0, "waits_twice")) < 0);
    CHECK_ATTRS(traced_next(NULL, 0, "yields"), {"skua.task.polls", "2"});
    traced_end();
    return 0;
}

/* ---- of a task ------------------------------------------------------------------------------- */

static skua_scope outer;

/* An SDK whose spans are ids alone, and counted. */
static atomic_int counted_alive;
static const skua_trace_ops counted_ops;

static skua_span *counted_start(skua_tracer *from, const char *name,
                                const skua_span_context *parent, const skua_span_options *options)
{
    skua_span_head *head = calloc(1, sizeof *head);

    (void)from;
    (void)name;
    (void)parent;
    (void)options;
    MUST(head != NULL);
    head->ops = &counted_ops;
    head->refs = 1;
    atomic_fetch_add(&counted_alive, 1);
    return (skua_span *)head;
}

static void counted_free(skua_span *span)
{
    atomic_fetch_sub(&counted_alive, 1);
    free(span);
}

static const skua_trace_ops counted_ops = {
    .size = sizeof counted_ops, .start = counted_start, .free = counted_free};

/* Each spawns the next one and ends. */
static int relays(void *arg)
{
    int *left = arg;

    CHECK(atomic_load(&counted_alive) <= 3);
    return (*left)-- == 0 ? 0 : skua_spawn(&outer, relays, arg, .flags = SKUA_TRACED);
}

/* A task that is over is held by none of those behind it, however long they go on. */
TEST_FIBER_CURRENT(a_relay_of_tasks_keeps_no_spans)
{
    int left = 100;

    CHECK_EQ(skua_trace_install(&counted_ops), 0);
    CHECK_EQ(skua_scope_open(&outer, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&outer, relays, &left, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_join(&outer), 0);
    CHECK_EQ(skua_trace_install(NULL), 0);
    CHECK_EQ(atomic_load(&counted_alive), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choice_of_others_outlives_a_shutdown),
        cmocka_unit_test(figures_of_a_shutdown_between_are_not_told),
        cmocka_unit_test(a_relay_of_tasks_keeps_no_spans),
    };

    return TEST_MAIN(tests);
}
