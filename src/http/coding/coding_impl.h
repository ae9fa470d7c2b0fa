/* coding_impl.h - codings of bodies (gzip, deflate, br, zstd) behind one small interface.
 *
 *   coding.c           which there are, their names, what a client accepts
 *   coding_zlib.c, coding_brotli.c, coding_zstd.c   each by its library, if it was there
 *   coding_decode.c    decoders in a row: what Content-Encoding says, read as one stream
 *   compress.c         the layer that codes responses
 *   decompress.c       the layer that decodes requests
 *
 * A coder is pushed: it is given bytes and room, and says what it waits for. Its memory does not
 * grow with what goes through it: a window, of 512 KiB at most when coding and 8 MiB (br: 16) when
 * decoding, which is taken as it is needed.
 *
 * Sources: RFC 9110 (8.4, 12.5.3), RFC 1950 to 1952, RFC 7932, RFC 8878, RFC 9659.
 */
#ifndef SKUA_HTTP_CODING_IMPL_H
#define SKUA_HTTP_CODING_IMPL_H

#include "http/core/http_impl.h"

enum skua__coding { SKUA__GZIP = 0, SKUA__DEFLATE, SKUA__BROTLI, SKUA__ZSTD, SKUA__CODINGS };

/* What a step is to do with what it is given. Decoders only run. */
enum skua__coding_op {
    SKUA__CODING_RUN,
    SKUA__CODING_FLUSH, /* all that was given can be decoded */
    SKUA__CODING_FINISH /* and nothing more comes */
};

/* What a step waits for. */
enum skua__coding_wants {
    SKUA__CODING_INPUT = 0, /* all was taken; of FLUSH: and it is out */
    SKUA__CODING_ROOM,      /* the room is full */
    SKUA__CODING_END        /* the stream is whole; what is left of the input is behind it */
};

/* Bytes and room of a step, which moves them on. */
struct skua__coding_io {
    const unsigned char *in;
    size_t in_len;
    unsigned char *out;
    size_t out_len;
};

struct skua__coder {
    /* What it waits for; -EBADMSG: malformed; -ENOMEM; SKUA_ELIMIT: its window is too big. */
    int (*step)(struct skua__coder *coder, struct skua__coding_io *io, enum skua__coding_op op);
    void (*free)(struct skua__coder *coder);
};

/* Windows of coders, as powers of two. */
#define SKUA__CODING_WINDOW_MIN 10
#define SKUA__CODING_WINDOW_MAX 19

/* One library's coding. Both functions are NULL where it was not there. */
struct skua__coding_kind {
    const char *name;
    int level_default;
    bool rows; /* streams may follow each other; a decoder begins the next one by itself */
    /* window: for bodies up to 2^window. NULL: no memory. */
    struct skua__coder *(*coder)(int level, int window);
    struct skua__coder *(*decoder)(void);
};

extern const struct skua__coding_kind skua__coding_gzip, skua__coding_deflate, skua__coding_brotli,
    skua__coding_zstd;

/* ---- names (coding.c) ------------------------------------------------------------------------ */

const struct skua__coding_kind *skua__coding_kind(enum skua__coding coding);
/* Of one that is built in; -1: none. "x-gzip" is gzip. */
int skua__coding_named(const char *name, size_t len);
/* Those that are built in, as a list for headers; "": none. Constant. */
const char *skua__coding_list(void);

/* None of them: the body as it is. */
#define SKUA__CODING_IDENTITY (-1)
/* The client takes nothing that there is. */
#define SKUA__CODING_NONE (-2)

/* The best of the allowed codings (a list; of the equally good the first one) for an
 * Accept-Encoding (NULL: there is none). */
int skua__coding_choose(const char *accept, const char *allowed);
/* Whether the client takes a body as it is. */
bool skua__coding_plain(const char *accept);

/* The end of an element of a list with commas, and its begin without blanks: 0: there is none. */
size_t skua__coding_element(const char **list);

/* ---- decoding (coding_decode.c) -------------------------------------------------------------- */

/* More codings in a row are refused. */
#define SKUA__CODING_ROW 3

typedef ssize_t (*skua__coding_read_fn)(void *state, void *buf, size_t len);

/* Decoders in a row. Not more than one task uses it. */
struct skua__decoding;

/* 0; -ENOTSUP: an unknown one, or too many; -EBADMSG: malformed. Sets the codings in the order in
 * which they were done; the count may be 0: only "identity". */
int skua__decoding_codings(const struct skua__http_fields *fields,
                           enum skua__coding codings[SKUA__CODING_ROW], size_t *count);
/* NULL: no memory. */
struct skua__decoding *skua__decoding_new(const enum skua__coding *codings, size_t count,
                                          skua__coding_read_fn read, void *state);
/* As `read` does, decoded. max: of bytes before each decoder; -1: any number. A failure that is
 * not read's: -EBADMSG: malformed or cut short; SKUA_ELIMIT; -ENOMEM. */
ssize_t skua__decoding_read(struct skua__decoding *decoding, void *buf, size_t len, int64_t max);
/* NULL does nothing. */
void skua__decoding_free(struct skua__decoding *decoding);

#endif
