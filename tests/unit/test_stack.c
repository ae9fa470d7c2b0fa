/* test_stack.c - stacks, the memory under them, signals: every way they can fail.
 *
 * Built with SKUA_FAULTS: each error path of map, guard and take runs by making the nth call fail.
 * An injected EINVAL plays, to skua__os_guard, a kernel without MADV_GUARD_INSTALL.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"
#include "coro/stack.h"

#define MANY 200

static struct skua__stack_depot depot;
static struct skua__stack_cache cache;

static void stacks_begin(void)
{
    const size_t sizes[SKUA__STACK_CLASSES] = {64 * 1024, 256 * 1024};

    skua__stack_depot_init(&depot, sizes);
    skua__stack_cache_init(&cache, &depot);
}

static void stacks_end(void)
{
    skua__stack_cache_done(&cache);
    skua__stack_depot_done(&depot);
}

static struct skua__stack *stacks_take(unsigned stack_class)
{
    struct skua__stack *stack = NULL;

    assert_int_equal(skua__stack_take(&cache, stack_class, &stack), 0);
    assert_non_null(stack);
    return stack;
}

/* Ends as a fault does: the exit status of a child that reads, then writes `addr`. */
static int touch_in_child(volatile char *addr)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        *addr = (char)(*addr + 1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void disarm(void)
{
    for (int i = 0; i < SKUA__FAULT_KINDS; i++)
        skua__fault_arm((enum skua__fault)i, 0, 0, 0);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void test_fault_counts(void **state)
{
    void *blocks[5];

    (void)state;
    skua__fault_arm(SKUA__FAULT_MALLOC, 2, 2, ENOMEM);
    for (int i = 0; i < 5; i++)
        blocks[i] = skua__os_alloc(8);
    assert_int_equal(skua__fault_calls(SKUA__FAULT_MALLOC), 5);
    assert_non_null(blocks[0]);
    assert_null(blocks[1]);
    assert_null(blocks[2]);
    assert_non_null(blocks[3]);
    assert_non_null(blocks[4]);
    assert_int_equal(skua__fault_hit(SKUA__FAULT_SYSCALL), 0);
    disarm();
    assert_int_equal(skua__fault_calls(SKUA__FAULT_MALLOC), 0);
    for (int i = 0; i < 5; i++)
        skua__os_free(blocks[i]);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_alloc(void **state)
{
    (void)state;
    for (size_t align = 16; align <= 4096; align *= 2) {
        unsigned char *ptr = skua__os_alloc_aligned(align + 8, align);

        assert_non_null(ptr);
        assert_int_equal((uintptr_t)ptr % align, 0);
        for (size_t i = 0; i < align + 8; i++)
            assert_int_equal(ptr[i], 0);
        memset(ptr, 0xff, align + 8);
        skua__os_free(ptr);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    assert_null(skua__os_alloc_aligned(64, 64));
    disarm();
}

static void test_map(void **state)
{
    size_t page = skua__os_page_size();
    char *map = skua__os_map(8 * page);

    (void)state;
    assert_non_null(map);
    memset(map, 1, 8 * page);
    skua__os_decommit(map + page, 2 * page);
    assert_int_equal(map[0], 1);
    assert_int_equal(map[page], 0);
    assert_int_equal(map[3 * page - 1], 0);
    assert_int_equal(map[3 * page], 1);
    skua__os_unmap(map, 8 * page);
    skua__fault_arm(SKUA__FAULT_MMAP, 1, 1, ENOMEM);
    assert_null(skua__os_map(page));
    disarm();
    /* 47 bits of address space; TSan's and ASan's mmap would end the process at this one. */
    if (!SKUA__ASAN && !SKUA__TSAN)
        assert_null(skua__os_map((size_t)1 << 60));
}

static void test_reserve(void **state)
{
    size_t page = skua__os_page_size();

    (void)state;
    for (size_t align = page; align <= (size_t)1 << 26; align *= 4) {
        char *space = skua__os_reserve(4 * align, align);

        assert_non_null(space);
        assert_int_equal((uintptr_t)space % align, 0);
        assert_int_equal(skua__os_commit(space + align, page), 0);
        assert_int_equal(space[align], 0);
        memset(space + align, 1, page);
        if (align == page)
            assert_true(WIFSIGNALED(touch_in_child(space)) || SKUA__ASAN || SKUA__TSAN);
        skua__os_unmap(space, 4 * align);
    }
    assert_null(skua__os_reserve((size_t)0 - page, 4 * page));
    skua__fault_arm(SKUA__FAULT_MMAP, 1, 2, ENOMEM);
    assert_null(skua__os_reserve(page, page));
    assert_int_equal(skua__os_commit(&page, 0), -ENOMEM);
    disarm();
}

static void test_guard(void **state)
{
    static const int errors[] = {0, EINVAL}; /* this kernel's way; mprotect */
    size_t page = skua__os_page_size();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char *map = skua__os_map(3 * page);

        assert_non_null(map);
        skua__fault_arm(SKUA__FAULT_MMAP, errors[i] != 0, 1, errors[i]);
        assert_int_equal(skua__os_guard(map + page, page), 0);
        disarm();
        assert_int_equal(touch_in_child(map), 0);
        assert_int_equal(touch_in_child(map + 2 * page), 0);
        assert_int_not_equal(touch_in_child(map + page), 0);
        assert_int_not_equal(touch_in_child(map + 2 * page - 1), 0);
        skua__os_unmap(map, 3 * page);
    }
    skua__fault_arm(SKUA__FAULT_MMAP, 1, 1, ENOMEM);
    assert_int_equal(skua__os_guard(&page, 0), -ENOSPC);
    disarm();
}

/* ---- taking and giving ----------------------------------------------------------------------- */

static void test_sizes(void **state)
{
    const size_t sizes[SKUA__STACK_CLASSES] = {1, 100001};
    size_t page = skua__os_page_size();
    struct skua__stack *stack;

    (void)state;
    skua__stack_depot_init(&depot, sizes);
    skua__stack_cache_init(&cache, &depot);
    stack = stacks_take(SKUA__STACK_DEFAULT);
    assert_int_equal(stack->size, skua__round_up(SKUA__STACK_SIZE_MIN, page));
    memset(stack->low + SKUA__CACHE_LINE, 0xa5, stack->size - SKUA__CACHE_LINE);
    skua__stack_give(&cache, stack);
    stack = stacks_take(SKUA__STACK_LARGE);
    assert_int_equal(stack->size, skua__round_up(100001, page));
    assert_int_equal((uintptr_t)stack->low % page, 0);
    memset(stack->low + SKUA__CACHE_LINE, 0xa5, stack->size - SKUA__CACHE_LINE);
    skua__stack_give(&cache, stack);
    stacks_end();
}

static void test_guards_hold(void **state)
{
    size_t page = skua__os_page_size();
    struct skua__stack *stack;

    (void)state;
    stacks_begin();
    stack = stacks_take(SKUA__STACK_DEFAULT);
    assert_true(stack->guarded);
    assert_true(skua__stack_canary_ok(stack));
    assert_true(skua__stack_guard_holds(stack, stack->low - 1));
    assert_true(skua__stack_guard_holds(stack, stack->low - page));
    assert_false(skua__stack_guard_holds(stack, stack->low - page - 1));
    assert_false(skua__stack_guard_holds(stack, stack->low));
    assert_false(skua__stack_guard_holds(stack, NULL));
    assert_int_not_equal(touch_in_child(stack->low - 1), 0);
    assert_int_equal(touch_in_child(stack->low), 0);
    skua__stack_give(&cache, stack);
    stacks_end();
}

static void test_last_in_first_out(void **state)
{
    struct skua__stack *a;
    struct skua__stack *b;

    (void)state;
    stacks_begin();
    a = stacks_take(SKUA__STACK_DEFAULT);
    b = stacks_take(SKUA__STACK_DEFAULT);
    assert_ptr_not_equal(a, b);
    skua__stack_give(&cache, a);
    skua__stack_give(&cache, b);
    assert_ptr_equal(stacks_take(SKUA__STACK_DEFAULT), b);
    assert_ptr_equal(stacks_take(SKUA__STACK_DEFAULT), a);
    skua__stack_give(&cache, a);
    skua__stack_give(&cache, b);
    assert_int_equal(skua__stack_count(&depot), SKUA__STACK_BATCH);
    stacks_end();
}

static int compare_stacks(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)(*(struct skua__stack *const *)a)->low;
    uintptr_t right = (uintptr_t)(*(struct skua__stack *const *)b)->low;

    return left < right ? -1 : left > right;
}

/* More than cache and warm depot keep: none overlaps another, all come back, none is made twice. */
static void test_many(void **state)
{
    static struct skua__stack *stacks[1000];
    const size_t count = sizeof stacks / sizeof stacks[0];
    size_t made;

    (void)state;
    stacks_begin();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++) {
            stacks[i] = stacks_take(SKUA__STACK_DEFAULT);
            stacks[i]->low[stacks[i]->size - 1] = 1;
        }
        if (round == 0)
            made = skua__stack_count(&depot);
        assert_int_equal(skua__stack_count(&depot), made);
        qsort(stacks, count, sizeof stacks[0], compare_stacks);
        for (size_t i = 0; i + 1 < count; i++)
            assert_true(stacks[i]->low + stacks[i]->size + depot.page <= stacks[i + 1]->low);
        for (size_t i = 0; i < count; i++)
            skua__stack_give(&cache, stacks[i]);
    }
    assert_int_equal(made, skua__round_up(count, SKUA__STACK_BATCH));
    assert_non_null(depot.cold[SKUA__STACK_DEFAULT]);
    assert_int_equal(skua__load_relaxed(&depot.unguarded), 0);
    stacks_end();
}

/* What one worker gave back another takes; a cold stack is zero again. */
static void test_depot_shared(void **state)
{
    static struct skua__stack *stacks[1000];
    struct skua__stack_cache other;
    size_t zeroed = 0;

    (void)state;
    stacks_begin();
    skua__stack_cache_init(&other, &depot);
    for (int i = 0; i < 1000; i++) {
        stacks[i] = stacks_take(SKUA__STACK_LARGE);
        stacks[i]->low[stacks[i]->size - 1] = 1;
    }
    for (int i = 0; i < 1000; i++)
        skua__stack_give(&cache, stacks[i]);
    skua__stack_cache_done(&cache);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(skua__stack_take(&other, SKUA__STACK_LARGE, &stacks[i]), 0);
        zeroed += stacks[i]->low[stacks[i]->size - 1] == 0;
    }
    assert_int_equal(skua__stack_count(&depot), 1024);
    assert_in_range(zeroed, 1000 - 32 * 8 - 64, 1000 - 32 * 7);
    for (int i = 0; i < 1000; i++)
        skua__stack_give(&other, stacks[i]);
    skua__stack_cache_done(&other);
    stacks_end();
}

/* ---- without guards -------------------------------------------------------------------------- */

static void test_canary(void **state)
{
    struct skua__stack *stack;

    (void)state;
    stacks_begin();
    skua__fault_arm(SKUA__FAULT_MMAP, 2, 1000, ENOSPC); /* the mapping, but none of the guards */
    stack = stacks_take(SKUA__STACK_DEFAULT);
    disarm();
    assert_false(stack->guarded);
    assert_int_equal(skua__load_relaxed(&depot.unguarded), SKUA__STACK_BATCH);
    assert_false(skua__stack_guard_holds(stack, stack->low - 1));
    assert_true(skua__stack_canary_ok(stack));
    memset(stack->low + SKUA__CACHE_LINE, 1, stack->size - SKUA__CACHE_LINE);
    assert_true(skua__stack_canary_ok(stack));
    for (int i = 0; i < SKUA__CACHE_LINE; i += 8) {
        stack->low[i] = 1;
        assert_false(skua__stack_canary_ok(stack));
        stack->low[i] = 0;
    }
    assert_true(skua__stack_canary_ok(stack));
    skua__stack_give(&cache, stack);
    stacks_end();
}

/* An old kernel and more stacks than 45 % of its mappings allow: the rest have canaries. In a
 * child, because the mappings count for the whole process. */
static void many_by_mprotect(void)
{
    struct skua__stack *list = NULL;
    struct skua__stack *stack;
    size_t guarded = 0;
    size_t count = 0;

    stacks_begin();
    skua__fault_arm(SKUA__FAULT_MMAP, 1, ~0u, EINVAL);
    while (count < 40000) {
        /* Only the guards are to meet the old kernel. */
        if (cache.free[SKUA__STACK_DEFAULT] == NULL)
            skua__fault_arm(SKUA__FAULT_MMAP, 2, ~0u - 1, EINVAL);
        if (skua__stack_take(&cache, SKUA__STACK_DEFAULT, &stack) != 0)
            _exit(1);
        guarded += stack->guarded;
        stack->low[stack->size - 1] = 1;
        stack->next = list;
        list = stack;
        count++;
    }
    disarm();
    /* 65,530 * 45 % / 2 = 14,744, less what the process had before; machines may be configured
     * for more. */
    if (guarded == 0 || guarded + skua__load_relaxed(&depot.unguarded) != count)
        _exit(2);
    while (list != NULL) {
        stack = list;
        list = stack->next;
        if (!skua__stack_canary_ok(stack))
            _exit(3);
        skua__stack_give(&cache, stack);
    }
    stacks_end();
    _exit(0);
}

static void test_many_by_mprotect(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (SKUA__ASAN || SKUA__TSAN)
        skip(); /* their shadow has mappings of its own */
    pid = fork();
    if (pid == 0)
        many_by_mprotect();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Makes each call of `kind` fail in turn. Returns how many of the takes failed. */
static unsigned take_with_faults(enum skua__fault kind, unsigned calls)
{
    unsigned failed = 0;

    for (unsigned nth = 1; nth <= calls; nth++) {
        struct skua__stack *stack = (struct skua__stack *)(void *)&depot;
        int rc;

        stacks_begin();
        skua__fault_arm(kind, nth, 1, ENOMEM);
        rc = skua__stack_take(&cache, SKUA__STACK_DEFAULT, &stack);
        disarm();
        if (rc != 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_ptr_equal(stack, &depot);
            assert_int_equal(skua__stack_count(&depot), 0);
            failed++;
            stack = stacks_take(SKUA__STACK_DEFAULT); /* memory is back: all is well */
        }
        skua__stack_give(&cache, stack);
        stacks_end();
    }
    return failed;
}

static void test_take_fails(void **state)
{
    (void)state;
    assert_int_equal(take_with_faults(SKUA__FAULT_MALLOC, 1), 1);
    assert_int_equal(take_with_faults(SKUA__FAULT_MMAP, 1 + SKUA__STACK_BATCH), 1);
}

static void expect_abort(void (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_not_equal(status, 0);
}

static void lose_a_stack(void)
{
    stacks_begin();
    stacks_take(SKUA__STACK_DEFAULT);
    stacks_end();
}

static void give_an_overflown_stack(void)
{
    struct skua__stack *stack;

    stacks_begin();
    skua__fault_arm(SKUA__FAULT_MMAP, 2, 1000, ENOSPC);
    stack = stacks_take(SKUA__STACK_DEFAULT);
    stack->low[8] = 1;
    skua__stack_give(&cache, stack);
}

static void test_misuse(void **state)
{
    (void)state;
    expect_abort(lose_a_stack);
    expect_abort(give_an_overflown_stack);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *churn(void *arg)
{
    struct skua__stack_cache mine;
    struct skua__stack *stacks[MANY];

    (void)arg;
    skua__stack_cache_init(&mine, &depot);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < MANY; i++) {
            if (skua__stack_take(&mine, SKUA__STACK_DEFAULT, &stacks[i]) != 0)
                abort();
            *(int *)(void *)(stacks[i]->low + stacks[i]->size - 64) = i;
        }
        for (int i = 0; i < MANY; i++) {
            if (*(int *)(void *)(stacks[i]->low + stacks[i]->size - 64) != i)
                abort();
            skua__stack_give(&mine, stacks[i]);
        }
    }
    skua__stack_cache_done(&mine);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    stacks_begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stacks_end();
}

/* ---- signals --------------------------------------------------------------------------------- */

static void *altstack_thread(void *arg)
{
    stack_t now;
    stack_t before;

    (void)arg;
    if (sigaltstack(NULL, &before) != 0 || skua__os_altstack_init() != 0)
        return NULL;
    if (sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) || now.ss_size < 16 * 1024)
        return NULL;
    skua__os_altstack_done();
    if (sigaltstack(NULL, &now) != 0 || now.ss_flags != before.ss_flags)
        return NULL;
    return "well";
}

static void test_altstack(void **state)
{
    pthread_t thread;
    void *answer;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, altstack_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_non_null(answer);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EPERM);
    assert_int_equal(skua__os_altstack_init(), -EPERM);
    if (!SKUA__ASAN && !SKUA__TSAN) { /* theirs would do */
        skua__fault_arm(SKUA__FAULT_MMAP, 1, 1, ENOMEM);
        assert_int_equal(skua__os_altstack_init(), -ENOMEM);
    }
    skua__os_altstack_done(); /* there is none: fine */
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EPERM);
    assert_int_equal(skua__os_overflow_install(NULL), -EPERM);
    disarm();
}

static void refuse_to_abort(int number)
{
    (void)number;
    _exit(0);
}

static void abort_for_sure(void)
{
    sigset_t set;

    signal(SIGABRT, refuse_to_abort);
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    skua__os_abort();
}

static void test_abort(void **state)
{
    (void)state;
    expect_abort(abort_for_sure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_counts), cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_map),          cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_guard),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_guards_hold),  cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_depot_shared),
        cmocka_unit_test(test_canary),       cmocka_unit_test(test_many_by_mprotect),
        cmocka_unit_test(test_take_fails),   cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_altstack),
        cmocka_unit_test(test_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
