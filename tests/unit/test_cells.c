/* test_cells.c - the arena of task cells: what stays when memory is refused.
 *
 * Specifies task/cell.h.
 */
#include "../lib/harness.h"
#include "os/os.h"
#include "task/cell.h"

TEST(arena_that_cannot_be_made_leaves_nothing)
{
    for (unsigned nth = 1; nth <= 2; nth++) { /* the reservation, then the first pages */
        struct skua__cells cells = {.base = NULL};

        skua__fault_arm(SKUA__FAULT_MMAP, nth, 1, ENOMEM);
        CHECK_EQ(skua__cells_init(&cells, NULL), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MMAP, 0, 0, 0);
        CHECK(cells.base == NULL); /* or its owner would give it back a second time */
    }
}

TEST(arena_grows_until_memory_is_refused)
{
    struct skua__cells cells = {.base = NULL};
    unsigned class = skua__cell_class_of(SKUA__CELL_MAX);
    int before = 0;
    int after = 0;

    MUST(skua__cells_init(&cells, NULL) == 0);
    while (skua__cell_take_slow(&cells, NULL, class) != NULL && before < 100)
        before++;
    CHECK_EQ(before, 100);
    skua__fault_arm(SKUA__FAULT_MMAP, 1, 1u << 30, ENOMEM);
    while (after < 1000 && skua__cell_take_slow(&cells, NULL, class) != NULL)
        after++;
    skua__fault_arm(SKUA__FAULT_MMAP, 0, 0, 0);
    CHECK_RANGE(after, 1, 256); /* the rest of the last step of 1 MiB */
    CHECK(skua__cell_take_slow(&cells, NULL, class) != NULL);
    skua__cells_done(&cells);
}

TEST(index_that_never_was_a_cell_is_none)
{
    struct skua__cells cells = {.base = NULL};
    struct skua_task *task;

    MUST(skua__cells_init(&cells, NULL) == 0);
    CHECK(skua__cell_at(&cells, 0) == NULL);
    CHECK(skua__cell_at(&cells, UINT32_MAX) == NULL);
    task = skua__cell_take_slow(&cells, NULL, 0);
    MUST(task != NULL);
    CHECK(skua__cell_at(&cells, skua__cell_index(task)) == task);
    CHECK(skua__cell_at(&cells, skua__cell_index(task) + 1) == NULL);
    skua__cells_done(&cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_that_cannot_be_made_leaves_nothing),
        cmocka_unit_test(arena_grows_until_memory_is_refused),
        cmocka_unit_test(index_that_never_was_a_cell_is_none),
    };

    return TEST_MAIN(tests);
}
