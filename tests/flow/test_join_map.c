/* test_join_map.c - tasks with keys, whose results are taken as they end. Specifies join_set.h:
 * maps; and join_keys.c, the table behind them.
 */
#include <pthread.h>

#include "flow/join_impl.h"
#include "line.h"
#include "part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static void open_map(skua_join_map **map, skua_scope *scope)
{
    MUST(skua_join_map_open(map, scope, NULL) == 0);
    CHECK_EQ(skua_join_map_len(*map), 0);
}

static int spawn(skua_join_map *map, const char *key, int result)
{
    return skua_join_map_spawn(map, key, strlen(key), test_fiber_return, (void *)(intptr_t)result);
}

static int spawn_forever(skua_join_map *map, const char *key)
{
    return skua_join_map_spawn(map, key, strlen(key), test_fiber_forever, NULL);
}

static bool contains(skua_join_map *map, const char *key)
{
    return skua_join_map_contains(map, key, strlen(key)) != 0;
}

static void check_next(skua_join_map *map, const char *key, int result)
{
    char room[16] = "";
    skua_map_joined joined = {.key = room, .key_room = sizeof room};

    CHECK_EQ(skua_join_map_next(map, &joined), 1);
    CHECK_EQ(joined.key_len, strlen(key));
    CHECK(memcmp(room, key, strlen(key)) == 0);
    CHECK_EQ(joined.result, result);
    CHECK(joined.id != 0);
}

/* ---- keys ------------------------------------------------------------------------------------ */

TEST_FIBER(next_gives_key_and_result)
{
    skua_join_map *map;
    char bytes[] = "a\0b", room[2] = "";
    skua_map_joined joined = {.key = room, .key_room = 2, .key_len = 77};

    open_map(&map, NULL);
    CHECK_EQ(skua_join_map_next(map, &joined), 0);
    CHECK_EQ(skua_join_map_try_next(map, NULL), 0);
    CHECK_EQ(joined.key_len, 77);
    CHECK_EQ(spawn(map, "one", 1), 0);
    CHECK(contains(map, "one"));
    CHECK(!contains(map, "on"));
    CHECK(!contains(map, "onf"));
    CHECK_EQ(skua_join_map_len(map), 1);
    check_next(map, "one", 1);
    CHECK(!contains(map, "one"));
    CHECK_EQ(skua_join_map_len(map), 0);
    CHECK_EQ(spawn_forever(map, "a"), 0); /* another than the next two */
    CHECK_EQ(skua_join_map_spawn(map, bytes, 3, test_fiber_return, (void *)5), 0);
    CHECK_EQ(skua_join_map_next(map, &joined), 1);
    CHECK_EQ(joined.key_len, 3); /* cut to the room */
    CHECK(room[0] == 'a' && room[1] == 0);
    CHECK_EQ(joined.result, 5);
    CHECK_EQ(spawn(map, "", 6), 0);
    CHECK_EQ(skua_join_map_contains(map, NULL, 0), 1);
    check_next(map, "", 6);
    CHECK_EQ(spawn(map, "unwanted", 7), 0);
    CHECK_EQ(skua_join_map_next(map, NULL), 1);
    CHECK_EQ(skua_join_map_try_next(map, NULL), -EAGAIN);
    CHECK_EQ(skua_join_map_next_until(map, NULL, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_join_map_close(map), 0);
    CHECK_EQ(skua_join_map_close(NULL), 0);
    return 0;
}

static skua_poll polls_once(void *state, skua_waker *waker)
{
    (void)waker;
    return *(int *)state;
}

TEST_FIBER(poll_tasks_and_selects)
{
    skua_map_joined joined = {.key = NULL};
    skua_join_map *map;
    int state = 8;

    open_map(&map, NULL);
    CHECK_EQ(skua_join_map_spawn_poll(map, &state, sizeof state, polls_once, &state, .name = "p"),
             0);
    CHECK_EQ(skua_select(skua_joining_next_key(map, &joined), skua_sleeping(MS(20000))), 0);
    CHECK_EQ(joined.result, 8);
    CHECK_EQ(joined.key_len, sizeof state);
    CHECK_EQ(spawn_forever(map, "x"), 0);
    CHECK_EQ(skua_select(skua_joining_next_key(map, &joined), skua_sleeping(MS(1))), 1);
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}

TEST_FIBER(refusals)
{
    static const skua_site site = {"refused", __FILE__, "refusals", __LINE__};
    static char key[SKUA_JOIN_KEY_MAX + 1];
    skua_join_map *map = NULL;
    skua_spawn_options options;

    CHECK_EQ(skua_join_map_open(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_join_map_open(&map, NULL, &(skua_join_set_options){.ordered = 1}), -EINVAL);
    CHECK(map == NULL);
    open_map(&map, NULL);
    CHECK_EQ(skua_join_map_spawn(map, key, sizeof key, test_fiber_return, NULL), -EINVAL);
    CHECK_EQ(skua_join_map_spawn(map, NULL, 1, test_fiber_return, NULL), -EINVAL);
    skua_spawn_options_init(&options);
    options.size--;
    CHECK_EQ(skua_join_map_spawn_at(&site, map, key, 1, test_fiber_return, NULL, &options),
             -EINVAL);
    CHECK_EQ(skua_join_map_len(map), 0);
    CHECK_EQ(skua_join_map_spawn(map, key, sizeof key - 1, test_fiber_return, NULL), 0);
    CHECK_EQ(skua_join_map_contains(map, key, sizeof key - 1), 1);
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static int notes_its_cancellation(void *arg)
{
    int rc = skua_sleep(SKUA_HOUR);

    *(int *)arg = rc;
    return rc;
}

TEST_FIBER(newer_task_replaces_the_older)
{
    skua_join_map *map;
    int rc = 77;

    open_map(&map, NULL);
    CHECK_EQ(skua_join_map_spawn(map, "key", 3, notes_its_cancellation, &rc), 0);
    CHECK_EQ(spawn(map, "other", 5), 0);
    check_next(map, "other", 5);
    CHECK_EQ(skua_join_map_spawn(map, "key", 3, (skua_fiber_fn)NULL, NULL), -EINVAL);
    CHECK_EQ(skua_join_map_len(map), 1); /* nothing was spawned: it has still the key */
    CHECK(contains(map, "key"));
    CHECK_EQ(skua_join_map_try_next(map, NULL), -EAGAIN);
    CHECK_EQ(spawn(map, "key", 6), 0);
    CHECK_EQ(skua_join_map_len(map), 1);
    check_next(map, "key", 6); /* the other's result is nobody's */
    CHECK(!contains(map, "key"));
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK(rc == -ECANCELED || rc == 77); /* it may not have begun */
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}

/* A result that is there, and not taken, goes with its key. An empty map waits for the replaced. */
TEST_FIBER_CURRENT(replaced_after_its_end)
{
    skua_join_map *map;
    int rc = 77;

    open_map(&map, NULL);
    CHECK_EQ(spawn(map, "key", 5), 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(spawn(map, "key", 6), 0);
    check_next(map, "key", 6);
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK_EQ(skua_join_map_spawn(map, "key", 3, notes_its_cancellation, &rc), 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(spawn_forever(map, "key"), 0);
    skua_join_map_detach_all(map);
    CHECK_EQ(skua_join_map_len(map), 0);
    CHECK(!contains(map, "key"));
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK_EQ(skua_join_map_spawn(map, "key", 3, notes_its_cancellation, &rc), 0);
    CHECK_EQ(skua_yield(), 0);
    rc = 77;
    CHECK_EQ(spawn(map, "key", 7), 0);
    check_next(map, "key", 7);
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(skua_join_map_close(map), 0);
    CHECK_EQ(skua_scope_cancel(skua_scope_current()), 0);
    return 0;
}

TEST_FIBER(cancel_by_key)
{
    skua_join_map *map;

    open_map(&map, NULL);
    CHECK_EQ(spawn_forever(map, "a"), 0);
    CHECK_EQ(spawn_forever(map, "b"), 0);
    CHECK_EQ(skua_join_map_cancel(map, "c", 1), -ESRCH);
    CHECK_EQ(skua_join_map_cancel(map, "b", 1), 0);
    CHECK_EQ(skua_join_map_cancel(map, "", 0), -ESRCH);
    check_next(map, "b", -ECANCELED);
    CHECK_EQ(skua_join_map_cancel(map, "b", 1), -ESRCH);
    CHECK_EQ(skua_join_map_len(map), 1);
    skua_join_map_cancel_all(map);
    CHECK(contains(map, "a"));
    check_next(map, "a", -ECANCELED);
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}

/* ---- while it is being spawned --------------------------------------------------------------- */

static skua_join_map *hooked;

/* Meets a task of the map before its spawner is done with it. */
static void meets(const skua_task_info *info, void *arg)
{
    (void)arg;
    if (strcmp(info->site->name, "cancelled") == 0)
        CHECK_EQ(skua_join_map_cancel(hooked, "key", 3), 0);
    else if (strcmp(info->site->name, "replaced") == 0)
        CHECK_EQ(spawn(hooked, "key", 5), 0);
    if (hooked != NULL)
        CHECK_EQ(skua_join_map_len(hooked), 1); /* one key, whatever has it */
}

static int is_met(void *arg)
{
    (void)arg;
    open_map(&hooked, NULL);
    CHECK_EQ(skua_join_map_spawn(hooked, "key", 3, test_fiber_forever, NULL, .name = "cancelled"),
             0);
    check_next(hooked, "key", -ECANCELED);
    CHECK_EQ(spawn_forever(hooked, "key"), 0); /* older than both */
    CHECK_EQ(skua_join_map_spawn(hooked, "key", 3, test_fiber_forever, NULL, .name = "replaced"),
             0);
    CHECK_EQ(skua_join_map_len(hooked), 1);
    check_next(hooked, "key", 5); /* the last one that came */
    CHECK_EQ(skua_join_map_next(hooked, NULL), 0);
    CHECK_EQ(skua_join_map_len(hooked), 0);
    CHECK_EQ(skua_join_map_close(hooked), 0);
    hooked = NULL;
    return 0;
}

TEST(cancelled_or_replaced_while_it_is_spawned)
{
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[0],
        (skua_runtime_options){.size = sizeof(skua_runtime_options), .on_task_spawn = meets});

    test_run(runtime, is_met, NULL);
    test_runtime_free(runtime);
}

struct refused {
    skua_join_map *map;
    atomic_bool over;
};

static void *spawns_in_vain(void *arg)
{
    struct refused *self = arg;

    while (!atomic_load(&self->over))
        CHECK_EQ(skua_join_map_spawn(self->map, "key", 3, test_fiber_return, NULL,
                                     .worker = SKUA_WORKER(1000)),
                 -EINVAL);
    return NULL;
}

/* A spawn that fails leaves the key to the older task: a cancel meanwhile means that one. */
static int is_cancelled_meanwhile(TEST_UNUSED void *arg)
{
    struct refused refused = {.over = false};
    pthread_t thread;
    int rc = 1;

    open_map(&refused.map, NULL);
    MUST(pthread_create(&thread, NULL, spawns_in_vain, &refused) == 0);
    for (int i = TEST_COUNT(1000); i > 0 && rc == 1; i--) {
        CHECK_EQ(spawn_forever(refused.map, "key"), 0);
        CHECK_EQ(skua_join_map_cancel(refused.map, "key", 3), 0);
        rc = skua_join_map_next_until(refused.map, NULL, skua_now() + TEST_LATE);
        CHECK_EQ(rc, 1);
    }
    atomic_store(&refused.over, true);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_join_map_close(refused.map), 0);
    return 0;
}

TEST(cancelled_while_a_spawn_fails)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);

    test_run(runtime, is_cancelled_meanwhile, NULL);
    test_runtime_free(runtime);
}

/* ---- many keys ------------------------------------------------------------------------------- */

TEST_FIBER_CURRENT(many_keys)
{
    enum { MANY = 5000 };
    static bool seen[MANY];
    skua_map_joined joined;
    skua_join_map *map;
    size_t longest = 0;
    int i;

    memset(seen, 0, sizeof seen);
    open_map(&map, NULL);
    for (i = 0; i < MANY; i++) {
        CHECK_EQ(skua_join_map_spawn(map, &i, sizeof i, test_fiber_return, (void *)(intptr_t)i), 0);
        CHECK_EQ(skua_join_map_len(map), i + 1);
    }
    CHECK_EQ(map->keys.buckets, MANY); /* one bucket more for each key */
    for (unsigned s = 0; s < SKUA__JOIN_SEGMENTS && map->keys.segments[s] != NULL; s++)
        for (size_t b = 0; b < (s == 0 ? 8 : (size_t)4 << s); b++) {
            size_t length = 0;

            for (struct skua__join_keyed *at = map->keys.segments[s][b]; at; at = at->below)
                length++;
            longest = length > longest ? length : longest;
        }
    CHECK_RANGE(longest, 1, 20); /* they are spread */
    for (i = 0; i < MANY; i++)
        CHECK_EQ(skua_join_map_contains(map, &i, sizeof i), 1);
    CHECK_EQ(skua_join_map_contains(map, &i, sizeof i), 0);
    for (int left = MANY; left > 0; left--) {
        joined = (skua_map_joined){.key = &i, .key_room = sizeof i};
        CHECK_EQ(skua_join_map_next(map, &joined), 1);
        CHECK_EQ(joined.result, i);
        CHECK(!seen[i]);
        seen[i] = true;
        CHECK_EQ(skua_join_map_contains(map, &i, sizeof i), 0);
        CHECK_EQ(skua_join_map_len(map), left - 1);
    }
    CHECK_EQ(skua_join_map_next(map, NULL), 0);
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}

/* ---- any order ------------------------------------------------------------------------------- */

enum { KEYS = 4 };

struct book {
    skua_join_map *map;
    int spawned;
    int newest[KEYS]; /* what the newest task with the key returns */
};

static int sleeps_a_little(void *arg)
{
    int rc = skua_sleep((int64_t)(skua_test_random() % 4) * MS(1));

    return rc != 0 ? rc : (int)(intptr_t)arg;
}

static int writes(void *arg)
{
    struct book *book = arg;

    for (int i = 0; i < 6; i++) {
        unsigned char key = (unsigned char)(skua_test_random() % KEYS);

        book->newest[key] = ++book->spawned;
        CHECK_EQ(skua_join_map_spawn(book->map, &key, 1, sleeps_a_little,
                                     (void *)(intptr_t)book->spawned),
                 0);
        if (skua_test_random() % 4 == 0)
            (void)skua_join_map_cancel(book->map, &key, 1);
        skua_sleep((int64_t)(skua_test_random() % 2) * MS(1));
    }
    return 0;
}

static int reads(void *arg)
{
    struct book *book = arg;
    unsigned char key;
    skua_map_joined joined = {.key = &key, .key_room = 1};
    int rc;

    while ((rc = skua_join_map_next_until(book->map, &joined, skua_now() + MS(1))) != -ECANCELED)
        if (rc == 1) { /* of each key only the newest is ever met */
            CHECK(joined.result == book->newest[key] || joined.result == -ECANCELED);
            book->newest[key] = 0;
        } else if (rc == 0 && (book->spawned == 12 || skua_sleep(MS(1)) != 0)) {
            break;
        }
    return 0;
}

static int mixes(void *arg)
{
    struct book book = {.map = NULL};
    skua_scope scope;

    (void)arg;
    open_map(&book.map, NULL);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_spawn(&scope, writes, &book), 0);
        CHECK_EQ(skua_spawn(&scope, reads, &book), 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_join_map_len(book.map), 0);
    CHECK_EQ(skua_join_map_close(book.map), 0);
    return test_failures() != 0 ? -EIO : 0;
}

TEST(newest_task_of_a_key_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), mixes, NULL), 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
/* At which allocation it did not fail any more. */
static int spawn_with_faults(skua_join_map *map, const char *key)
{
    size_t before = skua_join_map_len(map);
    int n;

    for (n = 1; n < 10; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, (unsigned)n, 1, ENOMEM);
        if (spawn(map, key, 5) == 0)
            break;
        CHECK_EQ(skua_join_map_len(map), before);
        CHECK(!contains(map, key));
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    return n;
}

TEST_FIBER_CURRENT(no_memory)
{
    skua_join_map *map = NULL;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_join_map_open(&map, NULL, NULL), -ENOMEM);
    CHECK(map == NULL);
    open_map(&map, NULL);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(skua_join_map_spawn(map, &i, sizeof i, test_fiber_forever, NULL), 0);
    CHECK_EQ(spawn_with_faults(map, "key"), 3); /* the growth; the node, when the table has grown */
    CHECK_EQ(spawn_with_faults(map, "yek"), 3); /* the node, the task */
    check_next(map, "key", 5);
    check_next(map, "yek", 5);
    CHECK_EQ(skua_join_map_close(map), 0);
    return 0;
}
#endif

/* ---- stress ---------------------------------------------------------------------------------- */

struct storm {
    skua_join_map *map;
    int64_t end;
    atomic_llong spawned, begun, ended, taken;
};

static int ends_soon(void *arg)
{
    struct storm *storm = arg;

    atomic_fetch_add(&storm->begun, 1);
    skua_yield();
    atomic_fetch_add(&storm->ended, 1);
    return 0;
}

static int storm_runs(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;

    while (skua_now() < storm->end) {
        uint64_t key = test_random(&random) % 64;

        if (skua_join_map_spawn(storm->map, &key, sizeof key, ends_soon, storm) != 0)
            break;
        atomic_fetch_add(&storm->spawned, 1);
        if (key % 8 == 0)
            (void)skua_join_map_cancel(storm->map, &key, sizeof key);
        while (skua_join_map_try_next(storm->map, NULL) == 1)
            atomic_fetch_add(&storm->taken, 1);
        skua_yield();
    }
    return 0;
}

static void *storm_thread(void *arg)
{
    (void)storm_runs(arg);
    return NULL;
}

/* Several spawn with the same keys at a time, from both workers and a thread. */
TEST(stress)
{
    struct storm storm = {.end = skua_now() + test_stress_time(1)};
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    pthread_t thread;
    skua_scope scope;
    long long left = 0;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    open_map(&storm.map, &scope);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(&scope, storm_runs, &storm), 0);
    MUST(pthread_create(&thread, NULL, storm_thread, &storm) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_join_map_len(storm.map) <= 64, true);
    (void)skua_scope_join(&scope);
    while (skua_join_map_next(storm.map, NULL) == 1)
        left++;
    CHECK_EQ(left <= 64, true);
    CHECK_EQ(skua_join_map_len(storm.map), 0);
    CHECK_EQ(skua_join_map_close(storm.map), 0);
    CHECK_EQ(storm.begun, storm.ended);
    test_note("%lld spawned, %lld taken", (long long)storm.spawned, (long long)storm.taken + left);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_gives_key_and_result),
        cmocka_unit_test(poll_tasks_and_selects),
        cmocka_unit_test(refusals),
        cmocka_unit_test(newer_task_replaces_the_older),
        cmocka_unit_test(replaced_after_its_end),
        cmocka_unit_test(cancel_by_key),
        cmocka_unit_test(cancelled_or_replaced_while_it_is_spawned),
        cmocka_unit_test(cancelled_while_a_spawn_fails),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(newest_task_of_a_key_in_any_order),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
#endif
        cmocka_unit_test(stress),
    };

    return TEST_MAIN(tests);
}
