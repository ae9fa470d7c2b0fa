/* drivers: both */
/* test_otel_operations.c - the library's operations as spans and metrics.
 *
 * Specifies skua_otel_operations of skua/otel/sdk.h: a span of each connect, lookup, opened or
 * whole file, process and blocking job, by the semantic conventions, as a child of what is current
 * and recorded; metrics of all of them, and of bytes; errors and cancellations; what telemetry does
 * itself, and what is suppressed, makes nothing; off is off; the environment.
 */
#include <unistd.h>

#include "traced.h"

#include "metered.h"

#include "../lib/sockets.h"

static skua_tracer tracer = SKUA_TRACER("test", "1");

static void begin_with(skua_otel_operations operations, skua_otel_exporter *exporter)
{
    static skua_otel_destination to;

    traced_memory = NULL;
    if (exporter == NULL)
        MUST(skua_otel_memory_new(&traced_memory) == 0);
    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    to = (skua_otel_destination){.exporter = exporter != NULL ? exporter : traced_memory};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .readers = metered.reader, .readers_count = 1,
                                           .operations = operations)) == 0);
}

static void end(void)
{
    skua_otel_collected_free(metered.got);
    metered.got = NULL;
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_reader_free(metered.reader[0]);
    metered.reader[0] = NULL;
    skua_otel_memory_free(traced_memory);
}

/* The points of a histogram with an attribute, and one more key: how many values; and whether that
 * is there as it should. */
static int64_t values(const char *metric, const char *key, const char *value, const char *error)
{
    const skua_otel_metric *found = metered_metric(metric);

    for (uint32_t i = 0; found != NULL && i < found->points_count; i++) {
        const skua_otel_point *point = &found->points[i];
        const skua_attr *attr = metered_attr(&point->attrs, key);
        const skua_attr *type = metered_attr(&point->attrs, "error.type");

        if (attr == NULL || attr->count != strlen(value) ||
            memcmp(attr->value.str, value, attr->count) != 0 || (type == NULL) != (error == NULL))
            continue;
        if (type == NULL ||
            (type->count == strlen(error) && memcmp(type->value.str, error, type->count) == 0))
            return (int64_t)point->count;
    }
    return 0;
}

/* The sum of the point with two attributes. */
static int64_t sum(const char *metric, const char *key, const char *value, const char *key2,
                   const char *value2)
{
    const skua_otel_metric *found = metered_metric(metric);

    for (uint32_t i = 0; found != NULL && i < found->points_count; i++) {
        const skua_attr *a = metered_attr(&found->points[i].attrs, key);
        const skua_attr *b = metered_attr(&found->points[i].attrs, key2);

        if (a != NULL && b != NULL && a->count == strlen(value) && b->count == strlen(value2) &&
            memcmp(a->value.str, value, a->count) == 0 &&
            memcmp(b->value.str, value2, b->count) == 0)
            return found->points[i].value.i64;
    }
    return 0;
}

/* ---- the world ------------------------------------------------------------------------------- */

static int finds(skua_resolver *resolver, const skua_query *query, skua_addresses *ret)
{
    skua_address address;

    (void)resolver;
    if (strcmp(query->host, "missing.name") == 0)
        return -ENOENT;
    if (strcmp(query->host, "slow.name") == 0)
        return test_fiber_forever(NULL);
    MUST(skua_address_parse(&address, "127.0.0.1:0") == 0);
    return skua_addresses_add(ret, &address);
}

static const skua_resolver_ops finds_ops = {.name = "test", .resolve = finds};
static skua_resolver resolver = {.ops = &finds_ops};

static int accepts(void *arg)
{
    skua_tcp *tcp;
    char buf[16];
    int rc = skua_tcp_accept(arg, &tcp);

    if (rc == 0)
        CHECK_EQ(skua_tcp_read_exact(tcp, buf, 10), 10);
    return rc == 0 ? skua_tcp_close(tcp) : rc;
}

/* Connects to that port of a name, and writes ten bytes. */
static int talks(const char *name, const char *address)
{
    const skua_connect_options options = {.size = sizeof options, .resolver = &resolver};
    char text[SKUA_ADDRESS_MAX + 16];
    skua_tcp *tcp;
    int rc;

    (void)snprintf(text, sizeof text, "%s:%d", name, test_port(address));
    rc = skua_tcp_connect(&tcp, text, &options);
    if (rc == 0)
        CHECK_EQ(skua_tcp_write_all(tcp, "0123456789", 10), 10);
    return rc == 0 ? skua_tcp_close(tcp) : rc;
}

static int runs(const char *program, const char *script)
{
    const char *argv[] = {program, "-c", script, NULL};
    skua_process_status status = {0};
    skua_process *process;
    int rc = skua_process_spawn(&process, argv);

    if (rc == 0)
        rc = skua_process_wait(process, &status);
    return rc == 0 ? skua_process_close(process) + status.code : rc;
}

static const char *a_file(char path[64])
{
    (void)snprintf(path, 64, "/tmp/skua-otel-operations-%d", (int)getpid());
    return path;
}

/* ---- connections and names ------------------------------------------------------------------- */

TEST_FIBER(connections_and_lookups)
{
    char address[SKUA_ADDRESS_MAX], port[16];
    skua_listener *at = test_listen(address);
    const skua_otel_span *parent, *span;
    skua_task *task;

    (void)snprintf(port, sizeof port, "%d", test_port(address));
    begin_with(SKUA_OTEL_OPERATIONS_ALL, NULL);
    SKUA_SPAN(outer, &tracer, "outer")
    {
        MUST(skua_spawn(NULL, accepts, at, .task = &task) == 0);
        CHECK_EQ(talks("some.name", address), 0);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        CHECK_EQ(skua_listener_close(at), 0);
        CHECK_EQ(talks("127.0.0.1", address), -ECONNREFUSED);
        CHECK_EQ(talks("missing.name", address), -ENOENT);
    }
    CHECK_EQ(talks("some.name", address), -ECONNREFUSED); /* nobody's child: no span */
    MUST(traced_wait(6));
    parent = traced_next(NULL, 0, "outer");
    span = traced_next(NULL, SKUA_SPAN_INTERNAL, "DNS lookup some.name");
    MUST(parent != NULL && span != NULL);
    CHECK(traced_child(span, parent));
    CHECK_ATTRS(span, {"dns.question.name", "some.name"}, {"error.type", ""});
    CHECK_EQ(span->status, SKUA_SPAN_UNSET);
    span = traced_next(NULL, SKUA_SPAN_INTERNAL, "tcp.connect");
    MUST(span != NULL);
    CHECK(traced_child(span, parent));
    CHECK_ATTRS(span, {"server.address", "some.name"}, {"server.port", port},
                {"network.transport", "tcp"}, {"network.peer.address", "127.0.0.1"},
                {"network.peer.port", port}, {"network.type", "ipv4"}, {"error.type", ""});
    span = traced_next(span, 0, "tcp.connect");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"server.address", "127.0.0.1"}, {"error.type", "ECONNREFUSED"},
                {"network.peer.address", ""});
    CHECK_EQ(span->status, SKUA_SPAN_ERROR);
    span = traced_next(NULL, 0, "DNS lookup missing.name");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"error.type", "ENOENT"});
    metered_collect(0);
    CHECK_EQ(values("dns.lookup.duration", "dns.question.name", "some.name", NULL), 2);
    CHECK_EQ(values("dns.lookup.duration", "dns.question.name", "missing.name", "ENOENT"), 1);
    CHECK_EQ(values("skua.net.connect.duration", "network.transport", "tcp", NULL), 1);
    CHECK_EQ(values("skua.net.connect.duration", "network.transport", "tcp", "ECONNREFUSED"), 2);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "tcp.connect", NULL), 1);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "tcp.accept", NULL), 0);
    CHECK_EQ(
        sum("skua.net.connections", "skua.connection.side", "client", "network.transport", "tcp"),
        1);
    CHECK_EQ(
        sum("skua.net.connections", "skua.connection.side", "server", "network.transport", "tcp"),
        1);
    CHECK_EQ(sum("skua.net.io", "network.io.direction", "transmit", "network.transport", "tcp"),
             10);
    CHECK_EQ(sum("skua.net.io", "network.io.direction", "receive", "network.transport", "tcp"), 10);
    end();
    return 0;
}

static int connects_slowly(void *arg)
{
    return talks("slow.name", arg);
}

TEST_FIBER(a_connect_that_is_cancelled)
{
    char address[] = "127.0.0.1:1";
    const skua_otel_span *span;
    skua_task *task;
    int result;

    begin_with(SKUA_OTEL_OPERATIONS_ALL, NULL);
    SKUA_SPAN(outer, &tracer, "outer")
    {
        MUST(skua_spawn(NULL, connects_slowly, address, .task = &task) == 0);
        CHECK_EQ(skua_sleep(MS(2)), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
    }
    CHECK_EQ(skua_otel_flush(skua_now() + 2 * TEST_LATE), 0);
    traced_count = skua_otel_memory_spans(traced_memory, traced, TEST_LEN(traced));
    span = traced_next(NULL, 0, "tcp.connect");
    if (span != NULL) { /* else it was cancelled before it began to run */
        CHECK_ATTRS(span, {"server.address", "slow.name"}, {"error.type", "ECANCELED"});
        CHECK_EQ(span->status, SKUA_SPAN_ERROR);
    }
    end();
    return 0;
}

/* ---- files, processes, jobs ------------------------------------------------------------------ */

static int job(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST_FIBER(files_processes_and_jobs)
{
    char path[64];
    const skua_otel_span *parent, *span;
    skua_file *file;
    void *data;

    begin_with(SKUA_OTEL_OPERATIONS_ALL, NULL);
    SKUA_SPAN(outer, &tracer, "outer")
    {
        CHECK_EQ(skua_fs_write_atomic(a_file(path), "12345", 5, 0), 0);
        CHECK_EQ(skua_file_open(&file, path, NULL), 0);
        CHECK_EQ(skua_file_read_to_end(file, &data, SIZE_MAX), 5); /* counted, and no span */
        free(data);
        CHECK_EQ(skua_file_close(file), 0);
        CHECK_EQ(skua_file_open(&file, "/nowhere/at/all", NULL), -ENOENT);
        CHECK_EQ(runs("/bin/sh", "exit 0"), 0);
        CHECK_EQ(runs("/bin/sh", "exit 3"), 3);
        CHECK_EQ(runs("/nowhere/program", ""), -ENOENT);
        CHECK_EQ(skua_blocking(job, NULL), -EIO);
    }
    CHECK_EQ(skua_fs_remove(path), 0);
    MUST(traced_wait(8));
    parent = traced_next(NULL, 0, "outer");
    span = traced_next(NULL, 0, "fs.write");
    MUST(parent != NULL && span != NULL);
    CHECK(traced_child(span, parent));
    CHECK_ATTRS(span, {"file.path", path}, {"skua.operation.bytes", "5"}, {"error.type", ""});
    span = traced_next(NULL, 0, "file.open");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"file.path", path}, {"error.type", ""});
    span = traced_next(span, 0, "file.open");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"file.path", "/nowhere/at/all"}, {"error.type", "ENOENT"});
    span = traced_next(NULL, SKUA_SPAN_CLIENT, "sh");
    MUST(span != NULL);
    CHECK(traced_child(span, parent));
    CHECK_ATTRS(span, {"process.executable.name", "sh"}, {"process.executable.path", "/bin/sh"},
                {"process.exit.code", "0"}, {"error.type", ""});
    CHECK(ATTR(span, "process.pid")[0] != '\0');
    span = traced_next(span, SKUA_SPAN_CLIENT, "sh");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"process.exit.code", "3"}, {"error.type", "3"});
    CHECK_EQ(span->status, SKUA_SPAN_ERROR);
    span = traced_next(NULL, SKUA_SPAN_CLIENT, "program");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"process.exit.code", ""}, {"process.pid", ""}, {"error.type", "ENOENT"});
    span = traced_next(NULL, 0, "blocking.run");
    MUST(span != NULL);
    CHECK_ATTRS(span, {"error.type", "EIO"}, {"skua.blocking.queued", "(of another type)"});
    metered_collect(0);
    CHECK_EQ(metered_i64("skua.file.io", "disk.io.direction", "write"), 5);
    CHECK_EQ(metered_i64("skua.file.io", "disk.io.direction", "read"), 5);
    CHECK_EQ(metered_i64("skua.process.spawned", "process.executable.name", "sh"), 2);
    CHECK_EQ(metered_i64("skua.process.spawned", "error.type", "ENOENT"), 1);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "file.open", NULL), 1);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "file.open", "ENOENT"), 1);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "process.run", "3"), 1);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "blocking.run", "EIO"), 1);
    end();
    return 0;
}

/* ---- what makes nothing ---------------------------------------------------------------------- */

/* An exporter that does all that is told, on telemetry's own thread. */
static atomic_int exports;

static int64_t busy_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    CHECK_EQ(skua_trace_suppressed(), 1);
    CHECK_EQ(talks("some.name", "127.0.0.1:1"), -ECONNREFUSED);
    CHECK_EQ(runs("/bin/sh", "exit 3"), 3);
    CHECK_EQ(skua_fs_exists("/nowhere"), 0);
    CHECK_EQ(skua_blocking(job, NULL), -EIO);
    atomic_fetch_add(&exports, 1);
    return 0;
}

static const skua_otel_exporter_ops busy_ops = {.name = "busy", .export_batch = busy_export};

TEST_FIBER(telemetry_and_what_is_suppressed_make_nothing)
{
    static skua_otel_exporter busy = {&busy_ops};
    skua_span_frame frame;
    skua_tcp *a, *b;
    char buf[8];

    atomic_store(&exports, 0);
    begin_with(SKUA_OTEL_OPERATIONS_ALL, &busy);
    SKUA_SPAN(outer, &tracer, "outer")
    {
        CHECK_EQ(skua_trace_suppress(&frame), 0);
        test_tcp_pair(&a, &b);
        CHECK_EQ(skua_tcp_write(a, "1", 1), 1);
        CHECK_EQ(skua_tcp_read(b, buf, sizeof buf), 1);
        CHECK_EQ(runs("/bin/sh", "exit 3"), 3);
        CHECK_EQ(skua_span_leave(&frame), 0);
    }
    CHECK_EQ(skua_otel_flush(skua_now() + 2 * TEST_LATE), 0);
    CHECK_EQ(atomic_load(&exports), 1); /* one batch, and no second for what the first has done */
    metered_collect(0);
    CHECK(metered_metric("dns.lookup.duration") == NULL);
    CHECK(metered_metric("skua.operation.duration") == NULL);
    CHECK(metered_metric("skua.process.spawned") == NULL);
    CHECK_EQ(metered_points("skua.net.io"), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    end();
    return 0;
}

static void once(skua_otel_operations operations, size_t spans, int64_t measured)
{
    begin_with(operations, NULL);
    SKUA_SPAN(outer, &tracer, "outer")
    CHECK_EQ(skua_fs_exists("/nowhere"), 0);
    CHECK(traced_wait(spans));
    metered_collect(0);
    CHECK_EQ(values("skua.operation.duration", "skua.operation.name", "fs.stat", "ENOENT"),
             measured);
    end();
}

TEST_FIBER(options_and_the_environment)
{
    static const struct {
        const char *value;
        skua_otel_operations option;
        size_t spans;
        int64_t measured;
    } rows[] = {
        {NULL, SKUA_OTEL_OPERATIONS_DEFAULT, 1, 1},
        {"off", SKUA_OTEL_OPERATIONS_DEFAULT, 1, 0},
        {"all", SKUA_OTEL_OPERATIONS_DEFAULT, 2, 1},
        {"all", SKUA_OTEL_OPERATIONS_METRICS, 1, 1},
        {"all", SKUA_OTEL_OPERATIONS_OFF, 1, 0},
        {"METRICS", SKUA_OTEL_OPERATIONS_DEFAULT, 1, 1},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        if (rows[i].value != NULL)
            (void)setenv("SKUA_OTEL_OPERATIONS", rows[i].value, 1);
        once(rows[i].option, rows[i].spans, rows[i].measured);
        (void)unsetenv("SKUA_OTEL_OPERATIONS");
    }
    CHECK_EQ(skua_otel_start(SKUA_OTEL_OPTIONS(.operations = (skua_otel_operations)4)), -EINVAL);
    return 0;
}

/* It is none of a file's: beside one the variable counts, as those of tasks and runtimes do. */
TEST_FIBER(the_environment_beside_a_file)
{
    static const char text[] = "file_format: '1.1'\n";
    char path[] = "/tmp/skua-otel-XXXXXX.yaml";
    skua_otel_config *config;
    int fd;

    if (skua_otel_config_parse_text(text, sizeof text - 1, NULL, &config) == -ENOSYS)
        return 0; /* built without libyaml */
    skua_otel_config_free(config);
    fd = mkstemps(path, 5);
    MUST(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1 && close(fd) == 0);
    MUST(setenv("OTEL_CONFIG_FILE", path, 1) == 0);
    MUST(setenv("SKUA_OTEL_OPERATIONS", "all", 1) == 0);
    once(SKUA_OTEL_OPERATIONS_DEFAULT, 2, 1);
    MUST(setenv("SKUA_OTEL_OPERATIONS", "off", 1) == 0);
    once(SKUA_OTEL_OPERATIONS_DEFAULT, 1, 0);
    (void)unsetenv("SKUA_OTEL_OPERATIONS");
    once(SKUA_OTEL_OPERATIONS_DEFAULT, 1, 1);
    (void)unsetenv("OTEL_CONFIG_FILE");
    (void)unlink(path);
    return 0;
}

/* It ends behind the shutdown, and behind the next start. */
TEST_FIBER(a_process_that_outlives_telemetry)
{
    const char *argv[] = {"/bin/sh", "-c", "read line", NULL};
    skua_process *process;

    for (int again = 0; again < 2; again++) {
        begin_with(SKUA_OTEL_OPERATIONS_ALL, NULL);
        SKUA_SPAN(outer, &tracer, "outer")
        MUST(skua_process_spawn(&process, argv, .in = SKUA_STDIO_PIPE) == 0);
        end();
        if (again)
            begin_with(SKUA_OTEL_OPERATIONS_ALL, NULL);
        CHECK_EQ(skua_fd_close(skua_process_take_in(process)), 0);
        CHECK_EQ(skua_process_wait(process, NULL), 0);
        CHECK_EQ(skua_process_close(process), 0);
        if (again)
            end();
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_and_lookups),
        cmocka_unit_test(a_connect_that_is_cancelled),
        cmocka_unit_test(files_processes_and_jobs),
        cmocka_unit_test(telemetry_and_what_is_suppressed_make_nothing),
        cmocka_unit_test(options_and_the_environment),
        cmocka_unit_test(the_environment_beside_a_file),
        cmocka_unit_test(a_process_that_outlives_telemetry),
    };

    return TEST_MAIN(tests);
}
