/* skua_foreign.h - waiting for somebody else's descriptors: what the adapters of this folder share.
 *
 * A foreign loop that runs in a fiber waits for what it says it waits for, with Skua's means. Its
 * descriptors are never read, closed, or made non-blocking:
 *
 *   one that stands for all (libuv, sd-event)    a second number of it is waited for
 *   many, asked anew each turn (GLib, libevent)  they are put in an epoll set of our own. A number
 *                                                may have become another file's since the last
 *                                                turn, so each is told to the kernel in each turn:
 *                                                one system call a descriptor
 *
 * For your own program: copy it, or include it.
 */
#ifndef SKUA_FOREIGN_H
#define SKUA_FOREIGN_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <skua/skua.h>

/* Lets the other tasks go first, and then waits until the descriptor is readable or `deadline` is
 * over (0: does not wait). 0; -ECANCELED, -ETIMEDOUT: the task is to end. */
static inline int skua_foreign_pause(skua_fd *fd, int64_t deadline)
{
    int rc = skua_yield();

    if (rc != 0 || deadline <= 0)
        return rc;
    rc = skua_fd_readable_until(fd, deadline);
    return rc == -ETIMEDOUT && skua_deadline_current() > deadline ? 0 : rc;
}

/* ---- one descriptor that stands for all ------------------------------------------------------ */

/* A second number of a descriptor, to be waited for. It shares the flags of the first one's open
 * file: only for epoll sets, to which "non-blocking" says nothing. */
static inline int skua_foreign_dup(skua_fd **ret, int number)
{
    int copy = fcntl(number, F_DUPFD_CLOEXEC, 3);
    int rc;

    if (copy < 0)
        return -errno;
    rc = skua_fd_adopt(ret, copy, 0);
    if (rc != 0)
        close(copy);
    return rc;
}

/* Ends it, with the flags as they were. */
static inline void skua_foreign_undup(skua_fd *fd)
{
    int copy = skua_fd_release(fd);

    if (copy >= 0)
        close(copy);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* What is known of the descriptor whose number is the index. */
typedef struct skua_foreign_entry {
    uint32_t wanted; /* EPOLL…, in this turn; 0: nothing */
    uint32_t told;   /* … to the kernel; 0: it is not in the set */
    uint32_t serial; /* of its entry in the set */
} skua_foreign_entry;

typedef struct skua_foreign {
    skua_fd *set;
    skua_foreign_entry *entries;
    size_t room;     /* of entries */
    uint32_t serial; /* the last one given */
    int stale;       /* the set has an entry that cannot be taken out */
} skua_foreign;

static inline int skua_foreign_new_set(skua_foreign *self)
{
    int number = epoll_create1(EPOLL_CLOEXEC);
    int rc = number < 0 ? -errno : skua_fd_adopt(&self->set, number, 0);

    if (rc != 0 && number >= 0)
        close(number);
    for (size_t i = 0; i < self->room; i++)
        self->entries[i].told = 0;
    self->stale = 0;
    return rc;
}

/* 0, -EMFILE, -ENOMEM … */
static inline int skua_foreign_open(skua_foreign *self)
{
    memset(self, 0, sizeof *self);
    return skua_foreign_new_set(self);
}

static inline void skua_foreign_close(skua_foreign *self)
{
    skua_fd_close(self->set);
    free(self->entries);
    self->set = NULL;
    self->entries = NULL;
}

/* This turn waits for that, too: EPOLLIN, EPOLLOUT, EPOLLET … (EPOLLHUP: for no more than its end
 * or an error). 0, -ENOMEM. */
static inline int skua_foreign_want(skua_foreign *self, int fd, uint32_t events)
{
    size_t room = self->room == 0 ? 64 : self->room;
    skua_foreign_entry *entries;

    if (fd < 0)
        return 0;
    while (room <= (size_t)fd)
        room *= 2;
    if (room > self->room) {
        entries = (skua_foreign_entry *)realloc(self->entries, room * sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        memset(entries + self->room, 0, (room - self->room) * sizeof *entries);
        self->entries = entries;
        self->room = room;
    }
    self->entries[fd].wanted |= events;
    return 0;
}

static inline int skua_foreign_control(skua_foreign *self, int op, int fd)
{
    skua_foreign_entry *entry = &self->entries[fd];
    struct epoll_event event;

    if (op == EPOLL_CTL_ADD)
        entry->serial = ++self->serial;
    event.events = entry->wanted;
    event.data.u64 = (uint64_t)entry->serial << 32 | (uint32_t)fd;
    if (epoll_ctl(skua_fd_number(self->set), op, fd, &event) != 0)
        return -errno;
    entry->told = entry->wanted;
    return 0;
}

/* What is wanted of one descriptor is told: 0; 1: it cannot be waited for, it is ready always (a
 * file); or an error. One that is closed is never ready. */
static inline int skua_foreign_tell(skua_foreign *self, int fd)
{
    skua_foreign_entry *entry = &self->entries[fd];
    uint32_t serial = entry->serial;
    int rc = -ENOENT;

    /* Edges are told once: to modify the entry would tell them again. So it is tried to add it. */
    if (entry->told != 0 && !(entry->wanted == entry->told && (entry->wanted & EPOLLET) != 0))
        rc = skua_foreign_control(self, EPOLL_CTL_MOD, fd);
    if (rc == -ENOENT)
        rc = skua_foreign_control(self, EPOLL_CTL_ADD, fd);
    if (rc == -EEXIST) {
        entry->serial = serial;
        rc = entry->told != 0 ? 0 : skua_foreign_control(self, EPOLL_CTL_MOD, fd);
    }
    if (rc != 0)
        entry->told = 0;
    if (rc == -EPERM) /* a file can be read and written, and has no end */
        return (entry->wanted & (EPOLLIN | EPOLLOUT)) != 0;
    return rc == -EBADF ? 0 : rc;
}

/* 0; 1: something is ready always; or an error. Begins the next turn's wishes. */
static inline int skua_foreign_apply(skua_foreign *self)
{
    int ready = 0, rc = 0;

    for (size_t i = 0; rc == 0 && i < self->room; i++) {
        skua_foreign_entry *entry = &self->entries[i];
        if (entry->wanted != 0) {
            rc = skua_foreign_tell(self, (int)i);
            ready |= rc > 0;
            rc = rc > 0 ? 0 : rc;
        } else if (entry->told != 0) { /* fails when it was closed: then it is out, mostly */
            (void)epoll_ctl(skua_fd_number(self->set), EPOLL_CTL_DEL, (int)i, NULL);
            entry->told = 0;
        }
        entry->wanted = 0;
    }
    return rc != 0 ? rc : ready;
}

/* Takes the news out of the set. An entry of a number that is closed, or another file's by now,
 * stays while somebody else has the old file open: such a set is left behind. */
static inline void skua_foreign_drain(skua_foreign *self)
{
    struct epoll_event events[32];
    int count = epoll_wait(skua_fd_number(self->set), events, 32, 0);

    for (int i = 0; i < count; i++) {
        uint32_t fd = (uint32_t)events[i].data.u64;

        if (self->entries[fd].told == 0 ||
            self->entries[fd].serial != (uint32_t)(events[i].data.u64 >> 32))
            self->stale = 1;
    }
}

/* Waits until something that is wanted is ready, or `deadline` is over (0: does not wait). 0;
 * -ECANCELED, -ETIMEDOUT: the task is to end; -ENOMEM, -ENOSPC … */
static inline int skua_foreign_wait(skua_foreign *self, int64_t deadline)
{
    int rc = 0;

    if (self->stale) {
        skua_fd_close(self->set);
        self->set = NULL;
        rc = skua_foreign_new_set(self);
    }
    if (rc == 0)
        rc = skua_foreign_apply(self);
    if (rc >= 0)
        rc = skua_foreign_pause(self->set, rc > 0 ? 0 : deadline);
    if (rc == 0)
        skua_foreign_drain(self);
    return rc;
}

#endif
