/* client_send.c - a request: on a connection of the pool, once more on a new one, and on to where
 * it is redirected.
 *
 *   step      one request to one origin: a connection, its exchange
 *   again     the connection was a kept one, and has ended before a byte of the answer: the same
 *             on a new one, in the same room, if that is allowed (client.h). In HTTP/2 also what
 *             the server has refused, or gone away before: a few times, in line again
 *   on        a redirect, or a 417 to a body that was announced: the next step
 *
 * The response is made before the first step, and becomes the last one's.
 */
#include "http/client/client_impl.h"
#include "http/core/http_trace.h"

/* Times that a request is sent again which the server of HTTP/2 has not looked at. */
#define WAY_REPEATS 20

/* What a request has on its way. */
struct client_way {
    skua_http_client *client;
    const skua_http_request *request;
    skua_http_response *response;
    struct skua__client_step step;
    int redirects;      /* followed */
    int redirects_max;  /* 0: none */
    bool stream_read;   /* something of the body's stream has been read */
    bool stream_failed; /* it, and not the connection */
    bool used;          /* the connection was there before */
    bool call;          /* the body is written by calls */
    int repeats;        /* of those that HTTP/2 allows */
    unsigned sent;      /* times that it was sent, or tried to */
};

/* ---- the body -------------------------------------------------------------------------------- */

static ssize_t way_stream_read(void *state, void *buf, size_t len)
{
    struct client_way *way = state;
    ssize_t n;

    way->stream_read = true;
    n = way->request->body_read(way->request->body_state, buf, len);
    way->stream_failed = n < 0 || (size_t)n > len;
    return n;
}

/* The body is as it was before it was sent. */
static bool way_body_again(struct client_way *way)
{
    if (!way->step.body || way->request->body_read == NULL || !way->stream_read)
        return true;
    if (way->request->body_again == NULL || way->request->body_again(way->request->body_state) != 0)
        return false;
    way->stream_read = false;
    return true;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static bool way_is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return false;
}

/* The connection had ended before it was used. */
static bool way_was_closed(struct client_way *way, const struct skua__client_conn *conn, int rc)
{
    if (!way->used || conn->h1c.received || way->stream_failed)
        return false;
    if (rc != SKUA_EEOF && rc != -ECONNRESET && rc != -EPIPE && rc != -ECONNABORTED)
        return false;
    if (conn->h1c.began && !way_is_idempotent(way->step.method))
        return false;
    return way_body_again(way);
}

/* The same of a stream; or the server has not looked at it (RFC 9113, 8.7). */
static bool way_was_refused(struct client_way *way, struct skua__h2c_stream *stream, int rc)
{
    if (stream == NULL || way->stream_failed || way->repeats == WAY_REPEATS || rc == -ECANCELED ||
        rc == -ETIMEDOUT || rc == -ENOMEM)
        return false;
    if (!skua__h2c_unprocessed(stream) &&
        !(way->used && skua__h2c_lost(stream) && way_is_idempotent(way->step.method)))
        return false;
    way->repeats++;
    return way_body_again(way);
}

static void way_count(skua_http_client *client, uint64_t *count)
{
    pthread_mutex_lock(&client->mutex);
    ++*count;
    pthread_mutex_unlock(&client->mutex);
}

static struct skua__http_ask way_ask(struct client_way *way, const struct skua__http_fields *fields)
{
    const skua_http_request *request = way->request;
    const struct skua__client_step *step = &way->step;
    bool body = step->body;
    bool stream = body && request->body_read != NULL;

    return (struct skua__http_ask){
        .method = step->method,
        .scheme = step->url.scheme,
        .target = step->proxy != NULL && !step->tunnel ? step->url.text : step->url.target,
        .fields = fields,
        .body = body ? request->body : NULL,
        .body_len = body ? request->body_len : 0,
        .read = stream ? way_stream_read : NULL,
        .state = way,
        .length = request->body_length,
        .later = way->call,
        .expect = step->expect && body,
        .deadline = way->response->deadline,
        .options = &way->client->options};
}

/* One exchange in HTTP/1.1. */
static int way_exchange(struct client_way *way, struct skua__client_conn *conn,
                        const struct skua__http_ask *ask, bool *again)
{
    skua_http_response *response = way->response;
    int rc = way->call ? -EPROTONOSUPPORT : skua__h1c_exchange(&conn->h1c, ask, &response->head);

    if (rc == 0) {
        response->conn = conn;
        if (conn->h1c.framing == SKUA__H1C_NONE)
            skua__client_response_release(response);
        return 0;
    }
    if (way->call) { /* it is as good as new */
        skua__client_pool_put(way->client, conn);
        return rc;
    }
    *again = way_was_closed(way, conn, rc);
    skua__client_pool_end(way->client, conn, *again);
    return rc;
}

/* One exchange in HTTP/2; of a call the head alone. */
static int way_exchange_h2(struct client_way *way, struct skua__client_conn *conn,
                           const struct skua__http_ask *ask, bool *again)
{
    skua_http_response *response = way->response;
    struct skua__h2c_stream *stream;
    int rc = skua__h2c_open(conn->h2c, ask, &stream);

    if (rc == 0 && !way->call)
        rc = skua__h2c_exchange(stream, ask, &response->head);
    if (rc == 0) {
        response->conn = conn;
        response->stream = stream;
        if (!way->call && skua__h2c_ended(stream))
            rc = (int)skua__h2c_read(stream, &response->head, &(char){0}, 1, 0);
        if (rc != 0 || (!way->call && skua__h2c_ended(stream)))
            skua__client_response_release(response);
        return rc;
    }
    *again = way_was_refused(way, stream, rc);
    skua__h2c_close(stream);
    skua__client_pool_put(way->client, conn);
    return rc;
}

/* A connection: a kept one, or a new one in the room that there is, or that is granted. */
static int way_connection(struct client_way *way, struct skua__client_origin *origin, bool room,
                          struct skua__client_conn **conn)
{
    const skua_http_request *request = way->request;
    struct skua__client_asker asker = {.deadline = way->response->deadline,
                                       .authorization =
                                           skua__client_fields_proxy(way->client, request),
                                       .text = request->error_text,
                                       .text_size = request->error_size};
    int rc = 0;

    *conn = NULL;
    if (!room)
        rc = skua__client_pool_take(way->client, origin, way->response->deadline, conn);
    way->used = *conn != NULL;
    if (rc == 0 && *conn == NULL)
        rc = skua__client_pool_make(way->client, origin, &asker, conn);
    return rc;
}

/* Sends it, once. *room: for a connection is there; behind it: is again. */
static int way_once(struct client_way *way, struct skua__client_origin *origin,
                    const struct skua__http_fields *fields, bool *room, bool *again)
{
    struct skua__http_ask ask = way_ask(way, fields);
    skua_http_client *client = way->client;
    struct skua__client_conn *conn;
    int rc = way_connection(way, origin, *room, &conn);

    *again = false;
    if (rc != 0)
        return rc;
    *room = conn->h2c == NULL;
    way->response->head = (struct skua__http_answer){.arena = &way->response->arena, .length = -1};
    way->stream_failed = false;
    way_count(client, &client->stats.requests);
    if (way->used)
        way_count(client, &client->stats.reused);
    return *room ? way_exchange(way, conn, &ask, again) : way_exchange_h2(way, conn, &ask, again);
}

static void way_measure(const struct client_way *way, int rc, int64_t ns)
{
    const struct skua__http_answer *head = &way->response->head;
    struct skua__http_trace_peer server = skua__http_trace_peer(way->step.url.address);
    char number[SKUA__HTTP_TRACE_NUMBER];
    struct skua__http_measured what = {
        .method = skua__http_trace_method(way->step.method),
        .secure = strcmp(way->step.url.scheme, "https") == 0,
        .version = rc == 0 ? skua__http_trace_version(head->version) : NULL,
        .status = rc == 0 ? head->status : 0,
        .error = skua__http_trace_error(rc == 0 ? head->status : 0, 400, rc, number),
        .server = server.host,
        .server_len = server.host_len,
        .port = server.port,
    };

    skua__http_measure_asked(&what, ns);
}

/* The same with a span around it, and measured; of a call it goes on until that is closed. */
static int way_traced(struct client_way *way, struct skua__client_origin *origin,
                      struct skua__http_fields *fields, bool *room, bool *again)
{
    skua_http_response *response = way->response;
    skua_span *span =
        skua__http_trace_ask(&(struct skua__http_trace_ask){.method = way->step.method,
                                                            .address = way->step.url.address,
                                                            .url = way->step.url.text,
                                                            .resend = way->sent++},
                             fields, &response->arena);
    bool measured = SKUA_METRIC_ON() && !way->call && !skua_trace_suppressed();
    int64_t began = measured ? skua_now() : 0;
    int rc = way_once(way, origin, fields, room, again);

    if (rc == 0 && way->call) {
        response->span = span;
        return 0;
    }
    if (measured)
        way_measure(way, rc, skua_now() - began);
    skua__http_trace_answered(span, rc, response->head.status, response->head.version);
    skua_span_end(span);
    return rc;
}

static int way_on(struct client_way *way, struct skua__client_origin *origin,
                  struct skua__http_fields *fields)
{
    bool room = false;

    for (;;) {
        bool again = false;
        int rc = __builtin_expect(skua__http_trace_on() || SKUA_METRIC_ON(), 0)
                     ? way_traced(way, origin, fields, &room, &again)
                     : way_once(way, origin, fields, &room, &again);

        if (rc == 0 || !again)
            return rc;
        way_count(way->client, &way->client->stats.repeated);
    }
}

/* Whose connection the step wants. */
static struct skua__client_place way_place(struct client_way *way)
{
    const char *unix_path = way->request->unix_path;
    struct skua__client_step *step = &way->step;
    struct skua__client_place place = {.scheme = step->url.scheme,
                                       .address = step->url.address,
                                       .unix_path = unix_path != NULL ? unix_path : "",
                                       .http2 = way->request->http2};

    if (place.http2 == SKUA_HTTP2_DEFAULT)
        place.http2 = way->client->options.http2;
    step->proxy = unix_path == NULL ? skua__client_proxied(way->client, &step->url) : NULL;
    step->tunnel = step->proxy != NULL &&
                   (strcmp(place.scheme, "https") == 0 || place.http2 == SKUA_HTTP2_ONLY);
    if (step->tunnel)
        place.proxy = step->proxy;
    else if (step->proxy != NULL)
        place.address = step->proxy->address;
    if (place.http2 == SKUA_HTTP2_AUTO && strcmp(place.scheme, "https") != 0)
        place.http2 = SKUA_HTTP2_OFF; /* in cleartext there is nothing to choose */
    return place;
}

static int way_step(struct client_way *way)
{
    skua_http_client *client = way->client;
    struct skua__client_place place = way_place(way);
    struct skua__client_origin *origin;
    struct skua__http_fields fields;
    int rc;

    rc = skua__client_fields_make(client, way->request, &way->step, &way->response->arena, &fields);
    if (rc == 0)
        rc = skua__client_origin_get(client, &place, &origin);
    if (rc != 0)
        return rc;
    way->response->coded = skua__client_fields_coded(&fields);
    rc = way_on(way, origin, &fields);
    skua__client_origin_put(client, origin);
    return rc;
}

/* ---- on -------------------------------------------------------------------------------------- */

/* The response was only a step: its connection is free. */
static int way_go_on(struct client_way *way)
{
    skua__client_response_drain(way->response);
    skua__client_response_release(way->response);
    way->response->error = 0; /* of a body that nobody wanted */
    return 1;
}

/* The method of the next step: RFC 9110, 15.4. False: the response is the answer. */
static bool way_next_method(struct client_way *way, int status)
{
    struct skua__client_step *step = &way->step;

    switch (status) {
    case 301:
    case 302:
        if (strcmp(step->method, "POST") != 0)
            return way_body_again(way);
        break;
    case 303:
        if (strcmp(step->method, "HEAD") == 0)
            return true;
        break;
    default:
        return way_body_again(way);
    }
    step->method = "GET";
    step->body = false;
    step->bare = true;
    return true;
}

/* 1: there is a next step; 0: the response is the answer; or an error. */
static int way_redirected(struct client_way *way)
{
    skua_http_response *response = way->response;
    int status = response->head.status;
    const char *location = skua_http_response_header(response, "location");
    struct skua__client_url url;
    bool same;
    int rc;

    if (status == 417 && way->step.expect && way_body_again(way)) {
        way->step.expect = false; /* RFC 9110, 10.1.1 */
        return way_go_on(way);
    }
    if ((status != 301 && status != 302 && status != 303 && status != 307 && status != 308) ||
        location == NULL || way->redirects_max == 0)
        return 0;
    if (way->redirects == way->redirects_max)
        return SKUA_ELIMIT;
    rc = skua__client_url_resolve(&url, &response->arena, &way->step.url, location);
    if (rc != 0)
        return rc == -EINVAL ? -EBADMSG : rc;
    same = skua__client_url_same_origin(&url, &way->step.url);
    if (!same && way->request->unix_path != NULL)
        return 0;
    if (!way_next_method(way, status))
        return 0;
    way->step.url = url;
    way->step.foreign |= !same;
    way->redirects++;
    response->redirected = true;
    way_count(way->client, &way->client->stats.redirects);
    return way_go_on(way);
}

/* ---- all of it ------------------------------------------------------------------------------- */

int skua__client_check(const skua_http_request *request, bool call)
{
    const char *method;

    if (request == NULL || request->size != sizeof *request || request->url == NULL)
        return -EINVAL;
    method = request->method != NULL ? request->method : "GET";
    if (!skua__http_is_token(method, strlen(method)) || strcmp(method, "CONNECT") == 0)
        return -EINVAL;
    if ((request->body != NULL && request->body_read != NULL) ||
        (request->body == NULL && request->body_len != 0) || request->body_length < 0 ||
        (request->body_length != 0 && request->body_read == NULL && !call) ||
        request->timeout < 0 || request->redirects_max < -1 || request->expect_continue > 1 ||
        (request->unix_path != NULL && *request->unix_path == '\0') ||
        request->http2 > SKUA_HTTP2_OFF ||
        (request->error_text != NULL && request->error_size == 0))
        return -EINVAL;
    if (call && (request->body != NULL || request->body_read != NULL || request->expect_continue))
        return -EINVAL;
    if (request->error_text != NULL)
        *request->error_text = '\0';
    return skua__client_fields_check(request->headers, request->headers_count, call);
}

static int way_all(struct client_way *way)
{
    const skua_http_request *request = way->request;
    skua_http_response *response = way->response;
    int rc = skua__client_url_parse(&way->step.url, &response->arena, request->url);

    while (rc == 0) {
        rc = way_step(way);
        if (rc == 0 && way->call)
            break;
        if (rc == 0)
            rc = skua__client_response_cookies(response, &way->step.url);
        if (rc != 0)
            return rc;
        rc = way_redirected(way);
        if (rc <= 0)
            break;
        rc = 0;
    }
    response->url = way->step.url.text;
    return rc == 0 ? skua__client_response_decode(response) : rc;
}

int skua__client_begin(skua_http_client *client, const skua_http_request *request,
                       skua_http_response *response, bool call)
{
    int64_t whole = call ? SKUA_FOREVER : client->options.total_timeout;
    struct client_way way = {
        .client = client, .request = request, .response = response, .call = call};

    response->client = client;
    response->deadline =
        skua__http_deadline(request->timeout != 0 ? request->timeout : whole, SKUA_FOREVER);
    way.redirects_max =
        request->redirects_max != 0 ? request->redirects_max : client->options.redirects_max;
    if (way.redirects_max < 0)
        way.redirects_max = 0;
    way.step.call = call;
    way.step.method = request->method != NULL ? request->method : "GET";
    way.step.body = request->body != NULL || request->body_read != NULL;
    way.step.expect = request->expect_continue != 0;
    return way_all(&way);
}

int skua__client_send(skua_http_client *client, const skua_http_request *request,
                      skua_http_response **ret, bool *redirected)
{
    skua_http_response *response;
    int rc = skua__client_check(request, false);

    *redirected = false;
    if (rc != 0)
        return rc;
    response = skua__http_malloc(sizeof *response);
    if (response == NULL)
        return -ENOMEM;
    way_count(client, &client->busy);
    rc = skua__client_begin(client, request, response, false);
    *redirected = response->redirected;
    if (rc != 0)
        skua_http_response_close(response);
    else
        *ret = response;
    return rc;
}

int skua_http_client_send(skua_http_client *client, const skua_http_request *request,
                          skua_http_response **ret)
{
    bool redirected;

    return skua__client_send(client, request, ret, &redirected);
}

#undef WAY_REPEATS
