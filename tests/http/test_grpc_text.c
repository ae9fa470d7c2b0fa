/* test_grpc_text.c - what gRPC writes into headers and details: base64, percent-encoding, codes,
 * time-outs, Protocol Buffers, metadata.
 */
#include "http/grpc/grpc_impl.h"

#include "../lib/harness.h"

/* ---- base64 ---------------------------------------------------------------------------------- */

static const struct {
    const char *bytes, *text;
} base64[] = {{"", ""},
              {"f", "Zg"},
              {"fo", "Zm8"},
              {"foo", "Zm9v"},
              {"foob", "Zm9vYg"},
              {"fooba", "Zm9vYmE"},
              {"foobar", "Zm9vYmFy"},
              {"\xff\xfe", "//4"},
              {"\xfb\xef\xbe", "++++"}};

TEST(base64_is_that_of_the_rfc)
{
    for (size_t i = 0; i < TEST_LEN(base64); i++) {
        size_t len = strlen(base64[i].bytes);
        char text[32], bytes[32];

        MUST(skua__grpc_base64_room(len) <= sizeof text);
        skua__grpc_base64_write(text, base64[i].bytes, len);
        CHECK(strcmp(text, base64[i].text) == 0);
        CHECK_EQ(skua__grpc_base64_read(bytes, text, strlen(text)), len);
        CHECK(memcmp(bytes, base64[i].bytes, len) == 0);
    }
}

TEST(base64_is_read_with_padding_and_refused_when_malformed)
{
    char bytes[32];

    CHECK_EQ(skua__grpc_base64_read(bytes, "Zg==", 4), 1);
    CHECK_EQ(skua__grpc_base64_read(bytes, "Zm8=", 4), 2);
    CHECK_EQ(skua__grpc_base64_read(bytes, "Z", 1), -EBADMSG);
    CHECK_EQ(skua__grpc_base64_read(bytes, "Zg=", 3), -EBADMSG);
    CHECK_EQ(skua__grpc_base64_read(bytes, "====", 4), -EBADMSG);
    CHECK_EQ(skua__grpc_base64_read(bytes, "Z-8", 3), -EBADMSG);
    CHECK_EQ(skua__grpc_base64_read(bytes, "Zm 8", 4), -EBADMSG);
}

/* ---- percent-encoding ------------------------------------------------------------------------ */

static const struct {
    const char *message, *text;
} percents[] = {{"plain words, and 7!", "plain words, and 7!"},
                {"100% \xc3\xa9\n", "100%25 %C3%A9%0A"},
                {" blanks ", "%20blanks%20"},
                {" ", "%20"},
                {"  ", "%20%20"},
                {"~\x7f", "~%7F"},
                {"", ""}};

TEST(messages_are_percent_encoded_and_back)
{
    for (size_t i = 0; i < TEST_LEN(percents); i++) {
        char text[64];

        MUST(skua__grpc_percent_room(percents[i].message) <= sizeof text);
        CHECK(skua__grpc_percent_room(percents[i].message) > strlen(percents[i].text));
        skua__grpc_percent_write(text, percents[i].message);
        if (!CHECK(strcmp(text, percents[i].text) == 0))
            test_note("%s", text);
        skua__grpc_percent_read(text);
        CHECK(strcmp(text, percents[i].message) == 0);
    }
}

TEST(a_malformed_message_stays_as_it_is)
{
    char text[] = "%zz %4 %41 %00 %";

    skua__grpc_percent_read(text);
    CHECK(strcmp(text, "%zz %4 A %00 %") == 0);
}

/* ---- time-outs ------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int64_t ns;
} timeouts[] = {{"1n", 1},
                {"10u", 10 * SKUA_MICROSECOND},
                {"00000005m", 5 * SKUA_MILLISECOND},
                {"3S", 3 * SKUA_SECOND},
                {"2M", 2 * SKUA_MINUTE},
                {"1H", SKUA_HOUR},
                {"0n", 0},
                {"99999999H", SKUA_FOREVER},
                {"", -1},
                {"S", -1},
                {"1", -1},
                {"1s", -1},
                {"1 S", -1},
                {"-1S", -1},
                {"1.5S", -1},
                {"1Sx", -1},
                {"123456789n", -1}};

TEST(timeouts_are_read)
{
    for (size_t i = 0; i < TEST_LEN(timeouts); i++)
        if (!CHECK_EQ(skua__grpc_timeout_read(timeouts[i].text), timeouts[i].ns))
            test_note("%s", timeouts[i].text);
}

TEST(timeouts_are_written_so_that_nothing_ends_early)
{
    uint64_t seed = test_seed();
    char text[SKUA__GRPC_TIMEOUT];

    skua__grpc_timeout_write(text, 99999999);
    CHECK(strcmp(text, "99999999n") == 0);
    skua__grpc_timeout_write(text, 100000001);
    CHECK(strcmp(text, "100001u") == 0);
    skua__grpc_timeout_write(text, -5);
    CHECK(strcmp(text, "0n") == 0);
    for (int i = 0; i < 10000; i++) {
        int64_t ns = (int64_t)(test_random(&seed) >> (1 + i % 60)), back;

        skua__grpc_timeout_write(text, ns);
        back = skua__grpc_timeout_read(text);
        CHECK(back >= ns && (back - ns) / 1000 <= ns / 10000000);
    }
}

/* ---- codes ----------------------------------------------------------------------------------- */

TEST(codes_have_names_and_come_of_results)
{
    CHECK(strcmp(skua_grpc_code_name(SKUA_GRPC_UNAUTHENTICATED), "UNAUTHENTICATED") == 0);
    CHECK(strcmp(skua_grpc_code_name(17), "UNKNOWN") == 0);
    CHECK(strcmp(skua_grpc_code_name(-1), "UNKNOWN") == 0);
    CHECK_EQ(skua_grpc_code_of(0), SKUA_GRPC_OK);
    CHECK_EQ(skua_grpc_code_of(9), SKUA_GRPC_FAILED_PRECONDITION);
    CHECK_EQ(skua_grpc_code_of(17), SKUA_GRPC_UNKNOWN);
    CHECK_EQ(skua_grpc_code_of(INT64_MAX), SKUA_GRPC_UNKNOWN);
    CHECK_EQ(skua_grpc_code_of(-ETIMEDOUT), SKUA_GRPC_DEADLINE_EXCEEDED);
    CHECK_EQ(skua_grpc_code_of(SKUA_ELIMIT), SKUA_GRPC_RESOURCE_EXHAUSTED);
    CHECK_EQ(skua_grpc_code_of(-EIO), SKUA_GRPC_UNKNOWN);
    CHECK_EQ(skua__grpc_code_of_http(503), SKUA_GRPC_UNAVAILABLE);
    CHECK_EQ(skua__grpc_code_of_http(404), SKUA_GRPC_UNIMPLEMENTED);
    CHECK_EQ(skua__grpc_code_of_http(200), SKUA_GRPC_UNKNOWN);
}

/* ---- details --------------------------------------------------------------------------------- */

TEST(details_carry_a_retry_info)
{
    static const int64_t delays[] = {0, 1, SKUA_SECOND, 90 * SKUA_SECOND + 5};

    for (size_t i = 0; i < TEST_LEN(delays); i++) {
        char info[32], bytes[128];
        ssize_t len = skua_grpc_write_retry_info(delays[i], info, sizeof info);
        ssize_t n = skua_grpc_write_details(14, "later", "google.rpc.RetryInfo", info, (size_t)len,
                                            NULL, 0);
        skua_grpc_status status = {14, "later", bytes, (size_t)n};
        const void *found;
        size_t found_len;
        int64_t delay = -1;

        MUST(len > 0 && n > 0 && (size_t)n <= sizeof bytes);
        CHECK_EQ(skua_grpc_write_details(14, "later", "google.rpc.RetryInfo", info, (size_t)len,
                                         bytes, sizeof bytes),
                 n);
        CHECK_EQ(skua_grpc_retry_delay(&status, &delay), 1);
        CHECK_EQ(delay, delays[i]);
        CHECK_EQ(skua_grpc_detail(&status, "google.rpc.Retry", &found, &found_len), 0);
        CHECK_EQ(skua_grpc_detail(&status, "rpc.RetryInfo", &found, &found_len), 0);
        for (status.details_len = 0; status.details_len < (size_t)n; status.details_len++)
            (void)skua_grpc_retry_delay(&status, &delay); /* whatever it says: it ends */
    }
}

/* As protoc wrote it: {code: 8 message: "slow" details: [ErrorInfo.., RetryInfo{1.5 s}]} */
TEST(details_of_others_are_read)
{
    static const char bytes[] = "\x08\x08\x12\x04slow"
                                "\x1a\x2c\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x00"
                                "\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x0a"
                                "\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
    skua_grpc_status status = {8, "slow", bytes, sizeof bytes - 1};
    int64_t delay = 0;

    CHECK_EQ(skua_grpc_retry_delay(&status, &delay), 1);
    CHECK_EQ(delay, 1500 * SKUA_MILLISECOND);
    status.details = NULL;
    CHECK_EQ(skua_grpc_retry_delay(&status, &delay), 0);
}

/* ---- Protocol Buffers ------------------------------------------------------------------------ */

TEST(malformed_fields_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x08", 1},                                          /* a number that is missing */
               {"\x08\x80", 2},                                      /* one that is cut */
               {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* more than 64 bits */
               {"\x0a\x05"
                "abc",
                5}, /* fewer bytes than it says */
               {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
               {"\x09\x01\x02", 3}, /* 64 bits that are not there */
               {"\x0d\x01\x02", 3}, /* 32 bits */
               {"\x0b", 1},         /* a group */
               {"\x00\x00", 2},     /* the number 0 */
               {"\x0f", 1}};        /* a wire type that is none */

    for (size_t i = 0; i < TEST_LEN(bad); i++) {
        struct skua__proto fields = skua__proto_of(bad[i].bytes, bad[i].len);
        struct skua__proto_field field;

        if (!CHECK_EQ(skua__proto_next(&fields, &field), -EBADMSG))
            test_note("case %zu", i);
    }
}

TEST(fields_of_each_type_are_read)
{
    struct skua__proto fields =
        skua__proto_of("\x08\x96\x01\x12\x03xyz\x1d\x01\x00\x00\x80\x21\x02\0\0\0\0\0\0\x01", 22);
    struct skua__proto_field field;

    CHECK_EQ(skua__proto_next(&fields, &field), 1);
    CHECK(field.id == 1 && field.number == 150);
    CHECK_EQ(skua__proto_next(&fields, &field), 1);
    CHECK(field.id == 2 && skua__proto_is(&field, "xyz", 3) && !skua__proto_is(&field, "xy", 2));
    CHECK_EQ(skua__proto_next(&fields, &field), 1);
    CHECK(field.id == 3 && field.number == 0x80000001);
    CHECK_EQ(skua__proto_next(&fields, &field), 1);
    CHECK(field.id == 4 && field.number == 0x0100000000000002);
    CHECK_EQ(skua__proto_next(&fields, &field), 0);
}

/* ---- metadata -------------------------------------------------------------------------------- */

TEST(metadata_is_checked_before_it_is_sent)
{
    static const struct {
        skua_grpc_entry entry;
        int rc;
    } cases[] = {{{"x", "1", 0}, 0},
                 {{"a_b-c.9", "with blanks", 0}, 0},
                 {{"empty", "", 0}, 0},
                 {{"null", NULL, 0}, 0},
                 {{"x-bin", "\0\xff", 2}, 0},
                 {{"x-bin", NULL, 0}, 0},
                 {{"X", "1", 0}, -EINVAL},
                 {{"", "1", 0}, -EINVAL},
                 {{NULL, "1", 0}, -EINVAL},
                 {{"a b", "1", 0}, -EINVAL},
                 {{"grpc-status", "0", 0}, -EINVAL},
                 {{"content-type", "x", 0}, -EINVAL},
                 {{"te", "x", 0}, -EINVAL},
                 {{"connection", "x", 0}, -EINVAL},
                 {{"x", "a\r\nb", 0}, -EINVAL},
                 {{"x", "a\0b", 3}, -EINVAL},
                 {{"x", "\xc3\xa9", 0}, -EINVAL},
                 {{"x-bin", NULL, 2}, -EINVAL}};

    for (size_t i = 0; i < TEST_LEN(cases); i++)
        if (!CHECK_EQ(skua__grpc_entry_check(&cases[i].entry), cases[i].rc))
            test_note("case %zu", i);
}

TEST(headers_become_metadata)
{
    static const char *const headers[][2] = {
        {":path", "/a"},     {"content-type", "application/grpc"}, {"grpc-timeout", "1S"},
        {"X-User", "ann"},   {"keys-bin", "AAE, Zg==,?,"},         {"te", "trailers"},
        {"x-user", "second"}};
    struct skua__http_arena arena = {.blocks = NULL};
    struct skua__grpc_entries entries = {.count = 0};
    const skua_grpc_entry *entry;

    for (size_t i = 0; i < TEST_LEN(headers); i++)
        MUST(skua__grpc_entries_take(&entries, &arena, headers[i][0], headers[i][1]) == 0);
    CHECK_EQ(entries.count, 5);
    entry = skua__grpc_entries_find(&entries, "x-user");
    CHECK(entry != NULL && entry->len == 3 && strcmp(entry->value, "ann") == 0);
    entry = skua__grpc_entries_find(&entries, "keys-bin");
    CHECK(entry == &entries.at[1] && entry->len == 2 && memcmp(entry->value, "\0\1", 2) == 0);
    CHECK(entry[1].len == 1 && memcmp(entry[1].value, "f", 1) == 0);
    CHECK_EQ(entry[2].len, 0);
    CHECK(skua__grpc_entries_find(&entries, "te") == NULL);
    skua__http_arena_free(&arena);
}

/* ---- compression ----------------------------------------------------------------------------- */

TEST(a_bomb_is_let_out_as_far_as_the_limit)
{
    struct skua__grpc_buffer packed = {.at = NULL}, out = {.at = NULL};
    size_t size = (size_t)8 << 20;
    char *zeros = calloc(1, size);
    ssize_t n;

    MUST(zeros != NULL);
    if (strstr(skua__grpc_codings(), "gzip") == NULL) {
        free(zeros);
        return; /* there is no zlib */
    }
    n = skua__grpc_pack(zeros, size, &packed);
    CHECK_RANGE(n, 1, size / 100);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n, 100000, &out), SKUA_ELIMIT);
    CHECK_RANGE(out.room, 1, 100001);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n, size - 1, &out), SKUA_ELIMIT);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n, size, &out), size);
    CHECK_EQ(memcmp(out.at, zeros, size), 0);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n - 1, size, &out), -EBADMSG);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, 0, size, &out), -EBADMSG);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_DEFLATE, packed.at, (size_t)n, size, &out), -EBADMSG);
    packed.at[n] = 0; /* there is room: what follows the end */
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n + 1, size, &out), -EBADMSG);
    packed.at[n / 2] ^= 0x55;
    CHECK(skua__grpc_unpack(SKUA__GRPC_GZIP, packed.at, (size_t)n, size, &out) < 0);
    skua__http_free(packed.at);
    skua__http_free(out.at);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(base64_is_read_with_padding_and_refused_when_malformed),
        cmocka_unit_test(messages_are_percent_encoded_and_back),
        cmocka_unit_test(a_malformed_message_stays_as_it_is),
        cmocka_unit_test(timeouts_are_read),
        cmocka_unit_test(timeouts_are_written_so_that_nothing_ends_early),
        cmocka_unit_test(codes_have_names_and_come_of_results),
        cmocka_unit_test(details_carry_a_retry_info),
        cmocka_unit_test(details_of_others_are_read),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(fields_of_each_type_are_read),
        cmocka_unit_test(metadata_is_checked_before_it_is_sent),
        cmocka_unit_test(headers_become_metadata),
        cmocka_unit_test(a_bomb_is_let_out_as_far_as_the_limit),
    };

    return TEST_MAIN(tests);
}
