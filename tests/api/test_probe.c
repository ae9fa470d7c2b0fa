/* test_probe.c - observation points: which events come, in which order, with what in them.
 *
 * Specifies probe.h, but for BEGUN and ENDED. One listener writes all events down, in the order in
 * which they come over all threads; a reader checks the grammar of each task's.
 */
#include <pthread.h>

#include <skua/probe.h>

#include "../lib/event.h"

/* ---- the log --------------------------------------------------------------------------------- */

#define LOG_MAX 65536

struct entry {
    skua_probe_event event;
    pthread_t thread;
};

static pthread_mutex_t entries_lock = PTHREAD_MUTEX_INITIALIZER; /* nobody holds it and calls */
static struct entry entries[LOG_MAX];
static unsigned entries_count; /* entries_lock; behind it entries may be written, before it not */

static void note(const skua_probe_event *event, void *arg)
{
    CHECK(arg == entries);
    pthread_mutex_lock(&entries_lock);
    if (entries_count < LOG_MAX)
        entries[entries_count++] = (struct entry){*event, pthread_self()};
    pthread_mutex_unlock(&entries_lock);
}

static unsigned noted(bool clear)
{
    unsigned count;

    pthread_mutex_lock(&entries_lock);
    count = entries_count;
    entries_count = clear ? 0 : count;
    pthread_mutex_unlock(&entries_lock);
    return count;
}

static const skua_probe_listener writer = {
    .size = sizeof writer, .kinds = SKUA_PROBE_ALL, .event = note, .arg = entries};

static void listen(void)
{
    (void)noted(true);
    MUST(skua_probe_attach(&writer) == 0);
}

static void done(void)
{
    CHECK_EQ(skua_probe_detach(&writer), 0);
    MUST(noted(false) < LOG_MAX);
}

/* The next of the task behind `from` (NULL: the first); kind -1: any. */
static const skua_probe_event *next_of(const skua_probe_event *from, skua_task_id task, int kind)
{
    unsigned at = 0, count = noted(false);

    if (from != NULL)
        at = (unsigned)((const struct entry *)(const void *)from - entries) + 1;
    for (; at < count; at++)
        if (entries[at].event.task == task && (kind < 0 || (int)entries[at].event.kind == kind))
            return &entries[at].event;
    return NULL;
}

static unsigned count_of(skua_task_id task, int kind)
{
    unsigned count = 0;

    for (const skua_probe_event *at = NULL; (at = next_of(at, task, kind)) != NULL;)
        count++;
    return count;
}

/* SPAWNED { POLLED ( PARKED [WOKEN] | YIELDED ) } POLLED DONE, or SPAWNED DONE. */
static bool grammar(skua_task_id task)
{
    static const char *const follows[SKUA_PROBE_KINDS] = {
        [SKUA_PROBE_SPAWNED] = "pd", [SKUA_PROBE_POLLED] = "ayd", [SKUA_PROBE_PARKED] = "wp",
        [SKUA_PROBE_YIELDED] = "p",  [SKUA_PROBE_WOKEN] = "p",    [SKUA_PROBE_DONE] = "",
    };
    static const char names[SKUA_PROBE_KINDS + 1] = "spaywtdcSABbem";
    char text[64] = "";
    size_t len = 0;
    const skua_probe_event *before = NULL;
    bool right = true;

    for (const skua_probe_event *at = NULL; (at = next_of(at, task, -1)) != NULL;) {
        if (at->kind == SKUA_PROBE_CANCELLED || at->kind == SKUA_PROBE_BLOCKED)
            continue;
        if (len + 1 < sizeof text)
            text[len++] = names[at->kind];
        right = right && (before == NULL ? at->kind == SKUA_PROBE_SPAWNED
                                         : strchr(follows[before->kind], names[at->kind]) != NULL);
        before = at;
    }
    right = right && before != NULL && before->kind == SKUA_PROBE_DONE;
    if (!right)
        test_note("events of task %llx: %s", (unsigned long long)task, text);
    return right;
}

/* ---- the life of a task ---------------------------------------------------------------------- */

static int lives(void *arg)
{
    (void)arg;
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    return 5;
}

TEST_FIBER(a_fibers_life)
{
    skua_task_id id, me = skua_task_current_id();
    const skua_probe_event *at;
    unsigned workers = 4;
    skua_scope scope;
    unsigned place;

    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    place = (unsigned)skua_worker_current();
    CHECK_EQ(skua_spawn(&scope, lives, NULL, .name = "alive", .id = &id), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    done();
    CHECK(grammar(id));
    at = next_of(NULL, id, SKUA_PROBE_SPAWNED);
    MUST(at != NULL);
    CHECK(at->parent == me && at->worker == place);
    CHECK(pthread_equal(((const struct entry *)(const void *)at)->thread, pthread_self()));
    CHECK(count_of(id, SKUA_PROBE_YIELDED) >= 1);
    at = next_of(NULL, id, SKUA_PROBE_PARKED);
    MUST(at != NULL);
    CHECK(at->waiting_for != NULL && strcmp(at->waiting_for, "sleep") == 0);
    at = next_of(at, id, SKUA_PROBE_WOKEN);
    MUST(at != NULL);
    CHECK_EQ(at->parent, 0); /* by a timer */
    at = next_of(at, id, SKUA_PROBE_DONE);
    MUST(at != NULL);
    CHECK_EQ(at->arg, 5);
    for (at = NULL; (at = next_of(at, id, -1)) != NULL;) {
        CHECK(at->site != NULL && strcmp(at->site->name, "alive") == 0);
        CHECK(at->site != NULL && strcmp(at->site->file, __FILE__) == 0);
        CHECK(at->worker < workers && at->op == NULL && at->what == NULL);
        CHECK(at->runtime == arg);
    }
    return 0;
}

struct polled {
    struct test_event_wait wait;
    struct test_event *event;
    bool began;
};

static skua_poll polled(void *state, skua_waker *waker)
{
    struct polled *self = state;

    if (!self->began)
        (void)test_event_wait_init(&self->wait, self->event);
    self->began = true;
    return self->wait.future.ops->poll(&self->wait.future, waker) == SKUA_PENDING ? SKUA_PENDING
                                                                                  : 9;
}

TEST_FIBER(a_poll_tasks_life)
{
    struct test_event event;
    struct polled state = {.event = &event};
    skua_task_id id, me = skua_task_current_id();
    const skua_probe_event *at;
    skua_scope scope;

    test_event_init(&event);
    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn_poll(&scope, polled, &state, .id = &id), 0);
    while (test_event_waiters(&event) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_sleep(MS(2)), 0); /* it is idle, unless its worker is stopped just there */
    test_event_set(&event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    done();
    CHECK(grammar(id));
    CHECK(count_of(id, SKUA_PROBE_POLLED) >= 2);
    at = next_of(NULL, id, SKUA_PROBE_PARKED);
    MUST(at != NULL);
    CHECK(at->waiting_for == NULL);
    at = next_of(at, id, SKUA_PROBE_WOKEN);
    if (at != NULL)
        CHECK_EQ(at->parent, me);
    at = next_of(NULL, id, SKUA_PROBE_DONE);
    MUST(at != NULL);
    CHECK_EQ(at->arg, 9);
    return 0;
}

static skua_poll wakes_itself(void *state, skua_waker *waker)
{
    if ((*(int *)state)-- == 0)
        return 0;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

TEST_FIBER(no_wake_is_told_of_what_was_not_idle)
{
    int turns = 3;
    skua_task_id id;
    skua_scope scope;

    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn_poll(&scope, wakes_itself, &turns, .id = &id), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    done();
    CHECK(grammar(id));
    CHECK_EQ(count_of(id, SKUA_PROBE_POLLED), 4);
    CHECK_EQ(count_of(id, SKUA_PROBE_PARKED), 3);
    CHECK_EQ(count_of(id, SKUA_PROBE_WOKEN), 0);
    return 0;
}

/* A fiber that is woken before it could leave goes on: its turn ends, and another begins. */
static skua_poll woken_poll(skua_future *future, skua_waker *waker)
{
    struct test_event_wait *self = (struct test_event_wait *)(void *)future;

    if (self->next != NULL)
        return 0;
    self->next = self;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static void woken_drop(skua_future *future)
{
    (void)future;
}

static int wakes_at_once(void *arg)
{
    static const skua_future_ops ops = {.name = "at once", .poll = woken_poll, .drop = woken_drop};
    struct test_event_wait wait = {.future = {&ops}};

    (void)arg;
    return (int)skua_await(&wait.future);
}

TEST_FIBER(a_fiber_that_is_woken_at_once)
{
    skua_task_id id;
    skua_scope scope;

    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, wakes_at_once, NULL, .id = &id), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    done();
    CHECK(grammar(id));
    CHECK_EQ(count_of(id, SKUA_PROBE_PARKED), 1);
    CHECK_EQ(count_of(id, SKUA_PROBE_POLLED), 2);
    return 0;
}

/* ---- cancelled ------------------------------------------------------------------------------- */

TEST_FIBER(cancelled_in_a_wait)
{
    skua_task_id id;
    skua_task *task;
    skua_scope scope;

    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL, .id = &id, .task = &task), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_cancel(task), 0); /* is told once */
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    done();
    CHECK(grammar(id));
    CHECK_EQ(count_of(id, SKUA_PROBE_CANCELLED), 1);
    MUST(count_of(id, SKUA_PROBE_DONE) == 1);
    CHECK_EQ(next_of(NULL, id, SKUA_PROBE_DONE)->arg, -ECANCELED);
    return 0;
}

TEST_FIBER_CURRENT(cancelled_before_its_first_turn)
{
    int turns = 0;
    skua_task_id id[2];
    skua_scope scope;

    listen();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, lives, NULL, .id = &id[0]), 0);
    CHECK_EQ(skua_spawn_poll(&scope, wakes_itself, &turns, .id = &id[1]), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    done();
    for (int i = 0; i < 2; i++) {
        CHECK(grammar(id[i]));
        CHECK_EQ(count_of(id[i], -1), 3);
        CHECK_EQ(count_of(id[i], SKUA_PROBE_CANCELLED), 1);
    }
    return 0;
}

/* ---- workers --------------------------------------------------------------------------------- */

TEST(from_a_plain_thread)
{
    for (unsigned i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        const skua_probe_event *at;
        skua_task_id id;

        test_variant(test_kinds[i].label);
        listen();
        CHECK_EQ(skua_spawn_on(runtime, test_fiber_return, NULL, .id = &id), 0);
        at = next_of(NULL, id, SKUA_PROBE_SPAWNED);
        MUST(at != NULL);
        CHECK_EQ(at->worker, ~0u);
        CHECK_EQ(at->parent, 0);
        test_runtime_free(runtime);
        CHECK(grammar(id));
        done();
    }
}

/* Each worker sleeps and wakes in turn; a worker that has slept tells how many events woke it. */
TEST(workers_sleep_and_wake)
{
    for (unsigned i = 0; i < TEST_KINDS; i++) {
        unsigned slept = 0, woken = 0;
        skua_runtime *runtime;

        test_variant(test_kinds[i].label);
        listen();
        runtime = test_runtime(&test_kinds[i]);
        CHECK_EQ(skua_block_on(runtime, lives, NULL, NULL), 0);
        test_runtime_free(runtime);
        done();
        for (unsigned k = 0; k < noted(false); k++) {
            const skua_probe_event *event = &entries[k].event;

            if (event->kind != SKUA_PROBE_SLEEP && event->kind != SKUA_PROBE_AWAKE)
                continue;
            CHECK(event->worker < test_kinds[i].workers || test_kinds[i].workers == 0);
            CHECK(event->task == 0 && event->site == NULL && event->arg >= 0);
            slept += event->kind == SKUA_PROBE_SLEEP;
            woken += event->kind == SKUA_PROBE_AWAKE;
        }
        CHECK(slept > 0); /* the fiber sleeps */
        CHECK_EQ(slept, woken);
    }
}

static int spins(void *arg)
{
    int64_t end = skua_now() + (int64_t)(intptr_t)arg;

    while (skua_now() < end)
        continue;
    return 0;
}

static bool seen(int kind, int64_t deadline, skua_task_id task, int64_t spin)
{
    while (skua_now() < deadline) {
        skua_scope scope;

        (void)noted(true);
        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        for (int i = 0; task == 0 && i < 64; i++)
            CHECK_EQ(skua_spawn(&scope, spins, (void *)(intptr_t)spin), 0);
        (void)spins((void *)(intptr_t)spin);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(skua_yield(), 0);
        if (next_of(NULL, task, kind) != NULL)
            return true;
    }
    return false;
}

static int robbed(void *arg)
{
    const skua_probe_event *at;

    (void)arg;
    listen();
    if (CHECK(seen(SKUA_PROBE_STOLEN, skua_now() + 10 * SKUA_SECOND, 0, 20000))) {
        at = next_of(NULL, 0, SKUA_PROBE_STOLEN);
        CHECK(at->arg >= 1 && at->worker < 2);
    }
    done();
    return 0;
}

TEST(a_thief_tells_what_it_took)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);

    test_run(runtime, robbed, NULL);
    test_runtime_free(runtime);
}

/* Some turns are timed: sooner or later one of a fiber that is always too long. */
TEST_FIBER(a_turn_that_is_too_long)
{
    skua_task_id me = skua_task_current_id();
    const skua_probe_event *at;

    listen();
    if (CHECK(seen(SKUA_PROBE_BLOCKED, skua_now() + 10 * SKUA_SECOND, me, MS(11)))) {
        at = next_of(NULL, me, SKUA_PROBE_BLOCKED);
        CHECK(at->arg >= MS(10) && at->runtime == arg);
        CHECK(at->site != NULL && at->site->name != NULL);
    }
    done();
    return 0;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static struct counter {
    skua_probe_listener listener;
    atomic_ulong events, wrong;
    atomic_uint places; /* a bit each that was seen */
} counters[SKUA_PROBE_LISTENERS + 1];

static void count(const skua_probe_event *event, void *arg)
{
    struct counter *self = arg;

    atomic_fetch_add_explicit(&self->events, 1, memory_order_relaxed);
    if (!(self->listener.kinds & SKUA_PROBE_BIT(event->kind)))
        atomic_fetch_add(&self->wrong, 1);
    (void)atomic_fetch_or_explicit(&self->places, 1u << event->place, memory_order_relaxed);
}

static struct counter *counter(int i, uint32_t kinds)
{
    struct counter *self = &counters[i];

    self->listener = (skua_probe_listener){sizeof self->listener, kinds, count, self};
    atomic_store(&self->events, 0);
    atomic_store(&self->wrong, 0);
    atomic_store(&self->places, 0);
    return self;
}

TEST(bad_listeners_are_refused)
{
    skua_probe_listener listener = writer;

    CHECK_EQ(skua_probe_attach(NULL), -EINVAL);
    listener.size--;
    CHECK_EQ(skua_probe_attach(&listener), -EINVAL);
    listener = writer;
    listener.event = NULL;
    CHECK_EQ(skua_probe_attach(&listener), -EINVAL);
    listener = writer;
    listener.kinds = 0;
    CHECK_EQ(skua_probe_attach(&listener), -EINVAL);
    listener.kinds = SKUA_PROBE_ALL + 1;
    CHECK_EQ(skua_probe_attach(&listener), -EINVAL);
    CHECK_EQ(skua_probe_detach(&listener), -ENOENT);
    CHECK_EQ(skua_probe_detach(NULL), -ENOENT);
}

TEST(eight_of_them_have_a_place_each)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);
    unsigned places = 0, free_place;

    for (int i = 0; i < SKUA_PROBE_LISTENERS; i++) {
        CHECK_EQ(skua_probe_attach(&counter(i, 1u << i)->listener), 0);
        CHECK_EQ(skua_probe_attach(&counters[i].listener), -EBUSY);
    }
    CHECK_EQ(skua_probe_attach(&counter(8, SKUA_PROBE_ALL)->listener), -EBUSY);
    MUST(skua_block_on(runtime, lives, NULL, NULL) == 0);
    for (int i = 0; i < SKUA_PROBE_LISTENERS; i++) {
        unsigned mine = atomic_load(&counters[i].places);

        CHECK_EQ(atomic_load(&counters[i].wrong), 0);
        CHECK_EQ((mine & (mine - 1)) | (mine & places), 0); /* one, and nobody else's */
        places |= mine;
    }
    for (int i = 0; i < SKUA_PROBE_KINDS && i < SKUA_PROBE_LISTENERS; i++)
        CHECK_EQ(atomic_load(&counters[i].events) != 0,
                 i != SKUA_PROBE_STOLEN && i != SKUA_PROBE_CANCELLED);
    free_place = atomic_load(&counters[SKUA_PROBE_POLLED].places);
    CHECK_EQ(skua_probe_detach(&counters[SKUA_PROBE_POLLED].listener), 0);
    CHECK_EQ(skua_probe_detach(&counters[SKUA_PROBE_POLLED].listener), -ENOENT);
    CHECK_EQ(skua_probe_attach(&counters[8].listener), 0); /* in the place that is free now */
    MUST(skua_block_on(runtime, lives, NULL, NULL) == 0);
    CHECK_EQ(atomic_load(&counters[8].places), free_place);
    for (int i = 0; i <= SKUA_PROBE_LISTENERS; i++)
        CHECK_EQ(skua_probe_detach(&counters[i].listener), i == SKUA_PROBE_POLLED ? -ENOENT : 0);
    test_runtime_free(runtime);
}

TEST(who_has_left_hears_nothing_more)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    struct counter *self = counter(0, SKUA_PROBE_ALL);
    unsigned long events;

    CHECK_EQ(skua_probe_attach(&self->listener), 0);
    MUST(skua_block_on(runtime, lives, NULL, NULL) == 0);
    CHECK_EQ(skua_probe_detach(&self->listener), 0);
    test_runtime_free(runtime); /* calls that were under way are over */
    events = atomic_load(&self->events);
    CHECK(events != 0);
    runtime = test_runtime(&test_kinds[2]);
    MUST(skua_block_on(runtime, lives, NULL, NULL) == 0);
    test_runtime_free(runtime);
    CHECK_EQ(atomic_load(&self->events), events);
}

static atomic_bool stress_over;

static int stress(void *arg)
{
    (void)arg;
    while (!atomic_load(&stress_over)) {
        skua_scope scope;

        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        (void)skua_yield();
    }
    return 0;
}

TEST(they_come_and_go_while_workers_run)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    int64_t end = skua_now() + MS(300);
    uint64_t seed = test_seed();
    unsigned there = 0;
    skua_scope scope;

    for (int i = 0; i < SKUA_PROBE_LISTENERS; i++)
        (void)counter(i, i % 2 == 0 ? SKUA_PROBE_ALL : SKUA_PROBE_BIT(i));
    atomic_store(&stress_over, false);
    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, stress, NULL) == 0);
    while (skua_now() < end) {
        unsigned i = (unsigned)(test_random(&seed) % SKUA_PROBE_LISTENERS);

        CHECK_EQ((there >> i & 1) != 0 ? skua_probe_detach(&counters[i].listener)
                                       : skua_probe_attach(&counters[i].listener),
                 0);
        there ^= 1u << i;
        if (test_random(&seed) % 64 == 0)
            test_thread_sleep(MS(1));
    }
    for (unsigned i = 0; i < SKUA_PROBE_LISTENERS; i++)
        CHECK_EQ(skua_probe_detach(&counters[i].listener), (there >> i & 1) != 0 ? 0 : -ENOENT);
    atomic_store(&stress_over, true);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
    for (int i = 0; i < SKUA_PROBE_LISTENERS; i++)
        CHECK_EQ(atomic_load(&counters[i].wrong), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fibers_life),
        cmocka_unit_test(a_poll_tasks_life),
        cmocka_unit_test(no_wake_is_told_of_what_was_not_idle),
        cmocka_unit_test(a_fiber_that_is_woken_at_once),
        cmocka_unit_test(cancelled_in_a_wait),
        cmocka_unit_test(cancelled_before_its_first_turn),
        cmocka_unit_test(from_a_plain_thread),
        cmocka_unit_test(workers_sleep_and_wake),
        cmocka_unit_test(a_thief_tells_what_it_took),
        cmocka_unit_test(a_turn_that_is_too_long),
        cmocka_unit_test(bad_listeners_are_refused),
        cmocka_unit_test(eight_of_them_have_a_place_each),
        cmocka_unit_test(who_has_left_hears_nothing_more),
        cmocka_unit_test(they_come_and_go_while_workers_run),
    };

    return TEST_MAIN(tests);
}
