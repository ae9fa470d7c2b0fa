/* grpc_fake.h - a request of HTTP/2 that no connection carries: what a gRPC handler makes of it.
 *
 *     struct fake fake = {.path = "/a.B/C", .body = bytes, .body_len = len};
 *
 *     fake_call(&fake, server);
 *     CHECK_STR(fake_trailer(&fake, "grpc-status"), "0");
 *
 * The body comes in pieces; behind it there is its end, or `fails`.
 */
#ifndef SKUA_TESTS_GRPC_FAKE_H
#define SKUA_TESTS_GRPC_FAKE_H

#include "http/grpc/grpc_impl.h"

#include "../lib/harness.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define FAKE_HEADERS 8
#define FAKE_OUT ((size_t)256 * 1024)

struct fake {
    skua_http_exchange exchange; /* first */
    const char *path;
    const char *headers[FAKE_HEADERS][2]; /* beside content-type, unless they have it */
    const char *method;                   /* NULL: POST */
    int version;                          /* 0: 20 */
    const void *body;
    size_t body_len, body_at;
    size_t piece;    /* 0: as much as is asked for */
    int fails;       /* behind the body; 0: its end */
    int write_fails; /* behind the head */
    char *out;       /* one for all */
    size_t out_len;
    unsigned flushes, begins, ends;
    int rc; /* the handler's */
};

static inline ssize_t fake_read(skua_http_exchange *exchange, void *buf, size_t len)
{
    struct fake *self = (struct fake *)exchange;
    size_t left = self->body_len - self->body_at;

    if (left == 0)
        return self->fails;
    len = len < left ? len : left;
    if (self->piece != 0 && len > self->piece)
        len = self->piece;
    memcpy(buf, (const char *)self->body + self->body_at, len);
    self->body_at += len;
    return (ssize_t)len;
}

static inline int fake_begin(skua_http_exchange *exchange)
{
    ((struct fake *)exchange)->begins++;
    return 0;
}

static inline int fake_write(skua_http_exchange *exchange, const void *buf, size_t len)
{
    struct fake *self = (struct fake *)exchange;

    if (self->write_fails != 0)
        return self->write_fails;
    MUST(len <= FAKE_OUT - self->out_len);
    memcpy(self->out + self->out_len, buf, len);
    self->out_len += len;
    return 0;
}

static inline int fake_flush(skua_http_exchange *exchange)
{
    ((struct fake *)exchange)->flushes++;
    return 0;
}

static inline int fake_end(skua_http_exchange *exchange)
{
    ((struct fake *)exchange)->ends++;
    return 0;
}

static inline void fake_field(struct skua__http_arena *arena, struct skua__http_fields *fields,
                              const char *name, const char *value)
{
    struct skua__http_field *at = skua__http_fields_add(fields, arena);

    MUST(at != NULL);
    *at = (struct skua__http_field){name, value, (uint32_t)strlen(name), (uint32_t)strlen(value)};
}

static inline void fake_begin_exchange(struct fake *self)
{
    static char out[FAKE_OUT];
    static const struct skua__http_carrier carrier = {.read = fake_read,
                                                      .begin = fake_begin,
                                                      .write = fake_write,
                                                      .flush = fake_flush,
                                                      .end = fake_end};
    skua_http_exchange *exchange = &self->exchange;
    bool typed = false;

    memset(exchange, 0, sizeof *exchange);
    skua__http_exchange_reset(exchange);
    exchange->carrier = &carrier;
    exchange->method = self->method != NULL ? self->method : "POST";
    exchange->path = self->path;
    exchange->peer = "peer:1";
    exchange->version = self->version != 0 ? self->version : 20;
    exchange->body_length = -1;
    exchange->body_max = 10; /* a limit that gRPC does not heed */
    exchange->body_ended = false;
    for (int i = 0; i < FAKE_HEADERS && self->headers[i][0] != NULL; i++) {
        fake_field(&exchange->arena, &exchange->request, self->headers[i][0], self->headers[i][1]);
        typed |= strcmp(self->headers[i][0], "content-type") == 0;
    }
    if (!typed)
        fake_field(&exchange->arena, &exchange->request, "content-type", "application/grpc");
    self->out = out;
    self->body_at = self->out_len = 0;
    self->flushes = self->begins = self->ends = 0;
}

/* To be ended by fake_end_call. */
static inline void fake_call(struct fake *self, skua_grpc_server *server)
{
    fake_begin_exchange(self);
    self->rc = skua_grpc_handler(&self->exchange, server);
    (void)skua__http_exchange_finish(&self->exchange, self->rc);
}

static inline void fake_end_call(struct fake *self)
{
    skua__http_arena_free(&self->exchange.arena);
}

static inline const char *fake_of(const struct skua__http_fields *fields, const char *name)
{
    const struct skua__http_field *field = skua__http_fields_find(fields, name, strlen(name), 0);

    return field != NULL ? field->value : NULL;
}

static inline const char *fake_header(const struct fake *self, const char *name)
{
    return fake_of(&self->exchange.response, name);
}

static inline const char *fake_trailer(const struct fake *self, const char *name)
{
    return fake_of(&self->exchange.response_trailers, name);
}

/* The status, wherever it is: in trailers with messages, else in the head. -1: there is none. */
static inline int fake_status(const struct fake *self)
{
    const char *text = fake_trailer(self, "grpc-status");

    if (text == NULL)
        text = fake_header(self, "grpc-status");
    return text != NULL ? atoi(text) : -1;
}

static inline const char *fake_message(const struct fake *self)
{
    const char *text = fake_trailer(self, "grpc-message");

    return text != NULL ? text : fake_header(self, "grpc-message");
}

/* Writes a message in its frame. What is behind it. */
static inline char *fake_frame(char *at, int flag, const void *message, size_t len)
{
    *at++ = (char)flag;
    for (int i = 0; i < 4; i++)
        *at++ = (char)(len >> (24 - 8 * i));
    memcpy(at, message, len);
    return at + len;
}

#define CHECK_STR(actual, wanted)                                                                  \
    do {                                                                                           \
        const char *is_ = (actual);                                                                \
                                                                                                   \
        if (!CHECK(is_ != NULL && strcmp(is_, (wanted)) == 0))                                     \
            test_note("it is \"%s\", not \"%s\"", is_ != NULL ? is_ : "(null)", (wanted));         \
    } while (0)

#endif
