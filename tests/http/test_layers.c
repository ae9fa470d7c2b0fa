/* test_layers.c - what stands around handlers: layers, observers, error pages, notes.
 *
 * Specifies layer.h and skua_http_route_layer: the order of layers, one that answers itself,
 * headers that every response has, also the server's error pages, what is told of an exchange that
 * has ended, and pages made by a function.
 */
#include "ask.h"

/* ---- layers ---------------------------------------------------------------------------------- */

static char trail[256];

static void trail_add(const char *text)
{
    (void)snprintf(trail + strlen(trail), sizeof trail - strlen(trail), "%s", text);
}

static int passes(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    int rc;

    trail_add(state);
    rc = skua_http_chain_run(exchange, rest);
    trail_add(state);
    return rc;
}

static int answers(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    (void)rest;
    return skua_http_replyf(exchange, 200, NULL, "%s", (char *)state);
}

static int hello(skua_http_exchange *exchange, void *state)
{
    trail_add("h");
    return skua_http_replyf(exchange, 200, NULL, "%s", state != NULL ? (char *)state : "hello");
}

TEST_FIBER(layers_in_order)
{
    const skua_http_layer around[] = {{passes, "a"}, {passes, "b"}};
    const skua_http_layer short_cut[] = {{passes, "a"}, {answers, "me"}, {passes, "b"}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, hello, NULL);
    skua_http_chain cut = SKUA_HTTP_CHAIN(short_cut, hello, NULL);
    skua_http_chain both = SKUA_HTTP_CHAIN(around, skua_http_chain_handler, &cut);
    struct talk *talk;

    trail[0] = '\0';
    talk = ask_chain(skua_http_chain_handler, &app, "GET /");
    CHECK_STR(trail, "abhba");
    CHECK_STR(talk_body(talk, 0), "hello");
    free(talk);
    trail[0] = '\0';
    talk = ask_chain(skua_http_chain_handler, &both, "GET /");
    CHECK_STR(trail, "abaaba");
    CHECK_STR(talk_body(talk, 0), "me");
    free(talk);
    return 0;
}

TEST_FIBER(layers_around_a_group)
{
    static const struct {
        const char *path, *trail;
        int status;
    } wanted[] = {{"GET /in/x", "13h31", 200},
                  {"GET /in/late", "3h3", 200},
                  {"GET /out", "h", 200},
                  {"GET /none", "", 404},
                  {"POST /in/x", "", 405}};
    skua_http_router *inner, *router;

    MUST(skua_http_router_new(&inner) == 0 && skua_http_router_new(&router) == 0);
    CHECK_EQ(skua_http_route(inner, "GET", "/x", hello, NULL), 0);
    CHECK_EQ(skua_http_route_layer(inner, passes, "3"), 0);
    CHECK_EQ(skua_http_route_layer(inner, passes, "1"), 0); /* outside of the one before */
    CHECK_EQ(skua_http_route_layer(inner, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_http_route_nest(router, "/in", inner), 0);
    skua_http_router_free(inner);
    MUST(skua_http_router_new(&inner) == 0);
    CHECK_EQ(skua_http_route(inner, "GET", "/late", hello, NULL), 0);
    CHECK_EQ(skua_http_route_layer(inner, passes, "3"), 0);
    CHECK_EQ(skua_http_route_nest(router, "/in", inner), 0);
    skua_http_router_free(inner);
    CHECK_EQ(skua_http_route(router, "GET", "/out", hello, NULL), 0);
    for (size_t i = 0; i < TEST_LEN(wanted); i++) {
        struct talk *talk;

        trail[0] = '\0';
        talk = ask_chain(skua_http_router_handler, router, wanted[i].path);
        CHECK_EQ(talk_status(talk, 0), wanted[i].status);
        CHECK_STR(trail, wanted[i].trail);
        free(talk);
    }
    skua_http_router_free(router);
    return 0;
}

/* ---- observers ------------------------------------------------------------------------------- */

static void adds_header(skua_http_exchange *exchange, void *state)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%s %d", (char *)state, skua_http_status(exchange));
    CHECK_EQ(skua_http_begun(exchange), 0);
    CHECK_EQ(skua_http_set_header(exchange, "X-Told", text), 0);
    CHECK_EQ(skua_http_write(exchange, "x", 1), SKUA_EUSAGE);
    CHECK_EQ(skua_http_flush(exchange), SKUA_EUSAGE);
    CHECK_EQ(skua_http_on_head(exchange, adds_header, state), -EALREADY);
}

static int with_head(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_on_head(exchange, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_http_on_head(exchange, adds_header, "first"), 0);
    CHECK_EQ(skua_http_on_head(exchange, adds_header, "last"), 0);
    return skua_http_chain_run(exchange, rest);
}

enum { REPLIES, STREAMS, FAILS, SAYS_NOTHING, IS_CUT, WRITES_LITTLE, READS };

static int does(skua_http_exchange *exchange, void *state)
{
    char *body;

    switch (*(int *)state) {
    case REPLIES:
        return skua_http_reply(exchange, 201, NULL, "12345", 5);
    case STREAMS:
        CHECK_EQ(skua_http_write(exchange, "123", 3), 3);
        CHECK_EQ(skua_http_on_head(exchange, adds_header, "late"), -EALREADY);
        return (int)skua_http_write(exchange, "4567", 4);
    case FAILS:
        CHECK_EQ(skua_http_set_header(exchange, "X-Lost", "1"), 0);
        return -ENOENT;
    case IS_CUT:
        CHECK_EQ(skua_http_write(exchange, "123", 3), 3);
        return -EIO;
    case WRITES_LITTLE:
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "10"), 0);
        return skua_http_write(exchange, "123", 3) == 3 ? 0 : -EIO;
    case READS:
        CHECK_EQ(skua_http_read_all(exchange, &body, NULL, 100), 0);
        return skua_http_reply(exchange, 200, NULL, "", 0);
    default:
        return 0;
    }
}

TEST_FIBER(layers_see_every_head)
{
    static const struct {
        int does;
        const char *header;
    } wanted[] = {{REPLIES, "X-Told: first 201\r\n"},
                  {STREAMS, "X-Told: first 200\r\n"},
                  {FAILS, "X-Told: first 404\r\n"},
                  {SAYS_NOTHING, "X-Told: first 204\r\n"}};
    const skua_http_layer around[] = {{with_head, NULL}};

    for (size_t i = 0; i < TEST_LEN(wanted); i++) {
        int what = wanted[i].does;
        skua_http_chain app = SKUA_HTTP_CHAIN(around, does, &what);
        struct talk *talk = ask_chain(skua_http_chain_handler, &app, "GET /");

        CHECK_HAS(talk, wanted[i].header);
        CHECK_LACKS(talk, "X-Lost");
        free(talk);
    }
    return 0;
}

static skua_http_summary summary;
static int ends;

static void ended(skua_http_exchange *exchange, const skua_http_summary *told, void *state)
{
    CHECK_STR(skua_http_path(exchange), "/");
    CHECK(state == &summary);
    summary = *told;
    ends++;
}

static int with_end(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    CHECK_EQ(skua_http_on_end(exchange, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_http_on_end(exchange, ended, state), 0);
    return skua_http_chain_run(exchange, rest);
}

TEST_FIBER(layers_see_the_end)
{
    static const struct {
        int does;
        const char *request;
        int status, code, error;
        uint64_t received, sent;
    } wanted[] = {{REPLIES, "GET /", 201, 0, 0, 0, 5},
                  {REPLIES, "HEAD /", 201, 0, 0, 0, 0},
                  {STREAMS, "GET /", 200, 4, 0, 0, 7},
                  {FAILS, "GET /", 404, -ENOENT, 0, 0, 14},
                  {SAYS_NOTHING, "GET /", 204, 0, 0, 0, 0},
                  {IS_CUT, "GET /", 200, -EIO, -EIO, 0, 3},
                  {WRITES_LITTLE, "GET /", 200, 0, -EMSGSIZE, 0, 3}};
    const skua_http_layer around[] = {{with_end, &summary}};

    for (size_t i = 0; i < TEST_LEN(wanted); i++) {
        int what = wanted[i].does;
        skua_http_chain app = SKUA_HTTP_CHAIN(around, does, &what);

        ends = 0;
        test_variant(wanted[i].request);
        free(ask_chain(skua_http_chain_handler, &app, wanted[i].request));
        CHECK_EQ(ends, 1);
        CHECK_EQ(summary.status, wanted[i].status);
        CHECK_EQ(summary.code, wanted[i].code);
        CHECK_EQ(summary.error, wanted[i].error);
        CHECK_EQ(summary.received, wanted[i].received);
        CHECK_EQ(summary.sent, wanted[i].sent);
        CHECK(summary.duration >= 0 && summary.duration < SKUA_SECOND * 60);
    }
    return 0;
}

TEST_FIBER(layers_see_bodies)
{
    const skua_http_layer around[] = {{with_end, &summary}};
    int what = READS;
    skua_http_chain app = SKUA_HTTP_CHAIN(around, does, &what);
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = skua_http_chain_handler;
    talk->state = &app;
    talk_to(talk, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n1234567"
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n12");
    CHECK_EQ(talk_status(talk, 1), 200);
    CHECK_EQ(summary.received, 2); /* of the second one alone */
    free(talk);
    return 0;
}

/* ---- error pages and notes ------------------------------------------------------------------- */

static int page(skua_http_exchange *exchange, int status, const char *detail, void *state)
{
    if (state == NULL)
        return -EIO;
    CHECK_EQ(skua_http_set_header(exchange, "X-Page", "1"), 0);
    return skua_http_replyf(exchange, status, "text/html", "<%s %d %s>", (char *)state, status,
                            detail != NULL ? detail : "-");
}

static int with_page(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    skua_http_set_page(exchange, page, state);
    return skua_http_chain_run(exchange, rest);
}

static int refuses(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_refuse(exchange, 200, NULL), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "X-Kept", "1"), 0);
    CHECK_EQ(skua_http_refuse(exchange, 422, "no good"), 0);
    CHECK_EQ(skua_http_refuse(exchange, 422, "again"), -EALREADY);
    return 0;
}

TEST_FIBER(layers_make_pages)
{
    const skua_http_layer around[] = {{with_page, "p"}};
    const skua_http_layer failing[] = {{with_page, NULL}};
    int what = FAILS;
    skua_http_chain app = SKUA_HTTP_CHAIN(around, does, &what);
    skua_http_chain other = SKUA_HTTP_CHAIN(around, refuses, NULL);
    skua_http_chain fails = SKUA_HTTP_CHAIN(failing, refuses, NULL);
    skua_http_router *router;
    skua_http_chain routed = SKUA_HTTP_CHAIN(around, skua_http_router_handler, NULL);
    struct talk *talk = ask_chain(skua_http_chain_handler, &app, "GET /");

    CHECK_STR(talk_body(talk, 0), "<p 404 ->");
    CHECK_HAS(talk, "Content-Type: text/html\r\n");
    free(talk);
    talk = ask_chain(skua_http_chain_handler, &other, "GET /");
    CHECK_STR(talk_body(talk, 0), "<p 422 no good>");
    CHECK_HAS(talk, "X-Kept: 1\r\n");
    free(talk);
    talk = ask_chain(skua_http_chain_handler, &fails, "GET /");
    CHECK_STR(talk_body(talk, 0), "422 Unprocessable Content\nno good\n");
    free(talk);
    talk = ask_chain(refuses, NULL, "GET /");
    CHECK_STR(talk_body(talk, 0), "422 Unprocessable Content\nno good\n");
    free(talk);
    MUST(skua_http_router_new(&router) == 0);
    routed.state = router;
    talk = ask_chain(skua_http_chain_handler, &routed, "GET /");
    CHECK_STR(talk_body(talk, 0), "<p 404 ->"); /* the router's, too */
    free(talk);
    skua_http_router_free(router);
    return 0;
}

static int notes(skua_http_exchange *exchange, void *state)
{
    static const char key, other;

    (void)state;
    CHECK(skua_http_noted(exchange, &key) == NULL);
    CHECK_EQ(skua_http_note(exchange, &key, NULL), 0);
    CHECK_EQ(skua_http_note(exchange, &key, "one"), 0);
    CHECK_EQ(skua_http_note(exchange, &other, "two"), 0);
    CHECK_STR(skua_http_noted(exchange, &key), "one");
    CHECK_EQ(skua_http_note(exchange, &key, "three"), 0);
    CHECK_STR(skua_http_noted(exchange, &key), "three");
    CHECK_STR(skua_http_noted(exchange, &other), "two");
    CHECK_EQ(skua_http_note(exchange, &key, NULL), 0);
    CHECK(skua_http_noted(exchange, &key) == NULL);
    return 0;
}

TEST_FIBER(layers_leave_notes)
{
    free(ask_chain(notes, NULL, "GET /"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_in_order),       cmocka_unit_test(layers_around_a_group),
        cmocka_unit_test(layers_see_every_head), cmocka_unit_test(layers_see_the_end),
        cmocka_unit_test(layers_see_bodies),     cmocka_unit_test(layers_make_pages),
        cmocka_unit_test(layers_leave_notes),
    };

    return TEST_MAIN(tests);
}
