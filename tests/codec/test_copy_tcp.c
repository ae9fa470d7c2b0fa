/* drivers: both */
/* test_copy_tcp.c - copies between connections, inside the kernel; files sent to them.
 *
 * Specifies io.h, copies, and net.h, skua_tcp_sendfile: everything arrives, in order, whoever is
 * slow; what a dropped read had received comes first; ends, resets and closes are told, none by a
 * signal; reads go on beside; another program's sockets on both sides of a proxy.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "../lib/parked.h"
#include "../lib/part.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"
#include "net/net_impl.h"

enum { MUCH = 3000000 };

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

/* ---- a client, a proxy, a server ------------------------------------------------------------- */

struct middle {
    skua_tcp *client, *front, *back, *server;
    int64_t sent, received;
    unsigned no_splice;
};

static void middle_make(struct middle *self)
{
    *self = (struct middle){.sent = -1, .received = -1};
    test_tcp_pair(&self->client, &self->front);
    test_tcp_pair(&self->back, &self->server);
}

static void middle_free(struct middle *self)
{
    CHECK_EQ(skua_tcp_close(self->client), 0);
    CHECK_EQ(skua_tcp_close(self->front), 0);
    CHECK_EQ(skua_tcp_close(self->back), 0);
    CHECK_EQ(skua_tcp_close(self->server), 0);
}

static int copies_both(void *arg)
{
    struct middle *self = arg;

    return skua_copy_bidirectional(skua_tcp_io(self->front), skua_tcp_io(self->back), &self->sent,
                                   &self->received,
                                   SKUA_COPY_OPTIONS(.no_splice = self->no_splice));
}

static int pours(void *arg)
{
    size_t total = (size_t)TEST_COUNT(MUCH);
    char buf[20000];

    for (size_t at = 0, len; at < total; at += len) {
        len = total - at < sizeof buf ? total - at : sizeof buf;
        test_pattern_fill(buf, len, at);
        if (!CHECK_EQ(skua_tcp_write_all(arg, buf, len), len))
            return -EPROTO;
    }
    return skua_tcp_shutdown(arg);
}

static int drains(void *arg)
{
    size_t at = 0;
    char buf[7000];
    ssize_t n;

    while ((n = skua_tcp_read(arg, buf, sizeof buf)) > 0) {
        if (!CHECK(test_pattern_ok(buf, (size_t)n, at)))
            return -EPROTO;
        at += (size_t)n;
        if (at % 1024 == 0)
            skua_sleep(MS(1) / 10); /* slow, now and then */
    }
    CHECK_EQ(at, TEST_COUNT(MUCH));
    return (int)n;
}

TEST_FIBER(copy_tcp_both_ways)
{
    for (unsigned no_splice = 0; no_splice < 2; no_splice++) {
        struct middle middle;
        skua_task *tasks[5];
        int fds;

        middle_make(&middle);
        fds = test_fd_count();
        middle.no_splice = no_splice;
        tasks[0] = start(copies_both, &middle);
        tasks[1] = start(pours, middle.client);
        tasks[2] = start(drains, middle.server);
        tasks[3] = start(pours, middle.server);
        tasks[4] = start(drains, middle.client);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(finish(tasks[i]), 0);
        CHECK_EQ(middle.sent, TEST_COUNT(MUCH));
        CHECK_EQ(middle.received, TEST_COUNT(MUCH));
        CHECK_EQ(test_fd_settle(fds), fds); /* the pipes are gone */
        middle_free(&middle);
    }
    return 0;
}

static int copies_one(void *arg)
{
    struct middle *self = arg;
    int64_t n = skua_copy(skua_tcp_io(self->front), skua_tcp_io(self->back), SKUA_COPY_ALL, NULL);

    return (int)n;
}

TEST_FIBER(copy_tcp_ends_at_each_wait)
{
    for (int way = 0; way < 8; way++) {
        bool full = way % 2; /* the target takes no more: it waits to write */
        struct middle middle;
        skua_task *task;
        int rc;

        middle_make(&middle);
        task = start(copies_one, &middle);
        if (full)
            test_tcp_fill(middle.client, 0);
        test_until_parked(task, NULL);
        switch (way / 2) {
        case 0:
            CHECK_EQ(skua_task_cancel(task), 0);
            CHECK_EQ(finish(task), -ECANCELED);
            break;
        case 1: /* closed under it */
            CHECK_EQ(skua_tcp_close(full ? middle.back : middle.front), 0);
            CHECK_EQ(finish(task), SKUA_ECLOSED);
            *(full ? &middle.back : &middle.front) = NULL;
            break;
        case 2: /* reset by the other side */
            CHECK_EQ(skua_tcp_set_linger(full ? middle.server : middle.client, 0), 0);
            CHECK_EQ(skua_tcp_close(full ? middle.server : middle.client), 0);
            *(full ? &middle.server : &middle.client) = NULL;
            rc = finish(task);
            CHECK(rc == -ECONNRESET || (full && rc == -EPIPE));
            break;
        default: /* nothing: what comes goes on; and with a deadline */
            CHECK_EQ(skua_copy(skua_tcp_io(middle.back), skua_tcp_io(middle.front), SKUA_COPY_ALL,
                               SKUA_COPY_OPTIONS(.deadline = skua_now() + MS(2))),
                     -ETIMEDOUT);
            CHECK_EQ(skua_task_cancel(task), 0);
            (void)finish(task);
            break;
        }
        middle_free(&middle);
    }
    return 0;
}

/* Nobody reads any more: told by the code, on a thread that has not blocked SIGPIPE. */
TEST_WAITING(copy_tcp_raises_no_signal)
{
    struct middle middle;
    char buf[1024] = "";
    int64_t n = 0;

    middle_make(&middle);
    CHECK_EQ(skua_tcp_close(middle.server), 0);
    middle.server = NULL;
    for (int i = 0; i < 50 && n >= 0; i++) {
        CHECK_EQ(skua_tcp_write_all(middle.client, buf, sizeof buf), sizeof buf);
        n = skua_copy(skua_tcp_io(middle.front), skua_tcp_io(middle.back), sizeof buf, NULL);
        test_thread_sleep(MS(1));
    }
    CHECK(n == -EPIPE || n == -ECONNRESET);
    middle_free(&middle);
}

/* ---- what a dropped read had received -------------------------------------------------------- */

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

TEST_FIBER(copy_tcp_begins_with_what_was_kept)
{
    int rounds = TEST_COUNT(300);

    for (int i = 0; i < rounds; i++) {
        skua_task *reader, *copier;
        struct middle middle;
        struct race race;
        unsigned char buf[256];

        middle_make(&middle);
        race = (struct race){.tcp = middle.front};
        reader = start(reads_until_cancelled, &race);
        for (int spins = i % 3; spins > 0; spins--)
            skua_yield();
        test_pattern_fill(buf, 100, 0);
        CHECK_EQ(skua_tcp_write_all(middle.client, buf, 100), 100);
        skua_task_cancel(reader); /* with the data on its way, or in the reader's buffer */
        CHECK_EQ(finish(reader), -ECANCELED);
        copier = start(copies_one, &middle);
        test_pattern_fill(buf, 100, 100);
        CHECK_EQ(skua_tcp_write_all(middle.client, buf, 100), 100);
        CHECK_EQ(skua_tcp_shutdown(middle.client), 0);
        CHECK_EQ(finish(copier), 200 - race.got);
        CHECK_EQ(skua_tcp_read_exact(middle.server, buf, 200 - race.got), 200 - race.got);
        CHECK(test_pattern_ok(buf, 200 - race.got, race.got));
        middle_free(&middle);
    }
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int make_file(size_t size)
{
    char name[] = "/tmp/skua_sendfile_XXXXXX";
    int file = mkstemp(name);
    char buf[8192];

    MUST(file >= 0);
    unlink(name);
    for (size_t at = 0; at < size; at += sizeof buf) {
        size_t len = size - at < sizeof buf ? size - at : sizeof buf;

        test_pattern_fill(buf, len, at);
        MUST(write(file, buf, len) == (ssize_t)len);
    }
    return file;
}

TEST_WAITING(sendfile_sends_a_part)
{
    int file = make_file(5000);
    int64_t at = 1000;
    skua_tcp *a, *b;
    char buf[5000];
    int nothing[2];

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 2000), 2000);
    CHECK_EQ(at, 3000);
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 0), 0);
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, INT64_MAX - at), 2000); /* to the end */
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 10), 0);
    CHECK_EQ(at, 5000);
    CHECK_EQ(skua_tcp_read_exact(b, buf, 4000), 4000);
    CHECK(test_pattern_ok(buf, 4000, 1000));
    at = -1;
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 10), -EINVAL);
    at = 0;
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, -1), -EINVAL);
    CHECK_EQ(skua_tcp_sendfile(a, -1, &at, 10), -EBADF);
    MUST(pipe(nothing) == 0);
    CHECK(skua_tcp_sendfile(a, nothing[0], &at, 10) < 0);
    CHECK_EQ(at, 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    for (int i = 0; i < 20 && skua_tcp_sendfile(a, file, &at, 10) >= 0; i++, at = 0)
        test_thread_sleep(MS(1));
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 10), -EPIPE); /* and no signal */
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_sendfile(a, file, &at, 10), SKUA_ECLOSED);
    close(nothing[0]);
    close(nothing[1]);
    close(file);
}

struct sending {
    skua_tcp *tcp;
    int file;
    int64_t at;
};

static int sends(void *arg)
{
    struct sending *self = arg;
    int64_t n = skua_tcp_sendfile(self->tcp, self->file, &self->at, TEST_COUNT(MUCH) - self->at);

    return n < 0 ? (int)n : skua_tcp_shutdown(self->tcp);
}

/* A large file and a slow reader: it waits for room. Cancelled on the way it knows how far it came;
 * and the socket is read meanwhile, by a fiber whose buffer a ring would have been lent. */
TEST_FIBER(sendfile_goes_on_where_it_was)
{
    struct sending sending = {.file = make_file((size_t)TEST_COUNT(MUCH))};
    struct race race = {.got = 0};
    skua_task *sender, *reader, *drainer;
    unsigned char buf[64];
    skua_tcp *peer;

    test_tcp_pair(&sending.tcp, &peer);
    test_tcp_small(sending.tcp);
    test_tcp_small(peer);
    race.tcp = sending.tcp;
    reader = start(reads_until_cancelled, &race);
    for (int i = 0; i < 3; i++) {
        sender = start(sends, &sending);
        test_until_parked(sender, NULL); /* the peer has no more room */
        skua_task_cancel(sender);
        CHECK_EQ(finish(sender), -ECANCELED);
        test_pattern_fill(buf, 64, (size_t)i * 64);
        CHECK_EQ(skua_tcp_write_all(peer, buf, 64), 64);
    }
    CHECK(sending.at > 0 && sending.at < TEST_COUNT(MUCH));
    sender = start(sends, &sending);
    drainer = start(drains, peer);
    CHECK_EQ(finish(sender), 0);
    CHECK_EQ(finish(drainer), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    CHECK_EQ(finish(reader), 0);
    CHECK_EQ(race.got, 3 * 64);
    CHECK_EQ(skua_tcp_close(sending.tcp), 0);
    close(sending.file);
    return 0;
}

/* A reader that waits on a socket that has become non-blocking sleeps, on a ring, too. */
TEST_FIBER_CURRENT(sendfile_leaves_readers_asleep)
{
    struct sending sending = {.file = make_file(100)};
    struct test_usage before, after;
    char buf[100];
    skua_tcp *peer;

    test_tcp_pair(&sending.tcp, &peer);
    CHECK_EQ(skua_tcp_sendfile(sending.tcp, sending.file, &sending.at, 100), 100);
    test_usage_of("", &before);
    CHECK_EQ(skua_tcp_read_until(sending.tcp, buf, 100, skua_now() + MS(100)), -ETIMEDOUT);
    test_usage_of("", &after);
    CHECK(after.cpu_ns - before.cpu_ns < MS(60) || TEST_SANITIZED);
    CHECK_EQ(skua_tcp_read_exact(peer, buf, 100), 100);
    CHECK_EQ(skua_tcp_close(sending.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    close(sending.file);
    return 0;
}

/* ---- another program on both sides ----------------------------------------------------------- */

static const char program[] =
    "import hashlib, os, socket, sys, threading\n"
    "listener = socket.create_server(('127.0.0.1', 0), backlog=64)\n"
    "print(listener.getsockname()[1], flush=True)\n"
    "def serve(conn):\n"
    "    with conn:\n"
    "        while data := conn.recv(50000):\n"
    "            conn.sendall(data)\n"
    "def accept():\n"
    "    while True:\n"
    "        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()\n"
    "threading.Thread(target=accept, daemon=True).start()\n"
    "bad = []\n"
    "def ask(size):\n"
    "    data = os.urandom(size)\n"
    "    conn = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
    "    def send():\n"
    "        conn.sendall(data)\n"
    "        conn.shutdown(socket.SHUT_WR)\n"
    "    threading.Thread(target=send, daemon=True).start()\n"
    "    got = hashlib.sha256()\n"
    "    while part := conn.recv(30000):\n"
    "        got.update(part)\n"
    "    if got.digest() != hashlib.sha256(data).digest():\n"
    "        bad.append(size)\n"
    "sizes = [0, 1, 100, 65536, 300000, 1000000, 65537, 3]\n"
    "threads = [threading.Thread(target=ask, args=(size,)) for size in sizes]\n"
    "for thread in threads: thread.start()\n"
    "for thread in threads: thread.join()\n"
    "sys.exit(1 if bad else 0)\n";

struct proxy {
    skua_listener *listener;
    char target[SKUA_ADDRESS_MAX];
    atomic_int passed;
};

struct passage {
    struct proxy *proxy;
    skua_tcp *client;
};

static int passes_on(void *arg)
{
    struct passage *self = arg;
    skua_tcp *target = NULL;

    CHECK_EQ(skua_tcp_connect(&target, self->proxy->target, NULL), 0);
    CHECK_EQ(
        skua_copy_bidirectional(skua_tcp_io(self->client), skua_tcp_io(target), NULL, NULL, NULL),
        0);
    atomic_fetch_add(&self->proxy->passed, 1);
    CHECK_EQ(skua_tcp_close(target), 0);
    CHECK_EQ(skua_tcp_close(self->client), 0);
    free(self);
    return 0;
}

static int proxies(void *arg)
{
    struct proxy *self = arg;

    for (int i = 0; i < 8; i++) {
        struct passage *passage = malloc(sizeof *passage);

        passage->proxy = self;
        if (!CHECK_EQ(skua_tcp_accept(self->listener, &passage->client), 0))
            return -EPROTO;
        CHECK_EQ(skua_spawn(NULL, passes_on, passage), 0);
    }
    return 0;
}

TEST(copy_tcp_for_another_program)
{
    char name[] = "/tmp/skua_copy_XXXXXX", command[128], address[SKUA_ADDRESS_MAX], line[32] = "";
    struct proxy proxy = {.listener = test_listen(address)};
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    int script = mkstemp(name);
    FILE *child;

    test_limit(60);
    MUST(script >= 0 && write(script, program, strlen(program)) == (ssize_t)strlen(program));
    close(script);
    snprintf(command, sizeof command, "python3 %s %d", name, test_port(address));
    child = popen(command, "r");
    MUST(child != NULL);
    if (fgets(line, sizeof line, child) != NULL) {
        snprintf(proxy.target, sizeof proxy.target, "127.0.0.1:%d", atoi(line));
        test_run(runtime, proxies, &proxy);
        CHECK_EQ(pclose(child), 0);
        CHECK_EQ(atomic_load(&proxy.passed), 8);
    } else {
        (void)pclose(child);
        test_note("there is no python3: skipped");
    }
    test_runtime_free(runtime);
    CHECK_EQ(skua_listener_close(proxy.listener), 0);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_tcp_both_ways),
        cmocka_unit_test(copy_tcp_ends_at_each_wait),
        TEST_WAITING_ENTRIES(copy_tcp_raises_no_signal),
        cmocka_unit_test(copy_tcp_begins_with_what_was_kept),
        TEST_WAITING_ENTRIES(sendfile_sends_a_part),
        cmocka_unit_test(sendfile_goes_on_where_it_was),
        cmocka_unit_test(sendfile_leaves_readers_asleep),
        cmocka_unit_test(copy_tcp_for_another_program),
    };

    return TEST_MAIN(tests);
}
