/* metered.h - an SDK of metrics for a test, with readers that are asked by hand.
 */
#ifndef SKUA_TESTS_METERED_H
#define SKUA_TESTS_METERED_H

#include "../lib/harness.h"

#include <math.h>
#include <pthread.h>

#include <skua/metric.h>
#include <skua/otel/reader.h>

#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"

static const skua_meter metered_meter = SKUA_METER("test", "1");

static struct {
    skua_otel_reader *reader[2];
    skua_otel_collected *got;
    int warned;
    char line[512];
} metered;

static void metered_warned(void *arg, const char *line)
{
    (void)arg;
    metered.warned++;
    (void)snprintf(metered.line, sizeof metered.line, "%s", line);
}

static skua_otel_reader *metered_reader(skua_otel_temporality_preference temporality,
                                        uint32_t cardinality)
{
    skua_otel_reader_options options = {
        .size = sizeof options, .temporality = temporality, .cardinality = cardinality};
    skua_otel_reader *reader = skua_otel_reader_new(&options);

    MUST(reader != NULL);
    return reader;
}

/* With readers that are made already. */
static int metered_start_readers(const skua_otel_view *views, size_t count,
                                 skua__exemplars exemplars)
{
    metered.warned = 0;
    metered.line[0] = '\0';
    skua__otel_warn_to(metered_warned, NULL);
    return skua__metric_start(&(struct skua__metric_options){
        .views = views,
        .views_count = count,
        .readers = metered.reader,
        .readers_count = metered.reader[1] != NULL ? 2 : 1,
        .exemplars = exemplars,
    });
}

/* Reader 0 is cumulative, reader 1 delta. */
static TEST_UNUSED void metered_start(const skua_otel_view *views, size_t count)
{
    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    metered.reader[1] = metered_reader(SKUA_OTEL_PREFER_DELTA, 0);
    MUST(metered_start_readers(views, count, SKUA__EXEMPLARS_TRACE) == 0);
}

static void metered_collect(int reader)
{
    skua_otel_collected_free(metered.got);
    metered.got = NULL;
    MUST(skua_otel_collect(metered.reader[reader], &metered.got) == 0);
}

static TEST_UNUSED void metered_stop(void)
{
    skua_otel_collected_free(metered.got);
    metered.got = NULL;
    skua__metric_stop();
    for (int i = 0; i < 2; i++) {
        skua_otel_reader_free(metered.reader[i]);
        metered.reader[i] = NULL;
    }
    skua__otel_warn_to(NULL, NULL);
}

/* The nth metric of that name in what was collected last; or NULL. */
static TEST_UNUSED const skua_otel_metric *metered_nth(const char *name, int n)
{
    for (uint32_t i = 0; i < metered.got->batch.count; i++) {
        const skua_otel_metric *metric = &metered.got->batch.items.metrics[i];

        if (metric->name.len == strlen(name) && memcmp(metric->name.at, name, strlen(name)) == 0 &&
            n-- == 0)
            return metric;
    }
    return NULL;
}

static TEST_UNUSED const skua_otel_metric *metered_metric(const char *name)
{
    return metered_nth(name, 0);
}

static TEST_UNUSED const skua_attr *metered_attr(const skua_otel_attrs *attrs, const char *key)
{
    for (uint32_t i = 0; i < attrs->count; i++)
        if (attrs->at[i].key_len == strlen(key) && memcmp(attrs->at[i].key, key, strlen(key)) == 0)
            return &attrs->at[i];
    return NULL;
}

/* The point whose attribute `key` (NULL: any) is the text `value`; or NULL. */
static TEST_UNUSED const skua_otel_point *metered_point(const char *name, const char *key,
                                                        const char *value)
{
    const skua_otel_metric *metric = metered_metric(name);

    for (uint32_t i = 0; metric != NULL && i < metric->points_count; i++) {
        const skua_attr *attr;

        if (key == NULL)
            return &metric->points[i];
        attr = metered_attr(&metric->points[i].attrs, key);
        if (attr != NULL && attr->type == SKUA_ATTR_STR && attr->count == strlen(value) &&
            memcmp(attr->value.str, value, attr->count) == 0)
            return &metric->points[i];
    }
    return NULL;
}

/* The sum of such a point; INT64_MIN: there is none. */
static TEST_UNUSED int64_t metered_i64(const char *name, const char *key, const char *value)
{
    const skua_otel_point *point = metered_point(name, key, value);

    return point != NULL ? point->value.i64 : INT64_MIN;
}

static TEST_UNUSED int64_t metered_points(const char *name)
{
    const skua_otel_metric *metric = metered_metric(name);

    return metric != NULL ? metric->points_count : 0;
}

#endif
