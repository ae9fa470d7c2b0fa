/* fs_run.c - how a call that blocks is run: as a job of the pool, which a cancellation waits out.
 *
 * A job without a .drop is waited for once it runs, and its result is handed on: so the job's
 * memory is the caller's stack, and what a call did is never lost.
 */
#include "block/block_impl.h"
#include "fs/fs_impl.h"
#include "os/os_statx.h"

struct fs_work {
    int64_t (*fn)(void *arg);
    void *arg;
    int64_t result; /* fn's may be more than an int */
};

bool skua__fs_may_wait(void)
{
    struct skua__thread *self = skua__thread_self();

    return self->core == NULL || skua__fiber_current(self) != NULL;
}

static int fs_work_run(void *arg)
{
    struct fs_work *work = arg;

    work->result = work->fn(work->arg);
    return 0;
}

int64_t skua__fs_run(int64_t (*fn)(void *arg), void *arg)
{
    struct fs_work work = {fn, arg, 0};
    int rc = skua__blocking_quietly(fs_work_run, &work, NULL);

    return rc != 0 ? rc : work.result;
}

int64_t skua__fs_steps(int64_t (*fn)(void *arg), void *arg)
{
    int64_t rc;

    do {
        rc = skua__fs_run(fn, arg);
    } while (rc == SKUA__FS_MORE);
    return rc;
}

int64_t skua__fs_told(const char *name, const char *path, bool counts, int64_t (*call)(void *arg),
                      void *arg)
{
    skua_probe_op op;
    int64_t rc;

    if (!skua__probe_ops())
        return call(arg);
    skua__op_begin(&op, name, path);
    rc = call(arg);
    skua__op_end(&op, rc, counts && rc > 0 ? rc : 0);
    return rc;
}

/* ---- closing --------------------------------------------------------------------------------- */

static int fs_close_run(void *arg)
{
    int *fd = arg;
    int rc = skua__os_file_close(*fd);

    *fd = -1;
    return rc;
}

int skua__fs_close(int fd)
{
    int rc = SKUA_EUSAGE;

    if (skua__fs_may_wait())
        rc = skua__block_quietly(fs_close_run, &fd);
    return fd == -1 ? rc : fs_close_run(&fd); /* no thread, no memory: it blocks a little here */
}

/* ---- metadata -------------------------------------------------------------------------------- */

static int64_t fs_time(const struct statx_timestamp *time)
{
    return time->tv_sec * SKUA_SECOND + time->tv_nsec;
}

static skua_file_kind fs_kind(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return SKUA_FILE_REGULAR;
    case S_IFDIR:
        return SKUA_FILE_DIRECTORY;
    case S_IFLNK:
        return SKUA_FILE_SYMLINK;
    case S_IFIFO:
        return SKUA_FILE_FIFO;
    case S_IFSOCK:
        return SKUA_FILE_SOCKET;
    case S_IFBLK:
        return SKUA_FILE_BLOCK_DEVICE;
    case S_IFCHR:
        return SKUA_FILE_CHAR_DEVICE;
    default:
        return SKUA_FILE_UNKNOWN;
    }
}

void skua__fs_metadata(const struct statx *from, skua_metadata *ret)
{
    *ret = (skua_metadata){
        .size = from->stx_size,
        .allocated = from->stx_blocks * 512, /* whatever the device's blocks are */
        .kind = fs_kind(from->stx_mode),
        .mode = from->stx_mode & 07777,
        .uid = from->stx_uid,
        .gid = from->stx_gid,
        .links = from->stx_nlink,
        .ino = from->stx_ino,
        .dev = (uint64_t)from->stx_dev_major << 32 | from->stx_dev_minor,
        .accessed = fs_time(&from->stx_atime),
        .modified = fs_time(&from->stx_mtime),
        .changed = fs_time(&from->stx_ctime),
        .created = from->stx_mask & STATX_BTIME ? fs_time(&from->stx_btime) : 0,
    };
}
