/* test_otel_env.c - OTEL_* variables: every default, and what odd values do.
 *
 * Specifies config_impl.h, skua__config_from_env, by one table: a row sets variables, and says what
 * the configuration is then, and whether somebody is told.
 */
#include <stdarg.h>

#include "otel/config/config_impl.h"

#include "../lib/harness.h"

/* ---- an environment -------------------------------------------------------------------------- */

struct world {
    const char *const *vars; /* "NAME=value" … NULL */
    int warnings;
    char last[256];
};

static const char *world_get(void *arg, const char *name)
{
    const struct world *self = arg;
    size_t len = strlen(name);

    for (const char *const *var = self->vars; *var != NULL; var++)
        if (strncmp(*var, name, len) == 0 && (*var)[len] == '=')
            return *var + len + 1;
    return NULL;
}

static void world_warn(void *arg, const char *text)
{
    struct world *self = arg;

    self->warnings++;
    snprintf(self->last, sizeof self->last, "%s", text);
}

/* ---- a configuration in words ---------------------------------------------------------------- */

static char words[8192];

static void say(const char *format, ...)
{
    size_t len = strlen(words);
    va_list args;

    va_start(args, format);
    vsnprintf(words + len, sizeof words - len, format, args);
    va_end(args);
}

static void say_sampler(const struct skua__config_sampler *self)
{
    static const char *const kinds[] = {"parent",      "on",     "off",       "ratio",
                                        "probability", "record", "composite", "jaeger"};

    if (self == NULL) {
        say("default");
        return;
    }
    say("%s", kinds[self->kind]);
    if (self->kind == SKUA__SAMPLER_RATIO)
        say("(%g)", self->ratio);
    if (self->kind == SKUA__SAMPLER_JAEGER)
        say("(%s %lld %g)", self->endpoint, (long long)(self->interval / 1000000), self->ratio);
    if (self->kind == SKUA__SAMPLER_PARENT_BASED) {
        say("(");
        say_sampler(self->root);
        say(")");
    }
}

static void say_exporter(const char *signal, size_t i, const struct skua__config_exporter *self)
{
    static const char *const kinds[] = {"otlp", "file", "console", "zipkin", "prometheus"};
    static const char *const protocols[] = {"http/protobuf", "http/json", "grpc"};

    say("%s.%zu=%s;\n", signal, i, kinds[self->kind]);
    if (self->kind == SKUA__EXPORTER_PROMETHEUS)
        say("%s.at=%s:%d;\n", signal, self->host, self->port);
    if (self->kind == SKUA__EXPORTER_ZIPKIN)
        say("%s.zipkin=%s;\n", signal, self->endpoint);
    say("%s.timeout=%lld;\n", signal, (long long)(self->timeout / 1000000));
    if (self->kind != SKUA__EXPORTER_OTLP)
        return;
    say("%s.protocol=%s;\n%s.endpoint=%s;\n%s.insecure=%d;\n%s.gzip=%d;\n", signal,
        protocols[self->protocol], signal, self->endpoint, signal, self->insecure, signal,
        self->gzip);
    say("%s.files=%s,%s,%s;\n%s.max=%lld,%lld;\n", signal, self->ca_file, self->key_file,
        self->cert_file, signal, (long long)self->max_request, (long long)self->max_response);
    say("%s.headers=", signal);
    for (size_t j = 0; j < self->headers_count; j++)
        say("%s:%s ", self->headers[j].name, self->headers[j].value);
    say(";\n%s.metric=%d,%d;\n", signal, self->temporality, self->exponential);
}

static void say_processors(const char *signal, const struct skua__config_processor *at,
                           size_t count)
{
    say("%s=%zu;\n", signal, count);
    for (size_t i = 0; i < count; i++) {
        say("%s.batch=%lld,%lld,%u,%u;\n", signal, (long long)(at[i].schedule_delay / 1000000),
            (long long)(at[i].export_timeout / 1000000), at[i].max_queue, at[i].max_batch);
        say_exporter(signal, i, &at[i].exporter);
    }
}

static void say_limits(const char *signal, const struct skua__config_limits *self)
{
    say("%s.limits=%d,%u,%u,%u,%u,%u,%u;\n", signal, (int)self->value_len, self->value_depth,
        self->attrs, self->events, self->links, self->event_attrs, self->link_attrs);
}

static void say_config(const skua_otel_config *self)
{
    words[0] = '\0';
    say("disabled=%d;\nlevel=%d;\npropagators=%s;\nexemplars=%d;\noperations=%d;\nresource=",
        self->disabled, self->log_level, self->propagators, self->exemplars, self->operations);
    for (size_t i = 0; i < self->resource.attrs_count; i++)
        say("%s=%s ", self->resource.attrs[i].key, self->resource.attrs[i].value.str);
    say(";\nsampler=");
    say_sampler(self->sampler);
    say(";\n");
    say_limits("spans", &self->span_limits);
    say_limits("logs", &self->log_limits);
    say_processors("spans", self->spans, self->spans_count);
    say_processors("logs", self->logs, self->logs_count);
    say("metrics=%zu;\n", self->readers_count);
    for (size_t i = 0; i < self->readers_count; i++) {
        say("metrics.every=%lld,%lld;\nmetrics.pull=%d;\n",
            (long long)(self->readers[i].interval / 1000000),
            (long long)(self->readers[i].timeout / 1000000), self->readers[i].pull);
        say_exporter("metrics", i, &self->readers[i].exporter);
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

#define ALL "OTEL_EXPORTER_OTLP_"
#define LONG_NAME "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="

static const struct {
    const char *vars[4];
    const char *want; /* a line */
    int warnings;
} rows[] = {
    /* general */
    {{NULL}, "disabled=0", 0},
    {{"OTEL_SDK_DISABLED=true"}, "disabled=1", 0},
    {{"OTEL_SDK_DISABLED=TRUE"}, "disabled=1", 0},
    {{"OTEL_SDK_DISABLED=false"}, "disabled=0", 0},
    {{"OTEL_SDK_DISABLED=1"}, "disabled=0", 1},
    {{"OTEL_SDK_DISABLED=yes"}, "disabled=0", 1},
    {{"OTEL_SDK_DISABLED="}, "disabled=0", 0},
    {{NULL}, "level=9", 0},
    {{"OTEL_LOG_LEVEL=debug"}, "level=5", 0},
    {{"OTEL_LOG_LEVEL=ERROR"}, "level=17", 0},
    {{"OTEL_LOG_LEVEL=warn2"}, "level=14", 0},
    {{"OTEL_LOG_LEVEL=none"}, "level=25", 0},
    {{"OTEL_LOG_LEVEL=loud"}, "level=9", 1},
    {{NULL}, "propagators=tracecontext,baggage", 0},
    {{"OTEL_PROPAGATORS=b3,jaeger"}, "propagators=b3,jaeger", 0},
    {{"OTEL_PROPAGATORS=none"}, "propagators=none", 0},
    {{"OTEL_PROPAGATORS=b3, xray"}, "propagators=b3, xray", 1},
    /* resource */
    {{NULL}, "resource=", 0},
    {{"OTEL_RESOURCE_ATTRIBUTES=a=b, c = d%2Ce ,"}, "resource=a=b c=d,e ", 0},
    {{"OTEL_RESOURCE_ATTRIBUTES=a=1,a=2"}, "resource=a=2 ", 0},
    {{"OTEL_RESOURCE_ATTRIBUTES=a="}, "resource=a= ", 0},
    {{"OTEL_RESOURCE_ATTRIBUTES=a"}, "resource=", 1},
    {{"OTEL_RESOURCE_ATTRIBUTES==a"}, "resource=", 1},
    {{"OTEL_RESOURCE_ATTRIBUTES=b=c,a=%zz"}, "resource=", 1},
    {{"OTEL_RESOURCE_ATTRIBUTES=a=%2"}, "resource=", 1},
    {{"OTEL_RESOURCE_ATTRIBUTES=a=%00"}, "resource=", 1},
    {{"OTEL_SERVICE_NAME=shop"}, "resource=service.name=shop ", 0},
    {{"OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.name=x,a=b"},
     "resource=a=b service.name=shop ",
     0},
    {{"OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=service.name=x"},
     "resource=service.name=x ",
     0},
    /* samplers */
    {{NULL}, "sampler=parent(default)", 0},
    {{"OTEL_TRACES_SAMPLER=parentbased_always_on"}, "sampler=parent(default)", 0},
    {{"OTEL_TRACES_SAMPLER=always_on"}, "sampler=on", 0},
    {{"OTEL_TRACES_SAMPLER=always_off"}, "sampler=off", 0},
    {{"OTEL_TRACES_SAMPLER=parentbased_always_off"}, "sampler=parent(off)", 0},
    {{"OTEL_TRACES_SAMPLER=traceidratio"}, "sampler=ratio(1)", 0},
    {{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25"},
     "sampler=ratio(0.25)",
     0},
    {{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=1e-3"},
     "sampler=parent(ratio(0.001))",
     0},
    {{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=1.5"}, "sampler=ratio(1)", 1},
    {{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=-0.5"}, "sampler=ratio(1)", 1},
    {{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=nan"}, "sampler=ratio(1)", 1},
    {{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0,5"}, "sampler=ratio(1)", 1},
    {{"OTEL_TRACES_SAMPLER=jaeger_remote"}, "sampler=jaeger(http://localhost:5778 60000 0.001)", 0},
    {{"OTEL_TRACES_SAMPLER=parentbased_jaeger_remote",
      "OTEL_TRACES_SAMPLER_ARG=endpoint=http://j:1,pollingIntervalMs=5,initialSamplingRate=0.25"},
     "sampler=parent(jaeger(http://j:1 5 0.25))",
     0},
    {{"OTEL_TRACES_SAMPLER=jaeger_remote",
      "OTEL_TRACES_SAMPLER_ARG=pollingIntervalMs=0,initialSamplingRate=2,endpoint=http://j"},
     "sampler=jaeger(http://j 60000 0.001)",
     2},
    {{"OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_TRACES_SAMPLER_ARG=0.5"},
     "sampler=jaeger(http://localhost:5778 60000 0.001)",
     1},
    {{"OTEL_TRACES_SAMPLER=?"}, "sampler=parent(default)", 1},
    /* batches */
    {{NULL}, "spans.batch=5000,30000,2048,512", 0},
    {{NULL}, "logs.batch=1000,30000,2048,512", 0},
    {{"OTEL_BSP_SCHEDULE_DELAY=10"}, "spans.batch=10,30000,2048,512", 0},
    {{"OTEL_BSP_SCHEDULE_DELAY=0"}, "spans.batch=0,30000,2048,512", 0},
    {{"OTEL_BSP_SCHEDULE_DELAY=-1"}, "spans.batch=5000,30000,2048,512", 1},
    {{"OTEL_BSP_SCHEDULE_DELAY=1s"}, "spans.batch=5000,30000,2048,512", 1},
    {{"OTEL_BSP_SCHEDULE_DELAY= 10 "}, "spans.batch=10,30000,2048,512", 0},
    {{"OTEL_BSP_SCHEDULE_DELAY=99999999999999999999"}, "spans.batch=5000,30000,2048,512", 1},
    {{"OTEL_BSP_EXPORT_TIMEOUT=10"}, "spans.batch=5000,10,2048,512", 0},
    {{"OTEL_BSP_MAX_QUEUE_SIZE=4096"}, "spans.batch=5000,30000,4096,512", 0},
    {{"OTEL_BSP_MAX_QUEUE_SIZE=100"}, "spans.batch=5000,30000,100,100", 0},
    {{"OTEL_BSP_MAX_QUEUE_SIZE=0"}, "spans.batch=5000,30000,2048,512", 1},
    {{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10"}, "spans.batch=5000,30000,2048,10", 0},
    {{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=3000"}, "spans.batch=5000,30000,2048,2048", 1},
    {{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=3.5"}, "spans.batch=5000,30000,2048,512", 1},
    {{"OTEL_BLRP_SCHEDULE_DELAY=7", "OTEL_BLRP_EXPORT_TIMEOUT=8", "OTEL_BLRP_MAX_QUEUE_SIZE=9",
      "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=6"},
     "logs.batch=7,8,9,6",
     0},
    {{"OTEL_BLRP_SCHEDULE_DELAY=7"}, "spans.batch=5000,30000,2048,512", 0},
    /* limits: length, depth, attributes, events, links, those of events, of links */
    {{NULL}, "spans.limits=-1,64,128,128,128,128,128", 0},
    {{NULL}, "logs.limits=-1,64,128,128,128,128,128", 0},
    {{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=5", "OTEL_ATTRIBUTE_COUNT_LIMIT=0"},
     "spans.limits=5,64,0,128,128,128,128",
     0},
    {{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=5", "OTEL_ATTRIBUTE_COUNT_LIMIT=0"},
     "logs.limits=5,64,0,128,128,128,128",
     0},
    {{"OTEL_ATTRIBUTE_COUNT_LIMIT=7", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=8"},
     "spans.limits=-1,64,8,128,128,128,128",
     0},
    {{"OTEL_ATTRIBUTE_COUNT_LIMIT=7", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=8"},
     "logs.limits=-1,64,7,128,128,128,128",
     0},
    {{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=3", "OTEL_SPAN_EVENT_COUNT_LIMIT=4",
      "OTEL_SPAN_LINK_COUNT_LIMIT=5"},
     "spans.limits=3,64,128,4,5,128,128",
     0},
    {{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT=4", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT=5"},
     "spans.limits=-1,64,128,128,128,4,5",
     0},
    {{"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT=3", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT=4"},
     "logs.limits=3,64,4,128,128,128,128",
     0},
    {{"OTEL_SPAN_LINK_COUNT_LIMIT=-5"}, "spans.limits=-1,64,128,128,128,128,128", 1},
    /* our own */
    {{NULL}, "operations=0", 0},
    {{"SKUA_OTEL_OPERATIONS=off"}, "operations=1", 0},
    {{"SKUA_OTEL_OPERATIONS=Metrics"}, "operations=2", 0},
    {{"SKUA_OTEL_OPERATIONS=all"}, "operations=3", 0},
    {{"SKUA_OTEL_OPERATIONS=yes"}, "operations=0", 1},
    /* which exporters */
    {{NULL}, "spans.0=otlp", 0},
    {{NULL}, "logs.0=otlp", 0},
    {{NULL}, "metrics.0=otlp", 0},
    {{"OTEL_TRACES_EXPORTER=none"}, "spans=0", 0},
    {{"OTEL_METRICS_EXPORTER=none"}, "metrics=0", 0},
    {{"OTEL_LOGS_EXPORTER=none"}, "logs=0", 0},
    {{"OTEL_TRACES_EXPORTER=otlp,console"}, "spans.1=console", 0},
    {{"OTEL_TRACES_EXPORTER=otlp,otlp"}, "spans=1", 0},
    {{"OTEL_TRACES_EXPORTER=otlp,none"}, "spans=0", 1},
    {{"OTEL_TRACES_EXPORTER=otlp/stdout"}, "spans.0=file", 0},
    {{"OTEL_TRACES_EXPORTER=what"}, "spans.0=otlp", 1},
    {{"OTEL_TRACES_EXPORTER=what,console"}, "spans.0=console", 1},
    {{"OTEL_TRACES_EXPORTER=zipkin"}, "spans.zipkin=http://localhost:9411/api/v2/spans", 0},
    {{"OTEL_TRACES_EXPORTER=zipkin"}, "spans.timeout=10000", 0},
    {{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_ZIPKIN_ENDPOINT=http://z"},
     "spans.zipkin=http://z",
     0},
    {{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_ZIPKIN_TIMEOUT=5"}, "spans.timeout=5", 0},
    {{"OTEL_LOGS_EXPORTER=zipkin"}, "logs.0=otlp", 1},
    {{"OTEL_METRICS_EXPORTER=prometheus"}, "metrics.at=localhost:9464", 0},
    {{"OTEL_METRICS_EXPORTER=prometheus"}, "metrics.pull=1", 0},
    {{"OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0",
      "OTEL_EXPORTER_PROMETHEUS_PORT=1"},
     "metrics.at=0.0.0.0:1",
     0},
    {{"OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT=65536"},
     "metrics.at=localhost:9464",
     1},
    {{"OTEL_TRACES_EXPORTER=prometheus"}, "spans.0=otlp", 1},
    /* metrics */
    {{NULL}, "metrics.every=60000,30000", 0},
    {{"OTEL_METRIC_EXPORT_INTERVAL=5", "OTEL_METRIC_EXPORT_TIMEOUT=4"}, "metrics.every=5,4", 0},
    {{"OTEL_METRIC_EXPORT_INTERVAL=0"}, "metrics.every=60000,30000", 1},
    {{NULL}, "exemplars=0", 0},
    {{"OTEL_METRICS_EXEMPLAR_FILTER=always_on"}, "exemplars=1", 0},
    {{"OTEL_METRICS_EXEMPLAR_FILTER=always_off"}, "exemplars=2", 0},
    {{"OTEL_METRICS_EXEMPLAR_FILTER=some"}, "exemplars=0", 1},
    {{NULL}, "metrics.metric=0,0", 0},
    {{ALL "METRICS_TEMPORALITY_PREFERENCE=delta"}, "metrics.metric=1,0", 0},
    {{ALL "METRICS_TEMPORALITY_PREFERENCE=LowMemory"}, "metrics.metric=2,0", 0},
    {{ALL "METRICS_TEMPORALITY_PREFERENCE=x"}, "metrics.metric=0,0", 1},
    {{LONG_NAME "base2_exponential_bucket_histogram"}, "metrics.metric=0,1", 0},
    {{LONG_NAME "explicit_bucket_histogram"}, "metrics.metric=0,0", 0},
    {{LONG_NAME "x"}, "metrics.metric=0,0", 1},
    /* OTLP */
    {{NULL}, "spans.protocol=http/protobuf", 0},
    {{ALL "PROTOCOL=grpc"}, "logs.protocol=grpc", 0},
    {{ALL "PROTOCOL=http/json"}, "logs.protocol=http/json", 0},
    {{ALL "PROTOCOL=grpc", ALL "LOGS_PROTOCOL=http/json"}, "logs.protocol=http/json", 0},
    {{ALL "PROTOCOL=grpc", ALL "LOGS_PROTOCOL=http/json"}, "spans.protocol=grpc", 0},
    {{ALL "TRACES_PROTOCOL=x"}, "spans.protocol=http/protobuf", 1},
    {{NULL}, "spans.endpoint=http://localhost:4318/v1/traces", 0},
    {{NULL}, "metrics.endpoint=http://localhost:4318/v1/metrics", 0},
    {{NULL}, "logs.endpoint=http://localhost:4318/v1/logs", 0},
    {{ALL "PROTOCOL=grpc"}, "spans.endpoint=http://localhost:4317", 0},
    {{ALL "PROTOCOL=grpc"}, "spans.insecure=1", 0},
    {{ALL "ENDPOINT=http://c:1"}, "spans.endpoint=http://c:1/v1/traces", 0},
    {{ALL "ENDPOINT=https://c:1/"}, "spans.endpoint=https://c:1/v1/traces", 0},
    {{ALL "ENDPOINT=http://c:1/my/"}, "logs.endpoint=http://c:1/my/v1/logs", 0},
    {{ALL "ENDPOINT=http://c:1?k=v"}, "spans.endpoint=http://c:1/v1/traces?k=v", 0},
    {{ALL "ENDPOINT=http://c:1/my/?k=/"}, "logs.endpoint=http://c:1/my/v1/logs?k=/", 0},
    {{ALL "ENDPOINT=http://c:1/my"}, "logs.endpoint=http://c:1/my/v1/logs", 0},
    {{ALL "ENDPOINT=http://c:1", ALL "LOGS_ENDPOINT=http://l"}, "logs.endpoint=http://l/", 0},
    {{ALL "LOGS_ENDPOINT=http://l/x/y"}, "logs.endpoint=http://l/x/y", 0},
    {{ALL "LOGS_ENDPOINT=http://l/"}, "logs.endpoint=http://l/", 0},
    {{ALL "TRACES_ENDPOINT=c:4318"}, "spans.endpoint=http://localhost:4318/v1/traces", 1},
    {{ALL "TRACES_ENDPOINT=ftp://c"}, "spans.endpoint=http://localhost:4318/v1/traces", 1},
    {{ALL "PROTOCOL=grpc", ALL "ENDPOINT=c:4317"}, "spans.insecure=0", 0},
    {{ALL "PROTOCOL=grpc", ALL "ENDPOINT=c:4317"}, "spans.endpoint=c:4317", 0},
    {{ALL "PROTOCOL=grpc", ALL "ENDPOINT=c:4317", ALL "INSECURE=true"}, "spans.insecure=1", 0},
    {{ALL "PROTOCOL=grpc", ALL "ENDPOINT=https://c", ALL "INSECURE=true"}, "spans.insecure=0", 0},
    {{ALL "PROTOCOL=grpc", ALL "ENDPOINT=http://c"}, "spans.insecure=1", 0},
    {{NULL}, "spans.files=(null),(null),(null)", 0},
    {{ALL "CERTIFICATE=a", ALL "CLIENT_KEY=b", ALL "CLIENT_CERTIFICATE=c"}, "spans.files=a,b,c", 0},
    {{ALL "CERTIFICATE=a", ALL "TRACES_CERTIFICATE=d"}, "spans.files=d,(null),(null)", 0},
    {{NULL}, "spans.headers=", 0},
    {{ALL "HEADERS=api-key=a%20b, x = y"}, "spans.headers=api-key:a b x:y ", 0},
    {{ALL "HEADERS=a=b", ALL "TRACES_HEADERS=c=d"}, "spans.headers=c:d ", 0},
    {{ALL "HEADERS=a=b=="}, "spans.headers=a:b== ", 0},
    {{NULL}, "spans.gzip=0", 0},
    {{ALL "COMPRESSION=gzip"}, "spans.gzip=1", 0},
    {{ALL "COMPRESSION=gzip", ALL "TRACES_COMPRESSION=none"}, "spans.gzip=0", 0},
    {{ALL "TRACES_COMPRESSION=zstd"}, "spans.gzip=0", 1},
    {{NULL}, "spans.timeout=10000", 0},
    {{ALL "TIMEOUT=1500"}, "spans.timeout=1500", 0},
    {{ALL "TIMEOUT=1500", ALL "TRACES_TIMEOUT=0"}, "spans.timeout=0", 0},
    {{ALL "TRACES_TIMEOUT=10s"}, "spans.timeout=10000", 1},
    {{NULL}, "spans.max=67108864,4194304", 0},
};

TEST(environment_by_one_table)
{
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        const char *vars[5] = {rows[i].vars[0], rows[i].vars[1], rows[i].vars[2], rows[i].vars[3]};
        struct world world = {.vars = vars};
        skua_otel_config *config;
        char line[256];

        test_variant(vars[0] != NULL ? vars[0] : rows[i].want);
        MUST(skua__config_from_env(
                 &(struct skua__config_env){world_get, &world, world_warn, &world}, &config) == 0);
        say_config(config);
        snprintf(line, sizeof line, "%s;\n", rows[i].want);
        if (!CHECK(strstr(words, line) != NULL))
            test_note("%s", words);
        CHECK_EQ(world.warnings, rows[i].warnings);
        skua_otel_config_free(config);
    }
}

TEST(secrets_are_never_told)
{
    const char *vars[] = {ALL "TRACES_HEADERS=authorization=Bearer%2,secret", NULL};
    struct world world = {.vars = vars};
    skua_otel_config *config;

    MUST(skua__config_from_env(&(struct skua__config_env){world_get, &world, world_warn, &world},
                               &config) == 0);
    CHECK_EQ(world.warnings, 1);
    CHECK(strstr(world.last, "Bearer") == NULL && strstr(world.last, "secret") == NULL);
    CHECK_EQ(config->spans[0].exporter.headers_count, 0);
    skua_otel_config_free(config);
}

/* One allocation after the other fails: -ENOMEM, and nothing is left behind. */
#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(environment_without_memory)
{
    const char *vars[] = {"OTEL_TRACES_SAMPLER=traceidratio", ALL "HEADERS=a=b",
                          "OTEL_RESOURCE_ATTRIBUTES=a=b", "OTEL_SERVICE_NAME=x", NULL};
    struct world world = {.vars = vars};
    struct skua__config_env env = {world_get, &world, NULL, NULL};
    unsigned n = 0;
    int rc;

    do {
        skua_otel_config *config;

        skua__fault_arm(SKUA__FAULT_MALLOC, ++n, 1, ENOMEM);
        rc = skua__config_from_env(&env, &config);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK((rc == 0) == (config != NULL));
        skua_otel_config_free(config);
    } while (rc != 0 && n < 200);
    CHECK_RANGE(n, 10, 100);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_by_one_table),
        cmocka_unit_test(secrets_are_never_told),
#ifdef SKUA_FAULTS
        cmocka_unit_test(environment_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
