/* drivers: both */
/* test_http_client_peers.c - the client against peers that follow a script, and seldom the rules.
 *
 * Specifies client.h, "Defences" and "Again": what is no response is refused, as a corpus with the
 * answer to each; peers that close early, late, in the middle or with a reset, drip, flood, or say
 * nothing; kept connections that have ended; being asked for a body; time-outs, and a cancellation
 * at every wait.
 */
#include "peer.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define END "\r\n"

/* ---- the corpus ------------------------------------------------------------------------------ */

struct corpus {
    const char *text;
    int rc;           /* the status, or the error of the request or of its body */
    const char *body; /* NULL: whatever */
    unsigned kept;    /* whether the connection is */
};

static const struct corpus corpus[] = {
    {OK LENGTH(3) END "abc", 200, "abc", 1},
    {OK LENGTH(0) END, 200, "", 1},
    {OK CHUNKED END "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200, "abcde", 1},
    {OK CHUNKED END "1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", 200, "a", 1},
    {OK "transfer-encoding: Chunked\r\n" END "0\r\n\r\n", 200, "", 1},
    {OK END "until the end", 200, "until the end", 0},
    {OK END, 200, "", 0},
    {OK LENGTH(1) "Connection: close\r\n" END "a", 200, "a", 0},
    {OK LENGTH(1) "Connection: x, Close\r\n" END "a", 200, "a", 0},
    {OK LENGTH(1) "Connection: x\r\nConnection: close\r\n" END "a", 200, "a", 0},
    {"HTTP/1.0 200 OK\r\n" LENGTH(1) END "a", 200, "a", 0},
    {"HTTP/1.0 200 OK\r\n" LENGTH(1) "Connection: keep-alive\r\n" END "a", 200, "a", 1},
    {"HTTP/1.1 200\r\n" LENGTH(0) END, 200, "", 1},
    {"HTTP/1.1 200 \r\n" LENGTH(0) END, 200, "", 1},
    {"HTTP/1.1 299 \xc3\xa9 x\r\n" LENGTH(0) END, 299, "", 1},
    {"HTTP/1.1 999 x\r\n" LENGTH(0) END, 999, "", 1},
    {"HTTP/1.1 204 x\r\n" END, 204, "", 1},
    {"HTTP/1.1 204 x\r\n" LENGTH(3) END, 204, "", 1},
    {"HTTP/1.1 304 x\r\n" LENGTH(300) END, 304, "", 1},
    {"HTTP/1.1 404 x\r\n" LENGTH(1) END "a", 404, "a", 1},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH(1) END "a", 200, "a", 1},
    {"HTTP/1.1 102 x\r\nA: b\r\n\r\nHTTP/1.1 103 y\r\n\r\n" OK LENGTH(1) END "a", 200, "a", 1},
    {OK "X:\r\nY: \t \r\n" LENGTH(0) END, 200, "", 1},

    /* more than was asked for: the answer counts, the connection does not */
    {OK LENGTH(1) END "ab", 200, "a", 0},
    {OK LENGTH(1) END "a" OK LENGTH(1) END "b", 200, "a", 0},
    {OK CHUNKED END "0\r\n\r\n" OK, 200, "", 0},
    {"HTTP/1.1 204 x\r\n" CHUNKED END "0\r\n\r\n", 204, "", 0},

    {OK LENGTH(1) LENGTH(1) END "a", -EBADMSG, NULL, 0},
    {OK LENGTH(1) LENGTH(2) END "ab", -EBADMSG, NULL, 0},
    {OK "Content-Length: 1, 1\r\n" END "a", -EBADMSG, NULL, 0},
    {OK "Content-Length: +1\r\n" END "a", -EBADMSG, NULL, 0},
    {OK "Content-Length: -1\r\n" END "a", -EBADMSG, NULL, 0},
    {OK "Content-Length: 0x1\r\n" END "a", -EBADMSG, NULL, 0},
    {OK "Content-Length: \r\n" END "a", -EBADMSG, NULL, 0},
    {OK "Content-Length: 99999999999999999999\r\n" END "a", -EBADMSG, NULL, 0},
    {OK LENGTH(1) CHUNKED END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED LENGTH(1) END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED CHUNKED END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding: chunked, gzip\r\n" END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding: identity\r\n" END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding: xchunked\r\n" END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding:\x0b"
        "chunked\r\n" END "0\r\n\r\n",
     -EBADMSG, NULL, 0},
    {OK "Transfer-Encoding : chunked\r\n" END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {"HTTP/1.0 200 OK\r\n" CHUNKED END "0\r\n\r\n", -EBADMSG, NULL, 0},
    {"HTTP/1.1 200 OK\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", -EBADMSG, NULL, 0},
    {OK "X: a\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK "X: a\rb\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK "X: a\r\n b\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK " X: a\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK "X Y: a\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK "X\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK ": a\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {OK "X: \x01\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"\r\n" OK LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1  200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 20 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 2000 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 099 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 2x0 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.1 200OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/1.2 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/2.0 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"HTTP/0.9 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"http/1.1 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"RTSP/1.0 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"ICY 200 OK\r\n" LENGTH(0) END, -EBADMSG, NULL, 0},
    {"GET / HTTP/1.1\r\n\r\n", -EBADMSG, NULL, 0},
    {"garbage", -EBADMSG, NULL, 0},
    {"HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n", -EBADMSG, NULL, 0},

    {OK CHUNKED END "x\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED END "-1\r\na\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED END "1\r\nab\r\n0\r\n\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED END "1\na\n0\n\n", -EBADMSG, NULL, 0},
    {OK CHUNKED END "fffffffffffffffff\r\na\r\n", -EBADMSG, NULL, 0},
    {OK CHUNKED END "0\r\nX Y: z\r\n\r\n", -EBADMSG, NULL, 0},

    {"", SKUA_EEOF, NULL, 0},
    {"HTTP/1.1 200", SKUA_EEOF, NULL, 0},
    {OK LENGTH(1), SKUA_EEOF, NULL, 0},
    {"HTTP/1.1 100 Continue\r\n\r\n", SKUA_EEOF, NULL, 0},
    {OK LENGTH(3) END "ab", SKUA_EEOF, NULL, 0},
    {OK CHUNKED END "3\r\nab", SKUA_EEOF, NULL, 0},
    {OK CHUNKED END "3\r\nabc\r\n", SKUA_EEOF, NULL, 0},
    {OK CHUNKED END "0\r\n", SKUA_EEOF, NULL, 0},
};

static void corpus_run(const struct corpus *row, bool drips)
{
    /* A peer that lets the client close cannot say that it has no more to say. */
    bool ends = row->rc == SKUA_EEOF || strstr(row->text, OK END) == row->text;
    struct act act = {row->text, ends ? CLOSES : drips ? DRIPS : LEAVES};
    skua_http_client *client = client_with(NULL);
    struct peer peer;
    int rc;

    peer_begin(&peer, &act, 1);
    rc = gets_(client, peer.url, row->body);
    if (!CHECK_EQ(rc, row->rc) || !CHECK_EQ(client_stats(client).connections_idle, row->kept))
        test_note("%s: %s", drips ? "drips" : "at once", row->text);
    CHECK_EQ(client_stats(client).connections_now, row->kept);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
}

TEST_FIBER(client_corpus)
{
    int before = test_fd_count();

    for (size_t i = 0; i < TEST_LEN(corpus); i++)
        corpus_run(&corpus[i], false);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}

/* Bytes that come behind a response may come too late to be seen: only what is certain. */
TEST_FIBER_CURRENT(client_corpus_in_drips)
{
    test_limit(60);
    for (size_t i = 0; i < TEST_LEN(corpus); i++)
        if (corpus[i].rc < 0 || corpus[i].kept)
            corpus_run(&corpus[i], true);
    return 0;
}

/* ---- the head and the body, together --------------------------------------------------------- */

TEST_FIBER(client_head_has_no_body)
{
    static const struct act acts[] = {
        {OK LENGTH(1000) END, STAYS}, {OK CHUNKED END, STAYS}, {OK END, LEAVES}};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct peer peer;

    peer_begin(&peer, acts, TEST_LEN(acts));
    for (size_t i = 0; i < TEST_LEN(acts); i++) {
        MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = peer.url, .method = "HEAD"),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_length(response), i == 0 ? 1000 : -1);
        CHECK_EQ(skua_http_response_read(response, (char[9]){0}, 9), 0);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(client_stats(client).reused, 2);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

TEST_FIBER(client_trailers)
{
    static const struct act acts[] = {
        {OK CHUNKED "A: b\r\n" END "1\r\na\r\n0\r\nX-One: 1 \r\nX-Two: two words\r\n\r\n", DRIPS}};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    const char *name, *value;
    struct peer peer;

    peer_begin(&peer, acts, 1);
    MUST(skua_http_get(client, peer.url, 10, &response) == 0);
    CHECK_EQ(skua_http_response_header_at(response, 2, &name, &value), 0);
    MUST(skua_http_response_trailer_at(response, 0, &name, &value) == 1);
    CHECK_TEXT(name, "X-One");
    CHECK_TEXT(value, "1");
    MUST(skua_http_response_trailer_at(response, 1, &name, &value) == 1);
    CHECK_TEXT(name, "X-Two");
    CHECK_TEXT(value, "two words");
    CHECK_EQ(skua_http_response_trailer_at(response, 2, &name, &value), 0);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

TEST_FIBER(client_endless)
{
    static const struct {
        const char *first, *flood;
        int rc;
    } cases[] = {
        {"", "HTTP/1.1 100 Continue\r\n\r\n", -EBADMSG},
        {OK, "X: y\r\n", SKUA_ELIMIT},
        {OK "X: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", SKUA_ELIMIT},
        {"HTTP/1.1 200 ", "OK OK OK OK OK OK OK OK OK OK OK OK OK OK ", SKUA_ELIMIT},
        {OK CHUNKED END "1;", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", SKUA_ELIMIT},
        {OK CHUNKED END "0\r\n", "X: y\r\n", SKUA_ELIMIT},
        {OK CHUNKED END "0\r\nX: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", SKUA_ELIMIT},
        {OK END, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", SKUA_ELIMIT},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        static char text[70000];
        skua_http_client *client =
            client_with(SKUA_HTTP_CLIENT_OPTIONS(.head_max = 3000, .headers_max = 50));
        struct act act = {text, CLOSES};
        struct peer peer;
        size_t len = (size_t)snprintf(text, sizeof text, "%s", cases[i].first);

        while (len < sizeof text - 100)
            len += (size_t)snprintf(text + len, 100, "%s", cases[i].flood);
        peer_begin(&peer, &act, 1);
        CHECK_EQ(skua_http_get(client, peer.url, 60000, &(skua_http_response *){NULL}),
                 cases[i].rc);
        CHECK_EQ(skua_http_client_free(client), 0);
        peer_end(&peer);
    }
    return 0;
}

/* ---- connections that have ended ------------------------------------------------------------- */

#define KEPT OK LENGTH(1) END "a"

/* A kept connection is closed behind the first response, or when the next request comes. */
TEST_FIBER(client_asks_again)
{
    static const struct act acts[] = {{KEPT, CLOSES}, {KEPT, STAYS}, {"", CLOSES},
                                      {KEPT, STAYS},  {"", RESETS},  {KEPT, LEAVES}};
    skua_http_client *client = client_with(NULL);
    struct peer peer;

    peer_begin(&peer, acts, TEST_LEN(acts));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(client_stats(client).connections, 4);
    CHECK_RANGE(client_stats(client).repeated, 2, 3); /* one may be seen before it is used */
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

struct source {
    const char *text;
    int begins;
    bool once;
};

static ssize_t source_read(void *state, void *buf, size_t len)
{
    struct source *self = state;
    size_t part = strlen(self->text) < len ? strlen(self->text) : len;

    memcpy(buf, self->text, part);
    self->text += part;
    return (ssize_t)part;
}

static int source_again(void *state)
{
    struct source *self = state;

    self->text = "body";
    self->begins++;
    return self->once ? -ESPIPE : 0;
}

/* Once its end has come, a kept connection is not tried: what may not be sent twice is safe. */
TEST_FIBER(client_sees_the_end_first)
{
    static const struct act acts[] = {{KEPT, CLOSES}, {KEPT, LEAVES}};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct peer peer;

    peer_begin(&peer, acts, 1);
    CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(skua_task_join(peer.task, NULL), 0);
    peer.acts = &acts[1];
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    MUST(skua_http_post(client, peer.url, NULL, "x", 1, 10, &response) == 0);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(client_stats(client).repeated, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

/* What may be sent twice, and what not. */
TEST_FIBER(client_asks_again_only_if_it_may)
{
    static const struct act acts[] = {{KEPT, STAYS}, {"", CLOSES}, {KEPT, LEAVES}};
    static const struct {
        const char *method;
        bool stream, again, once;
        int rc;
    } cases[] = {
        {"POST", false, false, false, SKUA_EEOF}, {"PATCH", false, false, false, SKUA_EEOF},
        {"PUT", false, false, false, 0},          {"DELETE", false, false, false, 0},
        {"PUT", true, false, false, SKUA_EEOF},   {"PUT", true, true, false, 0},
        {"PUT", true, true, true, SKUA_EEOF},     {"POST", true, true, false, SKUA_EEOF}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_client *client = client_with(NULL);
        skua_http_response *response = NULL;
        struct source source = {.text = "body", .once = cases[i].once};
        struct peer peer;
        int rc;

        peer_begin(&peer, acts, TEST_LEN(acts));
        CHECK_EQ(gets_(client, peer.url, "a"), 200);
        rc = skua_http_client_send(
            client,
            SKUA_HTTP_REQUEST(.url = peer.url, .method = cases[i].method,
                              .body = cases[i].stream ? NULL : "body",
                              .body_len = cases[i].stream ? 0 : 4,
                              .body_read = cases[i].stream ? source_read : NULL,
                              .body_again = cases[i].again ? source_again : NULL,
                              .body_state = &source, .body_length = cases[i].stream ? 4 : 0),
            &response);
        if (!CHECK(rc == cases[i].rc || (rc == -ECONNRESET && cases[i].rc == SKUA_EEOF)))
            test_note("case %zu: %d", i, rc);
        CHECK_EQ(client_stats(client).connections, rc == 0 ? 2 : 1);
        peer_stop(&peer);
        if (rc == 0)
            CHECK(strcmp(peer.heard + peer.heard_len - 4, "body") == 0);
        skua_http_response_close(response);
        CHECK_EQ(skua_http_client_free(client), 0);
        peer_end(&peer);
    }
    return 0;
}

/* A new connection that ends is no reason to try again; nor is half an answer. */
TEST_FIBER(client_gives_up)
{
    static const struct act acts[] = {{"", CLOSES},  {"", RESETS}, {KEPT, STAYS}, {"HTTP", CLOSES},
                                      {KEPT, STAYS}, {"", CLOSES}, {"", CLOSES}};
    skua_http_client *client = client_with(NULL);
    struct peer peer;
    int rc;

    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK_EQ(gets_(client, peer.url, NULL), SKUA_EEOF);
    rc = gets_(client, peer.url, NULL);
    CHECK(rc == -ECONNRESET || rc == -EPIPE || rc == SKUA_EEOF);
    CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(gets_(client, peer.url, NULL), SKUA_EEOF);
    CHECK_EQ(client_stats(client).repeated, 0);
    CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(gets_(client, peer.url, NULL), SKUA_EEOF);
    CHECK_EQ(client_stats(client).repeated, 1); /* once */
    CHECK_EQ(client_stats(client).connections_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

TEST_FIBER(client_idle_for_too_long)
{
    static const struct act acts[] = {{KEPT, LEAVES}, {KEPT, LEAVES}};
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.idle_timeout = 1));
    struct peer peer;

    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(gets_(client, peer.url, "a"), 200);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(client_stats(client).reused, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

/* ---- answered early -------------------------------------------------------------------------- */

static ssize_t endless_read(void *state, void *buf, size_t len)
{
    size_t *left = state;
    size_t part = *left < len ? *left : len;

    memset(buf, 'x', part);
    *left -= part;
    return (ssize_t)part;
}

/* The peer has answered, and would read on for ever. */
TEST_FIBER(client_stops_when_it_is_refused)
{
    static const struct act acts[] = {{"HTTP/1.1 403 x\r\n" LENGTH(0) END, LEAVES}};
    skua_http_client *client = client_with(NULL);
    size_t left = (size_t)256 << 20;
    skua_http_response *response;
    struct peer peer;

    peer_listen(&peer, acts, 1);
    peer.hasty = true;
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    MUST(skua_http_client_send(client,
                               SKUA_HTTP_REQUEST(.url = peer.url, .method = "PUT",
                                                 .body_read = endless_read, .body_state = &left),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 403);
    CHECK(left > 0);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

/* ---- asked for the body ---------------------------------------------------------------------- */

#define ASKS                                                                                       \
    SKUA_HTTP_REQUEST(.url = peer.url, .method = "PUT", .body = "body", .body_len = 4,             \
                      .expect_continue = 1)

/* One that does not know of it, and one that never says anything about it. */
TEST_FIBER_CURRENT(client_is_not_asked)
{
    static const struct act refuses[] = {{"", HANGS}, {KEPT, LEAVES}};
    static const struct act knows[] = {{"HTTP/1.1 417 x\r\n" LENGTH(0) END, LEAVES},
                                       {KEPT, LEAVES}};
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.head_timeout = MS(20)));
    skua_http_response *response;
    struct peer peer;
    int64_t begin = skua_now();

    peer_begin(&peer, refuses, 1);
    CHECK_EQ(skua_http_client_send(client, ASKS, &response), -ETIMEDOUT);
    CHECK(skua_now() - begin >= SKUA_SECOND); /* it waited to be asked */
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    client = client_with(NULL);
    peer_begin(&peer, &refuses[1], 1); /* hears the whole request before it answers */
    MUST(skua_http_client_send(client, ASKS, &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 200);
    skua_http_response_close(response);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "Expect: 100-continue\r\n\r\nbody") != NULL);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    client = client_with(NULL);
    peer_begin(&peer, knows, 2);
    peer.hasty = true;
    MUST(skua_http_client_send(client, ASKS, &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 200);
    skua_http_response_close(response);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "Expect") == NULL);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

/* ---- who waits ------------------------------------------------------------------------------- */

TEST_FIBER(client_time_outs)
{
    static const struct act silent[] = {{"", LEAVES}};
    static const struct act half[] = {{OK LENGTH(5) END "a", LEAVES}};
    static const struct act deaf[] = {{"", HANGS}};
    static char big[1 << 23];
    skua_http_client *client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.head_timeout = MS(5), .read_timeout = MS(5),
                                             .write_timeout = MS(20)));
    skua_http_response *response;
    struct peer peer;

    peer_begin(&peer, silent, 1);
    CHECK_EQ(gets_(client, peer.url, NULL), -ETIMEDOUT);
    peer_end(&peer);
    peer_begin(&peer, half, 1);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = peer.url), &response) == 0);
    CHECK_EQ(skua_http_response_read(response, big, sizeof big), 1);
    CHECK_EQ(skua_http_response_read(response, big, sizeof big), -ETIMEDOUT);
    CHECK_EQ(skua_http_response_read(response, big, sizeof big), -ETIMEDOUT);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections_now, 0);
    peer_end(&peer);
    peer_begin(&peer, deaf, 1);
    CHECK_EQ(skua_http_post(client, peer.url, NULL, big, sizeof big, 10, &response), -ETIMEDOUT);
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.total_timeout = MS(5)));
    peer_begin(&peer, silent, 1);
    CHECK_EQ(gets_(client, peer.url, NULL), -ETIMEDOUT);
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

struct asker {
    skua_http_client *client;
    const char *url;
    const char *body;
    size_t body_len;
    int rc;
};

static int asks(void *arg)
{
    struct asker *self = arg;
    skua_http_response *response;

    self->rc = skua_http_post(self->client, self->url, NULL, self->body, self->body_len, 1 << 20,
                              &response);
    if (self->rc == 0)
        skua_http_response_close(response);
    return 0;
}

TEST_FIBER(client_is_cancelled)
{
    static const struct act acts[] = {{"", LEAVES},
                                      {OK LENGTH(2) END "a", LEAVES},
                                      {OK CHUNKED END "1\r\na", LEAVES},
                                      {"", HANGS}};
    static char big[1 << 23];
    int before = test_fd_count();

    for (size_t i = 0; i < TEST_LEN(acts); i++) {
        for (int turns = 0; turns < 40; turns += 1 + turns / 2) {
            skua_http_client *client = client_with(NULL);
            struct asker asker = {
                .client = client, .body = big, .body_len = acts[i].after == HANGS ? sizeof big : 3};
            skua_task *task;
            struct peer peer;

            peer_begin(&peer, &acts[i], 1);
            asker.url = peer.url;
            MUST(skua_spawn(NULL, asks, &asker, .task = &task) == 0);
            for (int k = 0; k < turns; k++)
                (void)skua_yield();
            (void)skua_task_cancel(task);
            CHECK_EQ(skua_task_join(task, NULL), 0);
            CHECK(asker.rc == -ECANCELED || asker.rc == 0); /* 0: it has never run */
            CHECK_EQ(client_stats(client).connections_now, 0);
            CHECK_EQ(skua_http_client_free(client), 0);
            peer_end(&peer);
        }
    }
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_corpus),
        cmocka_unit_test(client_corpus_in_drips),
        cmocka_unit_test(client_head_has_no_body),
        cmocka_unit_test(client_trailers),
        cmocka_unit_test(client_endless),
        cmocka_unit_test(client_asks_again),
        cmocka_unit_test(client_sees_the_end_first),
        cmocka_unit_test(client_asks_again_only_if_it_may),
        cmocka_unit_test(client_gives_up),
        cmocka_unit_test(client_idle_for_too_long),
        cmocka_unit_test(client_stops_when_it_is_refused),
        cmocka_unit_test(client_is_not_asked),
        cmocka_unit_test(client_time_outs),
        cmocka_unit_test(client_is_cancelled),
    };

    return TEST_MAIN(tests);
}
