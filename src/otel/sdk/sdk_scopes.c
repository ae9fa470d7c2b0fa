/* sdk_scopes.c - which tracers, meters and loggers are on, by their names: the configurators of a
 * file.
 *
 *   tracer   asked once by an SDK: a start of a span is a load and a branch more, and only where a
 *            file says something of tracers
 *   meter    asked once of each instrument: what is off costs what no SDK costs
 *   logger   its least severity is kept as levels are (log.h); off: nothing passes
 *
 * The first name that fits counts, then what is said of all.
 *
 * Source     OpenTelemetry specification 1.60: TracerConfigurator, MeterConfigurator,
 *            LoggerConfigurator.
 */
#include "otel/sdk/sdk_impl.h"

#define SCOPES_OFF 255 /* a severity that nothing has */

static bool scopes_one_said(const struct skua__config_scope *scope)
{
    return scope->disabled || scope->minimum_severity != 0 || scope->trace_based;
}

bool skua__sdk_scopes_said(const struct skua__config_scopes *scopes)
{
    return scopes->count != 0 || scopes_one_said(&scopes->all);
}

static const struct skua__config_scope *scopes_of(const struct skua__config_scopes *scopes,
                                                  const char *name)
{
    for (size_t i = 0; i < scopes->count; i++)
        if (skua__otel_glob(scopes->at[i].name, name != NULL ? name : ""))
            return &scopes->at[i];
    return &scopes->all;
}

static bool scopes_wants_tracer(const struct skua__trace_sdk *trace, const skua_tracer *tracer)
{
    const struct skua__sdk *sdk = trace->owner;

    return !scopes_of(&sdk->config->tracers, tracer->name)->disabled;
}

bool skua__sdk_wants_meter(const void *arg, const skua_meter *meter)
{
    const struct skua__sdk *sdk = arg;

    return !scopes_of(&sdk->config->meters, meter->name)->disabled;
}

static unsigned scopes_minimum(const struct skua__log_sdk *log, const skua_logger *logger)
{
    const struct skua__sdk *sdk = log->owner;
    const struct skua__config_scope *scope = scopes_of(&sdk->config->loggers, logger->name);
    unsigned minimum = (unsigned)scope->minimum_severity;

    if (scope->disabled)
        return SCOPES_OFF;
    return minimum > log->minimum ? minimum : log->minimum;
}

static bool scopes_sampled_only(const struct skua__log_sdk *log, const skua_logger *logger)
{
    const struct skua__sdk *sdk = log->owner;

    return scopes_of(&sdk->config->loggers, logger->name)->trace_based;
}

void skua__sdk_scopes(struct skua__sdk *sdk)
{
    static _Atomic uint64_t starts;
    uint64_t number = atomic_fetch_add_explicit(&starts, 1, memory_order_relaxed) + 1;

    sdk->trace.number = sdk->log.number = number;
    if (skua__sdk_scopes_said(&sdk->config->tracers))
        sdk->trace.wants = scopes_wants_tracer;
    if (skua__sdk_scopes_said(&sdk->config->loggers)) {
        sdk->log.minimum_of = scopes_minimum;
        sdk->log.sampled_only_of = scopes_sampled_only;
    }
    sdk->trace_forked = sdk->trace;
    sdk->trace_forked.wake_at = 0;
    sdk->log_forked = sdk->log;
    sdk->log_forked.wake_at = 0;
}

#undef SCOPES_OFF
