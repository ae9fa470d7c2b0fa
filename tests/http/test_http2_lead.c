/* test_http2_lead.c - who reads and who sends for all, on a connection that gets stuck.
 *
 * Specifies src/http/h2/h2_wait.c. The peer is a script over a narrow stream: it does not read as
 * long as it cannot write, or never.
 */
#include <stdatomic.h>

#include "http/h2client/h2c_impl.h"

#include "../lib/event.h"
#include "frames.h"

#define NARROW ((size_t)4096)

struct lead {
    struct skua__h2 h2;
    skua_duplex *ours, *theirs;
    skua_io peer;
    skua_scope scope;
    atomic_bool deaf;
    atomic_int unread; /* bytes that the peer has written */
    skua_event heard;  /* there are none */
};

struct lead_stream {
    struct skua__h2_stream stream;
    int64_t deadline;
    int rc;
};

static void lead_ignore(struct skua__h2_stream *stream)
{
    (void)stream;
}

static const struct skua__h2_hooks lead_hooks = {
    .head = lead_ignore, .closed = lead_ignore, .free = lead_ignore};

static ssize_t lead_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct lead *lead = object;
    ssize_t n = skua_io_read_until(skua_duplex_io(lead->ours), buf, len < 17 ? len : 17, deadline);

    if (n > 0 && atomic_fetch_sub(&lead->unread, (int)n) == n)
        skua_event_set(&lead->heard);
    return n;
}

/* Once the peer writes: not before all of that has been read. */
static ssize_t lead_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct lead *lead = object;

    if (atomic_load(&lead->deaf)) {
        int rc = skua_event_wait_until(&lead->heard, deadline);

        if (rc != 0)
            return rc;
    }
    return skua_io_write_until(skua_duplex_io(lead->ours), buf, len, deadline);
}

static const skua_io_ops lead_ops = {.name = "lead", .read = lead_read, .write = lead_write};

static void lead_begin(struct lead *lead, int64_t write_timeout)
{
    struct skua__h2_setup setup = {
        .hooks = &lead_hooks, .head_max = 4096, .window = 65535, .write_timeout = write_timeout};

    MUST(skua_duplex_new(&lead->ours, &lead->theirs, NARROW) == 0);
    lead->peer = skua_duplex_io(lead->theirs);
    MUST(skua__h2_init(&lead->h2, (skua_io){&lead_ops, lead}, &setup, NULL) == 0);
    MUST(skua_scope_open(&lead->scope, SKUA_COLLECT) == 0);
}

static void lead_end(struct lead *lead)
{
    if (lead->theirs != NULL)
        skua_duplex_close(lead->theirs);
    CHECK_EQ(skua_scope_join(&lead->scope), 0);
    skua__h2_free(&lead->h2);
    skua_duplex_close(lead->ours);
}

static void lead_ask(struct lead *lead, struct lead_stream *self, bool end)
{
    static const nghttp2_nv fields[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "GET", 7, 3, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/", 5, 1, 0}};

    memset(self, 0, sizeof *self);
    pthread_mutex_lock(&lead->h2.mutex);
    skua__h2_stream_add(&lead->h2, &self->stream);
    skua__h2_own(&self->stream);
    pthread_mutex_unlock(&lead->h2.mutex);
    MUST(skua__h2_request(&self->stream, fields, TEST_LEN(fields), end) == 0);
}

/* ---- a peer that reads when it has written --------------------------------------------------- */

/* Until the requests are there; then something that is to be answered, and the responses. */
static int peer_writes_first(void *arg)
{
    struct lead *lead = arg;
    uint8_t bytes[1024];
    size_t heads = 0;
    size_t len = 0;

    while (heads < 2) {
        ssize_t n = skua_io_read(lead->peer, bytes + len, sizeof bytes - len);

        MUST(n > 0);
        len += (size_t)n;
        heads = 0;
        for (size_t at = 24; at + 9 <= len; at += 9 + (size_t)(bytes[at + 1] << 8 | bytes[at + 2]))
            heads += bytes[at + 3] == HEADERS;
    }
    (void)skua_sleep(20 * SKUA_MILLISECOND); /* both wait */
    wire_head_of(bytes, 0, SETTINGS, 0, 0);
    wire_head_of(bytes + 9, 8, PING, 0, 0);
    memcpy(bytes + 18, "abcdefgh", 8);
    len = 26;
    for (uint32_t id = 1; id <= 3; id += 2) {
        wire_head_of(bytes + len, 1, HEADERS, END_HEADERS | END_STREAM, id);
        bytes[len + 9] = 0x88;
        len += 10;
    }
    atomic_store(&lead->unread, (int)len);
    atomic_store(&lead->deaf, true);
    MUST(skua_io_write_all(lead->peer, bytes, len) == (ssize_t)len);
    while (skua_io_read(lead->peer, bytes, sizeof bytes) > 0)
        ;
    return 0;
}

static int peer_answers_pings(void *arg)
{
    struct lead *lead = arg;
    uint8_t pong[17] = {0};
    char waste[1024];

    wire_head_of(pong, 0, SETTINGS, 0, 0);
    MUST(skua_io_write_all(lead->peer, pong, 9) == 9);
    wire_head_of(pong, 8, PING, ACK, 0);
    MUST(skua_io_write_all(lead->peer, pong, sizeof pong) == sizeof pong);
    while (skua_io_read(lead->peer, waste, sizeof waste) > 0)
        ;
    return 0;
}

static int waits_for_head(void *arg)
{
    struct lead_stream *self = arg;

    self->rc = skua__h2_read_head(&self->stream, self->deadline);
    return 0;
}

/* Who reads for all has to send, and cannot: another one reads on. */
TEST_FIBER(http2_lead_goes_on_while_the_leader_sends)
{
    struct lead *lead = calloc(1, sizeof *lead);
    struct lead_stream streams[2];
    skua_scope scope;

    lead_begin(lead, SKUA_FOREVER);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (size_t i = 0; i < 2; i++) {
        lead_ask(lead, &streams[i], true);
        streams[i].deadline = skua_now() + 2 * TEST_LATE;
    }
    MUST(skua_spawn(&lead->scope, peer_writes_first, lead) == 0);
    for (size_t i = 0; i < 2; i++)
        MUST(skua_spawn(&scope, waits_for_head, &streams[i]) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(streams[i].rc, 0);
        CHECK_EQ(streams[i].stream.status, 200);
        skua__h2_let_go(&streams[i].stream);
    }
    lead_end(lead);
    free(lead);
    return 0;
}

/* ---- resets ---------------------------------------------------------------------------------- */

/* Who reads is only disturbed by a PING when it is the one that a reset is for. */
TEST_FIBER_CURRENT(http2_lead_is_disturbed_for_itself)
{
    struct lead *lead = calloc(1, sizeof *lead);
    struct lead_stream streams[2];
    struct skua__h2c_stream *calls[2];
    skua_scope scope;

    lead_begin(lead, SKUA_FOREVER);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (size_t i = 0; i < 2; i++) {
        lead_ask(lead, &streams[i], true);
        streams[i].deadline = SKUA_FOREVER;
        calls[i] = (struct skua__h2c_stream *)&streams[i].stream; /* its first member */
    }
    MUST(skua_spawn(&scope, waits_for_head, &streams[0]) == 0);
    CHECK_EQ(skua_sleep(10 * SKUA_MILLISECOND), 0); /* it reads */
    MUST(skua_spawn(&scope, waits_for_head, &streams[1]) == 0);
    CHECK_EQ(skua_sleep(10 * SKUA_MILLISECOND), 0);
    skua__h2c_cancel(calls[1], NGHTTP2_CANCEL, -ECONNABORTED);
    CHECK_EQ(lead->h2.pings, 0);
    skua__h2c_cancel(calls[0], NGHTTP2_CANCEL, -ECONNABORTED);
    CHECK_EQ(lead->h2.pings, 1);
    MUST(skua_spawn(&lead->scope, peer_answers_pings, lead) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(streams[i].rc, -ECONNABORTED);
        skua__h2_let_go(&streams[i].stream);
    }
    lead_end(lead);
    free(lead);
    return 0;
}

/* ---- what is handed on ----------------------------------------------------------------------- */

/* Whose time is over when it is called to send. */
TEST_FIBER_CURRENT(http2_lead_hands_on_to_one_that_leaves)
{
    struct lead *lead = calloc(1, sizeof *lead);
    char *body = calloc(1, SKUA__H2_OUT);
    struct lead_stream streams[3];
    size_t sum = 0;
    ssize_t n = 0;
    skua_scope scope;

    lead_begin(lead, SKUA_FOREVER);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (size_t i = 0; i < 3; i++)
        lead_ask(lead, &streams[i], i != 2);
    streams[0].deadline = SKUA_FOREVER;
    MUST(skua_spawn(&scope, waits_for_head, &streams[0]) == 0);
    CHECK_EQ(skua_sleep(10 * SKUA_MILLISECOND), 0); /* it reads */
    streams[1].deadline = skua_now() + 300 * SKUA_MILLISECOND;
    MUST(skua_spawn(&scope, waits_for_head, &streams[1]) == 0);
    CHECK_EQ(skua_yield(), 0); /* it is in line */
    CHECK_EQ(skua__h2_write(&streams[2].stream, body, SKUA__H2_OUT, SKUA_FOREVER), 0);
    while (skua_now() < streams[1].deadline)
        ;
    CHECK_EQ(skua__h2_flush(&lead->h2), 0); /* a part of it */
    while (sum <= SKUA__H2_OUT && n >= 0) {
        n = skua_io_read_until(lead->peer, body, SKUA__H2_OUT, skua_now() + 2 * TEST_LATE);
        sum += n > 0 ? (size_t)n : 0;
    }
    CHECK(sum > SKUA__H2_OUT);
    skua__h2_reset(&streams[2].stream, NGHTTP2_CANCEL, -ECANCELED);
    skua_duplex_close(lead->theirs);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(streams[1].rc, -ETIMEDOUT);
    for (size_t i = 0; i < 3; i++)
        skua__h2_let_go(&streams[i].stream);
    lead->theirs = NULL;
    lead_end(lead);
    free(body);
    free(lead);
    return 0;
}

/* ---- a peer that never reads ----------------------------------------------------------------- */

/* Who waits for something until its deadline does not send for longer than that. */
TEST_FIBER_CURRENT(http2_lead_has_deadlines)
{
    struct lead *lead = calloc(1, sizeof *lead);
    char *body = calloc(1, SKUA__H2_OUT);
    int64_t begun = skua_now();
    struct lead_stream self;

    lead_begin(lead, 20 * TEST_LATE);
    lead_ask(lead, &self, false);
    CHECK_EQ(skua__h2_write(&self.stream, body, SKUA__H2_OUT, SKUA_FOREVER), 0);
    CHECK_EQ(skua__h2_flush_until(&lead->h2, begun + 10 * SKUA_MILLISECOND), -ETIMEDOUT);
    CHECK_EQ(skua__h2_read_head(&self.stream, begun + 20 * SKUA_MILLISECOND), -ETIMEDOUT);
    skua__h2_let_go(&self.stream); /* whose reset waits for a second */
    CHECK(skua_now() - begun < 10 * TEST_LATE);
    CHECK_EQ(lead->h2.error, 0);
    lead_end(lead);
    free(body);
    free(lead);
    return 0;
}

/* It is found out in the end, whoever tries. */
TEST_FIBER_CURRENT(http2_lead_finds_peers_that_take_nothing)
{
    struct lead *lead = calloc(1, sizeof *lead);
    char *body = calloc(1, SKUA__H2_OUT);
    struct lead_stream self;
    int rc = 0;

    lead_begin(lead, 50 * SKUA_MILLISECOND);
    lead_ask(lead, &self, false);
    CHECK_EQ(skua__h2_write(&self.stream, body, SKUA__H2_OUT, SKUA_FOREVER), 0);
    for (int i = 0; i < 1000 && lead->h2.error == 0; i++)
        rc = skua__h2_read_head(&self.stream, skua_now() + 5 * SKUA_MILLISECOND);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(lead->h2.error, -ETIMEDOUT);
    skua__h2_let_go(&self.stream);
    lead_end(lead);
    free(body);
    free(lead);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_lead_goes_on_while_the_leader_sends),
        cmocka_unit_test(http2_lead_is_disturbed_for_itself),
        cmocka_unit_test(http2_lead_hands_on_to_one_that_leaves),
        cmocka_unit_test(http2_lead_has_deadlines),
        cmocka_unit_test(http2_lead_finds_peers_that_take_nothing),
    };

    return TEST_MAIN(tests);
}
