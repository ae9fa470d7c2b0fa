"""passing.py - what goes through: requests, answers, bodies, events, other protocols."""
import gzip
import hashlib
import http.client
import os
import signal
import threading
import time

from upstream import Gateway, Upstream, answer_ok, everything, until


def test_what_the_upstream_sees(env):
    with Upstream() as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        status, headers, body = gate.ask(path="/a%20b/c?d=e&f", headers={
            "Host": "example.org:81", "Connection": "keep-alive, X-Secret, Content-Length",
            "X-Secret": "1", "Keep-Alive": "timeout=5", "TE": "trailers", "Proxy-Authorization": "x",
            "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X_Forwarded_For": "6.6.6.6",
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X-Real-IP": "6.6.6.6",
            "Via": "1.0 a", "Cookie": "a=b", "X-Kept": "yes"})
        assert (status, body) == (200, b"hello\n"), (status, body)
        assert headers["Via"] == "1.1 skua-gateway" and len(headers.get_all("Date")) == 1
        [seen] = up.seen
        assert seen.line == "GET /a%20b/c?d=e&f HTTP/1.1", seen.line
        assert seen.one("host") == "example.org:81"
        assert seen.one("x-forwarded-for") == "127.0.0.1"
        assert seen.one("x-forwarded-proto") == "http"
        assert seen.one("x-forwarded-host") == "example.org:81"
        assert seen.one("forwarded") == 'for=127.0.0.1;host="example.org:81";proto=http'
        assert seen.one("via") == "1.0 a, 1.1 skua-gateway"
        assert seen.one("cookie") == "a=b" and seen.one("x-kept") == "yes"
        for name in ("x-secret", "keep-alive", "te", "proxy-authorization", "x_forwarded_for",
                     "x-real-ip", "transfer-encoding", "connection"):
            assert not seen.all(name), name


def test_codings_are_the_clients(env):
    def answer(conn, request):
        conn.reply(200, gzip.compress(b"hello"), "Content-Encoding: gzip")

    with Upstream(answer) as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        with gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as sock:
            head, body = everything(sock).split(b"\r\n\r\n", 1)
        assert gzip.decompress(body) == b"hello" and b"\r\nContent-Encoding: gzip" in head, head
        assert up.seen[0].one("accept-encoding") is None
        gate.ask(headers={"Accept-Encoding": "br;q=0.5"})
        assert up.seen[1].one("accept-encoding") == "br;q=0.5"


def test_a_trusted_client_says_where_from(env):
    with Upstream() as up, Gateway(env, f"group g {up.address}", "route / g trust=1") as gate:
        gate.ask(headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https",
                          "Forwarded": "for=192.0.2.1"})
        [seen] = up.seen
        assert seen.one("x-forwarded-for") == "192.0.2.1, 127.0.0.1"
        assert seen.one("x-forwarded-proto") == "https"
        assert seen.one("forwarded").startswith("for=192.0.2.1, for=127.0.0.1;")


def test_what_the_client_sees(env):
    def answer(conn, request):
        kind = request.target[1:]
        if kind == "204":
            conn.reply(204, b"", "X-A: b", length=False)
        elif kind == "304":
            conn.send(b"HTTP/1.1 304 X\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n")
        elif kind == "head":
            conn.send(b"HTTP/1.1 200 X\r\nContent-Length: 70000\r\n\r\n")
        elif kind == "headchunked":
            conn.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        elif kind == "empty":
            conn.reply(200, b"")
        elif kind == "close":
            conn.send(b"HTTP/1.0 200 X\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n"
                      b"Keep-Alive: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nuntil the end")
            return "close"
        elif kind == "chunked":
            conn.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
                      b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n")
        elif kind == "interim":
            conn.send(b"HTTP/1.1 103 X\r\nLink: a\r\n\r\n")
            conn.reply(500, b"mine")
        return None

    with Upstream(answer) as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        status, headers, body = gate.ask(path="/204")
        assert (status, body, headers["X-A"], headers["Content-Length"]) == (204, b"", "b", None)
        status, headers, body = gate.ask(path="/304")
        assert (status, body, headers["ETag"]) == (304, b"", '"a"') and \
            headers["Content-Length"] == "7"
        status, headers, body = gate.ask("HEAD", "/head")
        assert (status, body, headers["Content-Length"]) == (200, b"", "70000")
        status, headers, body = gate.ask("HEAD", "/headchunked")
        assert (status, body, headers["Content-Length"]) == (200, b"", None)
        status, headers, body = gate.ask(path="/empty")
        assert (status, body, headers["Content-Length"]) == (200, b"", "0")
        status, headers, body = gate.ask(path="/close")
        assert (status, body) == (200, b"until the end")
        assert headers["X-Secret"] is None and headers["Keep-Alive"] is None
        assert headers.get_all("Set-Cookie") == ["a", "b"] and headers["Connection"] is None
        assert headers["Via"] == "1.0 skua-gateway"
        status, headers, body = gate.ask(path="/chunked")
        assert (status, body, headers["Trailer"]) == (200, b"abcde", None)
        assert gate.ask(path="/interim")[::2] == (500, b"mine")
        link = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
        for path in ("/204", "/304", "/empty", "/chunked", "/close", "/interim"):  # one connection
            link.request("GET", path)
            link.getresponse().read()
            sock = sock if path != "/204" else link.sock
            assert link.sock is sock is not None, path
        link.close()


def test_routes(env):
    with Upstream() as a, Upstream() as b, Upstream() as c, Gateway(
            env, f"group a {a.address}", f"group b {b.address}", f"group c {c.address}",
            "route /api a", "route /api/deep b", "route Example.ORG/ c") as gate:
        for path, host, up in (("/api", "x", a), ("/api/", "x", a), ("/api/de", "x", a),
                               ("/api/deep/er", "x", b), ("/api", "example.org", c),
                               ("/", "EXAMPLE.org:80", c), ("/apis", "x", None),
                               ("/", "example.org.evil", None), ("/api/deep/..x", "x", b),
                               ("/", "example.org.", c), ("/%61pi/x", "x", a),
                               ("//api//deep", "x", b), ("/api%2Fdeep/", "x", b),
                               ("/api%2f%64eep", "x", b)):
            count = len(up.seen) if up else 0
            status = gate.ask(path=path, headers={"Host": host})[0]
            assert status == (200 if up else 404), (path, host, status)
            assert up is None or len(up.seen) == count + 1, (path, host)
        for path in ("/api/../x", "/api/..", "/api/./x", "/api/%2e%2E/x", "/api/.%2e%2fx",
                     "/api/..%5cx", "/api\\..\\x", "/api/..;a/x", "/api/.;/x", "/a%00", "/a%zz",
                     "/a%2"):
            assert gate.ask(path=path)[0] == 400, path
        with gate.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as sock:
            assert everything(sock).startswith(b"HTTP/1.1 204 ")


def test_bodies(env):
    with Upstream() as up, Gateway(env, f"group g {up.address}", "route / g body=3m") as gate:
        big = os.urandom(2_000_000)
        for method in ("POST", "PUT", "PATCH"):
            for body in (b"", b"x", big):
                gate.ask(method, "/", body=body)
                assert up.seen[-1].body == body and up.seen[-1].method == method
                assert up.seen[-1].one("content-length") == str(len(body))
        for pieces in ([b"abc", big], [b"x"]):
            gate.ask("POST", "/", body=iter(pieces), encode_chunked=True,
                     headers={"Transfer-Encoding": "chunked"})
            assert up.seen[-1].body == b"".join(pieces)
            assert up.seen[-1].one("transfer-encoding") == "chunked"
        with gate.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                      b"Expect: 100-continue\r\nConnection: close\r\n\r\n") as sock:
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
            sock.sendall(b"abc")
            assert everything(sock).startswith(b"HTTP/1.1 200 ")
        assert up.seen[-1].body == b"abc"


def test_big_bodies_take_little_memory(env):
    size = 32 << 20
    block = os.urandom(1 << 16)

    def answer(conn, request):
        if request.method != "GET":
            return conn.reply(200, str(up.body_bytes).encode())
        conn.send(f"HTTP/1.1 200 X\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 16):
            conn.send(block)

    with Upstream(answer, keep_bodies=False) as up, \
            Gateway(env, f"group g {up.address}", "route / g body=any") as gate:
        gate.ask("POST", "/", body=b"warm")
        before = gate.memory()
        up.body_bytes = 0
        for chunked in (False, True):
            up.body_bytes = 0
            options = {"headers": {"Content-Length": str(size)}} if not chunked else \
                {"encode_chunked": True, "headers": {"Transfer-Encoding": "chunked"}}
            body = gate.ask("POST", "/", body=(block for _ in range(size >> 16)), **options)[2]
            assert body == str(size).encode(), body
        link = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
        link.request("GET", "/")
        answer, digest, worst = link.getresponse(), hashlib.sha256(), 0
        while piece := answer.read(1 << 20):
            digest.update(piece)
            worst = max(worst, gate.memory())
        link.close()
        assert digest.digest() == hashlib.sha256(block * (size >> 16)).digest()
        grown = max(worst, gate.memory()) - before
        assert env.loose or grown < 4 << 20, f"{grown >> 10} KiB more"


def test_who_reads_slowly_makes_the_upstream_wait(env):
    sent = [0]

    def answer(conn, _request):
        conn.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conn.send(b"10000\r\n" + bytes(65536) + b"\r\n")
            sent[0] += 65536

    with Upstream(answer) as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        before = gate.memory()
        with gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
            last = -1
            while sent[0] != last or last == 0:
                last = sent[0]
                time.sleep(0.2)
            assert last < 64 << 20, f"{last} bytes went somewhere"  # what the kernel buffers
            assert env.loose or gate.memory() - before < 4 << 20
        until(lambda: gate.member()["running"] == 0)  # its client is gone


def test_events_come_at_once(env):
    go = threading.Semaphore(0)

    def answer(conn, _request):
        conn.send(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(3):
            go.acquire()
            conn.send(f"data: {i}\n\n".encode())
        go.acquire()
        return "close"

    with Upstream(answer) as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        link = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
        link.request("GET", "/")
        answer = link.getresponse()  # the head, ahead of any event
        for i in range(3):
            go.release()
            assert answer.read(9) == f"data: {i}\n\n".encode()
        go.release()
        assert answer.read() == b""
        link.close()


def test_another_protocol(env):
    def answer(conn, request):
        if request.target == "/no":
            return conn.reply(403, b"no", "X-Why: because")
        assert request.one("upgrade") == "websocket" and request.one("connection") == "Upgrade"
        assert request.one("x-forwarded-for") == "127.0.0.1"
        conn.send(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Accept: abc\r\n\r\nfirst")
        while data := conn.file.read1(65536):
            conn.send(data.upper())
        conn.send(b"last")
        return "close"

    ask = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n" \
          b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    with Upstream(answer) as up, Upstream() as other, \
            Gateway(env, f"group g {up.address}", "route / g") as gate:
        with gate.raw(ask % b"/ws" + b"early ") as sock:
            said = b""
            while not said.endswith(b"EARLY "):
                said += sock.recv(4096)
            head, rest = said.split(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ") and rest == b"firstEARLY ", said
            assert b"\r\nSec-WebSocket-Accept: abc" in head and b"Upgrade: websocket" in head
            big = os.urandom(300_000).hex().encode()
            sender = threading.Thread(target=lambda: (sock.sendall(big), sock.shutdown(1)))
            sender.start()
            assert everything(sock) == big.upper() + b"last"
            sender.join()
        with gate.raw(ask % b"/no") as sock:
            said = sock.recv(4096)
            assert said.startswith(b"HTTP/1.1 403 ") and b"X-Why: because" in said, said
        up.stop()
        with gate.raw(ask % b"/ws") as sock:
            assert sock.recv(4096).startswith(b"HTTP/1.1 502 ")
        assert not other.seen


def test_least_busy_first(env):
    gate_open = threading.Event()

    def slow(conn, _request):
        gate_open.wait(20)
        conn.reply(200, b"slow")

    for balance in ("two", "least"):
        gate_open.clear()
        with Upstream(slow) as a, Upstream() as b, Gateway(
                env, f"group g {a.address} {b.address} balance={balance}", "route / g") as gate:
            waiting = []
            while not a.seen:
                sock = gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                waiting.append(sock)
                until(lambda: len(a.seen) + len(b.seen) == len(waiting))
            until(lambda: gate.member(1)["running"] == 0)
            for _ in range(20):
                assert gate.ask()[2] == b"hello\n"
            assert len(a.seen) == 1 and gate.member(0)["running"] == 1
            gate_open.set()
            assert all(everything(sock) for sock in waiting)
            for sock in waiting:
                sock.close()
            assert gate.member(0)["running"] == 0


def test_both_are_asked(env):
    with Upstream() as a, Upstream() as b, Gateway(
            env, f"group g {a.address} {b.address}", "route / g") as gate:
        for _ in range(60):
            gate.ask()
        assert len(a.seen) > 10 and len(b.seen) > 10, (len(a.seen), len(b.seen))


def test_a_stop_lets_requests_end(env):
    go = threading.Event()

    def answer(conn, _request):
        conn.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc")
        go.wait(20)
        conn.send(b"def")

    for signo in (signal.SIGINT, signal.SIGTERM):
        go.clear()
        with Upstream(answer) as up, \
                Gateway(env, f"group g {up.address}", "route / g", "log json") as gate, \
                gate.raw() as idle, gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as busy:
            said = b""
            while not said.endswith(b"abc"):
                said += busy.recv(4096)
            gate.process.send_signal(signo)
            assert everything(idle) == b""
            time.sleep(0.1)
            assert gate.process.poll() is None
            go.set()
            assert everything(busy) == b"def"
            assert gate.process.wait(timeout=20) == 0
            assert '"status":200' in gate.said() and gate.said().count("\n") == 1, gate.said()
