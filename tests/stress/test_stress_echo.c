/* drivers: both */
/* test_stress_echo.c - two hundred connections echo messages of random sizes.
 *
 * Half of the servers are fibers, half poll tasks; clients write and read at the same time, check
 * every byte, and now and then give up in the middle: by closing, by a reset, by a deadline.
 * Nothing may leak. The seed is printed; SKUA_STRESS_SECONDS lengthens it.
 */
#include "../lib/event.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

enum { CONNECTIONS = 200, MESSAGE_MAX = 20000 };

struct echo_storm {
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    uint64_t seed;
    int64_t until;
    atomic_llong bytes, messages, broken;
    atomic_int clients; /* that are still at it */
};

/* ---- servers --------------------------------------------------------------------------------- */

static int echo_fiber(void *arg)
{
    char buf[4000];
    ssize_t n;

    while ((n = skua_tcp_read(arg, buf, sizeof buf)) > 0)
        if (skua_tcp_write_all(arg, buf, (size_t)n) < 0)
            break;
    CHECK_EQ(skua_tcp_close(arg), 0);
    return 0;
}

struct echo_state {
    skua_async async;
    skua_tcp *tcp;
    skua_tcp_future io;
    skua_poll got, put;
    size_t at;
    char buf[1500];
};

static skua_poll echo_poll(void *state, skua_waker *waker)
{
    struct echo_state *self = state;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(self->got,
                      skua_tcp_read_init(&self->io, self->tcp, self->buf, sizeof self->buf));
        self->put = 1;
        for (self->at = 0; self->got > 0 && self->put > 0 && self->at < (size_t)self->got;) {
            SKUA_AWAIT_TO(self->put, skua_tcp_write_init(&self->io, self->tcp, self->buf + self->at,
                                                         (size_t)self->got - self->at));
            if (self->put > 0)
                self->at += (size_t)self->put;
        }
    } while (self->got > 0 && self->put > 0);
    CHECK_EQ(skua_tcp_close(self->tcp), 0);
    SKUA_ASYNC_END(0);
}

static int serves_echo(void *arg)
{
    struct echo_storm *storm = arg;
    skua_scope scope;
    skua_tcp *tcp;
    int rc;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int n = 0; (rc = skua_tcp_accept(storm->listener, &tcp)) == 0; n++)
        if (n % 2)
            CHECK_EQ(skua_spawn(&scope, echo_fiber, tcp), 0);
        else
            CHECK_EQ(skua_spawn_poll(&scope, echo_poll, &(struct echo_state){.tcp = tcp}), 0);
    CHECK_EQ(rc, SKUA_ECLOSED);
    return skua_scope_join(&scope);
}

/* ---- clients --------------------------------------------------------------------------------- */

struct message {
    skua_tcp *tcp;
    size_t at, len;
};

static int writes_message(void *arg)
{
    struct message *self = arg;
    char buf[3000];

    for (size_t done = 0; done < self->len;) {
        size_t part = self->len - done < sizeof buf ? self->len - done : sizeof buf;
        ssize_t n;

        test_pattern_fill(buf, part, self->at + done);
        n = skua_tcp_write_all(self->tcp, buf, part);
        if (n < 0)
            return (int)n;
        done += part;
    }
    return 0;
}

static int reads_message(struct message *self)
{
    char buf[3000];

    for (size_t done = 0; done < self->len;) {
        size_t part = self->len - done < sizeof buf ? self->len - done : sizeof buf;
        ssize_t n = skua_tcp_read(self->tcp, buf, part);

        if (n <= 0)
            return n < 0 ? (int)n : SKUA_EEOF;
        if (!CHECK(test_pattern_ok(buf, (size_t)n, self->at + done)))
            return -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* One message there and back; the deadline may cut it anywhere. */
static int exchange(struct message *message, int64_t within)
{
    skua_deadline deadline;
    skua_scope scope;
    int rc, sent;

    skua_deadline_begin(&deadline, within == SKUA_FOREVER ? within : skua_now() + within);
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    sent = skua_spawn(&scope, writes_message, message);
    CHECK_EQ(sent, 0);
    rc = reads_message(message);
    if (rc != 0)
        skua_scope_cancel(&scope);
    sent = skua_scope_join(&scope);
    skua_deadline_end(&deadline);
    return rc != 0 ? rc : sent;
}

static int one_connection(struct echo_storm *storm, uint64_t *random)
{
    struct message message = {.at = test_random(random) % 100000};
    int rc = skua_tcp_connect(&message.tcp, storm->address, NULL);

    if (!CHECK_EQ(rc, 0))
        return rc;
    for (uint64_t count = test_random(random) % 12; rc == 0 && count > 0; count--) {
        bool cut = test_random(random) % 16 == 0;

        message.len = test_random(random) % MESSAGE_MAX;
        rc = exchange(&message, cut ? (int64_t)(test_random(random) % MS(1)) : SKUA_FOREVER);
        if (rc != 0) {
            CHECK(cut && rc == -ETIMEDOUT);
            atomic_fetch_add(&storm->broken, 1);
            break;
        }
        message.at += message.len;
        atomic_fetch_add(&storm->bytes, (long long)message.len);
        atomic_fetch_add(&storm->messages, 1);
    }
    if (test_random(random) % 4 == 0)
        CHECK_EQ(skua_tcp_set_linger(message.tcp, 0), 0); /* ends with a reset */
    CHECK_EQ(skua_tcp_close(message.tcp), 0);
    return 0;
}

static int client(void *arg)
{
    struct echo_storm *storm = arg;
    uint64_t random = (storm->seed ^ (skua_task_current_id() * 0x9e3779b97f4a7c15u)) | 1;
    int rc = 0;

    while (rc == 0 && skua_now() < storm->until)
        rc = one_connection(storm, &random);
    if (atomic_fetch_sub(&storm->clients, 1) == 1)
        CHECK_EQ(skua_listener_close(storm->listener), 0);
    return rc;
}

static int runs_echo(void *arg)
{
    struct echo_storm *storm = arg;
    int fds = test_fd_count();
    skua_scope scope;

    storm->listener = test_listen(storm->address);
    atomic_store(&storm->clients, CONNECTIONS);
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn(&scope, serves_echo, storm), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK_EQ(skua_spawn(&scope, client, storm), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

TEST(stress_echo_storm)
{
    int64_t time = test_stress_time(6) / TEST_KINDS;
    uint64_t seed = test_seed();

    for (int i = 0; i < TEST_KINDS; i++) {
        struct echo_storm storm = {.seed = seed, .until = skua_now() + time};
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_run(runtime, runs_echo, &storm);
        CHECK(atomic_load(&storm.messages) > 0);
        test_note("%s: %lld messages, %lld MiB, %lld cut", test_kinds[i].label,
                  (long long)atomic_load(&storm.messages),
                  (long long)atomic_load(&storm.bytes) >> 20,
                  (long long)atomic_load(&storm.broken));
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_echo_storm),
    };

    return TEST_MAIN(tests);
}
