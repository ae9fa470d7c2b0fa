/* sdk_impl.h - one start of telemetry: all that it was told, and its numbers.
 *
 *   sdk_options.c    options, checked and copied
 *   sdk_config.c     the environment or a file: destinations, and what options do not say
 *   sdk_exporter.c   an exporter, as a configuration says
 *   sdk_metrics.c    readers, views, and how the pipe collects
 *   sdk_scopes.c     which tracers, meters and loggers are on, by their names
 *   sdk_self.c       telemetry's own numbers as metrics
 *   sdk_tasks.c      which tasks have spans of their own
 *   sdk_resource.c   who sends
 *   sdk_life.c       started, flushed, shut down, forked
 *   sdk_stats.c      numbers
 *
 * Memory     of a start is never freed: hooks and samplers may be under way in any thread for ever.
 *            It is some KB, and reachable.
 */
#ifndef SKUA_OTEL_SDK_IMPL_H
#define SKUA_OTEL_SDK_IMPL_H

#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

#include "otel/bridge/bridge_runtime.h"
#include "otel/config/config_impl.h"
#include "otel/core/otel_warn.h"
#include "otel/log/log_impl.h"
#include "otel/metric/metric_impl.h"
#include "otel/pipe/pipe_impl.h"
#include "otel/remote/remote_impl.h"
#include "otel/trace/trace_impl.h"

/* A page of metrics, and a server for it. */
struct skua__sdk_page {
    skua_otel_prometheus page;
    char address[300];
};

/* What telemetry's own numbers call a destination's parts. */
struct skua__sdk_self {
    struct skua__dest_watch watch; /* first */
    char processor[80];            /* its type; of metrics the reader's */
    char exporter[80];             /* "otlp_http_span_exporter" */
    char processor_name[96];       /* of which there is one: "…/0" */
    char exporter_name[96];
    const char *server; /* NULL: nobody */
    int port;           /* 0: none */
};

#define SKUA__SDK_REMOTES 8 /* samplers that a collector rules */

struct skua__sdk {
    struct skua__sdk *before; /* the start before this one */
    skua_otel_destination *dests;
    const char **names; /* of their exporters; static */
    struct skua__dest_counts *counts;
    struct skua__sdk_self *selves; /* by destination */
    size_t dests_count;
    skua_otel_processor **processors;
    size_t processors_count;
    skua_otel_config *config; /* never NULL; as long as all this */
    bool made;                /* exporters are of the configuration: made here */
    bool self_metrics, metrics_on;
    skua_otel_runtime_metrics runtime_metrics;
    skua_otel_operations operations;
    skua_otel_sampler *sampler;                      /* likewise; NULL: none */
    struct skua__remote *remotes[SKUA__SDK_REMOTES]; /* parts of it */
    size_t remotes_count;
    skua_otel_reader **dests_readers; /* by destination; NULL: not of metrics */
    size_t *dests_configs;            /* of those of metrics: which reader of the configuration */
    struct skua__sdk_page *pages;
    size_t pages_count;
    skua_otel_view *views;
    size_t views_count;
    skua_otel_reader *readers[SKUA__METRIC_READERS]; /* all of them; a reference each */
    size_t readers_count;
    struct skua__trace_sdk trace;
    struct skua__trace_sdk trace_forked;  /* in the child of a fork, until its thread is there */
    struct skua__log_sdk log, log_forked; /* likewise */
    skua_otel_resource resource;          /* memory: the configuration's */
    char *tasks;                          /* names, "," between them; NULL: none */
    skua_task_spans task_spans;
    int64_t exit_timeout;
    struct skua__pipe_ask *stop; /* ready for its shutdown; guard: the state's mutex */
};

/* Checked and copied. 0, -EINVAL, -ENOMEM. */
int skua__sdk_new(struct skua__sdk **ret, const skua_otel_options *options);
/* Of one that did not start: what is the options' stays theirs. NULL: all was the start's. */
void skua__sdk_free(struct skua__sdk *sdk, const skua_otel_options *options);
/* Its pipe. 0 or an error. */
int skua__sdk_pipe(struct skua__sdk *sdk, struct skua__pipe **ret);

/* Attributes, with what is missing. 0 or -ENOMEM. */
int skua__sdk_resource(struct skua__sdk *sdk, const skua_otel_options *options);
/* In the child of a fork: another instance, another process. */
void skua__sdk_resource_forked(struct skua__sdk *sdk);

/* ---- a configuration (sdk_config.c, sdk_exporter.c) ------------------------------------------ */

/* Reads it. 0 or an error, which is told. */
int skua__sdk_configure(struct skua__sdk *sdk, const skua_otel_options *options);
/* Its destinations, processors and sampler, where the options have none. 0 or an error. */
int skua__sdk_destinations(struct skua__sdk *sdk, const skua_otel_options *options);
/* Frees exporters, each once. */
void skua__sdk_free_exporters(struct skua__sdk *sdk);
/* 0; -ENOSYS: there is no such exporter; an error. `text` receives why, and is set in any case. */
int skua__sdk_exporter(const struct skua__config_exporter *config, skua_otel_signal signal,
                       char *text, size_t size, skua_otel_exporter **ret);

/* ---- tasks (sdk_tasks.c) --------------------------------------------------------------------- */

/* 0 or -ENOMEM. */
int skua__sdk_tasks(struct skua__sdk *sdk, const skua_otel_options *options);
/* They have spans from here on; and no more. */
void skua__sdk_tasks_begin(struct skua__sdk *sdk);
void skua__sdk_tasks_end(void);

/* ---- by the names of scopes (sdk_scopes.c) --------------------------------------------------- */

bool skua__sdk_scopes_said(const struct skua__config_scopes *scopes);
/* As the configuration's configurators say. */
void skua__sdk_scopes(struct skua__sdk *sdk);
bool skua__sdk_wants_meter(const void *sdk, const skua_meter *meter);

/* ---- metrics (sdk_metrics.c, sdk_self.c) ----------------------------------------------------- */

/* Readers of destinations and pages, views. 0, -EINVAL, -ENOMEM. */
int skua__sdk_metrics(struct skua__sdk *sdk, const skua_otel_options *options);
void skua__sdk_metrics_free(struct skua__sdk *sdk);
/* On; nothing where nobody reads. 0 or an error. */
int skua__sdk_metrics_start(struct skua__sdk *sdk);
/* Off, behind the last collect. */
void skua__sdk_metrics_stop(struct skua__sdk *sdk);
/* In the child of a fork, whoever's they were: off. */
void skua__sdk_metrics_drop(void);
/* As a periodic reader's: `source` is a skua_otel_reader. */
int skua__sdk_collect(void *source, struct skua__batch *batch);
/* That one, or a test's instead of it. */
extern int (*skua__sdk_collecting)(void *source, struct skua__batch *batch);
/* Serves a page until it is cancelled; a skua__sdk_page. */
int skua__sdk_serve(void *page);
void skua__sdk_self_begin(struct skua__sdk *sdk);
void skua__sdk_self_end(void);

/* The kinds of records that there are. */
extern const struct skua__otel_reader *const skua__sdk_readers[];
extern const size_t skua__sdk_readers_count;

/* The newest; NULL: none ever. */
struct skua__sdk *skua__sdk_last(void);
/* How many spans were started with this result. */
uint64_t skua__sdk_started(const struct skua__otel_counts *counts, skua_otel_sampling sampling);
/* Of a destination. */
void skua__sdk_counts(struct skua__sdk *sdk, size_t index, skua_otel_destination_counts *ret);
/* Its pipe has stopped. */
void skua__sdk_over(struct skua__pipe_ask *stop, void *sdk);

#endif
