/* metric_sdk.c - the SDK of metrics: what is installed, and who still has what was.
 */
#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"

_Atomic uint32_t skua__metric_generation;
_Atomic uint32_t skua__metric_flush;
_Atomic int skua__metric_exemplars;
_Atomic uint64_t skua__metric_lost;

static struct {
    pthread_mutex_t mutex;
    struct skua__metric_sdk *sdk; /* guard: mutex */
    uint32_t last;                /* generation that was given out; guard: mutex */
} metric_installed = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct skua__metric_sdk *skua__metric_sdk_get(void)
{
    struct skua__metric_sdk *sdk;

    pthread_mutex_lock(&metric_installed.mutex);
    sdk = metric_installed.sdk;
    if (sdk != NULL)
        (void)atomic_fetch_add_explicit(&sdk->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&metric_installed.mutex);
    return sdk;
}

void skua__metric_sdk_unref(struct skua__metric_sdk *sdk)
{
    /* Acquire and release: whoever frees it comes after everybody's last look. */
    if (atomic_fetch_sub_explicit(&sdk->refs, 1, memory_order_acq_rel) != 1)
        return;
    skua__scopes_free(sdk);
    for (size_t i = 0; i < sdk->readers_count; i++)
        skua_otel_reader_free(sdk->readers[i]);
    for (uint32_t i = 0; i < sdk->slots_count; i++)
        skua__otel_free(sdk->slots[i]);
    skua__otel_free(sdk->slots);
    skua__otel_free(sdk->instruments);
    pthread_mutex_destroy(&sdk->mutex);
    skua__otel_free(sdk);
}

static struct skua__metric_sdk *msdk_new(const struct skua__metric_options *options)
{
    struct skua__metric_sdk *sdk = skua__otel_malloc(sizeof *sdk);

    if (sdk == NULL)
        return NULL;
    atomic_init(&sdk->refs, 1);
    sdk->resource = options->resource;
    sdk->views = options->views;
    sdk->views_count = options->views_count;
    sdk->exemplars = options->exemplars;
    sdk->wants = options->wants;
    sdk->wants_arg = options->wants_arg;
    sdk->readers_count = options->readers_count;
    for (size_t i = 0; i < options->readers_count; i++) {
        sdk->readers[i] = options->readers[i];
        (void)atomic_fetch_add_explicit(&sdk->readers[i]->refs, 1, memory_order_relaxed);
    }
    sdk->start = skua__otel_now();
    pthread_mutex_init(&sdk->mutex, NULL);
    sdk->scopes_last = &sdk->scopes;
    return sdk;
}

/* Tells the readers whose they are now; NULL: nobody's. */
static void msdk_readers(struct skua__metric_sdk *sdk, struct skua__metric_sdk *whose)
{
    for (uint32_t i = 0; i < sdk->readers_count; i++) {
        skua_otel_reader *reader = sdk->readers[i];

        pthread_mutex_lock(&reader->mutex);
        reader->sdk = whose;
        reader->index = i;
        pthread_mutex_unlock(&reader->mutex);
    }
}

int skua__metric_start(const struct skua__metric_options *options)
{
    struct skua__metric_sdk *sdk;
    int rc;

    if (options->readers_count > SKUA__METRIC_READERS ||
        skua__views_check(options->views, options->views_count) != 0)
        return -EINVAL;
    skua__otel_clock_init();
    sdk = msdk_new(options);
    if (sdk == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&metric_installed.mutex);
    rc = metric_installed.sdk != NULL ? -EBUSY : skua_metric_install(&skua__metric_ops);
    if (rc == 0) {
        if (++metric_installed.last == 0)
            metric_installed.last = 1;
        sdk->generation = metric_installed.last;
        metric_installed.sdk = sdk;
        msdk_readers(sdk, sdk);
        atomic_store_explicit(&skua__metric_exemplars, (int)options->exemplars,
                              memory_order_relaxed);
        /* Whoever sees it asks under the mutex whose it is. */
        atomic_store_explicit(&skua__metric_generation, sdk->generation, memory_order_relaxed);
    }
    pthread_mutex_unlock(&metric_installed.mutex);
    if (rc != 0)
        skua__metric_sdk_unref(sdk);
    return rc;
}

void skua__metric_stop(void)
{
    struct skua__metric_sdk *sdk;

    pthread_mutex_lock(&metric_installed.mutex);
    sdk = metric_installed.sdk;
    metric_installed.sdk = NULL;
    if (sdk != NULL) {
        (void)skua_metric_install(NULL);
        atomic_store_explicit(&skua__metric_generation, 0, memory_order_relaxed);
        msdk_readers(sdk, NULL);
    }
    pthread_mutex_unlock(&metric_installed.mutex);
    if (sdk != NULL)
        skua__metric_sdk_unref(sdk);
}

void skua__metric_forked(void)
{
    struct skua__metric_sdk *sdk = metric_installed.sdk;

    /* Other threads may have held any lock: none of the old ones is used. What the parent's
     * threads had is lost here, as all memory of theirs; it is the parent's to send. */
    metric_installed.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    skua__metric_reader_forked();
    metric_installed.sdk = NULL;
    atomic_store_explicit(&skua__metric_generation, 0, memory_order_relaxed);
    (void)skua_metric_install(NULL);
    skua__metric_threads_forget();
    if (sdk == NULL)
        return;
    for (size_t i = 0; i < sdk->readers_count; i++) {
        sdk->readers[i]->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        sdk->readers[i]->sdk = NULL;
    }
    (void)skua__metric_start(&(struct skua__metric_options){.resource = sdk->resource,
                                                            .views = sdk->views,
                                                            .views_count = sdk->views_count,
                                                            .readers = sdk->readers,
                                                            .readers_count = sdk->readers_count,
                                                            .exemplars = sdk->exemplars,
                                                            .wants = sdk->wants,
                                                            .wants_arg = sdk->wants_arg});
}
