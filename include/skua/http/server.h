/* server.h - a server of HTTP.
 *
 *     static int app(void *arg)
 *     {
 *         return skua_http_serve("127.0.0.1:8080", hello, arg, NULL);
 *     }
 *
 * or, with more in its hands:
 *
 *     skua_http_server_new(&server, skua_http_router_handler, router, NULL);
 *     skua_tcp_listen(&listener, "127.0.0.1:8080", NULL);
 *     rc = skua_http_server_run(server, listener);    -- until it is cancelled, then drains
 *     skua_http_server_free(server);
 *
 * Each connection is a fiber. Requests that a client sends without waiting for answers
 * (pipelining) are answered in their order, and the answers sent together.
 *
 * Stopping   a server whose fiber is cancelled (a signal under skua_main, a scope that fails) takes
 *            no more connections, closes those that are idle, lets the requests under way end,
 *            whose answers say "Connection: close", and returns when the last has. After
 *            drain_timeout it cancels what is left.
 * HTTP/2     a client that begins with HTTP/2's preface on a connection without TLS ("prior
 *            knowledge") gets HTTP/2, and one that has agreed on "h2" in TLS: give the context
 *            .alpn = "h2,http/1.1". Each of its requests is a fiber of its own, streams_max of them
 *            at a time. The upgrade from HTTP/1.1 ("Upgrade: h2c") is not spoken: RFC 9113 has
 *            withdrawn it. A stop says goodbye as RFC 9113, 6.8 wants it: first a notice, and after
 *            a round trip which request was the last.
 * Upgrades   a handler may take the connection over (skua_http_upgrade). It is under way until the
 *            handler returns.
 * Sockets    of any kind that listens: skua_tcp_listen, skua_unix_listen, skua_tcp_listen_adopt.
 * Defences   everything that a client can make the server hold has a limit, everything it can make
 *            it wait for a time-out, all with defaults. A request that two programs may understand
 *            differently (both a length and chunks, two lengths, a bare LF, no or two Host headers,
 *            blanks before a colon, a folded header) gets 400, and its connection is closed.
 *
 *            Of HTTP/2 there are budgets for frames that bring nothing (PING, SETTINGS and such)
 *            and for requests that are reset again ("rapid reset"), beyond which the connection
 *            ends with ENHANCE_YOUR_CALM; a head that comes in too many frames, or unpacks to more
 *            than head_max, is as one that is too long.
 *
 * Traces     where telemetry is on (trace.h), each request that reaches the handler has a span, a
 *            child of the client's (propagation.h). It is current in the handler, has its name from
 *            the route, and ends with the response; of an upgrade with the 101. The handler may
 *            rename it, or set more: skua_span_current().
 *
 * Source     RFC 9110, 9112 and 9113; the defaults after nginx's and Go's, the least rate
 *            Kestrel's.
 */
#ifndef SKUA_HTTP_SERVER_H
#define SKUA_HTTP_SERVER_H

#include <skua/http/exchange.h>
#include <skua/io.h>
#include <skua/http/tls.h>
#include <skua/net.h>

SKUA_C_BEGIN

typedef struct skua_http_server skua_http_server;

/* Zero, or NULL for all of them, means the default. Times are in ns; SKUA_FOREVER: no time-out. */
typedef struct skua_http_server_options {
    size_t size;             /* of this struct; SKUA_HTTP_SERVER_OPTIONS sets it */
    size_t head_max;         /* bytes of a request's line and headers; default 16 KiB, 431 beyond */
    size_t headers_max;      /* number of headers; default 100, 431 beyond */
    int64_t body_max;        /* bytes of a request's body; default 1 MiB, 413 beyond; -1: any */
    size_t connections_max;  /* at a time; default 10,000; more wait to be accepted */
    size_t peer_max;         /* connections at a time from one IP address; more are closed at once;
                                default 0: any number, as it must be behind a proxy */
    size_t requests_max;     /* of one connection, which is then closed; default 0: any number */
    int64_t head_timeout;    /* from a request's first byte to the end of its headers; 10 s; 408 */
    int64_t body_timeout;    /* without a byte of the body; 30 s; 408 */
    int64_t body_rate_min;   /* bytes a second that a body must bring on average, once 5 s were
                                spent waiting for it; default 240; -1: any; 408 */
    int64_t write_timeout;   /* without the client taking a byte of the response; 30 s */
    int64_t idle_timeout;    /* until the next request, or the first; 75 s */
    int64_t handler_timeout; /* of a handler: its waits get -ETIMEDOUT; none */
    int64_t drain_timeout;   /* of a stop; 10 s */
    skua_tls_context *tls;   /* a server's: connections that are accepted speak TLS; default NULL.
                                The caller's, as long as the server */
    int64_t tls_timeout;     /* of a handshake; 10 s */
    uint32_t streams_max;    /* requests under way of one connection of HTTP/2; default 128 */
    uint32_t stream_window;  /* bytes that a client may send of each before its handler reads them:
                                16 KiB to 16 MiB; default 128 KiB. Times streams_max is what one
                                connection can make the server keep */
    int http2;               /* -1: HTTP/1.1 alone; 1: HTTP/2 alone; default: both, where the
                                library has HTTP/2 */
    const char *server_name; /* value of the Server header; NULL: there is none. Copied */
    /* Called when a fiber that runs the server begins to stop it, before connections are closed:
       skua_http_health_drain (health.h), for instance. It does not wait. NULL: nothing */
    void (*on_stop)(void *arg);
    void *stop_arg; /* of on_stop */
} skua_http_server_options;

#define SKUA_HTTP_SERVER_OPTIONS(...)                                                              \
    (&(skua_http_server_options){.size = sizeof(skua_http_server_options), __VA_ARGS__})

/* For languages without the macro: all defaults.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_http_server_options_init(skua_http_server_options *options);

/* What a server has done; all counts since it was made, but those that say "now". */
typedef struct skua_http_server_stats {
    uint64_t connections;     /* accepted */
    uint64_t connections_now; /* open */
    uint64_t requests;        /* whose headers were read */
    uint64_t requests_now;    /* under way */
    uint64_t turned_away;     /* connections closed at once, because of peer_max */
    uint64_t refused;         /* malformed, too long or too late: answered without a handler; and
                                 handshakes of TLS that failed */
} skua_http_server_stats;

/* Makes a server.
 *
 * ret        receives it, to be ended by skua_http_server_free; untouched on failure
 * handler    called for each request, on the fiber of its connection; of HTTP/2, on its own
 * state      handed to it; the caller's, as long as the server
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM; -ENOTSUP: HTTP/2 alone, which the library was built without
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_http_server_new(skua_http_server **ret, skua_http_handler handler,
                                                 void *state,
                                                 const skua_http_server_options *options);

/* Serves what a listener accepts, until it is cancelled, its deadline ends or the listener is
 * closed; then drains. Several fibers may run one server, with a listener each.
 *
 * listener   the caller's, who closes it afterwards
 * Returns    -ECANCELED, -ETIMEDOUT, or SKUA_ECLOSED: the listener was closed; another code: it
 *            cannot accept any more
 * Threads    fibers
 * Since      0.2
 */
SKUA_API int skua_http_server_run(skua_http_server *server, skua_listener *listener);

/* Serves one connection that somebody else has accepted or made, until it ends.
 *
 * io         the caller's, who closes it afterwards
 * peer       what skua_http_peer says; NULL: nothing. The caller's until it returns
 * Returns    0: it ended as connections do; -EBADMSG: the client sent what is no request;
 *            -ETIMEDOUT: it was too slow; what io says
 * Threads    fibers
 * Since      0.2
 */
SKUA_API int skua_http_server_serve(skua_http_server *server, skua_io io, const char *peer);

/* What it has done so far.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_http_server_stats_of(skua_http_server *server, skua_http_server_stats *ret);

/* Frees a server that nobody runs any more.
 *
 * server     gone afterwards; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_http_server_free(skua_http_server *server);

/* Listens, serves, and closes: a whole server in one call.
 *
 * address    as skua_tcp_listen takes it: "127.0.0.1:8080"
 * handler, state, options  as skua_http_server_new takes them
 * Returns    as skua_http_server_run; what listening says
 * Threads    fibers
 * Since      0.2
 */
SKUA_API int skua_http_serve(const char *address, skua_http_handler handler, void *state,
                             const skua_http_server_options *options);

SKUA_C_END

#endif
