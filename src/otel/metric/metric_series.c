/* metric_series.c - which sets of attributes a stream has.
 *
 * A set      is what the stream's view keeps of a measurement's attributes, of several with a key
 *            the last one, sorted by key: so their order does not count.
 * Limit      of `limit` series one is for all that finds no place: otel.metric.overflow. Before it
 *            takes a value, series are given up that nobody has used since they were sent, when all
 *            readers are delta.
 * Retired    a series that was given up while threads have cells of it lies aside until they have
 *            let go of them. What came in meanwhile goes to the series that has its attributes now.
 */
#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"

#define SERIES_ATTRS 128 /* of a series at most: the attribute limit does not hold for metrics */
#define SERIES_TABLE 16  /* at first */

/* ---- attributes ------------------------------------------------------------------------------ */

bool skua__attr_counts(const skua_attr *attr)
{
    return attr->type != SKUA_ATTR_NONE && attr->type < SKUA_ATTR_STRS;
}

size_t skua__attr_bytes(const skua_attr *attr)
{
    switch (attr->type) {
    case SKUA_ATTR_STR:
    case SKUA_ATTR_BYTES:
    case SKUA_ATTR_BOOLS:
        return attr->count;
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        return (size_t)attr->count * 8;
    default:
        return 0;
    }
}

static size_t series_round(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

size_t skua__attrs_room(const skua_attr *attrs, size_t count)
{
    size_t size = count * sizeof *attrs;

    for (size_t i = 0; i < count; i++) {
        size += series_round(skua__attr_bytes(&attrs[i]));
        if ((attrs[i].flags & SKUA_ATTR_STATIC) == 0)
            size += series_round((size_t)attrs[i].key_len + 1);
    }
    return size;
}

static void *series_put(char **room, const void *from, size_t size, size_t used)
{
    void *at = *room;

    if (size != 0)
        memcpy(at, from, size);
    *room += series_round(used);
    return at;
}

void skua__attrs_put(skua_attr *to, const skua_attr *attrs, size_t count)
{
    char *room = (char *)(to + count);

    for (size_t i = 0; i < count; i++) {
        size_t size = skua__attr_bytes(&attrs[i]);

        to[i] = attrs[i];
        if ((attrs[i].flags & SKUA_ATTR_STATIC) == 0) {
            char *key =
                series_put(&room, attrs[i].key, attrs[i].key_len, (size_t)attrs[i].key_len + 1);

            key[attrs[i].key_len] = '\0';
            to[i].key = key;
        }
        if (size != 0)
            to[i].value.bytes = series_put(&room, attrs[i].value.bytes, size, size);
        else if (attrs[i].type >= SKUA_ATTR_STR)
            to[i].value.bytes = "";
    }
}

skua_attr *skua__attrs_copy(const skua_attr *attrs, size_t count)
{
    skua_attr *copy = skua__otel_raw(skua__attrs_room(attrs, count) + 1);

    if (copy != NULL)
        skua__attrs_put(copy, attrs, count);
    return copy;
}

static int series_key_cmp(const skua_attr *a, const skua_attr *b)
{
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = a->key == b->key ? 0 : memcmp(a->key, b->key, len);

    return order != 0 ? order : (int)a->key_len - (int)b->key_len;
}

static bool series_attr_is(const skua_attr *a, const skua_attr *b)
{
    if (a->type != b->type || a->count != b->count || series_key_cmp(a, b) != 0)
        return false;
    if (a->type <= SKUA_ATTR_F64)
        return a->value.i64 == b->value.i64;
    return memcmp(a->value.bytes, b->value.bytes, skua__attr_bytes(a)) == 0;
}

static bool series_named(const skua_attr *attr, const char *key)
{
    return strlen(key) == attr->key_len && memcmp(key, attr->key, attr->key_len) == 0;
}

bool skua__stream_keeps(const struct skua__metric_stream *stream, const skua_attr *attr)
{
    const skua_otel_view *view = stream->view;
    const char *const *keys = stream->instrument->keys;
    uint32_t count = stream->instrument->keys_count;
    bool exclude = false;

    if (view != NULL && view->no_keys)
        return false;
    if (view != NULL && view->keys != NULL) { /* the instrument's advice comes behind it */
        keys = view->keys;
        count = view->keys_count;
        exclude = view->exclude;
    }
    if (keys == NULL)
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (series_named(attr, keys[i]))
            return !exclude;
    return exclude;
}

/* The set: how many there are in `set`. */
static size_t series_set(const struct skua__metric_stream *stream, const skua_attr *attrs,
                         size_t count, skua_attr *set)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        size_t at = used;

        if (!skua__attr_counts(&attrs[i]) || !skua__stream_keeps(stream, &attrs[i]))
            continue;
        while (at > 0 && series_key_cmp(&set[at - 1], &attrs[i]) > 0)
            at--;
        if (at > 0 && series_key_cmp(&set[at - 1], &attrs[i]) == 0) {
            set[at - 1] = attrs[i];
            continue;
        }
        if (used == SERIES_ATTRS)
            continue;
        memmove(&set[at + 1], &set[at], (used - at) * sizeof *set);
        set[at] = attrs[i];
        used++;
    }
    return used;
}

static uint64_t series_hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes; /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t series_hash(const skua_attr *set, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < count; i++) {
        hash = series_hash_bytes(hash, set[i].key, set[i].key_len);
        hash = set[i].type <= SKUA_ATTR_F64
                   ? series_hash_bytes(hash, &set[i].value, sizeof set[i].value)
                   : series_hash_bytes(hash, set[i].value.bytes, skua__attr_bytes(&set[i]));
    }
    return hash ^ hash >> 29;
}

/* ---- buckets --------------------------------------------------------------------------------- */

size_t skua__dist_size(const struct skua__metric_stream *stream)
{
    if (stream->what == SKUA__CELL_BASE2)
        return skua__base2_size(stream->aggregation.max_size);
    if (stream->what == SKUA__CELL_EXPLICIT)
        return ((size_t)stream->aggregation.bounds_count + 1) * sizeof(uint64_t);
    return 0;
}

void skua__dist_init(struct skua__dist *dist, const struct skua__metric_stream *stream,
                     void *memory)
{
    if (stream->what == SKUA__CELL_BASE2)
        skua__base2_init(&dist->base2, stream->aggregation.max_size, stream->aggregation.max_scale,
                         memory);
    else if (stream->what == SKUA__CELL_EXPLICIT)
        dist->counts = memory;
}

struct skua__dist *skua__dist_new(const struct skua__metric_stream *stream)
{
    struct skua__dist *dist = skua__otel_malloc(sizeof *dist + skua__dist_size(stream));

    if (dist != NULL)
        skua__dist_init(dist, stream, dist + 1);
    return dist;
}

void skua__dist_clear(struct skua__dist *dist, const struct skua__metric_stream *stream)
{
    dist->sum = 0;
    dist->count = 0;
    dist->epoch = 0;
    if (stream->what == SKUA__CELL_BASE2)
        skua__base2_clear(&dist->base2);
    else if (stream->what == SKUA__CELL_EXPLICIT)
        memset(dist->counts, 0, skua__dist_size(stream));
}

/* ---- the table ------------------------------------------------------------------------------- */

static struct skua__metric_series *series_new(struct skua__metric_stream *stream,
                                              const skua_attr *set, size_t count, uint64_t hash)
{
    size_t states = sizeof(struct skua__metric_state) * SKUA__METRIC_READERS;
    size_t size = skua__dist_size(stream);
    struct skua__metric_series *series;
    char *room;

    for (uint32_t r = SKUA__METRIC_READERS; r-- > 0 && (stream->readers >> r & 1) == 0;)
        states -= sizeof(struct skua__metric_state);
    series = skua__otel_malloc(sizeof *series + states +
                               size * (states / sizeof(struct skua__metric_state)) +
                               skua__attrs_room(set, count));
    if (series == NULL)
        return NULL;
    room = (char *)series->states + states;
    for (size_t r = 0; r < states / sizeof(struct skua__metric_state); r++, room += size)
        skua__dist_init(&series->states[r].dist, stream, room);
    series->hash = hash;
    series->attrs = (skua_attr *)(void *)room;
    series->attrs_count = (uint32_t)count;
    skua__attrs_put(series->attrs, set, count);
    series->start = skua__otel_now();
    return series;
}

static void series_list(struct skua__metric_stream *stream, struct skua__metric_series *series)
{
    series->next = NULL;
    series->at = stream->last;
    *stream->last = series;
    stream->last = &series->next;
}

static bool series_grow(struct skua__metric_stream *stream)
{
    uint32_t size = stream->table_size != 0 ? stream->table_size * 2 : SERIES_TABLE;
    struct skua__metric_series **table;

    if (stream->count < stream->table_size)
        return true;
    table = skua__otel_malloc(size * sizeof(struct skua__metric_series *));
    if (table == NULL)
        return stream->table_size != 0;
    for (uint32_t i = 0; i < stream->table_size; i++) {
        struct skua__metric_series *next;

        for (struct skua__metric_series *at = stream->table[i]; at != NULL; at = next) {
            next = at->chain;
            at->chain = table[at->hash & (size - 1)];
            table[at->hash & (size - 1)] = at;
        }
    }
    skua__otel_free(stream->table);
    stream->table = table;
    stream->table_size = size;
    return true;
}

void skua__series_free(struct skua__metric_series *series)
{
    skua__samples_free(series->samples);
    skua__otel_free(series);
}

void skua__series_retire(struct skua__metric_stream *stream, struct skua__metric_series *series)
{
    struct skua__metric_series **at = &stream->table[series->hash & (stream->table_size - 1)];

    while (*at != series)
        at = &(*at)->chain;
    *at = series->chain;
    *series->at = series->next;
    if (series->next != NULL)
        series->next->at = series->at;
    else
        stream->last = series->at;
    stream->count--;
    if (series->cells == NULL) {
        skua__series_free(series);
        return;
    }
    series->retired = true;
    series->next = stream->retired;
    stream->retired = series;
    atomic_fetch_add_explicit(&skua__metric_flush, 1, memory_order_relaxed);
}

bool skua__series_unused(const struct skua__metric_series *series, uint32_t readers)
{
    if (series->pins != 0)
        return false;
    for (const struct skua__cell *cell = series->cells; cell != NULL; cell = cell->next)
        if (__atomic_load_n(&cell->touched, __ATOMIC_RELAXED) != 0)
            return false;
    for (uint32_t r = 0; r < SKUA__METRIC_READERS; r++)
        if ((readers >> r & 1) != 0 && series->states[r].touched)
            return false;
    return true;
}

/* Gives up those of the interval before, once an interval. */
static void series_sweep(struct skua__metric_stream *stream)
{
    struct skua__metric_series *next;

    if (stream->swept || !stream->all_delta)
        return;
    stream->swept = true;
    for (struct skua__metric_series *at = stream->first; at != NULL; at = next) {
        next = at->next;
        if (skua__series_unused(at, stream->readers))
            skua__series_retire(stream, at);
    }
}

struct skua__metric_series *skua__series_of_overflow(struct skua__metric_stream *stream)
{
    static const skua_attr overflow = {.key = "otel.metric.overflow",
                                       .type = SKUA_ATTR_BOOL,
                                       .flags = SKUA_ATTR_STATIC,
                                       .key_len = sizeof "otel.metric.overflow" - 1,
                                       .count = 1,
                                       .value = {.i64 = 1}};

    if (stream->overflow == NULL)
        stream->overflow = series_new(stream, &overflow, 1, 0);
    return stream->overflow;
}

struct skua__metric_series *skua__series_find(struct skua__metric_stream *stream,
                                              const skua_attr *attrs, size_t count)
{
    struct skua__metric_series *series;
    skua_attr set[SERIES_ATTRS + 1];
    size_t used = series_set(stream, attrs, count, set);
    uint64_t hash = series_hash(set, used);

    if (stream->table_size != 0)
        for (series = stream->table[hash & (stream->table_size - 1)]; series != NULL;
             series = series->chain) {
            size_t i = 0;

            if (series->hash != hash || series->attrs_count != used)
                continue;
            while (i < used && series_attr_is(&series->attrs[i], &set[i]))
                i++;
            if (i == used)
                return series;
        }
    if (stream->count + 1 >= stream->limit)
        series_sweep(stream);
    if (stream->count + 1 >= stream->limit) {
        stream->overflowed = true; /* said when metrics are collected */
        return skua__series_of_overflow(stream);
    }
    if (!series_grow(stream))
        return NULL;
    series = series_new(stream, set, used, hash);
    if (series == NULL)
        return NULL;
    series->chain = stream->table[hash & (stream->table_size - 1)];
    stream->table[hash & (stream->table_size - 1)] = series;
    series_list(stream, series);
    stream->count++;
    return series;
}

void skua__series_bury(struct skua__metric_stream *stream)
{
    struct skua__metric_series **at = &stream->retired;

    while (*at != NULL) {
        struct skua__metric_series *series = *at, *now = NULL;

        for (struct skua__cell *cell = series->cells; cell != NULL; cell = cell->next)
            skua__cell_drain(cell);
        for (uint32_t r = 0; r < SKUA__METRIC_READERS; r++) {
            if ((stream->readers >> r & 1) == 0 || !series->states[r].touched)
                continue;
            if (now == NULL)
                now = skua__series_find(stream, series->attrs, series->attrs_count);
            if (now == NULL)
                break; /* no memory: another time */
            skua__state_add(stream, &now->states[r], &series->states[r]);
            skua__state_clear(stream, &series->states[r]);
        }
        if (series->cells == NULL && skua__series_unused(series, stream->readers)) {
            *at = series->next;
            skua__series_free(series);
        } else {
            at = &series->next;
        }
    }
}

void skua__stream_free(struct skua__metric_stream *stream)
{
    struct skua__metric_series *next;

    for (struct skua__metric_series *at = stream->first; at != NULL; at = next) {
        next = at->next;
        skua__series_free(at);
    }
    for (struct skua__metric_series *at = stream->retired; at != NULL; at = next) {
        next = at->next;
        skua__series_free(at);
    }
    if (stream->overflow != NULL)
        skua__series_free(stream->overflow);
    pthread_mutex_destroy(&stream->mutex);
    skua__otel_free(stream->table);
    skua__otel_free(stream);
}

#undef SERIES_ATTRS
#undef SERIES_TABLE
