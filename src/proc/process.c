/* process.c - a child's handle: its pipes, its signals, its end, and who waits for that.
 *
 * End        the reaper (process_reap.c) sees it: REAPING; waits out who is signalling; reaps;
 *            fills in the status; ENDED; wakes everybody. A wait is a waiter in a list and asks
 *            the system nothing.
 * Signals    who signals counts itself in, looks at the state, and calls; the reaper sets the
 *            state and looks at the count. Both sequential: either the caller sees REAPING, or the
 *            reaper waits for the caller. So a number that is used is still the child's.
 * Closing    the child's memory goes with the last reference: the reaper's, mostly.
 * Forks      in the child of a fork a handle of its parent's is told by its count of forks. Nobody
 *            reaps there, nobody is woken, for those who waited are the parent's, and a signal
 *            would be sent to a stranger's child: all calls are SKUA_EUSAGE, and a close gives the
 *            memory back, with the reference that the reaper has if it had it when it was left.
 */
#include "proc/process_impl.h"

/* One for all children: they come and go too seldom to get in each other's way, and forks wait for
 * it. The own lock of each child could not be told to fork. */
static struct skua__lock process_lock;
/* From the first process to this one. Relaxed: changed while there is one thread. */
static _Atomic uint32_t process_forks;

void skua__process_mind_forks(void)
{
    skua__os_lock_over_fork(&process_lock);
}

void skua__process_forked(void)
{
    skua__add_relaxed(&process_forks, 1);
}

static bool process_is_parents(const struct skua_process *process)
{
    return skua__unlikely(process->forks != skua__load_relaxed(&process_forks));
}

void skua__process_init(struct skua_process *process)
{
    skua__store_relaxed(&process->refs, 1);
    process->forks = skua__load_relaxed(&process_forks);
    process->pidfd = -1;
}

static void process_free(struct skua_process *process)
{
    if (process->pidfd >= 0)
        skua__os_close(process->pidfd);
    skua__os_free(process->told);
    skua__os_free(process);
}

void skua__process_unref(struct skua_process *process)
{
    if (skua__sub_acq_rel(&process->refs, 1) == 1)
        process_free(process);
}

void skua__process_close_pipes(struct skua_process *process)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)skua_fd_close(process->pipes[i]);
        process->pipes[i] = NULL;
    }
}

void skua__process_tell(struct skua_process *process, bool closed)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&process_lock);
    process->closed = process->closed || closed;
    while (process->waiters.first != NULL)
        skua__waiters_grant(&process->waiters, process->waiters.first, &chain);
    skua__lock_drop(&process_lock);
    skua__chain_wake(&chain);
}

/* The reaper's reference goes. In one section with saying so: a fork sees both or neither. */
static void process_reaped(struct skua_process *process)
{
    bool last;

    skua__lock_take(&process_lock);
    process->reaped = true;
    last = skua__sub_acq_rel(&process->refs, 1) == 1;
    skua__lock_drop(&process_lock);
    if (last)
        process_free(process);
}

void skua__process_end(struct skua_process *process)
{
    int status = 0;

    skua__store_seq(&process->state, SKUA__PROCESS_REAPING);
    while (skua__load_seq(&process->signalling) != 0)
        skua__os_thread_yield();
    process->lost = skua__os_process_reap(process->pid, process->pidfd, false, &status);
    process->status.code = status & SKUA__STATUS_KILLED ? -1 : status & SKUA__STATUS_VALUE;
    process->status.signal = status & SKUA__STATUS_KILLED ? status & SKUA__STATUS_VALUE : 0;
    process->status.core = (status & SKUA__STATUS_CORE) != 0;
    if (process->told != NULL)
        skua__op_end(&process->told->op,
                     process->lost != 0            ? process->lost
                     : process->status.signal != 0 ? 128 + process->status.signal
                                                   : process->status.code,
                     0);
    /* Release pairs with process_ended: the status is there. */
    skua__store_seq(&process->state, SKUA__PROCESS_ENDED);
    skua__process_tell(process, false);
    process_reaped(process);
}

/* ---- signals --------------------------------------------------------------------------------- */

/* `send` is told the number, or 0 when it may be another's. */
static int process_send(struct skua_process *process, int signal,
                        int (*send)(int pid, int pidfd, int signal))
{
    bool ours;
    int rc;

    if (process_is_parents(process))
        return SKUA_EUSAGE;
    skua__add_seq(&process->signalling, 1);
    ours = skua__load_seq(&process->state) == SKUA__PROCESS_RUNNING;
    rc = send(ours ? process->pid : 0, process->pidfd, signal);
    skua__sub_seq(&process->signalling, 1);
    return rc;
}

int skua_process_signal(skua_process *process, int signal)
{
    return process_send(process, signal, skua__os_process_signal);
}

int skua_process_signal_group(skua_process *process, int signal)
{
    if (!process->grouped)
        return SKUA_EUSAGE;
    return process_send(process, signal, skua__os_group_signal);
}

/* In the child of a fork. Waits that have begun are in frames which may still be left: each has its
 * reference. */
static void process_close_copy(struct skua_process *process)
{
    skua__process_close_pipes(process);
    if (!process->reaped) /* there is nobody who changes it */
        process_reaped(process);
    skua__process_unref(process);
}

int skua_process_close(skua_process *process)
{
    if (process == NULL)
        return 0;
    if (process_is_parents(process)) {
        process_close_copy(process);
        return 0;
    }
    if (process->kill_on_close != 0 && process->grouped)
        (void)skua_process_signal_group(process, process->kill_on_close);
    else if (process->kill_on_close != 0)
        (void)skua_process_signal(process, process->kill_on_close);
    skua__process_close_pipes(process);
    skua__process_tell(process, true);
    skua__process_unref(process);
    return 0;
}

/* ---- what it is ------------------------------------------------------------------------------ */

pid_t skua_process_id(const skua_process *process)
{
    return process->pid;
}

static skua_fd *process_take(skua_process *process, unsigned stream)
{
    skua_fd *fd = process->pipes[stream];

    process->pipes[stream] = NULL;
    return fd;
}

skua_fd *skua_process_take_in(skua_process *process)
{
    return process_take(process, 0);
}

skua_fd *skua_process_take_out(skua_process *process)
{
    return process_take(process, 1);
}

skua_fd *skua_process_take_err(skua_process *process)
{
    return process_take(process, 2);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Relaxed: a test's worker asks what it has counted itself; elsewhere nobody asks. */
struct skua__core *skua__process_expect(void)
{
    struct skua__core *core = skua__thread_self()->core;

    if (core != NULL)
        skua__add_relaxed(&core->awaited, 1);
    return core;
}

void skua__process_ignore(struct skua__core *core)
{
    if (core != NULL)
        skua__sub_relaxed(&core->awaited, 1);
}

/* 0 or -ECHILD with the status, SKUA_EUSAGE, or -EAGAIN. */
static int process_ended(struct skua_process *process, skua_process_status *status)
{
    if (process_is_parents(process))
        return SKUA_EUSAGE;
    if (skua__load_seq(&process->state) != SKUA__PROCESS_ENDED)
        return -EAGAIN;
    if (process->lost == 0 && status != NULL)
        *status = process->status;
    return process->lost;
}

static skua_poll process_first_poll(skua_process_future *self, skua_waker *waker)
{
    struct skua_process *process = self->process;
    skua_poll answer;

    skua__lock_take(&process_lock);
    /* ENDED is set before the list is taken: who does not see it is on the list by then. */
    answer = process_ended(process, self->status);
    if (answer == -EAGAIN && process->closed) {
        answer = SKUA_ECLOSED;
    } else if (answer == -EAGAIN) {
        skua__add_relaxed(&process->refs, 1); /* the caller sees to it that there is one */
        skua__waiters_push(&process->waiters, &self->waiter, waker);
        self->counted = skua__process_expect();
        answer = SKUA_PENDING;
    }
    skua__lock_drop(&process_lock);
    return answer;
}

static skua_poll process_poll(skua_future *future, skua_waker *waker)
{
    skua_process_future *self = skua__container(future, skua_process_future, future);
    struct skua_process *process = self->process;
    skua_poll answer;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return process_first_poll(self, waker);
    if (process_is_parents(process)) {
        future->ops->drop(future); /* it has begun in the parent */
        return SKUA_EUSAGE;
    }
    answer = skua__waiter_again(&self->waiter, &process_lock, waker);
    if (answer == SKUA_PENDING)
        return answer;
    answer = process_ended(process, self->status);
    skua__process_ignore(self->counted);
    skua__process_unref(process);
    return answer != -EAGAIN ? answer : SKUA_ECLOSED;
}

static void process_drop(skua_future *future)
{
    skua_process_future *self = skua__container(future, skua_process_future, future);

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return;
    (void)skua__waiter_leave(&self->waiter, &process_lock, &self->process->waiters);
    skua__process_ignore(self->counted);
    skua__process_unref(self->process);
}

static const skua_future_ops process_ops = {
    .name = "process", .poll = process_poll, .drop = process_drop};

skua_future *skua_process_wait_init(skua_process_future *wait, skua_process *process,
                                    skua_process_status *status)
{
    wait->future.ops = &process_ops;
    wait->waiter.state = SKUA__IDLE;
    wait->process = process;
    wait->status = status;
    return &wait->future;
}

int skua_process_wait_until(skua_process *process, skua_process_status *status, int64_t deadline)
{
    skua_process_future wait;
    int rc = skua__task_leaf();

    if (rc != 0)
        return rc;
    rc = process_ended(process, status);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua_process_wait_init(&wait, process, status), deadline);
}

int skua_process_wait(skua_process *process, skua_process_status *status)
{
    return skua_process_wait_until(process, status, SKUA_FOREVER);
}

int skua_process_try_wait(skua_process *process, skua_process_status *status)
{
    return process_ended(process, status);
}
