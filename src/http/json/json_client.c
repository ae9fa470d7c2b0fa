/* json_client.c - values in requests of the client, and in the responses to them. It stands on the
 * client's public calls. */
#include "http/json/json_impl.h"

static bool client_json_has(const skua_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers_count; i++)
        if (strlen(request->headers[i].name) == strlen(name) &&
            skua__http_same(request->headers[i].name, name, strlen(name)))
            return true;
    return false;
}

/* The request's headers and ours, in memory to be freed. */
static skua_http_field *client_json_headers(skua_http_request *request)
{
    skua_http_field *fields = skua__http_malloc((request->headers_count + 2) * sizeof *fields);
    size_t count = request->headers_count;

    if (fields == NULL)
        return NULL;
    if (count != 0)
        memcpy(fields, request->headers, count * sizeof *fields);
    if (!client_json_has(request, "content-type"))
        fields[count++] = (skua_http_field){"Content-Type", "application/json"};
    if (!client_json_has(request, "accept"))
        fields[count++] = (skua_http_field){"Accept", "application/json"};
    request->headers = fields;
    request->headers_count = count;
    return fields;
}

int skua_http_client_send_json(skua_http_client *client, const skua_http_request *given,
                               const json_t *json, skua_http_response **response)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    skua_http_request request;
    skua_http_field *fields = NULL;
    size_t len;
    char *text;
    int rc;

    if (given == NULL || given->size != sizeof *given || given->body != NULL ||
        given->body_len != 0 || given->body_read != NULL || json == NULL ||
        (given->headers == NULL && given->headers_count != 0))
        return -EINVAL;
    len = json_dumpb(json, NULL, 0, flags);
    if (len == 0)
        return -EINVAL;
    request = *given;
    text = skua__http_raw(len);
    if (text != NULL)
        fields = client_json_headers(&request);
    rc = fields != NULL ? 0 : -ENOMEM;
    if (rc == 0 && json_dumpb(json, text, len, flags) != len)
        rc = -EINVAL; /* somebody changes it */
    if (rc == 0) {
        request.method = given->method != NULL ? given->method : "POST";
        request.body = text;
        request.body_len = len;
        rc = skua_http_client_send(client, &request, response);
    }
    skua__http_free(fields);
    skua__http_free(text);
    return rc;
}

int skua_http_client_post_json(skua_http_client *client, const char *url, const json_t *json,
                               size_t limit, skua_http_response **response)
{
    skua_http_response *got;
    skua_http_request request;
    int rc;

    skua_http_request_init(&request);
    request.url = url;
    rc = skua_http_client_send_json(client, &request, json, &got);
    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(got, NULL, NULL, limit);
    if (rc != 0)
        skua_http_response_close(got);
    else
        *response = got;
    return rc;
}

int skua_http_response_json(skua_http_response *response, json_t **ret,
                            const skua_http_json_options *given)
{
    skua_http_json_options options;
    struct skua__json_error error;
    json_t *json;
    char *text;
    size_t len;
    int rc = skua__json_options(&options, given);

    if (rc != 0)
        return rc;
    if (options.any_type == 0 &&
        !skua__json_type(skua_http_response_header(response, "Content-Type")))
        return -EBADMSG;
    rc = skua_http_response_read_all(response, &text, &len, options.limit);
    if (rc == 0)
        rc = skua__json_parse(&json, text, len, &options, &error);
    if (rc == 0)
        *ret = json;
    return rc;
}
