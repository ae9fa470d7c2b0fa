/* runtime.h - runtimes: options, running, stopping, looking inside.
 *
 * A runtime is a set of workers with a driver each. There may be any number in one process; none
 * is global. A multi-thread runtime owns its worker threads, which steal work from each other; in a
 * thread-per-core runtime they do not: a task stays on the worker that spawned it, or that it was
 * spawned for (.worker = SKUA_WORKER(n)), so that workers share nothing but what they send each
 * other through channels. What comes from outside goes to each worker in turn. A current-thread
 * runtime has no thread and runs inside skua_block_on, on the thread that calls it.
 *
 *     int main(void)
 *     {
 *         return skua_main(app, NULL, SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM));
 *     }
 *
 * fork         the child of a fork has none of the workers, whoever forked, a fiber too: its thread
 *              is a plain thread there, and runtimes that its parent made are not its own. Running,
 *              spawning into, stopping, freeing and looking into these is SKUA_EUSAGE, which is
 *              told once on standard error; joining their tasks is, too; they are left alone, as
 *              are their sockets, channels and locks, in which somebody may have been. Closing a
 *              socket or a descriptor of the parent's gives the child's copy up, at its exit at the
 *              latest, and does nothing to the parent's. It may make runtimes of its own, at once,
 *              and has to end with _exit or exec when it was forked by a fiber. Descriptors are
 *              close-on-exec: nothing of a runtime is seen behind an exec, nor are signals blocked.
 *              vfork and posix_spawn need no care. Where a process has other threads, its child may
 *              call only what is async-signal-safe, says POSIX; glibc keeps malloc whole, and this
 *              library itself.
 * Environment  SKUA_DRIVER=epoll|io_uring|kqueue|auto is taken where .driver is SKUA_DRIVER_AUTO;
 *              SKUA_WORKERS=n where .workers is 0; SKUA_TRACE=file.json writes a trace that
 *              Perfetto and chrome://tracing show, at the runtime's end.
 */
#ifndef SKUA_RUNTIME_H
#define SKUA_RUNTIME_H

#include <skua/task.h>
#include <skua/time.h>

SKUA_C_BEGIN

typedef enum skua_runtime_kind {
    SKUA_MULTI_THREAD = 0, /* workers on threads of their own, work stealing */
    SKUA_CURRENT_THREAD,   /* one worker, on whichever thread calls skua_block_on */
    SKUA_THREAD_PER_CORE   /* workers on threads of their own; no task leaves its worker */
} skua_runtime_kind;

typedef enum skua_driver {
    SKUA_DRIVER_AUTO = 0, /* io_uring if kernel and build have it, else epoll */
    SKUA_DRIVER_EPOLL,
    SKUA_DRIVER_IO_URING,
    SKUA_DRIVER_KQUEUE /* a build with SKUA_WITH_KQUEUE only; else -EINVAL. Since 0.3 */
} skua_driver;

/* Values of skua_runtime_options.stop_on. */
#define SKUA_SIGNALS_NONE 0u
#define SKUA_SIGNALS_INT 0x1u
#define SKUA_SIGNALS_TERM_ONLY 0x2u
#define SKUA_SIGNALS_TERM (SKUA_SIGNALS_INT | SKUA_SIGNALS_TERM_ONLY) /* SIGINT and SIGTERM */

/* Which processors the workers run on. */
typedef enum skua_placement {
    SKUA_PLACE_DEFAULT = 0, /* anywhere; SKUA_THREAD_PER_CORE: spread */
    SKUA_PLACE_ANYWHERE,    /* each worker on any processor, as the system likes */
    SKUA_PLACE_SPREAD,      /* each worker on one processor, the NUMA nodes in turn */
    SKUA_PLACE_PACK         /* each worker on one processor, one NUMA node full before the next */
} skua_placement;

/* What a task hook is told. */
typedef struct skua_task_info {
    skua_task_id id;
    const skua_site *site;   /* static: name, file, function, line */
    const char *waiting_for; /* the future a parked task waits for; NULL = runnable or unknown */
} skua_task_info;

typedef struct skua_runtime_options {
    size_t size;              /* stamped by the macro */
    const char *name;         /* of the runtime and its threads, copied (default "skua") */
    skua_runtime_kind kind;   /* (default SKUA_MULTI_THREAD) */
    unsigned workers;         /* threads, 1 to 1024 (default: the usable processors, but no more
                                 than a cgroup's quota allows the time of) */
    size_t stack_size;        /* bytes, 16 KiB to 64 MiB (default 64 KiB) */
    size_t stack_size_large;  /* bytes, SKUA_STACK_LARGE (default 256 KiB) */
    unsigned budget;          /* waits a task may complete in one turn (default 128) */
    unsigned event_interval;  /* turns between two looks at timers and I/O (default 61) */
    unsigned inject_interval; /* turns between two looks at the shared queue (default 31) */
    size_t tasks_max;         /* alive at once; more: SKUA_ELIMIT (default: no bound but memory) */
    skua_driver driver;       /* (default SKUA_DRIVER_AUTO) */
    uint64_t seed;            /* of victims and other choices (default: random) */
    unsigned stop_on;         /* skua_main only: SKUA_SIGNALS_* (default none) */
    int64_t stop_timeout;     /* ns that stopping may take before tasks that do not end are
                                 named and left (default 10 s; SKUA_FOREVER = no end) */
    void (*on_thread_start)(void *arg); /* on each worker's thread; may call no skua_ wait */
    void (*on_thread_stop)(void *arg);
    void (*on_thread_park)(void *arg);
    void (*on_thread_unpark)(void *arg);
    void (*on_task_spawn)(const skua_task_info *task, void *arg); /* on the spawning thread */
    void (*on_task_done)(const skua_task_info *task, void *arg);  /* on the worker */
    void (*on_straggler)(const skua_task_info *task, void *arg);  /* did not end in stop_timeout
                                 (default: a line on standard error) */
    void *hook_arg;                         /* handed to the hooks (default NULL) */
    const struct skua_scheduler *scheduler; /* says which task goes next, see scheduler.h; kept, not
                                               copied; not with SKUA_MULTI_THREAD (default none) */
    skua_placement placement;               /* (default SKUA_PLACE_DEFAULT) */
    const char *cpus;         /* as "0-3,8": no other processors (default: all that the thread which
                                 makes the runtime may use) */
    const char *cpus_exclude; /* never these, as "0" (default none) */
    const char *numa_nodes;   /* processors of these nodes only, as "1" (default all) */
    int one_per_core;         /* 1: of processors that share a core only one (default 0) */
    int ignore_quota;         /* 1: a worker for each processor, even if a cgroup's quota allows the
                                 time of fewer (default 0: as many workers as it allows) */
    unsigned blocking_threads;   /* at most so many for blocking.h, 1 to 65535 (default 512) */
    int64_t blocking_keep_alive; /* ns that such a thread waits for work (default 10 s) */
    unsigned unseen;             /* 1: telemetry's own: skua_runtime_each leaves it out, and probes
                                    say nothing of it (default 0). Since 0.5 */
} skua_runtime_options;

#ifndef __cplusplus
#define SKUA_RUNTIME_OPTIONS(...)                                                                  \
    (&(const skua_runtime_options){.size = sizeof(skua_runtime_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_runtime_options_init(skua_runtime_options *options);

/* Makes a runtime and starts its workers.
 *
 * ret        receives it; untouched on failure
 * options    NULL = defaults
 * Returns    0; -EINVAL for an option out of its range (also SKUA_DRIVER= and SKUA_WORKERS=),
 *            -ENOSYS or -EPERM when io_uring was forced and is not to be had, -ENOMEM, -EMFILE,
 *            -EAGAIN (no thread): nothing is left behind
 * Threads    any
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_runtime_new(skua_runtime **ret,
                                             const skua_runtime_options *options);

/* Stops a runtime: cancels every task, lets each clean up, joins it.
 *
 * deadline   monotonic ns
 * Returns    0: nothing runs any more; -ETIMEDOUT: some tasks did not end and were named
 *            (on_straggler), the runtime is still there and may be stopped again; SKUA_EUSAGE on
 *            one of its own workers
 * Threads    plain threads, and fibers of other runtimes (which they block)
 * Since      0.1
 */
SKUA_API int skua_runtime_stop(skua_runtime *runtime, int64_t deadline);

/* Stops a runtime (within its stop_timeout) and frees it.
 *
 * runtime    NULL does nothing
 * Returns    0; -ETIMEDOUT: some tasks did not end: the runtime is NOT freed, since they use it
 * Threads    as skua_runtime_stop
 * Since      0.1
 */
SKUA_API int skua_runtime_free(skua_runtime *runtime);

/* Runs a fiber to its end, from a thread.
 *
 * fn, arg    the fiber, spawned into a scope of its own; tasks that it spawns into
 *            skua_scope_current() are joined before this call returns, and are cancelled when its
 *            result is negative
 * result     receives fn's result; NULL = not wanted; untouched on failure
 * Returns    0; -ENOMEM, SKUA_ELIMIT, SKUA_ESTOPPED: fn did not run; SKUA_EUSAGE on a worker, or
 *            when this current-thread runtime belongs to another thread: the first that drives
 *            it (a fiber that has run must not find itself on another thread)
 * Threads    plain threads
 * Since      0.1
 */
SKUA_API int skua_block_on(skua_runtime *runtime, skua_fiber_fn fn, void *arg, int *result);

/* The descriptor of a current-thread runtime that is the guest of a foreign event loop: readable
 * when skua_runtime_turn has something to do. Only to be waited for, by poll, epoll and the like.
 *
 * Returns    the descriptor, the runtime's own; SKUA_EUSAGE: no current-thread runtime; -EMFILE,
 *            -ENFILE, -ENOMEM
 * Threads    the one that calls skua_runtime_turn
 * Since      0.3
 */
SKUA_API int skua_runtime_fd(skua_runtime *runtime);

/* Runs what can be run in a current-thread runtime, without a wait: events, timers, tasks. What it
 * is to run is given to it by skua_spawn_on, at any time, from any thread.
 *
 *     int fd = skua_runtime_fd(runtime);             the loop watches it for reading
 *     int64_t next = skua_runtime_turn(runtime);     when it is readable, and at `next`
 *
 * Returns    when to call it again at the latest, monotonic ns; one that is past: at once;
 *            SKUA_FOREVER: when the descriptor is readable. SKUA_EUSAGE on a worker, in another
 *            runtime than a current-thread one, or when this one belongs to another thread
 * Threads    plain threads: always the same one
 * Since      0.3
 */
SKUA_API int64_t skua_runtime_turn(skua_runtime *runtime);

/* A program: makes a runtime, runs a fiber in it, stops and frees it.
 *
 * On the first signal of options->stop_on the fiber and all tasks are cancelled, and nothing new is
 * taken: spawns into the runtime's scope and the fiber's say -ECANCELED. What runs may clean up and
 * finish what it has begun, under shields, for options->stop_timeout from the signal on. What has
 * not ended then is named (on_straggler), and left: skua_main returns 1 without having freed the
 * runtime. A second signal ends the process at once with 128 + its number. Listeners (signal.h) for
 * the same signals see them, too.
 *
 * A program that was started with one of its standard streams closed finds /dev/null there.
 *
 * Returns    an exit status for main: 0 when fn returned 0 or more, or -ECANCELED because of a
 *            signal; 1 after having told the error, or what did not end, on standard error
 * Threads    the main thread, outside any runtime
 * Since      0.1
 */
SKUA_API int skua_main(skua_fiber_fn fn, void *arg, const skua_runtime_options *options);

/* The runtime of the calling task.
 *
 * Returns    borrowed; NULL outside a task
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_runtime *skua_runtime_current(void);

/* The root scope: what is spawned into it runs until it ends or the runtime stops.
 *
 * Returns    borrowed
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_scope *skua_runtime_scope(skua_runtime *runtime);

/* The processor that a worker is bound to.
 *
 * worker     its index
 * Returns    the kernel's number of it; -ENOENT when the worker may run on several; -EINVAL: there
 *            is no such worker
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_runtime_worker_cpu(skua_runtime *runtime, unsigned worker);

/* ---- the snapshot ---------------------------------------------------------------------------- */

#define SKUA_POLL_BUCKETS 24
#define SKUA_LATE_BUCKETS 24

/* Counters of one worker since its start. */
typedef struct skua_worker_stats {
    uint64_t polls;         /* turns of tasks */
    uint64_t steals;        /* visits to another worker that brought work */
    uint64_t stolen_tasks;  /* tasks they brought */
    uint64_t steal_misses;  /* rounds over all workers that brought none */
    uint64_t parks;         /* times it slept */
    uint64_t spawns;        /* tasks made on it */
    uint64_t injected;      /* tasks taken from the shared queue or the inbox */
    uint64_t overflows;     /* times its queue was full and half of it went to the shared queue */
    uint64_t budget_yields; /* turns cut short by the budget */
    uint64_t events;        /* I/O events handled */
    uint64_t timers_fired;
    uint64_t queue_len;                    /* runnable tasks, at its last look at events */
    uint64_t timers_armed;                 /* likewise */
    int64_t busy_ns;                       /* time not parked */
    uint64_t poll_time[SKUA_POLL_BUCKETS]; /* sampled turns by length: bucket n counts those of
                                              [2^n, 2^(n+1)) * 64 ns */
} skua_worker_stats;

/* A runtime at one moment. */
typedef struct skua_runtime_stats {
    size_t size;        /* set by the caller: sizeof(skua_runtime_stats) */
    const char *name;   /* borrowed from the runtime */
    const char *driver; /* "epoll", "io_uring" or "kqueue" */
    unsigned workers;
    uint64_t alive_tasks;
    uint64_t spawned_tasks;
    uint64_t inject_len;       /* tasks in the shared queue */
    uint64_t remote_spawns;    /* tasks made outside the workers */
    uint64_t stacks;           /* fiber stacks that exist */
    uint64_t cells_bytes;      /* memory of task headers and states */
    skua_worker_stats total;   /* of all workers together */
    uint64_t blocking_threads; /* of blocking.h, now */
    uint64_t blocking_idle;    /* of these without work */
    uint64_t blocking_queue;   /* jobs in line, now */
    uint64_t blocking_jobs;    /* jobs that began */
    uint64_t blocking_wait_ns; /* how long they waited in line, all together */
    /* Since 0.5; who sets `size` without these two gets all that is before them. */
    uint64_t timers_late[SKUA_LATE_BUCKETS]; /* timers by how late they fired: bucket n counts those
                                                of [2^n, 2^(n+1)) * 64 ns; the first one also what
                                                is less, the last one what is more */
    uint64_t timers_late_ns;                 /* all together */
} skua_runtime_stats;

/* Looks inside a runtime. The numbers of a running one are each right, not of one instant.
 *
 * stats      its `size` set by the caller
 * workers    NULL, or room for the counters of `count` workers
 * Returns    the number of workers; -EINVAL when the size is unknown
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_runtime_snapshot(skua_runtime *runtime, skua_runtime_stats *stats,
                                   skua_worker_stats *workers, unsigned count);

/* Calls `fn` for every task that is alive, under a lock: fn must not wait, spawn or join.
 *
 * Returns    the number of tasks
 * Threads    any
 * Since      0.1
 */
SKUA_API int64_t skua_runtime_each_task(skua_runtime *runtime,
                                        void (*fn)(const skua_task_info *task, void *arg),
                                        void *arg);

/* Calls `fn` for every runtime of the process, under a lock that making and freeing one takes, too:
 * each is whole, and stays so until fn returns. fn must not wait, or make or free runtimes.
 *
 * Returns    the number of runtimes
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_runtime_each(void (*fn)(skua_runtime *runtime, void *arg), void *arg);

/* Has `fn` called for each runtime that is freed, when nothing runs in it any more, and under the
 * lock of skua_runtime_each: from then on that does not find it. For ever, as with atexit; the same
 * function twice is once.
 *
 * Returns    0; -EINVAL: no function; -EBUSY: there are 4 others
 * Threads    any; fn is called on the thread that frees
 * Since      0.5
 */
SKUA_API int skua_runtime_at_free(void (*fn)(skua_runtime *runtime));

/* The name that its options gave it.
 *
 * Returns    borrowed from the runtime
 * Threads    any
 * Since      0.5
 */
SKUA_API const char *skua_runtime_name(const skua_runtime *runtime);

SKUA_C_END

#endif
