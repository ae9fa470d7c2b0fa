/* gate.h - jobs that run until their test lets them end, and fibers that wait for one. */
#ifndef SKUA_TESTS_GATE_H
#define SKUA_TESTS_GATE_H

#include "event.h"

/* A job that runs until the test lets it end. */
struct gate {
    atomic_int inside, open, drops;
};

static inline int holds(void *arg)
{
    struct gate *gate = arg;

    atomic_fetch_add(&gate->inside, 1);
    while (!atomic_load(&gate->open))
        test_thread_sleep(100 * SKUA_MICROSECOND);
    return 7;
}

static inline void drops(void *arg)
{
    struct gate *gate = arg;

    atomic_fetch_add(&gate->drops, 1);
}

static inline int returns_seven(TEST_UNUSED void *arg)
{
    return 7;
}

struct caller {
    struct gate *gate;
    void (*drop)(void *arg);
    int result;
};

static inline int calls(void *arg)
{
    struct caller *self = arg;

    self->result = skua_blocking(holds, self->gate, .drop = self->drop);
    return 0;
}

static inline void wait_until_inside(struct gate *gate)
{
    while (!atomic_load(&gate->inside))
        CHECK_EQ(skua_yield(), 0);
}

/* Cancels a fiber whose job runs: what the job answers is to be `wanted`. */
static inline void cancel_while_it_runs(struct gate *gate, void (*drop)(void *arg), int wanted)
{
    struct caller caller = {gate, drop, 0};
    skua_task *task;

    MUST(skua_spawn(NULL, calls, &caller, .task = &task) == 0);
    wait_until_inside(gate);
    CHECK_EQ(skua_task_cancel(task), 0);
    if (drop == NULL) {
        CHECK_EQ(skua_sleep(MS(2)), 0);
        CHECK_EQ(skua_task_done(task), 0);
        atomic_store(&gate->open, 1);
    }
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(caller.result, wanted);
}

#endif
