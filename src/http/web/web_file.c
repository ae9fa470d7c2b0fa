/* web_file.c - a file as a response: its version, conditions, ranges, and its bytes.
 *
 * Order      of conditions: RFC 9110, 13.2.2: If-Match, or If-Unmodified-Since; If-None-Match, or
 *            If-Modified-Since; then Range, if If-Range holds.
 * Lenient    what is malformed in a condition or a range is as if it were not there: the client
 *            gets the whole, which is never wrong. A tag that is malformed equals none.
 *
 * Sources: RFC 9110 (5.6.7, 8.8, 13, 14).
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <skua/http/static.h>
#include <skua/time.h>

#include "http/web/web_impl.h"

#define FILE_PIECE ((size_t)64 * 1024)
#define FILE_SENT ((uint64_t)256 * 1024)
#define FILE_TAG 48
#define FILE_NOWAIT 8 /* RWF_NOWAIT */

/* ---- times ----------------------------------------------------------------------------------- */

static int file_month(const char *name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (strncmp(months + (size_t)3 * (size_t)i, name, 3) == 0)
            return i;
    return -1;
}

/* A time of HTTP in any of its three forms: seconds since 1970, or -1: it is none. */
static int64_t file_time(const char *text)
{
    struct tm tm = {.tm_year = 0};
    char month[4] = "";
    int end = 0;

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 ||
        end == 0) {
        end = 0;
        if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
                   &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) == 6 &&
            end != 0)
            tm.tm_year += tm.tm_year < 70 ? 2000 : 1900;
        else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
                        &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &end) != 6)
            return -1;
    }
    tm.tm_mon = file_month(month);
    if (end == 0 || text[end] != '\0' || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
        tm.tm_sec > 60 || tm.tm_year < 1970)
        return -1;
    tm.tm_year -= 1900;
    return (int64_t)timegm(&tm);
}

/* ---- tags ------------------------------------------------------------------------------------ */

/* The length of a tag at the begin of a text: W/"…" or "…"; 0: there is none. */
static size_t file_tag(const char *text)
{
    size_t begin = strncmp(text, "W/", 2) == 0 ? 2 : 0;
    size_t len;

    if (text[begin] != '"')
        return 0;
    len = strcspn(text + begin + 1, "\" \t");
    return text[begin + 1 + len] == '"' ? begin + len + 2 : 0;
}

/* Whether a list of tags has this one. Strong: neither may be a weak one. */
static bool file_has_tag(const char *list, const char *tag, bool strong)
{
    size_t weak = tag != NULL && strncmp(tag, "W/", 2) == 0 ? 2 : 0;

    if (strcmp(list, "*") == 0)
        return true;
    while (tag != NULL && *(list += strspn(list, ", \t")) != '\0') {
        size_t len = file_tag(list);
        size_t other = strncmp(list, "W/", 2) == 0 ? 2 : 0;

        if (len == 0)
            return false;
        if (!(strong && (weak != 0 || other != 0)) && len - other == strlen(tag) - weak &&
            memcmp(list + other, tag + weak, len - other) == 0)
            return true;
        list += len;
    }
    return false;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static int64_t file_seconds(int64_t ns)
{
    return ns >= 0 ? ns / SKUA_SECOND : -1;
}

/* What the request's conditions make of it: 304, 412, or 0: go on. */
static int file_conditions(const skua_http_exchange *exchange, const char *tag, int64_t modified)
{
    const char *match = skua_http_header(exchange, "If-Match");
    const char *none_match = skua_http_header(exchange, "If-None-Match");
    const char *since = skua_http_header(exchange, "If-Modified-Since");
    const char *unmodified = skua_http_header(exchange, "If-Unmodified-Since");
    bool reads = strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
    int64_t seconds = file_seconds(modified);
    int64_t when;

    if (match != NULL && !file_has_tag(match, tag, true))
        return 412;
    if (match == NULL && unmodified != NULL && modified != 0) {
        when = file_time(unmodified);
        if (when >= 0 && seconds > when)
            return 412;
    }
    if (none_match != NULL)
        return !file_has_tag(none_match, tag, false) ? 0 : reads ? 304 : 412;
    if (since != NULL && reads && modified != 0) {
        when = file_time(since);
        if (when >= 0 && seconds <= when)
            return 304;
    }
    return 0;
}

/* Whether If-Range allows a range of this version; a time only when it is exactly the one. */
static bool file_if_range(const skua_http_exchange *exchange, const char *tag, int64_t modified)
{
    const char *text = skua_http_header(exchange, "If-Range");

    if (text == NULL)
        return true;
    if (file_tag(text) != 0)
        return text[file_tag(text)] == '\0' && file_has_tag(text, tag, true);
    return modified != 0 && file_time(text) == file_seconds(modified);
}

/* An error page has none of what was said of the file. */
static int file_refuse(skua_http_exchange *exchange, int status)
{
    static const char *const names[] = {"ETag", "Last-Modified", "Content-Encoding",
                                        "Cache-Control"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)skua_http_set_header(exchange, names[i], NULL); /* taking out cannot fail */
    return skua_http_refuse(exchange, status, NULL);
}

int skua_http_not_modified(skua_http_exchange *exchange, const char *etag, int64_t modified)
{
    int rc = etag != NULL && (file_tag(etag) == 0 || etag[file_tag(etag)] != '\0') ? -EINVAL : 0;
    char date[SKUA__HTTP_DATE];
    int status;

    if (rc == 0 && etag != NULL)
        rc = skua_http_set_header(exchange, "ETag", etag);
    skua__http_date(date, file_seconds(modified));
    if (rc == 0 && modified > 0 && file_seconds(modified) <= (int64_t)time(NULL))
        rc = skua_http_set_header(exchange, "Last-Modified", date);
    if (rc != 0)
        return rc;
    status = file_conditions(exchange, etag, modified);
    if (status == 0)
        return 0;
    if (status == 412)
        rc = file_refuse(exchange, status);
    else if ((rc = skua_http_set_status(exchange, status)) == 0) /* without a length: 8.6 */
        rc = (int)skua_http_write(exchange, "", 0);
    return rc < 0 ? rc : 1;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static uint64_t file_number(const char *digits, size_t len)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(digits[i] - '0');

        if (number > (UINT64_MAX - digit) / 10)
            return UINT64_MAX; /* beyond the end of any file */
        number = 10 * number + digit;
    }
    return number;
}

/* The range that is asked for: 1; 0: the whole; -ERANGE: there is nothing of it. Only with 1 it
 * sets from and len. */
static int file_range(const char *text, uint64_t size, uint64_t *from, uint64_t *len)
{
    const char *first = text + 6;
    const char *last;
    size_t digits, more;
    uint64_t begin, end;

    if (strlen(text) < 6 || !skua__http_same(text, "bytes=", 6))
        return 0;
    first += strspn(first, " \t");
    digits = strspn(first, "0123456789");
    last = first + digits + 1;
    if (first[digits] != '-')
        return 0;
    more = strspn(last, "0123456789");
    if (last[more] != '\0' || digits + more == 0)
        return 0;
    end = more != 0 ? file_number(last, more) : UINT64_MAX;
    if (digits == 0) { /* the last so many */
        begin = size - (end < size ? end : size);
        end = size;
    } else {
        begin = file_number(first, digits);
        if (more != 0 && end < begin)
            return 0;
        end = end < size ? end + 1 : size;
    }
    if (begin >= end)
        return -ERANGE;
    *from = begin;
    *len = end - begin;
    return 1;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Whether a byte is in the system's memory: reading it does not wait. */
static bool file_is_near(int number, uint64_t at)
{
#ifdef SYS_preadv2
    char byte;
    struct iovec iov = {&byte, 1};

    return syscall(SYS_preadv2, number, &iov, 1L, (long)at, (long)(at >> 32), FILE_NOWAIT) == 1;
#else
    (void)number;
    (void)at;
    return false;
#endif
}

/* A piece by way of our memory: its bytes, or an error. */
static ssize_t file_copy(skua_http_exchange *exchange, skua_file *file, char **piece, uint64_t from,
                         uint64_t len)
{
    ssize_t n;

    if (*piece == NULL)
        *piece =
            skua__http_arena_alloc(&exchange->arena, len < FILE_PIECE ? (size_t)len : FILE_PIECE);
    if (*piece == NULL)
        return -ENOMEM;
    n = skua_file_pread(file, *piece, len < FILE_PIECE ? (size_t)len : FILE_PIECE, (int64_t)from);
    if (n <= 0)
        return n;
    return skua_http_write(exchange, *piece, (size_t)n) < 0 ? exchange->error : n;
}

/* The kernel sends what it has in memory, of the connections that can; what would have it wait for
 * a disk, and the worker with it, is read first, which waits in another way. */
static ssize_t file_send(skua_http_exchange *exchange, int number, uint64_t from, uint64_t len)
{
    int64_t offset = (int64_t)from;

    if (len > FILE_SENT)
        len = FILE_SENT;
    if (len < FILE_PIECE || !file_is_near(number, from) || !file_is_near(number, from + len - 1))
        return -ENOTSUP;
    return (ssize_t)skua__http_exchange_sendfile(exchange, number, &offset, (int64_t)len);
}

static int file_stream(skua_http_exchange *exchange, skua_file *file, uint64_t from, uint64_t len)
{
    int number = exchange->carrier->sendfile != NULL ? skua_file_number(file) : -1;
    char *piece = NULL;

    while (len != 0) {
        ssize_t n = number >= 0 ? file_send(exchange, number, from, len) : -ENOTSUP;

        if (n == -ENOTSUP)
            n = file_copy(exchange, file, &piece, from, len);
        if (n <= 0)
            return n == 0 ? -EIO : (int)n; /* it has become shorter than it was */
        from += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int file_header_number(skua_http_exchange *exchange, const char *name, const char *format,
                              uint64_t a, uint64_t b, uint64_t c)
{
    char text[96];

    (void)snprintf(text, sizeof text, format, (unsigned long long)a, (unsigned long long)b,
                   (unsigned long long)c);
    return skua_http_set_header(exchange, name, text);
}

/* The head of the whole or of a range, which it finds; 1: that was all. */
static int file_head(skua_http_exchange *exchange, const skua_metadata *metadata, const char *tag,
                     uint64_t *from, uint64_t *len)
{
    const char *text = skua_http_header(exchange, "Range");
    bool head = strcmp(exchange->method, "HEAD") == 0;
    int range = 0;
    int rc = skua_http_set_header(exchange, "Accept-Ranges", "bytes");

    *from = 0;
    *len = metadata->size;
    if (text != NULL && !head && file_if_range(exchange, tag, metadata->modified))
        range = file_range(text, metadata->size, from, len);
    if (range == -ERANGE) {
        rc = file_header_number(exchange, "Content-Range", "bytes */%llu", metadata->size, 0, 0);
        if (rc == 0)
            rc = file_refuse(exchange, 416);
        return rc == 0 ? 1 : rc;
    }
    if (rc == 0 && range == 1) {
        (void)skua_http_set_status(exchange, 206);
        rc = file_header_number(exchange, "Content-Range", "bytes %llu-%llu/%llu", *from,
                                *from + *len - 1, metadata->size);
    }
    if (rc == 0)
        rc = file_header_number(exchange, "Content-Length", "%llu", *len, 0, 0);
    if (rc == 0)
        rc = (int)skua_http_write(exchange, "", 0); /* the head */
    return rc == 0 ? head : rc;
}

int skua_http_send_file(skua_http_exchange *exchange, skua_file *file, const char *type)
{
    skua_metadata metadata;
    char tag[FILE_TAG];
    uint64_t from, len;
    int rc = skua_file_metadata(file, &metadata);

    if (rc != 0)
        return rc;
    if (metadata.kind != SKUA_FILE_REGULAR)
        return -EINVAL;
    (void)snprintf(tag, sizeof tag, "\"%llx-%llx\"", (unsigned long long)metadata.size,
                   (unsigned long long)metadata.modified);
    rc = skua_http_not_modified(exchange, tag, metadata.modified);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (type != NULL)
        rc = skua_http_set_header(exchange, "Content-Type", type);
    if (rc == 0)
        rc = file_head(exchange, &metadata, tag, &from, &len);
    if (rc == 0)
        rc = file_stream(exchange, file, from, len);
    return rc < 0 ? rc : 0;
}

#undef FILE_PIECE
#undef FILE_SENT
#undef FILE_NOWAIT
#undef FILE_TAG
