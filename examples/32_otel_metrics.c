/* 32_otel_metrics.c - metrics for Prometheus: counted anywhere, read when somebody comes for them.
 *
 *     counter     shop.orders       how many, by what became of them; bound: 2 ns each
 *     histogram   shop.order.value  how much, in buckets of its own
 *     updown      shop.carts        how many there are now
 *     observable  shop.stock        is asked for when the page is
 *
 *     GET http://127.0.0.1:PORT/metrics
 *
 * Whoever asks gets the values of that moment; nothing runs in between. Here the program asks
 * itself, once, and prints what it was told. */
#include <skua/http/client.h>
#include <skua/http/server.h>
#include <skua/metric.h>
#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include <stdio.h>

static const skua_meter meter = SKUA_METER("example.shop", "1.0.0");
static const double cents[] = {100, 1000, 10000};

static skua_counter orders = SKUA_COUNTER(&meter, "shop.orders", "{order}", "Orders taken.");
static skua_histogram value =
    SKUA_HISTOGRAM_BOUNDS(&meter, "shop.order.value", "{cent}", "What orders are worth.", cents);
static skua_updown carts = SKUA_UPDOWN(&meter, "shop.carts", "{cart}", "Carts that are open.");
static skua_observable stock =
    SKUA_OBSERVABLE_GAUGE(&meter, "shop.stock", "{box}", "Boxes that are left.");

/* ---- what is measured ------------------------------------------------------------------------ */

static void count_stock(skua_observer *observer, void *arg)
{
    const int *boxes = arg;

    skua_observe(observer, &stock, *boxes, SKUA_STR("sku", "tea"));
}

/* On any thread, as often as it likes: a value goes to memory of the thread's own. */
static void sell(int *boxes)
{
    skua_bound paid = {.instrument = NULL};

    if (skua_bind(&orders, &paid, SKUA_STR("status", "paid")) != 0)
        return;
    for (int i = 0; i < 100; i++) {
        skua_updown_add(&carts, 1);
        skua_histogram_record(&value, 50.0 * i);
        if (i % 10 == 9) {
            skua_counter_add(&orders, 1, SKUA_STR("status", "refused"));
        } else {
            skua_bound_add(&paid, 1);
            --*boxes;
        }
        if (i >= 3)
            skua_updown_add(&carts, -1);
    }
    skua_unbind(&paid);
}

/* ---- the page -------------------------------------------------------------------------------- */

static int print_page(skua_listener *listener)
{
    char address[SKUA_ADDRESS_MAX], url[SKUA_ADDRESS_MAX + 16];
    skua_http_client *client;
    skua_http_response *response;
    int rc = skua_http_client_new(&client, NULL);

    if (rc != 0)
        return rc;
    rc = skua_listener_address(listener, address, sizeof address);
    (void)snprintf(url, sizeof url, "http://%s/metrics", address);
    if (rc == 0)
        rc = skua_http_get(client, url, 1 << 20, &response);
    if (rc == 0) {
        fputs(skua_http_response_body(response, NULL), stdout);
        skua_http_response_close(response);
    }
    skua_http_client_free(client);
    return rc;
}

struct place {
    skua_http_server *server;
    skua_listener *listener;
};

static int serve(void *arg)
{
    struct place *place = arg;

    return skua_http_server_run(place->server, place->listener);
}

/* `arg`: what makes the page, skua_otel_prometheus_handler's state. */
static int shop(void *arg)
{
    static int boxes = 200;
    static skua_observing observing;
    struct place place;
    skua_scope scope;
    int rc = skua_http_server_new(&place.server, skua_otel_prometheus_handler, arg, NULL);

    if (rc != 0)
        return rc;
    (void)skua_observing_begin(&observing, count_stock, &boxes);
    sell(&boxes);
    rc = skua_tcp_listen(&place.listener, "127.0.0.1:0", NULL);
    if (rc == 0) {
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        rc = skua_spawn(&scope, serve, &place);
        if (rc == 0)
            rc = print_page(place.listener);
        (void)skua_scope_cancel(&scope);
        (void)skua_scope_join(&scope);
        (void)skua_listener_close(place.listener);
    }
    skua_http_server_free(place.server);
    skua_observing_end(&observing);
    return rc;
}

int main(void)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_otel_prometheus page = {.reader = reader, .without_scope = 1, .without_target = 1};
    int rc = reader != NULL
                 ? skua_otel_start(SKUA_OTEL_OPTIONS(.readers = &reader, .readers_count = 1,
                                                     .environment_off = 1, .self_metrics_off = 1))
                 : -1;

    if (rc == 0)
        rc = skua_main(shop, &page, NULL);
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    skua_otel_reader_free(reader);
    return rc != 0;
}
