/* join_set.h - sets of tasks whose results are taken as they end, with or without keys.
 *
 * A scope answers for tasks as a whole (task.h); a join set gives the results one by one, in the
 * order in which the tasks end, or in which they were spawned. Its tasks are children of a scope as
 * all others: no task outlives its scope, with a set or without.
 *
 *     skua_join_set *set;
 *     skua_joined joined;
 *
 *     rc = skua_join_set_open(&set, NULL, NULL);
 *     for (int i = 0; i < 10; i++)
 *         rc = skua_join_set_spawn_tagged(set, i, fetch, &urls[i]);
 *     while (skua_join_set_next(set, &joined) == 1)        0: all have been taken
 *         printf("%d: %d\n", (int)joined.tag, joined.result);
 *     skua_join_set_close(set);                            cancels what still runs
 *
 * A join map names its tasks by keys, bytes of any kind: a spawn with a key that is there replaces
 * the older task.
 *
 * Scope      what it sees of a task does not change: a task that fails is its scope's failure, too,
 *            and cancels the others in a scope that is SKUA_FAIL_FAST.
 * Threads    the same calls on fibers and plain threads of any runtime; poll tasks await the
 *            futures. Who spawns need not be who takes.
 * Order      who waits is told first in, first out.
 * Memory     one node of 120 bytes for each task, 144 and the key in a map, and the task's cell,
 *            until its result is taken. Waiting allocates nothing. The set ends before the runtime
 *            of its tasks does.
 * Source     Tokio's JoinSet; tokio-util's JoinMap and JoinQueue.
 */
#ifndef SKUA_JOIN_SET_H
#define SKUA_JOIN_SET_H

#include <skua/sync.h>

SKUA_C_BEGIN

/* ---- sets ------------------------------------------------------------------------------------ */

typedef struct skua_join_set skua_join_set;

typedef struct skua_join_set_options {
    size_t size;      /* stamped by the macro */
    unsigned ordered; /* 1: results come in the order of the spawns, however the tasks end
                         (default 0: in the order in which they end) */
} skua_join_set_options;

#ifndef __cplusplus
#define SKUA_JOIN_SET_OPTIONS(...)                                                                 \
    (&(const skua_join_set_options){.size = sizeof(skua_join_set_options), __VA_ARGS__})
#endif

/* A task that has ended. */
typedef struct skua_joined {
    skua_task_id id;
    uint64_t tag; /* what its spawn was given; 0: nothing */
    int result;   /* as for skua_task_join */
} skua_joined;

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_join_set_options_init(skua_join_set_options *options);

/* Makes an empty set.
 *
 * set        receives it, to be ended by skua_join_set_close; untouched on failure
 * scope      whose children its tasks will be; NULL = the caller's current scope. Open for as long
 *            as somebody spawns into the set
 * options    NULL = defaults
 * Returns    0; -ENOMEM; -EINVAL; SKUA_EUSAGE: there is no such scope, or it is not open
 * Threads    any; with NULL tasks
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_set_open(skua_join_set **set, skua_scope *scope,
                                               const skua_join_set_options *options);

/* Ends a set: cancels the tasks that have not ended, waits for them, even when the caller is
 * cancelled itself, and frees it. Results that nobody took are gone. Who waits in
 * skua_join_set_next is told SKUA_ECLOSED; a task of the set that spawns into it meanwhile, too.
 *
 * set        NULL does nothing. No other call on it is begun any more, but by its tasks until they
 *            end, and no future that has not been polled yet is polled
 * Returns    0; SKUA_EUSAGE inside a poll task, when the set is not empty: it stays open. There,
 *            cancel all, await the rest by skua_join_set_next_init, and then close
 * Threads    as for skua_await; not a task of the set, which would wait for itself
 * Since      0.2
 */
SKUA_API int skua_join_set_close(skua_join_set *set);

/* ---- spawning -------------------------------------------------------------------------------- */

#ifndef __cplusplus
/* Spawns a fiber into a set: skua_join_set_spawn(set, fn, arg, .name = "fetch", ...).
 *
 * The options are those of skua_spawn, and all of them work. A handle (.task) is there when the
 * call returns, which may be after the task has begun; it serves to cancel and to ask, but to join
 * it is -EBUSY as long as the set has the task.
 *
 * Returns    0; -ENOMEM; SKUA_ECLOSED; -EINVAL; as skua_spawn: nothing was spawned
 * Ownership  as skua_spawn
 * Threads    any, while the scope is open
 * Since      0.2
 */
#define skua_join_set_spawn(set, fn, arg, ...)                                                     \
    skua_join_set_spawn_at(SKUA__SITE(#fn), (set), 0, (fn), (arg), SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* The same with a number or a pointer of the caller's, to be given back with the result.
 *
 * tag        any uint64_t
 * Returns    as skua_join_set_spawn
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
#define skua_join_set_spawn_tagged(set, tag, fn, arg, ...)                                         \
    skua_join_set_spawn_at(SKUA__SITE(#fn), (set), (tag), (fn), (arg),                             \
                           SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* Spawns a poll task into a set, with a tag or without.
 *
 * state      a pointer to the initial state, as for skua_spawn_poll
 * Returns    as skua_join_set_spawn, and as skua_spawn_poll
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
#define skua_join_set_spawn_poll(set, fn, state, ...)                                              \
    skua_join_set_spawn_poll_at(SKUA__SITE(#fn), (set), 0, (fn), (state), sizeof *(state),         \
                                SKUA_SPAWN_OPTIONS(__VA_ARGS__))
#define skua_join_set_spawn_poll_tagged(set, tag, fn, state, ...)                                  \
    skua_join_set_spawn_poll_at(SKUA__SITE(#fn), (set), (tag), (fn), (state), sizeof *(state),     \
                                SKUA_SPAWN_OPTIONS(__VA_ARGS__))
#endif

/* What skua_join_set_spawn calls; for other languages.
 *
 * site       static; names the task and where it came from
 * options    NULL = defaults
 * Returns    as skua_join_set_spawn
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
SKUA_API int skua_join_set_spawn_at(const skua_site *site, skua_join_set *set, uint64_t tag,
                                    skua_fiber_fn fn, void *arg, const skua_spawn_options *options);

/* What skua_join_set_spawn_poll calls; for other languages.
 *
 * state      `state_size` bytes, copied
 * Returns    as skua_join_set_spawn_poll
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
SKUA_API int skua_join_set_spawn_poll_at(const skua_site *site, skua_join_set *set, uint64_t tag,
                                         skua_poll_fn fn, const void *state, size_t state_size,
                                         const skua_spawn_options *options);

/* ---- taking results -------------------------------------------------------------------------- */

/* Takes the result of a task that has ended; waits for one, if need be.
 *
 * joined     receives it; NULL = not wanted; untouched unless 1 is returned
 * Returns    1: taken; 0: the set is empty; -ECANCELED, -ETIMEDOUT: the CALLER's end; SKUA_ECLOSED
 * Threads    fibers, plain threads
 * Cancel     safe: nothing was taken
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_set_next(skua_join_set *set, skua_joined *joined);

/* As skua_join_set_next, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_join_set_next
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_set_next_until(skua_join_set *set, skua_joined *joined,
                                                     int64_t deadline);

/* Takes a result if there is one.
 *
 * Returns    1: taken; 0: the set is empty; -EAGAIN: its tasks run (ordered: the oldest does);
 *            SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_set_try_next(skua_join_set *set, skua_joined *joined);

/* Makes a future of that: ready as skua_join_set_next returns.
 *
 * joined     in place until it is finished; NULL = not wanted
 * Returns    &next->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_join_set_next_init(skua_sync_future *next, skua_join_set *set,
                                              skua_joined *joined);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_joining_next(set, joined)                                                             \
    skua_join_set_next_init(&(skua_sync_future){.future = {0}}, (set), (joined))
#endif

/* Takes all results, until the set is empty. Tasks that are spawned meanwhile are waited for, too.
 *
 * Returns    0; the first negative result that was taken; -ECANCELED, -ETIMEDOUT: the CALLER's end:
 *            what it had not taken is still in the set (skua_join_set_len); SKUA_ECLOSED
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_join_set_join_all(skua_join_set *set);

/* How many tasks are in the set: spawned, and their results not taken.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_join_set_len(skua_join_set *set);

/* ---- cancelling and letting go --------------------------------------------------------------- */

/* Cancels one task. It stays in the set until its result is taken.
 *
 * id         as `.id` gave it at the spawn
 * Returns    0; -ESRCH when it has ended, or is no child of the set's scope
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_join_set_cancel(skua_join_set *set, skua_task_id id);

/* Cancels all tasks that were spawned before. They stay in the set until their results are taken;
 * more may be spawned.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_join_set_cancel_all(skua_join_set *set);

/* Lets go of all tasks that were spawned before, with their results: they go on, and their scope
 * still joins them.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_join_set_detach_all(skua_join_set *set);

/* ---- maps: tasks with keys ------------------------------------------------------------------- */

typedef struct skua_join_map skua_join_map;

/* The most bytes of a key. */
#define SKUA_JOIN_KEY_MAX 65535u

/* A task that has ended, and its key. */
typedef struct skua_map_joined {
    void *key;       /* the caller's: where the key is to go; NULL = not wanted */
    size_t key_room; /* the caller's: bytes there; of a longer key the first ones are given */
    size_t key_len;  /* bytes of the whole key */
    skua_task_id id;
    int result; /* as for skua_task_join */
} skua_map_joined;

/* Makes an empty map.
 *
 * map        receives it, to be ended by skua_join_map_close; untouched on failure
 * scope, options   as for skua_join_set_open
 * Returns    as skua_join_set_open
 * Threads    as skua_join_set_open
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_map_open(skua_join_map **map, skua_scope *scope,
                                               const skua_join_set_options *options);

/* Ends a map, as skua_join_set_close ends a set.
 *
 * Returns    as skua_join_set_close
 * Threads    as skua_join_set_close
 * Since      0.2
 */
SKUA_API int skua_join_map_close(skua_join_map *map);

#ifndef __cplusplus
/* Spawns a fiber with a key: skua_join_map_spawn(map, name, strlen(name), fn, arg, ...).
 *
 * If the map has a task with this key, that one is replaced: it is cancelled, and its result is
 * nobody's any more. It is so only if the new one was spawned.
 *
 * key        copied; its bytes are compared
 * key_len    bytes, 0 to SKUA_JOIN_KEY_MAX
 * Returns    as skua_join_set_spawn; -EINVAL for a key that is too long, too
 * Ownership  as skua_spawn
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
#define skua_join_map_spawn(map, key, key_len, fn, arg, ...)                                       \
    skua_join_map_spawn_at(SKUA__SITE(#fn), (map), (key), (key_len), (fn), (arg),                  \
                           SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* Spawns a poll task with a key.
 *
 * state      a pointer to the initial state, as for skua_spawn_poll
 * Returns    as skua_join_map_spawn, and as skua_spawn_poll
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
#define skua_join_map_spawn_poll(map, key, key_len, fn, state, ...)                                \
    skua_join_map_spawn_poll_at(SKUA__SITE(#fn), (map), (key), (key_len), (fn), (state),           \
                                sizeof *(state), SKUA_SPAWN_OPTIONS(__VA_ARGS__))
#endif

/* What skua_join_map_spawn calls; for other languages.
 *
 * site       static; names the task and where it came from
 * options    NULL = defaults
 * Returns    as skua_join_map_spawn
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
SKUA_API int skua_join_map_spawn_at(const skua_site *site, skua_join_map *map, const void *key,
                                    size_t key_len, skua_fiber_fn fn, void *arg,
                                    const skua_spawn_options *options);

/* What skua_join_map_spawn_poll calls; for other languages.
 *
 * state      `state_size` bytes, copied
 * Returns    as skua_join_map_spawn_poll
 * Threads    as skua_join_set_spawn
 * Since      0.2
 */
SKUA_API int skua_join_map_spawn_poll_at(const skua_site *site, skua_join_map *map, const void *key,
                                         size_t key_len, skua_poll_fn fn, const void *state,
                                         size_t state_size, const skua_spawn_options *options);

/* Takes the result of a task that has ended, and its key; waits for one, if need be.
 *
 * joined     `key` and `key_room` are filled in by the caller, the rest is received; NULL = not
 *            wanted; untouched unless 1 is returned
 * Returns    1: taken; 0: the map is empty, and what was replaced has ended; else as
 *            skua_join_set_next
 * Threads    fibers, plain threads
 * Cancel     safe: nothing was taken
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_map_next(skua_join_map *map, skua_map_joined *joined);

/* As skua_join_map_next, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_join_map_next
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_map_next_until(skua_join_map *map, skua_map_joined *joined,
                                                     int64_t deadline);

/* Takes a result if there is one.
 *
 * Returns    as skua_join_set_try_next
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_join_map_try_next(skua_join_map *map, skua_map_joined *joined);

/* Makes a future of that: ready as skua_join_map_next returns.
 *
 * joined     in place until it is finished, as its key's room; NULL = not wanted
 * Returns    &next->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_join_map_next_init(skua_sync_future *next, skua_join_map *map,
                                              skua_map_joined *joined);

#ifndef __cplusplus
/* The same in the caller's block.
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_joining_next_key(map, joined)                                                         \
    skua_join_map_next_init(&(skua_sync_future){.future = {0}}, (map), (joined))
#endif

/* Whether the map has a task with this key, running, or ended and not taken.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_join_map_contains(skua_join_map *map, const void *key, size_t key_len);

/* How many keys the map has. Tasks that were replaced do not count.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_join_map_len(skua_join_map *map);

/* Cancels the task with this key. It keeps the key until its result is taken.
 *
 * Returns    0; -ESRCH: no task has this key, or it has ended
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_join_map_cancel(skua_join_map *map, const void *key, size_t key_len);

/* Cancels all tasks that were spawned before. They keep their keys until their results are taken.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_join_map_cancel_all(skua_join_map *map);

/* Lets go of all tasks that were spawned before, with keys and results: they go on, and their scope
 * still joins them.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_join_map_detach_all(skua_join_map *map);

SKUA_C_END

#endif
