/* grpc_pack.c - messages that are compressed: gzip and deflate, each message by itself.
 *
 * What is unpacked is never more than the call takes, however little it was packed: the buffer
 * grows as bytes come out, and stops one byte behind the limit. Where there is no zlib, identity is
 * all that is known.
 *
 * Sources: gRPC over HTTP/2, Message-Encoding; grpc/doc/compression.md; RFC 1950, RFC 1952.
 */
#include "http/grpc/grpc_impl.h"

#ifdef SKUA_HAVE_ZLIB
#include <zlib.h>
#endif

int skua__grpc_buffer_grow(struct skua__grpc_buffer *self, size_t room)
{
    char *at;

    if (room <= self->room)
        return 0;
    at = skua__http_realloc(self->at, room);
    if (at == NULL)
        return -ENOMEM;
    self->at = at;
    self->room = room;
    return 0;
}

enum skua__grpc_coding skua__grpc_coding_of(const char *name)
{
    if (name == NULL || strcmp(name, "identity") == 0)
        return SKUA__GRPC_IDENTITY;
#ifdef SKUA_HAVE_ZLIB
    if (strcmp(name, "gzip") == 0)
        return SKUA__GRPC_GZIP;
    if (strcmp(name, "deflate") == 0)
        return SKUA__GRPC_DEFLATE;
#endif
    return SKUA__GRPC_OTHER;
}

#ifdef SKUA_HAVE_ZLIB

#define PACK_GZIP 16 /* zlib's: added to the bits of its window */
#define PACK_LEVEL 1 /* messages are small, and wait */
#define PACK_FIRST 4096

const char *skua__grpc_codings(void)
{
    return "identity,deflate,gzip";
}

static void *pack_alloc(void *state, unsigned count, unsigned size)
{
    (void)state;
    return skua__http_malloc((size_t)count * size);
}

static void pack_free(void *state, void *memory)
{
    (void)state;
    skua__http_free(memory);
}

/* Until the stream's end, or one byte more than `max`. */
static ssize_t pack_inflate(z_stream *stream, size_t max, struct skua__grpc_buffer *out)
{
    size_t len = 0;

    for (;;) {
        size_t room = out->room - len;
        int rc;

        if (room == 0) {
            size_t wanted = out->room < PACK_FIRST ? PACK_FIRST : 2 * out->room;

            if (skua__grpc_buffer_grow(out, wanted <= max ? wanted : max + 1) != 0)
                return -ENOMEM;
            room = out->room - len;
        }
        stream->next_out = (unsigned char *)out->at + len;
        stream->avail_out = room <= UINT32_MAX ? (unsigned)room : UINT32_MAX;
        rc = inflate(stream, Z_NO_FLUSH);
        len = (size_t)((char *)stream->next_out - out->at);
        if (len > max)
            return SKUA_ELIMIT;
        if (rc == Z_STREAM_END)
            return stream->avail_in == 0 ? (ssize_t)len : -EBADMSG;
        if (rc == Z_MEM_ERROR)
            return -ENOMEM;
        if (rc != Z_OK || (stream->avail_in == 0 && stream->avail_out != 0))
            return -EBADMSG;
    }
}

ssize_t skua__grpc_unpack(enum skua__grpc_coding coding, const void *bytes, size_t len, size_t max,
                          struct skua__grpc_buffer *out)
{
    z_stream stream = {.zalloc = pack_alloc, .zfree = pack_free};
    ssize_t n;
    int rc;

    if (coding != SKUA__GRPC_GZIP && coding != SKUA__GRPC_DEFLATE)
        return -EBADMSG;
    stream.next_in = (unsigned char *)(uintptr_t)bytes; /* zlib does not write there */
    stream.avail_in = (unsigned)len;
    rc = inflateInit2(&stream, MAX_WBITS + (coding == SKUA__GRPC_GZIP ? PACK_GZIP : 0));
    if (rc != Z_OK)
        return -ENOMEM;
    n = pack_inflate(&stream, max, out);
    (void)inflateEnd(&stream);
    return n;
}

ssize_t skua__grpc_pack(const void *bytes, size_t len, struct skua__grpc_buffer *out)
{
    z_stream stream = {.zalloc = pack_alloc, .zfree = pack_free};
    ssize_t n = -ENOMEM;

    if (deflateInit2(&stream, PACK_LEVEL, Z_DEFLATED, MAX_WBITS + PACK_GZIP, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    if (skua__grpc_buffer_grow(out, deflateBound(&stream, len)) == 0) {
        stream.next_in = (unsigned char *)(uintptr_t)bytes;
        stream.avail_in = (unsigned)len;
        stream.next_out = (unsigned char *)out->at;
        stream.avail_out = out->room <= UINT32_MAX ? (unsigned)out->room : UINT32_MAX;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
            n = (char *)stream.next_out - out->at;
    }
    (void)deflateEnd(&stream);
    return n;
}

#undef PACK_GZIP
#undef PACK_LEVEL
#undef PACK_FIRST

#else

const char *skua__grpc_codings(void)
{
    return "identity";
}

ssize_t skua__grpc_unpack(enum skua__grpc_coding coding, const void *bytes, size_t len, size_t max,
                          struct skua__grpc_buffer *out)
{
    (void)coding;
    (void)bytes;
    (void)len;
    (void)max;
    (void)out;
    return -EBADMSG;
}

ssize_t skua__grpc_pack(const void *bytes, size_t len, struct skua__grpc_buffer *out)
{
    (void)bytes;
    (void)len;
    (void)out;
    return -ENOTSUP;
}

#endif
