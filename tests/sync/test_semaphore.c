/* test_semaphore.c - permits: taken and given, in line, dropped, closed.
 *
 * Specifies sync.h, semaphore: first in, first out, a small request does not pass a large one; what
 * a dropped wait had goes to the next in line; closing; every limit and error code.
 */
#include "../lib/line.h"

#define MAX SKUA_SEMAPHORE_MAX

/* ---- one permit as an object to line up for -------------------------------------------------- */

static int wait_one(void *object, int64_t deadline)
{
    return skua_semaphore_acquire_until(object, 1, deadline);
}

static skua_future *init_one(skua_sync_future *wait, void *object)
{
    return skua_semaphore_acquire_init(wait, object, 1);
}

static int length(void *object)
{
    return TEST_LINE((skua_semaphore *)object);
}

static void pass_one(void *object)
{
    CHECK_EQ(skua_semaphore_release(object, 1), 0);
}

static const struct test_line_ops one = {wait_one, init_one, length, pass_one};

/* ---- counting -------------------------------------------------------------------------------- */

TEST(semaphore_is_made)
{
    static skua_semaphore ready = SKUA_SEMAPHORE_INIT(3);
    skua_semaphore sema;

    CHECK_EQ(skua_semaphore_available(&ready), 3);
    CHECK_EQ(skua_semaphore_init(&sema, 0), 0);
    CHECK_EQ(skua_semaphore_available(&sema), 0);
    CHECK_EQ(skua_semaphore_init(&sema, MAX), 0);
    CHECK_EQ(skua_semaphore_available(&sema), MAX);
    CHECK_EQ(skua_semaphore_init(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_semaphore_init(&sema, SIZE_MAX), -EINVAL);
}

static void check_counts(void)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(5);

    CHECK_EQ(skua_semaphore_acquire(&sema, 2), 0);
    CHECK_EQ(skua_semaphore_available(&sema), 3);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 4), -EAGAIN);
    CHECK_EQ(skua_semaphore_available(&sema), 3);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 3), 0);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 1), -EAGAIN);
    CHECK_EQ(skua_semaphore_release(&sema, 4), 0);
    CHECK_EQ(skua_semaphore_acquire_until(&sema, 4, 0), 0); /* they are there: no wait */
    CHECK_EQ(skua_semaphore_acquire_until(&sema, 1, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_semaphore_release(&sema, 7), 0); /* more than were taken */
    CHECK_EQ(skua_semaphore_available(&sema), 7);
}

TEST_FIBER(semaphore_counts_on_a_fiber)
{
    check_counts();
    return 0;
}

TEST(semaphore_counts_on_a_thread)
{
    check_counts();
}

TEST(semaphore_limits)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(MAX - 1);

    CHECK_EQ(skua_semaphore_release(&sema, 2), -EINVAL);
    CHECK_EQ(skua_semaphore_release(&sema, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_semaphore_available(&sema), MAX - 1);
    CHECK_EQ(skua_semaphore_release(&sema, 1), 0);
    CHECK_EQ(skua_semaphore_release(&sema, 1), -EINVAL);
    CHECK_EQ(skua_semaphore_release(&sema, 0), 0);
    CHECK_EQ(skua_semaphore_acquire(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_semaphore_acquire_until(&sema, MAX + 1, 0), -EINVAL);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_semaphore_acquire(&sema, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_semaphore_available(&sema), MAX);
    CHECK_EQ(skua_semaphore_acquire(&sema, MAX), 0);
    CHECK_EQ(skua_semaphore_available(&sema), 0);
}

/* A future is ready as the call returns, also with this. */
TEST(semaphore_future_of_too_many)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(3);
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future wait;

    CHECK_EQ(skua_future_poll(skua_semaphore_acquire_init(&wait, &sema, MAX + 1), waker), -EINVAL);
    CHECK_EQ(skua_future_poll(skua_semaphore_acquire_init(&wait, &sema, SIZE_MAX), waker), -EINVAL);
    CHECK_EQ(skua_semaphore_available(&sema), 3);
    CHECK_EQ(length(&sema), 0);
    skua_future_drop(&wait.future);
    test_bell_end(&bell);
}

TEST(semaphore_nothing_is_always_there)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future wait, none;

    CHECK_EQ(skua_semaphore_acquire(&sema, 0), 0);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 0), 0);
    CHECK_EQ(skua_future_poll(init_one(&wait, &sema), waker), SKUA_PENDING);
    CHECK_EQ(skua_semaphore_acquire(&sema, 0), 0); /* it takes nothing from who is in line */
    CHECK_EQ(skua_future_poll(skua_semaphore_acquire_init(&none, &sema, 0), waker), 0);
    skua_semaphore_close(&sema);
    CHECK_EQ(skua_semaphore_acquire(&sema, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_future_poll(&wait.future, waker), SKUA_ECLOSED);
    test_bell_end(&bell);
}

TEST(semaphore_forgets)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(5);

    CHECK_EQ(skua_semaphore_forget(&sema, 2), 2);
    CHECK_EQ(skua_semaphore_available(&sema), 3);
    CHECK_EQ(skua_semaphore_forget(&sema, 0), 0);
    CHECK_EQ(skua_semaphore_forget(&sema, SIZE_MAX), 3);
    CHECK_EQ(skua_semaphore_forget(&sema, 1), 0);
    CHECK_EQ(skua_semaphore_available(&sema), 0);
}

/* ---- in line --------------------------------------------------------------------------------- */

TEST(semaphore_lets_in_first_in_first_out)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

        test_line_in_order(&one, &sema, first, second);
        CHECK_EQ(skua_semaphore_available(&sema), 1);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(semaphore_lets_in_on_one_runtime)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

    test_line_in_order(&one, &sema, arg, arg);
    CHECK_EQ(skua_semaphore_available(&sema), 1);
    return 0;
}

/* Requests of several sizes, polled by hand: who is let in by what is known exactly. */
struct requests {
    skua_semaphore sema;
    struct test_bell bells[4];
    skua_waker *wakers[4];
    skua_sync_future waits[4];
    int count;
};

static void requests_init(struct requests *self, size_t permits)
{
    self->count = 0;
    CHECK_EQ(skua_semaphore_init(&self->sema, permits), 0);
}

static void request(struct requests *self, size_t permits)
{
    int at = self->count++;

    self->wakers[at] = test_bell_init(&self->bells[at]);
    skua_semaphore_acquire_init(&self->waits[at], &self->sema, permits);
    CHECK_EQ(skua_future_poll(&self->waits[at].future, self->wakers[at]), SKUA_PENDING);
}

/* The first `count` were woken, each once. */
static void check_woken(struct requests *self, int count)
{
    for (int i = 0; i < self->count; i++)
        CHECK_EQ(TEST_RINGS(&self->bells[i]), i < count);
}

static void requests_end(struct requests *self, int64_t answer)
{
    for (int i = 0; i < self->count; i++) {
        CHECK_EQ(skua_future_poll(&self->waits[i].future, self->wakers[i]), answer);
        test_bell_end(&self->bells[i]);
    }
    CHECK_EQ(length(&self->sema), 0);
}

TEST(semaphore_a_small_request_does_not_pass_a_large_one)
{
    struct requests all;

    requests_init(&all, 2);
    request(&all, 4);
    CHECK_EQ(skua_semaphore_available(&all.sema), 0); /* it has these two already */
    request(&all, 1);
    CHECK_EQ(skua_semaphore_try_acquire(&all.sema, 1), -EAGAIN);
    CHECK_EQ(skua_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 0);
    CHECK_EQ(skua_semaphore_try_acquire(&all.sema, 1), -EAGAIN);
    CHECK_EQ(skua_semaphore_forget(&all.sema, 9), 0);
    CHECK_EQ(skua_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 1);
    CHECK_EQ(skua_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 2);
    requests_end(&all, 0);
    CHECK_EQ(skua_semaphore_available(&all.sema), 0);
}

TEST(semaphore_a_release_lets_several_in)
{
    struct requests all;

    requests_init(&all, 0);
    request(&all, 1);
    request(&all, 2);
    request(&all, 1);
    request(&all, 3);
    CHECK_EQ(skua_semaphore_release(&all.sema, 3), 0);
    check_woken(&all, 2);
    CHECK_EQ(skua_semaphore_release(&all.sema, 9), 0);
    check_woken(&all, 4);
    requests_end(&all, 0);
    CHECK_EQ(skua_semaphore_available(&all.sema), 5);
}

TEST(semaphore_wakes_only_the_newest_waker)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);
    struct test_bell before, after;
    skua_waker *newest = test_bell_init(&after);
    skua_sync_future wait;

    CHECK_EQ(skua_future_poll(init_one(&wait, &sema), test_bell_init(&before)), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&wait.future, newest), SKUA_PENDING);
    test_bell_end(&before);
    CHECK_EQ(skua_future_poll(&wait.future, newest), SKUA_PENDING);
    CHECK_EQ(atomic_load(&after.refs), 2);
    CHECK_EQ(skua_semaphore_release(&sema, 1), 0);
    CHECK_EQ(TEST_RINGS(&before), 0);
    CHECK_EQ(TEST_RINGS(&after), 1);
    CHECK_EQ(skua_future_poll(&wait.future, newest), 0);
    test_bell_end(&after);
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(semaphore_cancelled)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

    test_line_cancel(&one, &sema, arg);
    CHECK_EQ(skua_semaphore_available(&sema), 0);
    test_line_shield(&one, &sema);
    CHECK_EQ(skua_semaphore_available(&sema), 0);
    return 0;
}

TEST_FIBER(semaphore_out_of_time_when_free)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(1);
    skua_deadline frame;

    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0); /* the task's, not the call's */
    CHECK_EQ(skua_semaphore_acquire(&sema, 1), -ETIMEDOUT);
    CHECK_EQ(skua_semaphore_acquire_until(&sema, 1, SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 1), 0); /* does not wait, ever */
    CHECK_EQ(skua_deadline_end(&frame), 0);
    return 0;
}

TEST(semaphore_dropped_when_granted)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

    test_line_drop(&one, &sema);
    CHECK_EQ(skua_semaphore_available(&sema), 1);
}

TEST_FIBER_CURRENT(semaphore_cancelled_when_granted)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

    test_line_cancel_granted(&one, &sema, arg);
    CHECK_EQ(skua_semaphore_available(&sema), 1);
    return 0;
}

/* What the first in line had so far lets those behind it in. */
TEST(semaphore_a_part_goes_to_the_next_in_line)
{
    struct requests all;

    requests_init(&all, 3);
    request(&all, 5);
    request(&all, 2);
    request(&all, 2);
    skua_future_drop(&all.waits[0].future);
    CHECK_EQ(TEST_RINGS(&all.bells[0]), 0);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&all.bells[2]), 0);
    skua_future_drop(&all.waits[1].future); /* granted: two more */
    CHECK_EQ(TEST_RINGS(&all.bells[2]), 1);
    CHECK_EQ(skua_future_poll(&all.waits[2].future, all.wakers[2]), 0);
    CHECK_EQ(skua_semaphore_available(&all.sema), 1);
    for (int i = 0; i < all.count; i++)
        test_bell_end(&all.bells[i]);
    CHECK_EQ(length(&all.sema), 0);
}

TEST(semaphore_a_part_becomes_free_without_a_next)
{
    struct requests all;

    requests_init(&all, 3);
    request(&all, 5);
    CHECK_EQ(skua_semaphore_available(&all.sema), 0);
    skua_future_drop(&all.waits[0].future);
    CHECK_EQ(skua_semaphore_available(&all.sema), 3);
    CHECK_EQ(skua_semaphore_try_acquire(&all.sema, 3), 0);
    test_bell_end(&all.bells[0]);
}

/* ---- closed ---------------------------------------------------------------------------------- */

TEST(semaphore_closed_while_some_wait)
{
    for (int dropped = 0; dropped < 3; dropped++) {
        struct requests all;

        requests_init(&all, 3);
        request(&all, 5);
        request(&all, 1);
        request(&all, 1);
        skua_semaphore_close(&all.sema);
        check_woken(&all, 3);
        CHECK_EQ(skua_semaphore_available(&all.sema), 3); /* what the first one had */
        for (int i = 0; i < 3; i++) {
            if (i == dropped)
                skua_future_drop(&all.waits[i].future);
            else
                CHECK_EQ(skua_future_poll(&all.waits[i].future, all.wakers[i]), SKUA_ECLOSED);
            test_bell_end(&all.bells[i]);
        }
        CHECK_EQ(skua_semaphore_available(&all.sema), 3);
        CHECK_EQ(length(&all.sema), 0);
    }
}

/* What was granted before the close stays granted. */
TEST(semaphore_closed_behind_a_grant)
{
    struct requests all;

    requests_init(&all, 0);
    request(&all, 2);
    request(&all, 1);
    CHECK_EQ(skua_semaphore_release(&all.sema, 2), 0);
    skua_semaphore_close(&all.sema);
    CHECK_EQ(skua_future_poll(&all.waits[0].future, all.wakers[0]), 0);
    CHECK_EQ(skua_future_poll(&all.waits[1].future, all.wakers[1]), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_release(&all.sema, 2), 0);
    CHECK_EQ(skua_semaphore_available(&all.sema), 2);
}

TEST_FIBER(semaphore_closed_for_who_comes)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(3);
    skua_sync_future wait;

    CHECK_EQ(skua_semaphore_acquire(&sema, 2), 0);
    skua_semaphore_close(&sema);
    skua_semaphore_close(&sema);
    CHECK_EQ(skua_semaphore_acquire(&sema, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_acquire(&sema, 9), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_acquire_until(&sema, 9, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_try_acquire(&sema, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_semaphore_acquire_init(&wait, &sema, 1)), SKUA_ECLOSED);
    CHECK_EQ(skua_semaphore_release(&sema, 2), 0);
    CHECK_EQ(skua_semaphore_available(&sema), 3);
    CHECK_EQ(skua_semaphore_forget(&sema, 1), 1);
    CHECK_EQ(skua_semaphore_acquire(&sema, 1), SKUA_ECLOSED);
    return 0;
}

TEST_FIBER(semaphore_closed_for_everybody_in_line)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);
    struct test_line line;

    test_line_init(&line, &one, &sema);
    for (int i = 0; i < 9; i++)
        test_line_add(&line, (enum test_waiter_kind)(i % 3), arg);
    skua_semaphore_close(&sema);
    for (int i = 0; i < 9; i++)
        CHECK_EQ(test_waiter_end(&line.waiters[i]), SKUA_ECLOSED);
    CHECK_EQ(length(&sema), 0);
    return 0;
}

/* ---- what it is for -------------------------------------------------------------------------- */

enum { PERMITS = 3, WORKERS = 20 };

struct limited {
    skua_semaphore sema;
    atomic_int inside;
};

static int works_inside(void *arg)
{
    struct limited *self = arg;

    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_semaphore_acquire(&self->sema, 1), 0);
        CHECK_RANGE(atomic_fetch_add(&self->inside, 1), 0, PERMITS - 1);
        skua_yield();
        atomic_fetch_sub(&self->inside, 1);
        CHECK_EQ(skua_semaphore_release(&self->sema, 1), 0);
    }
    return 0;
}

TEST_FIBER(semaphore_limits_how_many_work)
{
    struct limited self = {.sema = SKUA_SEMAPHORE_INIT(PERMITS)};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(skua_spawn(&scope, works_inside, &self), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_semaphore_available(&self.sema), PERMITS);
    CHECK_EQ(length(&self.sema), 0);
    return 0;
}

static int takes_and_gives(void *arg)
{
    int rc = skua_semaphore_acquire(arg, 1);

    return rc != 0 ? rc : skua_semaphore_release(arg, 1);
}

TEST_FIBER_CURRENT(semaphore_spends_budget)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(1);

    test_line_budget(takes_and_gives, &sema);
    return 0;
}

TEST_FIBER(semaphore_names_the_wait)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);

    test_line_name(&one, &sema, arg, "semaphore");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(semaphore_is_made),
        cmocka_unit_test(semaphore_counts_on_a_fiber),
        cmocka_unit_test(semaphore_counts_on_a_thread),
        cmocka_unit_test(semaphore_limits),
        cmocka_unit_test(semaphore_future_of_too_many),
        cmocka_unit_test(semaphore_nothing_is_always_there),
        cmocka_unit_test(semaphore_forgets),
        cmocka_unit_test(semaphore_lets_in_first_in_first_out),
        cmocka_unit_test(semaphore_lets_in_on_one_runtime),
        cmocka_unit_test(semaphore_a_small_request_does_not_pass_a_large_one),
        cmocka_unit_test(semaphore_a_release_lets_several_in),
        cmocka_unit_test(semaphore_wakes_only_the_newest_waker),
        cmocka_unit_test(semaphore_cancelled),
        cmocka_unit_test(semaphore_out_of_time_when_free),
        cmocka_unit_test(semaphore_dropped_when_granted),
        cmocka_unit_test(semaphore_cancelled_when_granted),
        cmocka_unit_test(semaphore_a_part_goes_to_the_next_in_line),
        cmocka_unit_test(semaphore_a_part_becomes_free_without_a_next),
        cmocka_unit_test(semaphore_closed_while_some_wait),
        cmocka_unit_test(semaphore_closed_behind_a_grant),
        cmocka_unit_test(semaphore_closed_for_who_comes),
        cmocka_unit_test(semaphore_closed_for_everybody_in_line),
        cmocka_unit_test(semaphore_limits_how_many_work),
        cmocka_unit_test(semaphore_spends_budget),
        cmocka_unit_test(semaphore_names_the_wait),
    };

    return TEST_MAIN(tests);
}
