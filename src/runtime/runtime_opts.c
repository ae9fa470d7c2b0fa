/* runtime_opts.c - options: defaults, environment, ranges.
 *
 * A struct of an older program is shorter: what it does not have is default. One of a newer
 * program is refused if it sets what this library does not know.
 */
#include <stdlib.h>
#include <string.h>

#include <skua/scheduler.h>

#include "runtime/runtime_impl.h"

#ifdef SKUA_WITH_KQUEUE
#define OPTS_LAST_DRIVER SKUA_DRIVER_KQUEUE
#else
#define OPTS_LAST_DRIVER SKUA_DRIVER_IO_URING
#endif

static int opts_copy(const skua_runtime_options *given, skua_runtime_options *ret)
{
    const char *bytes = (const char *)given;

    memset(ret, 0, sizeof *ret);
    if (given == NULL)
        return 0;
    if (given->size < sizeof given->size)
        return -EINVAL;
    for (size_t i = sizeof *ret; i < given->size; i++)
        if (bytes[i] != 0)
            return -EINVAL;
    memcpy(ret, given, skua__min_size(given->size, sizeof *ret));
    return 0;
}

static int opts_workers(skua_runtime_options *options)
{
    const char *text = skua__os_env("SKUA_WORKERS");
    char *end;
    unsigned long value;

    if (options->kind == SKUA_CURRENT_THREAD) {
        options->workers = options->workers == 0 ? 1 : options->workers;
        return options->workers == 1 ? 0 : -EINVAL;
    }
    if (options->workers == 0 && text != NULL && *text != '\0') {
        value = strtoul(text, &end, 10);
        if (*end != '\0' || value == 0 || value > SKUA__WORKERS_MAX)
            return -EINVAL;
        options->workers = (unsigned)value;
    }
    if (options->workers == 0) {
        int count = skua__place_count(options);

        if (count < 0)
            return count;
        options->workers = (unsigned)count;
    }
    return options->workers <= SKUA__WORKERS_MAX ? 0 : -EINVAL;
}

static int opts_placement(const skua_runtime_options *options)
{
    if (options->placement > SKUA_PLACE_PACK || (unsigned)options->one_per_core > 1 ||
        (unsigned)options->ignore_quota > 1 || options->unseen > 1)
        return -EINVAL;
    if (options->kind == SKUA_CURRENT_THREAD) /* its thread is the caller's */
        return options->placement != SKUA_PLACE_DEFAULT || options->cpus != NULL ||
                       options->cpus_exclude != NULL || options->numa_nodes != NULL ||
                       options->one_per_core || options->ignore_quota
                   ? -EINVAL
                   : 0;
    return 0;
}

static int opts_driver(skua_runtime_options *options)
{
    const char *text = skua__os_env("SKUA_DRIVER");

    if (options->driver > OPTS_LAST_DRIVER)
        return -EINVAL;
    if (options->driver != SKUA_DRIVER_AUTO || text == NULL || *text == '\0')
        return 0;
    if (strcmp(text, "epoll") == 0)
        options->driver = SKUA_DRIVER_EPOLL;
    else if (strcmp(text, "io_uring") == 0)
        options->driver = SKUA_DRIVER_IO_URING;
#ifdef SKUA_WITH_KQUEUE
    else if (strcmp(text, "kqueue") == 0)
        options->driver = SKUA_DRIVER_KQUEUE;
#endif
    else if (strcmp(text, "auto") != 0)
        return -EINVAL;
    return 0;
}

static int opts_stack(size_t *size, size_t fallback)
{
    if (*size == 0)
        *size = fallback;
    return *size >= (16 << 10) && *size <= (64 << 20) ? 0 : -EINVAL;
}

/* A scheduler keeps what runs on its worker: where tasks wander there is no such thing. */
static bool opts_scheduler_ok(const skua_runtime_options *options)
{
    const skua_scheduler *scheduler = options->scheduler;

    if (scheduler == NULL)
        return true;
    return options->kind != SKUA_MULTI_THREAD && scheduler->size == sizeof *scheduler &&
           scheduler->open != NULL && scheduler->push != NULL && scheduler->pop != NULL &&
           scheduler->close != NULL && scheduler->latency >= 0;
}

static void opts_defaults(skua_runtime_options *options)
{
    if (options->name == NULL)
        options->name = "skua";
    if (options->budget == 0)
        options->budget = 128;
    if (options->event_interval == 0)
        options->event_interval = 61;
    if (options->inject_interval == 0)
        options->inject_interval = 31;
    if (options->stop_timeout == 0)
        options->stop_timeout = 10 * SKUA_SECOND;
    if (options->blocking_threads == 0)
        options->blocking_threads = 512;
    if (options->blocking_keep_alive == 0)
        options->blocking_keep_alive = 10 * SKUA_SECOND;
    if (options->seed == 0)
        options->seed = skua__os_random();
}

int skua__options_resolve(const skua_runtime_options *given, skua_runtime_options *ret)
{
    int rc = opts_copy(given, ret);

    if (rc != 0)
        return rc;
    if (ret->kind > SKUA_THREAD_PER_CORE || !opts_scheduler_ok(ret) ||
        (ret->stop_on & ~SKUA_SIGNALS_TERM) != 0 || ret->stop_timeout < 0 ||
        ret->blocking_keep_alive < 0 || ret->blocking_threads > 65535)
        return -EINVAL;
    rc = opts_placement(ret);
    rc = rc != 0 ? rc : opts_workers(ret);
    rc = rc != 0 ? rc : opts_driver(ret);
    rc = rc != 0 ? rc : opts_stack(&ret->stack_size, 64 << 10);
    rc = rc != 0 ? rc : opts_stack(&ret->stack_size_large, 256 << 10);
    if (rc == 0)
        opts_defaults(ret);
    return rc;
}

void skua_runtime_options_init(skua_runtime_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

#undef OPTS_LAST_DRIVER
