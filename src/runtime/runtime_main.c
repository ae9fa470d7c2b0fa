/* runtime_main.c - skua_main: a whole program in one call.
 *
 * Signals are blocked and read from a signalfd by a fiber of the runtime's own, like any other
 * input: the first one cancels the program's fiber, and with it everything that it answers for;
 * a second one ends the process at once, for a program that does not end by itself.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/runtime_impl.h"

struct main_program {
    skua_fiber_fn fn;
    void *arg;
    int result;                 /* fn's; the program's fiber, then main */
    int signal_fd;              /* -1: no signals; constant */
    _Atomic uint32_t signalled; /* 1: a signal has come */
    skua_scope scope;           /* the program's fiber and its children */
    struct skua__source source; /* of signal_fd */
};

struct main_signal_future {
    skua_future future;
    struct main_program *program;
    skua_waker *waker;
};

/* ---- waiting for a signal -------------------------------------------------------------------- */

static void main_signal_drop(skua_future *future)
{
    struct main_signal_future *self = skua__container(future, struct main_signal_future, future);

    if (self->waker != NULL)
        skua__source_forget(&self->program->source, SKUA__READ, self->waker);
    self->waker = NULL;
}

static skua_poll main_signal_poll(skua_future *future, skua_waker *waker)
{
    struct main_signal_future *self = skua__container(future, struct main_signal_future, future);
    struct skua__source *source = &self->program->source;

    for (;;) {
        uint32_t seen = skua__source_look(source);
        int rc = skua__os_signalfd_take(source->fd);

        if (rc != -EAGAIN) {
            main_signal_drop(future); /* something else may have woken the fiber */
            return rc;
        }
        skua__source_drained(source, SKUA__READABLE | SKUA__HANGUP, seen);
        self->waker = waker;
        rc = skua__source_poll(source, SKUA__READ, waker);
        if (rc == 0)
            return SKUA_PENDING;
        if (rc < 0)
            return rc;
    }
}

static const skua_future_ops main_signal_ops = {
    .name = "signal", .poll = main_signal_poll, .drop = main_signal_drop};

static int64_t main_signal_wait(struct main_program *program)
{
    struct main_signal_future wait = {.future.ops = &main_signal_ops, .program = program};

    return skua_await(&wait.future);
}

/* ---- the fibers ------------------------------------------------------------------------------ */

static int main_watch_signals(void *arg)
{
    struct main_program *program = arg;
    int64_t signo = main_signal_wait(program);

    if (signo < 0)
        return 0; /* cancelled: the program has ended */
    skua__store_release(&program->signalled, 1);
    (void)skua_scope_cancel(&program->scope);
    signo = main_signal_wait(program);
    if (signo > 0)
        _exit(128 + (int)signo);
    return 0;
}

/* The program's fiber; its children are in program->scope, as it is itself. */
static int main_fiber(void *arg)
{
    struct main_program *program = arg;

    program->result = program->fn(program->arg);
    if (program->result < 0)
        (void)skua_scope_cancel(&program->scope);
    return 0;
}

static int main_root(void *arg)
{
    struct main_program *program = arg;
    skua_task *watcher = NULL;
    int rc = 0;

    (void)skua_scope_open(&program->scope, SKUA_COLLECT);
    if (program->signal_fd >= 0)
        rc = skua_spawn_on(skua_runtime_current(), main_watch_signals, program, .name = "signals",
                           .task = &watcher);
    if (rc == 0)
        rc = skua_spawn(&program->scope, main_fiber, program, .name = "main");
    (void)skua_scope_join(&program->scope);
    if (watcher != NULL) {
        (void)skua_task_cancel(watcher);
        (void)skua_task_join(watcher, NULL);
    }
    return rc;
}

/* ---- the call -------------------------------------------------------------------------------- */

static void main_signal_released(struct skua__source *source)
{
    (void)source; /* it lives in skua_main's frame; the descriptor is closed */
}

static int main_tell(const char *what, int code)
{
    fprintf(stderr, "skua: %s: %s (%s)\n", what, skua_strerror(code), skua_error_name(code));
    return 1;
}

static int main_block_signals(struct main_program *program, const skua_runtime_options *options)
{
    int signals[2];
    int count = 0;

    program->signal_fd = -1;
    if (options == NULL)
        return 0;
    if (options->stop_on & SKUA_SIGNALS_INT)
        signals[count++] = SIGINT;
    if (options->stop_on & SKUA_SIGNALS_TERM_ONLY)
        signals[count++] = SIGTERM;
    if (count == 0)
        return 0;
    program->signal_fd = skua__os_signalfd(signals, count);
    if (program->signal_fd < 0)
        return program->signal_fd;
    skua__source_init(&program->source, program->signal_fd, main_signal_released);
    return 0;
}

/* From here on a signal ends the process again, as by default: stopping may take its time. */
static void main_unblock_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM};

    skua__os_signals_unblock(signals, 2);
}

int skua_main(skua_fiber_fn fn, void *arg, const skua_runtime_options *options)
{
    struct main_program program = {.fn = fn, .arg = arg, .result = -ECANCELED};
    skua_runtime *runtime;
    int root = 0;
    int rc = main_block_signals(&program, options);

    if (rc < 0)
        return main_tell("cannot watch signals", rc);
    rc = skua_runtime_new(&runtime, options);
    if (rc != 0) {
        if (program.signal_fd >= 0)
            skua__source_unref(&program.source);
        return main_tell("cannot start the runtime", rc);
    }
    rc = skua_block_on(runtime, main_root, &program, &root);
    rc = rc != 0 ? rc : root;
    if (program.signal_fd >= 0)
        main_unblock_signals();
    if (skua_runtime_free(runtime) != 0)
        return 1; /* the stragglers have been named */
    if (program.signal_fd >= 0)
        skua__source_unref(&program.source);
    if (rc != 0)
        return main_tell("cannot run the program", rc);
    if (program.result >= 0 ||
        (program.result == -ECANCELED && skua__load_acquire(&program.signalled) != 0))
        return 0;
    return main_tell("the program failed", program.result);
}
