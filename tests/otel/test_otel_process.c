/* test_otel_process.c - telemetry of processes: forks, and exits of all kinds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/otel/memory.h>
#include <skua/otel/reader.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

#include "../lib/child.h"
#include "../lib/harness.h"

static skua_tracer tracer = SKUA_TRACER("test.process", "1");

static int64_t soon(void)
{
    return skua_now() + TEST_LATE;
}

/* An exporter that writes a line for each span, in one call, and so from any process. */
struct writer {
    skua_otel_exporter exporter;
    int fd;
    bool hangs;
    unsigned forks;
};

static const skua_attr *instance_of(const skua_otel_resource *resource)
{
    for (uint32_t i = 0; i < resource->attrs.count; i++)
        if (strncmp(resource->attrs.at[i].key, "service.instance.id", 19) == 0)
            return &resource->attrs.at[i];
    return NULL;
}

static int64_t writer_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                             int64_t deadline)
{
    struct writer *writer = (struct writer *)exporter;
    const skua_attr *instance = instance_of(batch->resource);

    (void)deadline;
    if (writer->hangs)
        return skua_sleep(SKUA_FOREVER);
    for (uint32_t i = 0; i < batch->count; i++)
        dprintf(writer->fd, "%d %.*s %.*s\n", (int)getpid(), (int)batch->items.spans[i].name.len,
                batch->items.spans[i].name.at, (int)instance->count, instance->value.str);
    return 0;
}

static void writer_forked(skua_otel_exporter *exporter)
{
    ((struct writer *)exporter)->forks++;
}

static const skua_otel_exporter_ops writer_ops = {
    .name = "writer", .export_batch = writer_export, .forked = writer_forked};
static struct writer writer = {{&writer_ops}, 1, false, 0};

static void start(int64_t exit_timeout)
{
    skua_otel_destination to = {.exporter = &writer.exporter};

    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .exit_timeout = exit_timeout)) == 0);
}

static void make(const char *name)
{
    skua_span_end(skua_span_start(&tracer, name, NULL));
}

/* ---- forks ----------------------------------------------------------------------------------- */

struct seen {
    int parent, child, other;
    char parent_id[40], child_id[40];
};

/* All processes append to it. */
static FILE *output(void)
{
    FILE *file = tmpfile();

    MUST(file != NULL && fcntl(fileno(file), F_SETFL, O_APPEND) == 0);
    writer.fd = fileno(file);
    return file;
}

static void look(FILE *output, pid_t child, struct seen *seen)
{
    char name[32], id[40], path[64];
    FILE *file;
    int pid;

    *seen = (struct seen){0};
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(output));
    file = fopen(path, "r"); /* with an offset of its own */
    MUST(file != NULL);
    while (fscanf(file, "%d %31s %39s", &pid, name, id) == 3) {
        if (pid == child && strcmp(name, "child") == 0) {
            seen->child++;
            strcpy(seen->child_id, id);
        } else if (pid == getpid() && strcmp(name, "parent") == 0) {
            seen->parent++;
            strcpy(seen->parent_id, id);
        } else {
            seen->other++;
        }
    }
    (void)fclose(file);
}

static int child_of_fork(void)
{
    skua_span_frame frame;
    skua_span *span;

    for (int i = 0; i < 5; i++)
        make("child");
    span = skua_span_start(&tracer, "child", NULL);
    if (skua_span_enter(&frame, span) != 0 || skua_span_leave(&frame) != 0)
        return 2;
    skua_span_end(span);
    if (skua_otel_flush(soon()) != 0)
        return 3;
    make("child");
    return skua_otel_shutdown(soon()) == 0 ? 0 : 4;
}

static void *start_for_ever(void *arg)
{
    while (!atomic_load((atomic_bool *)arg)) {
        start(-1);
        make("parent");
        (void)skua_otel_shutdown(soon());
    }
    return NULL;
}

/* Telemetry is the first of the library's that this process uses: what is told of forks then comes
 * in another order than where a runtime is. */
static int forks_while_it_starts_and_stops(void)
{
    static atomic_bool over;
    pthread_t thread;

    MUST(setpgid(0, 0) == 0);
    (void)alarm(60); /* locks that are never let go of */
    MUST(pthread_create(&thread, NULL, start_for_ever, &over) == 0);
    for (int i = 0; i < TEST_COUNT(1000); i++) {
        pid_t child = fork();
        int status;

        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        MUST(waitpid(child, &status, 0) == child);
    }
    atomic_store(&over, true);
    return pthread_join(thread, NULL);
}

/* Comes first: see above. */
TEST(forks_while_it_starts_and_stops_end)
{
    FILE *file = output();
    pid_t child;
    int status;

    if (TEST_SANITIZED)
        return; /* see bug_6_forks_at_any_time */
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(forks_while_it_starts_and_stops());
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    (void)kill(-child, SIGKILL); /* those that hang */
    (void)fclose(file);
}

/* Bug 6: the child has no thread, locks of others are held, the parent's queue is sent twice. */
TEST(bug_6_the_child_of_a_fork_starts_clean)
{
    FILE *file = output();
    struct seen seen;
    pid_t child;
    int status;

    if (TEST_TSAN)
        return; /* threads before a fork are what it cannot bear */
    start(-1);
    for (int i = 0; i < 10; i++)
        make("parent"); /* still in the ring when the child comes */
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(child_of_fork());
    for (int i = 0; i < 10; i++)
        make("parent");
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    look(file, child, &seen);
    CHECK_EQ(seen.parent, 20);
    CHECK_EQ(seen.child, 7);
    CHECK_EQ(seen.other, 0);
    CHECK(strcmp(seen.parent_id, seen.child_id) != 0);
    CHECK_EQ(writer.forks, 0); /* in this process */
    (void)fclose(file);
}

static atomic_bool stop_making;

static void *make_for_ever(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop_making)) {
        make("parent");
        usleep(20);
    }
    return NULL;
}

/* While all threads are busy with telemetry, and telemetry's own with a batch. */
TEST(bug_6_forks_at_any_time)
{
    pthread_t threads[2];
    FILE *file = output();
    struct seen seen;
    int rounds = TEST_COUNT(20) + 3;

    if (TEST_SANITIZED)
        return; /* a sanitizer's own locks may be held by a thread that is not in the child */
    start(-1);
    atomic_store(&stop_making, false);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, make_for_ever, NULL) == 0);
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        int status;

        MUST(child >= 0);
        if (child == 0)
            _exit(child_of_fork());
        MUST(waitpid(child, &status, 0) == child);
        if (!CHECK_EQ(status, 0))
            break;
        look(file, child, &seen);
        CHECK_EQ(seen.child, 7);
    }
    atomic_store(&stop_making, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    (void)skua_otel_shutdown(soon());
    (void)fclose(file);
}

static int fork_grandchild(void)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(child_of_fork());
    return waitpid(child, &status, 0) == child ? status : 9;
}

TEST(bug_6_the_child_of_a_child_and_of_one_that_did_nothing)
{
    FILE *file = output();
    pid_t child;
    int status;

    if (TEST_TSAN)
        return;
    start(-1);
    make("parent");
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(fork_grandchild() != 0 || skua_otel_flush(soon()) != 0 ||
              skua_otel_shutdown(soon()) != 0 || skua_span_start(&tracer, "off", NULL) != NULL);
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    (void)fclose(file);
}

static void *shut_down(void *arg)
{
    (void)arg;
    (void)skua_otel_shutdown(skua_now() + MS(500)); /* the exporter hangs until then */
    return NULL;
}

/* What of telemetry's own was measured in the parent is not in a child that starts it anew. */
static int starts_without_measuring(void)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_otel_collected *got;
    size_t count;

    writer.hangs = false;
    if (reader == NULL ||
        skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .readers = &reader,
                                          .readers_count = 1, .self_metrics_off = 1,
                                          .runtime_metrics = SKUA_OTEL_RUNTIME_OFF)) != 0)
        return 2;
    if (skua_otel_collect(reader, &got) != 0)
        return 3;
    count = got->batch.count;
    skua_otel_collected_free(got);
    return skua_otel_shutdown(soon()) != 0 ? 4 : count != 0 ? 5 : 0;
}

TEST(a_fork_in_a_shutdown_leaves_nothing_behind)
{
    skua_otel_destination to[] = {{.exporter = &writer.exporter}, {.signal = SKUA_OTEL_METRICS}};
    pthread_t thread;
    pid_t child;
    int status;

    if (TEST_TSAN)
        return; /* threads before a fork are what it cannot bear */
    MUST(skua_otel_memory_new(&to[1].exporter) == 0);
    writer.hangs = true;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .destinations = to,
                                           .destinations_count = 2,
                                           .runtime_metrics = SKUA_OTEL_RUNTIME_FULL)) == 0);
    make("parent");
    MUST(pthread_create(&thread, NULL, shut_down, NULL) == 0);
    while (skua_trace_installed() != NULL)
        usleep(1000);
    child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(starts_without_measuring());
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    pthread_join(thread, NULL);
    (void)skua_otel_shutdown(soon());
    skua_otel_memory_free(to[1].exporter);
    writer.hangs = false;
}

/* ---- exits ----------------------------------------------------------------------------------- */

static int exit_in_a_fiber(void *arg)
{
    (void)arg;
    exit(0);
    return 1;
}

static skua_poll poll_exit(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    exit(0);
    return 0;
}

static int exit_in_a_poll_task(void *arg)
{
    char state = 0;

    (void)arg;
    return skua_spawn_poll(NULL, poll_exit, &state);
}

/* Not more than what the parent's buffer has room for, beside the span that it looks for. */
static void *spans_until_exit(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++)
        make("thread");
    for (;;)
        (void)pause();
    return NULL;
}

static void late_span(void)
{
    make("late"); /* behind the shutdown: nothing */
}

static int child_main(const char *mode)
{
    pthread_t thread;

    (void)atexit(late_span);
    if (strcmp(mode, "hang") == 0)
        writer.hangs = true;
    start(strcmp(mode, "hang") == 0 ? MS(100) : strcmp(mode, "for ever") == 0 ? SKUA_FOREVER : 0);
    make("span");
    if (strcmp(mode, "fiber") == 0)
        return skua_main(exit_in_a_fiber, NULL, SKUA_RUNTIME_OPTIONS(.workers = 2));
    if (strcmp(mode, "poll task") == 0)
        return skua_main(exit_in_a_poll_task, NULL, SKUA_RUNTIME_OPTIONS(.workers = 2));
    if (strcmp(mode, "threads") == 0)
        for (int i = 0; i < 2; i++)
            MUST(pthread_create(&thread, NULL, spans_until_exit, NULL) == 0);
    return 0;
}

/* Bug 11: a program that never shuts down. */
TEST(bug_11_exit_sends_what_there_is)
{
    static const char *const modes[] = {"return", "threads", "fiber", "poll task", "for ever"};
    struct test_child child;

    for (size_t i = 0; i < TEST_LEN(modes); i++) {
        test_variant(modes[i]);
        CHECK_EQ(test_child_run(&child, modes[i], NULL), 0);
        CHECK(strstr(child.text, " span ") != NULL);
        CHECK(strstr(child.text, " late ") == NULL);
    }
}

TEST(bug_17_exit_does_not_wait_for_an_exporter_that_hangs)
{
    struct test_child child;
    int64_t before = skua_now();

    /* It ends while the fiber that hangs is there: no leak, but LeakSanitizer knows no fibers. */
    CHECK_EQ(test_child_run(&child, "hang", "ASAN_OPTIONS=detect_leaks=0"), 0);
    CHECK_RANGE(skua_now() - before, MS(0), MS(100) + 2 * TEST_LATE);
    CHECK(strstr(child.text, " span ") == NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forks_while_it_starts_and_stops_end),
        cmocka_unit_test(bug_6_the_child_of_a_fork_starts_clean),
        cmocka_unit_test(bug_6_forks_at_any_time),
        cmocka_unit_test(bug_6_the_child_of_a_child_and_of_one_that_did_nothing),
        cmocka_unit_test(a_fork_in_a_shutdown_leaves_nothing_behind),
        cmocka_unit_test(bug_11_exit_sends_what_there_is),
        cmocka_unit_test(bug_17_exit_does_not_wait_for_an_exporter_that_hangs),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
