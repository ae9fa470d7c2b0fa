/* web_log.c - the access log, and ids of requests.
 *
 * A line is built in the exchange's memory, in a text that grows. What a client may have chosen
 * goes through one of two functions that escape: nothing else does.
 *
 * Sources: Apache's mod_log_config (formats, \xHH), RFC 8259 (7).
 */
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <skua/http/middleware.h>
#include <skua/time.h>
#include <skua/trace.h>

#include "http/web/web_impl.h"

/* ---- lines ----------------------------------------------------------------------------------- */

/* As Apache writes it. */
static void log_quoted(struct skua__web_text *line, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            skua__web_printf(line, "\\x%02x", c);
        else
            skua__web_put(line, text, 1);
    }
}

size_t skua__web_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

void skua__web_json(struct skua__web_text *line, const char *text)
{
    skua__web_put(line, "\"", 1);
    while (*text != '\0') {
        size_t len = skua__web_utf8(text);
        unsigned char c = (unsigned char)*text;

        if (len == 0)
            skua__web_printf(line, "\\ufffd");
        else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            skua__web_printf(line, "\\u%04x", c);
        else
            skua__web_put(line, text, len);
        text += len != 0 ? len : 1;
    }
    skua__web_put(line, "\"", 1);
}

static void log_json(struct skua__web_text *line, const char *name, const char *text)
{
    skua__web_printf(line, ",\"%s\":", name);
    skua__web_json(line, text);
}

/* By which the line is found from the request's span, and the other way round. */
static void log_trace(struct skua__web_text *line)
{
    skua_span_context context;
    char text[33];

    if (skua_span_context_of(skua_span_current(), &context) != 0)
        return;
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", context.trace_id[i]);
    log_json(line, "trace_id", text);
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", context.span_id[i]);
    log_json(line, "span_id", text);
}

static void log_line_json(struct skua__web_text *line, skua_http_exchange *exchange,
                          const skua_http_summary *summary)
{
    const char *id = skua_http_request_id(exchange);
    struct timespec now;
    struct tm tm;
    char text[40] = "";

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) != NULL)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    skua__web_printf(line, "{\"time\":\"%s.%03dZ\"", text, (int)(now.tv_nsec / 1000000));
    log_json(line, "peer", exchange->peer);
    log_json(line, "method", exchange->method);
    log_json(line, "path", exchange->path);
    if (*exchange->query != '\0')
        log_json(line, "query", exchange->query);
    skua__web_printf(line, ",\"version\":\"%d.%d\"", exchange->version / 10,
                     exchange->version % 10);
    if (exchange->route != NULL)
        log_json(line, "route", exchange->route);
    skua__web_printf(line, ",\"status\":%d,\"received\":%llu,\"sent\":%llu", summary->status,
                     (unsigned long long)summary->received, (unsigned long long)summary->sent);
    skua__web_printf(line, ",\"seconds\":%lld.%09lld", (long long)(summary->duration / SKUA_SECOND),
                     (long long)(summary->duration % SKUA_SECOND));
    if (id != NULL)
        log_json(line, "id", id);
    log_trace(line);
    if (summary->error != 0 || summary->code < 0)
        log_json(line, "error",
                 skua_error_name(summary->error != 0 ? summary->error : summary->code));
    skua__web_put(line, "}\n", 2);
}

static void log_header(struct skua__web_text *line, skua_http_exchange *exchange, const char *name)
{
    const char *value = skua_http_header(exchange, name);

    skua__web_put(line, " \"", 2);
    log_quoted(line, value != NULL ? value : "-");
    skua__web_put(line, "\"", 1);
}

static void log_line(struct skua__web_text *line, skua_http_exchange *exchange,
                     const skua_http_summary *summary, bool combined)
{
    char host[SKUA__WEB_HOST];
    time_t now = time(NULL);
    struct tm tm;
    char text[40] = "";

    skua__web_host(exchange->peer, host);
    if (gmtime_r(&now, &tm) != NULL)
        (void)strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S +0000", &tm);
    log_quoted(line, *host != '\0' ? host : "-");
    skua__web_printf(line, " - - [%s] \"", text);
    log_quoted(line, exchange->method);
    skua__web_put(line, " ", 1);
    log_quoted(line, exchange->path);
    if (*exchange->query != '\0')
        skua__web_put(line, "?", 1);
    log_quoted(line, exchange->query);
    skua__web_printf(line, " HTTP/%d.%d\" %d %llu", exchange->version / 10, exchange->version % 10,
                     summary->status, (unsigned long long)summary->sent);
    if (combined) {
        log_header(line, exchange, "Referer");
        log_header(line, exchange, "User-Agent");
    }
    skua__web_put(line, "\n", 1);
}

static void log_ended(skua_http_exchange *exchange, const skua_http_summary *summary, void *state)
{
    const skua_http_log *log = state;
    struct skua__web_text line = {.arena = &exchange->arena};

    if (log->format == SKUA_HTTP_LOG_JSON)
        log_line_json(&line, exchange, summary);
    else
        log_line(&line, exchange, summary, log->format == SKUA_HTTP_LOG_COMBINED);
    if (line.failed)
        return;
    if (log->write != NULL)
        log->write(line.text, line.len, log->arg);
    if (log->file != NULL)
        (void)fwrite(line.text, 1, line.len, log->file);
}

int skua_http_log_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    const skua_http_log *log = state;
    int rc;

    if (log->size != sizeof *log || (unsigned)log->format > SKUA_HTTP_LOG_JSON)
        return SKUA_EUSAGE;
    rc = skua_http_on_end(exchange, log_ended, state);
    return rc == 0 ? skua_http_chain_run(exchange, rest) : rc;
}

/* ---- ids ------------------------------------------------------------------------------------- */

#define LOG_ID 128

static const char log_id_key; /* of the note */

static bool log_id_is_well_formed(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "-_.:/+=~");

    return len != 0 && len <= LOG_ID && id[len] == '\0';
}

static void log_id_head(skua_http_exchange *exchange, void *id)
{
    (void)skua_http_set_header(exchange, "X-Request-Id", id);
}

static char *log_id_make(skua_http_exchange *exchange)
{
    unsigned char bits[16];
    char *id = skua__http_arena_alloc(&exchange->arena, 2 * sizeof bits + 1);

    if (id == NULL || getentropy(bits, sizeof bits) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof bits; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", bits[i]);
    return id;
}

int skua_http_request_id_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                               void *state)
{
    const char *said = skua_http_header(exchange, "X-Request-Id");
    char *id = said != NULL && log_id_is_well_formed(said) ? (char *)(uintptr_t)said
                                                           : log_id_make(exchange);
    int rc = id != NULL ? skua_http_note(exchange, &log_id_key, id) : -ENOMEM;

    (void)state;
    if (rc == 0)
        rc = skua_http_on_head(exchange, log_id_head, id);
    return rc == 0 ? skua_http_chain_run(exchange, rest) : rc;
}

const char *skua_http_request_id(const skua_http_exchange *exchange)
{
    return skua_http_noted(exchange, &log_id_key);
}

#undef LOG_ID
