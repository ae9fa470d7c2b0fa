/* test_shares.c - whose turn it is by shares and goals of latency, on a clock of the test's.
 *
 * Specifies the scheduler of shares (scheduler.h). The scheduler is asked as a worker asks it, but
 * each turn takes what the test says.
 */
#include "../lib/harness.h"
#include "sched/sched_impl.h"

#define TURN SKUA_MILLISECOND
enum { QUEUES = 3, TASKS = 4 };

static skua_task_queue queues[QUEUES];
static skua_shares shares;
static void *state;
static int64_t now;
static char *arena;
static struct skua__context contexts[QUEUES];
static int64_t ran[QUEUES];     /* ns */
static int64_t longest[QUEUES]; /* ns that a task waited */
static int64_t pushed_at[QUEUES][TASKS];

/* Tasks that are nothing but what a scheduler may look at, at places where cells may be. */
static skua_task *task_at(int queue, int i)
{
    return (skua_task *)(void *)(arena + (size_t)(1 + queue * TASKS + i) * SKUA__CACHE_LINE);
}

static void begin(const skua_task_queue *given)
{
    arena = skua__os_alloc_aligned(4096, 4096);
    MUST(arena != NULL);
    memcpy(queues, given, sizeof queues);
    MUST(skua_shares_init(&shares, queues, QUEUES) == 0);
    state = shares.scheduler.open(0, shares.scheduler.arg);
    MUST(state != NULL);
    now = SKUA_HOUR;
    memset(ran, 0, sizeof ran);
    memset(longest, 0, sizeof longest);
    for (int q = 0; q < QUEUES; q++) {
        contexts[q] = (struct skua__context){.queue = &queues[q]};
        for (int i = 0; i < TASKS; i++)
            task_at(q, i)->context = &contexts[q];
    }
}

static void end(void)
{
    shares.scheduler.close(state);
    skua__os_free(arena);
}

static void push(int queue, int i)
{
    task_at(queue, i)->next = 0;
    pushed_at[queue][i] = now;
    shares.scheduler.push(state, task_at(queue, i));
}

/* One turn of `ns`: whose it was; -1: nobody's. The task goes behind the others, if it `stays`. */
static int turn(int64_t ns, bool stays)
{
    skua_task *task = skua__shares_pop_at(state, now);
    int index;
    int queue;
    int64_t waited;

    if (task == NULL)
        return -1;
    index = (int)(((char *)task - arena) / SKUA__CACHE_LINE) - 1;
    queue = index / TASKS;
    waited = now - pushed_at[queue][index % TASKS];
    longest[queue] = waited > longest[queue] ? waited : longest[queue];
    now += ns;
    ran[queue] += ns;
    if (stays)
        push(queue, index % TASKS);
    return queue;
}

static void run(int64_t ns, int64_t each)
{
    for (int64_t until = now + ns; now < until;)
        MUST(turn(each, true) >= 0);
}

/* ---- shares ---------------------------------------------------------------------------------- */

TEST(time_goes_by_shares)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 200}, {.shares = 700}});
    for (int q = 0; q < QUEUES; q++)
        for (int i = 0; i <= q; i++) /* how many tasks there are does not matter */
            push(q, i);
    run(10 * SKUA_SECOND, TURN);
    CHECK_RANGE(ran[0], MS(990), MS(1010));
    CHECK_RANGE(ran[1], MS(1990), MS(2010));
    CHECK_RANGE(ran[2], MS(6990), MS(7010));
    end();
}

/* It is time that is shared, not turns. */
TEST(long_turns_cost_what_they_take)
{
    begin((skua_task_queue[]){{.shares = 500}, {.shares = 500}, {.shares = 1}});
    push(0, 0);
    push(1, 0);
    for (int i = 0; i < 100000; i++) {
        int queue = turn(0, true);

        now += queue == 0 ? MS(9) : MS(1);
        ran[queue] += queue == 0 ? MS(9) : MS(1);
    }
    CHECK_RANGE(ran[0] * 100 / (ran[0] + ran[1]), 49, 51);
    end();
}

TEST(no_shares_are_a_hundred)
{
    begin((skua_task_queue[]){{.shares = 0}, {.shares = 100}, {.shares = 300}});
    for (int q = 0; q < QUEUES; q++)
        push(q, 0);
    run(5 * SKUA_SECOND, TURN);
    CHECK_RANGE(ran[0], MS(990), MS(1010));
    CHECK_RANGE(ran[1], MS(990), MS(1010));
    end();
}

TEST(shares_change_while_it_runs)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 100}, {.shares = 1}});
    push(0, 0);
    push(1, 0);
    run(SKUA_SECOND, TURN);
    CHECK_RANGE(ran[0], MS(490), MS(510));
    CHECK_EQ(skua_task_queue_set_shares(&queues[0], 900), 0);
    run(SKUA_SECOND, TURN);
    CHECK_RANGE(ran[0], MS(1390), MS(1410));
    end();
}

/* One of 1 share beside two of 1,000: it gets its turn in 2,001. */
TEST(nobody_starves)
{
    begin((skua_task_queue[]){{.shares = 1000}, {.shares = 1000}, {.shares = 1}});
    for (int q = 0; q < QUEUES; q++)
        push(q, 0);
    run(10 * SKUA_SECOND, TURN);
    CHECK_RANGE(ran[2], MS(4), MS(6));
    CHECK_RANGE(longest[2], MS(1000), MS(2500));
    end();
}

/* ---- idle ------------------------------------------------------------------------------------ */

/* A queue that had nothing to do for a second has no claim to that second. */
TEST(who_was_idle_does_not_catch_up)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 100}, {.shares = 100}});
    push(0, 0);
    run(SKUA_SECOND, TURN);
    push(1, 0);
    run(MS(100), TURN);
    CHECK_RANGE(ran[1], MS(48), MS(52));
    end();
}

/* Nor does it lose what it had to wait for. */
TEST(who_used_much_waits_for_its_turn_only)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 100}, {.shares = 100}});
    push(0, 0);
    CHECK_EQ(turn(MS(1), true), 0);
    push(1, 0);
    CHECK_EQ(turn(MS(500), true), 1);
    CHECK_EQ(turn(MS(1), true), 0);
    run(SKUA_SECOND - MS(501), TURN);
    CHECK_RANGE(ran[0], MS(495), MS(503));
    end();
}

TEST(empty_has_no_turns)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 100}, {.shares = 100}});
    CHECK_EQ(turn(TURN, true), -1);
    push(2, 1);
    push(2, 0);
    CHECK_EQ(turn(TURN, false), 2);
    CHECK_EQ(turn(TURN, false), 2);
    CHECK_EQ(turn(TURN, false), -1);
    now += SKUA_SECOND; /* idle: nobody's time */
    push(2, 1);
    CHECK_EQ(turn(TURN, false), 2);
    CHECK_EQ(turn(TURN, false), -1);
    CHECK_EQ(queues[2].turns, 3);
    CHECK_EQ(queues[2].ran_ns, 3 * TURN);
    end();
}

/* Within a queue: first in, first out. */
TEST(tasks_of_a_queue_are_in_order)
{
    begin((skua_task_queue[]){{.shares = 100}, {.shares = 100}, {.shares = 100}});
    for (int i = 0; i < TASKS; i++)
        push(1, i);
    for (int i = 0; i < 3 * TASKS; i++) {
        skua_task *task = skua__shares_pop_at(state, now);

        CHECK(task == task_at(1, i % TASKS));
        now += TURN;
        push(1, i % TASKS);
    }
    end();
}

/* ---- latency --------------------------------------------------------------------------------- */

/* The smallest goal is one, too. */
TEST(latency_goal_of_a_nanosecond)
{
    begin((skua_task_queue[]){{.latency = 1}, {.latency = SKUA_FOREVER}, {.shares = 100}});
    CHECK_EQ(shares.scheduler.latency, 1);
    for (int q = 0; q < QUEUES; q++)
        push(q, 0);
    run(MS(100), TURN);
    CHECK_RANGE(ran[0], MS(49), MS(70));
    CHECK_RANGE(ran[1], MS(10), MS(30));
    end();
}

/* Half of the goal is how long it waits, from when it came; idle time before is none. */
TEST(latency_counts_from_when_a_task_came)
{
    begin((skua_task_queue[]){{.shares = 1, .latency = MS(10)}, {.shares = 500}, {.shares = 500}});
    push(0, 0);
    CHECK_EQ(turn(TURN, false), 0); /* its share is used up for a second */
    CHECK_EQ(turn(TURN, false), -1);
    now += SKUA_SECOND;
    push(0, 0); /* while nobody runs */
    push(1, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(turn(TURN, true), 1);
    CHECK_EQ(turn(TURN, false), 0);
    CHECK_EQ(turn(MS(3), true), 1);
    push(0, 0); /* in the middle of that turn: it counts from its beginning */
    CHECK_EQ(turn(MS(2), true), 1);
    CHECK_EQ(turn(TURN, true), 0);
    end();
}

/* A turn of its own is no wait: what comes to an empty queue by then begins to wait at its end. */
TEST(latency_does_not_count_ones_own_turn)
{
    begin((skua_task_queue[]){{.shares = 1, .latency = MS(100)}, {.shares = 500}, {.shares = 500}});
    push(0, 0);
    push(1, 0);
    for (int64_t until = now + 10 * SKUA_SECOND; now < until;) {
        int queue = turn(TURN, false);

        now += queue == 0 ? MS(59) : 0;
        ran[queue] += queue == 0 ? MS(59) : 0;
        push(queue, 0);
    }
    CHECK_RANGE(ran[0], MS(5300), MS(5600)); /* 60 ms, after 50 of the other's */
    end();
}

/* Of several in one queue each has waited since it was the first. */
TEST(latency_counts_for_the_first_of_a_queue)
{
    begin((skua_task_queue[]){{.shares = 1, .latency = MS(10)}, {.shares = 500}, {.shares = 500}});
    push(0, 0);
    push(0, 1);
    push(1, 0);
    run(MS(100), TURN);
    CHECK_RANGE(ran[0], MS(15), MS(21));
    end();
}

/* 50 of 10 ms is later than 50 of 100 ms. */
TEST(latest_is_who_is_so_for_its_goal)
{
    begin((skua_task_queue[]){
        {.shares = 1, .latency = MS(100)}, {.shares = 1, .latency = MS(10)}, {.shares = 1000}});
    for (int q = 0; q < 2; q++) {
        push(q, 0);
        CHECK_EQ(turn(TURN, false), q);
    }
    push(2, 0);
    CHECK_EQ(turn(MS(50), true), 2);
    push(0, 0);
    push(1, 0);
    CHECK_EQ(turn(TURN, true), 1);
    CHECK_EQ(turn(TURN, true), 2); /* never twice in a row */
    CHECK_EQ(turn(TURN, true), 0);
    end();
}

/* What goes for its latency, far ahead of its share, is no measure for who comes. */
TEST(who_comes_after_a_hurry_has_its_share)
{
    begin((skua_task_queue[]){{.shares = 1, .latency = MS(10)}, {.shares = 500}, {.shares = 500}});
    push(0, 0);
    push(1, 0);
    run(MS(100), TURN);
    while (turn(TURN, true) != 0)
        continue;
    push(2, 0);
    run(MS(50), TURN);
    CHECK_RANGE(ran[2], MS(20), MS(30));
    end();
}

/* A little work now and then beside floods: it never waits for longer than its goal, if turns are
 * no longer than half of that. */
TEST(latency_goal_is_kept)
{
    begin((skua_task_queue[]){{.shares = 10, .latency = MS(10)}, {.shares = 500}, {.shares = 500}});
    push(1, 0);
    push(2, 0);
    for (int i = 0; i < 1000; i++) {
        int queue = turn(MS(i % 5), false);

        CHECK(queue != 0);
        push(0, 0); /* in the middle of that turn */
        now += MS(5 - i % 5);
        push(queue, 0);
        while ((queue = turn(MS(5), false)) != 0)
            push(queue, 0);
        run(MS(20), TURN);
    }
    CHECK_RANGE(longest[0], MS(5), MS(10));
    end();
}

/* Without a goal it waits for its share. */
TEST(without_a_goal_it_waits)
{
    begin((skua_task_queue[]){{.shares = 10}, {.shares = 500}, {.shares = 500}});
    for (int q = 0; q < QUEUES; q++)
        push(q, 0);
    run(10 * SKUA_SECOND, TURN);
    CHECK(longest[0] > MS(50));
    end();
}

/* A queue that always has work and a goal that cannot be kept takes every other turn at most. */
TEST(latency_goal_does_not_starve_the_others)
{
    begin((skua_task_queue[]){
        {.shares = 1, .latency = SKUA_MICROSECOND}, {.shares = 500}, {.shares = 500}});
    for (int q = 0; q < QUEUES; q++)
        push(q, 0);
    run(SKUA_SECOND, TURN);
    CHECK_RANGE(ran[0], MS(490), MS(510));
    CHECK_RANGE(ran[1], MS(240), MS(260));
    CHECK_RANGE(ran[2], MS(240), MS(260));
    end();
}

/* Of two that are late the one goes first whose goal is the narrower. */
TEST(latest_goes_first)
{
    begin((skua_task_queue[]){
        {.shares = 1}, {.shares = 1, .latency = MS(100)}, {.shares = 1, .latency = MS(10)}});
    push(0, 0);
    CHECK_EQ(turn(TURN, true), 0);
    push(1, 0);
    push(2, 0);
    CHECK_EQ(turn(MS(90), true), 1); /* by its clock: none is late yet */
    CHECK_EQ(turn(TURN, true), 2);
    end();
}

TEST(scheduler_hands_on_its_narrowest_goal)
{
    begin((skua_task_queue[]){{.latency = MS(10)}, {.shares = 1}, {.latency = MS(4)}});
    CHECK_EQ(shares.scheduler.latency, MS(2));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_by_shares),
        cmocka_unit_test(long_turns_cost_what_they_take),
        cmocka_unit_test(no_shares_are_a_hundred),
        cmocka_unit_test(shares_change_while_it_runs),
        cmocka_unit_test(nobody_starves),
        cmocka_unit_test(who_was_idle_does_not_catch_up),
        cmocka_unit_test(who_used_much_waits_for_its_turn_only),
        cmocka_unit_test(empty_has_no_turns),
        cmocka_unit_test(tasks_of_a_queue_are_in_order),
        cmocka_unit_test(latency_goal_of_a_nanosecond),
        cmocka_unit_test(latency_counts_from_when_a_task_came),
        cmocka_unit_test(latency_does_not_count_ones_own_turn),
        cmocka_unit_test(latency_counts_for_the_first_of_a_queue),
        cmocka_unit_test(latest_is_who_is_so_for_its_goal),
        cmocka_unit_test(who_comes_after_a_hurry_has_its_share),
        cmocka_unit_test(latency_goal_is_kept),
        cmocka_unit_test(without_a_goal_it_waits),
        cmocka_unit_test(latency_goal_does_not_starve_the_others),
        cmocka_unit_test(latest_goes_first),
        cmocka_unit_test(scheduler_hands_on_its_narrowest_goal),
    };

    return TEST_MAIN(tests);
}
