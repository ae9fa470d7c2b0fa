/* file_ring.c - what is done to a file as an operation in the worker's ring, with no thread.
 *
 * Flow       skua__file_ring -> skua_await -> submitted with the turn's others -> the fiber parks
 *            -> the driver's turn: completed -> the fiber goes on, with the kernel's answer
 * Who        a fiber that stays on its worker, where the driver takes such operations: the buffers
 *            are lent to the kernel, and a fiber can wait until it gives them back. All others, and
 *            a ring that is full, use the pool.
 * What       files that can be sought in. Of pipes and terminals a ring would read at an offset
 *            without a word, which they do not have.
 * Cursor     asked for, and moved afterwards, by whoever has it: a ring leaves it where it is when
 *            a device completes late. What is appended moves it to where only the kernel knows.
 * Cancel     the kernel is told, and its answer waited for. What it did after all is the answer;
 *            only what it says it did not do was cancelled.
 *
 *   state      event                                         to
 *   IDLE       polled: submitted                             FLYING
 *   FLYING     the kernel's answer                           LANDED
 *   FLYING     dropped: told to cancel, waits                LANDED, dropped
 */
#include "fs/fs_impl.h"

struct fring {
    skua_future future;
    struct skua__op op;
    const struct skua__file_request *request;
    struct skua__driver *driver; /* the worker's; constant */
    skua_waker *waker;           /* the fiber's, which does not end before it has landed */
    enum { FRING_IDLE, FRING_FLYING, FRING_LANDED } state;
    bool dropped;
    int result; /* the kernel's, once it has landed */
};

/* ---- the future ------------------------------------------------------------------------------ */

static void fring_landed(struct skua__op *op, int result, bool more)
{
    struct fring *self = skua__container(op, struct fring, op);

    (void)more; /* one answer each */
    self->result = result;
    self->state = FRING_LANDED;
    self->driver->files--;
    skua_waker_wake(self->waker);
}

/* 0; -EAGAIN: no room; or what a test wants it to fail with. */
static int fring_submit(struct fring *self)
{
    int rc;

    do {
        rc = skua__fault_hit(SKUA__FAULT_SYSCALL);
    } while (rc == -EINTR); /* as a call that a signal interrupts */
    return rc != 0 ? rc : self->driver->ops->file(self->driver, &self->op, self->request);
}

static skua_poll fring_poll(skua_future *future, skua_waker *waker)
{
    struct fring *self = skua__container(future, struct fring, future);
    int rc;

    if (self->state == FRING_LANDED)
        return self->result;
    if (self->state == FRING_FLYING)
        return SKUA_PENDING; /* woken by something else */
    self->waker = waker;
    rc = fring_submit(self);
    if (rc != 0)
        return rc;
    self->state = FRING_FLYING;
    self->driver->files++;
    return SKUA_PENDING;
}

static void fring_drop(skua_future *future)
{
    struct fring *self = skua__container(future, struct fring, future);

    struct skua__thread *thread = skua__thread_self(); /* its fiber stays here */
    struct skua__fiber *fiber = skua__fiber_current(thread);

    self->dropped = true;
    /* It may not end by itself. Where there is no room for the cancel, the worker makes some. */
    while (self->state == FRING_FLYING && self->driver->ops->cancel(self->driver, &self->op) != 0)
        skua__fiber_yield(thread, fiber);
    while (self->state == FRING_FLYING)
        skua__fiber_park(thread, fiber);
}

static const skua_future_ops fring_ops = {.name = "file", .poll = fring_poll, .drop = fring_drop};

/* ---- one operation --------------------------------------------------------------------------- */

/* A fiber that stays on this worker, whose driver does files: the driver. */
static struct skua__driver *fring_driver(void)
{
    struct skua__thread *self = skua__thread_self();
    struct skua_task *task = self->current;

    if (task == NULL || (task->flags & (SKUA__FIBER | SKUA__MIGRATES)) != SKUA__FIBER)
        return NULL;
    return self->driver != NULL && self->driver->ops->file != NULL ? self->driver : NULL;
}

/* Where it is to be done, of a file that can be sought in; or -1. */
static int64_t fring_offset(struct skua_file *file, const struct skua__file_request *request)
{
    bool cursor = request->offset == SKUA__AT_CURSOR;
    unsigned known = skua__load_relaxed(&file->seekable); /* see fs_impl.h */
    int64_t at;

    if (cursor && request->call == SKUA__FILE_WRITES && (file->flags & SKUA__OPEN_APPEND))
        return -1;
    if (!cursor && known != 0)
        return known == SKUA__FILE_SEEKS ? request->offset : -1;
    at = skua__os_file_seek(file->fd, 0, SKUA_SEEK_CURSOR);
    skua__store_relaxed(&file->seekable, at < 0 ? SKUA__FILE_SEEKS_NOT : SKUA__FILE_SEEKS);
    return at < 0 || cursor ? at : request->offset;
}

/* That the kernel has done nothing: it was told to cancel, interrupted, or has no thread. */
static bool fring_undone(int64_t answer)
{
    return answer == -ECANCELED || answer == -EINTR || answer == -EAGAIN;
}

/* True: *ret is the answer. False: nothing was done, and *ret says why; -EINTR: once more. */
static bool fring_once(struct skua__driver *driver, const struct skua__file_request *request,
                       int64_t *ret)
{
    struct fring self = {.future = {.ops = &fring_ops},
                         .op = {.complete = fring_landed},
                         .request = request,
                         .driver = driver,
                         .state = FRING_IDLE};

    *ret = skua_await(&self.future);
    if (self.state == FRING_IDLE && self.dropped)
        return false; /* cancelled before */
    if (self.dropped && fring_undone(self.result))
        return false;
    if (self.dropped)
        *ret = self.result;
    else if (*ret == -EAGAIN || *ret == -ECANCELED)
        *ret = SKUA__FS_ELSEWHERE;
    return *ret != SKUA__FS_ELSEWHERE && *ret != -EINTR;
}

/* In tests: the first half of the first buffer, as in os_path.c. */
static void fring_shorten(struct skua__file_request *request, struct iovec *part)
{
    if (request->count < 1 || skua__fault_hit(SKUA__FAULT_SHORT) == 0)
        return;
    *part = request->iov[0];
    part->iov_len = (part->iov_len + 1) / 2;
    request->iov = part;
    request->count = 1;
}

bool skua__file_ring(struct skua_file *file, struct skua__file_request *request, int64_t *ret)
{
    struct skua__driver *driver = fring_driver();
    bool cursor = request->offset == SKUA__AT_CURSOR;
    struct iovec part;
    bool done;

    *ret = SKUA__FS_ELSEWHERE;
    if (driver == NULL)
        return false;
    request->fd = file->fd;
    request->offset = fring_offset(file, request);
    if (request->offset < 0)
        return false;
    fring_shorten(request, &part);
    do {
        done = fring_once(driver, request, ret);
    } while (!done && *ret == -EINTR);
    if (done && cursor && *ret > 0) {
        int64_t at = skua__os_file_seek(file->fd, request->offset + *ret, SKUA_SEEK_START);

        *ret = at < 0 ? at : *ret;
    }
    return done;
}
