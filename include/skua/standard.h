/* standard.h - the standard streams: terminals, pipes, files and sockets, whatever they are.
 *
 *     skua_fd *in;
 *     char line[4096];
 *
 *     rc = skua_stdin_open(&in);
 *     while ((n = skua_fd_read(in, line, sizeof line)) > 0)     // a line at a time on a terminal
 *         ...
 *     skua_fd_close(in);
 *
 * A standard stream is an open file that the shell and the other programs of the pipeline use, too:
 * were it made non-blocking, they would fail with EAGAIN, and the terminal would stay so after us.
 * Therefore a handle is made that leaves it alone:
 *
 *   terminal, pipe     opened anew (/proc/self/fd), with flags of its own
 *   socket             the same file; each call is made so that it does not block
 *   file, /dev/null    the same file, read and written directly: these never wait. A slow disk
 *                      holds its worker up meanwhile, as everywhere
 *   else               (may not be opened anew: after su, say; a device) the same file, made
 *                      non-blocking until the last such handle is closed: a program that is
 *                      killed before leaves it so
 *
 * The handle has a number of its own; 0, 1 and 2 stay what they are, and stdio may be used beside
 * it. Closing the handle does not end a pipe whose number 1 is still open.
 *
 * In the child of a fork a handle of its parent's is of the same open file. One of the last kind
 * stays non-blocking when the child closes it: the process that made it so makes it blocking again
 * with its own last handle, and the child is not to use it after that.
 *
 * A terminal's signals are the system's affair: a read of a job in the background says -EIO.
 */
#ifndef SKUA_STANDARD_H
#define SKUA_STANDARD_H

#include <skua/fd.h>

SKUA_C_BEGIN

/* Opens standard input for reading.
 *
 * ret        receives a handle, to be ended by skua_fd_close; untouched on failure
 * Returns    0; -EBADF: there is none, or it is not open for that; -EMFILE, -ENOMEM …
 * Threads    any; as many handles as you like, but they share what comes
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_stdin_open(skua_fd **ret);

/* Opens standard output for writing.
 *
 * Returns    as skua_stdin_open
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_stdout_open(skua_fd **ret);

/* Opens standard error for writing.
 *
 * Returns    as skua_stdin_open
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_stderr_open(skua_fd **ret);

SKUA_C_END

#endif
