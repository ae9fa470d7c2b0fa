/* meter_clock.h - what time it is, and how much CPU somebody has used.
 *
 * All times are int64_t nanoseconds. Both clocks are read by vDSO or one system call; nothing is
 * cached, so a reader may subtract any two readings of the same clock.
 */
#ifndef METER_CLOCK_H
#define METER_CLOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

static inline int64_t meter_clock_read(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) != 0)
        return 0;
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t meter_now_ns(void)
{
    return meter_clock_read(CLOCK_MONOTONIC);
}

/* CPU used by this process, user and system, all its threads. */
static inline int64_t meter_cpu_ns(void)
{
    return meter_clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

/* The same of another process, or 0 if there is none: the scheduler's own sum of all threads
 * (io_uring's kernel workers included), exact to the nanosecond. utime + stime of /proc would be
 * rounded to ticks of 4 ms, and /proc/PID/schedstat shows the first thread only. */
static inline int64_t meter_cpu_of_ns(pid_t pid)
{
    clockid_t id;

    return clock_getcpuclockid(pid, &id) == 0 ? meter_clock_read(id) : 0;
}

/* Keeps the compiler from removing the work that made `value`. */
static inline void meter_keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
