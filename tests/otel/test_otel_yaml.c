/* test_otel_yaml.c - files of configuration: what is substituted, read, refused.
 *
 * Specifies config.h. The substitutions are the table of the specification
 * (configuration/data-model); the configuration is that of opentelemetry-configuration's examples,
 * with what they leave out.
 */
#include <unistd.h>

#include <skua/otel/config.h>

#include "otel/config/config_impl.h"

#include "../lib/harness.h"

static const char *const vars[] = {"STRING_VALUE=value",
                                   "BOOL_VALUE=true",
                                   "INT_VALUE=1",
                                   "FLOAT_VALUE=1.1",
                                   "HEX_VALUE=0xdeadbeef",
                                   "INVALID_MAP_VALUE=value\nkey:value",
                                   "DO_NOT_REPLACE_ME=Never use this value",
                                   "REPLACE_ME=${DO_NOT_REPLACE_ME}",
                                   "VALUE_WITH_ESCAPE=value$$",
                                   "EMPTY=",
                                   NULL};

static const char *env_get(void *arg, const char *name)
{
    size_t len = strlen(name);

    (void)arg;
    for (const char *const *var = vars; *var != NULL; var++)
        if (strncmp(*var, name, len) == 0 && (*var)[len] == '=')
            return *var + len + 1;
    return NULL;
}

static const struct skua__config_env env = {env_get, NULL, NULL, NULL};

static int parse(const char *text, skua_otel_config_fault *fault, skua_otel_config **ret)
{
    return skua__config_from_text(&env, text, strlen(text), fault, ret);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---- substitution ---------------------------------------------------------------------------- */

static const skua_otel_properties *seen;

static int see(const skua_otel_provider *self, const skua_otel_properties *properties, void **ret)
{
    (void)self;
    (void)properties;
    (void)ret;
    return 0;
}

static const skua_otel_provider see_provider = {SKUA_OTEL_SAMPLER, "see", see};

/* The tree that a plugin gets of "key: <text>". */
static skua_otel_config *plugin_sees(const char *text, skua_otel_config_fault *fault)
{
    skua_otel_config *config;
    char file[1024];

    snprintf(file, sizeof file,
             "file_format: '1.1'\ntracer_provider:\n  processors:\n    - simple:\n        "
             "exporter:\n          console:\n  sampler:\n    see:\n      %s\n",
             text);
    seen = NULL;
    if (parse(file, fault, &config) != 0)
        return NULL;
    CHECK(same(config->sampler->plugin.name, "see"));
    seen = config->sampler->plugin.properties;
    return config;
}

static const struct {
    const char *text;
    char type;        /* s, b, i, f, n; 0: a fault */
    const char *want; /* s: text; else a number */
} substitutions[] = {
    {"key: ${STRING_VALUE}", 's', "value"},
    {"key: ${BOOL_VALUE}", 'b', "1"},
    {"key: ${INT_VALUE}", 'i', "1"},
    {"key: ${FLOAT_VALUE}", 'f', "1.1"},
    {"key: ${HEX_VALUE}", 'i', "3735928559"},
    {"key: \"${STRING_VALUE}\"", 's', "value"},
    {"key: \"${BOOL_VALUE}\"", 's', "true"},
    {"key: \"${INT_VALUE}\"", 's', "1"},
    {"key: \"${FLOAT_VALUE}\"", 's', "1.1"},
    {"key: \"${HEX_VALUE}\"", 's', "0xdeadbeef"},
    {"key: ${env:STRING_VALUE}", 's', "value"},
    {"key: ${INVALID_MAP_VALUE}", 's', "value\nkey:value"},
    {"key: foo ${STRING_VALUE} ${FLOAT_VALUE}", 's', "foo value 1.1"},
    {"key: ${UNDEFINED_KEY}", 'n', ""},
    {"key: ${UNDEFINED_KEY:-fallback}", 's', "fallback"},
    {"key: ${EMPTY:-fallback}", 's', "fallback"},
    {"key: ${EMPTY:-}", 'n', ""},
    {"key: ${UNDEFINED_KEY:-7}", 'i', "7"},
    {"key: ${STRING_VALUE:-fallback}", 's', "value"},
    {"key: ${env:UNDEFINED_KEY:-a:-b}", 's', "a:-b"},
    {"key: ${REPLACE_ME}", 's', "${DO_NOT_REPLACE_ME}"},
    {"key: ${UNDEFINED_KEY:-${STRING_VALUE}}", 's', "${STRING_VALUE}"},
    {"key: ${STRING_VALUE:?error}", 0, NULL},
    {"key: ${1API_KEY}", 0, NULL},
    {"key: ${API_$KEY}", 0, NULL},
    {"key: ${other:STRING_VALUE}", 0, NULL},
    {"key: $${STRING_VALUE}", 's', "${STRING_VALUE}"},
    {"key: $$${STRING_VALUE}", 's', "$value"},
    {"key: $$$${STRING_VALUE}", 's', "$${STRING_VALUE}"},
    {"key: $${STRING_VALUE:-fallback}", 's', "${STRING_VALUE:-fallback}"},
    {"key: $${STRING_VALUE:-${STRING_VALUE}}", 's', "${STRING_VALUE:-value}"},
    {"key: ${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", 's', "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"},
    {"key: ${VALUE_WITH_ESCAPE}", 's', "value$$"},
    {"key: a $$ b", 's', "a $ b"},
    {"key: a $ b", 's', "a $ b"},
    {"key: ${}", 's', "${}"},
    {"key: ${STRING_VALUE", 's', "${STRING_VALUE"},
    {"key: $", 's', "$"},
    /* the core schema's types */
    {"key: 0o17", 'i', "15"},
    {"key: -7", 'i', "-7"},
    {"key: 1e3", 'f', "1000"},
    {"key: .5", 'f', "0.5"},
    {"key: yes", 's', "yes"},
    {"key: ~", 'n', ""},
    {"key: False", 'b', "0"},
};

TEST(substitution_by_the_specifications_table)
{
    for (size_t i = 0; i < TEST_LEN(substitutions); i++) {
        skua_otel_config_fault fault;
        skua_otel_config *config = plugin_sees(substitutions[i].text, &fault);
        const char *text = NULL;
        int64_t i64 = -1;
        double f64 = -1;
        int truth = -1;

        test_variant(substitutions[i].text);
        CHECK_EQ(config != NULL, substitutions[i].type != 0);
        if (config == NULL) {
            CHECK_EQ(fault.line, substitutions[i].type == 0 ? 9 : 0);
            continue;
        }
        CHECK_EQ(skua_otel_properties_str(seen, "key", &text), substitutions[i].type == 's' ? 0
                                                               : substitutions[i].type == 'n'
                                                                   ? -ENOENT
                                                                   : -EINVAL);
        switch (substitutions[i].type) {
        case 's':
            CHECK(same(text, substitutions[i].want));
            break;
        case 'b':
            CHECK_EQ(skua_otel_properties_bool(seen, "key", &truth), 0);
            CHECK_EQ(truth, *substitutions[i].want - '0');
            break;
        case 'i':
            CHECK_EQ(skua_otel_properties_i64(seen, "key", &i64), 0);
            CHECK_EQ(i64, strtoll(substitutions[i].want, NULL, 10));
            break;
        case 'f':
            CHECK_EQ(skua_otel_properties_f64(seen, "key", &f64), 0);
            CHECK(f64 == strtod(substitutions[i].want, NULL));
            break;
        }
        skua_otel_config_free(config);
    }
}

TEST(keys_are_not_substituted)
{
    skua_otel_config *config = plugin_sees("${STRING_VALUE}: value", NULL);
    const char *text;

    MUST(config != NULL);
    CHECK_EQ(skua_otel_properties_str(seen, "${STRING_VALUE}", &text), 0);
    skua_otel_config_free(config);
}

TEST(plugins_ask_about_their_properties)
{
    skua_otel_config *config = plugin_sees("{a: {b: [1, {c: d}, x]}, n: null}", NULL);
    const skua_otel_properties *a, *item;
    const char *text;
    int64_t i64;

    MUST(config != NULL);
    CHECK_EQ(skua_otel_properties_child(seen, "a", &a), 0);
    CHECK_EQ(skua_otel_properties_child(seen, "n", &item), -ENOENT);
    CHECK_EQ(skua_otel_properties_child(a, "b", &item), -EINVAL);
    CHECK_EQ(skua_otel_properties_item(a, "b", 0, &item), 0);
    CHECK_EQ(skua_otel_properties_i64(item, "", &i64), 0);
    CHECK_EQ(skua_otel_properties_item(a, "b", 1, &item), 0);
    CHECK_EQ(skua_otel_properties_str(item, "c", &text), 0);
    CHECK_EQ(skua_otel_properties_item(a, "b", 3, &item), -ENOENT);
    CHECK_EQ(skua_otel_properties_str(NULL, "c", &text), -ENOENT);
    skua_otel_config_free(config);
    CHECK_EQ(skua_otel_provide(&see_provider), -EEXIST);
}

/* ---- a whole one ----------------------------------------------------------------------------- */

static const char whole[] =
    "file_format: '1.1'\n"
    "disabled: false\n"
    "log_level: warn\n"
    "logger_provider:\n"
    "  processors: [{simple: {exporter: {otlp_file/development: {output_stream: file:///l}}}}]\n"
    "  limits: {attribute_count_limit: 9}\n"
    "attribute_limits:\n"
    "  attribute_value_length_limit: 100\n"
    "  attribute_count_limit: 50\n"
    "resource:\n"
    "  attributes:\n"
    "    - {name: service.name, value: shop}\n"
    "    - {name: n, value: 3}\n"
    "    - {name: d, value: 3, type: double}\n"
    "    - {name: list, value: [a, b], type: string_array}\n"
    "    - {name: mixed, value: [1, 2.5]}\n"
    "  attributes_list: service.name=other,team=a%20b\n"
    "  schema_url: https://opentelemetry.io/schemas/1.34.0\n"
    "  detection/development:\n"
    "    attributes: {included: [process.*], excluded: [process.command_args]}\n"
    "    detectors: [{process: }, {host: }]\n"
    "propagator:\n"
    "  composite: [{tracecontext: }, {baggage: }]\n"
    "  composite_list: b3,tracecontext\n"
    "tracer_provider:\n"
    "  processors:\n"
    "    - batch:\n"
    "        schedule_delay: 7\n"
    "        max_queue_size: 100\n"
    "        exporter:\n"
    "          otlp_http:\n"
    "            endpoint: https://c/v1/traces\n"
    "            tls: {ca_file: /ca, key_file: /key, cert_file: /cert}\n"
    "            headers: [{name: api-key, value: '${INT_VALUE}x'}]\n"
    "            headers_list: API-KEY=no,other=yes\n"
    "            compression: gzip\n"
    "            timeout: 5\n"
    "            encoding: json\n"
    "    - simple: {exporter: {otlp_grpc: {endpoint: c:4317, tls: {insecure: true}}}}\n"
    "  limits: {event_count_limit: 3, attribute_count_limit: 60}\n"
    "  sampler:\n"
    "    parent_based:\n"
    "      root: {trace_id_ratio_based: {ratio: 0.25}}\n"
    "      local_parent_not_sampled: {always_record: {root: {always_off: }}}\n"
    "  tracer_configurator/development:\n"
    "    default_config: {enabled: false}\n"
    "    tracers: [{name: io.*, config: {enabled: true}}]\n"
    "meter_provider:\n"
    "  readers:\n"
    "    - periodic:\n"
    "        interval: 5\n"
    "        exporter: {otlp_http: {temporality_preference: delta, default_histogram_aggregation: "
    "base2_exponential_bucket_histogram}}\n"
    "        cardinality_limits: {default: 5, histogram: 6}\n"
    "    - pull: {exporter: {prometheus/development: {host: h, port: 1, scope_info_enabled: "
    "false}}}\n"
    "  views:\n"
    "    - selector: {instrument_name: a*, instrument_type: histogram, meter_name: m}\n"
    "      stream:\n"
    "        name: b\n"
    "        aggregation: {explicit_bucket_histogram: {boundaries: [1, 2.5], record_min_max: "
    "false}}\n"
    "        attribute_keys: {excluded: [x]}\n"
    "        aggregation_cardinality_limit: 4\n"
    "  exemplar_filter: always_off\n"
    "instrumentation/development: {general: {anything: 1}}\n";

TEST(a_whole_file_is_read)
{
    skua_otel_config_fault fault = {.line = 0};
    const struct skua__config_exporter *exporter;
    skua_otel_config *config;

    if (!CHECK_EQ(parse(whole, &fault, &config), 0)) {
        test_note("%d: %s", fault.line, fault.text);
        return;
    }
    CHECK_EQ(config->log_level, 13);
    CHECK(same(config->propagators, "tracecontext,baggage,b3,tracecontext"));
    CHECK_EQ(config->span_limits.value_len, 100);
    CHECK_EQ(config->span_limits.attrs, 60);
    CHECK_EQ(config->span_limits.events, 3);
    CHECK_EQ(config->log_limits.value_len, 100);
    CHECK_EQ(config->log_limits.attrs, 9);
    CHECK_EQ(config->resource.attrs_count, 6);
    CHECK(same(config->resource.attrs[0].value.str, "shop"));
    CHECK_EQ(config->resource.attrs[1].value.i64, 3);
    CHECK_EQ(config->resource.attrs[2].type, SKUA_ATTR_F64);
    CHECK(same(config->resource.attrs[3].value.strs[1], "b"));
    CHECK(config->resource.attrs[4].value.f64s[1] == 2.5);
    CHECK(same(config->resource.attrs[5].value.str, "a b"));
    CHECK_EQ(config->resource.detectors, SKUA__DETECT_PROCESS | SKUA__DETECT_HOST);
    CHECK(same(config->resource.detected.excluded.at[0], "process.command_args"));
    CHECK_EQ(config->spans_count, 2);
    CHECK_EQ(config->spans[0].schedule_delay, 7 * SKUA_MILLISECOND);
    CHECK_EQ(config->spans[0].max_batch, 100);
    exporter = &config->spans[0].exporter;
    CHECK_EQ(exporter->protocol, SKUA__OTLP_HTTP_JSON);
    CHECK_EQ(exporter->headers_count, 2);
    CHECK(same(exporter->headers[0].value, "1x") && same(exporter->headers[1].name, "other"));
    CHECK(exporter->gzip && exporter->timeout == 5 * SKUA_MILLISECOND);
    CHECK(same(exporter->ca_file, "/ca") && same(exporter->cert_file, "/cert"));
    CHECK(config->spans[1].simple && config->spans[1].exporter.insecure);
    CHECK_EQ(config->spans[1].exporter.protocol, SKUA__OTLP_GRPC);
    CHECK_EQ(config->sampler->kind, SKUA__SAMPLER_PARENT_BASED);
    CHECK(config->sampler->root->ratio == 0.25);
    CHECK_EQ(config->sampler->local_not->root->kind, SKUA__SAMPLER_ALWAYS_OFF);
    CHECK(config->tracers.all.disabled && !config->tracers.at[0].disabled);
    CHECK(config->logs[0].simple && same(config->logs[0].exporter.output, "file:///l"));
    CHECK_EQ(config->readers_count, 2);
    CHECK_EQ(config->readers[0].cardinality.histogram, 6);
    CHECK(config->readers[0].exporter.exponential);
    CHECK_EQ(config->readers[0].exporter.temporality, SKUA__TEMPORALITY_DELTA);
    CHECK(config->readers[1].pull && config->readers[1].exporter.port == 1);
    CHECK(config->readers[1].exporter.no_scope_info);
    CHECK_EQ(config->views[0].type, SKUA__INSTRUMENT_HISTOGRAM);
    CHECK(config->views[0].bounds[1] == 2.5 && config->views[0].no_min_max);
    CHECK_EQ(config->views[0].cardinality, 4);
    CHECK_EQ(config->exemplars, SKUA__EXEMPLARS_ALWAYS_OFF);
    skua_otel_config_free(config);
}

/* What a file does not say is not there: no propagators, no providers. */
TEST(an_empty_file_exports_nothing)
{
    skua_otel_config *config;

    MUST(parse("file_format: '1.1'\n", NULL, &config) == 0);
    CHECK(same(config->propagators, ""));
    CHECK_EQ(config->spans_count + config->logs_count + config->readers_count, 0);
    CHECK_EQ(config->resource.detectors, 0);
    CHECK_EQ(config->span_limits.attrs, 128);
    skua_otel_config_free(config);
}

/* ---- faults ---------------------------------------------------------------------------------- */

#define HEAD "file_format: '1.1'\n"
#define TRACES HEAD "tracer_provider:\n  processors: [{simple: {exporter: {console: }}}]\n"

static const struct {
    const char *text, *says;
    int line;
} faults[] = {
    {"", "nothing in it", 1},
    {"a: [", "", 2},
    {"- a\n", "not a mapping", 1},
    {"disabled: true\n", "no file_format", 1},
    {"file_format: '2.0'\n", "file_format", 1},
    {"file_format: 1.1\n", "file_format", 1}, /* a number */
    {HEAD "disabled: 1\n", "neither true nor false", 2},
    {HEAD "log_level: loud\n", "no severity", 2},
    {HEAD "what: 1\n", "not known", 2},
    {HEAD "disabled: true\ndisabled: true\n", "twice", 3},
    {HEAD "\"disabled\\0x\": true\n", "no text", 2},
    {HEAD "\"a\\0b\": x\n", "no text", 2},
    {HEAD "tracer_provider: {}\n", "no processors", 2},
    {HEAD "tracer_provider: {processors: []}\n", "nothing in it", 2},
    {HEAD "tracer_provider: {processors: [{batch: {}}]}\n", "no exporter", 2},
    {HEAD "tracer_provider:\n  processors:\n    - batch: {exporter: {console: , x: }}\n",
     "one member", 4},
    {HEAD "tracer_provider:\n  processors:\n    - nobody: {}\n", "no plugin", 4},
    {TRACES "  sampler: {nobody: }\n", "no plugin", 4},
    {TRACES "  sampler: {trace_id_ratio_based: {ratio: 2}}\n", "from 0 to 1", 4},
    {TRACES "  sampler: {jaeger_remote/development: {endpoint: 'http://a', interval: 0}}\n",
     "whole number", 4},
    {TRACES "  limits: {attribute_count_limit: -1}\n", "whole number", 4},
    {TRACES "  limits: {attribute_count_limit: 1.5}\n", "whole number", 4},
    {TRACES "  limits: {attribute_count_limit: '1'}\n", "whole number", 4},
    {TRACES "  limits: {what: 1}\n", "not known", 4},
    {HEAD "propagator: {composite: [{xray: }]}\n", "no propagator", 2},
    {HEAD "resource: {attributes: [{name: a, value: x, type: int}]}\n", "of its type", 2},
    {HEAD "resource: {attributes: [{name: a}]}\n", "no value", 2},
    {HEAD "resource: &a {x: *a}\n", "", 0},
    {HEAD "meter_provider: {readers: [{pull: {exporter: {console: }}}]}\n", "no plugin", 2},
    {HEAD "meter_provider: {readers: [{periodic: {interval: 0, exporter: {console: }}}]}\n",
     "whole number", 2},
};

TEST(what_is_wrong_is_told_with_its_line)
{
    for (size_t i = 0; i < TEST_LEN(faults); i++) {
        skua_otel_config_fault fault;
        skua_otel_config *config;

        test_variant(faults[i].text);
        CHECK_EQ(parse(faults[i].text, &fault, &config), -EINVAL);
        CHECK(config == NULL);
        if (!CHECK(strstr(fault.text, faults[i].says) != NULL))
            test_note("%s", fault.text);
        if (faults[i].line != 0)
            CHECK_EQ(fault.line, faults[i].line);
    }
}

TEST(secrets_are_not_told)
{
    skua_otel_config_fault fault;
    skua_otel_config *config;

    CHECK_EQ(parse(HEAD "tracer_provider: {processors: [{simple: {exporter: {otlp_http: "
                        "{headers_list: 'a=%secret'}}}}]}\n",
                   &fault, &config),
             -EINVAL);
    CHECK(strstr(fault.text, "secret") == NULL);
}

/* Aliases of aliases: a few bytes that would be a billion nodes. */
TEST(a_bomb_of_aliases_is_bounded)
{
    char text[2048] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
    skua_otel_config_fault fault;
    skua_otel_config *config;
    size_t len = strlen(text);

    for (char c = 'b'; c < 'm'; c++)
        len += (size_t)sprintf(text + len, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c,
                               c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
    CHECK_EQ(parse(text, &fault, &config), -EINVAL);
    CHECK(strstr(fault.text, "more than") != NULL);
}

/* A long text many times, and more keys than can be compared with each other. */
TEST(text_and_members_are_bounded)
{
    enum { TEXT = 100000, TIMES = 1000 };
    char *text = malloc(2 * TEXT);
    skua_otel_config_fault fault;
    skua_otel_config *config;
    size_t len;

    MUST(text != NULL);
    len = (size_t)sprintf(text, "a: &a %0*d\nb: [", TEXT, 7);
    for (int i = 0; i < TIMES; i++)
        len += (size_t)sprintf(text + len, "*a, ");
    strcpy(text + len, "]\n");
    CHECK_EQ(parse(text, &fault, &config), -EINVAL);
    CHECK(strstr(fault.text, "bytes of text") != NULL);
    len = 0;
    for (int i = 0; i < 3 * TIMES; i++)
        len += (size_t)sprintf(text + len, "k%d: x\n", i);
    CHECK_EQ(parse(text, &fault, &config), -EINVAL);
    CHECK(strstr(fault.text, "members") != NULL);
    free(text);
}

TEST(files_are_read)
{
    static const struct {
        const char *path;
        int rc;
    } cases[] = {{"/nowhere/x.yaml", -ENOENT}, {"/etc/passwd", -EINVAL}, {"/proc", -EINVAL}};
    char path[] = "/tmp/skua-otel-XXXXXX.yaml";
    skua_otel_config_fault fault;
    skua_otel_config *config;
    int fd = mkstemps(path, 5);

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        CHECK_EQ(skua_otel_config_parse(cases[i].path, &fault, &config), cases[i].rc);
        CHECK(fault.text[0] != '\0');
    }
    MUST(fd >= 0 && write(fd, whole, sizeof whole - 1) == sizeof whole - 1);
    close(fd);
    CHECK_EQ(skua_otel_config_parse(path, &fault, &config), 0);
    CHECK(config != NULL && config->from_file);
    skua_otel_config_free(config);
    unlink(path);
}

/* ---- hostile --------------------------------------------------------------------------------- */

TEST(random_changes_do_no_harm)
{
    static const char *const words[] = {": ",
                                        "\n",
                                        "  ",
                                        "- ",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "${",
                                        "$$",
                                        "&a ",
                                        "*a",
                                        "null",
                                        "'",
                                        "\"",
                                        "-1",
                                        "9999999999999999999"};
    uint64_t seed = test_seed();
    int good = 0;

    for (int i = 0; i < TEST_COUNT(1500); i++) {
        static char text[sizeof whole + 256];
        size_t len = sizeof whole - 1;
        skua_otel_config_fault fault;
        skua_otel_config *config;

        memcpy(text, whole, len);
        for (uint64_t n = test_random(&seed) % 4; n > 0; n--) {
            const char *word = words[test_random(&seed) % TEST_LEN(words)];
            size_t at = test_random(&seed) % len, size = strlen(word);

            memmove(text + at + size, text + at, len - at);
            memcpy(text + at, word, size);
            len += size;
        }
        good += skua__config_from_text(&env, text, len, &fault, &config) == 0;
        CHECK(config != NULL || fault.text[0] != '\0');
        skua_otel_config_free(config);
    }
    CHECK(good > 0);
}

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(files_without_memory)
{
    unsigned n = 0;
    int rc;

    do {
        skua_otel_config *config;

        skua__fault_arm(SKUA__FAULT_MALLOC, ++n, 1, ENOMEM);
        rc = parse(whole, NULL, &config);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK((rc == 0) == (config != NULL));
        skua_otel_config_free(config);
    } while (rc != 0 && n < 2000);
    CHECK_RANGE(n, 100, 1999);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(substitution_by_the_specifications_table),
        cmocka_unit_test(keys_are_not_substituted),
        cmocka_unit_test(plugins_ask_about_their_properties),
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(an_empty_file_exports_nothing),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(secrets_are_not_told),
        cmocka_unit_test(a_bomb_of_aliases_is_bounded),
        cmocka_unit_test(text_and_members_are_bounded),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(random_changes_do_no_harm),
#ifdef SKUA_FAULTS
        cmocka_unit_test(files_without_memory),
#endif
    };
    skua_otel_config *config;

    if (skua_otel_config_parse_text("", 0, NULL, &config) == -ENOSYS) {
        fprintf(stderr, "skipped: built without libyaml\n");
        return 77;
    }
    (void)skua_otel_provide(&see_provider);
    return TEST_MAIN(tests);
}
