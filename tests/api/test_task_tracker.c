/* test_task_tracker.c - the task tracker (skua/task_tracker.h): what it knows of every task.
 *
 * Specifies the states a task goes through, its numbers, the tree, filters, tasks that are older
 * than the tracker, what does not fit, warnings, forks, failures, and that looking and starting and
 * stopping disturb nobody.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_tracked_task get(skua_runtime *runtime, skua_task_id id)
{
    skua_tracked_task task = {.size = sizeof task};

    if (skua_task_tracker_get(runtime, id, &task) != 0)
        task.id = 0;
    return task;
}

/* Until the task is in a state: others may still be about to bring it there. */
static skua_tracked_task get_in(skua_runtime *runtime, skua_task_id id, skua_tracked_state state)
{
    int64_t late = skua_now() + 4 * TEST_LATE;
    skua_tracked_task task = get(runtime, id);

    while ((task.id == 0 || task.state != state) && skua_now() < late) {
        skua_yield();
        task = get(runtime, id);
    }
    CHECK_EQ(task.state, state);
    return task;
}

/* ---- life ------------------------------------------------------------------------------------ */

TEST(starts_once_and_stops)
{
    skua_tracked_task task = {.size = sizeof task};
    skua_task_tracker_stats stats = {.size = sizeof stats};

    CHECK_EQ(skua_task_tracker_stop(), -ENOENT);
    CHECK_EQ(skua_task_tracker_read(&stats), -ENOENT);
    CHECK_EQ(skua_task_tracker_start(NULL), 0);
    CHECK_EQ(skua_task_tracker_start(NULL), -EBUSY);
    CHECK_EQ(skua_task_tracker_read(&stats), 0);
    CHECK_EQ(stats.spawned + stats.running, 0);
    CHECK_RANGE(stats.bytes, 65536 * 200, 65536 * 320);
    CHECK_EQ(skua_task_tracker_get(NULL, 7, &task), -ESRCH);
    CHECK_EQ(skua_task_tracker_get(NULL, 0, &task), -ESRCH);
    task.size = 1;
    CHECK_EQ(skua_task_tracker_get(NULL, 7, &task), -EINVAL);
    CHECK_EQ(skua_task_tracker_each(&(skua_tracked_filter){.size = 3}, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 0);
    stats.size = 1;
    CHECK_EQ(skua_task_tracker_read(&stats), -EINVAL);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    CHECK_EQ(skua_task_tracker_stop(), -ENOENT);
}

TEST(bad_options_are_refused)
{
    skua_task_tracker_options options;

    skua_task_tracker_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    options.size--;
    CHECK_EQ(skua_task_tracker_start(&options), -EINVAL);
    CHECK_EQ(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.tasks_max = 15)), -EINVAL);
    CHECK_EQ(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.tasks_max = 1 << 25)), -EINVAL);
    CHECK_EQ(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.done_max = 1)), -EINVAL);
    CHECK_EQ(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.done_max = 1 << 21)), -EINVAL);
    CHECK_EQ(skua_task_tracker_stop(), -ENOENT);
}

/* ---- one task -------------------------------------------------------------------------------- */

static int waits_then_sums(void *arg)
{
    CHECK_EQ(test_event_wait(arg), 0);
    CHECK_EQ(skua_yield(), 0);
    return 42;
}

TEST_FIBER(a_task_from_its_spawn_to_its_end)
{
    struct test_event event = TEST_EVENT_INIT;
    skua_runtime *runtime = skua_runtime_current();
    skua_tracked_task task;
    skua_task *handle;
    skua_task_id id = 0;
    int result = 0;

    MUST(skua_task_tracker_start(NULL) == 0);
    MUST(skua_spawn(NULL, waits_then_sums, &event, .task = &handle, .id = &id, .name = "adder") ==
         0);
    task = get_in(runtime, id, SKUA_TRACKED_WAITING);
    CHECK_EQ(task.id, id);
    CHECK(task.runtime == runtime && task.parent_runtime == runtime);
    CHECK_EQ(task.parent, skua_task_current_id());
    CHECK(strcmp(task.site->name, "adder") == 0);
    CHECK(strstr(task.site->file, "test_task_tracker.c") != NULL);
    CHECK(task.waiting_for != NULL && task.waiting_for[0] != '\0');
    CHECK_RANGE(task.polls, 1, 2);
    CHECK(task.spawned != 0 && task.spawned == task.seen && task.since >= task.spawned);
    CHECK_EQ(task.cancelled, 0);
    test_event_set(&event);
    CHECK_EQ(skua_task_join(handle, &result), 0);
    task = get_in(runtime, id, SKUA_TRACKED_DONE);
    CHECK_EQ(task.result, 42);
    CHECK_EQ(task.yields, 1);
    CHECK_RANGE(task.polls, 3, 4);
    CHECK_EQ(task.wakes + task.self_wakes, task.polls - 2);
    CHECK(task.waiting_for == NULL);
    /* No time is lost, and none counted twice. */
    CHECK_EQ(task.busy + task.scheduled + task.idle, task.since - task.spawned);
    CHECK(task.longest > 0 && task.longest <= task.busy);
    CHECK_EQ(get(NULL, id).id, id);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

static skua_poll wakes_itself(void *state, skua_waker *waker)
{
    int *left = state;

    if ((*left)-- == 0)
        return 7;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

TEST_FIBER(a_poll_task_that_wakes_itself)
{
    skua_runtime *runtime = skua_runtime_current();
    skua_tracked_task task;
    skua_task *handle;
    skua_task_id id = 0;
    int left = 40, result;

    MUST(skua_task_tracker_start(NULL) == 0);
    MUST(skua_spawn_poll(NULL, wakes_itself, &left, .task = &handle, .id = &id) == 0);
    CHECK_EQ(skua_task_join(handle, &result), 0);
    task = get_in(runtime, id, SKUA_TRACKED_DONE);
    CHECK_EQ(task.polls, 41);
    CHECK_EQ(task.self_wakes, 40);
    CHECK_EQ(task.wakes, 0);
    CHECK_EQ(task.result, 7);
    CHECK_EQ(task.warnings, SKUA_TRACKED_SELF_WAKES);
    CHECK_EQ(task.busy + task.scheduled + task.idle, task.since - task.spawned);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

TEST_FIBER(a_cancelled_task)
{
    skua_runtime *runtime = skua_runtime_current();
    skua_tracked_task task;
    skua_scope scope;
    skua_task_id id = 0;

    MUST(skua_task_tracker_start(NULL) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, test_fiber_forever, NULL, .id = &id) == 0);
    (void)get_in(runtime, id, SKUA_TRACKED_WAITING);
    CHECK_EQ(skua_task_cancel_id(runtime, id), 0);
    (void)skua_scope_join(&scope);
    task = get_in(runtime, id, SKUA_TRACKED_DONE);
    CHECK(task.cancelled >= task.spawned && task.cancelled <= task.since);
    CHECK_EQ(task.result, -ECANCELED);
    CHECK_EQ(task.waker, skua_task_current_id());
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

/* ---- warnings -------------------------------------------------------------------------------- */

static int never_yields(void *arg)
{
    int64_t end = skua_now() + SKUA_SECOND + MS(20);
    skua_tracked_task other;

    CHECK_EQ(skua_task_cancel_id(skua_runtime_current(), skua_task_current_id()), 0);
    while (skua_now() < end)
        continue;
    CHECK_EQ(get(skua_runtime_current(), skua_task_current_id()).warnings,
             SKUA_TRACKED_LONG_TURN | SKUA_TRACKED_LINGERS);
    other = get(skua_runtime_current(), *(skua_task_id *)arg);
    CHECK_EQ(other.state, SKUA_TRACKED_RUNNABLE);
    CHECK_EQ(other.warnings, SKUA_TRACKED_STARVED);
    CHECK_EQ(
        skua_task_tracker_each(SKUA_TRACKED_FILTER(.warnings = SKUA_TRACKED_STARVED), NULL, NULL),
        1);
    return 0;
}

TEST_FIBER_CURRENT(warnings_of_turns_that_are_too_long)
{
    skua_scope scope;
    skua_task_id starved = 0;

    MUST(skua_task_tracker_start(NULL) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, never_yields, &starved) == 0);
    MUST(skua_spawn(&scope, test_fiber_return, NULL, .id = &starved) == 0);
    (void)skua_scope_join(&scope);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct family {
    struct test_event event;
    atomic_int waiting;
};

static int leaf(void *arg)
{
    struct family *family = arg;

    atomic_fetch_add(&family->waiting, 1);
    return test_event_wait(&family->event);
}

static int branch(void *arg)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(&scope, leaf, arg, .name = i == 0 ? "leaf-a" : "leaf-b") == 0);
    return skua_scope_join(&scope);
}

struct seen {
    char names[32][16];
    unsigned depths[32];
    int count;
};

static void see(const skua_tracked_task *task, unsigned depth, void *arg)
{
    struct seen *seen = arg;

    MUST(seen->count < 32);
    snprintf(seen->names[seen->count], 16, "%s", task->site->name);
    seen->depths[seen->count++] = depth;
}

static void see_flat(const skua_tracked_task *task, void *arg)
{
    see(task, 0, arg);
}

static void family_grows(struct family *family, skua_scope *scope, skua_task_id *ret_first)
{
    skua_scope_open(scope, SKUA_COLLECT);
    MUST(skua_spawn(scope, branch, family, .name = "first", .id = ret_first) == 0);
    MUST(skua_spawn(scope, branch, family, .name = "second") == 0);
    while (atomic_load(&family->waiting) < 4)
        skua_yield();
}

TEST_FIBER(the_tree_of_those_that_spawned_each_other)
{
    static const char *const names[] = {"first", "leaf-a", "leaf-b", "second", "leaf-a", "leaf-b"};
    struct family family = {.event = TEST_EVENT_INIT};
    struct seen seen = {.count = 0};
    skua_task_id first = 0;
    skua_scope scope;

    MUST(skua_task_tracker_start(NULL) == 0);
    family_grows(&family, &scope, &first);
    skua_yield(); /* this fiber is older than the tracker, and known from here on at the latest */
    CHECK_EQ(skua_task_tracker_walk(NULL, see, &seen), 7);
    CHECK_EQ(seen.count, 7);
    for (int i = 0, at = 0; i < seen.count; i++) {
        if (strcmp(seen.names[i], skua_task_current_name()) == 0) {
            CHECK_EQ(seen.depths[i], 0);
            continue;
        }
        MUST(at < 6);
        CHECK_EQ(seen.depths[i], seen.names[i][0] == 'l' ? 1 : 0); /* older than who spawned them */
        CHECK(strcmp(seen.names[i], names[at++]) == 0);
    }
    seen.count = 0;
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.parent = first), see_flat, &seen), 2);
    CHECK(strncmp(seen.names[0], "leaf-", 5) == 0 && strncmp(seen.names[1], "leaf-", 5) == 0);
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.name = "leaf-*"), NULL, NULL), 4);
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.name = "leaf-a"), NULL, NULL), 2);
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.name = "leaf"), NULL, NULL), 0);
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.age = SKUA_HOUR), NULL, NULL), 0);
    CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.runtime = (void *)&seen), NULL, NULL), 0);
    test_event_set(&family.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

TEST_FIBER_CURRENT(the_tree_as_text)
{
    struct family family = {.event = TEST_EVENT_INIT};
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    skua_task_id first = 0;
    skua_scope scope;
    char *at;

    MUST(skua_task_tracker_start(NULL) == 0);
    CHECK_EQ(skua_task_tracker_add(skua_runtime_current()), 1);
    family_grows(&family, &scope, &first);
    CHECK_EQ(skua_task_tracker_print(to), 7);
    fclose(to);
    CHECK(strncmp(text, "TASK ", 5) == 0);
    at = strstr(text, "\n  first ");
    CHECK(at != NULL && strstr(at, "\n    leaf-b ") != NULL && strstr(at, "\n  second ") != NULL);
    CHECK(strstr(text, "test_task_tracker.c:") != NULL);
    free(text);
    test_event_set(&family.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

/* ---- who was there before, who does not fit -------------------------------------------------- */

TEST_FIBER(tasks_that_are_older_than_the_tracker)
{
    struct family family = {.event = TEST_EVENT_INIT};
    skua_runtime *runtime = skua_runtime_current();
    skua_tracked_task task;
    skua_task_id first = 0;
    skua_scope scope;

    CHECK_EQ(skua_task_tracker_add(runtime), -ENOENT);
    family_grows(&family, &scope, &first);
    MUST(skua_task_tracker_start(NULL) == 0);
    CHECK_EQ(get(runtime, first).id, 0);
    CHECK_EQ(skua_task_tracker_add(NULL), 7);
    CHECK_EQ(skua_task_tracker_add(runtime), 7);
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 7);
    task = get_in(runtime, first, SKUA_TRACKED_WAITING);
    CHECK_EQ(task.parent, 0);
    CHECK_EQ(task.spawned, 0);
    CHECK(task.seen != 0);
    test_event_set(&family.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    task = get_in(runtime, first, SKUA_TRACKED_DONE);
    CHECK_EQ(task.result, 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

TEST_FIBER(what_does_not_fit_is_counted)
{
    struct family family = {.event = TEST_EVENT_INIT};
    skua_task_tracker_stats stats = {.size = sizeof stats};
    skua_scope scope;
    int64_t kept;

    MUST(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.tasks_max = 16, .done_max = 16)) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 100; i++)
        MUST(skua_spawn(&scope, leaf, &family) == 0);
    while (atomic_load(&family.waiting) < 100)
        skua_yield();
    kept = skua_task_tracker_each(NULL, NULL, NULL);
    CHECK_RANGE(kept, 8, 16);
    CHECK_EQ(skua_task_tracker_read(&stats), 0);
    CHECK_EQ(stats.spawned, 100);
    CHECK_RANGE(stats.dropped, 100 - 16, 100 - 8);
    CHECK_EQ(stats.waiting + stats.running + stats.runnable, kept);
    test_event_set(&family.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_tracker_read(&stats), 0);
    CHECK_EQ(stats.done, 100);
    CHECK_RANGE(skua_task_tracker_each(
                    SKUA_TRACKED_FILTER(.states = SKUA_TRACKED_BIT(SKUA_TRACKED_DONE)), NULL, NULL),
                8, 16);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

TEST_FIBER(rooms_of_tasks_that_ended_are_used_again)
{
    skua_task_tracker_stats stats = {.size = sizeof stats};

    MUST(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.tasks_max = 64)) == 0);
    for (int round = 0; round < TEST_COUNT(300); round++) {
        skua_scope scope;

        skua_scope_open(&scope, SKUA_COLLECT);
        for (int i = 0; i < 3; i++) /* and this fiber: four, all of one part's */
            MUST(skua_spawn(&scope, test_fiber_return, NULL) == 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    CHECK_EQ(skua_task_tracker_read(&stats), 0);
    CHECK_EQ(stats.dropped, 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

/* ---- several runtimes, threads, spans -------------------------------------------------------- */

TEST(runtimes_whose_ids_are_the_same)
{
    struct family family = {.event = TEST_EVENT_INIT};
    skua_runtime *runtimes[2];
    skua_task *tasks[2];
    skua_task_id ids[2] = {0};

    MUST(skua_task_tracker_start(NULL) == 0);
    for (int i = 0; i < 2; i++) {
        runtimes[i] = test_runtime(&test_kinds[1]);
        MUST(skua_spawn_on(runtimes[i], leaf, &family, .task = &tasks[i], .id = &ids[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        skua_tracked_task task = get_in(runtimes[i], ids[i], SKUA_TRACKED_WAITING);

        CHECK(task.runtime == runtimes[i]);
        CHECK_EQ(task.parent, 0);
        CHECK(task.parent_runtime == NULL);
        CHECK_EQ(skua_task_tracker_each(SKUA_TRACKED_FILTER(.runtime = runtimes[i]), NULL, NULL),
                 1);
    }
    test_event_set(&family.event);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        test_runtime_free(runtimes[i]);
    }
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
}

TEST_FIBER(a_task_has_the_trace_it_was_spawned_in)
{
    skua_span_context context = {.trace_id = {1, 2, 3}, .span_id = {4, 5}, .flags = 1};
    struct family family = {.event = TEST_EVENT_INIT};
    skua_span_frame frame;
    skua_tracked_task task;
    skua_scope scope;
    skua_task_id id = 0;

    MUST(skua_task_tracker_start(NULL) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_trace_attach(&frame, &context) == 0);
    MUST(skua_spawn(&scope, leaf, &family, .id = &id) == 0);
    task = get(skua_runtime_current(), id);
    if (skua_span_current() != NULL) {
        CHECK_EQ(memcmp(task.trace_id, context.trace_id, 16), 0);
        CHECK_EQ(memcmp(task.span_id, context.span_id, 8), 0);
        task = get_in(skua_runtime_current(), id, SKUA_TRACKED_WAITING);
        CHECK_EQ(memcmp(task.span_id, context.span_id, 8), 0);
    }
    CHECK(skua_span_current() != NULL);
    CHECK_EQ(skua_span_leave(&frame), 0);
    test_event_set(&family.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

/* ---- forks, failures, and many at a time ----------------------------------------------------- */

TEST_FIBER_CURRENT(the_child_of_a_fork_has_no_tasks)
{
    skua_task_tracker_stats stats = {.size = sizeof stats};
    skua_runtime *runtime = skua_runtime_current();
    skua_task_id self = skua_task_current_id();
    int status = -1;
    pid_t child;

    MUST(skua_task_tracker_start(NULL) == 0);
    skua_yield();
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 1);
    CHECK_EQ(get(runtime, self).id, self);
    child = fork();
    if (child == 0)
        _exit(get(runtime, self).id != 0 || skua_task_tracker_read(&stats) != 0 ||
              stats.running != 0 ||
              skua_task_tracker_each(SKUA_TRACKED_FILTER(.states = SKUA_TRACKED_ALL), NULL, NULL) !=
                  0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 1);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(no_memory)
{
    unsigned n = 0;
    int rc;

    do {
        skua__fault_arm(SKUA__FAULT_MALLOC, ++n, 1, ENOMEM);
        rc = skua_task_tracker_start(NULL);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_EQ(skua_task_tracker_stop(), rc == 0 ? 0 : -ENOENT);
    } while (rc != 0 && n < 100);
    CHECK_EQ(n, 49); /* three in each of 16 parts */
    MUST(skua_task_tracker_start(NULL) == 0);
    skua_yield();
    for (n = 1; n <= 2; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        CHECK_EQ(skua_task_tracker_walk(NULL, NULL, NULL), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    CHECK_EQ(skua_task_tracker_walk(NULL, NULL, NULL), 1);
    CHECK_EQ(skua_task_tracker_stop(), 0);
    return 0;
}
#endif

static int sleeps_and_yields(void *arg)
{
    (void)arg;
    skua_yield();
    (void)skua_sleep(SKUA_MICROSECOND * 50);
    return 0;
}

static int spawns_for_a_while(void *arg)
{
    int64_t end = skua_now() + MS(300);
    skua_scope scope;

    (void)arg;
    while (skua_now() < end) {
        skua_scope_open(&scope, SKUA_COLLECT);
        for (int i = 0; i < 30; i++)
            MUST(skua_spawn(&scope, sleeps_and_yields, NULL) == 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    return 0;
}

static void look(const skua_tracked_task *task, unsigned depth, void *arg)
{
    (void)depth;
    CHECK(task->id != 0 && task->site != NULL && task->busy >= 0 && task->idle >= 0);
    CHECK(task->seen <= task->since);
    (void)arg;
}

static void *adds(void *arg)
{
    atomic_bool *stop = ((void **)arg)[0];

    while (!atomic_load(stop))
        CHECK(skua_task_tracker_add(((void **)arg)[1]) >= 0);
    return NULL;
}

static void *looks(void *arg)
{
    atomic_bool *stop = ((void **)arg)[0];
    skua_runtime *runtime = ((void **)arg)[1];

    for (unsigned i = 0; !atomic_load(stop); i++) {
        if (i % 16 == 0)
            (void)skua_task_tracker_stop();
        if (i % 16 == 1)
            CHECK_EQ(skua_task_tracker_start(SKUA_TASK_TRACKER_OPTIONS(.tasks_max = 256)), 0);
        if (i % 4 == 2)
            CHECK(skua_task_tracker_add(runtime) != SKUA_EUSAGE);
        (void)skua_task_tracker_walk(SKUA_TRACKED_FILTER(.states = SKUA_TRACKED_ALL), look, NULL);
    }
    (void)skua_task_tracker_stop();
    return NULL;
}

/* Whoever is listed at its very end must not stay. */
TEST(adding_while_two_workers_run)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    atomic_bool stop = false;
    void *args[2] = {&stop, runtime};
    pthread_t thread;

    MUST(skua_task_tracker_start(NULL) == 0);
    MUST(pthread_create(&thread, NULL, adds, args) == 0);
    test_run(runtime, spawns_for_a_while, NULL);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_task_tracker_add(runtime), 0);
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 0);
    test_runtime_free(runtime);
    CHECK_EQ(skua_task_tracker_stop(), 0);
}

static void was_seen(const skua_tracked_task *task, void *arg)
{
    *(int *)arg += task->spawned != 0;
}

/* Their spawns are known once and for all: no listing forgets what another one has just seen. */
static int waits_while_two_add(void *arg)
{
    struct family family = {.event = TEST_EVENT_INIT};
    skua_scope scope;
    int seen = 0;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 300; i++)
        MUST(skua_spawn(&scope, leaf, &family) == 0);
    while (atomic_load(&family.waiting) < 300)
        skua_yield();
    (void)arg;
    CHECK_EQ(skua_sleep(MS(TEST_COUNT(300))), 0);
    (void)skua_task_tracker_each(NULL, was_seen, &seen);
    CHECK_EQ(seen, 301); /* and this one */
    test_event_set(&family.event);
    return skua_scope_join(&scope);
}

TEST(two_add_at_a_time)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    atomic_bool stop = false;
    void *args[2] = {&stop, runtime};
    pthread_t threads[2];

    MUST(skua_task_tracker_start(NULL) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, adds, args) == 0);
    test_run(runtime, waits_while_two_add, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    test_runtime_free(runtime);
    CHECK_EQ(skua_task_tracker_stop(), 0);
}

TEST(looking_while_two_workers_run)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    atomic_bool stop = false;
    void *args[2] = {&stop, runtime};
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, looks, args) == 0);
    test_run(runtime, spawns_for_a_while, NULL);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    MUST(skua_task_tracker_start(NULL) == 0);
    test_run(runtime, spawns_for_a_while, NULL);
    test_runtime_free(runtime);
    CHECK_EQ(skua_task_tracker_each(NULL, NULL, NULL), 0); /* each end was seen */
    CHECK_EQ(skua_task_tracker_stop(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_once_and_stops),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_task_from_its_spawn_to_its_end),
        cmocka_unit_test(a_poll_task_that_wakes_itself),
        cmocka_unit_test(a_cancelled_task),
        cmocka_unit_test(warnings_of_turns_that_are_too_long),
        cmocka_unit_test(the_tree_of_those_that_spawned_each_other),
        cmocka_unit_test(the_tree_as_text),
        cmocka_unit_test(tasks_that_are_older_than_the_tracker),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(rooms_of_tasks_that_ended_are_used_again),
        cmocka_unit_test(runtimes_whose_ids_are_the_same),
        cmocka_unit_test(a_task_has_the_trace_it_was_spawned_in),
        cmocka_unit_test(the_child_of_a_fork_has_no_tasks),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
#endif
        cmocka_unit_test(adding_while_two_workers_run),
        cmocka_unit_test(two_add_at_a_time),
        cmocka_unit_test(looking_while_two_workers_run),
    };

    return TEST_MAIN(tests);
}
