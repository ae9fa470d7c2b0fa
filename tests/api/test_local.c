/* test_local.c - task-locals: who sees a value, how long it lives, in which order frames end.
 *
 * Specifies task.h: skua_local_begin, _end, _get. A value is seen by the fiber that bound it and by
 * every task spawned under the binding; references on it balance when the last of them has ended.
 */
#include <pthread.h>

#include "../lib/event.h"

struct counted {
    atomic_int refs, unrefs;
    int number;
};

static void counted_ref(void *value)
{
    atomic_fetch_add(&((struct counted *)value)->refs, 1);
}

static void counted_unref(void *value)
{
    struct counted *self = value;

    CHECK(atomic_fetch_add(&self->unrefs, 1) < atomic_load(&self->refs));
}

static const skua_local_key request_key = {"request", counted_ref, counted_unref};
static const skua_local_key user_key = {"user", NULL, NULL};
static const skua_local_key unbound_key = {"unbound", counted_ref, counted_unref};

static int living(struct counted *self)
{
    return atomic_load(&self->refs) - atomic_load(&self->unrefs);
}

/* ---- seeing ---------------------------------------------------------------------------------- */

TEST_FIBER(local_shadows_and_returns)
{
    struct counted outer = {.number = 1}, inner = {.number = 2};
    skua_local a, b, c;

    CHECK(skua_local_get(&request_key) == NULL);
    CHECK_EQ(skua_local_begin(&a, &request_key, &outer), 0);
    CHECK(skua_local_get(&request_key) == &outer);
    CHECK_EQ(skua_local_begin(&b, &user_key, "ada"), 0);
    CHECK(skua_local_get(&request_key) == &outer);
    CHECK_EQ(skua_local_begin(&c, &request_key, &inner), 0);
    CHECK(skua_local_get(&request_key) == &inner);
    CHECK(strcmp(skua_local_get(&user_key), "ada") == 0);
    CHECK(skua_local_get(&unbound_key) == NULL);
    CHECK_EQ(skua_local_end(&c), 0);
    CHECK(skua_local_get(&request_key) == &outer);
    CHECK_EQ(skua_local_end(&b), 0);
    CHECK(skua_local_get(&user_key) == NULL);
    CHECK_EQ(skua_local_end(&a), 0);
    CHECK(skua_local_get(&request_key) == NULL);
    CHECK_EQ(living(&outer), 0);
    CHECK_EQ(living(&inner), 0);
    return 0;
}

/* A binding of NULL hides an outer value: both read as "none". */
TEST_FIBER(local_null_hides)
{
    skua_local a, b;

    CHECK_EQ(skua_local_begin(&a, &user_key, "ada"), 0);
    CHECK_EQ(skua_local_begin(&b, &user_key, NULL), 0);
    CHECK(skua_local_get(&user_key) == NULL);
    CHECK_EQ(skua_local_end(&b), 0);
    CHECK(skua_local_get(&user_key) != NULL);
    CHECK_EQ(skua_local_end(&a), 0);
    return 0;
}

struct sees {
    struct counted *value;
    int generations;
};

static int sees_value(void *arg)
{
    struct sees *self = arg;

    for (int i = 0; i < 3; i++) {
        CHECK(skua_local_get(&request_key) == self->value);
        CHECK_EQ(skua_yield(), 0);
    }
    if (self->generations-- > 0)
        return skua_spawn(NULL, sees_value, self);
    return 0;
}

static skua_poll poll_sees_value(void *state, skua_waker *waker)
{
    struct sees *self = state;

    CHECK(skua_local_get(&request_key) == self->value);
    if (self->generations-- > 0) {
        skua_waker_wake(waker);
        return SKUA_PENDING;
    }
    return 0;
}

TEST_FIBER(local_is_inherited)
{
    struct counted value = {.number = 1};
    struct sees with = {&value, 3}, without = {NULL, 3}, polls = {&value, 5},
                polls_none = {NULL, 5};
    skua_local frame;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &value), 0);
    CHECK_EQ(skua_spawn(&scope, sees_value, &with), 0);
    CHECK_EQ(skua_spawn_poll(&scope, poll_sees_value, &polls), 0);
    CHECK_EQ(skua_local_end(&frame), 0);
    CHECK_EQ(skua_spawn(&scope, sees_value, &without), 0);
    CHECK_EQ(skua_spawn_poll(&scope, poll_sees_value, &polls_none), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(living(&value), 0);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int waits_for_event(void *arg)
{
    int rc = test_event_wait(arg);

    CHECK(skua_local_get(&request_key) != NULL);
    return rc;
}

TEST_FIBER(local_lives_as_long_as_its_last_task)
{
    struct counted value = {.number = 1};
    struct test_event go = TEST_EVENT_INIT;
    skua_local frame;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &value), 0);
    CHECK(living(&value) > 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_spawn(&scope, waits_for_event, &go), 0);
    CHECK_EQ(skua_local_end(&frame), 0);
    skua_sleep(MS(5));
    CHECK(living(&value) > 0);
    test_event_set(&go);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(living(&value), 0);
    return 0;
}

/* A task that is cancelled before it starts gives its references back, too. */
TEST_FIBER(local_of_a_task_that_never_ran)
{
    struct counted value = {.number = 1};
    skua_local frame;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &value), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), -ECANCELED);
    CHECK_EQ(skua_local_end(&frame), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(living(&value), 0);
    return 0;
}

static int spawns_under_local(void *arg)
{
    skua_local frame;
    int rc = skua_local_begin(&frame, &request_key, arg);

    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_spawn_on(skua_runtime_current(), test_fiber_forever, NULL), 0);
    CHECK_EQ(skua_local_end(&frame), 0);
    return 0;
}

TEST(local_balances_at_the_runtimes_end)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct counted value = {.number = 1};

        test_run(runtime, spawns_under_local, &value);
        CHECK(living(&value) > 0);
        test_runtime_free(runtime);
        CHECK_EQ(living(&value), 0);
    }
}

/* ---- order and place ------------------------------------------------------------------------- */

TEST_FIBER(local_frames_end_in_reverse)
{
    struct counted value = {.number = 1};
    skua_local a, b;
    skua_deadline deadline;

    CHECK_EQ(skua_local_begin(&a, &request_key, &value), 0);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + SKUA_HOUR), 0);
    CHECK_EQ(skua_local_begin(&b, &user_key, "ada"), 0);
    CHECK_EQ(skua_local_end(&a), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_end(&deadline), SKUA_EUSAGE);
    CHECK(skua_local_get(&request_key) == &value);
    CHECK(skua_local_get(&user_key) != NULL);
    CHECK_EQ(skua_local_end(&b), 0);
    CHECK_EQ(skua_local_end(&a), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_local_end(&a), 0);
    CHECK_EQ(living(&value), 0);
    return 0;
}

TEST_FIBER(local_and_deadline_travel_together)
{
    struct counted value = {.number = 1};
    int64_t until = skua_now() + SKUA_HOUR;
    skua_local frame;
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, until), 0);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &value), 0);
    CHECK_EQ(skua_deadline_current(), until);
    CHECK(skua_local_get(&request_key) == &value);
    CHECK_EQ(skua_local_end(&frame), 0);
    CHECK_EQ(skua_deadline_current(), until);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    return 0;
}

static int sees_nothing(void *arg)
{
    (void)arg;
    CHECK(skua_local_get(&request_key) == NULL);
    return 0;
}

static void *thread_has_no_locals(void *arg)
{
    skua_local frame;

    memset(&frame, 0, sizeof frame);
    CHECK(skua_local_get(&request_key) == NULL);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &frame), SKUA_EUSAGE);
    CHECK_EQ(skua_local_end(&frame), SKUA_EUSAGE);
    CHECK_EQ(skua_spawn(arg, sees_nothing, NULL), 0);
    return NULL;
}

TEST_FIBER(local_stays_off_threads)
{
    struct counted value = {.number = 1};
    skua_local frame;
    skua_scope scope;
    pthread_t thread;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_local_begin(&frame, &request_key, &value), 0);
    MUST(pthread_create(&thread, NULL, thread_has_no_locals, &scope) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_local_end(&frame), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_shadows_and_returns),
        cmocka_unit_test(local_null_hides),
        cmocka_unit_test(local_is_inherited),
        cmocka_unit_test(local_lives_as_long_as_its_last_task),
        cmocka_unit_test(local_of_a_task_that_never_ran),
        cmocka_unit_test(local_balances_at_the_runtimes_end),
        cmocka_unit_test(local_frames_end_in_reverse),
        cmocka_unit_test(local_and_deadline_travel_together),
        cmocka_unit_test(local_stays_off_threads),
    };

    return TEST_MAIN(tests);
}
