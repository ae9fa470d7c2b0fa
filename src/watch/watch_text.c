/* watch_text.c - numbers and names in tables for people. */
#include <stdio.h>

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

void skua__watch_name(char *to, size_t size, const char *name)
{
    size_t at = 0;

    for (; name != NULL && name[at] != '\0' && at + 1 < size; at++) {
        unsigned char c = (unsigned char)name[at];

        to[at] = (char)(c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) ? '?' : c);
    }
    to[at] = '\0';
}
