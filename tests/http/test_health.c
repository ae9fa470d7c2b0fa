/* test_health.c - liveness and readiness.
 *
 * Specifies health.h: what is answered in which state; checks that are required or not, in time or
 * not, all at the same time, once for many who ask; what is kept and for how long; who asked and
 * went away; the server's stop.
 */
#include <skua/http/health.h>
#include <skua/test.h>

#include "ask.h"
#include "served.h"

/* A check whose answer the test sets. */
struct probe {
    int64_t takes; /* ns */
    int says;
    atomic_int calls, now, most;
};

static int probed(void *arg)
{
    struct probe *probe = arg;
    int now = atomic_fetch_add(&probe->now, 1) + 1;
    int rc;

    if (now > atomic_load(&probe->most))
        atomic_store(&probe->most, now);
    atomic_fetch_add(&probe->calls, 1);
    rc = probe->takes != 0 ? skua_sleep(probe->takes) : 0;
    atomic_fetch_sub(&probe->now, 1);
    return rc != 0 ? rc : probe->says;
}

static skua_http_health *health_of(struct probe *probe, const skua_http_check_options *options)
{
    skua_http_health *health;

    MUST(skua_http_health_new(&health) == 0);
    if (probe != NULL)
        MUST(skua_http_health_add(health, "one", probed, probe, options) == 0);
    return health;
}

static void check_answer(skua_http_handler handler, skua_http_health *health, const char *path,
                         int status, const char *body)
{
    char request[64];
    struct talk *talk;

    (void)snprintf(request, sizeof request, "GET %s", path);
    talk = ask_chain(handler, health, request);
    CHECK_EQ(talk_status(talk, 0), status);
    CHECK_HAS(talk, "Cache-Control: no-store\r\n");
    if (body != NULL)
        CHECK_STR(talk_body(talk, 0), body);
    free(talk);
}

#define CHECK_READY(health, status, body)                                                          \
    check_answer(skua_http_health_ready, (health), "/readyz", (status), (body))

TEST_FIBER(health_has_states)
{
    skua_http_health *health = health_of(NULL, NULL);

    CHECK_READY(health, 503, "starting\n");
    CHECK_EQ(skua_http_health_check(health), 0);
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    CHECK_READY(health, 200, "ready\n");
    CHECK_EQ(skua_http_health_check(health), 1);
    CHECK_EQ(skua_http_health_set(health, (skua_http_health_state)3), -EINVAL);
    skua_http_health_drain(health);
    CHECK_READY(health, 503, "draining\n");
    CHECK_EQ(skua_http_health_check(health), 0);
    check_answer(skua_http_health_live, health, "/livez", 200, "alive\n");
    check_answer(skua_http_health_live, health, "/livez?verbose", 200,
                 "{\"status\":\"alive\",\"checks\":[]}\n");
    skua_http_health_free(health);
    skua_http_health_free(NULL);
    return 0;
}

TEST_FIBER(health_refuses_checks)
{
    const skua_http_check_options bad[] = {{0, 0, 0, 0},
                                           {sizeof bad[0], 2, 0, 0},
                                           {sizeof bad[0], 0, -1, 0},
                                           {sizeof bad[0], 0, 0, -2}};
    skua_http_health *health = health_of(NULL, NULL);

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_http_health_add(health, "a", probed, NULL, &bad[i]), -EINVAL);
    CHECK_EQ(skua_http_health_add(health, NULL, probed, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_http_health_add(health, "a", NULL, NULL, NULL), -EINVAL);
    skua_http_health_free(health);
    return 0;
}

/* ---- checks ---------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(health_asks_its_checks)
{
    struct probe one = {.takes = MS(2)}, two = {.says = -EIO};
    skua_http_health *health = health_of(&one, SKUA_HTTP_CHECK_OPTIONS(.keep = -1));

    CHECK_EQ(skua_http_health_add(health, "t\"wo", probed, &two,
                                  SKUA_HTTP_CHECK_OPTIONS(.keep = -1, .optional = 1)),
             0);
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    check_answer(skua_http_health_live, health, "/?verbose=1", 200,
                 "{\"status\":\"alive\",\"checks\":["
                 "{\"name\":\"one\",\"status\":\"unknown\",\"required\":true},"
                 "{\"name\":\"t\\u0022wo\",\"status\":\"unknown\",\"required\":false}]}\n");
    check_answer(skua_http_health_ready, health, "/?verbose", 200,
                 "{\"status\":\"ready\",\"checks\":["
                 "{\"name\":\"one\",\"status\":\"ok\",\"required\":true,\"seconds\":0.002000,"
                 "\"age\":0.000000},"
                 "{\"name\":\"t\\u0022wo\",\"status\":\"failed\",\"required\":false,"
                 "\"seconds\":0.000000,\"age\":0.002000,\"error\":\"EIO\"}]}\n");
    one.says = 7;
    CHECK_EQ(skua_sleep(1), 0); /* of the same instant it counts */
    CHECK_READY(health, 200, "ready\n");
    one.says = -ENOENT;
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_READY(health, 503, "failed\n");
    CHECK_EQ(skua_sleep(1), 0);
    one.takes = SKUA_FOREVER / 2; /* and its waits end in time */
    check_answer(skua_http_health_ready, health, "/?verbose", 503, NULL);
    CHECK_EQ(atomic_load(&one.calls), 4);
    skua_http_health_free(health);
    return 0;
}

TEST_FIBER_CLOCK(health_has_deadlines)
{
    struct probe one = {.takes = 10 * SKUA_SECOND}, two = {.takes = 10 * SKUA_SECOND};
    skua_http_health *health = health_of(&one, SKUA_HTTP_CHECK_OPTIONS(.timeout = MS(300)));
    int64_t begin = skua_now();
    struct talk *talk;

    CHECK_EQ(skua_http_health_add(health, "two", probed, &two,
                                  SKUA_HTTP_CHECK_OPTIONS(.timeout = MS(200))),
             0);
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    talk = ask_chain(skua_http_health_ready, health, "GET /?verbose");
    CHECK_EQ(skua_now() - begin, MS(300)); /* both at the same time */
    CHECK(strstr(talk_body(talk, 0), "\"seconds\":0.300000,\"age\":0.000000,"
                                     "\"error\":\"ETIMEDOUT\"") != NULL);
    CHECK(strstr(talk_body(talk, 0), "\"seconds\":0.200000,\"age\":0.100000,") != NULL);
    CHECK_EQ(talk_status(talk, 0), 503);
    free(talk);
    skua_http_health_free(health);
    return 0;
}

TEST_FIBER_CLOCK(health_keeps_what_was_said)
{
    struct probe one = {.takes = 0};
    skua_http_health *health = health_of(&one, SKUA_HTTP_CHECK_OPTIONS(.keep = 5 * SKUA_SECOND));

    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_http_health_check(health), 1);
        CHECK_EQ(atomic_load(&one.calls), 1);
        CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    }
    one.says = -EIO;
    CHECK_EQ(skua_http_health_check(health), 0);
    CHECK_EQ(atomic_load(&one.calls), 2);
    one.says = 0;
    CHECK_EQ(skua_http_health_check(health), 0); /* a failure is kept as long */
    skua_http_health_drain(health);
    CHECK_EQ(skua_sleep(10 * SKUA_SECOND), 0);
    CHECK_READY(health, 503, "draining\n");
    CHECK_EQ(atomic_load(&one.calls), 2); /* nobody needs to know any more */
    skua_http_health_free(health);
    return 0;
}

/* ---- many who ask ---------------------------------------------------------------------------- */

static int asks(void *health)
{
    CHECK_EQ(skua_http_health_check(health), 1);
    return 0;
}

static int asked_by_many(void *arg)
{
    struct probe one = {.takes = MS(5)};
    skua_http_health *health = health_of(&one, SKUA_HTTP_CHECK_OPTIONS(.keep = -1));
    skua_scope scope;

    (void)arg;
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 5; i++)
        MUST(skua_spawn(&scope, asks, health) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&one.most), 1);
    CHECK_EQ(atomic_load(&one.calls), 1); /* who comes in its midst is content with it */
    skua_http_health_free(health);
    return 0;
}

TEST_FIBER_ORDERS(health_asks_once_for_many)
{
    return asked_by_many(NULL);
}

/* Who began the checks goes away; the next in line runs them. */
static int leaves(void *health)
{
    return skua_http_health_check(health);
}

TEST_FIBER_ORDERS(health_of_who_goes_away)
{
    struct probe one = {.takes = MS(50)};
    skua_http_health *health = health_of(&one, NULL);
    skua_task *first, *second;
    int result = 0;

    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    MUST(skua_spawn(NULL, leaves, health, .task = &first) == 0);
    CHECK_EQ(skua_sleep(MS(10)), 0);
    MUST(skua_spawn(NULL, leaves, health, .task = &second) == 0);
    CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK_EQ(skua_task_cancel(first), 0);
    CHECK_EQ(skua_task_join(first, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_task_join(second, &result), 0);
    CHECK_EQ(result, 1);
    CHECK_EQ(atomic_load(&one.calls), 2);
    CHECK_EQ(skua_http_health_check(health), 1);
    CHECK_EQ(atomic_load(&one.calls), 2);
    skua_http_health_free(health);
    return 0;
}

TEST_FIBER_CLOCK(health_of_who_is_out_of_time)
{
    struct probe one = {.takes = MS(50)};
    skua_http_health *health = health_of(&one, NULL);
    skua_deadline frame;

    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(10)), 0);
    CHECK_EQ(skua_http_health_check(health), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_http_health_check(health), 1); /* what it could not say was not kept */
    skua_http_health_free(health);
    return 0;
}

/* Over threads. */
static int asks_often(void *health)
{
    for (int i = 0; i < TEST_COUNT(300); i++)
        CHECK_EQ(skua_http_health_check(health), 1);
    return 0;
}

TEST_FIBER(health_of_many_threads)
{
    struct probe one = {.takes = 0}, two = {.says = -EIO};
    skua_http_health *health = health_of(&one, SKUA_HTTP_CHECK_OPTIONS(.keep = -1));
    skua_scope scope;

    CHECK_EQ(skua_http_health_add(health, "two", probed, &two,
                                  SKUA_HTTP_CHECK_OPTIONS(.optional = 1, .keep = 1000)),
             0);
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, asks_often, health) == 0);
    for (int i = 0; i < 10; i++)
        check_answer(skua_http_health_live, health, "/?verbose", 200, NULL);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&one.most), 1);
    CHECK_EQ(atomic_load(&two.most), 1);
    skua_http_health_free(health);
    return 0;
}

/* ---- the server's stop ----------------------------------------------------------------------- */

TEST_FIBER(health_drains_with_the_server)
{
    skua_http_health *health = health_of(NULL, NULL);
    struct served served = {NULL, NULL, "", NULL};
    char answer[1024];
    skua_tcp *tcp;

    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    served_begin(&served, hello, NULL,
                 SKUA_HTTP_SERVER_OPTIONS(.on_stop = skua_http_health_drain, .stop_arg = health));
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    hears(tcp, answer, sizeof answer, "hello", 1); /* so it runs */
    CHECK_READY(health, 200, "ready\n");
    served_end(&served);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_READY(health, 503, "draining\n");
    skua_http_health_free(health);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(health_without_memory)
{
    struct talk *talk = calloc(1, sizeof *talk);
    struct probe one = {.takes = 0};
    skua_http_health *health;
    int good = 0;

    MUST(talk != NULL);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_http_health_new(&health), -ENOMEM);
    MUST(skua_http_health_new(&health) == 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_http_health_add(health, "a", probed, &one, NULL), -ENOMEM);
    MUST(skua_http_health_add(health, "a", probed, &one, SKUA_HTTP_CHECK_OPTIONS(.keep = -1)) == 0);
    CHECK_EQ(skua_http_health_set(health, SKUA_HTTP_READY), 0);
    talk->handler = skua_http_health_ready;
    talk->state = health;
    for (talk->fault = 1; talk->fault < 14; talk->fault++) {
        talk_to(talk, "GET /?verbose HTTP/1.1\r\nHost: a\r\n\r\n");
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500);
    }
    CHECK_RANGE(good, 3, 13);
    free(talk);
    skua_http_health_free(health);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_has_states),
        cmocka_unit_test(health_refuses_checks),
        cmocka_unit_test(health_asks_its_checks),
        cmocka_unit_test(health_has_deadlines),
        cmocka_unit_test(health_keeps_what_was_said),
        cmocka_unit_test(health_asks_once_for_many),
        cmocka_unit_test(health_of_who_goes_away),
        cmocka_unit_test(health_of_who_is_out_of_time),
        cmocka_unit_test(health_of_many_threads),
        cmocka_unit_test(health_drains_with_the_server),
#ifdef SKUA_FAULTS
        cmocka_unit_test(health_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
