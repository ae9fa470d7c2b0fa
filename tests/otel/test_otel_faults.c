/* test_otel_faults.c - collectors that fail: where each span has gone is counted, and adds up.
 *
 * All of telemetry, from the span to the socket, against a collector that follows a script; what
 * that says is known, so that every figure is. docs/otel-compliance.md, "Faults", has the table.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <skua/otel/disk_queue.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "export.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define PROTOBUF "Content-Type: application/x-protobuf\r\n"
#define NOBODY "http://127.0.0.1:1"
#define PATIENT (20 * SKUA_SECOND)
#define SPANS 20 /* of a test, in two batches */

static skua_tracer tracer = SKUA_TRACER("test.faults", "1");

static void make(unsigned count)
{
    while (count-- > 0)
        skua_span_end(skua_span_start(&tracer, "marked-span", NULL));
}

static void says_nothing(void *arg, const char *line)
{
    (void)line;
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* ---- a collector on a thread of its own ------------------------------------------------------ */

struct collector {
    const struct act *acts; /* NULL: a server that takes everything */
    size_t count;
    char url[SKUA_ADDRESS_MAX + 16];
    atomic_uint received; /* spans, by the server */
    atomic_bool ready, stop;
    pthread_t thread;
};

static int takes(skua_http_exchange *exchange, void *state)
{
    struct collector *collector = state;
    char *body, *at;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, 1 << 20);

    if (rc != 0)
        return rc;
    for (at = body; (at = memmem(at, len - (size_t)(at - body), "marked-span", 11)) != NULL; at++)
        atomic_fetch_add(&collector->received, 1);
    return skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

static int collects(void *arg)
{
    struct collector *self = arg;
    skua_span_frame frame;
    struct peer peer;
    struct site site;

    MUST(skua_trace_suppress(&frame) == 0); /* our own server's spans are not what is counted */
    if (self->acts != NULL)
        peer_begin(&peer, self->acts, self->count);
    else
        site_begin(&site, takes, self, NULL);
    memcpy(self->url, self->acts != NULL ? peer.url : site.url, sizeof self->url);
    atomic_store(&self->ready, true);
    while (!atomic_load(&self->stop))
        (void)skua_sleep(MS(2));
    if (self->acts != NULL)
        peer_end(&peer);
    else
        site_end(&site);
    CHECK_EQ(skua_span_leave(&frame), 0);
    return 0;
}

static void *collector_thread(void *arg)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, collects, arg);
    test_runtime_free(runtime);
    return NULL;
}

static void collector_begin(struct collector *self, const struct act *acts, size_t count)
{
    memset(self, 0, sizeof *self);
    self->acts = acts;
    self->count = count;
    MUST(pthread_create(&self->thread, NULL, collector_thread, self) == 0);
    while (!atomic_load(&self->ready))
        (void)usleep(200);
}

static void collector_end(struct collector *self)
{
    atomic_store(&self->stop, true);
    (void)pthread_join(self->thread, NULL);
}

/* ---- where the spans have gone --------------------------------------------------------------- */

struct account {
    uint64_t exported, rejected, failed, full, shutdown, warned;
};

/* One that answers at its deadline may not be over yet. */
static void shuts_down(int64_t patience)
{
    int rc = skua_otel_shutdown(skua_now() + patience);

    for (int i = 0; rc != 0 && i < 10000; i++) {
        (void)usleep(1000);
        rc = skua_otel_shutdown(skua_now() + PATIENT);
    }
    CHECK_EQ(rc, 0);
}

/* Telemetry with this exporter, and `spans` of them; what its destination has counted. */
static struct account accounts(skua_otel_exporter *exporter, skua_otel_destination to,
                               unsigned spans, int64_t patience)
{
    skua_otel_destination_counts counts;
    skua_otel_counts before, after;
    atomic_uint warned = 0;

    to.exporter = exporter;
    to.max_batch = SPANS / 2;
    to.delay = to.delay != 0 ? to.delay : 10 * SKUA_SECOND; /* full batches alone, or the flush */
    skua_otel_stats(&before);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .environment_off = 1, .self_metrics_off = 1,
                                           .on_warning = says_nothing, .arg = &warned)) == 0);
    /* The first pass comes at once, and would cut batches as the threads happen to run. */
    MUST(skua_otel_flush(skua_now() + PATIENT) == 0);
    make(spans);
    if (patience == PATIENT)
        (void)skua_otel_flush(skua_now() + PATIENT);
    shuts_down(patience);
    skua_otel_stats(&after);
    MUST(skua_otel_destination_stats(0, &counts) == 0);
    CHECK_EQ(after.spans_sampled - before.spans_sampled, spans);
    CHECK_EQ(counts.queued + counts.inflight, 0);
    CHECK_EQ(counts.exported + counts.rejected + counts.failed + counts.full + counts.shutdown +
                 (after.full_spans - before.full_spans) + (after.lost - before.lost),
             spans);
    return (struct account){counts.exported, counts.rejected, counts.failed,
                            counts.full,     counts.shutdown, atomic_load(&warned)};
}

static const struct fault {
    const char *what;
    struct act acts[4];
    size_t count;
    unsigned attempts;
    int64_t timeout; /* ms of a batch; 0: as long as it takes */
    uint64_t exported, rejected;
} faults[] = {
    {"nothing is wrong", {{OK_EMPTY, STAYS}, {OK_EMPTY, LEAVES}}, 2, 1, 0, 20, 0},
    {"down at start", {{NULL, LEAVES}}, 0, 3, 0, 0, 0},
    {"dies before the answer, once",
     {{OK_EMPTY, STAYS}, {"", CLOSES}, {OK_EMPTY, LEAVES}},
     3,
     3,
     0,
     20,
     0},
    {"dies in the answer, and stays away",
     {{OK_EMPTY, STAYS}, {"HTTP/1.1 200 OK\r\nContent-Le", CLOSES}, {"", CLOSES}},
     3,
     2,
     0,
     10,
     0},
    {"resets", {{"", RESETS}, {OK_EMPTY, STAYS}, {OK_EMPTY, LEAVES}}, 3, 3, 0, 20, 0},
    {"hangs", {{"", HANGS}}, 1, 3, 80, 0, 0},
    {"hangs in the middle", {{OK_EMPTY, STAYS}, {"HTTP/1.1 200", LEAVES}}, 2, 1, 80, 10, 0},
    {"talks garbage", {{"SSH-2.0-x\r\n\r\n", CLOSES}, {OK_EMPTY, LEAVES}}, 2, 3, 0, 10, 0},
    {"answers what is no protobuf",
     {{"HTTP/1.1 200 OK\r\n" PROTOBUF "Content-Length: 1\r\n\r\n\x0b", STAYS}, {OK_EMPTY, LEAVES}},
     2,
     3,
     0,
     10,
     0},
    {"is busy, and says until when",
     {{"HTTP/1.1 429 x\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", STAYS},
      {OK_EMPTY, STAYS},
      {"HTTP/1.1 503 x\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", STAYS},
      {OK_EMPTY, LEAVES}},
     4,
     3,
     0,
     20,
     0},
    {"is busy for longer than we wait",
     {{"HTTP/1.1 503 x\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n", STAYS},
      {OK_EMPTY, LEAVES}},
     2,
     3,
     2000,
     10,
     0},
    {"does not want it",
     {{"HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n", STAYS}, {OK_EMPTY, LEAVES}},
     2,
     3,
     0,
     10,
     0},
    {"answers 4 GiB",
     {{"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\nabc", CLOSES}, {OK_EMPTY, LEAVES}},
     2,
     3,
     0,
     10,
     0},
    {"answers without an end",
     {{"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", FLOODS},
      {OK_EMPTY, LEAVES}},
     2,
     3,
     0,
     10,
     0},
    {"takes a part",
     {{"HTTP/1.1 200 OK\r\n" PROTOBUF "Content-Length: 4\r\n\r\n\x0a\x02\x08\x03", STAYS},
      {OK_EMPTY, LEAVES}},
     2,
     3,
     0,
     17,
     3},
};

TEST(faults_of_the_collector_are_counted_exactly)
{
    for (size_t i = 0; i < TEST_LEN(faults); i++) {
        const struct fault *fault = &faults[i];
        struct collector collector;
        struct account got;

        if (fault->count > 0)
            collector_begin(&collector, fault->acts, fault->count);
        got = accounts(exporter_with(SKUA_OTLP_OPTIONS(
                               .endpoint = fault->count > 0 ? collector.url : NOBODY,
                               .attempts = fault->attempts,
                               .timeout = fault->timeout != 0 ? MS(fault->timeout) : PATIENT,
                               .retry_initial = MS(1), .retry_max = MS(5), .response_max = 65536)),
                       (skua_otel_destination){.signal = SKUA_OTEL_TRACES}, SPANS, PATIENT);
        if (!CHECK_EQ(got.exported, fault->exported) || !CHECK_EQ(got.rejected, fault->rejected) ||
            !CHECK_EQ(got.failed, SPANS - fault->exported - fault->rejected) ||
            !CHECK_EQ(got.full + got.shutdown, 0) ||
            !CHECK_EQ(got.warned > 0, fault->exported < SPANS))
            test_note("a collector that %s", fault->what);
        if (fault->count > 0)
            collector_end(&collector);
    }
}

/* The queue fills while the collector hangs, and the shutdown does not wait for it. */
TEST(faults_of_a_collector_that_hangs_at_the_shutdown)
{
    static const struct act acts[] = {{"", HANGS}};
    struct collector collector;
    struct account got;

    collector_begin(&collector, acts, 1);
    got = accounts(exporter_with(SKUA_OTLP_OPTIONS(.endpoint = collector.url)),
                   (skua_otel_destination){.max_queue = 50}, 200, MS(50));
    CHECK_EQ(got.exported + got.rejected, 0);
    CHECK(got.full > 0);
    CHECK(got.failed + got.shutdown > 0);
    collector_end(&collector);
}

/* ---- with a queue on disk -------------------------------------------------------------------- */

struct kept {
    skua_otel_exporter base;
    skua_otel_exporter *queue;
    skua_otel_disk_stats stats; /* when it was freed */
    rlim_t room;                /* 0: any; bytes that a file may have */
};

/* How long files may be; instead of a signal, who writes more is told -EFBIG. */
static void room_is(rlim_t bytes)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    MUST(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes != 0 ? bytes : limit.rlim_max;
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static int64_t kept_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    skua_otel_exporter *queue = ((struct kept *)exporter)->queue;

    return queue->ops->export_batch(queue, batch, deadline);
}

static int kept_flush(skua_otel_exporter *exporter, int64_t deadline)
{
    skua_otel_exporter *queue = ((struct kept *)exporter)->queue;

    return queue->ops->flush(queue, deadline);
}

static int kept_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    skua_otel_exporter *queue = ((struct kept *)exporter)->queue;

    return queue->ops->shutdown(queue, deadline);
}

static void kept_free(skua_otel_exporter *exporter)
{
    struct kept *kept = (struct kept *)exporter;

    skua_otel_disk_stats_of(kept->queue, &kept->stats);
    kept->queue->ops->free(kept->queue);
}

static const skua_otel_exporter_ops kept_ops = {.name = "kept",
                                                .export_batch = kept_export,
                                                .flush = kept_flush,
                                                .shutdown = kept_shutdown,
                                                .free = kept_free};

/* Telemetry with a queue in `folder`. */
static struct account keeps(struct kept *kept, const char *folder, const char *url, unsigned spans,
                            int64_t patience)
{
    struct account got;

    kept->base.ops = &kept_ops;
    MUST(skua_otel_disk_queue_new(&kept->queue,
                                  exporter_with(SKUA_OTLP_OPTIONS(.endpoint = url, .attempts = 1)),
                                  SKUA_OTEL_DISK_OPTIONS(.path = folder, .retry_initial = MS(5),
                                                         .retry_max = MS(5))) == 0);
    room_is(kept->room);
    got = accounts(&kept->base, (skua_otel_destination){.max_queue = 100000}, spans, patience);
    room_is(0);
    CHECK_EQ(kept->stats.found + kept->stats.taken,
             kept->stats.sent + kept->stats.rejected + kept->stats.dropped + kept->stats.queued);
    return got;
}

static void folder_gone(const char *folder)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
}

/* Away until the end, then there for the next process: what one has kept the other one sends. */
TEST(faults_of_a_collector_that_is_away_lose_nothing_of_a_disk)
{
    char folder[] = "/tmp/skua-faults-XXXXXX";
    struct kept first = {0}, second = {0};
    struct collector collector;
    struct account got;

    MUST(mkdtemp(folder) != NULL);
    got = keeps(&first, folder, NOBODY, 100, MS(100));
    CHECK_EQ(first.stats.sent, 0);
    CHECK_EQ(first.stats.taken, got.exported);
    CHECK_EQ(first.stats.queued, first.stats.taken);
    collector_begin(&collector, NULL, 0);
    got = keeps(&second, folder, collector.url, SPANS, PATIENT);
    CHECK_EQ(got.exported, SPANS);
    CHECK_EQ(second.stats.found, first.stats.queued);
    CHECK_EQ(second.stats.queued, 0);
    CHECK_EQ(atomic_load(&collector.received), second.stats.found + SPANS);
    CHECK_EQ(second.stats.sent, second.stats.found + SPANS);
    collector_end(&collector);
    folder_gone(folder);
}

/* The file system takes no more: what is not written is counted, what is written arrives. */
TEST(faults_of_a_disk_that_is_full)
{
    char folder[] = "/tmp/skua-faults-XXXXXX";
    struct kept first = {.room = 16384}, second = {0};
    struct collector collector;
    struct account got;

    MUST(mkdtemp(folder) != NULL);
    got = keeps(&first, folder, NOBODY, 1000, MS(300));
    CHECK(first.stats.dropped > 0);
    CHECK_EQ(first.stats.dropped_broken, first.stats.dropped);
    CHECK_EQ(first.stats.dropped, got.failed);
    CHECK_EQ(first.stats.queued, got.exported);
    CHECK(first.stats.queued > 0);
    collector_begin(&collector, NULL, 0);
    (void)keeps(&second, folder, collector.url, SPANS, PATIENT);
    CHECK_EQ(second.stats.found, first.stats.queued);
    CHECK_EQ(atomic_load(&collector.received), second.stats.found + SPANS);
    CHECK_EQ(second.stats.queued + second.stats.dropped, 0);
    collector_end(&collector);
    folder_gone(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_the_collector_are_counted_exactly),
        cmocka_unit_test(faults_of_a_collector_that_hangs_at_the_shutdown),
        cmocka_unit_test(faults_of_a_collector_that_is_away_lose_nothing_of_a_disk),
        cmocka_unit_test(faults_of_a_disk_that_is_full),
    };

    return TEST_MAIN(tests);
}
