/* test_single_flight.c - the same work once: shared, failed, taken over, forgotten.
 *
 * Specifies single_flight.h. Time is a test's clock (test.h), but where threads take part.
 */
#include <pthread.h>

#include "../lib/part.h"

/* ---- work, and calls that ask for it --------------------------------------------------------- */

/* What a result looks like: large enough to be seen torn. */
struct answer {
    int number, again[7];
};

struct work {
    skua_single_flight flights;
    int64_t time;  /* it takes */
    int fails;     /* it fails with this */
    int runs, now; /* in all, at once */
};

struct call {
    struct work *work;
    const char *key;
    struct answer answer;
    skua_task *task;
    int rc, shared;
    bool led;
};

static int works(void *arg, void *out)
{
    struct call *call = arg;
    struct work *work = call->work;
    struct answer *answer = out;
    int rc, number = ++work->runs;

    call->led = true;
    work->now++;
    rc = work->time != 0 ? skua_sleep(work->time) : 0;
    work->now--;
    if (rc != 0)
        return rc;
    if (work->fails != 0)
        return work->fails;
    answer->number = number;
    for (int i = 0; i < 7; i++)
        answer->again[i] = number;
    return 40 + number;
}

static int asks(void *arg)
{
    struct call *call = arg;

    call->rc = skua_single_flight_do(&call->work->flights, call->key, strlen(call->key), works,
                                     call, &call->answer, sizeof call->answer, &call->shared);
    return 0;
}

static void begin(struct call *call, struct work *work, const char *key)
{
    *call = (struct call){.work = work, .key = key, .shared = 99};
    MUST(skua_spawn(NULL, asks, call, .task = &call->task) == 0);
    CHECK_EQ(skua_sleep(1), 0); /* it has begun */
}

static void check_call(struct call *call, int rc, int shared, bool led)
{
    CHECK_EQ(skua_task_join(call->task, NULL), 0);
    CHECK_EQ(call->rc, rc);
    CHECK_EQ(call->shared, shared);
    CHECK_EQ(call->led, led);
    CHECK_EQ(call->answer.number, rc >= 0 ? rc - 40 : 0);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(call->answer.again[i], call->answer.number);
}

/* ---- sharing --------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(flight_is_shared_by_those_who_come_meanwhile)
{
    struct work work = {.flights = SKUA_SINGLE_FLIGHT_INIT, .time = MS(10)};
    struct call calls[5];

    for (int i = 0; i < 4; i++)
        begin(&calls[i], &work, "a");
    begin(&calls[4], &work, "b");
    CHECK_EQ(work.now, 2);
    for (int i = 0; i < 4; i++)
        check_call(&calls[i], 41, 1, i == 0);
    check_call(&calls[4], 42, 0, true);
    begin(&calls[0], &work, "a"); /* nothing is kept */
    check_call(&calls[0], 43, 0, true);
    CHECK_EQ(work.runs, 3);
    return 0;
}

TEST_FIBER_CLOCK(flight_shares_its_failure)
{
    struct work work = {.time = MS(10), .fails = -EIO}; /* zeroed memory will do */
    struct call calls[3];

    for (int i = 0; i < 3; i++)
        begin(&calls[i], &work, "a");
    for (int i = 0; i < 3; i++)
        check_call(&calls[i], -EIO, 1, i == 0);
    return 0;
}

/* A failure that only looks like the leader's end is one like any other. */
TEST_FIBER_CLOCK(flight_shares_a_timeout_that_is_not_the_leaders)
{
    static const int errors[] = {-ETIMEDOUT, -ECANCELED};

    for (size_t i = 0; i < TEST_LEN(errors); i++) {
        struct work work = {.time = MS(10), .fails = errors[i]};
        struct call calls[2];

        begin(&calls[0], &work, "a");
        begin(&calls[1], &work, "a");
        check_call(&calls[0], errors[i], 1, true);
        check_call(&calls[1], errors[i], 1, false);
    }
    return 0;
}

static int no_answer(void *arg, void *out)
{
    (void)out;
    return (int)(intptr_t)arg;
}

TEST_WAITING(flight_may_have_no_result_and_no_key)
{
    skua_single_flight flights = SKUA_SINGLE_FLIGHT_INIT;
    int shared = 99;

    CHECK_EQ(skua_single_flight_do(&flights, NULL, 0, no_answer, (void *)5, NULL, 0, NULL), 5);
    CHECK_EQ(skua_single_flight_do(&flights, "x", 1, no_answer, (void *)6, NULL, 0, &shared), 6);
    CHECK_EQ(shared, 0);
    CHECK_EQ(skua_single_flight_forget(&flights, NULL, 0), 0);
}

/* Keys are bytes: with zeros in them, one the beginning of another, many at a time. */
TEST_FIBER_CLOCK(flight_keeps_keys_apart)
{
    static char keys[100][8];
    static struct call calls[100];
    struct work work = {.time = MS(10)};

    for (int i = 0; i < 100; i++) {
        memset(keys[i], 'k', 1 + (size_t)i % 7);
        if (i >= 7)
            keys[i][0] = (char)('0' + i / 7);
        begin(&calls[i], &work, keys[i]);
    }
    CHECK_EQ(work.now, 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(skua_task_join(calls[i].task, NULL), 0);
        CHECK_EQ(calls[i].shared, 0);
    }
    return 0;
}

/* ---- wrong use ------------------------------------------------------------------------------- */

static int asks_again(void *arg, void *out)
{
    struct call *call = arg;

    CHECK_EQ(skua_single_flight_do(&call->work->flights, "a", 1, works, call, out,
                                   sizeof call->answer, NULL),
             -EDEADLK);
    return skua_single_flight_do(&call->work->flights, "b", 1, works, call, out,
                                 sizeof call->answer, NULL);
}

TEST_WAITING(flight_does_not_wait_for_itself)
{
    struct work work = {.runs = 0};
    struct call call = {.work = &work};

    CHECK_EQ(skua_single_flight_do(&work.flights, "a", 1, asks_again, &call, &call.answer,
                                   sizeof call.answer, NULL),
             41);
}

struct polled {
    struct work *work;
};

static skua_poll polled(void *state, skua_waker *waker)
{
    struct polled *self = state;

    (void)waker;
    return skua_single_flight_do(&self->work->flights, "a", 1, no_answer, NULL, NULL, 0, NULL);
}

TEST_FIBER_CLOCK(flight_refuses_wrong_calls)
{
    struct work work = {.time = MS(10)};
    struct polled state = {&work};
    struct call call;
    int number;

    CHECK_EQ(test_run_poll(polled, &state, sizeof state), SKUA_EUSAGE);
    begin(&call, &work, "a");
    CHECK_EQ(
        skua_single_flight_do(&work.flights, "a", 1, no_answer, NULL, &number, sizeof number, NULL),
        -EINVAL);
    check_call(&call, 41, 0, true);
    return 0;
}

/* ---- leaving and taking over ----------------------------------------------------------------- */

TEST_FIBER_CLOCK(flight_goes_on_when_a_waiter_leaves)
{
    struct work work = {.time = MS(10)};
    struct call calls[3];

    for (int i = 0; i < 3; i++)
        begin(&calls[i], &work, "a");
    CHECK_EQ(skua_task_cancel(calls[1].task), 0);
    check_call(&calls[1], -ECANCELED, 99, false); /* and its memory is its own */
    memset(&calls[1], 0x55, sizeof calls[1]);
    check_call(&calls[0], 41, 1, true);
    check_call(&calls[2], 41, 1, false);
    for (size_t i = 0; i < sizeof calls[1]; i++)
        CHECK_EQ(((unsigned char *)&calls[1])[i], 0x55);
    begin(&calls[0], &work, "a");
    begin(&calls[1], &work, "a");
    CHECK_EQ(skua_task_cancel(calls[1].task), 0); /* the only one */
    check_call(&calls[1], -ECANCELED, 99, false);
    check_call(&calls[0], 42, 0, true);
    return 0;
}

TEST_FIBER_CLOCK(flight_is_taken_over_when_its_leader_is_cancelled)
{
    struct work work = {.time = MS(10)};
    struct call calls[5];
    int64_t start = skua_now();

    for (int i = 0; i < 4; i++)
        begin(&calls[i], &work, "a");
    CHECK_EQ(skua_sleep_until(start + MS(5)), 0);
    CHECK_EQ(skua_task_cancel(calls[0].task), 0);
    check_call(&calls[0], -ECANCELED, 0, true);
    CHECK_EQ(skua_sleep_until(start + MS(12)), 0);
    begin(&calls[4], &work, "a"); /* in the heir's line */
    CHECK_EQ(skua_task_cancel(calls[2].task), 0);
    check_call(&calls[2], -ECANCELED, 99, false); /* leaves a line that it did not join */
    check_call(&calls[1], 42, 1, true);
    CHECK_EQ(skua_now(), start + MS(15));
    check_call(&calls[3], 42, 1, false);
    check_call(&calls[4], 42, 1, false);
    CHECK_EQ(work.runs, 2);
    begin(&calls[0], &work, "a");
    CHECK_EQ(skua_task_cancel(calls[0].task), 0); /* nobody waits */
    check_call(&calls[0], -ECANCELED, 0, true);
    CHECK_EQ(skua_single_flight_forget(&work.flights, "a", 1), 0);
    return 0;
}

static int asks_in_a_hurry(void *arg)
{
    skua_deadline frame;

    MUST(skua_deadline_begin(&frame, skua_now() + MS(5)) == 0);
    (void)asks(arg);
    return skua_deadline_end(&frame);
}

TEST_FIBER_CLOCK(flight_is_taken_over_when_its_leader_is_out_of_time)
{
    struct work work = {.time = MS(10)};
    struct call calls[2];
    int64_t start = skua_now();

    calls[0] = (struct call){.work = &work, .key = "a", .shared = 99};
    MUST(skua_spawn(NULL, asks_in_a_hurry, &calls[0], .task = &calls[0].task) == 0);
    CHECK_EQ(skua_sleep(1), 0);
    begin(&calls[1], &work, "a");
    check_call(&calls[0], -ETIMEDOUT, 0, true);
    check_call(&calls[1], 42, 0, true);
    CHECK_EQ(skua_now(), start + MS(15));
    return 0;
}

static int asks_in_a_shield(void *arg)
{
    MUST(skua_shield_begin() == 0);
    (void)asks(arg);
    return skua_shield_end();
}

/* In a shield the leader's waits do not end with its task: what failed was the work. */
TEST_FIBER_CLOCK(flight_of_a_shielded_leader_is_not_taken_over)
{
    struct work work = {.time = MS(10), .fails = -ETIMEDOUT};
    struct call calls[2];

    calls[0] = (struct call){.work = &work, .key = "a", .shared = 99};
    MUST(skua_spawn(NULL, asks_in_a_shield, &calls[0], .task = &calls[0].task) == 0);
    CHECK_EQ(skua_sleep(1), 0);
    begin(&calls[1], &work, "a");
    CHECK_EQ(skua_task_cancel(calls[0].task), 0);
    check_call(&calls[0], -ETIMEDOUT, 1, true);
    check_call(&calls[1], -ETIMEDOUT, 1, false);
    CHECK_EQ(work.runs, 1);
    return 0;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(flight_is_forgotten_by_those_who_come_later)
{
    struct work work = {.time = MS(10)};
    struct call calls[5];

    begin(&calls[0], &work, "a");
    begin(&calls[1], &work, "a");
    CHECK_EQ(skua_single_flight_forget(&work.flights, "b", 1), 0);
    CHECK_EQ(skua_single_flight_forget(&work.flights, "a", 1), 1);
    CHECK_EQ(skua_single_flight_forget(&work.flights, "a", 1), 0);
    begin(&calls[2], &work, "a");
    begin(&calls[3], &work, "a");
    check_call(&calls[0], 41, 1, true);
    check_call(&calls[1], 41, 1, false);
    check_call(&calls[2], 42, 1, true);
    check_call(&calls[3], 42, 1, false);
    /* It stays so when it is taken over. */
    begin(&calls[0], &work, "a");
    begin(&calls[1], &work, "a");
    begin(&calls[2], &work, "a");
    CHECK_EQ(skua_single_flight_forget(&work.flights, "a", 1), 1);
    CHECK_EQ(skua_task_cancel(calls[0].task), 0);
    check_call(&calls[0], -ECANCELED, 0, true);
    begin(&calls[4], &work, "a");
    check_call(&calls[1], 44, 1, true);
    check_call(&calls[2], 44, 1, false);
    check_call(&calls[4], 45, 0, true);
    return 0;
}

/* ---- in any order, and on several workers and threads ---------------------------------------- */

static int asks_some(void *arg)
{
    struct call *call = arg;

    for (int i = 0; i < 3; i++) {
        call->key = skua_test_random() % 2 ? "a" : "b";
        call->answer = (struct answer){0};
        call->led = false;
        (void)asks(call);
        if (call->rc >= 0)
            CHECK_EQ(call->rc, 40 + call->answer.again[6]);
        else
            CHECK_EQ(call->rc, -ECANCELED);
        if (call->rc >= 0 && !call->led)
            CHECK_EQ(call->shared, 1);
        (void)skua_sleep(MS((int64_t)(skua_test_random() % 3)));
    }
    return 0;
}

static int flights_in_some_order(TEST_UNUSED void *arg)
{
    struct work work = {.time = MS((int64_t)(skua_test_random() % 4))};
    struct call calls[8];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 8; i++) {
        calls[i] = (struct call){.work = &work};
        MUST(skua_spawn(&scope, asks_some, &calls[i], .task = &calls[i].task) == 0);
    }
    for (int i = 0; i < 8; i++) {
        if (i % 2 == 0) {
            CHECK_EQ(skua_sleep(MS((int64_t)(skua_test_random() % 2))), 0);
            CHECK_RANGE(work.now, 0, 8);
            (void)skua_task_cancel(calls[i].task);
            if (skua_test_random() % 4 == 0)
                (void)skua_single_flight_forget(&work.flights, "a", 1);
        }
        skua_task_detach(calls[i].task);
    }
    (void)skua_scope_join(&scope);
    CHECK_EQ(work.now, 0);
    for (int i = 0; i < 16; i++)
        CHECK(work.flights.flights[i] == NULL);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(flights_in_a_thousand_orders)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), flights_in_some_order, NULL), 0);
}

struct crowd {
    skua_single_flight flights;
    int64_t end;
    atomic_int asked, led;
};

struct stamp {
    int64_t when[16];
};

static int stamps(void *arg, void *out)
{
    struct crowd *crowd = arg;
    struct stamp *stamp = out;
    int64_t now = skua_now();
    int rc;

    atomic_fetch_add(&crowd->led, 1);
    for (int i = 0; i < 16; i++)
        stamp->when[i] = now;
    rc = skua_yield();
    return rc != 0 ? rc : 7;
}

static int asks_for_stamps(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t random = 77 + (uint64_t)(uintptr_t)&random;

    while (skua_now() < crowd->end && skua_cancelled() == 0) {
        int64_t before = skua_now();
        struct stamp stamp = {{0}};
        skua_deadline frame;
        bool hurries = test_random(&random) % 3 == 0 && skua_task_current_id() != 0;
        int rc;

        if (hurries)
            MUST(skua_deadline_begin(&frame, before + 5000) == 0);
        rc = skua_single_flight_do(&crowd->flights, random % 4 ? "a" : "b", 1, stamps, crowd,
                                   &stamp, sizeof stamp, NULL);
        if (hurries)
            MUST(skua_deadline_end(&frame) == 0);
        atomic_fetch_add(&crowd->asked, 1);
        CHECK(rc == 7 || (hurries && rc == -ETIMEDOUT) || rc == -ECANCELED);
        for (int i = 1; rc == 7 && i < 16; i++)
            CHECK_EQ(stamp.when[i], stamp.when[0]);
        if (rc == 7)
            CHECK(stamp.when[0] != 0);
    }
    return 0;
}

static void *asks_on_a_thread(void *arg)
{
    (void)asks_for_stamps(arg);
    return NULL;
}

TEST(flights_of_workers_and_threads)
{
    skua_runtime *runtime =
        test_runtime(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false});
    struct crowd crowd = {.end = skua_now() + test_stress_time(1)};
    pthread_t threads[2];
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 8; i++)
        MUST(skua_spawn(&scope, asks_for_stamps, &crowd) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, asks_on_a_thread, &crowd) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 16; i++)
        CHECK(crowd.flights.flights[i] == NULL);
    test_note("%d asked, %d led", atomic_load(&crowd.asked), atomic_load(&crowd.led));
    test_runtime_free(runtime);
}

/* Leader and first heir are cancelled at one moment, on two workers: the next one flies. */
struct race {
    skua_single_flight flights;
    atomic_int led;
};

static int leads(void *arg, void *out)
{
    struct race *race = arg;

    (void)out;
    if (atomic_fetch_add(&race->led, 1) == 0)
        return test_fiber_forever(NULL);
    return skua_yield() == 0 ? 7 : -ECANCELED;
}

static int joins_the_flight(void *arg)
{
    struct race *race = arg;

    return skua_single_flight_do(&race->flights, "a", 1, leads, race, NULL, 0, NULL);
}

static int cancels_both(void *arg)
{
    int64_t end = *(int64_t *)arg;
    uint64_t random = 77;
    int rounds = 0;

    for (; skua_now() < end; rounds++) {
        struct race race = {.led = 0};
        skua_task *tasks[3];
        int result = 0;

        for (int i = 0; i < 3; i++) {
            MUST(skua_spawn(NULL, joins_the_flight, &race, .task = &tasks[i]) == 0);
            while (i == 0 && atomic_load(&race.led) == 0)
                CHECK_EQ(skua_yield(), 0);
        }
        for (uint64_t i = test_random(&random) % 8; i > 0; i--)
            CHECK_EQ(skua_yield(), 0);
        (void)skua_task_cancel(tasks[0]);
        for (volatile uint64_t i = test_random(&random) % 4096; i > 0; i--)
            continue;
        (void)skua_task_cancel(tasks[1]);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(skua_task_join(tasks[i], &result), 0);
        CHECK_EQ(result, 7);
    }
    test_note("%d rounds", rounds);
    return 0;
}

TEST(flight_finds_an_heir_whoever_leaves)
{
    skua_runtime *runtime =
        test_runtime(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false});
    int64_t end = skua_now() + test_stress_time(1) / 2;

    test_run(runtime, cancels_both, &end);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flight_is_shared_by_those_who_come_meanwhile),
        cmocka_unit_test(flight_shares_its_failure),
        cmocka_unit_test(flight_shares_a_timeout_that_is_not_the_leaders),
        TEST_WAITING_ENTRIES(flight_may_have_no_result_and_no_key),
        cmocka_unit_test(flight_keeps_keys_apart),
        TEST_WAITING_ENTRIES(flight_does_not_wait_for_itself),
        cmocka_unit_test(flight_refuses_wrong_calls),
        cmocka_unit_test(flight_goes_on_when_a_waiter_leaves),
        cmocka_unit_test(flight_is_taken_over_when_its_leader_is_cancelled),
        cmocka_unit_test(flight_is_taken_over_when_its_leader_is_out_of_time),
        cmocka_unit_test(flight_of_a_shielded_leader_is_not_taken_over),
        cmocka_unit_test(flight_is_forgotten_by_those_who_come_later),
        cmocka_unit_test(flights_in_a_thousand_orders),
        cmocka_unit_test(flight_finds_an_heir_whoever_leaves),
        cmocka_unit_test(flights_of_workers_and_threads),
    };

    return TEST_MAIN(tests);
}
