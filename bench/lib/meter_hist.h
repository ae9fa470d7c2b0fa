/* meter_hist.h - latencies of millions of requests in 16 KiB, to within 1.6 %.
 *
 * Log-linear, like HdrHistogram: each power of two is cut into 64 equal buckets, and the first 64
 * values have one each. Adding is a count-leading-zeros and one increment; a value is never lost,
 * the largest share the last bucket.
 */
#ifndef METER_HIST_H
#define METER_HIST_H

#include <stdint.h>
#include <string.h>

#define METER_HIST_BITS 6     /* 64 buckets an octave */
#define METER_HIST_OCTAVES 34 /* up to 2^39 ns: nine minutes */
#define METER_HIST_BUCKETS ((METER_HIST_OCTAVES + 1) << METER_HIST_BITS)

struct meter_hist {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[METER_HIST_BUCKETS];
};

static inline void meter_hist_clear(struct meter_hist *hist)
{
    memset(hist, 0, sizeof *hist);
}

/* The top 7 bits choose the bucket; how far they were shifted down chooses the octave. */
static inline unsigned meter_hist_index(uint64_t value)
{
    unsigned top = 63 - (unsigned)__builtin_clzll(value | 1);
    unsigned shift = top > METER_HIST_BITS ? top - METER_HIST_BITS : 0;
    uint64_t index = ((uint64_t)shift << METER_HIST_BITS) + (value >> shift);

    return index < METER_HIST_BUCKETS ? (unsigned)index : METER_HIST_BUCKETS - 1;
}

static inline void meter_hist_add(struct meter_hist *hist, uint64_t value)
{
    hist->count++;
    hist->buckets[meter_hist_index(value)]++;
    if (value > hist->max)
        hist->max = value;
}

/* The largest value that falls into bucket `index`: the inverse of meter_hist_index. */
static inline uint64_t meter_hist_value(unsigned index)
{
    unsigned shift = index >> METER_HIST_BITS;

    if (shift > 0)
        shift--; /* octave n > 0 starts at index (n << 6) + 64, for its values have the 7th bit */
    return ((index - ((uint64_t)shift << METER_HIST_BITS) + 1) << shift) - 1;
}

/* The value that `part` (0.5, 0.99) of all values do not exceed. */
static inline uint64_t meter_hist_quantile(const struct meter_hist *hist, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)hist->count + 0.5);
    uint64_t seen = 0;

    for (unsigned i = 0; i < METER_HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen > 0 && seen >= wanted) {
            uint64_t value = meter_hist_value(i);

            return value < hist->max ? value : hist->max;
        }
    }
    return hist->max;
}

#endif
