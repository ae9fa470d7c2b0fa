/* runtime_place.c - which processors a runtime's workers may use.
 *
 * Candidates  what the process may use, less what the options take away: .cpus, .cpus_exclude,
 *             .numa_nodes, .one_per_core.
 * Order       first one processor of each core, then the others, so that workers share cores only
 *             when there are more of them than cores. SPREAD deals the nodes out in turn, PACK
 *             fills one node before the next. More workers than processors begin again.
 * Anywhere    each worker may use all candidates; nothing is set when that is all there is.
 */
#include <string.h>

#include "runtime/runtime_impl.h"

#define PLACE_NODES 64

struct place_cpu {
    uint16_t number;
    uint16_t node;
    uint16_t rank; /* how many of its core come before it */
    uint16_t turn; /* how many of its node come before it in the order */
};

static void place_keep(struct skua__cpus *cpus, const struct skua__cpus *kept)
{
    for (unsigned i = 0; i < SKUA__CPUS_MAX / 64; i++)
        cpus->bits[i] &= kept->bits[i];
}

/* Of the nodes of a list only. One that does not exist is a mistake. */
static int place_keep_nodes(struct skua__cpus *cpus, const char *list)
{
    struct skua__cpus nodes;
    struct skua__cpus kept = {{0}};
    int rc = skua__cpus_parse(list, &nodes);

    for (unsigned node = 0; rc == 0 && node < SKUA__CPUS_MAX; node++) {
        struct skua__cpus of_node = {{0}};

        if (!skua__cpus_has(&nodes, node))
            continue;
        if (skua__os_node_cpus(node, &of_node) != 0)
            return -EINVAL;
        for (unsigned i = 0; i < SKUA__CPUS_MAX / 64; i++)
            kept.bits[i] |= of_node.bits[i];
    }
    place_keep(cpus, &kept);
    return rc;
}

static void place_keep_cores(struct skua__cpus *cpus)
{
    struct skua__cpus kept = {{0}};

    for (unsigned i = 0; i < SKUA__CPUS_MAX; i++)
        if (skua__cpus_has(cpus, i) && skua__os_cpu_rank(i, cpus) == 0)
            skua__cpus_add(&kept, i);
    *cpus = kept;
}

/* Takes away from *ret: 0; -EINVAL: a list that is none, or nothing is left. */
static int place_candidates(const skua_runtime_options *options, struct skua__cpus *ret)
{
    struct skua__cpus list;
    int rc = 0;

    if (options->cpus != NULL && (rc = skua__cpus_parse(options->cpus, &list)) == 0)
        place_keep(ret, &list);
    if (rc == 0 && options->cpus_exclude != NULL &&
        (rc = skua__cpus_parse(options->cpus_exclude, &list)) == 0)
        for (unsigned i = 0; i < SKUA__CPUS_MAX / 64; i++)
            ret->bits[i] &= ~list.bits[i];
    if (rc == 0 && options->numa_nodes != NULL)
        rc = place_keep_nodes(ret, options->numa_nodes);
    if (rc == 0 && options->one_per_core)
        place_keep_cores(ret);
    return rc != 0 ? rc : skua__cpus_count(ret) != 0 ? 0 : -EINVAL;
}

int skua__place_count_among(const skua_runtime_options *options, const struct skua__cpus *allowed,
                            unsigned quota)
{
    struct skua__cpus cpus = *allowed;
    int rc = place_candidates(options, &cpus);
    unsigned count = skua__cpus_count(&cpus);

    if (rc != 0)
        return rc;
    if (!options->ignore_quota && quota < count)
        count = quota;
    return (int)(count < SKUA__WORKERS_MAX ? count : SKUA__WORKERS_MAX);
}

int skua__place_count(const skua_runtime_options *options)
{
    struct skua__cpus allowed;

    skua__os_cpus_allowed(&allowed);
    return skua__place_count_among(options, &allowed, skua__os_cpu_quota());
}

/* ---- the order ------------------------------------------------------------------------------- */

static uint16_t place_node_of(unsigned number)
{
    for (unsigned node = 0; node < PLACE_NODES; node++) {
        struct skua__cpus cpus;

        if (skua__os_node_cpus(node, &cpus) == 0 && skua__cpus_has(&cpus, number))
            return (uint16_t)node;
    }
    return 0;
}

static int place_compare(const struct place_cpu *a, const struct place_cpu *b)
{
    if (a->turn != b->turn)
        return a->turn < b->turn ? -1 : 1;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

/* By insertion: it is done once, and there are no more than 1,024. */
static void place_sort(struct place_cpu *cpus, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct place_cpu cpu = cpus[i];
        unsigned at = i;

        for (; at > 0 && place_compare(&cpu, &cpus[at - 1]) < 0; at--)
            cpus[at] = cpus[at - 1];
        cpus[at] = cpu;
    }
}

static unsigned place_order(const struct skua__cpus *set, bool spread, struct place_cpu *cpus)
{
    unsigned of_node[PLACE_NODES] = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < SKUA__CPUS_MAX; i++)
        if (skua__cpus_has(set, i))
            cpus[count++] = (struct place_cpu){.number = (uint16_t)i,
                                               .node = place_node_of(i),
                                               .rank = (uint16_t)skua__os_cpu_rank(i, set)};
    place_sort(cpus, count); /* by node, and in each cores before siblings */
    for (unsigned i = 0; spread && i < count; i++)
        cpus[i].turn = (uint16_t)of_node[cpus[i].node]++;
    place_sort(cpus, count);
    return count;
}

static skua_placement place_kind(const skua_runtime_options *options)
{
    if (options->placement != SKUA_PLACE_DEFAULT)
        return options->placement;
    return options->kind == SKUA_THREAD_PER_CORE ? SKUA_PLACE_SPREAD : SKUA_PLACE_ANYWHERE;
}

static bool place_restricts(const skua_runtime_options *options)
{
    return options->cpus != NULL || options->cpus_exclude != NULL || options->numa_nodes != NULL ||
           options->one_per_core;
}

int skua__place_workers_among(const skua_runtime_options *options, const struct skua__cpus *allowed,
                              struct skua__cpus *ret)
{
    skua_placement kind = place_kind(options);
    struct skua__cpus set = *allowed;
    struct place_cpu *cpus;
    unsigned count;
    int rc;

    memset(ret, 0, options->workers * sizeof *ret);
    if (kind == SKUA_PLACE_ANYWHERE && !place_restricts(options))
        return 0;
    rc = place_candidates(options, &set);
    if (rc != 0)
        return rc;
    if (kind == SKUA_PLACE_ANYWHERE) {
        for (unsigned i = 0; i < options->workers; i++)
            ret[i] = set;
        return 0;
    }
    cpus = skua__os_alloc(skua__cpus_count(&set) * sizeof *cpus);
    if (cpus == NULL)
        return -ENOMEM;
    count = place_order(&set, kind == SKUA_PLACE_SPREAD, cpus);
    for (unsigned i = 0; i < options->workers; i++)
        skua__cpus_add(&ret[i], cpus[i % count].number);
    skua__os_free(cpus);
    return 0;
}

int skua__place_workers(const skua_runtime_options *options, struct skua__cpus *ret)
{
    struct skua__cpus allowed;

    skua__os_cpus_allowed(&allowed);
    return skua__place_workers_among(options, &allowed, ret);
}

bool skua__place_is_wide(const struct skua__cpus *cpus, unsigned workers)
{
    struct skua__cpus all = {{0}};

    for (unsigned i = 0; i < workers; i++)
        for (unsigned k = 0; k < SKUA__CPUS_MAX / 64; k++)
            all.bits[k] |= cpus[i].bits[k];
    return skua__cpus_count(&all) == 0 || skua__cpus_count(&all) >= workers;
}

#undef PLACE_NODES
