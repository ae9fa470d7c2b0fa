/* drivers: both */
/* test_udp_many.c - datagrams by the batch, GSO and GRO, groups, options, addresses as values.
 *
 * Specifies udp.h and address.h. What the machine's network cannot do (IPv6, groups, GSO) is told
 * as a remark and left out.
 */
#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

static skua_udp *bound(const char *at, skua_address *address)
{
    skua_udp *udp = NULL;

    MUST(skua_udp_bind(&udp, at, NULL) == 0);
    MUST(skua_udp_local_address(udp, address) == 0);
    return udp;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static const struct {
    const char *text, *back; /* NULL: the same */
    skua_address_kind kind;
    int port;
} good[] = {
    {"127.0.0.1:80", NULL, SKUA_ADDRESS_V4, 80},
    {"255.255.255.255:65535", NULL, SKUA_ADDRESS_V4, 65535},
    {"localhost:1", "127.0.0.1:1", SKUA_ADDRESS_V4, 1},
    {"[::1]:53", NULL, SKUA_ADDRESS_V6, 53},
    {"[2001:db8:1:2:3:4:5:6]:0", NULL, SKUA_ADDRESS_V6, 0},
    {"[0:0:0:0:0:0:0:1]:53", "[::1]:53", SKUA_ADDRESS_V6, 53},
    {"[fe80::1%lo]:7", NULL, SKUA_ADDRESS_V6, 7},
    {"[fe80::1%4294967295]:7", NULL, SKUA_ADDRESS_V6, 7}, /* an interface that is not there */
    {"[fe80::1%04294967294]:7", "[fe80::1%4294967294]:7", SKUA_ADDRESS_V6, 7},
    {"*:9", "[::]:9", SKUA_ADDRESS_V6, 9},
    {":9", "[::]:9", SKUA_ADDRESS_V6, 9},
    {"/run/x.sock", NULL, SKUA_ADDRESS_UNIX, -EINVAL},
    {"./x", NULL, SKUA_ADDRESS_UNIX, -EINVAL},
    {"@abstract", NULL, SKUA_ADDRESS_UNIX, -EINVAL},
};

TEST(address_there_and_back)
{
    for (size_t i = 0; i < TEST_LEN(good); i++) {
        skua_address address, again;
        char text[SKUA_ADDRESS_MAX];

        test_variant(good[i].text);
        memset(&address, 0xff, sizeof address);
        if (!CHECK_EQ(skua_address_parse(&address, good[i].text), 0))
            continue;
        CHECK_EQ(skua_address_format(&address, text, sizeof text), 0);
        CHECK(strcmp(text, good[i].back ? good[i].back : good[i].text) == 0);
        CHECK_EQ(skua_address_kind_of(&address), good[i].kind);
        CHECK_EQ(skua_address_port(&address), good[i].port);
        CHECK_EQ(skua_address_parse(&again, good[i].text), 0);
        CHECK(skua_address_equal(&address, &again));
        for (size_t other = 0; other < i; other++) {
            CHECK_EQ(skua_address_parse(&again, good[other].text), 0);
            if (!good[i].back)
                CHECK(!skua_address_equal(&address, &again));
        }
        CHECK_EQ(skua_address_format(&address, text, strlen(text)), -ENOSPC);
        CHECK_EQ(skua_address_set_port(&address, 4711), good[i].port < 0 ? -EINVAL : 0);
        if (good[i].port >= 0)
            CHECK_EQ(skua_address_port(&address), 4711);
    }
}

TEST(address_that_is_none)
{
    static const char *const wrong[] = {"",
                                        "80",
                                        "1.2.3:4",
                                        "1.2.3.4",
                                        "1.2.3.4:x",
                                        "1.2.3.4:-1",
                                        "[::1]",
                                        "[::1:80",
                                        "::1:80x",
                                        "host:80",
                                        "1.2.3.4:65536",
                                        "[fe80::1%0]:80",
                                        "[fe80::1%4294967296]:80",
                                        "[fe80::1%]:80",
                                        "[fe80::1%+1]:80",
                                        "[fe80::1%1x]:80"};
    skua_address address, none;
    char long_path[200], text[SKUA_ADDRESS_MAX] = "x";

    memset(&address, 0x5a, sizeof address);
    memcpy(&none, &address, sizeof none);
    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        test_variant(wrong[i]);
        CHECK_EQ(skua_address_parse(&address, wrong[i]), -EINVAL);
    }
    CHECK_EQ(skua_address_parse(&address, NULL), -EINVAL);
    CHECK_EQ(skua_address_unix(&address, ""), -EINVAL);
    memset(long_path, 'a', sizeof long_path);
    long_path[0] = '/';
    long_path[108] = '\0';
    CHECK_EQ(skua_address_parse(&address, long_path), -ENAMETOOLONG);
    CHECK(memcmp(&address, &none, sizeof none) == 0); /* untouched */
    long_path[107] = '\0';
    CHECK_EQ(skua_address_parse(&address, long_path), 0);
    CHECK_EQ(skua_address_format(&address, text, sizeof text), 0);
    CHECK(strcmp(text, long_path) == 0);
    memset(&none, 0, sizeof none);
    CHECK_EQ(skua_address_kind_of(&none), SKUA_ADDRESS_NONE);
    CHECK_EQ(skua_address_format(&none, text, sizeof text), 0);
    CHECK_EQ(text[0], '\0');
    CHECK(skua_address_equal(&none, &none) && !skua_address_equal(&none, &address));
    CHECK_EQ(skua_address_set_port(&none, 1), -EINVAL);
    MUST(skua_address_parse(&address, "1.2.3.4:5") == 0);
    CHECK_EQ(skua_address_set_port(&address, 65536), -EINVAL);
    CHECK_EQ(skua_address_set_port(&address, -1), -EINVAL);
}

/* ---- many at a time -------------------------------------------------------------------------- */

enum { MANY = 40 };

static void check_many(void)
{
    static unsigned char out[MANY][64], in[MANY][32];
    skua_udp_message sends[MANY], receives[MANY];
    skua_address at_a, at_b;
    skua_udp *a = bound("127.0.0.1:0", &at_a), *b = bound("127.0.0.1:0", &at_b);
    ssize_t sent = 0, got = 0, n;

    memset(sends, 0, sizeof sends);
    memset(receives, 0xff, sizeof receives);
    for (size_t i = 0; i < MANY; i++) {
        test_pattern_fill(out[i], sizeof out[i], i);
        sends[i].address = at_b;
        sends[i].buf = out[i];
        sends[i].len = i;
        receives[i].buf = in[i];
        receives[i].len = sizeof in[i];
    }
    CHECK_EQ(skua_udp_send_many(a, sends, 0), 0);
    CHECK_EQ(skua_udp_recv_many(b, receives, 0), 0);
    CHECK_EQ(skua_udp_recv_many_until(b, receives, MANY, skua_now() + MS(2)), -ETIMEDOUT);
    while (sent < MANY && (n = skua_udp_send_many(a, sends + sent, (size_t)(MANY - sent))) > 0)
        sent += n;
    CHECK_EQ(sent, MANY);
    while (got < MANY && (n = skua_udp_recv_many(b, receives + got, (size_t)(MANY - got))) > 0) {
        CHECK(n <= SKUA_UDP_MANY);
        got += n;
    }
    CHECK_EQ(got, MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t len = i < sizeof in[i] ? i : sizeof in[i];

        CHECK_EQ(sends[i].count, i);
        CHECK_EQ(receives[i].count, len);
        CHECK_EQ(receives[i].truncated, i > sizeof in[i]);
        CHECK_EQ(receives[i].segment, 0);
        CHECK(test_pattern_ok(in[i], len, i));
        CHECK(skua_address_equal(&receives[i].address, &at_a));
    }
    CHECK_EQ(skua_udp_connect(a, &at_b), 0); /* without an address: to the peer */
    memset(&sends[0].address, 0, sizeof sends[0].address);
    CHECK_EQ(skua_udp_send_many(a, sends, 1), 1);
    CHECK_EQ(skua_udp_recv_many(b, receives, MANY), 1);
    CHECK_EQ(skua_udp_close(b), 0);
    CHECK_EQ(skua_udp_recv_many(b, receives, MANY), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_send_many(b, sends, MANY), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_close(a), 0);
}

TEST_FIBER(udp_many)
{
    check_many();
    return 0;
}

TEST(udp_many_on_a_thread)
{
    check_many();
}

/* What stops one in the middle is told when it is sent again. */
TEST_FIBER(udp_many_until_one_fails)
{
    static char big[70000];
    skua_address at_a, at_b;
    skua_udp *a = bound("127.0.0.1:0", &at_a), *b = bound("127.0.0.1:0", &at_b);
    skua_udp_message sends[3] = {{.address = at_b, .buf = big, .len = 1},
                                 {.address = at_b, .buf = big, .len = sizeof big},
                                 {.address = at_b, .buf = big, .len = 2}};

    CHECK_EQ(skua_udp_send_many(a, sends, 3), 1);
    CHECK_EQ(skua_udp_send_many(a, sends + 1, 2), -EMSGSIZE);
    CHECK_EQ(skua_udp_send_many(a, sends + 2, 1), 1);
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(b), 0);
    return 0;
}

struct many_wait {
    skua_async async;
    skua_udp *udp;
    skua_udp_message message;
    skua_udp_future io;
    skua_poll answer;
};

static skua_poll receives_many(void *state, skua_waker *waker)
{
    struct many_wait *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->answer, skua_udp_recv_many_init(&self->io, self->udp, &self->message, 0));
    CHECK_EQ(self->answer, 0);
    SKUA_AWAIT_TO(self->answer, skua_udp_recv_many_init(&self->io, self->udp, &self->message, 1));
    SKUA_ASYNC_END(self->answer);
}

TEST_FIBER(udp_many_in_a_poll_task)
{
    char buf[8];
    skua_address at_a, at_b;
    skua_udp *a = bound("127.0.0.1:0", &at_a);
    struct many_wait state = {.udp = bound("127.0.0.1:0", &at_b),
                              .message = {.buf = buf, .len = sizeof buf}};
    skua_task *task;
    int result;

    MUST(skua_spawn_poll(NULL, receives_many, &state, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_udp_send_to(a, "abc", 3, &at_b), 3);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 1);
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(state.udp), 0);
    return 0;
}

/* ---- GSO and GRO ----------------------------------------------------------------------------- */

TEST_FIBER(udp_one_buffer_of_many)
{
    static char out[5000], in[65536];
    skua_address at_a, at_b;
    skua_udp *a = bound("127.0.0.1:0", &at_a), *b = bound("127.0.0.1:0", &at_b);
    skua_udp_message send = {.address = at_b, .buf = out, .len = sizeof out, .segment = 1200};
    skua_udp_message recv = {.buf = in, .len = sizeof in};
    int can = skua_udp_offloads();
    size_t seen = 0;

    CHECK(can >= 0 && can <= (SKUA_UDP_GSO | SKUA_UDP_GRO));
    test_pattern_fill(out, sizeof out, 0);
    if (!(can & SKUA_UDP_GSO)) {
        test_note("no GSO");
        CHECK_EQ(skua_udp_send_many(a, &send, 1), -ENOSYS);
    } else {
        CHECK_EQ(skua_udp_send_many(a, &send, 1), 1);
        CHECK_EQ(send.count, sizeof out);
        while (seen < sizeof out) { /* four of 1200 and one of 200 */
            ssize_t n = skua_udp_recv(b, in, sizeof in);

            CHECK_EQ(n, seen < 4800 ? 1200 : 200);
            if (n <= 0 || !CHECK(test_pattern_ok(in, (size_t)n, seen)))
                break;
            seen += (size_t)n;
        }
        CHECK_EQ(skua_udp_try_recv_from(b, in, sizeof in, NULL), -EAGAIN);
        send.segment = 70000;
        CHECK_EQ(skua_udp_send_many(a, &send, 1), -EINVAL);
    }
    CHECK_EQ(skua_udp_set_gro(b, 1), can & SKUA_UDP_GRO ? 0 : -ENOSYS);
    if (can == (SKUA_UDP_GSO | SKUA_UDP_GRO)) {
        send.segment = 1000;
        CHECK_EQ(skua_udp_send_many(a, &send, 1), 1);
        CHECK_EQ(skua_udp_recv_many(b, &recv, 1), 1);
        CHECK_EQ(recv.segment, 1000);
        CHECK_EQ(recv.count, sizeof out);
        CHECK(test_pattern_ok(in, sizeof out, 0));
    }
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(b), 0);
    CHECK_EQ(skua_udp_set_gro(b, 1), SKUA_ECLOSED);
    return 0;
}

/* ---- groups and options ---------------------------------------------------------------------- */

static void check_group(const char *at, const char *where)
{
    skua_address group, from, mine;
    skua_udp *member = bound(at, &mine), *sender = bound(at, &from);
    char buf[8];
    int rc;

    MUST(skua_address_parse(&group, where) == 0);
    CHECK_EQ(skua_address_set_port(&group, skua_address_port(&mine)), 0);
    CHECK_EQ(skua_udp_leave(member, &group, "lo"), -EADDRNOTAVAIL);
    rc = skua_udp_join(member, &group, "lo");
    if (rc != 0) {
        test_note("no groups at %s: %s", at, skua_error_name(rc));
    } else {
        CHECK_EQ(skua_udp_join(member, &group, "lo"), -EADDRINUSE);
        CHECK_EQ(skua_udp_set_multicast_interface(sender, "lo"), 0);
        CHECK_EQ(skua_udp_set_multicast_ttl(sender, 0), 0);
        CHECK_EQ(skua_udp_set_multicast_loop(sender, 1), 0);
        rc = (int)skua_udp_send_to(sender, "all", 3, &group);
        if (rc == -ENETUNREACH)
            test_note("no route to groups at %s", at);
        else
            CHECK_EQ(rc, 3);
        if (rc == 3)
            CHECK_EQ(skua_udp_recv_from_until(member, buf, 8, NULL, skua_now() + TEST_LATE), 3);
        CHECK_EQ(skua_udp_set_multicast_loop(sender, 0), 0); /* the loopback loops all the same */
        CHECK_EQ(skua_udp_leave(member, &group, "lo"), 0);
        CHECK_EQ(skua_udp_leave(member, &group, "lo"), -EADDRNOTAVAIL);
        if (rc == 3) { /* a member no more */
            CHECK_EQ(skua_udp_send_to(sender, "none", 4, &group), 4);
            CHECK_EQ(skua_udp_recv_from_until(member, buf, 8, NULL, skua_now() + MS(3)),
                     -ETIMEDOUT);
        }
        CHECK_EQ(skua_udp_set_multicast_interface(sender, NULL), 0);
    }
    CHECK_EQ(skua_udp_join(member, &mine, NULL), -EINVAL);
    CHECK_EQ(skua_udp_join(member, &group, "no such one"), -ENODEV);
    CHECK_EQ(skua_udp_set_multicast_interface(member, "no such one"), -ENODEV);
    CHECK_EQ(skua_udp_close(member), 0);
    CHECK_EQ(skua_udp_close(sender), 0);
    CHECK_EQ(skua_udp_join(member, &group, NULL), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_set_multicast_interface(member, NULL), SKUA_ECLOSED);
}

TEST_FIBER(udp_groups)
{
    skua_udp *udp;

    check_group("0.0.0.0:0", "239.1.2.3:1");
    check_group("*:0", "239.1.2.3:1");
    if (skua_udp_bind(&udp, "[::1]:0", NULL) != 0)
        return 0;
    CHECK_EQ(skua_udp_close(udp), 0);
    check_group("[::]:0", "[ff12::1234]:1");
    return 0;
}

TEST(udp_options)
{
    skua_udp_options wrong[] = {{.size = 1},
                                {.size = sizeof wrong[0], .ttl = 256},
                                {.size = sizeof wrong[0], .ttl = -1},
                                {.size = sizeof wrong[0], .reuse_port = 2},
                                {.size = sizeof wrong[0], .reuse_address = 2},
                                {.size = sizeof wrong[0], .v6_only = 2},
                                {.size = sizeof wrong[0], .broadcast = 2},
                                {.size = sizeof wrong[0], .recv_buffer = -1},
                                {.size = sizeof wrong[0], .send_buffer = -1}};
    skua_udp_options options;
    char name[SKUA_ADDRESS_MAX];
    skua_udp *udp, *second;
    skua_address at, to;

    for (size_t i = 0; i < TEST_LEN(wrong); i++)
        CHECK_EQ(skua_udp_bind(&udp, "127.0.0.1:0", &wrong[i]), -EINVAL);
    CHECK_EQ(skua_udp_bind(&udp, "/x", NULL), -EINVAL);
    CHECK_EQ(skua_udp_bind(&udp, NULL, NULL), -EINVAL);
    skua_udp_options_init(&options);
    options.reuse_port = 1;
    MUST(skua_udp_bind(&udp, "127.0.0.1:0", &options) == 0);
    MUST(skua_udp_local_address(udp, &at) == 0);
    MUST(skua_address_format(&at, name, sizeof name) == 0);
    CHECK_EQ(skua_udp_bind(&second, name, NULL), -EADDRINUSE);
    CHECK_EQ(skua_udp_bind(&second, name, &options), 0);
    CHECK_EQ(skua_udp_close(second), 0);
    CHECK_EQ(skua_udp_set_ttl(udp, 0), -EINVAL);
    CHECK_EQ(skua_udp_set_ttl(udp, 256), -EINVAL);
    CHECK_EQ(skua_udp_set_ttl(udp, 255), 0);
    CHECK_EQ(skua_udp_set_multicast_ttl(udp, 256), -EINVAL);
    CHECK_EQ(skua_udp_set_multicast_ttl(udp, -1), -EINVAL);
    MUST(skua_address_parse(&to, "127.255.255.255:9") == 0);
    CHECK_EQ(skua_udp_send_to(udp, "x", 1, &to), -EACCES);
    CHECK_EQ(skua_udp_set_broadcast(udp, 1), 0);
    CHECK_EQ(skua_udp_send_to(udp, "x", 1, &to), 1);
    memset(&to, 0, sizeof to);
    CHECK_EQ(skua_udp_connect(udp, &to), -EINVAL);
    CHECK_EQ(skua_udp_close(udp), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_there_and_back),
        cmocka_unit_test(address_that_is_none),
        cmocka_unit_test(udp_many),
        cmocka_unit_test(udp_many_on_a_thread),
        cmocka_unit_test(udp_many_until_one_fails),
        cmocka_unit_test(udp_many_in_a_poll_task),
        cmocka_unit_test(udp_one_buffer_of_many),
        cmocka_unit_test(udp_groups),
        cmocka_unit_test(udp_options),
    };

    return TEST_MAIN(tests);
}
