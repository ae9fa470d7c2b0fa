/* task_tracker.h - the task tracker: what every task of a program does now, and did lately.
 *
 *     skua_task_tracker_start(NULL);
 *     ...
 *     skua_task_tracker_print(stderr);
 *
 *     TASK                     STATE          FOR     TURNS      BUSY ...  SPAWNED AT
 *     serve                    accept      12.1 s        31    410 us ...  main.c:40
 *       connection             running      40 us       112    2.1 ms ...  serve.c:17
 *       connection             mutex.lock  310 ms        97    1.8 ms ...  serve.c:17
 *
 * It listens to the probes of all runtimes of the process (probe.h), and keeps for each task who
 * spawned it and where, its state since when and what it waits for, how often and how long it ran,
 * was runnable and waited, and in which trace it is. Tasks that are older than the tracker are
 * found when something happens to them, or all at once by skua_task_tracker_add.
 *
 * Memory     made when it is started, and not more: of `tasks_max` tasks, rounded up to a power of
 *            two, some 230 bytes each, of which only those that are needed are touched. The table
 *            has 16 parts, so that it may be full for one task when it is nearly full for all; what
 *            does not fit is counted. Of tasks that ended the last ones stay, in 16 rings.
 * Cost       of an event some 60 ns: a look at the clock and a lock of one of the parts, which is
 *            held for some dozen instructions, and never while something else is called. Nothing
 *            while the tracker is not started.
 * Time       is the system's monotonic clock, in tests with a clock of their own (test.h), too.
 *
 * Source     tokio-console: its table of tasks and its warnings.
 */
#ifndef SKUA_TASK_TRACKER_H
#define SKUA_TASK_TRACKER_H

#include <stdio.h>

#include <skua/task.h>

SKUA_C_BEGIN

/* ---- life ------------------------------------------------------------------------------------ */

typedef struct skua_task_tracker_options {
    size_t size;        /* stamped by the macro */
    uint32_t tasks_max; /* at a time, 16 to 16,777,216, rounded up to 2^n (default 65,536) */
    uint32_t done_max;  /* how many that ended stay, 16 to 16,384 (default 1,024) */
} skua_task_tracker_options;

#ifndef __cplusplus
#define SKUA_TASK_TRACKER_OPTIONS(...)                                                             \
    (&(const skua_task_tracker_options){.size = sizeof(skua_task_tracker_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_task_tracker_options_init(skua_task_tracker_options *options);

/* Starts the tracker of the process. Before the runtimes are made it sees all of them.
 *
 * options    NULL = defaults
 * Returns    0; -EBUSY: it is started, or there are too many listeners; -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_task_tracker_start(const skua_task_tracker_options *options);

/* Stops it, and forgets everything.
 *
 * Returns    0; -ENOENT: it is not started
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_task_tracker_stop(void);

/* Has it know all tasks of a runtime now, those too that were there before and wait. Who spawned
 * them is not known.
 *
 * runtime    NULL: all that skua_runtime_each finds
 * Returns    how many tasks there are; -ENOENT: it is not started; SKUA_EUSAGE: the runtime is of
 *            the parent of a fork
 * Threads    any, while the runtime lives
 * Since      0.5
 */
SKUA_API int64_t skua_task_tracker_add(skua_runtime *runtime);

/* ---- what is known of a task ----------------------------------------------------------------- */

typedef enum skua_tracked_state {
    SKUA_TRACKED_RUNNABLE, /* in a queue */
    SKUA_TRACKED_RUNNING,
    SKUA_TRACKED_WAITING,
    SKUA_TRACKED_DONE
} skua_tracked_state;

#define SKUA_TRACKED_BIT(state) (1u << (unsigned)(state))
#define SKUA_TRACKED_ALIVE (SKUA_TRACKED_BIT(SKUA_TRACKED_DONE) - 1)
#define SKUA_TRACKED_ALL (SKUA_TRACKED_ALIVE | SKUA_TRACKED_BIT(SKUA_TRACKED_DONE))

/* Warnings. */
#define SKUA_TRACKED_SELF_WAKES                                                                    \
    0x1u                            /* of 16 turns and more over a half began because it was woken
                                        while it ran: by itself, mostly */
#define SKUA_TRACKED_LONG_TURN 0x2u /* a turn took a second and more: it never yielded */
#define SKUA_TRACKED_STARVED 0x4u   /* it is runnable for a second and more */
#define SKUA_TRACKED_LINGERS 0x8u   /* it was cancelled a second ago and more, and did not end */

/* Times in ns; points in time on the monotonic clock. */
typedef struct skua_tracked_task {
    size_t size; /* of this struct */
    skua_task_id id;
    skua_runtime *runtime;        /* whose task it is; of one that ended it may be gone */
    const skua_site *site;        /* its name, and where it was spawned */
    skua_task_id parent;          /* who spawned it; 0: no task, or not known */
    skua_runtime *parent_runtime; /* the parent's; NULL: none */
    skua_tracked_state state;
    int result;              /* DONE */
    int64_t since;           /* when this state began */
    const char *waiting_for; /* WAITING: a fiber's future, static; NULL: not known */
    int64_t seen;            /* when the tracker first knew of it */
    int64_t spawned;         /* the same where it saw the spawn; else 0 */
    int64_t cancelled;       /* when it was cancelled, once it was spawned; 0: it was not */
    skua_task_id waker;      /* the task that woke it last; 0: none, or no task did */
    unsigned worker;         /* where it ran last; ~0u: nowhere yet */
    unsigned warnings;       /* SKUA_TRACKED_SELF_WAKES … */
    uint64_t polls;          /* turns */
    uint64_t wakes;          /* while it waited */
    uint64_t self_wakes;     /* while it ran */
    uint64_t yields;
    int64_t busy;         /* it ran, all together, now included, as with the next two */
    int64_t scheduled;    /* it was runnable, and waited for a worker */
    int64_t idle;         /* it waited */
    int64_t longest;      /* turn */
    uint8_t trace_id[16]; /* of the span it was in when it was spawned, or last parked: all */
    uint8_t span_id[8];   /* zeros when there was none */
} skua_tracked_task;

/* Looks at one task. Of those that ended, while it is among the last ones.
 *
 * runtime    the task's; NULL: any that has such an id
 * ret        its `size` set by the caller
 * Returns    0; -ESRCH; -EINVAL: the size
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_task_tracker_get(skua_runtime *runtime, skua_task_id id, skua_tracked_task *ret);

/* ---- all of them ----------------------------------------------------------------------------- */

/* Which ones. Zero: whichever. */
typedef struct skua_tracked_filter {
    size_t size;           /* stamped by the macro */
    skua_runtime *runtime; /* of this runtime; with `parent`: whose parent is of this runtime */
    skua_task_id parent;   /* the children of this one */
    unsigned states;       /* SKUA_TRACKED_BIT of each (default SKUA_TRACKED_ALIVE) */
    unsigned warnings;     /* with one of these */
    const char *name;      /* with this name; with "*" at its end, any that begins so */
    int64_t age;           /* known for so long at least, ns */
} skua_tracked_filter;

#ifndef __cplusplus
#define SKUA_TRACKED_FILTER(...)                                                                   \
    (&(const skua_tracked_filter){.size = sizeof(skua_tracked_filter), __VA_ARGS__})
#endif

/* Calls fn for each task that a filter lets through, in no order. Tasks go on meanwhile: each is
 * seen whole, all of them not at one moment; one that ends meanwhile may be seen twice, alive and
 * done. fn may do what it likes: no lock is held.
 *
 * filter     NULL: all that are alive
 * Returns    how many; -EINVAL: the filter's size
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_task_tracker_each(const skua_tracked_filter *filter,
                                        void (*fn)(const skua_tracked_task *task, void *arg),
                                        void *arg);

/* The same as a tree: behind each task those that it spawned, the eldest first. A task whose parent
 * the filter does not let through stands at depth 0.
 *
 * Returns    how many; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_task_tracker_walk(const skua_tracked_filter *filter,
                                        void (*fn)(const skua_tracked_task *task, unsigned depth,
                                                   void *arg),
                                        void *arg);

/* The tree as text: a line each, with "\n" at its end, and one before them with the names of the
 * columns.
 *
 * filter     NULL: all that are alive
 * Returns    as skua_task_tracker_walk
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_task_tracker_lines(const skua_tracked_filter *filter,
                                         void (*fn)(const char *line, size_t len, void *arg),
                                         void *arg);

/* Prints the tree of all that are alive.
 *
 * Returns    as skua_task_tracker_walk; -EIO: not all of it was written
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_task_tracker_print(FILE *to);

typedef struct skua_task_tracker_stats {
    size_t size; /* set by the caller */
    uint64_t runnable, running, waiting;
    uint64_t spawned; /* seen since the start, as the next one */
    uint64_t done;
    uint64_t dropped; /* tasks that did not fit */
    uint64_t bytes;   /* of memory */
} skua_task_tracker_stats;

/* Its own numbers.
 *
 * Returns    0; -ENOENT: it is not started; -EINVAL: the size
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_task_tracker_read(skua_task_tracker_stats *stats);

SKUA_C_END

#endif
