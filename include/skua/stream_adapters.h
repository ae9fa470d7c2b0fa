/* stream_adapters.h - streams made of streams: changed, chosen, joined, timed, worked on by fibers.
 *
 *     skua_stream *numbers = skua_streaming_array(table, 1000);
 *     skua_stream *squares = skua_streaming_map(numbers, square, NULL, int, long);
 *     skua_stream *first = skua_streaming_take(squares, 10);
 *
 * What holds for all of them is in stream.h: errors are handed on in their place, and are neither
 * counted nor shown to functions; no item is lost with a next that is given up; a source belongs to
 * its adapter, which drops it. Functions must not wait, but those of skua_stream_then and the like,
 * which run in fibers. A function's negative code is an error in the place of its item.
 *
 * Room       an adapter that must keep an item has room for it from its caller; the macros take it
 *            in the caller's block. Only fibers, which outlive a drop, have theirs allocated.
 * Fairness   one that throws items away lets others run after some hundred of them.
 * Wrong      an adapter made with what makes no sense (no capacity, sources with items of different
 *            sizes) drops its sources, says -EINVAL, and is over.
 */
#ifndef SKUA_STREAM_ADAPTERS_H
#define SKUA_STREAM_ADAPTERS_H

#include <skua/stream.h>
#include <skua/task.h>

SKUA_C_BEGIN

/* ---- item by item ---------------------------------------------------------------------------- */

/* Makes an item of another: 0 or more, or a negative code. With filter_map 0 means that there is
 * none. */
typedef int (*skua_stream_map_fn)(const void *in, void *out, void *arg);
/* Looks at an item: not 0 for yes, or a negative code. */
typedef int (*skua_stream_test_fn)(const void *item, void *arg);
/* Sees an item go by. */
typedef void (*skua_stream_see_fn)(const void *item, void *arg);

/* An adapter of one source, of any kind; its members are private. */
typedef struct skua_stream_adapter {
    skua_stream stream;
    skua_stream *source;
    union {
        skua_stream_map_fn map;
        skua_stream_test_fn test;
        skua_stream_see_fn see;
    } fn;
    void *arg;
    void *room;
    size_t count;
    int64_t held;
} skua_stream_adapter;

/* Makes a stream of what a function makes of each item: map, and try_map.
 *
 * room       for an item of the source; the caller's, until the stream is over; as `arg`
 * item_size  bytes of what `fn` makes
 * Returns    &map->stream
 * Threads    where the source is asked, as all of these
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_map_init(skua_stream_adapter *map, skua_stream *source,
                                           skua_stream_map_fn fn, void *arg, void *room,
                                           size_t item_size);

/* Makes a stream of what a function makes of some items.
 *
 * room       for an item of the source; the caller's, until the stream is over
 * Returns    &map->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_filter_map_init(skua_stream_adapter *map, skua_stream *source,
                                                  skua_stream_map_fn fn, void *arg, void *room,
                                                  size_t item_size);

/* Makes a stream of the items that a function accepts.
 *
 * Returns    &filter->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_filter_init(skua_stream_adapter *filter, skua_stream *source,
                                              skua_stream_test_fn fn, void *arg);

/* Makes a stream of the items before the first one that a function does not accept.
 *
 * Returns    &take->stream; it is over with that item, which is thrown away
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_take_while_init(skua_stream_adapter *take, skua_stream *source,
                                                  skua_stream_test_fn fn, void *arg);

/* Makes a stream of the items from the first one on that a function does not accept.
 *
 * Returns    &skip->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_skip_while_init(skua_stream_adapter *skip, skua_stream *source,
                                                  skua_stream_test_fn fn, void *arg);

/* Makes a stream of the first `count` items; the source is not asked for more.
 *
 * Returns    &take->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_take_init(skua_stream_adapter *take, skua_stream *source,
                                            size_t count);

/* Makes a stream of all items but the first `count`.
 *
 * Returns    &skip->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_skip_init(skua_stream_adapter *skip, skua_stream *source,
                                            size_t count);

/* Makes a stream of the same items, each seen by a function.
 *
 * Returns    &inspect->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_inspect_init(skua_stream_adapter *inspect, skua_stream *source,
                                               skua_stream_see_fn fn, void *arg);

/* Makes a stream of numbered items: a struct that begins with a uint64_t, 0 for the first.
 *
 * at         where in the struct the item is, bytes
 * item_size  bytes of the struct
 * Returns    &enumerate->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_enumerate_init(skua_stream_adapter *enumerate,
                                                 skua_stream *source, size_t at, size_t item_size);

/* Makes a stream that is over after its first error.
 *
 * Returns    &try_->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_try_init(skua_stream_adapter *try_, skua_stream *source);

/* Makes a stream whose next item can be looked at.
 *
 * room       for an item; the caller's, until the stream is over
 * Returns    &peekable->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_peekable_init(skua_stream_adapter *peekable, skua_stream *source,
                                                void *room);

/* Waits for the next item, and leaves it: the next one that is asked for is the same.
 *
 * peekable   the stream of skua_stream_peekable_init
 * item       receives a copy
 * Returns    as skua_stream_next, and so will the next one; SKUA_EUSAGE for another kind of stream
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_stream_peek(skua_stream *peekable, void *item);

/* Makes a future of that: ready as skua_stream_peek returns.
 *
 * Returns    &peek->future
 * Threads    where the stream is asked
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_stream_peek_init(skua_stream_future *peek, skua_stream *peekable,
                                            void *item);

/* ---- several sources ------------------------------------------------------------------------- */

/* An adapter of several sources, of any kind; its members are private. */
typedef struct skua_stream_many {
    skua_stream stream;
    skua_stream *const *sources;
    size_t count;
    size_t turn;
    skua_stream *pair[2];
    size_t at[2];
    void *room;
    uint8_t has[2];
} skua_stream_many;

/* Makes a stream of the items of one source after the other.
 *
 * sources    with items of one size; the array is the caller's, until the stream is over
 * count      at least 1
 * Returns    &chain->stream
 * Threads    where the sources are asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_chain_init(skua_stream_many *chain, skua_stream *const *sources,
                                             size_t count);

/* Makes a stream of the items of all sources, as they come. It is fair: after an item the sources
 * behind its own are asked first. It is over when all of them are.
 *
 * sources    with items of one size; the array is the caller's, until the stream is over
 * count      at least 1; an item asks each source, so: dozens
 * Returns    &merge->stream
 * Threads    where the sources are asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_merge_init(skua_stream_many *merge, skua_stream *const *sources,
                                             size_t count);

/* Makes a stream of pairs: a struct with an item of each of two sources. It is over when one of
 * them is; what the other had for that pair is thrown away.
 *
 * first_at, second_at   where in the struct their items are, bytes
 * room       for a pair; the caller's, until the stream is over
 * item_size  bytes of the struct
 * Returns    &zip->stream
 * Threads    where the sources are asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_zip_init(skua_stream_many *zip, skua_stream *first,
                                           size_t first_at, skua_stream *second, size_t second_at,
                                           void *room, size_t item_size);

/* ---- time ------------------------------------------------------------------------------------ */

/* An item of skua_stream_chunks_init: some items in a row. */
typedef struct skua_chunk {
    void *items; /* in the stream's room until the next one is asked for */
    size_t count;
} skua_chunk;

/* Makes a stream of chunks: as many items as there is room for, or what has come when `timeout` has
 * passed since the chunk's first item, an error follows, or the source is over.
 *
 * room       for `capacity` items; the caller's, until the stream is over
 * capacity   at least 1
 * timeout    ns; SKUA_FOREVER: none
 * Returns    &chunks->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_chunks_init(skua_stream_timed *chunks, skua_stream *source,
                                              void *room, size_t capacity, int64_t timeout);

/* Makes a stream that says -ETIMEDOUT when an item takes too long, and goes on. The time begins
 * with the first next that waits, and again after each answer.
 *
 * duration   ns; with 0 or less whatever is not ready is late
 * Returns    &timeout->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_timeout_init(skua_stream_timed *timeout, skua_stream *source,
                                               int64_t duration);

/* Makes a stream that is not asked again before some time has passed since its last item.
 *
 * duration   ns; 0 or less does nothing
 * Returns    &throttle->stream
 * Threads    where the source is asked
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_throttle_init(skua_stream_timed *throttle, skua_stream *source,
                                                int64_t duration);

/* ---- fibers ---------------------------------------------------------------------------------- */

/* The most fibers of one stream. */
#define SKUA_STREAM_FIBERS_MAX 65535

/* A stream of what fibers make; its members are private. */
typedef struct skua_stream_tasks {
    skua_stream stream;
    skua_stream *source;
    skua_scope *scope;
    skua_stream_map_fn fn;
    void *arg;
    size_t limit;
    struct skua__stream_pool *pool; /* NULL until the first next */
    skua_sync_future wait;
    uint8_t waits;
    uint8_t ordered;
} skua_stream_tasks;

/* Makes a stream of what a function makes of each item, in a fiber of its own: it may wait. Results
 * come in the order of their items; not more than `limit` items are taken ahead of who asks. The
 * room for them is allocated with the first next, which says -ENOMEM when there is none.
 *
 * Dropping the stream cancels the fibers and does not wait for them: that is their scope's part.
 *
 * scope      where the fibers are spawned; NULL: the current one of who calls this. It is open
 *            until the stream is over, `arg` is there until it is joined
 * limit      1 to SKUA_STREAM_FIBERS_MAX
 * item_size  bytes of what `fn` makes
 * Returns    &buffered->stream. In the place of an item: what `fn` said, or the error of the spawn;
 *            -ECANCELED when its fiber never ran
 * Threads    where the source is asked; on a plain thread with a scope
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_buffered_init(skua_stream_tasks *buffered, skua_stream *source,
                                                skua_scope *scope, size_t limit,
                                                skua_stream_map_fn fn, void *arg, size_t item_size);

/* The same, but results come as they are ready.
 *
 * Returns    as skua_stream_buffered_init
 * Threads    as skua_stream_buffered_init
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_buffer_unordered_init(skua_stream_tasks *buffered,
                                                        skua_stream *source, skua_scope *scope,
                                                        size_t limit, skua_stream_map_fn fn,
                                                        void *arg, size_t item_size);

/* The same with one fiber at a time: a map that may wait.
 *
 * Returns    as skua_stream_buffered_init
 * Threads    as skua_stream_buffered_init
 * Since      0.2
 */
SKUA_API skua_stream *skua_stream_then_init(skua_stream_tasks *then, skua_stream *source,
                                            skua_scope *scope, skua_stream_map_fn fn, void *arg,
                                            size_t item_size);

/* Calls a function with each item, in fibers, some at a time; all have ended when it returns. After
 * the first error no more items are taken, and the others are cancelled.
 *
 * stream     is over afterwards
 * limit      1 to SKUA_STREAM_FIBERS_MAX
 * Returns    0; the first negative code of the stream or of `fn`; -EINVAL, -ENOMEM; -ECANCELED,
 *            -ETIMEDOUT; SKUA_EUSAGE outside a fiber
 * Threads    fibers
 * Since      0.2
 */
SKUA_API int skua_stream_for_each_concurrent(skua_stream *stream, size_t limit,
                                             skua_stream_each_fn fn, void *arg);

/* One of the streams of a tee. Its members are private. */
typedef struct skua_stream_tee {
    skua_stream stream;
    struct skua__stream_pump *pump;
    void *message;
    skua_mpsc_receiver *receiver;
    skua_sync_future wait;
    uint8_t waits;
} skua_stream_tee;

/* Makes several streams of one: each has all its items and errors, and may be asked by a task of
 * its own. A fiber asks the source, and gives to all; the slowest holds the others back, those that
 * are dropped do not. When all are, the source is dropped.
 *
 * source     is that fiber's, and in place until `scope` is joined
 * scope      where the fiber is spawned; NULL: the current one
 * streams    memory for `count` of them, at least 1
 * capacity   how many items a stream may be behind the fastest, at least 1; allocated here
 * Returns    0; -EINVAL, -ENOMEM, and skua_spawn's: nothing was made, and `source` is as it was.
 *            The streams say -ECANCELED, and are over, when the fiber was cancelled
 * Threads    fibers; plain threads with a scope
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_stream_tee_init(skua_stream_tee *streams, size_t count,
                                                 skua_stream *source, skua_scope *scope,
                                                 size_t capacity);

#ifndef __cplusplus
/* The same in the caller's block, with room for items: `in` is the type of the source's items,
 * `out` that of the stream's.
 *
 * Returns    a future, or a stream, that lives as long as the enclosing block
 * Threads    as the functions
 * Since      0.2
 */
#define SKUA__ADAPTER (&(skua_stream_adapter){.count = 0})
#define SKUA__STREAM_TASKS (&(skua_stream_tasks){.waits = 0})
#define SKUA__STREAMS(...)                                                                         \
    ((skua_stream *const[]){__VA_ARGS__}),                                                         \
        (sizeof((skua_stream *const[]){__VA_ARGS__}) / sizeof(skua_stream *))
#define skua_streaming_map(source, fn, arg, in, out)                                               \
    skua_stream_map_init(SKUA__ADAPTER, (source), (fn), (arg), &(in){0}, sizeof(out))
#define skua_streaming_filter_map(source, fn, arg, in, out)                                        \
    skua_stream_filter_map_init(SKUA__ADAPTER, (source), (fn), (arg), &(in){0}, sizeof(out))
#define skua_streaming_filter(source, fn, arg)                                                     \
    skua_stream_filter_init(SKUA__ADAPTER, (source), (fn), (arg))
#define skua_streaming_take_while(source, fn, arg)                                                 \
    skua_stream_take_while_init(SKUA__ADAPTER, (source), (fn), (arg))
#define skua_streaming_skip_while(source, fn, arg)                                                 \
    skua_stream_skip_while_init(SKUA__ADAPTER, (source), (fn), (arg))
#define skua_streaming_take(source, count) skua_stream_take_init(SKUA__ADAPTER, (source), (count))
#define skua_streaming_skip(source, count) skua_stream_skip_init(SKUA__ADAPTER, (source), (count))
#define skua_streaming_inspect(source, fn, arg)                                                    \
    skua_stream_inspect_init(SKUA__ADAPTER, (source), (fn), (arg))
#define skua_streaming_enumerate(source, out, member)                                              \
    skua_stream_enumerate_init(SKUA__ADAPTER, (source), offsetof(out, member), sizeof(out))
#define skua_streaming_try(source) skua_stream_try_init(SKUA__ADAPTER, (source))
#define skua_streaming_peekable(source, in)                                                        \
    skua_stream_peekable_init(SKUA__ADAPTER, (source), &(in){0})
#define skua_stream_peeking(peekable, item)                                                        \
    skua_stream_peek_init(&(skua_stream_future){.future = {0}}, (peekable), (item))
#define skua_streaming_chain(...)                                                                  \
    skua_stream_chain_init(&(skua_stream_many){.count = 0}, SKUA__STREAMS(__VA_ARGS__))
#define skua_streaming_merge(...)                                                                  \
    skua_stream_merge_init(&(skua_stream_many){.count = 0}, SKUA__STREAMS(__VA_ARGS__))
#define skua_streaming_zip(first, second, out, first_member, second_member)                        \
    skua_stream_zip_init(&(skua_stream_many){.count = 0}, (first), offsetof(out, first_member),    \
                         (second), offsetof(out, second_member), &(out){0}, sizeof(out))
#define skua_streaming_chunks(source, in, capacity, timeout)                                       \
    skua_stream_chunks_init(&(skua_stream_timed){.held = 0}, (source),                             \
                            &(struct { in items[capacity]; }){0}, (capacity), (timeout))
#define skua_streaming_timeout(source, duration)                                                   \
    skua_stream_timeout_init(&(skua_stream_timed){.held = 0}, (source), (duration))
#define skua_streaming_throttle(source, duration)                                                  \
    skua_stream_throttle_init(&(skua_stream_timed){.held = 0}, (source), (duration))
#define skua_streaming_buffered(source, scope, limit, fn, arg, out)                                \
    skua_stream_buffered_init(SKUA__STREAM_TASKS, (source), (scope), (limit), (fn), (arg),         \
                              sizeof(out))
#define skua_streaming_buffer_unordered(source, scope, limit, fn, arg, out)                        \
    skua_stream_buffer_unordered_init(SKUA__STREAM_TASKS, (source), (scope), (limit), (fn), (arg), \
                                      sizeof(out))
#define skua_streaming_then(source, scope, fn, arg, out)                                           \
    skua_stream_then_init(SKUA__STREAM_TASKS, (source), (scope), (fn), (arg), sizeof(out))
#endif

SKUA_C_END

#endif
