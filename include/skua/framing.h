/* framing.h - messages in a stream of bytes: by their length, by lines, by delimiters.
 *
 *     skua_framing framing;
 *     const char *frame;
 *     size_t len;
 *
 *     skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.length = 2));
 *     while ((rc = skua_frame_read(&framing, &reader, &frame, &len)) == 1)
 *         if ((rc = skua_frame_write(&framing, &writer, frame, len)) < 0)
 *             break;
 *
 * A framing holds the rules, and stands for one stream: reading and writing may share it, two
 * streams may not. It lives in the caller's memory and needs no free. The reader and the writer are
 * those of buffered.h; a frame must have room in the reader, with its head or its delimiter: an
 * allocated reader grows for it.
 *
 * Cancel     safe, as their reader and writer are: a call that was given up is made again.
 * Source     Tokio's tokio-util codecs, and Netty's LengthFieldBasedFrameDecoder, theirs.
 */
#ifndef SKUA_FRAMING_H
#define SKUA_FRAMING_H

#include <skua/buffered.h>

SKUA_C_BEGIN

/* What a frame has at most, unless it is said otherwise: 8 MiB. */
#define SKUA_FRAME_MAX ((size_t)8 << 20)

/* A framing; its members are private. */
typedef struct skua_framing {
    const struct skua__framing_kind *kind;
    size_t max;
    uint64_t set[4];    /* the delimiters, a bit each */
    int64_t adjustment; /* as the rest, see skua_length_options */
    uint16_t head;
    uint16_t offset;
    uint16_t skip;
    uint8_t length;
    uint8_t little;
    char delimiter; /* what is written */
    uint8_t skips;  /* what was too long is being left behind */
} skua_framing;

/* ---- by the length --------------------------------------------------------------------------- */

/* .skip of a frame that keeps its head, and what .offset and .skip are at most. */
#define SKUA_SKIP_NOTHING UINT32_MAX
#define SKUA_HEAD_MAX 4096u

/* A frame is a head with a number in it, and so many bytes. With the head of 2 bytes that some
 * protocol has in front of the number, and a number that counts itself and these:
 *
 *     SKUA_LENGTH_OPTIONS(.offset = 2, .length = 4, .adjustment = -6)
 */
typedef struct skua_length_options {
    size_t size;        /* stamped by the macro */
    uint32_t offset;    /* bytes of the head before the number (default 0) */
    uint32_t length;    /* bytes of the number, 1 to 8 (default 4) */
    unsigned little;    /* 1: its lowest byte is the first (default 0: the highest) */
    int64_t adjustment; /* added to the number to have the bytes behind what is skipped, -2^31 to
                         2^31 (default 0: it counts just these) */
    uint32_t skip; /* bytes from the head's beginning that are not shown (default offset and length:
                      the head); SKUA_SKIP_NOTHING; more is fine, too */
    size_t max;    /* bytes that are shown (default SKUA_FRAME_MAX) */
} skua_length_options;

#ifndef __cplusplus
#define SKUA_LENGTH_OPTIONS(...)                                                                   \
    (&(const skua_length_options){.size = sizeof(skua_length_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_length_options_init(skua_length_options *options);

/* Makes a framing by lengths. Zeros are written before the number, where .offset is not 0.
 *
 * options    NULL = defaults; copied
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_framing_length_init(skua_framing *framing, const skua_length_options *options);

/* ---- by what is between ---------------------------------------------------------------------- */

/* Makes a framing by lines: read up to a line feed, without it and a carriage return before it;
 * written with a line feed. What is behind the last line feed is a frame, too.
 *
 * max        bytes of a line; 0 = SKUA_FRAME_MAX
 * Returns    0; -EINVAL: out of range
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_framing_lines_init(skua_framing *framing, size_t max);

/* Makes a framing by delimiters: a frame ends before any of them, and is written with the first one
 * behind it. What is behind the last delimiter, if anything, is a frame, too.
 *
 * delimiters bytes, not a string; copied
 * count      of them, 1 and more
 * max        bytes of a frame; 0 = SKUA_FRAME_MAX
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_framing_delimited_init(skua_framing *framing, const void *delimiters,
                                         size_t count, size_t max);

/* Makes a framing of nothing: what is there is a frame.
 *
 * max        bytes of a frame that is read, more are the next one; 0 = SKUA_FRAME_MAX
 * Returns    0; -EINVAL: out of range
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_framing_chunks_init(skua_framing *framing, size_t max);

/* ---- frames ---------------------------------------------------------------------------------- */

/* Reads the next frame.
 *
 * reader     the same one each time
 * frame, len receive it: borrowed, until the next call with that reader; untouched unless 1 is
 *            returned. A frame may have no bytes
 * Returns    1; 0: the stream ended between two frames; SKUA_EEOF: in one (by lengths);
 *            SKUA_ELIMIT: it is longer than it may be, or than the reader's room. By lengths it
 *            stays there, and is told again; a line or what ends with a delimiter is left behind by
 *            the next call, which goes on with the next frame. -EBADMSG: a number that is less than
 *            .adjustment takes away; it stays there. -ENOMEM; and the reader's errors
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_frame_read(skua_framing *framing, skua_reader *reader, const char **frame,
                             size_t *len);

/* Writes a frame, as a whole or not at all; see skua_writer_init for one that is larger than the
 * writer's buffer. It is sent with the next flush, or when there is no more room.
 *
 * frame, len the caller's, and its again afterwards
 * Returns    0; SKUA_ELIMIT: longer than the framing's max, or than its number can say; -EINVAL: it
 *            has a delimiter or a line feed in it, ends with a carriage return, or is less than
 *            .adjustment; SKUA_EUSAGE: .skip is not the head; and the writer's errors
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API int skua_frame_write(skua_framing *framing, skua_writer *writer, const void *frame,
                              size_t len);

SKUA_C_END

#endif
