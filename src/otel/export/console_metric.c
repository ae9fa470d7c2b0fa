/* console_metric.c - metrics and log records as lines.
 *
 *     http.server.request.duration {http.route=/orders}  12 times, mean 0.0013 s, 0.0002 to 0.0051
 *     18:02:11.123456 INFO  shop.orders: order stored {order.id=7} trace=4bf9…36 span=00f0…b7
 */
#include <inttypes.h>
#include <time.h>

#include "otel/export/console_impl.h"

/* ---- metrics --------------------------------------------------------------------------------- */

static bool console_metric_is_histogram(const skua_otel_metric *metric)
{
    return metric->type == SKUA_OTEL_HISTOGRAM || metric->type == SKUA_OTEL_EXPONENTIAL;
}

static void console_metric_number(struct skua__console_line *line, const skua_otel_point *point,
                                  bool json)
{
    skua_attr value = {.type = point->is_f64 ? SKUA_ATTR_F64 : SKUA_ATTR_I64};

    if (point->is_f64)
        value.value.f64 = point->value.f64;
    else
        value.value.i64 = point->value.i64;
    skua__console_value(line, &value, json, 0);
}

static void console_metric_unit(struct skua__console_line *line, const skua_otel_metric *metric)
{
    if (metric->unit.len == 0 || (metric->unit.len == 1 && metric->unit.at[0] == '1'))
        return;
    skua__console_put(line, " ", 1);
    skua__console_text(line, metric->unit.at, metric->unit.len);
}

static void console_metric_spread(struct skua__console_line *line, const skua_otel_metric *metric,
                                  const skua_otel_point *point)
{
    skua__console_print(line, "%" PRIu64 " times", point->count);
    if (point->count == 0)
        return;
    if (point->has_sum) {
        skua__console_print(line, ", mean %.4g", point->sum / (double)point->count);
        console_metric_unit(line, metric);
    }
    if (point->has_min && point->has_max)
        skua__console_print(line, ", %.4g to %.4g", point->min, point->max);
}

static void console_metric_point(struct skua__console_line *line, const skua_otel_metric *metric,
                                 const skua_otel_point *point)
{
    skua__console_text(line, metric->name.at, metric->name.len);
    if (point->attrs.count != 0) {
        skua__console_put(line, " ", 1);
        skua__console_attrs(line, &point->attrs, false);
    }
    skua__console_put(line, "  ", 2);
    if (console_metric_is_histogram(metric)) {
        console_metric_spread(line, metric, point);
    } else {
        console_metric_number(line, point, false);
        console_metric_unit(line, metric);
    }
    skua__console_put(line, "\n", 1);
}

/* As JSON. */
static void console_metric_f64(struct skua__console_line *line, double value)
{
    skua_attr attr = {.type = SKUA_ATTR_F64, .value.f64 = value};

    skua__console_value(line, &attr, true, 0);
}

static void console_metric_field(struct skua__console_line *line, const char *name, double value)
{
    skua__console_print(line, ",\"%s\":", name);
    console_metric_f64(line, value);
}

static void console_metric_buckets(struct skua__console_line *line, const skua_otel_metric *metric,
                                   const skua_otel_point *point)
{
    skua__console_print(line, ",\"count\":%" PRIu64, point->count);
    if (point->has_sum)
        console_metric_field(line, "sum", point->sum);
    if (point->has_min)
        console_metric_field(line, "min", point->min);
    if (point->has_max)
        console_metric_field(line, "max", point->max);
    if (metric->type != SKUA_OTEL_HISTOGRAM) {
        skua__console_print(line, ",\"scale\":%" PRId32, point->scale);
        return;
    }
    for (uint32_t i = 0; i < point->bounds_count; i++) {
        skua__console_print(line, i == 0 ? ",\"bounds\":[" : ",");
        console_metric_f64(line, point->bounds[i]);
    }
    skua__console_put(line, "]", point->bounds_count != 0);
    for (uint32_t i = 0; i <= point->bounds_count && point->counts != NULL; i++)
        skua__console_print(line, "%s%" PRIu64, i == 0 ? ",\"counts\":[" : ",", point->counts[i]);
    skua__console_put(line, "]", point->counts != NULL);
}

static void console_metric_object(struct skua__console_line *line, const skua_otel_metric *metric,
                                  const skua_otel_point *point)
{
    static const char *const types[] = {"", "gauge", "sum", "histogram", "exponential"};

    skua__console_print(line, "{\"metric\":");
    skua__console_quoted(line, metric->name.at, metric->name.len);
    skua__console_print(line, ",\"unit\":");
    skua__console_quoted(line, metric->unit.at, metric->unit.len);
    skua__console_print(line, ",\"type\":\"%s\",\"time\":%" PRId64 ",\"attributes\":",
                        metric->type < sizeof types / sizeof types[0] ? types[metric->type] : "",
                        point->time);
    skua__console_attrs(line, &point->attrs, true);
    if (console_metric_is_histogram(metric)) {
        console_metric_buckets(line, metric, point);
    } else {
        skua__console_print(line, ",\"value\":");
        console_metric_number(line, point, true);
    }
    skua__console_put(line, "}\n", 2);
}

void skua__console_metrics(struct skua__console_line *line, const skua_otel_batch *batch, bool json)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const skua_otel_metric *metric = &batch->items.metrics[i];

        for (uint32_t p = 0; p < metric->points_count; p++)
            if (json)
                console_metric_object(line, metric, &metric->points[p]);
            else
                console_metric_point(line, metric, &metric->points[p]);
    }
}

/* ---- log records ----------------------------------------------------------------------------- */

static const char *const console_log_severities[] = {"",     "TRACE", "DEBUG", "INFO",
                                                     "WARN", "ERROR", "FATAL"};

static const char *console_log_severity(const skua_otel_log *log)
{
    size_t at = (log->severity + 3u) / 4;

    return at < sizeof console_log_severities / sizeof console_log_severities[0]
               ? console_log_severities[at]
               : "";
}

static bool console_log_in_trace(const skua_otel_log *log)
{
    static const uint8_t none[16];

    return memcmp(log->trace_id, none, sizeof none) != 0;
}

static void console_log_person(struct skua__console_line *line, const skua_otel_log *log)
{
    skua__console_time(line, log->time != 0 ? log->time : log->observed);
    skua__console_print(line, " %-5s ", console_log_severity(log));
    if (log->scope != NULL && log->scope->name.len != 0) {
        skua__console_text(line, log->scope->name.at, log->scope->name.len);
        skua__console_put(line, ": ", 2);
    }
    if (log->body.type != SKUA_ATTR_NONE)
        skua__console_value(line, &log->body, false, 0);
    if (log->attrs.count != 0) {
        skua__console_put(line, " ", 1);
        skua__console_attrs(line, &log->attrs, false);
    }
    if (console_log_in_trace(log)) {
        skua__console_put(line, " trace=", 7);
        skua__console_hex(line, log->trace_id, sizeof log->trace_id);
        skua__console_put(line, " span=", 6);
        skua__console_hex(line, log->span_id, sizeof log->span_id);
    }
    skua__console_put(line, "\n", 1);
}

/* RFC 3339, which others read as a time. */
static void console_log_stamp(struct skua__console_line *line, int64_t time)
{
    time_t second = (time_t)(time / 1000000000);
    struct tm day;

    memset(&day, 0, sizeof day);
    (void)gmtime_r(&second, &day);
    skua__console_print(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
                        day.tm_year + 1900, day.tm_mon + 1, day.tm_mday, day.tm_hour, day.tm_min,
                        day.tm_sec, (int)(time % 1000000000 / 1000));
}

static void console_log_object(struct skua__console_line *line, const skua_otel_log *log)
{
    console_log_stamp(line, log->time != 0 ? log->time : log->observed);
    skua__console_print(line, ",\"severity\":\"%s\"", console_log_severity(log));
    if (log->scope != NULL) {
        skua__console_print(line, ",\"logger\":");
        skua__console_quoted(line, log->scope->name.at, log->scope->name.len);
    }
    if (log->event_name.len != 0) {
        skua__console_print(line, ",\"event\":");
        skua__console_quoted(line, log->event_name.at, log->event_name.len);
    }
    if (log->body.type != SKUA_ATTR_NONE) {
        skua__console_print(line, ",\"message\":");
        skua__console_value(line, &log->body, true, 0);
    }
    if (console_log_in_trace(log)) {
        skua__console_print(line, ",\"traceId\":\"");
        skua__console_hex(line, log->trace_id, sizeof log->trace_id);
        skua__console_print(line, "\",\"spanId\":\"");
        skua__console_hex(line, log->span_id, sizeof log->span_id);
        skua__console_put(line, "\"", 1);
    }
    skua__console_print(line, ",\"attributes\":");
    skua__console_attrs(line, &log->attrs, true);
    skua__console_put(line, "}\n", 2);
}

void skua__console_logs(struct skua__console_line *line, const skua_otel_batch *batch, bool json)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (json)
            console_log_object(line, &batch->items.logs[i]);
        else
            console_log_person(line, &batch->items.logs[i]);
}
