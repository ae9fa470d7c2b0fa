/* drivers: both */
/* test_stress_wake.c - a hunt for lost wake-ups.
 *
 * A token goes round between tasks and foreign threads through futures of the user's own: each
 * holder waits until the token is its own, then hands it on and wakes the next. One lost wake and
 * the round stands still, which the watchdog tells. Wakes come while the target is parking, while
 * it runs, and from many threads at once. SKUA_STRESS_SECONDS lengthens it.
 */
#include <pthread.h>

#include "../lib/event.h"

/* ---- the token ------------------------------------------------------------------------------- */

enum { SEATS = 8 };

struct seat {
    pthread_mutex_t lock;
    skua_waker *waker; /* lock: who waits here */
};

struct table {
    atomic_llong token; /* seat number = token % SEATS */
    struct seat seats[SEATS];
    atomic_bool over;
};

struct token_wait {
    skua_future future;
    struct table *table;
    int seat;
};

static void keep_waker(struct seat *seat, skua_waker *waker)
{
    skua_waker *old;

    pthread_mutex_lock(&seat->lock);
    old = seat->waker;
    seat->waker = waker ? skua_waker_ref(waker) : NULL;
    pthread_mutex_unlock(&seat->lock);
    skua_waker_unref(old);
}

static bool my_turn(const struct token_wait *self)
{
    return atomic_load(&self->table->token) % SEATS == self->seat ||
           atomic_load(&self->table->over);
}

static skua_poll token_poll(skua_future *future, skua_waker *waker)
{
    struct token_wait *self = (struct token_wait *)future;
    struct seat *seat = &self->table->seats[self->seat];

    if (!my_turn(self)) {
        keep_waker(seat, waker);
        if (!my_turn(self)) /* the token may have come in between */
            return SKUA_PENDING;
    }
    keep_waker(seat, NULL);
    return 0;
}

static void token_drop(skua_future *future)
{
    struct token_wait *self = (struct token_wait *)future;

    keep_waker(&self->table->seats[self->seat], NULL);
}

static const skua_future_ops token_ops = {"token", token_poll, token_drop};

static void wake_seat(struct seat *seat)
{
    pthread_mutex_lock(&seat->lock);
    if (seat->waker)
        skua_waker_wake(seat->waker);
    pthread_mutex_unlock(&seat->lock);
}

static void hand_on(struct table *table)
{
    long long token = atomic_fetch_add(&table->token, 1) + 1;

    wake_seat(&table->seats[token % SEATS]);
}

/* ---- who sits there -------------------------------------------------------------------------- */

struct guest {
    struct table *table;
    int seat;
};

static int plays(void *arg)
{
    struct guest *self = arg;

    while (!atomic_load(&self->table->over)) {
        struct token_wait wait = {{&token_ops}, self->table, self->seat};
        int rc = (int)skua_await(&wait.future);

        if (rc != 0)
            return rc;
        if (!atomic_load(&self->table->over))
            hand_on(self->table);
    }
    return 0;
}

static void *plays_on_a_thread(void *arg)
{
    CHECK_EQ(plays(arg), 0);
    return NULL;
}

struct poll_guest {
    skua_async async;
    struct guest guest;
    struct token_wait wait;
};

static skua_poll plays_as_poll_task(void *state, skua_waker *waker)
{
    struct poll_guest *self = state;

    SKUA_ASYNC(self, waker);
    while (!atomic_load(&self->guest.table->over)) {
        self->wait = (struct token_wait){{&token_ops}, self->guest.table, self->guest.seat};
        SKUA_AWAIT(&self->wait.future);
        if (!atomic_load(&self->guest.table->over))
            hand_on(self->guest.table);
    }
    SKUA_ASYNC_END(0);
}

/* Wakes seats for nothing, all the time. */
static void *haunts(void *arg)
{
    struct table *table = arg;
    uint64_t random = 88172645463325252u;

    while (!atomic_load(&table->over)) {
        wake_seat(&table->seats[test_random(&random) % SEATS]);
        if (test_random(&random) % 64 == 0)
            test_thread_sleep(100 * SKUA_MICROSECOND);
    }
    return NULL;
}

/* Seats: fibers, poll tasks and, when `threads`, two plain threads. */
static void play(const struct test_kind *kind, bool threads, bool haunted, int64_t time)
{
    struct table *table = calloc(1, sizeof *table);
    skua_runtime *runtime = test_runtime(kind);
    struct guest guests[SEATS];
    skua_task *tasks[SEATS] = {NULL};
    pthread_t players[SEATS], ghost;

    for (int i = 0; i < SEATS; i++) {
        pthread_mutex_init(&table->seats[i].lock, NULL);
        guests[i] = (struct guest){table, i};
    }
    for (int i = 0; i < SEATS; i++) {
        struct poll_guest state = {.guest = guests[i]};

        if (threads && i % 4 == 0)
            MUST(pthread_create(&players[i], NULL, plays_on_a_thread, &guests[i]) == 0);
        else if (i % 2)
            MUST(skua_spawn_on(runtime, plays, &guests[i], .task = &tasks[i]) == 0);
        else
            MUST(skua_spawn_poll(skua_runtime_scope(runtime), plays_as_poll_task, &state,
                                 .task = &tasks[i]) == 0);
    }
    if (haunted)
        MUST(pthread_create(&ghost, NULL, haunts, table) == 0);
    test_thread_sleep(time);
    while (atomic_load(&table->token) <= 100) /* a busy machine; or a lost wake, and it hangs */
        test_thread_sleep(MS(1));
    atomic_store(&table->over, true);
    for (int i = 0; i < SEATS; i++) {
        wake_seat(&table->seats[i]);
        if (tasks[i])
            CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        else
            pthread_join(players[i], NULL);
    }
    if (haunted)
        pthread_join(ghost, NULL);
    test_note("%s%s%s: %lld hand-overs", kind->label, threads ? ", threads" : "",
              haunted ? ", haunted" : "", (long long)atomic_load(&table->token));
    test_runtime_free(runtime);
    free(table);
}

/* The token must move on in every slice of time, not only at first. */
TEST(stress_wake_token_goes_round)
{
    int64_t time = test_stress_time(4) / 9;

    for (int i = 1; i < TEST_KINDS; i++) {
        play(&test_kinds[i], false, false, time);
        play(&test_kinds[i], true, false, time);
        play(&test_kinds[i], true, true, time);
    }
}

/* ---- parking and waking at the same moment --------------------------------------------------- */

/* A thread sets an event at about the moment that the fiber parks on it. */
struct volley {
    atomic_int ready; /* rounds the fiber has begun */
    atomic_int fired; /* rounds the thread has fired */
    struct test_event events[2];
    atomic_bool over;
};

static void *volleys(void *arg)
{
    struct volley *self = arg;

    for (int round = 0; !atomic_load(&self->over);) {
        if (atomic_load(&self->ready) <= round)
            continue;
        test_event_set(&self->events[round % 2]);
        atomic_store(&self->fired, ++round);
    }
    return NULL;
}

static int stands_in_volleys(void *arg)
{
    struct volley *self = arg;
    int64_t until = skua_now() + test_stress_time(3) / TEST_KINDS;
    int round = 0;

    for (; skua_now() < until; round++) {
        struct test_event *event = &self->events[round % 2];

        test_event_init(event);
        atomic_store(&self->ready, round + 1);
        for (int spins = round % 50; spins > 0; spins--)
            atomic_load(&self->fired);
        CHECK_EQ(test_event_wait(event), 0);
        while (atomic_load(&self->fired) <= round)
            skua_yield();
    }
    atomic_store(&self->over, true);
    test_note("%d volleys", round);
    return 0;
}

TEST(stress_wake_meets_park)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct volley volley = {.ready = 0};
        pthread_t thread;

        MUST(pthread_create(&thread, NULL, volleys, &volley) == 0);
        test_run(runtime, stands_in_volleys, &volley);
        pthread_join(thread, NULL);
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_wake_token_goes_round),
        cmocka_unit_test(stress_wake_meets_park),
    };

    return TEST_MAIN(tests);
}
