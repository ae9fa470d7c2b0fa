/* ask.h - one request to a handler, and what of its answer a test wants to know. */
#ifndef SKUA_TESTS_ASK_H
#define SKUA_TESTS_ASK_H

#include "talk.h"

/* To be freed. `request` has no Host header and no blank line; its headers end with CR LF. */
static inline struct talk *ask_chain(skua_http_handler handler, void *state, const char *request)
{
    struct talk *talk = calloc(1, sizeof *talk);
    size_t len = strlen(request) + 64;
    char *text = malloc(len);

    MUST(talk != NULL && text != NULL);
    talk->handler = handler;
    talk->state = state;
    (void)snprintf(text, len, "%s%sHost: a\r\n\r\n", request,
                   strstr(request, "HTTP/1.1") != NULL ? "" : " HTTP/1.1\r\n");
    talk_to(talk, text);
    free(text);
    return talk;
}

/* Whether the head has the line; of the line's begin only what is given. */
static inline int ask_has(const struct talk *talk, const char *line)
{
    const char *end = strstr(talk->text, "\r\n\r\n");
    char text[512];
    const char *at;

    (void)snprintf(text, sizeof text, "\r\n%s", line);
    at = strstr(talk->text, text);
    return at != NULL && end != NULL && at <= end;
}

#define CHECK_HAS(talk, line)                                                                      \
    do {                                                                                           \
        if (!CHECK(ask_has((talk), (line))))                                                       \
            test_note("no \"%s\" in: %s", (line), (talk)->text);                                   \
    } while (0)
#define CHECK_LACKS(talk, line)                                                                    \
    do {                                                                                           \
        if (!CHECK(!ask_has((talk), (line))))                                                      \
            test_note("\"%s\" in: %s", (line), (talk)->text);                                      \
    } while (0)

#endif
