/* console.h - an exporter that prints, for people: on standard output, or another stream.
 *
 *     18:02:11.123456 server   4.211 ms  GET /orders {http.status=200}
 *     18:02:11.123501 client   3.907 ms    SELECT orders {db.system=sqlite}  error: locked
 *
 * Lines of spans are indented below the parent, where that is in the same export. Metrics have a
 * line a point, log records one each; or all, as JSON, one object a line:
 *
 *     {"time":"2026-11-21T18:02:11.123456Z","severity":"INFO","logger":"shop.orders",
 *      "message":"stored","traceId":"4bf9…","spanId":"00f0…","attributes":{"order.id":7}}
 */
#ifndef SKUA_OTEL_CONSOLE_H
#define SKUA_OTEL_CONSOLE_H

#include <stdio.h>

#include <skua/otel/exporter.h>

SKUA_C_BEGIN

/* Zero, or NULL for all of them, means the default. */
typedef struct skua_otel_console_options {
    size_t size;   /* of this struct; SKUA_OTEL_CONSOLE_OPTIONS sets it */
    FILE *stream;  /* the caller's, until the shutdown (default stdout) */
    unsigned json; /* 1: objects, one a line (default 0: lines for people) */
} skua_otel_console_options;

#ifndef __cplusplus
#define SKUA_OTEL_CONSOLE_OPTIONS(...)                                                             \
    (&(const skua_otel_console_options){.size = sizeof(skua_otel_console_options), __VA_ARGS__})
#endif

/* Makes one, of any signal.
 *
 * options    NULL: all defaults
 * Returns    0; -EINVAL, -ENOMEM
 * Ownership  the caller's, until telemetry is started with it
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_console_new(skua_otel_exporter **ret,
                                   const skua_otel_console_options *options);

SKUA_C_END

#endif
