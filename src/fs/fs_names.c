/* fs_names.c - calls with names: each is one system call, or two, on a thread of the pool. */
#include <string.h>

#include "fs/fs_impl.h"
#include "os/os_statx.h"

/* A call and its arguments; which of these it uses is its own. */
struct names {
    int64_t (*fn)(struct names *names);
    const char *path;
    const char *other;
    uint32_t number;
    void *ret;
    size_t len;
};

static int64_t names_run(void *arg)
{
    struct names *names = arg;

    return names->fn(names);
}

static int64_t names_now(void *names)
{
    return skua__fs_run(names_run, names);
}

static int64_t names_call(const char *what, struct names *names)
{
    if (names->path == NULL || names->other == NULL)
        return -EINVAL;
    return skua__fs_told(what, names->path, false, names_now, names);
}

/* ---- about a name ---------------------------------------------------------------------------- */

static int64_t names_status(struct names *names)
{
    /* An empty name would be the descriptor's. */
    if (names->path[0] == 0)
        return -ENOENT;
    return skua__os_file_stat(SKUA__AT_CWD, names->path, names->number != 0, names->ret);
}

static int names_metadata(const char *path, bool follow, skua_metadata *ret)
{
    struct statx status;
    struct names names = {names_status, path, "", follow, &status, 0};
    int rc = (int)names_call("fs.stat", &names);

    if (rc == 0)
        skua__fs_metadata(&status, ret);
    return rc;
}

int skua_fs_metadata(const char *path, skua_metadata *ret)
{
    return names_metadata(path, true, ret);
}

int skua_fs_symlink_metadata(const char *path, skua_metadata *ret)
{
    return names_metadata(path, false, ret);
}

int skua_fs_exists(const char *path)
{
    skua_metadata metadata;
    int rc = names_metadata(path, true, &metadata);

    if (rc == 0)
        return 1;
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int64_t names_chmod(struct names *names)
{
    return skua__os_chmod(names->path, names->number);
}

int skua_fs_set_permissions(const char *path, uint32_t mode)
{
    struct names names = {names_chmod, path, "", mode, NULL, 0};

    return mode > 07777 ? -EINVAL : (int)names_call("fs.chmod", &names);
}

static int64_t names_realpath(struct names *names)
{
    return skua__os_realpath(names->path, names->ret);
}

int skua_fs_canonicalize(const char *path, char **ret)
{
    struct names names = {names_realpath, path, "", 0, ret, 0};

    return (int)names_call("fs.realpath", &names);
}

/* ---- changing names -------------------------------------------------------------------------- */

static int64_t names_rename(struct names *names)
{
    return skua__os_rename(names->path, names->other, names->number);
}

int skua_fs_rename(const char *from, const char *to, unsigned flags)
{
    struct names names = {names_rename, from, to, flags, NULL, 0};

    if (flags > SKUA_RENAME_EXCHANGE) /* both, or an unknown one */
        return -EINVAL;
    return (int)names_call("fs.rename", &names);
}

static int64_t names_unlink(struct names *names)
{
    return skua__os_unlink(SKUA__AT_CWD, names->path, names->number != 0);
}

int skua_fs_remove(const char *path)
{
    struct names names = {names_unlink, path, "", 0, NULL, 0};

    return (int)names_call("fs.remove", &names);
}

int skua_fs_remove_dir(const char *path)
{
    struct names names = {names_unlink, path, "", 1, NULL, 0};

    return (int)names_call("fs.rmdir", &names);
}

static int64_t names_link(struct names *names)
{
    return skua__os_link(names->path, names->other);
}

int skua_fs_link(const char *from, const char *to)
{
    struct names names = {names_link, from, to, 0, NULL, 0};

    return (int)names_call("fs.link", &names);
}

static int64_t names_symlink(struct names *names)
{
    return skua__os_symlink(names->path, names->other);
}

int skua_fs_symlink(const char *target, const char *path)
{
    struct names names = {names_symlink, target, path, 0, NULL, 0};

    return (int)names_call("fs.symlink", &names);
}

static int64_t names_readlink(struct names *names)
{
    return skua__os_readlink(names->path, names->ret, names->len);
}

ssize_t skua_fs_read_link(const char *path, char *buf, size_t len)
{
    struct names names = {names_readlink, path, "", 0, buf, len};
    int64_t n = len == 0 ? -EINVAL : names_call("fs.readlink", &names);

    if (n < 0)
        return (ssize_t)n;
    if ((size_t)n == len)
        return -ENOBUFS; /* cut, or without room for the zero */
    buf[n] = 0;
    return (ssize_t)n;
}

/* ---- directories ----------------------------------------------------------------------------- */

static int64_t names_mkdir(struct names *names)
{
    return skua__os_mkdir(names->path, names->number);
}

int skua_fs_mkdir(const char *path, uint32_t mode)
{
    struct names names = {names_mkdir, path, "", mode != 0 ? mode : 0777, NULL, 0};

    return mode > 07777 ? -EINVAL : (int)names_call("fs.mkdir", &names);
}

/* Whether a directory is there: 0; -ENOTDIR: something else; or `otherwise`. */
static int names_is_dir(const char *path, int otherwise)
{
    struct statx status;
    int rc = skua__os_file_stat(SKUA__AT_CWD, path, true, &status);

    if (rc != 0)
        return otherwise;
    return S_ISDIR(status.stx_mode) ? 0 : -ENOTDIR;
}

/* Cuts the last part of a name off: the length of what is above it; 0: nothing, or the root. */
static size_t names_above(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

/* Up until one is there or can be made, then down again. `path` is a copy: it is cut at zeros. */
static int64_t names_mkdir_all(struct names *names)
{
    char *path = names->ret;
    size_t whole = names->len;
    size_t len = whole;
    int rc;

    while ((rc = skua__os_mkdir(path, names->number)) == -ENOENT) {
        len = names_above(path, len);
        if (len == 0)
            return rc;
        path[len] = 0;
    }
    for (;;) {
        /* Somebody made it, perhaps just now; or it cannot be made because it is there (-EROFS,
         * -EACCES). */
        if (rc != 0 && (rc = names_is_dir(path, rc)) != 0)
            return rc;
        if (len == whole)
            return 0;
        path[len] = '/';
        len = strlen(path); /* to the next cut */
        rc = skua__os_mkdir(path, names->number);
    }
}

int skua_fs_mkdir_all(const char *path, uint32_t mode)
{
    struct names names = {names_mkdir_all, path, "", mode != 0 ? mode : 0777, NULL, 0};
    int rc;

    if (path == NULL || mode > 07777)
        return -EINVAL;
    names.len = strlen(path);
    names.ret = skua__os_alloc(names.len + 1);
    if (names.ret == NULL)
        return -ENOMEM;
    memcpy(names.ret, path, names.len);
    rc = (int)names_call("fs.mkdir", &names);
    skua__os_free(names.ret);
    return rc;
}

_Static_assert(SKUA_RENAME_NO_REPLACE == SKUA__RENAME_NO_REPLACE &&
                   SKUA_RENAME_EXCHANGE == SKUA__RENAME_EXCHANGE,
               "flags are handed through");
