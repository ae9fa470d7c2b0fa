/* test_otel_output.c - telemetry without a network: the writer of JSON, OTLP files, log lines for
 * people, and Zipkin's spans.
 *
 * What the JSON of whole requests means is judged by protobuf's own library (judges/json_judge).
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/log.h>
#include <skua/otel/file.h>
#include <skua/otel/sdk.h>

#include "../lib/harness.h"
#include "otel/otlp/otlp_json.h"
#include "otel/output/output_impl.h"
#include "sample.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- the writer ------------------------------------------------------------------------------ */

static struct skua__json json;

static bool json_is(const char *wanted)
{
    bool same =
        json.error == 0 && json.len == strlen(wanted) && memcmp(json.bytes, wanted, json.len) == 0;

    if (!same)
        test_note("%.*s", (int)json.len, json.bytes != NULL ? json.bytes : "");
    skua__json_begin(&json, SIZE_MAX);
    return same;
}

TEST(json_numbers_read_back_as_they_were)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-42, "-42"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000"},
        {1e16, "1e+16"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "\"NaN\""},
        {INFINITY, "\"Infinity\""},
        {-INFINITY, "\"-Infinity\""},
    };

    skua__json_begin(&json, SIZE_MAX);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua__json_f64(&json, rows[i].value);
        CHECK(json_is(rows[i].text));
    }
    for (int i = 0; i < 10000; i++) {
        static uint64_t state = 88172645463325252;
        uint64_t bits = test_random(&state);
        double value, back;

        memcpy(&value, &bits, sizeof value);
        if (isnan(value) || isinf(value))
            continue;
        skua__json_f64(&json, value);
        skua__json_raw(&json, "", 1);
        back = strtod(json.bytes, NULL);
        CHECK(back == value);
        skua__json_begin(&json, SIZE_MAX);
    }
    skua__json_i64(&json, INT64_MIN);
    CHECK(json_is("\"-9223372036854775808\""));
    skua__json_u64(&json, UINT64_MAX);
    CHECK(json_is("\"18446744073709551615\""));
    skua__json_number(&json, -7);
    CHECK(json_is("-7"));
}

TEST(json_numbers_know_no_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    const char *found = NULL;

    for (size_t i = 0; i < TEST_LEN(names) && found == NULL; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    if (found == NULL)
        test_note("no locale with a comma here");
    skua__json_begin(&json, SIZE_MAX);
    skua__json_f64(&json, 1.5);
    CHECK(json_is("1.5"));
    (void)setlocale(LC_NUMERIC, "C");
}

TEST(json_text_is_escaped_and_repaired)
{
    skua__json_begin(&json, SIZE_MAX);
    skua__json_text(&json, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f", 13);
    CHECK(json_is("\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""));
    skua__json_text(&json, "\xff\"\xc3\xa9\xed\xa0\x80\xc3", 8);
    CHECK(json_is("\"\xef\xbf\xbd\\\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    skua__json_text(&json, "\0", 1);
    CHECK(json_is("\"\\u0000\""));
    skua__json_open(&json, '{');
    skua__json_key(&json, "a");
    skua__json_open(&json, '[');
    skua__json_text(&json, "{", 1);
    skua__json_number(&json, 1);
    skua__json_open(&json, '{');
    skua__json_close(&json, '}');
    skua__json_bool(&json, false);
    skua__json_null(&json);
    skua__json_close(&json, ']');
    skua__json_key(&json, "b");
    skua__json_base64(&json, (const uint8_t *)"\xfb\xff", 2);
    skua__json_close(&json, '}');
    CHECK(json_is("{\"a\":[\"{\",1,{},false,null],\"b\":\"+/8=\"}"));
}

TEST(json_of_a_request_has_its_limit)
{
    size_t whole;

    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        skua__json_begin(&json, SIZE_MAX);
        CHECK_EQ(skua__otlp_json_request(&json, &sample_batches[i]), 0);
        whole = json.len;
        skua__json_begin(&json, whole);
        CHECK_EQ(skua__otlp_json_request(&json, &sample_batches[i]), 0);
        for (size_t max = 0; max < whole; max += 97) {
            skua__json_begin(&json, max);
            CHECK_EQ(skua__otlp_json_request(&json, &sample_batches[i]), -EMSGSIZE);
            CHECK(json.len <= max);
        }
    }
    skua__json_begin(&json, SIZE_MAX);
    CHECK_EQ(skua__otlp_json_request(&json, &(skua_otel_batch){.signal = SKUA_OTEL_LOGS}), 0);
    CHECK(json_is("{}"));
}

TEST(json_values_deeper_than_the_limit_are_cut)
{
    skua_attr levels[200];
    unsigned open = 0;

    levels[199] = SKUA_I64("", 1);
    for (int i = 198; i >= 0; i--)
        levels[i] = skua_attr_many("", SKUA_ATTR_LIST, &levels[i + 1], 1);
    skua__json_begin(&json, SIZE_MAX);
    skua__otlp_json_value(&json, &levels[0], 0);
    CHECK_EQ(json.error, 0);
    for (size_t i = 0; i < json.len; i++)
        open += json.bytes[i] == '[';
    CHECK_EQ(open, SKUA__OTLP_DEPTH + 1);
    skua__json_begin(&json, SIZE_MAX);
    skua__plain_value(&json, &levels[0], 0);
    CHECK(json.error == 0 && memmem(json.bytes, json.len, "null", 4) != NULL);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/skua-output-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* What is in it; "" when it is not there. */
static const char *content(const char *path)
{
    static char text[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    return text;
}

static unsigned lines_of(const char *path)
{
    unsigned lines = 0;

    for (const char *at = content(path); *at != '\0'; at++)
        lines += *at == '\n';
    return lines;
}

static const skua_otel_batch *const one_log =
    &(const skua_otel_batch){SKUA_OTEL_LOGS, 1, &sample_resource, {.logs = &sample_logs[2]}};
#define ONE_LOG                                                                                    \
    "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"       \
    "{\"stringValue\":\"shop\"}},{\"key\":\"pid\",\"value\":{\"intValue\":\"17\"}}],"              \
    "\"droppedAttributesCount\":2},\"scopeLogs\":[{\"scope\":{\"name\":\"second\"},"               \
    "\"logRecords\":[{\"observedTimeUnixNano\":\"6\"}]}],\"schemaUrl\":\"http://r\"}]}\n"

static int64_t send_to(skua_otel_exporter *exporter, const skua_otel_batch *batch)
{
    return exporter->ops->export_batch(exporter, batch, skua_now() + SKUA_SECOND);
}

static void done_with(skua_otel_exporter *exporter)
{
    CHECK_EQ(exporter->ops->shutdown(exporter, skua_now() + SKUA_SECOND), 0);
    exporter->ops->free(exporter);
}

TEST_FIBER_CURRENT(file_has_a_request_a_line)
{
    const char *path = path_of("lines");
    skua_otel_exporter *exporter;
    struct stat about;

    (void)unlink(path);
    CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = path)), 0);
    CHECK(access(path, F_OK) != 0); /* the first export opens it */
    CHECK_EQ(send_to(exporter, one_log), 0);
    CHECK(strcmp(content(path), ONE_LOG) == 0);
    CHECK_EQ(send_to(exporter, &sample_batches[SKUA_OTEL_TRACES]), 0);
    done_with(exporter);
    CHECK_EQ(lines_of(path), 2);
    CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = path)), 0);
    CHECK_EQ(send_to(exporter, &sample_batches[SKUA_OTEL_METRICS]), 0); /* appended */
    done_with(exporter);
    CHECK_EQ(lines_of(path), 3);
    CHECK_EQ(stat(path, &about), 0);
    CHECK_EQ(about.st_mode & 07 & ~(mode_t)0, 0);
    return 0;
}

TEST(file_options)
{
    skua_otel_exporter *exporter;
    skua_otel_file_options options;

    skua_otel_file_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    options.path = "";
    CHECK_EQ(skua_otel_file_new(&exporter, &options), -EINVAL);
    options.path = "x";
    options.rotate = -1;
    CHECK_EQ(skua_otel_file_new(&exporter, &options), -EINVAL);
    options.rotate = 0;
    options.keep = 1001;
    CHECK_EQ(skua_otel_file_new(&exporter, &options), -EINVAL);
    options.keep = 0;
    options.size = 1;
    CHECK_EQ(skua_otel_file_new(&exporter, &options), -EINVAL);
#ifdef SKUA_FAULTS
    for (unsigned n = 1; n <= 2; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = "x")), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_otel_log_console_new(&exporter, NULL), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
#endif
}

TEST(file_rotates_by_size)
{
    static const char *const names[] = {"r", "r.1", "r.2", "r.3"};
    skua_otel_exporter *exporter;

    for (size_t i = 0; i < 4; i++)
        (void)unlink(path_of(names[i]));
    CHECK_EQ(skua_otel_file_new(&exporter,
                                SKUA_OTEL_FILE_OPTIONS(.path = path_of("r"), .keep = 2,
                                                       .rotate = 2 * (int64_t)sizeof ONE_LOG)),
             0);
    for (int i = 0; i < 9; i++)
        CHECK_EQ(send_to(exporter, one_log), 0);
    CHECK_EQ(lines_of(path_of("r")), 1);
    CHECK_EQ(lines_of(path_of("r.1")), 2);
    CHECK_EQ(lines_of(path_of("r.2")), 2);
    CHECK(access(path_of("r.3"), F_OK) != 0);
    /* More than a file may have: it gets one of its own. */
    CHECK_EQ(send_to(exporter, &sample_batches[SKUA_OTEL_TRACES]), 0);
    CHECK_EQ(lines_of(path_of("r")), 1);
    done_with(exporter);
    for (size_t i = 0; i < 4; i++)
        (void)unlink(path_of(names[i]));
}

TEST(file_of_a_full_disk_has_whole_lines)
{
    const char *path = path_of("full");
    struct rlimit limit, old;
    skua_otel_exporter *exporter;

    (void)unlink(path);
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = path)), 0);
    CHECK_EQ(send_to(exporter, one_log), 0);
    MUST(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = old;
    limit.rlim_cur = sizeof ONE_LOG + 100; /* the second line is cut in its middle */
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_EQ(send_to(exporter, one_log), -EFBIG);
    CHECK(strcmp(content(path), ONE_LOG) == 0);
    CHECK_EQ(send_to(exporter, one_log), -EFBIG);
    MUST(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK_EQ(send_to(exporter, one_log), 0);
    CHECK(strcmp(content(path), ONE_LOG ONE_LOG) == 0);
    /* The failures are told once more, by the last call. */
    (void)exporter->ops->shutdown(exporter, skua_now() + SKUA_SECOND);
    exporter->ops->free(exporter);
    (void)unlink(path);
    CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = "/dev/full")), 0);
    CHECK_EQ(send_to(exporter, one_log), -ENOSPC);
    (void)exporter->ops->shutdown(exporter, skua_now() + SKUA_SECOND);
    exporter->ops->free(exporter);
    CHECK_EQ(
        skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = path_of("no/such/folder"))),
        0);
    CHECK_EQ(send_to(exporter, one_log), -ENOENT);
    done_with(exporter);
}

static void fork_and_log(const char *path)
{
    static skua_logger logger = SKUA_LOGGER("fork");
    skua_otel_destination to = {.signal = SKUA_OTEL_LOGS};
    pid_t child;
    int status;

    CHECK_EQ(skua_otel_file_new(&to.exporter, SKUA_OTEL_FILE_OPTIONS(.path = path)), 0);
    CHECK_EQ(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)), 0);
    skua_log_info(&logger, "parent");
    CHECK_EQ(skua_otel_flush(skua_now() + SKUA_SECOND * 10), 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        skua_log_info(&logger, "child");
        _exit(skua_otel_shutdown(skua_now() + SKUA_SECOND * 10) != 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    skua_log_info(&logger, "parent again");
    CHECK_EQ(skua_otel_shutdown(skua_now() + SKUA_SECOND * 10), 0);
}

TEST(file_of_parent_and_child)
{
    const char *path = path_of("fork");
    const char *text;

    if (TEST_TSAN)
        return; /* which does not let the child of a process with threads have any */
    (void)unlink(path);
    fork_and_log(path);
    CHECK_EQ(lines_of(path), 3);
    text = content(path);
    CHECK(strstr(text, "\"parent\"") < strstr(text, "\"child\""));
    CHECK(strstr(text, "\"parent again\"") != NULL);
    (void)unlink(path);
}

TEST(file_of_a_line_that_is_too_long)
{
    const char *path = path_of("long");
    skua_otel_exporter *exporter;

    (void)unlink(path);
    CHECK_EQ(skua_otel_file_new(
                 &exporter, SKUA_OTEL_FILE_OPTIONS(.path = path, .max_line = sizeof ONE_LOG - 1)),
             0);
    CHECK_EQ(send_to(exporter, &sample_batches[SKUA_OTEL_TRACES]), -EMSGSIZE);
    CHECK_EQ(send_to(exporter, one_log), 0);
#ifdef SKUA_FAULTS
    exporter->ops->free(exporter);
    CHECK_EQ(skua_otel_file_new(&exporter, SKUA_OTEL_FILE_OPTIONS(.path = path)), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(send_to(exporter, one_log), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(send_to(exporter, one_log), 0);
    CHECK_EQ(lines_of(path), 2);
#endif
    done_with(exporter);
    (void)unlink(path);
}

/* ---- standard streams ------------------------------------------------------------------------ */

/* What an exporter writes to the stream with this number. */
static const char *streamed(int number, skua_otel_exporter *exporter, const skua_otel_batch *batch)
{
    const char *path = path_of("stream");
    int old = dup(number), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    MUST(old >= 0 && file >= 0);
    (void)fflush(NULL);
    MUST(dup2(file, number) == number);
    CHECK_EQ(send_to(exporter, batch), 0);
    CHECK_EQ(exporter->ops->shutdown(exporter, skua_now() + SKUA_SECOND), 0);
    MUST(dup2(old, number) == number);
    (void)close(old);
    (void)close(file);
    exporter->ops->free(exporter);
    return content(path);
}

TEST_FIBER_CURRENT(file_may_be_standard_output)
{
    skua_otel_exporter *exporter;

    CHECK_EQ(skua_otel_file_new(&exporter, NULL), 0);
    CHECK(strcmp(streamed(1, exporter, one_log), ONE_LOG) == 0);
    return 0;
}

static const skua_attr log_attrs[] = {
    SAMPLE_STR("plain", "a-b"), SAMPLE_STR("quoted", "a b\n\033[31m"), SAMPLE_STR("empty", ""),
    SAMPLE_ATTR("n", SKUA_ATTR_I64, 1, .i64 = -5),
    SAMPLE_ATTR("map", SKUA_ATTR_MAP, 3, .attrs = sample_inner)};
static const skua_otel_log log_two[] = {
    {.time = SAMPLE_TIME,
     .severity = 14,
     .event_name = SAMPLE_TEXT("slow"),
     .body = SAMPLE_STR("", "a\n\033[31mb\xc2\x9b\xff"),
     .attrs = SAMPLE_SOME(log_attrs, 0),
     .trace_id = {1},
     .span_id = {2},
     .scope = &sample_scopes[0]},
    {.observed = SAMPLE_TIME, .body = SAMPLE_ATTR("", SKUA_ATTR_I64, 1, .i64 = 7)}};
static const skua_otel_batch log_batch = {SKUA_OTEL_LOGS, 2, NULL, {.logs = log_two}};

TEST_FIBER_CURRENT(console_writes_a_line_a_record)
{
    skua_otel_exporter *exporter;

    CHECK_EQ(skua_otel_log_console_new(&exporter, SKUA_OTEL_LOG_CONSOLE_OPTIONS(.to_stderr = 1)),
             0);
    CHECK(strcmp(streamed(2, exporter, &log_batch),
                 "2025-11-21T18:33:20.123456Z WARN  first: [slow] a\\n\\u001b[31mb\\u009b\xef\xbf"
                 "\xbd plain=a-b quoted=\"a b\\n\\u001b[31m\" empty=\"\" n=-5 "
                 "map={\"n\":-5,\"empty\":{},\"list\":[0,-1,9223372036854775807,"
                 "-9223372036854775808]} trace=01000000000000000000000000000000 "
                 "span=0200000000000000\n"
                 "2025-11-21T18:33:20.123456Z -     7\n") == 0);
    CHECK_EQ(skua_otel_log_console_new(&exporter, NULL), 0);
    CHECK(strcmp(streamed(1, exporter, &sample_batches[SKUA_OTEL_TRACES]), "") == 0);
    return 0;
}

TEST_FIBER_CURRENT(console_in_colours_and_as_json)
{
    skua_otel_exporter *exporter;

    CHECK_EQ(skua_otel_log_console_new(
                 &exporter, SKUA_OTEL_LOG_CONSOLE_OPTIONS(.colours = SKUA_OTEL_COLOURS_ALWAYS)),
             0);
    CHECK(strstr(streamed(1, exporter, &log_batch), "Z \033[33mWARN \033[0m first") != NULL);
    CHECK_EQ(skua_otel_log_console_new(&exporter, SKUA_OTEL_LOG_CONSOLE_OPTIONS(.json = 1)), 0);
    CHECK(strstr(streamed(1, exporter, &log_batch),
                 "}\n{\"observedTimeUnixNano\":\"1763750000123456789\","
                 "\"body\":{\"intValue\":\"7\"}}\n") != NULL);
    CHECK_EQ(skua_otel_log_console_new(&exporter, SKUA_OTEL_LOG_CONSOLE_OPTIONS(.colours = 9)),
             -EINVAL);
    return 0;
}

/* ---- Zipkin ---------------------------------------------------------------------------------- */

/* The JSON of one client's span with these attributes. */
static int64_t zipkin_end = 3999; /* of the span */

static bool zipkin_has(const skua_attr *attrs, size_t count, const char *wanted, int kind,
                       int status)
{
    skua_otel_span span = {.trace_id = {1},
                           .span_id = {2},
                           .kind = (uint8_t)kind,
                           .status = (uint8_t)status,
                           .name = SAMPLE_TEXT("x"),
                           .start = 1999,
                           .end = zipkin_end,
                           .attrs = {attrs, (uint32_t)count, 0}};
    skua_otel_batch batch = {SKUA_OTEL_TRACES, 1, NULL, {.spans = &span}};
    bool has;

    skua__json_begin(&json, SIZE_MAX);
    CHECK_EQ(skua__zipkin_spans(&json, &batch), 0);
    skua__json_raw(&json, "", 1);
    json.bytes[json.len - 1] = '\0';
    has = strstr(json.bytes, wanted) != NULL;
    if (!has)
        test_note("%s", json.bytes);
    return has;
}

TEST(zipkin_remote_endpoint_by_rank)
{
    const skua_attr attrs[] = {
        SKUA_STR("db.name", "db"),
        SKUA_STR("peer.address", "pa"),
        SKUA_STR("peer.hostname", "ph"),
        SKUA_STR("net.sock.peer.addr", "::1"),
        SKUA_STR("net.sock.peer.name", "nspn"),
        SKUA_STR("server.socket.address", "/run/socket"),
        SKUA_STR("server.socket.domain", "ssd"),
        SKUA_STR("network.peer.address", "10.0.0.1"),
        SKUA_STR("net.peer.name", "npn"),
        SKUA_STR("server.address", "sa"),
        SKUA_STR("peer.service", "ps"),
        SKUA_I64("network.peer.port", 80),
        SKUA_I64("net.sock.peer.port", 70000),
    };
    static const char *const wanted[] = {
        "{\"serviceName\":\"db\"}",   "{\"serviceName\":\"pa\"}",
        "{\"serviceName\":\"ph\"}",   "{\"ipv6\":\"::1\"}",
        "{\"serviceName\":\"nspn\"}", "{\"serviceName\":\"/run/socket\"}",
        "{\"serviceName\":\"ssd\"}",  "{\"ipv4\":\"10.0.0.1\"}",
        "{\"serviceName\":\"npn\"}",  "{\"serviceName\":\"sa\"}",
        "{\"serviceName\":\"ps\"}",
    };
    char text[64];

    for (size_t i = 0; i < TEST_LEN(wanted); i++) {
        (void)snprintf(text, sizeof text, "\"remoteEndpoint\":%s", wanted[i]);
        CHECK(zipkin_has(attrs, i + 1, text, 3, 0));
        CHECK(zipkin_has(attrs, i + 1, text, 4, 0));
    }
    CHECK(zipkin_has(attrs + 7, 5, "\"remoteEndpoint\":{\"serviceName\":\"ps\"}", 3, 0));
    CHECK(zipkin_has((const skua_attr[]){attrs[7], attrs[11]}, 2,
                     "\"remoteEndpoint\":{\"ipv4\":\"10.0.0.1\",\"port\":80}", 3, 0));
    CHECK(zipkin_has((const skua_attr[]){attrs[3], attrs[12]}, 2,
                     "\"remoteEndpoint\":{\"ipv6\":\"::1\"}", 3, 0));
    CHECK(zipkin_has(attrs, 11, "{\"serviceName\":\"unknown_service\"},\"tags\"", 2, 0));
}

TEST(zipkin_whole_microseconds_and_what_is_left_out)
{
    CHECK(
        zipkin_has(NULL, 0,
                   "[{\"traceId\":\"01000000000000000000000000000000\",\"id\":\"0200000000000000\""
                   ",\"name\":\"x\",\"timestamp\":1,\"duration\":2,"
                   "\"localEndpoint\":{\"serviceName\":\"unknown_service\"}}]",
                   1, 0));
}

/* Zipkin's API has no duration of 0: what is less than one is rounded up. */
TEST(zipkin_shorter_than_a_microsecond_is_one)
{
    zipkin_end = 1999;
    CHECK(zipkin_has(NULL, 0, "\"duration\":1,", 1, 0));
    zipkin_end = 2998;
    CHECK(zipkin_has(NULL, 0, "\"duration\":1,", 1, 0));
    zipkin_end = 3999;
}

TEST(zipkin_error_is_of_errors_alone)
{
    const skua_attr no = SKUA_BOOL("error", 0), text = SKUA_STR("error", "false"),
                    yes = SKUA_STR("error", "bad");

    CHECK(zipkin_has(&no, 1, "\"tags\":{}", 1, 0));
    CHECK(zipkin_has(&text, 1, "\"tags\":{}", 1, 0));
    CHECK(zipkin_has(&yes, 1, "\"tags\":{\"error\":\"bad\"}", 1, 0));
    CHECK(zipkin_has(&yes, 1, "\"tags\":{\"otel.status_code\":\"ERROR\",\"error\":\"\"}", 1, 2));
    CHECK(zipkin_has(&no, 1, "\"tags\":{\"otel.status_code\":\"OK\"}", 1, 1));
}

TEST(zipkin_without_memory_says_so)
{
#ifdef SKUA_FAULTS
    unsigned calls;

    skua__json_free(&json);
    skua__json_begin(&json, SIZE_MAX);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua__zipkin_spans(&json, &sample_batches[SKUA_OTEL_TRACES]), 0);
    calls = skua__fault_calls(SKUA__FAULT_MALLOC);
    CHECK(calls >= 2);
    for (unsigned n = 1; n <= calls; n++) {
        skua__json_free(&json);
        skua__json_begin(&json, SIZE_MAX);
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        CHECK_EQ(skua__zipkin_spans(&json, &sample_batches[SKUA_OTEL_TRACES]), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_numbers_read_back_as_they_were),
        cmocka_unit_test(json_numbers_know_no_locale),
        cmocka_unit_test(json_text_is_escaped_and_repaired),
        cmocka_unit_test(json_of_a_request_has_its_limit),
        cmocka_unit_test(json_values_deeper_than_the_limit_are_cut),
        cmocka_unit_test(file_has_a_request_a_line),
        cmocka_unit_test(file_options),
        cmocka_unit_test(file_rotates_by_size),
        cmocka_unit_test(file_of_a_full_disk_has_whole_lines),
        cmocka_unit_test(file_of_parent_and_child),
        cmocka_unit_test(file_of_a_line_that_is_too_long),
        cmocka_unit_test(file_may_be_standard_output),
        cmocka_unit_test(console_writes_a_line_a_record),
        cmocka_unit_test(console_in_colours_and_as_json),
        cmocka_unit_test(zipkin_remote_endpoint_by_rank),
        cmocka_unit_test(zipkin_whole_microseconds_and_what_is_left_out),
        cmocka_unit_test(zipkin_shorter_than_a_microsecond_is_one),
        cmocka_unit_test(zipkin_error_is_of_errors_alone),
        cmocka_unit_test(zipkin_without_memory_says_so),
    };
    int rc;

    MUST(mkdtemp(folder) != NULL);
    rc = TEST_MAIN(tests);
    (void)unlink(path_of("lines"));
    (void)unlink(path_of("stream"));
    (void)rmdir(folder);
    skua__json_free(&json);
    return rc;
}
