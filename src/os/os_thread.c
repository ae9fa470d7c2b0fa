/* os_thread.c - threads, and what belongs to one.
 *
 * Threads of the library are started with every signal blocked but those that the processor
 * raises, so that a signal always lands on a thread of the program's own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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
    const struct skua__cpus *cpus; /* NULL: anywhere; else the starter waits for `told` */
    sem_t told;
    int rc; /* of the placing, once told */
    char name[16];
};

/* Puts the calling thread on `cpus`: 0, or the error of those that are not to be had. */
static int thread_place(const struct skua__cpus *cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < SKUA__CPUS_MAX && i < CPU_SETSIZE; i++)
        if (skua__cpus_has(cpus, i))
            CPU_SET(i, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

static void *thread_main(void *arg)
{
    struct thread_start *start = arg;
    void *(*fn)(void *) = start->fn;
    void *fn_arg = start->arg;
    int rc = 0;

    pthread_setname_np(pthread_self(), start->name);
    if (start->cpus == NULL) {
        skua__os_free(start);
    } else {
        rc = start->rc = thread_place(start->cpus);
        sem_post(&start->told); /* the starter frees it */
    }
    return rc == 0 ? fn(fn_arg) : NULL;
}

static int thread_create(pthread_t *thread, struct thread_start *start)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t all;
    sigset_t before;
    int rc;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

/* Waits until the new thread is where it is to be. An attribute of threads for this has glibc
 * alone, so that the thread goes there itself; only placed threads pay for the wait. */
static int thread_placed(pthread_t thread, struct thread_start *start)
{
    int rc;

    while (sem_wait(&start->told) != 0) /* a signal's handler ran */
        ;
    rc = start->rc;
    sem_destroy(&start->told);
    skua__os_free(start);
    if (rc != 0)
        pthread_join(thread, NULL);
    return rc;
}

int skua__os_thread_start(skua__thread_handle *ret, const char *name, const struct skua__cpus *cpus,
                          void *(*fn)(void *), void *arg)
{
    struct thread_start *start;
    pthread_t thread;
    bool placed = skua__cpus_count(cpus) > 0;
    int rc = skua__fault_hit(SKUA__FAULT_THREAD);

    if (rc != 0)
        return rc;
    start = skua__os_alloc(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    start->fn = fn;
    start->arg = arg;
    start->cpus = placed ? cpus : NULL;
    if (placed)
        sem_init(&start->told, 0, 0);
    snprintf(start->name, sizeof start->name, "%.*s", (int)sizeof start->name - 1, name);
    rc = thread_create(&thread, start);
    if (rc != 0) {
        skua__os_free(start);
        return rc;
    }
    ret->id = (unsigned long)thread; /* an integer or a pointer, as the C library likes */
    return placed ? thread_placed(thread, start) : 0;
}

void skua__os_thread_join(skua__thread_handle thread)
{
    pthread_join((pthread_t)thread.id, NULL);
}

void skua__os_thread_detach(skua__thread_handle thread)
{
    pthread_detach((pthread_t)thread.id);
}

#define THREAD_ENDS 4

static struct skua__lock thread_end_lock; /* held over forks: the child ends threads, too */
static struct {
    _Atomic(void (*)(void *)) fn; /* lock, to change it; release, acquire: the key is made */
    pthread_key_t key;
} thread_ends[THREAD_ENDS]; /* constant once fn is set */

/* Under the lock: the place of fn, made if it has none. -1: there are no keys left. */
static int thread_end_make(void (*fn)(void *))
{
    int at = 0;

    while (at < THREAD_ENDS && thread_ends[at].fn != NULL && thread_ends[at].fn != fn)
        at++;
    skua__assert(at < THREAD_ENDS);
    if (thread_ends[at].fn == fn)
        return at;
    if (pthread_key_create(&thread_ends[at].key, fn) != 0)
        return -1;
    skua__store_release(&thread_ends[at].fn, fn);
    return at;
}

void skua__os_at_thread_end(void (*fn)(void *), void *arg)
{
    int at = 0;

    while (at < THREAD_ENDS && skua__load_acquire(&thread_ends[at].fn) != fn)
        at++;
    if (at == THREAD_ENDS) {
        skua__os_lock_over_fork(&thread_end_lock);
        skua__lock_take(&thread_end_lock);
        at = thread_end_make(fn);
        skua__lock_drop(&thread_end_lock);
    }
    if (at >= 0) /* without a key `arg` is not used again: nothing else is lost */
        pthread_setspecific(thread_ends[at].key, arg);
}

int skua__os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

int skua__os_process_id(void)
{
    return getpid();
}

#define THREAD_FORK_LOCKS 24

static pthread_mutex_t thread_fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct skua__lock *_Atomic thread_fork_locks[THREAD_FORK_LOCKS]; /* lock, to change it */
static bool thread_fork_ready;                                          /* lock */

/* All of them, or none. Who holds one may be about to take another: so none is waited for while
 * others are held, and they have no order. */
static bool thread_fork_take(void)
{
    for (unsigned i = 0; i < THREAD_FORK_LOCKS && thread_fork_locks[i] != NULL; i++) {
        if (skua__lock_try(thread_fork_locks[i]))
            continue;
        while (i-- != 0)
            skua__lock_drop(thread_fork_locks[i]);
        return false;
    }
    return true;
}

static void thread_fork_before(void)
{
    pthread_mutex_lock(&thread_fork_mutex);
    while (!thread_fork_take()) {
        /* Who holds one may be about to name another, which takes the mutex. */
        pthread_mutex_unlock(&thread_fork_mutex);
        sched_yield();
        pthread_mutex_lock(&thread_fork_mutex);
    }
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

#undef THREAD_ENDS
#undef THREAD_FORK_LOCKS
