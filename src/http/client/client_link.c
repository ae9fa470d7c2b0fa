/* client_link.c - what connects: sockets, a proxy's tunnel, TLS; one above the other.
 *
 *     socket -> tunnel, where there is one -> TLS, with "https"
 *
 * Proxies    with "http" the connection is the proxy's, whoever is asked through it, and the target
 *            of a request is the whole URL (RFC 9112, 3.2.2); with "https" it makes a tunnel, and
 *            the connection is that of the origin at its other end. The environment is read on
 *            request only, when the client is made, and HTTP_PROXY never: where a web server runs
 *            programs that is a header of a request.
 * Tunnel     is asked for by CONNECT (RFC 9110, 9.3.6). Its answer is read a byte at a time: what
 *            comes behind it belongs to whoever speaks next, and may come at once.
 * Looking    the socket's io is one of ours: a read whose deadline is 0 takes what is there, and
 *            does not wait; so does TLS above it.
 * TLS        says when it is closed, as far as that needs no wait.
 */
#include <stdio.h>
#include <stdlib.h>

#include <skua/blocking.h>
#include <skua/net.h>
#include <skua/unix.h>

#include "http/client/client_impl.h"
#include "http/tls/tls_more.h"

/* As ALPN has them on the wire: RFC 7301, 3.1. */
#ifdef SKUA_HAVE_HTTP2
#define LINK_ANY "\x02h2\x08http/1.1"
#else
#define LINK_ANY "\x08http/1.1"
#endif

struct link_secure {
    skua_tcp *tcp;
    skua_tls *tls;
};

/* ---- proxies --------------------------------------------------------------------------------- */

/* "host:port" is "http://host:port". NULL and "": there is none. */
static int link_proxy_parse(skua_http_client *client, struct skua__client_url *proxy,
                            const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    char *url = skua__http_arena_alloc(&client->arena, len + 8);
    int rc;

    if (len == 0)
        return 0;
    if (url == NULL)
        return -ENOMEM;
    memcpy(url, "http://", 7);
    memcpy(url + (strstr(text, "://") != NULL ? 0 : 7), text, len + 1);
    rc = skua__client_url_parse(proxy, &client->arena, url);
    return rc == 0 && strcmp(proxy->scheme, "http") != 0 ? -EPROTONOSUPPORT : rc;
}

int skua__client_proxy_init(skua_http_client *client)
{
    skua_http_client_options *options = &client->options;
    const char *proxy = options->proxy;
    const char *secure = proxy;
    const char *not_for = options->proxy_not_for;
    int rc;

    if (options->proxy_from_env != 0 && proxy == NULL) {
        proxy = getenv("http_proxy");
        secure = getenv("https_proxy");
        if (secure == NULL)
            secure = getenv("HTTPS_PROXY"); /* no header is called so */
    }
    if (options->proxy_from_env != 0 && not_for == NULL)
        not_for = getenv("no_proxy");
    not_for = not_for != NULL ? not_for : "";
    options->proxy = NULL;
    options->proxy_not_for = skua__http_arena_copy(&client->arena, not_for, strlen(not_for));
    if (options->proxy_not_for == NULL)
        return -ENOMEM;
    rc = link_proxy_parse(client, &client->proxies[0], proxy);
    return rc == 0 ? link_proxy_parse(client, &client->proxies[1], secure) : rc;
}

/* A host, or all below a domain: ".example.org" and "example.org" are both. */
static bool link_proxy_excludes(const char *entry, size_t len, const char *host, size_t host_len)
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

const struct skua__client_url *skua__client_proxied(const skua_http_client *client,
                                                    const struct skua__client_url *url)
{
    const struct skua__client_url *proxy = &client->proxies[strcmp(url->scheme, "https") == 0];
    const char *list = client->options.proxy_not_for;
    const char *host = url->address;
    size_t host_len = (size_t)(strrchr(host, ':') - host);

    if (proxy->text == NULL)
        return NULL;
    while (*(list += strspn(list, ", \t")) != '\0') {
        size_t len = strcspn(list, ", \t");

        if (link_proxy_excludes(list, len, host, host_len))
            return NULL;
        list += len;
    }
    return proxy;
}

/* ---- a socket -------------------------------------------------------------------------------- */

static ssize_t link_tcp_try_read(void *object, void *buf, size_t len)
{
    return skua_tcp_try_read(object, buf, len);
}

static void link_tcp_close(void *object)
{
    (void)skua_tcp_close(object);
}

static ssize_t link_tcp_read(void *object, void *buf, size_t len, int64_t deadline)
{
    ssize_t n;

    if (deadline != 0)
        return skua_tcp_read_until(object, buf, len, deadline);
    n = skua_tcp_try_read(object, buf, len);
    return n == -EAGAIN ? -ETIMEDOUT : n;
}

static ssize_t link_tcp_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    return skua_io_write_until(skua_tcp_io(object), buf, len, deadline);
}

static ssize_t link_tcp_writev(void *object, const struct iovec *iov, int count, int64_t deadline)
{
    skua_io io = skua_tcp_io(object);

    return io.ops->writev(io.object, iov, count, deadline);
}

static int link_tcp_shutdown(void *object)
{
    return skua_tcp_shutdown(object);
}

static const skua_io_ops link_tcp_ops = {.name = "tcp",
                                         .read = link_tcp_read,
                                         .write = link_tcp_write,
                                         .writev = link_tcp_writev,
                                         .shutdown = link_tcp_shutdown};

static int link_tcp(skua_tcp **tcp, const struct skua__client_origin *origin, int64_t deadline)
{
    if (*origin->unix_path != '\0')
        return skua_unix_connect_until(tcp, origin->unix_path, deadline);
    return skua_tcp_connect(tcp, origin->proxy != NULL ? origin->proxy->address : origin->address,
                            SKUA_CONNECT_OPTIONS(.deadline = deadline));
}

/* ---- a tunnel -------------------------------------------------------------------------------- */

static void link_tell(const struct skua__client_asker *asker, const char *text)
{
    if (asker->text != NULL)
        (void)snprintf(asker->text, asker->text_size, "%s", text);
}

/* One head, to its blank line: 0 or an error. */
static int link_tunnel_head(skua_tcp *tcp, char *text, size_t size, int64_t deadline)
{
    size_t len = 0;

    do {
        ssize_t n = skua_tcp_read_until(tcp, text + len, 1, deadline);

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : (int)n;
        len++;
    } while ((len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4) != 0) && len < size - 1);
    text[len] = '\0';
    if (len == size - 1)
        return SKUA_ELIMIT;
    if (len < 14 || memcmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ' ||
        (text[12] != ' ' && text[12] != '\r') || !skua__http_lines_are_whole(text, len))
        return -EBADMSG;
    return 0;
}

/* What the proxy answers: 0: the tunnel is there. */
static int link_tunnel_answer(skua_tcp *tcp, char *text, size_t size,
                              const struct skua__client_asker *asker)
{
    int64_t status = 100;
    int rc = 0;

    for (int i = 0; status < 200 && status != 101; i++) {
        rc = i < 32 ? link_tunnel_head(tcp, text, size, asker->deadline) : -EBADMSG;
        if (rc != 0)
            return rc;
        status = skua__http_number(text + 9, 3);
        if (status < 100)
            return -EBADMSG;
    }
    if (status >= 200 && status <= 299)
        return 0;
    text[strcspn(text, "\r")] = '\0';
    link_tell(asker, text);
    return status == 407 ? -EACCES : -ECONNREFUSED;
}

static int link_tunnel(skua_tcp *tcp, const struct skua__client_origin *origin,
                       const struct skua__client_asker *asker, size_t head_max)
{
    const char *who = asker->authorization;
    size_t size = 2 * strlen(origin->address) + (who != NULL ? strlen(who) : 0) + 128;
    char *text;
    int len, rc;

    if (size < head_max)
        size = head_max;
    text = skua__http_malloc(size);
    if (text == NULL)
        return -ENOMEM;
    len = snprintf(text, size, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", origin->address,
                   origin->address, who != NULL ? "Proxy-Authorization: " : "",
                   who != NULL ? who : "", who != NULL ? "\r\n" : "");
    rc = (int)skua_io_write_all_until(skua_tcp_io(tcp), text, (size_t)len, asker->deadline);
    rc = rc < 0 ? rc : link_tunnel_answer(tcp, text, head_max, asker);
    skua__http_free(text);
    return rc;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* Without a wait, and whatever becomes of the task. */
static ssize_t link_secure_try_read(void *object, void *buf, size_t len)
{
    const struct link_secure *secure = object;
    ssize_t n = skua_io_read_until(skua_tls_io(secure->tls), buf, len, 0);

    return n == -ETIMEDOUT || n == -ECANCELED ? -EAGAIN : n;
}

static void link_secure_close(void *object)
{
    struct link_secure *secure = object;

    skua__tls_goodbye(secure->tls);
    skua_tls_close(secure->tls);
    (void)skua_tcp_close(secure->tcp);
    skua__http_free(secure);
}

static int link_context_new(void *arg)
{
    return skua_tls_context_new(arg, SKUA_TLS_CLIENT, NULL);
}

/* The user's, or the client's own, which is made now: of two that make it the first one wins. */
static int link_context(skua_http_client *client, skua_tls_context **ret)
{
    skua_tls_context *context = NULL;
    int rc;

    pthread_mutex_lock(&client->mutex);
    *ret = client->options.tls != NULL ? client->options.tls : client->tls;
    pthread_mutex_unlock(&client->mutex);
    if (*ret != NULL)
        return 0;
    rc = skua_block_in_place(link_context_new, &context); /* reads files */
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&client->mutex);
    if (client->tls == NULL) {
        client->tls = context;
        context = NULL;
    }
    *ret = client->tls;
    pthread_mutex_unlock(&client->mutex);
    skua_tls_context_free(context);
    return 0;
}

/* "[::1]:443" without what is around the host. */
static void link_host(const char *address, char host[256])
{
    size_t len = (size_t)(strrchr(address, ':') - address);

    if (*address == '[') {
        address++;
        len -= 2;
    }
    (void)snprintf(host, 256, "%.*s", (int)len, address);
}

/* Whether HTTP/2 is spoken, as was agreed on; or an error. */
static int link_agreed(struct skua__client_link *link, skua_http2_use wanted,
                       const struct link_secure *secure)
{
    skua_tls_info info;
    int rc = skua_tls_info_of(secure->tls, &info);

    if (rc != 0)
        return rc;
    link->http2 = strcmp(info.alpn, "h2") == 0;
    link->resumed = info.resumed != 0;
    return wanted == SKUA_HTTP2_ONLY && !link->http2 ? -EPROTONOSUPPORT : 0;
}

static int link_shake(skua_http_client *client, struct link_secure *secure,
                      const struct skua__client_origin *origin,
                      const struct skua__client_asker *asker)
{
    const char *protocols = origin->http2 == SKUA_HTTP2_OFF    ? "\x08http/1.1"
                            : origin->http2 == SKUA_HTTP2_ONLY ? "\x02h2"
                                                               : LINK_ANY;
    skua_tls_context *context;
    char host[256];
    int rc = link_context(client, &context);

    if (rc != 0)
        return rc;
    link_host(origin->address, host);
    rc = skua__tls_connect_for(&secure->tls, context, (skua_io){&link_tcp_ops, secure->tcp}, host,
                               protocols, origin->http2 != SKUA_HTTP2_AUTO, asker->deadline);
    if (rc != 0)
        link_tell(asker, skua_tls_error_text(secure->tls));
    return rc;
}

/* Around a socket, which stays the caller's on failure. */
static int link_secure(skua_http_client *client, struct skua__client_link *link, skua_tcp *tcp,
                       const struct skua__client_origin *origin,
                       const struct skua__client_asker *asker)
{
    struct link_secure *secure = skua__http_malloc(sizeof *secure);
    int rc;

    if (secure == NULL)
        return -ENOMEM;
    secure->tcp = tcp;
    rc = link_shake(client, secure, origin, asker);
    if (rc == 0)
        rc = link_agreed(link, origin->http2, secure);
    if (rc != 0) {
        skua_tls_close(secure->tls);
        skua__http_free(secure);
        return rc;
    }
    link->link = (struct skua__http_link){skua_tls_io(secure->tls), secure, link_secure_try_read,
                                          link_secure_close};
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

bool skua__client_scheme_known(const char *scheme)
{
#ifdef SKUA_HAVE_TLS
    if (strcmp(scheme, "https") == 0)
        return true;
#endif
    return strcmp(scheme, "http") == 0;
}

int skua__client_connect(skua_http_client *client, struct skua__client_link *link,
                         const struct skua__client_origin *origin,
                         const struct skua__client_asker *asker)
{
    skua_tcp *tcp;
    int rc = link_tcp(&tcp, origin, asker->deadline);

    if (rc != 0)
        return rc;
    *link = (struct skua__client_link){
        .link = {{&link_tcp_ops, tcp}, tcp, link_tcp_try_read, link_tcp_close},
        .http2 = origin->http2 == SKUA_HTTP2_ONLY};
    if (origin->proxy != NULL)
        rc = link_tunnel(tcp, origin, asker, client->options.head_max);
    if (rc == 0 && strcmp(origin->scheme, "https") == 0)
        rc = link_secure(client, link, tcp, origin, asker);
    if (rc != 0)
        (void)skua_tcp_close(tcp);
    return rc;
}

#undef LINK_ANY
