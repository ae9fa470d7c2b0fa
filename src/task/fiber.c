/* fiber.c - fibers: starting, parking, and switching from one straight to the next.
 *
 * Flow       task_turn (the loop) -> skua__fiber_run -> the fiber, which parks or yields ->
 *            the next runnable fiber of the worker, directly, or the loop
 * Invariant  a fiber that has run is resumed by its own worker only. So it may be declared idle
 *            before its registers are saved: a wake from elsewhere only puts it into this worker's
 *            inbox, which nobody reads until this thread has left the fiber. A MIGRATABLE fiber
 *            may be resumed by others at once: it always goes through the loop, which declares
 *            it idle (or queues it) once its registers are saved.
 * Stacks     a fiber gets its stack when it starts. One that ends with a successor that has not
 *            started leaves it the stack: no switch at all, the entry just goes round. A stack
 *            that is left for good is given back by whoever runs next on the thread.
 * Trap       compilers keep thread-local addresses over a switch; so every function here takes
 *            its thread as a parameter or asks skua__thread_self() again after a switch.
 */
#include "task/task_impl.h"

static void fiber_main(void *arg);

/* ---- overflow -------------------------------------------------------------------------------- */

static char *overflow_text(char *to, const char *end, const char *text)
{
    while (*text != '\0' && to < end)
        *to++ = *text++;
    return to;
}

static char *overflow_number(char *to, const char *end, size_t number)
{
    char digits[24];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return overflow_text(to, end, digits + at);
}

/* Perhaps in a signal handler on the alternate stack: no stdio, no locks. */
static SKUA__COLD void fiber_overflow_tell(struct skua__fiber *fiber)
{
    const skua_site *site = skua__load_relaxed(&fiber->task.site); /* constant */
    char line[512] = "";
    const char *end = line + sizeof line - 2;
    char *to = line;

    to = overflow_text(to, end, "skua: stack overflow in fiber '");
    to = overflow_text(to, end, site->name);
    to = overflow_text(to, end, "', spawned at ");
    to = overflow_text(to, end, site->file);
    to = overflow_text(to, end, ":");
    to = overflow_number(to, end, (size_t)site->line);
    to = overflow_text(to, end, " (");
    to = overflow_text(to, end, site->func);
    to = overflow_text(to, end, "), stack of ");
    to = overflow_number(to, end, fiber->stack->size);
    to = overflow_text(to, end, " bytes\n");
    *to = '\0';
    skua__os_stderr(line);
}

bool skua__fiber_overflow(void *addr)
{
    struct skua__thread *self = skua__thread_peek();
    struct skua__fiber *fiber = self != NULL ? skua__fiber_current(self) : NULL;

    if (fiber == NULL || fiber->stack == NULL || !skua__stack_guard_holds(fiber->stack, addr))
        return false;
    fiber_overflow_tell(fiber);
    return true;
}

/* ---- switching ------------------------------------------------------------------------------- */

/* After any switch: gives back what the one that was left for good had. */
SKUA__INLINE void fiber_reap(struct skua__thread *self)
{
    struct skua__stack *stack = self->dead_stack;

    if (skua__likely(stack == NULL))
        return;
    self->dead_stack = NULL;
    skua__coro_free(&self->dead_coro);
    skua__stack_give(&self->stacks, stack);
}

/* Leaves a running fiber, with or without control words of its own, for another stack. */
SKUA__INLINE void fiber_swap(struct skua__thread *self, struct skua__fiber *fiber,
                             struct skua__coro *to)
{
    if (skua__likely(!(fiber->task.flags & SKUA__FP)))
        skua__coro_switch(&fiber->coro, to);
    else
        skua__coro_switch_fp(&fiber->coro, to, fiber->stack);
    if (skua__unlikely(fiber->task.flags & SKUA__MIGRATES))
        self = skua__thread_self();
    fiber_reap(self);
}

/* Makes the fiber the running one. */
SKUA__INLINE void fiber_enter(struct skua__thread *self, struct skua__fiber *fiber)
{
    struct skua_task *task = &fiber->task;

    /* Relaxed load is enough to skip: a wake that is missed here leaves NOTIFIED set, which the
     * next skua__task_idle sees. The acquire is the queue's. */
    if (skua__load_relaxed(&task->state) & SKUA__NOTIFIED)
        skua__and_acq_rel(&task->state, ~SKUA__NOTIFIED);
    self->budget = self->core->budget;
    skua__task_own(task, self->index);
    self->current = task;
    skua__task_probe(SKUA_PROBE_POLLED, self, task, 0);
}

/* Gives an unstarted fiber a stack of its own. */
SKUA__INLINE bool fiber_prepare(struct skua__thread *self, struct skua__fiber *fiber)
{
    if (skua__likely(fiber->task.flags & SKUA__STARTED))
        return true;
    if (skua__stack_take(&self->stacks, fiber->stack_class, &fiber->stack) != 0)
        return false;
    fiber->task.flags |= SKUA__STARTED;
    fiber->canary = !fiber->stack->guarded;
    skua__coro_make(&fiber->coro, fiber->stack, fiber_main, NULL);
    return true;
}

static bool fiber_cancelled_unstarted(struct skua_task *task)
{
    return !(task->flags & SKUA__STARTED) &&
           (skua__load_acquire(&task->state) & SKUA__CANCELLED) != 0; /* pairs with cancel's or */
}

/* The fiber that may be switched to directly; anything else is handed to the loop. */
SKUA__INLINE struct skua__fiber *fiber_successor(struct skua__thread *self, struct skua_task *next)
{
    if (skua__likely(next != NULL && (next->flags & SKUA__FIBER) &&
                     !fiber_cancelled_unstarted(next)))
        return skua__fiber_of(next);
    self->handoff = next;
    return NULL;
}

/* On a stack without a guard page an overflow is seen late, but it is seen. */
static SKUA__COLD void fiber_canary_died(struct skua__fiber *fiber)
{
    fiber_overflow_tell(fiber);
    skua__os_abort();
}

/* Leaves the running fiber, which is idle or queued, for its successor until it is resumed. */
SKUA__INLINE void fiber_switch_away(struct skua__thread *self, struct skua__fiber *fiber,
                                    struct skua_task *successor)
{
    struct skua__fiber *next = fiber_successor(self, successor);

    if (skua__unlikely(fiber->canary && !skua__stack_canary_check(fiber->stack)))
        fiber_canary_died(fiber);
    if (next == fiber) { /* woken in the meantime, and first in the queue */
        fiber_enter(self, fiber);
        return;
    }
    if (skua__likely(next != NULL && fiber_prepare(self, next))) {
        fiber_enter(self, next);
        fiber_swap(self, fiber, &next->coro);
    } else {
        if (next != NULL)
            self->handoff = &next->task; /* no stack: the loop ends it with the error */
        fiber_swap(self, fiber, &self->loop);
    }
}

/* A migratable fiber leaves: the loop makes it idle (or queues it) after its registers are saved.
 */
static void fiber_leave_migrating(struct skua__thread *self, struct skua__fiber *fiber, bool yields)
{
    self->migrating = yields ? SKUA__MIGRATING_YIELDS : SKUA__MIGRATING_PARKS;
    fiber_swap(self, fiber, &self->loop);
}

void skua__fiber_park(struct skua__thread *self, struct skua__fiber *fiber)
{
    skua__task_probe(SKUA_PROBE_PARKED, self, &fiber->task, 0);
    if (skua__unlikely(fiber->task.flags & SKUA__MIGRATES)) {
        fiber_leave_migrating(self, fiber, false);
        return;
    }
    if (skua__task_idle(&fiber->task))
        fiber_switch_away(self, fiber, skua__sched_next(self));
    else
        skua__task_probe(SKUA_PROBE_POLLED, self, &fiber->task, 0); /* woken meanwhile: goes on */
}

void skua__fiber_yield(struct skua__thread *self, struct skua__fiber *fiber)
{
    if (skua__unlikely(self->left_count != 0))
        skua__task_flush_left(self);
    skua__task_probe(SKUA_PROBE_YIELDED, self, &fiber->task, 0);
    if (skua__unlikely(fiber->task.flags & SKUA__MIGRATES)) {
        fiber_leave_migrating(self, fiber, true);
        return;
    }
    /* Still ACTIVE: a wake while it is queued only marks it NOTIFIED. No atomic operation. */
    fiber_switch_away(self, fiber, skua__sched_swap(self, &fiber->task));
}

void skua__fiber_abandon(struct skua__thread *self, struct skua__fiber *fiber, int result)
{
    if (fiber->drop != NULL)
        fiber->drop(fiber->arg);
    skua__task_finish(self, &fiber->task, result);
}

void skua__fiber_run(struct skua__thread *self, struct skua__fiber *fiber)
{
    struct skua_task *left;
    unsigned how;

    if (skua__unlikely(!fiber_prepare(self, fiber))) {
        skua__fiber_abandon(self, fiber, -ENOMEM);
        return;
    }
    skua__coro_switch(&self->loop, &fiber->coro);
    fiber_reap(self);
    if (skua__likely(self->migrating == SKUA__MIGRATING_NOT))
        return;
    left = self->current;
    how = self->migrating;
    self->migrating = SKUA__MIGRATING_NOT;
    if (how == SKUA__MIGRATING_YIELDS || !skua__task_idle(left))
        skua__sched_requeue(self, left);
}

static int fiber_call(struct skua__fiber *fiber)
{
    int result;

    if (skua__likely(!(fiber->task.flags & SKUA__FP)))
        return fiber->fn(fiber->arg);
    skua__coro_fp_begin(fiber->stack);
    result = fiber->fn(fiber->arg);
    skua__coro_fp_end(fiber->stack);
    return result;
}

/* What every fiber runs: its function, and then those of the fibers that take over its stack. */
static void fiber_main(void *arg)
{
    struct skua__thread *self = skua__thread_self();

    (void)arg;
    fiber_reap(self);
    for (;;) {
        struct skua__fiber *fiber = skua__fiber_of(self->current);
        int result = fiber_call(fiber);
        struct skua__stack *stack = fiber->stack;
        struct skua__coro coro = fiber->coro;
        unsigned stack_class = fiber->stack_class;
        struct skua__fiber *next;

        self = skua__thread_self();
        /* A scope or shield that is left open lies in a frame that is gone. */
        skua__assert(fiber->scope == fiber->task.scope);
        skua__assert(fiber->shields == 0);
        skua__task_finish(self, &fiber->task, result);
        next = fiber_successor(self, skua__sched_next(self));
        if (next != NULL && !(next->task.flags & SKUA__STARTED) &&
            next->stack_class == stack_class) {
            next->task.flags |= SKUA__STARTED;
            next->stack = stack;
            next->canary = !stack->guarded;
            next->coro = coro;
            fiber_enter(self, next);
            continue;
        }
        self->dead_stack = stack;
        self->dead_coro = coro;
        if (next != NULL && fiber_prepare(self, next)) {
            fiber_enter(self, next);
            skua__coro_leave(&self->dead_coro, &next->coro);
        }
        self->handoff = next != NULL ? &next->task : self->handoff;
        skua__coro_leave(&self->dead_coro, &self->loop);
    }
}
