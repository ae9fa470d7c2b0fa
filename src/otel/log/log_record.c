/* log_record.c - the functions behind log.h: a record into the ring of the thread that logs.
 */
#include "otel/log/log_impl.h"

/* Bytes of notes on the stack; more get memory of their own. */
#define RECORD_NEAR 512

_Atomic uint64_t skua__log_late;

/* Release, acquire: the SDK is complete. */
static _Atomic(const struct skua__log_sdk *) record_sdk;

void skua__log_use(const struct skua__log_sdk *sdk)
{
    atomic_store_explicit(&record_sdk, sdk, memory_order_release);
}

const struct skua__log_sdk *skua__log_used(void)
{
    return atomic_load_explicit(&record_sdk, memory_order_acquire);
}

static bool record_unsampled(const skua_span_context *context)
{
    return context != NULL && (context->flags & SKUA_TRACE_SAMPLED) == 0 &&
           skua_span_context_valid(context);
}

/* The exception of a record: what its own attributes say of it comes behind, and wins. */
static void record_error(struct skua__notes *notes, const struct skua__otel_limits *limits,
                         const skua_log_record *record)
{
    const char *type = skua_strerror(record->error);
    const skua_attr attrs[] = {
        SKUA_STR("exception.type", type),
        SKUA_STR("exception.message", record->error_text != NULL ? record->error_text : type)};

    skua__notes_attrs(notes, limits, attrs, 2);
}

static char *record_put(char *at, const char *text, size_t len)
{
    if (len != 0)
        memcpy(at, text, len);
    at[len] = '\0';
    return at + len + 1;
}

/* Into the ring; false: it was dropped. */
static bool record_write(struct skua__otel_thread *thread, const skua_logger *logger,
                         const skua_log_record *from, uint8_t bits, const struct skua__notes *notes)
{
    const skua_span_context *context = from->context;
    uint32_t text_len = (bits & SKUA__LOG_HAS_TEXT) != 0 ? (uint32_t)from->text_len : 0;
    uint16_t severity_len =
        from->severity_text != NULL ? (uint16_t)strnlen(from->severity_text, UINT16_MAX) : 0;
    uint16_t event_len = from->event != NULL ? (uint16_t)strnlen(from->event, UINT16_MAX) : 0;
    size_t texts = ((size_t)text_len + severity_len + event_len + 3 + 7) & ~(size_t)7;
    struct skua__log_record *record =
        skua__otel_ring_begin(&thread->ring, SKUA__OTEL_LOG, sizeof *record + texts + notes->len);
    uint64_t ticks;
    char *at;

    if (record == NULL)
        return false;
    ticks = from->time == 0 || from->observed == 0 ? skua__otel_ticks() : 0;
    record->logger = logger;
    record->time = from->time != 0 ? (uint64_t)from->time : ticks;
    record->observed = from->observed != 0 ? (uint64_t)from->observed : ticks;
    record->flags = context != NULL ? context->flags : 0;
    memset(record->trace_id, 0, sizeof record->trace_id);
    memset(record->span_id, 0, sizeof record->span_id);
    if (context != NULL) {
        memcpy(record->trace_id, context->trace_id, sizeof record->trace_id);
        memcpy(record->span_id, context->span_id, sizeof record->span_id);
    }
    record->severity = (uint8_t)from->severity;
    record->bits = (uint8_t)(bits | (from->time != 0 ? SKUA__LOG_TIME_WALL : 0) |
                             (from->observed != 0 ? SKUA__LOG_OBSERVED_WALL : 0));
    record->zero = 0;
    record->text_len = text_len;
    record->notes_len = notes->len;
    record->attrs = notes->attrs;
    record->attrs_over = notes->attrs_over;
    record->severity_len = severity_len;
    record->event_len = event_len;
    at = record_put((char *)(record + 1), from->text, text_len);
    at = record_put(at, from->severity_text, severity_len);
    (void)record_put(at, from->event, event_len);
    if (notes->len != 0)
        memcpy((char *)(record + 1) + texts, notes->bytes, notes->len);
    return true;
}

/* Notes the body, where it is not the text; one that has no room is lost. Returns the record's
 * bits. */
static uint8_t record_body(struct skua__notes *notes, const skua_log_record *record)
{
    skua_attr body;

    if (record->body == NULL)
        return record->text != NULL && record->text_len <= UINT32_MAX ? SKUA__LOG_HAS_TEXT : 0;
    body = *record->body;
    body.key = "";
    body.key_len = 0;
    body.flags = SKUA_ATTR_STATIC;
    if (body.type == SKUA_ATTR_NONE)
        return 0;
    if (skua__notes_value(notes, &body))
        return SKUA__LOG_HAS_BODY;
    notes->no_memory = true;
    return 0;
}

/* Whether the logger leaves this record out. Its answer is kept in it; several threads that ask at
 * a time all write the same. */
static bool record_left_out(const struct skua__log_sdk *sdk, skua_logger *logger,
                            const skua_span_context *context)
{
    uint64_t known;

    if (sdk->sampled_only || sdk->sampled_only_of == NULL)
        return sdk->sampled_only && record_unsampled(context);
    known = __atomic_load_n(&logger->generation, __ATOMIC_RELAXED);
    if (known >> 1 != sdk->number) {
        known = sdk->number << 1 | sdk->sampled_only_of(sdk, logger);
        __atomic_store_n(&logger->generation, known, __ATOMIC_RELAXED);
    }
    return (known & 1) != 0 && record_unsampled(context);
}

static void record_emit(skua_logger *logger, const skua_log_record *record)
{
    const struct skua__log_sdk *sdk = skua__log_used();
    struct skua__otel_thread *thread = skua__otel_thread();
    _Alignas(8) char near[RECORD_NEAR];
    struct skua__notes notes = {.bytes = near, .room = sizeof near};
    uint8_t bits;

    if (__builtin_expect(sdk->closed, 0)) {
        (void)atomic_fetch_add_explicit(&skua__log_late, 1, memory_order_relaxed);
        return;
    }
    if (thread == NULL || record_left_out(sdk, logger, record->context))
        return;
    bits = record_body(&notes, record);
    if (__builtin_expect(record->error != 0, 0))
        record_error(&notes, &sdk->limits, record);
    if (record->attrs_count != 0)
        skua__notes_attrs(&notes, &sdk->limits, record->attrs, record->attrs_count);
    skua__otel_bump(&thread->logs, 1);
    if (__builtin_expect(notes.no_memory, 0))
        skua__otel_bump(&thread->lost, 1);
    /* What the writer knows of the tail may be old: asked again before somebody is woken. */
    if (record_write(thread, logger, record, bits, &notes) &&
        skua__otel_ring_publish(&thread->ring) > sdk->wake_at &&
        skua__otel_ring_used(&thread->ring) > sdk->wake_at)
        sdk->filled();
    if (__builtin_expect(notes.own, 0))
        skua__notes_free(&notes);
}

static int record_enabled(skua_logger *logger, skua_severity severity, const char *event,
                          const skua_span_context *context)
{
    const struct skua__log_sdk *sdk = skua__log_used();

    if (sdk->closed || record_left_out(sdk, logger, context))
        return 0;
    return sdk->enabled == NULL || sdk->enabled(sdk, severity, event, context);
}

static unsigned record_minimum(const skua_logger *logger)
{
    const struct skua__log_sdk *sdk = skua__log_used();
    unsigned minimum = sdk->minimum_of != NULL ? sdk->minimum_of(sdk, logger) : sdk->minimum;

    return minimum != 0 ? minimum : 1;
}

const skua_log_ops skua__log_ops = {.size = sizeof(skua_log_ops),
                                    .emit = record_emit,
                                    .enabled = record_enabled,
                                    .minimum = record_minimum};

#undef RECORD_NEAR
