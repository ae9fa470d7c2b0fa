/* client_response.c - a response: what its head said, its body as it comes, and its end.
 *
 * The connection goes back as soon as the body was read to its end, or is closed as soon as that
 * cannot happen any more; the response lives on without it.
 */
#include <skua/task.h>

#include "http/client/client_impl.h"

/* Of a body that is left: so much, and so long, is read for the connection's sake. */
#define RESPONSE_DRAIN ((size_t)65536)
#define RESPONSE_DRAIN_TIME (100 * SKUA_MILLISECOND)

/* ---- the head -------------------------------------------------------------------------------- */

int skua_http_response_status(const skua_http_response *response)
{
    return response->head.status;
}

int skua_http_response_version(const skua_http_response *response)
{
    return response->head.version;
}

const char *skua_http_response_url(const skua_http_response *response)
{
    return response->url;
}

const char *skua_http_response_header(const skua_http_response *response, const char *name)
{
    const struct skua__http_field *field =
        skua__http_fields_find(&response->head.fields, name, strlen(name), 0);

    return field != NULL ? field->value : NULL;
}

static int response_field_at(const struct skua__http_fields *fields, size_t index,
                             const char **name, const char **value)
{
    if (index >= fields->count)
        return 0;
    *name = fields->at[index].name;
    *value = fields->at[index].value;
    return 1;
}

int skua_http_response_header_at(const skua_http_response *response, size_t index,
                                 const char **name, const char **value)
{
    return response_field_at(&response->head.fields, index, name, value);
}

int skua_http_response_trailer_at(const skua_http_response *response, size_t index,
                                  const char **name, const char **value)
{
    return response_field_at(&response->head.trailers, index, name, value);
}

int64_t skua_http_response_length(const skua_http_response *response)
{
    return response->head.length;
}

int skua__client_response_cookies(skua_http_response *response, const struct skua__client_url *url)
{
    const struct skua__http_fields *fields = &response->head.fields;
    skua_http_cookies *jar = response->client->options.cookies;
    int rc = 0;

    for (size_t i = 0; jar != NULL && i < fields->count && rc >= 0; i++)
        if (fields->at[i].name_len == 10 && skua__http_same(fields->at[i].name, "set-cookie", 10))
            rc = skua__client_cookie_put(jar, url, fields->at[i].value);
    return rc < 0 ? rc : 0;
}

/* ---- the body -------------------------------------------------------------------------------- */

void skua__client_response_release(skua_http_response *response)
{
    struct skua__client_conn *conn = response->conn;

    if (conn == NULL || response->called)
        return;
    response->conn = NULL;
    if (conn->h2c != NULL) {
        skua__h2c_close(response->stream);
        response->stream = NULL;
        skua__client_pool_put(response->client, conn);
        return;
    }
    if (skua__h1c_reusable(&conn->h1c))
        skua__client_pool_put(response->client, conn);
    else
        skua__client_pool_end(response->client, conn, false);
}

/* Whether the body may be read on after an error: it was ours, and not the system's, which has a
 * time-out of its own for a peer that does not answer, and says it only once. */
static bool response_goes_on(ssize_t rc, int64_t deadline)
{
    int64_t now = skua_now();

    if (rc == -ETIMEDOUT)
        return now >= deadline || now >= skua_deadline_current();
    return rc == -ECANCELED || rc == -EINTR;
}

static ssize_t response_read_h2(skua_http_response *response, void *buf, size_t len,
                                int64_t deadline)
{
    ssize_t n = skua__h2c_read(response->stream, &response->head, buf, len, deadline);

    if (n < 0 && response_goes_on(n, deadline))
        return n;
    if (n < 0)
        response->error = (int)n;
    if (n <= 0)
        skua__client_response_release(response);
    return n;
}

static ssize_t response_read(skua_http_response *response, void *buf, size_t len, int64_t deadline)
{
    struct skua__client_conn *conn = response->conn;
    ssize_t n;

    if (response->error != 0)
        return response->error;
    if (conn == NULL || len == 0)
        return 0;
    if (conn->h2c != NULL)
        return response_read_h2(response, buf, len, deadline);
    n = skua__h1c_read(&conn->h1c, buf, len, deadline);
    if (n < 0 && !response_goes_on(n, deadline)) {
        response->error = (int)n;
        conn->h1c.keep_alive = false;
    }
    if (response->error != 0 || conn->h1c.framing == SKUA__H1C_NONE)
        skua__client_response_release(response);
    return n;
}

static ssize_t response_raw(void *state, void *buf, size_t len)
{
    skua_http_response *response = state;
    int64_t timeout = response->client->options.read_timeout;
    int64_t deadline = response->until;

    if (deadline == 0)
        deadline = skua__http_deadline(timeout, response->deadline);
    return response_read(response, buf, len, deadline);
}

int skua__client_response_decode(skua_http_response *response)
{
    enum skua__coding codings[SKUA__CODING_ROW];
    size_t count;

    if (!response->coded || response->conn == NULL || response->head.status == 206 ||
        skua__decoding_codings(&response->head.fields, codings, &count) != 0 || count == 0)
        return 0;
    response->decoding = skua__decoding_new(codings, count, response_raw, response);
    if (response->decoding == NULL)
        return -ENOMEM;
    skua__http_fields_remove(&response->head.fields, "content-encoding", 16);
    skua__http_fields_remove(&response->head.fields, "content-length", 14);
    response->head.length = -1;
    return 0;
}

ssize_t skua_http_response_read(skua_http_response *response, void *buf, size_t len)
{
    ssize_t n;

    if (response->decoding == NULL || response->error != 0)
        return response_raw(response, buf, len);
    n = skua__decoding_read(response->decoding, buf, len, -1);
    if (response->error == 0 && (n == -EBADMSG || n == SKUA_ELIMIT || n == -ENOMEM)) {
        response->error = (int)n;                                  /* the decoder's */
        if (response->conn != NULL && response->conn->h2c == NULL) /* that one is shared */
            response->conn->h1c.keep_alive = false;
        skua__client_response_release(response);
    }
    return n;
}

ssize_t skua_http_response_read_until(skua_http_response *response, void *buf, size_t len,
                                      int64_t deadline)
{
    ssize_t n;

    response->until = deadline < response->deadline ? deadline : response->deadline;
    if (response->until == 0)
        response->until = 1; /* long ago */
    n = skua_http_response_read(response, buf, len);
    response->until = 0;
    return n;
}

/* Room for one byte more than `used`; NULL: no memory. The old bytes stay the caller's then. */
static char *response_grow(char *body, size_t *room)
{
    size_t more = *room < 4096 ? 4096 : 2 * *room;
    char *grown = skua__http_realloc(body, more);

    if (grown != NULL)
        *room = more;
    return grown;
}

/* Until the end: bytes in *body, which is the caller's to free, in any case. */
static int response_gather(skua_http_response *response, char **body, size_t *len, size_t limit)
{
    size_t room = 0;

    for (;;) {
        ssize_t n;

        if (*len + 1 >= room) {
            char *grown = response_grow(*body, &room);

            if (grown == NULL)
                return -ENOMEM;
            *body = grown;
        }
        n = skua_http_response_read(response, *body + *len, room - *len - 1);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        *len += (size_t)n;
        if (*len > limit)
            return SKUA_ELIMIT;
    }
    (*body)[*len] = '\0';
    return 0;
}

int skua_http_response_read_all(skua_http_response *response, char **ret, size_t *len, size_t limit)
{
    char *body = NULL;
    size_t count = 0;
    int rc = 0;

    if (response->body == NULL) {
        if (response->decoding == NULL && response->conn != NULL && response->stream == NULL &&
            response->conn->h1c.framing == SKUA__H1C_LENGTH &&
            (uint64_t)response->conn->h1c.left > limit)
            return SKUA_ELIMIT;
        rc = response_gather(response, &body, &count, limit);
        if (rc != 0) {
            skua__http_free(body);
            return rc;
        }
        response->body = body;
        response->body_len = count;
    }
    if (response->body_len > limit)
        return SKUA_ELIMIT;
    if (ret != NULL)
        *ret = response->body;
    if (len != NULL)
        *len = response->body_len;
    return 0;
}

const char *skua_http_response_body(const skua_http_response *response, size_t *len)
{
    if (len != NULL)
        *len = response->body_len;
    return response->body != NULL ? response->body : "";
}

/* ---- the end --------------------------------------------------------------------------------- */

void skua__client_response_drain(skua_http_response *response)
{
    struct skua__client_conn *conn = response->conn;
    int64_t deadline = skua__http_deadline(RESPONSE_DRAIN_TIME, response->deadline);
    size_t sum = 0;
    char waste[4096];
    ssize_t n = 1;

    if (conn == NULL || conn->h2c != NULL || !conn->h1c.keep_alive || !conn->h1c.sent ||
        conn->h1c.framing == SKUA__H1C_CLOSE ||
        (conn->h1c.framing == SKUA__H1C_LENGTH && conn->h1c.left > (int64_t)RESPONSE_DRAIN))
        return;
    while (n > 0 && sum <= RESPONSE_DRAIN) {
        n = response_read(response, waste, sizeof waste, deadline);
        sum += n > 0 ? (size_t)n : 0;
    }
}

void skua__client_response_end(skua_http_response *response)
{
    response->called = false;
    skua__client_response_drain(response);
    skua__client_response_release(response);
    skua__decoding_free(response->decoding);
    skua__http_arena_free(&response->arena);
    skua__http_free(response->body);
}

void skua_http_response_close(skua_http_response *response)
{
    skua_http_client *client;

    if (response == NULL || response->called)
        return;
    client = response->client;
    skua__client_response_end(response);
    skua__http_free(response);
    pthread_mutex_lock(&client->mutex);
    client->busy--; /* from here on the client may be freed */
    pthread_mutex_unlock(&client->mutex);
}

#undef RESPONSE_DRAIN
#undef RESPONSE_DRAIN_TIME
