/* frame_length.c - frames with a number in front that says how long they are.
 *
 *     | offset | length |   .skip counts from the front,
 *     |      head       |   the frame begins behind what it skips
 *
 * Flow       the head is waited for, the number read and adjusted; then as many bytes as that are
 *            waited for behind what is skipped. Only then anything is consumed: so a call that was
 *            given up begins again with the head.
 * Trust      the number is the peer's: it is checked before it is added to anything, and nothing is
 *            allocated for a frame that is too long. A frame of no bytes that would consume none,
 *            either, would come for ever: it is -EBADMSG.
 */
#include "codec/framing_impl.h"

#define LENGTH_DEFAULT 4u
#define LENGTH_MAX 8u
#define LENGTH_ADJUSTMENT_MAX ((int64_t)1 << 31)

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t length_number(const skua_framing *self, const char *head)
{
    const unsigned char *at = (const unsigned char *)head + self->offset;
    uint64_t number = 0;

    for (unsigned i = 0; i < self->length; i++)
        number = number << 8 | at[self->little ? self->length - 1u - i : i];
    return number;
}

/* How many bytes there are behind what is skipped: 0 or an error. */
static int length_decode(const skua_framing *self, const char *head, size_t *ret)
{
    uint64_t number = length_number(self, head);
    uint64_t less = self->adjustment < 0 ? (uint64_t)-self->adjustment : 0;
    uint64_t more = self->adjustment > 0 ? (uint64_t)self->adjustment : 0;

    if (number < less)
        return -EBADMSG;
    number -= less;
    if (number > self->max || more > self->max - number)
        return SKUA_ELIMIT;
    number += more;
    if (number == 0 && self->skip == 0)
        return -EBADMSG;
    *ret = (size_t)number;
    return 0;
}

static int length_read(skua_framing *self, skua_reader *reader, const char **frame, size_t *len)
{
    const char *at;
    ssize_t n = skua_reader_peek(reader, self->head, &at);
    size_t size = 0;
    int rc;

    if (n == SKUA_EEOF && skua_reader_buffered(reader, &at) == 0)
        return 0;
    if (n < 0)
        return (int)n;
    rc = length_decode(self, at, &size);
    if (rc != 0)
        return rc;
    n = skua_reader_peek(reader, self->skip + size, &at);
    if (n < 0)
        return (int)n;
    (void)skua_reader_consume(reader, self->skip + size);
    *frame = at + self->skip;
    *len = size;
    return 1;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int length_write(skua_framing *self, skua_writer *writer, const void *frame, size_t len)
{
    char head[SKUA_HEAD_MAX + LENGTH_MAX];
    int64_t number = (int64_t)len - self->adjustment;

    if (self->skip != self->head)
        return SKUA_EUSAGE;
    if (number < 0)
        return -EINVAL;
    if (self->length < LENGTH_MAX && (uint64_t)number >> (8 * self->length) != 0)
        return SKUA_ELIMIT;
    memset(head, 0, self->offset);
    for (unsigned i = 0; i < self->length; i++) {
        unsigned place = self->little ? i : self->length - 1u - i;

        head[self->offset + i] = (char)((uint64_t)number >> (8 * place) & 0xff);
    }
    return skua__writer_write_both(writer, head, self->head, frame, len);
}

static const struct skua__framing_kind length_kind = {.read = length_read, .write = length_write};

/* ---- making one ------------------------------------------------------------------------------ */

void skua_length_options_init(skua_length_options *options)
{
    *options = (skua_length_options){.size = sizeof *options};
}

static bool length_options_fit(const skua_length_options *options)
{
    return options->size == sizeof *options && options->offset <= SKUA_HEAD_MAX &&
           options->length <= LENGTH_MAX && options->little <= 1 &&
           options->adjustment >= -LENGTH_ADJUSTMENT_MAX &&
           options->adjustment <= LENGTH_ADJUSTMENT_MAX &&
           (options->skip <= SKUA_HEAD_MAX || options->skip == SKUA_SKIP_NOTHING);
}

int skua_framing_length_init(skua_framing *framing, const skua_length_options *options)
{
    skua_length_options all;
    int rc;

    skua_length_options_init(&all);
    if (options != NULL)
        all = *options;
    if (!length_options_fit(&all))
        return -EINVAL;
    if (all.length == 0)
        all.length = LENGTH_DEFAULT;
    rc = skua__framing_init(framing, &length_kind, all.max);
    if (rc != 0)
        return rc;
    framing->adjustment = all.adjustment;
    framing->offset = (uint16_t)all.offset;
    framing->length = (uint8_t)all.length;
    framing->little = (uint8_t)all.little;
    framing->head = (uint16_t)(all.offset + all.length);
    framing->skip = all.skip == 0                   ? framing->head
                    : all.skip == SKUA_SKIP_NOTHING ? 0
                                                    : (uint16_t)all.skip;
    return 0;
}

#undef LENGTH_DEFAULT
#undef LENGTH_MAX
#undef LENGTH_ADJUSTMENT_MAX
