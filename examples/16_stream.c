/* 16_stream.c - a stream from end to end: lines of text are parsed, some are looked up, four at a
 * time, and what was found is printed in chunks.
 *
 * Nothing happens until somebody asks: skua_stream_for_each asks for a chunk, the chunk for items,
 * and so on up to the reader. At most four lines are taken ahead of what is printed. An error would
 * take its place among the items; the bad line of this text is only told, and skipped. */
#include <skua/skua.h>

#include <stdio.h>
#include <string.h>

static const char text[] = "get 3\nget 14\nput 15\nget 9\nwhat?\nget 2\nget 6\nput 5\nget 35\n";

enum { AT_A_TIME = 4, CHUNK = 3 };

/* A reader of memory, a few bytes at a time: a file's or a socket's is made alike (for a socket it
 * is there: skua_streaming_tcp_lines). Its read is ready at once. */
struct reader {
    skua_future future;
    const char *at;
    size_t left;
    void *buf;
    size_t len;
};

static skua_poll reader_poll(skua_future *future, skua_waker *waker)
{
    struct reader *self = (struct reader *)future;
    size_t count = self->left < 10 ? self->left : 10;

    (void)waker;
    count = count < self->len ? count : self->len;
    memcpy(self->buf, self->at, count);
    self->at += count;
    self->left -= count;
    return (skua_poll)count;
}

static const skua_future_ops reader_ops = {.name = "text.read", .poll = reader_poll};

static skua_future *reads(void *arg, void *buf, size_t len)
{
    struct reader *self = arg;

    self->future.ops = &reader_ops;
    self->buf = buf;
    self->len = len;
    return &self->future;
}

struct request {
    char verb[4];
    int id;
};

struct reply {
    int id;
    char name[20];
};

/* 1: a request; 0: a bad line, which is skipped. */
static int parses(const void *in, void *out, void *arg)
{
    const skua_line *line = in;
    struct request *request = out;

    (void)arg;
    if (sscanf(line->text, "%3s %d", request->verb, &request->id) == 2)
        return 1;
    printf("not a request: %s\n", line->text);
    return 0;
}

static int is_get(const void *item, void *arg)
{
    (void)arg;
    return strcmp(((const struct request *)item)->verb, "get") == 0;
}

/* In a fiber of its own: it may wait. */
static int looks_up(const void *in, void *out, void *arg)
{
    const struct request *request = in;
    struct reply *reply = out;

    (void)arg;
    reply->id = request->id;
    snprintf(reply->name, sizeof reply->name, "item %d", request->id);
    return skua_sleep((40 - request->id) * SKUA_MILLISECOND);
}

static int prints(void *item, void *arg)
{
    const skua_chunk *chunk = item;
    const struct reply *replies = chunk->items;

    printf("chunk %d:", ++*(int *)arg);
    for (size_t i = 0; i < chunk->count; i++)
        printf(" %s%s", replies[i].name, i + 1 < chunk->count ? "," : "\n");
    return 0;
}

static int app(void *arg)
{
    struct reader reader = {.at = text, .left = sizeof text - 1};
    char buf[64];
    skua_chunk chunk;
    int chunks = 0;

    (void)arg;
    skua_stream *lines = skua_streaming_lines(reads, &reader, buf, sizeof buf);
    skua_stream *requests =
        skua_streaming_filter_map(lines, parses, NULL, skua_line, struct request);
    skua_stream *gets = skua_streaming_filter(requests, is_get, NULL);
    skua_stream *replies =
        skua_streaming_buffered(gets, NULL, AT_A_TIME, looks_up, NULL, struct reply);
    skua_stream *groups =
        skua_streaming_chunks(replies, struct reply, CHUNK, 200 * SKUA_MILLISECOND);

    return skua_stream_for_each(groups, &chunk, prints, &chunks);
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
