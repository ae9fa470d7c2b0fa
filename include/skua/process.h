/* process.h - child processes: spawned, waited for, signalled, stopped; pipes to them.
 *
 *     skua_process_status status;
 *     skua_process *sort;
 *
 *     rc = skua_process_spawn(&sort, SKUA_ARGV("sort", "-u", "names.txt"), .out = SKUA_STDIO_PIPE);
 *     ...
 *     lines = skua_process_take_out(sort);                // an skua_fd: read it, close it
 *     rc = skua_process_wait(sort, &status);              // the fiber waits, its worker does not
 *     skua_process_close(sort);
 *
 * A child gets the descriptors that were asked for and no other one, whatever their flags are; all
 * its signals are at their defaults and none is blocked. What keeps it from running its program (no
 * such file, no such directory, not allowed) is the result of the spawn.
 *
 * Zombies    none. Each child is reaped when it ends, by a thread of the library that sleeps on
 *            the pidfds of all children and is there while there are any: also when nobody waits,
 *            when the handle is closed, when the runtime that spawned it is gone.
 * Signals    go through the pidfd: to this child, never to another process that has got its
 *            number. On a kernel without pidfds (before Linux 5.4) a child's end is looked for
 *            every 1 to 20 ms, and it is not reaped while somebody signals it.
 * SIGCHLD    is not used. A program that ignores it, or that waits for any child itself
 *            (waitpid(-1)), takes the status away: skua_process_wait then says -ECHILD.
 * Forks      in the child of a fork the parent's children are not its own: waiting for them, asking
 *            and signalling is SKUA_EUSAGE, and closing a handle closes the copies of its pipes
 *            there, gives its memory back, and does nothing to the child of the parent, whatever
 *            .kill_on_close says. It may spawn children of its own.
 * Source     Tokio's process::Command and Child; Python's subprocess; posix_spawn.
 */
#ifndef SKUA_PROCESS_H
#define SKUA_PROCESS_H

#include <skua/fd.h>
#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_process skua_process;

/* ---- what a child gets ----------------------------------------------------------------------- */

/* Where a standard stream of the child leads. */
#define SKUA_STDIO_INHERIT 0 /* where this program's leads; closed when this program's is */
#define SKUA_STDIO_NULL 1    /* /dev/null */
#define SKUA_STDIO_PIPE 2 /* a pipe, whose other end is the handle's (skua_process_take_out …) */
#define SKUA_STDIO_OUT 3  /* .err only: where .out leads */
/* A descriptor of the caller's, which keeps it. */
#define SKUA_STDIO_FD(fd) ((fd) + 16)

#define SKUA_PROCESS_GROUP 1   /* .group: a process group of its own */
#define SKUA_PROCESS_SESSION 2 /* .group: a session of its own, without a terminal, and a group */

/* A descriptor that a child gets: its number there, 3 or more, and here. */
typedef struct skua_process_fd {
    int theirs;
    int ours; /* the caller's, who keeps it; close-on-exec or not */
} skua_process_fd;

/* All pointers are the caller's, and read until the spawn returns. */
typedef struct skua_process_options {
    size_t size;            /* stamped by the macro */
    const char *program;    /* the file, when argv[0] is to be another name (default argv[0]) */
    const char *const *env; /* up to a NULL: "NAME=value" sets, "NAME" removes (default NULL) */
    const char *cwd;        /* its directory (default: this program's) */
    int in;                 /* SKUA_STDIO_…, as the next two (default SKUA_STDIO_INHERIT) */
    int out;
    int err;
    const skua_process_fd *fds; /* other descriptors (default none) */
    size_t fd_count;            /* at most 250 */
    const gid_t *groups;        /* with .set_groups: its supplementary groups */
    size_t group_count;
    uid_t uid;        /* with .set_uid. All three ids: real, effective, saved */
    gid_t gid;        /* with .set_gid */
    unsigned set_uid; /* (default 0: this program's) */
    unsigned set_gid;
    unsigned set_groups;   /* (default 0: none when root changes .uid or .gid, else ours) */
    unsigned clear_env;    /* 1: only what .env says (default 0: this program's and that) */
    unsigned keep_ignored; /* 1: signals that this program ignores it ignores, too (nohup) */
    unsigned group;    /* SKUA_PROCESS_GROUP, SKUA_PROCESS_SESSION (default 0: this program's) */
    int nice;          /* added to this program's; below 0 needs a right (default 0) */
    int kill_on_close; /* signal that a child that runs gets from skua_process_close (default 0) */
    int parent_death;  /* signal that the child gets when the thread that spawned it ends: that is
                          the worker's, with its runtime at the latest, or the plain thread's
                          (default 0) */
} skua_process_options;

/* How a child ended. */
typedef struct skua_process_status {
    int code;   /* what it gave to exit, 0 to 255; -1 when a signal ended it */
    int signal; /* which one, or 0 */
    int core;   /* 1: it left a core file */
} skua_process_status;

#ifndef __cplusplus
#define SKUA_PROCESS_OPTIONS(...)                                                                  \
    (sizeof(#__VA_ARGS__) == 1                                                                     \
         ? (const skua_process_options *)0                                                         \
         : &(const skua_process_options){.size = sizeof(skua_process_options), __VA_ARGS__})

/* Arguments in the caller's block: SKUA_ARGV("sort", "-u", name). In bare braces their commas would
 * part the macro's arguments. */
#define SKUA_ARGV(...) ((const char *const[]){__VA_ARGS__, (const char *)0})

/* Starts a program: skua_process_spawn(&process, argv, .cwd = "/tmp", .out = SKUA_STDIO_PIPE).
 *
 * A name without a slash is looked for in this program's PATH, as execvp does. A relative one
 * counts from .cwd. .cwd, the groups and ids, .nice and .group are in force when it is executed.
 *
 * On a fiber the spawn runs on a thread of the blocking pool: the thread that spawns sleeps until
 * the child has executed its program (vfork). On the worker itself when there is no such thread to
 * be had, with .parent_death, and in a poll task. It is not ended by a cancellation. Nothing of the
 * program's memory is copied, however large it is, unless ids or groups change.
 *
 * process    receives the handle; untouched on failure
 * argv       up to a NULL; at least one
 * Returns    0; -ENOENT, -EACCES, -ENOTDIR, -ELOOP …: the program, or .cwd; -EPERM: ids, groups,
 *            .nice; -EBADF: a descriptor that is not open; -EINVAL: options, or no argv[0];
 *            -E2BIG, -EAGAIN, -ENOMEM, -EMFILE, -ENFILE
 * Ownership  ended by skua_process_close
 * Threads    any; no other one changes the environment meanwhile (setenv)
 * Since      0.3
 */
#define skua_process_spawn(process, argv, ...)                                                     \
    skua_process_spawn_with((process), (argv), SKUA_PROCESS_OPTIONS(__VA_ARGS__))
#endif

/* What skua_process_spawn calls; for other languages.
 *
 * options    NULL = defaults
 * Returns    as skua_process_spawn
 * Ownership  as skua_process_spawn
 * Threads    as skua_process_spawn
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_process_spawn_with(skua_process **process, const char *const *argv,
                                                    const skua_process_options *options);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_process_options_init(skua_process_options *options);

/* Gives a handle back. The child goes on, or gets .kill_on_close if it runs (with .group the whole
 * group gets it); it is reaped in any case. Who waits for one that runs gets SKUA_ECLOSED.
 *
 * Pipes that were not taken are closed.
 *
 * process    nobody begins to use it any more; NULL does nothing
 * Returns    0
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_process_close(skua_process *process);

/* ---- while it runs --------------------------------------------------------------------------- */

/* The child's number. After its end it may be another's: signal with skua_process_signal.
 *
 * Returns    a pid
 * Threads    any
 * Since      0.3
 */
SKUA_API pid_t skua_process_id(const skua_process *process);

/* Our end of the pipe that the child has as its standard input: what is written to it the child
 * reads; its close is the end of that.
 *
 * Returns    the descriptor; NULL: the stream is no pipe, or was taken before
 * Ownership  the caller's from here on, to be ended by skua_fd_close
 * Threads    any; one at a time
 * Since      0.3
 */
SKUA_API skua_fd *skua_process_take_in(skua_process *process);

/* Our end of the pipe that is its standard output: read what it writes.
 *
 * Returns    as skua_process_take_in
 * Ownership  as skua_process_take_in
 * Threads    any; one at a time
 * Since      0.3
 */
SKUA_API skua_fd *skua_process_take_out(skua_process *process);

/* Our end of the pipe that is its standard error: read what it writes.
 *
 * Returns    as skua_process_take_in
 * Ownership  as skua_process_take_in
 * Threads    any; one at a time
 * Since      0.3
 */
SKUA_API skua_fd *skua_process_take_err(skua_process *process);

/* Sends a signal to the child.
 *
 * signal     SIGTERM, SIGKILL, SIGSTOP …; 0 only asks whether it is there
 * Returns    0, also when it ends at this moment; -ESRCH: it has ended; -EPERM: it has other ids
 *            now; -EINVAL; SKUA_EUSAGE: it is the child of a process that this one was forked from
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_process_signal(skua_process *process, int signal);

/* Sends a signal to all processes of the child's group, which .group made.
 *
 * Returns    0; -ESRCH: there are none; before Linux 6.9 also when the child itself has ended;
 *            SKUA_EUSAGE: it was spawned without .group, or as skua_process_signal; -EPERM, -EINVAL
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_process_signal_group(skua_process *process, int signal);

/* ---- its end --------------------------------------------------------------------------------- */

/* Waits until the child has ended. The child goes on when the wait is cancelled.
 *
 * A child that is stopped (SIGSTOP) has not ended. One that has may have left children that go on.
 *
 * status     receives how; NULL = not wanted; untouched on failure
 * Returns    0, at once when it has ended; -ECANCELED, -ETIMEDOUT, SKUA_ECLOSED; -ECHILD: somebody
 *            else took the status; SKUA_EUSAGE: it is the child of a process that this one was
 *            forked from
 * Threads    fibers, plain threads; any number at a time, and all are told
 * Cancel     safe
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_process_wait(skua_process *process, skua_process_status *status);

/* As skua_process_wait, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_process_wait
 * Threads    as skua_process_wait
 * Cancel     safe
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_process_wait_until(skua_process *process,
                                                    skua_process_status *status, int64_t deadline);

/* Looks whether the child has ended, and does not wait.
 *
 * Returns    0; -EAGAIN: its end was not seen yet; -ECHILD; SKUA_EUSAGE as skua_process_wait
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_process_try_wait(skua_process *process, skua_process_status *status);

/* A wait for a child's end. Its members are private. */
typedef struct skua_process_future {
    skua_future future;
    skua_waiter waiter;
    skua_process *process;
    skua_process_status *status;
    void *counted; /* where the wait counts, or NULL */
} skua_process_future;

/* Makes a future of that: ready as skua_process_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.3
 */
SKUA_API skua_future *skua_process_wait_init(skua_process_future *wait, skua_process *process,
                                             skua_process_status *status);

/* ---- all at once ----------------------------------------------------------------------------- */

/* What a program is given and what it says. The buffers are the caller's, and are the limits. */
typedef struct skua_process_text {
    const void *in; /* becomes its standard input; NULL: as .in of the options says */
    size_t in_len;
    char *out;       /* its standard output, and a closing zero; NULL: as .out says */
    size_t out_size; /* with the zero; at least 1 */
    char *err;       /* likewise its standard error */
    size_t err_size;
    size_t out_len; /* receives how many bytes there were, without the zero, as the next three */
    size_t err_len;
    unsigned truncated; /* 1: there was more, which was thrown away (with .truncate) */
    skua_process_status status;
    unsigned truncate; /* 1: what exceeds a buffer is read and thrown away (default 0: the end) */
} skua_process_text;

#ifndef __cplusplus
/* Runs a program to its end, with its output in buffers:
 *
 *     char out[4096];
 *     skua_process_text text = {.out = out, .out_size = sizeof out};
 *
 *     rc = skua_process_output(argv, &text, SKUA_FOREVER, .cwd = "/srv");
 *
 * All pipes are served at the same time, so that it and the child never wait for each other. It
 * ends when the child and whoever has its pipes have closed them, and the child has ended.
 *
 * text       in, out, err and .truncate are the caller's; the rest is filled in, on failure too
 * deadline   monotonic ns
 * Returns    0: see text->status; SKUA_ELIMIT: it said more than there was room for, -ECANCELED,
 *            -ETIMEDOUT: then it was killed (.kill_on_close, or SIGKILL); what reading and writing
 *            say; and as skua_process_spawn. That it closes its input early is no failure
 * Threads    fibers, plain threads
 * Cancel     see above
 * Since      0.3
 */
#define skua_process_output(argv, text, deadline, ...)                                             \
    skua_process_output_with((argv), (text), (deadline), SKUA_PROCESS_OPTIONS(__VA_ARGS__))

/* A wait in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * child      the handle
 * how        receives the status; NULL = not wanted
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_process_wait_init
 * Since      0.3
 */
#define skua_process_waiting(child, how)                                                           \
    skua_process_wait_init(&(skua_process_future){.process = NULL}, (child), (how))
#endif

/* What skua_process_output calls; for other languages.
 *
 * options    NULL = defaults
 * Returns    as skua_process_output
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_process_output_with(const char *const *argv,
                                                     skua_process_text *text, int64_t deadline,
                                                     const skua_process_options *options);

SKUA_C_END

#endif
