/* codec_impl.h - how this folder calls what a skua_io stands for.
 *
 * A table may be anybody's. So every call goes through here: an interrupted one is made again, and
 * a count that cannot be is an error before it becomes an index.
 */
#ifndef SKUA_CODEC_CODEC_IMPL_H
#define SKUA_CODEC_CODEC_IMPL_H

#include <errno.h>
#include <string.h>

#include <skua/io.h>

#include "base/defs.h"
#include "os/os.h"

/* One read of at least a byte: a count up to `len`, 0: the end, or a negative code. */
ssize_t skua__io_read(skua_io io, void *buf, size_t len, int64_t deadline);
/* One write of at least a byte: a count from 1 to `len`, or a negative code. */
ssize_t skua__io_write(skua_io io, const void *buf, size_t len, int64_t deadline);
/* The same of up to SKUA__IO_PARTS buffers, at least one byte together. */
#define SKUA__IO_PARTS 3
ssize_t skua__io_writev(skua_io io, const struct iovec *iov, int count, int64_t deadline);

/* Whether a failed call may be made again: nothing has happened to the stream. */
SKUA__INLINE bool skua__io_passes(int64_t code)
{
    return code == -ECANCELED || code == -ETIMEDOUT || code == -EBUSY;
}

#endif
