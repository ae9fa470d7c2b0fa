/* http_impl.h - an exchange as libskua-http's own parts see it.
 *
 *   core    the exchange, its headers, its memory; knows no protocol
 *   h1      HTTP/1.1 over a stream of bytes: parses with llhttp, and carries an exchange
 *   server  listeners, connections, limits, stopping
 *   route   which handler answers which request
 *
 * A carrier is what brings the request in and takes the response out: five functions, which
 * exchange.c calls in this order and nobody else: read*, begin, write*, flush*, end.
 *
 * The library stands on libskua's public headers alone, so it works with the shared one, too.
 */
#ifndef SKUA_HTTP_CORE_IMPL_H
#define SKUA_HTTP_CORE_IMPL_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <skua/http/exchange.h>
#include <skua/time.h>

/* Since `now`; what is beyond all time is SKUA_FOREVER. */
static inline int64_t skua__http_after(int64_t now, int64_t timeout)
{
    return timeout < SKUA_FOREVER - now ? now + timeout : SKUA_FOREVER;
}

/* The earlier of a step's time-out, from now, and the whole's deadline. */
static inline int64_t skua__http_deadline(int64_t timeout, int64_t whole)
{
    int64_t step = timeout != SKUA_FOREVER ? skua__http_after(skua_now(), timeout) : SKUA_FOREVER;

    return step < whole ? step : whole;
}
#include <skua/http/extract.h>
#include <skua/http/layer.h>

/* ---- memory (http_mem.c) --------------------------------------------------------------------- */

void *skua__http_malloc(size_t size);
/* The same, but not cleared. */
void *skua__http_raw(size_t size);
/* Cleared, at a multiple of `align`, a power of two. */
void *skua__http_aligned(size_t align, size_t size);
void *skua__http_realloc(void *old, size_t size);
void skua__http_free(void *memory);

/* What lives as long as an exchange: pieces are cut off the memory that it was lent, then off
 * blocks of its own, which are freed by the reset. */
struct skua__http_arena {
    struct skua__http_block *blocks; /* the newest first */
    char *next;                      /* free room of the newest */
    size_t left;
    char *lent; /* aligned for anything; NULL: none */
    size_t lent_size;
};

/* To be called when the arena is as reset. */
void skua__http_arena_lend(struct skua__http_arena *arena, char *memory, size_t size);

void *skua__http_arena_alloc(struct skua__http_arena *arena, size_t size);
/* A copy with a NUL behind it; NULL: no memory. */
char *skua__http_arena_copy(struct skua__http_arena *arena, const char *text, size_t len);
void skua__http_arena_reset(struct skua__http_arena *arena);
void skua__http_arena_free(struct skua__http_arena *arena);

/* ---- headers (http_fields.c) ----------------------------------------------------------------- */

struct skua__http_field {
    const char *name, *value; /* each with a NUL behind it */
    uint32_t name_len, value_len;
};

/* In their order. The array is the arena's, as the strings. */
struct skua__http_fields {
    struct skua__http_field *at;
    size_t count, room;
};

/* The first one with the name at or behind `from`; NULL: there is none. */
struct skua__http_field *skua__http_fields_find(const struct skua__http_fields *fields,
                                                const char *name, size_t len, size_t from);
/* Room for one more: NULL: no memory. It is counted. */
struct skua__http_field *skua__http_fields_add(struct skua__http_fields *fields,
                                               struct skua__http_arena *arena);
/* The first one with the name, as find; *twice becomes true when there is another. */
const struct skua__http_field *skua__http_fields_only(const struct skua__http_fields *fields,
                                                      const char *name, bool *twice);
void skua__http_fields_remove(struct skua__http_fields *fields, const char *name, size_t len);
/* Whether a list of tokens ("keep-alive, Upgrade") has this one; without case. */
bool skua__http_has_token(const char *list, const char *token);
/* Of a head as it came: each line ends with CR LF, none is folded, no other CR, and no NUL. */
bool skua__http_lines_are_whole(const char *head, size_t len);
bool skua__http_is_token(const char *text, size_t len);
/* A host and perhaps a port: no more than RFC 3986 has in them. */
bool skua__http_is_authority(const char *text);
/* No control characters but the tab. */
bool skua__http_is_value(const char *text, size_t len);
bool skua__http_same(const char *a, const char *b, size_t len);

/* ---- text (http_text.c) ---------------------------------------------------------------------- */

/* Bytes of "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL. */
#define SKUA__HTTP_DATE 30

void skua__http_date(char out[SKUA__HTTP_DATE], int64_t seconds);
/* Percent-decodes; form: '+' is a blank. The length, or -1: malformed or a NUL. out may be text. */
ssize_t skua__http_decode(char *out, const char *text, size_t len, bool form);
/* Decimal digits only: the number, or -1. */
int64_t skua__http_number(const char *text, size_t len);

/* ---- the exchange (http_exchange.c) ---------------------------------------------------------- */

struct skua__http_carrier {
    /* As skua_http_read, without its limits. */
    ssize_t (*read)(skua_http_exchange *exchange, void *buf, size_t len);
    /* Takes the head: the status and the headers are final, response_left says what follows. 0 or
     * an error. */
    int (*begin)(skua_http_exchange *exchange);
    /* Takes all bytes; or an error. */
    int (*write)(skua_http_exchange *exchange, const void *buf, size_t len);
    /* Has everything so far sent. */
    int (*flush)(skua_http_exchange *exchange);
    /* The response is whole. */
    int (*end)(skua_http_exchange *exchange);
    /* Instead of begin: sends the head, and hands over the stream; 0 or an error. NULL: the
     * protocol has no such thing. */
    int (*upgrade)(skua_http_exchange *exchange, const char *protocol, skua_io *ret);
    /* Instead of write: a part of a file, inside the kernel; moves *offset on. How many bytes,
     * fewer than count at the file's end; -ENOTSUP before anything was sent: not this response,
     * write instead; or an error. NULL: never. */
    int64_t (*sendfile)(skua_http_exchange *exchange, int file, int64_t *offset, int64_t count);
};

struct skua__http_param {
    const char *name, *value;
};

/* Of on_head or of on_end. */
struct skua__http_observer {
    struct skua__http_observer *next;
    skua_http_head_fn head;
    skua_http_end_fn end;
    void *state;
};

struct skua__http_note {
    struct skua__http_note *next;
    const void *key;
    void *value;
};

#define SKUA__HTTP_PARAMS 16
/* skua_http_exchange.response_left: the body's end is told by the carrier. */
#define SKUA__HTTP_STREAMED (-1)

/* All fields are the handler's fiber's. */
struct skua_http_exchange {
    /* Constant; but a layer that codes bodies puts a table of its own in front of it, from its call
     * to the exchange's end (on_end: the newest first), and calls what was there before. */
    const struct skua__http_carrier *carrier;
    struct skua__http_arena arena;

    /* the request; set by the carrier before the handler is called */
    const char *method, *path, *query, *authority, *peer;
    struct skua__http_fields request;
    int version;
    bool secure;         /* over TLS; the connection's, and stays */
    int64_t body_length; /* -1: not said */
    int64_t body_max;    /* -1: any */
    int64_t body_read;   /* bytes so far */
    bool body_ended;     /* there is no more */
    int body_error;      /* it has failed, and does so again; 0: no. -ETIMEDOUT: the carrier's */
    bool patient;        /* both sides talk when they like: the body's and the response's time-outs
                            do not count. HTTP/2 alone; the connection's still does */
    struct skua__http_fields trailers; /* with the body's end */

    /* of the route */
    const char *route; /* its pattern; NULL: none yet */
    struct skua__http_param params[SKUA__HTTP_PARAMS];
    unsigned params_count;

    /* the response */
    struct skua__http_fields response, response_trailers;
    int status;
    int64_t response_left; /* bytes to come, by Content-Length; or SKUA__HTTP_STREAMED. The
                              carrier looks at it when it begins, and not later */
    bool begun, ended;
    bool coded;    /* whoever codes the body counts `sent` */
    bool bodiless; /* an answer to HEAD, or 204, 304: what is written is not sent */
    int error;     /* the carrier has failed, and does so again; 0: no */

    /* what layers hang on it (http_observe.c) */
    struct skua__http_observer *on_head, *on_end; /* the newest first */
    struct skua__http_note *notes;
    skua_http_page_fn page; /* NULL: plain ones */
    void *page_state;
    int fail_code, fail_status; /* of skua_http_fail; 0: it has not failed so */
    const char *fail_reason;
    bool heading;           /* observers of the head are being called */
    struct skua_span *span; /* of telemetry, under way; NULL: none (http_trace.h) */
    bool measured;          /* so far: its end is to be told to metrics */
    int64_t began;          /* ns; the carrier sets it before the handler is called */
    uint64_t sent;          /* bytes of the body */
};

/* As new, with the memory it has. The carrier, peer and limits stay. */
void skua__http_exchange_reset(skua_http_exchange *exchange);
/* Behind the handler, which returned `rc`: replies with an error page, or ends what was begun.
 * 0: the response is whole, or an error: it is not, and the connection ends. */
int skua__http_exchange_finish(skua_http_exchange *exchange, int rc);
/* Of a body that was begun, as skua_http_write: a part of a file, by the carrier's sendfile. */
int64_t skua__http_exchange_sendfile(skua_http_exchange *exchange, int file, int64_t *offset,
                                     int64_t count);
/* Replies with the page of an error. */
int skua__http_exchange_refuse(skua_http_exchange *exchange, int status);
/* The same for a code, with the reason that was given for it. */
int skua__http_exchange_fail(skua_http_exchange *exchange, int code);

/* ---- observers (http_observe.c) -------------------------------------------------------------- */

void skua__http_observe_head(skua_http_exchange *exchange);
/* code: the handler's; error: 0, or why the response is not whole. */
void skua__http_observe_end(skua_http_exchange *exchange, int code, int error);

#endif
