/* metric_instrument.c - instruments: one for all handles of a meter, name, kind and unit.
 *
 *   the same in all           the same instrument; advice of the first one counts
 *   the same name otherwise   another instrument under the name as it was first seen, and a warning
 *   a name that is not valid  a warning; it goes nowhere
 *   a unit that is not valid  a warning; without the unit
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"

#define INSTRUMENT_SLOTS 65536 /* bound instruments at most; those beyond go nowhere */

static const char *instrument_text(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static bool instrument_attrs_are(const skua_meter *a, const skua_meter *b)
{
    if (a->attrs_count != b->attrs_count)
        return false;
    for (size_t i = 0; i < a->attrs_count; i++) {
        const skua_attr *x = &a->attrs[i], *y = &b->attrs[i];

        if (x->type != y->type || x->count != y->count || x->key_len != y->key_len ||
            memcmp(x->key, y->key, x->key_len) != 0)
            return false;
        if (skua__attr_bytes(x) != 0
                ? memcmp(x->value.bytes, y->value.bytes, skua__attr_bytes(x)) != 0
                : x->value.i64 != y->value.i64)
            return false;
    }
    return true;
}

static bool instrument_meter_is(const skua_meter *a, const skua_meter *b)
{
    return a == b || (strcmp(instrument_text(a->name), instrument_text(b->name)) == 0 &&
                      strcmp(instrument_text(a->version), instrument_text(b->version)) == 0 &&
                      strcmp(instrument_text(a->schema_url), instrument_text(b->schema_url)) == 0 &&
                      instrument_attrs_are(a, b));
}

static skua_otel_text instrument_as_text(const char *text)
{
    return (skua_otel_text){instrument_text(text), strlen(instrument_text(text))};
}

static struct skua__metric_scope *instrument_scope(struct skua__metric_sdk *sdk,
                                                   const skua_meter *meter, unsigned *say)
{
    struct skua__metric_scope *scope;

    for (scope = sdk->scopes; scope != NULL; scope = scope->next)
        if (instrument_meter_is(scope->meter, meter))
            return scope;
    scope = skua__otel_malloc(sizeof *scope);
    if (scope == NULL)
        return NULL;
    if (meter->name == NULL || meter->name[0] == '\0')
        *say |= SKUA__SAY_METER;
    scope->meter = meter;
    scope->data.name = instrument_as_text(meter->name);
    scope->data.version = instrument_as_text(meter->version);
    scope->data.schema_url = instrument_as_text(meter->schema_url);
    scope->data.attrs.at = meter->attrs;
    scope->data.attrs.count = (uint32_t)meter->attrs_count;
    scope->last = &scope->first;
    *sdk->scopes_last = scope;
    sdk->scopes_last = &scope->next;
    return scope;
}

static void instrument_free(struct skua__metric_instrument *instrument)
{
    struct skua__metric_stream *next;

    for (struct skua__metric_stream *at = instrument->streams; at != NULL; at = next) {
        next = at->next;
        skua__stream_free(at);
    }
    skua__otel_free(instrument);
}

void skua__scopes_free(struct skua__metric_sdk *sdk)
{
    struct skua__metric_scope *next_scope;

    for (struct skua__metric_scope *scope = sdk->scopes; scope != NULL; scope = next_scope) {
        struct skua__metric_instrument *next;

        next_scope = scope->next;
        for (struct skua__metric_instrument *at = scope->first; at != NULL; at = next) {
            next = at->next;
            instrument_free(at);
        }
        skua__otel_free(scope);
    }
}

/* ---- instruments ----------------------------------------------------------------------------- */

static bool instrument_name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > 255 || !isalpha((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_.-/", name[i]) == NULL)
            return false;
    return true;
}

static bool instrument_unit_ok(const char *unit)
{
    size_t len = strlen(unit);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)unit[i] >= 0x80)
            return false;
    return len <= 63;
}

static bool instrument_is(const struct skua__metric_instrument *a, const skua_instrument *b,
                          const char *unit)
{
    return a->kind == b->kind && a->is_f64 == b->is_f64 && strcmp(a->unit, unit) == 0 &&
           strcmp(a->description, instrument_text(b->description)) == 0;
}

static bool instrument_room(struct skua__metric_sdk *sdk)
{
    uint32_t room = sdk->instruments_room != 0 ? sdk->instruments_room * 2 : 16;
    struct skua__metric_instrument **more;

    if (sdk->instruments_count < sdk->instruments_room)
        return true;
    more = skua__otel_realloc(sdk->instruments, room * sizeof(struct skua__metric_instrument *));
    if (more == NULL)
        return false;
    sdk->instruments = more;
    sdk->instruments_room = room;
    return true;
}

static struct skua__metric_instrument *
instrument_new(struct skua__metric_sdk *sdk, struct skua__metric_scope *scope,
               const skua_instrument *handle, const char *name, const char *unit, unsigned *say)
{
    struct skua__metric_instrument *instrument = skua__otel_malloc(sizeof *instrument);

    if (instrument == NULL)
        return NULL;
    instrument->scope = scope;
    instrument->index = sdk->instruments_count;
    instrument->name = name;
    instrument->unit = unit;
    instrument->description = instrument_text(handle->description);
    instrument->kind = handle->kind;
    instrument->is_f64 = handle->is_f64;
    instrument->keys = handle->keys;
    instrument->keys_count = handle->keys_count;
    instrument->bounds = handle->bounds;
    instrument->bounds_count = handle->bounds_count;
    for (uint32_t i = 1; i < handle->bounds_count && instrument->bounds != NULL; i++)
        if (!(handle->bounds[i] > handle->bounds[i - 1])) {
            *say |= SKUA__SAY_BOUNDS;
            instrument->bounds = NULL;
        }
    if (!instrument_room(sdk) || skua__streams_make(sdk, instrument, say) != 0) {
        instrument_free(instrument);
        return NULL;
    }
    sdk->instruments[sdk->instruments_count++] = instrument;
    *scope->last = instrument;
    scope->last = &instrument->next;
    return instrument;
}

/* Under the SDK's mutex. */
static struct skua__metric_instrument *instrument_of(struct skua__metric_sdk *sdk,
                                                     const skua_instrument *handle, unsigned *say)
{
    struct skua__metric_scope *scope = instrument_scope(sdk, handle->meter, say);
    const char *name = handle->name, *unit = instrument_text(handle->unit);
    bool conflict = false;

    if (scope == NULL)
        return NULL;
    if (!instrument_unit_ok(unit)) {
        *say |= SKUA__SAY_UNIT;
        unit = "";
    }
    for (struct skua__metric_instrument *at = scope->first; at != NULL; at = at->next) {
        if (strcasecmp(at->name, handle->name) != 0)
            continue;
        name = at->name;
        if (instrument_is(at, handle, unit))
            return at;
        conflict = true;
    }
    if (conflict)
        *say |= SKUA__SAY_CONFLICT;
    return instrument_new(sdk, scope, handle, name, unit, say);
}

static void instrument_say(const skua_instrument *handle, unsigned say)
{
    static const struct {
        unsigned bit;
        const char *format;
    } all[] = {
        {SKUA__SAY_METER, "the meter of %s has no name"},
        {SKUA__SAY_UNIT, "the unit of %s is not valid"},
        {SKUA__SAY_BOUNDS, "the bounds of %s do not ascend"},
        {SKUA__SAY_CONFLICT, "metric %s is there already, with another kind, unit or description: "
                             "a view can rename one of them"},
        {SKUA__SAY_VIEW, "a view's aggregation does not go with %s"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((say & all[i].bit) != 0) {
            char text[384];

            (void)snprintf(text, sizeof text, all[i].format, handle->name);
            skua__otel_warn(SKUA__WARN_CONFIG, "%s", text);
        }
}

struct skua__metric_instrument *skua__instrument_bind(struct skua__metric_sdk *sdk,
                                                      skua_instrument *handle)
{
    uint64_t bound = (uint64_t)sdk->generation << 32;
    struct skua__metric_instrument *instrument = NULL;
    unsigned say = 0;

    if (handle->name == NULL || !instrument_name_ok(handle->name)) {
        skua__otel_warn(SKUA__WARN_CONFIG, "%s is not a name for a metric",
                        handle->name != NULL ? handle->name : "(null)");
    } else if (sdk->wants == NULL || sdk->wants(sdk->wants_arg, handle->meter)) {
        pthread_mutex_lock(&sdk->mutex);
        instrument = instrument_of(sdk, handle, &say);
        pthread_mutex_unlock(&sdk->mutex);
        instrument_say(handle, say);
        if (instrument == NULL) { /* tried again at the next value */
            (void)atomic_fetch_add_explicit(&skua__metric_lost, 1, memory_order_relaxed);
            return NULL;
        }
    }
    if (instrument != NULL && instrument->streams == NULL)
        instrument = NULL;
    bound |= instrument != NULL ? instrument->index : SKUA__METRIC_NONE;
    __atomic_store_n(&handle->bound, bound, __ATOMIC_RELEASE);
    return instrument;
}

/* ---- bound instruments ----------------------------------------------------------------------- */

/* One a stream, pinned. Under the SDK's mutex. false: no memory. */
static bool instrument_pin(struct skua__metric_slot *slot, const skua_bound *bound)
{
    uint32_t i = 0;

    for (struct skua__metric_stream *at = slot->instrument->streams; at != NULL; at = at->next) {
        pthread_mutex_lock(&at->mutex);
        slot->series[i] = skua__series_find(at, bound->attrs, bound->attrs_count);
        if (slot->series[i] != NULL)
            slot->series[i]->pins++;
        pthread_mutex_unlock(&at->mutex);
        if (slot->series[i++] == NULL)
            return false;
    }
    return true;
}

static void instrument_unpin(struct skua__metric_slot *slot)
{
    uint32_t i = 0;

    for (struct skua__metric_stream *at = slot->instrument->streams; at != NULL; at = at->next) {
        pthread_mutex_lock(&at->mutex);
        if (slot->series[i] != NULL)
            slot->series[i]->pins--;
        slot->series[i++] = NULL;
        pthread_mutex_unlock(&at->mutex);
    }
}

/* A slot's number; NONE: no memory, or too many. Under the SDK's mutex. */
static uint32_t instrument_slot_new(struct skua__metric_sdk *sdk,
                                    struct skua__metric_instrument *instrument,
                                    const skua_bound *bound)
{
    struct skua__metric_slot *slot;

    if (sdk->slots_count == sdk->slots_room) {
        uint32_t room = sdk->slots_room != 0 ? sdk->slots_room * 2 : 16;
        struct skua__metric_slot **more =
            room > INSTRUMENT_SLOTS
                ? NULL
                : skua__otel_realloc(sdk->slots, room * sizeof(struct skua__metric_slot *));

        if (more == NULL)
            return SKUA__METRIC_NONE;
        sdk->slots = more;
        sdk->slots_room = room;
    }
    slot = skua__otel_malloc(sizeof *slot +
                             instrument->streams_count * sizeof(struct skua__metric_series *));
    if (slot == NULL)
        return SKUA__METRIC_NONE;
    slot->instrument = instrument;
    if (!instrument_pin(slot, bound)) {
        instrument_unpin(slot);
        skua__otel_free(slot);
        return SKUA__METRIC_NONE;
    }
    sdk->slots[sdk->slots_count] = slot;
    return sdk->slots_count++;
}

uint64_t skua__instrument_slot(struct skua__metric_sdk *sdk, skua_bound *bound)
{
    struct skua__metric_instrument *instrument = skua__instrument_bind(sdk, bound->instrument);
    uint64_t at = (uint64_t)sdk->generation << 32;

    if (instrument == NULL) /* again at the next value: it may be for lack of memory */
        return at | SKUA__METRIC_NONE;
    pthread_mutex_lock(&sdk->mutex);
    if (__atomic_load_n(&bound->bound, __ATOMIC_RELAXED) >> 32 == sdk->generation) {
        at = __atomic_load_n(&bound->bound, __ATOMIC_RELAXED); /* another thread was faster */
    } else {
        at |= instrument_slot_new(sdk, instrument, bound);
        if ((uint32_t)at != SKUA__METRIC_NONE)
            __atomic_store_n(&bound->bound, at, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&sdk->mutex);
    return at;
}

void skua__instrument_slot_free(struct skua__metric_sdk *sdk, skua_bound *bound)
{
    uint64_t at = __atomic_load_n(&bound->bound, __ATOMIC_RELAXED);

    if (at >> 32 != sdk->generation || (uint32_t)at == SKUA__METRIC_NONE)
        return;
    pthread_mutex_lock(&sdk->mutex);
    instrument_unpin(sdk->slots[(uint32_t)at]);
    pthread_mutex_unlock(&sdk->mutex);
}

#undef INSTRUMENT_SLOTS
