"""harness.py - servers, clients and checks for the tests of examples/mini-redis.

A test is a function with @test; it calls check() for each thing that must hold. What it starts
with `with` is stopped again however it ends. Everything stays on 127.0.0.1.
"""
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

TESTS = []
passed = 0
failed = 0
CRLF = b"\r\n"


def test(function):
    TESTS.append(function)
    return function


def check(ok, what, detail=""):
    """Counts one check; tells about it when it failed."""
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"    FAILED: {what} {detail}"[:1200], flush=True)
    return ok


def check_memory(env, grown, bound, what):
    """Memory that was taken, in bytes, against a bound; sanitizers need more than anybody."""
    check(grown < bound or env.loose, f"{what}: {grown >> 10} KiB, at most {bound >> 10}")


def note(text):
    print(f"    {text}", flush=True)


def run_all(env, only):
    for function in TESTS:
        if only and not any(word in function.__name__ for word in only):
            continue
        print(f"- {function.__name__.replace('_', ' ')}", flush=True)
        before = time.monotonic()
        try:
            function(env)
        except Exception as error:  # a test that breaks is one that fails
            import traceback
            check(False, function.__name__, f"{error!r}\n{traceback.format_exc()}")
        took = time.monotonic() - before
        if took > 2:
            note(f"({took:.1f} s)")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


# ---- clients ------------------------------------------------------------------------------------


def encode(*args):
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, bytes):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


class Client:
    """A raw connection. Replies are handed out as the bytes they were on the wire."""

    def __init__(self, port, timeout=10, rcvbuf=None):
        self.socket = socket.socket()
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("the server closed the connection")
        self.pending += data

    def _line(self):
        while CRLF not in self.pending:
            self._more()
        line, self.pending = self.pending.split(CRLF, 1)
        return line + CRLF

    def _exactly(self, count):
        if len(self.pending) < count:
            parts, have = [self.pending], len(self.pending)
            while have < count:
                data = self.socket.recv(1 << 18)
                if not data:
                    raise EOFError("the server closed the connection")
                parts.append(data)
                have += len(data)
            self.pending = b"".join(parts)
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def reply(self):
        """One whole reply."""
        line = self._line()
        if line[:1] == b"$" and line[1:2] != b"-":
            return line + self._exactly(int(line[1:]) + 2)
        if line[:1] == b"*" and line[1:2] != b"-":
            return line + b"".join(self.reply() for _ in range(int(line[1:])))
        return line

    def command(self, *args):
        self.send(encode(*args))
        return self.reply()

    def until_close(self, quiet=None):
        """All bytes until the server closes: (bytes, True); or, if `quiet` seconds are given,
        until nothing came for so long: (bytes, False)."""
        parts = [self.pending]
        self.pending = b""
        while True:
            ready, _, _ = select.select([self.socket], [], [], quiet or 10)
            if not ready:
                return b"".join(parts), False
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            if not data:
                return b"".join(parts), True
            parts.append(data)


def bulk(reply):
    """The bytes of a bulk reply."""
    return reply.split(CRLF, 1)[1][:-2]


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# ---- servers ------------------------------------------------------------------------------------


class Process:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def alive(self):
        return self.process.poll() is None

    def client(self, **options):
        return Client(self.port, **options)


class MiniRedis(Process):
    """The server under test; `nofile` limits its descriptors, `environment` is added to ours."""

    def __init__(self, env, *options, nofile=None, environment=None):
        def limit():
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [env.binary, "--port", "0", "--driver", env.driver, *options],
            stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=limit,
            env={**os.environ, **(environment or {})})
        self.ready = self.process.stdout.readline().decode()
        if not self.ready.startswith("ready on 127.0.0.1:"):
            self.process.kill()
            raise RuntimeError(f"did not start: {self.ready!r} {self.stderr()!r}")
        self.port = int(self.ready.split(":")[1].split()[0])

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def stop(self, signo=signal.SIGTERM):
        """Asks it to end. Returns (exit status, seconds)."""
        before = time.monotonic()
        self.process.send_signal(signo)
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            status = None
        return status, time.monotonic() - before

    def clients(self):
        with self.client() as client:
            info = client.command("INFO").decode()
        return int(info.split("connected_clients:")[1].split("\r\n")[0])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RealRedis(Process):
    """Debian's redis-server, which says what the right answers are."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--proto-max-bulk-len", "64mb", "--dir", self.folder.name],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not wait_for(self.answers):
            raise RuntimeError("redis-server did not start")

    def answers(self):
        try:
            with self.client() as client:
                return client.command("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        super().__exit__()
        self.folder.cleanup()


def raise_descriptors(wanted):
    """Raises the soft limit of this process. Returns whether `wanted` are to be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return True
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return True
        except (ValueError, OSError):
            return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def run_tool(*command, timeout=120):
    """Runs a tool to its end. Returns (status, output)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout, env={**os.environ, "LC_ALL": "C"})
    return done.returncode, done.stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit("run tests/redis/run instead")
