/* grpc_client.h - calls of gRPC, over a client of HTTP, whose connections they share.
 *
 *     rc = skua_grpc_unary(client, "http://localhost:50051", "hello.Greeter/SayHello", name, len,
 *                          SKUA_GRPC_CALL_OPTIONS(.timeout = SKUA_SECOND), &call, &reply, &size);
 *     if (rc != SKUA_GRPC_OK)
 *         complain(skua_grpc_status_of(call)->message);
 *     skua_grpc_close(call);
 *
 * or, where messages are streams:
 *
 *     rc = skua_grpc_open(client, url, "chat.Room/Join", SKUA_GRPC_BIDI, NULL, &call);
 *     rc = skua_grpc_send(call, text, len);                -- again and again
 *     rc = skua_grpc_half_close(call);
 *     while ((rc = skua_grpc_recv(call, &text, &len)) == 1)  -- perhaps in another task
 *         ...
 *     if (rc == 0)
 *         rc = skua_grpc_finish(call);                     -- the status
 *     skua_grpc_close(call);
 *
 * Whatever happens to a call is its status: a server that is not there is UNAVAILABLE, an answer
 * that is no gRPC has a status by its HTTP status, a message that is too long is
 * RESOURCE_EXHAUSTED. A negative code is of this side alone: -EINVAL, -ENOMEM, and -ECANCELED when
 * the calling task is cancelled.
 *
 * Deadline   .timeout, or the deadline in force where the call is opened if it is earlier. The
 *            server is told; when it has passed, the status is DEADLINE_EXCEEDED.
 * Again      nothing is called again by itself. skua_grpc_unprocessed says that the server has not
 *            begun with a call, skua_grpc_retry_delay how long it wants to be left alone.
 */
#ifndef SKUA_HTTP_GRPC_CLIENT_H
#define SKUA_HTTP_GRPC_CLIENT_H

#include <skua/http/client.h>
#include <skua/http/grpc.h>

SKUA_C_BEGIN

/* Zero means the default. Everything is the caller's until the call is open. */
typedef struct skua_grpc_call_options {
    size_t size;                     /* of this struct; SKUA_GRPC_CALL_OPTIONS sets it */
    const skua_grpc_entry *metadata; /* sent with the call; "user-agent" instead of gRPC's own */
    size_t metadata_count;           /* of `metadata` */
    int64_t timeout;                 /* ns of the whole call; default: any */
    size_t recv_max;                 /* bytes of a message that is received; default 4 MiB */
    size_t send_max;                 /* bytes of a message that is sent; default 2 GiB */
    size_t compress_min;             /* bytes from which a message is compressed by gzip; default:
                                        none is. Servers need not understand it: UNIMPLEMENTED */
    const char *unix_path;           /* as in skua_http_request */
} skua_grpc_call_options;

#ifndef __cplusplus
#define SKUA_GRPC_CALL_OPTIONS(...)                                                                \
    (&(const skua_grpc_call_options){.size = sizeof(skua_grpc_call_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_grpc_call_options_init(skua_grpc_call_options *options);

/* Opens a call: its head is sent. A server that cannot be reached is the call's status.
 *
 * client     of HTTP; its connections to `url` are shared by all calls
 * url        "http://host:port" or "https://host", to which "/" and the method are added
 * method     "package.Service/Method"
 * kind       the method's
 * options    NULL: all defaults
 * ret        receives the call, to be ended by skua_grpc_close; untouched on failure
 * Returns    0; -EINVAL: the URL, the method, or the metadata is malformed; -ENOMEM; -ECANCELED
 * Threads    fibers, plain threads
 * Cancel     safe: there is no call
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_open(skua_http_client *client, const char *url,
                                           const char *method, skua_grpc_kind kind,
                                           const skua_grpc_call_options *options,
                                           skua_grpc_call **ret);

/* A whole call with one message each way.
 *
 * request    the caller's, `len` bytes
 * call       receives the call, which has ended: for its status, and to be closed; NULL when the
 *            result is negative
 * reply      receives the message, which lives as long as the call; "" when there is none
 * reply_len  receives the number of its bytes
 * Returns    0: OK; a skua_grpc_code; -EINVAL, -ENOMEM, -EMSGSIZE, -ECANCELED; -ETIMEDOUT: a
 *            deadline of the caller's that was set without the call's knowledge
 * Threads    fibers, plain threads
 * Cancel     the server is told to stop; whether it has acted is not known
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_unary(skua_http_client *client, const char *url,
                                            const char *method, const void *request, size_t len,
                                            const skua_grpc_call_options *options,
                                            skua_grpc_call **call, const void **reply,
                                            size_t *reply_len);

/* No more messages will be sent. A call that sends one message alone has done so with it.
 *
 * Returns    0, also again; else as skua_grpc_send
 * Threads    fibers, plain threads; the one that sends
 * Since      0.3
 */
SKUA_API int skua_grpc_half_close(skua_grpc_call *call);

/* Waits for what the server sends in front of its messages: skua_grpc_metadata.
 *
 * Returns    0: it is there, or the call has ended without; -ECANCELED, -ETIMEDOUT, -ENOMEM
 * Cancel     safe
 * Threads    the one that receives
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_wait_head(skua_grpc_call *call);

/* Half-closes, waits for the call's end, and throws away the messages that come until then.
 *
 * Returns    0: OK; a skua_grpc_code; -ECANCELED, -ETIMEDOUT of the caller's own, -ENOMEM
 * Cancel     safe
 * Threads    the one that receives, when nobody sends any more
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_finish(skua_grpc_call *call);

/* The status of a call that has ended: once skua_grpc_recv has said 0, or skua_grpc_finish,
 * skua_grpc_recv_only or skua_grpc_unary not a negative code.
 *
 * Returns    never NULL; before the end UNKNOWN
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API const skua_grpc_status *skua_grpc_status_of(const skua_grpc_call *call);

/* What the server has sent behind its messages, once the call has ended.
 *
 * name       in small letters
 * Returns    the first entry with the name; NULL: there is none
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API const skua_grpc_entry *skua_grpc_trailer(const skua_grpc_call *call, const char *name);

/* The same, for index 0, 1, …
 *
 * Returns    NULL: there are no more
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API const skua_grpc_entry *skua_grpc_trailer_at(const skua_grpc_call *call, size_t index);

/* Cancels a call: whoever waits in it, and the server, is told. Its status is CANCELLED, if it has
 * not ended already.
 *
 * Threads    any, as long as the call is not closed
 * Since      0.3
 */
SKUA_API void skua_grpc_cancel(skua_grpc_call *call);

/* Whether a call that has failed did not reach the method, so that it may be made again, whatever
 * it does.
 *
 * Returns    1: so it is; 0: it is not known
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API int skua_grpc_unprocessed(const skua_grpc_call *call);

/* Ends a call, and cancels it if it has not ended.
 *
 * call       gone afterwards, with all it has handed out; NULL does nothing
 * Threads    fibers, plain threads; nobody else uses it
 * Since      0.3
 */
SKUA_API void skua_grpc_close(skua_grpc_call *call);

SKUA_C_END

#endif
