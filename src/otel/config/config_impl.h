/* config_impl.h - what telemetry is told to do: one plain struct, whoever tells it.
 *
 *   config.c           made, with the defaults; its memory
 *   config_env.c, config_env_exporter.c   OTEL_* -> skua_otel_config
 *   config_value.c     values as text
 *   otel/yaml          a file -> skua_otel_config
 *   config_create.c    skua_otel_config -> sampler
 *   config_resource.c  who we are: the attributes of the environment, and of detectors
 *
 *   environment, or a file -> Parse -> skua_otel_config -> Create (here, and in otel/sdk)
 *
 * Memory     all that a configuration points at is its own, in its arena, and goes with it.
 * Faults     what cannot be parsed in the environment is told to `warn` and ignored; in a file it
 *            is an error, and there is no configuration.
 *
 * Source     OpenTelemetry specification 1.60: configuration/sdk-environment-variables,
 *            configuration/data-model; opentelemetry-configuration 1.1.
 */
#ifndef SKUA_OTEL_CONFIG_IMPL_H
#define SKUA_OTEL_CONFIG_IMPL_H

#include <skua/otel/config.h>
#include <skua/otel/sampler.h>

#include "otel/core/otel_impl.h"

#define SKUA__CONFIG_NO_LIMIT UINT32_MAX

/* ---- parts ----------------------------------------------------------------------------------- */

struct skua__config_names { /* "a", "b*" */
    const char *const *at;
    size_t count;
};

/* included: NULL: all. excluded comes last. Patterns with * and ?. */
struct skua__config_filter {
    struct skua__config_names included, excluded;
};

struct skua__config_limits {
    uint32_t value_len, value_depth; /* bytes, NO_LIMIT: any; levels */
    uint32_t attrs, events, links, event_attrs, link_attrs;
};

/* A component that a program brings along (skua_otel_provide): `name` finds it. */
struct skua__config_plugin {
    const char *name; /* NULL: it is none */
    const skua_otel_properties *properties;
};

/* ---- samplers -------------------------------------------------------------------------------- */

enum skua__config_sampler_kind {
    SKUA__SAMPLER_PARENT_BASED, /* the default: with all parts NULL */
    SKUA__SAMPLER_ALWAYS_ON,
    SKUA__SAMPLER_ALWAYS_OFF,
    SKUA__SAMPLER_RATIO,         /* TraceIdRatioBased */
    SKUA__SAMPLER_PROBABILITY,   /* with tracestate */
    SKUA__SAMPLER_ALWAYS_RECORD, /* root */
    SKUA__SAMPLER_COMPOSITE,     /* composable */
    SKUA__SAMPLER_JAEGER,        /* a collector rules; root, until it does: NULL: ratio */
    SKUA__SAMPLER_PLUGIN
};

enum skua__config_composable_kind {
    SKUA__COMPOSABLE_ALWAYS_ON,
    SKUA__COMPOSABLE_ALWAYS_OFF,
    SKUA__COMPOSABLE_PROBABILITY,
    SKUA__COMPOSABLE_PARENT_THRESHOLD, /* root */
    SKUA__COMPOSABLE_RULES
};

struct skua__config_rule {
    const char *values_key; /* of attribute_values; NULL: none */
    struct skua__config_names values;
    const char *patterns_key; /* of attribute_patterns; NULL: none */
    struct skua__config_filter patterns;
    uint32_t kinds;   /* 1 << skua_span_kind of each; 0: any */
    uint32_t parents; /* 1 none, 2 remote, 4 local; 0: any */
    const struct skua__config_composable *sampler;
};

struct skua__config_composable {
    enum skua__config_composable_kind kind;
    double ratio;
    const struct skua__config_composable *root;
    const struct skua__config_rule *rules;
    size_t rules_count;
};

struct skua__config_sampler {
    enum skua__config_sampler_kind kind;
    double ratio;
    /* NULL: the default: always_on where sampled and for roots, else always_off. */
    const struct skua__config_sampler *root, *remote_sampled, *remote_not, *local_sampled,
        *local_not;
    const struct skua__config_composable *composable;
    const char *endpoint; /* JAEGER */
    int64_t interval;     /* JAEGER: ns between two questions */
    struct skua__config_plugin plugin;
};

/* ---- exporters ------------------------------------------------------------------------------- */

enum skua__config_exporter_kind {
    SKUA__EXPORTER_OTLP,
    SKUA__EXPORTER_OTLP_FILE, /* and otlp/stdout of the environment */
    SKUA__EXPORTER_CONSOLE,
    SKUA__EXPORTER_ZIPKIN,     /* traces */
    SKUA__EXPORTER_PROMETHEUS, /* metrics, pulled */
    SKUA__EXPORTER_PLUGIN
};

enum skua__config_protocol { SKUA__OTLP_HTTP_PROTOBUF, SKUA__OTLP_HTTP_JSON, SKUA__OTLP_GRPC };

enum skua__config_temporality {
    SKUA__TEMPORALITY_CUMULATIVE,
    SKUA__TEMPORALITY_DELTA,
    SKUA__TEMPORALITY_LOW_MEMORY
};

struct skua__config_pair; /* of headers; the value is secret: never to be logged */

struct skua__config_exporter {
    enum skua__config_exporter_kind kind;
    enum skua__config_protocol protocol;        /* OTLP */
    const char *endpoint;                       /* OTLP, Zipkin: a URL as it is to be used; of gRPC
                                                    maybe "host:port" without a scheme */
    bool insecure;                              /* gRPC without a scheme: no TLS */
    const char *ca_file, *key_file, *cert_file; /* NULL: none */
    const struct skua__config_pair *headers;
    size_t headers_count;
    bool gzip;
    int64_t timeout;                           /* ns; 0: none */
    int64_t max_request, max_response;         /* bytes */
    const char *output;                        /* OTLP_FILE: "stdout" or "file:///path" */
    enum skua__config_temporality temporality; /* metrics */
    bool exponential;                          /* metrics: histograms' default */
    const char *host;                          /* Prometheus */
    uint16_t port;
    bool no_scope_info, no_target_info;         /* Prometheus */
    bool no_suffixes, no_escaping;              /* Prometheus: the translation's strategy */
    struct skua__config_filter constant_labels; /* Prometheus: of the resource */
    bool has_constant_labels;
    struct skua__config_plugin plugin;
};

/* ---- what happens to a signal ---------------------------------------------------------------- */

/* Spans or log records on their way to one destination. */
struct skua__config_processor {
    bool simple;                            /* each at once */
    bool event_bridge;                      /* logs: event_to_span_event_bridge; no exporter */
    int64_t schedule_delay, export_timeout; /* ns; a time-out of 0: none */
    uint32_t max_queue, max_batch;          /* max_batch <= max_queue */
    struct skua__config_exporter exporter;
    struct skua__config_plugin plugin; /* of the processor itself */
};

struct skua__config_cardinality { /* 0: not said */
    uint32_t all, counter, gauge, histogram, observable_counter, observable_gauge,
        observable_up_down_counter, up_down_counter;
};

struct skua__config_reader {
    bool pull;
    int64_t interval, timeout; /* ns; periodic */
    uint32_t max_batch;        /* points in an export; 0: all */
    struct skua__config_exporter exporter;
    struct skua__config_cardinality cardinality;
    const struct skua__config_plugin *producers;
    size_t producers_count;
};

enum skua__config_instrument {
    SKUA__INSTRUMENT_ANY,
    SKUA__INSTRUMENT_COUNTER,
    SKUA__INSTRUMENT_GAUGE,
    SKUA__INSTRUMENT_HISTOGRAM,
    SKUA__INSTRUMENT_OBSERVABLE_COUNTER,
    SKUA__INSTRUMENT_OBSERVABLE_GAUGE,
    SKUA__INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
    SKUA__INSTRUMENT_UP_DOWN_COUNTER
};

enum skua__config_aggregation {
    SKUA__AGGREGATION_DEFAULT,
    SKUA__AGGREGATION_DROP,
    SKUA__AGGREGATION_EXPLICIT,
    SKUA__AGGREGATION_EXPONENTIAL,
    SKUA__AGGREGATION_LAST_VALUE,
    SKUA__AGGREGATION_SUM
};

struct skua__config_view {
    const char *instrument, *unit, *meter, *meter_version, *meter_schema; /* NULL: any */
    enum skua__config_instrument type;
    const char *name, *description; /* NULL: as it is */
    enum skua__config_aggregation aggregation;
    const double *bounds; /* EXPLICIT; NULL: the default */
    size_t bounds_count;
    bool no_min_max;
    int max_scale; /* EXPONENTIAL: 20 */
    uint32_t max_size;
    uint32_t cardinality; /* 0: not said */
    struct skua__config_filter keys;
    bool has_keys;
};

/* What is said of scopes by their names (configurators). */
struct skua__config_scope {
    const char *name; /* a pattern; NULL: the default */
    bool disabled;
    int minimum_severity; /* logs: 0: any */
    bool trace_based;     /* logs */
};

struct skua__config_scopes {
    struct skua__config_scope all;
    const struct skua__config_scope *at; /* the first that fits counts */
    size_t count;
};

enum skua__config_exemplars {
    SKUA__EXEMPLARS_TRACE_BASED,
    SKUA__EXEMPLARS_ALWAYS_ON,
    SKUA__EXEMPLARS_ALWAYS_OFF
};

/* ---- resource -------------------------------------------------------------------------------- */

#define SKUA__DETECT_CONTAINER 1u
#define SKUA__DETECT_HOST 2u
#define SKUA__DETECT_PROCESS 4u
#define SKUA__DETECT_SERVICE 8u
#define SKUA__DETECT_OS 16u
#define SKUA__DETECT_ALL 31u

struct skua__config_resource {
    const skua_attr *attrs; /* said outright: they come before those of detectors */
    size_t attrs_count;
    const char *schema_url; /* NULL: none */
    unsigned detectors;
    struct skua__config_filter detected; /* which of their attributes are taken */
    const struct skua__config_plugin *plugins;
    size_t plugins_count;
};

/* ---- all of it ------------------------------------------------------------------------------- */

struct skua_otel_config {
    struct skua__config_block *blocks; /* its arena */
    bool disabled;                     /* propagators work nevertheless */
    bool from_file;
    int log_level;           /* of the SDK's own log: 1 to 24, as severities; 25: nothing */
    const char *propagators; /* as skua_propagation_use takes it: "tracecontext,baggage" */
    struct skua__config_resource resource;
    /* Nothing of a signal: nothing of it is exported. */
    struct skua__config_limits span_limits, log_limits;
    const struct skua__config_sampler *sampler; /* never NULL */
    const struct skua__config_processor *spans, *logs;
    size_t spans_count, logs_count;
    struct skua__config_plugin id_generator;
    const struct skua__config_reader *readers;
    size_t readers_count;
    const struct skua__config_view *views;
    size_t views_count;
    enum skua__config_exemplars exemplars;
    struct skua__config_scopes tracers, meters, loggers;
    int operations; /* a skua_otel_operations */
};

/* Where a configuration comes from, and who is told what is wrong with it. */
struct skua__config_env {
    const char *(*get)(void *arg, const char *name); /* NULL: the process's environment */
    void *get_arg;
    /* A fault in words, which never says a secret. NULL: nobody is told. */
    void (*warn)(void *arg, const char *text);
    void *warn_arg;
};

/* A variable; NULL: it is not set, or empty, which is the same. */
const char *skua__config_get(const struct skua__config_env *env, const char *name);
void skua__config_say(const struct skua__config_env *env, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* With all the defaults, and no destination. NULL: no memory. */
skua_otel_config *skua__config_new(void);
/* Cleared, as long as the configuration; NULL: no memory. */
void *skua__config_alloc(skua_otel_config *config, size_t size);
char *skua__config_copy(skua_otel_config *config, const char *text, size_t len);

/* The default parts, to be filled in further. */
void skua__config_exporter_init(struct skua__config_exporter *self);
void skua__config_limits_init(struct skua__config_limits *self);
void skua__config_processor_init(struct skua__config_processor *self, bool logs);
void skua__config_reader_init(struct skua__config_reader *self);

/* From OTEL_*; where OTEL_CONFIG_FILE is set, from the file alone.
 *   env       NULL: the process's, and nobody is told
 *   Returns   0; -ENOMEM; of a file: as skua_otel_config_parse */
int skua__config_from_env(const struct skua__config_env *env, skua_otel_config **ret);
int skua__config_from_file(const struct skua__config_env *env, const char *path,
                           skua_otel_config_fault *fault, skua_otel_config **ret);
int skua__config_from_text(const struct skua__config_env *env, const char *text, size_t len,
                           skua_otel_config_fault *fault, skua_otel_config **ret);

/* Who makes a component; NULL: nobody. */
const skua_otel_provider *skua__config_provider(skua_otel_component component, const char *name);

/* ---- values that variables and files have (config_value.c) ----------------------------------- */

struct skua__config_pair {
    const char *name, *value;
};

/* "a=b,c=d", percent-coded: 0 and the pairs; -ENOMEM; -EINVAL: it is not so. */
int skua__config_pairs(skua_otel_config *config, const char *text, struct skua__config_pair **ret,
                       size_t *ret_count);
bool skua__config_integer(const char *text, int64_t *ret); /* decimal, all of it */
bool skua__config_number(const char *text, double *ret);
int skua__config_severity(const char *name); /* "info2": 10; 0: it is none */
/* Cuts space at both ends. */
const char *skua__config_trim(const char *text, size_t *len);

/* ---- Create: what needs nothing of other parts ----------------------------------------------- */

/* Who makes samplers that a collector rules, which need more than is known here. `initial` is its
 * own, also when it fails. */
struct skua__config_remote {
    int (*make)(void *arg, const struct skua__config_sampler *config, skua_otel_sampler *initial,
                skua_otel_sampler **ret);
    void *arg;
};

/* The sampler; NULL in *ret: the default, which skua__trace_sdk has without a call.
 *   remote    NULL: there are none that a collector rules: -ENOSYS */
int skua__config_sampler_create(const struct skua__config_sampler *config,
                                const struct skua__config_remote *remote, skua_otel_sampler **ret);

/* Who we are: attributes of the configuration, then of detectors, then telemetry.sdk.* and a
 * service.name; keys sorted. Reads /proc and the like: to be called at the start, and in the child
 * of a fork again (process.pid, service.instance.id). As long as the configuration. `root` stands
 * before every path: "". */
int skua__config_resource_create(skua_otel_config *config, const char *root,
                                 skua_otel_resource *ret);

#endif
