/* grpc_text.c - what gRPC writes into heads: base64, percent-encoding, time-outs, URLs.
 *
 * Sources: RFC 4648 (4), gRPC over HTTP/2 (Timeout, Status-Message, Binary-Header).
 */
#include <stdio.h>

#include "http/grpc/grpc_impl.h"

/* ---- base64 ---------------------------------------------------------------------------------- */

static const char text_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t skua__grpc_base64_room(size_t len)
{
    return len / 3 * 4 + 5;
}

void skua__grpc_base64_write(char *out, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (; len >= 3; at += 3, len -= 3) {
        *out++ = text_letters[at[0] >> 2];
        *out++ = text_letters[(at[0] & 3) << 4 | at[1] >> 4];
        *out++ = text_letters[(at[1] & 15) << 2 | at[2] >> 6];
        *out++ = text_letters[at[2] & 63];
    }
    if (len != 0) {
        *out++ = text_letters[at[0] >> 2];
        *out++ = text_letters[(at[0] & 3) << 4 | (len == 2 ? at[1] >> 4 : 0)];
        if (len == 2)
            *out++ = text_letters[(at[1] & 15) << 2];
    }
    *out = '\0';
}

static int text_letter(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

ssize_t skua__grpc_base64_read(void *out, const char *text, size_t len)
{
    unsigned char *at = out;
    uint32_t bits = 0;
    unsigned count = 0;

    if (len != 0 && len % 4 == 0)
        for (int i = 0; i < 2 && text[len - 1] == '='; i++)
            len--;
    if (len % 4 == 1)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        int letter = text_letter(text[i]);

        if (letter < 0)
            return -EBADMSG;
        bits = bits << 6 | (uint32_t)letter;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *at++ = (unsigned char)(bits >> count);
        }
    }
    return at - (unsigned char *)out;
}

/* ---- messages of a status -------------------------------------------------------------------- */

static bool text_is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '%';
}

size_t skua__grpc_percent_room(const char *message)
{
    size_t room = 1 + 2 * 2; /* a blank at either end takes three, too */

    for (; *message != '\0'; message++)
        room += text_is_plain((unsigned char)*message) ? 1 : 3;
    return room;
}

void skua__grpc_percent_write(char *out, const char *message)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *first = out;

    for (; *message != '\0'; message++) {
        unsigned char byte = (unsigned char)*message;

        /* Blanks at either end would be stripped on the way. */
        if (text_is_plain(byte) && (byte != ' ' || (out != first && message[1] != '\0'))) {
            *out++ = (char)byte;
            continue;
        }
        *out++ = '%';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    *out = '\0';
}

static int text_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

void skua__grpc_percent_read(char *message)
{
    char *out = message;

    while (*message != '\0') {
        int high = *message == '%' ? text_digit(message[1]) : -1;
        int low = high >= 0 ? text_digit(message[2]) : -1;

        if (low >= 0 && high * 16 + low != 0) {
            *out++ = (char)(high * 16 + low);
            message += 3;
        } else {
            *out++ = *message++;
        }
    }
    *out = '\0';
}

/* ---- time-outs ------------------------------------------------------------------------------- */

static const struct text_unit {
    char name;
    int64_t ns;
} text_units[] = {{'n', 1},           {'u', SKUA_MICROSECOND}, {'m', SKUA_MILLISECOND},
                  {'S', SKUA_SECOND}, {'M', SKUA_MINUTE},      {'H', SKUA_HOUR}};

#define TEXT_UNITS (sizeof text_units / sizeof text_units[0])
#define TEXT_MOST 99999999 /* eight digits */

int64_t skua__grpc_timeout_read(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number = 0;

    if (digits == 0 || digits > 8 || text[digits] == '\0' || text[digits + 1] != '\0')
        return -1;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    for (size_t i = 0; i < TEXT_UNITS; i++)
        if (text_units[i].name == text[digits])
            return number <= SKUA_FOREVER / text_units[i].ns ? number * text_units[i].ns
                                                             : SKUA_FOREVER;
    return -1;
}

void skua__grpc_timeout_write(char out[SKUA__GRPC_TIMEOUT], int64_t timeout)
{
    const struct text_unit *unit = text_units;
    int64_t number = timeout > 0 ? timeout : 0;

    while (unit < text_units + TEXT_UNITS - 1 && number > TEXT_MOST) {
        unit++;
        number = timeout / unit->ns + (timeout % unit->ns != 0);
    }
    (void)snprintf(out, SKUA__GRPC_TIMEOUT, "%d%c", (int)number, unit->name);
}

/* ---- URLs ------------------------------------------------------------------------------------ */

char *skua__grpc_url(struct skua__http_arena *arena, const char *url, const char *method)
{
    size_t len = strlen(url), room;
    char *text;

    while (len != 0 && url[len - 1] == '/')
        len--;
    method += *method == '/';
    room = len + strlen(method) + 2;
    text = skua__http_arena_alloc(arena, room);
    if (text != NULL)
        (void)snprintf(text, room, "%.*s/%s", (int)len, url, method);
    return text;
}

#undef TEXT_UNITS
#undef TEXT_MOST
