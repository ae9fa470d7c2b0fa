/* meter_bench.c - see meter_bench.h.
 *
 * Calibration doubles the repeats until they last an eighth of a round and scales from there; it
 * warms caches, stacks and cells at the same time, so that no further round is thrown away.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "meter_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#include "meter_server.h"

static void usage(const char *program, const char *wrong)
{
    fprintf(stderr, "%s: unknown or incomplete option: %s\n", program, wrong);
    fprintf(stderr, "usage: %s [--quick] [--only NAME] [--json FILE]\n", program);
    exit(2);
}

void meter_bench_begin(struct meter_bench *bench, int argc, char **argv)
{
    memset(bench, 0, sizeof *bench);
    bench->rounds = 9;
    bench->round_ns = 50 * SKUA_MILLISECOND;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            bench->quick = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            bench->only = argv[++i];
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            bench->json = argv[++i];
        else
            usage(argv[0], argv[i]);
    }
    if (bench->quick) {
        bench->rounds = 7;
        bench->round_ns = 10 * SKUA_MILLISECOND;
    }
    if (sched_getaffinity(0, sizeof bench->processors, &bench->processors) != 0)
        meter_die("sched_getaffinity", errno);
#ifndef __OPTIMIZE__
    fprintf(stderr, "%s: built without optimisation: the figures say nothing\n", argv[0]);
#endif
}

bool meter_bench_wanted(const struct meter_bench *bench, const char *name)
{
    return bench->only == NULL || strcmp(bench->only, name) == 0;
}

void meter_bench_pin(const struct meter_bench *bench, int processor)
{
    if (processor >= 0)
        meter_pin(processor);
    else if (sched_setaffinity(0, sizeof bench->processors, &bench->processors) != 0)
        meter_die("sched_setaffinity", errno);
}

/* ns an operation, of each round. False: it is not wanted. */
static bool bench_rounds(const struct meter_bench *bench, const char *name, uint64_t operations,
                         meter_work_fn work, void *arg, double *ns)
{
    uint64_t repeats = 1;
    int64_t took;

    if (!meter_bench_wanted(bench, name))
        return false;
    while ((took = work(repeats, arg)) < bench->round_ns / 8)
        repeats *= 2;
    repeats = (uint64_t)((double)repeats * (double)bench->round_ns / (double)took);
    repeats = repeats > 0 ? repeats : 1;
    for (unsigned i = 0; i < bench->rounds; i++)
        ns[i] = (double)work(repeats, arg) / (double)(repeats * operations);
    return true;
}

void meter_bench_run(struct meter_bench *bench, const char *name, uint64_t operations,
                     meter_work_fn work, void *arg)
{
    double ns[METER_ROUNDS_MAX];

    if (bench_rounds(bench, name, operations, work, arg, ns))
        meter_report_add(&bench->report, name, "ns", ns, bench->rounds);
}

void meter_bench_rate(struct meter_bench *bench, const char *name, uint64_t operations,
                      meter_work_fn work, void *arg)
{
    double rates[METER_ROUNDS_MAX];

    if (!bench_rounds(bench, name, operations, work, arg, rates))
        return;
    for (unsigned i = 0; i < bench->rounds; i++)
        rates[i] = 1e9 / rates[i];
    meter_report_add(&bench->report, name, "1/s", rates, bench->rounds);
}

void meter_fail(int64_t rc, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, skua_strerror(rc));
    exit(1);
}

int meter_bench_end(const struct meter_bench *bench)
{
    if (bench->report.count == 0) {
        fprintf(stderr, "no benchmark of that name here: %s\n", bench->only);
        return 2;
    }
    return meter_report_end(&bench->report, bench->json);
}
