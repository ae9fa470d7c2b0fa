/* stack.c - where stacks come from, and where they go when there are too many.
 *
 * Flow       skua__stack_take -> the cache's list -> its spare batch -> a batch of the depot ->
 *            a new slab of 32; skua__stack_give -> the list -> the spare -> the depot
 * Slab       32 stacks of one class in one mapping, each with its guard page below it:
 *
 *                | guard | stack 0 | guard | stack 1 | ...
 *
 *            and an array of descriptors on the heap. Slabs live as long as the runtime.
 * Depot      batches of 32, which cost O(1) to move. Up to 8 batches a class stay warm, with the
 *            pages that they have; what comes beyond is cold: its pages go back to the kernel
 *            first, a system call a stack, which is outside the lock. Warm ones are taken first:
 *            a page fault costs more than all the rest of a spawn.
 * Cost       one mapping, 32 guards (about 1 us each) and one allocation for 32 stacks.
 */
#include "coro/stack.h"

#include <errno.h>

#include "os/os.h"

#if !defined(NDEBUG) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define STACK_VALGRIND 1
#endif
#endif

#define STACK_WARM_BATCHES 8
#define STACK_CANARY_WORDS 8

struct skua__stack_slab {
    struct skua__stack stacks[SKUA__STACK_BATCH];
    struct skua__stack_slab *next; /* lock: depot */
    char *map;                     /* constant */
    size_t map_size;               /* constant */
};

/* ---- slabs ----------------------------------------------------------------------------------- */

static void stack_describe(struct skua__stack *stack, char *low, size_t size)
{
    stack->low = low;
    stack->size = size;
#ifdef STACK_VALGRIND
    stack->valgrind_id = VALGRIND_STACK_REGISTER(low, low + size);
#endif
#if SKUA__ASAN
    ASAN_POISON_MEMORY_REGION(low, size);
#endif
}

static void stack_forget(struct skua__stack *stack)
{
#ifdef STACK_VALGRIND
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
#if SKUA__ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack->low, stack->size);
#endif
    (void)stack;
}

/* Maps a slab: its stacks are a list. NULL when memory is out. */
static struct skua__stack_slab *stack_slab_make(struct skua__stack_depot *depot,
                                                unsigned stack_class)
{
    size_t size = depot->sizes[stack_class];
    size_t step = depot->page + size;
    struct skua__stack_slab *slab = skua__os_alloc_aligned(sizeof *slab, SKUA__CACHE_LINE);

    if (slab == NULL)
        return NULL;
    slab->map_size = step * SKUA__STACK_BATCH;
    slab->map = skua__os_map(slab->map_size);
    if (slab->map == NULL) {
        skua__os_free(slab);
        return NULL;
    }
    for (unsigned i = 0; i < SKUA__STACK_BATCH; i++) {
        struct skua__stack *stack = &slab->stacks[i];
        char *guard = slab->map + i * step;

        stack->stack_class = (uint8_t)stack_class;
        stack->guarded = skua__os_guard(guard, depot->page) == 0;
        stack->next = i + 1 < SKUA__STACK_BATCH ? stack + 1 : NULL;
        stack_describe(stack, guard + depot->page, size);
        if (!stack->guarded)
            skua__add_relaxed(&depot->unguarded, 1);
    }
    return slab;
}

static void stack_slab_free(struct skua__stack_slab *slab)
{
    for (unsigned i = 0; i < SKUA__STACK_BATCH; i++)
        stack_forget(&slab->stacks[i]);
    skua__os_unmap(slab->map, slab->map_size);
    skua__os_free(slab);
}

/* ---- the depot ------------------------------------------------------------------------------- */

static void stack_push_batch(struct skua__stack **list, struct skua__stack *batch)
{
    batch->next_batch = *list;
    *list = batch;
}

static struct skua__stack *stack_pop_batch(struct skua__stack **list)
{
    struct skua__stack *batch = *list;

    if (batch != NULL)
        *list = batch->next_batch;
    return batch;
}

/* A batch from the depot, or NULL. */
static struct skua__stack *stack_depot_take(struct skua__stack_depot *depot, unsigned stack_class)
{
    struct skua__stack *batch;

    skua__lock_take(&depot->lock);
    batch = stack_pop_batch(&depot->warm[stack_class]);
    if (batch != NULL)
        depot->warm_len[stack_class]--;
    else
        batch = stack_pop_batch(&depot->cold[stack_class]);
    skua__lock_drop(&depot->lock);
    return batch;
}

/* Keeps the batch warm if there are not enough such. */
static bool stack_depot_keep(struct skua__stack_depot *depot, unsigned stack_class,
                             struct skua__stack *batch)
{
    bool keep;

    skua__lock_take(&depot->lock);
    keep = depot->warm_len[stack_class] < STACK_WARM_BATCHES;
    if (keep) {
        stack_push_batch(&depot->warm[stack_class], batch);
        depot->warm_len[stack_class]++;
    }
    skua__lock_drop(&depot->lock);
    return keep;
}

static void stack_depot_give(struct skua__stack_depot *depot, unsigned stack_class,
                             struct skua__stack *batch, unsigned len)
{
    batch->batch_len = len;
    if (stack_depot_keep(depot, stack_class, batch))
        return;
    /* Nobody else knows the batch: its pages are given back without the lock. */
    for (struct skua__stack *stack = batch; stack != NULL; stack = stack->next)
        skua__os_decommit(stack->low, stack->size);
    skua__lock_take(&depot->lock);
    stack_push_batch(&depot->cold[stack_class], batch);
    skua__lock_drop(&depot->lock);
}

void skua__stack_depot_init(struct skua__stack_depot *depot,
                            const size_t sizes[SKUA__STACK_CLASSES])
{
    *depot = (struct skua__stack_depot){.page = skua__os_page_size()};
    for (unsigned i = 0; i < SKUA__STACK_CLASSES; i++)
        depot->sizes[i] =
            skua__round_up(skua__max_size(sizes[i], SKUA__STACK_SIZE_MIN), depot->page);
}

/* How many stacks the batches of a list hold; also looks whether each batch is whole. */
static size_t stack_depot_sum(const struct skua__stack *batch)
{
    size_t sum = 0;

    for (; batch != NULL; batch = batch->next_batch) {
        unsigned len = 0;

        for (const struct skua__stack *stack = batch; stack != NULL; stack = stack->next)
            len++;
        skua__assert(len == batch->batch_len);
        sum += len;
    }
    return sum;
}

void skua__stack_depot_done(struct skua__stack_depot *depot)
{
    size_t sum = 0;

    for (unsigned i = 0; i < SKUA__STACK_CLASSES; i++)
        sum += stack_depot_sum(depot->warm[i]) + stack_depot_sum(depot->cold[i]);
    skua__assert(sum == skua__stack_count(depot)); /* else a fiber is still somewhere */
    while (depot->slabs != NULL) {
        struct skua__stack_slab *slab = depot->slabs;

        depot->slabs = slab->next;
        stack_slab_free(slab);
    }
}

/* ---- the slow halves of a cache -------------------------------------------------------------- */

void skua__stack_cache_init(struct skua__stack_cache *cache, struct skua__stack_depot *depot)
{
    *cache = (struct skua__stack_cache){.depot = depot};
}

void skua__stack_cache_done(struct skua__stack_cache *cache)
{
    for (unsigned i = 0; i < SKUA__STACK_CLASSES; i++) {
        if (cache->free[i] != NULL)
            stack_depot_give(cache->depot, i, cache->free[i], cache->free_len[i]);
        if (cache->spare[i] != NULL)
            stack_depot_give(cache->depot, i, cache->spare[i], SKUA__STACK_BATCH);
        cache->free[i] = NULL;
        cache->free_len[i] = 0;
        cache->spare[i] = NULL;
    }
}

/* The list is empty: fills it, or says -ENOMEM. */
SKUA__COLD int skua__stack_take_slow(struct skua__stack_cache *cache, unsigned stack_class)
{
    struct skua__stack_depot *depot = cache->depot;
    struct skua__stack *batch = cache->spare[stack_class];
    struct skua__stack_slab *slab;

    skua__assert(stack_class < SKUA__STACK_CLASSES && cache->free_len[stack_class] == 0);
    cache->spare[stack_class] = NULL;
    cache->free_len[stack_class] = SKUA__STACK_BATCH;
    if (batch == NULL) {
        batch = stack_depot_take(depot, stack_class);
        if (batch != NULL)
            cache->free_len[stack_class] = batch->batch_len;
    }
    cache->free[stack_class] = batch;
    if (batch != NULL)
        return 0;
    slab = stack_slab_make(depot, stack_class);
    if (slab == NULL) {
        cache->free_len[stack_class] = 0;
        return -ENOMEM;
    }
    cache->free[stack_class] = slab->stacks;
    skua__lock_take(&depot->lock);
    slab->next = depot->slabs;
    depot->slabs = slab;
    skua__lock_drop(&depot->lock);
    skua__add_relaxed(&depot->count, SKUA__STACK_BATCH);
    return 0;
}

/* The list is full: it becomes the spare, and the old spare goes to the depot. */
SKUA__COLD void skua__stack_give_slow(struct skua__stack_cache *cache, unsigned stack_class)
{
    struct skua__stack *spare = cache->spare[stack_class];

    skua__assert(cache->free_len[stack_class] == SKUA__STACK_BATCH);
    if (spare != NULL)
        stack_depot_give(cache->depot, stack_class, spare, SKUA__STACK_BATCH);
    cache->spare[stack_class] = cache->free[stack_class];
    cache->free[stack_class] = NULL;
    cache->free_len[stack_class] = 0;
}

/* ---- overflow -------------------------------------------------------------------------------- */

bool skua__stack_canary_check(const struct skua__stack *stack)
{
    const uint64_t *words = (const uint64_t *)(const void *)stack->low;
    uint64_t any = 0;

    for (unsigned i = 0; i < STACK_CANARY_WORDS; i++)
        any |= words[i];
    return any == 0;
}

bool skua__stack_guard_holds(const struct skua__stack *stack, const void *addr)
{
    uintptr_t low = (uintptr_t)stack->low;

    return stack->guarded && (uintptr_t)addr < low && (uintptr_t)addr >= low - skua__os_page_size();
}

#undef STACK_VALGRIND
#undef STACK_WARM_BATCHES
#undef STACK_CANARY_WORDS
