/* metrics_impl.h - what a server tells of itself.
 *
 *   metrics_count.c   counters of requests, by method, route and class of status
 *   metrics_text.c    samples as text
 *   metrics_page.c    the page, and what else it tells: servers, clients, runtimes
 *   health.c          whether it is ready: checks, and who asks
 *   health_page.c     what it answers
 */
#ifndef SKUA_HTTP_METRICS_IMPL_H
#define SKUA_HTTP_METRICS_IMPL_H

#include <stdatomic.h>

#include <skua/http/prometheus.h>

#include "http/web/web_impl.h"

/* ---- counters (metrics_count.c) -------------------------------------------------------------- */

/* Threads share a shard by their order of coming. */
#define SKUA__METRICS_SHARDS 4u
#define SKUA__METRICS_CLASSES 5 /* of status */

/* Only added to, and read: relaxed, as nothing else is told by them. */
struct skua__metrics_shard {
    _Alignas(64) _Atomic uint64_t buckets[SKUA_HTTP_METRICS_BOUNDS + 1];
    _Atomic uint64_t nanoseconds, received, sent, broken;
};

struct skua__metrics_series {
    const char *route; /* its own; constant, as all here but the shards */
    unsigned method;   /* an index of names */
    unsigned status;   /* 0: 1xx */
    struct skua__metrics_shard shards[SKUA__METRICS_SHARDS];
};

struct skua__metrics_flight {
    _Alignas(64) _Atomic int64_t count; /* of this shard: may be below 0; relaxed */
};

/* What else is told; guard: whoever makes the metrics, before they are asked for. */
struct skua__metrics_source {
    struct skua__metrics_source *next;
    char *name;
    skua_http_server *server; /* one of these */
    skua_http_client *client;
    skua_runtime *runtime;
    skua_http_collect_fn collect;
    void *arg;
};

struct skua_http_metrics {
    size_t series_max;                        /* constant, as the bounds */
    double bounds[SKUA_HTTP_METRICS_BOUNDS];  /* seconds */
    int64_t limits[SKUA_HTTP_METRICS_BOUNDS]; /* the same in ns */
    size_t bounds_count;
    size_t mask;                /* of the table's slots, a power of two; constant */
    atomic_size_t series_count; /* relaxed: a limit, and nothing else */
    struct skua__metrics_series *_Atomic *slots; /* published by release, never taken out */
    struct skua__metrics_series *others;         /* SKUA__METRICS_CLASSES: beyond series_max */
    struct skua__metrics_flight flights[SKUA__METRICS_SHARDS];
    struct skua__metrics_source *sources; /* in the order they were added */
};

/* Writes the layer's families. */
int skua__metrics_count_tell(struct skua_http_metrics *metrics, skua_http_samples *samples);

/* ---- text (metrics_text.c) ------------------------------------------------------------------- */

#define SKUA__METRICS_PIECE ((size_t)8192)

/* The handler's fiber's. */
struct skua_http_samples {
    skua_http_exchange *exchange;
    bool open; /* OpenMetrics */
    char *piece;
    size_t len;
    int error;
    skua_http_sample_kind kind; /* 0: no family was begun */
    char name[128];
};

void skua__metrics_put(skua_http_samples *samples, const char *text, size_t len);

#endif
