/* trace.h - a span for each command, for who has asked for it: OTEL_TRACES_EXPORTER=otlp, say.
 *
 * Off        (nothing of OTEL_* says where to, or built without libskua-otel) it costs a load and a
 *            branch a command.
 * Spans      of kind server, named as the command, each a trace of its own: RESP has no place for
 *            a context. By the conventions of databases: db.system.name, db.operation.name; keys
 *            and values are the client's secrets, and are not told.
 */
#ifndef MINI_REDIS_TRACE_H
#define MINI_REDIS_TRACE_H

#include <skua/trace.h>
#include <stdbool.h>

/* By the environment (skua/otel/sdk.h). False: what it says cannot be started; it was told why. */
bool trace_start(void);
/* Waits a moment until what was traced has been sent. */
void trace_stop(void);

/* Before a command; NULL: off. Named by its row of the table. */
skua_span *trace_begin(const char *command);
/* Behind it; error: it was answered by one. */
void trace_end(skua_span *span, bool error);

#endif
