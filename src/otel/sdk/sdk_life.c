/* sdk_life.c - started, flushed, shut down, and forked.
 *
 *   idle -> starting -> running -> stopping -> idle
 *                          \-> (fork, in the child) forked -> starting, at the first span's end
 *
 * The mutex is held for a few instructions; who waits does so for an event, so that a worker is
 * never blocked. The thread that has stopped makes the state idle itself: so it is, however long
 * those who asked for it have waited.
 *
 * Exit       atexit comes before static destructors of what was loaded earlier; nothing here needs
 *            one, and all that a late span may touch is there for ever.
 * Fork       handlers (at the end) hold the mutexes over it, before libskua's locks, which are
 *            taken under the mutexes. The child's state is `forked`: its pipe is the parent's, and
 *            forgotten. Spans go on into new rings; the first that ends, the first record or value
 *            of a metric makes the thread, and the first span that begins, if a collector rules the
 *            sampler.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <skua/runtime.h>
#include <skua/time.h>

#include "otel/bridge/bridge_op.h"
#include "otel/sdk/sdk_impl.h"

enum life_state { LIFE_IDLE, LIFE_STARTING, LIFE_RUNNING, LIFE_STOPPING, LIFE_FORKED };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t over; /* it is idle again */
    /* guard: mutex, from here */
    enum life_state state;
    struct skua__sdk *last;      /* the newest start */
    struct skua__pipe *pipe;     /* RUNNING */
    struct skua__pipe_ask *stop; /* STOPPING; a reference of the state's */
    bool registered;             /* with atexit and for forks */
} life = {.mutex = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

/* What spans follow when telemetry is off: those that end late are counted. */
static void life_nothing(void)
{
}

static const struct skua__trace_sdk life_closed = {.closed = true, .filled = life_nothing};
static const struct skua__log_sdk life_log_closed = {.closed = true, .filled = life_nothing};

static void life_set(enum life_state state, struct skua__pipe *pipe)
{
    pthread_mutex_lock(&life.mutex);
    life.state = state;
    life.pipe = pipe;
    pthread_mutex_unlock(&life.mutex);
}

struct skua__sdk *skua__sdk_last(void)
{
    struct skua__sdk *last;

    pthread_mutex_lock(&life.mutex);
    last = life.last;
    pthread_mutex_unlock(&life.mutex);
    return last;
}

/* ---- over ------------------------------------------------------------------------------------ */

/* On telemetry's thread, at its end. */
void skua__sdk_over(struct skua__pipe_ask *stop, void *arg)
{
    skua__sdk_metrics_stop(arg);
    skua__sdk_free_exporters(arg);
    pthread_mutex_lock(&life.mutex);
    life.state = LIFE_IDLE;
    life.stop = NULL;
    pthread_cond_broadcast(&life.over);
    pthread_mutex_unlock(&life.mutex);
    skua_event_set(&stop->done);
    skua__pipe_ask_unref(stop); /* the state's */
    skua__pipe_ask_unref(stop); /* the pipe's */
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Waits for the end of a shutdown, as a thread. */
static void life_block(int64_t timeout)
{
    int64_t until = skua__otel_after(skua__otel_now(), timeout);
    struct timespec when = {.tv_sec = (time_t)(until / 1000000000),
                            .tv_nsec = (long)(until % 1000000000)};
    int rc = 0;

    pthread_mutex_lock(&life.mutex);
    while (life.state == LIFE_STOPPING && rc == 0)
        rc = pthread_cond_timedwait(&life.over, &life.mutex, &when);
    pthread_mutex_unlock(&life.mutex);
}

static void life_at_exit(void)
{
    struct skua__sdk *sdk = skua__sdk_last();

    if (sdk == NULL || sdk->exit_timeout < 0 || skua__pipe_here())
        return;
    /* A poll task that calls exit may not wait as a task: its thread does. */
    if (skua_otel_shutdown(skua__otel_after(skua_now(), sdk->exit_timeout)) == SKUA_EUSAGE)
        life_block(sdk->exit_timeout);
}

static void life_fork_prepare(void);
static void life_fork_parent(void);
static void life_fork_child(void);

/* Once. 0, -EBUSY: it is not idle; -ENOMEM. */
static int life_begin(void)
{
    int rc = 0;

    /* Has libskua's handlers registered first: so a fork takes its locks behind this mutex, as
     * life_close does, and they are free again when life_fork_child closes. */
    (void)skua_runtime_each(NULL, NULL);
    pthread_mutex_lock(&life.mutex);
    if (life.state != LIFE_IDLE)
        rc = -EBUSY;
    if (rc == 0 && !life.registered) {
        if (pthread_atfork(life_fork_prepare, life_fork_parent, life_fork_child) != 0 ||
            atexit(life_at_exit) != 0)
            rc = -ENOMEM;
        life.registered = rc == 0;
    }
    if (rc == 0)
        life.state = LIFE_STARTING;
    pthread_mutex_unlock(&life.mutex);
    return rc;
}

/* Whether anybody would get what is made. Nobody: log records are not made, of spans only what
 * others need: their contexts. */
static bool life_heard(const struct skua__sdk *sdk, skua_otel_signal signal)
{
    for (size_t i = 0; i < sdk->dests_count; i++)
        if (sdk->dests[i].signal == signal)
            return true;
    return sdk->processors_count != 0;
}

/* Its thread, and then spans are on. */
static int life_run(struct skua__sdk *sdk)
{
    struct skua__pipe *pipe;
    int rc;

    sdk->trace.unheard = sdk->trace_forked.unheard = !life_heard(sdk, SKUA_OTEL_TRACES);
    skua__otel_clock_init();
    rc = skua__sdk_metrics_start(sdk);
    if (rc == 0)
        rc = skua__sdk_pipe(sdk, &pipe);
    if (rc != 0) {
        skua__sdk_metrics_stop(sdk);
        return rc;
    }
    pthread_mutex_lock(&life.mutex);
    sdk->before = life.last;
    life.last = sdk;
    life.state = LIFE_RUNNING;
    life.pipe = pipe;
    pthread_mutex_unlock(&life.mutex);
    skua__trace_use(&sdk->trace);
    skua__log_use(&sdk->log);
    return 0;
}

/* It is disabled: nothing of it is there, but propagators. */
static int life_disabled(struct skua__sdk *sdk)
{
    skua__sdk_free_exporters(sdk);
    sdk->made = false; /* they are freed */
    skua__otel_warn_to(NULL, NULL);
    skua__sdk_free(sdk, NULL);
    life_set(LIFE_IDLE, NULL);
    return 0;
}

int skua_otel_start(const skua_otel_options *options)
{
    struct skua__sdk *sdk;
    int rc = life_begin();

    if (rc != 0)
        return rc;
    /* Another's table is in force: it stays. */
    rc = skua_trace_installed() != NULL || skua_log_installed() != NULL ||
                 skua_metric_installed() != NULL
             ? -EBUSY
             : skua__sdk_new(&sdk, options);
    if (rc == 0 && sdk->config->disabled)
        return life_disabled(sdk);
    if (rc == 0) {
        rc = life_run(sdk);
        if (rc != 0)
            skua__sdk_free(sdk, options);
    }
    if (rc != 0)
        life_set(LIFE_IDLE, NULL);
    if (rc == 0) {
        (void)skua_trace_install(&skua__trace_ops);
        if (life_heard(sdk, SKUA_OTEL_LOGS))
            (void)skua_log_install(&skua__log_ops);
        skua__sdk_tasks_begin(sdk);
        if (sdk->metrics_on || sdk->operations == SKUA_OTEL_OPERATIONS_ALL)
            skua__bridge_ops_start(sdk->operations);
    }
    return rc;
}

/* ---- flush, shutdown ------------------------------------------------------------------------- */

/* Waits for an answer; lets go of the ask. */
static int life_wait(struct skua__pipe_ask *ask, int64_t deadline)
{
    int rc = skua_event_wait_until(&ask->done, deadline);

    if (rc == 0)
        rc = ask->result;
    skua__pipe_ask_unref(ask);
    return rc;
}

int skua_otel_flush(int64_t deadline)
{
    struct skua__pipe_ask *ask = skua__pipe_ask_new(SKUA__PIPE_FLUSH);
    bool running;

    if (ask == NULL)
        return -ENOMEM;
    if (skua__pipe_here()) {
        skua__pipe_ask_unref(ask);
        return SKUA_EUSAGE;
    }
    pthread_mutex_lock(&life.mutex);
    running = life.state == LIFE_RUNNING;
    if (running)
        skua__pipe_ask(life.pipe, skua__pipe_ask_ref(ask), deadline);
    pthread_mutex_unlock(&life.mutex);
    if (running)
        return life_wait(ask, deadline);
    skua__pipe_ask_unref(ask);
    return 0;
}

/* In the child of a fork: what else is to make its thread, but spans and records; NULL: nothing. A
 * sampler that a collector rules may drop all spans, and must ask whether it still shall. */
static void life_attach(struct skua__sdk *sdk, void (*fn)(void))
{
    atomic_store_explicit(&skua__metric_attached, fn, memory_order_relaxed);
    for (size_t i = 0; i < sdk->remotes_count; i++)
        atomic_store_explicit(&sdk->remotes[i]->attached, fn, memory_order_relaxed);
}

/* Under the mutex: nothing new comes from here on. */
static void life_close(void)
{
    skua__sdk_tasks_end();
    (void)skua_trace_install(NULL);
    (void)skua_log_install(NULL);
    skua__trace_use(&life_closed);
    skua__log_use(&life_log_closed);
}

int skua_otel_shutdown(int64_t deadline)
{
    struct skua__pipe_ask *ask = NULL;
    struct skua__sdk *forked = NULL;

    if (skua__pipe_here())
        return SKUA_EUSAGE;
    skua__bridge_ops_stop();
    pthread_mutex_lock(&life.mutex);
    if (life.state == LIFE_RUNNING) {
        life_close();
        life.state = LIFE_STOPPING;
        life.stop = life.last->stop;
        life.last->stop = NULL;
        skua__pipe_ask(life.pipe, skua__pipe_ask_ref(life.stop), deadline);
        life.pipe = NULL;
    } else if (life.state == LIFE_FORKED) {
        life_close();
        life.state = LIFE_IDLE; /* exporters are left as the parent's: they have done nothing */
        forked = life.last;
        life_attach(forked, NULL);
    }
    if (life.state == LIFE_STOPPING)
        ask = skua__pipe_ask_ref(life.stop);
    pthread_mutex_unlock(&life.mutex);
    if (forked != NULL)
        skua__sdk_metrics_stop(forked);
    return ask != NULL ? life_wait(ask, deadline) : 0;
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* In the child, at the end of a span, a record, the first value: its thread is made. */
static void life_restart(void)
{
    struct skua__sdk *sdk = NULL;
    struct skua__pipe *pipe = NULL;
    int rc;

    pthread_mutex_lock(&life.mutex);
    if (life.state == LIFE_FORKED) {
        life.state = LIFE_STARTING;
        sdk = life.last;
    }
    pthread_mutex_unlock(&life.mutex);
    if (sdk == NULL)
        return;
    life_attach(sdk, NULL);
    skua__sdk_resource_forked(sdk);
    memset(sdk->counts, 0, sdk->dests_count * sizeof *sdk->counts);
    if (sdk->stop == NULL)
        sdk->stop = skua__pipe_ask_new(SKUA__PIPE_STOP);
    rc = sdk->stop != NULL ? skua__sdk_pipe(sdk, &pipe) : -ENOMEM;
    if (rc != 0) {
        life_set(LIFE_IDLE, NULL);
        skua__sdk_tasks_end();
        (void)skua_trace_install(NULL);
        (void)skua_log_install(NULL);
        skua__sdk_metrics_stop(sdk);
        skua__otel_warn(SKUA__WARN_OTHER, "it is off in the child of a fork: %s",
                        skua_strerror(rc));
        return;
    }
    skua__trace_use(&sdk->trace);
    skua__log_use(&sdk->log);
    life_set(LIFE_RUNNING, pipe);
    skua__pipe_wake();
}

static void life_fork_prepare(void)
{
    pthread_mutex_lock(&life.mutex);
    skua__otel_warn_lock();
    skua__otel_threads_lock();
}

static void life_fork_parent(void)
{
    skua__otel_threads_unlock();
    skua__otel_warn_unlock();
    pthread_mutex_unlock(&life.mutex);
}

static void life_fork_exporters(struct skua__sdk *sdk)
{
    for (size_t i = 0; i < sdk->dests_count; i++) {
        skua_otel_exporter *exporter = sdk->dests[i].exporter;

        if (exporter->ops->forked != NULL)
            exporter->ops->forked(exporter);
    }
}

static void life_fork_child(void)
{
    skua__otel_threads_forget();
    skua__otel_threads_unlock();
    skua__otel_warn_unlock();
    skua__pipe_forget();
    life.over = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    skua__metric_forked();
    skua__rtm_forked();
    if (life.state == LIFE_RUNNING) {
        life.state = LIFE_FORKED;
        life.last->trace_forked.filled = life_restart;
        skua__trace_use(&life.last->trace_forked);
        life.last->log_forked.filled = life_restart;
        life_attach(life.last, life_restart);
        skua__log_use(&life.last->log_forked);
        life_fork_exporters(life.last);
    } else if (life.state != LIFE_FORKED && life.state != LIFE_IDLE) {
        life.state = LIFE_IDLE; /* who was about it is not here */
        life_close();
        skua__sdk_metrics_drop();
    }
    life.pipe = NULL;
    life.stop = NULL;
    pthread_mutex_unlock(&life.mutex);
}
