/* tls_names.c - what clients ask for, and what they get: a certificate by name, a protocol.
 *
 * Certificates  of all that are for the name the first one of each kind of key (RSA, EC) is
 *               put into the handshake, and OpenSSL takes what the client can verify. When there
 *               is none for the name, or no name, the context's own stays.
 * Protocols     the first of ours that the client has, too (RFC 7301, 3.2).
 */
#include "http/tls/tls_impl.h"

/* ---- certificates ---------------------------------------------------------------------------- */

/* "*.example.org" is for one label in front, as in a certificate. */
static bool names_match(const char *pattern, size_t len, const char *name)
{
    if (len > 2 && pattern[0] == '*' && pattern[1] == '.') {
        const char *dot = strchr(name, '.');

        return dot != NULL && dot != name && strlen(dot) == len - 1 &&
               skua__http_same(dot, pattern + 1, len - 1);
    }
    return strlen(name) == len && skua__http_same(name, pattern, len);
}

bool skua__tls_entry_has(const struct skua__tls_entry *entry, const char *name)
{
    const char *at = entry->names;

    if (at == NULL)
        return X509_check_host(entry->certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                               NULL) == 1;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");

        if (names_match(at, len, name))
            return true;
        at += len + (at[len] == ',');
    }
    return false;
}

static int names_certificate(SSL *ssl, void *arg)
{
    const struct skua__tls_setup *setup = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    bool cleared = false;

    for (size_t i = 0; name != NULL && i < setup->count; i++) {
        const struct skua__tls_entry *entry = &setup->entries[i];

        if (!skua__tls_entry_has(entry, name))
            continue;
        if (!cleared)
            SSL_certs_clear(ssl);
        cleared = true;
        /* Fails where there is one of this kind already. */
        (void)SSL_use_cert_and_key(ssl, entry->certificate, entry->key, entry->chain, 0);
    }
    ERR_clear_error();
    return 1;
}

/* ---- protocols ------------------------------------------------------------------------------- */

int skua__tls_alpn(struct skua__tls_setup *setup, const char *list)
{
    size_t len = strlen(list);
    unsigned char *wire;
    const char *at = list;

    if (len == 0 || len > 1024)
        return -EINVAL;
    wire = skua__http_malloc(len + 1);
    if (wire == NULL)
        return -ENOMEM;
    setup->alpn = wire;
    setup->alpn_len = len + 1;
    for (;;) {
        size_t part = strcspn(at, ",");

        if (part == 0 || part > 255)
            return -EINVAL;
        *wire++ = (unsigned char)part;
        memcpy(wire, at, part);
        wire += part;
        if (at[part] == '\0')
            return 0;
        at += part + 1;
    }
}

static int names_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                          const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct skua__tls_setup *setup = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_len, setup->alpn, (unsigned)setup->alpn_len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

void skua__tls_choose(struct skua__tls_setup *setup)
{
    SSL_CTX_set_cert_cb(setup->ctx, names_certificate, setup);
    if (setup->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(setup->ctx, names_protocol, setup);
}
