/* executor.h - whoever runs work, behind one interface: chosen by name, decorated, and changed.
 *
 * An executor takes work (a function and its argument) and runs each piece once, somewhere: on a
 * runtime of any kind, on threads, in a foreign loop, or wherever one of your own runs it.
 *
 *     skua_executor *executor;
 *
 *     skua_executor_open(&executor, getenv("EXECUTOR"), NULL);   // "multi-thread", "thread-pool"…
 *     skua_executor_decorate(executor, skua_decorator_time(&times));
 *     skua_executor_submit(executor, resize, image);
 *     skua_executor_close(executor);                             // waits for all of it
 *
 * name              runs work
 * "multi-thread"    on fibers of a work-stealing runtime of its own
 * "thread-per-core" on fibers of such a runtime, one worker after the other
 * "current-thread"  on fibers of a runtime that whoever calls skua_executor_run drives, or a
 *                   foreign loop whose guest it is (skua_executor_runtime, runtime.h)
 * "thread-pool"     on threads of a pool, where it may block (blocking.h)
 *
 * Work that has not begun waits in the executor, and can be moved to another one. Decorators are
 * called around each piece of work, in the order in which they were added, and back.
 *
 * Source     Java's Executor; tower's layers for the decorators.
 */
#ifndef SKUA_EXECUTOR_H
#define SKUA_EXECUTOR_H

#include <skua/runtime.h>
#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_executor skua_executor;

/* A piece of work. */
typedef struct skua_work {
    skua_fiber_fn fn;
    void *arg;
    void (*drop)(void *arg); /* called instead, when fn will never run; NULL = nothing to do */
    const char *name;        /* static; for decorators */
} skua_work;

/* How an executor runs work. For one of your own: a static table. */
typedef struct skua_executor_ops {
    const char *name;
    /* Has skua_executor_run_one(executor) called once, soon, anywhere. 0 or a negative error. */
    int (*launch)(skua_executor *executor);
    /* Waits until all that was launched has been called, and frees the executor. */
    void (*close)(skua_executor *executor);
} skua_executor_ops;

typedef struct skua_decorator skua_decorator;

/* Something done around each piece of work. Alive and in place as long as its executors. */
struct skua_decorator {
    const char *name;
    /* Before: 0, or a negative code: the work is dropped. May wait. NULL = none */
    int (*begin)(skua_decorator *self, const skua_work *work);
    /* After, if begin returned 0: with fn's result. NULL = none */
    void (*end)(skua_decorator *self, const skua_work *work, int64_t ns, int result);
};

/* The most decorators of an executor. */
#define SKUA_DECORATORS_MAX 8

/* The head of every executor; embed it as the first member. Its members are private. */
struct skua_executor {
    const skua_executor_ops *ops; /* constant */
    skua_decorator *decorators[SKUA_DECORATORS_MAX];
    unsigned count;                       /* of decorators */
    struct skua__work_item *first, *last; /* not begun; lock */
    size_t waiting;                       /* lock */
    uint8_t lock;
};

/* Makes an executor by name.
 *
 * ret        receives it, to be ended by skua_executor_close; untouched on failure
 * name       see above; NULL or "" is "multi-thread"
 * options    of its runtime; the kind is the name's. NULL = defaults
 * Returns    0; -EINVAL for a name that does not exist; the errors of skua_runtime_new
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_executor_open(skua_executor **ret, const char *name,
                                               const skua_runtime_options *options);

/* An executor on a runtime that is there already, of any kind, a test's (test.h) included.
 *
 * runtime    outlives the executor
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_executor_on(skua_executor **ret, skua_runtime *runtime);

/* Fills in the head of one of your own.
 *
 * ops        static
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_executor_init(skua_executor *executor, const skua_executor_ops *ops);

/* Adds a decorator, inside those that are there. Before the first work is submitted.
 *
 * Returns    0; SKUA_ELIMIT: there are SKUA_DECORATORS_MAX; -EINVAL: NULL
 * Threads    the owner
 * Since      0.3
 */
SKUA_API int skua_executor_decorate(skua_executor *executor, skua_decorator *decorator);

/* Gives work to an executor.
 *
 * work       copied
 * Returns    0: it will run once, or be dropped; -EINVAL: no function; -ENOMEM; what launch says,
 *            as SKUA_ESTOPPED: the work was not taken, and is not dropped
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_executor_submit_work(skua_executor *executor, const skua_work *work);

#ifndef __cplusplus
/* The same: skua_executor_submit(executor, fn, arg, .drop = free, .name = "resize").
 *
 * Returns    as skua_executor_submit_work
 * Threads    any
 * Since      0.3
 */
#define skua_executor_submit(executor, work_fn, work_arg, ...)                                     \
    skua_executor_submit_work((executor),                                                          \
                              &(const skua_work){.fn = (work_fn), .arg = (work_arg), __VA_ARGS__})
#endif

/* Runs the oldest work that has not begun, with its decorators: what launch calls.
 *
 * Returns    1; 0 when there is none (it was moved, or another call had it)
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_executor_run_one(skua_executor *executor);

/* Moves all work that has not begun to another executor, in order.
 *
 * Returns    how many; when `to` refuses some, these stay where they are, and the error is returned
 *            if none was moved
 * Threads    any
 * Since      0.3
 */
SKUA_API int64_t skua_executor_move(skua_executor *from, skua_executor *to);

/* Work that has not begun.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.3
 */
SKUA_API size_t skua_executor_waiting(skua_executor *executor);

/* Drives a "current-thread" executor on the calling thread until all its work is done.
 *
 * Returns    0 at once for the others, which run by themselves; the errors of skua_block_on
 * Threads    plain threads: always the same one
 * Since      0.3
 */
SKUA_API int skua_executor_run(skua_executor *executor);

/* The runtime behind an executor.
 *
 * Returns    borrowed; NULL for one of your own
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_runtime *skua_executor_runtime(skua_executor *executor);

/* Waits until all work is done, and frees the executor; a "current-thread" one is driven for that.
 *
 * executor   nobody submits any more; NULL does nothing
 * Threads    plain threads; for skua_executor_on any but a poll task
 * Since      0.3
 */
SKUA_API void skua_executor_close(skua_executor *executor);

/* ---- decorators that are there --------------------------------------------------------------- */

/* Counts and times. Zeroed memory; read `stats` after skua_executor_close, or as a glance. */
typedef struct skua_work_times {
    skua_decorator decorator;
    uint64_t count, failed; /* atomically counted */
    uint64_t total_ns, longest_ns;
} skua_work_times;

/* Counts work, and how long it takes.
 *
 * Returns    &times->decorator
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_decorator *skua_decorator_time(skua_work_times *times);

/* At most so many at a time. */
typedef struct skua_work_limit {
    skua_decorator decorator;
    skua_semaphore semaphore;
} skua_work_limit;

/* Lets at most `most` pieces of work run at a time; the others wait where they run: a fiber parks,
 * a thread of a pool sleeps.
 *
 * most       1 to SKUA_SEMAPHORE_MAX; 0 is 1
 * Returns    &limit->decorator
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_decorator *skua_decorator_limit(skua_work_limit *limit, size_t most);

/* A line for each piece of work. */
typedef struct skua_work_log {
    skua_decorator decorator;
    void (*line)(const char *text, void *arg);
    void *arg;
} skua_work_log;

/* Tells begin and end of each piece of work, with name, result and time.
 *
 * line       called with a line without its end, on whatever thread; NULL = standard error
 * Returns    &log->decorator
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_decorator *skua_decorator_log(skua_work_log *log,
                                            void (*line)(const char *text, void *arg), void *arg);

SKUA_C_END

#endif
