/* delay_queue.h - values that come out when their time has come.
 *
 *     skua_delay_queue *sessions;
 *     skua_delay_key key;
 *
 *     rc = skua_delay_queue_new(&sessions, sizeof(struct session_id), NULL);
 *     rc = skua_delay_queue_insert_after(sessions, &id, 30 * SKUA_MINUTE, &key);
 *     rc = skua_delay_queue_reset_after(sessions, key, 30 * SKUA_MINUTE);    it was used again
 *     rc = skua_delay_queue_remove(sessions, key, NULL);                     it was closed
 *
 *     while (skua_delay_queue_next(sessions, &id) == 0)                      elsewhere
 *         forget(id);
 *
 * One queue is one timer, however many values are in it, and no task stands behind it: whoever
 * waits for the next value has the timer. A value that has expired stays until somebody takes it.
 *
 * Order      by deadline, to the nanosecond; equal ones in the order of insertion.
 * Threads    the same calls on fibers and plain threads; poll tasks await the future. Many may
 *            insert, and many may wait: they stand in line.
 * Cancel     a dropped wait has taken nothing.
 * Memory     what was done before an insert is seen by who takes the value. Room that was needed
 *            once is kept until the queue is freed.
 * Cost       insert, reset, remove and take are O(log n) under a short lock.
 * Source     Tokio's DelayQueue, here for several tasks; Java's DelayQueue.
 */
#ifndef SKUA_DELAY_QUEUE_H
#define SKUA_DELAY_QUEUE_H

#include <skua/interval.h>

SKUA_C_BEGIN

typedef struct skua_delay_queue skua_delay_queue;

/* Names a value in a queue. It is stale when the value is not there any more, and never becomes
 * valid again. Its members are private; zeroed memory is a stale key. */
typedef struct skua_delay_key {
    uint64_t number;
    uint64_t slot;
} skua_delay_key;

typedef struct skua_delay_queue_options {
    size_t size;     /* stamped by the macro */
    size_t capacity; /* values at a time (default 0: memory is the only bound) */
} skua_delay_queue_options;

#ifndef __cplusplus
#define SKUA_DELAY_QUEUE_OPTIONS(...)                                                              \
    (&(const skua_delay_queue_options){.size = sizeof(skua_delay_queue_options), __VA_ARGS__})
#endif

/* ---- making ---------------------------------------------------------------------------------- */

/* Makes an empty queue.
 *
 * queue      receives it, to be ended by skua_delay_queue_free; untouched on failure
 * size       bytes of a value, 1 to 1 MiB; it is copied in and out
 * options    NULL = defaults
 * Returns    0; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_new(skua_delay_queue **queue, size_t size,
                                                 const skua_delay_queue_options *options);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_delay_queue_options_init(skua_delay_queue_options *options);

/* Ends a queue. What is in it is thrown away.
 *
 * queue      not used any more, also by waits; NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_delay_queue_free(skua_delay_queue *queue);

/* Takes no more values. Those in it still come out in their time, and then SKUA_ECLOSED.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_delay_queue_close(skua_delay_queue *queue);

/* ---- values ---------------------------------------------------------------------------------- */

/* Puts a value in.
 *
 * value      `size` bytes of the caller's, copied
 * deadline   monotonic ns; what has passed comes out at once, SKUA_FOREVER never
 * key        receives its name; NULL = not wanted; untouched on failure
 * Returns    0; -ENOMEM; SKUA_ELIMIT: it is full; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_insert(skua_delay_queue *queue, const void *value,
                                                    int64_t deadline, skua_delay_key *key);

/* As skua_delay_queue_insert, with a duration.
 *
 * duration   ns from now; 0 or less comes out at once
 * Returns    as skua_delay_queue_insert
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_insert_after(skua_delay_queue *queue,
                                                          const void *value, int64_t duration,
                                                          skua_delay_key *key);

/* Gives a value another deadline, earlier or later; also one that has expired and was not taken.
 * Among equal deadlines it keeps the place of its insertion.
 *
 * deadline   monotonic ns
 * Returns    0; -ENOENT: the key is stale
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_delay_queue_reset(skua_delay_queue *queue, skua_delay_key key, int64_t deadline);

/* As skua_delay_queue_reset, with a duration.
 *
 * duration   ns from now; 0 or less comes out at once
 * Returns    as skua_delay_queue_reset
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_delay_queue_reset_after(skua_delay_queue *queue, skua_delay_key key,
                                          int64_t duration);

/* Takes a value out before its time, or after it if nobody has taken it.
 *
 * value      receives `size` bytes; NULL = not wanted; untouched on failure
 * Returns    0; -ENOENT: the key is stale
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_delay_queue_remove(skua_delay_queue *queue, skua_delay_key key, void *value);

/* Looks at the value that comes out next, and leaves it there.
 *
 * value      receives `size` bytes; NULL = not wanted
 * deadline   receives its deadline, monotonic ns; NULL = not wanted
 * Returns    0; -EAGAIN: the queue is empty, and nothing was written
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_delay_queue_peek(skua_delay_queue *queue, void *value, int64_t *deadline);

/* Takes all values out, and throws them away. Their keys are stale.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_delay_queue_clear(skua_delay_queue *queue);

/* How many values are in it now, expired or not.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_delay_queue_len(skua_delay_queue *queue);

/* ---- taking what has expired ----------------------------------------------------------------- */

/* Takes the value with the earliest deadline; waits in line until there is one that has passed. An
 * empty queue is waited for, too.
 *
 * value      receives `size` bytes; untouched on failure
 * Returns    0; SKUA_ECLOSED: closed, and empty; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: nothing was taken, and the next in line has what expires
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_next(skua_delay_queue *queue, void *value);

/* As skua_delay_queue_next, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_delay_queue_next
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_next_until(skua_delay_queue *queue, void *value,
                                                        int64_t deadline);

/* Takes the value with the earliest deadline, if that has passed and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_delay_queue_try_next(skua_delay_queue *queue, void *value);

/* Makes a future of a wait: ready as skua_delay_queue_next returns.
 *
 * value      stays where it is until the future is finished
 * Returns    &next->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_delay_queue_next_init(skua_timed_future *next, skua_delay_queue *queue,
                                                 void *value);

#ifndef __cplusplus
/* The wait in the caller's block: a branch of a select, work for a join (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_delay_queue_next_init
 * Since      0.2
 */
#define skua_expiring(queue, value)                                                                \
    skua_delay_queue_next_init(&(skua_timed_future){.future = {0}}, (queue), (value))
#endif

SKUA_C_END

#endif
