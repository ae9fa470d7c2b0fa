/* os_process.c - making a child process, waiting for it, signalling it.
 *
 * Flow       clone with CLONE_VFORK: the calling thread sleeps until the child has executed its
 *            program or ended. The child does what was asked for in a fixed order, and leaves the
 *            error of the step that failed in memory that both see.
 * Memory     CLONE_VM: nothing is copied, however large the program is. Not when user or group
 *            change: the kernel then takes back the right to look into that memory (dumps, /proc),
 *            which would be the parent's, too; and a child of lesser rights would share it. Nor
 *            under ThreadSanitizer, which takes every clone for a fork, and forgets in its memory.
 * Child      another thread may have held any lock, and with CLONE_VM errno is the parent thread's:
 *            plain system calls only, on a stack of its own. Sanitizers must not look: their notes
 *            on the thread would go on as the parent's. Signals are blocked until all handlers are
 *            gone, which would run in the parent's memory.
 * Pidfd      comes from clone itself, so that it can be no other process. Kernels before 5.4 have
 *            none, or cannot wait for one: there the number is used, which is the child's until it
 *            is reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
/* Names that older headers do not have. */
#define PROCESS_CLONE_PIDFD 0x1000
#define PROCESS_P_PIDFD ((idtype_t)3)
#define PROCESS_SIGNAL_GROUP (1u << 2)

#define PROCESS_STACK ((size_t)64 * 1024)
#define PROCESS_SIGNALS 64
#define PROCESS_MASK_BYTES (PROCESS_SIGNALS / 8)
/* How far descriptors are closed one by one where nobody tells which ones there are. */
#define PROCESS_FDS_BLIND 65536

#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define PROCESS_CHILD __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef PROCESS_CHILD
#define PROCESS_CHILD                                                                              \
    __attribute__((no_sanitize("thread"), no_sanitize("address"), no_sanitize("undefined")))
#endif

/* In memory that parent and child share in any case: the stack's. */
struct process_child {
    const struct skua__spawn *spawn; /* constant, as the next two */
    int parent;
    bool no_close_range; /* the kernel has none, or a test says so */
    int error;           /* the child's, then the parent's */
    int moved[SKUA__SPAWN_FDS];
    _Alignas(16) char entries[4096]; /* of a directory */
};

/* ---- in the child: its descriptors ----------------------------------------------------------- */

/* A system call's 0, or the positive errno. */
#define PROCESS_STEP(...) (syscall(__VA_ARGS__) == -1 ? errno : 0)

/* Each one that is handed on goes out of the way first, then to its place. */
PROCESS_CHILD static int process_move_fds(struct process_child *child)
{
    const struct skua__spawn *spawn = child->spawn;
    int above = spawn->fd_count != 0 ? spawn->fds[spawn->fd_count - 1].theirs + 1 : 0;

    for (unsigned i = 0; i < spawn->fd_count; i++) {
        child->moved[i] =
            (int)syscall(SYS_fcntl, spawn->fds[i].ours, F_DUPFD_CLOEXEC, above < 3 ? 3 : above);
        if (child->moved[i] < 0)
            return errno;
    }
    for (unsigned i = 0; i < spawn->fd_count; i++) {
        int error = (int)PROCESS_STEP(SYS_dup3, child->moved[i], spawn->fds[i].theirs, 0);

        if (error != 0)
            return error;
    }
    return 0;
}

PROCESS_CHILD static bool process_keeps(const struct skua__spawn *spawn, int fd)
{
    for (unsigned i = 0; i < spawn->fd_count; i++)
        if (spawn->fds[i].theirs == fd)
            return true;
    return false;
}

/* The number that a name in /proc/self/fd is, or -1. */
PROCESS_CHILD static int process_fd_of(const char *name)
{
    int fd = 0;

    if (*name < '0' || *name > '9')
        return -1;
    for (; *name >= '0' && *name <= '9'; name++)
        fd = fd * 10 + (*name - '0');
    return fd;
}

/* An entry as the kernel writes it. */
struct process_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t len;
    uint8_t type;
    char name[];
};

PROCESS_CHILD static void process_close_listed(struct process_child *child, int dir)
{
    long n;

    while ((n = syscall(SYS_getdents64, dir, child->entries, sizeof child->entries)) > 0)
        for (long at = 0; at < n;) {
            struct process_entry *entry = (struct process_entry *)(void *)(child->entries + at);
            int fd = process_fd_of(entry->name);

            if (fd >= 0 && fd != dir && !process_keeps(child->spawn, fd))
                syscall(SYS_close, fd);
            at += entry->len;
        }
    if (!process_keeps(child->spawn, dir))
        syscall(SYS_close, dir);
}

/* Without close_range: what /proc lists; without /proc one after the other. */
PROCESS_CHILD static void process_close_slowly(struct process_child *child)
{
    int dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);

    if (dir >= 0) {
        process_close_listed(child, dir);
        return;
    }
    for (int fd = 0; fd < PROCESS_FDS_BLIND; fd++)
        if (!process_keeps(child->spawn, fd))
            syscall(SYS_close, fd);
}

/* Everything that was not asked for, whatever its flags are. */
PROCESS_CHILD static void process_close_others(struct process_child *child)
{
    const struct skua__spawn *spawn = child->spawn;
    unsigned from = 0;

    if (child->no_close_range) {
        process_close_slowly(child);
        return;
    }
    for (unsigned i = 0; i <= spawn->fd_count; i++) {
        unsigned to = i < spawn->fd_count ? (unsigned)spawn->fds[i].theirs : ~0u;

        /* The ranges are closed from below: /proc is asked before anything else is gone. */
        if (to > from && PROCESS_STEP(SYS_close_range, from, to == ~0u ? to : to - 1, 0) != 0) {
            process_close_slowly(child);
            return;
        }
        from = to + 1;
    }
}

/* ---- in the child: who and where it is ------------------------------------------------------- */

PROCESS_CHILD static int process_set_ids(const struct skua__spawn *spawn)
{
    int error = 0;

    if (spawn->flags & SKUA__SPAWN_GROUPS)
        error = (int)PROCESS_STEP(SYS_setgroups, spawn->group_count, spawn->groups);
    if (error == 0 && spawn->flags & SKUA__SPAWN_GID)
        error = (int)PROCESS_STEP(SYS_setresgid, spawn->gid, spawn->gid, spawn->gid);
    if (error == 0 && spawn->flags & SKUA__SPAWN_UID)
        error = (int)PROCESS_STEP(SYS_setresuid, spawn->uid, spawn->uid, spawn->uid);
    return error;
}

PROCESS_CHILD static int process_place(struct process_child *child)
{
    const struct skua__spawn *spawn = child->spawn;
    int error = 0;

    if (spawn->flags & SKUA__SPAWN_SESSION)
        error = (int)PROCESS_STEP(SYS_setsid);
    else if (spawn->flags & SKUA__SPAWN_GROUP)
        error = (int)PROCESS_STEP(SYS_setpgid, 0, 0);
    if (error == 0 && spawn->nice != 0) {
        /* The bare call says 20 - nice, so that no value is an error. */
        int nice = 20 - (int)syscall(SYS_getpriority, PRIO_PROCESS, 0);

        error = (int)PROCESS_STEP(SYS_setpriority, PRIO_PROCESS, 0, nice + spawn->nice);
    }
    if (error == 0)
        error = process_set_ids(spawn);
    if (error == 0 && spawn->cwd != NULL)
        error = (int)PROCESS_STEP(SYS_chdir, spawn->cwd);
    /* A change of user takes it back: so behind that. A parent that is gone sends nothing. */
    if (error == 0 && spawn->parent_death != 0)
        error = (int)PROCESS_STEP(SYS_prctl, PR_SET_PDEATHSIG, spawn->parent_death, 0, 0, 0);
    if (error == 0 && spawn->parent_death != 0 && syscall(SYS_getppid) != child->parent)
        error = ESRCH;
    return error;
}

/* Handlers go, blocked signals are let in. What is ignored may stay so. */
PROCESS_CHILD static void process_reset_signals(const struct skua__spawn *spawn)
{
    /* The kernel's struct, of which only the first word counts here: the handler. */
    unsigned long none[8] = {0};
    unsigned long was[8];

    for (int number = 1; number <= PROCESS_SIGNALS; number++) {
        was[0] = 0;
        if (spawn->flags & SKUA__SPAWN_IGNORED)
            syscall(SYS_rt_sigaction, number, NULL, was, PROCESS_MASK_BYTES);
        if (was[0] != (unsigned long)(uintptr_t)SIG_IGN)
            syscall(SYS_rt_sigaction, number, none, NULL, PROCESS_MASK_BYTES);
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, PROCESS_MASK_BYTES);
}

/* A file without an interpreter's line is the shell's, as execvp has it. */
PROCESS_CHILD static int process_exec_shell(const struct skua__spawn *spawn, const char *path)
{
    static const char shell[] = "/bin/sh";
    const char *argument = spawn->argv[0];

    spawn->argv[-1] = shell;
    spawn->argv[0] = path;
    (void)syscall(SYS_execve, shell, spawn->argv - 1, spawn->envp);
    spawn->argv[0] = argument;
    return errno;
}

/* In turn; the first that is a program is it. */
PROCESS_CHILD static int process_exec(const struct skua__spawn *spawn)
{
    bool denied = false;
    int error = ENOENT;

    for (const char *const *path = spawn->paths; *path != NULL; path++) {
        (void)syscall(SYS_execve, *path, spawn->argv, spawn->envp);
        error = errno;
        if (error == ENOEXEC)
            error = process_exec_shell(spawn, *path);
        denied = denied || error == EACCES;
        if (error != EACCES && error != ENOENT && error != ENOTDIR && error != ESTALE &&
            error != ENODEV && error != ETIMEDOUT)
            return error;
    }
    return denied ? EACCES : error;
}

PROCESS_CHILD static int process_child_main(void *arg)
{
    struct process_child *child = arg;
    int error = process_move_fds(child);

    if (error == 0) {
        process_close_others(child);
        error = process_place(child);
    }
    if (error == 0) {
        process_reset_signals(child->spawn);
        error = process_exec(child->spawn);
    }
    child->error = error;
    syscall(SYS_exit_group, 127);
    return 0;
}

/* ---- spawning -------------------------------------------------------------------------------- */

/* The child's number, with *pidfd as it came; or an error. */
static int process_clone(struct process_child *child, char *stack_end, int *pidfd)
{
    bool changes = child->spawn->flags & (SKUA__SPAWN_UID | SKUA__SPAWN_GID | SKUA__SPAWN_GROUPS);
    int flags = CLONE_VFORK | SIGCHLD | (changes || SKUA__TSAN ? 0 : CLONE_VM);
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);
    sigset_t all;
    sigset_t before;
    int pid;

    if (rc != 0 && rc != -ENOSYS)
        return rc;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* A kernel that does not know the flag leaves *pidfd alone. */
    pid = clone(process_child_main, stack_end, rc == 0 ? flags | PROCESS_CLONE_PIDFD : flags, child,
                pidfd);
    rc = pid == -1 ? -errno : pid;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int skua__os_spawn(const struct skua__spawn *spawn, int *ret_pid, int *ret_pidfd)
{
    size_t page = skua__os_page_size();
    size_t room = skua__round_up(sizeof(struct process_child), page);
    int rc = skua__fault_hit(SKUA__FAULT_MMAP);
    struct process_child *child;
    int pidfd = -1;
    int status;
    int pid;

    if (rc != 0)
        return rc;
    child =
        mmap(NULL, room + PROCESS_STACK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (child == MAP_FAILED)
        return -ENOMEM;
    child->spawn = spawn;
    child->parent = getpid();
    child->no_close_range = skua__fault_hit(SKUA__FAULT_SYSCALL) != 0;
    pid = process_clone(child, (char *)child + room + PROCESS_STACK, &pidfd);
    rc = pid < 0 ? pid : -child->error;
    munmap(child, room + PROCESS_STACK);
    if (rc != 0) {
        if (pid > 0)
            (void)skua__os_process_reap(pid, pidfd, true, &status);
        if (pidfd >= 0)
            skua__os_close(pidfd);
        return rc;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

/* ---- the end, and signals -------------------------------------------------------------------- */

static int process_waitid(int pid, int pidfd, int options, siginfo_t *info)
{
    int rc = -1;

    do {
        info->si_pid = 0;
        if (pidfd >= 0)
            rc = waitid(PROCESS_P_PIDFD, (id_t)pidfd, info, options);
        /* Linux 5.2 and 5.3 have pidfds and cannot wait for them. */
        if (pidfd < 0 || (rc == -1 && errno == EINVAL))
            rc = waitid(P_PID, (id_t)pid, info, options);
    } while (rc == -1 && errno == EINTR);
    return rc == -1 ? -errno : 0;
}

int skua__os_process_ended(int pid, int pidfd)
{
    siginfo_t info;
    int rc = process_waitid(pid, pidfd, WEXITED | WNOHANG | WNOWAIT, &info);

    return rc != 0 ? rc : info.si_pid != 0;
}

int skua__os_process_reap(int pid, int pidfd, bool wait, int *status)
{
    siginfo_t info;
    int rc = process_waitid(pid, pidfd, WEXITED | (wait ? 0 : WNOHANG), &info);

    if (rc != 0)
        return rc;
    if (info.si_pid == 0)
        return -EAGAIN;
    *status = info.si_status & SKUA__STATUS_VALUE;
    if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
        *status |= SKUA__STATUS_KILLED;
    if (info.si_code == CLD_DUMPED)
        *status |= SKUA__STATUS_CORE;
    return 0;
}

int skua__os_process_signal(int pid, int pidfd, int signal)
{
    long rc = pidfd >= 0 ? syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0)
              : pid > 0  ? kill(pid, signal)
                         : (errno = ESRCH, -1);

    return rc == -1 ? -errno : 0;
}

int skua__os_group_signal(int pid, int pidfd, int signal)
{
    long rc = -1;

    errno = EINVAL;
    if (pidfd >= 0)
        rc = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, PROCESS_SIGNAL_GROUP);
    if (rc == -1 && errno == EINVAL && signal >= 0 && signal <= PROCESS_SIGNALS)
        rc = pid > 0 ? kill(-pid, signal) : (errno = ESRCH, -1);
    return rc == -1 ? -errno : 0;
}

int skua__os_poll_many(struct pollfd *fds, unsigned count, int64_t deadline)
{
    struct timespec left;
    int rc = ppoll(fds, count, skua__os_time_left(deadline, &left), NULL);

    if (rc == -1)
        return errno == EINTR ? 0 : -errno;
    return rc == 0 ? -ETIMEDOUT : 0;
}

bool skua__os_is_root(void)
{
    return geteuid() == 0;
}

const char *const *skua__os_environ(void)
{
    return (const char *const *)environ;
}

#undef PROCESS_CLONE_PIDFD
#undef PROCESS_P_PIDFD
#undef PROCESS_SIGNAL_GROUP
#undef PROCESS_STACK
#undef PROCESS_SIGNALS
#undef PROCESS_MASK_BYTES
#undef PROCESS_FDS_BLIND
#undef PROCESS_CHILD
#undef PROCESS_STEP
