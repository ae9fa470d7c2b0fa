/* os_signal.c - faults, the stack they are handled on, and signals that are watched.
 *
 * Overflow   a fiber that runs off its stack touches a guard page; the kernel raises SIGSEGV (or
 *            SIGBUS) and needs a stack to run the handler on: the thread's alternate one. The
 *            handler asks the runtime whether the address is a guard of the running fiber. If
 *            not, the fault is the program's: whatever handled it before is called, so crash
 *            reporters and AddressSanitizer keep working.
 * Altstack   a thread that has one of sufficient size keeps it (a sanitizer's, an embedder's); ours
 *            is sized by what the kernel says a frame takes (with AVX-512 or AMX more than the
 *            classic 8 KiB) and has a guard page of its own.
 * Trap       everything that the handler calls must be async-signal-safe: no locks, no stdio.
 * Watching   this is the one place that sets a handler for what programs send each other. Handler:
 *            sets the number's bit, pokes a futex. A thread of our own sleeps on it and calls who
 *            asked (src/signal). Workers block every signal, and a program may block it in each of
 *            its threads; this one never does, so that there always is somebody who receives it.
 * Fork       the child has no such thread: it begins with the handlers from before the watching.
 *            Signals are held back around the fork, so that none is taken by the wrong process.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os.h"

enum {
    SIGNAL_AUXV_FRAME = 51,          /* AT_MINSIGSTKSZ, which older headers do not have */
    SIGNAL_FRAME_DEFAULT = 8 * 1024, /* for kernels that do not tell */
    SIGNAL_HANDLER_ROOM = 16 * 1024
};

static const int signal_faults[] = {SIGSEGV, SIGBUS};

#define SIGNAL_FAULTS (sizeof signal_faults / sizeof signal_faults[0])

static pthread_mutex_t signal_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool signal_installed;                   /* lock: signal_mutex */
static _Atomic(skua__fault_fn) signal_on_fault; /* written before the handlers are installed */
static struct sigaction signal_before[SIGNAL_FAULTS]; /* likewise; read by the handler */

/* The alternate stack that this thread got from us; the thread itself. */
struct signal_altstack {
    char *map;      /* NULL: none of ours */
    size_t size;    /* of the mapping, guard included */
    stack_t before; /* what the thread had */
};

static _Thread_local struct signal_altstack signal_altstack;

/* ---- faults ---------------------------------------------------------------------------------- */

static void signal_default(int number)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* Hands the signal to whoever had it before; a fault that nobody handles ends the process. */
static void signal_chain(const struct sigaction *before, int number, siginfo_t *info, void *context)
{
    bool raised_by_kernel = info->si_code > 0;
    sigset_t mask;

    if (!(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_IGN && !raised_by_kernel)
        return;
    if (!(before->sa_flags & SA_SIGINFO) &&
        (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN)) {
        /* The faulting instruction runs again after the return and dies where it should, so that
         * the core file shows the place. One sent by kill has no instruction: it is sent again. */
        signal_default(number);
        if (!raised_by_kernel)
            raise(number);
        return;
    }
    pthread_sigmask(SIG_BLOCK, &before->sa_mask, &mask);
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else
        before->sa_handler(number);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void signal_fault(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    /* Acquire pairs with the release in skua__os_overflow_install. */
    skua__fault_fn on_fault = skua__load_acquire(&signal_on_fault);

    if (info->si_code > 0 && on_fault(info->si_addr))
        skua__os_abort();
    for (size_t i = 0; i < SIGNAL_FAULTS; i++)
        if (signal_faults[i] == number)
            signal_chain(&signal_before[i], number, info, context);
    errno = saved_errno;
}

/* Under the mutex. */
static int signal_install(skua__fault_fn on_fault)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = signal_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNAL_FAULTS; i++)
        if (sigaction(signal_faults[i], NULL, &signal_before[i]) != 0)
            return -errno;
    /* Release pairs with the acquire in signal_fault: the handlers before are known, too. */
    skua__store_release(&signal_on_fault, on_fault);
    for (size_t i = 0; i < SIGNAL_FAULTS; i++) {
        if (sigaction(signal_faults[i], &action, NULL) != 0) {
            int error = errno;

            while (i-- > 0)
                sigaction(signal_faults[i], &signal_before[i], NULL);
            return -error;
        }
    }
    return 0;
}

int skua__os_overflow_install(skua__fault_fn on_fault)
{
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&signal_mutex);
    if (!signal_installed)
        rc = signal_install(on_fault);
    signal_installed = signal_installed || rc == 0;
    pthread_mutex_unlock(&signal_mutex);
    return rc;
}

/* ---- the alternate stack --------------------------------------------------------------------- */

static size_t signal_altstack_room(void)
{
    size_t frame = getauxval(SIGNAL_AUXV_FRAME);

    return (frame != 0 ? frame : SIGNAL_FRAME_DEFAULT) + SIGNAL_HANDLER_ROOM;
}

int skua__os_altstack_init(void)
{
    struct signal_altstack *mine = &signal_altstack;
    size_t page = skua__os_page_size();
    size_t room = signal_altstack_room();
    stack_t stack;
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    if (sigaltstack(NULL, &mine->before) != 0)
        return -errno;
    if (!(mine->before.ss_flags & SS_DISABLE) && mine->before.ss_size >= room)
        return 0;
    skua__assert(mine->map == NULL);
    mine->size = skua__round_up(room, page) + page;
    mine->map = skua__os_map(mine->size);
    if (mine->map == NULL)
        return -ENOMEM;
    (void)skua__os_guard(mine->map, page); /* better with one, good without */
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = mine->map + page;
    stack.ss_size = mine->size - page;
    if (sigaltstack(&stack, NULL) != 0) {
        rc = -errno;
        skua__os_unmap(mine->map, mine->size);
        mine->map = NULL;
    }
    return rc;
}

void skua__os_altstack_done(void)
{
    struct signal_altstack *mine = &signal_altstack;
    stack_t now;

    if (mine->map == NULL)
        return;
    /* Only if nobody has put another one in its place. */
    if (sigaltstack(NULL, &now) == 0 && (char *)now.ss_sp > mine->map &&
        (char *)now.ss_sp < mine->map + mine->size)
        sigaltstack(&mine->before, NULL);
    skua__os_unmap(mine->map, mine->size);
    mine->map = NULL;
}

/* ---- the end --------------------------------------------------------------------------------- */

void skua__os_stderr(const char *text)
{
    (void)skua__os_write_all(STDERR_FILENO, text, strlen(text));
}

void skua__os_abort(void)
{
    sigset_t set;

    signal_default(SIGABRT);
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGABRT);
    _exit(128 + SIGABRT);
}

/* Raised by the processor, for the thread that runs: never blocked. */
static bool signal_is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
           number == SIGTRAP || number == SIGABRT || number == SIGSYS;
}

/* ---- watching -------------------------------------------------------------------------------- */

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

/* A number that is watched. */
struct signal_watch {
    struct sigaction before;
    unsigned users; /* 0: not watched */
};

static pthread_mutex_t signal_watch_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct signal_watch signal_watches[64]; /* lock: signal_watch_mutex, as the next four */
static bool signal_watch_runs;                 /* the thread is there */
static bool signal_watch_forks;                /* the fork handlers are registered */
static skua__thread_handle signal_watch_handle;
static sigset_t signal_watch_forker;         /* the forking thread's mask */
static void (*signal_watch_tell)(void);      /* constant while the thread is there */
static _Atomic uint64_t signal_watch_wanted; /* the bits of `signal_watches`; written there */
static _Atomic uint64_t signal_watch_open;   /* what the thread has let in; the thread's */
static _Atomic uint64_t signal_watch_seen;   /* what has come since the last take */
static _Atomic uint32_t signal_watch_pokes;  /* the thread's futex */
static _Atomic uint32_t signal_watch_quit;   /* 1: the thread is to end */

bool skua__os_signal_watchable(int number)
{
    if (number < 1 || number > 64 || (number > 31 && number < SIGRTMIN)) /* libc has these two */
        return false;
    return number != SIGKILL && number != SIGSTOP && !signal_is_fault(number);
}

/* Async-signal-safe: two atomics and a system call. */
static void signal_watch_poke(void)
{
    /* Release pairs with the acquire in signal_watch_thread: what was set before is seen. */
    skua__add_acq_rel(&signal_watch_pokes, 1);
    skua__os_futex_wake(&signal_watch_pokes, 1);
}

static void signal_watch_came(int number)
{
    int saved_errno = errno;

    skua__or_acq_rel(&signal_watch_seen, SIGNAL_BIT(number));
    signal_watch_poke();
    errno = saved_errno;
}

uint64_t skua__os_signals_take(void)
{
    if (skua__load_acquire(&signal_watch_seen) == 0) /* acquire: as the exchange */
        return 0;
    return skua__xchg_acq_rel(&signal_watch_seen, 0);
}

static void signal_watch_mask(uint64_t bits)
{
    sigset_t set;

    sigfillset(&set);
    for (int number = 1; number <= 64; number++)
        if ((bits & SIGNAL_BIT(number)) != 0 || signal_is_fault(number))
            sigdelset(&set, number);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void *signal_watch_thread(void *arg)
{
    (void)arg;
    while (skua__load_acquire(&signal_watch_quit) == 0) {
        uint32_t pokes = skua__load_acquire(&signal_watch_pokes);
        uint64_t wanted = skua__load_acquire(&signal_watch_wanted);

        if (wanted != skua__load_relaxed(&signal_watch_open)) { /* its own */
            signal_watch_mask(wanted);
            skua__store_release(&signal_watch_open, wanted);
        }
        if (skua__load_acquire(&signal_watch_seen) != 0)
            signal_watch_tell();
        if (skua__load_acquire(&signal_watch_quit) == 0)
            (void)skua__os_futex_wait(&signal_watch_pokes, pokes, INT64_MAX);
    }
    signal_watch_mask(0);
    return NULL;
}

/* Under the mutex, as the following. */
static int signal_watch_begin(int number)
{
    struct signal_watch *watch = &signal_watches[number - 1];
    struct sigaction action;

    if (watch->users == 0) {
        memset(&action, 0, sizeof action);
        action.sa_handler = signal_watch_came;
        action.sa_flags = SA_RESTART | SA_ONSTACK;
        sigfillset(&action.sa_mask);
        if (sigaction(number, &action, &watch->before) != 0)
            return -errno;
    }
    watch->users++;
    return 0;
}

/* What was there before the watching comes back, unless somebody has put another there. */
static void signal_watch_restore(int number)
{
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == signal_watch_came)
        sigaction(number, &signal_watches[number - 1].before, NULL);
}

/* The numbers that nobody watches any more; they are restored only when the thread has closed
 * itself to them, or else it would be who receives what the program has blocked. */
static void signal_watch_end(uint64_t bits)
{
    uint64_t gone = 0;
    uint64_t left;

    for (int number = 1; number <= 64; number++)
        if ((bits & SIGNAL_BIT(number)) != 0 && --signal_watches[number - 1].users == 0)
            gone |= SIGNAL_BIT(number);
    left = skua__load_relaxed(&signal_watch_wanted) & ~gone; /* under the mutex */
    skua__store_release(&signal_watch_wanted, left);
    if (signal_watch_runs && left == 0) {
        skua__store_release(&signal_watch_quit, 1);
        signal_watch_poke();
        skua__os_thread_join(signal_watch_handle);
        signal_watch_runs = false;
        skua__store_relaxed(&signal_watch_open, 0);
    } else if (signal_watch_runs) {
        signal_watch_poke();
        while ((skua__load_acquire(&signal_watch_open) & gone) != 0)
            skua__os_thread_yield();
    }
    for (int number = 1; number <= 64; number++)
        if (gone & SIGNAL_BIT(number))
            signal_watch_restore(number);
}

static int signal_watch_start(void)
{
    static const struct skua__cpus anywhere;
    int rc;

    if (signal_watch_runs) {
        signal_watch_poke();
        return 0;
    }
    skua__store_relaxed(&signal_watch_quit, 0); /* the start of the thread publishes it */
    rc = skua__os_thread_start(&signal_watch_handle, "skua-signals", &anywhere, signal_watch_thread,
                               NULL);
    signal_watch_runs = rc == 0;
    return rc;
}

/* ---- watching: fork -------------------------------------------------------------------------- */

static void signal_watch_fork_begin(void)
{
    sigset_t all;
    sigset_t mask;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &mask);
    pthread_mutex_lock(&signal_watch_mutex);
    signal_watch_forker = mask;
}

static void signal_watch_fork_end(void)
{
    sigset_t mask = signal_watch_forker;

    pthread_mutex_unlock(&signal_watch_mutex);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void signal_watch_fork_child(void)
{
    for (int number = 1; number <= 64; number++) {
        if (signal_watches[number - 1].users != 0)
            signal_watch_restore(number);
        signal_watches[number - 1].users = 0;
    }
    signal_watch_runs = false;
    skua__store_relaxed(&signal_watch_wanted, 0); /* there is one thread, as for the next */
    skua__store_relaxed(&signal_watch_open, 0);
    skua__store_relaxed(&signal_watch_seen, 0);
    signal_watch_fork_end();
}

int skua__os_signals_watch(uint64_t bits, void (*tell)(void))
{
    uint64_t begun = 0;
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&signal_watch_mutex);
    if (!signal_watch_runs)
        signal_watch_tell = tell;
    if (!signal_watch_forks)
        rc = skua__os_at_fork(signal_watch_fork_begin, signal_watch_fork_end,
                              signal_watch_fork_child);
    signal_watch_forks = signal_watch_forks || rc == 0;
    for (int number = 1; rc == 0 && number <= 64; number++) {
        if (!(bits & SIGNAL_BIT(number)))
            continue;
        rc = signal_watch_begin(number);
        begun |= rc == 0 ? SIGNAL_BIT(number) : 0;
    }
    skua__store_release(&signal_watch_wanted,
                        skua__load_relaxed(&signal_watch_wanted) | begun); /* under the mutex */
    if (rc == 0)
        rc = signal_watch_start();
    if (rc != 0)
        signal_watch_end(begun);
    pthread_mutex_unlock(&signal_watch_mutex);
    return rc;
}

#if SKUA__TSAN
void skua__os_let_signals_in(void)
{
    (void)poll(NULL, 0, 0);
}
#endif

void skua__os_signals_unwatch(uint64_t bits)
{
    pthread_mutex_lock(&signal_watch_mutex);
    signal_watch_end(bits);
    pthread_mutex_unlock(&signal_watch_mutex);
}

#undef SIGNAL_BIT
#undef SIGNAL_FAULTS
