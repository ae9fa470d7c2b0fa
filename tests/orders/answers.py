"""answers.py - every route, with right and with wrong input."""
import re

from harness import check, on_each_store, threads


def is_problem(answer, status, word=""):
    """An error as RFC 9457 has it, with a detail that has the word."""
    body = answer.json or {}
    return check(
        answer.status == status
        and answer.headers["Content-Type"] == "application/problem+json"
        and body.get("status") == status
        and body.get("type") == "about:blank"
        and body.get("title")
        and body.get("request") == answer.headers["X-Request-Id"]
        and word in body.get("detail", ""),
        f"a problem {status} with {word!r}", f"{answer.status} {answer.text}")


@on_each_store
def users_and_health(env, store):
    client = store.client
    answer = client.get("/health?verbose")
    check(answer.status == 200 and answer.json["status"] == "ready"
          and answer.json["checks"][0]["name"] == store.name, "health", answer.text)
    answer = client.get("/metrics")
    if answer.status != 501:  # 501: without libskua-otel
        check(answer.status == 200 and 'http_route="/health"' in answer.text, "metrics",
              answer.text[:300])
    answer = client.get("/users/1")
    check(answer.status == 200 and answer.json["id"] == 1 and answer.json["name"] == "Ada"
          and answer.json["email"] == "ada@example.org", "a user", answer.text)
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["created"]),
          "a time", answer.text)
    answer = client.ask("HEAD", "/users/1")
    check(answer.status == 200 and answer.text == "", "HEAD")
    is_problem(client.get("/users/99"), 404)
    is_problem(client.get("/users/99/orders"), 404)
    for wrong in ("x", "0", "-1", "1.5", "99999999999999999999", "1%00"):
        is_problem(client.get(f"/users/{wrong}"), 400)
        is_problem(client.get(f"/orders/{wrong}"), 400)
    is_problem(client.get("/orders/9223372036854775807"), 404)
    is_problem(client.get("/nothing/here"), 404)


@on_each_store
def methods(env, store):
    answer = store.client.ask("DELETE", "/orders/1")
    is_problem(answer, 405)
    check("GET" in answer.headers["Allow"], "Allow", answer.headers["Allow"])
    answer = store.client.ask("PUT", "/orders", {})
    is_problem(answer, 405)
    check("POST" in answer.headers["Allow"], "Allow", answer.headers["Allow"])


@on_each_store
def an_order_is_taken_and_found(env, store):
    client = store.client
    items = [{"sku": "tea", "quantity": 2, "price": 350}, {"sku": "a-b_c.D", "quantity": 10000,
                                                          "price": 100000000}]
    taken = client.ask("POST", "/orders", {"user": 2, "items": items})
    check(taken.status == 201 and taken.json["user"] == 2 and taken.json["items"] == items
          and taken.json["total"] == 2 * 350 + 10**12, "it is taken", taken.text)
    where = taken.headers["Location"]
    check(where == f"/orders/{taken.json['id']}", "Location", where)
    check(client.get(where).json == taken.json, "it is there")
    page = client.get("/users/2/orders?limit=100").json
    check(taken.json in page["orders"] and all(o["user"] == 2 for o in page["orders"]),
          "it is among the user's", str(page)[:300])


@on_each_store
def wrong_orders_are_refused(env, store):
    client = store.client
    good = {"sku": "tea", "quantity": 1, "price": 1}
    wrong = [
        (422, "user", {"items": [good]}),
        (422, "user", {"user": 1, "items": [good], "more": 1}),
        (422, "user", {"user": "1", "items": [good]}),
        (422, "user", {"user": 0, "items": [good]}),
        (422, "no such user", {"user": 99, "items": [good]}),
        (422, "items", {"user": 1, "items": []}),
        (422, "items", {"user": 1, "items": good}),
        (422, "items", {"user": 1, "items": [good] * 101}),
        (422, "items[1]", {"user": 1, "items": [good, 7]}),
        (422, "items[0]", {"user": 1, "items": [{"sku": "tea", "quantity": 1}]}),
        (422, "items[0].sku", {"user": 1, "items": [dict(good, sku="")]}),
        (422, "items[0].sku", {"user": 1, "items": [dict(good, sku="a b")]}),
        (422, "items[0].sku", {"user": 1, "items": [dict(good, sku="t\u00e9")]}),
        (422, "items[0].sku", {"user": 1, "items": [dict(good, sku="x" * 65)]}),
        (422, "items[0].sku", {"user": 1, "items": [dict(good, sku=5)]}),
        (422, "items[0].quantity", {"user": 1, "items": [dict(good, quantity=0)]}),
        (422, "items[0].quantity", {"user": 1, "items": [dict(good, quantity=10001)]}),
        (422, "items[0].quantity", {"user": 1, "items": [dict(good, quantity=1.5)]}),
        (422, "items[0].quantity", {"user": 1, "items": [dict(good, quantity=True)]}),
        (422, "items[0].price", {"user": 1, "items": [dict(good, price=-1)]}),
        (422, "items[0].price", {"user": 1, "items": [dict(good, price=100000001)]}),
        (422, "object", [1, 2]),
    ]
    for status, word, body in wrong:
        is_problem(client.ask("POST", "/orders", body), status, word)
    for body in ("", "{", "{\"user\": 1,}", "[" * 30000, "\"\\ud800\"", b"{\"user\": \"\xff\"}",
                 "{\"user\": 1, \"user\": 2, \"items\": []}", "{\"user\": 99999999999999999999}",
                 "{\"user\": \"\\u0000\"}"):
        is_problem(client.ask("POST", "/orders", body, Content_Type="application/json"), 400)
    is_problem(client.ask("POST", "/orders", "{}", Content_Type="text/plain"), 415)
    is_problem(client.ask("POST", "/orders", "{}"), 415)
    too_long = {"user": 1, "items": [dict(good, sku="x" * 70000)]}
    answer = store.service.client().ask("POST", "/orders", too_long)
    check(answer.status == 413, "a long body", answer.text)
    answer = client.ask("POST", "/orders", {"user": 1, "items": [good]},
                        Content_Type="application/json; charset=utf-8")
    check(answer.status == 201, "a type with a parameter", answer.text)


def walk(client, path):
    """All orders, page by page: their ids."""
    ids = []
    while path:
        answer = client.get(path)
        if not check(answer.status == 200, "a page", answer.text):
            break
        ids += [order["id"] for order in answer.json["orders"]]
        link = answer.headers["Link"]
        path = answer.json["next"]
        check(link == (f'<{path}>; rel="next"' if path else None), "Link", str(link))
    return ids


@on_each_store
def paging(env, store):
    client = store.client
    made = [client.order(user=3, sku=f"p-{i}").json["id"] for i in range(25)]
    ids = walk(client, "/users/3/orders?limit=7")
    check(ids == made, "all of a user's, in their order", f"{ids} {made}")
    check(walk(client, "/users/3/orders?limit=25") == made, "exactly one page")
    everything = walk(client, "/orders?limit=100")
    check(everything == sorted(set(everything)) and set(made) <= set(everything), "all of all")
    check(len(client.get("/orders").json["orders"]) == 20, "20 when nothing is said")
    last = client.get(f"/orders?after={everything[-1]}").json
    check(last == {"orders": [], "next": None}, "behind the last one", str(last))
    for wrong in ("limit=0", "limit=101", "limit=x", "limit=", "limit=-1", "after=-1", "after=x",
                  "after=9223372036854775808"):
        is_problem(client.get(f"/orders?{wrong}"), 400, wrong.split("=", maxsplit=1)[0])


@on_each_store
def the_same_key_is_one_order(env, store):
    client = store.client
    first = client.order(Idempotency_Key="key-1")
    again = client.order(Idempotency_Key="key-1")
    check(first.status == again.status == 201 and first.json == again.json, "one order", again.text)
    check(first.headers["Idempotency-Replayed"] is None
          and again.headers["Idempotency-Replayed"] == "true", "and it is told")
    is_problem(client.order(quantity=3, Idempotency_Key="key-1"), 409, "Idempotency-Key")
    check(client.order(user=2, Idempotency_Key="key-1").json["id"] != first.json["id"],
          "another user's key is another key")
    # The order of members and blanks make no other order.
    body = '{"items":[{"price":350,"sku":"tea","quantity":2}],  "user":1}'
    answer = client.ask("POST", "/orders", body, Content_Type="application/json",
                        Idempotency_Key="key-1")
    check(answer.json == first.json, "the same, written in another way", answer.text)
    for key in ("", "x" * 65, "a b", "t\u00e9"):
        is_problem(client.order(Idempotency_Key=key.encode("latin-1")), 400)
    ids = set()
    with threads(8, lambda i: ids.add(store.service.client().order(Idempotency_Key="k").json["id"])):
        pass
    check(len(ids) == 1, "eight at a time", str(ids))


@on_each_store
def many_at_a_time(env, store):
    made = []

    def post(_):
        client = store.service.client()
        for _ in range(20):
            answer = client.order()
            check(answer.status == 201, "it is taken", answer.text)
            made.append(answer.json["id"])

    with threads(8, post):
        pass
    check(len(set(made)) == 160, "each has an id of its own", str(len(set(made))))
    check(set(made) <= set(walk(store.client, "/orders?limit=100")), "all are there")
