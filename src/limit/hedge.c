/* hedge.c - a second request when the first is slow: the first success counts.
 *
 * Futures    skua_hedge -> skua_await -> hedge_poll: asks the primary, then, when the delay has
 *            passed or the primary failed, the fallback. A future that is not polled does nothing,
 *            so that the fallback costs nothing as long as the primary is fast.
 * Calls      skua_hedge_call -> hedge_run: spawns a fiber for each call into a scope in its own
 *            frame, and sleeps on a notify until one has ended or the next is due.
 * Ends       nothing of either is left when it returns: the losers were dropped, or cancelled and
 *            joined. So calls may keep everything in the caller's frame.
 */
#include <skua/notify.h>
#include <skua/retry.h>

#include "flow/flow_impl.h"

/* ---- futures --------------------------------------------------------------------------------- */

static void hedge_drop(skua_future *future)
{
    skua_hedge_future *self = skua__container(future, skua_hedge_future, future);

    skua__sleep_drop(&self->timer.future); /* first: it would wake a fiber that parks below */
    skua__flow_drop(self->branches, 2);
}

/* Asks a branch: true when the hedge is over, with `answer` for the whole. */
static bool hedge_ask(skua_hedge_future *self, unsigned index, skua_waker *waker, skua_poll *answer)
{
    skua_poll result;

    if (self->failed & (1u << index))
        return false;
    result = skua__future_poll_raw(self->branches[index], waker);
    if (result == SKUA_PENDING)
        return false;
    if (result >= 0) {
        if (self->result != NULL)
            *self->result = result;
        *answer = index;
        return true;
    }
    self->failed |= (uint8_t)(1u << index);
    *answer = result;
    return self->failed == 3;
}

/* Whether it is the fallback's turn. One that is not there has failed from the beginning. */
static bool hedge_due(skua_hedge_future *self, skua_waker *waker)
{
    if (self->hedged || (self->failed & 2))
        return self->hedged;
    self->hedged = (self->failed & 1) || skua__flow_late(&self->timer, waker);
    return self->hedged;
}

static skua_poll hedge_poll(skua_future *future, skua_waker *waker)
{
    skua_hedge_future *self = skua__container(future, skua_hedge_future, future);
    skua_poll answer = SKUA_EUSAGE;
    bool over = self->branches[0] == NULL;

    if (!over)
        over = hedge_ask(self, 0, waker, &answer);
    if (!over && hedge_due(self, waker))
        over = hedge_ask(self, 1, waker, &answer);
    if (!over)
        return SKUA_PENDING;
    hedge_drop(future);
    return answer;
}

static const skua_future_ops hedge_ops = {.name = "hedge", .poll = hedge_poll, .drop = hedge_drop};

skua_future *skua_hedge_init(skua_hedge_future *hedge, skua_future *primary, int64_t delay,
                             skua_future *fallback, int64_t *result)
{
    hedge->future.ops = &hedge_ops;
    hedge->branches[0] = primary;
    hedge->branches[1] = fallback;
    hedge->result = result;
    hedge->hedged = 0;
    hedge->failed = fallback == NULL ? 2 : 0;
    skua_sleep_init(&hedge->timer, delay);
    return &hedge->future;
}

int skua_hedge(skua_future *primary, int64_t delay, skua_future *fallback, int64_t *result)
{
    skua_hedge_future hedge;

    return (int)skua_await(skua_hedge_init(&hedge, primary, delay, fallback, result));
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct hedge_call;

struct hedge_branch {
    struct hedge_call *call;
    void *arg;
};

struct hedge_call {
    skua_scope scope;
    skua_fiber_fn fn; /* constant */
    skua_notify told; /* a branch has ended */
    int64_t next;     /* when the next one is due; the caller's, as the next */
    size_t started;
    size_t ended;                      /* lock: without success */
    int result;                        /* lock: the winner's; while there is none, the last error */
    const struct hedge_branch *winner; /* lock */
    struct skua__lock lock;
    struct hedge_branch branches[SKUA_HEDGE_MAX];
};

static void hedge_note(struct hedge_call *call, const struct hedge_branch *branch, int rc)
{
    skua__lock_take(&call->lock);
    if (rc < 0)
        call->ended++;
    if (call->winner == NULL) {
        call->result = rc;
        call->winner = rc >= 0 ? branch : NULL;
    }
    skua__lock_drop(&call->lock);
    skua_notify_one(&call->told);
}

static int hedge_fiber(void *arg)
{
    struct hedge_branch *branch = arg;

    hedge_note(branch->call, branch, branch->call->fn(branch->arg));
    return 0; /* the scope has nothing to tell */
}

/* It never ran. While the hedge goes on nobody cancels it: there was no stack. */
static void hedge_dropped(void *arg)
{
    struct hedge_branch *branch = arg;

    hedge_note(branch->call, branch, -ENOMEM);
}

/* Whether there is a winner, or nobody left who could win. */
static bool hedge_over(struct hedge_call *call, size_t count, size_t *ret_running)
{
    bool won;

    skua__lock_take(&call->lock);
    won = call->winner != NULL;
    *ret_running = call->started - call->ended;
    skua__lock_drop(&call->lock);
    return won || (*ret_running == 0 && call->started == count);
}

static void hedge_spawn(struct hedge_call *call, int64_t delay)
{
    struct hedge_branch *branch = &call->branches[call->started++];
    int64_t now = skua_now();
    int rc;

    rc = skua_spawn(&call->scope, hedge_fiber, branch, .name = "hedge", .drop = hedge_dropped);
    if (rc != 0)
        hedge_note(call, branch, rc);
    call->next = skua__time_after(now, delay);
}

/* Until it is over: 0, or why the caller's patience ended before. */
static int hedge_run(struct hedge_call *call, size_t count, int64_t delay)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    size_t running;
    int rc;

    while (!hedge_over(call, count, &running)) {
        if (call->started < count && (running == 0 || call->next <= skua_now())) {
            hedge_spawn(call, delay);
            continue;
        }
        rc = skua_notified_until(&call->told, call->started < count ? call->next : SKUA_FOREVER);
        if (rc == -ETIMEDOUT)
            rc = skua__fiber_verdict(fiber); /* 0: it was not the task's time, but the delay */
        if (rc != 0)
            return rc;
    }
    return 0;
}

int skua_hedge_call(skua_fiber_fn fn, void *const *args, size_t count, int64_t delay,
                    size_t *winner)
{
    struct hedge_call call = {.fn = fn, .told = SKUA_NOTIFY_INIT};
    int rc;

    if (count == 0 || count > SKUA_HEDGE_MAX || skua__fiber_current(skua__thread_self()) == NULL)
        return SKUA_EUSAGE;
    rc = skua__task_leaf();
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        call.branches[i] = (struct hedge_branch){&call, args[i]};
    rc = skua_scope_open(&call.scope, SKUA_COLLECT);
    if (rc != 0)
        return rc;
    rc = hedge_run(&call, count, delay);
    (void)skua_scope_cancel(&call.scope);
    (void)skua_scope_join(&call.scope); /* from here on nobody else looks at the call */
    if (call.winner == NULL)
        return rc != 0 ? rc : call.result;
    if (winner != NULL)
        *winner = (size_t)(call.winner - call.branches);
    return call.result;
}
