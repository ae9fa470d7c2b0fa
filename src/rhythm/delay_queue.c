/* delay_queue.c - values by value, the one with the earliest deadline first.
 *
 * Flow       insert -> delay_room -> delay_push -> the first in line is told, if it is the earliest
 *            next -> timed_line.h -> delay_look -> delay_pop
 * Heap       4-ary, of entries with deadline and number, so that comparing touches no value; an
 *            entry knows its slot, and a slot its place in the heap. Equal deadlines are compared
 *            by number, which counts insertions: so the order is total, and a number, which never
 *            comes twice, is also the generation of a key.
 * Memory     slots and entries lie in blocks, each as large as all before it: the queue grows
 *            without moving anything, and the block is allocated without the lock. A slot that is
 *            given back is linked into a list of free ones; blocks are freed with the queue.
 * Clear      is O(1): all slots are as if never used, and a key of one that is not used is stale.
 * Cost       O(log4 n) under the spin lock; a value is copied in and out under it.
 */
#include <string.h>

#include <skua/delay_queue.h>

#include "rhythm/timed_line.h"

#define DELAY_SIZE_MAX ((size_t)1 << 20)
#define DELAY_FIRST_BITS 4 /* the first block has 16, each other one as many as all before it */
#define DELAY_BLOCKS 36
#define DELAY_WAYS 4
#define DELAY_NONE SIZE_MAX

struct delay_entry {
    int64_t deadline;
    uint64_t number;
    size_t slot;
};

struct delay_slot {
    uint64_t number; /* of the value in it; 0: free */
    size_t place;    /* in the heap; free: the next free slot, or DELAY_NONE */
    char bytes[];
};

struct delay_block {
    struct delay_entry *heap;
    char *slots;
};

struct skua_delay_queue {
    skua_timed_line line;
    size_t size;     /* of a value; constant, as the next two */
    size_t stride;   /* of a slot */
    size_t capacity; /* SIZE_MAX: none */
    size_t len;      /* lock: line, as the following */
    size_t used;     /* slots from here on were never used, or not since a clear */
    size_t free;     /* the first free slot below that, or DELAY_NONE */
    uint64_t number; /* of the next value; the first is 1 */
    unsigned blocks; /* how many there are */
    bool closed;
    struct delay_block block[DELAY_BLOCKS];
};

static struct skua__lock *delay_lock(skua_delay_queue *queue)
{
    return skua__timed_lock(&queue->line);
}

/* ---- slots and entries ----------------------------------------------------------------------- */

static unsigned delay_block_of(size_t index, size_t *ret_offset)
{
    size_t from_first = index + ((size_t)1 << DELAY_FIRST_BITS);
    unsigned top = 63 - (unsigned)__builtin_clzll(from_first);

    *ret_offset = from_first ^ ((size_t)1 << top);
    return top - DELAY_FIRST_BITS;
}

static size_t delay_block_len(unsigned block)
{
    return (size_t)1 << (DELAY_FIRST_BITS + block);
}

static struct delay_entry *delay_at(skua_delay_queue *queue, size_t place)
{
    size_t offset;
    unsigned block = delay_block_of(place, &offset);

    return &queue->block[block].heap[offset];
}

static struct delay_slot *delay_slot(skua_delay_queue *queue, size_t index)
{
    size_t offset;
    unsigned block = delay_block_of(index, &offset);

    return (struct delay_slot *)(void *)(queue->block[block].slots + offset * queue->stride);
}

/* The value that a key names, or NULL. */
static struct delay_slot *delay_find(skua_delay_queue *queue, skua_delay_key key)
{
    struct delay_slot *slot;

    if (key.number == 0 || key.slot >= queue->used)
        return NULL;
    slot = delay_slot(queue, (size_t)key.slot);
    return slot->number == key.number ? slot : NULL;
}

/* ---- the heap -------------------------------------------------------------------------------- */

static bool delay_before(const struct delay_entry *a, const struct delay_entry *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->number < b->number;
}

static void delay_put(skua_delay_queue *queue, size_t place, struct delay_entry entry)
{
    *delay_at(queue, place) = entry;
    delay_slot(queue, entry.slot)->place = place;
}

static void delay_up(skua_delay_queue *queue, size_t place, struct delay_entry entry)
{
    while (place > 0) {
        size_t above = (place - 1) / DELAY_WAYS;

        if (!delay_before(&entry, delay_at(queue, above)))
            break;
        delay_put(queue, place, *delay_at(queue, above));
        place = above;
    }
    delay_put(queue, place, entry);
}

static void delay_down(skua_delay_queue *queue, size_t place, struct delay_entry entry)
{
    for (;;) {
        size_t first = place * DELAY_WAYS + 1;
        size_t best = first;

        if (first >= queue->len)
            break;
        for (size_t at = first + 1; at < first + DELAY_WAYS && at < queue->len; at++)
            if (delay_before(delay_at(queue, at), delay_at(queue, best)))
                best = at;
        if (!delay_before(delay_at(queue, best), &entry))
            break;
        delay_put(queue, place, *delay_at(queue, best));
        place = best;
    }
    delay_put(queue, place, entry);
}

/* Puts an entry where it belongs, from a place whose own entry is gone. */
static void delay_settle(skua_delay_queue *queue, size_t place, struct delay_entry entry)
{
    if (place > 0 && delay_before(&entry, delay_at(queue, (place - 1) / DELAY_WAYS)))
        delay_up(queue, place, entry);
    else
        delay_down(queue, place, entry);
}

/* ---- in and out, under the lock -------------------------------------------------------------- */

/* There is room. */
static skua_delay_key delay_push(skua_delay_queue *queue, const void *value, int64_t deadline)
{
    struct delay_entry entry = {deadline, queue->number++, queue->free};
    struct delay_slot *slot;

    if (entry.slot != DELAY_NONE)
        queue->free = delay_slot(queue, entry.slot)->place;
    else
        entry.slot = queue->used++;
    slot = delay_slot(queue, entry.slot);
    slot->number = entry.number;
    memcpy(slot->bytes, value, queue->size);
    delay_up(queue, queue->len++, entry);
    return (skua_delay_key){entry.number, entry.slot};
}

/* Takes the value out that has this place in the heap. */
static void delay_pop(skua_delay_queue *queue, size_t place, void *value)
{
    size_t index = delay_at(queue, place)->slot;
    struct delay_slot *slot = delay_slot(queue, index);

    if (value != NULL)
        memcpy(value, slot->bytes, queue->size);
    slot->number = 0;
    slot->place = queue->free;
    queue->free = index;
    queue->len--;
    if (place != queue->len)
        delay_settle(queue, place, *delay_at(queue, queue->len));
}

/* When there is something for who waits: the earliest deadline, or at once for an end. */
static int64_t delay_moment(skua_delay_queue *queue)
{
    if (queue->len != 0)
        return delay_at(queue, 0)->deadline;
    return queue->closed ? INT64_MIN : SKUA_FOREVER;
}

static skua_poll delay_look(skua_timed_line *line, void *value, int64_t now, int64_t *again)
{
    skua_delay_queue *queue = skua__container(line, skua_delay_queue, line);
    int64_t moment = delay_moment(queue);
    skua_poll answer = SKUA_PENDING;

    if (moment == SKUA_FOREVER)
        return SKUA_PENDING; /* not even at the end of time */
    if (moment <= now) {
        answer = queue->len != 0 ? 0 : SKUA_ECLOSED;
        if (answer == 0)
            delay_pop(queue, 0, value);
        moment = delay_moment(queue);
    }
    *again = moment;
    return answer;
}

static const struct skua__timed_kind delay_kind = SKUA__TIMED_KIND("delay_queue.next", delay_look);

/* ---- room ------------------------------------------------------------------------------------ */

static void delay_free_block(struct delay_block *block)
{
    skua__os_free(block->heap);
    skua__os_free(block->slots);
}

/* One block more. Lets go of the lock meanwhile: another may have been faster. */
static SKUA__NOINLINE bool delay_grow(skua_delay_queue *queue)
{
    struct delay_block block = {NULL, NULL};
    unsigned index = queue->blocks;

    if (index == DELAY_BLOCKS)
        return false;
    skua__lock_drop(delay_lock(queue));
    block.heap = skua__os_alloc(delay_block_len(index) * sizeof *block.heap);
    block.slots = skua__os_alloc(delay_block_len(index) * queue->stride);
    skua__lock_take(delay_lock(queue));
    if (block.heap != NULL && block.slots != NULL && queue->blocks == index) {
        queue->block[queue->blocks++] = block;
        return true;
    }
    skua__lock_drop(delay_lock(queue));
    delay_free_block(&block);
    skua__lock_take(delay_lock(queue));
    return queue->blocks != index;
}

/* 0: a value can be put in; or why not. */
static int delay_room(skua_delay_queue *queue)
{
    for (;;) {
        if (queue->closed)
            return SKUA_ECLOSED;
        if (queue->len >= queue->capacity)
            return SKUA_ELIMIT;
        /* All below `used` are in the heap or free: so this is for slot and entry. */
        if (queue->free != DELAY_NONE ||
            queue->used < delay_block_len(queue->blocks) - delay_block_len(0))
            return 0;
        if (!delay_grow(queue))
            return -ENOMEM;
    }
}

/* ---- for users: values ----------------------------------------------------------------------- */

int skua_delay_queue_insert(skua_delay_queue *queue, const void *value, int64_t deadline,
                            skua_delay_key *key)
{
    struct skua__chain chain = {NULL, NULL};
    skua_delay_key name = {0, 0};
    int rc;

    skua__lock_take(delay_lock(queue));
    rc = delay_room(queue);
    if (rc == 0) {
        name = delay_push(queue, value, deadline);
        if (delay_at(queue, 0)->number == name.number)
            skua__timed_tell(&queue->line, &chain);
    }
    skua__lock_drop(delay_lock(queue));
    skua__chain_wake(&chain);
    if (rc == 0 && key != NULL)
        *key = name;
    return rc;
}

int skua_delay_queue_insert_after(skua_delay_queue *queue, const void *value, int64_t duration,
                                  skua_delay_key *key)
{
    return skua_delay_queue_insert(queue, value, skua__time_after(skua_now(), duration), key);
}

int skua_delay_queue_reset(skua_delay_queue *queue, skua_delay_key key, int64_t deadline)
{
    struct skua__chain chain = {NULL, NULL};
    struct delay_slot *slot;

    skua__lock_take(delay_lock(queue));
    slot = delay_find(queue, key);
    if (slot != NULL) {
        struct delay_entry entry = *delay_at(queue, slot->place);

        entry.deadline = deadline;
        delay_settle(queue, slot->place, entry);
        if (slot->place == 0)
            skua__timed_tell(&queue->line, &chain);
    }
    skua__lock_drop(delay_lock(queue));
    skua__chain_wake(&chain);
    return slot != NULL ? 0 : -ENOENT;
}

int skua_delay_queue_reset_after(skua_delay_queue *queue, skua_delay_key key, int64_t duration)
{
    return skua_delay_queue_reset(queue, key, skua__time_after(skua_now(), duration));
}

/* Under the lock: an end that who waits has to be told. */
static void delay_tell_end(skua_delay_queue *queue, struct skua__chain *chain)
{
    if (queue->closed && queue->len == 0)
        skua__timed_tell(&queue->line, chain);
}

int skua_delay_queue_remove(skua_delay_queue *queue, skua_delay_key key, void *value)
{
    struct skua__chain chain = {NULL, NULL};
    struct delay_slot *slot;

    skua__lock_take(delay_lock(queue));
    slot = delay_find(queue, key);
    if (slot != NULL) {
        delay_pop(queue, slot->place, value);
        delay_tell_end(queue, &chain);
    }
    skua__lock_drop(delay_lock(queue));
    skua__chain_wake(&chain);
    return slot != NULL ? 0 : -ENOENT;
}

int skua_delay_queue_peek(skua_delay_queue *queue, void *value, int64_t *deadline)
{
    int rc = -EAGAIN;

    skua__lock_take(delay_lock(queue));
    if (queue->len != 0) {
        const struct delay_entry *entry = delay_at(queue, 0);

        if (value != NULL)
            memcpy(value, delay_slot(queue, entry->slot)->bytes, queue->size);
        if (deadline != NULL)
            *deadline = entry->deadline;
        rc = 0;
    }
    skua__lock_drop(delay_lock(queue));
    return rc;
}

void skua_delay_queue_clear(skua_delay_queue *queue)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(delay_lock(queue));
    queue->len = 0;
    queue->used = 0;
    queue->free = DELAY_NONE;
    delay_tell_end(queue, &chain);
    skua__lock_drop(delay_lock(queue));
    skua__chain_wake(&chain);
}

size_t skua_delay_queue_len(skua_delay_queue *queue)
{
    size_t len;

    skua__lock_take(delay_lock(queue));
    len = queue->len;
    skua__lock_drop(delay_lock(queue));
    return len;
}

/* ---- for users: taking ----------------------------------------------------------------------- */

int skua_delay_queue_next(skua_delay_queue *queue, void *value)
{
    return skua_delay_queue_next_until(queue, value, SKUA_FOREVER);
}

int skua_delay_queue_next_until(skua_delay_queue *queue, void *value, int64_t deadline)
{
    return skua__timed_wait(&queue->line, &delay_kind, value, deadline);
}

int skua_delay_queue_try_next(skua_delay_queue *queue, void *value)
{
    return skua__timed_try(&queue->line, &delay_kind, value);
}

skua_future *skua_delay_queue_next_init(skua_timed_future *next, skua_delay_queue *queue,
                                        void *value)
{
    return skua__timed_init(next, &queue->line, &delay_kind, value);
}

/* ---- for users: the queue -------------------------------------------------------------------- */

void skua_delay_queue_options_init(skua_delay_queue_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_delay_queue_new(skua_delay_queue **ret, size_t size,
                         const skua_delay_queue_options *options)
{
    skua_delay_queue *queue;

    if (size == 0 || size > DELAY_SIZE_MAX || (options != NULL && options->size != sizeof *options))
        return -EINVAL;
    queue = skua__os_alloc(sizeof *queue);
    if (queue == NULL)
        return -ENOMEM;
    queue->size = size;
    queue->stride = (sizeof(struct delay_slot) + size + 7) & ~(size_t)7;
    queue->capacity = options != NULL && options->capacity != 0 ? options->capacity : SIZE_MAX;
    queue->free = DELAY_NONE;
    queue->number = 1;
    *ret = queue;
    return 0;
}

void skua_delay_queue_free(skua_delay_queue *queue)
{
    if (queue == NULL)
        return;
    for (unsigned i = 0; i < queue->blocks; i++)
        delay_free_block(&queue->block[i]);
    skua__os_free(queue);
}

void skua_delay_queue_close(skua_delay_queue *queue)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(delay_lock(queue));
    queue->closed = true;
    delay_tell_end(queue, &chain);
    skua__lock_drop(delay_lock(queue));
    skua__chain_wake(&chain);
}

#undef DELAY_SIZE_MAX
#undef DELAY_FIRST_BITS
#undef DELAY_BLOCKS
#undef DELAY_WAYS
#undef DELAY_NONE
