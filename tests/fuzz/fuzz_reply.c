/* fuzz_reply.c - any bytes as a collector's answer.
 *
 *     a byte: of what; then the body. Of Retry-After: its value, and behind a newline the Date
 *
 * An answer is whole or none: what is refused changes nothing. What is to be logged is UTF-8,
 * without control characters, and ends.
 */
#include <skua/http/grpc.h>

#include "otel/send/send_impl.h"

#include "fuzz.h"

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0\x0a\x10\x08\x80\x01\x12\x09some text\x12\x02no"),
    FUZZ_SEED("\0\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00"),
    FUZZ_SEED("\1{\"partialSuccess\":{\"rejectedSpans\":\"12\",\"errorMessage\":\"a\\u00e9b\"},"
              "\"c\":[1,-2.5e3,{},null,true]}"),
    FUZZ_SEED("\1 { \"partialSuccess\" : { \"rejectedLogRecords\" : 7 } } \n"),
    FUZZ_SEED("\2\x08\x03\x12\x02no\x1a\x00"),
    FUZZ_SEED("\3{\"code\":3,\"message\":\"\\\"\\\\\\n\\ud83d\\ude00\",\"details\":[{}]}"),
    FUZZ_SEED("\4\x31\x32\x30"),
    FUZZ_SEED("\4Sun, 06 Nov 1994 08:49:37 GMT\nSun, 06 Nov 1994 08:49:00 GMT"),
    FUZZ_SEED("\4Sunday, 06-Nov-94 08:49:37 GMT\nSun Nov  6 08:49:37 1994"),
    FUZZ_SEED("\5\x08\x08\x12\x04"
              "slow\x1a\x30\x0a\x28"
              "type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x07"),
    {NULL, 0}};

const char *const fuzz_words[] = {"{",
                                  "}",
                                  "[",
                                  "]",
                                  "\"",
                                  ":",
                                  ",",
                                  "\\u",
                                  "\\ud800",
                                  "null",
                                  "-1",
                                  "1e999",
                                  "99999999999999999999",
                                  "partialSuccess",
                                  "rejectedSpans",
                                  "rejectedDataPoints",
                                  "errorMessage",
                                  "message",
                                  "\x0a\x02",
                                  "\x12\x7f",
                                  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                  "\xf0\x9f\x98\x80",
                                  "\x1b[31m",
                                  "Feb",
                                  " GMT",
                                  "9999",
                                  "\n",
                                  NULL};

static void said(const char *text)
{
    size_t len = strnlen(text, SKUA__SEND_TEXT);

    fuzz_must(len < SKUA__SEND_TEXT && skua__otel_utf8(text, len) == len);
    for (size_t i = 0; i < len; i++)
        fuzz_must((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void reply(bool json, const void *bytes, size_t len)
{
    struct skua__send_answer answer = {.rc = -1, .after = -1};
    int rc =
        json ? skua__send_reply_json(bytes, len, &answer) : skua__send_reply(bytes, len, &answer);

    fuzz_must(rc == 0 || rc == -EBADMSG);
    said(answer.text);
    if (rc == 0)
        fuzz_must(answer.rc >= 0 && answer.partial == (answer.rc > 0 || answer.text[0] != '\0'));
    else
        fuzz_must(answer.rc == -1 && !answer.partial && answer.text[0] == '\0');
    fuzz_must(answer.after == -1 && !answer.again && answer.status == 0);
}

static void status(bool json, const void *bytes, size_t len)
{
    char text[SKUA__SEND_TEXT] = "as it was";

    if (json)
        skua__send_status_json(bytes, len, text);
    else
        skua__send_status(bytes, len, text);
    said(text);
}

static void after(const void *bytes, size_t len)
{
    char *text = fuzz_text(bytes, len), *date = strchr(text, '\n');
    int64_t wait;

    if (date != NULL)
        *date++ = '\0';
    wait = skua__send_after(text, date);
    fuzz_must(wait == -1 || (wait >= 0 && wait <= SKUA__SEND_AFTER_MAX * SKUA_SECOND));
    free(text);
}

/* grpc-status-details-bin, decoded. */
static void details(const void *bytes, size_t len)
{
    skua_grpc_status found = {
        .code = SKUA_GRPC_UNAVAILABLE, .message = "", .details = bytes, .details_len = len};
    int64_t delay = -1;

    if (skua_grpc_retry_delay(&found, &delay) != 0)
        fuzz_must(delay >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    switch (data[0] % 6) {
    case 0:
    case 1:
        reply(data[0] % 6 == 1, data + 1, len - 1);
        break;
    case 2:
    case 3:
        status(data[0] % 6 == 3, data + 1, len - 1);
        break;
    case 4:
        after(data + 1, len - 1);
        break;
    default:
        details(data + 1, len - 1);
    }
    return 0;
}
