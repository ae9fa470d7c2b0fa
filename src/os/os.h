/* os.h - every system call of the library, as a list of contracts.
 *
 * Nothing above this floor includes a system header for its calls: a simulator, a fault injector
 * or another kernel replaces these functions and nothing else. Each returns 0 or a count, or a
 * negative errno; none reports through errno. A function that can fail has a fault point of its
 * kind (os_fault.c) in test builds.
 */
#ifndef SKUA_OS_OS_H
#define SKUA_OS_OS_H

#include <sys/types.h>

#include "base/atomic.h"
#include "base/defs.h"

struct sockaddr;
struct iovec;
struct msghdr;
struct mmsghdr;
struct statx;
struct epoll_event;
struct kevent;
struct pollfd;

/* ---- faults (os_fault.c) --------------------------------------------------------------------- */

enum skua__fault {
    SKUA__FAULT_MALLOC,
    SKUA__FAULT_MMAP,
    SKUA__FAULT_THREAD,
    SKUA__FAULT_SYSCALL, /* sockets, files, epoll, eventfd: everything that makes or uses an fd */
    SKUA__FAULT_RING,    /* room in a ring for one more operation */
    SKUA__FAULT_SHORT,   /* reading and writing files: a part only, whatever the error */
    SKUA__FAULT_KINDS
};

#ifdef SKUA_FAULTS
/* Makes the nth next call of `kind` (1 = the very next) and the `count - 1` after it fail with
 * `error` (a positive errno). nth 0 disarms. Process-wide; for tests. */
void skua__fault_arm(enum skua__fault kind, unsigned nth, unsigned count, int error);
/* How many calls of `kind` have passed since the last arm: tests walk every n up to it. */
unsigned skua__fault_calls(enum skua__fault kind);
/* 0, or the negative errno that this call must fail with. */
int skua__fault_hit(enum skua__fault kind);
#else
#define skua__fault_hit(kind) 0
#endif

/* ---- memory (os_mem.c) ----------------------------------------------------------------------- */

/* malloc and friends, the only ones of the library. Zeroed, or NULL. skua__os_free(NULL) is fine.
 */
void *skua__os_alloc(size_t size);
/* Not zeroed, and cheaper: what was freed last is given out again. */
void *skua__os_alloc_unset(size_t size);
void *skua__os_alloc_aligned(size_t size, size_t align);
void skua__os_free(void *ptr);

size_t skua__os_page_size(void);

/* Maps `size` bytes of zeroed private memory, read-write, not charged until touched; never backed
 * by huge pages. `size` is a multiple of the page size. NULL when there is none. */
void *skua__os_map(size_t size);
/* Reserves `size` bytes of address space at a multiple of `align` (powers of two), without access:
 * nothing is charged. NULL when there is none. */
void *skua__os_reserve(size_t size, size_t align);
/* Makes a part of reserved space readable and writable, zeroed. 0 or -ENOMEM. */
int skua__os_commit(void *addr, size_t size);
void skua__os_unmap(void *addr, size_t size);
/* Gives the pages back to the kernel; they read as zero when touched again. */
void skua__os_decommit(void *addr, size_t size);

/* Makes a page fault of every access to [addr, addr + size): MADV_GUARD_INSTALL where the kernel
 * has it, else mprotect while the process holds less than 45 % of vm.max_map_count mappings.
 * Returns 0, or -ENOSPC when neither may be used: the caller falls back to a canary. */
int skua__os_guard(void *addr, size_t size);

/* ---- threads and processors (os_thread.c, os_cpu.c) ------------------------------------------ */

typedef struct skua__thread_handle {
    unsigned long id; /* a pthread_t */
} skua__thread_handle;

/* A set of processors, by the kernel's numbers. */
#define SKUA__CPUS_MAX 1024
struct skua__cpus {
    uint64_t bits[SKUA__CPUS_MAX / 64];
};

bool skua__cpus_has(const struct skua__cpus *cpus, unsigned number);
void skua__cpus_add(struct skua__cpus *cpus, unsigned number);
unsigned skua__cpus_count(const struct skua__cpus *cpus);
/* Reads a list such as "0-3,8": 0 or -EINVAL. */
int skua__cpus_parse(const char *list, struct skua__cpus *ret);
/* Where the calling thread may run. */
void skua__os_cpus_allowed(struct skua__cpus *ret);
/* The processors of a NUMA node: 0, or an error when there is no such node. */
int skua__os_node_cpus(unsigned node, struct skua__cpus *ret);
/* How many of the processors `among` that share a core with this one come before it. */
unsigned skua__os_cpu_rank(unsigned number, const struct skua__cpus *among);
/* Where sysfs says all that; a test has its own. */
extern const char *skua__os_sysfs;

/* Starts a thread named `name` (at most 15 bytes are shown) with signals blocked, except those
 * that a fault raises. It runs on the processors `cpus` only; an empty set: anywhere. */
int skua__os_thread_start(skua__thread_handle *ret, const char *name, const struct skua__cpus *cpus,
                          void *(*fn)(void *), void *arg);
void skua__os_thread_join(skua__thread_handle thread);
/* Nobody will join it. */
void skua__os_thread_detach(skua__thread_handle thread);
/* Has fn(arg) called when the calling thread ends. Up to four functions for the process, each with
 * one arg a thread. */
void skua__os_at_thread_end(void (*fn)(void *), void *arg);
/* The kernel's id of the calling thread. */
int skua__os_thread_id(void);
int skua__os_process_id(void);
/* Has these called around each fork: before it, and after it in the parent and in the child. */
int skua__os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void));
/* Has a lock of the whole process held over each fork, so that the child finds it free, and what it
 * guards whole. A lock that is held while another is taken comes first. Again: nothing happens. */
struct skua__lock;
void skua__os_lock_over_fork(struct skua__lock *lock);
/* Gives the rest of the time slice away. */
void skua__os_thread_yield(void);
/* Makes timed waits of the calling thread as exact as the kernel can (timer slack 1 ns). */
void skua__os_thread_exact_timers(void);

/* How many processors' time a cgroup's quota allows; UINT_MAX: no bound. Read once. */
unsigned skua__os_cpu_quota(void);
/* How many processors this process may really use: affinity mask and cgroup quota, at least 1. */
unsigned skua__os_cpu_count(void);

/* A random 64-bit number from the kernel; the clock if it has none. */
uint64_t skua__os_random(void);
/* The value of an environment variable, or NULL; NULL in set-user-id programs. */
const char *skua__os_env(const char *name);
void skua__os_env_clear(const char *name);

/* ---- slots (os_slots.c) ---------------------------------------------------------------------- */

/* Slots of one kind, each aligned to a cache line. A static one begins as SKUA__SLOTS. */
struct skua__slots {
    void *free; /* lock: the slots' */
    size_t size;
    size_t link; /* where `next` is, by which the free ones hang together */
};

/* `next` is a `void *` of the kind, of the slots while it is free. */
#define SKUA__SLOTS(kind, next)                                                                    \
    {                                                                                              \
        NULL, sizeof(kind), offsetof(kind, next)                                                   \
    }

/* A slot, zeroed the first time, as it was given back later; NULL: no memory. Any thread, as the
 * other one. */
void *skua__os_slot_take(struct skua__slots *slots);
void skua__os_slot_give(struct skua__slots *slots, void *slot);

/* ---- clock (os_clock.c) ---------------------------------------------------------------------- */

/* Nanoseconds on the monotonic clock. */
int64_t skua__os_now(void);
/* How long it is until `deadline`, 0 when it is over, as ppoll(2) wants it: ret; NULL: for ever. */
struct timespec;
const struct timespec *skua__os_time_left(int64_t deadline, struct timespec *ret);
/* Nanoseconds of processor time that the calling thread has used. */
int64_t skua__os_thread_cpu(void);

/* ---- futex (os_futex.c) ---------------------------------------------------------------------- */

/* Sleeps while *word == value, at most until `deadline` (monotonic ns, INT64_MAX = no end).
 * Returns 0 (woken, or the word differs, or spuriously) or -ETIMEDOUT. */
int skua__os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
void skua__os_futex_wake(_Atomic uint32_t *word, int count);

/* ---- descriptors and sockets (os_fd.c) ------------------------------------------------------- */

int skua__os_close(int fd);
/* Those of 0, 1 and 2 that are closed become /dev/null: what a program opens next is not taken for
 * its standard streams. */
void skua__os_open_standard(void);
int skua__os_open_append(const char *path); /* creates or truncates; write only */
ssize_t skua__os_write_all(int fd, const void *buf, size_t len);
int skua__os_eventfd(void); /* non-blocking, close on exec */
void skua__os_eventfd_add(int fd);
void skua__os_eventfd_take(int fd);

/* Sockets are close-on-exec. A new or accepted one blocks, so that io_uring may wait for it; calls
 * that move data never block all the same, but say -EAGAIN. */
int skua__os_set_nonblocking(int fd, bool on);
int skua__os_socket(int family, int type, int protocol);
int skua__os_bind(int fd, const struct sockaddr *addr, unsigned len);
int skua__os_listen(int fd, int backlog);
int skua__os_accept(int fd, struct sockaddr *addr, unsigned *len);
int skua__os_connect(int fd, const struct sockaddr *addr, unsigned len);
#define SKUA__SHUT_READ 0
#define SKUA__SHUT_WRITE 1
#define SKUA__SHUT_BOTH 2
int skua__os_shutdown(int fd, int how);
int skua__os_setsockopt(int fd, int level, int name, const void *value, unsigned len);
int skua__os_getsockopt(int fd, int level, int name, void *value, unsigned *len);
int skua__os_getsockname(int fd, struct sockaddr *addr, unsigned *len);
int skua__os_getpeername(int fd, struct sockaddr *addr, unsigned *len);
ssize_t skua__os_recv(int fd, void *buf, size_t len, int flags);
ssize_t skua__os_send(int fd, const void *buf, size_t len, int flags); /* never raises SIGPIPE */
ssize_t skua__os_readv(int fd, const struct iovec *iov, int count);
ssize_t skua__os_sendv(int fd, const struct iovec *iov, int count);
/* Waits on a plain thread until `events` (poll(2) bits) or `deadline`: 0, -ETIMEDOUT, -EINTR. */
int skua__os_poll(int fd, short events, int64_t deadline);

/* ---- descriptors of any kind (os_file.c) ----------------------------------------------------- */

#define SKUA__FILE_OTHER 0
#define SKUA__FILE_SOCKET 1
#define SKUA__FILE_PIPE 2     /* or a FIFO */
#define SKUA__FILE_TERMINAL 3 /* not the master of one */
/* One of these, or a negative errno. */
int skua__os_file_kind(int fd);
int skua__os_path_kind(const char *path); /* of a socket or a terminal: OTHER */
#define SKUA__FILE_READ 1u
#define SKUA__FILE_WRITE 2u
/* What it is open for: the two above, or a negative errno. */
int skua__os_file_access(int fd);
/* 0, or -EPERM: this one cannot be waited for. Or another error. */
int skua__os_pollable(int fd);
/* Flags of the open file, which all its descriptors share, and of the one descriptor. How it was
 * (0 or 1), or a negative errno. */
int skua__os_change_nonblocking(int fd, bool on);
int skua__os_change_cloexec(int fd, bool on);
ssize_t skua__os_plain_readv(int fd, const struct iovec *iov, int count);
ssize_t skua__os_plain_writev(int fd, const struct iovec *iov, int count);
ssize_t skua__os_pipe_writev(int fd, const struct iovec *iov, int count); /* never raises SIGPIPE */
/* The kernel has no RWF_NOSIGNAL; a test has this so, too. */
extern _Atomic bool skua__os_no_nosignal;
/* As skua__os_poll; an eventfd ends it, too, which is taken then. */
int skua__os_poll_bell(int fd, short events, int bell, int64_t deadline);
int skua__os_pipe(int ret[2]);                 /* non-blocking, close on exec */
int skua__os_pipe_capacity(int fd, int bytes); /* the bytes that it has now, at least as many */
/* Move bytes inside the kernel, between a socket and a pipe, or from `*offset` of a file, which
 * is moved on, to a socket. They do not wait for a socket that does not block; never a SIGPIPE. */
ssize_t skua__os_splice(int from, int to, size_t len);
ssize_t skua__os_sendfile(int from, int to, int64_t *offset, size_t len);
/* Opens for SKUA__FILE_READ or WRITE or both: non-blocking, close on exec, no controlling terminal.
 * Of a FIFO: -ENXIO when nobody reads. */
int skua__os_open(const char *path, unsigned access);
/* The same file opened anew, with flags of its own; the second number of it, with the same ones. */
int skua__os_reopen(int fd, unsigned access);
int skua__os_dup(int fd);
int skua__os_inotify(void); /* non-blocking, close on exec */
int skua__os_inotify_add(int fd, const char *path, uint32_t mask);
int skua__os_inotify_remove(int fd, int id);
/* ---- messages (os_message.c) ----------------------------------------------------------------- */

/* None of these waits: -EAGAIN. Descriptors that come with a message are close-on-exec. */
ssize_t skua__os_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                          unsigned *addr_len);
ssize_t skua__os_sendto(int fd, const void *buf, size_t len, const struct sockaddr *addr,
                        unsigned addr_len);
ssize_t skua__os_recvmsg(int fd, struct msghdr *message);
ssize_t skua__os_sendmsg(int fd, const struct msghdr *message);
/* How many were moved, at least one. */
int skua__os_recvmmsg(int fd, struct mmsghdr *messages, unsigned count);
int skua__os_sendmmsg(int fd, struct mmsghdr *messages, unsigned count);
int skua__os_socketpair(int family, int type, int fds[2]);
/* 1 and its identity when there is a socket at `path`, not behind a link; 0: something else;
 * -ENOENT ... */
int skua__os_socket_file(const char *path, uint64_t id[2]);
int skua__os_fchmod(int fd, unsigned mode);

/* ---- files and their names (os_path.c) ------------------------------------------------------- */

#define SKUA__OPEN_READ 0x1u
#define SKUA__OPEN_WRITE 0x2u
#define SKUA__OPEN_APPEND 0x4u
#define SKUA__OPEN_TRUNCATE 0x8u
#define SKUA__OPEN_CREATE 0x10u
#define SKUA__OPEN_NEW 0x20u
#define SKUA__OPEN_DIRECT 0x40u
#define SKUA__OPEN_NO_FOLLOW 0x80u
#define SKUA__OPEN_SYNC 0x100u
#define SKUA__OPEN_DIRECTORY 0x200u
#define SKUA__OPEN_NAMELESS 0x400u

/* Instead of a directory: paths begin where the process is. */
#define SKUA__AT_CWD (-100)
/* Instead of an offset: at the cursor, and moving it. */
#define SKUA__AT_CURSOR (-1)

int skua__os_file_open(int dir, const char *path, unsigned flags, uint32_t mode);
int skua__os_file_close(int fd); /* the descriptor is gone, whatever it returns */
ssize_t skua__os_file_readv(int fd, const struct iovec *iov, int count, int64_t offset);
/* Only what is in memory already; -EAGAIN, -EOPNOTSUPP …: ask again with the other one. */
ssize_t skua__os_file_readv_now(int fd, const struct iovec *iov, int count, int64_t offset);
ssize_t skua__os_file_writev(int fd, const struct iovec *iov, int count, int64_t offset);
int64_t skua__os_file_seek(int fd, int64_t offset, int whence); /* SEEK_SET … */
int skua__os_file_sync(int fd, bool data_only);
int skua__os_file_truncate(int fd, int64_t size);
#define SKUA__ALLOCATE_KEEP_SIZE 0x1u
#define SKUA__ALLOCATE_PUNCH 0x2u
int skua__os_file_allocate(int fd, unsigned flags, int64_t offset, int64_t len);
/* `advice`: 0 none, 1 in order, 2 at random, 3 soon, 4 not soon. */
int skua__os_file_advise(int fd, int64_t offset, int64_t len, int advice);
/* path "": of the descriptor `dir` itself. */
int skua__os_file_stat(int dir, const char *path, bool follow, struct statx *ret);
int skua__os_file_chmod(int fd, uint32_t mode);
#define SKUA__LOCK_SHARED 1
#define SKUA__LOCK_EXCLUSIVE 2
#define SKUA__LOCK_NONE 3
/* flock(2); does not wait: -EAGAIN. */
int skua__os_file_lock(int fd, int how);
/* Copies at both cursors, in the kernel. */
ssize_t skua__os_file_copy(int from, int to, size_t len);
/* Directory entries, as getdents64 gives them. */
ssize_t skua__os_dir_read(int fd, void *buf, size_t len);

int skua__os_chmod(const char *path, uint32_t mode);
#define SKUA__RENAME_NO_REPLACE 0x1u
#define SKUA__RENAME_EXCHANGE 0x2u
int skua__os_rename(const char *from, const char *to, unsigned flags);
int skua__os_unlink(int dir, const char *path, bool directory);
int skua__os_link(const char *from, const char *to);
int skua__os_symlink(const char *target, const char *path);
ssize_t skua__os_readlink(const char *path, char *buf, size_t len);
int skua__os_mkdir(const char *path, uint32_t mode);
/* *ret is for skua__os_free. */
int skua__os_realpath(const char *path, char **ret);

/* ---- processes (os_process.c) ---------------------------------------------------------------- */

#define SKUA__SPAWN_UID 1u
#define SKUA__SPAWN_GID 2u
#define SKUA__SPAWN_GROUPS 4u
#define SKUA__SPAWN_GROUP 8u    /* a process group of its own */
#define SKUA__SPAWN_SESSION 16u /* a session of its own */
#define SKUA__SPAWN_IGNORED 32u /* signals that are ignored stay ignored */
/* The most descriptors that a child gets. */
#define SKUA__SPAWN_FDS 256

struct skua__spawn_fd {
    int theirs;
    int ours;
};

/* A child to be. Everything is the caller's, and read until skua__os_spawn returns. */
struct skua__spawn {
    const char *const *paths; /* programs, tried in turn, up to a NULL */
    const char **argv;        /* up to a NULL; there is room for one more in front */
    const char *const *envp;
    const char *cwd;                  /* NULL: where the caller is */
    const struct skua__spawn_fd *fds; /* what it gets, and nothing else; theirs ascend */
    unsigned fd_count;
    unsigned flags; /* SKUA__SPAWN_… */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    int parent_death; /* signal when the calling thread ends, or 0 */
    int nice;         /* added to the caller's */
};

/* Makes a child, and returns when it runs its program: 0; or the error of whatever failed, in the
 * child, too, which is gone then. *pidfd is -1 when the kernel has none (fault: -ENOSYS). */
int skua__os_spawn(const struct skua__spawn *spawn, int *pid, int *pidfd);

/* A status: a value, of an exit or, when KILLED is set, of a signal. */
#define SKUA__STATUS_VALUE 0xff
#define SKUA__STATUS_KILLED 0x100
#define SKUA__STATUS_CORE 0x200
/* Whether a child has ended, and is still to be reaped: 1, 0, or -ECHILD: it is not there. */
int skua__os_process_ended(int pid, int pidfd);
/* Reaps it: 0, -EAGAIN (it runs, and `wait` is false), -ECHILD. */
int skua__os_process_reap(int pid, int pidfd, bool wait, int *status);
/* Signals it, or its group. `pid` is 0 when it was reaped: the number may be another's then. */
int skua__os_process_signal(int pid, int pidfd, int signal);
int skua__os_group_signal(int pid, int pidfd, int signal);
/* Waits on a plain thread for several descriptors (those below 0 do not count), at most until
 * `deadline`: 0, maybe for nothing, or -ETIMEDOUT. */
int skua__os_poll_many(struct pollfd *fds, unsigned count, int64_t deadline);
/* Whether the program may change groups and ids as it likes. */
bool skua__os_is_root(void);
/* The program's environment. */
const char *const *skua__os_environ(void);

/* ---- names of hosts (os_lookup.c) ------------------------------------------------------------ */

/* Resolves a name, and hands out each address, best first, until found() says other than 0. Blocks,
 * and knows no end. 0, found()'s answer, -ENOENT, -EAGAIN, -EIO, -ENOMEM …
 */
int skua__os_lookup(const char *host, int family,
                    int (*found)(void *arg, const struct sockaddr *addr, unsigned len), void *arg);

/* ---- epoll (os_epoll.c) ---------------------------------------------------------------------- */

int skua__os_epoll_open(void);
/* A descriptor that is readable while one of these is. */
int skua__os_epoll_any(const int *fds, unsigned count);
/* `op` is EPOLL_CTL_*; `events` EPOLL* bits; `data` comes back with each event. */
int skua__os_epoll_ctl(int epfd, int op, int fd, uint32_t events, void *data);
/* Waits at most `timeout_ns` (0 = look only, INT64_MAX = no end). A count, or a negative errno. */
int skua__os_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns);
/* The same three for reading alone: of what is readable the data, of at most 32. */
int skua__os_epoll_add(int epfd, int fd, void *data);
void skua__os_epoll_remove(int epfd, int fd);
int skua__os_epoll_data(int epfd, void **ret, int max, int64_t timeout_ns);

/* ---- kqueue (os_kqueue.c) -------------------------------------------------------------------- */

#ifdef SKUA_WITH_KQUEUE
int skua__os_kqueue_open(void);
/* Edges of reading (0) and writing (1); `data` comes back with each. errors[direction]: 0, or a
 * negative errno: that one is not watched. */
void skua__os_kqueue_add(int kq, int fd, void *data, int errors[2]);
void skua__os_kqueue_remove(int kq, int fd);
/* What any thread may end the next wait with; its event has no data. */
int skua__os_kqueue_hang_bell(int kq);
void skua__os_kqueue_ring(int kq);
/* As skua__os_epoll_wait; an end may come early. */
int skua__os_kqueue_wait(int kq, struct kevent *events, int max, int64_t timeout_ns);
/* What a foreign loop may wait for, or -ENOSYS. */
int skua__os_kqueue_descriptor(int kq);
#endif

/* ---- signals (os_signal.c) ------------------------------------------------------------------- */

/* Called on the alternate stack, in the handler of a SIGSEGV or SIGBUS at `addr`. Returns false
 * when the fault is not the library's: then the handler that was there before is called. */
typedef bool (*skua__fault_fn)(void *addr);

/* Installs (once a process) the handler that tells a fiber's stack overflow. */
int skua__os_overflow_install(skua__fault_fn on_fault);
/* Gives the calling thread an alternate signal stack; skua__os_altstack_done takes it away. */
int skua__os_altstack_init(void);
void skua__os_altstack_done(void);
/* Writes `text` to standard error from a signal handler. */
void skua__os_stderr(const char *text);
/* Ends the process with SIGABRT, whatever handlers there are. */
_Noreturn void skua__os_abort(void);

/* Whether a program may watch it: not what nobody may handle, and no faults. */
bool skua__os_signal_watchable(int number);
/* Has tell() called, on a thread of the library's own, when one of these signals (bit number - 1)
 * has come, until as many unwatches: 0 or an error. Their handlers before come back with the last
 * of them. `tell` is the same for all, holds no lock that is held here, and takes what has come. */
int skua__os_signals_watch(uint64_t bits, void (*tell)(void));
void skua__os_signals_unwatch(uint64_t bits);
/* ThreadSanitizer runs a handler when the thread is in a call that it knows. To be called around
 * waits in calls that it does not know; nothing in other builds. */
#if SKUA__TSAN
void skua__os_let_signals_in(void);
#else
SKUA__INLINE void skua__os_let_signals_in(void)
{
}
#endif
/* The signals that have come since the last take. */
uint64_t skua__os_signals_take(void);

#endif
