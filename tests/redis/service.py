"""service.py - the server as a service: many clients, expiry, channels, signals, options, tools."""
import signal
import subprocess
import threading
import time

from harness import (MiniRedis, bulk, check, check_memory, encode, note, run_tool, test, wait_for)


# ---- expiry -------------------------------------------------------------------------------------


@test
def expiry(env):
    with MiniRedis(env) as server, server.client() as client:
        check(client.command("SET", "k", "v", "PX", 200) == b"+OK\r\n", "SET PX")
        time.sleep(0.1)
        check(client.command("GET", "k") == b"$1\r\nv\r\n", "there after 100 ms of 200")
        time.sleep(0.12)
        check(client.command("GET", "k") == b"$-1\r\n", "gone after 220 ms")
        client.command("SET", "far", "v", "EX", 1000)
        client.command("SET", "near", "v", "PX", 50)
        time.sleep(0.15)
        check(client.command("DBSIZE") == b":1\r\n", "thrown away unasked, before a later one")
        client.command("PEXPIRE", "far", 50)
        time.sleep(0.15)
        check(client.command("DBSIZE") == b":0\r\n", "an expiry that was moved to earlier")
        client.command("SET", "back", "v", "PX", 50)
        client.command("PERSIST", "back")
        client.command("SET", "over", "v", "PX", 50)
        client.command("SET", "over", "w")
        time.sleep(0.15)
        check(client.command("MGET", "back", "over") == b"*2\r\n$1\r\nv\r\n$1\r\nw\r\n",
              "an expiry that was taken back")
        client.command("FLUSHALL")
        client.send(b"".join(encode("SET", f"k{i}", i, "PX", 300 + i % 200)
                             for i in range(20000)))
        for _ in range(20000):
            client.reply()
        check(wait_for(lambda: client.command("DBSIZE") == b":0\r\n", 3), "20,000 keys expire")
        client.send(b"".join(encode("SET", "same", i, "EX", 1000 - i % 2)
                             for i in range(20000)))
        for _ in range(20000):
            client.reply()
        check(client.command("DBSIZE") == b":1\r\n", "20,000 expiries of one key")


# ---- many clients at once -----------------------------------------------------------------------


def in_threads(count, function):
    threads = [threading.Thread(target=function, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@test
def counters_and_atomicity(env):
    keys = [f"atomic{i}" for i in range(40)]
    torn = []

    def count(n):
        with env.mini.client() as client:
            for _ in range(10):
                client.send(encode("INCR", "counter") * 500)
                for _ in range(500):
                    client.reply()

    def set_and_look(n):
        with env.mini.client(timeout=60) as client:
            for i in range(env.scale(100)):
                if n % 2:  # each from another key on: no common first lock saves them
                    client.send(b"".join(
                        encode("MSET", *[x for key in keys[k:] + keys[:k]
                                         for x in (key, f"{n}-{i}-{k}")])
                        for k in range(len(keys))))
                else:
                    client.send(b"".join(encode("MGET", *keys[k:], *keys[:k])
                                         for k in range(len(keys))))
                for reply in [client.reply() for _ in keys]:
                    values = set(reply.split(b"\r\n")[2::2])
                    if len(values) > 1:
                        torn.append(values)

    with env.mini.client() as client:
        client.command("FLUSHALL")
        client.command("MSET", *[x for key in keys for x in (key, "same")])
        in_threads(8, count)
        check(client.command("GET", "counter") == b"$5\r\n40000\r\n", "8 clients, 40,000 INCR")
        in_threads(4, set_and_look)
        check(not torn, "MSET is atomic", repr(torn[:1]))


@test
def redis_cli_and_benchmark(env):
    port = str(env.mini.port)
    check(run_tool("redis-cli", "-p", port, "set", "tool", "cli") == (0, "OK\n"), "redis-cli set")
    check(run_tool("redis-cli", "-p", port, "get", "tool") == (0, "cli\n"), "redis-cli get")
    done = subprocess.run(["redis-cli", "-p", port], input=b"incr c2\nlpush l2 a b\n",
                          stdout=subprocess.PIPE, timeout=20)
    check(done.stdout == b"1\n2\n", "redis-cli reading commands", repr(done.stdout))
    tests = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,lrange,mset"
    for options in (["-n", str(env.scale(20000))], ["-n", str(env.scale(50000)), "-P", "16"],
                    ["-n", "2000", "-c", "1"]):
        status, output = run_tool("redis-benchmark", "-p", port, "-t", tests, "-q", *options,
                                  timeout=300)
        lines = [line.split("\r")[-1] for line in output.splitlines()]
        done = [line for line in lines if "requests per second" in line]
        check(status == 0 and len(done) == 17 and "rror" not in output,
              f"redis-benchmark {' '.join(options)}", f"{status} {len(done)} {output[-300:]!r}")
        note("; ".join(line.split(",")[0].strip() for line in done if line.strip()[:4] in
                       ("SET:", "GET:")))


# ---- channels -----------------------------------------------------------------------------------


def message(channel, text):
    return b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
        len(channel), channel, len(text), text)


@test
def publish_and_subscribe(env):
    with MiniRedis(env) as server, server.client() as publisher:
        listeners = [server.client() for _ in range(20)]
        for n, listener in enumerate(listeners):
            listener.command("SUBSCRIBE", "all")
            listener.command("SUBSCRIBE", f"only{n}")
        check(publisher.command("PUBLISH", "all", "hello") == b":20\r\n", "20 subscribers")
        check(publisher.command("PUBLISH", "only3", "you") == b":1\r\n", "one subscriber")
        check(all(x.reply() == message(b"all", b"hello") for x in listeners), "all hear it")
        check(listeners[3].reply() == message(b"only3", b"you"), "one hears it")
        publisher.send(b"".join(encode("PUBLISH", "all", n) for n in range(1000)))
        check(all(publisher.reply() == b":20\r\n" for _ in range(1000)), "1,000 messages")
        check(all(x.reply() == message(b"all", b"%d" % n)
                  for x in listeners for n in range(1000)), "in order, to everybody")
        text = b"z" * 500000
        publisher.command("PUBLISH", "all", text)
        check(all(x.reply() == message(b"all", text) for x in listeners), "a long message")
        listeners[0].reset()
        listeners[1].close()
        check(wait_for(lambda: publisher.command("PUBLISH", "all", "x") == b":18\r\n"),
              "those who left are forgotten")
        for listener in listeners[2:]:
            listener.close()
        check(wait_for(lambda: publisher.command("PUBLISH", "all", "x") == b":0\r\n"),
              "all have left")


@test
def slow_subscriber(env):
    """Is cut off at the limit; the others, and the publisher, do not notice."""
    with MiniRedis(env, "--max-bulk", "1m", "--max-output", "2m") as server:
        with server.client() as publisher, server.client() as fast, \
                server.client(rcvbuf=4096) as slow:
            for client in (fast, slow):
                client.command("SUBSCRIBE", "news")
            text = b"n" * 50000
            before = server.rss()
            slowest = 0
            counts = []
            for n in range(400):  # 20 MB: past what the kernel buffers, and the limit
                start = time.monotonic()
                counts.append(int(publisher.command("PUBLISH", "news", text)[1:]))
                slowest = max(slowest, time.monotonic() - start)
                if fast.reply() != message(b"news", text):
                    check(False, "the fast subscriber hears everything")
                    break
            check(counts[0] == 2 and counts[-1] == 1, "the slow one is cut off", repr(counts))
            check(slowest < env.soon / 2, f"publishing never waits ({slowest * 1000:.1f} ms at most)")
            check(slow.until_close()[1], "its connection is closed")
            check_memory(env, server.rss() - before, 16 << 20, "a slow subscriber")


# ---- starting and stopping ----------------------------------------------------------------------


def stop_with(env, signo, name):
    with MiniRedis(env) as server:
        idle = [server.client() for _ in range(200)]
        for client in idle[:100]:
            client.command("PING")
        listener = server.client()
        listener.command("SUBSCRIBE", "x")
        stuck = server.client(rcvbuf=4096)
        stuck.command("SET", "big", "x" * 4000000)
        stuck.send(encode("GET", "big") * 20)
        half = server.client()
        half.send(b"*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$100\r\nabc")
        busy = server.client()
        busy.send(encode("ECHO", "the command at hand") * 100)
        first = busy.reply()
        status, seconds = server.stop(signo)
        check(status == 0, f"{name}: exit status 0", repr((status, server.stderr())))
        check(seconds < 2, f"{name}: stopped in {seconds:.2f} s")
        rest, closed = busy.until_close()
        whole = b"$19\r\nthe command at hand\r\n"
        check(closed and first + rest == whole * (1 + len(rest) // len(whole)),
              f"{name}: whole replies, then the end", repr(rest[-60:]))
        check(all(client.until_close() == (b"", True) for client in idle + [listener]),
              f"{name}: idle clients see the end")
        check(server.stderr() == "", f"{name}: quiet", server.stderr())
        note(f"{name} with 204 connections: {seconds * 1000:.0f} ms")
        for client in idle + [listener, stuck, half, busy]:
            client.close()


@test
def commands_have_spans(env):
    with MiniRedis(env, environment={"OTEL_TRACES_EXPORTER": "console"}) as server:
        with server.client() as client:
            client.send(encode("SET", "secret", "word") * 3)
            said = [client.reply() for _ in range(3)]
            check(len(set(map(str, said))) == 1 and "OK" in str(said[0]), "a pipeline", repr(said))
            client.command("INCR", "secret")
            client.command("NONSENSE")
        check(server.stop()[0] == 0, "it stops")
        text = server.process.stdout.read().decode()
        if text == "":
            note("without libskua-otel")
            return
        check(text.count(" set {db.system.name=redis, db.operation.name=set}\n") == 3,
              "a span for each of a pipeline", text)
        check(text.count(" incr {db.system.name=redis, db.operation.name=incr}  error: \n") == 1,
              "an error is the span's", text)
        check("secret" not in text and "word" not in text and len(text.splitlines()) == 4,
              "and nothing else is told", text)


@test
def graceful_stop(env):
    stop_with(env, signal.SIGTERM, "SIGTERM")
    stop_with(env, signal.SIGINT, "SIGINT")


@test
def stop_under_load(env):
    """Signals while benchmarks run: still a clean end."""
    for _ in range(env.scale(10)):
        with MiniRedis(env) as server:
            load = subprocess.Popen(["redis-benchmark", "-p", str(server.port), "-t", "set,get",
                                     "-n", "10000000", "-q", "-P", "4"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.2)
            status, seconds = server.stop()
            load.kill()
            load.wait()
            if not check(status == 0 and seconds < 2, "stop under load",
                         repr((status, seconds, server.stderr()))):
                return


@test
def options(env):
    status, output = run_tool(env.binary, "--help")
    check(status == 0 and "--maxclients" in output, "--help")
    for wrong in (["--nosuch"], ["--port"], ["--port", "70000"], ["--port", "x"],
                  ["--workers", "0"], ["--driver", "kqueue"], ["--max-bulk", "1g"],
                  ["--maxclients", "-1"], ["--max-output", "1"], ["--max-bulk", ""], ["extra"]):
        status, output = run_tool(env.binary, *wrong)
        check(status == 2 and "mini-redis" in output and output.count("\n") <= 2,
              f"{wrong}: a message and status 2", f"{status} {output!r}")
    status, output = run_tool(env.binary, "--port", str(env.mini.port))
    check(status == 1 and "cannot listen on 127.0.0.1" in output, "a port in use",
          f"{status} {output!r}")
    with MiniRedis(env, "--workers", "1") as server, server.client() as client:
        check(f"(driver {env.driver}, 1 worker)" in server.ready, "the ready line", server.ready)
        check(b"workers:1" in bulk(client.command("INFO")), "one worker")
    with MiniRedis(env, "--workers", "8") as server, server.client() as client:
        check(client.command("PING") == b"+PONG\r\n", "8 workers")
