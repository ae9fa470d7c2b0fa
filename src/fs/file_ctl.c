/* file_ctl.c - what is done to a file besides reading and writing: sync, length, metadata, locks.
 *
 * Flow       skua_file_x -> file_ctl: held -> (pool) x's system call -> let go of
 * Locks      flock would occupy a thread of the pool for as long as another process likes, and
 *            could not be cancelled; so it is tried, and the fiber sleeps in between.
 */
#include "fs/fs_impl.h"
#include "os/os_statx.h"

#define CTL_LOCK_FIRST SKUA_MILLISECOND
#define CTL_LOCK_MOST (64 * SKUA_MILLISECOND)

/* A call and its arguments; which of these it uses is its own. */
struct ctl {
    struct skua_file *file; /* held */
    int64_t (*fn)(int fd, struct ctl *ctl);
    int64_t offset;
    int64_t len;
    uint32_t number;
    struct statx *status;
};

static int64_t ctl_run(void *arg)
{
    struct ctl *ctl = arg;

    return skua__file_closed(ctl->file) ? SKUA_ECLOSED : ctl->fn(ctl->file->fd, ctl);
}

static int64_t ctl_now(void *arg)
{
    struct ctl *ctl = arg;
    int64_t rc = skua__file_enter(ctl->file);

    if (rc != 0)
        return rc;
    rc = skua__fs_run(ctl_run, ctl);
    skua__file_let_go(ctl->file);
    return rc;
}

static int ctl_call(const char *what, struct ctl *ctl)
{
    return (int)skua__fs_told(what, NULL, false, ctl_now, ctl);
}

/* ---- to the disk ----------------------------------------------------------------------------- */

static int64_t ctl_sync(int fd, struct ctl *ctl)
{
    int64_t rc = skua__os_file_sync(fd, ctl->number != 0);
    int earlier = skua__file_take_error(ctl->file);

    return earlier != 0 ? earlier : rc;
}

/* By the worker's ring, or else by the pool. */
static int64_t ctl_sync_now(void *arg)
{
    struct ctl *ctl = arg;
    struct skua__file_request request = {.call = ctl->number != 0 ? SKUA__FILE_SYNCS_DATA
                                                                  : SKUA__FILE_SYNCS};
    int64_t rc = skua__file_enter(ctl->file);
    int earlier;

    if (rc != 0)
        return rc;
    if (skua__file_ring(ctl->file, &request, &rc)) {
        earlier = skua__file_take_error(ctl->file);
        rc = earlier != 0 ? earlier : rc;
    } else if (rc == SKUA__FS_ELSEWHERE) {
        rc = skua__fs_run(ctl_run, ctl);
    }
    skua__file_let_go(ctl->file);
    return rc;
}

static int ctl_sync_call(skua_file *file, bool data_only)
{
    struct ctl ctl = {.file = file, .fn = ctl_sync, .number = data_only};

    return (int)skua__fs_told("file.sync", NULL, false, ctl_sync_now, &ctl);
}

int skua_file_sync(skua_file *file)
{
    return ctl_sync_call(file, false);
}

int skua_file_sync_data(skua_file *file)
{
    return ctl_sync_call(file, true);
}

/* ---- length and blocks ----------------------------------------------------------------------- */

static int64_t ctl_truncate(int fd, struct ctl *ctl)
{
    return skua__os_file_truncate(fd, ctl->len);
}

int skua_file_truncate(skua_file *file, int64_t size)
{
    struct ctl ctl = {.file = file, .fn = ctl_truncate, .len = size};

    return ctl_call("file.truncate", &ctl);
}

static int64_t ctl_allocate(int fd, struct ctl *ctl)
{
    return skua__os_file_allocate(fd, ctl->number, ctl->offset, ctl->len);
}

int skua_file_allocate(skua_file *file, unsigned flags, int64_t offset, int64_t len)
{
    struct ctl ctl = {
        .file = file, .fn = ctl_allocate, .number = flags, .offset = offset, .len = len};

    if (flags & ~(SKUA_ALLOCATE_KEEP_SIZE | SKUA_ALLOCATE_PUNCH_HOLE))
        return -EINVAL;
    return ctl_call("file.allocate", &ctl);
}

static int64_t ctl_advise(int fd, struct ctl *ctl)
{
    return skua__os_file_advise(fd, ctl->offset, ctl->len, (int)ctl->number);
}

int skua_file_advise(skua_file *file, int64_t offset, int64_t len, skua_file_advice advice)
{
    struct ctl ctl = {
        .file = file, .fn = ctl_advise, .number = (uint32_t)advice, .offset = offset, .len = len};

    if (ctl.number > SKUA_ADVICE_DONT_NEED)
        return -EINVAL;
    return ctl_call("file.advise", &ctl);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static int64_t ctl_status(int fd, struct ctl *ctl)
{
    return skua__os_file_stat(fd, "", true, ctl->status);
}

int skua_file_metadata(skua_file *file, skua_metadata *ret)
{
    struct statx status;
    struct ctl ctl = {.file = file, .fn = ctl_status, .status = &status};
    int rc = ctl_call("file.stat", &ctl);

    if (rc == 0)
        skua__fs_metadata(&status, ret);
    return rc;
}

static int64_t ctl_permissions(int fd, struct ctl *ctl)
{
    return skua__os_file_chmod(fd, ctl->number);
}

int skua_file_set_permissions(skua_file *file, uint32_t mode)
{
    struct ctl ctl = {.file = file, .fn = ctl_permissions, .number = mode};

    return mode > 07777 ? -EINVAL : ctl_call("file.chmod", &ctl);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static int64_t ctl_lock(int fd, struct ctl *ctl)
{
    int64_t rc = skua__os_file_lock(fd, (int)ctl->number);

    return rc == -EAGAIN ? -EBUSY : rc; /* -EAGAIN is the pool's */
}

/* A lock that is asked for: once, or until a time. */
struct ctl_locking {
    struct ctl ctl;
    int64_t deadline;
};

static int ctl_locking(struct ctl_locking *ret, skua_file *file, skua_file_lock_kind kind)
{
    if (kind != SKUA_FILE_SHARED && kind != SKUA_FILE_EXCLUSIVE)
        return -EINVAL;
    *ret = (struct ctl_locking){.ctl = {.file = file, .fn = ctl_lock}};
    ret->ctl.number = kind == SKUA_FILE_SHARED ? SKUA__LOCK_SHARED : SKUA__LOCK_EXCLUSIVE;
    return 0;
}

int skua_file_try_lock(skua_file *file, skua_file_lock_kind kind)
{
    struct ctl_locking locking;
    int rc = ctl_locking(&locking, file, kind);

    return rc != 0 ? rc : ctl_call("file.lock", &locking.ctl);
}

/* The file is let go of while it sleeps: a close need not wait for it. */
static int64_t ctl_lock_now(void *arg)
{
    struct ctl_locking *locking = arg;
    int64_t pause = CTL_LOCK_FIRST;
    int64_t rc;

    while ((rc = ctl_now(&locking->ctl)) == -EBUSY) {
        int64_t now = skua_now();

        if (now >= locking->deadline)
            return -ETIMEDOUT;
        rc = skua_sleep_until(pause < locking->deadline - now ? now + pause : locking->deadline);
        if (rc != 0)
            return rc;
        pause = pause < CTL_LOCK_MOST ? 2 * pause : pause;
    }
    return rc;
}

int skua_file_lock_until(skua_file *file, skua_file_lock_kind kind, int64_t deadline)
{
    struct ctl_locking locking;
    int rc = ctl_locking(&locking, file, kind);

    if (rc != 0)
        return rc;
    locking.deadline = deadline;
    return (int)skua__fs_told("file.lock", NULL, false, ctl_lock_now, &locking);
}

int skua_file_lock(skua_file *file, skua_file_lock_kind kind)
{
    return skua_file_lock_until(file, kind, SKUA_FOREVER);
}

int skua_file_unlock(skua_file *file)
{
    struct ctl ctl = {.file = file, .fn = ctl_lock, .number = SKUA__LOCK_NONE};

    return ctl_call("file.unlock", &ctl);
}

_Static_assert(SKUA_ALLOCATE_KEEP_SIZE == SKUA__ALLOCATE_KEEP_SIZE &&
                   SKUA_ALLOCATE_PUNCH_HOLE == SKUA__ALLOCATE_PUNCH,
               "flags are handed through");

#undef CTL_LOCK_FIRST
#undef CTL_LOCK_MOST
