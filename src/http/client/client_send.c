/* client_send.c - a request: on a connection of the pool, once more on a new one, and on to where
 * it is redirected.
 *
 *   step      one request to one origin: a connection, its exchange
 *   again     the connection was a kept one, and has ended before a byte of the answer: the same
 *             on a new one, in the same room, if that is allowed (client.h)
 *   on        a redirect, or a 417 to a body that was announced: the next step
 *
 * The response is made before the first step, and becomes the last one's.
 */
#include "http/client/client_impl.h"

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
    if (!conn->used || conn->h1c.received || way->stream_failed)
        return false;
    if (rc != SKUA_EEOF && rc != -ECONNRESET && rc != -EPIPE && rc != -ECONNABORTED)
        return false;
    if (conn->h1c.began && !way_is_idempotent(way->step.method))
        return false;
    return way_body_again(way);
}

static void way_count(skua_http_client *client, uint64_t *count)
{
    pthread_mutex_lock(&client->mutex);
    ++*count;
    pthread_mutex_unlock(&client->mutex);
}

/* One exchange. */
static int way_exchange(struct client_way *way, struct skua__client_conn *conn,
                        const struct skua__http_fields *fields)
{
    const skua_http_request *request = way->request;
    skua_http_response *response = way->response;
    bool body = way->step.body;
    bool stream = body && request->body_read != NULL;
    struct skua__h1c_request out = {.method = way->step.method,
                                    .target = way->step.proxied ? way->step.url.text
                                                                : way->step.url.target,
                                    .fields = fields,
                                    .body = body ? request->body : NULL,
                                    .body_len = body ? request->body_len : 0,
                                    .read = stream ? way_stream_read : NULL,
                                    .state = way,
                                    .length = request->body_length,
                                    .expect = way->step.expect && body,
                                    .deadline = response->deadline,
                                    .options = &way->client->options};

    response->head = (struct skua__h1c_response){.arena = &response->arena, .length = -1};
    way->stream_failed = false;
    way_count(way->client, &way->client->stats.requests);
    if (conn->used)
        way_count(way->client, &way->client->stats.reused);
    return skua__h1c_exchange(&conn->h1c, &out, &response->head);
}

/* With a connection, or the room for one. */
static int way_on(struct client_way *way, struct skua__client_origin *origin,
                  struct skua__client_conn *conn, const struct skua__http_fields *fields)
{
    skua_http_client *client = way->client;

    for (;;) {
        bool again;
        int rc = 0;

        if (conn == NULL)
            rc = skua__client_pool_make(client, origin, way->response->deadline, &conn);
        if (rc != 0)
            return rc;
        rc = way_exchange(way, conn, fields);
        if (rc == 0) {
            way->response->conn = conn;
            if (conn->h1c.framing == SKUA__H1C_NONE)
                skua__client_response_release(way->response);
            return 0;
        }
        again = way_was_closed(way, conn, rc);
        skua__client_pool_end(client, conn, again);
        if (!again)
            return rc;
        conn = NULL;
        way_count(client, &client->stats.repeated);
    }
}

static int way_step(struct client_way *way)
{
    const char *unix_path = way->request->unix_path != NULL ? way->request->unix_path : "";
    skua_http_client *client = way->client;
    struct skua__client_origin *origin;
    struct skua__client_conn *conn;
    struct skua__http_fields fields;
    int rc;

    way->step.proxied = *unix_path == '\0' && skua__client_proxied(client, &way->step.url);
    rc = skua__client_fields_make(client, way->request, &way->step, &way->response->arena, &fields);
    if (rc == 0)
        rc = skua__client_origin_get(client, way->step.proxied ? &client->proxy : &way->step.url,
                                     unix_path, &origin);
    if (rc != 0)
        return rc;
    way->response->coded = skua__client_fields_coded(&fields);
    rc = skua__client_pool_take(client, origin, way->response->deadline, &conn);
    if (rc == 0)
        rc = way_on(way, origin, conn, &fields);
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
    way_count(way->client, &way->client->stats.redirects);
    return way_go_on(way);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int way_check(const skua_http_request *request)
{
    const char *method;

    if (request == NULL || request->size != sizeof *request || request->url == NULL)
        return -EINVAL;
    method = request->method != NULL ? request->method : "GET";
    if (!skua__http_is_token(method, strlen(method)) || strcmp(method, "CONNECT") == 0)
        return -EINVAL;
    if ((request->body != NULL && request->body_read != NULL) ||
        (request->body == NULL && request->body_len != 0) || request->body_length < 0 ||
        (request->body_length != 0 && request->body_read == NULL) || request->timeout < 0 ||
        request->redirects_max < -1 || request->expect_continue > 1 ||
        (request->unix_path != NULL && *request->unix_path == '\0'))
        return -EINVAL;
    return skua__client_fields_check(request->headers, request->headers_count);
}

/* What the response sets. */
static int way_cookies(struct client_way *way)
{
    const struct skua__http_fields *fields = &way->response->head.fields;
    skua_http_cookies *jar = way->client->options.cookies;
    int rc = 0;

    for (size_t i = 0; jar != NULL && i < fields->count && rc >= 0; i++)
        if (fields->at[i].name_len == 10 && skua__http_same(fields->at[i].name, "set-cookie", 10))
            rc = skua__client_cookie_put(jar, &way->step.url, fields->at[i].value);
    return rc < 0 ? rc : 0;
}

static int way_all(struct client_way *way)
{
    const skua_http_request *request = way->request;
    skua_http_response *response = way->response;
    int rc = skua__client_url_parse(&way->step.url, &response->arena, request->url);

    while (rc == 0) {
        rc = way_step(way);
        if (rc == 0)
            rc = way_cookies(way);
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

int skua_http_client_send(skua_http_client *client, const skua_http_request *request,
                          skua_http_response **ret)
{
    struct client_way way = {.client = client, .request = request};
    skua_http_response *response;
    int64_t timeout;
    int rc = way_check(request);

    if (rc != 0)
        return rc;
    response = skua__http_malloc(sizeof *response);
    if (response == NULL)
        return -ENOMEM;
    way_count(client, &client->busy);
    timeout = request->timeout != 0 ? request->timeout : client->options.total_timeout;
    response->client = client;
    response->deadline = skua__http_deadline(timeout, SKUA_FOREVER);
    way.response = response;
    way.redirects_max =
        request->redirects_max != 0 ? request->redirects_max : client->options.redirects_max;
    if (way.redirects_max < 0)
        way.redirects_max = 0;
    way.step.method = request->method != NULL ? request->method : "GET";
    way.step.body = request->body != NULL || request->body_read != NULL;
    way.step.expect = request->expect_continue != 0;
    rc = way_all(&way);
    if (rc != 0)
        skua_http_response_close(response);
    else
        *ret = response;
    return rc;
}
