/* stream_map.c - adapters of one source that look at one item at a time.
 *
 * Cost       each next is one call of its source's, the caller's function, and two compares. Items
 *            are made where they are wanted: only map and filter_map, whose function reads one and
 *            writes another, and peekable, which keeps one, have room of their own.
 * Turns      those that throw items away count them, and let others run after a while: a source
 *            that is always ready would keep its worker for as long as nothing is accepted.
 */
#include "stream/stream_impl.h"

#define MAP_NOTHING INT64_MIN /* `held`: nothing is; no answer has this value */

static skua_stream_adapter *map_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_adapter, stream);
}

static void map_drop(skua_stream *stream)
{
    skua_stream_drop(map_of(stream)->source);
}

static skua_stream *map_init(skua_stream_adapter *self, skua_stream *source, size_t item_size,
                             const skua_stream_ops *ops)
{
    self->stream.ops = ops;
    self->stream.item_size = item_size;
    self->source = source;
    return &self->stream;
}

/* ---- made of items --------------------------------------------------------------------------- */

static skua_poll map_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer = skua__stream_ask(self->source, self->room, waker);
    int rc;

    if (skua__unlikely(answer != 1))
        return answer;
    rc = self->fn.map(self->room, item, self->arg);
    return skua__likely(rc >= 0) ? 1 : rc;
}

static const skua_stream_ops map_ops = {.name = "map", .next = map_next, .drop = map_drop};

skua_stream *skua_stream_map_init(skua_stream_adapter *map, skua_stream *source,
                                  skua_stream_map_fn fn, void *arg, void *room, size_t item_size)
{
    map->fn.map = fn;
    map->arg = arg;
    map->room = room;
    return map_init(map, source, item_size, &map_ops);
}

static skua_poll map_some_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);

    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        skua_poll answer = skua__stream_ask(self->source, self->room, waker);
        int rc;

        if (skua__unlikely(answer != 1))
            return answer;
        rc = self->fn.map(self->room, item, self->arg);
        if (rc != 0)
            return rc > 0 ? 1 : rc;
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops map_some_ops = {
    .name = "filter_map", .next = map_some_next, .drop = map_drop};

skua_stream *skua_stream_filter_map_init(skua_stream_adapter *map, skua_stream *source,
                                         skua_stream_map_fn fn, void *arg, void *room,
                                         size_t item_size)
{
    skua_stream_map_init(map, source, fn, arg, room, item_size);
    map->stream.ops = &map_some_ops;
    return &map->stream;
}

static skua_poll map_see_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer = skua__stream_ask(self->source, item, waker);

    if (skua__likely(answer == 1))
        self->fn.see(item, self->arg);
    return answer;
}

static const skua_stream_ops map_see_ops = {
    .name = "inspect", .next = map_see_next, .drop = map_drop};

skua_stream *skua_stream_inspect_init(skua_stream_adapter *inspect, skua_stream *source,
                                      skua_stream_see_fn fn, void *arg)
{
    inspect->fn.see = fn;
    inspect->arg = arg;
    return map_init(inspect, source, source->item_size, &map_see_ops);
}

static skua_poll map_number_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer = skua__stream_ask(self->source, (char *)item + self->count, waker);

    if (answer == 1) {
        uint64_t number = (uint64_t)self->held++;

        memcpy(item, &number, sizeof number);
    }
    return answer;
}

static const skua_stream_ops map_number_ops = {
    .name = "enumerate", .next = map_number_next, .drop = map_drop};

skua_stream *skua_stream_enumerate_init(skua_stream_adapter *enumerate, skua_stream *source,
                                        size_t at, size_t item_size)
{
    enumerate->count = at;
    enumerate->held = 0;
    map_init(enumerate, source, item_size, &map_number_ops);
    if (at >= sizeof(uint64_t) && at <= item_size && source->item_size <= item_size - at)
        return &enumerate->stream;
    skua_stream_drop(source);
    return skua__stream_refuse(&enumerate->stream);
}

/* ---- chosen by a function -------------------------------------------------------------------- */

static skua_stream *map_test_init(skua_stream_adapter *self, skua_stream *source,
                                  skua_stream_test_fn fn, void *arg, const skua_stream_ops *ops)
{
    self->fn.test = fn;
    self->arg = arg;
    self->count = 0;
    return map_init(self, source, source->item_size, ops);
}

static skua_poll map_filter_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);

    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        skua_poll answer = skua__stream_ask(self->source, item, waker);
        int rc;

        if (skua__unlikely(answer != 1))
            return answer;
        rc = self->fn.test(item, self->arg);
        if (rc != 0)
            return rc > 0 ? 1 : rc;
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops map_filter_ops = {
    .name = "filter", .next = map_filter_next, .drop = map_drop};

skua_stream *skua_stream_filter_init(skua_stream_adapter *filter, skua_stream *source,
                                     skua_stream_test_fn fn, void *arg)
{
    return map_test_init(filter, source, fn, arg, &map_filter_ops);
}

static skua_poll map_take_while_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer = skua__stream_ask(self->source, item, waker);
    int rc;

    if (skua__unlikely(answer != 1))
        return answer;
    rc = self->fn.test(item, self->arg);
    return rc > 0 ? 1 : rc;
}

static const skua_stream_ops map_take_while_ops = {
    .name = "take_while", .next = map_take_while_next, .drop = map_drop};

skua_stream *skua_stream_take_while_init(skua_stream_adapter *take, skua_stream *source,
                                         skua_stream_test_fn fn, void *arg)
{
    return map_test_init(take, source, fn, arg, &map_take_while_ops);
}

/* `count` is 1 once it has begun to let through. */
static skua_poll map_skip_while_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);

    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        skua_poll answer = skua__stream_ask(self->source, item, waker);
        int rc;

        if (answer != 1 || self->count != 0)
            return answer;
        rc = self->fn.test(item, self->arg);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            self->count = 1;
            return 1;
        }
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops map_skip_while_ops = {
    .name = "skip_while", .next = map_skip_while_next, .drop = map_drop};

skua_stream *skua_stream_skip_while_init(skua_stream_adapter *skip, skua_stream *source,
                                         skua_stream_test_fn fn, void *arg)
{
    return map_test_init(skip, source, fn, arg, &map_skip_while_ops);
}

/* ---- chosen by their number ------------------------------------------------------------------ */

static skua_poll map_take_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer;

    if (skua__unlikely(self->count == 0))
        return 0;
    answer = skua__stream_ask(self->source, item, waker);
    self->count -= answer == 1;
    return answer;
}

static const skua_stream_ops map_take_ops = {
    .name = "take", .next = map_take_next, .drop = map_drop};

skua_stream *skua_stream_take_init(skua_stream_adapter *take, skua_stream *source, size_t count)
{
    take->count = count;
    return map_init(take, source, source->item_size, &map_take_ops);
}

static skua_poll map_skip_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);

    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        skua_poll answer = skua__stream_ask(self->source, item, waker);

        if (skua__likely(self->count == 0) || answer != 1)
            return answer;
        self->count--;
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops map_skip_ops = {
    .name = "skip", .next = map_skip_next, .drop = map_drop};

skua_stream *skua_stream_skip_init(skua_stream_adapter *skip, skua_stream *source, size_t count)
{
    skip->count = count;
    return map_init(skip, source, source->item_size, &map_skip_ops);
}

/* `count` is 1 when there was an error. */
static skua_poll map_try_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer;

    if (skua__unlikely(self->count != 0))
        return 0;
    answer = skua__stream_ask(self->source, item, waker);
    self->count = answer < 0 && answer != SKUA_PENDING;
    return answer;
}

static const skua_stream_ops map_try_ops = {.name = "try", .next = map_try_next, .drop = map_drop};

skua_stream *skua_stream_try_init(skua_stream_adapter *try_, skua_stream *source)
{
    try_->count = 0;
    return map_init(try_, source, source->item_size, &map_try_ops);
}

/* ---- peeking --------------------------------------------------------------------------------- */

/* `held` is the answer that was peeked at: an item is in the room then. */
static skua_poll map_peekable_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_adapter *self = map_of(stream);
    skua_poll answer = self->held;

    if (answer == MAP_NOTHING)
        return skua__stream_ask(self->source, item, waker);
    self->held = MAP_NOTHING;
    if (answer == 1)
        skua__stream_copy(item, self->room, stream->item_size);
    return answer;
}

static const skua_stream_ops map_peekable_ops = {
    .name = "peekable", .next = map_peekable_next, .drop = map_drop};

static skua_poll map_peek_poll(skua_future *future, skua_waker *waker)
{
    skua_stream_future *self = skua__container(future, skua_stream_future, future);
    skua_stream_adapter *peekable = map_of(self->stream);

    if (skua__unlikely(self->stream->ops != &map_peekable_ops))
        return self->stream->ops == &skua__stream_over ? 0 : SKUA_EUSAGE;
    if (peekable->held == MAP_NOTHING) {
        skua_poll answer = skua__stream_ask(peekable->source, peekable->room, waker);

        if (answer == SKUA_PENDING)
            return answer;
        peekable->held = answer;
    }
    if (peekable->held == 1)
        skua__stream_copy(self->item, peekable->room, self->stream->item_size);
    return peekable->held;
}

static const skua_future_ops map_peek_ops = {.name = "stream.peek", .poll = map_peek_poll};

skua_future *skua_stream_peek_init(skua_stream_future *peek, skua_stream *peekable, void *item)
{
    peek->future.ops = &map_peek_ops;
    peek->stream = peekable;
    peek->item = item;
    return &peek->future;
}

int skua_stream_peek(skua_stream *peekable, void *item)
{
    skua_stream_future peek;

    return (int)skua_await(skua_stream_peek_init(&peek, peekable, item));
}

skua_stream *skua_stream_peekable_init(skua_stream_adapter *peekable, skua_stream *source,
                                       void *room)
{
    peekable->room = room;
    peekable->held = MAP_NOTHING;
    return map_init(peekable, source, source->item_size, &map_peekable_ops);
}

#undef MAP_NOTHING
