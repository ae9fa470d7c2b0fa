/* drivers: both */
/* test_process_end.c - children that are waited for, signalled, let go of, and left behind.
 *
 * Specifies the second half of process.h: waits of every kind, groups, closing, zombies; and what a
 * failing resource does to a spawn.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parked.h"
#include "part.h"
#include "shell.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* Starts a script and waits until it has said something. */
#define start_and_hear(script, ...) hear(shell_start((script), .out = SKUA_STDIO_PIPE, __VA_ARGS__))

static skua_process *hear(skua_process *process)
{
    skua_fd *out = skua_process_take_out(process);
    char text[8];

    CHECK_EQ(skua_fd_read(out, text, 2), 1);
    CHECK_EQ(skua_fd_close(out), 0);
    return process;
}

/* ---- several who wait ------------------------------------------------------------------------ */

struct watcher {
    skua_process *process;
    atomic_int *told;
    int rc;
};

static int watches(void *arg)
{
    struct watcher *self = arg;
    skua_process_status status = {.code = -2};

    self->rc = skua_process_wait(self->process, &status);
    if (self->rc == 0)
        CHECK_EQ(status.code, 5);
    atomic_fetch_add(self->told, 1);
    return 0;
}

static void *watches_thread(void *arg)
{
    watches(arg);
    return NULL;
}

TEST_FIBER(all_who_wait_are_told)
{
    skua_process *process = shell_start("read x; exit 5", .in = SKUA_STDIO_PIPE);
    skua_fd *in = skua_process_take_in(process);
    atomic_int told = 0;
    struct watcher watcher[5];
    pthread_t thread;
    skua_scope scope;

    CHECK(skua_process_take_in(process) == NULL);
    CHECK(skua_process_take_out(process) == NULL);
    for (int i = 0; i < 5; i++)
        watcher[i] = (struct watcher){process, &told, -1};
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(pthread_create(&thread, NULL, watches_thread, &watcher[4]) == 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_spawn(&scope, watches, &watcher[i]), 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(atomic_load(&told), 0);
    CHECK_EQ(skua_fd_close(in), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    while (atomic_load(&told) < 5)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(watcher[i].rc, 0);
    CHECK_EQ(skua_process_close(process), 0);
    return 0;
}

static int waits_to_its_end(void *arg)
{
    return skua_process_wait(arg, NULL);
}

/* The child does not notice. */
TEST_FIBER(cancelled_wait_leaves_the_child)
{
    skua_process *process = shell_start("read x; exit 5", .in = SKUA_STDIO_PIPE);
    skua_fd *in = skua_process_take_in(process);
    skua_process_status status;
    skua_task *task;
    int result;

    MUST(skua_spawn(NULL, waits_to_its_end, process, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_process_try_wait(process, NULL), -EAGAIN);
    CHECK_EQ(skua_fd_close(in), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.code, 5);
    CHECK_EQ(skua_process_close(process), 0);
    return 0;
}

TEST_FIBER(wait_in_a_select)
{
    skua_process *process = shell_start("read x; exit 5", .in = SKUA_STDIO_PIPE);
    skua_process_status status;
    int64_t rc = -1;

    CHECK_EQ(skua_select(skua_process_waiting(process, &status), skua_sleeping(MS(2))), 1);
    CHECK_EQ(skua_fd_close(skua_process_take_in(process)), 0);
    CHECK_EQ(skua_select_to(&rc, skua_process_waiting(process, &status), skua_sleeping(SKUA_HOUR)),
             0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(status.code, 5);
    CHECK_EQ(skua_process_close(process), 0);
    return 0;
}

struct poll_waits {
    skua_async async;
    skua_process_future wait;
    skua_process *process;
    skua_process_status status;
    int64_t result;
};

/* The spawn, too, is a poll task's: it runs on the worker. */
static skua_poll polls_a_child(void *state, skua_waker *waker)
{
    struct poll_waits *self = state;

    SKUA_ASYNC(self, waker);
    self->process = shell_start("exit 5");
    SKUA_AWAIT_TO(self->result, skua_process_wait_init(&self->wait, self->process, &self->status));
    CHECK_EQ(self->result, 0);
    CHECK_EQ(skua_process_close(self->process), 0);
    SKUA_ASYNC_END(self->status.code);
}

TEST_FIBER(child_of_a_poll_task)
{
    struct poll_waits state = {.process = NULL};

    CHECK_EQ(test_run_poll(polls_a_child, &state, sizeof state), 5);
    return 0;
}

/* ---- signals --------------------------------------------------------------------------------- */

/* The shell's child has its pipe: its end is the group's. */
TEST_WAITING(group_is_signalled)
{
    skua_process *process =
        shell_start("sleep 60 & echo; wait", .out = SKUA_STDIO_PIPE, .group = SKUA_PROCESS_GROUP);
    skua_fd *out = skua_process_take_out(process);
    skua_process_status status;
    char text[8];

    CHECK_EQ(skua_fd_read(out, text, 1), 1);
    CHECK_EQ(skua_process_signal_group(process, SIGKILL), 0);
    CHECK_EQ(skua_fd_read(out, text, 1), 0);
    CHECK_EQ(skua_fd_close(out), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.signal, SIGKILL);
    CHECK_EQ(skua_process_close(process), 0);
}

/* Its first process has ended; from Linux 6.9 on its group can still be meant. */
TEST_WAITING(group_is_signalled_behind_its_first)
{
    skua_process *process =
        shell_start("sleep 5 & exit 0", .out = SKUA_STDIO_PIPE, .group = SKUA_PROCESS_GROUP);
    skua_fd *out = skua_process_take_out(process);
    char text[8];
    int rc;

    CHECK_EQ(skua_process_wait(process, NULL), 0);
    CHECK_EQ(skua_fd_try_read(out, text, 1), -EAGAIN);
    CHECK_EQ(skua_process_signal(process, SIGKILL), -ESRCH);
    rc = skua_process_signal_group(process, SIGKILL);
    CHECK(rc == 0 || rc == -ESRCH);
    CHECK_EQ(skua_fd_read(out, text, 1), 0);
    CHECK_EQ(skua_fd_close(out), 0);
    CHECK_EQ(skua_process_close(process), 0);
}

/* Without a group of its own that would be ours. */
TEST(group_is_its_own)
{
    skua_process *process = shell_start("read x", .in = SKUA_STDIO_PIPE);

    CHECK_EQ(skua_process_signal_group(process, SIGKILL), SKUA_EUSAGE);
    CHECK_EQ(skua_process_signal(process, 1234), -EINVAL);
    CHECK(skua_process_id(process) > 0);
    CHECK_EQ(skua_process_close(process), 0); /* which closes its input */
    while (shell_children() != 0)
        test_thread_sleep(MS(1));
}

TEST_WAITING(stopped_child_has_not_ended)
{
    skua_process *process =
        start_and_hear("trap 'exit 6' TERM; echo; while :; do read x; done", .in = SKUA_STDIO_PIPE);
    skua_process_status status;

    CHECK_EQ(skua_process_signal(process, SIGSTOP), 0);
    CHECK_EQ(skua_process_signal(process, SIGTERM), 0);
    CHECK_EQ(skua_process_wait_until(process, &status, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_process_signal(process, SIGCONT), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.code, 6);
    CHECK_EQ(skua_process_close(process), 0);
}

/* ---- letting go ------------------------------------------------------------------------------ */

TEST_WAITING(kill_on_close)
{
    skua_process *process;

    process = shell_start("exec sleep 60", .kill_on_close = SIGTERM);
    CHECK_EQ(skua_process_close(process), 0);
    process =
        shell_start("sleep 60 & sleep 60", .kill_on_close = SIGKILL, .group = SKUA_PROCESS_GROUP);
    CHECK_EQ(skua_process_close(process), 0);
    while (shell_children() != 0)
        test_thread_sleep(MS(1));
}

/* Nobody waits for it, and it is no zombie. */
TEST_WAITING(child_goes_on_without_its_handle)
{
    skua_process *process =
        shell_start("read x; exit 0", .in = SKUA_STDIO_PIPE, .out = SKUA_STDIO_PIPE);
    skua_fd *in = skua_process_take_in(process);

    CHECK_EQ(skua_process_close(process), 0);
    CHECK_EQ(shell_children_settle(1), 1);
    CHECK_EQ(skua_fd_close(in), 0);
    while (shell_children() != 0)
        test_thread_sleep(MS(1));
}

/* Nor is one whose handle is kept. */
TEST(ended_child_is_no_zombie)
{
    skua_process *process = shell_start("exit 5");
    skua_process_status status;

    while (shell_children() != 0)
        test_thread_sleep(MS(1));
    while (skua_process_try_wait(process, &status) != 0)
        test_thread_sleep(MS(1));
    CHECK_EQ(status.code, 5);
    CHECK_EQ(skua_process_close(process), 0);
}

TEST_FIBER(close_wakes_who_waits)
{
    skua_process *process = shell_start("read x", .in = SKUA_STDIO_PIPE);
    skua_fd *in = skua_process_take_in(process);
    atomic_int told = 0;
    struct watcher watcher = {process, &told, 0};
    skua_task *task;

    MUST(skua_spawn(NULL, watches, &watcher, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_process_close(process), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(watcher.rc, SKUA_ECLOSED);
    CHECK_EQ(skua_fd_close(in), 0);
    return 0;
}

static int leaves_a_child(void *arg)
{
    *(skua_process **)arg = shell_start("read x; exit 5", .in = SKUA_STDIO_PIPE);
    return 0;
}

TEST(child_outlives_its_runtime)
{
    skua_process_status status;
    skua_process *process;

    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_run(runtime, leaves_a_child, &process);
        test_runtime_free(runtime);
        CHECK_EQ(skua_process_signal(process, 0), 0);
        CHECK_EQ(skua_fd_close(skua_process_take_in(process)), 0);
        CHECK_EQ(skua_process_wait(process, &status), 0);
        CHECK_EQ(status.code, 5);
        CHECK_EQ(skua_process_close(process), 0);
    }
}

static void *spawns_and_ends(void *arg)
{
    *(skua_process **)arg = shell_start("exec sleep 60", .parent_death = SIGKILL);
    return NULL;
}

TEST(child_goes_with_its_thread)
{
    skua_process_status status;
    skua_process *process;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, spawns_and_ends, &process) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.signal, SIGKILL);
    CHECK_EQ(skua_process_close(process), 0);
}

/* Another takes the status away. */
TEST(lost_status_is_told)
{
    skua_process_status status = {.code = -2};
    skua_process *process;

    signal(SIGCHLD, SIG_IGN);
    process = shell_start("exit 5");
    CHECK_EQ(skua_process_wait(process, &status), -ECHILD);
    CHECK_EQ(skua_process_try_wait(process, NULL), -ECHILD);
    CHECK_EQ(status.code, -2);
    CHECK_EQ(skua_process_signal(process, 0), -ESRCH);
    CHECK_EQ(skua_process_close(process), 0);
    signal(SIGCHLD, SIG_DFL);
}

/* ---- many ------------------------------------------------------------------------------------ */

static int runs_one(void *arg)
{
    int code = (int)(intptr_t)arg % 256;
    char script[32];

    snprintf(script, sizeof script, "exit %d", code);
    CHECK_EQ(shell_run(script), code);
    return 0;
}

TEST_FIBER(many_at_once)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (intptr_t i = 0; i < TEST_COUNT(100); i++)
        CHECK_EQ(skua_spawn(&scope, runs_one, (void *)i), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static void *runs_some(void *arg)
{
    for (intptr_t i = 0; i < 10; i++) {
        runs_one((void *)i);
        if (i % 4 == 3) /* the reaper leaves and comes */
            test_thread_sleep(MS(98));
    }
    return arg;
}

TEST(threads_at_once)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, runs_some, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(shell_children_settle(0), 0);
}

/* ---- what fails ------------------------------------------------------------------------------ */

#ifdef SKUA_FAULTS

/* The nth call of a kind fails, and all behind it if `count` is large: a child or an error. */
static bool spawn_once(enum skua__fault kind, unsigned n, unsigned count, int error)
{
    static const char *const argv[] = {"sh", "-c", "exit 5", NULL};
    skua_process *untouched = (skua_process *)8, *process = untouched;
    skua_process_status status = {.code = -2};
    bool clean;
    int rc;

    skua__fault_arm(kind, n, count, error);
    rc = skua_process_spawn(&process, argv, .in = SKUA_STDIO_PIPE, .out = SKUA_STDIO_NULL,
                            .err = SKUA_STDIO_OUT);
    clean = skua__fault_calls(kind) < n;
    skua__fault_arm(kind, 0, 0, 0);
    CHECK(rc == 0 || rc == -error || rc == -ENOMEM);
    CHECK(rc == 0 || !clean);
    if (rc != 0) {
        CHECK(process == untouched);
        return clean;
    }
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.code, 5);
    CHECK_EQ(skua_process_close(process), 0);
    return clean;
}

TEST(each_resource_fails)
{
    static const struct {
        enum skua__fault kind;
        int error;
    } faults[] = {{SKUA__FAULT_MALLOC, ENOMEM},  {SKUA__FAULT_MMAP, ENOMEM},
                  {SKUA__FAULT_THREAD, EAGAIN},  {SKUA__FAULT_SYSCALL, EMFILE},
                  {SKUA__FAULT_SYSCALL, EAGAIN}, {SKUA__FAULT_SYSCALL, ENOSYS}};
    int fds = shell_quiet_fds();

    test_limit(60);
    (void)skua_yield(); /* this thread has its own state: that there is always memory for */
    for (size_t k = 0; k < TEST_LEN(faults); k++)
        for (unsigned count = 1; count <= 1000000; count += 999999)
            for (unsigned n = 1; n < 100; n++) {
                (void)shell_quiet_fds(); /* its thread is made anew, too */
                if (spawn_once(faults[k].kind, n, count, faults[k].error))
                    break;
                MUST(n < 99);
            }
    CHECK_EQ(shell_children_settle(0), 0);
    CHECK_EQ(shell_quiet_fds(), fds);
}

#endif

TEST(nothing_is_left)
{
    CHECK_EQ(shell_children_settle(0), 0);
    (void)shell_quiet_fds();
}

/* ---- forks ----------------------------------------------------------------------------------- */

static int spawns_and_waits(void)
{
    skua_process *process;
    skua_process_status status;

    if (skua_process_spawn(&process, SKUA_ARGV("sh", "-c", "exit 7")) != 0 ||
        skua_process_wait_until(process, &status, skua_now() + 5 * TEST_LATE) != 0)
        return 1;
    skua_process_close(process);
    return status.code == 7 ? 0 : 2;
}

/* The thread that reaps is not in the child of a fork: it gets one of its own. */
TEST(forked_child_has_children_of_its_own)
{
    skua_process *process;
    int status = -1;
    pid_t child;

    if (TEST_SANITIZED)
        return; /* their own locks do not survive a fork among threads */
    process = shell_start("exec sleep 60");
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(spawns_and_waits());
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(spawns_and_waits(), 0);
    CHECK_EQ(skua_process_signal(process, SIGKILL), 0);
    CHECK_EQ(skua_process_wait(process, NULL), 0);
    skua_process_close(process);
}

/* What was the parent's before the fork is no child of this process. */
static int refuses_parents(skua_process *runs, skua_process *ended)
{
    skua_process *const all[] = {runs, ended};
    skua_process_status status = {.code = 77};
    int copies = skua_fd_number(skua_process_take_out(runs));

    alarm(20);
    for (size_t i = 0; i < TEST_LEN(all); i++)
        if (skua_process_wait(all[i], &status) != SKUA_EUSAGE ||
            skua_process_wait_until(all[i], &status, SKUA_FOREVER) != SKUA_EUSAGE ||
            skua_await(skua_process_waiting(all[i], &status)) != SKUA_EUSAGE ||
            skua_process_try_wait(all[i], &status) != SKUA_EUSAGE ||
            skua_process_signal(all[i], SIGKILL) != SKUA_EUSAGE ||
            skua_process_signal_group(all[i], SIGKILL) != SKUA_EUSAGE || status.code != 77)
            return 3;
    for (size_t i = 0; i < TEST_LEN(all); i++)
        if (skua_process_close(all[i]) != 0)
            return 4;
    return copies < 3 ? 5 : spawns_and_waits();
}

/* Waiting for it would never end, and .kill_on_close is for the process that spawned it. */
TEST(forked_child_leaves_its_parents_children)
{
    int fds = shell_quiet_fds(), status = -1;
    skua_process *runs = shell_start("exec sleep 60", .out = SKUA_STDIO_PIPE, .in = SKUA_STDIO_PIPE,
                                     .kill_on_close = SIGKILL);
    skua_process *ended = shell_start("exit 3", .group = SKUA_PROCESS_GROUP);
    pid_t child;

    CHECK_EQ(skua_process_wait(ended, NULL), 0);
    if (!TEST_TSAN && !TEST_EMULATED) { /* who reaps sleeps, and is in nobody's lock */
        child = fork();
        MUST(child >= 0);
        if (child == 0)
            _exit(refuses_parents(runs, ended));
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK_EQ(skua_process_try_wait(runs, NULL), -EAGAIN);
    CHECK_EQ(skua_process_try_wait(ended, NULL), 0);
    CHECK_EQ(skua_process_close(runs), 0);
    CHECK_EQ(skua_process_close(ended), 0);
    CHECK_EQ(shell_quiet_fds(), fds);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_who_wait_are_told),
        cmocka_unit_test(cancelled_wait_leaves_the_child),
        cmocka_unit_test(wait_in_a_select),
        cmocka_unit_test(child_of_a_poll_task),
        TEST_WAITING_ENTRIES(group_is_signalled),
        TEST_WAITING_ENTRIES(group_is_signalled_behind_its_first),
        cmocka_unit_test(group_is_its_own),
        TEST_WAITING_ENTRIES(stopped_child_has_not_ended),
        TEST_WAITING_ENTRIES(kill_on_close),
        TEST_WAITING_ENTRIES(child_goes_on_without_its_handle),
        cmocka_unit_test(ended_child_is_no_zombie),
        cmocka_unit_test(close_wakes_who_waits),
        cmocka_unit_test(child_outlives_its_runtime),
        cmocka_unit_test(child_goes_with_its_thread),
        cmocka_unit_test(lost_status_is_told),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(threads_at_once),
#ifdef SKUA_FAULTS
        cmocka_unit_test(each_resource_fails),
#endif
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(forked_child_has_children_of_its_own),
        cmocka_unit_test(forked_child_leaves_its_parents_children),
    };

    return TEST_MAIN(tests);
}
