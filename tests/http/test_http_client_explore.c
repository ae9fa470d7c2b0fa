/* test_http_client_explore.c - the client's pool in a thousand orders.
 *
 * Specifies client.h, "Pool": whatever the order of requests, ends, cancellations and deadlines,
 * and whatever is evicted for whom, nobody is forgotten in line, the limits hold, nothing leaks.
 */
#include <unistd.h>

#include <skua/test.h>
#include <skua/unix.h>

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
    (void)state;
    return (int)skua_http_write(exchange, "abc", 3) - 3;
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
    struct world world = {
        .client = client_with(
            SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = arg != NULL ? 1 : 2,
                                     .connections_max = 2, .head_timeout = SKUA_FOREVER,
                                     .read_timeout = SKUA_FOREVER, .write_timeout = SKUA_FOREVER,
                                     .connect_timeout = SKUA_FOREVER))};
    struct asker askers[ASKERS];
    skua_task *tasks[ASKERS];
    static int names;
    bool victims[ASKERS] = {false};

    for (int i = 0; i < SITES; i++) {
        struct site *site = &world.sites[i];

        (void)snprintf(site->address, sizeof site->address, "@skua-explore-%d-%d", (int)getpid(),
                       names++);
        MUST(skua_http_server_new(&site->server, answers, NULL,
                                  SKUA_HTTP_SERVER_OPTIONS(.requests_max = 2)) == 0);
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
    }
    CHECK_EQ(client_stats(world.client).waiting_now, 0);
    CHECK_EQ(client_stats(world.client).connections_now,
             client_stats(world.client).connections_idle);
    CHECK_EQ(skua_http_client_free(world.client), 0);
    for (int i = 0; i < SITES; i++)
        site_end(&world.sites[i]);
    return 0;
}

TEST(client_pool_in_every_order)
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
        cmocka_unit_test(client_pool_in_every_order),
    };

    return TEST_MAIN(tests);
}
