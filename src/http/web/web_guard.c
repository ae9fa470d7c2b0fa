/* web_guard.c - layers that stand in front: time-outs, limits, breakers, who asks, error pages. And
 * the texts that all layers share.
 */
#include <stdarg.h>
#include <stdio.h>

#include <skua/http/middleware.h>
#include <skua/task.h>
#include <skua/time.h>

#include "http/web/web_impl.h"

/* ---- texts ----------------------------------------------------------------------------------- */

void skua__web_put(struct skua__web_text *text, const char *bytes, size_t len)
{
    if (text->failed)
        return;
    if (len + 1 > text->room - text->len) {
        size_t room = 2 * (text->len + len) + 256;
        char *more = skua__http_arena_alloc(text->arena, room);

        text->failed = more == NULL;
        if (more == NULL)
            return;
        if (text->len != 0)
            memcpy(more, text->text, text->len);
        text->text = more;
        text->room = room;
    }
    memcpy(text->text + text->len, bytes, len);
    text->len += len;
    text->text[text->len] = '\0';
}

void skua__web_printf(struct skua__web_text *text, const char *format, ...)
{
    char piece[128];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof piece)
        text->failed = true;
    else
        skua__web_put(text, piece, (size_t)len);
}

void skua__web_host(const char *peer, char host[SKUA__WEB_HOST])
{
    const char *colon = strrchr(peer, ':');
    size_t len = colon != NULL ? (size_t)(colon - peer) : strlen(peer);

    if (len >= 2 && peer[0] == '[' && peer[len - 1] == ']') {
        peer++;
        len -= 2;
    }
    if (len >= SKUA__WEB_HOST)
        len = SKUA__WEB_HOST - 1;
    memcpy(host, peer, len);
    host[len] = '\0';
}

int skua__web_refuse_for(skua_http_exchange *exchange, int status, int64_t ns)
{
    int64_t whole = ns / SKUA_SECOND + (ns % SKUA_SECOND > 0);
    char seconds[24];
    int rc = 0;

    (void)snprintf(seconds, sizeof seconds, "%lld", (long long)(whole != 0 ? whole : 1));
    if (ns >= 0 && ns != SKUA_FOREVER)
        rc = skua_http_set_header(exchange, "Retry-After", seconds);
    return rc == 0 ? skua_http_refuse(exchange, status, NULL) : rc;
}

/* ---- time and load --------------------------------------------------------------------------- */

int skua_http_timeout_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                            void *timeout)
{
    int64_t ns = *(const int64_t *)timeout;
    int64_t now = skua_now();
    skua_deadline frame;
    int rc;

    if (ns < 0)
        return SKUA_EUSAGE;
    rc = skua_deadline_begin(&frame, ns < SKUA_FOREVER - now ? now + ns : SKUA_FOREVER);
    if (rc == 0)
        rc = skua_http_chain_run(exchange, rest);
    (void)skua_deadline_end(&frame);
    return rc;
}

int skua_http_limit_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    const skua_http_limit *limit = state;
    int rc;

    if (limit->size != sizeof *limit || limit->limiter == NULL)
        return SKUA_EUSAGE;
    rc = skua_limiter_enter(limit->limiter);
    if (rc == SKUA_ELIMIT || rc == SKUA_ECLOSED)
        return skua__web_refuse_for(exchange, 503,
                                    limit->retry_after != 0 ? limit->retry_after : SKUA_SECOND);
    if (rc != 0)
        return rc;
    rc = skua_http_chain_run(exchange, rest);
    (void)skua_limiter_leave(limit->limiter);
    return rc;
}

int skua_http_breaker_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                            void *breaker)
{
    skua_breaker_ticket ticket;
    int status, rc;

    if (skua_breaker_enter(breaker, &ticket) != 0)
        return skua__web_refuse_for(exchange, 503, skua_breaker_retry_after(breaker));
    rc = skua_http_chain_run(exchange, rest);
    status = rc < 0 && !exchange->begun ? skua_http_status_of(rc) : exchange->status;
    if (rc < 0 && exchange->begun)
        status = 500; /* it was cut short */
    (void)skua_breaker_leave(breaker, &ticket, status < 500 ? 0 : rc < 0 ? rc : -EIO);
    return rc;
}

/* ---- who asks -------------------------------------------------------------------------------- */

int skua_http_auth_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    const skua_http_auth *auth = state;
    int rc;

    if (auth->size != sizeof *auth || auth->decide == NULL)
        return SKUA_EUSAGE;
    rc = auth->decide(exchange, auth->arg);
    if (rc == 0)
        return skua_http_chain_run(exchange, rest);
    if (rc < 0)
        return rc;
    if (rc != 401 && rc != 403)
        return SKUA_EUSAGE; /* it must not let anybody through by mistake */
    if (rc == 401 && auth->challenge != NULL) {
        int bad = skua_http_set_header(exchange, "WWW-Authenticate", auth->challenge);

        if (bad != 0)
            return bad;
    }
    return skua_http_refuse(exchange, rc, NULL);
}

/* What stands behind the scheme; NULL: there is none of it. */
static const char *guard_credentials(skua_http_exchange *exchange, const char *scheme)
{
    const char *value = skua_http_header(exchange, "Authorization");
    size_t len = strlen(scheme);

    if (value == NULL || strlen(value) < len || !skua__http_same(value, scheme, len) ||
        (value[len] != ' ' && value[len] != '\0'))
        return NULL;
    return value + len + strspn(value + len, " ");
}

static int guard_base64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 4648, 4, with all its padding, and no bits that say nothing. The length, or -1. */
static ssize_t guard_decode(char *out, const char *text, size_t len)
{
    size_t digits = len;
    size_t n = 0;
    unsigned bits = 0;

    if (len % 4 != 0)
        return -1;
    while (digits != 0 && len - digits < 2 && text[digits - 1] == '=')
        digits--;
    for (size_t i = 0; i < digits; i++) {
        int digit = guard_base64(text[i]);

        if (digit < 0)
            return -1;
        bits = bits << 6 | (unsigned)digit;
        if (i % 4 != 0)
            out[n++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    if ((digits % 4 == 2 && (bits & 0xf) != 0) || (digits % 4 == 3 && (bits & 0x3) != 0))
        return -1;
    return (ssize_t)n;
}

int skua_http_basic(skua_http_exchange *exchange, const char **user, const char **password)
{
    const char *text = guard_credentials(exchange, "basic");
    char *both, *colon;
    ssize_t len;

    if (text == NULL)
        return -ENOENT;
    both = skua__http_arena_alloc(&exchange->arena, strlen(text) + 1);
    if (both == NULL)
        return -ENOMEM;
    len = guard_decode(both, text, strlen(text));
    if (len < 0 || memchr(both, '\0', (size_t)len) != NULL)
        return -EBADMSG;
    both[len] = '\0';
    colon = strchr(both, ':');
    if (colon == NULL)
        return -EBADMSG;
    *colon = '\0';
    *user = both;
    *password = colon + 1;
    return 0;
}

int skua_http_bearer(skua_http_exchange *exchange, const char **token)
{
    const char *text = guard_credentials(exchange, "bearer");
    size_t len;

    if (text == NULL)
        return -ENOENT;
    len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/");
    if (len == 0 || text[len + strspn(text + len, "=")] != '\0')
        return -EBADMSG;
    *token = text;
    return 0;
}

int skua_http_same_secret(const char *said, const char *secret)
{
    size_t len = strlen(said);
    size_t wanted = strlen(secret);
    volatile unsigned differs = len != wanted;

    for (size_t i = 0; i < len; i++) /* as long as what was said, which tells nothing */
        differs |= (unsigned char)said[i] ^ (unsigned char)secret[wanted != 0 ? i % wanted : 0];
    return differs == 0;
}

/* ---- error pages ----------------------------------------------------------------------------- */

int skua_http_pages_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    const skua_http_pages *pages = state;

    if (pages->size != sizeof *pages || pages->page == NULL)
        return SKUA_EUSAGE;
    skua_http_set_page(exchange, pages->page, pages->arg);
    return skua_http_chain_run(exchange, rest);
}
