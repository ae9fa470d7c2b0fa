/* single_flight.h - the same work once, however many ask for it at the same time.
 *
 * The first caller with a key does the work; whoever comes with the same key meanwhile waits, and
 * gets a copy of the result. So a cache entry that has expired is fetched once, and not by each of
 * a thousand requests. Nothing is kept: who comes after the end does the work again.
 *
 *     static skua_single_flight flights = SKUA_SINGLE_FLIGHT_INIT;
 *
 *     rc = skua_single_flight_do(&flights, name, strlen(name), load_user, &request,
 *                                &user, sizeof user, NULL);
 *
 * Memory     a flight lives in the frames of its callers: nothing is allocated.
 * Ends       a leader whose own task is cancelled or out of time does not end the others' wait: the
 *            first of them takes over, with its own work.
 * Source     golang.org/x/sync/singleflight; unlike there a result is copied, and not shared.
 */
#ifndef SKUA_SINGLE_FLIGHT_H
#define SKUA_SINGLE_FLIGHT_H

#include <skua/sync.h>

SKUA_C_BEGIN

/* Flights under way, by key. In the caller's memory; needs no free. Zeroed memory is one, too. Its
 * members are private. */
typedef struct skua_single_flight {
    struct skua__flight *flights[16]; /* lock */
    uint8_t lock;
} skua_single_flight;

#define SKUA_SINGLE_FLIGHT_INIT                                                                    \
    {                                                                                              \
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0                                        \
    }

/* Does the work for a key, or waits for whoever is doing it.
 *
 * key        `key_len` bytes, compared as such; the caller's, until this returns. NULL with 0
 * fn         the work: 0 or more, with its result written to `out`; or a negative code. It runs in
 *            the first caller, and may wait where that may
 * arg        the caller's, for its own fn
 * out        `out_size` bytes of the caller's; who waited has it untouched when the work failed;
 *            NULL with 0
 * out_size   the same for all calls with a key
 * shared     receives 1 when the result went to several callers, else 0; NULL = not wanted;
 *            untouched when this caller has got none
 * Returns    fn's, this caller's or the one's that it waited for; -ECANCELED, -ETIMEDOUT: this
 *            caller's own end in its wait; -EINVAL: the flight under way has another `out_size`;
 *            -EDEADLK: called by the leader inside its own work; SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads; there is no future of it, as the work runs in its caller
 * Cancel     safe: who leaves, leaves the others' flight as it is
 * Since      0.2
 */
SKUA_API int skua_single_flight_do(skua_single_flight *flights, const void *key, size_t key_len,
                                   int (*fn)(void *arg, void *out), void *arg, void *out,
                                   size_t out_size, int *shared);

/* Has the next caller do the work anew, while those who wait now get what is under way. For keys
 * whose value has just changed.
 *
 * Returns    1: there was a flight; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_single_flight_forget(skua_single_flight *flights, const void *key,
                                       size_t key_len);

SKUA_C_END

#endif
