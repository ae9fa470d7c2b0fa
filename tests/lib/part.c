/* part.c - a future that counts what is done to it. */
#include "part.h"

static skua_poll part_poll(skua_future *future, skua_waker *waker)
{
    struct test_part *part = (struct test_part *)future;

    part->polls++;
    if (part->wait.future.ops->poll(&part->wait.future, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    return part->result;
}

static void part_drop(skua_future *future)
{
    struct test_part *part = (struct test_part *)future;

    part->drops++;
    part->place = ++*part->dropped;
    part->wait.future.ops->drop(&part->wait.future);
}

static const skua_future_ops part_ops = {"test.part", part_poll, part_drop};

void test_parts_init(struct test_parts *parts, size_t count)
{
    MUST(count <= TEST_LEN(parts->part));
    parts->dropped = 0;
    for (size_t i = 0; i < count; i++) {
        struct test_part *part = &parts->part[i];

        *part = (struct test_part){.future = {&part_ops}, .dropped = &parts->dropped};
        test_event_init(&part->given);
        test_event_wait_init(&part->wait, &part->given);
        parts->futures[i] = &part->future;
    }
}

void test_part_give(struct test_part *part, int64_t result)
{
    part->result = result;
    test_event_set(&part->given);
}

void test_parts_check(struct test_parts *parts, size_t count, int winner)
{
    int place = 0;

    for (size_t i = 0; i < count; i++) {
        struct test_part *part = &parts->part[i];
        bool won = (int)i == winner;

        CHECK_EQ(test_event_waiters(&part->given), 0);
        CHECK_EQ(part->drops, !won);
        CHECK_EQ(part->place, won ? 0 : ++place);
    }
}

int test_part_giver(void *arg)
{
    struct test_part *part = arg;

    while (test_event_waiters(&part->given) == 0)
        skua_yield();
    skua_sleep(MS(1));
    test_part_give(part, 77);
    return 0;
}

void *test_part_giver_thread(void *arg)
{
    (void)test_part_giver(arg);
    return NULL;
}

int test_run_poll(skua_poll_fn fn, const void *state, size_t size)
{
    static const skua_site site = {"run_poll", __FILE__, "run_poll", __LINE__};
    skua_task *task = NULL;
    skua_spawn_options options = {.size = sizeof options, .task = &task};
    int result = 12345;

    MUST(skua_spawn_poll_at(&site, NULL, fn, state, size, &options) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}
