/* measure_impl.h - measures: names, and cells of numbers, one for each thread and name.
 *
 * Guards     a cell is written by the thread that has its block, and read by anybody: all of it is
 *            atomic. Resetting a measure gives it another epoch. The writer notices that at its
 *            next value: it marks the cell as of no epoch, clears it, and marks it as of the new
 *            one. Who reads a cell looks at its epoch before and after: of another one it is
 *            nobody's.
 *            Blocks are never freed: a thread that ends gives its own back, with all that it has
 *            counted, and the next thread goes on with it.
 */
#ifndef SKUA_WATCH_MEASURE_IMPL_H
#define SKUA_WATCH_MEASURE_IMPL_H

#include <errno.h>
#include <string.h>

#include <skua/monitor.h>
#include <skua/time.h>

#include "base/lock.h"
#include "os/os.h"

#define SKUA__MEASURES 256u /* the first one is nobody's */

/* Values below EXACT have a bucket each; above, each power of two up to TOP has 32. Greater ones
 * share the last bucket. */
#define SKUA__MEASURE_STEPS 32u
#define SKUA__MEASURE_EXACT 64u
#define SKUA__MEASURE_EXACT_BITS 6u
#define SKUA__MEASURE_TOP_BITS 44u
#define SKUA__MEASURE_BUCKETS                                                                      \
    (SKUA__MEASURE_EXACT +                                                                         \
     (SKUA__MEASURE_TOP_BITS - SKUA__MEASURE_EXACT_BITS) * SKUA__MEASURE_STEPS + 1)

struct skua__measure_cell {
    _Atomic uint64_t epoch; /* of its numbers; 0: they are being cleared */
    _Atomic int64_t sum, min, max;
    _Atomic uint64_t buckets[SKUA__MEASURE_BUCKETS];
};

struct skua__measure_block {
    struct skua__measure_block *next;       /* of all; constant once it is there */
    struct skua__measure_block *next_spare; /* lock: measure_lock */
    _Atomic(struct skua__measure_cell *) cells[SKUA__MEASURES]; /* release, acquire: it is zeroed */
};

/* A name. Constant once its index is given out, but for the atomics. */
struct skua__measure_entry {
    const char *name, *unit;
    _Atomic uint64_t epoch; /* from 1 */
    _Atomic int64_t since;
};

extern struct skua__measure_entry skua__measure_entries[SKUA__MEASURES];
extern _Atomic uint32_t skua__measure_count; /* of indices, with the first; acquire, release */
extern _Atomic(struct skua__measure_block *) skua__measure_blocks; /* acquire, release */
extern _Atomic uint64_t skua__measure_lost;                        /* relaxed: a number */

#endif
