/* batch.h - what many fibers ask for one by one, done together: group commit.
 *
 * A transaction that is to survive a crash waits for the disk. A hundred of them in a row wait a
 * hundred times; a hundred orders in one transaction wait once. So who wants something written puts
 * it in a line and waits; a fiber takes all that is in the line, has it done, and tells everybody.
 * What comes meanwhile is the next batch: alone, nobody waits for company.
 */
#ifndef ORDERS_BATCH_H
#define ORDERS_BATCH_H

#include <pthread.h>
#include <skua/skua.h>
#include <stdbool.h>

/* One of a batch; first member of a struct with what is to be done. In its asker's stack. */
struct batch_item {
    struct batch_item *next;
    int rc; /* set by who does it */
    bool taken;
    skua_event done;
};

/* Does all of a chain, and says in each .rc what became of it. */
typedef void (*batch_fn)(void *ctx, struct batch_item *first);

struct batch {
    batch_fn run;
    void *ctx;
    skua_task *task;
    skua_notify work;
    pthread_mutex_t lock; /* of the rest, and of .next and .taken of those in the line */
    struct batch_item *first, **last;
    bool closing;
};

/* Starts the fiber, which also serves while the program is being stopped: until batch_close. */
int batch_open(struct batch *self, batch_fn run, void *ctx);

/* Has an item done, and waits for it. Returns its .rc; -ECANCELED, -ETIMEDOUT: it was still in the
 * line, and was not done; SKUA_ECLOSED. One that was taken is waited for whatever happens. */
int batch_add(struct batch *self, struct batch_item *item);

/* Nobody adds any more. */
void batch_close(struct batch *self);

#endif
