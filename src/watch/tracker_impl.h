/* tracker_impl.h - the task tracker's table.
 *
 * 16 parts, by the hash of a task's runtime and id. A part has slots, found by chains of a hash
 * table, and a ring of tasks that ended. A task keeps its slot as long as it lives, so that who
 * goes through the slots a few at a time sees it once.
 *
 * Guards     all of a part: its lock, a spin lock. It is taken in the middle of the library, by
 *            whoever runs, wakes or spawns a task: so its sections are a few dozen instructions and
 *            call nothing. The parts are static: an event that is under way while the tracker stops
 *            finds no slots there, and leaves.
 */
#ifndef SKUA_WATCH_TRACKER_IMPL_H
#define SKUA_WATCH_TRACKER_IMPL_H

#include <errno.h>
#include <string.h>

#include <skua/probe.h>
#include <skua/runtime.h>
#include <skua/task_tracker.h>
#include <skua/time.h>
#include <skua/trace.h>

#include "base/lock.h"
#include "os/os.h"

#define SKUA__TRACK_PARTS 16u

struct skua__track_slot {
    skua_tracked_task task; /* id 0: the slot is free */
    uint64_t listing; /* the newest one that has seen it, or that was under way at its birth */
    int64_t touched;  /* when something happened to it last, ns */
    uint32_t next;    /* in its chain, or among the free ones: a slot's number + 1 */
};

struct skua__track_part {
    struct skua__lock lock;
    struct skua__track_slot *slots; /* NULL: the tracker is not started */
    uint32_t *chains;               /* a slot's number + 1; as many as slots_max, a power of 2 */
    skua_tracked_task *ring;
    uint32_t slots_max, ring_max;
    uint32_t fresh;   /* slots that were ever used */
    uint32_t free;    /* a slot's number + 1 */
    uint32_t ring_at; /* where the next one goes */
    uint64_t spawned, done, dropped;
} SKUA__ALIGNED(SKUA__CACHE_LINE);

extern struct skua__track_part skua__track_parts[SKUA__TRACK_PARTS];
/* Of runtimes' tasks, so far: several may be under way. Acquire, release. */
extern _Atomic uint64_t skua__track_listings;

/* The part, and which chain of it, before that is cut to their number. */
struct skua__track_part *skua__track_part_of(const skua_runtime *runtime, skua_task_id id,
                                             uint32_t *ret_chain);
/* Under the lock, as the next one. NULL: it is not there; there is no room. */
struct skua__track_slot *skua__track_find(struct skua__track_part *part, uint32_t chain,
                                          const skua_runtime *runtime, skua_task_id id);
struct skua__track_slot *skua__track_insert(struct skua__track_part *part, uint32_t chain,
                                            skua_runtime *runtime, skua_task_id id,
                                            const skua_site *site, int64_t now);
/* It is gone, and nothing is kept of it. */
void skua__track_remove(struct skua__track_part *part, uint32_t chain,
                        struct skua__track_slot *slot);
/* Of those that ended the newest with this id; NULL. */
const skua_tracked_task *skua__track_ended(const struct skua__track_part *part,
                                           const skua_runtime *runtime, skua_task_id id);

#endif
