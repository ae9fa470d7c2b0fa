/* send_gzip.c - a request's body as gzip (RFC 1952), by zlib.
 *
 * The lowest level: telemetry is so repetitive that the others gain little, and cost five times as
 * much of a processor that has better things to do.
 */
#include "otel/send/send_impl.h"

#ifdef SKUA_HAVE_ZLIB
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB; 16: gzip's head and tail */
#define GZIP_MEMORY 8         /* zlib's default */

static void *gzip_alloc(void *none, unsigned items, unsigned size)
{
    (void)none;
    return skua__otel_raw((size_t)items * size);
}

static void gzip_dealloc(void *none, void *memory)
{
    (void)none;
    skua__otel_free(memory);
}

bool skua__send_has_gzip(void)
{
    return true;
}

int skua__send_gzip(const void *bytes, size_t len, void **ret, size_t *ret_len)
{
    z_stream stream = {.zalloc = gzip_alloc, .zfree = gzip_dealloc};
    uint8_t *out;
    size_t room;

    if (len > UINT32_MAX / 2)
        return -EMSGSIZE;
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    room = deflateBound(&stream, len);
    out = skua__otel_raw(room);
    if (out == NULL) {
        (void)deflateEnd(&stream);
        return -ENOMEM;
    }
    stream.next_in = (unsigned char *)(uintptr_t)bytes;
    stream.avail_in = (unsigned)len;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    (void)deflate(&stream, Z_FINISH); /* there is room for all of it */
    *ret = out;
    *ret_len = room - stream.avail_out;
    (void)deflateEnd(&stream);
    return 0;
}

#undef GZIP_WINDOW
#undef GZIP_MEMORY
#else

bool skua__send_has_gzip(void)
{
    return false;
}

int skua__send_gzip(const void *bytes, size_t len, void **ret, size_t *ret_len)
{
    (void)bytes;
    (void)len;
    (void)ret;
    (void)ret_len;
    return -ENOSYS;
}
#endif
