/* monitor_report.c - what the performance monitor knows, for people and for machines. */
#include <stdarg.h>
#include <stdio.h>

#include <skua/task.h>

#include "watch/measure_impl.h"
#include "watch/watch_text.h"

/* ---- a runtime's figures --------------------------------------------------------------------- */

/* The end of the bucket that `part` of the sampled turns do not exceed. */
static int64_t report_turn(const uint64_t *now, const uint64_t *before, double part)
{
    uint64_t all = 0, passed = 0;

    for (unsigned i = 0; i < SKUA_POLL_BUCKETS; i++)
        all += now[i] - before[i];
    if (all == 0)
        return 0;
    for (unsigned i = 0; i < SKUA_POLL_BUCKETS; i++) {
        passed += now[i] - before[i];
        if ((double)passed >= part * (double)all)
            return (int64_t)64 << (i + 1);
    }
    return (int64_t)64 << SKUA_POLL_BUCKETS;
}

int skua_monitor_runtime(skua_runtime *runtime, skua_monitor_base *base, skua_runtime_rates *ret)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    const skua_worker_stats *now = &stats.total;
    const skua_worker_stats *before = &base->stats.total;
    int64_t time = skua__os_now();
    int64_t passed = base->time != 0 ? time - base->time : 0;
    int rc;

    if (ret == NULL || ret->size != sizeof *ret)
        return -EINVAL;
    rc = skua_runtime_snapshot(runtime, &stats, NULL, 0);
    if (rc < 0)
        return rc;
    *ret = (skua_runtime_rates){.size = sizeof *ret,
                                .name = stats.name,
                                .workers = stats.workers,
                                .seconds = (double)passed / 1e9,
                                .alive = stats.alive_tasks,
                                .runnable = now->queue_len + stats.inject_len,
                                .spawned = stats.spawned_tasks - base->stats.spawned_tasks,
                                .polls = now->polls - before->polls,
                                .steals = now->steals - before->steals,
                                .parks = now->parks - before->parks,
                                .budget_yields = now->budget_yields - before->budget_yields,
                                .events = now->events - before->events,
                                .timers_fired = now->timers_fired - before->timers_fired,
                                .blocking_jobs = stats.blocking_jobs - base->stats.blocking_jobs,
                                .poll_p50 = report_turn(now->poll_time, before->poll_time, 0.5),
                                .poll_p99 = report_turn(now->poll_time, before->poll_time, 0.99)};
    if (passed > 0 && stats.workers > 0)
        ret->busy = (double)(now->busy_ns - before->busy_ns) / (double)passed / stats.workers;
    ret->busy = ret->busy < 0 ? 0 : ret->busy > 1 ? 1 : ret->busy;
    base->stats = stats;
    base->time = time;
    return 0;
}

/* ---- a text that grows ----------------------------------------------------------------------- */

struct report_text {
    char *at;
    size_t len, room;
    bool failed, json, first;
};

static bool report_room(struct report_text *text, size_t more)
{
    size_t room = text->room != 0 ? text->room : 1024;
    char *at;

    while (room - text->len < more)
        room *= 2;
    if (room == text->room)
        return true;
    at = skua__os_alloc_unset(room);
    if (at == NULL) {
        text->failed = true;
        return false;
    }
    if (text->len != 0)
        memcpy(at, text->at, text->len);
    skua__os_free(text->at);
    text->at = at;
    text->room = room;
    return true;
}

__attribute__((format(printf, 2, 3))) static void report_put(struct report_text *text,
                                                             const char *format, ...)
{
    char piece[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (len >= (int)sizeof piece)
        len = (int)sizeof piece - 1;
    if (len <= 0 || text->failed || !report_room(text, (size_t)len + 1))
        return;
    memcpy(text->at + text->len, piece, (size_t)len);
    text->len += (size_t)len;
    text->at[text->len] = '\0';
}

/* ---- the table ------------------------------------------------------------------------------- */

static void report_value(char to[24], int64_t value, const char *unit)
{
    if (unit == NULL)
        skua__watch_time(to, value);
    else
        (void)snprintf(to, 24, "%lld %.3s", (long long)value, unit);
}

static void report_row(struct report_text *text, const skua_measured *measured)
{
    const int64_t values[] = {measured->min, (int64_t)measured->mean, measured->p50, measured->p90,
                              measured->p99, measured->p999,          measured->max};
    char name[33], shown[24];

    skua__watch_name(name, sizeof name, measured->name);
    report_put(text, "%-32s %10llu %10.*f", name, (unsigned long long)measured->count,
               measured->rate < 100 ? 1 : 0, measured->rate);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        report_value(shown, values[i], measured->unit);
        report_put(text, " %9s", measured->count != 0 ? shown : "-");
    }
    report_put(text, "\n");
}

static void report_runtime(struct report_text *text, const skua_runtime_rates *rates)
{
    char name[33], p50[SKUA__WATCH_TIME], p99[SKUA__WATCH_TIME];

    skua__watch_name(name, sizeof name, rates->name);
    skua__watch_time(p50, rates->poll_p50);
    skua__watch_time(p99, rates->poll_p99);
    report_put(text, "runtime %s: %u workers, %.1f %% busy, %llu tasks alive, %llu runnable\n",
               name, rates->workers, rates->busy * 100, (unsigned long long)rates->alive,
               (unsigned long long)rates->runnable);
    if (rates->seconds > 0)
        report_put(text, "  in %.1f s:", rates->seconds);
    else
        report_put(text, "  so far:");
    report_put(text,
               " %llu spawned, %llu turns (half below %s, 99 %% below %s), %llu steals, %llu "
               "parks, %llu I/O events, %llu timers, %llu blocking jobs\n",
               (unsigned long long)rates->spawned, (unsigned long long)rates->polls, p50, p99,
               (unsigned long long)rates->steals, (unsigned long long)rates->parks,
               (unsigned long long)rates->events, (unsigned long long)rates->timers_fired,
               (unsigned long long)rates->blocking_jobs);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void report_string(struct report_text *text, const char *string)
{
    report_put(text, "\"");
    for (const char *at = string != NULL ? string : ""; *at != '\0';) {
        size_t len = skua__watch_utf8(at);
        unsigned char c = (unsigned char)*at;

        if (len == 0)
            report_put(text, "\\ufffd");
        else if (c == '"' || c == '\\')
            report_put(text, "\\%c", c);
        else if (c < ' ')
            report_put(text, "\\u%04x", c);
        else
            report_put(text, "%.*s", (int)len, at);
        at += len != 0 ? len : 1;
    }
    report_put(text, "\"");
}

static void report_real(struct report_text *text, const char *name, double value, int digits)
{
    char real[SKUA__WATCH_REAL];

    skua__watch_real(real, value, digits);
    report_put(text, ",\"%s\":%s", name, real);
}

static void report_measure_json(struct report_text *text, const skua_measured *measured)
{
    report_put(text, "%s{\"name\":", text->first ? "" : ",");
    report_string(text, measured->name);
    report_put(text, ",\"unit\":");
    report_string(text, measured->unit != NULL ? measured->unit : "ns");
    report_put(text, ",\"count\":%llu,\"sum\":%lld,\"min\":%lld,\"max\":%lld",
               (unsigned long long)measured->count, (long long)measured->sum,
               (long long)measured->min, (long long)measured->max);
    report_real(text, "mean", measured->mean, 3);
    report_real(text, "rate", measured->rate, 3);
    report_put(text, ",\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"p999\":%lld}",
               (long long)measured->p50, (long long)measured->p90, (long long)measured->p99,
               (long long)measured->p999);
    text->first = false;
}

static void report_runtime_json(struct report_text *text, const skua_runtime_rates *rates)
{
    report_put(text, ",\"runtime\":{\"name\":");
    report_string(text, rates->name);
    report_put(text, ",\"workers\":%u", rates->workers);
    report_real(text, "seconds", rates->seconds, 3);
    report_real(text, "busy", rates->busy, 4);
    report_put(text,
               ",\"alive\":%llu,\"runnable\":%llu,\"spawned\":%llu,\"polls\":%llu,"
               "\"steals\":%llu,\"parks\":%llu,",
               (unsigned long long)rates->alive, (unsigned long long)rates->runnable,
               (unsigned long long)rates->spawned, (unsigned long long)rates->polls,
               (unsigned long long)rates->steals, (unsigned long long)rates->parks);
    report_put(text,
               "\"budget_yields\":%llu,\"events\":%llu,\"timers_fired\":%llu,"
               "\"blocking_jobs\":%llu,\"poll_p50\":%lld,\"poll_p99\":%lld}",
               (unsigned long long)rates->budget_yields, (unsigned long long)rates->events,
               (unsigned long long)rates->timers_fired, (unsigned long long)rates->blocking_jobs,
               (long long)rates->poll_p50, (long long)rates->poll_p99);
}

/* ---- reports --------------------------------------------------------------------------------- */

static void report_measure(const skua_measured *measured, void *arg)
{
    struct report_text *text = arg;

    if (text->json)
        report_measure_json(text, measured);
    else
        report_row(text, measured);
}

/* All of it: 0, or an error. */
static int report_write(struct report_text *text, const skua_monitor_options *options)
{
    skua_monitor_base start = {.time = 0};
    skua_runtime_rates rates = {.size = sizeof rates};
    int rc = 0;

    if (options->runtime != NULL)
        rc = skua_monitor_runtime(options->runtime, options->base != NULL ? options->base : &start,
                                  &rates);
    if (rc < 0)
        return rc;
    if (text->json)
        report_put(text, "{\"lost\":%llu,\"measures\":[", (unsigned long long)skua_monitor_lost());
    else
        report_put(text, "%-32s %10s %10s %9s %9s %9s %9s %9s %9s %9s\n", "MEASURE", "COUNT",
                   "RATE/S", "MIN", "MEAN", "P50", "P90", "P99", "P99.9", "MAX");
    rc = skua_monitor_each(report_measure, text);
    if (text->json)
        report_put(text, "]");
    if (options->runtime != NULL && text->json)
        report_runtime_json(text, &rates);
    else if (options->runtime != NULL)
        report_runtime(text, &rates);
    if (text->json)
        report_put(text, "}\n");
    return rc < 0 ? rc : text->failed ? -ENOMEM : 0;
}

void skua_monitor_options_init(skua_monitor_options *options)
{
    *options = (skua_monitor_options){.size = sizeof *options};
}

int skua_monitor_report(const skua_monitor_options *options,
                        void (*fn)(const char *text, size_t len, void *arg), void *arg)
{
    static const skua_monitor_options defaults = {.size = sizeof defaults};
    struct report_text text = {.first = true};
    int rc;

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options || fn == NULL)
        return -EINVAL;
    text.json = options->json != 0;
    rc = report_write(&text, options);
    if (rc == 0 && options->reset != 0)
        (void)skua_monitor_reset(NULL);
    if (rc == 0)
        fn(text.at, text.len, arg);
    skua__os_free(text.at);
    return rc;
}

struct report_print {
    FILE *to;
    bool failed;
};

static void report_print(const char *text, size_t len, void *arg)
{
    struct report_print *print = arg;

    print->failed = fwrite(text, 1, len, print->to) != len || fflush(print->to) != 0;
}

int skua_monitor_print(FILE *to)
{
    struct report_print print = {.to = to};
    int rc = skua_monitor_report(NULL, report_print, &print);

    return rc == 0 && print.failed ? -EIO : rc;
}
