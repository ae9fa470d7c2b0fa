/* kit_run.c - making a test's runtime, running a test in it, and exploring seeds.
 *
 * The test's fiber and its children are in one scope, as with skua_block_on; but the loop can be
 * left before they have ended, since a test that is stuck must end all the same. Then what they
 * use, kit and runtime, stays as it is: that is told, and better than a test that hangs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/kit_impl.h"

/* ---- options --------------------------------------------------------------------------------- */

void skua_test_options_init(skua_test_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int kit_resolve(const skua_test_options *given, skua_test_options *ret)
{
    skua_test_options_init(ret);
    if (given != NULL) {
        if (given->size != sizeof *given)
            return -EINVAL;
        *ret = *given;
    }
    if (ret->start == 0)
        ret->start = SKUA_HOUR;
    if (ret->patience == 0)
        ret->patience = SKUA_SECOND;
    return ret->start < 0 || ret->start > INT64_C(1) << 62 || ret->patience < 0 ? -EINVAL : 0;
}

/* Seeds that are next to each other are to have nothing in common (splitmix64, Steele 2014). Never
 * 0, which would be a random seed. */
static uint64_t kit_mix(uint64_t seed)
{
    seed += 0x9e3779b97f4a7c15u;
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
    return (seed ^ (seed >> 31)) | 2;
}

/* ---- a test ---------------------------------------------------------------------------------- */

/* Nothing runs in the runtime yet. */
static void kit_wire(struct skua__kit *kit, uint64_t seed)
{
    struct skua__sched *sched = &kit->runtime->sched;
    struct skua__worker *worker = sched->workers[0];

    kit->runtime->core.clock = &kit->now;
    skua__wheel_init(&worker->wheel, kit->now);
    sched->park = &skua__kit_park;
    if (seed == 0)
        return;
    worker->shuffles = true;
    worker->inject_left = 1;
    sched->inject_interval = 1;
}

static int kit_make(struct skua__kit *kit, const skua_test_options *options)
{
    skua_runtime_options runtime;
    int rc = skua__options_resolve(options->runtime, &runtime);

    if (rc != 0)
        return rc;
    runtime.size = sizeof runtime;
    runtime.kind = SKUA_CURRENT_THREAD;
    runtime.workers = 1;
    runtime.seed = kit_mix(options->seed);
    rc = skua_runtime_new(&kit->runtime, &runtime);
    if (rc != 0)
        return rc;
    kit->now = options->start;
    kit->paused = options->paused != 0;
    kit->patience = options->patience;
    kit_wire(kit, options->seed);
    return 0;
}

static int kit_fiber(void *arg)
{
    struct skua__kit *kit = arg;

    kit->result = kit->fn(kit->arg);
    kit->called = true;
    if (kit->result < 0)
        (void)skua_scope_cancel(&kit->scope);
    return kit->result;
}

static bool kit_over(void *arg)
{
    struct skua__kit *kit = arg;

    return kit->stuck || skua_scope_alive(&kit->scope) == 0;
}

static int kit_run(struct skua__kit *kit)
{
    static const skua_site site = {"test", __FILE__, "skua_test_run", __LINE__};
    int rc;

    skua__scope_init(&kit->scope, kit->runtime, SKUA_COLLECT);
    rc = skua_spawn_at(&site, &kit->scope, kit_fiber, kit, NULL);
    if (rc == 0)
        rc = skua__runtime_drive(kit->runtime, kit_over, kit, SKUA_FOREVER);
    if (rc != 0)
        return rc;
    if (kit->deadlocked)
        return -EDEADLK;
    return kit->called ? kit->result : kit->scope.first_error; /* there was no stack */
}

int skua_test_run(skua_fiber_fn fn, void *arg, const skua_test_options *given)
{
    skua_test_options options;
    struct skua__kit *kit;
    int rc = kit_resolve(given, &options);
    int freed;

    if (rc != 0 || fn == NULL)
        return -EINVAL;
    if (skua__thread_self()->core != NULL)
        return SKUA_EUSAGE;
    kit = skua__os_alloc(sizeof *kit);
    if (kit == NULL)
        return -ENOMEM;
    kit->fn = fn;
    kit->arg = arg;
    rc = kit_make(kit, &options);
    if (rc != 0) {
        skua__os_free(kit);
        return rc;
    }
    rc = kit_run(kit);
    kit->paused = false; /* stopping has a deadline */
    freed = kit->stuck ? -ETIMEDOUT : skua_runtime_free(kit->runtime);
    if (freed == 0)
        skua__os_free(kit);
    return rc < 0 ? rc : freed != 0 ? freed : rc;
}

/* ---- many tests ------------------------------------------------------------------------------ */

static int kit_try(skua_fiber_fn fn, void *arg, uint64_t seed)
{
    int rc = skua_test_run(fn, arg, SKUA_TEST_OPTIONS(.seed = seed));
    unsigned long long number = seed;

    if (rc < 0)
        fprintf(stderr, "skua: test: seed %llu failed: %d, %s; SKUA_TEST_SEED=%llu repeats it\n",
                number, rc, skua_strerror(rc), number);
    return rc < 0 ? rc : 0;
}

int skua_test_explore(unsigned n, skua_fiber_fn fn, void *arg)
{
    const char *text = skua__os_env("SKUA_TEST_SEED");
    int rc = 0;

    if (text != NULL && *text != '\0') {
        char *end;
        uint64_t seed = strtoull(text, &end, 0);

        return *end != '\0' ? -EINVAL : kit_try(fn, arg, seed);
    }
    for (uint64_t seed = 1; rc == 0 && seed <= n; seed++)
        rc = kit_try(fn, arg, seed);
    return rc;
}
