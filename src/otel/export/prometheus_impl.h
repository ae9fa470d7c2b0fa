/* prometheus_impl.h - metrics as text for Prometheus.
 *
 *   prometheus_name.c    names, units, labels
 *   prometheus_text.c    families and their samples
 *   prometheus_serve.c   a handler, and a server
 */
#ifndef SKUA_OTEL_EXPORT_PROMETHEUS_IMPL_H
#define SKUA_OTEL_EXPORT_PROMETHEUS_IMPL_H

#include <skua/otel/prometheus.h>

#include "otel/core/otel_impl.h"

/* Text that grows; an error stays in it. */
struct skua__prom {
    char *at;
    size_t len, room;
    bool failed;
};

void skua__prom_add(struct skua__prom *out, const char *text, size_t len);
void skua__prom_str(struct skua__prom *out, const char *text);
void skua__prom_f64(struct skua__prom *out, double value);
void skua__prom_u64(struct skua__prom *out, uint64_t value);
void skua__prom_i64(struct skua__prom *out, int64_t value);
/* With what is special escaped: `quoted`: quotes, too. */
void skua__prom_escaped(struct skua__prom *out, const char *text, size_t len, bool quoted);

/* A metric's name without _total; room of `size`. */
#define SKUA__PROM_NAME 512
void skua__prom_name(char *ret, const skua_otel_prometheus *options, const skua_otel_metric *metric,
                     char *unit);
/* name="value",… of attributes, with a comma before each but the first of the set. */
void skua__prom_labels(struct skua__prom *out, const char *prefix, const skua_otel_attrs *attrs,
                       bool *some);
void skua__prom_label(struct skua__prom *out, const char *name, const char *value, size_t len,
                      bool *some);

#endif
