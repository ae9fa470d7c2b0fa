/* drivers: both */
/* test_dial.c - connecting to names: one connection of several addresses.
 *
 * Specifies skua_tcp_connect of net.h with a name: whom it asks, in which order and with which
 * pauses it tries what was found, which error it tells, and that a cancellation or a deadline
 * leaves nothing behind at any moment. A deaf address is a listener whose line is full: a connect
 * to it hangs.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "part.h"
#include "sockets.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- a resolver with a script, and addresses of every kind ----------------------------------- */

#define MOST 24

struct script {
    skua_resolver resolver; /* first */
    int rc;
    int64_t takes;
    unsigned count;
    char all[MOST][SKUA_ADDRESS_MAX];
    atomic_int calls;
};

static int script_resolve(skua_resolver *resolver, const skua_query *query, skua_addresses *ret)
{
    struct script *self = (struct script *)(void *)resolver;
    skua_address address;
    int rc = self->rc;

    CHECK(strcmp(query->host, "some.name") == 0);
    atomic_fetch_add(&self->calls, 1);
    if (self->takes > 0)
        rc = skua_sleep(self->takes);
    for (unsigned i = 0; rc == 0 && i < self->count; i++) {
        MUST(skua_address_parse(&address, self->all[i]) == 0);
        rc = skua_addresses_add(ret, &address);
    }
    return rc;
}

static const skua_resolver_ops script_ops = {.name = "script", .resolve = script_resolve};

static void script_add(struct script *self, const char *address)
{
    MUST(self->count < MOST);
    snprintf(self->all[self->count++], SKUA_ADDRESS_MAX, "%s", address);
}

struct net {
    struct script script;
    skua_listener *listener;
    char good[SKUA_ADDRESS_MAX], refuses[SKUA_ADDRESS_MAX], deaf[SKUA_ADDRESS_MAX];
    int deaf_fd, refuses_fd, fillers[4];
    int fds; /* descriptors, when all of this was there */
};

static int raw_bind(char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    snprintf(address, SKUA_ADDRESS_MAX, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void net_open(struct net *self)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;

    memset(self, 0, sizeof *self);
    self->script.resolver.ops = &script_ops;
    self->listener = test_listen(self->good);
    self->refuses_fd = raw_bind(self->refuses); /* bound, and does not listen */
    self->deaf_fd = raw_bind(self->deaf);
    MUST(listen(self->deaf_fd, 0) == 0);
    MUST(getsockname(self->deaf_fd, (struct sockaddr *)&at, &len) == 0);
    for (int i = 0; i < 4; i++) {
        self->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(self->fillers[i], (struct sockaddr *)&at, sizeof at);
    }
    self->fds = test_fd_count();
}

static void net_close(struct net *self)
{
    CHECK_EQ(test_fd_settle(self->fds), self->fds);
    for (int i = 0; i < 4; i++)
        close(self->fillers[i]);
    close(self->deaf_fd);
    close(self->refuses_fd);
    skua_listener_close(self->listener);
}

/* Connects to what the script says; the peer must be `peer`, and is closed. */
static int dial(struct net *self, const char *peer, int64_t delay, int64_t deadline)
{
    skua_tcp *untouched = (skua_tcp *)8, *tcp = untouched;
    char address[SKUA_ADDRESS_MAX] = "";
    int rc = skua_tcp_connect(&tcp, "some.name:1",
                              SKUA_CONNECT_OPTIONS(.resolver = &self->script.resolver,
                                                   .attempt_delay = delay, .deadline = deadline));

    if (rc != 0) {
        CHECK(tcp == untouched);
        return rc;
    }
    CHECK_EQ(skua_tcp_peer_address(tcp, address, sizeof address), 0);
    if (!CHECK(strcmp(address, peer) == 0))
        test_note("the peer is %s", address);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

static void net_accept(struct net *self)
{
    skua_tcp *served;

    CHECK_EQ(skua_tcp_accept(self->listener, &served), 0);
    skua_tcp_close(served);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 loop = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&loop, sizeof loop) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* ---- who answers ----------------------------------------------------------------------------- */

TEST_WAITING(the_first_that_answers)
{
    struct net net;

    net_open(&net);
    script_add(&net.script, net.good);
    CHECK_EQ(dial(&net, net.good, 0, 0), 0);
    net_accept(&net);
    net.script.count = 0;
    script_add(&net.script, net.refuses);
    script_add(&net.script, net.refuses);
    script_add(&net.script, net.good); /* at once: nothing is waited for */
    CHECK_EQ(dial(&net, net.good, SKUA_HOUR, skua_now() + SKUA_MINUTE), 0);
    net_accept(&net);
    net.script.count = 0;
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.refuses);
    script_add(&net.script, net.good);
    CHECK_EQ(dial(&net, net.good, MS(5), 0), 0);
    net_accept(&net);
    CHECK_EQ(atomic_load(&net.script.calls), 3);
    net_close(&net);
}

/* The port is the name's, when what was found has none. */
TEST_WAITING(the_port_of_the_name)
{
    char name[64];
    skua_tcp *tcp;
    struct net net;

    net_open(&net);
    script_add(&net.script, "127.0.0.1:0");
    snprintf(name, sizeof name, "some.name:%d", test_port(net.good));
    CHECK_EQ(skua_tcp_connect(&tcp, name, SKUA_CONNECT_OPTIONS(.resolver = &net.script.resolver)),
             0);
    skua_tcp_close(tcp);
    net_accept(&net);
    net_close(&net);
}

TEST_WAITING(localhost_is_both)
{
    char address[SKUA_ADDRESS_MAX], name[64];
    skua_listener *listener;
    skua_tcp *tcp, *served;
    int refuses;

    if (!has_ipv6())
        return;
    for (;;) { /* a port that nobody else has at 127.0.0.1 */
        refuses = raw_bind(address);
        snprintf(name, sizeof name, "[::1]:%d", test_port(address));
        if (skua_tcp_listen(&listener, name, SKUA_LISTEN_OPTIONS(.v6_only = 1)) == 0)
            break;
        close(refuses);
    }
    snprintf(name, sizeof name, "localhost:%d", test_port(address));
    CHECK_EQ(skua_tcp_connect(&tcp, name, NULL), 0);
    CHECK_EQ(skua_tcp_accept(listener, &served), 0);
    skua_tcp_close(tcp);
    skua_tcp_close(served);
    skua_listener_close(listener);
    close(refuses);
}

/* ---- pauses and order ------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(pauses_between_attempts)
{
    int64_t begin = skua_now();
    struct net net;

    net_open(&net);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.good);
    CHECK_EQ(dial(&net, net.good, 0, 0), 0);
    CHECK_EQ(skua_now() - begin, MS(250));
    begin = skua_now();
    CHECK_EQ(dial(&net, net.good, SKUA_MINUTE, 0), 0);
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE);
    net.script.count = 0; /* a failure does not wait, and the one after it has its own time */
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.refuses);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.good);
    begin = skua_now();
    CHECK_EQ(dial(&net, net.good, 0, 0), 0);
    CHECK_EQ(skua_now() - begin, MS(500));
    begin = skua_now(); /* one that has for ever is not a time to jump to */
    CHECK_EQ(dial(&net, "", SKUA_FOREVER, begin + SKUA_MINUTE), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE);
    for (int i = 0; i < 3; i++)
        net_accept(&net);
    net_close(&net);
    return 0;
}

/* Two of IPv4 that hang, then one of IPv6: it is the second. */
TEST_FIBER_CLOCK(families_in_turn)
{
    int64_t begin = skua_now();
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    struct net net;

    if (!has_ipv6())
        return 0;
    MUST(skua_tcp_listen(&listener, "[::1]:0", SKUA_LISTEN_OPTIONS(.v6_only = 1)) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    net_open(&net);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.good);
    script_add(&net.script, address);
    CHECK_EQ(dial(&net, address, 0, 0), 0);
    CHECK_EQ(skua_now() - begin, MS(250));
    net_close(&net);
    skua_listener_close(listener);
    return 0;
}

TEST_FIBER_CLOCK(sixteen_at_a_time)
{
    int64_t begin = skua_now();
    struct net net;

    net_open(&net);
    for (int i = 0; i < 15; i++)
        script_add(&net.script, net.deaf);
    script_add(&net.script, net.good);
    CHECK_EQ(dial(&net, net.good, 0, 0), 0);
    CHECK_EQ(skua_now() - begin, 15 * MS(250));
    net_accept(&net);
    net.script.count = 15;
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.good); /* its turn does not come */
    begin = skua_now();
    CHECK_EQ(dial(&net, net.good, 0, begin + SKUA_MINUTE), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE);
    net_close(&net);
    return 0;
}

/* ---- failures -------------------------------------------------------------------------------- */

TEST_WAITING(all_refuse)
{
    struct net net;

    net_open(&net);
    for (int i = 0; i < MOST; i++)
        script_add(&net.script, net.refuses);
    CHECK_EQ(dial(&net, "", SKUA_HOUR, 0), -ECONNREFUSED);
    net.script.count = 0;
    CHECK_EQ(dial(&net, "", 0, 0), -ENOENT); /* found, and empty */
    net.script.rc = -EAGAIN;
    CHECK_EQ(dial(&net, "", 0, 0), -EAGAIN);
    net_close(&net);
}

/* An IPv4 socket cannot be bound for an IPv6 peer: that is this machine's affair. */
TEST_WAITING(the_most_telling_error)
{
    skua_tcp *tcp = NULL;
    struct net net;
    skua_connect_options options;

    net_open(&net);
    skua_connect_options_init(&options);
    options.resolver = &net.script.resolver;
    options.bind = "127.0.0.1:0";
    script_add(&net.script, "[::1]:9");
    CHECK(skua_tcp_connect(&tcp, "some.name:1", &options) != -ECONNREFUSED);
    script_add(&net.script, net.refuses);
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name:1", &options), -ECONNREFUSED);
    net.script.count = 0;
    script_add(&net.script, net.refuses);
    script_add(&net.script, "[::1]:9");
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name:1", &options), -ECONNREFUSED);
    CHECK(tcp == NULL);
    net_close(&net);
}

TEST_WAITING(what_is_not_asked)
{
    skua_tcp *tcp = NULL;
    struct net net;
    skua_connect_options options;

    net_open(&net);
    skua_connect_options_init(&options);
    options.resolver = &net.script.resolver;
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name", &options), -EINVAL);
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name:65536", &options), -EINVAL);
    CHECK_EQ(skua_tcp_connect(&tcp, "some name:1", &options), -EINVAL);
    CHECK_EQ(skua_tcp_connect(&tcp, "/run/some.sock", &options), -EINVAL);
    CHECK_EQ(skua_tcp_connect(&tcp, NULL, &options), -EINVAL);
    options.attempt_delay = -1;
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name:1", &options), -EINVAL);
    options.attempt_delay = 0;
    options.bind = "nonsense";
    CHECK_EQ(skua_tcp_connect(&tcp, "some.name:1", &options), -EINVAL);
    CHECK_EQ(atomic_load(&net.script.calls), 0);
    CHECK(tcp == NULL);
    net_close(&net);
}

/* ---- cancellations and deadlines ------------------------------------------------------------- */

static int dials_in_vain(void *arg)
{
    return dial(arg, "", MS(1), 0);
}

TEST_FIBER(a_deadline_ends_the_attempts)
{
    int64_t begin;
    struct net net;
    skua_deadline frame;

    net_open(&net);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.deaf);
    begin = skua_now();
    CHECK_EQ(dial(&net, "", MS(1), begin + MS(10)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(10)), 0);
    CHECK_EQ(dial(&net, "", MS(1), 0), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_sleep(MS(5)), 0); /* a ring lets go of descriptors at its next turn */
    net_close(&net);
    return 0;
}

TEST(a_deadline_on_a_thread)
{
    int64_t begin;
    struct net net;

    net_open(&net);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.deaf);
    begin = skua_now();
    CHECK_EQ(dial(&net, "", MS(1), begin + MS(10)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    begin = skua_now();
    CHECK_EQ(dial(&net, "", SKUA_FOREVER, begin + MS(10)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    net_close(&net);
}

TEST_FIBER(a_cancellation_ends_the_attempts)
{
    struct net net;
    skua_task *task;
    int result = 0;

    net_open(&net);
    script_add(&net.script, net.deaf);
    script_add(&net.script, net.deaf);
    MUST(skua_spawn(NULL, dials_in_vain, &net, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_sleep(MS(5)), 0);
    net_close(&net);
    return 0;
}

TEST_FIBER_CLOCK(both_end_the_resolving)
{
    int64_t begin = skua_now();
    struct net net;
    skua_task *task;
    int result = 0;

    net_open(&net);
    net.script.takes = SKUA_HOUR;
    script_add(&net.script, net.good);
    CHECK_EQ(dial(&net, "", 0, begin + SKUA_SECOND), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, SKUA_SECOND);
    MUST(skua_spawn(NULL, dials_in_vain, &net, .task = &task) == 0);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_now() - begin, 2 * SKUA_SECOND);
    net_close(&net);
    return 0;
}

/* Whatever comes first in 1,000 orders: the answer is one of three, and nothing is left. */
static int dials_and_is_cancelled(void *arg)
{
    struct net *net = arg;
    skua_task *task;
    int result = 0;
    unsigned delay = (unsigned)(skua_test_random() % 3000);

    net->script.count = 0;
    net->script.takes = MS((int64_t)(skua_test_random() % 500));
    for (int i = 0; i < 4; i++) {
        unsigned pick = (unsigned)(skua_test_random() % 8);

        script_add(&net->script, pick == 0 ? net->good : pick < 4 ? net->refuses : net->deaf);
    }
    MUST(skua_spawn(NULL, dials_in_vain, net, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS((int64_t)delay)), 0);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK(result == -ECANCELED || result == -ECONNREFUSED);
    return 0;
}

TEST(any_order_leaves_nothing)
{
    struct net net;

    net_open(&net);
    snprintf(net.good, sizeof net.good, "%s", net.deaf); /* nobody accepts here */
    CHECK_EQ(skua_test_explore((unsigned)TEST_COUNT(1000), dials_and_is_cancelled, &net), 0);
    net_close(&net);
}

/* ---- failures of the system ------------------------------------------------------------------ */

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(nothing_is_left_of_what_fails)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_SYSCALL};
    struct net net;

    net_open(&net);
    script_add(&net.script, net.refuses);
    script_add(&net.script, net.good);
    for (size_t kind = 0; kind < TEST_LEN(kinds); kind++) {
        int clean = 0;

        for (unsigned n = 1; n < 200 && clean < 3; n++) {
            skua_tcp *tcp = NULL;
            int rc;

            skua__fault_arm(kinds[kind], n, 1, kind == 0 ? ENOMEM : ENOBUFS);
            rc = skua_tcp_connect(&tcp, "some.name:1",
                                  SKUA_CONNECT_OPTIONS(.resolver = &net.script.resolver));
            clean = skua__fault_calls(kinds[kind]) < n ? clean + 1 : 0;
            skua__fault_arm(kinds[kind], 0, 0, 0);
            CHECK(rc == 0 || rc == -ECONNREFUSED || rc == (kind == 0 ? -ENOMEM : -ENOBUFS));
            CHECK_EQ(rc == 0, tcp != NULL);
            if (rc == 0) {
                skua_tcp_close(tcp);
                net_accept(&net);
            }
            CHECK_EQ(test_fd_settle(net.fds), net.fds);
        }
    }
    net_close(&net);
    return 0;
}
#endif

/* ---- many ------------------------------------------------------------------------------------ */

struct crowd {
    struct net net;
    int64_t end;
    atomic_int connected;
};

static int crowd_dials(void *arg)
{
    struct crowd *self = arg;

    while (skua_now() < self->end) {
        int rc = dial(&self->net, self->net.good, MS(1), 0);

        if (!CHECK_EQ(rc, 0))
            return rc;
        atomic_fetch_add(&self->connected, 1);
    }
    return 0;
}

static void *crowd_dials_thread(void *arg)
{
    (void)crowd_dials(arg);
    return NULL;
}

static int crowd_serves(void *arg)
{
    struct crowd *self = arg;
    skua_tcp *served;

    while (skua_tcp_accept(self->net.listener, &served) == 0)
        skua_tcp_close(served);
    return 0;
}

static int crowd_runs(void *arg)
{
    struct crowd *self = arg;
    skua_scope scope;
    skua_task *server;

    MUST(skua_spawn(NULL, crowd_serves, self, .task = &server) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, crowd_dials, self) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    while (skua_now() < self->end + MS(200)) /* the threads' last ones */
        CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK_EQ(skua_task_cancel(server), 0);
    return skua_task_join(server, NULL);
}

TEST(many_dial)
{
    const struct test_kind kind = {"2 workers", SKUA_MULTI_THREAD, 2, false};
    skua_runtime *runtime = test_runtime(&kind);
    struct crowd crowd;
    pthread_t threads[2];

    memset(&crowd, 0, sizeof crowd);
    net_open(&crowd.net);
    script_add(&crowd.net.script, crowd.net.refuses);
    script_add(&crowd.net.script, crowd.net.deaf);
    script_add(&crowd.net.script, crowd.net.good);
    crowd.end = skua_now() + MS(700);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, crowd_dials_thread, &crowd) == 0);
    test_run(runtime, crowd_runs, &crowd);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&crowd.connected) > 0);
    test_runtime_free(runtime);
    crowd.net.fds = test_fd_count();
    net_close(&crowd.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(the_first_that_answers),
        TEST_WAITING_ENTRIES(the_port_of_the_name),
        TEST_WAITING_ENTRIES(localhost_is_both),
        cmocka_unit_test(pauses_between_attempts),
        cmocka_unit_test(families_in_turn),
        cmocka_unit_test(sixteen_at_a_time),
        TEST_WAITING_ENTRIES(all_refuse),
        TEST_WAITING_ENTRIES(the_most_telling_error),
        TEST_WAITING_ENTRIES(what_is_not_asked),
        cmocka_unit_test(a_deadline_ends_the_attempts),
        cmocka_unit_test(a_deadline_on_a_thread),
        cmocka_unit_test(a_cancellation_ends_the_attempts),
        cmocka_unit_test(both_end_the_resolving),
        cmocka_unit_test(any_order_leaves_nothing),
#ifdef SKUA_FAULTS
        cmocka_unit_test(nothing_is_left_of_what_fails),
#endif
        cmocka_unit_test(many_dial),
    };

    return TEST_MAIN(tests);
}
