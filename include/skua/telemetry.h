/* telemetry.h - what stands behind trace.h, metric.h and log.h: for those who write an SDK.
 *
 * The API does nothing until an SDK installs a table of functions for a signal; libskua-otel is
 * one. The table stays installed until the SDK takes it out, at its shutdown; calls that are under
 * way then may still be in its functions, so these stay valid for ever.
 *
 * A span is the SDK's memory: an object that begins with a skua_span_head. Context links inside of
 * it (`link`) let it become current without an allocation.
 *
 *   refs     one of who started it, until its end; one of each link of a context that has it
 */
#ifndef SKUA_TELEMETRY_H
#define SKUA_TELEMETRY_H

#include <skua/log.h>
#include <skua/metric.h>
#include <skua/trace.h>

SKUA_C_BEGIN

/* ---- traces ---------------------------------------------------------------------------------- */

typedef struct skua_trace_ops {
    size_t size; /* of this struct */
    /* As skua_span_start; `parent` is resolved: NULL: a root. Never called where telemetry is
     * suppressed. Returns a span with one reference, or NULL. */
    skua_span *(*start)(skua_tracer *tracer, const char *name, const skua_span_context *parent,
                        const skua_span_options *options);
    /* All of these ignore a span that has ended. None is called of one that is not recording. */
    void (*end)(skua_span *span, int64_t time);
    void (*set)(skua_span *span, const skua_attr *attrs, size_t count);
    void (*event)(skua_span *span, const char *name, int64_t time, const skua_attr *attrs,
                  size_t count);
    void (*link)(skua_span *span, const skua_span_context *context, const skua_attr *attrs,
                 size_t count);
    void (*status)(skua_span *span, skua_span_status status, const char *text);
    void (*rename)(skua_span *span, const char *name);
    /* The last reference is gone. */
    void (*free)(skua_span *span);
} skua_trace_ops;

/* Room for a link of a task's context. Its members are private. */
typedef struct skua_context_link {
    void *room[10];
} skua_context_link;

/* The beginning of every span. */
typedef struct skua_span_head {
    const skua_trace_ops *ops; /* NULL: libskua's own, of skua_trace_attach; constant */
    skua_span_context context; /* constant */
    uint32_t refs;             /* atomic; see above */
    uint8_t recording;         /* atomic, relaxed: a hint; the SDK decides under its own rules */
    uint8_t entered;           /* atomic: `link` is in a context; only once in its life */
    uint8_t suppressed;        /* constant; libskua's own: see skua_trace_suppress */
    uint8_t ended;             /* atomic, relaxed: skua_span_end was called; 0 at the start */
    skua_context_link link;
} skua_span_head;

/* Installs an SDK's functions, or (NULL) takes them out.
 *
 * ops        static
 * Returns    0; -EBUSY: there are others; -EINVAL: of another size
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_trace_install(const skua_trace_ops *ops);

/* The table in force; NULL: telemetry is off. Acquire: what the SDK had set up before.
 *
 * Threads    any
 * Since      0.4
 */
static inline const skua_trace_ops *skua_trace_installed(void)
{
    return __atomic_load_n(&skua_trace_table, __ATOMIC_ACQUIRE);
}

/* Which tasks have a span of their own, beside those with SKUA_TRACED. */
typedef struct skua_task_spans {
    size_t size; /* of this struct */
    /* Whether a task that is spawned there has one: 1, or 0. On the spawner's thread, in the middle
     * of the library: as listeners of probe.h. */
    int (*wanted)(const skua_site *site, void *arg);
    void *arg;
} skua_task_spans;

/* Installs such a choice, or (NULL) takes it out. It is asked while traces are on alone.
 *
 * spans      static, and not changed any more
 * Returns    0; -EBUSY: there is another; -EINVAL: of another size, no function
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_task_spans_install(const skua_task_spans *spans);

/* One more reference: for a thread that uses a span which others may end.
 *
 * Returns    span
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_span *skua_span_ref(skua_span *span);

/* One less, which may free it.
 *
 * span       NULL does nothing
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_span_unref(skua_span *span);

/* ---- logs ------------------------------------------------------------------------------------ */

typedef struct skua_log_ops {
    size_t size; /* of this struct */
    /* A record that passes its logger's level. text_len and context are filled in (context NULL:
     * outside of a trace); all of it is the caller's. Never called where telemetry is suppressed.
     */
    void (*emit)(skua_logger *logger, const skua_log_record *record);
    /* Whether a record like this would be kept; NULL: yes. event, context: NULL: none. */
    int (*enabled)(skua_logger *logger, skua_severity severity, const char *event,
                   const skua_span_context *context);
    /* The least severity that the SDK takes of a logger: 1 to 24; 255: nothing. Asked again behind
     * skua_log_renew only. NULL: all. */
    unsigned (*minimum)(const skua_logger *logger);
} skua_log_ops;

/* Installs an SDK's functions, or (NULL) takes them out.
 *
 * ops        static
 * Returns    0; -EBUSY: there are others; -EINVAL: of another size
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_log_install(const skua_log_ops *ops);

/* The table in force; NULL: there is none.
 *
 * Returns    the table; acquire: with what the SDK had set up before
 * Threads    any
 * Since      0.4
 */
SKUA_API const skua_log_ops *skua_log_installed(void);

/* Loggers ask for their levels again: what the SDK's minimum says has changed.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_log_renew(void);

/* ---- metrics --------------------------------------------------------------------------------- */

/* As skua_trace_install.
 *
 * ops        static
 * Returns    0; -EBUSY: there are others; -EINVAL: of another size
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_metric_install(const skua_metric_ops *ops);

/* The beginning of what an SDK hands to the functions of skua_observing_begin. */
struct skua_observer {
    void (*i64)(skua_observer *observer, skua_instrument *instrument, int64_t value,
                const skua_attr *attrs, size_t count);
    void (*f64)(skua_observer *observer, skua_instrument *instrument, double value,
                const skua_attr *attrs, size_t count);
};

/* Calls the functions of all skua_observing, one after the other. One call at a time.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_observing_run(skua_observer *observer);

SKUA_C_END

#endif
