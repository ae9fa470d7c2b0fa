/* client_call.c - calls: a stream of HTTP/2 that is written and read at the same time.
 *
 * A call is a response that has its stream until the call is closed. The writer's fields are the
 * writer's, the reader's the reader's, and what both need of the stream they find under its
 * connection's mutex: so there is no lock here.
 */
#include <skua/http/call.h>

#include "http/client/client_impl.h"
#include "http/core/http_trace.h"

struct skua_http_call {
    skua_http_response response; /* the reader's; its connection and stream are constant */
    struct skua__client_url url; /* constant */
    bool has_head;               /* the reader's */
    int head_error;              /* the reader's; 0: none */
    bool ended;                  /* the writer's: END_STREAM is on its way */
    bool counted;                /* constant: .body_length was said */
    int64_t left;                /* the writer's; bytes of that */
};

int skua_http_client_open(skua_http_client *client, const skua_http_request *request,
                          skua_http_call **ret)
{
    int rc = skua__client_check(request, true);
    skua_http_call *call;

    if (rc != 0)
        return rc;
    call = skua__http_malloc(sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&client->mutex);
    client->busy++;
    pthread_mutex_unlock(&client->mutex);
    call->counted = request->body_length != 0;
    call->left = request->body_length;
    rc = skua__client_begin(client, request, &call->response, true);
    if (rc == 0)
        rc = skua__client_url_parse(&call->url, &call->response.arena, request->url);
    call->response.called = true;
    if (rc != 0)
        skua_http_call_close(call);
    else
        *ret = call;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int call_write(skua_http_call *call, const void *buf, size_t len, bool end, int64_t timeout,
                      int64_t deadline)
{
    int rc;

    if (call->ended)
        return end && len == 0 ? 0 : -EPIPE;
    if (call->counted && ((uint64_t)call->left < len || (end && (uint64_t)call->left != len)))
        return -EMSGSIZE;
    if (deadline > call->response.deadline)
        deadline = call->response.deadline;
    call->left -= call->counted ? (int64_t)len : 0;
    rc = skua__h2c_write(call->response.stream, buf, len, end, timeout, deadline);
    call->ended = rc == 0 && end;
    return rc;
}

int skua_http_call_write(skua_http_call *call, const void *buf, size_t len)
{
    return call_write(call, buf, len, false, call->response.client->options.write_timeout,
                      SKUA_FOREVER);
}

int skua_http_call_write_until(skua_http_call *call, const void *buf, size_t len, int64_t deadline)
{
    return call_write(call, buf, len, false, SKUA_FOREVER, deadline);
}

int skua_http_call_write_end(skua_http_call *call, const void *buf, size_t len)
{
    return call_write(call, buf, len, true, call->response.client->options.write_timeout,
                      SKUA_FOREVER);
}

int skua_http_call_end(skua_http_call *call)
{
    return skua_http_call_write_end(call, NULL, 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

int skua_http_call_response_until(skua_http_call *call, skua_http_response **ret, int64_t deadline)
{
    skua_http_response *response = &call->response;
    int rc = call->head_error;

    if (rc == 0 && !call->has_head) {
        if (deadline > response->deadline)
            deadline = response->deadline;
        rc = skua__h2c_head(response->stream, &response->head, deadline);
        if (rc == 0)
            rc = skua__client_response_cookies(response, &call->url);
        call->has_head = rc == 0;
        if (rc == 0)
            skua__http_trace_answered(response->span, 0, response->head.status,
                                      response->head.version);
        if (rc != 0 && rc != -ETIMEDOUT && rc != -ECANCELED)
            call->head_error = rc;
        if (call->head_error != 0)
            skua__http_trace_answered(response->span, rc, 0, 0);
    }
    if (rc == 0)
        *ret = response;
    return rc;
}

int skua_http_call_response(skua_http_call *call, skua_http_response **ret)
{
    int64_t timeout = call->response.client->options.head_timeout;

    return skua_http_call_response_until(call, ret, skua__http_deadline(timeout, SKUA_FOREVER));
}

/* ---- the end --------------------------------------------------------------------------------- */

void skua_http_call_cancel(skua_http_call *call, uint32_t code)
{
    skua__h2c_cancel(call->response.stream, code, -ECONNABORTED);
}

int64_t skua_http_call_reset_code(const skua_http_call *call)
{
    return skua__h2c_reset_code(call->response.stream);
}

int skua_http_call_unprocessed(const skua_http_call *call)
{
    return skua__h2c_unprocessed(call->response.stream);
}

skua_span *skua_http_call_span(const skua_http_call *call)
{
    return call->response.span;
}

void skua_http_call_close(skua_http_call *call)
{
    skua_http_client *client;

    if (call == NULL)
        return;
    client = call->response.client;
    skua_span_end(call->response.span);
    skua__client_response_end(&call->response);
    skua__http_free(call);
    pthread_mutex_lock(&client->mutex);
    client->busy--; /* from here on the client may be freed */
    pthread_mutex_unlock(&client->mutex);
}
