/* client_date.c - dates of cookies, in whatever form: "Wed, 21 Oct 2026 07:28:00 GMT",
 * "Wednesday, 21-Oct-26 07:28:00 GMT", "Wed Oct 21 07:28:00 2026".
 *
 * The text is a heap of words, of which the first that looks like a time, a day, a month and a year
 * is that. Source: RFC 6265, 5.1.1.
 */
#include "http/client/client_impl.h"

struct date {
    int second, minute, hour, day, month, year; /* -1: not found yet */
};

/* One to `most` digits at *at, which moves behind them; -1: there are none, or more. */
static int date_digits(const char **at, const char *end, int most)
{
    int number = 0, count = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (++count <= most)
            number = 10 * number + (**at - '0');
    return count == 0 || count > most ? -1 : number;
}

/* "7:28:00", and perhaps something behind it that is no digit. */
static bool date_time(struct date *date, const char *at, const char *end)
{
    int parts[3];

    for (int i = 0; i < 3; i++) {
        parts[i] = date_digits(&at, end, 2);
        if (parts[i] < 0 || (i < 2 && (at == end || *at++ != ':')))
            return false;
    }
    date->hour = parts[0];
    date->minute = parts[1];
    date->second = parts[2];
    return true;
}

static bool date_month(struct date *date, const char *at, const char *end)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int i = 0; i < 12 && end - at >= 3; i++)
        if (skua__http_same(at, names + 3 * i, 3)) {
            date->month = i + 1;
            return true;
        }
    return false;
}

/* One or two digits are a day, two to four a year. */
static bool date_number(int *part, const char *at, const char *end, int least, int most)
{
    const char *from = at;
    int number = date_digits(&at, end, most);

    if (number < 0 || at - from < least)
        return false;
    *part = number;
    return true;
}

static void date_word(struct date *date, const char *at, const char *end)
{
    if (date->hour < 0 && date_time(date, at, end))
        return;
    if (date->day < 0 && date_number(&date->day, at, end, 1, 2))
        return;
    if (date->month < 0 && date_month(date, at, end))
        return;
    if (date->year < 0 && date_number(&date->year, at, end, 2, 4)) {
        if (date->year < 70)
            date->year += 2000;
        else if (date->year < 100)
            date->year += 1900;
    }
}

static bool date_is_part(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ':' ||
           (unsigned char)c >= 0x7f;
}

/* Days from 1970-01-01 of the Gregorian calendar. */
static int64_t date_days(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t skua__client_date(const char *text, size_t len)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct date date = {-1, -1, -1, -1, -1, -1};
    const char *end = text + len;
    int64_t seconds;

    while (text < end) {
        const char *word;

        while (text < end && !date_is_part(*text))
            text++;
        word = text;
        while (text < end && date_is_part(*text))
            text++;
        date_word(&date, word, text);
    }
    if (date.hour < 0 || date.day < 1 || date.month < 0 || date.year < 1601 || date.hour > 23 ||
        date.minute > 59 || date.second > 59 || date.day > days[date.month - 1])
        return -1;
    seconds = date_days(date.year, date.month, date.day) * 86400 + date.hour * 3600 +
              date.minute * 60 + date.second;
    return seconds > 0 ? seconds : 0; /* long ago */
}
