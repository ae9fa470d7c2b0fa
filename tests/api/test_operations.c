/* drivers: both */
/* test_operations.c - what listeners are told of the library's operations.
 *
 * Specifies BEGUN, ENDED and MOVED of probe.h: each operation by its name, with what it works on
 * and how it ended; each BEGUN has its ENDED on every way out: success, error, cancellation, a
 * deadline; bytes of sockets in every form of call; rooms are each listener's own.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <skua/probe.h>

#include "../lib/harness.h"
#include "../lib/sockets.h"

/* ---- a listener ------------------------------------------------------------------------------ */

struct seen {
    char name[32], target[256], peer[SKUA_ADDRESS_MAX];
    int begun, ended;
    int64_t bytes, number, queued;
    int result;
};

static struct {
    pthread_mutex_t mutex;
    struct seen ops[64];
    unsigned count;
    int64_t moved[8];
    int open, strange;
} told = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *const moves[8] = {"tcp.read",  "tcp.write",  "udp.recv",  "udp.send",
                                     "unix.read", "unix.write", "unix.recv", "unix.send"};

static struct seen *told_of(const char *name)
{
    for (unsigned i = 0; i < told.count; i++)
        if (strcmp(told.ops[i].name, name) == 0)
            return &told.ops[i];
    MUST(told.count < TEST_LEN(told.ops));
    (void)snprintf(told.ops[told.count].name, sizeof told.ops[0].name, "%s", name);
    return &told.ops[told.count++];
}

static void told_op(const skua_probe_event *event)
{
    skua_probe_op *op = event->op;
    struct seen *seen = told_of(op->name);
    bool begins = event->kind == SKUA_PROBE_BEGUN;

    seen->begun += begins;
    seen->ended += !begins;
    told.open += begins ? 1 : -1;
    told.strange += op->room[event->place] != (begins ? NULL : (void *)seen);
    op->room[event->place] = seen;
    if (op->target != NULL)
        (void)snprintf(seen->target, sizeof seen->target, "%s", op->target);
    if (begins)
        return;
    told.strange += op->end < op->start;
    (void)snprintf(seen->peer, sizeof seen->peer, "%s", op->peer != NULL ? op->peer : "");
    seen->bytes += op->bytes;
    seen->number = op->number;
    seen->queued = op->queued;
    seen->result = op->result;
}

static void told_event(const skua_probe_event *event, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&told.mutex);
    if (event->kind != SKUA_PROBE_MOVED)
        told_op(event);
    for (int i = 0; event->kind == SKUA_PROBE_MOVED && i < 8; i++)
        if (strcmp(moves[i], event->what) == 0)
            told.moved[i] += event->arg;
    pthread_mutex_unlock(&told.mutex);
}

#define OPERATIONS (SKUA_PROBE_BIT(SKUA_PROBE_BEGUN) | SKUA_PROBE_BIT(SKUA_PROBE_ENDED))

static const skua_probe_listener listener = {.size = sizeof listener,
                                             .kinds = OPERATIONS | SKUA_PROBE_BIT(SKUA_PROBE_MOVED),
                                             .event = told_event};

static void listen_on(void)
{
    told.count = 0;
    told.open = told.strange = 0;
    memset(told.ops, 0, sizeof told.ops);
    memset(told.moved, 0, sizeof told.moved);
    MUST(skua_probe_attach(&listener) == 0);
}

/* Of one's own, which nobody else does meanwhile. */
static struct seen last(const char *name)
{
    struct seen seen;

    pthread_mutex_lock(&told.mutex);
    seen = *told_of(name);
    pthread_mutex_unlock(&told.mutex);
    return seen;
}

static int64_t moved(const char *what)
{
    int64_t bytes = 0;

    pthread_mutex_lock(&told.mutex);
    for (int i = 0; i < 8; i++)
        if (strcmp(moves[i], what) == 0)
            bytes = told.moved[i];
    pthread_mutex_unlock(&told.mutex);
    return bytes;
}

static void listen_off(void)
{
    MUST(skua_probe_detach(&listener) == 0);
    CHECK_EQ(told.open, 0);
    CHECK_EQ(told.strange, 0);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int accepts(void *arg)
{
    skua_tcp *tcp;
    int rc = skua_tcp_accept(arg, &tcp);

    return rc == 0 ? skua_tcp_close(tcp) : rc;
}

TEST_FIBER(connections_are_told)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *at = test_listen(address);
    skua_task *task;
    skua_tcp *tcp;
    int result;

    listen_on();
    MUST(skua_spawn(NULL, accepts, at, .task = &task) == 0);
    CHECK_EQ(skua_tcp_connect(&tcp, address, NULL), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(last("tcp.connect").result, 0);
    CHECK(strcmp(last("tcp.connect").target, address) == 0);
    CHECK(strcmp(last("tcp.connect").peer, address) == 0);
    CHECK(strncmp(last("tcp.accept").peer, "127.0.0.1:", 10) == 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_EQ(skua_listener_close(at), 0);
    CHECK_EQ(skua_tcp_connect(&tcp, address, NULL), -ECONNREFUSED);
    CHECK_EQ(last("tcp.connect").result, -ECONNREFUSED);
    CHECK_EQ(skua_tcp_accept(at, &tcp), SKUA_ECLOSED);
    CHECK_EQ(last("tcp.accept").result, SKUA_ECLOSED);
    CHECK_EQ(skua_unix_connect(&tcp, "/nowhere/at/all"), -ENOENT);
    CHECK_EQ(last("unix.connect").result, -ENOENT);
    CHECK(strcmp(last("unix.connect").target, "/nowhere/at/all") == 0);
    listen_off();
    return 0;
}

/* Reads and writes, whatever they are called by, and what comes by a future of a poll task. */
TEST_FIBER(bytes_of_sockets_are_told)
{
    char buf[64] = "0123456789";
    struct iovec iov[2] = {{buf, 3}, {buf, 4}};
    skua_tcp_future read;
    skua_tcp *a, *b;
    skua_udp *c, *d;

    test_tcp_pair(&a, &b);
    listen_on();
    CHECK_EQ(skua_tcp_write(a, buf, 10), 10);
    CHECK_EQ(skua_tcp_read_exact(b, buf, 4), 4);
    CHECK_EQ(skua_await(skua_tcp_read_init(&read, b, buf, 2)), 2);
    CHECK_EQ(skua_tcp_try_read(b, buf, 4), 4);
    CHECK_EQ(skua_tcp_try_read(b, buf, 4), -EAGAIN);
    CHECK_EQ(skua_tcp_writev(a, iov, 2), 7);
    CHECK_EQ(moved("tcp.write"), 17);
    CHECK_EQ(moved("tcp.read"), 10);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_read(b, buf, sizeof buf), 7);
    CHECK_EQ(skua_tcp_read(b, buf, sizeof buf), 0);
    CHECK_EQ(moved("tcp.read"), 17);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_unix_pair(&a, &b), 0);
    CHECK_EQ(skua_tcp_write(a, buf, 5), 5);
    CHECK_EQ(skua_tcp_read(b, buf, sizeof buf), 5);
    CHECK_EQ(moved("unix.write"), 5);
    CHECK_EQ(moved("unix.read"), 5);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_unix_datagram_pair(&c, &d), 0);
    CHECK_EQ(skua_udp_send(c, buf, 6), 6);
    CHECK_EQ(skua_udp_recv(d, buf, sizeof buf), 6);
    CHECK_EQ(moved("unix.send"), 6);
    CHECK_EQ(moved("unix.recv"), 6);
    CHECK_EQ(skua_udp_close(c), 0);
    CHECK_EQ(skua_udp_close(d), 0);
    CHECK_EQ(told.count, 0); /* none of them is an operation */
    listen_off();
    return 0;
}

TEST_FIBER(datagrams_are_told)
{
    char buf[64] = "0123456789";
    skua_udp_message many[2] = {{.buf = buf, .len = 3}, {.buf = buf, .len = 4}};
    skua_address at;
    skua_udp *c, *d;

    MUST(skua_udp_bind(&c, "127.0.0.1:0", NULL) == 0 &&
         skua_udp_bind(&d, "127.0.0.1:0", NULL) == 0);
    MUST(skua_udp_local_address(d, &at) == 0 && skua_udp_connect(c, &at) == 0);
    listen_on();
    CHECK_EQ(skua_udp_send(c, buf, 10), 10);
    CHECK_EQ(skua_udp_recv(d, buf, sizeof buf), 10);
    CHECK_EQ(skua_udp_send_many(c, many, 2), 2);
    CHECK_EQ(skua_udp_recv(d, buf, sizeof buf), 3);
    CHECK_EQ(skua_udp_peek_from(d, buf, sizeof buf, NULL), 4); /* it stays there */
    CHECK_EQ(skua_udp_recv(d, buf, sizeof buf), 4);
    CHECK_EQ(moved("udp.send"), 17);
    CHECK_EQ(moved("udp.recv"), 17);
    CHECK_EQ(skua_udp_close(c), 0);
    CHECK_EQ(skua_udp_close(d), 0);
    listen_off();
    return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int finds(skua_resolver *resolver, const skua_query *query, skua_addresses *ret)
{
    skua_address address;

    (void)resolver;
    if (strcmp(query->host, "missing.name") == 0)
        return -ENOENT;
    if (strcmp(query->host, "slow.name") == 0)
        return test_fiber_forever(NULL);
    MUST(skua_address_parse(&address, "127.0.0.1:1") == 0);
    return skua_addresses_add(ret, &address);
}

static const skua_resolver_ops finds_ops = {.name = "test", .resolve = finds};
static skua_resolver resolver = {.ops = &finds_ops};

TEST_FIBER(lookups_are_told)
{
    skua_resolve_options options = {.size = sizeof options, .resolver = &resolver};
    skua_addresses found = SKUA_ADDRESSES_INIT;

    listen_on();
    CHECK_EQ(skua_resolve(&found, "127.0.0.1:80", &options), 0); /* nobody is asked */
    skua_addresses_free(&found);
    CHECK_EQ(last("dns.lookup").begun, 0);
    CHECK_EQ(skua_resolve(&found, "some.name:80", &options), 0);
    skua_addresses_free(&found);
    CHECK_EQ(last("dns.lookup").result, 1);
    CHECK(strcmp(last("dns.lookup").target, "some.name") == 0);
    CHECK_EQ(skua_resolve(&found, "missing.name", &options), -ENOENT);
    CHECK_EQ(last("dns.lookup").result, -ENOENT);
    options.deadline = skua_now() + MS(1);
    CHECK_EQ(skua_resolve(&found, "slow.name", &options), -ETIMEDOUT);
    CHECK_EQ(last("dns.lookup").result, -ETIMEDOUT);
    listen_off();
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

TEST_FIBER(files_are_told)
{
    char dir_name[64], path[128], moved_to[140], *data, buf[16];
    skua_file *file;

    (void)snprintf(dir_name, sizeof dir_name, "/tmp/skua-operations-%d", (int)getpid());
    (void)snprintf(path, sizeof path, "%s/file", dir_name);
    (void)snprintf(moved_to, sizeof moved_to, "%s.2", path);
    (void)skua_fs_remove_all(dir_name);
    listen_on();
    CHECK_EQ(skua_fs_mkdir_all(dir_name, 0), 0);
    CHECK(strcmp(last("fs.mkdir").target, dir_name) == 0);
    CHECK_EQ(skua_file_open(&file, path, SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)), 0);
    CHECK(strcmp(last("file.open").target, path) == 0);
    CHECK_EQ(last("file.open").result, 0);
    CHECK_EQ(skua_file_write_all(file, "0123456789", 10), 10);
    CHECK_EQ(skua_file_pwrite(file, "ab", 2, 0), 2);
    CHECK_EQ(skua_file_pread(file, buf, sizeof buf, 4), 6);
    CHECK_EQ(skua_file_seek(file, 1, SKUA_SEEK_START), 1);
    CHECK_EQ(skua_file_read_to_end(file, (void **)&data, SIZE_MAX), 9);
    free(data);
    CHECK_EQ(last("file.write").bytes, 12);
    CHECK_EQ(last("file.read").bytes, 15);
    CHECK_EQ(skua_file_read_exact(file, buf, 1), SKUA_EEOF);
    CHECK_EQ(last("file.read").result, SKUA_EEOF);
    CHECK_EQ(skua_file_sync(file), 0);
    CHECK_EQ(skua_file_truncate(file, 3), 0);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(skua_file_close(file), -EBADF);
    CHECK_EQ(last("file.sync").ended, 1);
    CHECK_EQ(last("file.truncate").ended, 1);
    CHECK_EQ(last("file.close").ended, 2);
    CHECK_EQ(skua_file_open(&file, "/nowhere/at/all", NULL), -ENOENT);
    CHECK_EQ(last("file.open").result, -ENOENT);
    CHECK_EQ(skua_fs_write_atomic(path, "xyz", 3, 0), 0);
    CHECK_EQ(last("fs.write").bytes, 3);
    CHECK_EQ(skua_fs_read(path, (void **)&data, SIZE_MAX), 3);
    free(data);
    CHECK_EQ(last("fs.read").bytes, 3);
    CHECK_EQ(skua_fs_copy(path, moved_to), 3);
    CHECK_EQ(last("fs.copy").bytes, 3);
    CHECK_EQ(skua_fs_remove(path), 0);
    CHECK_EQ(skua_fs_exists(path), 0);
    CHECK_EQ(last("fs.stat").result, -ENOENT);
    CHECK_EQ(skua_fs_remove_all(dir_name), 0);
    CHECK(strcmp(last("fs.remove_all").target, dir_name) == 0);
    CHECK_EQ(last("blocking.run").begun, 0); /* their jobs are not the user's */
    listen_off();
    return 0;
}

/* A lock is one operation, however often it is tried for. */
TEST_FIBER(locks_are_told_once)
{
    skua_file *one, *other;
    char path[64];

    (void)snprintf(path, sizeof path, "/tmp/skua-operations-lock-%d", (int)getpid());
    MUST(skua_file_open(&one, path, SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)) == 0);
    MUST(skua_file_open(&other, path, SKUA_FILE_OPTIONS(.read = 1, .write = 1)) == 0);
    MUST(skua_file_lock(one, SKUA_FILE_EXCLUSIVE) == 0);
    listen_on();
    CHECK_EQ(skua_file_lock_until(other, SKUA_FILE_SHARED, skua_now() + MS(20)), -ETIMEDOUT);
    CHECK_EQ(last("file.lock").ended, 1);
    CHECK_EQ(last("file.lock").result, -ETIMEDOUT);
    CHECK_EQ(skua_file_try_lock(other, SKUA_FILE_SHARED), -EBUSY);
    CHECK_EQ(last("file.lock").ended, 2);
    CHECK_EQ(last("file.lock").result, -EBUSY);
    CHECK_EQ(skua_file_unlock(one), 0);
    CHECK_EQ(skua_file_lock(other, SKUA_FILE_SHARED), 0);
    CHECK_EQ(last("file.lock").ended, 3);
    CHECK_EQ(last("file.lock").result, 0);
    listen_off();
    CHECK_EQ(skua_file_close(one), 0);
    CHECK_EQ(skua_file_close(other), 0);
    CHECK_EQ(skua_fs_remove(path), 0);
    return 0;
}

/* ---- processes and jobs ---------------------------------------------------------------------- */

static int run(const char *program, const char *script, int signal)
{
    const char *argv[] = {program, "-c", script, NULL};
    skua_process_status status = {0};
    skua_process *process;
    int rc = skua_process_spawn(&process, argv);

    if (rc != 0)
        return rc;
    if (signal != 0)
        CHECK_EQ(skua_process_signal(process, signal), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK(last("process.run").number == skua_process_id(process) || last("process.run").begun == 0);
    CHECK_EQ(skua_process_close(process), 0);
    return status.code;
}

TEST_FIBER(runs_are_told)
{
    listen_on();
    CHECK_EQ(run("/bin/sh", "exit 3", 0), 3);
    CHECK_EQ(last("process.run").result, 3);
    CHECK(strcmp(last("process.run").target, "/bin/sh") == 0);
    CHECK_EQ(run("/bin/sh", "exec sleep 60", SIGKILL), -1);
    CHECK_EQ(last("process.run").result, 128 + SIGKILL);
    CHECK_EQ(run("/nowhere/at/all", "", 0), -ENOENT);
    CHECK_EQ(last("process.run").result, -ENOENT);
    CHECK_EQ(last("process.run").ended, 3);
    CHECK_EQ(last("blocking.run").begun, 0);
    listen_off();
    return 0;
}

static int runs_unseen(void *arg)
{
    (void)arg;
    return run("/bin/sh", "exit 3", 0);
}

/* Neither the one nor the other, though the end is on a thread that is nobody's. */
TEST(runs_of_the_unseen_are_not_told)
{
    listen_on();
    CHECK_EQ(skua_main(runs_unseen, NULL, SKUA_RUNTIME_OPTIONS(.unseen = 1)), 0);
    CHECK_EQ(last("process.run").begun, 0);
    CHECK_EQ(last("process.run").ended, 0);
    listen_off();
}

static atomic_int job_runs, job_may_end;

static int job(void *arg)
{
    (void)arg;
    atomic_store(&job_runs, 1);
    while (!atomic_load(&job_may_end))
        test_thread_sleep(MS(1));
    return 5;
}

static int asks_for_job(void *arg)
{
    (void)arg;
    return skua_blocking(job, NULL);
}

TEST_FIBER(jobs_are_told)
{
    skua_task *task;
    int result;

    listen_on();
    atomic_store(&job_may_end, 1);
    CHECK_EQ(asks_for_job(NULL), 5);
    CHECK_EQ(last("blocking.run").result, 5);
    CHECK_RANGE(last("blocking.run").queued, 0, 10 * TEST_LATE);
    /* One that runs is waited for, and its answer counts. */
    atomic_store(&job_may_end, 0);
    atomic_store(&job_runs, 0);
    MUST(skua_spawn(NULL, asks_for_job, NULL, .task = &task) == 0);
    test_yield_until(&job_runs);
    CHECK_EQ(skua_task_cancel(task), 0);
    atomic_store(&job_may_end, 1);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(last("blocking.run").ended, 2);
    CHECK_EQ(last("blocking.run").result, result);
    listen_off();
    return 0;
}

/* ---- cancelled in the middle ----------------------------------------------------------------- */

static int connects_slowly(void *arg)
{
    const skua_connect_options options = {.size = sizeof options, .resolver = &resolver};
    skua_tcp *tcp;

    (void)arg;
    return skua_tcp_connect(&tcp, "slow.name:80", &options);
}

/* In the middle, and before it begins. */
TEST_FIBER(what_is_cancelled_ends)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *at = test_listen(address);
    skua_task *tasks[2];
    int result;

    for (int early = 0; early < 2; early++) {
        listen_on();
        MUST(skua_spawn(NULL, accepts, at, .task = &tasks[0]) == 0);
        MUST(skua_spawn(NULL, connects_slowly, NULL, .task = &tasks[1]) == 0);
        while (!early && (last("tcp.accept").begun == 0 || last("dns.lookup").begun == 0))
            CHECK_EQ(skua_yield(), 0);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(skua_task_cancel(tasks[i]), 0);
            CHECK_EQ(skua_task_join(tasks[i], &result), 0);
            CHECK_EQ(result, -ECANCELED);
        }
        if (!early) {
            CHECK_EQ(last("tcp.accept").result, -ECANCELED);
            CHECK_EQ(last("tcp.connect").result, -ECANCELED);
            CHECK_EQ(last("dns.lookup").result, -ECANCELED);
        }
        listen_off();
    }
    CHECK_EQ(skua_listener_close(at), 0);
    return 0;
}

/* ---- rooms ----------------------------------------------------------------------------------- */

static int mark;
static void *room_at_end = &mark;

static void leaves_a_mark(const skua_probe_event *event, void *arg)
{
    (void)arg;
    if (event->kind == SKUA_PROBE_BEGUN)
        event->op->room[event->place] = &mark;
    else
        room_at_end = event->op->room[event->place];
}

static const skua_probe_listener first = {
    .size = sizeof first, .kinds = OPERATIONS, .event = leaves_a_mark};
static const skua_probe_listener second = {
    .size = sizeof second, .kinds = OPERATIONS, .event = leaves_a_mark};

static int changes_listeners(void *arg)
{
    if (arg != NULL) {
        MUST(skua_probe_detach(&first) == 0);
        MUST(skua_probe_attach(&second) == 0);
    }
    return 0;
}

TEST(rooms_are_ones_own)
{
    MUST(skua_probe_attach(&first) == 0);
    CHECK_EQ(skua_blocking(changes_listeners, NULL), 0);
    CHECK(room_at_end == &mark);
    CHECK_EQ(skua_blocking(changes_listeners, &mark), 0);
    CHECK(room_at_end == NULL); /* it has the place of the first, and not what was left there */
    MUST(skua_probe_detach(&second) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_told), cmocka_unit_test(bytes_of_sockets_are_told),
        cmocka_unit_test(datagrams_are_told),   cmocka_unit_test(lookups_are_told),
        cmocka_unit_test(files_are_told),       cmocka_unit_test(locks_are_told_once),
        cmocka_unit_test(runs_are_told),        cmocka_unit_test(runs_of_the_unseen_are_not_told),
        cmocka_unit_test(jobs_are_told),        cmocka_unit_test(what_is_cancelled_ends),
        cmocka_unit_test(rooms_are_ones_own),
    };

    return TEST_MAIN(tests);
}
