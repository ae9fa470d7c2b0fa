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

ssize_t skua__io_writev(skua_io io, const struct iovec *iov, int count, int64_t deadline)
{
    struct iovec some[SKUA__IO_PARTS];
    size_t len = 0;
    int parts = 0;
    ssize_t n;

    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len != 0)
            some[parts++] = iov[i];
        len += iov[i].iov_len;
    }
    if (io.ops->writev == NULL || parts == 1)
        return skua__io_write(io, some[0].iov_base, some[0].iov_len, deadline);
    do {
        n = io.ops->writev(io.object, some, parts, deadline);
    } while (n == -EINTR);
    return n == 0 ? -EIO : io_believe(n, len);
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
