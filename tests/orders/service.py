"""service.py - start, stop, configuration, and what happens when the database goes away."""
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import time
import http.client

from harness import Client, Service, Skipped, UnixConnection, check, on_each_store, test, threads, \
    until


@test
def a_wrong_environment_is_refused(env):
    wrong = [
        ({"ORDERS_LISTEN": "somewhere"}, "ADDRESS:PORT"),
        ({"ORDERS_LISTEN": "unix:"}, "unix:PATH"),
        ({"ORDERS_MAX_CLIENT": "1"}, "no such variable"),
        ({"ORDERS_MAX_CLIENTS": "0"}, "from 1 to"),
        ({"ORDERS_MAX_BODY": "7x"}, "whole number"),
        ({"ORDERS_TIMEOUT_MS": "99999999999999999999"}, "whole number"),
        ({"ORDERS_LOG": "loud"}, "json, common or off"),
        ({"ORDERS_TLS_CERT": "/nowhere"}, "belong together"),
        ({"DATABASE_URL": "mysql://me:secret@host/x"}, "postgresql://"),
    ]
    for environment, words in wrong:
        with Service(env, **environment) as service:
            status = service.stop()
            text = service.stderr()
            check(status == 2 and words in text and list(environment)[0] in text
                  and "secret" not in text and service.url is None, str(environment),
                  f"{status} {text}")


@test
def what_cannot_be_had_is_told(env):
    taken = env.stores[0].service.port
    wrong = [
        ({"ORDERS_DB": "/nowhere/at/all.db"}, "unable to open"),
        ({"ORDERS_LISTEN": f"127.0.0.1:{taken}"}, "cannot listen"),
        ({"ORDERS_TLS_CERT": "/nowhere", "ORDERS_TLS_KEY": "/nowhere"}, "certificate"),
        ({"DATABASE_URL": "postgresql://x@/x?host=/nowhere"}, "PostgreSQL"),
    ]
    for environment, words in wrong:
        with Service(env, **environment) as service:
            status = service.stop()
            text = service.stderr()
            check(status == 1 and (words in text or "libpq" in text), str(environment),
                  f"{status} {text}")


def records_of(text):
    """In the order of their times: those of several threads come as they come."""
    return sorted((json.loads(line) for line in text.splitlines() if line.startswith("{")),
                  key=lambda record: record["time"])


@test
def the_log_is_json(env):
    with Service(env) as service:
        answer = service.client().ask("GET", "/users/1?x=%22", X_Request_Id="abc-1")
        check(answer.headers["X-Request-Id"] == "abc-1", "the id is the client's")
        service.client().get("/no/where")
        check(service.stop() == 0, "it stops")
        if " INFO " in service.stderr():
            raise Skipped("without libskua-otel")
        lines = records_of(service.stderr())
        what = [line["attributes"] for line in lines]
        check([one["http.response.status_code"] for one in what] == [200, 404], "two lines",
              str(lines))
        check(what[0]["http.route"] == "/users/:id" and what[0]["request.id"] == "abc-1",
              "route and id", str(lines[0]))
        check(what[0]["client.address"] == "127.0.0.1", "an address has no port", str(lines[0]))
        check(lines[0]["severity"] == "INFO" and lines[0]["logger"] == "orders.access"
              and re.fullmatch("[0-9a-f]{32}", lines[0]["traceId"]), "whose it is", str(lines[0]))


@test
def logs_and_spans_have_the_trace_of_the_request(env):
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Service(env, OTEL_TRACES_EXPORTER="console", SKUA_LOG="debug") as service:
        answer = service.client().order(traceparent=f"00-{trace}-{parent}-01")
        check(answer.status == 201, "an order", answer.text)
        check(service.stop() == 0, "it stops")
        text = service.stderr()
        if " INFO " in text:
            raise Skipped("without libskua-otel")
        records = records_of(text)
        check([record["logger"] for record in records] == ["orders", "orders.access"],
              "the order's record, and the request's", text)
        check(all(record["traceId"] == trace for record in records), "the trace is the client's")
        spans = {record["spanId"] for record in records}
        check(len(spans) == 1 and parent not in spans, "of the server's span", str(spans))
        check(" ms  POST /orders " in text and " ms    INSERT orders " in text,
              "the spans are a tree", text)


def samples(text):
    """{name: {labels: value}} of a page in Prometheus' text format."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(\{.*\})? (\S+)", line).groups()
            found.setdefault(name, {})[labels or ""] = float(value)
    return found


@on_each_store
def metrics_are_one_page(env, store):
    with Service(env, ORDERS_LOG="off", **store.environment) as service:
        client = service.client()
        check(client.order(Idempotency_Key="of-the-page").status == 201, "an order")
        check(client.order(Idempotency_Key="of-the-page").status == 201, "the same one")
        client.get("/orders/1")
        client.get("/no/where")
        answer = client.get("/metrics")
        if answer.status == 501:
            raise Skipped("without libskua-otel")
        page = samples(answer.text)
        check(page["orders_created_total"] == {"{}": 1} or page["orders_created_total"] == {"": 1},
              "one order was made", str(page["orders_created_total"]))
        served = page["http_server_request_duration_seconds_count"]
        posts = [value for labels, value in served.items()
                 if 'http_route="/orders"' in labels and 'status_code="201"' in labels]
        check(posts == [2], "two requests to make it", str(served))
        check(any('status_code="404"' in labels and "http_route" not in labels
                  for labels in served), "a request without a route", str(served))
        check(sum(page["http_server_active_requests"].values()) == 1, "this one is under way",
              str(page["http_server_active_requests"]))
        sql = page["db_client_operation_duration_seconds_count"]
        check(any('db_query_summary="INSERT orders"' in labels and f'"{store.name}"' in labels
                  for labels in sql), "statements are measured", str(sql))
        check('service_name="orders"' in str(page["target_info"]), "who tells it")
        check("http_server_requests_total" not in page, "and tells it once")
        check(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), "as text",
              answer.headers["Content-Type"])
        check(service.stop() == 0, "it stops")


@test
def a_dead_collector_holds_nobody_up(env):
    with Service(env, ORDERS_LOG="off", OTEL_TRACES_EXPORTER="otlp",
                 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces") as service:
        check(service.client().order().status == 201, "an order")
        if service.client().get("/metrics").status == 501:
            raise Skipped("without libskua-otel")
        before = time.monotonic()
        check(service.stop() == 0, "it stops")
        check(time.monotonic() - before < 20, "soon")
        text = service.stderr()
        check("did not get to http://127.0.0.1:1/" in text, "and says what was lost", text)


@test
def an_endpoint_of_a_signal_is_where_it_goes(env):
    with Service(env, ORDERS_LOG="off",
                 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces") as service:
        check(service.client().order().status == 201, "an order")
        if service.client().get("/metrics").status == 501:
            raise Skipped("without libskua-otel")
        check(service.stop() == 0, "it stops")
        text = service.stderr()
        check("spans did not get to http://127.0.0.1:1/" in text, "spans go there", text)
        check("points of metrics" not in text, "and nothing else goes anywhere", text)


@test
def unix_sockets(env):
    path = os.path.join(env.folder, "socket")
    for number in (signal.SIGTERM, signal.SIGINT):
        with Service(env, ORDERS_LISTEN=f"unix:{path}", ORDERS_LOG="off") as service:
            check(service.url == f"unix:{path}", "it says where", service.ready)
            check(Client(UnixConnection(path)).order().status == 201, "an order")
            service.process.send_signal(signal.SIGHUP)  # without TLS: nothing
            check(Client(UnixConnection(path)).get("/health").status == 200, "health")
            check(service.stop(number) == 0, "it stops")
            check(not os.path.exists(path), "the socket is gone")


def certificate(folder, name):
    tool = shutil.which("openssl")
    if tool is None:
        raise Skipped("no openssl")
    subprocess.run([tool, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem",
                    "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)


@test
def tls_and_its_certificates(env):
    certificate(env.folder, "one")
    # A thread of the blocking pool may end after main has, and then OpenSSL, which has cleaned up
    # by then, does not free what it has kept for that thread: no leak of ours.
    with open(f"{env.folder}/openssl.supp", "w", encoding="ascii") as file:
        file.write("leak:libcrypto.so\n")
    with Service(env, LSAN_OPTIONS=f"suppressions={env.folder}/openssl.supp:print_suppressions=0",
                 ORDERS_TLS_CERT=f"{env.folder}/cert.pem",
                 ORDERS_TLS_KEY=f"{env.folder}/key.pem", ORDERS_LOG="off") as service:
        if service.url is None:
            raise Skipped("no TLS in the build")

        def subject():
            context = ssl.create_default_context(cafile=f"{env.folder}/cert.pem")
            connection = http.client.HTTPSConnection("127.0.0.1", service.port, timeout=10,
                                                     context=context)
            answer = Client(connection).order()
            check(answer.status == 201, "an order", answer.text)
            name = dict(field[0] for field in connection.sock.getpeercert()["subject"])
            connection.close()
            return name["commonName"]

        check(service.url.startswith("https://"), "it says https", service.ready)
        check(subject() == "one", "the first certificate")
        certificate(env.folder, "two")
        service.process.send_signal(signal.SIGHUP)
        check(until(lambda: "reloaded" in service.stderr()), "it says so", service.stderr())
        check(subject() == "two", "the second one")
        with open(f"{env.folder}/cert.pem", "w", encoding="ascii") as file:
            file.write("nothing")
        service.process.send_signal(signal.SIGHUP)
        check(until(lambda: "certificate: " in service.stderr()), "a wrong one is told",
              service.stderr())
        check(service.process.poll() is None, "and nothing else happens")
        status = service.stop()
        check(status == 0, "it stops", f"{status} {service.stderr()}")


@on_each_store
def a_stop_loses_no_order(env, store):
    """TERM while many clients post: what was acknowledged is there, and nobody was cut off."""
    made, cut = [], []
    with Service(env, ORDERS_LOG="off", **store.environment) as service:

        def post(_):
            client = service.client()
            while True:
                try:
                    answer = client.order(user=2)
                except (ConnectionRefusedError, http.client.RemoteDisconnected):
                    return  # between requests: none was under way, or it was not begun
                except (http.client.IncompleteRead, ConnectionResetError, BrokenPipeError) as error:
                    cut.append(repr(error))
                    return
                if answer.status != 201:
                    cut.append(answer.text)
                    return
                made.append(answer.json["id"])

        with threads(12, post):
            until(lambda: len(made) > 60)
            status = service.stop()
        check(status == 0, "status 0", f"{status} {service.stderr()}")
        # A connection that was closed while a request was on its way to it may be reset.
        check(len([c for c in cut if "Reset" not in c and "Broken" not in c]) == 0,
              "each answer was whole", str(cut))
    found = set()
    for number in made:
        found.add(store.client.get(f"/orders/{number}").status)
    check(len(made) > 60 and found == {200}, "all are there", f"{len(made)} {found}")


@test
def somebody_else_writes_the_file(env):
    """Another process has the write lock: orders are refused, none half-way; reading goes on."""
    path = os.path.join(env.folder, "shared.db")
    with Service(env, ORDERS_LOG="off", ORDERS_DB=path) as service:
        client = service.client()
        check(client.order().status == 201, "an order")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        statuses = []
        with threads(6, lambda i: statuses.append(service.client().order().status)):
            check(len(client.get("/orders").json["orders"]) == 1, "reading goes on")
        check(statuses == [503] * 6, "503", str(statuses))
        other.execute("ROLLBACK")
        other.close()
        check(client.order().status == 201, "orders are taken again")
        check(len(client.get("/orders").json["orders"]) == 2, "and nothing else was")
        check(service.stop() == 0, "it stops")


def needs_postgres(env, store):
    if store.name != "postgresql":
        raise Skipped("SQLite does not go away")


@on_each_store
def the_database_goes_and_comes(env, store):
    needs_postgres(env, store)
    client = store.client
    before = client.order().json
    statuses, stop = set(), []

    def post(_):
        mine = store.service.client()
        while not stop:
            statuses.add(mine.order().status)
            time.sleep(0.002)

    with threads(4, post):
        check(env.postgres.run("stop") == 0, "it stops")
        check(until(lambda: client.get("/health").status == 503), "health is bad")
        answer = client.order()
        check(answer.status == 503 and answer.headers["Retry-After"] == "1"
              and answer.json["status"] == 503, "503", answer.text)
        check(env.postgres.run("start", str(os.getpid())) == 0, "it starts")
        check(until(lambda: client.get("/health").status == 200), "health is good again")
        stop.append(True)
    check(statuses <= {201, 503}, "nothing else was answered", str(statuses))
    check(client.get(f"/orders/{before['id']}").json == before, "what was there is there")
    check(client.order().status == 201, "and orders are taken")


@on_each_store
def a_slow_database_is_no_slow_service(env, store):
    """A lock on orders: who wants to write gets 504, and users are found all the same."""
    needs_postgres(env, store)
    with Service(env, ORDERS_LOG="off", ORDERS_TIMEOUT_MS="400", **store.environment) as service:
        tool = shutil.which("psql")
        if tool is None:
            raise Skipped("no psql")
        lock = subprocess.Popen([tool, "-q", "-c", "BEGIN; LOCK TABLE orders; SELECT pg_sleep(2)",
                                 env.postgres.url], stdout=subprocess.DEVNULL)
        client = service.client()
        check(until(lambda: client.order().status == 504), "an order is too slow")
        for _ in range(20):
            check(client.get("/users/1").status == 200, "a user is not")
        lock.terminate()
        lock.wait()
        check(until(lambda: client.order().status == 201), "orders are taken again")
        check(service.stop() == 0, "it stops")


@test
def too_many_at_a_time(env):
    """One at a time, nobody in line: the others are told to come back."""
    with Service(env, ORDERS_LOG="off", ORDERS_MAX_RUNNING="1", ORDERS_MAX_WAITING="0") as service:
        statuses, waits = [], []

        def get(_):
            client = service.client()
            for _ in range(100):
                answer = client.get("/orders")
                statuses.append(answer.status)
                if answer.status == 503:
                    waits.append(answer.headers["Retry-After"])
                check(client.get("/health").status == 200, "health is not limited")

        with threads(8, get):
            pass
        check(set(statuses) == {200, 503} and set(waits) == {"1"}, "200 and 503",
              f"{set(statuses)} {set(waits)}")
