/* line.c - see line.h. */
#include "line.h"

#include "sync/sync_wait.h"

int test_line_length(const skua_waiter_list *list, uint8_t *lock)
{
    int count = 0;

    skua__lock_take(skua__sync_lock(lock));
    for (const skua_waiter *at = list->first; at != NULL; at = at->next)
        count++;
    skua__lock_drop(skua__sync_lock(lock));
    return count;
}

/* ---- waiters --------------------------------------------------------------------------------- */

void test_line_init(struct test_line *line, const struct test_line_ops *ops, void *object)
{
    memset(line, 0, sizeof *line);
    line->ops = ops;
    line->object = object;
    line->in_turn = true;
}

static void waiter_has_waited(struct test_waiter *self, int result)
{
    struct test_line *line = self->line;

    self->result = result;
    if (result >= 0) {
        self->place = atomic_fetch_add(&line->places, 1);
        if (line->in_turn)
            line->ops->pass(line->object);
    }
    atomic_store(&self->done, 1);
}

static int waits_on_fiber(void *arg)
{
    struct test_waiter *self = arg;

    waiter_has_waited(self, self->line->ops->wait(self->line->object, self->deadline));
    return 0;
}

static void *waits_on_thread(void *arg)
{
    (void)waits_on_fiber(arg);
    return NULL;
}

struct waits_in_poll {
    skua_async async;
    struct test_waiter *self;
    skua_sync_future wait;
    skua_poll answer;
};

static skua_poll waits_in_poll_task(void *state, skua_waker *waker)
{
    struct waits_in_poll *in = state;

    SKUA_ASYNC(in, waker);
    SKUA_AWAIT_TO(in->answer, in->self->line->ops->init(&in->wait, in->self->line->object));
    waiter_has_waited(in->self, (int)in->answer);
    SKUA_ASYNC_END(0);
}

static struct test_waiter *waiter_start(struct test_line *line, enum test_waiter_kind kind,
                                        skua_runtime *runtime, int64_t deadline)
{
    struct test_waiter *self = &line->waiters[line->count];

    MUST(line->count++ < TEST_LINE_MAX);
    if (kind == TEST_POLL_WAITER && line->ops->init == NULL)
        kind = TEST_FIBER_WAITER;
    self->line = line;
    self->kind = kind;
    self->deadline = deadline;
    if (kind == TEST_THREAD_WAITER)
        MUST(pthread_create(&self->thread, NULL, waits_on_thread, self) == 0);
    else if (kind == TEST_FIBER_WAITER)
        MUST(skua_spawn_on(runtime, waits_on_fiber, self, .task = &self->task) == 0);
    else
        MUST(skua_spawn_poll(skua_runtime_scope(runtime), waits_in_poll_task,
                             (&(struct waits_in_poll){.self = self}), .task = &self->task) == 0);
    return self;
}

struct test_waiter *test_line_add(struct test_line *line, enum test_waiter_kind kind,
                                  skua_runtime *runtime)
{
    int before = line->ops->length(line->object);
    struct test_waiter *self = waiter_start(line, kind, runtime, SKUA_FOREVER);

    while (line->ops->length(line->object) == before)
        (void)skua_yield();
    return self;
}

int test_waiter_end(struct test_waiter *self)
{
    test_yield_until(&self->done); /* before a join of a thread, which would keep the worker */
    if (self->kind == TEST_THREAD_WAITER)
        CHECK_EQ(pthread_join(self->thread, NULL), 0);
    else
        CHECK_EQ(skua_task_join(self->task, NULL), 0);
    return self->result;
}

/* ---- in order, and together ------------------------------------------------------------------ */

static void line_up(struct test_line *line, skua_runtime *first, skua_runtime *second)
{
    for (int i = 0; i < 9; i++) {
        test_line_add(line, (enum test_waiter_kind)(i % 3), i % 2 != 0 ? second : first);
        CHECK_EQ(line->ops->length(line->object), i + 1);
    }
}

void test_line_in_order(const struct test_line_ops *ops, void *object, skua_runtime *first,
                        skua_runtime *second)
{
    struct test_line line;

    test_line_init(&line, ops, object);
    line_up(&line, first, second);
    CHECK_EQ(atomic_load(&line.places), 0);
    ops->pass(object);
    for (int i = 0; i < line.count; i++) {
        CHECK_EQ(test_waiter_end(&line.waiters[i]), 0);
        CHECK_EQ(line.waiters[i].place, i);
    }
    CHECK_EQ(ops->length(object), 0);
}

void test_line_together(const struct test_line_ops *ops, void *object, skua_runtime *first,
                        skua_runtime *second)
{
    struct test_line line;

    test_line_init(&line, ops, object);
    line.in_turn = false;
    line_up(&line, first, second);
    CHECK_EQ(atomic_load(&line.places), 0);
    ops->pass(object);
    CHECK_EQ(ops->length(object), 0);
    for (int i = 0; i < line.count; i++)
        CHECK_EQ(test_waiter_end(&line.waiters[i]), 0);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

struct cancels_itself {
    const struct test_line_ops *ops;
    void *object;
    skua_runtime *runtime;
};

static int cancels_itself_and_waits(void *arg)
{
    struct cancels_itself *self = arg;

    CHECK_EQ(skua_task_cancel_id(self->runtime, skua_task_current_id()), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(self->ops->wait(self->object, SKUA_FOREVER), -ECANCELED);
    CHECK_EQ(self->ops->wait(self->object, skua_now() + SKUA_HOUR), -ECANCELED);
    CHECK_EQ(self->ops->length(self->object), 0);
    return 0;
}

static void cancel_before(const struct test_line_ops *ops, void *object, skua_runtime *runtime)
{
    struct cancels_itself self = {ops, object, runtime};
    skua_task *task;
    int result = -1;

    MUST(skua_spawn_on(runtime, cancels_itself_and_waits, &self, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
}

/* First the one in the middle, then the last, then the first. */
static void cancel_waiting(const struct test_line_ops *ops, void *object, skua_runtime *runtime)
{
    static const int sequence[] = {1, 2, 0};
    struct test_line line;

    for (unsigned kind = TEST_FIBER_WAITER; kind <= TEST_POLL_WAITER; kind++) {
        test_line_init(&line, ops, object);
        for (unsigned i = 0; i < TEST_LEN(sequence); i++)
            test_line_add(&line, (enum test_waiter_kind)((i + kind) % 2), runtime);
        for (unsigned i = 0; i < TEST_LEN(sequence); i++) {
            struct test_waiter *waiter = &line.waiters[sequence[i]];

            CHECK_EQ(skua_task_cancel(waiter->task), 0);
            CHECK_EQ(test_waiter_end(waiter), -ECANCELED);
            CHECK_EQ(ops->length(object), (int)(TEST_LEN(sequence) - 1 - i));
        }
        CHECK_EQ(atomic_load(&line.places), 0);
    }
}

static void run_out_of_time(const struct test_line_ops *ops, void *object, skua_runtime *runtime)
{
    struct test_waiter *thread;
    struct test_line line;
    skua_deadline frame;
    int64_t begin = skua_now();

    CHECK_EQ(ops->wait(object, 0), -ETIMEDOUT);
    CHECK_EQ(ops->wait(object, begin + MS(2)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(2), MS(2) + TEST_LATE);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(2)), 0);
    CHECK_EQ(ops->wait(object, SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(ops->wait(object, SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    test_line_init(&line, ops, object);
    begin = skua_now();
    thread = waiter_start(&line, TEST_THREAD_WAITER, runtime, begin + MS(2));
    CHECK_EQ(test_waiter_end(thread), -ETIMEDOUT);
    CHECK(skua_now() - begin >= MS(2));
    thread = waiter_start(&line, TEST_THREAD_WAITER, runtime, 0);
    CHECK_EQ(test_waiter_end(thread), -ETIMEDOUT);
    CHECK_EQ(ops->length(object), 0);
}

void test_line_cancel(const struct test_line_ops *ops, void *object, skua_runtime *runtime)
{
    cancel_before(ops, object, runtime);
    cancel_waiting(ops, object, runtime);
    run_out_of_time(ops, object, runtime);
}

/* ---- shields --------------------------------------------------------------------------------- */

static int waits_in_a_shield(void *arg)
{
    struct test_waiter *self = arg;
    int result;

    CHECK_EQ(skua_shield_begin(), 0);
    result = self->line->ops->wait(self->line->object, SKUA_FOREVER);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_cancelled(), -ECANCELED);
    waiter_has_waited(self, result);
    return 0;
}

void test_line_shield(const struct test_line_ops *ops, void *object)
{
    struct test_waiter *waiter;
    struct test_line line;

    test_line_init(&line, ops, object);
    line.in_turn = false;
    waiter = &line.waiters[0];
    waiter->line = &line;
    MUST(skua_spawn(NULL, waits_in_a_shield, waiter, .task = &waiter->task) == 0);
    while (ops->length(object) == 0)
        skua_yield();
    CHECK_EQ(skua_task_cancel(waiter->task), 0);
    for (int i = 0; i < 10; i++)
        skua_yield();
    CHECK_EQ(atomic_load(&waiter->done), 0);
    CHECK_EQ(ops->length(object), 1);
    ops->pass(object);
    CHECK_EQ(test_waiter_end(waiter), 0);
}

/* ---- granted, and gone ----------------------------------------------------------------------- */

enum { DROPS = 4 };

void test_line_drop(const struct test_line_ops *ops, void *object)
{
    struct test_bell bells[DROPS];
    skua_sync_future waits[DROPS];
    skua_waker *wakers[DROPS];

    for (int i = 0; i < DROPS; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        CHECK_EQ(skua_future_poll(ops->init(&waits[i], object), wakers[i]), SKUA_PENDING);
        CHECK_EQ(ops->length(object), i + 1);
    }
    skua_future_drop(&waits[2].future); /* only in line */
    skua_future_drop(&waits[2].future);
    test_bell_end(&bells[2]);
    CHECK_EQ(ops->length(object), 3);
    ops->pass(object);
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    CHECK_EQ(TEST_RINGS(&bells[1]), 0);
    skua_future_drop(&waits[0].future); /* granted */
    skua_future_drop(&waits[0].future);
    test_bell_end(&bells[0]);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 0);
    test_bell_end(&bells[1]);
    skua_future_drop(&waits[1].future); /* finished: nothing is taken back */
    CHECK_EQ(TEST_RINGS(&bells[3]), 0);
    ops->pass(object);
    CHECK_EQ(TEST_RINGS(&bells[3]), 1);
    skua_future_drop(&waits[3].future); /* granted, and nobody comes next */
    test_bell_end(&bells[3]);
    CHECK_EQ(TEST_RINGS(&bells[2]), 0);
    CHECK_EQ(ops->length(object), 0);
    CHECK_EQ(skua_future_poll(ops->init(&waits[0], object), test_bell_init(&bells[0])), 0);
    ops->pass(object);
}

void test_line_cancel_granted(const struct test_line_ops *ops, void *object, skua_runtime *runtime)
{
    struct test_line line;

    test_line_init(&line, ops, object);
    for (int i = 0; i < 4; i++)
        test_line_add(&line, TEST_POLL_WAITER, runtime);
    ops->pass(object);
    CHECK_EQ(ops->length(object), 3);
    CHECK_EQ(skua_task_cancel(line.waiters[0].task), 0); /* its turn has not come yet */
    CHECK_EQ(skua_task_cancel(line.waiters[2].task), 0);
    CHECK_EQ(test_waiter_end(&line.waiters[0]), -ECANCELED);
    CHECK_EQ(test_waiter_end(&line.waiters[1]), 0);
    CHECK_EQ(test_waiter_end(&line.waiters[2]), -ECANCELED);
    CHECK_EQ(test_waiter_end(&line.waiters[3]), 0);
    CHECK_EQ(line.waiters[1].place, 0);
    CHECK_EQ(line.waiters[3].place, 1);
}

/* ---- budget and names ------------------------------------------------------------------------ */

static int sets_a_flag(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

void test_line_budget(int (*wait)(void *arg), void *arg)
{
    atomic_int others = 0;
    skua_task *task;
    int rounds = 0;

    MUST(skua_spawn(NULL, sets_a_flag, &others, .task = &task) == 0);
    while (atomic_load(&others) == 0 && rounds < 1000000) {
        rounds++;
        if (!CHECK_EQ(wait(arg), 0))
            break;
    }
    CHECK(rounds < 1000000);
    CHECK_EQ(skua_task_join(task, NULL), 0);
}

struct naming {
    const char *name;
    int parked;
};

static void look_for_name(const skua_task_info *task, void *arg)
{
    struct naming *naming = arg;

    if (task->waiting_for && strcmp(task->waiting_for, naming->name) == 0)
        naming->parked++;
}

void test_line_name(const struct test_line_ops *ops, void *object, skua_runtime *runtime,
                    const char *name)
{
    struct naming naming = {name, 0};
    struct test_line line;

    test_line_init(&line, ops, object);
    test_line_add(&line, TEST_FIBER_WAITER, runtime);
    test_line_add(&line, TEST_FIBER_WAITER, runtime);
    skua_runtime_each_task(runtime, look_for_name, &naming);
    CHECK_EQ(naming.parked, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_cancel(line.waiters[i].task), 0);
        CHECK_EQ(test_waiter_end(&line.waiters[i]), -ECANCELED);
    }
}

/* ---- a waker of one's own -------------------------------------------------------------------- */

static struct test_bell *bell_of(skua_custom_waker *custom)
{
    return (struct test_bell *)(void *)custom;
}

static void bell_wake(skua_custom_waker *custom)
{
    atomic_fetch_add(&bell_of(custom)->rings, 1);
}

static void bell_ref(skua_custom_waker *custom)
{
    atomic_fetch_add(&bell_of(custom)->refs, 1);
}

static void bell_unref(skua_custom_waker *custom)
{
    CHECK(atomic_fetch_sub(&bell_of(custom)->refs, 1) > 1);
}

skua_waker *test_bell_init(struct test_bell *bell)
{
    *bell = (struct test_bell){{bell_wake, bell_ref, bell_unref}, 0, 1};
    return skua_waker_custom(&bell->custom);
}

void test_bell_end(struct test_bell *bell)
{
    CHECK_EQ(atomic_load(&bell->refs), 1);
}
