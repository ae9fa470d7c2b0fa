/* test_otlp.c - requests as the OpenTelemetry protocol has them.
 *
 * The library writes protobuf from its end. The reader here goes forwards, field by field, and
 * knows nothing of the writer; numbers of fields are those of opentelemetry-proto 1.11.
 */
#include "otel/otlp/otlp_impl.h"

#include "../lib/harness.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- a reader -------------------------------------------------------------------------------- */

struct piece {
    const uint8_t *at;
    size_t len;
    unsigned wire;
    uint64_t value; /* wires 0, 1, 5 */
    bool there;
};

static bool varint(struct piece *in, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && in->len > 0; shift += 7) {
        uint8_t byte = *in->at++;

        in->len--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The next field; false: the end. What is not well-formed ends the test. */
static bool next(struct piece *in, unsigned *field, struct piece *ret)
{
    uint64_t tag, len;

    if (in->len == 0)
        return false;
    MUST(varint(in, &tag));
    *field = (unsigned)(tag >> 3);
    *ret = (struct piece){.wire = tag & 7, .there = true};
    if (ret->wire == 0) {
        MUST(varint(in, &ret->value));
        return true;
    }
    len = ret->wire == 1 ? 8 : ret->wire == 5 ? 4 : 0;
    if (ret->wire == 2)
        MUST(varint(in, &len));
    MUST(ret->wire != 3 && ret->wire != 4 && len <= in->len);
    ret->at = in->at;
    ret->len = len;
    if (ret->wire != 2)
        memcpy(&ret->value, in->at, len);
    in->at += len;
    in->len -= len;
    return true;
}

/* The nth of a field. */
static struct piece get(struct piece in, unsigned wanted, unsigned nth)
{
    struct piece found;
    unsigned field;

    MUST(in.there);
    while (next(&in, &field, &found))
        if (field == wanted && nth-- == 0)
            return found;
    return (struct piece){.there = false};
}

static unsigned count(struct piece in, unsigned wanted)
{
    unsigned n = 0;

    while (get(in, wanted, n).there)
        n++;
    return n;
}

static bool text_is(struct piece piece, const char *text)
{
    return piece.there && piece.wire == 2 && piece.len == strlen(text) &&
           memcmp(piece.at, text, piece.len) == 0;
}

static double f64(struct piece piece)
{
    double value;

    MUST(piece.there && piece.wire == 1);
    memcpy(&value, &piece.value, sizeof value);
    return value;
}

/* The AnyValue of an attribute in a repeated KeyValue field. */
static struct piece value_of(struct piece in, unsigned field, const char *key)
{
    for (unsigned i = 0; get(in, field, i).there; i++)
        if (text_is(get(get(in, field, i), 1, 0), key))
            return get(get(in, field, i), 2, 0);
    return (struct piece){.there = false};
}

/* ---- writing --------------------------------------------------------------------------------- */

static skua_otel_text text(const char *at)
{
    return (skua_otel_text){at, strlen(at)};
}

static struct piece write_batch(struct skua__otlp *out, const skua_otel_batch *batch)
{
    skua__otlp_begin(out, (size_t)64 << 20);
    MUST(skua__otlp_request(out, batch) == 0);
    return (struct piece){out->bytes + out->at, skua__otlp_size(out), 2, 0, true};
}

static skua_attr one_attr[1];

static skua_otel_resource the_resource(void)
{
    one_attr[0] = SKUA_STR("service.name", "shop");
    return (skua_otel_resource){.attrs = {one_attr, 1, 2}, .schema_url = text("r/1")};
}

static void check_values(struct piece in, unsigned field)
{
    struct piece list;

    CHECK_EQ(get(value_of(in, field, "bool"), 2, 0).value, 1);
    CHECK_EQ(get(value_of(in, field, "int"), 3, 0).value, (uint64_t)INT64_MIN);
    CHECK(f64(get(value_of(in, field, "float"), 4, 0)) == -0.0);
    CHECK(text_is(get(value_of(in, field, "str"), 1, 0), "a\xef\xbf\xbd"));
    CHECK(text_is(get(value_of(in, field, "empty"), 1, 0), ""));
    CHECK_EQ(get(value_of(in, field, "bytes"), 7, 0).len, 3);
    list = get(value_of(in, field, "ints"), 5, 0);
    CHECK_EQ(count(list, 1), 3);
    CHECK_EQ(get(get(list, 1, 0), 3, 0).value, 0); /* zero is said in an AnyValue */
    CHECK(get(get(list, 1, 0), 3, 0).there);
    CHECK_EQ((int64_t)get(get(list, 1, 2), 3, 0).value, -1);
    list = get(value_of(in, field, "strs"), 5, 0);
    CHECK(text_is(get(get(list, 1, 0), 1, 0), "x") && text_is(get(get(list, 1, 1), 1, 0), ""));
    list = get(value_of(in, field, "map"), 6, 0);
    CHECK_EQ(get(value_of(list, 1, "inner"), 3, 0).value, 5);
    list = get(value_of(in, field, "list"), 5, 0);
    CHECK_EQ(count(list, 1), 2);
    CHECK(!value_of(in, field, "none").there);
}

static size_t make_values(skua_attr *attrs)
{
    static const int64_t ints[] = {0, 1, -1};
    static const char *const strs[] = {"x", ""};
    static skua_attr inner[2];
    size_t n = 0;

    inner[0] = SKUA_I64("inner", 5);
    inner[1] = skua_attr_of("null", SKUA_ATTR_NONE, 0);
    attrs[n++] = SKUA_BOOL("bool", 1);
    attrs[n++] = SKUA_I64("int", INT64_MIN);
    attrs[n++] = SKUA_F64("float", -0.0);
    attrs[n++] = SKUA_STR("str", "a\xff");
    attrs[n++] = SKUA_STR("empty", "");
    attrs[n++] = SKUA_BYTES("bytes", "\0\xff\1", 3);
    attrs[n++] = SKUA_I64S("ints", ints, 3);
    attrs[n++] = SKUA_STRS("strs", strs, 2);
    attrs[n++] = skua_attr_many("map", SKUA_ATTR_MAP, inner, 2);
    attrs[n++] = skua_attr_many("list", SKUA_ATTR_LIST, inner, 2);
    attrs[n++] = skua_attr_of("none", SKUA_ATTR_NONE, 0);
    return n;
}

/* ---- traces ---------------------------------------------------------------------------------- */

static const skua_otel_scope scopes[2] = {
    {.name = {"first", 5}, .version = {"1", 1}, .schema_url = {"s/1", 3}}, {.name = {"second", 6}}};

static void make_spans(skua_otel_span spans[3], const skua_attr *attrs, size_t n)
{
    static skua_otel_event events[2];
    static skua_otel_link links[1];

    events[0] = (skua_otel_event){.time = 15, .name = text("e0"), .attrs = {attrs, 1, 4}};
    events[1] = (skua_otel_event){.time = 16, .name = text("e1")};
    links[0] = (skua_otel_link){.trace_id = {9},
                                .span_id = {8},
                                .flags = 1,
                                .remote = 1,
                                .trace_state = text("a=1"),
                                .attrs = {attrs, 2, 5}};
    spans[0] = (skua_otel_span){.trace_id = {1, 2},
                                .span_id = {3},
                                .parent_id = {4},
                                .flags = 3,
                                .parent_remote = 1,
                                .kind = 2,
                                .status = 2,
                                .trace_state = text("b=2"),
                                .name = text("GET /"),
                                .status_text = text("broken"),
                                .start = 10,
                                .end = 300,
                                .attrs = {attrs, (uint32_t)n, 7},
                                .events = events,
                                .events_count = 2,
                                .events_dropped = 8,
                                .links = links,
                                .links_count = 1,
                                .links_dropped = 9,
                                .scope = &scopes[0]};
    spans[1] = (skua_otel_span){.trace_id = {1}, .span_id = {5}, .kind = 1, .scope = &scopes[0]};
    spans[2] = (skua_otel_span){.trace_id = {1}, .span_id = {6}, .kind = 1, .scope = &scopes[1]};
}

static void check_span(struct piece span)
{
    CHECK_EQ(get(span, 1, 0).len, 16);
    CHECK_EQ(get(span, 2, 0).len, 8);
    CHECK(text_is(get(span, 3, 0), "b=2"));
    CHECK_EQ(get(span, 4, 0).at[0], 4);
    CHECK(text_is(get(span, 5, 0), "GET /"));
    CHECK_EQ(get(span, 6, 0).value, 2);
    CHECK(get(span, 7, 0).wire == 1 && get(span, 7, 0).value == 10);
    CHECK_EQ(get(span, 8, 0).value, 300);
    check_values(span, 9);
    CHECK_EQ(get(span, 10, 0).value, 7);
    CHECK_EQ(count(span, 11), 2);
    CHECK_EQ(get(get(span, 11, 0), 1, 0).value, 15);
    CHECK(text_is(get(get(span, 11, 1), 2, 0), "e1"));
    CHECK_EQ(count(get(span, 11, 0), 3), 1);
    CHECK_EQ(get(get(span, 11, 0), 4, 0).value, 4);
    CHECK_EQ(get(span, 12, 0).value, 8);
    CHECK_EQ(get(get(span, 13, 0), 1, 0).at[0], 9);
    CHECK_EQ(get(get(span, 13, 0), 2, 0).at[0], 8);
    CHECK(text_is(get(get(span, 13, 0), 3, 0), "a=1"));
    CHECK_EQ(count(get(span, 13, 0), 4), 2);
    CHECK_EQ(get(get(span, 13, 0), 5, 0).value, 5);
    CHECK(get(get(span, 13, 0), 6, 0).wire == 5 && get(get(span, 13, 0), 6, 0).value == 0x301);
    CHECK_EQ(get(span, 14, 0).value, 9);
    CHECK(text_is(get(get(span, 15, 0), 2, 0), "broken"));
    CHECK_EQ(get(get(span, 15, 0), 3, 0).value, 2);
    CHECK_EQ(get(span, 16, 0).value, 0x303);
}

TEST(spans_have_every_field)
{
    skua_otel_resource resource = the_resource();
    skua_attr attrs[16];
    skua_otel_span spans[3];
    skua_otel_batch batch = {
        .signal = SKUA_OTEL_TRACES, .count = 3, .resource = &resource, .items.spans = spans};
    struct skua__otlp out = {0};
    struct piece request, whole, bare;

    make_spans(spans, attrs, make_values(attrs));
    request = write_batch(&out, &batch);
    CHECK_EQ(count(request, 1), 1);
    whole = get(request, 1, 0);
    CHECK(text_is(get(value_of(get(whole, 1, 0), 1, "service.name"), 1, 0), "shop"));
    CHECK_EQ(get(get(whole, 1, 0), 2, 0).value, 2);
    CHECK(text_is(get(whole, 3, 0), "r/1"));
    CHECK_EQ(count(whole, 2), 2);
    CHECK(text_is(get(get(get(whole, 2, 0), 1, 0), 1, 0), "first"));
    CHECK(text_is(get(get(get(whole, 2, 0), 1, 0), 2, 0), "1"));
    CHECK(text_is(get(get(whole, 2, 0), 3, 0), "s/1"));
    CHECK_EQ(count(get(whole, 2, 0), 2), 2);
    CHECK(text_is(get(get(get(whole, 2, 1), 1, 0), 1, 0), "second"));
    CHECK_EQ(count(get(whole, 2, 1), 2), 1);
    check_span(get(get(whole, 2, 0), 2, 0));
    bare = get(get(whole, 2, 0), 2, 1); /* in order, and with nothing that is not said */
    CHECK_EQ(get(bare, 2, 0).at[0], 5);
    CHECK(!get(bare, 4, 0).there && !get(bare, 15, 0).there && !get(bare, 9, 0).there);
    skua__otlp_free(&out);
}

/* ---- logs ------------------------------------------------------------------------------------ */

TEST(log_records_have_every_field)
{
    skua_otel_resource resource = the_resource();
    skua_attr attrs[16];
    size_t n = make_values(attrs);
    skua_otel_log logs[1] = {{.time = 1,
                              .observed = 2,
                              .trace_id = {1},
                              .span_id = {2},
                              .flags = 1,
                              .severity = 9,
                              .severity_text = text("INFO"),
                              .event_name = text("order.stored"),
                              .body = skua_attr_str("", "stored"),
                              .attrs = {attrs, (uint32_t)n, 3},
                              .scope = &scopes[0]}};
    skua_otel_batch batch = {
        .signal = SKUA_OTEL_LOGS, .count = 1, .resource = &resource, .items.logs = logs};
    struct skua__otlp out = {0};
    struct piece log = get(get(get(write_batch(&out, &batch), 1, 0), 2, 0), 2, 0);

    CHECK(get(log, 1, 0).wire == 1 && get(log, 1, 0).value == 1);
    CHECK_EQ(get(log, 2, 0).value, 9);
    CHECK(text_is(get(log, 3, 0), "INFO"));
    CHECK(text_is(get(get(log, 5, 0), 1, 0), "stored"));
    check_values(log, 6);
    CHECK_EQ(get(log, 7, 0).value, 3);
    CHECK(get(log, 8, 0).wire == 5 && get(log, 8, 0).value == 1);
    CHECK_EQ(get(log, 9, 0).len, 16);
    CHECK_EQ(get(log, 10, 0).len, 8);
    CHECK_EQ(get(log, 11, 0).value, 2);
    CHECK(text_is(get(log, 12, 0), "order.stored"));
    skua__otlp_free(&out);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void check_times(struct piece point)
{
    CHECK_EQ(get(point, 2, 0).value, 100);
    CHECK_EQ(get(point, 3, 0).value, 200);
}

static uint64_t fixed_at(struct piece packed, size_t index)
{
    uint64_t value;

    MUST(packed.there && packed.wire == 2 && packed.len >= (index + 1) * 8);
    memcpy(&value, packed.at + index * 8, 8);
    return value;
}

static void check_histogram(struct piece point)
{
    double bound;

    check_times(point);
    CHECK_EQ(get(point, 4, 0).value, 6);
    CHECK(f64(get(point, 5, 0)) == 12.5);
    CHECK_EQ(get(point, 6, 0).len, 24);
    CHECK_EQ(fixed_at(get(point, 6, 0), 2), 3);
    CHECK_EQ(get(point, 7, 0).len, 16);
    memcpy(&bound, get(point, 7, 0).at + 8, 8);
    CHECK(bound == 20.0);
    CHECK(f64(get(point, 11, 0)) == 0.0); /* said, though it is zero */
    CHECK(f64(get(point, 12, 0)) == 9.0);
    CHECK_EQ(count(point, 9), 1);
    CHECK_EQ(count(point, 8), 1);
    CHECK(f64(get(get(point, 8, 0), 3, 0)) == 1.5);
    CHECK_EQ(get(get(point, 8, 0), 2, 0).value, 150);
    CHECK_EQ(get(get(point, 8, 0), 4, 0).len, 8);
    CHECK_EQ(get(get(point, 8, 0), 5, 0).len, 16);
}

static void check_exponential(struct piece point)
{
    struct piece buckets = get(point, 8, 0), packed;
    uint64_t value;

    check_times(point);
    CHECK_EQ(get(point, 6, 0).value, 5); /* zigzag of -3 */
    CHECK_EQ(get(point, 7, 0).value, 2);
    CHECK_EQ(get(buckets, 1, 0).value, 7); /* of -4 */
    packed = get(buckets, 2, 0);
    CHECK(varint(&packed, &value) && value == 1);
    CHECK(varint(&packed, &value) && value == 300);
    CHECK_EQ(packed.len, 0);
    CHECK(!get(point, 9, 0).there);
    CHECK(f64(get(point, 14, 0)) == 0.25);
    CHECK_EQ(count(point, 1), 1);
}

static void check_metrics(struct piece all)
{
    struct piece gauge, sum;

    CHECK_EQ(count(all, 2), 4);
    gauge = get(get(all, 2, 0), 5, 0);
    CHECK_EQ(count(gauge, 1), 2);
    check_times(get(gauge, 1, 0));
    CHECK_EQ((int64_t)get(get(gauge, 1, 0), 6, 0).value, -7);
    CHECK(f64(get(get(gauge, 1, 1), 4, 0)) == 0.5);
    CHECK_EQ(get(value_of(get(gauge, 1, 1), 7, "k"), 3, 0).value, 1);
    CHECK(text_is(get(get(all, 2, 1), 2, 0), "d") && text_is(get(get(all, 2, 1), 3, 0), "By"));
    sum = get(get(all, 2, 1), 7, 0);
    CHECK(get(get(sum, 1, 0), 6, 0).there); /* zero is said */
    CHECK_EQ(get(sum, 2, 0).value, 2);
    CHECK_EQ(get(sum, 3, 0).value, 1);
    CHECK_EQ(get(get(get(all, 2, 2), 9, 0), 2, 0).value, 1);
    check_histogram(get(get(get(all, 2, 2), 9, 0), 1, 0));
    check_exponential(get(get(get(all, 2, 3), 10, 0), 1, 0));
}

TEST(metrics_of_every_kind_have_every_field)
{
    static const double bounds[] = {10, 20};
    static const uint64_t counts[] = {1, 2, 3}, positive[] = {1, 300};
    skua_attr attr = SKUA_I64("k", 1);
    skua_otel_exemplar exemplar = {
        .time = 150, .trace_id = {1}, .span_id = {2}, .is_f64 = 1, .value.f64 = 1.5};
    skua_otel_point points[5] = {
        {.start = 100, .time = 200, .value.i64 = -7},
        {.start = 100, .time = 200, .is_f64 = 1, .value.f64 = 0.5, .attrs = {&attr, 1, 0}},
        {.start = 100,
         .time = 200,
         .count = 6,
         .has_sum = 1,
         .sum = 12.5,
         .has_min = 1,
         .has_max = 1,
         .max = 9,
         .bounds = bounds,
         .bounds_count = 2,
         .counts = counts,
         .attrs = {&attr, 1, 0},
         .exemplars = &exemplar,
         .exemplars_count = 1},
        {.start = 100,
         .time = 200,
         .count = 6,
         .scale = -3,
         .zero_count = 2,
         .zero_threshold = 0.25,
         .positive = {-4, 2, positive},
         .attrs = {&attr, 1, 0}},
        {.start = 100, .time = 200, .value.i64 = 0}};
    skua_otel_metric metrics[4] = {
        {.name = text("g"), .type = SKUA_OTEL_GAUGE, .points = &points[0], .points_count = 2},
        {.name = text("s"),
         .unit = text("By"),
         .description = text("d"),
         .type = SKUA_OTEL_SUM,
         .temporality = 2,
         .monotonic = 1,
         .points = &points[4],
         .points_count = 1},
        {.name = text("h"),
         .type = SKUA_OTEL_HISTOGRAM,
         .temporality = 1,
         .points = &points[2],
         .points_count = 1},
        {.name = text("e"),
         .type = SKUA_OTEL_EXPONENTIAL,
         .temporality = 1,
         .points = &points[3],
         .points_count = 1}};
    skua_otel_batch batch = {.signal = SKUA_OTEL_METRICS, .count = 4, .items.metrics = metrics};
    struct skua__otlp out = {0};

    check_metrics(get(get(write_batch(&out, &batch), 1, 0), 2, 0));
    CHECK_EQ(skua_otel_batch_size(&batch), 5);
    skua__otlp_free(&out);
}

/* ---- limits, faults -------------------------------------------------------------------------- */

/* Messages in each other as deep as those parsers go that stop at 100. */
static unsigned depth_of(struct piece value)
{
    struct piece map = get(value, 6, 0);

    return map.there ? 3 + depth_of(get(get(map, 1, 0), 2, 0)) : 1;
}

TEST(attributes_are_not_deeper_than_parsers_go)
{
    static skua_attr nested[200];
    skua_otel_span span = {.trace_id = {1}, .span_id = {1}};
    skua_otel_batch batch = {.signal = SKUA_OTEL_TRACES, .count = 1, .items.spans = &span};
    struct skua__otlp out = {0};
    struct piece got;

    for (size_t i = 0; i + 1 < TEST_LEN(nested); i++)
        nested[i] = skua_attr_many("m", SKUA_ATTR_MAP, &nested[i + 1], 1);
    nested[TEST_LEN(nested) - 1] = SKUA_I64("end", 1);
    span.attrs = (skua_otel_attrs){nested, 1, 0};
    got = get(get(get(write_batch(&out, &batch), 1, 0), 2, 0), 2, 0);
    CHECK_RANGE(depth_of(value_of(got, 9, "m")), 80, 94); /* 5 are around it */
    skua__otlp_free(&out);
}

TEST(a_request_beyond_its_limit_is_an_error)
{
    static char large[5000];
    skua_attr attr = skua_attr_text("k", large, sizeof large);
    skua_otel_span span = {.trace_id = {1}, .span_id = {1}, .attrs = {&attr, 1, 0}};
    skua_otel_batch batch = {.signal = SKUA_OTEL_TRACES, .count = 1, .items.spans = &span};
    struct skua__otlp out = {0};
    size_t size;

    memset(large, 'a', sizeof large);
    size = write_batch(&out, &batch).len;
    skua__otlp_begin(&out, size - 1);
    CHECK_EQ(skua__otlp_request(&out, &batch), -EMSGSIZE);
    skua__otlp_begin(&out, size);
    CHECK_EQ(skua__otlp_request(&out, &batch), 0);
    skua__otlp_free(&out);
}

#ifdef SKUA_FAULTS
TEST(no_memory_is_an_error_at_every_point)
{
    static char large[100000];
    skua_attr attr = skua_attr_text("k", large, sizeof large);
    skua_otel_span span = {.trace_id = {1}, .span_id = {1}, .attrs = {&attr, 1, 0}};
    skua_otel_batch batch = {.signal = SKUA_OTEL_TRACES, .count = 1, .items.spans = &span};
    struct skua__otlp out = {0};
    unsigned failed = 0;

    memset(large, 'a', sizeof large);
    for (unsigned nth = 1; nth < 20; nth++) {
        int rc;

        skua__otlp_begin(&out, (size_t)64 << 20);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua__otlp_request(&out, &batch);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        failed += rc != 0;
        skua__otlp_free(&out);
    }
    CHECK(failed > 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_have_every_field),
        cmocka_unit_test(log_records_have_every_field),
        cmocka_unit_test(metrics_of_every_kind_have_every_field),
        cmocka_unit_test(attributes_are_not_deeper_than_parsers_go),
        cmocka_unit_test(a_request_beyond_its_limit_is_an_error),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory_is_an_error_at_every_point),
#endif
    };

    return TEST_MAIN(tests);
}
