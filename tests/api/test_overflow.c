/* test_overflow.c - a fiber that overflows its stack dies with its name on its lips.
 *
 * Specifies the promise of the architecture: not silence and not a corrupted neighbour, but the
 * fiber's name, where it was spawned and its stack's size on standard error, then death by signal.
 * A segmentation fault that is no overflow stays what it is, and a handler of the user's that was
 * there before is called.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/event.h"

/* ---- the children ---------------------------------------------------------------------------- */

static volatile int sink;

static __attribute__((noinline)) int digs(int depth)
{
    volatile char room[512];

    room[0] = (char)depth;
    room[sizeof room - 1] = room[0];
    sink = depth < 1000000000 ? digs(depth + 1) + room[0] : 0;
    return sink;
}

static int digger(void *arg)
{
    if (arg)
        skua_sleep(MS(1)); /* not on its first turn */
    return digs(0);
}

/* One that jumps over a page at a time, as a big array on the stack does. */
static int leaper(void *arg)
{
    volatile char room[40 * 1024];

    (void)arg;
    for (size_t i = sizeof room; i > 0; i -= 256)
        room[i - 1] = 1;
    sink = room[0];
    return skua_yield() + digs(0);
}

enum { SPAWN_LINE = __LINE__ + 6 }; /* of the first skua_spawn below */

static int spawns_digger(void *arg)
{
    const char *mode = arg;
    if (strcmp(mode, "digger") == 0)
        MUST(skua_spawn(NULL, digger, NULL) == 0);
    if (strcmp(mode, "named") == 0)
        MUST(skua_spawn(NULL, digger, NULL, .name = "badger") == 0);
    if (strcmp(mode, "large") == 0)
        MUST(skua_spawn(NULL, digger, "x", .name = "mole", .stack = SKUA_STACK_LARGE) == 0);
    if (strcmp(mode, "leaper") == 0)
        MUST(skua_spawn(NULL, leaper, NULL) == 0);
    return skua_sleep(SKUA_FOREVER);
}

static int faults(void *arg)
{
    volatile int *volatile nowhere = arg;

    return *nowhere;
}

static void users_handler(int signal)
{
    (void)signal;
    (void)!write(STDERR_FILENO, "the user's handler\n", 19);
    _exit(55);
}

static int child_main(const char *mode)
{
    skua_runtime_options options = {.size = sizeof options, .workers = 2};
    skua_runtime *runtime;
    struct sigaction action = {.sa_handler = users_handler, .sa_flags = SA_ONSTACK};

    if (strncmp(mode, "current ", 8) == 0) {
        options = (skua_runtime_options){.size = sizeof options, .kind = SKUA_CURRENT_THREAD};
        mode += 8;
    }
    if (strcmp(mode, "handled fault") == 0)
        sigaction(SIGSEGV, &action, NULL);
    if (skua_runtime_new(&runtime, &options) != 0)
        return 97;
    if (strstr(mode, "fault"))
        return skua_block_on(runtime, faults, NULL, NULL);
    if (strcmp(mode, "main thread") == 0)
        return digs(0);
    return skua_block_on(runtime, spawns_digger, (void *)mode, NULL);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void says(const struct test_child *child, const char *text, const char *or_text)
{
    if (!strstr(child->text, text) && !(or_text && strstr(child->text, or_text))) {
        CHECK(!"the fiber told what it is");
        test_note("\"%s\" is not in: %s", text, child->text);
    }
}

static void check_overflow(const char *mode, const char *name, const char *kib, const char *bytes)
{
    struct test_child child;
    int status;

    test_variant(mode);
    status = test_child_run(&child, mode, NULL);
    CHECK(WIFSIGNALED(status));
    if (WIFSIGNALED(status))
        CHECK(WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGABRT);
    says(&child, name, NULL);
    says(&child, "test_overflow.c:", NULL);
    says(&child, kib, bytes);
    says(&child, "overflow", NULL);
}

static void not_under(bool sanitizer)
{
    if (sanitizer) /* which has handlers, frames and stacks of its own */
        skip();
}

TEST(overflow_tells_the_fiber)
{
    char line[40];
    struct test_child child;

    not_under(TEST_ASAN);
    check_overflow("digger", "digger", "64 KiB", "65536");
    check_overflow("current digger", "digger", "64 KiB", "65536");
    check_overflow("named", "badger", "64 KiB", "65536");
    check_overflow("large", "mole", "256 KiB", "262144");
    check_overflow("current large", "mole", "256 KiB", "262144");
    check_overflow("leaper", "leaper", "64 KiB", "65536");
    snprintf(line, sizeof line, "test_overflow.c:%d", SPAWN_LINE);
    test_child_run(&child, "digger", NULL);
    says(&child, line, NULL);
}

TEST(overflow_is_not_every_fault)
{
    struct test_child child;
    int status;

    not_under(TEST_SANITIZED);
    status = test_child_run(&child, "fault", NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(child.text, "overflow") == NULL);
    status = test_child_run(&child, "handled fault", NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 55);
    CHECK(strstr(child.text, "the user's handler") != NULL);
}

/* The overflow of a thread's own stack is not a fiber's. */
TEST(overflow_of_a_thread_is_no_fibers)
{
    struct test_child child;
    int status;

    not_under(TEST_SANITIZED);
    status = test_child_run(&child, "main thread", NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(strstr(child.text, "fiber") == NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_tells_the_fiber),
        cmocka_unit_test(overflow_is_not_every_fault),
        cmocka_unit_test(overflow_of_a_thread_is_no_fibers),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
