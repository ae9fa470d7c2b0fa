/* writer.c - a buffer in front of a stream that is written.
 *
 * Flow       what fits behind what is in the buffer is copied there. What does not waits until the
 *            buffer was written out; then it fits, or it is more than the buffer has: then it goes
 *            to the stream itself, together with what is in the buffer if the stream can.
 * Whole      nothing of a write is copied before there is room for all of it. So only a write past
 *            the buffer can be cut in two, and a writer that has done so is of no use any more.
 * State      error: 0, or what each later call says: the stream's error, or SKUA_ECLOSED.
 */
#include <stdio.h>

#include "codec/framing_impl.h"

#define WRITER_BUFFER ((size_t)8192)

/* ---- making one ------------------------------------------------------------------------------ */

int skua_writer_init(skua_writer *writer, skua_io io, void *buf, size_t size)
{
    if (io.ops == NULL || buf == NULL || size == 0)
        return -EINVAL;
    *writer = (skua_writer){.io = io, .deadline = SKUA_FOREVER, .buf = buf, .size = size};
    return 0;
}

int skua_writer_new(skua_writer **ret, skua_io io, size_t size)
{
    skua_writer *writer;

    if (size == 0)
        size = WRITER_BUFFER;
    if (io.ops == NULL || size > SIZE_MAX / 4)
        return -EINVAL;
    writer = skua__os_alloc(sizeof *writer + size);
    if (writer == NULL)
        return -ENOMEM;
    (void)skua_writer_init(writer, io, writer + 1, size);
    *ret = writer;
    return 0;
}

void skua_writer_free(skua_writer *writer)
{
    skua__os_free(writer);
}

void skua_writer_set_deadline(skua_writer *writer, int64_t deadline)
{
    writer->deadline = deadline;
}

/* ---- writing out ----------------------------------------------------------------------------- */

static size_t writer_count(const skua_writer *writer)
{
    return writer->to - writer->from;
}

/* Notes an error that is told again. */
static int writer_fail(skua_writer *writer, ssize_t code, bool cut)
{
    if (cut || !skua__io_passes(code))
        writer->error = (int32_t)code;
    return (int)code;
}

/* Takes `n` bytes that were written off the buffer; what is left of n was not from there. */
static size_t writer_wrote(skua_writer *writer, size_t n)
{
    size_t part = skua__min_size(n, writer_count(writer));

    writer->from += part;
    if (writer->from == writer->to)
        writer->from = writer->to = 0;
    return n - part;
}

/* Empties the buffer. */
static int writer_drain(skua_writer *writer)
{
    while (writer_count(writer) != 0) {
        ssize_t n = skua__io_write(writer->io, writer->buf + writer->from, writer_count(writer),
                                   writer->deadline);

        if (n < 0)
            return writer_fail(writer, n, false);
        (void)writer_wrote(writer, (size_t)n);
    }
    return 0;
}

/* Room for `len` bytes behind what is there, the buffer's front counted, too; or false. */
static bool writer_make_room(skua_writer *writer, size_t len)
{
    size_t count = writer_count(writer);

    if (len > writer->size - count)
        return false;
    if (len > writer->size - writer->to) {
        memmove(writer->buf, writer->buf + writer->from, count);
        writer->from = 0;
        writer->to = count;
    }
    return true;
}

static void writer_copy(skua_writer *writer, const void *buf, size_t len)
{
    if (len != 0) /* then buf may be NULL */
        memcpy(writer->buf + writer->to, buf, len);
    writer->to += len;
}

/* Takes `n` bytes off the front of what is to be written. */
static size_t writer_advance(struct iovec *part, size_t n)
{
    n = skua__min_size(n, part->iov_len);
    part->iov_base = n != 0 ? (char *)part->iov_base + n : part->iov_base;
    part->iov_len -= n;
    return n;
}

/* More than the buffer has: the buffer and the parts, together if the stream can. */
static int writer_pass(skua_writer *writer, struct iovec part[2])
{
    bool cut = false;

    while (part[0].iov_len + part[1].iov_len != 0) {
        const struct iovec iov[3] = {
            {.iov_base = writer->buf + writer->from, .iov_len = writer_count(writer)},
            part[0],
            part[1]};
        ssize_t n = skua__io_writev(writer->io, iov, 3, writer->deadline);
        size_t rest;

        if (n < 0)
            return writer_fail(writer, n, cut);
        rest = writer_wrote(writer, (size_t)n);
        cut = cut || rest != 0;
        rest -= writer_advance(&part[0], rest);
        (void)writer_advance(&part[1], rest);
    }
    return 0;
}

static SKUA__NOINLINE int writer_write_slow(skua_writer *writer, struct iovec part[2])
{
    size_t len = part[0].iov_len + part[1].iov_len;
    int rc;

    if (writer->error != 0)
        return writer->error;
    if (len > writer->size)
        return writer_pass(writer, part);
    rc = writer_make_room(writer, len) ? 0 : writer_drain(writer);
    if (rc != 0)
        return rc;
    writer_copy(writer, part[0].iov_base, part[0].iov_len);
    writer_copy(writer, part[1].iov_base, part[1].iov_len);
    return 0;
}

int skua__writer_write_both(skua_writer *writer, const void *first, size_t first_len,
                            const void *second, size_t second_len)
{
    struct iovec part[2] = {{.iov_base = (void *)(uintptr_t)first, .iov_len = first_len},
                            {.iov_base = (void *)(uintptr_t)second, .iov_len = second_len}};

    return writer_write_slow(writer, part);
}

ssize_t skua_writer_write(skua_writer *writer, const void *buf, size_t len)
{
    int rc;

    if (skua__likely(writer->error == 0 && len <= writer->size - writer->to)) {
        writer_copy(writer, buf, len);
        return (ssize_t)len;
    }
    rc = skua__writer_write_both(writer, buf, len, NULL, 0);
    return rc != 0 ? rc : (ssize_t)len;
}

ssize_t skua_writer_put(skua_writer *writer, char byte)
{
    return skua_writer_write(writer, &byte, 1);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Formats into memory of its own. */
static ssize_t writer_print_apart(skua_writer *writer, size_t len, const char *format, va_list list)
{
    char *text = skua__os_alloc(len + 1);
    ssize_t n;

    if (text == NULL)
        return -ENOMEM;
    (void)vsnprintf(text, len + 1, format, list);
    n = skua_writer_write(writer, text, len);
    skua__os_free(text);
    return n;
}

ssize_t skua_writer_vprintf(skua_writer *writer, const char *format, va_list list)
{
    size_t room = writer->size - writer->to;
    va_list again;
    ssize_t n;
    int len;

    if (skua__unlikely(writer->error != 0))
        return writer->error;
    va_copy(again, list);
    len = vsnprintf(writer->buf + writer->to, room, format, list);
    n = len;
    if (len < 0)
        n = -EINVAL;
    else if ((size_t)len < room)
        writer->to += (size_t)len;
    else
        n = writer_print_apart(writer, (size_t)len, format, again);
    va_end(again);
    return n;
}

ssize_t skua_writer_printf(skua_writer *writer, const char *format, ...)
{
    va_list list;
    ssize_t n;

    va_start(list, format);
    n = skua_writer_vprintf(writer, format, list);
    va_end(list);
    return n;
}

/* ---- the end --------------------------------------------------------------------------------- */

int skua_writer_flush(skua_writer *writer)
{
    return writer->error != 0 ? writer->error : writer_drain(writer);
}

int skua_writer_close(skua_writer *writer)
{
    int rc = skua_writer_flush(writer);

    if (rc != 0)
        return rc;
    rc = skua_io_shutdown(writer->io);
    if (rc < 0)
        return writer_fail(writer, rc, false);
    writer->error = SKUA_ECLOSED;
    return 0;
}

#undef WRITER_BUFFER
