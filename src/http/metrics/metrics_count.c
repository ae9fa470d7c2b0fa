/* metrics_count.c - counters of requests, by method, pattern of the route, and class of status.
 *
 * Table     of slots, each empty or a series; a series that was published stays until the end. It
 *           is looked for from the slot of its hash on; the first empty slot says that it is not
 *           there, and is where it is put, by compare-and-swap. Who loses looks at what the winner
 *           has put. The table has twice as many slots as there may be series: there is an empty
 *           one always. Patterns of routes are the program's, not the clients': the hash needs no
 *           secret.
 * Order     a series is published by release and found by acquire, so what is constant in it is
 *           seen. Counts are relaxed: each is a number of its own, of which a page shows some
 *           moment's.
 * Cost      a thread adds to one of four shards, so that workers seldom share a line of the cache.
 */
#include <stdlib.h>

#include "http/metrics/metrics_impl.h"

static const char *const count_methods[] = {"GET",   "HEAD",    "POST",    "PUT",   "DELETE",
                                            "PATCH", "OPTIONS", "CONNECT", "TRACE", "other"};
#define COUNT_OTHER (sizeof count_methods / sizeof count_methods[0] - 1)

static const double count_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                      0.5,   0.75, 1,     2.5,  5,     7.5, 10};

static atomic_uint count_threads; /* that have counted; relaxed */

/* Which one this thread adds to. No wait between the question and the addition. */
static unsigned count_shard(void)
{
    static _Thread_local unsigned mine; /* and one more; 0: none yet */

    if (mine == 0)
        mine = atomic_fetch_add_explicit(&count_threads, 1, memory_order_relaxed) %
                   SKUA__METRICS_SHARDS +
               1;
    return mine - 1;
}

static void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

void skua_http_metrics_options_init(skua_http_metrics_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int count_options(skua_http_metrics *metrics, const skua_http_metrics_options *given)
{
    skua_http_metrics_options options;

    skua_http_metrics_options_init(&options);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        options = *given;
    if (options.bounds == NULL && options.bounds_count == 0) {
        options.bounds = count_bounds;
        options.bounds_count = sizeof count_bounds / sizeof count_bounds[0];
    }
    metrics->series_max = options.series_max != 0 ? options.series_max : 1000;
    if (metrics->series_max > 100000 || options.bounds == NULL || options.bounds_count == 0 ||
        options.bounds_count > SKUA_HTTP_METRICS_BOUNDS)
        return -EINVAL;
    metrics->bounds_count = options.bounds_count;
    for (size_t i = 0; i < options.bounds_count; i++) {
        double before = i != 0 ? metrics->bounds[i - 1] : 0;

        if (!(options.bounds[i] > before && options.bounds[i] < 1e9))
            return -EINVAL;
        metrics->bounds[i] = options.bounds[i];
        metrics->limits[i] = (int64_t)(options.bounds[i] * 1e9);
    }
    return 0;
}

int skua_http_metrics_new(skua_http_metrics **ret, const skua_http_metrics_options *options)
{
    /* Counters stand on lines of the cache of their own. */
    skua_http_metrics *metrics = skua__http_aligned(64, sizeof *metrics);
    size_t slots = 16;
    int rc;

    if (metrics == NULL)
        return -ENOMEM;
    rc = count_options(metrics, options);
    if (rc == 0) {
        while (slots < 2 * metrics->series_max)
            slots *= 2;
        metrics->mask = slots - 1;
        metrics->slots = skua__http_malloc(slots * sizeof *metrics->slots);
        metrics->others = skua__http_aligned(64, SKUA__METRICS_CLASSES * sizeof *metrics->others);
        rc = metrics->slots != NULL && metrics->others != NULL ? 0 : -ENOMEM;
    }
    if (rc != 0) {
        skua_http_metrics_free(metrics);
        return rc;
    }
    for (unsigned i = 0; i < SKUA__METRICS_CLASSES; i++) {
        metrics->others[i].route = "other";
        metrics->others[i].method = COUNT_OTHER;
        metrics->others[i].status = i;
    }
    *ret = metrics;
    return 0;
}

void skua_http_metrics_free(skua_http_metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->sources != NULL) {
        struct skua__metrics_source *source = metrics->sources;

        metrics->sources = source->next;
        skua__http_free(source->name);
        skua__http_free(source);
    }
    for (size_t i = 0; metrics->slots != NULL && i <= metrics->mask; i++)
        skua__http_free(atomic_load_explicit(&metrics->slots[i], memory_order_relaxed));
    skua__http_free(metrics->slots);
    skua__http_free(metrics->others);
    skua__http_free(metrics);
}

/* ---- the table ------------------------------------------------------------------------------- */

static struct skua__metrics_series *count_make(skua_http_metrics *metrics, const char *route,
                                               unsigned method, unsigned status)
{
    size_t len = strlen(route) + 1;
    struct skua__metrics_series *series;

    if (atomic_fetch_add_explicit(&metrics->series_count, 1, memory_order_relaxed) <
        metrics->series_max) {
        series = skua__http_aligned(64, sizeof *series + len);
        if (series != NULL) {
            series->route = memcpy(series + 1, route, len);
            series->method = method;
            series->status = status;
            return series;
        }
    }
    (void)atomic_fetch_sub_explicit(&metrics->series_count, 1, memory_order_relaxed);
    return NULL;
}

static struct skua__metrics_series *count_find(skua_http_metrics *metrics, const char *route,
                                               unsigned method, unsigned status)
{
    struct skua__metrics_series *made = NULL;
    uint64_t hash = 0xcbf29ce484222325u + 31 * method + status;

    for (const char *at = route; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    hash ^= hash >> 32;
    for (size_t i = (size_t)hash & metrics->mask;; i = (i + 1) & metrics->mask) {
        struct skua__metrics_series *at =
            atomic_load_explicit(&metrics->slots[i], memory_order_acquire);

        if (at == NULL) {
            if (made == NULL)
                made = count_make(metrics, route, method, status);
            if (made == NULL)
                return &metrics->others[status];
            if (atomic_compare_exchange_strong_explicit(&metrics->slots[i], &at, made,
                                                        memory_order_acq_rel, memory_order_acquire))
                return made;
        }
        if (at->method == method && at->status == status && strcmp(at->route, route) == 0) {
            if (made != NULL) { /* somebody was faster */
                skua__http_free(made);
                (void)atomic_fetch_sub_explicit(&metrics->series_count, 1, memory_order_relaxed);
            }
            return at;
        }
    }
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_flight(skua_http_metrics *metrics, int64_t n)
{
    (void)atomic_fetch_add_explicit(&metrics->flights[count_shard()].count, n,
                                    memory_order_relaxed);
}

static void count_ended(skua_http_exchange *exchange, const skua_http_summary *summary, void *state)
{
    skua_http_metrics *metrics = state;
    unsigned status = summary->status >= 100 && summary->status <= 599
                          ? (unsigned)summary->status / 100 - 1
                          : SKUA__METRICS_CLASSES - 1;
    unsigned method = 0;
    size_t bucket = 0;
    struct skua__metrics_shard *shard;

    while (method != COUNT_OTHER && strcmp(count_methods[method], exchange->method) != 0)
        method++;
    while (bucket < metrics->bounds_count && summary->duration > metrics->limits[bucket])
        bucket++;
    shard = &count_find(metrics, exchange->route != NULL ? exchange->route : "", method, status)
                 ->shards[count_shard()];
    count_add(&shard->buckets[bucket], 1);
    count_add(&shard->nanoseconds, summary->duration > 0 ? (uint64_t)summary->duration : 0);
    count_add(&shard->received, summary->received);
    count_add(&shard->sent, summary->sent);
    count_add(&shard->broken, summary->error != 0);
    count_flight(metrics, -1);
}

int skua_http_metrics_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                            void *metrics)
{
    int rc = skua_http_on_end(exchange, count_ended, metrics);

    if (rc != 0)
        return rc;
    count_flight(metrics, 1);
    return skua_http_chain_run(exchange, rest);
}

/* ---- telling --------------------------------------------------------------------------------- */

/* A series' shards together. */
struct count_sum {
    uint64_t buckets[SKUA_HTTP_METRICS_BOUNDS + 1];
    uint64_t all, nanoseconds, received, sent, broken;
};

static uint64_t count_of(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count_sum_of(struct skua__metrics_series *series, struct count_sum *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < SKUA__METRICS_SHARDS; i++) {
        struct skua__metrics_shard *shard = &series->shards[i];

        for (size_t b = 0; b <= SKUA_HTTP_METRICS_BOUNDS; b++) {
            sum->buckets[b] += count_of(&shard->buckets[b]);
        }
        sum->nanoseconds += count_of(&shard->nanoseconds);
        sum->received += count_of(&shard->received);
        sum->sent += count_of(&shard->sent);
        sum->broken += count_of(&shard->broken);
    }
    for (size_t b = 0; b <= SKUA_HTTP_METRICS_BOUNDS; b++)
        sum->all += sum->buckets[b];
}

enum { COUNT_REQUESTS, COUNT_DURATION, COUNT_RECEIVED, COUNT_SENT, COUNT_BROKEN, COUNT_FAMILIES };

static const struct {
    skua_http_sample_kind kind;
    const char *name, *help;
} count_families[COUNT_FAMILIES] = {
    {SKUA_HTTP_COUNTER, "http_server_requests_total", "Requests that have ended."},
    {SKUA_HTTP_HISTOGRAM, "http_server_request_duration_seconds", "Time of handlers."},
    {SKUA_HTTP_COUNTER, "http_server_request_body_bytes_total", "Bytes of bodies that were read."},
    {SKUA_HTTP_COUNTER, "http_server_response_body_bytes_total", "Bytes of bodies that were sent."},
    {SKUA_HTTP_COUNTER, "http_server_responses_broken_total", "Responses that are not whole."},
};

static int count_tell_one(skua_http_metrics *metrics, skua_http_samples *samples, int family,
                          struct skua__metrics_series *series)
{
    const char status[] = {(char)('1' + series->status), 'x', 'x', '\0'};
    const skua_http_label labels[] = {
        {"method", count_methods[series->method]}, {"route", series->route}, {"status", status}};
    struct count_sum sum;

    count_sum_of(series, &sum);
    if (sum.all == 0)
        return 0; /* one of the others, or just being made */
    if (family == COUNT_DURATION)
        return skua_http_samples_histogram(samples, metrics->bounds, sum.buckets,
                                           metrics->bounds_count, (double)sum.nanoseconds / 1e9,
                                           labels, 3);
    return skua_http_samples_number(samples,
                                    family == COUNT_REQUESTS   ? sum.all
                                    : family == COUNT_RECEIVED ? sum.received
                                    : family == COUNT_SENT     ? sum.sent
                                                               : sum.broken,
                                    labels, 3);
}

static int count_tell_family(skua_http_metrics *metrics, skua_http_samples *samples, int family)
{
    int rc = skua_http_samples_family(samples, count_families[family].kind,
                                      count_families[family].name, count_families[family].help);

    for (size_t i = 0; rc == 0 && i <= metrics->mask; i++) {
        struct skua__metrics_series *series =
            atomic_load_explicit(&metrics->slots[i], memory_order_acquire);

        if (series != NULL)
            rc = count_tell_one(metrics, samples, family, series);
    }
    for (size_t i = 0; rc == 0 && i < SKUA__METRICS_CLASSES; i++)
        rc = count_tell_one(metrics, samples, family, &metrics->others[i]);
    return rc;
}

int skua__metrics_count_tell(skua_http_metrics *metrics, skua_http_samples *samples)
{
    int64_t flying = 0;
    int rc = 0;

    for (int family = 0; rc == 0 && family < COUNT_FAMILIES; family++)
        rc = count_tell_family(metrics, samples, family);
    if (rc == 0)
        rc = skua_http_samples_family(samples, SKUA_HTTP_GAUGE, "http_server_requests_in_flight",
                                      "Requests that are being answered.");
    for (unsigned i = 0; i < SKUA__METRICS_SHARDS; i++)
        flying += atomic_load_explicit(&metrics->flights[i].count, memory_order_relaxed);
    return rc == 0 ? skua_http_samples_value(samples, (double)(flying > 0 ? flying : 0), NULL, 0)
                   : rc;
}

#undef COUNT_OTHER
