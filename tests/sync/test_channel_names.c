/* test_channel_names.c - channels that have names: who looks from outside sees what is in them. */
#include <string.h>

#include <skua/skua.h>

#include "harness.h"
#include "os/os.h"

/* What skua_channel_each told of one name. */
struct seen {
    const char *name;
    unsigned count;
    skua_channel_info last;
};

static void see(const skua_channel_info *info, void *arg)
{
    struct seen *seen = arg;

    if (strcmp(info->name, seen->name) != 0)
        return;
    seen->count++;
    seen->last = *info;
}

static struct seen look(const char *name)
{
    struct seen seen = {.name = name};

    (void)skua_channel_each(see, &seen);
    return seen;
}

TEST(names_show_what_is_in_a_channel)
{
    skua_mpsc_sender *tx, *more;
    skua_mpsc_receiver *rx;
    struct seen seen;
    int message = 1;

    MUST(skua_mpsc_new(&tx, &rx, sizeof message, 7) == 0);
    CHECK_EQ(skua_channel_each(NULL, NULL), 0);
    CHECK_EQ(skua_mpsc_set_name(rx, "orders"), 0);
    CHECK_EQ(skua_channel_each(NULL, NULL), 1);
    more = skua_mpsc_sender_clone(tx);
    CHECK_EQ(skua_mpsc_try_send(tx, &message), 0);
    CHECK_EQ(skua_mpsc_try_send(tx, &message), 0);
    seen = look("orders");
    CHECK_EQ(seen.count, 1);
    CHECK(strcmp(seen.last.kind, "mpsc") == 0);
    CHECK_EQ(seen.last.length, 2);
    CHECK_EQ(seen.last.capacity, 7);
    CHECK_EQ(seen.last.senders, 2);
    CHECK_EQ(seen.last.receivers, 1);
    CHECK_EQ(seen.last.closed, 0);
    CHECK_EQ(skua_mpsc_try_recv(rx, &message), 0);
    skua_mpsc_sender_close(more);
    skua_mpsc_sender_close(tx);
    seen = look("orders");
    CHECK_EQ(seen.last.length, 1);
    CHECK_EQ(seen.last.senders, 0);
    CHECK_EQ(seen.last.closed, 1);
    skua_mpsc_receiver_close(rx);
    CHECK_EQ(look("orders").count, 0);
}

TEST(names_are_copied_changed_and_taken_away)
{
    char text[SKUA_CHANNEL_NAME + 1];
    skua_mpmc_sender *tx[2];
    skua_mpmc_receiver *rx[2];

    for (int i = 0; i < 2; i++)
        MUST(skua_mpmc_new_unbounded(&tx[i], &rx[i], 1) == 0);
    strcpy(text, "first");
    CHECK_EQ(skua_mpmc_set_name(rx[0], text), 0);
    strcpy(text, "gone");
    CHECK_EQ(look("first").count, 1);
    CHECK(look("first").last.capacity == SIZE_MAX);
    CHECK(strcmp(look("first").last.kind, "mpmc") == 0);
    CHECK_EQ(skua_mpmc_set_name(rx[1], "first"), 0);
    CHECK_EQ(look("first").count, 2);
    CHECK_EQ(skua_mpmc_set_name(rx[0], "second"), 0);
    CHECK_EQ(look("first").count, 1);
    CHECK_EQ(look("second").count, 1);
    CHECK_EQ(skua_mpmc_set_name(rx[0], NULL), 0);
    CHECK_EQ(skua_mpmc_set_name(rx[1], ""), 0);
    CHECK_EQ(skua_mpmc_set_name(rx[1], ""), 0);
    CHECK_EQ(skua_channel_each(NULL, NULL), 0);
    memset(text, 'n', sizeof text);
    text[SKUA_CHANNEL_NAME] = '\0';
    CHECK_EQ(skua_mpmc_set_name(rx[1], text), -EINVAL);
    text[SKUA_CHANNEL_NAME - 1] = '\0';
    CHECK_EQ(skua_mpmc_set_name(rx[1], text), 0);
    CHECK_EQ(look(text).count, 1);
    for (int i = 0; i < 2; i++) {
        skua_mpmc_sender_close(tx[i]);
        skua_mpmc_receiver_close(rx[i]);
    }
    CHECK_EQ(skua_channel_each(NULL, NULL), 0);
}

#ifdef SKUA_FAULTS
TEST(without_memory_a_channel_keeps_its_name)
{
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;

    MUST(skua_mpsc_new(&tx, &rx, 1, 1) == 0);
    CHECK_EQ(skua_mpsc_set_name(rx, "kept"), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_mpsc_set_name(rx, "other"), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(look("kept").count, 1);
    skua_mpsc_sender_close(tx);
    skua_mpsc_receiver_close(rx);
}
#endif

/* ---- at the same moment ---------------------------------------------------------------------- */

#define ROUNDS 2000

/* Makes channels, names them, uses and frees them. */
static int makes(void *arg)
{
    char message = 'm';

    (void)arg;
    for (int i = 0; i < TEST_COUNT(ROUNDS); i++) {
        skua_mpsc_sender *tx;
        skua_mpsc_receiver *rx;

        MUST(skua_mpsc_new(&tx, &rx, 1, 3) == 0);
        MUST(skua_mpsc_set_name(rx, "brief") == 0);
        MUST(skua_mpsc_try_send(tx, &message) == 0);
        MUST(skua_mpsc_set_name(rx, i % 2 == 0 ? "other" : "brief") == 0);
        skua_mpsc_receiver_close(rx);
        skua_mpsc_sender_close(tx);
        if (i % 16 == 0)
            (void)skua_yield();
    }
    return 0;
}

static int looks(void *arg)
{
    (void)arg;
    for (int i = 0; i < TEST_COUNT(ROUNDS); i++) {
        struct seen seen = look("brief");

        CHECK(seen.count <= 3);
        CHECK(seen.count == 0 || (seen.last.length <= 1 && seen.last.capacity == 3));
        if (i % 16 == 0)
            (void)skua_yield();
    }
    return 0;
}

TEST_FIBER(looking_never_meets_a_channel_that_is_freed)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn(&scope, makes, NULL) == 0);
    MUST(skua_spawn(&scope, looks, NULL) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_channel_each(NULL, NULL), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_show_what_is_in_a_channel),
        cmocka_unit_test(names_are_copied_changed_and_taken_away),
#ifdef SKUA_FAULTS
        cmocka_unit_test(without_memory_a_channel_keeps_its_name),
#endif
        cmocka_unit_test(looking_never_meets_a_channel_that_is_freed),
    };

    return TEST_MAIN(tests);
}
