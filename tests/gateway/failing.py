"""failing.py - upstreams that fail: who is asked again, who is not, and what the client is told."""
import http.client
import os
import subprocess
import tempfile
import threading
import time

from upstream import Gateway, Upstream, answer_ok, everything, refused, until


def die(conn, _request):
    conn.reset()
    return "close"


def busy(conn, _request):
    conn.reply(503, b"busy", "Retry-After: 7")


def both(env, behaviour, *options):
    """A gateway in front of one that misbehaves and one that does not; the first is asked first."""
    bad, good = Upstream(behaviour), Upstream()
    gate = Gateway(env, f"group g {bad.address} {good.address} breaker-minimum=1000 "
                        f"retry-percent=1000 {' '.join(options)}", "route / g")
    return bad, good, gate


def until_asked(gate, bad, *request, **options):
    """Asks until the bad one was asked, too: its answer."""
    count = bad.begun
    for _ in range(100):
        answer = gate.ask(*request, **options)
        if bad.begun > count:
            return answer
    raise AssertionError("the bad one was never asked")


def test_idempotent_requests_are_sent_again(env):
    for behaviour in (die, busy):
        bad, good, gate = both(env, behaviour)
        with bad, good, gate:
            for request in (("GET",), ("DELETE",), ("OPTIONS",), ("PUT", "/", b"x" * 60000)):
                status, _, body = until_asked(gate, bad, *request)
                assert (status, body) == (200, b"hello\n"), (request, status, body)
                assert good.seen[-1].method == request[0]
                assert good.seen[-1].body == bad.seen[-1].body
            assert until_asked(gate, bad, "HEAD")[0] == 200
            assert gate.member(1)["retries"] >= 5 and gate.member(0)["failures"] >= 5


def test_others_are_not(env):
    for behaviour, status in ((die, 502), (busy, 503)):
        bad, good, gate = both(env, behaviour)
        with bad, good, gate:
            for request in (("POST", "/", b""), ("POST", "/", b"abc"), ("PATCH", "/", b"abc"),
                            ("PUT", "/", b"x" * 100_000)):
                good.seen.clear()
                count = bad.begun
                while bad.begun == count:
                    good.seen.clear()
                    got, headers, body = gate.ask(*request)
                assert got == status and not good.seen, (request, got)
                if status == 503:  # what it said is passed on
                    assert (headers["Retry-After"], body) == ("7", b"busy")
            assert until_asked(gate, bad, "POST", body=iter([b"abc"]), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})[0] == status
            assert gate.member(1)["retries"] == 0


def test_nobody_has_heard_of_it(env):
    with Upstream() as good, Gateway(
            env, f"group g {refused()} {good.address} breaker-minimum=1000 retry-percent=1000",
            "route / g") as gate:
        for request in (("GET",), ("POST", "/", b"abc"), ("POST", "/", b"x" * 100_000)):
            for _ in range(10):
                assert gate.ask(*request)[0] == 200, request
        assert gate.member(0)["failures"] > 0 and len(good.seen) == 30


def test_a_budget_for_retries(env):
    bad, good, gate = both(env, die, "retry-percent=0")
    with bad, good, gate:
        assert until_asked(gate, bad)[0] == 502
        assert gate.member(1)["retries"] == 0
    with Upstream(busy) as a, Upstream(busy) as b, Upstream(busy) as c, Gateway(
            env, f"group g {a.address} {b.address} {c.address} breaker-minimum=1000",
            "route / g tries=2") as gate:
        assert gate.ask()[0] == 503
        assert a.begun + b.begun + c.begun == 2  # tries


def test_time_outs(env):
    stop = threading.Event()

    def hang(_conn, _request):
        stop.wait(20)
        return "close"

    with Upstream(hang) as up, Gateway(
            env, f"group g {up.address} timeout=200ms", "route / g") as gate:
        for request in (("GET",), ("POST", "/", b"x" * 100_000)):
            began = time.monotonic()
            assert gate.ask(*request)[0] == 504, request
            assert time.monotonic() - began < 15
        stop.set()

    def stall(conn, _request):
        conn.send(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc")
        stop.wait(20)
        return "close"

    stop.clear()
    with Upstream(stall) as up, Gateway(
            env, f"group g {up.address} idle=200ms", "route / g") as gate:
        with gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as sock:
            said = everything(sock)
            assert said.startswith(b"HTTP/1.1 200 ") and said.endswith(b"abc"), said
        stop.set()


def test_an_answer_that_breaks_off(env):
    ends = {"/length": b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc",
            "/chunks": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "/bad": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n"}

    def answer(conn, request):
        conn.send(ends[request.target])
        return "close"

    with Upstream(answer) as a, Upstream(answer) as b, Gateway(
            env, f"group g {a.address} {b.address} breaker-minimum=1000", "route / g") as gate:
        for count, path in enumerate(ends, 1):
            try:
                gate.ask(path=path)
                raise AssertionError(f"{path}: it looks whole")
            except http.client.IncompleteRead as error:
                assert error.partial == b"abc", error
            assert a.begun + b.begun == count, path  # it was begun: not again
        assert gate.member(0)["failures"] + gate.member(1)["failures"] == 3


def test_answers_that_are_none(env):
    texts = [b"", b"\x16\x03\x01\x00", b"HTTP/1.1 200 X\r\nContent-Length: 1\r\n"
             b"Content-Length: 2\r\n\r\nab", b"HTTP/1.1 200 X\nA: b\n\n",
             b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             b"HTTP/1.1 200 X\r\nA : b\r\n\r\n", b"HTTP/1.1 200 X\r\nA: b\r\n c\r\n\r\n",
             b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n",
             b"HTTP/1.1 200 X\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"]

    def answer(conn, request):
        conn.send(texts[int(request.target[1:])])
        return "close"

    with Upstream(answer) as up, Gateway(
            env, f"group g {up.address} breaker-minimum=1000", "route / g") as gate:
        for i, text in enumerate(texts):
            status, headers, _ = gate.ask(path=f"/{i}")
            assert status == 502 and headers["A"] is None, (text[:60], status)


def test_the_breaker_opens_and_closes(env):
    state = {"behaviour": busy}
    with Upstream(lambda conn, request: state["behaviour"](conn, request)) as up, Gateway(
            env, f"group g {up.address} breaker-minimum=5 breaker-percent=60 breaker-open=500ms",
            "route / g") as gate:
        for _ in range(5):
            assert gate.ask()[2] == b"busy"
        until(lambda: gate.member()["breaker"] == "open")
        status, headers, body = gate.ask()
        assert status == 503 and body != b"busy" and int(headers["Retry-After"]) >= 1
        assert len(up.seen) == 5
        time.sleep(0.6)
        assert gate.ask()[2] == b"busy"  # the probe
        assert gate.ask()[2] != b"busy" and len(up.seen) == 6
        state["behaviour"] = answer_ok
        time.sleep(0.6)
        for _ in range(5):
            assert gate.ask()[::2] == (200, b"hello\n")
        member = gate.member()
        assert member["breaker"] == "closed" and member["opened"] == 2, member
        for _ in range(20):  # what the client does wrong is not the upstream's fault
            with gate.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"):
                pass
            with gate.raw(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n") \
                    as sock:
                assert everything(sock).startswith(b"HTTP/1.1 400 ")
        until(lambda: gate.member()["running"] == 0)
        member = gate.member()
        assert member["breaker"] == "closed" and member["failures"] == 6 and gate.ask()[0] == 200


def test_health_checks(env):
    state = {"bad": False}

    def answer(conn, request):
        bad = state["bad"] and request.target == "/up?"
        conn.reply(500 if bad else 200, b"b")

    with Upstream(answer) as a, Upstream() as b, Gateway(
            env, f"group g {a.address} {b.address} health=/up? interval=50ms", "route / g") as gate:
        state["bad"] = True
        until(lambda: gate.member(0)["down"])
        for _ in range(10):
            assert gate.ask()[2] == b"hello\n"
        state["bad"] = False
        until(lambda: not gate.member(0)["down"])
        until(lambda: gate.ask()[2] == b"b")
        b.stop()
        until(lambda: gate.member(1)["down"])
        b.again()
        until(lambda: not gate.member(1)["down"])


def test_limits(env):
    release = threading.Event()

    def slow(conn, _request):
        release.wait(20)
        conn.reply(200, b"slow")

    with Upstream() as up, Upstream(slow) as lazy, Gateway(
            env, f"group g {up.address}", f"group s {lazy.address}",
            "route /rate g rate=1 burst=3", "route /few s running=2", "route /body g body=1k"
            ) as gate:
        got = [gate.ask(path="/rate")[0] for _ in range(6)]
        assert got[:3] == [200, 200, 200] and 429 in got[3:], got
        socks = [gate.raw(b"GET /few HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                 for _ in range(2)]
        until(lambda: len(lazy.seen) == 2)
        status, headers, _ = gate.ask(path="/few")
        assert status == 503 and headers["Retry-After"], status
        release.set()
        for sock in socks:
            assert everything(sock).endswith(b"slow")
            sock.close()
        assert gate.ask("POST", "/body", b"x" * 1024)[0] == 200
        count = up.begun
        assert gate.ask("POST", "/body", b"x" * 1025)[0] == 413 and up.begun == count
        with gate.raw(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n") as sock:
            assert everything(sock).startswith(b"HTTP/1.1 413 ")
        assert len([r for r in up.seen if r.target == "/body"]) == 1


def test_rates_behind_a_proxy(env):
    with Upstream() as up, Gateway(
            env, f"group g {up.address}", "route /t g trust=1 rate=1 burst=2",
            "route /u g rate=1 burst=2") as gate:
        def got(path, whom):
            return [gate.ask(path=path, headers={"X-Forwarded-For": f"9.9.9.9, {w}"})[0]
                    for w in whom]
        assert got("/t", "aabbccdd") == [200] * 8
        assert 429 in got("/t", "aaaa") and got("/t", "e") == [200]
        assert 429 in got("/u", "abcdef")


def test_what_is_no_configuration(env):
    good = ["group g 127.0.0.1:1", "route / g"]
    for lines in ([], ["route / g"], good[:1], good + ["frob"], ["group g"] + good[1:],
                  ["group g connect=1s"] + good[1:], good + ["group g 127.0.0.1:2"],
                  good + ["route x g"], good + ["route /x g rate=-1"],
                  good + ["route /x g rate=1s"], good + ["route /x g frob=1"],
                  ["group g 127.0.0.1:1 timeout=0s"] + good[1:],
                  ["group g 127.0.0.1:1 balance=none"] + good[1:], good + ["listen"],
                  good + ["drain 0s"], good + ['via a"b'], good + ["log xml"],
                  ["group g " + " ".join(["127.0.0.1:1"] * 17)] + good[1:],
                  good + ["route /" + "x" * 100 + " g"]):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("\n".join(lines))
            file.flush()
            done = subprocess.run([env.binary, "--check", file.name], capture_output=True,
                                  text=True, timeout=30, check=False)
            assert done.returncode == 2 and done.stderr.count("\n") == 1, (lines, done)
    sample = os.path.join(os.path.dirname(__file__), "../../examples/gateway/gateway.conf")
    assert subprocess.run([env.binary, "--check", sample], timeout=30, check=False).returncode == 0
    for words in ([], ["--check"], ["/nonexistent"]):
        assert subprocess.run([env.binary, *words], timeout=30, check=False,
                              stderr=subprocess.DEVNULL).returncode == 2
