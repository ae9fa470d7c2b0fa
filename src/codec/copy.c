/* copy.c - one stream to another, and two to each other.
 *
 * Flow       a piece is read into a buffer and written out, again and again. Where both streams can
 *            be spliced the buffer is a pipe in the kernel, and the piece is never seen here. A
 *            stream that says "not in this way" on the way is copied through a buffer from there
 *            on; what is in the pipe then goes first.
 * Two ways   each direction is a fiber in a scope that fails fast: the first error cancels the
 *            other, and the scope waits for it.
 */
#include "codec/codec_impl.h"

#include <skua/task.h>

#define COPY_BUFFER ((size_t)16 << 10)
#define COPY_PIPE ((size_t)64 << 10)
#define COPY_BUFFER_MAX ((size_t)1 << 30)

/* One direction. */
struct copy_way {
    skua_io from;
    skua_io to;
    int64_t left;  /* of the limit */
    int64_t total; /* written */
    int64_t deadline;
    size_t buffer; /* 0: the default */
    bool splices;
};

/* ---- through a buffer ------------------------------------------------------------------------ */

/* How much is read at a time. */
static size_t copy_piece(const struct copy_way *way, size_t size)
{
    return (uint64_t)way->left < size ? (size_t)way->left : size;
}

static int copy_write(struct copy_way *way, const char *buf, size_t len)
{
    while (len != 0) {
        ssize_t n = skua__io_write(way->to, buf, len, way->deadline);

        if (n < 0)
            return (int)n;
        way->total += n;
        buf += n;
        len -= (size_t)n;
    }
    return 0;
}

static int copy_buffered(struct copy_way *way)
{
    size_t size = way->buffer != 0 ? way->buffer : COPY_BUFFER;
    char *buf = way->left != 0 ? skua__os_alloc(size) : NULL;
    int rc = way->left != 0 && buf == NULL ? -ENOMEM : 0;

    while (rc == 0 && way->left != 0) {
        ssize_t n = skua__io_read(way->from, buf, copy_piece(way, size), way->deadline);

        if (n <= 0) {
            rc = (int)n;
            break;
        }
        way->left -= n;
        rc = copy_write(way, buf, (size_t)n);
    }
    skua__os_free(buf);
    return rc;
}

/* ---- through a pipe -------------------------------------------------------------------------- */

/* What is in the pipe, written by hand. */
static int copy_empty_pipe(struct copy_way *way, int pipe, size_t len)
{
    char buf[4096];
    int rc = 0;

    while (rc == 0 && len != 0) {
        struct iovec iov = {.iov_base = buf, .iov_len = skua__min_size(len, sizeof buf)};
        ssize_t n = skua__os_plain_readv(pipe, &iov, 1);

        if (n <= 0)
            return n == 0 ? -EIO : (int)n;
        len -= (size_t)n;
        rc = copy_write(way, buf, (size_t)n);
    }
    return rc;
}

static ssize_t copy_call(ssize_t (*call)(void *object, int pipe, size_t len, int64_t deadline),
                         void *object, int pipe, size_t len, int64_t deadline)
{
    ssize_t n;

    do {
        n = call(object, pipe, len, deadline);
    } while (n == -EINTR);
    return n > 0 && (size_t)n > len ? -EIO : n;
}

/* Writes what was put into the pipe: 0, -ENOSYS: written by hand, or a code. */
static int copy_from_pipe(struct copy_way *way, int pipe, size_t len)
{
    while (len != 0) {
        ssize_t n = copy_call(way->to.ops->from_pipe, way->to.object, pipe, len, way->deadline);

        if (n == -ENOSYS) {
            int rc = copy_empty_pipe(way, pipe, len);

            return rc != 0 ? rc : -ENOSYS;
        }
        if (n <= 0)
            return n == 0 ? -EIO : (int)n;
        way->total += n;
        len -= (size_t)n;
    }
    return 0;
}

/* 0: done; -ENOSYS: the rest is to go through a buffer; or a code. */
static int copy_spliced(struct copy_way *way, const int pipe[2])
{
    size_t size = way->buffer != 0 ? way->buffer : COPY_PIPE;
    int rc = 0;

    while (rc == 0 && way->left != 0) {
        ssize_t n = copy_call(way->from.ops->to_pipe, way->from.object, pipe[1],
                              copy_piece(way, size), way->deadline);

        if (n <= 0)
            return (int)n;
        way->left -= n;
        rc = copy_from_pipe(way, pipe[0], (size_t)n);
    }
    return rc;
}

/* ---- one way --------------------------------------------------------------------------------- */

static int copy_run(struct copy_way *way)
{
    int rc = -ENOSYS;
    int pipe[2];

    /* Without a pipe (no descriptors left) there is still the buffer. */
    if (way->splices && skua__os_pipe(pipe) == 0) {
        rc = copy_spliced(way, pipe);
        (void)skua__os_close(pipe[0]);
        (void)skua__os_close(pipe[1]);
    }
    return rc == -ENOSYS ? copy_buffered(way) : rc;
}

void skua_copy_options_init(skua_copy_options *options)
{
    *options = (skua_copy_options){.size = sizeof *options};
}

static int copy_way_init(struct copy_way *way, skua_io from, skua_io to, int64_t limit,
                         const skua_copy_options *options)
{
    static const skua_copy_options defaults = {.size = sizeof defaults};

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options || options->buffer > COPY_BUFFER_MAX ||
        options->deadline < 0 || options->no_splice > 1 || limit < 0 || from.ops == NULL ||
        to.ops == NULL)
        return -EINVAL;
    *way = (struct copy_way){.from = from,
                             .to = to,
                             .left = limit,
                             .deadline = options->deadline != 0 ? options->deadline : SKUA_FOREVER,
                             .buffer = options->buffer,
                             .splices = !options->no_splice && from.ops->to_pipe != NULL &&
                                        to.ops->from_pipe != NULL};
    return 0;
}

int64_t skua_copy(skua_io from, skua_io to, int64_t limit, const skua_copy_options *options)
{
    struct copy_way way;
    int rc = copy_way_init(&way, from, to, limit, options);

    if (rc == 0)
        rc = copy_run(&way);
    return rc != 0 ? rc : way.total;
}

/* ---- two ways -------------------------------------------------------------------------------- */

/* A direction's fiber: to the end, and the end is told. */
static int copy_fiber(void *arg)
{
    struct copy_way *way = arg;
    int rc = copy_run(way);

    return rc != 0 ? rc : skua_io_shutdown(way->to);
}

static int copy_both(struct copy_way way[2])
{
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_FAIL_FAST);
    int joined;

    if (rc != 0)
        return rc;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = skua_spawn(&scope, copy_fiber, &way[i], .name = "copy");
    if (rc != 0)
        (void)skua_scope_cancel(&scope);
    joined = skua_scope_join(&scope);
    return rc != 0 ? rc : joined;
}

int skua_copy_bidirectional(skua_io a, skua_io b, int64_t *a_to_b, int64_t *b_to_a,
                            const skua_copy_options *options)
{
    struct copy_way way[2];
    int rc = copy_way_init(&way[0], a, b, SKUA_COPY_ALL, options);

    if (rc != 0)
        return rc;
    (void)copy_way_init(&way[1], b, a, SKUA_COPY_ALL, options);
    rc = copy_both(way);
    if (a_to_b != NULL)
        *a_to_b = way[0].total;
    if (b_to_a != NULL)
        *b_to_a = way[1].total;
    return rc;
}

#undef COPY_BUFFER
#undef COPY_PIPE
#undef COPY_BUFFER_MAX
