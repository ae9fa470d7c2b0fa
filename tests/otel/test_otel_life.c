/* test_otel_life.c - telemetry started, flushed, shut down, and started again.
 *
 * Tests that are named after a bug show that what other SDKs have had is not here: the number is
 * that of the list in the project's notes on OpenTelemetry.
 */
#include <pthread.h>
#include <unistd.h>

#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "../lib/harness.h"

static skua_tracer tracer = SKUA_TRACER("test.life", "1");

/* A start with one exporter that keeps what it is handed. */
static skua_otel_exporter *start_memory(skua_otel_destination to)
{
    skua_otel_exporter *memory;

    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    return memory;
}

static int64_t soon(void)
{
    return skua_now() + TEST_LATE;
}

static void make(unsigned count)
{
    while (count-- > 0)
        skua_span_end(skua_span_start(&tracer, "work", NULL));
}

static skua_otel_destination_counts counts_of(size_t index)
{
    skua_otel_destination_counts counts;

    MUST(skua_otel_destination_stats(index, &counts) == 0);
    return counts;
}

/* ---- an exporter that does as it is told ----------------------------------------------------- */

struct slow {
    skua_otel_exporter exporter;
    atomic_uint calls, items, at_once, most, shutdowns, spans;
    skua_event go;     /* an export waits for it, when `waits` */
    atomic_bool waits; /* until go, or the deadline */
    atomic_bool deaf;  /* waits on, whatever ends it */
    atomic_int answer;
    atomic_bool traced; /* makes spans itself */
};

static int64_t slow_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    struct slow *slow = (struct slow *)exporter;
    unsigned now = atomic_fetch_add(&slow->at_once, 1) + 1;
    int rc = 0;

    (void)deadline;
    if (now > atomic_load(&slow->most))
        atomic_store(&slow->most, now);
    atomic_fetch_add(&slow->calls, 1);
    if (atomic_load(&slow->traced))
        atomic_fetch_add(&slow->spans, skua_span_start(&tracer, "export", NULL) != NULL);
    if (atomic_load(&slow->waits))
        rc = skua_event_wait(&slow->go);
    while (atomic_load(&slow->deaf))
        usleep(1000);
    atomic_fetch_sub(&slow->at_once, 1);
    if (rc == 0)
        rc = atomic_load(&slow->answer);
    if (rc == 0)
        atomic_fetch_add(&slow->items, batch->count);
    return rc;
}

static int slow_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    (void)deadline;
    atomic_fetch_add(&((struct slow *)exporter)->shutdowns, 1);
    return 0;
}

static const skua_otel_exporter_ops slow_ops = {
    .name = "slow", .export_batch = slow_export, .shutdown = slow_shutdown};
static const skua_otel_exporter_ops wide_ops = {
    .name = "wide", .export_batch = slow_export, .shutdown = slow_shutdown, .concurrency = 3};

static void slow_init(struct slow *slow, const skua_otel_exporter_ops *ops)
{
    memset(slow, 0, sizeof *slow);
    slow->exporter.ops = ops;
}

static void start_slow(struct slow *slow, skua_otel_destination to)
{
    to.exporter = &slow->exporter;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
}

static void await(atomic_uint *count, unsigned wanted)
{
    int64_t until = soon();

    while (atomic_load(count) < wanted && skua_now() < until)
        usleep(500);
    CHECK(atomic_load(count) >= wanted);
}

/* ---- start, flush, shutdown ------------------------------------------------------------------ */

TEST(a_span_arrives_with_all_that_was_set)
{
    skua_otel_exporter *memory = start_memory((skua_otel_destination){0});
    skua_otel_span got[2];

    SKUA_SPAN(span, &tracer, "outer", SKUA_I64("n", 7))
    {
        SKUA_SPAN(inner, &tracer, "inner")
        {
            skua_span_set(inner, SKUA_STR("who", "me"));
        }
        skua_span_event(span, "half", 0, NULL, 0);
    }
    CHECK_EQ(skua_otel_flush(soon()), 0);
    MUST(skua_otel_memory_spans(memory, got, 2) == 2);
    CHECK(got[0].name.len == 5 && memcmp(got[0].name.at, "inner", 5) == 0);
    CHECK(memcmp(got[0].parent_id, got[1].span_id, 8) == 0);
    CHECK(memcmp(got[0].trace_id, got[1].trace_id, 16) == 0);
    CHECK_EQ(got[1].attrs.count, 1);
    CHECK_EQ(got[1].attrs.at[0].value.i64, 7);
    CHECK_EQ(got[1].events_count, 1);
    CHECK(got[1].start <= got[0].start && got[0].end <= got[1].end);
    CHECK(got[1].scope->name.len == 9);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
}

TEST(starts_again_behind_a_shutdown)
{
    for (unsigned i = 0; i < 5; i++) {
        skua_otel_exporter *memory = start_memory((skua_otel_destination){0});

        CHECK_EQ(skua_otel_start(NULL), -EBUSY);
        make(3);
        CHECK_EQ(skua_otel_shutdown(soon()), 0);
        CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 3);
        make(3); /* off: they are NULL */
        CHECK_EQ(skua_otel_shutdown(soon()), 0);
        skua_otel_memory_free(memory);
    }
}

TEST(a_span_that_ends_behind_the_shutdown_is_counted)
{
    skua_otel_exporter *memory = start_memory((skua_otel_destination){0});
    skua_span *span = skua_span_start(&tracer, "late", NULL);
    skua_otel_counts before, after;

    skua_otel_stats(&before);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK(skua_span_recording(span));
    skua_span_set(span, SKUA_I64("a", 1));
    skua_span_end(span);
    skua_otel_stats(&after);
    CHECK_EQ(after.late - before.late, 1);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 0);
    skua_otel_memory_free(memory);
}

static int flush_and_shut_down(void *arg)
{
    skua_otel_exporter *memory = start_memory((skua_otel_destination){0});

    (void)arg;
    make(10);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 10);
    make(10);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 20);
    skua_otel_memory_free(memory);
    return 0;
}

/* Bug 4: an exporter that awaits, inside of the runtime that flushes. */
TEST_FIBER(bug_4_flush_and_shutdown_on_a_worker_wait_as_fibers_do)
{
    return flush_and_shut_down(NULL);
}

/* Bug 5: telemetry brings its own driver. */
TEST(bug_5_works_without_any_runtime_of_the_program)
{
    flush_and_shut_down(NULL);
}

TEST(bad_options_are_refused)
{
    static const skua_otel_exporter_ops none = {.name = "none"};
    skua_otel_exporter useless = {&none};
    skua_otel_destination to = {.exporter = &useless};
    struct slow slow;
    skua_otel_options options;

    skua_otel_options_init(&options);
    options.destinations_count = 1;
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    options.destinations = &to;
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    slow_init(&slow, &slow_ops);
    to = (skua_otel_destination){.exporter = &slow.exporter, .max_queue = 10, .max_batch = 11};
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    to = (skua_otel_destination){.exporter = &slow.exporter, .delay = -1};
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    to = (skua_otel_destination){.exporter = &slow.exporter};
    options.buffer = 100000;
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    options.buffer = 0;
    options.size--;
    CHECK_EQ(skua_otel_start(&options), -EINVAL);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* Bug 1: a shutdown that looks at its deadline behind a join. */
TEST(bug_1_shutdown_ends_at_its_deadline_while_an_export_hangs)
{
    struct slow slow;
    int64_t before, took;

    slow_init(&slow, &slow_ops);
    slow.waits = true;
    start_slow(&slow, (skua_otel_destination){.simple = 1});
    make(1);
    await(&slow.calls, 1);
    make(1);
    before = skua_now();
    CHECK_EQ(skua_otel_shutdown(before + MS(50)), -ETIMEDOUT);
    took = skua_now() - before;
    CHECK_RANGE(took, MS(40), MS(50) + TEST_LATE);
    test_note("a shutdown of 50 ms took %.1f ms", (double)took / 1e6);
    (void)skua_otel_shutdown(soon()); /* on a busy machine it is not at its end yet */
    CHECK_EQ(slow.shutdowns, 1);
    CHECK_EQ(counts_of(0).shutdown, 2);
    CHECK_EQ(counts_of(0).exported, 0);
    /* It is idle again. */
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

/* Likewise, when the exporter heeds nothing. */
TEST(bug_17_shutdown_ends_at_its_deadline_when_the_exporter_is_deaf)
{
    struct slow slow;
    int64_t before;

    slow_init(&slow, &slow_ops);
    slow.deaf = true;
    start_slow(&slow, (skua_otel_destination){.simple = 1});
    make(1);
    await(&slow.calls, 1);
    before = skua_now();
    CHECK_EQ(skua_otel_flush(before + MS(20)), -ETIMEDOUT);
    CHECK_EQ(skua_otel_shutdown(before + MS(50)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - before, MS(40), MS(50) + TEST_LATE);
    CHECK_EQ(skua_otel_start(NULL), -EBUSY);
    atomic_store(&slow.deaf, false);
    (void)skua_otel_shutdown(soon()); /* waits with the first */
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK_EQ(slow.shutdowns, 1);
}

/* Bug 16. */
TEST(bug_16_flush_answers_at_its_deadline_and_not_before_all_is_there)
{
    struct slow slow;

    slow_init(&slow, &wide_ops);
    slow.waits = true;
    start_slow(&slow, (skua_otel_destination){.max_batch = 2, .max_queue = 100});
    make(10);
    CHECK_EQ(skua_otel_flush(skua_now() + MS(20)), -ETIMEDOUT);
    CHECK_EQ(slow.most, 3); /* as many at a time as it takes */
    skua_event_set(&slow.go);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(slow.items, 10);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

/* Bugs 2 and 8. */
TEST(bug_2_8_flush_never_misses_what_ended_just_before)
{
    skua_otel_exporter *memory = start_memory((skua_otel_destination){.delay = MS(60000)});
    int64_t begin = skua_now();
    unsigned rounds = TEST_COUNT(2000);

    for (unsigned i = 1; i <= rounds; i++) {
        make(1);
        CHECK_EQ(skua_otel_flush(soon()), 0);
        if (!CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), i))
            break;
        if (i % 100 == 0 && skua_now() - begin > MS(3000))
            break;
    }
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
}

static void *make_many(void *arg)
{
    make(*(unsigned *)arg);
    return NULL;
}

TEST(bug_8_records_of_threads_that_have_ended_are_flushed)
{
    skua_otel_exporter *memory = start_memory((skua_otel_destination){.max_queue = 100000});
    unsigned count = 100;
    pthread_t threads[8];

    for (unsigned i = 0; i < 8; i++)
        MUST(pthread_create(&threads[i], NULL, make_many, &count) == 0);
    for (unsigned i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 800);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
}

/* ---- drops ----------------------------------------------------------------------------------- */

struct lines {
    atomic_uint count;
    char last[256];
};

static void take_line(void *arg, const char *line)
{
    struct lines *lines = arg;

    (void)snprintf(lines->last, sizeof lines->last, "%s", line);
    atomic_fetch_add(&lines->count, 1);
}

/* Bug 7. */
TEST(bug_7_what_a_full_queue_drops_is_counted_and_told)
{
    struct lines lines = {0};
    skua_otel_destination to = {.max_queue = 10, .max_batch = 5};
    struct slow slow;

    slow_init(&slow, &slow_ops);
    slow.waits = true;
    to.exporter = &slow.exporter;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .on_warning = take_line, .arg = &lines)) == 0);
    make(5);
    CHECK_EQ(skua_otel_flush(skua_now() + MS(1)), -ETIMEDOUT);
    await(&slow.calls, 1); /* these are under way, and not in the queue */
    make(37);
    CHECK_EQ(skua_otel_flush(skua_now() + MS(20)), -ETIMEDOUT);
    CHECK_EQ(counts_of(0).full, 27);
    CHECK_EQ(counts_of(0).queued, 10);
    CHECK_EQ(counts_of(0).inflight, 5);
    CHECK_EQ(lines.count, 1); /* and not one for each */
    CHECK(strstr(lines.last, "queue is full") != NULL);
    skua_event_set(&slow.go);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK_EQ(counts_of(0).exported, 15);
    CHECK_EQ(slow.items, 15);
}

TEST(what_a_full_buffer_drops_is_counted_exactly)
{
    enum { MADE = 20000 };
    struct slow slow;
    skua_otel_counts before, after;
    skua_otel_destination to = {.simple = 1, .max_queue = 100000, .max_batch = 100000};

    slow_init(&slow, &slow_ops);
    slow.deaf = true; /* the thread itself stands still */
    to.exporter = &slow.exporter;
    skua_otel_stats(&before);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    make(1);
    await(&slow.calls, 1);
    make(MADE);
    atomic_store(&slow.deaf, false);
    (void)skua_otel_flush(soon());
    (void)skua_otel_shutdown(soon());
    skua_otel_stats(&after);
    CHECK(after.full_spans > before.full_spans);
    CHECK_EQ(after.full_spans - before.full_spans + slow.items, MADE + 1);
}

TEST(a_failed_export_is_counted_and_flush_says_so)
{
    struct slow slow;

    slow_init(&slow, &slow_ops);
    slow.answer = -ECONNREFUSED;
    start_slow(&slow, (skua_otel_destination){0});
    make(4);
    CHECK_EQ(skua_otel_flush(soon()), -ECONNREFUSED);
    CHECK_EQ(counts_of(0).failed, 4);
    atomic_store(&slow.answer, 1); /* one of them is rejected */
    make(4);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(counts_of(0).rejected, 1);
    CHECK_EQ(counts_of(0).exported, 3);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

TEST(an_export_ends_at_its_time_out)
{
    struct slow slow;

    slow_init(&slow, &slow_ops);
    slow.waits = true;
    start_slow(&slow, (skua_otel_destination){.timeout = MS(20)});
    make(1);
    CHECK_EQ(skua_otel_flush(soon()), -ETIMEDOUT);
    CHECK_EQ(counts_of(0).timeouts, 1);
    CHECK_EQ(counts_of(0).failed, 1);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

/* ---- destinations ---------------------------------------------------------------------------- */

TEST(destinations_do_not_disturb_each_other)
{
    skua_otel_destination to[2] = {{.max_queue = 8, .max_batch = 4}, {.max_queue = 1000}};
    skua_otel_exporter *memory;
    struct slow slow;

    slow_init(&slow, &slow_ops);
    slow.waits = true;
    MUST(skua_otel_memory_new(&memory) == 0);
    to[0].exporter = &slow.exporter;
    to[1].exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = to, .destinations_count = 2)) == 0);
    make(100);
    CHECK_EQ(skua_otel_flush(skua_now() + MS(30)), -ETIMEDOUT);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 100);
    skua_event_set(&slow.go);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK_EQ(counts_of(0).exported + counts_of(0).full, 100);
    CHECK_EQ(counts_of(1).exported, 100);
    skua_otel_memory_free(memory);
}

/* Bug 9. */
TEST(bug_9_an_exporter_does_not_trace_itself)
{
    struct slow slow;

    slow_init(&slow, &slow_ops);
    slow.traced = true;
    start_slow(&slow, (skua_otel_destination){.simple = 1});
    make(5);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(slow.spans, 0);
    CHECK_EQ(slow.items, 5);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

TEST(a_simple_destination_needs_no_flush)
{
    struct slow slow;

    slow_init(&slow, &slow_ops);
    start_slow(&slow, (skua_otel_destination){.simple = 1});
    for (unsigned i = 1; i <= 20; i++) {
        make(1);
        await(&slow.items, i);
    }
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

TEST(a_batch_goes_when_it_is_due_or_full)
{
    struct slow slow;

    slow_init(&slow, &slow_ops);
    start_slow(&slow, (skua_otel_destination){.delay = MS(10)});
    make(3);
    await(&slow.items, 3);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    slow_init(&slow, &slow_ops);
    start_slow(&slow, (skua_otel_destination){.delay = MS(600000), .max_batch = 64});
    make(200); /* in no rhythm: the thread's buffer says that it is time */
    await(&slow.items, 64);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
}

/* Bug 11 and 20 among threads: shutdowns and flushes at any time, spans everywhere. */
static atomic_bool stop_making;

static void *make_until_stopped(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop_making)) {
        SKUA_SPAN(span, &tracer, "busy", SKUA_I64("n", 1))
        {
            skua_span_event(span, "e", 0, NULL, 0);
        }
        (void)skua_otel_flush(skua_now());
    }
    return NULL;
}

TEST(bug_11_spans_flushes_and_shutdowns_from_many_threads)
{
    pthread_t threads[3];
    int64_t until = skua_now() + MS(500);

    atomic_store(&stop_making, false);
    for (unsigned i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, make_until_stopped, NULL) == 0);
    while (skua_now() < until) {
        skua_otel_exporter *memory = start_memory((skua_otel_destination){.delay = MS(1)});

        usleep(3000);
        (void)skua_otel_shutdown(soon());
        skua_otel_memory_free(memory);
    }
    atomic_store(&stop_making, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_arrives_with_all_that_was_set),
        cmocka_unit_test(starts_again_behind_a_shutdown),
        cmocka_unit_test(a_span_that_ends_behind_the_shutdown_is_counted),
        cmocka_unit_test(bug_4_flush_and_shutdown_on_a_worker_wait_as_fibers_do),
        cmocka_unit_test(bug_5_works_without_any_runtime_of_the_program),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(bug_1_shutdown_ends_at_its_deadline_while_an_export_hangs),
        cmocka_unit_test(bug_17_shutdown_ends_at_its_deadline_when_the_exporter_is_deaf),
        cmocka_unit_test(bug_16_flush_answers_at_its_deadline_and_not_before_all_is_there),
        cmocka_unit_test(bug_2_8_flush_never_misses_what_ended_just_before),
        cmocka_unit_test(bug_8_records_of_threads_that_have_ended_are_flushed),
        cmocka_unit_test(bug_7_what_a_full_queue_drops_is_counted_and_told),
        cmocka_unit_test(what_a_full_buffer_drops_is_counted_exactly),
        cmocka_unit_test(a_failed_export_is_counted_and_flush_says_so),
        cmocka_unit_test(an_export_ends_at_its_time_out),
        cmocka_unit_test(destinations_do_not_disturb_each_other),
        cmocka_unit_test(bug_9_an_exporter_does_not_trace_itself),
        cmocka_unit_test(a_simple_destination_needs_no_flush),
        cmocka_unit_test(a_batch_goes_when_it_is_due_or_full),
        cmocka_unit_test(bug_11_spans_flushes_and_shutdowns_from_many_threads),
    };

    return TEST_MAIN(tests);
}
