/* metric_cell.c - a cell: what one thread has counted of one series.
 *
 *   writer   value = value + n; touched = 1               plain loads and stores
 *   reader   touched taken; new = value - seen; seen = value; every reader's state += new
 *
 * Several words (a gauge with its time, buckets) are written between two stores of `seq`, odd and
 * even; the reader copies, and copies again when it has changed meanwhile. All stores in between
 * are release stores and all loads acquire ones: who sees one of them sees that seq was odd.
 *
 * Min, max   are of an epoch: the reader asks for a new one when it has taken them, and the writer
 *            begins anew when it sees that. A value that comes in that very moment may count to the
 *            epoch before, and is missing from both then. Count, sum and buckets are exact.
 */
#include <sched.h>

#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"

static uint64_t cell_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double cell_f64(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- the thread's ---------------------------------------------------------------------------- */

static void cell_put(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static void cell_put_f64(double *at, double value)
{
    uint64_t bits = cell_bits(value);

    __atomic_store((uint64_t *)(void *)at, &bits, __ATOMIC_RELEASE);
}

static void cell_last(struct skua__cell *cell, uint64_t bits)
{
    __atomic_store_n(&cell->seq, cell->seq + 1, __ATOMIC_RELAXED);
    cell_put(&cell->value, bits);
    cell_put(&cell->ticks, skua__otel_ticks());
    cell_put(&cell->seq, cell->seq + 1);
}

static uint32_t cell_bucket(const skua_otel_aggregation *aggregation, double value)
{
    uint32_t low = 0, high = aggregation->bounds_count;

    while (low < high) { /* the first bound that is not below the value */
        uint32_t middle = (low + high) / 2;

        if (aggregation->bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void cell_dist(struct skua__cell *cell, double value)
{
    struct skua__dist *dist = cell->dist;
    uint32_t epoch = __atomic_load_n(&cell->epoch, __ATOMIC_RELAXED);

    __atomic_store_n(&cell->seq, cell->seq + 1, __ATOMIC_RELAXED);
    cell_put_f64(&dist->sum, dist->sum + value);
    if (dist->epoch != epoch || value < dist->min)
        cell_put_f64(&dist->min, value);
    if (dist->epoch != epoch || value > dist->max)
        cell_put_f64(&dist->max, value);
    __atomic_store_n(&dist->epoch, epoch, __ATOMIC_RELEASE);
    if (cell->what == SKUA__CELL_BASE2) {
        skua__base2_record(&dist->base2, value);
    } else {
        uint64_t *at = &dist->counts[cell_bucket(&cell->stream->aggregation, value)];

        cell_put(at, *at + 1);
    }
    cell_put(&cell->seq, cell->seq + 1);
}

static void cell_touch(struct skua__cell *cell)
{
    /* Release: who takes the mark sees the value. */
    __atomic_store_n(&cell->touched, UINT64_C(1), __ATOMIC_RELEASE);
}

void skua__cell_i64(struct skua__cell *cell, int64_t value)
{
    if (cell->is_f64) {
        skua__cell_f64(cell, (double)value);
        return;
    }
    if (cell->what == SKUA__CELL_SUM)
        __atomic_store_n(&cell->value, cell->value + (uint64_t)value, __ATOMIC_RELAXED);
    else if (cell->what == SKUA__CELL_LAST)
        cell_last(cell, (uint64_t)value);
    else
        cell_dist(cell, (double)value);
    cell_touch(cell);
}

/* Cut to what an int64_t has. */
static int64_t cell_cut(double value)
{
    if (value >= 9223372036854775807.0)
        return INT64_MAX;
    return value <= -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

void skua__cell_f64(struct skua__cell *cell, double value)
{
    if (!cell->is_f64 && cell->what <= SKUA__CELL_LAST) {
        skua__cell_i64(cell, cell_cut(value));
        return;
    }
    if (cell->what == SKUA__CELL_SUM)
        __atomic_store_n(&cell->value, cell_bits(cell_f64(cell->value) + value), __ATOMIC_RELAXED);
    else if (cell->what == SKUA__CELL_LAST)
        cell_last(cell, cell_bits(value));
    else
        cell_dist(cell, value);
    cell_touch(cell);
}

/* The middle of a bucket; of the outer ones the bound. */
static double cell_middle(const struct skua__metric_many *many, uint32_t i)
{
    if (i == 0)
        return many->bounds[0] / 2;
    if (i == many->bounds_count)
        return many->bounds[i - 1];
    return (many->bounds[i - 1] + many->bounds[i]) / 2;
}

static void cell_many_buckets(struct skua__cell *cell, const struct skua__metric_many *many)
{
    const skua_otel_aggregation *aggregation = &cell->stream->aggregation;
    struct skua__dist *dist = cell->dist;
    bool same =
        cell->what == SKUA__CELL_EXPLICIT && aggregation->bounds_count == many->bounds_count &&
        memcmp(aggregation->bounds, many->bounds, many->bounds_count * sizeof *many->bounds) == 0;

    __atomic_store_n(&cell->seq, cell->seq + 1, __ATOMIC_RELAXED);
    cell_put_f64(&dist->sum, dist->sum + many->sum);
    for (uint32_t i = 0; i <= many->bounds_count; i++) {
        double middle = cell_middle(many, i);

        if (many->counts[i] == 0)
            continue;
        if (cell->what == SKUA__CELL_BASE2) {
            skua__base2_record_many(&dist->base2, middle, many->counts[i]);
        } else {
            uint64_t *at = &dist->counts[same ? i : cell_bucket(aggregation, middle)];

            cell_put(at, *at + many->counts[i]);
        }
    }
    cell_put(&cell->seq, cell->seq + 1);
}

void skua__cell_many(struct skua__cell *cell, const struct skua__metric_many *many)
{
    if (cell->what < SKUA__CELL_EXPLICIT) {
        skua__cell_f64(cell, many->sum);
        return;
    }
    cell_many_buckets(cell, many);
    cell_touch(cell);
}

/* ---- who collects ---------------------------------------------------------------------------- */

static uint64_t cell_get(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static double cell_get_f64(const double *at)
{
    return cell_f64(cell_get((const uint64_t *)(const void *)at));
}

/* Waits until nobody writes, for the few instructions that takes, or until the writer goes on that
 * was put aside in the middle of it. */
static uint64_t cell_even(const struct skua__cell *cell)
{
    uint64_t seq;

    for (unsigned tries = 1; ((seq = cell_get(&cell->seq)) & 1) != 0; tries++)
        if (tries % 64 == 0)
            (void)sched_yield();
    return seq;
}

static void cell_copy_dist(struct skua__dist *to, const struct skua__cell *cell)
{
    const struct skua__dist *from = cell->dist;

    to->sum = cell_get_f64(&from->sum);
    to->min = cell_get_f64(&from->min);
    to->max = cell_get_f64(&from->max);
    to->epoch = __atomic_load_n(&from->epoch, __ATOMIC_ACQUIRE);
    if (cell->what == SKUA__CELL_BASE2)
        skua__base2_copy(&to->base2, &from->base2);
    else
        for (uint32_t i = 0; i <= cell->stream->aggregation.bounds_count; i++)
            to->counts[i] = cell_get(&from->counts[i]);
}

static void cell_drain_sum(struct skua__cell *cell, bool touched)
{
    uint64_t now = cell_get(&cell->value), seen = cell->seen;

    if (!touched && now == seen)
        return;
    cell->seen = now;
    for (uint32_t r = 0; r < SKUA__METRIC_READERS; r++) {
        struct skua__metric_state *state = &cell->series->states[r];

        if ((cell->stream->readers >> r & 1) == 0)
            continue;
        state->touched = true;
        state->bits = cell->is_f64
                          ? cell_bits(cell_f64(state->bits) + (cell_f64(now) - cell_f64(seen)))
                          : state->bits + (now - seen);
    }
}

static void cell_drain_last(struct skua__cell *cell, bool touched)
{
    uint64_t seq, value, ticks;

    if (!touched)
        return;
    do {
        seq = cell_even(cell);
        value = cell_get(&cell->value);
        ticks = cell_get(&cell->ticks);
    } while (cell_get(&cell->seq) != seq);
    for (uint32_t r = 0; r < SKUA__METRIC_READERS; r++) {
        struct skua__metric_state *state = &cell->series->states[r];

        if ((cell->stream->readers >> r & 1) == 0)
            continue;
        if (!state->touched || ticks >= state->ticks) {
            state->bits = value;
            state->ticks = ticks;
        }
        state->touched = true;
    }
}

/* What `now` has more than `seen`, into a reader's. */
static void cell_add_dist(const struct skua__cell *cell, struct skua__dist *to,
                          struct skua__dist *seen, const struct skua__dist *now, uint32_t epoch)
{
    uint64_t count = 0;

    if (cell->what == SKUA__CELL_BASE2) {
        skua__base2_drain(&to->base2, &seen->base2, &now->base2);
    } else {
        for (uint32_t i = 0; i <= cell->stream->aggregation.bounds_count; i++) {
            to->counts[i] += now->counts[i] - seen->counts[i];
            count += now->counts[i] - seen->counts[i];
        }
    }
    to->sum += now->sum - seen->sum;
    if (now->epoch == epoch) {
        if (to->epoch == 0 || now->min < to->min)
            to->min = now->min;
        if (to->epoch == 0 || now->max > to->max)
            to->max = now->max;
        to->epoch = 1; /* of a state: there are some */
    }
    to->count += count;
}

static void cell_drain_dist(struct skua__cell *cell, bool touched)
{
    struct skua__dist *now;
    uint64_t seq;

    if (!touched)
        return;
    now = skua__dist_new(cell->stream);
    if (now == NULL) { /* another time */
        __atomic_store_n(&cell->touched, 1, __ATOMIC_RELEASE);
        return;
    }
    do {
        seq = cell_even(cell);
        cell_copy_dist(now, cell);
    } while (cell_get(&cell->seq) != seq);
    for (uint32_t r = 0; r < SKUA__METRIC_READERS; r++) {
        struct skua__metric_state *state = &cell->series->states[r];

        if ((cell->stream->readers >> r & 1) == 0)
            continue;
        state->touched = true;
        cell_add_dist(cell, &state->dist, cell->dist_seen, now, cell->epoch);
    }
    skua__otel_free(cell->dist_seen);
    cell->dist_seen = now;
    __atomic_store_n(&cell->epoch, cell->epoch + 1, __ATOMIC_RELAXED);
}

void skua__cell_drain(struct skua__cell *cell)
{
    /* Acquire: what was stored before the mark is seen. The mark is taken before the value is
     * read: what comes in between leaves a mark of its own. */
    bool touched = __atomic_load_n(&cell->touched, __ATOMIC_RELAXED) != 0 &&
                   __atomic_exchange_n(&cell->touched, 0, __ATOMIC_ACQ_REL) != 0;

    if (cell->what == SKUA__CELL_SUM)
        cell_drain_sum(cell, touched);
    else if (cell->what == SKUA__CELL_LAST)
        cell_drain_last(cell, touched);
    else
        cell_drain_dist(cell, touched);
    skua__exemplar_drain(cell);
}

/* ---- made, and freed ------------------------------------------------------------------------- */

struct skua__cell *skua__cell_new(struct skua__metric_stream *stream,
                                  struct skua__metric_series *series)
{
    struct skua__cell *cell = skua__otel_malloc(sizeof *cell);

    if (cell == NULL)
        return NULL;
    cell->what = stream->what;
    cell->is_f64 = stream->instrument->is_f64;
    cell->overflow = series == stream->overflow;
    cell->stream = stream;
    cell->series = series;
    cell->epoch = 1;
    if (cell->what >= SKUA__CELL_EXPLICIT) {
        cell->dist = skua__dist_new(stream);
        cell->dist_seen = skua__dist_new(stream);
        if (cell->dist == NULL || cell->dist_seen == NULL) {
            skua__otel_free(cell->dist);
            skua__otel_free(cell->dist_seen);
            skua__otel_free(cell);
            return NULL;
        }
    }
    cell->next = series->cells;
    series->cells = cell;
    return cell;
}

void skua__cell_free(struct skua__cell *cell)
{
    struct skua__cell **at = &cell->series->cells;

    skua__cell_drain(cell);
    while (*at != cell)
        at = &(*at)->next;
    *at = cell->next;
    skua__samples_free(cell->samples);
    skua__otel_free(cell->dist);
    skua__otel_free(cell->dist_seen);
    skua__otel_free(cell);
}
