/* scraped.c - a page of metrics for Prometheus, with every kind of them, until it is told to stop.
 *
 *     scraped
 *
 * It says "address 127.0.0.1:PORT". The values are set before; what they are stands in the judge
 * (prometheus) once more.
 */
#include <stdio.h>

#include <skua/http/server.h>
#include <skua/metric.h>
#include <skua/otel/memory.h>
#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/runtime.h>
#include <skua/trace.h>

static const skua_meter meter = SKUA_METER("judge", "1");
static skua_tracer tracer = SKUA_TRACER("judge", "1");

static skua_counter orders = SKUA_COUNTER(&meter, "shop.orders", "{order}", "All \"or\\ders\"\n");
static skua_counter_f64 busy = SKUA_COUNTER_F64(&meter, "cpu.time", "s", "Busy");
static skua_updown active = SKUA_UPDOWN(&meter, "active", "By", "In use");
static skua_gauge_f64 load = SKUA_GAUGE_F64(&meter, "load", "1", "Load");
static skua_histogram took = SKUA_HISTOGRAM(&meter, "took", "s", "Time");
static skua_histogram sized = SKUA_HISTOGRAM(&meter, "sized", "By", "Size");

static void sets(void)
{
    skua_span_frame frame;
    skua_span *span;

    skua_counter_add(&orders, 3, SKUA_STR("http.route", "/\"a\\b\nc"), SKUA_BOOL("ok", 1));
    skua_counter_add(&orders, 5, SKUA_STR("http.route", "/caf\xc3\xa9"), SKUA_BOOL("ok", 0));
    skua_counter_add(&orders, INT64_C(1) << 40);
    skua_counter_f64_add(&busy, 0.1);
    skua_counter_f64_add(&busy, 1e-7, SKUA_I64("cpu", 1));
    skua_updown_add(&active, -5);
    skua_gauge_f64_set(&load, 0.75);
    skua_gauge_f64_set(&load, -1e300, SKUA_STR("host", "b"));
    skua_histogram_record(&took, 3);
    skua_histogram_record(&took, 20000);
    span = skua_span_start(&tracer, "request", NULL);
    if (skua_span_enter(&frame, span) == 0) {
        skua_histogram_record(&took, 7);
        skua_counter_add(&orders, 1, SKUA_STR("http.route", "/traced"));
        (void)skua_span_leave(&frame);
    }
    skua_span_end(span);
    skua_histogram_record(&sized, 0);
    skua_histogram_record(&sized, 1);
    skua_histogram_record(&sized, 3.5);
    skua_histogram_record(&sized, 1000);
}

static int starts(skua_otel_reader **reader, skua_otel_exporter **memory)
{
    static const skua_otel_view views[] = {{.size = sizeof(skua_otel_view),
                                            .instrument = "sized",
                                            .aggregation = {.kind = SKUA_OTEL_BASE2}}};
    static const skua_attr resource[] = {{.key = "service.name",
                                          .type = SKUA_ATTR_STR,
                                          .key_len = 12,
                                          .count = 4,
                                          .value = {.str = "shop"}}};
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES}; /* exemplars are of sampled spans */
    int rc = skua_otel_memory_new(memory);

    if (rc != 0)
        return rc;
    to.exporter = *memory;
    *reader = skua_otel_reader_new(NULL);
    return skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                             .environment_off = 1, .resource = resource,
                                             .resource_count = 1, .views = views, .views_count = 1,
                                             .readers = reader, .readers_count = 1,
                                             .self_metrics_off = 1));
}

static int scraped(void *arg)
{
    char address[SKUA_ADDRESS_MAX];
    skua_otel_prometheus page = {0};
    skua_otel_exporter *memory;
    skua_http_server *server;
    skua_listener *listener;
    int rc = starts(&page.reader, &memory);

    (void)arg;
    if (rc == 0)
        rc = skua_http_server_new(&server, skua_otel_prometheus_handler, &page, NULL);
    if (rc == 0)
        rc = skua_tcp_listen(&listener, "127.0.0.1:0", NULL);
    if (rc != 0)
        return rc;
    sets();
    (void)skua_listener_address(listener, address, sizeof address);
    printf("address %s\n", address);
    (void)fflush(stdout);
    rc = skua_http_server_run(server, listener);
    (void)skua_listener_close(listener);
    skua_http_server_free(server);
    (void)skua_shield_begin();
    (void)skua_otel_shutdown(skua_now() + SKUA_SECOND);
    (void)skua_shield_end();
    skua_otel_reader_free(page.reader);
    skua_otel_memory_free(memory);
    return rc;
}

int main(void)
{
    return skua_main(
        scraped, NULL,
        SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .stop_on = SKUA_SIGNALS_TERM));
}
