/* process_spawn.c - from options to a child.
 *
 * Flow       options checked -> plan made -> streams: pipes, /dev/null -> reaper reserved ->
 *            skua__os_spawn -> the child's ends closed -> watched
 * Failing    everything that can fail comes before the child is: once it runs, it is ours.
 * Where      the spawning thread sleeps until the child executes its program: from a fiber that is
 *            a thread of the blocking pool's. A child that is to go with its parent's thread is
 *            spawned on the worker: threads of the pool come and go.
 * Inherited  which of our standard streams are open is asked before anything is opened, which may
 *            take the number of one that is not.
 */
#include <string.h>

#include "block/block_impl.h"
#include "proc/process_impl.h"

#define SPAWN_FDS_MAX 250
#define SPAWN_SIGNAL_MAX 64

/* A spawn that is under way. */
struct spawn_work {
    const skua_process_options *options;
    struct skua__plan *plan;
    const char *program;
    struct skua_process *process;
    int close_after[3]; /* the child's ends, ours to close; -1: none */
    bool open[3];       /* our standard streams, before anything was opened */
    int pid;
    int pidfd;
    int rc;
    bool ran;
};

void skua_process_options_init(skua_process_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool spawn_stdio_is(int stdio, bool is_err)
{
    return (stdio >= SKUA_STDIO_INHERIT && stdio <= SKUA_STDIO_PIPE) ||
           (is_err && stdio == SKUA_STDIO_OUT) || stdio >= SKUA_STDIO_FD(0);
}

static bool spawn_signal_is(int signal)
{
    return signal >= 0 && signal <= SPAWN_SIGNAL_MAX;
}

static int spawn_check_fds(const skua_process_options *options)
{
    if (options->fd_count > SPAWN_FDS_MAX || (options->fd_count != 0 && options->fds == NULL))
        return -EINVAL;
    for (size_t i = 0; i < options->fd_count; i++) {
        if (options->fds[i].theirs < 3 || options->fds[i].ours < 0)
            return -EINVAL;
        for (size_t k = 0; k < i; k++)
            if (options->fds[k].theirs == options->fds[i].theirs)
                return -EINVAL;
    }
    return 0;
}

static int spawn_check(const skua_process_options *options)
{
    if (options->size != sizeof *options || !spawn_stdio_is(options->in, false) ||
        !spawn_stdio_is(options->out, false) || !spawn_stdio_is(options->err, true) ||
        options->group > SKUA_PROCESS_SESSION || !spawn_signal_is(options->kill_on_close) ||
        !spawn_signal_is(options->parent_death) || options->nice < -40 || options->nice > 40 ||
        (options->set_groups && options->group_count != 0 && options->groups == NULL))
        return -EINVAL;
    return spawn_check_fds(options);
}

/* ---- streams --------------------------------------------------------------------------------- */

/* A pipe: the child's end blocks, ours is a handle. */
static int spawn_pipe(struct spawn_work *work, int stream)
{
    int ours = stream == 0 ? 1 : 0;
    int ends[2];
    int rc = skua__os_pipe(ends);

    if (rc != 0)
        return rc;
    rc = skua__os_change_nonblocking(ends[!ours], false);
    if (rc >= 0)
        rc = skua_fd_adopt(&work->process->pipes[stream], ends[ours], 0);
    if (rc < 0) {
        skua__os_close(ends[0]);
        skua__os_close(ends[1]);
        return rc;
    }
    work->close_after[stream] = ends[!ours];
    return ends[!ours];
}

/* The descriptor that the child gets as `stream`; or -EBADF when it gets none; or an error. */
static int spawn_stream(struct spawn_work *work, int stream, int stdio)
{
    switch (stdio) {
    case SKUA_STDIO_INHERIT:
        return work->open[stream] ? stream : -EBADF;
    case SKUA_STDIO_NULL:
        work->close_after[stream] = skua__os_open("/dev/null", SKUA__FILE_READ | SKUA__FILE_WRITE);
        return work->close_after[stream];
    case SKUA_STDIO_PIPE:
        return spawn_pipe(work, stream);
    default:
        return stdio - SKUA_STDIO_FD(0);
    }
}

static int spawn_streams(struct spawn_work *work)
{
    int kinds[3] = {work->options->in, work->options->out, work->options->err};
    int fds[3];

    for (int i = 0; i < 3; i++) {
        fds[i] = i == 2 && kinds[i] == SKUA_STDIO_OUT ? fds[1] : spawn_stream(work, i, kinds[i]);
        if (fds[i] >= 0)
            skua__plan_add(work->plan, i, fds[i]);
        else if (fds[i] != -EBADF)
            return fds[i];
    }
    for (size_t i = 0; i < work->options->fd_count; i++)
        skua__plan_add(work->plan, work->options->fds[i].theirs, work->options->fds[i].ours);
    return 0;
}

/* ---- the spawn itself ------------------------------------------------------------------------ */

static int spawn_now(void *arg)
{
    struct spawn_work *work = arg;

    work->ran = true;
    work->rc = skua__os_spawn(&work->plan->spawn, &work->pid, &work->pidfd);
    return 0;
}

static int spawn_run(struct spawn_work *work)
{
    if (skua__fiber_current(skua__thread_self()) != NULL && work->options->parent_death == 0)
        (void)skua__block_quietly(spawn_now, work);
    if (!work->ran) /* not on a fiber, or the pool has no thread to give */
        (void)spawn_now(work);
    return work->rc;
}

static int spawn_watched(struct spawn_work *work)
{
    struct skua_process *process = work->process;
    int rc = skua__reaper_reserve();

    if (rc != 0)
        return rc;
    rc = spawn_run(work);
    if (rc != 0) {
        skua__reaper_cancel();
        return rc;
    }
    process->pid = work->pid;
    process->pidfd = work->pidfd;
    if (process->told != NULL)
        process->told->op.number = work->pid;
    skua__add_relaxed(&process->refs, 1); /* nobody else knows it yet */
    skua__reaper_add(process);
    return 0;
}

/* Tells that a run begins; not when there is no memory for that. Nor of a runtime that is not seen:
 * its end would be told by the reaper, who is no runtime's. */
static void spawn_tell(struct spawn_work *work)
{
    const struct skua__core *core = skua__thread_self()->core;
    const char *program = work->program;
    struct skua__process_told *told;
    size_t size = strlen(program) + 1;

    if (!skua__probe_ops() || (core != NULL && core->unseen))
        return;
    told = skua__os_alloc(sizeof *told + size);
    if (told == NULL)
        return;
    memcpy(told->program, program, size);
    work->process->told = told;
    skua__op_begin(&told->op, "process.run", told->program);
}

static int spawn_process(struct spawn_work *work)
{
    struct skua_process *process = skua__os_alloc(sizeof *process);
    int rc;

    if (process == NULL)
        return -ENOMEM;
    work->process = process;
    skua__process_init(process);
    process->grouped = work->options->group != 0;
    process->kill_on_close = work->options->kill_on_close;
    spawn_tell(work);
    rc = spawn_streams(work);
    if (rc == 0)
        rc = spawn_watched(work);
    for (int i = 0; i < 3; i++)
        if (work->close_after[i] >= 0)
            skua__os_close(work->close_after[i]);
    if (rc != 0) {
        if (process->told != NULL)
            skua__op_end(&process->told->op, rc, 0);
        skua__process_close_pipes(process);
        skua__process_unref(process);
    }
    return rc;
}

int skua_process_spawn_with(skua_process **ret, const char *const *argv,
                            const skua_process_options *given)
{
    skua_process_options options = {.size = sizeof options};
    struct spawn_work work = {.options = &options, .close_after = {-1, -1, -1}, .pidfd = -1};
    int rc;

    if (given != NULL)
        options = *given;
    rc = spawn_check(&options);
    for (int i = 0; rc == 0 && i < 3; i++) {
        int access = skua__os_file_access(i);

        work.open[i] = access >= 0;
        if (access < 0 && access != -EBADF)
            rc = access;
    }
    rc = rc != 0 ? rc : skua__plan_make(argv, &options, &work.plan);
    if (rc != 0)
        return rc;
    work.program = options.program != NULL ? options.program : argv[0];
    rc = spawn_process(&work);
    skua__os_free(work.plan);
    if (rc == 0)
        *ret = work.process;
    return rc;
}

#undef SPAWN_FDS_MAX
#undef SPAWN_SIGNAL_MAX
