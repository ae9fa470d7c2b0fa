/* test_log_api.c - logs without libskua-otel: what passes, where to, and what others log.
 *
 * Specifies include/skua/log.h with a table of functions that keeps what it is handed. The first
 * tests see a process in which nothing was set: silence.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <skua/telemetry.h>

#include "../lib/harness.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_logger logger = SKUA_LOGGER("shop.orders");

/* ---- an SDK that keeps the last record ------------------------------------------------------- */

static struct {
    atomic_int count;
    const skua_logger *logger;
    unsigned severity;
    char text[2048], severity_text[32], event[64];
    size_t len, attrs;
    int64_t i64; /* of the first attribute */
    int64_t time, error;
    bool traced;
    skua_span_context context;
    unsigned minimum;
    int enabled;
} kept;

static void keep_text(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void keep_emit(skua_logger *from, const skua_log_record *record)
{
    atomic_fetch_add(&kept.count, 1);
    kept.logger = from;
    kept.severity = record->severity;
    kept.len = record->text_len;
    (void)snprintf(kept.text, sizeof kept.text, "%.*s", (int)record->text_len,
                   record->text != NULL ? record->text : "");
    keep_text(kept.severity_text, sizeof kept.severity_text, record->severity_text);
    keep_text(kept.event, sizeof kept.event, record->event);
    kept.attrs = record->attrs_count;
    kept.i64 = record->attrs_count > 0 ? record->attrs[0].value.i64 : 0;
    kept.time = record->time;
    kept.error = record->error;
    kept.traced = record->context != NULL;
    if (record->context != NULL)
        kept.context = *record->context;
}

static int keep_enabled(skua_logger *from, skua_severity severity, const char *event,
                        const skua_span_context *context)
{
    (void)from;
    (void)severity;
    (void)event;
    (void)context;
    return kept.enabled;
}

static unsigned keep_minimum(const skua_logger *from)
{
    (void)from;
    return kept.minimum;
}

static const skua_log_ops keep_ops = {
    .size = sizeof keep_ops, .emit = keep_emit, .enabled = keep_enabled, .minimum = keep_minimum};

static void keep_begin(const char *levels)
{
    memset(&kept, 0, sizeof kept);
    kept.minimum = 1;
    kept.enabled = 1;
    CHECK_EQ(skua_log_install(&keep_ops), 0);
    CHECK_EQ(skua_log_levels(levels), 0);
}

static void keep_end(void)
{
    CHECK_EQ(skua_log_install(NULL), 0);
    CHECK_EQ(skua_log_levels(NULL), 0);
}

/* ---- off ------------------------------------------------------------------------------------- */

static int evaluated;

static int64_t evaluate(void)
{
    return ++evaluated;
}

TEST(log_off_evaluates_nothing)
{
    skua_log_info(&logger, "x", SKUA_I64("a", evaluate()));
    evaluated = 0; /* the first call of a logger finds out that it is off */
    skua_log_fatal(&logger, "x", SKUA_I64("a", evaluate()));
    skua_logf(&logger, SKUA_FATAL, "%d", (int)evaluate());
    CHECK_EQ(evaluated, 0);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_FATAL, NULL), 0);
}

/* What a child with this environment and these levels writes to standard error. */
static size_t written(char *out, size_t size, const char *env, const char *levels,
                      void (*log)(void))
{
    int pipes[2];
    size_t len = 0;
    ssize_t n;
    pid_t child;

    MUST(pipe(pipes) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        (void)dup2(pipes[1], 2);
        if (env != NULL)
            (void)setenv("SKUA_LOG", env, 1);
        else
            (void)unsetenv("SKUA_LOG");
        (void)skua_log_levels(levels);
        log();
        _exit(0);
    }
    (void)close(pipes[1]);
    while (len < size - 1 && (n = read(pipes[0], out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    (void)close(pipes[0]);
    (void)waitpid(child, NULL, 0);
    return len;
}

static void log_two(void)
{
    skua_log_debug(&logger, "debugged");
    skua_log_info(&logger, "order stored", SKUA_I64("order.id", 17), SKUA_STR("by", "x y"));
}

static void log_odd(void)
{
    const skua_attr inner[] = {SKUA_BOOL("ok", 1), SKUA_STR("q", "a\"b")};
    const int64_t numbers[] = {1, 2};
    const char *const texts[] = {"a", NULL};
    const skua_attr attrs[] = {skua_attr_many("map", SKUA_ATTR_MAP, inner, 2),
                               SKUA_I64S("i", numbers, 2), SKUA_STRS("s", texts, 2),
                               SKUA_BYTES("b", "\x01\xff", 2), SKUA_F64("f", 0.5)};

    skua_log_text(&logger, SKUA_ERROR, "a\nb\033[31m\xc2\x9b", 10, attrs, 5);
    skua_log_emit(&logger, SKUA_LOG_RECORD(.severity = SKUA_FATAL + 3, .event = "stop",
                                           .error = -ENOENT, .time = 1000000000));
}

TEST(log_without_an_sdk_is_silent_or_lines_on_standard_error)
{
    char out[4096];

    CHECK_EQ(written(out, sizeof out, NULL, NULL, log_two), 0);
    CHECK(written(out, sizeof out, "info", NULL, log_two) > 0);
    CHECK(strstr(out, "Z INFO shop.orders: order stored order.id=17 by=\"x y\"\n") != NULL);
    CHECK(strstr(out, "debugged") == NULL);
    CHECK(written(out, sizeof out, "off", "shop=debug", log_two) > 0);
    CHECK(strstr(out, "debugged\n") != NULL);
    CHECK(written(out, sizeof out, "=", NULL, log_two) > 0);
    CHECK(strcmp(out, "skua: SKUA_LOG cannot be read, and does not count\n") == 0);
}

TEST(log_line_is_one_line_whatever_is_in_it)
{
    char out[4096];

    CHECK(written(out, sizeof out, "info", NULL, log_odd) > 0);
    CHECK(strstr(out, "ERROR shop.orders: a\\nb\\x1b[31m\\x9b map={ok=true,q=\"a\\\"b\"} i=[1,2] "
                      "s=[a,] b=01ff f=0.5\n") != NULL);
    CHECK(strstr(out, "1970-01-01T00:00:01.000000Z FATAL shop.orders: [stop]  error=") != NULL);
}

/* ---- levels ---------------------------------------------------------------------------------- */

TEST(log_levels_longest_name_wins)
{
    static const struct {
        const char *levels, *name;
        unsigned least; /* the least severity that passes; 255: none */
    } rows[] = {
        {"info", "a.b", SKUA_INFO},
        {"", "a.b", 1},
        {"warn,a=debug", "a.b", SKUA_DEBUG},
        {"a=debug,warn", "a.b", SKUA_DEBUG},
        {"warn,a=debug", "ab", SKUA_WARN},
        {"warn,a=debug", "a", SKUA_DEBUG},
        {"warn,a.*=debug", "a", SKUA_WARN},
        {"warn,a.*=debug", "a.b.c", SKUA_DEBUG},
        {"a=debug,a.b=error,a.b.c=off", "a.b", SKUA_ERROR},
        {"a=debug,a.b=error,a.b.c=off", "a.b.c", 255},
        {"a=debug,a.b=error,a.b.c=off", "a.b.d", SKUA_ERROR},
        {"info,skua.net=debug,shop.*=trace", "shop.orders", SKUA_TRACE},
        {"info,skua.net=debug,shop.*=trace", "skua.net", SKUA_DEBUG},
        {"info,skua.net=debug,shop.*=trace", "skua", SKUA_INFO},
        {" INFO , a = Debug ,, ", "a", SKUA_DEBUG},
        {"off", "a", 255},
        {"off,a", "a.b", SKUA_TRACE},
        {"off,*=fatal", "a", SKUA_FATAL},
        {"a=debug,a=error", "a", SKUA_ERROR},
    };

    keep_begin(NULL);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_logger one = SKUA_LOGGER(rows[i].name);

        CHECK_EQ(skua_log_levels(rows[i].levels), 0);
        for (unsigned severity = 1; severity <= 24; severity++)
            if (!CHECK_EQ(skua_log_enabled(&one, severity, NULL), severity >= rows[i].least))
                test_note("row %zu, severity %u", i, severity);
        skua_logger_forget(&one);
    }
    CHECK_EQ(skua_log_levels("a=loud"), -EINVAL);
    CHECK_EQ(skua_log_levels("=info"), -EINVAL);
    CHECK_EQ(skua_log_levels("a="), -EINVAL);
    keep_end();
}

TEST(log_levels_of_any_text)
{
    static const char letters[] = "aab..*,,==  \tinfooffTRACE\x80";
    uint64_t seed = test_seed();
    char text[40];

    keep_begin(NULL);
    for (int i = 0; i < TEST_COUNT(20000); i++) {
        size_t len = test_random(&seed) % sizeof text;
        int rc;

        for (size_t at = 0; at < len; at++)
            text[at] = letters[test_random(&seed) % (sizeof letters - 1)];
        text[len < sizeof text ? len : len - 1] = '\0';
        rc = skua_log_levels(text);
        CHECK(rc == 0 || rc == -EINVAL);
        (void)skua_log_enabled(&logger, SKUA_INFO, NULL);
    }
    keep_end();
}

TEST(log_levels_change_live)
{
    keep_begin("info");
    skua_log_debug(&logger, "no");
    CHECK_EQ(kept.count, 0);
    CHECK_EQ(skua_log_levels("debug"), 0);
    skua_log_debug(&logger, "yes");
    CHECK_EQ(kept.count, 1);
    CHECK_EQ(skua_log_levels("bad=level=x"), -EINVAL); /* those that were there go on */
    skua_log_debug(&logger, "yes");
    CHECK_EQ(kept.count, 2);
    kept.minimum = SKUA_ERROR; /* the SDK's */
    skua_log_debug(&logger, "yes");
    CHECK_EQ(kept.count, 3);
    skua_log_renew();
    skua_log_warn(&logger, "no");
    skua_log_error(&logger, "yes");
    CHECK_EQ(kept.count, 4);
    kept.minimum = 255;
    skua_log_renew();
    skua_log_fatal(&logger, "no");
    CHECK_EQ(kept.count, 4);
    kept.minimum = 1;
    kept.enabled = 0;
    skua_log_renew();
    CHECK_EQ(skua_log_enabled(&logger, SKUA_FATAL, NULL), 0);
    keep_end();
    skua_log_fatal(&logger, "no");
    CHECK_EQ(kept.count, 4);
}

static atomic_bool race_over;

static void *race_log(void *arg)
{
    while (!atomic_load(&race_over))
        skua_log_info((skua_logger *)arg, "x");
    return NULL;
}

static void race_emit(skua_logger *from, const skua_log_record *record)
{
    (void)from;
    (void)record;
    atomic_fetch_add(&kept.count, 1);
}

/* A logger has the level that was set last, or is to ask for it: never an older one. */
static bool race_level(const skua_logger *shared, unsigned wanted)
{
    unsigned level = 0;

    for (int i = 0; i < 20 && level == 0; i++)
        level = __atomic_load_n(&shared->level, __ATOMIC_RELAXED);
    return level == 0 || level == wanted;
}

TEST(log_levels_change_while_others_log)
{
    static skua_logger shared = SKUA_LOGGER("race");
    static const skua_log_ops ops = {.size = sizeof ops, .emit = race_emit};
    pthread_t threads[2];

    memset(&kept, 0, sizeof kept);
    atomic_store(&race_over, false);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, race_log, &shared) == 0);
    for (int i = 0; i < TEST_COUNT(2000); i++) {
        CHECK_EQ(skua_log_install(&ops), 0);
        CHECK_EQ(skua_log_levels("race=warn"), 0);
        CHECK(race_level(&shared, SKUA_WARN));
        CHECK_EQ(skua_log_levels(i % 2 != 0 ? "race=error" : "race=info"), 0);
        CHECK(race_level(&shared, i % 2 != 0 ? SKUA_ERROR : SKUA_INFO));
        CHECK_EQ(skua_log_install(NULL), 0);
        CHECK_EQ(skua_log_levels("off"), 0);
        CHECK(race_level(&shared, 255));
    }
    CHECK_EQ(skua_log_install(&ops), 0);
    CHECK_EQ(skua_log_levels("info"), 0);
    while (atomic_load(&kept.count) == 0) /* what was set last is what all see */
        (void)usleep(100);
    atomic_store(&race_over, true);
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    keep_end();
}

TEST(log_install_takes_one)
{
    static const skua_log_ops old = {.size = 8};

    keep_begin(NULL);
    CHECK_EQ(skua_log_install(&keep_ops), -EBUSY);
    CHECK_EQ(skua_log_install(&old), -EINVAL);
    keep_end();
    CHECK_EQ(skua_log_enabled(&logger, SKUA_FATAL, NULL), 0); /* asked, and off */
    memset(&kept, 0, sizeof kept);
    kept.minimum = 1;
    CHECK_EQ(skua_log_install(&keep_ops), 0);
    skua_log_trace(&logger, "nothing was said of levels: everything");
    CHECK_EQ(kept.count, 1);
    CHECK_EQ(skua_log_install(NULL), 0);
    evaluated = 0;
    skua_log_fatal(&logger, "off again");
    skua_log_fatal(&logger, "x", SKUA_I64("a", evaluate()));
    CHECK_EQ(evaluated, 0);
}

/* ---- records --------------------------------------------------------------------------------- */

TEST(log_macros_hand_over_text_and_attributes)
{
    keep_begin(NULL);
    skua_log_warn(&logger, "slow", SKUA_I64("a", 7), SKUA_I64("b", 8));
    CHECK_EQ(kept.severity, SKUA_WARN);
    CHECK(strcmp(kept.text, "slow") == 0);
    CHECK_EQ(kept.attrs, 2);
    CHECK_EQ(kept.i64, 7);
    CHECK(kept.logger == &logger);
    CHECK(!kept.traced);
    skua_log_trace(&logger, "t");
    CHECK_EQ(kept.severity, SKUA_TRACE);
    CHECK_EQ(kept.attrs, 0);
    skua_log_at(&logger, SKUA_INFO + 2, NULL);
    CHECK_EQ(kept.severity, SKUA_INFO + 2);
    CHECK_EQ(kept.len, 0);
    skua_log_at(&logger, (skua_severity)25, "there is no such severity");
    CHECK_EQ(kept.severity, SKUA_INFO + 2);
    skua_logf(&logger, SKUA_ERROR, "%s %d%%", "at", 50);
    CHECK(strcmp(kept.text, "at 50%") == 0);
    keep_end();
}

TEST(log_emit_takes_all_of_a_record)
{
    skua_log_record record;

    keep_begin("error");
    skua_log_record_init(&record);
    record.severity = SKUA_ERROR;
    record.severity_text = "bad";
    record.event = "device.lost";
    record.text = "abc";
    record.text_len = 2;
    record.time = 5;
    record.error = -EIO;
    skua_log_emit(&logger, &record);
    CHECK_EQ(kept.count, 1);
    CHECK(strcmp(kept.text, "ab") == 0);
    CHECK(strcmp(kept.severity_text, "bad") == 0);
    CHECK(strcmp(kept.event, "device.lost") == 0);
    CHECK_EQ(kept.time, 5);
    CHECK_EQ(kept.error, -EIO);
    record.severity = 0; /* not said: it passes */
    skua_log_emit(&logger, &record);
    CHECK_EQ(kept.count, 2);
    record.severity = (skua_severity)25;
    skua_log_emit(&logger, &record);
    record.severity = SKUA_WARN;
    skua_log_emit(&logger, &record);
    record.severity = SKUA_FATAL;
    record.size = 3;
    skua_log_emit(&logger, &record);
    CHECK_EQ(kept.count, 2);
    CHECK_EQ(skua_log_levels("off"), 0);
    record.size = sizeof record;
    record.severity = 0;
    skua_log_emit(&logger, &record);
    CHECK_EQ(kept.count, 2);
    keep_end();
}

TEST(log_printf_of_any_length)
{
    char *big = malloc(100001);

    MUST(big != NULL);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    keep_begin(NULL);
    skua_logf(&logger, SKUA_INFO, "%.511s", big);
    CHECK_EQ(kept.len, 511);
    skua_logf(&logger, SKUA_INFO, "%.512s", big);
    CHECK_EQ(kept.len, 512);
    skua_logf(&logger, SKUA_INFO, "%s", big);
    CHECK_EQ(kept.len, 64 * 1024 - 1);
#ifdef SKUA_FAULTS
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    skua_logf(&logger, SKUA_INFO, "%s", big);
    CHECK_EQ(kept.len, 511);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_log_levels("info"), -ENOMEM);
    (void)setenv("SKUA_LOG", "warn", 1);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_log_levels(NULL), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_INFO, NULL), 1); /* as it was */
    CHECK_EQ(skua_log_levels(NULL), 0);
    CHECK_EQ(skua_log_enabled(&logger, SKUA_INFO, NULL), 0);
    (void)unsetenv("SKUA_LOG");
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK(skua_log_file(&logger, SKUA_INFO) == NULL);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
#endif
    keep_end();
    free(big);
}

/* ---- traces ---------------------------------------------------------------------------------- */

static const skua_span_context remote = {
    .trace_id = {1, 2, 3}, .span_id = {4, 5}, .flags = SKUA_TRACE_SAMPLED, .remote = 1};

static int log_in_child(void *arg)
{
    (void)arg;
    skua_log_info(&logger, "child");
    return 0;
}

TEST_FIBER(log_carries_the_current_span)
{
    skua_span_frame frame, silence;
    skua_scope scope;

    keep_begin(NULL);
    CHECK_EQ(skua_trace_attach(&frame, &remote), 0);
    skua_log_info(&logger, "x");
    CHECK(kept.traced && memcmp(&kept.context, &remote, sizeof remote) == 0);
    kept.traced = false;
    CHECK_EQ(skua_scope_open(&scope, 0), 0);
    CHECK_EQ(skua_spawn(&scope, log_in_child, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK(kept.traced && memcmp(&kept.context, &remote, sizeof remote) == 0);
    skua_log_emit(
        &logger, SKUA_LOG_RECORD(.context = &(skua_span_context){.trace_id = {9}, .span_id = {9}}));
    CHECK_EQ(kept.context.trace_id[0], 9);
    kept.count = 0;
    CHECK_EQ(skua_trace_suppress(&silence), 0);
    skua_log_fatal(&logger, "exporters are not heard");
    CHECK_EQ(skua_log_enabled(&logger, SKUA_FATAL, NULL), 0);
    CHECK_EQ(skua_span_leave(&silence), 0);
    CHECK_EQ(kept.count, 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    skua_log_info(&logger, "x");
    CHECK(!kept.traced);
    keep_end();
    return 0;
}

/* ---- bridges --------------------------------------------------------------------------------- */

TEST(log_syslog_as_syslog)
{
    static const unsigned severities[] = {21, 19, 18, 17, 13, 10, 9, 5};
    static skua_logger daemon_log = SKUA_LOGGER("daemon");

    keep_begin(NULL);
    for (int i = LOG_EMERG; i <= LOG_DEBUG; i++) {
        skua_syslog(LOG_DAEMON | i, "no. %d", i);
        CHECK_EQ(kept.severity, severities[i]);
    }
    CHECK(strcmp(kept.text, "no. 7") == 0);
    CHECK(strcmp(kept.severity_text, "debug") == 0);
    CHECK(strcmp(kept.logger->name, "syslog") == 0);
    skua_syslog_to(&daemon_log);
    errno = ENOENT;
    skua_syslog(LOG_ERR, "%s: %m\n", "open");
    CHECK_EQ(errno, ENOENT);
    CHECK(strcmp(kept.text, "open: No such file or directory") == 0);
    CHECK(kept.logger == &daemon_log);
    kept.count = 0;
    CHECK_EQ(skua_log_levels("daemon=warn"), 0);
    skua_syslog(LOG_NOTICE, "no");
    CHECK_EQ(kept.count, 0);
    skua_syslog_to(NULL);
    keep_end();
}

TEST(log_lines_become_records)
{
    static skua_log_lines lines;
    char long_line[2100];

    keep_begin(NULL);
    lines = (skua_log_lines){.logger = &logger, .severity = SKUA_WARN};
    skua_log_lines_write(&lines, "one\r\ntw", 7);
    CHECK_EQ(kept.count, 1);
    CHECK(strcmp(kept.text, "one") == 0);
    skua_log_lines_write(&lines, "o\n\n\r\n<3>three\n<4>", 17);
    CHECK_EQ(kept.count, 3);
    CHECK(strcmp(kept.text, "three") == 0);
    CHECK_EQ(kept.severity, SKUA_ERROR);
    skua_log_lines_write(&lines, "four", 4);
    skua_log_lines_write(&lines, "", 0);
    CHECK(strcmp(kept.text, "four") == 0);
    CHECK_EQ(kept.severity, SKUA_WARN);
    kept.count = 0;
    memset(long_line, 'l', sizeof long_line);
    skua_log_lines_write(&lines, long_line, sizeof long_line);
    skua_log_lines_write(&lines, "\n", 1);
    CHECK_EQ(kept.count, 3);
    CHECK_EQ(kept.len, sizeof long_line - 2 * sizeof lines.room);
    keep_end();
}

TEST(log_file_takes_what_is_written_to_it)
{
    FILE *file;

    keep_begin(NULL);
    file = skua_log_file(&logger, SKUA_INFO);
    MUST(file != NULL);
    CHECK(fprintf(file, "line %d\nrest", 1) > 0);
    CHECK_EQ(fflush(file), 0);
    CHECK(strcmp(kept.text, "line 1") == 0);
    CHECK_EQ(fclose(file), 0);
    CHECK(strcmp(kept.text, "rest") == 0);
    CHECK_EQ(kept.count, 2);
    keep_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_off_evaluates_nothing),
        cmocka_unit_test(log_without_an_sdk_is_silent_or_lines_on_standard_error),
        cmocka_unit_test(log_line_is_one_line_whatever_is_in_it),
        cmocka_unit_test(log_levels_longest_name_wins),
        cmocka_unit_test(log_levels_of_any_text),
        cmocka_unit_test(log_levels_change_live),
        cmocka_unit_test(log_levels_change_while_others_log),
        cmocka_unit_test(log_install_takes_one),
        cmocka_unit_test(log_macros_hand_over_text_and_attributes),
        cmocka_unit_test(log_emit_takes_all_of_a_record),
        cmocka_unit_test(log_printf_of_any_length),
        cmocka_unit_test(log_carries_the_current_span),
        cmocka_unit_test(log_syslog_as_syslog),
        cmocka_unit_test(log_lines_become_records),
        cmocka_unit_test(log_file_takes_what_is_written_to_it),
    };

    (void)unsetenv("SKUA_LOG");
    return TEST_MAIN(tests);
}
