/* client_impl.h - the client's own parts.
 *
 *   client.c            options, making and freeing, the short forms
 *   client_url.c        URLs, and references that redirects give
 *   client_link.c       what connects: sockets, proxies and their tunnels, TLS
 *   client_origin.c     origins
 *   client_pool.c       connections kept by origin, and the line for them
 *   client_fields.c     the headers of a request
 *   client_send.c       a request: again on a new connection, on to where it is redirected
 *   client_response.c   what has come
 *   client_call.c       requests that are written while their answer is read
 *   client_cookies.c    the jar; client_date.c: until when
 */
#ifndef SKUA_HTTP_CLIENT_IMPL_H
#define SKUA_HTTP_CLIENT_IMPL_H

#include <pthread.h>

#include <skua/notify.h>
#include <skua/trace.h>

#include "http/coding/coding_impl.h"
#include "http/h1client/h1c_impl.h"
#include "http/h2client/h2c.h"

/* ---- URLs (client_url.c) --------------------------------------------------------------------- */

/* All strings are an arena's. */
struct skua__client_url {
    const char *scheme;    /* in lower case */
    const char *address;   /* "host:port", as skua_tcp_connect takes it; in lower case */
    const char *authority; /* the same, without the scheme's own port: the Host header */
    const char *target;    /* path and query, "/" at least */
    const char *text;      /* all of it, without a fragment */
};

/* 0; -EINVAL: malformed; -EPROTONOSUPPORT; -ENOMEM. */
int skua__client_url_parse(struct skua__client_url *url, struct skua__http_arena *arena,
                           const char *text);
/* A reference, relative to `base`: RFC 3986, 5.2. Bytes that a URL may not have are encoded. */
int skua__client_url_resolve(struct skua__client_url *url, struct skua__http_arena *arena,
                             const struct skua__client_url *base, const char *reference);
bool skua__client_url_same_origin(const struct skua__client_url *a,
                                  const struct skua__client_url *b);

/* ---- cookies (client_cookies.c, client_date.c) ----------------------------------------------- */

/* As skua_http_cookies_put and skua_http_cookies_get. */
int skua__client_cookie_put(skua_http_cookies *jar, const struct skua__client_url *url,
                            const char *text);
size_t skua__client_cookie_get(skua_http_cookies *jar, const struct skua__client_url *url,
                               char *buf, size_t size);
/* Seconds since 1970, 0 and more; -1: it is no date. */
int64_t skua__client_date(const char *text, size_t len);

/* ---- connecting (client_link.c) -------------------------------------------------------------- */

struct skua__client_origin;

/* For whom a connection is made. */
struct skua__client_asker {
    int64_t deadline;          /* of the request; when it connects, of that */
    const char *authorization; /* for a proxy that is to make a tunnel; NULL: none */
    char *text;                /* receives why it failed; NULL: not wanted */
    size_t text_size;
};

struct skua__client_link {
    struct skua__http_link link;
    bool http2;   /* what is spoken */
    bool resumed; /* a session of TLS */
};

/* Whether the scheme is spoken. */
bool skua__client_scheme_known(const char *scheme);
/* Connects, with a tunnel and TLS where the origin has them. */
int skua__client_connect(skua_http_client *client, struct skua__client_link *link,
                         const struct skua__client_origin *origin,
                         const struct skua__client_asker *asker);

/* Of the options: 0; -EINVAL, -EPROTONOSUPPORT: no such proxy; -ENOMEM. */
int skua__client_proxy_init(skua_http_client *client);
/* The proxy to ask; NULL: none. */
const struct skua__client_url *skua__client_proxied(const skua_http_client *client,
                                                    const struct skua__client_url *url);

/* ---- the pool (client_origin.c, client_pool.c) ----------------------------------------------- */

struct skua__client_conn {
    struct skua__h1c h1c;                      /* its user's; unless there is h2c */
    struct skua__h2c *h2c;                     /* constant; NULL: HTTP/1.1 */
    struct skua__client_origin *origin;        /* constant */
    struct skua__client_conn *below;           /* of the origin's idle or shared; guard: mutex */
    struct skua__client_conn *older, *younger; /* of all idle ones; guard: mutex */
    int64_t idle_since;                        /* guard: mutex */
    size_t streams;                            /* places that are taken of h2c; guard: mutex */
};

/* One that waits, in its own frame. */
struct skua__client_waiter {
    struct skua__client_waiter *next, *prev; /* of its origin's line; guard: mutex */
    uint64_t ticket;                         /* constant */
    struct skua__client_conn *conn;          /* what it was granted; NULL: room; guard: mutex */
    bool granted;                            /* guard: mutex */
    skua_event event;                        /* set under the mutex, see client_pool.c */
};

struct skua__client_origin {
    struct skua__client_origin *next;         /* of its bucket; guard: mutex */
    struct skua__client_origin *hungry, **at; /* of those with a line; guard: mutex */
    struct skua__client_conn *idle;           /* the one used last; guard: mutex */
    struct skua__client_conn *shared;         /* of HTTP/2, with streams; guard: mutex */
    size_t making;                            /* room that is granted, and not used; guard: mutex */
    bool eager;                               /* several may be made at once; guard: mutex */
    struct skua__client_waiter *first, *last; /* guard: mutex */
    size_t count;                             /* connections, idle ones, too; guard: mutex */
    size_t users;                             /* requests that have a pointer; guard: mutex */
    const char *scheme, *address, *unix_path; /* constant; behind it in memory */
    const struct skua__client_url *proxy;     /* makes a tunnel; NULL: none; constant */
    skua_http2_use http2;                     /* AUTO, ONLY or OFF; constant */
};

#define SKUA__CLIENT_BUCKETS 64

struct skua_http_client {
    skua_http_client_options options;   /* constant, with its strings */
    struct skua__http_arena arena;      /* of the options' */
    struct skua__client_url proxies[2]; /* of "http" and "https"; text is NULL: none; constant */
    skua_tls_context *tls;              /* its own; NULL: not wanted yet; guard: mutex */
    pthread_mutex_t mutex;              /* held for a few instructions, never over a wait */
    struct skua__client_origin *buckets[SKUA__CLIENT_BUCKETS]; /* guard: mutex */
    struct skua__client_origin *hungry;                        /* guard: mutex */
    struct skua__client_conn *oldest, *youngest;               /* of the idle ones; guard: mutex */
    uint64_t tickets;                                          /* guard: mutex */
    uint64_t busy;                /* requests and responses; guard: mutex */
    skua_http_client_stats stats; /* guard: mutex */
};

/* What tells origins from each other, and what follows from it. */
struct skua__client_place {
    const char *scheme, *address, *unix_path; /* unix_path: "": none */
    skua_http2_use http2;
    const struct skua__client_url *proxy; /* follows from the rest */
};

/* The origin, with the caller as one more user: -ENOMEM. */
int skua__client_origin_get(skua_http_client *client, const struct skua__client_place *place,
                            struct skua__client_origin **ret);
void skua__client_origin_put(skua_http_client *client, struct skua__client_origin *origin);
/* Guard: mutex. When nobody is left who wants it. */
void skua__client_origin_free(skua_http_client *client, struct skua__client_origin *origin);
/* An idle connection, or NULL: room to make one; the caller has either until it puts or ends it.
 * Waits in line. */
int skua__client_pool_take(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret);
/* Makes a connection in the room that was taken: on failure the room is given up. */
int skua__client_pool_make(skua_http_client *client, struct skua__client_origin *origin,
                           const struct skua__client_asker *asker, struct skua__client_conn **ret);
/* Keeps it for the next one; of HTTP/2 gives a place back, and closes it when it is of no use. */
void skua__client_pool_put(skua_http_client *client, struct skua__client_conn *conn);
/* Closes one of HTTP/1.1; its room goes to the next in line, or stays the caller's. */
void skua__client_pool_end(skua_http_client *client, struct skua__client_conn *conn, bool room);

/* ---- a request (client_fields.c, client_send.c) ---------------------------------------------- */

/* Where a request stands: it changes with redirects. */
struct skua__client_step {
    struct skua__client_url url;
    const char *method;
    bool body;    /* there is one, still */
    bool bare;    /* a redirect has made a GET of it: without body and Content-… headers */
    bool foreign; /* another origin than the first: credentials stay behind */
    bool expect;  /* not after a 417 */
    const struct skua__client_url *proxy; /* to go through; NULL: none */
    bool call;                            /* what comes is the caller's, as it is */
    bool tunnel;                          /* by CONNECT: else it is asked for the whole URL */
};

/* 0; -EINVAL: what may not be sent. call: of a call's, which may have "TE: trailers". */
int skua__client_fields_check(const skua_http_field *fields, size_t count, bool call);
/* 0; -EINVAL, -ENOMEM. */
int skua__client_fields_make(const skua_http_client *client, const skua_http_request *request,
                             const struct skua__client_step *step, struct skua__http_arena *arena,
                             struct skua__http_fields *ret);
/* What a proxy is told of who asks; NULL: nothing. */
const char *skua__client_fields_proxy(const skua_http_client *client,
                                      const skua_http_request *request);
/* Whether it was the client that has asked for codings. */
bool skua__client_fields_coded(const struct skua__http_fields *fields);

struct skua_http_response {
    skua_http_client *client;        /* constant */
    struct skua__client_conn *conn;  /* NULL: it was given back */
    struct skua__h2c_stream *stream; /* of it; NULL: HTTP/1.1 */
    skua_span *span;                 /* of a call; NULL: none, or it has ended */
    bool called;                     /* it is a call's, and has what it has until that is closed */
    struct skua__http_arena arena;   /* of all strings */
    struct skua__http_answer head;
    const char *url;
    int64_t deadline; /* of the whole */
    int64_t until;    /* of the read that is under way; 0: the client's read_timeout */
    char *body;       /* by read_all; NULL: not yet */
    size_t body_len;
    int error;                       /* of the body, told again; 0: none */
    bool coded;                      /* the client has asked for codings */
    bool redirected;                 /* one who answered has sent it on */
    struct skua__decoding *decoding; /* NULL: the body is as it comes */
};

/* 0; -EINVAL: of a request, or that of a call. */
int skua__client_check(const skua_http_request *request, bool call);
/* The request's way, to its last response; of a call, until the head is sent. On failure the
 * response is to be closed. */
int skua__client_begin(skua_http_client *client, const skua_http_request *request,
                       skua_http_response *response, bool call);

/* As skua_http_client_send. *redirected: somebody has answered, and sent it on, also when it fails
 * then. */
int skua__client_send(skua_http_client *client, const skua_http_request *request,
                      skua_http_response **ret, bool *redirected);

/* Cookies that it sets: 0 or an error. */
int skua__client_response_cookies(skua_http_response *response, const struct skua__client_url *url);
/* The connection of a response that is not wanted, or was read: kept or closed. */
void skua__client_response_release(skua_http_response *response);
/* All but its own memory. */
void skua__client_response_end(skua_http_response *response);
/* Of the last step: the body is decoded if the client has asked for codings. 0, or -ENOMEM. */
int skua__client_response_decode(skua_http_response *response);
/* Reads a little that is left, so that the connection can be kept. */
void skua__client_response_drain(skua_http_response *response);

#endif
