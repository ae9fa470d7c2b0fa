/* telemetry.h - what the service tells of itself: spans, metrics and log records, started from the
 * environment. Spans and metrics of HTTP are made by the server; here are those of SQL, the access
 * log, and the page of metrics. Built without libskua-otel nobody sees them, and they cost nothing.
 */
#ifndef ORDERS_TELEMETRY_H
#define ORDERS_TELEMETRY_H

#include <skua/http/layer.h>
#include <skua/log.h>
#include <skua/metric.h>
#include <skua/trace.h>
#include <stdbool.h>

#include "config.h"
#include "skua_sql.h"

/* ---- life ------------------------------------------------------------------------------------ */

/* By OTEL_* (main.c): false: what it says cannot be started; it was told why. */
bool telemetry_start(const struct config *config);
void telemetry_stop(void);

/* A handler: all metrics as they are now, for Prometheus. */
int telemetry_page(skua_http_exchange *exchange, void *state);

/* ---- what is told ---------------------------------------------------------------------------- */

/* Of the service: what goes wrong while it runs, a reload, an order. */
extern skua_logger orders_log;

/* Orders that were stored; not those that were there already, by their idempotency key. */
extern skua_counter orders_created;

/* A layer: a record for each request, with the ids of its span. */
int telemetry_access(skua_http_exchange *exchange, const skua_http_chain *rest, void *state);

/* ---- statements of SQL ----------------------------------------------------------------------- */

/* As skua_sql_end, with the store's code. */
void sql_end(skua_sql *self, int rc);

/* Of a transaction that does what `count` requests have asked for. They are no children of each
 * other: it is linked to them, as far as there is room. */
struct sql_batch {
    skua_span_context of[32];
    size_t count;
};

void sql_batch_add(struct sql_batch *self, const skua_span_context *context);
void sql_batch_begin(skua_sql *self, const struct sql_batch *batch, const char *system,
                     const char *text);

#endif
