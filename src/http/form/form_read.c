/* form_read.c - the parts of a body as they come: what is between two delimiters.
 *
 * A delimiter is CR LF, two hyphens and the boundary. The body is read as if CR LF stood before it,
 * so that the first delimiter is one like any. Behind a delimiter come two hyphens: the end; or
 * blanks and CR LF, and a part's head. Anything else there is malformed: RFC 2046 says that a
 * delimiter is one whatever follows, others read on, and so nobody may tell the two apart.
 *
 *     DATA -- delimiter --> BEHIND -- "--" --> END
 *      ^                      |
 *      +---- CR LF, a head ---+
 *
 * Cost      each byte is compared once (memmem) and copied twice: into the piece, and out of it.
 * Memory    a piece, a head, and its names, from the exchange's; nothing for each part.
 */
#include <string.h>

#include "http/form/form_impl.h"

/* Blanks behind a boundary. */
#define FORM_PADDING 64

void skua_http_multipart_options_init(skua_http_multipart_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int form_options(skua_http_multipart_options *ret, const skua_http_multipart_options *given)
{
    skua_http_multipart_options_init(ret);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        *ret = *given;
    if (ret->parts_max == 0)
        ret->parts_max = 100;
    if (ret->head_max == 0)
        ret->head_max = 4096;
    if (ret->part_max == 0)
        ret->part_max = -1;
    return ret->head_max >= 64 && ret->head_max <= (size_t)1 << 20 && ret->part_max >= -1 &&
                   ret->body_max >= -1
               ? 0
               : -EINVAL;
}

int skua_http_multipart_begin(skua_http_exchange *exchange, skua_http_multipart **ret,
                              const skua_http_multipart_options *given)
{
    skua_http_multipart_options options;
    struct skua_http_multipart *form;
    char boundary[SKUA__FORM_BOUNDARY + 1];
    int rc = form_options(&options, given);

    if (rc != 0)
        return rc;
    rc = skua__form_boundary(skua_http_header(exchange, "Content-Type"), boundary);
    if (rc == -EINVAL)
        return skua_http_fail(exchange, -EINVAL, 415, "the body is no multipart/form-data");
    if (rc != 0)
        return skua_http_fail(exchange, -EINVAL, 400, "the form's boundary is malformed");
    form = skua__http_arena_alloc(&exchange->arena, sizeof *form);
    if (form == NULL)
        return -ENOMEM;
    memset(form, 0, sizeof *form);
    form->piece = skua__http_arena_alloc(&exchange->arena, SKUA__FORM_PIECE);
    form->head = skua__http_arena_alloc(&exchange->arena, options.head_max + 1);
    form->names = skua__http_arena_alloc(&exchange->arena, options.head_max + 1);
    if (form->piece == NULL || form->head == NULL || form->names == NULL)
        return -ENOMEM;
    if (options.body_max != 0)
        (void)skua_http_set_body_max(exchange, options.body_max);
    form->exchange = exchange;
    form->options = options;
    memcpy(form->delimiter, "\r\n--", 4);
    memcpy(form->delimiter + 4, boundary, strlen(boundary) + 1);
    form->delimiter_len = strlen(form->delimiter);
    memcpy(form->piece, "\r\n", 2);
    form->end = 2;
    *ret = form;
    return 0;
}

int skua__form_fail(struct skua_http_multipart *form, int code, const char *reason)
{
    form->error = skua_http_fail(form->exchange, code, code == SKUA_ELIMIT ? 413 : 400, reason);
    return form->error;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Brings more bytes into the piece, which is not full. 0 or an error. */
static int form_more(struct skua_http_multipart *form)
{
    ssize_t n;

    if (form->ended)
        return skua__form_fail(form, -EBADMSG, "the form has no end");
    if (form->begin != 0) {
        memmove(form->piece, form->piece + form->begin, form->end - form->begin);
        form->end -= form->begin;
        form->begin = 0;
    }
    n = skua_http_read(form->exchange, form->piece + form->end, SKUA__FORM_PIECE - form->end);
    if (n < 0)
        return (int)n;
    form->ended = n == 0;
    form->end += (size_t)n;
    return 0;
}

/* Finds bytes of the part, which are `ready`; when there are none, the delimiter was taken. 0 or an
 * error. */
static int form_data(struct skua_http_multipart *form)
{
    while (form->ready == 0) {
        const char *from = form->piece + form->begin;
        size_t len = form->end - form->begin;
        const char *at = memmem(from, len, form->delimiter, form->delimiter_len);
        int rc;

        if (at == from) {
            form->begin += form->delimiter_len;
            form->state = SKUA__FORM_BEHIND;
            form->inside = false;
            return 0;
        }
        if (at != NULL)
            form->ready = (size_t)(at - from);
        else if (len >= form->delimiter_len)
            form->ready = len - form->delimiter_len + 1; /* behind them one may begin */
        if (form->ready == 0 && (rc = form_more(form)) != 0)
            return rc;
    }
    return 0;
}

ssize_t skua__form_peek(skua_http_multipart *form, size_t len, const char **bytes)
{
    int rc;

    if (form->error != 0)
        return form->error;
    if (!form->inside || len == 0)
        return 0;
    rc = form_data(form);
    if (rc != 0)
        return rc;
    if (len > form->ready)
        len = form->ready;
    if (form->options.part_max >= 0 && (int64_t)len > form->options.part_max - form->part_read)
        return skua__form_fail(form, SKUA_ELIMIT, "a part of the form is too long");
    *bytes = form->piece + form->begin;
    form->begin += len; /* the bytes stay where they are until more are asked for */
    form->ready -= len;
    form->part_read += (int64_t)len;
    return (ssize_t)len;
}

ssize_t skua_http_multipart_read(skua_http_multipart *form, void *buf, size_t len)
{
    const char *bytes = NULL;
    ssize_t n = skua__form_peek(form, len, &bytes);

    if (n > 0)
        memcpy(buf, bytes, (size_t)n);
    return n;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* The next byte, or an error. */
static int form_byte(struct skua_http_multipart *form)
{
    while (form->begin == form->end) {
        int rc = form_more(form);

        if (rc != 0)
            return rc;
    }
    return (unsigned char)form->piece[form->begin++];
}

/* What follows a delimiter: 1: a part; 0: the end; or an error. */
static int form_behind(struct skua_http_multipart *form)
{
    int c = form_byte(form);

    if (c == '-') {
        c = form_byte(form);
        if (c < 0)
            return c;
        if (c != '-')
            return skua__form_fail(form, -EBADMSG, "a boundary of the form is malformed");
        form->state = SKUA__FORM_END;
        return 0;
    }
    for (int i = 0; (c == ' ' || c == '\t') && i < FORM_PADDING; i++)
        c = form_byte(form);
    if (c == '\r')
        c = form_byte(form);
    else if (c >= 0)
        c = 0;
    if (c < 0)
        return c;
    return c == '\n' ? 1 : skua__form_fail(form, -EBADMSG, "a boundary of the form is malformed");
}

/* Reads a head with the blank line behind it: 0 or an error. */
static int form_read_head(struct skua_http_multipart *form)
{
    form->head_len = 0;
    for (;;) {
        size_t len = form->head_len;
        int c = form_byte(form);

        if (c < 0)
            return c;
        if (len == form->options.head_max)
            return skua__form_fail(form, -EBADMSG, "the headers of a part are too long");
        form->head[len++] = (char)c;
        form->head_len = len;
        if (c == '\n' && len >= 2 && form->head[len - 2] == '\r' &&
            (len == 2 || (len >= 4 && memcmp(form->head + len - 4, "\r\n\r\n", 4) == 0)))
            return 0;
    }
}

/* A part without a body, whose delimiter begins with the head's blank line: RFC 2046 has such a
 * thing, others would take the delimiter for bytes. Refused. */
static int form_bodiless(struct skua_http_multipart *form)
{
    size_t wanted = form->delimiter_len - 2;

    for (;;) {
        size_t len = form->end - form->begin < wanted ? form->end - form->begin : wanted;
        int rc;

        if (memcmp(form->piece + form->begin, form->delimiter + 2, len) != 0)
            return 0;
        if (len == wanted)
            return skua__form_fail(form, -EBADMSG, "a part of the form has no body");
        rc = form_more(form);
        if (rc != 0)
            return rc;
    }
}

static int form_next(struct skua_http_multipart *form, skua_http_part *part)
{
    int rc = 0;

    while (form->state == SKUA__FORM_DATA) {
        rc = form_data(form);
        if (rc != 0)
            return rc;
        form->begin += form->ready;
        form->ready = 0;
    }
    if (form->state == SKUA__FORM_END)
        return 0;
    rc = form_behind(form);
    if (rc <= 0)
        return rc;
    if (form->parts++ == form->options.parts_max)
        return skua__form_fail(form, SKUA_ELIMIT, "the form has too many parts");
    rc = form_read_head(form);
    if (rc == 0)
        rc = form_bodiless(form);
    if (rc == 0)
        rc = skua__form_head(form, part);
    if (rc != 0)
        return rc;
    form->state = SKUA__FORM_DATA;
    form->inside = true;
    form->part_read = 0;
    return 1;
}

int skua_http_multipart_next(skua_http_multipart *form, skua_http_part *part)
{
    int rc;

    if (form->error != 0)
        return form->error;
    form->inside = false;
    form->fields_count = 0;
    rc = form_next(form, part);
    if (rc < 0)
        form->error = rc;
    return rc;
}

const char *skua_http_multipart_header(const skua_http_multipart *form, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < form->fields_count; i++)
        if (form->fields[i].name_len == len && skua__http_same(form->fields[i].name, name, len))
            return form->fields[i].value;
    return NULL;
}

#undef FORM_PADDING
