/* reader.c - a buffer in front of a stream that is read.
 *
 * Flow       each call looks at what is in the buffer; when that is not enough the stream is asked
 *            for more behind it, once, and the call looks again. So a wait that was given up has
 *            lost nothing: what had come is in the buffer.
 * Buffer     [from, to) of it is not given out. What is left moves to the front when there is no
 *            room behind it; only then, and only if it must, the buffer grows.
 * Borrowing  a piece is consumed when it is given out; its bytes stay where they are, as only the
 *            next call moves or overwrites anything.
 * State      error: 0; 1: the stream has ended, it is not asked again; a code: it is told again, as
 *            a socket tells an error once and then just its end.
 */
#include "codec/codec_impl.h"

#include <skua/buffered.h>

#define READER_BUFFER ((size_t)8192)
#define READER_ENDED 1

/* ---- making one ------------------------------------------------------------------------------ */

int skua_reader_init(skua_reader *reader, skua_io io, void *buf, size_t size)
{
    if (io.ops == NULL || buf == NULL || size == 0)
        return -EINVAL;
    *reader =
        (skua_reader){.io = io, .deadline = SKUA_FOREVER, .buf = buf, .size = size, .max = size};
    return 0;
}

void skua_reader_options_init(skua_reader_options *options)
{
    *options = (skua_reader_options){.size = sizeof *options};
}

int skua_reader_new(skua_reader **ret, skua_io io, const skua_reader_options *options)
{
    size_t size = options != NULL ? options->buffer : 0;
    size_t max = options != NULL ? options->max : 0;
    skua_reader *reader;
    char *buf;

    if (io.ops == NULL || (options != NULL && options->size != sizeof *options))
        return -EINVAL;
    if (max == 0)
        max = skua__max_size(size, SKUA_BUFFER_MAX);
    if (size == 0)
        size = skua__min_size(max, READER_BUFFER);
    if (size > max || max > SIZE_MAX / 4)
        return -EINVAL;
    reader = skua__os_alloc(sizeof *reader);
    buf = reader != NULL ? skua__os_alloc(size) : NULL;
    if (buf == NULL) {
        skua__os_free(reader);
        return -ENOMEM;
    }
    (void)skua_reader_init(reader, io, buf, size);
    reader->max = max;
    *ret = reader;
    return 0;
}

void skua_reader_free(skua_reader *reader)
{
    if (reader == NULL)
        return;
    skua__os_free(reader->buf);
    skua__os_free(reader);
}

void skua_reader_set_deadline(skua_reader *reader, int64_t deadline)
{
    reader->deadline = deadline;
}

/* ---- the buffer ------------------------------------------------------------------------------ */

static size_t reader_count(const skua_reader *reader)
{
    return reader->to - reader->from;
}

/* Notes what a read of the stream said. */
static ssize_t reader_note(skua_reader *reader, ssize_t n)
{
    if (n == 0)
        reader->error = READER_ENDED;
    else if (n < 0 && !skua__io_passes(n))
        reader->error = (int32_t)n;
    return n;
}

/* A larger buffer, with what was in the old one at its front. */
static int reader_grow(skua_reader *reader, size_t size)
{
    char *buf = skua__os_alloc(size);

    if (buf == NULL)
        return -ENOMEM;
    memcpy(buf, reader->buf + reader->from, reader_count(reader));
    skua__os_free(reader->buf);
    reader->buf = buf;
    reader->size = size;
    return 0;
}

/* Room for `wanted` bytes in all, at most max: behind what is there, at the front, or in a larger
 * buffer. */
static int reader_make_room(skua_reader *reader, size_t wanted)
{
    size_t count = reader_count(reader);
    size_t size = reader->size;
    int rc = 0;

    if (count != 0 && reader->from + wanted <= size && reader->to < size)
        return 0;
    while (size < wanted)
        size = skua__min_size(2 * size, reader->max);
    if (size > reader->size)
        rc = reader_grow(reader, size);
    else
        memmove(reader->buf, reader->buf + reader->from, count);
    if (rc == 0) {
        reader->from = 0;
        reader->to = count;
    }
    return rc;
}

/* One read of the stream, for at least `wanted` bytes in all: more than there are. */
static ssize_t reader_fill_for(skua_reader *reader, size_t wanted)
{
    ssize_t n;
    int rc;

    if (reader->error != 0)
        return reader->error == READER_ENDED ? 0 : reader->error;
    if (wanted > reader->max)
        return SKUA_ELIMIT;
    rc = reader_make_room(reader, wanted);
    if (rc != 0)
        return rc;
    n = reader_note(reader, skua__io_read(reader->io, reader->buf + reader->to,
                                          reader->size - reader->to, reader->deadline));
    if (n > 0)
        reader->to += (size_t)n;
    return n;
}

ssize_t skua_reader_fill(skua_reader *reader)
{
    return reader_fill_for(reader, reader_count(reader) + 1);
}

size_t skua_reader_buffered(const skua_reader *reader, const char **at)
{
    *at = reader->buf + reader->from;
    return reader_count(reader);
}

int skua_reader_consume(skua_reader *reader, size_t count)
{
    if (count > reader_count(reader))
        return -EINVAL;
    reader->from += count;
    return 0;
}

ssize_t skua_reader_peek(skua_reader *reader, size_t count, const char **at)
{
    while (reader_count(reader) < count) {
        ssize_t n = reader_fill_for(reader, count);

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : n;
    }
    *at = reader->buf + reader->from;
    return (ssize_t)reader_count(reader);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Copies out of the buffer what is there. */
static size_t reader_take(skua_reader *reader, void *buf, size_t len)
{
    size_t n = skua__min_size(len, reader_count(reader));

    memcpy(buf, reader->buf + reader->from, n);
    reader->from += n;
    return n;
}

ssize_t skua_reader_read(skua_reader *reader, void *buf, size_t len)
{
    ssize_t n;

    if (len == 0)
        return 0;
    if (reader_count(reader) == 0) {
        if (len >= reader->size && reader->error == 0)
            return reader_note(reader, skua__io_read(reader->io, buf, len, reader->deadline));
        n = skua_reader_fill(reader);
        if (n <= 0)
            return n;
    }
    return (ssize_t)reader_take(reader, buf, len);
}

ssize_t skua_reader_read_exact(skua_reader *reader, void *buf, size_t len)
{
    size_t done = 0;
    const char *at;

    if (len <= reader->max) {
        ssize_t n = skua_reader_peek(reader, len, &at);

        return n < 0 ? n : (ssize_t)reader_take(reader, buf, len);
    }
    while (done < len) {
        ssize_t n = skua_reader_read(reader, (char *)buf + done, len - done);

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* More bytes in an empty buffer: 0, SKUA_EEOF, or a negative code. */
static int reader_more(skua_reader *reader)
{
    ssize_t n = skua_reader_fill(reader);

    return n > 0 ? 0 : n == 0 ? SKUA_EEOF : (int)n;
}

int skua_reader_skip(skua_reader *reader, uint64_t count)
{
    while (count > reader_count(reader)) {
        int rc;

        count -= reader_count(reader);
        reader->from = reader->to;
        rc = reader_more(reader);
        if (rc != 0)
            return rc;
    }
    reader->from += (size_t)count;
    return 0;
}

int skua_reader_skip_to(skua_reader *reader, char delimiter)
{
    const char *found;
    int rc = 0;

    while (rc == 0) {
        found = memchr(reader->buf + reader->from, delimiter, reader_count(reader));
        if (found != NULL) {
            reader->from = (size_t)(found - reader->buf) + 1;
            return 0;
        }
        reader->from = reader->to;
        rc = reader_more(reader);
    }
    return rc;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* Looks for a delimiter in the first `limit` bytes: 1, and *ret is how many there are with it; 0:
 * the stream ends before, and *ret is how many are left; SKUA_ELIMIT, or another code. */
static int reader_find(skua_reader *reader, char delimiter, size_t limit, size_t *ret)
{
    size_t looked = 0;

    for (;;) {
        size_t count = skua__min_size(reader_count(reader), limit);
        const char *from = reader->buf + reader->from;
        const char *found = memchr(from + looked, delimiter, count - looked);
        ssize_t n;

        *ret = found != NULL ? (size_t)(found - from) + 1 : count;
        if (found != NULL)
            return 1;
        if (count == limit)
            return SKUA_ELIMIT;
        looked = count;
        n = skua_reader_fill(reader);
        if (n <= 0)
            return (int)n;
    }
}

/* Gives out the next `count` bytes, the last `end` of them not shown. */
static int reader_give(skua_reader *reader, size_t count, size_t end, const char **at, size_t *len)
{
    *at = reader->buf + reader->from;
    *len = count - end;
    reader->from += count;
    return 1;
}

int skua_reader_read_to(skua_reader *reader, char delimiter, size_t limit, const char **at,
                        size_t *len)
{
    size_t count;
    int rc = reader_find(reader, delimiter, limit != 0 ? limit : SIZE_MAX, &count);

    if (rc < 0 || count == 0)
        return rc;
    return reader_give(reader, count, 0, at, len);
}

int skua_reader_split(skua_reader *reader, char delimiter, size_t limit, const char **at,
                      size_t *len)
{
    bool bounded = limit != 0 && limit < SIZE_MAX;
    size_t count;
    int rc = reader_find(reader, delimiter, bounded ? limit + 1 : SIZE_MAX, &count);

    if (rc < 0 || count == 0)
        return rc;
    return reader_give(reader, count, rc == 1, at, len);
}

int skua_reader_read_line(skua_reader *reader, size_t limit, const char **at, size_t *len)
{
    bool bounded = limit != 0 && limit < SIZE_MAX - 1;
    size_t count, end;
    int rc = reader_find(reader, '\n', bounded ? limit + 2 : SIZE_MAX, &count);

    if (rc < 0 || count == 0)
        return rc;
    end = rc == 1;
    if (count > end && reader->buf[reader->from + count - end - 1] == '\r')
        end++;
    if (bounded && count - end > limit)
        return SKUA_ELIMIT;
    return reader_give(reader, count, end, at, len);
}

#undef READER_BUFFER
#undef READER_ENDED
