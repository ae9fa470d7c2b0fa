/* pipe.h - pipes, and FIFOs: pipes with a name in the file system.
 *
 *     skua_fd *reader, *writer;
 *
 *     rc = skua_pipe_new(&reader, &writer, NULL);
 *     rc = skua_fifo_open(&writer, "/run/jobs", SKUA_FIFO_WRITE);    // waits for a reader
 *
 * Both give descriptors (fd.h): read, written, waited for and closed as those. A write that nobody
 * reads any more says -EPIPE, on any thread, and never raises SIGPIPE.
 */
#ifndef SKUA_PIPE_H
#define SKUA_PIPE_H

#include <skua/fd.h>
#include <skua/time.h>

SKUA_C_BEGIN

typedef struct skua_pipe_options {
    size_t size;     /* stamped by the macro */
    size_t capacity; /* bytes that it holds, rounded up by the system (default 0: the system's) */
} skua_pipe_options;

#ifndef __cplusplus
#define SKUA_PIPE_OPTIONS(...)                                                                     \
    (&(const skua_pipe_options){.size = sizeof(skua_pipe_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_pipe_options_init(skua_pipe_options *options);

/* Makes a pipe.
 *
 * reader     receives the end to read from; closing it has writes say -EPIPE
 * writer     receives the end to write to; closing it ends what is read. Both are untouched on
 *            failure, and each ended by skua_fd_close or skua_fd_release
 * options    NULL = defaults
 * Returns    0; -EINVAL; -EPERM: more capacity than /proc/sys/fs/pipe-max-size; -EMFILE, -ENFILE,
 *            -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_pipe_new(skua_fd **reader, skua_fd **writer,
                                          const skua_pipe_options *options);

/* ---- FIFOs ----------------------------------------------------------------------------------- */

/* How a FIFO is opened: READ, WRITE, or both at once. */
#define SKUA_FIFO_READ 1u
#define SKUA_FIFO_WRITE 2u
#define SKUA_FIFO_PATIENT 4u /* with READ alone: see there */

/* Opens a FIFO. No thread ever blocks in it.
 *
 * READ opens at once. Without a writer a read tells the end of the file; with PATIENT it waits for
 * the first writer, and the end comes when the last one has left.
 *
 * WRITE waits until somebody has it open for reading, as the system has it. A system that does not
 * block says "nobody" and cannot be waited for; so it is asked again after 1 ms, then 2, up to
 * 64 ms. (Notices of inotify come too late: a reader that blocks in its own open until there is a
 * writer has not opened it yet. And an end that is open for both has a reader, itself: what it
 * writes goes nowhere.)
 *
 * READ | WRITE opens at once, and never tells an end: a server's, whose clients come and go.
 *
 * ret        receives the descriptor, to be ended by skua_fd_close; untouched on failure
 * path       the caller's; read until the return
 * mode       SKUA_FIFO_…
 * Returns    0; -EINVAL (mode; or it is no FIFO), -ENOENT, -EACCES, -EMFILE, -ENOMEM …;
 *            -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: nothing is open
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fifo_open(skua_fd **ret, const char *path, unsigned mode);

/* As skua_fifo_open, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fifo_open
 * Threads    as skua_fifo_open
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fifo_open_until(skua_fd **ret, const char *path, unsigned mode,
                                                 int64_t deadline);

/* Waits for a FIFO's other end. Its members are private. */
typedef struct skua_fifo_future {
    skua_future future;
    skua_fd **ret;
    const char *path;
    unsigned mode;
    int sleeping;
    int64_t pause; /* ns of the next one */
    skua_sleep_future sleep;
} skua_fifo_future;

/* Makes a future of an opening: ready as skua_fifo_open returns.
 *
 * path       the caller's, alive as long as the future
 * Returns    &open->future
 * Threads    where it is awaited
 * Cancel     safe: nothing is open
 * Since      0.2
 */
SKUA_API skua_future *skua_fifo_open_init(skua_fifo_future *open, skua_fd **ret, const char *path,
                                          unsigned mode);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_fifo_opening(ret, path, mode)                                                         \
    skua_fifo_open_init(&(skua_fifo_future){.future = {0}}, (ret), (path), (mode))
#endif

SKUA_C_END

#endif
