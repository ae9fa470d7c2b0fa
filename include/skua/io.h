/* io.h - any stream of bytes: a connection, a pipe in memory, a file, one of your own.
 *
 * A skua_io is a value of two words: a table of functions and what they are called with. What is
 * built on it does not know what is below: buffered.h, framing.h, and the copies at the end here.
 *
 *     int64_t count = skua_copy(skua_tcp_io(tcp), skua_duplex_io(end), SKUA_COPY_ALL, NULL);
 *
 * The functions wait as all direct calls do: on a fiber the fiber parks, on a plain thread the
 * thread sleeps. A skua_io owns nothing: what it stands for is closed by whoever opened it, and not
 * before the last call has returned.
 *
 * Source     Go's io.Reader and io.Writer; Tokio's AsyncRead, copy and duplex.
 */
#ifndef SKUA_IO_H
#define SKUA_IO_H

#include <sys/uio.h>

#include <skua/sync.h>

SKUA_C_BEGIN

/* ---- what a stream of bytes is --------------------------------------------------------------- */

/* A kind of stream; one static table a kind. What is optional may be NULL. A deadline is monotonic
 * ns; SKUA_FOREVER: none but the task's own. */
typedef struct skua_io_ops {
    const char *name; /* "tcp", for messages */
    /* Reads at least one byte of `len` (1 or more): the count; 0: the end, now and ever; or a
     * negative code. After -ECANCELED, -ETIMEDOUT and -EINTR nothing was read. */
    ssize_t (*read)(void *object, void *buf, size_t len, int64_t deadline);
    /* Writes at least one byte of `len` (1 or more): the count, or a negative code. After
     * -ECANCELED, -ETIMEDOUT and -EINTR nothing was written. */
    ssize_t (*write)(void *object, const void *buf, size_t len, int64_t deadline);
    /* The same of several buffers, 1 to 16; optional. */
    ssize_t (*writev)(void *object, const struct iovec *iov, int count, int64_t deadline);
    /* No more will be written: the reader at the other end sees the end of the stream. 0 or a
     * negative code. Optional: then there is nothing to do. */
    int (*shutdown)(void *object);
    /* As read and write, but the bytes go into the empty pipe(2) whose writing end is `pipe`, or
     * come out of one that holds `len` bytes at least, inside the kernel: splice(2). -ENOSYS before
     * anything was moved: not now, read and write instead. Optional, both of them. */
    ssize_t (*to_pipe)(void *object, int pipe, size_t len, int64_t deadline);
    ssize_t (*from_pipe)(void *object, int pipe, size_t len, int64_t deadline);
} skua_io_ops;

/* A stream of bytes. */
typedef struct skua_io {
    const skua_io_ops *ops;
    void *object;
} skua_io;

/* Reads what is there, at least one byte.
 *
 * buf, len   the caller's
 * Returns    the count; 0 at the end of the stream (or when len is 0); -ECANCELED, -ETIMEDOUT and
 *            what the stream says
 * Threads    where the stream is used: fibers, plain threads
 * Cancel     safe: nothing was read
 * Since      0.2
 */
SKUA_API ssize_t skua_io_read(skua_io io, void *buf, size_t len);

/* As skua_io_read, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_io_read
 * Threads    as skua_io_read
 * Since      0.2
 */
SKUA_API ssize_t skua_io_read_until(skua_io io, void *buf, size_t len, int64_t deadline);

/* Reads exactly `len` bytes.
 *
 * Returns    len; SKUA_EEOF when the stream ended before; else as skua_io_read. On failure an
 *            unknown part of buf was read
 * Threads    as skua_io_read
 * Cancel     not safe: what was read so far is lost. skua_reader_read_exact (buffered.h) is
 * Since      0.2
 */
SKUA_API ssize_t skua_io_read_exact(skua_io io, void *buf, size_t len);

/* As skua_io_read_exact, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_io_read_exact
 * Threads    as skua_io_read
 * Since      0.2
 */
SKUA_API ssize_t skua_io_read_exact_until(skua_io io, void *buf, size_t len, int64_t deadline);

/* Writes what the stream takes, at least one byte.
 *
 * buf, len   the caller's, and its again afterwards
 * Returns    the count (0 only when len is 0); -EPIPE: nobody reads it; -ECANCELED, -ETIMEDOUT and
 *            what the stream says
 * Threads    as skua_io_read
 * Cancel     safe: nothing was written
 * Since      0.2
 */
SKUA_API ssize_t skua_io_write(skua_io io, const void *buf, size_t len);

/* As skua_io_write, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_io_write
 * Threads    as skua_io_read
 * Since      0.2
 */
SKUA_API ssize_t skua_io_write_until(skua_io io, const void *buf, size_t len, int64_t deadline);

/* Writes everything.
 *
 * Returns    len; else as skua_io_write, an unknown part was written
 * Threads    as skua_io_read
 * Cancel     not safe: how much was written is not told
 * Since      0.2
 */
SKUA_API ssize_t skua_io_write_all(skua_io io, const void *buf, size_t len);

/* As skua_io_write_all, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_io_write_all
 * Threads    as skua_io_read
 * Since      0.2
 */
SKUA_API ssize_t skua_io_write_all_until(skua_io io, const void *buf, size_t len, int64_t deadline);

/* Ends the stream for whoever reads it at the other end; reading goes on (half-close).
 *
 * Returns    0, also when the stream has no such end; else what the stream says
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_io_shutdown(skua_io io);

/* ---- duplex: a connection in memory ---------------------------------------------------------- */

/* One of two connected ends: what is written at one is read at the other. */
typedef struct skua_duplex skua_duplex;

/* Makes two connected ends. They work between fibers, poll tasks and plain threads of any runtime,
 * as one connection: bounded both ways, with half-close, an end, and -EPIPE. For tests of what runs
 * on a connection, and for what takes a stream where there is none.
 *
 * a, b       receive the ends, each to be ended by skua_duplex_close; untouched on failure
 * capacity   bytes that each direction holds before a writer waits; 1 and more
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_duplex_new(skua_duplex **a, skua_duplex **b, size_t capacity);

/* Reads what is there, at least one byte.
 *
 * buf, len   the caller's
 * Returns    the count; 0 when the other end was closed or shut down and all was read (or when len
 *            is 0); -EBUSY: another task waits to read this end; SKUA_ECLOSED: it was closed while
 *            this one waited; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads; one reader at a time
 * Cancel     safe: nothing was read
 * Since      0.2
 */
SKUA_API ssize_t skua_duplex_read(skua_duplex *end, void *buf, size_t len);

/* As skua_duplex_read, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_duplex_read
 * Threads    as skua_duplex_read
 * Since      0.2
 */
SKUA_API ssize_t skua_duplex_read_until(skua_duplex *end, void *buf, size_t len, int64_t deadline);

/* Writes what there is room for, at least one byte.
 *
 * buf, len   the caller's
 * Returns    the count (0 only when len is 0); -EPIPE: the other end was closed, or this one shut
 *            down; -EBUSY, SKUA_ECLOSED, -ECANCELED, -ETIMEDOUT as for skua_duplex_read
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe: nothing was written
 * Since      0.2
 */
SKUA_API ssize_t skua_duplex_write(skua_duplex *end, const void *buf, size_t len);

/* As skua_duplex_write, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_duplex_write
 * Threads    as skua_duplex_write
 * Since      0.2
 */
SKUA_API ssize_t skua_duplex_write_until(skua_duplex *end, const void *buf, size_t len,
                                         int64_t deadline);

/* No more will be written at this end: the other reads what is there, and then the end of the
 * stream. This end's own reads go on. Doing it again does nothing.
 *
 * Returns    0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_duplex_shutdown(skua_duplex *end);

/* Closes an end: the other reads what is there, and then the end; its writes say -EPIPE. Tasks that
 * wait at this end get SKUA_ECLOSED; calls that begin later are mistakes.
 *
 * end        gone afterwards; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_duplex_close(skua_duplex *end);

/* An end as a stream of bytes.
 *
 * end        the caller's
 * Returns    a value that is good as long as the end
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_io skua_duplex_io(skua_duplex *end);

/* A wait to read or write an end; its members are private. */
typedef struct skua_duplex_future {
    skua_future future;
    skua_duplex *end;
    char *buf;
    size_t len;
    skua_waiter waiter; /* guard: the pair's lock */
    uint8_t writes;
} skua_duplex_future;

/* Makes a future of a read: ready as skua_duplex_read returns.
 *
 * Returns    &read->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped read has read nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_duplex_read_init(skua_duplex_future *read, skua_duplex *end, void *buf,
                                            size_t len);

/* Makes a future of a write: ready as skua_duplex_write returns.
 *
 * Returns    &write->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped write has written nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_duplex_write_init(skua_duplex_future *write, skua_duplex *end,
                                             const void *buf, size_t len);

#ifndef __cplusplus
/* The same in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_duplex_reading(end, buf, len)                                                         \
    skua_duplex_read_init(&(skua_duplex_future){.future = {0}}, (end), (buf), (len))
#define skua_duplex_writing(end, buf, len)                                                         \
    skua_duplex_write_init(&(skua_duplex_future){.future = {0}}, (end), (buf), (len))
#endif

/* ---- copies ---------------------------------------------------------------------------------- */

/* No limit. */
#define SKUA_COPY_ALL INT64_MAX

typedef struct skua_copy_options {
    size_t size;        /* stamped by the macro */
    size_t buffer;      /* bytes that are on their way at a time, 1 to 2^30 (default 16 KiB; 64 KiB
                           where the kernel moves them). It is allocated */
    int64_t deadline;   /* monotonic ns (default 0: none but the task's own) */
    unsigned no_splice; /* 1: bytes go through the buffer, even if both streams have to_pipe and
                           from_pipe (default 0) */
} skua_copy_options;

#ifndef __cplusplus
#define SKUA_COPY_OPTIONS(...)                                                                     \
    (&(const skua_copy_options){.size = sizeof(skua_copy_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_copy_options_init(skua_copy_options *options);

/* Copies one stream to another, to its end or a limit. Nothing is shut down. Between sockets the
 * bytes stay in the kernel: they go through a pipe(2), two descriptors as long as it lasts; without
 * one to be had, through a buffer.
 *
 * limit      bytes at most, 0 and more; SKUA_COPY_ALL
 * options    NULL = defaults
 * Returns    how many bytes were copied; -EINVAL, -ENOMEM; what either stream says, -ECANCELED,
 *            -ETIMEDOUT
 * Threads    where both streams are used
 * Cancel     what was read and not written yet is lost
 * Source     Tokio's copy; splice(2)
 * Since      0.2
 */
SKUA_API int64_t skua_copy(skua_io from, skua_io to, int64_t limit,
                           const skua_copy_options *options);

/* Copies two streams to each other, in two tasks, until both have ended. The end of one is told to
 * the other (skua_io_shutdown), which may go on for as long as it likes; an error of either ends
 * both directions.
 *
 * a, b       streams that are read and written in two tasks at a time
 * a_to_b     receives how many bytes were copied, also when it fails; NULL = not wanted
 * b_to_a     the same
 * options    NULL = defaults; both directions have a buffer, or a pipe
 * Returns    0; the first error, as of skua_copy; of skua_io_shutdown; of skua_spawn; SKUA_EUSAGE
 *            outside a fiber
 * Threads    fibers
 * Cancel     both directions are over when it returns; what was read and not written yet is lost
 * Source     Tokio's copy_bidirectional
 * Since      0.2
 */
SKUA_API int skua_copy_bidirectional(skua_io a, skua_io b, int64_t *a_to_b, int64_t *b_to_a,
                                     const skua_copy_options *options);

SKUA_C_END

#endif
