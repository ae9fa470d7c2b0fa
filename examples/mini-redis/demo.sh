#!/bin/sh
# demo.sh - mini-redis and the real redis-server under the same load, side by side.
#
# Usage: demo.sh BUILD_DIR
#
# BUILD_DIR is where mini-redis was built (BUILD_DIR/mini-redis or BUILD_DIR/examples/mini-redis).
# Both servers listen on free ports of 127.0.0.1 and keep nothing on disk; redis-benchmark (50
# connections, one request at a time and 16 at a time) loads one after the other. Both are stopped
# at the end, and on Ctrl-C. Environment: DEMO_REQUESTS (100000), DEMO_TESTS, SKUA_DRIVER,
# SKUA_WORKERS.
set -u

build=${1:-}
requests=${DEMO_REQUESTS:-100000}
tests=${DEMO_TESTS:-"set get incr lpush hset mset"}
mini_pid=
real_pid=
folder=

say() { printf '%s\n' "$*"; }
die() { say "demo.sh: $*" >&2; exit 1; }

stop_all() {
    trap - EXIT INT TERM HUP
    for pid in $mini_pid $real_pid; do
        kill "$pid" 2>/dev/null
    done
    for pid in $mini_pid $real_pid; do
        wait "$pid" 2>/dev/null
    done
    [ -n "$folder" ] && rm -rf "$folder"
}
trap 'stop_all' EXIT
trap 'stop_all; echo; exit 130' INT
trap 'stop_all; exit 143' TERM HUP

# ---- start both -----------------------------------------------------------------------------

[ -n "$build" ] || { say "Usage: demo.sh BUILD_DIR" >&2; exit 2; }
mini=
for place in "$build" "$build/examples" "$build/examples/mini-redis"; do
    if [ -z "$mini" ] && [ -f "$place/mini-redis" ] && [ -x "$place/mini-redis" ]; then
        mini=$place/mini-redis
    fi
done
[ -n "$mini" ] || die "no mini-redis in $build or $build/examples: build it first"
for tool in redis-server redis-cli redis-benchmark; do
    command -v "$tool" >/dev/null ||
        die "no $tool here (Debian: apt install redis-server redis-tools)"
done
folder=$(mktemp -d) || die "no temporary folder"

: >"$folder/ready"
"$mini" --port 0 >"$folder/ready" &
mini_pid=$!
tries=0
while ! grep -q '^ready on' "$folder/ready"; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] && kill -0 "$mini_pid" 2>/dev/null || die "mini-redis did not start"
    sleep 0.1
done
mini_port=$(sed -n 's/^ready on .*:\([0-9]*\) .*/\1/p' "$folder/ready")

# redis-server cannot choose a port itself: try some until one answers with our own process id.
port=$((20000 + $$ % 10000))
while [ -z "$real_pid" ]; do
    redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$folder" \
        >"$folder/real.log" 2>&1 &
    real_pid=$!
    tries=0
    until redis-cli -p $port info server 2>/dev/null | grep -q "process_id:$real_pid"; do
        tries=$((tries + 1))
        if [ $tries -ge 50 ] || ! kill -0 "$real_pid" 2>/dev/null; then
            kill "$real_pid" 2>/dev/null
            real_pid=
            break
        fi
        sleep 0.1
    done
    port=$((port + 1))
    [ $port -lt 32000 ] || die "redis-server did not start: $(tail -1 "$folder/real.log")"
done
real_port=$((port - 1))

say "mini-redis    $(cat "$folder/ready")"
version=$(redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/')
say "redis-server  ready on 127.0.0.1:$real_port (version $version)"
say "load          redis-benchmark, 50 connections, $requests requests a line, on this machine, too"
say

# ---- load one after the other ------------------------------------------------------------------

# One benchmark: prints "requests/s p50 p99" of its last line.
bench() { # port test pipeline
    redis-benchmark -h 127.0.0.1 -p "$1" -t "$2" -P "$3" -n "$requests" -c 50 --csv |
        tail -1 | tr -d '"' | awk -F, '$2 > 0 { printf "%d %.3f %.3f", $2, $5, $7 }'
}

# What is being done, on a terminal: the result will overwrite it.
progress() { [ -t 1 ] && printf '\r  %-8s %3s   measuring %-14s' "$name" "$pipeline" "$1 ..."; }

say "                          requests/s                   p50 ms            p99 ms"
say "  test      -P   mini-redis  redis-server          mini    redis     mini    redis"
for pipeline in 1 16; do
    for name in $tests; do
        progress mini-redis
        a=$(bench "$mini_port" "$name" "$pipeline")
        [ -n "$a" ] || { echo; die "the benchmark of mini-redis failed"; }
        progress redis-server
        b=$(bench "$real_port" "$name" "$pipeline")
        [ -n "$b" ] || { echo; die "the benchmark of redis-server failed"; }
        [ -t 1 ] && printf '\r'
        say "$name $pipeline $a $b" | awk '{
            printf "  %-8s %3d %12d %13d %6.2fx %9.3f %8.3f %8.3f %8.3f\n",
                   $1, $2, $3, $6, $3 / ($6 > 0 ? $6 : 1), $4, $7, $5, $8 }'
    done
done
say

kill "$mini_pid"
wait "$mini_pid"
status=$?
mini_pid=
say "mini-redis stopped with status $status"
[ "$status" -eq 0 ]
