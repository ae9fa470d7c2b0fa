/* test_local_line.c - everybody in line for an object of one worker.
 *
 * Specifies what local.h and local_channel.h have in common: whoever waits is let in first in,
 * first out; a wait that is cancelled, out of time or dropped has taken nothing, and what it was
 * granted goes to the next in line; nothing is lost or doubled, in whatever order tasks run. Tasks
 * of workers are pinned to the one that the objects are of.
 */
#include "../lib/line.h"

/* ---- what can be lined up for ---------------------------------------------------------------- */

struct object;

/* An object is made so that it is not to be had. Whoever has it passes it on. */
struct kind {
    const char *name; /* of the wait */
    void (*make)(struct object *object);
    int (*wait)(struct object *object, int64_t deadline);
    skua_future *(*init)(skua_local_future *wait, struct object *object);
    void (*pass)(struct object *object);
    const skua_local_line *(*line)(struct object *object);
    bool sends; /* a wait that is dropped when it was granted has had it */
};

struct object {
    const struct kind *kind;
    skua_local_semaphore semaphore;
    skua_local_mutex mutex;
    skua_local_rwlock rwlock;
    skua_local_notify notify;
    skua_local_channel *channel;
    uint64_t message;
    uint64_t tickets; /* given to those in line */
    uint64_t last;    /* ticket that was let in */
    int inside;
};

static void sema_make(struct object *object)
{
    CHECK_EQ(skua_local_semaphore_init(&object->semaphore, 0), 0);
}

static int sema_wait(struct object *object, int64_t deadline)
{
    return skua_local_semaphore_acquire_until(&object->semaphore, 1, deadline);
}

static skua_future *sema_init(skua_local_future *wait, struct object *object)
{
    return skua_local_semaphore_acquire_init(wait, &object->semaphore, 1);
}

static void sema_pass(struct object *object)
{
    CHECK_EQ(skua_local_semaphore_release(&object->semaphore, 1), 0);
}

static const skua_local_line *sema_line(struct object *object)
{
    return &object->semaphore.waiters;
}

static void mutex_make(struct object *object)
{
    object->mutex = (skua_local_mutex)SKUA_LOCAL_MUTEX_INIT;
    CHECK_EQ(skua_local_mutex_try_lock(&object->mutex), 0);
}

static int mutex_wait(struct object *object, int64_t deadline)
{
    return deadline == SKUA_FOREVER ? skua_local_mutex_lock(&object->mutex)
                                    : skua_local_mutex_lock_until(&object->mutex, deadline);
}

static skua_future *mutex_init(skua_local_future *wait, struct object *object)
{
    return skua_local_mutex_lock_init(wait, &object->mutex);
}

static void mutex_pass(struct object *object)
{
    CHECK_EQ(skua_local_mutex_unlock(&object->mutex), 0);
}

static const skua_local_line *mutex_line(struct object *object)
{
    return &object->mutex.semaphore.waiters;
}

static void write_make(struct object *object)
{
    object->rwlock = (skua_local_rwlock)SKUA_LOCAL_RWLOCK_INIT;
    CHECK_EQ(skua_local_rwlock_try_write(&object->rwlock), 0);
}

static int write_wait(struct object *object, int64_t deadline)
{
    return skua_local_rwlock_write_until(&object->rwlock, deadline);
}

static skua_future *write_init(skua_local_future *wait, struct object *object)
{
    return skua_local_rwlock_write_init(wait, &object->rwlock);
}

static void write_pass(struct object *object)
{
    CHECK_EQ(skua_local_rwlock_write_unlock(&object->rwlock), 0);
}

static const skua_local_line *write_line(struct object *object)
{
    return &object->rwlock.semaphore.waiters;
}

static void notify_make(struct object *object)
{
    object->notify = (skua_local_notify)SKUA_LOCAL_NOTIFY_INIT;
}

static int notify_wait(struct object *object, int64_t deadline)
{
    return skua_local_notified_until(&object->notify, deadline);
}

static skua_future *notify_init(skua_local_future *wait, struct object *object)
{
    return skua_local_notified_init(wait, &object->notify);
}

static void notify_pass(struct object *object)
{
    skua_local_notify_one(&object->notify);
}

static const skua_local_line *notify_line(struct object *object)
{
    return &object->notify.waiters;
}

static void recv_make(struct object *object)
{
    MUST(skua_local_channel_new(&object->channel, sizeof object->message, 1) == 0);
}

static int recv_wait(struct object *object, int64_t deadline)
{
    return skua_local_channel_recv_until(object->channel, &object->message, deadline);
}

static skua_future *recv_init(skua_local_future *wait, struct object *object)
{
    return skua_local_channel_recv_init(wait, object->channel, &object->message);
}

static void recv_pass(struct object *object)
{
    CHECK_EQ(skua_local_channel_try_send(object->channel, &object->message), 0);
}

/* The channel's lines are its own: the waiters tell. */
static const skua_local_line *no_line(TEST_UNUSED struct object *object)
{
    return NULL;
}

static void send_make(struct object *object)
{
    recv_make(object);
    CHECK_EQ(skua_local_channel_try_send(object->channel, &object->message), 0);
}

static int send_wait(struct object *object, int64_t deadline)
{
    return skua_local_channel_send_until(object->channel, &object->message, deadline);
}

static skua_future *send_init(skua_local_future *wait, struct object *object)
{
    return skua_local_channel_send_init(wait, object->channel, &object->message);
}

static void send_pass(struct object *object)
{
    CHECK_EQ(skua_local_channel_try_recv(object->channel, &object->message), 0);
}

static const struct kind kinds[] = {
    {"local.semaphore", sema_make, sema_wait, sema_init, sema_pass, sema_line, false},
    {"local.mutex", mutex_make, mutex_wait, mutex_init, mutex_pass, mutex_line, false},
    {"local.rwlock.write", write_make, write_wait, write_init, write_pass, write_line, false},
    {"local.notify", notify_make, notify_wait, notify_init, notify_pass, notify_line, false},
    {"local.channel.recv", recv_make, recv_wait, recv_init, recv_pass, no_line, false},
    {"local.channel.send", send_make, send_wait, send_init, send_pass, no_line, true},
};

static void make(struct object *object, const struct kind *kind)
{
    memset(object, 0, sizeof *object);
    object->kind = kind;
    kind->make(object);
}

/* Whether the object is to be had exactly `count` times; then it is gone. */
static void end(struct object *object, int count)
{
    const skua_local_line *line = object->kind->line(object);
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_local_future wait;

    for (int i = 0; i < count; i++)
        CHECK_EQ(skua_future_poll(object->kind->init(&wait, object), waker), 0);
    CHECK_EQ(skua_future_poll(object->kind->init(&wait, object), waker), SKUA_PENDING);
    if (line != NULL)
        CHECK(line->first == &wait.waiter && line->last == &wait.waiter);
    skua_future_drop(&wait.future);
    CHECK(line == NULL || (line->first == NULL && line->last == NULL));
    test_bell_end(&bell);
    skua_local_channel_free(object->channel); /* nobody is left in its lines */
}

/* ---- tasks in line --------------------------------------------------------------------------- */

enum { WAITERS = 6 };

struct waiter {
    struct object *object;
    skua_task *task;
    bool waits; /* set before it does: the next turn is somebody else's when it is in line */
    int *places;
    int place;
    int result;
};

static void waiter_is_in(struct waiter *self, int result)
{
    self->result = result;
    if (result == 0) {
        self->place = (*self->places)++;
        self->object->kind->pass(self->object);
    }
}

static int waits_on_fiber(void *arg)
{
    struct waiter *self = arg;

    self->waits = true;
    waiter_is_in(self, self->object->kind->wait(self->object, SKUA_FOREVER));
    return 0;
}

struct in_poll {
    skua_async async;
    struct waiter *self;
    skua_local_future wait;
    skua_poll answer;
};

static skua_poll waits_in_poll_task(void *state, skua_waker *waker)
{
    struct in_poll *in = state;

    SKUA_ASYNC(in, waker);
    in->self->waits = true;
    SKUA_AWAIT_TO(in->answer, in->self->object->kind->init(&in->wait, in->self->object));
    waiter_is_in(in->self, (int)in->answer);
    SKUA_ASYNC_END(0);
}

static void line_up(struct waiter *waiters, struct object *object, int *places, unsigned polled)
{
    for (unsigned i = 0; i < WAITERS; i++) {
        struct waiter *self = &waiters[i];

        *self = (struct waiter){.object = object, .places = places, .place = -1, .result = 77};
        if (i % 2 == polled)
            MUST(skua_spawn_poll(NULL, waits_in_poll_task, (&(struct in_poll){.self = self}),
                                 .task = &self->task, .flags = SKUA_PINNED) == 0);
        else
            MUST(skua_spawn(NULL, waits_on_fiber, self, .task = &self->task,
                            .flags = SKUA_PINNED) == 0);
        while (!self->waits)
            CHECK_EQ(skua_yield(), 0);
        CHECK_EQ(skua_yield(), 0);
    }
}

static int ended(struct waiter *waiter)
{
    CHECK_EQ(skua_task_join(waiter->task, NULL), 0);
    return waiter->result;
}

TEST_FIBER(local_first_in_first_out)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct waiter waiters[WAITERS];
        struct object object;
        int places = 0;

        make(&object, &kinds[k]);
        line_up(waiters, &object, &places, k % 2);
        CHECK_EQ(places, 0);
        object.kind->pass(&object);
        for (int i = 0; i < WAITERS; i++) {
            CHECK_EQ(ended(&waiters[i]), 0);
            CHECK_EQ(waiters[i].place, i);
        }
        end(&object, 1);
    }
    return 0;
}

/* ---- cancelled, out of time ------------------------------------------------------------------ */

TEST_FIBER(local_cancelled_in_line)
{
    static const int sequence[WAITERS] = {1, 5, 0, 3, 2, 4};

    for (size_t k = 0; k < TEST_LEN(kinds); k++)
        for (unsigned polled = 0; polled < 2; polled++) {
            struct waiter waiters[WAITERS];
            struct object object;
            int places = 0;

            make(&object, &kinds[k]);
            line_up(waiters, &object, &places, polled);
            for (int i = 0; i < WAITERS; i++) {
                CHECK_EQ(skua_task_cancel(waiters[sequence[i]].task), 0);
                CHECK_EQ(ended(&waiters[sequence[i]]), -ECANCELED);
            }
            CHECK_EQ(places, 0);
            end(&object, 0);
        }
    return 0;
}

static int is_cancelled_before(void *arg)
{
    struct object *object = arg;

    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_yield(), -ECANCELED);
    CHECK_EQ(object->kind->wait(object, SKUA_FOREVER), -ECANCELED);
    object->kind->pass(object); /* it is to be had; even so: */
    CHECK_EQ(object->kind->wait(object, SKUA_FOREVER), -ECANCELED);
    return 0;
}

TEST_FIBER(local_cancelled_before)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct object object;
        skua_task *task;

        make(&object, &kinds[k]);
        MUST(skua_spawn(NULL, is_cancelled_before, &object, .task = &task, .flags = SKUA_PINNED) ==
             0);
        CHECK_EQ(skua_yield(), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        end(&object, 1);
    }
    return 0;
}

static int out_of_time(TEST_UNUSED void *arg)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct object object;
        int64_t begin = skua_now();
        skua_deadline frame;

        make(&object, &kinds[k]);
        CHECK_EQ(object.kind->wait(&object, 0), -ETIMEDOUT);
        CHECK_EQ(object.kind->wait(&object, begin + SKUA_HOUR), -ETIMEDOUT);
        CHECK_EQ(skua_now() - begin, SKUA_HOUR);
        CHECK_EQ(skua_deadline_begin(&frame, skua_now() + SKUA_MINUTE), 0);
        CHECK_EQ(object.kind->wait(&object, SKUA_FOREVER), -ETIMEDOUT);
        CHECK_EQ(skua_now() - begin, SKUA_HOUR + SKUA_MINUTE);
        object.kind->pass(&object);
        CHECK_EQ(object.kind->wait(&object, SKUA_FOREVER), -ETIMEDOUT);
        CHECK_EQ(skua_deadline_end(&frame), 0);
        CHECK_EQ(object.kind->wait(&object, skua_now() - 1), 0); /* it need not wait */
        end(&object, 0);
    }
    return 0;
}

TEST(local_out_of_time)
{
    CHECK_EQ(skua_test_run(out_of_time, NULL, NULL), 0);
}

/* ---- dropped by hand ------------------------------------------------------------------------- */

TEST(local_dropped_when_granted)
{
    enum { DROPS = 4 };

    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct test_bell bells[DROPS];
        skua_local_future waits[DROPS];
        skua_waker *wakers[DROPS];
        struct object object;

        make(&object, &kinds[k]);
        for (int i = 0; i < DROPS; i++) {
            wakers[i] = test_bell_init(&bells[i]);
            CHECK_EQ(skua_future_poll(object.kind->init(&waits[i], &object), wakers[i]),
                     SKUA_PENDING);
        }
        skua_future_drop(&waits[2].future); /* only in line */
        skua_future_drop(&waits[2].future);
        object.kind->pass(&object);
        CHECK_EQ(TEST_RINGS(&bells[0]), 1);
        CHECK_EQ(TEST_RINGS(&bells[1]), 0);
        skua_future_drop(&waits[0].future); /* granted */
        skua_future_drop(&waits[0].future);
        if (object.kind->sends)
            object.kind->pass(&object);
        CHECK_EQ(TEST_RINGS(&bells[1]), 1);
        CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 0);
        skua_future_drop(&waits[1].future); /* finished: nothing is taken back */
        CHECK_EQ(TEST_RINGS(&bells[3]), 0);
        object.kind->pass(&object);
        CHECK_EQ(TEST_RINGS(&bells[3]), 1);
        skua_future_drop(&waits[3].future); /* granted, and nobody comes next */
        CHECK_EQ(TEST_RINGS(&bells[2]), 0);
        for (int i = 0; i < DROPS; i++)
            test_bell_end(&bells[i]);
        end(&object, object.kind->sends ? 0 : 1);
    }
}

TEST(local_wakes_only_the_newest_waker)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct test_bell before, after;
        skua_waker *newest = test_bell_init(&after);
        struct object object;
        skua_local_future wait;

        make(&object, &kinds[k]);
        CHECK_EQ(skua_future_poll(object.kind->init(&wait, &object), test_bell_init(&before)),
                 SKUA_PENDING);
        CHECK_EQ(skua_future_poll(&wait.future, newest), SKUA_PENDING);
        test_bell_end(&before);
        CHECK_EQ(skua_future_poll(&wait.future, newest), SKUA_PENDING);
        object.kind->pass(&object);
        CHECK_EQ(TEST_RINGS(&before), 0);
        CHECK_EQ(TEST_RINGS(&after), 1);
        CHECK_EQ(skua_future_poll(&wait.future, newest), 0);
        test_bell_end(&after);
        end(&object, 0);
    }
}

/* ---- named, budgeted ------------------------------------------------------------------------- */

static void counts_name(const skua_task_info *task, void *arg)
{
    const struct object *object = arg;

    if (task->waiting_for && strcmp(task->waiting_for, object->kind->name) == 0)
        ((struct object *)arg)->inside++;
}

TEST_FIBER_CURRENT(local_names_the_wait)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct waiter waiters[WAITERS];
        struct object object;
        int places = 0;

        make(&object, &kinds[k]);
        line_up(waiters, &object, &places, 2); /* all of them are fibers */
        skua_runtime_each_task(arg, counts_name, &object);
        CHECK_EQ(object.inside, WAITERS);
        object.kind->pass(&object);
        for (int i = 0; i < WAITERS; i++)
            CHECK_EQ(ended(&waiters[i]), 0);
        end(&object, 1);
    }
    return 0;
}

static int has_and_passes(void *arg)
{
    struct object *object = arg;
    int rc = object->kind->wait(object, SKUA_FOREVER);

    object->kind->pass(object);
    return rc;
}

TEST_FIBER_CURRENT(local_spends_budget)
{
    for (size_t k = 0; k < TEST_LEN(kinds); k++) {
        struct object object;

        make(&object, &kinds[k]);
        object.kind->pass(&object);
        test_line_budget(has_and_passes, &object);
        end(&object, 1);
    }
    return 0;
}

/* ---- in whatever order ----------------------------------------------------------------------- */

/* A wait that knows when it got in line: one that got in later is not let in before. */
struct ticket {
    skua_future future;
    struct object *object;
    skua_local_future inner;
    uint64_t number; /* 0: not in line yet */
};

static skua_poll ticket_poll(skua_future *future, skua_waker *waker)
{
    struct ticket *self = (struct ticket *)(void *)future;
    skua_poll answer = self->inner.future.ops->poll(&self->inner.future, waker);

    if (self->number == 0)
        self->number = ++self->object->tickets;
    if (answer == 0) {
        CHECK(self->number > self->object->last);
        self->object->last = self->number;
        CHECK_EQ(self->object->inside++, 0);
    }
    return answer;
}

static void ticket_drop(skua_future *future)
{
    struct ticket *self = (struct ticket *)(void *)future;

    skua_future_drop(&self->inner.future);
}

static const skua_future_ops ticket_ops = {"ticket", ticket_poll, ticket_drop};

static skua_future *ticket_init(struct ticket *self, struct object *object)
{
    *self = (struct ticket){.future = {&ticket_ops}, .object = object};
    object->kind->init(&self->inner, object);
    return &self->future;
}

static void leave(struct object *object)
{
    CHECK_EQ(object->inside--, 1);
    object->kind->pass(object);
}

enum { ROUNDS = 4, TASKS = 5 };

static int explores_on_fiber(void *arg)
{
    struct object *object = arg;
    struct ticket ticket;
    int64_t rc;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t patience = skua_now() + (int64_t)(skua_test_random() % 20) * SKUA_SECOND;

        rc = skua_test_random() % 2 ? skua_await(ticket_init(&ticket, object))
                                    : skua_await_until(ticket_init(&ticket, object), patience);
        CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
        if (rc != 0)
            continue;
        (void)skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND);
        leave(object);
    }
    return 0;
}

struct explorer {
    skua_async async;
    struct object *object;
    struct ticket ticket;
    skua_sleep_future sleep;
    skua_poll answer;
    int round;
};

/* When it is cancelled, the sleep of one that is inside ends, and what it has is passed on. */
static skua_poll explores_in_poll_task(void *state, skua_waker *waker)
{
    struct explorer *self = state;

    SKUA_ASYNC(self, waker);
    for (self->round = 0; self->round < ROUNDS; self->round++) {
        SKUA_AWAIT_TO(self->answer, ticket_init(&self->ticket, self->object));
        if (self->answer != 0)
            break;
        SKUA_AWAIT_TO(
            self->answer,
            skua_sleep_init(&self->sleep, (int64_t)(skua_test_random() % 3) * SKUA_SECOND));
        leave(self->object);
    }
    SKUA_ASYNC_END(0);
}

static int explored(void *arg)
{
    skua_task *tasks[2 * TASKS];
    struct object object;
    skua_scope scope;
    int rc;

    make(&object, arg);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < TASKS; i++) {
        MUST(skua_spawn(&scope, explores_on_fiber, &object, .task = &tasks[2 * i]) == 0);
        MUST(skua_spawn_poll(&scope, explores_in_poll_task, (&(struct explorer){.object = &object}),
                             .task = &tasks[2 * i + 1]) == 0);
    }
    object.kind->pass(&object);
    for (int i = 0; i < 2 * TASKS; i++) {
        if (skua_test_random() % 3 == 0) {
            CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 6) * SKUA_SECOND), 0);
            (void)skua_task_cancel(tasks[i]);
        }
        skua_task_detach(tasks[i]);
    }
    rc = skua_scope_join(&scope);
    CHECK(rc == 0 || rc == -ECANCELED); /* of one that had not started */
    end(&object, 1);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(local_in_whatever_order)
{
    test_limit(60);
    for (size_t k = 0; k < TEST_LEN(kinds); k++)
        if (!kinds[k].sends)
            CHECK_EQ(skua_test_explore(TEST_COUNT(1000), explored, (void *)&kinds[k]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_first_in_first_out),
        cmocka_unit_test(local_cancelled_in_line),
        cmocka_unit_test(local_cancelled_before),
        cmocka_unit_test(local_out_of_time),
        cmocka_unit_test(local_dropped_when_granted),
        cmocka_unit_test(local_wakes_only_the_newest_waker),
        cmocka_unit_test(local_names_the_wait),
        cmocka_unit_test(local_spends_budget),
        cmocka_unit_test(local_in_whatever_order),
    };

    return TEST_MAIN(tests);
}
