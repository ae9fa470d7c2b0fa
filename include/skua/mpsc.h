/* mpsc.h - a channel with many senders and one receiver, by value.
 *
 *     skua_mpsc_sender *tx;
 *     skua_mpsc_receiver *rx;
 *
 *     rc = skua_mpsc_new(&tx, &rx, sizeof(struct job), 100);
 *     rc = skua_mpsc_send(tx, &job);            anywhere; waits for room
 *     rc = skua_mpsc_recv(rx, &job);            anywhere else; SKUA_ECLOSED: no sender is left
 *
 * Order      first in, first out, and so are the senders that wait for room.
 * Threads    the same calls on fibers and plain threads; poll tasks await the futures.
 * Cancel     a dropped send has sent or not sent; a dropped receive has received nothing.
 * Memory     what was done before a send is seen by who receives the message.
 * Source     Tokio's sync::mpsc.
 */
#ifndef SKUA_MPSC_H
#define SKUA_MPSC_H

#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_mpsc_sender skua_mpsc_sender;
typedef struct skua_mpsc_receiver skua_mpsc_receiver;
typedef struct skua_mpsc_weak skua_mpsc_weak;

/* ---- handles --------------------------------------------------------------------------------- */

/* Makes a bounded channel: a message that finds no room waits.
 *
 * sender     receives a sender, to be ended by skua_mpsc_sender_close; untouched on failure
 * receiver   receives the receiver, to be ended by skua_mpsc_receiver_close
 * size       bytes of a message, 1 to 1 MiB; it is copied in and out
 * capacity   messages, at least 1; their memory is allocated here
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_new(skua_mpsc_sender **sender, skua_mpsc_receiver **receiver,
                                          size_t size, size_t capacity);

/* Makes an unbounded channel: sending never waits, and memory is the only bound.
 *
 * sender     receives a sender, to be ended by skua_mpsc_sender_close; untouched on failure
 * receiver   receives the receiver, to be ended by skua_mpsc_receiver_close
 * size       bytes of a message, 1 to 1 MiB
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_new_unbounded(skua_mpsc_sender **sender,
                                                    skua_mpsc_receiver **receiver, size_t size);

/* Another sender of the same channel, for another owner.
 *
 * Returns    the sender, to be closed on its own
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_mpsc_sender *skua_mpsc_sender_clone(skua_mpsc_sender *sender);

/* Ends a sender. After the last one receivers get what is there, and then SKUA_ECLOSED.
 *
 * sender     not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpsc_sender_close(skua_mpsc_sender *sender);

/* Ends the receiver. Senders get SKUA_ECLOSED; messages that nobody received are thrown away.
 *
 * receiver   not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpsc_receiver_close(skua_mpsc_receiver *receiver);

/* Closes the channel to senders, who get SKUA_ECLOSED. What is there, or has room reserved, is
 * still received.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpsc_close(skua_mpsc_receiver *receiver);

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends a message; waits in line for room.
 *
 * message    `size` bytes of the caller's; they stay until this returns
 * Returns    0; SKUA_ECLOSED; -ENOMEM (unbounded); -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: sent or not; -ECANCELED comes also when it was sent at that very moment
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_send(skua_mpsc_sender *sender, const void *message);

/* As skua_mpsc_send, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_mpsc_send
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_send_until(skua_mpsc_sender *sender, const void *message,
                                                 int64_t deadline);

/* Sends a message if there is room now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_try_send(skua_mpsc_sender *sender, const void *message);

/* Makes a future of a send: ready as skua_mpsc_send returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &send->future
 * Threads    where it is awaited
 * Since      0.2
 */
SKUA_API skua_future *skua_mpsc_send_init(skua_sync_future *send, skua_mpsc_sender *sender,
                                          const void *message);

/* Reserves room for messages, in line: what is sent with it later does not wait.
 *
 * count      at most the capacity
 * Returns    0; SKUA_ECLOSED; -EINVAL; -ECANCELED, -ETIMEDOUT: nothing is reserved
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_reserve(skua_mpsc_sender *sender, size_t count);

/* Reserves room if there is now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_try_reserve(skua_mpsc_sender *sender, size_t count);

/* Sends a message into reserved room, also after skua_mpsc_close.
 *
 * Returns    0; SKUA_EUSAGE when none is reserved; -ENOMEM (unbounded)
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_mpsc_send_reserved(skua_mpsc_sender *sender, const void *message);

/* Gives reserved room back.
 *
 * Returns    0; SKUA_EUSAGE when less is reserved
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_mpsc_unreserve(skua_mpsc_sender *sender, size_t count);

/* Makes a future of a reservation: ready as skua_mpsc_reserve returns.
 *
 * count      at most the capacity
 * Returns    &reserve->future
 * Threads    where it is awaited
 * Since      0.2
 */
SKUA_API skua_future *skua_mpsc_reserve_init(skua_sync_future *reserve, skua_mpsc_sender *sender,
                                             size_t count);

/* ---- receiving ------------------------------------------------------------------------------- */

/* Receives the oldest message; waits for one.
 *
 * message    receives `size` bytes; untouched on failure
 * Returns    0; SKUA_ECLOSED when nothing will come any more; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: no message is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_recv(skua_mpsc_receiver *receiver, void *message);

/* As skua_mpsc_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_mpsc_recv
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_recv_until(skua_mpsc_receiver *receiver, void *message,
                                                 int64_t deadline);

/* Receives the oldest message, if there is one.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mpsc_try_recv(skua_mpsc_receiver *receiver, void *message);

/* Receives what is there, up to `most` messages; waits for the first.
 *
 * messages   room for `most`
 * most       at least 1
 * Returns    the count; -EINVAL; SKUA_ECLOSED; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int64_t skua_mpsc_recv_many(skua_mpsc_receiver *receiver, void *messages,
                                                    size_t most);

/* Makes a future of a receive: ready as skua_mpsc_recv returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped one has received nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_mpsc_recv_init(skua_sync_future *recv, skua_mpsc_receiver *receiver,
                                          void *message);

/* How many messages are there now.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_mpsc_len(skua_mpsc_receiver *receiver);

/* Whether nobody sends any more: no receiver is left, or no sender, or it was closed.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_mpsc_is_closed(skua_mpsc_sender *sender);

/* ---- weak senders ---------------------------------------------------------------------------- */

/* A handle that does not keep the channel open.
 *
 * Returns    the handle, to be ended by skua_mpsc_weak_close
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_mpsc_weak *skua_mpsc_downgrade(skua_mpsc_sender *sender);

/* A sender again, if there is one still.
 *
 * Returns    a sender, to be closed on its own; NULL when the last one is gone
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_mpsc_sender *skua_mpsc_upgrade(skua_mpsc_weak *weak);

/* Ends a weak handle.
 *
 * weak       NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_mpsc_weak_close(skua_mpsc_weak *weak);

/* ---- typed ----------------------------------------------------------------------------------- */

/* Functions for messages of one type, which the compiler checks: SKUA_MPSC_TYPE(jobs, struct job)
 * makes jobs_new(&tx, &rx, capacity), jobs_send(tx, job), jobs_try_send(tx, job), jobs_recv(rx,
 * &job), jobs_try_recv(rx, &job). */
#define SKUA_MPSC_TYPE(name, type)                                                                 \
    static inline int name##_new(skua_mpsc_sender **sender, skua_mpsc_receiver **receiver,         \
                                 size_t capacity)                                                  \
    {                                                                                              \
        return skua_mpsc_new(sender, receiver, sizeof(type), capacity);                            \
    }                                                                                              \
    static inline int name##_send(skua_mpsc_sender *sender, type message)                          \
    {                                                                                              \
        return skua_mpsc_send(sender, &message);                                                   \
    }                                                                                              \
    static inline int name##_try_send(skua_mpsc_sender *sender, type message)                      \
    {                                                                                              \
        return skua_mpsc_try_send(sender, &message);                                               \
    }                                                                                              \
    static inline int name##_recv(skua_mpsc_receiver *receiver, type *message)                     \
    {                                                                                              \
        return skua_mpsc_recv(receiver, message);                                                  \
    }                                                                                              \
    static inline int name##_try_recv(skua_mpsc_receiver *receiver, type *message)                 \
    {                                                                                              \
        return skua_mpsc_try_recv(receiver, message);                                              \
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
#define skua_mpsc_sending(sender, message) skua_mpsc_send_init(SKUA__WAIT, (sender), (message))
#define skua_mpsc_reserving(sender, count) skua_mpsc_reserve_init(SKUA__WAIT, (sender), (count))
#define skua_mpsc_receiving(receiver, message)                                                     \
    skua_mpsc_recv_init(SKUA__WAIT, (receiver), (message))
#endif

SKUA_C_END

#endif
