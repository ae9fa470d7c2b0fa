/* bench_process.c - programs started and waited for: /bin/true, beside posix_spawn and waitpid.
 *
 * process_spawn             ns from the spawn until its end is known, one after the other, on a
 *                           fiber of a current-thread runtime
 * process_spawn_8           the same with 8 under way, by 8 fibers, of two workers
 * process_spawn_thread      the same as the first, on a plain thread
 * process_spawn{,_8}_large  the same in a program with 1 GiB of memory in use (--quick: 256 MiB)
 * …_raw                     posix_spawn and waitpid by a plain thread, or by 8
 * …_of_raw                  how much of that rate it is
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <skua/skua.h>

#include "meter_server.h"
#include "meter_versus.h"

enum { CROWD = 8 };

#define PROGRAM "/bin/true"

struct job {
    skua_runtime *runtime; /* NULL: a plain thread */
    unsigned crowd;
    uint64_t each;
};

extern char **environ;

/* ---- ours ------------------------------------------------------------------------------------ */

static int spawns(void *arg)
{
    const struct job *job = arg;

    for (uint64_t i = 0; i < job->each; i++) {
        skua_process_status status;
        skua_process *process;

        meter_must(skua_process_spawn(&process, SKUA_ARGV(PROGRAM)), "spawn");
        meter_must(skua_process_wait(process, &status), "wait");
        meter_must(-status.code, PROGRAM);
        meter_must(skua_process_close(process), "close");
    }
    return 0;
}

static int spawns_crowd(void *arg)
{
    struct job *job = arg;
    skua_scope scope;

    if (job->crowd == 1)
        return spawns(job);
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (unsigned i = 0; i < job->crowd; i++)
        meter_must(skua_spawn(&scope, spawns, job), "spawn");
    return skua_scope_join(&scope);
}

static int64_t work_ours(uint64_t repeats, void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();

    job->each = repeats;
    if (job->runtime == NULL)
        (void)spawns(job);
    else
        meter_must(skua_block_on(job->runtime, spawns_crowd, job, NULL), "block_on");
    return (meter_now_ns() - start) / job->crowd;
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void *raw_spawns(void *arg)
{
    static char program[] = PROGRAM;
    const struct job *job = arg;

    for (uint64_t i = 0; i < job->each; i++) {
        char *args[] = {program, NULL};
        pid_t pid;
        int status;
        int rc = posix_spawn(&pid, program, NULL, NULL, args, environ);

        if (rc != 0)
            meter_die("posix_spawn", rc);
        if (waitpid(pid, &status, 0) != pid || status != 0)
            meter_die(program, errno);
    }
    return NULL;
}

static int64_t work_raw(uint64_t repeats, void *arg)
{
    pthread_t threads[CROWD];
    struct job *job = arg;
    int64_t start = meter_now_ns();

    job->each = repeats;
    for (unsigned i = 1; i < job->crowd; i++) {
        int rc = pthread_create(&threads[i], NULL, raw_spawns, job);

        if (rc != 0)
            meter_die("pthread_create", rc);
    }
    (void)raw_spawns(job);
    for (unsigned i = 1; i < job->crowd; i++)
        pthread_join(threads[i], NULL);
    return (meter_now_ns() - start) / job->crowd;
}

/* ---- running --------------------------------------------------------------------------------- */

static struct job one, eight, plain = {.crowd = 1};
static struct job raw_one = {.crowd = 1}, raw_eight = {.crowd = CROWD};

static void run_small(struct meter_bench *bench)
{
    static const struct meter_rival rivals[] = {{"process_spawn", work_ours, &one},
                                                {"process_spawn_thread", work_ours, &plain},
                                                {"process_spawn_8", work_ours, &eight},
                                                {"process_spawn_raw", work_raw, &raw_one},
                                                {"process_spawn_8_raw", work_raw, &raw_eight}};
    static const struct meter_ratio ratios[] = {{"process_spawn_of_raw", 3, 0},
                                                {"process_spawn_thread_of_raw", 3, 1},
                                                {"process_spawn_8_of_raw", 4, 2}};

    meter_versus_run(bench, 1, rivals, 5, ratios, 3);
}

static void run_large(struct meter_bench *bench)
{
    static const struct meter_rival rivals[] = {
        {"process_spawn_large", work_ours, &one},
        {"process_spawn_8_large", work_ours, &eight},
        {"process_spawn_large_raw", work_raw, &raw_one},
        {"process_spawn_8_large_raw", work_raw, &raw_eight}};
    static const struct meter_ratio ratios[] = {{"process_spawn_large_of_raw", 2, 0},
                                                {"process_spawn_8_large_of_raw", 3, 1}};
    size_t bytes = (bench->quick ? (size_t)256 : (size_t)1024) << 20;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED)
        meter_die("mmap", errno);
    meter_versus_run(bench, 1, rivals, 4, ratios, 2);
    munmap(memory, bytes);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;

    meter_bench_begin(&bench, argc, argv);
    one.crowd = 1;
    eight.crowd = CROWD;
    meter_must(skua_runtime_new(&one.runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    meter_must(skua_runtime_new(&eight.runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
    run_small(&bench);
    run_large(&bench);
    meter_must(skua_runtime_free(one.runtime), "free");
    meter_must(skua_runtime_free(eight.runtime), "free");
    return meter_bench_end(&bench);
}
