/* drivers: both */
/* test_accept.c - listeners under stress: no descriptors left, shared ports, storms.
 *
 * Specifies net.h: skua_tcp_accept backs off when descriptors run out and goes on when they come
 * back, saying so once; listeners with reuse_port share; a storm of connections is served whole;
 * closing and a second acceptor.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

/* ---- no descriptors left --------------------------------------------------------------------- */

static struct rlimit limit_now(void)
{
    struct rlimit limit;

    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit;
}

/* Forbids any further descriptor; returns the limit of before. */
static struct rlimit forbid_descriptors(void)
{
    struct rlimit before = limit_now(), none = before;
    int lowest = dup(0);

    MUST(lowest >= 0);
    close(lowest);
    none.rlim_cur = (rlim_t)lowest;
    MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
    return before;
}

struct hungry {
    skua_listener *listener;
    skua_tcp *tcp;
    int rc;
};

static int accepts_hungrily(void *arg)
{
    struct hungry *self = arg;

    self->rc = skua_tcp_accept(self->listener, &self->tcp);
    return 0;
}

/* Standard error goes to a file meanwhile: the remark must come once, not once a try. */
static int stderr_to(FILE *file)
{
    int before;

    fflush(stderr);
    before = dup(STDERR_FILENO);
    MUST(dup2(fileno(file), STDERR_FILENO) >= 0);
    return before;
}

static int lines_of(FILE *file)
{
    int lines = 0;

    rewind(file);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    return lines;
}

TEST_FIBER(accept_without_descriptors_goes_on)
{
    char address[SKUA_ADDRESS_MAX], byte;
    struct hungry self = {.listener = test_listen(address), .rc = 77};
    FILE *remarks = tmpfile();
    int raw = socket(AF_INET, SOCK_STREAM, 0), before_stderr = stderr_to(remarks);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)test_port(address)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct rlimit before = forbid_descriptors();
    int64_t begin;
    skua_task *task;

    MUST(connect(raw, (struct sockaddr *)&to, sizeof to) == 0);
    MUST(skua_spawn(NULL, accepts_hungrily, &self, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_sleep(MS(200)), 0);
    CHECK_EQ(skua_task_done(task), 0); /* it neither fails ... */
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    begin = skua_now();
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_RANGE(skua_now() - begin, 0, SKUA_SECOND + TEST_LATE);
    MUST(dup2(before_stderr, STDERR_FILENO) >= 0);
    close(before_stderr);
    CHECK_EQ(self.rc, 0);
    CHECK_EQ(lines_of(remarks), 1);
    MUST(self.tcp != NULL);
    CHECK_EQ(send(raw, "x", 1, 0), 1);
    CHECK_EQ(skua_tcp_read(self.tcp, &byte, 1), 1);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_listener_close(self.listener), 0);
    close(raw);
    fclose(remarks);
    return 0;
}

/* ... nor spins: a back-off uses next to no processor time, and can be cancelled. */
TEST_FIBER(accept_without_descriptors_does_not_spin)
{
    char address[SKUA_ADDRESS_MAX];
    struct hungry self = {.listener = test_listen(address), .rc = 77};
    FILE *remarks = tmpfile();
    int raw = socket(AF_INET, SOCK_STREAM, 0), before_stderr = stderr_to(remarks);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)test_port(address)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct rlimit before = forbid_descriptors();
    struct timespec cpu, later;
    skua_task *task;

    MUST(connect(raw, (struct sockaddr *)&to, sizeof to) == 0);
    MUST(skua_spawn(NULL, accepts_hungrily, &self, .task = &task) == 0);
    test_until_parked(task, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    skua_sleep(MS(300));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &later);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    MUST(dup2(before_stderr, STDERR_FILENO) >= 0);
    close(before_stderr);
    CHECK_EQ(self.rc, -ECANCELED);
    CHECK_RANGE((later.tv_sec - cpu.tv_sec) * SKUA_SECOND + later.tv_nsec - cpu.tv_nsec, 0, MS(50));
    CHECK_EQ(skua_tcp_accept(self.listener, &self.tcp), 0); /* it was not lost */
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_listener_close(self.listener), 0);
    close(raw);
    fclose(remarks);
    return 0;
}

struct rung {
    skua_custom_waker waker;
    atomic_int wakes;
};

static void rung_wake(skua_custom_waker *self)
{
    atomic_fetch_add(&((struct rung *)self)->wakes, 1);
}

static void rung_count(skua_custom_waker *self)
{
    (void)self;
}

/* ... nor is it deaf: a close wakes it at once, and not when the pause is over. */
TEST_FIBER(accept_without_descriptors_is_closed)
{
    struct rung rung = {.waker = {rung_wake, rung_count, rung_count}};
    skua_waker *waker = skua_waker_custom(&rung.waker);
    FILE *remarks = tmpfile();
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    int raw = test_raw_connect(address), before_stderr = stderr_to(remarks);
    struct rlimit before = forbid_descriptors();
    skua_accept_future accept;
    skua_future *future;
    skua_tcp *tcp = NULL;

    future = skua_tcp_accept_init(&accept, listener, &tcp);
    CHECK_EQ(future->ops->poll(future, waker), SKUA_PENDING);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(atomic_load(&rung.wakes), 1);
    CHECK_EQ(future->ops->poll(future, waker), SKUA_ECLOSED);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    MUST(dup2(before_stderr, STDERR_FILENO) >= 0);
    close(before_stderr);
    CHECK(tcp == NULL);
    close(raw);
    fclose(remarks);
    return 0;
}

/* ---- shared ports ---------------------------------------------------------------------------- */

struct sharer {
    skua_listener *listener;
    int count;
};

static int accepts_and_counts(void *arg)
{
    struct sharer *self = arg;
    skua_tcp *tcp;
    int rc;

    while ((rc = skua_tcp_accept(self->listener, &tcp)) == 0) {
        self->count++;
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    return rc == SKUA_ECLOSED ? 0 : rc;
}

TEST_FIBER(accept_on_a_shared_port)
{
    const skua_listen_options *shared = SKUA_LISTEN_OPTIONS(.reuse_port = 1);
    char address[SKUA_ADDRESS_MAX];
    struct sharer sharers[2] = {{NULL, 0}, {NULL, 0}};
    skua_scope scope;
    char byte;

    MUST(skua_tcp_listen(&sharers[0].listener, "127.0.0.1:0", shared) == 0);
    MUST(skua_listener_address(sharers[0].listener, address, sizeof address) == 0);
    MUST(skua_tcp_listen(&sharers[1].listener, address, shared) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, accepts_and_counts, &sharers[0]), 0);
    CHECK_EQ(skua_spawn(&scope, accepts_and_counts, &sharers[1]), 0);
    for (int i = 0; i < 100; i++) {
        skua_tcp *tcp;

        MUST(skua_tcp_connect(&tcp, address, NULL) == 0);
        CHECK_EQ(skua_tcp_read(tcp, &byte, 1), 0); /* someone took it */
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    CHECK_EQ(skua_listener_close(sharers[0].listener), 0);
    CHECK_EQ(skua_listener_close(sharers[1].listener), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(sharers[0].count + sharers[1].count, 100);
    CHECK(sharers[0].count > 10 && sharers[1].count > 10);
    return 0;
}

/* ---- storms ---------------------------------------------------------------------------------- */

enum { STORM = TEST_COUNT(1000) };

static int answers(void *arg)
{
    skua_tcp *tcp = arg;
    char byte = 0;

    CHECK_EQ(skua_tcp_read(tcp, &byte, 1), 1);
    byte++;
    CHECK_EQ(skua_tcp_write(tcp, &byte, 1), 1);
    return skua_tcp_close(tcp);
}

struct storm {
    skua_listener *listener;
    int left;
};

static int serves_storm(void *arg)
{
    struct storm *self = arg;
    skua_scope scope;
    skua_tcp *tcp;
    int rc = 0;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    while (self->left-- > 0 && (rc = skua_tcp_accept(self->listener, &tcp)) == 0)
        CHECK_EQ(skua_spawn(&scope, answers, tcp), 0);
    CHECK_EQ(rc, 0);
    return skua_scope_join(&scope);
}

static int asks(void *arg)
{
    skua_tcp *tcp;
    char byte = 'a';

    CHECK_EQ(skua_tcp_connect(&tcp, arg, NULL), 0);
    CHECK_EQ(skua_tcp_write(tcp, &byte, 1), 1);
    CHECK_EQ(skua_tcp_read(tcp, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    return skua_tcp_close(tcp);
}

/* All are there before the first is accepted. */
static void storm_of_waiting(const char *address, struct storm *storm)
{
    int raw[STORM];
    skua_task *task;
    char byte = 'a';

    for (int i = 0; i < STORM; i++) {
        raw[i] = test_raw_connect(address);
        CHECK_EQ(send(raw[i], &byte, 1, 0), 1);
    }
    storm->left = STORM;
    MUST(skua_spawn(NULL, serves_storm, storm, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    for (int i = 0; i < STORM; i++) {
        CHECK_EQ(recv(raw[i], &byte, 1, 0), 1);
        CHECK_EQ(byte, 'b');
        byte = 'a';
        close(raw[i]);
    }
}

TEST_FIBER(accept_storm)
{
    char address[SKUA_ADDRESS_MAX];
    struct storm storm = {.listener = test_listen(address)};
    int fds = test_fd_count();
    skua_scope scope;

    storm_of_waiting(address, &storm);
    storm.left = STORM;
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, serves_storm, &storm), 0);
    for (int i = 0; i < STORM; i++)
        CHECK_EQ(skua_spawn(&scope, asks, address), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(test_fd_settle(fds), fds);
    CHECK_EQ(skua_listener_close(storm.listener), 0);
    return 0;
}

/* Connections that were reset while they waited are no error of accept. */
TEST_FIBER(accept_skips_what_is_gone)
{
    char address[SKUA_ADDRESS_MAX], byte;
    skua_listener *listener = test_listen(address);
    skua_tcp *tcp;
    int raw;

    for (int i = 0; i < 20; i++)
        test_raw_reset(test_raw_connect(address));
    raw = test_raw_connect(address);
    CHECK_EQ(send(raw, "x", 1, 0), 1);
    for (int i = 0; i < 21; i++) {
        if (!CHECK_EQ(skua_tcp_accept_until(listener, &tcp, skua_now() + SKUA_SECOND), 0))
            break;
        if (skua_tcp_read(tcp, &byte, 1) == 1) {
            CHECK_EQ(skua_tcp_close(tcp), 0);
            break;
        }
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    CHECK_EQ(skua_tcp_accept_until(listener, &tcp, skua_now() + MS(10)), -ETIMEDOUT);
    close(raw);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER(accept_ends_with_the_listener)
{
    char address[SKUA_ADDRESS_MAX];
    struct hungry self = {.listener = test_listen(address), .rc = 77};
    skua_task *task;
    skua_tcp *none = NULL;

    MUST(skua_spawn(NULL, accepts_hungrily, &self, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_tcp_accept(self.listener, &none), -EBUSY);
    CHECK_EQ(skua_listener_close(self.listener), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(self.rc, SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_accept(self.listener, &none), SKUA_ECLOSED);
    CHECK_EQ(skua_listener_close(self.listener), -EBADF);
    CHECK_EQ(skua_tcp_connect(&none, address, NULL), -ECONNREFUSED);
    CHECK(none == NULL && self.tcp == NULL);
    return 0;
}

/* Descriptors are not handed on to programs that are started. */
TEST_FIBER_CURRENT(accept_closes_on_exec)
{
    char address[SKUA_ADDRESS_MAX];
    int first = dup(0), last;
    skua_listener *listener;
    skua_tcp *client, *server;

    close(first);
    listener = test_listen(address);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &server) == 0);
    last = dup(0);
    close(last);
    CHECK_EQ(last - first, 3);
    for (int fd = first; fd < last; fd++)
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* A listener's slot begins with a cache line, as all slots do: under UBSan any other place is an
 * error, and everywhere two of them would share one. */
TEST(accept_listeners_are_aligned)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listeners[16];

    for (size_t i = 0; i < TEST_LEN(listeners); i++) {
        listeners[i] = test_listen(address);
        CHECK_EQ((uintptr_t)listeners[i] % 64, 0);
    }
    for (size_t i = 0; i < TEST_LEN(listeners); i++)
        CHECK_EQ(skua_listener_close(listeners[i]), 0);
}

/* A socket that was handed over is what it is, and not what its slot was before. */
TEST_FIBER(accept_from_an_adopted_listener)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char address[SKUA_ADDRESS_MAX];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    skua_listener *listener;
    skua_tcp *client, *server;
    skua_udp *packets;

    (void)snprintf(address, sizeof address, "@skua-test-accept-%d-%d", (int)getpid(), fd);
    MUST(skua_unix_seqpacket_listen(&listener, address, NULL) == 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    MUST(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 8) == 0);
    MUST(skua_tcp_listen_adopt(&listener, fd, NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    CHECK_EQ(skua_unix_seqpacket_accept(listener, &packets), SKUA_EUSAGE);
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* Unix sockets, too: those of packets are accepted as such. */
TEST_FIBER(accept_from_adopted_unix_listeners)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

    for (size_t i = 0; i < TEST_LEN(types); i++) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, types[i], 0), peer = socket(AF_UNIX, types[i], 0);
        socklen_t len = sizeof name;
        skua_listener *listener;
        skua_udp *packets;
        skua_tcp *stream;

        MUST(bind(fd, (struct sockaddr *)&name, sizeof name.sun_family) == 0); /* abstract */
        MUST(listen(fd, 8) == 0 && getsockname(fd, (struct sockaddr *)&name, &len) == 0);
        MUST(skua_tcp_listen_adopt(&listener, fd, NULL) == 0);
        MUST(connect(peer, (struct sockaddr *)&name, len) == 0);
        if (types[i] == SOCK_STREAM) {
            MUST(skua_tcp_accept(listener, &stream) == 0);
            CHECK_EQ(skua_tcp_close(stream), 0);
        } else {
            CHECK_EQ(skua_tcp_accept(listener, &stream), SKUA_EUSAGE);
            MUST(skua_unix_seqpacket_accept(listener, &packets) == 0);
            CHECK_EQ(skua_udp_close(packets), 0);
        }
        CHECK_EQ(skua_listener_close(listener), 0);
        close(peer);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_without_descriptors_goes_on),
        cmocka_unit_test(accept_without_descriptors_does_not_spin),
        cmocka_unit_test(accept_without_descriptors_is_closed),
        cmocka_unit_test(accept_on_a_shared_port),
        cmocka_unit_test(accept_storm),
        cmocka_unit_test(accept_skips_what_is_gone),
        cmocka_unit_test(accept_ends_with_the_listener),
        cmocka_unit_test(accept_closes_on_exec),
        cmocka_unit_test(accept_from_an_adopted_listener),
        cmocka_unit_test(accept_from_adopted_unix_listeners),
        cmocka_unit_test(accept_listeners_are_aligned),
    };

    return TEST_MAIN(tests);
}
