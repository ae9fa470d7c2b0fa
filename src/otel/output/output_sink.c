/* output_sink.c - a file, or a standard stream, that lines are written to.
 *
 * A file     is opened to be appended to, at the first write, and again after a failure; one that
 *            would grow beyond its bound becomes path.1, that path.2, and so on.
 * Failures   a disk that is full leaves no piece of a line behind: the file is cut back. Where that
 *            cannot be, the next line begins on a line of its own.
 */
#include <stdio.h>

#include <skua/fs.h>
#include <skua/standard.h>

#include "otel/output/output_impl.h"

int skua__sink_init(struct skua__sink *sink, const char *path)
{
    size_t size = path != NULL ? strlen(path) + 1 : 0;

    if (path == NULL)
        return 0;
    sink->path = skua__otel_raw(size);
    if (sink->path == NULL)
        return -ENOMEM;
    memcpy(sink->path, path, size);
    return 0;
}

/* How long the file is; others may append to it, too. */
static int sink_measure(struct skua__sink *sink)
{
    skua_metadata about;
    int rc = skua_file_metadata(sink->file, &about);

    if (rc == 0)
        sink->size = (int64_t)about.size;
    return rc;
}

static int sink_open_file(struct skua__sink *sink)
{
    return skua_file_open(
        &sink->file, sink->path,
        SKUA_FILE_OPTIONS(.append = 1, .create = 1, .sync = sink->sync, .mode = sink->mode));
}

static int sink_open(struct skua__sink *sink)
{
    if (sink->file != NULL || sink->stream != NULL)
        return 0;
    if (sink->path != NULL)
        return sink_open_file(sink);
    return sink->number == 2 ? skua_stderr_open(&sink->stream) : skua_stdout_open(&sink->stream);
}

/* ---- rotation -------------------------------------------------------------------------------- */

/* path, path.1, path.2 … */
static void sink_name(const struct skua__sink *sink, char *out, size_t size, unsigned number)
{
    if (number == 0)
        (void)snprintf(out, size, "%s", sink->path);
    else
        (void)snprintf(out, size, "%s.%u", sink->path, number);
}

/* What cannot be renamed stays, and goes on growing: nothing is lost. */
static int sink_rotate(struct skua__sink *sink)
{
    size_t size = strlen(sink->path) + 16;
    char *from = skua__otel_raw(size * 2), *to;
    int rc = 0;

    if (from == NULL)
        return 0;
    to = from + size;
    (void)skua__sink_close(sink);
    for (unsigned i = sink->keep; i-- > 0;) {
        sink_name(sink, from, size, i);
        sink_name(sink, to, size, i + 1);
        rc = skua_fs_rename(from, to, 0);
    }
    skua__otel_free(from);
    sink->torn = sink->torn && rc != 0; /* of the last one: it goes on in the same file */
    rc = sink_open_file(sink);
    return rc != 0 ? rc : sink_measure(sink);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A write of `len` bytes at `size` has failed: what of them is there goes away, where nobody else
 * has written behind it. */
static void sink_cut(struct skua__sink *sink, size_t len)
{
    int64_t from = sink->size;

    sink->torn = sink_measure(sink) != 0 || sink->size != from;
    if (sink->torn && sink->size > from && sink->size - from < (int64_t)len &&
        skua_file_truncate(sink->file, from) == 0)
        sink->torn = false;
}

/* Ends a line that was cut. */
static int sink_mend(struct skua__sink *sink)
{
    ssize_t n;

    if (!sink->torn)
        return 0;
    n = skua_file_write_all(sink->file, "\n", 1);
    if (n < 0)
        return (int)n;
    sink->torn = false;
    sink->size++;
    return 0;
}

static int sink_write_file(struct skua__sink *sink, const char *bytes, size_t len)
{
    ssize_t n;
    int rc = sink_measure(sink);

    if (rc == 0 && sink->rotate != 0 && sink->size > 0 && sink->size + (int64_t)len > sink->rotate)
        rc = sink_rotate(sink);
    if (rc == 0)
        rc = sink_mend(sink);
    if (rc != 0)
        return rc;
    n = skua_file_write_all(sink->file, bytes, len);
    if (n < 0)
        sink_cut(sink, len);
    return n < 0 ? (int)n : 0;
}

int skua__sink_write(struct skua__sink *sink, const char *bytes, size_t len, int64_t deadline)
{
    int rc = sink_open(sink);
    ssize_t n;

    if (rc != 0)
        return rc;
    if (sink->path != NULL)
        return sink_write_file(sink, bytes, len);
    n = sink->torn ? skua_fd_write_all_until(sink->stream, "\n", 1, deadline) : 0;
    if (n >= 0)
        n = skua_fd_write_all_until(sink->stream, bytes, len, deadline);
    sink->torn = n < 0;
    return n < 0 ? (int)n : 0;
}

int skua__sink_close(struct skua__sink *sink)
{
    int rc = 0;

    if (sink->file != NULL)
        rc = skua_file_close(sink->file);
    if (sink->stream != NULL)
        (void)skua_fd_close(sink->stream);
    sink->file = NULL;
    sink->stream = NULL;
    return rc;
}

void skua__sink_forked(struct skua__sink *sink)
{
    sink->file = NULL;
    sink->stream = NULL;
    sink->torn = false; /* the parent mends its own line */
}

void skua__sink_free(struct skua__sink *sink)
{
    (void)skua__sink_close(sink);
    skua__otel_free(sink->path);
}
