/* test_otlp_export_world.c - the exporter elsewhere: several batches at a time, one connection for
 * all signals, behind a queue on disk, in the child of a fork, without memory, over a proxy.
 *
 * Specifies otlp.h, "Fork" and .concurrency.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/otel/disk_queue.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "export.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static int notes_path(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, 1 << 20);

    (void)snprintf(state, 256, "%s %s %s", skua_http_method(exchange), skua_http_path(exchange),
                   skua_http_header(exchange, "Content-Type"));
    return rc != 0 ? rc : skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

TEST_FIBER_CLOCK(otlp_signals_over_one_connection)
{
    skua_otel_exporter *exporter;
    skua_otlp_stats stats;
    struct site site;
    char path[256];

    site_begin(&site, notes_path, path, SKUA_HTTP_SERVER_OPTIONS(.connections_max = 1));
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = site.url));
    CHECK_EQ(exports(exporter, batch_of_points()), 0);
    CHECK_TEXT(path, "POST /v1/metrics application/x-protobuf");
    CHECK_EQ(exports(exporter, batch_of_logs()), 0);
    CHECK_TEXT(path, "POST /v1/logs application/x-protobuf");
    CHECK_EQ(exports(exporter, batch_of_spans()), 0);
    CHECK_TEXT(path, "POST /v1/traces application/x-protobuf");
    stats = stats_of(exporter);
    CHECK_EQ(stats.exported[SKUA_OTEL_METRICS], 2); /* points, not metrics */
    CHECK_EQ(stats.exported[SKUA_OTEL_LOGS], 1);
    CHECK_EQ(stats.batches, 3);
    exporter_ends(exporter);
    site_end(&site);
    return 0;
}

/* Behind a queue on disk: what a collector that is away does not take is there later. */
TEST_FIBER_CLOCK(otlp_behind_a_disk_queue)
{
    static const struct act acts[] = {{"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                      {OK_EMPTY, STAYS},
                                      {OK_EMPTY, LEAVES}};
    char folder[] = "/tmp/skua-otlp-XXXXXX", path[64];
    skua_otel_exporter *exporter, *queue;
    skua_otel_disk_stats stats;
    struct peer peer;

    MUST(mkdtemp(folder) != NULL);
    peer_begin(&peer, acts, TEST_LEN(acts));
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = peer.url, .attempts = 1));
    MUST(skua_otel_disk_queue_new(&queue, exporter, SKUA_OTEL_DISK_OPTIONS(.path = folder)) == 0);
    CHECK_EQ(exports(queue, batch_of_spans()), 0);
    CHECK_EQ(exports(queue, batch_of_spans()), 0);
    skua_otel_disk_stats_of(queue, &stats);
    CHECK_EQ(stats.queued, 2 * BATCH_SPANS);
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    skua_otel_disk_stats_of(queue, &stats);
    CHECK_EQ(stats.sent, 2 * BATCH_SPANS);
    CHECK_EQ(stats.queued, 0);
    exporter_ends(queue);
    peer_end(&peer);
    (void)snprintf(path, sizeof path, "%s/lock", folder);
    CHECK_EQ(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/0000000000000001", folder);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
    return 0;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static int answers_late(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, 1 << 20);

    (void)state;
    if (rc == 0)
        rc = skua_sleep(SKUA_SECOND);
    return rc != 0 ? rc : skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

/* Four at a time take as long as one. */
TEST_FIBER_CLOCK(otlp_concurrent)
{
    struct site site;
    skua_otel_exporter *exporter;
    int64_t begin;
    skua_scope scope;

    site_begin(&site, answers_late, NULL, NULL);
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = site.url, .concurrency = 4));
    CHECK_EQ(exporter->ops->concurrency, 4);
    begin = skua_now();
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, exports_one, exporter) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_RANGE(skua_now() - begin, SKUA_SECOND, SKUA_SECOND + MS(100));
    CHECK_EQ(stats_of(exporter).exported[0], 4 * BATCH_SPANS);
    exporter_ends(exporter);
    site_end(&site);
    return 0;
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

struct site_thread {
    atomic_int port; /* of who asked last */
    atomic_int stop;
    char url[SKUA_ADDRESS_MAX + 16];
    atomic_int ready;
};

static int notes_peer(skua_http_exchange *exchange, void *state)
{
    char path[256];

    atomic_store((atomic_int *)state, test_port(skua_http_peer(exchange)));
    return notes_path(exchange, path);
}

static int serves(void *arg)
{
    struct site_thread *self = arg;
    struct site site;

    site_begin(&site, notes_peer, &self->port, NULL);
    memcpy(self->url, site.url, sizeof self->url);
    atomic_store(&self->ready, 1);
    while (atomic_load(&self->stop) == 0)
        (void)skua_sleep(MS(5));
    site_end(&site);
    return 0;
}

static void *site_of_a_thread(void *arg)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, serves, arg);
    test_runtime_free(runtime);
    return NULL;
}

/* Bug of others: the child of a fork hangs, or uses the parent's connections (table 6, 6). */
TEST(otlp_fork)
{
    static struct site_thread site;
    skua_otel_exporter *exporter;
    pthread_t thread;
    int status = -1, first;
    pid_t child;

    MUST(pthread_create(&thread, NULL, site_of_a_thread, &site) == 0);
    while (atomic_load(&site.ready) == 0)
        (void)usleep(1000);
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = site.url));
    CHECK_EQ(exports(exporter, batch_of_spans()), 0); /* on a plain thread */
    first = atomic_load(&site.port);
    child = fork();
    if (child == 0) {
        int64_t rc = exports(exporter, batch_of_spans());

        exporter->ops->free(exporter);
        _exit(rc == 0 ? 0 : 1);
    }
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK(atomic_load(&site.port) != first); /* another connection */
    CHECK_EQ(exports(exporter, batch_of_spans()), 0);
    CHECK_EQ(atomic_load(&site.port), first); /* which is still the parent's own */
    CHECK_EQ(stats_of(exporter).exported[0], 2 * BATCH_SPANS);
    exporter_ends(exporter);
    atomic_store(&site.stop, 1);
    (void)pthread_join(thread, NULL);
}

#ifdef SKUA_FAULTS
/* Without memory at any point: no exporter, or the batch is given up and counted; no leaks. */
TEST_FIBER_CLOCK(otlp_without_memory)
{
    static const skua_http_field headers[] = {{"a", "b"}};
    skua_otel_exporter *exporter = NULL;

    for (unsigned i = 1; exporter == NULL; i++) {
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        rc = skua_otlp_exporter_new(
            &exporter, SKUA_OTLP_OPTIONS(.endpoint = "http://127.0.0.1:1", .headers = headers,
                                         .headers_count = 1, .unix_path = "/nowhere",
                                         .compression = SKUA_OTLP_GZIP, .attempts = 1));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || (rc == -ENOMEM && exporter == NULL));
    }
    for (unsigned i = 1; i < 6; i++) {
        int64_t rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        rc = exports(exporter, batch_of_spans());
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == -ENOMEM || rc == -EHOSTUNREACH);
        CHECK_EQ(stats_of(exporter).failed[0], i * BATCH_SPANS);
    }
    exporter_ends(exporter);
    return 0;
}
#endif

/* ---- over a proxy ---------------------------------------------------------------------------- */

/* By OTEL_* and http_proxy: a collector elsewhere is reached over the proxy. */
TEST_FIBER_CURRENT(otlp_over_the_proxy_of_the_environment)
{
    static const struct act acts[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    static const char *const all[] = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TIMEOUT",
                                      "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "http_proxy"};
    static skua_tracer tracer = SKUA_TRACER("proxied", "1");
    skua_otel_destination_counts counts;
    struct peer peer;

    peer_begin(&peer, acts, 1);
    (void)setenv(all[0], "http://collector.invalid:4318", 1);
    (void)setenv(all[1], "2000", 1);
    (void)setenv(all[2], "none", 1);
    (void)setenv(all[3], "none", 1);
    (void)setenv(all[4], peer.url, 1);
    MUST(skua_otel_start(NULL) == 0);
    skua_span_end(skua_span_start(&tracer, "far", NULL));
    CHECK_EQ(skua_otel_shutdown(skua_now() + TEST_LATE), 0);
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.exported, 1);
    peer_end(&peer);
    CHECK(strncmp(peer.heard, "POST http://collector.invalid:4318/v1/traces HTTP", 48) == 0);
    for (size_t i = 0; i < TEST_LEN(all); i++)
        (void)unsetenv(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(otlp_signals_over_one_connection),
        cmocka_unit_test(otlp_behind_a_disk_queue),
        cmocka_unit_test(otlp_concurrent),
        cmocka_unit_test(otlp_fork),
#ifdef SKUA_FAULTS
        cmocka_unit_test(otlp_without_memory),
        cmocka_unit_test(otlp_over_the_proxy_of_the_environment),
#endif
    };

    return TEST_MAIN(tests);
}
