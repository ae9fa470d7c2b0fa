/* expire.c - sleeping until the next expiry, without missing an earlier one.
 *
 * The fiber publishes until when it will sleep; a command compares. What could be missed is a key
 * that is set in a shard which was already looked at, before the result is published. So the fiber
 * first publishes "never", then looks: a command that comes too late for the look then finds
 * "never", or the new moment, and rings. The shard's lock orders the two.
 */
#include <errno.h>

#include "expire.h"

#define EXPIRE_BATCH 128 /* keys a shard's lock is held for: about 20 µs */

int64_t clock_ms(void)
{
    return skua_now() / SKUA_MILLISECOND;
}

void expirer_init(struct expirer *expirer, struct store *store)
{
    expirer->store = store;
    atomic_init(&expirer->sleeps_until, HEAP_NEVER);
    bell_init(&expirer->bell);
}

void expirer_done(struct expirer *expirer)
{
    bell_done(&expirer->bell);
}

void expirer_tell(struct expirer *expirer, int64_t when)
{
    int64_t until = atomic_load(&expirer->sleeps_until);

    while (when < until) {
        if (!atomic_compare_exchange_weak(&expirer->sleeps_until, &until, when))
            continue;
        bell_ring(&expirer->bell); /* once: the next later one sees that it is known */
        return;
    }
}

/* Throws away what is due; yields between batches, so that a million keys that expire together
 * hold up nobody. Returns the next expiry, ms. */
static int64_t expirer_sweep(struct expirer *expirer)
{
    int64_t next = HEAP_NEVER;

    for (unsigned shard = 0; shard < STORE_SHARDS; shard++) {
        int64_t now = clock_ms();
        int64_t first;

        while ((first = store_sweep(expirer->store, shard, now, EXPIRE_BATCH)) <= now)
            if (skua_yield() != 0)
                return now; /* cancelled; the wait will tell */
        next = first < next ? first : next;
    }
    return next;
}

int expirer_run(void *arg)
{
    struct expirer *expirer = arg;
    int64_t rc;

    do {
        int64_t next;
        int64_t never = HEAP_NEVER;

        atomic_store(&expirer->sleeps_until, HEAP_NEVER);
        next = expirer_sweep(expirer);
        /* Whoever told us meanwhile has rung already, and put in an earlier moment than never. */
        atomic_compare_exchange_strong(&expirer->sleeps_until, &never, next);
        rc = bell_wait_until(&expirer->bell, next < SKUA_FOREVER / SKUA_MILLISECOND
                                                 ? next * SKUA_MILLISECOND
                                                 : SKUA_FOREVER);
    } while (rc == 0 || rc == -ETIMEDOUT);
    return (int)rc;
}
