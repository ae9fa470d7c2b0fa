/* fuzz_yaml.c - any file of configuration: parsed, substituted, read, made.
 *
 * It is a configuration whose values are in range, or a fault with words; plugins can ask about all
 * of what is theirs.
 */
#include "fuzz_config.h"

#define FUZZ_SPANS "tracer_provider:\n  processors:\n    - "
#define FUZZ_EXPORT "{exporter: {console: }}"

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("file_format: '1.1'\ndisabled: false\nlog_level: warn\nlogger_provider:\n"
              "  processors: [{simple: {exporter: {otlp_file/development: {output_stream: "
              "file:///l}}}}]\n  limits: {attribute_count_limit: 9}\n"),
    FUZZ_SEED("file_format: '1.1'\nresource:\n  attributes:\n    - {name: n, value: 3}\n"
              "    - {name: d, value: 3, type: double}\n    - {name: l, value: [a, b], type: "
              "string_array}\n    - {name: m, value: [1, 2.5]}\n  attributes_list: a=b,c=a%20b\n"
              "  detection/development:\n    attributes: {included: [p.*], excluded: [p.?]}\n"
              "    detectors: [{process: }, {see: {a: ${A}, b: [1, {c: d}]}}]\n"),
    FUZZ_SEED("file_format: '1.1'\npropagator: {composite: [{tracecontext: }], composite_list: "
              "b3}\n" FUZZ_SPANS "batch:\n        schedule_delay: 7\n        max_queue_size: 100\n"
              "        exporter:\n          otlp_http:\n            endpoint: https://c/v1/traces\n"
              "            tls: {ca_file: /ca, key_file: /key, cert_file: /cert}\n"
              "            headers: [{name: api-key, value: '${A}x'}]\n"
              "            headers_list: API-KEY=no,other=yes\n            compression: gzip\n"),
    FUZZ_SEED("file_format: '1.1'\n" FUZZ_SPANS "simple: " FUZZ_EXPORT "\n  sampler:\n"
              "    parent_based:\n      root: {trace_id_ratio_based: {ratio: 0.25}}\n"
              "      local_parent_not_sampled: {always_record: {root: {always_off: }}}\n"
              "  tracer_configurator/development:\n    default_config: {enabled: false}\n"
              "    tracers: [{name: io.*, config: {enabled: true}}]\n"),
    FUZZ_SEED("file_format: '1.1'\n" FUZZ_SPANS "simple: " FUZZ_EXPORT "\n  sampler:\n"
              "    composite/development:\n      rule_based:\n        rules:\n"
              "          - {attribute_values: {key: k, values: [a]}, span_kinds: [server], "
              "parent: [none], sampler: {probability: {ratio: 0.1}}}\n"
              "          - {attribute_patterns: {key: k, included: [/x*]}, sampler: "
              "{parent_threshold: {root: {always_on: }}}}\n"),
    FUZZ_SEED(
        "file_format: '1.1'\nmeter_provider:\n  readers:\n    - periodic:\n"
        "        interval: 5\n        exporter: {otlp_http: {temporality_preference: delta}}\n"
        "        cardinality_limits: {default: 5, histogram: 6}\n"
        "    - pull: {exporter: {prometheus/development: {host: h, port: 1}}}\n  views:\n"
        "    - selector: {instrument_name: a*, instrument_type: histogram}\n      stream:\n"
        "        aggregation: {explicit_bucket_histogram: {boundaries: [1, 2.5]}}\n"
        "        attribute_keys: {excluded: [x]}\n  exemplar_filter: always_off\n"),
    FUZZ_SEED(
        "file_format: '1.1'\nx: &a {see: [${A}, ${B:-2}, $${C}, ${env:A:-$$}, ~, 0x1f, .inf]}\n"
        "tracer_provider: {sampler: *a, processors: [{simple: " FUZZ_EXPORT "}]}\n"),
    FUZZ_SEED("file_format: '1.1'\n" FUZZ_SPANS "see: &s {a: [], b: {}, c: 1e3}\n    - see: *s\n"
              "    - simple: {exporter: {see: {t: |\n        text\n}}}\n"),
    {NULL, 0}};

const char *const fuzz_words[] = {"file_format: '1.1'\n",
                                  "tracer_provider:",
                                  "meter_provider:",
                                  "logger_provider:",
                                  "processors:",
                                  "exporter:",
                                  "sampler:",
                                  "readers:",
                                  "views:",
                                  "headers_list:",
                                  "see:",
                                  "console:",
                                  "${A}",
                                  "${B:-",
                                  "$$",
                                  "${",
                                  "}",
                                  "{",
                                  "[",
                                  "]",
                                  ": ",
                                  "- ",
                                  "\n  ",
                                  "&a ",
                                  "*a",
                                  "null",
                                  "-1",
                                  "0o7",
                                  "1e999",
                                  ".nan",
                                  "9223372036854775808",
                                  "'",
                                  "\"\\0\"",
                                  "!!str ",
                                  "? ",
                                  "%YAML 1.2\n---\n",
                                  "\xff\xfe",
                                  NULL};

/* ---- a plugin, which asks about everything --------------------------------------------------- */

static const char *const asked[] = {"", "a", "b", "c", "t", "see"};

static void ask(const skua_otel_properties *properties, unsigned depth)
{
    for (size_t i = 0; i < sizeof asked / sizeof *asked && depth != 0; i++) {
        const skua_otel_properties *inner = NULL;
        const char *text = NULL;
        int64_t number;
        double real;
        int truth;

        if (skua_otel_properties_str(properties, asked[i], &text) == 0)
            (void)strlen(text);
        if (skua_otel_properties_i64(properties, asked[i], &number) == 0)
            fuzz_must(skua_otel_properties_f64(properties, asked[i], &real) == 0);
        if (skua_otel_properties_bool(properties, asked[i], &truth) == 0)
            fuzz_must(truth == 0 || truth == 1);
        if (skua_otel_properties_child(properties, asked[i], &inner) == 0 && *asked[i] != '\0')
            ask(inner, depth - 1);
        for (size_t k = 0; k < 4; k++)
            if (skua_otel_properties_item(properties, asked[i], k, &inner) == 0)
                ask(inner, depth - 1);
    }
}

static int see(const skua_otel_provider *self, const skua_otel_properties *properties, void **ret)
{
    static const skua_attr attr = {.key = "seen", .type = SKUA_ATTR_BOOL, .value.i64 = 1};
    static const skua_otel_resource resource = {.attrs = {&attr, 1, 0}};

    ask(properties, 3);
    if (self->component != SKUA_OTEL_RESOURCE_DETECTOR)
        return -ENOENT;
    *ret = (void *)(uintptr_t)&resource;
    return 0;
}

static void provide(void)
{
    static skua_otel_provider providers[7];
    static bool done;

    if (done)
        return;
    done = true;
    for (int i = 0; i < 7; i++) {
        providers[i] = (skua_otel_provider){(skua_otel_component)i, "see", see};
        fuzz_must(skua_otel_provide(&providers[i]) == 0);
    }
}

/* ---- a file ---------------------------------------------------------------------------------- */

static const char *env_get(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "A") == 0 ? "7" : strcmp(name, "LONG") == 0 ? "a: b\n${A}" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct skua__config_env env = {env_get, NULL, NULL, NULL};
    skua_otel_config_fault fault;
    skua_otel_config *config = NULL;
    int rc;

    provide();
    memset(&fault, 0x55, sizeof fault);
    rc = skua__config_from_text(&env, (const char *)data, len, &fault, &config);
    if (rc == 0) {
        fuzz_config(config);
        skua_otel_config_free(config);
        return 0;
    }
    fuzz_must((rc == -EINVAL || rc == -ENOSYS) && config == NULL);
    if (rc == -EINVAL)
        fuzz_must(fault.line >= 0 && *fault.text != '\0' &&
                  strnlen(fault.text, sizeof fault.text) < sizeof fault.text);
    return 0;
}
