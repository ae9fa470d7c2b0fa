/* probe.c - the listeners, and how an event reaches them.
 *
 * A fixed row of places, each a pointer to a listener in static memory; changes are under a lock,
 * readers take none. A listener that leaves is still valid for those who have just read it: its
 * memory is for ever, as probe.h asks.
 */
#include <errno.h>

#include "base/lock.h"
#include "os/os.h"
#include "probe/probe.h"

_Atomic(uint32_t) skua__probe_mask;

static struct skua__lock probe_lock;
static uint32_t probe_own;            /* lock: probe_lock */
static _Atomic(uint32_t) probe_heard; /* what listeners want; a hint, too */
static _Atomic(const skua_probe_listener *) probe_places[SKUA_PROBE_LISTENERS]; /* written under
                                                                                   probe_lock */

/* Under probe_lock: what all of them want. */
static void probe_mask_renew(void)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < SKUA_PROBE_LISTENERS; i++) {
        const skua_probe_listener *listener = skua__load_relaxed(&probe_places[i]);

        if (listener != NULL)
            mask |= listener->kinds;
    }
    skua__store_relaxed(&probe_heard, mask);
    skua__store_relaxed(&skua__probe_mask, mask | probe_own); /* a hint: see probe.h */
}

static int probe_place_of(const skua_probe_listener *listener)
{
    for (int i = 0; i < SKUA_PROBE_LISTENERS; i++)
        if (skua__load_relaxed(&probe_places[i]) == listener)
            return i;
    return -1;
}

int skua_probe_attach(const skua_probe_listener *listener)
{
    int rc = -EBUSY;
    int place;

    if (listener == NULL || listener->size != sizeof *listener || listener->event == NULL)
        return -EINVAL;
    if ((listener->kinds & SKUA_PROBE_ALL) == 0 || (listener->kinds & ~SKUA_PROBE_ALL) != 0)
        return -EINVAL;
    skua__os_lock_over_fork(&probe_lock);
    skua__lock_take(&probe_lock);
    place = probe_place_of(NULL);
    if (place >= 0 && probe_place_of(listener) < 0) {
        /* Release: who reads the pointer reads the listener's fields. */
        skua__store_release(&probe_places[place], listener);
        probe_mask_renew();
        rc = 0;
    }
    skua__lock_drop(&probe_lock);
    return rc;
}

int skua_probe_detach(const skua_probe_listener *listener)
{
    int place = -1;

    skua__os_lock_over_fork(&probe_lock);
    skua__lock_take(&probe_lock);
    if (listener != NULL)
        place = probe_place_of(listener);
    if (place >= 0) {
        skua__store_release(&probe_places[place], NULL);
        probe_mask_renew();
    }
    skua__lock_drop(&probe_lock);
    return place >= 0 ? 0 : -ENOENT;
}

void skua__probe_own(uint32_t more, uint32_t less)
{
    skua__os_lock_over_fork(&probe_lock);
    skua__lock_take(&probe_lock);
    probe_own = (probe_own & ~less) | more;
    probe_mask_renew();
    skua__lock_drop(&probe_lock);
}

/* What a listener left in an operation is not shown to another that has its place since. */
static void probe_room(const skua_probe_event *event, const skua_probe_listener *listener)
{
    skua_probe_op *op = event->op;

    if (event->kind == SKUA_PROBE_BEGUN)
        op->told[event->place] = listener;
    else if (op->told[event->place] != listener)
        op->room[event->place] = NULL;
}

void skua__probe_emit(skua_probe_event *event)
{
    if (!(skua__load_relaxed(&probe_heard) & SKUA_PROBE_BIT(event->kind)))
        return; /* the library alone wants it */
    for (unsigned i = 0; i < SKUA_PROBE_LISTENERS; i++) {
        /* Acquire pairs with the release in skua_probe_attach: the listener's fields. */
        const skua_probe_listener *listener = skua__load_acquire(&probe_places[i]);

        if (listener == NULL || !(listener->kinds & SKUA_PROBE_BIT(event->kind)))
            continue;
        event->place = i;
        if (event->op != NULL)
            probe_room(event, listener);
        listener->event(event, listener->arg);
    }
}
