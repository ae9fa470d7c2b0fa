/* coding_zstd.c - zstd, by its own library.
 *
 * Its hooks for memory are not part of its stable interface, so it takes its own from the C
 * library. A decoder's window is 8 MiB at most, as RFC 9659 wants it of all who speak HTTP.
 */
#include "http/coding/coding_impl.h"

#ifdef SKUA_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_WINDOW 23

struct zstd_coder {
    struct skua__coder coder;
    ZSTD_CCtx *encoder; /* one of the two */
    ZSTD_DCtx *decoder;
};

static void zstd_free(struct skua__coder *coder)
{
    struct zstd_coder *self = (struct zstd_coder *)coder;

    (void)ZSTD_freeCCtx(self->encoder);
    (void)ZSTD_freeDCtx(self->decoder);
    skua__http_free(self);
}

static int zstd_error(size_t rc)
{
    switch (ZSTD_getErrorCode(rc)) {
    case ZSTD_error_memory_allocation:
        return -ENOMEM;
    case ZSTD_error_frameParameter_windowTooLarge:
        return SKUA_ELIMIT;
    default:
        return -EBADMSG;
    }
}

static void zstd_moved(struct skua__coding_io *io, const ZSTD_inBuffer *in,
                       const ZSTD_outBuffer *out)
{
    io->in += in->pos;
    io->in_len -= in->pos;
    io->out += out->pos;
    io->out_len -= out->pos;
}

static int zstd_encode(struct skua__coder *coder, struct skua__coding_io *io,
                       enum skua__coding_op op)
{
    static const ZSTD_EndDirective directives[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer in = {io->in, io->in_len, 0};
    ZSTD_outBuffer out = {io->out, io->out_len, 0};
    size_t rc =
        ZSTD_compressStream2(((struct zstd_coder *)coder)->encoder, &out, &in, directives[op]);

    zstd_moved(io, &in, &out);
    if (ZSTD_isError(rc))
        return zstd_error(rc);
    if (op == SKUA__CODING_RUN ? io->in_len != 0 : rc != 0)
        return SKUA__CODING_ROOM;
    return op == SKUA__CODING_FINISH ? SKUA__CODING_END : SKUA__CODING_INPUT;
}

static int zstd_decode(struct skua__coder *coder, struct skua__coding_io *io,
                       enum skua__coding_op op)
{
    ZSTD_inBuffer in = {io->in, io->in_len, 0};
    ZSTD_outBuffer out = {io->out, io->out_len, 0};
    size_t rc = ZSTD_decompressStream(((struct zstd_coder *)coder)->decoder, &out, &in);

    (void)op;
    zstd_moved(io, &in, &out);
    if (ZSTD_isError(rc))
        return zstd_error(rc);
    if (rc == 0)
        return SKUA__CODING_END;
    return io->out_len == 0 ? SKUA__CODING_ROOM : SKUA__CODING_INPUT;
}

static struct skua__coder *zstd_coder(int level, int window)
{
    struct zstd_coder *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){zstd_encode, zstd_free};
    self->encoder = ZSTD_createCCtx();
    if (self->encoder != NULL &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(self->encoder, ZSTD_c_compressionLevel, level)) &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(self->encoder, ZSTD_c_windowLog, window)))
        return &self->coder;
    zstd_free(&self->coder);
    return NULL;
}

static struct skua__coder *zstd_decoder(void)
{
    struct zstd_coder *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){zstd_decode, zstd_free};
    self->decoder = ZSTD_createDCtx();
    if (self->decoder != NULL &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(self->decoder, ZSTD_d_windowLogMax, ZSTD_WINDOW)))
        return &self->coder;
    zstd_free(&self->coder);
    return NULL;
}

const struct skua__coding_kind skua__coding_zstd = {"zstd", 3, true, zstd_coder, zstd_decoder};

#undef ZSTD_WINDOW
#else
const struct skua__coding_kind skua__coding_zstd = {.name = "zstd"};
#endif
