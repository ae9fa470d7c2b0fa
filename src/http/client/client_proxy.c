/* client_proxy.c - whether a request goes through the proxy, and where that is.
 *
 * With a proxy the connection is the proxy's, whoever is asked through it, and the request's target
 * is the whole URL (RFC 9112, 3.2.2). The environment is read on request only, when the client is
 * made, and HTTP_PROXY never: where a web server runs programs that is a header of a request.
 */
#include <stdlib.h>

#include "http/client/client_impl.h"

/* "host:port" is "http://host:port". */
static int proxy_parse(skua_http_client *client, const char *text)
{
    size_t len = strlen(text);
    char *url = skua__http_arena_alloc(&client->arena, len + 8);
    size_t scheme = strstr(text, "://") != NULL ? 0 : 7;

    if (url == NULL)
        return -ENOMEM;
    memcpy(url, "http://", 7);
    memcpy(url + scheme, text, len + 1);
    return skua__client_url_parse(&client->proxy, &client->arena, url);
}

int skua__client_proxy_init(skua_http_client *client)
{
    skua_http_client_options *options = &client->options;
    const char *proxy = options->proxy;
    const char *not_for = options->proxy_not_for;
    int rc;

    if (options->proxy_from_env != 0 && proxy == NULL)
        proxy = getenv("http_proxy");
    if (options->proxy_from_env != 0 && not_for == NULL)
        not_for = getenv("no_proxy");
    options->proxy = options->proxy_not_for = NULL;
    if (proxy == NULL || *proxy == '\0')
        return 0;
    rc = proxy_parse(client, proxy);
    if (rc != 0)
        return rc;
    not_for = not_for != NULL ? not_for : "";
    options->proxy_not_for = skua__http_arena_copy(&client->arena, not_for, strlen(not_for));
    options->proxy = client->proxy.text;
    return options->proxy_not_for != NULL ? 0 : -ENOMEM;
}

/* A host, or all below a domain: ".example.org" and "example.org" are both. */
static bool proxy_excludes(const char *entry, size_t len, const char *host, size_t host_len)
{
    if (len == 1 && *entry == '*')
        return true;
    if (len != 0 && *entry == '.') {
        entry++;
        len--;
    }
    if (len == 0 || len > host_len || !skua__http_same(host + host_len - len, entry, len))
        return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

bool skua__client_proxied(const skua_http_client *client, const struct skua__client_url *url)
{
    const char *list = client->options.proxy_not_for;
    const char *host = url->address;
    size_t host_len = (size_t)(strrchr(host, ':') - host);

    if (client->options.proxy == NULL)
        return false;
    while (*(list += strspn(list, ", \t")) != '\0') {
        size_t len = strcspn(list, ", \t");

        if (proxy_excludes(list, len, host, host_len))
            return false;
        list += len;
    }
    return true;
}
