/* debounce.c - bursts of calls that are told once, and turns that keep a distance.
 *
 * Debounce   three facts under the lock say all: `now` (an edge is owed at once), `poked` (pokes
 *            are owed at the end of the burst), `last` (the newest poke). The end is at last +
 *            quiet, or at since + max_wait if that is earlier. A poke that only puts the end off
 *            wakes nobody: the timer of who waits is early then, and is armed again when it fires.
 *
 *            event                     owed
 *            poke, begins a burst      now (leading, both), poked (trailing)
 *            poke in a burst           poked (trailing, both)
 *            poke after an end that    now, beside that: an end that has come is not put off
 *            was not told
 *            told                      nothing; max_wait counts from now on
 *            flush                     now, if anything was
 *
 * Throttle   one moment: when the next turn may be. Whoever takes a turn moves it on.
 * Source     lodash's debounce for edges and max_wait: a burst begins with a poke after `quiet`, or
 *            with one after max_wait when nothing else is owed.
 */
#include <string.h>

#include "rhythm/timed_line.h"

/* ---- debounce -------------------------------------------------------------------------------- */

static skua_debounce *debounce_of(skua_timed_line *line)
{
    return skua__container(line, skua_debounce, line);
}

static struct skua__lock *debounce_lock(skua_debounce *self)
{
    return skua__timed_lock(&self->line);
}

/* When the pokes are told, if no other comes. */
static int64_t debounce_end(const skua_debounce *self)
{
    int64_t end = skua__time_after(self->last, self->quiet);
    int64_t most = skua__time_after(self->since, self->max_wait);

    return most < end ? most : end;
}

static skua_poll debounce_look(skua_timed_line *line, void *value, int64_t now, int64_t *again)
{
    skua_debounce *self = debounce_of(line);
    int64_t end = debounce_end(self);

    (void)value;
    if (self->now) {
        self->now = 0;
        if (self->poked)
            *again = end;
        return 0;
    }
    if (!self->poked)
        return SKUA_PENDING;
    if (now < end) {
        *again = end;
        return SKUA_PENDING;
    }
    self->poked = 0;
    self->since = now;
    return 0;
}

static const struct skua__timed_kind debounce_kind = SKUA__TIMED_KIND("debounce", debounce_look);

/* Under the lock: whether a poke begins a burst. */
static bool debounce_begins(const skua_debounce *self, int64_t now)
{
    if (!self->begun || now - self->last >= self->quiet)
        return true;
    return !self->poked && now - self->since >= self->max_wait;
}

/* Under the lock: what is owed is owed at once, as one. */
static void debounce_owe(skua_debounce *self, int64_t now)
{
    self->now = 1;
    self->poked = 0;
    self->since = now;
}

void skua_debounce_poke(skua_debounce *self)
{
    struct skua__chain chain = {NULL, NULL};
    int64_t now = skua_now();
    bool owed;

    skua__lock_take(debounce_lock(self));
    if (now < self->last)
        now = self->last; /* another thread has read the clock later, and was here before */
    if (self->poked && now >= debounce_end(self))
        debounce_owe(self, now); /* that end has come: it is not put off, however late the timer */
    owed = self->poked;
    if (debounce_begins(self, now)) {
        if (self->edge == SKUA_EDGE_TRAILING)
            self->poked = 1;
        else
            self->now = 1;
        self->since = now;
    } else if (self->edge != SKUA_EDGE_LEADING) {
        self->poked = 1;
    }
    self->begun = 1;
    self->last = now;
    if (self->now || (self->poked && !owed)) /* else whoever is the first has a timer */
        skua__timed_tell(&self->line, &chain);
    skua__lock_drop(debounce_lock(self));
    skua__chain_wake(&chain);
}

int skua_debounce_flush(skua_debounce *self)
{
    struct skua__chain chain = {NULL, NULL};
    int64_t now = skua_now();
    int any;

    skua__lock_take(debounce_lock(self));
    any = self->now || self->poked;
    if (any) {
        debounce_owe(self, now);
        skua__timed_tell(&self->line, &chain);
    }
    skua__lock_drop(debounce_lock(self));
    skua__chain_wake(&chain);
    return any;
}

int skua_debounce_cancel(skua_debounce *self)
{
    int any;

    skua__lock_take(debounce_lock(self));
    any = self->now || self->poked;
    self->now = 0;
    self->poked = 0;
    self->begun = 0;
    skua__lock_drop(debounce_lock(self));
    return any;
}

int skua_debounce_wait(skua_debounce *debounce)
{
    return skua_debounce_wait_until(debounce, SKUA_FOREVER);
}

int skua_debounce_wait_until(skua_debounce *debounce, int64_t deadline)
{
    return skua__timed_wait(&debounce->line, &debounce_kind, NULL, deadline);
}

skua_future *skua_debounce_wait_init(skua_timed_future *wait, skua_debounce *debounce)
{
    return skua__timed_init(wait, &debounce->line, &debounce_kind, NULL);
}

void skua_debounce_options_init(skua_debounce_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_debounce_init(skua_debounce *debounce, int64_t quiet, const skua_debounce_options *options)
{
    int64_t max_wait = SKUA_FOREVER;
    skua_edge edge = SKUA_EDGE_TRAILING;

    if (quiet <= 0)
        return -EINVAL;
    if (options != NULL) {
        if (options->size != sizeof *options || options->max_wait < 0 ||
            (unsigned)options->edge > SKUA_EDGE_BOTH)
            return -EINVAL;
        if (options->max_wait != 0)
            max_wait = options->max_wait > quiet ? options->max_wait : quiet;
        edge = options->edge;
    }
    *debounce = (skua_debounce){.quiet = quiet, .max_wait = max_wait, .edge = (uint8_t)edge};
    return 0;
}

/* ---- throttle -------------------------------------------------------------------------------- */

static skua_poll throttle_look(skua_timed_line *line, void *value, int64_t now, int64_t *again)
{
    skua_throttle *self = skua__container(line, skua_throttle, line);
    bool turn = now >= self->next;

    (void)value;
    if (turn)
        self->next = skua__time_after(now, self->period);
    *again = self->next;
    return turn ? 0 : SKUA_PENDING;
}

static const struct skua__timed_kind throttle_kind = SKUA__TIMED_KIND("throttle", throttle_look);

int skua_throttle_init(skua_throttle *throttle, int64_t period)
{
    if (period <= 0)
        return -EINVAL;
    *throttle = (skua_throttle){.period = period};
    return 0;
}

int skua_throttle_try(skua_throttle *throttle)
{
    return skua__timed_try(&throttle->line, &throttle_kind, NULL);
}

int skua_throttle_wait(skua_throttle *throttle)
{
    return skua_throttle_wait_until(throttle, SKUA_FOREVER);
}

int skua_throttle_wait_until(skua_throttle *throttle, int64_t deadline)
{
    return skua__timed_wait(&throttle->line, &throttle_kind, NULL, deadline);
}

skua_future *skua_throttle_wait_init(skua_timed_future *wait, skua_throttle *throttle)
{
    return skua__timed_init(wait, &throttle->line, &throttle_kind, NULL);
}
