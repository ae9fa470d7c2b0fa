/* grpc_server.h - gRPC services, as a handler of an HTTP server.
 *
 *     static const skua_grpc_method methods[] = {{"SayHello", SKUA_GRPC_UNARY, say_hello},
 *                                                {"Watch", SKUA_GRPC_SERVER_STREAM, watch}};
 *     static const skua_grpc_service greeter = {"hello.Greeter", methods, 2, NULL, 0};
 *
 *     skua_grpc_server_new(&server, NULL);
 *     skua_grpc_add(server, &greeter, state);
 *     skua_http_serve("127.0.0.1:50051", skua_grpc_handler, server, NULL);
 *
 * Whatever is not gRPC (a request whose Content-Type is another one) goes to the fallback, a router
 * for instance, so that one port serves both.
 *
 * Deadline   a call's time-out is a deadline around its handler: what the handler waits for ends
 *            with -ETIMEDOUT, which becomes DEADLINE_EXCEEDED, and calls that it makes itself have
 *            the same deadline.
 * Cancel     a client that cancels, or goes away, cancels the handler's waits with -ECANCELED.
 * Bodies     a stream of messages may be of any length and last as long as it likes: the limits of
 *            the HTTP server on a body do not count, that on each message does.
 */
#ifndef SKUA_HTTP_GRPC_SERVER_H
#define SKUA_HTTP_GRPC_SERVER_H

#include <skua/http/exchange.h>
#include <skua/http/grpc.h>

SKUA_C_BEGIN

typedef struct skua_grpc_server skua_grpc_server;

/* Zero means the default. */
typedef struct skua_grpc_server_options {
    size_t size;                /* of this struct; SKUA_GRPC_SERVER_OPTIONS sets it */
    size_t recv_max;            /* bytes of a message that is received, also when it is unpacked;
                                   default 4 MiB; RESOURCE_EXHAUSTED beyond */
    size_t send_max;            /* bytes of a message that is sent; default: 2 GiB */
    size_t compress_min;        /* bytes from which a message is compressed by gzip, for clients
                                   that take it; default: none is */
    int64_t timeout_max;        /* ns that a call may take at most; default: any */
    skua_http_handler fallback; /* of requests that are not gRPC; NULL: they get 415 */
    void *fallback_state;       /* handed to it */
} skua_grpc_server_options;

#ifndef __cplusplus
#define SKUA_GRPC_SERVER_OPTIONS(...)                                                              \
    (&(const skua_grpc_server_options){.size = sizeof(skua_grpc_server_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_grpc_server_options_init(skua_grpc_server_options *options);

/* Answers a call, on a fiber of its own.
 *
 * state      what was given with the service; shared by all calls
 * Returns    0: OK; a skua_grpc_code; a negative code, see skua_grpc_code_of. A method that sends
 *            one message fails with INTERNAL when it returns 0 without having sent it
 */
typedef int (*skua_grpc_method_fn)(skua_grpc_call *call, void *state);

typedef struct skua_grpc_method {
    const char *name; /* "SayHello" */
    skua_grpc_kind kind;
    skua_grpc_method_fn call;
} skua_grpc_method;

typedef struct skua_grpc_service {
    const char *name; /* "package.Service" */
    const skua_grpc_method *methods;
    size_t count;      /* of `methods` */
    const void *files; /* for reflection: a google.protobuf.FileDescriptorSet; NULL: none */
    size_t files_len;  /* bytes of `files` */
} skua_grpc_service;

/* Makes a server: a table of services.
 *
 * ret        receives it, to be ended by skua_grpc_server_free; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_server_new(skua_grpc_server **ret,
                                                 const skua_grpc_server_options *options);

/* Frees it; no call is under way.
 *
 * server     NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_grpc_server_free(skua_grpc_server *server);

/* Adds a service, before the server serves.
 *
 * service    the caller's, as long as the server
 * state      handed to its methods
 * Returns    0; -EINVAL: a name is malformed, or a method has no function; -EEXIST: there is one of
 *            the name; -ENOMEM
 * Threads    one at a time, before it serves
 * Since      0.3
 */
SKUA_API int skua_grpc_add(skua_grpc_server *server, const skua_grpc_service *service, void *state);

/* The names of the services, for index 0, 1, …
 *
 * Returns    NULL: there are no more
 * Threads    any
 * Since      0.3
 */
SKUA_API const char *skua_grpc_service_at(const skua_grpc_server *server, size_t index);

/* A server as a handler of HTTP.
 *
 * server     a skua_grpc_server
 * Returns    as a handler. gRPC over HTTP/1.1 is answered with 505
 * Threads    a handler's
 * Since      0.3
 */
SKUA_API int skua_grpc_handler(skua_http_exchange *exchange, void *server);

/* ---- in a method's handler ------------------------------------------------------------------- */

/* The exchange that carries the call: for the peer's address, and what layers have noted. Its body
 * is the call's.
 *
 * Returns    never NULL on a server; NULL on a client
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API skua_http_exchange *skua_grpc_exchange(const skua_grpc_call *call);

/* The call's method: "/package.Service/Method".
 *
 * Returns    never NULL
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API const char *skua_grpc_path(const skua_grpc_call *call);

/* Adds metadata that goes in front of the messages.
 *
 * entry      copied
 * Returns    0; -EINVAL: it is malformed, or the protocol's own; -EALREADY: a message was sent;
 *            -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_grpc_add_header(skua_grpc_call *call, const skua_grpc_entry *entry);

/* Adds metadata that goes behind the messages, with the status. Names that HTTP has for the head of
 * a message alone ("expires", "retry-after" …) are left out there.
 *
 * entry      copied
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_grpc_add_trailer(skua_grpc_call *call, const skua_grpc_entry *entry);

/* Says why a call fails: `return skua_grpc_fail(call, SKUA_GRPC_NOT_FOUND, "no such user");`
 *
 * code       a skua_grpc_code
 * message    UTF-8, copied; NULL: none
 * Returns    code
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_grpc_fail(skua_grpc_call *call, int code, const char *message);

/* The same with details: bytes of a google.rpc.Status (skua_grpc_write_details).
 *
 * details    copied; NULL: none
 * Returns    code; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_grpc_fail_with(skua_grpc_call *call, int code, const char *message,
                                 const void *details, size_t details_len);

SKUA_C_END

#endif
