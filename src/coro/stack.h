/* stack.h - stacks for fibers: two sizes, a cache a worker, a depot a runtime.
 *
 * A stack is taken from the worker's cache, which is two lists a class and touched by its owner
 * alone; taking and giving are a few instructions. What a cache has too much, or too little, it
 * exchanges with the depot in batches (stack.c).
 *
 * Overflow   below each stack lies a guard page. When the system allows no more of them, the
 *            lowest 64 bytes of the stack serve as a canary: nobody may write there, they are zero
 *            as long as nobody has, and so an untouched stack needs no page for them.
 * Memory     the descriptor lies apart from its stack. So a stack that was never used costs
 *            nothing, a fresh fiber touches one page, and a cold stack can be given back whole.
 */
#ifndef SKUA_CORO_STACK_H
#define SKUA_CORO_STACK_H

#include "base/check.h"
#include "base/lock.h"

#if SKUA__ASAN
#include <sanitizer/asan_interface.h>
#endif

/* The same numbers as the public skua_stack_class. */
enum skua__stack_class { SKUA__STACK_DEFAULT, SKUA__STACK_LARGE, SKUA__STACK_CLASSES };

#define SKUA__STACK_SIZE_MIN ((size_t)16 * 1024)
#define SKUA__STACK_BATCH 32

/* Guard of what is not constant: who holds the stack: the fiber, a cache's owner, or the depot. */
struct skua__stack {
    SKUA__ALIGNED(SKUA__CACHE_LINE) struct skua__stack *next; /* in a list of free ones */
    char *low;                      /* the lowest usable byte, above the guard; constant */
    size_t size;                    /* usable bytes; constant */
    uint64_t fp_words;              /* for skua__coro_switch_fp: the thread's control words */
    struct skua__stack *next_batch; /* first of a batch in the depot: the next one */
    uint32_t batch_len;             /* first of a batch in the depot: how many it has */
    unsigned valgrind_id;           /* constant */
    uint8_t stack_class;            /* constant */
    uint8_t guarded;                /* 1: a guard page, 0: the canary; constant */
};

_Static_assert(sizeof(struct skua__stack) == SKUA__CACHE_LINE, "one line each: see coro_top");

struct skua__stack_slab;

/* One per runtime; shared by its workers. */
struct skua__stack_depot {
    size_t sizes[SKUA__STACK_CLASSES]; /* constant */
    size_t page;                       /* constant: of the system, and of a guard */
    struct skua__lock lock;
    struct skua__stack *warm[SKUA__STACK_CLASSES]; /* lock: batches that may own memory */
    unsigned warm_len[SKUA__STACK_CLASSES];        /* lock: in batches */
    struct skua__stack *cold[SKUA__STACK_CLASSES]; /* lock: batches that own none */
    struct skua__stack_slab *slabs;                /* lock: all that were ever made */
    _Atomic size_t count;                          /* stacks that exist; relaxed, for statistics */
    _Atomic size_t unguarded;                      /* those of them that have only a canary */
};

/* One per worker; its owner's thread only. */
struct skua__stack_cache {
    struct skua__stack_depot *depot;               /* constant */
    struct skua__stack *free[SKUA__STACK_CLASSES]; /* at most a batch; the latest first */
    unsigned free_len[SKUA__STACK_CLASSES];
    struct skua__stack *spare[SKUA__STACK_CLASSES]; /* a whole batch, or NULL */
};

/* `sizes` in bytes, one a class; rounded up to pages, and to SKUA__STACK_SIZE_MIN at least. */
void skua__stack_depot_init(struct skua__stack_depot *depot,
                            const size_t sizes[SKUA__STACK_CLASSES]);
/* Unmaps everything. All stacks must have come back, and all caches be done. */
void skua__stack_depot_done(struct skua__stack_depot *depot);
void skua__stack_cache_init(struct skua__stack_cache *cache, struct skua__stack_depot *depot);
/* Gives everything to the depot. */
void skua__stack_cache_done(struct skua__stack_cache *cache);

/* How many stacks exist, used and free. Any thread. */
SKUA__INLINE size_t skua__stack_count(struct skua__stack_depot *depot)
{
    return skua__load_relaxed(&depot->count); /* a statistic: orders nothing */
}

/* The slow halves, in stack.c. */
int skua__stack_take_slow(struct skua__stack_cache *cache, unsigned stack_class);
void skua__stack_give_slow(struct skua__stack_cache *cache, unsigned stack_class);
bool skua__stack_canary_check(const struct skua__stack *stack);

/* False when the stack has overflowed for sure. Whoever runs on the stack, or holds it. */
SKUA__INLINE bool skua__stack_canary_ok(const struct skua__stack *stack)
{
    return skua__likely(stack->guarded) || skua__stack_canary_check(stack);
}

/* Takes a stack: 0, or -ENOMEM with *ret untouched. */
SKUA__INLINE int skua__stack_take(struct skua__stack_cache *cache, unsigned stack_class,
                                  struct skua__stack **ret)
{
    struct skua__stack *stack = cache->free[stack_class];

    if (skua__unlikely(stack == NULL)) {
        int rc = skua__stack_take_slow(cache, stack_class);

        if (rc != 0)
            return rc;
        stack = cache->free[stack_class];
    }
    cache->free[stack_class] = stack->next;
    cache->free_len[stack_class]--;
#if SKUA__ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack->low, stack->size);
#endif
    *ret = stack;
    return 0;
}

/* Gives back a stack that nobody runs on. */
SKUA__INLINE void skua__stack_give(struct skua__stack_cache *cache, struct skua__stack *stack)
{
    unsigned stack_class = stack->stack_class;

    skua__assert(skua__stack_canary_ok(stack));
#if SKUA__ASAN
    ASAN_POISON_MEMORY_REGION(stack->low, stack->size);
#endif
    if (skua__unlikely(cache->free_len[stack_class] == SKUA__STACK_BATCH))
        skua__stack_give_slow(cache, stack_class);
    stack->next = cache->free[stack_class];
    cache->free[stack_class] = stack;
    cache->free_len[stack_class]++;
}

/* Is `addr` in the guard page of this stack? Async-signal-safe. */
bool skua__stack_guard_holds(const struct skua__stack *stack, const void *addr);

#endif
