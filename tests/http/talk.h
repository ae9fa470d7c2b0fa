/* talk.h - raw bytes to an HTTP server, and what it answers: over a connection in memory.
 *
 *     struct talk talk = {.handler = hello};
 *
 *     talk_to(&talk, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
 *     CHECK_EQ(talk_status(&talk, 0), 200);
 *
 * The bytes are sent `piece` at a time, each of which the server sees before the next; then the
 * client says that it is done, and reads to the end.
 */
#ifndef SKUA_TESTS_TALK_H
#define SKUA_TESTS_TALK_H

#include <skua/http/router.h>
#include <skua/http/server.h>

#include "../lib/part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

struct talk {
    skua_http_handler handler;
    void *state;
    const skua_http_server_options *options;
    size_t piece;   /* 0: all at once */
    unsigned fault; /* which of the server's allocations fails, on a current-thread runtime */
    int rc;         /* of skua_http_server_serve */
    char text[256 * 1024];
    size_t len;
};

struct talk_server {
    skua_http_server *server;
    skua_duplex *end;
    int rc;
};

static inline int talk_serve(void *arg)
{
    struct talk_server *self = arg;

    self->rc = skua_http_server_serve(self->server, skua_duplex_io(self->end), "peer:1");
    skua_duplex_close(self->end);
    return 0;
}

static inline int talk_send(void *arg)
{
    void **args = arg;
    const char *text = args[1];
    size_t len = *(size_t *)args[2], piece = *(size_t *)args[3];

    while (len != 0) {
        size_t part = piece != 0 && piece < len ? piece : len;

        if (skua_io_write_all(skua_duplex_io(args[0]), text, part) < 0)
            return 0; /* it is not interested any more */
        text += part;
        len -= part;
        if (piece != 0)
            (void)skua_yield();
    }
    (void)skua_duplex_shutdown(args[0]);
    return 0;
}

static inline void talk_bytes(struct talk *talk, const char *text, size_t len)
{
    struct talk_server self = {.rc = 1};
    void *args[4] = {NULL, (void *)(uintptr_t)text, &len, &talk->piece};
    skua_duplex *client;
    skua_scope scope;
    ssize_t n;

    MUST(skua_http_server_new(&self.server, talk->handler, talk->state, talk->options) == 0);
    MUST(skua_duplex_new(&client, &self.end, 4096) == 0);
    args[0] = client;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, talk_serve, &self) == 0);
    MUST(skua_spawn(&scope, talk_send, args) == 0);
#ifdef SKUA_FAULTS
    skua__fault_arm(SKUA__FAULT_MALLOC, talk->fault, 1, ENOMEM); /* none of the fibers has run */
#endif
    talk->len = 0;
    while ((n = skua_duplex_read(client, talk->text + talk->len,
                                 sizeof talk->text - 1 - talk->len)) > 0)
        talk->len += (size_t)n;
    talk->text[talk->len] = '\0';
    CHECK_EQ(skua_scope_join(&scope), 0);
#ifdef SKUA_FAULTS
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
#endif
    skua_duplex_close(client);
    skua_http_server_free(self.server);
    talk->rc = self.rc;
}

static inline void talk_to(struct talk *talk, const char *text)
{
    talk_bytes(talk, text, strlen(text));
}

/* Where the nth response begins; NULL: there is none. For bodies that do not look like one. */
static inline const char *talk_response(const struct talk *talk, int index)
{
    const char *at = talk->text;

    while ((at = strstr(at, "HTTP/1.1 ")) != NULL && index-- > 0)
        at++;
    return at;
}

static inline int talk_status(const struct talk *talk, int index)
{
    const char *at = talk_response(talk, index);

    return at != NULL ? atoi(at + 9) : 0;
}

/* The body of the nth response, to the end of everything. */
static inline const char *talk_body(const struct talk *talk, int index)
{
    const char *at = talk_response(talk, index);

    at = at != NULL ? strstr(at, "\r\n\r\n") : NULL;
    return at != NULL ? at + 4 : "(none)";
}

#define CHECK_STR(actual, wanted)                                                                  \
    do {                                                                                           \
        const char *is_ = (actual);                                                                \
                                                                                                   \
        if (!CHECK(is_ != NULL && strcmp(is_, (wanted)) == 0))                                     \
            test_note("it is \"%s\", not \"%s\"", is_ != NULL ? is_ : "(null)", (wanted));         \
    } while (0)

#endif
