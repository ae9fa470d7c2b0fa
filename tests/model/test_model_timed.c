/* test_model_timed.c - the line of which the first has the timer: told, taken and left at the same
 * moment.
 *
 * timed_line.c as it is, before an object that has so many things to give, now or never: no timer
 * is armed, so that a wait that is not told sleeps for good. Nobody is left waiting while there is
 * something, and nothing is lost or given twice.
 */
#include "model_sync.h"

#include "rhythm/timed_line.c"

static struct {
    skua_timed_line line;
    int things;
    bool closed;
} object;

static int taken[MODEL_THREADS];

/* ---- what is below --------------------------------------------------------------------------- */

int64_t skua_now(void)
{
    return 1;
}

skua_poll skua__sleep_poll(skua_future *future, skua_waker *waker)
{
    (void)future;
    (void)waker;
    model_check(!"nothing has a moment that is to come");
    return SKUA_PENDING;
}

void skua__sleep_drop(skua_future *future)
{
    (void)future;
}

skua_future *skua_sleep_until_init(skua_sleep_future *sleep, int64_t deadline)
{
    sleep->waker = NULL;
    sleep->when = (uint64_t)deadline;
    return &sleep->future;
}

void skua_sleep_reset(skua_sleep_future *sleep, int64_t deadline)
{
    skua_sleep_until_init(sleep, deadline);
}

/* ---- the object ------------------------------------------------------------------------------ */

static skua_poll thing_look(skua_timed_line *line, void *value, int64_t now, int64_t *again)
{
    (void)line;
    (void)value;
    if (object.things == 0 && !object.closed)
        return SKUA_PENDING;
    if (object.things == 0) {
        *again = now;
        return SKUA_ECLOSED;
    }
    object.things--;
    if (object.things != 0 || object.closed)
        *again = now;
    return 0;
}

static const struct skua__timed_kind thing_kind = SKUA__TIMED_KIND("thing", thing_look);

static void begin_empty(void)
{
    waiters_begin();
    memset(&object, 0, sizeof object);
    memset(taken, 0, sizeof taken);
    waiters[1].impatient = true;
}

static void brings(int things, bool closes)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(skua__timed_lock(&object.line));
    object.things += things;
    object.closed = closes;
    skua__timed_tell(&object.line, &chain);
    skua__lock_drop(skua__timed_lock(&object.line));
    skua__chain_wake(&chain);
    answered(0);
}

static void brings_work(void)
{
    model_use(&work);
    brings(1, false);
}

static void brings_one(void)
{
    brings(1, false);
}

static void brings_two(void)
{
    brings(2, false);
}

static void closes(void)
{
    brings(0, true);
}

static void takes(void)
{
    int rc = skua__timed_wait(&object.line, &thing_kind, NULL,
                              waiters[model_self()].impatient ? IMPATIENT : SKUA_FOREVER);

    taken[model_self()] = rc == 0;
    answered(rc);
}

/* Asks twice: the second time nobody has told it to. */
static void asks_again_and_takes(void)
{
    struct waiter *waiter = &waiters[model_self()];
    skua_waker *waker = (skua_waker *)(void *)waiter;
    skua_timed_future wait;
    skua_future *future = skua__timed_init(&wait, &object.line, &thing_kind, NULL);
    skua_poll answer = future->ops->poll(future, waker);

    while (answer == SKUA_PENDING) {
        answer = future->ops->poll(future, waker);
        if (answer == SKUA_PENDING)
            model_sleep(&waiter->bell);
    }
    taken[model_self()] = answer == 0;
    answered((int)answer);
}

/* Takes one, and then overwrites the object: it was the only one who waited. */
static void takes_and_frees(void)
{
    model_check(skua__timed_wait(&object.line, &thing_kind, NULL, SKUA_FOREVER) == 0);
    model_use(&work);
    skua__store_relaxed(&skua__timed_lock(&object.line)->held, 0);
    memset(&object, 0xee, sizeof object);
    answered(0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void end_empty_line(void)
{
    model_check(object.line.waiters.first == NULL && object.line.told == NULL);
    model_check(object.line.lock == 0);
}

/* Thread 0 stays until it has one; thread 1 may give up. */
static void end_taken(void)
{
    model_check(answers[0] == 0);
    model_check(answers[1] == (taken[1] ? 0 : -ETIMEDOUT));
    model_check(object.things == 1 - taken[1]);
    end_empty_line();
}

static void end_all_taken(void)
{
    model_check(answers[0] == 0 && answers[2] == 0 && object.things == 0);
    end_empty_line();
}

static void end_closed(void)
{
    model_check(answers[0] == SKUA_ECLOSED && answers[2] == SKUA_ECLOSED);
    end_empty_line();
}

static void test_line(void **state)
{
    struct model_case line = {.name = "a wait, one thing, who has it frees",
                              .begin = begin_empty,
                              .thread = {brings_work, takes_and_frees}};

    (void)state;
    model_pass(&line);
    line.name = "a wait that asks again, one thing";
    line.thread[0] = brings_one;
    line.thread[1] = asks_again_and_takes;
    model_pass(&line);
    line.name = "a wait, one that gives up, two things at once";
    line.thread[0] = takes;
    line.thread[1] = takes;
    line.thread[2] = brings_two;
    line.end = end_taken;
    pass_bounded(line);
    line.name = "the same, one after the other";
    line.thread[2] = line.thread[3] = brings_one;
    pass_bounded(line);
    line.name = "two waits, two things";
    line.thread[1] = brings_two;
    line.thread[2] = takes;
    line.thread[3] = NULL;
    line.end = end_all_taken;
    pass_bounded(line);
    line.name = "two waits, a close";
    line.thread[1] = closes;
    line.end = end_closed;
    pass_bounded(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
