/* otel_json.c - JSON, written from its beginning into one buffer that grows.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "otel/json/otel_json.h"

#define JSON_FIRST ((size_t)4096)

void skua__json_begin(struct skua__json *out, size_t max)
{
    out->len = 0;
    out->max = max;
    out->error = 0;
}

void skua__json_free(struct skua__json *out)
{
    skua__otel_free(out->bytes);
    *out = (struct skua__json){.bytes = NULL};
}

/* Room for `size` more bytes; NULL: an error. */
static char *json_grow(struct skua__json *out, size_t size)
{
    size_t room = out->room < JSON_FIRST ? JSON_FIRST : out->room;
    char *bytes;

    if (out->error != 0)
        return NULL;
    if (size > out->max || out->len > out->max - size) {
        out->error = -EMSGSIZE;
        return NULL;
    }
    while (room - out->len < size)
        room *= 2;
    if (room == out->room)
        return out->bytes + out->len;
    bytes = skua__otel_realloc(out->bytes, room);
    if (bytes == NULL) {
        out->error = -ENOMEM;
        return NULL;
    }
    out->bytes = bytes;
    out->room = room;
    return bytes + out->len;
}

static void json_char(struct skua__json *out, char c)
{
    char *at = json_grow(out, 1);

    if (at == NULL)
        return;
    *at = c;
    out->len++;
}

void skua__json_raw(struct skua__json *out, const char *bytes, size_t len)
{
    char *at = len != 0 ? json_grow(out, len) : NULL;

    if (at == NULL)
        return;
    memcpy(at, bytes, len);
    out->len += len;
}

/* Before a key or a value. */
static void json_comma(struct skua__json *out)
{
    char last = out->len > 0 ? out->bytes[out->len - 1] : '\n';

    if (last != '{' && last != '[' && last != ':' && last != '\n')
        json_char(out, ',');
}

void skua__json_open(struct skua__json *out, char bracket)
{
    json_comma(out);
    json_char(out, bracket);
}

void skua__json_close(struct skua__json *out, char bracket)
{
    json_char(out, bracket);
}

void skua__json_key(struct skua__json *out, const char *key)
{
    size_t len = strlen(key);
    char *at;

    json_comma(out);
    at = json_grow(out, len + 3);
    if (at == NULL)
        return;
    at[0] = '"';
    memcpy(at + 1, key, len);
    at[len + 1] = '"';
    at[len + 2] = ':';
    out->len += len + 3;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void json_escape(struct skua__json *out, unsigned char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8];

    for (size_t i = 0; i + 1 < sizeof names; i += 2)
        if ((unsigned char)names[i] == c) {
            json_char(out, '\\');
            json_char(out, names[i + 1]);
            return;
        }
    (void)snprintf(text, sizeof text, "\\u%04x", c);
    skua__json_raw(out, text, 6);
}

/* Well-formed text. */
static void json_escaped(struct skua__json *out, const char *text, size_t len)
{
    size_t from = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        skua__json_raw(out, text + from, i - from);
        json_escape(out, c);
        from = i + 1;
    }
    skua__json_raw(out, text + from, len - from);
}

void skua__json_text(struct skua__json *out, const char *text, size_t len)
{
    json_comma(out);
    json_char(out, '"');
    while (len > 0) {
        size_t good = skua__otel_utf8(text, len);

        json_escaped(out, text, good);
        if (good == len)
            break;
        skua__json_raw(out, "\xef\xbf\xbd", 3);
        text += good + 1;
        len -= good + 1;
    }
    json_char(out, '"');
}

void skua__json_hex(struct skua__json *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *at;

    json_comma(out);
    at = json_grow(out, len * 2 + 2);
    if (at == NULL)
        return;
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '"';
    out->len += len * 2 + 2;
}

void skua__json_base64(struct skua__json *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = (len + 2) / 3 * 4;
    char *at;

    json_comma(out);
    at = json_grow(out, size + 2);
    if (at == NULL)
        return;
    *at++ = '"';
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0u);

        *at++ = digits[word >> 18];
        *at++ = digits[word >> 12 & 63];
        *at++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[word & 63] : '=';
    }
    *at = '"';
    out->len += size + 2;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void json_word(struct skua__json *out, const char *word)
{
    json_comma(out);
    skua__json_raw(out, word, strlen(word));
}

void skua__json_null(struct skua__json *out)
{
    json_word(out, "null");
}

void skua__json_bool(struct skua__json *out, bool value)
{
    json_word(out, value ? "true" : "false");
}

/* Digits, with a sign and in quotes where that is said. */
static void json_digits(struct skua__json *out, uint64_t value, bool negative, bool quoted)
{
    char text[24], *at = text + sizeof text;

    json_comma(out);
    if (quoted)
        *--at = '"';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative)
        *--at = '-';
    if (quoted)
        *--at = '"';
    skua__json_raw(out, at, (size_t)(text + sizeof text - at));
}

static void json_signed(struct skua__json *out, int64_t value, bool quoted)
{
    json_digits(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, quoted);
}

void skua__json_number(struct skua__json *out, int64_t value)
{
    json_signed(out, value, false);
}

void skua__json_i64(struct skua__json *out, int64_t value)
{
    json_signed(out, value, true);
}

void skua__json_u64(struct skua__json *out, uint64_t value)
{
    json_digits(out, value, false, true);
}

void skua__json_f64(struct skua__json *out, double value)
{
    char text[40];

    if (isnan(value)) {
        skua__json_text(out, "NaN", 3);
        return;
    }
    if (isinf(value)) {
        skua__json_text(out, value < 0 ? "-Infinity" : "Infinity", value < 0 ? 9 : 8);
        return;
    }
    if (value >= -1e15 && value <= 1e15 && value == (double)(int64_t)value) {
        bool minus = value == 0 && signbit(value); /* "-0" would be an integer to many */

        if (!minus)
            skua__json_number(out, (int64_t)value);
        else
            json_word(out, "-0.0");
        return;
    }
    json_comma(out);
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* The point is the locale's: one character in all of them that printf knows, or more. */
    for (char *at = text; *at != '\0'; at++) {
        if (strchr("+-0123456789e", *at) != NULL)
            continue;
        *at = '.';
        while (at[1] != '\0' && strchr("+-0123456789e", at[1]) == NULL)
            memmove(at + 1, at + 2, strlen(at + 1));
    }
    skua__json_raw(out, text, strlen(text));
}

#undef JSON_FIRST
