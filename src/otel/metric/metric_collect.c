/* metric_collect.c - from cells to points, for one reader.
 *
 *   cells of a series -> states of all readers -> points of this one; a delta reader's state begins
 *   again then, a cumulative one's goes on
 *
 * All of a stream is done under its lock; what is sent is copied into the arena: nothing of it
 * changes when the stream goes on.
 */
#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"

/* ---- states ---------------------------------------------------------------------------------- */

static double collect_f64(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t collect_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void collect_add_dist(const struct skua__metric_stream *stream, struct skua__dist *to,
                             const struct skua__dist *from)
{
    if (stream->what == SKUA__CELL_BASE2)
        skua__base2_add(&to->base2, &from->base2);
    else
        for (uint32_t i = 0; i <= stream->aggregation.bounds_count; i++)
            to->counts[i] += from->counts[i];
    to->count += from->count;
    to->sum += from->sum;
    if (from->epoch == 0)
        return;
    if (to->epoch == 0 || from->min < to->min)
        to->min = from->min;
    if (to->epoch == 0 || from->max > to->max)
        to->max = from->max;
    to->epoch = 1;
}

void skua__state_add(const struct skua__metric_stream *stream, struct skua__metric_state *to,
                     const struct skua__metric_state *from)
{
    if (stream->what == SKUA__CELL_LAST) {
        if (!to->touched || from->ticks >= to->ticks) {
            to->bits = from->bits;
            to->ticks = from->ticks;
        }
    } else if (stream->what >= SKUA__CELL_EXPLICIT) {
        collect_add_dist(stream, &to->dist, &from->dist);
    } else if (stream->instrument->is_f64) {
        to->bits = collect_bits(collect_f64(to->bits) + collect_f64(from->bits));
        to->past = collect_bits(collect_f64(to->past) + collect_f64(from->past));
    } else {
        to->bits += from->bits;
        to->past += from->past;
    }
    to->touched = to->touched || from->touched;
    to->reported = to->reported || from->reported;
}

void skua__state_clear(const struct skua__metric_stream *stream, struct skua__metric_state *state)
{
    state->touched = false;
    state->bits = 0;
    if (stream->what >= SKUA__CELL_EXPLICIT)
        skua__dist_clear(&state->dist, stream);
}

/* ---- points ---------------------------------------------------------------------------------- */

static void *collect_alloc(struct skua__collect *collect, size_t size)
{
    void *memory = collect->arena->alloc(collect->arena->arg, size != 0 ? size : 1);

    if (memory == NULL)
        collect->error = -ENOMEM;
    return memory;
}

static void collect_side(struct skua__collect *collect, const struct skua__base2 *base2, size_t s,
                         skua_otel_buckets *ret, uint64_t *count)
{
    const struct skua__base2_side *side = &base2->side[s];
    uint64_t *counts;

    ret->offset = side->first;
    if (side->used == 0)
        return;
    counts = collect_alloc(collect, side->used * sizeof *counts);
    if (counts == NULL)
        return;
    for (uint32_t i = 0; i < side->used; i++) {
        int32_t place = (side->first + (int32_t)i) % (int32_t)base2->max;

        counts[i] = side->counts[place < 0 ? place + (int32_t)base2->max : place];
        *count += counts[i];
    }
    ret->counts = counts;
    ret->count = side->used;
}

static void collect_dist(struct skua__collect *collect, const struct skua__metric_stream *stream,
                         const struct skua__dist *dist, skua_otel_point *point)
{
    const skua_otel_aggregation *aggregation = &stream->aggregation;

    point->sum = dist->sum;
    /* What may be negative has no sum that grows: it is left out. */
    point->has_sum = skua__metric_monotonic(stream->instrument->kind);
    point->has_min = point->has_max = dist->epoch != 0 && !aggregation->no_min_max;
    point->min = dist->min;
    point->max = dist->max;
    if (stream->what == SKUA__CELL_BASE2) {
        point->scale = dist->base2.scale;
        point->zero_count = point->count = dist->base2.zero;
        collect_side(collect, &dist->base2, 0, &point->positive, &point->count);
        collect_side(collect, &dist->base2, 1, &point->negative, &point->count);
    } else {
        size_t size = ((size_t)aggregation->bounds_count + 1) * sizeof(uint64_t);
        uint64_t *counts = collect_alloc(collect, size);

        if (counts == NULL)
            return;
        memcpy(counts, dist->counts, size);
        point->counts = counts;
        point->bounds = aggregation->bounds;
        point->bounds_count = aggregation->bounds_count;
        point->count = dist->count;
    }
}

static void collect_number(const struct skua__metric_stream *stream, bool delta,
                           struct skua__metric_state *state, skua_otel_point *point)
{
    uint64_t bits = state->bits;

    point->is_f64 = stream->instrument->is_f64;
    if (delta && skua__metric_observable(stream->instrument->kind) &&
        stream->what == SKUA__CELL_SUM) {
        bits = point->is_f64 ? collect_bits(collect_f64(bits) - collect_f64(state->past))
                             : bits - state->past;
        state->past = state->bits;
    }
    memcpy(&point->value, &bits, sizeof bits);
}

/* One point. `series`: whose attributes and exemplars it has. */
static void collect_point(struct skua__collect *collect, const struct skua__metric_stream *stream,
                          bool delta, const struct skua__metric_series *series,
                          struct skua__metric_state *state, skua_otel_point *point)
{
    skua_attr *attrs;

    memset(point, 0, sizeof *point);
    point->time = collect->now;
    if (stream->what != SKUA__CELL_LAST)
        point->start = delta                                               ? collect->since
                       : skua__metric_observable(stream->instrument->kind) ? collect->sdk->start
                                                                           : series->start;
    if (stream->what >= SKUA__CELL_EXPLICIT)
        collect_dist(collect, stream, &state->dist, point);
    else
        collect_number(stream, delta, state, point);
    attrs = collect_alloc(collect, skua__attrs_room(series->attrs, series->attrs_count));
    if (attrs != NULL) {
        skua__attrs_put(attrs, series->attrs, series->attrs_count);
        point->attrs.at = attrs;
        point->attrs.count = series->attrs_count;
    }
    skua__exemplar_report(series, collect->since, collect->arena, point);
}

/* Whether the reader has something of the series to tell. */
static bool collect_wanted(const struct skua__collect *collect,
                           const struct skua__metric_stream *stream, bool delta,
                           const struct skua__metric_state *state)
{
    if (skua__metric_observable(stream->instrument->kind))
        return state->round == collect->reader->round;
    return state->touched || (!delta && state->reported);
}

/* What its points are put together in. */
struct collect_points {
    skua_otel_metric metric;
    skua_otel_point *at;
    uint32_t count, plain, limit;
    bool delta, some;
    struct skua__metric_series *rest; /* the overflow, when this reader's limit is met */
    struct skua__metric_state *sum;   /* of those beyond the limit; NULL: none yet */
};

static struct skua__metric_state *collect_rest(struct skua__metric_stream *stream)
{
    struct skua__metric_state *state = skua__otel_malloc(sizeof *state + skua__dist_size(stream));

    if (state != NULL)
        skua__dist_init(&state->dist, stream, state + 1);
    return state;
}

static void collect_emit(struct skua__collect *collect, struct skua__metric_stream *stream,
                         struct collect_points *points, const struct skua__metric_series *series,
                         struct skua__metric_state *state)
{
    collect_point(collect, stream, points->delta, series, state, &points->at[points->count++]);
}

/* One series, to a point of its own or to the rest. */
static void collect_series(struct skua__collect *collect, struct skua__metric_stream *stream,
                           struct collect_points *points, struct skua__metric_series *series)
{
    struct skua__metric_state *state = &series->states[collect->index];

    if (!collect_wanted(collect, stream, points->delta, state))
        return;
    series->idle = false;
    if (series != stream->overflow && points->plain + 1 < points->limit) {
        points->plain++;
        collect_emit(collect, stream, points, series, state);
    } else if (points->sum == NULL && (points->sum = collect_rest(stream)) == NULL) {
        collect->error = -ENOMEM;
    } else {
        skua__state_add(stream, points->sum, state);
        if (skua__metric_observable(stream->instrument->kind))
            state->past = state->bits;
    }
    if (points->delta && !skua__metric_observable(stream->instrument->kind))
        skua__state_clear(stream, state);
    state->touched = false;
    state->reported = true;
}

/* Gives up what nobody has used for an interval. */
static void collect_reclaim(struct skua__collect *collect, struct skua__metric_stream *stream,
                            struct skua__metric_series *series)
{
    bool observable = skua__metric_observable(stream->instrument->kind), seen = false;

    for (uint32_t r = 0; observable && r < collect->sdk->readers_count; r++)
        seen = seen || ((stream->readers >> r & 1) != 0 &&
                        series->states[r].round == collect->sdk->readers[r]->round);
    if (observable
            ? !seen && !stream->any_delta
            : stream->all_delta && series->idle && skua__series_unused(series, stream->readers))
        skua__series_retire(stream, series);
    else
        series->idle = true;
}

static void collect_all(struct skua__collect *collect, struct skua__metric_stream *stream,
                        struct collect_points *points)
{
    struct skua__metric_series *next;

    skua__series_bury(stream);
    stream->swept = false;
    for (struct skua__metric_series *at = stream->first; at != NULL; at = at->next)
        for (struct skua__cell *cell = at->cells; cell != NULL; cell = cell->next)
            skua__cell_drain(cell);
    if (stream->overflow != NULL)
        for (struct skua__cell *cell = stream->overflow->cells; cell != NULL; cell = cell->next)
            skua__cell_drain(cell);
    points->at = collect_alloc(collect, ((size_t)stream->count + 1) * sizeof(skua_otel_point));
    if (points->at == NULL)
        return;
    for (struct skua__metric_series *at = stream->first; at != NULL; at = next) {
        next = at->next;
        collect_series(collect, stream, points, at);
        collect_reclaim(collect, stream, at);
    }
    if (stream->overflow != NULL)
        collect_series(collect, stream, points, stream->overflow);
    if (points->sum != NULL) {
        const struct skua__metric_series *rest = skua__series_of_overflow(stream);

        if (rest != NULL)
            collect_emit(collect, stream, points, rest, points->sum);
        else
            collect->error = -ENOMEM;
    }
    skua__otel_free(points->sum);
}

/* Leaves out what is not wanted; no lock is held: the filter is the user's. */
static void collect_filter(const skua_otel_filter *filter, struct collect_points *points)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < points->count; i++)
        if (filter->point(filter->arg, &points->metric, &points->at[i].attrs) != 0)
            points->at[kept++] = points->at[i];
    points->count = kept;
}

static skua_otel_text collect_text(const char *text)
{
    return (skua_otel_text){text, strlen(text)};
}

void skua__collect_stream(struct skua__collect *collect, struct skua__metric_stream *stream)
{
    const struct skua__metric_instrument *instrument = stream->instrument;
    const skua_otel_filter *filter = collect->reader->options.filter;
    struct collect_points points = {.limit = stream->limits[collect->index]};
    bool overflowed;

    points.delta = collect->reader->temporality[instrument->kind] == SKUA_OTEL_DELTA;
    points.metric.name = collect_text(stream->name);
    points.metric.description = collect_text(stream->description);
    points.metric.unit = collect_text(instrument->unit);
    points.metric.type = stream->what == SKUA__CELL_SUM        ? SKUA_OTEL_SUM
                         : stream->what == SKUA__CELL_LAST     ? SKUA_OTEL_GAUGE
                         : stream->what == SKUA__CELL_EXPLICIT ? SKUA_OTEL_HISTOGRAM
                                                               : SKUA_OTEL_EXPONENTIAL;
    points.metric.monotonic =
        stream->what == SKUA__CELL_SUM && skua__metric_monotonic(instrument->kind);
    if (stream->what != SKUA__CELL_LAST)
        points.metric.temporality = points.delta ? SKUA_OTEL_DELTA : SKUA_OTEL_CUMULATIVE;
    points.metric.scope = &instrument->scope->data;
    if (filter != NULL && filter->metric != NULL) {
        skua_otel_verdict verdict =
            filter->metric(filter->arg, points.metric.scope, &points.metric);

        if (verdict == SKUA_OTEL_REJECT)
            return;
        points.some = verdict == SKUA_OTEL_ACCEPT_SOME && filter->point != NULL;
    }
    pthread_mutex_lock(&stream->mutex);
    collect_all(collect, stream, &points);
    overflowed = stream->overflowed && !stream->warned;
    pthread_mutex_unlock(&stream->mutex);
    if (overflowed)
        skua__otel_warn(SKUA__WARN_OTHER, "metric %s has more than %u series: overflow",
                        stream->name, stream->limit);
    stream->warned = stream->warned || overflowed;
    if (points.some)
        collect_filter(filter, &points);
    points.metric.points = points.at;
    points.metric.points_count = points.count;
    if (points.count != 0 && skua__collect_add(collect, &points.metric) != 0)
        collect->error = -ENOMEM;
}
