/* 34_otel_exporter.c - an exporter of one's own: spans over TCP, a line each, in a format that only
 * this program's other half knows.
 *
 *     telemetry's thread                         the program's runtime
 *     export_batch: connect, write  --- TCP -->  collector: counts lines, shows some
 *
 * An exporter runs on a fiber of telemetry's own: it waits as any fiber does, and nobody who makes
 * spans waits for it. It has a deadline for each batch, and says at its end what came of it: 0, all
 * arrived; a negative code, nothing did, and it is dropped and counted. Whether to try again is its
 * own business: this one connects again once, when the collector has hung up on it. */
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static skua_tracer tracer = SKUA_TRACER("example.shop", "1.0.0");

/* ---- the exporter ---------------------------------------------------------------------------- */

struct sender {
    skua_otel_exporter exporter; /* first */
    char address[SKUA_ADDRESS_MAX];
    skua_tcp *tcp; /* NULL: not connected; telemetry's fiber's, as all from here */
    unsigned connects;
};

static void hang_up(struct sender *self)
{
    if (self->tcp != NULL)
        (void)skua_tcp_close(self->tcp);
    self->tcp = NULL;
}

static int send_lines(struct sender *self, const skua_otel_batch *batch)
{
    char line[256];

    if (self->tcp == NULL) {
        int rc = skua_tcp_connect(&self->tcp, self->address, NULL);

        if (rc != 0)
            return rc;
        self->connects++;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        const skua_otel_span *span = &batch->items.spans[i];
        int len = snprintf(line, sizeof line, "%02x%02x %lld us %.*s\n", span->trace_id[0],
                           span->trace_id[1], (long long)(span->end - span->start) / 1000,
                           span->name.len < 200 ? (int)span->name.len : 200, span->name.at);
        ssize_t rc = skua_tcp_write_all(self->tcp, line, (size_t)len);

        if (rc < 0)
            return (int)rc;
    }
    return 0;
}

/* Waits of the fiber end with the deadline by themselves. */
static int64_t send_batch(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                          int64_t deadline)
{
    struct sender *self = (struct sender *)exporter;
    int rc = 0;

    if (batch->signal != SKUA_OTEL_TRACES)
        return 0;
    for (int tries = 0; tries < 2; tries++) {
        rc = send_lines(self, batch);
        if (rc == 0)
            return 0;
        hang_up(self);
        if (!skua_otel_may_succeed(rc) || skua_now() >= deadline)
            break;
    }
    return rc;
}

/* There is nothing more to come. What is never sent at once would be sent here, or by .flush. */
static int send_end(skua_otel_exporter *exporter, int64_t deadline)
{
    (void)deadline;
    hang_up((struct sender *)exporter);
    return 0;
}

/* In the child of a fork: the connection is the parent's, and a copy must not write to it. */
static void send_forked(skua_otel_exporter *exporter)
{
    ((struct sender *)exporter)->tcp = NULL;
}

static const skua_otel_exporter_ops send_ops = {
    .name = "line_exporter",
    .export_batch = send_batch,
    .shutdown = send_end,
    .forked = send_forked,
};

/* ---- who receives ---------------------------------------------------------------------------- */

struct collector {
    skua_listener *listener;
    unsigned lines;
};

/* One connection after the other: each is a start of telemetry. */
static int collect(void *arg)
{
    struct collector *self = arg;
    char buf[4096];
    skua_tcp *tcp;
    ssize_t n;

    while (skua_tcp_accept(self->listener, &tcp) == 0) {
        while ((n = skua_tcp_read(tcp, buf, sizeof buf - 1)) > 0) {
            buf[n] = '\0';
            if (self->lines == 0)
                printf("the first one: %.*s\n", (int)strcspn(buf, "\n"), buf);
            for (ssize_t i = 0; i < n; i++)
                self->lines += buf[i] == '\n';
        }
        (void)skua_tcp_close(tcp);
    }
    return 0;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void shop(void)
{
    for (int i = 0; i < 1000; i++) {
        SKUA_SPAN(order, &tracer, "POST /orders", SKUA_I64("order.id", i))
        SKUA_SPAN(store, &tracer, "store order")
        skua_span_event(store, "stored", 0, NULL, 0);
    }
}

static int run(void *arg)
{
    static struct sender sender = {.exporter = {&send_ops}};
    skua_otel_destination to = {.exporter = &sender.exporter, .max_queue = 4096};
    skua_otel_destination_counts counts;
    struct collector collector = {.lines = 0};
    skua_scope scope;
    int rc = skua_tcp_listen(&collector.listener, "127.0.0.1:0", NULL);

    (void)arg;
    if (rc != 0)
        return rc;
    (void)skua_listener_address(collector.listener, sender.address, sizeof sender.address);
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, collect, &collector);
    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1));
    if (rc == 0) {
        shop();
        rc = skua_otel_flush(skua_now() + 5 * SKUA_SECOND);
        if (skua_otel_destination_stats(0, &counts) == 0)
            printf("%llu spans in %llu exports arrived, %llu failed\n",
                   (unsigned long long)counts.exported, (unsigned long long)counts.exports,
                   (unsigned long long)counts.failed);
        (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    }
    (void)skua_listener_close(collector.listener);
    (void)skua_scope_join(&scope);
    printf("the collector has %u lines, over %u connection\n", collector.lines, sender.connects);
    return rc;
}

int main(void)
{
    return skua_main(run, NULL, NULL) != 0;
}
