/* json_read.c - reads JSON that a stranger has sent.
 *
 * Values that nobody asks for are walked over, to a depth that a stranger cannot make into a stack
 * overflow. Source: RFC 8259.
 */
#include "otel/json/json_read.h"

#define RJSON_DEPTH 32

/* The next character that counts; '\0': the end, or it is malformed. */
char skua__rjson_peek(struct skua__rjson *in)
{
    while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != '\0')
        in->at++;
    return in->at < in->end && !in->bad ? *in->at : '\0';
}

static bool rjson_take(struct skua__rjson *in, char wanted)
{
    if (skua__rjson_peek(in) != wanted || wanted == '\0')
        return false;
    in->at++;
    return true;
}

/* The character of \uXXXX, of which the u is read. Halves of a pair become U+FFFD. */
static unsigned rjson_escape(struct skua__rjson *in)
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
void skua__rjson_string(struct skua__rjson *in, char *text, size_t size)
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
void skua__rjson_word(struct skua__rjson *in, char *text, size_t size)
{
    size_t len = 0;

    (void)skua__rjson_peek(in);
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

void skua__rjson_object(struct skua__rjson *in, unsigned depth, skua__rjson_member member,
                        void *arg)
{
    char name[64];

    in->bad = in->bad || depth == 0 || !rjson_take(in, '{');
    if (in->bad || rjson_take(in, '}'))
        return;
    do {
        skua__rjson_string(in, name, sizeof name);
        in->bad = in->bad || !rjson_take(in, ':');
        if (!in->bad)
            member(in, name, depth - 1, arg);
    } while (!in->bad && rjson_take(in, ','));
    in->bad = in->bad || !rjson_take(in, '}');
}

/* Elements, as members without a name. */
void skua__rjson_array(struct skua__rjson *in, unsigned depth, skua__rjson_member element,
                       void *arg)
{
    in->bad = in->bad || depth == 0 || !rjson_take(in, '[');
    if (in->bad || rjson_take(in, ']'))
        return;
    do
        element(in, "", depth - 1, arg);
    while (!in->bad && rjson_take(in, ','));
    in->bad = in->bad || !rjson_take(in, ']');
}

static void rjson_ignored(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    (void)name;
    (void)arg;
    skua__rjson_skip(in, depth);
}

void skua__rjson_skip(struct skua__rjson *in, unsigned depth)
{
    char text[32], first = skua__rjson_peek(in);

    if (first == '{') {
        skua__rjson_object(in, depth, rjson_ignored, NULL);
    } else if (first == '[') {
        skua__rjson_array(in, depth, rjson_ignored, NULL);
    } else if (first == '"') {
        skua__rjson_string(in, text, sizeof text);
    } else {
        skua__rjson_word(in, text, sizeof text);
    }
}

/* A whole text that is one object. */
int skua__rjson_whole(const char *bytes, size_t len, skua__rjson_member member, void *arg)
{
    struct skua__rjson in = {.at = bytes, .end = bytes + len};

    skua__rjson_object(&in, RJSON_DEPTH, member, arg);
    return in.bad || skua__rjson_peek(&in) != '\0' || in.at != in.end ? -EBADMSG : 0;
}

#undef RJSON_DEPTH
