/* trace_record.c - a span that has ended: into its thread's ring, and out of it again.
 *
 * In         some 110 bytes, the name, and the notes as they are.
 * Out        skua_otel_span with its arrays, in memory of the reader's: nothing refers to the ring
 *            afterwards. Attributes that were replaced are left out here.
 */
#include "otel/trace/trace_impl.h"

/* Together with the longest name, and notes, these must have room in half a ring. */
#define RECORD_STATUS_MAX 16384
#define RECORD_STATE_MAX 8192

/* Copies a multiple of 8, mostly a small one: a call would take longer. */
static inline void record_words(char *to, const char *from, size_t size)
{
    if (size > 128) {
        memcpy(to, from, size);
        return;
    }
    for (size_t i = 0; i < size; i += 8)
        memcpy(to + i, from + i, 8);
}

bool skua__span_record(struct skua__otel_thread *thread, struct skua__span *span, uint64_t end,
                       bool wall)
{
    const skua_span_context *context = &span->head.context;
    uint32_t status_len =
        span->status_text != NULL ? (uint32_t)strnlen(span->status_text, RECORD_STATUS_MAX) : 0;
    uint16_t state_len =
        span->trace_state != NULL ? (uint16_t)strnlen(span->trace_state, RECORD_STATE_MAX + 1) : 0;
    size_t texts = (size_t)span->name_len + status_len + state_len + 3;
    struct skua__span_record *record;
    char *at;

    if (state_len > RECORD_STATE_MAX) { /* a part of it is none */
        texts -= state_len;
        state_len = 0;
    }
    texts = (texts + 7) & ~(size_t)7;
    record = skua__otel_ring_begin(&thread->ring, SKUA__OTEL_SPAN,
                                   sizeof *record + texts + span->notes.len);
    if (record == NULL)
        return false;
    *record = (struct skua__span_record){
        .tracer = span->tracer,
        .start = span->start,
        .end = end,
        .flags = context->flags,
        .kind = span->kind,
        .status = span->status,
        .bits = (uint8_t)((span->parent_remote ? SKUA__RECORD_REMOTE : 0) |
                          (span->start_is_wall ? SKUA__RECORD_START_WALL : 0) |
                          (wall ? SKUA__RECORD_END_WALL : 0)),
        .name_len = span->name_len,
        .state_len = state_len,
        .status_len = status_len,
        .notes_len = span->notes.len,
        .attrs = span->notes.attrs,
        .events = span->notes.events,
        .links = span->notes.links,
        .attrs_over = span->notes.attrs_over,
        .events_over = span->notes.events_over,
        .links_over = span->notes.links_over};
    memcpy(record->trace_id, context->trace_id, 16);
    memcpy(record->span_id, context->span_id, 8);
    memcpy(record->parent_id, span->parent_id, 8);
    at = (char *)(record + 1);
    if (span->name == span->near)
        record_words(at, span->near, ((size_t)span->name_len + 8) & ~(size_t)7);
    else
        memcpy(at, span->name, (size_t)span->name_len + 1);
    at += span->name_len + 1;
    if (status_len != 0)
        memcpy(at, span->status_text, status_len);
    at[status_len] = '\0';
    at += status_len + 1;
    if (state_len != 0)
        memcpy(at, span->trace_state, state_len);
    at[state_len] = '\0';
    record_words((char *)(record + 1) + texts, span->notes.bytes, span->notes.len);
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static size_t record_size(const void *bytes)
{
    const struct skua__span_record *record = bytes;

    return (size_t)record->name_len + record->status_len + record->state_len + 64 +
           skua__notes_room(record->notes_len);
}

static int64_t record_time(uint64_t ticks, bool wall)
{
    return wall ? (int64_t)ticks : skua__otel_time(ticks);
}

static void record_event(struct skua__notes_room *room, const char *at, skua_otel_event *ret)
{
    const struct skua__note *note = skua__note_at(at);
    const char *body = (const char *)(note + 1);
    size_t head = ((size_t)8 + note->name_len + 1 + 7) & ~(size_t)7;
    uint64_t time;

    memcpy(&time, body, sizeof time);
    ret->time = record_time(time, note->type != 0);
    ret->name = skua__notes_text(room, body + 8, note->name_len);
    ret->attrs = skua__notes_read(room, body + head, note->count, note->dropped);
}

static void record_link(struct skua__notes_room *room, const char *at, skua_otel_link *ret)
{
    const struct skua__note *note = skua__note_at(at);
    const char *body = (const char *)(note + 1);
    size_t head = ((size_t)26 + note->name_len + 1 + 7) & ~(size_t)7;

    memcpy(ret->trace_id, body, 16);
    memcpy(ret->span_id, body + 16, 8);
    ret->flags = (uint8_t)body[24];
    ret->remote = (uint8_t)body[25];
    ret->trace_state = skua__notes_text(room, body + 26, note->name_len);
    ret->attrs = skua__notes_read(room, body + head, note->count, note->dropped);
}

static void record_notes(struct skua__notes_room *room, const struct skua__span_record *record,
                         const char *notes, skua_otel_span *ret)
{
    skua_attr *attrs = skua__notes_cut(room, record->attrs * sizeof *attrs);
    skua_otel_event *events = skua__notes_cut(room, record->events * sizeof *events);
    skua_otel_link *links = skua__notes_cut(room, record->links * sizeof *links);
    const char *end = notes + record->notes_len;
    uint32_t count = 0;

    for (const char *at = notes; at < end; at += skua__note_at(at)->size) {
        if (skua__note_at(at)->what == SKUA__NOTE_ATTR)
            (void)skua__notes_attr(room, at, &attrs[count++]);
        else if (skua__note_at(at)->what == SKUA__NOTE_EVENT)
            record_event(room, at, &events[ret->events_count++]);
        else
            record_link(room, at, &links[ret->links_count++]);
    }
    ret->attrs = (skua_otel_attrs){attrs, skua__notes_distinct(attrs, count), record->attrs_over};
    ret->events = events;
    ret->links = links;
}

static size_t record_read(const void *bytes, char *memory, void *item)
{
    const struct skua__span_record *record = bytes;
    skua_otel_span *ret = item;
    struct skua__notes_room room = {memory};
    const char *name = (const char *)(record + 1);
    const char *status = name + record->name_len + 1;
    const char *state = status + record->status_len + 1;
    size_t texts = (size_t)record->name_len + record->status_len + record->state_len + 3;

    *ret = (skua_otel_span){.flags = record->flags,
                            .kind = record->kind,
                            .status = record->status,
                            .parent_remote = (record->bits & SKUA__RECORD_REMOTE) != 0,
                            .events_dropped = record->events_over,
                            .links_dropped = record->links_over};
    memcpy(ret->trace_id, record->trace_id, 16);
    memcpy(ret->span_id, record->span_id, 8);
    memcpy(ret->parent_id, record->parent_id, 8);
    ret->start = record_time(record->start, (record->bits & SKUA__RECORD_START_WALL) != 0);
    ret->end = record_time(record->end, (record->bits & SKUA__RECORD_END_WALL) != 0);
    if (ret->end < ret->start)
        ret->end = ret->start;
    ret->name = skua__notes_text(&room, name, record->name_len);
    ret->status_text = skua__notes_text(&room, status, record->status_len);
    ret->trace_state = skua__notes_text(&room, state, record->state_len);
    record_notes(&room, record, name + ((texts + 7) & ~(size_t)7), ret);
    return (size_t)(room.at - memory);
}

/* ---- for the collector ----------------------------------------------------------------------- */

static const void *record_tracer(const void *record)
{
    return ((const struct skua__span_record *)record)->tracer;
}

static skua_otel_text record_static(const char *text)
{
    return (skua_otel_text){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

static void record_scope(const void *maker, skua_otel_scope *ret)
{
    const skua_tracer *tracer = maker;

    *ret = (skua_otel_scope){.name = record_static(tracer->name),
                             .version = record_static(tracer->version),
                             .schema_url = record_static(tracer->schema_url),
                             .attrs = {tracer->attrs, (uint32_t)tracer->attrs_count, 0}};
}

static const skua_otel_scope **record_scope_at(void *item)
{
    return &((skua_otel_span *)item)->scope;
}

const struct skua__otel_reader skua__otel_span_reader = {.kind = SKUA__OTEL_SPAN,
                                                         .signal = SKUA_OTEL_TRACES,
                                                         .item = sizeof(skua_otel_span),
                                                         .room = record_size,
                                                         .read = record_read,
                                                         .scope_of = record_tracer,
                                                         .scope = record_scope,
                                                         .scope_at = record_scope_at};

#undef RECORD_STATUS_MAX
#undef RECORD_STATE_MAX
