/* bench_blocking.c - what it costs to have a job done by a thread that may block: from one thread
 * that submits, from 4 and from 16.
 *
 * blocking_{1,4,16}       ns a job that does nothing, from its submission until who waits for it
 *                         goes on. 64 are under way at any time: 64, 16, 4 by each thread. The pool
 *                         has 4 threads. Who submits is a fiber that waits for its job, on a worker
 *                         that is a thread of its own (on a plain thread skua_blocking is a call)
 * blocking_{1,4,16}_raw   the same with plain threads and a pool with one lock, one condition and
 *                         one line, as one writes it; a job that has ended is in a line of the
 *                         thread that submitted it, which submits the next one
 * blocking_{1,4,16}_uv    the same with uv_queue_work, a loop for each thread, when libuv is there
 * blocking_…_of_{raw,uv}  how much of the other's rate it is
 * blocking_flat           the rate at 16 threads by that at 1; _raw, _uv: theirs
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <skua/skua.h>
#ifdef METER_WITH_UV
#include <uv.h>
#endif

#include "meter_server.h"
#include "meter_versus.h"

enum { BATCH = 1024, WINDOW = 64, POOL = 4, SUBMITTERS_MAX = 16 };

static int nothing(void *arg)
{
    return arg != NULL;
}

/* ---- ours ------------------------------------------------------------------------------------ */

struct ours {
    skua_runtime *runtime;
    unsigned submitters;
    uint64_t each; /* jobs of a fiber */
    int64_t took_ns;
};

static int submits(void *arg)
{
    const struct ours *ours = arg;

    for (uint64_t i = 0; i < ours->each; i++)
        meter_must(skua_blocking(nothing, NULL), "blocking");
    return 0;
}

static int ours_all(void *arg)
{
    struct ours *ours = arg;
    int64_t start = meter_now_ns();
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (unsigned i = 0; i < WINDOW; i++)
        meter_must(skua_spawn(&scope, submits, ours, .worker = SKUA_WORKER(i % ours->submitters)),
                   "spawn");
    meter_must(skua_scope_join(&scope), "join");
    ours->took_ns = meter_now_ns() - start;
    return 0;
}

static int64_t work_ours(uint64_t repeats, void *arg)
{
    struct ours *ours = arg;

    ours->each = repeats * BATCH / WINDOW;
    meter_must(skua_block_on(ours->runtime, ours_all, ours, NULL), "block_on");
    return ours->took_ns;
}

static void ours_begin(struct ours *ours, unsigned submitters)
{
    ours->submitters = submitters;
    meter_must(
        skua_runtime_new(&ours->runtime,
                         SKUA_RUNTIME_OPTIONS(.kind = SKUA_THREAD_PER_CORE,
                                              .placement = SKUA_PLACE_ANYWHERE,
                                              .workers = submitters, .blocking_threads = POOL)),
        "new");
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct raw_job {
    struct raw_job *next; /* lock: of the line that it is in */
    struct raw_thread *owner;
    skua_fiber_fn fn;
    void *arg;
};

struct raw_line {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct raw_job *first; /* lock, as the next two */
    struct raw_job **last;
    bool ends;
};

struct raw_thread {
    struct raw_line ended;
    pthread_t handle;
    unsigned window;
    uint64_t jobs;
    struct raw_job room[WINDOW];
};

struct raw {
    unsigned submitters;
};

static struct raw_line raw_pool;

static void raw_line_init(struct raw_line *line)
{
    pthread_mutex_init(&line->lock, NULL);
    pthread_cond_init(&line->cond, NULL);
    line->first = NULL;
    line->last = &line->first;
    line->ends = false;
}

static void raw_push(struct raw_line *line, struct raw_job *job)
{
    pthread_mutex_lock(&line->lock);
    job->next = NULL;
    *line->last = job;
    line->last = &job->next;
    pthread_cond_signal(&line->cond);
    pthread_mutex_unlock(&line->lock);
}

/* One, or all that are there; NULL: the line ends. */
static struct raw_job *raw_take(struct raw_line *line, bool all)
{
    struct raw_job *job;

    pthread_mutex_lock(&line->lock);
    while (line->first == NULL && !line->ends)
        pthread_cond_wait(&line->cond, &line->lock);
    job = line->first;
    if (job != NULL)
        line->first = all ? NULL : job->next;
    if (line->first == NULL)
        line->last = &line->first;
    pthread_mutex_unlock(&line->lock);
    return job;
}

static void *raw_runs(void *arg)
{
    struct raw_job *job;

    while ((job = raw_take(&raw_pool, false)) != NULL) {
        job->fn(job->arg);
        raw_push(&job->owner->ended, job);
    }
    return arg;
}

static void *raw_submits(void *arg)
{
    struct raw_thread *self = arg;
    uint64_t submitted = 0;
    uint64_t ended = 0;

    for (; submitted < self->window; submitted++)
        raw_push(&raw_pool, &self->room[submitted]);
    while (ended < self->jobs)
        for (struct raw_job *job = raw_take(&self->ended, true), *next; job != NULL; job = next) {
            next = job->next;
            ended++;
            if (submitted < self->jobs) {
                submitted++;
                raw_push(&raw_pool, job);
            }
        }
    return NULL;
}

static void raw_start(pthread_t *handle, void *(*fn)(void *), void *arg)
{
    int rc = pthread_create(handle, NULL, fn, arg);

    if (rc != 0)
        meter_die("pthread_create", rc);
}

static int64_t work_raw(uint64_t repeats, void *arg)
{
    static struct raw_thread threads[SUBMITTERS_MAX];
    const struct raw *raw = arg;
    int64_t start = meter_now_ns();

    for (unsigned i = 0; i < raw->submitters; i++) {
        struct raw_thread *thread = &threads[i];

        raw_line_init(&thread->ended);
        thread->window = WINDOW / raw->submitters;
        thread->jobs = repeats * BATCH / raw->submitters;
        for (unsigned k = 0; k < thread->window; k++)
            thread->room[k] = (struct raw_job){.owner = thread, .fn = nothing};
        raw_start(&thread->handle, raw_submits, thread);
    }
    for (unsigned i = 0; i < raw->submitters; i++)
        pthread_join(threads[i].handle, NULL);
    return meter_now_ns() - start;
}

static void raw_begin(pthread_t *handles)
{
    raw_line_init(&raw_pool);
    for (unsigned i = 0; i < POOL; i++)
        raw_start(&handles[i], raw_runs, NULL);
}

static void raw_end(const pthread_t *handles)
{
    pthread_mutex_lock(&raw_pool.lock);
    raw_pool.ends = true;
    pthread_cond_broadcast(&raw_pool.cond);
    pthread_mutex_unlock(&raw_pool.lock);
    for (unsigned i = 0; i < POOL; i++)
        pthread_join(handles[i], NULL);
}

/* ---- libuv ----------------------------------------------------------------------------------- */

#ifdef METER_WITH_UV
struct uv_thread {
    uv_loop_t loop;
    pthread_t handle;
    unsigned window;
    uint64_t left; /* to be submitted */
    uv_work_t room[WINDOW];
};

static void uv_runs(uv_work_t *work)
{
    (void)nothing(work->data == work ? work : NULL);
}

static void uv_ended(uv_work_t *work, int status)
{
    struct uv_thread *self = work->data;

    meter_must(status, "uv");
    if (self->left == 0)
        return;
    self->left--;
    meter_must(uv_queue_work(&self->loop, work, uv_runs, uv_ended), "uv_queue_work");
}

static void *uv_submits(void *arg)
{
    struct uv_thread *self = arg;

    meter_must(uv_loop_init(&self->loop), "uv_loop_init");
    for (unsigned i = 0; i < self->window; i++) {
        self->room[i].data = self;
        uv_ended(&self->room[i], 0);
    }
    meter_must(uv_run(&self->loop, UV_RUN_DEFAULT), "uv_run");
    meter_must(uv_loop_close(&self->loop), "uv_loop_close");
    return NULL;
}

/* Its pool has 4 threads, too, if the environment does not say otherwise. */
static int64_t work_uv(uint64_t repeats, void *arg)
{
    static struct uv_thread threads[SUBMITTERS_MAX];
    const struct raw *raw = arg;
    int64_t start = meter_now_ns();

    for (unsigned i = 0; i < raw->submitters; i++) {
        threads[i].window = WINDOW / raw->submitters;
        threads[i].left = repeats * BATCH / raw->submitters;
        raw_start(&threads[i].handle, uv_submits, &threads[i]);
    }
    for (unsigned i = 0; i < raw->submitters; i++)
        pthread_join(threads[i].handle, NULL);
    return meter_now_ns() - start;
}
#endif

/* ---- running --------------------------------------------------------------------------------- */

#define OURS(n)                                                                                    \
    {                                                                                              \
        "blocking_" #n, work_ours, &ours_##n                                                       \
    }
#define RAW(n)                                                                                     \
    {                                                                                              \
        "blocking_" #n "_raw", work_raw, &raw_##n                                                  \
    }
#define UV(n)                                                                                      \
    {                                                                                              \
        "blocking_" #n "_uv", work_uv, &raw_##n                                                    \
    }

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    static struct ours ours_1, ours_4, ours_16;
    static struct raw raw_1 = {1}, raw_4 = {4}, raw_16 = {16};
    static const struct meter_rival rivals[] = {
        OURS(1), OURS(4), OURS(16), RAW(1), RAW(4), RAW(16),
#ifdef METER_WITH_UV
        UV(1),   UV(4),   UV(16),
#endif
    };
    static const struct meter_ratio ratios[] = {
        {"blocking_1_of_raw", 3, 0}, {"blocking_4_of_raw", 4, 1}, {"blocking_16_of_raw", 5, 2},
        {"blocking_flat", 0, 2},     {"blocking_flat_raw", 3, 5},
#ifdef METER_WITH_UV
        {"blocking_1_of_uv", 6, 0},  {"blocking_4_of_uv", 7, 1},  {"blocking_16_of_uv", 8, 2},
        {"blocking_flat_uv", 6, 8},
#endif
    };
    pthread_t pool[POOL];

    meter_bench_begin(&bench, argc, argv);
    ours_begin(&ours_1, 1);
    ours_begin(&ours_4, 4);
    ours_begin(&ours_16, 16);
    raw_begin(pool);
    meter_versus_run(&bench, BATCH, rivals, sizeof rivals / sizeof *rivals, ratios,
                     sizeof ratios / sizeof *ratios);
    raw_end(pool);
    meter_must(skua_runtime_free(ours_1.runtime), "free");
    meter_must(skua_runtime_free(ours_4.runtime), "free");
    meter_must(skua_runtime_free(ours_16.runtime), "free");
    return meter_bench_end(&bench);
}
