/* meter_versus.h - several ways to do the same work, in turn in each round, and their ratios.
 *
 *     struct meter_rival rivals[] = {{"udp_single_raw", raw, NULL}, {"udp_single", ours, &job}};
 *     struct meter_ratio ratios[] = {{"udp_single_of_raw", 0, 1}};
 *
 *     meter_versus_run(&bench, 32, rivals, 2, ratios, 1);        32 operations a repeat
 *
 * A machine that is shared is a third slower for some seconds, and then it is not. So all rivals
 * go in every round, first the one and then the other, and a ratio is taken within a round, before
 * its median is.
 */
#ifndef METER_VERSUS_H
#define METER_VERSUS_H

#include "meter_bench.h"

#define METER_RIVALS_MAX 12

struct meter_rival {
    const char *name;
    meter_work_fn work; /* as meter_bench_run's */
    void *arg;
};

/* ns of rival `of` over ns of rival `ours`: how much of the other's rate ours is. */
struct meter_ratio {
    const char *name;
    unsigned of;
    unsigned ours;
};

/* Adds a record in ns for each rival, and one for each ratio (unit "x"). With --only NAME it runs
 * all of them when NAME is one of these. */
void meter_versus_run(struct meter_bench *bench, uint64_t operations,
                      const struct meter_rival *rivals, unsigned rival_count,
                      const struct meter_ratio *ratios, unsigned ratio_count);

#endif
