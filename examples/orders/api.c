/* api.c - the routes of the service, and what stands around them.
 *
 *     around everything     request id, access log, error pages (problem+json, RFC 9457)
 *     around the API        a time-out, and a limit of requests at a time: more get 503
 *     outside of the limit  a busy service is not a sick one:
 *     GET  /health          whether it takes requests: it has started, is not stopping, and the
 *                           database answers (?verbose as JSON)
 *     GET  /metrics         for Prometheus
 *     the API
 *     GET  /users/:id
 *     GET  /users/:id/orders?limit=&after=
 *     GET  /orders?limit=&after=
 *     GET  /orders/:id
 *     POST /orders          {"user": 1, "items": [{"sku": "tea", "quantity": 2, "price": 350}]}
 *
 * A handler reads as what it does: values out of the request (an extractor that fails has its 400
 * already), a call of the store, a reply. Each waits in the middle; none of them shows.
 */
#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <skua/http/extract.h>
#include <skua/http/json.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order_json.h"
#include "telemetry.h"

#define PAGE_DEFAULT 20

/* ---- errors ---------------------------------------------------------------------------------- */

/* Every error of the service is an object of the type application/problem+json. */
static int problem_page(skua_http_exchange *exchange, int status, const char *detail, void *state)
{
    json_t *object =
        json_pack("{s:s, s:s, s:i, s:s*, s:s, s:s*}", "type", "about:blank", "title",
                  skua_http_reason(status), "status", status, "detail", detail, "instance",
                  skua_http_path(exchange), "request", skua_http_request_id(exchange));
    int rc = -ENOMEM; /* a detail or a path that is no UTF-8: the plain page is good enough */

    (void)state;
    if (object != NULL)
        rc = skua_http_set_header(exchange, "Content-Type", "application/problem+json");
    if (rc == 0)
        rc = skua_http_reply_json(exchange, status, object);
    json_decref(object);
    return rc;
}

/* Nothing is wrong with the request: the client may try again in a second. */
static int try_again(skua_http_exchange *exchange, const char *detail)
{
    int rc = skua_http_set_header(exchange, "Retry-After", "1");

    return rc == 0 ? skua_http_refuse(exchange, 503, detail) : rc;
}

/* What a store's code is to the client (store.h). */
static int store_failed(skua_http_exchange *exchange, int rc)
{
    switch (rc) {
    case -ENOENT:
        return skua_http_fail(exchange, rc, 404, "there is no such thing");
    case -ENOTCONN:
    case -EAGAIN:
    case SKUA_ECLOSED:
        return try_again(exchange, "the database is not there, or too busy");
    case -ECONNRESET:
        return try_again(exchange, "the database went away: it is not known whether this was done");
    default:
        return rc; /* -ETIMEDOUT: 504, and 500 for what nobody has foreseen */
    }
}

/* ---- handlers -------------------------------------------------------------------------------- */

/* For /health, on a fiber of its own. */
static int check_store(void *arg)
{
    struct store *store = arg;

    return store->ping(store);
}

static int get_id(skua_http_exchange *exchange, int64_t *id)
{
    return skua_http_get_int64(exchange, SKUA_HTTP_PATH | SKUA_HTTP_REQUIRED, "id", id, 1,
                               INT64_MAX);
}

static int get_user(skua_http_exchange *exchange, void *state)
{
    struct store *store = ((struct api *)state)->store;
    struct user user;
    int64_t id;
    int rc;

    if ((rc = get_id(exchange, &id)) < 0)
        return rc;
    if ((rc = store->user(store, id, &user)) != 0)
        return store_failed(exchange, rc);
    return order_json_reply_user(exchange, &user);
}

static int get_order(skua_http_exchange *exchange, void *state)
{
    struct store *store = ((struct api *)state)->store;
    struct order order;
    int64_t id;
    int rc;

    if ((rc = get_id(exchange, &id)) < 0)
        return rc;
    if ((rc = store->order(store, id, &order)) != 0)
        return store_failed(exchange, rc);
    rc = order_json_reply(exchange, 200, &order);
    order_free(&order);
    return rc;
}

/* A page of orders: those behind `after`, which is the id of the last one of the page before. It
 * costs the same wherever it is, and orders that come meanwhile do not move it. */
static int list(skua_http_exchange *exchange, struct store *store, int64_t user)
{
    int64_t limit = PAGE_DEFAULT;
    struct page_query query = {.user = user};
    struct page *page = skua_http_alloc(exchange, sizeof *page);
    char base[40] = "/orders", next[128], link[160];
    int rc;

    if (page == NULL)
        return -ENOMEM;
    if ((rc = skua_http_get_int64(exchange, SKUA_HTTP_QUERY, "limit", &limit, 1, STORE_PAGE_MAX)) <
            0 ||
        (rc = skua_http_get_int64(exchange, SKUA_HTTP_QUERY, "after", &query.after, 0, INT64_MAX)) <
            0)
        return rc;
    query.limit = (int)limit;
    if ((rc = store->orders(store, &query, page)) != 0)
        return store_failed(exchange, rc);
    if (page->more) {
        if (user != 0)
            (void)snprintf(base, sizeof base, "/users/%" PRId64 "/orders", user);
        (void)snprintf(next, sizeof next, "%s?limit=%" PRId64 "&after=%" PRId64, base, limit,
                       page->orders[page->count - 1].id);
        (void)snprintf(link, sizeof link, "<%s>; rel=\"next\"", next);
        (void)skua_http_set_header(exchange, "Link", link); /* RFC 8288 */
    }
    rc = order_json_reply_page(exchange, page, page->more ? next : NULL);
    page_free(page);
    return rc;
}

static int get_orders(skua_http_exchange *exchange, void *state)
{
    return list(exchange, ((struct api *)state)->store, 0);
}

static int get_orders_of_user(skua_http_exchange *exchange, void *state)
{
    struct store *store = ((struct api *)state)->store;
    struct user user;
    int64_t id;
    int rc;

    if ((rc = get_id(exchange, &id)) < 0)
        return rc;
    if ((rc = store->user(store, id, &user)) != 0)
        return store_failed(exchange, rc);
    return list(exchange, store, id);
}

/* The key of the request, if it has one: 1 to 64 visible characters. */
static int get_key(skua_http_exchange *exchange, const char **key)
{
    int rc = skua_http_get_string(exchange, SKUA_HTTP_HEADER, "Idempotency-Key", key, 64);

    if (rc <= 0)
        return rc;
    for (const char *at = *key; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            rc = 0;
    return rc == 1 && **key != '\0'
               ? 0
               : skua_http_fail(exchange, -EINVAL, 400,
                                "Idempotency-Key: 1 to 64 visible characters are wanted");
}

/* With an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) a client that does not know
 * whether its order was taken sends it again: it is taken once. */
static int post_order(skua_http_exchange *exchange, void *state)
{
    struct api *api = state;
    struct new_order wanted = {.key = NULL};
    struct order order;
    char location[40];
    bool again = false;
    int rc;

    if ((rc = get_key(exchange, &wanted.key)) != 0 ||
        (rc = order_json_read(exchange, &wanted, (size_t)api->config->body_bytes)) != 0)
        return rc;
    rc = api->store->add(api->store, &wanted, &order, &again);
    if (rc == -ENOENT)
        return skua_http_fail(exchange, rc, 422, "user: there is no such user");
    if (rc == -EEXIST)
        return skua_http_fail(exchange, rc, 409, "the Idempotency-Key was used for another order");
    if (rc != 0)
        return store_failed(exchange, rc);
    if (!again) {
        skua_counter_add(&orders_created, 1);
        skua_log_debug(&orders_log, "order stored", SKUA_I64("order.id", order.id),
                       SKUA_I64("order.total", order.total));
    }
    (void)snprintf(location, sizeof location, "/orders/%" PRId64, order.id);
    rc = skua_http_set_header(exchange, "Location", location);
    if (rc == 0 && again)
        rc = skua_http_set_header(exchange, "Idempotency-Replayed", "true");
    if (rc == 0)
        rc = order_json_reply(exchange, 201, &order);
    order_free(&order);
    return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int api_routes(struct api *self)
{
    static const struct {
        const char *method, *pattern;
        skua_http_handler handler;
    } routes[] = {
        {"GET", "/users/:id", get_user}, {"GET", "/users/:id/orders", get_orders_of_user},
        {"GET", "/orders", get_orders},  {"GET", "/orders/:id", get_order},
        {"POST", "/orders", post_order},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof routes / sizeof *routes; i++)
        rc = skua_http_route(self->router, routes[i].method, routes[i].pattern, routes[i].handler,
                             self);
    if (rc == 0) /* around those that are there: the two below come later */
        rc = skua_http_route_layer(self->router, skua_http_timeout_layer, &self->timeout);
    if (rc == 0)
        rc = skua_http_route_layer(self->router, skua_http_limit_layer, &self->limit);
    if (rc == 0)
        rc = skua_http_route(self->router, "GET", "/health", skua_http_health_ready, self->health);
    if (rc == 0)
        rc = skua_http_route(self->router, "GET", "/metrics", telemetry_page, NULL);
    return rc;
}

int api_init(struct api *self, const struct config *config, struct store *store)
{
    int rc;

    *self = (struct api){
        .config = config,
        .store = store,
        .limit = SKUA_HTTP_LIMIT(.limiter = &self->running),
        .log = SKUA_HTTP_LOG(.format = SKUA_HTTP_LOG_COMMON,
                             .file = config->log == CONFIG_LOG_COMMON ? stderr : NULL),
        .pages = SKUA_HTTP_PAGES(.page = problem_page),
        .timeout = config->timeout_ms * SKUA_MILLISECOND,
    };
    rc =
        skua_limiter_init(&self->running, SKUA_LIMITER_OPTIONS(.running = (size_t)config->running,
                                                               .waiting = (size_t)config->waiting));
    if (rc == 0)
        rc = skua_http_health_new(&self->health);
    if (rc == 0)
        rc = skua_http_health_add(self->health, store->name, check_store, store, NULL);
    if (rc == 0)
        rc = skua_http_router_new(&self->router);
    if (rc == 0)
        rc = api_routes(self);
    if (rc != 0) {
        api_done(self);
        return rc;
    }
    self->around[0] = (skua_http_layer){skua_http_request_id_layer, NULL};
    self->around[1] = config->log == CONFIG_LOG_JSON
                          ? (skua_http_layer){telemetry_access, NULL}
                          : (skua_http_layer){skua_http_log_layer, &self->log};
    self->around[2] = (skua_http_layer){skua_http_pages_layer, &self->pages};
    self->chain =
        (skua_http_chain)SKUA_HTTP_CHAIN(self->around, skua_http_router_handler, self->router);
    return 0;
}

void api_done(struct api *self)
{
    skua_http_router_free(self->router);
    skua_http_health_free(self->health);
}
