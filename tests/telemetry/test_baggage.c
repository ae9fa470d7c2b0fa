/* test_baggage.c - baggage in the context of tasks and threads, and on its way.
 *
 * Specifies propagation.h: baggage is inherited, and its changes end in reverse; the field
 * `baggage` is read and written as W3C Baggage says; hostile messages are bounded, and never fail.
 */
#include <pthread.h>

#include <skua/propagation.h>

#include "../lib/event.h"

struct message {
    skua_fields_carrier fields;
    skua_carrier_field slots[16];
    char text[20000];
};

static void message_init(struct message *self)
{
    skua_fields_carrier_init(&self->fields, self->slots, TEST_LEN(self->slots), self->text,
                             sizeof self->text);
}

static void message_add(struct message *self, const char *name, const char *value, size_t len)
{
    self->slots[self->fields.count++] = (skua_carrier_field){name, value, len};
}

static const char *message_get(struct message *self, const char *name)
{
    size_t len;

    return self->fields.carrier.get(&self->fields.carrier, name, 0, &len);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int list(const skua_baggage_entry *entry, void *arg)
{
    strcat(strcat(strcat(arg, entry->name), "="), entry->value);
    if (entry->properties != NULL)
        strcat(strcat(arg, ";"), entry->properties);
    strcat(arg, " ");
    return 0;
}

static bool listed(const char *want)
{
    char text[1024] = "";

    CHECK_EQ(skua_baggage_each(list, text), 0);
    if (strcmp(text, want) != 0)
        test_note("%s", text);
    return strcmp(text, want) == 0;
}

/* ---- in context ------------------------------------------------------------------------------ */

static void frames(void)
{
    skua_baggage_frame a, b, c, d;

    CHECK(skua_baggage_get("user") == NULL);
    CHECK_EQ(skua_baggage_set(&a, "user", "ada", NULL), 0);
    CHECK_EQ(skua_baggage_set(&b, "tier", NULL, "ttl=3"), 0);
    CHECK(same(skua_baggage_get("user"), "ada"));
    CHECK(listed("user=ada tier=;ttl=3 "));
    CHECK_EQ(skua_baggage_set(&c, "user", "bob", NULL), 0);
    CHECK(listed("tier=;ttl=3 user=bob "));
    CHECK_EQ(skua_baggage_remove(&d, "tier"), 0);
    CHECK(listed("user=bob "));
    CHECK_EQ(skua_baggage_end(&c), SKUA_EUSAGE); /* not the last one */
    CHECK_EQ(skua_baggage_end(&d), 0);
    CHECK_EQ(skua_baggage_end(&c), 0);
    CHECK_EQ(skua_baggage_clear(&c), 0);
    CHECK(listed(""));
    CHECK_EQ(skua_baggage_end(&c), 0);
    CHECK_EQ(skua_baggage_set(&c, "", "x", NULL), -EINVAL);
    CHECK_EQ(skua_baggage_end(&c), 0); /* nothing was begun */
    CHECK_EQ(skua_baggage_end(&b), 0);
    CHECK_EQ(skua_baggage_end(&a), 0);
    CHECK(listed(""));
}

static void *frames_of_a_thread(void *arg)
{
    frames();
    return arg;
}

static int child(void *arg)
{
    CHECK(same(skua_baggage_get("user"), "ada"));
    (void)skua_yield();
    CHECK(same(skua_baggage_get("user"), "ada"));
    (void)arg;
    return 0;
}

TEST_FIBER(baggage_is_inherited)
{
    skua_baggage_frame frame;
    skua_scope scope;

    frames();
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_baggage_set(&frame, "user", "ada", NULL), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_spawn(&scope, child, NULL, NULL), 0);
    CHECK_EQ(skua_baggage_end(&frame), 0); /* its tasks keep it */
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK(skua_baggage_get("user") == NULL);
    return 0;
}

TEST(baggage_on_a_plain_thread)
{
    pthread_t thread;

    frames();
    MUST(pthread_create(&thread, NULL, frames_of_a_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

TEST(baggage_is_bounded)
{
    static char big[SKUA_BAGGAGE_BYTES + 1];
    skua_baggage_frame frames[SKUA_BAGGAGE_MAX], one;

    memset(big, 'x', SKUA_BAGGAGE_BYTES);
    CHECK_EQ(skua_baggage_set(&one, "a", big, NULL), SKUA_ELIMIT);
    CHECK_EQ(skua_baggage_set(&one, "a", big + 1, NULL), 0);
    CHECK_EQ(skua_baggage_end(&one), 0);
    for (int i = 0; i < SKUA_BAGGAGE_MAX; i++) {
        char name[8];

        snprintf(name, sizeof name, "n%d", i);
        CHECK_EQ(skua_baggage_set(&frames[i], name, "v", NULL), 0);
    }
    CHECK_EQ(skua_baggage_set(&one, "more", "v", NULL), SKUA_ELIMIT);
    CHECK_EQ(skua_baggage_set(&one, "n0", "w", NULL), 0); /* instead of another */
    CHECK_EQ(skua_baggage_end(&one), 0);
    for (int i = SKUA_BAGGAGE_MAX; i-- > 0;)
        CHECK_EQ(skua_baggage_end(&frames[i]), 0);
}

/* ---- on its way ------------------------------------------------------------------------------ */

static const struct {
    const char *fields[2], *want;
} read_cases[] = {
    {{"userId=alice"}, "userId=alice "},
    {{"key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"},
     "key1=value1;property1;property2 key2=value2 key3=value3;propertyKey=propertyValue "},
    {{"userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false"},
     "userId=Am\xc3\xa9lie serverNode=DF 28 isProduction=false "},
    {{"userId =   alice", "serverNode = DF%2028, isProduction = false"},
     "userId=alice serverNode=DF 28 isProduction=false "},
    {{"a=b=c"}, "a=b=c "},
    {{"a="}, "a= "},
    {{"a=%"}, "a=% "},
    {{"a=%4"}, "a=%4 "},
    {{"a=%zz"}, "a=%zz "},
    {{"a=%ff%C3"}, "a=\xef\xbf\xbd\xef\xbf\xbd "},
    {{"a=%00"}, "a=\xef\xbf\xbd "},
    {{"a=%ed%a0%80"}, "a=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "},
    {{"a=1,a=2"}, "a=2 "},
    {{"", "a=1"}, "a=1 "},
    {{",,a=1,"}, "a=1 "},
    {{"a"}, ""},
    {{"=a"}, ""},
    {{"a b=c,d=e"}, "d=e "},
    {{"a=b c,d=e"}, "d=e "},
    {{"a=\"b\",d=e"}, "d=e "},
    {{"a=b;,d=e"}, "a=b d=e "},
    {{"a=b;p q,d=e"}, "d=e "},
    {{"a=b;p=\\,d=e"}, "d=e "},
    {{"a@=b,d=e"}, "d=e "},
};

TEST(baggage_is_read)
{
    for (size_t i = 0; i < TEST_LEN(read_cases); i++) {
        skua_propagation_frame frame;
        struct message message;

        (void)skua_propagation_use("tracecontext,baggage");
        test_variant(read_cases[i].fields[0]);
        message_init(&message);
        for (size_t j = 0; j < 2 && read_cases[i].fields[j] != NULL; j++)
            message_add(&message, "Baggage", read_cases[i].fields[j],
                        strlen(read_cases[i].fields[j]));
        CHECK_EQ(skua_propagation_begin(&frame, &message.fields.carrier), 0);
        CHECK(listed(read_cases[i].want));
        CHECK_EQ(skua_propagation_end(&frame), 0);
        CHECK(listed(""));
    }
}

TEST(baggage_is_written)
{
    skua_baggage_frame a, b, c, d;
    struct message message;

    (void)skua_propagation_use("baggage");
    message_init(&message);
    CHECK_EQ(skua_inject(&message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 0);
    CHECK_EQ(skua_baggage_set(&a, "user", "Am\xc3\xa9lie, 100%;\"\\", "ttl=3; x"), 0);
    CHECK_EQ(skua_baggage_set(&b, "no token", "x", NULL), 0);
    CHECK_EQ(skua_baggage_set(&c, "b", "", "bad property"), 0);
    CHECK_EQ(skua_inject(&message.fields.carrier), 0);
    CHECK(same(message_get(&message, "baggage"),
               "user=Am%C3%A9lie%2C%20100%25%3B%22%5C;ttl=3; x,b="));
    CHECK_EQ(skua_baggage_clear(&d), 0);
    message_init(&message);
    CHECK_EQ(skua_inject(&message.fields.carrier), 0);
    CHECK_EQ(message.fields.count, 0);
    CHECK_EQ(skua_baggage_end(&d), 0);
    CHECK_EQ(skua_baggage_end(&c), 0);
    CHECK_EQ(skua_baggage_end(&b), 0);
    CHECK_EQ(skua_baggage_end(&a), 0);
}

/* Members beyond the bounds are left behind whole. */
TEST(baggage_beyond_its_bounds_is_left_behind)
{
    static char many[4096], large[10000];
    struct message message;
    skua_propagated to;
    size_t len = 0;

    (void)skua_propagation_use("baggage");
    for (int i = 0; i < 70; i++)
        len += (size_t)sprintf(many + len, "%sk%d=v", i != 0 ? "," : "", i);
    message_init(&message);
    message_add(&message, "baggage", many, len);
    CHECK_EQ(skua_extract(&message.fields.carrier, &to), 0);
    CHECK(same(skua_propagated_baggage(&to, "k63"), "v"));
    CHECK(skua_propagated_baggage(&to, "k64") == NULL);
    skua_propagated_free(&to);

    memset(large, 'x', sizeof large);
    memcpy(large, "a=", 2);
    memcpy(large + 8188, ",b=x", 4); /* 8192 in all */
    message_init(&message);
    message_add(&message, "baggage", large, 8192);
    CHECK_EQ(skua_extract(&message.fields.carrier, &to), 0);
    CHECK(same(skua_propagated_baggage(&to, "b"), "x"));
    skua_propagated_free(&to);
    message_init(&message);
    message_add(&message, "baggage", large, 8193);
    CHECK_EQ(skua_extract(&message.fields.carrier, &to), 0);
    CHECK(skua_propagated_baggage(&to, "a") != NULL);
    CHECK(skua_propagated_baggage(&to, "b") == NULL);
    skua_propagated_free(&to);
}

#define PARENT "00-12345678901234567890123456789012-1234567890123456-01"

/* What comes in goes out again, without an SDK; B3's debug flag, too. */
TEST_FIBER(context_goes_through)
{
    struct message in, out;
    skua_propagation_frame frame;

    (void)skua_propagation_use("tracecontext,baggage,b3");
    message_init(&in);
    message_add(&in, "traceparent", PARENT, strlen(PARENT));
    message_add(&in, "tracestate", "a=b", 3);
    message_add(&in, "baggage", "k=v", 3);
    message_add(&in, "b3", "12345678901234567890123456789012-1234567890123456-d", 51);
    CHECK_EQ(skua_propagation_begin(&frame, &in.fields.carrier), 0);
    message_init(&out);
    CHECK_EQ(skua_inject(&out.fields.carrier), 0);
    CHECK(same(message_get(&out, "baggage"), "k=v"));
    CHECK(same(message_get(&out, "b3"), "12345678901234567890123456789012-1234567890123456-d"));
    CHECK_EQ(skua_propagation_end(&frame), 0);
    (void)skua_propagation_use("tracecontext,baggage");
    CHECK_EQ(skua_propagation_begin(&frame, &in.fields.carrier), 0);
    message_init(&out);
    CHECK_EQ(skua_inject(&out.fields.carrier), 0);
    CHECK(same(message_get(&out, "traceparent"), PARENT));
    CHECK(same(message_get(&out, "tracestate"), "a=b"));
    CHECK_EQ(skua_propagation_end(&frame), 0);
    message_init(&out);
    CHECK_EQ(skua_inject(&out.fields.carrier), 0);
    CHECK_EQ(out.fields.count, 0);
    return 0;
}

/* ---- hostile --------------------------------------------------------------------------------- */

/* Whatever comes in, what goes out of it is well-formed: reading it again gives the same. */
static void through(const char *data, size_t len)
{
    static const char *const names[] = {"traceparent",   "tracestate", "baggage",     "b3",
                                        "uber-trace-id", "uberctx-x",  "x-b3-traceid"};
    struct message in, out, again;
    skua_propagated first, second;

    message_init(&in);
    for (size_t i = 0, at = 0; i < TEST_LEN(names) && at < len; i++) {
        const char *end = memchr(data + at, '\n', len - at);
        size_t size = end != NULL ? (size_t)(end - data) - at : len - at;

        message_add(&in, names[i], data + at, size);
        at += size + 1;
    }
    MUST(skua_extract(&in.fields.carrier, &first) == 0);
    message_init(&out);
    MUST(skua_propagation()->inject(skua_propagation(), &first, &out.fields.carrier) == 0);
    MUST(skua_extract(&out.fields.carrier, &second) == 0);
    CHECK(memcmp(first.span.trace_id, second.span.trace_id, 16) == 0);
    CHECK(same(first.span.trace_state, second.span.trace_state) ||
          !skua_span_context_valid(&first.span));
    message_init(&again);
    MUST(skua_propagation()->inject(skua_propagation(), &second, &again.fields.carrier) == 0);
    CHECK_EQ(out.fields.count, again.fields.count);
    for (size_t i = 0; i < out.fields.count && i < again.fields.count; i++)
        CHECK(same(message_get(&out, out.slots[i].name), message_get(&again, out.slots[i].name)));
    skua_propagated_free(&first);
    skua_propagated_free(&second);
}

TEST(hostile_messages_do_no_harm)
{
    static const char seed_text[] =
        PARENT "\nfoo=1,bar@b=2, baz=3\na=b;p=1;q, c = %C3%A9\n"
               "12345678901234567890123456789012-1234567890123456-1-0000000000000001\n"
               "1234:5678:0:3\nx%20y\n12345678901234567890123456789012";
    static const char *const words[] = {",",  ";",   "=",  "%",   "-", ":",
                                        "\n", "%ff", "\0", " \t", "ff"};
    uint64_t seed = test_seed();

    (void)skua_propagation_use("tracecontext,baggage");
    for (int i = 0; i < TEST_COUNT(20000); i++) {
        char data[1024];
        size_t len = sizeof seed_text - 1;

        if (i == TEST_COUNT(20000) / 2)
            (void)skua_propagation_use("jaeger,b3");
        memcpy(data, seed_text, len);
        for (uint64_t n = test_random(&seed) % 6; n > 0; n--) {
            size_t at = test_random(&seed) % len, word_len;
            const char *word = words[test_random(&seed) % TEST_LEN(words)];

            word_len = *word != '\0' ? strlen(word) : 1;
            if (test_random(&seed) % 2 == 0) {
                data[at] = (char)test_random(&seed);
            } else if (len + word_len < sizeof data) {
                memmove(data + at + word_len, data + at, len - at);
                memcpy(data + at, word, word_len);
                len += word_len;
            }
        }
        through(data, len);
    }
    skua_propagation_set(NULL);
}

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(propagation_without_memory)
{
    struct message in, out;
    skua_baggage_frame frame;
    unsigned n = 0;
    int rc;

    (void)skua_propagation_use("tracecontext,baggage");
    message_init(&in);
    message_add(&in, "traceparent", PARENT, strlen(PARENT));
    message_add(&in, "baggage", "k=v,l=w", 7);
    do {
        skua_propagation_frame attached;

        skua__fault_arm(SKUA__FAULT_MALLOC, ++n, 1, ENOMEM);
        rc = skua_propagation_begin(&attached, &in.fields.carrier);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK((skua_baggage_get("l") != NULL) == (rc == 0));
        CHECK((skua_span_current() != NULL) == (rc == 0));
        CHECK_EQ(skua_propagation_end(&attached), 0);
    } while (rc != 0 && n < 50);
    CHECK_RANGE(n, 4, 20);
    for (unsigned i = 1; i <= 2; i++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        CHECK_EQ(skua_baggage_set(&frame, "a", "b", NULL), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK_EQ(skua_baggage_end(&frame), 0);
    }
    CHECK_EQ(skua_baggage_set(&frame, "a", "b", NULL), 0);
    message_init(&out);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_inject(&out.fields.carrier), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_baggage_end(&frame), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(baggage_is_inherited),
        cmocka_unit_test(baggage_on_a_plain_thread),
        cmocka_unit_test(baggage_is_bounded),
        cmocka_unit_test(baggage_is_read),
        cmocka_unit_test(baggage_is_written),
        cmocka_unit_test(baggage_beyond_its_bounds_is_left_behind),
        cmocka_unit_test(context_goes_through),
        cmocka_unit_test(hostile_messages_do_no_harm),
#ifdef SKUA_FAULTS
        cmocka_unit_test(propagation_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
