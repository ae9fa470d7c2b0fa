/* tls_shake.c - a connection from its handshake to its end.
 *
 * A handshake has one task, so it takes a step, sends what the step has said, reads what the next
 * one needs, and so on, all until one deadline. When it fails the other side is told why, as far as
 * the stream below takes an alert at once.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "http/tls/tls_impl.h"
#include "http/tls/tls_more.h"

/* ---- failures -------------------------------------------------------------------------------- */

static int shake_code(const struct skua_tls *tls, unsigned long error)
{
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;

    if (tls->no_memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return -ENOMEM;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
        reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return SKUA__TLS_REJECTED;
    if (tls->in_ended && (error == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING))
        return SKUA_EEOF;
    return -EPROTO;
}

static void shake_text(struct skua_tls *tls, unsigned long error)
{
    const char *why = error != 0 ? ERR_reason_error_string(error) : NULL;
    long verified = SSL_get_verify_result(tls->ssl);
    const char *more = "";

    if (tls->error == SKUA_EEOF)
        why = "the other side has ended the stream, and not said so";
    if (tls->error == -ENOMEM)
        why = "out of memory";
    if (tls->error == SKUA__TLS_REJECTED && verified != X509_V_OK)
        more = X509_verify_cert_error_string(verified);
    (void)snprintf(tls->text, sizeof tls->text, "%s%s%s", why != NULL ? why : "protocol error",
                   more[0] != '\0' ? ": " : "", more);
}

int skua__tls_failed(struct skua_tls *tls, int rc)
{
    int why = SSL_get_error(tls->ssl, rc);
    unsigned long error = ERR_peek_error();

    if (why == SSL_ERROR_WANT_READ)
        return SKUA__TLS_WANT_READ;
    if (why == SSL_ERROR_WANT_WRITE)
        return SKUA__TLS_WANT_WRITE;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    tls->error = shake_code(tls, error);
    shake_text(tls, error);
    ERR_clear_error();
    return tls->error;
}

/* ---- information ----------------------------------------------------------------------------- */

static void shake_peer(struct skua_tls *tls)
{
    X509 *peer = SSL_get0_peer_certificate(tls->ssl);
    BIO *bio = peer != NULL ? BIO_new(BIO_s_mem()) : NULL;
    int len = 0;

    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(peer), 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_read(bio, tls->peer, (int)sizeof tls->peer - 1);
    tls->peer[len > 0 ? len : 0] = '\0';
    BIO_free(bio);
    tls->info.verified =
        peer != NULL && tls->setup->verifies && SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

static void shake_info(struct skua_tls *tls)
{
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *alpn;
    unsigned len;

    SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
    if (len < sizeof tls->alpn && len != 0)
        memcpy(tls->alpn, alpn, len);
    if (name != NULL)
        (void)snprintf(tls->name, sizeof tls->name, "%s", name);
    shake_peer(tls);
    tls->info.cipher = SSL_get_cipher_name(tls->ssl);
    tls->info.alpn = tls->alpn;
    tls->info.host = tls->name;
    tls->info.peer = tls->peer;
    tls->info.resumed = SSL_session_reused(tls->ssl) != 0;
    tls->info.version = SSL_version(tls->ssl) >= TLS1_3_VERSION ? 13 : 12;
    ERR_clear_error();
}

int skua_tls_info_of(const skua_tls *tls, skua_tls_info *ret)
{
    if (tls->info.version == 0)
        return SKUA_EUSAGE;
    *ret = tls->info;
    return 0;
}

const char *skua_tls_error_text(const skua_tls *tls)
{
    return tls != NULL ? tls->text : "";
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* One step: 0: done; what it wants, or an error. */
static int shake_step(struct skua_tls *tls)
{
    int rc;

    pthread_mutex_lock(&tls->mutex);
    ERR_clear_error();
    rc = SSL_do_handshake(tls->ssl);
    if (rc == 1) {
        rc = 0;
    } else {
        rc = skua__tls_failed(tls, rc);
        if (rc == 0)
            rc = tls->error = SKUA_EEOF;
    }
    pthread_mutex_unlock(&tls->mutex);
    return rc;
}

/* Behind its last step a server of TLS 1.3 has tickets to send, which the client reads when it
 * likes: they are not waited for. */
static bool shake_only_tickets(const struct skua_tls *tls)
{
    return SSL_is_server(tls->ssl) && SSL_version(tls->ssl) >= TLS1_3_VERSION;
}

static int shake(struct skua_tls *tls, int64_t deadline)
{
    int rc;

    do {
        int wants = shake_step(tls);

        if (wants < 0) {
            skua__tls_flush_now(tls);
            return wants;
        }
        if (wants == 0 && shake_only_tickets(tls)) {
            skua__tls_flush_now(tls);
            rc = 0;
        } else {
            rc = skua__tls_flush(tls, deadline);
        }
        if (rc == 0 && wants == 0) {
            shake_info(tls);
            return 0;
        }
        if (rc == 0 && wants == SKUA__TLS_WANT_READ)
            rc = skua__tls_fill(tls, deadline);
    } while (rc == 0);
    (void)snprintf(tls->text, sizeof tls->text, "%s, in the handshake", skua_strerror(rc));
    return rc;
}

/* ---- connections ----------------------------------------------------------------------------- */

static int shake_new(struct skua_tls **ret, skua_tls_context *context, skua_io under)
{
    struct skua_tls *tls = skua__http_malloc(sizeof *tls);
    int rc;

    if (tls == NULL)
        return -ENOMEM;
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed); /* the caller has one */
    tls->context = context;
    tls->setup = skua__tls_context_setup(context);
    tls->under = under;
    tls->sending = (skua_mutex)SKUA_MUTEX_INIT;
    (void)pthread_mutex_init(&tls->mutex, NULL);
    tls->ssl = SSL_new(tls->setup->ctx);
    rc = tls->ssl != NULL ? skua__tls_pipe(tls) : -ENOMEM;
    if (rc != 0) {
        ERR_clear_error();
        skua_tls_close(tls);
        return rc;
    }
    (void)SSL_set_app_data(tls->ssl, tls);
    *ret = tls;
    return 0;
}

/* Letters, digits, '-', '_' and dots between them; a dot in front would stand for any name. */
static bool shake_is_name(const char *host)
{
    size_t len = strlen(host);

    return len != 0 && len < SKUA__TLS_HOST && host[0] != '.' && strstr(host, "..") == NULL &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static bool shake_is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whose certificate it has to be. */
static int shake_host(struct skua_tls *tls, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    size_t len = strlen(host);

    memcpy(tls->host, host, len + 1);
    if (shake_is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -ENOMEM;
    if (tls->host[len - 1] == '.') /* the root is not said, neither here nor there */
        tls->host[len - 1] = '\0';
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, tls->host, 0) == 1 &&
                   SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1
               ? 0
               : -ENOMEM;
}

int skua_tls_accept(skua_tls **ret, skua_tls_context *context, skua_io under, int64_t deadline)
{
    int rc;

    *ret = NULL;
    if (context->role != SKUA_TLS_SERVER)
        return -EINVAL;
    rc = shake_new(ret, context, under);
    if (rc != 0)
        return rc;
    SSL_set_accept_state((*ret)->ssl);
    return shake(*ret, deadline);
}

/* 0 or -ENOMEM. */
static int shake_protocols(struct skua_tls *tls, const char *protocols, bool instead)
{
    if (protocols == NULL || (tls->setup->alpn != NULL && !instead))
        return 0;
    return SSL_set_alpn_protos(tls->ssl, (const unsigned char *)protocols,
                               (unsigned)strlen(protocols)) == 0
               ? 0
               : -ENOMEM;
}

int skua__tls_connect_for(skua_tls **ret, skua_tls_context *context, skua_io under,
                          const char *host, const char *protocols, bool instead, int64_t deadline)
{
    struct skua_tls *tls;
    int rc;

    *ret = NULL;
    if (context->role != SKUA_TLS_CLIENT ||
        (host != NULL && !shake_is_name(host) && !shake_is_address(host)))
        return -EINVAL;
    rc = shake_new(ret, context, under);
    if (rc != 0)
        return rc;
    tls = *ret;
    if (host == NULL && tls->setup->verifies)
        return -EINVAL;
    rc = host != NULL ? shake_host(tls, host) : 0;
    if (rc == 0)
        rc = shake_protocols(tls, protocols, instead);
    if (rc != 0)
        return rc;
    SSL_set_connect_state(tls->ssl);
    skua__tls_offer_session(tls);
    return shake(tls, deadline);
}

int skua_tls_connect(skua_tls **ret, skua_tls_context *context, skua_io under, const char *host,
                     int64_t deadline)
{
    return skua__tls_connect_for(ret, context, under, host, NULL, false, deadline);
}

void skua_tls_close(skua_tls *tls)
{
    if (tls == NULL)
        return;
    /* Without having said the end, OpenSSL would take the session for spoiled, as old versions of
     * TLS did: RFC 5246 (7.2.1) does not. */
    if (tls->ssl != NULL && tls->error == 0)
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    skua__tls_pipe_free(tls);
    skua__http_free(tls->gather);
    (void)pthread_mutex_destroy(&tls->mutex);
    skua__tls_setup_drop(tls->setup);
    skua__tls_context_drop(tls->context);
    skua__http_free(tls);
}
