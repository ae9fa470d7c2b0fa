/* tcp_dial.c - connecting to a name: several addresses, one connection.
 *
 * Flow       skua_tcp_connect -> dial_find: the addresses, families in turn -> dial_poll: asks the
 *            attempts that are under way, begins the next one, and waits for them all at once
 * When       the next attempt begins when one has failed, or when the newest has had its time, or
 *            when none is under way (RFC 8305, section 5). At most DIAL_MAX are: then the next one
 *            waits until one has failed.
 * Error      a machine without IPv6 refuses half of the addresses by itself, which says nothing of
 *            the peer: such errors are told when there are no others, and else the first one.
 * Threads    a plain thread has no driver: it asks in the same order, and sleeps in poll(2).
 * Memory     the attempts are in the caller's frame; the list is the only allocation, and one
 *            address needs none.
 */
#include <string.h>
#include <poll.h>

#include "dns/dns_impl.h"
#include "flow/flow_impl.h"
#include "net/net_impl.h"

#define DIAL_MAX 16
#define DIAL_DELAY (250 * SKUA_MILLISECOND) /* RFC 8305's "Connection Attempt Delay" */

struct dial {
    skua_future future;
    const skua_connect_options *options; /* constant, as the next three */
    const skua_address *all;
    size_t count;
    int64_t delay;
    size_t next;             /* the first address that was not tried */
    unsigned running;        /* attempts under way */
    int error;               /* the most telling one so far */
    bool patient;            /* the timer runs: the newest attempt still has time */
    skua_sleep_future timer; /* a fiber's … */
    int64_t until;           /* … and a plain thread's: when that time is over */
    struct skua__attempt *winner;
    struct skua__attempt attempts[DIAL_MAX];
};

void skua_connect_options_init(skua_connect_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- the order of addresses ------------------------------------------------------------------ */

/* Families in turn, each in the order that it came in. */
static void dial_interleave(skua_address *all, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        skua_address_kind last = skua_address_kind_of(&all[i - 1]);
        size_t from = i;
        skua_address moved;

        while (from < count && skua_address_kind_of(&all[from]) == last)
            from++;
        if (from == count)
            return; /* the rest is of one family */
        moved = all[from];
        memmove(&all[i + 1], &all[i], (from - i) * sizeof *all);
        all[i] = moved;
    }
}

/* ---- attempts -------------------------------------------------------------------------------- */

/* Whether it is this machine that does not know the way. */
static bool dial_is_own(int error)
{
    return error == -ENETUNREACH || error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT ||
           error == -EINVAL || error == -EPROTONOSUPPORT;
}

static void dial_note(struct dial *self, int error)
{
    if (self->error == 0 || (dial_is_own(self->error) && !dial_is_own(error)))
        self->error = error;
}

static void dial_failed(struct dial *self, struct skua__attempt *attempt, int error)
{
    dial_note(self, error);
    skua__attempt_end(attempt);
    self->running--;
    self->patient = false; /* the next one begins at once */
}

/* Begins attempts until one is under way, or there are no more. */
static void dial_begin(struct dial *self)
{
    struct skua__attempt *attempt = self->attempts;

    while (attempt->tcp != NULL)
        attempt++;
    while (self->next < self->count) {
        int rc = skua__attempt_begin(attempt, &self->all[self->next++], self->options);

        if (rc == 0) {
            self->running++;
            self->patient = true;
            return;
        }
        dial_note(self, rc);
    }
}

static bool dial_may_begin(const struct dial *self)
{
    return self->next < self->count && self->running < DIAL_MAX;
}

static void dial_let_go(struct dial *self)
{
    for (unsigned i = 0; i < DIAL_MAX; i++)
        if (&self->attempts[i] != self->winner)
            skua__attempt_end(&self->attempts[i]);
}

/* ---- fibers ---------------------------------------------------------------------------------- */

static void dial_drop(skua_future *future)
{
    struct dial *self = skua__container(future, struct dial, future);

    skua__sleep_drop(&self->timer.future);
    dial_let_go(self);
}

/* Asks all that are under way: whether one is connected. */
static bool dial_ask(struct dial *self, skua_waker *waker)
{
    for (unsigned i = 0; i < DIAL_MAX; i++) {
        struct skua__attempt *attempt = &self->attempts[i];
        skua_poll answer = SKUA_PENDING;

        if (attempt->tcp != NULL)
            answer = skua__attempt_poll(attempt, waker);
        if (answer == 0)
            self->winner = attempt;
        else if (answer != SKUA_PENDING)
            dial_failed(self, attempt, (int)answer);
        if (answer == 0)
            return true;
    }
    return false;
}

static skua_poll dial_poll(skua_future *future, skua_waker *waker)
{
    struct dial *self = skua__container(future, struct dial, future);

    for (;;) {
        if (dial_ask(self, waker)) {
            dial_drop(future);
            return 0;
        }
        if (!dial_may_begin(self))
            break;
        if (self->patient && !skua__flow_late(&self->timer, waker))
            return SKUA_PENDING;
        dial_begin(self);
        skua__sleep_drop(&self->timer.future);
        skua_sleep_init(&self->timer, self->delay);
    }
    if (self->running > 0)
        return SKUA_PENDING;
    skua__sleep_drop(&self->timer.future);
    return self->error;
}

static const skua_future_ops dial_ops = {
    .name = "tcp.connect", .poll = dial_poll, .drop = dial_drop};

/* ---- plain threads --------------------------------------------------------------------------- */

/* As dial_ask. */
static bool dial_look(struct dial *self)
{
    for (unsigned i = 0; i < DIAL_MAX; i++) {
        struct skua__attempt *attempt = &self->attempts[i];
        int rc = attempt->tcp != NULL ? skua__attempt_outcome(attempt) : -EAGAIN;

        if (rc == 0) {
            self->winner = attempt;
            return true;
        }
        if (rc != -EAGAIN)
            dial_failed(self, attempt, rc);
    }
    return false;
}

/* Sleeps until one may have an answer, or the next one's time has come. */
static int dial_sleep(struct dial *self, int64_t deadline)
{
    int64_t until = dial_may_begin(self) && self->until < deadline ? self->until : deadline;
    struct pollfd fds[DIAL_MAX];
    int rc;

    for (unsigned i = 0; i < DIAL_MAX; i++) {
        bool running = self->attempts[i].tcp != NULL;

        fds[i] = (struct pollfd){.fd = running ? skua__attempt_fd(&self->attempts[i]) : -1,
                                 .events = POLLOUT};
    }
    rc = skua__os_poll_many(fds, DIAL_MAX, until);
    if (rc == -ETIMEDOUT && until < deadline) {
        self->patient = false;
        rc = 0;
    }
    return rc;
}

static int dial_on_thread(struct dial *self, int64_t deadline)
{
    int rc = 0;

    while (!dial_look(self)) {
        if (dial_may_begin(self) && !self->patient) {
            dial_begin(self);
            self->until =
                self->delay < SKUA_FOREVER - skua_now() ? skua_now() + self->delay : SKUA_FOREVER;
        } else if (self->running == 0) {
            return self->error;
        } else {
            rc = dial_sleep(self, deadline);
            if (rc != 0)
                break;
        }
    }
    dial_let_go(self);
    return rc;
}

/* ---- for users ------------------------------------------------------------------------------- */

static int dial_run(skua_tcp **ret, const skua_address *all, size_t count,
                    const skua_connect_options *options)
{
    int64_t deadline = options->deadline == 0 ? SKUA_FOREVER : options->deadline;
    struct dial dial = {.future.ops = &dial_ops, .options = options, .all = all, .count = count};
    int rc;

    dial.delay = options->attempt_delay != 0 ? options->attempt_delay : DIAL_DELAY;
    skua_sleep_init(&dial.timer, dial.delay);
    if (skua__thread_self()->core != NULL)
        rc = (int)skua_await_until(&dial.future, deadline);
    else
        rc = dial_on_thread(&dial, deadline);
    return rc != 0 ? rc : skua__attempt_take(dial.winner, ret);
}

/* A name, or "localhost". */
static int dial_name(skua_tcp **ret, const char *text, const skua_connect_options *options)
{
    const skua_resolve_options resolve = {
        .size = sizeof resolve, .deadline = options->deadline, .resolver = options->resolver};
    skua_addresses found = SKUA_ADDRESSES_INIT;
    int rc = skua_resolve(&found, text, &resolve);

    if (rc != 0)
        return rc;
    dial_interleave(found.all, found.count);
    rc = dial_run(ret, found.all, found.count, options);
    skua_addresses_free(&found);
    return rc;
}

static int dial_text(skua_tcp **ret, const char *text, const skua_connect_options *given)
{
    skua_connect_options options = {.size = sizeof options};
    struct skua__address parsed;
    struct skua__name name;
    skua_address address;
    int rc;

    if (given != NULL)
        options = *given;
    if (options.size != sizeof options || options.no_nodelay > 1 || options.attempt_delay < 0 ||
        (options.bind != NULL && skua__address_parse(options.bind, &parsed) != 0))
        return -EINVAL;
    rc = skua__name_parse(&name, text);
    if (rc != 0)
        return rc;
    if (name.port < 0) /* a Unix socket's has none, either */
        return -EINVAL;
    if (name.known_count != 1)
        return dial_name(ret, text, &options);
    address = name.known[0];
    return dial_run(ret, &address, 1, &options);
}

/* The same, told. */
static SKUA__NOINLINE int dial_told(skua_tcp **ret, const char *text,
                                    const skua_connect_options *given)
{
    char peer[SKUA_ADDRESS_MAX];
    skua_probe_op op;
    int rc;

    skua__op_begin(&op, "tcp.connect", text);
    rc = dial_text(ret, text, given);
    if (rc == 0 && skua_tcp_peer_address(*ret, peer, sizeof peer) == 0)
        op.peer = peer;
    skua__op_end(&op, rc, 0);
    return rc;
}

int skua_tcp_connect(skua_tcp **ret, const char *text, const skua_connect_options *given)
{
    return skua__probe_ops() ? dial_told(ret, text, given) : dial_text(ret, text, given);
}

#undef DIAL_MAX
#undef DIAL_DELAY
