/* test_delay_queue_many.c - a delay queue with many values, many who insert, and many who wait.
 *
 * Specifies delay_queue.h: against a model, in any order under a test's clock, and under stress
 * with plain threads.
 */
#include <pthread.h>

#include "harness.h"

static skua_delay_queue *queue_of(size_t capacity)
{
    skua_delay_queue *queue = NULL;

    MUST(skua_delay_queue_new(&queue, sizeof(int),
                              SKUA_DELAY_QUEUE_OPTIONS(.capacity = capacity)) == 0);
    return queue;
}

static skua_delay_key put(skua_delay_queue *queue, int value, int64_t deadline)
{
    skua_delay_key key = {0, 0};

    CHECK_EQ(skua_delay_queue_insert(queue, &value, deadline, &key), 0);
    return key;
}

/* ---- against a model ------------------------------------------------------------------------- */

enum { MODEL = 300 };

struct model {
    skua_delay_queue *queue;
    skua_delay_key keys[MODEL]; /* zero: stale */
    int64_t deadlines[MODEL];
    size_t count;
    uint64_t random;
};

/* The one that comes next: the earliest, of equal ones that with the smallest number. */
static int model_first(const struct model *self)
{
    int best = -1;

    for (int i = 0; i < MODEL; i++)
        if (self->keys[i].number != 0 && (best < 0 || self->deadlines[i] < self->deadlines[best] ||
                                          (self->deadlines[i] == self->deadlines[best] &&
                                           self->keys[i].number < self->keys[best].number)))
            best = i;
    return best;
}

static void model_take(struct model *self)
{
    int first = model_first(self);
    int64_t deadline = 0;
    int got = -1;

    if (first < 0) {
        CHECK_EQ(skua_delay_queue_try_next(self->queue, &got), -EAGAIN);
        return;
    }
    CHECK_EQ(skua_delay_queue_peek(self->queue, &got, &deadline), 0);
    CHECK_EQ(got, first);
    CHECK_EQ(deadline, self->deadlines[first]);
    CHECK_EQ(skua_delay_queue_try_next(self->queue, &got), 0);
    CHECK_EQ(got, first);
    self->keys[first].number = 0;
    self->count--;
}

static void model_step(struct model *self)
{
    int at = (int)(test_random(&self->random) % MODEL);
    int64_t deadline = (int64_t)(test_random(&self->random) % 64);
    int got = -1;

    if (test_random(&self->random) % 3 == 0) {
        model_take(self);
    } else if (self->keys[at].number == 0) {
        self->keys[at] = put(self->queue, at, deadline);
        self->deadlines[at] = deadline;
        self->count++;
    } else if (test_random(&self->random) % 2 == 0) {
        CHECK_EQ(skua_delay_queue_reset(self->queue, self->keys[at], deadline), 0);
        self->deadlines[at] = deadline;
    } else {
        CHECK_EQ(skua_delay_queue_remove(self->queue, self->keys[at], &got), 0);
        CHECK_EQ(got, at);
        self->keys[at].number = 0;
        self->count--;
    }
    CHECK_EQ(skua_delay_queue_len(self->queue), self->count);
}

TEST(queue_does_as_the_model)
{
    struct model model = {.queue = queue_of(0), .random = test_seed()};

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < TEST_COUNT(10000) && test_failures() == 0; i++)
            model_step(&model);
        while (round % 2 == 0 && model.count != 0 && test_failures() == 0)
            model_take(&model);
        if (round % 2 != 0) {
            skua_delay_queue_clear(model.queue);
            memset(model.keys, 0, sizeof model.keys);
            model.count = 0;
        }
    }
    skua_delay_queue_free(model.queue);
}

/* ---- many at a time -------------------------------------------------------------------------- */

enum { VALUES = 40, CROWD = 4 };

/* Who inserts says what becomes of each value: it is taken or removed, once. */
struct crowd {
    skua_delay_queue *queue;
    int64_t deadlines[CROWD * VALUES]; /* before the insert, and then the owner's */
    atomic_int seen[CROWD * VALUES];
    atomic_int inserters, moved;
};

struct crowd_part {
    struct crowd *crowd;
    uint64_t random;
    int index;
};

static int64_t some_time(struct crowd_part *self, int64_t most)
{
    return (int64_t)(test_random(&self->random) % (uint64_t)most);
}

static int inserts(void *arg)
{
    struct crowd_part *self = arg;
    struct crowd *crowd = self->crowd;

    for (int i = 0; i < VALUES; i++) {
        int value = self->index * VALUES + i, got = -1;
        skua_delay_key key;

        crowd->deadlines[value] = skua_now() + some_time(self, 500);
        CHECK_EQ(skua_delay_queue_insert(crowd->queue, &value, crowd->deadlines[value], &key), 0);
        if (some_time(self, 3) == 0)
            CHECK_EQ(skua_yield(), 0);
        if (some_time(self, 4) == 0)
            CHECK_EQ(skua_sleep(some_time(self, 300)), 0);
        if (some_time(self, 4) == 0 && skua_delay_queue_reset_after(crowd->queue, key, 5) == 0)
            atomic_fetch_add(&crowd->moved, 1);
        if (some_time(self, 4) == 0 && skua_delay_queue_remove(crowd->queue, key, &got) == 0) {
            CHECK_EQ(got, value);
            atomic_fetch_add(&crowd->seen[value], 1);
        }
    }
    if (atomic_fetch_sub(&crowd->inserters, 1) == 1)
        skua_delay_queue_close(crowd->queue);
    return 0;
}

static int takes_until_the_end(void *arg)
{
    struct crowd_part *self = arg;
    struct crowd *crowd = self->crowd;
    int rc, got = -1;

    do {
        int64_t until = some_time(self, 3) == 0 ? skua_now() + some_time(self, 200) : SKUA_FOREVER;

        rc = some_time(self, 5) == 0 ? skua_delay_queue_try_next(crowd->queue, &got)
                                     : skua_delay_queue_next_until(crowd->queue, &got, until);
        if (rc == 0 && CHECK(got >= 0 && got < CROWD * VALUES))
            atomic_fetch_add(&crowd->seen[got], 1);
        if (rc == -EAGAIN)
            CHECK_EQ(skua_sleep(some_time(self, 50)), 0);
    } while (rc == 0 || rc == -ETIMEDOUT || rc == -EAGAIN);
    CHECK_EQ(rc, SKUA_ECLOSED);
    return 0;
}

static void *takes_on_a_thread(void *arg)
{
    (void)takes_until_the_end(arg);
    return NULL;
}

static void *inserts_on_a_thread(void *arg)
{
    (void)inserts(arg);
    return NULL;
}

static void crowd_init(struct crowd *crowd, struct crowd_part *parts, uint64_t seed)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->queue = queue_of(0);
    atomic_store(&crowd->inserters, CROWD);
    for (int i = 0; i < 2 * CROWD; i++)
        parts[i] = (struct crowd_part){crowd, (seed + (uint64_t)i * 0x9e3779b97f4a7c15u) | 1, i};
}

static void crowd_end(struct crowd *crowd)
{
    CHECK_EQ(skua_delay_queue_len(crowd->queue), 0);
    for (int i = 0; i < CROWD * VALUES; i++)
        if (!CHECK_EQ(atomic_load(&crowd->seen[i]), 1))
            break;
    skua_delay_queue_free(crowd->queue);
}

static int crowd_in_a_test(TEST_UNUSED void *arg)
{
    struct crowd_part parts[2 * CROWD];
    struct crowd crowd;
    skua_scope scope;

    crowd_init(&crowd, parts, skua_test_random());
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 2 * CROWD; i++)
        MUST(skua_spawn(&scope, i < CROWD ? inserts : takes_until_the_end, &parts[i]) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    crowd_end(&crowd);
    return test_failures() ? -1 : 0;
}

TEST(queue_in_any_order)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), crowd_in_a_test, NULL), 0);
}

/* Nobody is early, and none is late: with somebody in line all the time, each comes to the ns. */
static int takes_in_time(void *arg)
{
    struct crowd *crowd = arg;
    int got;

    while (skua_delay_queue_next(crowd->queue, &got) == 0) {
        CHECK_EQ(skua_now(), crowd->deadlines[got]);
        atomic_fetch_add(&crowd->seen[got], 1);
    }
    return 0;
}

static int crowd_is_in_time(TEST_UNUSED void *arg)
{
    struct crowd_part parts[2 * CROWD];
    struct crowd crowd;
    skua_task *victims[3];
    skua_scope scope;
    int value;

    crowd_init(&crowd, parts, skua_test_random());
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn(&scope, takes_in_time, &crowd, .task = &victims[i]) == 0);
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(&scope, takes_in_time, &crowd) == 0);
    for (value = 0; value < CROWD * VALUES; value++) {
        crowd.deadlines[value] = skua_now() + 1 + some_time(&parts[0], 300);
        (void)put(crowd.queue, value, crowd.deadlines[value]);
        if (value % 8 == 0)
            CHECK_EQ(skua_sleep(some_time(&parts[0], 100)), 0);
        if (value % 50 == 49) /* also one that was told, or has the timer */
            CHECK_EQ(skua_task_cancel(victims[value / 50]), 0);
    }
    skua_delay_queue_close(crowd.queue);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_task_join(victims[i], NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    crowd_end(&crowd);
    return test_failures() ? -1 : 0;
}

TEST(queue_is_in_time_in_any_order)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), crowd_is_in_time, NULL), 0);
}

TEST(queue_under_stress)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    int64_t end = skua_now() + test_stress_time(1);
    uint64_t seed = test_seed();

    for (int round = 0; round < 2000 && skua_now() < end && test_failures() == 0; round++) {
        struct crowd_part parts[2 * CROWD];
        skua_task *tasks[2 * CROWD];
        pthread_t threads[2];
        struct crowd crowd;

        crowd_init(&crowd, parts, seed + (uint64_t)round);
        MUST(pthread_create(&threads[0], NULL, inserts_on_a_thread, &parts[0]) == 0);
        MUST(pthread_create(&threads[1], NULL, takes_on_a_thread, &parts[CROWD]) == 0);
        for (int i = 1; i < 2 * CROWD; i++)
            if (i != CROWD)
                MUST(skua_spawn_on(runtime, i < CROWD ? inserts : takes_until_the_end, &parts[i],
                                   .task = &tasks[i]) == 0);
        for (int i = 1; i < 2 * CROWD; i++)
            if (i != CROWD)
                CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        crowd_end(&crowd);
    }
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_does_as_the_model),
        cmocka_unit_test(queue_in_any_order),
        cmocka_unit_test(queue_is_in_time_in_any_order),
        cmocka_unit_test(queue_under_stress),
    };

    return TEST_MAIN(tests);
}
