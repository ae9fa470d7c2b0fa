/* metrics_text.c - samples as text: Prometheus' format 0.0.4, and OpenMetrics 1.0.
 *
 * They differ in little: OpenMetrics' families of counters lack the "_total" that their samples
 * have, and its page has an end. What is written is gathered in a piece of the exchange's memory.
 * Numbers have a point, whatever the locale.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/metrics/metrics_impl.h"

void skua__metrics_put(skua_http_samples *samples, const char *text, size_t len)
{
    while (len != 0 && samples->error == 0) {
        size_t room = SKUA__METRICS_PIECE - samples->len;
        size_t n = len < room ? len : room;

        memcpy(samples->piece + samples->len, text, n);
        samples->len += n;
        text += n;
        len -= n;
        if (samples->len == SKUA__METRICS_PIECE) {
            ssize_t rc = skua_http_write(samples->exchange, samples->piece, samples->len);

            samples->len = 0;
            samples->error = rc < 0 ? (int)rc : 0;
        }
    }
}

static void samples_text(skua_http_samples *samples, const char *text)
{
    skua__metrics_put(samples, text, strlen(text));
}

/* With what would end a line, or a quoted part, behind a backslash. */
static void samples_escaped(skua_http_samples *samples, const char *text, bool quotes)
{
    while (*text != '\0') {
        size_t len = skua__web_utf8(text);

        if (len == 0)
            samples_text(samples, "\xef\xbf\xbd");
        else if (*text == '\n')
            samples_text(samples, "\\n");
        else if (*text == '\\' || (quotes && *text == '"')) {
            samples_text(samples, "\\");
            skua__metrics_put(samples, text, 1);
        } else
            skua__metrics_put(samples, text, len);
        text += len != 0 ? len : 1;
    }
}

/* The fewest digits that say it. */
static void samples_double(double value, char text[64])
{
    const char *point = localeconv()->decimal_point;
    char *at;

    if (isnan(value) || isinf(value)) {
        (void)snprintf(text, 64, "%s", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    (void)snprintf(text, 64, "%.15g", value);
    if (strtod(text, NULL) != value)
        (void)snprintf(text, 64, "%.17g", value);
    if (strcmp(point, ".") != 0 && (at = strstr(text, point)) != NULL) {
        *at = '.';
        memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool samples_is_name(const char *name, bool colons)
{
    const char *at = name;

    if (*name >= '0' && *name <= '9')
        return false;
    for (; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                      (*at >= '0' && *at <= '9') || *at == '_' || (colons && *at == ':');

        if (!letter)
            return false;
    }
    return at != name;
}

int skua_http_samples_family(skua_http_samples *samples, skua_http_sample_kind kind,
                             const char *name, const char *help)
{
    static const char *const kinds[] = {"", "counter", "gauge", "histogram"};
    size_t len = strlen(name);
    bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;

    if (kind < SKUA_HTTP_COUNTER || kind > SKUA_HTTP_HISTOGRAM || len >= sizeof samples->name ||
        !samples_is_name(name, true) || total != (kind == SKUA_HTTP_COUNTER))
        return -EINVAL;
    samples->kind = kind;
    memcpy(samples->name, name, len + 1);
    if (samples->open && total)
        len -= 6;
    samples_text(samples, "# HELP ");
    skua__metrics_put(samples, name, len);
    samples_text(samples, " ");
    samples_escaped(samples, help, samples->open);
    samples_text(samples, "\n# TYPE ");
    skua__metrics_put(samples, name, len);
    samples_text(samples, " ");
    samples_text(samples, kinds[kind]);
    samples_text(samples, "\n");
    return samples->error;
}

/* ---- samples --------------------------------------------------------------------------------- */

static int samples_check(const skua_http_samples *samples, bool histogram,
                         const skua_http_label *labels, size_t count)
{
    if (samples->kind == 0 || (samples->kind == SKUA_HTTP_HISTOGRAM) != histogram)
        return SKUA_EUSAGE;
    for (size_t i = 0; i < count; i++)
        if (labels[i].value == NULL || !samples_is_name(labels[i].name, false) ||
            strncmp(labels[i].name, "__", 2) == 0 || strcmp(labels[i].name, "le") == 0)
            return -EINVAL;
    return samples->error;
}

/* One line. le: NULL, or the bound of a bucket. */
static void samples_line(skua_http_samples *samples, const char *suffix,
                         const skua_http_label *labels, size_t count, const char *le,
                         const char *value)
{
    samples_text(samples, samples->name);
    samples_text(samples, suffix);
    for (size_t i = 0; i < count; i++) {
        samples_text(samples, i == 0 ? "{" : ",");
        samples_text(samples, labels[i].name);
        samples_text(samples, "=\"");
        samples_escaped(samples, labels[i].value, true);
        samples_text(samples, "\"");
    }
    if (le != NULL) {
        samples_text(samples, count == 0 ? "{le=\"" : ",le=\"");
        samples_text(samples, le);
        samples_text(samples, "\"");
    }
    if (count != 0 || le != NULL)
        samples_text(samples, "}");
    samples_text(samples, " ");
    samples_text(samples, value);
    samples_text(samples, "\n");
}

int skua_http_samples_value(skua_http_samples *samples, double value, const skua_http_label *labels,
                            size_t count)
{
    char text[64];
    int rc = samples_check(samples, false, labels, count);

    if (rc != 0)
        return rc;
    samples_double(value, text);
    samples_line(samples, "", labels, count, NULL, text);
    return samples->error;
}

int skua_http_samples_number(skua_http_samples *samples, uint64_t value,
                             const skua_http_label *labels, size_t count)
{
    char text[32];
    int rc = samples_check(samples, false, labels, count);

    if (rc != 0)
        return rc;
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    samples_line(samples, "", labels, count, NULL, text);
    return samples->error;
}

int skua_http_samples_histogram(skua_http_samples *samples, const double *bounds,
                                const uint64_t *counts, size_t bounds_count, double sum,
                                const skua_http_label *labels, size_t count)
{
    char text[64], le[64];
    uint64_t all = 0;
    int rc = samples_check(samples, true, labels, count);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i <= bounds_count; i++) {
        all += counts[i];
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)all);
        samples_double(i < bounds_count ? bounds[i] : HUGE_VAL, le);
        if (samples->open && strcspn(le, ".eIN") == strlen(le))
            memcpy(le + strlen(le), ".0", 3); /* OpenMetrics writes whole bounds so */
        samples_line(samples, "_bucket", labels, count, le, text);
    }
    samples_line(samples, "_count", labels, count, NULL, text);
    samples_double(sum, text);
    samples_line(samples, "_sum", labels, count, NULL, text);
    return samples->error;
}
