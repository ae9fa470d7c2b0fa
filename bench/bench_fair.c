/* bench_fair.c - how long a task that has just become runnable waits for its turn, in a flood.
 *
 * On one worker a hundred fibers compute for 20 us a turn, again and again. One of them asks a
 * question each time that it has its turn, of a fiber that waits for it; measured is the time from
 * the question to the answerer's turn, the median (_p50) and the 99th percentile (_p99), in ns.
 *
 * fair_alone   no flood but the one that asks
 * fair_flat    flood and answerer of normal priority: a turn of everybody comes first
 * fair_high    the answerer is SKUA_HIGH
 * fair_low     the flood is SKUA_LOW, but for the one that asks
 * fair_shares  a scheduler of shares: the answerer in a queue with a goal of latency of 100 us
 */
#include <stdio.h>

#include <skua/skua.h>

#include "meter_bench.h"
#include "meter_hist.h"

#define TURN (20 * SKUA_MICROSECOND)
#define FLOOD 100

struct contest {
    skua_notify question;
    int64_t asked; /* when, ns; all of this belongs to the one worker */
    int64_t until;
    int flood;
    skua_priority flood_priority;
    skua_priority answer_priority;
    skua_task_queue *answer_queue;
    struct meter_hist *hist;
};

static void compute(void)
{
    int64_t end = meter_now_ns() + TURN;

    while (meter_now_ns() < end)
        continue;
}

static int floods(void *arg)
{
    const struct contest *contest = arg;

    while (meter_now_ns() < contest->until) {
        compute();
        meter_must(skua_yield(), "yield");
    }
    return 0;
}

static int asks(void *arg)
{
    struct contest *contest = arg;

    while (meter_now_ns() < contest->until) {
        compute();
        if (contest->asked == 0) {
            contest->asked = meter_now_ns();
            skua_notify_one(&contest->question);
        }
        meter_must(skua_yield(), "yield");
    }
    contest->asked = -1;
    skua_notify_one(&contest->question);
    return 0;
}

static int answers(void *arg)
{
    struct contest *contest = arg;

    for (;;) {
        meter_must(skua_notified(&contest->question), "notified");
        if (contest->asked < 0)
            return 0;
        meter_hist_add(contest->hist, (uint64_t)(meter_now_ns() - contest->asked));
        contest->asked = 0;
    }
}

static int runs(void *arg)
{
    struct contest *contest = arg;
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, answers, contest, .priority = contest->answer_priority,
                          .queue = contest->answer_queue),
               "spawn");
    meter_must(skua_spawn(&scope, asks, contest), "spawn");
    for (int i = 0; i < contest->flood; i++)
        meter_must(skua_spawn(&scope, floods, contest, .priority = contest->flood_priority),
                   "spawn");
    meter_must(skua_scope_join(&scope), "join");
    return 0;
}

static void run(struct meter_bench *bench, const char *name, struct contest contest,
                const skua_scheduler *scheduler)
{
    static struct meter_hist hist;
    double median[METER_ROUNDS_MAX];
    double high[METER_ROUNDS_MAX];
    unsigned rounds = bench->quick ? 2 : 5;
    char record[64];
    skua_runtime *runtime;

    if (!meter_bench_wanted(bench, name))
        return;
    contest.hist = &hist;
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD,
                                                               .scheduler = scheduler)),
               "new");
    for (unsigned i = 0; i < rounds; i++) {
        meter_hist_clear(&hist);
        contest.asked = 0;
        contest.until = meter_now_ns() + (bench->quick ? SKUA_SECOND / 2 : 2 * SKUA_SECOND);
        meter_must(skua_block_on(runtime, runs, &contest, NULL), "block_on");
        median[i] = (double)meter_hist_quantile(&hist, 0.5);
        high[i] = (double)meter_hist_quantile(&hist, 0.99);
    }
    meter_must(skua_runtime_free(runtime), "free");
    snprintf(record, sizeof record, "%s_p50", name);
    meter_report_add(&bench->report, record, "ns", median, rounds);
    snprintf(record, sizeof record, "%s_p99", name);
    meter_report_add(&bench->report, record, "ns", high, rounds);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    static skua_task_queue queues[] = {
        {.name = "flood", .shares = 900},
        {.name = "answers", .shares = 100, .latency = 100 * SKUA_MICROSECOND}};
    skua_shares shares;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_shares_init(&shares, queues, 2), "shares");
    run(&bench, "fair_alone", (struct contest){.flood = 0}, NULL);
    run(&bench, "fair_flat", (struct contest){.flood = FLOOD}, NULL);
    run(&bench, "fair_high", (struct contest){.flood = FLOOD, .answer_priority = SKUA_HIGH}, NULL);
    run(&bench, "fair_low", (struct contest){.flood = FLOOD, .flood_priority = SKUA_LOW}, NULL);
    run(&bench, "fair_shares", (struct contest){.flood = FLOOD, .answer_queue = &queues[1]},
        &shares.scheduler);
    return meter_bench_end(&bench);
}
