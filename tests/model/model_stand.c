/* model_stand.c - locks and other floors without an operating system; see model_stand.h.
 *
 * The fast half of the lock is the library's own (base/lock.h), the slow half waits in the model.
 * Each look at the clock is a millisecond after the last one: so a sleep is a long one, and a spin
 * against the clock ends. Nobody listens to probes, nothing fails.
 */
#include "model_stand.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model_atomic.h"

#include "base/lock.h"
#include "task/task_impl.h"

_Atomic(uint32_t) skua__probe_mask;

void skua__probe_emit(skua_probe_event *event)
{
    (void)event;
}

/* No task has a span: nothing is spawned with SKUA_TRACED, and no link is a task's own. */
void skua__task_span_begin(struct skua__thread *self, struct skua_task *task, bool asked)
{
    (void)self;
    (void)task;
    (void)asked;
}

void skua__task_span_end(struct skua__thread *self, struct skua_task *task, int result)
{
    (void)self;
    (void)task;
    (void)result;
}

void *model_arena(size_t size)
{
    static void *arena;
    uintptr_t room;

    if (arena == NULL) { /* twice the size holds an aligned one; never given back */
        room = (uintptr_t)mmap(NULL, 2 * SKUA__ARENA_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == (uintptr_t)MAP_FAILED)
            abort();
        arena = (void *)((room + SKUA__ARENA_SIZE - 1) & ~(uintptr_t)(SKUA__ARENA_SIZE - 1));
    }
    memset(arena, 0, size);
    return arena;
}

void skua__lock_wait(struct skua__lock *lock)
{
    model_block(MODEL_LOCK, &lock->held, sizeof lock->held, memory_order_acquire,
                MODEL_AT(&lock->held));
}

void skua__os_thread_yield(void)
{
    model_yield(MODEL_SITE("what was just loaded"));
}

void skua__panic(const char *file, int line, const char *func, const char *message)
{
    (void)file;
    (void)line;
    (void)func;
    model_fail(message);
    abort(); /* in begin and end */
}

int64_t skua__os_now(void)
{
    static int64_t now;

    now += SKUA_MILLISECOND;
    return now;
}

int skua__fault_hit(enum skua__fault kind)
{
    (void)kind;
    return 0;
}

void skua__task_tell(skua_probe_kind kind, struct skua__thread *self, struct skua_task *task,
                     int64_t arg)
{
    (void)kind;
    (void)self;
    (void)task;
    (void)arg;
}

/* ---- bells ----------------------------------------------------------------------------------- */

void model_ring(struct model_bell *bell)
{
    model_rmw(MODEL_OR, &bell->rung, sizeof bell->rung, 1, memory_order_acq_rel,
              MODEL_SITE("bell"));
}

void model_sleep(struct model_bell *bell)
{
    model_block(MODEL_SLEEP, &bell->rung, sizeof bell->rung, memory_order_acq_rel,
                MODEL_SITE("bell"));
}

bool model_hear(struct model_bell *bell)
{
    return model_rmw(MODEL_SWAP, &bell->rung, sizeof bell->rung, 0, memory_order_acq_rel,
                     MODEL_SITE("bell")) != 0;
}

/* ---- the wheel: no timer is armed, or a test has the library's own --------------------------- */

__attribute__((weak)) int64_t skua__wheel_next(const struct skua__wheel *wheel)
{
    (void)wheel;
    return INT64_MAX;
}

__attribute__((weak)) unsigned skua__wheel_advance(struct skua__wheel *wheel, int64_t now)
{
    wheel->elapsed = (uint64_t)now >> SKUA__TICK_BITS;
    return 0;
}
