/* test_debounce.c - bursts of calls that are told once, and turns that keep a distance.
 *
 * Specifies interval.h: debounce and throttle. Everything about time is to the nanosecond, under a
 * test's clock.
 */
#include <pthread.h>

#include "line.h"
#include "part.h"

/* ---- what is told of which pokes ------------------------------------------------------------- */

enum { QUIET = 100, EDGES_MAX = 32 };

struct listener {
    skua_debounce *debounce;
    int64_t begin;
    int64_t edges[EDGES_MAX]; /* when each was told */
    int count;
};

static int listens(void *arg)
{
    struct listener *self = arg;
    int rc;

    while ((rc = skua_debounce_wait(self->debounce)) == 0 && CHECK(self->count < EDGES_MAX))
        self->edges[self->count++] = skua_now() - self->begin;
    return rc;
}

/* Pokes at the moments of `pokes` are told at those of `edges`; both end with -1. */
static void check_edges(const skua_debounce_options *options, const int64_t *pokes,
                        const int64_t *edges)
{
    skua_debounce debounce;
    struct listener self = {.debounce = &debounce, .begin = skua_now()};
    skua_task *task;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, options), 0);
    MUST(skua_spawn(NULL, listens, &self, .task = &task) == 0);
    CHECK_EQ(skua_sleep(0), 0);
    for (; *pokes >= 0; pokes++) {
        CHECK_EQ(skua_sleep_until(self.begin + *pokes), 0);
        skua_debounce_poke(&debounce);
    }
    CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    for (int i = 0; i < self.count; i++) {
        CHECK_EQ(self.edges[i], edges[i]);
        if (edges[i] < 0)
            return;
    }
    CHECK_EQ(edges[self.count], -1);
}

#define AT(...) ((const int64_t[]){__VA_ARGS__, -1})
#define NEVER ((const int64_t[]){-1})

TEST_FIBER_CLOCK(debounce_tells_when_it_is_quiet)
{
    check_edges(NULL, NEVER, NEVER);
    check_edges(NULL, AT(10), AT(110));
    check_edges(NULL, AT(10, 10, 10), AT(110));
    check_edges(NULL, AT(10, 60, 110, 209), AT(309));
    check_edges(NULL, AT(10, 110, 210), AT(110, 210, 310)); /* a ns earlier would put it off */
    check_edges(NULL, AT(10, 500, 550), AT(110, 650));
    return 0;
}

TEST_FIBER_CLOCK(debounce_tells_at_once)
{
    const skua_debounce_options *leading = SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_LEADING);

    check_edges(leading, NEVER, NEVER);
    check_edges(leading, AT(10), AT(10));
    check_edges(leading, AT(10, 60, 150, 240), AT(10));
    check_edges(leading, AT(10, 60, 160, 250, 360), AT(10, 160, 360));
    return 0;
}

TEST_FIBER_CLOCK(debounce_tells_both_edges)
{
    const skua_debounce_options *both = SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_BOTH);

    check_edges(both, AT(10), AT(10)); /* one poke is told once */
    check_edges(both, AT(10, 60), AT(10, 160));
    check_edges(both, AT(10, 60, 150, 500, 700, 701), AT(10, 250, 500, 700, 801));
    return 0;
}

/* A steady stream: each max_wait, as long as it lasts, and its end. */
TEST_FIBER_CLOCK(debounce_tells_in_a_burst_without_end)
{
    const skua_debounce_options *most = SKUA_DEBOUNCE_OPTIONS(.max_wait = 250);

    check_edges(most, AT(0), AT(100));
    check_edges(most, AT(0, 90), AT(190));
    check_edges(most, AT(0, 90, 180, 270, 360, 450), AT(250, 500));
    check_edges(most, AT(0, 90, 180, 270, 360, 450, 540), AT(250, 500, 640));
    check_edges(most, AT(0, 90, 180, 270), AT(250, 370));
    check_edges(most, AT(0, 90, 180, 500), AT(250, 600)); /* and then a new burst */
    check_edges(SKUA_DEBOUNCE_OPTIONS(.max_wait = 1), AT(0, 60, 90), AT(100)); /* quiet at least */
    return 0;
}

/* With max_wait = quiet it is lodash's throttle. */
TEST_FIBER_CLOCK(debounce_as_throttle)
{
    check_edges(SKUA_DEBOUNCE_OPTIONS(.max_wait = QUIET, .edge = SKUA_EDGE_BOTH),
                AT(0, 30, 60, 90, 120, 150, 180, 210), AT(0, 100, 200, 300));
    check_edges(SKUA_DEBOUNCE_OPTIONS(.max_wait = QUIET, .edge = SKUA_EDGE_LEADING),
                AT(0, 30, 60, 90, 120, 150, 180, 210, 240), AT(0, 120, 240));
    check_edges(SKUA_DEBOUNCE_OPTIONS(.max_wait = QUIET), AT(0, 30, 60, 90, 120, 150),
                AT(100, 200));
    return 0;
}

/* ---- nobody waits ---------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(debounce_keeps_an_edge)
{
    int64_t begin = skua_now();
    skua_debounce debounce;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, NULL), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(500), 0);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 500);
    CHECK_EQ(skua_debounce_wait_until(&debounce, begin + 900), -ETIMEDOUT); /* once */
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(100), 0); /* at 1000 */
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(100), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(50), 0);
    CHECK_EQ(skua_debounce_wait(&debounce), 0); /* two bursts, told as one */
    CHECK_EQ(skua_now() - begin, 1150);
    CHECK_EQ(skua_debounce_wait(&debounce), 0); /* and one that had not ended */
    CHECK_EQ(skua_now() - begin, 1200);
    CHECK_EQ(skua_debounce_wait_until(&debounce, begin + 2000), -ETIMEDOUT);
    return 0;
}

TEST_FIBER_CLOCK(debounce_keeps_a_leading_edge)
{
    int64_t begin = skua_now();
    skua_debounce debounce;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_BOTH)),
             0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(50), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 50);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 150);
    skua_debounce_poke(&debounce);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(500), 0);
    skua_debounce_poke(&debounce); /* all three with the new burst's begin */
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 650);
    CHECK_EQ(skua_debounce_wait_until(&debounce, begin + 2000), -ETIMEDOUT);
    return 0;
}

TEST_FIBER_CLOCK(debounce_tells_what_waited_too_long)
{
    int64_t begin = skua_now();
    skua_debounce debounce;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, SKUA_DEBOUNCE_OPTIONS(.max_wait = 150)), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(500), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 500);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK_EQ(skua_now() - begin, 600);
    return 0;
}

TEST_FIBER_CLOCK(debounce_flushes_and_forgets)
{
    int64_t begin = skua_now();
    struct listener self = {.begin = begin};
    skua_debounce debounce;
    skua_task *task;

    self.debounce = &debounce;
    CHECK_EQ(skua_debounce_init(&debounce, QUIET, NULL), 0);
    CHECK_EQ(skua_debounce_flush(&debounce), 0);
    CHECK_EQ(skua_debounce_cancel(&debounce), 0);
    MUST(skua_spawn(NULL, listens, &self, .task = &task) == 0);
    CHECK_EQ(skua_sleep(10), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_debounce_flush(&debounce), 1); /* at 20 */
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_debounce_flush(&debounce), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_debounce_cancel(&debounce), 1);
    CHECK_EQ(skua_sleep(1000), 0);
    skua_debounce_poke(&debounce); /* at 1040 */
    CHECK_EQ(skua_sleep(1000), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(self.count, 2);
    CHECK_EQ(self.edges[0], 20);
    CHECK_EQ(self.edges[1], 1140);
    return 0;
}

/* ---- in line --------------------------------------------------------------------------------- */

/* A wait for either, by a fiber or a poll task. */
struct waiter {
    skua_debounce *debounce; /* or */
    skua_throttle *throttle;
    skua_task *task;
    int64_t moment;
    int rc;
};

static int waits(void *arg)
{
    struct waiter *self = arg;

    self->rc =
        self->debounce ? skua_debounce_wait(self->debounce) : skua_throttle_wait(self->throttle);
    self->moment = skua_now();
    return 0;
}

struct waits_in_poll {
    skua_async async;
    struct waiter *self;
    skua_timed_future wait;
    skua_poll answer;
};

static skua_poll waits_in_poll(void *state, skua_waker *waker)
{
    struct waits_in_poll *in = state;

    SKUA_ASYNC(in, waker);
    SKUA_AWAIT_TO(in->answer, in->self->debounce
                                  ? skua_debounce_wait_init(&in->wait, in->self->debounce)
                                  : skua_throttle_wait_init(&in->wait, in->self->throttle));
    in->self->rc = (int)in->answer;
    in->self->moment = skua_now();
    SKUA_ASYNC_END(0);
}

static void line_up(struct waiter *waiters, int count, skua_debounce *debounce,
                    skua_throttle *throttle)
{
    for (int i = 0; i < count; i++) {
        waiters[i] = (struct waiter){.debounce = debounce, .throttle = throttle, .rc = 1};
        if (i % 2 == 0)
            MUST(skua_spawn(NULL, waits, &waiters[i], .task = &waiters[i].task) == 0);
        else
            MUST(skua_spawn_poll(NULL, waits_in_poll,
                                 (&(struct waits_in_poll){.self = &waiters[i]}),
                                 .task = &waiters[i].task) == 0);
    }
    CHECK_EQ(skua_sleep(1), 0);
}

static void check_waiter(struct waiter *waiter, int rc, int64_t moment)
{
    CHECK_EQ(skua_task_join(waiter->task, NULL), 0);
    CHECK_EQ(waiter->rc, rc);
    CHECK_EQ(waiter->moment, moment);
}

TEST_FIBER_CLOCK(debounce_tells_one_after_the_other)
{
    skua_debounce debounce;
    struct waiter waiters[4];
    int64_t begin;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_BOTH)),
             0);
    line_up(waiters, 4, &debounce, NULL);
    begin = skua_now();
    skua_debounce_poke(&debounce);
    skua_debounce_poke(&debounce);
    check_waiter(&waiters[0], 0, begin);
    CHECK_EQ(skua_task_cancel(waiters[1].task), 0); /* it has the timer */
    check_waiter(&waiters[1], -ECANCELED, begin);
    check_waiter(&waiters[2], 0, begin + QUIET);
    CHECK_EQ(skua_sleep(500), 0);
    skua_debounce_poke(&debounce);
    check_waiter(&waiters[3], 0, begin + QUIET + 500);
    return 0;
}

/* A task is cancelled together with the edge: the edge is the next one's. */
TEST(debounce_told_and_dropped)
{
    struct test_bell bells[2];
    skua_timed_future waits[2];
    skua_waker *wakers[2];
    skua_debounce debounce;

    CHECK_EQ(skua_debounce_init(&debounce, MS(1), SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_LEADING)),
             0);
    for (int i = 0; i < 2; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        skua_debounce_wait_init(&waits[i], &debounce);
        CHECK_EQ(skua_future_poll(&waits[i].future, wakers[i]), SKUA_PENDING);
    }
    skua_debounce_poke(&debounce);
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    skua_future_drop(&waits[0].future);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 0);
    CHECK_EQ(test_line_length(&debounce.line.waiters, &debounce.line.lock), 0);
    for (int i = 0; i < 2; i++)
        test_bell_end(&bells[i]);
}

TEST_FIBER_CLOCK(debounce_in_a_select)
{
    int64_t begin = skua_now();
    skua_debounce debounce;

    CHECK_EQ(skua_debounce_init(&debounce, QUIET, NULL), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_select(skua_debouncing(&debounce), skua_sleeping(60)), 1);
    CHECK_EQ(skua_select(skua_debouncing(&debounce), skua_sleeping(60)), 0);
    CHECK_EQ(skua_now() - begin, QUIET);
    return 0;
}

/* ---- throttle -------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(throttle_lets_one_through_a_period)
{
    int64_t begin = skua_now();
    skua_throttle throttle;
    int let = 0;

    CHECK_EQ(skua_throttle_init(&throttle, 100), 0);
    for (int i = 0; i < 1000; i++) {
        int rc = skua_throttle_try(&throttle);

        CHECK_EQ(rc, i % 100 == 0 ? 0 : -EAGAIN);
        let += rc == 0;
        CHECK_EQ(skua_sleep(1), 0);
    }
    CHECK_EQ(let, 10);
    CHECK_EQ(skua_sleep(500), 0); /* turns are not saved up */
    CHECK_EQ(skua_throttle_try(&throttle), 0);
    CHECK_EQ(skua_throttle_try(&throttle), -EAGAIN);
    CHECK_EQ(skua_throttle_wait(&throttle), 0);
    CHECK_EQ(skua_now() - begin, 1600);
    CHECK_EQ(skua_throttle_wait_until(&throttle, skua_now() + 99), -ETIMEDOUT);
    CHECK_EQ(skua_throttle_wait_until(&throttle, skua_now() + 99), 0);
    CHECK_EQ(skua_now() - begin, 1700);
    return 0;
}

TEST_FIBER_CLOCK(throttle_lets_in_first_in_first_out)
{
    skua_throttle throttle;
    struct waiter waiters[8];
    int64_t begin = skua_now();

    CHECK_EQ(skua_throttle_init(&throttle, 100), 0);
    line_up(waiters, 8, NULL, &throttle);
    CHECK_EQ(skua_sleep_until(begin + 100), 0);
    CHECK_EQ(skua_throttle_try(&throttle), -EAGAIN); /* there is a line */
    CHECK_EQ(skua_sleep_until(begin + 150), 0);
    CHECK_EQ(skua_task_cancel(waiters[2].task), 0); /* it has the timer */
    CHECK_EQ(skua_task_cancel(waiters[5].task), 0);
    check_waiter(&waiters[2], -ECANCELED, begin + 150);
    check_waiter(&waiters[5], -ECANCELED, begin + 150);
    check_waiter(&waiters[0], 0, begin);
    check_waiter(&waiters[1], 0, begin + 100);
    check_waiter(&waiters[3], 0, begin + 200);
    check_waiter(&waiters[4], 0, begin + 300);
    check_waiter(&waiters[6], 0, begin + 400);
    check_waiter(&waiters[7], 0, begin + 500);
    return 0;
}

TEST_FIBER_CLOCK(throttle_loses_no_turn_in_a_select)
{
    int64_t begin = skua_now();
    skua_throttle throttle;

    CHECK_EQ(skua_throttle_init(&throttle, 100), 0);
    CHECK_EQ(skua_throttle_wait(&throttle), 0);
    for (int i = 1; i < 20; i++) {
        CHECK_EQ(skua_select(skua_throttling(&throttle), skua_sleeping(60)), 1);
        CHECK_EQ(skua_select(skua_throttling(&throttle), skua_sleeping(60)), 0);
        CHECK_EQ(skua_now() - begin, i * 100);
    }
    return 0;
}

TEST_FIBER_CLOCK(rhythm_is_out_of_time_when_ready)
{
    skua_debounce debounce;
    skua_throttle throttle;
    skua_deadline frame;

    CHECK_EQ(skua_throttle_init(&throttle, 100), 0);
    CHECK_EQ(skua_debounce_init(&debounce, QUIET, SKUA_DEBOUNCE_OPTIONS(.edge = SKUA_EDGE_LEADING)),
             0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0);
    CHECK_EQ(skua_throttle_wait(&throttle), -ETIMEDOUT);
    CHECK_EQ(skua_debounce_wait(&debounce), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_throttle_try(&throttle), 0);
    CHECK_EQ(skua_debounce_wait_until(&debounce, skua_now() + 1), 0);
    return 0;
}

TEST(rhythm_refuses)
{
    skua_debounce_options options = {0};
    skua_debounce debounce = {.quiet = 77};
    skua_throttle throttle = {.period = 77};

    CHECK_EQ(skua_throttle_init(&throttle, 0), -EINVAL);
    CHECK_EQ(skua_throttle_init(&throttle, -1), -EINVAL);
    CHECK_EQ(throttle.period, 77);
    CHECK_EQ(skua_debounce_init(&debounce, 0, NULL), -EINVAL);
    CHECK_EQ(skua_debounce_init(&debounce, -1, NULL), -EINVAL);
    CHECK_EQ(skua_debounce_init(&debounce, 1, &options), -EINVAL);
    skua_debounce_options_init(&options);
    options.max_wait = -1;
    CHECK_EQ(skua_debounce_init(&debounce, 1, &options), -EINVAL);
    options.max_wait = 0;
    options.edge = (skua_edge)3;
    CHECK_EQ(skua_debounce_init(&debounce, 1, &options), -EINVAL);
    CHECK_EQ(debounce.quiet, 77);
    options.edge = SKUA_EDGE_BOTH;
    CHECK_EQ(skua_debounce_init(&debounce, SKUA_FOREVER, &options), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_debounce_wait_until(&debounce, 0), -ETIMEDOUT);
    CHECK_EQ(skua_throttle_init(&throttle, SKUA_FOREVER), 0);
    CHECK_EQ(skua_throttle_wait(&throttle), 0);
    CHECK_EQ(skua_throttle_wait_until(&throttle, 0), -ETIMEDOUT);
}

TEST_WAITING(rhythm_in_real_time)
{
    int64_t begin = skua_now();
    skua_debounce debounce;
    skua_throttle throttle;

    CHECK_EQ(skua_throttle_init(&throttle, SKUA_MILLISECOND / 2), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_throttle_wait(&throttle), 0);
    CHECK(skua_now() - begin >= MS(2));
    CHECK_EQ(skua_debounce_init(&debounce, MS(1), NULL), 0);
    skua_debounce_poke(&debounce);
    CHECK_EQ(skua_debounce_wait(&debounce), 0);
    CHECK(skua_now() - begin >= MS(3));
}

/* ---- many at a time -------------------------------------------------------------------------- */

enum { CROWD = 5, TURNS = 6 };

struct crowd {
    skua_throttle throttle;
    skua_debounce debounce;
    atomic_int turns, edges, pokes;
    atomic_llong last;
    atomic_bool over;
    int64_t distance;
};

static int takes_turns(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < TURNS;) {
        int rc = skua_test_random() % 4 != 0
                     ? skua_throttle_wait(&crowd->throttle)
                     : skua_throttle_wait_until(&crowd->throttle, skua_now() + 30);

        if (rc != 0) {
            CHECK_EQ(rc, -ETIMEDOUT);
            continue;
        }
        CHECK_EQ(skua_now() % 100, crowd->distance); /* not a ns after its moment */
        CHECK(skua_now() - atomic_exchange(&crowd->last, skua_now()) >= 100);
        atomic_fetch_add(&crowd->turns, 1);
        i++;
    }
    return 0;
}

static int crowd_in_a_test(TEST_UNUSED void *arg)
{
    struct crowd crowd = {.distance = skua_now() % 100};
    int64_t begin = skua_now();
    skua_scope scope;

    CHECK_EQ(skua_throttle_init(&crowd.throttle, 100), 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < CROWD; i++)
        MUST(skua_spawn(&scope, takes_turns, &crowd) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_now() - begin, (CROWD * TURNS - 1) * 100);
    return test_failures() ? -1 : 0;
}

TEST(throttle_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), crowd_in_a_test, NULL), 0);
}

/* Every edge is told, some QUIET after a poke; who waits is sometimes out of time or cancelled. */
static int hears(void *arg)
{
    struct crowd *crowd = arg;
    int rc;

    do {
        rc = skua_test_random() % 2 != 0
                 ? skua_debounce_wait(&crowd->debounce)
                 : skua_debounce_wait_until(&crowd->debounce, skua_now() + 70);
        if (rc == 0) {
            CHECK_EQ(skua_now() - atomic_load(&crowd->last), QUIET);
            atomic_fetch_add(&crowd->edges, 1);
        }
    } while (rc == 0 || rc == -ETIMEDOUT);
    return rc;
}

static int bursts_in_a_test(TEST_UNUSED void *arg)
{
    struct crowd crowd = {.over = false};
    skua_task *tasks[CROWD];
    int bursts = 0;

    CHECK_EQ(skua_debounce_init(&crowd.debounce, QUIET, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        MUST(skua_spawn(NULL, hears, &crowd, .task = &tasks[i]) == 0);
    for (int i = 0; i < 40; i++) {
        int64_t pause = (int64_t)(skua_test_random() % (2 * QUIET));

        skua_debounce_poke(&crowd.debounce);
        atomic_store(&crowd.last, skua_now());
        if (pause == QUIET)
            pause++;
        bursts += pause > QUIET;
        if (i % 10 == 9)
            CHECK_EQ(skua_task_cancel(tasks[i / 10]), 0);
        CHECK_EQ(skua_sleep(pause), 0);
    }
    CHECK_EQ(skua_sleep(2 * QUIET), 0);
    bursts += skua_now() - atomic_load(&crowd.last) <= 3 * QUIET;
    CHECK_EQ(atomic_load(&crowd.edges), bursts);
    CHECK_EQ(skua_task_cancel(tasks[CROWD - 1]), 0);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    return test_failures() ? -1 : 0;
}

TEST(debounce_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), bursts_in_a_test, NULL), 0);
}

/* Pokers and listeners on two workers and plain threads; in the end the last poke is told. */
static int storms(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t random = (uint64_t)skua_now() | 1;

    while (!atomic_load(&crowd->over)) {
        int rc;

        skua_debounce_poke(&crowd->debounce);
        atomic_fetch_add(&crowd->pokes, 1);
        rc = skua_debounce_wait_until(&crowd->debounce,
                                      skua_now() + (int64_t)(test_random(&random) % 200000));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        atomic_fetch_add(&crowd->edges, rc == 0);
        rc = skua_throttle_wait_until(&crowd->throttle,
                                      skua_now() + (int64_t)(test_random(&random) % 200000));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        atomic_fetch_add(&crowd->turns, rc == 0);
    }
    return 0;
}

static void *storms_on_a_thread(void *arg)
{
    (void)storms(arg);
    return NULL;
}

TEST(rhythm_under_stress)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    struct crowd crowd = {.over = false};
    int64_t begin = skua_now();
    skua_task *tasks[CROWD];
    pthread_t threads[2];

    CHECK_EQ(skua_throttle_init(&crowd.throttle, 50 * SKUA_MICROSECOND), 0);
    CHECK_EQ(skua_debounce_init(
                 &crowd.debounce, 20 * SKUA_MICROSECOND,
                 SKUA_DEBOUNCE_OPTIONS(.max_wait = 50 * SKUA_MICROSECOND, .edge = SKUA_EDGE_BOTH)),
             0);
    for (int i = 0; i < CROWD; i++)
        MUST(skua_spawn_on(runtime, storms, &crowd, .task = &tasks[i]) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, storms_on_a_thread, &crowd) == 0);
    test_thread_sleep(test_stress_time(1));
    atomic_store(&crowd.over, true);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_RANGE(atomic_load(&crowd.turns), 1,
                (skua_now() - begin) / (50 * SKUA_MICROSECOND) + 1); /* a period apart */
    CHECK_RANGE(atomic_load(&crowd.edges), 1, 2 * atomic_load(&crowd.pokes));
    test_note("%d pokes, %d edges, %d turns", atomic_load(&crowd.pokes), atomic_load(&crowd.edges),
              atomic_load(&crowd.turns));
    test_runtime_free(runtime);
    CHECK_EQ(skua_debounce_flush(&crowd.debounce) == 1
                 ? skua_debounce_wait_until(&crowd.debounce, skua_now() + SKUA_SECOND)
                 : 0,
             0);
    CHECK_EQ(skua_throttle_wait(&crowd.throttle), 0); /* nobody is left in line */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debounce_tells_when_it_is_quiet),
        cmocka_unit_test(debounce_tells_at_once),
        cmocka_unit_test(debounce_tells_both_edges),
        cmocka_unit_test(debounce_tells_in_a_burst_without_end),
        cmocka_unit_test(debounce_as_throttle),
        cmocka_unit_test(debounce_keeps_an_edge),
        cmocka_unit_test(debounce_keeps_a_leading_edge),
        cmocka_unit_test(debounce_tells_what_waited_too_long),
        cmocka_unit_test(debounce_flushes_and_forgets),
        cmocka_unit_test(debounce_tells_one_after_the_other),
        cmocka_unit_test(debounce_told_and_dropped),
        cmocka_unit_test(debounce_in_a_select),
        cmocka_unit_test(throttle_lets_one_through_a_period),
        cmocka_unit_test(throttle_lets_in_first_in_first_out),
        cmocka_unit_test(throttle_loses_no_turn_in_a_select),
        cmocka_unit_test(rhythm_is_out_of_time_when_ready),
        cmocka_unit_test(rhythm_refuses),
        TEST_WAITING_ENTRIES(rhythm_in_real_time),
        cmocka_unit_test(throttle_in_any_order),
        cmocka_unit_test(debounce_in_any_order),
        cmocka_unit_test(rhythm_under_stress),
    };

    return TEST_MAIN(tests);
}
