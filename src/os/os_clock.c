/* os_clock.c - the monotonic clock and processor time.
 *
 * clock_gettime is answered by the vDSO without entering the kernel where the machine allows it
 * (20 to 40 ns); callers on a hot path keep the value for a turn.
 */
#include <time.h>

#include "os/os.h"

static int64_t clock_read(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t skua__os_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

const struct timespec *skua__os_time_left(int64_t deadline, struct timespec *ret)
{
    int64_t now = skua__os_now();
    int64_t ns = deadline > now ? deadline - now : 0; /* any deadline, the most negative one, too */

    *ret = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return deadline == INT64_MAX ? NULL : ret;
}

int64_t skua__os_thread_cpu(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}
