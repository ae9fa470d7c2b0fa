/* fs_tree.c - removing a directory with all that is in it, without following a link.
 *
 * Flow       tree_begin: a file, or an empty directory: removed, done. Else: opened ->
 *            tree_step: a batch of entries: each is removed; one that is a directory with something
 *            in it becomes the current one -> its end: back to the one above it, read from its
 *            beginning -> … -> the first one's end: it is removed
 * Names      everything is done relative to the current directory's descriptor, and a directory is
 *            opened without following a link: whoever exchanges one for a link to elsewhere gets an
 *            error, and nothing is removed elsewhere.
 * Depth      one descriptor, whatever the depth: the way up is "..", which must be the directory
 *            that the way down came from, by device and inode: the stack, 16 bytes a level.
 * Cost       a directory is read again after each of its non-empty directories; all that was read
 *            before is gone by then.
 */
#include <dirent.h>
#include <string.h>

#include "fs/fs_impl.h"
#include "os/os_statx.h"

#define TREE_ROOM ((size_t)8 << 10)

struct tree_level {
    uint64_t dev;
    uint64_t ino;
};

struct tree {
    const char *path;
    int fd; /* the current directory; -1: not begun, or over */
    struct tree_level *levels;
    size_t depth; /* of the current one, which is levels[depth] */
    size_t room;
    int64_t entries[TREE_ROOM / sizeof(int64_t)];
};

/* ---- the way down, and up -------------------------------------------------------------------- */

static int tree_level_of(int fd, struct tree_level *ret)
{
    struct statx status;
    int rc = skua__os_file_stat(fd, "", true, &status);

    if (rc != 0)
        return rc;
    ret->dev = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
    ret->ino = status.stx_ino;
    return 0;
}

static int tree_grow(struct tree *tree, size_t depth)
{
    size_t room = tree->room != 0 ? 2 * tree->room : 16;
    struct tree_level *levels;

    if (depth < tree->room)
        return 0;
    levels = skua__os_alloc(room * sizeof *levels);
    if (levels == NULL)
        return -ENOMEM;
    if (tree->levels != NULL)
        memcpy(levels, tree->levels, tree->room * sizeof *levels);
    skua__os_free(tree->levels);
    tree->levels = levels;
    tree->room = room;
    return 0;
}

/* The current directory is `fd` from here on. */
static void tree_move(struct tree *tree, int fd, size_t depth)
{
    if (tree->fd >= 0)
        (void)skua__os_file_close(tree->fd);
    tree->fd = fd;
    tree->depth = depth;
}

static int tree_down(struct tree *tree, const char *name)
{
    bool first = tree->fd < 0;
    size_t depth = first ? 0 : tree->depth + 1;
    int rc = tree_grow(tree, depth);
    int fd;

    if (rc != 0)
        return rc;
    fd = skua__os_file_open(first ? SKUA__AT_CWD : tree->fd, name,
                            SKUA__OPEN_READ | SKUA__OPEN_DIRECTORY | SKUA__OPEN_NO_FOLLOW, 0);
    if (fd < 0)
        return fd;
    rc = tree_level_of(fd, &tree->levels[depth]);
    if (rc != 0) {
        (void)skua__os_file_close(fd);
        return rc;
    }
    tree_move(tree, fd, depth);
    return 0;
}

static int tree_up(struct tree *tree)
{
    struct tree_level *above = &tree->levels[tree->depth - 1];
    struct tree_level found;
    int fd = skua__os_file_open(tree->fd, "..", SKUA__OPEN_READ | SKUA__OPEN_DIRECTORY, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = tree_level_of(fd, &found);
    if (rc == 0 && (found.dev != above->dev || found.ino != above->ino))
        rc = -ESTALE;
    if (rc != 0) {
        (void)skua__os_file_close(fd);
        return rc;
    }
    tree_move(tree, fd, tree->depth - 1);
    return 0;
}

/* ---- removing -------------------------------------------------------------------------------- */

/* Removes an entry: 0; -ENOTEMPTY: a directory that has some itself; or an error. */
static int tree_remove(int dir, const char *name, unsigned char type)
{
    int rc = type == DT_DIR ? -EISDIR : skua__os_unlink(dir, name, false);

    if (rc != -EISDIR)
        return rc == -ENOENT ? 0 : rc; /* somebody else was faster */
    rc = skua__os_unlink(dir, name, true);
    if (rc == -EEXIST)
        return -ENOTEMPTY; /* as some file systems say it */
    return rc == -ENOENT ? 0 : rc;
}

/* A batch of the current directory: 1: there may be more; 0: it is empty; or an error. */
static int tree_batch(struct tree *tree)
{
    ssize_t n = skua__os_dir_read(tree->fd, tree->entries, sizeof tree->entries);
    ssize_t at = 0;

    if (n <= 0)
        return (int)n;
    while (at < n) {
        const struct dirent64 *entry =
            (const struct dirent64 *)(const void *)((char *)tree->entries + at);
        int rc;

        at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        rc = tree_remove(tree->fd, entry->d_name, entry->d_type);
        if (rc == -ENOTEMPTY) {
            rc = tree_down(tree, entry->d_name);
            return rc == 0 ? 1 : rc;
        }
        if (rc != 0)
            return rc;
    }
    return 1;
}

static int64_t tree_begin(struct tree *tree)
{
    int rc = skua__os_unlink(SKUA__AT_CWD, tree->path, false);

    if (rc != -EISDIR)
        return rc;
    rc = skua__os_unlink(SKUA__AT_CWD, tree->path, true);
    if (rc != -ENOTEMPTY && rc != -EEXIST)
        return rc;
    rc = tree_down(tree, tree->path);
    return rc == 0 ? SKUA__FS_MORE : rc;
}

static int64_t tree_step(void *arg)
{
    struct tree *tree = arg;
    int rc;

    if (tree->fd < 0)
        return tree_begin(tree);
    rc = tree_batch(tree);
    if (rc == 0 && tree->depth == 0)
        return skua__os_unlink(SKUA__AT_CWD, tree->path, true);
    if (rc == 0)
        rc = tree_up(tree);
    return rc < 0 ? rc : SKUA__FS_MORE;
}

static int64_t tree_remove_all(void *path)
{
    struct tree *tree;
    int rc;

    tree = skua__os_alloc(sizeof *tree);
    if (tree == NULL)
        return -ENOMEM;
    tree->path = path;
    tree->fd = -1;
    rc = (int)skua__fs_steps(tree_step, tree);
    if (tree->fd >= 0)
        (void)skua__fs_close(tree->fd);
    skua__os_free(tree->levels);
    skua__os_free(tree);
    return rc;
}

int skua_fs_remove_all(const char *path)
{
    if (path == NULL)
        return -EINVAL;
    return (int)skua__fs_told("fs.remove_all", path, false, tree_remove_all,
                              (void *)(uintptr_t)path);
}

#undef TREE_ROOM
