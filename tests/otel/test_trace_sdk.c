/* test_trace_sdk.c - spans as the SDK records them: ids, limits, order, times, threads, forks.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

#include "../lib/harness.h"

static skua_tracer tracer = SKUA_TRACER("test.sdk", "1");
static skua_otel_exporter *memory;
static skua_otel_span spans[64];

static int64_t soon(void)
{
    return skua_now() + TEST_LATE;
}

static void start_with(skua_otel_options options)
{
    static skua_otel_destination to;

    MUST(skua_otel_memory_new(&memory) == 0);
    to = (skua_otel_destination){.exporter = memory, .max_queue = 200000};
    options.size = sizeof options;
    options.destinations = &to;
    options.destinations_count = 1;
    MUST(skua_otel_start(&options) == 0);
}

static void start(void)
{
    start_with((skua_otel_options){.size = 0});
}

/* How many spans have arrived; the first of them are in `spans`. */
static size_t arrived(void)
{
    CHECK_EQ(skua_otel_flush(soon()), 0);
    return skua_otel_memory_spans(memory, spans, TEST_LEN(spans));
}

static void stop(void)
{
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
}

static bool is(skua_otel_text text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.at, wanted, text.len) == 0;
}

static const skua_attr *find(const skua_otel_attrs *attrs, const char *key)
{
    for (uint32_t i = 0; i < attrs->count; i++)
        if (attrs->at[i].key_len == strlen(key) &&
            memcmp(attrs->at[i].key, key, attrs->at[i].key_len) == 0)
            return &attrs->at[i];
    return NULL;
}

/* ---- attributes ------------------------------------------------------------------------------ */

TEST(every_type_of_attribute_arrives_as_it_was)
{
    static const int64_t ints[] = {1, -2, INT64_MIN};
    static const double floats[] = {0.5, -1e300};
    static const uint8_t bools[] = {1, 0};
    const char *texts[] = {"a", "", "long enough to be in no register"};
    char key[] = "made at run time", value[] = "a value that is overwritten";
    skua_attr inner[] = {skua_attr_i64("x", 1), skua_attr_str("y", "z")};
    skua_attr map = skua_attr_many("map", SKUA_ATTR_MAP, inner, 2);
    skua_attr nested = skua_attr_many("nested", SKUA_ATTR_LIST, &map, 1);
    skua_span *span;

    start();
    span = skua_span_start(&tracer, "types", NULL);
    skua_span_set(span, SKUA_BOOL("bool", 7), SKUA_I64("int", INT64_MIN), SKUA_F64("float", 0.25),
                  SKUA_STR("str", "text"), SKUA_BYTES("bytes", "\0\1", 2),
                  SKUA_I64S("ints", ints, 3), SKUA_F64S("floats", floats, 2),
                  SKUA_STRS("strs", texts, 3), skua_attr_many("bools", SKUA_ATTR_BOOLS, bools, 2),
                  nested);
    skua_span_set(span, skua_attr_str(key, value), skua_attr_of("none", SKUA_ATTR_NONE, 0),
                  skua_attr_i64("", 1), SKUA_STR("null", NULL));
    memset(key, 'x', sizeof key - 1);
    memset(value, 'x', sizeof value - 1);
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 12);
    CHECK_EQ(spans[0].attrs.dropped, 0);
    CHECK_EQ(find(&spans[0].attrs, "bool")->value.i64, 1);
    CHECK_EQ(find(&spans[0].attrs, "int")->value.i64, INT64_MIN);
    CHECK(find(&spans[0].attrs, "float")->value.f64 == 0.25);
    CHECK(memcmp(find(&spans[0].attrs, "str")->value.str, "text", 4) == 0);
    CHECK(memcmp(find(&spans[0].attrs, "bytes")->value.bytes, "\0\1", 2) == 0);
    CHECK_EQ(find(&spans[0].attrs, "ints")->value.i64s[2], INT64_MIN);
    CHECK(find(&spans[0].attrs, "floats")->value.f64s[1] == -1e300);
    CHECK(strcmp(find(&spans[0].attrs, "strs")->value.strs[2], texts[2]) == 0);
    CHECK(strcmp(find(&spans[0].attrs, "strs")->value.strs[1], "") == 0);
    CHECK_EQ(find(&spans[0].attrs, "bools")->value.bools[0], 1);
    MUST(find(&spans[0].attrs, "made at run time") != NULL);
    CHECK(memcmp(find(&spans[0].attrs, "made at run time")->value.str, "a value", 7) == 0);
    CHECK_EQ(find(&spans[0].attrs, "null")->count, 0);
    MUST(find(&spans[0].attrs, "nested") != NULL);
    map = find(&spans[0].attrs, "nested")->value.attrs[0];
    CHECK_EQ(map.count, 2);
    CHECK_EQ(map.value.attrs[0].value.i64, 1);
    stop();
}

TEST(of_several_with_a_key_the_last_one_counts)
{
    char key[] = "k";
    skua_span *span;

    start();
    span = skua_span_start(&tracer, "x", NULL);
    for (int i = 0; i < 1000; i++) {
        skua_span_set(span, SKUA_I64("k", i), SKUA_I64("other", -i));
        skua_span_set(span, skua_attr_i64(key, i + 1));
    }
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 2);
    CHECK_EQ(spans[0].attrs.dropped, 0);
    CHECK_EQ(find(&spans[0].attrs, "k")->value.i64, 1000);
    CHECK_EQ(find(&spans[0].attrs, "other")->value.i64, -999);
    stop();
}

/* Those that are replaced make room, however large they are. */
TEST(a_large_attribute_may_be_set_again_for_ever)
{
    static char large[20000];
    skua_span *span;

    start();
    span = skua_span_start(&tracer, "x", NULL);
    memset(large, 'a', sizeof large - 1);
    for (int i = 0; i < 50; i++) {
        large[0] = (char)('A' + i % 26);
        skua_span_set(span, SKUA_STR("body", large));
    }
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 1);
    CHECK_EQ(spans[0].attrs.dropped, 0);
    CHECK_EQ(spans[0].attrs.at[0].value.str[0], 'A' + 49 % 26);
    CHECK_EQ(spans[0].attrs.at[0].count, sizeof large - 1);
    stop();
}

TEST(what_is_too_large_is_dropped_and_counted)
{
    static char huge[1 << 20];
    skua_span *span;

    start();
    memset(huge, 'a', sizeof huge - 1);
    span = skua_span_start(&tracer, "x", NULL);
    skua_span_set(span, SKUA_STR("huge", huge), SKUA_I64("small", 1));
    skua_span_event(span, "e", 0, (const skua_attr[]){SKUA_STR("huge", huge)}, 1);
    skua_span_set_status(span, SKUA_SPAN_ERROR, huge);
    skua_span_rename(span, huge);
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 1);
    CHECK_EQ(spans[0].attrs.dropped, 1);
    CHECK_EQ(spans[0].events_count, 1);
    CHECK_EQ(spans[0].events[0].attrs.dropped, 1);
    CHECK_EQ(spans[0].name.len, 65535);
    CHECK(spans[0].status_text.len >= 1024);
    stop();
}

TEST(limits_are_kept_and_what_they_drop_is_counted)
{
    skua_span_context other = {.trace_id = {9}, .span_id = {8}};
    skua_attr attrs[3];
    skua_span *span;
    char key[8];

    start_with((skua_otel_options){.limits = {.attrs = 3,
                                              .events = 2,
                                              .links = 1,
                                              .event_attrs = 1,
                                              .link_attrs = 2,
                                              .value_len = 4}});
    for (int i = 0; i < 3; i++)
        attrs[i] = i == 0   ? SKUA_STR("a", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4")
                   : i == 1 ? SKUA_STR("b", "four")
                            : SKUA_STR("c", "fiver");
    span = skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.attrs = attrs, .attrs_count = 3));
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        skua_span_set(span, skua_attr_i64(key, i));
        skua_span_event(span, key, 0, attrs, 3);
        skua_span_link_to(span, &other, attrs, 3);
    }
    skua_span_set(span, SKUA_STR("b", "again")); /* is there: it may be replaced */
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 3);
    CHECK_EQ(spans[0].attrs.dropped, 5);
    CHECK_EQ(find(&spans[0].attrs, "a")->count, 8); /* four characters of two bytes */
    CHECK(memcmp(find(&spans[0].attrs, "b")->value.str, "agai", 4) == 0);
    CHECK_EQ(find(&spans[0].attrs, "c")->count, 4);
    CHECK_EQ(spans[0].events_count, 2);
    CHECK_EQ(spans[0].events_dropped, 3);
    CHECK(is(spans[0].events[0].name, "k0") && is(spans[0].events[1].name, "k1"));
    CHECK_EQ(spans[0].events[0].attrs.count, 1);
    CHECK_EQ(spans[0].events[0].attrs.dropped, 2);
    CHECK_EQ(spans[0].links_count, 1);
    CHECK_EQ(spans[0].links_dropped, 4);
    CHECK_EQ(spans[0].links[0].attrs.count, 2);
    stop();
    start_with((skua_otel_options){.limits = {.attrs = SKUA_OTEL_NONE, .value_len = 1}});
    SKUA_SPAN(none, &tracer, "none", SKUA_I64("a", 1))
    {
        skua_span_event(none, "e", 0, (const skua_attr[]){SKUA_STR("s", "\xf0\x9f\x98\x80x")}, 1);
    }
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].attrs.count, 0);
    CHECK_EQ(spans[0].attrs.dropped, 1);
    CHECK_EQ(spans[0].events[0].attrs.at[0].count, 4);
    stop();
}

/* ---- names, status, links, times ------------------------------------------------------------- */

TEST(the_rules_of_status)
{
    static const struct {
        skua_span_status first, second, is;
        const char *text;
    } cases[] = {{SKUA_SPAN_UNSET, SKUA_SPAN_UNSET, SKUA_SPAN_UNSET, ""},
                 {SKUA_SPAN_ERROR, SKUA_SPAN_UNSET, SKUA_SPAN_ERROR, "1"},
                 {SKUA_SPAN_ERROR, SKUA_SPAN_ERROR, SKUA_SPAN_ERROR, "2"},
                 {SKUA_SPAN_ERROR, SKUA_SPAN_OK, SKUA_SPAN_OK, ""},
                 {SKUA_SPAN_OK, SKUA_SPAN_ERROR, SKUA_SPAN_OK, ""},
                 {SKUA_SPAN_OK, SKUA_SPAN_UNSET, SKUA_SPAN_OK, ""}};

    start();
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_span *span = skua_span_start(&tracer, "x", NULL);

        skua_span_set_status(span, cases[i].first, "1");
        skua_span_set_status(span, cases[i].second, "2");
        skua_span_end(span);
    }
    MUST(arrived() == TEST_LEN(cases));
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        CHECK_EQ(spans[i].status, cases[i].is);
        CHECK(is(spans[i].status_text, cases[i].text));
    }
    stop();
}

TEST(names_of_any_length_and_renamed)
{
    char name[400], again[200];
    skua_span *span;

    memset(name, 'n', sizeof name);
    memset(again, 'a', sizeof again);
    name[399] = again[199] = '\0';
    start();
    span = skua_span_start(&tracer, name, NULL);
    skua_span_end(span);
    span = skua_span_start(&tracer, "short", NULL);
    skua_span_rename(span, again);
    skua_span_rename(span, "s");
    skua_span_rename(span, name);
    skua_span_end(span);
    span = skua_span_start(&tracer, "", NULL);
    skua_span_end(span);
    MUST(arrived() == 3);
    CHECK(is(spans[0].name, name));
    CHECK(is(spans[1].name, name));
    CHECK_EQ(spans[2].name.len, 0);
    stop();
}

TEST(links_and_kinds_and_parents_from_elsewhere)
{
    skua_span_context remote = {.trace_id = {1, 2, 3},
                                .span_id = {4},
                                .flags = SKUA_TRACE_SAMPLED,
                                .remote = 1,
                                .trace_state = "a=1,b=2"};
    skua_attr attr = SKUA_I64("n", 1);
    skua_span_link links[2] = {{&remote, &attr, 1}, {&remote, NULL, 0}};
    skua_span_context context;
    skua_span *span;

    start();
    span = skua_span_start(&tracer, "x",
                           SKUA_SPAN_OPTIONS(.parent = &remote, .kind = SKUA_SPAN_SERVER,
                                             .links = links, .links_count = 2));
    MUST(skua_span_context_of(span, &context) == 0);
    CHECK(strcmp(context.trace_state, "a=1,b=2") == 0);
    CHECK_EQ(context.remote, 0);
    CHECK_EQ(context.flags, SKUA_TRACE_SAMPLED); /* the parent's id need not be random */
    skua_span_end(span);
    MUST(arrived() == 1);
    CHECK(memcmp(spans[0].trace_id, remote.trace_id, 16) == 0);
    CHECK(memcmp(spans[0].parent_id, remote.span_id, 8) == 0);
    CHECK_EQ(spans[0].parent_remote, 1);
    CHECK_EQ(spans[0].kind, SKUA_SPAN_SERVER);
    CHECK(is(spans[0].trace_state, "a=1,b=2"));
    CHECK_EQ(spans[0].links_count, 2);
    CHECK_EQ(spans[0].links[0].attrs.count, 1);
    CHECK_EQ(spans[0].links[0].remote, 1);
    CHECK(is(spans[0].links[1].trace_state, "a=1,b=2"));
    stop();
}

/* Bug 12. */
TEST(bug_12_times_are_in_order_and_near_the_clock)
{
    int64_t now = (int64_t)time(NULL) * SKUA_SECOND, hour = 3600 * SKUA_SECOND;
    skua_span *span;

    start();
    for (int i = 0; i < 8; i++) {
        span = skua_span_start(&tracer, "now", NULL);
        skua_span_event(span, "e", 0, NULL, 0);
        skua_span_end(span);
    }
    skua_span_end_at(skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.start = 1000)), 3000);
    skua_span_end_at(skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.start = 1000)), 500);
    skua_span_end_at(skua_span_start(&tracer, "x", NULL), 500);
    skua_span_end(skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.start = now + hour)));
    MUST(arrived() == 12);
    for (int i = 0; i < 12; i++)
        CHECK(spans[i].end >= spans[i].start);
    for (int i = 0; i < 8; i++) {
        CHECK_RANGE(spans[i].start, now - 2 * SKUA_SECOND, now + 60 * SKUA_SECOND);
        CHECK(spans[i].events[0].time >= spans[i].start && spans[i].events[0].time <= spans[i].end);
        CHECK(i == 0 || spans[i].start >= spans[i - 1].end);
    }
    CHECK_EQ(spans[8].end, 3000);
    CHECK_EQ(spans[9].end, 1000);
    stop();
}

TEST(the_length_of_a_span_is_that_of_the_clock)
{
    int64_t before, took;
    skua_span *span;

    start();
    before = skua_now();
    span = skua_span_start(&tracer, "x", NULL);
    usleep(20000);
    skua_span_end(span);
    took = skua_now() - before;
    MUST(arrived() == 1);
    CHECK_RANGE(spans[0].end - spans[0].start, MS(20) - MS(1), took + MS(1));
    stop();
}

/* ---- ids ------------------------------------------------------------------------------------- */

enum { IDS = 4000, THREADS = 4 };

static uint64_t ids[THREADS + 1][IDS];

static void *make_ids(void *arg)
{
    uint64_t *at = arg;

    for (int i = 0; i < IDS; i++) {
        skua_span *span = skua_span_start(&tracer, "x", NULL);
        skua_span_context context;

        MUST(skua_span_context_of(span, &context) == 0);
        CHECK_EQ(context.flags, SKUA_TRACE_SAMPLED | SKUA_TRACE_RANDOM);
        CHECK_EQ(skua_span_context_valid(&context), 1);
        memcpy(&at[i], context.span_id, 8);
        skua_span_end(span);
    }
    return NULL;
}

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

TEST(ids_are_unique_among_threads_and_forks)
{
    pthread_t threads[THREADS];
    uint64_t *all = &ids[0][0];
    int status, pipes[2];
    pid_t child;

    if (TEST_TSAN)
        return; /* threads before a fork are what it cannot bear */
    start();
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, make_ids, ids[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    skua_span_end(skua_span_start(&tracer, "x", NULL)); /* this thread has its numbers, too */
    MUST(pipe(pipes) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        make_ids(ids[THREADS]);
        for (size_t sent = 0; sent < sizeof ids[0];)
            sent += (size_t)write(pipes[1], (char *)ids[THREADS] + sent, sizeof ids[0] - sent);
        _exit(0);
    }
    for (size_t got = 0; got < sizeof ids[0];)
        got += (size_t)read(pipes[0], (char *)ids[THREADS] + got, sizeof ids[0] - got);
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    qsort(all, (THREADS + 1) * IDS, sizeof *all, order);
    for (int i = 1; i < (THREADS + 1) * IDS; i++)
        if (!CHECK(all[i] != all[i - 1]))
            break;
    stop();
}

static void fixed_trace_id(uint8_t id[16])
{
    memset(id, 7, 16);
}

static void fixed_span_id(uint8_t id[8])
{
    memset(id, 5, 8);
}

TEST(ids_of_ones_own)
{
    start_with((skua_otel_options){.new_trace_id = fixed_trace_id, .new_span_id = fixed_span_id});
    skua_span_end(skua_span_start(&tracer, "x", NULL));
    MUST(arrived() == 1);
    CHECK_EQ(spans[0].trace_id[15], 7);
    CHECK_EQ(spans[0].span_id[0], 5);
    CHECK_EQ(spans[0].flags & SKUA_TRACE_RANDOM, 0);
    stop();
}

/* ---- sampling -------------------------------------------------------------------------------- */

static skua_otel_sampling choose(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                 skua_otel_sampler_result *result)
{
    static const skua_attr added = {
        .key = "sampler", .type = SKUA_ATTR_BOOL, .key_len = 7, .count = 1, .value = {.i64 = 1}};

    (void)self;
    result->attrs = &added;
    result->attrs_count = 1;
    (void)snprintf(result->room, sizeof result->room, "s=1");
    result->trace_state = result->room;
    return input->name[0] == 'd'   ? SKUA_OTEL_DROP
           : input->name[0] == 'r' ? SKUA_OTEL_RECORD
                                   : SKUA_OTEL_SAMPLE;
}

TEST(a_sampler_decides_and_adds)
{
    static skua_otel_sampler sampler = {.sample = choose};
    skua_otel_counts before, after;
    skua_span_context context;
    skua_span *span;

    start_with((skua_otel_options){.sampler = &sampler});
    skua_otel_stats(&before);
    SKUA_SPAN(dropped, &tracer, "drop")
    {
        CHECK_EQ(skua_span_recording(dropped), 0);
        CHECK_EQ(skua_span_context_of(dropped, &context), 0);
        CHECK_EQ(context.flags & SKUA_TRACE_SAMPLED, 0);
        CHECK_EQ(skua_span_context_valid(&context), 1);
    }
    span = skua_span_start(&tracer, "record", NULL);
    CHECK_EQ(skua_span_recording(span), 1);
    CHECK_EQ(skua_span_context_of(span, &context), 0);
    CHECK_EQ(context.flags & SKUA_TRACE_SAMPLED, 0);
    skua_span_end(span);
    skua_span_end(skua_span_start(&tracer, "sample", NULL));
    MUST(arrived() == 1);
    CHECK(is(spans[0].trace_state, "s=1"));
    CHECK(find(&spans[0].attrs, "sampler") != NULL);
    skua_otel_stats(&after);
    CHECK_EQ(after.spans_dropped - before.spans_dropped, 1);
    CHECK_EQ(after.spans_recorded - before.spans_recorded, 1);
    CHECK_EQ(after.spans_sampled - before.spans_sampled, 1);
    stop();
}

TEST(children_follow_their_parent)
{
    skua_span_context not_sampled = {.trace_id = {1}, .span_id = {2}};

    start();
    skua_span_end(skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.parent = &not_sampled)));
    not_sampled.flags = SKUA_TRACE_SAMPLED;
    skua_span_end(skua_span_start(&tracer, "y", SKUA_SPAN_OPTIONS(.parent = &not_sampled)));
    MUST(arrived() == 1);
    CHECK(is(spans[0].name, "y"));
    stop();
}

/* ---- processors ------------------------------------------------------------------------------ */

static void hook_start(skua_otel_processor *self, skua_span *span, const skua_span_context *parent)
{
    (void)self;
    skua_span_set(span, SKUA_BOOL("root", parent == NULL));
    /* Bug 20: what a hook makes does not come back to it. */
    skua_span_end(skua_span_start(&tracer, "hook", SKUA_SPAN_OPTIONS(.root = 1)));
}

static void hook_ending(skua_otel_processor *self, skua_span *span)
{
    (void)self;
    skua_span_set(span, SKUA_BOOL("ending", 1));
    skua_span_end(skua_span_start(&tracer, "hook", SKUA_SPAN_OPTIONS(.root = 1)));
}

static int hide(skua_otel_processor *self, skua_otel_span *span, skua_otel_arena *arena)
{
    char *name = skua_otel_alloc(arena, 6);

    (void)self;
    MUST(name != NULL);
    if (is(span->name, "hook"))
        return 0;
    memcpy(name, "public", 6);
    if (is(span->name, "secret"))
        span->name = (skua_otel_text){name, 6};
    return 1;
}

TEST(bug_20_processors_hook_enrich_and_leave_out)
{
    static const skua_otel_processor_ops hooks = {
        .name = "hooks", .on_start = hook_start, .on_ending = hook_ending};
    static const skua_otel_processor_ops filters = {.name = "filter", .span = hide};
    static skua_otel_processor first = {&hooks}, second = {&filters};
    static skua_otel_processor *const both[] = {&first, &second};
    skua_otel_counts before, after;

    start_with((skua_otel_options){.processors = both, .processors_count = 2});
    skua_otel_stats(&before);
    SKUA_SPAN(span, &tracer, "secret")
    {
        skua_span_end(skua_span_start(&tracer, "child", NULL));
        (void)span;
    }
    MUST(arrived() == 2);
    CHECK(is(spans[0].name, "child") && is(spans[1].name, "public"));
    CHECK_EQ(find(&spans[0].attrs, "root")->value.i64, 0);
    CHECK_EQ(find(&spans[1].attrs, "root")->value.i64, 1);
    CHECK(find(&spans[1].attrs, "ending") != NULL);
    skua_otel_stats(&after);
    CHECK_EQ(after.filtered - before.filtered, 4);
    stop();
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *set_while_it_ends(void *arg)
{
    skua_span *span = arg;

    for (int i = 0; i < 200; i++) {
        skua_span_set(span, skua_attr_i64("n", i));
        skua_span_event(span, "e", 0, NULL, 0);
        skua_span_rename(span, i % 2 != 0 ? "a" : "another name");
        skua_span_set_status(span, SKUA_SPAN_ERROR, "text");
    }
    skua_span_unref(span);
    return NULL;
}

TEST(several_threads_set_while_one_ends)
{
    int rounds = TEST_COUNT(200);
    pthread_t threads[2];

    start();
    for (int i = 0; i < rounds; i++) {
        skua_span *span = skua_span_start(&tracer, "x", NULL);

        for (int j = 0; j < 2; j++)
            MUST(pthread_create(&threads[j], NULL, set_while_it_ends, skua_span_ref(span)) == 0);
        skua_span_set(span, SKUA_I64("own", i));
        skua_span_end(span);
        for (int j = 0; j < 2; j++)
            pthread_join(threads[j], NULL);
    }
    CHECK_EQ(arrived(), (size_t)rounds);
    stop();
}

static int end_elsewhere(void *arg)
{
    skua_span_end(arg);
    return 0;
}

TEST_FIBER(a_span_may_end_on_another_task)
{
    skua_scope scope;

    start();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(skua_spawn(&scope, end_elsewhere, skua_span_start(&tracer, "x", NULL)), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(arrived(), 50);
    stop();
    return 0;
}

TEST(who_sends_is_said)
{
    const skua_attr who[] = {SKUA_STR("service.name", "shop"), SKUA_I64("n", 1), SKUA_I64("n", 2)};
    const skua_otel_resource *resource;
    const skua_attr *instance;

    start_with((skua_otel_options){.environment_off = 1,
                                   .resource = who,
                                   .resource_count = 3,
                                   .resource_schema = "https://example.com/1"});
    skua_span_end(skua_span_start(&tracer, "x", NULL));
    MUST(arrived() == 1);
    resource = skua_otel_memory_resource(memory);
    MUST(resource != NULL);
    CHECK_EQ(resource->attrs.count, 6);
    CHECK(memcmp(find(&resource->attrs, "service.name")->value.str, "shop", 4) == 0);
    CHECK_EQ(find(&resource->attrs, "n")->value.i64, 2);
    instance = find(&resource->attrs, "service.instance.id");
    MUST(instance != NULL && instance->count == 36);
    CHECK_EQ(instance->value.str[14], '4');
    CHECK(find(&resource->attrs, "telemetry.sdk.name") != NULL);
    CHECK(is(resource->schema_url, "https://example.com/1"));
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_of_attribute_arrives_as_it_was),
        cmocka_unit_test(of_several_with_a_key_the_last_one_counts),
        cmocka_unit_test(a_large_attribute_may_be_set_again_for_ever),
        cmocka_unit_test(what_is_too_large_is_dropped_and_counted),
        cmocka_unit_test(limits_are_kept_and_what_they_drop_is_counted),
        cmocka_unit_test(the_rules_of_status),
        cmocka_unit_test(names_of_any_length_and_renamed),
        cmocka_unit_test(links_and_kinds_and_parents_from_elsewhere),
        cmocka_unit_test(bug_12_times_are_in_order_and_near_the_clock),
        cmocka_unit_test(the_length_of_a_span_is_that_of_the_clock),
        cmocka_unit_test(ids_are_unique_among_threads_and_forks),
        cmocka_unit_test(ids_of_ones_own),
        cmocka_unit_test(a_sampler_decides_and_adds),
        cmocka_unit_test(children_follow_their_parent),
        cmocka_unit_test(bug_20_processors_hook_enrich_and_leave_out),
        cmocka_unit_test(several_threads_set_while_one_ends),
        cmocka_unit_test(a_span_may_end_on_another_task),
        cmocka_unit_test(who_sends_is_said),
    };

    return TEST_MAIN(tests);
}
