/* drive_uring.c - the driver over io_uring: a ring per worker.
 *
 * The ring is made by whoever makes the runtime, disabled, and enabled by its worker, which alone
 * may touch it from then on (SINGLE_ISSUER). Flags from best to worst, by trying: DEFER_TASKRUN
 * (the kernel completes only when the worker asks: no interrupts of running tasks), COOP_TASKRUN,
 * none. Nothing is submitted while tasks run: one io_uring_enter a turn takes all that was queued.
 *
 * In flight  polls (readiness of a source, drive_source.c; those for reading stay armed), receives
 *            (completion, net/tcp), and what is done to files (fs/file_ring.c). A poll holds a
 *            reference of its source. The others belong to a fiber of this worker, which does not
 *            leave before they completed; so when the worker ends, only polls are left, and close
 *            lets go of their sources.
 * Probing    no kernel has these flags (5.18) and not the operations (5.6), so that those are not
 *            asked for one by one.
 * Set        raw descriptors are in an epoll set, made when the first is waited for. A poll of the
 *            set stays armed: when the kernel tells it, the set is asked who it was. A poll of the
 *            descriptor itself would keep its file open, and only this worker could end it.
 * Doorbell   a read of the eventfd, always in flight.
 * Trap       with DEFER_TASKRUN completions appear only in an enter that asks for events; a busy
 *            worker therefore looks at IORING_SQ_TASKRUN every turn of its loop.
 */
#ifdef SKUA_WITH_URING

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include "drive/drive_impl.h"

#define URING_ENTRIES 256
#define URING_COMPLETIONS 2048
#define URING_BATCH 64
#define URING_BYTES_MAX ((size_t)0x7ffff000) /* the kernel's own bound of a read or a write */

struct skua__uring {
    struct skua__driver driver;
    struct io_uring ring;    /* owner thread, from start on */
    struct skua__op bell;    /* the doorbell's read */
    uint64_t bell_count;     /* where it reads to */
    struct skua__op ignored; /* completions that nobody waits for: cancels */
    struct skua__node polls; /* in flight; owner thread */
    bool unwanted;           /* some of them are to be cancelled */
    bool ringing;            /* the doorbell's read is in flight */
    int guest_fd;            /* an epoll set of ring and doorbell; -1: not made yet */
    /* The epoll set of raw sources, or -1. Written once, by the owner thread, before the first of
     * them is enlisted (sources' lock); any thread that finds one on the list may read it. */
    int set;
    struct skua__op set_poll; /* the poll of it */
    bool set_polled;          /* … is in flight; owner thread */
};

static struct skua__uring *uring_of(struct skua__driver *driver)
{
    return skua__container(driver, struct skua__uring, driver);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void uring_ignore(struct skua__op *op, int result, bool more)
{
    (void)op;
    (void)result;
    (void)more;
}

static void uring_rang(struct skua__op *op, int result, bool more)
{
    (void)result;
    (void)more;
    skua__container(op, struct skua__uring, bell)->ringing = false;
}

static void uring_set_ready(struct skua__op *op, int result, bool more)
{
    struct skua__uring *uring = skua__container(op, struct skua__uring, set_poll);

    uring->set_polled = more;
    if (result > 0)
        (void)skua__epoll_drain(uring->set);
}

static int uring_setup(struct io_uring *ring)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    for (unsigned i = 0; rc == 0 && i < sizeof flags / sizeof flags[0]; i++) {
        struct io_uring_params params = {
            .flags =
                flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
            .cq_entries = URING_COMPLETIONS,
        };
        int setup = io_uring_queue_init_params(URING_ENTRIES, ring, &params);

        if (setup != -EINVAL)
            return setup;
    }
    return rc != 0 ? rc : -EINVAL;
}

static int uring_open(struct skua__driver **ret)
{
    struct skua__uring *uring = skua__os_alloc(sizeof *uring);
    int rc;

    if (uring == NULL)
        return -ENOMEM;
    rc = uring_setup(&uring->ring);
    if (rc != 0) {
        skua__os_free(uring);
        return rc;
    }
    uring->driver.ops = &skua__uring_ops;
    uring->guest_fd = -1;
    uring->driver.doorbell = skua__os_eventfd();
    if (uring->driver.doorbell < 0) {
        rc = uring->driver.doorbell;
        io_uring_queue_exit(&uring->ring);
        skua__os_free(uring);
        return rc;
    }
    skua__list_init(&uring->driver.sources);
    skua__list_init(&uring->polls);
    uring->bell.complete = uring_rang;
    uring->ignored.complete = uring_ignore;
    uring->set_poll.complete = uring_set_ready;
    uring->set = -1;
    *ret = &uring->driver;
    return 0;
}

static int uring_start(struct skua__driver *driver)
{
    /* io_uring_enable_rings is declared, but not exported, by liburing 2.3. */
    return io_uring_register((unsigned)uring_of(driver)->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
                             NULL, 0);
}

static void uring_close(struct skua__driver *driver)
{
    struct skua__uring *uring = uring_of(driver);
    struct skua__node *node;

    if (uring->guest_fd >= 0)
        skua__os_close(uring->guest_fd);
    io_uring_queue_exit(&uring->ring);
    while ((node = skua__list_pop(&uring->polls)) != NULL) {
        struct skua__poll_op *poll = skua__container(node, struct skua__poll_op, link);

        poll->op.complete(&poll->op, -ECANCELED, false);
    }
    skua__source_orphan(driver);
    if (uring->set >= 0)
        skua__os_close(uring->set);
    skua__os_close(driver->doorbell);
    skua__os_free(uring);
}

/* ---- submitting ------------------------------------------------------------------------------ */

/* Room for one more; the queue is sent off when it is full. NULL when the kernel takes no more. */
static struct io_uring_sqe *uring_sqe(struct skua__uring *uring)
{
    struct io_uring_sqe *sqe;

    if (skua__fault_hit(SKUA__FAULT_RING) != 0)
        return NULL;
    sqe = io_uring_get_sqe(&uring->ring);
    if (skua__likely(sqe != NULL))
        return sqe;
    (void)io_uring_submit(&uring->ring);
    return io_uring_get_sqe(&uring->ring);
}

static void uring_arm_bell(struct skua__uring *uring)
{
    struct io_uring_sqe *sqe = uring->ringing ? NULL : uring_sqe(uring);

    if (sqe == NULL)
        return;
    io_uring_prep_read(sqe, uring->driver.doorbell, &uring->bell_count, sizeof uring->bell_count,
                       0);
    io_uring_sqe_set_data(sqe, &uring->bell);
    uring->ringing = true;
}

static void uring_arm_set(struct skua__uring *uring)
{
    struct io_uring_sqe *sqe = uring->set < 0 || uring->set_polled ? NULL : uring_sqe(uring);

    if (sqe == NULL)
        return; /* mostly: nothing to arm; or no room: see uring_turn */
    io_uring_prep_poll_multishot(sqe, uring->set, POLLIN);
    io_uring_sqe_set_data(sqe, &uring->set_poll);
    uring->set_polled = true;
}

static int uring_watch_raw(struct skua__uring *uring, struct skua__source *source)
{
    if (uring->set < 0) {
        int set = skua__os_epoll_open();

        if (set < 0)
            return set;
        uring->set = set;
    }
    return skua__epoll_add(&uring->driver, uring->set, source); /* the turn arms the poll */
}

/* Of raw sources: their set is still there, see source_unwatch. Of others the poll ends. */
static void uring_unwatch(struct skua__source *source)
{
    skua__epoll_remove(uring_of(skua__load_relaxed(&source->driver))->set, source);
}

static int uring_watch(struct skua__driver *driver, struct skua__source *source, unsigned direction)
{
    struct skua__uring *uring = uring_of(driver);
    struct io_uring_sqe *sqe;
    uint32_t idle = 0;
    bool closed;

    if (source->raw)
        return uring_watch_raw(uring, source);
    if (!skua__cas_strong_seq(&source->polling[direction], &idle, 1))
        return 0; /* in flight already, in this ring or another */
    skua__add_seq(&source->in_flight, 1);
    /* The closer sets CLOSED and then looks at in_flight; this side the other way round. */
    closed = (skua__load_seq(&source->ready) & skua__source_closed_bit(direction)) != 0;
    sqe = closed ? NULL : uring_sqe(uring);
    if (sqe == NULL) {
        skua__sub_seq(&source->in_flight, 1);
        skua__store_seq(&source->polling[direction], 0);
        return closed ? SKUA_ECLOSED : -ENOBUFS;
    }
    skua__source_ref(source);
    if (direction == SKUA__READ)
        io_uring_prep_poll_multishot(sqe, source->fd, POLLIN | POLLRDHUP);
    else
        io_uring_prep_poll_add(sqe, source->fd, POLLOUT);
    io_uring_sqe_set_data(sqe, &source->polls[direction].op);
    source->polls[direction].unwanted = false;
    skua__list_push(&uring->polls, &source->polls[direction].link);
    return 0;
}

static int uring_recv(struct skua__driver *driver, struct skua__op *op, int fd, void *buf,
                      size_t len)
{
    struct io_uring_sqe *sqe = uring_sqe(uring_of(driver));

    if (sqe == NULL)
        return -EAGAIN;
    io_uring_prep_recv(sqe, fd, buf, len, 0);
    io_uring_sqe_set_data(sqe, op);
    return 0;
}

static void uring_prep_transfer(struct io_uring_sqe *sqe, const struct skua__file_request *request)
{
    const struct iovec *iov = request->iov;
    unsigned count = (unsigned)request->count;
    uint64_t offset = (uint64_t)request->offset;
    unsigned len = (unsigned)skua__min_size(iov->iov_len, URING_BYTES_MAX);
    bool reads = request->call == SKUA__FILE_READS;

    if (count == 1 && reads)
        io_uring_prep_read(sqe, request->fd, iov->iov_base, len, offset);
    else if (count == 1)
        io_uring_prep_write(sqe, request->fd, iov->iov_base, len, offset);
    else if (reads)
        io_uring_prep_readv(sqe, request->fd, iov, count, offset);
    else
        io_uring_prep_writev(sqe, request->fd, iov, count, offset);
}

static int uring_file(struct skua__driver *driver, struct skua__op *op,
                      const struct skua__file_request *request)
{
    struct io_uring_sqe *sqe = uring_sqe(uring_of(driver));

    if (sqe == NULL)
        return -EAGAIN;
    if (request->call == SKUA__FILE_READS || request->call == SKUA__FILE_WRITES)
        uring_prep_transfer(sqe, request);
    else
        io_uring_prep_fsync(sqe, request->fd,
                            request->call == SKUA__FILE_SYNCS ? 0 : IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data(sqe, op);
    return 0;
}

/* ---- the turn -------------------------------------------------------------------------------- */

struct uring_done {
    struct skua__op *op;
    int result;
    bool more;
};

/* Fetches ahead what the completions will touch, for the whole batch: a source and its reader, or
 * the stack that a lent receive's operation is on. */
static void uring_warm(const struct uring_done *done, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        __builtin_prefetch(done[i].op, 1);
    for (unsigned i = 0; i < count; i++) {
        struct skua__source *source = skua__source_of_reader(done[i].op);

        if (source != NULL)
            __builtin_prefetch(source, 1);
        for (unsigned line = 1; source == NULL && line < 6; line++)
            __builtin_prefetch((const char *)done[i].op + line * SKUA__CACHE_LINE, 1);
    }
    for (unsigned i = 0; i < count; i++) {
        struct skua__source *source = skua__source_of_reader(done[i].op);

        if (source != NULL)
            skua__waker_warm(skua__load_relaxed(&source->waiter[SKUA__READ]), /* hints */
                             skua__load_relaxed(&source->reader_stack));
    }
}

static int uring_reap(struct skua__uring *uring)
{
    struct io_uring_cqe *batch[URING_BATCH];
    struct uring_done done[URING_BATCH];
    unsigned count;
    int told = 0;

    while ((count = io_uring_peek_batch_cqe(&uring->ring, batch, URING_BATCH)) != 0) {
        /* Copied first: a completion may submit, and must not find the queue half read. */
        for (unsigned i = 0; i < count; i++)
            done[i] = (struct uring_done){.op = io_uring_cqe_get_data(batch[i]),
                                          .result = batch[i]->res,
                                          .more = (batch[i]->flags & IORING_CQE_F_MORE) != 0};
        io_uring_cq_advance(&uring->ring, count);
        if (count > 1)
            uring_warm(done, count);
        for (unsigned i = 0; i < count; i++) {
            told += done[i].op != &uring->bell && done[i].op != &uring->ignored;
            done[i].op->complete(done[i].op, done[i].result, done[i].more);
        }
    }
    return told;
}

/* The kernel takes nothing more for want of memory, or for completions that nobody has taken. Those
 * are taken in a turn, and only there: on its own stack, and not in the middle of others. */
static int uring_cancel(struct skua__driver *driver, struct skua__op *op)
{
    struct skua__uring *uring = uring_of(driver);
    struct skua__source *source = skua__source_of_reader(op);
    struct io_uring_sqe *sqe = uring_sqe(uring);

    if (source != NULL) {
        source->polls[SKUA__READ].unwanted = sqe == NULL;
        uring->unwanted |= sqe == NULL;
    }
    if (sqe == NULL)
        return -EAGAIN;
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data(sqe, &uring->ignored);
    return 0;
}

/* Polls that found no room for their cancel. */
static SKUA__COLD void uring_cancel_again(struct skua__uring *uring)
{
    struct skua__node *node = uring->polls.next;

    uring->unwanted = false;
    for (; node != &uring->polls && !uring->unwanted; node = node->next) {
        struct skua__poll_op *poll = skua__container(node, struct skua__poll_op, link);

        if (poll->unwanted)
            (void)uring_cancel(&uring->driver, &poll->op);
    }
}

static void uring_enter(struct skua__uring *uring, int64_t timeout_ns)
{
    struct __kernel_timespec until = {.tv_sec = timeout_ns / 1000000000,
                                      .tv_nsec = timeout_ns % 1000000000};
    struct io_uring_cqe *first;

    if (timeout_ns == INT64_MAX)
        (void)io_uring_submit_and_wait(&uring->ring, 1);
    else if (timeout_ns != 0)
        (void)io_uring_submit_and_wait_timeout(&uring->ring, &first, 1, &until, NULL);
    else if (io_uring_sq_ready(&uring->ring) != 0 ||
             IO_URING_READ_ONCE(*uring->ring.sq.kflags) &
                 (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
        (void)io_uring_submit_and_get_events(&uring->ring);
}

static int uring_turn(struct skua__driver *driver, int64_t timeout_ns)
{
    struct skua__uring *uring = uring_of(driver);

    uring_arm_bell(uring);
    uring_arm_set(uring);
    if (skua__unlikely(uring->unwanted))
        uring_cancel_again(uring);
    /* What has found no room is tried again at once: a wait might have no end without it. */
    if (skua__unlikely(!uring->ringing || uring->unwanted ||
                       (uring->set >= 0 && !uring->set_polled)))
        timeout_ns = 0;
    skua__os_let_signals_in();
    uring_enter(uring, timeout_ns);
    skua__os_let_signals_in();
    return uring_reap(uring);
}

static void uring_unpark(struct skua__driver *driver)
{
    skua__os_eventfd_add(driver->doorbell);
}

/* The ring alone does not do: its doorbell is read by a request, which may not be in flight. */
static int uring_descriptor(struct skua__driver *driver)
{
    struct skua__uring *uring = uring_of(driver);
    int fds[2] = {uring->ring.ring_fd, driver->doorbell};

    if (uring->guest_fd < 0) {
        int fd = skua__os_epoll_any(fds, 2);

        if (fd < 0)
            return fd;
        uring->guest_fd = fd;
    }
    return uring->guest_fd;
}

const struct skua__driver_ops skua__uring_ops = {
    .park = {.name = "io_uring", .turn = uring_turn, .unpark = uring_unpark},
    .open = uring_open,
    .start = uring_start,
    .close = uring_close,
    .descriptor = uring_descriptor,
    .watch = uring_watch,
    .unwatch = uring_unwatch,
    .recv = uring_recv,
    .cancel = uring_cancel,
    .file = uring_file,
};

#undef URING_ENTRIES
#undef URING_COMPLETIONS
#undef URING_BATCH
#undef URING_BYTES_MAX

#endif
