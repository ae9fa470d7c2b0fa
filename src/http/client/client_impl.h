/* client_impl.h - the client's own parts.
 *
 *   client.c            options, making and freeing, the short forms
 *   client_url.c        URLs, and references that redirects give
 *   client_link.c       what connects: a table of schemes
 *   client_pool.c       connections kept by origin, and the line for them
 *   client_fields.c     the headers of a request
 *   client_send.c       a request: again on a new connection, on to where it is redirected
 *   client_response.c   what has come
 *   client_proxy.c      whether a request goes through a proxy
 *   client_cookies.c    the jar; client_date.c: until when
 */
#ifndef SKUA_HTTP_CLIENT_IMPL_H
#define SKUA_HTTP_CLIENT_IMPL_H

#include <pthread.h>

#include <skua/notify.h>

#include "http/coding/coding_impl.h"
#include "http/h1client/h1c_impl.h"

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

/* Whether there is a transport for the scheme. */
bool skua__client_scheme_known(const char *scheme);
/* Connects to address, or to unix_path unless it is "". */
int skua__client_connect(struct skua__h1c_link *link, const char *scheme, const char *address,
                         const char *unix_path, int64_t deadline);

/* ---- the pool (client_pool.c) ---------------------------------------------------------------- */

struct skua__client_conn {
    struct skua__h1c h1c;
    struct skua__client_origin *origin;        /* constant */
    struct skua__client_conn *below;           /* of the origin's, idle longer; guard: mutex */
    struct skua__client_conn *older, *younger; /* of all idle ones; guard: mutex */
    int64_t idle_since;                        /* guard: mutex */
    bool used;                                 /* it was idle before; its user's */
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
    struct skua__client_waiter *first, *last; /* guard: mutex */
    size_t count;                             /* connections, idle ones, too; guard: mutex */
    size_t users;                             /* requests that have a pointer; guard: mutex */
    const char *scheme, *address, *unix_path; /* constant; behind it in memory */
};

#define SKUA__CLIENT_BUCKETS 64

struct skua_http_client {
    skua_http_client_options options; /* constant, with its strings */
    struct skua__http_arena arena;    /* of the options' */
    struct skua__client_url proxy;    /* constant; when options.proxy is one */
    pthread_mutex_t mutex;            /* held for a few instructions, never over a wait */
    struct skua__client_origin *buckets[SKUA__CLIENT_BUCKETS]; /* guard: mutex */
    struct skua__client_origin *hungry;                        /* guard: mutex */
    struct skua__client_conn *oldest, *youngest;               /* of the idle ones; guard: mutex */
    uint64_t tickets;                                          /* guard: mutex */
    uint64_t busy;                /* requests and responses; guard: mutex */
    skua_http_client_stats stats; /* guard: mutex */
};

/* The origin, with the caller as one more user: -ENOMEM. */
int skua__client_origin_get(skua_http_client *client, const struct skua__client_url *url,
                            const char *unix_path, struct skua__client_origin **ret);
void skua__client_origin_put(skua_http_client *client, struct skua__client_origin *origin);
/* An idle connection, or NULL: room to make one; the caller has either until it puts or ends it.
 * Waits in line. */
int skua__client_pool_take(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret);
/* Makes a connection in the room that was taken: on failure the room is given up. */
int skua__client_pool_make(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret);
/* Keeps it for the next one. */
void skua__client_pool_put(skua_http_client *client, struct skua__client_conn *conn);
/* Closes it; its room goes to the next in line, or stays the caller's. */
void skua__client_pool_end(skua_http_client *client, struct skua__client_conn *conn, bool room);

/* ---- proxies (client_proxy.c) ---------------------------------------------------------------- */

/* Of the options: 0; -EINVAL, -EPROTONOSUPPORT: no such proxy; -ENOMEM. */
int skua__client_proxy_init(skua_http_client *client);
bool skua__client_proxied(const skua_http_client *client, const struct skua__client_url *url);

/* ---- a request (client_fields.c, client_send.c) ---------------------------------------------- */

/* Where a request stands: it changes with redirects. */
struct skua__client_step {
    struct skua__client_url url;
    const char *method;
    bool body;    /* there is one, still */
    bool bare;    /* a redirect has made a GET of it: without body and Content-… headers */
    bool foreign; /* another origin than the first: credentials stay behind */
    bool expect;  /* not after a 417 */
    bool proxied; /* through the proxy */
};

/* 0; -EINVAL: what may not be sent; -ENOMEM. */
int skua__client_fields_check(const skua_http_field *fields, size_t count);
int skua__client_fields_make(const skua_http_client *client, const skua_http_request *request,
                             const struct skua__client_step *step, struct skua__http_arena *arena,
                             struct skua__http_fields *ret);
/* Whether it was the client that has asked for codings. */
bool skua__client_fields_coded(const struct skua__http_fields *fields);

struct skua_http_response {
    skua_http_client *client;       /* constant */
    struct skua__client_conn *conn; /* NULL: it was given back */
    struct skua__http_arena arena;  /* of all strings */
    struct skua__h1c_response head;
    const char *url;
    int64_t deadline; /* of the whole */
    char *body;       /* by read_all; NULL: not yet */
    size_t body_len;
    int error;                       /* of the body, told again; 0: none */
    bool coded;                      /* the client has asked for codings */
    struct skua__decoding *decoding; /* NULL: the body is as it comes */
};

/* The connection of a response that is not wanted, or was read: kept or closed. */
void skua__client_response_release(skua_http_response *response);
/* Of the last step: the body is decoded if the client has asked for codings. 0, or -ENOMEM. */
int skua__client_response_decode(skua_http_response *response);
/* Reads a little that is left, so that the connection can be kept. */
void skua__client_response_drain(skua_http_response *response);

#endif
