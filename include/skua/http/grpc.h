/* grpc.h - gRPC: calls, their messages, metadata and status; what servers and clients share.
 *
 *     static int say_hello(skua_grpc_call *call, void *state)
 *     {
 *         const void *request;
 *         size_t len;
 *         int rc = skua_grpc_recv_only(call, &request, &len);
 *
 *         if (rc != 0)
 *             return rc;
 *         if (len == 0)
 *             return skua_grpc_fail(call, SKUA_GRPC_INVALID_ARGUMENT, "nobody to greet");
 *         return skua_grpc_send(call, request, len);
 *     }
 *
 * A call is a stream of messages each way: the client's, ended by a half-close, and the server's,
 * ended by a status. Whether there is one message or any number is the method's kind. Messages are
 * bytes here; protoc-gen-skua makes typed functions of a .proto file, around protobuf-c's messages.
 *
 * The server's half is in grpc_server.h, the client's in grpc_client.h; health checks and
 * reflection are in grpc_services.h.
 *
 * Status     0 is OK, 1 to 16 are skua_grpc_code's, negative numbers are Skua's codes. Handlers
 *            return any of these: skua_grpc_code_of says what a negative one becomes.
 * Metadata   names are of a-z, 0-9, '_', '-' and '.'. The value of one that ends with "-bin" is any
 *            bytes, which travel in base64; others are printable ASCII. Names that begin with
 *            "grpc-" are the protocol's. A value in base64 that is malformed is not shown.
 * Two tasks  may share a call: one receives, the other sends. Everything else is for one at a time.
 * Memory     a message that was received is valid until the next is received; everything else that
 *            a call hands out lives as long as the call: a server's until its handler returns.
 *
 * Source     gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md), and its texts on status codes.
 */
#ifndef SKUA_HTTP_GRPC_H
#define SKUA_HTTP_GRPC_H

#include <skua/base.h>

SKUA_C_BEGIN

typedef struct skua_grpc_call skua_grpc_call;

/* ---- status ---------------------------------------------------------------------------------- */

typedef enum skua_grpc_code {
    SKUA_GRPC_OK = 0,
    SKUA_GRPC_CANCELLED = 1,
    SKUA_GRPC_UNKNOWN = 2,
    SKUA_GRPC_INVALID_ARGUMENT = 3,
    SKUA_GRPC_DEADLINE_EXCEEDED = 4,
    SKUA_GRPC_NOT_FOUND = 5,
    SKUA_GRPC_ALREADY_EXISTS = 6,
    SKUA_GRPC_PERMISSION_DENIED = 7,
    SKUA_GRPC_RESOURCE_EXHAUSTED = 8,
    SKUA_GRPC_FAILED_PRECONDITION = 9,
    SKUA_GRPC_ABORTED = 10,
    SKUA_GRPC_OUT_OF_RANGE = 11,
    SKUA_GRPC_UNIMPLEMENTED = 12,
    SKUA_GRPC_INTERNAL = 13,
    SKUA_GRPC_UNAVAILABLE = 14,
    SKUA_GRPC_DATA_LOSS = 15,
    SKUA_GRPC_UNAUTHENTICATED = 16
} skua_grpc_code;

/* The name of a status: "NOT_FOUND".
 *
 * Returns    a static string; "UNKNOWN" also of what is no status
 * Threads    any
 * Since      0.3
 */
SKUA_API const char *skua_grpc_code_name(int code);

/* The status that a handler's result stands for.
 *
 * result     0, a skua_grpc_code, or one of Skua's negative codes
 * Returns    a skua_grpc_code: -ECANCELED CANCELLED, -ETIMEDOUT DEADLINE_EXCEEDED, -EINVAL
 *            INVALID_ARGUMENT, -ENOENT NOT_FOUND, -EEXIST ALREADY_EXISTS, -EACCES and -EPERM
 *            PERMISSION_DENIED, -ENOMEM, -EMSGSIZE and SKUA_ELIMIT RESOURCE_EXHAUSTED, -EBUSY
 *            ABORTED, -ERANGE OUT_OF_RANGE, -ENOSYS and -ENOTSUP UNIMPLEMENTED, -EBADMSG and
 *            SKUA_EUSAGE INTERNAL; -EAGAIN, SKUA_ESTOPPED, SKUA_EEOF and what connections fail with
 *            UNAVAILABLE; else UNKNOWN
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_grpc_code_of(int64_t result);

/* How a call has ended. */
typedef struct skua_grpc_status {
    int code;            /* a skua_grpc_code */
    const char *message; /* for people, UTF-8; "" is none */
    const void *details; /* grpc-status-details-bin: mostly a google.rpc.Status; NULL: none */
    size_t details_len;  /* bytes of `details` */
} skua_grpc_status;

/* A detail out of a google.rpc.Status: the message inside of its google.protobuf.Any.
 *
 * type       the message's full name, "google.rpc.RetryInfo"
 * ret, len   receive the bytes, which are those of `status`
 * Returns    1; 0: there is none
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_grpc_detail(const skua_grpc_status *status, const char *type, const void **ret,
                              size_t *len);

/* What a server asks a client to wait before it tries again: google.rpc.RetryInfo.
 *
 * delay      receives ns, 0 and more
 * Returns    1; 0: it does not ask for it
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_grpc_retry_delay(const skua_grpc_status *status, int64_t *delay);

/* Writes a google.rpc.Status with one detail, for skua_grpc_fail_with.
 *
 * code, message  as the status'
 * type       the detail's full name; NULL: none
 * detail     its bytes, `detail_len` of them
 * out, size  room for the bytes; NULL and 0 ask how many they are
 * Returns    the count; beyond `size`: nothing was written; -EMSGSIZE: it is beyond 2 GiB
 * Threads    any
 * Since      0.3
 */
SKUA_API ssize_t skua_grpc_write_details(int code, const char *message, const char *type,
                                         const void *detail, size_t detail_len, void *out,
                                         size_t size);

/* Writes a google.rpc.RetryInfo, a detail for skua_grpc_write_details.
 *
 * delay      ns, 0 and more
 * out, size  room for the bytes; 32 are enough
 * Returns    the count; beyond `size`: nothing was written
 * Threads    any
 * Since      0.3
 */
SKUA_API ssize_t skua_grpc_write_retry_info(int64_t delay, void *out, size_t size);

/* ---- metadata -------------------------------------------------------------------------------- */

/* A value with its name. */
typedef struct skua_grpc_entry {
    const char *name;  /* in small letters */
    const void *value; /* of the other side's: with a NUL behind it. To be sent: a string when
                          `len` is 0, unless the name ends with "-bin" */
    size_t len;        /* bytes of `value` */
} skua_grpc_entry;

/* What the other side has sent in front of its messages: to a server with the call; to a client
 * when skua_grpc_wait_head, or the first receive, has returned.
 *
 * name       in small letters
 * Returns    the first entry with the name; NULL: there is none
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API const skua_grpc_entry *skua_grpc_metadata(const skua_grpc_call *call, const char *name);

/* The same, for index 0, 1, …
 *
 * Returns    NULL: there are no more
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API const skua_grpc_entry *skua_grpc_metadata_at(const skua_grpc_call *call, size_t index);

/* ---- messages -------------------------------------------------------------------------------- */

/* Of a method: how many messages go which way: the client's, the server's. */
typedef enum skua_grpc_kind {
    SKUA_GRPC_UNARY,         /* one, one */
    SKUA_GRPC_SERVER_STREAM, /* one, any number */
    SKUA_GRPC_CLIENT_STREAM, /* any number, one */
    SKUA_GRPC_BIDI           /* any number, any number */
} skua_grpc_kind;

/* Receives a message.
 *
 * message    receives its bytes, with a NUL behind them, which live until the next is received
 * len        receives their number
 * Returns    1; 0: there are no more: the client has half-closed, or, to a client: the call has
 *            ended, and skua_grpc_finish says how; -ECANCELED. A server's also: SKUA_ELIMIT: the
 *            message is too long; -EBADMSG: it is malformed; -ETIMEDOUT: the call's deadline;
 *            SKUA_EEOF, -ECONNRESET …: the client is gone; -ENOMEM
 * Cancel     safe: nothing was received
 * Threads    one task at a time
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_recv(skua_grpc_call *call, const void **message, size_t *len);

/* Receives the message of a side that sends exactly one.
 *
 * message, len  as skua_grpc_recv
 * Returns    0; SKUA_GRPC_UNIMPLEMENTED: there were none, or more; a client's: the call's status,
 *            so that skua_grpc_finish is not needed; else as skua_grpc_recv
 * Cancel     safe
 * Threads    one task at a time
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_recv_only(skua_grpc_call *call, const void **message,
                                                size_t *len);

/* Sends a message. One that the method sends alone goes out with the status or the half-close,
 * others at once.
 *
 * message    the caller's; may be NULL when `len` is 0
 * Returns    0; -EMSGSIZE: it is longer than may be sent; SKUA_EUSAGE: behind the half-close;
 *            SKUA_ECLOSED, to a client: the call has ended, skua_grpc_finish says how; -ENOMEM;
 *            -ETIMEDOUT, -ECANCELED. A server's also: -EPIPE, -ECONNRESET …: the client is gone
 * Cancel     not safe: the call is broken
 * Threads    one task at a time
 * Since      0.3
 */
SKUA_API int skua_grpc_send(skua_grpc_call *call, const void *message, size_t len);

/* As skua_grpc_send, but may keep the message until the next skua_grpc_send or skua_grpc_flush: for
 * one of many.
 *
 * Returns    as skua_grpc_send
 * Cancel     not safe
 * Threads    one task at a time, the one that sends
 * Since      0.3
 */
SKUA_API int skua_grpc_send_more(skua_grpc_call *call, const void *message, size_t len);

/* Sends what was kept; a server's metadata at least.
 *
 * Returns    as skua_grpc_send
 * Cancel     not safe
 * Threads    one task at a time, the one that sends
 * Since      0.3
 */
SKUA_API int skua_grpc_flush(skua_grpc_call *call);

/* Memory that lives as long as the call.
 *
 * size       bytes
 * Returns    aligned for anything; NULL: no memory
 * Threads    one at a time; a client's not beside the task that receives
 * Since      0.3
 */
SKUA_API void *skua_grpc_alloc(skua_grpc_call *call, size_t size);

/* When the call has to have ended.
 *
 * Returns    monotonic ns; SKUA_FOREVER: nobody says
 * Threads    where the call is used
 * Since      0.3
 */
SKUA_API int64_t skua_grpc_deadline(const skua_grpc_call *call);

SKUA_C_END

#endif
