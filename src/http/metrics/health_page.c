/* health_page.c - what is answered to who asks for a server's health: a word, or JSON.
 *
 * Answers are never kept by caches on their way.
 */
#include <skua/time.h>

#include "http/metrics/health_impl.h"

/* "?verbose", with a value or not, and not "?verbosely". */
static bool health_is_verbose(skua_http_exchange *exchange)
{
    return skua_http_query_value(exchange, "verbose") != NULL;
}

static int health_reply(skua_http_exchange *exchange, bool good, const char *type, const char *body,
                        size_t len)
{
    int rc = skua_http_set_header(exchange, "Cache-Control", "no-store");

    return rc == 0 ? skua_http_reply(exchange, good ? 200 : 503, type, body, len) : rc;
}

static void health_seconds(struct skua__web_text *text, const char *name, int64_t ns)
{
    skua__web_printf(text, ",\"%s\":%lld.%06lld", name, (long long)(ns / SKUA_SECOND),
                     (long long)(ns % SKUA_SECOND / 1000));
}

static void health_put_check(struct skua__web_text *text, struct skua__health_check *check)
{
    int64_t when = atomic_load_explicit(&check->when, memory_order_acquire);
    int result = atomic_load_explicit(&check->result, memory_order_relaxed);
    int64_t age = skua_now() - when;

    skua__web_put(text, "{\"name\":", 8);
    skua__web_json(text, check->name);
    skua__web_printf(text, ",\"status\":\"%s\",\"required\":%s",
                     when == 0     ? "unknown"
                     : result == 0 ? "ok"
                                   : "failed",
                     check->required ? "true" : "false");
    if (when != 0) {
        health_seconds(text, "seconds", atomic_load_explicit(&check->took, memory_order_relaxed));
        health_seconds(text, "age", age > 0 ? age : 0);
    }
    if (when != 0 && result != 0) {
        skua__web_put(text, ",\"error\":", 9);
        skua__web_json(text, skua_error_name(result));
    }
    skua__web_put(text, "}", 1);
}

static int health_reply_json(skua_http_exchange *exchange, skua_http_health *health, bool good,
                             const char *status)
{
    struct skua__web_text text = {.arena = &exchange->arena};

    skua__web_printf(&text, "{\"status\":\"%s\",\"checks\":[", status);
    for (struct skua__health_check *at = health->checks; at != NULL; at = at->next) {
        health_put_check(&text, at);
        if (at->next != NULL)
            skua__web_put(&text, ",", 1);
    }
    skua__web_put(&text, "]}\n", 3);
    return text.failed ? -ENOMEM
                       : health_reply(exchange, good, "application/json", text.text, text.len);
}

int skua_http_health_live(skua_http_exchange *exchange, void *health)
{
    if (health_is_verbose(exchange))
        return health_reply_json(exchange, health, true, "alive");
    return health_reply(exchange, true, "text/plain", "alive\n", 6);
}

int skua_http_health_ready(skua_http_exchange *exchange, void *state)
{
    skua_http_health *health = state;
    const char *words[] = {"starting", "ready", "draining"};
    const char *status;
    int at, rc;
    bool good;

    at = atomic_load_explicit(&health->state, memory_order_relaxed);
    rc = at == SKUA_HTTP_DRAINING ? 0 : skua__health_refresh(health); /* nobody needs to know */
    if (rc != 0)
        return rc;
    at = atomic_load_explicit(&health->state, memory_order_relaxed);
    good = at == SKUA_HTTP_READY && skua__health_is_ready(health);
    status = at == SKUA_HTTP_READY && !good ? "failed" : words[at];
    if (health_is_verbose(exchange))
        return health_reply_json(exchange, health, good, status);
    {
        struct skua__web_text text = {.arena = &exchange->arena};

        skua__web_printf(&text, "%s\n", status);
        return text.failed ? -ENOMEM
                           : health_reply(exchange, good, "text/plain", text.text, text.len);
    }
}
