/* drivers: both */
/* test_http_sockets.c - connections that are taken over, of other kinds, or end at a bad moment.
 *
 * Specifies skua_http_upgrade; a server on a Unix socket; that a stop does not cut off an answer
 * that is on its way; and that an answer reaches a client who went on sending.
 */
#include <skua/unix.h>

#include <stdatomic.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/sockets.h"
#include "http/h1/h1_impl.h"
#include "served.h"

/* ---- another protocol ------------------------------------------------------------------------ */

#define UPGRADE                                                                                    \
    "GET /up HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: b, shout\r\n"

/* Answers each byte with itself, as a capital. */
static int shouts(skua_http_exchange *exchange, void *state)
{
    skua_io io;
    char text[10];
    ssize_t n;
    int rc;

    CHECK_EQ(skua_http_upgrade(exchange, "", &io), -EINVAL);
    CHECK_EQ(skua_http_upgrade(exchange, "a\r\nb", &io), -EINVAL);
    CHECK_EQ(skua_http_upgrade(exchange, "other", &io), -ENOTSUP);
    CHECK_EQ(skua_http_set_header(exchange, "X-Loud", "very"), 0);
    rc = skua_http_upgrade(exchange, "shout", &io);
    if (rc == -ENOTSUP)
        return hello(exchange, state);
    if (rc == -EBUSY)
        return skua_http_reply(exchange, 409, NULL, "body\n", 5);
    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_http_begun(exchange), 1);
    CHECK_EQ(skua_http_write(exchange, "x", 1), -EALREADY);
    CHECK_EQ(skua_http_upgrade(exchange, "shout", &io), -EALREADY);
    while ((n = skua_io_read(io, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] = (char)(text[i] >= 'a' ? text[i] - 'a' + 'A' : text[i]);
        CHECK_EQ(skua_io_write_all(io, text, (size_t)n), n);
    }
    CHECK_EQ(n, state != NULL ? (intptr_t)state : 0);
    if (n == 0)
        CHECK_EQ(skua_io_write_all(io, "!", 1), 1);
    return 0;
}

TEST_FIBER(http_upgrade)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = shouts;
    for (talk->piece = 0; talk->piece < 3; talk->piece++) {
        talk_to(talk, UPGRADE "\r\nabc defghijklmnopqrstuvwxyz");
        CHECK_EQ(talk_status(talk, 0), 101);
        CHECK(strstr(talk->text, "X-Loud: very\r\n") != NULL);
        CHECK(strstr(talk->text, "Upgrade: shout\r\nConnection: Upgrade\r\n\r\n") != NULL);
        CHECK(strstr(talk->text, "Content-Length") == NULL);
        CHECK(strstr(talk->text, "chunked") == NULL);
        CHECK_STR(talk_body(talk, 0), "ABC DEFGHIJKLMNOPQRSTUVWXYZ!");
        CHECK_EQ(talk->rc, 0);
    }
    free(talk);
    return 0;
}

TEST_FIBER(http_upgrade_that_nobody_asked_for)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = shouts;
    talk_to(talk, GET "\r\n" GET "Upgrade: shout\r\n\r\n" GET "Connection: Upgrade\r\n\r\n");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(talk_status(talk, i), 200);
    CHECK(strstr(talk->text, "Content-Length: 6\r\n") != NULL);
    talk_to(talk, "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n");
    CHECK_EQ(talk_status(talk, 0), 200);
    talk_to(talk, UPGRADE "Content-Length: 3\r\n\r\nabc" GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 409);
    CHECK_EQ(talk_status(talk, 1), 200); /* the connection goes on */
    free(talk);
    return 0;
}

/* Behind a 101 a connection is under way: a stop waits for it, and then cancels it. */
TEST_FIBER(http_upgrade_and_stop)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, shouts, (void *)(intptr_t)-ECANCELED,
                 SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(50)));
    tcp = connected(&served);
    says(tcp, UPGRADE "\r\nab");
    hears(tcp, text, sizeof text, "AB", 1);
    says(tcp, "cd");
    hears(tcp, text, sizeof text, "CD", 1);
    served_end(&served);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

/* ---- other sockets --------------------------------------------------------------------------- */

TEST_FIBER(http_unix_socket)
{
    static int count;
    struct served served;
    skua_tcp *tcp;
    char path[64], text[4096];

    (void)snprintf(path, sizeof path, "@skua-http-%d-%d", (int)getpid(), count++);
    MUST(skua_unix_listen(&served.listener, path, NULL) == 0);
    served_begin_on(&served, hello, NULL, NULL);
    MUST(skua_unix_connect(&tcp, path) == 0);
    for (int i = 0; i < 2; i++) {
        says(tcp, GET "\r\n");
        hears(tcp, text, sizeof text, "hello\n", 1);
    }
    served_end(&served);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

/* ---- too many from one place ----------------------------------------------------------------- */

TEST_FIBER(http_connections_of_one_peer)
{
    struct served served;
    skua_http_server_stats stats;
    skua_tcp *tcp[3], *more;
    char text[4096];

    served_begin(&served, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.peer_max = TEST_LEN(tcp)));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < TEST_LEN(tcp); i++) {
            tcp[i] = connected(&served);
            says(tcp[i], GET "\r\n");
            hears(tcp[i], text, sizeof text, "hello\n", 1);
        }
        more = connected(&served);
        hears_the_end(more);
        CHECK_EQ(skua_tcp_close(more), 0);
        MUST(skua_tcp_connect(&more, served.address, SKUA_CONNECT_OPTIONS(.bind = "127.0.0.2:0")) ==
             0);
        says(more, GET "\r\n"); /* from another address there is room */
        hears(more, text, sizeof text, "hello\n", 1);
        CHECK_EQ(skua_tcp_close(more), 0);
        for (size_t i = 0; i < TEST_LEN(tcp); i++)
            CHECK_EQ(skua_tcp_close(tcp[i]), 0);
        do { /* until it has seen that they are gone */
            CHECK_EQ(skua_sleep(MS(1)), 0);
            skua_http_server_stats_of(served.server, &stats);
        } while (stats.connections_now != 0);
    }
    CHECK_EQ(stats.turned_away, 2);
    CHECK_EQ(stats.connections, 8);
    served_end(&served);
    return 0;
}

/* ---- ends at a bad moment -------------------------------------------------------------------- */

#define BIG ((size_t)8 << 20)

static int is_big(skua_http_exchange *exchange, void *state)
{
    struct test_event *inside = state;
    char *text = malloc(BIG);
    int rc;

    MUST(text != NULL);
    memset(text, 'a', BIG);
    CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "8388608"), 0);
    test_event_set(inside);
    rc = skua_http_write(exchange, text, BIG - 10000) > 0 ? 0 : -EIO;
    if (rc == 0) /* the rest is gathered: it is sent when the connection begins to wait */
        rc = skua_http_write(exchange, text, 10000) > 0 ? 0 : -EIO;
    free(text);
    return rc;
}

static int reads_all(void *arg)
{
    skua_tcp *tcp = arg;
    char *text = malloc(65536);
    size_t sum = 0;
    ssize_t n;

    MUST(text != NULL);
    CHECK_EQ(skua_sleep(MS(30)), 0); /* long enough for a stop to begin meanwhile */
    while ((n = skua_tcp_read(tcp, text, 65536)) > 0)
        sum += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK_RANGE(sum, BIG, BIG + 1000);
    free(text);
    return 0;
}

TEST_FIBER(http_stop_does_not_cut_an_answer)
{
    struct test_event inside = TEST_EVENT_INIT;
    struct served served;
    skua_task *reader;
    skua_tcp *tcp;

    served_begin(&served, is_big, &inside, NULL);
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    CHECK_EQ(test_event_wait(&inside), 0);
    CHECK_EQ(skua_spawn(NULL, reads_all, tcp, .task = &reader), 0);
    served_end(&served);
    CHECK_EQ(skua_task_join(reader, NULL), 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

/* The same at the very last piece: the handler has returned, and the client reads nothing. */
static int fills(skua_http_exchange *exchange, void *state)
{
    char text[6000];

    (void)state;
    memset(text, 'a', sizeof text);
    return skua_http_reply(exchange, 200, NULL, text, sizeof text);
}

struct watched {
    skua_duplex *end;
    struct skua__h1 h1;
    bool idle;
    int asked; /* whether there is something to read */
};

static bool watch_idle(void *arg, bool idle)
{
    ((struct watched *)arg)->idle = idle;
    return true;
}

/* There may be; and the connection has no memory of a request meanwhile. */
static int watch_readable(void *arg, int64_t deadline)
{
    struct watched *self = arg;

    CHECK(deadline > skua_now());
    CHECK(self->h1.kit == NULL && self->h1.in == NULL && self->h1.fields == NULL);
    self->asked++;
    return 0;
}

static bool watch_last(void *arg)
{
    (void)arg;
    return false;
}

static void watch_refused(void *arg)
{
    (void)arg;
}

static int watched_serve(void *arg)
{
    static const struct skua__h1_watch watch = {.idle = watch_idle,
                                                .last = watch_last,
                                                .refused = watch_refused,
                                                .readable = watch_readable};
    const skua_http_server_options options = {.head_max = 8192,
                                              .headers_max = 100,
                                              .body_max = 10,
                                              .body_rate_min = -1,
                                              .head_timeout = SKUA_HOUR,
                                              .body_timeout = SKUA_HOUR,
                                              .write_timeout = SKUA_HOUR,
                                              .idle_timeout = SKUA_HOUR,
                                              .handler_timeout = SKUA_FOREVER};
    struct watched *self = arg;

    MUST(skua__h1_init(&self->h1, skua_duplex_io(self->end), &options) == 0);
    skua__h1_watch_by(&self->h1, &watch, self);
    CHECK_EQ(skua__h1_serve(&self->h1, fills, NULL), 0);
    skua__h1_free(&self->h1);
    skua_duplex_close(self->end);
    return 0;
}

TEST_FIBER_CLOCK(http_not_idle_before_the_answer_is_out)
{
    struct watched watched = {.asked = 0};
    skua_duplex *client;
    skua_scope scope;
    char text[8192] = GET;

    for (int i = 0; i < 50; i++) /* more than a kit has room for, of both */
        (void)strcat(text, "X: 4567890123456789012345678901234567890123456789012345678901234567890"
                           "12345678901234567890\r\n");
    (void)strcat(text, "\r\n");
    MUST(skua_duplex_new(&client, &watched.end, 4096) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, watched_serve, &watched) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK(watched.idle);
    CHECK_EQ(skua_io_write_all(skua_duplex_io(client), text, strlen(text)), strlen(text));
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK(!watched.idle);
    CHECK_EQ(skua_io_read_exact(skua_duplex_io(client), text, 6000), 6000);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK(watched.idle);
    CHECK_EQ(watched.asked, 2);
    skua_duplex_close(client);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* Sockets that have nothing to do with the server: what comes out is what was put in. */
struct bystander {
    atomic_bool *done;
    skua_listener *listener;
    const char *address;
};

static int bystands(void *arg)
{
    struct bystander *self = arg;

    while (!atomic_load(self->done)) {
        skua_tcp *a, *b;
        char text[8] = "";

        MUST(skua_tcp_connect(&a, self->address, NULL) == 0);
        MUST(skua_tcp_accept(self->listener, &b) == 0);
        CHECK_EQ(skua_tcp_write_all(a, "stander", 7), 7);
        CHECK_EQ(skua_tcp_read_exact(b, text, 7), 7);
        CHECK_STR(text, "stander");
        CHECK_EQ(skua_tcp_close(a), 0);
        CHECK_EQ(skua_tcp_close(b), 0);
        (void)skua_yield(); /* nothing here has to wait: others shall have their turn */
    }
    return 0;
}

static int asks_and_asks(void *arg)
{
    struct served *served = arg;
    char text[1024];
    skua_tcp *tcp;

    if (skua_tcp_connect(&tcp, served->address, NULL) != 0)
        return 0;
    while (skua_tcp_write_all(tcp, GET "\r\n", strlen(GET) + 2) > 0 &&
           skua_tcp_read(tcp, text, sizeof text) > 0)
        ;
    return skua_tcp_close(tcp);
}

/* A stop, at whatever moment of a connection, ends that and nothing else. */
TEST_FIBER(http_stop_is_the_servers_own)
{
    char address[SKUA_ADDRESS_MAX];
    atomic_bool done = false;
    struct bystander bystander = {.done = &done, .address = address};
    skua_scope clients;
    skua_task *other;

    bystander.listener = test_listen(address);
    MUST(skua_spawn(NULL, bystands, &bystander, .task = &other) == 0);
    for (int round = 0; round < TEST_COUNT(8); round++) {
        struct served served;

        served_begin(&served, hello, NULL, NULL);
        MUST(skua_scope_open(&clients, SKUA_COLLECT) == 0);
        for (int i = 0; i < 8; i++)
            MUST(skua_spawn(&clients, asks_and_asks, &served) == 0);
        CHECK_EQ(skua_sleep(MS(2)), 0);
        served_end(&served);
        CHECK_EQ(skua_scope_join(&clients), 0); /* each has seen the end of its connection */
    }
    atomic_store(&done, true);
    CHECK_EQ(skua_task_join(other, NULL), 0);
    CHECK_EQ(skua_listener_close(bystander.listener), 0);
    return 0;
}

/* The last answer of a connection, to a client who has sent more than that: no reset may take it
 * away. */
TEST_FIBER(http_last_answer_reaches_a_client_who_sends)
{
    struct served served;
    const size_t each = strlen(GET "\r\n"), len = 5000 * each;
    char *text = malloc(len + 1);
    char answer[4096];
    skua_tcp *tcp;

    MUST(text != NULL);
    for (size_t i = 0; i < len; i += each)
        memcpy(text + i, GET "\r\n", each + 1);
    served_begin(&served, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.requests_max = 1));
    for (int i = 0; i < 20; i++) {
        tcp = connected(&served);
        (void)skua_tcp_write_all(tcp, text, len);
        CHECK_EQ(skua_sleep(MS(2)), 0);
        hears(tcp, answer, sizeof answer, "hello\n", 1);
        CHECK_EQ(skua_tcp_write_all(tcp, "G", 1), 1); /* somebody still listens */
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    free(text);
    served_end(&served);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_upgrade),
        cmocka_unit_test(http_upgrade_that_nobody_asked_for),
        cmocka_unit_test(http_upgrade_and_stop),
        cmocka_unit_test(http_unix_socket),
        cmocka_unit_test(http_connections_of_one_peer),
        cmocka_unit_test(http_stop_does_not_cut_an_answer),
        cmocka_unit_test(http_not_idle_before_the_answer_is_out),
        cmocka_unit_test(http_stop_is_the_servers_own),
        cmocka_unit_test(http_last_answer_reaches_a_client_who_sends),
    };

    return TEST_MAIN(tests);
}
