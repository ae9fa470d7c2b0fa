/* 15_resilient_client.c - a client that lives with a flaky server: connections from a pool, a
 * second request when the first is slow, retries with a budget when both fail.
 *
 *     cc 15_resilient_client.c -lskua && ./a.out
 */
#include <stdio.h>

#include <skua/skua.h>

/* What the server, in the same program, does with one request after the other: it answers, is
 * slow, or hangs up. */
static const char habits[] = "aaasaaaahaaaahh";

static unsigned served, dialled, hedged, retried; /* one worker: no lock is needed */

static int serve(void *arg)
{
    skua_tcp *conn = arg;
    char line[32];
    ssize_t n;

    while ((n = skua_tcp_read(conn, line, sizeof line)) > 0) {
        char habit = habits[served++ % (sizeof habits - 1)];

        if (habit == 'h' || (habit == 's' && skua_sleep(SKUA_SECOND / 5) < 0) ||
            skua_tcp_write_all(conn, line, (size_t)n) < 0)
            break;
    }
    skua_tcp_close(conn);
    return 0;
}

static int server(void *arg)
{
    skua_tcp *conn;

    while (skua_tcp_accept(arg, &conn) == 0)
        if (skua_spawn(NULL, serve, conn) < 0)
            skua_tcp_close(conn);
    return 0;
}

static int dial(void *ctx, void **object)
{
    skua_tcp *conn = NULL;
    int rc = skua_tcp_connect(&conn, ctx, NULL);

    dialled++;
    *object = conn;
    return rc;
}

static void hang_up(void *ctx, void *object)
{
    (void)ctx;
    skua_tcp_close(object);
}

struct request {
    skua_pool *pool;
    int number;
};

/* One request over one connection, which is of no use any more when anything went wrong. */
static int ask(void *arg)
{
    struct request *request = arg;
    char line[32];
    void *conn;
    ssize_t n = snprintf(line, sizeof line, "request %d", request->number);
    int rc = skua_pool_get(request->pool, &conn);

    if (rc < 0)
        return rc;
    rc = (int)skua_tcp_write_all(conn, line, (size_t)n);
    if (rc >= 0)
        rc = (int)skua_tcp_read_exact(conn, line, (size_t)n);
    (rc < 0 ? skua_pool_discard : skua_pool_put)(request->pool, conn);
    return rc;
}

/* One try: a second request when the first takes longer than 20 ms, or has failed. */
static int try_once(void *arg)
{
    void *args[2] = {arg, arg};
    size_t winner = 0;
    int rc = skua_hedge_call(ask, args, 2, 20 * SKUA_MILLISECOND, &winner);

    hedged += winner;
    return rc;
}

/* A server that hangs up may be there again soon: unlike by default, that is worth a retry, too. */
static int worth_it(int rc, void *arg)
{
    (void)arg;
    return rc == SKUA_EEOF || skua_error_kind(rc) == SKUA_ERROR_IO;
}

static void told(unsigned attempt, int rc, int64_t pause, void *arg)
{
    retried++;
    printf("request %d, try %u: %s; once more in %d ms\n", ((struct request *)arg)->number, attempt,
           skua_strerror(rc), (int)(pause / SKUA_MILLISECOND));
}

static int ask_all(skua_pool *pool)
{
    static skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;
    int rc = 0;

    for (int i = 1; rc >= 0 && i <= 60; i++)
        rc = skua_retry(
            try_once, &(struct request){pool, i},
            SKUA_RETRY_OPTIONS(.retry_if = worth_it, .on_retry = told, .try_timeout = SKUA_SECOND,
                               .backoff = SKUA_BACKOFF_OPTIONS(.initial = 20 * SKUA_MILLISECOND,
                                                               .attempts = 4, .budget = &budget)));
    return rc < 0 ? rc : 0;
}

static int app(void *arg)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_pool *pool;
    int rc = skua_tcp_listen(&listener, arg, NULL);

    if (rc < 0)
        return rc;
    skua_listener_address(listener, address, sizeof address);
    rc = skua_spawn(NULL, server, listener);
    if (rc == 0)
        rc = skua_pool_new(&pool,
                           SKUA_POOL_OPTIONS(.create = dial, .destroy = hang_up, .ctx = address));
    if (rc == 0) {
        rc = ask_all(pool);
        skua_pool_free(pool);
    }
    skua_listener_close(listener);
    printf("%u requests over %u connections; %u answers to the second one, %u retries\n", served,
           dialled, hedged, retried);
    return rc;
}

int main(void)
{
    return skua_main(app, "127.0.0.1:0", SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
}
