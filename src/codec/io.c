/* io.c - any stream of bytes: what every kind of it is spared to write.
 *
 * Flow       a call goes to the stream's table, again while it says -EINTR. The ones that read or
 *            write everything go on until it is done, the stream has ended, or something failed.
 * Trust      the table may be a user's: a count beyond what was asked for, or a write of nothing,
 *            is -EIO here.
 */
#include "codec/codec_impl.h"

/* ---- one call -------------------------------------------------------------------------------- */

static ssize_t io_believe(ssize_t n, size_t len)
{
    return n > 0 && (size_t)n > len ? -EIO : n;
}

ssize_t skua__io_read(skua_io io, void *buf, size_t len, int64_t deadline)
{
    ssize_t n;

    do {
        n = io.ops->read(io.object, buf, len, deadline);
    } while (n == -EINTR);
    return io_believe(n, len);
}

ssize_t skua__io_write(skua_io io, const void *buf, size_t len, int64_t deadline)
{
    ssize_t n;

    do {
        n = io.ops->write(io.object, buf, len, deadline);
    } while (n == -EINTR);
    return n == 0 ? -EIO : io_believe(n, len);
}

ssize_t skua__io_write_two(skua_io io, const struct iovec iov[2], int64_t deadline)
{
    unsigned first = iov[0].iov_len == 0;
    ssize_t n;

    if (io.ops->writev == NULL || first == 1 || iov[1].iov_len == 0)
        return skua__io_write(io, iov[first].iov_base, iov[first].iov_len, deadline);
    do {
        n = io.ops->writev(io.object, iov, 2, deadline);
    } while (n == -EINTR);
    return n == 0 ? -EIO : io_believe(n, iov[0].iov_len + iov[1].iov_len);
}

/* ---- for users ------------------------------------------------------------------------------- */

ssize_t skua_io_read_until(skua_io io, void *buf, size_t len, int64_t deadline)
{
    return len == 0 ? 0 : skua__io_read(io, buf, len, deadline);
}

ssize_t skua_io_read(skua_io io, void *buf, size_t len)
{
    return skua_io_read_until(io, buf, len, SKUA_FOREVER);
}

ssize_t skua_io_read_exact_until(skua_io io, void *buf, size_t len, int64_t deadline)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = skua__io_read(io, (char *)buf + done, len - done, deadline);

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t skua_io_read_exact(skua_io io, void *buf, size_t len)
{
    return skua_io_read_exact_until(io, buf, len, SKUA_FOREVER);
}

ssize_t skua_io_write_until(skua_io io, const void *buf, size_t len, int64_t deadline)
{
    return len == 0 ? 0 : skua__io_write(io, buf, len, deadline);
}

ssize_t skua_io_write(skua_io io, const void *buf, size_t len)
{
    return skua_io_write_until(io, buf, len, SKUA_FOREVER);
}

ssize_t skua_io_write_all_until(skua_io io, const void *buf, size_t len, int64_t deadline)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = skua__io_write(io, (const char *)buf + done, len - done, deadline);

        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t skua_io_write_all(skua_io io, const void *buf, size_t len)
{
    return skua_io_write_all_until(io, buf, len, SKUA_FOREVER);
}

int skua_io_shutdown(skua_io io)
{
    return io.ops->shutdown != NULL ? io.ops->shutdown(io.object) : 0;
}
