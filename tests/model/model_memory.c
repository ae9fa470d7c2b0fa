/* model_memory.c - memory as a model thread sees it: C11's orderings, operationally.
 *
 * Each place keeps all its stores of this schedule, numbered in the order they took place. Each
 * thread has a view: for each place the number below which it may not read any more. A load may
 * return any store from there on; one by one the explorer lets it.
 *
 *   store      appends, with a view: release: the thread's own; relaxed: what it knew at its last
 *              fence. An acquire load that reads it joins that view; a relaxed one keeps it for
 *              the thread's next fence.
 *   rmw        reads the newest store, and passes its view on (a release sequence).
 *   seq_cst    beside that one view for all: a store or load of a place leaves its number there,
 *              and a load reads nothing older. A fence joins this view and the thread's both ways.
 *   cas        that fails is a load: it may fail for an old value, too.
 *
 * The first entries of a view are no places but clocks: how many operations of each thread happen
 * before (model_plain.c).
 *
 * After the "view machines" of the literature on C11 (Kang et al., 2017; Lahav et al.).
 *
 * Covers     store buffers (x86-TSO and weaker), loads that are satisfied early, messages that
 *            reach threads at different times; missing acquire, release and fences.
 * Leaves out a load that sees a store from its own future (load buffering, out of thin air); a
 *            store that slips in behind a newer one of another thread (the one thing of x86-TSO
 *            that is not here); acquire or release fences, consume, spurious failures of a weak
 *            cas; C11's longer release sequences, which C++20 has shortened.
 *            So a failure that is found is one by the rules; what is not found may still be.
 * Waiting    a thread that spins is blocked until the place it has looked at changes, and then
 *            sees the newest store of it: C11's promise that stores arrive some day.
 */
#include "model_impl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES 1024
#define HASH 2048

struct view {
    uint16_t seen[MODEL_LOCS];
};

/* One value of a place. */
struct store {
    uint64_t value;
    uint16_t number;
    struct store *older; /* of the same place; NULL: the value that begin() left */
    struct view view;    /* what a reader that acquires knows then */
};

struct model_loc {
    const volatile void *addr;
    size_t size;       /* 0: a datum of model_use */
    uint8_t loaders;   /* which threads ever load it, in any schedule so far: bits */
    uint8_t storers;   /* … store to it */
    uint64_t schedule; /* `newest` and `first` are of this one */
    struct store *newest;
    struct store *first;
};

struct thread {
    struct view now;
    struct view acquired; /* by relaxed loads: in force after a fence */
    struct view released; /* at the last fence: what a relaxed store gives away */
    struct model_loc *last;
    uint16_t last_seen;
};

static struct model_loc locs[MODEL_LOCS];
static unsigned loc_count;
static uint16_t hash[HASH]; /* of the address: index in locs + 1 */
static struct store stores[STORES];
static unsigned store_count;
static struct thread threads[MODEL_THREADS];
static struct view sequential; /* without clocks */
static uint64_t schedule;

static unsigned loc_index(const struct model_loc *loc)
{
    return (unsigned)(loc - locs);
}

static void view_join(struct view *view, const struct view *other)
{
    for (unsigned i = 0; i < loc_count; i++)
        view->seen[i] = view->seen[i] > other->seen[i] ? view->seen[i] : other->seen[i];
}

static void view_raise(struct view *view, const struct model_loc *loc, uint16_t number)
{
    uint16_t *seen = &view->seen[loc_index(loc)];

    *seen = *seen > number ? *seen : number;
}

/* ---- places ---------------------------------------------------------------------------------- */

void memory_forget(void)
{
    memset(hash, 0, sizeof hash);
    memset(locs, 0, sizeof locs);
    loc_count = MODEL_THREADS; /* clocks */
}

/* Views are used up to loc_count only: most cases have few places. */
static void view_clear(struct view *view)
{
    memset(view->seen, 0, loc_count * sizeof view->seen[0]);
}

static void view_copy(struct view *to, const struct view *from)
{
    memcpy(to->seen, from->seen, loc_count * sizeof to->seen[0]);
}

void memory_begin(void)
{
    schedule++;
    store_count = 0;
    for (unsigned i = 0; i < MODEL_THREADS; i++) {
        view_clear(&threads[i].now);
        view_clear(&threads[i].acquired);
        view_clear(&threads[i].released);
        threads[i].last = NULL;
        threads[i].now.seen[i] = 1;
    }
    view_clear(&sequential);
}

/* A new place: nobody has seen anything of it. */
static void views_grow(unsigned index)
{
    for (unsigned i = 0; i < MODEL_THREADS; i++) {
        threads[i].now.seen[index] = 0;
        threads[i].acquired.seen[index] = 0;
        threads[i].released.seen[index] = 0;
    }
    for (unsigned i = 0; i < store_count; i++)
        stores[i].view.seen[index] = 0;
    sequential.seen[index] = 0;
}

static struct store *store_new(struct model_loc *loc, uint64_t value)
{
    struct store *store = &stores[store_count++];

    if (store_count == STORES) {
        fprintf(stderr, "model: too many stores\n");
        abort();
    }
    store->value = value;
    store->older = loc->newest;
    store->number = loc->newest == NULL ? 0 : (uint16_t)(loc->newest->number + 1);
    loc->newest = store;
    return store;
}

static uint64_t loc_memory(const struct model_loc *loc)
{
    uint64_t value = 0;

    memcpy(&value, (const void *)(uintptr_t)loc->addr, loc->size); /* little-endian */
    return value;
}

static struct model_loc *loc_find(const volatile void *addr, size_t size)
{
    unsigned at = (unsigned)(((uintptr_t)addr + (size == 0)) * 0x9e3779b97f4a7c15u >> 40) % HASH;
    struct model_loc *loc;

    for (; hash[at] != 0; at = (at + 1) % HASH) {
        loc = &locs[hash[at] - 1];
        if (loc->addr == addr && loc->size == size)
            return loc;
    }
    if (loc_count == MODEL_LOCS) {
        fprintf(stderr, "model: too many places\n");
        abort();
    }
    views_grow(loc_count);
    loc = &locs[loc_count++];
    hash[at] = (uint16_t)loc_count;
    *loc = (struct model_loc){.addr = addr, .size = size};
    return loc;
}

struct model_loc *memory_loc(const volatile void *addr, size_t size, int thread, bool stores_too,
                             bool *grew)
{
    struct model_loc *loc = loc_find(addr, size);
    uint8_t bit = (uint8_t)(1u << thread);

    if (loc->schedule != schedule) {
        loc->schedule = schedule;
        loc->newest = NULL;
        store_new(loc, loc_memory(loc));
        view_clear(&loc->newest->view);
    }
    if (loc->loaders & bit && (!stores_too || loc->storers & bit))
        return loc;
    loc->loaders |= bit;
    loc->storers |= stores_too ? bit : 0;
    *grew |= (loc->loaders & (loc->loaders - 1)) != 0 && loc->storers != 0;
    return loc;
}

static bool op_stores(const struct model_op *op)
{
    return op->kind != MODEL_LOAD_ && op->kind != MODEL_YIELD;
}

/* Kinds that are not always ready. */
static bool memory_may_block(const struct model_op *op)
{
    return op->kind == MODEL_YIELD || op->kind == MODEL_SLEEP || op->kind == MODEL_LOCK;
}

bool memory_private(const struct model_op *op, int thread)
{
    uint8_t others = (uint8_t) ~(1u << thread);

    if (op->loc == NULL || memory_may_block(op))
        return false;
    return ((op->loc->storers | (op_stores(op) ? op->loc->loaders : 0)) & others) == 0;
}

struct model_loc *memory_last_loaded(int thread)
{
    return threads[thread].last;
}

/* ---- operations ------------------------------------------------------------------------------ */

bool memory_ready(const struct model_op *op, int thread)
{
    switch (op->kind) {
    case MODEL_YIELD:
        return op->loc == NULL || op->loc->newest->number != threads[thread].last_seen;
    case MODEL_SLEEP:
        return op->loc->newest->value != 0;
    case MODEL_LOCK:
        return op->loc->newest->value == 0;
    default:
        return true;
    }
}

bool memory_conflict(const struct model_op *a, const struct model_op *b)
{
    bool sequential_both = a->order == memory_order_seq_cst && b->order == memory_order_seq_cst;

    if (a->kind == MODEL_PAUSE || b->kind == MODEL_PAUSE)
        return true;
    if (a->kind == MODEL_POINT || b->kind == MODEL_POINT)
        return a->kind == b->kind;
    if (a->kind == MODEL_FENCE || b->kind == MODEL_FENCE)
        return sequential_both;
    if (a->loc != b->loc)
        return false;
    return op_stores(a) || op_stores(b) || sequential_both;
}

/* The oldest store that the thread may still read. */
static uint16_t op_floor(const struct model_op *op, int thread)
{
    unsigned index = loc_index(op->loc);
    uint16_t seen = threads[thread].now.seen[index];
    int order = op->kind == MODEL_CAS_ ? op->fails : op->order;

    if (order == memory_order_seq_cst && sequential.seen[index] > seen)
        seen = sequential.seen[index];
    return seen;
}

/* A cas can only fail for an old store, since it stores behind the newest one. */
static bool op_may_read(const struct model_op *op, const struct store *store)
{
    return op->kind != MODEL_CAS_ || store->value != op->want;
}

unsigned memory_choices(const struct model_op *op, int thread)
{
    unsigned count = 1;
    uint16_t least;

    if (op->kind != MODEL_LOAD_ && op->kind != MODEL_CAS_)
        return 1;
    least = op_floor(op, thread);
    for (struct store *store = op->loc->newest->older; store != NULL && store->number >= least;
         store = store->older)
        count += op_may_read(op, store);
    return count;
}

static struct store *op_choose(const struct model_op *op, unsigned choice)
{
    struct store *store = op->loc->newest;

    while (choice != 0) {
        store = store->older;
        choice -= op_may_read(op, store);
    }
    return store;
}

static bool order_acquires(int order)
{
    return order == memory_order_acquire || order == memory_order_acq_rel ||
           order == memory_order_seq_cst;
}

static void op_read(struct model_op *op, struct thread *thread, const struct store *store,
                    int order)
{
    op->result = store->value;
    op->behind = (unsigned)(op->loc->newest->number - store->number);
    view_raise(&thread->now, op->loc, store->number);
    view_join(order_acquires(order) ? &thread->now : &thread->acquired, &store->view);
    if (order == memory_order_seq_cst)
        view_raise(&sequential, op->loc, store->number);
    thread->last = op->loc;
    thread->last_seen = store->number;
}

/* `before`: the store that a read-modify-write has read, or NULL. */
static void op_store(struct model_op *op, struct thread *thread, uint64_t value,
                     const struct store *before)
{
    struct store *store = store_new(op->loc, value);
    bool releases = op->order >= memory_order_release;

    _Static_assert(memory_order_release < memory_order_acq_rel &&
                       memory_order_acq_rel < memory_order_seq_cst,
                   "the orders that release are the last ones");
    view_raise(&thread->now, op->loc, store->number);
    view_copy(&store->view, releases ? &thread->now : &thread->released);
    view_raise(&store->view, op->loc, store->number);
    if (before != NULL)
        view_join(&store->view, &before->view);
    if (op->order == memory_order_seq_cst)
        view_raise(&sequential, op->loc, store->number);
    if (op->loc->size != 0) /* memory always holds the newest: for begin and end */
        memcpy((void *)(uintptr_t)op->loc->addr, &value, op->loc->size);
    op->stored = true;
}

static uint64_t op_modify(const struct model_op *op, uint64_t value)
{
    switch (op->kind) {
    case MODEL_ADD:
        return value + op->value;
    case MODEL_SUB:
        return value - op->value;
    case MODEL_OR:
        return value | op->value;
    case MODEL_AND:
        return value & op->value;
    case MODEL_SLEEP:
        return 0;
    case MODEL_LOCK:
        return 1;
    default:
        return op->value;
    }
}

/* Clocks do not travel from fence to fence: by them alone nothing happens before. */
static void op_fence(struct thread *thread)
{
    view_join(&thread->now, &thread->acquired);
    view_join(&thread->now, &sequential);
    view_copy(&sequential, &thread->now);
    memset(sequential.seen, 0, MODEL_THREADS * sizeof sequential.seen[0]);
    view_copy(&thread->released, &thread->now);
}

static void op_do(struct model_op *op, int self, unsigned choice)
{
    struct thread *thread = &threads[self];
    struct store *store;
    uint64_t mask;

    if (op->loc == NULL)
        return;
    mask = op->loc->size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * op->loc->size) - 1;
    if (op->loc->size != 0 && loc_memory(op->loc) != op->loc->newest->value)
        model_fail("somebody has changed an atomic by a plain store");
    if (op->kind == MODEL_STORE_) {
        op_store(op, thread, op->value & mask, NULL);
        return;
    }
    store = op_choose(op, op->kind == MODEL_YIELD ? 0 : choice);
    if (op->kind == MODEL_LOAD_ || op->kind == MODEL_YIELD) {
        op_read(op, thread, store, op->order);
    } else if (op->kind == MODEL_CAS_ && (choice != 0 || store->value != op->want)) {
        op_read(op, thread, store, op->fails);
    } else {
        op_read(op, thread, store, op->order);
        op_store(op, thread, op_modify(op, store->value) & mask, store);
    }
}

void memory_do(struct model_op *op, int self, unsigned choice)
{
    if (op->kind == MODEL_FENCE)
        op_fence(&threads[self]);
    op_do(op, self, choice);
    if (op->loc != NULL && op->loc->size != 0)
        plain_atomic(op->loc->addr, op->loc->size, op->stored);
    threads[self].now.seen[self]++;
}

uint64_t memory_schedule(void)
{
    return schedule;
}

const uint16_t *memory_clocks(int self)
{
    return threads[self].now.seen;
}

void memory_settle(int self)
{
    for (unsigned i = 0; i < loc_count; i++)
        if (locs[i].schedule == schedule)
            view_raise(&threads[self].now, &locs[i], locs[i].newest->number);
}

bool memory_use(struct model_loc *loc, int self)
{
    struct model_op op = {.kind = MODEL_STORE_, .order = memory_order_relaxed, .loc = loc};
    bool ordered = threads[self].now.seen[loc_index(loc)] == loc->newest->number;

    op_store(&op, &threads[self], 0, NULL);
    return ordered;
}
