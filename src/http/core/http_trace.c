/* http_trace.c - a server's span: around the handler of each request, whatever protocol brings it.
 *
 *   begin    the parent is read out of the request's headers; a request without one begins a trace
 *   current  in the handler's fiber: what it makes, spawns or asks for is inside
 *   route    gives it its name, before the route's handler is called, which may give another one
 *   end      when the response is whole, or cut; of an upgrade with its 101: what the connection
 *            does from then on is no answer any more, but has this span for its parent
 *
 * Without an SDK what came in is current nevertheless, so that it goes out with what is asked for.
 *
 * Metrics  of the same requests, from begin to end (http_measure.h).
 *
 * Cost     off: three loads. Else the frame of what is read is left before the handler is called: a
 *          fiber's stack is dear.
 */
#include <skua/task.h>

#include "http/core/http_trace.h"

/* A name with its method. */
#define TRACE_NAME 256
/* Attributes that a span begins with. */
#define TRACE_ATTRS 12

static skua_tracer trace_server = SKUA_TRACER("skua.http.server", SKUA_VERSION);

/* ---- what a request says --------------------------------------------------------------------- */

/* Headers of a request, to be read by propagators. */
struct trace_fields {
    skua_carrier carrier;
    const struct skua__http_fields *fields;
};

static const char *trace_get(const skua_carrier *self, const char *name, size_t index,
                             size_t *ret_len)
{
    const struct skua__http_fields *fields = ((const struct trace_fields *)self)->fields;
    const struct skua__http_field *at = NULL;
    size_t len = strlen(name), from = 0;

    do {
        at = skua__http_fields_find(fields, name, len, from);
        if (at == NULL)
            return NULL;
        from = (size_t)(at - fields->at) + 1;
    } while (index-- != 0);
    *ret_len = at->value_len;
    return at->value;
}

static const char *trace_key(const skua_carrier *self, size_t index)
{
    const struct skua__http_fields *fields = ((const struct trace_fields *)self)->fields;

    return index < fields->count ? fields->at[index].name : NULL;
}

/* The span begins with these: samplers see them. Their count. */
static size_t trace_describe(const skua_http_exchange *exchange, skua_attr attrs[TRACE_ATTRS],
                             char room[SKUA__HTTP_TRACE_QUERY])
{
    const char *method = skua__http_trace_method(exchange->method);
    const struct skua__http_field *agent =
        skua__http_fields_find(&exchange->request, "user-agent", 10, 0);
    struct skua__http_trace_peer server = skua__http_trace_peer(exchange->authority);
    struct skua__http_trace_peer client = skua__http_trace_peer(exchange->peer);
    size_t count = 0, len;

    attrs[count++] = SKUA_STR("http.request.method", method);
    if (strcmp(method, exchange->method) != 0)
        attrs[count++] = SKUA_STR("http.request.method_original", exchange->method);
    attrs[count++] = SKUA_STR("url.path", exchange->path);
    attrs[count++] = SKUA_STR("url.scheme", exchange->secure ? "https" : "http");
    if (*exchange->query != '\0') {
        const char *query = skua__http_trace_query(exchange->query, strlen(exchange->query), room,
                                                   SKUA__HTTP_TRACE_QUERY, &len);

        attrs[count++] = SKUA_TEXT("url.query", query, len);
    }
    if (server.host_len != 0) {
        attrs[count++] = SKUA_TEXT("server.address", server.host, server.host_len);
        attrs[count++] = SKUA_I64("server.port", server.port != 0   ? server.port
                                                 : exchange->secure ? 443
                                                                    : 80);
    }
    if (client.host_len != 0) {
        attrs[count++] = SKUA_TEXT("client.address", client.host, client.host_len);
        if (client.port != 0)
            attrs[count++] = SKUA_I64("client.port", client.port);
    }
    attrs[count++] =
        SKUA_STR("network.protocol.version", skua__http_trace_version(exchange->version));
    if (agent != NULL)
        attrs[count++] = SKUA_TEXT("user_agent.original", agent->value, agent->value_len);
    return count;
}

static skua_span *trace_start(const skua_http_exchange *exchange, const skua_span_context *parent)
{
    char room[SKUA__HTTP_TRACE_QUERY];
    skua_attr attrs[TRACE_ATTRS];
    bool remote = skua_span_context_valid(parent) != 0;
    size_t count = trace_describe(exchange, attrs, room);

    return skua_span_start(&trace_server, skua__http_trace_name(exchange->method),
                           SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_SERVER,
                                             .parent = remote ? parent : NULL, .root = !remote,
                                             .attrs = attrs, .attrs_count = count));
}

/* Not inlined: what is read here is not to lie under the handler. */
__attribute__((noinline)) static void trace_begin(skua_http_exchange *exchange,
                                                  struct skua__http_trace *trace)
{
    struct trace_fields fields = {{trace_get, NULL, trace_key}, &exchange->request};
    skua_propagated what;

    if (skua_extract(&fields.carrier, &what) != 0)
        what = (skua_propagated){.own = 0}; /* no memory: it begins a trace of its own */
    exchange->span = SKUA_TRACE_ON() ? trace_start(exchange, &what.span) : NULL;
    if (exchange->span != NULL)
        what.span = (skua_span_context){.trace_state = NULL}; /* it is the span's parent */
    (void)skua_propagation_attach(&trace->incoming, &what);
    (void)skua_span_enter(&trace->frame, exchange->span);
    skua_propagated_free(&what);
}

/* ---- the route ------------------------------------------------------------------------------- */

void skua__http_trace_route(skua_http_exchange *exchange)
{
    const char *method = skua__http_trace_name(exchange->method);
    size_t method_len = strlen(method);
    size_t len = strnlen(exchange->route, TRACE_NAME - method_len - 2);
    char name[TRACE_NAME];

    if (!skua_span_recording(exchange->span))
        return;
    memcpy(name, method, method_len);
    name[method_len] = ' ';
    memcpy(name + method_len + 1, exchange->route, len);
    name[method_len + 1 + len] = '\0';
    skua_span_rename(exchange->span, name);
    skua_span_set(exchange->span, SKUA_STR("http.route", exchange->route));
}

/* ---- the end --------------------------------------------------------------------------------- */

/* While the span is current: its ids are an example of the value. */
static void trace_measure(skua_http_exchange *exchange, int status, int error)
{
    char number[SKUA__HTTP_TRACE_NUMBER];
    struct skua__http_measured what = {
        .method = skua__http_trace_method(exchange->method),
        .secure = exchange->secure,
        .route = exchange->route,
        .version = skua__http_trace_version(exchange->version),
        .status = status,
        .error = skua__http_trace_error(status, 500, error, number),
    };

    exchange->measured = false;
    skua__http_measure_end(&what, skua_now() - exchange->began);
}

void skua__http_trace_end(skua_http_exchange *exchange, int code, int error)
{
    skua_span *span = exchange->span;
    /* Of an answer that nobody has got a head of there is no status. */
    int status = exchange->begun ? exchange->status : 0;

    if (error == 0 && exchange->status >= 500)
        error = code < 0 ? code : 0;
    if (exchange->measured)
        trace_measure(exchange, status, error);
    if (span == NULL)
        return;
    exchange->span = NULL;
    skua__http_trace_status(span, status, 500, error);
    skua_span_end(span);
}

/* ---- around the handler ---------------------------------------------------------------------- */

static int trace_run(skua_http_exchange *exchange, skua_http_handler handler, void *state,
                     int64_t timeout, int *code)
{
    skua_deadline frame;

    if (timeout != SKUA_FOREVER)
        (void)skua_deadline_begin(&frame, skua__http_deadline(timeout, SKUA_FOREVER));
    *code = handler(exchange, state);
    if (timeout != SKUA_FOREVER)
        (void)skua_deadline_end(&frame);
    return skua__http_exchange_finish(exchange, *code);
}

int skua__http_exchange_run(skua_http_exchange *exchange, skua_http_handler handler, void *state,
                            int64_t timeout)
{
    struct skua__http_trace trace;
    int code, rc;

    exchange->began = skua_now();
    exchange->span = NULL;
    exchange->measured = SKUA_METRIC_ON() && !skua_trace_suppressed();
    if (exchange->measured)
        skua__http_measure_begin(skua__http_trace_method(exchange->method), exchange->secure);
    if (__builtin_expect(!skua__http_trace_on(), 1)) {
        rc = trace_run(exchange, handler, state, timeout, &code);
        skua__http_trace_end(exchange, code, rc);
        return rc;
    }
    trace_begin(exchange, &trace);
    rc = trace_run(exchange, handler, state, timeout, &code);
    skua__http_trace_end(exchange, code, rc);
    (void)skua_span_leave(&trace.frame);
    (void)skua_propagation_end(&trace.incoming);
    return rc;
}

#undef TRACE_NAME
#undef TRACE_ATTRS
