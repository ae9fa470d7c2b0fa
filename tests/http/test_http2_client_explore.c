/* test_http2_client_explore.c - connections that are shared, in a thousand orders.
 *
 * Specifies client.h, "Pool" and "HTTP/2", and call.h: whatever the order of requests, calls, ends,
 * cancellations and deadlines, somebody reads and somebody sends for all, nobody is forgotten in
 * line, the limits hold, nothing leaks.
 */
#include <unistd.h>

#include <skua/test.h>
#include <skua/unix.h>

#include <skua/http/call.h>

#include "peer.h"

#define SITES 2
#define ASKERS 6

struct world {
    skua_http_client *client;
    struct site sites[SITES];
    atomic_int answered;
};

struct asker {
    struct world *world;
    uint64_t random;
    int rc;
};

static int answers(skua_http_exchange *exchange, void *state)
{
    char buf[16];
    ssize_t n;

    (void)state;
    if (strcmp(skua_http_method(exchange), "GET") == 0)
        return (int)skua_http_write(exchange, "abc", 3) - 3;
    n = skua_http_flush(exchange);
    while (n == 0 && (n = skua_http_read(exchange, buf, sizeof buf)) > 0) {
        n = skua_http_write(exchange, buf, (size_t)n);
        n = n < 0 ? n : skua_http_flush(exchange);
    }
    return 0;
}

/* As a call: what it writes comes back. */
static int calls(struct world *world, const skua_http_request *request, uint64_t r)
{
    skua_http_response *response;
    skua_http_call *call;
    char buf[4];
    int rc = skua_http_client_open(world->client, request, &call);

    if (rc != 0)
        return rc;
    rc = skua_http_call_response(call, &response);
    if (rc == 0)
        rc = skua_http_call_write(call, "abc", 3);
    if (r & 64)
        (void)skua_yield();
    if (rc == 0 && r & 16)
        rc = (int)skua_http_response_read(response, buf, sizeof buf);
    rc = rc > 0 ? 0 : rc;
    if (rc == -ECONNRESET && skua_http_call_unprocessed(call))
        rc = 0; /* it is for the caller to make it again */
    if (r & 128)
        skua_http_call_cancel(call, 8);
    skua_http_call_close(call);
    return rc;
}

static int asks(void *arg)
{
    struct asker *self = arg;
    struct world *world = self->world;
    uint64_t r = self->random;
    skua_http_response *response;
    skua_http_client_stats stats;
    skua_deadline frame;

    (void)skua_deadline_begin(&frame, r & 8 ? SKUA_FOREVER : skua_now() + (int64_t)(r >> 8 & 7));
    if (r & 4) {
        self->rc = calls(world,
                         SKUA_HTTP_REQUEST(.url = "http://a/", .method = "POST",
                                           .unix_path = world->sites[r & 1].address),
                         r);
        (void)skua_deadline_end(&frame);
        return 0;
    }
    self->rc = skua_http_client_send(
        world->client,
        SKUA_HTTP_REQUEST(.url = "http://a/", .unix_path = world->sites[r & 1].address), &response);
    if (self->rc == 0) {
        skua_http_client_stats_of(world->client, &stats);
        CHECK_RANGE(stats.connections_now, 0, 2);
        if (r & 16)
            self->rc = skua_http_response_read_all(response, NULL, NULL, 3);
        if (r & 32)
            (void)skua_yield();
        skua_http_response_close(response);
    }
    (void)skua_deadline_end(&frame);
    return 0;
}

static int in_some_order(void *arg)
{
    struct world world = {.client = client_with(SKUA_HTTP_CLIENT_OPTIONS(
                                  .connections_per_origin = arg != NULL ? 1 : 2,
                                  .connections_max = 2, .http2 = SKUA_HTTP2_ONLY,
                                  .head_timeout = SKUA_FOREVER, .read_timeout = SKUA_FOREVER,
                                  .write_timeout = SKUA_FOREVER, .connect_timeout = SKUA_FOREVER))};
    struct asker askers[ASKERS];
    skua_task *tasks[ASKERS];
    static int names;
    bool victims[ASKERS] = {false};

    for (int i = 0; i < SITES; i++) {
        struct site *site = &world.sites[i];

        (void)snprintf(site->address, sizeof site->address, "@skua-explore2-%d-%d", (int)getpid(),
                       names++);
        MUST(skua_http_server_new(&site->server, answers, NULL,
                                  SKUA_HTTP_SERVER_OPTIONS(.requests_max = 4, .streams_max = 2)) ==
             0);
        MUST(skua_unix_listen(&site->listener, site->address, NULL) == 0);
        MUST(skua_spawn(NULL, site_run, site, .task = &site->task) == 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){&world, skua_test_random(), 1};
        MUST(skua_spawn(NULL, asks, &askers[i], .task = &tasks[i]) == 0);
    }
    for (int i = 0; i < 3; i++) {
        unsigned victim = (unsigned)(skua_test_random() % ASKERS);

        for (uint64_t turns = skua_test_random() % 16; turns > 0; turns--)
            (void)skua_yield();
        (void)skua_task_cancel(tasks[victim]);
        victims[victim] = true;
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        int rc = skua_task_join(tasks[i], NULL);

        CHECK_EQ(rc, 0);
        rc = askers[i].rc;
        CHECK(rc == 0 || (rc == -ETIMEDOUT && !(askers[i].random & 8)) ||
              (victims[i] && (rc == -ECANCELED || rc == 1)));
        if (rc != 0 && rc != -ETIMEDOUT && rc != -ECANCELED && rc != 1)
            test_note("asker %u: %d, %s", i, rc, askers[i].random & 4 ? "call" : "get");
    }
    CHECK_EQ(client_stats(world.client).waiting_now, 0);
    CHECK_EQ(client_stats(world.client).connections_now,
             client_stats(world.client).connections_idle);
    CHECK_EQ(client_stats(world.client).streams_now, 0);
    CHECK_EQ(skua_http_client_free(world.client), 0);
    for (int i = 0; i < SITES; i++)
        site_end(&world.sites[i]);
    return 0;
}

TEST(http2_pool_in_every_order)
{
    int before = test_fd_count();

    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), in_some_order, NULL), 0);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), in_some_order, &before), 0);
    CHECK_EQ(test_fd_settle(before), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_pool_in_every_order),
    };

    return TEST_MAIN(tests);
}
