/* test_events.c - server-sent events.
 *
 * Specifies events.h: the form of events and comments, lines however they end, what cannot be
 * forged, and that each is sent at once.
 */
#include <skua/http/events.h>

#include "ask.h"

struct event {
    const char *event, *id, *data, *wanted; /* NULL: it is refused */
};

static int sends(skua_http_exchange *exchange, void *state)
{
    const struct event *event = state;
    int rc = skua_http_event(exchange, event->event, event->id, event->data);

    CHECK_EQ(rc, event->wanted != NULL ? 0 : -EINVAL);
    CHECK_EQ(skua_http_begun(exchange), event->wanted != NULL);
    return rc;
}

TEST_FIBER(events_have_a_form)
{
    static const struct event cases[] = {
        {NULL, NULL, "a", "data: a\n\n"},
        {"news", "7", "a", "event: news\nid: 7\ndata: a\n\n"},
        {NULL, "", "a", "id: \ndata: a\n\n"}, /* no id from here on */
        {NULL, NULL, "", "data: \n\n"},
        {NULL, NULL, "a\nb", "data: a\ndata: b\n\n"},
        {NULL, NULL, "a\rb\r\nc\n\nd", "data: a\ndata: b\ndata: c\ndata: \ndata: d\n\n"},
        {NULL, NULL, "a\n", "data: a\ndata: \n\n"},
        {NULL, NULL, "a\r\n", "data: a\ndata: \n\n"},
        {NULL, NULL, "a\n\nevent: x", "data: a\ndata: \ndata: event: x\n\n"},
        {"a\nb", NULL, "a", NULL},
        {"a\rb", NULL, "a", NULL},
        {NULL, "a\nb", "a", NULL},
        {NULL, "a\r", "a", NULL},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        /* To an old client: a body without chunks. */
        struct talk *talk = calloc(1, sizeof *talk);

        MUST(talk != NULL);
        talk->handler = sends;
        talk->state = (void *)(uintptr_t)&cases[i];
        test_variant(cases[i].data);
        talk_to(talk, "GET / HTTP/1.0\r\n\r\n");
        CHECK_EQ(talk_status(talk, 0), cases[i].wanted != NULL ? 200 : 400);
        if (cases[i].wanted != NULL) {
            CHECK_STR(talk_body(talk, 0), cases[i].wanted);
            CHECK_HAS(talk, "Content-Type: text/event-stream\r\n");
            CHECK_HAS(talk, "Cache-Control: no-cache\r\n");
        }
        free(talk);
    }
    return 0;
}

static int sends_three(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_event_comment(exchange, "a\nb"), -EINVAL);
    CHECK_EQ(skua_http_event_comment(exchange, "hi"), 0);
    CHECK_EQ(skua_http_event(exchange, NULL, NULL, "1"), 0);
    return skua_http_event(exchange, NULL, NULL, "2");
}

TEST_FIBER(events_are_sent_at_once)
{
    struct talk *talk = ask_chain(sends_three, NULL, "GET /");

    /* Each in a chunk of its own: it went out before the next one was written. */
    CHECK_STR(talk_body(talk, 0), "00000005\r\n: hi\n\r\n00000009\r\ndata: 1\n\n\r\n"
                                  "00000009\r\ndata: 2\n\n\r\n0\r\n\r\n");
    free(talk);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_have_a_form),
        cmocka_unit_test(events_are_sent_at_once),
    };

    return TEST_MAIN(tests);
}
