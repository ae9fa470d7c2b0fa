/* fuzz_env.c - any environment: lines "NAME=value".
 *
 * It always gives a configuration, whose values are in range; what is wrong is told in words that
 * end. LEVELS is what OTEL_LOG_LEVEL's like takes: levels of loggers by their names.
 */
#include <skua/log.h>
#include <skua/otel/exporter.h>

#include "otel/sdk/sdk_impl.h"

#include "fuzz_config.h"

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("OTEL_TRACES_EXPORTER=otlp,console\nOTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:4318/x\n"
              "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b,other=c\n"
              "OTEL_EXPORTER_OTLP_TIMEOUT=7\nOTEL_EXPORTER_OTLP_COMPRESSION=gzip"),
    FUZZ_SEED("OTEL_EXPORTER_OTLP_PROTOCOL=grpc\nOTEL_EXPORTER_OTLP_TRACES_ENDPOINT=c:4317\n"
              "OTEL_EXPORTER_OTLP_INSECURE=true\nOTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/json"),
    FUZZ_SEED("OTEL_RESOURCE_ATTRIBUTES=service.name=shop,k=a%2Cb,x=%zz\nOTEL_SERVICE_NAME=s"),
    FUZZ_SEED("OTEL_TRACES_SAMPLER=parentbased_traceidratio\nOTEL_TRACES_SAMPLER_ARG=0.25\n"
              "OTEL_PROPAGATORS=b3,tracecontext,none,x\nOTEL_SDK_DISABLED=false"),
    FUZZ_SEED("OTEL_BSP_SCHEDULE_DELAY=5000\nOTEL_BSP_MAX_QUEUE_SIZE=10\n"
              "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=512\nOTEL_BLRP_EXPORT_TIMEOUT=-1\n"
              "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=99999999999999999999\n"
              "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=0"),
    FUZZ_SEED("OTEL_METRICS_EXPORTER=prometheus\nOTEL_EXPORTER_PROMETHEUS_PORT=65536\n"
              "OTEL_METRIC_EXPORT_INTERVAL=1\nOTEL_METRICS_EXEMPLAR_FILTER=always_on\n"
              "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta\n"
              "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="
              "base2_exponential_bucket_histogram"),
    FUZZ_SEED("OTEL_LOGS_EXPORTER=otlp/stdout\nOTEL_LOG_LEVEL=debug\n"
              "LEVELS=info,skua.net=debug, shop.*=trace,=warn,x=off"),
    FUZZ_SEED("OTEL_TRACES_EXPORTER=zipkin\nOTEL_EXPORTER_ZIPKIN_ENDPOINT=http://z:9411/api\n"
              "OTEL_EXPORTER_ZIPKIN_TIMEOUT=1e3"),
    {NULL, 0}};

const char *const fuzz_words[] = {"OTEL_TRACES_EXPORTER=",
                                  "OTEL_EXPORTER_OTLP_HEADERS=",
                                  "OTEL_EXPORTER_OTLP_LOGS_HEADERS=",
                                  "OTEL_EXPORTER_OTLP_ENDPOINT=",
                                  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=",
                                  "OTEL_EXPORTER_OTLP_CERTIFICATE=",
                                  "OTEL_RESOURCE_ATTRIBUTES=",
                                  "OTEL_TRACES_SAMPLER_ARG=",
                                  "OTEL_PROPAGATORS=",
                                  "LEVELS=",
                                  "http://",
                                  "https://",
                                  "unix:/",
                                  "always_on",
                                  "parentbased_always_off",
                                  "none",
                                  "true",
                                  "grpc",
                                  "http/protobuf",
                                  "%20",
                                  "%00",
                                  "%",
                                  ",",
                                  "=",
                                  "\n",
                                  " ",
                                  "-1",
                                  "4294967296",
                                  "9223372036854775807",
                                  "nan",
                                  "1e999",
                                  "\xff",
                                  NULL};

#define FUZZ_VARS 32

struct fuzz_env {
    const char *vars[FUZZ_VARS];
    size_t count;
};

static const char *env_get(void *arg, const char *name)
{
    const struct fuzz_env *self = arg;
    size_t len = strlen(name);

    if (strstr(name, "CONFIG_FILE") != NULL) /* files are fuzz_yaml.c's */
        return NULL;
    for (size_t i = 0; i < self->count; i++)
        if (strncmp(self->vars[i], name, len) == 0 && self->vars[i][len] == '=')
            return self->vars[i] + len + 1;
    return NULL;
}

static void env_warn(void *arg, const char *text)
{
    (void)arg;
    fuzz_must(*text != '\0' && strlen(text) < 4096);
}

/* Any levels: each logger has one of those that there are. */
static void levels(const char *text)
{
    static const char *const names[] = {"skua.net", "shop.orders", "shop", "x", ""};

    int rc = skua_log_levels(text);

    fuzz_must(rc == 0 || rc == -EINVAL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        skua_logger logger = SKUA_LOGGER(names[i]);
        int trace = skua_log_enabled(&logger, SKUA_TRACE, NULL);
        int fatal = skua_log_enabled(&logger, SKUA_FATAL, NULL);

        fuzz_must(!trace || fatal);
        skua_logger_forget(&logger);
    }
}

/* An exporter of OTLP is made, or refused in words; without TLS, whose files would be read. */
static void exporters(const skua_otel_config *config)
{
    for (size_t i = 0; i < config->spans_count; i++) {
        struct skua__config_exporter from = config->spans[i].exporter;
        skua_otel_exporter *exporter = NULL;
        char text[256];
        int rc;

        if (from.kind != SKUA__EXPORTER_OTLP || strncmp(from.endpoint, "http://", 7) != 0)
            continue;
        from.ca_file = from.key_file = from.cert_file = NULL;
        memset(text, 0x55, sizeof text);
        rc = skua__sdk_exporter(&from, SKUA_OTEL_TRACES, text, sizeof text, &exporter);
        fuzz_must(strnlen(text, sizeof text) < sizeof text && (rc == 0) == (exporter != NULL));
        if (rc == 0 && exporter->ops->free != NULL)
            exporter->ops->free(exporter);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_env env = {.count = 0};
    const struct skua__config_env from = {env_get, &env, env_warn, NULL};
    char *text = fuzz_text(data, len), *at = text;
    skua_otel_config *config;

    while (at != NULL && env.count < FUZZ_VARS) {
        char *end = strchr(at, '\n');

        if (end != NULL)
            *end++ = '\0';
        env.vars[env.count++] = at;
        at = end;
    }
    fuzz_must(skua__config_from_env(&from, &config) == 0);
    fuzz_config(config);
    exporters(config);
    skua_otel_config_free(config);
    if (env_get(&env, "LEVELS") != NULL)
        levels(env_get(&env, "LEVELS"));
    free(text);
    return 0;
}
