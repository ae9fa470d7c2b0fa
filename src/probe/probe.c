/* probe.c - the listener's pointer.
 *
 * One for the process, changed by compare-and-swap: a second listener is told no instead of
 * silently taking the first one's place.
 */
#include "probe/probe.h"

_Atomic(const struct skua__probe_listener *) skua__probe_table;

bool skua__probe_listen(const struct skua__probe_listener *listener)
{
    const struct skua__probe_listener *none = NULL;

    if (listener == NULL) {
        skua__store_release(&skua__probe_table, NULL);
        return true;
    }
    return skua__cas_strong_acq_rel(&skua__probe_table, &none, listener);
}

void skua__probe_emit(const struct skua__probe_event *event)
{
    /* Acquire pairs with the compare-and-swap in skua__probe_listen: the listener's fields. */
    const struct skua__probe_listener *listener = skua__load_acquire(&skua__probe_table);

    if (listener != NULL)
        listener->event(event, listener->arg);
}
