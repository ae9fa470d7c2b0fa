/* test_poll_task.c - stackless tasks: the SKUA_ASYNC macros and state machines by hand.
 *
 * Specifies future.h: SKUA_ASYNC, SKUA_AWAIT, SKUA_AWAIT_TO, SKUA_ASYNC_END, skua_future_poll and
 * the turn's budget; task.h: skua_spawn_poll. A poll task that is always ready starves nobody.
 */
#include "../lib/event.h"
#include "../lib/parked.h"

static int run_poll(skua_poll_fn fn, const void *state, size_t size)
{
    static const skua_site site = {"run_poll", __FILE__, "run_poll", __LINE__};
    skua_task *task = NULL;
    skua_spawn_options options = {.size = sizeof options, .task = &task};
    int result = 12345;

    MUST(skua_spawn_poll_at(&site, NULL, fn, state, size, &options) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- the macros ------------------------------------------------------------------------------ */

struct blink {
    skua_async async;
    int n, wanted;
    int64_t begin;
    skua_sleep_future sleep;
};

static skua_poll blink(void *state, skua_waker *waker)
{
    struct blink *self = state;

    SKUA_ASYNC(self, waker);
    self->begin = skua_now();
    for (self->n = 0; self->n < self->wanted; self->n++)
        SKUA_AWAIT(skua_sleep_init(&self->sleep, MS(1)));
    CHECK(skua_now() - self->begin >= self->wanted * MS(1));
    SKUA_ASYNC_END(self->n);
}

TEST_FIBER(poll_task_blinks)
{
    CHECK_EQ(run_poll(blink, &(struct blink){.wanted = 0}, sizeof(struct blink)), 0);
    CHECK_EQ(run_poll(blink, &(struct blink){.wanted = 10}, sizeof(struct blink)), 10);
    return 0;
}

struct two_waits {
    skua_async async;
    struct test_event *first, *second;
    struct test_event_wait wait;
    skua_poll answer;
};

static skua_poll waits_twice(void *state, skua_waker *waker)
{
    struct two_waits *self = state;

    SKUA_ASYNC(self, waker);
    if (self->first)
        SKUA_AWAIT(test_event_wait_init(&self->wait, self->first));
    else
        SKUA_AWAIT(test_event_wait_init(&self->wait, self->second));
    SKUA_AWAIT_TO(self->answer, test_event_wait_init(&self->wait, self->second));
    if (self->answer != 0)
        return self->answer;
    SKUA_ASYNC_END(SKUA_EEOF);
}

TEST_FIBER(poll_task_waits_in_branches)
{
    struct test_event one = TEST_EVENT_INIT, two = TEST_EVENT_INIT;
    struct two_waits state = {.first = &one, .second = &two};
    skua_task *task;
    int result = 0;

    MUST(skua_spawn_poll(NULL, waits_twice, &state, .task = &task) == 0);
    test_until_parked(task, NULL);
    test_event_nudge(&one);
    test_event_set(&one);
    test_until_parked(task, NULL);
    CHECK_EQ(test_event_waiters(&two), 1);
    test_event_nudge(&two);
    test_event_set(&two);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, SKUA_EEOF);
    state = (struct two_waits){.second = &two};
    CHECK_EQ(run_poll(waits_twice, &state, sizeof state), SKUA_EEOF);
    return 0;
}

struct joins {
    skua_async async;
    skua_task *task;
    skua_join_future join;
    skua_poll answer;
    int result;
};

static skua_poll joins_child(void *state, skua_waker *waker)
{
    struct joins *self = state;

    SKUA_ASYNC(self, waker);
    if (skua_spawn(NULL, test_fiber_return, (void *)21, .task = &self->task) != 0)
        return -EIO;
    SKUA_AWAIT_TO(self->answer, skua_join_init(&self->join, self->task, &self->result));
    CHECK_EQ(self->answer, 0);
    SKUA_ASYNC_END(self->result * 2);
}

TEST_FIBER(poll_task_spawns_and_joins)
{
    CHECK_EQ(run_poll(joins_child, &(struct joins){0}, sizeof(struct joins)), 42);
    return 0;
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct machine {
    enum { BEGIN, SLEEPING, DONE } step;
    const void *self;
    skua_sleep_future sleep;
};

static skua_poll steps(void *state, skua_waker *waker)
{
    struct machine *self = state;

    CHECK(self->step != DONE);
    if (self->step == BEGIN) {
        self->self = self;
        skua_sleep_init(&self->sleep, MS(2));
        self->step = SLEEPING;
    }
    CHECK(self->self == self); /* the state does not move */
    if (skua_future_poll(&self->sleep.future, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    self->step = DONE;
    return 6;
}

TEST_FIBER(poll_task_by_hand)
{
    CHECK_EQ(run_poll(steps, &(struct machine){.step = BEGIN}, sizeof(struct machine)), 6);
    return 0;
}

static skua_poll returns_big(void *state, skua_waker *waker)
{
    (void)waker;
    return *(int64_t *)state;
}

TEST_FIBER(poll_task_results_are_cut_to_an_int)
{
    static const int64_t results[] = {0, 5, -EIO, SKUA_ELIMIT, (INT64_C(1) << 40) + 5};

    for (size_t i = 0; i < TEST_LEN(results); i++)
        CHECK_EQ(run_poll(returns_big, &results[i], sizeof results[i]), (int)results[i]);
    return 0;
}

/* ---- the state's place ----------------------------------------------------------------------- */

struct aligned_state {
    _Alignas(64) char room[128];
};

/* The largest power of two that divides the size, 64 at most. */
static skua_poll tells_place(void *state, skua_waker *waker)
{
    (void)waker;
    return (skua_poll)((uintptr_t)state % 64);
}

TEST_FIBER(poll_task_states_are_aligned)
{
    static const unsigned char zeros[4032];

    for (size_t size = 1; size <= sizeof zeros; size += size < 300 ? 1 : 4) {
        size_t align = size & -size;
        int place = run_poll(tells_place, zeros, size);

        if (!CHECK((size_t)place % (align < 64 ? align : 64) == 0))
            test_note("size %zu at 64 n + %d", size, place);
    }
    CHECK_EQ(run_poll(tells_place, &(struct aligned_state){.room = ""}, 128), 0);
    CHECK_EQ(run_poll(tells_place, zeros, sizeof zeros), 0);
    return 0;
}

struct canary {
    skua_async async;
    size_t size;
    skua_sleep_future sleep;
    unsigned char bytes[];
};

static skua_poll keeps_bytes(void *state, skua_waker *waker)
{
    struct canary *self = state;

    SKUA_ASYNC(self, waker);
    memset(self->bytes, (int)self->size & 0xff, self->size);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, MS(5)));
    for (size_t i = 0; i < self->size; i++)
        if (self->bytes[i] != (self->size & 0xff))
            return -EIO;
    SKUA_ASYNC_END(0);
}

/* States of every size side by side: none runs over its neighbour. */
TEST_FIBER(poll_task_states_do_not_overlap)
{
    static const skua_site site = {"keeps_bytes", __FILE__, __func__, __LINE__};
    struct canary *state = calloc(1, 4032);
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < TEST_COUNT(2000); i++) {
        state->size = (size_t)(i * 37) % (4032 - sizeof *state);
        CHECK_EQ(skua_spawn_poll_at(&site, &scope, keeps_bytes, state, sizeof *state + state->size,
                                    NULL),
                 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    free(state);
    return 0;
}

/* ---- fairness -------------------------------------------------------------------------------- */

struct busy {
    skua_async async;
    atomic_int *stop;
    skua_sleep_future sleep;
};

/* Always ready: each wait is over before it begins. */
static skua_poll never_waits(void *state, skua_waker *waker)
{
    struct busy *self = state;

    SKUA_ASYNC(self, waker);
    while (!atomic_load(self->stop))
        SKUA_AWAIT(skua_sleep_init(&self->sleep, 0));
    SKUA_ASYNC_END(0);
}

/* Always woken: each turn wakes itself. */
static skua_poll wakes_itself(void *state, skua_waker *waker)
{
    struct busy *self = state;

    if (atomic_load(self->stop))
        return 0;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

/* The same two on a fiber. */
static int fiber_never_waits(void *arg)
{
    int rc = 0;

    while (!atomic_load((atomic_int *)arg) && rc == 0)
        rc = skua_sleep(0);
    return rc;
}

static int fiber_yields_on(void *arg)
{
    int rc = 0;

    while (!atomic_load((atomic_int *)arg) && rc == 0)
        rc = skua_yield();
    return rc;
}

static void check_not_starved(skua_scope *scope, atomic_int *stop)
{
    int64_t begin = skua_now();

    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + 4 * TEST_LATE); /* ten waits, or none ends */
    atomic_store(stop, 1);
    CHECK_EQ(skua_scope_join(scope), 0);
}

TEST_FIBER(poll_task_always_ready_starves_no_timer)
{
    atomic_int stop = 0;
    struct busy state = {.stop = &stop};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(skua_spawn_poll(&scope, never_waits, &state), 0);
    check_not_starved(&scope, &stop);
    return 0;
}

TEST_FIBER(poll_task_always_woken_starves_no_timer)
{
    atomic_int stop = 0;
    struct busy state = {.stop = &stop};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(skua_spawn_poll(&scope, wakes_itself, &state), 0);
    check_not_starved(&scope, &stop);
    return 0;
}

TEST_FIBER(poll_task_peers_on_fibers_starve_no_timer)
{
    atomic_int stop = 0;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(skua_spawn(&scope, i & 1 ? fiber_never_waits : fiber_yields_on, &stop), 0);
    check_not_starved(&scope, &stop);
    return 0;
}

/* Two that hand a wake to and fro use the LIFO slot: a third must get its turn. */
struct pong {
    atomic_int *stop;
    skua_waker **mine, **other;
    pthread_mutex_t *lock;
};

static skua_poll ping_pong(void *state, skua_waker *waker)
{
    struct pong *self = state;

    bool stops = atomic_load(self->stop); /* before the wake: the other sees it then, too */

    pthread_mutex_lock(self->lock);
    if (!*self->mine)
        *self->mine = skua_waker_ref(waker);
    if (*self->other)
        skua_waker_wake(*self->other);
    pthread_mutex_unlock(self->lock);
    return stops ? 0 : SKUA_PENDING;
}

TEST_FIBER(poll_task_ping_pong_starves_nobody)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    skua_waker *wakers[2] = {NULL, NULL};
    atomic_int stop = 0;
    struct pong a = {&stop, &wakers[0], &wakers[1], &lock};
    struct pong b = {&stop, &wakers[1], &wakers[0], &lock};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn_poll(&scope, ping_pong, &a), 0);
    CHECK_EQ(skua_spawn_poll(&scope, ping_pong, &b), 0);
    check_not_starved(&scope, &stop);
    skua_waker_unref(wakers[0]);
    skua_waker_unref(wakers[1]);
    return 0;
}

/* ---- what a poll task may not ---------------------------------------------------------------- */

static const skua_local_key refused_key = {"refused", NULL, NULL};

static skua_poll asks_for_too_much(void *state, skua_waker *waker)
{
    skua_scope scope;
    skua_deadline deadline;
    skua_local local;

    (void)state;
    (void)waker;
    memset(&deadline, 0, sizeof deadline);
    memset(&local, 0, sizeof local);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), SKUA_EUSAGE);
    CHECK_EQ(skua_shield_begin(), SKUA_EUSAGE);
    CHECK_EQ(skua_shield_end(), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_begin(&deadline, SKUA_FOREVER), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_end(&deadline), SKUA_EUSAGE);
    CHECK_EQ(skua_local_begin(&local, &refused_key, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_local_end(&local), SKUA_EUSAGE);
    CHECK_EQ(skua_thread_timers(), SKUA_EUSAGE);
    CHECK_EQ(skua_block_on(skua_runtime_current(), test_fiber_return, NULL, NULL), SKUA_EUSAGE);
    CHECK(skua_task_current_id() != 0);
    CHECK(strcmp(skua_task_current_name(), "run_poll") == 0);
    return 0;
}

TEST_FIBER(poll_task_is_no_fiber)
{
    CHECK_EQ(run_poll(asks_for_too_much, "", 1), 0);
    return 0;
}

TEST_FIBER(poll_task_many_sleep)
{
    int count = TEST_COUNT(20000);
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < count; i++)
        CHECK_EQ(skua_spawn_poll(&scope, blink, &(struct blink){.wanted = 3}), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poll_task_blinks),
        cmocka_unit_test(poll_task_waits_in_branches),
        cmocka_unit_test(poll_task_spawns_and_joins),
        cmocka_unit_test(poll_task_by_hand),
        cmocka_unit_test(poll_task_results_are_cut_to_an_int),
        cmocka_unit_test(poll_task_states_are_aligned),
        cmocka_unit_test(poll_task_states_do_not_overlap),
        cmocka_unit_test(poll_task_always_ready_starves_no_timer),
        cmocka_unit_test(poll_task_always_woken_starves_no_timer),
        cmocka_unit_test(poll_task_peers_on_fibers_starve_no_timer),
        cmocka_unit_test(poll_task_ping_pong_starves_nobody),
        cmocka_unit_test(poll_task_is_no_fiber),
        cmocka_unit_test(poll_task_many_sleep),
    };

    return TEST_MAIN(tests);
}
