/* bridge_op_span.c - spans of operations: connections, names, files, processes, blocking jobs.
 *
 *   tcp.connect, unix.connect   "tcp.connect"          server.*, network.*
 *   dns.lookup                  "DNS lookup {name}"    dns.question.name
 *   process.run                 "{executable}"         process.*; of kind CLIENT: it is its caller
 *   file.open, fs.*             "file.open"            file.path
 *   blocking.run                "blocking.run"         skua.blocking.queued
 *
 * Only as children of a span that is recorded: what runs in the background makes no traces of its
 * own. Reads and writes are counted, and make none; nor does the wait for a connection.
 *
 * Source     OpenTelemetry semantic conventions 1.41: general (server, network), cli, dotnet (DNS
 *            lookup: the only ones that have a span for it), error.type.
 */
#include <stdio.h>
#include <stdlib.h>

#include "otel/bridge/bridge_op.h"

static skua_tracer op_tracer = SKUA_TRACER("skua", SKUA_VERSION);

#define OPSPAN_ATTRS 4
#define OPSPAN_NAME 280

/* What is known of a span at its start. */
struct op_start {
    const char *name;
    skua_span_kind kind;
    skua_attr attrs[OPSPAN_ATTRS];
    size_t count;
    char room[OPSPAN_NAME];
};

static void op_put(struct op_start *self, skua_attr attr)
{
    self->attrs[self->count++] = attr;
}

/* "host:port", "[v6]:port": the host's length, and the port; 0: there is none. */
static const char *op_host(const char *text, size_t *len, int64_t *port)
{
    const char *colon = strrchr(text, ':');

    *len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    *port = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    if (*len >= 2 && text[0] == '[' && text[*len - 1] == ']') {
        *len -= 2;
        return text + 1;
    }
    return text;
}

static void op_start_tcp(struct op_start *self, const char *target)
{
    int64_t port;
    size_t len;
    const char *host = op_host(target, &len, &port);

    op_put(self, SKUA_STR("network.transport", "tcp"));
    op_put(self, SKUA_TEXT("server.address", host, len));
    if (port > 0)
        op_put(self, SKUA_I64("server.port", port));
}

/* False: such an operation has no span. */
static bool op_describe(struct op_start *self, const skua_probe_op *op)
{
    const char *target = op->target;

    self->name = op->name;
    self->kind = SKUA_SPAN_INTERNAL;
    if (strcmp(op->name, "blocking.run") == 0)
        return true;
    if (target == NULL)
        return false;
    if (strcmp(op->name, "tcp.connect") == 0) {
        op_start_tcp(self, target);
    } else if (strcmp(op->name, "unix.connect") == 0) {
        op_put(self, SKUA_STR("network.transport", "unix"));
        op_put(self, SKUA_STR("network.peer.address", target));
    } else if (strcmp(op->name, "dns.lookup") == 0) {
        (void)snprintf(self->room, sizeof self->room, "DNS lookup %s", target);
        self->name = self->room;
        op_put(self, SKUA_STR("dns.question.name", target));
    } else if (strcmp(op->name, "process.run") == 0) {
        self->name = skua__bridge_op_base(target);
        self->kind = SKUA_SPAN_CLIENT;
        op_put(self, SKUA_STR("process.executable.name", self->name));
        if (self->name != target)
            op_put(self, SKUA_STR("process.executable.path", target));
    } else {
        op_put(self, SKUA_STR("file.path", target));
    }
    return true;
}

skua_span *skua__bridge_op_span(const skua_probe_op *op)
{
    struct op_start start = {.count = 0};

    if (!SKUA_TRACE_ON() || !skua_span_recording(skua_span_current()) || !op_describe(&start, op))
        return NULL;
    return skua_span_start(
        &op_tracer, start.name,
        SKUA_SPAN_OPTIONS(.kind = start.kind, .attrs = start.attrs, .attrs_count = start.count));
}

/* ---- the end --------------------------------------------------------------------------------- */

static void op_set_peer(skua_span *span, const char *peer)
{
    int64_t port;
    size_t len;
    const char *host = op_host(peer, &len, &port);

    skua_span_set(span, SKUA_TEXT("network.peer.address", host, len),
                  SKUA_I64("network.peer.port", port),
                  SKUA_STR("network.type", peer[0] == '[' ? "ipv6" : "ipv4"));
}

static void op_set_process(skua_span *span, const skua_probe_op *op)
{
    if (op->number != 0)
        skua_span_set(span, SKUA_I64("process.pid", op->number));
    if (op->result >= 0)
        skua_span_set(span, SKUA_I64("process.exit.code", op->result));
}

void skua__bridge_op_span_end(skua_span *span, const skua_probe_op *op)
{
    char room[SKUA__OP_ERROR_MAX];
    const char *error = skua__bridge_op_error(op, room);

    if (op->peer != NULL)
        op_set_peer(span, op->peer);
    if (strcmp(op->name, "process.run") == 0)
        op_set_process(span, op);
    if (op->queued != 0)
        skua_span_set(span, SKUA_F64("skua.blocking.queued", (double)op->queued / 1e9));
    if (op->bytes != 0)
        skua_span_set(span, SKUA_I64("skua.operation.bytes", op->bytes));
    if (error[0] != '\0') {
        skua_span_set(span, SKUA_STR("error.type", error));
        skua_span_set_status(span, SKUA_SPAN_ERROR,
                             op->result < 0 ? skua_strerror(op->result) : NULL);
    }
    skua_span_end(span);
}

#undef OPSPAN_ATTRS
#undef OPSPAN_NAME
