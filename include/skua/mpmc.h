/* mpmc.h - a channel with many senders and many receivers, by value: each message goes to one of
 * them.
 *
 *     rc = skua_mpmc_new(&tx, &rx, sizeof(struct job), 100);
 *     worker->rx = skua_mpmc_receiver_clone(rx);          one for each worker
 *
 * Order, threads, cancellation and memory are as in mpsc.h.
 * Source     async-channel.
 */
#ifndef SKUA_MPMC_H
#define SKUA_MPMC_H

#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_mpmc_sender skua_mpmc_sender;
typedef struct skua_mpmc_receiver skua_mpmc_receiver;

/* ---- handles --------------------------------------------------------------------------------- */

/* Makes a bounded channel: a message that finds no room waits.
 *
 * sender     receives a sender, to be ended by skua_mpmc_sender_close; untouched on failure
 * receiver   receives a receiver, to be ended by skua_mpmc_receiver_close
 * size       bytes of a message, 1 to 1 MiB; it is copied in and out
 * capacity   messages, at least 1; their memory is allocated here
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_new(skua_mpmc_sender **sender, skua_mpmc_receiver **receiver,
                                          size_t size, size_t capacity);

/* Makes an unbounded channel: sending never waits, and memory is the only bound.
 *
 * sender     receives a sender, to be ended by skua_mpmc_sender_close; untouched on failure
 * receiver   receives a receiver, to be ended by skua_mpmc_receiver_close
 * size       bytes of a message, 1 to 1 MiB
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_new_unbounded(skua_mpmc_sender **sender,
                                                    skua_mpmc_receiver **receiver, size_t size);

/* Another sender of the same channel, for another owner.
 *
 * Returns    the sender, to be closed on its own
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_mpmc_sender *skua_mpmc_sender_clone(skua_mpmc_sender *sender);

/* Ends a sender. After the last one receivers get what is there, and then SKUA_ECLOSED.
 *
 * sender     not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpmc_sender_close(skua_mpmc_sender *sender);

/* Another receiver of the same channel, for another owner: each message goes to one of them.
 *
 * Returns    the receiver, to be closed on its own
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_mpmc_receiver *skua_mpmc_receiver_clone(skua_mpmc_receiver *receiver);

/* Ends a receiver. After the last one senders get SKUA_ECLOSED; messages that nobody received are
 * thrown away.
 *
 * receiver   not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpmc_receiver_close(skua_mpmc_receiver *receiver);

/* Closes the channel to senders, who get SKUA_ECLOSED. What is there is still received.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpmc_close(skua_mpmc_receiver *receiver);

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends a message; waits in line for room.
 *
 * message    `size` bytes of the caller's; they stay until this returns
 * Returns    0; SKUA_ECLOSED; -ENOMEM (unbounded); -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: sent or not; -ECANCELED comes also when it was sent at that very moment
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_send(skua_mpmc_sender *sender, const void *message);

/* As skua_mpmc_send, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_mpmc_send
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_send_until(skua_mpmc_sender *sender, const void *message,
                                                 int64_t deadline);

/* Sends a message if there is room now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_try_send(skua_mpmc_sender *sender, const void *message);

/* Makes a future of a send: ready as skua_mpmc_send returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &send->future
 * Threads    where it is awaited
 * Since      0.2
 */
SKUA_API skua_future *skua_mpmc_send_init(skua_sync_future *send, skua_mpmc_sender *sender,
                                          const void *message);

/* ---- receiving ------------------------------------------------------------------------------- */

/* Receives the oldest message; waits for one.
 *
 * message    receives `size` bytes; untouched on failure
 * Returns    0; SKUA_ECLOSED when nothing will come any more; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: no message is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_recv(skua_mpmc_receiver *receiver, void *message);

/* As skua_mpmc_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_mpmc_recv
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_recv_until(skua_mpmc_receiver *receiver, void *message,
                                                 int64_t deadline);

/* Receives the oldest message, if there is one.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpmc_try_recv(skua_mpmc_receiver *receiver, void *message);

/* Makes a future of a receive: ready as skua_mpmc_recv returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped one has received nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_mpmc_recv_init(skua_sync_future *recv, skua_mpmc_receiver *receiver,
                                          void *message);

/* How many messages are there now.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_mpmc_len(skua_mpmc_receiver *receiver);

/* Whether nobody sends any more: no receiver is left, or no sender, or it was closed.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_mpmc_is_closed(skua_mpmc_sender *sender);

/* Functions for messages of one type, which the compiler checks: SKUA_MPMC_TYPE(jobs, struct job);
 * makes jobs_new(&tx, &rx, capacity), jobs_send(tx, job), jobs_try_send(tx, job), jobs_recv(rx,
 * &job), jobs_try_recv(rx, &job). */
#define SKUA_MPMC_TYPE(name, type)                                                                 \
    static inline int name##_new(skua_mpmc_sender **sender, skua_mpmc_receiver **receiver,         \
                                 size_t capacity)                                                  \
    {                                                                                              \
        return skua_mpmc_new(sender, receiver, sizeof(type), capacity);                            \
    }                                                                                              \
    static inline int name##_send(skua_mpmc_sender *sender, type message)                          \
    {                                                                                              \
        return skua_mpmc_send(sender, &message);                                                   \
    }                                                                                              \
    static inline int name##_try_send(skua_mpmc_sender *sender, type message)                      \
    {                                                                                              \
        return skua_mpmc_try_send(sender, &message);                                               \
    }                                                                                              \
    static inline int name##_recv(skua_mpmc_receiver *receiver, type *message)                     \
    {                                                                                              \
        return skua_mpmc_recv(receiver, message);                                                  \
    }                                                                                              \
    static inline int name##_try_recv(skua_mpmc_receiver *receiver, type *message)                 \
    {                                                                                              \
        return skua_mpmc_try_recv(receiver, message);                                              \
    }                                                                                              \
    typedef int name##_typed

#ifndef __cplusplus
/* The waits in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
#define skua_mpmc_sending(sender, message) skua_mpmc_send_init(SKUA__WAIT, (sender), (message))
#define skua_mpmc_receiving(receiver, message)                                                     \
    skua_mpmc_recv_init(SKUA__WAIT, (receiver), (message))
#endif

SKUA_C_END

#endif
