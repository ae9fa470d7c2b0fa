/* stream_tasks.c - a function that may wait, called with each item in a fiber of its own.
 *
 * Flow       skua_stream_next -> tasks_next: takes items while there are free slots and spawns a
 *            fiber for each -> the fiber calls the function, marks its slot done and rings ->
 *            tasks_next gives out what the slot has, and frees it.
 * Slots      one for each item that was taken and not given out yet: that is the bound, and the
 *            back-pressure. The source is asked by whoever asks this stream, never by a fiber.
 * Order      ordered: the taken slots in the order of their items; the first is given out when it
 *            is done. Else: slots in the order in which they were done.
 * Memory     slots are in the pool, which who asks and each fiber hold a reference on. So a drop
 *            does not wait for the fibers: it cancels them, and the last one frees the pool.
 *
 *   slot       event                                  to
 *   FREE       an item was taken                      TAKEN     its fiber is spawned
 *   TAKEN      the fiber begins                       STARTED   may be cancelled
 *   STARTED    the function has returned              DONE
 *   TAKEN      no fiber; it never runs; an error      DONE
 *   DONE       given out                              FREE
 *
 * Cancelled  only fibers that have begun: one that has not finds out by itself. A child that is
 *            cancelled before it began is a failure in the eyes of its scope (task.h), and to drop
 *            a stream is none.
 */
#include <stdalign.h>

#include "stream/stream_impl.h"

enum tasks_slot_state { TASKS_FREE, TASKS_TAKEN, TASKS_STARTED, TASKS_DONE };

struct tasks_slot {
    struct skua__stream_pool *pool; /* constant, as the next two */
    char *in;
    char *out;
    struct tasks_slot *next;     /* in the list that it is on; guard: the list's */
    skua_task *task;             /* a handle; who asks */
    enum tasks_slot_state state; /* lock */
    int result;                  /* lock, until DONE; then who asks */
};

struct tasks_list {
    struct tasks_slot *first, *last;
};

struct skua__stream_pool {
    struct skua__lock lock;
    bool dropped; /* lock */
    bool ordered; /* constant, as the next two */
    skua_stream_map_fn fn;
    void *arg;
    struct tasks_list done;  /* lock; only when not ordered */
    struct tasks_list taken; /* who asks; only when ordered */
    struct tasks_slot *free; /* who asks, as the next three */
    size_t busy;             /* slots that are not free */
    bool source_over;
    _Atomic size_t refs;
    skua_notify bell; /* rung when a slot is done */
    struct tasks_slot slots[];
};

static void tasks_push(struct tasks_list *list, struct tasks_slot *slot)
{
    slot->next = NULL;
    if (list->last != NULL)
        list->last->next = slot;
    else
        list->first = slot;
    list->last = slot;
}

static void tasks_pop(struct tasks_list *list)
{
    list->first = list->first->next;
    if (list->first == NULL)
        list->last = NULL;
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* NULL when there is no memory. */
static struct skua__stream_pool *tasks_pool_new(const skua_stream_tasks *self)
{
    size_t in = self->source->item_size;
    size_t room = alignof(max_align_t);
    struct skua__stream_pool *pool;
    size_t size;
    char *at;

    if (in > PTRDIFF_MAX / 4 || self->stream.item_size > PTRDIFF_MAX / 4)
        return NULL;
    in = skua__round_up(in, room);
    size = in + skua__round_up(self->stream.item_size, room);
    if (__builtin_mul_overflow(size + sizeof(struct tasks_slot), self->limit, &size) ||
        __builtin_add_overflow(size, sizeof *pool + room, &size))
        return NULL;
    pool = skua__os_alloc(size);
    if (pool == NULL)
        return NULL;
    at = (char *)skua__round_up((uintptr_t)(pool->slots + self->limit), room);
    for (size_t i = 0; i < self->limit; i++) {
        struct tasks_slot *slot = &pool->slots[i];

        slot->pool = pool;
        slot->in = at;
        slot->out = at + in;
        at = slot->out + skua__round_up(self->stream.item_size, room);
        slot->next = pool->free;
        pool->free = slot;
    }
    pool->ordered = self->ordered;
    pool->fn = self->fn;
    pool->arg = self->arg;
    pool->bell = (skua_notify)SKUA_NOTIFY_INIT;
    skua__store_relaxed(&pool->refs, 1); /* nobody else knows it */
    return pool;
}

static void tasks_pool_unref(struct skua__stream_pool *pool)
{
    /* Release: what was done with it comes before the free; acquire, for who frees. */
    if (skua__sub_acq_rel(&pool->refs, 1) == 1)
        skua__os_free(pool);
}

/* ---- in the fiber ---------------------------------------------------------------------------- */

static void tasks_slot_done(struct tasks_slot *slot, int result)
{
    struct skua__stream_pool *pool = slot->pool;

    skua__lock_take(&pool->lock);
    slot->result = result;
    slot->state = TASKS_DONE;
    if (!pool->ordered)
        tasks_push(&pool->done, slot);
    skua__lock_drop(&pool->lock);
}

static void tasks_fiber_ends(struct tasks_slot *slot, int result)
{
    struct skua__stream_pool *pool = slot->pool;

    tasks_slot_done(slot, result); /* the slot is another item's from here on */
    skua_notify_one(&pool->bell);
    tasks_pool_unref(pool);
}

static int tasks_fiber(void *arg)
{
    struct tasks_slot *slot = arg;
    struct skua__stream_pool *pool = slot->pool;
    bool runs;

    skua__lock_take(&pool->lock);
    runs = !pool->dropped;
    if (runs)
        slot->state = TASKS_STARTED;
    skua__lock_drop(&pool->lock);
    tasks_fiber_ends(slot, runs ? pool->fn(slot->in, slot->out, pool->arg) : -ECANCELED);
    return 0;
}

static void tasks_fiber_never_ran(void *arg)
{
    tasks_fiber_ends(arg, -ECANCELED);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static skua_stream_tasks *tasks_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_tasks, stream);
}

static void tasks_spawn(skua_stream_tasks *self, struct tasks_slot *slot)
{
    static const skua_site site = {"stream.fiber", __FILE__, "tasks_spawn", __LINE__};
    const skua_spawn_options options = {
        .size = sizeof options, .task = &slot->task, .drop = tasks_fiber_never_ran};
    struct skua__stream_pool *pool = self->pool;
    int rc;

    skua__add_relaxed(&pool->refs, 1); /* this one is held: no ordering is needed */
    rc = skua_spawn_at(&site, self->scope, tasks_fiber, slot, &options);
    if (rc == 0)
        return;
    tasks_slot_done(slot, rc);
    tasks_pool_unref(pool);
}

/* Takes items while there is room for them. Errors of the source keep their place among them. */
static void tasks_fill(skua_stream_tasks *self, skua_waker *waker)
{
    struct skua__stream_pool *pool = self->pool;
    struct tasks_slot *slot;

    while (!pool->source_over && (slot = pool->free) != NULL) {
        skua_poll answer = skua__stream_ask(self->source, slot->in, waker);

        if (answer == SKUA_PENDING)
            return;
        if (answer == 0) {
            pool->source_over = true;
            return;
        }
        pool->free = slot->next;
        pool->busy++;
        slot->state = TASKS_TAKEN; /* no fiber has it yet */
        if (pool->ordered)
            tasks_push(&pool->taken, slot);
        if (answer == 1)
            tasks_spawn(self, slot);
        else
            tasks_slot_done(slot, (int)answer);
    }
}

/* The slot whose turn it is, if it is done. */
static struct tasks_slot *tasks_take(struct skua__stream_pool *pool)
{
    struct tasks_list *list = pool->ordered ? &pool->taken : &pool->done;
    struct tasks_slot *slot;

    skua__lock_take(&pool->lock);
    slot = list->first;
    if (slot != NULL && slot->state != TASKS_DONE)
        slot = NULL;
    if (slot != NULL)
        tasks_pop(list);
    skua__lock_drop(&pool->lock);
    return slot;
}

static skua_poll tasks_give(skua_stream *stream, struct tasks_slot *slot, void *item)
{
    struct skua__stream_pool *pool = slot->pool;
    skua_poll answer = slot->result < 0 ? slot->result : 1;

    if (answer == 1)
        skua__stream_copy(item, slot->out, stream->item_size);
    skua_task_detach(slot->task);
    slot->task = NULL;
    slot->state = TASKS_FREE; /* its fiber has let go of it */
    slot->next = pool->free;
    pool->free = slot;
    pool->busy--;
    return answer;
}

static skua_poll tasks_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_tasks *self = tasks_of(stream);

    if (skua__unlikely(self->pool == NULL)) {
        self->pool = tasks_pool_new(self);
        if (self->pool == NULL)
            return -ENOMEM;
    }
    for (;;) {
        struct tasks_slot *slot;

        tasks_fill(self, waker);
        slot = tasks_take(self->pool);
        if (slot != NULL)
            return tasks_give(stream, slot, item);
        if (self->pool->busy == 0)
            return self->pool->source_over ? 0 : SKUA_PENDING;
        if (!self->waits)
            skua_notified_init(&self->wait, &self->pool->bell);
        self->waits = 1;
        if (skua__future_poll_raw(&self->wait.future, waker) == SKUA_PENDING)
            return SKUA_PENDING;
        self->waits = 0;
    }
}

static void tasks_drop(skua_stream *stream)
{
    skua_stream_tasks *self = tasks_of(stream);
    struct skua__stream_pool *pool = self->pool;

    skua_stream_drop(self->source);
    if (self->waits)
        skua_future_drop(&self->wait.future);
    if (pool == NULL)
        return;
    skua__lock_take(&pool->lock);
    pool->dropped = true;
    skua__lock_drop(&pool->lock);
    for (size_t i = 0; i < self->limit; i++) {
        struct tasks_slot *slot = &pool->slots[i];
        bool started;

        if (slot->task == NULL)
            continue; /* free, or its item never had a fiber */
        skua__lock_take(&pool->lock);
        started = slot->state == TASKS_STARTED;
        skua__lock_drop(&pool->lock);
        if (started)
            (void)skua_task_cancel(slot->task); /* without the lock: it wakes */
        skua_task_detach(slot->task);
    }
    tasks_pool_unref(pool);
}

static const skua_stream_ops tasks_ops = {
    .name = "buffered", .next = tasks_next, .drop = tasks_drop};

/* ---- for users ------------------------------------------------------------------------------- */

static skua_stream *tasks_init(skua_stream_tasks *self, skua_stream *source, skua_scope *scope,
                               size_t limit, skua_stream_map_fn fn, void *arg, size_t item_size)
{
    self->stream.ops = &tasks_ops;
    self->stream.item_size = item_size;
    self->source = source;
    self->scope = scope != NULL ? scope : skua_scope_current();
    self->fn = fn;
    self->arg = arg;
    self->limit = limit;
    self->pool = NULL;
    self->waits = 0;
    self->ordered = 1;
    if (limit >= 1 && limit <= SKUA_STREAM_FIBERS_MAX)
        return &self->stream;
    skua_stream_drop(source);
    return skua__stream_refuse(&self->stream);
}

skua_stream *skua_stream_buffered_init(skua_stream_tasks *buffered, skua_stream *source,
                                       skua_scope *scope, size_t limit, skua_stream_map_fn fn,
                                       void *arg, size_t item_size)
{
    return tasks_init(buffered, source, scope, limit, fn, arg, item_size);
}

skua_stream *skua_stream_buffer_unordered_init(skua_stream_tasks *buffered, skua_stream *source,
                                               skua_scope *scope, size_t limit,
                                               skua_stream_map_fn fn, void *arg, size_t item_size)
{
    tasks_init(buffered, source, scope, limit, fn, arg, item_size);
    buffered->ordered = 0;
    return &buffered->stream;
}

skua_stream *skua_stream_then_init(skua_stream_tasks *then, skua_stream *source, skua_scope *scope,
                                   skua_stream_map_fn fn, void *arg, size_t item_size)
{
    return tasks_init(then, source, scope, 1, fn, arg, item_size);
}

/* What a fiber of skua_stream_for_each_concurrent is to call. */
struct tasks_each {
    skua_stream_each_fn fn;
    void *arg;
};

static int tasks_each_item(const void *in, void *out, void *arg)
{
    const struct tasks_each *each = arg;

    (void)out;
    return each->fn((void *)(uintptr_t)in, each->arg); /* the slot's, which is the fiber's */
}

int skua_stream_for_each_concurrent(skua_stream *stream, size_t limit, skua_stream_each_fn fn,
                                    void *arg)
{
    struct tasks_each each = {.fn = fn, .arg = arg};
    skua_stream_tasks tasks;
    skua_scope scope;
    int joined;
    int rc;

    rc = skua_scope_open(&scope, SKUA_COLLECT);
    if (rc != 0) {
        skua_stream_drop(stream);
        return rc;
    }
    skua_stream_buffer_unordered_init(&tasks, stream, &scope, limit, tasks_each_item, &each, 0);
    do {
        rc = skua_stream_next(&tasks.stream, NULL);
    } while (rc > 0);
    skua_stream_drop(&tasks.stream);
    joined = skua_scope_join(&scope);
    return rc != 0 ? rc : joined;
}
