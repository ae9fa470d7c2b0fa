/* bridge_op_metric.c - what operations cost, and what goes through sockets and files.
 *
 *   dns.lookup.duration        s, dns.question.name, error.type
 *   skua.net.io                By, network.io.direction, network.transport: all sockets
 *   skua.net.connections       {connection}, network.transport, skua.connection.side
 *   skua.net.connect.duration  s, network.transport, error.type
 *   skua.file.io               By, disk.io.direction
 *   skua.process.spawned       {process}, process.executable.name, error.type: no spawn
 *   skua.operation.duration    s, skua.operation.name, error.type: of each that is told, but waits
 *                              for a connection
 *
 * Cost       bytes and connections are added to bound counters, in cells of the calling thread;
 *            durations are looked up by their attributes, which operations that go to a thread, to
 *            the net or to a disk can bear.
 *
 * Source     OpenTelemetry semantic conventions 1.41: dns-metrics (name, unit, buckets); the rest
 *            is in the manner of process.* and system.*.
 */
#include "otel/bridge/bridge_op.h"

static const skua_meter op_meter = SKUA_METER("skua", SKUA_VERSION);

/* Seconds. */
static const double op_lookup_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                          0.5,   0.75, 1,     2.5,  5,     7.5, 10};
static const double op_bounds[] = {0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025,
                                   0.05,    0.1,     0.25,   0.5,    1,     2.5,   5,    10};

static skua_histogram op_lookup = SKUA_HISTOGRAM_BOUNDS(&op_meter, "dns.lookup.duration", "s",
                                                        "Time to look a name up", op_lookup_bounds);
static skua_histogram op_connect = SKUA_HISTOGRAM_BOUNDS(&op_meter, "skua.net.connect.duration",
                                                         "s", "Time to connect", op_lookup_bounds);
static skua_histogram op_duration = SKUA_HISTOGRAM_BOUNDS(
    &op_meter, "skua.operation.duration", "s", "Time of the library's operations", op_bounds);
static skua_counter op_net_io =
    SKUA_COUNTER(&op_meter, "skua.net.io", "By", "Bytes through sockets");
static skua_counter op_connections =
    SKUA_COUNTER(&op_meter, "skua.net.connections", "{connection}", "Connections made");
static skua_counter op_file_io =
    SKUA_COUNTER(&op_meter, "skua.file.io", "By", "Bytes through files");
static skua_counter op_spawned =
    SKUA_COUNTER(&op_meter, "skua.process.spawned", "{process}", "Processes started");

enum op_transport { OP_TCP, OP_UDP, OP_UNIX, OP_TRANSPORTS };
static const char *const op_transports[] = {"tcp", "udp", "unix"};

/* By transport; in, out. Of files: read, write. */
static skua_bound op_bytes[OP_TRANSPORTS][2];
static skua_bound op_made[OP_TRANSPORTS][2];
static skua_bound op_file[2];

void skua__bridge_op_metric_init(void)
{
    static const char *const ways[] = {"receive", "transmit"}, *const sides[] = {"server",
                                                                                 "client"};
    static const char *const files[] = {"read", "write"};
    int rc = 0;

    if (op_file[1].instrument != NULL)
        return;
    for (int i = 0; i < OP_TRANSPORTS; i++)
        for (int out = 0; out < 2; out++) {
            rc |= skua_bind(&op_net_io, &op_bytes[i][out],
                            SKUA_STR("network.io.direction", ways[out]),
                            SKUA_STR("network.transport", op_transports[i]));
            rc |= skua_bind(&op_connections, &op_made[i][out],
                            SKUA_STR("skua.connection.side", sides[out]),
                            SKUA_STR("network.transport", op_transports[i]));
        }
    for (int out = 0; out < 2; out++)
        rc |= skua_bind(&op_file_io, &op_file[out], SKUA_STR("disk.io.direction", files[out]));
    (void)rc; /* no memory: what is not bound counts nothing */
}

static enum op_transport op_transport(const char *name)
{
    return name[0] == 't' ? OP_TCP : name[1] == 'd' ? OP_UDP : OP_UNIX;
}

void skua__bridge_op_moved(const char *what, int64_t bytes)
{
    const char *verb = strchr(what, '.') + 1;
    int out = verb[0] != 'r'; /* read, recv; write, send */

    skua_bound_add(&op_bytes[op_transport(what)][out], bytes);
}

static void op_record(skua_histogram *histogram, double seconds, skua_attr what, const char *error)
{
    if (error[0] != '\0')
        skua_histogram_record(histogram, seconds, what, SKUA_STR("error.type", error));
    else
        skua_histogram_record(histogram, seconds, what);
}

/* False: its duration is nothing but a wait for somebody. */
static bool op_measure_net(const skua_probe_op *op, double seconds, const char *error)
{
    const char *verb = strchr(op->name, '.') + 1;
    enum op_transport transport = op_transport(op->name);
    bool connects = strcmp(verb, "connect") == 0;

    if (!connects && strcmp(verb, "accept") != 0)
        return true;
    if (op->result == 0)
        skua_bound_add(&op_made[transport][connects], 1);
    if (connects)
        op_record(&op_connect, seconds, SKUA_STR("network.transport", op_transports[transport]),
                  error);
    return connects;
}

static void op_measure_spawn(const skua_probe_op *op)
{
    skua_attr name = SKUA_STR("process.executable.name", skua__bridge_op_base(op->target));

    if (op->result < 0)
        skua_counter_add(&op_spawned, 1, name, SKUA_STR("error.type", skua_error_name(op->result)));
    else
        skua_counter_add(&op_spawned, 1, name);
}

/* A copy is both. */
static void op_measure_file(const skua_probe_op *op)
{
    const char *verb = strchr(op->name, '.') + 1;

    if (strcmp(verb, "write") != 0)
        skua_bound_add(&op_file[0], op->bytes);
    if (strcmp(verb, "read") != 0)
        skua_bound_add(&op_file[1], op->bytes);
}

void skua__bridge_op_measure(const skua_probe_op *op)
{
    char room[SKUA__OP_ERROR_MAX];
    const char *error;
    double seconds = (double)(op->end - op->start) / 1e9;

    if (!SKUA_METRIC_ON())
        return;
    error = skua__bridge_op_error(op, room);
    if (op->bytes > 0)
        op_measure_file(op);
    if (strcmp(op->name, "dns.lookup") == 0)
        op_record(&op_lookup, seconds, SKUA_STR("dns.question.name", op->target), error);
    else if (strcmp(op->name, "process.run") == 0)
        op_measure_spawn(op);
    if (op_measure_net(op, seconds, error))
        op_record(&op_duration, seconds, SKUA_STR("skua.operation.name", op->name), error);
}
