/* drive_source.c - readiness: a descriptor's bits, and who waits for them.
 *
 * Flow       a leaf future tries its system call while a ready bit is set; "would block" clears
 *            the bit; skua__source_poll leaves the waker; the driver tells; the waker is woken.
 * Handshake  poll: leaves the waker, then looks at the bits again. tell: sets the bits, then takes
 *            the waker. Both sequentially consistent: at least one sees the other.
 * Changes    every tell adds one to a count beside the bits. A task that saw "would block" clears
 *            its bit only if the count is what it was before the system call: a change that came
 *            in between is not lost (edge-triggered epoll tells it only once).
 * Waking     whoever wakes puts WAKING in the waker's place meanwhile. Who takes a waker back, or
 *            wants the place, waits that out (a wake is a few instructions): so a task, and the
 *            runtime that it belongs to, are there until its wake is done, whoever's thread that
 *            is.
 * Close      sets CLOSED bits, which are bits like the others: waiters wake, poll and see it. The
 *            descriptor is closed with the last reference, so that its number cannot be taken by a
 *            stranger while a task is about to use it.
 * Forks      in the child of a fork its parent's sources have a lower count of forks. The sets, the
 *            sockets and the tasks are the parent's: a close there takes nothing out of a set,
 *            shuts nothing down and wakes nobody.
 */
#include <poll.h>

#include "drive/drive_impl.h"

static struct skua__lock source_lock; /* every driver's list of sources, and source->driver */

static void source_read_poll_done(struct skua__op *op, int result, bool more);
static void source_write_poll_done(struct skua__op *op, int result, bool more);

static _Atomic uint8_t source_forks; /* so far; relaxed: changed while there is one thread */

static void source_forked(void)
{
    skua__add_relaxed(&source_forks, 1);
}

void skua__source_fork(void)
{
    static _Atomic uint32_t minded; /* once; relaxed: whoever is late has nothing to see */
    uint32_t no = 0;

    skua__os_lock_over_fork(&source_lock);
    if (skua__cas_strong_acq_rel(&minded, &no, 1))
        (void)skua__os_at_fork(NULL, NULL, source_forked); /* no memory: none for a fork either */
}

static bool source_is_parents(const struct skua__source *source)
{
    return skua__unlikely(source->forks != skua__load_relaxed(&source_forks));
}

void skua__source_init(struct skua__source *source, int fd,
                       void (*release)(struct skua__source *source))
{
    source->fd = fd;
    /* Ready until a system call says otherwise: trying costs less than asking. */
    skua__store_relaxed(&source->ready, SKUA__READABLE | SKUA__WRITABLE);
    for (unsigned i = 0; i < 2; i++) {
        skua__store_relaxed(&source->waiter[i], NULL);
        skua__store_relaxed(&source->polling[i], 0);
        source->polls[i].link.next = NULL;
    }
    source->polls[SKUA__READ].op.complete = source_read_poll_done;
    source->polls[SKUA__WRITE].op.complete = source_write_poll_done;
    skua__store_relaxed(&source->in_flight, 0);
    skua__store_relaxed(&source->reader_stack, NULL);
    skua__store_relaxed(&source->driver, NULL);
    source->watched.next = NULL;
    source->release = release;
    source->leave = NULL;
    source->raw = false;
    source->forks = skua__load_relaxed(&source_forks);
    /* Release: who comes late and takes a reference on a slot that is in use again sees all this.
     */
    skua__store_release(&source->refs, 1);
}

static void source_wake(struct skua__source *source, unsigned direction)
{
    skua_waker *waker = skua__load_seq(&source->waiter[direction]);

    do {
        /* Mostly NULL: one side of a stream waits. WAKING: the task looks at the bits again when
         * it wants the place again, and finds ours. */
        if (waker == NULL || waker == SKUA__WAKING)
            return;
    } while (!skua__cas_strong_seq(&source->waiter[direction], &waker, SKUA__WAKING));
    skua_waker_wake(waker);
    skua_waker_unref(waker);
    /* Release pairs with source_settle: the wake is done. */
    skua__store_release(&source->waiter[direction], NULL);
}

/* Waits until nobody is in the middle of waking. */
static void source_settle(struct skua__source *source, unsigned direction)
{
    while (skua__load_acquire(&source->waiter[direction]) == SKUA__WAKING)
        skua__os_thread_yield();
}

static void source_mark(struct skua__source *source, uint32_t bits)
{
    uint32_t ready = skua__load_relaxed(&source->ready); /* the CAS synchronises */

    while (!skua__cas_strong_seq(&source->ready, &ready, (ready | bits) + SKUA__CHANGE))
        continue;
}

void skua__source_tell(struct skua__source *source, uint32_t bits)
{
    source_mark(source, bits);
    if (bits & (SKUA__READABLE | SKUA__HANGUP | SKUA__CLOSED_READ))
        source_wake(source, SKUA__READ);
    if (bits & (SKUA__WRITABLE | SKUA__CLOSED_WRITE))
        source_wake(source, SKUA__WRITE);
}

bool skua__source_close(struct skua__source *source, uint32_t directions)
{
    int how = directions == SKUA__CLOSED         ? SKUA__SHUT_BOTH
              : directions == SKUA__CLOSED_WRITE ? SKUA__SHUT_WRITE
                                                 : SKUA__SHUT_READ;

    if ((skua__load_relaxed(&source->ready) & directions) == directions)
        return false;
    if (source_is_parents(source)) {
        source_mark(source, directions);
        return true;
    }
    skua__source_tell(source, directions);
    /* An operation in a ring keeps the file open; only a shutdown ends it, wherever the ring is.
     * Who starts one after this saw none sees CLOSED: see skua__source_fly. */
    if (skua__load_seq(&source->in_flight) != 0)
        (void)skua__os_shutdown(source->fd, how);
    return true;
}

/* The closer sets CLOSED and then looks at in_flight; this side the other way round. All four are
 * sequentially consistent: at least one sees the other. A look at CLOSED that only acquires could
 * be older than our count, the closer's look too, and the operation would never end. */
bool skua__source_fly(struct skua__source *source, unsigned direction)
{
    skua__add_seq(&source->in_flight, 1);
    if (!(skua__load_seq(&source->ready) & skua__source_closed_bit(direction)))
        return true;
    skua__source_land(source);
    return false;
}

void skua__source_land(struct skua__source *source)
{
    /* Relaxed: at worst a close shuts down what nobody waits for any more. */
    skua__sub_relaxed(&source->in_flight, 1);
}

/* Nobody has a reference any more. The system call is made without the lock. Off the list, the
 * source is nobody's but ours: nobody enlists what nobody has, and an orphaning goes by the list.
 * The driver, whose set is needed, is kept by `leaving`: it ends only when that is 0, and counts
 * up only under the lock, for what is on its list. */
static void source_unwatch(struct skua__source *source)
{
    struct skua__driver *driver;

    skua__os_lock_over_fork(&source_lock); /* there may not have been a driver yet */
    skua__lock_take(&source_lock);
    driver = skua__load_relaxed(&source->driver); /* under the lock */
    if (driver != NULL) {
        skua__node_unlink(&source->watched);
        skua__add_relaxed(&driver->leaving, 1); /* the lock orders it */
    }
    skua__lock_drop(&source_lock);
    if (driver == NULL)
        return;
    if (!source_is_parents(source))
        driver->ops->unwatch(source);
    skua__store_relaxed(&source->driver, NULL);
    /* Our last touch; release pairs with the acquire in skua__source_orphan. */
    skua__sub_acq_rel(&driver->leaving, 1);
}

void skua__source_unref(struct skua__source *source)
{
    if (skua__sub_acq_rel(&source->refs, 1) != 1)
        return;
    source_unwatch(source);
    if (source->leave != NULL)
        source->leave(source);
    if (source->fd >= 0)
        skua__os_close(source->fd);
    source->release(source);
}

int skua__source_take(struct skua__source *source)
{
    uint32_t mine = 1;
    int fd = source->fd;

    if (!skua__cas_strong_acq_rel(&source->refs, &mine, 0))
        return -EBUSY;
    source_unwatch(source);
    if (source->leave != NULL)
        source->leave(source);
    source->release(source);
    return fd;
}

void skua__source_drained(struct skua__source *source, uint32_t bits, uint32_t seen)
{
    /* A failure means that something changed: then it is worth another try. */
    skua__cas_strong_acq_rel(&source->ready, &seen, seen & ~bits);
}

/* After the waker was left: has something come in between? Then it is taken back. */
static int source_recheck(struct skua__source *source, unsigned direction, skua_waker *waker,
                          uint32_t wanted)
{
    uint32_t ready = skua__load_seq(&source->ready);

    uint32_t closed = skua__source_closed_bit(direction);

    if (!(ready & (wanted | closed)))
        return 0;
    skua__source_forget(source, direction, waker);
    return ready & closed ? SKUA_ECLOSED : 1;
}

int skua__source_claim(struct skua__source *source, unsigned direction, skua_waker *waker)
{
    skua_waker *before = NULL;

    skua_waker_ref(waker);
    while (!skua__cas_strong_seq(&source->waiter[direction], &before, waker)) {
        if (before != SKUA__WAKING) {
            skua_waker_unref(waker);
            return before == waker ? 0 : -EBUSY;
        }
        source_settle(source, direction);
        before = NULL;
    }
    return 0;
}

int skua__source_poll(struct skua__source *source, unsigned direction, skua_waker *waker)
{
    uint32_t wanted = direction == SKUA__READ ? SKUA__READABLE | SKUA__HANGUP : SKUA__WRITABLE;
    uint32_t ready = skua__load_acquire(&source->ready);
    struct skua__driver *driver = skua__thread_self()->driver;
    int rc;

    if (ready & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    if (ready & wanted)
        return 1;
    rc = skua__source_claim(source, direction, waker);
    if (rc != 0)
        return rc;
    if (direction == SKUA__READ)
        skua__store_relaxed(&source->reader_stack, __builtin_frame_address(0));
    rc = source_recheck(source, direction, waker, wanted);
    if (rc != 0)
        return rc;
    rc = driver->ops->watch(driver, source, direction);
    if (rc < 0)
        skua__source_forget(source, direction, waker);
    return rc;
}

void skua__source_forget(struct skua__source *source, unsigned direction, skua_waker *waker)
{
    skua_waker *kept = skua__load_seq(&source->waiter[direction]);

    if (kept != waker && kept != SKUA__WAKING)
        return; /* mostly: whoever woke it has taken it */
    kept = waker;
    if (skua__cas_strong_seq(&source->waiter[direction], &kept, NULL))
        skua_waker_unref(waker);
    else if (kept == SKUA__WAKING)
        source_settle(source, direction);
}

/* ---- epoll's list ---------------------------------------------------------------------------- */

bool skua__source_enlist(struct skua__source *source, struct skua__driver *driver)
{
    bool first;

    /* Mostly it is there. A driver that is about to end tells all its waiters after it has taken
     * them off: this one has left its waker before. Both are sequential. */
    if (driver != NULL && skua__load_seq(&source->driver) != NULL)
        return false;
    skua__lock_take(&source_lock);
    first = skua__load_relaxed(&source->driver) == NULL; /* under the lock */
    if (driver == NULL && !first) {
        skua__node_unlink(&source->watched);
        skua__store_seq(&source->driver, NULL);
    } else if (driver != NULL && first) {
        skua__store_seq(&source->driver, driver);
        skua__list_push(&driver->sources, &source->watched);
    }
    skua__lock_drop(&source_lock);
    return first;
}

void skua__source_orphan(struct skua__driver *driver)
{
    struct skua__source *source;
    struct skua__node *node;
    bool held;

    do {
        held = false;
        source = NULL;
        skua__lock_take(&source_lock);
        node = skua__list_pop(&driver->sources);
        if (node != NULL) {
            source = skua__container(node, struct skua__source, watched);
            skua__store_seq(&source->driver, NULL);
            held = skua__source_ref_alive(source); /* or it is on its way out */
        }
        skua__lock_drop(&source_lock);
        /* Tasks of other runtimes that wait for it try again, and find a driver of their own. */
        if (held) {
            skua__source_tell(source, SKUA__READABLE | SKUA__WRITABLE);
            skua__source_unref(source);
        }
    } while (node != NULL);
    /* Those that were off the list before: one system call each. */
    while (skua__load_acquire(&driver->leaving) != 0)
        skua__os_thread_yield();
}

/* ---- io_uring's polls ------------------------------------------------------------------------ */

static uint32_t source_poll_bits(int result)
{
    uint32_t bits = 0;

    if (result & (POLLIN | POLLERR | POLLHUP | POLLRDHUP))
        bits |= SKUA__READABLE;
    if (result & (POLLERR | POLLHUP | POLLRDHUP))
        bits |= SKUA__HANGUP;
    return bits;
}

static void source_poll_done(struct skua__source *source, unsigned direction)
{
    struct skua__node *link = &source->polls[direction].link;

    if (skua__node_linked(link))
        skua__node_unlink(link);
    skua__sub_seq(&source->in_flight, 1);
    skua__store_seq(&source->polling[direction], 0);
    /* Whatever ended it shows itself when the task tries. */
    skua__source_tell(source, direction == SKUA__READ ? SKUA__READABLE : SKUA__WRITABLE);
    skua__source_unref(source);
}

/* The poll for reading stays armed, like an edge of epoll, until the kernel or we end it. It is
 * ended when the reader has closed, whose shutdown brought us here, and when the connection is
 * dead: nothing would bring us here at its close. */
static void source_read_poll_done(struct skua__op *op, int result, bool more)
{
    struct skua__source *source = skua__container(op, struct skua__source, polls[SKUA__READ].op);

    if (!more) {
        source_poll_done(source, SKUA__READ);
        return;
    }
    skua__source_tell(source, source_poll_bits(result));
    if (result & (POLLERR | POLLHUP) ||
        skua__load_seq(&source->ready) & SKUA__CLOSED_READ) { /* set before that shutdown */
        struct skua__driver *driver = skua__thread_self()->driver;

        (void)driver->ops->cancel(driver, op); /* now, or in a later turn */
    }
}

struct skua__source *skua__source_of_reader(struct skua__op *op)
{
    return op->complete == source_read_poll_done
               ? skua__container(op, struct skua__source, polls[SKUA__READ].op)
               : NULL;
}

static void source_write_poll_done(struct skua__op *op, int result, bool more)
{
    (void)result;
    (void)more; /* armed once */
    source_poll_done(skua__container(op, struct skua__source, polls[SKUA__WRITE].op), SKUA__WRITE);
}
