/* drivers: both */
/* test_unix_packets.c - Unix datagrams and seqpacket connections, which are UDP's handles.
 *
 * Specifies unix.h: that udp.h's functions work on what is opened here, that a full queue makes a
 * sender wait and not lose, idly, and that messages keep their bounds.
 */
#include <pthread.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "os/os.h"

/* An abstract name that nobody had: a ring may hold a closed socket, and its name, for a while. */
static char *fresh(char *name)
{
    static atomic_int count;

    snprintf(name, SKUA_ADDRESS_MAX, "@skua-test-%d-%d", getpid(), atomic_fetch_add(&count, 1));
    return name;
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static int receives_late(void *arg)
{
    int numbers = 0, number;

    skua_sleep(MS(20));
    for (;;) {
        ssize_t n = skua_udp_recv(arg, &number, sizeof number);

        if (n != sizeof number)
            return numbers;
        CHECK_EQ(number, numbers);
        numbers++;
    }
}

enum { FLOOD = 2000 };

/* The receiver's queue is full for a while: the sender waits, by name and as a peer. */
static void flood(bool as_peer)
{
    char path[SKUA_ADDRESS_MAX];
    skua_address to;
    skua_udp *in, *out;
    skua_task *task;
    int result = 0, number;

    MUST(skua_unix_datagram_bind(&in, fresh(path), NULL) == 0);
    MUST(skua_unix_datagram_bind(&out, NULL, NULL) == 0);
    MUST(skua_address_unix(&to, path) == 0);
    if (as_peer)
        CHECK_EQ(skua_udp_connect(out, &to), 0);
    MUST(skua_spawn(NULL, receives_late, in, .task = &task) == 0);
    for (number = 0; number < FLOOD; number++)
        if (!CHECK_EQ(skua_udp_send_to(out, &number, sizeof number, as_peer ? NULL : &to),
                      sizeof number))
            break;
    CHECK_EQ(skua_udp_send_to(out, "x", 1, &to), 1); /* the end */
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, FLOOD);
    CHECK_EQ(skua_udp_close(in), 0);
    number = (int)skua_udp_send_to(out, "x", 1, &to);
    CHECK(number == -ECONNREFUSED || number == -EPIPE); /* gone, or a ring still holds it */
    CHECK_EQ(skua_udp_close(out), 0);
}

TEST_FIBER(unix_datagrams_by_name_wait_for_room)
{
    flood(false);
    return 0;
}

TEST_FIBER(unix_datagrams_to_a_peer_wait_for_room)
{
    flood(true);
    return 0;
}

/* A send that waits for room ends by deadline and by a close, on threads too, and sent nothing. */
struct full {
    skua_udp *out;
    skua_address to;
    ssize_t answer;
};

static int sends_in_vain(void *arg)
{
    struct full *self = arg;

    self->answer = skua_udp_send_to(self->out, "late", 4, &self->to);
    return (int)self->answer;
}

static void *sends_in_vain_thread(void *arg)
{
    sends_in_vain(arg);
    return NULL;
}

/* A vain send makes its own socket writable again, and somebody has that told: it is no reason to
 * try again at once. */
static int receives_nothing(void *arg)
{
    char byte;

    return (int)skua_udp_recv(arg, &byte, 1);
}

static void check_idle(struct full *self)
{
#ifdef SKUA_FAULTS
    skua_task *reader;
    int64_t begin;

    MUST(skua_spawn(NULL, receives_nothing, self->out, .task = &reader) == 0);
    test_until_parked(reader, "udp.recv");
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    begin = skua_now();
    CHECK_EQ(skua_udp_send_to_until(self->out, "x", 1, &self->to, begin + MS(30)), -ETIMEDOUT);
    CHECK(skua__fault_calls(SKUA__FAULT_SYSCALL) < 500);
    CHECK_EQ(skua_task_cancel(reader), 0);
    CHECK_EQ(skua_task_join(reader, NULL), 0);
#else
    (void)self;
    (void)receives_nothing;
#endif
}

TEST_FIBER(unix_datagrams_in_vain)
{
    char path[SKUA_ADDRESS_MAX], buf[8];
    struct full self = {.answer = 0}, other = {.answer = 0}, idle = {.answer = 0};
    pthread_t thread;
    skua_udp *in;
    skua_task *task;
    int sent = 0, got = 0, result = 0;
    int64_t begin;

    MUST(skua_unix_datagram_bind(&in, fresh(path), NULL) == 0);
    MUST(skua_unix_datagram_bind(&self.out, NULL, NULL) == 0);
    MUST(skua_unix_datagram_bind(&other.out, NULL, NULL) == 0);
    MUST(skua_address_unix(&self.to, path) == 0);
    MUST(skua_unix_datagram_bind(&idle.out, NULL, NULL) == 0);
    other.to = idle.to = self.to;
    while (skua_udp_try_send_to(self.out, "abc", 3, &self.to) == 3)
        sent++;
    begin = skua_now();
    CHECK_EQ(skua_udp_send_to_until(self.out, "x", 1, &self.to, begin + MS(10)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    check_idle(&idle);
    MUST(skua_spawn(NULL, sends_in_vain, &self, .task = &task) == 0);
    MUST(pthread_create(&thread, NULL, sends_in_vain_thread, &other) == 0);
    test_until_parked(task, "udp.send");
    test_until_udp_written(other.out);
    CHECK_EQ(skua_udp_send_to(self.out, "x", 1, &self.to), -EBUSY);
    CHECK_EQ(skua_udp_close(self.out), 0);
    CHECK_EQ(skua_udp_close(other.out), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(result, SKUA_ECLOSED);
    CHECK_EQ(other.answer, SKUA_ECLOSED);
    while (skua_udp_try_recv_from(in, buf, sizeof buf, NULL) == 3)
        got++;
    CHECK_EQ(got, sent);
    CHECK_EQ(skua_udp_close(in), 0);
    CHECK_EQ(skua_udp_close(idle.out), 0);
    return 0;
}

/* The queue is full of others' datagrams: nothing of its own ever tells this sender of room. */
static int drains_late(void *arg)
{
    char buf[8];
    int got = 0;

    skua_sleep(MS(10));
    while (skua_udp_recv_from_until(arg, buf, sizeof buf, NULL, skua_now() + MS(100)) > 0)
        got++;
    return got;
}

TEST_FIBER(unix_datagrams_wait_behind_those_of_others)
{
    char path[SKUA_ADDRESS_MAX];
    skua_udp *in, *first, *second;
    skua_address to;
    skua_task *task;
    int sent = 0, result = 0;

    MUST(skua_unix_datagram_bind(&in, fresh(path), NULL) == 0);
    MUST(skua_unix_datagram_bind(&first, NULL, NULL) == 0);
    MUST(skua_unix_datagram_bind(&second, NULL, NULL) == 0);
    MUST(skua_address_unix(&to, path) == 0);
    while (skua_udp_try_send_to(first, "abc", 3, &to) == 3)
        sent++;
    MUST(skua_spawn(NULL, drains_late, in, .task = &task) == 0);
    CHECK_EQ(skua_udp_send_to_until(second, "xyz", 3, &to, skua_now() + TEST_LATE), 3);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, sent + 1);
    CHECK_EQ(skua_udp_close(in), 0);
    CHECK_EQ(skua_udp_close(first), 0);
    CHECK_EQ(skua_udp_close(second), 0);
    return 0;
}

TEST_FIBER(unix_datagrams_from_names)
{
    char path_a[SKUA_ADDRESS_MAX], path_b[SKUA_ADDRESS_MAX], buf[8];
    skua_address at_a, at_b, from;
    skua_udp *a, *b, *c, *d;
    ssize_t sent;

    MUST(skua_unix_datagram_bind(&a, fresh(path_a), NULL) == 0);
    MUST(skua_unix_datagram_bind(&b, fresh(path_b), NULL) == 0);
    MUST(skua_unix_datagram_pair(&c, &d) == 0);
    MUST(skua_address_parse(&at_a, path_a) == 0 && skua_address_parse(&at_b, path_b) == 0);
    CHECK_EQ(skua_udp_send_to(a, "hello", 5, &at_b), 5);
    CHECK_EQ(skua_udp_recv_from(b, buf, 8, &from), 5);
    CHECK(skua_address_equal(&from, &at_a));
    CHECK_EQ(skua_udp_send_to(b, "you", 3, &from), 3);
    CHECK_EQ(skua_udp_recv_from(a, buf, 2, &from), -EMSGSIZE);
    CHECK(skua_address_equal(&from, &at_b));
    CHECK_EQ(skua_udp_local_address(b, &from), 0);
    CHECK(skua_address_equal(&from, &at_b));
    CHECK_EQ(skua_udp_send_to(c, "anon", 4, &at_a), 4); /* a peer does not bind, here */
    CHECK_EQ(skua_udp_recv_from(a, buf, 8, &from), 4);
    CHECK_EQ(skua_address_kind_of(&from), SKUA_ADDRESS_NONE);
    CHECK_EQ(skua_udp_send(c, "pair", 4), 4);
    CHECK_EQ(skua_udp_recv_from(d, buf, 8, &from), 4);
    CHECK_EQ(skua_address_kind_of(&from), SKUA_ADDRESS_NONE);
    CHECK_EQ(skua_udp_set_ttl(a, 3), -EOPNOTSUPP);
    CHECK_EQ(skua_udp_close(c), 0);
    sent = skua_udp_send(d, "x", 1);
    CHECK(sent == -ECONNREFUSED || sent == -EPIPE || sent == -ECONNRESET);
    CHECK_EQ(skua_udp_close(d), 0);
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(b), 0);
    return 0;
}

/* ---- seqpacket ------------------------------------------------------------------------------- */

TEST_FIBER(unix_seqpacket)
{
    char path[SKUA_ADDRESS_MAX], buf[8];
    skua_accept_future accept;
    skua_listener *listener;
    skua_udp *client, *server = NULL;
    skua_tcp *tcp = NULL;

    fresh(path);
    MUST(skua_unix_seqpacket_listen(&listener, path, NULL) == 0);
    CHECK_EQ(skua_unix_connect(&tcp, path), -ECONNREFUSED); /* streams have names of their own */
    CHECK_EQ(skua_tcp_accept(listener, &tcp), SKUA_EUSAGE);
    CHECK_EQ(skua_await_until(skua_unix_seqpacket_accept_init(&accept, listener, &server),
                              skua_now() + MS(2)),
             -ETIMEDOUT);
    CHECK_EQ(skua_unix_seqpacket_connect(&client, path, SKUA_FOREVER), 0);
    CHECK_EQ(skua_unix_seqpacket_accept(listener, &server), 0);
    CHECK(tcp == NULL && server != NULL);
    CHECK_EQ(skua_udp_send(client, "one", 3), 3);
    CHECK_EQ(skua_udp_send(client, "two and more", 12), 12);
    CHECK_EQ(skua_udp_send(client, "three", 5), 5);
    CHECK_EQ(skua_udp_recv(server, buf, 8), 3);
    CHECK_EQ(skua_udp_recv(server, buf, 8), -EMSGSIZE);
    CHECK_EQ(skua_udp_recv(server, buf, 8), 5);
    CHECK_EQ(skua_udp_recv_from_until(server, buf, 8, NULL, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_udp_send(client, "last", 4), 4);
    CHECK_EQ(skua_udp_close(client), 0);
    CHECK_EQ(skua_udp_recv(server, buf, 8), 4);
    CHECK_EQ(skua_udp_recv(server, buf, 8), 0); /* the end, and it stays */
    CHECK_EQ(skua_udp_recv(server, buf, 8), 0);
    CHECK_EQ(skua_udp_send(server, "x", 1), -EPIPE);
    CHECK_EQ(skua_udp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    MUST(skua_unix_seqpacket_pair(&client, &server) == 0);
    CHECK_EQ(skua_udp_send(client, "pair", 4), 4);
    CHECK_EQ(skua_udp_recv(server, buf, 8), 4);
    CHECK_EQ(skua_udp_close(server), 0);
    CHECK_EQ(skua_udp_close(client), 0);
    MUST(skua_unix_listen(&listener, fresh(path), NULL) == 0);
    CHECK_EQ(skua_unix_seqpacket_accept(listener, &server), SKUA_EUSAGE);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_datagrams_by_name_wait_for_room),
        cmocka_unit_test(unix_datagrams_to_a_peer_wait_for_room),
        cmocka_unit_test(unix_datagrams_in_vain),
        cmocka_unit_test(unix_datagrams_wait_behind_those_of_others),
        cmocka_unit_test(unix_datagrams_from_names),
        cmocka_unit_test(unix_seqpacket),
    };

    return TEST_MAIN(tests);
}
