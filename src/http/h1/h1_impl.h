/* h1_impl.h - a connection that speaks HTTP/1.1.
 *
 *   h1_head.c    a request's head: read, parsed by llhttp, checked, turned into an exchange
 *   h1_body.c    its body
 *   h1_trailer.c the headers behind a body in chunks
 *   h1_write.c   the response
 *   h1_upgrade.c the connection's bytes for the handler, behind a 101
 *   h1_kit.c     the memory of a request, which an idle connection gives back
 *   h1_serve.c   the loop: idle, head, handler, behind it, again
 */
#ifndef SKUA_HTTP_H1_IMPL_H
#define SKUA_HTTP_H1_IMPL_H

#include <llhttp.h>

#include <skua/http/server.h>
#include <skua/time.h>

#include "http/core/http_impl.h"

/* Of a connection's buffers to begin with; the one for reading grows up to the limit of a head. */
#define SKUA__H1_IN ((size_t)4096)
#define SKUA__H1_OUT ((size_t)16384)
/* What a body may take in any case, before the least rate counts. */
#define SKUA__H1_BODY_GRACE (5 * SKUA_SECOND)

/* What the server is told, and tells. */
struct skua__h1_watch {
    /* The connection begins to wait for a request, or one has come. False: it is to end; whoever
     * stops the server was first. */
    bool (*idle)(void *arg, bool idle);
    /* Whether this response is the last one of its connection. */
    bool (*last)(void *arg);
    /* A request was answered without a handler. */
    void (*refused)(void *arg);
    /* Waits until there is something to read: 0, or an error. NULL: the stream cannot say; then the
     * connection keeps its memory while it is idle. */
    int (*readable)(void *arg, int64_t deadline);
    /* Sends a part of a file behind what was written, as skua_tcp_sendfile. NULL: the stream is no
     * socket. */
    int64_t (*sendfile)(void *arg, int file, int64_t *offset, int64_t count);
};

/* Offsets into the buffer, which may move while a head is read. */
struct skua__h1_span {
    uint32_t at, len;
};

struct skua__h1_head_field {
    struct skua__h1_span name, value;
};

#define SKUA__H1_FIELDS 32
#define SKUA__H1_ARENA 2048

/* What a request needs, and an idle connection does not (h1_kit.c). */
struct skua__h1_kit {
    struct skua__h1_kit *next; /* in a thread's stock */
    _Alignas(16) char arena[SKUA__H1_ARENA];
    struct skua__h1_head_field fields[SKUA__H1_FIELDS];
    char in[SKUA__H1_IN];
    char out[SKUA__H1_OUT];
};

/* All fields are the connection's fiber's. */
struct skua__h1 {
    skua_http_exchange exchange;
    skua_io io;
    const skua_http_server_options *options;
    const struct skua__h1_watch *watch;
    void *watcher;
    struct skua__h1_kit *kit; /* NULL: it is idle */
    llhttp_t parser;

    /* reading: buf[pos .. len) is not parsed yet */
    char *in;       /* of heads; the kit's, or a longer one */
    size_t in_room; /* of in */
    char *buf;      /* in, or for a body what lies behind its head, or the arena's */
    size_t pos, len, room;

    /* the head that is being parsed */
    struct skua__h1_span target;
    struct skua__h1_head_field *fields; /* the kit's, or a longer one */
    size_t fields_count, fields_room;
    bool field_open; /* the last one has no value yet */
    bool head_done;
    bool preface; /* nothing has come yet, and HTTP/2 would be welcome */

    /* the body */
    const char *span; /* parsed, and not taken yet */
    size_t span_len;
    int64_t body_left;               /* not parsed yet; below 0: in chunks */
    int64_t body_parsed, body_bytes; /* with what frames it, and without */
    int64_t body_came, body_waited;  /* bytes that were read, and the time that it took, ns */
    bool body_done;
    bool trailing;  /* behind the last chunk */
    char *trailers; /* the arena's; as they came so far */
    size_t trailers_len, trailers_room;
    bool continue_wanted; /* the client waits for "100 Continue" */

    /* writing */
    char *out; /* the kit's */
    size_t out_len;
    size_t chunk; /* where the open chunk's length is to stand in out; SIZE_MAX: none is open */
    bool chunked;
    bool keep_alive;
    int64_t date_second; /* of date */
    char date[SKUA__HTTP_DATE];
};

/* Not HTTP/1.1: the connection begins with the preface of HTTP/2 (RFC 9113, 3.4), which is in
 * `buf`, from its start. */
#define SKUA__H1_PREFACE 2
#define SKUA__H1_PREFACE_TEXT "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* h1_head.c: a request's head. 1: there is one; SKUA__H1_PREFACE: see there; 0: the connection
 * has ended between two requests, or was stopped; an error. A request that is refused has been
 * answered: -EBADMSG. */
int skua__h1_head(struct skua__h1 *h1);

/* h1_kit.c. Takes a kit: 0 or -ENOMEM; gives it back, with all that has outgrown it. Nothing may be
 * left in it. */
int skua__h1_kit_take(struct skua__h1 *h1);
void skua__h1_kit_give(struct skua__h1 *h1);
/* A longer buffer, which begins with these bytes. */
int skua__h1_in_grow(struct skua__h1 *h1, size_t room, const char *bytes, size_t len);
/* More room for fields. */
int skua__h1_fields_grow(struct skua__h1 *h1);

/* h1_body.c. Reads more into buf, behind what is there: the count, 0 at the end, or an error. What
 * was written goes out before. */
ssize_t skua__h1_fill(struct skua__h1 *h1, int64_t deadline);
ssize_t skua__h1_body_read(skua_http_exchange *exchange, void *buf, size_t len);
/* Behind the response: reads on to the next request. False: it is too much, or malformed. */
bool skua__h1_body_skip(struct skua__h1 *h1);
/* What is left of the body is not going to be read, or whether it comes is not known. */
bool skua__h1_body_too_much(const struct skua__h1 *h1);
/* The parser's callbacks for a body. */
int skua__h1_on_body(llhttp_t *parser, const char *at, size_t len);
int skua__h1_on_chunk(llhttp_t *parser);
int skua__h1_on_done(llhttp_t *parser);

/* h1_trailer.c. Takes what is there of them; with the last one the body is done. 0 or an error. */
int skua__h1_trailers(struct skua__h1 *h1);

/* h1_upgrade.c */
int skua__h1_upgrade(skua_http_exchange *exchange, const char *protocol, skua_io *ret);

/* h1_write.c */
extern const struct skua__http_carrier skua__h1_carrier;
int skua__h1_flush(struct skua__h1 *h1);
int skua__h1_continue(struct skua__h1 *h1);
/* The head of a 101. */
int skua__h1_write_upgrade(struct skua__h1 *h1, const char *protocol);

/* h1_serve.c: until the connection ends, or turns out to be HTTP/2's: SKUA__H1_PREFACE. */
int skua__h1_serve(struct skua__h1 *h1, skua_http_handler handler, void *state);
int skua__h1_init(struct skua__h1 *h1, skua_io io, const skua_http_server_options *options);
void skua__h1_free(struct skua__h1 *h1);
/* Before it is served. */
void skua__h1_watch_by(struct skua__h1 *h1, const struct skua__h1_watch *watch, void *watcher);

#endif
