#!/bin/sh
# demo.sh - the orders service, a few requests to it, and load; and what it tells of that: the spans
# of one request, and its metrics.
#
# Usage: demo.sh BUILD_DIR
#
# BUILD_DIR is where orders was built (BUILD_DIR/orders or BUILD_DIR/examples/orders). The service
# listens on a free port of 127.0.0.1 and keeps its orders in a temporary SQLite file, or where
# DATABASE_URL says. It is stopped at the end, and on Ctrl-C; nothing is left behind. Environment:
# DEMO_CLIENTS (64), DEMO_SECONDS (5), DATABASE_URL, SKUA_DRIVER, SKUA_WORKERS; and where OTEL_*
# say where telemetry goes (OTEL_EXPORTER_OTLP_ENDPOINT, say), it goes there, and not to the screen.
set -u

build=${1:-}
orders_pid=
client_pid=
folder=

say() { printf '%s\n' "$*"; }
die() { say "demo.sh: $*" >&2; exit 1; }

stop_all() {
    trap - EXIT INT TERM HUP
    for pid in $client_pid $orders_pid; do
        kill "$pid" 2>/dev/null
    done
    for pid in $client_pid $orders_pid; do
        wait "$pid" 2>/dev/null
    done
    [ -n "$folder" ] && rm -rf "$folder"
}
trap 'stop_all' EXIT
trap 'stop_all; echo; exit 130' INT
trap 'stop_all; exit 143' TERM HUP

# A program in the background, so that a signal to this script is heard while it runs.
run() {
    "$@" &
    client_pid=$!
    wait "$client_pid"
    status=$?
    client_pid=
    return $status
}

# ---- start ----------------------------------------------------------------------------------

[ -n "$build" ] || { say "Usage: demo.sh BUILD_DIR" >&2; exit 2; }
place=
for folder_of in "$build" "$build/examples"; do
    if [ -z "$place" ] && [ -x "$folder_of/orders" ] && [ ! -d "$folder_of/orders" ]; then
        place=$folder_of
    fi
done
[ -n "$place" ] ||
    die "no orders in $build: it is built where llhttp, jansson and sqlite3 are (./dev setup)"
folder=$(mktemp -d) || die "no temporary folder"

# start [NAME=VALUE]...: the service, with variables more; what it tells is kept in $folder/told.
start() {
    : >"$folder/ready"
    env "$@" ORDERS_LISTEN=127.0.0.1:0 ORDERS_DB="$folder/orders.db" ORDERS_LOG=off \
        "$place/orders" >"$folder/ready" 2>"$folder/told" &
    orders_pid=$!
    tries=0
    while ! grep -q '^ready on' "$folder/ready"; do
        tries=$((tries + 1))
        if [ $tries -ge 100 ] || ! kill -0 "$orders_pid" 2>/dev/null; then
            cat "$folder/told" >&2
            die "orders did not start"
        fi
        sleep 0.1
    done
    url=$(sed -n 's/^ready on \([^ ]*\) .*/\1/p' "$folder/ready")
}

# stop: the service, in order; its status.
stop() {
    kill "$orders_pid"
    wait "$orders_pid"
    status=$?
    orders_pid=
    return $status
}

# Whether it was said where telemetry goes.
elsewhere=
[ -n "${OTEL_CONFIG_FILE:-}${OTEL_EXPORTER_OTLP_ENDPOINT:-}${OTEL_TRACES_EXPORTER:-}" ] &&
    elsewhere=1
[ -n "${OTEL_METRICS_EXPORTER:-}${OTEL_LOGS_EXPORTER:-}" ] && elsewhere=1
for signal in TRACES METRICS LOGS; do
    eval "[ -n \"\${OTEL_EXPORTER_OTLP_${signal}_ENDPOINT:-}\" ]" && elsewhere=1
done

# ---- ask, and load --------------------------------------------------------------------------

# Without spans: how fast it is.
if [ -n "$elsewhere" ]; then
    start OTEL_TRACES_EXPORTER=none
else
    start OTEL_METRICS_EXPORTER=console
fi
say "orders        $(cat "$folder/ready")"
say
run "$place/orders-tour" "$url" || die "an answer was not what it is to be"
say "load, by ${DEMO_CLIENTS:-64} clients on this machine, too:"
run "$place/orders-load" "$url" "${DEMO_CLIENTS:-64}" "${DEMO_SECONDS:-5}" ||
    die "not all requests were answered as they are to be"
say
stop
status=$?
say "orders        $(tail -n 1 "$folder/ready"), with status $status"
[ "$status" -eq 0 ] || exit 1
mv "$folder/told" "$folder/metrics"

# ---- traced ---------------------------------------------------------------------------------

# The same requests once more, each with its spans.
if [ -n "$elsewhere" ]; then
    start
else
    start OTEL_TRACES_EXPORTER=console
fi
run "$place/orders-tour" "$url" >/dev/null || die "an answer was not what it is to be"
stop
status=$?
say
if [ -n "$elsewhere" ]; then
    say "spans and metrics went where OTEL_* say; of that the service says:"
    cat "$folder/metrics" "$folder/told" | cut -c 1-200
elif grep -q 'POST /orders' "$folder/told"; then
    say "one request, as its spans tell it (OTEL_TRACES_EXPORTER=console):"
    awk '!shown && / ms  POST \/orders/ { shown = 1; print; next }
         shown && !/ ms    / { exit }
         shown' "$folder/told" | cut -c 1-150
    say
    say "the load, as its metrics tell it (OTEL_METRICS_EXPORTER=console, or GET /metrics):"
    grep -E '^(http\.server\.request|db\.client|orders)\.' "$folder/metrics" |
        sed 's/, network.protocol.version=1.1, url.scheme=http//' | cut -c 1-150
fi
[ "$status" -eq 0 ]
