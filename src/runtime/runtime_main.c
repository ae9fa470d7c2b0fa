/* runtime_main.c - skua_main: a whole program in one call.
 *
 *   first signal      everything is cancelled, the program's fiber last: when it is told, nothing
 *                     new is taken anywhere. What runs cleans up under shields
 *   all have ended    the runtime is stopped and freed
 *   stop_timeout      since the signal: what has not ended is named and left, as the runtime
 *   second signal     the process ends at once
 *
 * Who watches  the thread that called, which has nothing else to do. A current-thread runtime needs
 *              it: there a fiber watches.
 * Two scopes   the program's fiber and its children are in one. In the other, which a signal does
 *              not cancel, is main_root: it has the first scope, waits for its end, and shuts the
 *              listener. So the end of the program ends the watching.
 * Memory       what the fibers use is on the heap: they may be among what is left behind.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/runtime_impl.h"
#include "signal/signal_impl.h"

/* What ends as soon as it is told to may do so, when the time is up. */
#define MAIN_GRACE (100 * SKUA_MILLISECOND)

/* Of main_program.phase. */
#define MAIN_OPEN 1u
#define MAIN_CANCEL 2u

struct main_program {
    skua_fiber_fn fn;
    void *arg;
    skua_runtime *runtime;
    skua_signals *signals;  /* NULL: none are asked for */
    int64_t deadline;       /* of the stop, when signalled; the watcher's, then main's */
    int result;             /* fn's; the program's fiber, then main */
    int started;            /* 0, or why there is no such fiber; likewise */
    bool signalled;         /* a signal has come; the watcher's, then main's */
    bool overdue;           /* the deadline has passed; likewise */
    _Atomic uint32_t phase; /* MAIN_OPEN, MAIN_CANCEL: who comes second cancels the scope */
    skua_scope scope;       /* the program's fiber and its children */
    skua_scope own;         /* the fibers of this file */
};

/* What went on when its skua_main returned: nobody's, but not lost. */
static struct main_program *_Atomic main_left_behind;

/* ---- watching -------------------------------------------------------------------------------- */

/* The scope is open, or is to be cancelled; when both, then it is cancelled. */
static void main_enter(struct main_program *program, uint32_t phase)
{
    /* Acquire pairs with the release of who came first: its scope, or its wish, is seen. */
    if (skua__or_acq_rel(&program->phase, phase) != 0)
        (void)skua_scope_cancel(&program->scope);
}

/* Until the program has ended, or its time is up. */
static void main_watch(struct main_program *program)
{
    int64_t timeout = program->runtime->options.stop_timeout;
    int number = skua_signals_next(program->signals);
    int64_t now = skua_now();

    if (number < 0)
        return; /* the program has ended */
    program->signalled = true;
    program->deadline = skua__time_after(now, timeout);
    (void)skua_scope_cancel(skua_runtime_scope(program->runtime));
    main_enter(program, MAIN_CANCEL);
    number = skua_signals_next_until(program->signals, program->deadline);
    if (number > 0)
        _exit(128 + number);
    program->overdue = number == -ETIMEDOUT;
}

static int main_watcher(void *arg)
{
    main_watch(arg);
    return 0;
}

/* ---- the fibers ------------------------------------------------------------------------------ */

/* The program's fiber; its children are in program->scope, as it is itself. */
static int main_fiber(void *arg)
{
    struct main_program *program = arg;

    program->result = program->fn(program->arg);
    if (program->result < 0)
        (void)skua_scope_cancel(&program->scope);
    return 0;
}

/* Also called when main_root could not start. */
static void main_shut(void *arg)
{
    struct main_program *program = arg;

    skua__signals_shut(program->signals);
}

static int main_root(void *arg)
{
    struct main_program *program = arg;

    (void)skua_scope_open(&program->scope, SKUA_COLLECT);
    main_enter(program, MAIN_OPEN);
    program->started = skua_spawn(&program->scope, main_fiber, program, .name = "main");
    (void)skua_scope_join(&program->scope);
    main_shut(program);
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

/* Without signals; all is in the frame of the caller, who sees the end. */
static int main_alone(void *arg)
{
    struct main_program *program = arg;
    int rc;

    (void)skua_scope_open(&program->scope, SKUA_COLLECT);
    rc = skua_spawn(&program->scope, main_fiber, program, .name = "main");
    (void)skua_scope_join(&program->scope);
    return rc;
}

static bool main_over(void *arg)
{
    struct main_program *program = arg;

    return program->overdue || skua_scope_alive(&program->own) == 0;
}

static int main_watched(struct main_program *program)
{
    bool multi = program->runtime->sched.multi;
    int rc = skua_scope_open_on(&program->own, program->runtime, SKUA_COLLECT);

    if (rc == 0)
        rc = skua_spawn(&program->own, main_root, program, .name = "main.root", .drop = main_shut);
    if (rc == 0 && !multi)
        rc = skua_spawn(&program->own, main_watcher, program, .name = "main.signals");
    if (rc != 0)
        return rc;
    if (!multi) {
        rc = skua__runtime_drive(program->runtime, main_over, program, SKUA_FOREVER);
        return rc != 0 ? rc : program->started;
    }
    main_watch(program);
    if (program->overdue)
        return -ETIMEDOUT;
    (void)skua_scope_join(&program->own);
    return program->started;
}

static int main_run(struct main_program *program)
{
    int rc;

    if (program->signals != NULL)
        return main_watched(program);
    rc = skua_block_on(program->runtime, main_alone, program, &program->started);
    return rc != 0 ? rc : program->started;
}

/* Within what is left of the time. The stragglers are named: -ETIMEDOUT. */
static int main_stop(struct main_program *program)
{
    int64_t deadline = program->overdue ? skua_now() + MAIN_GRACE : program->deadline;
    int rc = program->signalled ? skua_runtime_stop(program->runtime, deadline) : 0;

    return rc != 0 ? rc : skua_runtime_free(program->runtime);
}

/* ---- the call -------------------------------------------------------------------------------- */

static int main_tell(const char *what, int code)
{
    fprintf(stderr, "skua: %s: %s (%s)\n", what, skua_strerror(code), skua_error_name(code));
    return 1;
}

static int main_listen(struct main_program *program, const skua_runtime_options *options)
{
    int numbers[2];
    size_t count = 0;

    if (options == NULL)
        return 0;
    if (options->stop_on & SKUA_SIGNALS_INT)
        numbers[count++] = SIGINT;
    if (options->stop_on & SKUA_SIGNALS_TERM_ONLY)
        numbers[count++] = SIGTERM;
    return count != 0 ? skua_signals_open(&program->signals, numbers, count) : 0;
}

/* An exit status; `program` is free afterwards, or left behind. */
static int main_status(struct main_program *program)
{
    int rc = main_run(program);
    int result;
    bool signalled;

    if (program->signals != NULL)
        skua__signals_shut(program->signals); /* from here on a signal ends the process again */
    if (main_stop(program) != 0) {
        skua__store_release(&main_left_behind, program);
        return 1; /* the stragglers have been named */
    }
    result = program->result;
    signalled = program->signalled;
    skua_signals_close(program->signals);
    skua__os_free(program);
    if (rc != 0 && !(rc == -ECANCELED && signalled))
        return main_tell("cannot run the program", rc);
    if (result >= 0 || (result == -ECANCELED && signalled))
        return 0;
    return main_tell("the program failed", result);
}

int skua_main(skua_fiber_fn fn, void *arg, const skua_runtime_options *options)
{
    struct main_program *program = skua__os_alloc(sizeof *program);
    int rc;

    skua__os_open_standard();
    if (program == NULL)
        return main_tell("cannot start", -ENOMEM);
    program->fn = fn;
    program->arg = arg;
    program->result = -ECANCELED;
    program->started = -ENOMEM; /* until its fiber has run */
    rc = main_listen(program, options);
    if (rc != 0) {
        skua__os_free(program);
        return main_tell("cannot watch signals", rc);
    }
    rc = skua_runtime_new(&program->runtime, options);
    if (rc != 0) {
        skua_signals_close(program->signals);
        skua__os_free(program);
        return main_tell("cannot start the runtime", rc);
    }
    return main_status(program);
}

#undef MAIN_GRACE
#undef MAIN_OPEN
#undef MAIN_CANCEL
