/* child.c - runs a part of a test in a process of its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define CHILD_LIMIT (20 * SKUA_SECOND)

void test_self_exec(const char *mode, char *const env[])
{
    char words[256], path[1024];
    char *argv[16] = {"/proc/self/exe"};
    const char *emulator = getenv("TEST_EMULATOR");
    ssize_t len = readlink(argv[0], path, sizeof path - 1);
    int n = 0;

    if (emulator && len > 0 && strlen(emulator) < sizeof words) {
        path[len] = '\0'; /* the emulator's own /proc/self/exe is the emulator */
        strcpy(words, emulator);
        for (char *at = words; *at && n < 12; n++) {
            argv[n] = at;
            at += strcspn(at, " ");
            if (*at)
                *at++ = '\0';
        }
        argv[n] = path;
    }
    argv[n + 1] = "--child";
    argv[n + 2] = (char *)(uintptr_t)mode;
    execve(argv[0], argv, env);
    _exit(126);
}

/* In the child of fork: only calls that are safe in a signal handler. */
static void child_exec(const char *mode, char *const env[], int out)
{
    struct rlimit no_core = {0, 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    test_self_exec(mode, env);
}

void test_child_start(struct test_child *child, const char *mode, const char *env)
{
    extern char **environ;
    char *all[256];
    int pipes[2], n = 0;

    if (env)
        all[n++] = (char *)env;
    for (char **at = environ; *at && n < 255; at++)
        all[n++] = *at;
    all[n] = NULL;
    MUST(pipe2(pipes, O_CLOEXEC) == 0);
    child->pid = fork();
    MUST(child->pid >= 0);
    if (child->pid == 0)
        child_exec(mode, all, pipes[1]);
    close(pipes[1]);
    child->out = pipes[0];
    child->len = 0;
    child->text[0] = '\0';
}

/* Reads what comes until `deadline`: 1 = some, 0 = the end, -1 = nothing in time. */
static int child_read(struct test_child *child, int64_t deadline)
{
    struct pollfd fd = {.fd = child->out, .events = POLLIN};
    int64_t left = (deadline - skua_now()) / SKUA_MILLISECOND;
    char waste[1024];
    size_t room = sizeof child->text - 1 - child->len;
    ssize_t n;

    if (left <= 0 || poll(&fd, 1, (int)left) <= 0)
        return skua_now() < deadline ? 1 : -1;
    n = room ? read(child->out, child->text + child->len, room)
             : read(child->out, waste, sizeof waste);
    if (n <= 0)
        return 0;
    if (room)
        child->len += (size_t)n;
    child->text[child->len] = '\0';
    return 1;
}

int test_child_until(struct test_child *child, const char *text)
{
    int64_t deadline = skua_now() + CHILD_LIMIT;

    while (!strstr(child->text, text))
        if (child_read(child, deadline) <= 0)
            return strstr(child->text, text) != NULL;
    return 1;
}

void test_child_signal(struct test_child *child, int signal)
{
    kill(child->pid, signal);
}

int test_child_end(struct test_child *child)
{
    int64_t deadline = skua_now() + CHILD_LIMIT;
    int status = 0, more;

    while ((more = child_read(child, deadline)) > 0)
        ;
    if (!CHECK(more == 0)) {
        fprintf(stderr, "the child does not end; it wrote: %s\n", child->text);
        kill(child->pid, SIGKILL);
    }
    MUST(waitpid(child->pid, &status, 0) == child->pid);
    close(child->out);
    return status;
}

int test_child_run(struct test_child *child, const char *mode, const char *env)
{
    test_child_start(child, mode, env);
    return test_child_end(child);
}
