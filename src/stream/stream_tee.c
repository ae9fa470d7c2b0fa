/* stream_tee.c - one stream for several tasks: a fiber asks it, and gives to all.
 *
 * Flow       the source -> the pump's fiber -> a bounded mpsc channel for each stream -> who asks.
 *            The pump sends to one after the other, and a full channel holds it: so the slowest
 *            holds back all, and nothing is unbounded.
 * Message    the source's answer (1, 0, a negative code), then the item. A channel that ends
 *            without a 0 is that of a pump that was cancelled.
 * Memory     the pump, which its fiber and each stream that is not over hold a reference on. The
 *            last stream that is dropped rings, so that a pump that waits for its source ends.
 */
#include <stdalign.h>

#include "stream/stream_impl.h"

#define TEE_ITEM skua__max_size(sizeof(int64_t), alignof(max_align_t)) /* where the item is */

struct skua__stream_pump {
    skua_stream *source;   /* the fiber */
    size_t count;          /* constant */
    _Atomic size_t wanted; /* streams that are not over */
    _Atomic size_t refs;
    skua_notify bell;       /* rung when no stream is wanted any more */
    char *message;          /* the fiber's; then one for each stream: who asks it */
    skua_mpsc_sender *to[]; /* the fiber; NULL: that stream is dropped */
};

static void tee_pump_unref(struct skua__stream_pump *pump)
{
    /* Release: what was done with it comes before the free; acquire, for who frees. */
    if (skua__sub_acq_rel(&pump->refs, 1) == 1)
        skua__os_free(pump);
}

/* ---- the fiber ------------------------------------------------------------------------------- */

/* To all that are not dropped: 0, or why the pump ends. */
static int tee_send(struct skua__stream_pump *pump)
{
    bool any = false;

    for (size_t i = 0; i < pump->count; i++) {
        int rc = pump->to[i] != NULL ? skua_mpsc_send(pump->to[i], pump->message) : SKUA_ECLOSED;

        if (rc == SKUA_ECLOSED) {
            skua_mpsc_sender_close(pump->to[i]);
            pump->to[i] = NULL;
        } else if (rc != 0) {
            return rc;
        }
        any = any || rc == 0;
    }
    return any ? 0 : SKUA_ECLOSED;
}

/* The source's next answer, or why the pump ends. */
static int tee_ask(struct skua__stream_pump *pump, int64_t *answer)
{
    skua_stream_future next;
    skua_sync_future gone;
    skua_future *futures[2] = {
        skua_notified_init(&gone, &pump->bell),
        skua_stream_next_init(&next, pump->source, pump->message + TEE_ITEM)};
    int first = skua_select_from(
        futures, 2, &(const skua_select_options){.size = sizeof(skua_select_options), .biased = 1},
        answer);

    if (first == 1)
        memcpy(pump->message, answer, sizeof *answer);
    return first == 0 ? SKUA_ECLOSED : first == 1 ? 0 : first;
}

static void tee_pump_end(struct skua__stream_pump *pump)
{
    skua_stream_drop(pump->source);
    for (size_t i = 0; i < pump->count; i++)
        skua_mpsc_sender_close(pump->to[i]);
    tee_pump_unref(pump);
}

static int tee_fiber(void *arg)
{
    struct skua__stream_pump *pump = arg;
    int64_t answer = 1;
    int rc;

    do {
        rc = tee_ask(pump, &answer);
        if (rc == 0)
            rc = tee_send(pump);
    } while (rc == 0 && answer != 0);
    tee_pump_end(pump);
    return 0;
}

static void tee_fiber_never_ran(void *arg)
{
    tee_pump_end(arg);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static skua_stream_tee *tee_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_tee, stream);
}

static skua_poll tee_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_tee *self = tee_of(stream);
    int64_t answer;
    skua_poll rc;

    if (self->pump == NULL)
        return 0;
    if (!self->waits)
        skua_mpsc_recv_init(&self->wait, self->receiver, self->message);
    self->waits = 1;
    rc = skua__future_poll_raw(&self->wait.future, waker);
    if (rc == SKUA_PENDING)
        return rc;
    self->waits = 0;
    if (rc != 0) { /* it ended in the middle */
        stream->ops->drop(stream);
        return -ECANCELED;
    }
    memcpy(&answer, self->message, sizeof answer);
    if (answer == 1)
        skua__stream_copy(item, (char *)self->message + TEE_ITEM, stream->item_size);
    return answer;
}

/* Also called by next, which is then over all but in name. */
static void tee_drop(skua_stream *stream)
{
    skua_stream_tee *self = tee_of(stream);
    struct skua__stream_pump *pump = self->pump;

    if (pump == NULL)
        return;
    self->pump = NULL;
    if (self->waits)
        skua_future_drop(&self->wait.future);
    skua_mpsc_receiver_close(self->receiver);
    /* Relaxed would do: the bell orders, and the count is of nothing but itself. */
    if (skua__sub_acq_rel(&pump->wanted, 1) == 1)
        skua_notify_one(&pump->bell);
    tee_pump_unref(pump);
}

static const skua_stream_ops tee_ops = {.name = "tee", .next = tee_next, .drop = tee_drop};

/* ---- making one ------------------------------------------------------------------------------ */

/* NULL when there is no memory. */
static struct skua__stream_pump *tee_pump_new(skua_stream *source, size_t count, size_t message)
{
    struct skua__stream_pump *pump;
    size_t senders = sizeof *pump + count * sizeof pump->to[0];
    size_t size;

    senders = skua__round_up(senders, alignof(max_align_t));
    if (__builtin_mul_overflow(count + 1, message, &size) ||
        __builtin_add_overflow(size, senders, &size))
        return NULL;
    pump = skua__os_alloc(size);
    if (pump == NULL)
        return NULL;
    pump->source = source;
    pump->count = count;
    pump->bell = (skua_notify)SKUA_NOTIFY_INIT;
    pump->message = (char *)pump + senders;
    skua__store_relaxed(&pump->wanted, count); /* nobody else knows it yet */
    skua__store_relaxed(&pump->refs, count + 1);
    return pump;
}

/* Makes the channels: 0, or the error, with none made. */
static int tee_open(skua_stream_tee *streams, struct skua__stream_pump *pump, size_t message,
                    size_t capacity)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < pump->count; i++) {
        streams[i].stream.ops = &tee_ops;
        streams[i].stream.item_size = pump->source->item_size;
        streams[i].pump = pump;
        streams[i].message = pump->message + (i + 1) * message;
        streams[i].waits = 0;
        streams[i].receiver = NULL;
        rc = skua_mpsc_new(&pump->to[i], &streams[i].receiver, message, capacity);
    }
    return rc;
}

int skua_stream_tee_init(skua_stream_tee *streams, size_t count, skua_stream *source,
                         skua_scope *scope, size_t capacity)
{
    static const skua_site site = {"stream.tee", __FILE__, "skua_stream_tee_init", __LINE__};
    const skua_spawn_options options = {.size = sizeof options, .drop = tee_fiber_never_ran};
    struct skua__stream_pump *pump;
    size_t message;
    int rc;

    if (count == 0 || count > PTRDIFF_MAX / sizeof *streams || source->item_size > PTRDIFF_MAX / 4)
        return -EINVAL;
    message = skua__round_up(TEE_ITEM + source->item_size, alignof(max_align_t));
    pump = tee_pump_new(source, count, message);
    if (pump == NULL)
        return -ENOMEM;
    rc = tee_open(streams, pump, message, capacity);
    if (rc == 0)
        rc = skua_spawn_at(&site, scope, tee_fiber, pump, &options);
    if (rc == 0)
        return 0;
    for (size_t i = 0; i < count && pump->to[i] != NULL; i++) {
        skua_mpsc_sender_close(pump->to[i]);
        skua_mpsc_receiver_close(streams[i].receiver);
    }
    skua__os_free(pump);
    return rc;
}

#undef TEE_ITEM
