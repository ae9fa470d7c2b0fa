/* trace.h - traces: what a program did for a request, and in which order, over tasks, threads and
 * processes.
 *
 *     static skua_tracer tracer = SKUA_TRACER("shop.orders", "1.2.0");
 *
 *     static int store(const struct order *order)
 *     {
 *         int rc = 0;
 *
 *         SKUA_SPAN(span, &tracer, "store order", SKUA_I64("order.id", order->id)) {
 *             rc = insert(order);            -- spans made inside, and in tasks that are
 *             if (rc < 0)                    -- spawned inside, are its children
 *                 skua_span_fail(span, rc, "insert");
 *         }
 *         return rc;
 *     }
 *
 * Off        until a program starts an SDK (libskua-otel's skua_otel_start), all of this does
 *            nothing, at the cost of one predicted branch: a span is NULL, which every function
 *            here takes, and does nothing with. So libraries can be instrumented without a
 *            dependency on more than libskua.
 * Current    a fiber, and a plain thread, has a current span. It is inherited by the tasks that are
 *            spawned, by blocking jobs, and so on, as deadlines are (task.h). It may be attached
 *            from outside, too: skua_trace_attach of what came with a message. Poll tasks inherit,
 *            but cannot change theirs.
 * Lifetime   who starts a span ends it, once, on any task or thread. Tasks that inherit it hold a
 *            reference, so that its context stays readable for them; what they set on it after its
 *            end is ignored.
 * Threads    the calls of one span may come from several tasks and threads at a time.
 * Tasks      a task that is spawned with .flags = SKUA_TRACED, or that the SDK is told to trace
 *            (SKUA_OTEL_TASKS=all), has a span of its own: named as the task, a child of the
 *            spawner's current span, and the current one within the task. It ends with the task,
 *            and says what became of it: its result, turns, and the time that it ran
 *            (skua.task.busy), was runnable (skua.task.scheduled) and waited (skua.task.idle), in
 *            seconds. A negative result is an error, but for -ECANCELED: to be cancelled is an
 *            event, "cancelled".
 * Attributes that are known when a span starts are best given then: samplers see only those.
 *
 * Source     OpenTelemetry specification 1.60, trace/api; W3C Trace Context, level 2.
 */
#ifndef SKUA_TRACE_H
#define SKUA_TRACE_H

#include <skua/attribute.h>
#include <skua/task.h>

SKUA_C_BEGIN

/* ---- span contexts --------------------------------------------------------------------------- */

/* W3C trace flags. */
#define SKUA_TRACE_SAMPLED 1u
#define SKUA_TRACE_RANDOM 2u /* the lower 7 bytes of the trace id are random (level 2) */

/* What of a span is told to others: a value. */
typedef struct skua_span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;           /* SKUA_TRACE_SAMPLED, SKUA_TRACE_RANDOM */
    uint8_t remote;          /* 1: it came from another process */
    const char *trace_state; /* "key=value,…", with a NUL; NULL: none. Whose it is, says who made
                                this value */
} skua_span_context;

/* Whether both ids are there.
 *
 * Returns    1; 0: an id is all zeros
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_span_context_valid(const skua_span_context *context);

/* ---- tracers --------------------------------------------------------------------------------- */

/* Who makes spans: a library or a part of a program (the instrumentation scope). Static, made by
 * SKUA_TRACER; its strings are literals, or live as long as the process. */
typedef struct skua_tracer {
    const char *name, *version, *schema_url; /* NULL: "" */
    const skua_attr *attrs;                  /* of the scope; NULL: none */
    size_t attrs_count;
    const void *bound;   /* of the SDK, as long as `generation` is its own; private */
    uint64_t generation; /* private */
} skua_tracer;

#define SKUA_TRACER(name, version)                                                                 \
    {                                                                                              \
        (name), (version), NULL, NULL, 0, NULL, 0                                                  \
    }

/* ---- spans ----------------------------------------------------------------------------------- */

typedef struct skua_span skua_span;

typedef enum skua_span_kind {
    SKUA_SPAN_INTERNAL = 1, /* the default */
    SKUA_SPAN_SERVER,
    SKUA_SPAN_CLIENT,
    SKUA_SPAN_PRODUCER,
    SKUA_SPAN_CONSUMER
} skua_span_kind;

typedef enum skua_span_status {
    SKUA_SPAN_UNSET,
    SKUA_SPAN_OK, /* final: a later error does not count */
    SKUA_SPAN_ERROR
} skua_span_status;

typedef struct skua_span_link {
    const skua_span_context *context;
    const skua_attr *attrs;
    size_t attrs_count;
} skua_span_link;

/* Zero, or NULL for all of them, means the default. All of it is the caller's. */
typedef struct skua_span_options {
    size_t size; /* of this struct; SKUA_SPAN_OPTIONS sets it */
    skua_span_kind kind;
    const skua_span_context *parent; /* NULL: the current span, if there is one */
    unsigned root;                   /* 1: no parent, whatever is current */
    int64_t start;                   /* ns since 1970; 0: now */
    const skua_attr *attrs;
    size_t attrs_count;
    const skua_span_link *links;
    size_t links_count;
} skua_span_options;

#ifndef __cplusplus
#define SKUA_SPAN_OPTIONS(...)                                                                     \
    (&(const skua_span_options){.size = sizeof(skua_span_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_options_init(skua_span_options *options);

/* Starts a span. It is not the current one: see skua_span_enter, SKUA_SPAN.
 *
 * tracer     static
 * name       what is done, for any number of requests: "store order", never "store order 17".
 *            Copied
 * options    NULL: all defaults. Of attributes and links, those that are known now
 * Returns    the span, to be ended by skua_span_end; NULL: telemetry is off, or there is no memory
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_span *skua_span_start(skua_tracer *tracer, const char *name,
                                    const skua_span_options *options);

/* Ends a span. It is the last call of who started it; to those who inherited it its context stays
 * readable. Ending it again, where it is inherited or current, does nothing: it may be done inside
 * of SKUA_SPAN's block.
 *
 * span       NULL does nothing, here and everywhere
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_end(skua_span *span);

/* As skua_span_end, at a time.
 *
 * time       ns since 1970; 0: now. Not before its start: then it ends as it started
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_end_at(skua_span *span, int64_t time);

/* Sets attributes, instead of those with their keys.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_set_attrs(skua_span *span, const skua_attr *attrs, size_t count);
#ifndef __cplusplus
#define skua_span_set(span, ...)                                                                   \
    skua_span_set_attrs((span), SKUA_ATTRS(__VA_ARGS__), SKUA_ATTRS_COUNT(__VA_ARGS__))
#endif

/* Adds an event: something that happened at one time.
 *
 * name       copied
 * time       ns since 1970; 0: now
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_event(skua_span *span, const char *name, int64_t time,
                              const skua_attr *attrs, size_t count);

/* Links it to another span: a message's sender, the requests of a batch.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_link_to(skua_span *span, const skua_span_context *context,
                                const skua_attr *attrs, size_t count);

/* Sets its status. OK stays; an error comes before unset.
 *
 * text       of an error: what went wrong; copied; NULL: nothing
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_set_status(skua_span *span, skua_span_status status, const char *text);

/* Says that what it stands for has failed: an event "exception", the attribute error.type, and the
 * status.
 *
 * code       a negative code, as skua_strerror takes it
 * what       what failed; copied; NULL: nothing
 * Threads    any
 * Since      0.4
 * Source     semantic conventions: exceptions, recording errors
 */
SKUA_API void skua_span_fail(skua_span *span, int64_t code, const char *what);

/* Gives it another name. Samplers have seen the first one only.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_rename(skua_span *span, const char *name);

/* Whether what is set on it counts: it is sampled or recorded, and has not ended. Ask before
 * attributes that are dear to make.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_span_recording(const skua_span *span);

/* Its context.
 *
 * ret        receives it; its trace_state lives as long as the span
 * Returns    0; -ENOENT: span is NULL; ret is all zeros then
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_span_context_of(const skua_span *span, skua_span_context *ret);

/* ---- the current span ------------------------------------------------------------------------ */

/* The current span of the calling task, blocking job or thread.
 *
 * Returns    borrowed, for as long as the caller does not leave it; NULL: there is none
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_span *skua_span_current(void);

/* A span that was entered, or a context that was attached. Its members are private. */
typedef struct skua_span_frame {
    void *link;
} skua_span_frame;

/* Makes a span the current one, until skua_span_leave. Frames end in the reverse order of their
 * begin, together with those of deadlines and locals (task.h).
 *
 * span       NULL, or telemetry is suppressed here: nothing changes; skua_span_leave is to be
 *            called nevertheless
 * Returns    0; -ENOMEM: it is not current; SKUA_EUSAGE: in a poll task
 * Threads    fibers, plain threads
 * Since      0.4
 */
SKUA_API int skua_span_enter(skua_span_frame *frame, skua_span *span);

/* Ends what skua_span_enter, skua_trace_attach or skua_trace_suppress began.
 *
 * Returns    0; SKUA_EUSAGE: out of order, or not where it was begun
 * Threads    as skua_span_enter
 * Since      0.4
 */
SKUA_API int skua_span_leave(skua_span_frame *frame);

/* Makes a context that came from elsewhere the current parent, until skua_span_leave: on a thread
 * that is not Skua's, or with what was extracted from a message (propagation.h).
 *
 * context    copied
 * Returns    0; -EINVAL: it is not valid (nothing changes; skua_span_leave is to be called
 *            nevertheless); else as skua_span_enter
 * Threads    as skua_span_enter
 * Since      0.4
 */
SKUA_API int skua_trace_attach(skua_span_frame *frame, const skua_span_context *context);

/* Switches telemetry off for the calling fiber or thread, and all that it spawns, until
 * skua_span_leave: for those who carry telemetry away, and shall not trace themselves.
 *
 * Returns    as skua_span_enter
 * Threads    as skua_span_enter
 * Since      0.4
 */
SKUA_API int skua_trace_suppress(skua_span_frame *frame);

/* Whether it is switched off here.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_trace_suppressed(void);

/* ---- the table ------------------------------------------------------------------------------- */

struct skua_trace_ops;

/* The functions of the SDK that is started (telemetry.h); NULL: telemetry is off. Private. */
SKUA_API extern const struct skua_trace_ops *skua_trace_table;

/* ---- scoped spans ---------------------------------------------------------------------------- */

/* What SKUA_SPAN has in its block. Its members are private. */
typedef struct skua_span_scope {
    skua_span *span;
    skua_span_frame frame;
    int open;
} skua_span_scope;

/* What SKUA_SPAN calls when telemetry is on; for other languages, in pairs.
 *
 * scope      all zeros
 * Threads    as SKUA_SPAN
 * Since      0.4
 */
SKUA_API void skua_span_scope_start(skua_span_scope *scope, skua_tracer *tracer, const char *name,
                                    const skua_attr *attrs, size_t count);

/* Leaves and ends what skua_span_scope_start made.
 *
 * Threads    as SKUA_SPAN
 * Since      0.4
 */
SKUA_API void skua_span_scope_close(skua_span_scope *scope);

static inline void skua_span_scope_end(skua_span_scope *scope)
{
    if (scope->span != NULL)
        skua_span_scope_close(scope);
}

/* Acquire: what the SDK had set up before it installed its table. */
#define SKUA_TRACE_ON() (__atomic_load_n(&skua_trace_table, __ATOMIC_ACQUIRE) != NULL)

#ifndef __cplusplus
/* A span for a block: started and entered before it, left and ended on every way out of it (the
 * cleanup attribute of GCC and Clang).
 *
 * variable   what it is called in the block
 * tracer     static
 * name       as skua_span_start takes it; attributes may follow: they are made only when telemetry
 *            is on
 * Threads    fibers, plain threads; in a poll task it is not current
 * Since      0.4
 */
#define SKUA_SPAN(variable, tracer, name, ...)                                                     \
    for (skua_span_scope variable##_scope                                                          \
         __attribute__((cleanup(skua_span_scope_end))) = {NULL, {NULL}, 1};                        \
         variable##_scope.open != 0; variable##_scope.open = 0)                                    \
        for (skua_span *const variable =                                                           \
                 (__builtin_expect(SKUA_TRACE_ON(), 0)                                             \
                      ? skua_span_scope_start(                                                     \
                            &variable##_scope, (tracer), (name),                                   \
                            ((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) + 1,                 \
                            sizeof((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) /              \
                                    sizeof(skua_attr) -                                            \
                                1)                                                                 \
                      : (void)0,                                                                   \
                  variable##_scope.span);                                                          \
             variable##_scope.open != 0; variable##_scope.open = 0, (void)variable)
#endif

SKUA_C_END

#endif
