/* download.c - one download: asks, writes, and when it breaks off asks for the rest.
 *
 *   nothing there    GET
 *   a part           GET, Range: bytes=N-, If-Range: its tag
 *
 *   200    the whole: the part begins anew
 *   206    the rest, if its Content-Range begins at N; else that is a malformed answer
 *   416    there is no rest: the part is whole, if it has the length that is told; else anew
 *
 * Tried again, with pauses that grow (or as Retry-After says): what the network did, and 408, 429,
 * 500, 502, 503, 504. Each try goes on where the one before has ended, if the server can do that
 * and says what version it serves: an ETag that is not weak, or a date (RFC 9110, 13.1.5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

#define PIECE 16384
#define RETRY_AFTER_MAX (60 * SKUA_SECOND)

/* What belongs to a try. */
struct attempt {
    struct fetch *fetch;
    struct download *download;
    struct part *part;
    int64_t hint; /* ns, by Retry-After; 0: none */
};

/* ---- answers --------------------------------------------------------------------------------- */

/* What this version can be asked for by; "": nothing. */
static const char *attempt_tag(skua_http_response *response)
{
    const char *etag = skua_http_response_header(response, "ETag");
    const char *modified = skua_http_response_header(response, "Last-Modified");
    const char *date = skua_http_response_header(response, "Date");

    if (etag != NULL && *etag == '"')
        return etag;
    /* A date tells versions apart when it lies a second back: RFC 9110, 8.8.2.2. */
    if (etag == NULL && modified != NULL && date != NULL && strcmp(modified, date) != 0)
        return modified;
    return "";
}

/* "bytes 5-9/10": first byte and total; -1: not known. False: it is none. */
static bool attempt_range(skua_http_response *response, int64_t *first, int64_t *total)
{
    const char *range = skua_http_response_header(response, "Content-Range");
    int64_t last;
    int used = 0;

    *first = *total = -1;
    if (range == NULL)
        return false;
    if (sscanf(range, "bytes */%" SCNd64 "%n", total, &used) == 1 && range[used] == '\0')
        return true;
    if (sscanf(range, "bytes %" SCNd64 "-%" SCNd64 "/%n", first, &last, &used) < 2 || used == 0 ||
        *first < 0 || last < *first)
        return false;
    if (strcmp(range + used, "*") == 0)
        return true;
    return sscanf(range + used, "%" SCNd64, total) == 1 && *total > last;
}

/* What the head says: 0: its body is to be written; 1: all is there; or an error. */
static int attempt_head(struct attempt *attempt, skua_http_response *response)
{
    struct download *download = attempt->download;
    struct part *part = attempt->part;
    int64_t length = skua_http_response_length(response);
    const char *after = skua_http_response_header(response, "Retry-After");
    int64_t first, total;
    int rc;

    download->status = skua_http_response_status(response);
    switch (download->status) {
    case 200:
        rc = part_restart(part, download, attempt_tag(response));
        atomic_store(&download->resume, 0);
        total = length;
        break;
    case 206:
        if (!attempt_range(response, &first, &total) || first != part->have)
            return -EBADMSG;
        rc = 0;
        break;
    case 416:
        if (part->have != 0 && attempt_range(response, &first, &total) && total == part->have)
            return 1;
        rc = part_restart(part, download, NULL);
        return rc == 0 ? -EAGAIN : rc;
    default:
        attempt->hint = after != NULL ? strtoll(after, NULL, 10) : 0;
        attempt->hint = attempt->hint < 0 || attempt->hint > RETRY_AFTER_MAX / SKUA_SECOND
                            ? RETRY_AFTER_MAX
                            : attempt->hint * SKUA_SECOND;
        return -EREMOTEIO;
    }
    atomic_store(&download->total, total);
    atomic_store(&download->have, part->have);
    return rc;
}

static int attempt_body(struct attempt *attempt, skua_http_response *response)
{
    struct fetch *fetch = attempt->fetch;
    char buf[PIECE];
    ssize_t n;

    while ((n = skua_http_response_read(response, buf, sizeof buf)) > 0) {
        int rc = part_write(attempt->part, buf, (size_t)n);

        if (rc == 0)
            atomic_store(&attempt->download->have, attempt->part->have);
        if (rc == 0 && fetch->options->rate != 0)
            rc = skua_rate_limiter_acquire(&fetch->rate, (uint64_t)n);
        if (rc != 0)
            return rc;
    }
    return (int)n;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int attempt_run(struct attempt *attempt)
{
    struct part *part = attempt->part;
    skua_http_field headers[3] = {{"Accept-Encoding", "identity"}};
    skua_http_response *response;
    char range[40];
    int rc;

    (void)snprintf(range, sizeof range, "bytes=%" PRId64 "-", part->have);
    headers[1] = (skua_http_field){"Range", range};
    headers[2] = (skua_http_field){"If-Range", part->tag};
    attempt->hint = 0;
    attempt->download->status = 0;
    if (part->tag[0] == '\0')
        part->have = 0;
    rc = skua_http_client_send(attempt->fetch->client,
                               SKUA_HTTP_REQUEST(.url = attempt->download->url, .headers = headers,
                                                 .headers_count = part->have != 0 ? 3 : 1),
                               &response);
    if (rc != 0)
        return rc;
    rc = attempt_head(attempt, response);
    if (rc == 0)
        rc = attempt_body(attempt, response);
    skua_http_response_close(response);
    return rc < 0 ? rc : 0;
}

/* Whether another try may go better. */
static bool attempt_again(const struct attempt *attempt, int rc)
{
    int status = attempt->download->status;

    if (rc == -EREMOTEIO)
        return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
    return rc == SKUA_EEOF || rc == -EBADMSG || rc == -EAGAIN || rc == -ECONNREFUSED ||
           rc == -ECONNRESET || rc == -ECONNABORTED || rc == -EPIPE || rc == -ETIMEDOUT ||
           rc == -EHOSTUNREACH || rc == -ENETUNREACH;
}

/* Until it is whole, or there is no sense in trying. */
static int download_try(struct attempt *attempt, const struct options *options)
{
    struct download *download = attempt->download;
    skua_backoff backoff;
    int rc = skua_backoff_init(&backoff,
                               SKUA_BACKOFF_OPTIONS(.initial = 200 * SKUA_MILLISECOND,
                                                    .attempts = (uint32_t)options->retries + 1));

    while (rc == 0) {
        int64_t pause;

        rc = attempt_run(attempt);
        if (rc == 0)
            return 0;
        if (!attempt_again(attempt, rc))
            break;
        pause = skua_backoff_next_after(&backoff, attempt->hint);
        if (pause < 0)
            break;
        atomic_fetch_add(&download->retries, 1);
        atomic_store(&download->state, STATE_PAUSED);
        rc = skua_sleep(pause);
        atomic_store(&download->state, STATE_RUNNING);
    }
    return rc;
}

void download_run(struct fetch *fetch, struct download *download)
{
    struct part part;
    struct attempt attempt = {fetch, download, &part, 0};
    int closed;
    int rc = 0;

    atomic_store(&download->state, STATE_RUNNING);
    if (!fetch->options->force && skua_fs_exists(download->name) != 0)
        rc = -EEXIST;
    if (rc == 0)
        rc = part_open(&part, download);
    if (rc == 0) {
        atomic_store(&download->resume, part.have);
        atomic_store(&download->have, part.have);
        rc = download_try(&attempt, fetch->options);
        /* Closed and named also when we are told to stop. */
        (void)skua_shield_begin();
        closed = part_close(&part, download, rc == 0);
        (void)skua_shield_end();
        rc = rc == 0 ? closed : rc;
    }
    download->rc = rc;
    atomic_store(&download->state, rc == 0 ? STATE_DONE : STATE_FAILED);
}
