/* test_log_sdk.c - log records of the SDK: from the call into the thread's ring, and out again.
 *
 * Specifies src/otel/log: what of a record arrives, limits, what is dropped and counted.
 */
#include <pthread.h>

#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

#include "../lib/harness.h"
#include "otel/log/log_impl.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static const skua_attr scope_attrs[] = {{.key = "team",
                                         .key_len = 4,
                                         .type = SKUA_ATTR_STR,
                                         .flags = SKUA_ATTR_STATIC,
                                         .count = 1,
                                         .value = {.str = "a"}}};
static skua_logger logger = SKUA_LOGGER_WITH("shop", "1.2", "http://schema", scope_attrs, 1);

static atomic_int filled;

static void note_filled(void)
{
    atomic_fetch_add(&filled, 1);
}

static struct skua__log_sdk sdk;

static void sdk_begin(void)
{
    skua__otel_clock_init();
    sdk = (struct skua__log_sdk){.limits = {.attrs = 128, .value_len = UINT32_MAX},
                                 .filled = note_filled,
                                 .wake_at = 256 * 1024};
    skua__log_use(&sdk);
    MUST(skua_log_install(&skua__log_ops) == 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct {
    char room[1 << 20];
    skua_otel_log log; /* the last one */
    unsigned count;
    uint64_t sum; /* of first attributes, where they are numbers */
} got;

static void got_read(struct skua__otel_thread *thread, void *arg)
{
    const struct skua__otel_record *record;

    (void)arg;
    while ((record = skua__otel_ring_peek(&thread->ring)) != NULL) {
        const struct skua__otel_reader *reader = &skua__otel_log_reader;

        MUST(record->kind == SKUA__OTEL_LOG);
        MUST(reader->room(record + 1) <= sizeof got.room);
        MUST(reader->read(record + 1, got.room, &got.log) <= reader->room(record + 1));
        CHECK(reader->scope_of(record + 1) != NULL);
        got.count++;
        if (got.log.attrs.count > 0 && got.log.attrs.at[0].type == SKUA_ATTR_I64)
            got.sum += (uint64_t)got.log.attrs.at[0].value.i64;
        skua__otel_ring_next(&thread->ring);
    }
}

static unsigned got_all(void)
{
    got.count = 0;
    skua__otel_threads_each(got_read, NULL);
    return got.count;
}

static void sdk_end(void)
{
    MUST(skua_log_install(NULL) == 0);
    (void)got_all();
}

static bool text_is(skua_otel_text text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.at, wanted, text.len) == 0 &&
           text.at[text.len] == '\0';
}

static const skua_attr *attr_of(const char *key)
{
    for (uint32_t i = 0; i < got.log.attrs.count; i++)
        if (strcmp(got.log.attrs.at[i].key, key) == 0)
            return &got.log.attrs.at[i];
    return NULL;
}

static bool attr_is(const char *key, const char *wanted)
{
    const skua_attr *attr = attr_of(key);

    return attr != NULL && attr->type == SKUA_ATTR_STR && attr->count == strlen(wanted) &&
           memcmp(attr->value.str, wanted, attr->count) == 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(log_record_arrives)
{
    int64_t before = skua__otel_now(), after;
    char name[] = "key";

    sdk_begin();
    skua_log_warn(&logger, "slow query", SKUA_F64("seconds", 1.5),
                  skua_attr_str(name, "copied with its key"));
    name[0] = 'X';
    after = skua__otel_now();
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.severity, SKUA_WARN);
    CHECK_RANGE(got.log.time, before - MS(50), after + MS(50));
    CHECK_EQ(got.log.observed, got.log.time);
    CHECK_EQ(got.log.body.type, SKUA_ATTR_STR);
    CHECK(got.log.body.count == 10 && memcmp(got.log.body.value.str, "slow query", 10) == 0);
    CHECK_EQ(got.log.attrs.count, 2);
    CHECK(attr_of("seconds") != NULL && attr_of("seconds")->value.f64 == 1.5);
    CHECK(attr_is("key", "copied with its key"));
    CHECK(text_is(got.log.severity_text, ""));
    CHECK(text_is(got.log.event_name, ""));
    CHECK_EQ(got.log.flags, 0);
    CHECK_EQ(got.log.trace_id[0], 0);
    sdk_end();
}

TEST(log_record_with_all_its_fields)
{
    const skua_span_context context = {
        .trace_id = {1, [15] = 2}, .span_id = {3, [7] = 4}, .flags = SKUA_TRACE_SAMPLED};

    sdk_begin();
    skua_log_emit(&logger, SKUA_LOG_RECORD(.severity = SKUA_INFO + 3, .severity_text = "notice",
                                           .event = "device.lost", .time = 5, .observed = 6,
                                           .text = "gone", .context = &context));
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.severity, 12);
    CHECK(text_is(got.log.severity_text, "notice"));
    CHECK(text_is(got.log.event_name, "device.lost"));
    CHECK_EQ(got.log.time, 5);
    CHECK_EQ(got.log.observed, 6);
    CHECK(memcmp(got.log.trace_id, context.trace_id, 16) == 0);
    CHECK(memcmp(got.log.span_id, context.span_id, 8) == 0);
    CHECK_EQ(got.log.flags, SKUA_TRACE_SAMPLED);
    skua_log_emit(&logger, SKUA_LOG_RECORD(.time = 5));
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.severity, 0);
    CHECK_EQ(got.log.body.type, SKUA_ATTR_NONE);
    CHECK_EQ(got.log.time, 5);
    CHECK(got.log.observed > 6);
    sdk_end();
}

TEST(log_scope_is_the_logger)
{
    skua_otel_scope scope;

    skua__otel_log_reader.scope(&logger, &scope);
    CHECK(text_is(scope.name, "shop"));
    CHECK(text_is(scope.version, "1.2"));
    CHECK(text_is(scope.schema_url, "http://schema"));
    CHECK_EQ(scope.attrs.count, 1);
    CHECK(skua__otel_log_reader.scope_at(&got.log) == &got.log.scope);
}

TEST(log_body_of_any_type)
{
    const int64_t numbers[] = {1, -2, 3};
    const char *const texts[] = {"a", "", "ccc", NULL};
    const skua_attr inner[] = {SKUA_I64("n", 7), SKUA_STRS("t", texts, 4),
                               skua_attr_str("dyn", "amic")};
    skua_attr list[] = {SKUA_I64S("", numbers, 3), skua_attr_many("", SKUA_ATTR_MAP, inner, 3)};
    skua_attr body = skua_attr_many("does not count", SKUA_ATTR_LIST, list, 2);
    const skua_attr *map;

    sdk_begin();
    skua_log_emit(&logger, SKUA_LOG_RECORD(.severity = SKUA_INFO, .text = "does not count",
                                           .body = &body, .attrs = inner, .attrs_count = 1));
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.body.type, SKUA_ATTR_LIST);
    CHECK_EQ(got.log.body.count, 2);
    CHECK(got.log.body.value.attrs != list);
    CHECK_EQ(got.log.body.value.attrs[0].value.i64s[1], -2);
    map = &got.log.body.value.attrs[1];
    CHECK_EQ(map->type, SKUA_ATTR_MAP);
    CHECK_EQ(map->value.attrs[0].value.i64, 7);
    CHECK(strcmp(map->value.attrs[1].value.strs[2], "ccc") == 0);
    CHECK(strcmp(map->value.attrs[1].value.strs[3], "") == 0);
    CHECK(strcmp(map->value.attrs[2].key, "dyn") == 0);
    CHECK_EQ(got.log.attrs.count, 1);
    CHECK_EQ(attr_of("n")->value.i64, 7);
    body = SKUA_I64("", 5);
    skua_log_emit(&logger, SKUA_LOG_RECORD(.body = &body));
    CHECK_EQ(got_all(), 1);
    CHECK(got.log.body.type == SKUA_ATTR_I64 && got.log.body.value.i64 == 5);
    CHECK_EQ(got.log.attrs.count, 0);
    sdk_end();
}

TEST(log_limits_of_attributes)
{
    skua_attr attrs[5] = {SKUA_STR("a", "x\xc3\xa9y"), SKUA_I64("b", 2), SKUA_I64("b", 3),
                          SKUA_I64("c", 4), SKUA_I64("d", 5)};

    sdk_begin();
    sdk.limits.attrs = 3;
    sdk.limits.value_len = 2;
    skua_log_text(&logger, SKUA_INFO, "bodies have no limit", 20, attrs, 5);
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.body.count, 20);
    CHECK_EQ(got.log.attrs.count, 3);
    CHECK_EQ(got.log.attrs.dropped, 1);
    CHECK(attr_is("a", "x\xc3\xa9")); /* of characters */
    CHECK_EQ(attr_of("b")->value.i64, 3);
    CHECK_EQ(attr_of("c")->value.i64, 4);
    sdk.limits.attrs = 0;
    skua_log_text(&logger, SKUA_INFO, "", 0, attrs, 5);
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.attrs.count, 0);
    CHECK_EQ(got.log.attrs.dropped, 5);
    sdk_end();
}

TEST(log_exceptions_give_way_to_attributes)
{
    const skua_attr mine = SKUA_STR("exception.message", "mine");

    sdk_begin();
    skua_log_emit(&logger, SKUA_LOG_RECORD(.severity = SKUA_ERROR, .text = "x", .error = -ENOENT));
    CHECK_EQ(got_all(), 1);
    CHECK(attr_is("exception.type", skua_strerror(-ENOENT)));
    CHECK(attr_is("exception.message", skua_strerror(-ENOENT)));
    skua_log_emit(&logger, SKUA_LOG_RECORD(.error = -ENOENT, .error_text = "theirs"));
    CHECK_EQ(got_all(), 1);
    CHECK(attr_is("exception.message", "theirs"));
    skua_log_emit(&logger, SKUA_LOG_RECORD(.error = -ENOENT, .error_text = "theirs", .attrs = &mine,
                                           .attrs_count = 1));
    CHECK_EQ(got_all(), 1);
    CHECK(attr_is("exception.message", "mine"));
    CHECK_EQ(got.log.attrs.count, 2);
    sdk_end();
}

TEST(log_of_unsampled_traces_left_out)
{
    skua_span_context context = {.trace_id = {1}, .span_id = {1}};

    sdk_begin();
    sdk.sampled_only = true;
    skua_log_emit(&logger, SKUA_LOG_RECORD(.text = "x", .context = &context));
    CHECK_EQ(got_all(), 0);
    context.flags = SKUA_TRACE_SAMPLED;
    skua_log_emit(&logger, SKUA_LOG_RECORD(.text = "x", .context = &context));
    skua_log_info(&logger, "outside of all traces");
    CHECK_EQ(got_all(), 2);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_INFO, NULL), 1);
    sdk_end();
}

static int sdk_no(const struct skua__log_sdk *from, skua_severity severity, const char *event,
                  const skua_span_context *context)
{
    (void)from;
    (void)context;
    return severity > SKUA_INFO && event != NULL;
}

static unsigned sdk_least(const struct skua__log_sdk *sdk, const skua_logger *from)
{
    (void)sdk;
    return strcmp(from->name, "shop") == 0 ? SKUA_ERROR : SKUA_DEBUG;
}

TEST(log_minimum_and_enabled)
{
    static skua_logger other = SKUA_LOGGER("other");

    sdk_begin();
    sdk.minimum = SKUA_WARN;
    skua_log_renew();
    skua_log_info(&logger, "no");
    CHECK_EQ(got_all(), 0);
    sdk.minimum_of = sdk_least;
    sdk.enabled = sdk_no;
    skua_log_renew();
    skua_log_warn(&logger, "no");
    skua_log_debug(&other, "yes");
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(skua_log_enabled(&other, SKUA_INFO, "e"), 0);
    CHECK_EQ(skua_log_enabled(&other, SKUA_WARN, "e"), 1);
    CHECK_EQ(skua_log_enabled(&other, SKUA_WARN, NULL), 0);
    sdk_end();
}

TEST(log_drops_are_counted_exactly)
{
    struct skua__otel_counts before, after;
    unsigned made = 0, read;
    static char big[300 * 1024];

    sdk_begin();
    memset(big, 'b', sizeof big);
    skua__otel_threads_count(&before);
    atomic_store(&filled, 0);
    for (; made < 20000; made++)
        skua_log_info(&logger, "a record of some bytes", SKUA_I64("i", made));
    CHECK(atomic_load(&filled) > 0);
    skua_log_text(&logger, SKUA_INFO, big, sizeof big, NULL, 0);
    made++;
    read = got_all();
    skua__otel_threads_count(&after);
    CHECK_EQ(after.logs - before.logs, made);
    CHECK_EQ(after.dropped[SKUA__OTEL_LOG] - before.dropped[SKUA__OTEL_LOG], made - read);
    CHECK(read > 0 && read < made);
    skua_log_text(&logger, SKUA_INFO, big, 200 * 1024, NULL, 0);
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.body.count, 200 * 1024);
    sdk_end();
}

#ifdef SKUA_FAULTS
TEST(log_without_memory_drops_attributes_alone)
{
    static char big[1000];
    struct skua__otel_counts before, after;

    sdk_begin();
    skua_log_info(&logger, "warm");
    CHECK_EQ(got_all(), 1);
    memset(big, 'b', sizeof big);
    skua__otel_threads_count(&before);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    skua_log_info(&logger, "x", SKUA_I64("a", 1), SKUA_TEXT("big", big, sizeof big));
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(got.log.attrs.count, 1);
    CHECK_EQ(got.log.attrs.dropped, 1);
    skua__otel_threads_count(&after);
    CHECK_EQ(after.lost - before.lost, 1);
    skua_log_info(&logger, "x", SKUA_TEXT("big", big, sizeof big));
    CHECK_EQ(got_all(), 1);
    CHECK_EQ(attr_of("big")->count, sizeof big);
    sdk_end();
}
#endif

static void *log_many(void *arg)
{
    static skua_logger shared = SKUA_LOGGER("shared");

    for (int i = 1; i <= 200; i++)
        skua_log_info(&shared, "x", SKUA_I64("i", i), skua_attr_str("thread", arg));
    return NULL;
}

TEST(log_from_threads_that_end)
{
    pthread_t threads[4];
    unsigned read = 0;

    sdk_begin();
    got.sum = 0;
    for (int round = 0; round < TEST_COUNT(20) + 1; round++) {
        for (int i = 0; i < 4; i++)
            MUST(pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t) "abc") == 0);
        read += got_all();
        for (int i = 0; i < 4; i++)
            MUST(pthread_join(threads[i], NULL) == 0);
        read += got_all();
    }
    CHECK_EQ(read, (TEST_COUNT(20) + 1) * 800);
    CHECK_EQ(got.sum, (uint64_t)(TEST_COUNT(20) + 1) * 4 * 20100);
    sdk_end();
}

/* ---- with the rest of telemetry -------------------------------------------------------------- */

static unsigned filter_calls;

/* Redacts, leaves out, and logs itself. */
static int filter_log(skua_otel_processor *self, skua_otel_log *log, skua_otel_arena *arena)
{
    static skua_logger own = SKUA_LOGGER("filter");

    (void)self;
    (void)arena;
    filter_calls++;
    skua_log_fatal(&own, "heard by nobody");
    log->severity_text = (skua_otel_text){"seen", 4};
    return log->severity != SKUA_DEBUG;
}

static int filter_enabled(skua_otel_processor *self, skua_severity severity, const char *event,
                          const skua_span_context *context)
{
    (void)self;
    (void)context;
    return severity != SKUA_DEBUG && event == NULL;
}

TEST(log_by_the_pipe_to_an_exporter)
{
    static const skua_otel_processor_ops ops = {
        .name = "filter", .log = filter_log, .log_enabled = filter_enabled};
    skua_otel_processor filter = {&ops}, *filters[] = {&filter};
    skua_otel_destination to = {.signal = SKUA_OTEL_LOGS};
    skua_otel_counts counts;
    skua_otel_log logs[8];

    CHECK_EQ(skua_otel_memory_new(&to.exporter), 0);
    CHECK_EQ(
        skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                          .processors = filters, .processors_count = 1,
                                          .log_minimum = SKUA_DEBUG, .log_limits = {.attrs = 1})),
        0);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_DEBUG, NULL), 0);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_INFO, NULL), 1);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_INFO, "event"), 0);
    skua_log_trace(&logger, "less than the minimum");
    skua_log_debug(&logger, "left out by the filter");
    skua_log_info(&logger, "one", SKUA_I64("a", 1), SKUA_I64("b", 2));
    skua_log_error(&logger, "two");
    CHECK_EQ(skua_otel_flush(skua_now() + SKUA_SECOND * 10), 0); /* what came before is there */
    CHECK_EQ(skua_otel_memory_logs(to.exporter, logs, 8), 2);
    CHECK(memcmp(logs[0].body.value.str, "one", 3) == 0);
    CHECK_EQ(logs[0].attrs.count, 1);
    CHECK_EQ(logs[0].attrs.dropped, 1);
    CHECK(logs[0].scope->name.len == 4 && memcmp(logs[0].scope->name.at, "shop", 4) == 0);
    CHECK_EQ(logs[1].severity_text.len, 4);
    CHECK_EQ(filter_calls, 3); /* not of what it says itself */
    skua_log_info(&logger, "three");
    CHECK_EQ(skua_otel_shutdown(skua_now() + SKUA_SECOND * 10), 0);
    CHECK_EQ(skua_otel_memory_logs(to.exporter, logs, 8), 3);
    skua_log_info(&logger, "off");
    CHECK_EQ(skua_log_enabled(&logger, SKUA_FATAL, NULL), 0);
    CHECK_EQ(skua_otel_memory_logs(to.exporter, logs, 8), 3);
    skua_otel_stats(&counts);
    CHECK_EQ(counts.late, 0);
    skua_otel_memory_free(to.exporter);
}

TEST(log_of_another_sdk_stays)
{
    sdk_begin();
    CHECK_EQ(skua_otel_start(NULL), -EBUSY);
    CHECK(skua_log_installed() == &skua__log_ops);
    sdk_end();
    CHECK(skua_log_installed() == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_record_arrives),
        cmocka_unit_test(log_record_with_all_its_fields),
        cmocka_unit_test(log_scope_is_the_logger),
        cmocka_unit_test(log_body_of_any_type),
        cmocka_unit_test(log_limits_of_attributes),
        cmocka_unit_test(log_exceptions_give_way_to_attributes),
        cmocka_unit_test(log_of_unsampled_traces_left_out),
        cmocka_unit_test(log_minimum_and_enabled),
        cmocka_unit_test(log_drops_are_counted_exactly),
#ifdef SKUA_FAULTS
        cmocka_unit_test(log_without_memory_drops_attributes_alone),
#endif
        cmocka_unit_test(log_from_threads_that_end),
        cmocka_unit_test(log_by_the_pipe_to_an_exporter),
        cmocka_unit_test(log_of_another_sdk_stays),
    };

    (void)unsetenv("SKUA_LOG");
    return TEST_MAIN(tests);
}
