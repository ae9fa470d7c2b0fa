/* oneshot.h - one message, by value, from one sender to one receiver: an answer.
 *
 *     skua_oneshot_sender *answer;
 *     skua_oneshot_receiver *receiver;
 *
 *     rc = skua_oneshot_new(&answer, &receiver, sizeof(struct reply));
 *     ...                                      the sender goes to whoever answers
 *     rc = skua_oneshot_recv(receiver, &reply);
 *     skua_oneshot_receiver_close(receiver);
 *
 * Threads    the same calls on fibers and plain threads; poll tasks await the futures.
 * Memory     what was done before the send is seen by who receives.
 * Source     Tokio's sync::oneshot.
 */
#ifndef SKUA_ONESHOT_H
#define SKUA_ONESHOT_H

#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_oneshot_sender skua_oneshot_sender;
typedef struct skua_oneshot_receiver skua_oneshot_receiver;

/* Makes the two ends.
 *
 * sender     receives the sender, to be ended by skua_oneshot_send or skua_oneshot_sender_close
 * receiver   receives the receiver, to be ended by skua_oneshot_receiver_close
 * size       bytes of the message, at most 1 MiB; 0: only that it came
 * Returns    0; -EINVAL, -ENOMEM: nothing is made
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_oneshot_new(skua_oneshot_sender **sender,
                                             skua_oneshot_receiver **receiver, size_t size);

/* Sends the message and ends the sender. Never waits.
 *
 * sender     ended, whatever is returned
 * message    `size` bytes, copied
 * Returns    0; SKUA_ECLOSED when the receiver is gone, or will not receive any more
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_oneshot_send(skua_oneshot_sender *sender, const void *message);

/* Ends the sender without a message: the receiver gets SKUA_ECLOSED.
 *
 * sender     NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_oneshot_sender_close(skua_oneshot_sender *sender);

/* Whether the receiver is gone: then nobody wants the answer any more.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_oneshot_is_closed(skua_oneshot_sender *sender);

/* Waits until the receiver is gone: for whoever works on an answer and may stop then.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_oneshot_closed(skua_oneshot_sender *sender);

/* Makes a future of that: ready as skua_oneshot_closed returns.
 *
 * Returns    &closed->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_oneshot_closed_init(skua_sync_future *closed,
                                               skua_oneshot_sender *sender);

/* Waits for the message. A wait that was there when it was sent has it, until it is over.
 *
 * message    receives `size` bytes; untouched on failure
 * Returns    0, once; SKUA_ECLOSED when the sender ended without one, or it was received before;
 *            -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: the message stays
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_oneshot_recv(skua_oneshot_receiver *receiver, void *message);

/* As skua_oneshot_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_oneshot_recv
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_oneshot_recv_until(skua_oneshot_receiver *receiver, void *message,
                                                    int64_t deadline);

/* Takes the message if it is there.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_oneshot_try_recv(skua_oneshot_receiver *receiver, void *message);

/* Makes a future of a receive: ready as skua_oneshot_recv returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_oneshot_recv_init(skua_sync_future *recv,
                                             skua_oneshot_receiver *receiver, void *message);

/* Ends the receiver. A message that was not received is thrown away.
 *
 * receiver   not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_oneshot_receiver_close(skua_oneshot_receiver *receiver);

/* Functions for a message of one type, which the compiler checks: SKUA_ONESHOT_TYPE(reply, struct
 * reply); makes reply_new(&tx, &rx), reply_send(tx, answer), reply_recv(rx, &answer),
 * reply_try_recv(rx, &answer). */
#define SKUA_ONESHOT_TYPE(name, type)                                                              \
    static inline int name##_new(skua_oneshot_sender **sender, skua_oneshot_receiver **receiver)   \
    {                                                                                              \
        return skua_oneshot_new(sender, receiver, sizeof(type));                                   \
    }                                                                                              \
    static inline int name##_send(skua_oneshot_sender *sender, type message)                       \
    {                                                                                              \
        return skua_oneshot_send(sender, &message);                                                \
    }                                                                                              \
    static inline int name##_recv(skua_oneshot_receiver *receiver, type *message)                  \
    {                                                                                              \
        return skua_oneshot_recv(receiver, message);                                               \
    }                                                                                              \
    static inline int name##_try_recv(skua_oneshot_receiver *receiver, type *message)              \
    {                                                                                              \
        return skua_oneshot_try_recv(receiver, message);                                           \
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
#define skua_oneshot_receiving(receiver, message)                                                  \
    skua_oneshot_recv_init(SKUA__WAIT, (receiver), (message))
#define skua_oneshot_closing(sender) skua_oneshot_closed_init(SKUA__WAIT, (sender))
#endif

SKUA_C_END

#endif
