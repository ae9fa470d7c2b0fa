/* client.c - a client: its options, its making and its end; the short forms. */
#include "http/client/client_impl.h"

void skua_http_client_options_init(skua_http_client_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

void skua_http_request_init(skua_http_request *request)
{
    memset(request, 0, sizeof *request);
    request->size = sizeof *request;
}

static void client_size(size_t *option, size_t value)
{
    if (*option == 0)
        *option = value;
}

static void client_time(int64_t *option, int64_t value)
{
    if (*option == 0)
        *option = value;
}

static int client_options(skua_http_client_options *ret, const skua_http_client_options *given)
{
    skua_http_client_options_init(ret);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        *ret = *given;
    client_size(&ret->connections_max, 256);
    client_size(&ret->connections_per_origin, 16);
    client_size(&ret->head_max, (size_t)64 * 1024);
    client_size(&ret->headers_max, 200);
    if (ret->redirects_max == 0)
        ret->redirects_max = 10;
    client_time(&ret->idle_timeout, 60 * SKUA_SECOND);
    client_time(&ret->connect_timeout, 10 * SKUA_SECOND);
    client_time(&ret->head_timeout, 60 * SKUA_SECOND);
    client_time(&ret->read_timeout, 30 * SKUA_SECOND);
    client_time(&ret->write_timeout, 30 * SKUA_SECOND);
    client_time(&ret->total_timeout, SKUA_FOREVER);
    if (ret->http2 == SKUA_HTTP2_DEFAULT)
        ret->http2 = SKUA_HTTP2_AUTO;
    if (ret->user_agent == NULL)
        ret->user_agent = "skua";
    if (ret->head_max < 256 || ret->head_max > UINT32_MAX / 4 || ret->redirects_max < -1 ||
        ret->idle_timeout < 0 || ret->connect_timeout < 0 || ret->head_timeout < 0 ||
        ret->read_timeout < 0 || ret->write_timeout < 0 || ret->total_timeout < 0 ||
        ret->proxy_from_env > 1 || ret->http2 > SKUA_HTTP2_OFF || ret->decompress < -1 ||
        ret->decompress > 0 || !skua__http_is_value(ret->user_agent, strlen(ret->user_agent)))
        return -EINVAL;
    return skua__client_fields_check(ret->headers, ret->headers_count, false);
}

/* The options' strings become the client's. */
static int client_strings(skua_http_client *client)
{
    skua_http_client_options *options = &client->options;
    size_t count = options->headers_count;
    skua_http_field *fields = skua__http_arena_alloc(&client->arena, (count + 1) * sizeof *fields);

    options->user_agent =
        skua__http_arena_copy(&client->arena, options->user_agent, strlen(options->user_agent));
    if (fields == NULL || options->user_agent == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const skua_http_field *from = &options->headers[i];

        fields[i].name = skua__http_arena_copy(&client->arena, from->name, strlen(from->name));
        fields[i].value = skua__http_arena_copy(&client->arena, from->value, strlen(from->value));
        if (fields[i].name == NULL || fields[i].value == NULL)
            return -ENOMEM;
    }
    options->headers = fields;
    return 0;
}

int skua_http_client_new(skua_http_client **ret, const skua_http_client_options *given)
{
    skua_http_client_options options;
    skua_http_client *client;
    int rc = client_options(&options, given);

    if (rc != 0)
        return rc;
    client = skua__http_malloc(sizeof *client);
    if (client == NULL)
        return -ENOMEM;
    client->options = options;
    rc = client_strings(client);
    if (rc == 0)
        rc = skua__client_proxy_init(client);
    if (rc != 0) {
        skua__http_arena_free(&client->arena);
        skua__http_free(client);
        return rc;
    }
    (void)pthread_mutex_init(&client->mutex, NULL);
    *ret = client;
    return 0;
}

int skua_http_client_free(skua_http_client *client)
{
    uint64_t busy;

    if (client == NULL)
        return 0;
    pthread_mutex_lock(&client->mutex);
    busy = client->busy;
    pthread_mutex_unlock(&client->mutex);
    if (busy != 0)
        return -EBUSY;
    (void)skua_http_client_close_idle(client); /* and their origins with them */
    skua_tls_context_free(client->tls);
    (void)pthread_mutex_destroy(&client->mutex);
    skua__http_arena_free(&client->arena);
    skua__http_free(client);
    return 0;
}

void skua_http_client_stats_of(skua_http_client *client, skua_http_client_stats *ret)
{
    pthread_mutex_lock(&client->mutex);
    *ret = client->stats;
    pthread_mutex_unlock(&client->mutex);
}

/* ---- short forms ----------------------------------------------------------------------------- */

static int client_whole(skua_http_client *client, const skua_http_request *request, size_t limit,
                        skua_http_response **ret)
{
    skua_http_response *response;
    int rc = skua_http_client_send(client, request, &response);

    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(response, NULL, NULL, limit);
    if (rc != 0)
        skua_http_response_close(response);
    else
        *ret = response;
    return rc;
}

int skua_http_get(skua_http_client *client, const char *url, size_t limit,
                  skua_http_response **response)
{
    return client_whole(client, SKUA_HTTP_REQUEST(.url = url), limit, response);
}

int skua_http_post(skua_http_client *client, const char *url, const char *type, const void *body,
                   size_t len, size_t limit, skua_http_response **response)
{
    skua_http_field header = {"Content-Type", type};

    return client_whole(client,
                        SKUA_HTTP_REQUEST(.url = url, .method = "POST", .headers = &header,
                                          .headers_count = type != NULL,
                                          .body = body != NULL ? body : "", .body_len = len),
                        limit, response);
}
