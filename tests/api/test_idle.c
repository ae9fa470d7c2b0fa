/* drivers: both */
/* test_idle.c - an idle runtime uses no processor time and never wakes.
 *
 * Specifies the promise "idle costs 0 % CPU": with tasks parked in every kind of wait, the threads
 * of a runtime are watched for 3 s by their names: processor time and voluntary switches.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

#define WATCH (3 * SKUA_SECOND)
#define SETTLE MS(500)

/* Parked in all ways there are: far timers, an event, a join, sockets, a poll task. */
struct household {
    struct test_event never, ready;
    skua_listener *listener;
    skua_tcp *a, *b;
};

static int waits_for_event(void *arg)
{
    return test_event_wait(&((struct household *)arg)->never);
}

static int reads(void *arg)
{
    char byte;

    return (int)skua_tcp_read(((struct household *)arg)->a, &byte, 1);
}

static int accepts(void *arg)
{
    skua_tcp *tcp;

    return skua_tcp_accept(((struct household *)arg)->listener, &tcp);
}

struct idler {
    skua_async async;
    skua_sleep_future sleep;
};

static skua_poll idles(void *state, skua_waker *waker)
{
    struct idler *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, 20 * SKUA_MINUTE));
    SKUA_ASYNC_END(0);
}

static int keeps_house(void *arg)
{
    struct household *self = arg;
    char address[SKUA_ADDRESS_MAX];
    skua_scope scope;
    int rc;

    self->listener = test_listen(address);
    test_tcp_pair(&self->a, &self->b);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_spawn(&scope, waits_for_event, self), 0);
    CHECK_EQ(skua_spawn(&scope, reads, self), 0);
    CHECK_EQ(skua_spawn(&scope, accepts, self), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), 0);
    CHECK_EQ(skua_spawn_poll(&scope, idles, &(struct idler){0}), 0);
    test_event_set(&self->ready);
    rc = test_event_wait(&self->never);
    skua_scope_cancel(&scope);
    skua_scope_join(&scope);
    skua_tcp_close(self->a);
    skua_tcp_close(self->b);
    skua_listener_close(self->listener);
    return rc;
}

static void check_idle(const char *prefix, int threads)
{
    struct test_usage before, after;

    test_thread_sleep(SETTLE);
    test_usage_of(prefix, &before);
    test_thread_sleep(WATCH);
    test_usage_of(prefix, &after);
    CHECK_EQ(before.threads, threads);
    CHECK_EQ(after.threads, threads);
    if (TEST_TSAN)
        return; /* there sleeps are cut into slices, so that signal handlers run (os_futex.c) */
    CHECK_EQ(after.switches - before.switches, 0);
    CHECK_RANGE(after.cpu_ns - before.cpu_ns, 0, MS(1));
}

struct housekeeping {
    skua_runtime *runtime;
    struct household household;
};

static void *blocks(void *arg)
{
    struct housekeeping *self = arg;

    pthread_setname_np(pthread_self(), "idle-current");
    test_run(self->runtime, keeps_house, &self->household);
    return NULL;
}

static void check_kind(const struct test_kind *kind)
{
    struct housekeeping self = {.household = {TEST_EVENT_INIT, TEST_EVENT_INIT, NULL, NULL, NULL}};
    pthread_t thread;

    self.runtime = test_runtime_with(kind, (skua_runtime_options){.name = "idle"});
    MUST(pthread_create(&thread, NULL, blocks, &self) == 0);
    CHECK_EQ(test_event_wait(&self.household.ready), 0);
    /* the thread in block_on counts, too: it must sleep like the workers */
    check_idle("idle", 1 + (int)kind->workers);
    test_event_set(&self.household.never);
    pthread_join(thread, NULL);
    test_runtime_free(self.runtime);
}

TEST(idle_current_thread_never_wakes)
{
    check_kind(&test_kinds[0]);
}

TEST(idle_four_workers_never_wake)
{
    check_kind(&test_kinds[3]);
}

/* A runtime that was made and never used sleeps as well. */
TEST(idle_unused_runtime_never_wakes)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[3], (skua_runtime_options){.name = "unused"});
    struct test_usage before, after;

    test_thread_sleep(SETTLE);
    test_usage_of("unused", &before);
    test_thread_sleep(SKUA_SECOND);
    test_usage_of("unused", &after);
    CHECK_EQ(after.threads, 4);
    CHECK_EQ(after.switches - before.switches, 0);
    test_runtime_free(runtime);
}

/* One timer every 100 ms wakes one worker, not all of them. */
static int ticks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_sleep(MS(100)), 0);
    return 0;
}

TEST(idle_one_timer_wakes_one_worker)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[3], (skua_runtime_options){.name = "ticking"});
    struct test_usage before, after;
    skua_task *task;

    MUST(skua_spawn_on(runtime, ticks, NULL, .task = &task) == 0);
    test_thread_sleep(MS(250));
    test_usage_of("ticking", &before);
    test_thread_sleep(MS(500));
    test_usage_of("ticking", &after);
    if (!CHECK_RANGE(after.switches - before.switches, 4, 12)) /* all four would be 20 */
        test_note("in five ticks");
    CHECK_EQ(skua_task_join(task, NULL), 0);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_current_thread_never_wakes),
        cmocka_unit_test(idle_four_workers_never_wake),
        cmocka_unit_test(idle_unused_runtime_never_wakes),
        cmocka_unit_test(idle_one_timer_wakes_one_worker),
    };

    return TEST_MAIN(tests);
}
