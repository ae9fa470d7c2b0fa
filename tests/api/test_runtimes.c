/* test_runtimes.c - all runtimes of a process: visited while they come and go, told when they are
 * freed, left out when they are to be.
 */
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <skua/probe.h>

#include "../lib/event.h"

static skua_runtime *runtime_of(const char *name, unsigned unseen)
{
    skua_runtime *runtime;

    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.name = name, .workers = 1,
                                                         .kind = SKUA_CURRENT_THREAD,
                                                         .unseen = unseen)) == 0);
    return runtime;
}

static void names(skua_runtime *runtime, void *arg)
{
    (void)strcat(arg, skua_runtime_name(runtime));
}

static const char *all(void)
{
    static char text[256];

    text[0] = '\0';
    (void)skua_runtime_each(names, text);
    return text;
}

static int sleeps(void *arg)
{
    (void)arg;
    return skua_sleep(MS(1));
}

TEST(each_visits_those_that_there_are)
{
    skua_runtime *a, *b;

    CHECK_EQ(skua_runtime_each(NULL, NULL), 0);
    a = runtime_of("a", 0);
    b = runtime_of("b", 0);
    CHECK_EQ(skua_runtime_each(NULL, NULL), 2);
    CHECK(strcmp(all(), "ba") == 0);
    CHECK_EQ(skua_runtime_stop(a, skua_now() + 60 * SKUA_SECOND), 0);
    CHECK(strcmp(all(), "ba") == 0);
    CHECK_EQ(skua_runtime_free(a), 0);
    CHECK(strcmp(all(), "b") == 0);
    CHECK_EQ(skua_runtime_free(b), 0);
    CHECK(strcmp(all(), "") == 0);
}

/* ---- unseen ---------------------------------------------------------------------------------- */

static atomic_uint events;
static const skua_runtime *of;

static void count(const skua_probe_event *event, void *arg)
{
    (void)arg;
    atomic_fetch_add(&events, 1);
    CHECK(event->runtime == of);
}

static const skua_probe_listener listener = {
    .size = sizeof listener, .kinds = SKUA_PROBE_ALL, .event = count};

TEST(what_is_unseen_is_not_visited_and_has_no_probes)
{
    skua_runtime *seen = runtime_of("seen", 0), *unseen = runtime_of("unseen", 1);

    CHECK(strcmp(all(), "seen") == 0);
    CHECK_EQ(skua_probe_attach(&listener), 0);
    CHECK_EQ(skua_block_on(unseen, sleeps, NULL, NULL), 0);
    CHECK_EQ(atomic_load(&events), 0);
    of = seen;
    CHECK_EQ(skua_block_on(seen, sleeps, NULL, NULL), 0);
    CHECK(atomic_load(&events) >= 5);
    CHECK_EQ(skua_probe_detach(&listener), 0);
    CHECK_EQ(skua_runtime_free(seen), 0);
    CHECK_EQ(skua_runtime_free(unseen), 0);
    CHECK_EQ(skua_runtime_new(&seen, SKUA_RUNTIME_OPTIONS(.unseen = 2)), -EINVAL);
}

/* ---- at free --------------------------------------------------------------------------------- */

static atomic_int freed;
static uint64_t spawned;

static void at_free(skua_runtime *runtime)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    if (strcmp(skua_runtime_name(runtime), "told") != 0)
        return;
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 1);
    spawned = stats.spawned_tasks;
    atomic_fetch_add(&freed, 1);
}

static void other1(skua_runtime *runtime)
{
    (void)runtime;
}

static void other2(skua_runtime *runtime)
{
    (void)runtime;
}

static void other3(skua_runtime *runtime)
{
    (void)runtime;
}

static void other4(skua_runtime *runtime)
{
    (void)runtime;
}

TEST(freeing_is_told_once_and_with_all_numbers)
{
    skua_runtime *runtime = runtime_of("told", 0), *unseen = runtime_of("told", 1);

    CHECK_EQ(skua_runtime_at_free(NULL), -EINVAL);
    CHECK_EQ(skua_runtime_at_free(at_free), 0);
    CHECK_EQ(skua_runtime_at_free(at_free), 0);
    CHECK_EQ(skua_runtime_at_free(other1), 0);
    CHECK_EQ(skua_runtime_at_free(other2), 0);
    CHECK_EQ(skua_runtime_at_free(other3), 0);
    CHECK_EQ(skua_runtime_at_free(other4), -EBUSY);
    CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0);
    CHECK_EQ(atomic_load(&freed), 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    CHECK_EQ(atomic_load(&freed), 1);
    CHECK_EQ(spawned, 1);
    CHECK_EQ(skua_runtime_free(unseen), 0);
    CHECK_EQ(atomic_load(&freed), 1);
}

/* ---- at any time ----------------------------------------------------------------------------- */

static void look(skua_runtime *runtime, void *arg)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    (void)arg;
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 2);
}

static void *looks(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        CHECK(skua_runtime_each(look, NULL) <= 1);
    return NULL;
}

TEST(runtimes_come_and_go_while_they_are_visited)
{
    atomic_bool over = false;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, looks, &over) == 0);
    for (int i = 0; i < TEST_COUNT(50); i++) {
        skua_runtime *runtime;

        MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)) == 0);
        CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
    atomic_store(&over, true);
    MUST(pthread_join(thread, NULL) == 0);
}

/* ---- how late timers fire -------------------------------------------------------------------- */

TEST(timers_are_counted_by_how_late_they_fire)
{
    skua_runtime *runtime = runtime_of("late", 0);
    skua_runtime_stats stats = {.size = sizeof stats};
    uint64_t sum = 0, least = 0;

    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_block_on(runtime, sleeps, NULL, NULL), 0);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 1);
    for (unsigned i = 0; i < SKUA_LATE_BUCKETS; i++) {
        sum += stats.timers_late[i];
        least += i == 0 ? 0 : stats.timers_late[i] << (6 + i);
    }
    CHECK_EQ(sum, 3);
    CHECK_EQ(stats.total.timers_fired, 3);
    CHECK(stats.timers_late_ns >= least);
    CHECK(stats.timers_late_ns < 2 * least + 3 * 128 || stats.timers_late[23] != 0);
    /* As 0.4 had it: nothing behind its end is touched. */
    memset(&stats, 0x5a, sizeof stats);
    stats.size = offsetof(skua_runtime_stats, timers_late);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 1);
    CHECK_EQ(stats.total.timers_fired, 3);
    CHECK_EQ(stats.timers_late[0], 0x5a5a5a5a5a5a5a5a);
    stats.size = 8;
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), -EINVAL);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_visits_those_that_there_are),
        cmocka_unit_test(what_is_unseen_is_not_visited_and_has_no_probes),
        cmocka_unit_test(freeing_is_told_once_and_with_all_numbers),
        cmocka_unit_test(runtimes_come_and_go_while_they_are_visited),
        cmocka_unit_test(timers_are_counted_by_how_late_they_fire),
    };

    return TEST_MAIN(tests);
}
