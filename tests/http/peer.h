/* peer.h - whom the client's tests talk to: our own server, and peers that follow a script.
 *
 *     static const struct act acts[] = {{"HTTP/1.1 200 OK\r\n", CLOSES}};
 *     struct peer peer;
 *
 *     peer_begin(&peer, acts, TEST_LEN(acts));
 *     rc = skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = peer.url), &response);
 *     peer_end(&peer);
 *
 * An act reads a request's head, and what its Content-Length says; then it sends its text. What it
 * has heard last is in `heard`.
 */
#ifndef SKUA_TESTS_PEER_H
#define SKUA_TESTS_PEER_H

#include <skua/http/client.h>
#include <skua/http/server.h>

#include "../lib/event.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

#define CHECK_TEXT(actual, wanted)                                                                 \
    do {                                                                                           \
        const char *is_ = (actual);                                                                \
                                                                                                   \
        if (!CHECK(is_ != NULL && strcmp(is_, (wanted)) == 0))                                     \
            test_note("it is \"%s\", not \"%s\"", is_ != NULL ? is_ : "(null)", (wanted));         \
    } while (0)

/* ---- our own server -------------------------------------------------------------------------- */

struct site {
    skua_http_server *server;
    skua_listener *listener;
    char address[SKUA_ADDRESS_MAX];
    char url[SKUA_ADDRESS_MAX + 16]; /* without a path */
    skua_task *task;
};

static inline int site_run(void *arg)
{
    struct site *site = arg;

    return skua_http_server_run(site->server, site->listener);
}

static inline void site_begin(struct site *site, skua_http_handler handler, void *state,
                              const skua_http_server_options *options)
{
    MUST(skua_http_server_new(&site->server, handler, state, options) == 0);
    MUST(skua_tcp_listen(&site->listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(site->listener, site->address, sizeof site->address) == 0);
    (void)snprintf(site->url, sizeof site->url, "http://%s", site->address);
    MUST(skua_spawn(NULL, site_run, site, .task = &site->task) == 0);
}

static inline void site_end(struct site *site)
{
    int result = 0;

    (void)skua_task_cancel(site->task);
    CHECK_EQ(skua_task_join(site->task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_listener_close(site->listener), 0);
    skua_http_server_free(site->server);
}

/* The site's URL with a path. */
static inline const char *at(const char *url, const char *path, char *text, size_t size)
{
    (void)snprintf(text, size, "%s%s", url, path);
    return text;
}
#define AT(url, path) at((url), (path), (char[512]){""}, 512)

/* ---- peers with a script --------------------------------------------------------------------- */

enum after {
    STAYS,  /* the next act is on the same connection */
    CLOSES, /* at once */
    LEAVES, /* when the client has closed: the next act is on another connection */
    DRIPS,  /* as LEAVES, with a byte of the text at a time */
    RESETS, /* without reading the request: the system sends a reset. No text */
    FLOODS, /* the text again and again until the client has enough; then as CLOSES */
    HANGS   /* as LEAVES, but does not read the request */
};

struct act {
    const char *text;
    enum after after;
};

struct peer {
    const struct act *acts;
    size_t count;
    skua_listener *listener;
    char url[SKUA_ADDRESS_MAX + 16];
    skua_task *task;
    char heard[16384];
    size_t heard_len;
    bool hasty; /* answers heads, not requests */
};

/* A whole request; false: the client has gone. */
static inline bool peer_hears(struct peer *peer, skua_tcp *tcp)
{
    size_t len = 0;

    for (;;) {
        const char *end, *length;
        ssize_t n;

        peer->heard[len] = '\0';
        end = strstr(peer->heard, "\r\n\r\n");
        length = strstr(peer->heard, "Content-Length: ");
        if (end != NULL && (peer->hasty || length == NULL || length > end ||
                            len - (size_t)(end + 4 - peer->heard) >= (size_t)atol(length + 16)))
            break;
        MUST(len < sizeof peer->heard - 1);
        n = skua_tcp_read(tcp, peer->heard + len, sizeof peer->heard - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    peer->heard_len = len;
    return true;
}

static inline void peer_says(const struct act *act, skua_tcp *tcp)
{
    size_t len = strlen(act->text);
    size_t piece = act->after == DRIPS ? 1 : len;

    do {
        for (size_t i = 0; i < len; i += piece) {
            if (skua_tcp_write_all(tcp, act->text + i, piece) < 0)
                return;
            if (act->after == DRIPS && skua_sleep(SKUA_MILLISECOND / 4) != 0)
                return;
        }
    } while (act->after == FLOODS);
}

static inline int peer_run(void *arg)
{
    struct peer *peer = arg;
    skua_tcp *tcp = NULL;
    char waste[4096];
    ssize_t rc = 0;

    for (size_t i = 0; i < peer->count && rc == 0; i++) {
        const struct act *act = &peer->acts[i];

        if (tcp == NULL) {
            rc = skua_tcp_accept(peer->listener, &tcp);
            if (rc != 0)
                break;
        }
        if (act->after == RESETS)
            rc = skua_tcp_readable(tcp); /* and what came is unread when it is closed */
        else if (act->after == HANGS || peer_hears(peer, tcp))
            peer_says(act, tcp);
        if (act->after == LEAVES || act->after == DRIPS)
            while ((rc = skua_tcp_read(tcp, waste, sizeof waste)) > 0)
                ;
        if (act->after == HANGS)
            rc = skua_sleep(SKUA_FOREVER);
        if (rc == -ECONNRESET)
            rc = 0;
        if (act->after != STAYS) {
            CHECK_EQ(skua_tcp_close(tcp), 0);
            tcp = NULL;
        }
    }
    (void)skua_tcp_close(tcp);
    return 0;
}

static inline void peer_listen(struct peer *peer, const struct act *acts, size_t count)
{
    char address[SKUA_ADDRESS_MAX];

    memset(peer, 0, sizeof *peer);
    peer->acts = acts;
    peer->count = count;
    peer->listener = test_listen(address);
    (void)snprintf(peer->url, sizeof peer->url, "http://%s", address);
}

static inline void peer_begin(struct peer *peer, const struct act *acts, size_t count)
{
    peer_listen(peer, acts, count);
    MUST(skua_spawn(NULL, peer_run, peer, .task = &peer->task) == 0);
}

/* Before `heard` is looked at. */
static inline void peer_stop(struct peer *peer)
{
    (void)skua_task_cancel(peer->task);
    CHECK_EQ(skua_task_join(peer->task, NULL), 0);
    peer->task = NULL;
}

static inline void peer_end(struct peer *peer)
{
    if (peer->task != NULL)
        peer_stop(peer);
    CHECK_EQ(skua_listener_close(peer->listener), 0);
}

/* ---- the client ------------------------------------------------------------------------------ */

static inline skua_http_client *client_with(const skua_http_client_options *options)
{
    skua_http_client *client;

    MUST(skua_http_client_new(&client, options) == 0);
    return client;
}

static inline skua_http_client_stats client_stats(skua_http_client *client)
{
    skua_http_client_stats stats;

    skua_http_client_stats_of(client, &stats);
    return stats;
}

/* The status of a GET whose body is `body` (NULL: whatever), or the error. */
static inline int gets_(skua_http_client *client, const char *url, const char *body)
{
    skua_http_response *response;
    int rc = skua_http_get(client, url, 1 << 20, &response);

    if (rc != 0)
        return rc;
    rc = skua_http_response_status(response);
    if (body != NULL)
        CHECK_TEXT(skua_http_response_body(response, NULL), body);
    skua_http_response_close(response);
    return rc;
}

#endif
