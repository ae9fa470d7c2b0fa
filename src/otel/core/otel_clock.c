/* otel_clock.c - ticks, and what they are in ns since 1970.
 *
 * The length of a tick is found by comparing both clocks over a few ms at the start, and better at
 * each renewal, from the first anchor on: after a second it is known to one in 10^6, after a minute
 * to one in 10^8. A span's length is exact to that.
 */
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#endif

#include "otel/core/otel_clock.h"

#define CLOCK_LEARN INT64_C(2000000) /* ns */

bool skua__otel_tsc;

/* guard: who renews; the first one is constant */
static struct {
    uint64_t first_ticks;
    int64_t first;  /* monotonic */
    uint64_t ticks; /* of the newest anchor */
    int64_t wall;   /* ns since 1970, at that */
    double length;  /* of a tick, in ns */
} clock_anchor;

static int64_t clock_now(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t skua__otel_monotonic(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

int64_t skua__otel_now(void)
{
    return clock_now(CLOCK_REALTIME);
}

#if defined(__x86_64__)
/* The processor says that it never stops or changes its pace, and the kernel believes it. */
static bool clock_tsc_is_steady(void)
{
    unsigned a, b, c, d;
    char line[32] = "";
    FILE *file;

    if (__get_cpuid(0x80000007, &a, &b, &c, &d) == 0 || (d & 1u << 8) == 0)
        return false;
    file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == NULL)
        return false;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    (void)fclose(file);
    return strcmp(line, "tsc\n") == 0;
}
#else
static bool clock_tsc_is_steady(void)
{
    return false;
}
#endif

/* Both clocks at one time: of several pairs the one that was read fastest. */
static void clock_pair(clockid_t id, uint64_t *ticks, int64_t *time)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 5; i++) {
        uint64_t before = skua__otel_ticks();
        int64_t now = clock_now(id);
        uint64_t after = skua__otel_ticks();

        if (after - before >= best)
            continue;
        best = after - before;
        *ticks = before + best / 2;
        *time = now;
    }
}

void skua__otel_clock_renew(void)
{
    uint64_t ticks;
    int64_t now;

    clock_pair(CLOCK_REALTIME, &clock_anchor.ticks, &clock_anchor.wall);
    if (!skua__otel_tsc)
        return;
    clock_pair(CLOCK_MONOTONIC, &ticks, &now);
    if (ticks > clock_anchor.first_ticks && now > clock_anchor.first)
        clock_anchor.length =
            (double)(now - clock_anchor.first) / (double)(ticks - clock_anchor.first_ticks);
}

void skua__otel_clock_init(void)
{
    int64_t until;

    if (clock_anchor.length != 0)
        return;
    skua__otel_tsc = clock_tsc_is_steady();
    clock_anchor.length = 1;
    clock_pair(CLOCK_MONOTONIC, &clock_anchor.first_ticks, &clock_anchor.first);
    until = clock_anchor.first + CLOCK_LEARN;
    while (skua__otel_tsc && skua__otel_monotonic() < until) {
    }
    skua__otel_clock_renew();
}

int64_t skua__otel_span_of(uint64_t ticks)
{
    return skua__otel_tsc ? (int64_t)((double)ticks * clock_anchor.length) : (int64_t)ticks;
}

int64_t skua__otel_time(uint64_t ticks)
{
    return ticks >= clock_anchor.ticks
               ? clock_anchor.wall + skua__otel_span_of(ticks - clock_anchor.ticks)
               : clock_anchor.wall - skua__otel_span_of(clock_anchor.ticks - ticks);
}

#undef CLOCK_LEARN
