/* fs_watch.h - told when files change: inotify.
 *
 *     skua_fs_watch *watch;
 *     skua_fs_event event;
 *
 *     rc = skua_fs_watch_open(&watch);
 *     id = skua_fs_watch_add(watch, "/etc/app", SKUA_FS_CLOSE_WRITE | SKUA_FS_MOVED_TO);
 *     while ((rc = skua_fs_watch_next(watch, &event)) == 0)
 *         if (event.what & SKUA_FS_OVERFLOW)
 *             reload_everything();                     // some were lost: look for yourself
 *         else
 *             reload(event.name);
 *     skua_fs_watch_close(watch);
 *
 * The system queues events, at most /proc/sys/fs/inotify/max_queued_events; when there are more it
 * says so once (OVERFLOW) and goes on. A directory's events are of what is in it, not of what is
 * deeper. Changes that other machines make to a network file system are not seen. See inotify(7).
 *
 * (Not to be taken for broadcast.h's watch channel.)
 */
#ifndef SKUA_FS_WATCH_H
#define SKUA_FS_WATCH_H

#include <skua/fd.h>

SKUA_C_BEGIN

typedef struct skua_fs_watch skua_fs_watch;

/* What happens to a file, or to one in a watched directory: what to ask for, and what is told. The
 * values are the system's IN_…. */
#define SKUA_FS_ACCESS 0x00000001u        /* it was read */
#define SKUA_FS_MODIFY 0x00000002u        /* it was written or cut */
#define SKUA_FS_ATTRIB 0x00000004u        /* rights, times, owner, links */
#define SKUA_FS_CLOSE_WRITE 0x00000008u   /* who could write has closed it */
#define SKUA_FS_CLOSE_NOWRITE 0x00000010u /* who could not */
#define SKUA_FS_OPEN 0x00000020u
#define SKUA_FS_MOVED_FROM 0x00000040u /* out of the directory; the same cookie as MOVED_TO */
#define SKUA_FS_MOVED_TO 0x00000080u   /* into it */
#define SKUA_FS_CREATE 0x00000100u
#define SKUA_FS_DELETE 0x00000200u
#define SKUA_FS_DELETE_SELF 0x00000400u /* the watched one itself */
#define SKUA_FS_MOVE_SELF 0x00000800u
#define SKUA_FS_ALL 0x00000fffu

/* Told beside, without having been asked for. */
#define SKUA_FS_UNMOUNT 0x00002000u
#define SKUA_FS_OVERFLOW 0x00004000u /* events were lost; id is -1 */
#define SKUA_FS_IGNORED 0x00008000u  /* the id is watched no more: removed, deleted, unmounted */
#define SKUA_FS_DIRECTORY 0x40000000u

/* Ways to watch. */
#define SKUA_FS_ONLY_DIRECTORY 0x01000000u /* -ENOTDIR else */
#define SKUA_FS_NO_FOLLOW 0x02000000u      /* a symbolic link itself */
#define SKUA_FS_ONCE 0x80000000u           /* one event, then IGNORED */

/* The longest name, with its closing zero. */
#define SKUA_FS_NAME_MAX 256

typedef struct skua_fs_event {
    int id;                      /* what skua_fs_watch_add returned; -1: OVERFLOW */
    uint32_t what;               /* SKUA_FS_… */
    uint32_t cookie;             /* not 0: the two halves of a rename have the same */
    uint32_t len;                /* of the name, without its zero; more than fits: it is cut */
    char name[SKUA_FS_NAME_MAX]; /* in the watched directory; "": the watched one itself */
} skua_fs_event;

/* Opens a watch that watches nothing yet.
 *
 * ret        receives the watch, to be ended by skua_fs_watch_close; untouched on failure
 * Returns    0; -EMFILE (descriptors; or /proc/sys/fs/inotify/max_user_instances), -ENFILE, -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fs_watch_open(skua_fs_watch **ret);

/* Watches a path, or changes what is told of one that is watched.
 *
 * The path is looked up now; on a network file system that may hold the worker up.
 *
 * path       a file or a directory; the caller's
 * mask       SKUA_FS_…, at least one event
 * Returns    an id, above 0, the same one for the same file; -EINVAL, -ENOENT, -EACCES, -ENOTDIR;
 *            -ENOSPC: /proc/sys/fs/inotify/max_user_watches; -ENOMEM; SKUA_ECLOSED
 * Threads    any, also while a task waits for the next
 * Since      0.2
 */
SKUA_API int skua_fs_watch_add(skua_fs_watch *watch, const char *path, uint32_t mask);

/* Watches it no more. What was queued is still told, then IGNORED.
 *
 * id         of skua_fs_watch_add
 * Returns    0; -EINVAL: no such id (any more); SKUA_ECLOSED
 * Threads    any, also while a task waits for the next
 * Since      0.2
 */
SKUA_API int skua_fs_watch_remove(skua_fs_watch *watch, int id);

/* Waits for the next event.
 *
 * event      receives it; untouched on failure
 * Returns    0; SKUA_ECLOSED, -EBUSY (another task waits), -ECANCELED, -ETIMEDOUT; and as
 *            skua_fd_readable
 * Threads    fibers, plain threads; one at a time
 * Cancel     safe: no event is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fs_watch_next(skua_fs_watch *watch, skua_fs_event *event);

/* As skua_fs_watch_next, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fs_watch_next
 * Threads    as skua_fs_watch_next
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fs_watch_next_until(skua_fs_watch *watch, skua_fs_event *event,
                                                     int64_t deadline);

/* Takes the next event, if there is one.
 *
 * Returns    as skua_fs_watch_next; -EAGAIN when there is none
 * Threads    any; one at a time
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fs_watch_try_next(skua_fs_watch *watch, skua_fs_event *event);

/* Makes a future of the next event: ready as skua_fs_watch_next returns.
 *
 * event      the caller's, alive as long as the future
 * Returns    &next->future
 * Threads    where it is awaited
 * Cancel     safe: no event is lost
 * Since      0.2
 */
SKUA_API skua_future *skua_fs_watch_next_init(skua_fd_future *next, skua_fs_watch *watch,
                                              skua_fs_event *event);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    tasks
 * Since      0.2
 */
#define skua_fs_watching(watch, event)                                                             \
    skua_fs_watch_next_init(&(skua_fd_future){.future = {0}}, (watch), (event))
#endif

/* Closes a watch. Who waits for its next event gets SKUA_ECLOSED.
 *
 * watch      NULL does nothing
 * Returns    0; -EBADF when it is closed already
 * Threads    any, at any moment
 * Since      0.2
 */
SKUA_API int skua_fs_watch_close(skua_fs_watch *watch);

SKUA_C_END

#endif
