/* tls_options.c - from options to what OpenSSL wants: certificates, keys, trust, versions.
 *
 * What is refused here is refused with a text, which is what a person who has mixed up two files
 * needs. A setup is constant once it is made: a reload makes another one.
 */
#include <stdio.h>

#include <openssl/pem.h>

#include "http/tls/tls_impl.h"

#define OPTIONS_CERTIFICATES 1000

/* ---- what went wrong ------------------------------------------------------------------------- */

/* The code; its text is ours, and what OpenSSL has to say. */
static int options_say(const skua_tls_context_options *options, int rc, const char *what)
{
    unsigned long error = ERR_peek_last_error();
    const char *why = error != 0 ? ERR_reason_error_string(error) : NULL;

    if (options->error_text != NULL && options->error_size != 0)
        (void)snprintf(options->error_text, options->error_size, "%s%s%s", what,
                       why != NULL ? ": " : "", why != NULL ? why : "");
    ERR_clear_error();
    return rc;
}

/* ---- PEM ------------------------------------------------------------------------------------- */

/* Text or a file. NULL: `rc` says why. */
static BIO *options_open(const char *pem, int *rc)
{
    FILE *file;
    BIO *bio;

    *rc = -ENOMEM;
    if (strstr(pem, "-----BEGIN") != NULL)
        return BIO_new_mem_buf(pem, -1);
    file = fopen(pem, "re");
    if (file == NULL) {
        *rc = -errno;
        return NULL;
    }
    bio = BIO_new_fp(file, BIO_CLOSE);
    if (bio == NULL)
        (void)fclose(file);
    return bio;
}

/* A key with a password is refused, rather than asked about on the terminal. */
static int options_no_password(char *buf, int size, int writes, void *arg)
{
    (void)buf;
    (void)size;
    (void)writes;
    (void)arg;
    return -1;
}

/* The end of the text, as opposed to something in it that is none. */
static bool options_at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

    if (end)
        ERR_clear_error();
    return end;
}

static int options_chain(struct skua__tls_entry *entry, BIO *bio)
{
    X509 *more;

    entry->certificate = PEM_read_bio_X509(bio, NULL, options_no_password, NULL);
    if (entry->certificate == NULL)
        return -EBADMSG;
    while ((more = PEM_read_bio_X509(bio, NULL, options_no_password, NULL)) != NULL) {
        if (entry->chain == NULL)
            entry->chain = sk_X509_new_null();
        if (entry->chain == NULL || sk_X509_push(entry->chain, more) == 0) {
            X509_free(more);
            return -ENOMEM;
        }
    }
    return options_at_end() ? 0 : -EBADMSG;
}

static int options_pair(struct skua__tls_entry *entry, const skua_tls_certificate *from,
                        const skua_tls_context_options *options)
{
    int rc;
    BIO *bio;

    if (from->chain == NULL || from->key == NULL)
        return options_say(options, -EINVAL, "a certificate without a key, or a key without one");
    bio = options_open(from->chain, &rc);
    if (bio != NULL)
        rc = options_chain(entry, bio);
    BIO_free(bio);
    if (rc != 0)
        return options_say(options, rc, "the certificate cannot be read");
    bio = options_open(from->key, &rc);
    if (bio != NULL) {
        entry->key = PEM_read_bio_PrivateKey(bio, NULL, options_no_password, NULL);
        rc = entry->key != NULL ? 0 : -EBADMSG;
    }
    BIO_free(bio);
    if (rc != 0)
        return options_say(options, rc, "the key cannot be read");
    if (X509_check_private_key(entry->certificate, entry->key) != 1)
        return options_say(options, -EBADMSG, "the key is not the certificate's");
    if (from->names != NULL) {
        size_t len = strlen(from->names) + 1;

        entry->names = skua__http_malloc(len);
        if (entry->names == NULL)
            return -ENOMEM;
        memcpy(entry->names, from->names, len);
    }
    return 0;
}

static int options_certificates(struct skua__tls_setup *setup,
                                const skua_tls_context_options *options)
{
    skua_tls_certificate first = {.chain = options->certificate, .key = options->key};
    bool own = first.chain != NULL || first.key != NULL;
    size_t count = options->certificates_count + own;
    struct skua__tls_entry *entry;
    int rc = 0;

    if (options->certificates_count > OPTIONS_CERTIFICATES ||
        (options->certificates_count != 0 && options->certificates == NULL))
        return -EINVAL;
    if (count == 0)
        return setup->role == SKUA_TLS_CLIENT
                   ? 0
                   : options_say(options, -EINVAL, "a server needs a certificate");
    setup->entries = skua__http_malloc(count * sizeof *setup->entries);
    if (setup->entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        setup->count++; /* also of one that is half made */
        rc = options_pair(&setup->entries[i],
                          own && i == 0 ? &first : &options->certificates[i - own], options);
    }
    if (rc != 0)
        return rc;
    entry = &setup->entries[0];
    if (SSL_CTX_use_cert_and_key(setup->ctx, entry->certificate, entry->key, entry->chain, 1) != 1)
        return options_say(options, -EINVAL, "the certificate cannot be used");
    return 0;
}

/* ---- trust ----------------------------------------------------------------------------------- */

static int options_ca(struct skua__tls_setup *setup, const skua_tls_context_options *options)
{
    X509_STORE *store = SSL_CTX_get_cert_store(setup->ctx);
    int rc, count = 0;
    BIO *bio;
    X509 *ca;

    bio = options_open(options->ca, &rc);
    if (bio == NULL)
        return options_say(options, rc, "the certificates to trust cannot be read");
    rc = 0;
    while (rc == 0 && (ca = PEM_read_bio_X509(bio, NULL, options_no_password, NULL)) != NULL) {
        if (X509_STORE_add_cert(store, ca) != 1 ||
            (setup->role == SKUA_TLS_SERVER && SSL_CTX_add_client_CA(setup->ctx, ca) != 1))
            rc = -ENOMEM;
        X509_free(ca);
        count++;
    }
    BIO_free(bio);
    if (rc == 0 && (!options_at_end() || count == 0))
        rc = -EBADMSG;
    return rc == 0 ? 0 : options_say(options, rc, "the certificates to trust cannot be read");
}

static int options_trust(struct skua__tls_setup *setup, const skua_tls_context_options *options)
{
    bool server = setup->role == SKUA_TLS_SERVER;
    skua_tls_verify verify = options->verify;
    int mode = SSL_VERIFY_NONE;

    if (verify == SKUA_TLS_VERIFY_DEFAULT)
        verify = server ? SKUA_TLS_VERIFY_NONE : SKUA_TLS_VERIFY_REQUIRED;
    if ((unsigned)verify > SKUA_TLS_VERIFY_REQUIRED ||
        (!server && verify == SKUA_TLS_VERIFY_OPTIONAL))
        return -EINVAL;
    setup->verifies = verify != SKUA_TLS_VERIFY_NONE;
    if (server && setup->verifies && options->ca == NULL)
        return options_say(options, -EINVAL, "a server that verifies must say whom it trusts");
    if (setup->verifies)
        mode = SSL_VERIFY_PEER;
    if (verify == SKUA_TLS_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(setup->ctx, mode, NULL);
    if (options->ca != NULL)
        return options_ca(setup, options);
    if (setup->verifies && SSL_CTX_set_default_verify_paths(setup->ctx) != 1)
        return options_say(options, -ENOENT, "the system's certificates cannot be read");
    ERR_clear_error();
    return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int options_version(int version)
{
    return version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

static int options_versions(SSL_CTX *ctx, const skua_tls_context_options *options)
{
    int low = options->version_min != 0 ? options->version_min : 12;
    int high = options->version_max != 0 ? options->version_max : 13;

    if (low < 12 || high > 13 || low > high)
        return -EINVAL;
    return SSL_CTX_set_min_proto_version(ctx, options_version(low)) == 1 &&
                   SSL_CTX_set_max_proto_version(ctx, options_version(high)) == 1
               ? 0
               : -EINVAL;
}

/* Of TLS 1.2 what is forward secret and authenticates what it encrypts (RFC 9325, 4.2): OpenSSL's
 * own list has key transport by RSA, which opens all that was recorded to whoever gets the key, and
 * CBC, which HTTP/2 forbids besides (RFC 9113, 9.2.2). All of TLS 1.3 are such. */
static int options_ciphers(SSL_CTX *ctx)
{
    return SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 ? 0 : -ENOMEM;
}

static void options_sessions(struct skua__tls_setup *setup)
{
    static const unsigned char ours[] = "skua";
    SSL_CTX *ctx = setup->ctx;

    (void)SSL_CTX_set_session_id_context(ctx, ours, sizeof ours - 1);
    if (!setup->resumes) {
        (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(ctx, 0);
    } else if (setup->role == SKUA_TLS_SERVER) {
        (void)SSL_CTX_sess_set_cache_size(ctx, 4096);
    } else {
        (void)SSL_CTX_set_session_cache_mode(ctx,
                                             SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, skua__tls_on_session);
    }
}

static int options_all(struct skua__tls_setup *setup, const skua_tls_context_options *options)
{
    SSL_CTX *ctx = setup->ctx;
    int rc;

    SSL_CTX_set_security_level(ctx, 2);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* The system's configuration may have set it: a cut would be an end. */
    (void)SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    setup->resumes = options->no_resumption == 0;
    options_sessions(setup);
    rc = options_versions(ctx, options);
    if (rc == 0)
        rc = options_ciphers(ctx);
    if (rc == 0)
        rc = options_trust(setup, options);
    if (rc == 0)
        rc = options_certificates(setup, options);
    if (rc == 0 && options->alpn != NULL)
        rc = skua__tls_alpn(setup, options->alpn);
    if (rc != 0)
        return rc;
    if (setup->role == SKUA_TLS_SERVER)
        skua__tls_choose(setup);
    else if (setup->alpn != NULL &&
             SSL_CTX_set_alpn_protos(ctx, setup->alpn, (unsigned)setup->alpn_len) != 0)
        return -ENOMEM;
    return 0;
}

void skua_tls_context_options_init(skua_tls_context_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua__tls_setup_new(struct skua__tls_setup **ret, skua_tls_role role,
                        const skua_tls_context_options *given)
{
    skua_tls_context_options options;
    struct skua__tls_setup *setup;
    int rc;

    skua_tls_context_options_init(&options);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        options = *given;
    if (options.error_text != NULL && options.error_size != 0)
        options.error_text[0] = '\0';
    setup = skua__http_malloc(sizeof *setup);
    if (setup == NULL)
        return -ENOMEM;
    ERR_clear_error();
    atomic_init(&setup->refs, 1);
    setup->role = role;
    setup->ctx = SSL_CTX_new(role == SKUA_TLS_SERVER ? TLS_server_method() : TLS_client_method());
    rc = setup->ctx != NULL ? options_all(setup, &options) : -ENOMEM;
    ERR_clear_error();
    if (rc != 0)
        skua__tls_setup_drop(setup);
    else
        *ret = setup;
    return rc;
}

void skua__tls_setup_drop(struct skua__tls_setup *setup)
{
    /* Acquire: the last one sees what all others have done with it. */
    if (setup == NULL || atomic_fetch_sub_explicit(&setup->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(setup->ctx);
    for (size_t i = 0; i < setup->count; i++) {
        X509_free(setup->entries[i].certificate);
        EVP_PKEY_free(setup->entries[i].key);
        sk_X509_pop_free(setup->entries[i].chain, X509_free);
        skua__http_free(setup->entries[i].names);
    }
    skua__http_free(setup->entries);
    skua__http_free(setup->alpn);
    skua__http_free(setup);
}

#undef OPTIONS_CERTIFICATES
