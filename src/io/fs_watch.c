/* fs_watch.c - inotify: a descriptor whose reads give many events, handed out one by one.
 *
 * Flow       a try takes the next event out of a buffer that hangs on to the descriptor's slot, and
 *            fills it from the kernel when it is empty. The buffer goes with the last reference: a
 *            close may come while another worker is at it.
 * One        at a time is at the buffer; another one is told -EBUSY, and does not wait.
 * Left over  while there is something in the buffer the source stays readable: the next wait tries
 *            at once.
 */
#include <string.h>
#include <sys/inotify.h>
#include <sys/uio.h>

#include <skua/fs_watch.h>

#include "io/io_impl.h"

#define FS_WATCH_ROOM 4096 /* some 60 events with names of 40 bytes */

struct skua_fs_watch {
    skua_fd fd; /* all of it */
};

struct fs_watch_buffer {
    _Atomic uint32_t busy; /* somebody is at it */
    size_t at;             /* of the next event, as the next two: who has set busy */
    size_t len;
    SKUA__ALIGNED(8) char bytes[FS_WATCH_ROOM];
};

_Static_assert(SKUA_FS_MOVED_TO == IN_MOVED_TO && SKUA_FS_CLOSE_WRITE == IN_CLOSE_WRITE &&
                   SKUA_FS_DELETE_SELF == IN_DELETE_SELF && SKUA_FS_ALL == IN_ALL_EVENTS &&
                   SKUA_FS_OVERFLOW == IN_Q_OVERFLOW && SKUA_FS_IGNORED == IN_IGNORED &&
                   SKUA_FS_UNMOUNT == IN_UNMOUNT && SKUA_FS_DIRECTORY == IN_ISDIR &&
                   SKUA_FS_ONLY_DIRECTORY == IN_ONLYDIR && SKUA_FS_NO_FOLLOW == IN_DONT_FOLLOW &&
                   SKUA_FS_ONCE == IN_ONESHOT,
               "the system's values");

/* ---- events ---------------------------------------------------------------------------------- */

/* Takes the event at the buffer's front. */
static void fs_watch_take(struct fs_watch_buffer *buffer, skua_fs_event *event)
{
    struct inotify_event head;
    const char *name = buffer->bytes + buffer->at + sizeof head;
    size_t fits;

    memcpy(&head, buffer->bytes + buffer->at, sizeof head);
    event->id = head.wd;
    event->what = head.mask;
    event->cookie = head.cookie;
    event->len = head.len != 0 ? (uint32_t)strnlen(name, head.len) : 0;
    fits = skua__min_size(event->len, SKUA_FS_NAME_MAX - 1);
    memcpy(event->name, name, fits);
    event->name[fits] = '\0';
    buffer->at += sizeof head + head.len;
}

/* 0; or -EAGAIN and the like. */
static int64_t fs_watch_call(skua_fd *fd, void *arg)
{
    struct fs_watch_buffer *buffer = fd->memory;
    struct iovec room = {.iov_base = buffer->bytes, .iov_len = FS_WATCH_ROOM};
    ssize_t n = 0;
    bool more;

    /* Acquire and release: each finds the buffer as the one before left it. */
    if (skua__xchg_acq_rel(&buffer->busy, 1) != 0)
        return -EBUSY;
    if (buffer->at == buffer->len) {
        n = skua__os_plain_readv(fd->source.fd, &room, 1);
        buffer->at = 0;
        buffer->len = n > 0 ? (size_t)n : 0;
    }
    if (buffer->len != 0)
        fs_watch_take(buffer, arg);
    more = buffer->at != buffer->len;
    skua__store_release(&buffer->busy, 0);
    /* Another one's "would block", before this one's read, must not hide what is left. */
    if (more)
        skua__source_tell(&fd->source, SKUA__READABLE);
    return n < 0 ? n : 0;
}

static const skua_future_ops fs_watch_ops = {
    .name = "fs_watch.next", .poll = skua__fd_poll, .drop = skua__fd_drop};

skua_future *skua_fs_watch_next_init(skua_fd_future *next, skua_fs_watch *watch,
                                     skua_fs_event *event)
{
    return skua__fd_call_init(next, &watch->fd, event, &fs_watch_ops);
}

int skua_fs_watch_next_until(skua_fs_watch *watch, skua_fs_event *event, int64_t deadline)
{
    skua_fd_future next;

    return (int)skua__fd_await(skua_fs_watch_next_init(&next, watch, event), deadline);
}

int skua_fs_watch_next(skua_fs_watch *watch, skua_fs_event *event)
{
    return skua_fs_watch_next_until(watch, event, SKUA_FOREVER);
}

int skua_fs_watch_try_next(skua_fs_watch *watch, skua_fs_event *event)
{
    skua_fd_future next;

    return (int)skua__fd_try(skua_fs_watch_next_init(&next, watch, event));
}

/* ---- life ------------------------------------------------------------------------------------ */

int skua_fs_watch_open(skua_fs_watch **ret)
{
    struct fs_watch_buffer *buffer;
    int number = skua__os_inotify();
    skua_fd *fd;
    int rc;

    if (number < 0)
        return number;
    buffer = skua__os_alloc(sizeof *buffer);
    rc = buffer != NULL ? skua__fd_new(number, SKUA__FILE_OTHER, SKUA__FILE_READ, &fd) : -ENOMEM;
    if (rc != 0) {
        skua__os_free(buffer);
        skua__os_close(number);
        return rc;
    }
    fd->call = fs_watch_call;
    fd->memory = buffer;
    *ret = skua__container(fd, skua_fs_watch, fd);
    return 0;
}

int skua_fs_watch_close(skua_fs_watch *watch)
{
    return watch != NULL ? skua_fd_close(&watch->fd) : 0;
}

int skua_fs_watch_add(skua_fs_watch *watch, const char *path, uint32_t mask)
{
    int rc;

    if ((mask & SKUA_FS_ALL) == 0)
        return -EINVAL;
    if (!skua__fd_hold(&watch->fd))
        return SKUA_ECLOSED;
    rc = skua__os_inotify_add(watch->fd.source.fd, path, mask);
    skua__source_unref(&watch->fd.source);
    return rc;
}

int skua_fs_watch_remove(skua_fs_watch *watch, int id)
{
    int rc;

    if (!skua__fd_hold(&watch->fd))
        return SKUA_ECLOSED;
    rc = skua__os_inotify_remove(watch->fd.source.fd, id);
    skua__source_unref(&watch->fd.source);
    return rc;
}

#undef FS_WATCH_ROOM
