/* file.c - a file's life: its slot, opening, references, closing.
 *
 * Flow       skua_file_open -> slot -> (pool) open -> its life begins
 *            a call: skua__file_enter -> work -> skua__file_let_go
 *            skua_file_close: its life ends -> waits until the last call has let go -> (pool) close
 * Memory     a slot is 128 bytes; there are as many as files were open at a time.
 */
#include <string.h>

#include "fs/fs_impl.h"

static struct skua__slots file_slots = SKUA__SLOTS(struct skua_file, next_free);

/* ---- slots ----------------------------------------------------------------------------------- */

struct skua_file *skua__file_slot(void)
{
    return skua__os_slot_take(&file_slots);
}

void skua__file_unslot(struct skua_file *file)
{
    skua__os_slot_give(&file_slots, file);
}

struct skua_file *skua__file_begin(struct skua_file *file, int fd, unsigned flags)
{
    file->fd = fd;
    file->flags = flags;
    skua__store_relaxed(&file->seekable, 0);
    file->abandoned = false;
    file->cursor = (skua_mutex)SKUA_MUTEX_INIT;
    file->idle = (skua_event)SKUA_EVENT_INIT;
    skua__store_relaxed(&file->write_error, 0);
    /* Release, both: who comes late and finds the slot in use again sees all this. */
    skua__store_release(&file->life, skua__load_relaxed(&file->life) + 1);
    skua__store_release(&file->refs, 1);
    return file;
}

/* ---- references ------------------------------------------------------------------------------ */

/* Closes the descriptor; the slot is free. */
static int file_finish(struct skua_file *file)
{
    int fd = file->fd;

    skua__file_unslot(file);
    return skua__fs_close(fd);
}

bool skua__file_hold(struct skua_file *file)
{
    uint32_t refs = skua__load_relaxed(&file->refs); /* the CAS synchronises */

    do {
        if (refs == 0)
            return false;
    } while (!skua__cas_acq_rel(&file->refs, &refs, refs + 1));
    if (skua__likely(!skua__file_closed(file)))
        return true;
    skua__file_let_go(file);
    return false;
}

void skua__file_let_go(struct skua_file *file)
{
    if (skua__sub_acq_rel(&file->refs, 1) != 1)
        return;
    /* The handle's reference has gone before: `abandoned` was written before that. */
    if (file->abandoned)
        (void)file_finish(file); /* the one who closed was told of what there was to tell */
    else
        skua_event_set(&file->idle);
}

int skua__file_enter(struct skua_file *file)
{
    if (!skua__fs_may_wait())
        return SKUA_EUSAGE;
    return skua__file_hold(file) ? 0 : SKUA_ECLOSED;
}

/* ---- errors that are told twice -------------------------------------------------------------- */

int64_t skua__file_wrote(struct skua_file *file, int64_t rc)
{
    /* A mistake of the caller lost no data. Relaxed: who syncs in another task has learnt from the
     * writer that it wrote. */
    if (rc < 0 && rc != -EBADF && rc != -EINVAL && rc != -EFAULT && rc != -ESPIPE)
        skua__store_relaxed(&file->write_error, (int)rc);
    return rc;
}

int skua__file_take_error(struct skua_file *file)
{
    return skua__load_relaxed(&file->write_error) != 0 ? skua__xchg_acq_rel(&file->write_error, 0)
                                                       : 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

struct file_open {
    const char *path;
    unsigned flags;
    uint32_t mode;
    int fd;
};

static int64_t file_open_run(void *arg)
{
    struct file_open *open = arg;

    return skua__os_file_open(SKUA__AT_CWD, open->path, open->flags, open->mode);
}

/* 0, or an error: a descriptor is nothing to tell listeners. */
static int64_t file_open_now(void *arg)
{
    struct file_open *open = arg;
    int64_t fd = skua__fs_run(file_open_run, open);

    open->fd = (int)fd;
    return fd < 0 ? fd : 0;
}

/* The flags of os.h, or -EINVAL. */
static int file_flags(const skua_file_options *options)
{
    bool writes = options->write || options->append;
    unsigned flags = writes ? SKUA__OPEN_WRITE : 0;

    if (options->size != sizeof *options || options->mode > 07777)
        return -EINVAL;
    if (!writes && (options->truncate || options->create || options->create_new))
        return -EINVAL;
    if (options->truncate && options->append)
        return -EINVAL;
    flags |= options->read || !writes ? SKUA__OPEN_READ : 0;
    flags |= options->append ? SKUA__OPEN_APPEND : 0;
    flags |= options->truncate ? SKUA__OPEN_TRUNCATE : 0;
    flags |= options->create ? SKUA__OPEN_CREATE : 0;
    flags |= options->create_new ? SKUA__OPEN_NEW : 0;
    flags |= options->direct ? SKUA__OPEN_DIRECT : 0;
    flags |= options->no_follow ? SKUA__OPEN_NO_FOLLOW : 0;
    flags |= options->sync ? SKUA__OPEN_SYNC : 0;
    return (int)flags;
}

void skua_file_options_init(skua_file_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_file_open(skua_file **ret, const char *path, const skua_file_options *options)
{
    static const skua_file_options defaults = {.size = sizeof defaults};
    const skua_file_options *with = options != NULL ? options : &defaults;
    int flags = file_flags(with);
    struct file_open open = {path, (unsigned)flags, with->mode != 0 ? with->mode : 0666, -1};
    struct skua_file *file;
    int64_t rc;

    if (flags < 0 || path == NULL)
        return -EINVAL;
    file = skua__file_slot();
    if (file == NULL)
        return -ENOMEM;
    rc = skua__fs_told("file.open", path, false, file_open_now, &open);
    if (rc < 0) {
        skua__file_unslot(file);
        return (int)rc;
    }
    *ret = skua__file_begin(file, open.fd, (unsigned)flags);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Until the last call has let go. Fibers are shielded: there is no way back. */
static void file_wait_idle(struct skua_file *file)
{
    bool shielded = skua_shield_begin() == 0;

    while (skua_event_wait(&file->idle) != 0)
        skua__os_thread_yield(); /* nothing ends this wait but the event */
    if (shielded)
        (void)skua_shield_end();
}

static int64_t file_close_now(void *arg)
{
    struct skua_file *file = arg;
    bool waits = skua__fs_may_wait();
    int error, rc;
    uint32_t life;

    life = skua__load_acquire(&file->life);
    if ((life & 1) == 0 || !skua__cas_strong_acq_rel(&file->life, &life, life + 1))
        return -EBADF;
    file->abandoned = !waits;
    error = waits ? 0 : skua__file_take_error(file); /* now, or never */
    if (skua__sub_acq_rel(&file->refs, 1) != 1) {
        if (!waits)
            return error;
        file_wait_idle(file);
    }
    if (waits)
        error = skua__file_take_error(file);
    rc = file_finish(file);
    return error != 0 ? error : rc;
}

int skua_file_close(skua_file *file)
{
    if (file == NULL)
        return 0;
    return (int)skua__fs_told("file.close", NULL, false, file_close_now, file);
}

int skua_file_number(skua_file *file)
{
    int fd;

    if (!skua__file_hold(file))
        return SKUA_ECLOSED;
    fd = file->fd;
    skua__file_let_go(file);
    return fd;
}
