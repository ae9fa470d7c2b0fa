/* broadcast.h - one to many, by value: broadcast, every message to everybody; watch, the newest
 * value to whoever looks.
 *
 *     skua_broadcast_sender *tx;
 *     skua_broadcast_receiver *rx;
 *
 *     rc = skua_broadcast_new(&tx, sizeof(struct trade), 64);
 *     rc = skua_broadcast_subscribe(tx, &rx);      one for each listener
 *     count = skua_broadcast_send(tx, &trade);     anywhere; never waits
 *     rc = skua_broadcast_recv(rx, &trade);        anywhere else; SKUA_ECLOSED: no sender is left
 *
 * Handles    a receiver has its own place in the stream: each task that listens has one of its own.
 *            Tasks that share one share what it receives. Each handle is closed by its owner, who
 *            uses it no more then, also not by a wait; the last one of a channel frees it.
 * Threads    the same calls on fibers and plain threads; poll tasks await the futures.
 * Cancel     a dropped wait has received nothing, and seen nothing.
 * Memory     what was done before a send is seen by who receives it. Waiting allocates nothing.
 * Source     Tokio's sync::broadcast and sync::watch.
 */
#ifndef SKUA_BROADCAST_H
#define SKUA_BROADCAST_H

#include <skua/sync.h>

SKUA_C_BEGIN

/* ---- broadcast: handles ---------------------------------------------------------------------- */

typedef struct skua_broadcast_sender skua_broadcast_sender;
typedef struct skua_broadcast_receiver skua_broadcast_receiver;

/* Makes a channel. It has no receiver yet: skua_broadcast_subscribe.
 *
 * sender     receives a sender, to be ended by skua_broadcast_sender_close; untouched on failure
 * size       bytes of a message, 1 to 1 MiB; it is copied in and out
 * capacity   how many messages a receiver may be behind, at least 1; rounded up to a power of two.
 *            Their memory is allocated here
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_new(skua_broadcast_sender **sender, size_t size,
                                               size_t capacity);

/* Another sender of the same channel, for another owner.
 *
 * Returns    the sender, to be closed on its own
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_broadcast_sender *skua_broadcast_sender_clone(skua_broadcast_sender *sender);

/* Ends a sender. After the last one each receiver gets what is there for it, and then SKUA_ECLOSED.
 *
 * sender     not used any more; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_broadcast_sender_close(skua_broadcast_sender *sender);

/* Makes a receiver of what is sent from now on.
 *
 * receiver   receives it, to be ended by skua_broadcast_receiver_close; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_subscribe(skua_broadcast_sender *sender,
                                                     skua_broadcast_receiver **receiver);

/* As skua_broadcast_subscribe, for who has a receiver: the other one gets what is sent from now on,
 * not what is there for this one.
 *
 * other      receives it, to be ended by skua_broadcast_receiver_close; untouched on failure
 * Returns    0, also after the last sender; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_resubscribe(skua_broadcast_receiver *receiver,
                                                       skua_broadcast_receiver **other);

/* Ends a receiver.
 *
 * receiver   not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_broadcast_receiver_close(skua_broadcast_receiver *receiver);

/* ---- broadcast: sending and receiving -------------------------------------------------------- */

/* Sends a message to all receivers that there are. Never waits: the oldest message is overwritten,
 * and whoever had not received it is told so by SKUA_ELAGGED.
 *
 * message    `size` bytes, copied
 * Returns    how many receivers there are: each will get it, unless it falls behind or is closed;
 *            SKUA_ECLOSED when there is none, and then it is not kept. Who subscribes later ends
 *            that
 * Threads    any
 * Since      0.2
 */
SKUA_API int64_t skua_broadcast_send(skua_broadcast_sender *sender, const void *message);

/* Receives the oldest message that this receiver has not had; waits for one.
 *
 * message    receives `size` bytes; untouched on failure
 * Returns    0; SKUA_ELAGGED, once, when messages were overwritten before they could be received:
 *            skua_broadcast_lag tells how many, and the next call goes on with the oldest that is
 *            still there; SKUA_ECLOSED when nothing will come any more; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: no message is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_recv(skua_broadcast_receiver *receiver, void *message);

/* As skua_broadcast_recv, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_broadcast_recv
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_recv_until(skua_broadcast_receiver *receiver,
                                                      void *message, int64_t deadline);

/* Receives a message, if there is one.
 *
 * Returns    0; -EAGAIN; SKUA_ELAGGED; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_broadcast_try_recv(skua_broadcast_receiver *receiver,
                                                    void *message);

/* Makes a future of a receive: ready as skua_broadcast_recv returns.
 *
 * message    stays where it is until the future is finished
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped one has received nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_broadcast_recv_init(skua_sync_future *recv,
                                               skua_broadcast_receiver *receiver, void *message);

/* How many messages were sent that this receiver has not had. More than the capacity (rounded up):
 * the next receive returns SKUA_ELAGGED.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API uint64_t skua_broadcast_len(skua_broadcast_receiver *receiver);

/* How many messages this receiver missed when a receive last returned SKUA_ELAGGED.
 *
 * Returns    the count; 0 when none has
 * Threads    any
 * Since      0.2
 */
SKUA_API uint64_t skua_broadcast_lag(skua_broadcast_receiver *receiver);

/* ---- watch: handles -------------------------------------------------------------------------- */

/* One value, and who waits for it to change: configuration, state, progress. A receiver sees the
 * newest value; those in between may pass it unseen. */
typedef struct skua_watch_sender skua_watch_sender;
typedef struct skua_watch_receiver skua_watch_receiver;

/* Makes a watch, with a receiver that has seen its value.
 *
 * sender     receives a sender, to be ended by skua_watch_sender_close; untouched on failure
 * receiver   receives a receiver, to be ended by skua_watch_receiver_close; the same
 * size       bytes of the value, 1 to 1 MiB; it is copied in and out
 * initial    the first value, copied
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_new(skua_watch_sender **sender,
                                           skua_watch_receiver **receiver, size_t size,
                                           const void *initial);

/* Another sender of the same watch, for another owner.
 *
 * Returns    the sender, to be closed on its own
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_watch_sender *skua_watch_sender_clone(skua_watch_sender *sender);

/* Ends a sender. After the last one receivers still see the value, and then SKUA_ECLOSED.
 *
 * sender     not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_watch_sender_close(skua_watch_sender *sender);

/* Makes a receiver that has seen the value that there is now.
 *
 * receiver   receives it, to be ended by skua_watch_receiver_close; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_subscribe(skua_watch_sender *sender,
                                                 skua_watch_receiver **receiver);

/* Makes a receiver that has seen what this one has.
 *
 * other      receives it, to be ended by skua_watch_receiver_close; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_receiver_clone(skua_watch_receiver *receiver,
                                                      skua_watch_receiver **other);

/* Ends a receiver.
 *
 * receiver   not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_watch_receiver_close(skua_watch_receiver *receiver);

/* ---- watch: sending -------------------------------------------------------------------------- */

/* Looks at the value, aligned for any type, and may change it. Runs under the watch's spin lock: it
 * is short, does not wait, and calls nothing of Skua. Not 0: it has changed the value. */
typedef int (*skua_watch_change_fn)(void *value, void *arg);

/* Replaces the value; receivers that wait go on. Never waits.
 *
 * value      `size` bytes, copied
 * Returns    0; SKUA_ECLOSED when there is no receiver, and then the value stays as it is. Who
 *            subscribes later ends that
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_watch_send(skua_watch_sender *sender, const void *value);

/* Lets a function change the value in place, with or without receivers: no other change comes in
 * between. When it says that it has, the value is new and receivers that wait go on.
 *
 * Returns    1 when it has changed; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_watch_send_if_modified(skua_watch_sender *sender, skua_watch_change_fn fn,
                                         void *arg);

/* Whether there is no receiver now.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_watch_is_closed(skua_watch_sender *sender);

/* Waits until there is no receiver: for whoever makes the values and may stop then.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_closed(skua_watch_sender *sender);

/* Makes a future of that: ready as skua_watch_closed returns.
 *
 * Returns    &closed->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_watch_closed_init(skua_sync_future *closed, skua_watch_sender *sender);

/* ---- watch: looking -------------------------------------------------------------------------- */

/* Copies the newest value; leaves it unseen if it was.
 *
 * copy       receives `size` bytes
 * Returns    1 when this receiver had not seen it; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_watch_borrow(skua_watch_receiver *receiver, void *copy);

/* Copies the newest value, and has seen it: skua_watch_changed waits for the next one.
 *
 * copy       receives `size` bytes
 * Returns    1 when this receiver had not seen it; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_watch_borrow_and_update(skua_watch_receiver *receiver, void *copy);

/* Waits until there is a value that this receiver has not seen, and has seen it then.
 *
 * Returns    0; SKUA_ECLOSED when nothing new will come any more; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: what it did not tell is unseen
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_changed(skua_watch_receiver *receiver);

/* As skua_watch_changed, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_watch_changed
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_changed_until(skua_watch_receiver *receiver,
                                                     int64_t deadline);

/* Whether there is a value that this receiver has not seen; has seen it then.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_try_changed(skua_watch_receiver *receiver);

/* Makes a future of that wait: ready as skua_watch_changed returns.
 *
 * Returns    &changed->future
 * Threads    where it is awaited
 * Cancel     safe: what it did not tell is unseen
 * Since      0.2
 */
SKUA_API skua_future *skua_watch_changed_init(skua_sync_future *changed,
                                              skua_watch_receiver *receiver);

/* Looks at a copy of the value, without the lock. Not 0: this is the one that is waited for. */
typedef int (*skua_watch_test_fn)(const void *value, void *arg);

/* A wait for a certain value; its members are private. */
typedef struct skua_watch_for_future {
    skua_sync_future wait;
    skua_watch_test_fn fn;
    void *arg;
} skua_watch_for_future;

/* Waits for a value that a function accepts, the one that there is now, too. Each that was looked
 * at is seen.
 *
 * fn         must not wait; may be asked about a value again
 * copy       `size` bytes to look at, of the value's alignment: on success the accepted one, else
 *            the last one that was not, if any
 * Returns    0; SKUA_ECLOSED when nothing new will come any more and `fn` did not accept the last
 *            one; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: what it did not look at is unseen
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_wait_for(skua_watch_receiver *receiver,
                                                skua_watch_test_fn fn, void *arg, void *copy);

/* As skua_watch_wait_for, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_watch_wait_for
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_watch_wait_for_until(skua_watch_receiver *receiver,
                                                      skua_watch_test_fn fn, void *arg, void *copy,
                                                      int64_t deadline);

/* Makes a future of that wait: ready as skua_watch_wait_for returns.
 *
 * copy       stays where it is until the future is finished; so does `arg`
 * Returns    &wait->wait.future
 * Threads    where it is awaited
 * Cancel     safe: what it did not look at is unseen
 * Since      0.2
 */
SKUA_API skua_future *skua_watch_wait_for_init(skua_watch_for_future *wait,
                                               skua_watch_receiver *receiver, skua_watch_test_fn fn,
                                               void *arg, void *copy);

/* Functions for messages of one type, which the compiler checks: SKUA_BROADCAST_TYPE(news, struct
 * item); makes news_new(&tx, capacity), news_send(tx, item), news_recv(rx, &item),
 * news_try_recv(rx, &item). */
#define SKUA_BROADCAST_TYPE(name, type)                                                            \
    static inline int name##_new(skua_broadcast_sender **sender, size_t capacity)                  \
    {                                                                                              \
        return skua_broadcast_new(sender, sizeof(type), capacity);                                 \
    }                                                                                              \
    static inline int64_t name##_send(skua_broadcast_sender *sender, type message)                 \
    {                                                                                              \
        return skua_broadcast_send(sender, &message);                                              \
    }                                                                                              \
    static inline int name##_recv(skua_broadcast_receiver *receiver, type *message)                \
    {                                                                                              \
        return skua_broadcast_recv(receiver, message);                                             \
    }                                                                                              \
    static inline int name##_try_recv(skua_broadcast_receiver *receiver, type *message)            \
    {                                                                                              \
        return skua_broadcast_try_recv(receiver, message);                                         \
    }                                                                                              \
    typedef int name##_typed

/* The same for a watched value: SKUA_WATCH_TYPE(config, struct config); makes config_new(&tx, &rx,
 * initial), config_send(tx, value), config_borrow(rx, &value) and config_borrow_and_update(rx,
 * &value). */
#define SKUA_WATCH_TYPE(name, type)                                                                \
    static inline int name##_new(skua_watch_sender **sender, skua_watch_receiver **receiver,       \
                                 type initial)                                                     \
    {                                                                                              \
        return skua_watch_new(sender, receiver, sizeof(type), &initial);                           \
    }                                                                                              \
    static inline int name##_send(skua_watch_sender *sender, type value)                           \
    {                                                                                              \
        return skua_watch_send(sender, &value);                                                    \
    }                                                                                              \
    static inline int name##_borrow(skua_watch_receiver *receiver, type *value)                    \
    {                                                                                              \
        return skua_watch_borrow(receiver, value);                                                 \
    }                                                                                              \
    static inline int name##_borrow_and_update(skua_watch_receiver *receiver, type *value)         \
    {                                                                                              \
        return skua_watch_borrow_and_update(receiver, value);                                      \
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
#define skua_broadcast_receiving(receiver, message)                                                \
    skua_broadcast_recv_init(SKUA__WAIT, (receiver), (message))
#define skua_watch_changing(receiver) skua_watch_changed_init(SKUA__WAIT, (receiver))
#define skua_watch_closing(sender) skua_watch_closed_init(SKUA__WAIT, (sender))
#define skua_watch_waiting_for(receiver, accept, accept_arg, copy)                                 \
    skua_watch_wait_for_init(&(skua_watch_for_future){.wait = {.value = 0}}, (receiver), (accept), \
                             (accept_arg), (copy))
#endif

SKUA_C_END

#endif
