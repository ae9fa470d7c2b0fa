/* drivers: both */
/* test_otel_runtime.c - metrics of runtimes: what they count is what was done, sums outlive those
 * who made them, and what probes measure is of the right names.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/mpsc.h>
#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include "metered.h"
#include "otel/bridge/bridge_runtime.h"

#define RUNTIME_NAME "skua.runtime.name"

/* ---- telemetry, and a runtime ---------------------------------------------------------------- */

static void start(skua_otel_runtime_metrics level)
{
    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    metered.reader[1] = metered_reader(SKUA_OTEL_PREFER_DELTA, 0);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .readers = metered.reader,
                                           .readers_count = 2, .runtime_metrics = level)) == 0);
}

static void stop(void)
{
    skua_otel_collected_free(metered.got);
    metered.got = NULL;
    CHECK_EQ(skua_otel_shutdown(skua_now() + 60 * SKUA_SECOND), 0);
    for (int i = 0; i < 2; i++) {
        skua_otel_reader_free(metered.reader[i]);
        metered.reader[i] = NULL;
    }
}

static skua_runtime *runtime_of(const char *name, skua_runtime_kind kind, unsigned workers)
{
    skua_runtime *runtime;

    MUST(skua_runtime_new(
             &runtime, SKUA_RUNTIME_OPTIONS(.name = name, .kind = kind, .workers = workers)) == 0);
    return runtime;
}

/* Of a runtime; INT64_MIN: there is none. */
static int64_t of(const char *metric, const char *name)
{
    return metered_i64(metric, RUNTIME_NAME, name);
}

/* The points of a metric of a runtime, all together. */
static int64_t sum_of(const char *metric, const char *name)
{
    const skua_otel_metric *all = metered_metric(metric);
    int64_t sum = 0;

    for (uint32_t i = 0; all != NULL && i < all->points_count; i++) {
        const skua_attr *attr = metered_attr(&all->points[i].attrs, RUNTIME_NAME);

        if (attr->count == strlen(name) && memcmp(attr->value.str, name, attr->count) == 0)
            sum += all->points[i].value.i64;
    }
    return sum;
}

/* A histogram's point of a runtime, and of what was waited for (NULL: has no such attribute). */
static const skua_otel_point *times_of(const char *metric, const char *name, const char *waited)
{
    const skua_otel_metric *all = metered_metric(metric);

    for (uint32_t i = 0; all != NULL && i < all->points_count; i++) {
        const skua_attr *attr = metered_attr(&all->points[i].attrs, RUNTIME_NAME);
        const skua_attr *wait = metered_attr(&all->points[i].attrs, "skua.wait.name");

        if (attr->count != strlen(name) || memcmp(attr->value.str, name, attr->count) != 0)
            continue;
        if (waited == NULL || (wait != NULL && wait->count == strlen(waited) &&
                               memcmp(wait->value.str, waited, wait->count) == 0))
            return &all->points[i];
    }
    return NULL;
}

/* How many values it has; its sum is what its buckets allow. */
static uint64_t count_of(const char *metric, const char *name, const char *waited)
{
    const skua_otel_point *point = times_of(metric, name, waited);
    uint64_t count = 0;
    double low = -1e-9, high = 1e-9;

    if (point == NULL)
        return 0;
    for (uint32_t i = 0; i <= point->bounds_count; i++) {
        count += point->counts[i];
        low += i != 0 ? (double)point->counts[i] * point->bounds[i - 1] : 0;
        high += (double)point->counts[i] * (i < point->bounds_count ? point->bounds[i] : 3600);
    }
    CHECK_EQ(count, point->count);
    CHECK(low <= point->sum && point->sum <= high);
    return count;
}

/* ---- the work -------------------------------------------------------------------------------- */

#define TASKS 50
#define YIELDS 3

static int yields(void *arg)
{
    (void)arg;
    for (int i = 0; i < YIELDS; i++)
        if (skua_yield() != 0)
            return -ECANCELED;
    return 0;
}

static int many(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        MUST(skua_spawn(NULL, yields, NULL) == 0);
    return 0;
}

TEST(runtime_counts_are_what_was_done)
{
    skua_runtime *runtime = runtime_of("counted", SKUA_CURRENT_THREAD, 1);
    int rc = -1;

    start(SKUA_OTEL_RUNTIME_BASIC);
    CHECK_EQ(skua_block_on(runtime, many, NULL, &rc), 0);
    CHECK_EQ(rc, 0);
    metered_collect(0);
    CHECK_EQ(sum_of("skua.task.spawned", "counted"), TASKS + 1);
    CHECK_EQ(of("skua.task.alive", "counted"), 0);
    CHECK(of("skua.task.polls", "counted") >= TASKS * (1 + YIELDS) + 1);
    CHECK_EQ(of("skua.runtime.alive", "counted"), 1);
    CHECK_EQ(of("skua.runtime.workers", "counted"), 1);
    CHECK_EQ(of("skua.worker.steals", "counted"), 0);
    CHECK(of("skua.task.memory", "counted") > 0);
    CHECK(of("skua.task.stacks", "counted") > 0);
    CHECK(times_of("skua.worker.busy.time", "counted", NULL)->value.f64 > 0);
    CHECK_EQ(metered_metric("skua.task.spawned")->monotonic, 1);
    CHECK_EQ(metered_metric("skua.task.alive")->monotonic, 0);
    CHECK(metered_attr(&metered_point("skua.task.alive", RUNTIME_NAME, "counted")->attrs,
                       "skua.driver") != NULL);
    /* Nobody asked for these. */
    CHECK(metered_metric("skua.task.poll.duration") == NULL);
    /* Telemetry does not measure itself. */
    CHECK(metered_point("skua.task.alive", RUNTIME_NAME, "telemetry") == NULL);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(channels_are_measured_by_their_names)
{
    skua_mpsc_sender *tx[3];
    skua_mpsc_receiver *rx[3];
    char message = 'm';

    for (int i = 0; i < 3; i++)
        MUST(skua_mpsc_new(&tx[i], &rx[i], 1, 10) == 0);
    for (int i = 0; i < 2; i++) { /* the third one has no name */
        MUST(skua_mpsc_set_name(rx[i], "orders") == 0);
        for (int k = 0; k <= i; k++)
            MUST(skua_mpsc_try_send(tx[i], &message) == 0);
    }
    start(SKUA_OTEL_RUNTIME_BASIC);
    metered_collect(0);
    CHECK_EQ(metered_i64("skua.channel.alive", "skua.channel.name", "orders"), 2);
    CHECK_EQ(metered_i64("skua.channel.length", "skua.channel.name", "orders"), 3);
    CHECK_EQ(metered_i64("skua.channel.capacity", "skua.channel.name", "orders"), 20);
    CHECK_EQ(metered_i64("skua.channel.alive", "skua.channel.kind", "mpsc"), 2);
    for (int i = 0; i < 3; i++) {
        skua_mpsc_sender_close(tx[i]);
        skua_mpsc_receiver_close(rx[i]);
    }
    metered_collect(0);
    CHECK_EQ(metered_i64("skua.channel.length", "skua.channel.name", "orders"), INT64_MIN);
    stop();
}

TEST(runtime_sums_outlive_their_runtimes)
{
    start(SKUA_OTEL_RUNTIME_BASIC);
    for (int i = 1; i <= 3; i++) {
        skua_runtime *runtime = runtime_of("brief", SKUA_CURRENT_THREAD, 1);

        CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
        metered_collect(0);
        CHECK_EQ(sum_of("skua.task.spawned", "brief"), i * (TASKS + 1));
        CHECK_EQ(of("skua.runtime.alive", "brief"), 1);
        CHECK_EQ(skua_runtime_free(runtime), 0);
        metered_collect(0);
        CHECK_EQ(sum_of("skua.task.spawned", "brief"), i * (TASKS + 1));
        CHECK_EQ(of("skua.runtime.alive", "brief"), 0);
        CHECK_EQ(of("skua.task.stacks", "brief"), 0);
        metered_collect(1);
        CHECK_EQ(sum_of("skua.task.spawned", "brief"), TASKS + 1);
    }
    stop();
}

static int sleeps(void *arg)
{
    (void)arg;
    return skua_sleep(MS(2));
}

TEST(runtime_timers_are_counted_by_how_late_they_fire)
{
    skua_runtime *runtime = runtime_of("timed", SKUA_CURRENT_THREAD, 1);
    const skua_otel_point *point;

    CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0); /* before telemetry: not of it */
    start(SKUA_OTEL_RUNTIME_BASIC);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0);
    metered_collect(0);
    CHECK_EQ(of("skua.timer.fired", "timed"), 5);
    CHECK_EQ(of("skua.timer.armed", "timed"), 0);
    CHECK_EQ(count_of("skua.timer.lag", "timed", NULL), 4);
    point = times_of("skua.timer.lag", "timed", NULL);
    CHECK(point->sum > 0 && point->sum < 60);
    CHECK_EQ(point->has_min, 0);
    CHECK_EQ(point->bounds_count, 20);
    CHECK(point->bounds[0] == 1.024e-6);
    CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0);
    metered_collect(1);
    CHECK_EQ(count_of("skua.timer.lag", "timed", NULL), 5);
    metered_collect(1);
    CHECK_EQ(count_of("skua.timer.lag", "timed", NULL), 0);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

/* ---- turns and waits ------------------------------------------------------------------------- */

static skua_mutex mutex = SKUA_MUTEX_INIT;

static int locks(void *arg)
{
    (void)arg;
    MUST(skua_mutex_lock(&mutex) == 0);
    (void)skua_mutex_unlock(&mutex);
    return skua_yield(); /* a turn that no wait comes before */
}

/* Seven wait for a mutex, once each. */
static int holds(void *arg)
{
    skua_scope scope;

    (void)arg;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_mutex_lock(&mutex) == 0);
    for (int i = 0; i < 7; i++)
        MUST(skua_spawn(&scope, locks, NULL) == 0);
    MUST(skua_yield() == 0);
    (void)skua_mutex_unlock(&mutex);
    return skua_scope_join(&scope);
}

TEST(runtime_waits_are_counted_by_name)
{
    skua_runtime *runtime = runtime_of("waits", SKUA_CURRENT_THREAD, 1);
    const skua_otel_point *point;

    start(SKUA_OTEL_RUNTIME_FULL);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(skua_block_on(runtime, holds, NULL, NULL), 0);
    metered_collect(0);
    CHECK_EQ(count_of("skua.wait.duration", "waits", "mutex"), 6 * 7);
    CHECK_EQ(sum_of("skua.task.polls", "waits"),
             (int64_t)count_of("skua.task.poll.duration", "waits", NULL));
    /* Spawned, yielded, woken: each turn had a time in line. */
    CHECK_EQ(count_of("skua.task.schedule.duration", "waits", NULL),
             count_of("skua.task.poll.duration", "waits", NULL));
    point = times_of("skua.task.poll.duration", "waits", NULL);
    CHECK(point->sum > 0 && point->sum < 60);
    CHECK_EQ(metered_i64("skua.runtime.unmeasured", NULL, NULL), 0);
    CHECK(times_of("skua.task.poll.duration", "telemetry", NULL) == NULL);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

static int receives(void *arg)
{
    skua_mpsc_receiver *receiver = arg;
    int value;

    while (skua_mpsc_recv(receiver, &value) == 0)
        continue;
    return 0;
}

struct line {
    skua_mpsc_sender *sender;
    skua_mpsc_receiver *receiver;
};

/* A receiver that waits once for each of five values, and for the end. */
static int sends(void *arg)
{
    struct line *line = arg;
    skua_task *task;

    MUST(skua_spawn(NULL, receives, line->receiver, .task = &task) == 0);
    for (int i = 0; i < 5; i++) {
        MUST(skua_yield() == 0);
        MUST(skua_mpsc_send(line->sender, &i) == 0);
    }
    MUST(skua_yield() == 0);
    skua_mpsc_sender_close(line->sender);
    return skua_task_join(task, NULL);
}

TEST(runtime_waits_for_a_channel)
{
    skua_runtime *runtime = runtime_of("line", SKUA_CURRENT_THREAD, 1);
    struct line line;

    start(SKUA_OTEL_RUNTIME_FULL);
    MUST(skua_mpsc_new(&line.sender, &line.receiver, sizeof(int), 1) == 0);
    CHECK_EQ(skua_block_on(runtime, sends, &line, NULL), 0);
    metered_collect(1);
    CHECK_EQ(count_of("skua.wait.duration", "line", "channel.recv"), 6);
    CHECK_EQ(count_of("skua.wait.duration", "line", "join"), 1);
    stop();
    skua_mpsc_receiver_close(line.receiver);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(runtime_turns_of_a_runtime_that_is_gone)
{
    skua_runtime *runtime;
    uint64_t turns;

    start(SKUA_OTEL_RUNTIME_FULL);
    for (int i = 1; i <= 2; i++) {
        runtime = runtime_of("past", SKUA_MULTI_THREAD, 2);
        CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
        metered_collect(0);
        turns = count_of("skua.task.poll.duration", "past", NULL);
        CHECK_EQ(turns, of("skua.task.polls", "past"));
        CHECK(turns >= (uint64_t)i * TASKS * (1 + YIELDS));
    }
    /* What was not collected is not of the next start. */
    runtime = runtime_of("past", SKUA_CURRENT_THREAD, 1);
    CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    stop();
    /* Nobody listens now. */
    runtime = runtime_of("past", SKUA_CURRENT_THREAD, 1);
    CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
    start(SKUA_OTEL_RUNTIME_FULL);
    metered_collect(0);
    CHECK(times_of("skua.task.poll.duration", "past", NULL) == NULL);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

#define CROWD 70000

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int crowd(void *arg)
{
    (void)arg;
    for (int i = 0; i < CROWD; i++)
        MUST(skua_spawn(NULL, nothing, NULL) == 0);
    return 0;
}

TEST(runtime_with_more_tasks_than_there_is_room_for)
{
    skua_runtime *runtime = runtime_of("crowd", SKUA_CURRENT_THREAD, 1);
    int64_t lost;

    if (TEST_SANITIZED)
        return;
    start(SKUA_OTEL_RUNTIME_FULL);
    CHECK_EQ(skua_block_on(runtime, crowd, NULL, NULL), 0);
    metered_collect(0);
    lost = metered_i64("skua.runtime.unmeasured", NULL, NULL);
    CHECK_RANGE(lost, CROWD - 65536, CROWD / 2);
    CHECK_EQ(count_of("skua.task.poll.duration", "crowd", NULL), CROWD + 1);
    CHECK_EQ(count_of("skua.task.schedule.duration", "crowd", NULL), CROWD + 1 - lost);
    /* There is room again. */
    CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
    metered_collect(0);
    CHECK_EQ(metered_i64("skua.runtime.unmeasured", NULL, NULL), lost);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

/* ---- at any time ----------------------------------------------------------------------------- */

static void *comes_and_goes(void *arg)
{
    for (int i = 0; i < TEST_COUNT(40); i++) {
        skua_runtime *runtime = runtime_of(
            arg, i % 2 == 0 ? SKUA_MULTI_THREAD : SKUA_CURRENT_THREAD, 2 - (unsigned)i % 2);

        CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
    return NULL;
}

TEST(runtime_metrics_while_runtimes_come_and_go)
{
    static char *const names[2] = {"one", "two"};
    pthread_t threads[2];
    int64_t last = 0;

    start(SKUA_OTEL_RUNTIME_FULL);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, comes_and_goes, names[i]) == 0);
    for (int i = 0; i < TEST_COUNT(200); i++) {
        int64_t now;

        metered_collect(i % 2);
        now = sum_of("skua.task.spawned", "one");
        if (i % 2 == 0) {
            CHECK(now >= last);
            last = now;
        }
    }
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    metered_collect(0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sum_of("skua.task.spawned", names[i]), TEST_COUNT(40) * (TASKS + 1));
        CHECK_EQ(count_of("skua.task.poll.duration", names[i], NULL),
                 of("skua.task.polls", names[i]));
    }
    stop();
}

TEST(runtime_names_beyond_the_table_share_a_series)
{
    start(SKUA_OTEL_RUNTIME_BASIC);
    for (int i = 0; i < 40; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "name %d", i);
        CHECK_EQ(skua_runtime_free(runtime_of(name, SKUA_CURRENT_THREAD, 1)), 0);
    }
    metered_collect(0);
    CHECK_EQ(metered_points("skua.task.alive"), 33);
    CHECK(of("skua.task.alive", "other") == 0);
    stop();
}

TEST(runtime_of_a_forks_child_counts_anew)
{
    int status;
    pid_t child;

    if (TEST_TSAN) /* makes no threads behind a fork */
        return;
    start(SKUA_OTEL_RUNTIME_FULL);
    child = fork();
    if (child == 0) {
        skua_runtime *runtime = runtime_of("child", SKUA_CURRENT_THREAD, 1);

        CHECK_EQ(skua_block_on(runtime, many, NULL, NULL), 0);
        metered_collect(0);
        CHECK_EQ(metered_points("skua.task.alive"), 1);
        CHECK_EQ(sum_of("skua.task.spawned", "child"), TASKS + 1);
        CHECK(count_of("skua.task.poll.duration", "child", NULL) > TASKS);
        CHECK_EQ(skua_runtime_free(runtime), 0);
        _exit(test_failures() ? 1 : 0);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    stop();
}

/* ---- started, asked -------------------------------------------------------------------------- */

TEST(runtime_metrics_are_chosen_by_option_and_environment)
{
    static const struct {
        const char *environment;
        skua_otel_runtime_metrics option, is;
    } rows[] = {
        {NULL, SKUA_OTEL_RUNTIME_DEFAULT, SKUA_OTEL_RUNTIME_BASIC},
        {"", SKUA_OTEL_RUNTIME_DEFAULT, SKUA_OTEL_RUNTIME_BASIC},
        {"off", SKUA_OTEL_RUNTIME_DEFAULT, SKUA_OTEL_RUNTIME_OFF},
        {"FULL", SKUA_OTEL_RUNTIME_DEFAULT, SKUA_OTEL_RUNTIME_FULL},
        {"some", SKUA_OTEL_RUNTIME_DEFAULT, SKUA_OTEL_RUNTIME_BASIC},
        {"full", SKUA_OTEL_RUNTIME_OFF, SKUA_OTEL_RUNTIME_OFF},
    };

    skua__otel_warn_to(metered_warned, NULL);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        if (rows[i].environment != NULL)
            MUST(setenv("SKUA_OTEL_RUNTIME", rows[i].environment, 1) == 0);
        metered.warned = 0;
        CHECK_EQ(skua__rtm_level(rows[i].option, true), rows[i].is);
        CHECK_EQ(metered.warned, i == 4);
    }
    CHECK_EQ(skua__rtm_level(SKUA_OTEL_RUNTIME_DEFAULT, false), SKUA_OTEL_RUNTIME_BASIC);
    MUST(unsetenv("SKUA_OTEL_RUNTIME") == 0);
    skua__otel_warn_to(NULL, NULL);
    CHECK_EQ(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1,
                                               .runtime_metrics = SKUA_OTEL_RUNTIME_FULL + 1)),
             -EINVAL);
    start(SKUA_OTEL_RUNTIME_OFF);
    metered_collect(0);
    CHECK(metered_metric("skua.task.alive") == NULL);
    stop();
}

TEST(runtime_metrics_on_a_page_for_prometheus)
{
    skua_runtime *runtime = runtime_of("page", SKUA_CURRENT_THREAD, 1);
    skua_otel_prometheus options = {.without_scope = 1};
    char *page;

    start(SKUA_OTEL_RUNTIME_FULL);
    CHECK_EQ(skua_block_on(runtime, holds, NULL, NULL), 0);
    metered_collect(0);
    MUST(skua_otel_prometheus_write(&options, &metered.got->batch, SKUA_OTEL_PROMETHEUS_TEXT, &page,
                                    NULL) == 0);
    CHECK(strstr(page, "# TYPE skua_task_spawned_total counter\n") != NULL);
    CHECK(strstr(page, "# TYPE skua_task_schedule_duration_seconds histogram\n") != NULL);
    CHECK(strstr(page, "skua_wait_duration_seconds_count{skua_runtime_name=\"page\","
                       "skua_wait_name=\"mutex\"} 7\n") != NULL);
    CHECK(strstr(page, "skua_worker_busy_time_seconds_total{") != NULL);
    skua_otel_prometheus_free(page);
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

/* Other bounds than those it was counted by, and exponential ones. */
TEST(runtime_histograms_by_views)
{
    static const double bounds[] = {3600};
    static const skua_otel_view views[] = {
        {.size = sizeof(skua_otel_view),
         .instrument = "skua.wait.duration",
         .aggregation = {.kind = SKUA_OTEL_EXPLICIT, .bounds = bounds, .bounds_count = 1}},
        {.size = sizeof(skua_otel_view),
         .instrument = "skua.task.poll.duration",
         .aggregation = {.kind = SKUA_OTEL_BASE2}}};
    skua_runtime *runtime = runtime_of("viewed", SKUA_CURRENT_THREAD, 1);
    const skua_otel_point *point;

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .readers = metered.reader,
                                           .readers_count = 1, .views = views, .views_count = 2,
                                           .runtime_metrics = SKUA_OTEL_RUNTIME_FULL)) == 0);
    CHECK_EQ(skua_block_on(runtime, holds, NULL, NULL), 0);
    metered_collect(0);
    point = times_of("skua.wait.duration", "viewed", "mutex");
    CHECK_EQ(point->count, 7);
    CHECK_EQ(point->counts[0], 7);
    point = times_of("skua.task.poll.duration", "viewed", NULL);
    CHECK_EQ(point->count, of("skua.task.polls", "viewed"));
    stop();
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime_counts_are_what_was_done),
        cmocka_unit_test(channels_are_measured_by_their_names),
        cmocka_unit_test(runtime_sums_outlive_their_runtimes),
        cmocka_unit_test(runtime_timers_are_counted_by_how_late_they_fire),
        cmocka_unit_test(runtime_waits_are_counted_by_name),
        cmocka_unit_test(runtime_waits_for_a_channel),
        cmocka_unit_test(runtime_turns_of_a_runtime_that_is_gone),
        cmocka_unit_test(runtime_with_more_tasks_than_there_is_room_for),
        cmocka_unit_test(runtime_metrics_while_runtimes_come_and_go),
        cmocka_unit_test(runtime_of_a_forks_child_counts_anew),
        cmocka_unit_test(runtime_metrics_are_chosen_by_option_and_environment),
        cmocka_unit_test(runtime_metrics_on_a_page_for_prometheus),
        cmocka_unit_test(runtime_histograms_by_views),
        /* The last one: the table is the process's. */
        cmocka_unit_test(runtime_names_beyond_the_table_share_a_series),
    };

    return TEST_MAIN(tests);
}
