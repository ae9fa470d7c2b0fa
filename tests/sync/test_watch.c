/* test_watch.c - the newest value, and waiting for it to change.
 *
 * Specifies broadcast.h's second half: what counts as seen, waiting for a change and for a certain
 * value, closing from either side, and that a dropped wait has seen nothing.
 */
#include <pthread.h>

#include "../lib/event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

struct watch {
    skua_watch_sender *tx;
    skua_watch_receiver *rx;
};

static struct watch watch_of(uint64_t number)
{
    struct watch watch;

    MUST(skua_watch_new(&watch.tx, &watch.rx, sizeof number, &number) == 0);
    return watch;
}

static void watch_end(struct watch *watch)
{
    skua_watch_sender_close(watch->tx);
    skua_watch_receiver_close(watch->rx);
}

static void send_number(struct watch *watch, uint64_t number)
{
    CHECK_EQ(skua_watch_send(watch->tx, &number), 0);
}

/* The newest value is `number`, and it is unseen or not; it stays so. */
static void check_value(skua_watch_receiver *rx, uint64_t number, bool unseen)
{
    uint64_t got = 77;

    CHECK_EQ(skua_watch_borrow(rx, &got), unseen);
    CHECK_EQ(got, number);
}

/* Adds *arg, and says whether that is a change. */
static int add(void *value, void *arg)
{
    *(uint64_t *)value += *(uint64_t *)arg;
    return *(uint64_t *)arg != 0;
}

static int add_number(struct watch *watch, uint64_t number)
{
    return skua_watch_send_if_modified(watch->tx, add, &number);
}

/* ---- what is seen ---------------------------------------------------------------------------- */

TEST_FIBER(newest_value_is_seen)
{
    struct watch watch = watch_of(1);
    uint64_t got = 77;

    check_value(watch.rx, 1, false);
    CHECK_EQ(skua_watch_try_changed(watch.rx), -EAGAIN);
    for (uint64_t number = 2; number < 5; number++)
        send_number(&watch, number);
    check_value(watch.rx, 4, true);
    CHECK_EQ(skua_watch_changed(watch.rx), 0);
    check_value(watch.rx, 4, false);
    CHECK_EQ(skua_watch_try_changed(watch.rx), -EAGAIN); /* three changes are one */
    send_number(&watch, 4);                              /* the same value again is a change, too */
    CHECK_EQ(skua_watch_borrow_and_update(watch.rx, &got), 1);
    CHECK_EQ(got, 4);
    CHECK_EQ(skua_watch_borrow_and_update(watch.rx, &got), 0);
    CHECK_EQ(skua_watch_changed_until(watch.rx, skua_now() + MS(1)), -ETIMEDOUT);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(each_receiver_has_seen_its_own)
{
    struct watch watch = watch_of(1);
    skua_watch_receiver *clone, *fresh;

    send_number(&watch, 2);
    MUST(skua_watch_receiver_clone(watch.rx, &clone) == 0);
    MUST(skua_watch_subscribe(watch.tx, &fresh) == 0);
    check_value(fresh, 2, false);
    CHECK_EQ(skua_watch_try_changed(fresh), -EAGAIN);
    CHECK_EQ(skua_watch_try_changed(clone), 0);
    CHECK_EQ(skua_watch_try_changed(clone), -EAGAIN);
    check_value(watch.rx, 2, true);
    send_number(&watch, 3);
    CHECK_EQ(skua_watch_try_changed(fresh), 0);
    CHECK_EQ(skua_watch_try_changed(clone), 0);
    CHECK_EQ(skua_watch_try_changed(watch.rx), 0);
    skua_watch_receiver_close(clone);
    skua_watch_receiver_close(fresh);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(value_is_changed_in_place)
{
    struct watch watch = watch_of(1);

    CHECK_EQ(add_number(&watch, 0), 0);
    CHECK_EQ(skua_watch_try_changed(watch.rx), -EAGAIN);
    CHECK_EQ(add_number(&watch, 4), 1);
    CHECK_EQ(skua_watch_changed(watch.rx), 0);
    check_value(watch.rx, 5, false);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(values_of_any_size)
{
    static unsigned char out[1 << 20], in[1 << 20];
    struct watch watch;

    for (size_t size = 1; size <= sizeof out; size = size < 6 ? size + 2 : size * 3) {
        memset(out, 1, size);
        MUST(skua_watch_new(&watch.tx, &watch.rx, size, out) == 0);
        memset(out, 2, size);
        CHECK_EQ(skua_watch_send(watch.tx, out), 0);
        CHECK_EQ(skua_watch_borrow_and_update(watch.rx, in), 1);
        CHECK(memcmp(out, in, size) == 0);
        watch_end(&watch);
    }
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER(last_sender_ends_the_changes)
{
    struct watch watch = watch_of(1);
    skua_watch_sender *other = skua_watch_sender_clone(watch.tx);
    skua_watch_receiver *late;

    send_number(&watch, 2);
    skua_watch_sender_close(other);
    CHECK_EQ(skua_watch_changed(watch.rx), 0);
    CHECK_EQ(skua_watch_try_changed(watch.rx), -EAGAIN);
    send_number(&watch, 3);
    skua_watch_sender_close(watch.tx);
    watch.tx = NULL;
    MUST(skua_watch_receiver_clone(watch.rx, &late) == 0);
    CHECK_EQ(skua_watch_changed(watch.rx), 0); /* what is new is still told */
    check_value(watch.rx, 3, false);
    CHECK_EQ(skua_watch_changed(watch.rx), SKUA_ECLOSED);
    CHECK_EQ(skua_watch_try_changed(watch.rx), SKUA_ECLOSED);
    CHECK_EQ(skua_watch_try_changed(late), 0);
    skua_watch_receiver_close(late);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(nobody_watches)
{
    struct watch watch = watch_of(1);
    uint64_t number = 2;

    CHECK_EQ(skua_watch_is_closed(watch.tx), 0);
    skua_watch_receiver_close(watch.rx);
    CHECK_EQ(skua_watch_is_closed(watch.tx), 1);
    CHECK_EQ(skua_watch_closed(watch.tx), 0);
    CHECK_EQ(skua_watch_send(watch.tx, &number), SKUA_ECLOSED);
    MUST(skua_watch_subscribe(watch.tx, &watch.rx) == 0);
    check_value(watch.rx, 1, false); /* as it was */
    CHECK_EQ(skua_watch_is_closed(watch.tx), 0);
    skua_watch_receiver_close(watch.rx);
    CHECK_EQ(add_number(&watch, 1), 1); /* needs nobody */
    MUST(skua_watch_subscribe(watch.tx, &watch.rx) == 0);
    check_value(watch.rx, 2, false);
    watch_end(&watch);
    return 0;
}

static int waits_for_nobody(void *arg)
{
    return skua_watch_closed(arg);
}

TEST_FIBER(sender_waits_until_nobody_watches)
{
    struct watch watch = watch_of(1);
    skua_watch_receiver *other;
    skua_task *tasks[2];
    int result = 77;

    MUST(skua_watch_receiver_clone(watch.rx, &other) == 0);
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(NULL, waits_for_nobody, watch.tx, .task = &tasks[i]) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0); /* a task that did not begin is cancelled all the same */
    CHECK_EQ(skua_task_cancel(tasks[0]), 0);
    CHECK_EQ(skua_task_join(tasks[0], &result), 0);
    CHECK_EQ(result, -ECANCELED);
    skua_watch_receiver_close(watch.rx);
    CHECK_EQ(skua_watch_is_closed(watch.tx), 0);
    skua_watch_receiver_close(other);
    CHECK_EQ(skua_task_join(tasks[1], &result), 0);
    CHECK_EQ(result, 0);
    skua_watch_sender_close(watch.tx);
    return 0;
}

/* ---- waiting in all ways --------------------------------------------------------------------- */

struct watcher {
    skua_watch_receiver *rx;
    uint64_t wanted; /* 0: any change */
    uint64_t got;
    skua_poll rc;
    atomic_int begun, done;
};

static int at_least(const void *value, void *arg)
{
    return *(const uint64_t *)value >= *(const uint64_t *)arg;
}

static void has_watched(struct watcher *self, skua_poll rc)
{
    self->rc = rc;
    if (self->wanted == 0)
        (void)skua_watch_borrow(self->rx, &self->got);
    atomic_store(&self->done, 1);
}

static int watches(void *arg)
{
    struct watcher *self = arg;

    atomic_store(&self->begun, 1);
    has_watched(self, self->wanted == 0
                          ? skua_watch_changed(self->rx)
                          : skua_watch_wait_for(self->rx, at_least, &self->wanted, &self->got));
    return 0;
}

static void *thread_watches(void *arg)
{
    return (void *)(intptr_t)watches(arg);
}

struct polled {
    skua_async async;
    void *who;
    skua_watch_for_future wait;
    skua_poll rc;
};

static skua_poll watches_in_poll_task(void *state, skua_waker *waker)
{
    struct polled *self = state;
    struct watcher *watcher = self->who;

    SKUA_ASYNC(self, waker);
    if (watcher->wanted == 0)
        SKUA_AWAIT_TO(self->rc, skua_watch_changed_init(&self->wait.wait, watcher->rx));
    else
        SKUA_AWAIT_TO(self->rc, skua_watch_wait_for_init(&self->wait, watcher->rx, at_least,
                                                         &watcher->wanted, &watcher->got));
    has_watched(watcher, self->rc);
    SKUA_ASYNC_END(0);
}

/* A fiber, a poll task and a thread wait, until `end` ends that. */
static void watch_in_all_ways(struct watch *watch, uint64_t wanted,
                              void (*end)(struct watch *watch), int rc, uint64_t got)
{
    struct watcher watchers[3] = {{.rc = 77}, {.rc = 77}, {.rc = 77}};
    struct polled polled = {.who = &watchers[1]};
    skua_scope scope;
    pthread_t thread;

    for (int i = 0; i < 3; i++) {
        MUST(skua_watch_subscribe(watch->tx, &watchers[i].rx) == 0);
        watchers[i].wanted = wanted;
    }
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, watches, &watchers[0]) == 0);
    MUST(skua_spawn_poll(&scope, watches_in_poll_task, &polled) == 0);
    MUST(pthread_create(&thread, NULL, thread_watches, &watchers[2]) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0); /* they wait by now, mostly */
    end(watch);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_yield_until(&watchers[2].done);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(watchers[i].rc, rc);
        CHECK_EQ(watchers[i].got, got);
        skua_watch_receiver_close(watchers[i].rx);
    }
}

static void sends_five(struct watch *watch)
{
    send_number(watch, 5);
}

static void adds_up_to_nine(struct watch *watch)
{
    for (int i = 5; i < 9; i++) {
        CHECK_EQ(add_number(watch, 1), 1);
        CHECK_EQ(skua_yield(), 0);
    }
}

static void closes(struct watch *watch)
{
    skua_watch_sender_close(watch->tx);
    watch->tx = NULL;
}

static void sends_ten_and_closes(struct watch *watch)
{
    send_number(watch, 10);
    closes(watch);
}

TEST_FIBER(change_ends_all_waits)
{
    struct watch watch = watch_of(1);

    for (int i = 0; i < 5; i++)
        watch_in_all_ways(&watch, 0, sends_five, 0, 5);
    watch_in_all_ways(&watch, 0, closes, SKUA_ECLOSED, 5);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(certain_value_ends_all_waits)
{
    struct watch watch = watch_of(5);

    watch_in_all_ways(&watch, 9, adds_up_to_nine, 0, 9);
    watch_in_all_ways(&watch, 10, sends_ten_and_closes, 0, 10); /* the last value counts, too */
    watch_end(&watch);
    watch = watch_of(5);
    watch_in_all_ways(&watch, 11, sends_ten_and_closes, SKUA_ECLOSED, 10);
    watch_end(&watch);
    return 0;
}

TEST_FIBER(value_that_is_there_is_not_waited_for)
{
    struct watch watch = watch_of(5);
    uint64_t wanted = 5;
    uint64_t got = 77;

    CHECK_EQ(skua_watch_wait_for(watch.rx, at_least, &wanted, &got), 0); /* seen, and good */
    CHECK_EQ(got, 5);
    send_number(&watch, 6);
    CHECK_EQ(skua_watch_wait_for(watch.rx, at_least, &wanted, &got), 0);
    CHECK_EQ(got, 6);
    check_value(watch.rx, 6, false);
    send_number(&watch, 7);
    wanted = 8;
    CHECK_EQ(skua_watch_wait_for_until(watch.rx, at_least, &wanted, &got, skua_now() + MS(1)),
             -ETIMEDOUT);
    CHECK_EQ(got, 7);
    check_value(watch.rx, 7, false); /* looked at */
    closes(&watch);
    wanted = 7;
    CHECK_EQ(skua_watch_wait_for(watch.rx, at_least, &wanted, &got), 0); /* closed, and good */
    watch_end(&watch);
    return 0;
}

/* Meddles while it looks: what came in between is not slept through. */
static int sends_up_to_three_and_closes(const void *value, void *arg)
{
    const uint64_t *number = value;

    if (*number < 3)
        send_number(arg, *number + 1);
    else
        closes(arg);
    return 0;
}

TEST_FIBER(value_that_comes_while_one_is_looked_at)
{
    struct watch watch = watch_of(1);
    uint64_t got = 77;

    CHECK_EQ(skua_watch_wait_for(watch.rx, sends_up_to_three_and_closes, &watch, &got),
             SKUA_ECLOSED);
    CHECK_EQ(got, 3);
    watch_end(&watch);
    return 0;
}

/* ---- cancellation ---------------------------------------------------------------------------- */

TEST_FIBER(cancelled_wait_has_seen_nothing)
{
    struct watch watch = watch_of(1);

    for (uint64_t wanted = 0; wanted < 200; wanted += 100) {
        struct watcher watcher = {.rx = watch.rx, .wanted = wanted, .rc = 77};
        skua_task *task;

        MUST(skua_spawn(NULL, watches, &watcher, .task = &task) == 0);
        test_yield_until(&watcher.begun);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        CHECK_EQ(watcher.rc, -ECANCELED);
        send_number(&watch, 2);
        check_value(watch.rx, 2, true);
        CHECK_EQ(skua_watch_changed_until(watch.rx, 0), 0); /* what is there wins over the time */
    }
    watch_end(&watch);
    return 0;
}

/* Told of a change, and dropped before it was polled again. */
static skua_poll poll_drops_what_it_was_told(void *state, skua_waker *waker)
{
    struct watch *watch = *(struct watch **)state;
    uint64_t wanted = 3;
    uint64_t got = 77;
    skua_sync_future changed;
    skua_watch_for_future wait;

    skua_watch_changed_init(&changed, watch->rx);
    skua_watch_wait_for_init(&wait, watch->rx, at_least, &wanted, &got);
    CHECK_EQ(skua_future_poll(&changed.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&changed.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&wait.wait.future, waker), SKUA_PENDING);
    CHECK_EQ(got, 1);
    send_number(watch, 3);
    skua_future_drop(&changed.future);
    skua_future_drop(&wait.wait.future);
    check_value(watch->rx, 3, true);
    CHECK_EQ(got, 1);
    skua_future_drop(skua_watch_changed_init(&changed, watch->rx)); /* never polled */
    CHECK_EQ(skua_future_poll(skua_watch_changed_init(&changed, watch->rx), waker), 0);
    skua_watch_closed_init(&changed, watch->tx);
    CHECK_EQ(skua_future_poll(&changed.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&changed.future, waker), SKUA_PENDING);
    skua_watch_receiver_close(watch->rx);
    watch->rx = NULL;
    CHECK_EQ(skua_future_poll(&changed.future, waker), 0);
    skua_future_drop(skua_watch_closed_init(&changed, watch->tx));
    return SKUA_READY;
}

TEST_FIBER(dropped_future_has_seen_nothing)
{
    struct watch watch = watch_of(1);
    struct watch *state = &watch;
    skua_task *task;

    MUST(skua_spawn_poll(NULL, poll_drops_what_it_was_told, &state, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    watch_end(&watch);
    return 0;
}

/* ---- what is refused ------------------------------------------------------------------------- */

TEST(bad_arguments)
{
    struct watch watch = {NULL, NULL};
    uint64_t number = 1;

    CHECK_EQ(skua_watch_new(&watch.tx, &watch.rx, 0, &number), -EINVAL);
    CHECK_EQ(skua_watch_new(&watch.tx, &watch.rx, ((size_t)1 << 20) + 1, &number), -EINVAL);
    CHECK_EQ(skua_watch_new(&watch.tx, &watch.rx, SIZE_MAX, &number), -EINVAL);
    CHECK(watch.tx == NULL && watch.rx == NULL);
    watch_end(&watch);
}

#ifdef SKUA_FAULTS
TEST(no_memory)
{
    struct watch watch = {NULL, NULL};
    skua_watch_receiver *other = NULL;
    uint64_t number = 1;

    for (unsigned nth = 1; nth <= 2; nth++) { /* the watch, and its receiver */
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_watch_new(&watch.tx, &watch.rx, sizeof number, &number), -ENOMEM);
        CHECK(watch.tx == NULL && watch.rx == NULL);
    }
    watch = watch_of(1);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_watch_subscribe(watch.tx, &other), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_watch_receiver_clone(watch.rx, &other), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK(other == NULL);
    skua_watch_receiver_close(watch.rx);
    CHECK_EQ(skua_watch_is_closed(watch.tx), 1); /* those that were not made do not count */
    skua_watch_sender_close(watch.tx);
}
#endif

/* ---- stress ---------------------------------------------------------------------------------- */

enum { SETTERS = 3, LOOKERS = 5 };

struct pair {
    uint64_t number;
    uint64_t twice; /* a torn one does not fit */
};

struct show {
    skua_watch_sender *tx;
    int64_t end;
    atomic_ullong changes;
};

static int count_up(void *value, void *arg)
{
    struct pair *pair = value;

    (void)arg;
    pair->number++;
    pair->twice = 2 * pair->number;
    return 1;
}

static int sets(void *arg)
{
    struct show *show = arg;
    uint64_t changes = 0;

    while (skua_now() < show->end) {
        for (int burst = 0; burst < 5; burst++, changes++)
            CHECK_EQ(skua_watch_send_if_modified(show->tx, count_up, NULL), 1);
        (void)skua_yield();
    }
    atomic_fetch_add(&show->changes, changes);
    skua_watch_sender_close(show->tx);
    return 0;
}

static void *thread_sets(void *arg)
{
    return (void *)(intptr_t)sets(arg);
}

struct looker {
    skua_watch_receiver *rx;
    bool hurry; /* its waits end soon, too */
    uint64_t last;
};

/* False when there is no more to come. */
static bool looks(struct looker *self, int64_t rc)
{
    struct pair pair = {0, 0};

    if (rc == SKUA_ECLOSED || rc == -ETIMEDOUT)
        return rc == -ETIMEDOUT;
    CHECK_EQ(rc, 0);
    (void)skua_watch_borrow_and_update(self->rx, &pair);
    CHECK_EQ(pair.twice, 2 * pair.number);
    CHECK(pair.number >= self->last); /* it may have been looked at before it was told */
    self->last = pair.number;
    return true;
}

static int is_a_later_one(const void *value, void *arg)
{
    const struct pair *pair = value;

    CHECK_EQ(pair->twice, 2 * pair->number);
    return pair->number > *(uint64_t *)arg;
}

/* Until when a wait of its may last. */
static int64_t patience(const struct looker *self)
{
    return self->hurry ? skua_now() + 20 * SKUA_MICROSECOND : SKUA_FOREVER;
}

static int looks_all_the_time(void *arg)
{
    struct looker *self = arg;

    while (looks(self, skua_watch_changed_until(self->rx, patience(self))))
        continue;
    return 0;
}

/* The same with a predicate: each value that it gets is later than the one before. */
static int waits_for_later_ones(void *arg)
{
    struct looker *self = arg;
    struct pair pair;
    int rc;

    do {
        rc =
            skua_watch_wait_for_until(self->rx, is_a_later_one, &self->last, &pair, patience(self));
        if (rc == 0 && CHECK(pair.number > self->last))
            self->last = pair.number;
    } while (rc == 0 || rc == -ETIMEDOUT);
    CHECK_EQ(rc, SKUA_ECLOSED);
    return 0;
}

static void *thread_looks(void *arg)
{
    return (void *)(intptr_t)looks_all_the_time(arg);
}

static skua_poll looks_in_poll_task(void *state, skua_waker *waker)
{
    struct polled *self = state;
    struct looker *looker = self->who;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(self->rc, skua_watch_changed_init(&self->wait.wait, looker->rx));
    } while (looks(looker, self->rc));
    SKUA_ASYNC_END(0);
}

static int show_day(void *arg)
{
    struct show *show = arg;
    struct looker lookers[LOOKERS] = {{0}};
    struct polled polled = {.who = &lookers[4]};
    skua_scope scope;
    pthread_t threads[2];

    for (int i = 0; i < LOOKERS; i++) {
        MUST(skua_watch_subscribe(show->tx, &lookers[i].rx) == 0);
        lookers[i].hurry = i % 2 != 0;
    }
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(pthread_create(&threads[0], NULL, thread_looks, &lookers[0]) == 0);
    MUST(skua_spawn(&scope, looks_all_the_time, &lookers[1]) == 0);
    MUST(skua_spawn(&scope, waits_for_later_ones, &lookers[2]) == 0);
    MUST(skua_spawn(&scope, waits_for_later_ones, &lookers[3]) == 0);
    MUST(skua_spawn_poll(&scope, looks_in_poll_task, &polled) == 0);
    for (int i = 1; i < SETTERS; i++) {
        CHECK(skua_watch_sender_clone(show->tx) == show->tx);
        MUST(skua_spawn(&scope, sets, show) == 0);
    }
    MUST(pthread_create(&threads[1], NULL, thread_sets, show) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(pthread_join(threads[0], NULL) | pthread_join(threads[1], NULL), 0);
    for (int i = 0; i < LOOKERS; i++) {
        CHECK_EQ(lookers[i].last, atomic_load(&show->changes)); /* nobody missed the last one */
        skua_watch_receiver_close(lookers[i].rx);
    }
    return 0;
}

TEST(all_see_the_last_value)
{
    int64_t time = test_stress_time(1) / TEST_KINDS;

    for (int kind = 0; kind < TEST_KINDS; kind++) {
        skua_runtime *runtime = test_runtime(&test_kinds[kind]);
        struct show show = {.end = skua_now() + time};
        skua_watch_receiver *rx;

        MUST(skua_watch_new(&show.tx, &rx, sizeof(struct pair), &(struct pair){0, 0}) == 0);
        skua_watch_receiver_close(rx);
        test_run(runtime, show_day, &show);
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_value_is_seen),
        cmocka_unit_test(each_receiver_has_seen_its_own),
        cmocka_unit_test(value_is_changed_in_place),
        cmocka_unit_test(values_of_any_size),
        cmocka_unit_test(last_sender_ends_the_changes),
        cmocka_unit_test(nobody_watches),
        cmocka_unit_test(sender_waits_until_nobody_watches),
        cmocka_unit_test(change_ends_all_waits),
        cmocka_unit_test(certain_value_ends_all_waits),
        cmocka_unit_test(value_that_is_there_is_not_waited_for),
        cmocka_unit_test(value_that_comes_while_one_is_looked_at),
        cmocka_unit_test(cancelled_wait_has_seen_nothing),
        cmocka_unit_test(dropped_future_has_seen_nothing),
        cmocka_unit_test(bad_arguments),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
#endif
        cmocka_unit_test(all_see_the_last_value),
    };

    return TEST_MAIN(tests);
}
