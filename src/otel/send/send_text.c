/* send_text.c - what may stand in a line that is logged.
 *
 * A collector's words are a stranger's: they may have a newline that forges a line, escapes that
 * paint a terminal, or the very header that it has refused. Logs are read by more people than may
 * know that.
 */
#include "otel/send/send_impl.h"

#define TEXT_SECRET 4 /* bytes; a shorter value is no secret, and would blot out half of the text */

void skua__send_text(char *text, const void *bytes, size_t len)
{
    const char *from = bytes;
    size_t size;

    if (len > SKUA__SEND_TEXT - 1)
        len = SKUA__SEND_TEXT - 1;
    while (skua__otel_repaired(from, len) > SKUA__SEND_TEXT - 1) /* a byte may become three */
        len--;
    size = skua__otel_repaired(from, len);
    skua__otel_repair(text, from, len);
    text[size] = '\0';
    for (char *at = text; at < text + size; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
}

static void text_blot(char *text, const char *secret, size_t len)
{
    char *at = text;

    while ((at = strstr(at, secret)) != NULL) {
        memset(at, '*', len);
        at += len;
    }
}

void skua__send_redact(const struct skua__send *self, char *text)
{
    for (size_t i = 0; i < self->headers_count; i++) {
        const char *value = self->headers[i].value, *space = strrchr(value, ' ');

        if (strlen(value) >= TEXT_SECRET)
            text_blot(text, value, strlen(value));
        if (space != NULL && strlen(space + 1) >= TEXT_SECRET) /* of "Bearer 123" */
            text_blot(text, space + 1, strlen(space + 1));
    }
}

#undef TEXT_SECRET
