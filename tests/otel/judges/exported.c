/* exported.c - sends the sample batches to a collector.
 *
 *     exported PROTOCOL URL [gzip] [tame] [ca:FILE] [timeout:MS] [NAME=VALUE]...
 *
 * PROTOCOL is protobuf, json, grpc, or zipkin, for spans alone; ca:FILE is whom TLS trusts;
 * NAME=VALUE are headers.
 *
 * It says how each signal went, how many requests it took, and where its items are:
 * "traces 0 requests 2 exported 3 rejected 0 failed 0".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/otel/otlp.h>
#include <skua/otel/zipkin.h>
#include <skua/runtime.h>
#include <skua/task.h>
#include <skua/time.h>

#include "../sample.h"

/* The samples without what not every receiver of JSON knows: numbers that are none, which protobuf
 * has as text, and arrays without their field, as it has empty ones. */
static const skua_otel_batch *tame(int signal)
{
    static skua_attr attrs[sizeof sample_attrs / sizeof sample_attrs[0]];
    static skua_otel_span spans[3];
    static skua_otel_log logs[3];
    static skua_otel_batch batches[SKUA_OTEL_SIGNALS];
    uint32_t count = 0;

    memcpy(spans, sample_spans, sizeof spans);
    memcpy(logs, sample_logs, sizeof logs);
    memcpy(batches, sample_batches, sizeof batches);
    for (size_t i = 0; i < sizeof attrs / sizeof attrs[0]; i++)
        if (sample_attrs[i].type < SKUA_ATTR_LIST &&
            (sample_attrs[i].type != SKUA_ATTR_F64 || isfinite(sample_attrs[i].value.f64)))
            attrs[count++] = sample_attrs[i];
    spans[0].events_count = 1;
    logs[1].body = logs[0].body;
    spans[0].attrs.at = logs[0].attrs.at = attrs;
    spans[0].attrs.count = logs[0].attrs.count = count;
    batches[SKUA_OTEL_TRACES].items.spans = spans;
    batches[SKUA_OTEL_LOGS].items.logs = logs;
    return &batches[signal];
}

struct args {
    int argc;
    char **argv;
};

static int exported(void *arg)
{
    static const char *const protocols[] = {"protobuf", "json", "grpc"};
    static const char *const names[] = {"traces", "metrics", "logs"};
    struct args *args = arg;
    skua_http_field headers[8];
    skua_otlp_options options;
    skua_otel_exporter *exporter;
    skua_otlp_stats before, after;
    bool tamed = false, zipkin = strcmp(args->argv[1], "zipkin") == 0;

    skua_otlp_options_init(&options);
    options.endpoint = args->argv[2];
    options.insecure = 1;
    options.headers = headers;
    options.retry_initial = SKUA_MILLISECOND * 100;
    options.timeout = 5 * SKUA_SECOND;
    for (int i = 0; i < 3; i++)
        if (strcmp(args->argv[1], protocols[i]) == 0)
            options.protocol = (skua_otlp_protocol)i;
    for (int i = 3; i < args->argc; i++) {
        char *equals = strchr(args->argv[i], '=');

        tamed = tamed || strcmp(args->argv[i], "tame") == 0;
        if (strcmp(args->argv[i], "gzip") == 0)
            options.compression = SKUA_OTLP_GZIP;
        if (strncmp(args->argv[i], "ca:", 3) == 0)
            options.certificate = args->argv[i] + 3;
        if (strncmp(args->argv[i], "timeout:", 8) == 0)
            options.timeout = strtol(args->argv[i] + 8, NULL, 10) * SKUA_MILLISECOND;
        if (equals == NULL)
            continue;
        *equals = '\0';
        headers[options.headers_count++] = (skua_http_field){args->argv[i], equals + 1};
    }
    if (zipkin
            ? skua_otel_zipkin_new(
                  &exporter, SKUA_OTEL_ZIPKIN_OPTIONS(.endpoint = options.endpoint,
                                                      .gzip = options.compression == SKUA_OTLP_GZIP,
                                                      .headers = headers,
                                                      .headers_count = options.headers_count)) != 0
            : skua_otlp_exporter_new(&exporter, &options) != 0)
        return 2;
    for (int i = 0; i < (zipkin ? 1 : 3); i++) {
        int64_t rc;

        skua_otlp_stats_of(exporter, &before);
        rc = exporter->ops->export_batch(exporter, tamed ? tame(i) : &sample_batches[i],
                                         SKUA_FOREVER);
        skua_otlp_stats_of(exporter, &after);
#define SINCE(field) (unsigned long long)(after.field - before.field)
        printf("%s %lld requests %llu exported %llu rejected %llu failed %llu\n", names[i],
               (long long)rc, SINCE(requests), SINCE(exported[i]), SINCE(rejected[i]),
               SINCE(failed[i]));
#undef SINCE
        (void)fflush(stdout);
    }
    (void)exporter->ops->shutdown(exporter, SKUA_FOREVER);
    exporter->ops->free(exporter);
    return 0;
}

int main(int argc, char **argv)
{
    struct args args = {argc, argv};

    if (argc < 3)
        return 2;
    return skua_main(exported, &args,
                     SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .stack_size = 256 * 1024));
}
