/* cell.c - the depot behind the workers' cell caches.
 *
 * A cache that runs dry takes a batch of 128; one that holds two gives one back. Both are O(1):
 * a batch is a ready-made list, named by its first cell, whose next_child leads to the next batch.
 * What is not there is carved from the class's chunk; chunks are never given back or re-cut.
 *
 * The first 256 KiB of the arena hold the way back to the runtime (its first word) and one byte
 * for each chunk: its class + 1, or 0 while it is unused.
 */
#include "task/cell.h"

#include "task/task_impl.h"

#define CELL_HEAD_SIZE (4 * (uint64_t)SKUA__CHUNK_SIZE)
#define CELL_MAP_OFFSET 4096
#define CELL_COMMIT_STEP (UINT64_C(1) << 20)

static _Atomic uint8_t *cell_map(struct skua__cells *cells)
{
    return (_Atomic uint8_t *)(void *)(cells->base + CELL_MAP_OFFSET);
}

int skua__cells_init(struct skua__cells *cells, struct skua__core *core)
{
    cells->base = skua__os_reserve(SKUA__ARENA_SIZE, SKUA__ARENA_SIZE);
    if (cells->base == NULL)
        return -ENOMEM;
    if (skua__os_commit(cells->base, CELL_COMMIT_STEP) != 0) {
        skua__os_unmap(cells->base, SKUA__ARENA_SIZE);
        cells->base = NULL;
        return -ENOMEM;
    }
    cells->committed = CELL_COMMIT_STEP;
    cells->used = CELL_HEAD_SIZE;
    *(struct skua__core **)(void *)cells->base = core;
    return 0;
}

void skua__cells_done(struct skua__cells *cells)
{
    skua__os_unmap(cells->base, SKUA__ARENA_SIZE);
}

/* Gives the class a new chunk. Under the lock. */
static bool cell_add_chunk(struct skua__cells *cells, unsigned cell_class)
{
    uint64_t chunk = cells->used / SKUA__CHUNK_SIZE;
    size_t size = skua__cell_size(cell_class);

    if (cells->used + SKUA__CHUNK_SIZE > SKUA__ARENA_SIZE)
        return false;
    if (cells->used + SKUA__CHUNK_SIZE > cells->committed) {
        if (skua__os_commit(cells->base + cells->committed, CELL_COMMIT_STEP) != 0)
            return false;
        cells->committed += CELL_COMMIT_STEP;
    }
    cells->classes[cell_class].fresh = cells->base + cells->used;
    cells->classes[cell_class].fresh_end =
        cells->base + cells->used + SKUA__CHUNK_SIZE / size * size;
    cells->used += SKUA__CHUNK_SIZE;
    skua__bump_by(&cells->bytes, SKUA__CHUNK_SIZE);
    /* Release pairs with the acquire in skua__cell_at: the chunk is usable before it is found. */
    skua__store_release(&cell_map(cells)[chunk], (uint8_t)(cell_class + 1));
    return true;
}

/* Makes a list of up to `want` cells that never were; their states say "ended". Under the lock. */
static uint32_t cell_carve(struct skua__cells *cells, unsigned cell_class, unsigned want,
                           unsigned *ret_count)
{
    struct skua__cell_class *class = &cells->classes[cell_class];
    size_t size = skua__cell_size(cell_class);
    uint32_t head = 0;
    unsigned count = 0;

    if (class->fresh == class->fresh_end && !cell_add_chunk(cells, cell_class))
        return 0;
    while (count < want && class->fresh != class->fresh_end) {
        struct skua_task *task = (struct skua_task *)(void *)class->fresh;

        class->fresh += size;
        skua__store_relaxed(&task->generation, 1);
        skua__store_relaxed(&task->state, SKUA__DONE);
        task->cell_class = (uint8_t)cell_class;
        task->next = head;
        head = skua__cell_index(task);
        count++;
    }
    *ret_count = count;
    return head;
}

static uint32_t cell_pop_batch(struct skua__cells *cells, unsigned cell_class)
{
    struct skua__cell_class *class = &cells->classes[cell_class];
    uint32_t batch = class->batches;

    if (batch != 0)
        class->batches = skua__cell_of(cells->base, batch)->next_child;
    return batch;
}

static struct skua_task *cell_take_loose(struct skua__cells *cells, unsigned cell_class)
{
    struct skua__cell_class *class = &cells->classes[cell_class];
    struct skua_task *task;
    unsigned count;

    if (class->loose == 0)
        class->loose = cell_pop_batch(cells, cell_class);
    if (class->loose == 0)
        class->loose = cell_carve(cells, cell_class, 1, &count);
    if (class->loose == 0)
        return NULL;
    task = skua__cell_of(cells->base, class->loose);
    class->loose = task->next;
    return task;
}

struct skua_task *skua__cell_take_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                                       unsigned cell_class)
{
    struct skua_task *task;
    unsigned count = SKUA__CELL_BATCH;
    uint32_t head;

    if (cache != NULL && cache->spare[cell_class] != 0) {
        head = cache->spare[cell_class];
        cache->spare[cell_class] = 0;
    } else {
        skua__lock_take(&cells->lock);
        if (cache == NULL) {
            task = cell_take_loose(cells, cell_class);
            skua__lock_drop(&cells->lock);
            return task;
        }
        head = cell_pop_batch(cells, cell_class);
        if (head == 0)
            head = cell_carve(cells, cell_class, SKUA__CELL_BATCH, &count);
        skua__lock_drop(&cells->lock);
        if (head == 0)
            return NULL;
    }
    task = skua__cell_of(cells->base, head);
    cache->head[cell_class] = task->next;
    cache->count[cell_class] = (uint16_t)(count - 1);
    return task;
}

void skua__cell_give_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                          struct skua_task *task)
{
    unsigned cell_class = task->cell_class;
    struct skua__cell_class *class = &cells->classes[cell_class];

    if (cache == NULL) {
        skua__lock_take(&cells->lock);
        task->next = class->loose;
        class->loose = skua__cell_index(task);
        skua__lock_drop(&cells->lock);
        return;
    }
    /* The list in use is full: it becomes the spare, and the old spare goes to the depot. */
    if (cache->spare[cell_class] != 0) {
        struct skua_task *batch = skua__cell_of(cells->base, cache->spare[cell_class]);

        skua__lock_take(&cells->lock);
        batch->next_child = class->batches;
        class->batches = cache->spare[cell_class];
        skua__lock_drop(&cells->lock);
    }
    cache->spare[cell_class] = cache->head[cell_class];
    task->next = 0;
    cache->head[cell_class] = skua__cell_index(task);
    cache->count[cell_class] = 1;
}

struct skua_task *skua__cell_at(struct skua__cells *cells, uint32_t index)
{
    uint64_t offset = (uint64_t)index << 3;
    uint64_t chunk = offset / SKUA__CHUNK_SIZE;
    unsigned mark;

    if (offset < CELL_HEAD_SIZE || offset >= SKUA__ARENA_SIZE)
        return NULL;
    mark = skua__load_acquire(&cell_map(cells)[chunk]); /* pairs with cell_add_chunk */
    if (mark == 0)
        return NULL;
    offset -= chunk * SKUA__CHUNK_SIZE;
    if (offset % skua__cell_size(mark - 1) != 0 ||
        offset + skua__cell_size(mark - 1) > SKUA__CHUNK_SIZE)
        return NULL;
    return skua__cell_of(cells->base, index);
}

void skua__cells_each(struct skua__cells *cells, void (*fn)(struct skua_task *task, void *arg),
                      void *arg)
{
    uint64_t chunks = SKUA__ARENA_SIZE / SKUA__CHUNK_SIZE;

    for (uint64_t chunk = CELL_HEAD_SIZE / SKUA__CHUNK_SIZE; chunk < chunks; chunk++) {
        unsigned mark = skua__load_acquire(&cell_map(cells)[chunk]); /* pairs with cell_add_chunk */
        size_t size;

        if (mark == 0)
            break; /* chunks are given out in order */
        size = skua__cell_size(mark - 1);
        for (size_t at = 0; at + size <= SKUA__CHUNK_SIZE; at += size)
            fn((struct skua_task *)(void *)(cells->base + chunk * SKUA__CHUNK_SIZE + at), arg);
    }
}
