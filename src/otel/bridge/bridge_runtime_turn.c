/* bridge_runtime_turn.c - how long turns, queues and waits take, from probes.
 *
 *   SPAWNED, WOKEN        runnable since now                     any thread
 *   POLLED                schedule += now - runnable; wait[name] += now - parked; a turn begins
 *   PARKED, YIELDED       turn += now - begun; parked since now, for a name; or runnable
 *   DONE                  turn += now - begun; its slot is free
 *
 * Slots      a task in flight has a slot of a table, found by its id and runtime; it is claimed by
 *            a compare-and-swap at the first event, and freed by DONE. Who writes into it is who
 *            holds the task then, one after the other, as its state word has it (task.h): so what
 *            is written needs no lock. Where the eight places of an id are taken the event is not
 *            measured, and counted: there is room for 65,536 tasks.
 * Blocks     what is counted lies in a block of the worker, which alone writes it: there are 256.
 *            Turns, and what they end, are on workers only.
 * Collect    what is new in each block since the last time goes into histograms, as if it had been
 *            recorded then. A runtime that was freed leaves its blocks until they were collected.
 * Waits      are parked turns of fibers, by the name of the future, a static text; the 24th and
 *            all others of a worker together: "other". Poll tasks do not say what they wait for.
 * Memory     2 MB for slots and 2.4 MB for blocks, of pages that are not there until they are
 *            touched; for ever, since a call may be under way in any thread.
 */
#include <stdio.h>

#include "otel/bridge/bridge_runtime.h"
#include "otel/core/otel_clock.h"
#include "otel/core/otel_warn.h"

#define TURN_SLOTS (1u << 16)
#define TURN_PLACES 8
#define TURN_BLOCKS 256
#define TURN_WAITS 24
#define TURN_SHIFT 24 /* of turn_pace */

#define TURN_HISTOGRAM(name, text)                                                                 \
    SKUA_HISTOGRAM_BOUNDS(&skua__rtm_meter, name, "s", text, skua__rtm_bounds)

static skua_histogram turn_poll =
    TURN_HISTOGRAM("skua.task.poll.duration", "How long a task ran in one turn");
static skua_histogram turn_schedule =
    TURN_HISTOGRAM("skua.task.schedule.duration", "How long a task that could run did not");
static skua_histogram turn_wait =
    TURN_HISTOGRAM("skua.wait.duration", "How long fibers waited, by what for, until they ran");
static skua_observable turn_lost = SKUA_OBSERVABLE_COUNTER(
    &skua__rtm_meter, "skua.runtime.unmeasured", "{event}", "Events that found no room");

/* ---- memory ---------------------------------------------------------------------------------- */

/* All words are stored and loaded relaxed: see the top for who comes when. */
struct turn_slot {
    _Atomic uint64_t key;              /* 0: free; else of a task */
    _Atomic uint64_t runnable, parked; /* ticks; 0: it is not */
    _Atomic(const char *) name;        /* of what it waits for */
};

struct turn_times {
    _Atomic uint64_t counts[SKUA__RTM_BUCKETS], ns;
};

struct turn_wait {
    _Atomic(const char *) name; /* the last one's: "other" */
    struct turn_times times;
};

enum { TURN_FREE, TURN_TAKEN, TURN_LIVE, TURN_OVER };

struct turn_counts {
    struct turn_times poll, schedule;
    struct turn_wait waits[TURN_WAITS];
};

/* Of a worker. */
struct turn_block {
    _Atomic uint32_t state;
    _Atomic uint32_t worker;
    _Atomic(const skua_runtime *) runtime;
    char name[16];           /* constant from LIVE on */
    _Atomic uint64_t begun;  /* ticks: the turn that goes on; 0: none. The worker's, as the next */
    _Atomic uint64_t task;   /* whose it is */
    struct turn_counts now;  /* the worker's, from LIVE on */
    struct turn_counts told; /* who collects */
};

static struct turn_slot *turn_slots; /* constant once listening began; so are the next two */
static struct turn_block *turn_blocks;
static uint64_t turn_pace;           /* ns of a tick, << TURN_SHIFT */
static _Atomic uint64_t turn_since;  /* ticks: when listening began */
static atomic_uint turn_blocks_used; /* so many were ever taken */
static _Atomic uint64_t turn_lost_count;
static __thread struct turn_block *turn_own __attribute__((tls_model("initial-exec")));

static uint64_t turn_get(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static void turn_put(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

static void turn_lose(void)
{
    (void)atomic_fetch_add_explicit(&turn_lost_count, 1, memory_order_relaxed); /* a count */
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* Never 0; of two runtimes the same only by an accident of 2^-64. */
static uint64_t turn_key(const skua_probe_event *event)
{
    uint64_t of = (uint64_t)(uintptr_t)event->runtime * UINT64_C(0x9e3779b97f4a7c15);

    of ^= of >> 32;
    return ((event->task ^ of) * UINT64_C(0xe7037ed1a0b428db)) | 1;
}

/* The eight places of a task begin with `first`, and are tried from the i-th on. Ids end with a
 * place in the runtime's memory, in units of 8 bytes: 512 bytes of it, which seven tasks fill, have
 * one row of places, and each task is mostly found at the first look. */
static struct turn_slot *turn_row(const skua_probe_event *event, unsigned *i)
{
    uint32_t at = (uint32_t)event->task / 8;
    uint32_t salt = (uint32_t)((uintptr_t)event->runtime >> 6) * TURN_PLACES * 61;

    *i = at % TURN_PLACES;
    return &turn_slots[(at + salt) % TURN_SLOTS & ~(TURN_PLACES - 1u)];
}

/* The task's slot; NULL: it has none. */
static struct turn_slot *turn_find(const skua_probe_event *event)
{
    unsigned start;
    struct turn_slot *row = turn_row(event, &start);
    uint64_t key = turn_key(event);

    for (unsigned i = 0; i < TURN_PLACES; i++) {
        struct turn_slot *slot = &row[(start + i) % TURN_PLACES];

        if (turn_get(&slot->key) == key)
            return slot;
    }
    return NULL;
}

/* A free one; NULL: there is none. */
static struct turn_slot *turn_claim(const skua_probe_event *event)
{
    unsigned start;
    struct turn_slot *row = turn_row(event, &start);
    uint64_t key = turn_key(event);

    for (unsigned i = 0; i < TURN_PLACES; i++) {
        struct turn_slot *slot = &row[(start + i) % TURN_PLACES];
        uint64_t none = 0;

        /* Acquire pairs with turn_release: what the last one wrote is over. */
        if (turn_get(&slot->key) == 0 &&
            atomic_compare_exchange_strong_explicit(&slot->key, &none, key, memory_order_acquire,
                                                    memory_order_relaxed))
            return slot;
    }
    turn_lose();
    return NULL;
}

/* Its own, or a free one. */
static struct turn_slot *turn_slot(const skua_probe_event *event)
{
    struct turn_slot *slot = turn_find(event);

    return slot != NULL ? slot : turn_claim(event);
}

static void turn_release(struct turn_slot *slot)
{
    turn_put(&slot->runnable, 0);
    turn_put(&slot->parked, 0);
    atomic_store_explicit(&slot->key, 0, memory_order_release);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool turn_block_is(struct turn_block *block, const skua_probe_event *event)
{
    return atomic_load_explicit(&block->state, memory_order_relaxed) == TURN_LIVE &&
           atomic_load_explicit(&block->runtime, memory_order_relaxed) == event->runtime &&
           atomic_load_explicit(&block->worker, memory_order_relaxed) == event->worker;
}

/* A free one, for the calling worker; NULL: there is none. */
static struct turn_block *turn_block_new(const skua_probe_event *event)
{
    for (unsigned i = 0; i < TURN_BLOCKS; i++) {
        struct turn_block *block = &turn_blocks[i];
        uint32_t state = TURN_FREE;
        unsigned used = i;

        /* Acquire pairs with turn_block_free. */
        if (!atomic_compare_exchange_strong_explicit(&block->state, &state, TURN_TAKEN,
                                                     memory_order_acquire, memory_order_relaxed))
            continue;
        atomic_store_explicit(&block->runtime, event->runtime, memory_order_relaxed);
        atomic_store_explicit(&block->worker, event->worker, memory_order_relaxed);
        (void)snprintf(block->name, sizeof block->name, "%s", skua_runtime_name(event->runtime));
        /* Release: who sees it live sees all of it. */
        atomic_store_explicit(&block->state, TURN_LIVE, memory_order_release);
        while (used <= i &&
               !atomic_compare_exchange_weak_explicit(&turn_blocks_used, &used, i + 1,
                                                      memory_order_release, memory_order_relaxed)) {
        }
        return block;
    }
    return NULL;
}

/* The calling worker's; NULL: there is none for it. */
static struct turn_block *turn_block(const skua_probe_event *event)
{
    struct turn_block *block = turn_own;
    unsigned used;

    if (__builtin_expect(block != NULL && turn_block_is(block, event), 1))
        return block;
    used = atomic_load_explicit(&turn_blocks_used, memory_order_relaxed);
    block = NULL;
    /* It has had one on this thread, if it has one: see a current-thread runtime's owner. */
    for (unsigned i = 0; i < used && block == NULL; i++)
        if (turn_block_is(&turn_blocks[i], event))
            block = &turn_blocks[i];
    if (block == NULL)
        block = turn_block_new(event);
    if (block == NULL)
        turn_lose();
    turn_own = block;
    return block;
}

/* ---- events ---------------------------------------------------------------------------------- */

static uint64_t turn_ns(uint64_t from, uint64_t to)
{
    __extension__ typedef unsigned __int128 wide;

    /* Processors' counters may differ by some ticks. */
    return to > from ? (uint64_t)((wide)(to - from) * turn_pace >> TURN_SHIFT) : 0;
}

static void turn_record(struct turn_times *times, uint64_t ns)
{
    unsigned bucket = ns < 1024 ? 0 : 63 - (unsigned)__builtin_clzll(ns) - 9;
    _Atomic uint64_t *at =
        &times->counts[bucket < SKUA__RTM_BUCKETS ? bucket : SKUA__RTM_BUCKETS - 1];

    turn_put(at, turn_get(at) + 1);
    turn_put(&times->ns, turn_get(&times->ns) + ns);
}

static void turn_waited(struct turn_block *block, const char *name, uint64_t ns)
{
    struct turn_wait *wait = block->now.waits;

    for (; wait < &block->now.waits[TURN_WAITS - 1]; wait++) {
        const char *has = atomic_load_explicit(&wait->name, memory_order_relaxed);

        if (has == name)
            break;
        if (has == NULL) {
            /* Release: who collects reads the text. */
            atomic_store_explicit(&wait->name, name, memory_order_release);
            break;
        }
    }
    turn_record(&wait->times, ns);
}

static void turn_begins(struct turn_block *block, const skua_probe_event *event, uint64_t now)
{
    struct turn_slot *slot = turn_find(event);
    uint64_t runnable, parked;

    if (block != NULL)
        turn_put(&block->begun, now), turn_put(&block->task, event->task);
    if (slot == NULL)
        return;
    runnable = turn_get(&slot->runnable);
    parked = turn_get(&slot->parked);
    if (block != NULL && runnable != 0)
        turn_record(&block->now.schedule, turn_ns(runnable, now));
    if (block != NULL && parked != 0)
        turn_waited(block, atomic_load_explicit(&slot->name, memory_order_relaxed),
                    turn_ns(parked, now));
    turn_put(&slot->runnable, 0);
    turn_put(&slot->parked, 0);
}

static void turn_ends(struct turn_block *block, const skua_probe_event *event, uint64_t now)
{
    uint64_t begun = 0;
    struct turn_slot *slot;

    /* A task that ends before its first turn may do so within another's. */
    if (block != NULL && turn_get(&block->task) == event->task) {
        begun = turn_get(&block->begun);
        turn_put(&block->begun, 0);
    }
    /* One that began before anybody listened has a time of long ago. */
    if (begun != 0 && begun >= turn_get(&turn_since))
        turn_record(&block->now.poll, turn_ns(begun, now));
    if (event->kind == SKUA_PROBE_DONE) {
        slot = turn_find(event);
        if (slot != NULL)
            turn_release(slot);
        return;
    }
    slot = event->kind == SKUA_PROBE_PARKED && event->waiting_for == NULL ? NULL : turn_slot(event);
    if (slot == NULL)
        return;
    if (event->kind == SKUA_PROBE_YIELDED) {
        turn_put(&slot->runnable, now);
    } else {
        atomic_store_explicit(&slot->name, event->waiting_for, memory_order_relaxed);
        turn_put(&slot->parked, now);
    }
}

static void turn_event(const skua_probe_event *event, void *arg)
{
    uint64_t now = skua__otel_ticks();
    struct turn_slot *slot;

    (void)arg;
    if (event->runtime == NULL || event->task == 0)
        return;
    if (event->kind == SKUA_PROBE_SPAWNED || event->kind == SKUA_PROBE_WOKEN) {
        slot = event->kind == SKUA_PROBE_SPAWNED ? turn_claim(event) : turn_slot(event);
        if (slot != NULL)
            turn_put(&slot->runnable, now);
        return;
    }
    if (event->kind == SKUA_PROBE_POLLED)
        turn_begins(turn_block(event), event, now);
    else
        turn_ends(event->worker != ~0u ? turn_block(event) : NULL, event, now);
}

static const skua_probe_listener turn_listener = {
    .size = sizeof turn_listener,
    .kinds = SKUA_PROBE_BIT(SKUA_PROBE_SPAWNED) | SKUA_PROBE_BIT(SKUA_PROBE_WOKEN) |
             SKUA_PROBE_BIT(SKUA_PROBE_POLLED) | SKUA_PROBE_BIT(SKUA_PROBE_PARKED) |
             SKUA_PROBE_BIT(SKUA_PROBE_YIELDED) | SKUA_PROBE_BIT(SKUA_PROBE_DONE),
    .event = turn_event};

/* ---- telling --------------------------------------------------------------------------------- */

/* What is new; NULL: it is only passed over. */
static void turn_tell_times(skua_histogram *metric, struct turn_times *now, struct turn_times *told,
                            const skua_attr *attrs, size_t count)
{
    uint64_t counts[SKUA__RTM_BUCKETS], some = 0, ns = turn_get(&now->ns);
    struct skua__metric_many many = {skua__rtm_bounds, counts, SKUA__RTM_BOUNDS, 0};

    for (unsigned i = 0; i < SKUA__RTM_BUCKETS; i++) {
        uint64_t all = turn_get(&now->counts[i]);

        counts[i] = all - turn_get(&told->counts[i]);
        turn_put(&told->counts[i], all);
        some += counts[i];
    }
    many.sum = (double)(ns - turn_get(&told->ns)) / 1e9;
    turn_put(&told->ns, ns);
    if (some != 0 && metric != NULL)
        skua__metric_put_many(&metric->instrument, attrs, count, &many);
}

static void turn_tell_block(struct turn_block *block, bool quiet)
{
    struct turn_counts *now = &block->now, *told = &block->told;
    skua_attr attrs[2] = {skua_attr_str("skua.runtime.name", block->name)};

    turn_tell_times(quiet ? NULL : &turn_poll, &now->poll, &told->poll, attrs, 1);
    turn_tell_times(quiet ? NULL : &turn_schedule, &now->schedule, &told->schedule, attrs, 1);
    for (unsigned i = 0; i < TURN_WAITS; i++) {
        /* Acquire pairs with turn_waited. */
        const char *name = atomic_load_explicit(&now->waits[i].name, memory_order_acquire);

        attrs[1] = skua_attr_str("skua.wait.name", i == TURN_WAITS - 1 ? "other"
                                                   : name != NULL      ? name
                                                                       : "");
        if (name != NULL || i == TURN_WAITS - 1)
            turn_tell_times(quiet ? NULL : &turn_wait, &now->waits[i].times, &told->waits[i].times,
                            attrs, 2);
    }
}

/* Its runtime is gone, and all of it was told. */
static void turn_block_free(struct turn_block *block)
{
    memset((void *)&block->now, 0, sizeof block->now);
    memset((void *)&block->told, 0, sizeof block->told);
    turn_put(&block->begun, 0);
    atomic_store_explicit(&block->state, TURN_FREE, memory_order_release);
}

static void turn_tell_all(bool quiet)
{
    unsigned used = atomic_load_explicit(&turn_blocks_used, memory_order_acquire);

    for (unsigned i = 0; i < used; i++) {
        /* Acquire pairs with turn_block_new and skua__turns_over. */
        uint32_t state = atomic_load_explicit(&turn_blocks[i].state, memory_order_acquire);

        if (state != TURN_LIVE && state != TURN_OVER)
            continue;
        turn_tell_block(&turn_blocks[i], quiet);
        if (state == TURN_OVER)
            turn_block_free(&turn_blocks[i]);
    }
}

void skua__turns_tell(skua_observer *observer)
{
    if (turn_blocks == NULL)
        return;
    turn_tell_all(false);
    skua_observe_attrs(observer, &turn_lost, (int64_t)turn_get(&turn_lost_count), NULL, 0);
}

void skua__turns_over(const skua_runtime *runtime)
{
    unsigned used = atomic_load_explicit(&turn_blocks_used, memory_order_acquire);

    for (unsigned i = 0; i < used; i++) {
        struct turn_block *block = &turn_blocks[i];

        if (atomic_load_explicit(&block->runtime, memory_order_relaxed) == runtime &&
            atomic_load_explicit(&block->state, memory_order_acquire) == TURN_LIVE)
            /* Release: what the worker wrote, which has been joined. */
            atomic_store_explicit(&block->state, TURN_OVER, memory_order_release);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

/* 0 or -ENOMEM. */
static int turn_memory(void)
{
    if (turn_slots == NULL)
        turn_slots = skua__otel_malloc(TURN_SLOTS * sizeof *turn_slots);
    if (turn_blocks == NULL)
        turn_blocks = skua__otel_malloc(TURN_BLOCKS * sizeof *turn_blocks);
    return turn_slots != NULL && turn_blocks != NULL ? 0 : -ENOMEM;
}

/* Those whose tasks ended unheard. Pages that nobody has touched stay so. */
static void turn_clear(void)
{
    for (unsigned i = 0; i < TURN_SLOTS; i++)
        if (turn_get(&turn_slots[i].key) != 0)
            turn_release(&turn_slots[i]);
}

void skua__turns_begin(void)
{
    int rc = turn_memory();

    if (rc == 0) {
        if (turn_pace == 0)
            turn_pace = (uint64_t)skua__otel_span_of(UINT64_C(1) << TURN_SHIFT);
        turn_clear();
        turn_tell_all(true);
        turn_put(&turn_since, skua__otel_ticks());
        rc = skua_probe_attach(&turn_listener);
    }
    if (rc != 0)
        skua__otel_warn(SKUA__WARN_OTHER, "runtimes are not measured in full: %s",
                        skua_strerror(rc));
}

void skua__turns_end(void)
{
    (void)skua_probe_detach(&turn_listener);
}

void skua__turns_forked(void)
{
    unsigned used = atomic_load_explicit(&turn_blocks_used, memory_order_relaxed);

    for (unsigned i = 0; i < used; i++)
        turn_block_free(&turn_blocks[i]);
    if (turn_slots != NULL)
        turn_clear();
    turn_put(&turn_lost_count, 0);
}

#undef TURN_SLOTS
#undef TURN_PLACES
#undef TURN_BLOCKS
#undef TURN_WAITS
#undef TURN_SHIFT
#undef TURN_HISTOGRAM
