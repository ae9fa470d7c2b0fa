/* sdk_impl.h - one start of telemetry: all that it was told, and its numbers.
 *
 *   sdk_options.c    options, checked and copied
 *   sdk_resource.c   who sends
 *   sdk_life.c       started, flushed, shut down, forked
 *   sdk_stats.c      numbers
 *
 * Memory     of a start is never freed: hooks and samplers may be under way in any thread for ever.
 *            It is some KB, and reachable.
 */
#ifndef SKUA_OTEL_SDK_IMPL_H
#define SKUA_OTEL_SDK_IMPL_H

#include <skua/otel/sdk.h>

#include "otel/core/otel_warn.h"
#include "otel/log/log_impl.h"
#include "otel/pipe/pipe_impl.h"
#include "otel/trace/trace_impl.h"

struct skua__sdk {
    struct skua__sdk *before; /* the start before this one */
    skua_otel_destination *dests;
    const char **names; /* of their exporters; static */
    struct skua__dest_counts *counts;
    size_t dests_count;
    skua_otel_processor **processors;
    size_t processors_count;
    struct skua__trace_sdk trace;
    struct skua__trace_sdk trace_forked;  /* in the child of a fork, until its thread is there */
    struct skua__log_sdk log, log_forked; /* likewise */
    struct skua__batch *memory;           /* of the resource */
    skua_otel_resource resource;
    skua_attr *attrs;
    bool own_instance; /* service.instance.id is ours */
    int64_t exit_timeout;
    struct skua__pipe_ask *stop; /* ready for its shutdown; guard: the state's mutex */
};

/* What metrics bring along, when they are there; see skua__periodic_options. */
struct skua__sdk_metrics {
    int (*collect)(void *source, struct skua__batch *batch);
    void *(*source)(const skua_otel_destination *dest); /* the reader of a destination */
};
extern const struct skua__sdk_metrics *skua__sdk_metrics;

/* Checked and copied. 0, -EINVAL, -ENOMEM. */
int skua__sdk_new(struct skua__sdk **ret, const skua_otel_options *options);
/* Of one that did not start. */
void skua__sdk_free(struct skua__sdk *sdk);
/* Its pipe. 0 or an error. */
int skua__sdk_pipe(struct skua__sdk *sdk, struct skua__pipe **ret);

/* Attributes, with what is missing. 0 or -ENOMEM. */
int skua__sdk_resource(struct skua__sdk *sdk, const skua_otel_options *options);
/* In the child of a fork: another instance, another process. */
void skua__sdk_resource_forked(struct skua__sdk *sdk);

/* The kinds of records that there are. */
extern const struct skua__otel_reader *const skua__sdk_readers[];
extern const size_t skua__sdk_readers_count;

/* The newest; NULL: none ever. */
struct skua__sdk *skua__sdk_last(void);
/* Its pipe has stopped. */
void skua__sdk_over(struct skua__pipe_ask *stop, void *sdk);

#endif
