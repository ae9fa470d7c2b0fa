/* task_impl.h - the task: its cell, its state word, and what the floors above fill in.
 *
 * A task is a cell of one arena of its runtime: 64 bytes of header, then a fiber's control block
 * or a poll task's state. Cells are type-stable: as long as the runtime lives, a cell is only ever
 * reused as a cell of the same size. So a wake or a look-up that comes too late touches a valid
 * header: at worst it wakes a stranger once too often, which every future allows for. That is why
 * task wakers need no reference count, and why a stale id is told apart by its generation.
 *
 * The state word (skua_task.state), flags in the low byte, references above:
 *
 *   flag       set by                     cleared by
 *   ACTIVE     spawn, the wake of an      the worker that ran it and found nothing new;
 *              idle task                  set = in one queue or on one worker, exactly once
 *   NOTIFIED   a wake while ACTIVE        the worker, before it polls (again)
 *   DONE       the worker, once           nobody, until the cell is reused
 *   CANCELLED  cancel, any thread         nobody: cancelling is sticky
 *   JOINING    the joiner                 the joiner, or the finisher after DONE
 *   CLAIMED    who is to be the joiner    the joiner that lets go; not after DONE
 *
 *   from       event                      to
 *   -          spawn                      ACTIVE            queued
 *   ACTIVE     poll: ready                DONE              joiner woken, scope told
 *   ACTIVE     poll: pending              (idle)            waits for a wake
 *   ACTIVE     wake                       ACTIVE|NOTIFIED   polled once more
 *   ACTIVE|NOTIFIED  poll: pending        ACTIVE            queued again
 *   (idle)     wake                       ACTIVE            queued
 *
 * Who may touch which other field: whoever made the task ACTIVE until it is queued, then whoever
 * takes it from the queue until it is idle again ("the holder"): the transitions are acquire-
 * release, so that each holder sees the last one's writes. joiner belongs to whoever set CLAIMED
 * while JOINING is clear or DONE is not set, to the finishing worker once both are set. The links
 * of the children's list are under the scope's lock.
 */
#ifndef SKUA_TASK_TASK_IMPL_H
#define SKUA_TASK_TASK_IMPL_H

#include <errno.h>

#include <skua/runtime.h>
#include <skua/task.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/context.h"
#include "base/lock.h"
#include "base/wheel.h"
#include "coro/coro.h"
#include "coro/stack.h"
#include "os/os.h"
#include "probe/probe.h"
#include "task/cell.h"

#define SKUA__ACTIVE 0x01u
#define SKUA__NOTIFIED 0x02u
#define SKUA__DONE 0x04u
#define SKUA__CANCELLED 0x08u
#define SKUA__JOINING 0x10u
#define SKUA__CLAIMED 0x20u
#define SKUA__REF 0x100u
#define SKUA__REFS(state) ((state) >> 8)

/* A private flag of skua_spawn_options: the spawner, who asks for a handle, is the task's joiner
 * from the beginning. Whoever meets the task by its id before that one waits must not be first. */
#define SKUA__SPAWN_CLAIMED 0x80000000u

/* skua_task.flags; guard: the holder. */
#define SKUA__FIBER 0x01u
#define SKUA__STARTED 0x02u
#define SKUA__MIGRATES 0x04u
#define SKUA__PINS 0x08u
#define SKUA__PRIORITY 0x30u /* skua_priority << 4 */
#define SKUA__TIMED 0x40u    /* a poll task with a deadline: a timer stands behind its state */
#define SKUA__FP 0x80u

/* skua_task.place: the worker that it is bound to, or last ran on; and how many armed timers and
 * operations bind it there. With as many as BINDS_MAX it is bound until it ends. */
#define SKUA__WORKERS_MAX 1024u
#define SKUA__BIND 1024u
#define SKUA__BINDS_MAX (63 * SKUA__BIND)

struct skua_task {
    _Atomic uint32_t state; /* the table above */
    _Atomic uint32_t
        generation;     /* changes when the cell is given back; written by its last holder */
    uint32_t next;      /* queued: the cell behind it, guard: the queue's; done: the result */
    uint16_t place;     /* owner and bindings, see skua__task_owner; holder */
    uint8_t flags;      /* holder */
    uint8_t cell_class; /* constant for the cell */
    skua_poll_fn poll;  /* NULL for fibers; constant */
    _Atomic(const skua_site *) site; /* constant; relaxed, for listings that look from outside */
    struct skua__context *context;   /* one reference; NULL = empty; holder */
    skua_scope *scope;               /* constant; valid until this task has left it */
    uint32_t prev_child;             /* cells; lock: scope */
    uint32_t next_child;             /* cells; lock: scope */
    skua_waker *joiner;              /* see above */
};

_Static_assert(sizeof(struct skua_task) == SKUA__CACHE_LINE, "the header is one cache line");

/* A fiber's control block: a cell of 128 bytes. */
struct skua__fiber {
    struct skua_task task;
    struct skua__coro coro;            /* parked: its registers; holder */
    struct skua__stack *stack;         /* NULL until it starts; holder */
    skua_fiber_fn fn;                  /* constant */
    void *arg;                         /* constant */
    void (*drop)(void *arg);           /* for an arg that fn never sees; constant */
    skua_scope *scope;                 /* the innermost open one; the fiber itself */
    _Atomic(const char *) waiting_for; /* the future's name while parked; relaxed, for listings */
    uint16_t shields;                  /* open shields; the fiber itself */
    uint8_t stack_class;               /* constant */
    uint8_t canary; /* 1: its stack has no guard page; with the stack; the fiber itself */
};

/* How many ended tasks a worker lets go of in one visit to their scope. */
#define SKUA__LEAVE_BATCH 32

/* skua__thread.migrating */
#define SKUA__MIGRATING_NOT 0
#define SKUA__MIGRATING_PARKS 1
#define SKUA__MIGRATING_YIELDS 2

struct skua__thread;
struct skua__core;
struct skua__sched;
struct skua__driver;
struct skua__pool;

/* Interface 1: how a task is scheduled. Sched defines these; they are linked and not kept as
 * pointers, because they are called with each switch and each spawn. */

/* Queues a task that has just become ACTIVE. Any thread; `self` is the caller's. */
void skua__sched_schedule(struct skua__thread *self, struct skua_task *task);
/* Queues the task that just ran on `self` behind the other runnable ones. */
void skua__sched_requeue(struct skua__thread *self, struct skua_task *task);
/* The next task for a fiber that stops running to switch to; NULL: back to the loop. */
struct skua_task *skua__sched_next(struct skua__thread *self);
/* Both: queues the running fiber and says who is next, perhaps the same. */
struct skua_task *skua__sched_swap(struct skua__thread *self, struct skua_task *task);
/* 64 random bits of the worker's, for a choice that a task makes; in a test of the test's seed. */
uint64_t skua__sched_random(struct skua__thread *self);

/* Interface 2: how a worker parks. Filled in by drive. */
struct skua__park_ops {
    const char *name;
    /* Submits what is queued, waits at most timeout_ns (0 = look only, INT64_MAX = no end) and
     * wakes whom the events concern. Returns the number of events. Owner thread. */
    int (*turn)(struct skua__driver *driver, int64_t timeout_ns);
    /* Ends a wait of the owner's, or the next one. Any thread. */
    void (*unpark)(struct skua__driver *driver);
};

/* skua__core.stopping, in the child of a fork: the runtime is its parent's, without workers. */
#define SKUA__FORKED 2u

/* A runtime as this floor sees it; the first member of struct skua_runtime. */
struct skua__core {
    struct skua__cells cells;
    struct skua__sched *sched; /* constant */
    struct skua__stack_depot stacks;
    skua_scope root;
    unsigned budget;                 /* constant; drawn for each turn where tasks are shuffled */
    unsigned workers;                /* constant */
    bool unseen;                     /* probes say nothing of it; constant */
    uint8_t spawn_flags;             /* SKUA__PINS: no task leaves its worker; constant */
    _Atomic uint32_t next_worker;    /* for tasks from outside that must have one; relaxed */
    size_t tasks_max;                /* constant; 0 = no bound */
    _Atomic uint64_t tasks_alive;    /* counted only when tasks_max is set */
    _Atomic uint32_t stopping;       /* 1: spawn says SKUA_ESTOPPED; SKUA__FORKED */
    _Atomic uint64_t remote_spawned; /* tasks made outside the workers */
    void (*on_task_spawn)(const skua_task_info *task, void *arg); /* constant, as are the next */
    void (*on_task_done)(const skua_task_info *task, void *arg);
    void *hook_arg;
    _Atomic(struct skua__pool *) pool; /* of threads that may block; NULL: not used yet */
    unsigned blocking_threads;         /* constant, as the next two */
    int64_t blocking_keep_alive;
    const char *name;
    _Atomic uint32_t awaited; /* by its tasks, of the outside: a test's clock stands; relaxed */
    const int64_t *clock;     /* a test's own, ns; its worker's; NULL = the system's; constant */
};

/* What this floor keeps for each thread that ever calls Skua; a worker has one inside. Plain
 * threads' are pooled and never freed, so that a wake that comes late finds one. */
struct skua__thread {
    struct skua_task *current; /* running here, or NULL; owner, as all below but `wakes` */
    struct skua__core *core;   /* the worker's runtime; NULL on a plain thread */
    struct skua__wheel *wheel;
    struct skua__driver *driver; /* the worker's; NULL on a plain thread */
    unsigned budget;             /* units left in this turn */
    unsigned index;              /* of the worker */
    int64_t
        due; /* when the running task should let others go, ns; INT64_MAX: budget alone counts */
    struct skua__coro loop;    /* the worker's own stack, while a fiber runs */
    struct skua_task *handoff; /* a fiber's successor that the loop is to run first */
    struct skua__stack
        *dead_stack; /* of a fiber that has just ended: given back after the switch */
    struct skua__coro dead_coro;
    uint8_t migrating;   /* what the loop still owes the fiber that just left it */
    skua_scope *leaving; /* the scope of the tasks in `left` */
    unsigned left_count;
    unsigned left_look; /* at which count to look whether these are the scope's last */
    struct skua_task *left[SKUA__LEAVE_BATCH]; /* ended, but still listed in their scope */
    struct skua__cell_cache cells;
    struct skua__stack_cache stacks;
    _Atomic uint64_t spawned; /* one writer, as all counters */
    _Atomic uint64_t done;
    _Atomic uint64_t budget_yields;
    struct skua_custom_waker waker; /* plain threads: wakes `wakes` */
    _Atomic uint32_t wakes;         /* plain threads: the futex */
    struct skua__context *context;  /* plain threads: what they have entered, in front of that of
                                       the job that runs here, which is borrowed */
    void (*run)(void *arg);         /* threads of the library: what they are for; constant */
    void *run_arg;                  /* constant */
    void *pooled;                   /* plain threads: the slots' */
};

/* The calling thread's; never NULL (a plain thread that has none gets one; when memory is out, the
 * process ends with a message: nothing could wait there). Behind a call on purpose: a fiber may
 * come back from a wait on another thread, and compilers keep thread-local addresses (see fiber.c).
 */
SKUA__NOINLINE struct skua__thread *skua__thread_self(void);
/* The same, or NULL: makes nothing, so that a signal handler may ask. */
SKUA__NOINLINE struct skua__thread *skua__thread_peek(void);
/* Starts a thread of our own, which nobody joins, with its state: 0, -ENOMEM, -EAGAIN. */
int skua__thread_start(const char *name, void (*fn)(void *arg), void *arg);
/* Makes `thread` the calling thread's and returns the one before (NULL: none yet). */
struct skua__thread *skua__thread_adopt(struct skua__thread *thread);

/* The time of a runtime's tasks, or of a plain thread (NULL): what timers and deadlines go by. */
SKUA__INLINE int64_t skua__core_now(const struct skua__core *core)
{
    bool own = core != NULL && core->clock != NULL;

    return skua__unlikely(own) ? *core->clock : skua__os_now();
}

/* ---- wakers: a task pointer, or a custom waker with bit 0 set -------------------------------- */

SKUA__INLINE skua_waker *skua__task_waker(struct skua_task *task)
{
    return (skua_waker *)(void *)task;
}

SKUA__INLINE bool skua__waker_is_task(const skua_waker *waker)
{
    return ((uintptr_t)waker & 1) == 0;
}

SKUA__INLINE struct skua_task *skua__waker_task(skua_waker *waker)
{
    return (struct skua_task *)(void *)waker;
}

SKUA__INLINE struct skua_custom_waker *skua__waker_custom_of(skua_waker *waker)
{
    return (struct skua_custom_waker *)((uintptr_t)waker & ~(uintptr_t)1);
}

void skua__task_wake(struct skua_task *task);

/* ---- cells ----------------------------------------------------------------------------------- */

SKUA__INLINE struct skua__core *skua__task_core(const struct skua_task *task)
{
    return skua__cells_core(task);
}

SKUA__INLINE struct skua__fiber *skua__fiber_of(struct skua_task *task)
{
    skua__assert_slow(task->flags & SKUA__FIBER);
    return (struct skua__fiber *)(void *)task;
}

SKUA__INLINE void *skua__task_state(struct skua_task *task)
{
    return task + 1;
}

SKUA__INLINE int skua__task_result(const struct skua_task *task)
{
    return (int)task->next;
}

/* Bound: may run on its owner only. Holder. */
SKUA__INLINE bool skua__task_bound(const struct skua_task *task)
{
    unsigned started = task->flags & (SKUA__FIBER | SKUA__STARTED | SKUA__MIGRATES);

    return task->place >= SKUA__BIND || (task->flags & SKUA__PINS) != 0 ||
           started == (SKUA__FIBER | SKUA__STARTED);
}

SKUA__INLINE unsigned skua__task_owner(const struct skua_task *task)
{
    return task->place & (SKUA__BIND - 1);
}

/* It runs on worker `index` now. A task with bindings is there already. */
SKUA__INLINE void skua__task_own(struct skua_task *task, unsigned index)
{
    if (task->place < SKUA__BIND)
        task->place = (uint16_t)index;
}

/* The running task's futures have armed something on this worker (or let go of it). */
SKUA__INLINE void skua__task_bind(struct skua_task *task)
{
    if (task->place < SKUA__BINDS_MAX)
        task->place = (uint16_t)(task->place + SKUA__BIND);
}

SKUA__INLINE void skua__task_unbind(struct skua_task *task)
{
    if (task->place < SKUA__BINDS_MAX)
        task->place = (uint16_t)(task->place - SKUA__BIND);
}

skua_task_id skua__task_id(const struct skua_task *task);

/* A reference on a task that is alive and has none of `unless` set. Any thread, any cell: with it
 * the task's constant fields may be read. It is taken only while DONE is not set: a finisher that
 * saw itself alone relies on staying so. */
SKUA__INLINE bool skua__task_ref_alive(struct skua_task *task, uint32_t unless)
{
    uint32_t state = skua__load_relaxed(&task->state); /* the CAS synchronises */

    do {
        if ((state & (SKUA__DONE | unless)) != 0 || SKUA__REFS(state) == 0)
            return false;
    } while (!skua__cas_acq_rel(&task->state, &state, state + SKUA__REF));
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Ends the running task: tells joiner and scope, gives the cell back. */
void skua__task_finish(struct skua__thread *self, struct skua_task *task, int result);
/* Lets go of the tasks that ended here, at the latest when the loop goes round. */
void skua__task_flush_left(struct skua__thread *self);
/* A poll task under a deadline carries a timer behind its state, since nobody else wakes it. */
skua_sleep_future *skua__task_timer(struct skua_task *task);
/* Tells a user's hook. */
void skua__task_hook(struct skua_task *task, void (*hook)(const skua_task_info *, void *));
/* Wakes who joins a task that is DONE and JOINING, and lets it return. */
void skua__task_wake_joiner(struct skua_task *task);
/* Waits as the one joiner of a task that was spawned with SKUA__SPAWN_CLAIMED: what the first poll
 * of its join would do. The join's result, or SKUA_PENDING. */
skua_poll skua__join_claimed(skua_join_future *join, skua_waker *waker);
/* Drops one reference. */
void skua__task_unref(struct skua__thread *self, struct skua_task *task);
/* Cancels and wakes. Any thread that holds the task by reference, lock or type-stability. */
bool skua__task_cancel(struct skua_task *task);
/* Runs one turn of a task on its worker's own stack. */
void skua__task_turn(struct skua__thread *self, struct skua_task *task);

/* After the holder found nothing more to do: idle. False when a wake came in between (taken). */
SKUA__INLINE bool skua__task_idle(struct skua_task *task)
{
    uint32_t state = skua__load_relaxed(&task->state); /* the CAS below synchronises */

    for (;;) {
        if (state & SKUA__NOTIFIED) {
            /* Acquire pairs with the waker's release: what it did before waking is seen. */
            skua__and_acq_rel(&task->state, ~SKUA__NOTIFIED);
            return false;
        }
        /* Release: the next holder sees this one's writes. */
        if (skua__cas_acq_rel(&task->state, &state, state & ~SKUA__ACTIVE))
            return true;
    }
}

/* ---- fibers (fiber.c) ------------------------------------------------------------------------ */

/* Ends a fiber that has not started, and will not. */
void skua__fiber_abandon(struct skua__thread *self, struct skua__fiber *fiber, int result);
/* Starts or resumes a fiber from the worker's loop; returns when the worker is to do something
 * else: that fiber, or others it switched to, stopped running. */
void skua__fiber_run(struct skua__thread *self, struct skua__fiber *fiber);
/* Parks the calling fiber until it is woken (maybe spuriously). */
void skua__fiber_park(struct skua__thread *self, struct skua__fiber *fiber);
/* Lets other tasks run. */
void skua__fiber_yield(struct skua__thread *self, struct skua__fiber *fiber);
/* The calling fiber, or NULL. */
SKUA__INLINE struct skua__fiber *skua__fiber_current(struct skua__thread *self)
{
    struct skua_task *task = self->current;

    return task != NULL && (task->flags & SKUA__FIBER) ? skua__fiber_of(task) : NULL;
}
/* Why the fiber's waits end: -ECANCELED, -ETIMEDOUT; 0: they do not. (await.c) */
int skua__fiber_verdict(struct skua__fiber *fiber);

/* The rest of skua__task_leaf, where there is more to it than to count. (await.c) */
int skua__fiber_leaf(struct skua__thread *self, struct skua__fiber *fiber);

/* What a leaf does that may answer without a wait: like every wait of a fiber it does not begin
 * when the task is cancelled or out of time, spends a unit of the turn's budget, and lets the
 * others run when there is none left. 0, or that verdict. */
SKUA__INLINE int skua__task_leaf(void)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__fiber *fiber = skua__fiber_current(self);

    if (fiber == NULL)
        return 0;
    /* Relaxed: as in await.c. */
    if (skua__unlikely((skua__load_relaxed(&fiber->task.state) & SKUA__CANCELLED) ||
                       fiber->task.context != NULL || self->budget == 0))
        return skua__fiber_leaf(self, fiber);
    self->budget--;
    return 0;
}

/* Tells on standard error that the calling thread's fiber has overflown its stack, if `addr` is in
 * its guard. In a signal handler. */
bool skua__fiber_overflow(void *addr);

/* ---- futures and timers (await.c) ------------------------------------------------------------ */

/* What a future is after its answer or its drop. */
extern const skua_future_ops skua__future_finished;

/* Asks a future, and nothing else: no budget is spent, no cancellation looked at. For whoever has
 * done so already: an await, or a future that is made of others. */
SKUA__INLINE skua_poll skua__future_poll_raw(skua_future *future, skua_waker *waker)
{
    skua_poll answer = future->ops->poll(future, waker);

    if (answer != SKUA_PENDING)
        future->ops = &skua__future_finished;
    return answer;
}

/* The rest of an await for a direct call on a fiber that has asked its future already, or done what
 * its first poll does: the answer was SKUA_PENDING, and the fiber's waker is kept. */
int64_t skua__await_asked(struct skua__fiber *fiber, skua_future *future, int64_t deadline);

/* The two verbs of a sleep future, for direct calls. */
skua_poll skua__sleep_poll(skua_future *future, skua_waker *waker);
void skua__sleep_drop(skua_future *future);

/* ---- scopes (task_scope.c) ------------------------------------------------------------------- */

void skua__scope_init(skua_scope *scope, skua_runtime *runtime, unsigned flags);
/* Takes a task in: 0, or -ECANCELED, SKUA_EUSAGE. */
int skua__scope_enter(skua_scope *scope, struct skua_task *task);
/* Lets ended tasks go. */
void skua__scope_leave(skua_scope *scope, struct skua_task **tasks, unsigned count);
/* How many more tasks may end before somebody should look again whether `count` that are about to
 * leave are the last; 0: they might be. */
unsigned skua__scope_patience(skua_scope *scope, unsigned count);

/* ---- context (task_context.c) ---------------------------------------------------------------- */

/* The calling task's, or that of the job that runs on this thread, or what a plain thread has
 * entered; borrowed. */
SKUA__INLINE struct skua__context *skua__context_current(const struct skua__thread *self)
{
    return self->current != NULL ? self->current->context : self->context;
}

/* Puts `link`, whose memory is lent, in front of the calling fiber's or plain thread's context: a
 * local, and a span when `span` is not NULL. The value has been counted. Of a poll task: false. */
bool skua__context_enter(struct skua__context *link, const skua_local_key *key, void *value,
                         skua_span *span);
/* Takes it off again. False: it is not in front, or not of this fiber or thread. */
bool skua__context_leave(struct skua__context *link);

/* `outer`, and a queue before it: a link with one reference; NULL: no memory. */
struct skua__context *skua__context_with_queue(struct skua__context *outer, skua_task_queue *queue);

/* ---- telling --------------------------------------------------------------------------------- */

SKUA__COLD void skua__task_tell(skua_probe_kind kind, struct skua__thread *self,
                                struct skua_task *task, int64_t arg);

SKUA__INLINE void skua__task_probe(skua_probe_kind kind, struct skua__thread *self,
                                   struct skua_task *task, int64_t arg)
{
    if (skua__probe_on(kind))
        skua__task_tell(kind, self, task, arg);
}

/* Tells that an operation of the library begins, and fills in `op`. Only behind skua__probe_ops();
 * skua__op_end belongs to it then, whoever listens by that time. On any thread. */
SKUA__COLD void skua__op_begin(skua_probe_op *op, const char *name, const char *target);
SKUA__COLD void skua__op_end(skua_probe_op *op, int64_t result, int64_t bytes);

/* Tells of bytes that went through a socket. Only behind skua__probe_on(SKUA_PROBE_MOVED). */
SKUA__COLD void skua__tell_moved(const char *what, int64_t bytes);

/* The site `site` with another name; made once for each pair. `site` itself when there is no memory
 * for it. */
const skua_site *skua__site_named(const skua_site *site, const char *name);

/* Fills in what hooks and listings are told. */
void skua__task_describe(struct skua_task *task, skua_task_info *info);

#endif
