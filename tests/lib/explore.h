/* explore.h - small worlds that are run in 1,000 orders: what the tests of tests/explore share.
 *
 *     EXPLORE(mutex_has_one_holder)     // the body is a fiber, which runs once for each seed
 *     {
 *         struct explore_crew crew;
 *
 *         explore_open(&crew);
 *         explore_add(&crew, worker, &world);
 *         explore_cancel_some(&crew, 0, 2);
 *         (void)explore_join(&crew);
 *         CHECK_EQ(world.holders, 0);
 *         return 0;
 *     }
 *
 * A check that fails ends the exploration, and the seed is told. So does a world in which every
 * task waits: a lost wake is a deadlock.
 *
 * Line       explore_wait is a future around the wait of a lock or channel that knows its place in
 *            line: when it is let in, nobody who came before it may still be queued.
 */
#ifndef SKUA_TESTS_EXPLORE_H
#define SKUA_TESTS_EXPLORE_H

#include "harness.h"

/* How many orders: as many as a plain build can try in some tenths of a second. */
#define EXPLORE_ORDERS ((unsigned)TEST_COUNT(1000))
/* The unit of all sleeps: the clock is virtual, so that many of them end at the same moment. */
#define EXPLORE_UNIT SKUA_SECOND

#define EXPLORE(name)                                                                              \
    static int name##_world(void *arg);                                                            \
    TEST(name)                                                                                     \
    {                                                                                              \
        explore_orders(name##_world);                                                              \
    }                                                                                              \
    static int name##_world(TEST_UNUSED void *arg)

/* Runs a world in EXPLORE_ORDERS orders, until a check fails. */
void explore_orders(skua_fiber_fn fn);

/* 0 to n - 1. */
unsigned explore_pick(unsigned n);
/* Nothing, a yield, or a sleep of up to two units: 0, -ECANCELED or -ETIMEDOUT. */
int explore_wander(void);
/* The same for what must be done even by a task that is cancelled: others come in between. */
void explore_dawdle(void);
/* Some units from now. */
int64_t explore_soon(unsigned units);
/* A sleep of up to two units, for the side of a select that ends it. */
skua_future *explore_nap(skua_sleep_future *sleep);

/* ---- tasks that may be cancelled ------------------------------------------------------------- */

#define EXPLORE_CREW_MAX 16

struct explore_crew {
    skua_scope scope;
    unsigned count;
    skua_task *tasks[EXPLORE_CREW_MAX];
};

void explore_open(struct explore_crew *crew);
void explore_add(struct explore_crew *crew, skua_fiber_fn fn, void *arg);
void explore_add_poll(struct explore_crew *crew, skua_poll_fn fn, const void *state, size_t size);
/* Wanders, and cancels one of those from number `first` on; up to `most` times. */
void explore_cancel_some(struct explore_crew *crew, unsigned first, unsigned most);
/* Waits for all; the scope's verdict. */
int explore_join(struct explore_crew *crew);

/* ---- a line ---------------------------------------------------------------------------------- */

struct explore_wait;

/* Those that were told to wait, and do not know better yet. */
struct explore_line {
    struct explore_wait *first, *last;
    bool unordered; /* not first in, first out: only who is queued counts */
    int passed_on;  /* dropped after they had been granted */
};

struct explore_wait {
    skua_future future;
    skua_sync_future inner;
    struct explore_line *line;
    struct explore_wait *next, *prev;
    bool linked;
    bool ready;     /* it has answered: its own, and still there afterwards, as the next one */
    bool passed_on; /* dropped after it had been granted */
};

/* Makes a future of `wait->inner`, which the caller has made before. */
skua_future *explore_wait_init(struct explore_wait *wait, struct explore_line *line);
/* How many are in line, without those that are granted already. */
int explore_queued(const struct explore_line *line);

#endif
