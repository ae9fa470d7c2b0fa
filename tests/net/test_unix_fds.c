/* drivers: both */
/* test_unix_fds.c - descriptors passed through Unix streams.
 *
 * Specifies unix.h: what arrives is another descriptor of the same file, close-on-exec and the
 * caller's; what does not fit is closed and told; waits end as every wait does and have moved
 * nothing; bytes behind descriptors are not lost to ordinary reads; none is ever left.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"
#include "os/os.h"

static void close_both(skua_tcp *a, skua_tcp *b)
{
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
}

/* A pipe's writing end is sent; what is written into what arrives comes out of the pipe. */
static void check_passing(void)
{
    int fds = test_fd_count();
    int pipe_fds[2], got[2] = {-1, -1};
    skua_unix_message send = {.buf = "hello", .len = 5, .fds = &pipe_fds[1], .fds_len = 1};
    char buf[8];
    skua_unix_message recv = {.buf = buf, .len = 8, .fds = got, .fds_len = 2, .fds_lost = 9};
    skua_tcp *a, *b;

    MUST(pipe2(pipe_fds, O_CLOEXEC) == 0);
    MUST(skua_unix_pair(&a, &b) == 0);
    CHECK_EQ(skua_unix_send_fds(a, &send), 5);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 5);
    CHECK(memcmp(buf, "hello", 5) == 0);
    CHECK_EQ(recv.fds_got, 1);
    CHECK_EQ(recv.fds_lost, 0);
    CHECK(got[0] >= 0 && got[0] != pipe_fds[1] && got[1] == -1);
    CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(write(got[0], "through", 7), 7);
    CHECK_EQ(read(pipe_fds[0], buf, 8), 7);
    close(got[0]);
    send.fds_len = 0; /* without: bytes as any */
    CHECK_EQ(skua_unix_send_fds(a, &send), 5);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 5);
    CHECK_EQ(recv.fds_got, 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 0); /* the end */
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), SKUA_ECLOSED);
    CHECK_EQ(skua_unix_send_fds(b, &send), SKUA_ECLOSED);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    CHECK_EQ(test_fd_settle(fds), fds);
}

TEST_FIBER(fds_pass)
{
    check_passing();
    return 0;
}

TEST(fds_pass_on_a_thread)
{
    check_passing();
}

TEST_FIBER(fds_too_many_are_closed_and_told)
{
    int fds = test_fd_count();
    int out[SKUA_UNIX_FDS_MAX + 1], in[3];
    skua_unix_message send = {.buf = "x", .len = 1, .fds = out, .fds_len = SKUA_UNIX_FDS_MAX};
    char byte;
    skua_unix_message recv = {.buf = &byte, .len = 1, .fds = in, .fds_len = 3};
    struct rlimit limit, tight;
    skua_tcp *a, *b;

    for (int i = 0; i <= SKUA_UNIX_FDS_MAX; i++)
        out[i] = 2;
    MUST(skua_unix_pair(&a, &b) == 0);
    CHECK_EQ(skua_unix_send_fds(a, &send), 1);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 1);
    CHECK_EQ(recv.fds_got, 3);
    CHECK_EQ(recv.fds_lost, 1);
    CHECK_EQ(test_fd_count(), fds + 2 + 3);
    for (int i = 0; i < 3; i++)
        close(in[i]);
    recv.fds_len = 0;
    send.fds_len = 1;
    CHECK_EQ(skua_unix_send_fds(a, &send), 1);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 1);
    CHECK(recv.fds_got == 0 && recv.fds_lost == 1);
    send.fds_len = SKUA_UNIX_FDS_MAX + 1;
    CHECK_EQ(skua_unix_send_fds(a, &send), -EINVAL);
    send.fds_len = 1;
    send.len = 0;
    CHECK_EQ(skua_unix_send_fds(a, &send), -EINVAL);
    send.len = 1;
    out[0] = 1 << 20;
    CHECK_EQ(skua_unix_send_fds(a, &send), -EBADF);
    out[0] = 2;
    send.fds_len = 2; /* the process may have none any more */
    recv.fds_len = 3;
    CHECK_EQ(skua_unix_send_fds(a, &send), 1);
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    tight = (struct rlimit){.rlim_cur = 1, .rlim_max = limit.rlim_max};
    MUST(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    CHECK_EQ(skua_unix_recv_fds(b, &recv), 1);
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(recv.fds_got == 0 && recv.fds_lost == 1);
    close_both(a, b);
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

/* An ordinary read ends at descriptors, closes them, and the bytes behind them are there at once:
 * no further event would tell of them. */
struct marked {
    skua_async async;
    skua_tcp *tcp;
    skua_tcp_future io;
    skua_poll answer;
    size_t seen;
    char buf[100];
};

static skua_poll reads_past_marks(void *state, skua_waker *waker)
{
    struct marked *self = state;

    SKUA_ASYNC(self, waker);
    while (self->seen < 9) {
        SKUA_AWAIT_TO(self->answer,
                      skua_tcp_read_init(&self->io, self->tcp, self->buf, sizeof self->buf));
        if (self->answer <= 0)
            break;
        self->seen += (size_t)self->answer;
    }
    SKUA_ASYNC_END(self->seen == 9 ? 0 : self->answer);
}

static int reads_past_marks_fiber(void *arg)
{
    struct marked *self = arg;

    while (self->seen < 9) {
        ssize_t n =
            skua_tcp_read_until(self->tcp, self->buf, sizeof self->buf, skua_now() + TEST_LATE);

        if (!CHECK(n > 0))
            return (int)n;
        self->seen += (size_t)n;
    }
    return 0;
}

static void check_marks(bool fiber)
{
    int fds = test_fd_count();
    int out[2] = {2, 2};
    skua_unix_message send = {.buf = "a", .len = 1, .fds = out, .fds_len = 2};
    struct marked state = {.seen = 0};
    skua_tcp *a;
    skua_task *task;
    int result = 1;

    MUST(skua_unix_pair(&a, &state.tcp) == 0);
    if (fiber)
        MUST(skua_spawn(NULL, reads_past_marks_fiber, &state, .task = &task) == 0);
    else
        MUST(skua_spawn_poll(NULL, reads_past_marks, &state, .task = &task) == 0);
    test_until_parked(task, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_unix_send_fds(a, &send), 1);
        CHECK_EQ(skua_tcp_write(a, "bc", 2), 2);
    }
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    close_both(a, state.tcp);
    CHECK_EQ(test_fd_settle(fds), fds);
}

TEST_FIBER(fds_do_not_hide_the_bytes_behind_them)
{
    check_marks(true);
    check_marks(false);
    return 0;
}

/* ---- waits ----------------------------------------------------------------------------------- */

struct waiting {
    skua_tcp *tcp;
    char buf[4];
    int fds[2];
    skua_unix_message message;
    int64_t deadline;
};

static int receives(void *arg)
{
    struct waiting *self = arg;

    self->message = (skua_unix_message){
        .buf = self->buf, .len = sizeof self->buf, .fds = self->fds, .fds_len = 2};
    return (int)skua_unix_recv_fds_until(self->tcp, &self->message, self->deadline);
}

TEST_FIBER(fds_waits_end_and_have_moved_nothing)
{
    int fds = test_fd_count();
    struct waiting self = {.deadline = SKUA_FOREVER};
    int out = 2, result = 0;
    skua_unix_message send = {.buf = "abc", .len = 3, .fds = &out, .fds_len = 1};
    skua_tcp *peer;
    skua_task *task;
    char byte;

    MUST(skua_unix_pair(&self.tcp, &peer) == 0);
    for (int i = 0; i < 5; i++) {
        self.deadline = SKUA_FOREVER;
        MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
        test_until_parked(task, NULL);
        CHECK_EQ(skua_tcp_read(self.tcp, &byte, 1), -EBUSY);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        self.deadline = skua_now() + MS(1);
        CHECK_EQ(receives(&self), -ETIMEDOUT);
        CHECK_EQ(skua_unix_send_fds(peer, &send), 3);
        self.deadline = SKUA_FOREVER;
        CHECK_EQ(receives(&self), 3);
        CHECK_EQ(self.message.fds_got, 1);
        close(self.fds[0]);
    }
    MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, SKUA_ECLOSED);
    CHECK_EQ(skua_unix_send_fds(peer, &send), -EPIPE);
    CHECK_EQ(skua_tcp_close(peer), 0);
    skua_sleep(MS(5));
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

/* A stream that is full makes a sender wait; halves may do their half only. */
static int drains(void *arg)
{
    char buf[4096];
    ssize_t n;

    skua_sleep(MS(5));
    while ((n = skua_tcp_read(arg, buf, sizeof buf)) > 0)
        continue;
    return (int)n;
}

TEST_FIBER(fds_wait_for_room)
{
    int out = 2, result = 1;
    skua_unix_message message = {.buf = "abc", .len = 3, .fds = &out, .fds_len = 1};
    skua_udp_future send;
    skua_tcp *a, *b, *reader, *writer;
    skua_task *task;

    MUST(skua_unix_pair(&a, &b) == 0);
    CHECK(test_tcp_fill(a, 0) > 0);
    CHECK_EQ(skua_await_until(skua_unix_send_fds_init(&send, a, &message), skua_now() + MS(3)),
             -ETIMEDOUT);
    MUST(skua_spawn(NULL, drains, b, .task = &task) == 0);
    CHECK_EQ(skua_unix_send_fds(a, &message), 3);
    MUST(skua_tcp_split(a, &reader, &writer) == 0);
    CHECK_EQ(skua_unix_send_fds(reader, &message), SKUA_EUSAGE);
    CHECK_EQ(skua_unix_recv_fds(writer, &message), SKUA_EUSAGE);
    CHECK_EQ(skua_unix_send_fds(writer, &message), 3);
    close_both(reader, writer);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

#ifdef SKUA_FAULTS

/* Injected errors are told as they are. On a plain thread: no worker beside it is hit instead. */
TEST(fds_injected_errors_are_told)
{
    int out = 2;
    skua_unix_message send = {.buf = "abc", .len = 3, .fds = &out, .fds_len = 1};
    struct waiting self = {.deadline = SKUA_FOREVER};
    skua_tcp *peer;

    MUST(skua_unix_pair(&self.tcp, &peer) == 0);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ETOOMANYREFS);
    CHECK_EQ(skua_unix_send_fds(peer, &send), -ETOOMANYREFS);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(skua_unix_send_fds(peer, &send), 3);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOBUFS);
    CHECK_EQ(receives(&self), -ENOBUFS);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(receives(&self), 3);
    CHECK_EQ(self.message.fds_got, 1);
    close(self.fds[0]);
    close_both(self.tcp, peer);
}

#endif

/* Cancelled reads on a ring leave stashes; a receive with descriptors finds every byte in order. */
static int reads_one(void *arg)
{
    struct waiting *self = arg;
    ssize_t n = skua_tcp_read(self->tcp, self->buf, 1);

    return (int)n;
}

TEST_FIBER(fds_after_cancelled_reads)
{
    struct waiting self = {.deadline = SKUA_FOREVER};
    uint64_t random = test_seed();
    size_t sent = 0, seen = 0;
    skua_tcp *peer;
    int rounds = TEST_COUNT(300);

    MUST(skua_unix_pair(&self.tcp, &peer) == 0);
    for (int i = 0; i < rounds; i++) {
        skua_task *task;
        unsigned char byte = test_pattern(sent);
        int result = 0;

        MUST(skua_spawn(NULL, reads_one, &self, .task = &task) == 0);
        for (uint64_t spins = test_random(&random) % 3; spins > 0; spins--)
            skua_yield();
        CHECK_EQ(skua_tcp_write(peer, &byte, 1), 1);
        sent++;
        skua_task_cancel(task);
        CHECK_EQ(skua_task_join(task, &result), 0);
        if (result != 1)
            CHECK_EQ(result, -ECANCELED);
        while (result == 1 || seen < sent) {
            ssize_t n = result == 1 ? 1 : receives(&self);

            if (!CHECK(n > 0) || !CHECK(test_pattern_ok(self.buf, (size_t)n, seen)))
                return 0;
            seen += (size_t)n;
            result = 0;
        }
    }
    close_both(self.tcp, peer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fds_pass),
        cmocka_unit_test(fds_pass_on_a_thread),
        cmocka_unit_test(fds_too_many_are_closed_and_told),
        cmocka_unit_test(fds_do_not_hide_the_bytes_behind_them),
        cmocka_unit_test(fds_waits_end_and_have_moved_nothing),
        cmocka_unit_test(fds_wait_for_room),
#ifdef SKUA_FAULTS
        cmocka_unit_test(fds_injected_errors_are_told),
#endif
        cmocka_unit_test(fds_after_cancelled_reads),
    };

    return TEST_MAIN(tests);
}
