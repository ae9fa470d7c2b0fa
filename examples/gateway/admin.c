/* admin.c - what the gateway has done, for whoever may see it: on an address of its own.
 *
 *   GET /stats      counts of the server, and of each upstream, as JSON
 *   GET /healthz    200
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

/* A piece of the answer; names and addresses have no character that JSON would escape. */
static int admin_say(skua_http_exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int admin_say(skua_http_exchange *exchange, const char *format, ...)
{
    char text[512];
    va_list args;
    ssize_t n;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    n = skua_http_write(exchange, text, (size_t)len);
    return n < 0 ? (int)n : 0;
}

static uint64_t admin_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static int admin_member(skua_http_exchange *exchange, const struct member *member)
{
    static const char *const names[] = {"closed", "open", "half-open"};
    skua_breaker_stats stats = {.size = sizeof stats};

    (void)skua_breaker_snapshot(&member->breaker, &stats);
    return admin_say(exchange,
                     "{\"address\":\"%s\",\"down\":%s,\"breaker\":\"%s\",\"opened\":%" PRIu64
                     ",\"refused\":%" PRIu64 ",\"running\":%" PRIu64 ",\"requests\":%" PRIu64
                     ",\"failures\":%" PRIu64 ",\"retries\":%" PRIu64 "}",
                     member->address, atomic_load(&member->down) ? "true" : "false",
                     names[stats.state], stats.opened, stats.refused, admin_count(&member->running),
                     admin_count(&member->requests), admin_count(&member->failures),
                     admin_count(&member->retries));
}

static int admin_group(skua_http_exchange *exchange, const struct group *group)
{
    skua_http_client_stats stats;
    int rc;

    skua_http_client_stats_of(group->client, &stats);
    rc = admin_say(exchange,
                   "\"%s\":{\"connections\":%" PRIu64 ",\"reused\":%" PRIu64 ",\"members\":[",
                   group->name, stats.connections_now, stats.reused);
    for (unsigned i = 0; rc == 0 && i < group->count; i++) {
        if (i != 0)
            rc = admin_say(exchange, ",");
        if (rc == 0)
            rc = admin_member(exchange, &group->members[i]);
    }
    return rc == 0 ? admin_say(exchange, "]}") : rc;
}

int admin(skua_http_exchange *exchange, void *state)
{
    struct gateway *gateway = state;
    skua_http_server_stats stats;
    int rc;

    if (strcmp(skua_http_path(exchange), "/healthz") == 0)
        return skua_http_reply(exchange, 200, "text/plain", "ok\n", 3);
    if (strcmp(skua_http_path(exchange), "/stats") != 0)
        return skua_http_refuse(exchange, 404, NULL);
    skua_http_server_stats_of(gateway->server, &stats);
    (void)skua_http_set_header(exchange, "Content-Type", "application/json");
    rc = admin_say(exchange,
                   "{\"connections\":%" PRIu64 ",\"connections_now\":%" PRIu64
                   ",\"requests\":%" PRIu64 ",\"requests_now\":%" PRIu64 ",\"refused\":%" PRIu64
                   ",\"groups\":{",
                   stats.connections, stats.connections_now, stats.requests, stats.requests_now,
                   stats.refused);
    for (unsigned i = 0; rc == 0 && i < gateway->groups_count; i++) {
        if (i != 0)
            rc = admin_say(exchange, ",");
        if (rc == 0)
            rc = admin_group(exchange, &gateway->groups[i]);
    }
    return rc == 0 ? admin_say(exchange, "}}\n") : rc;
}
