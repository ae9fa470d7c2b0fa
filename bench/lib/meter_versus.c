/* meter_versus.c - see meter_versus.h.
 *
 * All rivals do the same number of repeats, which fills a round of the first. Each round begins
 * with the next of them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "meter_versus.h"

#include <errno.h>

#include "meter_server.h"

static bool versus_wanted(const struct meter_bench *bench, const struct meter_rival *rivals,
                          unsigned rival_count, const struct meter_ratio *ratios,
                          unsigned ratio_count)
{
    for (unsigned i = 0; i < rival_count; i++)
        if (meter_bench_wanted(bench, rivals[i].name))
            return true;
    for (unsigned i = 0; i < ratio_count; i++)
        if (meter_bench_wanted(bench, ratios[i].name))
            return true;
    return false;
}

static uint64_t versus_calibrate(const struct meter_bench *bench, const struct meter_rival *rival)
{
    uint64_t repeats = 1;
    int64_t took;

    while ((took = rival->work(repeats, rival->arg)) < bench->round_ns / 8)
        repeats *= 2;
    repeats = (uint64_t)((double)repeats * (double)bench->round_ns / (double)took);
    return repeats > 0 ? repeats : 1;
}

void meter_versus_run(struct meter_bench *bench, uint64_t operations,
                      const struct meter_rival *rivals, unsigned rival_count,
                      const struct meter_ratio *ratios, unsigned ratio_count)
{
    static double ns[METER_RIVALS_MAX][METER_ROUNDS_MAX];
    unsigned rounds = bench->quick ? bench->rounds : METER_ROUNDS_MAX;
    uint64_t repeats;

    if (rival_count > METER_RIVALS_MAX)
        meter_die("meter_versus_run", E2BIG);
    if (!versus_wanted(bench, rivals, rival_count, ratios, ratio_count))
        return;
    repeats = versus_calibrate(bench, &rivals[0]);
    for (unsigned i = 1; i < rival_count; i++)
        (void)rivals[i].work(1 + repeats / 8, rivals[i].arg); /* warm, as the first is */
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < rival_count; i++) {
            unsigned at = (i + round) % rival_count;

            ns[at][round] =
                (double)rivals[at].work(repeats, rivals[at].arg) / (double)(repeats * operations);
        }
    for (unsigned i = 0; i < ratio_count; i++) {
        double ratio[METER_ROUNDS_MAX];

        for (unsigned round = 0; round < rounds; round++)
            ratio[round] = ns[ratios[i].of][round] / ns[ratios[i].ours][round];
        meter_report_add(&bench->report, ratios[i].name, "x", ratio, rounds);
    }
    for (unsigned i = 0; i < rival_count; i++) /* last: it sorts them */
        meter_report_add(&bench->report, rivals[i].name, "ns", ns[i], rounds);
}
