"""limits.py - strangers who want too much: descriptors, memory, patience."""
import random
import time

from harness import (MiniRedis, check, check_memory, encode, note, raise_descriptors, test,
                     wait_for)


@test
def ten_thousand_idle_connections(env):
    count = 1000 if env.loose else 10000
    if not raise_descriptors(count + 200):
        note("SKIPPED: this system does not allow 10,200 descriptors")
        return
    with MiniRedis(env, "--maxclients", str(count + 100)) as server:
        with server.client() as first:
            first.command("PING")
        before = server.rss()
        start = time.monotonic()
        clients = [server.client() for _ in range(count)]
        for client in clients:
            client.send(b"PING\r\n")
        answered = sum(client.reply() == b"+PONG\r\n" for client in clients)
        took = time.monotonic() - start
        check(answered == count, f"{count} connections are served", f"{answered}")
        after = server.rss()
        each = (after - before) / count
        note(f"memory before {before >> 10} KiB, with {count} connections {after >> 10} KiB: "
             f"{each / 1024:.1f} KiB a connection; connected and answered in {took:.1f} s")
        check_memory(env, after - before, count * (12 << 10), "idle connections")
        cpu = cpu_seconds(server)
        time.sleep(1)
        used = cpu_seconds(server) - cpu
        check(used < 0.05, f"idle connections cost no processor ({used * 100:.0f} %)")
        for client in clients:
            client.close()
        check(wait_for(lambda: server.clients() == 1), "all are gone again")
        status, seconds = server.stop()
        check(status == 0 and seconds < 2, f"stopped in {seconds:.2f} s")


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@test
def no_descriptors_left(env):
    """EMFILE on accept: who is connected goes on, who is not waits, and gets a turn."""
    with MiniRedis(env, nofile=64) as server:
        clients = [server.client() for _ in range(100)]
        for client in clients:
            client.send(b"PING\r\n")
        check(clients[0].reply() == b"+PONG\r\n", "the first is served")
        time.sleep(0.3)
        served = []
        waiting = []
        for client in clients[1:]:
            client.socket.settimeout(0.01)
            try:
                client.reply()
                served.append(client)
            except TimeoutError:
                waiting.append(client)
        check(len(served) > 20 and len(waiting) > 20, "descriptors ran out",
              f"{len(served)} served, {len(waiting)} waiting")
        start = time.monotonic()
        ok = all(client.command("SET", "still", "here") == b"+OK\r\n" for client in served)
        check(ok and time.monotonic() - start < env.soon, "those who are connected go on")
        cpu = cpu_seconds(server)
        time.sleep(0.5)
        check(cpu_seconds(server) - cpu < 0.1, "waiting does not spin")
        for client in served:
            client.close()
        for client in waiting:
            client.socket.settimeout(5)
        check(all(client.reply() == b"+PONG\r\n" for client in waiting), "the others get a turn")
        note(f"{len(served) + 1} served at once, {len(waiting)} waited")
        check(server.stop()[0] == 0, "and it stops")


@test
def too_many_clients(env):
    sorry = (b"-ERR max number of clients reached\r\n", True)
    with MiniRedis(env, "--maxclients", "3") as server:
        three = [server.client() for _ in range(3)]
        check(all(c.command("PING") == b"+PONG\r\n" for c in three), "three are served")
        for _ in range(5):
            with server.client() as fourth:
                check(fourth.until_close() == sorry, "a fourth is told and closed")
        three.pop().close()

        def served():
            with server.client() as client:
                client.send(b"PING\r\n")
                return client.until_close(quiet=0.2)[0] == b"+PONG\r\n"

        check(wait_for(served), "when one has left another is served")
        check(all(c.command("PING") == b"+PONG\r\n" for c in three), "the others go on")


# ---- memory -------------------------------------------------------------------------------------


@test
def slow_reader(env):
    """Ask for 2 GB and read nothing: are not read from either, and nobody else waits."""
    with MiniRedis(env) as server, server.client() as other:
        other.command("SET", "mega", "m" * (1 << 20))
        other.command("SET", "small", "s" * 10000)
        before = server.rss()
        slow = [server.client(rcvbuf=4096) for _ in range(40)]
        for client in slow[:20]:
            client.send(encode("GET", "mega") * 100)
        for client in slow[20:]:
            client.send(encode("GET", "small") * 2000)
        time.sleep(0.3)
        start = time.monotonic()
        ok = all(other.command("PING") == b"+PONG\r\n" for _ in range(100))
        check(ok and time.monotonic() - start < env.soon, "the others are served")
        check_memory(env, server.rss() - before, 32 << 20, "40 slow readers")
        check(slow[0].reply() == b"$1048576\r\n" + b"m" * (1 << 20) + b"\r\n",
              "and the replies come when they are read")
        other.command("DEL", "mega")
        check(slow[0].reply()[-3:] == b"m\r\n", "also of a value that was deleted since")
        for client in slow:
            client.reset()
        check(wait_for(lambda: server.clients() == 2), "all are gone again")


@test
def output_limit(env):
    with MiniRedis(env, "--max-bulk", "1m", "--max-output", "4m") as server:
        with server.client() as client:
            client.command("SET", "mega", "m" * (1 << 20))
            check(len(client.command("MGET", *["mega"] * 3)) > 3 << 20, "3 MiB of 4 are sent")
            client.send(encode("MGET", *["mega"] * 5))
            data, closed = client.until_close()
            check(closed and len(data) <= 4 << 20, "5 MiB of 4 end the connection")
        with server.client() as client:
            before = server.rss()
            client.send(encode("MGET", *["mega"] * 100000))
            check(client.until_close()[1], "100 GB of 4 MiB end the connection")
            check_memory(env, server.rss() - before, 32 << 20, "a reply past the limit")


@test
def slow_sender(env):
    """Announces much and sends little: memory follows what arrives."""
    with MiniRedis(env) as server:
        with server.client() as client:
            client.command("PING")
        before = server.rss()
        clients = [server.client() for _ in range(100)]
        for n, client in enumerate(clients):
            if n % 2:
                client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108864\r\nabc")
            else:
                client.send(b"*1048576\r\n$4\r\nMGET\r\n$67108864\r\n")
        time.sleep(0.2)
        for client in clients:
            client.send(b"x" * 1000)
        time.sleep(0.2)
        check_memory(env, server.rss() - before, 8 << 20, "100 slow senders")
        for client in clients:
            client.close()
        check(wait_for(lambda: server.clients() == 1), "all are gone again")


@test
def memory_comes_back(env):
    """Long values, many keys, deleted again: no leak that a repetition would show."""
    with MiniRedis(env) as server, server.client(timeout=60) as client:
        sizes = []
        for _ in range(6):
            client.command("SET", "huge", "x" * (32 << 20))
            client.command("DEL", "huge")
            client.send(b"".join(encode("HSET", f"h{i}", "f", i, "g", "y" * 100)
                                 for i in range(20000)))
            for _ in range(20000):
                client.reply()
            client.command("FLUSHALL")
            sizes.append(server.rss())
        note("resident after each round: " + ", ".join(f"{s >> 10} KiB" for s in sizes))
        check_memory(env, sizes[-1] - sizes[1], 8 << 20, "the sixth round against the second")


# ---- rudeness -----------------------------------------------------------------------------------


@test
def reset_in_mid_reply(env):
    with MiniRedis(env) as server:
        with server.client() as client:
            client.command("SET", "mega", "m" * (1 << 20))
        for n in range(env.scale(200)):
            client = server.client()
            client.send(encode("GET", "mega") * 5)
            if n % 2:
                client.socket.recv(1000)
            client.reset()
        check(wait_for(lambda: server.clients() == 1), "all are gone again")
        check(server.alive() and server.stderr() == "", "nothing was said", server.stderr())


@test
def garbage(env):
    """Random bytes, and commands with random damage; the seed is fixed."""
    rng = random.Random(1)
    good = encode("SET", "key", "value") + encode("GET", "key") + b"PING\r\n"
    with MiniRedis(env) as server:
        for n in range(env.scale(1000)):
            data = bytearray(good if n % 3 else rng.randbytes(rng.randrange(1, 300)))
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            with server.client() as client:
                client.send(bytes(data))
                if n % 7 == 0:
                    client.reset()
        check(server.alive(), "it lives")
        check(wait_for(lambda: server.clients() == 1), "all are gone again")
        with server.client() as client:
            check(client.command("PING") == b"+PONG\r\n", "and answers")


@test
def connecting_and_leaving(env):
    """Connections that come and go, some without a word."""
    with MiniRedis(env) as server:
        for n in range(env.scale(2000)):
            client = server.client()
            if n % 3 == 0:
                client.command("PING")
            elif n % 3 == 1:
                client.send(b"SUBSCRIBE x\r\n")
            client.close()
        check(wait_for(lambda: server.clients() == 1), "all are gone again")
        with server.client() as client:
            check(client.command("PUBLISH", "x", "y") == b":0\r\n", "no subscriber is left")
