/* test_model_sync.c - semaphore, mutex, rwlock: acquire, release, drop and close at the same
 * moment.
 *
 * sync_wait.c and semaphore.c as they are. Nobody is left waiting for what is there, permits are
 * neither lost nor made, whoever is let in sees what was done before, and a waker is woken only
 * while it is there. Who is let in last frees the object: whoever touches it afterwards fails the
 * case.
 */
#include "model_sync.h"

static struct waiter before; /* another waker of one of them */
static skua_semaphore sema;
static skua_mutex mutex;
static skua_rwlock rwlock;
static _Atomic uint32_t left; /* to be let in */

static void begin_with(size_t permits)
{
    waiters_begin();
    memset(&before, 0, sizeof before);
    skua_semaphore_init(&sema, permits);
    mutex = (skua_mutex)SKUA_MUTEX_INIT;
    rwlock = (skua_rwlock)SKUA_RWLOCK_INIT;
    skua__store_relaxed(&left, 2);
}

static void begin_none(void)
{
    begin_with(0);
}

static void begin_one(void)
{
    begin_with(1);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

static void acquires(void)
{
    int rc = skua_semaphore_acquire(&sema, 1);

    if (rc == 0)
        model_use(&work);
    answered(rc);
}

/* Asks with one waker, then with another one: only the newer one is woken. */
static void acquires_anew(void)
{
    skua_sync_future wait;
    skua_future *future = skua_semaphore_acquire_init(&wait, &sema, 1);
    skua_poll answer = future->ops->poll(future, (skua_waker *)(void *)&before);

    if (answer == SKUA_PENDING)
        answer = future->ops->poll(future, (skua_waker *)(void *)&waiters[model_self()]);
    model_check(before.refs == 0);
    model_use(&before);
    before.gone = true;
    if (answer == SKUA_PENDING) {
        model_sleep(&waiters[model_self()].bell);
        answer = future->ops->poll(future, (skua_waker *)(void *)&waiters[model_self()]);
    }
    model_use(&work);
    answered((int)answer);
}

static void acquires_two(void)
{
    answered(skua_semaphore_acquire(&sema, 2));
}

/* Gives it back. */
static void acquires_and_releases(void)
{
    model_check(skua_semaphore_acquire(&sema, 1) == 0);
    model_use(&work);
    model_check(skua_semaphore_release(&sema, 1) == 0);
    answered(0);
}

static void tries_a_moment(void)
{
    int rc = skua_semaphore_acquire_until(&sema, 1, IMPATIENT);

    if (rc == 0) {
        model_use(&work);
        model_check(skua_semaphore_release(&sema, 1) == 0);
    }
    answered(rc);
}

static void tries_two_a_moment(void)
{
    int rc = skua_semaphore_acquire_until(&sema, 2, IMPATIENT);

    if (rc == 0)
        model_check(skua_semaphore_release(&sema, 2) == 0);
    answered(rc);
}

static void releases(void)
{
    model_use(&work);
    model_check(skua_semaphore_release(&sema, 1) == 0);
}

static void releases_two(void)
{
    model_check(skua_semaphore_release(&sema, 2) == 0);
}

static void releases_twice(void)
{
    model_check(skua_semaphore_release(&sema, 1) == 0);
    model_check(skua_semaphore_release(&sema, 1) == 0);
}

static void closes(void)
{
    skua_semaphore_close(&sema);
}

static void check_free_permits(size_t free)
{
    model_check(skua_semaphore_available(&sema) == free);
    model_check(sema.waiters.first == NULL && sema.lock == 0);
}

static void end_taken(void)
{
    model_check(answers[0] == 0);
    check_free_permits(0);
}

static void end_given_back(void)
{
    check_free_permits(1);
}

static void end_two_given_back(void)
{
    check_free_permits(2);
}

static void test_semaphore(void **state)
{
    struct model_case acquire = {.name = "an acquire, a release",
                                 .begin = begin_none,
                                 .thread = {acquires, releases},
                                 .end = end_taken};

    (void)state;
    model_pass(&acquire);
    acquire.name = "an acquire with another waker, a release";
    acquire.thread[0] = acquires_anew;
    model_pass(&acquire);
    acquire.name = "an acquire of two, two releases";
    acquire.thread[0] = acquires_two;
    acquire.thread[1] = releases_twice;
    model_pass(&acquire);
    acquire.name = "an acquire that gives up, a release";
    acquire.thread[0] = tries_a_moment;
    acquire.thread[1] = releases;
    acquire.end = end_given_back;
    model_pass(&acquire);
    acquire.name = "an acquire of two that gives up, two releases";
    acquire.thread[0] = tries_two_a_moment;
    acquire.thread[1] = releases_twice;
    acquire.end = end_two_given_back;
    model_pass(&acquire);
}

static void test_semaphore_of_three(void **state)
{
    struct model_case three = {.name = "an acquire, one that gives up, a release",
                               .begin = begin_none,
                               .thread = {acquires, tries_a_moment, releases},
                               .end = end_taken};

    (void)state;
    pass_bounded(three);
    three.name = "an acquire of one, of two that gives up, a release";
    three.thread[1] = tries_two_a_moment;
    pass_bounded(three);
    three.name = "two acquires, a release";
    three.thread[0] = three.thread[1] = acquires_and_releases;
    three.end = end_given_back;
    pass_bounded(three);
    three.name = "an acquire of two, of one, a release of two";
    three.begin = begin_one;
    three.thread[0] = acquires_two;
    three.thread[1] = acquires;
    three.thread[2] = releases_two;
    three.end = end_taken;
    pass_bounded(three);
}

static void end_closed(void)
{
    model_check(answers[0] == SKUA_ECLOSED);
    check_free_permits(0);
}

/* Whatever came first: the permit is somebody's. */
static void end_closed_or_taken(void)
{
    model_check(answers[0] == 0 || answers[0] == SKUA_ECLOSED);
    check_free_permits(answers[0] == 0 ? 0 : 1);
}

static void end_closed_with_one(void)
{
    model_check(answers[0] == SKUA_ECLOSED || answers[0] == -ETIMEDOUT);
    check_free_permits(1);
}

static void test_close(void **state)
{
    struct model_case close = {.name = "an acquire, a close",
                               .begin = begin_none,
                               .thread = {acquires, closes},
                               .end = end_closed};

    (void)state;
    model_pass(&close);
    close.name = "an acquire of two with one there, a close";
    close.begin = begin_one;
    close.thread[0] = acquires_two;
    close.end = end_closed_with_one;
    model_pass(&close);
    close.name = "the same, that gives up";
    close.thread[0] = tries_two_a_moment;
    model_pass(&close);
    close.name = "an acquire, a close, a release";
    close.begin = begin_none;
    close.thread[0] = acquires;
    close.thread[2] = releases;
    close.end = end_closed_or_taken;
    pass_bounded(close);
}

/* ---- who is let in last frees ---------------------------------------------------------------- */

static void acquires_and_frees(void)
{
    model_check(skua_semaphore_acquire(&sema, 1) == 0);
    model_free(&sema, sizeof sema);
    answered(0);
}

static void acquires_two_and_frees(void)
{
    model_check(skua_semaphore_acquire(&sema, 2) == 0);
    model_free(&sema, sizeof sema);
    answered(0);
}

static void begin_locked(void)
{
    begin_none();
    model_check(skua_mutex_try_lock(&mutex) == 0);
}

static void unlocks(void)
{
    model_use(&work);
    model_check(skua_mutex_unlock(&mutex) == 0);
}

static void locks_and_frees(void)
{
    model_check(skua_mutex_lock(&mutex) == 0);
    model_use(&work);
    model_free(&mutex, sizeof mutex);
    answered(0);
}

/* A wait that was given up, and the mark that it left; then as above. */
static void gives_up_then_locks_and_frees(void)
{
    if (skua_mutex_lock_until(&mutex, IMPATIENT) != 0)
        model_check(skua_mutex_lock(&mutex) == 0);
    model_free(&mutex, sizeof mutex);
    answered(0);
}

static void locks_and_unlocks(void)
{
    model_check(skua_mutex_lock(&mutex) == 0);
    model_use(&work);
    model_check(skua_mutex_unlock(&mutex) == 0);
    answered(0);
}

static void begin_written(void)
{
    begin_none();
    model_check(skua_rwlock_try_write(&rwlock) == 0);
}

static void ends_writing(void)
{
    model_use(&work);
    model_check(skua_rwlock_write_unlock(&rwlock) == 0);
}

static void reads_and_frees(void)
{
    model_check(skua_rwlock_read(&rwlock) == 0);
    model_free(&rwlock, sizeof rwlock);
    answered(0);
}

/* Two readers: the last one frees. */
static void reads_and_may_free(void)
{
    model_check(skua_rwlock_read(&rwlock) == 0);
    if (skua__sub_acq_rel(&left, 1) == 1)
        model_free(&rwlock, sizeof rwlock);
    answered(0);
}

static void test_last_touch(void **state)
{
    struct model_case last = {.name = "a release, who acquires frees",
                              .begin = begin_none,
                              .thread = {releases, acquires_and_frees}};

    (void)state;
    model_pass(&last);
    last.name = "a release of two, who acquires one frees";
    last.thread[0] = releases_two;
    model_pass(&last);
    last.name = "releases, who acquires both frees";
    last.thread[0] = releases_twice;
    last.thread[1] = acquires_two_and_frees;
    model_pass(&last);
    last.name = "an unlock, who locks frees";
    last.begin = begin_locked;
    last.thread[0] = unlocks;
    last.thread[1] = locks_and_frees;
    model_pass(&last);
    last.name = "an unlock, who has waited in vain and locks frees";
    last.thread[1] = gives_up_then_locks_and_frees;
    model_pass(&last);
    last.name = "two that lock and unlock";
    last.begin = begin_none;
    last.thread[0] = last.thread[1] = locks_and_unlocks;
    model_pass(&last);
    last.name = "the end of a write, who reads frees";
    last.begin = begin_written;
    last.thread[0] = ends_writing;
    last.thread[1] = reads_and_frees;
    model_pass(&last);
    last.name = "the end of a write, who reads last frees";
    last.thread[1] = last.thread[2] = reads_and_may_free;
    pass_bounded(last);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__waiter_again: load skua__waiter_state(waiter): acquire",
     "waiter_settle looks again, with acquire"},
    {"sema_release_slow: and sema_state(sema): acquire",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"sema_release_slow: and sema_state(sema): release",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"skua_semaphore_close: or sema_state(sema): acquire",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"skua_semaphore_close: or sema_state(sema): release",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"skua_semaphore_close: and sema_state(sema): acquire",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"skua_semaphore_close: and sema_state(sema): release",
     "the mark only; what is granted goes by the lock or by the CAS behind it"},
    {"sema_release_slow: cas sema_state(sema): acquire",
     "who gives a permit back learns nothing by it"},
    {"sema_release: cas sema_state(sema): acquire", "who gives a permit back learns nothing by it"},
    {"skua_mutex_unlock: cas sema_state(&mutex->semaphore): acquire",
     "who gives a permit back learns nothing by it"},
    {"sema_try: cas sema_state(sema): release", "who takes a permit tells nothing by it"},
    {"sema_enqueue: cas sema_state(sema): release", "who takes a permit tells nothing by it"},
    {"skua_mutex_lock: cas sema_state(&mutex->semaphore): release",
     "who takes a permit tells nothing by it"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("lock.h semaphore.c sync_wait.c sync_wait.h", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_semaphore), cmocka_unit_test(test_semaphore_of_three),
        cmocka_unit_test(test_close),     cmocka_unit_test(test_last_touch),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
