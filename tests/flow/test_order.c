/* test_order.c - the dice of a test: seeds draw an order, find what depends on it, and repeat it;
 * and a test whose tasks all wait for each other ends.
 *
 * Specifies the order and the deadlocks of test.h. What a test tells on standard error is read in a
 * child process.
 */
#include <pthread.h>
#include <stdlib.h>

#include "child.h"
#include "event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- the order ------------------------------------------------------------------------------- */

enum { WALKERS = 6, STEPS = 5 };

static char trace[WALKERS * STEPS + 1];
static size_t trace_len;

static int walker(void *arg)
{
    for (int i = 0; i < STEPS; i++) {
        trace[trace_len++] = (char)('a' + (intptr_t)arg);
        if (i % 2 == 0)
            skua_yield();
        else
            skua_sleep(SKUA_SECOND * (int64_t)(skua_test_random() % 3));
    }
    return 0;
}

static int walk(TEST_UNUSED void *arg)
{
    skua_scope scope;

    trace_len = 0;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (intptr_t i = 0; i < WALKERS; i++)
        MUST(skua_spawn(&scope, walker, (void *)i) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(trace_len, WALKERS * STEPS);
    return 0;
}

TEST(order_is_the_same_for_the_same_seed)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        char first[sizeof trace];

        CHECK_EQ(skua_test_run(walk, NULL, SKUA_TEST_OPTIONS(.seed = seed)), 0);
        memcpy(first, trace, sizeof first);
        CHECK_EQ(skua_test_run(walk, NULL, SKUA_TEST_OPTIONS(.seed = seed)), 0);
        if (!CHECK(memcmp(first, trace, sizeof first) == 0))
            test_note("seed %d: %s, then %s", (int)seed, first, trace);
    }
}

TEST(order_differs_between_seeds)
{
    static char traces[100][sizeof trace];
    int same = 0;

    for (uint64_t seed = 0; seed < TEST_LEN(traces); seed++) {
        CHECK_EQ(skua_test_run(walk, NULL, SKUA_TEST_OPTIONS(.seed = seed)), 0);
        memcpy(traces[seed], trace, sizeof trace);
        for (uint64_t other = 0; other < seed; other++)
            same += memcmp(traces[other], trace, sizeof trace) == 0;
    }
    CHECK_EQ(same, 0);
}

static int three_steps(void *arg)
{
    for (int i = 0; i < 3; i++) {
        trace[trace_len++] = (char)('a' + (intptr_t)arg);
        skua_yield();
    }
    return 0;
}

static int three_walkers(TEST_UNUSED void *arg)
{
    trace_len = 0;
    for (intptr_t i = 0; i < 3; i++)
        MUST(skua_spawn(NULL, three_steps, (void *)i) == 0);
    return 0;
}

TEST(order_without_a_seed_is_first_in_first_out)
{
    CHECK_EQ(skua_test_run(three_walkers, NULL, NULL), 0);
    CHECK_EQ(trace_len, 9);
    CHECK(memcmp(trace, "abcabcabc", 9) == 0);
}

/* Each of the six orders of three tasks comes up, and none much more often than the others. */
TEST(order_draws_every_order)
{
    int seen[27] = {0};
    int orders = 0;

    test_limit(60); /* 600 runtimes */
    for (uint64_t seed = 1; seed <= 600; seed++) {
        CHECK_EQ(skua_test_run(three_walkers, NULL, SKUA_TEST_OPTIONS(.seed = seed)), 0);
        seen[(trace[0] - 'a') * 9 + (trace[1] - 'a') * 3 + (trace[2] - 'a')]++;
    }
    for (size_t i = 0; i < TEST_LEN(seen); i++) {
        orders += seen[i] != 0;
        if (seen[i] > 60)
            test_note("order %d: %d times of 600", (int)i, seen[i]);
        CHECK(seen[i] < 60);
    }
    CHECK(orders > 20); /* a task may also go twice in a row */
}

static int rank(void *arg)
{
    trace[trace_len++] = *(const char *)arg;
    return 0;
}

static int ranks(TEST_UNUSED void *arg)
{
    trace_len = 0;
    MUST(skua_spawn(NULL, rank, "l", .priority = SKUA_LOW) == 0);
    MUST(skua_spawn(NULL, rank, "n") == 0);
    MUST(skua_spawn(NULL, rank, "h", .priority = SKUA_HIGH) == 0);
    return 0;
}

TEST(order_keeps_priorities)
{
    for (uint64_t seed = 0; seed <= 20; seed++) {
        CHECK_EQ(skua_test_run(ranks, NULL, SKUA_TEST_OPTIONS(.seed = seed)), 0);
        CHECK(memcmp(trace, "hnl", 3) == 0);
    }
}

static int draw(void *arg)
{
    *(uint64_t *)arg = skua_test_random() ^ skua_test_random() << 1;
    return 0;
}

TEST(order_random_numbers_come_from_the_seed)
{
    uint64_t numbers[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_test_run(draw, &numbers[i], SKUA_TEST_OPTIONS(.seed = (uint64_t)i / 2)), 0);
    CHECK(numbers[0] == numbers[1]);
    CHECK(numbers[2] == numbers[3]);
    CHECK(numbers[0] != numbers[2]);
}

/* ---- exploring ------------------------------------------------------------------------------- */

static int counter;
static int explored;

/* Reads, lets others run, writes: an update is lost when another one comes in between. */
static int add_one(void *arg)
{
    int before = counter;

    if (arg != NULL)
        skua_yield();
    counter = before + 1;
    return 0;
}

/* Fails only in orders where the second one is between the halves of the first one. */
static int lost_update(TEST_UNUSED void *arg)
{
    skua_scope scope;

    counter = 0;
    explored++;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, add_one, NULL) == 0);
    MUST(skua_spawn(&scope, add_one, &counter) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return counter == 2 ? 0 : -EIO;
}

TEST(order_explore_finds_a_lost_update)
{
    int first;

    CHECK_EQ(skua_test_run(lost_update, NULL, NULL), 0); /* not in the usual order */
    explored = 0;
    CHECK_EQ(skua_test_explore(200, lost_update, NULL), -EIO);
    first = explored;
    CHECK_RANGE(first, 1, 100);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_test_run(lost_update, NULL, SKUA_TEST_OPTIONS(.seed = (uint64_t)first)),
                 -EIO);
    if (first > 1)
        CHECK_EQ(skua_test_explore((unsigned)first - 1, lost_update, NULL), 0);
    explored = 0;
    CHECK_EQ(skua_test_explore(7, walk, NULL), 0);
    CHECK_EQ(explored, 0);
}

static int add_many(TEST_UNUSED void *arg)
{
    for (int i = 0; i < 100; i++) {
        int before = counter;

        CHECK_EQ(skua_sleep(0), 0); /* ready at once: in production the turn goes on, mostly */
        counter = before + 1;
    }
    return 0;
}

static int add_at_ready_waits(TEST_UNUSED void *arg)
{
    skua_scope scope;

    counter = 0;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, add_many, NULL) == 0);
    MUST(skua_spawn(&scope, add_one, NULL) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return counter == 101 ? 0 : -EIO;
}

TEST(order_seeds_end_turns_at_ready_waits)
{
    CHECK_EQ(skua_test_run(add_at_ready_waits, NULL, NULL), 0);
    CHECK_EQ(skua_test_explore(50, add_at_ready_waits, NULL), -EIO);
}

/* ---- deadlocks ------------------------------------------------------------------------------- */

static int lock_both(void *arg)
{
    skua_mutex **mutexes = arg;
    int rc = skua_mutex_lock(mutexes[0]);

    skua_yield();
    rc = rc == 0 ? skua_mutex_lock(mutexes[1]) : rc;
    if (rc == 0)
        skua_mutex_unlock(mutexes[1]);
    skua_mutex_unlock(mutexes[0]);
    return rc;
}

static int lock_crosswise(TEST_UNUSED void *arg)
{
    skua_mutex mutex[2] = {SKUA_MUTEX_INIT, SKUA_MUTEX_INIT};
    skua_mutex *here[] = {&mutex[0], &mutex[1]};
    skua_mutex *there[] = {&mutex[1], &mutex[0]};
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_FAIL_FAST) == 0);
    MUST(skua_spawn(&scope, lock_both, here, .name = "left") == 0);
    MUST(skua_spawn(&scope, lock_both, there, .name = "right") == 0);
    return skua_scope_join(&scope);
}

static int wait_paused(TEST_UNUSED void *arg)
{
    return skua_sleep(SKUA_SECOND);
}

static int clean_up_in_peace(void *arg)
{
    (void)test_fiber_forever(NULL);
    skua_shield_begin();
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    skua_shield_end();
    *(bool *)arg = true;
    return 0;
}

static const skua_test_options *impatient(void)
{
    static const skua_test_options options = {.size = sizeof options, .patience = MS(5)};

    return &options;
}

TEST(order_deadlock_is_told_and_ends)
{
    bool cleaned = false;

    CHECK_EQ(skua_test_run(lock_crosswise, NULL, impatient()), -EDEADLK);
    CHECK_EQ(skua_test_run(test_fiber_forever, NULL, impatient()), -EDEADLK);
    CHECK_EQ(skua_test_run(clean_up_in_peace, &cleaned, impatient()), -EDEADLK);
    CHECK(cleaned);
    CHECK_EQ(skua_test_run(wait_paused, NULL, SKUA_TEST_OPTIONS(.paused = 1, .patience = MS(5))),
             -EDEADLK);
    CHECK_EQ(skua_test_explore(50, lock_crosswise, NULL), -EDEADLK); /* some order of them does */
}

static int wait_shielded(void *arg)
{
    skua_shield_begin();
    (void)test_event_wait(arg);
    skua_shield_end();
    return 0;
}

static int wait_in_root(void *arg)
{
    MUST(skua_spawn_on(skua_runtime_current(), wait_shielded, arg, .name = "stubborn") == 0);
    return skua_test_advance(0);
}

static int child_main(const char *mode)
{
    static struct test_event never = TEST_EVENT_INIT;
    int rc = 0;

    if (strcmp(mode, "crosswise") == 0)
        rc = skua_test_run(lock_crosswise, NULL, impatient());
    else if (strcmp(mode, "explore") == 0)
        rc = skua_test_explore(200, lost_update, NULL);
    else if (strcmp(mode, "stuck") == 0)
        rc = skua_test_run(wait_shielded, &never, impatient());
    else if (strcmp(mode, "left") == 0)
        rc = skua_test_run(wait_in_root, &never, impatient());
    printf("%s after %d\n", skua_error_name(rc), explored);
    fflush(stdout);
    _Exit(0); /* what is stuck is not freed: no leak to look for */
}

static bool says(const struct test_child *child, const char *words)
{
    bool said = strstr(child->text, words) != NULL;

    if (!said)
        test_note("\"%s\" is not in:\n%s", words, child->text);
    return said;
}

static void run_child(struct test_child *child, const char *mode, const char *env)
{
    CHECK_EQ(test_child_run(child, mode, env), 0);
}

TEST(order_deadlock_names_who_waits)
{
    static struct test_child child;

    run_child(&child, "crosswise", NULL);
    CHECK(says(&child, "deadlock: every task waits"));
    CHECK(says(&child, "'left' ("));
    CHECK(says(&child, "'right' ("));
    CHECK(says(&child, "waits for mutex"));
    CHECK(says(&child, "EDEADLK after 0"));
}

TEST(order_tasks_that_never_end_are_left)
{
    static struct test_child child;

    run_child(&child, "stuck", NULL);
    CHECK(says(&child, "still wait"));
    CHECK(says(&child, "EDEADLK after 0"));
    run_child(&child, "left", NULL);
    CHECK(says(&child, "'stubborn'"));
    CHECK(says(&child, "ETIMEDOUT after 0"));
}

TEST(order_failing_seed_is_told_and_repeats)
{
    static struct test_child child;
    const char *at;
    char env[64];

    run_child(&child, "explore", NULL);
    CHECK(says(&child, "EIO after"));
    at = strstr(child.text, "SKUA_TEST_SEED=");
    MUST(at != NULL);
    snprintf(env, sizeof env, "%.*s", (int)strcspn(at, " \n"), at);
    run_child(&child, "explore", env);
    CHECK(says(&child, "EIO after 1\n"));
    CHECK(says(&child, env));
    run_child(&child, "explore", "SKUA_TEST_SEED=0");
    CHECK(says(&child, "OK after 1\n"));
    run_child(&child, "explore", "SKUA_TEST_SEED=five");
    CHECK(says(&child, "EINVAL after 0\n"));
}

static void *set_later(void *arg)
{
    test_thread_sleep(MS(30));
    test_event_set(arg);
    return NULL;
}

static int wait_for_event(void *arg)
{
    return test_event_wait(arg);
}

/* A wake from another thread is no deadlock, as long as patience lasts. */
TEST(order_waits_for_other_threads)
{
    struct test_event event;
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        test_event_init(&event);
        MUST(pthread_create(&thread, NULL, set_later, &event) == 0);
        CHECK_EQ(skua_test_run(wait_for_event, &event,
                               SKUA_TEST_OPTIONS(.patience = i == 0 ? SKUA_FOREVER : SKUA_MINUTE)),
                 0);
        pthread_join(thread, NULL);
    }
}

/* ---- the end of a test, and misuse ----------------------------------------------------------- */

static int slow_end(void *arg)
{
    (void)test_fiber_forever(NULL);
    skua_shield_begin();
    CHECK_EQ(skua_sleep(9 * SKUA_SECOND), 0);
    skua_shield_end();
    ++*(int *)arg;
    return 0;
}

static int leave_some(void *arg)
{
    MUST(skua_spawn_on(skua_runtime_current(), slow_end, arg) == 0);
    MUST(skua_spawn(NULL, slow_end, arg) == 0);
    skua_test_pause();
    CHECK_EQ(skua_test_advance(SKUA_SECOND), 0);
    skua_test_resume();
    return -EIO;
}

TEST(order_what_is_left_ends_in_its_time)
{
    int ended = 0;

    CHECK_EQ(skua_test_run(leave_some, &ended, NULL), -EIO);
    CHECK_EQ(ended, 2);
}

static int misuse_inside(TEST_UNUSED void *arg)
{
    CHECK_EQ(skua_test_run(test_fiber_return, NULL, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_test_advance(-1), -EINVAL);
    return 0;
}

TEST_FIBER(order_misuse_in_another_runtime)
{
    CHECK_EQ(skua_test_pause(), SKUA_EUSAGE);
    CHECK_EQ(skua_test_resume(), SKUA_EUSAGE);
    CHECK_EQ(skua_test_advance(1), SKUA_EUSAGE);
    CHECK_EQ(skua_test_random(), 0);
    CHECK_EQ(skua_test_run(test_fiber_return, NULL, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_test_explore(1, test_fiber_return, NULL), SKUA_EUSAGE);
    return 0;
}

TEST(order_misuse)
{
    skua_test_options options;

    CHECK_EQ(skua_test_pause(), SKUA_EUSAGE);
    CHECK_EQ(skua_test_advance(1), SKUA_EUSAGE);
    CHECK_EQ(skua_test_run(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_test_run(misuse_inside, NULL, NULL), 0);
    skua_test_options_init(&options);
    CHECK_EQ(skua_test_run(test_fiber_return, (void *)3, &options), 3);
    options.start = -1;
    CHECK_EQ(skua_test_run(test_fiber_return, NULL, &options), -EINVAL);
    skua_test_options_init(&options);
    options.patience = -1;
    CHECK_EQ(skua_test_run(test_fiber_return, NULL, &options), -EINVAL);
    options.size = 1;
    CHECK_EQ(skua_test_run(test_fiber_return, NULL, &options), -EINVAL);
    CHECK_EQ(skua_test_run(test_fiber_return, NULL,
                           SKUA_TEST_OPTIONS(.runtime = SKUA_RUNTIME_OPTIONS(.stack_size = 1))),
             -EINVAL);
    CHECK_EQ(skua_test_run(test_fiber_return, (void *)3,
                           SKUA_TEST_OPTIONS(.runtime = SKUA_RUNTIME_OPTIONS(.workers = 4))),
             3);
}

#ifdef SKUA_FAULTS
TEST(order_without_memory)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_MMAP};

    for (size_t i = 0; i < TEST_LEN(kinds); i++) {
        unsigned nth = 0;
        int rc = -ENOMEM;

        while (rc == -ENOMEM && ++nth < 100) {
            skua__fault_arm(kinds[i], nth, 1, ENOMEM);
            rc = skua_test_run(test_fiber_return, (void *)3, NULL);
            skua__fault_arm(kinds[i], 0, 0, 0);
        }
        CHECK_EQ(rc, 3);
        CHECK_RANGE(nth, 2, 99);
    }
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_the_same_for_the_same_seed),
        cmocka_unit_test(order_differs_between_seeds),
        cmocka_unit_test(order_without_a_seed_is_first_in_first_out),
        cmocka_unit_test(order_draws_every_order),
        cmocka_unit_test(order_keeps_priorities),
        cmocka_unit_test(order_random_numbers_come_from_the_seed),
        cmocka_unit_test(order_explore_finds_a_lost_update),
        cmocka_unit_test(order_seeds_end_turns_at_ready_waits),
        cmocka_unit_test(order_deadlock_is_told_and_ends),
        cmocka_unit_test(order_deadlock_names_who_waits),
        cmocka_unit_test(order_tasks_that_never_end_are_left),
        cmocka_unit_test(order_failing_seed_is_told_and_repeats),
        cmocka_unit_test(order_waits_for_other_threads),
        cmocka_unit_test(order_what_is_left_ends_in_its_time),
        cmocka_unit_test(order_misuse_in_another_runtime),
        cmocka_unit_test(order_misuse),
#ifdef SKUA_FAULTS
        cmocka_unit_test(order_without_memory),
#endif
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
