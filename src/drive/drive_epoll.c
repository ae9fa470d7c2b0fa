/* drive_epoll.c - the driver over epoll.
 *
 * A source is added once, edge-triggered for both directions, when a task first waits for it, and
 * stays until it is closed: one epoll_ctl a connection. The doorbell is edge-triggered too: each
 * write to the eventfd is an edge, so nobody ever reads it.
 *
 * Trap       an event of a turn may name a source that was closed earlier in the same turn by
 *            another worker. Sources are type-stable (net/): a late tell only sets bits of a
 *            stranger, whose next try says "would block" and clears them, HANGUP, too.
 */
#include <sys/epoll.h>

#include "drive/drive_impl.h"

#define EPOLL_BATCH 256
#define EPOLL_DRAIN_BATCH 32

struct skua__epoll {
    struct skua__driver driver;
    int fd;                                 /* constant */
    struct epoll_event events[EPOLL_BATCH]; /* owner thread */
};

static struct skua__epoll *epoll_of(struct skua__driver *driver)
{
    return skua__container(driver, struct skua__epoll, driver);
}

static void epoll_free(struct skua__epoll *epoll)
{
    if (epoll->driver.doorbell >= 0)
        skua__os_close(epoll->driver.doorbell);
    if (epoll->fd >= 0)
        skua__os_close(epoll->fd);
    skua__os_free(epoll);
}

static int epoll_open(struct skua__driver **ret)
{
    struct skua__epoll *epoll = skua__os_alloc(sizeof *epoll);
    int rc;

    if (epoll == NULL)
        return -ENOMEM;
    epoll->driver.ops = &skua__epoll_ops;
    skua__list_init(&epoll->driver.sources);
    epoll->fd = skua__os_epoll_open();
    epoll->driver.doorbell = epoll->fd < 0 ? -1 : skua__os_eventfd();
    rc = epoll->fd < 0 ? epoll->fd : epoll->driver.doorbell;
    if (rc >= 0)
        rc = skua__os_epoll_ctl(epoll->fd, EPOLL_CTL_ADD, epoll->driver.doorbell, EPOLLIN | EPOLLET,
                                NULL);
    if (rc < 0) {
        epoll_free(epoll);
        return rc;
    }
    *ret = &epoll->driver;
    return 0;
}

static int epoll_start(struct skua__driver *driver)
{
    (void)driver; /* any thread may wait in it */
    return 0;
}

static void epoll_close(struct skua__driver *driver)
{
    skua__source_orphan(driver);
    epoll_free(epoll_of(driver));
}

static uint32_t epoll_bits(uint32_t events)
{
    uint32_t bits = 0;

    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        bits |= SKUA__READABLE;
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        bits |= SKUA__HANGUP;
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        bits |= SKUA__WRITABLE;
    return bits;
}

/* Fetches ahead what waking the events' readers will touch, for the whole batch. Relaxed: hints. */
static void epoll_warm(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++)
        __builtin_prefetch(events[i].data.ptr, 1);
    for (int i = 0; i < count; i++) {
        struct skua__source *source = events[i].data.ptr;

        if (source != NULL)
            skua__waker_warm(skua__load_relaxed(&source->waiter[SKUA__READ]),
                             skua__load_relaxed(&source->reader_stack));
    }
}

static int epoll_turn(struct skua__driver *driver, int64_t timeout_ns)
{
    struct skua__epoll *epoll = epoll_of(driver);
    int count = skua__os_epoll_wait(epoll->fd, epoll->events, EPOLL_BATCH, timeout_ns);
    int told = 0;

    if (count > 1)
        epoll_warm(epoll->events, count);
    for (int i = 0; i < count; i++) {
        struct skua__source *source = epoll->events[i].data.ptr;

        if (source == NULL)
            continue; /* the doorbell */
        skua__source_tell(source, epoll_bits(epoll->events[i].events));
        told++;
    }
    return told;
}

static void epoll_unpark(struct skua__driver *driver)
{
    skua__os_eventfd_add(driver->doorbell);
}

static int epoll_descriptor(struct skua__driver *driver)
{
    return epoll_of(driver)->fd;
}

int skua__epoll_drain(int set)
{
    struct epoll_event events[EPOLL_DRAIN_BATCH];
    int told = 0;
    int count;

    do {
        count = skua__os_epoll_wait(set, events, EPOLL_DRAIN_BATCH, 0);
        for (int i = 0; i < count; i++)
            skua__source_tell(events[i].data.ptr, epoll_bits(events[i].events));
        told += count > 0 ? count : 0;
    } while (count == EPOLL_DRAIN_BATCH || count == -EINTR);
    return told;
}

int skua__epoll_add(struct skua__driver *driver, int set, struct skua__source *source)
{
    int rc;

    if (!skua__source_enlist(source, driver))
        return 0;
    rc = skua__os_epoll_ctl(set, EPOLL_CTL_ADD, source->fd,
                            EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, source);
    if (rc < 0) {
        skua__source_enlist(source, NULL);
        /* Who waits in the other direction was told that it is watched: it is to try again. */
        skua__source_tell(source, SKUA__READABLE | SKUA__WRITABLE);
    }
    return rc;
}

void skua__epoll_remove(int set, struct skua__source *source)
{
    (void)skua__os_epoll_ctl(set, EPOLL_CTL_DEL, source->fd, 0, NULL);
}

static int epoll_watch(struct skua__driver *driver, struct skua__source *source, unsigned direction)
{
    (void)direction; /* both at once */
    return skua__epoll_add(driver, epoll_of(driver)->fd, source);
}

/* The set is still there: see source_unwatch. */
static void epoll_unwatch(struct skua__source *source)
{
    skua__epoll_remove(epoll_of(skua__load_relaxed(&source->driver))->fd, source);
}

const struct skua__driver_ops skua__epoll_ops = {
    .park = {.name = "epoll", .turn = epoll_turn, .unpark = epoll_unpark},
    .open = epoll_open,
    .start = epoll_start,
    .close = epoll_close,
    .descriptor = epoll_descriptor,
    .watch = epoll_watch,
    .unwatch = epoll_unwatch,
};

#undef EPOLL_BATCH
#undef EPOLL_DRAIN_BATCH
