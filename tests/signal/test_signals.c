/* drivers: both */
/* test_signals.c - listeners for signals.
 *
 * Specifies signal.h: each listener sees each signal that comes after it was opened, merged by
 * number, the lowest first; several listeners, in several runtimes and threads; of those who wait,
 * one gets it; what a dropped wait was given goes on; a close tells who waits; the handlers from
 * before come back; nothing is left of it all.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/parked.h"
#include "../lib/part.h"
#include "../lib/usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static void send_self(int number)
{
    MUST(kill(getpid(), number) == 0);
}

static skua_signals *open_one(int number)
{
    skua_signals *signals;

    MUST(skua_signals_open(&signals, &number, 1) == 0);
    return signals;
}

static int64_t soon(void)
{
    return skua_now() + TEST_LATE;
}

/* ---- what it is ------------------------------------------------------------------------------ */

TEST_WAITING(signals_come)
{
    skua_signals *signals;

    MUST(skua_signals_open(&signals, SKUA_SIGNALS(SIGUSR1, SIGUSR2, SIGUSR1, SIGRTMIN + 1)) == 0);
    CHECK_EQ(skua_signals_try_next(signals), -EAGAIN);
    CHECK_EQ(skua_signals_next_until(signals, skua_now() + MS(5)), -ETIMEDOUT);
    for (int i = 0; i < 50; i++) {
        send_self(SIGUSR1);
        CHECK_EQ(skua_signals_next_until(signals, soon()), SIGUSR1);
        send_self(SIGUSR2);
        CHECK_EQ(skua_signals_next(signals), SIGUSR2);
    }
    send_self(SIGRTMIN + 1);
    CHECK_EQ(skua_signals_next(signals), SIGRTMIN + 1);
    CHECK_EQ(skua_signals_try_next(signals), -EAGAIN);
    skua_signals_close(signals);
    skua_signals_close(NULL);
}

/* raise: the handler has run when it returns. */
TEST(signals_are_merged)
{
    skua_signals *early, *late;

    MUST(skua_signals_open(&early, SKUA_SIGNALS(SIGUSR1, SIGUSR2, SIGHUP)) == 0);
    for (int i = 0; i < 3; i++) {
        raise(SIGUSR2);
        raise(SIGUSR1);
    }
    MUST(skua_signals_open(&late, SKUA_SIGNALS(SIGUSR2)) == 0);
    CHECK_EQ(skua_signals_try_next(late), -EAGAIN); /* that was before */
    raise(SIGHUP);
    CHECK_EQ(skua_signals_next(early), SIGHUP);
    CHECK_EQ(skua_signals_next(early), SIGUSR1);
    CHECK_EQ(skua_signals_next_until(early, 0), SIGUSR2);
    CHECK_EQ(skua_signals_try_next(early), -EAGAIN);
    raise(SIGUSR2);
    CHECK_EQ(skua_signals_try_next(early), SIGUSR2);
    CHECK_EQ(skua_signals_try_next(late), SIGUSR2);
    CHECK_EQ(skua_signals_try_next(late), -EAGAIN);
    skua_signals_close(early);
    raise(SIGUSR2); /* the other one still has it */
    CHECK_EQ(skua_signals_try_next(late), SIGUSR2);
    skua_signals_close(late);
}

TEST(signals_that_cannot_be)
{
    static const int wrong[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT,
                                SIGSYS,  0,       -1,      32,     33,     65,     12345};
    skua_signals *untouched = (skua_signals *)8, *signals = untouched;
    int threads = test_thread_count();

    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        int both[] = {SIGUSR1, wrong[i]};

        CHECK_EQ(skua_signals_open(&signals, &wrong[i], 1), -EINVAL);
        CHECK_EQ(skua_signals_open(&signals, both, 2), -EINVAL);
    }
    CHECK_EQ(skua_signals_open(&signals, wrong, 0), -EINVAL);
    CHECK(signals == untouched);
    CHECK_EQ(test_thread_count(), threads);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static atomic_int handled;

static void counts(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
}

static void other_handler(int number)
{
    (void)number;
}

static bool handler_is(int number, void (*handler)(int))
{
    struct sigaction now;

    sigaction(number, NULL, &now);
    return now.sa_handler == handler;
}

TEST(signals_handlers_come_back)
{
    struct sigaction mine = {.sa_handler = counts};
    skua_signals *one, *two;
    int threads = test_thread_count();

    atomic_store(&handled, 0);
    sigaction(SIGUSR1, &mine, NULL);
    one = open_one(SIGUSR1);
    MUST(skua_signals_open(&two, SKUA_SIGNALS(SIGUSR1, SIGUSR2)) == 0);
    raise(SIGUSR1);
    CHECK_EQ(atomic_load(&handled), 0);
    skua_signals_close(one);
    CHECK(!handler_is(SIGUSR1, counts));
    one = open_one(SIGHUP);
    skua_signals_close(two);
    CHECK(handler_is(SIGUSR1, counts) && handler_is(SIGUSR2, SIG_DFL));
    raise(SIGUSR1);
    CHECK_EQ(atomic_load(&handled), 1);
    sigaction(SIGHUP, &(struct sigaction){.sa_handler = other_handler}, NULL);
    skua_signals_close(one);
    CHECK(handler_is(SIGHUP, other_handler)); /* not ours any more */
    sigaction(SIGHUP, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    CHECK_EQ(test_thread_settle(threads), threads);
}

/* A program that blocks a signal in each of its threads: the library's own receives it. And when
 * nobody listens any more, it is left to wait, blocked, as it was. */
TEST(signals_that_everybody_blocks)
{
    skua_signals *other = open_one(SIGUSR2), *signals;
    sigset_t set, before, pending;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    signals = open_one(SIGUSR1);
    send_self(SIGUSR1);
    CHECK_EQ(skua_signals_next_until(signals, soon()), SIGUSR1);
    skua_signals_close(signals);
    send_self(SIGUSR1); /* its action is to end the process */
    test_thread_sleep(MS(5));
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR1));
    signals = open_one(SIGUSR1);
    CHECK_EQ(skua_signals_next_until(signals, soon()), SIGUSR1);
    skua_signals_close(signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    skua_signals_close(other);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct wakes {
    skua_custom_waker waker;
    atomic_int count;
};

static void wakes_wake(skua_custom_waker *waker)
{
    atomic_fetch_add(&((struct wakes *)waker)->count, 1);
}

static void wakes_keep(skua_custom_waker *waker)
{
    (void)waker;
}

static void await_wakes(struct wakes *wakes, int count)
{
    for (int64_t end = soon(); atomic_load(&wakes->count) < count && skua_now() < end;)
        test_thread_sleep(MS(1) / 10);
    CHECK_EQ(atomic_load(&wakes->count), count);
}

#define WAKES_INIT                                                                                 \
    {                                                                                              \
        .waker = {.wake = wakes_wake, .ref = wakes_keep, .unref = wakes_keep }                     \
    }

/* One signal is for one who waits; dropped, it is the next one's, then anybody's. */
TEST(signals_dropped_waits)
{
    skua_signals *signals;
    skua_sync_future a, b;
    struct wakes wa = WAKES_INIT, wb = WAKES_INIT;

    MUST(skua_signals_open(&signals, SKUA_SIGNALS(SIGUSR1, SIGUSR2)) == 0);
    skua_future_drop(skua_signals_next_init(&a, signals)); /* never polled */
    skua_signals_next_init(&a, signals);
    skua_signals_next_init(&b, signals);
    CHECK(skua_future_poll(&a.future, skua_waker_custom(&wa.waker)) == SKUA_PENDING);
    CHECK(skua_future_poll(&b.future, skua_waker_custom(&wb.waker)) == SKUA_PENDING);
    CHECK(skua_future_poll(&b.future, skua_waker_custom(&wb.waker)) == SKUA_PENDING);
    raise(SIGUSR1);
    await_wakes(&wa, 1);
    CHECK_EQ(atomic_load(&wb.count), 0);
    skua_future_drop(&a.future);
    await_wakes(&wb, 1);
    CHECK_EQ(skua_future_poll(&b.future, skua_waker_custom(&wb.waker)), SIGUSR1);
    CHECK_EQ(skua_signals_try_next(signals), -EAGAIN);
    skua_signals_next_init(&a, signals);
    CHECK(skua_future_poll(&a.future, skua_waker_custom(&wa.waker)) == SKUA_PENDING);
    raise(SIGUSR2);
    await_wakes(&wa, 2);
    skua_future_drop(&a.future);
    CHECK_EQ(skua_signals_try_next(signals), SIGUSR2);
    skua_signals_next_init(&a, signals);
    CHECK(skua_future_poll(&a.future, skua_waker_custom(&wa.waker)) == SKUA_PENDING);
    skua_future_drop(&a.future); /* in line: it leaves */
    raise(SIGUSR2);
    CHECK_EQ(skua_signals_next(signals), SIGUSR2);
    skua_signals_close(signals);
}

/* Closed under those who wait: a future that is dropped, or polled, after the close. */
TEST(signals_closed_under_futures)
{
    skua_signals *signals = open_one(SIGUSR1);
    skua_sync_future a, b, c;
    struct wakes w = WAKES_INIT;

    skua_signals_next_init(&a, signals);
    skua_signals_next_init(&b, signals);
    skua_signals_next_init(&c, signals);
    CHECK(skua_future_poll(&a.future, skua_waker_custom(&w.waker)) == SKUA_PENDING);
    raise(SIGUSR1);
    await_wakes(&w, 1); /* a's */
    CHECK(skua_future_poll(&b.future, skua_waker_custom(&w.waker)) == SKUA_PENDING);
    CHECK(skua_future_poll(&c.future, skua_waker_custom(&w.waker)) == SKUA_PENDING);
    skua_signals_close(signals);
    CHECK_EQ(atomic_load(&w.count), 3);
    CHECK_EQ(skua_future_poll(&b.future, skua_waker_custom(&w.waker)), SKUA_ECLOSED);
    skua_future_drop(&c.future);
    CHECK_EQ(skua_future_poll(&a.future, skua_waker_custom(&w.waker)), SIGUSR1); /* it had it */
}

static int waits_for_one(void *arg)
{
    return skua_signals_next(arg);
}

struct thread_waits {
    skua_signals *signals;
    atomic_int id;
};

static void *thread_waits(void *arg)
{
    struct thread_waits *self = arg;

    test_thread_is(&self->id);
    return (void *)(intptr_t)skua_signals_next(self->signals);
}

TEST_FIBER(signals_close_tells)
{
    skua_signals *signals = open_one(SIGUSR1);
    struct thread_waits waits = {.signals = signals};
    skua_task *task;
    pthread_t thread;
    void *answer;
    int result;

    MUST(skua_spawn(NULL, waits_for_one, signals, .task = &task) == 0);
    test_until_parked(task, "signals");
    MUST(pthread_create(&thread, NULL, thread_waits, &waits) == 0);
    test_until_asleep(&waits.id);
    skua_signals_close(signals);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, SKUA_ECLOSED);
    pthread_join(thread, &answer);
    CHECK_EQ((intptr_t)answer, SKUA_ECLOSED);
    return 0;
}

TEST_FIBER(signals_cancel)
{
    skua_signals *signals = open_one(SIGUSR1);
    skua_task *task;
    int result;

    MUST(skua_spawn(NULL, waits_for_one, signals, .task = &task) == 0);
    test_until_parked(task, "signals");
    skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    send_self(SIGUSR1);
    CHECK_EQ(skua_signals_next(signals), SIGUSR1);
    skua_signals_close(signals);
    return 0;
}

struct poll_state {
    skua_signals *signals;
    skua_sync_future next;
    bool begun;
};

static skua_poll poll_next(void *arg, skua_waker *waker)
{
    struct poll_state *state = arg;

    if (!state->begun)
        skua_signals_next_init(&state->next, state->signals);
    state->begun = true;
    return skua_future_poll(&state->next.future, waker);
}

TEST_FIBER(signals_poll_task_and_select)
{
    struct poll_state state = {.signals = open_one(SIGUSR1)};
    skua_signals *other = open_one(SIGUSR1);
    skua_task *task;
    int64_t number = 0;
    int result;

    MUST(skua_spawn_poll(NULL, poll_next, &state, .task = &task) == 0);
    CHECK_EQ(skua_select(skua_signals_waiting(other), skua_sleeping(MS(3))), 1);
    send_self(SIGUSR1);
    {
        skua_future *both[] = {skua_sleeping(TEST_LATE), skua_signals_waiting(other)};

        CHECK_EQ(skua_select_from(both, 2, NULL, &number), 1);
    }
    CHECK_EQ(number, SIGUSR1);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, SIGUSR1);
    skua_signals_close(state.signals);
    skua_signals_close(other);
    return 0;
}

static int ctrl_c(void *arg)
{
    (void)arg;
    return skua_ctrl_c();
}

TEST_FIBER(signals_ctrl_c)
{
    skua_signals *guard = open_one(SIGINT);
    skua_task *task;
    int result;

    MUST(skua_spawn(NULL, ctrl_c, NULL, .task = &task) == 0);
    test_until_parked(task, NULL);
    send_self(SIGINT);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_signals_next(guard), SIGINT);
    MUST(skua_spawn(NULL, ctrl_c, NULL, .task = &task) == 0);
    test_until_parked(task, NULL);
    skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    skua_signals_close(guard);
    CHECK(handler_is(SIGINT, SIG_DFL));
    return 0;
}

/* ---- many ------------------------------------------------------------------------------------ */

struct storm {
    skua_signals *signals;
    int64_t seen;
};

static int storm_listens(void *arg)
{
    struct storm *storm = arg;
    int number;

    while ((number = skua_signals_next(storm->signals)) == SIGUSR1)
        storm->seen++;
    CHECK_EQ(number, SIGUSR2);
    return 0;
}

static void *storm_thread(void *arg)
{
    storm_listens(arg);
    return NULL;
}

/* A process of its own: it sends SIGUSR1 to its parent. */
static int storm_child(void)
{
    for (int i = 0; i < 10000; i++)
        kill(getppid(), SIGUSR1);
    return 0;
}

TEST(signals_storm)
{
    struct storm storms[4] = {{NULL, 0}};
    int threads = test_thread_count(), fds = test_fd_count();
    skua_runtime *runtimes[2] = {test_runtime(&test_kinds[1]), test_runtime(&test_kinds[2])};
    struct test_child child;
    pthread_t plain[2];
    skua_task *tasks[2];

    test_limit(60);
    for (int i = 0; i < 4; i++)
        MUST(skua_signals_open(&storms[i].signals, SKUA_SIGNALS(SIGUSR1, SIGUSR2)) == 0);
    for (int i = 0; i < 2; i++) {
        if (test_kinds[i + 1].kind == SKUA_CURRENT_THREAD)
            test_note("one of the runtimes is not driven");
        MUST(skua_spawn_on(runtimes[i], storm_listens, &storms[i], .task = &tasks[i]) == 0);
        MUST(pthread_create(&plain[i], NULL, storm_thread, &storms[2 + i]) == 0);
    }
    CHECK_EQ(test_child_run(&child, "storm", NULL), 0);
    test_thread_sleep(MS(20));
    send_self(SIGUSR2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        pthread_join(plain[i], NULL);
        test_runtime_free(runtimes[i]);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_RANGE(storms[i].seen, 1, 10000);
        skua_signals_close(storms[i].signals);
    }
    test_note("seen: %d %d %d %d", (int)storms[0].seen, (int)storms[1].seen, (int)storms[2].seen,
              (int)storms[3].seen);
    CHECK_EQ(test_thread_settle(threads), threads);
    CHECK_EQ(test_fd_settle(fds), fds);
}

/* Open, wait a little, close, from everywhere, while signals come. */
struct churn {
    int64_t end;
    skua_signals *shared;
    atomic_int got;
    atomic_int over; /* 1: nobody churns any more */
};

static int churns(void *arg)
{
    struct churn *churn = arg;

    while (skua_now() < churn->end) {
        skua_signals *mine;

        MUST(skua_signals_open(&mine, SKUA_SIGNALS(SIGUSR1, SIGUSR2)) == 0);
        (void)skua_select(skua_signals_waiting(mine), skua_signals_waiting(churn->shared));
        send_self(SIGUSR1);
        if (skua_signals_next_until(mine, soon()) > 0)
            atomic_fetch_add(&churn->got, 1);
        skua_signals_close(mine);
        (void)skua_yield();
    }
    return 0;
}

static void *churn_thread(void *arg)
{
    churns(arg);
    return NULL;
}

static void *churn_sends(void *arg)
{
    struct churn *churn = arg;

    while (!atomic_load(&churn->over)) {
        send_self(SIGUSR2);
        test_thread_sleep(MS(1) / 4);
    }
    return NULL;
}

TEST(signals_churn)
{
    struct churn churn = {.end = skua_now() + test_stress_time(1)};
    int threads = test_thread_count();
    skua_signals *guard; /* nothing may come that nobody has: its action is to end the process */
    skua_runtime *runtime =
        test_runtime_with(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false},
                          (skua_runtime_options){.size = 0});
    pthread_t plain[3];
    skua_task *tasks[4];

    test_limit(60);
    MUST(skua_signals_open(&guard, SKUA_SIGNALS(SIGUSR1, SIGUSR2)) == 0);
    churn.shared = open_one(SIGUSR2);
    MUST(pthread_create(&plain[0], NULL, churn_sends, &churn) == 0);
    for (int i = 1; i < 3; i++)
        MUST(pthread_create(&plain[i], NULL, churn_thread, &churn) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn_on(runtime, churns, &churn, .task = &tasks[i]) == 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    for (int i = 1; i < 3; i++)
        pthread_join(plain[i], NULL);
    atomic_store(&churn.over, 1);
    pthread_join(plain[0], NULL);
    CHECK(atomic_load(&churn.got) > 0);
    test_runtime_free(runtime);
    skua_signals_close(churn.shared);
    test_thread_sleep(MS(5)); /* what is still on its way has the guard */
    skua_signals_close(guard);
    CHECK_EQ(test_thread_settle(threads), threads);
}

/* ---- without memory -------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST(signals_faults)
{
    static const struct {
        enum skua__fault kind;
        int error;
    } faults[] = {
        {SKUA__FAULT_MALLOC, ENOMEM}, {SKUA__FAULT_THREAD, EAGAIN}, {SKUA__FAULT_SYSCALL, EPERM}};
    int threads = test_thread_count();

    for (size_t i = 0; i < TEST_LEN(faults); i++) {
        int rc = -1;

        for (unsigned n = 1; rc != 0 && n < 10; n++) {
            skua_signals *untouched = (skua_signals *)8, *signals = untouched;

            skua__fault_arm(faults[i].kind, n, 1, faults[i].error);
            rc = skua_signals_open(&signals, SKUA_SIGNALS(SIGUSR1, SIGUSR2));
            skua__fault_arm(faults[i].kind, 0, 0, 0);
            CHECK(rc == 0 || rc == -faults[i].error);
            CHECK(n > 1 || rc != 0);
            CHECK(rc == 0 || signals == untouched);
            CHECK(handler_is(SIGUSR1, SIG_DFL) == (rc != 0));
            if (rc == 0)
                skua_signals_close(signals);
        }
        CHECK_EQ(rc, 0);
    }
    CHECK_EQ(test_thread_settle(threads), threads);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(signals_come),
        cmocka_unit_test(signals_are_merged),
        cmocka_unit_test(signals_that_cannot_be),
        cmocka_unit_test(signals_handlers_come_back),
        cmocka_unit_test(signals_that_everybody_blocks),
        cmocka_unit_test(signals_dropped_waits),
        cmocka_unit_test(signals_closed_under_futures),
        cmocka_unit_test(signals_close_tells),
        cmocka_unit_test(signals_cancel),
        cmocka_unit_test(signals_poll_task_and_select),
        cmocka_unit_test(signals_ctrl_c),
        cmocka_unit_test(signals_storm),
        cmocka_unit_test(signals_churn),
#ifdef SKUA_FAULTS
        cmocka_unit_test(signals_faults),
#endif
    };

    if (argc == 3)
        return strcmp(argv[2], "storm") == 0 ? storm_child() : 99;
    return TEST_MAIN(tests);
}
