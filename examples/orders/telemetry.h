/* telemetry.h - traces: started from the environment, and spans of statements of SQL. HTTP's are
 * made by the server itself. Built without libskua-otel nobody sees them, and they cost nothing. */
#ifndef ORDERS_TELEMETRY_H
#define ORDERS_TELEMETRY_H

#include <skua/trace.h>
#include <stdbool.h>

/* By OTEL_* (main.c): false: what it says cannot be started; it was told why. */
bool telemetry_start(void);
void telemetry_stop(void);

/* Before a statement, and behind it with the store's code; `sql` has no values in it, but $1 or ?1.
 * NULL: off. */
skua_span *sql_span(const char *system, const char *sql);
void sql_span_end(skua_span *span, int rc);

/* Of a transaction that does what `count` requests have asked for. They are no children of each
 * other: it is linked to them, as far as there is room. */
struct sql_batch {
    skua_span_context of[32];
    size_t count;
};

void sql_batch_add(struct sql_batch *self, const skua_span_context *context);
skua_span *sql_batch_span(const struct sql_batch *self, const char *system, const char *sql);

#endif
