/* send_json.c - the bodies of answers, in JSON.
 *
 *     {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}
 *     {"code": 3, "message": "no such thing"}
 *
 * 64-bit numbers are texts in protobuf's JSON, but a number is taken, too. Source: protobuf's JSON
 * mapping.
 */
#include <stdio.h>

#include "otel/json/json_read.h"
#include "otel/send/send_impl.h"

/* ---- the two --------------------------------------------------------------------------------- */

static void rjson_rejected(struct skua__rjson *in, struct skua__send_answer *answer)
{
    char text[32], more;
    long long number;

    if (skua__rjson_peek(in) == '"')
        skua__rjson_string(in, text, sizeof text);
    else
        skua__rjson_word(in, text, sizeof text);
    if (sscanf(text, "%19lld%c", &number, &more) == 1)
        answer->rc = number > 0 ? number : 0;
    else if (strcmp(text, "null") != 0)
        in->bad = true;
}

static void rjson_partial(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__send_answer *answer = arg;

    if (strcmp(name, "rejectedSpans") == 0 || strcmp(name, "rejectedDataPoints") == 0 ||
        strcmp(name, "rejectedLogRecords") == 0) {
        rjson_rejected(in, answer);
    } else if (strcmp(name, "errorMessage") == 0 && skua__rjson_peek(in) == '"') {
        char text[SKUA__SEND_TEXT];

        skua__rjson_string(in, text, sizeof text);
        skua__send_text(answer->text, text, strlen(text));
    } else {
        skua__rjson_skip(in, depth);
    }
}

static void rjson_response(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__send_answer *answer = arg;

    if (strcmp(name, "partialSuccess") == 0 && skua__rjson_peek(in) == '{')
        skua__rjson_object(in, depth, rjson_partial, answer);
    else
        skua__rjson_skip(in, depth);
}

int skua__send_reply_json(const char *bytes, size_t len, struct skua__send_answer *answer)
{
    struct skua__send_answer found = *answer;
    int rc;

    found.rc = 0;
    rc = skua__rjson_whole(bytes, len, rjson_response, &found);
    if (rc == 0) {
        found.partial = found.rc > 0 || found.text[0] != '\0';
        *answer = found;
    }
    return rc;
}

static void rjson_message(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    if (strcmp(name, "message") == 0 && skua__rjson_peek(in) == '"')
        skua__rjson_string(in, arg, SKUA__SEND_TEXT);
    else
        skua__rjson_skip(in, depth);
}

void skua__send_status_json(const char *bytes, size_t len, char *text)
{
    char found[SKUA__SEND_TEXT] = "";

    if (skua__rjson_whole(bytes, len, rjson_message, found) == 0 && found[0] != '\0')
        skua__send_text(text, found, strlen(found));
}
