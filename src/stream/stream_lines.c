/* stream_lines.c - bytes that come in pieces, as lines.
 *
 * Flow       a line feed in what is there: the line. None: what is there moves to the front of the
 *            buffer, and the reader is asked for more behind it.
 * Buffer     [from, to) is not given out yet, and [from, looked) has no line feed. The last byte
 *            is never read into: it is for the NUL behind a line without a line feed. Nothing moves
 *            while a read is under way, as the kernel may have its place.
 * Too long   a full buffer without a line feed: told once, thrown away, and so is what follows up
 *            to the line feed.
 */
#include "stream/stream_impl.h"

static skua_stream_lines *lines_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_lines, stream);
}

static void lines_drop(skua_stream *stream)
{
    skua_future_drop(lines_of(stream)->reading);
}

/* Gives out the line that ends before `end`, and goes on at `next`. */
static skua_poll lines_give(skua_stream_lines *self, void *item, size_t end, size_t next)
{
    skua_line line = {.text = self->buf + self->from, .len = end - self->from};

    if (line.len != 0 && line.text[line.len - 1] == '\r')
        line.len--;
    line.text[line.len] = '\0';
    self->from = self->looked = next;
    memcpy(item, &line, sizeof line);
    return 1;
}

/* A line in what is there; SKUA_PENDING: none. */
static skua_poll lines_look(skua_stream_lines *self, void *item)
{
    const char *feed;

    while ((feed = memchr(self->buf + self->looked, '\n', self->to - self->looked)) != NULL) {
        size_t end = (size_t)(feed - self->buf);

        if (!self->skips)
            return lines_give(self, item, end, end + 1);
        self->skips = 0;
        self->from = self->looked = end + 1;
    }
    self->looked = self->to;
    return SKUA_PENDING;
}

/* Makes room behind what is there: 0, or SKUA_ELIMIT. */
static int lines_make_room(skua_stream_lines *self)
{
    bool full = self->to - self->from == self->size - 1;
    bool skipped = self->skips;

    if (skipped || full)
        self->from = self->to;
    memmove(self->buf, self->buf + self->from, self->to - self->from);
    self->to -= self->from;
    self->looked = self->to;
    self->from = 0;
    self->skips = skipped || full;
    return full && !skipped ? SKUA_ELIMIT : 0;
}

/* Reads: 0 when there is more, or it is over; a negative code or SKUA_PENDING. */
static skua_poll lines_read(skua_stream_lines *self, skua_waker *waker)
{
    skua_poll answer;

    if (self->reading == NULL)
        self->reading = self->read(self->arg, self->buf + self->to, self->size - 1 - self->to);
    answer = skua__future_poll_raw(self->reading, waker);
    if (answer == SKUA_PENDING)
        return answer;
    self->reading = NULL;
    if (answer > 0) {
        self->to += (size_t)answer;
        return 0;
    }
    self->over = 1;
    if (answer < 0)
        self->from = self->to; /* half a line is none */
    return answer;
}

static skua_poll lines_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_lines *self = lines_of(stream);

    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        skua_poll answer = SKUA_PENDING;

        if (self->reading == NULL) {
            answer = lines_look(self, item);
            if (answer != SKUA_PENDING)
                return answer;
            if (self->over && (self->skips || self->from == self->to))
                return 0;
            if (self->over)
                return lines_give(self, item, self->to, self->to);
            answer = lines_make_room(self);
            if (answer < 0)
                return answer;
        }
        answer = lines_read(self, waker);
        if (answer != 0)
            return answer;
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops lines_ops = {.name = "lines", .next = lines_next, .drop = lines_drop};

skua_stream *skua_stream_lines_init(skua_stream_lines *lines, skua_stream_read_fn read, void *arg,
                                    char *buf, size_t size)
{
    lines->stream.ops = &lines_ops;
    lines->stream.item_size = sizeof(skua_line);
    lines->read = read;
    lines->arg = arg;
    lines->reading = NULL;
    lines->buf = buf;
    lines->size = size;
    lines->from = lines->looked = lines->to = 0;
    lines->skips = 0;
    lines->over = 0;
    return size >= 3 ? &lines->stream : skua__stream_refuse(&lines->stream);
}
