/* propagation.h - context that travels: the current span and baggage, written into a message and
 * read out of it.
 *
 *     skua_fields_carrier fields;                       -- who sends
 *     skua_carrier_field slots[8];
 *     char text[1024];
 *
 *     skua_fields_carrier_init(&fields, slots, 8, text, sizeof text);
 *     skua_inject(&fields.carrier);                     -- traceparent, tracestate, baggage
 *
 *     skua_propagation_frame frame;                     -- who receives
 *
 *     skua_propagation_begin(&frame, &carrier);         -- spans made here have a remote parent
 *     serve(request);
 *     skua_propagation_end(&frame);
 *
 * Which      fields are written and read is said once for the program: skua_propagation_use, by the
 *            names that OTEL_PROPAGATORS takes. Until then nothing is.
 * Off        works without an SDK: what comes in goes out again with what is called from there.
 * Carrier    what a message's fields are read and written by: functions of one's own around any
 *            kind of message. Two are here: an array of fields, and environment variables.
 * Baggage    names and values that travel along, for everybody to read: no secrets. It is part of
 *            the task's context, and inherited as spans are (trace.h).
 * Hostile    input is bounded: what is not well-formed is passed over, and never fails a request.
 *
 * Source     OpenTelemetry specification 1.60: context/api-propagators, context/env-carriers,
 *            baggage; W3C Trace Context, level 2; W3C Baggage; B3; Jaeger's uber-trace-id.
 */
#ifndef SKUA_PROPAGATION_H
#define SKUA_PROPAGATION_H

#include <skua/trace.h>

SKUA_C_BEGIN

/* ---- carriers -------------------------------------------------------------------------------- */

/* The functions of a message; its data stands behind them. Names are as the propagator writes them
 * ("traceparent"); the carrier knows whether case counts. */
typedef struct skua_carrier {
    /* The value of the index-th field of that name, in their order, and its length; borrowed, as
     * long as the message; NULL: there are no more. */
    const char *(*get)(const struct skua_carrier *self, const char *name, size_t index,
                       size_t *ret_len);
    /* Sets a field instead of those of that name; copies. 0, or an error. NULL: only reads. */
    int (*set)(struct skua_carrier *self, const char *name, const char *value, size_t len);
    /* The name of the index-th field, with a NUL; NULL: there are no more. NULL as a function:
     * names
     * are not known, and what needs them (Jaeger's baggage) is not read. */
    const char *(*key)(const struct skua_carrier *self, size_t index);
} skua_carrier;

typedef struct skua_carrier_field {
    const char *name; /* with a NUL; case does not count */
    const char *value;
    size_t len;
} skua_carrier_field;

/* An array of fields: to be read, when `fields` and `count` are set, and written. */
typedef struct skua_fields_carrier {
    skua_carrier carrier;
    skua_carrier_field *fields;
    size_t count, room; /* fields that there are, and can be */
    char *text;         /* what is written is copied here */
    size_t used, size;
} skua_fields_carrier;

/* Makes one with no fields.
 *
 * fields     room for `room` of them; the caller's, as long as the carrier
 * text       `size` bytes for names and values that are set; the caller's, as long as the carrier
 * Threads    any; one at a time of each carrier, here and below
 * Since      0.4
 */
SKUA_API void skua_fields_carrier_init(skua_fields_carrier *self, skua_carrier_field *fields,
                                       size_t room, char *text, size_t size);

/* Environment variables: TRACEPARENT, BAGGAGE. What is set is not set in this program, but for a
 * child: `vars` is what skua_command's env takes. */
typedef struct skua_env_carrier {
    skua_carrier carrier;
    const char *const *env; /* "NAME=value"… up to a NULL, to be read */
    const char **vars;      /* "NAME=value"… up to a NULL, as set */
    size_t count, room;
    char *text;
    size_t used, size;
} skua_env_carrier;

/* Makes one.
 *
 * env        what is read: up to a NULL; NULL: this program's environment
 * vars       room for `room` variables with the NULL behind the last; NULL: it is only read; the
 *            caller's, as long as the carrier
 * text       `size` bytes for what is set; the caller's, as long as the carrier
 * Threads    any; no other one changes the environment meanwhile (setenv)
 * Since      0.4
 */
SKUA_API void skua_env_carrier_init(skua_env_carrier *self, const char *const *env,
                                    const char **vars, size_t room, char *text, size_t size);

/* ---- baggage --------------------------------------------------------------------------------- */

/* A set of entries; constant and counted. */
typedef struct skua_baggage skua_baggage;

typedef struct skua_baggage_entry {
    const char *name, *value; /* UTF-8, with a NUL */
    const char *properties;   /* "ttl=30;secret", as it stands; NULL: none */
} skua_baggage_entry;

#define SKUA_BAGGAGE_MAX 64     /* entries */
#define SKUA_BAGGAGE_BYTES 8192 /* of all names, values and properties */

/* A change of the baggage, in its frame. Its members are private. */
typedef struct skua_baggage_frame {
    void *link;
} skua_baggage_frame;

/* The value of an entry.
 *
 * name       case counts
 * Returns    borrowed, for as long as the caller does not end its frame; NULL: there is none
 * Threads    any
 * Since      0.4
 */
SKUA_API const char *skua_baggage_get(const char *name);

/* Calls fn for each entry, in the order in which they were set, until it returns other than 0.
 *
 * Returns    what fn returned last; 0: there are none
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_baggage_each(int (*fn)(const skua_baggage_entry *entry, void *arg), void *arg);

/* Sets an entry for the calling fiber or thread and what it spawns, until
 * skua_baggage_end. Frames end in the reverse order of their begin (trace.h).
 *
 * name       not empty; copied, as all of it. Names that are no token of HTTP do not travel
 * value      NULL: ""
 * properties NULL: none
 * Returns    0; -EINVAL: no name; SKUA_ELIMIT: too many entries or bytes; -ENOMEM; SKUA_EUSAGE: in
 *            a poll task. On failure nothing changes, and skua_baggage_end is to be called
 *            nevertheless
 * Threads    fibers, plain threads
 * Since      0.4
 */
SKUA_API int skua_baggage_set(skua_baggage_frame *frame, const char *name, const char *value,
                              const char *properties);

/* Takes an entry out, until skua_baggage_end.
 *
 * Returns    as skua_baggage_set
 * Threads    as skua_baggage_set
 * Since      0.4
 */
SKUA_API int skua_baggage_remove(skua_baggage_frame *frame, const char *name);

/* Takes all of them out, until skua_baggage_end.
 *
 * Returns    as skua_baggage_set
 * Threads    as skua_baggage_set
 * Since      0.4
 */
SKUA_API int skua_baggage_clear(skua_baggage_frame *frame);

/* Ends the change.
 *
 * Returns    0; SKUA_EUSAGE: out of order, or not where it was begun
 * Threads    as skua_baggage_set
 * Since      0.4
 */
SKUA_API int skua_baggage_end(skua_baggage_frame *frame);

/* ---- propagators ----------------------------------------------------------------------------- */

#define SKUA_TRACE_STATE_MAX 512 /* bytes that are kept of one */

/* What propagators read and write. Begins all zeros. */
typedef struct skua_propagated {
    skua_span_context span;               /* no valid one: there is none */
    const skua_baggage *baggage;          /* NULL: none */
    uint8_t debug;                        /* B3's and Jaeger's flag */
    uint8_t own;                          /* `baggage` is counted for this; private */
    char state[SKUA_TRACE_STATE_MAX + 1]; /* where span.trace_state may point */
} skua_propagated;

/* One's own, or a built-in one. */
typedef struct skua_propagator {
    const char *name;
    /* Writes it into the carrier. 0, or what `set` answered. */
    int (*inject)(const struct skua_propagator *self, const skua_propagated *from,
                  skua_carrier *carrier);
    /* Reads what is there, and leaves the rest of `to` as it is. 0, or -ENOMEM. */
    int (*extract)(const struct skua_propagator *self, const skua_carrier *carrier,
                   skua_propagated *to);
    /* Names of the fields that inject may set; NULL: no more. */
    const char *(*field)(const struct skua_propagator *self, size_t index);
} skua_propagator;

/* Several, one after the other. */
typedef struct skua_composite_propagator {
    skua_propagator propagator;
    const skua_propagator *const *parts;
    size_t count;
} skua_composite_propagator;

/* Makes a composite.
 *
 * parts      `count` of them, in their order; as long as the composite
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_composite_propagator_init(skua_composite_propagator *self,
                                             const skua_propagator *const *parts, size_t count);

/* A built-in one.
 *
 * name       "tracecontext", "baggage", "b3", "b3multi" or "jaeger"; case counts
 * Returns    static; NULL: there is none of that name
 * Threads    any
 * Since      0.4
 */
SKUA_API const skua_propagator *skua_propagator_named(const char *name);

/* Says which propagators the program uses: built-in ones by a list, as OTEL_PROPAGATORS has it, or
 * one of its own.
 *
 * names      "tracecontext,baggage": those that come twice count once; "none": no other counts; ""
 * Returns    how many names were unknown, and passed over
 * Threads    any, at any time
 * Since      0.4
 */
SKUA_API int skua_propagation_use(const char *names);

/* One of the program's own, instead of a list.
 *
 * propagator static; NULL: none
 *
 * Threads    any, at any time
 * Since      0.4
 */
SKUA_API void skua_propagation_set(const skua_propagator *propagator);

/* The program's.
 *
 * Returns    never NULL
 * Threads    any
 * Since      0.4
 */
SKUA_API const skua_propagator *skua_propagation(void);

/* ---- in and out ------------------------------------------------------------------------------ */

/* Writes the caller's span and baggage into a message.
 *
 * Returns    0, or the carrier's error
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_inject(skua_carrier *carrier);

/* What was extracted, as context, in its frame. Its members are private. */
typedef struct skua_propagation_frame {
    skua_span_frame span;
    void *link;
} skua_propagation_frame;

/* Reads a message, and makes what it says the context of the calling fiber or thread, until
 * skua_propagation_end. What it does not say stays as it is.
 *
 * Returns    0, also when there is nothing in it; -ENOMEM; SKUA_EUSAGE: in a poll task. On failure
 *            nothing changes, and skua_propagation_end is to be called nevertheless
 * Threads    fibers, plain threads
 * Since      0.4
 */
SKUA_API int skua_propagation_begin(skua_propagation_frame *frame, const skua_carrier *carrier);

/* Ends what skua_propagation_begin or skua_propagation_attach began.
 *
 * Returns    0; SKUA_EUSAGE: out of order, or not where it was begun
 * Threads    as skua_propagation_begin
 * Since      0.4
 */
SKUA_API int skua_propagation_end(skua_propagation_frame *frame);

/* Reads a message, and changes no context: for links to its sender, and for poll tasks.
 *
 * to         overwritten; to be let go of by skua_propagated_free
 * Returns    0, also when there is nothing in it; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_extract(const skua_carrier *carrier, skua_propagated *to);

/* Makes what was extracted the context, until skua_propagation_end.
 *
 * Returns    as skua_propagation_begin
 * Threads    as skua_propagation_begin
 * Since      0.4
 */
SKUA_API int skua_propagation_attach(skua_propagation_frame *frame, const skua_propagated *what);

/* What the caller would inject.
 *
 * ret        overwritten; borrowed from the caller's context, and to be let go of as above
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_propagated_current(skua_propagated *ret);

/* Lets go of what was extracted, or is current.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_propagated_free(skua_propagated *self);

/* The value of an entry of baggage that was extracted.
 *
 * Returns    borrowed, as long as `self`; NULL: there is none
 * Threads    any
 * Since      0.4
 */
SKUA_API const char *skua_propagated_baggage(const skua_propagated *self, const char *name);

/* Adds an entry to what is there: for those who write propagators.
 *
 * Returns    0; -EINVAL: no name; SKUA_ELIMIT: too much; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_propagated_add(skua_propagated *self, const char *name, const char *value,
                                 const char *properties);

SKUA_C_END

#endif
