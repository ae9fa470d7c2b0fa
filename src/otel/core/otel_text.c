/* otel_text.c - text that is repaired before it is sent.
 *
 * Protobuf's strings and JSON must be UTF-8; a receiver that meets another byte refuses the whole
 * request, with everybody else's spans in it. So each byte that belongs to no character becomes
 * U+FFFD. Most text is ASCII, which is looked at eight bytes at a time.
 */
#include "otel/core/otel_impl.h"

#define TEXT_HIGH UINT64_C(0x8080808080808080)

/* Bytes of the character at `text`, 0: it is none. RFC 3629, 4: no overlong ones, no surrogates,
 * nothing beyond U+10FFFF. */
static size_t text_char(const unsigned char *text, size_t len)
{
    unsigned char first = text[0], low = 0x80, high = 0xbf;
    size_t size;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (len < size || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t skua__otel_utf8(const char *text, size_t len)
{
    size_t pos = 0;

    while (pos < len) {
        size_t size;
        uint64_t word;

        while (len - pos >= sizeof word) {
            memcpy(&word, text + pos, sizeof word);
            if ((word & TEXT_HIGH) != 0)
                break;
            pos += sizeof word;
        }
        if (pos == len)
            break;
        size = text_char((const unsigned char *)text + pos, len - pos);
        if (size == 0)
            break;
        pos += size;
    }
    return pos;
}

size_t skua__otel_repaired(const char *text, size_t len)
{
    size_t size = 0;

    for (;;) {
        size_t good = skua__otel_utf8(text, len);

        size += good;
        if (good == len)
            return size;
        size += 3;
        text += good + 1;
        len -= good + 1;
    }
}

void skua__otel_repair(char *out, const char *text, size_t len)
{
    for (;;) {
        size_t good = skua__otel_utf8(text, len);

        memcpy(out, text, good);
        if (good == len)
            return;
        memcpy(out + good, "\xef\xbf\xbd", 3);
        out += good + 3;
        text += good + 1;
        len -= good + 1;
    }
}

bool skua__otel_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;

    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*text == '\0') {
            return *pattern == '\0';
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
}

#undef TEXT_HIGH
