/* tls_none.c - in the place of all other files here, where there is no OpenSSL: the same functions,
 * which say so. Programs link, and find out when they want a context.
 */
#include <errno.h>
#include <string.h>

#include "http/tls/tls_more.h"

void skua_tls_context_options_init(skua_tls_context_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_tls_context_new(skua_tls_context **ret, skua_tls_role role,
                         const skua_tls_context_options *options)
{
    (void)ret;
    (void)role;
    (void)options;
    return -ENOSYS;
}

int skua_tls_context_reload(skua_tls_context *context, const skua_tls_context_options *options)
{
    (void)context;
    (void)options;
    return -ENOSYS;
}

void skua_tls_context_free(skua_tls_context *context)
{
    (void)context;
}

int skua_tls_accept(skua_tls **ret, skua_tls_context *context, skua_io under, int64_t deadline)
{
    (void)context;
    (void)under;
    (void)deadline;
    *ret = NULL;
    return -ENOSYS;
}

int skua_tls_connect(skua_tls **ret, skua_tls_context *context, skua_io under, const char *host,
                     int64_t deadline)
{
    (void)host;
    return skua_tls_accept(ret, context, under, deadline);
}

int skua__tls_connect_for(skua_tls **ret, skua_tls_context *context, skua_io under,
                          const char *host, const char *protocols, bool instead, int64_t deadline)
{
    (void)host;
    (void)protocols;
    (void)instead;
    return skua_tls_accept(ret, context, under, deadline);
}

void skua__tls_goodbye(skua_tls *tls)
{
    (void)tls;
}

skua_io skua_tls_io(skua_tls *tls)
{
    return (skua_io){NULL, tls};
}

int skua_tls_info_of(const skua_tls *tls, skua_tls_info *ret)
{
    (void)tls;
    (void)ret;
    return SKUA_EUSAGE;
}

const char *skua_tls_error_text(const skua_tls *tls)
{
    (void)tls;
    return "";
}

void skua_tls_close(skua_tls *tls)
{
    (void)tls;
}
