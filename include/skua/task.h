/* task.h - tasks: spawn, join, scopes, cancellation, deadlines, task-locals.
 *
 * A task is a fiber (straight-line C on a stack of its own) or a poll task (a function called on
 * a state struct, future.h). Every task is spawned into a scope, and a scope is left only by
 * joining it: no task outlives the frame that answers for it. That is structured concurrency, as
 * in Trio's nurseries and libdill's bundles.
 *
 * Placement  a fiber that has not started and a poll task with nothing armed may run on any
 *            worker; a fiber that has run stays on its worker, unless SKUA_MIGRATABLE.
 * Cancelling is sticky: from then on each wait of the task returns -ECANCELED, so that cleaning
 *            up is the task's own code; a shield makes room for cleanup that must wait.
 * Context    the deadline and the task-locals in force at the spawn are the new task's, too.
 */
#ifndef SKUA_TASK_H
#define SKUA_TASK_H

#include <skua/future.h>

SKUA_C_BEGIN

typedef struct skua_task skua_task;       /* a handle: one reference on a task */
typedef struct skua_runtime skua_runtime; /* runtime.h */
typedef struct skua_scope skua_scope;
typedef struct skua_task_queue skua_task_queue; /* scheduler.h */

/* Names a task for ever; never reused while the runtime lives. 0 names none. */
typedef uint64_t skua_task_id;

/* The body of a fiber; its result is 0 or positive, or a negative code. */
typedef int (*skua_fiber_fn)(void *arg);

/* The body of a poll task; its result is cut to an int. */
typedef skua_poll (*skua_poll_fn)(void *state, skua_waker *waker);

/* Where a task was spawned: one static struct per call site. */
typedef struct skua_site {
    const char *name;
    const char *file;
    const char *func;
    int line;
} skua_site;

typedef enum skua_priority {
    SKUA_NORMAL = 0, /* the default */
    SKUA_HIGH,       /* goes first: three turns of four, when there is such work */
    SKUA_LOW,        /* goes last, but gets one turn of sixteen at least: slow, never starved */
    SKUA_BACKGROUND  /* goes when nobody else wants to, but gets one turn of 64 at least */
} skua_priority;

typedef enum skua_stack_class {
    SKUA_STACK_DEFAULT = 0, /* skua_runtime_options.stack_size: 64 KiB */
    SKUA_STACK_LARGE /* skua_runtime_options.stack_size_large: 256 KiB, for TLS and the like */
} skua_stack_class;

/* Flags of skua_spawn_options. */
#define SKUA_MIGRATABLE 0x1u /* a started fiber may move to another worker: only for code that */
                             /* keeps no thread-local, no errno and no pthread_self over a wait */
#define SKUA_PINNED 0x2u     /* runs on the worker that spawns it, never elsewhere */
#define SKUA_SAVE_FP 0x4u    /* a fiber with floating-point control words of its own */
#define SKUA_TRACED 0x8u     /* has a span of its own while telemetry is on; see "Tasks", trace.h */

typedef struct skua_spawn_options {
    size_t size;            /* stamped by the macros */
    const char *name;       /* static: it is kept (default: the call site's) */
    skua_priority priority; /* (default SKUA_NORMAL) */
    skua_stack_class stack; /* fibers only (default SKUA_STACK_DEFAULT) */
    unsigned flags;   /* SKUA_MIGRATABLE, SKUA_PINNED, SKUA_SAVE_FP, SKUA_TRACED (default 0) */
    skua_task **task; /* receives a handle, to be joined or detached (default none) */
    skua_task_id *id; /* receives the id (default none) */
    void (*drop)(void *arg); /* fibers: called on a worker instead of the fiber, when it ends
                                without having run (cancelled before, no stack): gives `arg` back;
                                must not wait (default none) */
    unsigned worker;        /* SKUA_WORKER(n): runs on that worker, never elsewhere (default any) */
    skua_task_queue *queue; /* whose share it uses, it and what it spawns (default the spawning
                                task's) */
} skua_spawn_options;

/* A value of .worker: of a runtime's workers the one with this index, from 0. */
#define SKUA_WORKER(index) ((unsigned)(index) + 1)

/* ---- spawn ----------------------------------------------------------------------------------- */

#define SKUA__SITE(task_name)                                                                      \
    __extension__({                                                                                \
        static const skua_site skua__site = {(task_name), __FILE__, __func__, __LINE__};           \
        &skua__site;                                                                               \
    })

#ifndef __cplusplus
/* Spawns a fiber into a scope: skua_spawn(&scope, fn, arg, .name = "orders", ...).
 *
 * scope      open; NULL = the scope of the calling task (skua_scope_current)
 * Returns    0; -ENOMEM, SKUA_ELIMIT (too many tasks), SKUA_ESTOPPED (the runtime is stopping),
 *            -ECANCELED (the scope is cancelled), SKUA_EUSAGE (no scope here),
 *            -EINVAL (options): nothing was spawned
 * Ownership  `arg` is the fiber's, when 0 was returned; a fiber that is cancelled before it started
 *            never runs: give `.drop` for an `arg` that must be given back even so
 * Threads    any, for an open scope; the scope's opener answers for its lifetime
 * Since      0.1
 */
#define skua_spawn(scope, fn, arg, ...)                                                            \
    skua_spawn_at(SKUA__SITE(#fn), (scope), (fn), (arg), SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* Spawns a poll task: skua_spawn_poll(&scope, blink, &(struct blink){.n = 3}, .name = "led").
 *
 * state      a pointer to the initial state; copied into the task, to an address aligned to the
 *            largest power of two that divides its size, 64 at most
 * Returns    as skua_spawn; SKUA_ELIMIT when the state is larger than 4,032 bytes
 * Threads    as skua_spawn
 * Since      0.1
 */
#define skua_spawn_poll(scope, fn, state, ...)                                                     \
    skua_spawn_poll_at(SKUA__SITE(#fn), (scope), (fn), (state), sizeof *(state),                   \
                       SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* Spawns a fiber into the runtime's root scope, which ends with the runtime.
 *
 * Returns    as skua_spawn
 * Threads    any
 * Since      0.1
 */
#define skua_spawn_on(runtime, fn, arg, ...)                                                       \
    skua_spawn_at(SKUA__SITE(#fn), skua_runtime_scope(runtime), (fn), (arg),                       \
                  SKUA_SPAWN_OPTIONS(__VA_ARGS__))

/* NULL when there are none: nothing is filled in, and nothing looked at. */
#define SKUA_SPAWN_OPTIONS(...)                                                                    \
    (sizeof(#__VA_ARGS__) == 1                                                                     \
         ? (const skua_spawn_options *)0                                                           \
         : &(const skua_spawn_options){.size = sizeof(skua_spawn_options), __VA_ARGS__})
#endif

/* What skua_spawn calls; for other languages.
 *
 * site       static; names the task and where it came from
 * options    NULL = defaults
 * Returns    as skua_spawn
 * Threads    as skua_spawn
 * Since      0.1
 */
SKUA_API int skua_spawn_at(const skua_site *site, skua_scope *scope, skua_fiber_fn fn, void *arg,
                           const skua_spawn_options *options);

/* What skua_spawn_poll calls; for other languages.
 *
 * state      `state_size` bytes, copied; at most 4,032
 * Returns    as skua_spawn
 * Threads    as skua_spawn
 * Since      0.1
 */
SKUA_API int skua_spawn_poll_at(const skua_site *site, skua_scope *scope, skua_poll_fn fn,
                                const void *state, size_t state_size,
                                const skua_spawn_options *options);

/* Fills in defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_spawn_options_init(skua_spawn_options *options);

/* ---- handles and ids ------------------------------------------------------------------------- */

/* A wait for a task's end. Its members are private. */
typedef struct skua_join_future {
    skua_future future;
    skua_task *task;
    skua_waker *waker; /* published by the task's state word */
    int *result;
} skua_join_future;

/* Waits for a task's end and gives the handle back.
 *
 * task       a handle; no other join of this task is under way
 * result     receives the task's result (-ECANCELED when it was cancelled before it started);
 *            NULL = not wanted; untouched on failure
 * Returns    0: ended, the handle is gone; -ECANCELED, -ETIMEDOUT: the CALLER was cancelled or
 *            timed out, the handle stays; -EBUSY when somebody joins already; -EDEADLK when a
 *            task joins itself
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API int skua_task_join(skua_task *task, int *result);

/* Makes a future of a task's end: ready (0) when it ended, the handle is then gone.
 *
 * Returns    &join->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped join leaves the handle with the caller
 * Since      0.1
 */
SKUA_API skua_future *skua_join_init(skua_join_future *join, skua_task *task, int *result);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_joining(task, result)                                                                 \
    skua_join_init(&(skua_join_future){.future = {0}}, (task), (result))
#endif

/* Gives a handle back without waiting; the task goes on, its scope still joins it.
 *
 * task       a handle, or NULL
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_task_detach(skua_task *task);

/* Cancels a task: sticky; its waits return -ECANCELED. One that has not started never will.
 *
 * Returns    0; -ESRCH when it has ended
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_task_cancel(skua_task *task);

/* Whether a task has ended.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_task_done(const skua_task *task);

/* The id of a task.
 *
 * Returns    never 0 for a task
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_task_id skua_task_id_of(const skua_task *task);

/* The id of the calling task.
 *
 * Returns    0 outside a task
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_task_id skua_task_current_id(void);

/* The index of the worker that the calling task runs on.
 *
 * Returns    0 and up; SKUA_EUSAGE outside a task
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_worker_current(void);

/* The name of the calling task.
 *
 * Returns    as given at the spawn; NULL outside a task
 * Threads    any
 * Since      0.1
 */
SKUA_API const char *skua_task_current_name(void);

/* A handle for an id, if the task still lives.
 *
 * task       receives a handle, to be joined or detached; untouched on failure
 * Returns    0; -ESRCH when the task has ended, or the id never was one of this runtime
 * Threads    any, while the runtime lives
 * Since      0.1
 */
SKUA_API int skua_task_find(skua_runtime *runtime, skua_task_id id, skua_task **task);

/* Cancels a task by id.
 *
 * Returns    0; -ESRCH when the id is stale
 * Threads    any, while the runtime lives
 * Since      0.1
 */
SKUA_API int skua_task_cancel_id(skua_runtime *runtime, skua_task_id id);

/* ---- the calling task ------------------------------------------------------------------------ */

/* Lets the other runnable tasks go first.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT; SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads (which yield their slice)
 * Since      0.1
 */
SKUA_API int skua_yield(void);

/* Whether the calling task is cancelled, past its deadline, or neither; shields do not hide it.
 *
 * Returns    0, -ECANCELED or -ETIMEDOUT
 * Threads    any; 0 outside a task
 * Since      0.1
 */
SKUA_API int skua_cancelled(void);

/* Opens a shield: until skua_shield_end waits of this fiber ignore cancellation and deadlines.
 * Shields nest.
 *
 * Returns    0; SKUA_EUSAGE outside a fiber
 * Threads    fibers
 * Since      0.1
 */
SKUA_API int skua_shield_begin(void);

/* Closes the innermost shield.
 *
 * Returns    0; SKUA_EUSAGE outside a fiber or without a shield
 * Threads    fibers
 * Since      0.1
 */
SKUA_API int skua_shield_end(void);

/* ---- scopes ---------------------------------------------------------------------------------- */

#define SKUA_COLLECT 0x0u   /* children run on when one fails; join reports the first error */
#define SKUA_FAIL_FAST 0x1u /* the first failure cancels the others */

/* A scope, in its opener's frame. Its members are private. */
struct skua_scope {
    skua_runtime *runtime;
    skua_scope *outer;    /* the opener's scope before; constant */
    skua_task *opener;    /* NULL on a plain thread; constant */
    skua_task *children;  /* lock */
    skua_task *cancelled; /* lock: the children that were cancelled with the scope */
    skua_waker *joiner;   /* lock */
    uint64_t alive;       /* lock: children that have not ended */
    int32_t first_error;  /* lock */
    uint32_t flags;       /* constant */
    uint32_t state;       /* lock */
    uint32_t lock;        /* the spin lock's byte, and padding */
};

/* Opens a scope; until its join it is the calling fiber's current scope.
 *
 * scope      memory for it, in place until joined
 * flags      SKUA_COLLECT or SKUA_FAIL_FAST
 * Returns    0; -EINVAL for unknown flags; SKUA_EUSAGE outside a fiber
 * Threads    fibers
 * Since      0.1
 */
SKUA_API int skua_scope_open(skua_scope *scope, unsigned flags);

/* Opens a scope whose tasks run on `runtime`, for a thread that is not a worker.
 *
 * Returns    0; -EINVAL for unknown flags or no runtime
 * Threads    plain threads, and fibers (then as skua_scope_open, on another runtime)
 * Since      0.1
 */
SKUA_API int skua_scope_open_on(skua_scope *scope, skua_runtime *runtime, unsigned flags);

/* Waits for every child and closes the scope. When the caller is cancelled or its deadline
 * passes, the children are cancelled, and waited for all the same.
 *
 * scope      the calling fiber's innermost scope
 * Returns    0; else the first error of a child; else -ETIMEDOUT or -ECANCELED for the caller's
 *            own end; SKUA_EUSAGE when it is not open, or not the innermost
 * Threads    the opener
 * Since      0.1
 */
SKUA_API int skua_scope_join(skua_scope *scope);

/* Cancels every child, and what will yet be spawned into the scope (that spawn fails).
 *
 * Returns    0; SKUA_EUSAGE when it is not open
 * Threads    any, while the scope is open
 * Since      0.1
 */
SKUA_API int skua_scope_cancel(skua_scope *scope);

/* How many children have not ended.
 *
 * Returns    a count
 * Threads    any, while the scope is open
 * Since      0.1
 */
SKUA_API size_t skua_scope_alive(skua_scope *scope);

/* The scope that a spawn with NULL goes to: the calling fiber's innermost open one, else the one
 * the task was spawned into.
 *
 * Returns    borrowed; NULL outside a task
 * Threads    tasks
 * Since      0.1
 */
SKUA_API skua_scope *skua_scope_current(void);

/* ---- context: deadlines and task-locals ------------------------------------------------------ */

/* A deadline in force, in its frame. Its members are private. */
typedef struct skua_deadline {
    struct skua__context *outer; /* the context before; the fiber's alone */
    struct skua__context *inner; /* what this frame made */
} skua_deadline;

/* Sets a deadline for every wait of the calling fiber, and of tasks spawned under it, until
 * skua_deadline_end. Deadlines nest: the earliest counts.
 *
 * deadline   monotonic ns; SKUA_FOREVER sets none
 * Returns    0; -ENOMEM (then no deadline is in force; the end is still to be called);
 *            SKUA_EUSAGE outside a fiber
 * Threads    fibers
 * Since      0.1
 */
SKUA_API int skua_deadline_begin(skua_deadline *frame, int64_t deadline);

/* Ends a deadline; frames end in the reverse order of their begin.
 *
 * Returns    0; SKUA_EUSAGE out of order or outside a fiber
 * Threads    the fiber that began it
 * Since      0.1
 */
SKUA_API int skua_deadline_end(skua_deadline *frame);

/* The deadline in force.
 *
 * Returns    monotonic ns; SKUA_FOREVER when there is none
 * Threads    any
 * Since      0.1
 */
SKUA_API int64_t skua_deadline_current(void);

/* A kind of task-local value; one static struct a kind. */
typedef struct skua_local_key {
    const char *name;           /* for listings */
    void (*ref)(void *value);   /* a context that holds the value is made; NULL = not counted */
    void (*unref)(void *value); /* … is gone; NULL = not counted */
} skua_local_key;

/* A task-local binding, in its frame. Its members are private. */
typedef struct skua_local {
    struct skua__context *outer;
    struct skua__context *inner;
} skua_local;

/* Binds a task-local value for the calling fiber, and for the tasks spawned under it, until
 * skua_local_end.
 *
 * value      kept alive by key->ref and unref as long as any task can see it
 * Returns    0; -ENOMEM (not bound; the end is still to be called); SKUA_EUSAGE outside a fiber
 * Threads    fibers
 * Since      0.1
 */
SKUA_API int skua_local_begin(skua_local *frame, const skua_local_key *key, void *value);

/* Ends a binding; frames end in the reverse order of their begin.
 *
 * Returns    0; SKUA_EUSAGE out of order or outside a fiber
 * Threads    the fiber that began it
 * Since      0.1
 */
SKUA_API int skua_local_end(skua_local *frame);

/* The innermost value bound for a key.
 *
 * Returns    borrowed; NULL when there is none
 * Threads    tasks; NULL elsewhere
 * Since      0.1
 */
SKUA_API void *skua_local_get(const skua_local_key *key);

SKUA_C_END

#endif
