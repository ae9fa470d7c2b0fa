/* http_ask.h - a request that goes out, and what comes back: what the client's protocols have in
 * common. h1client and h2client carry them; client says what, and to whom.
 */
#ifndef SKUA_HTTP_CORE_ASK_H
#define SKUA_HTTP_CORE_ASK_H

#include <skua/http/client.h>
#include <skua/io.h>

#include "http/core/http_impl.h"

/* A stream of bytes and what is below it. */
struct skua__http_link {
    skua_io io;
    void *object;
    /* Reads what is there, and does not wait: -EAGAIN. */
    ssize_t (*try_read)(void *object, void *buf, size_t len);
    void (*close)(void *object);
};

/* What is to be sent; all is somebody else's, and constant while it is. */
struct skua__http_ask {
    const char *method, *scheme, *target;
    const struct skua__http_fields *fields; /* all but those about the body; the first is Host */
    const void *body;                       /* NULL: none, or a stream */
    size_t body_len;
    skua_http_body_fn read; /* NULL: no stream */
    void *state;
    int64_t length;   /* of the stream; 0: not known */
    bool later;       /* the body is written by calls, and nothing is here; `length` is its own */
    bool expect;      /* waits to be asked for the body */
    int64_t deadline; /* of the whole, monotonic ns */
    const skua_http_client_options *options;
};

/* What has come. */
struct skua__http_answer {
    struct skua__http_arena *arena; /* of the strings */
    struct skua__http_fields fields, trailers;
    int status, version;
    int64_t length; /* -1: not said */
};

/* Of a body that is sent from where it is, at a time. */
#define SKUA__ASK_PIECE ((size_t)65536)
/* How long to wait to be asked for a body. */
#define SKUA__ASK_ASKED SKUA_SECOND

/* Methods for which servers expect to be told that there is no body: RFC 9110, 8.6. */
static inline bool skua__http_ask_has_length(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

#endif
