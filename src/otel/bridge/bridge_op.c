/* bridge_op.c - the listener of operations, and when it listens.
 *
 * Flow       BEGUN: a span, left in the operation's room -> ENDED: the span ends, metrics
 *            MOVED: a counter
 * Room       holds the span, or says that there is none; it is empty where this listener was not
 *            told of the beginning: such an operation is left out, as one that began suppressed is.
 * Stopped    a call that is under way, or the end of what began before, finds telemetry off, and
 *            does nothing but end its span.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "otel/bridge/bridge_op.h"

/* A skua_otel_operations. Relaxed: who was late goes on as it was. */
static _Atomic int op_what;
/* In an operation's room: it has no span; or nothing is to be told of it. */
static char op_plain, op_suppressed;

const char *skua__bridge_op_error(const skua_probe_op *op, char room[SKUA__OP_ERROR_MAX])
{
    if (op->result < 0)
        return skua_error_name(op->result);
    if (op->result == 0 || strcmp(op->name, "process.run") != 0)
        return "";
    (void)snprintf(room, SKUA__OP_ERROR_MAX, "%d", op->result);
    return room;
}

const char *skua__bridge_op_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static void op_begun(const skua_probe_event *event)
{
    bool spans = atomic_load_explicit(&op_what, memory_order_relaxed) == SKUA_OTEL_OPERATIONS_ALL;
    skua_span *span = NULL;
    void **room = &event->op->room[event->place];

    if (skua_trace_suppressed()) {
        *room = &op_suppressed;
        return;
    }
    if (spans)
        span = skua__bridge_op_span(event->op);
    *room = span != NULL ? (void *)span : &op_plain;
}

static void op_ended(const skua_probe_event *event)
{
    void *room = event->op->room[event->place];

    if (room == NULL || room == &op_suppressed)
        return;
    if (room != &op_plain)
        skua__bridge_op_span_end(room, event->op);
    skua__bridge_op_measure(event->op);
}

static void op_event(const skua_probe_event *event, void *arg)
{
    (void)arg;
    if (event->kind == SKUA_PROBE_BEGUN)
        op_begun(event);
    else if (event->kind == SKUA_PROBE_ENDED)
        op_ended(event);
    else if (!skua_trace_suppressed())
        skua__bridge_op_moved(event->what, event->arg);
}

static const skua_probe_listener op_listener = {.size = sizeof op_listener,
                                                .kinds = SKUA_PROBE_BIT(SKUA_PROBE_BEGUN) |
                                                         SKUA_PROBE_BIT(SKUA_PROBE_ENDED) |
                                                         SKUA_PROBE_BIT(SKUA_PROBE_MOVED),
                                                .event = op_event};

void skua__bridge_ops_start(skua_otel_operations what)
{
    atomic_store_explicit(&op_what, (int)what, memory_order_relaxed);
    if (what != SKUA_OTEL_OPERATIONS_METRICS && what != SKUA_OTEL_OPERATIONS_ALL)
        return;
    skua__bridge_op_metric_init();
    (void)skua_probe_attach(&op_listener); /* -EBUSY: there are too many, or it is one */
}

void skua__bridge_ops_stop(void)
{
    (void)skua_probe_detach(&op_listener);
}
