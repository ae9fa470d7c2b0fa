/* log_read.c - a record out of a ring: skua_otel_log with its arrays, in memory of the reader's.
 */
#include "otel/log/log_impl.h"

static size_t log_read_room(const void *bytes)
{
    const struct skua__log_record *record = bytes;

    return (size_t)record->text_len + record->severity_len + record->event_len + 64 +
           skua__notes_room(record->notes_len);
}

static int64_t log_read_time(uint64_t time, bool wall)
{
    return wall ? (int64_t)time : skua__otel_time(time);
}

static void log_read_notes(struct skua__notes_room *room, const struct skua__log_record *record,
                           const char *at, skua_otel_log *ret)
{
    const char *end = at + record->notes_len;
    skua_attr *attrs = skua__notes_cut(room, record->attrs * sizeof *attrs);
    uint32_t count = 0;

    if ((record->bits & SKUA__LOG_HAS_BODY) != 0)
        at = skua__notes_attr(room, at, &ret->body);
    while (at < end)
        at = skua__notes_attr(room, at, &attrs[count++]);
    ret->attrs = (skua_otel_attrs){attrs, skua__notes_distinct(attrs, count), record->attrs_over};
}

static size_t log_read(const void *bytes, char *memory, void *item)
{
    const struct skua__log_record *record = bytes;
    skua_otel_log *ret = item;
    struct skua__notes_room room = {memory};
    const char *text = (const char *)(record + 1);
    const char *severity = text + record->text_len + 1;
    const char *event = severity + record->severity_len + 1;
    size_t texts = (size_t)record->text_len + record->severity_len + record->event_len + 3;

    *ret = (skua_otel_log){.flags = record->flags, .severity = record->severity};
    memcpy(ret->trace_id, record->trace_id, sizeof ret->trace_id);
    memcpy(ret->span_id, record->span_id, sizeof ret->span_id);
    ret->time = log_read_time(record->time, (record->bits & SKUA__LOG_TIME_WALL) != 0);
    ret->observed = log_read_time(record->observed, (record->bits & SKUA__LOG_OBSERVED_WALL) != 0);
    if ((record->bits & SKUA__LOG_HAS_TEXT) != 0)
        ret->body = skua_attr_text("", skua__notes_text(&room, text, record->text_len).at,
                                   record->text_len);
    ret->severity_text = skua__notes_text(&room, severity, record->severity_len);
    ret->event_name = skua__notes_text(&room, event, record->event_len);
    log_read_notes(&room, record, text + ((texts + 7) & ~(size_t)7), ret);
    return (size_t)(room.at - memory);
}

/* ---- for the collector ----------------------------------------------------------------------- */

static const void *log_read_logger(const void *record)
{
    return ((const struct skua__log_record *)record)->logger;
}

static skua_otel_text log_read_static(const char *text)
{
    return (skua_otel_text){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

static void log_read_scope(const void *maker, skua_otel_scope *ret)
{
    const skua_logger *logger = maker;

    *ret = (skua_otel_scope){.name = log_read_static(logger->name),
                             .version = log_read_static(logger->version),
                             .schema_url = log_read_static(logger->schema_url),
                             .attrs = {logger->attrs, (uint32_t)logger->attrs_count, 0}};
}

static const skua_otel_scope **log_read_scope_at(void *item)
{
    return &((skua_otel_log *)item)->scope;
}

const struct skua__otel_reader skua__otel_log_reader = {.kind = SKUA__OTEL_LOG,
                                                        .signal = SKUA_OTEL_LOGS,
                                                        .item = sizeof(skua_otel_log),
                                                        .room = log_read_room,
                                                        .read = log_read,
                                                        .scope_of = log_read_logger,
                                                        .scope = log_read_scope,
                                                        .scope_at = log_read_scope_at};
