/* measure.c - measures are counted: the fast path of the performance monitor.
 *
 * Flow     a measure has an index, given to its name at its first value; a thread has a block, with
 *          a cell for each index that it uses. A value is one addition to a bucket, one to the sum,
 *          and two comparisons, all in the thread's own cell.
 */
#include "watch/measure_impl.h"

/* In place of an index: there was none left. */
#define MEASURE_NONE UINT32_MAX

struct skua__measure_entry skua__measure_entries[SKUA__MEASURES];
_Atomic uint32_t skua__measure_count = 1;
_Atomic(struct skua__measure_block *) skua__measure_blocks;
_Atomic uint64_t skua__measure_lost;

static struct skua__lock measure_lock;            /* names; spare blocks; the list of all blocks */
static struct skua__measure_block *measure_spare; /* lock: measure_lock */
static _Thread_local struct skua__measure_block *measure_mine;

/* ---- names ----------------------------------------------------------------------------------- */

/* Under the lock, which is held for as long as it takes to compare 255 names: once for a handle. */
static uint32_t measure_index(const char *name, const char *unit, int64_t now)
{
    uint32_t count = skua__load_relaxed(&skua__measure_count);
    uint32_t at = 1;

    while (at < count && strcmp(skua__measure_entries[at].name, name) != 0)
        at++;
    if (at == SKUA__MEASURES)
        return MEASURE_NONE;
    if (at < count)
        return at;
    skua__measure_entries[at].name = name;
    skua__measure_entries[at].unit = unit;
    skua__store_relaxed(&skua__measure_entries[at].epoch, 1);
    skua__store_relaxed(&skua__measure_entries[at].since, now);
    skua__store_release(&skua__measure_count, at + 1);
    return at;
}

static SKUA__COLD uint32_t measure_bind(skua_measure *measure)
{
    int64_t now = skua__os_now();
    uint32_t index;

    skua__os_lock_over_fork(&measure_lock);
    skua__lock_take(&measure_lock);
    index = measure_index(measure->name != NULL ? measure->name : "", measure->unit, now);
    skua__lock_drop(&measure_lock);
    /* Release: who reads the index finds the entry. */
    __atomic_store_n(&measure->index, index, __ATOMIC_RELEASE);
    return index;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void measure_thread_ended(void *arg)
{
    struct skua__measure_block *block = arg;

    measure_mine = NULL; /* a destructor that comes later takes another one */
    skua__lock_take(&measure_lock);
    block->next_spare = measure_spare;
    measure_spare = block;
    skua__lock_drop(&measure_lock);
}

static SKUA__COLD struct skua__measure_block *measure_enroll(void)
{
    struct skua__measure_block *block;

    skua__lock_take(&measure_lock);
    block = measure_spare;
    if (block != NULL)
        measure_spare = block->next_spare;
    skua__lock_drop(&measure_lock);
    if (block == NULL) {
        block = skua__os_alloc(sizeof *block);
        if (block == NULL)
            return NULL;
        skua__lock_take(&measure_lock);
        block->next = skua__load_relaxed(&skua__measure_blocks);
        skua__store_release(&skua__measure_blocks, block);
        skua__lock_drop(&measure_lock);
    }
    measure_mine = block;
    skua__os_at_thread_end(measure_thread_ended, block);
    return block;
}

/* Behind a call, as skua__thread_self is, and for its reason: a fiber may go on elsewhere. */
static SKUA__NOINLINE struct skua__measure_block *measure_block(void)
{
    struct skua__measure_block *block = measure_mine;

    __asm__ __volatile__("" : "+r"(block));
    return skua__likely(block != NULL) ? block : measure_enroll();
}

/* ---- values ---------------------------------------------------------------------------------- */

static unsigned measure_bucket(uint64_t value)
{
    unsigned top;

    if (value < SKUA__MEASURE_EXACT)
        return (unsigned)value;
    top = 63 - (unsigned)__builtin_clzll(value);
    if (top >= SKUA__MEASURE_TOP_BITS)
        return SKUA__MEASURE_BUCKETS - 1;
    return SKUA__MEASURE_EXACT + (top - SKUA__MEASURE_EXACT_BITS) * SKUA__MEASURE_STEPS +
           (unsigned)(value >> (top - 5) & (SKUA__MEASURE_STEPS - 1));
}

/* Release: who reads one of these zeros sees, behind it, that the cell is of no epoch. */
static SKUA__COLD void measure_clear(struct skua__measure_cell *cell, uint64_t epoch)
{
    skua__store_relaxed(&cell->epoch, 0);
    skua__store_release(&cell->sum, 0);
    skua__store_release(&cell->min, INT64_MAX);
    skua__store_release(&cell->max, INT64_MIN);
    for (unsigned i = 0; i < SKUA__MEASURE_BUCKETS; i++)
        skua__store_release(&cell->buckets[i], 0);
    skua__store_release(&cell->epoch, epoch);
}

/* This thread's cell of a measure, of the present epoch; NULL: no memory. */
static struct skua__measure_cell *measure_cell(uint32_t index)
{
    uint64_t epoch = skua__load_relaxed(&skua__measure_entries[index].epoch);
    struct skua__measure_block *block = measure_block();
    struct skua__measure_cell *cell;

    if (skua__unlikely(block == NULL))
        return NULL;
    cell = skua__load_relaxed(&block->cells[index]); /* its own */
    if (skua__unlikely(cell == NULL)) {
        cell = skua__os_alloc(sizeof *cell);
        if (cell == NULL)
            return NULL;
        skua__store_release(&block->cells[index], cell);
    }
    if (skua__unlikely(skua__load_relaxed(&cell->epoch) != epoch))
        measure_clear(cell, epoch);
    return cell;
}

void skua_measure_record(skua_measure *measure, int64_t value)
{
    uint32_t index = __atomic_load_n(&measure->index, __ATOMIC_ACQUIRE);
    struct skua__measure_cell *cell = NULL;
    uint64_t kept = value > 0 ? (uint64_t)value : 0;
    _Atomic uint64_t *bucket;

    if (skua__unlikely(index == 0))
        index = measure_bind(measure);
    if (skua__likely(index != MEASURE_NONE))
        cell = measure_cell(index);
    if (skua__unlikely(cell == NULL)) {
        skua__add_relaxed(&skua__measure_lost, 1);
        return;
    }
    /* A sum that is too large goes round, as the kernel's numbers do. */
    skua__store_relaxed(&cell->sum, (int64_t)((uint64_t)skua__load_relaxed(&cell->sum) + kept));
    if ((int64_t)kept < skua__load_relaxed(&cell->min))
        skua__store_relaxed(&cell->min, (int64_t)kept);
    if ((int64_t)kept > skua__load_relaxed(&cell->max))
        skua__store_relaxed(&cell->max, (int64_t)kept);
    bucket = &cell->buckets[measure_bucket(kept)];
    /* Release: who counts this value finds it in the others, too. */
    skua__store_release(bucket, skua__load_relaxed(bucket) + 1);
}

void skua_measure_begin(skua_measure_frame *frame, skua_measure *measure)
{
    frame->measure = measure;
    frame->open = 0;
    frame->start = skua__os_now();
}

int64_t skua_measure_end(skua_measure_frame *frame)
{
    skua_measure *measure = frame->measure;
    int64_t took;

    if (measure == NULL)
        return 0;
    took = skua__os_now() - frame->start;
    frame->measure = NULL;
    skua_measure_record(measure, took);
    return took;
}

uint64_t skua_monitor_lost(void)
{
    return skua__load_relaxed(&skua__measure_lost);
}

#undef MEASURE_NONE
