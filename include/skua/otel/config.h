/* config.h - telemetry configured by a file: OpenTelemetry's declarative configuration.
 *
 *     file_format: "1.1"
 *     tracer_provider:
 *       processors:
 *         - batch:
 *             exporter:
 *               otlp_http:
 *                 endpoint: ${COLLECTOR:-http://localhost:4318}/v1/traces
 *
 * skua_otel_start reads the file that OTEL_CONFIG_FILE names by itself. To parse is one thing and
 * to start another: skua_otel_config_parse tells whether a file is good, and what is wrong with it.
 *
 * Strict     a property that is not known, a value of another type or out of range is an error,
 *            with its line; there is no half of a configuration. Environment variables count only
 *            where the file refers to them.
 * Plugins    components that a program brings along are named in the file; skua_otel_provide says
 *            who makes them. Exporters may also be named by OTEL_{TRACES,METRICS,LOGS}_EXPORTER.
 *
 * Source     OpenTelemetry specification 1.60, configuration; opentelemetry-configuration 1.1.
 */
#ifndef SKUA_OTEL_CONFIG_H
#define SKUA_OTEL_CONFIG_H

#include <skua/base.h>

SKUA_C_BEGIN

typedef struct skua_otel_config skua_otel_config;

/* What is wrong, and where. */
typedef struct skua_otel_config_fault {
    int line;       /* from 1; 0: not of a line */
    char text[252]; /* in words, with a NUL */
} skua_otel_config_fault;

/* Parses a file, or text of one: substitutes ${…} and checks everything. Starts nothing.
 *
 * path       ends in .yaml or .yml
 * text       len bytes; the caller's
 * fault      receives what is wrong, when something is; NULL: of no interest
 * ret        receives the configuration, to be freed by skua_otel_config_free; NULL on failure
 * Returns    0; -EINVAL: it is not good; -ENOMEM; -errno of the file; -ENOSYS: Skua was built
 *            without libyaml
 * Threads    any; reads the environment
 * Since      0.4
 */
SKUA_API int skua_otel_config_parse(const char *path, skua_otel_config_fault *fault,
                                    skua_otel_config **ret);

/* As skua_otel_config_parse, of text.
 *
 * Returns    as skua_otel_config_parse
 * Threads    any; reads the environment
 * Since      0.4
 */
SKUA_API int skua_otel_config_parse_text(const char *text, size_t len,
                                         skua_otel_config_fault *fault, skua_otel_config **ret);

/* NULL does nothing.
 *
 * Threads    any; nobody uses it any more
 * Since      0.4
 */
SKUA_API void skua_otel_config_free(skua_otel_config *config);

/* ---- plugins --------------------------------------------------------------------------------- */

/* What a file says of a component: a mapping, read by its keys. Lives as long as the
 * configuration. */
typedef struct skua_otel_properties skua_otel_properties;

/* A value by its key.
 *
 * properties NULL: there are none
 * ret        receives it; text with a NUL, borrowed; unchanged on failure
 * Returns    0; -ENOENT: there is none, or it is null; -EINVAL: it is of another type
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_str(const skua_otel_properties *properties, const char *key,
                                      const char **ret);

/* As skua_otel_properties_str, of a whole number.
 *
 * Returns    as skua_otel_properties_str
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_i64(const skua_otel_properties *properties, const char *key,
                                      int64_t *ret);

/* As skua_otel_properties_str, of a number.
 *
 * Returns    as skua_otel_properties_str
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_f64(const skua_otel_properties *properties, const char *key,
                                      double *ret);

/* As skua_otel_properties_str, of a truth.
 *
 * Returns    as skua_otel_properties_str
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_bool(const skua_otel_properties *properties, const char *key,
                                       int *ret);

/* As skua_otel_properties_str, of a mapping inside of it.
 *
 * Returns    as skua_otel_properties_str
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_child(const skua_otel_properties *properties, const char *key,
                                        const skua_otel_properties **ret);

/* As skua_otel_properties_str, of the index-th element of a list inside of it: a mapping, or a
 * value with the key "".
 *
 * Returns    as skua_otel_properties_str; -ENOENT behind the last one
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_properties_item(const skua_otel_properties *properties, const char *key,
                                       size_t index, const skua_otel_properties **ret);

/* What a component is made for. */
typedef enum skua_otel_component {
    SKUA_OTEL_SPAN_EXPORTER, /* makes a skua_otel_exporter; so with the next two */
    SKUA_OTEL_METRIC_EXPORTER,
    SKUA_OTEL_LOG_EXPORTER,
    SKUA_OTEL_SPAN_PROCESSOR, /* a skua_otel_processor; so with the next */
    SKUA_OTEL_LOG_PROCESSOR,
    SKUA_OTEL_SAMPLER,          /* a skua_otel_sampler */
    SKUA_OTEL_RESOURCE_DETECTOR /* a const skua_otel_resource; static */
} skua_otel_component;

typedef struct skua_otel_provider {
    skua_otel_component component;
    const char *name; /* as in the file; of 15 characters at most in OTEL_…_EXPORTER */
    /* Makes it. 0, or an error, and then telemetry does not start. */
    int (*create)(const struct skua_otel_provider *self, const skua_otel_properties *properties,
                  void **ret);
} skua_otel_provider;

/* Says who makes a component, before skua_otel_start.
 *
 * provider   static
 * Returns    0; -EEXIST: there is one of that kind and name; SKUA_ELIMIT: more than 64 of them
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_provide(const skua_otel_provider *provider);

SKUA_C_END

#endif
