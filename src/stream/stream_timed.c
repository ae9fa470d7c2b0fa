/* stream_timed.c - streams with a clock: interval, timeout, throttle, chunks.
 *
 * Timer      one a stream, as a sleep future inside it. It is armed by a poll that has to wait for
 *            it and by nothing else: what is ready costs no timer, and a clock is read only where
 *            a duration begins. A next that is given up leaves the timer armed; the stream's drop
 *            takes it away.
 * Order      the source is asked before the clock: what is ready wins over a time that is up. Only
 *            throttle asks the clock first, as that is what it is for.
 */
#include "stream/stream_impl.h"

#define TIMED_NOTHING INT64_MIN /* `held`: nothing is; no answer has this value */

static skua_stream_timed *timed_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_timed, stream);
}

static skua_stream *timed_init(skua_stream_timed *self, skua_stream *source, size_t item_size,
                               int64_t duration, const skua_stream_ops *ops)
{
    self->stream.ops = ops;
    self->stream.item_size = item_size;
    self->source = source;
    self->duration = duration;
    self->armed = 0;
    self->given = 0;
    self->count = 0;
    self->held = TIMED_NOTHING;
    return &self->stream;
}

/* The time of one item or chunk begins. */
static void timed_start(skua_stream_timed *self)
{
    skua_sleep_init(&self->timer, self->duration);
    self->armed = 1;
}

static void timed_stop(skua_stream_timed *self)
{
    if (self->armed)
        skua__sleep_drop(&self->timer.future);
    self->armed = 0;
}

/* Whether the time is up that has begun; if not, `waker` is kept. */
static bool timed_up(skua_stream_timed *self, skua_waker *waker)
{
    if (!skua__flow_late(&self->timer, waker))
        return false;
    self->armed = 0;
    return true;
}

static void timed_drop(skua_stream *stream)
{
    skua_stream_timed *self = timed_of(stream);

    timed_stop(self);
    skua_stream_drop(self->source);
}

/* ---- interval -------------------------------------------------------------------------------- */

/* `held` is the moment of the next tick. */
static skua_poll timed_interval_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_timed *self = timed_of(stream);
    int64_t late;

    if (!self->armed) {
        skua_sleep_until_init(&self->timer, self->held);
        self->armed = 1;
    }
    if (!timed_up(self, waker))
        return SKUA_PENDING;
    memcpy(item, &self->held, sizeof self->held);
    late = skua_now() - self->held;
    late = late > 0 ? late - late % self->duration : 0;
    if (self->duration > INT64_MAX - late - self->held)
        self->held = SKUA_FOREVER;
    else
        self->held += late + self->duration;
    return 1;
}

static const skua_stream_ops timed_interval_ops = {
    .name = "interval", .next = timed_interval_next, .drop = timed_drop};

skua_stream *skua_stream_interval_init(skua_stream_timed *interval, int64_t period)
{
    timed_init(interval, NULL, sizeof(int64_t), period, &timed_interval_ops);
    interval->held = skua_now();
    return period > 0 ? &interval->stream : skua__stream_refuse(&interval->stream);
}

/* ---- timeout --------------------------------------------------------------------------------- */

static skua_poll timed_timeout_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_timed *self = timed_of(stream);
    skua_poll answer = skua__stream_ask(self->source, item, waker);

    if (answer != SKUA_PENDING) {
        timed_stop(self);
        return answer;
    }
    if (!self->armed)
        timed_start(self);
    return timed_up(self, waker) ? -ETIMEDOUT : SKUA_PENDING;
}

static const skua_stream_ops timed_timeout_ops = {
    .name = "timeout", .next = timed_timeout_next, .drop = timed_drop};

skua_stream *skua_stream_timeout_init(skua_stream_timed *timeout, skua_stream *source,
                                      int64_t duration)
{
    return timed_init(timeout, source, source->item_size, duration, &timed_timeout_ops);
}

/* ---- throttle -------------------------------------------------------------------------------- */

static skua_poll timed_throttle_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_timed *self = timed_of(stream);
    skua_poll answer;

    if (self->armed && !timed_up(self, waker))
        return SKUA_PENDING;
    answer = skua__stream_ask(self->source, item, waker);
    if (answer == 1 && self->duration > 0)
        timed_start(self);
    return answer;
}

static const skua_stream_ops timed_throttle_ops = {
    .name = "throttle", .next = timed_throttle_next, .drop = timed_drop};

skua_stream *skua_stream_throttle_init(skua_stream_timed *throttle, skua_stream *source,
                                       int64_t duration)
{
    return timed_init(throttle, source, source->item_size, duration, &timed_throttle_ops);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static skua_poll timed_chunks_give(skua_stream_timed *self, void *item)
{
    const skua_chunk chunk = {.items = self->room, .count = self->count};

    timed_stop(self);
    memcpy(item, &chunk, sizeof chunk);
    self->given = 1;
    return 1;
}

/* One ask: 1 to go on, or the answer; a chunk that is to be given is SKUA_READY, or `held`. */
static skua_poll timed_chunks_take(skua_stream_timed *self, skua_waker *waker)
{
    size_t size = self->source->item_size;
    skua_poll answer = skua__stream_ask(self->source, self->room + self->count * size, waker);

    if (answer == 1 && self->count++ == 0)
        timed_start(self);
    else if (answer == SKUA_PENDING && self->count != 0 && timed_up(self, waker))
        answer = 0;
    else if (answer < 0 && answer != SKUA_PENDING && self->count != 0)
        self->held = answer; /* behind what came before it */
    return answer;
}

static skua_poll timed_chunks_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_timed *self = timed_of(stream);
    skua_poll answer = self->held;

    if (self->given)
        self->count = 0;
    self->given = 0;
    if (skua__unlikely(answer != TIMED_NOTHING)) {
        self->held = TIMED_NOTHING;
        return answer;
    }
    for (unsigned run = 0; run < SKUA__STREAM_RUN; run++) {
        answer = timed_chunks_take(self, waker);
        if (answer == SKUA_PENDING || self->count == 0)
            return answer;
        if (answer != 1 || self->count == self->capacity)
            return timed_chunks_give(self, item);
    }
    return skua__stream_breathe(waker);
}

static const skua_stream_ops timed_chunks_ops = {
    .name = "chunks", .next = timed_chunks_next, .drop = timed_drop};

skua_stream *skua_stream_chunks_init(skua_stream_timed *chunks, skua_stream *source, void *room,
                                     size_t capacity, int64_t timeout)
{
    chunks->room = room;
    chunks->capacity = capacity;
    timed_init(chunks, source, sizeof(skua_chunk), timeout, &timed_chunks_ops);
    if (capacity != 0)
        return &chunks->stream;
    skua_stream_drop(source);
    return skua__stream_refuse(&chunks->stream);
}

#undef TIMED_NOTHING
