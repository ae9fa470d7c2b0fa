/* grpc_status.c - the codes of a call's end, and what a google.rpc.Status carries beside them.
 *
 *     message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
 *     message Any { string type_url = 1; bytes value = 2; }
 *     message RetryInfo { Duration retry_delay = 1; }
 *     message Duration { int64 seconds = 1; int32 nanos = 2; }
 *
 * Sources: grpc/doc/statuscodes.md, grpc/doc/http-grpc-status-mapping.md, google/rpc/status.proto
 * and error_details.proto.
 */
#include "http/grpc/grpc_impl.h"

static const char *const status_names[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

#define STATUS_COUNT ((int)(sizeof status_names / sizeof status_names[0]))
#define STATUS_PREFIX "type.googleapis.com/"

const char *skua_grpc_code_name(int code)
{
    return status_names[code >= 0 && code < STATUS_COUNT ? code : SKUA_GRPC_UNKNOWN];
}

static int status_of_error(int64_t code)
{
    static const struct {
        int error;
        int code;
    } table[] = {{-ECANCELED, SKUA_GRPC_CANCELLED},
                 {-ETIMEDOUT, SKUA_GRPC_DEADLINE_EXCEEDED},
                 {-EINVAL, SKUA_GRPC_INVALID_ARGUMENT},
                 {-ENOENT, SKUA_GRPC_NOT_FOUND},
                 {-EEXIST, SKUA_GRPC_ALREADY_EXISTS},
                 {-EACCES, SKUA_GRPC_PERMISSION_DENIED},
                 {-EPERM, SKUA_GRPC_PERMISSION_DENIED},
                 {-ENOMEM, SKUA_GRPC_RESOURCE_EXHAUSTED},
                 {-EMSGSIZE, SKUA_GRPC_RESOURCE_EXHAUSTED},
                 {SKUA_ELIMIT, SKUA_GRPC_RESOURCE_EXHAUSTED},
                 {-EBUSY, SKUA_GRPC_ABORTED},
                 {-ERANGE, SKUA_GRPC_OUT_OF_RANGE},
                 {-ENOSYS, SKUA_GRPC_UNIMPLEMENTED},
                 {-ENOTSUP, SKUA_GRPC_UNIMPLEMENTED},
                 {-EBADMSG, SKUA_GRPC_INTERNAL},
                 {SKUA_EUSAGE, SKUA_GRPC_INTERNAL},
                 {-EAGAIN, SKUA_GRPC_UNAVAILABLE},
                 {SKUA_ESTOPPED, SKUA_GRPC_UNAVAILABLE},
                 {SKUA_EEOF, SKUA_GRPC_UNAVAILABLE},
                 {SKUA_ECLOSED, SKUA_GRPC_UNAVAILABLE},
                 {-EPIPE, SKUA_GRPC_UNAVAILABLE},
                 {-ECONNRESET, SKUA_GRPC_UNAVAILABLE},
                 {-ECONNREFUSED, SKUA_GRPC_UNAVAILABLE},
                 {-ECONNABORTED, SKUA_GRPC_UNAVAILABLE},
                 {-EHOSTUNREACH, SKUA_GRPC_UNAVAILABLE},
                 {-ENETUNREACH, SKUA_GRPC_UNAVAILABLE}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].error == code)
            return table[i].code;
    return SKUA_GRPC_UNKNOWN;
}

int skua_grpc_code_of(int64_t result)
{
    if (result < 0)
        return status_of_error(result);
    return result < STATUS_COUNT ? (int)result : SKUA_GRPC_UNKNOWN;
}

int skua__grpc_code_of_http(int status)
{
    switch (status) {
    case 400:
    case 431:
        return SKUA_GRPC_INTERNAL;
    case 401:
        return SKUA_GRPC_UNAUTHENTICATED;
    case 403:
        return SKUA_GRPC_PERMISSION_DENIED;
    case 404:
        return SKUA_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return SKUA_GRPC_UNAVAILABLE;
    default:
        return SKUA_GRPC_UNKNOWN;
    }
}

int skua__grpc_code_of_reset(int64_t code)
{
    switch (code) {
    case 7: /* REFUSED_STREAM */
        return SKUA_GRPC_UNAVAILABLE;
    case 8: /* CANCEL */
        return SKUA_GRPC_CANCELLED;
    case 11: /* ENHANCE_YOUR_CALM */
        return SKUA_GRPC_RESOURCE_EXHAUSTED;
    case 12: /* INADEQUATE_SECURITY */
        return SKUA_GRPC_PERMISSION_DENIED;
    default:
        return SKUA_GRPC_INTERNAL;
    }
}

/* ---- details --------------------------------------------------------------------------------- */

/* Whether an Any's type is `type`: what is behind the last '/' of its URL. */
static bool status_any_is(const struct skua__proto_field *url, const char *type)
{
    size_t len = strlen(type);

    return url->wire == 2 && url->len > len && url->bytes[url->len - len - 1] == '/' &&
           memcmp(url->bytes + url->len - len, type, len) == 0;
}

/* Of an Any, the value if the type is the one that is looked for. */
static bool status_any(const struct skua__proto_field *any, const char *type, const void **ret,
                       size_t *len)
{
    struct skua__proto fields = skua__proto_of(any->bytes, any->len);
    struct skua__proto_field field;
    bool found = false;

    *ret = "";
    *len = 0;
    while (skua__proto_next(&fields, &field) == 1) {
        if (field.id == 1)
            found = status_any_is(&field, type);
        if (field.id == 2 && field.wire == 2) {
            *ret = field.bytes;
            *len = field.len;
        }
    }
    return found;
}

int skua_grpc_detail(const skua_grpc_status *status, const char *type, const void **ret,
                     size_t *len)
{
    struct skua__proto fields = skua__proto_of(status->details, status->details_len);
    struct skua__proto_field field;
    const void *value;
    size_t value_len;

    while (status->details != NULL && skua__proto_next(&fields, &field) == 1)
        if (field.id == 3 && field.wire == 2 && status_any(&field, type, &value, &value_len)) {
            *ret = value;
            *len = value_len;
            return 1;
        }
    return 0;
}

/* A Duration; what is negative is none. */
static int64_t status_duration(const struct skua__proto_field *duration)
{
    struct skua__proto fields = skua__proto_of(duration->bytes, duration->len);
    struct skua__proto_field field;
    int64_t seconds = 0, ns = 0;

    while (skua__proto_next(&fields, &field) == 1) {
        if (field.id == 1 && field.wire == 0)
            seconds = (int64_t)field.number;
        if (field.id == 2 && field.wire == 0)
            ns = (int64_t)field.number;
    }
    if (seconds < 0 || ns < 0 || ns >= SKUA_SECOND)
        return -1;
    return seconds < SKUA_FOREVER / SKUA_SECOND ? seconds * SKUA_SECOND + ns : SKUA_FOREVER;
}

int skua_grpc_retry_delay(const skua_grpc_status *status, int64_t *delay)
{
    struct skua__proto fields;
    struct skua__proto_field field;
    const void *info;
    size_t len;
    int64_t found = 0; /* without a Duration: at once */

    if (skua_grpc_detail(status, "google.rpc.RetryInfo", &info, &len) != 1)
        return 0;
    fields = skua__proto_of(info, len);
    while (skua__proto_next(&fields, &field) == 1)
        if (field.id == 1 && field.wire == 2)
            found = status_duration(&field);
    if (found < 0)
        return 0;
    *delay = found;
    return 1;
}

ssize_t skua_grpc_write_details(int code, const char *message, const char *type, const void *detail,
                                size_t detail_len, void *out, size_t size)
{
    struct skua__proto_out self = {.at = out, .room = size};

    skua__proto_put_number(&self, 1, (uint64_t)(int64_t)code);
    if (message != NULL && *message != '\0')
        skua__proto_put_bytes(&self, 2, message, strlen(message));
    if (type != NULL) {
        struct skua__proto_out any = {.at = NULL};
        size_t prefix = sizeof STATUS_PREFIX - 1, len = strlen(type);

        skua__proto_put_head(&any, 1, prefix + len);
        skua__proto_put_bytes(&any, 2, detail, detail_len);
        skua__proto_put_head(&self, 3, any.len + prefix + len);
        skua__proto_put_head(&self, 1, prefix + len);
        skua__proto_put_raw(&self, STATUS_PREFIX, prefix);
        skua__proto_put_raw(&self, type, len);
        skua__proto_put_bytes(&self, 2, detail, detail_len);
    }
    return self.len <= INT32_MAX ? (ssize_t)self.len : -EMSGSIZE;
}

ssize_t skua_grpc_write_retry_info(int64_t delay, void *out, size_t size)
{
    struct skua__proto_out self = {.at = out, .room = size};
    struct skua__proto_out duration = {.at = NULL};

    for (int i = 0; i < 2; i++) {
        struct skua__proto_out *at = i == 0 ? &duration : &self;

        if (i == 1)
            skua__proto_put_head(&self, 1, duration.len);
        skua__proto_put_number(at, 1, (uint64_t)(delay / SKUA_SECOND));
        skua__proto_put_number(at, 2, (uint64_t)(delay % SKUA_SECOND));
    }
    return (ssize_t)self.len;
}

/* ---- spans ----------------------------------------------------------------------------------- */

void skua__grpc_trace(skua_span *span, const char *name)
{
    const char *method = strrchr(name, '/');

    if (!skua_span_recording(span) || method == NULL)
        return;
    skua_span_rename(span, name);
    skua_span_set(span, SKUA_STR("rpc.system", "grpc"),
                  SKUA_TEXT("rpc.service", name, (size_t)(method - name)),
                  SKUA_STR("rpc.method", method + 1));
}

void skua__grpc_trace_end(skua_span *span, int code, bool server)
{
    bool ours = code == SKUA_GRPC_UNKNOWN || code == SKUA_GRPC_DEADLINE_EXCEEDED ||
                code == SKUA_GRPC_UNIMPLEMENTED || code == SKUA_GRPC_INTERNAL ||
                code == SKUA_GRPC_UNAVAILABLE || code == SKUA_GRPC_DATA_LOSS;

    if (!skua_span_recording(span))
        return;
    skua_span_set(span, SKUA_I64("rpc.grpc.status_code", code));
    if (code == SKUA_GRPC_OK || (server && !ours))
        return;
    skua_span_set(span, SKUA_STR("error.type", skua_grpc_code_name(code)));
    skua_span_set_status(span, SKUA_SPAN_ERROR, NULL);
}

void skua__grpc_trace_call(const skua_http_call *http, const char *name,
                           const skua_grpc_status *status)
{
    skua_span *span = http != NULL ? skua_http_call_span(http) : NULL;

    if (name != NULL)
        skua__grpc_trace(span, name);
    else
        skua__grpc_trace_end(span, status != NULL ? status->code : SKUA_GRPC_CANCELLED, false);
}

#undef STATUS_COUNT
#undef STATUS_PREFIX
