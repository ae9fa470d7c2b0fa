/* standard.c - the standard streams, which others use, too.
 *
 * Shared     what can be neither opened anew nor used as it is becomes non-blocking, for all who
 *            have it. Two of the streams may be one open file (a terminal): whoever finds it
 *            blocking keeps a second number of it. When the last shared handle goes, all that are
 *            kept are made blocking again: so none is while a handle needs it non-blocking.
 * Forks      wait for the lock: the child finds it free, and its own count of the handles. The open
 *            file is its parent's too, which made it non-blocking, may be using it, and makes it
 *            blocking again: the child gives its second numbers up. One that it finds blocking
 *            later it keeps itself.
 */
#include <string.h>

#include <skua/standard.h>

#include "io/io_impl.h"

#define STANDARD_STREAMS 3

static struct skua__lock standard_lock;
static unsigned standard_shared;             /* handles; lock: standard_lock */
static int standard_keep[STANDARD_STREAMS];  /* the second numbers; lock: standard_lock */
static bool standard_kept[STANDARD_STREAMS]; /* there is one; lock: standard_lock */

/* ---- shared ---------------------------------------------------------------------------------- */

/* Under the lock: the last one has left. */
static void standard_restore(void)
{
    for (int i = 0; i < STANDARD_STREAMS; i++) {
        if (!standard_kept[i])
            continue;
        (void)skua__os_change_nonblocking(standard_keep[i], false);
        skua__os_close(standard_keep[i]);
        standard_kept[i] = false;
    }
}

static void standard_leave(struct skua__source *source)
{
    (void)source;
    /* The system calls under this lock are short, and so is the list of who takes it. */
    skua__lock_take(&standard_lock);
    if (--standard_shared == 0)
        standard_restore();
    skua__lock_drop(&standard_lock);
}

/* Under the lock. */
static int standard_make_nonblocking(int stream)
{
    int keep = -1;
    int was;

    if (!standard_kept[stream]) {
        keep = skua__os_dup(stream);
        if (keep < 0)
            return keep;
    }
    was = skua__os_change_nonblocking(stream, true);
    if (was == 0 && keep >= 0) {
        standard_kept[stream] = true;
        standard_keep[stream] = keep;
    } else if (keep >= 0) {
        skua__os_close(keep);
    }
    return was < 0 ? was : 0;
}

/* In the child of a fork. */
static void standard_forked(void)
{
    for (int i = 0; i < STANDARD_STREAMS; i++)
        if (standard_kept[i])
            skua__os_close(standard_keep[i]);
    memset(standard_kept, 0, sizeof standard_kept);
}

static int standard_share(skua_fd *fd, int stream)
{
    static bool minded; /* lock: standard_lock */
    int rc = 0;

    skua__os_lock_over_fork(&standard_lock);
    skua__lock_take(&standard_lock);
    if (!minded)
        rc = skua__os_at_fork(NULL, NULL, standard_forked);
    minded = minded || rc == 0;
    if (rc == 0)
        rc = standard_make_nonblocking(stream);
    if (rc == 0) {
        standard_shared++;
        fd->source.leave = standard_leave;
    }
    skua__lock_drop(&standard_lock);
    return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A number of its own, and whether it must be shared; or an error. */
static int standard_number(int stream, int kind, unsigned access, bool *shared)
{
    int number = -EPERM;
    int rc;

    *shared = false;
    if (kind == SKUA__FILE_PIPE || kind == SKUA__FILE_TERMINAL) {
        /* Whatever it says: there is another way. */
        number = skua__os_reopen(stream, access);
        if (number >= 0)
            return number;
        *shared = true;
    } else if (kind == SKUA__FILE_OTHER) {
        rc = skua__os_pollable(stream);
        if (rc != 0 && rc != -EPERM)
            return rc;
        *shared = rc == 0;
    }
    return skua__os_dup(stream);
}

static int standard_open(skua_fd **ret, int stream, unsigned access)
{
    int has = skua__os_file_access(stream);
    int kind = has < 0 ? has : skua__os_file_kind(stream);
    bool shared;
    skua_fd *fd;
    int number;
    int rc;

    if (kind < 0)
        return kind;
    if (!((unsigned)has & access))
        return -EBADF;
    number = standard_number(stream, kind, access, &shared);
    if (number < 0)
        return number;
    rc = skua__fd_new(number, kind, access, &fd);
    if (rc != 0) {
        skua__os_close(number);
        return rc;
    }
    rc = shared ? standard_share(fd, stream) : 0;
    if (rc != 0) {
        (void)skua_fd_close(fd);
        return rc;
    }
    *ret = fd;
    return 0;
}

int skua_stdin_open(skua_fd **ret)
{
    return standard_open(ret, 0, SKUA__FILE_READ);
}

int skua_stdout_open(skua_fd **ret)
{
    return standard_open(ret, 1, SKUA__FILE_WRITE);
}

int skua_stderr_open(skua_fd **ret)
{
    return standard_open(ret, 2, SKUA__FILE_WRITE);
}

#undef STANDARD_STREAMS
