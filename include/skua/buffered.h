/* buffered.h - reading and writing a stream of bytes through a buffer: lines, pieces, printf.
 *
 *     char room[4096];
 *     skua_reader reader;
 *     const char *line;
 *     size_t len;
 *
 *     skua_reader_init(&reader, skua_tcp_io(tcp), room, sizeof room);
 *     while ((rc = skua_reader_read_line(&reader, 0, &line, &len)) == 1)
 *         answer(line, len);
 *     return rc;                         0: the end; else what went wrong
 *
 * Buffer     the caller's, of a fixed size (…_init, nothing to free); or an allocated one (…_new,
 *            …_free), which a reader lets grow for what must be there as a whole.
 * Borrowing  what a reader shows is in its buffer: good until the next call with that reader.
 * Errors     of the stream are sticky: whoever asks again is told again, and bytes that came before
 *            are given first. -ECANCELED, -ETIMEDOUT and -EBUSY are not: the call may be made
 *            again.
 * Threads    one task or thread at a time has a reader, or a writer.
 * Source     Tokio's BufReader, Lines and Split; Go's bufio.
 */
#ifndef SKUA_BUFFERED_H
#define SKUA_BUFFERED_H

#include <stdarg.h>

#include <skua/io.h>

SKUA_C_BEGIN

/* ---- reader ---------------------------------------------------------------------------------- */

/* What an allocated reader grows to at most, unless the options say otherwise: 8 MiB, and a little
 * for the head of a frame of that size (framing.h). */
#define SKUA_BUFFER_MAX (((size_t)8 << 20) + 4096)

/* A reader; its members are private. */
typedef struct skua_reader {
    skua_io io;
    int64_t deadline;
    char *buf;
    size_t size;
    size_t max;  /* bytes it may grow to; size when the buffer is the caller's */
    size_t from; /* [from, to) was read and is not given out yet */
    size_t to;
    int32_t error; /* of the stream, told again; 1: its end was seen */
} skua_reader;

typedef struct skua_reader_options {
    size_t size;   /* stamped by the macro */
    size_t buffer; /* bytes at the beginning, 1 to max (default 8 KiB, or max) */
    size_t max;    /* bytes it may grow to (default SKUA_BUFFER_MAX, or buffer) */
} skua_reader_options;

#ifndef __cplusplus
#define SKUA_READER_OPTIONS(...)                                                                   \
    (&(const skua_reader_options){.size = sizeof(skua_reader_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_reader_options_init(skua_reader_options *options);

/* Makes a reader whose buffer is the caller's. It needs no free.
 *
 * io         what it reads; nobody else reads it meanwhile
 * buf, size  the caller's, as long as the reader is used; 1 byte and more
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_reader_init(skua_reader *reader, skua_io io, void *buf, size_t size);

/* Makes a reader whose buffer is allocated, and grows, doubling, when something that is asked for
 * as a whole has no room. It does not shrink.
 *
 * ret        receives the reader, to be ended by skua_reader_free; untouched on failure
 * options    NULL = defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_reader_new(skua_reader **ret, skua_io io,
                                            const skua_reader_options *options);

/* Frees what skua_reader_new made. The stream is not closed.
 *
 * reader     NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_reader_free(skua_reader *reader);

/* Sets a deadline for the calls to come: they say -ETIMEDOUT when they would wait longer.
 *
 * deadline   monotonic ns; SKUA_FOREVER (the default): none but the task's own
 * Threads    where the reader is used
 * Since      0.2
 */
SKUA_API void skua_reader_set_deadline(skua_reader *reader, int64_t deadline);

/* Reads what is there, at least one byte; past the buffer when that is empty and `len` is not less
 * than its size.
 *
 * buf, len   the caller's
 * Returns    the count; 0 at the end of the stream (or when len is 0); a negative code
 * Threads    fibers, plain threads
 * Cancel     safe: nothing was read
 * Since      0.2
 */
SKUA_API ssize_t skua_reader_read(skua_reader *reader, void *buf, size_t len);

/* Reads exactly `len` bytes.
 *
 * Returns    len; SKUA_EEOF when the stream ended before; a negative code; -ENOMEM
 * Threads    fibers, plain threads
 * Cancel     safe when `len` is not more than the buffer may have: nothing was read then. Else, and
 *            with any other failure, an unknown part of it is lost
 * Since      0.2
 */
SKUA_API ssize_t skua_reader_read_exact(skua_reader *reader, void *buf, size_t len);

/* Reads once more into the buffer, whatever is in it.
 *
 * Returns    how many bytes came; 0: the end of the stream; SKUA_ELIMIT: the buffer is full, and
 *            does not grow; -ENOMEM; a negative code
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API ssize_t skua_reader_fill(skua_reader *reader);

/* Shows what is in the buffer, and does not wait.
 *
 * at         receives where; borrowed
 * Returns    how many bytes, 0 and more
 * Threads    where the reader is used
 * Since      0.2
 */
SKUA_API size_t skua_reader_buffered(const skua_reader *reader, const char **at);

/* Waits until `count` bytes are in the buffer, and shows them. None is consumed.
 *
 * at         receives where; borrowed; untouched on failure
 * Returns    how many bytes there are, `count` or more; SKUA_EEOF: the stream ended before;
 *            SKUA_ELIMIT: so many have no room; -ENOMEM; a negative code
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API ssize_t skua_reader_peek(skua_reader *reader, size_t count, const char **at);

/* Takes bytes that were shown out of the buffer.
 *
 * count      not more than are buffered
 * Returns    0; -EINVAL: so many are not there, none was taken
 * Threads    where the reader is used
 * Since      0.2
 */
SKUA_API int skua_reader_consume(skua_reader *reader, size_t count);

/* Reads bytes, and throws them away.
 *
 * Returns    0; SKUA_EEOF: the stream ended before; a negative code
 * Threads    fibers, plain threads
 * Cancel     how many were skipped is not told
 * Since      0.2
 */
SKUA_API int skua_reader_skip(skua_reader *reader, uint64_t count);

/* Throws bytes away up to a delimiter, and the delimiter: what to do after SKUA_ELIMIT.
 *
 * Returns    0; SKUA_EEOF: the stream ended before; a negative code
 * Threads    fibers, plain threads
 * Cancel     how many were skipped is not told; doing it again goes on
 * Since      0.2
 */
SKUA_API int skua_reader_skip_to(skua_reader *reader, char delimiter);

/* Reads up to a delimiter. What is behind the last one, if anything, is the last piece: it does not
 * end with the delimiter.
 *
 * limit      bytes with the delimiter; 0 = what the buffer may have
 * at, len    receive the bytes, with the delimiter; borrowed; untouched unless 1 is returned
 * Returns    1; 0: the end; SKUA_ELIMIT: there is none within the limit: nothing was consumed, and
 *            asking again says so again (skua_reader_skip_to); -ENOMEM; a negative code
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_reader_read_to(skua_reader *reader, char delimiter, size_t limit, const char **at,
                                 size_t *len);

/* The same without the delimiter: called until it says 0 it splits a stream into its pieces.
 *
 * limit      bytes without the delimiter; 0 = what the buffer may have
 * Returns    as skua_reader_read_to
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_reader_split(skua_reader *reader, char delimiter, size_t limit, const char **at,
                               size_t *len);

/* Reads a line: up to a line feed, without it, and without a carriage return before it.
 *
 * limit      bytes of the line alone; 0 = what the buffer may have, with the line's end
 * at, len    receive the line; borrowed; no NUL behind it; untouched unless 1 is returned
 * Returns    1; 0: the end; SKUA_ELIMIT: the line is longer: nothing was consumed, and asking again
 *            says so again; `skua_reader_skip_to(reader, '\n')` leaves it behind; -ENOMEM; a
 *            negative code
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_reader_read_line(skua_reader *reader, size_t limit, const char **at, size_t *len);

/* ---- writer ---------------------------------------------------------------------------------- */

/* A writer; its members are private. */
typedef struct skua_writer {
    skua_io io;
    int64_t deadline;
    char *buf;
    size_t size;
    size_t from; /* [from, to) was taken and is not written yet */
    size_t to;
    int32_t error; /* of the stream, told again; SKUA_ECLOSED after a close */
} skua_writer;

/* Makes a writer whose buffer is the caller's. It needs no free, but a flush or a close.
 *
 * A write is taken as a whole or not at all: a failed one may be made again. One alone is not so:
 * more than the buffer has, when it failed on the way. Then the writer says the same code for ever,
 * -ECANCELED and -ETIMEDOUT, too: half of it is in the stream.
 *
 * io         what it writes; nobody else writes it meanwhile
 * buf, size  the caller's, as long as the writer is used; 1 byte and more
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_writer_init(skua_writer *writer, skua_io io, void *buf, size_t size);

/* Makes a writer whose buffer is allocated.
 *
 * ret        receives the writer, to be ended by skua_writer_free; untouched on failure
 * size       bytes of the buffer; 0 = 8 KiB
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_writer_new(skua_writer **ret, skua_io io, size_t size);

/* Frees what skua_writer_new made. What was not flushed is lost; the stream is not closed.
 *
 * writer     NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_writer_free(skua_writer *writer);

/* Sets a deadline for the calls to come: they say -ETIMEDOUT when they would wait longer.
 *
 * deadline   monotonic ns; SKUA_FOREVER (the default): none but the task's own
 * Threads    where the writer is used
 * Since      0.2
 */
SKUA_API void skua_writer_set_deadline(skua_writer *writer, int64_t deadline);

/* Writes everything: into the buffer, which is written out when there is no room; more than the
 * buffer has goes past it.
 *
 * buf, len   the caller's, and its again afterwards
 * Returns    len; SKUA_ECLOSED after a close; a negative code
 * Threads    fibers, plain threads
 * Cancel     safe, but see skua_writer_init
 * Since      0.2
 */
SKUA_API ssize_t skua_writer_write(skua_writer *writer, const void *buf, size_t len);

/* Writes one byte.
 *
 * Returns    1; else as skua_writer_write
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API ssize_t skua_writer_put(skua_writer *writer, char byte);

/* Writes text as printf does. What has no room in the buffer is formatted in allocated memory.
 *
 * Returns    the count of bytes; -EINVAL: not a format; -ENOMEM; else as skua_writer_write
 * Threads    fibers, plain threads
 * Cancel     as skua_writer_write
 * Since      0.2
 */
SKUA_API ssize_t skua_writer_printf(skua_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As skua_writer_printf, with the arguments as a list.
 *
 * Returns    as skua_writer_printf
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API ssize_t skua_writer_vprintf(skua_writer *writer, const char *format, va_list list)
    __attribute__((format(printf, 2, 0)));

/* Writes out what is in the buffer.
 *
 * Returns    0: all that was written has gone to the stream; the stream's error, also one that an
 *            earlier call told; SKUA_ECLOSED after a close
 * Threads    fibers, plain threads
 * Cancel     safe: what is left goes with the next flush
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_writer_flush(skua_writer *writer);

/* Flushes, and ends the stream for whoever reads it at the other end (skua_io_shutdown). The stream
 * itself is closed by its owner.
 *
 * Returns    0: everything has gone, later calls say SKUA_ECLOSED; else as skua_writer_flush, and
 *            what skua_io_shutdown says
 * Threads    fibers, plain threads
 * Cancel     safe: it may be done again
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_writer_close(skua_writer *writer);

SKUA_C_END

#endif
