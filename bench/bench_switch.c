/* bench_switch.c - what it costs to let another task go, and to wake one.
 *
 * yield_fiber_ct       two fibers that skua_yield to each other: ns a yield
 * yield_poll_ct        two poll tasks that wake themselves and return SKUA_PENDING: ns a turn
 * pingpong_{ct,mt2}    two fibers that hand a wake to and fro: ns a round trip of two wakes. mt2:
 *                      they are on different workers, whose processors fall asleep in between, so
 *                      that it is mostly the system's wake-up of a thread
 *
 * The ball of pingpong is a future of this benchmark's own, written by the rules of future.h: the
 * waker is kept with a reference, and whoever takes it out of its place by exchange gives it back.
 */
#include <stdatomic.h>
#include <stddef.h>

#include <skua/skua.h>

#include "meter_bench.h"

enum { BATCH = 1000 };

struct job {
    skua_runtime *runtime;
    uint64_t repeats;
    int64_t took_ns;
    int apart; /* the players are to be on different workers */
};

/* ---- yielding -------------------------------------------------------------------------------- */

static int yielder(void *arg)
{
    const struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH / 2; i++)
        meter_must(skua_yield(), "yield");
    return 0;
}

static skua_poll poll_yielder(void *state, skua_waker *waker)
{
    uint64_t *left = state;

    if (--*left == 0)
        return SKUA_READY;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static int yield_fibers(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, yielder, job), "spawn");
    meter_must(skua_spawn(&scope, yielder, job), "spawn");
    meter_must(skua_scope_join(&scope), "join");
    job->took_ns = meter_now_ns() - start;
    return 0;
}

static int yield_polls(void *arg)
{
    struct job *job = arg;
    uint64_t left = job->repeats * BATCH / 2;
    int64_t start = meter_now_ns();
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn_poll(&scope, poll_yielder, &left), "spawn");
    meter_must(skua_spawn_poll(&scope, poll_yielder, &left), "spawn");
    meter_must(skua_scope_join(&scope), "join");
    job->took_ns = meter_now_ns() - start;
    return 0;
}

/* ---- pingpong -------------------------------------------------------------------------------- */

/* One player's place; each on a cache line of its own. */
struct place {
    _Alignas(64) _Atomic int ball;
    _Atomic(skua_waker *) waker;
};

struct ball_future {
    skua_future future;
    struct place *place;
};

struct match {
    struct place places[2];
    struct job *job;
    _Atomic int started; /* the second player, on whatever worker */
};

static void place_clear(struct place *place)
{
    skua_waker_unref(atomic_exchange(&place->waker, NULL));
}

static skua_poll ball_poll(skua_future *future, skua_waker *waker)
{
    struct place *place = ((struct ball_future *)future)->place;

    if (atomic_load(&place->ball) == 0) {
        skua_waker_unref(atomic_exchange(&place->waker, skua_waker_ref(waker)));
        /* Asked again, now that the waker is in place: one of both sides sees the other. */
        if (atomic_load(&place->ball) == 0)
            return SKUA_PENDING;
    }
    place_clear(place);
    atomic_store(&place->ball, 0);
    return SKUA_READY;
}

static void ball_drop(skua_future *future)
{
    place_clear(((struct ball_future *)future)->place);
}

static const skua_future_ops ball_ops = {.name = "ball", .poll = ball_poll, .drop = ball_drop};

static void ball_throw(struct place *place)
{
    skua_waker *waker;

    atomic_store(&place->ball, 1);
    waker = atomic_exchange(&place->waker, NULL);
    if (waker == NULL)
        return;
    skua_waker_wake(waker);
    skua_waker_unref(waker);
}

static void ball_catch(struct place *place)
{
    struct ball_future ball = {.future = {.ops = &ball_ops}, .place = place};

    meter_must(skua_await(&ball.future), "catch");
}

static int returner(void *arg)
{
    struct match *match = arg;

    atomic_store(&match->started, 1);
    for (uint64_t i = 0; i < match->job->repeats; i++) {
        ball_catch(&match->places[1]);
        ball_throw(&match->places[0]);
    }
    return 0;
}

/* A fiber stays where it started. So the server does not let go of its worker until the other
 * player has started: it can have done so on the other worker only. */
static int server(void *arg)
{
    struct job *job = arg;
    struct match match = {.job = job};
    skua_scope scope;
    int64_t start;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, returner, &match), "spawn");
    while (job->apart && !atomic_load(&match.started))
        continue;
    start = meter_now_ns();
    for (uint64_t i = 0; i < job->repeats; i++) {
        ball_throw(&match.places[1]);
        ball_catch(&match.places[0]);
    }
    job->took_ns = meter_now_ns() - start;
    meter_must(skua_scope_join(&scope), "join");
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

struct plan {
    skua_runtime *runtime;
    skua_fiber_fn fiber;
    int apart;
};

static int64_t work(uint64_t repeats, void *arg)
{
    const struct plan *plan = arg;
    struct job job = {.runtime = plan->runtime, .repeats = repeats, .apart = plan->apart};

    meter_must(skua_block_on(plan->runtime, plan->fiber, &job, NULL), "block_on");
    return job.took_ns;
}

static void run(struct meter_bench *bench, const char *name, uint64_t operations,
                skua_runtime *runtime, skua_fiber_fn fiber, int apart)
{
    struct plan plan = {.runtime = runtime, .fiber = fiber, .apart = apart};

    meter_bench_run(bench, name, operations, work, &plan);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    skua_runtime *runtime;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    run(&bench, "yield_fiber_ct", BATCH, runtime, yield_fibers, 0);
    run(&bench, "yield_poll_ct", BATCH, runtime, yield_polls, 0);
    run(&bench, "pingpong_ct", 1, runtime, server, 0);
    meter_must(skua_runtime_free(runtime), "free");
    meter_bench_pin(&bench, -1);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
    run(&bench, "pingpong_mt2", 1, runtime, server, 1);
    meter_must(skua_runtime_free(runtime), "free");
    return meter_bench_end(&bench);
}
