/* breaker.c - the circuit breaker's three states, and the window that it judges by.
 *
 * States     the table is at the top of breaker.h. There is no timer: who enters when the open time
 *            is over makes it half-open, and is the first probe.
 * Generation each change of state is a new one, and a ticket counts in its own alone. So a call
 *            that was slow to fail does not spoil the judgement of a later state; and a probe that
 *            never comes back cannot wedge half-open: when all probes are out, and the newest is
 *            older than .abandon, a new generation begins with none out.
 * Window     a ring of buckets of the same width, and their sum. A bucket belongs to a step of the
 *            clock (time / width); those that were skipped are emptied when somebody looks. So the
 *            window is as long as it is set, less up to one bucket.
 * Lock       user code (.classify, .on_change) runs outside. A call makes one change at most; it is
 *            kept in a struct breaker_change, and told behind the lock.
 */
#include <errno.h>
#include <string.h>

#include <skua/breaker.h>
#include <skua/time.h>

#include "base/defs.h"
#include "base/lock.h"

/* A change, to be told. */
struct breaker_change {
    skua_circuit from;
    skua_circuit to;
};

static struct skua__lock *breaker_lock(skua_breaker *breaker)
{
    _Static_assert(sizeof(struct skua__lock) == sizeof breaker->lock, "the lock's room");
    return (struct skua__lock *)(void *)&breaker->lock;
}

static void breaker_tell(skua_breaker *breaker, struct breaker_change change)
{
    if (change.from != change.to && breaker->options.on_change != NULL)
        breaker->options.on_change(breaker, change.from, change.to, breaker->options.arg);
}

/* ---- the window: under the lock, as all up to the user's part -------------------------------- */

static void breaker_empty(skua_breaker *breaker)
{
    memset(&breaker->total, 0, sizeof breaker->total);
    memset(breaker->buckets, 0, sizeof breaker->buckets);
}

static skua_breaker_counts *breaker_bucket(skua_breaker *breaker, int64_t step)
{
    return &breaker->buckets[(uint64_t)step % breaker->options.buckets];
}

/* Moves the window on to `now`. */
static void breaker_roll(skua_breaker *breaker, int64_t now)
{
    int64_t step = now / breaker->width;

    if (step - breaker->step >= (int64_t)breaker->options.buckets) {
        breaker_empty(breaker);
        breaker->step = step;
    }
    while (breaker->step < step) {
        skua_breaker_counts *oldest = breaker_bucket(breaker, ++breaker->step);

        breaker->total.calls -= oldest->calls;
        breaker->total.failures -= oldest->failures;
        breaker->total.slow -= oldest->slow;
        memset(oldest, 0, sizeof *oldest);
    }
}

static void breaker_count(skua_breaker *breaker, bool failed, bool slow)
{
    skua_breaker_counts *newest = breaker_bucket(breaker, breaker->step);

    newest->calls++;
    newest->failures += failed;
    newest->slow += slow;
    breaker->total.calls++;
    breaker->total.failures += failed;
    breaker->total.slow += slow;
}

/* ---- states ---------------------------------------------------------------------------------- */

static struct breaker_change breaker_enters_state(skua_breaker *breaker, skua_circuit to)
{
    struct breaker_change change = {(skua_circuit)breaker->state, to};

    breaker->generation++;
    breaker->state = (uint8_t)to;
    breaker->out = 0;
    breaker->successes = 0;
    return change;
}

/* For `open_for`, which grows when it was a probe that failed. */
static struct breaker_change breaker_opens(skua_breaker *breaker, int64_t now)
{
    int64_t room = breaker->options.open_max - breaker->open_for;

    if (breaker->state == SKUA_CIRCUIT_HALF_OPEN)
        breaker->open_for += breaker->open_for < room ? breaker->open_for : room;
    breaker->until = skua__time_after(now, breaker->open_for);
    breaker->opened++;
    return breaker_enters_state(breaker, SKUA_CIRCUIT_OPEN);
}

static struct breaker_change breaker_closes(skua_breaker *breaker)
{
    breaker->open_for = breaker->options.open;
    breaker_empty(breaker);
    return breaker_enters_state(breaker, SKUA_CIRCUIT_CLOSED);
}

/* ns until somebody may enter: 0, now. */
static int64_t breaker_wait(const skua_breaker *breaker, int64_t now)
{
    int64_t when = now;

    if (breaker->state == SKUA_CIRCUIT_OPEN)
        when = breaker->until;
    else if (breaker->state == SKUA_CIRCUIT_HALF_OPEN && breaker->out >= breaker->options.probes)
        when = skua__time_after(breaker->probed, breaker->options.abandon);
    if (when == SKUA_FOREVER)
        return SKUA_FOREVER;
    return when > now ? when - now : 0;
}

/* One more probe. */
static void breaker_probes(skua_breaker *breaker, int64_t now)
{
    if (breaker->out >= breaker->options.probes) { /* all of them are given up */
        breaker->generation++;
        breaker->out = 0;
    }
    breaker->out++;
    breaker->probed = now > breaker->probed ? now : breaker->probed;
}

static bool breaker_trips(const skua_breaker *breaker)
{
    const skua_breaker_options *options = &breaker->options;
    const skua_breaker_counts *total = &breaker->total;

    return total->calls >= options->minimum &&
           (total->failures * 100 >= total->calls * options->failure_percent ||
            (options->slow != 0 && total->slow * 100 >= total->calls * options->slow_percent));
}

/* A call of this generation has ended. */
static struct breaker_change breaker_learns(skua_breaker *breaker, skua_call_verdict verdict,
                                            bool slow, int64_t now)
{
    struct breaker_change none = {SKUA_CIRCUIT_CLOSED, SKUA_CIRCUIT_CLOSED};
    bool failed = verdict == SKUA_CALL_FAILURE;

    if (breaker->state == SKUA_CIRCUIT_HALF_OPEN) {
        breaker->out--;
        if (verdict == SKUA_CALL_IGNORED)
            return none;
        if (failed || slow)
            return breaker_opens(breaker, now);
        return ++breaker->successes < breaker->options.successes ? none : breaker_closes(breaker);
    }
    if (verdict == SKUA_CALL_IGNORED)
        return none;
    breaker_roll(breaker, now);
    breaker_count(breaker, failed, slow);
    return breaker_trips(breaker) && !breaker->forced ? breaker_opens(breaker, now) : none;
}

/* ---- for users ------------------------------------------------------------------------------- */

void skua_breaker_options_init(skua_breaker_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static void breaker_defaults(skua_breaker_options *options)
{
    options->window = options->window != 0 ? options->window : 10 * SKUA_SECOND;
    options->buckets = options->buckets != 0 ? options->buckets : 10;
    options->failure_percent = options->failure_percent != 0 ? options->failure_percent : 50;
    options->minimum = options->minimum != 0 ? options->minimum : 20;
    options->slow_percent = options->slow_percent != 0 ? options->slow_percent : 100;
    options->open = options->open != 0 ? options->open : 5 * SKUA_SECOND;
    options->open_max = options->open_max != 0 ? options->open_max : options->open;
    options->probes = options->probes != 0 ? options->probes : 1;
    options->successes = options->successes != 0 ? options->successes : 1;
    options->abandon = options->abandon != 0 ? options->abandon : options->open;
}

static bool breaker_is_bad(const skua_breaker_options *options)
{
    return options->buckets > SKUA_BREAKER_BUCKETS || options->window < (int64_t)options->buckets ||
           options->failure_percent > 100 || options->slow_percent > 100 || options->slow < 0 ||
           options->open < 0 || options->open_max < options->open || options->abandon < 0;
}

int skua_breaker_init(skua_breaker *breaker, const skua_breaker_options *options)
{
    skua_breaker_options wanted;

    skua_breaker_options_init(&wanted);
    if (options != NULL && options->size != sizeof *options)
        return -EINVAL;
    if (options != NULL)
        wanted = *options;
    breaker_defaults(&wanted);
    if (breaker_is_bad(&wanted))
        return -EINVAL;
    memset(breaker, 0, sizeof *breaker);
    breaker->options = wanted;
    breaker->generation = 1;
    breaker->width = wanted.window / wanted.buckets;
    breaker->open_for = wanted.open;
    return 0;
}

int skua_breaker_enter(skua_breaker *breaker, skua_breaker_ticket *ticket)
{
    struct breaker_change change = {SKUA_CIRCUIT_CLOSED, SKUA_CIRCUIT_CLOSED};
    int64_t now = skua_now();
    int rc = 0;

    skua__lock_take(breaker_lock(breaker));
    if (breaker_wait(breaker, now) != 0) {
        breaker->refused++;
        rc = SKUA_ELIMIT;
    } else if (breaker->state == SKUA_CIRCUIT_OPEN) {
        change = breaker_enters_state(breaker, SKUA_CIRCUIT_HALF_OPEN);
    }
    if (rc == 0 && breaker->state == SKUA_CIRCUIT_HALF_OPEN)
        breaker_probes(breaker, now);
    ticket->generation = rc == 0 ? breaker->generation : 0;
    ticket->begin = now;
    skua__lock_drop(breaker_lock(breaker));
    breaker_tell(breaker, change);
    return rc;
}

static skua_call_verdict breaker_verdict(const skua_breaker *breaker, int64_t rc)
{
    if (breaker->options.classify != NULL)
        return breaker->options.classify(rc, breaker->options.arg);
    if (rc == -ECANCELED)
        return SKUA_CALL_IGNORED;
    return rc < 0 ? SKUA_CALL_FAILURE : SKUA_CALL_SUCCESS;
}

int skua_breaker_leave(skua_breaker *breaker, skua_breaker_ticket *ticket, int64_t rc)
{
    struct breaker_change change = {SKUA_CIRCUIT_CLOSED, SKUA_CIRCUIT_CLOSED};
    skua_call_verdict verdict;
    int64_t now;
    bool slow;

    if (ticket->generation == 0)
        return SKUA_EUSAGE;
    verdict = breaker_verdict(breaker, rc);
    now = skua_now();
    slow = breaker->options.slow != 0 && now - ticket->begin > breaker->options.slow;
    skua__lock_take(breaker_lock(breaker));
    if (ticket->generation == breaker->generation)
        change = breaker_learns(breaker, verdict, slow, now);
    skua__lock_drop(breaker_lock(breaker));
    ticket->generation = 0;
    breaker_tell(breaker, change);
    return 0;
}

int skua_breaker_call(skua_breaker *breaker, int (*fn)(void *arg), void *arg)
{
    skua_breaker_ticket ticket;
    int rc = skua_breaker_enter(breaker, &ticket);

    if (rc != 0)
        return rc;
    rc = fn(arg);
    (void)skua_breaker_leave(breaker, &ticket, rc);
    return rc;
}

skua_circuit skua_breaker_state(const skua_breaker *breaker)
{
    skua_breaker *self = (skua_breaker *)(uintptr_t)breaker;
    skua_circuit state;

    skua__lock_take(breaker_lock(self));
    state = (skua_circuit)self->state;
    skua__lock_drop(breaker_lock(self));
    return state;
}

int64_t skua_breaker_retry_after(const skua_breaker *breaker)
{
    skua_breaker *self = (skua_breaker *)(uintptr_t)breaker;
    int64_t now = skua_now();
    int64_t wait;

    skua__lock_take(breaker_lock(self));
    wait = breaker_wait(self, now);
    skua__lock_drop(breaker_lock(self));
    return wait;
}

int skua_breaker_force(skua_breaker *breaker, skua_circuit state)
{
    struct breaker_change change;

    if (state != SKUA_CIRCUIT_OPEN && state != SKUA_CIRCUIT_CLOSED)
        return -EINVAL;
    skua__lock_take(breaker_lock(breaker));
    breaker->forced = 1;
    breaker->opened += state == SKUA_CIRCUIT_OPEN && breaker->state != SKUA_CIRCUIT_OPEN;
    breaker->until = SKUA_FOREVER;
    change = breaker_enters_state(breaker, state);
    skua__lock_drop(breaker_lock(breaker));
    breaker_tell(breaker, change);
    return 0;
}

void skua_breaker_reset(skua_breaker *breaker)
{
    struct breaker_change change;

    skua__lock_take(breaker_lock(breaker));
    breaker->forced = 0;
    change = breaker_closes(breaker);
    skua__lock_drop(breaker_lock(breaker));
    breaker_tell(breaker, change);
}

int skua_breaker_snapshot(const skua_breaker *breaker, skua_breaker_stats *stats)
{
    skua_breaker *self = (skua_breaker *)(uintptr_t)breaker;
    int64_t now = skua_now();

    if (stats->size != sizeof *stats)
        return -EINVAL;
    skua__lock_take(breaker_lock(self));
    breaker_roll(self, now);
    stats->state = (skua_circuit)self->state;
    stats->window = self->total;
    stats->refused = self->refused;
    stats->opened = self->opened;
    skua__lock_drop(breaker_lock(self));
    return 0;
}
