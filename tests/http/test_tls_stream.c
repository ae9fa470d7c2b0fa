/* drivers: both */
/* test_tls_stream.c - a connection's bytes: both ways, to an end or a cut, cancelled and late.
 *
 * Specifies skua_tls_io: big data through small buffers, half-close, SKUA_EEOF for a stream that
 * was cut, bytes that were changed, what a cancelled or late call leaves behind, one task a
 * direction, a peer that is silent or talks nonsense in the handshake, no memory, and sockets with
 * plain threads.
 */
#include <pthread.h>

#include <skua/time.h>

#include "../lib/sockets.h"
#include "../lib/parked.h"
#include "tls_pair.h"

#define BIG ((size_t)300 * 1000)

static char pattern_at(size_t i)
{
    return (char)(i * 7 + i / 251);
}

/* ---- data ------------------------------------------------------------------------------------ */

/* Writes BIG bytes in pieces of all sizes, some of them with writev; then says the end. */
static int writes_big(void *arg)
{
    skua_io io = skua_tls_io(arg);
    char *all = malloc(BIG);
    size_t piece = 1;

    MUST(all != NULL);
    for (size_t i = 0; i < BIG; i++)
        all[i] = pattern_at(i);
    for (size_t done = 0; done < BIG;) {
        size_t len = piece < BIG - done ? piece : BIG - done;
        struct iovec iov[3] = {{all + done, len / 3},
                               {all + done + len / 3, 0},
                               {all + done + len / 3, len - len / 3}};
        ssize_t n = piece % 2 == 0 ? io.ops->writev(io.object, iov, 3, SKUA_FOREVER)
                                   : skua_io_write(io, all + done, len);

        if (!CHECK(n > 0 && (size_t)n <= len))
            break;
        done += (size_t)n;
        piece = piece * 3 + 1 > 100000 ? 1 : piece * 3 + 1;
    }
    CHECK_EQ(skua_io_shutdown(io), 0);
    CHECK_EQ(skua_io_shutdown(io), 0);
    CHECK_EQ(skua_io_write(io, "x", 1), -EPIPE);
    free(all);
    return 0;
}

static int reads_big(void *arg)
{
    skua_io io = skua_tls_io(arg);
    char buf[5000];
    size_t sum = 0, wrong = 0;
    ssize_t n;

    while ((n = skua_io_read(io, buf, sizeof buf - sum % 1000)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            wrong += buf[i] != pattern_at(sum + (size_t)i);
        sum += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(sum, BIG);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(skua_io_read(io, buf, 1), 0); /* now and ever */
    return 0;
}

/* Both directions at a time: four tasks. */
static void both_ways(skua_tls *a, skua_tls *b)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, writes_big, a, .stack = SKUA_STACK_LARGE) == 0);
    MUST(skua_spawn(&scope, reads_big, b, .stack = SKUA_STACK_LARGE) == 0);
    MUST(skua_spawn(&scope, writes_big, b, .stack = SKUA_STACK_LARGE) == 0);
    MUST(skua_spawn(&scope, reads_big, a, .stack = SKUA_STACK_LARGE) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
}

TEST_FIBER(tls_data_both_ways)
{
    static const size_t capacities[] = {1000, 100000};

    for (int version = 12; version <= 13; version++)
        for (size_t i = 0; i < TEST_LEN(capacities); i++) {
            struct tls_pair pair = {.server = SERVER(certs()->a),
                                    .client = CLIENT(.version_max = version),
                                    .capacity = capacities[i]};

            pair_open(&pair);
            both_ways(pair.client_tls, pair.server_tls);
            pair_close(&pair);
        }
    return 0;
}

/* A byte at a time below, both the handshake and after it. */
static int small_talk(void *arg)
{
    struct tls_pair *pair = arg;
    char text[8];

    CHECK_EQ(skua_io_read_exact(skua_tls_io(pair->server_tls), text, 5), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    CHECK_EQ(skua_io_read(skua_tls_io(pair->server_tls), text, 5), 0);
    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->server_tls), "later", 5), 5); /* half-closed */
    CHECK_EQ(skua_io_shutdown(skua_tls_io(pair->server_tls)), 0);
    return 0;
}

static int small_talker(void *arg)
{
    struct tls_pair *pair = arg;
    char text[8];

    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->client_tls), "hello", 5), 5);
    CHECK_EQ(skua_io_shutdown(skua_tls_io(pair->client_tls)), 0);
    CHECK_EQ(skua_io_read_exact(skua_tls_io(pair->client_tls), text, 5), 5);
    CHECK(memcmp(text, "later", 5) == 0);
    CHECK_EQ(skua_io_read(skua_tls_io(pair->client_tls), text, 5), 0);
    return 0;
}

TEST_FIBER(tls_half_close)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT(), .capacity = 1};

    pair_open(&pair);
    CHECK_EQ(pair.client_rc, 0);
    pair_both(small_talk, small_talker, &pair);
    pair_close(&pair);
    return 0;
}

/* ---- cuts and changes ------------------------------------------------------------------------ */

static int is_cut(void *arg)
{
    struct tls_pair *pair = arg;
    skua_io io = skua_tls_io(pair->client_tls);
    char text[8];

    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->server_tls), "abc", 3), 3);
    CHECK_EQ(skua_duplex_shutdown(pair->server_end), 0); /* below: no close_notify */
    CHECK_EQ(skua_io_read(io, text, 3), 3);
    CHECK_EQ(skua_io_read(io, text, 3), SKUA_EEOF);
    CHECK_EQ(skua_io_read(io, text, 3), SKUA_EEOF);
    CHECK_EQ(skua_io_write(io, text, 3), -EPIPE);
    CHECK_EQ(skua_io_shutdown(io), -EPIPE);
    return 0;
}

static int is_changed(void *arg)
{
    struct tls_pair *pair = arg;
    static const char record[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
                                  9,  0, 1, 2, 3,  4, 5, 6, 7, 8, 9, 0};
    skua_io io = skua_tls_io(pair->client_tls);
    char text[8];

    CHECK_EQ(skua_duplex_write(pair->server_end, record, sizeof record), sizeof record);
    CHECK_EQ(skua_io_read(io, text, 3), -EPROTO);
    CHECK(skua_tls_error_text(pair->client_tls)[0] != '\0');
    CHECK_EQ(skua_io_read(io, text, 3), -EPROTO);
    CHECK_EQ(skua_io_write(io, text, 3), -EPROTO);
    CHECK_EQ(skua_io_read(skua_tls_io(pair->server_tls), text, 3), -EPROTO); /* the alert */
    return 0;
}

TEST_FIBER(tls_cut_is_told)
{
    static const skua_fiber_fn cases[] = {is_cut, is_changed};

    for (int version = 12; version <= 13; version++)
        for (size_t i = 0; i < TEST_LEN(cases); i++) {
            struct tls_pair pair = {.server = SERVER(certs()->a),
                                    .client = CLIENT(.version_max = version)};

            pair_open(&pair);
            pair_run(cases[i], &pair);
            pair_close(&pair);
        }
    return 0;
}

/* ---- handshakes that lead nowhere ------------------------------------------------------------ */

struct nowhere {
    skua_tls_context *context;
    skua_duplex *end;
    int64_t deadline;
    int rc;
};

static int accepts_nowhere(void *arg)
{
    struct nowhere *self = arg;
    skua_tls_info info;
    skua_tls *tls;

    self->rc = skua_tls_accept(&tls, self->context, skua_duplex_io(self->end), self->deadline);
    CHECK(skua_tls_error_text(tls)[0] != '\0');
    CHECK_EQ(skua_tls_info_of(tls, &info), SKUA_EUSAGE);
    CHECK_EQ(skua_io_read(skua_tls_io(tls), &info, 1),
             self->rc == -ECANCELED ? -ECANCELED : SKUA_EUSAGE);
    skua_tls_close(tls);
    return 0;
}

static int nowhere(const char *says, size_t len, bool ends, int64_t timeout)
{
    struct nowhere self = {.rc = 1};
    skua_duplex *peer;

    MUST(skua_tls_context_new(&self.context, SKUA_TLS_SERVER, SERVER(certs()->a)) == 0);
    MUST(skua_duplex_new(&self.end, &peer, 4096) == 0);
    CHECK_EQ(skua_io_write_all(skua_duplex_io(peer), says, len), len);
    if (ends)
        CHECK_EQ(skua_duplex_shutdown(peer), 0);
    self.deadline = timeout == SKUA_FOREVER ? timeout : skua_now() + timeout;
    pair_run(accepts_nowhere, &self);
    skua_duplex_close(peer);
    skua_duplex_close(self.end);
    skua_tls_context_free(self.context);
    return self.rc;
}

TEST_FIBER(tls_nonsense)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char half[] = {22, 3, 1, 1, 0, 1, 0, 0, 99};
    static const char zeros[100];

    CHECK_EQ(nowhere(http, sizeof http - 1, false, SKUA_FOREVER), -EPROTO);
    CHECK_EQ(nowhere(zeros, sizeof zeros, false, SKUA_FOREVER), -EPROTO);
    CHECK_EQ(nowhere(half, sizeof half, true, SKUA_FOREVER), SKUA_EEOF);
    CHECK_EQ(nowhere("", 0, true, SKUA_FOREVER), SKUA_EEOF);
    return 0;
}

TEST_FIBER_CLOCK(tls_silence)
{
    static const char half[] = {22, 3, 1, 1, 0, 1, 0, 0, 99};
    int64_t begin = skua_now();

    CHECK_EQ(nowhere("", 0, false, 10 * SKUA_SECOND), -ETIMEDOUT);
    CHECK_EQ(nowhere(half, sizeof half, false, 10 * SKUA_SECOND), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, 20 * SKUA_SECOND);
    return 0;
}

/* ---- cancellation ---------------------------------------------------------------------------- */

/* A handshake that is cancelled after each number of its turns. */
TEST_FIBER(tls_cancelled_handshake)
{
    for (int turns = 0; turns < TEST_COUNT(60); turns++) {
        struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT(), .capacity = 200};
        skua_scope scope;

        pair_contexts(&pair);
        MUST(skua_duplex_new(&pair.client_end, &pair.server_end, 200) == 0);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&scope, pair_accept, &pair, .stack = SKUA_STACK_LARGE) == 0);
        MUST(skua_spawn(&scope, pair_connect, &pair, .stack = SKUA_STACK_LARGE) == 0);
        for (int i = 0; i < turns; i++)
            (void)skua_yield();
        (void)skua_scope_cancel(&scope);
        (void)skua_scope_join(&scope);
        CHECK(pair.client_tls == NULL || pair.client_rc <= 0);
        pair_close(&pair);
    }
    return 0;
}

struct patient {
    skua_tls *tls;
    bool writes;
    int64_t lasts; /* of each try */
    size_t sum, tries;
};

/* Goes on after each time-out, as if nothing had been. */
static int is_patient(void *arg)
{
    struct patient *self = arg;
    skua_io io = skua_tls_io(self->tls);
    char buf[20000];

    while (self->sum < BIG) {
        size_t len = BIG - self->sum < sizeof buf ? BIG - self->sum : sizeof buf;
        int64_t deadline = skua_now() + self->lasts;
        ssize_t n;

        for (size_t i = 0; self->writes && i < len; i++)
            buf[i] = pattern_at(self->sum + i);
        n = self->writes ? skua_io_write_until(io, buf, len, deadline)
                         : skua_io_read_until(io, buf, len, deadline);
        self->tries += n == -ETIMEDOUT;
        if (n < 0 && !CHECK_EQ(n, -ETIMEDOUT))
            return 0;
        for (ssize_t i = 0; !self->writes && i < n; i++)
            MUST(buf[i] == pattern_at(self->sum + (size_t)i));
        self->sum += n > 0 ? (size_t)n : 0;
        if (!self->writes && n > 0)
            (void)skua_sleep(MS(3)); /* the writer is late again and again */
    }
    CHECK_EQ(self->writes ? skua_io_shutdown(io) : skua_io_read(io, buf, 1), 0);
    return 0;
}

TEST_FIBER_CLOCK(tls_late_calls_lose_nothing)
{
    for (int late = 0; late < 2; late++) {
        struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT(), .capacity = 1500};
        struct patient writer = {.writes = true, .lasts = late ? MS(2) : MS(50)};
        struct patient reader = {.lasts = MS(1)};
        skua_scope scope;

        pair_open(&pair);
        writer.tls = pair.client_tls;
        reader.tls = pair.server_tls;
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&scope, is_patient, &writer, .stack = SKUA_STACK_LARGE) == 0);
        MUST(skua_spawn(&scope, is_patient, &reader, .stack = SKUA_STACK_LARGE) == 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(writer.sum, BIG);
        CHECK_EQ(reader.sum, BIG);
        CHECK(!late || writer.tries != 0);
        pair_close(&pair);
    }
    return 0;
}

/* What a late write has left goes out with reads, too. */
static int late_writer(void *arg)
{
    struct tls_pair *pair = arg;
    skua_io io = skua_tls_io(pair->client_tls);
    char buf[16000] = "";
    ssize_t n;

    CHECK_EQ(skua_io_write_until(io, buf, sizeof buf, skua_now() + MS(1)), sizeof buf);
    CHECK_EQ(skua_io_write_until(io, buf, sizeof buf, skua_now() + MS(1)), -ETIMEDOUT);
    (void)skua_sleep(MS(50)); /* and now the other one reads */
    do
        n = skua_io_read_until(io, buf, 1, skua_now() + MS(5));
    while (n == -ETIMEDOUT);
    CHECK_EQ(n, 1);
    return 0;
}

static int late_reader(void *arg)
{
    struct tls_pair *pair = arg;
    char buf[16000];

    (void)skua_sleep(MS(20));
    CHECK_EQ(skua_io_read_exact(skua_tls_io(pair->server_tls), buf, sizeof buf), sizeof buf);
    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->server_tls), "x", 1), 1);
    return 0;
}

TEST_FIBER_CLOCK(tls_left_goes_out_with_reads)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT(), .capacity = 1500};

    pair_open(&pair);
    pair_both(late_writer, late_reader, &pair);
    pair_close(&pair);
    return 0;
}

/* ---- one task a direction -------------------------------------------------------------------- */

struct reads_one {
    skua_tls *tls;
    ssize_t n;
};

static int reads_one(void *arg)
{
    struct reads_one *self = arg;
    char byte;

    self->n = skua_io_read(skua_tls_io(self->tls), &byte, 1);
    return 0;
}

static int second_reader(void *arg)
{
    struct tls_pair *pair = arg;
    struct reads_one first = {.tls = pair->client_tls};
    skua_io io = skua_tls_io(pair->client_tls);
    skua_task *task;
    char byte;

    MUST(skua_spawn(NULL, reads_one, &first, .task = &task, .stack = SKUA_STACK_LARGE) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_io_read(io, &byte, 1), -EBUSY);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(first.n, -ECANCELED);
    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->server_tls), "x", 1), 1);
    CHECK_EQ(skua_io_read(io, &byte, 1), 1); /* nothing was lost */
    CHECK_EQ(byte, 'x');
    return 0;
}

static int writes_much(void *arg)
{
    struct reads_one *self = arg;
    char much[20000] = "";

    self->n = skua_io_write(skua_tls_io(self->tls), much, sizeof much);
    return 0;
}

static int second_writer(void *arg)
{
    struct tls_pair *pair = arg;
    struct reads_one first = {.tls = pair->client_tls};
    skua_io io = skua_tls_io(pair->client_tls);
    skua_task *task;

    MUST(skua_spawn(NULL, writes_much, &first, .task = &task, .stack = SKUA_STACK_LARGE) == 0);
    test_until_parked(task, NULL); /* it is more than the connection holds */
    CHECK_EQ(skua_io_write(io, "x", 1), -EBUSY);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK(first.n == -ECANCELED || first.n == 20000);
    return 0;
}

TEST_FIBER(tls_second_writer)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};

    pair_open(&pair);
    pair_run(second_writer, &pair);
    pair_close(&pair);
    return 0;
}

TEST_FIBER(tls_second_reader)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};

    pair_open(&pair);
    pair_run(second_reader, &pair);
    pair_close(&pair);
    return 0;
}

/* ---- no memory ------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
/* Each allocation of ours fails once; nothing hangs, nothing leaks. */
TEST_FIBER_CURRENT(tls_no_memory)
{
    const struct certs *c = certs();
    const skua_tls_certificate more = {.chain = c->b->chain, .key = c->b->key, .names = "b"};
    int failed = 0;

    for (unsigned nth = 1; nth < 40; nth++) {
        struct tls_pair pair = {.host = "a.test"};
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_tls_context_new(
            &pair.server_context, SKUA_TLS_SERVER,
            SERVER(c->a, .certificates = &more, .certificates_count = 1, .alpn = "h2"));
        if (rc == 0)
            rc = skua_tls_context_new(&pair.client_context, SKUA_TLS_CLIENT, CLIENT(.alpn = "h2"));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        failed += rc != 0;
        pair_contexts_free(&pair);
    }
    CHECK_RANGE(failed, 6, 38);
    return 0;
}

/* They have their stacks when the allocations begin to be counted. */
static int starved_accept(void *arg)
{
    (void)skua_yield();
    return pair_accept(arg);
}

static int starved_connect(void *arg)
{
    (void)skua_yield();
    return pair_connect(arg);
}

TEST_FIBER_CURRENT(tls_no_memory_in_handshakes)
{
    int failed = 0;

    for (unsigned nth = 1; nth < 30; nth++) {
        struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};
        skua_scope scope;

        pair_contexts(&pair);
        MUST(skua_duplex_new(&pair.client_end, &pair.server_end, 4096) == 0);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&scope, starved_accept, &pair, .stack = SKUA_STACK_LARGE) == 0);
        MUST(skua_spawn(&scope, starved_connect, &pair, .stack = SKUA_STACK_LARGE) == 0);
        (void)skua_yield();
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_scope_join(&scope), 0);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        failed += pair.client_rc == -ENOMEM || pair.server_rc == -ENOMEM;
        CHECK(pair.client_rc != 0 || pair.client_tls != NULL);
        pair_close(&pair);
    }
    CHECK_RANGE(failed, 4, 28);
    return 0;
}
#endif

/* ---- sockets, plain threads ------------------------------------------------------------------ */

struct over_tcp {
    skua_tcp *tcp;
    skua_tls_context *context;
    bool server;
};

static int talks_over_tcp(void *arg)
{
    struct over_tcp *self = arg;
    int64_t deadline = skua_now() + 20 * SKUA_SECOND;
    skua_tls *tls;
    char text[16];

    if (self->server) {
        CHECK_EQ(skua_tls_accept(&tls, self->context, skua_tcp_io(self->tcp), deadline), 0);
        writes_big(tls);
        CHECK_EQ(skua_io_read_exact(skua_tls_io(tls), text, 4), 4);
        CHECK_EQ(skua_io_read(skua_tls_io(tls), text, 4), 0);
    } else {
        CHECK_EQ(
            skua_tls_connect(&tls, self->context, skua_tcp_io(self->tcp), "127.0.0.1", deadline),
            0);
        reads_big(tls);
        CHECK_EQ(skua_io_write_all(skua_tls_io(tls), "done", 4), 4);
        CHECK_EQ(skua_io_shutdown(skua_tls_io(tls)), 0);
    }
    skua_tls_close(tls);
    return 0;
}

static void *talks_on_a_thread(void *arg)
{
    (void)talks_over_tcp(arg);
    return NULL;
}

TEST_FIBER(tls_over_sockets)
{
    struct over_tcp server = {.server = true}, client = {.server = false};
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    pthread_t thread;

    MUST(skua_tls_context_new(&server.context, SKUA_TLS_SERVER, SERVER(certs()->address)) == 0);
    MUST(skua_tls_context_new(&client.context, SKUA_TLS_CLIENT, CLIENT()) == 0);
    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client.tcp, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &server.tcp) == 0);
    MUST(pthread_create(&thread, NULL, talks_on_a_thread, &client) == 0);
    pair_run(talks_over_tcp, &server);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(skua_tcp_close(client.tcp), 0);
    CHECK_EQ(skua_tcp_close(server.tcp), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    skua_tls_context_free(server.context);
    skua_tls_context_free(client.context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_data_both_ways),
        cmocka_unit_test(tls_half_close),
        cmocka_unit_test(tls_cut_is_told),
        cmocka_unit_test(tls_nonsense),
        cmocka_unit_test(tls_silence),
        cmocka_unit_test(tls_cancelled_handshake),
        cmocka_unit_test(tls_late_calls_lose_nothing),
        cmocka_unit_test(tls_left_goes_out_with_reads),
        cmocka_unit_test(tls_second_reader),
        cmocka_unit_test(tls_second_writer),
#ifdef SKUA_FAULTS
        cmocka_unit_test(tls_no_memory),
        cmocka_unit_test(tls_no_memory_in_handshakes),
#endif
        cmocka_unit_test(tls_over_sockets),
    };

    return TEST_MAIN(tests);
}
