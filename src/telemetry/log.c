/* log.c - the functions of log.h: does it pass, and where does it go.
 *
 *   macro        severity < logger->level? nothing more. Else:
 *   log_find     a logger that has level 0 was never asked, or not since something changed: its
 *                level is found out, from the rules and the SDK, and kept
 *   emit         the SDK's function; without an SDK, a line on standard error, if rules were set
 *
 * Changes    of rules or of the SDK set all levels to 0, and count `changes`; who finds a level out
 *            keeps it only if nothing has changed meanwhile. So no logger stays with an old one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "telemetry/log_api.h"

/* Bytes of a line on standard error, and of a printed text that needs no memory. */
#define LOG_LINE 2048
#define LOG_NEAR 512

static struct {
    struct skua__lock lock;
    _Atomic(const skua_log_ops *) ops;
    skua_logger *first; /* guard: lock */
    char *levels;       /* NULL: nothing is said; guard: lock */
    uint64_t changes;   /* guard: lock */
    atomic_bool lines;  /* `levels` is not NULL: lines are wanted where there is no SDK; relaxed */
    atomic_bool asked;  /* for SKUA_LOG; acquire, release: levels are there */
} logs;

/* ---- levels ---------------------------------------------------------------------------------- */

/* Something is new: every logger asks again. Under the lock. */
static void log_changed(void)
{
    logs.changes++;
    for (skua_logger *at = logs.first; at != NULL; at = at->next)
        __atomic_store_n(&at->level, 0, __ATOMIC_RELAXED);
}

/* Puts rules in place; what is freed is returned. */
static char *log_put(char *levels)
{
    char *old;

    skua__lock_take(&logs.lock);
    old = logs.levels;
    logs.levels = levels;
    skua__store_relaxed(&logs.lines, levels != NULL);
    skua__store_release(&logs.asked, true);
    log_changed();
    skua__lock_drop(&logs.lock);
    return old;
}

/* A copy; 0, -EINVAL or -ENOMEM. */
static int log_copy(const char *levels, char **ret)
{
    size_t size = strlen(levels) + 1;

    if (!skua__log_levels_valid(levels))
        return -EINVAL;
    *ret = skua__os_alloc(size);
    if (*ret == NULL)
        return -ENOMEM;
    memcpy(*ret, levels, size);
    return 0;
}

/* The rules of the environment; NULL: there are none, or none that can be read. 0 or -ENOMEM. */
static int log_environment(char **ret)
{
    static const char bad[] = "skua: SKUA_LOG cannot be read, and does not count\n";
    const char *text = skua__os_env("SKUA_LOG");
    int rc = 0;

    *ret = NULL;
    if (text != NULL && *text != '\0')
        rc = log_copy(text, ret);
    if (rc != -EINVAL)
        return rc;
    (void)skua__os_write_all(2, bad, sizeof bad - 1);
    return 0;
}

/* Before the first logger is asked; without memory, before the next one again. */
static void log_ask(void)
{
    char *levels, *spare;

    if (skua__likely(skua__load_acquire(&logs.asked)))
        return;
    skua__os_lock_over_fork(&logs.lock);
    if (log_environment(&levels) != 0)
        return;
    spare = levels;
    skua__lock_take(&logs.lock);
    if (!skua__load_relaxed(&logs.asked)) {
        logs.levels = levels;
        spare = NULL;
        skua__store_relaxed(&logs.lines, levels != NULL);
        skua__store_release(&logs.asked, true);
        log_changed();
    }
    skua__lock_drop(&logs.lock);
    skua__os_free(spare);
}

int skua_log_levels(const char *levels)
{
    char *copy = NULL;
    int rc;

    log_ask();
    rc = levels != NULL ? log_copy(levels, &copy) : log_environment(&copy);
    if (rc == 0)
        skua__os_free(log_put(copy));
    return rc;
}

/* What the rules say: 0: nothing. Lists the logger. */
static uint8_t log_said(skua_logger *logger, uint64_t *changes)
{
    uint8_t said;

    skua__lock_take(&logs.lock);
    *changes = logs.changes;
    if (!logger->listed) {
        logger->listed = 1;
        logger->next = logs.first;
        logs.first = logger;
    }
    said = logs.levels != NULL ? skua__log_level_of(logs.levels, logger->name) : 0;
    skua__lock_drop(&logs.lock);
    return said;
}

/* False: something has changed meanwhile. */
static bool log_keep(skua_logger *logger, uint64_t changes, uint8_t level)
{
    bool kept;

    skua__lock_take(&logs.lock);
    kept = changes == logs.changes;
    if (kept)
        __atomic_store_n(&logger->level, level, __ATOMIC_RELAXED);
    skua__lock_drop(&logs.lock);
    return kept;
}

static uint8_t log_find(skua_logger *logger)
{
    const skua_log_ops *ops;
    uint64_t changes;
    unsigned level, least;

    log_ask();
    do {
        level = log_said(logger, &changes);
        ops = skua__load_acquire(&logs.ops); /* what the SDK had set up before */
        if (ops == NULL && level == 0)
            level = skua__load_relaxed(&logs.lines) ? SKUA_INFO : SKUA__LOG_OFF;
        least = ops != NULL && ops->minimum != NULL ? ops->minimum(logger) : 1;
        if (level < least)
            level = least < SKUA__LOG_OFF ? least : SKUA__LOG_OFF;
    } while (!log_keep(logger, changes, (uint8_t)level));
    return (uint8_t)level;
}

static bool log_passes(skua_logger *logger, unsigned severity)
{
    unsigned level = __atomic_load_n(&logger->level, __ATOMIC_RELAXED);

    if (skua__unlikely(level == 0))
        level = log_find(logger);
    return (severity >= level && severity <= 24) || (severity == 0 && level != SKUA__LOG_OFF);
}

void skua_logger_forget(skua_logger *logger)
{
    skua_logger **at = &logs.first;

    skua__os_lock_over_fork(&logs.lock);
    skua__lock_take(&logs.lock);
    while (logger->listed && *at != logger)
        at = &(*at)->next;
    if (logger->listed)
        *at = logger->next;
    logger->listed = 0;
    __atomic_store_n(&logger->level, 0, __ATOMIC_RELAXED);
    skua__lock_drop(&logs.lock);
}

/* ---- the table ------------------------------------------------------------------------------- */

int skua_log_install(const skua_log_ops *ops)
{
    const skua_log_ops *none = NULL;

    if (ops != NULL && ops->size != sizeof *ops)
        return -EINVAL;
    log_ask();
    /* Release: who loads the table sees what the SDK has set up. */
    if (ops == NULL)
        skua__store_release(&logs.ops, NULL);
    else if (!skua__cas_strong_acq_rel(&logs.ops, &none, ops))
        return -EBUSY;
    skua_log_renew();
    return 0;
}

const skua_log_ops *skua_log_installed(void)
{
    return skua__load_acquire(&logs.ops);
}

void skua_log_renew(void)
{
    skua__os_lock_over_fork(&logs.lock);
    skua__lock_take(&logs.lock);
    log_changed();
    skua__lock_drop(&logs.lock);
}

/* ---- records --------------------------------------------------------------------------------- */

/* The context that a record gets; NULL: none. False: telemetry is suppressed here. */
static bool log_context(const skua_span_context **ret)
{
    const struct skua__context *context = skua__context_current(skua__thread_self());
    const skua_span_head *head =
        context != NULL ? (const skua_span_head *)(const void *)context->span : NULL;

    *ret = head != NULL ? &head->context : NULL;
    return head == NULL || !head->suppressed;
}

/* Behind a call, so that the line takes no room on the stack of those who have an SDK. */
SKUA__NOINLINE static void log_print(const skua_logger *logger, const skua_log_record *record)
{
    char line[LOG_LINE];

    (void)skua__os_write_all(2, line, skua__log_line(line, sizeof line, logger, record));
}

/* To whoever is there. What passes has passed. */
static void log_send(skua_logger *logger, const skua_log_record *record)
{
    const skua_log_ops *ops = skua__load_acquire(&logs.ops);

    if (skua__likely(ops != NULL))
        ops->emit(logger, record);
    else if (skua__load_relaxed(&logs.lines)) /* else the SDK has just gone */
        log_print(logger, record);
}

void skua_log_record_init(skua_log_record *record)
{
    *record = (skua_log_record){.size = sizeof *record};
}

void skua_log_emit(skua_logger *logger, const skua_log_record *record)
{
    const skua_span_context *context;
    skua_log_record filled;

    if (record->size != sizeof *record || !log_passes(logger, record->severity) ||
        !log_context(&context))
        return;
    filled = *record;
    if (filled.context == NULL)
        filled.context = context;
    if (filled.text != NULL && filled.text_len == 0)
        filled.text_len = strlen(filled.text);
    log_send(logger, &filled);
}

void skua_log_text(skua_logger *logger, skua_severity severity, const char *text, size_t len,
                   const skua_attr *attrs, size_t count)
{
    const skua_span_context *context;

    if (!log_passes(logger, severity) || !log_context(&context))
        return;
    log_send(logger, &(skua_log_record){.size = sizeof(skua_log_record),
                                        .severity = severity,
                                        .text = text != NULL ? text : "",
                                        .text_len = text != NULL ? len : 0,
                                        .attrs = attrs,
                                        .attrs_count = count,
                                        .context = context});
}

int skua_log_enabled(skua_logger *logger, skua_severity severity, const char *event)
{
    const skua_span_context *context;
    const skua_log_ops *ops;

    if (!log_passes(logger, severity) || !log_context(&context))
        return 0;
    ops = skua__load_acquire(&logs.ops);
    if (ops == NULL)
        return skua__load_relaxed(&logs.lines);
    return ops->enabled == NULL || ops->enabled(logger, severity, event, context);
}

void skua_vlogf(skua_logger *logger, skua_severity severity, const char *format, va_list args)
{
    char near[LOG_NEAR], *text = near;
    va_list again;
    int len;

    if (!log_passes(logger, severity))
        return;
    va_copy(again, args);
    len = vsnprintf(near, sizeof near, format, args);
    if (len >= (int)sizeof near) {
        size_t size = (size_t)len < SKUA__LOG_TEXT ? (size_t)len + 1 : SKUA__LOG_TEXT;

        text = skua__os_alloc_unset(size);
        if (text == NULL)
            text = near; /* its beginning, then */
        else
            (void)vsnprintf(text, size, format, again);
    }
    va_end(again);
    if (len >= 0)
        skua_log_text(logger, severity, text, strlen(text), NULL, 0);
    if (text != near)
        skua__os_free(text);
}

void(skua_logf)(skua_logger *logger, skua_severity severity, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    skua_vlogf(logger, severity, format, args);
    va_end(args);
}

#undef LOG_LINE
#undef LOG_NEAR
