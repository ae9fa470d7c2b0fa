/* os_cpu.c - how many processors the process may really use.
 *
 * The affinity mask says where it may run; a cgroup's quota says how much of that it may use: a
 * container with 2 of 64 processors' time that starts 64 workers only makes them wait for each
 * other. Both cgroup versions are read; whatever cannot be read does not limit.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

static unsigned cpu_affinity(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* more than 1,024 processors */
    return online > 0 ? (unsigned)online : 1;
}

static bool cpu_quota_of(long long quota, long long period, unsigned *limit)
{
    long long whole;

    if (quota <= 0 || period <= 0)
        return false;
    whole = (quota + period - 1) / period;
    if (whole < (long long)*limit)
        *limit = whole < 1 ? 1 : (unsigned)whole;
    return true;
}

static bool cpu_read_pair(const char *path, long long *first, long long *second)
{
    FILE *file = fopen(path, "re");
    bool ok;

    if (file == NULL)
        return false;
    ok = fscanf(file, "%lld %lld", first, second) == 2;
    fclose(file);
    return ok;
}

/* cgroup v2: the tightest cpu.max on the way from the process's group to the root. */
static void cpu_cgroup_v2(unsigned *limit)
{
    char group[512] = "";
    char path[640];
    char line[600];
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "0::%511s", group) == 1)
            break;
    fclose(file);
    while (group[0] == '/') {
        long long quota;
        long long period;

        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group[1] == '\0' ? "" : group);
        if (cpu_read_pair(path, &quota, &period))
            cpu_quota_of(quota, period, limit);
        if (group[1] == '\0')
            break;
        *strrchr(group, '/') = '\0';
        if (group[0] == '\0')
            memcpy(group, "/", 2);
    }
}

static void cpu_cgroup_v1(unsigned *limit)
{
    long long quota = 0;
    long long period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");

    if (file == NULL)
        return;
    if (fscanf(file, "%lld", &quota) != 1)
        quota = 0;
    fclose(file);
    file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
    if (file == NULL)
        return;
    if (fscanf(file, "%lld", &period) == 1)
        cpu_quota_of(quota, period, limit);
    fclose(file);
}

/* Read once: a quota that is changed later is not followed. */
unsigned skua__os_cpu_quota(void)
{
    static _Atomic unsigned known; /* 0: not yet; relaxed: whoever reads it finds the same */
    unsigned limit = skua__load_relaxed(&known);

    if (limit == 0) {
        limit = UINT_MAX;
        cpu_cgroup_v2(&limit);
        cpu_cgroup_v1(&limit);
        skua__store_relaxed(&known, limit);
    }
    return limit;
}

unsigned skua__os_cpu_count(void)
{
    unsigned processors = cpu_affinity();
    unsigned quota = skua__os_cpu_quota();

    return processors < quota ? processors : quota;
}
