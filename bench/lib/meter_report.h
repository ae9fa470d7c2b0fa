/* meter_report.h - what a benchmark says at its end: a table for people, JSON for tools.
 *
 *     struct meter_report report = {0};
 *     double ns[ROUNDS];
 *     ...
 *     meter_report_add(&report, "spawn_join", "ns", ns, ROUNDS);
 *     return meter_report_end(&report, json_path);       json_path NULL: the table only
 *
 * The file is an array of {"name", "unit", "median", "min", "max", "rounds"}, where `rounds` is
 * the number of rounds; tools/ and CI compare records by name, so a name never changes meaning.
 */
#ifndef METER_REPORT_H
#define METER_REPORT_H

#include <stddef.h>

#include "meter_stats.h"

#define METER_RECORDS_MAX 128

struct meter_record {
    char name[64];
    char unit[16];
    struct meter_stats stats;
};

struct meter_report {
    struct meter_record records[METER_RECORDS_MAX];
    size_t count;
};

/* Adds one record; sorts `values`. A name or unit that is too long, or the 129th record, ends the
 * program: a benchmark that loses results silently is worse than none. */
void meter_report_add(struct meter_report *report, const char *name, const char *unit,
                      double *values, size_t count);

/* Prints the table on stdout and writes the file. Returns main's exit status. */
int meter_report_end(const struct meter_report *report, const char *json_path);

#endif
