/* test_uv.c - a runtime inside a libuv loop, and the other way round. drivers: both
 *
 * Specifies adapters/skua_uv.h.
 */
#include "skua_uv.h"

#include "foreign.h"

struct host {
    struct adapter adapter;
    skua_uv guest;
};

static void quit(struct adapter *self)
{
    skua_uv_stop(&((struct host *)(void *)self)->guest);
}

TEST(guest_of_libuv)
{
    int fds = test_fd_count();
    struct host host;
    uv_loop_t loop;

    MUST(uv_loop_init(&loop) == 0);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_uv_start(&host.guest, &loop, host.adapter.runtime), 0);
    CHECK_EQ(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(host.guest.closing, 0);
    adapter_end(&host.adapter);
    CHECK_EQ(uv_loop_close(&loop), 0);
    CHECK(test_fd_settle(fds) <= fds + 4); /* libuv keeps descriptors for signals */
}

/* ---- a loop in a fiber ----------------------------------------------------------------------- */

struct loop {
    struct foreign foreign; /* first */
    uv_loop_t loop;
    uv_timer_t timer;
    uv_poll_t poll;
    uv_async_t async;
};

static struct loop *loop_of(struct foreign *self)
{
    return (struct loop *)(void *)self;
}

static void loop_beats(uv_timer_t *timer)
{
    foreign_beats(timer->data);
}

static void loop_hears(uv_poll_t *poll, int status, int events)
{
    (void)events;
    CHECK_EQ(status, 0);
    foreign_hears(poll->data);
}

static void loop_notified(uv_async_t *async)
{
    foreign_notified(async->data);
}

static void loop_make(struct foreign *foreign, int period)
{
    struct loop *self = loop_of(foreign);
    uint64_t ms = (uint64_t)period;

    MUST(uv_loop_init(&self->loop) == 0);
    MUST(uv_timer_init(&self->loop, &self->timer) == 0);
    MUST(uv_poll_init(&self->loop, &self->poll, foreign->pipe[0]) == 0);
    MUST(uv_async_init(&self->loop, &self->async, loop_notified) == 0);
    self->timer.data = self->poll.data = self->async.data = foreign;
    MUST(uv_timer_start(&self->timer, loop_beats, ms, ms) == 0);
    MUST(uv_poll_start(&self->poll, UV_READABLE, loop_hears) == 0);
}

static int loop_run(struct foreign *foreign)
{
    return skua_uv_run(&loop_of(foreign)->loop);
}

static void loop_stop(struct foreign *foreign)
{
    uv_stop(&loop_of(foreign)->loop);
}

static void loop_notify(struct foreign *foreign)
{
    uv_async_send(&loop_of(foreign)->async);
}

/* The handles are closed, and with them nothing is alive: that ends it, too. */
static void loop_end(struct foreign *foreign)
{
    struct loop *self = loop_of(foreign);

    uv_close((uv_handle_t *)&self->timer, NULL);
    uv_close((uv_handle_t *)&self->poll, NULL);
    uv_close((uv_handle_t *)&self->async, NULL);
    CHECK_EQ(skua_uv_run(&self->loop), 0);
    CHECK_EQ(uv_loop_close(&self->loop), 0);
}

TEST_FIBER(libuv_in_a_fiber)
{
    struct loop loop = {.foreign = {.make = loop_make,
                                    .run = loop_run,
                                    .stop = loop_stop,
                                    .notify = loop_notify,
                                    .end = loop_end,
                                    .stopped = 1}};

    foreign_all(&loop.foreign);
    return 0;
}

/* ---- what a callback begins to watch is in the epoll set at the next turn only --------------- */

#define CHAIN 6

struct chain {
    uv_loop_t loop;
    uv_idle_t idle;
    uv_check_t check;
    uv_poll_t polls[CHAIN];
    int pipes[CHAIN][2];
    int at;
};

static void chain_next(struct chain *chain);

static void chain_hears(uv_poll_t *poll, int status, int events)
{
    struct chain *chain = poll->data;
    char byte;

    (void)events;
    CHECK_EQ(status, 0);
    MUST(read(chain->pipes[chain->at][0], &byte, 1) == 1);
    uv_poll_stop(poll); /* and no close, which would have the loop go round at once */
    chain->at++;
    if (chain->at < CHAIN)
        chain_next(chain);
}

static int chain_writes(void *arg)
{
    struct chain *chain = arg;

    CHECK_EQ(skua_sleep(MS(2)), 0);
    MUST(write(chain->pipes[chain->at][1], "x", 1) == 1);
    return 0;
}

static void chain_next(struct chain *chain)
{
    uv_poll_t *poll = &chain->polls[chain->at];

    MUST(uv_poll_init(&chain->loop, poll, chain->pipes[chain->at][0]) == 0);
    poll->data = chain;
    MUST(uv_poll_start(poll, UV_READABLE, chain_hears) == 0);
    if (chain->at % 2 == 0) /* else there at once */
        MUST(skua_spawn(NULL, chain_writes, chain) == 0);
    else
        MUST(write(chain->pipes[chain->at][1], "x", 1) == 1);
}

static void chain_begins(uv_check_t *check)
{
    uv_check_stop(check);
    chain_next(check->data);
}

static void chain_idles(uv_idle_t *idle)
{
    uv_idle_stop(idle);
}

TEST_FIBER(libuv_watches_what_callbacks_begin)
{
    struct chain chain;

    chain.at = 0;
    for (int i = 0; i < CHAIN; i++)
        MUST(pipe2(chain.pipes[i], O_CLOEXEC) == 0);
    MUST(uv_loop_init(&chain.loop) == 0);
    uv_check_init(&chain.loop, &chain.check);
    uv_idle_init(&chain.loop, &chain.idle);
    chain.check.data = &chain;
    uv_check_start(&chain.check, chain_begins); /* after the loop has asked, before it sleeps */
    uv_idle_start(&chain.idle, chain_idles);
    CHECK_EQ(skua_uv_run(&chain.loop), 0); /* nothing is alive at the end */
    CHECK_EQ(chain.at, CHAIN);
    for (int i = 0; i < CHAIN; i++)
        uv_close((uv_handle_t *)&chain.polls[i], NULL);
    uv_close((uv_handle_t *)&chain.check, NULL);
    uv_close((uv_handle_t *)&chain.idle, NULL);
    CHECK_EQ(skua_uv_run(&chain.loop), 0);
    CHECK_EQ(uv_loop_close(&chain.loop), 0);
    for (int i = 0; i < CHAIN; i++) {
        close(chain.pipes[i][0]);
        close(chain.pipes[i][1]);
    }
    return 0;
}

/* It sleeps while there is nothing to do. */
static void rings(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

TEST_FIBER_CURRENT(libuv_does_not_spin)
{
    skua_runtime_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    int rung = 0;
    uv_timer_t timer;
    uv_loop_t loop;

    MUST(uv_loop_init(&loop) == 0);
    MUST(uv_timer_init(&loop, &timer) == 0);
    timer.data = &rung;
    MUST(uv_timer_start(&timer, rings, 50, 0) == 0);
    skua_runtime_snapshot(skua_runtime_current(), &before, NULL, 0);
    CHECK_EQ(skua_uv_run(&loop), 0);
    skua_runtime_snapshot(skua_runtime_current(), &after, NULL, 0);
    CHECK_EQ(rung, 1);
    CHECK_RANGE(after.total.polls - before.total.polls, 0, 100);
    uv_close((uv_handle_t *)&timer, NULL);
    CHECK_EQ(skua_uv_run(&loop), 0);
    CHECK_EQ(uv_loop_close(&loop), 0);
    return 0;
}

/* A loop without anything, and one that waits for a thread of libuv's own. */
static void works(uv_work_t *work)
{
    *(int *)work->data += 1;
    test_thread_sleep(MS(3));
}

static void worked(uv_work_t *work, int status)
{
    CHECK_EQ(status, 0);
    *(int *)work->data += 10;
}

TEST_FIBER(libuv_ends_by_itself)
{
    uv_loop_t loop;
    uv_work_t work;
    int sum = 0;

    MUST(uv_loop_init(&loop) == 0);
    CHECK_EQ(skua_uv_run(&loop), 0);
    work.data = &sum;
    MUST(uv_queue_work(&loop, &work, works, worked) == 0);
    CHECK_EQ(skua_uv_run(&loop), 0);
    CHECK_EQ(sum, 11);
    CHECK_EQ(uv_loop_close(&loop), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_of_libuv),
        cmocka_unit_test(libuv_in_a_fiber),
        cmocka_unit_test(libuv_watches_what_callbacks_begin),
        cmocka_unit_test(libuv_does_not_spin),
        cmocka_unit_test(libuv_ends_by_itself),
    };

    return TEST_MAIN(tests);
}
