/* coding_brotli.c - br, by Google's brotli.
 *
 * No memory  its encoder, as distributions build it, ends the process when it is told that there is
 *            none. So it is not told: the hook leaves it by longjmp, and it is never entered again.
 *            For that its memory is a list of ours, which is freed without asking it.
 */
#include <setjmp.h>
#include <stddef.h>

#include "http/coding/coding_impl.h"

#ifdef SKUA_HAVE_BROTLI
#include <brotli/decode.h>
#include <brotli/encode.h>

struct brotli_coder {
    struct skua__coder coder;
    BrotliEncoderState *encoder; /* one of the two */
    BrotliDecoderState *decoder;
    struct brotli_block *blocks; /* all of its memory */
    jmp_buf out;                 /* of the encoder, while it is called */
};

struct brotli_block {
    struct brotli_block *next, **at;
    _Alignas(max_align_t) char bytes[];
};

static int brotli_encode(struct skua__coder *coder, struct skua__coding_io *io,
                         enum skua__coding_op op);

static void *brotli_alloc(void *state, size_t size)
{
    struct brotli_coder *self = state;
    struct brotli_block *block = skua__http_raw(sizeof *block + size);

    if (block == NULL && self->coder.step == brotli_encode)
        longjmp(self->out, 1);
    if (block == NULL)
        return NULL;
    block->next = self->blocks;
    block->at = &self->blocks;
    if (block->next != NULL)
        block->next->at = &block->next;
    self->blocks = block;
    return block->bytes;
}

static void brotli_dealloc(void *state, void *memory)
{
    struct brotli_block *block;

    (void)state;
    if (memory == NULL)
        return;
    block = (struct brotli_block *)((char *)memory - offsetof(struct brotli_block, bytes));
    *block->at = block->next;
    if (block->next != NULL)
        block->next->at = block->at;
    skua__http_free(block);
}

static void brotli_free(struct skua__coder *coder)
{
    struct brotli_coder *self = (struct brotli_coder *)coder;

    while (self->blocks != NULL) /* neither has anything else */
        brotli_dealloc(self, self->blocks->bytes);
    skua__http_free(self);
}

static int brotli_encode(struct skua__coder *coder, struct skua__coding_io *io,
                         enum skua__coding_op op)
{
    static const BrotliEncoderOperation operations[] = {
        BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
    struct brotli_coder *self = (struct brotli_coder *)coder;
    BrotliEncoderState *encoder = self->encoder;

    if (encoder == NULL)
        return -ENOMEM;
    if (setjmp(self->out) != 0) {
        self->encoder = NULL;
        return -ENOMEM;
    }
    if (!BrotliEncoderCompressStream(encoder, operations[op], &io->in_len, &io->in, &io->out_len,
                                     &io->out, NULL))
        return -ENOMEM;
    if (BrotliEncoderIsFinished(encoder))
        return SKUA__CODING_END;
    return io->in_len != 0 || BrotliEncoderHasMoreOutput(encoder) ? SKUA__CODING_ROOM
                                                                  : SKUA__CODING_INPUT;
}

static int brotli_decode(struct skua__coder *coder, struct skua__coding_io *io,
                         enum skua__coding_op op)
{
    BrotliDecoderState *decoder = ((struct brotli_coder *)coder)->decoder;
    BrotliDecoderErrorCode code;

    (void)op;
    switch (BrotliDecoderDecompressStream(decoder, &io->in_len, &io->in, &io->out_len, &io->out,
                                          NULL)) {
    case BROTLI_DECODER_RESULT_SUCCESS:
        return SKUA__CODING_END;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        return SKUA__CODING_INPUT;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        return SKUA__CODING_ROOM;
    default:
        code = BrotliDecoderGetErrorCode(decoder);
        return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                       code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
                   ? -ENOMEM
                   : -EBADMSG;
    }
}

static struct skua__coder *brotli_coder(int level, int window)
{
    struct brotli_coder *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){brotli_encode, brotli_free};
    if (setjmp(self->out) == 0)
        self->encoder = BrotliEncoderCreateInstance(brotli_alloc, brotli_dealloc, self);
    if (self->encoder != NULL &&
        BrotliEncoderSetParameter(self->encoder, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
        BrotliEncoderSetParameter(self->encoder, BROTLI_PARAM_LGWIN, (uint32_t)window))
        return &self->coder;
    brotli_free(&self->coder);
    return NULL;
}

static struct skua__coder *brotli_decoder(void)
{
    struct brotli_coder *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->coder = (struct skua__coder){brotli_decode, brotli_free};
    self->decoder = BrotliDecoderCreateInstance(brotli_alloc, brotli_dealloc, self);
    if (self->decoder != NULL)
        return &self->coder;
    brotli_free(&self->coder);
    return NULL;
}

const struct skua__coding_kind skua__coding_brotli = {"br", 4, false, brotli_coder, brotli_decoder};
#else
const struct skua__coding_kind skua__coding_brotli = {.name = "br"};
#endif
