/* file_future.c - reads and writes at offsets as futures, which poll tasks and selects can drop.
 *
 * A dropped future's job may run on: so it reads and writes memory of its own, which is counted:
 * the future has a reference, the job another one. The job lets go of the file as soon as the
 * system call is over, so that a close does not wait for somebody who is to look at a result.
 *
 *   the job's reference is given up by   when
 *   its .drop                            the future was dropped before it was ready
 *   the future                           it has the result; or the job could not begin
 */
#include <string.h>

#include "fs/fs_impl.h"

#define FFUT_MOST ((size_t)1 << 20)

struct skua__file_job {
    _Atomic uint32_t refs;
    struct skua_file *file; /* held; NULL: let go of. The job's, as long as it runs */
    size_t len;             /* constant, as the next two */
    int64_t offset;
    bool writes;
    bool dropped;   /* .drop was called; read by the future only where that was before */
    int64_t result; /* the job's, then the future's */
    char data[];
};

/* ---- the job --------------------------------------------------------------------------------- */

static void ffut_unref(struct skua__file_job *io, unsigned count)
{
    if (skua__sub_acq_rel(&io->refs, count) != count)
        return;
    if (io->file != NULL)
        skua__file_let_go(io->file); /* it never ran */
    skua__os_free(io);
}

static int ffut_run(void *arg)
{
    struct skua__file_job *io = arg;
    struct skua_file *file = io->file;
    struct iovec iov = {io->data, io->len};

    if (skua__file_closed(file))
        io->result = SKUA_ECLOSED;
    else if (io->writes)
        io->result = skua__file_wrote(file, skua__os_file_writev(file->fd, &iov, 1, io->offset));
    else
        io->result = skua__os_file_readv(file->fd, &iov, 1, io->offset);
    io->file = NULL;
    skua__file_let_go(file);
    return 0;
}

static void ffut_job_drop(void *arg)
{
    struct skua__file_job *io = arg;

    io->dropped = true;
    ffut_unref(io, 1);
}

/* ---- the future ------------------------------------------------------------------------------ */

/* The job is made, and is to be polled: 0; or an error. */
static int64_t ffut_begin(skua_file_future *self)
{
    static const skua_blocking_options options = {.size = sizeof options, .drop = ffut_job_drop};
    struct skua__file_job *io;

    if (self->offset < 0)
        return -EINVAL;
    if (!skua__file_hold(self->file))
        return SKUA_ECLOSED;
    io = skua__os_alloc(sizeof *io + self->len);
    if (io == NULL) {
        skua__file_let_go(self->file);
        return -ENOMEM;
    }
    skua__store_relaxed(&io->refs, 2); /* nobody else knows it yet */
    io->file = self->file;
    io->len = self->len;
    io->offset = self->offset;
    io->writes = self->writes != 0;
    if (io->writes && self->len != 0)
        memcpy(io->data, self->buf, self->len);
    self->io = io;
    (void)skua_blocking_init(&self->job, ffut_run, io, &options);
    return 0;
}

static skua_poll ffut_poll(skua_future *future, skua_waker *waker)
{
    skua_file_future *self = skua__container(future, skua_file_future, future);
    skua_poll answer = self->io == NULL ? ffut_begin(self) : 0;
    struct skua__file_job *io = self->io;

    if (answer != 0)
        return answer;
    answer = skua__future_poll_raw(&self->job.future, waker);
    if (answer == SKUA_PENDING)
        return SKUA_PENDING;
    self->io = NULL;
    if (answer == 0) {
        answer = io->result;
        if (!io->writes && answer > 0)
            memcpy(self->buf, io->data, (size_t)answer);
    }
    ffut_unref(io, io->dropped ? 1 : 2);
    return answer;
}

static void ffut_drop(skua_future *future)
{
    skua_file_future *self = skua__container(future, skua_file_future, future);
    struct skua__file_job *io = self->io;

    if (io == NULL)
        return;
    self->io = NULL;
    skua_future_drop(&self->job.future); /* its .drop is called, now or when it has ended */
    ffut_unref(io, 1);
}

static const skua_future_ops ffut_read_ops = {
    .name = "file.pread", .poll = ffut_poll, .drop = ffut_drop};
static const skua_future_ops ffut_write_ops = {
    .name = "file.pwrite", .poll = ffut_poll, .drop = ffut_drop};

static skua_future *ffut_init(skua_file_future *self, skua_file *file, void *buf, size_t len,
                              int64_t offset, bool writes)
{
    self->future.ops = writes ? &ffut_write_ops : &ffut_read_ops;
    self->io = NULL;
    self->file = file;
    self->buf = buf;
    self->len = skua__min_size(len, FFUT_MOST);
    self->offset = offset;
    self->writes = writes;
    return &self->future;
}

skua_future *skua_file_pread_init(skua_file_future *read, skua_file *file, void *buf, size_t len,
                                  int64_t offset)
{
    return ffut_init(read, file, buf, len, offset, false);
}

skua_future *skua_file_pwrite_init(skua_file_future *write, skua_file *file, const void *buf,
                                   size_t len, int64_t offset)
{
    return ffut_init(write, file, (void *)(uintptr_t)buf, len, offset, true);
}

#undef FFUT_MOST
