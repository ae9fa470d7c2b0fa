/* io_impl.h - descriptors of any kind as the files of this folder see them.
 *
 * A descriptor is a raw source in a type-stable slot (drive/drive_impl.h). What is not plain
 * reading and writing (the events of inotify) hangs on to the slot with a function and some memory
 * of its own, which goes when the last reference does.
 */
#ifndef SKUA_IO_IO_IMPL_H
#define SKUA_IO_IO_IMPL_H

#include <skua/fd.h>

#include "drive/drive_impl.h"

/* A descriptor. What is constant is so from the opening to the last reference. */
struct skua_fd {
    struct skua__source source; /* first: the slot */
    _Atomic uint32_t life;
    int kind;              /* SKUA__FILE_…; constant */
    unsigned access;       /* SKUA__FILE_READ | SKUA__FILE_WRITE; constant */
    bool was_blocking;     /* what release puts back; constant */
    bool was_inherited;    /* … by programs that are executed; constant */
    _Atomic bool unopened; /* a FIFO that no writer has opened so far: it has no end yet; reader */
    /* One try at what skua__fd_call_init waits for: a result, or -EAGAIN. Constant, or NULL. */
    int64_t (*call)(skua_fd *fd, void *arg);
    void *memory;    /* the call's; freed with the slot */
    void *next_free; /* the slots' */
};

/* A handle of a descriptor that is as adopt makes one. The descriptor is Skua's when 0 is returned;
 * -ENOMEM. */
int skua__fd_new(int fd, int kind, unsigned access, skua_fd **ret);
/* The descriptor behind a handle, with a reference on its source; NULL: it is closed. */
bool skua__fd_hold(skua_fd *fd);
/* A wait for reading whose tries are fd->call(fd, arg). */
skua_future *skua__fd_call_init(skua_fd_future *self, skua_fd *fd, void *arg,
                                const skua_future_ops *ops);
skua_poll skua__fd_poll(skua_future *future, skua_waker *waker);
void skua__fd_drop(skua_future *future);
skua_future *skua__fd_vector_init(skua_fd_future *self, skua_fd *fd, const struct iovec *iov,
                                  int count, unsigned direction);
/* Polls a future once, without a waker: -EAGAIN where it would wait. */
int64_t skua__fd_try(skua_future *future);
/* Awaits a future on a fiber or a plain thread. */
int64_t skua__fd_await(skua_future *future, int64_t deadline);

#endif
