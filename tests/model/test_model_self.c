/* test_model_self.c - the model checker finds what it is there to find, and nothing else.
 *
 * Small cases with known answers: the litmus tests of C11, a lost update, a deadlock, a livelock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model_atomic.h"

#include "base/lock.h"
#include "os/os.h"

static _Atomic uint32_t x;
static _Atomic uint32_t y;
static _Atomic uint8_t narrow;
static _Atomic(const char *) pointer;
static uint32_t saw[MODEL_THREADS];
static int datum;
static struct skua__lock locks[2];
static struct model_bell bell;

static void begin(void)
{
    skua__store_relaxed(&x, 0);
    skua__store_relaxed(&y, 0);
    skua__store_relaxed(&narrow, 0);
    skua__store_relaxed(&pointer, NULL);
    locks[0] = (struct skua__lock){0};
    locks[1] = (struct skua__lock){0};
    bell = (struct model_bell){0};
    for (int i = 0; i < MODEL_THREADS; i++)
        saw[i] = 9;
}

/* ---- Dekker: mine, then yours ---------------------------------------------------------------- */

static void dekker_x(void)
{
    skua__store_release(&x, 1);
    saw[0] = skua__load_acquire(&y);
}

static void dekker_y(void)
{
    skua__store_release(&y, 1);
    saw[1] = skua__load_acquire(&x);
}

static void dekker_fenced_x(void)
{
    skua__store_relaxed(&x, 1);
    skua__fence_seq();
    saw[0] = skua__load_relaxed(&y);
}

static void dekker_fenced_y(void)
{
    skua__store_relaxed(&y, 1);
    skua__fence_seq();
    saw[1] = skua__load_relaxed(&x);
}

static void dekker_seq_x(void)
{
    skua__store_seq(&x, 1);
    saw[0] = skua__load_seq(&y);
}

static void dekker_seq_y(void)
{
    skua__store_seq(&y, 1);
    saw[1] = skua__load_seq(&x);
}

static void dekker_end(void)
{
    model_check(saw[0] != 0 || saw[1] != 0);
}

static void test_dekker(void **state)
{
    struct model_case dekker = {
        .name = "dekker", .begin = begin, .thread = {dekker_x, dekker_y}, .end = dekker_end};

    (void)state;
    model_catch(&dekker, "saw[0] != 0");
    dekker.thread[0] = dekker_fenced_x;
    model_catch(&dekker, "saw[0] != 0"); /* one side only */
    dekker.thread[1] = dekker_fenced_y;
    model_pass(&dekker);
    dekker.thread[0] = dekker_seq_x;
    model_pass(&dekker); /* a fence on one side, sequential accesses on the other */
    dekker.thread[1] = dekker_seq_y;
    model_pass(&dekker);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void send_relaxed(void)
{
    model_use(&datum);
    skua__store_relaxed(&x, 1);
}

static void send_release(void)
{
    model_use(&datum);
    skua__store_release(&x, 1);
}

static void receive_relaxed(void)
{
    if (skua__load_relaxed(&x) == 1)
        model_use(&datum);
}

static void receive_acquire(void)
{
    if (skua__load_acquire(&x) != 0)
        model_use(&datum);
}

/* A read-modify-write in between passes the message on, relaxed as it is. */
static void bump_relaxed(void)
{
    skua__add_relaxed(&x, 1);
}

static void receive_bumped(void)
{
    if (skua__load_acquire(&x) == 2)
        model_use(&datum);
}

static void test_message(void **state)
{
    struct model_case message = {
        .name = "message", .begin = begin, .thread = {send_relaxed, receive_acquire}};

    (void)state;
    model_catch(&message, "race");
    message.thread[0] = send_release;
    model_pass(&message);
    message.thread[1] = receive_relaxed;
    model_catch(&message, "race");
    message.thread[1] = bump_relaxed;
    message.thread[2] = receive_acquire; /* may have read the bump of a 0 */
    model_catch(&message, "race");
    message.name = "release sequence";
    message.thread[2] = receive_bumped;
    message.thread[0] = send_release;
    model_pass(&message);
}

/* ---- plain memory, and what was freed -------------------------------------------------------- */

static void send_plain(void)
{
    datum = 7;
    skua__store_release(&x, 1);
}

static void send_too_soon(void)
{
    skua__store_release(&x, 1);
    datum = 7;
}

static void receive_plain(void)
{
    if (skua__load_acquire(&x) == 1)
        model_check(datum == 7);
}

static void receive_plain_and_free(void)
{
    if (skua__load_acquire(&x) == 1)
        model_free(&datum, sizeof datum);
}

/* Only the other one may tell that it is done; a look at an atomic is a use, too. */
static void look_behind(void)
{
    skua__store_release(&x, 1);
    (void)skua__load_relaxed(&y);
}

static void free_an_atomic(void)
{
    if (skua__load_acquire(&x) == 1)
        model_free(&y, sizeof y);
}

static void use_what_is_freed(void)
{
    model_free(&datum, sizeof datum);
    datum = 1;
}

static void test_plain(void **state)
{
    struct model_case plain = {
        .name = "plain memory", .begin = begin, .thread = {send_plain, receive_plain}};
    struct model_case freed = {
        .name = "what is freed", .begin = begin, .thread = {send_plain, receive_plain_and_free}};

    (void)state;
    model_pass(&plain);
    plain.thread[0] = send_too_soon;
    model_catch(&plain, "race: plain memory");
    model_pass(&freed);
    freed.thread[0] = send_too_soon;
    model_catch(&freed, "race: plain memory");
    freed.thread[0] = look_behind;
    freed.thread[1] = free_an_atomic;
    model_catch(&freed, "race: plain memory");
    freed.thread[0] = use_what_is_freed;
    freed.thread[1] = NULL;
    model_catch(&freed, "after it was freed");
}

/* ---- counters -------------------------------------------------------------------------------- */

static void count_torn(void)
{
    skua__bump(&x);
}

static void count_whole(void)
{
    skua__add_relaxed(&x, 1);
}

static void count_by_cas(void)
{
    uint32_t before = skua__load_relaxed(&x);

    while (!skua__cas_acq_rel(&x, &before, before + 1))
        continue;
}

static void count_locked(void)
{
    skua__lock_take(&locks[0]);
    model_use(&datum);
    skua__bump(&x);
    skua__lock_drop(&locks[0]);
}

static void count_end(void)
{
    model_check(skua__load_relaxed(&x) == 2);
}

static void test_counter(void **state)
{
    struct model_case counter = {
        .name = "counter", .begin = begin, .thread = {count_torn, count_torn}, .end = count_end};

    (void)state;
    model_catch(&counter, "== 2");
    counter.thread[0] = count_whole;
    model_catch(&counter, "== 2");
    counter.thread[1] = count_whole;
    model_pass(&counter);
    counter.thread[0] = count_by_cas;
    model_pass(&counter);
    counter.thread[0] = counter.thread[1] = count_locked;
    model_pass(&counter);
}

/* ---- blocking -------------------------------------------------------------------------------- */

static void lock_forwards(void)
{
    skua__lock_take(&locks[0]);
    skua__lock_take(&locks[1]);
    skua__lock_drop(&locks[1]);
    skua__lock_drop(&locks[0]);
}

static void lock_backwards(void)
{
    skua__lock_take(&locks[1]);
    skua__lock_take(&locks[0]);
    skua__lock_drop(&locks[0]);
    skua__lock_drop(&locks[1]);
}

static void spin_for_x(void)
{
    while (skua__load_acquire(&x) == 0)
        skua__os_thread_yield();
    model_use(&datum);
}

static void relax_for_x(void)
{
    while (skua__load_acquire(&x) == 0)
        skua__relax();
    model_use(&datum);
}

static void spin_for_ever(void)
{
    while (skua__load_acquire(&x) < 2)
        skua__xchg_seq(&y, 1);
}

static void ring(void)
{
    model_ring(&bell);
}

static void sleep_once(void)
{
    model_sleep(&bell);
}

static void sleep_twice(void)
{
    model_sleep(&bell);
    model_sleep(&bell);
}

static void test_blocking(void **state)
{
    struct model_case locking = {
        .name = "locks", .begin = begin, .thread = {lock_forwards, lock_backwards}};
    struct model_case spin = {.name = "spin", .begin = begin, .thread = {spin_for_x}};
    struct model_case sleep = {.name = "sleep", .begin = begin, .thread = {ring, sleep_once}};

    (void)state;
    model_catch(&locking, "deadlock");
    locking.thread[1] = lock_forwards;
    model_pass(&locking);
    model_catch(&spin, "deadlock");
    spin.thread[1] = send_release;
    model_pass(&spin);
    spin.thread[0] = relax_for_x;
    model_pass(&spin);
    spin.thread[0] = spin_for_ever;
    model_catch(&spin, "livelock");
    model_pass(&sleep);
    sleep.thread[1] = sleep_twice;
    model_catch(&sleep, "deadlock");
    sleep.sleep_ends = true;
    model_pass(&sleep);
}

/* ---- sizes, and how many schedules there are ------------------------------------------------- */

static void use_sizes(void)
{
    static const char text[] = "text";
    const char *before = NULL;

    model_check(skua__load_relaxed(&narrow) == 0);
    skua__store_seq(&narrow, 255);
    model_check(skua__add_acq_rel(&narrow, 2) == 255);
    model_check(skua__load_seq(&narrow) == 1);
    model_check(skua__cas_strong_seq(&pointer, &before, text));
    model_check(!skua__cas_strong_seq(&pointer, &before, NULL) && before == text);
    model_check(skua__xchg_seq(&pointer, NULL) == text);
    model_check(skua__or_seq(&x, 6u) == 0 && skua__and_acq_rel(&x, ~2u) == 6);
    model_check(skua__load_relaxed(&x) == 4);
}

static void points(void)
{
    model_point();
    model_point();
    model_point();
}

static void test_counts(void **state)
{
    struct model_case sizes = {.name = "sizes", .begin = begin, .thread = {use_sizes}};
    struct model_case order = {
        .name = "6 points, 20 orders", .begin = begin, .thread = {points, points}};

    (void)state;
    model_pass(&sizes);
    assert_int_equal(model_pass(&order), 20);
    order.name = "one preemption";
    order.preemptions = 1; /* none: 2; away from either after one or two, then the others: 4 */
    assert_int_equal(model_pass(&order), 6);
}

/* ---- controls -------------------------------------------------------------------------------- */

static void test_controls(void **state)
{
    (void)state;
    model_controls("lock.h", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dekker),   cmocka_unit_test(test_message),
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_counter),
        cmocka_unit_test(test_blocking), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
