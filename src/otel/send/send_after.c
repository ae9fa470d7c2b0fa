/* send_after.c - Retry-After: seconds, or a date in one of the three forms that HTTP has.
 *
 *     120
 *     Sun, 06 Nov 1994 08:49:37 GMT
 *     Sunday, 06-Nov-94 08:49:37 GMT
 *     Sun Nov  6 08:49:37 1994
 *
 * A date is judged by the answer's own Date, where it has one: then two clocks that disagree do not
 * matter. Source: RFC 9110, 5.6.7 and 10.2.3.
 */
#include <stdio.h>
#include <time.h>

#include "otel/send/send_impl.h"

/* Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's days_from_civil). */
static int64_t after_days(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int after_month(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = strlen(name) == 3 ? strstr(names, name) : NULL;

    return at != NULL && (at - names) % 3 == 0 ? (int)((at - names) / 3) + 1 : 0;
}

/* Seconds since 1970; -1: it is no date. */
static int64_t after_date(const char *text)
{
    int day, year, hour, minute, second, month, end = 0;
    char name[4];

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, name, &year, &hour,
               &minute, &second, &end) == 6 &&
        end != 0) {
    } else if (sscanf(text, "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, name, &year,
                      &hour, &minute, &second, &end) == 6 &&
               end != 0) {
        year += year < 70 ? 2000 : 1900;
    } else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", name, &day, &hour,
                      &minute, &second, &year, &end) != 6 ||
               end == 0) {
        return -1;
    }
    month = after_month(name);
    if (text[end] != '\0' || month == 0 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60 || year < 1970)
        return -1;
    return ((after_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

int64_t skua__send_after(const char *value, const char *date)
{
    int64_t seconds = 0, now = -1;
    size_t digits = value != NULL ? strspn(value, "0123456789") : 0;

    if (value == NULL || value[0] == '\0')
        return -1;
    if (value[digits] == '\0') {
        for (size_t i = 0; i < digits && seconds < SKUA__SEND_AFTER_MAX; i++)
            seconds = seconds * 10 + (value[i] - '0');
    } else {
        seconds = after_date(value);
        if (seconds < 0)
            return -1;
        if (date != NULL)
            now = after_date(date);
        if (now < 0)
            now = (int64_t)time(NULL);
        seconds = seconds > now ? seconds - now : 0;
    }
    if (seconds > SKUA__SEND_AFTER_MAX)
        seconds = SKUA__SEND_AFTER_MAX;
    return seconds * SKUA_SECOND;
}
