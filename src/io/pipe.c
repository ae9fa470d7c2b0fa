/* pipe.c - pipes and FIFOs: how they are opened. The rest is what every descriptor does.
 *
 * FIFO       opened without blocking, whatever is asked for. For writing alone the system then says
 *            ENXIO while nobody reads, and a sleep comes before the next try. ENXIO is said of
 *            sockets and devices, too: so a name that says it is looked at.
 */
#include <limits.h>
#include <string.h>

#include <skua/pipe.h>

#include "io/io_impl.h"

#define FIFO_PAUSE_MIN SKUA_MILLISECOND
#define FIFO_PAUSE_MAX (64 * SKUA_MILLISECOND)

/* ---- pipes ----------------------------------------------------------------------------------- */

void skua_pipe_options_init(skua_pipe_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int pipe_adopt(const int ends[2], skua_fd **reader, skua_fd **writer)
{
    skua_fd *first;
    skua_fd *second;
    int rc = skua__fd_new(ends[0], SKUA__FILE_PIPE, SKUA__FILE_READ, &first);

    if (rc != 0) {
        skua__os_close(ends[0]);
        skua__os_close(ends[1]);
        return rc;
    }
    rc = skua__fd_new(ends[1], SKUA__FILE_PIPE, SKUA__FILE_WRITE, &second);
    if (rc != 0) {
        (void)skua_fd_close(first);
        skua__os_close(ends[1]);
        return rc;
    }
    *reader = first;
    *writer = second;
    return 0;
}

int skua_pipe_new(skua_fd **reader, skua_fd **writer, const skua_pipe_options *options)
{
    size_t capacity = options != NULL ? options->capacity : 0;
    int ends[2];
    int rc;

    if ((options != NULL && options->size != sizeof *options) || capacity > INT_MAX)
        return -EINVAL;
    rc = skua__os_pipe(ends);
    if (rc != 0)
        return rc;
    rc = capacity != 0 ? skua__os_pipe_capacity(ends[0], (int)capacity) : 0;
    if (rc < 0) {
        skua__os_close(ends[0]);
        skua__os_close(ends[1]);
        return rc;
    }
    return pipe_adopt(ends, reader, writer);
}

/* ---- FIFOs ----------------------------------------------------------------------------------- */

_Static_assert(SKUA_FIFO_READ == SKUA__FILE_READ && SKUA_FIFO_WRITE == SKUA__FILE_WRITE,
               "the same");

static bool fifo_mode_ok(unsigned mode)
{
    return mode == SKUA_FIFO_READ || mode == SKUA_FIFO_WRITE ||
           mode == (SKUA_FIFO_READ | SKUA_FIFO_WRITE) ||
           mode == (SKUA_FIFO_READ | SKUA_FIFO_PATIENT);
}

/* 0; -ENXIO: nobody reads; or another error. */
static int fifo_try(skua_fd **ret, const char *path, unsigned mode)
{
    unsigned access = mode & (SKUA_FIFO_READ | SKUA_FIFO_WRITE);
    int number = skua__os_open(path, access);
    skua_fd *fd;
    int rc;

    if (number == -ENXIO) {
        rc = skua__os_path_kind(path);
        return rc == SKUA__FILE_PIPE ? -ENXIO : rc < 0 ? rc : -EINVAL;
    }
    if (number < 0)
        return number == -EISDIR ? -EINVAL : number;
    rc = skua__os_file_kind(number);
    if (rc == SKUA__FILE_PIPE)
        rc = skua__fd_new(number, rc, access, &fd);
    else if (rc >= 0)
        rc = -EINVAL;
    if (rc != 0) {
        skua__os_close(number);
        return rc;
    }
    skua__store_relaxed(&fd->unopened, (mode & SKUA_FIFO_PATIENT) != 0); /* nobody else has it */
    *ret = fd;
    return 0;
}

static skua_poll fifo_poll(skua_future *future, skua_waker *waker)
{
    skua_fifo_future *self = skua__container(future, skua_fifo_future, future);
    skua_poll answer;
    int rc;

    if (!fifo_mode_ok(self->mode))
        return -EINVAL;
    for (;;) {
        if (self->sleeping) {
            answer = skua__future_poll_raw(&self->sleep.future, waker);
            if (answer == SKUA_PENDING)
                return answer;
            self->sleeping = 0;
        }
        rc = fifo_try(self->ret, self->path, self->mode);
        if (rc != -ENXIO)
            return rc;
        (void)skua_sleep_init(&self->sleep, self->pause);
        self->sleeping = 1;
        self->pause = 2 * self->pause < FIFO_PAUSE_MAX ? 2 * self->pause : FIFO_PAUSE_MAX;
    }
}

static void fifo_drop(skua_future *future)
{
    skua_fifo_future *self = skua__container(future, skua_fifo_future, future);

    if (self->sleeping)
        skua_future_drop(&self->sleep.future);
    self->sleeping = 0;
}

static const skua_future_ops fifo_ops = {.name = "fifo.open", .poll = fifo_poll, .drop = fifo_drop};

skua_future *skua_fifo_open_init(skua_fifo_future *open, skua_fd **ret, const char *path,
                                 unsigned mode)
{
    open->future.ops = &fifo_ops;
    open->ret = ret;
    open->path = path;
    open->mode = mode;
    open->sleeping = 0;
    open->pause = FIFO_PAUSE_MIN;
    return &open->future;
}

int skua_fifo_open_until(skua_fd **ret, const char *path, unsigned mode, int64_t deadline)
{
    skua_fifo_future open;

    return (int)skua_await_until(skua_fifo_open_init(&open, ret, path, mode), deadline);
}

int skua_fifo_open(skua_fd **ret, const char *path, unsigned mode)
{
    return skua_fifo_open_until(ret, path, mode, SKUA_FOREVER);
}

#undef FIFO_PAUSE_MIN
#undef FIFO_PAUSE_MAX
