/* http_trace_text.c - how requests are described on spans: few names, nothing secret.
 *
 * Source: OpenTelemetry semantic conventions: http-spans, url (redaction of query parameters).
 */
#include <stdio.h>

#include "http/core/http_trace.h"

struct skua__http_trace_peer skua__http_trace_peer(const char *address)
{
    const char *colon = strrchr(address, ':');
    const char *bracket = strrchr(address, ']');
    size_t len = strlen(address);
    struct skua__http_trace_peer peer = {address, len, 0};

    if (colon != NULL && (bracket != NULL ? colon > bracket : strchr(address, ':') == colon)) {
        peer.port = skua__http_number(colon + 1, strlen(colon + 1));
        peer.host_len = (size_t)(colon - address);
        if (peer.port < 0)
            peer.port = 0;
    }
    if (peer.host_len > 1 && peer.host[0] == '[' && peer.host[peer.host_len - 1] == ']') {
        peer.host++;
        peer.host_len -= 2;
    }
    return peer;
}

const char *skua__http_trace_method(const char *method)
{
    static const char *const known[] = {"GET",     "POST",  "PUT",     "DELETE", "HEAD",
                                        "OPTIONS", "PATCH", "CONNECT", "TRACE",  "QUERY"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return "_OTHER";
}

const char *skua__http_trace_name(const char *method)
{
    method = skua__http_trace_method(method);
    return *method != '_' ? method : "HTTP";
}

const char *skua__http_trace_version(int version)
{
    return version == 20 ? "2" : version == 10 ? "1.0" : "1.1";
}

/* ---- queries --------------------------------------------------------------------------------- */

/* Whether a parameter signs: whoever reads it may ask the same again. */
static bool trace_is_secret(const char *name, size_t len)
{
    static const char *const secret[] = {"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"};

    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (strlen(secret[i]) == len && memcmp(secret[i], name, len) == 0)
            return true;
    return false;
}

/* One parameter, with what stands in front of it; false: there is no room. */
static bool trace_put_param(char *room, size_t size, size_t *used, const char *param, size_t len,
                            bool first)
{
    const char *equals = memchr(param, '=', len);
    size_t name = equals != NULL ? (size_t)(equals - param) : len;
    bool secret = equals != NULL && trace_is_secret(param, name);
    int n = snprintf(room + *used, size - *used, "%s%.*s%s", first ? "" : "&",
                     (int)(secret ? name + 1 : len), param, secret ? "REDACTED" : "");

    if (n < 0 || (size_t)n >= size - *used)
        return false;
    *used += (size_t)n;
    return true;
}

const char *skua__http_trace_query(const char *query, size_t len, char *room, size_t size,
                                   size_t *ret_len)
{
    bool secret = false;
    size_t used = 0;

    for (size_t at = 0, end; at < len && !secret; at = end + 1) {
        const char *amp = memchr(query + at, '&', len - at);
        const char *equals;

        end = amp != NULL ? (size_t)(amp - query) : len;
        equals = memchr(query + at, '=', end - at);
        secret = equals != NULL && trace_is_secret(query + at, (size_t)(equals - query) - at);
    }
    *ret_len = len;
    if (!secret)
        return query;
    for (size_t at = 0, end; at < len; at = end + 1) {
        const char *amp = memchr(query + at, '&', len - at);

        end = amp != NULL ? (size_t)(amp - query) : len;
        if (end - at > INT32_MAX ||
            !trace_put_param(room, size, &used, query + at, end - at, at == 0))
            break; /* what is left is left out: better short than told */
    }
    *ret_len = used;
    return room;
}

/* ---- the end --------------------------------------------------------------------------------- */

const char *skua__http_trace_error(int status, int from, int error,
                                   char room[SKUA__HTTP_TRACE_NUMBER])
{
    if (error != 0)
        return skua_error_name(error);
    if (status < from)
        return NULL;
    (void)snprintf(room, SKUA__HTTP_TRACE_NUMBER, "%d", status);
    return room;
}

void skua__http_trace_status(skua_span *span, int status, int from, int error)
{
    char number[SKUA__HTTP_TRACE_NUMBER];
    const char *type;

    if (!skua_span_recording(span))
        return;
    if (status != 0)
        skua_span_set(span, SKUA_I64("http.response.status_code", status));
    type = skua__http_trace_error(status, from, error, number);
    if (type == NULL)
        return;
    skua_span_set(span, SKUA_STR("error.type", type));
    skua_span_set_status(span, SKUA_SPAN_ERROR, error != 0 ? skua_strerror(error) : NULL);
}
