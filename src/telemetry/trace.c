/* trace.c - the API of traces: what is current, and a table of functions, when there is one.
 *
 *   skua_span_start    off? NULL. Else the parent is found out, and the SDK asked
 *   skua_span_enter    a link of the caller's context: the one inside the span, which is free the
 *                      first time, or one of its own
 *   skua_trace_attach  a span of our own, which records nothing
 *
 * Life       a span's references are counted in its head. The link inside of it holds one as long
 *            as any context has the link.
 */
#include <skua/telemetry.h>

#include "os/os.h"
#include "task/task_impl.h"

const skua_trace_ops *skua_trace_table;

/* Of a span that was entered a second time, or attached. */
struct trace_entry {
    struct skua__context link;
    skua_span *span;
};

_Static_assert(sizeof(struct skua__context) <= sizeof(skua_context_link), "a link has room");

static skua_span_head *trace_head(const skua_span *span)
{
    return (skua_span_head *)(uintptr_t)span;
}

/* ---- the table ------------------------------------------------------------------------------- */

int skua_trace_install(const skua_trace_ops *ops)
{
    const skua_trace_ops *none = NULL;

    if (ops == NULL) {
        __atomic_store_n(&skua_trace_table, NULL, __ATOMIC_RELEASE);
        skua__task_spans_rest();
        return 0;
    }
    if (ops->size != sizeof *ops)
        return -EINVAL;
    /* Release: who loads the table sees what the SDK has set up. */
    return __atomic_compare_exchange_n(&skua_trace_table, &none, ops, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED)
               ? 0
               : -EBUSY;
}

/* ---- references ------------------------------------------------------------------------------ */

skua_span *skua_span_ref(skua_span *span)
{
    if (span != NULL) /* relaxed: the caller holds one */
        (void)__atomic_fetch_add(&trace_head(span)->refs, 1, __ATOMIC_RELAXED);
    return span;
}

/* One less. */
SKUA__INLINE void trace_drop(skua_span_head *head)
{
    /* Release and acquire: whoever frees it comes after everybody's last look. Who holds the only
     * one needs no locked instruction: nobody else can make another. */
    if (__atomic_load_n(&head->refs, __ATOMIC_ACQUIRE) != 1 &&
        __atomic_fetch_sub(&head->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    if (skua__likely(head->ops != NULL))
        head->ops->free((skua_span *)head);
    else
        skua__os_free(head);
}

void skua_span_unref(skua_span *span)
{
    if (span != NULL)
        trace_drop(trace_head(span));
}

/* ---- the current span ------------------------------------------------------------------------ */

static void trace_link_gone(void *span)
{
    skua_span_unref(span);
}

static void trace_entry_gone(void *value)
{
    struct trace_entry *entry = value;
    skua_span *span = entry->span;

    skua__os_free(entry);
    skua_span_unref(span);
}

static const skua_local_key trace_link_key = {"span", NULL, trace_link_gone};
static const skua_local_key trace_entry_key = {"span", NULL, trace_entry_gone};

static skua_span *trace_current(void)
{
    const struct skua__context *context = skua__context_current(skua__thread_self());

    return context != NULL ? context->span : NULL;
}

skua_span *skua_span_current(void)
{
    skua_span *span = trace_current();

    return span != NULL && !trace_head(span)->suppressed ? span : NULL;
}

int skua_trace_suppressed(void)
{
    const skua_span *span = trace_current();

    return span != NULL && trace_head(span)->suppressed;
}

/* By a link of its own. */
static int trace_enter_again(skua_span_frame *frame, skua_span *span)
{
    struct trace_entry *entry = skua__os_alloc(sizeof *entry);

    if (entry == NULL)
        return -ENOMEM;
    entry->span = skua_span_ref(span);
    if (!skua__context_enter(&entry->link, &trace_entry_key, entry, span)) {
        trace_entry_gone(entry);
        return SKUA_EUSAGE;
    }
    frame->link = &entry->link;
    return 0;
}

int skua_span_enter(skua_span_frame *frame, skua_span *span)
{
    skua_span_head *head = trace_head(span);
    struct skua__context *link;

    frame->link = NULL;
    if (span == NULL || (!head->suppressed && skua_trace_suppressed()))
        return 0;
    /* Acquire and release: the first to set it has the link. */
    if (__atomic_exchange_n(&head->entered, 1, __ATOMIC_ACQ_REL) != 0)
        return trace_enter_again(frame, span);
    link = (struct skua__context *)(void *)&head->link;
    (void)skua_span_ref(span);
    if (!skua__context_enter(link, &trace_link_key, span, span)) {
        skua_span_unref(span);
        return SKUA_EUSAGE;
    }
    frame->link = link;
    return 0;
}

int skua_span_leave(skua_span_frame *frame)
{
    struct skua__context *link = frame->link;

    if (link == NULL)
        return 0;
    if (!skua__context_leave(link))
        return SKUA_EUSAGE;
    frame->link = NULL;
    return 0;
}

/* A span of our own, entered: `context` with its trace_state behind it. */
static int trace_enter_own(skua_span_frame *frame, const skua_span_context *context,
                           bool suppressed)
{
    size_t len = context->trace_state != NULL ? strlen(context->trace_state) : 0;
    skua_span_head *head = skua__os_alloc(sizeof *head + len + 1);
    int rc;

    frame->link = NULL;
    if (head == NULL)
        return -ENOMEM;
    head->context = *context;
    head->context.trace_state = len != 0 ? memcpy(head + 1, context->trace_state, len) : NULL;
    head->refs = 1;
    head->suppressed = suppressed;
    rc = skua_span_enter(frame, (skua_span *)head);
    skua_span_unref((skua_span *)head);
    return rc;
}

int skua_trace_attach(skua_span_frame *frame, const skua_span_context *context)
{
    skua_span_context remote = *context;

    frame->link = NULL;
    if (!skua_span_context_valid(context))
        return -EINVAL;
    return trace_enter_own(frame, &remote, skua_trace_suppressed());
}

int skua_trace_suppress(skua_span_frame *frame)
{
    static const skua_span_context none = {.trace_state = NULL};

    return trace_enter_own(frame, &none, true);
}

int skua_span_context_valid(const skua_span_context *context)
{
    static const uint8_t zeros[16];

    return memcmp(context->trace_id, zeros, 16) != 0 && memcmp(context->span_id, zeros, 8) != 0;
}

/* ---- spans ----------------------------------------------------------------------------------- */

void skua_span_options_init(skua_span_options *options)
{
    *options = (skua_span_options){.size = sizeof *options};
}

skua_span *skua_span_start(skua_tracer *tracer, const char *name, const skua_span_options *options)
{
    const skua_trace_ops *ops = skua_trace_installed();
    const skua_span_context *parent = NULL;
    const skua_span *current;

    if (skua__likely(ops == NULL))
        return NULL;
    current = trace_current();
    if (current != NULL && trace_head(current)->suppressed)
        return NULL;
    if (options != NULL && (options->size != sizeof *options || options->kind > SKUA_SPAN_CONSUMER))
        return NULL;
    if (options != NULL && options->root)
        parent = NULL;
    else if (options != NULL && options->parent != NULL)
        parent = skua_span_context_valid(options->parent) ? options->parent : NULL;
    else if (current != NULL)
        parent = &trace_head(current)->context;
    return ops->start(tracer, name, parent, options);
}

/* Relaxed: who starts a span ends it; a second time is a mistake of the same one. */
static bool trace_ended(const skua_span_head *head)
{
    return __atomic_load_n(&head->ended, __ATOMIC_RELAXED) != 0;
}

void skua_span_end_at(skua_span *span, int64_t time)
{
    skua_span_head *head = trace_head(span);

    if (span == NULL || head->ops == NULL || trace_ended(head))
        return;
    __atomic_store_n(&head->ended, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&head->recording, __ATOMIC_RELAXED))
        head->ops->end(span, time);
    trace_drop(head);
}

void skua_span_end(skua_span *span)
{
    skua_span_end_at(span, 0);
}

/* The functions of a span on which something may still be set; else NULL. */
static const skua_trace_ops *trace_ops(const skua_span *span)
{
    return skua_span_recording(span) ? trace_head(span)->ops : NULL;
}

int skua_span_recording(const skua_span *span)
{
    return span != NULL && __atomic_load_n(&trace_head(span)->recording, __ATOMIC_RELAXED);
}

void skua_span_set_attrs(skua_span *span, const skua_attr *attrs, size_t count)
{
    const skua_trace_ops *ops = trace_ops(span);

    if (ops != NULL)
        ops->set(span, attrs, count);
}

void skua_span_event(skua_span *span, const char *name, int64_t time, const skua_attr *attrs,
                     size_t count)
{
    const skua_trace_ops *ops = trace_ops(span);

    if (ops != NULL)
        ops->event(span, name, time, attrs, count);
}

void skua_span_link_to(skua_span *span, const skua_span_context *context, const skua_attr *attrs,
                       size_t count)
{
    const skua_trace_ops *ops = trace_ops(span);

    if (ops != NULL)
        ops->link(span, context, attrs, count);
}

void skua_span_set_status(skua_span *span, skua_span_status status, const char *text)
{
    const skua_trace_ops *ops = trace_ops(span);

    if (ops != NULL)
        ops->status(span, status, text != NULL ? text : "");
}

void skua_span_rename(skua_span *span, const char *name)
{
    const skua_trace_ops *ops = trace_ops(span);

    if (ops != NULL)
        ops->rename(span, name);
}

void skua_span_fail(skua_span *span, int64_t code, const char *what)
{
    const char *type = skua_strerror(code);

    if (trace_ops(span) == NULL)
        return;
    skua_span_event(span, "exception", 0,
                    (const skua_attr[]){SKUA_STR("exception.type", type),
                                        SKUA_STR("exception.message", what != NULL ? what : type)},
                    2);
    skua_span_set(span, SKUA_STR("error.type", type));
    skua_span_set_status(span, SKUA_SPAN_ERROR, what != NULL ? what : type);
}

int skua_span_context_of(const skua_span *span, skua_span_context *ret)
{
    if (span == NULL) {
        *ret = (skua_span_context){.trace_state = NULL};
        return -ENOENT;
    }
    *ret = trace_head(span)->context;
    return 0;
}

/* ---- scoped spans ---------------------------------------------------------------------------- */

/* Of a span that nobody else knows yet: it has one reference, and its link is free. */
static void trace_enter_new(skua_span_frame *frame, skua_span *span)
{
    skua_span_head *head = trace_head(span);
    struct skua__context *link = (struct skua__context *)(void *)&head->link;

    head->entered = 1;
    head->refs = 2;
    if (skua__context_enter(link, &trace_link_key, span, span))
        frame->link = link;
    else
        head->refs = 1;
}

void skua_span_scope_start(skua_span_scope *scope, skua_tracer *tracer, const char *name,
                           const skua_attr *attrs, size_t count)
{
    scope->span = skua_span_start(tracer, name,
                                  &(skua_span_options){.size = sizeof(skua_span_options),
                                                       .attrs = attrs,
                                                       .attrs_count = count});
    if (scope->span != NULL)
        trace_enter_new(&scope->frame, scope->span);
}

void skua_span_scope_close(skua_span_scope *scope)
{
    bool ended = trace_ended(trace_head(scope->span)); /* the frame may have the last reference */

    (void)skua_span_leave(&scope->frame);
    if (!ended)
        skua_span_end(scope->span);
}
