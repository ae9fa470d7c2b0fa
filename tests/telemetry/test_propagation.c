/* test_propagation.c - propagators: what of a message they take, and what they write.
 *
 * Specifies propagation.h by tables. Those of traceparent and tracestate are the cases of the W3C's
 * own test suite (trace-context, test/test.py, strict level 2); B3's and Jaeger's come from their
 * descriptions.
 */
#include <skua/propagation.h>

#include "../lib/harness.h"

#define TRACE "12345678901234567890123456789012"
#define SPAN "1234567890123456"
#define PARENT "00-" TRACE "-" SPAN "-"

/* A message: name, value, name, value… up to a NULL. */
struct message {
    skua_fields_carrier fields;
    skua_carrier_field slots[16];
    char text[16384];
};

static void message_init(struct message *self, const char *const *pairs)
{
    skua_fields_carrier_init(&self->fields, self->slots, TEST_LEN(self->slots), self->text,
                             sizeof self->text);
    for (; pairs != NULL && *pairs != NULL; pairs += 2)
        self->slots[self->fields.count++] =
            (skua_carrier_field){pairs[0], pairs[1], strlen(pairs[1])};
}

static const char *message_get(struct message *self, const char *name)
{
    size_t len;

    return self->fields.carrier.get(&self->fields.carrier, name, 0, &len);
}

static skua_propagated extracted(const char *which, const char *const *pairs)
{
    const skua_propagator *propagator = skua_propagator_named(which);
    static skua_propagated to; /* its trace state points into it */
    struct message message;

    MUST(propagator != NULL);
    to = (skua_propagated){.own = 0};
    message_init(&message, pairs);
    CHECK_EQ(propagator->extract(propagator, &message.fields.carrier, &to), 0);
    return to;
}

static void hex(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---- W3C ------------------------------------------------------------------------------------- */

static const struct {
    const char *value, *again;
    int flags; /* -1: it is none */
} parents[] = {
    {PARENT "00", NULL, 0},
    {PARENT "01", NULL, 1},
    {PARENT "02", NULL, 2},
    {PARENT "03", NULL, 3},
    {PARENT "ff", NULL, 3},
    {PARENT "01", PARENT "01", -1},
    {PARENT "01.", NULL, -1},
    {PARENT "01-what-the-future-will-be-like", NULL, -1},
    {"cc-" TRACE "-" SPAN "-01", NULL, 1},
    {"cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like", NULL, 1},
    {"cc-" TRACE "-" SPAN "-01.what-the-future-will-be-like", NULL, -1},
    {"cc-" TRACE "-" SPAN "-01-", NULL, 1},
    {"ff-" TRACE "-" SPAN "-01", NULL, -1},
    {".0-" TRACE "-" SPAN "-01", NULL, -1},
    {"0.-" TRACE "-" SPAN "-01", NULL, -1},
    {"000-" TRACE "-" SPAN "-01", NULL, -1},
    {"0000-" TRACE "-" SPAN "-01", NULL, -1},
    {"0-" TRACE "-" SPAN "-01", NULL, -1},
    {"00-00000000000000000000000000000000-" SPAN "-01", NULL, -1},
    {"00-.2345678901234567890123456789012-" SPAN "-01", NULL, -1},
    {"00-1234567890123456789012345678901.-" SPAN "-01", NULL, -1},
    {"00-A2345678901234567890123456789012-" SPAN "-01", NULL, -1},
    {"00-123456789012345678901234567890123-" SPAN "-01", NULL, -1},
    {"00-1234567890123456789012345678901-" SPAN "-01", NULL, -1},
    {"00-" TRACE "-0000000000000000-01", NULL, -1},
    {"00-" TRACE "-.234567890123456-01", NULL, -1},
    {"00-" TRACE "-123456789012345.-01", NULL, -1},
    {"00-" TRACE "-123456789012345F-01", NULL, -1},
    {"00-" TRACE "-12345678901234567-01", NULL, -1},
    {"00-" TRACE "-123456789012345-01", NULL, -1},
    {PARENT ".0", NULL, -1},
    {PARENT "0.", NULL, -1},
    {PARENT "0A", NULL, -1},
    {PARENT "001", NULL, -1},
    {PARENT "1", NULL, -1},
    {" " PARENT "01", NULL, 1},
    {"\t" PARENT "01", NULL, 1},
    {PARENT "01 ", NULL, 1},
    {"\t " PARENT "01 \t", NULL, 1},
    {"", NULL, -1},
    {"00", NULL, -1},
    {PARENT "01," PARENT "01", NULL, -1},
};

TEST(tracecontext_parents_are_taken_or_not)
{
    for (size_t i = 0; i < TEST_LEN(parents); i++) {
        skua_propagated to = extracted(
            "tracecontext", (const char *[]){"TraceParent", parents[i].value,
                                             parents[i].again != NULL ? "TRACEPARENT" : NULL,
                                             parents[i].again, NULL});
        char text[33];

        test_variant(parents[i].value);
        CHECK_EQ(skua_span_context_valid(&to.span), parents[i].flags >= 0);
        if (parents[i].flags < 0)
            continue;
        CHECK_EQ(to.span.flags, parents[i].flags);
        CHECK_EQ(to.span.remote, 1);
        hex(to.span.trace_id, 16, text);
        CHECK(same(text, TRACE));
        hex(to.span.span_id, 8, text);
        CHECK(same(text, SPAN));
    }
}

#define ALL_KEY "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
#define ALL_VALUE                                                                                  \
    " !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{" \
    "|}~"
#define TEN(n)                                                                                     \
    "k" n "0=1,k" n "1=1,k" n "2=1,k" n "3=1,k" n "4=1,k" n "5=1,k" n "6=1,k" n "7=1,k" n          \
    "8=1,k" n "9=1"

static const struct {
    const char *values[4];
    const char *state; /* NULL: none */
} states[] = {
    {{"foo=1,bar=2"}, "foo=1,bar=2"},
    {{""}, NULL},
    {{"foo=1", ""}, "foo=1"},
    {{"", "foo=1"}, "foo=1"},
    {{"foo=1,bar=2", "rojo=1,congo=2", "baz=3"}, "foo=1,bar=2,rojo=1,congo=2,baz=3"},
    {{"foo=1,foo=1"}, "foo=1"},
    {{"foo=1,foo=2"}, "foo=1"},
    {{"foo=1", "foo=2"}, "foo=1"},
    {{ALL_KEY "=" ALL_VALUE}, ALL_KEY "=" ALL_VALUE},
    {{ALL_KEY "@a-z0-9_-*/=" ALL_VALUE}, ALL_KEY "@a-z0-9_-*/=" ALL_VALUE},
    {{"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"},
    {{"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, "foo=1,bar=2,baz=3"},
    {{" foo=1"}, "foo=1"},
    {{"\t foo=1 \t"}, "foo=1"},
    {{"foo= 1"}, "foo= 1"},
    {{"foo=1,,bar=2,"}, "foo=1,bar=2"},
    {{"foo =1"}, NULL},
    {{"FOO=1"}, NULL},
    {{"foo.bar=1"}, NULL},
    {{"foo@=1,bar=2"}, "foo@=1,bar=2"},
    {{"@foo=1,bar=2"}, NULL},
    {{"foo@@bar=1,bar=2"}, "foo@@bar=1,bar=2"},
    {{"foo@bar@baz=1,bar=2"}, "foo@bar@baz=1,bar=2"},
    {{"foo=bar=baz"}, NULL},
    {{"foo=,bar=3"}, NULL},
    {{"foo"}, NULL},
    {{"=1"}, NULL},
    {{"foo=\x01"}, NULL},
    {{TEN("0"), TEN("1"), TEN("2"), "y=1,z=1"}, TEN("0") "," TEN("1") "," TEN("2") ",y=1,z=1"},
    {{TEN("0"), TEN("1"), TEN("2"), "x=1,y=1,z=1"}, NULL},
};

TEST(tracecontext_states_are_combined)
{
    for (size_t i = 0; i < TEST_LEN(states); i++) {
        const char *pairs[12] = {"traceparent", PARENT "01"};
        skua_propagated to;

        for (size_t j = 0; j < 4 && states[i].values[j] != NULL; j++) {
            pairs[2 + 2 * j] = "tracestate";
            pairs[3 + 2 * j] = states[i].values[j];
        }
        to = extracted("tracecontext", pairs);
        test_variant(states[i].values[0]);
        CHECK(skua_span_context_valid(&to.span));
        CHECK(same(to.span.trace_state, states[i].state));
    }
}

TEST(tracecontext_states_without_a_parent_are_none)
{
    skua_propagated to = extracted("tracecontext", (const char *[]){"tracestate", "foo=1", NULL});

    CHECK(!skua_span_context_valid(&to.span));
    CHECK(to.span.trace_state == NULL);
}

/* Members of `len` bytes: "a=xxx…". */
static char *state_of(char *out, const size_t *lens, size_t count)
{
    char *at = out;

    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s%c=", i != 0 ? "," : "", (char)('a' + i));
        memset(at, 'x', lens[i] - 2);
        at += lens[i] - 2;
    }
    *at = '\0';
    return out;
}

TEST(tracecontext_states_are_cut_by_members)
{
    static const struct {
        size_t lens[6], count, kept[6], kept_count;
    } cases[] = {
        {{128, 128, 128, 125}, 4, {128, 128, 128, 125}, 4}, /* 512 with the commas */
        {{128, 128, 128, 126}, 4, {128, 128, 128}, 3},
        {{258}, 1, {258}, 1},
        {{258, 253}, 2, {258, 253}, 2},
        {{258, 254}, 2, {258}, 1}, /* long ones, from the end */
        {{100, 258, 100, 100}, 4, {100, 0, 100, 100}, 4},
        {{127, 127, 127, 127, 127}, 5, {127, 127, 127, 127}, 4},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        char text[2048], want[2048], *at = want;
        skua_propagated to;

        state_of(text, cases[i].lens, cases[i].count);
        to = extracted("tracecontext",
                       (const char *[]){"traceparent", PARENT "01", "tracestate", text, NULL});
        for (size_t j = 0; j < cases[i].kept_count; j++)
            if (cases[i].kept[j] != 0) {
                at += sprintf(at, "%s%c=", at != want ? "," : "", (char)('a' + j));
                memset(at, 'x', cases[i].kept[j] - 2);
                at += cases[i].kept[j] - 2;
            }
        *at = '\0';
        CHECK(same(to.span.trace_state, want));
    }
}

TEST(tracecontext_is_written)
{
    const skua_propagator *w3c = skua_propagator_named("tracecontext");
    skua_propagated from =
        extracted("tracecontext", (const char *[]){"traceparent", "cc-" TRACE "-" SPAN "-ff-x",
                                                   "tracestate", "a=1", NULL});
    struct message message;

    message_init(&message, NULL);
    CHECK_EQ(w3c->inject(w3c, &from, &message.fields.carrier), 0);
    CHECK(same(message_get(&message, "traceparent"), PARENT "03"));
    CHECK(same(message_get(&message, "tracestate"), "a=1"));
    CHECK_EQ(w3c->inject(w3c, &from, &message.fields.carrier), 0); /* instead of the former */
    CHECK_EQ(message.fields.count, 2);
    from.span.trace_state = "";
    message_init(&message, NULL);
    CHECK_EQ(w3c->inject(w3c, &from, &message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 1);
    from = (skua_propagated){.own = 0};
    message_init(&message, NULL);
    CHECK_EQ(w3c->inject(w3c, &from, &message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 0);
    CHECK(same(w3c->field(w3c, 0), "traceparent"));
    CHECK(same(w3c->field(w3c, 1), "tracestate"));
    CHECK(w3c->field(w3c, 2) == NULL);
}

/* ---- B3 and Jaeger --------------------------------------------------------------------------- */

#define OLD "00000000000000007890123456789012"

static const struct {
    const char *which, *pairs[12];
    const char *trace; /* NULL: it is none */
    int sampled, debug;
} others[] = {
    {"b3", {"b3", TRACE "-" SPAN "-1"}, TRACE, 1, 0},
    {"b3", {"b3", TRACE "-" SPAN "-0"}, TRACE, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "-d"}, TRACE, 1, 1},
    {"b3", {"b3", TRACE "-" SPAN}, TRACE, 0, 0},
    {"b3", {"B3", TRACE "-" SPAN "-1-0000000000000001"}, TRACE, 1, 0},
    {"b3", {"b3", "7890123456789012-" SPAN "-1"}, OLD, 1, 0},
    {"b3", {"b3", "0"}, NULL, 0, 0},
    {"b3", {"b3", ""}, NULL, 0, 0},
    {"b3", {"b3", TRACE}, NULL, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "-"}, NULL, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "-2"}, NULL, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "-1-1"}, NULL, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "-1-0000000000000001-1"}, NULL, 0, 0},
    {"b3", {"b3", TRACE "-" SPAN "x1"}, NULL, 0, 0},
    {"b3", {"b3", "1" TRACE "-" SPAN "-1"}, NULL, 0, 0},
    {"b3", {"b3", "00000000000000000000000000000000-" SPAN "-1"}, NULL, 0, 0},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "1"}, TRACE, 1, 0},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "true"}, TRACE, 1, 0},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "0"}, TRACE, 0, 0},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Flags", "1"}, TRACE, 1, 1},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN}, TRACE, 0, 0},
    {"b3", {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "maybe"}, NULL, 0, 0},
    {"b3", {"X-B3-SpanId", SPAN, "X-B3-Sampled", "1"}, NULL, 0, 0},
    {"b3multi", {"b3", TRACE "-" SPAN "-1", "X-B3-TraceId", OLD, "X-B3-SpanId", SPAN}, TRACE, 1, 0},
    {"b3multi", {"b3", "broken", "X-B3-TraceId", OLD, "X-B3-SpanId", SPAN}, OLD, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:1"}, TRACE, 1, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:0"}, TRACE, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:3"}, TRACE, 1, 1},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN "::01"}, TRACE, 1, 0},
    {"jaeger", {"uber-trace-id", TRACE "%3A" SPAN "%3a0%3A1"}, TRACE, 1, 0},
    {"jaeger", {"Uber-Trace-Id", "7890123456789012:" SPAN ":0:1"}, OLD, 1, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:1:1"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":" SPAN ":0:100"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE "0:" SPAN ":0:1"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", "0:" SPAN ":0:1"}, NULL, 0, 0},
    {"jaeger", {"uber-trace-id", TRACE ":0:0:1"}, NULL, 0, 0},
};

TEST(b3_and_jaeger_are_read)
{
    for (size_t i = 0; i < TEST_LEN(others); i++) {
        skua_propagated to = extracted(others[i].which, others[i].pairs);
        char text[33];

        test_variant(others[i].pairs[1]);
        CHECK_EQ(skua_span_context_valid(&to.span), others[i].trace != NULL);
        CHECK_EQ(to.debug, others[i].debug);
        if (others[i].trace == NULL)
            continue;
        hex(to.span.trace_id, 16, text);
        CHECK(same(text, others[i].trace));
        CHECK_EQ(to.span.flags, others[i].sampled);
        CHECK_EQ(to.span.remote, 1);
    }
}

static const struct {
    const char *which, *flags;
    uint8_t debug;
    const char *pairs[10];
} written[] = {
    {"b3", "01", 0, {"b3", TRACE "-" SPAN "-1"}},
    {"b3", "02", 0, {"b3", TRACE "-" SPAN "-0"}},
    {"b3", "01", 1, {"b3", TRACE "-" SPAN "-d"}},
    {"b3multi", "01", 0, {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "1"}},
    {"b3multi", "00", 0, {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "0"}},
    {"b3multi", "01", 1, {"X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Flags", "1"}},
    {"jaeger", "01", 0, {"uber-trace-id", TRACE ":" SPAN ":0:1"}},
    {"jaeger", "00", 0, {"uber-trace-id", TRACE ":" SPAN ":0:0"}},
    {"jaeger", "01", 1, {"uber-trace-id", TRACE ":" SPAN ":0:3"}},
};

TEST(b3_and_jaeger_are_written)
{
    for (size_t i = 0; i < TEST_LEN(written); i++) {
        const skua_propagator *propagator = skua_propagator_named(written[i].which);
        char parent[64] = PARENT;
        skua_propagated from;
        struct message message;
        size_t count = 0;

        strcat(parent, written[i].flags);
        from = extracted("tracecontext", (const char *[]){"traceparent", parent, NULL});
        from.debug = written[i].debug;
        message_init(&message, NULL);
        CHECK_EQ(propagator->inject(propagator, &from, &message.fields.carrier), 0);
        for (; written[i].pairs[2 * count] != NULL; count++)
            CHECK(same(message_get(&message, written[i].pairs[2 * count]),
                       written[i].pairs[2 * count + 1]));
        CHECK_EQ(message.fields.count, count);
        for (size_t j = 0; j < count; j++) { /* and they are among its fields */
            const char *name;
            bool found = false;

            for (size_t k = 0; (name = propagator->field(propagator, k)) != NULL; k++)
                found = found || same(name, written[i].pairs[2 * j]);
            CHECK(found);
        }
    }
}

TEST(jaeger_carries_baggage)
{
    const skua_propagator *jaeger = skua_propagator_named("jaeger");
    struct message message;
    skua_propagated to = extracted("jaeger", (const char *[]){"uberctx-user", "a%20b", "Uberctx-n",
                                                              "7", "uberctx-", "x", NULL});

    CHECK(same(skua_propagated_baggage(&to, "user"), "a b"));
    CHECK(same(skua_propagated_baggage(&to, "n"), "7"));
    message_init(&message, NULL);
    CHECK_EQ(jaeger->inject(jaeger, &to, &message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 2);
    CHECK(same(message_get(&message, "uberctx-user"), "a%20b"));
    skua_propagated_free(&to);
}

/* A stranger's bytes become text, as with W3C's; a name that is no token is passed over. */
TEST(jaeger_baggage_is_utf8)
{
    const skua_propagator *jaeger = skua_propagator_named("jaeger");
    struct message message;
    skua_propagated to =
        extracted("jaeger", (const char *[]){"uberctx-half", "a%c3", "uberctx-raw", "\xff",
                                             "uberctx-nul", "a%00b", "uberctx-n\xc3", "x", NULL});

    CHECK(same(skua_propagated_baggage(&to, "half"), "a\xef\xbf\xbd"));
    CHECK(same(skua_propagated_baggage(&to, "raw"), "\xef\xbf\xbd"));
    CHECK(same(skua_propagated_baggage(&to, "nul"), "a\xef\xbf\xbd"
                                                    "b"));
    CHECK(skua_propagated_baggage(&to, "n\xc3") == NULL);
    message_init(&message, NULL);
    CHECK_EQ(jaeger->inject(jaeger, &to, &message.fields.carrier), 0);
    CHECK(same(message_get(&message, "uberctx-half"), "a%EF%BF%BD"));
    skua_propagated_free(&to);
}

/* ---- which ----------------------------------------------------------------------------------- */

TEST(propagators_are_chosen_by_a_list)
{
    static const struct {
        const char *list;
        int unknown;
        const char *fields; /* joined by spaces */
    } cases[] = {
        {"tracecontext,baggage", 0, "traceparent tracestate baggage "},
        {"baggage, tracecontext", 0, "baggage traceparent tracestate "},
        {"b3,b3", 0, "b3 "},
        {"b3multi,jaeger,b3", 0,
         "X-B3-TraceId X-B3-SpanId X-B3-Sampled X-B3-Flags uber-trace-id b3 "},
        {"xray,tracecontext,ottrace", 2, "traceparent tracestate "},
        {"TraceContext", 1, ""},
        {"none", 0, ""},
        {"b3,none", 0, ""},
        {"", 0, ""},
        {",,", 0, ""},
    };

    CHECK(same(skua_propagation()->name, "none")); /* nothing, until the program says so */
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        const skua_propagator *propagator;
        char fields[256] = "";
        const char *name;

        test_variant(cases[i].list);
        CHECK_EQ(skua_propagation_use(cases[i].list), cases[i].unknown);
        propagator = skua_propagation();
        for (size_t j = 0; (name = propagator->field(propagator, j)) != NULL; j++)
            strcat(strcat(fields, name), " ");
        CHECK(same(fields, cases[i].fields));
    }
    skua_propagation_set(NULL);
    CHECK(skua_propagator_named("xray") == NULL);
}

TEST(composites_go_in_order_and_fields_are_told_once)
{
    const skua_propagator *parts[] = {skua_propagator_named("b3"),
                                      skua_propagator_named("tracecontext"),
                                      skua_propagator_named("b3")};
    skua_composite_propagator composite;
    skua_propagated to = {.own = 0};
    struct message message;
    char text[33];

    skua_composite_propagator_init(&composite, parts, 3);
    message_init(&message,
                 (const char *[]){"b3", OLD "-" SPAN "-1", "traceparent", PARENT "01", NULL});
    CHECK_EQ(composite.propagator.extract(&composite.propagator, &message.fields.carrier, &to), 0);
    hex(to.span.trace_id, 16, text);
    CHECK(same(text, OLD)); /* the last one */
    message_init(&message, NULL);
    CHECK_EQ(composite.propagator.inject(&composite.propagator, &to, &message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 2);
    CHECK(same(composite.propagator.field(&composite.propagator, 0), "b3"));
    CHECK(same(composite.propagator.field(&composite.propagator, 2), "tracestate"));
    CHECK(composite.propagator.field(&composite.propagator, 3) == NULL);
}

/* ---- carriers -------------------------------------------------------------------------------- */

TEST(fields_that_do_not_fit_are_refused)
{
    skua_carrier_field slots[1];
    skua_fields_carrier fields;
    char text[8];

    skua_fields_carrier_init(&fields, slots, 1, text, sizeof text);
    CHECK_EQ(fields.carrier.set(&fields.carrier, "abc", "defg", 4), SKUA_ELIMIT);
    CHECK_EQ(fields.carrier.set(&fields.carrier, "a", "b", 1), 0);
    CHECK_EQ(fields.carrier.set(&fields.carrier, "c", "d", 1), SKUA_ELIMIT);
    CHECK_EQ(fields.carrier.set(&fields.carrier, "A", "e", 1), 0);
    CHECK_EQ(fields.count, 1);
    CHECK(same(fields.carrier.key(&fields.carrier, 0), "A"));
    CHECK(fields.carrier.key(&fields.carrier, 1) == NULL);
}

TEST(environment_carries_by_normalised_names)
{
    const char *env[] = {
        "traceparent=lower", "X_B3_TRACEID=yes", "_1A=digit", "X=", "_=under", NULL};
    const char *vars[3];
    skua_env_carrier self;
    char text[64];
    size_t len;

    skua_env_carrier_init(&self, env, vars, 3, text, sizeof text);
    CHECK(self.carrier.get(&self.carrier, "traceparent", 0, &len) == NULL);
    CHECK(same(self.carrier.get(&self.carrier, "x-b3-traceid", 0, &len), "yes"));
    CHECK_EQ(len, 3);
    CHECK(self.carrier.get(&self.carrier, "x-b3-traceid", 1, &len) == NULL);
    CHECK(same(self.carrier.get(&self.carrier, "1a", 0, &len), "digit"));
    CHECK(same(self.carrier.get(&self.carrier, "x", 0, &len), ""));
    CHECK(same(self.carrier.get(&self.carrier, "", 0, &len), "under"));
    CHECK(vars[0] == NULL);
    CHECK_EQ(self.carrier.set(&self.carrier, "x-b3-sampled", "0", 1), 0);
    CHECK_EQ(self.carrier.set(&self.carrier, "X-B3-Sampled", "1", 1), 0);
    CHECK_EQ(self.carrier.set(&self.carrier, "1", "2", 1), 0);
    CHECK(same(vars[0], "X_B3_SAMPLED=1"));
    CHECK(same(vars[1], "_1=2"));
    CHECK(vars[2] == NULL);
    CHECK_EQ(self.carrier.set(&self.carrier, "y", "z", 1), SKUA_ELIMIT);
    skua_env_carrier_init(&self, env, NULL, 0, NULL, 0);
    CHECK_EQ(self.carrier.set(&self.carrier, "y", "z", 1), SKUA_ELIMIT);
    setenv("TRACEPARENT", PARENT "01", 1);
    skua_env_carrier_init(&self, NULL, NULL, 0, NULL, 0);
    CHECK(same(self.carrier.get(&self.carrier, "traceparent", 0, &len), PARENT "01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(propagators_are_chosen_by_a_list),
        cmocka_unit_test(tracecontext_parents_are_taken_or_not),
        cmocka_unit_test(tracecontext_states_are_combined),
        cmocka_unit_test(tracecontext_states_without_a_parent_are_none),
        cmocka_unit_test(tracecontext_states_are_cut_by_members),
        cmocka_unit_test(tracecontext_is_written),
        cmocka_unit_test(b3_and_jaeger_are_read),
        cmocka_unit_test(b3_and_jaeger_are_written),
        cmocka_unit_test(jaeger_carries_baggage),
        cmocka_unit_test(jaeger_baggage_is_utf8),
        cmocka_unit_test(composites_go_in_order_and_fields_are_told_once),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(environment_carries_by_normalised_names),
    };

    return TEST_MAIN(tests);
}
