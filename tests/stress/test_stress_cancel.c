/* test_stress_cancel.c - random trees of tasks, cancelled, joined and detached at random.
 *
 * Each fiber opens a scope, spawns children, waits a while in some way, and cancels, joins or
 * detaches some of them, while foreign threads cancel by id. Whatever happens: every task that
 * starts ends, joined owners see all children gone, cleanups in shields run to their end, and
 * nothing is alive afterwards. The seed is printed; SKUA_STRESS_SECONDS lengthens it.
 */
#include <pthread.h>

#include "../lib/event.h"

enum { DEPTH = 4, CHILDREN = 4, KNOWN = 256 };

struct cancel_storm {
    uint64_t seed;
    skua_runtime *runtime;
    atomic_llong started, ended, cleaned, cancelled;
    atomic_ullong known[KNOWN]; /* ids to cancel from afar */
    atomic_bool over;
    struct test_event never;
};

struct cancel_node {
    struct cancel_storm *storm;
    int depth;
};

static int cancel_node(void *arg);

static int wait_somehow(struct cancel_storm *storm, uint64_t how)
{
    skua_deadline deadline;
    int rc;

    switch (how % 5) {
    case 0:
        return skua_yield();
    case 1:
        return skua_sleep((int64_t)(how >> 8) % MS(2));
    case 2:
        skua_deadline_begin(&deadline, skua_now() + (int64_t)(how >> 8) % MS(2));
        rc = test_event_wait(&storm->never);
        CHECK(rc == -ETIMEDOUT || rc == -ECANCELED);
        skua_deadline_end(&deadline);
        return rc;
    case 3:
        skua_shield_begin();
        rc = skua_sleep((int64_t)(how >> 8) % MS(1));
        CHECK_EQ(rc, 0);
        skua_shield_end();
        return rc;
    default:
        return 0;
    }
}

static void treat_child(skua_task *task, uint64_t how)
{
    int result = 12345, rc;

    if (how & 1)
        skua_task_cancel(task);
    switch ((how >> 1) % 3) {
    case 0:
        skua_task_detach(task);
        return;
    case 1:
        skua_shield_begin();
        rc = skua_task_join(task, &result);
        skua_shield_end();
        CHECK_EQ(rc, 0);
        CHECK(result == 0 || result == -ECANCELED || result == -ETIMEDOUT);
        return;
    default:
        rc = skua_task_join(task, NULL);
        if (rc != 0) {
            CHECK(rc == -ECANCELED || rc == -ETIMEDOUT);
            skua_task_detach(task);
        }
    }
}

static struct cancel_node *new_node(struct cancel_storm *storm, int depth)
{
    struct cancel_node *node = malloc(sizeof *node);

    *node = (struct cancel_node){storm, depth};
    return node;
}

/* A child gets its node on the heap; one that never starts leaves it to its parent's list. */
struct brood {
    struct cancel_node *nodes[CHILDREN];
    skua_task *tasks[CHILDREN];
    int count;
};

static void spawn_brood(struct cancel_node *self, skua_scope *scope, struct brood *brood,
                        uint64_t *random)
{
    int wanted = (int)(test_random(random) % (CHILDREN + 1));

    brood->count = 0;
    for (int i = 0; i < wanted; i++) {
        struct cancel_node *node = new_node(self->storm, self->depth - 1);
        int rc = skua_spawn(scope, cancel_node, node, .task = &brood->tasks[brood->count]);

        if (rc != 0) {
            CHECK_EQ(rc, -ECANCELED);
            free(node);
            return;
        }
        brood->nodes[brood->count++] = node;
    }
}

static void grow(struct cancel_node *self, uint64_t *random)
{
    struct brood brood;
    skua_scope scope;
    int rc;

    skua_scope_open(&scope, test_random(random) % 2 ? SKUA_FAIL_FAST : SKUA_COLLECT);
    spawn_brood(self, &scope, &brood, random);
    wait_somehow(self->storm, test_random(random));
    if (test_random(random) % 8 == 0)
        skua_scope_cancel(&scope);
    for (int i = 0; i < brood.count; i++)
        treat_child(brood.tasks[i], test_random(random));
    rc = skua_scope_join(&scope);
    CHECK(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT);
    for (int i = 0; i < brood.count; i++)
        free(brood.nodes[i]);
}

static int cancel_node(void *arg)
{
    struct cancel_node *self = arg;
    struct cancel_storm *storm = self->storm;
    uint64_t random = (storm->seed ^ (skua_task_current_id() * 0x9e3779b97f4a7c15u)) | 1;
    int rc;

    atomic_fetch_add(&storm->started, 1);
    atomic_store(&storm->known[test_random(&random) % KNOWN], skua_task_current_id());
    if (self->depth > 0)
        grow(self, &random);
    rc = wait_somehow(storm, test_random(&random));
    skua_shield_begin();
    if (test_random(&random) % 4 == 0)
        CHECK_EQ(skua_sleep(50 * SKUA_MICROSECOND), 0);
    atomic_fetch_add(&storm->cleaned, 1);
    skua_shield_end();
    atomic_fetch_add(&storm->ended, 1);
    return rc < 0 ? rc : 0;
}

static void *cancels_from_afar(void *arg)
{
    struct cancel_storm *storm = arg;
    uint64_t random = storm->seed;

    while (!atomic_load(&storm->over)) {
        skua_task_id id = atomic_load(&storm->known[test_random(&random) % KNOWN]);
        skua_task *task;

        if (id && random & 1 && skua_task_cancel_id(storm->runtime, id) == 0)
            atomic_fetch_add(&storm->cancelled, 1);
        else if (id && skua_task_find(storm->runtime, id, &task) == 0) {
            CHECK(skua_task_id_of(task) == id);
            if (skua_task_cancel(task) == 0)
                atomic_fetch_add(&storm->cancelled, 1);
            skua_task_detach(task);
        }
        test_thread_sleep(20 * SKUA_MICROSECOND);
    }
    return NULL;
}

/* block_on's own fiber is never listed in `known`: it runs roots until the time is up. */
static int runs_roots(void *arg)
{
    struct cancel_storm *storm = arg;
    int64_t until = skua_now() + test_stress_time(6) / TEST_KINDS;

    while (skua_now() < until) {
        struct cancel_node roots[8];
        skua_scope scope;

        skua_scope_open(&scope, SKUA_COLLECT);
        for (int i = 0; i < 8; i++) {
            roots[i] = (struct cancel_node){storm, DEPTH};
            CHECK_EQ(skua_spawn(&scope, cancel_node, &roots[i]), 0);
        }
        skua_scope_join(&scope);
        CHECK_EQ(atomic_load(&storm->started), atomic_load(&storm->ended));
    }
    return 0;
}

static void run_cancel_storm(const struct test_kind *kind, uint64_t seed)
{
    struct cancel_storm *storm = calloc(1, sizeof *storm);
    skua_runtime_stats stats = {.size = sizeof stats};
    pthread_t thread;

    storm->seed = seed;
    test_event_init(&storm->never);
    storm->runtime = test_runtime(kind);
    MUST(pthread_create(&thread, NULL, cancels_from_afar, storm) == 0);
    test_run(storm->runtime, runs_roots, storm);
    atomic_store(&storm->over, true);
    pthread_join(thread, NULL);
    CHECK(storm->never.waiters == NULL);
    CHECK_EQ(atomic_load(&storm->started), atomic_load(&storm->cleaned));
    CHECK(skua_runtime_snapshot(storm->runtime, &stats, NULL, 0) > 0);
    CHECK_EQ(stats.alive_tasks, 0);
    test_note("%s: %lld tasks, %lld cancelled from afar", kind->label,
              (long long)atomic_load(&storm->ended), (long long)atomic_load(&storm->cancelled));
    test_runtime_free(storm->runtime);
    free(storm);
}

TEST(stress_cancel_trees)
{
    uint64_t seed = test_seed();

    for (int i = 0; i < TEST_KINDS; i++)
        run_cancel_storm(&test_kinds[i], seed + (uint64_t)i * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_cancel_trees),
    };

    return TEST_MAIN(tests);
}
