/* test_model_parking.c - sched_idle.c and its neighbours: nobody sleeps while work is queued.
 *
 * The whole of sched/ runs here, loop and all; only a task's turn and the driver are stand-ins. A
 * case ends when every worker sleeps and nobody else has anything to do. Then each task has run
 * exactly once, or a wake was lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model_atomic.h"
#include "model_stand.h"

#include "sched/sched_idle.c"
#include "sched/sched_policy.c"
#include "sched/sched_queue.c"
#include "sched/sched_steal.c"
#include "sched/sched_worker.c"

#define WORKERS 3
#define TASKS 4
#define ARENA 4096
_Static_assert(sizeof(struct skua__core) <= ARENA / 2, "the core has its half");

static struct skua__core *core; /* at the arena's start, as in a runtime */
static struct skua__sched sched;
static struct skua__worker workers[WORKERS];
static struct skua__worker *worker_list[WORKERS] = {&workers[0], &workers[1], &workers[2]};
static uint16_t sleepers[WORKERS];
static struct model_bell doorbells[WORKERS];
static struct skua__thread outside; /* a plain thread */
static struct skua_task *tasks;
static unsigned ran[TASKS];
static unsigned ended[TASKS];
static unsigned made[TASKS];
static unsigned restless[MODEL_THREADS]; /* turns of the loop without task or sleep, in a row */
static bool meeting;                     /* tasks 0 and 1 each end when the other one runs, too */
static struct model_bell meet[2];
static struct skua_task *next_made; /* what the first turn of a task makes, once */

/* ---- stand-ins ------------------------------------------------------------------------------- */

static int park_turn(struct skua__driver *driver, int64_t timeout_ns)
{
    struct model_bell *doorbell = (struct model_bell *)(void *)driver;

    if (timeout_ns != 0) {
        model_sleep(doorbell);
        restless[model_self()] = 0;
    } else {
        model_hear(doorbell);
    }
    return 0;
}

static void park_unpark(struct skua__driver *driver)
{
    model_ring((struct model_bell *)(void *)driver);
}

static const struct skua__park_ops park = {
    .name = "model", .turn = park_turn, .unpark = park_unpark};

/* Queues task `index` from `self`: bound to `owner`, or (-1) to nobody. */
static void make(struct skua__thread *self, unsigned index, int owner)
{
    struct skua_task *task = &tasks[index];

    model_use(task);
    made[index]++;
    if (owner >= 0)
        task->place = (uint16_t)(SKUA__BIND + (unsigned)owner);
    skua__sched_schedule(self, task);
}

skua_task_id skua__task_id(const struct skua_task *task)
{
    (void)task;
    return 1;
}

void skua__task_turn(struct skua__thread *self, struct skua_task *task)
{
    model_use(task);
    restless[model_self()] = 0;
    ran[task - tasks]++;
    model_check(!skua__task_bound(task) || skua__task_owner(task) == self->index);
    if (meeting && task <= &tasks[1]) {
        model_ring(&meet[task == &tasks[0]]);
        model_sleep(&meet[task == &tasks[1]]);
    }
    if (next_made != NULL && task == &tasks[0]) {
        unsigned index = (unsigned)(next_made - tasks);

        next_made = NULL;
        make(self, index, -1);
    }
    ended[task - tasks]++;
}

void skua__task_flush_left(struct skua__thread *self)
{
    (void)self;
}

/* Asked in each turn of a loop. A worker that sees work which another one is about to take goes
 * round and round: then the other one must be given a turn. */
static bool never(void *arg)
{
    (void)arg;
    if (++restless[model_self()] > 3)
        model_pause();
    return false;
}

static bool quit(void *arg)
{
    (void)never(arg);
    return skua__load_acquire(&sched.quit) != 0; /* as in runtime.c */
}

/* ---- a runtime ------------------------------------------------------------------------------- */

static void sched_begin(unsigned count)
{
    core = model_arena(ARENA);
    tasks = (struct skua_task *)((char *)core + ARENA / 2);
    core->cells.base = (char *)core;
    core->sched = &sched;
    memset(&sched, 0, sizeof sched);
    memset(workers, 0, sizeof workers);
    memset(doorbells, 0, sizeof doorbells);
    memset(&outside, 0, sizeof outside);
    memset(ran, 0, sizeof ran);
    memset(ended, 0, sizeof ended);
    memset(meet, 0, sizeof meet);
    meeting = false;
    memset(made, 0, sizeof made);
    memset(restless, 0, sizeof restless);
    next_made = NULL;
    sched.core = core;
    sched.workers = worker_list;
    sched.count = count;
    sched.multi = count > 1;
    sched.steals = sched.multi;
    sched.simple = !sched.multi;
    sched.event_interval = 61;
    sched.inject_interval = 2; /* short schedules */
    sched.park = &park;
    sched.sleepers = sleepers;
    for (unsigned i = 0; i < count; i++) {
        workers[i].sched = &sched;
        workers[i].inject_left = sched.inject_interval;
        workers[i].thread.core = core;
        workers[i].thread.index = i;
        workers[i].thread.driver = (struct skua__driver *)(void *)&doorbells[i];
        skua__rand_seed(&workers[i].rng, i);
    }
}

static void begin_one(void)
{
    sched_begin(1);
}

static void begin_two(void)
{
    sched_begin(2);
}

static void run_0(void)
{
    skua__worker_loop(&workers[0], never, NULL);
}

static void run_1(void)
{
    skua__worker_loop(&workers[1], never, NULL);
}

static void run_2(void)
{
    skua__worker_loop(&workers[2], never, NULL);
}

static void end_all_ran(void)
{
    for (unsigned i = 0; i < TASKS; i++)
        model_check(ran[i] == made[i] && ended[i] == made[i]);
    model_check(skua__load_relaxed(&sched.searching) == 0);
}

/* ---- the first handshake: mail and parking -----------------------------------------------------
 */

static void mail_0(void)
{
    make(&outside, 0, -1);
}

static void mail_1(void)
{
    make(&outside, 1, -1);
}

static void mail_two(void)
{
    make(&outside, 0, -1);
    make(&outside, 1, -1);
}

static void test_mail(void **state)
{
    struct model_case mail = {.name = "a mailer, a worker",
                              .begin = begin_one,
                              .thread = {run_0, mail_0},
                              .end = end_all_ran,
                              .sleep_ends = true};

    (void)state;
    model_pass(&mail);
    mail.name = "two letters, a worker";
    mail.thread[1] = mail_two;
    model_pass(&mail);
    mail.name = "two mailers, a worker";
    mail.thread[1] = mail_0;
    mail.thread[2] = mail_1;
    mail.preemptions = 3;
    mail.stale = 2;
    model_pass(&mail);
}

/* ---- the second handshake: a producer, and those who search and give up ------------------------
 */

/* Worker 0 is busy with a task for good; what it makes is for the others. */
static void produce(void)
{
    make(&workers[0].thread, 0, -1);
}

static void produce_two(void)
{
    make(&workers[0].thread, 0, -1);
    make(&workers[0].thread, 1, -1);
}

/* A worker that has found a task may be at it for long: the other one is for somebody else. */
static void begin_meeting(void)
{
    sched_begin(3);
    meeting = true;
}

/* The thief's first turn makes another task. */
static void begin_chain(void)
{
    sched_begin(3);
    next_made = &tasks[2];
}

static void test_producer(void **state)
{
    struct model_case producer = {.name = "a producer, a searcher",
                                  .begin = begin_two,
                                  .thread = {produce, run_1},
                                  .end = end_all_ran,
                                  .sleep_ends = true};

    (void)state;
    model_pass(&producer);
    producer.name = "a producer of two, a searcher";
    producer.thread[0] = produce_two;
    producer.preemptions = 3;
    producer.stale = 3;
    model_pass(&producer);
    producer.name = "two tasks that meet, two searchers";
    producer.begin = begin_meeting;
    producer.thread[2] = run_2;
    producer.preemptions = 2;
    producer.stale = 1;
    model_pass(&producer);
    producer.name = "work makes work, two searchers";
    producer.begin = begin_chain;
    producer.preemptions = 1;
    producer.stale = 3;
    producer.thread[0] = produce;
    model_pass(&producer);
}

/* A worker that looks for a while before it sleeps. */
static void begin_spin(void)
{
    sched_begin(2);
    workers[1].spin_ns = 1;
}

static void test_spin(void **state)
{
    struct model_case spin = {.name = "a producer of two, a worker that spins",
                              .begin = begin_spin,
                              .thread = {produce_two, run_1},
                              .end = end_all_ran,
                              .sleep_ends = true,
                              .preemptions = 3,
                              .stale = 2};

    (void)state;
    model_pass(&spin);
}

static void test_inject(void **state)
{
    struct model_case inject = {.name = "one from outside, two workers",
                                .begin = begin_two,
                                .thread = {mail_0, run_0, run_1},
                                .end = end_all_ran,
                                .sleep_ends = true};

    (void)state;
    inject.preemptions = 2;
    inject.stale = 2;
    model_pass(&inject);
    inject.name = "two from outside, two workers";
    inject.preemptions = 1;
    inject.thread[0] = mail_two;
    model_pass(&inject);
}

/* ---- both, and the end ----------------------------------------------------------------------- */

static void mail_bound(void)
{
    make(&outside, 3, 1);
}

static void quit_all(void)
{
    skua__store_seq(&sched.quit, 1); /* as in runtime.c */
    for (unsigned i = 0; i < sched.count; i++)
        skua__idle_unpark(&workers[i]);
}

static void run_0_until_quit(void)
{
    skua__worker_loop(&workers[0], quit, NULL);
}

static void run_1_until_quit(void)
{
    skua__worker_loop(&workers[1], quit, NULL);
}

static void test_bound(void **state)
{
    struct model_case both = {.name = "mail and a producer, a worker",
                              .begin = begin_two,
                              .thread = {produce, run_1, mail_bound},
                              .end = end_all_ran,
                              .sleep_ends = true};

    (void)state;
    both.preemptions = 2;
    both.stale = 2;
    model_pass(&both);
}

/* Who sleeps and was not told is a deadlock here. */
static void test_quit(void **state)
{
    struct model_case end = {.name = "quit, two workers",
                             .begin = begin_two,
                             .thread = {quit_all, run_0_until_quit, run_1_until_quit}};

    (void)state;
    end.preemptions = 2;
    end.stale = 2;
    model_pass(&end);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"idle_unlist: store &sched->sleeping: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"idle_list: store &sched->sleeping: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"idle_pop: load &sched->searching: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"idle_pop: store &sched->sleeping: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"idle_pop: add &sched->searching: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"skua__idle_found: sub &worker->sched->searching: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"skua__idle_search: add &sched->searching: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"idle_stop_searching: sub &worker->sched->searching: order",
     "the fences of the second handshake order it, and the sleepers' lock"},
    {"skua__idle_unpark: cas &worker->parked: order", "the look before it is the handshake's"},
    {"skua__idle_unpark: cas &worker->parked: atomic",
     "a worker that is unparked twice looks once too often"},
    {"idle_sleep: store &worker->parked: order", "the fence in idle_stop_searching orders it"},
    {"skua__queue_own: load &worker->inbox: order", "the fence in idle_stop_searching orders it"},
    {"skua__queue_any: load &worker->sched->inject_len: order",
     "the fence in idle_stop_searching orders it"},
    {"idle_sleep: store &worker->parked #2: order", "one that is seen late costs an unpark"},
    {"skua__queue_inject: add &sched->inject_len: order",
     "under the lock, and the fence in skua__idle_notify orders it"},
    {"queue_uninject: sub &sched->inject_len: order",
     "under the lock, and the fence in skua__idle_notify orders it"},
    {"skua__queue_inject: add &sched->inject_len: atomic",
     "under the lock, and the fence in skua__idle_notify orders it"},
    {"queue_uninject: sub &sched->inject_len: atomic",
     "under the lock, and the fence in skua__idle_notify orders it"},
    {"queue_open_inbox: xchg &worker->inbox: release", "an empty inbox tells nothing"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("sched_idle.c sched_impl.h sched_queue.c sched_steal.c sched_worker.c", allowed);
}

int main(void)
{
    const struct CMUnitTest tests_[] = {
        cmocka_unit_test(test_mail),     cmocka_unit_test(test_producer),
        cmocka_unit_test(test_spin),     cmocka_unit_test(test_inject),
        cmocka_unit_test(test_bound),    cmocka_unit_test(test_quit),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests_, NULL, NULL);
}
