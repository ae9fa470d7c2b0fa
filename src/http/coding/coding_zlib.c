/* coding_zlib.c - gzip and deflate, by zlib.
 *
 * Members    a gzip stream may have several, one behind the other: a decoder's end is that of one.
 * deflate    is a zlib stream (RFC 9110, 8.4.1.2); some send it without zlib's two bytes, which can
 *            be told from the first of them, and is taken, too.
 */
#include "http/coding/coding_impl.h"

#ifdef SKUA_HAVE_ZLIB
#include <zlib.h>

struct zlib_coder {
    struct skua__coder coder;
    z_stream stream;
    bool coding;
    bool sniffs; /* a decoder of deflate that has seen nothing */
    bool ended;  /* a decoder's member */
};

/* zlib's two numbers are its own, and small. */
static void *zlib_alloc(void *none, unsigned items, unsigned size)
{
    (void)none;
    return skua__http_raw((size_t)items * size);
}

static void zlib_dealloc(void *none, void *memory)
{
    (void)none;
    skua__http_free(memory);
}

static void zlib_free(struct skua__coder *coder)
{
    struct zlib_coder *self = (struct zlib_coder *)coder;

    if (self->coding)
        (void)deflateEnd(&self->stream);
    else
        (void)inflateEnd(&self->stream);
    skua__http_free(self);
}

/* As much as zlib's counters hold. */
static unsigned zlib_part(size_t len)
{
    return len < UINT32_MAX / 2 ? (unsigned)len : UINT32_MAX / 2;
}

static void zlib_give(z_stream *stream, const struct skua__coding_io *io)
{
    stream->next_in = (unsigned char *)(uintptr_t)io->in;
    stream->avail_in = zlib_part(io->in_len);
    stream->next_out = io->out;
    stream->avail_out = zlib_part(io->out_len);
}

static void zlib_take(const z_stream *stream, struct skua__coding_io *io)
{
    io->in_len -= (size_t)(stream->next_in - io->in);
    io->in = stream->next_in;
    io->out_len -= (size_t)(stream->next_out - io->out);
    io->out = stream->next_out;
}

static int zlib_encode(struct skua__coder *coder, struct skua__coding_io *io,
                       enum skua__coding_op op)
{
    static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    struct zlib_coder *self = (struct zlib_coder *)coder;
    int rc;

    do {
        zlib_give(&self->stream, io);
        rc = deflate(&self->stream, self->stream.avail_in < io->in_len ? Z_NO_FLUSH : flushes[op]);
        zlib_take(&self->stream, io);
    } while (rc == Z_OK && io->in_len != 0 && io->out_len != 0);
    if (rc == Z_STREAM_END)
        return SKUA__CODING_END;
    if (rc != Z_OK && rc != Z_BUF_ERROR) /* that: there was nothing to do */
        return -EINVAL;
    return io->out_len == 0 ? SKUA__CODING_ROOM : SKUA__CODING_INPUT;
}

/* A zlib stream begins with two bytes that say "deflate", and are divisible by 31 together. Of the
 * first alone the lower half says enough: a stream without them would have to begin with a stored
 * block that sets bits which nobody sets. */
static int zlib_sniff(struct zlib_coder *self, unsigned char first)
{
    self->sniffs = false;
    return (first & 0x0f) == 8 && first >> 4 <= 7 ? Z_OK : inflateReset2(&self->stream, -15);
}

static int zlib_decode(struct skua__coder *coder, struct skua__coding_io *io,
                       enum skua__coding_op op)
{
    struct zlib_coder *self = (struct zlib_coder *)coder;
    int rc = Z_OK;

    (void)op;
    if (self->sniffs && io->in_len != 0)
        rc = zlib_sniff(self, *io->in);
    else if (self->ended)
        rc = inflateReset(&self->stream);
    self->ended = false;
    if (rc == Z_OK) {
        zlib_give(&self->stream, io);
        rc = inflate(&self->stream, Z_NO_FLUSH);
        zlib_take(&self->stream, io);
    }
    self->ended = rc == Z_STREAM_END;
    if (self->ended)
        return SKUA__CODING_END;
    if (rc == Z_MEM_ERROR)
        return -ENOMEM;
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return -EBADMSG;
    return io->out_len == 0 ? SKUA__CODING_ROOM : SKUA__CODING_INPUT;
}

/* bits: of the window, as zlib wants them: 16 more for gzip. */
static struct skua__coder *zlib_coder(int level, int window, int more)
{
    struct zlib_coder *self = skua__http_malloc(sizeof *self);
    int bits = window < 9 ? 9 : window > 15 ? 15 : window;

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){zlib_encode, zlib_free};
    self->coding = true;
    self->stream.zalloc = zlib_alloc;
    self->stream.zfree = zlib_dealloc;
    if (deflateInit2(&self->stream, level, Z_DEFLATED, bits + more, bits < 15 ? 7 : 8,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return &self->coder;
    skua__http_free(self);
    return NULL;
}

static struct skua__coder *zlib_decoder(bool gzip)
{
    struct zlib_coder *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){zlib_decode, zlib_free};
    self->sniffs = !gzip;
    self->stream.zalloc = zlib_alloc;
    self->stream.zfree = zlib_dealloc;
    if (inflateInit2(&self->stream, gzip ? 15 + 16 : 15) == Z_OK)
        return &self->coder;
    skua__http_free(self);
    return NULL;
}

static struct skua__coder *zlib_gzip_coder(int level, int window)
{
    return zlib_coder(level, window, 16);
}

static struct skua__coder *zlib_deflate_coder(int level, int window)
{
    return zlib_coder(level, window, 0);
}

static struct skua__coder *zlib_gzip_decoder(void)
{
    return zlib_decoder(true);
}

static struct skua__coder *zlib_deflate_decoder(void)
{
    return zlib_decoder(false);
}

const struct skua__coding_kind skua__coding_gzip = {"gzip", 6, true, zlib_gzip_coder,
                                                    zlib_gzip_decoder};
const struct skua__coding_kind skua__coding_deflate = {"deflate", 6, false, zlib_deflate_coder,
                                                       zlib_deflate_decoder};
#else
const struct skua__coding_kind skua__coding_gzip = {.name = "gzip"};
const struct skua__coding_kind skua__coding_deflate = {.name = "deflate"};
#endif
