/* metric_hot.c - the functions behind metric.h.
 *
 *   bound      thread -> slot -> cell
 *   unbound    a hash of the attributes, in any order; an entry of the thread's table; its cells
 *
 * Hash       each attribute by itself, from the key's address where it is a literal and the value;
 *            their sum, so that order does not count for it. (wyhash's mix; Wang Yi.)
 * Refused    negative values of counters and histograms, NaN, infinity: reported, but not often.
 */
#include <math.h>

#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"

/* ---- finding cells --------------------------------------------------------------------------- */

static inline uint64_t hot_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define HOT_1 UINT64_C(0xa0761d6478bd642f)
#define HOT_2 UINT64_C(0xe7037ed1a0b428db)

static inline uint64_t hot_bytes(const char *at, size_t len)
{
    uint64_t hash = len, low, high = 0;

    for (; len > 16; at += 8, len -= 8) {
        memcpy(&low, at, 8);
        hash = hot_mix(hash ^ low, HOT_1);
    }
    low = 0;
    if (len >= 8) {
        memcpy(&low, at, 8);
        memcpy(&high, at + len - 8, 8);
    } else if (len >= 4) {
        uint32_t first, last;

        memcpy(&first, at, 4);
        memcpy(&last, at + len - 4, 4);
        low = (uint64_t)first << 32 | last;
    } else if (len != 0) {
        low = (uint64_t)(uint8_t)at[0] << 16 | (uint64_t)(uint8_t)at[len / 2] << 8 |
              (uint8_t)at[len - 1];
    }
    return hot_mix(low ^ HOT_2, high ^ hash ^ HOT_1);
}

static inline uint64_t hot_hash(uint32_t instrument, const skua_attr *attrs, size_t count)
{
    uint64_t hash = instrument * HOT_2;

    for (size_t i = 0; i < count; i++) {
        const skua_attr *attr = &attrs[i];
        uint64_t key = (attr->flags & SKUA_ATTR_STATIC) != 0 ? (uint64_t)(uintptr_t)attr->key
                                                             : hot_bytes(attr->key, attr->key_len);
        uint64_t value = attr->type <= SKUA_ATTR_F64 ? (uint64_t)attr->value.i64
                         : attr->type == SKUA_ATTR_STR
                             ? hot_bytes(attr->value.str, attr->count)
                             : hot_bytes(attr->value.bytes, skua__attr_bytes(attr));

        hash += hot_mix(key ^ HOT_1, value ^ HOT_2);
    }
    return hash ^ hash >> 32;
}

static inline struct skua__metric_entry *hot_find(struct skua__metric_thread *self, uint32_t index,
                                                  const skua_attr *attrs, size_t count)
{
    uint64_t hash = hot_hash(index, attrs, count);
    uint32_t at = (uint32_t)hash & (self->entries_size - 1);
    struct skua__metric_entry *entry;

    while ((entry = self->entries[at]) != NULL) {
        if (entry->hash == hash && skua__metric_entry_is(entry, index, attrs, count))
            return entry;
        at = (at + 1) & (self->entries_size - 1);
    }
    return skua__metric_entry_make(self, index, attrs, count, hash);
}

/* Where values of a handle with these attributes go; NULL: nowhere. */
static inline struct skua__metric_entry *hot_entry(skua_instrument *handle, const skua_attr *attrs,
                                                   size_t count)
{
    struct skua__metric_thread *self = skua__metric_own;
    uint32_t generation = atomic_load_explicit(&skua__metric_generation, memory_order_relaxed);
    uint32_t flush = atomic_load_explicit(&skua__metric_flush, memory_order_relaxed);
    uint64_t bound = __atomic_load_n(&handle->bound, __ATOMIC_RELAXED);

    if (__builtin_expect(self == NULL || self->generation != generation || self->flush != flush,
                         0)) {
        self = skua__metric_attach();
        if (self == NULL)
            return NULL;
    }
    if (__builtin_expect(bound >> 32 != self->generation, 0)) {
        skua__instrument_bind(self->sdk, handle);
        bound = __atomic_load_n(&handle->bound, __ATOMIC_RELAXED);
        if (bound >> 32 != self->generation)
            return NULL;
    }
    if ((uint32_t)bound == SKUA__METRIC_NONE)
        return NULL;
    return hot_find(self, (uint32_t)bound, attrs, count);
}

static inline struct skua__metric_entry *hot_slot(skua_bound *bound)
{
    struct skua__metric_thread *self = skua__metric_own;
    uint32_t generation = atomic_load_explicit(&skua__metric_generation, memory_order_relaxed);
    uint64_t at = __atomic_load_n(&bound->bound, __ATOMIC_RELAXED);

    if (__builtin_expect(self != NULL && self->generation == generation && at >> 32 == generation &&
                             (uint32_t)at < self->slots_count &&
                             self->slots[(uint32_t)at].entry != NULL,
                         1))
        return self->slots[(uint32_t)at].entry;
    if (bound->instrument == NULL)
        return NULL;
    self = skua__metric_attach();
    return self != NULL ? skua__metric_slot_make(self, bound) : NULL;
}

/* ---- what a value does ----------------------------------------------------------------------- */

static bool hot_refused(const struct skua__metric_entry *entry)
{
    skua__otel_warn(SKUA__WARN_OTHER,
                    entry->kind == SKUA_KIND_COUNTER || entry->kind == SKUA_KIND_HISTOGRAM
                        ? "a counter or histogram does not take negative, infinite or NaN values"
                        : "metrics do not take infinite or NaN values");
    return true;
}

static bool hot_refuses(const struct skua__metric_entry *entry, bool negative, bool finite)
{
    if (__builtin_expect(finite && !(negative && (entry->kind == SKUA_KIND_COUNTER ||
                                                  entry->kind == SKUA_KIND_HISTOGRAM)),
                         1))
        return false;
    return hot_refused(entry);
}

__attribute__((noinline)) static void hot_offer(const struct skua__metric_entry *entry,
                                                uint64_t bits, bool is_f64, const skua_attr *attrs,
                                                size_t count, int mode)
{
    skua_span *span = skua_span_current();
    skua_span_context context;

    if (mode == SKUA__EXEMPLARS_TRACE &&
        (span == NULL || skua_span_context_of(span, &context) != 0 ||
         (context.flags & SKUA_TRACE_SAMPLED) == 0))
        return;
    for (uint32_t i = 0; i < entry->cells_count; i++)
        if (entry->cells[i]->stream->reservoir != NULL)
            skua__exemplar_offer(entry->cells[i], bits, is_f64, attrs, count, span);
}

/* Whether values are offered that belong to a trace. Without a tracer nothing is sampled, so nobody
 * need be asked. */
static inline bool hot_traced(void)
{
    return skua_trace_installed() != NULL &&
           atomic_load_explicit(&skua__metric_exemplars, memory_order_relaxed) ==
               SKUA__EXEMPLARS_TRACE;
}

static inline void hot_exemplar(const struct skua__metric_entry *entry, uint64_t bits, bool is_f64,
                                const skua_attr *attrs, size_t count)
{
    int mode = atomic_load_explicit(&skua__metric_exemplars, memory_order_relaxed);

    if (__builtin_expect(mode == SKUA__EXEMPLARS_ON || hot_traced(), 0))
        hot_offer(entry, bits, is_f64, attrs, count, mode);
}

static inline void hot_put_f64(const struct skua__metric_entry *entry, double value,
                               const skua_attr *attrs, size_t count)
{
    uint64_t bits;

    if (hot_refuses(entry, value < 0, isfinite(value)))
        return;
    for (uint32_t i = 0; i < entry->cells_count; i++)
        skua__cell_f64(entry->cells[i], value);
    memcpy(&bits, &value, sizeof bits);
    hot_exemplar(entry, bits, true, attrs, count);
}

static inline void hot_put_i64(const struct skua__metric_entry *entry, int64_t value,
                               const skua_attr *attrs, size_t count)
{
    if (hot_refuses(entry, value < 0, true))
        return;
    for (uint32_t i = 0; i < entry->cells_count; i++) {
        struct skua__cell *cell = entry->cells[i];

        if (__builtin_expect(cell->what == SKUA__CELL_SUM && !cell->is_f64, 1)) {
            /* No other thread writes it: see metric_cell.c. */
            __atomic_store_n(&cell->value, cell->value + (uint64_t)value, __ATOMIC_RELAXED);
            __atomic_store_n(&cell->touched, UINT64_C(1), __ATOMIC_RELEASE);
        } else {
            skua__cell_i64(cell, value);
        }
    }
    hot_exemplar(entry, (uint64_t)value, false, attrs, count);
}

static void hot_i64(skua_instrument *instrument, int64_t value, const skua_attr *attrs,
                    size_t count)
{
    const struct skua__metric_entry *entry = hot_entry(instrument, attrs, count);

    if (entry != NULL)
        hot_put_i64(entry, value, attrs, count);
}

static void hot_f64(skua_instrument *instrument, double value, const skua_attr *attrs, size_t count)
{
    const struct skua__metric_entry *entry = hot_entry(instrument, attrs, count);

    if (entry != NULL)
        hot_put_f64(entry, value, attrs, count);
}

void skua__metric_put_many(skua_instrument *handle, const skua_attr *attrs, size_t count,
                           const struct skua__metric_many *many)
{
    const struct skua__metric_entry *entry = hot_entry(handle, attrs, count);

    for (uint32_t i = 0; entry != NULL && i < entry->cells_count; i++)
        skua__cell_many(entry->cells[i], many);
}

__attribute__((noinline)) static void hot_bound_any(skua_bound *bound, int64_t value)
{
    const struct skua__metric_entry *entry = hot_slot(bound);

    if (entry != NULL)
        hot_put_i64(entry, value, entry->attrs, entry->attrs_count);
}

static void hot_bound_i64(skua_bound *bound, int64_t value)
{
    struct skua__metric_thread *self = skua__metric_own;
    uint32_t generation = atomic_load_explicit(&skua__metric_generation, memory_order_relaxed);
    uint64_t at = __atomic_load_n(&bound->bound, __ATOMIC_RELAXED);

    if (__builtin_expect(self != NULL && self->generation == generation && at >> 32 == generation &&
                             (uint32_t)at < self->slots_count,
                         1)) {
        struct skua__cell *cell = self->slots[(uint32_t)at].simple;

        if (__builtin_expect(cell != NULL && value >= 0 && !hot_traced(), 1)) {
            /* No other thread writes it: see metric_cell.c. */
            __atomic_store_n(&cell->value, cell->value + (uint64_t)value, __ATOMIC_RELAXED);
            __atomic_store_n(&cell->touched, UINT64_C(1), __ATOMIC_RELEASE);
            return;
        }
    }
    hot_bound_any(bound, value);
}

static void hot_bound_f64(skua_bound *bound, double value)
{
    const struct skua__metric_entry *entry = hot_slot(bound);

    if (__builtin_expect(entry != NULL, 1))
        hot_put_f64(entry, value, entry->attrs, entry->attrs_count);
}

static void hot_unbind(skua_bound *bound)
{
    struct skua__metric_sdk *sdk = skua__metric_sdk_get();

    if (sdk != NULL) {
        skua__instrument_slot_free(sdk, bound);
        skua__metric_sdk_unref(sdk);
    }
}

static int hot_enabled(skua_instrument *handle)
{
    uint32_t generation = atomic_load_explicit(&skua__metric_generation, memory_order_relaxed);
    uint64_t bound = __atomic_load_n(&handle->bound, __ATOMIC_RELAXED);
    struct skua__metric_sdk *sdk;

    if (bound >> 32 == generation && generation != 0)
        return (uint32_t)bound != SKUA__METRIC_NONE;
    sdk = skua__metric_sdk_get();
    if (sdk == NULL)
        return 0;
    bound = skua__instrument_bind(sdk, handle) != NULL;
    skua__metric_sdk_unref(sdk);
    return (int)bound;
}

const skua_metric_ops skua__metric_ops = {
    .size = sizeof(skua_metric_ops),
    .i64 = hot_i64,
    .f64 = hot_f64,
    .bound_i64 = hot_bound_i64,
    .bound_f64 = hot_bound_f64,
    .unbind = hot_unbind,
    .enabled = hot_enabled,
};

#undef HOT_1
#undef HOT_2
