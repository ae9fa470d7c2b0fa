/* os_signal.c - faults, the stack they are handled on, and signals as a descriptor.
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
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/signalfd.h>
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

/* ---- signals as a descriptor ----------------------------------------------------------------- */

int skua__os_signalfd(const int *signals, int count)
{
    sigset_t set;
    int fd = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (fd != 0)
        return fd;
    sigemptyset(&set);
    for (int i = 0; i < count; i++)
        if (sigaddset(&set, signals[i]) != 0)
            return -EINVAL;
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return fd;
}

int skua__os_signalfd_take(int fd)
{
    struct signalfd_siginfo info;
    ssize_t len = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (len != 0)
        return (int)len;
    do {
        len = read(fd, &info, sizeof info);
    } while (len < 0 && errno == EINTR);
    if (len < 0)
        return -errno;
    return len == (ssize_t)sizeof info ? (int)info.ssi_signo : -EAGAIN;
}

void skua__os_signals_unblock(const int *signals, int count)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < count; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

#undef SIGNAL_FAULTS
