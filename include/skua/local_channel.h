/* local_channel.h - a channel between tasks of one worker, by value: no atomics, no locks inside.
 *
 * Many may send and many receive; each message goes to one of them. The verbs, errors and order
 * are those of mpmc.h. There is one handle for all: nobody counts who still sends, so somebody
 * closes the channel when nothing more will come.
 *
 *     skua_local_channel *jobs;
 *     struct job job;
 *
 *     rc = skua_local_channel_new(&jobs, sizeof(struct job), 100);
 *     rc = skua_local_channel_send(jobs, &job);                      in some fibers
 *     while (skua_local_channel_recv(jobs, &job) == 0)               in others, until it is closed
 *         ...
 *
 * Threads    those of one object are one: see local.h.
 * Order      first in, first out, for messages, and for those who wait at either end. A message
 *            that somebody in line was woken for is that one's; who comes later does not get it.
 * Cancel     every wait is safe: a receive that is dropped has received nothing, the message is
 *            the next one's in line.
 * Memory     bounded: that of all messages, at once. Unbounded: as needed, in blocks of 4 KiB.
 * Source     Glommio's local_channel.
 */
#ifndef SKUA_LOCAL_CHANNEL_H
#define SKUA_LOCAL_CHANNEL_H

#include <skua/local.h>

SKUA_C_BEGIN

typedef struct skua_local_channel skua_local_channel;

/* ---- making and ending ----------------------------------------------------------------------- */

/* Makes a bounded channel: a message that finds no room waits.
 *
 * channel    receives it, to be ended by skua_local_channel_free; untouched on failure
 * size       bytes of a message, 1 to 1 MiB; it is copied in and out
 * capacity   messages, at least 1; their memory is allocated here
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_new(skua_local_channel **channel, size_t size,
                                                   size_t capacity);

/* Makes an unbounded channel: sending never waits, and memory is the only bound.
 *
 * channel    receives it, to be ended by skua_local_channel_free; untouched on failure
 * size       bytes of a message, 1 to 1 MiB
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_new_unbounded(skua_local_channel **channel,
                                                             size_t size);

/* Closes it to senders: those who wait and those who come get SKUA_ECLOSED. What is there is still
 * received; then receivers get SKUA_ECLOSED.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_channel_close(skua_local_channel *channel);

/* Ends it. Messages that nobody received are thrown away.
 *
 * channel    not used any more, also by waits (else the process ends with a message); NULL does
 *            nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_local_channel_free(skua_local_channel *channel);

/* Whether it was closed.
 *
 * Returns    1 or 0
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_channel_is_closed(skua_local_channel *channel);

/* How many messages are there, those that somebody was woken for included.
 *
 * Returns    the count
 * Threads    its thread
 * Since      0.2
 */
SKUA_API size_t skua_local_channel_len(skua_local_channel *channel);

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends a message; waits in line for room.
 *
 * message    `size` bytes of the caller's; they stay until this returns
 * Returns    0; SKUA_ECLOSED; -ENOMEM (unbounded); -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe: sent or not; -ECANCELED comes also when it was sent at that very moment
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_send(skua_local_channel *channel,
                                                    const void *message);

/* As skua_local_channel_send, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_channel_send
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_send_until(skua_local_channel *channel,
                                                          const void *message, int64_t deadline);

/* Sends a message if there is room now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -ENOMEM
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_try_send(skua_local_channel *channel,
                                                        const void *message);

/* Makes a future of a send: ready as skua_local_channel_send returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &send->future
 * Threads    its thread
 * Cancel     as skua_local_channel_send
 * Since      0.2
 */
SKUA_API skua_future *skua_local_channel_send_init(skua_local_future *send,
                                                   skua_local_channel *channel,
                                                   const void *message);

/* ---- receiving ------------------------------------------------------------------------------- */

/* Receives the oldest message; waits for one.
 *
 * message    receives `size` bytes; untouched on failure
 * Returns    0; SKUA_ECLOSED when nothing will come any more; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe: no message is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_recv(skua_local_channel *channel, void *message);

/* As skua_local_channel_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_channel_recv
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_recv_until(skua_local_channel *channel,
                                                          void *message, int64_t deadline);

/* Receives the oldest message, if there is one that nobody in line was woken for.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_channel_try_recv(skua_local_channel *channel, void *message);

/* Makes a future of a receive: ready as skua_local_channel_recv returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &recv->future
 * Threads    its thread
 * Cancel     safe: a dropped one has received nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_local_channel_recv_init(skua_local_future *recv,
                                                   skua_local_channel *channel, void *message);

#ifndef __cplusplus
/* Both in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    its thread
 * Since      0.2
 */
#define skua_local_channel_sending(channel, message)                                               \
    skua_local_channel_send_init(SKUA__LOCAL_FUTURE, (channel), (message))
#define skua_local_channel_receiving(channel, message)                                             \
    skua_local_channel_recv_init(SKUA__LOCAL_FUTURE, (channel), (message))
#endif

SKUA_C_END

#endif
