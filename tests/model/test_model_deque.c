/* test_model_deque.c - sched_deque.h: the owner against one and two thieves, in every order.
 *
 * Each cell that is pushed is taken exactly once, by the owner or by a thief, oldest first, and
 * whoever takes it sees what the pusher wrote into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model_atomic.h"

/* Small, so that a thief meets both bounds. */
#define SKUA__DEQUE_SIZE 16u
#define SKUA__DEQUE_GRAB 4u
#include "sched/sched_deque.h"

#define CELLS 600

static struct skua__deque deque;
static uint32_t cells_made;   /* cells 1 … cells_made were pushed, in this order */
static unsigned taken[CELLS]; /* how often */
static char payload[CELLS];   /* stands for the task: handed over with the cell */

/* An empty deque whose counters are `start`, or one that has `count` cells. */
static void deque_begin(uint32_t start, uint32_t count)
{
    memset(taken, 0, sizeof taken);
    cells_made = 0;
    skua__store_relaxed(&deque.head, start);
    skua__store_relaxed(&deque.tail, start);
    for (uint32_t i = 0; i < SKUA__DEQUE_SIZE; i++)
        skua__store_relaxed(&deque.slots[i], 0);
    while (cells_made < count)
        skua__deque_push(&deque, ++cells_made);
}

static bool push(void)
{
    model_use(&payload[cells_made + 1]);
    if (!skua__deque_push(&deque, cells_made + 1))
        return false;
    cells_made++;
    return true;
}

static void take(uint32_t cell)
{
    model_check(cell >= 1 && cell < CELLS);
    model_check(taken[cell]++ == 0);
    model_use(&payload[cell]);
}

static bool pop(void)
{
    uint32_t cell = skua__deque_pop(&deque);

    if (cell == 0)
        return false;
    take(cell);
    return true;
}

static void thief(void)
{
    uint32_t cells[SKUA__DEQUE_SIZE] = {0};
    uint32_t count = skua__deque_grab(&deque, cells);

    model_check(count <= SKUA__DEQUE_GRAB);
    for (uint32_t i = SKUA__DEQUE_GRAB; i < SKUA__DEQUE_SIZE; i++)
        model_check(cells[i] == 0); /* not even what it throws away */
    for (uint32_t i = 0; i < count; i++) {
        model_check(i == 0 || cells[i] == cells[i - 1] + 1);
        take(cells[i]);
    }
}

/* What nobody took is still there, in order. */
static void deque_end(void)
{
    uint32_t left = skua__deque_len(&deque);
    uint32_t cell;

    model_check(left <= cells_made);
    for (uint32_t i = 0; i < left; i++) {
        cell = skua__deque_pop(&deque);
        model_check(cell == cells_made - left + 1 + i);
        model_check(cell != 0 && cell < CELLS && taken[cell]++ == 0);
    }
    for (uint32_t i = 1; i <= cells_made; i++)
        model_check(taken[i] == 1);
}

/* ---- a few cells, across the wrap of the counters -------------------------------------------- */

static void wrap_begin(void)
{
    deque_begin(UINT32_MAX - 1, 0);
}

static void owner_push_pop(void)
{
    push();
    push();
    push();
    pop();
    pop();
}

static void owner_pop_push(void)
{
    pop();
    push();
    pop();
    pop();
}

static void wrap_begin_two(void)
{
    deque_begin(UINT32_MAX - 1, 2);
}

static void test_one_thief(void **state)
{
    struct model_case empty = {.name = "push and pop, a thief",
                               .begin = wrap_begin,
                               .thread = {owner_push_pop, thief},
                               .end = deque_end};
    struct model_case two = {.name = "two there, a thief",
                             .begin = wrap_begin_two,
                             .thread = {owner_pop_push, thief},
                             .end = deque_end};

    (void)state;
    model_pass(&empty);
    model_pass(&two);
}

static void owner_push_push_pop(void)
{
    push();
    push();
    pop();
}

static void test_halves(void **state)
{
    uint32_t cells[SKUA__DEQUE_GRAB];

    (void)state;
    deque_begin(3, 5);
    assert_int_equal(skua__deque_grab(&deque, cells), 3); /* the odd one, too */
    assert_int_equal(skua__deque_grab(&deque, cells), 1);
    assert_int_equal(skua__deque_grab(&deque, cells), 1);
    assert_int_equal(skua__deque_grab(&deque, cells), 0);
}

static void test_two_thieves(void **state)
{
    struct model_case thieves = {.name = "push, push and pop, two thieves",
                                 .begin = wrap_begin,
                                 .thread = {owner_push_push_pop, thief, thief},
                                 .end = deque_end};

    (void)state;
    model_pass(&thieves);
}

/* ---- a full ring: slots are reused under the thief's hands -------------------------------------
 */

static void full_begin(void)
{
    deque_begin(UINT32_MAX - 10, SKUA__DEQUE_SIZE - 1);
}

static void owner_reuses(void)
{
    push();
    if (!push()) {
        pop();
        model_check(push()); /* there is room now, and only the owner pushes */
    }
}

static void test_full(void **state)
{
    struct model_case full = {.name = "a full ring, a thief",
                              .begin = full_begin,
                              .thread = {owner_reuses, thief},
                              .end = deque_end};

    (void)state;
    model_pass(&full);
}

/* A thief that has head from long ago finds more cells than a ring has, and looks again. */
static void lag_begin(void)
{
    deque_begin(7, SKUA__DEQUE_SIZE);
}

static void owner_runs_ahead(void)
{
    for (int i = 0; i < 3; i++) {
        pop();
        push();
    }
}

static void test_lagging(void **state)
{
    struct model_case lag = {.name = "a thief that lags behind",
                             .begin = lag_begin,
                             .thread = {owner_runs_ahead, thief},
                             .end = deque_end,
                             .preemptions = 3,
                             .stale = 2};

    (void)state;
    model_pass(&lag);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__deque_push: load &deque->head: acquire",
     "load before store: a thief's look at a slot before its reuse; no load here sees a later "
     "store"},
    {"skua__deque_pop: load &deque->head: acquire",
     "the owner's own slots; a stale head makes the CAS fail"},
    {"skua__deque_pop: cas &deque->head: acquire",
     "the owner's own slots; a stale head makes the CAS fail"},
    {"skua__deque_grab: load &victim->head: acquire",
     "the tail's acquire shows the slots; a stale head makes the CAS fail"},
    {"skua__deque_grab: load &victim->head #2: acquire",
     "the tail's acquire shows the slots; a stale head makes the CAS fail"},
    {"skua__deque_grab: cas &victim->head: acquire",
     "the tail's acquire shows the slots; a stale head makes the CAS fail"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("sched_deque.h", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),      cmocka_unit_test(test_one_thief),
        cmocka_unit_test(test_two_thieves), cmocka_unit_test(test_full),
        cmocka_unit_test(test_lagging),     cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
