/* websocket.h - WebSocket: messages both ways, over a connection that began as HTTP/1.1.
 *
 *     static int echo(skua_http_exchange *exchange, void *state)
 *     {
 *         skua_websocket_message message;
 *         skua_websocket *ws;
 *         int rc = skua_websocket_accept(&ws, exchange, NULL);
 *
 *         if (rc != 0)
 *             return rc;                                       -- the client was told why
 *         while ((rc = skua_websocket_recv(ws, &message)) == 0)
 *             if (skua_websocket_send(ws, message.type, message.data, message.len) != 0)
 *                 break;
 *         skua_websocket_close(ws, rc == -ECANCELED ? 1001 : 1000, NULL);
 *         skua_websocket_free(ws);
 *         return 0;
 *     }
 *
 * Tasks      one receives and any number send, at the same time; what they send goes out message by
 *            message. Pongs, pings and the answer to a close are sent by whoever is there: the
 *            receiver never waits to send one, so two sides that both only send do not wait for
 *            each other.
 * Receiving  is what keeps a connection alive: pings are answered and sent, and a peer that is gone
 *            is noticed, while somebody receives.
 * Errors     what the peer does wrong closes the connection, with the code that RFC 6455 has for it
 *            (7.4.1): 1002 protocol (-EPROTO), 1007 text that is no UTF-8 (-EBADMSG), 1008 a flood
 *            of control frames and 1009 too big (both SKUA_ELIMIT). All calls after that say the
 *            same again.
 * End        SKUA_ECLOSED: one side has said that it closes, and the other has heard it; SKUA_EEOF:
 *            the connection ended without that; -ECONNABORTED: no answer to a ping.
 *            skua_websocket_info_of says the code and the reason.
 * Stopping   a handler whose server is stopped runs on until the server's drain_timeout, and is
 *            then cancelled: it gets -ECANCELED, and can still say 1001 (going away), because
 *            skua_websocket_close ignores the cancellation, for close_timeout at most.
 *            One that wants to say it earlier is told by the server's on_stop.
 *            A server's handler_timeout counts for these handlers, too: the default is none.
 * Select     there is no future of a receive, because the stream below may be any skua_io: receive
 *            in a task of its own, and hand messages on through a channel.
 * Memory     some 6 KiB a connection, of which wslay's buffer is 4; a client that has sent has 16
 *            more; see the option deflate. On a server there are the request's memory and a fiber's
 *            stack beside it: 28 KiB for each of 1,000 idle connections, all in all.
 * Source     RFC 6455, RFC 7692 (permessage-deflate); frames are wslay's; the interface
 *            is after Python's websockets and Go's coder/websocket.
 *
 * A library that was built without wslay has all of these functions; they say -ENOSYS.
 */
#ifndef SKUA_HTTP_WEBSOCKET_H
#define SKUA_HTTP_WEBSOCKET_H

#include <skua/http/client.h>
#include <skua/http/exchange.h>
#include <skua/http/tls.h>

SKUA_C_BEGIN

typedef struct skua_websocket skua_websocket;

typedef enum skua_websocket_type {
    SKUA_WEBSOCKET_TEXT = 1, /* UTF-8, which is checked both ways */
    SKUA_WEBSOCKET_BINARY = 2
} skua_websocket_type;

/* Says yes or no to a page that wants to connect; see `origins`.
 *
 * exchange   the request
 * origin     its Origin header: "https://example.org"
 * Returns    1: it may; 0: it gets 403
 */
typedef int (*skua_websocket_origin_fn)(skua_http_exchange *exchange, const char *origin,
                                        void *state);

/* Zero, or NULL for all of them, means the default. Times are in ns; SKUA_FOREVER: none. Strings
 * are read during accept or connect only. */
typedef struct skua_websocket_options {
    size_t size;           /* of this struct; SKUA_WEBSOCKET_OPTIONS sets it */
    int64_t message_max;   /* bytes of a message that is received, when it is no longer compressed;
                               default 1 MiB; -1: any */
    int64_t frame_max;     /* bytes of a frame that is received; default -1: any */
    size_t control_max;    /* pings, pongs and empty pieces that are received in 10 s; default
                               1,000 */
    int64_t ping_interval; /* without a byte from the peer, until it is asked; default 30 s */
    int64_t ping_timeout;  /* from then on until it counts as gone; default 30 s */
    int64_t write_timeout; /* without the peer taking a byte; default 30 s */
    int64_t close_timeout; /* of skua_websocket_close; default 3 s */
    const char *protocols; /* subprotocols, the preferred first: "chat.v2, chat.v1"; default none */
    unsigned deflate;      /* 1: messages may be compressed; default 0. Some 300 KiB a connection,
                               about 45 KiB of them to receive; with deflate_no_context the sender's
                               only while a message is sent */
    unsigned deflate_no_context; /* 1: each message is compressed alone, in both directions */
    unsigned deflate_bits; /* 9 to 15: the window that is sent with and asked for; default 15 */
    size_t deflate_min;    /* shorter messages are sent as they are; default 128 bytes */

    /* of servers */
    const char *origins; /* pages that may connect: "https://a.example, https://b.example"; "*":
                               all; default: those of the host that the request is for. Clients that
                               are no browsers send no Origin, and may always */
    skua_websocket_origin_fn origin; /* instead of `origins`; NULL: none */
    void *origin_state;

    /* of clients */
    const skua_http_field *headers; /* sent with the request; NULL: none */
    size_t headers_count;           /* of these */
    int64_t deadline;               /* monotonic ns: of the whole of connecting; default: 10 s */
    skua_tls_context *tls;          /* a client's, for "wss"; not needed afterwards */
    const char *unix_path;          /* connects to this Unix socket instead of the URL's host */
} skua_websocket_options;

#ifndef __cplusplus
#define SKUA_WEBSOCKET_OPTIONS(...)                                                                \
    (&(const skua_websocket_options){.size = sizeof(skua_websocket_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_websocket_options_init(skua_websocket_options *options);

/* ---- beginning ------------------------------------------------------------------------------- */

/* A server's side of the handshake, in a handler: a request that is none for a WebSocket, or one
 * that may not connect, is replied to here.
 *
 * ret        receives the connection, to be ended by skua_websocket_free before the handler
 *            returns; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EPROTO: it was replied to, with 400 (malformed), 405 (no GET), 426 (no WebSocket,
 *            or not version 13) or 403 (its origin); -EINVAL: the options; -ENOMEM; -ENOSYS; else
 *            as skua_http_upgrade
 * Cancel     not safe: the connection is over
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_websocket_accept(skua_websocket **ret,
                                                  skua_http_exchange *exchange,
                                                  const skua_websocket_options *options);

/* Connects, and a client's side of the handshake.
 *
 * ret        receives the connection, to be ended by skua_websocket_free; untouched on failure
 * url        "ws://host:port/path?query" or "wss://…"
 * options    NULL: all defaults
 * Returns    0; -EINVAL: the URL or the options; -EPROTONOSUPPORT: another scheme, or "wss" without
 *            a context; -ECONNREFUSED and what else connecting says; -EPROTO: the answer is not
 *            what RFC 6455 asks for; -EACCES: it is 401 or 403, -ENOENT: 404; other statuses:
 *            -EPROTO; -EBADMSG: it is no HTTP; SKUA_EEOF: no answer; -ENOMEM; -ETIMEDOUT;
 *            -ECANCELED; -ENOSYS
 * Cancel     safe: there is no connection
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_websocket_connect(skua_websocket **ret, const char *url,
                                                   const skua_websocket_options *options);

/* What is known of a connection. */
typedef struct skua_websocket_info {
    const char *protocol;   /* that was agreed on; "": none. As long as the connection */
    unsigned deflate;       /* 1: messages may be compressed */
    int close_code;         /* that the peer closed with; 1005: it gave none; 0: it has not closed;
                             1006: the connection ended without that */
    int sent_code;          /* that this side closed with; the same way */
    char close_reason[124]; /* of the peer's; UTF-8; "" when there is none */
    uint64_t pongs;         /* received */
    int64_t round_trip;     /* ns of the last ping that was answered; -1: none was */
} skua_websocket_info;

/* Tells it.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_websocket_info_of(skua_websocket *ws, skua_websocket_info *ret);

/* ---- receiving ------------------------------------------------------------------------------- */

typedef struct skua_websocket_message {
    skua_websocket_type type;
    const char *data; /* with a NUL behind it; until the next receive */
    size_t len;
} skua_websocket_message;

/* Receives a whole message.
 *
 * Returns    0; SKUA_ECLOSED, SKUA_EEOF, -EPROTO, -EBADMSG, SKUA_ELIMIT, -ECONNABORTED (see above);
 *            -EBUSY: another task receives; -ENOMEM; -ECANCELED, -ETIMEDOUT; what the stream says
 * Cancel     safe: what has come of the message is kept for the next call
 * Threads    fibers, plain threads; one receiver at a time
 * Since      0.3
 */
SKUA_API int skua_websocket_recv(skua_websocket *ws, skua_websocket_message *ret);

/* As skua_websocket_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_websocket_recv
 * Threads    as skua_websocket_recv
 * Since      0.3
 */
SKUA_API int skua_websocket_recv_until(skua_websocket *ws, skua_websocket_message *ret,
                                       int64_t deadline);

/* Waits for a message that is then received in pieces, by skua_websocket_read. What is left of the
 * one before is thrown away.
 *
 * Returns    its type; else as skua_websocket_recv; SKUA_EUSAGE: a skua_websocket_recv was
 *            cancelled in the middle of a message, and has to be called again
 * Cancel     safe
 * Threads    as skua_websocket_recv
 * Since      0.3
 */
SKUA_API int skua_websocket_next(skua_websocket *ws);

/* Reads what is there of the message, at least one byte. A piece of text may end within a
character.
 *
 * buf, len   the caller's
 * Returns    the count; 0: the message has ended (or len is 0); SKUA_EUSAGE: without
 *            skua_websocket_next; else as skua_websocket_recv
 * Cancel     safe: nothing was read
 * Threads    as skua_websocket_recv
 * Since      0.3
 */
SKUA_API ssize_t skua_websocket_read(skua_websocket *ws, void *buf, size_t len);

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends a message. It has been given to the stream below when it returns.
 *
 * Returns    0; -EINVAL: text that is no UTF-8, or no such type; -EBUSY: a message in pieces is
 *            under way; SKUA_ECLOSED: this side has said that it closes; -EPIPE: the connection is
 *            over; -ENOMEM; -ETIMEDOUT: the peer does not take it (see write_timeout); -ECANCELED;
 *            what the stream says
 * Cancel     not safe, once it is its turn: the connection cannot send any more
 * Threads    fibers, plain threads; any number, they wait in line
 * Since      0.3
 */
SKUA_API int skua_websocket_send(skua_websocket *ws, skua_websocket_type type, const void *data,
                                 size_t len);

/* As skua_websocket_send, of text that ends with a NUL.
 *
 * Returns    as skua_websocket_send
 * Cancel     as skua_websocket_send
 * Threads    as skua_websocket_send
 * Since      0.3
 */
SKUA_API int skua_websocket_send_text(skua_websocket *ws, const char *text);

/* Sends a piece of a message, each in a frame of its own. The first one begins the message; pings
 * are answered between them, but no other message goes out until the last one has.
 *
 * type       of the message; the same for all its pieces
 * last       1: this one ends the message; it may be empty
 * Returns    as skua_websocket_send; -EINVAL: another type than that of the message
 * Cancel     as skua_websocket_send; between two pieces nothing is lost
 * Threads    fibers, plain threads; one task for all pieces of a message
 * Since      0.3
 */
SKUA_API int skua_websocket_send_piece(skua_websocket *ws, skua_websocket_type type,
                                       const void *data, size_t len, int last);

/* Asks the peer for a sign of life, which somebody who receives will hear: info.round_trip.
 *
 * data, len  at most 125 bytes, which the answer repeats
 * Returns    0; -EINVAL: too long; SKUA_ECLOSED, -EPIPE as skua_websocket_send
 * Cancel     safe: it does not wait
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_websocket_ping(skua_websocket *ws, const void *data, size_t len);

/* ---- ending ---------------------------------------------------------------------------------- */

/* Says that this side closes, and waits until the peer has said so, too; messages that it still
 * sends are thrown away, unless another task receives: then that one has them, and SKUA_ECLOSED in
 * the end. Where the connection has failed already, it gives the peer the time to hear why.
 *
 * code       1000 normal, 1001 going away …, 3000 to 4999 your own; 0: none is given
 * reason     UTF-8, at most 123 bytes; NULL: none
 * Returns    0: both have closed; -EINVAL: no such code, or the reason; -ETIMEDOUT: the peer has
 *            not in close_timeout; what else has ended the connection
 * Cancel     it goes on: cancellation and deadlines of the task are ignored for close_timeout
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_websocket_close(skua_websocket *ws, int code, const char *reason);

/* Frees a connection that nobody uses any more; a client's is closed. Without skua_websocket_close
 * before it that is a cut for the peer (1006).
 *
 * ws         gone afterwards; NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_websocket_free(skua_websocket *ws);

SKUA_C_END

#endif
