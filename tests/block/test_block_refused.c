/* test_block_refused.c - jobs at a time, and no thread for any of them.
 *
 * Specifies blocking.h where threads cannot be started: each job is refused, by itself, with its
 * .drop called; none counts on a thread that another one is about to start in vain, and hangs.
 */
#include "harness.h"

#ifndef SKUA_FAULTS

int main(void)
{
    fprintf(stderr, "skipped: built without SKUA_FAULTS\n");
    return 77;
}

#else

#include "os/os.h"

enum { CALLERS = 8 };

static atomic_int drops;

static void drops_one(void *arg)
{
    (void)arg;
    atomic_fetch_add(&drops, 1);
}

static int asks_in_vain(void *arg)
{
    for (int i = 0; i < TEST_COUNT(5000); i++)
        if (!CHECK_EQ(skua_blocking(test_fiber_return, NULL, .drop = drops_one), -EAGAIN))
            break;
    (void)arg;
    return 0;
}

TEST(jobs_without_threads_are_refused)
{
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[3], (skua_runtime_options){.blocking_threads = threads});
        skua_scope scope;

        atomic_store(&drops, 0);
        skua__fault_arm(SKUA__FAULT_THREAD, 1, UINT32_MAX, EAGAIN);
        MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
        for (int i = 0; i < CALLERS; i++)
            CHECK_EQ(skua_spawn(&scope, asks_in_vain, NULL), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        skua__fault_arm(SKUA__FAULT_THREAD, 0, 0, 0);
        CHECK_EQ(atomic_load(&drops), CALLERS * TEST_COUNT(5000));
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_without_threads_are_refused),
    };

    return TEST_MAIN(tests);
}

#endif
