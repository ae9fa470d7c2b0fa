/* stream.h - streams: what a future is for one answer, a stream is for many; sources and ends.
 *
 *     skua_stream *lines = skua_streaming_mpsc(rx, struct line);
 *     skua_stream *jobs = skua_streaming_filter_map(lines, parse, NULL, struct line, struct job);
 *     skua_stream *done = skua_streaming_buffered(jobs, NULL, 8, work, NULL, struct result);
 *     struct result result;
 *
 *     while ((rc = skua_stream_next(done, &result)) > 0)
 *         print(&result);
 *     skua_stream_drop(done);                   drops all of them; nothing, if it was at its end
 *
 * A stream is a small struct in the CALLER's memory, as a future is, and lies there until its end.
 * It has two verbs. next() asks for an item: 1, and the item is copied to where the asker wants it;
 * 0, the end; a negative code, an error in the place of an item; or SKUA_PENDING. drop() lets go.
 * Streams are put together by adapters (stream_adapters.h), each of which owns its source: dropping
 * the outermost one drops them all.
 *
 *   1. A stream is asked until it says 0, or dropped; after either it is over: it has let go of
 *      everything, says 0 whenever it is asked, and dropping it again does nothing.
 *   2. An error is not the end. Every adapter hands it on, in its place among the items, and who
 *      asks may ask again: what then comes is up to where the error is from. The ends below stop
 *      at the first; skua_streaming_try makes a stream that is over after its first error.
 *   3. Every next may be given up at any time, and no item is lost: who asks next receives it.
 *   4. Only the newest waker is woken, and wakes may be spurious.
 *   5. A stream belongs to one task or thread, from the first next until it is over: as a future,
 *      it may have timers and reads under way there.
 *   6. While a next is under way, and after an error, what is at `item` is undefined.
 *
 * Names      skua_stream_X_init(&x, …) makes a stream in a struct of the caller's; the macro
 *            skua_streaming_X(…) makes the same in the caller's block. (The condition of an if or
 *            a loop is a block of its own: make streams before it.)
 * Cost       an item costs one indirect call an adapter. Nothing is allocated, locked or counted.
 * Budget     one unit an item of what the task asks for.
 * Source     Rust's futures::Stream and StreamExt, tokio-stream.
 */
#ifndef SKUA_STREAM_H
#define SKUA_STREAM_H

#include <skua/broadcast.h>
#include <skua/mpmc.h>
#include <skua/mpsc.h>
#include <skua/oneshot.h>
#include <skua/time.h>

SKUA_C_BEGIN

typedef struct skua_stream skua_stream;

/* What a kind of stream is. One static table per kind. */
typedef struct skua_stream_ops {
    const char *name; /* "map" */
    /* 1, 0, a negative code or SKUA_PENDING, as above. After 0 it is not called again, but drop. */
    skua_poll (*next)(skua_stream *self, void *item, skua_waker *waker);
    /* Lets go of everything, the sources, too. Called once. NULL: there is nothing. */
    void (*drop)(skua_stream *self);
} skua_stream_ops;

/* The first member of each kind's struct. */
struct skua_stream {
    const skua_stream_ops *ops; /* the creator; another one when it is over */
    size_t item_size;           /* bytes of an item; constant */
};

/* ---- asking ---------------------------------------------------------------------------------- */

/* Waits for the next item.
 *
 * item       receives item_size bytes, suitably aligned
 * Returns    1: there is an item; 0: the stream is over; a negative code of the stream's, or
 *            -ECANCELED, -ETIMEDOUT of the task's; SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads
 * Cancel     safe: no item is lost
 * Since      0.2
 */
SKUA_API int skua_stream_next(skua_stream *stream, void *item);

/* As skua_stream_next, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_stream_next; -ETIMEDOUT: the stream may be asked again
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_stream_next_until(skua_stream *stream, void *item, int64_t deadline);

/* A wait for an item. Its members are private. */
typedef struct skua_stream_future {
    skua_future future;
    skua_stream *stream;
    void *item;
} skua_stream_future;

/* Makes a future of the next item: ready as skua_stream_next returns.
 *
 * item       stays where it is until the future is finished
 * Returns    &next->future; dropping it leaves the stream as it is
 * Threads    where the stream is asked
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_stream_next_init(skua_stream_future *next, skua_stream *stream,
                                            void *item);

/* Asks a stream, for a stream of one's own that is made of others. Neither budget nor cancellation
 * are looked at: whoever asks the outermost one does.
 *
 * Returns    1, 0, a negative code or SKUA_PENDING; after 0 the stream is over
 * Threads    inside the next() of another stream, or a future's poll()
 * Since      0.2
 */
SKUA_API skua_poll skua_stream_poll(skua_stream *stream, void *item, skua_waker *waker);

/* Lets go of a stream and of its sources. On a fiber this may park, as skua_future_drop.
 *
 * stream     any state, over, too; NULL does nothing
 * Threads    where the stream is asked
 * Since      0.2
 */
SKUA_API void skua_stream_drop(skua_stream *stream);

/* ---- sources: what is there without a wait --------------------------------------------------- */

/* Makes the next item of a source at `item`, without a wait: 1, 0 (the end) or a negative code. */
typedef int (*skua_stream_from_fn)(void *item, void *arg);

/* A source that never waits, of any kind; its members are private. */
typedef struct skua_stream_source {
    skua_stream stream;
    skua_stream_from_fn fn;
    void *arg;
    const char *at;
    size_t left;
} skua_stream_source;

/* Makes a stream of what a function gives: an iterator; with a state at `arg`, an unfold.
 *
 * arg        the caller's, until the stream is over
 * item_size  bytes; 0 is fine
 * Returns    &source->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_from_init(skua_stream_source *source, skua_stream_from_fn fn,
                                            void *arg, size_t item_size);

/* Makes a stream of an array's items. With one it is what others call once, with none empty.
 *
 * items      the caller's, until the stream is over
 * Returns    &source->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_array_init(skua_stream_source *source, const void *items,
                                             size_t count, size_t item_size);

/* Makes a stream of one item again and again.
 *
 * item       the caller's, until the stream is over
 * Returns    &source->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_repeat_init(skua_stream_source *source, const void *item,
                                              size_t item_size);

/* Makes a stream that never has an item, nor an end.
 *
 * Returns    &source->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_pending_init(skua_stream_source *source, size_t item_size);

/* ---- sources: channels ----------------------------------------------------------------------- */

/* A stream of what a receiver receives, of any kind of channel; its members are private. */
typedef struct skua_stream_channel {
    skua_stream stream;
    const struct skua__stream_receive *receive;
    void *receiver;
    void *item;
    skua_sync_future wait;
    uint8_t waits;
    uint8_t begun;
} skua_stream_channel;

/* Makes a stream of a channel's messages, which is over when the channel is.
 *
 * receiver   the caller's, in use until the stream is over; not closed by it
 * item_size  the channel's message size
 * Returns    &channel->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_mpsc_init(skua_stream_channel *channel,
                                            skua_mpsc_receiver *receiver, size_t item_size);

/* The same of an mpmc channel: what other receivers receive does not come here.
 *
 * Returns    &channel->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_mpmc_init(skua_stream_channel *channel,
                                            skua_mpmc_receiver *receiver, size_t item_size);

/* The same of a oneshot channel: one item, or none.
 *
 * Returns    &channel->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_oneshot_init(skua_stream_channel *channel,
                                               skua_oneshot_receiver *receiver, size_t item_size);

/* The same of a broadcast channel. Messages that were missed are told as SKUA_ELAGGED, and the
 * oldest one that is still there comes next.
 *
 * Returns    &channel->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_broadcast_init(skua_stream_channel *channel,
                                                 skua_broadcast_receiver *receiver,
                                                 size_t item_size);

/* Makes a stream of a watched value: first the one that there is, seen or not, then the newest one
 * each time there is one that was not seen.
 *
 * Returns    &channel->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_watch_init(skua_stream_channel *channel,
                                             skua_watch_receiver *receiver, size_t item_size);

/* ---- sources: time and text ------------------------------------------------------------------ */

/* A stream with a clock, of any kind; its members are private. */
typedef struct skua_stream_timed {
    skua_stream stream;
    skua_stream *source;
    int64_t duration;
    int64_t held;
    char *room;
    size_t capacity;
    size_t count;
    skua_sleep_future timer;
    uint8_t armed;
    uint8_t given;
} skua_stream_timed;

/* Makes a stream of ticks: now, and then one a period. Those that nobody asked for in time are
 * skipped: the next one is a whole number of periods from the first (Tokio's Skip). An item is an
 * int64_t, the moment that the tick was due, monotonic ns.
 *
 * period     ns, at least 1; else the stream says -EINVAL, and is over
 * Returns    &interval->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_interval_init(skua_stream_timed *interval, int64_t period);

/* Makes the future of a read: ready with the count of bytes, 0 at the end, or a negative code. The
 * future is `arg`'s; one is under way at a time. */
typedef skua_future *(*skua_stream_read_fn)(void *arg, void *buf, size_t len);

/* An item of skua_stream_lines_init. */
typedef struct skua_line {
    char *text; /* in the stream's buffer until the next one is asked for; ends with a NUL */
    size_t len; /* without the line feed, and a carriage return before it */
} skua_line;

/* A stream of lines. Its members are private. */
typedef struct skua_stream_lines {
    skua_stream stream;
    skua_stream_read_fn read;
    void *arg;
    skua_future *reading;
    char *buf;
    size_t size;
    size_t from;
    size_t looked;
    size_t to;
    uint8_t skips;
    uint8_t over;
} skua_stream_lines;

/* Makes a stream of lines, struct skua_line; for TCP see skua_tcp_lines_init. What is behind the
 * last line feed is a line, too. A line that is too long is told as SKUA_ELIMIT, skipped to its
 * end, and the stream goes on. An error of reading is the last thing before the end.
 *
 * read, arg  make the reads; the caller's, until the stream is over
 * buf, size  the caller's, until the stream is over; a line has at most size - 2 bytes, with its
 *            carriage return. With less than 3 the stream says -EINVAL, and is over
 * Returns    &lines->stream
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_lines_init(skua_stream_lines *lines, skua_stream_read_fn read,
                                             void *arg, char *buf, size_t size);

#ifndef __cplusplus
/* The same in the caller's block; where a type is wanted it is the items'.
 *
 * Returns    a future, or a stream, that lives as long as the enclosing block
 * Threads    as the functions
 * Since      0.2
 */
#define skua_stream_nexting(stream, item)                                                          \
    skua_stream_next_init(&(skua_stream_future){.future = {0}}, (stream), (item))
#define skua_streaming_from(fn, arg, type)                                                         \
    skua_stream_from_init(&(skua_stream_source){.at = NULL}, (fn), (arg), sizeof(type))
#define skua_streaming_array(items, count)                                                         \
    skua_stream_array_init(&(skua_stream_source){.at = NULL}, (items), (count), sizeof *(items))
#define skua_streaming_repeat(item)                                                                \
    skua_stream_repeat_init(&(skua_stream_source){.at = NULL}, (item), sizeof *(item))
#define skua_streaming_pending(type)                                                               \
    skua_stream_pending_init(&(skua_stream_source){.at = NULL}, sizeof(type))
#define skua_streaming_mpsc(receiver, type)                                                        \
    skua_stream_mpsc_init(&(skua_stream_channel){.item = NULL}, (receiver), sizeof(type))
#define skua_streaming_mpmc(receiver, type)                                                        \
    skua_stream_mpmc_init(&(skua_stream_channel){.item = NULL}, (receiver), sizeof(type))
#define skua_streaming_oneshot(receiver, type)                                                     \
    skua_stream_oneshot_init(&(skua_stream_channel){.item = NULL}, (receiver), sizeof(type))
#define skua_streaming_broadcast(receiver, type)                                                   \
    skua_stream_broadcast_init(&(skua_stream_channel){.item = NULL}, (receiver), sizeof(type))
#define skua_streaming_watch(receiver, type)                                                       \
    skua_stream_watch_init(&(skua_stream_channel){.item = NULL}, (receiver), sizeof(type))
#define skua_streaming_interval(period)                                                            \
    skua_stream_interval_init(&(skua_stream_timed){.held = 0}, (period))
#define skua_streaming_lines(read, arg, buf, size)                                                 \
    skua_stream_lines_init(&(skua_stream_lines){.reading = NULL}, (read), (arg), (buf), (size))
#endif

/* ---- ends: they ask until there is nothing more ---------------------------------------------- */

/* Is given an item, or with fold the result so far and an item. A negative code ends it all. It may
 * wait, as it runs in the task that called. */
typedef int (*skua_stream_each_fn)(void *item, void *arg);
typedef int (*skua_stream_fold_fn)(void *result, const void *item);

/* Calls a function with each item: what others call try_for_each, too.
 *
 * stream     is over afterwards, whatever is returned; so with all of these, but collect
 * item       room for an item, the caller's
 * Returns    0; the first negative code of the stream or of `fn`; -ECANCELED, -ETIMEDOUT;
 *            SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_stream_for_each(skua_stream *stream, void *item, skua_stream_each_fn fn,
                                  void *arg);

/* Folds all items into one result: what others call try_fold, too.
 *
 * item       room for an item, the caller's
 * result     the first one; `fn` changes it
 * Returns    as skua_stream_for_each
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_stream_fold(skua_stream *stream, void *item, skua_stream_fold_fn fn,
                              void *result);

/* Counts the items.
 *
 * item       room for an item, the caller's
 * Returns    the count; else as skua_stream_for_each
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int64_t skua_stream_count(skua_stream *stream, void *item);

/* Collects items in an array.
 *
 * items      room for `max`
 * Returns    the count; less than `max`: the stream is over. As many: there may be more of it, it
 *            is to be asked again, or dropped. A negative code as skua_stream_for_each
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int64_t skua_stream_collect(skua_stream *stream, void *items, size_t max);

SKUA_C_END

#endif
