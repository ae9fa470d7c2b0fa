/* test_pg.c - PostgreSQL for many fibers over few connections, pipelined. drivers: both
 *
 * Specifies adapters/skua_pg.h, against a real server that the test starts in a temporary folder
 * (tests/adapters/postgres); skipped where there is none.
 */
#include "skua_pg.h"

#include <pthread.h>
#include <sys/wait.h>

#include "harness.h"
#include "usage.h"

#define BIG (3 << 20)

static const skua_pg_statement statements[] = {
    {"echo", "SELECT $1::text"},
    {"divide", "SELECT 1 / $1::int"},
    {"slow", "SELECT pg_sleep($1::float)"},
    {"put", "INSERT INTO things (id) VALUES ($1::int) RETURNING id"},
    {"drop", "DELETE FROM things"},
    {"die", "SELECT pg_terminate_backend(pg_backend_pid())"},
};

static char folder[64], url[160];

static int server(const char *verb)
{
    char command[256];
    int status;

    snprintf(command, sizeof command, "%s %s %s %d", TEST_POSTGRES, verb, folder, (int)getpid());
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void server_end(void)
{
    char command[128];

    (void)server("stop");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    (void)!system(command);
}

static skua_pg_options pg_options(unsigned connections)
{
    return *SKUA_PG_OPTIONS(.url = url, .connections = connections, .statements = statements,
                            .statements_count = TEST_LEN(statements),
                            .setup = "SET client_min_messages = warning;"
                                     "SELECT pg_advisory_xact_lock(1);"
                                     "CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY)");
}

static skua_pg *open_pg(unsigned connections)
{
    skua_pg_options options = pg_options(connections);
    skua_pg *pg;

    MUST(skua_pg_open(&pg, &options) == 0);
    MUST(skua_pg_ready(pg) == 0);
    return pg;
}

/* A query of one parameter: its code. */
static int asks(skua_pg *pg, const char *statement, const char *param)
{
    PGresult *result;
    int rc = skua_pg_query(pg, statement, &param, param != NULL, &result);

    PQclear(result);
    return rc;
}

/* The answer is the one to what was asked. */
static bool echoes(skua_pg *pg, const char *text)
{
    PGresult *result;
    int rc = skua_pg_query(pg, "echo", &text, 1, &result);
    bool good = rc == 0 && PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), text) == 0;

    if (!good)
        test_note("%s: %d (%s)", text, rc, result != NULL ? PQresultErrorMessage(result) : "");
    PQclear(result);
    return good;
}

/* No descriptors were left: but for one that each worker has had to make for itself. */
static bool settles(int fds)
{
    int64_t begin = skua_now();

    while (test_fd_count() > fds + 4 && skua_now() - begin < TEST_LATE)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    return test_fd_count() <= fds + 4;
}

/* ---- many at a time -------------------------------------------------------------------------- */

struct crowd {
    skua_pg *pg;
    atomic_int number, wrong;
};

/* What fails among them leaves the neighbours in the pipeline alone. */
static int one_of_many(void *arg)
{
    struct crowd *self = arg;
    int number = atomic_fetch_add(&self->number, 1);
    char text[32];

    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d-%d", number, i);
        if (!echoes(self->pg, text))
            atomic_fetch_add(&self->wrong, 1);
        if (number % 5 == 0 && asks(self->pg, "divide", "0") != -EINVAL)
            atomic_fetch_add(&self->wrong, 1);
    }
    return 0;
}

TEST_FIBER(each_gets_its_own_answers)
{
    int fds = test_fd_count();
    struct crowd crowd = {.pg = open_pg(3)};
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < TEST_COUNT(40); i++)
        CHECK_EQ(skua_spawn(&scope, one_of_many, &crowd), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&crowd.wrong), 0);
    skua_pg_close(crowd.pg);
    CHECK(settles(fds));
    return 0;
}

static void *a_thread(void *arg)
{
    (void)one_of_many(arg);
    return NULL;
}

TEST_FIBER(plain_threads_ask)
{
    struct crowd crowd = {.pg = open_pg(1)};
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, a_thread, &crowd) == 0);
    while (atomic_load(&crowd.number) < 3 || !echoes(crowd.pg, "me"))
        CHECK_EQ(skua_sleep(MS(1)), 0);
    for (int i = 0; i < 3; i++) {
        /* They need this worker's turns until they have ended. */
        while (pthread_tryjoin_np(threads[i], NULL) == EBUSY)
            CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    CHECK_EQ(atomic_load(&crowd.wrong), 0);
    skua_pg_close(crowd.pg);
    return 0;
}

/* More than the socket takes at once, both ways. */
static int asks_big(void *arg)
{
    struct crowd *self = arg;
    char *text = malloc(BIG + 1);

    MUST(text != NULL);
    memset(text, 'a' + atomic_fetch_add(&self->number, 1) % 26, BIG);
    text[BIG] = '\0';
    if (!echoes(self->pg, text))
        atomic_fetch_add(&self->wrong, 1);
    free(text);
    return 0;
}

TEST_FIBER(long_parameters_and_results)
{
    struct crowd crowd = {.pg = open_pg(1)};
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(&scope, asks_big, &crowd), 0);
    CHECK(echoes(crowd.pg, "small"));
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&crowd.wrong), 0);
    skua_pg_close(crowd.pg);
    return 0;
}

/* ---- what a query may say -------------------------------------------------------------------- */

TEST_FIBER_CURRENT(codes_of_failures)
{
    const char *many[SKUA_PG_PARAMS_MAX + 1] = {NULL};
    skua_pg *pg = open_pg(1);
    PGresult *result;

    CHECK_EQ(asks(pg, "drop", NULL), 0);
    CHECK_EQ(asks(pg, "put", "7"), 0);
    CHECK_EQ(asks(pg, "put", "7"), -EEXIST);
    CHECK_EQ(asks(pg, "put", "seven"), -EINVAL);
    CHECK_EQ(asks(pg, "no such statement", NULL), -EIO);
    CHECK_EQ(skua_pg_query(pg, "put", many, 1, &result), -EINVAL); /* NULL is NULL */
    CHECK(result != NULL && strstr(PQresultErrorMessage(result), "null value") != NULL);
    PQclear(result);
    CHECK_EQ(skua_pg_query(pg, "echo", many, SKUA_PG_PARAMS_MAX + 1, &result), -EINVAL);
    CHECK(result == NULL);
    CHECK(echoes(pg, "still"));
    skua_pg_close(pg);
    CHECK_EQ(skua_pg_open(&pg, NULL), -EINVAL);
    CHECK_EQ(skua_pg_open(&pg, SKUA_PG_OPTIONS(.connections = 1)), -EINVAL);
    CHECK_EQ(skua_pg_open(&pg, SKUA_PG_OPTIONS(.url = url, .connections = 65)), -EINVAL);
    return 0;
}

/* ---- those who do not wait ------------------------------------------------------------------- */

/* The results of those who went away are dropped, and the others get their own. */
TEST_FIBER_CURRENT(a_deadline_ends_a_query)
{
    skua_pg *pg = open_pg(1);
    skua_deadline frame;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(20)), 0);
        CHECK_EQ(asks(pg, "slow", "0.1"), -ETIMEDOUT);
        (void)skua_deadline_end(&frame);
        CHECK(echoes(pg, "behind it"));
    }
    skua_pg_close(pg);
    return 0;
}

static int asks_slowly(void *arg)
{
    return asks(arg, "slow", "0.05");
}

TEST_FIBER(a_cancelled_query_ends)
{
    skua_pg *pg = open_pg(1);
    skua_task *tasks[3];
    int result;

    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(NULL, asks_slowly, pg, .task = &tasks[i]), 0);
    CHECK_EQ(skua_sleep(MS(10)), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_task_cancel(tasks[i]), 0);
        CHECK_EQ(skua_task_join(tasks[i], &result), 0);
        CHECK(result == -ECANCELED || result == 0);
    }
    CHECK(echoes(pg, "behind them"));
    skua_pg_close(pg);
    return 0;
}

static int asks_very_slowly(void *arg)
{
    return asks(arg, "slow", TEST_SANITIZED ? "4" : "1");
}

/* A slow answer does not hold up those who come later, if there is another connection. */
TEST_FIBER_CURRENT(a_slow_query_is_passed)
{
    skua_pg *pg = open_pg(2);
    skua_task *task;
    int64_t begin;
    int result;

    while (skua_pg_up(pg) < 2)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    begin = skua_now();
    CHECK_EQ(skua_spawn(NULL, asks_very_slowly, pg, .task = &task), 0);
    CHECK_EQ(skua_sleep(MS(40)), 0);
    for (int i = 0; i < 6; i++)
        CHECK(echoes(pg, "passes"));
    CHECK_EQ(skua_task_done(task), 0);
    CHECK_RANGE(skua_now() - begin, 0, TEST_SANITIZED ? MS(3900) : MS(900));
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    skua_pg_close(pg);
    return 0;
}

static int asks_and_holds(void *arg)
{
    return asks(arg, "slow", "0.3");
}

TEST_FIBER_CURRENT(a_line_has_an_end)
{
    skua_pg_options options = pg_options(1);
    skua_task *tasks[4];
    int results[4], shed = 0;
    skua_pg *pg;

    options.pipeline_max = 1;
    options.waiting_max = 1;
    MUST(skua_pg_open(&pg, &options) == 0);
    MUST(skua_pg_ready(pg) == 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(skua_spawn(NULL, asks_and_holds, pg, .task = &tasks[i]), 0);
        CHECK_EQ(skua_sleep(MS(5)), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(skua_task_join(tasks[i], &results[i]), 0);
        CHECK(results[i] == 0 || results[i] == -EAGAIN);
        shed += results[i] == -EAGAIN;
    }
    CHECK_EQ(results[0], 0);
    CHECK_RANGE(shed, TEST_SANITIZED ? 0 : 1, 3);
    skua_pg_close(pg);
    return 0;
}

/* Closing lets those under way end. */
TEST_FIBER_CURRENT(closing_waits_for_answers)
{
    skua_pg *pg = open_pg(1);
    skua_task *task;
    int result;

    CHECK_EQ(skua_spawn(NULL, asks_slowly, pg, .task = &task), 0);
    CHECK_EQ(skua_sleep(MS(20)), 0);
    skua_pg_close(pg);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK(result == 0 || (TEST_SANITIZED && result == SKUA_ECLOSED));
    return 0;
}

/* ---- connections that break ------------------------------------------------------------------ */

TEST_FIBER(a_lost_connection_is_made_again)
{
    skua_pg_options options = pg_options(1);
    skua_pg *pg;

    options.retry_min = MS(1);
    options.retry_max = MS(5);
    MUST(skua_pg_open(&pg, &options) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(asks(pg, "die", NULL), -ECONNRESET);
        CHECK(echoes(pg, "a new one")); /* waits for it: nothing has failed yet */
    }
    skua_pg_close(pg);
    return 0;
}

static void keep_text(const char *text, void *arg)
{
    snprintf(arg, 256, "%s", text);
}

TEST_FIBER_CURRENT(no_server_is_said_at_once)
{
    char text[256] = "";
    skua_pg *pg;

    MUST(skua_pg_open(&pg, SKUA_PG_OPTIONS(.url = "postgresql://test@/x?host=/nonexistent",
                                           .connections = 1, .retry_min = SKUA_MINUTE,
                                           .retry_max = SKUA_MINUTE, .log = keep_text,
                                           .arg = text)) == 0);
    CHECK_EQ(skua_pg_ready(pg), -ENOTCONN);
    CHECK_EQ(asks(pg, "echo", "x"), -ENOTCONN); /* and not when it is tried again */
    skua_pg_close(pg);
    CHECK(strstr(text, "PostgreSQL connection 1 cannot be made") == text);
    CHECK(strstr(text, "/nonexistent") != NULL);
    return 0;
}

TEST_FIBER_CURRENT(a_wrong_setup_is_said)
{
    skua_pg_options options = pg_options(1);
    char text[256] = "";
    skua_pg *pg;

    options.setup = "SELECT 1; SELEC 2";
    options.log = keep_text;
    options.arg = text;
    MUST(skua_pg_open(&pg, &options) == 0);
    CHECK_EQ(skua_pg_ready(pg), -ENOTCONN);
    skua_pg_close(pg);
    CHECK(strstr(text, "syntax error") != NULL);
    return 0;
}

/* Stopped before anything has come of it, at any point of making connections. */
TEST_FIBER(closing_at_any_moment)
{
    int fds = test_fd_count();

    for (int i = 0; i < 10; i++) {
        skua_pg_options options = pg_options(3);
        skua_pg *pg;

        MUST(skua_pg_open(&pg, &options) == 0);
        if (i % 2 == 0)
            CHECK_EQ(skua_sleep(i * MS(2)), 0);
        else
            while (skua_pg_up(pg) < 3)
                CHECK_EQ(skua_sleep(MS(1)), 0);
        skua_pg_close(pg);
    }
    CHECK(settles(fds));
    return 0;
}

/* The server goes away and comes back: queries say so, and go on. */
TEST_FIBER_CURRENT(the_server_goes_and_comes)
{
    skua_pg_options options = pg_options(2);
    int64_t begin;
    skua_pg *pg;
    int rc = 0;

    options.retry_max = MS(100);
    MUST(skua_pg_open(&pg, &options) == 0);
    MUST(skua_pg_ready(pg) == 0);
    CHECK(echoes(pg, "before"));
    MUST(server("stop") == 0);
    begin = skua_now();
    while (rc != -ENOTCONN && skua_now() - begin < 2 * TEST_LATE) {
        rc = asks(pg, "echo", "x");
        CHECK(rc == -ENOTCONN || rc == -ECONNRESET || rc == -EAGAIN);
    }
    CHECK_EQ(rc, -ENOTCONN);
    MUST(server("start") == 0);
    begin = skua_now();
    while (asks(pg, "echo", "x") != 0 && skua_now() - begin < 4 * TEST_LATE)
        CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK(echoes(pg, "after"));
    skua_pg_close(pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_own_answers),
        cmocka_unit_test(plain_threads_ask),
        cmocka_unit_test(long_parameters_and_results),
        cmocka_unit_test(codes_of_failures),
        cmocka_unit_test(a_deadline_ends_a_query),
        cmocka_unit_test(a_cancelled_query_ends),
        cmocka_unit_test(a_slow_query_is_passed),
        cmocka_unit_test(a_line_has_an_end),
        cmocka_unit_test(closing_waits_for_answers),
        cmocka_unit_test(a_lost_connection_is_made_again),
        cmocka_unit_test(no_server_is_said_at_once),
        cmocka_unit_test(a_wrong_setup_is_said),
        cmocka_unit_test(closing_at_any_moment),
        cmocka_unit_test(the_server_goes_and_comes),
    };
    int rc;

    strcpy(folder, "/tmp/skua-pg.XXXXXX");
    MUST(mkdtemp(folder) != NULL);
    snprintf(url, sizeof url, "postgresql://test@/postgres?host=%s/run", folder);
    rc = server("start");
    if (rc != 0) {
        (void)rmdir(folder);
        puts(rc == 77 ? "skipped: there is no PostgreSQL server" : "PostgreSQL did not start");
        return rc == 77 ? 77 : 1;
    }
    atexit(server_end);
    return TEST_MAIN(tests);
}
