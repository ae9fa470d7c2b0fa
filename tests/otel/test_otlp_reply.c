/* test_otlp_reply.c - the readers of answers: what they find, and what strangers cannot do to them.
 *
 * Specifies send_reply.c, send_json.c, send_text.c. Bytes are read out of memory that ends with
 * them, so that a sanitizer sees each byte that is read too far.
 */
#include "../lib/harness.h"
#include "otel/send/send_impl.h"

static int reads(bool json, const void *bytes, size_t len, struct skua__send_answer *answer)
{
    char *copy = malloc(len != 0 ? len : 1);
    int rc;

    MUST(copy != NULL);
    memcpy(copy, bytes, len);
    *answer = (struct skua__send_answer){.rc = -1};
    rc = json ? skua__send_reply_json(copy, len, answer) : skua__send_reply(copy, len, answer);
    free(copy);
    return rc;
}

#define PB(literal) false, (literal), sizeof(literal) - 1
#define JSON(literal) true, (literal), sizeof(literal) - 1

TEST(reply_finds)
{
    static const struct {
        bool json;
        const char *bytes;
        size_t len;
        int rc;
        int64_t rejected;
        const char *text;
    } rows[] = {
        {PB(""), 0, 0, ""},
        {PB("\x0a\x00"), 0, 0, ""},
        {PB("\x0a\x04\x08\x80\x80\x04"), 0, 65536, ""},
        {PB("\x0a\x05\x12\x03"
            "abc"),
         0, 0, "abc"},
        {PB("\x0a\x02\x08\x05\x12\x01x"), 0, 5, ""}, /* a field of later */
        {PB("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, 0, ""}, /* -1 */
        {PB("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), -EBADMSG, -1, ""},
        {PB("\x0a\x04\x12\x7f"
            "ab"),
         -EBADMSG, -1, ""},
        {PB("\x0a\x03\x12\x01"), -EBADMSG, -1, ""},
        {PB("\x0b"), -EBADMSG, -1, ""},     /* a group */
        {PB("\x02\x00"), -EBADMSG, -1, ""}, /* field 0 */
        {PB("\x0a\x04\x12\x02\xc3\x28"), 0, 0, "\xef\xbf\xbd("},
        {PB("\x0a\x05\x12\x03"
            "a\nb"),
         0, 0, "a b"},
        {JSON("{}"), 0, 0, ""},
        {JSON(" { \"partialSuccess\" : { } } \n"), 0, 0, ""},
        {JSON("{\"partialSuccess\":{\"rejectedDataPoints\":7}}"), 0, 7, ""},
        {JSON("{\"partialSuccess\":{\"rejectedLogRecords\":\"8\"},\"x\":[1,{\"a\":[]},null]}"), 0,
         8, ""},
        {JSON("{\"partialSuccess\":{\"errorMessage\":\"\\u00e9\\ud83d\\\"\\n\"}}"), 0, 0,
         "\xc3\xa9\xef\xbf\xbd\" "},
        {JSON("{\"partialSuccess\":{\"rejectedSpans\":\"1x\"}}"), -EBADMSG, -1, ""},
        {JSON("{\"partialSuccess\":{\"rejectedSpans\":true}}"), -EBADMSG, -1, ""},
        {JSON("[]"), -EBADMSG, -1, ""},
        {JSON("{\"a\":1"), -EBADMSG, -1, ""},
        {JSON("{\"a\":1}}"), -EBADMSG, -1, ""},
        {JSON("{\"a\":nothing}"), -EBADMSG, -1, ""},
        {JSON("{\"a\":\"\\x\"}"), -EBADMSG, -1, ""},
        {JSON("{\"a\":1}\0"), -EBADMSG, -1, ""},
        {JSON(""), -EBADMSG, -1, ""}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        struct skua__send_answer answer;

        if (!CHECK_EQ(reads(rows[i].json, rows[i].bytes, rows[i].len, &answer), rows[i].rc) ||
            !CHECK_EQ(answer.rc, rows[i].rejected) ||
            !CHECK(strcmp(answer.text, rows[i].text) == 0))
            test_note("row %zu: %s", i, answer.text);
    }
}

/* A stranger cannot make the reader's stack deep. */
TEST(reply_json_is_not_deep)
{
    struct skua__send_answer answer;
    static char deep[4 << 20]; /* as long as an answer may be */

    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    CHECK_EQ(reads(true, deep, sizeof deep, &answer), -EBADMSG);
    for (size_t i = 0; i + 5 < sizeof deep; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    CHECK_EQ(reads(true, deep, sizeof deep, &answer), -EBADMSG);
}

/* Any bytes, and good ones with some changed: an answer or none, and never a byte too far. */
TEST(reply_fuzzed)
{
    static const char *const good[] = {
        "{\"partialSuccess\":{\"rejectedSpans\":\"12\",\"errorMessage\":\"a\\u00e9b\"},\"c\":[1]}",
        "\x0a\x10\x08\x80\x01\x12\x09some text\x12\x02no"};
    uint64_t random = test_seed();

    for (int i = 0; i < TEST_COUNT(200000); i++) {
        struct skua__send_answer answer;
        char text[SKUA__SEND_TEXT] = "";
        char bytes[128];
        const char *from = good[i & 1];
        size_t len = strlen(from);
        char *copy;

        memcpy(bytes, from, len);
        for (uint64_t n = test_random(&random) % 4; n > 0; n--)
            bytes[test_random(&random) % len] = (char)test_random(&random);
        len = test_random(&random) % 3 == 0 ? test_random(&random) % len : len;
        if (reads((i & 1) == 0, bytes, len, &answer) == 0)
            CHECK(answer.rc >= 0 && strlen(answer.text) < sizeof answer.text);
        else
            CHECK(answer.rc == -1 && answer.text[0] == '\0');
        copy = malloc(len + 1);
        MUST(copy != NULL);
        memcpy(copy, bytes, len);
        copy = realloc(copy, len != 0 ? len : 1);
        if ((i & 1) == 0)
            skua__send_status_json(copy, len, text);
        else
            skua__send_status(copy, len, text);
        CHECK(skua__otel_utf8(text, strlen(text)) == strlen(text));
        free(copy);
    }
}

TEST(reply_status)
{
    static const char json[] = "{\"code\":3,\"message\":\"yes\",\"details\":[{}]}";
    char text[SKUA__SEND_TEXT] = "";

    skua__send_status("\x08\x03\x12\x02no\x1a\x00", 8, text);
    CHECK(strcmp(text, "no") == 0);
    skua__send_status("\x12\x05no", 4, text);
    CHECK(strcmp(text, "no") == 0); /* malformed: as it was */
    skua__send_status_json(json, sizeof json - 1, text);
    CHECK(strcmp(text, "yes") == 0);
}

TEST(reply_text_is_cut)
{
    char bytes[1000], text[SKUA__SEND_TEXT];

    memset(bytes, 'x', sizeof bytes);
    skua__send_text(text, bytes, sizeof bytes);
    CHECK_EQ(strlen(text), SKUA__SEND_TEXT - 1);
    memset(bytes, 0xff, sizeof bytes);
    skua__send_text(text, bytes, sizeof bytes);
    CHECK_EQ(strlen(text), (SKUA__SEND_TEXT - 1) / 3 * 3);
}

TEST(reply_after)
{
    CHECK(skua__send_after("1", NULL) == SKUA_SECOND);
    CHECK(skua__send_after("99999999999999999999", NULL) == SKUA__SEND_AFTER_MAX * SKUA_SECOND);
    CHECK(skua__send_after(NULL, NULL) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_finds),       cmocka_unit_test(reply_json_is_not_deep),
        cmocka_unit_test(reply_fuzzed),      cmocka_unit_test(reply_status),
        cmocka_unit_test(reply_text_is_cut), cmocka_unit_test(reply_after),
    };

    return TEST_MAIN(tests);
}
