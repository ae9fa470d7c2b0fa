/* pool.c - objects that are dear to make, kept for the next who needs one.
 *
 * A record stands for the right to have one object alive; there are .max of them. Whoever holds a
 * record that is MAKING calls create, and whoever holds one that is ENDING calls destroy: without
 * the lock, so that both may wait.
 *
 *   from      event                                 to
 *   FREE      get: off the free list                MAKING
 *   MAKING    create succeeded                      OUT       listed by its object
 *   MAKING    create failed                         MAKING    the first in line's; else FREE
 *   OUT       put                                   OUT       the first in line's; else IDLE
 *   OUT       put, too old or too many; discard;    ENDING    no longer listed by its object
 *             refused by check
 *   IDLE      get: the last one that came           OUT       the getter looks at it
 *   IDLE      too old; closed                       ENDING
 *   ENDING    destroyed                             MAKING    the getter's whom it did not suit;
 *                                                             the first in line's; else FREE
 *
 * Line       while somebody waits no record is FREE or IDLE: each that becomes so is granted to the
 *            first waiter at once, whose skua_waiter.value it is; 0 there says "closed".
 * Lists      idle records are a list with the oldest in front and are taken from its end. Records
 *            of objects that are alive lie in a hash table by the object, for put to find them. An
 *            object leaves the table before its destroy: its address may be the next one's.
 * Cost       get and put are one section under the lock each, put's with a look into the table.
 * Memory     pool, records and table are one block each.
 */
#include <string.h>

#include <skua/pool.h>

#include "sync/sync_wait.h"

enum pool_state { POOL_FREE, POOL_MAKING, POOL_OUT, POOL_IDLE, POOL_ENDING };

struct pool_record {
    enum pool_state state; /* lock; as all below, but the holder's while MAKING or ENDING */
    void *object;
    int64_t born;                    /* ns, when its create had succeeded */
    int64_t idle_since;              /* ns */
    struct pool_record *next, *prev; /* idle: the list; free: `next` alone */
    struct pool_record *same;        /* the next one in its place of the table */
};

struct skua_pool {
    skua_pool_options options; /* with the defaults filled in; constant, as the next three */
    struct pool_record *records;
    struct pool_record **table;
    size_t mask;                           /* of the table's places */
    skua_waiter_list waiters;              /* lock, as all below */
    struct pool_record *free;              /* the list */
    struct pool_record *oldest, *youngest; /* the idle ones */
    size_t alive;                          /* records that are not FREE */
    size_t idle;
    bool closed;
    struct skua__lock lock;
};

/* ---- under the lock -------------------------------------------------------------------------- */

static struct pool_record **pool_place(const skua_pool *pool, const void *object)
{
    uint64_t hash = (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;

    return &pool->table[(hash >> 40) & pool->mask];
}

static void pool_unlist(skua_pool *pool, struct pool_record *record)
{
    struct pool_record **at = pool_place(pool, record->object);

    while (*at != record)
        at = &(*at)->same;
    *at = record->same;
}

/* The record of an object that is out, or NULL. */
static struct pool_record *pool_find(const skua_pool *pool, const void *object)
{
    struct pool_record *record = *pool_place(pool, object);

    while (record != NULL && (record->object != object || record->state != POOL_OUT))
        record = record->same;
    return record;
}

static void pool_push_idle(skua_pool *pool, struct pool_record *record, int64_t now)
{
    record->state = POOL_IDLE;
    record->idle_since = now;
    record->next = NULL;
    record->prev = pool->youngest;
    *(pool->youngest != NULL ? &pool->youngest->next : &pool->oldest) = record;
    pool->youngest = record;
    pool->idle++;
}

static void pool_take_idle(skua_pool *pool, struct pool_record *record)
{
    *(record->prev != NULL ? &record->prev->next : &pool->oldest) = record->next;
    *(record->next != NULL ? &record->next->prev : &pool->youngest) = record->prev;
    record->state = POOL_OUT;
    pool->idle--;
}

/* Out or idle no more: the caller is to destroy it. */
static struct pool_record *pool_end(skua_pool *pool, struct pool_record *record)
{
    if (record->state == POOL_IDLE)
        pool_take_idle(pool, record);
    pool_unlist(pool, record);
    record->state = POOL_ENDING;
    return record;
}

/* Also without the lock by who has it OUT. */
static bool pool_too_old(const skua_pool *pool, const struct pool_record *record, int64_t now)
{
    const skua_pool_options *options = &pool->options;

    if (options->max_lifetime != 0 && now - record->born >= options->max_lifetime)
        return true;
    return options->idle_timeout != 0 && now - record->idle_since >= options->idle_timeout;
}

/* To the first in line; false when there is none. */
static bool pool_grant(skua_pool *pool, struct pool_record *record, struct skua__chain *chain)
{
    skua_waiter *waiter = pool->waiters.first;

    if (waiter == NULL)
        return false;
    waiter->value = (uint64_t)(uintptr_t)record;
    skua__waiters_grant(&pool->waiters, waiter, chain);
    return true;
}

/* The warmest object, or the room for one; NULL: neither. */
static struct pool_record *pool_take(skua_pool *pool)
{
    struct pool_record *record = pool->youngest;

    if (record != NULL) {
        pool_take_idle(pool, record);
    } else if ((record = pool->free) != NULL) {
        pool->free = record->next;
        record->state = POOL_MAKING;
        pool->alive++;
    }
    return record;
}

/* ---- records and their objects, without the lock --------------------------------------------- */

/* Gives the room for an object on: to the first in line, or back. */
static void pool_pass_room(skua_pool *pool, struct pool_record *record)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&pool->lock);
    record->state = POOL_MAKING;
    if (!pool_grant(pool, record, &chain)) {
        record->state = POOL_FREE;
        record->next = pool->free;
        pool->free = record;
        pool->alive--;
    }
    skua__lock_drop(&pool->lock);
    skua__chain_wake(&chain);
}

static void pool_destroy(skua_pool *pool, struct pool_record *record)
{
    if (pool->options.destroy != NULL)
        pool->options.destroy(pool->options.ctx, record->object);
}

/* The end of an ENDING record; NULL does nothing. */
static void pool_finish(skua_pool *pool, struct pool_record *record)
{
    if (record == NULL)
        return;
    pool_destroy(pool, record);
    pool_pass_room(pool, record);
}

/* Gives an object on: to the first in line, to the idle ones, or up; and with it the oldest, if
 * that is too old. `rc` is 0, or that nobody has such an object. */
static int pool_give(skua_pool *pool, struct pool_record *record, const void *object)
{
    struct skua__chain chain = {NULL, NULL};
    struct pool_record *ending = NULL;
    struct pool_record *stale = NULL;
    int64_t now = skua_now();

    skua__lock_take(&pool->lock);
    if (record == NULL && (record = pool_find(pool, object)) == NULL) {
        skua__lock_drop(&pool->lock);
        return SKUA_EUSAGE;
    }
    record->idle_since = now;
    if (pool->closed || pool_too_old(pool, record, now))
        ending = pool_end(pool, record);
    else if (!pool_grant(pool, record, &chain)) {
        if (pool->idle < pool->options.max_idle)
            pool_push_idle(pool, record, now);
        else
            ending = pool_end(pool, record);
    }
    if (pool->oldest != NULL && pool_too_old(pool, pool->oldest, now))
        stale = pool_end(pool, pool->oldest);
    skua__lock_drop(&pool->lock);
    skua__chain_wake(&chain);
    pool_finish(pool, ending);
    pool_finish(pool, stale);
    return 0;
}

/* Whether a used object is good; if not it is destroyed, and there is room for another one. */
static bool pool_good(skua_pool *pool, struct pool_record *record)
{
    const skua_pool_options *options = &pool->options;

    if (!pool_too_old(pool, record, skua_now()) &&
        (options->check == NULL || options->check(options->ctx, record->object) != 0))
        return true;
    skua__lock_take(&pool->lock);
    (void)pool_end(pool, record);
    skua__lock_drop(&pool->lock);
    pool_destroy(pool, record);
    return false;
}

static int pool_make(skua_pool *pool, struct pool_record *record)
{
    int rc = pool->options.create(pool->options.ctx, &record->object);
    struct pool_record **place;
    bool closed;

    if (rc < 0) {
        pool_pass_room(pool, record);
        return rc;
    }
    record->born = skua_now();
    record->idle_since = record->born;
    skua__lock_take(&pool->lock);
    closed = pool->closed;
    record->state = closed ? POOL_ENDING : POOL_OUT;
    if (!closed) {
        place = pool_place(pool, record->object);
        record->same = *place;
        *place = record;
    }
    skua__lock_drop(&pool->lock);
    if (closed)
        pool_finish(pool, record);
    return closed ? SKUA_ECLOSED : 0;
}

/* From a record that is OUT or MAKING to the object that is handed out. */
static int pool_hand_out(skua_pool *pool, struct pool_record *record, void **object)
{
    int rc = 0;

    if (record->state == POOL_MAKING || !pool_good(pool, record))
        rc = pool_make(pool, record);
    if (rc == 0)
        *object = record->object;
    return rc;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static struct pool_record *pool_granted(const skua_waiter *waiter)
{
    return (struct pool_record *)(uintptr_t)waiter->value;
}

/* Takes a record, or stands in line: its answer is 0, with the record as the waiter's value. */
static skua_poll pool_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_pool *pool = self->object;
    skua_poll answer = 0;
    bool closed;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE) {
        answer = skua__waiter_again(&self->waiter, &pool->lock, waker);
        return answer == 0 && self->waiter.value == 0 ? SKUA_ECLOSED : answer;
    }
    skua__lock_take(&pool->lock);
    closed = pool->closed;
    if (!closed) {
        self->waiter.value = (uint64_t)(uintptr_t)pool_take(pool);
        if (self->waiter.value == 0) {
            skua__waiters_push(&pool->waiters, &self->waiter, waker);
            answer = SKUA_PENDING;
        }
    }
    skua__lock_drop(&pool->lock);
    return closed ? SKUA_ECLOSED : answer;
}

static void pool_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_pool *pool = self->object;
    struct pool_record *record;

    if (!skua__waiter_leave(&self->waiter, &pool->lock, &pool->waiters))
        return;
    record = pool_granted(&self->waiter);
    if (record == NULL)
        return; /* closed */
    if (record->state == POOL_MAKING)
        pool_pass_room(pool, record);
    else
        (void)pool_give(pool, record, NULL);
}

static const skua_future_ops pool_ops = {.name = "pool.get", .poll = pool_poll, .drop = pool_drop};

/* ---- for users ------------------------------------------------------------------------------- */

/* Fills in the defaults. */
static int pool_fill(skua_pool_options *options, const skua_pool_options *from)
{
    if (from == NULL || from->size != sizeof *from)
        return -EINVAL;
    *options = *from;
    if (options->max == 0)
        options->max = 10;
    if (options->max_idle == 0)
        options->max_idle = options->max;
    if (options->create == NULL || options->max > SKUA_POOL_MAX ||
        options->max_idle > options->max || options->idle_timeout < 0 || options->max_lifetime < 0)
        return -EINVAL;
    return 0;
}

int skua_pool_new(skua_pool **ret, const skua_pool_options *options)
{
    skua_pool_options filled;
    size_t places = 8;
    skua_pool *pool;
    int rc = pool_fill(&filled, options);

    if (rc != 0)
        return rc;
    while (places < filled.max)
        places *= 2;
    pool = skua__os_alloc(sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    pool->records = skua__os_alloc(filled.max * sizeof *pool->records);
    pool->table = skua__os_alloc(places * sizeof *pool->table);
    if (pool->records == NULL || pool->table == NULL) {
        skua__os_free(pool->table);
        skua__os_free(pool->records);
        skua__os_free(pool);
        return -ENOMEM;
    }
    pool->options = filled;
    pool->mask = places - 1;
    for (size_t i = filled.max; i > 0; i--) {
        pool->records[i - 1].next = pool->free;
        pool->free = &pool->records[i - 1];
    }
    *ret = pool;
    return 0;
}

int skua_pool_get(skua_pool *pool, void **object)
{
    return skua_pool_get_until(pool, object, SKUA_FOREVER);
}

int skua_pool_get_until(skua_pool *pool, void **object, int64_t deadline)
{
    skua_sync_future wait = {.future.ops = &pool_ops, .object = pool, .waiter.state = SKUA__IDLE};
    int rc = (int)skua_await_until(&wait.future, deadline);

    return rc != 0 ? rc : pool_hand_out(pool, pool_granted(&wait.waiter), object);
}

int skua_pool_try_get(skua_pool *pool, void **object)
{
    struct pool_record *record;
    bool closed;

    for (;;) {
        skua__lock_take(&pool->lock);
        closed = pool->closed;
        record = closed ? NULL : pool->youngest; /* what is idle then is the closer's to destroy */
        if (record != NULL)
            pool_take_idle(pool, record);
        skua__lock_drop(&pool->lock);
        if (record == NULL)
            return closed ? SKUA_ECLOSED : -EAGAIN;
        if (pool_good(pool, record)) {
            *object = record->object;
            return 0;
        }
        pool_pass_room(pool, record);
    }
}

int skua_pool_put(skua_pool *pool, void *object)
{
    return pool_give(pool, NULL, object);
}

int skua_pool_discard(skua_pool *pool, void *object)
{
    struct pool_record *record;

    skua__lock_take(&pool->lock);
    record = pool_find(pool, object);
    if (record != NULL)
        (void)pool_end(pool, record);
    skua__lock_drop(&pool->lock);
    pool_finish(pool, record);
    return record != NULL ? 0 : SKUA_EUSAGE;
}

size_t skua_pool_reap(skua_pool *pool)
{
    int64_t now = skua_now();
    size_t count = 0;

    /* One record at a time: the lock is a spin lock, and there may be many. */
    for (size_t i = 0; i < pool->options.max; i++) {
        struct pool_record *record = &pool->records[i];
        bool stale;

        skua__lock_take(&pool->lock);
        stale = record->state == POOL_IDLE && pool_too_old(pool, record, now);
        if (stale)
            (void)pool_end(pool, record);
        skua__lock_drop(&pool->lock);
        pool_finish(pool, stale ? record : NULL);
        count += stale;
    }
    return count;
}

void skua_pool_count(skua_pool *pool, skua_pool_counts *counts)
{
    skua__lock_take(&pool->lock);
    counts->alive = pool->alive;
    counts->idle = pool->idle;
    counts->waiting = 0;
    for (const skua_waiter *waiter = pool->waiters.first; waiter != NULL; waiter = waiter->next)
        counts->waiting++;
    skua__lock_drop(&pool->lock);
}

void skua_pool_close(skua_pool *pool)
{
    struct skua__chain chain = {NULL, NULL};
    struct pool_record *record;

    skua__lock_take(&pool->lock);
    pool->closed = true;
    while (pool_grant(pool, NULL, &chain))
        continue;
    skua__lock_drop(&pool->lock);
    skua__chain_wake(&chain);
    do {
        skua__lock_take(&pool->lock);
        record = pool->oldest;
        if (record != NULL)
            (void)pool_end(pool, record);
        skua__lock_drop(&pool->lock);
        pool_finish(pool, record);
    } while (record != NULL);
}

int skua_pool_free(skua_pool *pool)
{
    size_t alive;

    if (pool == NULL)
        return 0;
    skua_pool_close(pool);
    skua__lock_take(&pool->lock); /* orders what the last put did before the free */
    alive = pool->alive;
    skua__lock_drop(&pool->lock);
    if (alive != 0)
        return -EBUSY;
    skua__os_free(pool->table);
    skua__os_free(pool->records);
    skua__os_free(pool);
    return 0;
}

void skua_pool_options_init(skua_pool_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}
