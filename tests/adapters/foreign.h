/* foreign.h - what a foreign loop is to do when a fiber runs it, whichever it is.
 *
 * Each test includes this and fills in a struct foreign for its library: a loop with a timer that
 * comes again and a pipe that it reads. Then, on each kind of runtime:
 *
 *   runs       the timer beats and the pipe is heard while tasks of Skua sleep; a callback spawns a
 *              task, whose answer comes through the pipe; the last callback stops the loop
 *   ends       a cancellation and a deadline end the fiber within a wait, and the loop, run again
 *              afterwards, is as good as before; no descriptor is left over
 *   woken      what a thread tells the loop in the loop's own way is heard
 */
#ifndef SKUA_TESTS_FOREIGN_H
#define SKUA_TESTS_FOREIGN_H

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "adapter.h"

#define FOREIGN_BEATS 5

struct foreign {
    /* The loop, with a timer of `period` ms, that calls foreign_beats, and self->pipe[0], for
     * which it calls foreign_hears when it is readable. */
    void (*make)(struct foreign *self, int period);
    int (*run)(struct foreign *self);     /* what the adapter's function returns */
    void (*stop)(struct foreign *self);   /* in a callback */
    void (*notify)(struct foreign *self); /* by a thread: the loop calls foreign_notified */
    void (*end)(struct foreign *self);    /* frees it */
    int stopped;                          /* what run returns after a stop */

    int pipe[2];
    int period;
    int beats, notified;
    atomic_int heard;
    bool answered; /* a callback has spawned the task that answers */
    atomic_int ticks;
    atomic_bool over;
};

/* ---- the callbacks --------------------------------------------------------------------------- */

static int foreign_answers(void *arg)
{
    struct foreign *self = arg;

    CHECK_EQ(skua_sleep(MS(1)), 0);
    MUST(write(self->pipe[1], "answer", 6) == 6);
    return 0;
}

static TEST_UNUSED void foreign_beats(struct foreign *self)
{
    self->beats++;
    if (!self->answered) {
        self->answered = true;
        CHECK_EQ(skua_spawn_on(skua_runtime_current(), foreign_answers, self), 0);
    }
    if (self->beats >= FOREIGN_BEATS && atomic_load(&self->heard) >= 6)
        self->stop(self);
}

static TEST_UNUSED void foreign_hears(struct foreign *self)
{
    char buf[4]; /* shorter than the answer: it is readable still */
    ssize_t n = read(self->pipe[0], buf, sizeof buf);

    CHECK(n > 0);
    atomic_fetch_add(&self->heard, (int)n);
}

static TEST_UNUSED void foreign_notified(struct foreign *self)
{
    self->notified++;
    self->stop(self);
}

/* ---- running --------------------------------------------------------------------------------- */

static void foreign_begin(struct foreign *self, int period)
{
    MUST(pipe2(self->pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    self->period = period;
    self->beats = 0;
    atomic_store(&self->heard, 0);
    self->notified = 0;
    self->answered = false;
    atomic_store(&self->ticks, 0);
    atomic_store(&self->over, false);
    self->make(self, period);
}

static void foreign_end(struct foreign *self)
{
    self->end(self);
    close(self->pipe[0]);
    close(self->pipe[1]);
}

static int foreign_ticks(void *arg)
{
    struct foreign *self = arg;

    while (!atomic_load(&self->over) && skua_sleep(MS(1)) == 0)
        atomic_fetch_add(&self->ticks, 1);
    return 0;
}

static void foreign_runs(struct foreign *self)
{
    int64_t begin = skua_now();
    skua_task *ticks = NULL;

    foreign_begin(self, 3);
    MUST(skua_spawn(NULL, foreign_ticks, self, .task = &ticks) == 0);
    CHECK_EQ(self->run(self), self->stopped);
    CHECK_RANGE(self->beats, FOREIGN_BEATS, 10000);
    CHECK_EQ(atomic_load(&self->heard), 6);
    /* Loops round, some to whole milliseconds of a coarse clock. */
    CHECK_RANGE(skua_now() - begin, MS(5), MS(15) + TEST_LATE);
    atomic_store(&self->over, true);
    CHECK_EQ(skua_task_join(ticks, NULL), 0);
    CHECK(atomic_load(&self->ticks) > 0); /* others ran meanwhile */
    foreign_end(self);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int foreign_run_task(void *arg)
{
    struct foreign *self = arg;

    return self->run(self);
}

static int foreign_run_until(void *arg)
{
    struct foreign *self = arg;
    skua_deadline frame;
    int result;

    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(5)), 0);
    result = self->run(self);
    (void)skua_deadline_end(&frame);
    return result;
}

/* An hour until the timer: nothing but the task's end ends the wait. */
static void foreign_ends(struct foreign *self)
{
    static const skua_fiber_fn ways[] = {foreign_run_task, foreign_run_until};

    for (int way = 0; way < 2; way++) {
        skua_task *task = NULL;
        int result = 12345;

        foreign_begin(self, 3600 * 1000);
        MUST(skua_spawn(NULL, ways[way], self, .task = &task) == 0);
        CHECK_EQ(skua_sleep(MS(3)), 0);
        MUST(write(self->pipe[1], "ab", 2) == 2); /* it lives */
        for (int i = 0; i < 2000 && atomic_load(&self->heard) != 2 && way == 0; i++)
            CHECK_EQ(skua_sleep(MS(1)), 0);
        if (way == 0)
            CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, way == 0 ? -ECANCELED : -ETIMEDOUT);
        self->answered = true;
        self->notify(self); /* again: stops at once */
        CHECK_EQ(self->run(self), self->stopped);
        CHECK_EQ(self->notified, 1);
        foreign_end(self);
    }
}

static void *foreign_notifies(void *arg)
{
    struct foreign *self = arg;

    test_thread_sleep(MS(3));
    self->notify(self);
    return NULL;
}

static void foreign_woken(struct foreign *self)
{
    pthread_t thread;

    foreign_begin(self, 3600 * 1000);
    MUST(pthread_create(&thread, NULL, foreign_notifies, self) == 0);
    CHECK_EQ(self->run(self), self->stopped);
    CHECK_EQ(self->notified, 1);
    pthread_join(thread, NULL);
    foreign_end(self);
}

/* Three times each: what one left over would show in the next. */
static void foreign_all(struct foreign *self)
{
    int fds = 0;

    for (int i = 0; i < 3; i++) {
        foreign_runs(self);
        foreign_ends(self);
        foreign_woken(self);
        if (i == 0)
            fds = test_fd_count(); /* what library and driver keep is there by now, or nearly */
    }
    CHECK_RANGE(test_fd_count() - fds, -4, 4); /* a ring's epoll set, one a worker */
}

#endif
