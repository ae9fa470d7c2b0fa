/* os_slots.c - type-stable memory: slots of one kind are used again for that kind, and never freed.
 *
 * So who comes late, with a pointer to something that has ended, finds a slot of the same kind and
 * not somebody else's memory; whether it is still the same thing, the slot's owner can tell.
 *
 * Flow       skua__os_slot_take: the slot that was given back last, or a new one; give: it is free.
 * Lock       one for all kinds: a section is four instructions, and opening and closing is a system
 *            call or more beside it. So a fork has one lock to hold.
 * Memory     as many slots of a kind as were in use at a time.
 */
#include "base/lock.h"
#include "os/os.h"

static struct skua__lock slots_lock;

/* Where a free slot says which one is next; guarded by the lock. */
static void **slots_link(const struct skua__slots *slots, void *slot)
{
    return (void **)(void *)((char *)slot + slots->link);
}

void *skua__os_slot_take(struct skua__slots *slots)
{
    void *slot;

    /* Before the first section of all: a fork in the middle of it would leave it locked. */
    skua__os_lock_over_fork(&slots_lock);
    skua__lock_take(&slots_lock);
    slot = slots->free;
    if (slot != NULL)
        slots->free = *slots_link(slots, slot);
    skua__lock_drop(&slots_lock);
    return slot != NULL ? slot : skua__os_alloc_aligned(slots->size, SKUA__CACHE_LINE);
}

void skua__os_slot_give(struct skua__slots *slots, void *slot)
{
    skua__lock_take(&slots_lock);
    *slots_link(slots, slot) = slots->free;
    slots->free = slot;
    skua__lock_drop(&slots_lock);
}
