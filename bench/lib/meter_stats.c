/* meter_stats.c - see meter_stats.h. */
#include "meter_stats.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

struct meter_stats meter_stats_of(double *values, size_t count)
{
    struct meter_stats stats = {0};

    if (count == 0)
        return stats;
    qsort(values, count, sizeof *values, compare);
    stats.rounds = count;
    stats.min = values[0];
    stats.max = values[count - 1];
    stats.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    return stats;
}
