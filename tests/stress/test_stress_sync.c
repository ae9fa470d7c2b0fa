/* test_stress_sync.c - fibers on four workers and two plain threads hammer one lock or signal.
 *
 * Random sizes, random deadlines of some microseconds, so that waits are dropped in the moment they
 * are granted. Counters are plain, so that a lock that lets two in is seen as a wrong sum (and by
 * ThreadSanitizer); a lost wake is a hang, which the watchdog tells.
 */
#include <pthread.h>

#include "../lib/line.h"

enum { FIBERS = 12, THREADS = 2, ALL = FIBERS + THREADS };

struct storm;
typedef void (*storm_fn)(struct storm *storm, int index, uint64_t *random);

struct storm {
    storm_fn body; /* called again and again */
    bool led;      /* until one of them says that it is over: they wait for one another */
    uint64_t seed;
    int64_t end;
    skua_mutex mutex;
    skua_semaphore sema;
    skua_rwlock rwlock;
    skua_notify ping[ALL / 2], pong[ALL / 2];
    skua_cond filled, emptied;
    skua_barrier barrier;
    skua_once once;
    atomic_llong counted, granted, dropped;
    atomic_int out, over; /* permits that are taken; led: the end */
    int64_t counter;      /* mutex, or once */
    int64_t left, right;  /* rwlock */
    bool full, waiting;   /* mutex: an item is there; somebody patient waits for one */
    int64_t *rounds;      /* of each */
};

struct storm_part {
    struct storm *storm;
    int index;
};

static bool time_is_up(struct storm *storm)
{
    return skua_now() >= storm->end || test_failures() != 0;
}

static bool is_over(struct storm *storm)
{
    return storm->led ? atomic_load(&storm->over) : time_is_up(storm);
}

static int storm_part(void *arg)
{
    struct storm_part *part = arg;
    uint64_t random = (part->storm->seed + (uint64_t)part->index * 0x9e3779b97f4a7c15u) | 1;

    while (!is_over(part->storm))
        for (int i = 0; i < 16; i++)
            part->storm->body(part->storm, part->index, &random);
    return 0;
}

static void *storm_thread(void *arg)
{
    storm_part(arg);
    return NULL;
}

static void storm_run(struct storm *storm, storm_fn body)
{
    skua_runtime *runtime = test_runtime(&test_kinds[3]);
    struct storm_part parts[ALL];
    pthread_t threads[THREADS];
    skua_task *tasks[FIBERS];

    storm->body = body;
    storm->seed = test_seed();
    storm->end = skua_now() + test_stress_time(2);
    for (int i = 0; i < ALL; i++)
        parts[i] = (struct storm_part){storm, i};
    for (int i = 0; i < FIBERS; i++)
        MUST(skua_spawn_on(runtime, storm_part, &parts[i], .task = &tasks[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, storm_thread, &parts[FIBERS + i]) == 0);
    for (int i = 0; i < FIBERS; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    test_runtime_free(runtime);
}

/* Soon, now, or never: about as long as a wait takes. */
static int64_t some_deadline(uint64_t *random)
{
    uint64_t how = test_random(random);

    if (how % 4 == 0)
        return SKUA_FOREVER;
    return skua_now() + (int64_t)(how >> 8) % (30 * SKUA_MICROSECOND);
}

/* Holds what it has for a moment, or over a wait. */
static void dawdle(uint64_t *random)
{
    uint64_t how = test_random(random);

    if (how % 8 == 0)
        (void)skua_yield();
    for (volatile uint64_t i = (how >> 8) % 64; i > 0; i--)
        continue;
}

static void count_wait(struct storm *storm, int rc)
{
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    atomic_fetch_add(rc == 0 ? &storm->granted : &storm->dropped, 1);
}

static void note_waits(struct storm *storm)
{
    test_note("%lld granted, %lld dropped", atomic_load(&storm->granted),
              atomic_load(&storm->dropped));
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static void lock_and_count(struct storm *storm, int index, uint64_t *random)
{
    int rc = skua_mutex_lock_until(&storm->mutex, some_deadline(random));

    (void)index;
    count_wait(storm, rc);
    if (rc != 0)
        return;
    storm->counter++;
    dawdle(random);
    CHECK_EQ(skua_mutex_unlock(&storm->mutex), 0);
}

TEST(storm_on_a_mutex)
{
    struct storm storm = {.mutex = SKUA_MUTEX_INIT};

    storm_run(&storm, lock_and_count);
    CHECK_EQ(storm.counter, atomic_load(&storm.granted));
    CHECK_EQ(skua_mutex_try_lock(&storm.mutex), 0);
    CHECK_EQ(TEST_LINE(&storm.mutex.semaphore), 0);
    note_waits(&storm);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

enum { PERMITS = 7 };

static void take_some(struct storm *storm, int index, uint64_t *random)
{
    int count = 1 + (int)(test_random(random) % PERMITS);
    int rc = skua_semaphore_acquire_until(&storm->sema, (size_t)count, some_deadline(random));

    (void)index;
    count_wait(storm, rc);
    if (rc != 0)
        return;
    CHECK_RANGE(atomic_fetch_add(&storm->out, count) + count, count, PERMITS);
    dawdle(random);
    atomic_fetch_sub(&storm->out, count);
    CHECK_EQ(skua_semaphore_release(&storm->sema, (size_t)count), 0);
}

TEST(storm_on_a_semaphore)
{
    struct storm storm = {.sema = SKUA_SEMAPHORE_INIT(PERMITS)};

    storm_run(&storm, take_some);
    CHECK_EQ(skua_semaphore_available(&storm.sema), PERMITS);
    CHECK_EQ(TEST_LINE(&storm.sema), 0);
    note_waits(&storm);
}

/* ---- rwlock ---------------------------------------------------------------------------------- */

static void write_both(struct storm *storm, uint64_t *random)
{
    storm->left++;
    dawdle(random);
    storm->right++;
    if (test_random(random) % 4 != 0) {
        CHECK_EQ(skua_rwlock_write_unlock(&storm->rwlock), 0);
        return;
    }
    CHECK_EQ(skua_rwlock_downgrade(&storm->rwlock), 0);
    CHECK_EQ(storm->left, storm->right);
    CHECK_EQ(skua_rwlock_read_unlock(&storm->rwlock), 0);
}

static void read_or_write(struct storm *storm, int index, uint64_t *random)
{
    int64_t deadline = some_deadline(random);
    bool write = test_random(random) % 4 == 0;
    int rc = write ? skua_rwlock_write_until(&storm->rwlock, deadline)
                   : skua_rwlock_read_until(&storm->rwlock, deadline);
    int64_t left;

    (void)index;
    count_wait(storm, rc);
    if (rc != 0)
        return;
    if (write) {
        atomic_fetch_add(&storm->counted, 1);
        write_both(storm, random);
        return;
    }
    left = storm->left;
    dawdle(random);
    CHECK_EQ(storm->right, left);
    CHECK_EQ(skua_rwlock_read_unlock(&storm->rwlock), 0);
}

TEST(storm_on_a_rwlock)
{
    struct storm storm = {.rwlock = SKUA_RWLOCK_INIT};

    storm_run(&storm, read_or_write);
    CHECK_EQ(storm.left, atomic_load(&storm.counted));
    CHECK_EQ(storm.right, atomic_load(&storm.counted));
    CHECK_EQ(skua_rwlock_try_write(&storm.rwlock), 0);
    CHECK_EQ(TEST_LINE(&storm.rwlock.semaphore), 0);
    note_waits(&storm);
}

/* ---- notify ---------------------------------------------------------------------------------- */

/* Waits as long as it takes, in many short waits: none of them may swallow what it was told. */
static bool is_told(struct storm *storm, skua_notify *notify, uint64_t *random)
{
    while (!is_over(storm)) {
        int64_t deadline = skua_now() + (int64_t)(test_random(random) % (30 * SKUA_MICROSECOND));
        int rc = skua_notified_until(notify, deadline);

        count_wait(storm, rc);
        if (rc == 0)
            return true;
    }
    return false;
}

/* Even ones serve, odd ones return; how often is compared at the end. */
static void play(struct storm *storm, int index, uint64_t *random)
{
    int table = index / 2;

    if (is_over(storm))
        return;
    if (index % 2 == 0)
        skua_notify_one(&storm->ping[table]);
    if (!is_told(storm, index % 2 == 0 ? &storm->pong[table] : &storm->ping[table], random))
        return;
    storm->rounds[index]++;
    if (index % 2 != 0)
        skua_notify_one(&storm->pong[table]);
}

TEST(storm_of_notifies)
{
    int64_t rounds[ALL] = {0};
    struct storm storm = {.rounds = rounds};
    int64_t total = 0;

    storm_run(&storm, play);
    for (int i = 0; i < ALL; i += 2) {
        CHECK_RANGE(rounds[i + 1] - rounds[i], 0, 1); /* the last return may not be seen any more */
        CHECK(rounds[i] > 0);
        total += rounds[i];
    }
    note_waits(&storm);
    test_note("%lld rounds", (long long)total);
}

/* One that waits with others, and the permit that goes around is never lost: whoever is told tells
 * the next, and at the end it is there. */
static void pass_the_permit(struct storm *storm, int index, uint64_t *random)
{
    int rc = skua_notified_until(&storm->ping[0], some_deadline(random));

    (void)index;
    count_wait(storm, rc);
    if (rc != 0)
        return;
    CHECK_EQ(atomic_fetch_add(&storm->out, 1), 0); /* there is only one */
    dawdle(random);
    atomic_fetch_sub(&storm->out, 1);
    if (test_random(random) % 2 == 0)
        skua_notify_one(&storm->ping[0]);
    else
        skua_notify_last(&storm->ping[0]);
}

TEST(storm_on_one_permit)
{
    struct storm storm = {.out = 0};

    skua_notify_one(&storm.ping[0]);
    storm_run(&storm, pass_the_permit);
    CHECK_EQ(skua_notified_until(&storm.ping[0], 0), 0);
    CHECK_EQ(skua_notified_until(&storm.ping[0], 0), -ETIMEDOUT);
    note_waits(&storm);
}

/* ---- condition variable ---------------------------------------------------------------------- */

/* An item, one signal for it, and only who was signalled takes it: a signal that is lost with a
 * dropped wait is a hang. One of the takers is patient, so that the signal is always for somebody.
 */
static void fill(struct storm *storm)
{
    if (time_is_up(storm)) {
        atomic_store(&storm->over, 1);
        skua_cond_broadcast(&storm->filled);
    } else if (storm->waiting) {
        storm->full = true;
        storm->left++;
        skua_cond_signal(&storm->filled);
        while (storm->full)
            CHECK_EQ(skua_cond_wait(&storm->emptied, &storm->mutex), 0);
    }
}

static void empty(struct storm *storm, bool patient, uint64_t *random)
{
    int64_t deadline = patient ? SKUA_FOREVER : some_deadline(random);
    int rc;

    storm->waiting |= patient;
    rc = skua_cond_wait_until(&storm->filled, &storm->mutex, deadline);
    if (patient)
        storm->waiting = false;
    count_wait(storm, rc);
    CHECK(rc != 0 || storm->full || atomic_load(&storm->over));
    if (rc == 0 && storm->full) {
        storm->full = false;
        storm->right++;
        skua_cond_signal(&storm->emptied);
    }
}

static void fill_or_empty(struct storm *storm, int index, uint64_t *random)
{
    CHECK_EQ(skua_mutex_lock(&storm->mutex), 0);
    if (!atomic_load(&storm->over)) {
        if (index == 0)
            fill(storm);
        else
            empty(storm, index == 1, random);
    }
    CHECK_EQ(skua_mutex_unlock(&storm->mutex), 0);
    dawdle(random);
}

TEST(storm_on_a_cond)
{
    struct storm storm = {.mutex = SKUA_MUTEX_INIT, .led = true};

    storm_run(&storm, fill_or_empty);
    CHECK(storm.left > 0);
    CHECK_EQ(storm.left, storm.right);
    CHECK_EQ(TEST_LINE(&storm.filled) + TEST_LINE(&storm.emptied), 0);
    note_waits(&storm);
    test_note("%lld items", (long long)storm.left);
}

/* ---- barrier --------------------------------------------------------------------------------- */

/* The leader says when it is over, for all of the same round. */
static void meet(struct storm *storm, int index, uint64_t *random)
{
    int rc;

    if (atomic_load(&storm->over))
        return;
    storm->rounds[index]++;
    dawdle(random);
    rc = skua_barrier_wait(&storm->barrier);
    CHECK_RANGE(rc, 0, 1);
    for (int i = 0; i < ALL; i++) /* nobody writes between the two meetings */
        CHECK_EQ(storm->rounds[i], storm->rounds[index]);
    if (rc == 1) {
        atomic_fetch_add(&storm->counted, 1);
        atomic_store(&storm->over, time_is_up(storm));
    }
    rc = skua_barrier_wait(&storm->barrier);
    CHECK_RANGE(rc, 0, 1);
}

TEST(storm_on_a_barrier)
{
    int64_t rounds[ALL] = {0};
    struct storm storm = {.barrier = SKUA_BARRIER_INIT(ALL), .rounds = rounds, .led = true};

    storm_run(&storm, meet);
    CHECK_EQ(rounds[0], atomic_load(&storm.counted));
    CHECK(rounds[0] > 0);
    test_note("%lld rounds", (long long)rounds[0]);
}

/* ---- once ------------------------------------------------------------------------------------ */

/* Every third run succeeds. */
static int make(void *arg)
{
    struct storm *storm = arg;

    CHECK_EQ(atomic_fetch_add(&storm->out, 1), 0);
    storm->counter++;
    (void)skua_yield();
    atomic_fetch_sub(&storm->out, 1);
    return storm->counter % 3 == 0 ? 0 : -EIO;
}

/* All at a time; then the leader of the barrier makes it new. */
static void run_once(struct storm *storm, int index, uint64_t *random)
{
    int rc;

    (void)index;
    if (atomic_load(&storm->over))
        return;
    do {
        dawdle(random);
        rc = skua_once_run(&storm->once, make, storm);
        CHECK(rc == 0 || rc == -EIO);
        atomic_fetch_add(&storm->counted, rc != 0);
    } while (rc != 0);
    CHECK_EQ(storm->counter % 3, 0);
    CHECK_EQ(skua_once_done(&storm->once), 1);
    if (skua_barrier_wait(&storm->barrier) == 1) {
        atomic_fetch_add(&storm->granted, 1);
        storm->once = (skua_once)SKUA_ONCE_INIT;
        atomic_store(&storm->over, time_is_up(storm));
    }
    CHECK_RANGE(skua_barrier_wait(&storm->barrier), 0, 1);
}

TEST(storm_on_a_once)
{
    struct storm storm = {.barrier = SKUA_BARRIER_INIT(ALL), .led = true};

    storm_run(&storm, run_once);
    CHECK(storm.counter > 0);
    CHECK_EQ(storm.counter, 3 * atomic_load(&storm.granted));
    CHECK_EQ(atomic_load(&storm.counted), 2 * atomic_load(&storm.granted));
    test_note("%lld runs", (long long)storm.counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storm_on_a_mutex),    cmocka_unit_test(storm_on_a_semaphore),
        cmocka_unit_test(storm_on_a_rwlock),   cmocka_unit_test(storm_of_notifies),
        cmocka_unit_test(storm_on_one_permit), cmocka_unit_test(storm_on_a_cond),
        cmocka_unit_test(storm_on_a_barrier),  cmocka_unit_test(storm_on_a_once),
    };

    return TEST_MAIN(tests);
}
