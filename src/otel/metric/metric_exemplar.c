/* metric_exemplar.c - single values that are sent along with the sums: with the trace they belong
 * to, and the attributes that the series does not have.
 *
 * A cell gets its reservoir at the first value that is offered. Who collects takes what is kept to
 * the series: there the newest of each place stays, and is sent by each reader once.
 */
#include <sched.h>

#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"

static int exemplar_fixed(void *arg, const skua_otel_measurement *measurement, uint32_t places)
{
    struct skua__metric_thread *self = skua__metric_own;
    uint64_t random;

    (void)arg;
    if (measurement->seen < places)
        return (int)measurement->seen;
    /* Algorithm R (Vitter, 1985). xorshift64. */
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    random = self->random % (measurement->seen + 1);
    return random < places ? (int)random : -1;
}

static int exemplar_aligned(void *arg, const skua_otel_measurement *measurement, uint32_t places)
{
    (void)arg;
    return measurement->bucket < places ? (int)measurement->bucket : -1;
}

const skua_otel_reservoir skua_otel_reservoir_fixed = {exemplar_fixed, NULL, 4};
const skua_otel_reservoir skua_otel_reservoir_aligned = {exemplar_aligned, NULL, 0};

static void exemplar_lock(struct skua__samples *samples)
{
    while (__atomic_exchange_n(&samples->lock, 1, __ATOMIC_ACQUIRE) != 0)
        (void)sched_yield();
}

static void exemplar_unlock(struct skua__samples *samples)
{
    __atomic_store_n(&samples->lock, 0, __ATOMIC_RELEASE);
}

static struct skua__samples *exemplar_new(uint32_t places)
{
    struct skua__samples *samples =
        skua__otel_malloc(sizeof *samples + places * sizeof(struct skua__sample));

    if (samples != NULL)
        samples->places = places;
    return samples;
}

void skua__samples_free(struct skua__samples *samples)
{
    if (samples == NULL)
        return;
    for (uint32_t i = 0; i < samples->places; i++)
        skua__otel_free(samples->at[i].attrs);
    skua__otel_free(samples);
}

/* ---- the thread's ---------------------------------------------------------------------------- */

/* Those attributes that the series does not have; false: no memory. */
static bool exemplar_attrs(const struct skua__cell *cell, struct skua__sample *sample,
                           const skua_attr *attrs, size_t count)
{
    skua_attr rest[64];
    size_t used = 0;
    for (size_t i = 0; i < count && used < 64; i++)
        if (skua__attr_counts(&attrs[i]) &&
            (cell->overflow || !skua__stream_keeps(cell->stream, &attrs[i])))
            rest[used++] = attrs[i];
    if (used == 0)
        return true;
    sample->attrs = skua__attrs_copy(rest, used);
    sample->attrs_count = (uint32_t)used;
    return sample->attrs != NULL;
}

static uint32_t exemplar_bucket(const struct skua__metric_stream *stream, double value)
{
    uint32_t i = 0;

    if (stream->what != SKUA__CELL_EXPLICIT)
        return 0;
    while (i < stream->aggregation.bounds_count && stream->aggregation.bounds[i] < value)
        i++;
    return i;
}

static double exemplar_value(uint64_t bits, bool is_f64)
{
    double value;

    if (!is_f64)
        return (double)(int64_t)bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct skua__samples *exemplar_of(struct skua__cell *cell)
{
    struct skua__samples *samples = cell->samples;

    if (samples == NULL) {
        samples = exemplar_new(cell->stream->places);
        /* Release: who collects sees it whole. */
        __atomic_store_n(&cell->samples, samples, __ATOMIC_RELEASE);
    }
    return samples;
}

void skua__exemplar_offer(struct skua__cell *cell, uint64_t bits, bool is_f64,
                          const skua_attr *attrs, size_t count, skua_span *span)
{
    struct skua__samples *samples = exemplar_of(cell);
    struct skua__sample sample = {.time = skua__otel_now(), .is_f64 = is_f64, .bits = bits};
    skua_otel_measurement measurement = {
        exemplar_value(bits, is_f64), attrs, count, span, sample.time, 0, 0};
    uint32_t collected;
    skua_attr *old;
    int place;

    if (samples == NULL)
        return;
    collected = __atomic_load_n(&samples->collected, __ATOMIC_RELAXED);
    if (samples->round != collected) {
        samples->round = collected;
        samples->seen = 0;
    }
    measurement.seen = samples->seen++;
    measurement.bucket = exemplar_bucket(cell->stream, measurement.value);
    place =
        cell->stream->reservoir->offer(cell->stream->reservoir->arg, &measurement, samples->places);
    if (place < 0 || (uint32_t)place >= samples->places ||
        !exemplar_attrs(cell, &sample, attrs, count))
        return;
    if (span != NULL) {
        skua_span_context context;

        (void)skua_span_context_of(span, &context);
        memcpy(sample.trace_id, context.trace_id, sizeof sample.trace_id);
        memcpy(sample.span_id, context.span_id, sizeof sample.span_id);
    }
    exemplar_lock(samples);
    old = samples->at[place].attrs;
    samples->at[place] = sample;
    exemplar_unlock(samples);
    skua__otel_free(old);
}

/* ---- who collects ---------------------------------------------------------------------------- */

void skua__exemplar_drain(struct skua__cell *cell)
{
    struct skua__samples *from = __atomic_load_n(&cell->samples, __ATOMIC_ACQUIRE);
    struct skua__samples *to = cell->series->samples;

    if (from == NULL)
        return;
    if (to == NULL)
        to = cell->series->samples = exemplar_new(from->places);
    if (to == NULL)
        return;
    exemplar_lock(from);
    for (uint32_t i = 0; i < from->places; i++) {
        if (from->at[i].time == 0)
            continue;
        if (from->at[i].time >= to->at[i].time) {
            skua__otel_free(to->at[i].attrs);
            to->at[i] = from->at[i];
        } else {
            skua__otel_free(from->at[i].attrs);
        }
        from->at[i] = (struct skua__sample){.time = 0};
    }
    exemplar_unlock(from);
    __atomic_store_n(&from->collected, from->collected + 1, __ATOMIC_RELAXED);
}

static void exemplar_put(const struct skua__sample *sample, struct skua__metric_arena *arena,
                         skua_otel_exemplar *ret)
{
    skua_attr *attrs = NULL;

    *ret = (skua_otel_exemplar){.time = sample->time, .is_f64 = sample->is_f64};
    memcpy(&ret->value, &sample->bits, sizeof sample->bits);
    memcpy(ret->trace_id, sample->trace_id, sizeof ret->trace_id);
    memcpy(ret->span_id, sample->span_id, sizeof ret->span_id);
    if (sample->attrs_count != 0)
        attrs = arena->alloc(arena->arg, skua__attrs_room(sample->attrs, sample->attrs_count));
    if (attrs == NULL)
        return;
    skua__attrs_put(attrs, sample->attrs, sample->attrs_count);
    ret->attrs.at = attrs;
    ret->attrs.count = sample->attrs_count;
}

void skua__exemplar_report(const struct skua__metric_series *series, int64_t since,
                           struct skua__metric_arena *arena, skua_otel_point *point)
{
    const struct skua__samples *samples = series->samples;
    skua_otel_exemplar *exemplars;
    uint32_t count = 0;

    for (uint32_t i = 0; samples != NULL && i < samples->places; i++)
        count += samples->at[i].time > since;
    if (count == 0)
        return;
    exemplars = arena->alloc(arena->arg, count * sizeof *exemplars);
    if (exemplars == NULL)
        return;
    point->exemplars = exemplars;
    for (uint32_t i = 0; i < samples->places; i++)
        if (samples->at[i].time > since)
            exemplar_put(&samples->at[i], arena, &exemplars[point->exemplars_count++]);
}
