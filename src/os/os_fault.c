/* os_fault.c - makes the nth call of a kind fail, for tests.
 *
 * Every function of os.h that can fail asks skua__fault_hit first. A test arms one kind and walks
 * n from 1 to the number of calls a good run makes: so every error path runs once. A release
 * build defines no SKUA_FAULTS, and this file then holds nothing.
 *
 * The counters are process-wide and shared by all threads; arm while no other thread is in the
 * library, or accept that any of them may be the nth.
 */
#include "os/os.h"

#ifdef SKUA_FAULTS

#include "base/check.h"

/* One for each kind of call. */
struct fault_point {
    _Atomic unsigned calls; /* since the last arm */
    _Atomic unsigned nth;   /* the first call that fails; 0 = disarmed */
    _Atomic unsigned count; /* how many fail; written before nth */
    _Atomic int error;      /* positive errno; written before nth */
};

static struct fault_point fault_points[SKUA__FAULT_KINDS];

void skua__fault_arm(enum skua__fault kind, unsigned nth, unsigned count, int error)
{
    struct fault_point *point = &fault_points[kind];

    skua__assert(kind < SKUA__FAULT_KINDS && error >= 0);
    skua__store_seq(&point->nth, 0);
    skua__store_seq(&point->count, count);
    skua__store_seq(&point->error, error);
    skua__store_seq(&point->calls, 0);
    skua__store_seq(&point->nth, nth);
}

unsigned skua__fault_calls(enum skua__fault kind)
{
    return skua__load_seq(&fault_points[kind].calls);
}

int skua__fault_hit(enum skua__fault kind)
{
    struct fault_point *point = &fault_points[kind];
    unsigned call = skua__add_seq(&point->calls, 1) + 1;
    unsigned nth = skua__load_seq(&point->nth);

    /* Unsigned on purpose: a call before the nth is a huge distance away. */
    if (skua__likely(nth == 0 || call - nth >= skua__load_seq(&point->count)))
        return 0;
    return -skua__load_seq(&point->error);
}

#endif
