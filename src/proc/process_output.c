/* process_output.c - a program from its start to its end, with what it says in buffers.
 *
 * Flow       spawn with pipes -> each pipe that is ready is served, whichever it is -> all ended:
 *            wait for the child -> close
 * Waiting    on a fiber a select over the futures of the pipes that are still open; on a plain
 *            thread, which has no driver, poll(2).
 * Too much   a buffer that is full gets one more byte somewhere else: only then there is too much.
 * Early end  that the child closes its input is its own affair (EPIPE); its end tells the rest.
 * Failing    whatever it is, the child is killed by the close: it would wait for a reader.
 */
#include <signal.h>
#include <poll.h>

#include <skua/flow.h>

#include "proc/process_impl.h"

#define OUTPUT_WASTE 4096

/* One direction. */
struct output_pipe {
    skua_fd *fd; /* NULL: over, or none */
    char *buf;
    size_t size; /* of bytes that count */
    size_t len;
    skua_fd_future future;
    char waste[OUTPUT_WASTE]; /* … and of those that do not */
};

struct output_work {
    skua_process_text *text;
    struct output_pipe pipes[3]; /* the child's input first */
};

static void output_end(struct output_pipe *pipe)
{
    (void)skua_fd_close(pipe->fd);
    pipe->fd = NULL;
}

/* Where the next bytes go: behind the others, or to the waste. */
static char *output_room(struct output_pipe *pipe, size_t *len)
{
    bool full = pipe->len == pipe->size;

    *len = full ? OUTPUT_WASTE : pipe->size - pipe->len;
    return full ? pipe->waste : pipe->buf + pipe->len;
}

/* What a read or a write of the pipe has given: 0, or the error that ends everything. */
static int output_gave(struct output_work *work, struct output_pipe *pipe, int64_t n)
{
    bool input = pipe == &work->pipes[0];

    if (input && (n == -EPIPE || (n >= 0 && pipe->len + (size_t)n == pipe->size))) {
        output_end(pipe);
        return 0;
    }
    if (n < 0)
        return (int)n;
    if (n == 0) {
        output_end(pipe);
    } else if (pipe->len < pipe->size) {
        pipe->len += (size_t)n;
    } else if (work->text->truncate) {
        work->text->truncated = 1;
    } else {
        return SKUA_ELIMIT;
    }
    return 0;
}

/* ---- on a fiber ------------------------------------------------------------------------------ */

static skua_future *output_future(struct output_work *work, struct output_pipe *pipe)
{
    char *room;
    size_t len;

    if (pipe->fd == NULL)
        return NULL;
    if (pipe == &work->pipes[0])
        return skua_fd_write_init(&pipe->future, pipe->fd, pipe->buf + pipe->len,
                                  pipe->size - pipe->len);
    room = output_room(pipe, &len);
    return skua_fd_read_init(&pipe->future, pipe->fd, room, len);
}

static int output_serve(struct output_work *work, int64_t deadline)
{
    skua_select_options options = {.size = sizeof options, .deadline = deadline > 0 ? deadline : 1};
    skua_future *futures[3];
    int64_t n;
    int winner;

    for (int i = 0; i < 3; i++)
        futures[i] = output_future(work, &work->pipes[i]);
    winner = skua_select_from(futures, 3, &options, &n);
    return winner < 0 ? winner : output_gave(work, &work->pipes[winner], n);
}

/* ---- on a plain thread ----------------------------------------------------------------------- */

static ssize_t output_try(struct output_work *work, struct output_pipe *pipe)
{
    char *room;
    size_t len;

    if (pipe == &work->pipes[0])
        return skua_fd_try_write(pipe->fd, pipe->buf + pipe->len, pipe->size - pipe->len);
    room = output_room(pipe, &len);
    return skua_fd_try_read(pipe->fd, room, len);
}

static int output_serve_thread(struct output_work *work, int64_t deadline)
{
    struct pollfd fds[3];
    bool any = false;

    for (int i = 0; i < 3; i++) {
        struct output_pipe *pipe = &work->pipes[i];
        ssize_t n = pipe->fd != NULL ? output_try(work, pipe) : -EAGAIN;
        int rc = n != -EAGAIN ? output_gave(work, pipe, n) : 0;

        if (rc != 0)
            return rc;
        any = any || n != -EAGAIN;
        fds[i] = (struct pollfd){.fd = pipe->fd != NULL ? skua_fd_number(pipe->fd) : -1,
                                 .events = i == 0 ? POLLOUT : POLLIN};
    }
    if (any)
        return skua__os_now() < deadline ? 0 : -ETIMEDOUT;
    return skua__os_poll_many(fds, 3, deadline);
}

/* ---- both ------------------------------------------------------------------------------------ */

static int output_run(skua_process *process, struct output_work *work, int64_t deadline)
{
    struct skua__core *core = skua__process_expect();
    bool on_task = core != NULL;
    int rc = 0;

    while (rc == 0 &&
           (work->pipes[0].fd != NULL || work->pipes[1].fd != NULL || work->pipes[2].fd != NULL))
        rc = on_task ? output_serve(work, deadline) : output_serve_thread(work, deadline);
    skua__process_ignore(core);
    return rc != 0 ? rc : skua_process_wait_until(process, &work->text->status, deadline);
}

static void output_begin(struct output_work *work, skua_process *process)
{
    skua_process_text *text = work->text;

    work->pipes[0].fd = text->in != NULL ? skua_process_take_in(process) : NULL;
    work->pipes[0].buf = (char *)(uintptr_t)text->in;
    work->pipes[0].size = text->in_len;
    if (text->in_len == 0)
        output_end(&work->pipes[0]);
    work->pipes[1].fd = text->out != NULL ? skua_process_take_out(process) : NULL;
    work->pipes[1].buf = text->out;
    work->pipes[1].size = text->out_size - 1;
    work->pipes[2].fd = text->err != NULL ? skua_process_take_err(process) : NULL;
    work->pipes[2].buf = text->err;
    work->pipes[2].size = text->err_size - 1;
}

static void output_finish(struct output_work *work)
{
    skua_process_text *text = work->text;

    for (int i = 0; i < 3; i++)
        output_end(&work->pipes[i]);
    text->out_len = work->pipes[1].len;
    text->err_len = work->pipes[2].len;
    if (text->out != NULL)
        text->out[text->out_len] = '\0';
    if (text->err != NULL)
        text->err[text->err_len] = '\0';
}

int skua_process_output_with(const char *const *argv, skua_process_text *text, int64_t deadline,
                             const skua_process_options *given)
{
    skua_process_options options = {.size = sizeof options};
    struct skua__thread *self = skua__thread_self();
    struct output_work *work;
    skua_process *process;
    int rc;

    if ((text->out != NULL && text->out_size == 0) || (text->err != NULL && text->err_size == 0))
        return -EINVAL;
    if (self->current != NULL && skua__fiber_current(self) == NULL)
        return SKUA_EUSAGE; /* a poll task cannot wait here */
    if (given != NULL)
        options = *given;
    options.in = text->in != NULL ? SKUA_STDIO_PIPE : options.in;
    options.out = text->out != NULL ? SKUA_STDIO_PIPE : options.out;
    options.err = text->err != NULL ? SKUA_STDIO_PIPE : options.err;
    if (options.kill_on_close == 0)
        options.kill_on_close = SIGKILL;
    work = skua__os_alloc(sizeof *work);
    if (work == NULL)
        return -ENOMEM;
    work->text = text;
    text->truncated = 0;
    rc = skua_process_spawn_with(&process, argv, &options);
    if (rc == 0) {
        output_begin(work, process);
        rc = output_run(process, work, deadline);
        (void)skua_process_close(process);
    }
    output_finish(work);
    skua__os_free(work);
    return rc;
}

#undef OUTPUT_WASTE
