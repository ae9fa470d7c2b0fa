/* send_json.c - the bodies of answers, in JSON.
 *
 *     {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}
 *     {"code": 3, "message": "no such thing"}
 *
 * A reader for these two: values that it does not know it walks over, to a depth that a stranger
 * cannot make into a stack overflow. 64-bit numbers are texts in protobuf's JSON, but a number is
 * taken, too. Source: RFC 8259; protobuf's JSON mapping.
 */
#include <stdio.h>

#include "otel/send/send_impl.h"

#define JSON_DEPTH 32

struct rjson {
    const char *at, *end;
    bool bad;
};

/* What a member's value is given to; `in` stands before the value, which is to be read. */
typedef void (*rjson_member)(struct rjson *in, const char *name, unsigned depth, void *arg);

static void rjson_skip(struct rjson *in, unsigned depth);

/* The next character that counts; '\0': the end, or it is malformed. */
static char rjson_peek(struct rjson *in)
{
    while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != '\0')
        in->at++;
    return in->at < in->end && !in->bad ? *in->at : '\0';
}

static bool rjson_take(struct rjson *in, char wanted)
{
    if (rjson_peek(in) != wanted || wanted == '\0')
        return false;
    in->at++;
    return true;
}

/* The character of \uXXXX, of which the u is read. Halves of a pair become U+FFFD. */
static unsigned rjson_escape(struct rjson *in)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++) {
        char c = in->at < in->end ? *in->at++ : '\0';
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = c != '\0' ? strchr(digits, c) : NULL;

        if (digit == NULL)
            in->bad = true;
        else
            code = code << 4 | (unsigned)((digit - digits) & 15);
    }
    return code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
}

static size_t rjson_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

/* A string, cut to fit, with a NUL. */
static void rjson_string(struct rjson *in, char *text, size_t size)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t len = 0;

    in->bad = in->bad || !rjson_take(in, '"');
    while (!in->bad) {
        char c = in->at < in->end ? *in->at++ : '\0', piece[4];
        size_t piece_len = 1;

        if (c == '"')
            break;
        piece[0] = c;
        if (c == '\\') {
            char kind = in->at < in->end ? *in->at++ : '\0';
            const char *at = kind != '\0' ? strchr(from, kind) : NULL;

            if (kind == 'u')
                piece_len = rjson_utf8(piece, rjson_escape(in));
            else if (at != NULL)
                piece[0] = to[at - from];
            else
                in->bad = true;
        } else if ((unsigned char)c < ' ') {
            in->bad = true;
        }
        if (len + piece_len < size) {
            memcpy(text + len, piece, piece_len);
            len += piece_len;
        }
    }
    text[len] = '\0';
}

/* A number, true, false or null. */
static void rjson_word(struct rjson *in, char *text, size_t size)
{
    size_t len = 0;

    (void)rjson_peek(in);
    while (in->at < in->end && *in->at != '\0' &&
           strchr("+-.0123456789Eabcdefghijklmnopqrstuvwxyz", *in->at) != NULL) {
        if (len < size - 1)
            text[len++] = *in->at;
        in->at++;
    }
    text[len] = '\0';
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0 && strcmp(text, "null") != 0 &&
        (len == 0 || text[strspn(text, "+-.0123456789Ee")] != '\0'))
        in->bad = true;
}

static void rjson_object(struct rjson *in, unsigned depth, rjson_member member, void *arg)
{
    char name[32];

    in->bad = in->bad || depth == 0 || !rjson_take(in, '{');
    if (in->bad || rjson_take(in, '}'))
        return;
    do {
        rjson_string(in, name, sizeof name);
        in->bad = in->bad || !rjson_take(in, ':');
        if (!in->bad)
            member(in, name, depth - 1, arg);
    } while (!in->bad && rjson_take(in, ','));
    in->bad = in->bad || !rjson_take(in, '}');
}

static void rjson_ignored(struct rjson *in, const char *name, unsigned depth, void *arg)
{
    (void)name;
    (void)arg;
    rjson_skip(in, depth);
}

static void rjson_skip(struct rjson *in, unsigned depth)
{
    char text[32], first = rjson_peek(in);

    if (first == '{') {
        rjson_object(in, depth, rjson_ignored, NULL);
    } else if (first == '[') {
        in->bad = in->bad || depth == 0 || !rjson_take(in, '[');
        if (in->bad || rjson_take(in, ']'))
            return;
        do
            rjson_skip(in, depth - 1);
        while (!in->bad && rjson_take(in, ','));
        in->bad = in->bad || !rjson_take(in, ']');
    } else if (first == '"') {
        rjson_string(in, text, sizeof text);
    } else {
        rjson_word(in, text, sizeof text);
    }
}

/* A whole text that is one object. */
static int rjson_whole(const char *bytes, size_t len, rjson_member member, void *arg)
{
    struct rjson in = {.at = bytes, .end = bytes + len};

    rjson_object(&in, JSON_DEPTH, member, arg);
    return in.bad || rjson_peek(&in) != '\0' || in.at != in.end ? -EBADMSG : 0;
}

/* ---- the two --------------------------------------------------------------------------------- */

static void rjson_rejected(struct rjson *in, struct skua__send_answer *answer)
{
    char text[32], more;
    long long number;

    if (rjson_peek(in) == '"')
        rjson_string(in, text, sizeof text);
    else
        rjson_word(in, text, sizeof text);
    if (sscanf(text, "%19lld%c", &number, &more) == 1)
        answer->rc = number > 0 ? number : 0;
    else if (strcmp(text, "null") != 0)
        in->bad = true;
}

static void rjson_partial(struct rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__send_answer *answer = arg;

    if (strcmp(name, "rejectedSpans") == 0 || strcmp(name, "rejectedDataPoints") == 0 ||
        strcmp(name, "rejectedLogRecords") == 0) {
        rjson_rejected(in, answer);
    } else if (strcmp(name, "errorMessage") == 0 && rjson_peek(in) == '"') {
        char text[SKUA__SEND_TEXT];

        rjson_string(in, text, sizeof text);
        skua__send_text(answer->text, text, strlen(text));
    } else {
        rjson_skip(in, depth);
    }
}

static void rjson_response(struct rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__send_answer *answer = arg;

    if (strcmp(name, "partialSuccess") == 0 && rjson_peek(in) == '{')
        rjson_object(in, depth, rjson_partial, answer);
    else
        rjson_skip(in, depth);
}

int skua__send_reply_json(const char *bytes, size_t len, struct skua__send_answer *answer)
{
    struct skua__send_answer found = *answer;
    int rc;

    found.rc = 0;
    rc = rjson_whole(bytes, len, rjson_response, &found);
    if (rc == 0) {
        found.partial = found.rc > 0 || found.text[0] != '\0';
        *answer = found;
    }
    return rc;
}

static void rjson_message(struct rjson *in, const char *name, unsigned depth, void *arg)
{
    if (strcmp(name, "message") == 0 && rjson_peek(in) == '"')
        rjson_string(in, arg, SKUA__SEND_TEXT);
    else
        rjson_skip(in, depth);
}

void skua__send_status_json(const char *bytes, size_t len, char *text)
{
    char found[SKUA__SEND_TEXT] = "";

    if (rjson_whole(bytes, len, rjson_message, found) == 0 && found[0] != '\0')
        skua__send_text(text, found, strlen(found));
}

#undef JSON_DEPTH
