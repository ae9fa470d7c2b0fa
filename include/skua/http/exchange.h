/* exchange.h - a request and its response, as a handler sees them.
 *
 *     static int greet(skua_http_exchange *exchange, void *state)
 *     {
 *         const char *name = skua_http_param(exchange, "name");
 *
 *         return skua_http_replyf(exchange, 200, "text/plain", "hello, %s\n", name);
 *     }
 *
 * A handler runs on a fiber and may wait for whatever it likes. It reads the request's body as a
 * stream, or at once; it replies with one call, or sets status and headers and writes the body as a
 * stream. What it does not do, the server does behind it: the rest of the body is read and thrown
 * away (or the connection closed), a response that was begun is ended, and a handler that fails
 * before its response was begun has replied with an error page (see skua_http_status_of).
 *
 * The same whatever the connection speaks: HTTP/1.1 (RFC 9112) or HTTP/2 (RFC 9113), TLS or not.
 *
 * HTTP/2     the handler of each request is a fiber of its own. A client that resets its stream, or
 *            goes away, before it has all of the response cancels that fiber. One task may read the
 *            body (skua_http_read and what is built on it, skua_http_trailer) while another one
 *            writes the response, so that both sides talk as they like; the handler waits for both.
 *            A request that fails ends alone: its connection goes on.
 *
 * Ownership  an exchange and all strings that it hands out live until the handler returns. It
 *            belongs to the handler's fiber; one that gives it to another task waits for that task.
 * Strings    UTF-8 or any bytes but NUL, CR and LF; names of headers compare without case
 *            (RFC 9110, 5.1). Values have no blanks around them.
 */
#ifndef SKUA_HTTP_EXCHANGE_H
#define SKUA_HTTP_EXCHANGE_H

#include <stdarg.h>

#include <skua/io.h>

SKUA_C_BEGIN

typedef struct skua_http_exchange skua_http_exchange;

/* Answers a request.
 *
 * exchange   the server's, until it returns
 * state      what was registered with it; shared by all requests
 * Returns    0; a negative code: the request failed. When nothing was sent yet the client gets
 *            skua_http_status_of(code) as an error page, else the response is cut short, so that
 *            the client sees that it is not whole
 */
typedef int (*skua_http_handler)(skua_http_exchange *exchange, void *state);

/* ---- the request ----------------------------------------------------------------------------- */

/* The method, as it came: "GET". Methods compare with case (RFC 9110, 9.1).
 *
 * Returns    never NULL
 * Threads    the handler's, as all calls of this header
 * Since      0.2
 */
SKUA_API const char *skua_http_method(const skua_http_exchange *exchange);

/* The path of the target, percent-encoded as it came: "/a%20b". "*" for OPTIONS of the server.
 *
 * Returns    never NULL; it begins with '/' or is "*"
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_path(const skua_http_exchange *exchange);

/* What stands behind the target's '?', as it came; "" when there is none. See
 * skua_http_query_value.
 *
 * Returns    never NULL
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_query(const skua_http_exchange *exchange);

/* Whom the client believes to talk to: the Host header or :authority, "example.org:8080".
 *
 * Returns    never NULL; "" from an HTTP/1.0 client that does not say
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_authority(const skua_http_exchange *exchange);

/* How the client came: over TLS or not.
 *
 * Returns    "https" or "http"
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API const char *skua_http_scheme(const skua_http_exchange *exchange);

/* The version of the protocol.
 *
 * Returns    10, 11 or 20
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_version(const skua_http_exchange *exchange);

/* A header of the request; of several with the name the first.
 *
 * name       in any case
 * Returns    its value, "" when it is empty; NULL: there is none
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_header(const skua_http_exchange *exchange, const char *name);

/* All headers of the request in their order, for index 0, 1, …
 *
 * name, value  receive the strings
 * Returns    1; 0: there are no more
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_header_at(const skua_http_exchange *exchange, size_t index,
                                 const char **name, const char **value);

/* A parameter of the route (router.h), percent-decoded: ":id" of "/users/:id".
 *
 * Returns    never NULL where the route has it; else NULL
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_param(const skua_http_exchange *exchange, const char *name);

/* A value of the query, as of an HTML form: decoded, '+' is a blank; of several the first.
 *
 * name       decoded
 * Returns    the value, "" for "?name" and "?name="; NULL: there is none, it is not well-formed
 *            (a '%' without two digits, "%00"), or no memory
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_query_value(skua_http_exchange *exchange, const char *name);

/* Where the request came from: "192.0.2.7:50112", as skua_tcp_peer_address.
 *
 * Returns    never NULL; "" when the transport does not say
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_peer(const skua_http_exchange *exchange);

/* ---- the request's body ---------------------------------------------------------------------- */

/* How long the body will be.
 *
 * Returns    the Content-Length; 0: there is no body; -1: it is not said (chunked, HTTP/2)
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int64_t skua_http_body_length(const skua_http_exchange *exchange);

/* Sets a limit for this body alone, instead of the server's body_max: before it is read.
 *
 * max        bytes; -1: any number
 * Returns    0; -EINVAL
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_set_body_max(skua_http_exchange *exchange, int64_t max);

/* Reads what is there of the body, at least one byte. A client that waits to be asked
 * ("Expect: 100-continue") is asked at the first read.
 *
 * buf, len   the caller's
 * Returns    the count; 0: all was read (or len is 0); SKUA_ELIMIT: it is longer than the server's
 *            or the route's limit; -EBADMSG: it is malformed; SKUA_EEOF: the client went away in
 *            the middle; -ETIMEDOUT: it is too slow, or the handler's own deadline has ended;
 *            -ECANCELED
 * Cancel     safe: nothing was read
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API ssize_t skua_http_read(skua_http_exchange *exchange, void *buf, size_t len);

/* Reads the whole body, which gets a NUL behind it.
 *
 * ret        receives the bytes, which live as long as the exchange
 * len        receives their number; may be NULL
 * limit      bytes at most
 * Returns    0; SKUA_ELIMIT: it is longer; -ENOMEM; else as skua_http_read
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_http_read_all(skua_http_exchange *exchange, char **ret,
                                               size_t *len, size_t limit);

/* A header that came behind a body in chunks: a trailer, a checksum for instance. They are never
 * among the headers of the request (RFC 9110, 6.5).
 *
 * name       in any case
 * Returns    its value, "" when it is empty; NULL: there is none, or the body was not read to its
 *            end (skua_http_read said 0) yet
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_trailer(const skua_http_exchange *exchange, const char *name);

/* ---- the response ---------------------------------------------------------------------------- */

/* Sets the status; 200 when it is not set.
 *
 * status     200 to 599
 * Returns    0; -EINVAL; -EALREADY: the response was begun
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_set_status(skua_http_exchange *exchange, int status);

/* Sets a header of the response, instead of those with the name. Content-Length says how long a
 * streamed body will be; without it such a body is chunked. Connection, Transfer-Encoding and Date
 * are the server's.
 *
 * name       a token (RFC 9110, 5.6.2)
 * value      copied; NULL takes the header out
 * Returns    0; -EINVAL: the name is no token or the server's, the value has a control character;
 *            -EALREADY: the response was begun; -ENOMEM
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_set_header(skua_http_exchange *exchange, const char *name,
                                  const char *value);

/* As skua_http_set_header, but beside those with the name: Set-Cookie, Link …
 *
 * Returns    as skua_http_set_header; -EINVAL without a value
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_add_header(skua_http_exchange *exchange, const char *name,
                                  const char *value);

/* Replies with a whole body.
 *
 * status     200 to 599
 * type       the Content-Type; NULL: what was set, or none
 * body, len  sent or copied when it returns. Not sent to HEAD, nor with 204 and 304
 * Returns    0; -EINVAL; -EALREADY: the response was begun; -ENOMEM; -EPIPE, -ECONNRESET: the
 *            client is gone; -ETIMEDOUT: it reads too slowly; -ECANCELED
 * Cancel     not safe: the response is broken and the connection ends
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_reply(skua_http_exchange *exchange, int status, const char *type,
                             const void *body, size_t len);

/* As skua_http_reply, of a string as printf makes it.
 *
 * Returns    as skua_http_reply
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_replyf(skua_http_exchange *exchange, int status, const char *type,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Writes a part of the body; the first one begins the response with the status and the headers that
 * were set. What is written is gathered: it goes out when much has come together, with
 * skua_http_flush and when the handler returns.
 *
 * Returns    len; -EMSGSIZE: more than the Content-Length that was set (nothing was written); else
 *            as skua_http_reply
 * Cancel     not safe, as skua_http_reply
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API ssize_t skua_http_write(skua_http_exchange *exchange, const void *buf, size_t len);

/* Sends what was written, and begins the response when nothing was yet: for events that must not
 * wait for others.
 *
 * Returns    0; else as skua_http_reply
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_flush(skua_http_exchange *exchange);

/* Sets a trailer: a header behind the body, a checksum or a status that is known at its end.
 * Instead of one with the name.
 *
 * HTTP/2 sends it in any case, but not to HEAD and with 204 and 304. HTTP/1.1 sends it when the
 * body is in chunks (no Content-Length was set) and the client has said that it looks at such
 * ("TE: trailers"): else it is dropped, as anybody on the way may drop it.
 *
 * name       a token, not of a header that must stand before the body (RFC 9110, 6.5.1)
 * value      copied
 * Returns    0; -EINVAL; -EALREADY: the response is whole, as behind skua_http_reply; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_set_trailer(skua_http_exchange *exchange, const char *name,
                                   const char *value);

/* As skua_http_set_trailer, but beside those with the name.
 *
 * Returns    as skua_http_set_trailer
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_add_trailer(skua_http_exchange *exchange, const char *name,
                                   const char *value);

/* Whether the response was begun: status and headers cannot be changed any more.
 *
 * Returns    1 or 0
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_begun(const skua_http_exchange *exchange);

/* ---- another protocol ------------------------------------------------------------------------ */

/* Leaves HTTP: sends "101 Switching Protocols" with the headers that were set, and hands over the
 * connection's bytes. Afterwards the handler talks to the client as the other protocol says, and
 * with time-outs of its own; the connection ends when it returns.
 *
 * protocol   one of those that the client's Upgrade header lists, "websocket"; sent as it is
 * ret        receives the stream: first what the client has sent behind its request. It is valid
 *            until the handler returns, which closes it
 * Returns    0; -ENOTSUP: the client did not ask for it, or it does not speak HTTP/1.1; -EBUSY: the
 *            request has a body that was not read to its end; nothing was sent in both cases, and
 *            the status is 200 again; -EINVAL; -EALREADY: the response was begun; else as
 *            skua_http_reply
 * Cancel     not safe, as skua_http_reply
 * Threads    the handler's
 * Since      0.2
 * Source     RFC 9110, 7.8
 */
SKUA_API SKUA_NODISCARD int skua_http_upgrade(skua_http_exchange *exchange, const char *protocol,
                                              skua_io *ret);

/* ---- the rest -------------------------------------------------------------------------------- */

/* Memory that lives as long as the exchange.
 *
 * size       bytes, 0 and more
 * Returns    aligned for anything; NULL: no memory
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API void *skua_http_alloc(skua_http_exchange *exchange, size_t size);

/* The status that stands for an error code. A body that came too slowly is 408, whatever this says.
 *
 * Returns    -ENOENT 404, -EACCES and -EPERM 403, -EINVAL and -EBADMSG 400, -EEXIST and -EBUSY 409,
 *            SKUA_ELIMIT 413, -ETIMEDOUT 504, -ECANCELED, SKUA_ESTOPPED and -EAGAIN 503, else 500
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_http_status_of(int64_t code);

/* The phrase of a status.
 *
 * Returns    "Not Found"; "" of one that nobody has registered
 * Threads    any
 * Since      0.2
 */
SKUA_API const char *skua_http_reason(int status);

SKUA_C_END

#endif
