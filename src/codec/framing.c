/* framing.c - frames by what is between them: lines, delimiters, or nothing.
 *
 * Flow       the reader's buffer is searched, then what comes behind it. A frame is consumed with
 *            its delimiter when it is given out.
 * Too long   told once; the framing remembers it, and the next call leaves everything behind up to
 *            the delimiter first. That may be given up and made again, too.
 */
#include "codec/framing_impl.h"

int skua__framing_init(skua_framing *self, const struct skua__framing_kind *kind, size_t max)
{
    if (max > SIZE_MAX / 4)
        return -EINVAL;
    *self = (skua_framing){.kind = kind, .max = max != 0 ? max : SKUA_FRAME_MAX};
    return 0;
}

int skua_frame_read(skua_framing *framing, skua_reader *reader, const char **frame, size_t *len)
{
    return framing->kind->read(framing, reader, frame, len);
}

int skua_frame_write(skua_framing *framing, skua_writer *writer, const void *frame, size_t len)
{
    return len > framing->max ? SKUA_ELIMIT : framing->kind->write(framing, writer, frame, len);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* After what was too long: 1, and the next frame may be looked for; 0: the end; or a code. */
static int frame_left_behind(skua_framing *self, int rc)
{
    if (rc != 0)
        return rc == SKUA_EEOF ? 0 : rc;
    self->skips = 0;
    return 1;
}

static int frame_read_line(skua_framing *self, skua_reader *reader, const char **frame, size_t *len)
{
    int rc;

    if (self->skips) {
        rc = frame_left_behind(self, skua_reader_skip_to(reader, '\n'));
        if (rc != 1)
            return rc;
    }
    rc = skua_reader_read_line(reader, self->max, frame, len);
    self->skips = rc == SKUA_ELIMIT;
    return rc;
}

static int frame_write_line(skua_framing *self, skua_writer *writer, const void *frame, size_t len)
{
    const char *text = frame;

    (void)self;
    if (len != 0 && (memchr(text, '\n', len) != NULL || text[len - 1] == '\r'))
        return -EINVAL;
    return skua__writer_write_both(writer, frame, len, "\n", 1);
}

static const struct skua__framing_kind frame_line_kind = {.read = frame_read_line,
                                                          .write = frame_write_line};

int skua_framing_lines_init(skua_framing *framing, size_t max)
{
    return skua__framing_init(framing, &frame_line_kind, max);
}

/* ---- delimiters ------------------------------------------------------------------------------ */

static bool frame_delimits(const skua_framing *self, char byte)
{
    unsigned char bit = (unsigned char)byte;

    return self->set[bit / 64] >> (bit % 64) & 1;
}

/* How many bytes there are before the first delimiter; `len`: there is none. */
static size_t frame_search(const skua_framing *self, const char *at, size_t from, size_t len)
{
    while (from < len && !frame_delimits(self, at[from]))
        from++;
    return from;
}

/* Throws away up to a delimiter, and it: 0 or a code. */
static int frame_skip_to_any(skua_framing *self, skua_reader *reader)
{
    for (;;) {
        const char *at;
        size_t count = skua_reader_buffered(reader, &at);
        size_t place = frame_search(self, at, 0, count);
        ssize_t n;

        if (place < count)
            return skua_reader_consume(reader, place + 1);
        (void)skua_reader_consume(reader, count);
        n = skua_reader_fill(reader);
        if (n <= 0)
            return n == 0 ? SKUA_EEOF : (int)n;
    }
}

/* Waits for a delimiter: 1, and *ret is how many bytes are before it; 0: the end, and how many are
 * left; or a code. */
static int frame_find_any(skua_framing *self, skua_reader *reader, size_t *ret)
{
    size_t looked = 0;

    for (;;) {
        const char *at;
        size_t count = skua__min_size(skua_reader_buffered(reader, &at), self->max + 1);
        ssize_t n;

        *ret = frame_search(self, at, looked, count);
        if (*ret < count)
            return 1;
        if (count > self->max)
            return SKUA_ELIMIT;
        looked = count;
        n = skua_reader_fill(reader);
        if (n <= 0)
            return (int)n;
    }
}

static int frame_read_delimited(skua_framing *self, skua_reader *reader, const char **frame,
                                size_t *len)
{
    size_t count = 0;
    int rc;

    if (self->skips) {
        rc = frame_left_behind(self, frame_skip_to_any(self, reader));
        if (rc != 1)
            return rc;
    }
    rc = frame_find_any(self, reader, &count);
    self->skips = rc == SKUA_ELIMIT;
    if (rc < 0 || (rc == 0 && count == 0))
        return rc;
    (void)skua_reader_buffered(reader, frame);
    (void)skua_reader_consume(reader, count + (size_t)rc);
    *len = count;
    return 1;
}

static int frame_write_delimited(skua_framing *self, skua_writer *writer, const void *frame,
                                 size_t len)
{
    if (frame_search(self, frame, 0, len) < len)
        return -EINVAL;
    return skua__writer_write_both(writer, frame, len, &self->delimiter, 1);
}

static const struct skua__framing_kind frame_delimited_kind = {.read = frame_read_delimited,
                                                               .write = frame_write_delimited};

int skua_framing_delimited_init(skua_framing *framing, const void *delimiters, size_t count,
                                size_t max)
{
    const unsigned char *bytes = delimiters;
    int rc = count != 0 ? skua__framing_init(framing, &frame_delimited_kind, max) : -EINVAL;

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        framing->set[bytes[i] / 64] |= UINT64_C(1) << (bytes[i] % 64);
    framing->delimiter = (char)bytes[0];
    return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static int frame_read_chunk(skua_framing *self, skua_reader *reader, const char **frame,
                            size_t *len)
{
    const char *at;
    ssize_t n = skua_reader_peek(reader, 1, &at);

    if (n < 0)
        return n == SKUA_EEOF ? 0 : (int)n;
    *frame = at;
    *len = skua__min_size((size_t)n, self->max);
    (void)skua_reader_consume(reader, *len);
    return 1;
}

static int frame_write_chunk(skua_framing *self, skua_writer *writer, const void *frame, size_t len)
{
    (void)self;
    return skua__writer_write_both(writer, frame, len, NULL, 0);
}

static const struct skua__framing_kind frame_chunk_kind = {.read = frame_read_chunk,
                                                           .write = frame_write_chunk};

int skua_framing_chunks_init(skua_framing *framing, size_t max)
{
    return skua__framing_init(framing, &frame_chunk_kind, max);
}
