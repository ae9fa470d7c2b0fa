/* bridge_runtime.c - what runtimes count, as metrics: observed at each collect, of all runtimes.
 *
 *   collect -> skua_runtime_each -> skua_runtime_snapshot -> sums by name and driver -> points
 *   free    -> skua_runtime_at_free -> what the runtime counted is kept: sums never shrink
 *
 * Series     are those of a name and a driver, whatever runtimes had them: as many as names. The
 *            33rd and all that follow share one, "other". Workers are summed up: an attribute for
 *            them would make a series of each, times the machine's processors.
 * Order      a runtime is in one of two places: in the list of all, or in `gone`. It changes over
 *            under the lock of that list; `moves` says that it has, and the collect begins again.
 * Memory     static. Nothing is allocated or locked but by libskua's own two functions.
 *
 * Source     there is no convention for tasks; names are made as those of go.* and nodejs.* are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "otel/bridge/bridge_runtime.h"
#include "otel/core/otel_warn.h"

const skua_meter skua__rtm_meter = SKUA_METER("skua.runtime", SKUA_VERSION);

#define RTM_BOUND(n) ((double)(UINT64_C(1) << (10 + (n))) / 1e9)
const double skua__rtm_bounds[SKUA__RTM_BOUNDS] = {
    RTM_BOUND(0),  RTM_BOUND(1),  RTM_BOUND(2),  RTM_BOUND(3),  RTM_BOUND(4),
    RTM_BOUND(5),  RTM_BOUND(6),  RTM_BOUND(7),  RTM_BOUND(8),  RTM_BOUND(9),
    RTM_BOUND(10), RTM_BOUND(11), RTM_BOUND(12), RTM_BOUND(13), RTM_BOUND(14),
    RTM_BOUND(15), RTM_BOUND(16), RTM_BOUND(17), RTM_BOUND(18), RTM_BOUND(19)};

/* ---- instruments ----------------------------------------------------------------------------- */

#define RTM_COUNTER(name, unit, text) SKUA_OBSERVABLE_COUNTER(&skua__rtm_meter, name, unit, text)
#define RTM_SECONDS(name, text) SKUA_OBSERVABLE_COUNTER_F64(&skua__rtm_meter, name, "s", text)
#define RTM_UPDOWN(name, unit, text) SKUA_OBSERVABLE_UPDOWN(&skua__rtm_meter, name, unit, text)

static skua_observable rtm_runtimes =
    RTM_UPDOWN("skua.runtime.alive", "{runtime}", "Runtimes that there are");
static skua_observable rtm_workers =
    RTM_UPDOWN("skua.runtime.workers", "{worker}", "Workers of the runtimes");
static skua_observable rtm_alive = RTM_UPDOWN("skua.task.alive", "{task}", "Tasks that are alive");
static skua_observable rtm_spawned =
    RTM_COUNTER("skua.task.spawned", "{task}", "Tasks that were made");
static skua_observable rtm_polls = RTM_COUNTER("skua.task.polls", "{turn}", "Turns of tasks");
static skua_observable rtm_yields =
    RTM_COUNTER("skua.task.budget_yields", "{turn}", "Turns that were cut short by their budget");
static skua_observable rtm_memory =
    RTM_UPDOWN("skua.task.memory", "By", "Memory of tasks' headers and states");
static skua_observable rtm_stacks =
    RTM_UPDOWN("skua.task.stacks", "{stack}", "Stacks of fibers that there are");
static skua_observable rtm_busy =
    RTM_SECONDS("skua.worker.busy.time", "Time that workers did not sleep");
static skua_observable rtm_parks =
    RTM_COUNTER("skua.worker.parks", "{park}", "Times that a worker slept");
static skua_observable rtm_steals =
    RTM_COUNTER("skua.worker.steals", "{steal}", "Visits to another worker that brought tasks");
static skua_observable rtm_misses = RTM_COUNTER("skua.worker.steal_misses", "{search}",
                                                "Rounds over all workers that brought none");
static skua_observable rtm_stolen =
    RTM_COUNTER("skua.worker.stolen", "{task}", "Tasks taken from another worker");
static skua_observable rtm_injected = RTM_COUNTER(
    "skua.worker.injected", "{task}", "Tasks taken from the shared queue or a worker's inbox");
static skua_observable rtm_overflows =
    RTM_COUNTER("skua.worker.overflows", "{overflow}", "Times that a worker's queue was full");
static skua_observable rtm_queue =
    RTM_UPDOWN("skua.worker.queue.length", "{task}", "Tasks that wait for a worker");
static skua_observable rtm_armed =
    RTM_UPDOWN("skua.timer.armed", "{timer}", "Timers that have not fired");
static skua_observable rtm_fired =
    RTM_COUNTER("skua.timer.fired", "{timer}", "Timers that have fired");
static skua_observable rtm_events =
    RTM_COUNTER("skua.io.events", "{event}", "Events that drivers handled");
static skua_observable rtm_threads =
    RTM_UPDOWN("skua.blocking.threads", "{thread}", "Threads for what blocks");
static skua_observable rtm_jobs =
    RTM_COUNTER("skua.blocking.jobs", "{job}", "Blocking jobs that began");
static skua_observable rtm_jobs_queue =
    RTM_UPDOWN("skua.blocking.queue.length", "{job}", "Blocking jobs that wait for a thread");
static skua_observable rtm_jobs_wait =
    RTM_SECONDS("skua.blocking.wait.time", "Time that blocking jobs waited for a thread");

static skua_histogram rtm_lag = SKUA_HISTOGRAM_BOUNDS(&skua__rtm_meter, "skua.timer.lag", "s",
                                                      "How late timers fired", skua__rtm_bounds);

/* What is summed up. Down to COUNTERS it only grows, and is kept when a runtime is freed. */
enum {
    RTM_SPAWNED_INSIDE,
    RTM_SPAWNED_OUTSIDE,
    RTM_POLLS,
    RTM_YIELDS,
    RTM_BUSY,
    RTM_PARKS,
    RTM_STEALS,
    RTM_MISSES,
    RTM_STOLEN,
    RTM_INJECTED,
    RTM_OVERFLOWS,
    RTM_FIRED,
    RTM_EVENTS,
    RTM_JOBS,
    RTM_JOBS_WAIT,
    RTM_LATE_NS,
    RTM_LATE,
    RTM_COUNTERS = RTM_LATE + SKUA_LATE_BUCKETS,
    RTM_RUNTIMES = RTM_COUNTERS,
    RTM_WORKERS,
    RTM_ALIVE,
    RTM_MEMORY,
    RTM_STACKS,
    RTM_QUEUE_LOCAL,
    RTM_QUEUE_SHARED,
    RTM_ARMED,
    RTM_THREADS_BUSY,
    RTM_THREADS_IDLE,
    RTM_JOBS_QUEUE,
    RTM_WORDS
};

/* A point of each name and driver. */
static const struct rtm_row {
    skua_observable *metric;
    unsigned word;
    const char *key, *value; /* one more attribute; NULL: none */
} rtm_rows[] = {
    {&rtm_runtimes, RTM_RUNTIMES, NULL, NULL},
    {&rtm_workers, RTM_WORKERS, NULL, NULL},
    {&rtm_alive, RTM_ALIVE, NULL, NULL},
    {&rtm_spawned, RTM_SPAWNED_INSIDE, "skua.task.origin", "worker"},
    {&rtm_spawned, RTM_SPAWNED_OUTSIDE, "skua.task.origin", "outside"},
    {&rtm_polls, RTM_POLLS, NULL, NULL},
    {&rtm_yields, RTM_YIELDS, NULL, NULL},
    {&rtm_memory, RTM_MEMORY, NULL, NULL},
    {&rtm_stacks, RTM_STACKS, NULL, NULL},
    {&rtm_busy, RTM_BUSY, NULL, NULL},
    {&rtm_parks, RTM_PARKS, NULL, NULL},
    {&rtm_steals, RTM_STEALS, NULL, NULL},
    {&rtm_misses, RTM_MISSES, NULL, NULL},
    {&rtm_stolen, RTM_STOLEN, NULL, NULL},
    {&rtm_injected, RTM_INJECTED, NULL, NULL},
    {&rtm_overflows, RTM_OVERFLOWS, NULL, NULL},
    {&rtm_queue, RTM_QUEUE_LOCAL, "skua.queue", "local"},
    {&rtm_queue, RTM_QUEUE_SHARED, "skua.queue", "shared"},
    {&rtm_armed, RTM_ARMED, NULL, NULL},
    {&rtm_fired, RTM_FIRED, NULL, NULL},
    {&rtm_events, RTM_EVENTS, NULL, NULL},
    {&rtm_threads, RTM_THREADS_BUSY, "skua.thread.state", "busy"},
    {&rtm_threads, RTM_THREADS_IDLE, "skua.thread.state", "idle"},
    {&rtm_jobs, RTM_JOBS, NULL, NULL},
    {&rtm_jobs_queue, RTM_JOBS_QUEUE, NULL, NULL},
    {&rtm_jobs_wait, RTM_JOBS_WAIT, NULL, NULL},
};

/* ---- sums ------------------------------------------------------------------------------------ */

#define RTM_KEYS 33
#define RTM_TRIES 100

/* All runtimes of a name and a driver. */
struct rtm_key {
    char name[16];      /* constant once it is counted in rtm_keys_count; so is the next */
    const char *driver; /* static */
    _Atomic uint64_t
        gone[RTM_COUNTERS];  /* of those that were freed; written under libskua's lock */
    uint64_t now[RTM_WORDS]; /* who collects, as the next */
    uint64_t told[1 + SKUA_LATE_BUCKETS]; /* of the timers' lag: LATE_NS and LATE */
};

static struct rtm_key rtm_keys[RTM_KEYS];   /* the last one: other */
static atomic_uint rtm_keys_count;          /* written under libskua's lock */
static atomic_uint rtm_moves;               /* likewise: how many runtimes were freed */
static skua_otel_runtime_metrics rtm_begun; /* the start's and the end's */
static skua_observing rtm_observing;

/* Under libskua's lock. */
static struct rtm_key *rtm_key_of(const char *name, const char *driver)
{
    unsigned count = atomic_load_explicit(&rtm_keys_count, memory_order_relaxed); /* its own lock */
    struct rtm_key *key;

    for (unsigned i = 0; i < count; i++)
        if (strcmp(rtm_keys[i].name, name) == 0 && rtm_keys[i].driver == driver)
            return &rtm_keys[i];
    if (count >= RTM_KEYS - 1)
        name = "other", driver = "other", count = RTM_KEYS - 1;
    key = &rtm_keys[count];
    if (key->driver == NULL) {
        (void)snprintf(key->name, sizeof key->name, "%s", name);
        key->driver = driver;
        /* Release: who sees the count sees the name. */
        atomic_store_explicit(&rtm_keys_count, count + 1, memory_order_release);
    }
    return key;
}

static void rtm_read(const skua_runtime_stats *stats, uint64_t words[RTM_WORDS])
{
    const skua_worker_stats *total = &stats->total;
    uint64_t threads = stats->blocking_threads, idle = stats->blocking_idle;

    words[RTM_SPAWNED_INSIDE] = total->spawns;
    words[RTM_SPAWNED_OUTSIDE] = stats->remote_spawns;
    words[RTM_POLLS] = total->polls;
    words[RTM_YIELDS] = total->budget_yields;
    words[RTM_BUSY] = total->busy_ns > 0 ? (uint64_t)total->busy_ns : 0;
    words[RTM_PARKS] = total->parks;
    words[RTM_STEALS] = total->steals;
    words[RTM_MISSES] = total->steal_misses;
    words[RTM_STOLEN] = total->stolen_tasks;
    words[RTM_INJECTED] = total->injected;
    words[RTM_OVERFLOWS] = total->overflows;
    words[RTM_FIRED] = total->timers_fired;
    words[RTM_EVENTS] = total->events;
    words[RTM_JOBS] = stats->blocking_jobs;
    words[RTM_JOBS_WAIT] = stats->blocking_wait_ns;
    words[RTM_LATE_NS] = stats->timers_late_ns;
    memcpy(&words[RTM_LATE], stats->timers_late, sizeof stats->timers_late);
    words[RTM_RUNTIMES] = 1;
    words[RTM_WORKERS] = stats->workers;
    words[RTM_ALIVE] = stats->alive_tasks;
    words[RTM_MEMORY] = stats->cells_bytes;
    words[RTM_STACKS] = stats->stacks;
    words[RTM_QUEUE_LOCAL] = total->queue_len;
    words[RTM_QUEUE_SHARED] = stats->inject_len;
    words[RTM_ARMED] = total->timers_armed;
    words[RTM_THREADS_BUSY] = threads > idle ? threads - idle : 0; /* read one after the other */
    words[RTM_THREADS_IDLE] = idle;
    words[RTM_JOBS_QUEUE] = stats->blocking_queue;
}

/* Under libskua's lock. */
static struct rtm_key *rtm_look(skua_runtime *runtime, uint64_t words[RTM_WORDS])
{
    skua_runtime_stats stats = {.size = sizeof stats};

    if (skua_runtime_snapshot(runtime, &stats, NULL, 0) < 0)
        return NULL;
    rtm_read(&stats, words);
    return rtm_key_of(stats.name, stats.driver);
}

static void rtm_visit(skua_runtime *runtime, void *arg)
{
    uint64_t words[RTM_WORDS];
    struct rtm_key *key = rtm_look(runtime, words);

    (void)arg;
    for (unsigned i = 0; key != NULL && i < RTM_WORDS; i++)
        key->now[i] += words[i];
}

/* A runtime is about to be freed: the last look. */
static void rtm_over(skua_runtime *runtime)
{
    uint64_t words[RTM_WORDS];
    struct rtm_key *key = rtm_look(runtime, words);

    for (unsigned i = 0; key != NULL && i < RTM_COUNTERS; i++)
        (void)atomic_fetch_add_explicit(&key->gone[i], words[i], memory_order_relaxed);
    /* Release: a collect that has seen this number sees what was added, and does not find the
     * runtime: the list's lock is held here. One that began before sees the number change. */
    (void)atomic_fetch_add_explicit(&rtm_moves, 1, memory_order_release);
    skua__turns_over(runtime);
}

/* Both places once; the lock between is libskua's. */
static void rtm_gather_once(void)
{
    for (unsigned k = 0; k < RTM_KEYS; k++) {
        memset(rtm_keys[k].now, 0, sizeof rtm_keys[k].now);
        for (unsigned i = 0; i < RTM_COUNTERS; i++)
            rtm_keys[k].now[i] = atomic_load_explicit(&rtm_keys[k].gone[i], memory_order_relaxed);
    }
    (void)skua_runtime_each(rtm_visit, NULL);
}

/* Every runtime in one place: where one was freed meanwhile, again. Programs that free thousands a
 * second may be told a little less once. */
static void rtm_gather(void)
{
    for (unsigned tries = 0; tries < RTM_TRIES; tries++) {
        unsigned moves = atomic_load_explicit(&rtm_moves, memory_order_acquire);

        rtm_gather_once();
        if (atomic_load_explicit(&rtm_moves, memory_order_acquire) == moves)
            return;
    }
}

/* ---- telling --------------------------------------------------------------------------------- */

/* What is new; `told` follows. */
static uint64_t rtm_new(uint64_t *told, uint64_t now)
{
    uint64_t n = now > *told ? now - *told : 0;

    *told += n;
    return n;
}

static void rtm_tell_lag(struct rtm_key *key, const skua_attr *attrs, size_t count, bool quiet)
{
    uint64_t counts[SKUA__RTM_BUCKETS] = {0};
    struct skua__metric_many many = {skua__rtm_bounds, counts, SKUA__RTM_BOUNDS, 0};
    const uint64_t *now = &key->now[RTM_LATE_NS];
    uint64_t some = 0;

    many.sum = (double)rtm_new(&key->told[0], now[0]) / 1e9;
    for (unsigned i = 0; i < SKUA_LATE_BUCKETS; i++) {
        uint64_t n = rtm_new(&key->told[1 + i], now[1 + i]);

        counts[i < 4 ? 0 : i - 3] += n; /* libskua's begin at 64 ns */
        some += n;
    }
    if (some != 0 && !quiet)
        skua__metric_put_many(&rtm_lag.instrument, attrs, count, &many);
}

static void rtm_tell(skua_observer *observer, struct rtm_key *key)
{
    skua_attr attrs[3] = {skua_attr_str("skua.runtime.name", key->name),
                          skua_attr_str("skua.driver", key->driver)};

    for (size_t i = 0; i < sizeof rtm_rows / sizeof rtm_rows[0]; i++) {
        const struct rtm_row *row = &rtm_rows[i];
        uint64_t value = key->now[row->word];
        size_t count = 2;

        if (row->key != NULL)
            attrs[count++] = skua_attr_str(row->key, row->value);
        if (row->metric->instrument.is_f64)
            skua_observe_f64_attrs(observer, row->metric, (double)value / 1e9, attrs, count);
        else
            skua_observe_attrs(observer, row->metric, (int64_t)value, attrs, count);
    }
    rtm_tell_lag(key, attrs, 2, false);
}

static void rtm_observe(skua_observer *observer, void *arg)
{
    unsigned count;

    (void)arg;
    rtm_gather();
    /* Acquire pairs with rtm_key_of: names. */
    count = atomic_load_explicit(&rtm_keys_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        rtm_tell(observer, &rtm_keys[i]);
    skua__turns_tell(observer);
}

/* ---- life ------------------------------------------------------------------------------------ */

skua_otel_runtime_metrics skua__rtm_level(skua_otel_runtime_metrics option, bool environment)
{
    static const char *const names[] = {"off", "basic", "full"};
    const char *text = environment ? getenv("SKUA_OTEL_RUNTIME") : NULL;

    if (option != SKUA_OTEL_RUNTIME_DEFAULT)
        return option;
    for (int i = 0; text != NULL && i < 3; i++)
        if (strcasecmp(text, names[i]) == 0)
            return (skua_otel_runtime_metrics)(SKUA_OTEL_RUNTIME_OFF + i);
    if (text != NULL && text[0] != '\0')
        skua__otel_warn(SKUA__WARN_CONFIG, "SKUA_OTEL_RUNTIME: \"%.64s\" is not known; basic",
                        text);
    return SKUA_OTEL_RUNTIME_BASIC;
}

void skua__rtm_begin(skua_otel_runtime_metrics level)
{
    rtm_begun = level;
    if (level == SKUA_OTEL_RUNTIME_OFF)
        return;
    if (skua_runtime_at_free(rtm_over) != 0)
        skua__otel_warn(SKUA__WARN_OTHER, "what runtimes counted is lost when they are freed");
    /* What timers did before this start is not of its histogram. */
    rtm_gather();
    for (unsigned i = 0; i < RTM_KEYS; i++)
        rtm_tell_lag(&rtm_keys[i], NULL, 0, true);
    if (level == SKUA_OTEL_RUNTIME_FULL)
        skua__turns_begin();
    (void)skua_observing_begin(&rtm_observing, rtm_observe, NULL);
    skua__channels_begin();
}

void skua__rtm_end(void)
{
    if (rtm_begun == SKUA_OTEL_RUNTIME_DEFAULT || rtm_begun == SKUA_OTEL_RUNTIME_OFF)
        return;
    skua__channels_end();
    skua_observing_end(&rtm_observing);
    if (rtm_begun == SKUA_OTEL_RUNTIME_FULL)
        skua__turns_end();
    rtm_begun = SKUA_OTEL_RUNTIME_DEFAULT;
}

void skua__rtm_forked(void)
{
    memset((void *)rtm_keys, 0, sizeof rtm_keys); /* there is one thread */
    atomic_store_explicit(&rtm_keys_count, 0, memory_order_relaxed);
    skua__turns_forked();
}

#undef RTM_BOUND
#undef RTM_COUNTER
#undef RTM_SECONDS
#undef RTM_UPDOWN
#undef RTM_KEYS
#undef RTM_TRIES
