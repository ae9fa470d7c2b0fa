/* 03_spawn_join.c - many fibers at a time, and their results.
 *
 * Each fiber is plain straight-line C with a stack of its own. A handle (.task) is asked for where
 * the result is wanted; skua_task_join waits for the end and gives the handle back. Three sleeps of
 * 100, 200 and 300 ms take 300 ms together. */
#include <skua/skua.h>

#include <stdio.h>

struct job {
    int number;
    skua_task *task;
};

static int works(void *arg)
{
    struct job *job = arg;
    int rc = skua_sleep(job->number * 100 * SKUA_MILLISECOND);

    return rc < 0 ? rc : job->number * job->number;
}

static int app(void *arg)
{
    struct job jobs[] = {{1, NULL}, {2, NULL}, {3, NULL}};
    const int64_t begin = skua_now();
    int sum = 0, result, rc;

    (void)arg;
    for (int i = 0; i < 3; i++)
        if ((rc = skua_spawn(NULL, works, &jobs[i], .name = "job", .task = &jobs[i].task)) < 0)
            return rc;
    for (int i = 0; i < 3; i++) {
        if ((rc = skua_task_join(jobs[i].task, &result)) < 0)
            return rc;
        sum += result;
    }
    printf("the squares add up to %d, after %lld ms\n", sum,
           (long long)((skua_now() - begin) / SKUA_MILLISECOND));
    return 0;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
