/* bench_memory.c - what a waiting task keeps resident.
 *
 * mem_1m_sleeping_poll     1,000,000 poll tasks whose state is one sleep future: bytes a task
 * mem_100k_parked_fibers   100,000 fibers parked in skua_sleep, on the default stack: bytes a task
 *
 * Every round is a process of its own, this program started again with --child: memory that an
 * earlier round has freed but the allocator has kept would make a later one look cheap. Resident
 * is the second number of /proc/self/statm; page tables, which belong to the kernel, are not in
 * it. The child counts from inside a fiber, when the runtime is there and no task is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skua/skua.h>

#include "meter_bench.h"
#include "meter_server.h"

struct crowd {
    const char *name;
    skua_fiber_fn gather; /* spawns `count` tasks into the calling fiber's scope */
    int count;
};

/* ---- the child ------------------------------------------------------------------------------- */

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages;

    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        meter_die("/proc/self/statm", errno);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

struct sleeper {
    skua_async async;
    skua_sleep_future sleep;
};

static skua_poll sleeper_poll(void *state, skua_waker *waker)
{
    struct sleeper *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_HOUR));
    SKUA_ASYNC_END(0);
}

static int sleeper_fiber(void *arg)
{
    (void)arg;
    return skua_sleep(SKUA_HOUR);
}

static int gather_polls(void *arg)
{
    const struct crowd *crowd = arg;

    for (int i = 0; i < crowd->count; i++)
        meter_must(skua_spawn_poll(NULL, sleeper_poll, &(struct sleeper){.async.line = 0}),
                   "spawn");
    return 0;
}

static int gather_fibers(void *arg)
{
    const struct crowd *crowd = arg;

    for (int i = 0; i < crowd->count; i++)
        meter_must(skua_spawn(NULL, sleeper_fiber, NULL), "spawn");
    return 0;
}

static uint64_t timers_armed(void)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    meter_must(skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0), "snapshot");
    return stats.total.timers_armed;
}

/* Prints the bytes and ends the process: a million tasks need not be cancelled one by one. */
static int child(void *arg)
{
    struct crowd *crowd = arg;
    int64_t before = resident_bytes();

    crowd->gather(crowd);
    for (int i = 0; timers_armed() < (uint64_t)crowd->count; i++) {
        meter_must(i < 1000 ? 0 : -ETIMEDOUT, "tasks that should sleep");
        meter_must(skua_sleep(10 * SKUA_MILLISECOND), "sleep");
    }
    printf("%lld\n", (long long)(resident_bytes() - before));
    fflush(stdout);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static const struct crowd crowds[] = {
    {.name = "mem_1m_sleeping_poll", .gather = gather_polls, .count = 1000000},
    {.name = "mem_100k_parked_fibers", .gather = gather_fibers, .count = 100000},
};

static int child_main(const char *name)
{
    for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
        struct crowd crowd = crowds[i];

        if (strcmp(crowd.name, name) == 0)
            return skua_main(child, &crowd, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
    }
    fprintf(stderr, "bench_memory: no crowd of that name: %s\n", name);
    return 2;
}

static double round_bytes(const struct crowd *crowd)
{
    char command[128];
    long long bytes;
    FILE *pipe;

    snprintf(command, sizeof command, "exec /proc/%d/exe --child %s", (int)getpid(), crowd->name);
    pipe = popen(command, "r");
    if (pipe == NULL || fscanf(pipe, "%lld", &bytes) != 1 || pclose(pipe) != 0)
        meter_die(crowd->name, ECHILD);
    return (double)bytes / crowd->count;
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    double values[METER_ROUNDS_MAX];
    unsigned rounds;

    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child_main(argv[2]);
    meter_bench_begin(&bench, argc, argv);
    rounds = bench.quick ? 3 : 7;
    for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
        if (!meter_bench_wanted(&bench, crowds[i].name))
            continue;
        for (unsigned k = 0; k < rounds; k++)
            values[k] = round_bytes(&crowds[i]);
        meter_report_add(&bench.report, crowds[i].name, "bytes", values, rounds);
    }
    return meter_bench_end(&bench);
}
