/* drive_kqueue.c - the driver over kqueue (FreeBSD's kqueue(2), macOS's kevent(2)).
 *
 * A source is added once, edge-triggered (EV_CLEAR), with one filter for each direction, when a
 * task first waits for it, and stays until it is closed: one kevent() a connection. Raw sources
 * are added in the same way: a kqueue keeps no file open, and any thread may delete from it. The
 * doorbell is an EVFILT_USER, which takes no descriptor.
 *
 * One way    what can only be read is refused for writing by some systems, and the other way round
 *            (a pipe's end). So a raw source is watched when the direction that was asked for is;
 *            the refusal of the other is kept, and told to whoever waits for that. Of a socket
 *            both are to be had, or what is there is undone.
 * End        EV_EOF on the reading filter is a HANGUP; on the writing filter it says that a write
 *            will fail, which is worth a try. An error of the socket (fflags) shows itself then.
 * Trap       an event of a turn may name a source that was closed earlier in the same turn: see
 *            drive_epoll.c. Closing a descriptor would delete its filters, too, but after that its
 *            number may be somebody else's: so they are deleted first.
 */
#ifdef SKUA_WITH_KQUEUE

#include <sys/event.h>

#include "drive/drive_impl.h"

#define KQUEUE_BATCH 256

struct skua__kqueue {
    struct skua__driver driver;
    int fd;                             /* constant */
    struct kevent events[KQUEUE_BATCH]; /* owner thread */
};

static struct skua__kqueue *kqueue_of(struct skua__driver *driver)
{
    return skua__container(driver, struct skua__kqueue, driver);
}

static int kqueue_open(struct skua__driver **ret)
{
    struct skua__kqueue *kq = skua__os_alloc(sizeof *kq);
    int rc;

    if (kq == NULL)
        return -ENOMEM;
    kq->driver.ops = &skua__kqueue_ops;
    kq->driver.doorbell = -1;
    skua__list_init(&kq->driver.sources);
    kq->fd = skua__os_kqueue_open();
    rc = kq->fd < 0 ? kq->fd : skua__os_kqueue_hang_bell(kq->fd);
    if (rc < 0) {
        if (kq->fd >= 0)
            skua__os_close(kq->fd);
        skua__os_free(kq);
        return rc;
    }
    *ret = &kq->driver;
    return 0;
}

static int kqueue_start(struct skua__driver *driver)
{
    (void)driver; /* any thread may wait in it */
    return 0;
}

static void kqueue_close(struct skua__driver *driver)
{
    skua__source_orphan(driver);
    skua__os_close(kqueue_of(driver)->fd);
    skua__os_free(kqueue_of(driver));
}

static uint32_t kqueue_bits(const struct kevent *event)
{
    if (event->flags & EV_ERROR)
        return SKUA__READABLE | SKUA__WRITABLE; /* whatever it is shows itself when tried */
    if (event->filter == EVFILT_WRITE)
        return SKUA__WRITABLE;
    return event->flags & EV_EOF ? SKUA__READABLE | SKUA__HANGUP : SKUA__READABLE;
}

/* Fetches ahead what waking the events' readers will touch, as epoll_warm. Relaxed: hints. */
static void kqueue_warm(const struct kevent *events, int count)
{
    for (int i = 0; i < count; i++)
        __builtin_prefetch((const void *)events[i].udata, 1);
    for (int i = 0; i < count; i++) {
        struct skua__source *source = (struct skua__source *)events[i].udata;

        if (source != NULL && events[i].filter == EVFILT_READ)
            skua__waker_warm(skua__load_relaxed(&source->waiter[SKUA__READ]),
                             skua__load_relaxed(&source->reader_stack));
    }
}

static int kqueue_turn(struct skua__driver *driver, int64_t timeout_ns)
{
    struct skua__kqueue *kq = kqueue_of(driver);
    int count = skua__os_kqueue_wait(kq->fd, kq->events, KQUEUE_BATCH, timeout_ns);
    int told = 0;

    if (count > 1)
        kqueue_warm(kq->events, count);
    for (int i = 0; i < count; i++) {
        struct skua__source *source = (struct skua__source *)kq->events[i].udata;

        if (source == NULL)
            continue; /* the doorbell */
        skua__source_tell(source, kqueue_bits(&kq->events[i]));
        told++;
    }
    return told;
}

static void kqueue_unpark(struct skua__driver *driver)
{
    skua__os_kqueue_ring(kqueue_of(driver)->fd);
}

static int kqueue_descriptor(struct skua__driver *driver)
{
    return skua__os_kqueue_descriptor(kqueue_of(driver)->fd);
}

/* A refusal that is about the direction, and will be the same next time. */
static bool kqueue_one_way(const struct skua__source *source, int error)
{
    return source->raw && (error == -EINVAL || error == -EPIPE || error == -ENODEV ||
                           error == -EPERM || error == -ENOTSUP);
}

/* Of raw sources alone: a socket's `polling` may be in use by the ring of another runtime. */
static void kqueue_keep(struct skua__source *source, const int errors[2])
{
    for (unsigned i = 0; source->raw && i < 2; i++)
        skua__store_seq(&source->polling[i], (uint32_t)-errors[i]);
}

static int kqueue_refusal(struct skua__source *source, unsigned direction)
{
    return source->raw ? -(int)skua__load_seq(&source->polling[direction]) : 0;
}

static int kqueue_watch(struct skua__driver *driver, struct skua__source *source,
                        unsigned direction)
{
    unsigned other = 1 - direction;
    int errors[2];

    /* Who comes between the listing and the end of this is told below, if it is not watched. */
    if (!skua__source_enlist(source, driver))
        return kqueue_refusal(source, direction);
    skua__os_kqueue_add(kqueue_of(driver)->fd, source->fd, source, errors);
    if (errors[direction] == 0 && (errors[other] == 0 || kqueue_one_way(source, errors[other]))) {
        kqueue_keep(source, errors);
        if (errors[other] != 0)
            skua__source_tell(source, other == SKUA__READ ? SKUA__READABLE : SKUA__WRITABLE);
        return 0;
    }
    skua__os_kqueue_remove(kqueue_of(driver)->fd, source->fd);
    skua__source_enlist(source, NULL);
    skua__source_tell(source, SKUA__READABLE | SKUA__WRITABLE);
    return errors[direction] != 0 ? errors[direction] : errors[other];
}

/* The queue is still there: see source_unwatch. */
static void kqueue_unwatch(struct skua__source *source)
{
    skua__os_kqueue_remove(kqueue_of(skua__load_relaxed(&source->driver))->fd, source->fd);
}

const struct skua__driver_ops skua__kqueue_ops = {
    .park = {.name = "kqueue", .turn = kqueue_turn, .unpark = kqueue_unpark},
    .open = kqueue_open,
    .start = kqueue_start,
    .close = kqueue_close,
    .descriptor = kqueue_descriptor,
    .watch = kqueue_watch,
    .unwatch = kqueue_unwatch,
};

#undef KQUEUE_BATCH

#endif
