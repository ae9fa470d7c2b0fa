/* fs_dir.c - reading a directory: as many entries as fit into 32 KiB are one job. */
#include <dirent.h>
#include <string.h>

#include "fs/fs_impl.h"

#define DIR_ROOM ((size_t)32 << 10)

struct skua_dir {
    int fd;
    const char *path; /* the caller's, while it is opened */
    size_t at;        /* the next entry's place, as all below: the user's */
    size_t len;
    int64_t entries[DIR_ROOM / sizeof(int64_t)]; /* as getdents64 gives them: aligned for 64 bits */
};

static int64_t dir_open_run(void *arg)
{
    struct skua_dir *dir = arg;

    return skua__os_file_open(SKUA__AT_CWD, dir->path, SKUA__OPEN_READ | SKUA__OPEN_DIRECTORY, 0);
}

int skua_dir_open(skua_dir **ret, const char *path)
{
    struct skua_dir *dir;
    int64_t fd;

    if (path == NULL)
        return -EINVAL;
    dir = skua__os_alloc(sizeof *dir);
    if (dir == NULL)
        return -ENOMEM;
    dir->path = path;
    fd = skua__fs_run(dir_open_run, dir);
    if (fd < 0) {
        skua__os_free(dir);
        return (int)fd;
    }
    dir->fd = (int)fd;
    dir->path = NULL;
    *ret = dir;
    return 0;
}

static int64_t dir_fill_run(void *arg)
{
    struct skua_dir *dir = arg;

    return skua__os_dir_read(dir->fd, dir->entries, sizeof dir->entries);
}

static skua_file_kind dir_kind(unsigned char type)
{
    switch (type) {
    case DT_REG:
        return SKUA_FILE_REGULAR;
    case DT_DIR:
        return SKUA_FILE_DIRECTORY;
    case DT_LNK:
        return SKUA_FILE_SYMLINK;
    case DT_FIFO:
        return SKUA_FILE_FIFO;
    case DT_SOCK:
        return SKUA_FILE_SOCKET;
    case DT_BLK:
        return SKUA_FILE_BLOCK_DEVICE;
    case DT_CHR:
        return SKUA_FILE_CHAR_DEVICE;
    default:
        return SKUA_FILE_UNKNOWN;
    }
}

/* The next entry; a batch more when all were taken. 1, 0 at the end, or an error. */
static int dir_take(struct skua_dir *dir, const struct dirent64 **ret)
{
    if (dir->at == dir->len) {
        int64_t n = skua__fs_run(dir_fill_run, dir);

        if (n <= 0)
            return (int)n;
        dir->at = 0;
        dir->len = (size_t)n;
    }
    *ret = (const struct dirent64 *)(const void *)((char *)dir->entries + dir->at);
    dir->at += (*ret)->d_reclen;
    return 1;
}

int skua_dir_next(skua_dir *dir, skua_dir_entry *ret)
{
    const struct dirent64 *entry = NULL;
    int rc = skua__fs_may_wait() ? skua__task_leaf() : SKUA_EUSAGE;

    if (rc != 0)
        return rc;
    while ((rc = dir_take(dir, &entry)) == 1) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        ret->name = entry->d_name;
        ret->ino = entry->d_ino;
        ret->kind = dir_kind(entry->d_type);
        return 1;
    }
    return rc;
}

void skua_dir_close(skua_dir *dir)
{
    if (dir == NULL)
        return;
    (void)skua__fs_close(dir->fd); /* what was only read has nothing to report */
    skua__os_free(dir);
}

#undef DIR_ROOM
