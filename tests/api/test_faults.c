/* drivers: both */
/* test_faults.c - what fails cleanly: each allocation, mapping, thread and system call in turn.
 *
 * Specifies that a failing resource gives an error and nothing else: for n = 1, 2, ... the nth call
 * of a kind fails (os/os.h, SKUA_FAULTS) until an operation passes unharmed. Each time the error is
 * the injected one or a documented one, nothing leaks (descriptors, threads; memory under ASan),
 * and the next try works.
 */
#include "../lib/event.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

#ifndef SKUA_FAULTS

int main(void)
{
    fprintf(stderr, "skipped: built without SKUA_FAULTS\n");
    return 77;
}

#else

#include "os/os.h"

#define ROUNDS_MAX 400

static const struct fault_kind {
    enum skua__fault kind;
    int error;
    const char *name;
} fault_kinds[] = {
    {SKUA__FAULT_MALLOC, ENOMEM, "malloc"},
    {SKUA__FAULT_MMAP, ENOMEM, "mmap"},
    {SKUA__FAULT_THREAD, EAGAIN, "thread"},
    {SKUA__FAULT_SYSCALL, EMFILE, "syscall"},
};

struct fault_walk {
    const struct fault_kind *fault;
    unsigned n;     /* the first call that fails */
    unsigned count; /* and how many fail from there on */
    unsigned calls; /* how many there were */
    bool clean;     /* it passed without having met the fault */
    bool failed;    /* it said an error */
    atomic_int ran;
};

static void arm(const struct fault_walk *walk)
{
    skua__fault_arm(walk->fault->kind, walk->n, walk->count, walk->fault->error);
}

static void disarm(struct fault_walk *walk)
{
    walk->calls = skua__fault_calls(walk->fault->kind);
    skua__fault_arm(walk->fault->kind, 0, 0, 0);
    walk->clean = walk->calls < walk->n;
}

/* Whether an operation's answer is one that a fault may cause. */
static bool fair(struct fault_walk *walk, int64_t rc)
{
    if (rc < 0)
        walk->failed = true;
    if (rc >= 0 || rc == -walk->fault->error || rc == -ENOMEM)
        return true;
    CHECK_EQ(rc, -walk->fault->error);
    return false;
}

/* One operation, once: what it leaves behind is compared with what was there before. */
static void walk_once(const char *what, struct fault_walk *walk,
                      void (*operation)(struct fault_walk *walk, void *arg), void *arg)
{
    int threads = test_thread_count(), fds = test_fd_count();

    walk->clean = walk->failed = false;
    operation(walk, arg);
    if (!CHECK_EQ(test_fd_count(), fds) || !CHECK_EQ(test_thread_settle(threads), threads))
        test_note("%s: %s fault %u (of %u) leaks", what, walk->fault->name, walk->n, walk->count);
    CHECK(!(walk->clean && walk->failed));
}

/* Walks every n of every kind through `operation`, which arms, disarms and cleans up: once with
 * one failure, once with nothing but failures from there on. */
static void walk_faults(const char *what, void (*operation)(struct fault_walk *walk, void *arg),
                        void *arg)
{
    static const unsigned counts[] = {1, 1000000};

    test_limit(60);
    for (size_t k = 0; k < TEST_LEN(fault_kinds); k++)
        for (size_t c = 0; c < TEST_LEN(counts); c++) {
            struct fault_walk walk = {.fault = &fault_kinds[k], .count = counts[c]};
            unsigned errors = 0;

            test_variant(fault_kinds[k].name);
            for (walk.n = 1; walk.n < ROUNDS_MAX && !walk.clean; walk.n++) {
                walk_once(what, &walk, operation, arg);
                errors += walk.failed;
            }
            CHECK(walk.clean);
            test_note("%s, %s%s: %u places, %u errors", what, fault_kinds[k].name,
                      c ? ", for good" : "", walk.n - 2, errors);
        }
}

/* ---- runtimes -------------------------------------------------------------------------------- */

static void make_runtime(struct fault_walk *walk, void *arg)
{
    skua_runtime *untouched = (skua_runtime *)8, *runtime = untouched;
    const skua_runtime_options *options = arg;
    int rc, result = 0;

    arm(walk);
    rc = skua_runtime_new(&runtime, options);
    disarm(walk);
    fair(walk, rc);
    if (rc < 0) {
        CHECK(runtime == untouched);
        return;
    }
    CHECK_EQ(skua_block_on(runtime, test_fiber_return, (void *)3, &result), 0);
    CHECK_EQ(result, 3);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

static void warm_up(void)
{
    struct fault_walk walk = {.fault = &fault_kinds[0], .count = 1};

    make_runtime(&walk, (void *)SKUA_RUNTIME_OPTIONS(.workers = 2));
    make_runtime(&walk, (void *)SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
}

TEST(faults_in_runtime_new)
{
    warm_up();
    walk_faults("runtime of the current thread", make_runtime,
                (void *)SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
    walk_faults("runtime of two workers", make_runtime,
                (void *)SKUA_RUNTIME_OPTIONS(.workers = 2, .name = "faulty"));
}

/* ---- block_on, spawn and the first start ----------------------------------------------------- */

static void block_once(struct fault_walk *walk, void *arg)
{
    skua_runtime *runtime;
    int rc, result = 77;

    MUST(skua_runtime_new(&runtime, arg) == 0);
    arm(walk);
    rc = skua_block_on(runtime, test_fiber_return, (void *)3, &result);
    disarm(walk);
    fair(walk, rc);
    CHECK(rc == 0 || result == 77);
    CHECK(rc < 0 || result == 3 || result == -walk->fault->error);
    CHECK_EQ(skua_block_on(runtime, test_fiber_return, (void *)3, &result), 0);
    CHECK_EQ(result, 3);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(faults_in_block_on)
{
    warm_up();
    walk_faults("block_on", block_once, (void *)SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
}

static int runs(void *arg)
{
    struct fault_walk *walk = arg;

    atomic_fetch_add(&walk->ran, 1);
    return 0;
}

struct polled_state {
    struct fault_walk *walk;
    char room[1000];
};

static skua_poll polled(void *state, skua_waker *waker)
{
    (void)waker;
    atomic_fetch_add(&((struct polled_state *)state)->walk->ran, 1);
    return 0;
}

enum { SPAWNS = 24 };

/* What could be spawned runs, or ends with the fault's error without having run. */
static void end_spawns(struct fault_walk *walk, skua_task **tasks)
{
    int ended = 0;

    for (int i = 0; i < SPAWNS; i++) {
        int result = 77;

        if (!tasks[i])
            continue;
        CHECK_EQ(skua_task_join(tasks[i], &result), 0);
        ended += result == 0;
        if (result != 0) {
            fair(walk, result);
            walk->failed = true;
        }
    }
    CHECK_EQ(atomic_load(&walk->ran), ended);
}

static int spawns_fibers(void *arg)
{
    struct fault_walk *walk = arg;
    skua_task *tasks[SPAWNS] = {NULL};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    atomic_store(&walk->ran, 0);
    arm(walk);
    for (int i = 0; i < SPAWNS; i++)
        fair(walk, skua_spawn(&scope, runs, walk, .task = &tasks[i],
                              .stack = i & 1 ? SKUA_STACK_LARGE : SKUA_STACK_DEFAULT));
    end_spawns(walk, tasks);
    disarm(walk);
    skua_scope_join(&scope);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, runs, walk), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static int spawns_poll_tasks(void *arg)
{
    struct fault_walk *walk = arg;
    struct polled_state state = {.walk = walk};
    skua_task *tasks[SPAWNS] = {NULL};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    atomic_store(&walk->ran, 0);
    arm(walk);
    for (int i = 0; i < SPAWNS; i++)
        fair(walk, skua_spawn_poll(&scope, polled, &state, .task = &tasks[i]));
    end_spawns(walk, tasks);
    disarm(walk);
    skua_scope_join(&scope);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn_poll(&scope, polled, &state), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* Runs a fiber that arms by itself on a fresh current-thread runtime: nobody else meets faults. */
static void in_fresh_runtime(struct fault_walk *walk, void *arg)
{
    skua_fiber_fn *fn = arg;
    skua_runtime *runtime;
    int result = -1;

    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)) == 0);
    CHECK_EQ(skua_block_on(runtime, *fn, walk, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(faults_in_spawn)
{
    skua_fiber_fn fibers = spawns_fibers, polls = spawns_poll_tasks;

    warm_up();
    walk_faults("fibers", in_fresh_runtime, &fibers);
    walk_faults("poll tasks", in_fresh_runtime, &polls);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static const skua_local_key fault_key = {"fault", NULL, NULL};

static int begins_contexts(void *arg)
{
    struct fault_walk *walk = arg;
    int64_t far = skua_now() + SKUA_HOUR;
    skua_deadline deadline;
    skua_local local;
    int rc;

    arm(walk);
    rc = skua_deadline_begin(&deadline, far);
    fair(walk, rc);
    CHECK_EQ(skua_deadline_current(), rc == 0 ? far : SKUA_FOREVER);
    rc = skua_local_begin(&local, &fault_key, walk);
    fair(walk, rc);
    CHECK(skua_local_get(&fault_key) == (rc == 0 ? walk : NULL));
    disarm(walk);
    CHECK_EQ(skua_local_end(&local), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    CHECK(skua_local_get(&fault_key) == NULL);
    return 0;
}

TEST(faults_in_contexts)
{
    skua_fiber_fn fn = begins_contexts;

    warm_up();
    walk_faults("deadline and local", in_fresh_runtime, &fn);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int listens(void *arg)
{
    struct fault_walk *walk = arg;
    skua_listener *untouched = (skua_listener *)8, *listener = untouched;
    int rc;

    arm(walk);
    rc = skua_tcp_listen(&listener, "127.0.0.1:0", NULL);
    disarm(walk);
    fair(walk, rc);
    if (rc == 0)
        CHECK_EQ(skua_listener_close(listener), 0);
    else
        CHECK(listener == untouched);
    CHECK_EQ(skua_tcp_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

static int connects(void *arg)
{
    struct fault_walk *walk = arg;
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *untouched = (skua_tcp *)8, *tcp = untouched;
    int rc;

    arm(walk);
    rc = skua_tcp_connect(&tcp, address, NULL);
    disarm(walk);
    fair(walk, rc);
    if (rc == 0)
        CHECK_EQ(skua_tcp_close(tcp), 0);
    else
        CHECK(tcp == untouched);
    CHECK_EQ(skua_tcp_connect(&tcp, address, NULL), 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

static int accept_one(void *arg)
{
    struct fault_walk *walk = arg;
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *client = NULL, *server = NULL;
    int rc;

    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    arm(walk);
    rc = skua_tcp_accept_until(listener, &server,
                               skua_now() + (walk->count > 1 ? MS(30) : 5 * SKUA_SECOND));
    disarm(walk);
    if (walk->count == 1 || rc != -ETIMEDOUT) /* it backs off for ever */
        fair(walk, rc);
    if (rc < 0) {
        CHECK(server == NULL);
        rc = skua_tcp_accept_until(listener, &server, skua_now() + SKUA_SECOND);
        CHECK_EQ(rc, 0); /* the connection is not lost */
    }
    CHECK_EQ(skua_tcp_close(server), 0); /* NULL does nothing */
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

static int writes_later(void *arg)
{
    skua_sleep(MS(2));
    return (int)skua_tcp_write(arg, "x", 1) == 1 ? 0 : -EIO;
}

/* A read that parks: what it registers with the driver may fail, too. */
static int reads_and_splits(void *arg)
{
    struct fault_walk *walk = arg;
    skua_tcp *a, *b, *reader = NULL, *writer = NULL;
    skua_scope scope;
    char byte = 0;
    int64_t n;
    int rc;

    test_tcp_pair(&a, &b);
    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, writes_later, b) == 0);
    arm(walk);
    n = skua_tcp_read_until(a, &byte, 1, skua_now() + 2 * SKUA_SECOND);
    rc = skua_tcp_split(b, &reader, &writer);
    disarm(walk);
    fair(walk, n);
    fair(walk, rc);
    skua_scope_join(&scope);
    CHECK(n < 0 || (n == 1 && byte == 'x'));
    if (rc == 0) {
        CHECK_EQ(skua_tcp_close(reader), 0);
        CHECK_EQ(skua_tcp_close(writer), 0);
    } else {
        CHECK(reader == NULL && writer == NULL);
        CHECK_EQ(skua_tcp_close(b), 0);
    }
    CHECK_EQ(skua_tcp_close(a), 0);
    return 0;
}

TEST(faults_in_sockets)
{
    skua_fiber_fn fns[] = {listens, connects, accept_one, reads_and_splits};

    warm_up();
    walk_faults("listen", in_fresh_runtime, &fns[0]);
    walk_faults("connect", in_fresh_runtime, &fns[1]);
    walk_faults("accept", in_fresh_runtime, &fns[2]);
    walk_faults("read and split", in_fresh_runtime, &fns[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_in_runtime_new), cmocka_unit_test(faults_in_block_on),
        cmocka_unit_test(faults_in_spawn),       cmocka_unit_test(faults_in_contexts),
        cmocka_unit_test(faults_in_sockets),
    };

    return TEST_MAIN(tests);
}

#endif
