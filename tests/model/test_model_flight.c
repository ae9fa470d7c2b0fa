/* test_model_flight.c - a single flight whose leader's task ends, while waiters come, leave and
 * forget.
 *
 * single_flight.c as it is. Whoever stays has a result, its own or the one that it waited for: also
 * when the heir leaves at the moment at which it is to lead, which takes two workers and a window
 * of some instructions. Nothing stays listed, and no waker is woken that is gone.
 */
#include "model_sync.h"

#include "limit/single_flight.c"

#define RESULT 7

static skua_single_flight flights;
static struct skua__fiber fiber; /* thread 0's, which is cancelled */

static void begin_flights(void)
{
    waiters_begin();
    flights = (skua_single_flight)SKUA_SINGLE_FLIGHT_INIT;
    memset(&fiber, 0, sizeof fiber);
    fiber.task.flags = SKUA__FIBER;
    thread_states[0].current = &fiber.task;
    fiber_verdict = -ECANCELED;
    waiters[1].impatient = true;
}

/* All before it lead at this point, or wait. */
static int does_nothing(void *arg, void *out)
{
    (void)arg;
    (void)out;
    model_point();
    return -ECANCELED;
}

static int does_it(void *arg, void *out)
{
    (void)arg;
    *(int *)out = RESULT;
    return RESULT;
}

static int does_it_alone(void *arg, void *out)
{
    model_use(&work);
    return does_it(arg, out);
}

static void asks_for(int (*fn)(void *arg, void *out))
{
    int out = 0;
    int rc = skua_single_flight_do(&flights, "key", 3, fn, NULL, &out, sizeof out, NULL);

    model_check(rc != RESULT || out == RESULT);
    answered(rc);
}

static void is_cancelled(void)
{
    asks_for(does_nothing);
}

static void asks(void)
{
    asks_for(does_it_alone);
}

/* The flight may be forgotten: then another one is under way beside it. */
static void asks_beside(void)
{
    asks_for(does_it);
}

static void forgets(void)
{
    (void)skua_single_flight_forget(&flights, "key", 3);
    answered(RESULT);
}

static void end_flown(void)
{
    model_check(answers[0] == RESULT || answers[0] == -ECANCELED);
    model_check(answers[1] == RESULT || answers[1] == -ETIMEDOUT);
    model_check(answers[2] == RESULT);
    for (size_t i = 0; i < sizeof flights.flights / sizeof flights.flights[0]; i++)
        model_check(flights.flights[i] == NULL);
    model_check(flights.lock == 0);
}

static void test_heir(void **state)
{
    struct model_case heir = {.name = "a leader that ends, a waiter that leaves, one that stays",
                              .begin = begin_flights,
                              .thread = {is_cancelled, asks, asks},
                              .end = end_flown};

    (void)state;
    pass_bounded(heir);
    heir.name = "the same, and a forget";
    heir.thread[1] = heir.thread[2] = asks_beside;
    heir.thread[3] = forgets;
    pass_bounded(heir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
