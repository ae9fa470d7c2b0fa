/* send_client.c - the HTTP client of an exporter: of each process its own.
 */
#include <strings.h>
#include <unistd.h>

#include "otel/send/send_impl.h"

/* Whether the environment's proxies are asked: not for this machine itself, which no_proxy seldom
 * names, and where most collectors are; nor over gRPC, whose HTTP/2 they do not speak. */
static bool client_proxied(const struct skua__send *self)
{
    static const char *const own[] = {"localhost", "127.", "[::1]"};

    if (self->protocol == SKUA_OTLP_GRPC || self->unix_path != NULL)
        return false;
    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++)
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++)
            if (strncasecmp(strstr(self->urls[i], "//") + 2, own[j], strlen(own[j])) == 0)
                return false;
    return true;
}

static int client_make(struct skua__send *self, skua_http_client **ret)
{
    bool grpc = self->protocol == SKUA_OTLP_GRPC;

    return skua_http_client_new(
        ret,
        SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = self->concurrency,
                                 .connections_max = (size_t)self->concurrency * SKUA_OTEL_SIGNALS,
                                 .redirects_max = -1, .connect_timeout = SKUA_FOREVER,
                                 .head_timeout = SKUA_FOREVER, .read_timeout = SKUA_FOREVER,
                                 .write_timeout = SKUA_FOREVER,
                                 .user_agent =
                                     self->zipkin ? SKUA__SEND_ZIPKIN_AGENT : SKUA__SEND_AGENT,
                                 .tls = self->tls, .http2 = grpc ? SKUA_HTTP2_ONLY : SKUA_HTTP2_OFF,

                                 .proxy_from_env = client_proxied(self)));
}

/* The process' own; the first two that come at once both make one. */
int skua__send_client_of(struct skua__send *self, skua_http_client **ret)
{
    struct skua__send_client *now = atomic_load_explicit(&self->client, memory_order_acquire),
                             *made;
    pid_t process = getpid();
    int rc;

    if (now != NULL && now->process == process) {
        *ret = now->client;
        return 0;
    }
    made = skua__otel_malloc(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->process = process;
    made->older = now;
    rc = client_make(self, &made->client);
    if (rc == 0 && !atomic_compare_exchange_strong_explicit(
                       &self->client, &now, made, memory_order_acq_rel, memory_order_acquire)) {
        (void)skua_http_client_free(made->client);
        rc = now->process == process ? 0 : -EAGAIN;
        *ret = now->client;
        skua__otel_free(made);
        return rc;
    }
    if (rc != 0)
        skua__otel_free(made);
    else
        *ret = made->client;
    return rc;
}
