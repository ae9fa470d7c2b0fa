/* bench_fs.c - files: reads of 4 KiB at random places, and a copy, beside fio, cp and dd.
 *
 * file_read_4k_qdN          ns a read, N fibers of one current-thread runtime reading at a time
 *                           past the page cache (O_DIRECT), on io_uring; N is 1, 32, 256
 * file_read_4k_qdN_pool     the same on epoll, that is by threads of the pool
 * file_read_4k_qdN_cached   what is in the page cache, on io_uring
 * fio_read_4k_qdN_ENGINE    fio's, of the same file, one job: io_uring, libaio, psync (N is 1)
 * fio_read_4k_qdN_cached_…  … from the page cache
 * file_read_ratio_qdN       time a read over that of fio's best engine, by its median, in the same
 *                           round; …_cached
 * file_copy                 ns a block of 4 KiB, by skua_fs_copy, from the page cache
 * cp_copy, dd_copy          by `cp`, by `dd bs=1M`, their start included
 * file_copy_ratio           the same over the better of these two
 *
 * Rounds are interleaved: each reads by everybody before the next one. The file is made in TMPDIR,
 * or /tmp; where that does not do O_DIRECT there are the cached figures only. Nothing is pinned:
 * the pool's threads are to have a processor of their own, as fio's job may.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skua/skua.h>

#include "meter_bench.h"
#include "meter_server.h"

enum { BLOCK = 4096, DEPTHS = 3, ROUNDS_MAX = 7, PATH_ROOM = 512 };

static const int depths[DEPTHS] = {1, 32, 256};

struct plan {
    struct meter_bench *bench;
    char path[PATH_ROOM]; /* of the file, 64 or 256 MiB */
    char copy[PATH_ROOM]; /* where it is copied to */
    int64_t blocks;
    int64_t round_ns;
    unsigned rounds;
    bool direct; /* this file system does it */
    bool fio;
    skua_runtime *ring; /* NULL: no io_uring here */
    skua_runtime *pool;
};

/* What the rounds of one name took. */
struct figures {
    char name[64];
    double ns[ROUNDS_MAX];
    unsigned count;
};

static void figures_add(struct figures *figures, double ns)
{
    if (ns > 0)
        figures->ns[figures->count++] = ns;
}

static double median_of(const struct figures *figures)
{
    double ns[ROUNDS_MAX];

    memcpy(ns, figures->ns, sizeof ns);
    return meter_stats_of(ns, figures->count).median;
}

/* Round by round, ours over the one of `count` others that is best by its median; none that lacks a
 * round. */
static void figures_ratio(struct figures *ratio, const struct figures *ours,
                          const struct figures *others, int count)
{
    const struct figures *best = NULL;

    for (int i = 0; i < count; i++)
        if (others[i].count != 0 && others[i].count == ours->count &&
            (best == NULL || median_of(&others[i]) < median_of(best)))
            best = &others[i];
    for (unsigned round = 0; best != NULL && round < ours->count; round++)
        figures_add(ratio, ours->ns[round] / best->ns[round]);
}

static void figures_tell(struct plan *plan, struct figures *figures, const char *unit)
{
    if (figures->count != 0)
        meter_report_add(&plan->bench->report, figures->name, unit, figures->ns, figures->count);
}

/* ---- our own --------------------------------------------------------------------------------- */

struct readers {
    skua_file *file;
    const char *path;
    bool direct;
    int depth;
    int64_t blocks;
    int64_t round_ns;
    int64_t took_ns;
    uint64_t reads;
    uint64_t random;
    bool stop;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int reads(void *arg)
{
    struct readers *self = arg;
    uint64_t random = next_random(&self->random);
    uint64_t count = 0;
    void *buf = aligned_alloc(BLOCK, BLOCK);

    if (buf == NULL)
        meter_die("memory", ENOMEM);
    while (!self->stop) {
        uint64_t at = next_random(&random) % (uint64_t)self->blocks;

        meter_must(skua_file_pread(self->file, buf, BLOCK, (int64_t)at * BLOCK), "pread");
        count++;
    }
    self->reads += count;
    free(buf);
    return 0;
}

static int reads_a_round(void *arg)
{
    struct readers *self = arg;
    int64_t start;
    skua_scope scope;

    meter_must(skua_file_open(&self->file, self->path,
                              SKUA_FILE_OPTIONS(.read = 1, .direct = self->direct)),
               "open");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "scope");
    start = meter_now_ns();
    for (int i = 0; i < self->depth; i++)
        meter_must(skua_spawn(&scope, reads, self), "spawn");
    meter_must(skua_sleep(self->round_ns), "sleep");
    self->stop = true;
    meter_must(skua_scope_join(&scope), "join");
    self->took_ns = meter_now_ns() - start;
    meter_must(skua_file_close(self->file), "close");
    return 0;
}

/* ns a read; 0: there is no such runtime. */
static double measure(const struct plan *plan, skua_runtime *runtime, int depth, bool direct)
{
    struct readers readers = {.path = plan->path,
                              .direct = direct,
                              .depth = depth,
                              .blocks = plan->blocks,
                              .round_ns = plan->round_ns,
                              .random = (uint64_t)meter_now_ns() | 1};

    if (runtime == NULL)
        return 0;
    meter_must(skua_block_on(runtime, reads_a_round, &readers, NULL), "block_on");
    return (double)readers.took_ns / (double)readers.reads;
}

/* ---- fio ------------------------------------------------------------------------------------- */

/* The eighth field of fio's terse line: reads a second. 0: it has none to tell. */
static double fio_iops(FILE *pipe)
{
    char line[4096];
    double iops = 0;

    while (fgets(line, sizeof line, pipe) != NULL) {
        char *at = line;

        for (int field = 1; field < 8 && at != NULL; field++) {
            at = strchr(at, ';');
            at = at != NULL ? at + 1 : NULL;
        }
        if (at != NULL)
            iops = atof(at);
    }
    return iops;
}

static double measure_fio(const struct plan *plan, const char *engine, int depth, bool direct)
{
    char command[2 * PATH_ROOM];
    double iops;
    FILE *pipe;

    if (!plan->fio)
        return 0;
    snprintf(command, sizeof command,
             "fio --name=r --filename='%s' --size=%lld --rw=randread --bs=4k --direct=%d "
             "--ioengine=%s --iodepth=%d --numjobs=1 --thread --time_based --runtime=%lldms "
             "--norandommap --randrepeat=0 --invalidate=0 --gtod_reduce=1 "
             "--output-format=terse --terse-version=3 2>/dev/null",
             plan->path, (long long)(plan->blocks * BLOCK), direct, engine, depth,
             (long long)(plan->round_ns / SKUA_MILLISECOND));
    pipe = popen(command, "re");
    if (pipe == NULL)
        return 0;
    iops = fio_iops(pipe);
    (void)pclose(pipe);
    return iops > 0 ? 1e9 / iops : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum { OURS, POOL, FIO_URING, FIO_LIBAIO, FIO_PSYNC, RATIO, WAYS }; /* fio's in a row */

static const char *const engines[WAYS] = {
    [FIO_URING] = "io_uring", [FIO_LIBAIO] = "libaio", [FIO_PSYNC] = "psync"};

static void name_ways(struct figures ways[WAYS], int depth, bool direct)
{
    const char *from = direct ? "" : "_cached";

    snprintf(ways[OURS].name, sizeof ways->name, "file_read_4k_qd%d%s", depth, from);
    snprintf(ways[POOL].name, sizeof ways->name, "file_read_4k_qd%d%s_pool", depth, from);
    snprintf(ways[RATIO].name, sizeof ways->name, "file_read_ratio_qd%d%s", depth, from);
    for (int way = FIO_URING; way <= FIO_PSYNC; way++)
        snprintf(ways[way].name, sizeof ways->name, "fio_read_4k_qd%d%s_%s", depth, from,
                 engines[way]);
}

static void read_round(struct plan *plan, struct figures ways[WAYS], int depth, bool direct)
{
    figures_add(&ways[OURS], measure(plan, plan->ring, depth, direct));
    if (direct) /* from the page cache no thread is used */
        figures_add(&ways[POOL], measure(plan, plan->pool, depth, direct));
    for (int way = FIO_URING; way <= FIO_PSYNC; way++)
        if (way != FIO_PSYNC || depth == 1)
            figures_add(&ways[way], measure_fio(plan, engines[way], depth, direct));
}

static void run_reads(struct plan *plan, bool direct)
{
    static struct figures ways[DEPTHS][WAYS];

    memset(ways, 0, sizeof ways);
    for (int i = 0; i < DEPTHS; i++)
        name_ways(ways[i], depths[i], direct);
    for (unsigned round = 0; round < plan->rounds; round++)
        for (int i = 0; i < DEPTHS; i++)
            if (meter_bench_wanted(plan->bench, ways[i][OURS].name))
                read_round(plan, ways[i], depths[i], direct);
    for (int i = 0; i < DEPTHS; i++) {
        figures_ratio(&ways[i][RATIO], &ways[i][OURS], &ways[i][FIO_URING], 3);
        for (int way = 0; way < WAYS; way++)
            figures_tell(plan, &ways[i][way], way == RATIO ? "ratio" : "ns");
    }
}

/* ---- copying --------------------------------------------------------------------------------- */

static int copies(void *arg)
{
    struct plan *plan = arg;

    meter_must(skua_fs_copy(plan->path, plan->copy), "copy");
    return 0;
}

/* ns a block. The copy is removed before it is written to the disk. */
static double measure_copy(struct plan *plan, const char *format)
{
    char command[3 * PATH_ROOM];
    int64_t start;
    double took;

    (void)unlink(plan->copy);
    start = meter_now_ns();
    if (format == NULL) {
        meter_must(skua_block_on(plan->pool, copies, plan, NULL), "block_on");
    } else {
        snprintf(command, sizeof command, format, plan->path, plan->copy);
        if (system(command) != 0)
            return 0;
    }
    took = (double)(meter_now_ns() - start);
    (void)unlink(plan->copy);
    return took / (double)plan->blocks;
}

static void run_copies(struct plan *plan)
{
    struct figures ours = {.name = "file_copy"}, ratio = {.name = "file_copy_ratio"};
    struct figures raw[2] = {{.name = "cp_copy"}, {.name = "dd_copy"}};

    if (!meter_bench_wanted(plan->bench, ours.name))
        return;
    (void)measure_copy(plan, NULL); /* the page cache has it */
    for (unsigned round = 0; round < plan->rounds; round++) {
        figures_add(&ours, measure_copy(plan, NULL));
        figures_add(&raw[0], measure_copy(plan, "cp '%s' '%s'"));
        figures_add(&raw[1], measure_copy(plan, "dd bs=1M status=none if='%s' of='%s'"));
    }
    figures_ratio(&ratio, &ours, raw, 2);
    figures_tell(plan, &ours, "ns");
    figures_tell(plan, &raw[0], "ns");
    figures_tell(plan, &raw[1], "ns");
    figures_tell(plan, &ratio, "ratio");
}

/* ---- running --------------------------------------------------------------------------------- */

static void make_file(struct plan *plan)
{
    static char chunk[1 << 20];
    const char *dir = getenv("TMPDIR");
    uint64_t random = 88172645463325252u;
    int fd;

    dir = dir != NULL && dir[0] != 0 ? dir : "/tmp";
    snprintf(plan->path, sizeof plan->path, "%.400s/skua-bench-%ld", dir, (long)getpid());
    snprintf(plan->copy, sizeof plan->copy, "%.400s/skua-bench-%ld.copy", dir, (long)getpid());
    fd = open(plan->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        meter_die(plan->path, errno);
    for (int64_t done = 0; done < plan->blocks * BLOCK; done += (int64_t)sizeof chunk) {
        for (size_t i = 0; i < sizeof chunk; i += 8)
            memcpy(chunk + i, &(uint64_t){next_random(&random)}, 8);
        if (write(fd, chunk, sizeof chunk) != (ssize_t)sizeof chunk)
            meter_die("write", errno);
    }
    if (fsync(fd) != 0)
        meter_die("fsync", errno);
    close(fd);
    fd = open(plan->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    plan->direct = fd >= 0;
    if (fd >= 0)
        close(fd);
}

static skua_runtime *runtime_of(skua_driver driver)
{
    skua_runtime *runtime = NULL;

    int rc = skua_runtime_new(&runtime,
                              SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .driver = driver));

    return rc == 0 ? runtime : NULL;
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    static struct plan plan;

    meter_bench_begin(&bench, argc, argv);
    plan.bench = &bench;
    plan.blocks = (bench.quick ? 64 : 256) << 8;
    plan.round_ns = (bench.quick ? 100 : 500) * SKUA_MILLISECOND;
    plan.rounds = bench.quick ? 2 : ROUNDS_MAX;
    plan.fio = system("fio --version >/dev/null 2>&1") == 0;
    if (!plan.fio)
        printf("fio is not installed: no ratios of reads\n");
    plan.ring = runtime_of(SKUA_DRIVER_IO_URING);
    plan.pool = runtime_of(SKUA_DRIVER_EPOLL);
    if (plan.pool == NULL)
        meter_die("runtime", ENOMEM);
    make_file(&plan);
    if (plan.direct)
        run_reads(&plan, true);
    run_reads(&plan, false);
    run_copies(&plan);
    (void)unlink(plan.path);
    meter_must(skua_runtime_free(plan.ring), "free");
    meter_must(skua_runtime_free(plan.pool), "free");
    return meter_bench_end(&bench);
}
