/* meter_stats.h - many rounds made one line: the median, and how far the rounds lay apart.
 *
 * No mean and no deviation: a round that was disturbed by another program is not one half of a
 * normal distribution, it is wrong, and the median is the number that does not move for it.
 */
#ifndef METER_STATS_H
#define METER_STATS_H

#include <stddef.h>

struct meter_stats {
    double median;
    double min;
    double max;
    size_t rounds;
};

/* All zero when there are no values. `values` is sorted in place. */
struct meter_stats meter_stats_of(double *values, size_t count);

#endif
