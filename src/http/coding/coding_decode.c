/* coding_decode.c - decoders in a row, as one stream that is pulled.
 *
 *   source -> the coding that was done last -> ... -> the one that was done first -> reader
 *
 * Each stage has a piece of what is before it, which is not asked for more until that is used up.
 *
 * End        the source is read to its end before the stream ends, so that the connection is free.
 *            What is behind a stream that may have nothing behind it is malformed; an end in the
 *            middle, too; nothing at all is an empty body.
 * Bound      memory: a piece and a window for each stage. Time: what a stage takes in counts
 *            against the reader's limit, too, so that a body that makes nothing of very much ends.
 *            Between two stages no socket is waited for, nor while a piece turns out to be
 *            gigabytes: so others have their turn there, and a reader hears that it is cancelled.
 */
#include <skua/scheduler.h>
#include <skua/task.h>

#include "http/coding/coding_impl.h"

#define DECODE_PIECE ((size_t)8192)
/* Beyond the limit of what it makes: a stream may be a little longer than what it is of. */
#define DECODE_SLACK ((int64_t)4096)

struct decode_stage {
    struct skua__coder *coder;
    const struct skua__coding_kind *kind;
    const unsigned char *next;
    size_t left;
    int64_t taken;
    bool begun; /* a stream is under way */
    bool full;  /* it may have more than there was room for */
    unsigned char piece[DECODE_PIECE];
};

struct skua__decoding {
    skua__coding_read_fn read;
    void *state;
    size_t count;
    struct decode_stage stages[]; /* the one that is next to the source comes first */
};

/* ---- what Content-Encoding says -------------------------------------------------------------- */

int skua__decoding_codings(const struct skua__http_fields *fields,
                           enum skua__coding codings[SKUA__CODING_ROW], size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct skua__http_field *field = &fields->at[i];
        const char *list = field->value;
        size_t len;

        if (field->name_len != 16 || !skua__http_same(field->name, "content-encoding", 16))
            continue;
        while ((len = skua__coding_element(&list)) != 0) {
            int coding = skua__coding_named(list, len);

            if (!skua__http_is_token(list, len))
                return -EBADMSG;
            if (len != 8 || !skua__http_same(list, "identity", 8)) {
                if (coding < 0 || *count == SKUA__CODING_ROW)
                    return -ENOTSUP;
                codings[(*count)++] = (enum skua__coding)coding;
            }
            list += len;
        }
    }
    return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct skua__decoding *skua__decoding_new(const enum skua__coding *codings, size_t count,
                                          skua__coding_read_fn read, void *state)
{
    struct skua__decoding *decoding =
        skua__http_raw(sizeof *decoding + count * sizeof decoding->stages[0]);

    if (decoding == NULL)
        return NULL;
    decoding->read = read;
    decoding->state = state;
    decoding->count = 0;
    while (decoding->count < count) {
        struct decode_stage *stage = &decoding->stages[decoding->count];

        stage->kind = skua__coding_kind(codings[count - 1 - decoding->count]);
        stage->coder = stage->kind->decoder();
        stage->next = stage->piece;
        stage->left = 0;
        stage->taken = 0;
        stage->begun = stage->full = false;
        if (stage->coder == NULL) {
            skua__decoding_free(decoding);
            return NULL;
        }
        decoding->count++;
    }
    return decoding;
}

void skua__decoding_free(struct skua__decoding *decoding)
{
    if (decoding == NULL)
        return;
    for (size_t i = 0; i < decoding->count; i++)
        decoding->stages[i].coder->free(decoding->stages[i].coder);
    skua__http_free(decoding);
}

/* ---- reading --------------------------------------------------------------------------------- */

static ssize_t decode_pull(struct skua__decoding *decoding, size_t count, void *buf, size_t len,
                           int64_t max);

/* A piece of what is before the stage: its bytes; 0: there is no more. */
static ssize_t decode_more(struct skua__decoding *decoding, size_t index, int64_t max)
{
    struct decode_stage *stage = &decoding->stages[index];
    ssize_t n = decode_pull(decoding, index, stage->piece, sizeof stage->piece, max);

    if (n <= 0)
        return n;
    stage->next = stage->piece;
    stage->left = (size_t)n;
    stage->taken += n;
    return max >= 0 && stage->taken - DECODE_SLACK - max / 16 > max ? SKUA_ELIMIT : n;
}

/* One step: what came of it, or what it wants. */
static ssize_t decode_step(struct decode_stage *stage, void *buf, size_t len)
{
    struct skua__coding_io io = {stage->next, stage->left, buf, len};
    int rc = stage->coder->step(stage->coder, &io, SKUA__CODING_RUN);

    if (rc < 0)
        return rc;
    if (rc == SKUA__CODING_END && io.in_len != 0 && !stage->kind->rows)
        return -EBADMSG;
    if (rc == SKUA__CODING_INPUT && stage->left != 0 && io.in_len == stage->left)
        return -EBADMSG; /* it will not go on: no coder does that */
    stage->next = io.in;
    stage->left = io.in_len;
    stage->begun = rc != SKUA__CODING_END;
    stage->full = rc == SKUA__CODING_ROOM;
    return (ssize_t)(len - io.out_len);
}

/* What the first `count` stages make. */
static ssize_t decode_pull(struct skua__decoding *decoding, size_t count, void *buf, size_t len,
                           int64_t max)
{
    struct decode_stage *stage;

    if (count == 0)
        return decoding->read(decoding->state, buf, len);
    stage = &decoding->stages[count - 1];
    for (;;) {
        ssize_t n;

        while (stage->left != 0 || stage->full) {
            n = decode_step(stage, buf, len);
            if (n != 0)
                return n;
        }
        n = decode_more(decoding, count - 1, max);
        if (n < 0)
            return n;
        if (n == 0)
            return stage->begun ? -EBADMSG : 0;
        if (!stage->begun && stage->taken != n && !stage->kind->rows)
            return -EBADMSG; /* behind the end */
        if (count > 1 && (n = skua_yield()) < 0)
            return n; /* the piece is kept */
    }
}

ssize_t skua__decoding_read(struct skua__decoding *decoding, void *buf, size_t len, int64_t max)
{
    int rc = len != 0 ? skua_yield_if_needed() : 0;

    return len == 0 || rc != 0 ? rc : decode_pull(decoding, decoding->count, buf, len, max);
}

#undef DECODE_PIECE
#undef DECODE_SLACK
