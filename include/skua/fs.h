/* fs.h - names of files: metadata, links, directories; whole files at once.
 *
 *     rc = skua_fs_write_atomic("config", text, len, 0);     // the old one, or the new one
 *     n = skua_fs_read("config", &data, 1 << 20);            // a zero byte behind; free(data)
 *
 *     if (skua_dir_open(&dir, ".") == 0) {
 *         while (skua_dir_next(dir, &entry) > 0)
 *             puts(entry.name);
 *         skua_dir_close(dir);
 *     }
 *
 * Each call runs on a thread of the pool, as those of file.h do, and ends as they do: cancelled or
 * out of time while it is in line, it has done nothing; once it runs it is waited for, and its
 * result is returned. Besides its own errors each returns -ENOMEM, -EAGAIN (no thread of the pool),
 * -ECANCELED, -ETIMEDOUT, and SKUA_EUSAGE in a poll task; these are not named again below.
 *
 * Names      are bytes without zeros, closed by a zero, as the kernel has them; a relative one
 *            begins where the process is. NULL is -EINVAL.
 * Memory     what a call allocates for the caller is freed by free().
 * Source     Rust's std::fs and Tokio's fs, with C's shape.
 */
#ifndef SKUA_FS_H
#define SKUA_FS_H

#include <skua/file.h>

SKUA_C_BEGIN

/* ---- about a name ---------------------------------------------------------------------------- */

/* What is known about a file. Symbolic links are followed.
 *
 * ret        filled in; untouched on failure
 * Returns    0; -ENOENT, -EACCES, -ENOTDIR, -ELOOP, -ENAMETOOLONG …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_metadata(const char *path, skua_metadata *ret);

/* The same of the link itself, if the name is one.
 *
 * Returns    as skua_fs_metadata
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_symlink_metadata(const char *path, skua_metadata *ret);

/* Whether there is something with this name. Links are followed: a broken one is not there.
 *
 * Returns    1, 0; -EACCES …: it cannot be told
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_exists(const char *path);

/* Sets the permissions. Links are followed.
 *
 * mode       07777
 * Returns    0; -ENOENT, -EPERM …; -EINVAL (mode)
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_set_permissions(const char *path, uint32_t mode);

/* The absolute name, without links, "." and "..".
 *
 * ret        receives it, to be freed by free(); untouched on failure
 * Returns    0; -ENOENT, -EACCES, -ENOTDIR, -ELOOP …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_canonicalize(const char *path, char **ret);

/* ---- changing names -------------------------------------------------------------------------- */

#define SKUA_RENAME_NO_REPLACE 0x1u /* -EEXIST if `to` is there */
#define SKUA_RENAME_EXCHANGE 0x2u   /* both are there, and change places */

/* Renames a file or a directory; what is called `to` is replaced at one stroke.
 *
 * flags      SKUA_RENAME_* or 0; not both
 * Returns    0; -ENOENT, -EACCES, -EXDEV (another file system), -EEXIST, -ENOTEMPTY, -EISDIR,
 *            -ENOTDIR …; -EINVAL (flags, a directory into itself, or the file system cannot)
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_rename(const char *from, const char *to, unsigned flags);

/* Removes a file, or a link.
 *
 * Returns    0; -ENOENT, -EACCES, -EISDIR …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_remove(const char *path);

/* Removes an empty directory.
 *
 * Returns    0; -ENOENT, -EACCES, -ENOTDIR, -ENOTEMPTY …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_remove_dir(const char *path);

/* Removes a file, or a directory with all that is in it. Symbolic links are removed, never
 * followed, also if somebody makes one of a directory meanwhile.
 *
 * Returns    0; -ENOENT; the first failure ends it: -EACCES, -ESTALE (a directory was moved away
 *            meanwhile), -ENOTEMPTY (somebody puts files in as fast) …
 * Threads    fibers, plain threads
 * Cancel     between steps of some hundred entries: a part is removed
 * Since      0.3
 */
SKUA_API int skua_fs_remove_all(const char *path);

/* Makes another name for a file.
 *
 * Returns    0; -ENOENT, -EEXIST, -EXDEV, -EPERM …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_link(const char *from, const char *to);

/* Makes a symbolic link.
 *
 * target     what it says; need not be there
 * Returns    0; -EEXIST, -ENOENT (the directory) …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_symlink(const char *target, const char *path);

/* What a symbolic link says.
 *
 * buf, len   receives it, closed by a zero
 * Returns    the length without the zero; -ENOENT, -EINVAL (no link), -ENOBUFS (it does not fit) …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API ssize_t skua_fs_read_link(const char *path, char *buf, size_t len);

/* ---- directories ----------------------------------------------------------------------------- */

/* Makes a directory.
 *
 * mode       less the umask; 0 = 0777
 * Returns    0; -EEXIST, -ENOENT, -EACCES …; -EINVAL (mode)
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_mkdir(const char *path, uint32_t mode);

/* Makes a directory and those above it that are missing. One that is there is fine.
 *
 * mode       of each that is made, less the umask; 0 = 0777
 * Returns    0; -ENOTDIR (there is a file in the way), -EACCES …; -EINVAL (mode)
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_fs_mkdir_all(const char *path, uint32_t mode);

typedef struct skua_dir skua_dir;

typedef struct skua_dir_entry {
    const char *name; /* the iterator's, until the next call */
    uint64_t ino;
    skua_file_kind kind; /* of the entry itself; SKUA_FILE_UNKNOWN where that is not told */
} skua_dir_entry;

/* Begins to read a directory.
 *
 * ret        receives the iterator, to be ended by skua_dir_close; untouched on failure
 * Returns    0; -ENOENT, -ENOTDIR, -EACCES, -EMFILE …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_dir_open(skua_dir **ret, const char *path);

/* The next entry, in no order, without "." and "..". Some hundred are read at a time.
 *
 * What is added or removed meanwhile may be there or not; all else is there once.
 *
 * ret        filled in when 1 is returned
 * Returns    1; 0: that was all; -EIO …
 * Threads    fibers, plain threads; one at a time, any at last
 * Cancel     safe: no entry is lost
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_dir_next(skua_dir *dir, skua_dir_entry *ret);

/* Ends the iterator.
 *
 * dir        NULL does nothing
 * Threads    any; nobody uses it any more
 * Since      0.3
 */
SKUA_API void skua_dir_close(skua_dir *dir);

/* ---- whole files ----------------------------------------------------------------------------- */

/* Reads a file to its end.
 *
 * data       receives it, with a zero byte behind, to be freed by free(); untouched on failure
 * limit      the most bytes to accept
 * Returns    the count; -EFBIG when there are more; -ENOENT, -EISDIR …
 * Threads    fibers, plain threads
 * Cancel     between reads of 4 MiB
 * Since      0.3
 */
SKUA_API ssize_t skua_fs_read(const char *path, void **data, size_t limit);

/* Writes a file so that everybody finds the old contents or the new, also after a crash.
 *
 * A file with a name of its own, in the same directory, is written, synced and renamed; then the
 * directory is synced. A failure before the rename leaves nothing behind; one of the last sync
 * leaves the new contents, which a crash may still undo. A symbolic link is replaced, not followed.
 *
 * mode       permissions; 0 = those of the file that is there, or 0666 less the umask
 * Returns    0; -ENOENT (the directory), -EACCES, -ENOSPC, -EIO, -EISDIR …; -EINVAL (mode)
 * Threads    fibers, plain threads
 * Cancel     once begun it goes on to its end, and is waited for
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_fs_write_atomic(const char *path, const void *data, size_t len,
                                                 uint32_t mode);

/* Copies a file's contents and permissions. What is called `to` is overwritten in its place.
 *
 * The kernel copies where it can, and a file system may share the blocks.
 *
 * Returns    the count of bytes; -ENOENT, -EISDIR, -EACCES, -ENOSPC …; -EINVAL: both are the same
 *            file. On failure `to` is incomplete.
 * Threads    fibers, plain threads
 * Cancel     between parts of 4 MiB: `to` is incomplete
 * Since      0.3
 */
SKUA_API int64_t skua_fs_copy(const char *from, const char *to);

/* ---- for a while ----------------------------------------------------------------------------- */

/* Opens a new file without a name, for reading and writing: it is gone when it is closed.
 *
 * ret        receives it, to be ended by skua_file_close; untouched on failure
 * dir        where its blocks are; NULL = $TMPDIR, or /tmp
 * Returns    0; -ENOENT, -EACCES, -ENOSPC, -EMFILE …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_fs_temp_file(skua_file **ret, const char *dir);

/* Makes a new directory that only this user may enter.
 *
 * dir        where; NULL = $TMPDIR, or /tmp
 * ret        receives its name, to be freed by free(); untouched on failure
 * Ownership  it is the caller's to remove: skua_fs_remove_all
 * Returns    0; -ENOENT, -EACCES …
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_fs_temp_dir(const char *dir, char **ret);

SKUA_C_END

#endif
