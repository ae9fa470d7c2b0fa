/* test_model_block.c - block_pool.c: no job stays in line while a thread sleeps, or could be there.
 *
 * The pool as it is; a job's run, the futex and the start of a thread are stand-ins. A case ends
 * when everybody sleeps. Then each job has run, or was refused, once, and all that is counted is
 * what it is. Jobs may rely on each other: one ends when another one runs, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model_atomic.h"
#include "model_stand.h"

#include "block/block_impl.h"

/* Who yields goes on when another one has done something, or nobody else can. */
#define skua__os_thread_yield model_pause
#define skua__os_now block_now
static int64_t block_now(void);
#include "block/block_pool.c"
#undef skua__os_thread_yield
#undef skua__os_now

#define JOBS 3
#define STEP (15 * SKUA_MICROSECOND) /* of the clock, each time: a spin is two looks, and pays */

static struct skua__pool pool;
static struct skua__job jobs[JOBS];
static struct skua__thread submitter[MODEL_THREADS];
static struct model_bell met[2]; /* jobs 0 and 1 meet */
static struct model_bell began;  /* job 0 runs */
static bool meeting;
static bool stopped;
static unsigned spinner; /* a thread that has slept for a short time */
static unsigned submitted[JOBS];
static unsigned ran[JOBS];
static unsigned refused[JOBS];
static int64_t now;
static bool impatient; /* nobody sleeps: keep_alive is over */
static unsigned startable;

/* ---- stand-ins ------------------------------------------------------------------------------- */

MODEL_UNSEEN static int64_t block_now(void)
{
    return now += STEP;
}

/* Threads of the model that are the pool's: they begin when they are started. */
static struct model_bell begins[MODEL_THREADS];
static unsigned first_thread; /* the pool's are behind the submitters */
static unsigned started;

MODEL_UNSEEN static unsigned next_thread(void)
{
    return started < startable ? first_thread + started++ : 0;
}

int skua__thread_start(const char *name, void (*fn)(void *arg), void *arg)
{
    unsigned index;

    (void)name;
    (void)fn;
    (void)arg;
    model_point();
    index = next_thread();
    if (index == 0)
        return -EAGAIN;
    model_ring(&begins[index]);
    return 0;
}

/* The kernel's: who finds the value queues up in the same moment. */
static struct model_bell futexes[MODEL_THREADS];
static const void *asleep_on[MODEL_THREADS];

MODEL_UNSEEN static void futex_queue(const void *word)
{
    asleep_on[model_self()] = word;
}

MODEL_UNSEEN static int futex_unqueue(const void *word)
{
    for (int i = 0; i < MODEL_THREADS; i++)
        if (asleep_on[i] == word) {
            asleep_on[i] = NULL;
            return i;
        }
    return -1;
}

int skua__os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    (void)deadline;
    if (skua__or_acq_rel(word, 0u) != value)
        return -EAGAIN;
    if (impatient)
        return -ETIMEDOUT;
    futex_queue(word);
    model_sleep(&futexes[model_self()]);
    return 0;
}

void skua__os_futex_wake(_Atomic uint32_t *word, int count)
{
    int index;

    model_point();
    for (; count > 0 && (index = futex_unqueue(word)) >= 0; count--)
        model_ring(&futexes[index]);
}

MODEL_UNSEEN static unsigned count_up(unsigned *count)
{
    return ++*count;
}

void skua__job_run(struct skua__job *job)
{
    ptrdiff_t index = job - jobs;

    model_use(job);
    model_check(count_up(&ran[index]) == 1);
    if (meeting && index < 2) {
        if (index == 0)
            model_ring(&began);
        model_ring(&met[index]);
        model_sleep(&met[1 - index]);
    }
}

void skua__job_refuse(struct skua__job *job)
{
    model_use(job);
    model_check(count_up(&refused[job - jobs]) == 1);
}

void *skua__os_alloc_aligned(size_t size, size_t align)
{
    (void)size;
    (void)align;
    model_fail(__func__);
    __builtin_trap();
}

void skua__os_free(void *ptr)
{
    (void)ptr;
    model_fail(__func__);
}

/* ---- a pool ---------------------------------------------------------------------------------- */

static void pool_begin(unsigned submitters, unsigned most)
{
    memset(&pool, 0, sizeof pool);
    memset(jobs, 0, sizeof jobs);
    memset(submitter, 0, sizeof submitter);
    memset(met, 0, sizeof met);
    memset(&began, 0, sizeof began);
    memset(submitted, 0, sizeof submitted);
    memset(ran, 0, sizeof ran);
    memset(refused, 0, sizeof refused);
    memset(begins, 0, sizeof begins);
    memset(futexes, 0, sizeof futexes);
    memset(asleep_on, 0, sizeof asleep_on);
    meeting = false;
    stopped = false;
    spinner = MODEL_THREADS;
    impatient = false;
    now = 0;
    started = 0;
    first_thread = submitters;
    startable = MODEL_THREADS - submitters;
    for (unsigned i = 0; i < 16; i++)
        skua__list_init(&pool.shards[i].jobs);
    skua__store_relaxed(&pool.refs, 1);
    pool.most = most;
    pool.keep_alive = INT64_MAX;
}

/* `count` threads are about to look for work for the first time. */
static void pool_threads(unsigned count)
{
    skua__store_relaxed(&pool.threads, count);
    skua__store_relaxed(&pool.coming, count);
    skua__store_relaxed(&pool.refs, 1 + count);
    for (started = 0; started < count; started++)
        begins[first_thread + started].rung = 1;
}

static void submits(unsigned index)
{
    int rc;

    submitted[index] = 1;
    rc = skua__pool_submit(&pool, &submitter[model_self()], &jobs[index]);
    if (rc != 0)
        count_up(&refused[index]);
}

static void submits_0(void)
{
    submits(0);
}

static void submits_1(void)
{
    submits(1);
}

static void submits_two(void)
{
    submits(0);
    submits(1);
}

static void submits_three(void)
{
    submits_two();
    submits(2);
}

static void submits_one_later(void)
{
    submits(0);
    model_sleep(&began);
    submits(1);
}

static void pool_thread(void)
{
    model_sleep(&begins[model_self()]);
    block_thread(&pool);
}

/* One that has looked for work already. */
static void pool_thread_idles(void)
{
    bool spins = spinner == (unsigned)model_self();

    if (block_idle(&pool, &spins))
        block_thread(&pool);
}

static void ended(void)
{
    uint32_t threads = skua__load_relaxed(&pool.threads);

    for (unsigned i = 0; i < JOBS; i++)
        model_check(ran[i] + refused[i] == submitted[i]);
    model_check(skua__load_relaxed(&pool.queued) == 0);
    model_check(skua__load_relaxed(&pool.lines) == 0);
    model_check(skua__load_relaxed(&pool.coming) == 0);
    model_check(skua__load_relaxed(&pool.spinning) == 0);
    model_check((skua__load_relaxed(&pool.tokens) & 0x7fffffffu) == 0);
    model_check(skua__load_relaxed(&pool.idle) == threads);
    model_check(skua__load_relaxed(&pool.refs) == threads + 1);
}

static void ended_all_ran(void)
{
    for (unsigned i = 0; i < JOBS; i++)
        model_check(ran[i] == submitted[i]);
    ended();
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void begin_new(void)
{
    pool_begin(1, 2);
}

static void begin_new_three(void)
{
    pool_begin(1, 3);
}

static void test_new(void **state)
{
    struct model_case burst = {.name = "two jobs, no thread yet",
                               .begin = begin_new,
                               .thread = {submits_two, pool_thread, pool_thread},
                               .end = ended_all_ran,
                               .sleep_ends = true,
                               .preemptions = 2,
                               .stale = 1};

    (void)state;
    model_pass(&burst);
    burst.name = "three jobs, no thread yet";
    burst.begin = begin_new_three;
    burst.thread[0] = submits_three;
    burst.thread[3] = pool_thread;
    burst.preemptions = 1;
    model_pass(&burst);
}

/* Each job needs a thread of its own: who is called and does not come is missed. */
static void begin_meeting(void)
{
    pool_begin(1, 2);
    pool_threads(2);
    meeting = true;
}

static void begin_meeting_idle(void)
{
    begin_meeting();
    skua__store_relaxed(&pool.coming, 0);
}

static void test_called(void **state)
{
    struct model_case meet = {.name = "two jobs that meet, the second one later",
                              .begin = begin_meeting_idle,
                              .thread = {submits_one_later, pool_thread_idles, pool_thread_idles},
                              .end = ended_all_ran,
                              .sleep_ends = true,
                              .preemptions = 3,
                              .stale = 1};

    (void)state;
    model_pass(&meet);
    meet.name = "two jobs that meet";
    meet.begin = begin_meeting;
    meet.thread[0] = submits_two;
    meet.thread[1] = meet.thread[2] = pool_thread;
    meet.preemptions = 1;
    model_pass(&meet);
}

/* A thread that spins: three jobs one after the other, so that it has slept before, shortly. */
static void begin_one_thread(void)
{
    pool_begin(1, 2);
    pool_threads(1);
}

static void begin_spinner(void)
{
    pool_begin(2, 2);
    pool_threads(2);
    skua__store_relaxed(&pool.coming, 0);
    meeting = true;
    spinner = 2;
}

static void test_spin(void **state)
{
    struct model_case spin = {.name = "three jobs, a thread, and one more if need be",
                              .begin = begin_one_thread,
                              .thread = {submits_three, pool_thread, pool_thread},
                              .end = ended_all_ran,
                              .sleep_ends = true,
                              .preemptions = 1,
                              .stale = 1};

    (void)state;
    model_pass(&spin);
    spin.name = "two jobs from two, one who spins and one who sleeps";
    spin.begin = begin_spinner;
    spin.thread[0] = submits_0;
    spin.thread[1] = submits_1;
    spin.thread[2] = spin.thread[3] = pool_thread_idles;
    spin.preemptions = 2;
    model_pass(&spin);
}

/* Threads that do not stay, and others come in their place. */
static void begin_leaving(void)
{
    pool_begin(1, 1);
    pool_threads(1);
    impatient = true;
}

static void test_leaves(void **state)
{
    struct model_case leaves = {.name = "two jobs, and threads that leave",
                                .begin = begin_leaving,
                                .thread = {submits_two, pool_thread, pool_thread, pool_thread},
                                .end = ended_all_ran,
                                .sleep_ends = true,
                                .preemptions = 3,
                                .stale = 1};

    (void)state;
    model_pass(&leaves);
}

/* No thread can be started. */
static void begin_in_vain(void)
{
    pool_begin(2, 1);
    startable = 0;
}

static void begin_in_vain_and_leaving(void)
{
    pool_begin(2, 2);
    pool_threads(1);
    startable = 1;
    impatient = true;
}

static void test_refused(void **state)
{
    struct model_case vain = {.name = "two jobs, and no thread can be started",
                              .begin = begin_in_vain,
                              .thread = {submits_0, submits_1},
                              .end = ended,
                              .sleep_ends = true};

    (void)state;
    model_pass(&vain);
    vain.name = "two jobs, a thread that leaves, and no other";
    vain.begin = begin_in_vain_and_leaving;
    vain.thread[2] = pool_thread;
    vain.preemptions = 1;
    vain.stale = 1;
    model_pass(&vain);
}

/* The end, while threads look, spin, or are called. */
static void stops(void)
{
    submits(0);
    model_check(skua__pool_stop(&pool, INT64_MAX) == 0);
    stopped = true;
}

static void begin_stop(void)
{
    pool_begin(1, 2);
    pool_threads(2);
    skua__store_relaxed(&pool.refs, 4);
}

static void ended_stopped(void)
{
    model_check(stopped && ran[0] == 1);
    model_check(skua__load_relaxed(&pool.threads) == 0);
    model_check(skua__load_relaxed(&pool.refs) == 1); /* the test's */
    model_check(skua__load_relaxed(&pool.idle) == 0);
}

static void test_stop(void **state)
{
    struct model_case stop = {.name = "a job, and the end",
                              .begin = begin_stop,
                              .thread = {stops, pool_thread, pool_thread, pool_thread},
                              .end = ended_stopped,
                              .sleep_ends = true,
                              .preemptions = 1,
                              .stale = 1};

    (void)state;
    model_pass(&stop);
}

int main(void)
{
    const struct CMUnitTest tests_[] = {
        cmocka_unit_test(test_new),    cmocka_unit_test(test_called),  cmocka_unit_test(test_spin),
        cmocka_unit_test(test_leaves), cmocka_unit_test(test_refused), cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests_, NULL, NULL);
}
