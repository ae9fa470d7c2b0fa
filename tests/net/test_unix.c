/* drivers: both */
/* test_unix.c - Unix sockets: names, and streams that are TCP's handles.
 *
 * Specifies unix.h: what a path may be and what stays of it, stale sockets, modes, who the peer is,
 * that net.h's functions work on what is opened here, that a full backlog makes a connect wait.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"
#include "os/os.h"

/* A fresh folder for each test; `path` receives a name in it. */
static char folder[64];

static char *in_folder(char *path, const char *name)
{
    snprintf(path, SKUA_ADDRESS_MAX, "%s/%s", folder, name);
    return path;
}

static void folder_open(void)
{
    snprintf(folder, sizeof folder, "/tmp/skua-unix-XXXXXX");
    MUST(mkdtemp(folder) != NULL);
}

static void folder_close(void)
{
    char path[SKUA_ADDRESS_MAX];
    static const char *const names[] = {"a", "b", "file", "link"};

    for (size_t i = 0; i < TEST_LEN(names); i++)
        (void)unlink(in_folder(path, names[i]));
    CHECK_EQ(rmdir(folder), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Both ends do with the connection what TCP's may. */
static void talk(skua_tcp *a, skua_tcp *b)
{
    skua_tcp *reader, *writer;
    char buf[8];

    CHECK_EQ(skua_tcp_write_all(a, "hello", 5), 5);
    CHECK_EQ(skua_tcp_read_exact(b, buf, 5), 5);
    CHECK(memcmp(buf, "hello", 5) == 0);
    CHECK_EQ(skua_tcp_try_read(b, buf, 5), -EAGAIN);
    CHECK_EQ(skua_tcp_read_until(b, buf, 5, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_tcp_write(b, "you", 3), 3);
    CHECK_EQ(skua_tcp_readable(a), 0);
    CHECK_EQ(skua_tcp_try_read(a, buf, 8), 3);
    CHECK_EQ(skua_tcp_split(a, &reader, &writer), 0);
    CHECK_EQ(skua_tcp_close(writer), 0); /* ends the stream to the peer */
    CHECK_EQ(skua_tcp_read(b, buf, 5), 0);
    CHECK_EQ(skua_tcp_write(b, "bye", 3), 3);
    CHECK_EQ(skua_tcp_read(reader, buf, 8), 3);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_tcp_read(reader, buf, 8), 0);
    CHECK_EQ(skua_tcp_close(reader), 0);
}

static void check_stream(const char *path)
{
    char text[SKUA_ADDRESS_MAX];
    skua_unix_credentials peer;
    skua_listener *listener;
    skua_tcp *client, *server;

    MUST(skua_unix_listen(&listener, path, NULL) == 0);
    CHECK_EQ(skua_listener_address(listener, text, sizeof text), 0);
    CHECK(strcmp(text, path) == 0);
    MUST(skua_unix_connect(&client, path) == 0);
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK_EQ(skua_tcp_peer_address(client, text, sizeof text), 0);
    CHECK(strcmp(text, path) == 0);
    CHECK_EQ(skua_tcp_peer_address(server, text, sizeof text), 0);
    CHECK_EQ(text[0], '\0'); /* the client has no name */
    CHECK_EQ(skua_unix_peer_credentials(client, &peer), 0);
    CHECK(peer.pid == getpid() && peer.uid == getuid() && peer.gid == getgid());
    CHECK_EQ(skua_unix_peer_credentials(server, &peer), 0);
    CHECK_EQ(peer.pid, getpid());
    CHECK_EQ(skua_tcp_set_nodelay(client, 1), -EOPNOTSUPP);
    talk(client, server);
    CHECK_EQ(skua_unix_peer_credentials(server, &peer), SKUA_ECLOSED);
    CHECK_EQ(skua_listener_close(listener), 0);
}

TEST_FIBER(unix_stream_by_path)
{
    char path[SKUA_ADDRESS_MAX];

    folder_open();
    check_stream(in_folder(path, "a"));
    CHECK(mode_of(path) != 0); /* it stays */
    folder_close();
    return 0;
}

TEST_FIBER(unix_stream_by_abstract_name)
{
    char name[SKUA_ADDRESS_MAX];

    snprintf(name, sizeof name, "@skua-test-%d", getpid());
    check_stream(name);
    check_stream(name); /* gone with its socket */
    return 0;
}

TEST(unix_stream_on_a_thread)
{
    char path[SKUA_ADDRESS_MAX];

    folder_open();
    check_stream(in_folder(path, "a"));
    folder_close();
}

static int echoes_stream(void *arg)
{
    char buf[3000];
    ssize_t n;

    while ((n = skua_tcp_read(arg, buf, sizeof buf)) > 0)
        if (skua_tcp_write_all(arg, buf, (size_t)n) < 0)
            break;
    CHECK_EQ(n, 0);
    return skua_tcp_close(arg);
}

static void *pours(void *arg)
{
    char buf[1700];

    for (size_t at = 0; at < 1700 * 300; at += sizeof buf) {
        test_pattern_fill(buf, sizeof buf, at);
        CHECK_EQ(skua_tcp_write_all(arg, buf, sizeof buf), sizeof buf);
    }
    CHECK_EQ(skua_tcp_shutdown(arg), 0);
    return NULL;
}

/* Much data, a thread that writes, fibers that echo and read: nothing is lost or out of order. */
TEST_FIBER(unix_pair_carries_much)
{
    skua_tcp *a, *b;
    pthread_t thread;
    size_t seen = 0;
    char buf[2500];
    ssize_t n;

    MUST(skua_unix_pair(&a, &b) == 0);
    MUST(skua_spawn(NULL, echoes_stream, b) == 0);
    MUST(pthread_create(&thread, NULL, pours, a) == 0);
    while ((n = skua_tcp_read(a, buf, sizeof buf)) > 0) {
        if (!CHECK(test_pattern_ok(buf, (size_t)n, seen)))
            break;
        seen += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(seen, 1700 * 300);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_tcp_close(a), 0);
    return 0;
}

static int connects_late(void *arg)
{
    skua_tcp *tcp = NULL;
    int rc;

    rc = skua_unix_connect(&tcp, arg);
    if (rc == 0)
        CHECK_EQ(skua_tcp_close(tcp), 0);
    return rc;
}

/* A full backlog: connecting waits, ends by deadline and by cancellation, and goes on. */
TEST_FIBER(unix_connect_waits_for_the_backlog)
{
    int fds = test_fd_count();
    char path[SKUA_ADDRESS_MAX];
    skua_tcp *clients[8], *tcp = NULL, *served;
    skua_listener *listener;
    skua_task *task;
    int64_t begin;
    int count = 0, rc, result;

    folder_open();
    in_folder(path, "a");
    MUST(skua_unix_listen(&listener, path, SKUA_UNIX_OPTIONS(.backlog = 1)) == 0);
    do { /* the first that has to wait is out of time */
        begin = skua_now();
        rc = skua_unix_connect_until(&tcp, path, begin + MS(10));
        if (rc == 0)
            clients[count++] = tcp;
    } while (rc == 0 && count < 8);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(count > 0 && skua_now() - begin >= MS(10));
    MUST(skua_spawn(NULL, connects_late, path, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    MUST(skua_spawn(NULL, connects_late, path, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_tcp_accept(listener, &served), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_tcp_close(served), 0);
    while (count > 0)
        CHECK_EQ(skua_tcp_close(clients[--count]), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    folder_close();
    skua_sleep(MS(5));
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

TEST(unix_stale_sockets)
{
    char path[SKUA_ADDRESS_MAX], other[SKUA_ADDRESS_MAX];
    const skua_unix_options *unlink_stale = SKUA_UNIX_OPTIONS(.unlink_stale = 1);
    skua_listener *listener, *second = NULL;
    skua_udp *udp;
    skua_tcp *tcp;
    FILE *file;

    folder_open();
    in_folder(path, "a");
    CHECK_EQ(skua_unix_listen(&listener, path, unlink_stale), 0);         /* nothing is there */
    CHECK_EQ(skua_unix_listen(&second, path, unlink_stale), -EADDRINUSE); /* it lives */
    CHECK_EQ(skua_unix_datagram_bind(&udp, path, unlink_stale), -EADDRINUSE);
    CHECK_EQ(skua_unix_connect(&tcp, path), 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_unix_connect(&tcp, path), -ECONNREFUSED);
    CHECK_EQ(skua_unix_listen(&second, path, NULL), -EADDRINUSE); /* not asked to */
    CHECK_EQ(skua_unix_listen(&listener, path, unlink_stale), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_unix_datagram_bind(&udp, path, unlink_stale), 0); /* of another kind */
    CHECK_EQ(skua_unix_connect(&tcp, path), -EPROTOTYPE);
    CHECK_EQ(skua_unix_listen(&second, path, unlink_stale), -EADDRINUSE);
    CHECK_EQ(skua_udp_close(udp), 0);
    in_folder(other, "file");
    file = fopen(other, "w");
    MUST(file != NULL && fclose(file) == 0);
    CHECK_EQ(skua_unix_listen(&second, other, unlink_stale), -EADDRINUSE); /* no socket */
    CHECK(mode_of(other) != 0);
    in_folder(other, "link");
    MUST(symlink(path, other) == 0);
    CHECK_EQ(skua_unix_listen(&second, other, unlink_stale), -EADDRINUSE); /* a link to one */
    CHECK(mode_of(path) != 0);
    CHECK(second == NULL);
    folder_close();
}

TEST(unix_names_that_are_none)
{
    char path[300], deep[SKUA_ADDRESS_MAX];
    skua_listener *listener = NULL;
    skua_tcp *tcp = NULL;
    skua_udp *udp = NULL;
    int fds = test_fd_count();

    folder_open();
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    CHECK_EQ(skua_unix_listen(&listener, path, NULL), -ENAMETOOLONG);
    CHECK_EQ(skua_unix_connect(&tcp, path), -ENAMETOOLONG);
    CHECK_EQ(skua_unix_datagram_bind(&udp, path, NULL), -ENAMETOOLONG);
    CHECK_EQ(skua_unix_listen(&listener, "", NULL), -EINVAL);
    CHECK_EQ(skua_unix_connect(&tcp, NULL), -EINVAL);
    CHECK_EQ(skua_unix_listen(&listener, in_folder(deep, "no/such"), NULL), -ENOENT);
    CHECK_EQ(skua_unix_connect(&tcp, in_folder(deep, "none")), -ENOENT);
    in_folder(deep, "a");
    CHECK_EQ(skua_unix_listen(&listener, deep, SKUA_UNIX_OPTIONS(.mode = 01000)), -EINVAL);
    CHECK_EQ(skua_unix_listen(&listener, deep, SKUA_UNIX_OPTIONS(.backlog = -1)), -EINVAL);
    CHECK_EQ(skua_unix_listen(&listener, deep, SKUA_UNIX_OPTIONS(.unlink_stale = 2)), -EINVAL);
    CHECK_EQ(skua_unix_listen(&listener, deep, &(skua_unix_options){.size = 3}), -EINVAL);
    CHECK(listener == NULL && tcp == NULL && udp == NULL);
    CHECK_EQ(mode_of(deep), 0); /* nothing was left */
    CHECK_EQ(test_fd_count(), fds);
    folder_close();
}

/* What a user may do who may not write there: root may everything, so a child gives that up. */
static int as_nobody(const char *path)
{
    char other[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *tcp;
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(2);
        if (skua_unix_connect(&tcp, path) != -EACCES)
            _exit(3);
        if (skua_unix_listen(&listener, path, SKUA_UNIX_OPTIONS(.unlink_stale = 1)) != -EADDRINUSE)
            _exit(4);
        _exit(skua_unix_listen(&listener, in_folder(other, "b"), NULL) == -EACCES ? 0 : 5);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(unix_mode_of_the_file)
{
    char path[SKUA_ADDRESS_MAX];
    mode_t before = umask(027);
    skua_listener *listener;

    folder_open();
    in_folder(path, "a");
    CHECK_EQ(skua_unix_listen(&listener, path, NULL), 0);
    CHECK_EQ(mode_of(path), 0750);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(skua_unix_listen(&listener, path, SKUA_UNIX_OPTIONS(.mode = 0666)), 0);
    CHECK_EQ(mode_of(path), 0666);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(skua_unix_listen(&listener, path, SKUA_UNIX_OPTIONS(.mode = 0400)), 0);
    CHECK_EQ(mode_of(path), 0400);
    MUST(chmod(folder, 0555) == 0);
    CHECK_EQ(as_nobody(path), 0);
    MUST(chmod(folder, 0700) == 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    umask(before);
    folder_close();
}

/* ---- failed ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS

static int makes_listener(const char *path)
{
    skua_listener *listener = (skua_listener *)8;
    int rc = skua_unix_listen(&listener, path, SKUA_UNIX_OPTIONS(.mode = 0600, .unlink_stale = 1));

    CHECK(rc == 0 || listener == (skua_listener *)8);
    if (rc == 0)
        CHECK(skua_listener_close(listener) == 0 && unlink(path) == 0);
    return rc;
}

/* Over a stale socket, which may stay when it fails. */
static int makes_over_stale(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)unlink(path);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    MUST(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    close(fd);
    return makes_listener(path);
}

static int makes_datagram(const char *path)
{
    skua_udp *udp = (skua_udp *)8;
    int rc = skua_unix_datagram_bind(&udp, path, SKUA_UNIX_OPTIONS(.mode = 0600));

    CHECK(rc == 0 || udp == (skua_udp *)8);
    if (rc == 0)
        CHECK(skua_udp_close(udp) == 0 && unlink(path) == 0);
    return rc;
}

static int makes_pair(const char *path)
{
    skua_tcp *a, *b = NULL;
    int rc = skua_unix_pair(&a, &b);

    (void)path;
    if (rc == 0)
        CHECK(skua_tcp_close(a) == 0 && skua_tcp_close(b) == 0);
    return rc;
}

static int makes_packet_pair(const char *path)
{
    skua_udp *a, *b = NULL;
    int rc = skua_unix_datagram_pair(&a, &b);

    (void)path;
    if (rc == 0)
        CHECK(skua_udp_close(a) == 0 && skua_udp_close(b) == 0);
    return rc;
}

/* Whatever fails, no descriptor and no file is left. */
TEST(unix_fails_cleanly)
{
    static int (*const makes[])(const char *path) = {makes_listener, makes_datagram, makes_pair,
                                                     makes_packet_pair, makes_over_stale};
    char path[SKUA_ADDRESS_MAX];
    skua_udp *held[2 * 64];
    int fds, rc;

    folder_open();
    in_folder(path, "a");
    for (size_t i = 0; i < TEST_LEN(held); i += 2) /* empties the free list */
        MUST(skua_unix_datagram_pair(&held[i], &held[i + 1]) == 0);
    fds = test_fd_count();
    for (size_t i = 0; i < TEST_LEN(makes); i++)
        for (int kind = 0; kind < 2; kind++)
            for (unsigned n = 1;; n++) {
                skua__fault_arm(kind ? SKUA__FAULT_SYSCALL : SKUA__FAULT_MALLOC, n, 1,
                                kind ? EMFILE : ENOMEM);
                rc = makes[i](path);
                skua__fault_arm(kind ? SKUA__FAULT_SYSCALL : SKUA__FAULT_MALLOC, 0, 0, 0);
                CHECK_EQ(test_fd_count(), fds);
                if (rc == 0)
                    break;
                CHECK_EQ(rc, kind ? -EMFILE : -ENOMEM);
                CHECK(makes[i] == makes_over_stale || mode_of(path) == 0);
            }
    for (size_t i = 0; i < TEST_LEN(held); i++)
        CHECK_EQ(skua_udp_close(held[i]), 0);
    folder_close();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_stream_by_path),
        cmocka_unit_test(unix_stream_by_abstract_name),
        cmocka_unit_test(unix_stream_on_a_thread),
        cmocka_unit_test(unix_pair_carries_much),
        cmocka_unit_test(unix_connect_waits_for_the_backlog),
        cmocka_unit_test(unix_stale_sockets),
        cmocka_unit_test(unix_names_that_are_none),
        cmocka_unit_test(unix_mode_of_the_file),
#ifdef SKUA_FAULTS
        cmocka_unit_test(unix_fails_cleanly),
#endif
    };

    return TEST_MAIN(tests);
}
