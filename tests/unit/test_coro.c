/* test_coro.c - switching stacks: order, registers, control words, ends, overflow.
 *
 * These tests drive task/coro.h by hand, without a runtime. What runs on a coro's stack only
 * records; the cmocka asserts, which leave by longjmp, are made on the thread's own stack.
 */
#include <fenv.h>
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
#include "coro/coro.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#define PAIR_MAX 3

/* The stacks and coros of one test. */
struct coro_pair {
    struct skua__stack_depot depot;
    struct skua__stack_cache cache;
    struct skua__stack *stack[PAIR_MAX];
    struct skua__coro coro[PAIR_MAX];
    struct skua__coro loop;
    int trace[64];
    int trace_len;
};

static struct coro_pair pair;

static void pair_begin(size_t size)
{
    const size_t sizes[SKUA__STACK_CLASSES] = {size, 4 * size};

    memset(&pair, 0, sizeof pair);
    skua__stack_depot_init(&pair.depot, sizes);
    skua__stack_cache_init(&pair.cache, &pair.depot);
    skua__coro_thread(&pair.loop);
}

static void pair_make(int i, void (*entry)(void *arg))
{
    assert_int_equal(skua__stack_take(&pair.cache, SKUA__STACK_DEFAULT, &pair.stack[i]), 0);
    skua__coro_make(&pair.coro[i], pair.stack[i], entry, (void *)(intptr_t)i);
}

static void pair_drop(int i)
{
    skua__coro_free(&pair.coro[i]);
    skua__stack_give(&pair.cache, pair.stack[i]);
    pair.stack[i] = NULL;
}

static void pair_end(void)
{
    skua__stack_cache_done(&pair.cache);
    skua__stack_depot_done(&pair.depot);
}

static void pair_trace(int value)
{
    if (pair.trace_len < 64)
        pair.trace[pair.trace_len++] = value;
}

/* ---- order ----------------------------------------------------------------------------------- */

static void ping_entry(void *arg)
{
    int me = (int)(intptr_t)arg;

    for (int i = 0; i < 3; i++) {
        pair_trace(10 * me + i);
        skua__coro_switch(&pair.coro[me], &pair.loop);
    }
    skua__coro_leave(&pair.coro[me], &pair.loop);
}

static void test_ping_pong(void **state)
{
    static const int want[] = {0, 10, 1, 11, 2, 12};

    (void)state;
    pair_begin(64 * 1024);
    pair_make(0, ping_entry);
    pair_make(1, ping_entry);
    for (int i = 0; i < 4; i++) {
        skua__coro_switch(&pair.loop, &pair.coro[0]);
        skua__coro_switch(&pair.loop, &pair.coro[1]);
    }
    assert_int_equal(pair.trace_len, 6);
    assert_memory_equal(pair.trace, want, sizeof want);
    pair_drop(0);
    pair_drop(1);
    pair_end();
}

/* From one to the next without the loop between. */
static void chain_entry(void *arg)
{
    int me = (int)(intptr_t)arg;

    for (int i = 0; i < 3; i++) {
        pair_trace(10 * me + i);
        skua__coro_switch(&pair.coro[me], &pair.coro[1 - me]);
    }
    pair_trace(100 + me);
    if (me == 0)
        skua__coro_leave(&pair.coro[0], &pair.coro[1]);
    skua__coro_leave(&pair.coro[1], &pair.loop);
}

static void test_direct(void **state)
{
    static const int want[] = {0, 10, 1, 11, 2, 12, 100, 101};

    (void)state;
    pair_begin(16 * 1024);
    pair_make(0, chain_entry);
    pair_make(1, chain_entry);
    skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(pair.trace_len, 8);
    assert_memory_equal(pair.trace, want, sizeof want);
    pair_drop(0);
    pair_drop(1);
    pair_end();
}

static void test_never_run(void **state)
{
    (void)state;
    pair_begin(64 * 1024);
    pair_make(0, ping_entry);
    assert_true((char *)pair.coro[0].sp > pair.stack[0]->low + pair.stack[0]->size - 2048);
    assert_true((char *)pair.coro[0].sp < pair.stack[0]->low + pair.stack[0]->size);
    pair_drop(0);
    pair_end();
}

/* ---- what survives a switch ------------------------------------------------------------------ */

/* Sixteen values that live over switches: more than there are registers to keep them. */
static void registers_entry(void *arg)
{
    uint64_t v[16];
    uint64_t base = (uint64_t)(intptr_t)arg * 1000 + 1;

    for (unsigned i = 0; i < 16; i++)
        v[i] = base + i;
    for (int round = 0; round < 1000; round++) {
        skua__coro_switch(&pair.coro[(int)(intptr_t)arg], &pair.loop);
        for (unsigned i = 0; i < 16; i++)
            v[i] = v[i] * 3 + v[(i + 1) % 16];
    }
    for (unsigned i = 1; i < 16; i++)
        v[0] ^= v[i];
    pair_trace((int)(v[0] & 0x7fffffff));
    skua__coro_leave(&pair.coro[(int)(intptr_t)arg], &pair.loop);
}

static int registers_expected(uint64_t base)
{
    uint64_t v[16];

    for (unsigned i = 0; i < 16; i++)
        v[i] = base + i;
    for (int round = 0; round < 1000; round++)
        for (unsigned i = 0; i < 16; i++)
            v[i] = v[i] * 3 + v[(i + 1) % 16];
    for (unsigned i = 1; i < 16; i++)
        v[0] ^= v[i];
    return (int)(v[0] & 0x7fffffff);
}

static void test_registers(void **state)
{
    (void)state;
    pair_begin(64 * 1024);
    for (int i = 0; i < PAIR_MAX; i++)
        pair_make(i, registers_entry);
    for (int round = 0; round <= 1000; round++)
        for (int i = 0; i < PAIR_MAX; i++)
            skua__coro_switch(&pair.loop, &pair.coro[i]);
    assert_int_equal(pair.trace_len, PAIR_MAX);
    for (int i = 0; i < PAIR_MAX; i++) {
        assert_int_equal(pair.trace[i], registers_expected((uint64_t)i * 1000 + 1));
        pair_drop(i);
    }
    pair_end();
}

/* Touches `depth` frames of 256 bytes and more, and switches at the deepest. */
static SKUA__NOINLINE int deep_use(int depth)
{
    volatile char frame[256];
    int sum;

    memset((char *)frame, depth & 0x7f, sizeof frame);
    if (depth == 0) {
        skua__coro_switch(&pair.coro[0], &pair.loop);
        return 1;
    }
    sum = deep_use(depth - 1);
    for (size_t i = 0; i < sizeof frame; i++)
        if (frame[i] != (depth & 0x7f))
            return 0;
    return sum;
}

static void deep_entry(void *arg)
{
    (void)arg;
    for (;;) {
        pair_trace(deep_use(100));
        skua__coro_switch(&pair.coro[0], &pair.loop);
    }
}

static void test_deep(void **state)
{
    (void)state;
    pair_begin(256 * 1024);
    pair_make(0, deep_entry);
    for (int i = 0; i < 6; i++)
        skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(pair.trace_len, 3);
    assert_int_equal(pair.trace[0] + pair.trace[1] + pair.trace[2], 3);
    pair_drop(0);
    pair_end();
}

/* ---- reuse ----------------------------------------------------------------------------------- */

static void once_entry(void *arg)
{
    char text[200];

    snprintf(text, sizeof text, "%d %.3f", (int)(intptr_t)arg, 1.5);
    pair.trace[0] += (int)strlen(text);
    skua__coro_leave(&pair.coro[0], &pair.loop);
}

/* Thousands of coros, one after the other, on the stack that was given back last. */
static void test_reuse(void **state)
{
    struct skua__stack *first = NULL;

    (void)state;
    pair_begin(64 * 1024);
    for (int i = 0; i < 2000; i++) {
        pair_make(0, once_entry);
        if (first == NULL)
            first = pair.stack[0];
        assert_ptr_equal(pair.stack[0], first);
        skua__coro_switch(&pair.loop, &pair.coro[0]);
        pair_drop(0);
    }
    assert_int_equal(pair.trace[0], 2000 * 7);
    pair_end();
}

/* One stack, three lives: the running coro moves from struct to struct. */
static void heir_entry(void *arg)
{
    (void)arg;
    for (int i = 0; i < PAIR_MAX; i++) {
        pair_trace(i);
        skua__coro_switch(&pair.coro[i], &pair.loop);
        if (i + 1 < PAIR_MAX)
            pair.coro[i + 1] = pair.coro[i];
    }
    skua__coro_leave(&pair.coro[PAIR_MAX - 1], &pair.loop);
}

static void test_moved(void **state)
{
    (void)state;
    pair_begin(64 * 1024);
    pair_make(0, heir_entry);
    for (int i = 0; i <= PAIR_MAX; i++)
        skua__coro_switch(&pair.loop, &pair.coro[i == 0 ? 0 : i - 1]);
    assert_int_equal(pair.trace_len, PAIR_MAX);
    skua__coro_free(&pair.coro[PAIR_MAX - 1]);
    skua__stack_give(&pair.cache, pair.stack[0]);
    pair_end();
}

/* ---- control words --------------------------------------------------------------------------- */

static void rounding_entry(void *arg)
{
    struct skua__stack *stack = pair.stack[0];

    (void)arg;
    skua__coro_fp_begin(stack);
    pair_trace(fegetround());
    fesetround(FE_UPWARD);
    skua__coro_switch_fp(&pair.coro[0], &pair.loop, stack);
    pair_trace(fegetround());
    skua__coro_switch_fp(&pair.coro[0], &pair.loop, stack);
    pair_trace(fegetround());
    skua__coro_fp_end(stack);
    skua__coro_leave(&pair.coro[0], &pair.loop);
}

static void test_control_words(void **state)
{
    static const int want[] = {FE_TONEAREST, FE_UPWARD, FE_UPWARD};

    (void)state;
    pair_begin(64 * 1024);
    pair_make(0, rounding_entry);
    assert_int_equal(fegetround(), FE_TONEAREST);
    skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(fegetround(), FE_TONEAREST);
    skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(fegetround(), FE_TONEAREST);
    /* The thread changes its own in the meantime: they are its own afterwards, too. */
    fesetround(FE_DOWNWARD);
    skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(fegetround(), FE_DOWNWARD);
    fesetround(FE_TONEAREST);
    assert_int_equal(pair.trace_len, 3);
    assert_memory_equal(pair.trace, want, sizeof want);
    pair_drop(0);
    pair_end();
}

static void plain_rounding_entry(void *arg)
{
    (void)arg;
    fesetround(FE_UPWARD);
    skua__coro_leave(&pair.coro[0], &pair.loop);
}

/* Without the opt-in the words are the thread's. */
static void test_shared_words(void **state)
{
    (void)state;
    pair_begin(64 * 1024);
    pair_make(0, plain_rounding_entry);
    skua__coro_switch(&pair.loop, &pair.coro[0]);
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    pair_drop(0);
    pair_end();
}

/* ---- threads --------------------------------------------------------------------------------- */

#define CREW_THREADS 4
#define CREW_COROS 64
#define CREW_LIVES 5
#define CREW_YIELDS (SKUA__TSAN || SKUA__ASAN ? 50 : 500)

struct crew_member {
    struct skua__coro coro;
    struct skua__coro *home; /* the loop of the thread that runs it */
    struct skua__stack *stack;
    struct crew_member *next; /* lock: crew_mutex */
    int yields;
    int lives;
};

static pthread_mutex_t crew_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct crew_member *crew_head; /* lock: crew_mutex, as the next */
static struct crew_member *crew_tail;
static int crew_alive;
static struct crew_member crew[CREW_COROS];

static void crew_push(struct crew_member *member)
{
    pthread_mutex_lock(&crew_mutex);
    member->next = NULL;
    *(crew_head == NULL ? &crew_head : &crew_tail->next) = member;
    crew_tail = member;
    pthread_mutex_unlock(&crew_mutex);
}

static struct crew_member *crew_pop(bool *over)
{
    struct crew_member *member;

    pthread_mutex_lock(&crew_mutex);
    member = crew_head;
    if (member != NULL)
        crew_head = member->next;
    *over = crew_alive == 0;
    pthread_mutex_unlock(&crew_mutex);
    return member;
}

static void crew_entry(void *arg)
{
    struct crew_member *member = arg;
    char text[100];

    for (int i = 0; i < CREW_YIELDS; i++) {
        snprintf(text, sizeof text, "%p %d", arg, i);
        skua__coro_switch(&member->coro, member->home);
        if (atoi(strchr(text, ' ')) != i)
            abort();
        member->yields++;
    }
    member->lives++;
    skua__coro_leave(&member->coro, member->home);
}

static void crew_bear(struct crew_member *member, struct skua__stack_cache *cache)
{
    if (skua__stack_take(cache, SKUA__STACK_DEFAULT, &member->stack) != 0)
        abort();
    skua__coro_make(&member->coro, member->stack, crew_entry, member);
}

/* One of them ended: its stack is somebody's next, on this thread or another. */
static void crew_bury(struct crew_member *member, struct skua__stack_cache *cache)
{
    skua__coro_free(&member->coro);
    skua__stack_give(cache, member->stack);
    if (member->lives < CREW_LIVES) {
        crew_bear(member, cache);
        crew_push(member);
        return;
    }
    pthread_mutex_lock(&crew_mutex);
    crew_alive--;
    pthread_mutex_unlock(&crew_mutex);
}

static void *crew_thread(void *arg)
{
    struct skua__stack_cache cache;
    struct skua__coro loop;
    bool over = false;

    skua__stack_cache_init(&cache, arg);
    skua__coro_thread(&loop);
    while (!over) {
        struct crew_member *member = crew_pop(&over);
        int lives;

        if (member == NULL)
            continue;
        lives = member->lives;
        member->home = &loop;
        skua__coro_switch(&loop, &member->coro);
        if (member->lives == lives)
            crew_push(member);
        else
            crew_bury(member, &cache);
    }
    skua__stack_cache_done(&cache);
    return NULL;
}

/* Coros that go on on whatever thread takes them next. */
static void test_threads(void **state)
{
    pthread_t threads[CREW_THREADS];

    (void)state;
    pair_begin(64 * 1024);
    crew_alive = CREW_COROS;
    for (int i = 0; i < CREW_COROS; i++) {
        crew_bear(&crew[i], &pair.cache);
        crew_push(&crew[i]);
    }
    for (int i = 0; i < CREW_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crew_thread, &pair.depot), 0);
    for (int i = 0; i < CREW_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < CREW_COROS; i++)
        assert_int_equal(crew[i].yields, CREW_YIELDS * CREW_LIVES);
    pair_end();
}

/* ---- overflow -------------------------------------------------------------------------------- */

static bool overflow_tell(void *addr)
{
    if (!skua__stack_guard_holds(pair.stack[0], addr))
        return false;
    skua__os_stderr("stack overflow told\n");
    return true;
}

static volatile int overflow_depth_max = 1000000; /* hidden from compilers that foresee the end */

static SKUA__NOINLINE int overflow_recurse(int depth)
{
    volatile char frame[512];

    frame[0] = (char)depth;
    if (depth == overflow_depth_max)
        return 0;
    return overflow_recurse(depth + 1) + frame[0];
}

static void overflow_entry(void *arg)
{
    (void)arg;
    pair_trace(overflow_recurse(0));
    skua__coro_leave(&pair.coro[0], &pair.loop);
}

static int *volatile wild = (int *)(uintptr_t)16;

static void wild_entry(void *arg)
{
    (void)arg;
    *(volatile char *)(pair.stack[0]->low + 64) = 1; /* fine */
    *wild = 1;                                       /* a fault, but not ours */
    skua__coro_leave(&pair.coro[0], &pair.loop);
}

static void before_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(number == SIGSEGV && info->si_addr == (void *)(uintptr_t)16 ? 42 : 43);
}

static char overflow_text[65536];
static char default_text[65536];
static int default_status;

/* Runs `entry` in a child process with the handler; returns its status. `text` gets its stderr. */
static int overflow_child(void (*entry)(void *), bool handler_before, char *text, size_t size)
{
    int out[2];
    int status;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    if (pipe(out) != 0)
        abort();
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct sigaction action = {.sa_sigaction = before_handler, .sa_flags = SA_SIGINFO};

        dup2(out[1], STDERR_FILENO);
        if (handler_before)
            sigaction(SIGSEGV, &action, NULL);
        if (skua__os_altstack_init() != 0 || skua__os_overflow_install(overflow_tell) != 0)
            _exit(2);
        pair_begin(64 * 1024);
        pair_make(0, entry);
        skua__coro_switch(&pair.loop, &pair.coro[0]);
        _exit(0);
    }
    close(out[1]);
    while (len + 1 < size && (n = read(out[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(out[0]);
    if (waitpid(pid, &status, 0) != pid)
        abort();
    return status;
}

static void test_overflow(void **state)
{
    int status = overflow_child(overflow_entry, false, overflow_text, sizeof overflow_text);

    (void)state;
    assert_non_null(strstr(overflow_text, "stack overflow told"));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_overflow_not_ours(void **state)
{
    int status;

    (void)state;
    if (RUNNING_ON_VALGRIND)
        skip(); /* it counts the fault as an error of the child's, and changes the exit status */
    status = overflow_child(wild_entry, true, overflow_text, sizeof overflow_text);
    assert_null(strstr(overflow_text, "stack overflow told"));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* Nobody handled it before: the process dies as it would have without the library. The child ran
 * before cmocka had put a handler of its own in the place. */
static void test_overflow_default(void **state)
{
    (void)state;
    assert_null(strstr(default_text, "stack overflow told"));
#if SKUA__ASAN
    assert_non_null(strstr(default_text, "AddressSanitizer: SEGV on unknown address"));
    assert_non_null(strstr(default_text, "wild_entry"));
    assert_true(default_status != 0);
#elif SKUA__TSAN
    assert_true(default_status != 0);
#else
    assert_true(WIFSIGNALED(default_status) && WTERMSIG(default_status) == SIGSEGV);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_never_run),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_control_words),
        cmocka_unit_test(test_shared_words),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_overflow_not_ours),
        cmocka_unit_test(test_overflow_default),
    };

    default_status = overflow_child(wild_entry, false, default_text, sizeof default_text);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
