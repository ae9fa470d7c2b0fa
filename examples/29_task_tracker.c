/* 29_task_tracker.c - what every task does right now: the task tracker.
 *
 * A service with a queue, workers, and a task that was forgotten in a lock. The tracker is started
 * before the runtime, prints the tree of tasks, and is asked who waits, and for what. */
#include <skua/skua.h>

#include <stdio.h>
#include <string.h>

static skua_mutex lock = SKUA_MUTEX_INIT;

static int worker(void *arg)
{
    for (int i = 0; i < 100; i++)
        if (skua_yield() != 0)
            break;
    return skua_sleep(*(int64_t *)arg);
}

static int forgets(void *arg)
{
    int rc = skua_mutex_lock(&lock); /* somebody else has it */

    (void)arg;
    if (rc == 0)
        skua_mutex_unlock(&lock);
    return rc;
}

static int service(void *arg)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 3; i++)
        (void)skua_spawn(&scope, worker, arg);
    (void)skua_spawn(&scope, forgets, NULL, .name = "forgetful");
    return skua_scope_join(&scope);
}

static void tell(const skua_tracked_task *task, void *arg)
{
    if (task->waiting_for != NULL && strstr(task->waiting_for, arg) != NULL)
        printf("\n%s (%s:%d) waits for %s, and was spawned by task %llu\n", task->site->name,
               task->site->file, task->site->line, task->waiting_for,
               (unsigned long long)task->parent);
}

static int app(void *arg)
{
    int64_t hour = SKUA_HOUR;
    skua_scope scope;

    (void)arg;
    if (skua_mutex_try_lock(&lock) != 0)
        return -1;
    skua_scope_open(&scope, SKUA_COLLECT);
    (void)skua_spawn(&scope, service, &hour);
    (void)skua_sleep(20 * SKUA_MILLISECOND);

    (void)skua_task_tracker_print(stdout);
    (void)skua_task_tracker_each(SKUA_TRACKED_FILTER(.name = "forget*"), tell, "mutex");

    skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    skua_mutex_unlock(&lock);
    printf("\n%lld tasks were cancelled\n",
           (long long)skua_task_tracker_each(
               SKUA_TRACKED_FILTER(.states = SKUA_TRACKED_BIT(SKUA_TRACKED_DONE)), NULL, NULL));
    return 0;
}

int main(void)
{
    int rc = skua_task_tracker_start(NULL);

    if (rc == 0)
        rc = skua_main(app, NULL, NULL);
    (void)skua_task_tracker_stop();
    return rc != 0;
}
