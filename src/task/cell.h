/* cell.h - the arena that task cells live in: type-stable, indexed by 32 bits.
 *
 * A runtime reserves 8 GiB of address space at a multiple of 8 GiB and makes it usable as it
 * grows. So a cell is named by its distance from the start in units of 8 bytes, a queue link takes
 * 4 bytes, and the runtime of a cell is found by masking its address. Chunks of 64 KiB hold cells
 * of one class (size) for ever; that is what makes late wakes and stale ids harmless.
 *
 * Flow       spawn -> skua__cell_take -> the task's life -> skua__cell_give -> the next spawn.
 * Layers     a cache per worker (owner only, no atomics): a list in use and a full spare; behind
 *            it the depot under a lock, which is visited once for 128 cells.
 * Cost       take and give: a few instructions on one cache line. 64 bytes more a task: nothing.
 */
#ifndef SKUA_TASK_CELL_H
#define SKUA_TASK_CELL_H

#include "base/lock.h"

#define SKUA__ARENA_SIZE (UINT64_C(8) << 30)
#define SKUA__CHUNK_SIZE 65536u
#define SKUA__CELL_CLASSES 18
#define SKUA__CELL_BATCH 128u
#define SKUA__CELL_MAX 4096u

struct skua_task;
struct skua__core;
struct skua__thread;

struct skua__cell_class {
    uint32_t batches; /* full lists of SKUA__CELL_BATCH, linked by next_child; lock */
    uint32_t loose;   /* single cells, linked by next; lock */
    char *fresh;      /* never used yet: from here … lock */
    char *fresh_end;  /* … to here; lock */
};

/* The depot: one per runtime. */
struct skua__cells {
    char *base; /* constant */
    struct skua__lock lock;
    uint64_t used;          /* bytes given to chunks, from base; lock */
    uint64_t committed;     /* bytes usable, from base; lock */
    _Atomic uint64_t bytes; /* of chunks, for the snapshot; relaxed */
    struct skua__cell_class classes[SKUA__CELL_CLASSES];
};

/* One per worker; owner thread only. */
struct skua__cell_cache {
    uint32_t head[SKUA__CELL_CLASSES];
    uint32_t spare[SKUA__CELL_CLASSES]; /* a full list, or 0 */
    uint16_t count[SKUA__CELL_CLASSES]; /* of the list at head */
};

int skua__cells_init(struct skua__cells *cells, struct skua__core *core);
void skua__cells_done(struct skua__cells *cells);

/* A cell of the class with its header as the last task left it, or NULL. cache: NULL on a thread
 * that is no worker of this runtime. */
struct skua_task *skua__cell_take_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                                       unsigned cell_class);
void skua__cell_give_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                          struct skua_task *task);

/* A cell for what belongs to a task and ends with it, behind a header that says "ended"; NULL: no
 * memory. (task_spawn.c, task_life.c) */
struct skua_task *skua__cell_spare_take(struct skua__core *core, struct skua__thread *self,
                                        size_t size);
void skua__cell_spare_give(struct skua__thread *self, struct skua_task *cell);

/* The cell that an index names, if it ever was one; NULL otherwise. For ids from outside. */
struct skua_task *skua__cell_at(struct skua__cells *cells, uint32_t index);
/* Calls fn for every cell that was ever made, in use or not. */
void skua__cells_each(struct skua__cells *cells, void (*fn)(struct skua_task *task, void *arg),
                      void *arg);

SKUA__INLINE uint32_t skua__cell_index(const void *cell)
{
    return (uint32_t)(((uintptr_t)cell & (SKUA__ARENA_SIZE - 1)) >> 3);
}

/* The cell of an index, given any cell (or the base) of the same arena. */
SKUA__INLINE struct skua_task *skua__cell_of(const void *sibling, uint32_t index)
{
    uintptr_t base = (uintptr_t)sibling & ~(uintptr_t)(SKUA__ARENA_SIZE - 1);

    return (struct skua_task *)(base + ((uintptr_t)index << 3));
}

SKUA__INLINE struct skua__core *skua__cells_core(const void *cell)
{
    return *(struct skua__core **)((uintptr_t)cell & ~(uintptr_t)(SKUA__ARENA_SIZE - 1));
}

/* The class for a size of 64 to SKUA__CELL_MAX bytes; a size that is a multiple of 16 or 64 gets
 * cells at multiples of 16 or 64. */
SKUA__INLINE unsigned skua__cell_class_of(size_t size)
{
    if (size <= 128)
        return (unsigned)((size - 64 + 7) / 8);
    if (size <= 512)
        return 9 + (unsigned)((size - 129) / 64);
    return size <= 1024 ? 15 : size <= 2048 ? 16 : 17;
}

SKUA__INLINE size_t skua__cell_size(unsigned cell_class)
{
    if (cell_class <= 8)
        return 64 + 8 * (size_t)cell_class;
    if (cell_class <= 14)
        return 192 + 64 * (size_t)(cell_class - 9);
    return (size_t)1024 << (cell_class - 15);
}

#endif
