/* expire.h - the fiber that throws away keys whose time has come.
 *
 * A key past its time is never seen by a command anyway (store_find looks); the fiber is there so
 * that keys nobody asks for do not stay. It sleeps until the first expiry of all shards, and a
 * command that sets an earlier one rings its bell.
 */
#ifndef MINI_REDIS_EXPIRE_H
#define MINI_REDIS_EXPIRE_H

#include "bell.h"
#include "store/store.h"

struct expirer {
    struct store *store; /* constant */
    struct bell bell;
    _Atomic int64_t sleeps_until; /* ms; HEAP_NEVER also while it looks around */
};

void expirer_init(struct expirer *expirer, struct store *store);
void expirer_done(struct expirer *expirer);

/* The fiber; `arg` is the expirer. Runs until it is cancelled. */
int expirer_run(void *arg);

/* A key will expire at `when`, ms. Call it after the key's lock was given back. */
void expirer_tell(struct expirer *expirer, int64_t when);

/* The server's clock: monotonic milliseconds. */
int64_t clock_ms(void);

#endif
