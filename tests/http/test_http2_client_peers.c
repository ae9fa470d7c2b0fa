/* drivers: both */
/* test_http2_client_peers.c - the client and servers of HTTP/2 that follow a script of frames:
 * streams that are refused, connections that go away, answers that break the rules, and noise.
 *
 * Specifies client.h, "HTTP/2", what is sent again (RFC 9113, 8.7) and what is malformed.
 */
#include "../lib/part.h"
#include "peer.h"

/* Frames as text: length, type, flags, stream; then the payload. */
#define FRAME(len, type, flags, id) "\0\0" len type flags "\0\0\0" id
#define SETTINGS FRAME("\0", "\4", "\0", "\0")
#define ACK FRAME("\0", "\4", "\1", "\0")
#define OK_END(id) FRAME("\1", "\1", "\5", id) "\x88" /* :status 200, and the end */
#define OK_MORE(id) FRAME("\1", "\1", "\4", id) "\x88"
#define DATA_A(id) FRAME("\1", "\0", "\0", id) "a"
#define DATA_END(id) FRAME("\0", "\0", "\1", id)
#define RST(id, code) FRAME("\4", "\3", "\0", id) "\0\0\0" code
#define GOAWAY(last, code) FRAME("\10", "\7", "\0", "\0") "\0\0\0" last "\0\0\0" code

struct said {
    const char *text;
    size_t len;
    bool closes;        /* behind it; else it waits until the client does */
    const char *second; /* to the second request; NULL: there is none */
    size_t second_len;
};
#define SAYS(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1, false, NULL, 0                                                   \
    }
#define SAYS_BYE(text)                                                                             \
    {                                                                                              \
        (text), sizeof(text) - 1, true, NULL, 0                                                    \
    }
#define SAYS_TWICE(text, second)                                                                   \
    {                                                                                              \
        (text), sizeof(text) - 1, false, (second), sizeof(second) - 1                              \
    }

/* One connection after the other: to the first request on each, the text. */
struct frames {
    const struct said *said;
    size_t count;
    skua_listener *listener;
    char url[SKUA_ADDRESS_MAX + 16];
    skua_task *task;
    atomic_int connections;
};

struct heard {
    unsigned char bytes[16384];
    size_t len;
};

/* Until so many HEADERS frames have come, at least. */
static bool frames_hear(skua_tcp *tcp, struct heard *heard, int wanted)
{
    for (;;) {
        const unsigned char *bytes = heard->bytes;
        int count = 0;
        ssize_t n;

        for (size_t at = 24; at + 9 <= heard->len;) {
            count += bytes[at + 3] == 1;
            at += 9 + ((size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2]);
        }
        if (count >= wanted)
            return true;
        n = skua_tcp_read(tcp, heard->bytes + heard->len, sizeof heard->bytes - heard->len);
        if (n <= 0)
            return false;
        heard->len += (size_t)n;
    }
}

static int frames_run(void *arg)
{
    struct frames *frames = arg;
    char waste[4096];
    skua_tcp *tcp;

    for (size_t i = 0; i < frames->count; i++) {
        const struct said *said = &frames->said[i];
        struct heard heard = {.len = 0};

        if (skua_tcp_accept(frames->listener, &tcp) != 0)
            break;
        atomic_fetch_add(&frames->connections, 1);
        if (skua_tcp_write_all(tcp, SETTINGS, sizeof SETTINGS - 1) > 0 &&
            frames_hear(tcp, &heard, 1) &&
            (said->len == 0 || skua_tcp_write_all(tcp, said->text, said->len) > 0) &&
            (said->second == NULL ||
             (frames_hear(tcp, &heard, 2) &&
              skua_tcp_write_all(tcp, said->second, said->second_len) > 0)) &&
            !said->closes)
            while (skua_tcp_read(tcp, waste, sizeof waste) > 0)
                ;
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    return 0;
}

static void frames_begin(struct frames *frames, const struct said *said, size_t count)
{
    char address[SKUA_ADDRESS_MAX];

    frames->said = said;
    frames->count = count;
    atomic_init(&frames->connections, 0);
    frames->listener = test_listen(address);
    (void)snprintf(frames->url, sizeof frames->url, "http://%s/", address);
    MUST(skua_spawn(NULL, frames_run, frames, .task = &frames->task) == 0);
}

static void frames_end(struct frames *frames)
{
    (void)skua_task_cancel(frames->task);
    CHECK_EQ(skua_task_join(frames->task, NULL), 0);
    CHECK_EQ(skua_listener_close(frames->listener), 0);
}

static skua_http_client *asker(void)
{
    return client_with(SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY, .head_max = 4096,
                                                .read_timeout = 3 * TEST_LATE,
                                                .head_timeout = 3 * TEST_LATE));
}

/* The result of a POST without a body, or of a GET. */
static int asks(skua_http_client *client, const char *url, const char *method)
{
    skua_http_response *response;
    int rc =
        skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = url, .method = method), &response);

    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(response, NULL, NULL, 100000);
    if (rc == 0)
        rc = skua_http_response_status(response);
    skua_http_response_close(response);
    return rc;
}

/* ---- what is sent again ---------------------------------------------------------------------- */

TEST_FIBER(http2_peers_refuse)
{
    static const struct said refused[] = {SAYS_TWICE(RST("\1", "\7"), OK_END("\3"))};
    static const struct said gone[] = {SAYS_BYE(GOAWAY("\0", "\0")), SAYS(OK_END("\1"))};
    static const struct said other[] = {SAYS(RST("\1", "\2"))};
    static const struct said cut[] = {SAYS_BYE("")};
    static const struct {
        const struct said *said;
        size_t count;
        int rc;
        int connections;
        uint64_t repeated;
    } cases[] = {{refused, 1, 200, 1, 1},
                 {gone, 2, 200, 2, 1},
                 {other, 1, -ECONNRESET, 1, 0},
                 {cut, 1, SKUA_EEOF, 1, 0}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_client *client = asker();
        struct frames frames;
        int rc;

        frames_begin(&frames, cases[i].said, cases[i].count);
        rc = asks(client, frames.url, "POST"); /* though it is not idempotent */
        if (i == 3)                            /* unread bytes make a reset of it */
            CHECK(rc == SKUA_EEOF || rc == -ECONNRESET || rc == -EPIPE);
        else if (!CHECK_EQ(rc, cases[i].rc))
            test_note("of case %d", (int)i);
        CHECK_EQ(atomic_load(&frames.connections), cases[i].connections);
        CHECK_EQ(client_stats(client).repeated, cases[i].repeated);
        CHECK_EQ(client_stats(client).streams_now, 0);
        CHECK_EQ(skua_http_client_free(client), 0);
        frames_end(&frames);
    }
    return 0;
}

/* Interim responses cost nothing, and are not read for ever. */
TEST_FIBER(http2_peers_inform_for_ever)
{
    static const int counts[] = {32, 33};
    static const char hint[] = FRAME("\5", "\1", "\4", "\1") "\x08\3" /* :status 103 */
                                                             "103";

    for (size_t i = 0; i < TEST_LEN(counts); i++) {
        skua_http_client *client = asker();
        char text[34 * sizeof hint];
        struct said said = {.text = text};
        struct frames frames;

        for (int k = 0; k < counts[i]; k++, said.len += sizeof hint - 1)
            memcpy(text + said.len, hint, sizeof hint - 1);
        memcpy(text + said.len, OK_END("\1"), sizeof OK_END("\1") - 1);
        said.len += sizeof OK_END("\1") - 1;
        frames_begin(&frames, &said, 1);
        CHECK_EQ(asks(client, frames.url, "GET"), i == 0 ? 200 : -EBADMSG);
        CHECK_EQ(skua_http_client_free(client), 0);
        frames_end(&frames);
    }
    return 0;
}

/* A server that refuses everything is not asked for ever. */
TEST_FIBER(http2_peers_refuse_for_ever)
{
    static const struct said gone[] = {
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")),
        SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0")), SAYS_BYE(GOAWAY("\0", "\0"))};
    skua_http_client *client = asker();
    struct frames frames;

    frames_begin(&frames, gone, TEST_LEN(gone));
    CHECK(asks(client, frames.url, "GET") < 0);
    CHECK_RANGE(atomic_load(&frames.connections), 2, 21);
    CHECK_EQ(skua_http_client_free(client), 0);
    frames_end(&frames);
    return 0;
}

/* ---- what is malformed, and what is only odd ------------------------------------------------- */

TEST_FIBER(http2_peers_break_rules)
{
    static const struct {
        struct said said;
        int rc, or_rc;
    } cases[] = {
        {SAYS(ACK OK_MORE("\1") DATA_A("\1") DATA_END("\1")), 200, 200},
        /* informational ones before it */
        {SAYS(FRAME("\5", "\1", "\4", "\1") "\x08\x03"
                                            "103" OK_END("\1")),
         200, 200},
        /* two lengths, and one that is not kept: 2, and a byte comes */
        {SAYS(FRAME("\5", "\1", "\4", "\1") "\x88\x0f\x0d\x01"
                                            "2" DATA_A("\1") DATA_END("\1")),
         -EBADMSG, -EBADMSG},
        /* no status; a request's pseudo-header; Connection; upper case */
        {SAYS(FRAME("\1", "\1", "\5", "\1") "\x90"), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\2", "\1", "\5", "\1") "\x88\x82"), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\17", "\1", "\5", "\1") "\x88\x00\x0a"
                                             "connection\x01"
                                             "a"),
         -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\6", "\1", "\5", "\1") "\x88\x00\x01X\x01"
                                            "a"),
         -EBADMSG, -EBADMSG},
        /* a body before the head */
        {SAYS(DATA_A("\1")), -EBADMSG, -EBADMSG},
        /* a stream that nobody opened; a push that nobody wants; an even one */
        {SAYS(OK_END("\5")), -EBADMSG, -EBADMSG},
        {SAYS(ACK FRAME("\5", "\5", "\4", "\1") "\0\0\0\2\x82"), -EBADMSG, -EBADMSG},
        {SAYS(OK_END("\2")), -EBADMSG, -EBADMSG},
        /* HPACK: an index that there is not */
        {SAYS(FRAME("\1", "\1", "\5", "\1") "\xff"), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\2", "\1", "\5", "\1") "\xff\x7f"), -EBADMSG, -EBADMSG},
        /* a frame that is too long; SETTINGS on a stream; a PING that is too short */
        {SAYS("\xff\xff\xff\0\0\0\0\0\1"), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\0", "\4", "\0", "\1")), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\1", "\6", "\0", "\0") "x"), -EBADMSG, -EBADMSG},
        /* windows: an increment of nothing, and one that is too much */
        {SAYS(FRAME("\4", "\10", "\0", "\0") "\0\0\0\0"), -EBADMSG, -EBADMSG},
        {SAYS(FRAME("\4", "\10", "\0", "\0") "\x7f\xff\xff\xff"), -EBADMSG, -EBADMSG},
        /* no HTTP/2 at all */
        {SAYS_BYE("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), -EBADMSG, SKUA_EEOF},
        /* the end, in the middle of a body; a reset there */
        {SAYS_BYE(ACK OK_MORE("\1") DATA_A("\1")), SKUA_EEOF, -ECONNRESET},
        {SAYS(OK_MORE("\1") DATA_A("\1") RST("\1", "\2")), -ECONNRESET, -ECONNRESET},
        /* frames of no kind are nothing */
        {SAYS(FRAME("\1", "\x63", "\0", "\0") "x" OK_END("\1")), 200, 200},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_client *client = asker();
        struct frames frames;
        int rc;

        frames_begin(&frames, &cases[i].said, 1);
        rc = asks(client, frames.url, "GET");
        if (rc != cases[i].rc && rc != cases[i].or_rc)
            CHECK(!"as it should be"), test_note("case %d is %d", (int)i, rc);
        CHECK_EQ(client_stats(client).streams_now, 0);
        CHECK_EQ(skua_http_client_free(client), 0);
        frames_end(&frames);
    }
    return 0;
}

/* ---- noise ----------------------------------------------------------------------------------- */

/* Answers that are good but for a few bytes: whatever comes of it, nothing is left behind. */
TEST_FIBER_CURRENT(http2_peers_make_noise)
{
    static const char good[] = ACK FRAME("\5", "\1", "\4", "\1") "\x88\x0f\x0d\x01"
                                                                 "1" DATA_A("\1") DATA_END("\1")
                                                                     OK_MORE("\3") RST("\3", "\0");
    uint64_t random = test_seed();
    int before = test_fd_count();
    int well = 0;

    for (int i = 0; i < TEST_COUNT(400); i++) {
        char text[sizeof good];
        struct said said = {text, sizeof good - 1, true, NULL, 0};
        skua_http_client *client = client_with(
            SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY, .total_timeout = 3 * TEST_LATE));
        struct frames frames;

        memcpy(text, good, sizeof good);
        for (uint64_t k = i != 0 ? test_random(&random) % 4 : 0; k != 0; k--)
            text[test_random(&random) % said.len] ^= (char)(1 << test_random(&random) % 8);
        if (i != 0 && test_random(&random) % 4 == 0)
            said.len = test_random(&random) % said.len;
        frames_begin(&frames, &said, 1);
        well += asks(client, frames.url, "POST") == 200;
        CHECK_EQ(client_stats(client).streams_now, 0);
        frames_end(&frames);
        CHECK_EQ(skua_http_client_free(client), 0);
    }
    CHECK(well > 0); /* the first one, at least */
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_peers_refuse),
        cmocka_unit_test(http2_peers_refuse_for_ever),
        cmocka_unit_test(http2_peers_inform_for_ever),
        cmocka_unit_test(http2_peers_break_rules),
        cmocka_unit_test(http2_peers_make_noise),
    };

    return TEST_MAIN(tests);
}
