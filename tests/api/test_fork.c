/* drivers: both */
/* test_fork.c - fork without exec.
 *
 * Specifies runtime.h, fork: in the child a runtime of the parent answers SKUA_EUSAGE, told once,
 * and never hangs; runtimes of the child's own work, with I/O, blocking jobs and signals; it does
 * not matter what the parent was doing; locks of children and of standard streams are free in the
 * child; what it closes goes on in the parent; and the parent goes on.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/event.h"
#include "../lib/usage.h"

#define MUST_BE(actual, wanted) MUST((actual) == (wanted))

/* ---- a runtime at work ----------------------------------------------------------------------- */

static int echoes(void *arg)
{
    skua_tcp *tcp;
    char byte;
    int rc = skua_tcp_accept(arg, &tcp);

    if (rc != 0)
        return rc;
    while ((rc = (int)skua_tcp_read(tcp, &byte, 1)) == 1)
        (void)skua_tcp_write_all(tcp, &byte, 1);
    (void)skua_tcp_close(tcp);
    return rc;
}

static int blocks(void *arg)
{
    test_thread_sleep(MS(1));
    return (int)(intptr_t)arg + 1;
}

/* Tasks, time, sockets, a blocking job, a signal. */
static int works(void *arg)
{
    char address[SKUA_ADDRESS_MAX], byte = 'x';
    skua_listener *listener;
    skua_signals *signals;
    skua_tcp *tcp;
    skua_task *task;

    MUST_BE(skua_tcp_listen(&listener, "127.0.0.1:0", NULL), 0);
    MUST_BE(skua_listener_address(listener, address, sizeof address), 0);
    MUST_BE(skua_spawn(NULL, echoes, listener, .task = &task), 0);
    MUST_BE(skua_tcp_connect(&tcp, address, NULL), 0);
    for (int i = 0; i < 5; i++) {
        MUST_BE(skua_tcp_write_all(tcp, &byte, 1), 1);
        MUST_BE(skua_tcp_read(tcp, &byte, 1), 1);
    }
    MUST_BE(skua_tcp_close(tcp), 0);
    MUST_BE(skua_task_join(task, NULL), 0);
    MUST_BE(skua_listener_close(listener), 0);
    MUST_BE(skua_blocking(blocks, (void *)5), 6);
    MUST_BE(skua_sleep(MS(1)), 0);
    MUST_BE(skua_signals_open(&signals, SKUA_SIGNALS(SIGUSR1)), 0);
    if (arg == NULL) { /* alone in its process */
        kill(getpid(), SIGUSR1);
        MUST_BE(skua_signals_next(signals), SIGUSR1);
    }
    skua_signals_close(signals);
    return 0;
}

static atomic_int enough;

static int works_on(void *arg)
{
    /* AddressSanitizer's own malloc does not care for forks: nobody may be in it then. */
    while (atomic_load(&enough) == 0 && (TEST_ASAN || works(arg) == 0))
        (void)skua_sleep(TEST_ASAN ? MS(1) : 0);
    return 0;
}

static void use_runtime(const struct test_kind *kind)
{
    skua_runtime *runtime;
    int result = -1;

    MUST_BE(skua_runtime_new(&runtime,
                             SKUA_RUNTIME_OPTIONS(.kind = kind->kind, .workers = kind->workers)),
            0);
    MUST_BE(skua_block_on(runtime, works, NULL, &result), 0);
    MUST_BE(result, 0);
    MUST_BE(skua_runtime_free(runtime), 0);
}

/* ---- in the child ---------------------------------------------------------------------------- */

struct parents {
    skua_runtime *runtime;
    skua_signals *signals;
    skua_task *task;
};

static void refuses(struct parents *parents)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    int result = 77;

    MUST_BE(skua_block_on(parents->runtime, works, NULL, &result), SKUA_EUSAGE);
    MUST_BE(result, 77);
    MUST_BE(skua_spawn_on(parents->runtime, works, NULL), SKUA_EUSAGE);
    MUST_BE(skua_task_join(parents->task, &result), SKUA_EUSAGE);
    MUST_BE(skua_runtime_stop(parents->runtime, SKUA_FOREVER), SKUA_EUSAGE);
    MUST_BE(skua_runtime_free(parents->runtime), SKUA_EUSAGE);
    MUST_BE(skua_runtime_turn(parents->runtime), SKUA_EUSAGE);
    MUST_BE(skua_runtime_fd(parents->runtime), SKUA_EUSAGE);
    MUST_BE(skua_runtime_snapshot(parents->runtime, &stats, NULL, 0), SKUA_EUSAGE);
    MUST_BE(skua_runtime_each_task(parents->runtime, NULL, NULL), SKUA_EUSAGE);
    MUST_BE(skua_signals_next(parents->signals), SKUA_ECLOSED);
    MUST_BE(skua_signals_try_next(parents->signals), SKUA_ECLOSED);
    MUST(skua_runtime_current() == NULL);
}

_Noreturn static void lives(struct parents *parents, int round)
{
    struct sigaction now;

    alarm(20);
    sigaction(SIGUSR1, NULL, &now);
    MUST(now.sa_handler == SIG_DFL);
    if (round % 2 == 0)
        refuses(parents);
    use_runtime(&test_kinds[round % TEST_KINDS == 5 ? 0 : round % TEST_KINDS]);
    refuses(parents);
    skua_signals_close(parents->signals);
    _exit(0);
}

/* ---- the parent, a process of its own -------------------------------------------------------- */

static void check_ended(int pid)
{
    int status;

    MUST(waitpid(pid, &status, 0) == pid);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int forks(const struct test_kind *kind, int rounds)
{
    struct parents parents;
    skua_task *tasks[8];

    MUST_BE(skua_runtime_new(&parents.runtime,
                             SKUA_RUNTIME_OPTIONS(.kind = kind->kind, .workers = kind->workers)),
            0);
    MUST_BE(skua_signals_open(&parents.signals, SKUA_SIGNALS(SIGUSR1)), 0);
    for (int i = 0; i < 8; i++)
        MUST_BE(skua_spawn_on(parents.runtime, works_on, "parent", .task = &tasks[i]), 0);
    parents.task = tasks[0];
    for (int i = 0; i < rounds; i++) {
        int pid;

        test_thread_sleep(TEST_ASAN && i == 0 ? MS(200) : MS(1)); /* its threads begin, too */
        pid = fork();
        MUST(pid >= 0);
        if (pid == 0)
            lives(&parents, i);
        check_ended(pid);
    }
    raise(SIGUSR1);
    MUST_BE(skua_signals_next(parents.signals), SIGUSR1);
    atomic_store(&enough, 1);
    for (int i = 0; i < 8; i++)
        MUST_BE(skua_task_join(tasks[i], NULL), 0);
    MUST_BE(skua_runtime_free(parents.runtime), 0);
    skua_signals_close(parents.signals);
    use_runtime(kind);
    printf("went on\n");
    return 0;
}

/* A fiber that forks: the child goes on in its frame, as a plain thread. */
static int forks_here(void *arg)
{
    struct parents *parents = arg;
    int pid;

    MUST_BE(skua_spawn(NULL, test_fiber_forever, NULL, .task = &parents->task), 0);
    if (TEST_ASAN)
        test_thread_sleep(MS(200)); /* see works_on: the other threads have begun, and sleep */
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        lives(parents, 0);
    check_ended(pid);
    (void)skua_task_cancel(parents->task);
    return skua_task_join(parents->task, NULL);
}

static int fork_in_fiber(const struct test_kind *kind)
{
    struct parents parents;
    int result = -1;

    MUST_BE(skua_runtime_new(&parents.runtime,
                             SKUA_RUNTIME_OPTIONS(.kind = kind->kind, .workers = kind->workers)),
            0);
    MUST_BE(skua_signals_open(&parents.signals, SKUA_SIGNALS(SIGUSR1)), 0);
    MUST_BE(skua_block_on(parents.runtime, forks_here, &parents, &result), 0);
    MUST_BE(result, 0);
    skua_signals_close(parents.signals);
    MUST_BE(skua_runtime_free(parents.runtime), 0);
    printf("went on\n");
    return 0;
}

/* ---- locks ----------------------------------------------------------------------------------- */

struct busy {
    skua_process *process;
    atomic_int over;
};

/* In and out of the line of those who wait for a child. */
static void *awaits_process(void *arg)
{
    struct busy *busy = arg;

    while (!atomic_load(&busy->over))
        MUST_BE(skua_process_wait_until(busy->process, NULL, skua_now() + 1000), -ETIMEDOUT);
    return NULL;
}

static void *opens_stdin(void *arg)
{
    struct busy *busy = arg;
    skua_fd *in;

    while (!atomic_load(&busy->over)) {
        MUST_BE(skua_stdin_open(&in), 0);
        MUST_BE(skua_fd_close(in), 0);
    }
    return NULL;
}

_Noreturn static void finds_locks_free(struct busy *busy)
{
    skua_fd *in;

    alarm(20);
    MUST_BE(skua_process_wait(busy->process, NULL), SKUA_EUSAGE);
    MUST_BE(skua_process_close(busy->process), 0);
    MUST_BE(skua_stdin_open(&in), 0);
    MUST_BE(skua_fd_close(in), 0);
    _exit(0);
}

/* Standard input is the master of a terminal: it cannot be opened anew, and is shared. */
static int forks_under_locks(void)
{
    static void *(*const busies[])(void *) = {awaits_process, awaits_process, opens_stdin};
    static const char *const argv[] = {"sleep", "60", NULL};
    struct busy busy = {.over = 0};
    pthread_t threads[TEST_LEN(busies)];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    MUST(master >= 0 && dup2(master, 0) == 0);
    MUST_BE(
        skua_process_spawn(&busy.process, argv, .in = SKUA_STDIO_NULL, .kill_on_close = SIGKILL),
        0);
    for (size_t i = 0; i < TEST_LEN(busies); i++)
        MUST(pthread_create(&threads[i], NULL, busies[i], &busy) == 0);
    for (int i = 0; i < TEST_COUNT(500); i++) {
        int pid = fork();

        MUST(pid >= 0);
        if (pid == 0)
            finds_locks_free(&busy);
        check_ended(pid);
    }
    atomic_store(&busy.over, 1);
    for (size_t i = 0; i < TEST_LEN(busies); i++)
        pthread_join(threads[i], NULL);
    MUST_BE(skua_process_close(busy.process), 0);
    printf("went on\n");
    return 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct waits {
    skua_fd *fd, *other;
    skua_fd *idle, *idle_other; /* watched, and nobody waits while the forks are made */
    atomic_int heard, forked;
    skua_tcp *tcp, *peer;
    skua_listener *listener;
};

static int reads_fd(void *arg)
{
    struct waits *waits = arg;
    char byte = 0;

    return skua_fd_read(waits->fd, &byte, 1) == 1 ? byte : -1;
}

static int reads_idle(void *arg)
{
    struct waits *waits = arg;
    char byte = 0;

    MUST_BE(skua_fd_read(waits->idle, &byte, 1), 1);
    atomic_store(&waits->heard, 1);
    while (!atomic_load(&waits->forked))
        MUST_BE(skua_sleep(MS(1)), 0);
    return skua_fd_read(waits->idle, &byte, 1) == 1 ? byte : -1;
}

static int reads_tcp(void *arg)
{
    struct waits *waits = arg;
    char byte = 0;

    return skua_tcp_read(waits->tcp, &byte, 1) == 1 ? byte : -1;
}

static int accepts(void *arg)
{
    struct waits *waits = arg;

    return skua_tcp_accept(waits->listener, &waits->tcp);
}

static int opens(void *arg)
{
    struct waits *waits = arg;

    MUST_BE(skua_pipe_new(&waits->fd, &waits->other, NULL), 0);
    MUST_BE(skua_pipe_new(&waits->idle, &waits->idle_other, NULL), 0);
    MUST_BE(skua_tcp_listen(&waits->listener, "127.0.0.1:0", NULL), 0);
    return 0;
}

static int connects(void *arg)
{
    struct waits *waits = arg;
    char address[SKUA_ADDRESS_MAX];

    MUST_BE(skua_listener_address(waits->listener, address, sizeof address), 0);
    return skua_tcp_connect(&waits->peer, address, NULL);
}

static int writes(void *arg)
{
    struct waits *waits = arg;

    MUST_BE(skua_fd_write(waits->other, "a", 1), 1);
    MUST_BE(skua_fd_write(waits->idle_other, "c", 1), 1);
    return skua_tcp_write(waits->peer, "b", 1) == 1 ? 0 : -1;
}

/* A child that closes what tasks of its parent wait for. */
static void fork_and_close(struct waits *waits)
{
    int pid;

    test_thread_sleep(MS(50)); /* they wait by now */
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        alarm(20);
        MUST_BE(skua_fd_close(waits->fd), 0);
        MUST_BE(skua_fd_close(waits->other), 0);
        MUST_BE(skua_fd_close(waits->idle), 0);
        MUST_BE(skua_fd_close(waits->idle_other), 0);
        MUST_BE(skua_listener_close(waits->listener), 0);
        if (waits->tcp != NULL)
            MUST_BE(skua_tcp_close(waits->tcp), 0);
        _exit(0);
    }
    check_ended(pid);
}

/* They wait on, and are told. */
static int forks_and_closes(void)
{
    static struct waits waits;
    skua_runtime *runtime;
    skua_task *tasks[4];
    int result = -1;

    alarm(20);
    MUST_BE(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), 0);
    MUST_BE(skua_block_on(runtime, opens, &waits, NULL), 0);
    MUST_BE(skua_spawn_on(runtime, reads_fd, &waits, .task = &tasks[0]), 0);
    MUST_BE(skua_spawn_on(runtime, accepts, &waits, .task = &tasks[1]), 0);
    MUST_BE(skua_spawn_on(runtime, reads_idle, &waits, .task = &tasks[3]), 0);
    test_thread_sleep(MS(50)); /* it waits */
    MUST_BE(skua_fd_write(waits.idle_other, "-", 1), 1);
    while (!atomic_load(&waits.heard))
        test_thread_sleep(MS(1));
    fork_and_close(&waits);
    MUST(skua_block_on(runtime, connects, &waits, &result) == 0 && result == 0);
    MUST(skua_task_join(tasks[1], &result) == 0 && result == 0);
    MUST_BE(skua_spawn_on(runtime, reads_tcp, &waits, .task = &tasks[2]), 0);
    fork_and_close(&waits);
    atomic_store(&waits.forked, 1);
    test_thread_sleep(MS(50)); /* it waits again */
    MUST(skua_block_on(runtime, writes, &waits, &result) == 0 && result == 0);
    MUST(skua_task_join(tasks[0], &result) == 0 && result == 'a');
    MUST(skua_task_join(tasks[2], &result) == 0 && result == 'b');
    MUST(skua_task_join(tasks[3], &result) == 0 && result == 'c');
    MUST(skua_fd_close(waits.idle) == 0 && skua_fd_close(waits.idle_other) == 0);
    MUST(skua_fd_close(waits.fd) == 0 && skua_fd_close(waits.other) == 0);
    MUST(skua_tcp_close(waits.tcp) == 0 && skua_tcp_close(waits.peer) == 0);
    MUST_BE(skua_listener_close(waits.listener), 0);
    MUST_BE(skua_runtime_free(runtime), 0);
    printf("went on\n");
    return 0;
}

static int child_main(const char *mode)
{
    int kind = mode[1] - '0';

    if (mode[0] == 'c')
        return forks_and_closes();
    if (mode[0] == 'l')
        return forks_under_locks();
    return mode[0] == 't' ? forks(&test_kinds[kind], 30) : fork_in_fiber(&test_kinds[kind]);
}

static void check_child(const char *mode)
{
    struct test_child child;
    const char *told;

    test_variant(mode);
    if (!CHECK_EQ(test_child_run(&child, mode, NULL), 0) ||
        !CHECK(strstr(child.text, "went on") != NULL))
        test_note("it wrote: %s", child.text);
    told = strstr(child.text, "of the process that it was forked from");
    CHECK(told != NULL);
    if (mode[0] == 'f') /* one child: it tells once */
        CHECK(told == NULL || strstr(told + 1, "of the process that it was") == NULL);
}

TEST(fork_while_workers_work)
{
    test_limit(60);
    check_child("t1");
    check_child("t2");
    check_child("t4");
}

TEST(fork_under_locks)
{
    struct test_child child;

    test_limit(60);
    if (!CHECK_EQ(test_child_run(&child, "l", NULL), 0) ||
        !CHECK(strstr(child.text, "went on") != NULL))
        test_note("it wrote: %s", child.text);
}

TEST(fork_that_closes_what_others_wait_for)
{
    struct test_child child;

    test_limit(60);
    if (!CHECK_EQ(test_child_run(&child, "c", NULL), 0) ||
        !CHECK(strstr(child.text, "went on") != NULL))
        test_note("it wrote: %s", child.text);
}

TEST(fork_in_a_fiber)
{
    test_limit(60);
    check_child("f0");
    check_child("f1");
    check_child("f2");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fork_while_workers_work),
        cmocka_unit_test(fork_in_a_fiber),
        cmocka_unit_test(fork_under_locks),
        cmocka_unit_test(fork_that_closes_what_others_wait_for),
    };

    if (argc == 3)
        return child_main(argv[2]);
    if (TEST_TSAN) {
        fprintf(stderr, "skipped: ThreadSanitizer does not follow a fork of several threads\n");
        return 77;
    }
    return TEST_MAIN(tests);
}
