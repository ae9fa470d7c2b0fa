/* test_scheduler.c - a scheduler of the user's: which task goes next, and what it may know of it.
 *
 * Specifies scheduler.h, but for the time of shares (unit/test_shares.c), and the options of
 * runtime.h and task.h that go with it.
 */
#include <sys/wait.h>

#include "../lib/child.h"
#include "../lib/event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* Last in, first out: nothing that the library does by itself. */
struct stack {
    skua_task *top;
    int pushes, pops, most, len;
};

static struct stack stacks[2];
static int opened, closed;

static void *stack_open(unsigned worker, void *arg)
{
    CHECK(arg == &opened);
    opened++;
    stacks[worker] = (struct stack){.top = NULL};
    return &stacks[worker];
}

static void stack_push(void *state, skua_task *task)
{
    struct stack *self = state;

    CHECK(skua_task_next(task) == NULL);
    skua_task_set_next(task, self->top);
    self->top = task;
    self->pushes++;
    self->len++;
    self->most = self->len > self->most ? self->len : self->most;
}

static skua_task *stack_pop(void *state)
{
    struct stack *self = state;
    skua_task *task = self->top;

    if (task == NULL)
        return NULL;
    self->top = skua_task_next(task);
    self->pops++;
    self->len--;
    return task;
}

static void stack_close(void *state)
{
    struct stack *self = state;

    CHECK_EQ(self->pushes, self->pops);
    closed++;
}

static const skua_scheduler stack = {.size = sizeof stack,
                                     .name = "stack",
                                     .open = stack_open,
                                     .push = stack_push,
                                     .pop = stack_pop,
                                     .close = stack_close,
                                     .arg = &opened};

static const struct test_kind current = {"current-thread", SKUA_CURRENT_THREAD, 0, false};
static const struct test_kind cores = {"2 cores", SKUA_THREAD_PER_CORE, 2, false};

static skua_runtime *with(const struct test_kind *kind, const skua_scheduler *scheduler)
{
    opened = closed = 0;
    return test_runtime_with(kind, (skua_runtime_options){.scheduler = scheduler});
}

/* ---- the order ------------------------------------------------------------------------------- */

static char order[64];
static size_t order_len;

static int notes(void *arg)
{
    order[order_len++] = (char)(intptr_t)arg;
    return 0;
}

static skua_poll poll_notes(void *state, skua_waker *waker)
{
    (void)waker;
    return notes((void *)(intptr_t) * (char *)state);
}

static int spawns_abc(void *arg)
{
    (void)arg;
    order_len = 0;
    CHECK_EQ(skua_spawn(NULL, notes, (void *)'a'), 0);
    CHECK_EQ(skua_spawn_poll(NULL, poll_notes, &(char){'b'}), 0);
    CHECK_EQ(skua_spawn(NULL, notes, (void *)'c', .priority = SKUA_HIGH), 0);
    return 0;
}

TEST(scheduler_says_who_is_next)
{
    skua_runtime *runtime = with(&current, &stack);

    CHECK_EQ(opened, 1);
    test_run(runtime, spawns_abc, NULL);
    CHECK(memcmp(order, "cba", 3) == 0);
    test_runtime_free(runtime);
    CHECK_EQ(closed, 1);
}

static int ticks(void *arg)
{
    for (int i = 0; i < 50; i++)
        CHECK_EQ(i % 3 ? skua_yield() : skua_sleep(SKUA_MICROSECOND), 0);
    return skua_task_current_name() == NULL ? -EIO : (int)(intptr_t)arg;
}

static int lives(void *arg)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(skua_spawn(&scope, ticks, arg), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    return skua_scope_join(&scope) == -ECANCELED ? 0 : -EIO;
}

/* Spawn, yield, sleep, wakes from other threads, cancel, join: nothing is lost, nothing twice. */
TEST(scheduler_keeps_a_whole_runtime)
{
    const struct test_kind *kinds[] = {&current, &cores};

    for (size_t i = 0; i < TEST_LEN(kinds); i++) {
        skua_runtime *runtime = with(kinds[i], &stack);

        for (int round = 0; round < 5; round++)
            test_run(runtime, lives, NULL);
        test_runtime_free(runtime);
        CHECK_EQ(closed, i == 0 ? 1 : 2);
        CHECK(stacks[0].most > 20);
    }
}

/* ---- what it knows --------------------------------------------------------------------------- */

static skua_task_queue batch = {.name = "batch"}, web = {.name = "web"};
static skua_priority seen_priority;
static skua_task_queue *seen_queue;
static int64_t seen_deadline;
static skua_task_id seen_id;

static void look_push(void *state, skua_task *task)
{
    seen_priority = skua_task_priority(task);
    seen_queue = skua_task_queue_of(task);
    seen_deadline = skua_task_deadline(task);
    seen_id = skua_task_id_of(task);
    stack_push(state, task);
}

static int is_looked_at(void *arg)
{
    skua_deadline frame;
    skua_task_id id;

    (void)arg;
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL, .id = &id), 0);
    CHECK(seen_id == id);
    CHECK(seen_priority == SKUA_NORMAL && seen_queue == NULL && seen_deadline == SKUA_FOREVER);
    CHECK_EQ(skua_deadline_begin(&frame, 1000 * SKUA_HOUR), 0);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL, .priority = SKUA_BACKGROUND, .queue = &web),
             0);
    CHECK_EQ(seen_priority, SKUA_BACKGROUND);
    CHECK(seen_queue == &web && seen_deadline == 1000 * SKUA_HOUR);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_spawn_poll(NULL, poll_notes, &(char){'p'}, .queue = &batch), 0);
    CHECK(seen_queue == &batch && seen_deadline == SKUA_FOREVER);
    return 0;
}

TEST(scheduler_sees_priority_deadline_and_queue)
{
    skua_scheduler looks = stack;
    skua_runtime *runtime;

    looks.push = look_push;
    runtime = with(&current, &looks);
    order_len = 0;
    test_run(runtime, is_looked_at, NULL);
    test_runtime_free(runtime);
}

static int spawns_a_child(void *arg)
{
    skua_deadline frame;

    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    CHECK(seen_queue == arg);
    CHECK_EQ(skua_deadline_begin(&frame, 1000 * SKUA_HOUR), 0); /* other context keeps it */
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    CHECK(seen_queue == arg);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL, .queue = &batch), 0);
    CHECK(seen_queue == &batch);
    return 0;
}

static int spawns_into_web(void *arg)
{
    (void)arg;
    return skua_spawn(NULL, spawns_a_child, &web, .queue = &web);
}

TEST(queue_is_inherited)
{
    skua_scheduler looks = stack;
    skua_runtime *runtime;

    looks.push = look_push;
    runtime = with(&current, &looks);
    test_run(runtime, spawns_into_web, NULL);
    test_runtime_free(runtime);
}

/* ---- yielding when it is time ---------------------------------------------------------------- */

struct grind {
    int64_t until;
    int enough; /* turns to end after; 0: none */
    atomic_int turns, others;
};

static bool goes_on(struct grind *self)
{
    return skua_now() < self->until &&
           (self->enough == 0 || atomic_load(&self->turns) < self->enough);
}

static int grinds(void *arg)
{
    struct grind *self = arg;

    while (goes_on(self)) {
        int before = atomic_load(&self->others);

        CHECK_EQ(skua_yield_if_needed(), 0);
        atomic_fetch_add(&self->turns, atomic_load(&self->others) != before);
    }
    return 0;
}

static int others_run(void *arg)
{
    struct grind *self = arg;

    while (goes_on(self)) {
        atomic_fetch_add(&self->others, 1);
        CHECK_EQ(skua_yield(), 0);
    }
    return 0;
}

static int grinds_beside_others(void *arg)
{
    struct grind *self = arg;

    self->until = skua_now() + 4 * TEST_LATE;
    CHECK_EQ(skua_spawn(NULL, grinds, self), 0);
    CHECK_EQ(skua_spawn(NULL, others_run, self), 0);
    return 0;
}

/* Without a goal the budget ends the turn; with one, the time, too. */
TEST(yield_if_needed_lets_others_run)
{
    static skua_task_queue queue = {.name = "hasty", .latency = MS(2)};
    skua_runtime *runtime = test_runtime(&current);
    struct grind grind = {.enough = 100};
    skua_shares hasty;
    int64_t begin;

    test_run(runtime, grinds_beside_others, &grind);
    CHECK_EQ(atomic_load(&grind.turns), 100);
    test_runtime_free(runtime);
    MUST(skua_shares_init(&hasty, &queue, 1) == 0);
    grind = (struct grind){.enough = 50};
    begin = skua_now();
    runtime = test_runtime_with(
        &current, (skua_runtime_options){.scheduler = &hasty.scheduler, .budget = 1u << 30});
    test_run(runtime, grinds_beside_others, &grind);
    CHECK_EQ(atomic_load(&grind.turns), 50);
    CHECK(skua_now() - begin >= 40 * MS(1)); /* no more than once in half of the goal */
    test_runtime_free(runtime);
}

TEST(yield_if_needed_on_a_thread_does_nothing)
{
    CHECK_EQ(skua_yield_if_needed(), 0);
}

static skua_poll poll_yields(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    CHECK_EQ(skua_yield_if_needed(), SKUA_EUSAGE);
    return 0;
}

static int is_cancelled_while_it_grinds(void *arg)
{
    (void)arg;
    CHECK_EQ(skua_spawn_poll(NULL, poll_yields, &(int){0}), 0);
    for (;;)
        if (skua_yield_if_needed() == -ECANCELED)
            return 0;
}

static int cancels_who_grinds(void *arg)
{
    skua_task *task;
    int result = 1;

    (void)arg;
    CHECK_EQ(skua_spawn(NULL, is_cancelled_while_it_grinds, NULL, .task = &task), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    return 0;
}

TEST(yield_if_needed_tells_of_cancellation)
{
    skua_runtime *runtime = test_runtime(&current);

    test_run(runtime, cancels_who_grinds, NULL);
    test_runtime_free(runtime);
}

/* A turn of no end: the budget alone counts. */
static int yields_ten_times(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_yield_if_needed(), 0);
    CHECK_EQ(stacks[0].pops, 1); /* this fiber's first turn goes on */
    return 0;
}

TEST(yield_if_needed_without_end_is_for_the_budget)
{
    skua_scheduler endless = stack;
    skua_runtime *runtime;

    endless.latency = SKUA_FOREVER;
    runtime = with(&current, &endless);
    test_run(runtime, yields_ten_times, NULL);
    test_runtime_free(runtime);
}

static int yields_under_a_shield(void *arg)
{
    skua_task *self = NULL;

    (void)arg;
    CHECK_EQ(skua_task_find(skua_runtime_current(), skua_task_current_id(), &self), 0);
    CHECK_EQ(skua_task_cancel(self), 0);
    skua_task_detach(self);
    CHECK_EQ(skua_shield_begin(), 0);
    for (int64_t until = skua_now() + MS(3); skua_now() < until;)
        CHECK_EQ(skua_yield_if_needed(), 0);
    CHECK_EQ(skua_shield_end(), 0);
    for (int64_t until = skua_now() + MS(3); skua_now() < until;)
        CHECK_EQ(skua_yield_if_needed(), -ECANCELED);
    return 0;
}

static int yields_past_a_deadline(void *arg)
{
    skua_deadline frame;
    int rc = 0;

    (void)arg;
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(3)), 0);
    while (rc == 0)
        rc = skua_yield_if_needed();
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_yield_if_needed(), 0);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_yield_if_needed(), 0);
    return 0;
}

/* By the budget, and by the time, in any kind of runtime. */
TEST(yield_if_needed_minds_shields_and_deadlines)
{
    test_each_kind(yields_under_a_shield);
    test_each_kind(yields_past_a_deadline);
}

static int sleeps_beside_grinders(void *arg)
{
    struct grind *self = arg;
    int64_t began = skua_now();

    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
    CHECK_RANGE(skua_now() - began, MS(5), MS(5) + TEST_LATE);
    self->until = 0;
    return 0;
}

static int grinds_beside_a_sleeper(void *arg)
{
    struct grind *self = arg;

    self->until = skua_now() + 4 * TEST_LATE;
    CHECK_EQ(skua_spawn(NULL, others_run, self), 0);
    CHECK_EQ(skua_spawn(NULL, others_run, self), 0);
    CHECK_EQ(skua_spawn(NULL, sleeps_beside_grinders, self), 0);
    return 0;
}

/* Timers are looked at as often as the goal says, however many turns are left. */
TEST(scheduler_with_a_goal_has_timers_in_time)
{
    static skua_task_queue queue = {.name = "hasty", .latency = MS(2)};
    static const skua_driver drivers[] = {SKUA_DRIVER_EPOLL, SKUA_DRIVER_AUTO};
    skua_shares hasty;

    MUST(skua_shares_init(&hasty, &queue, 1) == 0);
    for (size_t i = 0; i < TEST_LEN(drivers); i++) {
        struct grind grind = {.until = 0};
        skua_runtime *runtime =
            test_runtime_with(&current, (skua_runtime_options){.scheduler = &hasty.scheduler,
                                                               .driver = drivers[i],
                                                               .event_interval = 1u << 30});

        test_run(runtime, grinds_beside_a_sleeper, &grind);
        test_runtime_free(runtime);
    }
}

/* ---- what a queue has used ------------------------------------------------------------------- */

static int rests(void *arg)
{
    skua_task_queue_stats stats;

    CHECK_EQ(skua_sleep(MS(50)), 0);
    CHECK_EQ(skua_sleep(MS(50)), 0);
    skua_task_queue_stats_of(arg, &stats);
    CHECK_RANGE(stats.ran_ns, 0, MS(40));
    return 0;
}

/* A worker sleeps for nobody's account: also when events were due with the last turn before it. */
TEST(queue_is_not_charged_for_sleeps)
{
    static const unsigned intervals[] = {1, 2, 61};

    for (size_t i = 0; i < TEST_LEN(intervals); i++) {
        skua_task_queue queue = {.name = "rests"};
        skua_shares shares;
        skua_runtime *runtime;

        MUST(skua_shares_init(&shares, &queue, 1) == 0);
        runtime =
            test_runtime_with(&current, (skua_runtime_options){.scheduler = &shares.scheduler,
                                                               .event_interval = intervals[i]});
        test_run(runtime, rests, &queue);
        test_runtime_free(runtime);
    }
}

/* ---- mistakes and faults --------------------------------------------------------------------- */

static void refuses(skua_runtime_kind kind, const skua_scheduler *scheduler)
{
    skua_runtime *runtime = NULL;

    CHECK_EQ(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = kind, .workers = 1,
                                                             .scheduler = scheduler)),
             -EINVAL);
    CHECK(runtime == NULL);
}

TEST(scheduler_must_be_whole)
{
    skua_scheduler broken[6] = {stack, stack, stack, stack, stack, stack};

    broken[0].size--;
    broken[1].open = NULL;
    broken[2].push = NULL;
    broken[3].pop = NULL;
    broken[4].close = NULL;
    broken[5].latency = -1;
    for (size_t i = 0; i < TEST_LEN(broken); i++)
        refuses(SKUA_CURRENT_THREAD, &broken[i]);
    refuses(SKUA_MULTI_THREAD, &stack);
}

TEST(shares_must_be_in_their_range)
{
    static skua_task_queue good[SKUA_SHARES_MAX + 1], much = {.shares = 1001};
    static skua_task_queue early = {.latency = -1};
    skua_shares shares;

    CHECK_EQ(skua_shares_init(&shares, good, SKUA_SHARES_MAX), 0);
    CHECK_EQ(skua_shares_init(&shares, good, SKUA_SHARES_MAX + 1), -EINVAL);
    CHECK_EQ(skua_shares_init(&shares, good, 0), -EINVAL);
    CHECK_EQ(skua_shares_init(&shares, NULL, 1), -EINVAL);
    CHECK_EQ(skua_shares_init(&shares, &much, 1), -EINVAL);
    CHECK_EQ(skua_shares_init(&shares, &early, 1), -EINVAL);
    CHECK_EQ(skua_task_queue_set_shares(good, 0), -EINVAL);
    CHECK_EQ(skua_task_queue_set_shares(good, 1001), -EINVAL);
    CHECK_EQ(skua_task_queue_set_shares(good, 1000), 0);
}

static void *no_room(unsigned worker, void *arg)
{
    (void)arg;
    return worker == 1 ? NULL : stack_open(worker, &opened);
}

TEST(scheduler_without_memory_starts_no_runtime)
{
    skua_scheduler poor = stack;
    skua_runtime *runtime = NULL;

    poor.open = no_room;
    opened = closed = 0;
    CHECK_EQ(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_THREAD_PER_CORE,
                                                             .workers = 2, .scheduler = &poor)),
             -ENOMEM);
    CHECK(runtime == NULL);
    CHECK_EQ(opened, 1);
    CHECK_EQ(closed, 1);
}

/* ---- a scheduler that loses tasks, or makes some up ------------------------------------------ */

static skua_task *hoards(void *state)
{
    (void)state;
    return NULL;
}

static skua_task *gives_twice(void *state)
{
    static skua_task *last;
    skua_task *task = stack_pop(state);

    last = task != NULL ? task : last;
    return last;
}

static int child_main(const char *mode)
{
    skua_scheduler wrong = stack;

    wrong.pop = strcmp(mode, "hoards") == 0 ? hoards : gives_twice;
    test_run(with(&current, &wrong), test_fiber_return, NULL);
    _Exit(0);
}

/* Both would hang or corrupt memory: the process ends with a message. */
TEST(scheduler_that_miscounts_ends_the_process)
{
    static const char *const modes[] = {"hoards", "gives twice"};

    for (size_t i = 0; i < TEST_LEN(modes); i++) {
        struct test_child child;
        int status = test_child_run(&child, modes[i], NULL);

        if (!CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) ||
            !CHECK(strstr(child.text, "policed") != NULL))
            test_note("%s: status %x: %s", modes[i], (unsigned)status, child.text);
    }
}

#ifdef SKUA_FAULTS
static int spawns_without_memory(void *arg)
{
    (void)arg;
    for (unsigned nth = 1; nth <= 2; nth++) { /* the context's link, the cell */
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_spawn(NULL, notes, (void *)'x', .queue = &web), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_spawn_poll(NULL, poll_notes, &(char){'x'}, .queue = &web), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    return skua_spawn(NULL, notes, (void *)'y', .queue = &web);
}

/* Whichever allocation fails, of places, states, workers or threads: nothing is left behind. */
TEST(runtime_of_cores_without_memory)
{
    static skua_task_queue queue = {.name = "only"};
    int failed = 0;
    int rc = -1;
    skua_shares shares;

    MUST(skua_shares_init(&shares, &queue, 1) == 0);
    for (unsigned nth = 1; rc != 0 && nth < 100; nth++) {
        skua_runtime *runtime = NULL;

        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_runtime_new(&runtime,
                              SKUA_RUNTIME_OPTIONS(.kind = SKUA_THREAD_PER_CORE, .workers = 2,
                                                   .scheduler = &shares.scheduler));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == -ENOMEM || rc == 0);
        CHECK((runtime != NULL) == (rc == 0));
        failed += rc != 0;
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK(failed > 8);
}

TEST(spawn_into_a_queue_without_memory)
{
    skua_runtime *runtime = with(&current, &stack);

    order_len = 0;
    test_run(runtime, spawns_without_memory, NULL);
    CHECK_EQ(order_len, 1);
    CHECK_EQ(order[0], 'y');
    test_runtime_free(runtime);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scheduler_says_who_is_next),
        cmocka_unit_test(scheduler_keeps_a_whole_runtime),
        cmocka_unit_test(scheduler_sees_priority_deadline_and_queue),
        cmocka_unit_test(queue_is_inherited),
        cmocka_unit_test(yield_if_needed_lets_others_run),
        cmocka_unit_test(yield_if_needed_on_a_thread_does_nothing),
        cmocka_unit_test(yield_if_needed_tells_of_cancellation),
        cmocka_unit_test(scheduler_with_a_goal_has_timers_in_time),
        cmocka_unit_test(yield_if_needed_minds_shields_and_deadlines),
        cmocka_unit_test(yield_if_needed_without_end_is_for_the_budget),
        cmocka_unit_test(queue_is_not_charged_for_sleeps),
        cmocka_unit_test(scheduler_must_be_whole),
        cmocka_unit_test(shares_must_be_in_their_range),
        cmocka_unit_test(scheduler_that_miscounts_ends_the_process),
        cmocka_unit_test(scheduler_without_memory_starts_no_runtime),
#ifdef SKUA_FAULTS
        cmocka_unit_test(runtime_of_cores_without_memory),
        cmocka_unit_test(spawn_into_a_queue_without_memory),
#endif
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
