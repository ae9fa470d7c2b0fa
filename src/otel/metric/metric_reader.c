/* metric_reader.c - readers: what is asked, in which order, and whose metrics come with them.
 *
 *   what is observing is called -> each stream's points -> the producers
 */
#include "otel/core/otel_clock.h"
#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"

#include <math.h>

/* One collect at a time, whatever its SDK is: an SDK that was stopped may still be read by one who
 * began before, and the reader, and those who are observing, are the next SDK's, too. */
static skua_mutex reader_turn = SKUA_MUTEX_INIT;

/* The SDK that collects on this thread: what is observing must not. */
static __thread const struct skua__metric_sdk *reader_collecting
    __attribute__((tls_model("initial-exec")));

static skua_otel_temporality reader_temporality(const skua_otel_reader_options *options,
                                                uint8_t kind)
{
    if (options->temporality_of != NULL)
        return options->temporality_of(options->arg, (skua_instrument_kind)kind) == SKUA_OTEL_DELTA
                   ? SKUA_OTEL_DELTA
                   : SKUA_OTEL_CUMULATIVE;
    if (options->temporality == SKUA_OTEL_PREFER_CUMULATIVE || kind == SKUA_KIND_UPDOWN ||
        kind == SKUA_KIND_OBSERVABLE_UPDOWN)
        return SKUA_OTEL_CUMULATIVE;
    return options->temporality == SKUA_OTEL_PREFER_LOWMEMORY &&
                   kind == SKUA_KIND_OBSERVABLE_COUNTER
               ? SKUA_OTEL_CUMULATIVE
               : SKUA_OTEL_DELTA;
}

skua_otel_reader *skua_otel_reader_new(const skua_otel_reader_options *options)
{
    skua_otel_reader *reader;

    if (options != NULL &&
        (options->size != sizeof *options || options->temporality > SKUA_OTEL_PREFER_LOWMEMORY))
        return NULL;
    reader = skua__otel_malloc(sizeof *reader);
    if (reader == NULL)
        return NULL;
    atomic_init(&reader->refs, 1);
    if (options != NULL)
        reader->options = *options;
    for (uint8_t kind = SKUA_KIND_COUNTER; kind <= SKUA_KIND_OBSERVABLE_GAUGE; kind++) {
        reader->temporality[kind] = reader_temporality(&reader->options, kind);
        if (reader->options.cardinality_of != NULL)
            reader->cardinality[kind] =
                reader->options.cardinality_of(reader->options.arg, (skua_instrument_kind)kind);
        if (reader->cardinality[kind] == 0)
            reader->cardinality[kind] = reader->options.cardinality;
        if (reader->options.aggregation_of != NULL)
            reader->aggregation[kind] =
                reader->options.aggregation_of(reader->options.arg, (skua_instrument_kind)kind);
    }
    pthread_mutex_init(&reader->mutex, NULL);
    return reader;
}

void skua_otel_reader_free(skua_otel_reader *reader)
{
    /* Acquire and release: whoever frees it comes after everybody's last look. */
    if (reader == NULL || atomic_fetch_sub_explicit(&reader->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&reader->mutex);
    skua__otel_free(reader);
}

/* ---- what is observed ------------------------------------------------------------------------ */

struct reader_observer {
    skua_observer base;
    struct skua__collect *collect;
};

static void reader_observed(struct skua__collect *collect, struct skua__metric_stream *stream,
                            uint64_t bits, const skua_attr *attrs, size_t count)
{
    struct skua__metric_series *series;
    struct skua__metric_state *state;

    pthread_mutex_lock(&stream->mutex);
    series = skua__series_find(stream, attrs, count);
    if (series != NULL) {
        state = &series->states[collect->index];
        /* Several of one set of attributes: what the view left out made them the same. */
        if (state->round == collect->reader->round && stream->what == SKUA__CELL_SUM) {
            if (stream->instrument->is_f64) {
                double a, b;

                memcpy(&a, &state->bits, sizeof a);
                memcpy(&b, &bits, sizeof b);
                a += b;
                memcpy(&bits, &a, sizeof bits);
            } else {
                bits += state->bits;
            }
        }
        state->bits = bits;
        state->round = collect->reader->round;
        state->touched = true;
    } else {
        (void)atomic_fetch_add_explicit(&skua__metric_lost, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&stream->mutex);
}

static void reader_observe(skua_observer *base, skua_instrument *handle, int64_t i64, double f64,
                           bool is_f64, const skua_attr *attrs, size_t count)
{
    struct skua__collect *collect = ((struct reader_observer *)base)->collect;
    struct skua__metric_instrument *instrument;
    uint64_t bits;

    if ((is_f64 && !isfinite(f64)) || !skua__metric_observable(handle->kind))
        return;
    instrument = skua__instrument_bind(collect->sdk, handle);
    if (instrument == NULL)
        return;
    if (handle->is_f64) {
        double value = is_f64 ? f64 : (double)i64;

        memcpy(&bits, &value, sizeof bits);
    } else {
        bits = (uint64_t)(is_f64 ? (int64_t)f64 : i64);
    }
    for (struct skua__metric_stream *at = instrument->streams; at != NULL; at = at->next)
        if ((at->readers >> collect->index & 1) != 0)
            reader_observed(collect, at, bits, attrs, count);
}

static void reader_observe_i64(skua_observer *observer, skua_instrument *handle, int64_t value,
                               const skua_attr *attrs, size_t count)
{
    reader_observe(observer, handle, value, 0, false, attrs, count);
}

static void reader_observe_f64(skua_observer *observer, skua_instrument *handle, double value,
                               const skua_attr *attrs, size_t count)
{
    reader_observe(observer, handle, 0, value, true, attrs, count);
}

/* ---- what producers have --------------------------------------------------------------------- */

struct reader_sink {
    skua_otel_sink base;
    struct skua__collect *collect;
};

static void *reader_sink_alloc(skua_otel_sink *base, size_t size)
{
    struct skua__metric_arena *arena = ((struct reader_sink *)base)->collect->arena;

    return arena->alloc(arena->arg, size);
}

static int reader_sink_add(skua_otel_sink *base, const skua_otel_metric *metric)
{
    struct skua__collect *collect = ((struct reader_sink *)base)->collect;
    const skua_otel_filter *filter = base->filter;
    skua_otel_verdict verdict = SKUA_OTEL_ACCEPT;
    skua_otel_metric some = *metric;
    skua_otel_point *points;

    if (filter != NULL && filter->metric != NULL)
        verdict = filter->metric(filter->arg, metric->scope, metric);
    if (verdict == SKUA_OTEL_REJECT)
        return 0;
    if (verdict == SKUA_OTEL_ACCEPT_SOME && filter->point != NULL) {
        points = reader_sink_alloc(base, metric->points_count * sizeof *points + 1);
        if (points == NULL)
            return -ENOMEM;
        some.points = points;
        some.points_count = 0;
        for (uint32_t i = 0; i < metric->points_count; i++)
            if (filter->point(filter->arg, metric, &metric->points[i].attrs) != 0)
                points[some.points_count++] = metric->points[i];
    }
    return some.points_count != 0 ? skua__collect_add(collect, &some) : 0;
}

void skua__collect_producers(struct skua__collect *collect)
{
    const skua_otel_reader_options *options = &collect->reader->options;
    struct reader_sink sink = {{reader_sink_alloc, reader_sink_add, options->filter}, collect};

    for (size_t i = 0; i < options->producers_count; i++) {
        int rc = options->producers[i].produce(options->producers[i].arg, &sink.base);

        if (rc != 0)
            skua__otel_warn(SKUA__WARN_OTHER, "a producer of metrics failed: %s",
                            skua_strerror(rc));
    }
}

/* ---- collecting ------------------------------------------------------------------------------ */

int skua__collect_add(struct skua__collect *collect, const skua_otel_metric *metric)
{
    if (collect->count == collect->room) {
        uint32_t room = collect->room != 0 ? collect->room * 2 : 16;
        skua_otel_metric *more = skua__otel_realloc(collect->metrics, room * sizeof *more);

        if (more == NULL)
            return -ENOMEM;
        collect->metrics = more;
        collect->room = room;
    }
    collect->metrics[collect->count++] = *metric;
    return 0;
}

/* The list as it is now: nothing is taken out of it, and what is put behind its end meanwhile is
 * found the next time, or already. */
static void reader_streams(struct skua__collect *collect)
{
    struct skua__metric_sdk *sdk = collect->sdk;

    for (struct skua__metric_scope **s = &sdk->scopes;;) {
        struct skua__metric_scope *scope;
        struct skua__metric_instrument **i;

        pthread_mutex_lock(&sdk->mutex);
        scope = *s;
        i = scope != NULL ? &scope->first : NULL;
        pthread_mutex_unlock(&sdk->mutex);
        if (scope == NULL)
            return;
        for (;;) {
            struct skua__metric_instrument *instrument;

            pthread_mutex_lock(&sdk->mutex);
            instrument = *i;
            pthread_mutex_unlock(&sdk->mutex);
            if (instrument == NULL)
                break;
            for (struct skua__metric_stream *at = instrument->streams; at != NULL; at = at->next)
                if ((at->readers >> collect->index & 1) != 0)
                    skua__collect_stream(collect, at);
            i = &instrument->next;
        }
        s = &scope->next;
    }
}

static int reader_collect(struct skua__collect *collect, const skua_otel_metric **ret,
                          uint32_t *count)
{
    skua_otel_reader *reader = collect->reader;
    struct reader_observer observer = {{reader_observe_i64, reader_observe_f64}, collect};
    skua_otel_metric *metrics;
    const struct skua__metric_sdk **here = &reader_collecting; /* also when the fiber moves on */

    reader->round++;
    *here = collect->sdk;
    skua_observing_run(&observer.base);
    *here = NULL;
    collect->now = skua__otel_now();
    collect->since =
        reader->last_of == collect->sdk->generation ? reader->last : collect->sdk->start;
    reader_streams(collect);
    skua__collect_producers(collect);
    if (reader->last_of <= collect->sdk->generation) { /* not of one who began before a restart */
        reader->last = collect->now;
        reader->last_of = collect->sdk->generation;
    }
    metrics = collect->arena->alloc(collect->arena->arg, collect->count * sizeof *metrics + 1);
    if (metrics != NULL && collect->count != 0)
        memcpy(metrics, collect->metrics, collect->count * sizeof *metrics);
    skua__otel_free(collect->metrics);
    *ret = metrics;
    *count = collect->count;
    return metrics != NULL ? collect->error : -ENOMEM;
}

/* The reader's SDK, with a reference; or NULL. */
static struct skua__metric_sdk *reader_sdk(skua_otel_reader *reader, uint32_t *index)
{
    struct skua__metric_sdk *sdk;

    pthread_mutex_lock(&reader->mutex);
    sdk = reader->sdk;
    *index = reader->index;
    if (sdk != NULL) /* relaxed: the reader's is held while it is there */
        (void)atomic_fetch_add_explicit(&sdk->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&reader->mutex);
    return sdk;
}

void skua__metric_reader_forked(void)
{
    reader_turn = (skua_mutex)SKUA_MUTEX_INIT;
}

int skua__metric_collect(skua_otel_reader *reader, struct skua__metric_arena *arena,
                         const skua_otel_metric **ret, uint32_t *count)
{
    struct skua__collect collect = {.arena = arena, .reader = reader};
    int rc = SKUA_EUSAGE;

    collect.sdk = reader_sdk(reader, &collect.index);
    if (collect.sdk == NULL)
        return -ENOENT;
    if (reader_collecting == NULL)
        rc = skua_mutex_lock(&reader_turn);
    if (rc == 0) {
        rc = reader_collect(&collect, ret, count);
        (void)skua_mutex_unlock(&reader_turn);
    }
    skua__metric_sdk_unref(collect.sdk);
    return rc;
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct reader_chunk {
    struct reader_chunk *next;
    size_t used, size;
};

struct reader_collected {
    skua_otel_collected data;
    struct reader_chunk *chunks;
    struct skua__metric_sdk *sdk; /* a reference: scopes and names are its */
};

static void *reader_alloc(void *arg, size_t size)
{
    struct reader_collected *self = arg;
    struct reader_chunk *chunk = self->chunks;

    size = (size + 7) & ~(size_t)7;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > 16384 ? size : 16384;

        chunk = skua__otel_raw(sizeof *chunk + room);
        if (chunk == NULL)
            return NULL;
        chunk->next = self->chunks;
        chunk->used = 0;
        chunk->size = room;
        self->chunks = chunk;
    }
    chunk->used += size;
    return (char *)(chunk + 1) + chunk->used - size;
}

int skua_otel_collect(skua_otel_reader *reader, skua_otel_collected **ret)
{
    struct reader_collected *self = skua__otel_malloc(sizeof *self);
    struct skua__metric_arena arena = {reader_alloc, self};
    skua_otel_batch *batch;
    uint32_t index;
    int rc = -ENOENT;

    *ret = NULL;
    if (self == NULL)
        return -ENOMEM;
    batch = &self->data.batch;
    batch->signal = SKUA_OTEL_METRICS;
    self->sdk = reader_sdk(reader, &index);
    if (self->sdk != NULL) {
        batch->resource = self->sdk->resource;
        rc = skua__metric_collect(reader, &arena, &batch->items.metrics, &batch->count);
    }
    if (rc == 0)
        *ret = &self->data;
    else
        skua_otel_collected_free(&self->data);
    return rc;
}

void skua_otel_collected_free(skua_otel_collected *collected)
{
    struct reader_collected *self = (struct reader_collected *)collected;
    struct reader_chunk *next;

    if (self == NULL)
        return;
    for (struct reader_chunk *at = self->chunks; at != NULL; at = next) {
        next = at->next;
        skua__otel_free(at);
    }
    if (self->sdk != NULL)
        skua__metric_sdk_unref(self->sdk);
    skua__otel_free(self);
}

/* ---- parts ----------------------------------------------------------------------------------- */

bool skua__metric_part(const skua_otel_batch *whole, uint32_t max, uint32_t *metric,
                       uint32_t *point, skua_otel_metric *room, skua_otel_batch *ret)
{
    *ret = *whole;
    ret->items.metrics = room;
    ret->count = 0;
    while (max != 0 && *metric < whole->count) {
        const skua_otel_metric *from = &whole->items.metrics[*metric];
        uint32_t left = from->points_count - *point, take = left < max ? left : max;

        room[ret->count] = *from;
        room[ret->count].points += *point;
        room[ret->count++].points_count = take;
        max -= take;
        *point += take;
        if (take == left) {
            *point = 0;
            ++*metric;
        }
    }
    return ret->count != 0;
}
