/* bench_flow.c - what waiting for several futures at a time costs.
 *
 * select_two          a fiber selects over two futures, and parks; another makes one of them ready
 *                     and yields: ns a select, with both switches
 * select_eight        the same over eight
 * select_two_ready    one of the futures is ready when the select begins: ns a select
 * select_eight_ready  the same over eight
 * stream_item         a fiber folds 1,000,000 integers that come through five adapters (map,
 * filter, skip, take, inspect): ns an item, with the source, the five functions and the fold
 *
 * All of it on one current-thread worker. The futures of the selects are this benchmark's own: they
 * keep the waker in a place, as the ball of bench_switch.c, but on one thread, so that it needs no
 * atomics.
 */
#include <stddef.h>

#include <skua/skua.h>

#include "meter_bench.h"

enum { BATCH = 1000, PLACES_MAX = 8 };

#define STREAM_ITEMS UINT64_C(1000000)

struct place {
    skua_waker *waker;
    int ball; /* how many */
};

struct ball_future {
    skua_future future;
    struct place *place;
};

struct job {
    uint64_t repeats;
    int64_t took_ns;
    int count; /* futures of a select: two or eight */
    struct place places[PLACES_MAX];
    uint64_t caught;
};

static void place_clear(struct place *place)
{
    skua_waker *waker = place->waker;

    place->waker = NULL;
    skua_waker_unref(waker);
}

static skua_poll ball_poll(skua_future *future, skua_waker *waker)
{
    struct place *place = ((struct ball_future *)future)->place;

    place_clear(place);
    if (place->ball == 0) {
        place->waker = skua_waker_ref(waker);
        return SKUA_PENDING;
    }
    place->ball--;
    return SKUA_READY;
}

static void ball_drop(skua_future *future)
{
    place_clear(((struct ball_future *)future)->place);
}

static const skua_future_ops ball_ops = {.name = "ball", .poll = ball_poll, .drop = ball_drop};

static void ball_throw(struct place *place)
{
    place->ball++;
    if (place->waker != NULL)
        skua_waker_wake(place->waker);
}

static int catch_one(struct job *job)
{
    struct ball_future ball[PLACES_MAX];

    for (int i = 0; i < job->count; i++)
        ball[i] = (struct ball_future){.future = {.ops = &ball_ops}, .place = &job->places[i]};
    if (job->count == 2)
        return skua_select(&ball[0].future, &ball[1].future);
    return skua_select(&ball[0].future, &ball[1].future, &ball[2].future, &ball[3].future,
                       &ball[4].future, &ball[5].future, &ball[6].future, &ball[7].future);
}

/* ---- a select that waits --------------------------------------------------------------------- */

static int catcher(void *arg)
{
    struct job *job = arg;

    while (job->caught < job->repeats * BATCH) {
        meter_must(catch_one(job), "select");
        job->caught++;
    }
    return 0;
}

static int throws(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, catcher, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_yield(), "yield");
        ball_throw(&job->places[i % (uint64_t)job->count]);
    }
    meter_must(skua_scope_join(&scope), "join");
    job->took_ns = meter_now_ns() - start;
    return 0;
}

/* ---- a select that does not ------------------------------------------------------------------ */

static int catches_ready(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        ball_throw(&job->places[i % (uint64_t)job->count]);
        meter_must(catch_one(job), "select");
    }
    job->took_ns = meter_now_ns() - start;
    return 0;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static int gives_number(void *item, void *arg)
{
    uint64_t *at = arg;

    if (*at == STREAM_ITEMS)
        return 0;
    *(uint64_t *)item = (*at)++;
    return 1;
}

static int maps(const void *in, void *out, void *arg)
{
    (void)arg;
    *(uint64_t *)out = *(const uint64_t *)in * 3;
    return 0;
}

static int accepts(const void *item, void *arg)
{
    (void)arg;
    return *(const uint64_t *)item != UINT64_MAX;
}

static void sees(const void *item, void *arg)
{
    *(uint64_t *)arg ^= *(const uint64_t *)item;
}

static int adds(void *result, const void *item)
{
    *(uint64_t *)result += *(const uint64_t *)item;
    return 0;
}

static int folds(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();

    for (uint64_t i = 0; i < job->repeats; i++) {
        uint64_t at = 0, seen = 0, item, sum = 0;
        skua_stream *stream = skua_streaming_from(gives_number, &at, uint64_t);

        stream = skua_streaming_map(stream, maps, NULL, uint64_t, uint64_t);
        stream = skua_streaming_filter(stream, accepts, NULL);
        stream = skua_streaming_skip(stream, 1);
        stream = skua_streaming_take(stream, STREAM_ITEMS);
        stream = skua_streaming_inspect(stream, sees, &seen);
        meter_must(skua_stream_fold(stream, &item, adds, &sum), "fold");
        job->caught += sum == 3 * (STREAM_ITEMS * (STREAM_ITEMS - 1) / 2);
    }
    job->took_ns = meter_now_ns() - start;
    meter_must(job->caught == job->repeats ? 0 : -1, "the sum");
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

struct plan {
    skua_runtime *runtime;
    skua_fiber_fn fiber;
    int count;
};

static int64_t work(uint64_t repeats, void *arg)
{
    const struct plan *plan = arg;
    struct job job = {.repeats = repeats, .count = plan->count};

    meter_must(skua_block_on(plan->runtime, plan->fiber, &job, NULL), "block_on");
    return job.took_ns;
}

static void run_of(struct meter_bench *bench, const char *name, skua_runtime *runtime,
                   skua_fiber_fn fiber, int count, uint64_t operations)
{
    struct plan plan = {.runtime = runtime, .fiber = fiber, .count = count};

    meter_bench_run(bench, name, operations, work, &plan);
}

static void run(struct meter_bench *bench, const char *name, skua_runtime *runtime,
                skua_fiber_fn fiber, int count)
{
    run_of(bench, name, runtime, fiber, count, BATCH);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    skua_runtime *runtime;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    run(&bench, "select_two", runtime, throws, 2);
    run(&bench, "select_eight", runtime, throws, 8);
    run(&bench, "select_two_ready", runtime, catches_ready, 2);
    run(&bench, "select_eight_ready", runtime, catches_ready, 8);
    run_of(&bench, "stream_item", runtime, folds, 0, STREAM_ITEMS);
    meter_must(skua_runtime_free(runtime), "free");
    return meter_bench_end(&bench);
}
