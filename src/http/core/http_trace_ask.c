/* http_trace_ask.c - a client's span: one each time that a request is sent.
 *
 *   start    before a connection is asked for: time in line counts
 *   written  its context, in place of fields of those names: a gateway's are its client's
 *   end      with the head of the answer; a body may be read for as long as its reader likes. Of a
 *            call, which is both ways, when it is closed
 *
 * It is not current: the caller's code does not run inside. Where telemetry is suppressed nothing
 * is written: who carries telemetry away is not part of a trace.
 */
#include "http/core/http_trace.h"

static skua_tracer trace_client = SKUA_TRACER("skua.http.client", SKUA_VERSION);

/* ---- written into the headers ---------------------------------------------------------------- */

struct trace_out {
    skua_carrier carrier;
    struct skua__http_fields *fields;
    struct skua__http_arena *arena;
};

static int trace_set(skua_carrier *self, const char *name, const char *value, size_t len)
{
    struct trace_out *out = (struct trace_out *)self;
    size_t name_len = strlen(name);
    struct skua__http_field field = {.name_len = (uint32_t)name_len, .value_len = (uint32_t)len};
    struct skua__http_field *at;

    if (!skua__http_is_token(name, name_len) || !skua__http_is_value(value, len))
        return 0; /* of a propagator that is not of HTTP */
    field.name = skua__http_arena_copy(out->arena, name, name_len);
    field.value = skua__http_arena_copy(out->arena, value, len);
    if (field.name == NULL || field.value == NULL)
        return -ENOMEM;
    skua__http_fields_remove(out->fields, name, name_len);
    at = skua__http_fields_add(out->fields, out->arena);
    if (at == NULL)
        return -ENOMEM;
    *at = field;
    return 0;
}

static void trace_inject(const skua_span *span, struct skua__http_fields *fields,
                         struct skua__http_arena *arena)
{
    const skua_propagator *propagator = skua_propagation();
    struct trace_out out = {{NULL, trace_set, NULL}, fields, arena};
    skua_propagated what;

    skua_propagated_current(&what);
    if (span != NULL)
        (void)skua_span_context_of(span, &what.span);
    (void)propagator->inject(propagator, &what, &out.carrier); /* no memory: it goes without */
}

/* ---- the span -------------------------------------------------------------------------------- */

static skua_span *trace_ask(const struct skua__http_trace_ask *ask)
{
    const char *method = skua__http_trace_method(ask->method);
    const char *mark = strchr(ask->url, '?');
    struct skua__http_trace_peer server = skua__http_trace_peer(ask->address);
    char room[SKUA__HTTP_TRACE_QUERY];
    char *whole = NULL;
    skua_attr attrs[6];
    size_t count = 0, len;

    attrs[count++] = SKUA_STR("http.request.method", method);
    if (strcmp(method, ask->method) != 0)
        attrs[count++] = SKUA_STR("http.request.method_original", ask->method);
    attrs[count++] = SKUA_TEXT("server.address", server.host, server.host_len);
    attrs[count++] = SKUA_I64("server.port", server.port);
    attrs[count++] = SKUA_STR("url.full", ask->url);
    if (mark != NULL) {
        const char *query =
            skua__http_trace_query(mark + 1, strlen(mark + 1), room, sizeof room, &len);

        if (query == room) {
            size_t front = (size_t)(mark - ask->url) + 1;

            whole = skua__http_raw(front + len);
            if (whole != NULL) {
                memcpy(whole, ask->url, front);
                memcpy(whole + front, room, len);
            }
            attrs[count - 1] = SKUA_TEXT("url.full", whole != NULL ? whole : ask->url,
                                         whole != NULL ? front + len : front);
        }
    }
    if (ask->resend != 0)
        attrs[count++] = SKUA_I64("http.request.resend_count", ask->resend);
    skua_span *span = skua_span_start(
        &trace_client, skua__http_trace_name(ask->method),
        SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_CLIENT, .attrs = attrs, .attrs_count = count));
    skua__http_free(whole);
    return span;
}

skua_span *skua__http_trace_ask(const struct skua__http_trace_ask *ask,
                                struct skua__http_fields *fields, struct skua__http_arena *arena)
{
    skua_span *span = NULL;

    if (skua_trace_suppressed())
        return NULL;
    if (SKUA_TRACE_ON())
        span = trace_ask(ask);
    trace_inject(span, fields, arena);
    return span;
}

void skua__http_trace_answered(skua_span *span, int rc, int status, int version)
{
    if (span == NULL)
        return;
    if (rc == 0)
        skua_span_set(span,
                      SKUA_STR("network.protocol.version", skua__http_trace_version(version)));
    skua__http_trace_status(span, rc == 0 ? status : 0, 400, rc);
}
