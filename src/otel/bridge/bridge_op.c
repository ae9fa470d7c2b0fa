/* bridge_op.c - the listener of operations, and when it listens.
 *
 * Flow       BEGUN: a span, left in the operation's room -> ENDED: the span ends, metrics
 *            MOVED: a counter
 * Room       holds the span, or says that there is none; it is empty where this listener was not
 *            told of the beginning: such an operation is left out, as one that began suppressed is.
 * Stopped    what began before finds telemetry off at its end, and only ends its span. It is heard
 *            until then: who stops goes on listening, when there are such spans, and lets others
 *            make nothing. A beginning counts its span and then looks whether it is stopped; who
 *            stops says so and then looks at the count: one of them sees the other.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "otel/bridge/bridge_op.h"

static _Atomic int op_what;            /* a skua_otel_operations */
static _Atomic unsigned long op_spans; /* that have not ended, or are about to be made */
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

/* Relaxed: who is late goes on as it was. */
static bool op_is(skua_otel_operations what)
{
    return atomic_load_explicit(&op_what, memory_order_relaxed) == (int)what;
}

/* Sequential, with skua__bridge_ops_stop: see above. */
static void op_start(const skua_probe_op *op, void **room)
{
    skua_span *span = NULL;

    atomic_fetch_add(&op_spans, 1);
    if (atomic_load(&op_what) == SKUA_OTEL_OPERATIONS_ALL)
        span = skua__bridge_op_span(op);
    if (span != NULL)
        *room = span;
    else
        atomic_fetch_sub(&op_spans, 1);
}

static void op_begun(const skua_probe_event *event)
{
    void **room = &event->op->room[event->place];

    *room = &op_plain;
    if (skua_trace_suppressed())
        *room = &op_suppressed;
    else if (op_is(SKUA_OTEL_OPERATIONS_ALL))
        op_start(event->op, room);
}

static void op_ended(const skua_probe_event *event)
{
    void *room = event->op->room[event->place];

    if (room == NULL || room == &op_suppressed)
        return;
    if (room != &op_plain) {
        skua__bridge_op_span_end(room, event->op);
        atomic_fetch_sub(&op_spans, 1);
    }
    if (!op_is(SKUA_OTEL_OPERATIONS_OFF))
        skua__bridge_op_measure(event->op);
}

static void op_event(const skua_probe_event *event, void *arg)
{
    (void)arg;
    if (event->kind == SKUA_PROBE_BEGUN)
        op_begun(event);
    else if (event->kind == SKUA_PROBE_ENDED)
        op_ended(event);
    else if (!op_is(SKUA_OTEL_OPERATIONS_OFF) && !skua_trace_suppressed())
        skua__bridge_op_moved(event->what, event->arg);
}

static const skua_probe_listener op_listener = {.size = sizeof op_listener,
                                                .kinds = SKUA_PROBE_BIT(SKUA_PROBE_BEGUN) |
                                                         SKUA_PROBE_BIT(SKUA_PROBE_ENDED) |
                                                         SKUA_PROBE_BIT(SKUA_PROBE_MOVED),
                                                .event = op_event};

void skua__bridge_ops_start(skua_otel_operations what)
{
    atomic_store(&op_what, (int)what);
    if (what != SKUA_OTEL_OPERATIONS_METRICS && what != SKUA_OTEL_OPERATIONS_ALL)
        return;
    skua__bridge_op_metric_init();
    (void)skua_probe_attach(&op_listener); /* -EBUSY: there are too many, or it is one */
}

void skua__bridge_ops_stop(void)
{
    atomic_store(&op_what, SKUA_OTEL_OPERATIONS_OFF);
    if (atomic_load(&op_spans) == 0)
        (void)skua_probe_detach(&op_listener);
}
