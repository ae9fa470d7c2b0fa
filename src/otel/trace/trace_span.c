/* trace_span.c - the functions behind trace.h.
 *
 * Start      sampled first; a span that is dropped is a head with an id, for those that come
 *            behind. Spans come from the spare ones of the thread, and go back to those of the
 *            thread that lets go of them last.
 * Cost       of a start and an end, nothing set: two reads of the clock, 24 random bytes, a copy of
 *            some 150 bytes; no lock that others take, no allocation.
 */
#include <sched.h>

#include "otel/trace/trace_sample.h"

_Atomic uint64_t skua__trace_late;

/* Release, acquire: the SDK is complete. */
static _Atomic(const struct skua__trace_sdk *) span_sdk;

void skua__trace_use(const struct skua__trace_sdk *sdk)
{
    atomic_store_explicit(&span_sdk, sdk, memory_order_release);
}

const struct skua__trace_sdk *skua__trace_used(void)
{
    return atomic_load_explicit(&span_sdk, memory_order_acquire);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct skua__span *span_take(struct skua__otel_thread *thread)
{
    struct skua__span *span = thread->spare;

    if (__builtin_expect(span != NULL, 1)) {
        memcpy(&thread->spare, span, sizeof thread->spare);
        thread->spare_count--;
        return span;
    }
    thread->spare_free = skua__otel_free;
    span = skua__otel_raw(SKUA__SPAN_SIZE);
    if (span == NULL)
        skua__otel_bump(&thread->lost, 1);
    return span;
}

/* What a span may have beside itself. */
static __attribute__((noinline)) void span_empty(struct skua__span *span)
{
    if (span->trace_state != NULL)
        skua__otel_free(span->trace_state);
    if (!span->filled)
        return;
    if (span->name != span->near)
        skua__otel_free(span->name);
    if (span->status_text != NULL)
        skua__otel_free(span->status_text);
    skua__notes_free(&span->notes);
}

static void span_free(skua_span *handle)
{
    struct skua__span *span = (struct skua__span *)handle;
    struct skua__otel_thread *thread = skua__otel_thread();

    if (span->filled || __builtin_expect(span->trace_state != NULL, 0))
        span_empty(span);
    if (__builtin_expect(thread == NULL || thread->spare_count == SKUA__SPAN_SPARES, 0)) {
        skua__otel_free(span);
        return;
    }
    thread->spare_free = skua__otel_free;
    memcpy(span, &thread->spare, sizeof thread->spare);
    thread->spare = span;
    thread->spare_count++;
}

/* It is held for some instructions, or the holder is not running. */
static void span_pause(unsigned *turns)
{
    if (++*turns % 64 == 0)
        (void)sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void span_lock(struct skua__span *span)
{
    unsigned turns = 0;

    while (__builtin_expect(__atomic_exchange_n(&span->lock, 1, __ATOMIC_ACQUIRE) != 0, 0))
        while (__atomic_load_n(&span->lock, __ATOMIC_RELAXED) != 0)
            span_pause(&turns);
}

static void span_unlock(struct skua__span *span)
{
    __atomic_store_n(&span->lock, 0, __ATOMIC_RELEASE);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

/* Spans that a hook makes see no hooks: it would go on for ever. */
static __thread bool span_hooking;

static void span_hook(const struct skua__trace_sdk *sdk, skua_span *span,
                      const skua_span_context *parent, bool start)
{
    if (span_hooking)
        return;
    span_hooking = true;
    if (start)
        sdk->on_start(sdk, span, parent);
    else
        sdk->on_end(sdk, span);
    span_hooking = false;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Into span_start, whose cost is the sum of them. */
#define SKUA__SPAN_INLINE static inline __attribute__((always_inline))

static skua_span_kind span_kind(const skua_span_options *options)
{
    return options != NULL && options->kind != 0 ? options->kind : SKUA_SPAN_INTERNAL;
}

/* A root's trace id and any span's id are random numbers of the thread's, all drawn before one is
 * stored: so the generator's state stays in registers. */
SKUA__SPAN_INLINE void span_ids(const struct skua__trace_sdk *sdk, struct skua__otel_thread *thread,
                                skua_span_context *context, const skua_span_context *parent)
{
    uint64_t id = skua__otel_random(thread);

    if (parent != NULL) {
        memcpy(context->trace_id, parent->trace_id, 16);
        context->flags = parent->flags & SKUA_TRACE_RANDOM;
    } else if (__builtin_expect(sdk->new_trace_id != NULL, 0)) {
        sdk->new_trace_id(context->trace_id);
        context->flags = 0;
    } else {
        uint64_t words[2] = {skua__otel_random(thread), skua__otel_random(thread)};

        memcpy(context->trace_id, words, 16);
        context->flags = SKUA_TRACE_RANDOM;
    }
    if (__builtin_expect(sdk->new_span_id != NULL, 0))
        sdk->new_span_id(context->span_id);
    else
        memcpy(context->span_id, &id, 8);
    context->remote = 0;
}

/* The parent's decision, or a ratio's of a root: what nearly everybody has, without a call. */
SKUA__SPAN_INLINE skua_otel_sampling span_sample(const struct skua__trace_sdk *sdk,
                                                 const skua_span_context *context,
                                                 const skua_span_context *parent)
{
    bool keep;

    if (parent != NULL && !sdk->orphan)
        keep = (parent->flags & SKUA_TRACE_SAMPLED) != 0;
    else
        keep = skua__sample_random(context->trace_id) >= sdk->threshold;
    return keep ? SKUA_OTEL_SAMPLE : SKUA_OTEL_DROP;
}

/* The text's copy in `near`, or in memory of its own; NULL: there is none. */
static char *span_text(const char *text, size_t len, char *near, size_t size)
{
    char *copy = near != NULL && len < size ? near : skua__otel_raw(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* A name longer than its field can count is cut. */
static void span_name(struct skua__span *span, const char *name)
{
    size_t len = strnlen(name, UINT16_MAX);
    char *copy = span_text(name, len, span->near, sizeof span->near);

    span->name = copy != NULL ? copy : span->near;
    span->name_len = copy != NULL ? (uint16_t)len : 0;
    if (copy == NULL)
        span->near[0] = '\0';
}

static void span_state(struct skua__span *span, const char *state)
{
    if (*state == '\0')
        return;
    span->trace_state = span_text(state, strlen(state), NULL, 0);
    span->head.context.trace_state = span->trace_state;
}

static void span_clear(struct skua__span *span)
{
    span->filled = true;
    span->lock = 0;
    span->ended = false;
    span->status = SKUA_SPAN_UNSET;
    span->status_text = NULL;
    span->notes = (struct skua__notes){.bytes = span->first,
                                       .room = (uint32_t)(SKUA__SPAN_SIZE - sizeof *span)};
}

/* The head of a span that nobody has seen yet. */
SKUA__SPAN_INLINE void span_head(struct skua__span *span)
{
    span->head.ops = &skua__trace_ops;
    span->head.refs = 1;
    span->head.recording = 0;
    span->head.entered = 0;
    span->head.suppressed = 0;
    span->head.ended = 0;
    span->filled = false;
    span->trace_state = NULL;
    span->head.context.trace_state = NULL;
}

/* What a span that is recorded has more; `added` NULL: no sampler was asked. */
static __attribute__((noinline)) skua_span *span_record(skua_tracer *tracer, const char *name,
                                                        const skua_span_context *parent,
                                                        const skua_span_options *options,
                                                        struct skua__span *span,
                                                        const skua_otel_sampler_result *added)
{
    const struct skua__trace_sdk *sdk = skua__trace_used();

    span_clear(span);
    span->head.recording = 1;
    span->tracer = tracer;
    span->kind = (uint8_t)span_kind(options);
    span->parent_remote = parent != NULL && parent->remote;
    if (parent != NULL)
        memcpy(span->parent_id, parent->span_id, 8);
    else
        memset(span->parent_id, 0, 8);
    span_name(span, name);
    if (options != NULL && options->attrs_count != 0)
        skua__notes_attrs(&span->notes, &sdk->limits, options->attrs, options->attrs_count);
    if (added != NULL && added->attrs_count != 0)
        skua__notes_attrs(&span->notes, &sdk->limits, added->attrs, added->attrs_count);
    for (size_t i = 0; options != NULL && i < options->links_count; i++)
        skua__notes_link(&span->notes, &sdk->limits, options->links[i].context,
                         options->links[i].attrs, options->links[i].attrs_count);
    span->start_is_wall = options != NULL && options->start != 0;
    span->start = span->start_is_wall ? (uint64_t)options->start : skua__otel_ticks();
    if (__builtin_expect(sdk->on_start != NULL, 0))
        span_hook(sdk, (skua_span *)span, parent, true);
    return (skua_span *)span;
}

/* By its parent (0: none, 1: local, 2: remote), and what it will be: where nobody gets spans, none
 * is recorded. */
SKUA__SPAN_INLINE void span_count(const struct skua__trace_sdk *sdk,
                                  struct skua__otel_thread *thread, const skua_span_context *parent,
                                  skua_otel_sampling sampling)
{
    unsigned origin = parent == NULL ? 0 : 1 + (parent->remote != 0);

    if (__builtin_expect(sdk->unheard, 0))
        sampling = SKUA_OTEL_DROP;
    skua__otel_bump(&thread->started[SKUA__OTEL_STARTED(origin, sampling)], 1);
}

/* As a sampler decides: calls, and attributes of its own. */
static __attribute__((noinline)) skua_span *span_ask(skua_tracer *tracer, const char *name,
                                                     const skua_span_context *parent,
                                                     const skua_span_options *options,
                                                     struct skua__span *span)
{
    const struct skua__trace_sdk *sdk = skua__trace_used();
    skua_span_context *context = &span->head.context;
    skua_otel_sampler_input input = {.parent = parent,
                                     .trace_id = context->trace_id,
                                     .name = name,
                                     .tracer = tracer,
                                     .kind = span_kind(options)};
    skua_otel_sampler_result result;
    skua_otel_sampling sampling;

    if (options != NULL) {
        input.attrs = options->attrs;
        input.attrs_count = options->attrs_count;
        input.links = options->links;
        input.links_count = options->links_count;
    }
    result.attrs = NULL;
    result.attrs_count = 0;
    result.trace_state = NULL;
    sampling = sdk->sampler->sample(sdk->sampler, &input, &result);
    span_count(sdk, skua__otel_thread_own, parent, sampling);
    if (result.trace_state != NULL)
        span_state(span, result.trace_state);
    else if (parent != NULL && parent->trace_state != NULL)
        span_state(span, parent->trace_state);
    if (sampling == SKUA_OTEL_DROP)
        return (skua_span *)span;
    if (sampling == SKUA_OTEL_SAMPLE)
        context->flags |= SKUA_TRACE_SAMPLED;
    if (sdk->unheard)
        return (skua_span *)span;
    return span_record(tracer, name, parent, options, span, &result);
}

/* The answer is kept in the tracer; several threads that ask at a time all write the same. */
static bool span_wanted(const struct skua__trace_sdk *sdk, skua_tracer *tracer)
{
    uint64_t known = __atomic_load_n(&tracer->generation, __ATOMIC_RELAXED);

    if (known >> 1 != sdk->number) {
        known = sdk->number << 1 | sdk->wants(sdk, tracer);
        __atomic_store_n(&tracer->generation, known, __ATOMIC_RELAXED);
    }
    return (known & 1) != 0;
}

static skua_span *span_start(skua_tracer *tracer, const char *name, const skua_span_context *parent,
                             const skua_span_options *options)
{
    const struct skua__trace_sdk *sdk = skua__trace_used();
    bool wanted = __builtin_expect(sdk->wants == NULL, 1) || span_wanted(sdk, tracer);
    struct skua__otel_thread *thread = skua__otel_thread();
    struct skua__span *span = thread != NULL && wanted ? span_take(thread) : NULL;
    skua_otel_sampling sampling;

    if (__builtin_expect(span == NULL, 0))
        return NULL;
    span_head(span);
    span_ids(sdk, thread, &span->head.context, parent);
    if (__builtin_expect(sdk->sampler != NULL, 0))
        return span_ask(tracer, name, parent, options, span);
    sampling = span_sample(sdk, &span->head.context, parent);
    span_count(sdk, thread, parent, sampling);
    if (parent != NULL && __builtin_expect(parent->trace_state != NULL, 0))
        span_state(span, parent->trace_state);
    if (sampling == SKUA_OTEL_DROP)
        return (skua_span *)span;
    span->head.context.flags |= SKUA_TRACE_SAMPLED;
    if (__builtin_expect(sdk->unheard, 0))
        return (skua_span *)span;
    return span_record(tracer, name, parent, options, span, NULL);
}
#undef SKUA__SPAN_INLINE

/* ---- while it runs --------------------------------------------------------------------------- */

/* Locked, and not ended; or NULL. */
static struct skua__span *span_open(skua_span *handle)
{
    struct skua__span *span = (struct skua__span *)handle;

    span_lock(span);
    if (!span->ended)
        return span;
    span_unlock(span);
    return NULL;
}

static void span_set(skua_span *handle, const skua_attr *attrs, size_t count)
{
    struct skua__span *span = span_open(handle);

    if (span == NULL)
        return;
    skua__notes_attrs(&span->notes, &skua__trace_used()->limits, attrs, count);
    span_unlock(span);
}

static void span_event(skua_span *handle, const char *name, int64_t time, const skua_attr *attrs,
                       size_t count)
{
    uint64_t at = time != 0 ? (uint64_t)time : skua__otel_ticks();
    struct skua__span *span = span_open(handle);

    if (span == NULL)
        return;
    skua__notes_event(&span->notes, &skua__trace_used()->limits, name, at, time != 0, attrs, count);
    span_unlock(span);
}

static void span_link(skua_span *handle, const skua_span_context *context, const skua_attr *attrs,
                      size_t count)
{
    struct skua__span *span = span_open(handle);

    if (span == NULL)
        return;
    skua__notes_link(&span->notes, &skua__trace_used()->limits, context, attrs, count);
    span_unlock(span);
}

static void span_status(skua_span *handle, skua_span_status status, const char *text)
{
    size_t len = strlen(text);
    char *copy = status == SKUA_SPAN_ERROR && len != 0 ? span_text(text, len, NULL, 0) : NULL;
    struct skua__span *span = span_open(handle);
    char *old = copy;

    if (span != NULL) {
        if (status != SKUA_SPAN_UNSET && span->status != SKUA_SPAN_OK) {
            old = span->status_text;
            span->status = (uint8_t)status;
            span->status_text = copy;
        }
        span_unlock(span);
    }
    skua__otel_free(old);
}

static void span_rename(skua_span *handle, const char *name)
{
    struct skua__span *span = span_open(handle);

    if (span == NULL)
        return;
    if (span->name != span->near)
        skua__otel_free(span->name);
    span_name(span, name);
    span_unlock(span);
}

/* ---- end ------------------------------------------------------------------------------------- */

/* The end itself, under the lock, or when nobody else has the span. */
static void span_close(const struct skua__trace_sdk *sdk, struct skua__span *span, uint64_t end,
                       bool wall)
{
    struct skua__otel_thread *thread = skua__otel_thread();
    bool sampled = (span->head.context.flags & SKUA_TRACE_SAMPLED) != 0;

    span->ended = true;
    __atomic_store_n(&span->head.recording, 0, __ATOMIC_RELAXED);
    if (__builtin_expect(thread != NULL, 1))
        skua__otel_bump(&thread->ended[sampled], 1);
    if (!sampled)
        return;
    if (__builtin_expect(sdk->closed, 0)) {
        (void)atomic_fetch_add_explicit(&skua__trace_late, 1, memory_order_relaxed);
        return;
    }
    if (thread == NULL || !skua__span_record(thread, span, end, wall))
        return;
    /* What the writer knows of the tail may be old: asked again before somebody is woken. */
    if (skua__otel_ring_publish(&thread->ring) > sdk->wake_at &&
        skua__otel_ring_used(&thread->ring) > sdk->wake_at)
        sdk->filled();
}

static void span_end(skua_span *handle, int64_t time)
{
    struct skua__span *span = (struct skua__span *)handle;
    const struct skua__trace_sdk *sdk = skua__trace_used();
    uint64_t end;

    if (!skua_span_recording(handle))
        return;
    end = time != 0 ? (uint64_t)time : skua__otel_ticks();
    if (__builtin_expect(sdk->on_end != NULL, 0))
        span_hook(sdk, handle, NULL, false);
    /* The caller's reference is the only one: who else would use it holds one (trace.h). */
    if (__atomic_load_n(&span->head.refs, __ATOMIC_ACQUIRE) == 1) {
        span_close(sdk, span, end, time != 0);
    } else if (span_open(handle) != NULL) {
        span_close(sdk, span, end, time != 0);
        span_unlock(span);
    }
}

const skua_trace_ops skua__trace_ops = {.size = sizeof(skua_trace_ops),
                                        .start = span_start,
                                        .end = span_end,
                                        .set = span_set,
                                        .event = span_event,
                                        .link = span_link,
                                        .status = span_status,
                                        .rename = span_rename,
                                        .free = span_free};
