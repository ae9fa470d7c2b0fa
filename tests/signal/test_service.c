/* test_service.c - a service and its manager, which is the test.
 *
 * Specifies service.h: what is told arrives, at a path or an abstract name; nothing happens where
 * nobody listens; the watchdog is pinged as often as it must be and as long as the runtime lives;
 * descriptors are taken over once, by whom they are meant for, and served.
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/usage.h"

/* ---- the manager ----------------------------------------------------------------------------- */

struct manager {
    int fd;
    char name[64]; /* as in the environment */
    char got[1024];
};

static void manager_open(struct manager *manager, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len;

    snprintf(manager->name, sizeof manager->name, "%s/skua-manager-%d", abstract ? "@" : "/tmp",
             (int)getpid());
    len = strlen(manager->name);
    memcpy(address.sun_path, manager->name, len);
    if (abstract)
        address.sun_path[0] = '\0';
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(bind(manager->fd, (struct sockaddr *)&address,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0);
    MUST(setenv("NOTIFY_SOCKET", manager->name, 1) == 0);
}

static void manager_close(struct manager *manager)
{
    close(manager->fd);
    unlink(manager->name);
    unsetenv("NOTIFY_SOCKET");
}

/* The next datagram, or "" when there is none. */
static const char *manager_gets(struct manager *manager)
{
    ssize_t n = recv(manager->fd, manager->got, sizeof manager->got - 1, MSG_DONTWAIT);

    manager->got[n > 0 ? n : 0] = '\0';
    return manager->got;
}

static void set_number(const char *name, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    MUST(setenv(name, text, 1) == 0);
}

/* ---- telling --------------------------------------------------------------------------------- */

TEST(service_notify)
{
    int fds = test_fd_count();
    char longest[700], wanted[600];

    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    snprintf(wanted, sizeof wanted, "STATUS=%.500s", longest);
    for (int abstract = 0; abstract < 2; abstract++) {
        struct manager manager;

        manager_open(&manager, abstract);
        CHECK_EQ(skua_service_notify("MAINPID=5\nREADY=1"), 1);
        CHECK(strcmp(manager_gets(&manager), "MAINPID=5\nREADY=1") == 0);
        CHECK_EQ(skua_service_ready(), 1);
        CHECK(strcmp(manager_gets(&manager), "READY=1") == 0);
        CHECK_EQ(skua_service_stopping(), 1);
        CHECK(strcmp(manager_gets(&manager), "STOPPING=1") == 0);
        CHECK_EQ(skua_service_status("serves 5 cats"), 1);
        CHECK(strcmp(manager_gets(&manager), "STATUS=serves 5 cats") == 0);
        CHECK_EQ(skua_service_status(longest), 1);
        CHECK(strcmp(manager_gets(&manager), wanted) == 0);
        CHECK_EQ(skua_service_status("two\nREADY=1"), -EINVAL);
        CHECK_EQ(skua_service_notify(NULL), -EINVAL);
        CHECK_EQ(skua_service_notify(""), -EINVAL);
        manager_close(&manager);
        MUST(setenv("NOTIFY_SOCKET", manager.name, 1) == 0);
        CHECK_EQ(skua_service_ready(), abstract ? -ECONNREFUSED : -ENOENT);
    }
    MUST(setenv("NOTIFY_SOCKET", "nowhere", 1) == 0);
    CHECK_EQ(skua_service_ready(), -EINVAL);
    MUST(setenv("NOTIFY_SOCKET", "/", 1) == 0);
    CHECK_EQ(skua_service_ready(), -EINVAL);
    MUST(setenv("NOTIFY_SOCKET", longest, 1) == 0);
    CHECK_EQ(skua_service_ready(), -EINVAL);
    unsetenv("NOTIFY_SOCKET");
    CHECK_EQ(skua_service_ready(), 0);
    CHECK_EQ(test_fd_count(), fds);
}

/* ---- watchdog -------------------------------------------------------------------------------- */

TEST(service_watchdog)
{
    struct manager manager;
    int pings = 0;

    CHECK_EQ(skua_service_watchdog_interval(), 0);
    set_number("WATCHDOG_USEC", 20000);
    CHECK_EQ(skua_service_watchdog_interval(), MS(20));
    set_number("WATCHDOG_PID", getpid() + 1);
    CHECK_EQ(skua_service_watchdog_interval(), 0);
    set_number("WATCHDOG_PID", getpid());
    CHECK_EQ(skua_service_watchdog_interval(), MS(20));
    MUST(setenv("WATCHDOG_USEC", "20s", 1) == 0);
    CHECK_EQ(skua_service_watchdog_interval(), -EINVAL);
    MUST(setenv("WATCHDOG_USEC", "9223372036854775808", 1) == 0);
    CHECK_EQ(skua_service_watchdog_interval(), -EINVAL);
    MUST(setenv("WATCHDOG_USEC", "", 1) == 0);
    CHECK_EQ(skua_service_watchdog_interval(), -EINVAL);
    set_number("WATCHDOG_USEC", 20000);
    manager_open(&manager, true);
    {
        skua_runtime *runtime = test_runtime(&test_kinds[1]);

        CHECK_EQ(skua_service_watchdog(runtime), 1);
        for (int64_t end = skua_now() + MS(100) + TEST_LATE; pings < 5 && skua_now() < end;) {
            if (*manager_gets(&manager) == '\0')
                test_thread_sleep(MS(1));
            else
                pings += CHECK(strcmp(manager.got, "WATCHDOG=1") == 0);
        }
        CHECK_EQ(pings, 5);
        CHECK_EQ(skua_runtime_free(runtime), 0); /* it ends with the runtime */
    }
    while (*manager_gets(&manager) != '\0')
        ;
    test_thread_sleep(MS(30));
    CHECK(*manager_gets(&manager) == '\0');
    manager_close(&manager);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int serves_one(void *arg)
{
    char address[SKUA_ADDRESS_MAX], byte = 'x';
    skua_tcp *here, *there;

    MUST(skua_listener_address(arg, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&there, address, NULL) == 0);
    CHECK_EQ(skua_tcp_accept(arg, &here), 0);
    CHECK_EQ(skua_tcp_write_all(there, &byte, 1), 1);
    CHECK_EQ(skua_tcp_read(here, &byte, 1), 1);
    skua_tcp_close(here);
    skua_tcp_close(there);
    return 0;
}

static int listening_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    MUST(fd >= 0 && listen(fd, 5) == 0);
    return fd;
}

TEST(service_listen_fds)
{
    int kept[2] = {fcntl(3, F_DUPFD_CLOEXEC, 50), fcntl(4, F_DUPFD_CLOEXEC, 50)};
    int fd = listening_socket();
    skua_listener *untouched = (skua_listener *)8, *listener = untouched;
    char names[32] = "old", cut[5];
    skua_runtime *runtime;

    CHECK_EQ(skua_service_listen_fds(names, sizeof names), 0);
    CHECK(names[0] == '\0');
    fd = fcntl(fd, F_DUPFD, 20);
    MUST(dup2(fd, 3) == 3 && dup2(STDERR_FILENO, 4) == 4);
    set_number("LISTEN_FDS", 2);
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), 0); /* nobody knows whose */
    set_number("LISTEN_PID", getppid());
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), 0);
    set_number("LISTEN_PID", getpid());
    set_number("LISTEN_FDS", 100000);
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), -EBADF);
    MUST(setenv("LISTEN_FDS", "-2", 1) == 0);
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), -EINVAL);
    set_number("LISTEN_FDS", 2);
    MUST(setenv("LISTEN_FDNAMES", "web:log", 1) == 0);
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), 2);
    CHECK(strcmp(names, "web:log") == 0);
    CHECK(fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    CHECK_EQ(skua_service_listen_fds(names, sizeof names), 0);
    set_number("LISTEN_PID", getpid());
    set_number("LISTEN_FDS", 1);
    MUST(setenv("LISTEN_FDNAMES", "web:log", 1) == 0);
    CHECK_EQ(skua_service_listen_fds(cut, sizeof cut), 1);
    CHECK(strcmp(cut, "web:") == 0);
    CHECK_EQ(skua_tcp_listen_adopt(&listener, 4, NULL), -ENOTSOCK);
    CHECK_EQ(skua_tcp_listen_adopt(&listener, 12345, NULL), -EBADF);
    CHECK_EQ(skua_tcp_listen_adopt(&listener, 3, SKUA_LISTEN_OPTIONS(.backlog = -1)), -EINVAL);
    CHECK(listener == untouched);
    CHECK_EQ(skua_tcp_listen_adopt(&listener, 3, NULL), 0);
    runtime = test_runtime(&test_kinds[1]);
    test_run(runtime, serves_one, listener);
    test_runtime_free(runtime);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK(fcntl(3, F_GETFD) == -1);
    if (kept[0] >= 0)
        MUST(dup2(kept[0], 3) == 3);
    if (kept[1] >= 0)
        MUST(dup2(kept[1], 4) == 4);
    else
        close(4);
    close(fd);
}

TEST(service_adopts_only_what_listens)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    skua_listener *listener;

    CHECK_EQ(skua_tcp_listen_adopt(&listener, fd, NULL), -EINVAL);
    CHECK_EQ(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_notify),
        cmocka_unit_test(service_watchdog),
        cmocka_unit_test(service_listen_fds),
        cmocka_unit_test(service_adopts_only_what_listens),
    };

    return TEST_MAIN(tests);
}
