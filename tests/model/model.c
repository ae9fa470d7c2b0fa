/* model.c - the explorer: runs a case again and again, until each of its schedules was seen.
 *
 * Flow       model_pass -> explore -> run_once: begin, the threads up to their first operation,
 *            then at each operation whose turn is next (path_thread) and what it reads
 *            (path_value) -> path_advance: the last decision that has another way takes it.
 * Threads    are stacks on the one thread of the operating system (ucontext). The decision is made
 *            on the stack of whoever comes to an operation: it only switches when it is another's
 *            turn. A schedule that is given up is left where it stands.
 * Fewer      sleep sets (Godefroid, 1996): after "A, then …" was explored, "B, then A" is only of
 *            interest when B's operation has to do with A's. Not with a bound on preemptions, for
 *            which "the same, but in another order" may be out of bounds.
 *            Places that only one thread ever touches are no scheduling points. Which ones these
 *            are is learned: when a schedule shows that one is shared, all begins anew.
 */
#include "model_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#define STACK_SIZE 65536
#define SCHEDULES_MAX 5000000u
#define NOBODY (-1)

struct thread {
    ucontext_t context;
    struct model_op op; /* what it is about to do, or does */
    unsigned turns;     /* how many operations it has done */
};

/* A decision on the way: whose turn it was, or (sets are 0) which of `count` values was read. */
struct decision {
    uint8_t allowed; /* threads that may be chosen */
    uint8_t asleep;  /* of the others: what they do was explored before, and nothing came between */
    uint8_t done;    /* explored */
    uint8_t chosen;
    uint8_t count;
};

static const struct model_case *model;
static struct thread threads[MODEL_THREADS];
static char stacks[MODEL_THREADS][STACK_SIZE] __attribute__((aligned(64)));
static ucontext_t home;
static int running = NOBODY;
static bool starting; /* threads come back home before their first operation */

static struct decision path[2 * MODEL_STEPS];
static unsigned path_len;
static unsigned path_at;
static uint8_t asleep;
static unsigned preemptions_left;
static unsigned stale_left;

static struct model_step steps[MODEL_STEPS];
static unsigned step_count;
static unsigned turn_count; /* steps without those that concern one thread only */
static const char *failure;
static bool redundant; /* the schedule differs from an earlier one in nothing that matters */
static unsigned long run_count;
static bool grew; /* a place turned out to be shared */

/* ---- the path -------------------------------------------------------------------------------- */

/* Those that pause go on when others did something meanwhile, or when nobody else can. */
static uint8_t threads_ready(void)
{
    uint8_t ready = 0;
    uint8_t pausing = 0;

    for (int i = 0; i < MODEL_THREADS; i++) {
        const struct model_op *op = &threads[i].op;

        if (op->kind == MODEL_ENDED || !memory_ready(op, i))
            continue;
        if (op->kind == MODEL_PAUSE && op->value == turn_count - threads[i].turns)
            pausing |= (uint8_t)(1u << i);
        else
            ready |= (uint8_t)(1u << i);
    }
    return ready != 0 ? ready : pausing;
}

static struct decision *path_push(void)
{
    if (path_at == sizeof path / sizeof path[0])
        abort(); /* MODEL_STEPS comes first */
    path[path_at] = (struct decision){0};
    path_len = path_at + 1;
    return &path[path_at++];
}

/* Those that stay asleep over the chosen operation. */
static uint8_t sleep_after(const struct decision *at)
{
    uint8_t after = 0;

    for (int i = 0; i < MODEL_THREADS; i++)
        if ((at->asleep | at->done) & 1u << i &&
            !memory_conflict(&threads[i].op, &threads[at->chosen].op))
            after |= (uint8_t)(1u << i);
    return after;
}

/* Whose turn it is; NOBODY when nobody can, or may. */
static int path_thread(int current)
{
    uint8_t ready = threads_ready();
    uint8_t own = current == NOBODY ? 0 : ready & (uint8_t)(1u << current);
    struct decision *at;

    if (path_at < path_len) {
        at = &path[path_at++];
    } else {
        uint8_t allowed = own && preemptions_left == 0 ? own : ready & (uint8_t)~asleep;

        if (allowed == 0) {
            redundant = ready != 0;
            return NOBODY;
        }
        at = path_push();
        at->allowed = allowed;
        at->asleep = asleep;
        at->chosen = (uint8_t)(own & allowed ? current : __builtin_ctz(allowed));
    }
    asleep = model->preemptions == 0 ? sleep_after(at) : 0;
    if (own && at->chosen != current && model->preemptions != 0)
        preemptions_left--;
    return at->chosen;
}

static unsigned path_value(const struct model_op *op)
{
    unsigned count = stale_left == 0 ? 1 : memory_choices(op, running);
    struct decision *at;

    if (count == 1)
        return 0;
    if (path_at < path_len) {
        at = &path[path_at++];
    } else {
        at = path_push();
        at->count = (uint8_t)count;
    }
    stale_left -= at->chosen != 0;
    return at->chosen;
}

/* Takes the last decision that has another way; false when there is none. */
static bool path_advance(void)
{
    for (; path_len != 0; path_len--) {
        struct decision *at = &path[path_len - 1];
        uint8_t rest;

        if (at->count != 0) {
            if (++at->chosen < at->count)
                return true;
            continue;
        }
        at->done |= (uint8_t)(1u << at->chosen);
        rest = at->allowed & (uint8_t)~at->done;
        if (rest != 0) {
            at->chosen = (uint8_t)__builtin_ctz(rest);
            return true;
        }
    }
    return false;
}

/* ---- threads --------------------------------------------------------------------------------- */

int model_self(void)
{
    return running;
}

/* Ends the schedule; the stacks are left as they are. */
static _Noreturn void go_home(void)
{
    running = NOBODY;
    setcontext(&home);
    abort();
}

void model_fail(const char *message)
{
    if (failure == NULL)
        failure = message;
    if (running != NOBODY)
        go_home();
}

/* Nobody can go on: all have ended, or sleep and may; or else it is a deadlock. */
static void check_stuck(void)
{
    for (int i = 0; i < MODEL_THREADS && failure == NULL; i++) {
        const struct model_op *op = &threads[i].op;

        if (op->kind != MODEL_ENDED && !(op->kind == MODEL_SLEEP && model->sleep_ends))
            failure = "deadlock: nobody can go on";
    }
}

/* Goes on with whose turn it is. Returns when it is the caller's; at home, when all is over. */
static void turn(int self)
{
    int next = path_thread(self);

    if (next == NOBODY) {
        if (!redundant)
            check_stuck();
        if (self != NOBODY)
            go_home();
        return;
    }
    running = next;
    if (next != self)
        swapcontext(self == NOBODY ? &home : &threads[self].context, &threads[next].context);
}

static void thread_main(void)
{
    int self = running;

    model->thread[self]();
    threads[self].op = (struct model_op){.kind = MODEL_ENDED};
    if (!starting)
        turn(self);
    go_home();
}

/* Up to its first operation: what comes before that concerns nobody else. */
static void thread_start(int index)
{
    struct thread *thread = &threads[index];

    thread->op = (struct model_op){.kind = MODEL_ENDED};
    thread->turns = 0;
    if (model->thread[index] == NULL)
        return;
    getcontext(&thread->context);
    thread->context.uc_stack.ss_sp = stacks[index];
    thread->context.uc_stack.ss_size = STACK_SIZE;
    makecontext(&thread->context, thread_main, 0);
    running = index;
    swapcontext(&home, &thread->context);
    running = NOBODY;
}

/* ---- operations ------------------------------------------------------------------------------ */

static void operate(struct model_op op)
{
    struct thread *thread = &threads[running];
    int self = running;

    thread->op = op;
    if (!memory_private(&op, self)) {
        if (starting)
            swapcontext(&thread->context, &home);
        else
            turn(self);
        if (op.kind == MODEL_PAUSE && op.value == turn_count - thread->turns)
            memory_settle(self); /* nobody can do anything: time passes */
        thread->turns++;
        turn_count++;
    }
    if (step_count == MODEL_STEPS)
        model_fail("livelock: too many steps");
    memory_do(&thread->op, self, path_value(&thread->op));
    steps[step_count++] = (struct model_step){self, thread->op};
}

static int weakened(int order, unsigned weak)
{
    bool acquires = order == memory_order_acquire || order >= memory_order_acq_rel;
    bool releases = order >= memory_order_release;

    if (weak == 0 || (order == memory_order_seq_cst && !(weak & MODEL_NO_SEQ)))
        return order;
    acquires = acquires && !(weak & MODEL_NO_ACQUIRE);
    releases = releases && !(weak & MODEL_NO_RELEASE);
    return acquires && releases ? memory_order_acq_rel
           : acquires           ? memory_order_acquire
           : releases           ? memory_order_release
                                : memory_order_relaxed;
}

static struct model_op op_at(enum model_kind kind, const volatile void *addr, size_t size,
                             int order, struct model_site *at)
{
    bool stores = kind != MODEL_LOAD_ && kind != MODEL_YIELD;

    return (struct model_op){.kind = kind,
                             .order = weakened(order, at->weak),
                             .at = at,
                             .loc = memory_loc(addr, size, running, stores, &grew)};
}

static uint64_t plain(const volatile void *addr, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, (const void *)(uintptr_t)addr, size);
    return value;
}

static void plain_store(volatile void *addr, size_t size, uint64_t value)
{
    memcpy((void *)(uintptr_t)addr, &value, size);
}

uint64_t model_load(const volatile void *addr, size_t size, int order, struct model_site *at)
{
    if (running == NOBODY)
        return plain(addr, size);
    model_control_site(at, MODEL_LOAD_, order);
    operate(op_at(MODEL_LOAD_, addr, size, order, at));
    return threads[running].op.result;
}

void model_store(volatile void *addr, size_t size, uint64_t value, int order, struct model_site *at)
{
    struct model_op op;

    if (running == NOBODY) {
        plain_store(addr, size, value);
        return;
    }
    model_control_site(at, MODEL_STORE_, order);
    op = op_at(MODEL_STORE_, addr, size, order, at);
    op.value = value;
    operate(op);
}

static uint64_t modified(enum model_kind kind, uint64_t before, uint64_t value)
{
    return kind == MODEL_ADD   ? before + value
           : kind == MODEL_SUB ? before - value
           : kind == MODEL_OR  ? before | value
           : kind == MODEL_AND ? before & value
                               : value;
}

uint64_t model_rmw(enum model_kind kind, volatile void *addr, size_t size, uint64_t value,
                   int order, struct model_site *at)
{
    struct model_op op;
    uint64_t before;

    if (running == NOBODY) {
        before = plain(addr, size);
        plain_store(addr, size, modified(kind, before, value));
        return before;
    }
    model_control_site(at, kind, order);
    if (at->weak & MODEL_NO_ATOMIC) {
        operate(op_at(MODEL_LOAD_, addr, size, order, at));
        before = threads[running].op.result;
        op = op_at(MODEL_STORE_, addr, size, order, at);
        op.value = modified(kind, before, value);
        operate(op);
        return before;
    }
    op = op_at(kind, addr, size, order, at);
    op.value = value;
    operate(op);
    return threads[running].op.result;
}

bool model_cas(volatile void *addr, size_t size, void *want, uint64_t value, int order, int fails,
               struct model_site *at)
{
    struct model_op op;

    if (running == NOBODY) {
        if (plain(addr, size) == plain(want, size)) {
            plain_store(addr, size, value);
            return true;
        }
        plain_store(want, size, plain(addr, size));
        return false;
    }
    model_control_site(at, MODEL_CAS_, order);
    if (at->weak & MODEL_NO_ATOMIC) {
        operate(op_at(MODEL_LOAD_, addr, size, order, at));
        if (threads[running].op.result != plain(want, size)) {
            plain_store(want, size, threads[running].op.result);
            return false;
        }
        op = op_at(MODEL_STORE_, addr, size, order, at);
        op.value = value;
        operate(op);
        return true;
    }
    op = op_at(MODEL_CAS_, addr, size, order, at);
    op.fails = weakened(fails, at->weak);
    op.value = value;
    op.want = plain(want, size);
    operate(op);
    if (!threads[running].op.stored)
        plain_store(want, size, threads[running].op.result);
    return threads[running].op.stored;
}

void model_fence(struct model_site *at)
{
    if (running == NOBODY)
        return;
    model_control_site(at, MODEL_FENCE, memory_order_seq_cst);
    if (!(at->weak & MODEL_NO_SEQ))
        operate((struct model_op){.kind = MODEL_FENCE, .order = memory_order_seq_cst, .at = at});
}

void model_point(void)
{
    operate((struct model_op){.kind = MODEL_POINT, .at = MODEL_SITE("point")});
}

void model_pause(void)
{
    /* Many in a row, without a look in between, are one long one. */
    if (running == NOBODY || threads[running].op.kind == MODEL_PAUSE)
        return;
    operate((struct model_op){.kind = MODEL_PAUSE,
                              .value = turn_count - threads[running].turns,
                              .at = MODEL_SITE("pause")});
}

void model_use(const void *datum)
{
    bool shared = false; /* a race is one in whatever order: no scheduling point is needed */

    if (running != NOBODY && !memory_use(memory_loc(datum, 0, running, true, &shared), running))
        model_fail("race: a plain datum is used by two threads at a time");
}

void model_block(enum model_kind kind, volatile void *addr, size_t size, int order,
                 struct model_site *at)
{
    operate(op_at(kind, addr, size, order, at));
}

void model_yield(struct model_site *at)
{
    struct model_op op = {.kind = MODEL_YIELD, .order = memory_order_relaxed, .at = at};

    op.loc = memory_last_loaded(running);
    operate(op);
}

/* ---- exploring ------------------------------------------------------------------------------- */

static void run_once(void)
{
    path_at = 0;
    asleep = 0;
    step_count = 0;
    turn_count = 0;
    redundant = false;
    preemptions_left = model->preemptions == 0 ? MODEL_ALL : model->preemptions;
    stale_left = model->stale == 0 ? MODEL_ALL : model->stale;
    model->begin();
    memory_begin();
    starting = true;
    for (int i = 0; i < MODEL_THREADS && failure == NULL; i++)
        thread_start(i);
    starting = false;
    if (failure == NULL)
        turn(NOBODY);
    running = NOBODY;
    if (failure == NULL && !redundant && model->end != NULL)
        model->end();
}

const char *model_explore(const struct model_case *the_case, unsigned limit, unsigned *ret_count)
{
    unsigned before = 0;

    model = the_case;
    failure = NULL;
    path_len = 0;
    *ret_count = 0;
    memory_forget();
    do {
        grew = false;
        run_once();
        *ret_count += !redundant;
        if (failure != NULL)
            break;
        run_count++;
        if (grew) {
            path_len = 0;
            *ret_count = 0;
        }
    } while (++before != limit && (grew || path_advance()));
    return failure;
}

unsigned long model_runs(void)
{
    return run_count;
}

unsigned model_pass(const struct model_case *the_case)
{
    unsigned count;

    model_control_case(the_case);
    if (model_explore(the_case, SCHEDULES_MAX, &count) == NULL && path_len != 0)
        failure = "too many schedules: bound the case";
    if (failure != NULL) {
        model_print(steps, step_count);
        fail_msg("%s: %s, in schedule %u", the_case->name, failure, count);
    }
    print_message("%s: %u schedules\n", the_case->name, count);
    return count;
}

void model_catch(const struct model_case *the_case, const char *text)
{
    unsigned count;

    if (model_explore(the_case, SCHEDULES_MAX, &count) == NULL || strstr(failure, text) == NULL)
        fail_msg("%s: \"%s\" was not found in %u schedules, but: %s", the_case->name, text, count,
                 failure == NULL ? "nothing" : failure);
    if (getenv("MODEL_PRINT") != NULL)
        model_print(steps, step_count);
    print_message("%s: found in schedule %u: %s\n", the_case->name, count, failure);
}
