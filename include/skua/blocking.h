/* blocking.h - code that blocks: run on threads that are there for it.
 *
 *     rc = skua_blocking(compress, &job);            // the fiber waits, its worker does other work
 *
 * Each runtime has a pool of such threads. It starts one when a job finds none idle, up to
 * skua_runtime_options.blocking_threads; a thread without work ends after .blocking_keep_alive.
 * More jobs than threads wait in line. In a job everything may block, spawn threads or processes,
 * use OpenMP; skua_ calls are as on any plain thread, and the deadline and the task-locals that are
 * in force for the caller can be read there, too (skua_deadline_current, skua_local_get).
 *
 * Cancelling, and a deadline that passes, take a job that has not begun out of the line: it never
 * runs. One that runs cannot be stopped, and may be using `arg`:
 *
 *   without .drop   the caller waits for its end all the same, and gets its result
 *   with .drop      the caller goes on at once with -ECANCELED or -ETIMEDOUT; drop(arg) is called
 *                   when the job has ended, on its thread
 *
 * drop(arg) is called exactly once if, and only if, the caller did not get the job's result: also
 * for a job that never ran, then before the caller goes on.
 *
 * Source     Tokio's spawn_blocking, whose job is abandoned as with .drop; libuv's uv_queue_work.
 */
#ifndef SKUA_BLOCKING_H
#define SKUA_BLOCKING_H

#include <skua/runtime.h>
#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_blocking_options {
    size_t size;             /* stamped by the macro */
    void (*drop)(void *arg); /* see above (default none) */
} skua_blocking_options;

/* A wait for a job. Its members are private. */
typedef struct skua_blocking_future {
    skua_future future;
    skua_waiter waiter;
    skua_fiber_fn fn;
    void *arg;
    void (*drop)(void *arg);
    struct skua__job *job; /* NULL: not begun, or over */
    int result;            /* of a job that was waited for when it was dropped … */
    int waited;            /* … which this says */
} skua_blocking_future;

#ifndef __cplusplus
#define SKUA_BLOCKING_OPTIONS(...)                                                                 \
    (sizeof(#__VA_ARGS__) == 1                                                                     \
         ? (const skua_blocking_options *)0                                                        \
         : &(const skua_blocking_options){.size = sizeof(skua_blocking_options), __VA_ARGS__})

/* Runs fn(arg) on a thread of the pool and waits for it: skua_blocking(fn, arg, .drop = free).
 *
 * On a plain thread it is a call of fn: that thread may block.
 *
 * fn         may block; its result is handed on
 * arg        the job's until it has ended, see above
 * Returns    fn's result. fn did not run, or .drop tells: -ECANCELED, -ETIMEDOUT; fn did not run:
 *            -ENOMEM, -EAGAIN (no thread is there, and none can be started), -EINVAL (options),
 *            SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads
 * Since      0.3
 */
#define skua_blocking(fn, arg, ...)                                                                \
    skua_blocking_with((fn), (arg), SKUA_BLOCKING_OPTIONS(__VA_ARGS__))

/* The same as a future in the caller's block.
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_blocking_init
 * Since      0.3
 */
#define skua_blocking_on_pool(fn, arg, ...)                                                        \
    skua_blocking_init(&(skua_blocking_future){.job = NULL}, (fn), (arg),                          \
                       SKUA_BLOCKING_OPTIONS(__VA_ARGS__))
#endif

/* What skua_blocking calls; for other languages.
 *
 * options    NULL = defaults
 * Returns    as skua_blocking
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_blocking_with(skua_fiber_fn fn, void *arg, const skua_blocking_options *options);

/* Makes a future of that: ready as skua_blocking returns. The job begins with its first poll.
 *
 * A future without .drop that is dropped while its job runs, lost in a select for instance, parks
 * the fiber until the job has ended. A poll task cannot do that: there .drop must be given.
 *
 * Returns    &blocking->future; it is ready with SKUA_EUSAGE in a poll task without .drop
 * Threads    where it is awaited
 * Cancel     see above
 * Since      0.3
 */
SKUA_API skua_future *skua_blocking_init(skua_blocking_future *blocking, skua_fiber_fn fn,
                                         void *arg, const skua_blocking_options *options);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_blocking_options_init(skua_blocking_options *options);

/* Runs fn(arg) to its end, whatever happens to the task meanwhile: a shield around skua_blocking.
 *
 * The worker's other tasks go on. (Tokio's block_in_place hands these to another thread and blocks
 * the worker; here fibers belong to their workers, and it is the blocking call that moves.)
 *
 * Returns    fn's result; -ENOMEM, -EAGAIN; SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_block_in_place(skua_fiber_fn fn, void *arg);

SKUA_C_END

#endif
