/* 33_otel_logs.c - log records that know which request they belong to.
 *
 * Nothing is passed around: a record has the ids of the span that is current, in whatever task it
 * is made: "traceId" and "spanId" of a line are those of a span's. Records and spans leave as lines
 * of JSON, so what one asks of a log ("all of the request that has failed") is a filter over them:
 *
 *     ./33_otel_logs | jq -c 'select(.traceId == "…")'
 *
 * Levels are by module, and may be changed while it runs: here, for the third order. */
#include <skua/log.h>
#include <skua/otel/console.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include <errno.h>
#include <stdint.h>

static skua_tracer tracer = SKUA_TRACER("example.shop", "1.0.0");
static skua_logger shop_log = SKUA_LOGGER("example.shop");
static skua_logger store_log = SKUA_LOGGER("example.store");

/* ---- the program ----------------------------------------------------------------------------- */

static int store(int order)
{
    skua_log_debug(&store_log, "storing", SKUA_I64("order.id", order)); /* off, but for the third */
    if (order == 2) {
        skua_log_emit(&store_log, SKUA_LOG_RECORD(.severity = SKUA_ERROR, .text = "not stored",
                                                  .error = -ENOSPC));
        return -ENOSPC;
    }
    return 0;
}

/* A task of its own: it inherits the span of who has spawned it. */
static int tell_warehouse(void *arg)
{
    skua_logf(&shop_log, SKUA_INFO, "the warehouse packs order %d", *(int *)arg);
    return 0;
}

static int shop(void *arg)
{
    (void)arg;
    for (int order = 1; order <= 3; order++) {
        if (order == 3)
            (void)skua_log_levels("info,example.store=debug");
        SKUA_SPAN(span, &tracer, "POST /orders", SKUA_I64("order.id", order))
        {
            int rc = store(order);
            skua_task *task;

            if (rc != 0)
                skua_span_fail(span, rc, "store");
            else if (skua_spawn(NULL, tell_warehouse, &order, .task = &task) == 0)
                (void)skua_task_join(task, NULL);
            skua_log_info(&shop_log, "done", SKUA_I64("order.id", order), SKUA_BOOL("ok", rc == 0));
        }
    }
    return 0;
}

/* ---- where it goes --------------------------------------------------------------------------- */

int main(void)
{
    skua_otel_destination to[] = {{.signal = SKUA_OTEL_LOGS}, {.signal = SKUA_OTEL_TRACES}};
    int rc = skua_log_levels("info");

    if (rc == 0)
        rc = skua_otel_console_new(&to[0].exporter, SKUA_OTEL_CONSOLE_OPTIONS(.json = 1));
    if (rc == 0)
        rc = skua_otel_console_new(&to[1].exporter, SKUA_OTEL_CONSOLE_OPTIONS(.json = 1));
    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = to, .destinations_count = 2));
    if (rc == 0)
        rc = skua_main(shop, NULL, NULL);
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    return rc != 0;
}
