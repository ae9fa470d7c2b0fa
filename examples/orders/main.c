/* main.c - orders: a service as one puts it into production, in a few small files.
 *
 * Try it:   ./dev demo
 *           orders &  curl -i localhost:8080/health
 *           curl -i localhost:8080/orders -H 'Content-Type: application/json' \
 *                -d '{"user": 1, "items": [{"sku": "tea", "quantity": 2, "price": 350}]}'
 *
 * Read it in this order:
 *
 *   main.c            start and stop
 *   config.c          the environment, checked
 *   api.c             routes, handlers, and what stands around them
 *   order_json.c      orders as JSON: checked where they come in
 *   store.h           where they are kept, whatever keeps them
 *   store_sqlite.c    ... in SQLite, on threads that may block
 *   batch.c           what many want written, written together
 *   store_postgres.c  ... in PostgreSQL, pipelined over a few connections (adapters/skua_pg.h)
 *   telemetry.c       where spans, metrics and log records go; the access log
 *   sql.c             spans and durations of statements
 *   load.c            a program of its own: many clients, and what they saw
 *
 * The environment (a name with ORDERS_ that is not listed here is an error, too):
 *
 *   ORDERS_LISTEN          where to listen: ADDRESS:PORT, unix:PATH (127.0.0.1:8080)
 *   DATABASE_URL           postgresql://USER@HOST/DATABASE; not set: SQLite
 *   ORDERS_DB              SQLite's file (":memory:": gone with the process)
 *   ORDERS_DB_CONNECTIONS  to the database, 1 to 64 (4)
 *   ORDERS_TLS_CERT, _KEY  files in PEM: then it speaks TLS. SIGHUP reads them again
 *   ORDERS_LOG             json, common or off: of each request a log record, lines of standard
 *                          error in JSON, or as Apache writes it (json)
 *   ORDERS_MAX_CLIENTS     connections at a time; others wait to be accepted (10000)
 *   ORDERS_MAX_RUNNING     requests at a time (256) ...
 *   ORDERS_MAX_WAITING     ... and so many more in line; others get 503 (1024)
 *   ORDERS_MAX_BODY        bytes of a request, 64 to 1048576 (65536)
 *   ORDERS_TIMEOUT_MS      of a request (5000)
 *   ORDERS_DRAIN_MS        of an orderly stop (8000)
 *   OTEL_...               as OpenTelemetry has them (skua/otel/sdk.h). Nothing is sent unless one
 *                          of these says where to: OTEL_EXPORTER_OTLP_ENDPOINT (a URL: then all
 *                          is), OTEL_EXPORTER_OTLP_{TRACES,METRICS,LOGS}_ENDPOINT,
 *                          OTEL_CONFIG_FILE, OTEL_{TRACES,METRICS,LOGS}_EXPORTER; "console"
 *                          is standard error. Metrics are on /metrics in any case, and log records
 *                          on standard error unless they are sent
 *
 * Stop       SIGTERM or Ctrl-C: no new connections, requests under way get their answers, the
 *            database is closed, status 0. A second signal ends the process at once.
 * Status     0; 1: it could not start; 2: the environment is wrong.
 */
#include <errno.h>
#include <skua/http/server.h>
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "config.h"
#include "store.h"
#include "telemetry.h"

struct service {
    struct config config;
    struct store *store;
    struct api api;
    skua_tls_context *tls; /* NULL: none */
    skua_http_server *server;
    skua_listener *listener;
};

/* ---- TLS ------------------------------------------------------------------------------------- */

/* Reads the certificate, the first time or again. 0, or it was told why not. */
static int tls_load(struct service *self)
{
    char why[256] = "";
    const skua_tls_context_options *options =
        SKUA_TLS_CONTEXT_OPTIONS(.certificate = self->config.tls_cert, .key = self->config.tls_key,
                                 .error_text = why, .error_size = sizeof why);
    int rc = self->tls == NULL ? skua_tls_context_new(&self->tls, SKUA_TLS_SERVER, options)
                               : skua_tls_context_reload(self->tls, options);

    if (rc != 0)
        skua_logf(&orders_log, SKUA_ERROR, "certificate: %s%s%s", skua_strerror(rc),
                  *why ? ": " : "", why);
    return rc;
}

static int tls_load_job(void *arg)
{
    return tls_load(arg);
}

/* A task: on each SIGHUP the certificate is read again, on a thread that may block. One that is
 * wrong is told, and the old one stays. Without TLS there is nothing to read. */
static int reloads(void *arg)
{
    const struct service *self = arg;
    skua_signals *signals;
    int rc = skua_signals_open(&signals, SKUA_SIGNALS(SIGHUP));

    if (rc != 0)
        return rc;
    while ((rc = skua_signals_next(signals)) > 0)
        if (self->tls != NULL && skua_blocking(tls_load_job, arg) == 0)
            skua_log_info(&orders_log, "certificate reloaded");
    skua_signals_close(signals);
    return 0;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static int listen_on(struct service *self)
{
    const char *where = self->config.listen;
    char address[SKUA_ADDRESS_MAX];
    int rc =
        strncmp(where, "unix:", 5) == 0
            ? skua_unix_listen(&self->listener, where + 5, SKUA_UNIX_OPTIONS(.unlink_stale = 1))
            : skua_tcp_listen(&self->listener, where, NULL);

    if (rc != 0) {
        fprintf(stderr, "orders: cannot listen on %s: %s\n", where, skua_strerror(rc));
        return rc;
    }
    if (strncmp(where, "unix:", 5) != 0 &&
        skua_listener_address(self->listener, address, sizeof address) == 0)
        where = address; /* of port 0 this is the one that was chosen */
    printf("ready on %s%s (store %s)\n",
           strncmp(where, "unix:", 5) == 0 ? ""
           : self->tls != NULL             ? "https://"
                                           : "http://",
           where, self->store->name);
    (void)fflush(stdout);
    return 0;
}

/* Serves until it is cancelled, and then drains. */
static int serve(struct service *self)
{
    const struct config *config = &self->config;
    skua_scope scope;
    int rc = skua_http_server_new(
        &self->server, skua_http_chain_handler, &self->api.chain,
        SKUA_HTTP_SERVER_OPTIONS(.connections_max = (size_t)config->clients,
                                 .body_max = config->body_bytes, .tls = self->tls,
                                 .on_stop = skua_http_health_drain, .stop_arg = self->api.health,
                                 .drain_timeout = config->drain_ms * SKUA_MILLISECOND));

    if (rc != 0)
        return rc;
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, reloads, self);
    if (rc == 0)
        rc = listen_on(self);
    if (rc == 0) {
        (void)skua_http_health_set(self->api.health, SKUA_HTTP_READY);
        rc = skua_http_server_run(self->server, self->listener);
        (void)skua_listener_close(self->listener);
        if (strncmp(config->listen, "unix:", 5) == 0)
            (void)unlink(config->listen + 5);
    }
    (void)skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    skua_http_server_free(self->server);
    return rc;
}

/* The first fiber: makes everything from the bottom up, and ends it from the top down. */
static int run(void *arg)
{
    struct service *self = arg;
    const struct config *config = &self->config;
    unsigned connections = (unsigned)config->db_connections;
    int rc = config->tls_cert != NULL ? tls_load(self) : 0;

    if (rc == 0) {
        rc = config->database_url != NULL
                 ? store_open_postgres(&self->store, config->database_url, connections)
                 : store_open_sqlite(&self->store, config->db, connections);
        if (rc == 0) {
            rc = api_init(&self->api, config, self->store);
            if (rc == 0) {
                rc = serve(self);
                api_done(&self->api);
            }
            self->store->close(self->store);
        }
    }
    skua_tls_context_free(self->tls);
    return rc;
}

int main(void)
{
    static struct service service;
    int64_t drain;
    int rc;

    if (!config_read(&service.config) || !telemetry_start(&service.config))
        return 2;
    drain = service.config.drain_ms * SKUA_MILLISECOND;
    rc = skua_main(run, &service,
                   SKUA_RUNTIME_OPTIONS(.name = "orders", .stop_on = SKUA_SIGNALS_TERM,
                                        .stop_timeout = drain + 2 * SKUA_SECOND));
    telemetry_stop();
    if (rc == 0)
        puts("stopped");
    return rc;
}
