/* os_futex.c - sleeping on a word of memory.
 *
 * Private futexes with an absolute monotonic deadline (FUTEX_WAIT_BITSET): a wait that is
 * interrupted goes on without a sum of times.
 *
 * ThreadSanitizer runs a signal's handler when the thread is in a call that it knows, which this
 * one is not: there it is left now and then.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

int skua__os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    long rc;

    if (deadline <= 0)
        return skua__load_acquire(word) == value ? -ETIMEDOUT : 0;
#if SKUA__TSAN
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (until.tv_sec < deadline / 1000000000 - 1) { /* far away */
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        skua__os_let_signals_in();
        (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, &until, NULL,
                      FUTEX_BITSET_MATCH_ANY);
        skua__os_let_signals_in();
        return 0;
    }
    until = (struct timespec){.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
#endif
    rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
                 deadline == INT64_MAX ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    return rc == -1 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void skua__os_futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}
