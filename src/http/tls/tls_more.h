/* tls_more.h - what libskua-http's own client wants of TLS beyond tls.h; it needs no OpenSSL.
 */
#ifndef SKUA_HTTP_TLS_MORE_H
#define SKUA_HTTP_TLS_MORE_H

#include <stdbool.h>

#include <skua/http/tls.h>

/* As skua_tls_connect, and offers these protocols, as they are on the wire: each with its length
 * before it. Unless `instead`, only where the context has no list of its own. */
int skua__tls_connect_for(skua_tls **ret, skua_tls_context *context, skua_io under,
                          const char *host, const char *protocols, bool instead, int64_t deadline);
/* Says close_notify, as far as the stream below takes it at once. */
void skua__tls_goodbye(skua_tls *tls);

#endif
