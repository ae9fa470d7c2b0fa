/* drivers: both */
/* test_http2_stop.c - HTTP/2 on sockets: how a server stops, ALPN, and a storm over two workers.
 *
 * Specifies server.h, "Stopping", for HTTP/2: a notice, after a round trip the last GOAWAY, and
 * what is under way ends in between; idle connections close; what is late is cancelled. And its
 * counts.
 */
#include <stdatomic.h>

#include "served.h"

#include "frames.h"

struct stop {
    skua_notify inside, go;
    atomic_int cancelled;
};

static int stays(skua_http_exchange *exchange, void *state)
{
    struct stop *stop = state;
    int rc;

    skua_notify_one(&stop->inside);
    rc = skua_notified(&stop->go);
    if (rc != 0)
        atomic_fetch_add(&stop->cancelled, 1);
    return rc == 0 ? skua_http_reply(exchange, 200, NULL, "done", 4) : rc;
}

static void wire_to(struct wire *wire, const struct served *served, skua_tcp **tcp)
{
    *tcp = connected(served);
    wire_begin_on(wire, skua_tcp_io(*tcp));
    wire_hello(wire);
}

static void wire_from(struct wire *wire, skua_tcp *tcp)
{
    CHECK_EQ(skua_tcp_close(tcp), 0);
    nghttp2_hd_inflate_del(wire->inflater);
}

TEST_FIBER(http2_stop)
{
    struct wire *busy = calloc(1, sizeof *busy), *idle = calloc(1, sizeof *idle);
    struct stop stop = {SKUA_NOTIFY_INIT, SKUA_NOTIFY_INIT, 0};
    skua_http_server_stats stats;
    struct wire_frame frame;
    struct served served;
    skua_tcp *tcp[2];

    served_begin(&served, stays, &stop, NULL);
    wire_to(busy, &served, &tcp[0]);
    wire_to(idle, &served, &tcp[1]);
    wire_sync(idle);
    wire_ask(busy, 1, "GET", "/", NULL, true);
    CHECK_EQ(skua_notified(&stop.inside), 0);
    skua_http_server_stats_of(served.server, &stats);
    CHECK_EQ(stats.connections_now, 2);
    CHECK_EQ(stats.requests_now, 1);
    (void)skua_task_cancel(served.task);
    wire_until_over(idle);
    CHECK_EQ(idle->goaways, 1);
    CHECK_EQ(idle->goaway_code, NGHTTP2_NO_ERROR);
    busy->rude = true; /* the PING is not answered yet */
    while (busy->goaways == 0 && wire_read(busy, &frame))
        ;
    CHECK_EQ(busy->goaway_last, 0x7fffffff);
    wire_ask(busy, 3, "GET", "/", NULL, true); /* was on its way: it is served */
    CHECK_EQ(skua_notified(&stop.inside), 0);
    wire_frame(busy, PING, ACK, 0, "skuastop", 8);
    while (busy->goaways == 1 && wire_read(busy, &frame))
        ;
    CHECK_EQ(busy->goaway_last, 3);
    wire_ask(busy, 5, "GET", "/", NULL, true); /* and this one is not */
    skua_notify_one(&stop.go);
    skua_notify_one(&stop.go);
    wire_until_ended(busy, 1);
    wire_until_ended(busy, 3);
    wire_until_over(busy);
    CHECK_STR(wire_answer(busy, 1)->body, "done");
    CHECK_EQ(wire_answer(busy, 5)->status, 0);
    wire_from(busy, tcp[0]);
    wire_from(idle, tcp[1]);
    served_end(&served);
    CHECK_EQ(atomic_load(&stop.cancelled), 0);
    free(busy);
    free(idle);
    return 0;
}

TEST_FIBER(http2_stop_that_is_late)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct stop stop = {SKUA_NOTIFY_INIT, SKUA_NOTIFY_INIT, 0};
    struct served served;
    skua_tcp *tcp;

    served_begin(&served, stays, &stop, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(30)));
    wire_to(wire, &served, &tcp);
    for (uint32_t id = 1; id <= 5; id += 2) {
        wire_ask(wire, id, "GET", "/", NULL, true);
        CHECK_EQ(skua_notified(&stop.inside), 0);
    }
    served_end(&served);
    CHECK_EQ(atomic_load(&stop.cancelled), 3);
    wire_until_over(wire);
    wire_from(wire, tcp);
    free(wire);
    return 0;
}

/* ---- a storm --------------------------------------------------------------------------------- */

static int stormy(skua_http_exchange *exchange, void *state)
{
    char buf[2000];
    ssize_t n;

    (void)state;
    if (skua_http_version(exchange) != 20)
        return -EINVAL;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0) {
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            return (int)n;
        (void)skua_yield();
    }
    if (n == 0)
        (void)skua_http_set_trailer(exchange, "x-sum", "1");
    return (int)n;
}

struct storm {
    struct served *served;
    uint32_t seed;
    atomic_int whole;
};

static int rides(void *arg)
{
    struct storm *storm = arg;
    struct wire *wire = calloc(1, sizeof *wire);
    uint32_t random = storm->seed;
    static const char piece[1500];
    skua_tcp *tcp;

    wire_to(wire, storm->served, &tcp);
    wire->greedy = true;
    for (uint32_t id = 1; id < 2 * WIRE_ANSWERS; id += 8) {
        uint32_t reset = 0;

        for (uint32_t i = id; i < id + 8; i += 2)
            wire_ask(wire, i, "POST", "/", NULL, false);
        for (uint32_t i = id; i < id + 8; i += 2) {
            random = random * 1664525 + 1013904223;
            wire_frame(wire, DATA, 0, i, piece, sizeof piece);
            if ((random >> 24) % 4 == 0) {
                wire_number(wire, RST_STREAM, i, NGHTTP2_CANCEL);
                reset |= 1u << (i - id) / 2;
            } else {
                wire_frame(wire, DATA, END_STREAM, i, piece, sizeof piece);
            }
        }
        for (uint32_t i = id; i < id + 8; i += 2) {
            if ((reset >> (i - id) / 2 & 1) != 0)
                continue;
            wire_until_ended(wire, i);
            CHECK_EQ(wire_answer(wire, i)->body_len, 2 * sizeof piece);
            CHECK_STR(wire_answer(wire, i)->trailers, "x-sum: 1\n");
            atomic_fetch_add(&storm->whole, 1);
        }
    }
    CHECK_EQ(wire->goaways, 0);
    wire_from(wire, tcp);
    free(wire);
    return 0;
}

TEST_FIBER(http2_storm)
{
    struct storm storms[4];
    struct served served;
    skua_scope scope;

    served_begin(&served, stormy, NULL, NULL);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (size_t i = 0; i < TEST_LEN(storms); i++) {
        storms[i] = (struct storm){&served, (uint32_t)i * 77, 0};
        MUST(skua_spawn(&scope, rides, &storms[i]) == 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (size_t i = 0; i < TEST_LEN(storms); i++)
        CHECK(atomic_load(&storms[i].whole) > 10);
    served_end(&served);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_stop),
        cmocka_unit_test(http2_stop_that_is_late),
        cmocka_unit_test(http2_storm),
    };

    return TEST_MAIN(tests);
}
