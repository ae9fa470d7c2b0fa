/* drive_impl.h - drivers: how a worker waits for the kernel, and how a task waits for a descriptor.
 *
 * A driver belongs to one worker: an epoll set or a ring, and an eventfd as its doorbell. Two ways
 * to wait for a socket stand on it:
 *
 *   readiness   skua__source_poll: "may I try?" Both drivers. No buffer is lent to the kernel, so
 *               letting go is immediate. What poll tasks and accept use.
 *   completion  driver_ops.recv, .file: the kernel fills the buffer and says so. io_uring only,
 *               fibers only: letting go means cancelling, and waiting for the kernel's answer.
 *
 * Raw descriptors (io/) wait through an epoll set on both drivers; a ring waits for the set. What
 * is watched so keeps no file open and may be let go of by any thread at any moment, without a
 * shutdown, which only sockets have; and both drivers say the same of what cannot be waited for.
 *
 * A kqueue (drive_kqueue.c) does all of this as epoll does, raw descriptors in the same queue.
 *
 * The files: driver.c (which driver, open, close), drive_epoll.c, drive_kqueue.c, drive_uring.c,
 * drive_source.c.
 */
#ifndef SKUA_DRIVE_DRIVE_IMPL_H
#define SKUA_DRIVE_DRIVE_IMPL_H

#include "task/task_impl.h"

struct iovec;

/* What is in flight in a ring: the completion's address. */
struct skua__op {
    /* Called on the ring's worker; more: it is still in flight, and will be called again. */
    void (*complete)(struct skua__op *op, int result, bool more);
};

/* A readiness poll in flight in a ring. */
struct skua__poll_op {
    struct skua__op op;
    struct skua__node link; /* the ring's list; the ring's owner, as the next one */
    bool unwanted;          /* it is to be cancelled when there is room */
};

/* What a ring is to do with a file. */
enum skua__file_call {
    SKUA__FILE_READS,
    SKUA__FILE_WRITES,
    SKUA__FILE_SYNCS,
    SKUA__FILE_SYNCS_DATA
};

struct skua__file_request {
    enum skua__file_call call;
    int fd;
    int count;               /* of the buffers, 1 at least; of reads and writes, as the next two */
    const struct iovec *iov; /* they and their memory are there until the operation has completed */
    int64_t offset;
};

struct skua__source;

struct skua__driver_ops {
    struct skua__park_ops park;
    /* Any thread. 0, or: -ENOSYS, -EPERM, -EINVAL (this driver is not to be had), or another. */
    int (*open)(struct skua__driver **ret);
    /* The calling thread is the owner from here on. */
    int (*start)(struct skua__driver *driver);
    /* The owner has ended, or is the caller; no completion is in flight. */
    void (*close)(struct skua__driver *driver);
    /* Has source->ready told about changes from now on, or once (io_uring, writing). Owner thread.
     * 0 or a negative error. */
    int (*watch)(struct skua__driver *driver, struct skua__source *source, unsigned direction);
    /* Ends that; the descriptor is about to be closed, and source->driver does not end before this
     * does. Any thread. NULL: nothing to do. */
    void (*unwatch)(struct skua__source *source);
    /* A descriptor that is readable when a turn has something to tell, or the doorbell was rung; or
     * an error. Owner thread. */
    int (*descriptor)(struct skua__driver *driver);
    /* Completion. NULL: this driver has none. Owner thread. recv: 0, or -EAGAIN: not now. */
    int (*recv)(struct skua__driver *driver, struct skua__op *op, int fd, void *buf, size_t len);
    /* Ends an operation early: it completes soon. 0, or -EAGAIN: not now, as recv; a readiness poll
     * is cancelled by a later turn then. */
    int (*cancel)(struct skua__driver *driver, struct skua__op *op);
    /* As recv; the request itself is not needed any more when this returns. */
    int (*file)(struct skua__driver *driver, struct skua__op *op,
                const struct skua__file_request *request);
};

/* The common head of all drivers. */
struct skua__driver {
    const struct skua__driver_ops *ops; /* constant */
    int doorbell;                       /* eventfd, or -1 (kqueue); constant */
    struct skua__node sources;          /* watched, epoll and kqueue; lock: skua__source_lock */
    unsigned files;                     /* operations on files in flight; owner thread */
    _Atomic uint32_t leaving; /* sources off the list that are still in the set; see there */
};

extern const struct skua__driver_ops skua__epoll_ops;
#ifdef SKUA_WITH_URING
extern const struct skua__driver_ops skua__uring_ops;
#endif
#ifdef SKUA_WITH_KQUEUE
extern const struct skua__driver_ops skua__kqueue_ops;
#endif

/* Chooses for `wanted` by opening one on the calling thread and closing it again: *ret_ops, or
 * -ENOSYS, -EPERM … when the one that was asked for is not to be had. */
int skua__driver_choose(skua_driver wanted, const struct skua__driver_ops **ret_ops);

/* ---- sources (drive_source.c) ---------------------------------------------------------------- */

#define SKUA__READ 0u
#define SKUA__WRITE 1u

/* skua__source.ready: bits below, and a count of changes above them. */
#define SKUA__READABLE 0x1u
#define SKUA__WRITABLE 0x2u
#define SKUA__HANGUP 0x4u      /* reading will tell the end: stays readable, until it does not */
#define SKUA__CLOSED_READ 0x8u /* skua__source_close was called for this direction */
#define SKUA__CLOSED_WRITE 0x10u
#define SKUA__CLOSED (SKUA__CLOSED_READ | SKUA__CLOSED_WRITE)
#define SKUA__STASHED 0x20u   /* the owner's: bytes are there that were received already */
#define SKUA__UNBLOCKED 0x40u /* the owner's: the descriptor has become non-blocking */
#define SKUA__CHANGE 0x80u

/* skua__source.waiter: somebody is waking who was here. Not a task: wakers with bit 0 are not. */
#define SKUA__WAKING ((skua_waker *)(uintptr_t)1)

/* A descriptor that tasks wait for. Counted: its owner has one reference, each readiness poll in
 * flight one, and whoever uses it while another may close it one. What a read or a write touches is
 * in the first cache line; with a thousand connections each line is a miss. */
struct skua__source {
    SKUA__ALIGNED(SKUA__CACHE_LINE) int fd; /* constant until the last reference */
    _Atomic uint32_t refs;
    _Atomic uint32_t ready;          /* the bits above; any thread */
    _Atomic uint32_t in_flight;      /* what only a shutdown ends: see skua__source_fly */
    _Atomic(skua_waker *) waiter[2]; /* by direction, with a reference; SKUA__WAKING: see there */
    _Atomic(const char *) reader_stack; /* where the last reader left its waker; relaxed, a hint */
    _Atomic(struct skua__driver *)
        driver;                /* epoll, kqueue: it watches, or NULL; lock: skua__source_lock */
    _Atomic uint32_t owner[4]; /* its owner's (net/net_impl.h) */
    struct skua__node watched; /* lock: skua__source_lock */
    /* io_uring: the poll of that direction is in flight. kqueue: the positive errno with which
     * that direction of a raw source was refused. */
    _Atomic uint32_t polling[2];
    struct skua__poll_op polls[2];                /* … and this is it */
    void (*release)(struct skua__source *source); /* frees the owner; constant */
    void (*leave)(struct skua__source *source);   /* before the descriptor is closed, or NULL */
    bool raw;      /* any descriptor, not a socket of ours: in an epoll set always; constant */
    uint8_t forks; /* how many there were before it was made, as far as the count goes; constant */
};

_Static_assert(offsetof(struct skua__source, watched) == SKUA__CACHE_LINE, "see above");

/* Once a process, at least: what forks need. */
void skua__source_fork(void);
void skua__source_init(struct skua__source *source, int fd,
                       void (*release)(struct skua__source *source));
/* Marks directions (SKUA__CLOSED_…) closed, wakes their waiters, and shuts a socket down that the
 * kernel is at work on. False when they were
 * closed before. */
bool skua__source_close(struct skua__source *source, uint32_t directions);
/* Drops a reference; the last one unwatches, closes the descriptor and releases. */
void skua__source_unref(struct skua__source *source);
/* Takes the descriptor out of a source and drops the caller's reference, if that is the only one:
 * unwatched and released, but not closed. The number, or -EBUSY: somebody uses it. */
int skua__source_take(struct skua__source *source);

SKUA__INLINE uint32_t skua__source_closed_bit(unsigned direction)
{
    return direction == SKUA__READ ? SKUA__CLOSED_READ : SKUA__CLOSED_WRITE;
}

SKUA__INLINE void skua__source_ref(struct skua__source *source)
{
    skua__add_relaxed(&source->refs, 1); /* the caller has one, or a lock that keeps one */
}

/* A reference on a source that may have none any more. Any thread, any slot that ever was one. */
SKUA__INLINE bool skua__source_ref_alive(struct skua__source *source)
{
    uint32_t refs = skua__load_relaxed(&source->refs); /* the CAS synchronises */

    do {
        if (refs == 0)
            return false;
    } while (!skua__cas_acq_rel(&source->refs, &refs, refs + 1));
    return true;
}

/* What is known: ready bits and change count, to be handed to skua__source_drained. */
SKUA__INLINE uint32_t skua__source_look(struct skua__source *source)
{
    return skua__load_acquire(&source->ready); /* pairs with skua__source_tell */
}

/* The system call said "would block": READABLE and HANGUP, or WRITABLE, are not true any more,
 * unless something changed since `seen`. When it gave less than asked HANGUP may still be. A HANGUP
 * goes the same way as the others: one that was told late, of the slot's last socket, is not ours.
 */
void skua__source_drained(struct skua__source *source, uint32_t bits, uint32_t seen);
/* 1: try now; SKUA_ECLOSED; 0: the waker is kept and will be woken when it may be worth a try;
 * -EBUSY: another task waits in this direction; or the driver's error. Workers only. */
int skua__source_poll(struct skua__source *source, unsigned direction, skua_waker *waker);
/* Leaves the waker without asking anybody to tell: for plain threads. 0 or -EBUSY. */
int skua__source_claim(struct skua__source *source, unsigned direction, skua_waker *waker);
/* Takes the waker back, if it is still there. */
void skua__source_forget(struct skua__source *source, unsigned direction, skua_waker *waker);
/* Before an operation that only a shutdown ends, wherever it is: a poll or a receive in a ring, a
 * plain thread in poll(2). False: it is closed. True: until skua__source_land a close shuts the
 * socket down. */
bool skua__source_fly(struct skua__source *source, unsigned direction);
void skua__source_land(struct skua__source *source);
/* The driver: bits have become true. Any thread. */
void skua__source_tell(struct skua__source *source, uint32_t bits);
/* The source whose poll for reading this is, or NULL. */
struct skua__source *skua__source_of_reader(struct skua__op *op);
/* At a driver's end: nothing is watched by it any more. */
void skua__source_orphan(struct skua__driver *driver);
/* Puts a source on its driver's list (epoll), or takes it off: false when it is there already. */
bool skua__source_enlist(struct skua__source *source, struct skua__driver *driver);

/* ---- slots ----------------------------------------------------------------------------------
 *
 * Sources lie in type-stable slots: reused for their kind only and never given back to the system,
 * so that a driver's event that comes late, or a second close, finds a source and not somebody's
 * memory. Each operation takes a reference before its first look and then asks whether the slot's
 * `life` is still the one that it began with: so it is never done to the next owner of the slot,
 * or to the next file with the descriptor's number. */

/* A slot's life: odd while it is open; every opening and every close adds one. */
#define SKUA__LIFE_OPEN 1u

/* The end of a life, once: false when it had ended before. */
SKUA__INLINE bool skua__slot_close(_Atomic uint32_t *life)
{
    uint32_t open = skua__load_acquire(life);

    return (open & SKUA__LIFE_OPEN) && skua__cas_strong_acq_rel(life, &open, open + 1);
}

/* Begins a life. Release: who sees it sees the slot as it was filled in. */
SKUA__INLINE void skua__slot_open(_Atomic uint32_t *life)
{
    skua__store_release(life, skua__load_relaxed(life) + 1);
}

/* A reference on a slot's source, if the life that was seen (open) still lasts: then the handle's
 * own reference was there, and the source is the one that was meant. Acquire: the look at `life`
 * comes after the reference, and after what the slot was filled in with. */
SKUA__INLINE bool skua__slot_hold(_Atomic uint32_t *life, uint32_t seen,
                                  struct skua__source *source)
{
    if (!(seen & SKUA__LIFE_OPEN) || !skua__source_ref_alive(source))
        return false;
    if (skua__likely(skua__load_acquire(life) == seen))
        return true;
    skua__source_unref(source);
    return false;
}

/* ---- an epoll set (drive_epoll.c) ------------------------------------------------------------ */

/* Puts a source into a set that belongs to `driver`, once. 0 or a negative error. */
int skua__epoll_add(struct skua__driver *driver, int set, struct skua__source *source);
void skua__epoll_remove(int set, struct skua__source *source);
/* Tells all that has happened in a set; waits for nothing. How many were told. */
int skua__epoll_drain(int set);

/* ---- fetching ahead -------------------------------------------------------------------------- */

/* How much of a fiber's stack is fetched ahead: what a read that parks has on it. */
#define SKUA__WARM_LINES 12

/* What a task that is about to be woken touches first is fetched into the cache, without a look at
 * it: whoever tells its event may be another thread. `waker` may be gone, `stack` is where the
 * task was when it left the waker. With many fibers these misses are most of what a switch costs.
 */
SKUA__INLINE void skua__waker_warm(skua_waker *waker, const char *stack)
{
    if (waker == NULL || stack == NULL || !skua__waker_is_task(waker))
        return;
    __builtin_prefetch((const char *)waker, 1);
    __builtin_prefetch((const char *)waker + SKUA__CACHE_LINE, 1);
    /* It parked a little further down, in the frames of the await. */
    for (int line = -3; line < SKUA__WARM_LINES - 3; line++)
        __builtin_prefetch(stack + line * SKUA__CACHE_LINE, 1);
}

#endif
