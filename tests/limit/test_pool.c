/* test_pool.c - a pool: made, kept, handed on, checked, grown old, closed.
 *
 * Specifies pool.h. Time is a test's clock (test.h), but where threads take part.
 */
#include <pthread.h>

#include "../lib/part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define SEC SKUA_SECOND

/* ---- a factory that counts ------------------------------------------------------------------- */

struct thing {
    int number;
    atomic_int users; /* at once */
    bool broken;
};

struct factory {
    atomic_int made, ended, alive, most, checked;
    int fails;    /* so many creates fail */
    int error;    /* with this */
    int64_t time; /* a create and a destroy take */
};

static int factory_create(void *ctx, void **object)
{
    struct factory *self = ctx;
    int alive = atomic_fetch_add(&self->alive, 1) + 1, most = atomic_load(&self->most);
    struct thing *thing;
    int rc = self->time != 0 ? skua_sleep(self->time) : 0;

    while (alive > most && !atomic_compare_exchange_weak(&self->most, &most, alive))
        continue;
    if (rc == 0 && self->fails > 0) {
        self->fails--;
        rc = self->error;
    }
    if (rc != 0) {
        atomic_fetch_sub(&self->alive, 1);
        return rc;
    }
    thing = calloc(1, sizeof *thing);
    MUST(thing != NULL);
    thing->number = atomic_fetch_add(&self->made, 1) + 1;
    *object = thing;
    return 0;
}

static void factory_destroy(void *ctx, void *object)
{
    struct factory *self = ctx;

    CHECK_EQ(atomic_load(&((struct thing *)object)->users), 0);
    if (self->time != 0)
        (void)skua_sleep(self->time);
    free(object);
    atomic_fetch_add(&self->ended, 1);
    atomic_fetch_sub(&self->alive, 1);
}

static int factory_check(void *ctx, void *object)
{
    atomic_fetch_add(&((struct factory *)ctx)->checked, 1);
    return !((struct thing *)object)->broken;
}

#define POOL_OF(factory_, ...)                                                                     \
    pool_of(SKUA_POOL_OPTIONS(.create = factory_create, .destroy = factory_destroy,                \
                              .ctx = (factory_), __VA_ARGS__))

static skua_pool *pool_of(const skua_pool_options *options)
{
    skua_pool *pool = NULL;

    MUST(skua_pool_new(&pool, options) == 0);
    return pool;
}

static struct thing *get(skua_pool *pool)
{
    void *thing = NULL;

    MUST(skua_pool_get(pool, &thing) == 0);
    return thing;
}

static void check_counts(skua_pool *pool, size_t alive, size_t idle, size_t waiting)
{
    skua_pool_counts counts;

    skua_pool_count(pool, &counts);
    CHECK_EQ(counts.alive, alive);
    CHECK_EQ(counts.idle, idle);
    CHECK_EQ(counts.waiting, waiting);
}

static void end_pool(skua_pool *pool, struct factory *factory)
{
    CHECK_EQ(skua_pool_free(pool), 0);
    CHECK_EQ(atomic_load(&factory->alive), 0);
    CHECK_EQ(atomic_load(&factory->made), atomic_load(&factory->ended));
}

/* ---- getting and putting --------------------------------------------------------------------- */

TEST_WAITING(pool_makes_what_is_needed_and_keeps_it)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 3);
    struct thing *a = get(pool), *b = get(pool), *c;
    void *none = NULL;

    CHECK(a != b);
    check_counts(pool, 2, 0, 0);
    CHECK_EQ(skua_pool_put(pool, a), 0);
    CHECK_EQ(skua_pool_put(pool, b), 0);
    check_counts(pool, 2, 2, 0);
    CHECK(get(pool) == b); /* the warmest */
    CHECK(get(pool) == a);
    c = get(pool);
    CHECK_EQ(c->number, 3);
    CHECK_EQ(skua_pool_get_until(pool, &none, 0), -ETIMEDOUT);
    CHECK_EQ(skua_pool_get_until(pool, &none, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK(none == NULL);
    check_counts(pool, 3, 0, 0);
    CHECK_EQ(skua_pool_discard(pool, a), 0);
    check_counts(pool, 2, 0, 0);
    CHECK_EQ(skua_pool_get_until(pool, &none, 0), 0); /* there is room: it does not wait */
    CHECK_EQ(((struct thing *)none)->number, 4);
    CHECK_EQ(skua_pool_put(pool, none), 0);
    CHECK_EQ(skua_pool_put(pool, b), 0);
    CHECK_EQ(skua_pool_put(pool, c), 0);
    check_counts(pool, 3, 3, 0);
    end_pool(pool, &factory);
}

TEST_FIBER_CLOCK(pool_try_get_makes_nothing)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .check = factory_check);
    struct thing *a = get(pool), *b = get(pool);
    void *object = NULL;

    CHECK_EQ(skua_pool_try_get(pool, &object), -EAGAIN);
    CHECK_EQ(skua_pool_put(pool, a), 0);
    CHECK_EQ(skua_pool_put(pool, b), 0);
    b->broken = true;
    CHECK_EQ(skua_pool_try_get(pool, &object), 0); /* the next one that is good */
    CHECK(object == a);
    check_counts(pool, 1, 0, 0);
    CHECK_EQ(skua_pool_put(pool, a), 0);
    a->broken = true;
    CHECK_EQ(skua_pool_try_get(pool, &object), -EAGAIN);
    check_counts(pool, 0, 0, 0);
    end_pool(pool, &factory);
    return 0;
}

TEST(pool_refuses_what_is_not_its_own)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 40);
    struct thing *things[40];
    int stranger;

    CHECK_EQ(skua_pool_put(pool, &stranger), SKUA_EUSAGE);
    CHECK_EQ(skua_pool_put(pool, NULL), SKUA_EUSAGE);
    for (int i = 0; i < 40; i++)
        things[i] = get(pool);
    CHECK_EQ(skua_pool_put(pool, &stranger), SKUA_EUSAGE);
    CHECK_EQ(skua_pool_discard(pool, &stranger), SKUA_EUSAGE);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(skua_pool_put(pool, things[i]), 0);
        CHECK_EQ(skua_pool_put(pool, things[i]), SKUA_EUSAGE); /* twice */
        CHECK_EQ(skua_pool_discard(pool, things[i]), SKUA_EUSAGE);
    }
    check_counts(pool, 40, 40, 0);
    end_pool(pool, &factory);
}

TEST(pool_refuses_bad_options)
{
    skua_pool *pool = (skua_pool *)8;
    const skua_pool_options bad[] = {
        {.size = 1, .create = factory_create},
        {.size = sizeof bad[0]},
        {.size = sizeof bad[0], .create = factory_create, .max = SKUA_POOL_MAX + 1},
        {.size = sizeof bad[0], .create = factory_create, .max = 2, .max_idle = 3},
        {.size = sizeof bad[0], .create = factory_create, .idle_timeout = -1},
        {.size = sizeof bad[0], .create = factory_create, .max_lifetime = -1},
    };
    skua_pool_options good;

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_pool_new(&pool, &bad[i]), -EINVAL);
    CHECK_EQ(skua_pool_new(&pool, NULL), -EINVAL); /* it could make nothing */
    CHECK(pool == (skua_pool *)8);
    skua_pool_options_init(&good);
    good.create = factory_create;
    good.max = SKUA_POOL_MAX;
    CHECK_EQ(skua_pool_new(&pool, &good), 0);
    CHECK_EQ(skua_pool_free(pool), 0);
}

#ifdef SKUA_FAULTS
TEST(pool_needs_memory)
{
    struct factory factory = {0};
    skua_pool *pool = (skua_pool *)8;
    const skua_pool_options options = {.size = sizeof options,
                                       .create = factory_create,
                                       .destroy = factory_destroy,
                                       .ctx = &factory};

    for (unsigned nth = 1; nth <= 3; nth++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_pool_new(&pool, &options), -ENOMEM);
        CHECK(pool == (skua_pool *)8);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_pool_new(&pool, &options), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 100, ENOMEM); /* from here on it needs none */
    CHECK_EQ(skua_pool_put(pool, get(pool)), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    end_pool(pool, &factory);
}
#endif

/* ---- in line --------------------------------------------------------------------------------- */

struct getter {
    skua_pool *pool;
    skua_task *task;
    int64_t deadline;
    struct thing *thing;
    int rc;
    int place; /* as which it was served */
    atomic_int *places;
};

static int gets(void *arg)
{
    struct getter *self = arg;
    void *object = NULL;

    self->rc = skua_pool_get_until(self->pool, &object, self->deadline);
    self->thing = object;
    self->place = atomic_fetch_add(self->places, 1) + 1;
    return 0;
}

static void begin_get(struct getter *getter, skua_pool *pool, atomic_int *places)
{
    *getter = (struct getter){.pool = pool, .deadline = SKUA_FOREVER, .places = places};
    MUST(skua_spawn(NULL, gets, getter, .task = &getter->task) == 0);
}

/* `count` fibers in line, in their order. */
static void line_up(struct getter *getters, int count, skua_pool *pool, atomic_int *places)
{
    atomic_store(places, 0);
    for (int i = 0; i < count; i++) {
        skua_pool_counts before, after;

        skua_pool_count(pool, &before);
        begin_get(&getters[i], pool, places);
        do {
            CHECK_EQ(skua_yield(), 0);
            skua_pool_count(pool, &after);
        } while (after.waiting == before.waiting);
    }
}

static void joined(struct getter *getter, int rc, int place)
{
    CHECK_EQ(skua_task_join(getter->task, NULL), 0);
    CHECK_EQ(getter->rc, rc);
    CHECK_EQ(getter->place, place);
}

TEST_FIBER(pool_serves_in_line)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 1);
    struct thing *thing = get(pool);
    struct getter getters[4];
    void *object;
    atomic_int places;

    line_up(getters, 4, pool, &places);
    check_counts(pool, 1, 0, 4);
    CHECK_EQ(skua_pool_put(pool, thing), 0);
    joined(&getters[0], 0, 1);
    CHECK(getters[0].thing == thing);
    CHECK_EQ(skua_pool_get_until(pool, &object, 0), -ETIMEDOUT); /* it does not pass the line */
    CHECK_EQ(skua_pool_try_get(pool, &object), -EAGAIN);
    CHECK_EQ(skua_pool_discard(pool, thing), 0); /* room for a new one */
    joined(&getters[1], 0, 2);
    CHECK_EQ(getters[1].thing->number, 2);
    CHECK_EQ(skua_task_cancel(getters[2].task), 0);
    joined(&getters[2], -ECANCELED, 3);
    CHECK_EQ(skua_pool_put(pool, getters[1].thing), 0);
    joined(&getters[3], 0, 4);
    CHECK_EQ(skua_pool_put(pool, getters[3].thing), 0);
    check_counts(pool, 1, 1, 0);
    end_pool(pool, &factory);
    return 0;
}

/* Cancelled after it was granted, before it has seen that: an object, then the room for one. */
TEST_FIBER_CURRENT(pool_passes_on_what_a_cancelled_one_was_given)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 1);
    struct thing *thing = get(pool);
    struct getter getters[2];
    atomic_int places;

    for (int discards = 0; discards < 2; discards++) {
        line_up(getters, 2, pool, &places);
        CHECK_EQ(discards ? skua_pool_discard(pool, thing) : skua_pool_put(pool, thing), 0);
        CHECK_EQ(skua_task_cancel(getters[0].task), 0);
        CHECK_EQ(skua_task_join(getters[0].task, NULL), 0);
        if (getters[0].rc == 0) /* an answer wins over the cancellation */
            CHECK_EQ(skua_pool_put(pool, getters[0].thing), 0);
        joined(&getters[1], 0, 2);
        thing = getters[1].thing;
    }
    CHECK_EQ(skua_pool_put(pool, thing), 0);
    end_pool(pool, &factory);
    return 0;
}

static skua_poll polls_once(void *state, skua_waker *waker)
{
    void *object;

    (void)waker;
    return skua_pool_get(*(skua_pool **)state, &object);
}

TEST_FIBER_CLOCK(pool_get_has_a_deadline_in_line)
{
    struct factory factory = {.time = SEC};
    skua_pool *pool = POOL_OF(&factory, .max = 1);
    int64_t begin = skua_now();
    void *object, *other;

    CHECK_EQ(skua_pool_get_until(pool, &object, begin + MS(10)),
             0); /* a create takes what it takes */
    CHECK_EQ(skua_now() - begin, SEC);
    CHECK_EQ(skua_pool_get_until(pool, &other, skua_now() + MS(10)), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, SEC + MS(10));
    CHECK_EQ(test_run_poll(polls_once, &pool, sizeof pool), SKUA_EUSAGE); /* not for poll tasks */
    CHECK_EQ(skua_pool_put(pool, object), 0);
    end_pool(pool, &factory);
    return 0;
}

/* ---- creates that fail ----------------------------------------------------------------------- */

TEST_FIBER_CLOCK(pool_passes_the_room_on_when_a_create_fails)
{
    struct factory factory = {.time = MS(10), .fails = 2, .error = -ECONNREFUSED};
    skua_pool *pool = POOL_OF(&factory, .max = 1);
    struct getter getters[3];
    int64_t begin = skua_now();
    atomic_int places = 0;

    for (int i = 0; i < 3; i++)
        begin_get(&getters[i], pool, &places);
    joined(&getters[0], -ECONNREFUSED, 1);
    joined(&getters[1], -ECONNREFUSED, 2);
    joined(&getters[2], 0, 3);
    CHECK_EQ(skua_now() - begin, MS(30)); /* one after the other: no more than .max at once */
    CHECK_EQ(factory.most, 1);
    CHECK_EQ(skua_pool_put(pool, getters[2].thing), 0);
    end_pool(pool, &factory);
    return 0;
}

TEST_FIBER_CLOCK(pool_create_is_cancelled_with_its_task)
{
    struct factory factory = {.time = SEC};
    skua_pool *pool = POOL_OF(&factory, .max = 1);
    struct getter getters[2];
    atomic_int places = 0;

    for (int i = 0; i < 2; i++)
        begin_get(&getters[i], pool, &places);
    CHECK_EQ(skua_sleep(MS(500)), 0);
    check_counts(pool, 1, 0, 1);
    CHECK_EQ(skua_task_cancel(getters[0].task), 0);
    joined(&getters[0], -ECANCELED, 1);
    joined(&getters[1], 0, 2);
    CHECK_EQ(skua_pool_put(pool, getters[1].thing), 0);
    end_pool(pool, &factory);
    return 0;
}

/* ---- growing old ----------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(pool_checks_what_was_used)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 1, .check = factory_check);
    struct thing *thing = get(pool);

    CHECK_EQ(factory.checked, 0); /* it is new */
    CHECK_EQ(skua_pool_put(pool, thing), 0);
    CHECK(get(pool) == thing);
    CHECK_EQ(factory.checked, 1);
    thing->broken = true;
    CHECK_EQ(skua_pool_put(pool, thing), 0);
    thing = get(pool);
    CHECK_EQ(thing->number, 2);
    CHECK_EQ(factory.ended, 1);
    CHECK_EQ(factory.most, 1); /* the old one had ended before */
    factory.fails = 1;
    factory.error = -EIO;
    thing->broken = true;
    CHECK_EQ(skua_pool_put(pool, thing), 0);
    CHECK_EQ(skua_pool_get(pool, (void **)&thing), -EIO);
    check_counts(pool, 0, 0, 0);
    end_pool(pool, &factory);
    return 0;
}

TEST_FIBER_CLOCK(pool_keeps_no_more_than_it_may)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 5, .max_idle = 2);
    struct thing *things[5] = {get(pool), get(pool), get(pool), get(pool), get(pool)};

    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_pool_put(pool, things[i]), 0);
    check_counts(pool, 2, 2, 0);
    CHECK_EQ(factory.ended, 3);
    end_pool(pool, &factory);
    return 0;
}

TEST_FIBER_CLOCK(pool_ends_what_is_unused_for_long)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 5, .idle_timeout = SEC);
    struct thing *things[4];

    for (int i = 0; i < 4; i++)
        things[i] = get(pool);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(skua_pool_put(pool, things[i]), 0);
        CHECK_EQ(skua_sleep(MS(200)), 0);
    }
    CHECK_EQ(skua_pool_reap(pool), 0); /* the first has been there for 800 ms */
    CHECK_EQ(skua_sleep(MS(200)), 0);
    CHECK_EQ(skua_pool_reap(pool), 1);
    check_counts(pool, 3, 3, 0);
    CHECK_EQ(skua_sleep(MS(200)), 0);
    things[3] = get(pool); /* 600 ms: good */
    CHECK_EQ(things[3]->number, 4);
    CHECK_EQ(skua_pool_put(pool, things[3]), 0); /* takes the oldest along */
    check_counts(pool, 2, 2, 0);
    CHECK_EQ(skua_sleep(SEC), 0);
    things[0] = get(pool); /* both are too old: the one that was to be used is ended */
    CHECK_EQ(things[0]->number, 5);
    check_counts(pool, 2, 1, 0);
    CHECK_EQ(skua_pool_reap(pool), 1);
    CHECK_EQ(skua_pool_put(pool, things[0]), 0);
    end_pool(pool, &factory);
    return 0;
}

TEST_FIBER_CLOCK(pool_ends_what_has_lived_for_long)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 5, .max_lifetime = SEC);
    struct thing *a = get(pool), *b;

    CHECK_EQ(skua_sleep(MS(600)), 0);
    b = get(pool);
    CHECK_EQ(skua_pool_put(pool, a), 0);
    CHECK_EQ(skua_pool_put(pool, b), 0);
    CHECK_EQ(skua_sleep(MS(400)), 0);
    CHECK_EQ(skua_pool_reap(pool), 1); /* the first one alone */
    check_counts(pool, 1, 1, 0);
    CHECK(get(pool) == b);
    CHECK_EQ(skua_sleep(MS(600)), 0);
    CHECK_EQ(skua_pool_put(pool, b), 0); /* ended, not kept */
    check_counts(pool, 0, 0, 0);
    end_pool(pool, &factory);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER(pool_closes)
{
    struct factory factory = {0};
    skua_pool *pool = POOL_OF(&factory, .max = 2);
    struct thing *a = get(pool), *b = get(pool);
    struct getter getters[3];
    void *object;
    atomic_int places;

    line_up(getters, 3, pool, &places);
    skua_pool_close(pool);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_task_join(getters[i].task, NULL), 0);
        CHECK_EQ(getters[i].rc, SKUA_ECLOSED);
    }
    CHECK_EQ(skua_pool_get(pool, &object), SKUA_ECLOSED);
    CHECK_EQ(skua_pool_try_get(pool, &object), SKUA_ECLOSED);
    CHECK_EQ(factory.ended, 0); /* both are out */
    CHECK_EQ(skua_pool_put(pool, a), 0);
    CHECK_EQ(factory.ended, 1);
    CHECK_EQ(skua_pool_free(pool), -EBUSY);
    CHECK_EQ(skua_pool_discard(pool, b), 0);
    skua_pool_close(pool);
    end_pool(pool, &factory);
    return 0;
}

TEST_FIBER_CLOCK(pool_closes_while_an_object_is_made)
{
    struct factory factory = {.time = SEC};
    skua_pool *pool = POOL_OF(&factory, .max = 2);
    struct getter getter;
    atomic_int places = 0;

    begin_get(&getter, pool, &places);
    CHECK_EQ(skua_sleep(MS(500)), 0);
    CHECK_EQ(skua_pool_free(pool), -EBUSY);
    joined(&getter, SKUA_ECLOSED, 1);
    CHECK_EQ(factory.ended, 1);
    end_pool(pool, &factory);
    return 0;
}

/* ---- in any order, and on several workers and threads ---------------------------------------- */

struct crowd {
    struct factory factory;
    skua_pool *pool;
    int64_t end; /* of a stress test */
    atomic_int users;
};

/* Uses an object alone. */
static int uses(struct crowd *crowd, uint64_t random, bool sleeps)
{
    struct thing *thing;
    void *object = NULL;
    int64_t patience = (int64_t)(random >> 8) % 30 * (sleeps ? MS(1) : SKUA_MICROSECOND);
    int rc = random % 5 == 0 ? skua_pool_try_get(crowd->pool, &object)
                             : skua_pool_get_until(crowd->pool, &object, skua_now() + patience);

    if (rc != 0)
        return rc;
    thing = object;
    CHECK_EQ(atomic_fetch_add(&thing->users, 1), 0);
    rc = sleeps ? skua_sleep(MS((int64_t)(random >> 16) % 10)) : skua_yield();
    thing->broken = (random >> 24) % 7 == 0;
    CHECK_EQ(atomic_fetch_sub(&thing->users, 1), 1);
    CHECK_EQ(random % 11 == 0 ? skua_pool_discard(crowd->pool, thing)
                              : skua_pool_put(crowd->pool, thing),
             0);
    return rc;
}

static int uses_some(void *arg)
{
    int rc = 0;

    for (int i = 0; i < 5 && rc != -ECANCELED && rc != SKUA_ECLOSED; i++)
        rc = uses(arg, skua_test_random(), true);
    return 0;
}

static int pool_in_some_order(TEST_UNUSED void *arg)
{
    struct crowd crowd = {.factory = {.time = MS((int64_t)(skua_test_random() % 2)),
                                      .fails = (int)(skua_test_random() % 4),
                                      .error = -EIO}};
    skua_task *tasks[6];
    skua_scope scope;

    crowd.pool = POOL_OF(&crowd.factory, .max = 2, .check = factory_check, .idle_timeout = MS(5),
                         .max_lifetime = MS(40));
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 6; i++)
        MUST(skua_spawn(&scope, uses_some, &crowd, .task = &tasks[i]) == 0);
    CHECK_EQ(skua_sleep(MS((int64_t)(skua_test_random() % 20))), 0);
    for (int i = 0; i < 6; i++) {
        if (i < 2)
            skua_task_cancel(tasks[i]);
        skua_task_detach(tasks[i]);
    }
    (void)skua_pool_reap(crowd.pool);
    if (skua_test_random() % 2 == 0)
        skua_pool_close(crowd.pool);
    (void)skua_scope_join(&scope);
    CHECK_RANGE(crowd.factory.most, 0, 2);
    end_pool(crowd.pool, &crowd.factory);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(pool_in_a_thousand_orders)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), pool_in_some_order, NULL), 0);
}

static int uses_for_a_while(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t random = 77 + (uint64_t)(uintptr_t)&random;

    while (skua_now() < crowd->end)
        (void)uses(crowd, test_random(&random), false);
    return 0;
}

/* Leaves the line at once: sometimes at the moment when it is granted, and passes that on. */
static void *gets_in_a_hurry(void *arg)
{
    struct crowd *crowd = arg;
    void *object;

    while (skua_now() < crowd->end)
        if (skua_pool_get_until(crowd->pool, &object, 0) == 0)
            CHECK_EQ(skua_pool_put(crowd->pool, object), 0);
    return NULL;
}

TEST(pool_is_shared_by_workers_and_threads)
{
    skua_runtime *runtime =
        test_runtime(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false});
    struct crowd crowd = {.end = skua_now() + test_stress_time(1)};
    pthread_t threads[2];
    skua_scope scope;

    crowd.pool = POOL_OF(&crowd.factory, .max = 3, .check = factory_check, .max_idle = 2,
                         .idle_timeout = 20000, .max_lifetime = MS(1));
    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 6; i++)
        MUST(skua_spawn(&scope, uses_for_a_while, &crowd) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, gets_in_a_hurry, &crowd) == 0);
    while (skua_now() < crowd.end - MS(100)) {
        (void)skua_pool_reap(crowd.pool);
        test_thread_sleep(MS(1));
    }
    skua_pool_close(crowd.pool);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_RANGE(crowd.factory.most, 1, 3);
    test_note("%d made", atomic_load(&crowd.factory.made));
    end_pool(crowd.pool, &crowd.factory);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(pool_makes_what_is_needed_and_keeps_it),
        cmocka_unit_test(pool_try_get_makes_nothing),
        cmocka_unit_test(pool_refuses_what_is_not_its_own),
        cmocka_unit_test(pool_refuses_bad_options),
#ifdef SKUA_FAULTS
        cmocka_unit_test(pool_needs_memory),
#endif
        cmocka_unit_test(pool_serves_in_line),
        cmocka_unit_test(pool_passes_on_what_a_cancelled_one_was_given),
        cmocka_unit_test(pool_get_has_a_deadline_in_line),
        cmocka_unit_test(pool_passes_the_room_on_when_a_create_fails),
        cmocka_unit_test(pool_create_is_cancelled_with_its_task),
        cmocka_unit_test(pool_checks_what_was_used),
        cmocka_unit_test(pool_keeps_no_more_than_it_may),
        cmocka_unit_test(pool_ends_what_is_unused_for_long),
        cmocka_unit_test(pool_ends_what_has_lived_for_long),
        cmocka_unit_test(pool_closes),
        cmocka_unit_test(pool_closes_while_an_object_is_made),
        cmocka_unit_test(pool_in_a_thousand_orders),
        cmocka_unit_test(pool_is_shared_by_workers_and_threads),
    };

    return TEST_MAIN(tests);
}
