/* test_cares.c - names resolved by c-ares, from a server with a script. drivers: both
 *
 * Specifies adapters/skua_cares.h. The server speaks DNS on the loopback, UDP and TCP; what it
 * answers depends on the name alone:
 *
 *   both     127.0.0.7 and ::1         v4       127.0.0.7, and no IPv6 address
 *   none     no address at all         nx       there is no such name
 *   fails    "server failure"          refuses  "refused"
 *   late     as both, 30 ms later      silent   nothing
 *   garbage  bytes that are no DNS, a foreign answer, then as both
 *   cut      over UDP a cut-off answer; over TCP 40 addresses
 */
#include "skua_cares.h"

#include "event.h"
#include "part.h"
#include "sockets.h"
#include "usage.h"

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    skua_udp *udp;
    skua_listener *listener;
    skua_scope scope;
    char at[SKUA_ADDRESS_MAX];
    atomic_int asked; /* questions of either way */
    skua_cares cares;
};

#define NO_ERROR 0
#define SERVER_FAILURE 2
#define NO_NAME 3
#define REFUSED 5
#define CUT 0x0200

/* The first label of a question, and the end of it all. */
static size_t question(const unsigned char *buf, size_t len, char *name, int *type)
{
    size_t at = 12;

    if (len < 17)
        return 0;
    snprintf(name, 32, "%.*s", (int)buf[12], (const char *)buf + 13);
    while (at < len && buf[at] != 0)
        at += buf[at] + 1u;
    at += 5;
    if (at > len)
        return 0;
    *type = buf[at - 4] << 8 | buf[at - 3];
    return at;
}

/* Makes an answer of the question in buf; its length. */
static size_t answer(unsigned char *buf, size_t at, int type, int addresses, unsigned flags)
{
    unsigned bits = 0x8180 | flags;
    size_t len = type == 28 ? 16 : 4;

    buf[2] = (unsigned char)(bits >> 8);
    buf[3] = (unsigned char)bits;
    memset(buf + 6, 0, 6);
    buf[7] = (unsigned char)addresses;
    for (int i = 0; i < addresses; i++) {
        const unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0,
                                        0,    60, 0, (unsigned char)len};

        memcpy(buf + at, head, sizeof head);
        memset(buf + at + 12, 0, len);
        if (len == 4)
            buf[at + 12] = 127;
        buf[at + 12 + len - 1] = (unsigned char)((len == 4 ? 7 : 1) + i);
        at += 12 + len;
    }
    return at;
}

/* What the script says to the question in buf: the answer's length, 0: none. */
static size_t script(struct server *self, unsigned char *buf, size_t len, bool tcp,
                     const skua_address *from)
{
    char name[32];
    int type;
    size_t at = question(buf, len, name, &type);

    MUST(at > 0);
    atomic_fetch_add(&self->asked, 1);
    if (strcmp(name, "silent") == 0)
        return 0;
    if (strcmp(name, "nx") == 0)
        return answer(buf, at, type, 0, NO_NAME);
    if (strcmp(name, "none") == 0 || (strcmp(name, "v4") == 0 && type == 28))
        return answer(buf, at, type, 0, NO_ERROR);
    if (strcmp(name, "fails") == 0)
        return answer(buf, at, type, 0, SERVER_FAILURE);
    if (strcmp(name, "refuses") == 0)
        return answer(buf, at, type, 0, REFUSED);
    if (strcmp(name, "cut") == 0)
        return tcp ? answer(buf, at, type, 40, NO_ERROR) : answer(buf, at, type, 0, CUT);
    if (strcmp(name, "late") == 0 && skua_sleep(MS(30)) != 0)
        return 0;
    if (strcmp(name, "garbage") == 0) {
        unsigned char foreign[512];

        memcpy(foreign, buf, at);
        len = answer(foreign, at, type, 3, NO_ERROR);
        foreign[0] ^= 0x55; /* of another question */
        foreign[1] ^= 0x55;
        CHECK_EQ(skua_udp_send_to(self->udp, "\xff\xff\xff", 3, from), 3);
        CHECK_EQ(skua_udp_send_to(self->udp, foreign, len, from), (ssize_t)len);
        CHECK_EQ(skua_udp_send_to(self->udp, foreign, len - 9, from), (ssize_t)len - 9);
    }
    return answer(buf, at, type, 1, NO_ERROR);
}

static int serves_udp(void *arg)
{
    struct server *self = arg;
    unsigned char buf[2048];
    skua_address from;
    ssize_t n;

    while ((n = skua_udp_recv_from(self->udp, buf, 512, &from)) > 0) {
        size_t len = script(self, buf, (size_t)n, false, &from);

        if (len > 0)
            CHECK_EQ(skua_udp_send_to(self->udp, buf, len, &from), (ssize_t)len);
    }
    return 0;
}

/* Both questions may come over one connection. */
static int serves_tcp(void *arg)
{
    struct server *self = arg;
    unsigned char buf[4096];
    skua_tcp *tcp;

    while (skua_tcp_accept(self->listener, &tcp) == 0) {
        while (skua_tcp_read_exact(tcp, buf, 2) == 2) {
            size_t len = (size_t)buf[0] << 8 | buf[1];

            MUST(len <= 512);
            if (skua_tcp_read_exact(tcp, buf + 2, len) != (ssize_t)len)
                break;
            len = script(self, buf + 2, len, true, NULL);
            buf[0] = (unsigned char)(len >> 8);
            buf[1] = (unsigned char)len;
            if (skua_tcp_write_all(tcp, buf, len + 2) < 0)
                break;
        }
        skua_tcp_close(tcp);
    }
    return 0;
}

/* A UDP and a TCP port with one number. */
static void server_bind(struct server *self)
{
    skua_address at;

    for (;;) {
        self->listener = test_listen(self->at);
        if (skua_udp_bind(&self->udp, self->at, NULL) == 0)
            break;
        skua_listener_close(self->listener);
    }
    MUST(skua_udp_local_address(self->udp, &at) == 0);
    MUST(skua_cares_init(&self->cares) == 0);
    self->cares.servers = self->at;
    self->cares.timeout_ms = 100;
    self->cares.tries = 2;
}

static void server_open(struct server *self)
{
    memset(self, 0, sizeof *self);
    server_bind(self);
    MUST(skua_scope_open(&self->scope, SKUA_COLLECT) == 0);
    /* Here, so that descriptors can be counted: each driver makes its own when it needs them. */
    MUST(skua_spawn(&self->scope, serves_udp, self, .flags = SKUA_PINNED) == 0);
    MUST(skua_spawn(&self->scope, serves_tcp, self, .flags = SKUA_PINNED) == 0);
}

static void server_close(struct server *self)
{
    skua_scope_cancel(&self->scope);
    (void)skua_scope_join(&self->scope);
    skua_udp_close(self->udp);
    skua_listener_close(self->listener);
    skua_cares_end(&self->cares);
}

/* How many addresses of either kind were found, as v4 * 100 + v6; or the error. */
static int finds(struct server *self, const char *name, int64_t deadline, skua_address_kind family)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    int count = 0;
    int rc = skua_resolve(&found, name,
                          SKUA_RESOLVE_OPTIONS(.resolver = &self->cares.resolver,
                                               .deadline = deadline, .family = family));

    for (size_t i = 0; i < found.count; i++)
        count += skua_address_kind_of(&found.all[i]) == SKUA_ADDRESS_V4 ? 100 : 1;
    skua_addresses_free(&found);
    return rc < 0 ? rc : count;
}

static int finds_any(struct server *self, const char *name)
{
    return finds(self, name, 0, SKUA_ADDRESS_NONE);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void check_answers(struct server *server)
{
    CHECK_EQ(finds_any(server, "both.skua.example:80"), 101);
    CHECK_EQ(finds(server, "both.skua.example", 0, SKUA_ADDRESS_V4), 100);
    CHECK_EQ(finds(server, "both.skua.example", 0, SKUA_ADDRESS_V6), 1);
    CHECK_EQ(finds_any(server, "v4.skua.example"), 100);
    CHECK_EQ(finds_any(server, "late.skua.example"), 101);
    CHECK_EQ(finds_any(server, "cut.skua.example"), 4040);
    CHECK_EQ(finds_any(server, "nx.skua.example."), -ENOENT);
    CHECK_EQ(finds_any(server, "none.skua.example."), -ENOENT);
}

static void check_silence(struct server *server)
{
    int asked = atomic_load(&server->asked);
    int64_t begin;

    CHECK_EQ(finds_any(server, "silent.skua.example."), -EAGAIN);
    CHECK_EQ(atomic_load(&server->asked) - asked, 4); /* both questions, and both again */
    begin = skua_now();
    CHECK_EQ(finds(server, "silent.skua.example.", begin + MS(20), SKUA_ADDRESS_NONE), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(20), MS(20) + TEST_LATE);
}

TEST_FIBER(fibers_ask)
{
    struct server server;
    int fds;

    server_open(&server);
    CHECK_EQ(finds_any(&server, "both.skua.example"), 101);
    fds = test_fd_count(); /* a driver that has waited for a descriptor may keep one of its own */
    CHECK(finds_any(&server, "fails.skua.example.") == -EAGAIN);
    CHECK(finds_any(&server, "refuses.skua.example.") == -EAGAIN);
    CHECK_EQ(finds_any(&server, "garbage.skua.example."), 101);
    check_silence(&server);
    CHECK_EQ(skua_sleep(MS(5)), 0); /* a ring lets go of descriptors at its next turn */
    CHECK_EQ(test_fd_settle(fds), fds);
    server_close(&server);
    return 0;
}

static int server_runs(void *arg)
{
    struct server *self = arg;

    MUST(skua_spawn(NULL, serves_udp, self) == 0);
    return serves_tcp(self);
}

static void *server_thread(void *arg)
{
    const struct test_kind kind = {"server", SKUA_CURRENT_THREAD, 0, false};
    skua_runtime *runtime = test_runtime(&kind);

    MUST(skua_block_on(runtime, server_runs, arg, NULL) == 0);
    test_runtime_free(runtime);
    return NULL;
}

TEST(plain_threads_ask)
{
    struct server server;
    pthread_t thread;

    memset(&server, 0, sizeof server);
    server_bind(&server);
    MUST(pthread_create(&thread, NULL, server_thread, &server) == 0);
    check_answers(&server);
    CHECK_EQ(finds_any(&server, "garbage.skua.example."), 101);
    check_silence(&server);
    skua_listener_close(server.listener);
    skua_udp_close(server.udp);
    pthread_join(thread, NULL);
    skua_cares_end(&server.cares);
}

/* Many at a time, each with its own answer. */
struct asker {
    struct server *server;
    const char *name;
    int wanted;
};

static int asks(void *arg)
{
    struct asker *self = arg;

    for (int i = 0; i < 5; i++)
        CHECK_EQ(finds_any(self->server, self->name), self->wanted);
    return 0;
}

TEST_FIBER(many_ask)
{
    struct asker askers[12];
    struct server server;
    skua_scope scope;

    server_open(&server);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (size_t i = 0; i < TEST_LEN(askers); i++) {
        askers[i] = (struct asker){&server, "both.skua.example", 101};
        if (i % 3 == 1)
            askers[i] = (struct asker){&server, "v4.skua.example", 100};
        if (i % 3 == 2)
            askers[i] = (struct asker){&server, "nx.skua.example.", -ENOENT};
        MUST(skua_spawn(&scope, asks, &askers[i]) == 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    server_close(&server);
    return 0;
}

/* ---- its end --------------------------------------------------------------------------------- */

static int asks_in_vain(void *arg)
{
    return finds_any(arg, "silent.skua.example.");
}

TEST_FIBER(a_cancelled_query_ends)
{
    struct server server;
    skua_task *task;
    int result = 0;
    int fds;

    server_open(&server);
    CHECK_EQ(finds_any(&server, "both.skua.example"), 101);
    fds = test_fd_count();
    atomic_store(&server.asked, 0);
    server.cares.timeout_ms = 60000; /* no end of its own */
    MUST(skua_spawn(NULL, asks_in_vain, &server, .task = &task, .flags = SKUA_PINNED) == 0);
    while (atomic_load(&server.asked) == 0)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_sleep(MS(5)), 0);
    CHECK_EQ(test_fd_settle(fds), fds);
    server_close(&server);
    return 0;
}

struct poll_asks {
    skua_async async;
    skua_resolve_future resolve;
    struct server *server;
    skua_addresses *found;
    int64_t rc;
};

static skua_poll poll_asks(void *state, skua_waker *waker)
{
    struct poll_asks *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->rc, skua_resolve_init(
                                &self->resolve, self->found, "both.skua.example",
                                SKUA_RESOLVE_OPTIONS(.resolver = &self->server->cares.resolver)));
    SKUA_ASYNC_END(self->rc);
}

TEST_FIBER(poll_tasks_ask)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    struct server server;
    struct poll_asks state = {.server = &server, .found = &found};

    server_open(&server);
    CHECK_EQ(test_run_poll(poll_asks, &state, sizeof state), 0);
    CHECK_EQ(found.count, 2);
    skua_addresses_free(&found);
    server_close(&server);
    return 0;
}

/* The whole way: a name that c-ares resolves, and a connection. */
TEST_FIBER(connects_by_it)
{
    char name[64], there[64], address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    struct server server;
    skua_tcp *tcp;

    server_open(&server);
    snprintf(there, sizeof there, "127.0.0.7:%d", test_port(server.at));
    MUST(skua_tcp_listen(&listener, there, NULL) == 0);
    snprintf(name, sizeof name, "v4.skua.example:%d", test_port(server.at));
    MUST(skua_tcp_connect(&tcp, name, SKUA_CONNECT_OPTIONS(.resolver = &server.cares.resolver)) ==
         0);
    CHECK_EQ(skua_tcp_peer_address(tcp, address, sizeof address), 0);
    CHECK(strcmp(address, there) == 0);
    skua_tcp_close(tcp);
    skua_listener_close(listener);
    CHECK_EQ(skua_tcp_connect(&tcp, "nx.skua.example.:1",
                              SKUA_CONNECT_OPTIONS(.resolver = &server.cares.resolver)),
             -ENOENT);
    server_close(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fibers_ask),     cmocka_unit_test(plain_threads_ask),
        cmocka_unit_test(many_ask),       cmocka_unit_test(a_cancelled_query_ends),
        cmocka_unit_test(poll_tasks_ask), cmocka_unit_test(connects_by_it),
    };

    return TEST_MAIN(tests);
}
