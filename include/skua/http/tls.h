/* tls.h - TLS 1.2 and 1.3: a stream of bytes that is secret, over one that is not.
 *
 *     skua_tls_context_new(&context, SKUA_TLS_CLIENT, NULL);     -- once
 *
 *     skua_tls *tls;
 *     int rc = skua_tls_connect(&tls, context, skua_tcp_io(tcp), "example.org", deadline);
 *
 *     if (rc != 0)
 *         fprintf(stderr, "%s: %s\n", skua_strerror(rc), skua_tls_error_text(tls));
 *     else
 *         use(skua_tls_io(tls));           -- read, write, shutdown
 *     skua_tls_close(tls);                 -- also when it failed
 *     skua_tcp_close(tcp);
 *
 * A context holds what many connections share: certificates, whom to trust, what is spoken. A
 * connection takes the stream below as its own until it is closed, and closes nothing.
 *
 * Safety     a client verifies the server's certificate and that it is the certificate of the host
 *            that was asked for (RFC 9525); an end without close_notify is told as SKUA_EEOF, not
 *            as an end: somebody may have cut the stream. No renegotiation, no compression, no
 *            early data (0-RTT). OpenSSL's security level 2; of TLS 1.2 only ciphers that are
 *            forward secret and authenticate (ECDHE with AES-GCM or ChaCha20-Poly1305).
 * Errors     -EPROTO: what came is not TLS, the two have nothing in common, or the other side has
 *            sent an alert; -EKEYREJECTED (-EACCES on systems that have no such code): the other
 *            side's certificate is missing, not to be trusted, expired, or another host's.
 *            skua_tls_error_text says more.
 * Tasks      one reader and one writer at a time, as of a TCP socket; they may be two tasks.
 * Stack      OpenSSL needs more of it than most: fibers with SKUA_STACK_LARGE.
 * Memory     a connection is some 50 KiB, of which OpenSSL has about half.
 * Kernel     no kTLS: records are made and opened in the program, over any stream; a file that is
 *            sent over TLS is read into memory first.
 * Source     RFC 8446, 5246, 7301 (ALPN), 6066 (SNI), 9325 (recommendations); OpenSSL 3.
 *
 * A library that was built without OpenSSL has all of these functions; they say -ENOSYS.
 */
#ifndef SKUA_HTTP_TLS_H
#define SKUA_HTTP_TLS_H

#include <skua/io.h>

SKUA_C_BEGIN

/* ---- contexts -------------------------------------------------------------------------------- */

typedef struct skua_tls_context skua_tls_context;

typedef enum skua_tls_role { SKUA_TLS_CLIENT = 1, SKUA_TLS_SERVER = 2 } skua_tls_role;

typedef enum skua_tls_verify {
    SKUA_TLS_VERIFY_DEFAULT,  /* a client's is REQUIRED, a server's is NONE */
    SKUA_TLS_VERIFY_NONE,     /* anybody: a client that does this talks to whoever answers */
    SKUA_TLS_VERIFY_OPTIONAL, /* servers only: without a certificate, or with a good one */
    SKUA_TLS_VERIFY_REQUIRED  /* with a good one alone; of a server: mutual TLS */
} skua_tls_verify;

/* What an end shows. Text in PEM, which has "-----BEGIN" in it, or the path of a file with it. */
typedef struct skua_tls_certificate {
    const char *chain; /* its own certificate first, then those that it was signed with */
    const char *key;   /* the private key, not encrypted */
    const char *names; /* for clients that ask for one of these: "example.org,*.example.net";
                          NULL: the names that the certificate itself has */
} skua_tls_certificate;

/* Zero, or NULL for all of them, means the default. Everything is copied. */
typedef struct skua_tls_context_options {
    size_t size;             /* of this struct; SKUA_TLS_CONTEXT_OPTIONS sets it */
    const char *certificate; /* chain and key of a context that has one: as in the struct above */
    const char *key;
    const skua_tls_certificate *certificates; /* more, of a server: by the name that is asked for
                                                 (SNI), the one above when none has it */
    size_t certificates_count;                /* of these; at most 1,000 */
    const char *ca;         /* whom to trust: PEM text or a file; default: the system's store, a
                                   server that verifies must say it */
    skua_tls_verify verify; /* the other side's certificate */
    int version_min;        /* 12 or 13; default 12 */
    int version_max;        /* 12 or 13; default 13 */
    const char *alpn;       /* protocols, the preferred first: "h2,http/1.1"; default: none. A
                                   server that has a list refuses clients that offer only others */
    unsigned no_resumption; /* 1: each handshake is a full one. Default 0: sessions are resumed,
                                   by tickets (and a server's cache); a client keeps one a host */
    char *error_text;       /* receives why it failed, cut to fit; NULL: not wanted */
    size_t error_size;      /* bytes of it */
} skua_tls_context_options;

#define SKUA_TLS_CONTEXT_OPTIONS(...)                                                              \
    (&(skua_tls_context_options){.size = sizeof(skua_tls_context_options), __VA_ARGS__})

/* For languages without the macro: all defaults.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_tls_context_options_init(skua_tls_context_options *options);

/* Makes a context. Files are read now, which blocks: at the beginning of a program, or on a thread
 * of blocking.h.
 *
 * ret        receives it, to be ended by skua_tls_context_free; untouched on failure
 * role       which side of its connections
 * options    NULL: all defaults; a server needs a certificate
 * Returns    0; -EINVAL; -ENOENT, -EACCES …: a file; -EBADMSG: no PEM, or no such thing in it, or a
 *            key of another certificate; -ENOMEM; -ENOSYS: built without TLS
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_tls_context_new(skua_tls_context **ret, skua_tls_role role,
                                                 const skua_tls_context_options *options);

/* Takes new options, as of certificates that were renewed: handshakes that begin from now on go by
 * them, connections that are open by what they began with. Sessions from before are not resumed.
 *
 * options    all of them, not only what is new
 * Returns    as skua_tls_context_new; on failure everything is as it was
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_tls_context_reload(skua_tls_context *context,
                                                    const skua_tls_context_options *options);

/* Lets go of a context. Connections that it has are not disturbed.
 *
 * context    gone afterwards; NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_tls_context_free(skua_tls_context *context);

/* ---- connections ----------------------------------------------------------------------------- */

typedef struct skua_tls skua_tls;

/* The server's side of a handshake.
 *
 * ret        receives the connection, to be ended by skua_tls_close, also when the handshake fails:
 *            then it is good for skua_tls_error_text alone. NULL: it was not even made
 * context    a server's
 * under      the caller's, who closes it after skua_tls_close
 * deadline   monotonic ns; SKUA_FOREVER
 * Returns    0; -EPROTO, -EKEYREJECTED (see above); SKUA_EEOF: the other side has gone; -EINVAL:
 *            a client's context; -ENOMEM; -ECANCELED, -ETIMEDOUT; what `under` says
 * Threads    fibers, plain threads
 * Cancel     not safe: the connection is over
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_tls_accept(skua_tls **ret, skua_tls_context *context,
                                            skua_io under, int64_t deadline);

/* The client's side of a handshake.
 *
 * ret, context, under, deadline  as for skua_tls_accept; a client's context
 * host       whom to talk to: a name, which is also sent to the server (SNI), or an address of IPv4
 *            or IPv6. Copied. NULL only where the context verifies nothing: it is not sent
 * Returns    as skua_tls_accept; -EINVAL: no host, or one that is none
 * Threads    fibers, plain threads
 * Cancel     not safe: the connection is over
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_tls_connect(skua_tls **ret, skua_tls_context *context,
                                             skua_io under, const char *host, int64_t deadline);

/* A connection as a stream of bytes, with read, write, writev and shutdown (close_notify, and then
 * the same of the stream below: no more will be written, reading goes on).
 *
 * Reading    0: the other side has said that it is done; SKUA_EEOF: the stream ended without that;
 *            -EPROTO: what came was not what was sent; -EBUSY: another task reads
 * Writing    returns as soon as the stream below has the bytes. When it has taken only a part, and
 *            then the task is cancelled or its time is up, they count as written: the rest goes out
 *            before the next write or shutdown, or with a read, if it is taken at once.
 *            -EBUSY: another task writes
 * Cancel     safe, both: nothing was read or written, and it goes on later
 * Returns    a value that is good as long as the connection
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_io skua_tls_io(skua_tls *tls);

/* What was agreed on; all strings live as long as the connection. */
typedef struct skua_tls_info {
    int version;        /* 12 or 13 */
    const char *cipher; /* "TLS_AES_256_GCM_SHA384" */
    const char *alpn;   /* "h2"; "" when there is none */
    const char *host;   /* the name that the client asked for; "" when there is none */
    const char *peer;  /* the subject of the other side's certificate (RFC 2253); "": it has none */
    unsigned verified; /* 1: the other side has a certificate, and it is good */
    unsigned resumed;  /* 1: an earlier session goes on */
} skua_tls_info;

/* What was agreed on in the handshake.
 *
 * ret        receives it
 * Returns    0; SKUA_EUSAGE: the handshake failed
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_tls_info_of(const skua_tls *tls, skua_tls_info *ret);

/* Why the connection failed, in words for a log: "certificate verify failed: certificate has
 * expired".
 *
 * tls        NULL does not have any
 * Returns    never NULL; "" when it has not failed; as long as the connection
 * Threads    that of the call that failed
 * Since      0.3
 */
SKUA_API const char *skua_tls_error_text(const skua_tls *tls);

/* Frees a connection that nobody uses any more. It sends nothing, and does not touch the stream
 * below: for the other side that is a cut, unless skua_io_shutdown came before.
 *
 * tls        gone afterwards; NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_tls_close(skua_tls *tls);

SKUA_C_END

#endif
