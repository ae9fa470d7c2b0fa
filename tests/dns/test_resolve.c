/* test_resolve.c - names of hosts to addresses.
 *
 * Specifies resolve.h: what is an address, what a name and what neither; the system's resolver on
 * the blocking pool, with its errors; cancellations and deadlines that do not wait for it;
 * resolvers of one's own, on fibers, poll tasks and plain threads.
 */
#include "names.h"

#include "event.h"
#include "part.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* What was found as a string: "127.0.0.1:80 [::1]:80". */
static const char *told(const skua_addresses *found)
{
    static _Thread_local char text[512];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < found->count; i++) {
        MUST(at < 300);
        if (i > 0)
            text[at++] = ' ';
        MUST(skua_address_format(&found->all[i], text + at, sizeof text - at) == 0);
        at += strlen(text + at);
    }
    return text;
}

static bool resolves(const char *name, const skua_resolve_options *options, const char *wanted)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    int rc = skua_resolve(&found, name, options);
    bool ok = rc == 0 && strcmp(told(&found), wanted) == 0;

    if (!ok)
        test_note("\"%s\": %s, \"%s\"", name, skua_error_name(rc), told(&found));
    skua_addresses_free(&found);
    return ok;
}

static int fails(const char *name, const skua_resolve_options *options)
{
    const skua_addresses untouched = {(skua_address *)8, 9, 10};
    skua_addresses found = untouched;
    int rc = skua_resolve(&found, name, options);

    CHECK(memcmp(&found, &untouched, sizeof found) == 0);
    return rc;
}

/* ---- texts ----------------------------------------------------------------------------------- */

TEST_WAITING(addresses_are_answered_at_once)
{
    const skua_resolve_options numeric = {.size = sizeof numeric, .port = 9, .numeric = 1};

    CHECK(resolves("127.0.0.1:80", NULL, "127.0.0.1:80"));
    CHECK(resolves("127.0.0.1", NULL, "127.0.0.1:0"));
    CHECK(resolves("127.0.0.1", &numeric, "127.0.0.1:9"));
    CHECK(resolves("127.0.0.1:80", &numeric, "127.0.0.1:80"));
    CHECK(resolves("[::1]:80", NULL, "[::1]:80"));
    CHECK(resolves("[::1]", &numeric, "[::1]:9"));
    CHECK(resolves("::1", &numeric, "[::1]:9"));
    CHECK(resolves("2001:db8::7", &numeric, "[2001:db8::7]:9"));
    CHECK(resolves("/run/x.sock", &numeric, "/run/x.sock"));
    CHECK(resolves("localhost:80", NULL, "127.0.0.1:80 [::1]:80"));
    CHECK(resolves("LocalHost.", &numeric, "127.0.0.1:9 [::1]:9"));
    CHECK(resolves("localhost", SKUA_RESOLVE_OPTIONS(.family = SKUA_ADDRESS_V6), "[::1]:0"));
    CHECK(resolves("localhost", SKUA_RESOLVE_OPTIONS(.max = 1), "127.0.0.1:0"));
    CHECK_EQ(fails("127.0.0.1", SKUA_RESOLVE_OPTIONS(.family = SKUA_ADDRESS_V6)), -ENOENT);
}

TEST_WAITING(texts_that_are_no_names)
{
    static const char *const wrong[] = {
        "",       "a..b",  "a b",          "a/b",    "exa\tmple.org", "127.0.1", "127.0.0.1x:",
        "1",      "a.b.1", "0x7f.1",       "a.0x1f", "256.0.0.1",     "a:65536", "a:-1",
        "a:http", "a:",    "[::1",         "[a]:80", "[127.0.0.1]",   "[::1]80", ":::1",
        "a:1:2",  "**",    "a.127.0.0.1.",
    };
    char text[300];

    for (size_t i = 0; i < TEST_LEN(wrong); i++)
        if (!CHECK_EQ(fails(wrong[i], NULL), -EINVAL))
            test_note("row %zu: \"%s\"", i, wrong[i]);
    CHECK_EQ(fails(NULL, NULL), -EINVAL);
    CHECK_EQ(fails("two.test", SKUA_RESOLVE_OPTIONS(.numeric = 1)), -EINVAL);
    memset(text, 'a', sizeof text);
    text[64] = '\0';
    CHECK_EQ(fails(text, NULL), -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50 == 49 ? '.' : 'a';
    text[254] = '\0'; /* one too many, whatever it resolves to */
    CHECK_EQ(fails(text, NULL), -ENAMETOOLONG);
    text[sizeof text - 1] = '\0';
    CHECK_EQ(fails(text, NULL), -ENAMETOOLONG);
    memcpy(text + 248, ".test", 6); /* 253 are a name */
    CHECK(resolves(text, NULL, "127.0.0.7:0"));
    memcpy(text + 248, ".test.", 7); /* and one dot behind it */
    CHECK(fails(text, SKUA_RESOLVE_OPTIONS(.numeric = 1)) == -EINVAL);
}

TEST(resolve_options_are_checked)
{
    skua_resolve_options options;

    memset(&options, 0xff, sizeof options);
    skua_resolve_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK(resolves("127.0.0.1", &options, "127.0.0.1:0"));
    options.size--;
    CHECK_EQ(fails("127.0.0.1", &options), -EINVAL);
    CHECK_EQ(fails("127.0.0.1", SKUA_RESOLVE_OPTIONS(.port = 65536)), -EINVAL);
    CHECK_EQ(fails("127.0.0.1", SKUA_RESOLVE_OPTIONS(.port = -1)), -EINVAL);
    CHECK_EQ(fails("127.0.0.1", SKUA_RESOLVE_OPTIONS(.numeric = 2)), -EINVAL);
    CHECK_EQ(fails("127.0.0.1", SKUA_RESOLVE_OPTIONS(.family = SKUA_ADDRESS_UNIX)), -EINVAL);
}

/* ---- the system's resolver ------------------------------------------------------------------- */

TEST_WAITING(system_finds)
{
    int64_t soon = skua_now() + SKUA_MINUTE;

    CHECK(resolves("two.test:80", NULL, "127.0.0.7:80 [::7]:80"));
    CHECK(resolves("two.test", SKUA_RESOLVE_OPTIONS(.port = 9), "127.0.0.7:9 [::7]:9"));
    CHECK(resolves("two.test", SKUA_RESOLVE_OPTIONS(.deadline = soon), "127.0.0.7:0 [::7]:0"));
    CHECK(resolves("two.test", SKUA_RESOLVE_OPTIONS(.family = SKUA_ADDRESS_V6), "[::7]:0"));
    CHECK(resolves("two.test", SKUA_RESOLVE_OPTIONS(.max = 1), "127.0.0.7:0"));
    CHECK(resolves("four.test", NULL, "127.0.0.4:0"));
}

TEST_WAITING(system_fails)
{
    CHECK_EQ(fails("missing.test", NULL), -ENOENT);
    CHECK_EQ(fails("four.test", SKUA_RESOLVE_OPTIONS(.family = SKUA_ADDRESS_V6)), -ENOENT);
    CHECK_EQ(fails("later.test:80", NULL), -EAGAIN);
    CHECK_EQ(fails("broken.test", NULL), -EIO);
    CHECK_EQ(fails("memory.test", NULL), -ENOMEM);
    CHECK_EQ(fails("system.test", NULL), -EMFILE);
    CHECK_EQ(fails("long.test", NULL), -ENAMETOOLONG);
}

/* The real one: a name that no server may know. Without a network it is not told, or not soon. */
TEST(nobody_knows_invalid)
{
    int64_t soon = skua_now() + 2 * SKUA_SECOND;
    int rc = fails("nosuch.invalid", SKUA_RESOLVE_OPTIONS(.deadline = soon));

    CHECK(rc == -ENOENT || rc == -EAGAIN || rc == -ETIMEDOUT);
}

/* ---- letting go of it ------------------------------------------------------------------------ */

static void slow_begin(void)
{
    atomic_store(&names_inside, 0);
    atomic_store(&names_over, 0);
    atomic_store(&names_open, 0);
}

/* Lets the calls that were left behind end: on a fiber all that the pool was given, of which some
 * may not have begun; on a thread the one which a thread of its own was started for. */
static void slow_end(void)
{
    skua_runtime *runtime = skua_runtime_current();
    skua_runtime_stats stats = {.size = sizeof stats};

    atomic_store(&names_open, 1);
    do {
        test_thread_sleep(MS(1));
        if (runtime != NULL)
            CHECK(skua_runtime_snapshot(runtime, &stats, NULL, 0) > 0);
    } while (runtime == NULL
                 ? atomic_load(&names_over) < 1
                 : stats.blocking_queue != 0 || stats.blocking_idle != stats.blocking_threads);
    CHECK_EQ(atomic_load(&names_over), atomic_load(&names_inside));
}

TEST_WAITING(a_deadline_does_not_wait)
{
    int64_t begin = skua_now();

    slow_begin();
    CHECK_EQ(fails("slow.test", SKUA_RESOLVE_OPTIONS(.deadline = begin + MS(20))), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(20), MS(20) + TEST_LATE);
    slow_end();
    CHECK(resolves("slow.test", SKUA_RESOLVE_OPTIONS(.deadline = skua_now() + SKUA_MINUTE),
                   "127.0.0.7:0"));
}

static int resolves_slow(TEST_UNUSED void *arg)
{
    return fails("slow.test", NULL);
}

TEST_FIBER(a_cancelled_task_does_not_wait)
{
    skua_deadline frame;
    skua_task *task;
    int result = 0;

    slow_begin();
    MUST(skua_spawn(NULL, resolves_slow, NULL, .task = &task) == 0);
    while (atomic_load(&names_inside) == 0)
        skua_sleep(MS(1));
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(10)), 0);
    CHECK_EQ(fails("slow.test", NULL), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(atomic_load(&names_over), 0);
    slow_end();
    return 0;
}

TEST_FIBER(a_lost_future_is_let_go_of)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    skua_resolve_future never;

    slow_begin();
    CHECK_EQ(skua_select(skua_resolving(&found, "slow.test", .port = 80), skua_sleeping(MS(5))), 1);
    CHECK_EQ(found.count, 0);
    skua_future_drop(skua_resolve_init(&never, &found, "slow.test", NULL)); /* never asked */
    slow_end();
    CHECK_EQ(skua_select(skua_resolving(&found, "slow.test", .port = 80)), 0);
    CHECK(strcmp(told(&found), "127.0.0.7:80") == 0);
    skua_addresses_free(&found);
    return 0;
}

/* ---- poll tasks ------------------------------------------------------------------------------ */

struct poll_resolves {
    skua_async async;
    skua_resolve_future resolve;
    skua_addresses *found;
    const char *name;
    const skua_resolve_options *options;
    int64_t rc;
};

static skua_poll poll_resolves(void *state, skua_waker *waker)
{
    struct poll_resolves *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_resolve(self->found, "two.test", self->options), SKUA_EUSAGE);
    SKUA_AWAIT_TO(self->rc,
                  skua_resolve_init(&self->resolve, self->found, self->name, self->options));
    SKUA_ASYNC_END(self->rc);
}

static int poll_resolve(const char *name, const skua_resolve_options *options,
                        skua_addresses *found)
{
    const struct poll_resolves state = {.found = found, .name = name, .options = options};

    *found = (skua_addresses)SKUA_ADDRESSES_INIT;
    return test_run_poll(poll_resolves, &state, sizeof state);
}

/* ---- resolvers of one's own ------------------------------------------------------------------ */

struct own {
    skua_resolver resolver; /* first */
    int rc;
    int64_t takes; /* ns */
    skua_query query;
    atomic_int calls;
    char host[64];
};

static int own_resolve(skua_resolver *resolver, const skua_query *query, skua_addresses *ret)
{
    struct own *self = (struct own *)(void *)resolver;
    skua_address address;
    int rc = 0;

    atomic_fetch_add(&self->calls, 1);
    self->query = *query;
    snprintf(self->host, sizeof self->host, "%s", query->host);
    if (self->takes > 0)
        rc = skua_sleep(self->takes);
    for (int i = 1; rc == 0 && i <= 3; i++) {
        MUST(skua_address_parse(&address, i == 2 ? "[::2]:22" : "192.0.2.1:0") == 0);
        rc = skua_addresses_add(ret, &address);
    }
    return rc != 0 ? rc : self->rc;
}

static const skua_resolver_ops own_ops = {.name = "own", .resolve = own_resolve};

TEST_WAITING(own_resolver_answers)
{
    struct own own = {.resolver = {&own_ops}};
    const skua_resolve_options with = {.size = sizeof with, .resolver = &own.resolver};
    skua_resolve_options v4 = with;

    /* An address that has a port keeps it. */
    CHECK(resolves("two.test:80", &with, "192.0.2.1:80 [::2]:22 192.0.2.1:80"));
    CHECK(strcmp(own.host, "two.test") == 0);
    CHECK_EQ(own.query.family, SKUA_ADDRESS_NONE);
    CHECK_EQ(own.query.deadline, SKUA_FOREVER);
    v4.family = SKUA_ADDRESS_V4;
    v4.max = 2;
    v4.deadline = skua_now() + SKUA_MINUTE;
    CHECK(resolves("x", &v4, "192.0.2.1:0 192.0.2.1:0"));
    CHECK_EQ(own.query.family, SKUA_ADDRESS_V4);
    CHECK_EQ(own.query.deadline, v4.deadline);
    CHECK_EQ(atomic_load(&own.calls), 2);
    CHECK(resolves("localhost", &with, "127.0.0.1:0 [::1]:0")); /* nobody is asked */
    CHECK_EQ(atomic_load(&own.calls), 2);
    own.rc = -EIO; /* what it had found is freed */
    CHECK_EQ(fails("x", &with), -EIO);
    own.rc = 7;
    CHECK_EQ(fails("x", &with), -EIO);
}

TEST(own_resolver_as_the_default)
{
    struct own own = {.resolver = {&own_ops}};

    CHECK(skua_resolver_set_default(&own.resolver) == skua_resolver_system());
    CHECK(resolves("four.test", NULL, "192.0.2.1:0 [::2]:22 192.0.2.1:0"));
    CHECK(resolves("four.test", SKUA_RESOLVE_OPTIONS(.resolver = skua_resolver_system()),
                   "127.0.0.4:0"));
    CHECK(skua_resolver_set_default(NULL) == &own.resolver);
    CHECK(resolves("four.test", NULL, "127.0.0.4:0"));
}

static int own_is_cancelled(void *arg)
{
    return fails("x", SKUA_RESOLVE_OPTIONS(.resolver = arg));
}

/* On a fiber its waits are the caller's: cancelled, and under the deadline. */
TEST_FIBER_CLOCK(own_resolver_is_under_the_deadline)
{
    struct own own = {.resolver = {&own_ops}, .takes = SKUA_HOUR};
    int64_t begin = skua_now();
    skua_task *task;
    int result = 0;

    CHECK_EQ(fails("x", SKUA_RESOLVE_OPTIONS(.resolver = &own.resolver, .deadline = begin + 7)),
             -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, 7);
    MUST(skua_spawn(NULL, own_is_cancelled, &own.resolver, .task = &task) == 0);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_now() - begin, SKUA_SECOND + 7);
    return 0;
}

TEST_FIBER(poll_tasks_resolve)
{
    struct own own = {.resolver = {&own_ops}};
    skua_addresses found;

    CHECK_EQ(poll_resolve("two.test:80", NULL, &found), 0);
    CHECK(strcmp(told(&found), "127.0.0.7:80 [::7]:80") == 0);
    skua_addresses_free(&found);
    CHECK_EQ(poll_resolve("127.0.0.1:80", NULL, &found), 0);
    CHECK(strcmp(told(&found), "127.0.0.1:80") == 0);
    skua_addresses_free(&found);
    CHECK_EQ(poll_resolve("missing.test", NULL, &found), -ENOENT);
    CHECK_EQ(poll_resolve("a b", NULL, &found), -EINVAL);
    CHECK_EQ(poll_resolve("x", SKUA_RESOLVE_OPTIONS(.resolver = &own.resolver), &found), 0);
    CHECK_EQ(found.count, 3);
    skua_addresses_free(&found);
    slow_begin();
    CHECK_EQ(
        poll_resolve("slow.test", SKUA_RESOLVE_OPTIONS(.deadline = skua_now() + MS(5)), &found),
        -ETIMEDOUT);
    slow_end();
    return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS

/* Each allocation in turn fails: what is told is that, and nothing leaks (the sanitizers look). */
static void fails_cleanly(const char *name, const skua_resolve_options *options)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    int rc = -ENOMEM;
    unsigned n;

    for (n = 1; rc != 0; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        rc = skua_resolve(&found, name, options);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
    }
    CHECK(n > 2); /* some did */
    skua_addresses_free(&found);
}

TEST_FIBER_CURRENT(without_memory)
{
    struct own own = {.resolver = {&own_ops}};

    CHECK(resolves("two.test", NULL, "127.0.0.7:0 [::7]:0")); /* the pool is there */
    fails_cleanly("127.0.0.1", NULL);
    fails_cleanly("two.test", NULL);
    fails_cleanly("x", SKUA_RESOLVE_OPTIONS(.resolver = &own.resolver));
    return 0;
}

TEST(without_memory_on_a_thread)
{
    fails_cleanly("two.test", NULL);
    fails_cleanly("two.test", SKUA_RESOLVE_OPTIONS(.deadline = skua_now() + SKUA_MINUTE));
}

#endif

/* ---- many ------------------------------------------------------------------------------------ */

struct crowd {
    struct own own;
    int64_t end;
};

/* Lets go at every moment, or does not: what comes is whole, or not there. */
static int crowd_asks(void *arg)
{
    struct crowd *self = arg;
    uint64_t random = 1 + (uintptr_t)&random % 1000;

    while (skua_now() < self->end) {
        skua_resolver *resolver = test_random(&random) % 3 == 0 ? &self->own.resolver : NULL;
        int64_t room = (int64_t)(test_random(&random) % 200) * SKUA_MICROSECOND;
        skua_addresses found = SKUA_ADDRESSES_INIT;
        int rc =
            skua_resolve(&found, "two.test",
                         SKUA_RESOLVE_OPTIONS(.resolver = resolver, .deadline = skua_now() + room));

        CHECK(rc == 0 ? found.count == (resolver ? 3 : 2) : rc == -ETIMEDOUT && found.count == 0);
        skua_addresses_free(&found);
    }
    return 0;
}

static int crowd_selects(void *arg)
{
    struct crowd *self = arg;
    uint64_t random = 1 + (uintptr_t)&random % 1000;

    while (skua_now() < self->end) {
        int64_t room = (int64_t)(test_random(&random) % 200) * SKUA_MICROSECOND;
        skua_addresses found = SKUA_ADDRESSES_INIT;
        int which = skua_select(
            skua_resolving(&found, "two.test", .resolver = &self->own.resolver, .max = 2),
            skua_sleeping(room));

        CHECK_EQ(found.count, which == 0 ? 2 : 0);
        skua_addresses_free(&found);
    }
    return 0;
}

static int crowd_runs(void *arg)
{
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(NULL, i % 2 ? crowd_asks : crowd_selects, arg) == 0);
    return 0;
}

static void *crowd_thread(void *arg)
{
    (void)crowd_asks(arg);
    return NULL;
}

static int crowd_resolve(skua_resolver *self, const skua_query *query, skua_addresses *ret)
{
    skua_address address;
    int rc = 0;

    (void)self;
    (void)query;
    for (int i = 0; rc == 0 && i < 3; i++) {
        MUST(skua_address_parse(&address, "192.0.2.1:0") == 0);
        rc = i == 1 ? skua_yield() : 0;
        rc = rc == 0 ? skua_addresses_add(ret, &address) : rc;
    }
    return rc;
}

TEST(many_ask_and_let_go)
{
    static const skua_resolver_ops ops = {.name = "crowd", .resolve = crowd_resolve};
    const struct test_kind kind = {"2 workers", SKUA_MULTI_THREAD, 2, false};
    skua_runtime *runtime = test_runtime(&kind);
    struct crowd crowd = {.own.resolver = {&ops}, .end = skua_now() + MS(500)};
    pthread_t threads[2];

    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, crowd_thread, &crowd) == 0);
    test_run(runtime, crowd_runs, &crowd);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    test_runtime_free(runtime);
}

/* ---- lists and addresses --------------------------------------------------------------------- */

TEST(addresses_of_the_system)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr_storage room = {.ss_family = AF_INET};
    const struct sockaddr_storage other = {.ss_family = AF_PACKET};
    skua_address address, wanted;

    memset(&address, 0xff, sizeof address);
    wanted = address;
    CHECK_EQ(skua_address_from_sockaddr(&address, NULL, sizeof in), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &in, sizeof in - 1), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &in6, sizeof in6 - 1), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &in, 1), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &in, 0), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &room, sizeof room), -EINVAL);
    CHECK_EQ(skua_address_from_sockaddr(&address, &other, 20), -EINVAL);
    CHECK(memcmp(&address, &wanted, sizeof address) == 0); /* untouched */
    CHECK_EQ(skua_address_from_sockaddr(&address, &in, sizeof in), 0);
    MUST(skua_address_parse(&wanted, "0.0.0.0:80") == 0);
    CHECK(skua_address_equal(&address, &wanted));
    CHECK_EQ(skua_address_from_sockaddr(&address, &room, 64), 0); /* what is behind it is not it */
    CHECK_EQ(skua_address_port(&address), 0);
    CHECK_EQ(skua_address_from_sockaddr(&address, &in6, sizeof in6), 0);
    MUST(skua_address_parse(&wanted, "[::1]:0") == 0);
    CHECK(skua_address_equal(&address, &wanted));
}

TEST(lists_grow)
{
    skua_addresses list = SKUA_ADDRESSES_INIT;
    skua_address address;

    for (int i = 0; i < 100; i++) {
        MUST(skua_address_parse(&address, "127.0.0.1:0") == 0);
        MUST(skua_address_set_port(&address, i) == 0);
        CHECK_EQ(skua_addresses_add(&list, &address), 0);
    }
    CHECK_EQ(list.count, 100);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_address_port(&list.all[i]), i);
    skua_addresses_free(&list);
    skua_addresses_free(&list);
    CHECK_EQ(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(addresses_are_answered_at_once),
        TEST_WAITING_ENTRIES(texts_that_are_no_names),
        cmocka_unit_test(resolve_options_are_checked),
        TEST_WAITING_ENTRIES(system_finds),
        TEST_WAITING_ENTRIES(system_fails),
        cmocka_unit_test(nobody_knows_invalid),
        TEST_WAITING_ENTRIES(a_deadline_does_not_wait),
        cmocka_unit_test(a_cancelled_task_does_not_wait),
        cmocka_unit_test(a_lost_future_is_let_go_of),
        TEST_WAITING_ENTRIES(own_resolver_answers),
        cmocka_unit_test(own_resolver_as_the_default),
        cmocka_unit_test(own_resolver_is_under_the_deadline),
        cmocka_unit_test(poll_tasks_resolve),
#ifdef SKUA_FAULTS
        cmocka_unit_test(without_memory),
        cmocka_unit_test(without_memory_on_a_thread),
#endif
        cmocka_unit_test(many_ask_and_let_go),
        cmocka_unit_test(addresses_of_the_system),
        cmocka_unit_test(lists_grow),
    };

    return TEST_MAIN(tests);
}
