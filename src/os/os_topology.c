/* os_topology.c - which processors there are, and which of them share a core or a node.
 *
 * The kernel's lists ("0-3,8") are read, of sysfs and of users alike. Whatever sysfs does not say,
 * in a container that hides it, is as on a simple machine: one node, each processor a core. hwloc
 * would say the same on Linux; it is no dependency for that.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

const char *skua__os_sysfs = "/sys/devices/system";

#define TOPOLOGY_LINE 4096

bool skua__cpus_has(const struct skua__cpus *cpus, unsigned number)
{
    return number < SKUA__CPUS_MAX && (cpus->bits[number / 64] >> (number % 64) & 1) != 0;
}

void skua__cpus_add(struct skua__cpus *cpus, unsigned number)
{
    cpus->bits[number / 64] |= UINT64_C(1) << (number % 64);
}

unsigned skua__cpus_count(const struct skua__cpus *cpus)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SKUA__CPUS_MAX / 64; i++)
        count += (unsigned)__builtin_popcountll(cpus->bits[i]);
    return count;
}

/* One number of a list, below the bound. */
static bool topology_number(const char **at, unsigned long *ret)
{
    char *end;

    if (**at < '0' || **at > '9')
        return false;
    *ret = strtoul(*at, &end, 10);
    *at = end;
    return *ret < SKUA__CPUS_MAX;
}

int skua__cpus_parse(const char *list, struct skua__cpus *ret)
{
    struct skua__cpus cpus = {{0}};
    const char *at = list;

    for (;;) {
        unsigned long first;
        unsigned long last;

        if (!topology_number(&at, &first))
            return -EINVAL;
        last = first;
        if (*at == '-' && (at++, !topology_number(&at, &last) || last < first))
            return -EINVAL;
        for (; first <= last; first++)
            skua__cpus_add(&cpus, (unsigned)first);
        if (*at == '\0' || (*at == '\n' && at[1] == '\0'))
            break;
        if (*at++ != ',')
            return -EINVAL;
    }
    *ret = cpus;
    return 0;
}

/* A list in a file below the root of sysfs: 0, or whatever is wrong with it. An empty one is that
 * of a node which has memory alone. */
static int topology_read(const char *path, struct skua__cpus *ret)
{
    char line[TOPOLOGY_LINE];
    FILE *file;
    bool read;

    snprintf(line, sizeof line, "%s/%s", skua__os_sysfs, path);
    file = fopen(line, "re");
    if (file == NULL)
        return -ENOENT;
    read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (read && strcmp(line, "\n") == 0) {
        memset(ret, 0, sizeof *ret);
        return 0;
    }
    return read ? skua__cpus_parse(line, ret) : -EIO;
}

void skua__os_cpus_allowed(struct skua__cpus *ret)
{
    cpu_set_t set;

    memset(ret, 0, sizeof *ret);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        for (unsigned i = 0; i < skua__os_cpu_count() && i < SKUA__CPUS_MAX; i++)
            skua__cpus_add(ret, i);
        return;
    }
    for (unsigned i = 0; i < SKUA__CPUS_MAX && i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set))
            skua__cpus_add(ret, i);
}

int skua__os_node_cpus(unsigned node, struct skua__cpus *ret)
{
    char path[64];
    char nodes[256];

    snprintf(nodes, sizeof nodes, "%s/node", skua__os_sysfs);
    if (node == 0 && access(nodes, F_OK) != 0) { /* sysfs does not tell of nodes */
        memset(ret, 0xff, sizeof *ret);
        return 0;
    }
    snprintf(path, sizeof path, "node/node%u/cpulist", node);
    return topology_read(path, ret);
}

unsigned skua__os_cpu_rank(unsigned number, const struct skua__cpus *among)
{
    struct skua__cpus siblings;
    unsigned rank = 0;
    char path[64];

    snprintf(path, sizeof path, "cpu/cpu%u/topology/thread_siblings_list", number);
    if (topology_read(path, &siblings) != 0 || !skua__cpus_has(&siblings, number))
        return 0; /* a list without itself is not its own */
    for (unsigned i = 0; i < number; i++)
        rank += skua__cpus_has(&siblings, i) && skua__cpus_has(among, i);
    return rank;
}

#undef TOPOLOGY_LINE
