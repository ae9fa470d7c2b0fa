/* line.h - everybody who can wait, in line for one object of sync.h or notify.h.
 *
 * A test says once how its object is waited for; then fibers, poll tasks and plain threads of two
 * runtimes line up for it, are let in, cancelled, dropped. Who waits is counted under the object's
 * own lock: no test sleeps to see somebody wait.
 */
#ifndef SKUA_TESTS_LINE_H
#define SKUA_TESTS_LINE_H

#include <pthread.h>

#include "harness.h"

/* How many wait for a skua_semaphore, skua_notify, skua_cond or skua_gate. */
#define TEST_LINE(object) test_line_length(&(object)->waiters, &(object)->lock)
int test_line_length(const skua_waiter_list *list, uint8_t *lock);

/* How an object is waited for. */
struct test_line_ops {
    int (*wait)(void *object, int64_t deadline);
    skua_future *(*init)(skua_sync_future *wait, void *object); /* NULL: fibers instead */
    int (*length)(void *object);
    void (*pass)(void *object); /* whoever has it lets the next one in */
};

/* ---- waiters --------------------------------------------------------------------------------- */

#define TEST_LINE_MAX 12

enum test_waiter_kind { TEST_FIBER_WAITER, TEST_POLL_WAITER, TEST_THREAD_WAITER };

struct test_waiter {
    struct test_line *line;
    enum test_waiter_kind kind;
    int64_t deadline;
    skua_task *task;
    pthread_t thread;
    atomic_int done;
    int place; /* as which it was let in */
    int result;
};

struct test_line {
    const struct test_line_ops *ops;
    void *object;
    bool in_turn; /* each lets the next one in */
    atomic_int places;
    int count;
    struct test_waiter waiters[TEST_LINE_MAX];
};

void test_line_init(struct test_line *line, const struct test_line_ops *ops, void *object);
/* Starts one more, and returns when it is in line. */
struct test_waiter *test_line_add(struct test_line *line, enum test_waiter_kind kind,
                                  skua_runtime *runtime);
/* The result of its wait. */
int test_waiter_end(struct test_waiter *waiter);

/* ---- what holds for every object ------------------------------------------------------------- */

/* All kinds from two runtimes line up, and are let in one by one, each by the one before. The
 * caller has the object, and nobody has it afterwards. */
void test_line_in_order(const struct test_line_ops *ops, void *object, skua_runtime *first,
                        skua_runtime *second);
/* The same, but one pass lets all of them in. */
void test_line_together(const struct test_line_ops *ops, void *object, skua_runtime *first,
                        skua_runtime *second);
/* Cancelled before and while waiting, out of time: nobody is left in line, nothing was taken. On a
 * fiber of `runtime`; the object is not to be had. */
void test_line_cancel(const struct test_line_ops *ops, void *object, skua_runtime *runtime);
/* A shield keeps a cancelled fiber in line, until it is let in. The caller has the object, and
 * that fiber has it afterwards. */
void test_line_shield(const struct test_line_ops *ops, void *object);
/* A wait that is dropped when it was granted lets the next one in. The caller has the object, and
 * nobody has it afterwards. */
void test_line_drop(const struct test_line_ops *ops, void *object);
/* A poll task that is cancelled when it was granted lets the next one in. The same, on a
 * current-thread runtime. */
void test_line_cancel_granted(const struct test_line_ops *ops, void *object, skua_runtime *runtime);
/* A wait that has nothing to wait for is part of a turn, which ends: others run meanwhile. `wait`
 * is called with `arg` and returns 0. On a fiber. */
void test_line_budget(int (*wait)(void *arg), void *arg);
/* A parked task tells what it waits for. The object is not to be had. */
void test_line_name(const struct test_line_ops *ops, void *object, skua_runtime *runtime,
                    const char *name);

/* ---- a waker of one's own -------------------------------------------------------------------- */

struct test_bell {
    skua_custom_waker custom;
    atomic_int rings, refs;
};

skua_waker *test_bell_init(struct test_bell *bell);
#define TEST_RINGS(bell) atomic_load(&(bell)->rings)
/* Nobody refers to it any more. */
void test_bell_end(struct test_bell *bell);

#endif
