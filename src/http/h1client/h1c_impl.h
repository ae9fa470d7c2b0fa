/* h1c_impl.h - a connection that asks in HTTP/1.1.
 *
 *   h1c_send.c    the request: its head, its body by length or in chunks, and the order of things
 *   h1c_head.c    the response's head: read, parsed by llhttp, checked
 *   h1c_body.c    its body and trailers
 *
 * One exchange after the other: skua__h1c_exchange, then skua__h1c_read until it says 0, then
 * skua__h1c_reusable. After any error the connection is only good to be closed.
 */
#ifndef SKUA_HTTP_H1C_IMPL_H
#define SKUA_HTTP_H1C_IMPL_H

#include <llhttp.h>

#include <skua/time.h>

#include "http/core/http_ask.h"

/* Of a connection's buffers; the one for reading begins small and grows up to head_max. */
#define SKUA__H1C_IN ((size_t)4096)
#define SKUA__H1C_OUT ((size_t)16384)

/* How the end of a body is known. */
enum skua__h1c_framing {
    SKUA__H1C_NONE, /* there is no body, or no more of it */
    SKUA__H1C_LENGTH,
    SKUA__H1C_CHUNKS,
    SKUA__H1C_CLOSE /* the end of the connection */
};

/* Offsets into the buffer, which may move while a head is read. */
struct skua__h1c_span {
    uint32_t at, len;
};

struct skua__h1c_pair {
    struct skua__h1c_span name, value;
};

/* All fields are whose turn it is. */
struct skua__h1c {
    struct skua__http_link link;
    llhttp_t parser;
    struct skua__http_answer *response; /* that is being read */
    const skua_http_client_options *options;

    /* reading: in[pos .. len) is not parsed yet */
    char *in;
    size_t in_room, pos, len;

    /* the head, or the trailers, that are being parsed */
    struct skua__h1c_pair *pairs; /* the connection's, kept */
    size_t pairs_count, pairs_room;
    char *trail; /* bytes of trailers, which come in pieces; NULL: there were none yet */
    size_t trail_len;
    bool pair_open; /* the last one has no whole value yet */
    bool head_done;
    int failure; /* of a callback: SKUA_ELIMIT or -ENOMEM */

    /* the body */
    enum skua__h1c_framing framing;
    int64_t left;     /* by its length: to come */
    const char *span; /* in chunks: parsed, and not taken yet */
    size_t span_len;
    size_t overhead; /* bytes around chunks since the last byte of the body */
    bool body_done;  /* in chunks: the parser has seen the end */
    bool keep_alive;

    /* writing */
    char *out;
    size_t out_len;
    bool began;    /* a byte of this exchange's request may have been sent */
    bool broken;   /* writing has failed */
    bool sent;     /* all of it was */
    bool received; /* a byte of the answer has come */
};

/* 0 or -ENOMEM. The link is the connection's only afterwards. */
int skua__h1c_init(struct skua__h1c *h1c, const struct skua__http_link *link,
                   const skua_http_client_options *options);
/* Closes the link, too. */
void skua__h1c_free(struct skua__h1c *h1c);

/* h1c_send.c: sends, and reads the head of the final response: 0 or an error. `response` must stay
 * until its body was read. */
int skua__h1c_exchange(struct skua__h1c *h1c, const struct skua__http_ask *request,
                       struct skua__http_answer *response);
/* Whether nothing has come since it was used last, not even the end. */
bool skua__h1c_alive(struct skua__h1c *h1c);
/* The response was read to its end: whether another request may be sent. */
bool skua__h1c_reusable(const struct skua__h1c *h1c);

/* h1c_head.c: the next response's head, an informational one, too: 0 or an error; -ETIMEDOUT and
 * -ECANCELED may be followed by another try. */
int skua__h1c_head(struct skua__h1c *h1c, const struct skua__http_ask *request, int64_t deadline);
/* Forgets the head that was read; what lies behind it begins the buffer. */
void skua__h1c_head_begin(struct skua__h1c *h1c);
/* Callbacks of fields, in heads and trailers. */
int skua__h1c_pair_name(struct skua__h1c *h1c, uint32_t at, size_t len);
int skua__h1c_pair_value(struct skua__h1c *h1c, uint32_t at, size_t len);
/* Cuts the pairs out of `base` into fields, whose strings are copies: 0 or an error. */
int skua__h1c_pairs_cut(struct skua__h1c *h1c, const char *base, struct skua__http_fields *fields);

/* h1c_body.c: as skua_http_response_read, until `deadline`. */
ssize_t skua__h1c_read(struct skua__h1c *h1c, void *buf, size_t len, int64_t deadline);
/* Callbacks of bodies in chunks. */
int skua__h1c_on_body(llhttp_t *parser, const char *at, size_t len);
int skua__h1c_on_done(llhttp_t *parser);
/* A piece of a trailer: where it begins among their bytes in *at; false: it has no room. */
bool skua__h1c_trail(struct skua__h1c *h1c, const char *text, size_t len, uint32_t *at);

#endif
