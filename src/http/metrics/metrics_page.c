/* metrics_page.c - the page of metrics, and what else it tells: servers, clients, runtimes.
 *
 * A family's samples stand together, so all sources are asked first, and what they say is kept
 * until the page is written. Tables say which member of their stats is which family.
 */
#include <stdio.h>

#include "http/metrics/metrics_impl.h"

struct page_row {
    skua_http_sample_kind kind;
    const char *name, *help;
    size_t offset; /* of a uint64_t, or of ns, an int64_t */
};

#define PAGE_ROW(kind, name, help, type, member)                                                   \
    {                                                                                              \
        SKUA_HTTP_##kind, (name), (help), offsetof(type, member)                                   \
    }
#define PAGE_SERVER(kind, name, help, member)                                                      \
    PAGE_ROW(kind, "skua_http_server_" name, help, skua_http_server_stats, member)
#define PAGE_CLIENT(kind, name, help, member)                                                      \
    PAGE_ROW(kind, "skua_http_client_" name, help, skua_http_client_stats, member)
#define PAGE_RUNTIME(kind, name, help, member)                                                     \
    PAGE_ROW(kind, "skua_runtime_" name, help, skua_runtime_stats, member)
#define PAGE_WORKER(kind, name, help, member)                                                      \
    PAGE_ROW(kind, "skua_worker_" name, help, skua_worker_stats, member)

static const struct page_row page_server[] = {
    PAGE_SERVER(COUNTER, "connections_accepted_total", "Connections accepted.", connections),
    PAGE_SERVER(GAUGE, "connections", "Connections that are open.", connections_now),
    PAGE_SERVER(COUNTER, "requests_total", "Requests whose headers were read.", requests),
    PAGE_SERVER(GAUGE, "requests_in_flight", "Requests under way.", requests_now),
    PAGE_SERVER(COUNTER, "connections_turned_away_total", "Connections beyond the peer's limit.",
                turned_away),
    PAGE_SERVER(COUNTER, "refused_total", "Requests and handshakes refused by the server itself.",
                refused),
};

static const struct page_row page_client[] = {
    PAGE_CLIENT(COUNTER, "requests_total", "Requests sent.", requests),
    PAGE_CLIENT(COUNTER, "requests_reused_total", "Requests on a kept connection.", reused),
    PAGE_CLIENT(COUNTER, "requests_repeated_total", "Requests sent again.", repeated),
    PAGE_CLIENT(COUNTER, "redirects_total", "Redirects followed.", redirects),
    PAGE_CLIENT(COUNTER, "connections_made_total", "Connections made.", connections),
    PAGE_CLIENT(GAUGE, "connections", "Connections that are open.", connections_now),
    PAGE_CLIENT(GAUGE, "connections_idle", "Connections that wait to be used.", connections_idle),
    PAGE_CLIENT(GAUGE, "requests_waiting", "Requests in line for a connection.", waiting_now),
};

static const struct page_row page_runtime[] = {
    PAGE_RUNTIME(GAUGE, "tasks", "Tasks that are alive.", alive_tasks),
    PAGE_RUNTIME(COUNTER, "tasks_spawned_total", "Tasks spawned.", spawned_tasks),
    PAGE_RUNTIME(GAUGE, "queue_length", "Tasks in the shared queue.", inject_len),
    PAGE_RUNTIME(GAUGE, "stacks", "Stacks of fibers that exist.", stacks),
    PAGE_RUNTIME(GAUGE, "cells_bytes", "Memory of headers and states of tasks.", cells_bytes),
    PAGE_RUNTIME(GAUGE, "blocking_threads", "Threads for code that blocks.", blocking_threads),
    PAGE_RUNTIME(GAUGE, "blocking_threads_idle", "Such threads without work.", blocking_idle),
    PAGE_RUNTIME(GAUGE, "blocking_queue_length", "Blocking jobs in line.", blocking_queue),
    PAGE_RUNTIME(COUNTER, "blocking_jobs_total", "Blocking jobs that began.", blocking_jobs),
    PAGE_RUNTIME(COUNTER, "blocking_wait_seconds_total", "Time that blocking jobs stood in line.",
                 blocking_wait_ns),
};

static const struct page_row page_worker[] = {
    PAGE_WORKER(COUNTER, "polls_total", "Turns of tasks.", polls),
    PAGE_WORKER(COUNTER, "busy_seconds_total", "Time not parked.", busy_ns),
    PAGE_WORKER(COUNTER, "parks_total", "Times it slept.", parks),
    PAGE_WORKER(COUNTER, "stolen_tasks_total", "Tasks taken from other workers.", stolen_tasks),
    PAGE_WORKER(COUNTER, "events_total", "Events of input and output.", events),
    PAGE_WORKER(COUNTER, "timers_fired_total", "Timers that fired.", timers_fired),
    PAGE_WORKER(COUNTER, "budget_yields_total", "Turns cut short by the budget.", budget_yields),
    PAGE_WORKER(GAUGE, "queue_length", "Tasks that are ready to run.", queue_len),
    PAGE_WORKER(GAUGE, "timers", "Timers that are armed.", timers_armed),
};

#define PAGE_LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* What a source has said; in the exchange's memory. */
struct page_told {
    struct page_told *next;
    const char *stats; /* bytes of the struct */
    skua_http_label labels[2];
    size_t labels_count;
};

enum { PAGE_SERVERS, PAGE_CLIENTS, PAGE_RUNTIMES, PAGE_WORKERS, PAGE_KINDS };

struct page {
    skua_http_exchange *exchange;
    struct page_told *told[PAGE_KINDS];
};

/* ---- sources --------------------------------------------------------------------------------- */

static int page_add(skua_http_metrics *metrics, const char *name, struct skua__metrics_source **ret)
{
    struct skua__metrics_source **link = &metrics->sources;
    struct skua__metrics_source *source = skua__http_malloc(sizeof *source);
    char *copy = source != NULL ? skua__http_malloc(strlen(name) + 1) : NULL;

    if (copy == NULL) {
        skua__http_free(source);
        return -ENOMEM;
    }
    source->name = memcpy(copy, name, strlen(name) + 1);
    while (*link != NULL)
        link = &(*link)->next;
    *link = *ret = source;
    return 0;
}

int skua_http_metrics_add_server(skua_http_metrics *metrics, const char *name,
                                 skua_http_server *server)
{
    struct skua__metrics_source *source;
    int rc = name != NULL && server != NULL ? page_add(metrics, name, &source) : -EINVAL;

    if (rc == 0)
        source->server = server;
    return rc;
}

int skua_http_metrics_add_client(skua_http_metrics *metrics, const char *name,
                                 skua_http_client *client)
{
    struct skua__metrics_source *source;
    int rc = name != NULL && client != NULL ? page_add(metrics, name, &source) : -EINVAL;

    if (rc == 0)
        source->client = client;
    return rc;
}

int skua_http_metrics_add_runtime(skua_http_metrics *metrics, skua_runtime *runtime)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    struct skua__metrics_source *source;
    int rc = runtime != NULL ? skua_runtime_snapshot(runtime, &stats, NULL, 0) : -EINVAL;

    if (rc >= 0)
        rc = page_add(metrics, stats.name != NULL ? stats.name : "", &source);
    if (rc == 0)
        source->runtime = runtime;
    return rc;
}

int skua_http_metrics_add_collector(skua_http_metrics *metrics, skua_http_collect_fn collect,
                                    void *arg)
{
    struct skua__metrics_source *source;
    int rc = collect != NULL ? page_add(metrics, "", &source) : -EINVAL;

    if (rc == 0) {
        source->collect = collect;
        source->arg = arg;
    }
    return rc;
}

/* ---- asking them ----------------------------------------------------------------------------- */

static void *page_keep(struct page *page, int kind, const char *label, const char *name,
                       size_t size)
{
    struct page_told *told = skua_http_alloc(page->exchange, sizeof *told + size);
    struct page_told **link = &page->told[kind];

    if (told == NULL)
        return NULL;
    memset(told, 0, sizeof *told + size);
    told->stats = (const char *)(told + 1);
    told->labels[0] = (skua_http_label){label, name};
    told->labels_count = 1;
    while (*link != NULL)
        link = &(*link)->next;
    *link = told;
    return told + 1;
}

static int page_ask_runtime(struct page *page, const struct skua__metrics_source *source)
{
    skua_runtime_stats *stats =
        page_keep(page, PAGE_RUNTIMES, "runtime", source->name, sizeof *stats);
    skua_worker_stats *workers;
    unsigned count;

    if (stats == NULL)
        return -ENOMEM;
    stats->size = sizeof *stats;
    if (skua_runtime_snapshot(source->runtime, stats, NULL, 0) < 0)
        return SKUA_EUSAGE;
    count = stats->workers;
    workers = skua_http_alloc(page->exchange, count * sizeof *workers);
    if (workers == NULL)
        return -ENOMEM;
    memset(workers, 0, count * sizeof *workers);
    (void)skua_runtime_snapshot(source->runtime, stats, workers, count);
    for (unsigned i = 0; i < count; i++) {
        skua_worker_stats *worker =
            page_keep(page, PAGE_WORKERS, "runtime", source->name, sizeof *worker + 16);
        struct page_told *told;
        char *name;

        if (worker == NULL)
            return -ENOMEM;
        told = (struct page_told *)(void *)worker - 1;
        name = (char *)(worker + 1);
        *worker = workers[i];
        (void)snprintf(name, 16, "%u", i);
        told->labels[1] = (skua_http_label){"worker", name};
        told->labels_count = 2;
    }
    return 0;
}

static int page_ask(struct page *page, const struct skua__metrics_source *source)
{
    void *stats;

    if (source->server != NULL) {
        stats =
            page_keep(page, PAGE_SERVERS, "server", source->name, sizeof(skua_http_server_stats));
        if (stats != NULL)
            skua_http_server_stats_of(source->server, stats);
        return stats != NULL ? 0 : -ENOMEM;
    }
    if (source->client != NULL) {
        stats =
            page_keep(page, PAGE_CLIENTS, "client", source->name, sizeof(skua_http_client_stats));
        if (stats != NULL)
            skua_http_client_stats_of(source->client, stats);
        return stats != NULL ? 0 : -ENOMEM;
    }
    return source->runtime != NULL ? page_ask_runtime(page, source) : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int page_tell(skua_http_samples *samples, const struct page_row *rows, size_t count,
                     const struct page_told *told)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && told != NULL && i < count; i++) {
        rc = skua_http_samples_family(samples, rows[i].kind, rows[i].name, rows[i].help);
        for (const struct page_told *at = told; rc == 0 && at != NULL; at = at->next) {
            uint64_t value;

            memcpy(&value, at->stats + rows[i].offset, sizeof value);
            if (strstr(rows[i].name, "_seconds_") != NULL)
                rc = skua_http_samples_value(samples, (double)(int64_t)value / 1e9, at->labels,
                                             at->labels_count);
            else
                rc = skua_http_samples_number(samples, value, at->labels, at->labels_count);
        }
    }
    return rc;
}

static int page_write(skua_http_metrics *metrics, skua_http_samples *samples,
                      const struct page *page)
{
    int rc = skua__metrics_count_tell(metrics, samples);

    if (rc == 0)
        rc = page_tell(samples, page_server, PAGE_LEN(page_server), page->told[PAGE_SERVERS]);
    if (rc == 0)
        rc = page_tell(samples, page_client, PAGE_LEN(page_client), page->told[PAGE_CLIENTS]);
    if (rc == 0)
        rc = page_tell(samples, page_runtime, PAGE_LEN(page_runtime), page->told[PAGE_RUNTIMES]);
    if (rc == 0)
        rc = page_tell(samples, page_worker, PAGE_LEN(page_worker), page->told[PAGE_WORKERS]);
    for (struct skua__metrics_source *at = metrics->sources; rc >= 0 && at != NULL; at = at->next)
        if (at->collect != NULL)
            rc = at->collect(samples, at->arg);
    if (rc >= 0 && samples->open)
        skua__metrics_put(samples, "# EOF\n", 6);
    return rc < 0 ? rc : samples->error;
}

int skua_http_prometheus(skua_http_exchange *exchange, void *state)
{
    skua_http_metrics *metrics = state;
    const char *accept = skua_http_header(exchange, "Accept");
    skua_http_samples samples = {.exchange = exchange};
    struct page page = {.exchange = exchange};
    ssize_t n;
    int rc = 0;

    samples.open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    samples.piece = skua_http_alloc(exchange, SKUA__METRICS_PIECE);
    if (samples.piece == NULL)
        return -ENOMEM;
    for (struct skua__metrics_source *at = metrics->sources; rc == 0 && at != NULL; at = at->next)
        rc = page_ask(&page, at);
    if (rc == 0)
        rc = skua_http_set_header(exchange, "Content-Type",
                                  samples.open ? "application/openmetrics-text; version=1.0.0; "
                                                 "charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8");
    if (rc == 0)
        rc = page_write(metrics, &samples, &page);
    if (rc != 0)
        return rc;
    if (!skua_http_begun(exchange))
        return skua_http_reply(exchange, 200, NULL, samples.piece, samples.len);
    n = skua_http_write(exchange, samples.piece, samples.len);
    return n < 0 ? (int)n : 0;
}

#undef PAGE_ROW
#undef PAGE_SERVER
#undef PAGE_CLIENT
#undef PAGE_RUNTIME
#undef PAGE_WORKER
#undef PAGE_LEN
