/* tour.c - a few requests to the orders service, and its answers: what one would try with curl.
 *
 *     orders-tour http://127.0.0.1:8080
 *
 * Status 0 when each answer has the status that it is to have.
 */
#include <errno.h>
#include <skua/http/client.h>
#include <skua/http/exchange.h>
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

struct stop {
    const char *path;
    const char *body;   /* NULL: GET */
    const char *header; /* of the answer, to be shown; NULL: none */
    int status;         /* that it is to have */
};

static const struct stop stops[] = {
    {"/health?verbose", NULL, NULL, 200},
    {"/users/1", NULL, NULL, 200},
    {"/orders", "{\"user\": 1, \"items\": [{\"sku\": \"tea\", \"quantity\": 2, \"price\": 350}]}",
     "Location", 201},
    {"/orders", "{\"user\": 1, \"items\": [{\"sku\": \"tea\", \"quantity\": 0, \"price\": 350}]}",
     NULL, 422},
    {"/orders?limit=1", NULL, "Link", 200},
    {"/orders?limit=many", NULL, NULL, 400},
};

static int visit(skua_http_client *http, const char *origin, const struct stop *stop)
{
    static const skua_http_field json = {"Content-Type", "application/json"};
    skua_http_response *response;
    const char *header = NULL;
    char url[256], *body;
    int rc;

    (void)snprintf(url, sizeof url, "%s%s", origin, stop->path);
    if (stop->body != NULL)
        printf("$ curl -i '%s' -H '%s: %s' -d '%s'\n", url, json.name, json.value, stop->body);
    else
        printf("$ curl -i '%s'\n", url);
    rc = skua_http_client_send(
        http,
        SKUA_HTTP_REQUEST(.url = url, .method = stop->body ? "POST" : "GET", .headers = &json,
                          .headers_count = stop->body != NULL, .body = stop->body,
                          .body_len = stop->body ? strlen(stop->body) : 0),
        &response);
    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(response, &body, NULL, 1 << 20);
    if (rc == 0) {
        int status = skua_http_response_status(response);

        printf("HTTP/1.1 %d %s\n", status, skua_http_reason(status));
        if (stop->header != NULL)
            header = skua_http_response_header(response, stop->header);
        if (header != NULL)
            printf("%s: %s\n", stop->header, header);
        printf("%s\n\n", body);
        rc = status == stop->status ? 0 : -EPROTO;
    }
    skua_http_response_close(response);
    return rc;
}

static int run(void *arg)
{
    skua_http_client *http;
    int rc = skua_http_client_new(&http, NULL);

    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < sizeof stops / sizeof *stops; i++)
        rc = visit(http, arg, &stops[i]);
    (void)skua_http_client_free(http);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2 || strncmp(argv[1], "http://", 7) != 0) {
        fputs("Usage: orders-tour http://HOST:PORT\n", stderr);
        return 2;
    }
    return skua_main(run, argv[1],
                     SKUA_RUNTIME_OPTIONS(.name = "tour", .stop_on = SKUA_SIGNALS_TERM));
}
