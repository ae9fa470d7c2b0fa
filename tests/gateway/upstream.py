"""upstream.py - upstreams that misbehave as they are told, and clients that see it.

An upstream's behaviour is a function (conn, request) -> None or "close": it writes what it likes.
What it was asked is in .seen, complete requests only; .begun counts those that were begun.
"""
import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time


class Request:
    def __init__(self, line, headers, body):
        self.method, self.target, self.version = line.split(" ")
        self.line = line
        self.headers = headers  # (name in lower case, value) in their order
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def one(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else None


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data)

    def reply(self, status, body=b"", *fields, length=True):
        head = [f"HTTP/1.1 {status} X", *fields]
        if length:
            head.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def answer_ok(conn, request):
    conn.reply(200, b"" if request.method == "HEAD" else b"hello\n")


class Upstream:
    def __init__(self, behaviour=answer_ok, keep_bodies=True):
        self.behaviour = behaviour
        self.keep_bodies = keep_bodies
        self.seen = []
        self.begun = 0
        self.body_bytes = 0
        self.lock = threading.Lock()
        self.conns = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """From now on connections are refused, and those that are there end."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            conns = list(self.conns)
        for sock in conns:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def again(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        listener = self.listener
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.conns.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _body(self, file, headers):
        """Strict: anything but one way to see the end is an assertion."""
        values = dict(headers)
        lengths = [v for k, v in headers if k == "content-length"]
        assert len(lengths) <= 1 and not (lengths and "transfer-encoding" in values), headers
        parts = []

        def take(count):
            while count:
                piece = file.read(min(count, 1 << 16))
                if not piece:
                    raise EOFError
                self.body_bytes += len(piece)
                count -= len(piece)
                if self.keep_bodies:
                    parts.append(piece)

        if lengths:
            assert lengths[0].isdigit(), headers
            take(int(lengths[0]))
        elif "transfer-encoding" in values:
            assert values["transfer-encoding"] == "chunked", headers
            while True:
                line = file.readline()
                if not line.endswith(b"\r\n"):
                    raise EOFError
                size = int(line, 16)
                take(size)
                end = file.readline()
                if not end:
                    raise EOFError
                assert end == b"\r\n", end
                if size == 0:
                    break
        return b"".join(parts)

    def _serve(self, sock):
        conn = Conn(sock)
        try:
            while True:
                line = conn.file.readline()
                if not line:
                    return
                with self.lock:
                    self.begun += 1
                headers = []
                while (field := conn.file.readline()) not in (b"\r\n", b""):
                    assert field.endswith(b"\r\n"), field
                    name, value = field[:-2].split(b":", 1)
                    headers.append((name.decode("latin-1").lower(),
                                    value.strip().decode("latin-1")))
                if field == b"":
                    return
                if ("expect", "100-continue") in headers:
                    conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = self._body(conn.file, headers)
                request = Request(line.decode("latin-1").rstrip("\r\n"), headers, body)
                with self.lock:
                    self.seen.append(request)
                if self.behaviour(conn, request) == "close":
                    return
        except (OSError, EOFError, ValueError):
            pass
        finally:
            with self.lock:
                self.conns.discard(sock)
            conn.file.close()
            sock.close()


def refused():
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


# ---- the gateway, and its clients ----------------------------------------------------------------


class Gateway:
    def __init__(self, env, *lines):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.file.write("\n".join(("listen 127.0.0.1:0", "admin 127.0.0.1:0", "drain 5s",
                                   *lines)) + "\n")
        self.file.flush()
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [env.binary, self.file.name], stdout=subprocess.PIPE, stderr=self.errors,
            env=dict(os.environ, SKUA_DRIVER=env.driver), text=True)
        words = (self.process.stdout.readline() + self.process.stdout.readline()).split()
        assert len(words) == 4, f"it said {words} {self.said()}"
        self.port = int(words[1].rsplit(":", 1)[1])
        self.admin = int(words[3].rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.process.poll() is None:
                assert self.stop() == 0, f"it ended with an error: {self.said()}"
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.file.close()

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        return self.process.wait(timeout=30)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def ask(self, method="GET", path="/", body=None, headers=None, **options):
        """(status, headers, body) over a connection of its own."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, body=body, headers=headers or {}, **options)
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()

    def raw(self, data=b""):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        sock.sendall(data)
        return sock

    def stats(self):
        link = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        try:
            link.request("GET", "/stats")
            return json.loads(link.getresponse().read())
        finally:
            link.close()

    def member(self, index=0, group="g"):
        return self.stats()["groups"][group]["members"][index]

    def memory(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def everything(sock):
    """All bytes until the end; a reset is an end, too."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(1 << 16):
            parts.append(data)
    return b"".join(parts)


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
