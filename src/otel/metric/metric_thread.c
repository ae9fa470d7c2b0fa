/* metric_thread.c - what a thread has of metrics: its cells, and a table that finds them.
 *
 * Entry      by instrument and attributes as they were handed in, in that order: another order is
 *            another entry with the same cells. The table is emptied when it has too many, and when
 *            series were retired.
 * Attach     at a thread's first value, and at the first behind a restart of the SDK: what it had
 *            of the old one is handed in then. At the thread's end, too.
 * Fork       the child's thread finds another generation in force, and forgets what it had: it is
 *            the parent's, copied.
 */
#include <stdlib.h>

#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"

#define THREAD_ENTRIES_FIRST 64
#define THREAD_ENTRIES_MAX 8192 /* places; half of them are used */

__thread struct skua__metric_thread *skua__metric_own __attribute__((tls_model("initial-exec")));

static struct {
    pthread_once_t once;
    pthread_key_t key; /* its destructor tells of a thread's end; constant behind once */
    bool keyed;        /* constant behind once */
} metric_threads = {.once = PTHREAD_ONCE_INIT};

static void mthread_forget_entries(struct skua__metric_thread *self)
{
    for (uint32_t i = 0; i < self->entries_size; i++) {
        skua__otel_free(self->entries[i]);
        self->entries[i] = NULL;
    }
    self->entries_count = 0;
}

static void mthread_free_cell(struct skua__cell *cell)
{
    struct skua__metric_stream *stream = cell->stream;

    pthread_mutex_lock(&stream->mutex);
    skua__cell_free(cell);
    pthread_mutex_unlock(&stream->mutex);
}

/* Hands in all that it has of an SDK. */
static void mthread_detach(struct skua__metric_thread *self)
{
    struct skua__cell *next;

    if (self->sdk == NULL)
        return;
    mthread_forget_entries(self);
    for (struct skua__cell *at = self->cells; at != NULL; at = next) {
        next = at->mine;
        mthread_free_cell(at);
    }
    self->cells = NULL;
    for (uint32_t i = 0; i < self->slots_count; i++)
        skua__otel_free(self->slots[i].entry);
    skua__otel_free(self->slots);
    self->slots = NULL;
    self->slots_count = 0;
    self->generation = 0;
    skua__metric_sdk_unref(self->sdk);
    self->sdk = NULL;
}

static void mthread_ended(void *arg)
{
    struct skua__metric_thread *self = arg;

    skua__metric_own = NULL;
    mthread_detach(self);
    skua__otel_free(self->entries);
    skua__otel_free(self);
}

static void mthread_once(void)
{
    metric_threads.keyed = pthread_key_create(&metric_threads.key, mthread_ended) == 0;
}

static struct skua__metric_thread *mthread_new(void)
{
    struct skua__metric_thread *self;

    (void)pthread_once(&metric_threads.once, mthread_once);
    if (!metric_threads.keyed)
        return NULL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return NULL;
    self->entries_size = THREAD_ENTRIES_FIRST;
    self->entries = skua__otel_malloc(self->entries_size * sizeof(struct skua__metric_entry *));
    if (self->entries == NULL || pthread_setspecific(metric_threads.key, self) != 0) {
        skua__otel_free(self->entries);
        skua__otel_free(self);
        return NULL;
    }
    self->random = skua__otel_ticks() ^ (uint64_t)(uintptr_t)self << 16 ^ 1;
    skua__metric_own = self;
    return self;
}

/* Lets go of cells whose series were given up. */
static void mthread_flush(struct skua__metric_thread *self, uint32_t flush)
{
    struct skua__cell **at = &self->cells;

    mthread_forget_entries(self);
    while (*at != NULL) {
        struct skua__cell *cell = *at;
        struct skua__metric_stream *stream = cell->stream;

        pthread_mutex_lock(&stream->mutex);
        if (cell->series->retired) {
            *at = cell->mine;
            skua__cell_free(cell);
        } else {
            at = &cell->mine;
        }
        pthread_mutex_unlock(&stream->mutex);
    }
    self->flush = flush;
}

void (*_Atomic skua__metric_attached)(void);

static void mthread_told(void)
{
    void (*fn)(void) = atomic_load_explicit(&skua__metric_attached, memory_order_relaxed);

    if (fn != NULL)
        fn();
}

struct skua__metric_thread *skua__metric_attach(void)
{
    struct skua__metric_thread *self = skua__metric_own;
    uint32_t flush = atomic_load_explicit(&skua__metric_flush, memory_order_relaxed);
    struct skua__metric_sdk *sdk;

    if (self == NULL)
        self = mthread_new();
    if (self == NULL) {
        (void)atomic_fetch_add_explicit(&skua__metric_lost, 1, memory_order_relaxed);
        return NULL;
    }
    sdk = skua__metric_sdk_get();
    if (sdk != self->sdk) {
        mthread_detach(self);
        self->sdk = sdk;
        self->generation = sdk != NULL ? sdk->generation : 0;
        self->flush = flush;
        if (sdk != NULL)
            mthread_told();
    } else if (sdk != NULL) {
        skua__metric_sdk_unref(sdk);
        if (self->flush != flush)
            mthread_flush(self, flush);
    }
    return sdk != NULL ? self : NULL;
}

void skua__metric_threads_forget(void)
{
    skua__metric_own = NULL;
    if (metric_threads.keyed)
        (void)pthread_setspecific(metric_threads.key, NULL);
}

/* ---- entries --------------------------------------------------------------------------------- */

static bool mthread_attr_is(const skua_attr *a, const skua_attr *b)
{
    if (a->type != b->type || a->count != b->count || a->key_len != b->key_len)
        return false;
    if ((a->key != b->key || (a->flags & b->flags & SKUA_ATTR_STATIC) == 0) &&
        memcmp(a->key, b->key, a->key_len) != 0)
        return false;
    if (a->type <= SKUA_ATTR_F64)
        return a->value.i64 == b->value.i64;
    return memcmp(a->value.bytes, b->value.bytes, skua__attr_bytes(a)) == 0;
}

bool skua__metric_entry_is(const struct skua__metric_entry *entry, uint32_t instrument,
                           const skua_attr *attrs, size_t count)
{
    if (entry->instrument != instrument || entry->attrs_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!mthread_attr_is(&entry->attrs[i], &attrs[i]))
            return false;
    return true;
}

/* The thread's cell of a series; NULL: no memory. */
static struct skua__cell *mthread_cell(struct skua__metric_thread *self,
                                       struct skua__metric_stream *stream,
                                       struct skua__metric_series *series)
{
    struct skua__cell *cell;

    if (series == NULL)
        return NULL;
    for (cell = series->cells; cell != NULL; cell = cell->next)
        if (cell->owner == self)
            return cell;
    cell = skua__cell_new(stream, series);
    if (cell == NULL)
        return NULL;
    cell->owner = self;
    cell->mine = self->cells;
    self->cells = cell;
    return cell;
}

static struct skua__metric_entry *mthread_entry_new(struct skua__metric_thread *self,
                                                    struct skua__metric_instrument *instrument,
                                                    const skua_attr *attrs, size_t count,
                                                    const struct skua__metric_slot *slot)
{
    size_t cells = instrument->streams_count * sizeof(struct skua__cell *);
    struct skua__metric_entry *entry =
        skua__otel_malloc(sizeof *entry + cells + skua__attrs_room(attrs, count));
    uint32_t i = 0;

    if (entry == NULL)
        return NULL;
    entry->instrument = instrument->index;
    entry->kind = instrument->kind;
    entry->is_f64 = instrument->is_f64;
    entry->attrs = (skua_attr *)(void *)((char *)entry->cells + cells);
    entry->attrs_count = (uint32_t)count;
    skua__attrs_put(entry->attrs, attrs, count);
    for (struct skua__metric_stream *at = instrument->streams; at != NULL; at = at->next) {
        struct skua__cell *cell;

        pthread_mutex_lock(&at->mutex);
        cell = mthread_cell(self, at,
                            slot != NULL ? slot->series[i] : skua__series_find(at, attrs, count));
        pthread_mutex_unlock(&at->mutex);
        i++;
        if (cell != NULL)
            entry->cells[entry->cells_count++] = cell;
    }
    if (entry->cells_count == 1 && entry->cells[0]->what == SKUA__CELL_SUM && !entry->is_f64 &&
        self->sdk->exemplars != SKUA__EXEMPLARS_ON)
        entry->simple = entry->cells[0];
    if (entry->cells_count == instrument->streams_count)
        return entry;
    skua__otel_free(entry); /* a stream would miss values: none gets them, and that is counted */
    return NULL;
}

static void mthread_place(struct skua__metric_thread *self, struct skua__metric_entry *entry)
{
    uint32_t at = (uint32_t)entry->hash & (self->entries_size - 1);

    while (self->entries[at] != NULL)
        at = (at + 1) & (self->entries_size - 1);
    self->entries[at] = entry;
    self->entries_count++;
}

/* Room for one more. */
static void mthread_grow(struct skua__metric_thread *self)
{
    struct skua__metric_entry **old = self->entries, **entries = NULL;
    uint32_t size = self->entries_size;

    if (self->entries_count * 2 < size)
        return;
    if (size < THREAD_ENTRIES_MAX)
        entries = skua__otel_malloc(2 * size * sizeof(struct skua__metric_entry *));
    if (entries == NULL) {
        mthread_forget_entries(self);
        return;
    }
    self->entries = entries;
    self->entries_size = 2 * size;
    self->entries_count = 0;
    for (uint32_t i = 0; i < size; i++)
        if (old[i] != NULL)
            mthread_place(self, old[i]);
    skua__otel_free(old);
}

static struct skua__metric_instrument *mthread_instrument(struct skua__metric_thread *self,
                                                          uint32_t index)
{
    struct skua__metric_instrument *instrument;

    pthread_mutex_lock(&self->sdk->mutex);
    instrument = self->sdk->instruments[index];
    pthread_mutex_unlock(&self->sdk->mutex);
    return instrument;
}

struct skua__metric_entry *skua__metric_entry_make(struct skua__metric_thread *self,
                                                   uint32_t instrument, const skua_attr *attrs,
                                                   size_t count, uint64_t hash)
{
    struct skua__metric_entry *entry =
        mthread_entry_new(self, mthread_instrument(self, instrument), attrs, count, NULL);

    if (entry == NULL) {
        (void)atomic_fetch_add_explicit(&skua__metric_lost, 1, memory_order_relaxed);
        return NULL;
    }
    entry->hash = hash;
    mthread_grow(self);
    mthread_place(self, entry);
    return entry;
}

/* ---- slots of bound instruments -------------------------------------------------------------- */

static bool mthread_slots_grow(struct skua__metric_thread *self, uint32_t index)
{
    uint32_t count = self->slots_count != 0 ? self->slots_count : 8;
    struct skua__metric_place *slots;

    if (index < self->slots_count)
        return true;
    while (count <= index)
        count *= 2;
    slots = skua__otel_realloc(self->slots, count * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots + self->slots_count, 0, (count - self->slots_count) * sizeof *slots);
    self->slots = slots;
    self->slots_count = count;
    return true;
}

struct skua__metric_entry *skua__metric_slot_make(struct skua__metric_thread *self,
                                                  skua_bound *bound)
{
    uint64_t at = __atomic_load_n(&bound->bound, __ATOMIC_ACQUIRE);
    struct skua__metric_slot *slot;
    struct skua__metric_entry *entry = NULL;

    if (at >> 32 != self->generation)
        at = skua__instrument_slot(self->sdk, bound);
    if ((uint32_t)at == SKUA__METRIC_NONE)
        return NULL;
    if (mthread_slots_grow(self, (uint32_t)at)) {
        if (self->slots[(uint32_t)at].entry != NULL)
            return self->slots[(uint32_t)at].entry;
        pthread_mutex_lock(&self->sdk->mutex);
        slot = self->sdk->slots[(uint32_t)at];
        pthread_mutex_unlock(&self->sdk->mutex);
        entry = mthread_entry_new(self, slot->instrument, bound->attrs, bound->attrs_count, slot);
    }
    if (entry == NULL)
        (void)atomic_fetch_add_explicit(&skua__metric_lost, 1, memory_order_relaxed);
    else
        self->slots[(uint32_t)at] = (struct skua__metric_place){entry->simple, entry};
    return entry;
}

#undef THREAD_ENTRIES_FIRST
#undef THREAD_ENTRIES_MAX
