/* tls_context.c - what connections share, and how it is swapped under them.
 *
 * A connection takes the setup that the context has when its handshake begins, and keeps it. A
 * reload puts another one in its place, and throws away a client's sessions: they were made with
 * what was trusted before.
 *
 * Sessions   a client keeps the newest one of each host, for SKUA__TLS_SESSIONS hosts. One of
 *            TLS 1.3 is used once (RFC 8446, C.4): who resumes with it gets new ones. What a host's
 *            session stands for, the host's certificate, was verified with that host's name, so it
 *            is offered for that name alone. What is kept is a copy of its own: OpenSSL goes on
 *            reading a connection's session when it makes the next one of it, and a session that
 *            two connections hold would be read by one thread while another one frees it.
 */
#include "http/tls/tls_impl.h"

int skua_tls_context_new(skua_tls_context **ret, skua_tls_role role,
                         const skua_tls_context_options *options)
{
    skua_tls_context *context;
    int rc = -ENOMEM;

    if (role != SKUA_TLS_CLIENT && role != SKUA_TLS_SERVER)
        return -EINVAL;
    context = skua__http_malloc(sizeof *context);
    if (context == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&context->mutex, NULL);
    atomic_init(&context->refs, 1);
    context->role = role;
    context->method = skua__tls_method();
    if (role == SKUA_TLS_CLIENT)
        context->sessions = skua__http_malloc(SKUA__TLS_SESSIONS * sizeof *context->sessions);
    if (context->method != NULL && (role == SKUA_TLS_SERVER || context->sessions != NULL))
        rc = skua__tls_setup_new(&context->setup, role, options);
    if (rc != 0)
        skua__tls_context_drop(context);
    else
        *ret = context;
    return rc;
}

/* Under the mutex. */
static void context_forget(skua_tls_context *context)
{
    for (size_t i = 0; context->sessions != NULL && i < SKUA__TLS_SESSIONS; i++) {
        SSL_SESSION_free(context->sessions[i].session);
        context->sessions[i].session = NULL;
    }
}

int skua_tls_context_reload(skua_tls_context *context, const skua_tls_context_options *options)
{
    struct skua__tls_setup *setup, *old;
    int rc = skua__tls_setup_new(&setup, context->role, options);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&context->mutex);
    old = context->setup;
    context->setup = setup;
    context_forget(context);
    pthread_mutex_unlock(&context->mutex);
    skua__tls_setup_drop(old);
    return 0;
}

void skua__tls_context_drop(skua_tls_context *context)
{
    if (atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    context_forget(context);
    skua__tls_setup_drop(context->setup);
    skua__http_free(context->sessions);
    BIO_meth_free(context->method);
    (void)pthread_mutex_destroy(&context->mutex);
    skua__http_free(context);
}

void skua_tls_context_free(skua_tls_context *context)
{
    if (context != NULL)
        skua__tls_context_drop(context);
}

struct skua__tls_setup *skua__tls_context_setup(skua_tls_context *context)
{
    struct skua__tls_setup *setup;

    pthread_mutex_lock(&context->mutex);
    setup = context->setup;
    atomic_fetch_add_explicit(&setup->refs, 1, memory_order_relaxed); /* the context has one */
    pthread_mutex_unlock(&context->mutex);
    return setup;
}

/* ---- sessions of a client -------------------------------------------------------------------- */

/* The host's place, or NULL. Under the mutex. */
static struct skua__tls_session *context_session(skua_tls_context *context, const char *host)
{
    for (size_t i = 0; i < SKUA__TLS_SESSIONS; i++)
        if (context->sessions[i].session != NULL && strcmp(context->sessions[i].host, host) == 0)
            return &context->sessions[i];
    return NULL;
}

int skua__tls_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct skua_tls *tls = SSL_get_app_data(ssl);
    skua_tls_context *context = tls->context;
    struct skua__tls_session *place;
    SSL_SESSION *copy;

    if (tls->host[0] == '\0' || (copy = SSL_SESSION_dup(session)) == NULL)
        return 0; /* no memory: the next connection is a full handshake */
    pthread_mutex_lock(&context->mutex);
    if (tls->setup == context->setup) {
        place = context_session(context, tls->host);
        if (place == NULL) {
            place = &context->sessions[context->oldest];
            context->oldest = (context->oldest + 1) % SKUA__TLS_SESSIONS;
        }
        SSL_SESSION_free(place->session);
        place->session = copy;
        memcpy(place->host, tls->host, sizeof place->host);
        copy = NULL;
    }
    pthread_mutex_unlock(&context->mutex);
    SSL_SESSION_free(copy);
    return 0; /* the caller keeps its own */
}

void skua__tls_offer_session(struct skua_tls *tls)
{
    skua_tls_context *context = tls->context;
    struct skua__tls_session *place;
    SSL_SESSION *session = NULL;

    if (tls->host[0] == '\0' || !tls->setup->resumes)
        return;
    pthread_mutex_lock(&context->mutex);
    place = tls->setup == context->setup ? context_session(context, tls->host) : NULL;
    if (place != NULL) {
        session = place->session;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            place->session = NULL;
        else
            session = SSL_SESSION_dup(session); /* NULL: no memory; a full handshake */
    }
    pthread_mutex_unlock(&context->mutex);
    if (session != NULL)
        (void)SSL_set_session(tls->ssl, session); /* else it is a full handshake */
    SSL_SESSION_free(session);
    ERR_clear_error();
}
