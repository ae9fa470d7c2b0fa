/* test_http2_explore.c - a connection of HTTP/2 in a thousand orders.
 *
 * Specifies that whatever the order of its fibers, of cancellations, resets and an end of the
 * connection: each stream has an answer, whole or not, every handler ends, nothing is left.
 */
#include <skua/test.h>

#include "frames.h"

static int whatever(skua_http_exchange *exchange, void *state)
{
    uint64_t random = skua_test_random();
    char buf[40];
    ssize_t n = 1;

    (void)state;
    if ((random & 1) != 0)
        while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
            if ((random & 2) != 0)
                (void)skua_yield();
    if ((random & 4) != 0 && skua_sleep((int64_t)(random >> 8 & 3)) != 0)
        return -ECANCELED;
    if ((random & 24) == 0)
        return -EIO;
    for (int i = 0; i < 3; i++) {
        if ((n = skua_http_write(exchange, "abcdef", 6)) < 0)
            return (int)n;
        if ((random & 32) != 0)
            (void)skua_http_flush(exchange);
    }
    if ((random & 64) != 0)
        (void)skua_http_set_trailer(exchange, "a", "b");
    return 0;
}

static int in_some_order(void *arg)
{
    struct wire *wire = calloc(1, sizeof *wire);
    uint64_t random = skua_test_random();
    unsigned resets = 0;
    int rc;

    (void)arg;
    wire_begin(wire, whatever, NULL, SKUA_HTTP_SERVER_OPTIONS(.streams_max = 3));
    for (uint32_t id = 1; id <= 11; id += 2) {
        bool body = (random >> id & 1) != 0;

        wire_ask(wire, id, "POST", "/", NULL, !body);
        if ((random >> (id + 16) & 3) == 0) {
            wire_number(wire, RST_STREAM, id, NGHTTP2_CANCEL);
            resets |= 1u << id / 2;
        } else if (body) {
            wire_frame(wire, DATA, END_STREAM, id, "0123456789", 10);
        }
        if ((random >> (id + 32) & 1) != 0)
            (void)skua_yield();
    }
    if ((random >> 60 & 1) != 0) { /* else it goes away in the middle */
        for (uint32_t id = 1; id <= 11; id += 2) {
            struct wire_answer *answer = wire_answer(wire, id);

            if ((resets >> id / 2 & 1) != 0)
                continue;
            wire_until_ended(wire, id);
            CHECK(answer->ended || answer->reset);
            if (answer->ended && answer->status == 200)
                CHECK_EQ(answer->body_len, 18);
        }
        CHECK_EQ(wire->goaways, 0);
    }
    rc = wire_end(wire);
    CHECK(rc == 0 || rc == -EPIPE); /* it writes to who has gone away */
    free(wire);
    return 0;
}

TEST(http2_in_a_thousand_orders)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), in_some_order, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_in_a_thousand_orders),
    };

    return TEST_MAIN(tests);
}
