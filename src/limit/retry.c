/* retry.c - trying again: the budget, the pauses, and the loop of both, direct and as a future.
 *
 * Flow       skua_retry -> retry_once -> fn; failed: retry_pause -> skua_backoff_next_after ->
 *            skua_retry_budget_try_withdraw; then the sleep, and once more
 * Order      what bounds the tries is asked from the cheapest to the one that takes something:
 *            retry_if, attempts, deadlines, the budget. Only a pause that will be made is paid for.
 * Budget     a ring of ten slots, each a tenth of the window. Requests add to the newest slot and
 *            retries take from it, below zero if need be: what counts is the sum, and the reserve.
 *            A slot that is older than the window is cleared, and with it both.
 * Future     the tries lie in the caller's memory, one after the other, so that there is one timer
 *            for both the pause and the try's own time: they are never at the same time.
 */
#include <string.h>

#include <skua/retry.h>

#include "base/rand.h"
#include "flow/flow_impl.h"

#define RETRY_SLOTS 10
#define RETRY_UNIT 100 /* of the budget: a retry */

/* ---- the budget ------------------------------------------------------------------------------ */

static struct skua__lock *budget_lock(skua_retry_budget *budget)
{
    _Static_assert(sizeof(struct skua__lock) == sizeof budget->lock, "the lock's room");
    return (struct skua__lock *)(void *)&budget->lock;
}

/* Takes the lock, with the ring turned to the present. A clock that is behind (another runtime's)
 * finds the newest slot, too. */
static int64_t *budget_begin(skua_retry_budget *budget)
{
    int64_t number = skua_now() / budget->slot;

    skua__lock_take(budget_lock(budget));
    if (number > budget->at && number - budget->at >= RETRY_SLOTS)
        budget->at = number - RETRY_SLOTS;
    while (budget->at < number)
        budget->slots[++budget->at % RETRY_SLOTS] = 0;
    return &budget->slots[budget->at % RETRY_SLOTS];
}

static int64_t budget_sum(const skua_retry_budget *budget)
{
    int64_t sum = budget->reserve;

    for (int i = 0; i < RETRY_SLOTS; i++)
        sum += budget->slots[i];
    return sum;
}

int skua_retry_budget_init(skua_retry_budget *budget, const skua_retry_budget_options *options)
{
    int64_t window = 10 * SKUA_SECOND;
    int64_t percent = 20;
    int64_t least = 10;

    if (options != NULL) {
        if (options->size != sizeof *options || options->percent > SKUA_RETRY_BUDGET_MAX ||
            options->min_per_second > SKUA_RETRY_BUDGET_MAX)
            return -EINVAL;
        window = options->window != 0 ? options->window : window;
        percent = options->percent != 0 ? options->percent : percent;
        least = options->min_per_second != 0 ? options->min_per_second : least;
    }
    if (window < RETRY_SLOTS || window > SKUA_HOUR)
        return -EINVAL;
    memset(budget, 0, sizeof *budget);
    budget->slot = window / RETRY_SLOTS;
    budget->deposit = percent > 0 ? percent : 0;
    /* At most 10^5 a second for an hour, in hundredths, by microseconds: no overflow. */
    if (least > 0)
        budget->reserve = least * RETRY_UNIT * (window / SKUA_MICROSECOND) / 1000000;
    return 0;
}

void skua_retry_budget_deposit(skua_retry_budget *budget)
{
    int64_t *slot = budget_begin(budget);

    /* A slot that is full stays so: 2^55 percent are enough for any number of retries. */
    if (*slot < INT64_MAX >> 8)
        *slot += budget->deposit;
    skua__lock_drop(budget_lock(budget));
}

int skua_retry_budget_try_withdraw(skua_retry_budget *budget)
{
    int64_t *slot = budget_begin(budget);
    bool covered = budget_sum(budget) >= RETRY_UNIT;

    if (covered)
        *slot -= RETRY_UNIT;
    skua__lock_drop(budget_lock(budget));
    return covered ? 0 : SKUA_ELIMIT;
}

int64_t skua_retry_budget_balance(skua_retry_budget *budget)
{
    int64_t sum;

    (void)budget_begin(budget);
    sum = budget_sum(budget);
    skua__lock_drop(budget_lock(budget));
    return sum > 0 ? sum / RETRY_UNIT : 0;
}

void skua_retry_budget_options_init(skua_retry_budget_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- backoff --------------------------------------------------------------------------------- */

/* A number from low to high; low <= high. A worker has random numbers, a test's from its seed; on a
 * plain thread the clock will do. The modulo favours small numbers by less than one in 2^30, for
 * pauses up to 10 s. */
static int64_t backoff_random(int64_t low, int64_t high)
{
    struct skua__thread *thread = skua__thread_self();
    struct skua__rand rng;
    uint64_t random;

    if (thread->core != NULL) {
        random = skua__sched_random(thread);
    } else {
        skua__rand_seed(&rng, (uint64_t)skua__os_now() << 1); /* a seed's lowest bit is not used */
        random = skua__rand_next(&rng);
    }
    return low + (int64_t)(random % ((uint64_t)high - (uint64_t)low + 1));
}

/* The bound of the pause after one with `bound`; no overflow: what is not less than .max is .max,
 * and what is less fits. */
static int64_t backoff_grown(const skua_backoff *backoff, int64_t bound)
{
    double grown = (double)bound * backoff->options.multiplier;

    if (grown >= (double)backoff->options.max)
        return backoff->options.max;
    return (int64_t)grown;
}

/* Draws a pause, and moves on to the next one's bound. */
static int64_t backoff_draw(skua_backoff *backoff)
{
    const skua_backoff_options *options = &backoff->options;
    int64_t bound = backoff->bound;
    int64_t high;

    if (options->jitter == SKUA_JITTER_DECORRELATED) {
        high = bound < options->max / 3 ? bound * 3 : options->max;
        backoff->bound = backoff_random(options->initial, high);
        return backoff->bound;
    }
    backoff->bound = backoff_grown(backoff, bound);
    if (options->jitter == SKUA_JITTER_NONE)
        return bound;
    return backoff_random(options->jitter == SKUA_JITTER_EQUAL ? bound - bound / 2 : 0, bound);
}

/* Fills in the defaults. */
static int backoff_fill(skua_backoff_options *options)
{
    if (options->initial == 0)
        options->initial = 100 * SKUA_MILLISECOND;
    if (options->max == 0)
        options->max = options->initial > 10 * SKUA_SECOND ? options->initial : 10 * SKUA_SECOND;
    if (options->multiplier == 0)
        options->multiplier = 2;
    if (options->attempts == 0)
        options->attempts = 3;
    if (options->deadline == 0)
        options->deadline = INT64_MAX;
    if (options->total == 0)
        options->total = INT64_MAX;
    if (options->initial < 0 || options->max < options->initial || options->total < 0 ||
        !(options->multiplier >= 1) || (unsigned)options->jitter > SKUA_JITTER_DECORRELATED)
        return -EINVAL; /* the multiplier may be no number: such a one is not >= 1 */
    return 0;
}

int skua_backoff_init(skua_backoff *backoff, const skua_backoff_options *options)
{
    int rc;

    if (options != NULL) {
        if (options->size != sizeof *options)
            return -EINVAL;
        backoff->options = *options;
    } else {
        skua_backoff_options_init(&backoff->options);
    }
    rc = backoff_fill(&backoff->options);
    if (rc != 0)
        return rc;
    skua_backoff_reset(backoff);
    return 0;
}

void skua_backoff_reset(skua_backoff *backoff)
{
    const skua_backoff_options *options = &backoff->options;

    backoff->bound = options->initial;
    backoff->left = options->attempts - (options->attempts != SKUA_ATTEMPTS_FOREVER);
    backoff->deadline = options->deadline;
    if (options->total != INT64_MAX) {
        int64_t end = skua__time_after(skua_now(), options->total);

        backoff->deadline = end < backoff->deadline ? end : backoff->deadline;
    }
    if (options->budget != NULL)
        skua_retry_budget_deposit(options->budget);
}

/* When the calling task's waits end; a shield has them go on. */
static int64_t backoff_task_deadline(void)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());

    return fiber != NULL && fiber->shields != 0 ? INT64_MAX : skua_deadline_current();
}

int64_t skua_backoff_next_after(skua_backoff *backoff, int64_t hint)
{
    int64_t deadline = backoff_task_deadline();
    int64_t pause;

    if (backoff->left == 0)
        return SKUA_ELIMIT;
    deadline = backoff->deadline < deadline ? backoff->deadline : deadline;
    pause = backoff_draw(backoff);
    pause = hint > pause ? hint : pause;
    if (deadline != INT64_MAX && skua__time_after(skua_now(), pause) >= deadline)
        return SKUA_ELIMIT;
    if (backoff->options.budget != NULL &&
        skua_retry_budget_try_withdraw(backoff->options.budget) != 0)
        return SKUA_ELIMIT;
    if (backoff->left != SKUA_ATTEMPTS_FOREVER)
        backoff->left--;
    return pause;
}

int64_t skua_backoff_next(skua_backoff *backoff)
{
    return skua_backoff_next_after(backoff, 0);
}

void skua_backoff_options_init(skua_backoff_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- what both kinds of retry share ---------------------------------------------------------- */

static int retry_refusal(const skua_retry_options *options)
{
    return options != NULL && (options->size != sizeof *options || options->try_timeout < 0)
               ? -EINVAL
               : 0;
}

static bool retry_wanted(const skua_retry_options *options, int rc, void *arg)
{
    skua_error kind;

    if (options->retry_if != NULL)
        return options->retry_if(rc, arg) != 0;
    kind = skua_error_kind(rc);
    return kind == SKUA_ERROR_IO || kind == SKUA_ERROR_TIMEOUT || kind == SKUA_ERROR_LIMIT;
}

/* The pause after a failure, which is told; negative: it is the last one. */
static int64_t retry_pause(const skua_retry_options *options, skua_backoff *backoff,
                           unsigned attempt, int rc, void *arg)
{
    int64_t pause;

    pause =
        skua_backoff_next_after(backoff, options->hint_of != NULL ? options->hint_of(rc, arg) : 0);
    if (pause >= 0 && options->on_retry != NULL)
        options->on_retry(attempt, rc, pause, arg);
    return pause;
}

/* ---- direct ---------------------------------------------------------------------------------- */

/* One try, under its own deadline. Without memory for that it is not made, and has failed. */
static int retry_once(int (*fn)(void *arg), void *arg, int64_t timeout)
{
    skua_deadline frame;
    int rc;

    if (timeout == 0)
        return fn(arg);
    rc = skua_deadline_begin(&frame, skua__time_after(skua_now(), timeout));
    if (rc == 0)
        rc = fn(arg);
    (void)skua_deadline_end(&frame);
    return rc;
}

static int retry_loop(int (*fn)(void *arg), void *arg, const skua_retry_options *options,
                      skua_backoff *backoff)
{
    for (unsigned attempt = 1;; attempt++) {
        struct skua__fiber *fiber;
        int64_t pause;
        int end = skua__task_leaf();
        int rc;

        if (end != 0)
            return end;
        rc = retry_once(fn, arg, options->try_timeout);
        if (rc >= 0 || !retry_wanted(options, rc, arg))
            return rc;
        fiber = skua__fiber_current(skua__thread_self());
        end = fiber != NULL ? skua__fiber_verdict(fiber) : 0;
        if (end != 0)
            return end; /* before anything is taken from the budget */
        pause = retry_pause(options, backoff, attempt, rc, arg);
        if (pause < 0)
            return rc;
        end = skua_sleep(pause);
        if (end != 0)
            return end;
    }
}

int skua_retry(int (*fn)(void *arg), void *arg, const skua_retry_options *options)
{
    struct skua__thread *self = skua__thread_self();
    bool on_fiber = skua__fiber_current(self) != NULL;
    skua_retry_options defaults;
    skua_backoff backoff;
    int rc = retry_refusal(options);

    if (rc != 0)
        return rc;
    if (options == NULL) {
        skua_retry_options_init(&defaults);
        options = &defaults;
    }
    if (!on_fiber && (self->current != NULL || self->core != NULL || options->try_timeout != 0))
        return SKUA_EUSAGE;
    rc = skua_backoff_init(&backoff, options->backoff);
    return rc != 0 ? rc : retry_loop(fn, arg, options, &backoff);
}

void skua_retry_options_init(skua_retry_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- as a future ----------------------------------------------------------------------------- */

/* The try's answer; -ETIMEDOUT when its own time is up, and it was not ready before. */
static skua_poll retry_ask(skua_retry_future *self, skua_waker *waker)
{
    skua_poll answer = skua__future_poll_raw(self->current, waker);

    if (answer == SKUA_PENDING && skua__flow_late(&self->timer, waker))
        answer = -ETIMEDOUT;
    if (answer == SKUA_PENDING)
        return answer;
    skua__sleep_drop(&self->timer.future); /* first: it would wake a fiber that parks below */
    skua_future_drop(self->current);
    self->current = NULL;
    return answer;
}

static bool retry_start(skua_retry_future *self)
{
    int64_t timeout = self->options.try_timeout;

    self->current = self->start(self->arg);
    skua_sleep_init(&self->timer, timeout != 0 ? timeout : SKUA_FOREVER);
    self->attempt++;
    return self->current != NULL;
}

static skua_poll retry_poll(skua_future *future, skua_waker *waker)
{
    skua_retry_future *self = skua__container(future, skua_retry_future, future);
    skua_poll answer;
    int64_t pause;

    if (self->refused != 0)
        return self->refused;
    for (;;) {
        if (self->current == NULL) {
            if (skua__sleep_poll(&self->timer.future, waker) == SKUA_PENDING)
                return SKUA_PENDING;
            if (!retry_start(self))
                return SKUA_EUSAGE;
        }
        answer = retry_ask(self, waker);
        if (answer >= 0 || answer == SKUA_PENDING ||
            !retry_wanted(&self->options, (int)answer, self->arg))
            return answer;
        pause = retry_pause(&self->options, &self->backoff, self->attempt, (int)answer, self->arg);
        if (pause < 0)
            return answer;
        skua_sleep_init(&self->timer, pause);
    }
}

static void retry_drop(skua_future *future)
{
    skua_retry_future *self = skua__container(future, skua_retry_future, future);

    skua__sleep_drop(&self->timer.future); /* first, as above */
    skua_future_drop(self->current);
}

static const skua_future_ops retry_ops = {.name = "retry", .poll = retry_poll, .drop = retry_drop};

skua_future *skua_retry_init(skua_retry_future *retry, skua_future *(*start)(void *arg), void *arg,
                             const skua_retry_options *options)
{
    retry->future.ops = &retry_ops;
    retry->start = start;
    retry->arg = arg;
    retry->current = NULL;
    retry->attempt = 0;
    retry->refused = retry_refusal(options);
    if (options != NULL && retry->refused == 0)
        retry->options = *options;
    else
        skua_retry_options_init(&retry->options);
    if (retry->refused == 0)
        retry->refused = skua_backoff_init(&retry->backoff, retry->options.backoff);
    retry->options.backoff = NULL; /* copied; the caller's may go */
    skua_sleep_until_init(&retry->timer, 0);
    return &retry->future;
}

#undef RETRY_SLOTS
#undef RETRY_UNIT
