/* net_future.h - TCP's waits as futures, for poll tasks, selects and timeouts; streams of lines.
 *
 *     switch (skua_select(skua_accepting(listener, &conn), skua_cancelling(token))) { ... }
 *
 * What each answers says the call of its name in net.h, which includes this. A future is made in
 * the caller's memory and needs no free; a dropped one has moved nothing.
 */
#ifndef SKUA_NET_FUTURE_H
#define SKUA_NET_FUTURE_H

#include <skua/stream.h>

SKUA_C_BEGIN

typedef struct skua_listener skua_listener;
typedef struct skua_tcp skua_tcp;

/* Waits for reading or writing. Its members are private. */
typedef struct skua_tcp_future {
    skua_future future;
    skua_tcp *tcp;
    void *buf;
    size_t len;
    skua_waker *waker; /* whom to wake; NULL when not registered */
    void *operation;   /* in flight in the kernel, or NULL; the driver's */
    int64_t result;
    uint32_t state; /* private, as the next two */
    uint32_t kind;
    uint32_t life;
} skua_tcp_future;

/* Makes a future of a read: ready as skua_tcp_read returns.
 *
 * Returns    &read->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped read has read nothing
 * Since      0.1
 */
SKUA_API skua_future *skua_tcp_read_init(skua_tcp_future *read, skua_tcp *tcp, void *buf,
                                         size_t len);

/* Makes a future of a write: ready as skua_tcp_write returns.
 *
 * Returns    &write->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped write has written nothing
 * Since      0.1
 */
SKUA_API skua_future *skua_tcp_write_init(skua_tcp_future *write, skua_tcp *tcp, const void *buf,
                                          size_t len);

/* Makes a future of a wait: ready as skua_tcp_readable returns.
 *
 * Returns    &readable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.1
 */
SKUA_API skua_future *skua_tcp_readable_init(skua_tcp_future *readable, skua_tcp *tcp);

/* Makes a future of a wait: ready as skua_tcp_writable returns.
 *
 * Returns    &writable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.1
 */
SKUA_API skua_future *skua_tcp_writable_init(skua_tcp_future *writable, skua_tcp *tcp);

/* Waits for a connection. Its members are private. */
typedef struct skua_accept_future {
    skua_future future;
    skua_listener *listener;
    void *ret;
    skua_waker *waker;
    uint32_t held; /* private, as the next two */
    uint32_t life;
    uint32_t packets;
    int64_t pause;         /* ns of the next back-off; 0 = none yet */
    skua_future *sleeping; /* &sleep.future while backing off */
    struct {
        skua_future future;
        void *words[4];
    } sleep; /* a skua_sleep_future's room */
} skua_accept_future;

/* Makes a future of an accept: ready as skua_tcp_accept returns.
 *
 * Returns    &accept->future
 * Threads    where it is awaited
 * Cancel     safe: no connection is lost
 * Since      0.1
 */
SKUA_API skua_future *skua_tcp_accept_init(skua_accept_future *accept, skua_listener *listener,
                                           skua_tcp **ret);

/* The lines of a connection. Its members are private. */
typedef struct skua_tcp_lines {
    skua_stream_lines lines;
    skua_tcp_future read;
    skua_tcp *tcp;
} skua_tcp_lines;

/* Makes a stream of a connection's lines, see skua_stream_lines_init.
 *
 * tcp        the caller's, read by nobody else until the stream is over; it is not closed then
 * buf, size  as there
 * Returns    &lines->lines.stream
 * Threads    tasks
 * Since      0.2
 */
SKUA_API skua_stream *skua_tcp_lines_init(skua_tcp_lines *lines, skua_tcp *tcp, char *buf,
                                          size_t size);

#ifndef __cplusplus
/* A read and an accept in the caller's block: branches of a select, work under a timeout (flow.h);
 * and lines, a stream.
 *
 * Returns    a future, or the stream, that lives as long as the enclosing block
 * Threads    tasks
 * Since      0.2
 */
#define skua_reading(tcp, buf, len)                                                                \
    skua_tcp_read_init(&(skua_tcp_future){.future = {0}}, (tcp), (buf), (len))
#define skua_accepting(listener, ret)                                                              \
    skua_tcp_accept_init(&(skua_accept_future){.future = {0}}, (listener), (ret))
#define skua_streaming_tcp_lines(tcp, buf, size)                                                   \
    skua_tcp_lines_init(&(skua_tcp_lines){.read = {.waker = NULL}}, (tcp), (buf), (size))
#endif

SKUA_C_END

#endif
