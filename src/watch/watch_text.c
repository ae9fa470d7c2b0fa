/* watch_text.c - numbers and names in tables for people. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "watch/watch_text.h"

void skua__watch_time(char to[SKUA__WATCH_TIME], int64_t ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"h", 3600e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    double value = (double)ns;
    unsigned at = 0;

    while (at + 1 < sizeof units / sizeof *units && value < units[at].ns)
        at++;
    value /= units[at].ns;
    (void)snprintf(to, SKUA__WATCH_TIME, "%.*f %s",
                   units[at].ns == 1 || value >= 100 ? 0
                   : value >= 10                     ? 1
                                                     : 2,
                   value < 1e6 ? value : 999999, units[at].name);
}

void skua__watch_real(char to[SKUA__WATCH_REAL], double value, int digits)
{
    int len = snprintf(to, SKUA__WATCH_REAL, "%.*f", digits, value);
    int at = 0;

    if (digits == 0)
        return;
    /* Whatever stands between the digits is the locale's point, and may be of several bytes. */
    at = (int)strspn(to, "-0123456789");
    to[at] = '.';
    memmove(to + at + 1, to + len - digits, (size_t)digits + 1);
}

size_t skua__watch_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

void skua__watch_name(char *to, size_t size, const char *name)
{
    size_t at = 0;

    while (name != NULL && *name != '\0') {
        unsigned char c = (unsigned char)name[0];
        size_t len = skua__watch_utf8(name);
        bool control = c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)name[1] < 0xa0);
        size_t shown = len == 0 || control ? 1 : len;

        if (at + shown >= size)
            break;
        memcpy(to + at, len == 0 || control ? "?" : name, shown);
        at += shown;
        name += len != 0 ? len : 1;
    }
    to[at] = '\0';
}
