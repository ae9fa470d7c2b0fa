/* os_thread.c - threads, and what belongs to one.
 *
 * Threads of the library are started with every signal blocked but those that the processor
 * raises, so that a signal always lands on a thread of the program's own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/lock.h"
#include "os/os.h"

#if SKUA__TSAN
_Atomic unsigned skua__tsan_fence;
#endif

struct thread_start {
    void *(*fn)(void *);
    void *arg;
    char name[16];
};

static void *thread_main(void *arg)
{
    struct thread_start start = *(struct thread_start *)arg;

    skua__os_free(arg);
    pthread_setname_np(pthread_self(), start.name);
    return start.fn(start.arg);
}

/* 0, or the error of one that is not to be had. */
static int thread_place(pthread_attr_t *attr, const struct skua__cpus *cpus)
{
    cpu_set_t set;

    if (skua__cpus_count(cpus) == 0)
        return 0;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < SKUA__CPUS_MAX && i < CPU_SETSIZE; i++)
        if (skua__cpus_has(cpus, i))
            CPU_SET(i, &set);
    return pthread_attr_setaffinity_np(attr, sizeof set, &set);
}

static int thread_create(pthread_t *thread, const struct skua__cpus *cpus,
                         struct thread_start *start)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return -rc;
    rc = thread_place(&attr, cpus);
    if (rc != 0) {
        pthread_attr_destroy(&attr);
        return -rc;
    }
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, &attr, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

int skua__os_thread_start(skua__thread_handle *ret, const char *name, const struct skua__cpus *cpus,
                          void *(*fn)(void *), void *arg)
{
    struct thread_start *start;
    pthread_t thread;
    int rc = skua__fault_hit(SKUA__FAULT_THREAD);

    if (rc != 0)
        return rc;
    start = skua__os_alloc(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    start->fn = fn;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%.*s", (int)sizeof start->name - 1, name);
    rc = thread_create(&thread, cpus, start);
    if (rc != 0) {
        skua__os_free(start);
        return rc;
    }
    ret->id = thread;
    return 0;
}

void skua__os_thread_join(skua__thread_handle thread)
{
    pthread_join(thread.id, NULL);
}

void skua__os_thread_detach(skua__thread_handle thread)
{
    pthread_detach(thread.id);
}

static pthread_mutex_t thread_end_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t thread_end_key; /* constant once made */
static bool thread_end_made;         /* lock: thread_end_mutex */

void skua__os_at_thread_end(void (*fn)(void *), void *arg)
{
    bool made;

    pthread_mutex_lock(&thread_end_mutex);
    if (!thread_end_made)
        thread_end_made = pthread_key_create(&thread_end_key, fn) == 0;
    made = thread_end_made;
    pthread_mutex_unlock(&thread_end_mutex);
    if (made) /* without a key the thread's state is not reused: nothing else is lost */
        pthread_setspecific(thread_end_key, arg);
}

int skua__os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

int skua__os_process_id(void)
{
    return getpid();
}

#define THREAD_FORK_LOCKS 16

static pthread_mutex_t thread_fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct skua__lock *_Atomic thread_fork_locks[THREAD_FORK_LOCKS]; /* lock, to change it */
static bool thread_fork_ready;                                          /* lock */

static void thread_fork_before(void)
{
    pthread_mutex_lock(&thread_fork_mutex);
    for (unsigned i = 0; i < THREAD_FORK_LOCKS && thread_fork_locks[i] != NULL; i++)
        skua__lock_take(thread_fork_locks[i]);
}

/* In the parent and in the child: the thread that goes on is the same. */
static void thread_fork_after(void)
{
    for (unsigned i = 0; i < THREAD_FORK_LOCKS && thread_fork_locks[i] != NULL; i++)
        skua__lock_drop(thread_fork_locks[i]);
    pthread_mutex_unlock(&thread_fork_mutex);
}

void skua__os_lock_over_fork(struct skua__lock *lock)
{
    unsigned at = 0;

    /* Acquire: mostly it is there. */
    for (; at < THREAD_FORK_LOCKS && skua__load_acquire(&thread_fork_locks[at]) != NULL; at++)
        if (skua__load_acquire(&thread_fork_locks[at]) == lock)
            return;
    pthread_mutex_lock(&thread_fork_mutex);
    for (at = 0; at < THREAD_FORK_LOCKS && thread_fork_locks[at] != NULL; at++)
        if (thread_fork_locks[at] == lock)
            break;
    skua__assert(at < THREAD_FORK_LOCKS);
    if (!thread_fork_ready) /* without memory for this there is none for a fork either */
        thread_fork_ready =
            pthread_atfork(thread_fork_before, thread_fork_after, thread_fork_after) == 0;
    skua__store_release(&thread_fork_locks[at], lock);
    pthread_mutex_unlock(&thread_fork_mutex);
}

int skua__os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    return -pthread_atfork(before, parent, child);
}

void skua__os_thread_yield(void)
{
    sched_yield();
}

void skua__os_thread_exact_timers(void)
{
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

uint64_t skua__os_random(void)
{
    uint64_t value = 0;

    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)skua__os_now() * 0x9e3779b97f4a7c15u;
    return value;
}

const char *skua__os_env(const char *name)
{
    return secure_getenv(name);
}

void skua__os_env_clear(const char *name)
{
    unsetenv(name);
}

/* The slow half of the spin lock (base/lock.h): spins a little, then lets the holder run. */
void skua__lock_wait(struct skua__lock *lock)
{
    unsigned spins = 0;

    do {
        /* Relaxed: only a hint; the exchange below is what acquires. */
        while (skua__load_relaxed(&lock->held) != 0) {
            if (++spins % 64 == 0)
                sched_yield();
            else
                skua__relax();
        }
    } while (atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) != 0);
}

#undef THREAD_FORK_LOCKS
