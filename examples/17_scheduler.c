/* 17_scheduler.c - a scheduler of one's own: earliest deadline first.
 *
 *     $ 17_scheduler
 *     first in, first out: 0 1 2 3 4 5 6 7 8 9
 *     earliest deadline first: 9 8 7 6 5 4 3 2 1 0
 *
 * Ten jobs come at once, the most urgent one last. The runtime's own order serves them as they
 * came; the scheduler below keeps them sorted by the deadline that each was spawned under. Open,
 * push, pop and close are all that it needs.
 */
#include <stdio.h>
#include <stdlib.h>

#include <skua/skua.h>

enum { JOBS = 10 };

/* ---- the scheduler --------------------------------------------------------------------------- */

struct by_deadline {
    skua_task *first; /* the earliest; linked to the others by skua_task_set_next */
};

static void *edf_open(unsigned worker, void *arg)
{
    (void)worker;
    (void)arg;
    return calloc(1, sizeof(struct by_deadline));
}

/* Behind those that are due before it, or at the same time. */
static void edf_push(void *state, skua_task *task)
{
    struct by_deadline *self = state;
    int64_t deadline = skua_task_deadline(task);
    skua_task *before = NULL;
    skua_task *after = self->first;

    while (after != NULL && skua_task_deadline(after) <= deadline) {
        before = after;
        after = skua_task_next(after);
    }
    skua_task_set_next(task, after);
    if (before != NULL)
        skua_task_set_next(before, task);
    else
        self->first = task;
}

static skua_task *edf_pop(void *state)
{
    struct by_deadline *self = state;
    skua_task *task = self->first;

    if (task != NULL)
        self->first = skua_task_next(task);
    return task;
}

static const skua_scheduler edf = {.size = sizeof edf,
                                   .name = "earliest deadline first",
                                   .open = edf_open,
                                   .push = edf_push,
                                   .pop = edf_pop,
                                   .close = free};

/* ---- the jobs -------------------------------------------------------------------------------- */

struct jobs {
    int order[JOBS];
    int done;
};

struct job {
    struct jobs *jobs;
    int number;
};

static int work(void *arg)
{
    struct job *job = arg;

    job->jobs->order[job->jobs->done++] = job->number;
    return 0;
}

/* The later a job comes, the more urgent it is. */
static int app(void *arg)
{
    struct job jobs[JOBS];
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < JOBS; i++) {
        skua_deadline due;

        jobs[i] = (struct job){arg, i};
        skua_deadline_begin(&due, skua_now() + (JOBS - i) * SKUA_SECOND);
        skua_spawn(&scope, work, &jobs[i]);
        skua_deadline_end(&due);
    }
    return skua_scope_join(&scope);
}

static int run(const char *title, const skua_scheduler *scheduler)
{
    struct jobs jobs = {.done = 0};
    int rc = skua_main(app, &jobs,
                       SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .scheduler = scheduler));

    printf("%s:", title);
    for (int i = 0; i < jobs.done; i++)
        printf(" %d", jobs.order[i]);
    printf("\n");
    return rc;
}

int main(void)
{
    int rc = run("first in, first out", NULL);

    return rc != 0 ? rc : run("earliest deadline first", &edf);
}
