/* export_memory.c - an exporter that keeps what it is handed.
 *
 * Each export is a deep copy in a batch of its own: what is handed to an exporter ends with the
 * call.
 */
#include <pthread.h>

#include <skua/otel/memory.h>

#include "otel/pipe/pipe_impl.h"

struct memory_batch {
    struct memory_batch *next;
    struct skua__batch *batch;
};

struct memory {
    skua_otel_exporter exporter;
    atomic_uint refs;
    pthread_mutex_t mutex;
    struct memory_batch *first, *last; /* guard: mutex */
};

/* ---- copies: NULL, or false: no memory ------------------------------------------------------- */

static const void *memory_bytes(struct skua__batch *to, const void *bytes, size_t size)
{
    char *copy = skua__batch_alloc(to, size + 1);

    if (copy == NULL)
        return NULL;
    if (size != 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

static bool memory_text(struct skua__batch *to, skua_otel_text *text)
{
    text->at = memory_bytes(to, text->at, text->len);
    return text->at != NULL;
}

static bool memory_list(struct skua__batch *to, const skua_attr **list, uint32_t count);

static bool memory_value(struct skua__batch *to, skua_attr *attr)
{
    size_t size = attr->count;

    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_LIST:
    case SKUA_ATTR_MAP:
        return memory_list(to, &attr->value.attrs, attr->count);
    case SKUA_ATTR_STRS: {
        const char **copy = skua__batch_alloc(to, (size + 1) * sizeof *copy);

        for (uint32_t i = 0; copy != NULL && i < attr->count; i++) {
            copy[i] = memory_bytes(to, attr->value.strs[i], strlen(attr->value.strs[i]));
            if (copy[i] == NULL)
                return false;
        }
        attr->value.strs = copy;
        return copy != NULL;
    }
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        size *= 8;
        break;
    case SKUA_ATTR_STR:
    case SKUA_ATTR_BYTES:
    case SKUA_ATTR_BOOLS:
        break;
    default:
        return true;
    }
    attr->value.bytes = memory_bytes(to, attr->value.bytes, size);
    return attr->value.bytes != NULL;
}

static bool memory_list(struct skua__batch *to, const skua_attr **list, uint32_t count)
{
    skua_attr *copy = skua__batch_alloc(to, (count + (size_t)1) * sizeof *copy);

    for (uint32_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = (*list)[i];
        copy[i].key = copy[i].key != NULL ? memory_bytes(to, copy[i].key, copy[i].key_len) : "";
        if (copy[i].key == NULL || !memory_value(to, &copy[i]))
            return false;
    }
    *list = copy;
    return copy != NULL;
}

static bool memory_attrs(struct skua__batch *to, skua_otel_attrs *attrs)
{
    return memory_list(to, &attrs->at, attrs->count);
}

static const skua_otel_scope *memory_scope(struct skua__batch *to, const skua_otel_scope *scope)
{
    skua_otel_scope *copy = skua__batch_alloc(to, sizeof *copy);

    if (copy == NULL || scope == NULL)
        return NULL;
    *copy = *scope;
    return memory_text(to, &copy->name) && memory_text(to, &copy->version) &&
                   memory_text(to, &copy->schema_url) && memory_attrs(to, &copy->attrs)
               ? copy
               : NULL;
}

static bool memory_span(struct skua__batch *to, skua_otel_span *span)
{
    skua_otel_event *events;
    skua_otel_link *links;

    if (!memory_text(to, &span->trace_state) || !memory_text(to, &span->name) ||
        !memory_text(to, &span->status_text) || !memory_attrs(to, &span->attrs) ||
        (span->events = memory_bytes(to, span->events, span->events_count * sizeof *events)) ==
            NULL ||
        (span->links = memory_bytes(to, span->links, span->links_count * sizeof *links)) == NULL)
        return false;
    events = (skua_otel_event *)(uintptr_t)span->events;
    links = (skua_otel_link *)(uintptr_t)span->links;
    for (uint32_t i = 0; i < span->events_count; i++)
        if (!memory_text(to, &events[i].name) || !memory_attrs(to, &events[i].attrs))
            return false;
    for (uint32_t i = 0; i < span->links_count; i++)
        if (!memory_text(to, &links[i].trace_state) || !memory_attrs(to, &links[i].attrs))
            return false;
    span->scope = memory_scope(to, span->scope);
    return span->scope != NULL;
}

static bool memory_log(struct skua__batch *to, skua_otel_log *log)
{
    log->body.key = "";
    if (!memory_text(to, &log->severity_text) || !memory_text(to, &log->event_name) ||
        !memory_attrs(to, &log->attrs) || !memory_value(to, &log->body))
        return false;
    log->scope = memory_scope(to, log->scope);
    return log->scope != NULL;
}

static bool memory_point(struct skua__batch *to, skua_otel_point *point)
{
    skua_otel_exemplar *exemplars;

    if (!memory_attrs(to, &point->attrs) ||
        (point->exemplars = memory_bytes(to, point->exemplars,
                                         point->exemplars_count * sizeof *exemplars)) == NULL ||
        (point->bounds = memory_bytes(to, point->bounds, point->bounds_count * sizeof(double))) ==
            NULL ||
        (point->counts = memory_bytes(
             to, point->counts,
             (point->counts != NULL ? point->bounds_count + (size_t)1 : 0) * sizeof(uint64_t))) ==
            NULL ||
        (point->positive.counts = memory_bytes(to, point->positive.counts,
                                               point->positive.count * sizeof(uint64_t))) == NULL ||
        (point->negative.counts = memory_bytes(to, point->negative.counts,
                                               point->negative.count * sizeof(uint64_t))) == NULL)
        return false;
    exemplars = (skua_otel_exemplar *)(uintptr_t)point->exemplars;
    for (uint32_t i = 0; i < point->exemplars_count; i++)
        if (!memory_attrs(to, &exemplars[i].attrs))
            return false;
    return true;
}

static bool memory_metric(struct skua__batch *to, skua_otel_metric *metric)
{
    skua_otel_point *points;

    if (!memory_text(to, &metric->name) || !memory_text(to, &metric->description) ||
        !memory_text(to, &metric->unit) ||
        (metric->points =
             memory_bytes(to, metric->points, metric->points_count * sizeof *points)) == NULL)
        return false;
    points = (skua_otel_point *)(uintptr_t)metric->points;
    for (uint32_t i = 0; i < metric->points_count; i++)
        if (!memory_point(to, &points[i]))
            return false;
    metric->scope = memory_scope(to, metric->scope);
    return metric->scope != NULL;
}

static size_t memory_item(skua_otel_signal signal)
{
    return signal == SKUA_OTEL_TRACES ? sizeof(skua_otel_span)
           : signal == SKUA_OTEL_LOGS ? sizeof(skua_otel_log)
                                      : sizeof(skua_otel_metric);
}

static struct skua__batch *memory_copy(const skua_otel_batch *from)
{
    size_t item = memory_item(from->signal);
    struct skua__batch *to = skua__batch_new(from->signal, NULL, from->count, item);
    skua_otel_resource *resource;
    bool good = to != NULL;

    if (!good)
        return NULL;
    memcpy(to->items, from->items.spans, from->count * item);
    for (; good && to->data.count < from->count; to->data.count++) {
        void *at = to->items + to->data.count * item;

        good = from->signal == SKUA_OTEL_TRACES ? memory_span(to, at)
               : from->signal == SKUA_OTEL_LOGS ? memory_log(to, at)
                                                : memory_metric(to, at);
    }
    resource = good ? skua__batch_alloc(to, sizeof *resource) : NULL;
    if (resource != NULL) {
        *resource = *from->resource;
        to->data.resource = resource;
    }
    if (resource == NULL || !memory_attrs(to, &resource->attrs) ||
        !memory_text(to, &resource->schema_url)) {
        skua__batch_unref(to);
        return NULL;
    }
    return to;
}

/* ---- the exporter ---------------------------------------------------------------------------- */

static int64_t memory_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                             int64_t deadline)
{
    struct memory *memory = (struct memory *)exporter;
    struct memory_batch *entry = skua__otel_malloc(sizeof *entry);

    (void)deadline;
    if (entry == NULL)
        return -ENOMEM;
    entry->batch = memory_copy(batch);
    if (entry->batch == NULL) {
        skua__otel_free(entry);
        return -ENOMEM;
    }
    pthread_mutex_lock(&memory->mutex);
    if (memory->last != NULL)
        memory->last->next = entry;
    else
        memory->first = entry;
    memory->last = entry;
    pthread_mutex_unlock(&memory->mutex);
    return 0;
}

void skua_otel_memory_clear(skua_otel_exporter *exporter)
{
    struct memory *memory = (struct memory *)exporter;
    struct memory_batch *at, *next;

    pthread_mutex_lock(&memory->mutex);
    at = memory->first;
    memory->first = memory->last = NULL;
    pthread_mutex_unlock(&memory->mutex);
    for (; at != NULL; at = next) {
        next = at->next;
        skua__batch_unref(at->batch);
        skua__otel_free(at);
    }
}

void skua_otel_memory_free(skua_otel_exporter *exporter)
{
    struct memory *memory = (struct memory *)exporter;

    /* Release and acquire: whoever frees it comes after the other's last look. */
    if (memory == NULL || atomic_fetch_sub_explicit(&memory->refs, 1, memory_order_acq_rel) != 1)
        return;
    skua_otel_memory_clear(exporter);
    pthread_mutex_destroy(&memory->mutex);
    skua__otel_free(memory);
}

/* The parent's is the child's, too: it starts empty. */
static void memory_forked(skua_otel_exporter *exporter)
{
    struct memory *memory = (struct memory *)exporter;

    pthread_mutex_init(&memory->mutex, NULL);
    memory->first = memory->last = NULL;
}

static const skua_otel_exporter_ops memory_ops = {.name = "in_memory_exporter",
                                                  .export_batch = memory_export,
                                                  .free = skua_otel_memory_free,
                                                  .forked = memory_forked};

int skua_otel_memory_new(skua_otel_exporter **ret)
{
    struct memory *memory = skua__otel_malloc(sizeof *memory);

    if (memory == NULL)
        return -ENOMEM;
    memory->exporter.ops = &memory_ops;
    atomic_store_explicit(&memory->refs, 2, memory_order_relaxed);
    pthread_mutex_init(&memory->mutex, NULL);
    *ret = &memory->exporter;
    return 0;
}

/* ---- what is in it --------------------------------------------------------------------------- */

static size_t memory_items(skua_otel_exporter *exporter, skua_otel_signal signal, void *ret,
                           size_t max)
{
    struct memory *memory = (struct memory *)exporter;
    size_t item = memory_item(signal), count = 0;

    pthread_mutex_lock(&memory->mutex);
    for (struct memory_batch *at = memory->first; at != NULL; at = at->next) {
        if (at->batch->data.signal != signal)
            continue;
        for (uint32_t i = 0; i < at->batch->data.count; i++, count++)
            if (count < max)
                memcpy((char *)ret + count * item, at->batch->items + i * item, item);
    }
    pthread_mutex_unlock(&memory->mutex);
    return count;
}

size_t skua_otel_memory_spans(skua_otel_exporter *memory, skua_otel_span *ret, size_t max)
{
    return memory_items(memory, SKUA_OTEL_TRACES, ret, max);
}

size_t skua_otel_memory_logs(skua_otel_exporter *memory, skua_otel_log *ret, size_t max)
{
    return memory_items(memory, SKUA_OTEL_LOGS, ret, max);
}

size_t skua_otel_memory_metrics(skua_otel_exporter *memory, skua_otel_metric *ret, size_t max)
{
    return memory_items(memory, SKUA_OTEL_METRICS, ret, max);
}

const skua_otel_resource *skua_otel_memory_resource(skua_otel_exporter *exporter)
{
    struct memory *memory = (struct memory *)exporter;
    const skua_otel_resource *resource;

    pthread_mutex_lock(&memory->mutex);
    resource = memory->last != NULL ? memory->last->batch->data.resource : NULL;
    pthread_mutex_unlock(&memory->mutex);
    return resource;
}
