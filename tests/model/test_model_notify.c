/* test_model_notify.c - notify, cond, event, wait group, barrier, once: telling and waiting at the
 * same moment.
 *
 * sync_wait.c, notify.c and gate.c as they are. Nobody misses what was told, what a dropped wait
 * was told goes on, whoever is let in sees what was done before. Who is let in last frees the
 * object: whoever touches it afterwards fails the case.
 */
#include "model_sync.h"

static skua_mutex mutex;
static skua_notify notify;
static skua_cond cond;
static skua_event event;
static skua_wait_group group;
static skua_barrier barrier;
static skua_once once;
static _Atomic uint32_t made; /* a future was made */
static bool ready;            /* mutex */
static int runs, fails;       /* once */

static void begin(void)
{
    waiters_begin();
    mutex = (skua_mutex)SKUA_MUTEX_INIT;
    notify = (skua_notify)SKUA_NOTIFY_INIT;
    cond = (skua_cond)SKUA_COND_INIT;
    event = (skua_event)SKUA_EVENT_INIT;
    group = (skua_wait_group)SKUA_WAIT_GROUP_INIT;
    barrier = (skua_barrier)SKUA_BARRIER_INIT(2);
    once = (skua_once)SKUA_ONCE_INIT;
    skua__store_relaxed(&made, 0);
    ready = false;
    runs = fails = 0;
}

/* ---- notify ---------------------------------------------------------------------------------- */

static void is_told(void)
{
    model_check(skua_notified(&notify) == 0);
    model_use(&work);
    answered(0);
}

static void is_told_and_frees(void)
{
    model_check(skua_notified(&notify) == 0);
    model_free(&notify, sizeof notify);
    answered(0);
}

/* What it was told is for another one. */
static void is_told_in_a_moment(void)
{
    int rc = skua_notified_until(&notify, IMPATIENT);

    if (rc == 0) {
        model_use(&work);
        skua_notify_one(&notify);
    }
    answered(rc);
}

static void tells_one(void)
{
    model_use(&work);
    skua_notify_one(&notify);
}

static void tells_last(void)
{
    model_use(&work);
    skua_notify_last(&notify);
}

static void makes_and_is_told(void)
{
    skua_sync_future wait;
    skua_future *future = skua_notified_init(&wait, &notify);

    skua__store_release(&made, 1);
    model_check(skua_await(future) == 0);
    answered(0);
}

static void tells_all_when_made(void)
{
    while (skua__load_acquire(&made) == 0)
        skua__os_thread_yield();
    skua_notify_all(&notify);
}

static void end_told(void)
{
    model_check(answers[0] == 0);
    model_check(notify.permit == 0 && notify.waiters.first == NULL);
}

static void end_told_or_kept(void)
{
    model_check(notify.permit == 1 && notify.waiters.first == NULL);
}

static void test_notify(void **state)
{
    struct model_case tell = {.name = "a wait, a notify_one",
                              .begin = begin,
                              .thread = {is_told, tells_one},
                              .end = end_told};

    (void)state;
    model_pass(&tell);
    tell.name = "a wait that gives up, a notify_last";
    tell.thread[0] = is_told_in_a_moment;
    tell.thread[1] = tells_last;
    tell.end = end_told_or_kept;
    model_pass(&tell);
    tell.name = "a wait made before, a notify_all";
    tell.thread[0] = makes_and_is_told;
    tell.thread[1] = tells_all_when_made;
    tell.end = end_told;
    model_pass(&tell);
    tell.name = "a notify_one, who is told frees";
    tell.thread[0] = is_told_and_frees;
    tell.thread[1] = tells_one;
    tell.end = NULL;
    model_pass(&tell);
    tell.name = "a wait, one that gives up, a notify_one";
    tell.thread[0] = is_told;
    tell.thread[1] = is_told_in_a_moment;
    tell.thread[2] = tells_one;
    tell.end = end_told;
    pass_bounded(tell);
}

/* ---- condition variable ---------------------------------------------------------------------- */

static void waits_until_ready(void)
{
    model_check(skua_mutex_lock(&mutex) == 0);
    while (!ready)
        model_check(skua_cond_wait(&cond, &mutex) == 0);
    model_use(&work);
    model_check(skua_mutex_unlock(&mutex) == 0);
    answered(0);
}

/* The signal was for one of the others, too. */
static void waits_a_moment(void)
{
    int rc = 0;

    model_check(skua_mutex_lock(&mutex) == 0);
    if (!ready)
        rc = skua_cond_wait_until(&cond, &mutex, IMPATIENT);
    model_use(&work);
    model_check(skua_mutex_unlock(&mutex) == 0);
    if (rc == 0)
        skua_cond_signal(&cond);
    answered(rc);
}

static void makes_ready(void)
{
    model_check(skua_mutex_lock(&mutex) == 0);
    model_use(&work);
    ready = true;
    skua_cond_signal(&cond);
    model_check(skua_mutex_unlock(&mutex) == 0);
}

static void makes_ready_and_signals_behind(void)
{
    model_check(skua_mutex_lock(&mutex) == 0);
    ready = true;
    model_check(skua_mutex_unlock(&mutex) == 0);
    skua_cond_signal(&cond);
}

static void end_ready(void)
{
    model_check(cond.waiters.first == NULL);
    model_check(skua_mutex_try_lock(&mutex) == 0);
}

static void test_cond(void **state)
{
    struct model_case wait = {.name = "a wait, a signal with the mutex",
                              .begin = begin,
                              .thread = {waits_until_ready, makes_ready},
                              .end = end_ready};

    (void)state;
    model_pass(&wait);
    wait.name = "a wait, a signal without the mutex";
    wait.thread[1] = makes_ready_and_signals_behind;
    model_pass(&wait);
    wait.name = "a wait, one that gives up, a signal";
    wait.thread[1] = waits_a_moment;
    wait.thread[2] = makes_ready;
    wait.preemptions = 2;
    wait.stale = 1;
    model_pass(&wait);
}

/* ---- gates ----------------------------------------------------------------------------------- */

static void waits_for_event(void)
{
    model_check(skua_event_wait(&event) == 0);
    model_use(&work);
    model_free(&event, sizeof event);
    answered(0);
}

static void sets_event(void)
{
    model_use(&work);
    skua_event_set(&event);
}

static void waits_for_group(void)
{
    model_check(skua_wait_group_wait(&group) == 0);
    model_use(&work);
    model_free(&group, sizeof group);
    answered(0);
}

static void begin_group(void)
{
    begin();
    model_check(skua_wait_group_add(&group, 2) == 0);
}

static void is_done(void)
{
    model_check(skua_wait_group_done(&group) == 0);
}

static void is_done_with_work(void)
{
    model_use(&work);
    is_done();
}

/* The leader lets the other one in, which frees. */
static void meets(void)
{
    int rc = skua_barrier_wait(&barrier);

    model_check(rc == 0 || rc == 1);
    if (rc == 0)
        model_free(&barrier, sizeof barrier);
    answered(rc);
}

static void meets_a_moment(void)
{
    skua_sync_future wait;

    answered((int)skua_await_until(skua_barrier_wait_init(&wait, &barrier), IMPATIENT));
}

static void meets_and_stays(void)
{
    answered(skua_barrier_wait(&barrier));
}

static void end_met(void)
{
    model_check(answers[0] + answers[1] == 1);
}

/* They have met, or the one that stays waits alone. */
static void end_met_or_waits(void)
{
    bool met = answers[0] == 1 || answers[1] == 1;

    model_check(met || (answers[0] == -ETIMEDOUT && answers[1] == NOT_YET));
    model_check(skua__gate_get(&barrier.gate) == (met ? 0 : 1));
    model_check((barrier.gate.waiters.first == NULL) == met);
}

static void test_gates(void **state)
{
    struct model_case gate = {.name = "an event's wait, a set: who waited frees",
                              .begin = begin,
                              .thread = {waits_for_event, sets_event}};

    (void)state;
    model_pass(&gate);
    gate.name = "a group's wait, the last done: who waited frees";
    gate.begin = begin_group;
    gate.thread[0] = waits_for_group;
    gate.thread[1] = is_done;
    gate.thread[2] = is_done_with_work;
    pass_bounded(gate);
    gate.name = "two at a barrier";
    gate.begin = begin;
    gate.thread[0] = gate.thread[1] = meets;
    gate.thread[2] = NULL;
    gate.end = end_met;
    model_pass(&gate);
    gate.name = "two at a barrier, one gives up";
    gate.thread[0] = meets_a_moment;
    gate.thread[1] = meets_and_stays;
    gate.end = end_met_or_waits;
    gate.sleep_ends = true;
    model_pass(&gate);
}

/* ---- once ------------------------------------------------------------------------------------ */

static int makes(void *arg)
{
    (void)arg;
    model_use(&work);
    return runs++ < fails ? -EIO : 0;
}

static void runs_once(void)
{
    answered(skua_once_run(&once, makes, NULL));
}

/* Sees what was made. */
static void runs_once_and_uses(void)
{
    int rc = skua_once_run(&once, makes, NULL);

    model_check(rc == 0);
    model_use(&work);
    answered(rc);
}

static void begin_failing(void)
{
    begin();
    fails = 1;
}

static void end_once(void)
{
    int errors = (answers[0] != 0) + (answers[1] != 0);

    model_check(runs == fails + 1 && errors == fails && skua_once_done(&once));
}

static void test_once(void **state)
{
    struct model_case run = {.name = "two that run it once",
                             .begin = begin,
                             .thread = {runs_once, runs_once_and_uses},
                             .end = end_once};

    (void)state;
    model_pass(&run);
    run.name = "two that run it once, it fails at first";
    run.begin = begin_failing;
    run.thread[1] = runs_once;
    model_pass(&run);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua_notified_init: load notify_calls(notify): acquire",
     "only compared; the poll looks again under the lock"},
    {"skua_notify_all: store notify_calls(notify): release",
     "only compared; the poll looks again under the lock"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("gate.c gate.h notify.c", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),   cmocka_unit_test(test_cond),
        cmocka_unit_test(test_gates),    cmocka_unit_test(test_once),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
