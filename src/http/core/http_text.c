/* http_text.c - small texts: phrases, dates, percent-encoding, numbers.
 *
 * Sources: RFC 9110 (15: status codes; 5.6.7: dates), RFC 3986 (2.1), the forms of HTML.
 */
#include <stdio.h>
#include <time.h>

#include "http/core/http_impl.h"

struct text_reason {
    int status;
    const char *phrase;
};

static const struct text_reason text_reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

const char *skua_http_reason(int status)
{
    for (size_t i = 0; i < sizeof text_reasons / sizeof text_reasons[0]; i++)
        if (text_reasons[i].status == status)
            return text_reasons[i].phrase;
    return "";
}

int skua_http_status_of(int64_t code)
{
    switch (code) {
    case -ENOENT:
        return 404;
    case -EACCES:
    case -EPERM:
        return 403;
    case -EINVAL:
    case -EBADMSG:
        return 400;
    case -EEXIST:
    case -EBUSY:
        return 409;
    case SKUA_ELIMIT:
        return 413;
    case -ETIMEDOUT:
        return 504;
    case -ECANCELED:
    case -EAGAIN:
    case SKUA_ESTOPPED:
        return 503;
    default:
        return 500;
    }
}

void skua__http_date(char out[SKUA__HTTP_DATE], int64_t seconds)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t when = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    (void)snprintf(out, SKUA__HTTP_DATE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                   days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

static int text_hex(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t skua__http_decode(char *out, const char *text, size_t len, bool form)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < len ? text_hex((unsigned char)text[i + 1]) : -1;
            int low = high >= 0 ? text_hex((unsigned char)text[i + 2]) : -1;

            if (low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (form && c == '+') {
            c = ' ';
        }
        if (c == '\0')
            return -1;
        out[n++] = c;
    }
    return (ssize_t)n;
}

int64_t skua__http_number(const char *text, size_t len)
{
    int64_t number = 0;

    if (len == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || number > (INT64_MAX - 9) / 10)
            return -1;
        number = 10 * number + (text[i] - '0');
    }
    return number;
}
