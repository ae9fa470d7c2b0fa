/* metric_base2.c - exponential buckets: a window of bucket numbers, whose scale follows the values.
 *
 * Index      of powers of two exactly, from the exponent; of what lies between them by a logarithm
 *            (scale > 0), kept inside of its octave, or by a shift of the exponent (scale <= 0).
 * Window     `used` buckets from `first` on, at most `max`; a value that does not fit halves the
 *            resolution until it does. Number i lies at i mod max, so the window moves for nothing.
 * Zero       0 counts by itself; values below the smallest normal number count as that.
 * Source     OpenTelemetry specification 1.60, metrics/data-model: exponential histogram.
 */
#include <float.h>
#include <math.h>

#include "otel/metric/metric_impl.h"

#define BASE2_ROOM 1024 /* the most buckets of a side */

static uint64_t base2_get(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void base2_put(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

size_t skua__base2_size(uint32_t max)
{
    return (size_t)2 * max * sizeof(uint64_t);
}

void skua__base2_init(struct skua__base2 *self, uint32_t max, int32_t max_scale, void *memory)
{
    *self = (struct skua__base2){.scale = max_scale, .max_scale = max_scale, .max = max};
    self->side[0].counts = memory;
    self->side[1].counts = self->side[0].counts + max;
}

static uint32_t base2_place(const struct skua__base2 *self, int32_t index)
{
    int32_t place = index % (int32_t)self->max;

    return (uint32_t)(place < 0 ? place + (int32_t)self->max : place);
}

void skua__base2_clear(struct skua__base2 *self)
{
    memset(self->side[0].counts, 0, skua__base2_size(self->max));
    self->side[0].used = self->side[1].used = 0;
    self->zero = 0;
    self->scale = self->max_scale;
}

int32_t skua__base2_index(double value, int32_t scale)
{
    int exponent;
    double fraction;
    int32_t low, index;

    if (value < DBL_MIN)
        value = DBL_MIN;
    fraction = frexp(value, &exponent); /* 0.5 <= fraction < 1: value in [2^(e-1), 2^e) */
    exponent--;
    if (scale <= 0) /* upper bounds belong to their bucket: 2^e is of the one below */
        return (fraction == 0.5 ? exponent - 1 : exponent) >> -scale;
    low = (int32_t)((uint32_t)exponent << scale);
    if (fraction == 0.5)
        return low - 1;
    index = low + (int32_t)ceil(log2(fraction * 2) * ldexp(1, scale)) - 1;
    if (index < low)
        return low;
    if (index >= low + (1 << scale))
        return low + (1 << scale) - 1;
    return index;
}

/* How far the scale must go down for a window from low to high. */
static uint32_t base2_shift(const struct skua__base2 *self, int64_t low, int64_t high)
{
    uint32_t by = 0;

    while (high - low >= (int64_t)self->max) {
        low >>= 1;
        high >>= 1;
        by++;
    }
    return by;
}

static void base2_shrink_side(struct skua__base2 *self, struct skua__base2_side *side, uint32_t by)
{
    uint64_t old[BASE2_ROOM];
    int32_t first = side->first;

    if (side->used == 0)
        return;
    for (uint32_t i = 0; i < side->used; i++) {
        uint64_t *at = &side->counts[base2_place(self, first + (int32_t)i)];

        old[i] = *at;
        base2_put(at, 0);
    }
    for (uint32_t i = 0; i < side->used; i++) {
        uint64_t *at = &side->counts[base2_place(self, (first + (int32_t)i) >> by)];

        base2_put(at, *at + old[i]);
    }
    __atomic_store_n(&side->first, first >> by, __ATOMIC_RELEASE);
    __atomic_store_n(&side->used,
                     (uint32_t)(((first + (int32_t)side->used - 1) >> by) - (first >> by)) + 1,
                     __ATOMIC_RELEASE);
}

static void base2_shrink(struct skua__base2 *self, uint32_t by)
{
    if (by == 0)
        return;
    base2_shrink_side(self, &self->side[0], by);
    base2_shrink_side(self, &self->side[1], by);
    __atomic_store_n(&self->scale, self->scale - (int32_t)by, __ATOMIC_RELEASE);
}

/* Adds to a bucket of the present scale; the window must fit. */
static void base2_count(struct skua__base2 *self, struct skua__base2_side *side, int32_t index,
                        uint64_t n)
{
    uint64_t *at = &side->counts[base2_place(self, index)];

    if (side->used == 0) {
        __atomic_store_n(&side->first, index, __ATOMIC_RELEASE);
        __atomic_store_n(&side->used, 1, __ATOMIC_RELEASE);
    } else if (index < side->first) {
        __atomic_store_n(&side->used, side->used + (uint32_t)(side->first - index),
                         __ATOMIC_RELEASE);
        __atomic_store_n(&side->first, index, __ATOMIC_RELEASE);
    } else if (index >= side->first + (int32_t)side->used) {
        __atomic_store_n(&side->used, (uint32_t)(index - side->first) + 1, __ATOMIC_RELEASE);
    }
    base2_put(at, *at + n);
}

void skua__base2_record_many(struct skua__base2 *self, double value, uint64_t n)
{
    struct skua__base2_side *side = &self->side[value < 0];
    int32_t index, low, high;
    uint32_t by;

    if (value == 0) {
        base2_put(&self->zero, self->zero + n);
        return;
    }
    index = skua__base2_index(fabs(value), self->scale);
    if (side->used != 0) {
        low = index < side->first ? index : side->first;
        high = side->first + (int32_t)side->used - 1;
        if (index > high)
            high = index;
        by = base2_shift(self, low, high);
        if (by != 0) {
            base2_shrink(self, by);
            index >>= by;
        }
    }
    base2_count(self, side, index, n);
}

void skua__base2_record(struct skua__base2 *self, double value)
{
    skua__base2_record_many(self, value, 1);
}

/* ---- copies, differences, sums --------------------------------------------------------------- */

void skua__base2_copy(struct skua__base2 *to, const struct skua__base2 *from)
{
    to->scale = __atomic_load_n(&from->scale, __ATOMIC_ACQUIRE);
    to->zero = base2_get(&from->zero);
    for (size_t s = 0; s < 2; s++) {
        to->side[s].first = __atomic_load_n(&from->side[s].first, __ATOMIC_ACQUIRE);
        to->side[s].used = __atomic_load_n(&from->side[s].used, __ATOMIC_ACQUIRE);
        for (uint32_t i = 0; i < to->max; i++)
            to->side[s].counts[i] = base2_get(&from->side[s].counts[i]);
    }
}

/* Makes room for buckets low to high of a scale; returns by how much they are to be shifted. */
static uint32_t base2_fit(struct skua__base2 *self, size_t s, int32_t scale, int32_t first,
                          uint32_t used)
{
    struct skua__base2_side *side = &self->side[s];
    uint32_t by = 0, more;
    int32_t low, high;

    if (scale < self->scale)
        base2_shrink(self, (uint32_t)(self->scale - scale));
    else
        by = (uint32_t)(scale - self->scale);
    if (used == 0)
        return by;
    low = first >> by;
    high = (first + (int32_t)used - 1) >> by;
    if (side->used != 0) {
        if (side->first < low)
            low = side->first;
        if (side->first + (int32_t)side->used - 1 > high)
            high = side->first + (int32_t)side->used - 1;
    }
    more = base2_shift(self, low, high);
    base2_shrink(self, more);
    return by + more;
}

/* Adds `from`, less what `but` has (at the same scale, or NULL). */
static void base2_merge(struct skua__base2 *to, const struct skua__base2 *from,
                        const struct skua__base2 *but)
{
    to->zero += from->zero - (but != NULL ? but->zero : 0);
    for (size_t s = 0; s < 2; s++) {
        const struct skua__base2_side *side = &from->side[s];
        uint64_t news[BASE2_ROOM];
        uint32_t low = side->used, high = 0, by;

        for (uint32_t i = 0; i < side->used; i++) {
            uint32_t place = base2_place(from, side->first + (int32_t)i);

            news[i] = side->counts[place] - (but != NULL ? but->side[s].counts[place] : 0);
            if (news[i] == 0)
                continue;
            low = low < i ? low : i;
            high = i + 1;
        }
        if (high == 0)
            continue;
        by = base2_fit(to, s, from->scale, side->first + (int32_t)low, high - low);
        for (uint32_t i = low; i < high; i++)
            if (news[i] != 0)
                base2_count(to, &to->side[s], (side->first + (int32_t)i) >> by, news[i]);
    }
}

void skua__base2_add(struct skua__base2 *to, const struct skua__base2 *from)
{
    base2_merge(to, from, NULL);
}

void skua__base2_drain(struct skua__base2 *to, struct skua__base2 *seen,
                       const struct skua__base2 *now)
{
    if (seen->scale > now->scale)
        base2_shrink(seen, (uint32_t)(seen->scale - now->scale));
    base2_merge(to, now, seen);
}

#undef BASE2_ROOM
