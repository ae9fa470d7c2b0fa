/* json_none.c - in the place of all other files here, where there is no Jansson: the same
 * functions, which say so. Its header is not there either: its type is only named.
 */
#include <errno.h>
#include <stddef.h>

#include <skua/http/client.h>
#include <skua/http/exchange.h>

typedef struct json_t json_t;

SKUA_API void skua_http_json_options_init(void *options);
SKUA_API int skua_http_read_json(skua_http_exchange *exchange, json_t **ret, const void *options);
SKUA_API int skua_http_reply_json(skua_http_exchange *exchange, int status, const json_t *json);
SKUA_API int skua_http_json_extract(skua_http_exchange *exchange, const json_t *json,
                                    const void *fields, size_t count, void *into);
SKUA_API int skua_http_client_send_json(skua_http_client *client, const skua_http_request *request,
                                        const json_t *json, skua_http_response **response);
SKUA_API int skua_http_client_post_json(skua_http_client *client, const char *url,
                                        const json_t *json, size_t limit,
                                        skua_http_response **response);
SKUA_API int skua_http_response_json(skua_http_response *response, json_t **ret,
                                     const void *options);

void skua_http_json_options_init(void *options)
{
    (void)options; /* whoever has the struct has Jansson */
}

int skua_http_read_json(skua_http_exchange *exchange, json_t **ret, const void *options)
{
    (void)exchange;
    (void)ret;
    (void)options;
    return -ENOSYS;
}

int skua_http_reply_json(skua_http_exchange *exchange, int status, const json_t *json)
{
    (void)exchange;
    (void)status;
    (void)json;
    return -ENOSYS;
}

int skua_http_json_extract(skua_http_exchange *exchange, const json_t *json, const void *fields,
                           size_t count, void *into)
{
    (void)exchange;
    (void)json;
    (void)fields;
    (void)count;
    (void)into;
    return -ENOSYS;
}

int skua_http_client_send_json(skua_http_client *client, const skua_http_request *request,
                               const json_t *json, skua_http_response **response)
{
    (void)client;
    (void)request;
    (void)json;
    (void)response;
    return -ENOSYS;
}

int skua_http_client_post_json(skua_http_client *client, const char *url, const json_t *json,
                               size_t limit, skua_http_response **response)
{
    (void)client;
    (void)url;
    (void)json;
    (void)limit;
    (void)response;
    return -ENOSYS;
}

int skua_http_response_json(skua_http_response *response, json_t **ret, const void *options)
{
    (void)response;
    (void)ret;
    (void)options;
    return -ENOSYS;
}
