/* metric.c - the API of metrics: a table of functions, when there is one, and what is kept without.
 *
 * Bound      a copy of the attributes in one piece of memory, so that an SDK that is started later
 *            can bind it.
 * Observing  a list of the callers' memory. One function runs at a time, outside of the lock; who
 *            ends it waits until it has returned, but where that is itself. That wait is rare and
 *            short, so it gives its slices away and does not sleep.
 */
#include <errno.h>

#include <skua/telemetry.h>

#include "base/lock.h"
#include "os/os.h"

const skua_metric_ops *skua_metric_table;

int skua_metric_install(const skua_metric_ops *ops)
{
    const skua_metric_ops *none = NULL;

    if (ops == NULL) {
        __atomic_store_n(&skua_metric_table, NULL, __ATOMIC_RELEASE);
        return 0;
    }
    if (ops->size != sizeof *ops)
        return -EINVAL;
    /* Release: who loads the table sees what the SDK has set up. */
    return __atomic_compare_exchange_n(&skua_metric_table, &none, ops, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED)
               ? 0
               : -EBUSY;
}

/* ---- bound instruments ----------------------------------------------------------------------- */

static size_t metric_element(uint8_t type)
{
    switch (type) {
    case SKUA_ATTR_STR:
    case SKUA_ATTR_BYTES:
    case SKUA_ATTR_BOOLS:
        return 1;
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        return 8;
    default:
        return 0; /* numbers; the others do not tell series apart */
    }
}

static size_t metric_round(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t metric_room(const skua_attr *attr)
{
    return metric_round(metric_element(attr->type) * attr->count) +
           ((attr->flags & SKUA_ATTR_STATIC) != 0 ? 0 : metric_round((size_t)attr->key_len + 1));
}

static void *metric_copied(char **room, const void *from, size_t size, size_t used)
{
    void *at = memcpy(*room, from, size);

    *room += metric_round(used);
    return at;
}

int skua_bind_attrs(skua_instrument *instrument, skua_bound *bound, const skua_attr *attrs,
                    size_t count)
{
    size_t size = count * sizeof *attrs;
    char *room;

    for (size_t i = 0; i < count; i++)
        size += metric_room(&attrs[i]);
    *bound = (skua_bound){.instrument = instrument};
    if (count == 0)
        return 0;
    bound->attrs = skua__os_alloc(size);
    if (bound->attrs == NULL) {
        bound->instrument = NULL;
        return -ENOMEM;
    }
    room = (char *)(bound->attrs + count);
    for (size_t i = 0; i < count; i++) {
        skua_attr *attr = &bound->attrs[bound->attrs_count];
        size_t value = metric_element(attrs[i].type) * attrs[i].count;

        if (attrs[i].type >= SKUA_ATTR_STRS)
            continue; /* neither text of its own nor a number: see metric_element */
        *attr = attrs[i];
        if ((attr->flags & SKUA_ATTR_STATIC) == 0)
            attr->key = metric_copied(&room, attr->key, attr->key_len, (size_t)attr->key_len + 1);
        if (value != 0)
            attr->value.bytes = metric_copied(&room, attr->value.bytes, value, value);
        bound->attrs_count++;
    }
    return 0;
}

void skua_unbind(skua_bound *bound)
{
    const skua_metric_ops *ops = skua_metric_installed();

    if (ops != NULL && bound->instrument != NULL)
        ops->unbind(bound);
    skua__os_free(bound->attrs);
    *bound = (skua_bound){.instrument = NULL};
}

/* ---- observables ----------------------------------------------------------------------------- */

static struct {
    struct skua__lock lock;
    skua_observing *first;   /* guard: lock */
    skua_observing *running; /* guard: lock */
    skua_observing *next;    /* of the one that runs; guard: lock */
    int thread, process;     /* where one runs; guard: lock */
} observing;

int skua_observing_begin(skua_observing *self, void (*fn)(skua_observer *observer, void *arg),
                         void *arg)
{
    int rc = -EBUSY;

    skua__os_lock_over_fork(&observing.lock);
    skua__lock_take(&observing.lock);
    if (self->at == NULL) {
        self->fn = fn;
        self->arg = arg;
        self->next = observing.first;
        self->at = &observing.first;
        if (self->next != NULL)
            self->next->at = &self->next;
        observing.first = self;
        rc = 0;
    }
    skua__lock_drop(&observing.lock);
    return rc;
}

/* Whether its function runs on another thread; one that ran at a fork is the parent's. Under the
 * lock. */
static bool metric_runs_elsewhere(const skua_observing *self, int thread)
{
    return observing.running == self && observing.process == skua__os_process_id() &&
           observing.thread != thread;
}

void skua_observing_end(skua_observing *self)
{
    int thread = skua__os_thread_id();

    skua__lock_take(&observing.lock);
    if (self->at != NULL) {
        if (observing.next == self)
            observing.next = self->next;
        *self->at = self->next;
        if (self->next != NULL)
            self->next->at = self->at;
        self->at = NULL;
    }
    while (metric_runs_elsewhere(self, thread)) {
        skua__lock_drop(&observing.lock);
        skua__os_thread_yield();
        skua__lock_take(&observing.lock);
    }
    skua__lock_drop(&observing.lock);
}

void skua_observing_run(skua_observer *observer)
{
    int thread = skua__os_thread_id(), process = skua__os_process_id();

    skua__os_lock_over_fork(&observing.lock);
    skua__lock_take(&observing.lock);
    for (skua_observing *at = observing.first; at != NULL; at = observing.next) {
        void (*fn)(skua_observer * to, void *arg) = at->fn;
        void *arg = at->arg;

        observing.running = at;
        observing.thread = thread;
        observing.process = process;
        observing.next = at->next;
        skua__lock_drop(&observing.lock);
        fn(observer, arg);
        skua__lock_take(&observing.lock);
        observing.running = NULL;
    }
    observing.next = NULL;
    skua__lock_drop(&observing.lock);
}

void skua_observe_attrs(skua_observer *observer, skua_observable *observable, int64_t value,
                        const skua_attr *attrs, size_t count)
{
    observer->i64(observer, &observable->instrument, value, attrs, count);
}

void skua_observe_f64_attrs(skua_observer *observer, skua_observable *observable, double value,
                            const skua_attr *attrs, size_t count)
{
    observer->f64(observer, &observable->instrument, value, attrs, count);
}
