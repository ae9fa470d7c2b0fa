/* bell.h - a future of one's own: wait until somebody rings.
 *
 * One fiber waits, anybody rings. A ring that comes while nobody waits is kept, ten of them are
 * kept as one: who is woken looks at everything there is to do. In this server the expiry fiber
 * and the fibers that push messages to subscribers sleep on one.
 */
#ifndef MINI_REDIS_BELL_H
#define MINI_REDIS_BELL_H

#include <pthread.h>
#include <stdbool.h>

#include <skua/skua.h>

struct bell {
    pthread_mutex_t lock;
    bool rung;         /* lock */
    skua_waker *waker; /* lock: of the fiber that waits; one reference */
};

void bell_init(struct bell *bell);
void bell_done(struct bell *bell);

/* Rings. Never waits; any thread or fiber. */
void bell_ring(struct bell *bell);

/* Waits for a ring, on a fiber.
 *
 * Returns    0: it was rung; -ETIMEDOUT at `deadline`; -ECANCELED
 */
int64_t bell_wait_until(struct bell *bell, int64_t deadline);

#endif
