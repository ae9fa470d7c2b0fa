/* pubsub.h - channels, and the second fiber of a connection that subscribes.
 *
 * A message comes from another connection's fiber, on any worker, at any time; but a socket has
 * one writer. So from its first SUBSCRIBE on a connection has an outbox: everything for it, replies
 * and messages alike, goes in there in order, and a pushing fiber of its own writes it out.
 *
 *     PUBLISH ---+
 *     PUBLISH ---+--> outbox (a reply under a lock) --bell--> pushing fiber --> socket
 *     own replies +
 *
 * An outbox has a limit (--max-output). A subscriber who does not read is cut off when it is
 * reached; whoever publishes never waits for a reader.
 */
#ifndef MINI_REDIS_PUBSUB_H
#define MINI_REDIS_PUBSUB_H

#include <skua/skua.h>

#include "bell.h"
#include "reply.h"
#include "store/dict.h"

struct pubsub {
    pthread_mutex_t lock; /* taken before an outbox's */
    struct dict channels; /* lock: of struct channel */
};

struct subscriber {
    struct pubsub *pubsub; /* constant, as the next four */
    skua_tcp *tcp;
    skua_runtime *runtime;
    skua_task_id reader; /* the connection's fiber: cancelled to cut it off */
    size_t output_max;
    skua_scope scope;     /* the reader's: answers for the pushing fiber */
    struct dict channels; /* the reader's alone: of struct subscription */

    struct bell bell;     /* something is in the outbox, or `closing` was set */
    pthread_mutex_t lock; /* the outbox: */
    struct reply waiting; /* lock; its limit leaves room for what is being written */
    bool closing;         /* lock: nothing will follow, write the rest and end */
    bool cut_off;         /* lock: the limit was reached */
};

void pubsub_init(struct pubsub *pubsub);
void pubsub_done(struct pubsub *pubsub);

/* Sends a message to a channel's subscribers. Returns how many there are. Never waits. */
size_t pubsub_publish(struct pubsub *pubsub, const char *channel, size_t channel_len,
                      const char *message, size_t message_len);

/* ---- for a connection's fiber ---------------------------------------------------------------- */

/* Opens an outbox for the calling fiber's connection, with a pushing fiber. Returns it, or NULL
 * when there is no fiber to be had. */
struct subscriber *subscriber_new(struct pubsub *pubsub, skua_tcp *tcp, size_t output_max);
/* Leaves every channel, lets the outbox empty itself for a moment, ends the pushing fiber. */
void subscriber_stop(struct subscriber *self);
/* Frees what was stopped. */
void subscriber_free(struct subscriber *self);

/* Moves replies to the outbox. Returns 0, or SKUA_ELIMIT: too many wait already. */
int subscriber_push(struct subscriber *self, struct reply *reply);

/* Both confirm through the outbox, so that no message comes before the confirmation. */
void subscriber_join(struct subscriber *self, const char *channel, size_t len);
void subscriber_leave(struct subscriber *self, const char *channel, size_t len);
void subscriber_leave_all(struct subscriber *self);

#endif
