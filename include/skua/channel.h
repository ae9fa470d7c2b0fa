/* channel.h - channels by names: what is seen of them from outside.
 *
 * A channel that is given a name is in a list of the process until it is freed, for monitors and
 * metrics: libskua-otel tells how many messages are in the channels of each name.
 *
 *     rc = skua_mpsc_new(&tx, &rx, sizeof(struct order), 1000);
 *     rc = skua_mpsc_set_name(rx, "orders");
 *
 * A channel without a name is in no list, and costs nothing for there being one.
 */
#ifndef SKUA_CHANNEL_H
#define SKUA_CHANNEL_H

#include <skua/mpmc.h>
#include <skua/mpsc.h>

SKUA_C_BEGIN

/* The most bytes of a name, with the NUL. */
#define SKUA_CHANNEL_NAME 64

/* A channel at one moment. */
typedef struct skua_channel_info {
    const char *name; /* until the function returns that is told */
    const char *kind; /* "mpsc" or "mpmc"; static */
    size_t length;    /* messages that wait in it */
    size_t capacity;  /* SIZE_MAX: unbounded */
    size_t senders;   /* handles, as the next */
    size_t receivers;
    int closed; /* 1: nobody sends any more */
} skua_channel_info;

/* Gives a channel a name, or (NULL or "") takes it away. Several may have the same one.
 *
 * name       copied; of at most SKUA_CHANNEL_NAME - 1 bytes
 * Returns    0; -EINVAL: it is longer; -ENOMEM: the channel has the name that it had
 * Threads    any; not from within skua_channel_each
 * Since      0.5
 */
SKUA_API int skua_mpsc_set_name(skua_mpsc_receiver *receiver, const char *name);

/* As skua_mpsc_set_name.
 *
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any; not from within skua_channel_each
 * Since      0.5
 */
SKUA_API int skua_mpmc_set_name(skua_mpmc_receiver *receiver, const char *name);

/* Tells of every channel that has a name, under a lock: fn must not wait, and neither name nor
 * close channels.
 *
 * fn         is called with each; NULL: they are only counted
 * Returns    how many there are
 * Threads    any
 * Since      0.5
 */
SKUA_API size_t skua_channel_each(void (*fn)(const skua_channel_info *info, void *arg), void *arg);

SKUA_C_END

#endif
