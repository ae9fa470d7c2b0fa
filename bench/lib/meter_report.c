/* meter_report.c - see meter_report.h. */
#include "meter_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void meter_report_add(struct meter_report *report, const char *name, const char *unit,
                      double *values, size_t count)
{
    struct meter_record *record;

    if (report->count == METER_RECORDS_MAX || strlen(name) >= sizeof record->name ||
        strlen(unit) >= sizeof record->unit) {
        fprintf(stderr, "meter_report: no room for record %s (%s)\n", name, unit);
        exit(1);
    }
    record = &report->records[report->count++];
    memcpy(record->name, name, strlen(name) + 1);
    memcpy(record->unit, unit, strlen(unit) + 1);
    record->stats = meter_stats_of(values, count);
}

static void print_table(const struct meter_report *report)
{
    printf("%-44s %12s %12s %12s  %-8s %s\n", "name", "median", "min", "max", "unit", "rounds");
    for (size_t i = 0; i < report->count; i++) {
        const struct meter_record *r = &report->records[i];

        printf("%-44s %12.6g %12.6g %12.6g  %-8s %zu\n", r->name, r->stats.median, r->stats.min,
               r->stats.max, r->unit, r->stats.rounds);
    }
}

/* Names and units are ours, without quotes or backslashes: nothing needs escaping. */
static void print_json(const struct meter_report *report, FILE *file)
{
    fprintf(file, "[\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct meter_record *r = &report->records[i];

        fprintf(file,
                "  {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %.9g, \"min\": %.9g, "
                "\"max\": %.9g, \"rounds\": %zu}%s\n",
                r->name, r->unit, r->stats.median, r->stats.min, r->stats.max, r->stats.rounds,
                i + 1 < report->count ? "," : "");
    }
    fprintf(file, "]\n");
}

int meter_report_end(const struct meter_report *report, const char *json_path)
{
    FILE *file;
    int failed;

    print_table(report);
    if (json_path == NULL)
        return 0;
    file = fopen(json_path, "w");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", json_path, strerror(errno));
        return 1;
    }
    print_json(report, file);
    failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        fprintf(stderr, "%s: could not be written\n", json_path);
        return 1;
    }
    return 0;
}
