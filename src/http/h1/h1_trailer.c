/* h1_trailer.c - trailers: headers behind a body in chunks.
 *
 * Beside     they are not mixed with the request's headers: what is said behind a body must not
 *            change what was decided before it (RFC 9110, 6.5.1).
 * Strict     as a head is: each line ends with CR LF, none is folded; names are tokens.
 * Limits     those of a head, for themselves.
 *
 * Source: RFC 9112, 7.1.2.
 */
#include "http/h1/h1_impl.h"

#define TRAILER_ROOM ((size_t)256)

static int trailer_room(struct skua__h1 *h1)
{
    size_t room = h1->trailers_room != 0 ? 2 * h1->trailers_room : TRAILER_ROOM;
    char *text;

    if (h1->trailers_len < h1->trailers_room)
        return 0;
    if (h1->trailers_len >= h1->options->head_max)
        return -EBADMSG;
    text = skua__http_arena_alloc(&h1->exchange.arena, room);
    if (text == NULL)
        return -ENOMEM;
    if (h1->trailers_len != 0)
        memcpy(text, h1->trailers, h1->trailers_len);
    h1->trailers = text;
    h1->trailers_room = room;
    return 0;
}

/* "name: value", `len` bytes before its CR: 0 or an error. */
static int trailer_line(struct skua__h1 *h1, char *line, size_t len)
{
    struct skua__http_fields *trailers = &h1->exchange.trailers;
    char *colon = memchr(line, ':', len);
    struct skua__http_field *field;
    char *value;

    if (colon == NULL || trailers->count >= h1->options->headers_max ||
        !skua__http_is_token(line, (size_t)(colon - line)))
        return -EBADMSG;
    value = colon + 1;
    while (value < line + len && (*value == ' ' || *value == '\t'))
        value++;
    len = (size_t)(line + len - value);
    while (len != 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (!skua__http_is_value(value, len))
        return -EBADMSG;
    field = skua__http_fields_add(trailers, &h1->exchange.arena);
    if (field == NULL)
        return -ENOMEM;
    *colon = value[len] = '\0'; /* there is a blank or the CR */
    field->name = line;
    field->name_len = (uint32_t)(colon - line);
    field->value = value;
    field->value_len = (uint32_t)len;
    return 0;
}

/* All of them have come. */
static int trailer_cut(struct skua__h1 *h1)
{
    char *at = h1->trailers;
    const char *end = at + h1->trailers_len - 2; /* the empty line */
    int rc = 0;

    while (rc == 0 && at < end) {
        char *lf = memchr(at, '\n', (size_t)(end - at));

        if (lf == NULL || lf == at || lf[-1] != '\r')
            return -EBADMSG;
        rc = trailer_line(h1, at, (size_t)(lf - 1 - at));
        at = lf + 1;
    }
    h1->body_done = rc == 0;
    return rc;
}

int skua__h1_trailers(struct skua__h1 *h1)
{
    while (h1->pos < h1->len) {
        int rc = trailer_room(h1);
        const char *end;

        if (rc != 0)
            return rc;
        h1->trailers[h1->trailers_len++] = h1->buf[h1->pos++];
        end = h1->trailers + h1->trailers_len;
        if (h1->trailers_len == 2 && memcmp(end - 2, "\r\n", 2) == 0) {
            h1->body_done = true;
            return 0;
        }
        if (h1->trailers_len >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0)
            return trailer_cut(h1);
    }
    return 0;
}

#undef TRAILER_ROOM
