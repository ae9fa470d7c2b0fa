/* decorator.c - what can be done around work: time it, bound it, tell of it.
 *
 * A decorator is called by every thread that runs work: its counts are atomic, and nothing else in
 * it changes.
 */
#include <stdio.h>

#include <skua/executor.h>

#include "task/task_impl.h"

/* ---- time ------------------------------------------------------------------------------------ */

static void decorator_time_end(skua_decorator *self, const skua_work *work, int64_t ns, int result)
{
    skua_work_times *times = skua__container(self, skua_work_times, decorator);
    uint64_t longest = __atomic_load_n(&times->longest_ns, __ATOMIC_RELAXED); /* statistics, all */

    (void)work;
    __atomic_fetch_add(&times->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&times->failed, result < 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&times->total_ns, (uint64_t)ns, __ATOMIC_RELAXED);
    while ((uint64_t)ns > longest &&
           !__atomic_compare_exchange_n(&times->longest_ns, &longest, (uint64_t)ns, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

skua_decorator *skua_decorator_time(skua_work_times *times)
{
    *times = (skua_work_times){.decorator = {.name = "time", .end = decorator_time_end}};
    return &times->decorator;
}

/* ---- limit ----------------------------------------------------------------------------------- */

static int decorator_limit_begin(skua_decorator *self, const skua_work *work)
{
    skua_work_limit *limit = skua__container(self, skua_work_limit, decorator);

    (void)work;
    return skua_semaphore_acquire(&limit->semaphore, 1);
}

static void decorator_limit_end(skua_decorator *self, const skua_work *work, int64_t ns, int result)
{
    (void)work;
    (void)ns;
    (void)result;
    skua_semaphore_release(&skua__container(self, skua_work_limit, decorator)->semaphore, 1);
}

skua_decorator *skua_decorator_limit(skua_work_limit *limit, size_t most)
{
    *limit = (skua_work_limit){
        .decorator = {.name = "limit", .begin = decorator_limit_begin, .end = decorator_limit_end},
        .semaphore = SKUA_SEMAPHORE_INIT(0)};
    if (skua_semaphore_init(&limit->semaphore, most != 0 ? most : 1) != 0)
        (void)skua_semaphore_init(&limit->semaphore, SKUA_SEMAPHORE_MAX);
    return &limit->decorator;
}

/* ---- log ------------------------------------------------------------------------------------- */

static void decorator_say(skua_work_log *log, const char *text)
{
    if (log->line != NULL)
        log->line(text, log->arg);
    else
        fprintf(stderr, "skua: %s\n", text);
}

static const char *decorator_name(const skua_work *work)
{
    return work->name != NULL ? work->name : "work";
}

static int decorator_log_begin(skua_decorator *self, const skua_work *work)
{
    char text[128];

    snprintf(text, sizeof text, "%s begins", decorator_name(work));
    decorator_say(skua__container(self, skua_work_log, decorator), text);
    return 0;
}

static void decorator_log_end(skua_decorator *self, const skua_work *work, int64_t ns, int result)
{
    char text[160];

    snprintf(text, sizeof text, "%s ends with %d after %lld ns", decorator_name(work), result,
             (long long)ns);
    decorator_say(skua__container(self, skua_work_log, decorator), text);
}

skua_decorator *skua_decorator_log(skua_work_log *log, void (*line)(const char *text, void *arg),
                                   void *arg)
{
    *log = (skua_work_log){
        .decorator = {.name = "log", .begin = decorator_log_begin, .end = decorator_log_end},
        .line = line,
        .arg = arg};
    return &log->decorator;
}
