/* load.c - threads that make spans, at a rate or as fast as they can, for a collector that lives.
 *
 *     otel_load PROTOCOL URL [NAME=VALUE]...
 *
 *     rate=N       spans a second, of all threads; 0: as fast as they can (default)
 *     seconds=N    how long (default 2); 0: only what a queue on disk has left is sent
 *     threads=N    (default 2)
 *     queue=N      of the destination, in spans (default 65,536)
 *     batch=N      spans of a request (default 512)
 *     disk=PATH    a queue on disk in between
 *     drain=MS     for the shutdown (default 40,000)
 *     timeout=MS   of a batch with all tries (default 30,000)
 *     attempts=N   tries of a batch (default 5)
 *     gzip=1       compressed
 *     buffer=KIB   of each thread, a power of two (default 512)
 *
 * Each span has its thread and its number, both from 0: who receives them knows what is missing,
 * and what has come twice. At the end one line of JSON says where they have gone; it is the
 * sender's own account, which a judge compares with the receiver's.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <skua/otel/disk_queue.h>
#include <skua/otel/otlp.h>
#include <skua/otel/sdk.h>
#include <skua/time.h>
#include <skua/trace.h>

#define THREADS_MAX 16
#define TICK SKUA_MILLISECOND

static skua_tracer tracer = SKUA_TRACER("load", "1");

static struct {
    long rate, seconds, threads, queue, batch, drain, timeout, attempts, gzip, buffer;
} wanted = {0, 2, 2, 65536, 512, 40000, 30000, 5, 0, 0};
static const char *disk;

/* ---- an exporter whose last figures outlive it ----------------------------------------------- */

struct kept {
    skua_otel_exporter base;
    skua_otel_exporter *otlp; /* who sends */
    skua_otel_exporter *to;   /* it, or the queue in front of it */
    skua_otlp_stats sent;
    skua_otel_disk_stats queued;
};

static int64_t kept_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    skua_otel_exporter *to = ((struct kept *)exporter)->to;

    return to->ops->export_batch(to, batch, deadline);
}

static int kept_flush(skua_otel_exporter *exporter, int64_t deadline)
{
    skua_otel_exporter *to = ((struct kept *)exporter)->to;

    return to->ops->flush != NULL ? to->ops->flush(to, deadline) : 0;
}

static int kept_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    skua_otel_exporter *to = ((struct kept *)exporter)->to;

    return to->ops->shutdown(to, deadline);
}

static void kept_free(skua_otel_exporter *exporter)
{
    struct kept *kept = (struct kept *)exporter;

    skua_otlp_stats_of(kept->otlp, &kept->sent);
    if (kept->to != kept->otlp)
        skua_otel_disk_stats_of(kept->to, &kept->queued);
    kept->to->ops->free(kept->to);
}

static const skua_otel_exporter_ops kept_ops = {.name = "load",
                                                .export_batch = kept_export,
                                                .flush = kept_flush,
                                                .shutdown = kept_shutdown,
                                                .free = kept_free};

/* ---- threads --------------------------------------------------------------------------------- */

struct maker {
    pthread_t thread;
    int number;
    uint64_t made;
    int64_t until;
};

static void *makes(void *arg)
{
    struct maker *maker = arg;
    int64_t begin = skua_now(), now = begin;

    while (now < maker->until) {
        double due = (double)(now - begin) / 1e9 * (double)wanted.rate / (double)wanted.threads;
        uint64_t goal = wanted.rate == 0 ? maker->made + 1000 : (uint64_t)due + 1;

        while (maker->made < goal) {
            skua_span *span = skua_span_start(&tracer, "request", NULL);

            skua_span_set(span, SKUA_I64("thread", maker->number),
                          SKUA_I64("n", (int64_t)maker->made), SKUA_STR("http.route", "/orders"));
            skua_span_end(span);
            maker->made++;
        }
        if (wanted.rate != 0) {
            struct timespec tick = {0, TICK};

            (void)nanosleep(&tick, NULL);
        }
        now = skua_now();
    }
    return NULL;
}

/* KiB of a line of /proc/self/status. */
static long memory(const char *name)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name) + 1, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return kib;
}

static void tells(const struct maker *makers, const struct kept *kept, int rc, long before)
{
    skua_otel_counts all;
    skua_otel_destination_counts to;
    uint64_t made = 0;

    skua_otel_stats(&all);
    if (skua_otel_destination_stats(0, &to) != 0)
        exit(2);
    printf("{\"threads\": [");
    for (long i = 0; i < wanted.threads; i++) {
        printf("%s%llu", i == 0 ? "" : ", ", (unsigned long long)makers[i].made);
        made += makers[i].made;
    }
    printf("], \"made\": %llu", (unsigned long long)made);
#define TELL(name, value) printf(", \"%s\": %llu", (name), (unsigned long long)(value))
    TELL("sampled", all.spans_sampled);
    TELL("full_buffer", all.full_spans);
    TELL("lost", all.lost);
    TELL("late", all.late);
    TELL("full_queue", to.full);
    TELL("failed", to.failed);
    TELL("shutdown", to.shutdown);
    TELL("exported", to.exported);
    TELL("rejected", to.rejected);
    TELL("exports", to.exports);
    TELL("requests", kept->sent.requests);
    TELL("retries", kept->sent.retries);
    TELL("disk_found", kept->queued.found);
    TELL("disk_taken", kept->queued.taken);
    TELL("disk_sent", kept->queued.sent);
    TELL("disk_rejected", kept->queued.rejected);
    TELL("disk_dropped", kept->queued.dropped);
    TELL("disk_queued", kept->queued.queued);
#undef TELL
    printf(", \"rss_before_kib\": %ld, \"rss_peak_kib\": %ld, \"rc\": %d}\n", before,
           memory("VmHWM:"), rc);
}

static bool option(char *word)
{
    static const struct {
        const char *name;
        long *at;
    } numbers[] = {{"rate", &wanted.rate},       {"seconds", &wanted.seconds},
                   {"threads", &wanted.threads}, {"queue", &wanted.queue},
                   {"batch", &wanted.batch},     {"drain", &wanted.drain},
                   {"timeout", &wanted.timeout}, {"attempts", &wanted.attempts},
                   {"gzip", &wanted.gzip},       {"buffer", &wanted.buffer}};
    char *value = strchr(word, '=');

    if (value == NULL)
        return false;
    *value++ = '\0';
    if (strcmp(word, "disk") == 0) {
        disk = value;
        return true;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(word, numbers[i].name) == 0) {
            *numbers[i].at = strtol(value, NULL, 10);
            return true;
        }
    return false;
}

static int starts(struct kept *kept, const char *protocol, const char *url)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES,
                                .exporter = &kept->base,
                                .max_queue = (uint32_t)wanted.queue,
                                .max_batch = (uint32_t)wanted.batch,
                                .delay = 100 * SKUA_MILLISECOND,
                                .timeout = 60 * SKUA_SECOND};
    static const skua_attr resource[] = {{.key = "service.name",
                                          .type = SKUA_ATTR_STR,
                                          .key_len = 12,
                                          .count = 4,
                                          .value = {.str = "load"}}};
    skua_otlp_options options;

    skua_otlp_options_init(&options);
    options.protocol = strcmp(protocol, "grpc") == 0   ? SKUA_OTLP_GRPC
                       : strcmp(protocol, "json") == 0 ? SKUA_OTLP_HTTP_JSON
                                                       : SKUA_OTLP_HTTP_PROTOBUF;
    options.endpoint = url;
    options.insecure = 1;
    options.timeout = wanted.timeout * SKUA_MILLISECOND;
    options.attempts = (unsigned)wanted.attempts;
    options.retry_initial = 200 * SKUA_MILLISECOND;
    options.compression = wanted.gzip ? SKUA_OTLP_GZIP : SKUA_OTLP_NONE;
    if (skua_otlp_exporter_new(&kept->otlp, &options) != 0)
        return 2;
    kept->to = kept->otlp;
    if (disk != NULL &&
        skua_otel_disk_queue_new(&kept->to, kept->otlp,
                                 SKUA_OTEL_DISK_OPTIONS(.path = disk, .retry_initial = TICK * 100,
                                                        .retry_max = SKUA_SECOND)) != 0)
        return 2;
    return skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                             .environment_off = 1, .resource = resource,
                                             .resource_count = 1, .self_metrics_off = 1,
                                             .buffer = (size_t)wanted.buffer * 1024));
}

int main(int argc, char **argv)
{
    static struct maker makers[THREADS_MAX];
    static struct kept kept = {.base = {&kept_ops}};
    long before = memory("VmRSS:");
    int rc;

    for (int i = 3; i < argc; i++)
        if (!option(argv[i]))
            return 2;
    if (argc < 3 || wanted.threads < 1 || wanted.threads > THREADS_MAX ||
        starts(&kept, argv[1], argv[2]) != 0)
        return 2;
    printf("started\n");
    (void)fflush(stdout);
    for (int i = 0; i < wanted.threads; i++) {
        makers[i].number = i;
        makers[i].until = skua_now() + wanted.seconds * SKUA_SECOND;
        if (pthread_create(&makers[i].thread, NULL, makes, &makers[i]) != 0)
            return 2;
    }
    for (int i = 0; i < wanted.threads; i++)
        (void)pthread_join(makers[i].thread, NULL);
    rc = skua_otel_shutdown(skua_now() + wanted.drain * SKUA_MILLISECOND);
    /* One that answers at its deadline may not be over yet, and its figures not the last ones. */
    for (int i = 0; i < 10000 && skua_otel_shutdown(skua_now() + SKUA_SECOND) != 0; i++)
        (void)nanosleep(&(struct timespec){0, TICK}, NULL);
    tells(makers, &kept, rc, before);
    return 0;
}
