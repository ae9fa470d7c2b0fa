/* measure_read.c - measures are read: the cells of all threads, added up.
 *
 * The number of values is that of the buckets, so that count and percentiles are of one moment; the
 * sum, the least and the greatest may be some values ahead while threads count.
 */
#include "watch/measure_impl.h"

struct read_sum {
    uint64_t count;
    int64_t sum, min, max;
    uint64_t buckets[SKUA__MEASURE_BUCKETS];
};

/* The copy of one cell; false: it is not of this epoch, or has changed to another. */
static bool read_copy(const struct skua__measure_cell *cell, uint64_t epoch, struct read_sum *ret)
{
    if (skua__load_acquire(&cell->epoch) != epoch)
        return false;
    /* Acquire: partners of the stores that clear it: who sees one sees another epoch below; and of
     * those that count: the other numbers have what the buckets have. */
    for (unsigned i = 0; i < SKUA__MEASURE_BUCKETS; i++)
        ret->buckets[i] = skua__load_acquire(&cell->buckets[i]);
    ret->sum = skua__load_acquire(&cell->sum);
    ret->min = skua__load_acquire(&cell->min);
    ret->max = skua__load_acquire(&cell->max);
    return skua__load_relaxed(&cell->epoch) == epoch;
}

static void read_add(struct read_sum *sum, const struct read_sum *one)
{
    sum->sum = (int64_t)((uint64_t)sum->sum + (uint64_t)one->sum);
    sum->min = one->min < sum->min ? one->min : sum->min;
    sum->max = one->max > sum->max ? one->max : sum->max;
    for (unsigned i = 0; i < SKUA__MEASURE_BUCKETS; i++) {
        sum->buckets[i] += one->buckets[i];
        sum->count += one->buckets[i];
    }
}

/* Adds up one measure into sums[0]; sums[1] is room. */
static void read_all(uint32_t index, struct read_sum *sums)
{
    uint64_t epoch = skua__load_relaxed(&skua__measure_entries[index].epoch);
    const struct skua__measure_block *block = skua__load_acquire(&skua__measure_blocks);

    memset(&sums[0], 0, sizeof sums[0]);
    sums[0].min = INT64_MAX;
    sums[0].max = INT64_MIN;
    for (; block != NULL; block = block->next) {
        const struct skua__measure_cell *cell = skua__load_acquire(&block->cells[index]);

        if (cell != NULL && read_copy(cell, epoch, &sums[1]))
            read_add(&sums[0], &sums[1]);
    }
}

/* The middle of a bucket. */
static int64_t read_middle(unsigned bucket)
{
    unsigned step, shift;

    if (bucket < SKUA__MEASURE_EXACT)
        return bucket;
    step = (bucket - SKUA__MEASURE_EXACT) % SKUA__MEASURE_STEPS;
    shift = (bucket - SKUA__MEASURE_EXACT) / SKUA__MEASURE_STEPS + SKUA__MEASURE_EXACT_BITS - 5;
    return ((int64_t)(SKUA__MEASURE_STEPS + step) << shift) + ((int64_t)1 << shift) / 2;
}

static int64_t read_quantile(const struct read_sum *sum, double part)
{
    double rank = part * (double)sum->count;
    uint64_t passed = 0;
    int64_t value = 0;

    if (sum->count == 0)
        return 0;
    for (unsigned i = 0; i < SKUA__MEASURE_BUCKETS; i++) {
        if (sum->buckets[i] == 0)
            continue;
        passed += sum->buckets[i];
        value = i == SKUA__MEASURE_BUCKETS - 1 ? sum->max : read_middle(i);
        if ((double)passed >= rank)
            break;
    }
    value = value < sum->min ? sum->min : value;
    return value > sum->max ? sum->max : value;
}

static void read_fill(uint32_t index, const struct read_sum *sum, skua_measured *ret)
{
    const struct skua__measure_entry *entry = &skua__measure_entries[index];
    int64_t since = skua__load_relaxed(&entry->since);
    int64_t passed = skua__os_now() - since;

    *ret = (skua_measured){.size = sizeof *ret,
                           .name = entry->name,
                           .unit = entry->unit,
                           .count = sum->count,
                           .since = since};
    if (sum->count == 0)
        return;
    ret->sum = sum->sum;
    ret->min = sum->min;
    ret->max = sum->max;
    ret->mean = (double)sum->sum / (double)sum->count;
    ret->rate = passed > 0 ? (double)sum->count * 1e9 / (double)passed : 0;
    ret->p50 = read_quantile(sum, 0.5);
    ret->p90 = read_quantile(sum, 0.9);
    ret->p99 = read_quantile(sum, 0.99);
    ret->p999 = read_quantile(sum, 0.999);
}

/* The index of a name; 0: nobody has used it. Names only come. */
static uint32_t read_find(const char *name)
{
    uint32_t count = skua__load_acquire(&skua__measure_count);

    for (uint32_t i = 1; name != NULL && i < count; i++)
        if (strcmp(skua__measure_entries[i].name, name) == 0)
            return i;
    return 0;
}

int skua_monitor_get(const char *name, skua_measured *ret)
{
    uint32_t index = read_find(name);
    struct read_sum *sums;

    if (ret == NULL || ret->size != sizeof *ret)
        return -EINVAL;
    if (index == 0)
        return -ENOENT;
    sums = skua__os_alloc_unset(2 * sizeof *sums);
    if (sums == NULL)
        return -ENOMEM;
    read_all(index, sums);
    read_fill(index, sums, ret);
    skua__os_free(sums);
    return 0;
}

int64_t skua_monitor_quantile(const char *name, double part)
{
    uint32_t index = read_find(name);
    struct read_sum *sums;
    int64_t value;

    if (!(part >= 0 && part <= 1))
        return -EINVAL;
    if (index == 0)
        return -ENOENT;
    sums = skua__os_alloc_unset(2 * sizeof *sums);
    if (sums == NULL)
        return -ENOMEM;
    read_all(index, sums);
    value = read_quantile(sums, part);
    skua__os_free(sums);
    return value;
}

int skua_monitor_each(void (*fn)(const skua_measured *measured, void *arg), void *arg)
{
    uint32_t count = skua__load_acquire(&skua__measure_count);
    struct read_sum *sums = skua__os_alloc_unset(2 * sizeof *sums);
    skua_measured measured;

    if (sums == NULL)
        return -ENOMEM;
    for (uint32_t i = 1; i < count; i++) {
        read_all(i, sums);
        read_fill(i, sums, &measured);
        fn(&measured, arg);
    }
    skua__os_free(sums);
    return (int)count - 1;
}

int skua_monitor_reset(const char *name)
{
    uint32_t count = skua__load_acquire(&skua__measure_count);
    uint32_t index = name != NULL ? read_find(name) : 0;
    int64_t now = skua__os_now();

    if (name != NULL && index == 0)
        return -ENOENT;
    for (uint32_t i = 1; i < count; i++) {
        if (name != NULL && i != index)
            continue;
        skua__store_relaxed(&skua__measure_entries[i].since, now);
        skua__add_relaxed(&skua__measure_entries[i].epoch, 1); /* the writers find out */
    }
    return 0;
}
