/* meter_bench.h - the frame of a micro-benchmark: options, rounds of one length, processors.
 *
 *     static int64_t work(uint64_t repeats, void *arg);       ns that `repeats` times took
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct meter_bench bench;
 *
 *         meter_bench_begin(&bench, argc, argv);
 *         meter_bench_pin(&bench, 0);
 *         meter_bench_run(&bench, "name", 1000, work, NULL);  1,000 operations a repeat
 *         return meter_bench_end(&bench);
 *     }
 *
 * Times are wall-clock unless a benchmark says otherwise. All of it belongs to the main thread.
 */
#ifndef METER_BENCH_H
#define METER_BENCH_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "meter_clock.h"
#include "meter_report.h"

#define METER_ROUNDS_MAX 15

struct meter_bench {
    bool quick;           /* --quick: shorter rounds, fewer where one cannot be shortened */
    unsigned rounds;      /* of each benchmark */
    int64_t round_ns;     /* how long a round is to last */
    const char *only;     /* --only NAME, or NULL */
    const char *json;     /* --json FILE, or NULL */
    cpu_set_t processors; /* the process's own, before it was pinned */
    struct meter_report report;
};

typedef int64_t (*meter_work_fn)(uint64_t repeats, void *arg);

/* Reads --quick, --only NAME and --json FILE; anything else ends the program with status 2. */
void meter_bench_begin(struct meter_bench *bench, int argc, char **argv);

/* Whether `name` is to run. */
bool meter_bench_wanted(const struct meter_bench *bench, const char *name);

/* Pins this thread, and threads that it will start; a negative number frees them again. */
void meter_bench_pin(const struct meter_bench *bench, int processor);

/* Finds how many repeats fill a round, runs the rounds, and adds the record: ns an operation. */
void meter_bench_run(struct meter_bench *bench, const char *name, uint64_t operations,
                     meter_work_fn work, void *arg);

/* As meter_bench_run; the record is operations a second. */
void meter_bench_rate(struct meter_bench *bench, const char *name, uint64_t operations,
                      meter_work_fn work, void *arg);

/* Ends the program, saying what failed and why. */
_Noreturn void meter_fail(int64_t rc, const char *what);

/* The same, when `rc` is negative. Inline: it stands in loops of a few nanoseconds. */
static inline void meter_must(int64_t rc, const char *what)
{
    if (__builtin_expect(rc < 0, 0))
        meter_fail(rc, what);
}

int meter_bench_end(const struct meter_bench *bench);

#endif
