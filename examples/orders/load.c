/* load.c - many clients of the orders service, and what they saw.
 *
 *     orders-load http://127.0.0.1:8080 [CLIENTS [SECONDS]]          (64 clients, 5 s)
 *
 * Each client is a fiber with a connection of its own. It asks one thing after the other: of ten
 * requests three are POST /orders, and the others read an order, a user, or a page. How long each
 * took goes into a histogram of its own; these are added up at the end. Status 0 when nothing
 * failed.
 */
#include <errno.h>
#include <inttypes.h>
#include <skua/http/client.h>
#include <skua/http/exchange.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 1000

/* ---- a histogram ----------------------------------------------------------------------------- */

/* Times by their highest bit and the 5 bits below it: each bucket is 3 % wide, from 1 ns to hours,
 * in the way of HdrHistogram. */
#define BITS 5
#define BUCKETS (64 << BITS)

struct histogram {
    uint64_t count;
    uint64_t buckets[BUCKETS];
};

static unsigned bucket_of(uint64_t ns)
{
    unsigned top = ns < (2u << BITS) ? BITS : 63u - (unsigned)__builtin_clzll(ns);

    return ((top - BITS) << BITS) + (unsigned)(ns >> (top - BITS));
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    unsigned shift = bucket < (2u << BITS) ? 0 : (bucket >> BITS) - 1;

    return (double)((uint64_t)(bucket - (shift << BITS)) << shift) + (double)(1ull << shift) / 2;
}

static void histogram_add(struct histogram *self, int64_t ns)
{
    self->buckets[bucket_of((uint64_t)ns)]++;
    self->count++;
}

static void histogram_merge(struct histogram *self, const struct histogram *other)
{
    self->count += other->count;
    for (unsigned i = 0; i < BUCKETS; i++)
        self->buckets[i] += other->buckets[i];
}

/* What this share of all did not take longer than, in ms. */
static double histogram_ms(const struct histogram *self, double share)
{
    uint64_t before = 0;

    for (unsigned i = 0; i < BUCKETS; i++)
        if ((double)(before += self->buckets[i]) >= share * (double)self->count && before != 0)
            return bucket_ns(i) / 1e6;
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

enum kind { POST_ORDER, GET_ORDER, GET_USER, GET_PAGE, KINDS };

static const char *const kind_names[KINDS] = {"POST /orders", "GET /orders/:id", "GET /users/:id",
                                              "GET /orders?limit=10"};

struct load {
    const char *origin;
    skua_http_client *http;
    int64_t end; /* monotonic ns */
};

struct client {
    struct load *load;
    uint64_t random;
    int64_t posted; /* the id of the last order that was taken; 0: none yet */
    uint64_t failed;
    char failure[120]; /* the first one */
    struct histogram times[KINDS];
};

/* xorshift64. */
static uint64_t next_random(struct client *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

static enum kind choose(struct client *self)
{
    static const enum kind mix[10] = {POST_ORDER, POST_ORDER, POST_ORDER, GET_ORDER, GET_ORDER,
                                      GET_ORDER,  GET_ORDER,  GET_USER,   GET_USER,  GET_PAGE};
    enum kind kind = mix[next_random(self) % 10];

    return kind == GET_ORDER && self->posted == 0 ? POST_ORDER : kind;
}

static void failed(struct client *self, enum kind kind, const char *why)
{
    if (self->failed++ == 0)
        (void)snprintf(self->failure, sizeof self->failure, "%s: %s", kind_names[kind], why);
}

static void ask(struct client *self, enum kind kind)
{
    const char *origin = self->load->origin, *location;
    skua_http_client *http = self->load->http;
    skua_http_response *response;
    char url[160], body[160];
    int64_t begin;
    int rc, status;

    if (kind == GET_ORDER)
        (void)snprintf(url, sizeof url, "%s/orders/%" PRId64, origin, self->posted);
    else if (kind == GET_USER)
        (void)snprintf(url, sizeof url, "%s/users/%u", origin,
                       (unsigned)(next_random(self) % 3) + 1);
    else
        (void)snprintf(url, sizeof url, "%s/orders%s", origin, kind == GET_PAGE ? "?limit=10" : "");
    (void)snprintf(body, sizeof body,
                   "{\"user\":%u,\"items\":[{\"sku\":\"tea-%u\",\"quantity\":%u,\"price\":350}]}",
                   (unsigned)(next_random(self) % 3) + 1, (unsigned)(next_random(self) % 1000),
                   (unsigned)(next_random(self) % 9) + 1);
    begin = skua_now();
    rc = kind == POST_ORDER
             ? skua_http_post(http, url, "application/json", body, strlen(body), 1 << 20, &response)
             : skua_http_get(http, url, 1 << 20, &response);
    if (rc == -ECANCELED)
        return;
    if (rc != 0) {
        failed(self, kind, skua_strerror(rc));
        (void)skua_sleep(10 * SKUA_MILLISECOND); /* nobody there: no need to spin */
        return;
    }
    histogram_add(&self->times[kind], skua_now() - begin);
    status = skua_http_response_status(response);
    location = skua_http_response_header(response, "Location");
    if (status != (kind == POST_ORDER ? 201 : 200))
        failed(self, kind, skua_http_reason(status));
    else if (kind == POST_ORDER && location != NULL)
        self->posted = strtoll(location + strcspn(location, "0123456789"), NULL, 10);
    skua_http_response_close(response);
}

static int client_run(void *arg)
{
    struct client *self = arg;

    while (skua_now() < self->load->end && skua_cancelled() == 0)
        ask(self, choose(self));
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void line(const char *name, const struct histogram *times, double seconds)
{
    printf("  %-22s %9.0f %11.2f %9.2f %9.2f\n", name, (double)times->count / seconds,
           histogram_ms(times, 0.5), histogram_ms(times, 0.99), histogram_ms(times, 1));
}

/* Returns how many requests failed. */
static uint64_t report(const struct client *clients, int count, double seconds)
{
    static struct histogram all, kinds[KINDS];
    const char *why = NULL;
    uint64_t errors = 0;

    for (int i = 0; i < count; i++) {
        errors += clients[i].failed;
        why = clients[i].failed != 0 ? clients[i].failure : why;
        for (int kind = 0; kind < KINDS; kind++)
            histogram_merge(&kinds[kind], &clients[i].times[kind]);
    }
    printf("  %-22s %9s %11s %9s %9s\n", "", "requests/s", "p50 ms", "p99 ms", "max ms");
    for (int kind = 0; kind < KINDS; kind++) {
        line(kind_names[kind], &kinds[kind], seconds);
        histogram_merge(&all, &kinds[kind]);
    }
    line("all", &all, seconds);
    printf("  %d clients, %.1f s, %" PRIu64 " requests, %" PRIu64 " errors%s%s\n", count, seconds,
           all.count, errors, why != NULL ? "; one: " : "", why != NULL ? why : "");
    return errors + (all.count == 0);
}

struct options {
    const char *origin;
    int clients;
    double seconds;
};

static int run(void *arg)
{
    const struct options *options = arg;
    struct load load = {.origin = options->origin};
    struct client *clients = calloc((size_t)options->clients, sizeof *clients);
    int64_t begin = skua_now();
    skua_scope scope;
    int rc;

    if (clients == NULL)
        return -ENOMEM;
    rc = skua_http_client_new(
        &load.http, SKUA_HTTP_CLIENT_OPTIONS(.connections_max = (size_t)options->clients,
                                             .connections_per_origin = (size_t)options->clients));
    if (rc == 0) {
        load.end = begin + (int64_t)(options->seconds * SKUA_SECOND);
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        for (int i = 0; rc == 0 && i < options->clients; i++) {
            clients[i].load = &load;
            clients[i].random = 88172645463325252u + (unsigned)i;
            rc = skua_spawn(&scope, client_run, &clients[i]);
        }
        (void)skua_scope_join(&scope);
        if (rc == 0 && report(clients, options->clients, (double)(skua_now() - begin) / 1e9) != 0)
            rc = -EIO;
        (void)skua_http_client_free(load.http);
    }
    free(clients);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {
        .origin = argc > 1 ? argv[1] : NULL,
        .clients = argc > 2 ? atoi(argv[2]) : 64,
        .seconds = argc > 3 ? strtod(argv[3], NULL) : 5,
    };

    if (argc < 2 || argc > 4 || strncmp(argv[1], "http://", 7) != 0 || strlen(argv[1]) > 100 ||
        options.clients < 1 || options.clients > CLIENTS_MAX ||
        !(options.seconds > 0 && options.seconds < 1e6)) {
        fputs("Usage: orders-load http://HOST:PORT [CLIENTS [SECONDS]]\n", stderr);
        return 2;
    }
    return skua_main(run, &options,
                     SKUA_RUNTIME_OPTIONS(.name = "load", .stop_on = SKUA_SIGNALS_TERM));
}
