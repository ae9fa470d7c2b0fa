/* drivers: both */
/* test_tcp_ready.c - waiting and trying apart: readable, writable, try_read, try_write.
 *
 * Specifies net.h: a wait for readiness holds no buffer, a try never waits, and nothing that a
 * wait has armed outlives the socket, however that ends.
 */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

/* Waits at most `ns`. */
static int readable_within(skua_tcp *tcp, int64_t ns)
{
    skua_tcp_future wait;

    return (int)skua_await_until(skua_tcp_readable_init(&wait, tcp), skua_now() + ns);
}

/* A wait may say so in vain once: a new socket is thought ready until a try says otherwise. */
static void drain(skua_tcp *tcp)
{
    char byte;

    CHECK_EQ(skua_tcp_try_read(tcp, &byte, 1), -EAGAIN);
}

static int writes_later(void *arg)
{
    CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK_EQ(skua_tcp_write(arg, "hello", 5), 5);
    return 0;
}

TEST_FIBER(readable_waits_for_bytes)
{
    skua_tcp *a;
    skua_tcp *b;
    char buf[8];
    int64_t begin;

    test_tcp_pair(&a, &b);
    drain(a);
    CHECK_EQ(readable_within(a, MS(10)), -ETIMEDOUT);
    begin = skua_now();
    MUST(skua_spawn(NULL, writes_later, b) == 0);
    CHECK_EQ(skua_tcp_readable(a), 0);
    CHECK(skua_now() - begin >= MS(20));
    CHECK_EQ(skua_tcp_try_read(a, buf, 2), 2); /* some are left: readable without a wait */
    CHECK_EQ(skua_tcp_readable(a), 0);
    CHECK_EQ(skua_tcp_try_read(a, buf, sizeof buf), 3);
    drain(a);
    CHECK_EQ(readable_within(a, MS(10)), -ETIMEDOUT);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_tcp_readable(a), 0);
    CHECK_EQ(skua_tcp_try_read(a, buf, sizeof buf), 0);
    CHECK_EQ(skua_tcp_try_read(a, buf, sizeof buf), 0); /* the end stays */
    CHECK_EQ(skua_tcp_close(a), 0);
    return 0;
}

static int reads_all(void *arg)
{
    static char buf[1 << 16];
    size_t sum = 0;
    ssize_t n;

    CHECK_EQ(skua_sleep(MS(20)), 0);
    while ((n = skua_tcp_read(arg, buf, sizeof buf)) > 0)
        sum += (size_t)n;
    CHECK_EQ(n, 0);
    return (int)sum;
}

TEST_FIBER(writable_waits_for_room)
{
    static char bytes[1 << 16];
    skua_task *reader;
    skua_tcp *a;
    skua_tcp *b;
    int64_t sum = 0;
    int result;
    ssize_t n;

    test_tcp_pair(&a, &b);
    while ((n = skua_tcp_try_write(a, bytes, sizeof bytes)) > 0)
        sum += n;
    CHECK_EQ(n, -EAGAIN);
    MUST(skua_spawn(NULL, reads_all, b, .task = &reader) == 0);
    do {
        CHECK_EQ(skua_tcp_writable(a), 0);
        n = skua_tcp_try_write(a, bytes, sizeof bytes);
    } while (n == -EAGAIN);
    CHECK(n > 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_task_join(reader, &result), 0);
    CHECK_EQ(result, sum + n);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

static void *writes_later_thread(void *arg)
{
    (void)writes_later(arg);
    return NULL;
}

TEST(plain_thread_waits_for_readiness)
{
    pthread_t thread;
    skua_tcp *a;
    skua_tcp *b;
    char buf[8];

    test_tcp_pair(&a, &b);
    drain(a);
    MUST(pthread_create(&thread, NULL, writes_later_thread, b) == 0);
    CHECK_EQ(skua_tcp_readable(a), 0);
    CHECK_EQ(skua_tcp_try_read(a, buf, sizeof buf), 5);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_tcp_writable(a), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_readable(b), 0);
    CHECK_EQ(skua_tcp_try_read(b, buf, sizeof buf), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
}

TEST_FIBER(halves_may_only_wait_for_what_they_may_do)
{
    skua_tcp *a;
    skua_tcp *b;
    skua_tcp *reader;
    skua_tcp *writer;
    char byte = 0;

    test_tcp_pair(&a, &b);
    MUST(skua_tcp_split(a, &reader, &writer) == 0);
    CHECK_EQ(skua_tcp_readable(writer), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_writable(reader), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_try_read(writer, &byte, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_try_write(reader, &byte, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_writable(writer), 0);
    CHECK_EQ(skua_tcp_close(writer), 0);
    CHECK_EQ(skua_tcp_writable(writer), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_try_write(writer, &byte, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(reader), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

/* ---- nothing is left ------------------------------------------------------------------------- */

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = -1; /* its own */

    MUST(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

enum end { PEER_CLOSES, PEER_RESETS, CLOSED_BEHIND_A_RESET, CLOSED_UNDER_THE_WAIT, ENDS };

struct waiting {
    skua_tcp *tcp;
    int result;
};

static int waits_until_readable(void *arg)
{
    struct waiting *self = arg;

    drain(self->tcp);
    self->result = skua_tcp_readable(self->tcp);
    return 0;
}

/* A wait has armed something; then the connection ends in one way or another. */
static void end_one(enum end end)
{
    struct waiting waiting;
    skua_task *waiter;
    char byte;
    int raw;

    test_tcp_raw_pair(&waiting.tcp, &raw);
    MUST(skua_spawn(NULL, waits_until_readable, &waiting, .task = &waiter) == 0);
    test_until_parked(waiter, NULL);
    if (end == PEER_CLOSES)
        close(raw);
    else if (end == PEER_RESETS || end == CLOSED_BEHIND_A_RESET)
        test_raw_reset(raw);
    if (end == CLOSED_BEHIND_A_RESET || end == CLOSED_UNDER_THE_WAIT)
        CHECK_EQ(skua_tcp_close(waiting.tcp), 0);
    CHECK_EQ(skua_task_join(waiter, NULL), 0);
    if (end == PEER_CLOSES || end == PEER_RESETS) {
        CHECK_EQ(waiting.result, 0);
        CHECK_EQ(skua_tcp_try_read(waiting.tcp, &byte, 1), end == PEER_CLOSES ? 0 : -ECONNRESET);
        CHECK_EQ(skua_tcp_close(waiting.tcp), 0);
    } else if (end == CLOSED_UNDER_THE_WAIT) {
        CHECK_EQ(waiting.result, SKUA_ECLOSED);
        close(raw);
    }
}

TEST_FIBER(no_descriptor_is_left)
{
    int before = open_descriptors();
    int64_t end;

    for (int i = 0; i < 5 * ENDS; i++)
        end_one((enum end)(i % ENDS));
    end = skua_now() + TEST_LATE; /* a ring lets go in its next turns */
    while (open_descriptors() > before && skua_now() < end)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(open_descriptors(), before);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readable_waits_for_bytes),
        cmocka_unit_test(writable_waits_for_room),
        cmocka_unit_test(plain_thread_waits_for_readiness),
        cmocka_unit_test(halves_may_only_wait_for_what_they_may_do),
        cmocka_unit_test(no_descriptor_is_left),
    };

    return TEST_MAIN(tests);
}
