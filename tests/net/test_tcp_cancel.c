/* drivers: both */
/* test_tcp_cancel.c - cancelled and timed out waits on sockets lose nothing and touch nothing.
 *
 * Specifies net.h: every wait ends with the caller's cancellation or deadline, the socket works
 * afterwards, a cancelled read has read nothing, a cancelled write has written nothing, and the
 * buffer is the caller's again: it is filled with a pattern and looked at after data has come.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_task *start(skua_fiber_fn fn, void *arg)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, arg, .task = &task) == 0);
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum { ROOM = 4096 };

struct reading {
    skua_tcp *tcp;
    unsigned char *buf;
    bool by_deadline;
};

static int reads_in_vain(void *arg)
{
    struct reading *self = arg;

    if (self->by_deadline)
        return (int)skua_tcp_read_until(self->tcp, self->buf, ROOM, skua_now() + MS(5));
    return (int)skua_tcp_read(self->tcp, self->buf, ROOM);
}

static void check_read(bool by_deadline)
{
    struct reading self = {.buf = malloc(ROOM), .by_deadline = by_deadline};
    unsigned char other[ROOM];
    skua_task *reader;
    skua_tcp *peer;

    test_tcp_pair(&self.tcp, &peer);
    for (int round = 0; round < 5; round++) {
        test_pattern_fill(self.buf, ROOM, 1000);
        reader = start(reads_in_vain, &self);
        if (!by_deadline) {
            test_until_parked(reader, "tcp.read");
            CHECK_EQ(skua_task_cancel(reader), 0);
        }
        CHECK_EQ(finish(reader), by_deadline ? -ETIMEDOUT : -ECANCELED);
        test_pattern_fill(other, ROOM, (size_t)round);
        CHECK_EQ(skua_tcp_write_all(peer, other, ROOM), ROOM);
        skua_sleep(MS(2));
        CHECK(test_pattern_ok(self.buf, ROOM, 1000)); /* not into the old buffer */
        CHECK_EQ(skua_tcp_read_exact(self.tcp, other, ROOM), ROOM);
        CHECK(test_pattern_ok(other, ROOM, (size_t)round));
    }
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    free(self.buf);
}

TEST_FIBER(tcp_cancel_of_a_read)
{
    check_read(false);
    return 0;
}

TEST_FIBER(tcp_deadline_of_a_read)
{
    check_read(true);
    return 0;
}

#ifdef SKUA_FAULTS
static int reads_one(void *arg)
{
    char byte;

    return (int)skua_tcp_read(arg, &byte, 1);
}

/* On a ring the read is with the kernel, and must be called back however full the ring is. */
TEST_FIBER(tcp_cancel_in_a_full_ring)
{
    skua_tcp *mine, *other;
    skua_task *task;
    int result = 0;

    test_tcp_pair(&mine, &other);
    MUST(skua_spawn(NULL, reads_one, mine, .task = &task) == 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_sleep(MS(1)),
                 0); /* it reads; or is cancelled before, which ends it as well */
    skua__fault_arm(SKUA__FAULT_RING, 1, 5, EBUSY);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    skua__fault_arm(SKUA__FAULT_RING, 0, 0, 0);
    CHECK_EQ(skua_tcp_close(mine), 0);
    CHECK_EQ(skua_tcp_close(other), 0);
    return 0;
}
#endif

/* The sharpest moment: data and cancel come together. Each byte is read once, or stays. */
struct race {
    skua_tcp *tcp;
    size_t got;
};

static int reads_until_cancelled(void *arg)
{
    struct race *self = arg;
    unsigned char buf[64];

    for (;;) {
        ssize_t n = skua_tcp_read(self->tcp, buf, sizeof buf);

        if (n <= 0)
            return (int)n;
        CHECK(test_pattern_ok(buf, (size_t)n, self->got));
        self->got += (size_t)n;
    }
}

TEST_FIBER(tcp_cancel_races_the_data)
{
    struct race race = {.got = 0};
    size_t sent = 0;
    skua_tcp *peer;
    uint64_t random = test_seed();
    int rounds = TEST_COUNT(500);

    test_tcp_pair(&race.tcp, &peer);
    for (int i = 0; i < rounds; i++) {
        skua_task *reader = start(reads_until_cancelled, &race);
        unsigned char buf[200];
        size_t n = 1 + test_random(&random) % sizeof buf;

        for (uint64_t spins = test_random(&random) % 3; spins > 0; spins--)
            skua_yield();
        test_pattern_fill(buf, n, sent);
        CHECK_EQ(skua_tcp_write_all(peer, buf, n), n);
        sent += n;
        for (uint64_t spins = test_random(&random) % 4; spins > 0; spins--)
            skua_yield();
        skua_task_cancel(reader);
        CHECK_EQ(finish(reader), -ECANCELED);
    }
    CHECK_EQ(skua_tcp_close(peer), 0);
    CHECK_EQ(finish(start(reads_until_cancelled, &race)), 0);
    CHECK_EQ(race.got, sent);
    CHECK_EQ(skua_tcp_close(race.tcp), 0);
    return 0;
}

static int reads_cancelled(void *arg)
{
    struct reading *self = arg;

    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_EQ(skua_tcp_read(self->tcp, self->buf, ROOM), -ECANCELED);
    CHECK_EQ(skua_tcp_write(self->tcp, "x", 1), -ECANCELED);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_tcp_read_exact(self->tcp, self->buf, 3), 3);
    CHECK_EQ(skua_tcp_write_all(self->tcp, "bye", 3), 3);
    CHECK_EQ(skua_shield_end(), 0);
    return -ECANCELED;
}

/* A cancelled task reads nothing, even what is there; in a shield it says goodbye. */
TEST_FIBER(tcp_cancelled_task_and_its_shield)
{
    unsigned char room[ROOM];
    struct reading self = {.buf = room};
    skua_task *task;
    skua_tcp *peer;

    test_tcp_pair(&self.tcp, &peer);
    CHECK_EQ(skua_tcp_write_all(peer, "abc", 3), 3);
    task = start(reads_cancelled, &self);
    test_until_parked(task, "sleep");
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    CHECK(memcmp(room, "abc", 3) == 0);
    CHECK_EQ(skua_tcp_read_exact(peer, room, 3), 3);
    CHECK(memcmp(room, "bye", 3) == 0);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct writing {
    skua_tcp *tcp;
    unsigned char *buf;
    bool by_deadline;
};

static int writes_in_vain(void *arg)
{
    struct writing *self = arg;

    if (self->by_deadline)
        return (int)skua_tcp_write_all_until(self->tcp, self->buf, 1, skua_now() + MS(5));
    return (int)skua_tcp_write(self->tcp, self->buf, 1);
}

static size_t drain(skua_tcp *tcp, size_t at, size_t len)
{
    unsigned char buf[8192];
    size_t got = 0;

    while (got < len) {
        ssize_t n = skua_tcp_read(tcp, buf, len - got < sizeof buf ? len - got : sizeof buf);

        if (!CHECK(n > 0) || !CHECK(test_pattern_ok(buf, (size_t)n, at + got)))
            break;
        got += (size_t)n;
    }
    return got;
}

/* The peer must see exactly the bytes that were told as written, in order. */
static void check_write(bool by_deadline)
{
    unsigned char byte;
    struct writing self = {.buf = &byte, .by_deadline = by_deadline};
    skua_task *writer;
    skua_tcp *peer;
    size_t sent = 0, seen = 0;
    int in_vain = 0, result;

    test_tcp_pair(&self.tcp, &peer);
    test_tcp_small(self.tcp);
    test_tcp_small(peer);
    for (int round = 0; round < 20 && in_vain < 3; round++) {
        sent += test_tcp_fill(self.tcp, sent);
        byte = test_pattern(sent);
        writer = start(writes_in_vain, &self);
        if (!by_deadline && test_parks(writer, "tcp.write"))
            CHECK_EQ(skua_task_cancel(writer), 0);
        result = finish(writer);
        byte = (unsigned char)~byte; /* must not go out in place of what was cancelled */
        if (result == 1)             /* the kernel has found some room after all */
            sent++;
        else
            in_vain += CHECK_EQ(result, by_deadline ? -ETIMEDOUT : -ECANCELED);
        seen += drain(peer, seen, sent - seen);
    }
    CHECK_EQ(in_vain, 3);
    CHECK_EQ(seen, sent);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_tcp_read(peer, &byte, 1), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
}

TEST_FIBER(tcp_cancel_of_a_write)
{
    check_write(false);
    return 0;
}

TEST_FIBER(tcp_deadline_of_a_write)
{
    check_write(true);
    return 0;
}

/* write_all is not safe to cancel, but what went out is a prefix of what was asked for. */
enum { MUCH = 1 << 20 };

static int writes_much(void *arg)
{
    struct writing *self = arg;

    return (int)skua_tcp_write_all(self->tcp, self->buf, MUCH);
}

TEST_FIBER(tcp_cancel_of_write_all)
{
    struct writing self = {.buf = malloc(MUCH)};
    unsigned char buf[8192];
    skua_task *writer;
    skua_tcp *peer;
    size_t seen = 0;
    ssize_t n;

    test_pattern_fill(self.buf, MUCH, 0);
    test_tcp_pair(&self.tcp, &peer);
    test_tcp_small(self.tcp);
    test_tcp_small(peer);
    writer = start(writes_much, &self);
    test_until_parked(writer, "tcp.write");
    CHECK_EQ(skua_task_cancel(writer), 0);
    CHECK_EQ(finish(writer), -ECANCELED);
    memset(self.buf, 0xee, MUCH);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    while ((n = skua_tcp_read(peer, buf, sizeof buf)) > 0) {
        CHECK(test_pattern_ok(buf, (size_t)n, seen));
        seen += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK(seen < MUCH);
    CHECK_EQ(skua_tcp_close(peer), 0);
    free(self.buf);
    return 0;
}

/* ---- accepting ------------------------------------------------------------------------------- */

struct accepting {
    skua_listener *listener;
    skua_tcp *tcp;
};

static int accepts_one(void *arg)
{
    struct accepting *self = arg;

    return skua_tcp_accept(self->listener, &self->tcp);
}

TEST_FIBER(tcp_cancel_of_an_accept)
{
    char address[SKUA_ADDRESS_MAX];
    struct accepting self = {.listener = test_listen(address)};
    skua_tcp *client;
    skua_task *task;

    for (int round = 0; round < 5; round++) {
        task = start(accepts_one, &self);
        test_until_parked(task, "tcp.accept");
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        CHECK(self.tcp == NULL);
        CHECK_EQ(skua_tcp_accept_until(self.listener, &self.tcp, skua_now() + MS(3)), -ETIMEDOUT);
        CHECK(self.tcp == NULL);
        CHECK_EQ(skua_tcp_connect(&client, address, NULL), 0);
        CHECK_EQ(skua_tcp_accept(self.listener, &self.tcp), 0);
        CHECK_EQ(skua_tcp_close(self.tcp), 0);
        CHECK_EQ(skua_tcp_close(client), 0);
        self.tcp = NULL;
    }
    CHECK_EQ(skua_listener_close(self.listener), 0);
    return 0;
}

/* A connection that comes together with the cancel is accepted by one of the two accepts. */
TEST_FIBER(tcp_cancel_races_an_accept)
{
    char address[SKUA_ADDRESS_MAX], byte;
    struct accepting self = {.listener = test_listen(address)};
    int rounds = TEST_COUNT(200);

    for (int i = 0; i < rounds; i++) {
        skua_tcp *client;
        skua_task *task;
        int rc;

        self.tcp = NULL;
        task = start(accepts_one, &self);
        for (int spins = i % 3; spins > 0; spins--)
            skua_yield();
        MUST(skua_tcp_connect(&client, address, NULL) == 0);
        skua_task_cancel(task);
        rc = finish(task);
        if (rc != 0)
            CHECK_EQ(rc, -ECANCELED);
        CHECK((rc == 0) == (self.tcp != NULL));
        if (rc != 0)
            CHECK_EQ(skua_tcp_accept_until(self.listener, &self.tcp, skua_now() + TEST_LATE), 0);
        MUST(self.tcp != NULL);
        CHECK_EQ(skua_tcp_write(self.tcp, "x", 1), 1);
        CHECK_EQ(skua_tcp_read(client, &byte, 1), 1);
        CHECK_EQ(skua_tcp_close(self.tcp), 0);
        CHECK_EQ(skua_tcp_close(client), 0);
    }
    CHECK_EQ(skua_listener_close(self.listener), 0);
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* A raw listener with a queue of one that is full: further connections hang in SYN_SENT. */
struct deaf {
    char address[SKUA_ADDRESS_MAX];
    int listener, fillers[4];
};

static void deaf_open(struct deaf *self)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;

    self->listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(self->listener, (struct sockaddr *)&at, sizeof at) == 0);
    MUST(listen(self->listener, 0) == 0);
    MUST(getsockname(self->listener, (struct sockaddr *)&at, &len) == 0);
    snprintf(self->address, sizeof self->address, "127.0.0.1:%d", ntohs(at.sin_port));
    for (int i = 0; i < 4; i++) {
        self->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(self->fillers[i], (struct sockaddr *)&at, sizeof at);
    }
}

static void deaf_close(struct deaf *self)
{
    for (int i = 0; i < 4; i++)
        close(self->fillers[i]);
    close(self->listener);
}

struct connecting {
    const char *address;
    skua_tcp *tcp;
};

static int connects_in_vain(void *arg)
{
    struct connecting *self = arg;

    return skua_tcp_connect(&self->tcp, self->address, NULL);
}

TEST_FIBER(tcp_cancel_of_a_connect)
{
    struct deaf deaf;
    struct connecting self = {deaf.address, NULL};
    int fds = test_fd_count();
    skua_deadline deadline;
    int64_t begin;
    skua_task *task;

    deaf_open(&deaf);
    task = start(connects_in_vain, &self);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    begin = skua_now();
    CHECK_EQ(
        skua_tcp_connect(&self.tcp, deaf.address, SKUA_CONNECT_OPTIONS(.deadline = begin + MS(10))),
        -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_EQ(skua_tcp_connect(&self.tcp, deaf.address, NULL), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    CHECK(self.tcp == NULL);
    deaf_close(&deaf);
    skua_sleep(MS(5));                  /* a ring lets go of a descriptor at its next turn */
    CHECK_EQ(test_fd_settle(fds), fds); /* the half-made connections are closed */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_cancel_of_a_read),
        cmocka_unit_test(tcp_deadline_of_a_read),
#ifdef SKUA_FAULTS
        cmocka_unit_test(tcp_cancel_in_a_full_ring),
#endif
        cmocka_unit_test(tcp_cancel_races_the_data),
        cmocka_unit_test(tcp_cancelled_task_and_its_shield),
        cmocka_unit_test(tcp_cancel_of_a_write),
        cmocka_unit_test(tcp_deadline_of_a_write),
        cmocka_unit_test(tcp_cancel_of_write_all),
        cmocka_unit_test(tcp_cancel_of_an_accept),
        cmocka_unit_test(tcp_cancel_races_an_accept),
        cmocka_unit_test(tcp_cancel_of_a_connect),
    };

    return TEST_MAIN(tests);
}
