/* certs.h - certificates for tests, made on the spot: an authority, and whom it signs.
 *
 *     const struct cert *ca = cert_make(&(struct cert_of){.cn = "test authority", .ca = true});
 *     const struct cert *a = cert_make(&(struct cert_of){.issuer = ca, .san = "DNS:a.test"});
 *
 * They live until the process ends, as PEM text, which is what contexts take.
 */
#ifndef SKUA_TESTS_CERTS_H
#define SKUA_TESTS_CERTS_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "../lib/harness.h"

struct cert {
    X509 *x509;
    EVP_PKEY *pkey;
    char chain[4096];
    char key[1024];
};

struct cert_of {
    const struct cert *issuer; /* NULL: itself */
    const char *cn, *san;
    bool ca;
    bool expired;
};

static inline void cert_text(char *text, size_t size, BIO *bio)
{
    int len = BIO_read(bio, text, (int)size - 1);

    MUST(len > 0);
    text[len] = '\0';
    BIO_free(bio);
}

static inline void cert_extension(struct cert *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert->x509, cert->x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MUST(extension != NULL && X509_add_ext(cert->x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline const struct cert *cert_make(const struct cert_of *of)
{
    static struct cert all[32];
    static int count;
    struct cert *cert = &all[count++];
    const struct cert *issuer = of->issuer != NULL ? of->issuer : cert;
    X509_NAME *name;
    BIO *bio;

    MUST(count <= 32);
    cert->pkey = EVP_EC_gen("P-256");
    cert->x509 = X509_new();
    MUST(cert->pkey != NULL && cert->x509 != NULL);
    MUST(X509_set_version(cert->x509, 2) == 1);
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(cert->x509), count) == 1);
    X509_gmtime_adj(X509_getm_notBefore(cert->x509), -2 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert->x509), of->expired ? -86400 : 86400);
    MUST(X509_set_pubkey(cert->x509, cert->pkey) == 1);
    name = X509_get_subject_name(cert->x509);
    MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)(of->cn != NULL ? of->cn : "nobody"), -1,
                                    -1, 0) == 1);
    MUST(X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer->x509)) == 1);
    cert_extension(cert, NID_basic_constraints, of->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (of->san != NULL)
        cert_extension(cert, NID_subject_alt_name, of->san);
    MUST(X509_sign(cert->x509, issuer->pkey, EVP_sha256()) > 0);
    bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_X509(bio, cert->x509) == 1);
    cert_text(cert->chain, sizeof cert->chain, bio);
    bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_PrivateKey(bio, cert->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    cert_text(cert->key, sizeof cert->key, bio);
    return cert;
}

/* ---- the ones that tests share --------------------------------------------------------------- */

/* a.test is signed by ca, as all that are not named otherwise. */
struct certs {
    const struct cert *ca, *other_ca;
    const struct cert *a, *b, *address, *expired, *self, *client, *stranger;
};

static inline const struct certs *certs(void)
{
    static struct certs all;

    if (all.ca != NULL)
        return &all;
    all.other_ca = cert_make(&(struct cert_of){.cn = "other authority", .ca = true});
    all.self = cert_make(&(struct cert_of){.cn = "self", .san = "DNS:a.test"});
    all.stranger = cert_make(&(struct cert_of){.issuer = all.other_ca, .cn = "stranger"});
    all.ca = cert_make(&(struct cert_of){.cn = "test authority", .ca = true});
    all.a = cert_make(&(struct cert_of){.issuer = all.ca, .cn = "a", .san = "DNS:a.test"});
    all.b =
        cert_make(&(struct cert_of){.issuer = all.ca, .cn = "b", .san = "DNS:b.test,DNS:*.b.test"});
    all.address =
        cert_make(&(struct cert_of){.issuer = all.ca, .cn = "c", .san = "IP:127.0.0.1,IP:::1"});
    all.expired = cert_make(
        &(struct cert_of){.issuer = all.ca, .cn = "a", .san = "DNS:a.test", .expired = true});
    all.client = cert_make(&(struct cert_of){.issuer = all.ca, .cn = "client"});
    return &all;
}

#endif
