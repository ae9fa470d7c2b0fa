/* tls_impl.h - TLS by OpenSSL, which never touches a descriptor: it takes from one buffer and puts
 * into another, and what moves those over the stream below waits outside of it.
 *
 *   tls_options.c   certificates, keys and trust: from options to OpenSSL's context
 *   tls_names.c     which certificate for which name; the list of ALPN
 *   tls_context.c   contexts: made, swapped, shared; sessions of a client
 *   tls_pipe.c      the buffers, and what fills and empties them
 *   tls_shake.c     connections: made, handshake, information, end
 *   tls_stream.c    read, write, shutdown
 *
 *     caller <- SSL_read  <- in  <- under          the reader fills
 *     caller -> SSL_write -> out -> sent -> under  who holds `sending` empties
 *
 * Locks      `sending`, held over waits, then a connection's mutex, then its context's mutex. The
 *            mutexes are held for one step of OpenSSL, and never over a wait.
 */
#ifndef SKUA_HTTP_TLS_IMPL_H
#define SKUA_HTTP_TLS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <skua/http/tls.h>
#include <skua/sync.h>
#include <skua/time.h>

#include "http/core/http_impl.h"

#ifdef EKEYREJECTED
#define SKUA__TLS_REJECTED (-EKEYREJECTED)
#else
#define SKUA__TLS_REJECTED (-EACCES)
#endif

/* Bytes of a record's content at most, and with all that is around it (RFC 5246, 6.2.3). */
#define SKUA__TLS_RECORD ((size_t)16384)
#define SKUA__TLS_IN ((size_t)16384 + 2048 + 5)
/* What may wait to be sent: several records, so that a big write costs fewer calls below. */
#define SKUA__TLS_OUT ((size_t)65536)
#define SKUA__TLS_HOST 254
#define SKUA__TLS_TEXT 192

/* ---- a certificate and whom it is for (tls_names.c) ------------------------------------------ */

struct skua__tls_entry {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* NULL: none */
    char *names;            /* lower case, "a,b"; NULL: the certificate's */
};

/* What one set of options makes; constant once it is made. Lives as long as a connection that began
 * with it, or the context. */
struct skua__tls_setup {
    atomic_size_t refs;
    SSL_CTX *ctx;
    struct skua__tls_entry *entries; /* the first one is the default */
    size_t count;
    unsigned char *alpn; /* as on the wire: each with its length before it */
    size_t alpn_len;
    skua_tls_role role;
    bool verifies; /* the other side's certificate is looked at */
    bool resumes;
};

/* From "h2,http/1.1"; 0, -EINVAL, -ENOMEM. */
int skua__tls_alpn(struct skua__tls_setup *setup, const char *list);
/* Has the setup's certificates and protocols chosen by what clients ask for. */
void skua__tls_choose(struct skua__tls_setup *setup);
/* Whether it has a certificate for the name, rather than for another. */
bool skua__tls_entry_has(const struct skua__tls_entry *entry, const char *name);

/* ---- options (tls_options.c) ----------------------------------------------------------------- */

/* 0, or an error, of which `text` tells more. */
int skua__tls_setup_new(struct skua__tls_setup **ret, skua_tls_role role,
                        const skua_tls_context_options *options);
void skua__tls_setup_drop(struct skua__tls_setup *setup);

/* ---- contexts (tls_context.c) ---------------------------------------------------------------- */

#define SKUA__TLS_SESSIONS 64

struct skua__tls_session {
    SSL_SESSION *session; /* NULL: the place is free */
    char host[SKUA__TLS_HOST];
};

struct skua_tls_context {
    atomic_size_t refs; /* its owner's, and each connection's */
    skua_tls_role role; /* constant */
    BIO_METHOD *method; /* constant */
    pthread_mutex_t mutex;
    struct skua__tls_setup *setup;      /* guard: mutex */
    struct skua__tls_session *sessions; /* of a client: SKUA__TLS_SESSIONS; guard: mutex */
    size_t oldest;                      /* place that is taken next; guard: mutex */
};

/* Its setup as it is now; the caller drops it. */
struct skua__tls_setup *skua__tls_context_setup(skua_tls_context *context);
void skua__tls_context_drop(skua_tls_context *context);
/* OpenSSL has a session that may be resumed; 1: taken. */
int skua__tls_on_session(SSL *ssl, SSL_SESSION *session);
/* Offers the session that there is for the connection's host. */
void skua__tls_offer_session(struct skua_tls *tls);

/* ---- connections ----------------------------------------------------------------------------- */

struct skua__tls_buffer {
    char *bytes;
    size_t pos, len, room; /* bytes[pos .. len) are there */
};

struct skua_tls {
    skua_tls_context *context;     /* constant */
    struct skua__tls_setup *setup; /* constant */
    skua_io under;                 /* constant */
    char host[SKUA__TLS_HOST];     /* constant; "": none */

    pthread_mutex_t mutex;
    SSL *ssl;                    /* guard: mutex; constant itself */
    struct skua__tls_buffer in;  /* guard: mutex; while the reader fills it, it is empty */
    struct skua__tls_buffer out; /* guard: mutex */
    int error;                   /* the connection is over, with this; guard: mutex; 0: it is not */
    bool in_ended;               /* of the stream below; guard: mutex */
    bool left;                   /* something is in `sent`; guard: mutex */
    bool told_end;               /* close_notify has been sent; guard: mutex */
    bool no_memory;              /* the reason of what OpenSSL complains of; guard: mutex */
    bool reading, writing;       /* a task is at it; guard: mutex */

    skua_mutex sending;           /* held over waits */
    struct skua__tls_buffer sent; /* on its way; guard: sending */
    char *gather;                 /* of writev: a record's content; guard: writing */

    skua_tls_info info; /* constant behind the handshake; zero version: there was none */
    char alpn[256], name[SKUA__TLS_HOST], peer[256];
    char text[SKUA__TLS_TEXT]; /* guard: mutex */
};

/* tls_pipe.c */
BIO_METHOD *skua__tls_method(void);
/* Ties the connection's buffers to its SSL. 0, -ENOMEM. */
int skua__tls_pipe(struct skua_tls *tls);
void skua__tls_pipe_free(struct skua_tls *tls);
/* Reads from below what there is; only when `in` is empty. 0: more, or the end; or an error. */
int skua__tls_fill(struct skua_tls *tls, int64_t deadline);
/* Sends all that waits. The caller holds `sending`. 0 or an error. */
int skua__tls_send(struct skua_tls *tls, int64_t deadline);
/* The same for who does not hold it. */
int skua__tls_flush(struct skua_tls *tls, int64_t deadline);
/* Sends what the stream below takes at once; not when somebody is at it, who sends this, too. */
void skua__tls_flush_now(struct skua_tls *tls);
/* Unlocks `sending`; what came in between is sent. */
void skua__tls_unlock_sending(struct skua_tls *tls);

/* tls_shake.c. What a step of OpenSSL that failed means: WANT_READ or WANT_WRITE, 0: the other side
 * is done, or an error, which stays. Under the mutex, right behind the step. */
#define SKUA__TLS_WANT_READ 1
#define SKUA__TLS_WANT_WRITE 2
int skua__tls_failed(struct skua_tls *tls, int rc);

/* tls_stream.c */
extern const skua_io_ops skua__tls_ops;

#endif
