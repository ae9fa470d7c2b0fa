"""hostile.py - requests that two programs may understand differently, sent through the gateway: the
upstream sees one request or none, and never what was hidden in another.
"""
import ast
import os
import re

from upstream import Gateway, Upstream, everything

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../http/corpus.h")
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def corpus():
    """(name, bytes, status) of each entry of corpus.h, whose strings are C's."""
    text = open(CORPUS).read()
    text = text[text.index("corpus[] = {") + 12:text.rindex("};")]
    text = re.sub(r'GET\(("(?:[^"\\]|\\.)*")\)', r'"GET " \1 " HTTP/1.1\\r\\nHost: a\\r\\n"', text)
    text = re.sub(r"\bPOST\b(?! /)", r'"POST / HTTP/1.1\\r\\nHost: a\\r\\n"', text)
    string = r'"(?:[^"\\]|\\.)*"'
    entry = re.compile(r"\{\s*(%s)\s*,\s*((?:%s\s*)+),\s*(\d+)\s*," % (string, string))
    for found in entry.finditer(text):
        parts = re.findall(string, found.group(2))
        yield (ast.literal_eval(found.group(1)),
               b"".join(ast.literal_eval("b" + part) for part in parts), int(found.group(3)))


def test_nothing_is_smuggled(env):
    entries = list(corpus())
    assert len(entries) > 80, len(entries)
    with Upstream() as up, Gateway(
            env, f"group g {up.address} breaker-minimum=100000", "route / g") as gate:
        for name, data, status in entries:
            up.seen.clear()
            up.behaviour = lambda conn, request: conn.reply(
                200, b"" if request.method == "HEAD" else b"ok")
            with gate.raw(data + HIDDEN) as sock:
                sock.shutdown(1)
                said = everything(sock)
            answers = re.findall(rb"(?:^|ok|\n)HTTP/1\.1 (\d+) ", said)
            if status == 200:
                star = data.startswith(b"OPTIONS ")
                kept = b"HTTP/1.0" not in data.split(b"\r\n")[0]
                assert answers[0] in (b"200", b"204"), (name, said)
                assert len(up.seen) == (0 if star else 1) + (1 if kept else 0), (name, up.seen)
                assert all(len(r.all("host")) <= 1 for r in up.seen), name
            else:
                # One that is refused ends its connection: what stands behind it is nobody's.
                assert answers == [str(status).encode()], (name, said)
                assert not up.seen, (name, [r.line for r in up.seen])


def test_what_is_passed_on_is_one_request(env):
    """Fields with which a client may try to write the upstream's head, or hide ours."""
    with Upstream() as up, Gateway(env, f"group g {up.address}", "route / g") as gate:
        for fields in (b"Connection: Host\r\n", b"Connection: X-Forwarded-For, Via, Forwarded\r\n",
                       b"Connection: Content-Length\r\nContent-Length: 3\r\n",
                       b"Connection: Transfer-Encoding\r\nContent-Length: 3\r\n",
                       b"Transfer_Encoding: chunked\r\nContent_Length: 9\r\n",
                       b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: HTTP2-Settings\r\n",
                       b"Upgrade: H2C\r\nHTTP2-Settings: AAMAAABk\r\n"
                       b"Connection: Upgrade, HTTP2-Settings\r\n",
                       b"X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n",
                       b"Connection: " + b"a, " * 1000 + b"b\r\n"):
            up.seen.clear()
            body = b"abc" if b"Content-Length: 3" in fields else b""
            method = b"POST" if body else b"GET"
            with gate.raw(method + b" / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + body) as sock:
                sock.shutdown(1)
                said = everything(sock)
            assert said.startswith(b"HTTP/1.1 200 "), (fields, said)
            [seen] = up.seen
            assert seen.one("host") == "a" and seen.one("x-forwarded-for") == "127.0.0.1"
            assert seen.one("via") and seen.one("forwarded") and seen.body == body
            assert not any("_" in name for name, _ in seen.headers)
            assert not seen.all("upgrade") and not seen.all("http2-settings")
        with gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Connection: a\r\n" * 17 + b"\r\n") as sock:
            sock.shutdown(1)
            assert everything(sock).startswith(b"HTTP/1.1 400 ")
