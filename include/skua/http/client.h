/* client.h - an HTTP client: requests out, responses in as streams, connections kept and shared.
 *
 *     skua_http_client *client;
 *     skua_http_response *response;
 *     char buf[8192];
 *     ssize_t n;
 *
 *     rc = skua_http_client_new(&client, NULL);
 *     ...
 *     rc = skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = "http://127.0.0.1:8080/big"),
 *                                &response);
 *     if (rc == 0) {
 *         while ((n = skua_http_response_read(response, buf, sizeof buf)) > 0)
 *             use(buf, (size_t)n);
 *         skua_http_response_close(response);
 *     }
 *
 * Errors     what the network or the peer did wrong is an error; a status of 404 or 500 is not.
 * Pool       a connection whose response was read to its end serves the next request to the same
 *            origin (scheme, host, port), the one used last first. Where the limits are reached, a
 *            request waits in line. There is no task in the background: connections that have been
 *            idle for too long are closed when the client is used.
 * Again      a request on a kept connection that its server has closed meanwhile is sent once more,
 *            on a new connection: if nothing of it was sent, or its method is idempotent (GET,
 *            HEAD, OPTIONS, TRACE, PUT, DELETE), and its body can be had again.
 * Redirects  301, 302, 303, 307 and 308 are followed (RFC 9110, 15.4): a POST becomes a GET with
 *            301 and 302, everything but HEAD with 303; 307 and 308 send the same again. To another
 *            origin Authorization, Cookie and Proxy-Authorization do not go along.
 * Defences   a response whose end two programs may see in different places is refused: two lengths,
 *            a length beside chunks, bare line feeds, folded headers. A connection on which more
 *            comes than was asked for is not used again.
 * Full       the body of a request is sent before the response is read, unless the response has a
 *   duplex   status of 300 and more. A server that answers a long request while it reads it, and
 *            then waits for its answer to be read, runs into the time-out. For both at once there
 *            are the calls of call.h, over HTTP/2.
 * Codings    a request says in Accept-Encoding what the client can decode (gzip, br, zstd: as it
 *            was built), and a response that is coded so is decoded as it is read: it has no
 *            Content-Encoding and no Content-Length then. One that is malformed or cut short is
 *            -EBADMSG; how much comes out of little is bounded by the limit of who reads. Not for
 *            HEAD, nor for a request that has a Range, or says Accept-Encoding itself: that gets
 *            what comes, as does everyone whose response has a coding that is not known. As in Go.
 * Proxies    are asked for whole URLs, and as an origin as far as limits go; for "https" they are
 *            asked for a tunnel (CONNECT), which is a connection of the origin behind it. A
 *            Proxy-Authorization header is theirs, and goes nowhere else.
 * Schemes    "http" and "https". The server's certificate is verified, and that it is for the host
 *            of the URL (tls.h); the handshake is a part of connecting, and connect_timeout its
 *            bound. An end of the connection that TLS does not vouch for is SKUA_EEOF also where
 *            it would end a body. A library that was built without TLS says -EPROTONOSUPPORT.
 * Stack      OpenSSL needs more of it than most: FIBERS THAT ASK FOR "https" ARE TO BE MADE WITH
 *            SKUA_STACK_LARGE, also where only a redirect may lead there.
 * HTTP/2     is spoken where the server takes it in the handshake of TLS (ALPN), and where a
 *            request or the client insists on it, also in cleartext. Requests share a connection
 *            then, as many at a time as the server allows, and a further one is made when it is
 *            full. A request that the server has not looked at is sent again, whatever its method
 *            (RFC 9113, 8.7). A time-out, a cancelled request and a response that is closed early
 *            end their stream, and not the connection.
 * Runtimes   the connections belong to whoever made them: one client is for the fibers of one
 *            runtime, or for plain threads.
 * Traces     where telemetry is on (trace.h), a request has a span each time that it is sent, for
 *            a redirect or again, too. It ends with the answer's head, and its context is among
 *            the headers (propagation.h), instead of what is there. Where telemetry is suppressed
 *            nothing is.
 * Sources    RFC 9110, RFC 9112, RFC 3986; Go's net/http, reqwest.
 */
#ifndef SKUA_HTTP_CLIENT_H
#define SKUA_HTTP_CLIENT_H

#include <skua/http/cookies.h>
#include <skua/http/tls.h>

SKUA_C_BEGIN

typedef struct skua_http_client skua_http_client;
typedef struct skua_http_response skua_http_response;

/* A header to be sent. */
typedef struct skua_http_field {
    const char *name;  /* a token (RFC 9110, 5.6.2) */
    const char *value; /* no control characters */
} skua_http_field;

/* Which version of HTTP is spoken. */
typedef enum skua_http2_use {
    SKUA_HTTP2_DEFAULT, /* of a request: the client's; of a client: AUTO */
    SKUA_HTTP2_AUTO,    /* what the server chooses in the handshake of TLS; 1.1 in cleartext */
    SKUA_HTTP2_ONLY,    /* 2, in cleartext because the caller knows that the server speaks it */
    SKUA_HTTP2_OFF      /* 1.1 */
} skua_http2_use;

/* ---- the client ------------------------------------------------------------------------------ */

/* A time-out of 0 is the default; SKUA_FOREVER: none. */
typedef struct skua_http_client_options {
    size_t size;                    /* of this struct; SKUA_HTTP_CLIENT_OPTIONS sets it */
    size_t connections_max;         /* open at a time; default 256 */
    size_t connections_per_origin;  /* of these, to one origin; default 16 */
    size_t head_max;                /* bytes of a response's line and headers; default 64 KiB */
    size_t headers_max;             /* number of headers; default 200 */
    int redirects_max;              /* followed for one request; default 10; -1: none */
    int64_t idle_timeout;           /* of a connection that waits to be used again; 60 s */
    int64_t connect_timeout;        /* 10 s */
    int64_t head_timeout;           /* from the request's last byte to the response's head; 60 s */
    int64_t read_timeout;           /* without a byte of the response's body; 30 s */
    int64_t write_timeout;          /* without the server taking a byte of the request; 30 s */
    int64_t total_timeout;          /* of a request with its redirects and all bodies; none */
    const char *user_agent;         /* copied; NULL: "skua"; "": no such header */
    const skua_http_field *headers; /* sent with each request that does not have them; copied */
    size_t headers_count;           /* of `headers` */
    skua_tls_context *tls;          /* a client's, which is the caller's, as long as the client; its
                                       list of ALPN counts where HTTP/2 is AUTO. NULL: one with the
                                       system's store, made when it is first wanted */
    skua_http2_use http2;           /* of requests that do not say it */
    const char *proxy;              /* "http://host:port" of a proxy; NULL: none. Copied */
    const char *proxy_not_for;  /* hosts and domains to ask without it: "localhost,.example.org";
                                       "*": all. Copied */
    unsigned proxy_from_env;    /* 1: where these two are NULL, what the environment has as
                                       http_proxy (never HTTP_PROXY), https_proxy or HTTPS_PROXY,
                                       and no_proxy */
    int decompress;             /* -1: bodies are handed out as they come; see Codings */
    skua_http_cookies *cookies; /* NULL: none are kept; the caller's, as long as the client */
} skua_http_client_options;

#ifndef __cplusplus
#define SKUA_HTTP_CLIENT_OPTIONS(...)                                                              \
    (&(const skua_http_client_options){.size = sizeof(skua_http_client_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_client_options_init(skua_http_client_options *options);

/* What a client has done; all counts since it was made, but those that say "now". */
typedef struct skua_http_client_stats {
    uint64_t requests;         /* sent, each redirect and each repetition one more */
    uint64_t reused;           /* of these, on a connection that was there */
    uint64_t repeated;         /* of these, again, because the connection had been closed */
    uint64_t redirects;        /* followed */
    uint64_t connections;      /* made */
    uint64_t resumed;          /* of these, with TLS, as the going on of an earlier session */
    uint64_t http2;            /* of these, in HTTP/2 */
    uint64_t connections_now;  /* open, or being made */
    uint64_t connections_idle; /* of these, waiting to be used again, now */
    uint64_t waiting_now;      /* requests in line for a connection */
    uint64_t streams_now;      /* requests and responses on connections of HTTP/2 */
} skua_http_client_stats;

/* Makes a client.
 *
 * ret        receives it, to be ended by skua_http_client_free; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -EPROTONOSUPPORT: a proxy that is not asked in HTTP; -ENOMEM
 * Threads    any; the environment must not change meanwhile if it is asked for
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_new(skua_http_client **ret,
                                                 const skua_http_client_options *options);

/* Closes the idle connections, and frees the client.
 *
 * client     NULL does nothing
 * Returns    0; -EBUSY: responses are open, or requests under way: nothing was freed
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_client_free(skua_http_client *client);

/* Closes the connections that are idle now.
 *
 * Returns    how many
 * Threads    any
 * Since      0.3
 */
SKUA_API size_t skua_http_client_close_idle(skua_http_client *client);

/* What it has done so far.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_client_stats_of(skua_http_client *client, skua_http_client_stats *ret);

/* ---- requests -------------------------------------------------------------------------------- */

/* Makes the next piece of a body. It may wait, as the call that sends.
 *
 * state      .body_state
 * buf, len   room for the piece
 * Returns    its bytes, at most `len`; 0: the body is whole; a negative code: the request fails
 *            with it
 */
typedef ssize_t (*skua_http_body_fn)(void *state, void *buf, size_t len);

/* Everything here is the caller's until skua_http_client_send returns. */
typedef struct skua_http_request {
    size_t size;                    /* of this struct; SKUA_HTTP_REQUEST sets it */
    const char *url;                /* "http://host:port/path?query"; no user; percent-encoded */
    const char *method;             /* NULL: "GET"; not CONNECT */
    const skua_http_field *headers; /* Connection, Transfer-Encoding, Content-Length, Expect,
                                       Upgrade, TE and Trailer are the client's */
    size_t headers_count;           /* of `headers` */
    const void *body;               /* NULL: none, or a stream */
    size_t body_len;                /* bytes of `body` */
    skua_http_body_fn body_read;    /* instead of `body`: a stream */
    int (*body_again)(void *state); /* begins the stream anew: 0, or an error: it cannot; NULL: it
                                       never can */
    void *body_state;               /* of the two functions */
    int64_t body_length;            /* of the stream; 0: not known: sent in chunks */
    unsigned expect_continue;       /* 1: the body is sent when the server asks for it, or has said
                                       nothing for a second */
    int redirects_max;              /* 0: the client's; -1: none */
    int64_t timeout;                /* 0: the client's total_timeout */
    skua_http2_use http2;           /* DEFAULT: the client's */
    const char *unix_path; /* NULL; the Unix socket to connect to instead of the URL's host.
                                       Redirects to another origin are not followed then */
    char *error_text;      /* receives why it failed, where there are words for it ("certificate
                                       verify failed: certificate has expired"), else "", cut to
                                       fit; NULL: not wanted */
    size_t error_size;     /* bytes of it */
} skua_http_request;

#ifndef __cplusplus
#define SKUA_HTTP_REQUEST(...)                                                                     \
    (&(const skua_http_request){.size = sizeof(skua_http_request), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_request_init(skua_http_request *request);

/* Sends a request, follows redirects, and returns when the response's head is there.
 *
 * response   receives the response, to be ended by skua_http_response_close; untouched on failure
 * Returns    0; -EINVAL: the request or its URL is malformed; -EPROTONOSUPPORT: a scheme that is
 *            not spoken, or HTTP/2 was insisted on and the server does not; what connecting says
 *            (-ECONNREFUSED …: also of a proxy that makes no tunnel; -EACCES: it wants to know who
 *            asks), what TLS says (tls.h: -EKEYREJECTED …); -EBADMSG: the answer is malformed;
 *            SKUA_ELIMIT: its head is too long, or there were too many redirects; SKUA_EEOF: the
 *            connection ended before or in it; -ECONNRESET, -EPIPE; -EMSGSIZE: the stream of the
 *            body has not the length that was said; what that stream says; -ENOMEM; -ETIMEDOUT;
 *            -ECANCELED; -EPROTO: TLS or HTTP/2 was violated
 * Threads    fibers, plain threads
 * Cancel     the connection is closed, of HTTP/2 the stream is reset; whether the server has acted
 *            on the request is not known
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_send(skua_http_client *client,
                                                  const skua_http_request *request,
                                                  skua_http_response **response);

/* Gets a whole resource: skua_http_response_body has it.
 *
 * limit      bytes of the body at most
 * response   as skua_http_client_send; its connection is free already
 * Returns    as skua_http_client_send and skua_http_response_read_all
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_get(skua_http_client *client, const char *url, size_t limit,
                                          skua_http_response **response);

/* Posts bytes, and gets the whole answer.
 *
 * type       the Content-Type; NULL: none
 * body, len  the caller's
 * limit      bytes of the answer at most
 * Returns    as skua_http_get
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_post(skua_http_client *client, const char *url,
                                           const char *type, const void *body, size_t len,
                                           size_t limit, skua_http_response **response);

/* ---- responses -------------------------------------------------------------------------------
 *
 * A response and all strings that it hands out live until it is closed. One task or thread at a
 * time has it. */

/* The status.
 *
 * Returns    200 to 999
 * Threads    where the response is used, as all calls of this part
 * Since      0.3
 */
SKUA_API int skua_http_response_status(const skua_http_response *response);

/* The version of the protocol.
 *
 * Returns    10, 11 or 20
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API int skua_http_response_version(const skua_http_response *response);

/* The URL it came from, behind the last redirect; without a fragment.
 *
 * Returns    never NULL
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API const char *skua_http_response_url(const skua_http_response *response);

/* A header; of several with the name the first.
 *
 * name       in any case
 * Returns    its value, "" when it is empty; NULL: there is none
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API const char *skua_http_response_header(const skua_http_response *response,
                                               const char *name);

/* All headers in their order, for index 0, 1, …
 *
 * name, value  receive the strings
 * Returns    1; 0: there are no more
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API int skua_http_response_header_at(const skua_http_response *response, size_t index,
                                          const char **name, const char **value);

/* The fields behind a body in chunks, once it was read to its end.
 *
 * name, value  receive the strings
 * Returns    1; 0: there are no more
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API int skua_http_response_trailer_at(const skua_http_response *response, size_t index,
                                           const char **name, const char **value);

/* How long the body will be. To HEAD it is what the Content-Length says, though there is no body.
 *
 * Returns    bytes; -1: it is not said
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API int64_t skua_http_response_length(const skua_http_response *response);

/* Reads what is there of the body, at least one byte. At its end the connection is free for the
 * next request.
 *
 * buf, len   the caller's
 * Returns    the count; 0: all was read (or len is 0); -EBADMSG: it is malformed; SKUA_ELIMIT: the
 *            chunks' extensions or the trailers are too long; SKUA_EEOF: the server went away in
 *            the middle; -ECONNRESET …; -ENOMEM; -ETIMEDOUT; -ECANCELED
 * Cancel     safe: nothing was read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API ssize_t skua_http_response_read(skua_http_response *response, void *buf, size_t len);

/* As skua_http_response_read, at most until `deadline` instead of for the client's read_timeout.
 *
 * deadline   monotonic ns; SKUA_FOREVER: the request's time-out is the only bound
 * Returns    as skua_http_response_read
 * Cancel     safe: nothing was read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API ssize_t skua_http_response_read_until(skua_http_response *response, void *buf, size_t len,
                                               int64_t deadline);

/* Reads what is left of the body as a whole; it gets a NUL behind it.
 *
 * ret        receives the bytes, which live as long as the response; NULL: not wanted
 * len        receives their number; NULL: not wanted
 * limit      bytes at most
 * Returns    0; SKUA_ELIMIT: it is longer; -ENOMEM; else as skua_http_response_read
 * Cancel     what was read so far is lost
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_response_read_all(skua_http_response *response, char **ret,
                                                        size_t *len, size_t limit);

/* What skua_http_response_read_all has read.
 *
 * len        receives the number of bytes; NULL: not wanted
 * Returns    the bytes with a NUL behind them; "" when it was not called or has failed
 * Threads    where the response is used
 * Since      0.3
 */
SKUA_API const char *skua_http_response_body(const skua_http_response *response, size_t *len);

/* Ends a response. When a little of its body is left, that is read and thrown away, for a tenth of
 * a second at most, so that the connection can be used again; else the connection is closed.
 *
 * response   gone afterwards, with its strings; NULL does nothing
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API void skua_http_response_close(skua_http_response *response);

SKUA_C_END

#endif
