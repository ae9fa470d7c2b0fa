/* test_sd_event.c - a runtime inside an sd-event loop, and the other way round. drivers: both
 *
 * Specifies adapters/skua_sd_event.h.
 */
#include <sys/eventfd.h>

#include "skua_sd_event.h"

#include "foreign.h"

struct host {
    struct adapter adapter;
    sd_event *loop;
};

static void quit(struct adapter *self)
{
    sd_event_exit(((struct host *)(void *)self)->loop, 0);
}

TEST(guest_of_sd_event)
{
    int fds = test_fd_count();
    struct host host = {.loop = NULL};
    skua_sd_event guest;

    MUST(sd_event_new(&host.loop) >= 0);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_sd_event_start(&guest, host.loop, host.adapter.runtime), 0);
    CHECK_EQ(sd_event_loop(host.loop), 0);
    skua_sd_event_stop(&guest);
    adapter_end(&host.adapter);
    sd_event_unref(host.loop);
    CHECK_EQ(test_fd_settle(fds), fds);
}

/* ---- a loop in a fiber ----------------------------------------------------------------------- */

struct loop {
    struct foreign foreign; /* first */
    sd_event *loop;
    sd_event_source *timer, *io, *bell;
    int eventfd;
};

static struct loop *loop_of(struct foreign *self)
{
    return (struct loop *)(void *)self;
}

static void loop_arm(struct loop *self)
{
    uint64_t now = 0;

    MUST(sd_event_now(self->loop, CLOCK_MONOTONIC, &now) >= 0);
    MUST(sd_event_source_set_time(self->timer, now + (uint64_t)self->foreign.period * 1000) >= 0);
    MUST(sd_event_source_set_enabled(self->timer, SD_EVENT_ONESHOT) >= 0);
}

static int loop_beats(sd_event_source *source, uint64_t usec, void *arg)
{
    (void)source;
    (void)usec;
    foreign_beats(arg);
    loop_arm(arg);
    return 0;
}

static int loop_hears(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    foreign_hears(arg);
    return 0;
}

static int loop_rings(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    uint64_t count;

    (void)source;
    (void)events;
    MUST(read(fd, &count, sizeof count) == sizeof count);
    foreign_notified(arg);
    return 0;
}

static void loop_make(struct foreign *foreign, int period)
{
    struct loop *self = loop_of(foreign);

    (void)period;
    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MUST(self->eventfd >= 0);
    MUST(sd_event_new(&self->loop) >= 0);
    MUST(sd_event_add_time(self->loop, &self->timer, CLOCK_MONOTONIC, 0, 1, loop_beats, self) >= 0);
    MUST(sd_event_add_io(self->loop, &self->io, foreign->pipe[0], EPOLLIN, loop_hears, self) >= 0);
    MUST(sd_event_add_io(self->loop, &self->bell, self->eventfd, EPOLLIN, loop_rings, self) >= 0);
    loop_arm(self);
}

static int loop_run(struct foreign *foreign)
{
    return skua_sd_event_run(loop_of(foreign)->loop);
}

static void loop_stop(struct foreign *foreign)
{
    MUST(sd_event_exit(loop_of(foreign)->loop, 7) >= 0);
}

static void loop_notify(struct foreign *foreign)
{
    static const uint64_t one = 1;

    MUST(write(loop_of(foreign)->eventfd, &one, sizeof one) == sizeof one);
}

static void loop_end(struct foreign *foreign)
{
    struct loop *self = loop_of(foreign);

    CHECK_EQ(skua_sd_event_run(self->loop), -ESTALE); /* it has ended */
    sd_event_source_unref(self->timer);
    sd_event_source_unref(self->io);
    sd_event_source_unref(self->bell);
    sd_event_unref(self->loop);
    close(self->eventfd);
}

TEST_FIBER(sd_event_in_a_fiber)
{
    struct loop loop = {.foreign = {.make = loop_make,
                                    .run = loop_run,
                                    .stop = loop_stop,
                                    .notify = loop_notify,
                                    .end = loop_end,
                                    .stopped = 7}};

    foreign_all(&loop.foreign);
    return 0;
}

/* Always something to do: a deferred call that stays. The others run all the same, and so does a
 * cancellation, after which the loop is in no middle of anything. */
static int busy(sd_event_source *source, void *arg)
{
    (void)source;
    ++*(int *)arg;
    return 0;
}

static int runs_loop(void *arg)
{
    return skua_sd_event_run(arg);
}

TEST_FIBER(sd_event_that_is_always_busy)
{
    sd_event_source *source = NULL;
    skua_task *task = NULL;
    sd_event *loop = NULL;
    int calls = 0, result = 0;

    MUST(sd_event_new(&loop) >= 0);
    MUST(sd_event_add_defer(loop, &source, busy, &calls) >= 0);
    MUST(sd_event_source_set_enabled(source, SD_EVENT_ON) >= 0);
    MUST(skua_spawn(NULL, runs_loop, loop, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK(calls > 0);
    CHECK_EQ(sd_event_get_state(loop), SD_EVENT_INITIAL);
    CHECK(sd_event_run(loop, 0) > 0);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_of_sd_event),
        cmocka_unit_test(sd_event_in_a_fiber),
        cmocka_unit_test(sd_event_that_is_always_busy),
    };

    return TEST_MAIN(tests);
}
