/* test_otel_remote.c - a sampler that a collector rules: its answers, what they do to spans, and
 * what a collector that fails does not.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/http/server.h>
#include <skua/otel/config.h>
#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "../http/served.h"
#include "otel/config/config_impl.h"
#include "otel/remote/remote_impl.h"

/* ---- answers --------------------------------------------------------------------------------- */

#define OPS(more) "{\"operationSampling\":{\"defaultSamplingProbability\":0.5" more "}}"
#define OP(name, rate)                                                                             \
    "{\"operation\":" name ",\"probabilisticSampling\":{\"samplingRate\":" rate "}}"

static const struct {
    const char *text;
    int rc;
    double ratio, rate, lower;
    size_t ops;
} answers[] = {
    {"{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":0.25}}", 0,
     0.25, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":1e-3},\"more\":[1,{}]}", 0, 0.001, 0, 0, 0},
    {"{\"strategyType\":1,\"rateLimitingSampling\":{\"maxTracesPerSecond\":7}}", 0, 0, 7, 0, 0},
    {OPS(""), 0, 0.5, 0, 0, 0},
    {OPS(",\"defaultLowerBoundTracesPerSecond\":0.5"), 0, 0.5, 0, 0.5, 0},
    {OPS(",\"perOperationStrategies\":[" OP("\"a\"", "1") "," OP("\"b\"", "0") "]"), 0, 0.5, 0, 0,
     2},
    {OPS(",\"perOperationStrategies\":[" OP("7", "1") ",{},{\"operation\":\"c\"}]"), 0, 0.5, 0, 0,
     0},
    {OPS(",\"perOperationStrategies\":null"), 0, 0.5, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":0.9},\"operationSampling\":"
     "{\"defaultSamplingProbability\":0.5}}",
     0, 0.5, 0, 0, 0},
    {"{\"operationSampling\":{\"defaultSamplingProbability\":0.5},"
     "\"probabilisticSampling\":{\"samplingRate\":0.9}}",
     0, 0.5, 0, 0, 0},
    {"{}", -EBADMSG, 0, 0, 0, 0},
    {"", -EBADMSG, 0, 0, 0, 0},
    {"[]", -EBADMSG, 0, 0, 0, 0},
    {"{\"operationSampling\":{}}", -EBADMSG, 0, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":1.5}}", -EBADMSG, 0, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":-1}}", -EBADMSG, 0, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":\"1\"}}", -EBADMSG, 0, 0, 0, 0},
    {"{\"rateLimitingSampling\":{\"maxTracesPerSecond\":1e12}}", -EBADMSG, 0, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":0.5}", -EBADMSG, 0, 0, 0, 0},
    {"{\"probabilisticSampling\":{\"samplingRate\":0.5}}x", -EBADMSG, 0, 0, 0, 0},
};

TEST(remote_answers_are_read)
{
    for (size_t i = 0; i < TEST_LEN(answers); i++) {
        struct skua__remote_told told;
        int rc = skua__remote_read(answers[i].text, strlen(answers[i].text), &told);

        if (!CHECK_EQ(rc, answers[i].rc) ||
            (rc == 0 && (!CHECK(told.ratio == answers[i].ratio && told.rate == answers[i].rate &&
                                told.lower == answers[i].lower) ||
                         !CHECK_EQ(told.ops_count, answers[i].ops))))
            test_note("%s", answers[i].text);
        skua__remote_told_free(&told);
    }
}

/* Cut anywhere, and with any byte changed, it is read or refused, and no more. */
TEST(remote_answers_of_a_stranger)
{
    static const char whole[] = OPS(",\"perOperationStrategies\":[" OP("\"a\\u0041\"", "1") "]");
    char text[sizeof whole];
    struct skua__remote_told told;

    for (size_t i = 0; i < sizeof whole - 1; i++) {
        char *exact = malloc(i + 1);

        MUST(exact != NULL);
        memcpy(exact, whole, i);
        CHECK_EQ(skua__remote_read(exact, i, &told), -EBADMSG);
        skua__remote_told_free(&told);
        free(exact);
        for (int c = 0; c < 256; c += 3) {
            memcpy(text, whole, sizeof whole);
            text[i] = (char)c;
            (void)skua__remote_read(text, sizeof whole - 1, &told);
            skua__remote_told_free(&told);
        }
    }
}

/* ---- rules ----------------------------------------------------------------------------------- */

static struct skua__remote *remote_with(const char *answer)
{
    struct skua__remote *remote;
    struct skua__remote_told told;

    MUST(skua__remote_new(&remote, "http://x", SKUA_SECOND, skua_otel_sampler_always_on()) == 0);
    if (answer != NULL) {
        MUST(skua__remote_read(answer, strlen(answer), &told) == 0);
        CHECK_EQ(skua__remote_rule(remote, &told), 0);
        skua__remote_told_free(&told);
    }
    return remote;
}

static void rule(struct skua__remote *remote, const char *answer)
{
    struct skua__remote_told told;

    MUST(skua__remote_read(answer, strlen(answer), &told) == 0);
    CHECK_EQ(skua__remote_rule(remote, &told), 0);
    skua__remote_told_free(&told);
}

/* How many of 1,000 spans with even ids are kept. */
static int kept(struct skua__remote *remote, const char *name)
{
    skua_otel_sampler *sampler = skua__remote_sampler(remote);
    int count = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint8_t id[16] = {1};
        uint64_t random = (UINT64_C(1) << 56) / 1000 * i;
        skua_otel_sampler_result result = {.attrs = NULL};
        skua_otel_sampler_input input = {.trace_id = id, .name = name};

        random = __builtin_bswap64(random);
        memcpy(id + 8, &random, 8);
        count += sampler->sample(sampler, &input, &result) == SKUA_OTEL_SAMPLE;
    }
    return count;
}

TEST_FIBER_CLOCK(remote_rules_are_followed)
{
    struct skua__remote *remote = remote_with(NULL);

    CHECK_EQ(kept(remote, "a"), 1000); /* nothing was told: the initial one */
    rule(remote, "{\"probabilisticSampling\":{\"samplingRate\":0.25}}");
    CHECK_RANGE(kept(remote, "a"), 249, 251);
    rule(remote, OPS(",\"perOperationStrategies\":[" OP("\"a\"", "1") "," OP("\"b\"", "0") "]"));
    CHECK_EQ(kept(remote, "a"), 1000);
    CHECK_EQ(kept(remote, "b"), 0);
    CHECK_RANGE(kept(remote, "c"), 499, 501);
    rule(remote, OPS(",\"perOperationStrategies\":[" OP("\"b\"", "0.1") "]"));
    CHECK_RANGE(kept(remote, "a"), 499, 501); /* it is not told any more */
    CHECK_RANGE(kept(remote, "b"), 99, 101);
    rule(remote, "{\"rateLimitingSampling\":{\"maxTracesPerSecond\":7}}");
    (void)skua_sleep(2 * SKUA_SECOND);
    CHECK_EQ(kept(remote, "a"), 7);
    CHECK_EQ(kept(remote, "b"), 0); /* they have one rate */
    (void)skua_sleep(SKUA_SECOND);
    CHECK_EQ(kept(remote, "b"), 7);
    rule(remote, "{\"rateLimitingSampling\":{\"maxTracesPerSecond\":0}}");
    CHECK_EQ(kept(remote, "a"), 0);
    rule(remote, OPS(",\"defaultLowerBoundTracesPerSecond\":2,"
                     "\"perOperationStrategies\":[" OP("\"b\"", "0") "]"));
    (void)skua_sleep(SKUA_SECOND);
    CHECK_EQ(kept(remote, "b"), 2); /* so many at least */
    skua_otel_sampler_free(skua__remote_sampler(remote));
    return 0;
}

/* A rate that was slow holds up nothing once it is not told any more. */
TEST_FIBER_CLOCK(remote_a_slow_rule_is_forgotten)
{
    struct skua__remote *remote =
        remote_with("{\"rateLimitingSampling\":{\"maxTracesPerSecond\":0.001}}");

    CHECK_EQ(kept(remote, "a"), 1);
    rule(remote, "{\"rateLimitingSampling\":{\"maxTracesPerSecond\":10}}");
    CHECK_EQ(kept(remote, "a"), 10);
    (void)skua_sleep(SKUA_SECOND);
    CHECK_EQ(kept(remote, "a"), 10);
    rule(remote, OPS(",\"defaultLowerBoundTracesPerSecond\":0.001,"
                     "\"perOperationStrategies\":[" OP("\"b\"", "0") "]"));
    CHECK_EQ(kept(remote, "b"), 1);
    rule(remote, OPS(",\"defaultLowerBoundTracesPerSecond\":5,"
                     "\"perOperationStrategies\":[" OP("\"b\"", "0") "]"));
    (void)skua_sleep(SKUA_SECOND);
    CHECK_EQ(kept(remote, "b"), 5);
    skua_otel_sampler_free(skua__remote_sampler(remote));
    return 0;
}

/* A collector that names others each time: memory is bounded, the rest is ruled as all are. */
TEST(remote_operations_are_bounded)
{
    struct skua__remote *remote = remote_with(NULL);
    struct skua__remote_told told = {.has_ops = true, .ops_count = 1};
    struct skua__remote_op op = {.ratio = 1};

    told.ops = &op;
    for (int i = 0; i < 2 * SKUA__REMOTE_OPS; i++) {
        (void)snprintf(op.name, sizeof op.name, "op %d", i);
        CHECK_EQ(skua__remote_rule(remote, &told), 0);
    }
    CHECK_EQ(kept(remote, op.name), 0);
    (void)strcpy(op.name, "op 7");
    CHECK_EQ(skua__remote_rule(remote, &told), 0);
    CHECK_EQ(kept(remote, "op 7"), 1000);
    skua_otel_sampler_free(skua__remote_sampler(remote));
}

TEST(remote_without_memory)
{
#ifdef SKUA_FAULTS
    static const char text[] = OPS(",\"perOperationStrategies\":[" OP("\"a\"", "1") "]");
    skua_otel_sampler *on = skua_otel_sampler_always_on();
    struct skua__remote_told told;
    struct skua__remote *remote;

    for (unsigned n = 1; n <= 3; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        CHECK_EQ(skua__remote_new(&remote, "http://x", 1, on), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua__remote_read(text, sizeof text - 1, &told), -ENOMEM);
    skua__remote_told_free(&told);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    remote = remote_with(NULL);
    CHECK_EQ(skua__remote_read(text, sizeof text - 1, &told), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua__remote_rule(remote, &told), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_RANGE(kept(remote, "a"), 499, 501); /* as all */
    CHECK_EQ(skua__remote_rule(remote, &told), 0);
    CHECK_EQ(kept(remote, "a"), 1000);
    skua__remote_told_free(&told);
    skua_otel_sampler_free(skua__remote_sampler(remote));
#endif
}

/* ---- a collector ----------------------------------------------------------------------------- */

static struct {
    struct served served;
    atomic_uint asked;
    _Atomic(const char *) answer; /* NULL: 500 */
    char query[128];
} ruler;

static int rules(skua_http_exchange *exchange, void *state)
{
    const char *answer = atomic_load(&ruler.answer);

    (void)state;
    if (strcmp(skua_http_path(exchange), "/sampling") != 0)
        answer = NULL;
    if (atomic_load(&ruler.asked) == 0)
        (void)snprintf(ruler.query, sizeof ruler.query, "%s",
                       skua_http_query(exchange) != NULL ? skua_http_query(exchange) : "");
    (void)atomic_fetch_add(&ruler.asked, 1);
    return skua_http_reply(exchange, answer != NULL ? 200 : 500, "application/json",
                           answer != NULL ? answer : "", answer != NULL ? strlen(answer) : 0);
}

static void ruler_begin(const char *answer)
{
    skua_span_frame frame;

    atomic_store(&ruler.asked, 0);
    atomic_store(&ruler.answer, answer);
    MUST(skua_trace_suppress(&frame) == 0);
    served_begin(&ruler.served, rules, NULL, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(200)));
    (void)skua_span_leave(&frame);
}

/* Until it has been asked so often again, twice: what was told first is in force then. */
static void asked_again(void)
{
    unsigned before = atomic_load(&ruler.asked);
    int64_t until = skua_now() + 2 * TEST_LATE;

    while (atomic_load(&ruler.asked) < before + 3) {
        (void)skua_sleep(MS(5));
        MUST(skua_now() < until);
    }
}

static bool samples(void)
{
    static skua_tracer tracer = SKUA_TRACER("test.remote", "1");
    skua_span *span = skua_span_start(&tracer, "work", NULL);
    bool recording = skua_span_recording(span);

    skua_span_end(span);
    return recording;
}

static char warned[512];

static void warns(void *arg, const char *line)
{
    (void)arg;
    (void)snprintf(warned, sizeof warned, "%s", line);
}

/* It rules, changes its mind, fails, and is gone. */
static int ruled(const skua_otel_options *like)
{
    skua_otel_options options = *like;
    skua_otel_exporter *memory;
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};

    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    options.destinations = &to;
    options.destinations_count = 1;
    options.on_warning = warns;
    warned[0] = '\0';
    MUST(skua_otel_start(&options) == 0);
    asked_again();
    CHECK(samples());
    CHECK(warned[0] == '\0');
    atomic_store(&ruler.answer, "{\"probabilisticSampling\":{\"samplingRate\":0}}");
    asked_again();
    CHECK(!samples());
    atomic_store(&ruler.answer, "{");
    asked_again();
    CHECK(!samples()); /* the last rule stays */
    atomic_store(&ruler.answer, NULL);
    asked_again();
    CHECK(!samples());
    CHECK(strstr(warned, "sampler") != NULL);
    served_end(&ruler.served);
    CHECK(!samples());
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_memory_free(memory);
    return 0;
}

static const char all_of_them[] = "{\"probabilisticSampling\":{\"samplingRate\":1}}";

TEST_FIBER_CURRENT(remote_by_the_environment)
{
    char said[256];
    int rc;

    ruler_begin(all_of_them);
    (void)snprintf(said, sizeof said,
                   "endpoint=http://%s,pollingIntervalMs=10,initialSamplingRate=0",
                   ruler.served.address);
    (void)setenv("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote", 1);
    (void)setenv("OTEL_TRACES_SAMPLER_ARG", said, 1);
    (void)setenv("OTEL_SERVICE_NAME", "my shop", 1);
    rc = ruled(SKUA_OTEL_OPTIONS(.self_metrics_off = 1));
    CHECK_EQ(strcmp(ruler.query, "service=my%20shop"), 0);
    (void)unsetenv("OTEL_TRACES_SAMPLER");
    (void)unsetenv("OTEL_TRACES_SAMPLER_ARG");
    (void)unsetenv("OTEL_SERVICE_NAME");
    return rc;
}

TEST_FIBER_CURRENT(remote_by_a_file)
{
    char text[512];
    skua_otel_config_fault fault;
    skua_otel_config *config;
    int rc;

    ruler_begin(all_of_them);
    (void)snprintf(text, sizeof text,
                   "file_format: '1.1'\n"
                   "tracer_provider:\n"
                   "  processors: [{simple: {exporter: {console: }}}]\n"
                   "  sampler: {jaeger_remote/development: {endpoint: 'http://%s/sampling',\n"
                   "            interval: 10, initial_sampler: {always_off: }}}\n",
                   ruler.served.address);
    rc = skua_otel_config_parse_text(text, strlen(text), &fault, &config);
    if (rc == -ENOSYS) {
        served_end(&ruler.served);
        return 0;
    }
    if (!CHECK_EQ(rc, 0))
        test_note("line %d: %s", fault.line, fault.text);
    MUST(rc == 0);
    return ruled(SKUA_OTEL_OPTIONS(.config = config, .environment_off = 1));
}

/* ---- forks ----------------------------------------------------------------------------------- */

static struct {
    atomic_uint ready, stop;
} ruling;

static int rules_until_told(void *arg)
{
    (void)arg;
    ruler_begin("{\"probabilisticSampling\":{\"samplingRate\":0}}");
    atomic_store(&ruling.ready, 1);
    while (atomic_load(&ruling.stop) == 0)
        (void)skua_sleep(MS(5));
    served_end(&ruler.served);
    return 0;
}

static void *ruler_of_a_thread(void *arg)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, rules_until_told, arg);
    test_runtime_free(runtime);
    return NULL;
}

/* Whether spans become as wanted. */
static bool samples_soon(bool wanted)
{
    int64_t until = skua_now() + 2 * TEST_LATE;

    while (samples() != wanted && skua_now() < until)
        (void)usleep(1000);
    return samples() == wanted;
}

/* The rule of the fork's time keeps nothing: no span makes the child's thread, but the child asks
 * all the same, and hears of the next rule. */
TEST(remote_in_the_child_of_a_fork)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    skua_otel_exporter *memory;
    pthread_t thread;
    char said[256];
    int status = -1;
    pid_t child;

    if (TEST_TSAN)
        return;
    MUST(pthread_create(&thread, NULL, ruler_of_a_thread, NULL) == 0);
    while (atomic_load(&ruling.ready) == 0)
        (void)usleep(1000);
    (void)snprintf(said, sizeof said,
                   "endpoint=http://%s,pollingIntervalMs=10,initialSamplingRate=1",
                   ruler.served.address);
    (void)setenv("OTEL_TRACES_SAMPLER", "jaeger_remote", 1);
    (void)setenv("OTEL_TRACES_SAMPLER_ARG", said, 1);
    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .self_metrics_off = 1)) == 0);
    CHECK(samples_soon(false));
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(samples_soon(true) && skua_otel_shutdown(skua_now() + TEST_LATE) == 0 ? 0 : 1);
    atomic_store(&ruler.answer, all_of_them);
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK(samples_soon(true));
    CHECK_EQ(skua_otel_shutdown(skua_now() + TEST_LATE), 0);
    skua_otel_memory_free(memory);
    (void)unsetenv("OTEL_TRACES_SAMPLER");
    (void)unsetenv("OTEL_TRACES_SAMPLER_ARG");
    atomic_store(&ruling.stop, 1);
    (void)pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_answers_are_read),
        cmocka_unit_test(remote_answers_of_a_stranger),
        cmocka_unit_test(remote_rules_are_followed),
        cmocka_unit_test(remote_a_slow_rule_is_forgotten),
        cmocka_unit_test(remote_operations_are_bounded),
        cmocka_unit_test(remote_without_memory),
        cmocka_unit_test(remote_by_the_environment),
        cmocka_unit_test(remote_by_a_file),
        cmocka_unit_test(remote_in_the_child_of_a_fork),
    };

    return TEST_MAIN(tests);
}
