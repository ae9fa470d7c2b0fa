/* test_otel_tasks.c - spans of tasks: SKUA_TRACED, and those whose names the SDK is told.
 *
 * Specifies trace.h ("Tasks"), telemetry.h (skua_task_spans) and sdk.h (.tasks, SKUA_OTEL_TASKS).
 */
#include <sys/wait.h>
#include <unistd.h>

#include <skua/otel/samplers.h>
#include <skua/telemetry.h>

#include "../lib/event.h"
#include "traced.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_tracer tracer = SKUA_TRACER("test.tasks", "1");

static void quiet(void *arg, const char *line)
{
    (void)arg;
    (void)line; /* buffers that are full: these tests make more than an exporter takes */
}

static void begin(const char *tasks)
{
    static skua_otel_destination to;

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    to = (skua_otel_destination){.exporter = traced_memory, .max_queue = 20000};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .tasks = tasks, .on_warning = quiet)) == 0);
}

static void end(void)
{
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_memory_free(traced_memory);
}

static const skua_otel_span *named(const char *name)
{
    const skua_otel_span *span = traced_next(NULL, 0, name);

    MUST(span != NULL);
    return span;
}

static double seconds(const skua_otel_span *span, const char *key)
{
    for (uint32_t i = 0; i < span->attrs.count; i++)
        if (span->attrs.at[i].key_len == strlen(key) &&
            memcmp(span->attrs.at[i].key, key, strlen(key)) == 0)
            return span->attrs.at[i].value.f64;
    return -1;
}

static bool cancelled(const skua_otel_span *span)
{
    return span->events_count == 1 && traced_is(span->events[0].name, "cancelled");
}

/* ---- small bodies ---------------------------------------------------------------------------- */

static int yields(void *arg)
{
    for (intptr_t i = 0; i < (intptr_t)arg; i++)
        CHECK_EQ(skua_yield(), 0);
    return 0;
}

static int grandchild(void *arg)
{
    (void)arg;
    SKUA_SPAN(span, &tracer, "of the grandchild")
    {
    }
    return 0;
}

static int works(void *arg)
{
    (void)arg;
    SKUA_SPAN(span, &tracer, "work")
    {
        CHECK_EQ(skua_yield(), 0);
    }
    return skua_spawn(NULL, grandchild, NULL);
}

struct blink {
    int turns;
};

static skua_poll blinks(void *state, skua_waker *waker)
{
    struct blink *blink = state;

    CHECK(skua_span_current() != NULL);
    if (blink->turns-- == 0)
        return 7;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

/* ---- what a span says ------------------------------------------------------------------------ */

TEST_FIBER(a_traced_task_is_a_child_and_a_parent)
{
    skua_scope scope;
    struct blink blink = {3};

    begin("none");
    SKUA_SPAN(request, &tracer, "request")
    {
        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        CHECK_EQ(skua_spawn(&scope, works, NULL, .name = "worker", .flags = SKUA_TRACED), 0);
        CHECK_EQ(skua_spawn_poll(&scope, blinks, &blink, .flags = SKUA_TRACED), 0);
        CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    MUST(traced_wait(5));
    CHECK(traced_child(named("worker"), named("request")));
    CHECK(traced_child(named("blinks"), named("request")));
    CHECK(traced_child(named("work"), named("worker")));
    CHECK(traced_child(named("of the grandchild"), named("worker")));
    CHECK_EQ(named("worker")->kind, SKUA_SPAN_INTERNAL);
    CHECK(traced_is(named("worker")->scope->name, "skua.task"));
    CHECK_ATTRS(named("worker"), {"code.function.name", __func__}, {"code.file.path", __FILE__},
                {"skua.task.result", "0"}, {"error.type", ""});
    CHECK_ATTRS(named("blinks"), {"skua.task.polls", "4"}, {"skua.task.result", "7"});
    CHECK_EQ(named("worker")->status, SKUA_SPAN_UNSET);
    CHECK(seconds(named("worker"), "skua.task.busy") > 0);
    CHECK(seconds(named("worker"), "skua.task.scheduled") > 0);
    end();
    return 0;
}

TEST_FIBER_CURRENT(turns_are_counted)
{
    skua_scope scope;
    skua_task_id id;
    char text[32];

    begin("none");
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, yields, (void *)3, .id = &id, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    MUST(traced_wait(1));
    (void)snprintf(text, sizeof text, "%lld", (long long)id);
    CHECK_ATTRS(traced, {"skua.task.polls", "4"}, {"skua.task.id", text},
                {"skua.runtime.name", "skua"});
    CHECK(traced_root(traced));
    end();
    return 0;
}

static int sleeps(void *arg)
{
    (void)arg;
    return skua_sleep(MS(250));
}

static int times(void *arg)
{
    skua_scope scope;

    (void)arg;
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, sleeps, NULL, .flags = SKUA_TRACED), 0);
    return skua_scope_join(&scope);
}

TEST(what_it_waits_is_idle)
{
    begin("none");
    CHECK_EQ(skua_test_run(times, NULL, NULL), 0);
    MUST(traced_wait(1));
    CHECK(seconds(traced, "skua.task.idle") == 0.25); /* the test's clock */
    CHECK(seconds(traced, "skua.task.busy") == 0);
    end();
}

/* ---- ends of all kinds ----------------------------------------------------------------------- */

static int returns(void *arg)
{
    return (int)(intptr_t)arg;
}

TEST_FIBER(a_negative_result_is_an_error)
{
    skua_scope scope;

    begin("none");
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, returns, (void *)(intptr_t)-EIO, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_join(&scope), -EIO);
    MUST(traced_wait(1));
    CHECK_EQ(traced->status, SKUA_SPAN_ERROR);
    CHECK_ATTRS(traced, {"skua.task.result", "-5"}, {"error.type", "EIO"});
    CHECK_EQ(traced->events_count, 0);
    end();
    return 0;
}

TEST_FIBER(to_be_cancelled_is_an_event)
{
    skua_scope scope;
    skua_task *task;

    begin("none");
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL, .name = "ran", .task = &task,
                        .flags = SKUA_TRACED | SKUA_PINNED),
             0);
    while (skua_scope_alive(&scope) != 0 && skua_task_cancel(task) != 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    MUST(traced_wait(1));
    CHECK(cancelled(traced));
    CHECK_EQ(traced->status, SKUA_SPAN_UNSET);
    CHECK_ATTRS(traced, {"error.type", ""});
    CHECK_RANGE(traced->events[0].time, traced->start - MS(1), traced->end + MS(1));
    end();
    return 0;
}

TEST_FIBER_CURRENT(what_never_ran_ends_too)
{
    skua_scope scope;
    struct blink blink = {0};

    begin("none");
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, yields, NULL, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_spawn_poll(&scope, blinks, &blink, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_spawn(&scope, yields, NULL, .name = "refused", .flags = SKUA_TRACED), -ECANCELED);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    MUST(traced_wait(2));
    for (size_t i = 0; i < 2; i++) {
        CHECK(cancelled(&traced[i]));
        CHECK_ATTRS(&traced[i], {"skua.task.polls", "0"});
    }
    end();
    return 0;
}

TEST(a_runtime_that_stops_ends_them)
{
    for (unsigned i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_variant(test_kinds[i].label);
        begin("none");
        CHECK_EQ(skua_spawn_on(runtime, test_fiber_forever, NULL, .flags = SKUA_TRACED), 0);
        test_runtime_free(runtime);
        if (CHECK(traced_wait(1)))
            CHECK(cancelled(traced));
        end();
    }
}

/* ---- whom it concerns ------------------------------------------------------------------------ */

TEST(nothing_without_an_sdk)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    CHECK_EQ(skua_spawn_on(runtime, yields, NULL, .flags = SKUA_TRACED), 0);
    test_runtime_free(runtime);
}

static int spawns(void *arg)
{
    static const char *const names[] = {"load orders", "load users", "loader", "store", "stores"};
    skua_scope scope;

    (void)arg;
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (size_t i = 0; i < TEST_LEN(names); i++)
        CHECK_EQ(skua_spawn(&scope, yields, (void *)1, .name = names[i]), 0);
    return skua_scope_join(&scope);
}

static void spawned_under(const char *tasks, size_t wanted)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);

    begin(tasks);
    test_run(runtime, spawns, NULL);
    test_runtime_free(runtime);
    CHECK(traced_wait(wanted));
    end();
}

TEST(tasks_are_told_by_their_names)
{
    spawned_under("load *, store", 3);
    spawned_under("load*", 3);
    spawned_under(" stores ,,loader", 2);
    spawned_under("none", 0);
    spawned_under("all", 6); /* the root fiber's, too */
    spawned_under("ALL", 6); /* as other variables take their words; names are as they are */
    spawned_under("Store", 0);
    MUST(setenv("SKUA_OTEL_TASKS", "store*", 1) == 0);
    spawned_under(NULL, 2);
    spawned_under("none", 0);
    MUST(unsetenv("SKUA_OTEL_TASKS") == 0);
    spawned_under(NULL, 0);
}

static int wanted_never(const skua_site *site, void *arg)
{
    (void)site;
    (void)arg;
    return 0;
}

TEST(there_is_one_choice)
{
    static const skua_task_spans spans = {sizeof spans, wanted_never, NULL};
    static const skua_task_spans small = {8, wanted_never, NULL};
    static const skua_task_spans empty = {sizeof empty, NULL, NULL};

    CHECK_EQ(skua_task_spans_install(&small), -EINVAL);
    CHECK_EQ(skua_task_spans_install(&empty), -EINVAL);
    CHECK_EQ(skua_task_spans_install(&spans), 0);
    CHECK_EQ(skua_task_spans_install(&spans), -EBUSY);
    CHECK_EQ(skua_task_spans_install(NULL), 0);
}

/* Telemetry's own tasks, and what is spawned where it is suppressed. */
TEST_FIBER(telemetry_makes_none_of_itself)
{
    skua_span_frame frame;
    skua_scope scope;

    begin("all");
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, yields, NULL, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_spawn(&scope, yields, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK(traced_wait(0));
    end();
    return 0;
}

static int child_of_fork(void)
{
    SKUA_SPAN(span, &tracer, "of the child") /* its end makes the child's own thread */
    {
    }
    for (int i = 0; i < 2; i++)
        if (skua_otel_flush(skua_now() + TEST_LATE) != 0)
            return 2;
    return skua_otel_memory_spans(traced_memory, NULL, 0) == 1 ? 0 : 3;
}

TEST(telemetry_makes_none_of_itself_in_the_child_of_a_fork)
{
    pid_t child;
    int status;

    if (TEST_TSAN)
        return; /* threads before a fork are what it cannot bear */
    begin("all");
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(child_of_fork());
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    end();
}

TEST(those_that_are_not_sampled_have_an_id_alone)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    MUST(skua_otel_start(
             SKUA_OTEL_OPTIONS(.destinations = &(skua_otel_destination){.exporter = traced_memory},
                               .destinations_count = 1, .tasks = "all",
                               .sampler = skua_otel_sampler_always_off())) == 0);
    test_run(runtime, spawns, NULL);
    test_runtime_free(runtime);
    CHECK(traced_wait(0));
    end();
}

/* ---- context --------------------------------------------------------------------------------- */

static int frames(void *arg)
{
    skua_span *own = skua_span_current();
    skua_deadline deadline;

    (void)arg;
    CHECK(skua_deadline_current() != SKUA_FOREVER);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + SKUA_SECOND), 0);
    SKUA_SPAN(inner, &tracer, "inner")
    {
        CHECK_EQ(skua_yield(), 0);
        CHECK(skua_span_current() == inner);
    }
    CHECK(skua_span_current() == own);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    skua_span_set(own, SKUA_STR("mine", "yes"));
    return 0;
}

TEST_FIBER(deadlines_and_frames_go_on_working)
{
    skua_deadline deadline;
    struct blink blink = {2};
    skua_scope scope;

    begin("none");
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + 60 * SKUA_SECOND), 0);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, frames, NULL, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_spawn_poll(&scope, blinks, &blink, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    MUST(traced_wait(3));
    CHECK_ATTRS(named("frames"), {"mine", "yes"}, {"skua.task.result", "0"});
    CHECK(traced_child(named("inner"), named("frames")));
    end();
    return 0;
}

/* A task inherits the span of one that is gone, and then gets its cell: its end is not the span's.
 */
static skua_scope outer;

static int heir(void *arg)
{
    int left = (int)(intptr_t)arg;

    CHECK(skua_span_current() != NULL);
    CHECK_EQ(skua_yield(), 0);
    return left == 0 ? 0 : skua_spawn(&outer, heir, (void *)(intptr_t)(left - 1));
}

static int bequeaths(void *arg)
{
    return skua_spawn(&outer, heir, arg);
}

TEST_FIBER_CURRENT(the_next_task_in_a_cell_does_not_own_what_it_inherits)
{
    begin("none");
    CHECK_EQ(skua_scope_open(&outer, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&outer, bequeaths, (void *)20, .flags = SKUA_TRACED), 0);
    CHECK_EQ(skua_scope_join(&outer), 0);
    for (int i = 0; i < 3; i++) { /* of cells that were given back once each */
        CHECK_EQ(skua_scope_open(&outer, SKUA_COLLECT), 0);
        for (int k = 0; k < 40; k++)
            CHECK_EQ(skua_spawn(&outer, yields, (void *)2, .flags = SKUA_TRACED), 0);
        CHECK_EQ(skua_scope_join(&outer), 0);
    }
    CHECK(traced_wait(121));
    end();
    return 0;
}

/* ---- many ------------------------------------------------------------------------------------ */

static int many(void *arg)
{
    int count = *(int *)arg;
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(skua_spawn(&scope, yields, (void *)1, .flags = SKUA_TRACED), 0);
    return skua_scope_join(&scope);
}

TEST(ten_thousand_tasks)
{
    int count = TEST_COUNT(10000);

    for (unsigned i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        skua_otel_counts before, after;

        test_variant(test_kinds[i].label);
        skua_otel_stats(&before);
        begin("none");
        test_run(runtime, many, &count);
        test_runtime_free(runtime);
        CHECK_EQ(skua_otel_flush(skua_now() + 4 * TEST_LATE), 0);
        skua_otel_stats(&after);
        CHECK_EQ(after.spans_sampled - before.spans_sampled, count);
        CHECK_EQ((int64_t)skua_otel_memory_spans(traced_memory, NULL, 0) +
                     (int64_t)(after.full_spans - before.full_spans),
                 count);
        end();
    }
}

struct outlives {
    skua_notify go;
    atomic_int waits;
};

/* The runtime may be about to stop. */
static int yields_or_ends(void *arg)
{
    (void)arg;
    return skua_yield();
}

static int outlives(void *arg)
{
    struct outlives *self = arg;

    atomic_fetch_add(&self->waits, 1);
    (void)(skua_notified(&self->go) == 0); /* or the runtime stops */
    CHECK(skua_span_current() != NULL);
    return skua_spawn(NULL, yields_or_ends, NULL, .flags = SKUA_TRACED);
}

TEST(they_may_outlive_the_shutdown)
{
    for (unsigned i = 0; i < TEST_KINDS; i++) {
        struct outlives self = {.go = SKUA_NOTIFY_INIT};
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        skua_otel_counts before, after;

        test_variant(test_kinds[i].label);
        begin("none");
        skua_otel_stats(&before);
        MUST(skua_spawn_on(runtime, outlives, &self, .flags = SKUA_TRACED) == 0);
        if (test_kinds[i].kind != SKUA_CURRENT_THREAD)
            test_yield_until(&self.waits);
        end();
        skua_notify_one(&self.go);
        if (i % 2 == 0)
            begin("none"); /* another one may be there, or not */
        test_runtime_free(runtime);
        skua_otel_stats(&after);
        if (i % 2 == 0)
            end();
        CHECK(after.spans_sampled > before.spans_sampled);
        CHECK(test_kinds[i].kind == SKUA_CURRENT_THREAD || i % 2 == 0 || after.late > before.late);
    }
}

#ifdef SKUA_FAULTS
static int faulty(void *arg)
{
    skua_otel_counts before, after;
    int alive = 0;

    (void)arg;
    for (unsigned nth = 1; nth < 12; nth++) {
        skua_scope scope;
        int rc;

        skua_otel_stats(&before);
        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_spawn(&scope, yields, (void *)1, .flags = SKUA_TRACED);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_EQ(rc == 0, nth != 1); /* only the task's own cell is needed */
        CHECK_EQ(skua_scope_join(&scope), 0);
        skua_otel_stats(&after);
        alive += (int)(after.spans_sampled - before.spans_sampled);
        CHECK(rc == 0 || after.spans_sampled == before.spans_sampled);
    }
    CHECK(traced_wait((size_t)alive));
    return 0;
}

TEST(without_memory_a_task_runs_without_a_span)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);
    size_t without = 0;

    begin("none");
    test_run(runtime, faulty, NULL);
    for (size_t i = 0; i < traced_count; i++)
        without += seconds(&traced[i], "skua.task.busy") < 0;
    CHECK_EQ(without, 1); /* of figures alone */
    test_runtime_free(runtime);
    end();
}
#endif

/* ---- all at once ----------------------------------------------------------------------------- */

static atomic_bool stress_over;

static int stress_child(void *arg)
{
    (void)arg;
    SKUA_SPAN(span, &tracer, "child")
    {
        (void)skua_yield();
    }
    return skua_sleep(0);
}

static int stress(void *arg)
{
    (void)arg;
    while (!atomic_load(&stress_over)) {
        skua_scope scope;

        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(skua_spawn(&scope, stress_child, NULL, .flags = i % 2 ? SKUA_TRACED : 0), 0);
        CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL, .flags = SKUA_TRACED), 0);
        (void)skua_yield();
        CHECK_EQ(skua_scope_cancel(&scope), 0);
        CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    }
    return 0;
}

TEST(starts_and_shutdowns_while_tasks_run)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, stress, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        begin(i % 2 == 0 ? "all" : "stress*");
        test_thread_sleep(MS(10));
        end();
        test_thread_sleep(MS(2));
    }
    atomic_store(&stress_over, true);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traced_task_is_a_child_and_a_parent),
        cmocka_unit_test(turns_are_counted),
        cmocka_unit_test(what_it_waits_is_idle),
        cmocka_unit_test(a_negative_result_is_an_error),
        cmocka_unit_test(to_be_cancelled_is_an_event),
        cmocka_unit_test(what_never_ran_ends_too),
        cmocka_unit_test(a_runtime_that_stops_ends_them),
        cmocka_unit_test(nothing_without_an_sdk),
        cmocka_unit_test(tasks_are_told_by_their_names),
        cmocka_unit_test(there_is_one_choice),
        cmocka_unit_test(telemetry_makes_none_of_itself),
        cmocka_unit_test(telemetry_makes_none_of_itself_in_the_child_of_a_fork),
        cmocka_unit_test(those_that_are_not_sampled_have_an_id_alone),
        cmocka_unit_test(deadlines_and_frames_go_on_working),
        cmocka_unit_test(the_next_task_in_a_cell_does_not_own_what_it_inherits),
        cmocka_unit_test(ten_thousand_tasks),
        cmocka_unit_test(they_may_outlive_the_shutdown),
#ifdef SKUA_FAULTS
        cmocka_unit_test(without_memory_a_task_runs_without_a_span),
#endif
        cmocka_unit_test(starts_and_shutdowns_while_tasks_run),
    };

    return TEST_MAIN(tests);
}
