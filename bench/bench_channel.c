/* bench_channel.c - what answers, rounds and news through channels cost, and many at both ends.
 *
 * channel_pingpong_ct    ns a hop: two fibers send a message of 8 bytes to and fro through two mpsc
 *                        channels of 1
 * oneshot_reply_ct       ns an answer: a oneshot is made, another fiber sends into it, the first
 *                        waits for it
 * request_reply_ct       the same when the other fiber is asked through an mpsc channel of 10
 * mpsc_4p_mt2_1000       ns a message through a channel of 1,000, four producers, two workers
 * mpmc_4p4c_mt2          ns a message through a channel of 100, four producers and four consumers,
 *                        two workers; mpmc_4p4c_mt2_1000: of 1,000; mpmc_4p4c_mt2_unbounded
 * broadcast_{1,10,100}_ct  ns a message and receiver, channel of 128, messages of 8 bytes
 * watch_ct               ns a change that one fiber makes and another one sees
 */
#include <skua/skua.h>

#include "meter_bench.h"

enum { BATCH = 1000, RECEIVERS_MAX = 100 };

struct job {
    skua_fiber_fn body;
    uint64_t repeats;
    int64_t took_ns;
    size_t capacity;
    unsigned receivers;
    bool single; /* an mpsc channel instead of an mpmc one */
    skua_mpsc_sender *tx[2];
    skua_mpsc_receiver *rx[2];
    skua_mpmc_sender *many_tx;
    skua_mpmc_receiver *many_rx;
    skua_oneshot_sender *asked; /* the one worker's */
    skua_broadcast_sender *news;
    skua_watch_sender *watch_tx;
    skua_watch_receiver *watch_rx;
};

/* ---- rounds ---------------------------------------------------------------------------------- */

static int returns_balls(void *arg)
{
    struct job *job = arg;
    uint64_t ball;

    while (skua_mpsc_recv(job->rx[0], &ball) == 0)
        meter_must(skua_mpsc_send(job->tx[1], &ball), "send");
    return 0;
}

static int channel_pingpong(void *arg)
{
    struct job *job = arg;
    uint64_t ball = 0;
    skua_scope scope;

    for (int i = 0; i < 2; i++)
        meter_must(skua_mpsc_new(&job->tx[i], &job->rx[i], sizeof ball, 1), "new");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, returns_balls, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH / 2; i++) {
        meter_must(skua_mpsc_send(job->tx[0], &ball), "send");
        meter_must(skua_mpsc_recv(job->rx[1], &ball), "recv");
    }
    skua_mpsc_sender_close(job->tx[0]);
    meter_must(skua_scope_join(&scope), "join");
    skua_mpsc_receiver_close(job->rx[0]);
    skua_mpsc_sender_close(job->tx[1]);
    skua_mpsc_receiver_close(job->rx[1]);
    return 0;
}

static int answers(void *arg)
{
    struct job *job = arg;
    uint64_t answer = 42;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        while (job->asked == NULL)
            meter_must(skua_yield(), "yield");
        meter_must(skua_oneshot_send(job->asked, &answer), "send");
        job->asked = NULL;
    }
    return 0;
}

static int oneshot_reply(void *arg)
{
    struct job *job = arg;
    uint64_t answer = 0;
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, answers, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        skua_oneshot_receiver *receiver;

        meter_must(skua_oneshot_new(&job->asked, &receiver, sizeof answer), "new");
        meter_must(skua_oneshot_recv(receiver, &answer), "recv");
        skua_oneshot_receiver_close(receiver);
    }
    return skua_scope_join(&scope);
}

static int serves(void *arg)
{
    struct job *job = arg;
    skua_oneshot_sender *request;
    uint64_t answer = 42;

    while (skua_mpsc_recv(job->rx[0], &request) == 0)
        meter_must(skua_oneshot_send(request, &answer), "send");
    return 0;
}

static int request_reply(void *arg)
{
    struct job *job = arg;
    uint64_t answer = 0;
    skua_scope scope;

    meter_must(skua_mpsc_new(&job->tx[0], &job->rx[0], sizeof(skua_oneshot_sender *), 10), "new");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, serves, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        skua_oneshot_sender *request;
        skua_oneshot_receiver *receiver;

        meter_must(skua_oneshot_new(&request, &receiver, sizeof answer), "new");
        meter_must(skua_mpsc_send(job->tx[0], &request), "send");
        meter_must(skua_oneshot_recv(receiver, &answer), "recv");
        skua_oneshot_receiver_close(receiver);
    }
    skua_mpsc_sender_close(job->tx[0]);
    meter_must(skua_scope_join(&scope), "join");
    skua_mpsc_receiver_close(job->rx[0]);
    return 0;
}

/* ---- many at both ends ----------------------------------------------------------------------- */

static int produces(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH / 4; i++)
        meter_must(job->single ? skua_mpsc_send(job->tx[0], &i) : skua_mpmc_send(job->many_tx, &i),
                   "send");
    return 0;
}

static int consumes(void *arg)
{
    struct job *job = arg;
    uint64_t got;

    for (uint64_t i = 0; i < job->repeats * BATCH / 4; i++)
        meter_must(skua_mpmc_recv(job->many_rx, &got), "recv");
    return 0;
}

static int consumes_all(void *arg)
{
    struct job *job = arg;
    uint64_t got;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++)
        meter_must(skua_mpsc_recv(job->rx[0], &got), "recv");
    return 0;
}

static int crowd(void *arg)
{
    struct job *job = arg;
    skua_scope scope;

    if (job->single)
        meter_must(skua_mpsc_new(&job->tx[0], &job->rx[0], sizeof(uint64_t), job->capacity), "new");
    else if (job->capacity != 0)
        meter_must(skua_mpmc_new(&job->many_tx, &job->many_rx, sizeof(uint64_t), job->capacity),
                   "new");
    else
        meter_must(skua_mpmc_new_unbounded(&job->many_tx, &job->many_rx, sizeof(uint64_t)), "new");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (int i = 0; i < 4; i++)
        meter_must(skua_spawn(&scope, produces, job), "spawn");
    for (int i = 0; i < (job->single ? 1 : 4); i++)
        meter_must(skua_spawn(&scope, job->single ? consumes_all : consumes, job), "spawn");
    meter_must(skua_scope_join(&scope), "join");
    if (job->single) {
        skua_mpsc_sender_close(job->tx[0]);
        skua_mpsc_receiver_close(job->rx[0]);
    } else {
        skua_mpmc_sender_close(job->many_tx);
        skua_mpmc_receiver_close(job->many_rx);
    }
    return 0;
}

/* ---- news ------------------------------------------------------------------------------------ */

static int listens(void *arg)
{
    uint64_t got;

    while (skua_broadcast_recv(arg, &got) == 0)
        continue;
    skua_broadcast_receiver_close(arg);
    return 0;
}

/* Half of what fits is sent in a row, so that nobody falls behind. */
static int broadcast(void *arg)
{
    struct job *job = arg;
    uint64_t rounds = job->repeats * BATCH / job->receivers;
    skua_broadcast_receiver *receiver;
    skua_scope scope;

    meter_must(skua_broadcast_new(&job->news, sizeof(uint64_t), 128), "new");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (unsigned i = 0; i < job->receivers; i++) {
        meter_must(skua_broadcast_subscribe(job->news, &receiver), "subscribe");
        meter_must(skua_spawn(&scope, listens, receiver), "spawn");
    }
    for (uint64_t i = 0; i < rounds; i++) {
        meter_must(skua_broadcast_send(job->news, &i), "send");
        if (i % 64 == 63)
            meter_must(skua_yield(), "yield");
    }
    skua_broadcast_sender_close(job->news);
    return skua_scope_join(&scope);
}

static int watches(void *arg)
{
    struct job *job = arg;
    uint64_t seen;

    while (skua_watch_changed(job->watch_rx) == 0)
        skua_watch_borrow(job->watch_rx, &seen);
    return 0;
}

static int watch(void *arg)
{
    struct job *job = arg;
    uint64_t value = 0;
    skua_scope scope;

    meter_must(skua_watch_new(&job->watch_tx, &job->watch_rx, sizeof value, &value), "new");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, watches, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_watch_send(job->watch_tx, &i), "send");
        meter_must(skua_yield(), "yield");
    }
    skua_watch_sender_close(job->watch_tx);
    meter_must(skua_scope_join(&scope), "join");
    skua_watch_receiver_close(job->watch_rx);
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static int timed(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();

    meter_must(job->body(job), "body");
    job->took_ns = meter_now_ns() - start;
    return 0;
}

struct plan {
    skua_runtime *runtime;
    struct job job;
};

static int64_t work(uint64_t repeats, void *arg)
{
    const struct plan *plan = arg;
    struct job job = plan->job;

    job.repeats = repeats;
    meter_must(skua_block_on(plan->runtime, timed, &job, NULL), "block_on");
    return job.took_ns;
}

static void run(struct meter_bench *bench, const char *name, skua_runtime *runtime, struct job job)
{
    struct plan plan = {.runtime = runtime, .job = job};

    meter_bench_run(bench, name, BATCH, work, &plan);
}

static void run_crowds(struct meter_bench *bench, skua_runtime *runtime)
{
    run(bench, "mpsc_4p_mt2_1000", runtime,
        (struct job){.body = crowd, .capacity = 1000, .single = true});
    run(bench, "mpmc_4p4c_mt2", runtime, (struct job){.body = crowd, .capacity = 100});
    run(bench, "mpmc_4p4c_mt2_1000", runtime, (struct job){.body = crowd, .capacity = 1000});
    run(bench, "mpmc_4p4c_mt2_unbounded", runtime, (struct job){.body = crowd});
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    skua_runtime *runtime;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    run(&bench, "channel_pingpong_ct", runtime, (struct job){.body = channel_pingpong});
    run(&bench, "oneshot_reply_ct", runtime, (struct job){.body = oneshot_reply});
    run(&bench, "request_reply_ct", runtime, (struct job){.body = request_reply});
    run(&bench, "broadcast_1_ct", runtime, (struct job){.body = broadcast, .receivers = 1});
    run(&bench, "broadcast_10_ct", runtime, (struct job){.body = broadcast, .receivers = 10});
    run(&bench, "broadcast_100_ct", runtime,
        (struct job){.body = broadcast, .receivers = RECEIVERS_MAX});
    run(&bench, "watch_ct", runtime, (struct job){.body = watch});
    meter_must(skua_runtime_free(runtime), "free");
    meter_bench_pin(&bench, -1);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
    run_crowds(&bench, runtime);
    meter_must(skua_runtime_free(runtime), "free");
    return meter_bench_end(&bench);
}
