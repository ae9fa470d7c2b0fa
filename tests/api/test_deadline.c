/* test_deadline.c - deadlines: they nest, the earliest counts, who is spawned inherits.
 *
 * Specifies task.h: skua_deadline_begin, _end, _current; future.h: skua_await_until. A deadline
 * ends every wait of the fiber that set it, and of the tasks spawned under it, with -ETIMEDOUT:
 * promptly, never early, and until its frame ends.
 */
#include "../lib/event.h"
#include "../lib/sockets.h"

/* What a wait that began at `begin` with a deadline of `after` ns must look like. */
#define CHECK_TIMED_OUT(wait, begin, after)                                                        \
    do {                                                                                           \
        CHECK_EQ((wait), -ETIMEDOUT);                                                              \
        CHECK_RANGE(skua_now() - (begin), (after), (after) + TEST_LATE);                           \
    } while (0)

/* ---- one frame ------------------------------------------------------------------------------- */

TEST_FIBER(deadline_ends_a_sleep)
{
    int64_t begin = skua_now();
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    CHECK_EQ(skua_deadline_begin(&deadline, begin + SKUA_MINUTE), 0);
    CHECK_EQ(skua_deadline_current(), begin + SKUA_MINUTE);
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_TIMED_OUT(skua_sleep(SKUA_FOREVER), begin, MS(10));
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    return 0;
}

TEST_FIBER(deadline_is_in_force_until_its_end)
{
    struct test_event never = TEST_EVENT_INIT;
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() - 1), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_cancelled(), -ETIMEDOUT);
        CHECK_EQ(skua_sleep(MS(1)), -ETIMEDOUT);
        CHECK_EQ(skua_yield(), -ETIMEDOUT);
        CHECK_EQ(test_event_wait(&never), -ETIMEDOUT);
        CHECK_EQ(test_event_waiters(&never), 0);
    }
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_yield(), 0);
    return 0;
}

TEST_FIBER(deadline_is_never_early)
{
    for (int i = 0; i < 100; i++) {
        int64_t begin = skua_now(), after = 1000 + i * 37003;
        skua_deadline deadline;

        CHECK_EQ(skua_deadline_begin(&deadline, begin + after), 0);
        CHECK_EQ(skua_sleep(SKUA_HOUR), -ETIMEDOUT);
        CHECK(skua_now() >= begin + after);
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    }
    return 0;
}

TEST_FIBER_CLOCK(deadline_that_is_far_changes_nothing)
{
    static const int64_t far[] = {SKUA_FOREVER, SKUA_FOREVER - 1, INT64_MAX / 2};
    skua_deadline deadline;

    for (size_t i = 0; i < TEST_LEN(far); i++) {
        CHECK_EQ(skua_deadline_begin(&deadline, far[i]), 0);
        CHECK_EQ(skua_deadline_current(), far[i]);
        CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    }
    CHECK_EQ(skua_deadline_begin(&deadline, INT64_MIN), 0);
    CHECK_EQ(skua_sleep(MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    return 0;
}

/* ---- nesting --------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(deadline_earliest_counts)
{
    int64_t begin = skua_now(), early = begin + MS(10), late = begin + SKUA_HOUR;
    skua_deadline outer, inner, none;

    CHECK_EQ(skua_deadline_begin(&outer, early), 0);
    CHECK_EQ(skua_deadline_begin(&inner, late), 0);
    CHECK_EQ(skua_deadline_current(), early);
    CHECK_EQ(skua_deadline_begin(&none, SKUA_FOREVER), 0);
    CHECK_EQ(skua_deadline_current(), early);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_now(), early);
    CHECK_EQ(skua_deadline_end(&none), 0);
    CHECK_EQ(skua_deadline_end(&inner), 0);
    CHECK_EQ(skua_yield(), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&outer), 0);
    CHECK_EQ(skua_yield(), 0);
    return 0;
}

TEST_FIBER_CLOCK(deadline_inner_ends_alone)
{
    int64_t begin = skua_now();
    skua_deadline outer, inner;

    CHECK_EQ(skua_deadline_begin(&outer, begin + SKUA_HOUR), 0);
    CHECK_EQ(skua_deadline_begin(&inner, begin + MS(5)), 0);
    CHECK_EQ(skua_deadline_current(), begin + MS(5));
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(5));
    CHECK_EQ(skua_deadline_end(&inner), 0);
    CHECK_EQ(skua_deadline_current(), begin + SKUA_HOUR);
    CHECK_EQ(skua_sleep(SKUA_MINUTE), 0);
    CHECK_EQ(skua_sleep(SKUA_HOUR), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + SKUA_HOUR);
    CHECK_EQ(skua_deadline_end(&outer), 0);
    return 0;
}

TEST_FIBER(deadline_frames_end_in_reverse)
{
    skua_deadline outer, inner;

    CHECK_EQ(skua_deadline_begin(&outer, skua_now() + SKUA_HOUR), 0);
    CHECK_EQ(skua_deadline_begin(&inner, skua_now() + SKUA_MINUTE), 0);
    CHECK_EQ(skua_deadline_end(&outer), SKUA_EUSAGE);
    CHECK(skua_deadline_current() < skua_now() + SKUA_HOUR);
    CHECK_EQ(skua_deadline_end(&inner), 0);
    CHECK_EQ(skua_deadline_end(&outer), 0);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    return 0;
}

TEST(deadline_needs_a_fiber)
{
    skua_deadline deadline;

    memset(&deadline, 0, sizeof deadline);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now()), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_end(&deadline), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    CHECK_EQ(skua_cancelled(), 0);
}

/* ---- inheritance ----------------------------------------------------------------------------- */

struct heir {
    int64_t deadline;
    int generations;
    int rc;
};

/* Each generation spawns the next as its sibling and ends; the last one waits. */
static int inherits(void *arg)
{
    struct heir *self = arg;

    CHECK_EQ(skua_deadline_current(), self->deadline);
    if (self->generations-- > 0)
        return skua_spawn(NULL, inherits, self);
    self->rc = skua_sleep(SKUA_FOREVER);
    CHECK(skua_now() >= self->deadline);
    return self->rc;
}

TEST_FIBER(deadline_is_inherited_by_fibers)
{
    struct heir heir = {skua_now() + MS(20), 3, 0};
    skua_deadline deadline;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_deadline_begin(&deadline, heir.deadline), 0);
    CHECK_EQ(skua_spawn(&scope, inherits, &heir), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0); /* the child keeps it */
    CHECK_EQ(skua_scope_join(&scope), -ETIMEDOUT);
    CHECK_EQ(heir.rc, -ETIMEDOUT);
    return 0;
}

/* The page of api.md: owner and children have one deadline; who passes it first does not matter,
 * the owner is told that time was up. */
TEST_FIBER(deadline_of_owner_and_children)
{
    for (int i = 0; i < 10; i++) {
        skua_deadline deadline;
        skua_scope scope;
        int rc;

        CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + MS(10)), 0);
        skua_scope_open(&scope, i & 1 ? SKUA_FAIL_FAST : SKUA_COLLECT);
        CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), 0);
        rc = skua_spawn(&scope, test_fiber_forever, NULL);
        CHECK(rc == 0 || (rc == -ECANCELED && skua_now() >= skua_deadline_current()));
        CHECK_EQ(skua_scope_join(&scope), -ETIMEDOUT);
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    }
    return 0;
}

struct poll_heir {
    skua_async async;
    int64_t deadline;
    struct test_event *never;
    struct test_event_wait wait;
    skua_sleep_future sleep;
    skua_poll answer;
};

static skua_poll poll_inherits(void *state, skua_waker *waker)
{
    struct poll_heir *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_deadline_current(), self->deadline);
    SKUA_AWAIT_TO(self->answer, skua_sleep_init(&self->sleep, MS(1)));
    CHECK(self->answer == 0 || skua_now() >= self->deadline); /* it may begin very late */
    SKUA_AWAIT_TO(self->answer, test_event_wait_init(&self->wait, self->never));
    CHECK_EQ(self->answer, -ETIMEDOUT);
    CHECK(skua_now() >= self->deadline);
    CHECK_EQ(test_event_waiters(self->never), 0);
    CHECK_EQ(skua_cancelled(), -ETIMEDOUT);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_HOUR));
    CHECK(!"SKUA_AWAIT went on after -ETIMEDOUT");
    SKUA_ASYNC_END(0);
}

TEST_FIBER(deadline_is_inherited_by_poll_tasks)
{
    struct test_event never = TEST_EVENT_INIT;
    struct poll_heir state = {.deadline = skua_now() + MS(20), .never = &never};
    skua_deadline deadline;
    skua_task *task;
    int result = 0;

    CHECK_EQ(skua_deadline_begin(&deadline, state.deadline), 0);
    MUST(skua_spawn_poll(NULL, poll_inherits, &state, .task = &task) == 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ETIMEDOUT);
    return 0;
}

static int has_no_deadline(void *arg)
{
    (void)arg;
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    return skua_sleep(MS(1));
}

TEST_FIBER(deadline_does_not_leak_to_others)
{
    skua_deadline deadline;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, has_no_deadline, NULL), 0);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now()), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_spawn(&scope, has_no_deadline, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* ---- every kind of wait ---------------------------------------------------------------------- */

TEST_FIBER(deadline_ends_a_join)
{
    int64_t begin = skua_now();
    skua_deadline deadline;
    skua_task *task;
    int result = 77;

    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &task) == 0);
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_TIMED_OUT(skua_task_join(task, &result), begin, MS(10));
    CHECK_EQ(result, 77);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

TEST_FIBER(deadline_ends_tcp)
{
    char address[SKUA_ADDRESS_MAX], byte;
    skua_listener *listener = test_listen(address);
    skua_tcp *a, *b, *none = NULL;
    skua_deadline deadline;
    int64_t begin;
    ssize_t n;

    test_tcp_pair(&a, &b);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_TIMED_OUT(skua_tcp_read(a, &byte, 1), begin, MS(10));
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_TIMED_OUT(skua_tcp_accept(listener, &none), begin, MS(10));
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    do { /* the kernel may find a little more room, some time later */
        test_tcp_fill(a, 0);
        begin = skua_now();
        CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
        n = skua_tcp_write(a, "x", 1);
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    } while (n == 1);
    CHECK_TIMED_OUT(n, begin, MS(10));
    CHECK(none == NULL);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* ---- await_until ----------------------------------------------------------------------------- */

TEST_FIBER(deadline_of_one_await)
{
    struct test_event never = TEST_EVENT_INIT;
    struct test_event_wait wait;
    int64_t begin = skua_now();
    skua_deadline deadline;

    CHECK_TIMED_OUT(skua_await_until(test_event_wait_init(&wait, &never), begin + MS(10)), begin,
                    MS(10));
    CHECK_EQ(test_event_waiters(&never), 0);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_TIMED_OUT(skua_await_until(test_event_wait_init(&wait, &never), begin + SKUA_HOUR), begin,
                    MS(10));
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + SKUA_HOUR), 0);
    CHECK_TIMED_OUT(skua_await_until(test_event_wait_init(&wait, &never), begin + MS(10)), begin,
                    MS(10));
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    test_event_set(&never);
    CHECK_EQ(skua_await_until(test_event_wait_init(&wait, &never), SKUA_FOREVER), 0);
    return 0;
}

TEST(deadline_of_an_await_on_a_thread)
{
    struct test_event never = TEST_EVENT_INIT;
    struct test_event_wait wait;
    skua_sleep_future sleep;
    int64_t begin = skua_now();

    CHECK_TIMED_OUT(skua_await_until(test_event_wait_init(&wait, &never), begin + MS(10)), begin,
                    MS(10));
    CHECK_EQ(test_event_waiters(&never), 0);
    begin = skua_now();
    CHECK_TIMED_OUT(skua_await_until(skua_sleep_init(&sleep, SKUA_HOUR), begin + MS(10)), begin,
                    MS(10));
    begin = skua_now();
    CHECK_EQ(skua_await_until(skua_sleep_init(&sleep, MS(5)), begin + SKUA_HOUR), 0);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
}

TEST_FIBER_CLOCK(deadline_does_not_cut_a_shielded_wait)
{
    int64_t begin = skua_now();
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(5)), 0);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK_EQ(skua_cancelled(), -ETIMEDOUT);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_sleep(MS(20)), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_now(), begin + MS(20));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadline_ends_a_sleep),
        cmocka_unit_test(deadline_is_in_force_until_its_end),
        cmocka_unit_test(deadline_is_never_early),
        cmocka_unit_test(deadline_that_is_far_changes_nothing),
        cmocka_unit_test(deadline_earliest_counts),
        cmocka_unit_test(deadline_inner_ends_alone),
        cmocka_unit_test(deadline_frames_end_in_reverse),
        cmocka_unit_test(deadline_needs_a_fiber),
        cmocka_unit_test(deadline_is_inherited_by_fibers),
        cmocka_unit_test(deadline_of_owner_and_children),
        cmocka_unit_test(deadline_is_inherited_by_poll_tasks),
        cmocka_unit_test(deadline_does_not_leak_to_others),
        cmocka_unit_test(deadline_ends_a_join),
        cmocka_unit_test(deadline_ends_tcp),
        cmocka_unit_test(deadline_of_one_await),
        cmocka_unit_test(deadline_of_an_await_on_a_thread),
        cmocka_unit_test(deadline_does_not_cut_a_shielded_wait),
    };

    return TEST_MAIN(tests);
}
