"""harness.py - the orders service, a PostgreSQL server and clients for its tests.

A test is a function with @test, or @on_each_store: then it is called for each kind of database with
a service that the tests share. It calls check() for each thing that must hold.
"""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
POSTGRES = os.path.join(HERE, "..", "adapters", "postgres")
TESTS = []
passed = 0
failed = 0


class Skipped(Exception):
    pass


def test(function):
    TESTS.append((function, False))
    return function


def on_each_store(function):
    TESTS.append((function, True))
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


def until(condition, seconds=10):
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        is_json = self.text and "json" in response.headers.get("Content-Type", "")
        self.json = json.loads(self.text) if is_json else None


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Client:
    """One connection, kept."""

    def __init__(self, connection):
        self.connection = connection

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body, headers)
        return Answer(self.connection.getresponse())

    def get(self, path):
        return self.ask("GET", path)

    def order(self, user=1, sku="tea", quantity=2, price=350, **headers):
        item = {"sku": sku, "quantity": quantity, "price": price}
        return self.ask("POST", "/orders", {"user": user, "items": [item]}, **headers)


class Service:
    """The service, started with some environment."""

    def __init__(self, env, **environment):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith("ORDERS_") and name != "DATABASE_URL"}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [env.binary], text=True, stdout=subprocess.PIPE, stderr=self.errors,
            env={**clean, "SKUA_DRIVER": env.driver, "ORDERS_LISTEN": "127.0.0.1:0", **environment})
        self.ready = self.process.stdout.readline()
        words = self.ready.split()
        self.url = words[2] if words[:2] == ["ready", "on"] else None
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url and "//" in self.url else None

    def client(self):
        return Client(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, number=signal.SIGTERM):
        """Its status, or None: it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.errors.close()


class Postgres:
    """A server of our own; .url is None where there is none."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sk-", dir="/tmp")
        status = self.run("start", str(os.getpid()))
        self.url = None
        if status == 0:
            self.url = f"postgresql://test@/postgres?host={self.folder}/run"
        elif status != 77:
            raise RuntimeError(f"PostgreSQL did not start: {status}")

    def run(self, *words):
        return subprocess.run([POSTGRES, words[0], self.folder, *words[1:]], check=False).returncode

    def database(self, name):
        """A new database: its URL."""
        self.sql(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres?", f"/{name}?")

    def sql(self, text):
        tool = shutil.which("psql")
        if tool is None:
            raise Skipped("no psql")
        subprocess.run([tool, "-q", "-c", text, self.url], check=True, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.url:
            self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Store:
    """One kind of database: what to start the service with, and the service that tests share."""

    def __init__(self, env, name, environment):
        self.name = name
        self.environment = environment
        self.service = Service(env, ORDERS_LOG="off", **environment)
        self.client = self.service.client()

    def stop(self):
        return self.service.stop()


def run_all(env, only):
    for function, each in TESTS:
        if only and not any(word in function.__name__ for word in only):
            continue
        for store in env.stores if each else [None]:
            name = function.__name__.replace("_", " ")
            print(f"- {name}{f', {store.name}' if store else ''}", flush=True)
            before = time.monotonic()
            try:
                function(env, store) if each else function(env)
            except Skipped as reason:
                print(f"    skipped: {reason}", flush=True)
            except Exception as error:  # a test that breaks is one that fails
                check(False, function.__name__, f"{error!r}\n{traceback.format_exc()}")
            took = time.monotonic() - before
            if took > 2:
                print(f"    ({took:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


@contextlib.contextmanager
def threads(count, function):
    """Runs function(index) on threads; joins them at the end."""
    import threading
    errors = []

    def body(index):
        try:
            function(index)
        except Exception as error:
            errors.append(error)

    running = [threading.Thread(target=body, args=(i,), daemon=True) for i in range(count)]
    for thread in running:
        thread.start()
    yield
    for thread in running:
        thread.join(60)
    check(not errors and not any(t.is_alive() for t in running), "the threads end", repr(errors))


if __name__ == "__main__":
    sys.exit("this is a part of tests/orders/run")
