/* process_reap.c - one thread that reaps the program's children.
 *
 *   state      from          event                                    to
 *              OFF           the first child is reserved              CHANGING  by its spawner
 *              CHANGING      the set, the bell and the thread are up  ON        or OFF: an error
 *              ON            no child for 100 ms                      CHANGING  by the thread
 *              CHANGING      the set and the bell are closed          OFF       the thread ends
 *
 * Flow       skua__reaper_reserve (before the spawn, so that it can fail) -> skua__reaper_add: into
 *            the epoll set -> the pidfd becomes readable -> skua__process_end
 * Polled     what has no pidfd, or no room in the set, is asked every 1 to 20 ms: slower and
 *            slower while nothing happens.
 * Ending     `children` counts reservations, `ringing` who is about to ring the bell. The thread
 *            goes when there are none; who reserves takes the same lock, and finds it ON and
 *            staying, or starts another.
 * Why        a thread, and not the workers' drivers: a child must be reaped when its runtime has
 *            stopped, when nobody waits, and when it was spawned without a runtime. It costs one
 *            wake a child, which is little beside a spawn.
 */
#include "proc/process_impl.h"

#define REAP_OFF 0
#define REAP_CHANGING 1
#define REAP_ON 2

#define REAP_LINGER (100 * SKUA_MILLISECOND)
#define REAP_PAUSE_MIN SKUA_MILLISECOND
#define REAP_PAUSE_MAX (20 * SKUA_MILLISECOND)
#define REAP_EVENTS 32

static struct skua__lock reap_lock;
static int reap_state;                                               /* lock, as the next three */
static unsigned reap_children;                                       /* reserved, not ended */
static unsigned reap_ringing;                                        /* about to ring the bell */
static struct skua__node reap_asleep = {&reap_asleep, &reap_asleep}; /* in the set; lock */
static struct skua__node reap_polled = {&reap_polled, &reap_polled}; /* lock */
static int reap_set; /* changed while CHANGING, by who changes, as the next */
static int reap_bell;

/* ---- the thread ------------------------------------------------------------------------------ */

static void reap_end(struct skua_process *process)
{
    skua__process_end(process);
    skua__lock_take(&reap_lock);
    reap_children--;
    skua__lock_drop(&reap_lock);
}

static void reap_events(void *const *events, int count)
{
    /* Pairs with skua__reaper_add: what comes out of the set was filled in before. */
    skua__lock_take(&reap_lock);
    skua__lock_drop(&reap_lock);
    for (int i = 0; i < count; i++) {
        struct skua_process *process = events[i];

        if (process == NULL) {
            skua__os_eventfd_take(reap_bell);
        } else if (skua__os_process_ended(process->pid, process->pidfd) != 0) {
            skua__os_epoll_remove(reap_set, process->pidfd);
            skua__lock_take(&reap_lock);
            skua__node_unlink(&process->watched);
            skua__lock_drop(&reap_lock);
            reap_end(process);
        }
    }
}

/* Asks each of them once: whether one had ended. */
static bool reap_poll(void)
{
    struct skua__node asked;
    struct skua__node *node;
    bool any = false;

    skua__list_init(&asked);
    do {
        skua__lock_take(&reap_lock);
        node = skua__list_pop(&reap_polled);
        skua__lock_drop(&reap_lock);
        if (node != NULL) {
            struct skua_process *process = skua__container(node, struct skua_process, watched);

            if (skua__os_process_ended(process->pid, process->pidfd) != 0) {
                reap_end(process);
                any = true;
            } else {
                skua__list_push(&asked, node);
            }
        }
    } while (node != NULL);
    skua__lock_take(&reap_lock);
    while ((node = skua__list_pop(&asked)) != NULL)
        skua__list_push(&reap_polled, node);
    skua__lock_drop(&reap_lock);
    return any;
}

/* How long to sleep; *polls: some are to be asked. */
static int64_t reap_pause(int64_t pause, bool *polls)
{
    int64_t timeout = SKUA_FOREVER;

    skua__lock_take(&reap_lock);
    *polls = !skua__list_empty(&reap_polled);
    if (*polls)
        timeout = pause;
    else if (reap_children == 0 || reap_ringing != 0)
        timeout = REAP_LINGER;
    skua__lock_drop(&reap_lock);
    return timeout;
}

/* When there is still no child: closes everything. */
static bool reap_leave(void)
{
    bool leaves;

    skua__lock_take(&reap_lock);
    leaves = reap_children == 0 && reap_ringing == 0;
    if (leaves)
        reap_state = REAP_CHANGING;
    skua__lock_drop(&reap_lock);
    if (!leaves)
        return false;
    skua__os_close(reap_set);
    skua__os_close(reap_bell);
    skua__lock_take(&reap_lock);
    reap_state = REAP_OFF;
    skua__lock_drop(&reap_lock);
    return true;
}

static void reap_thread(void *arg)
{
    void *events[REAP_EVENTS];
    int64_t pause = REAP_PAUSE_MIN;
    bool polls;
    int count;

    (void)arg;
    do {
        count = skua__os_epoll_data(reap_set, events, REAP_EVENTS, reap_pause(pause, &polls));
        reap_events(events, count);
        if (count > 0 || (polls && reap_poll()))
            pause = REAP_PAUSE_MIN;
        else
            pause = 2 * pause < REAP_PAUSE_MAX ? 2 * pause : REAP_PAUSE_MAX;
    } while (count != 0 || polls || !reap_leave());
}

/* ---- reserving and adding -------------------------------------------------------------------- */

static int reap_open(void)
{
    int rc;

    reap_set = skua__os_epoll_open();
    if (reap_set < 0)
        return reap_set;
    reap_bell = skua__os_eventfd();
    rc = reap_bell < 0 ? reap_bell : skua__os_epoll_add(reap_set, reap_bell, NULL);
    if (rc == 0)
        rc = skua__thread_start("skua-reaper", reap_thread, NULL);
    if (rc == 0)
        return 0;
    if (reap_bell >= 0)
        skua__os_close(reap_bell);
    skua__os_close(reap_set);
    return rc;
}

/* In the child of a fork: its parent's children are not its own, and its parent's thread is not
 * there. A fork waits for reap_lock, so nobody is in the middle of anything but CHANGING: then the
 * numbers of the set and the bell are not known, and stay open. */
static void reap_forked(void)
{
    if (reap_state == REAP_ON) {
        skua__os_close(reap_set);
        skua__os_close(reap_bell);
    }
    reap_state = REAP_OFF;
    reap_children = 0;
    reap_ringing = 0;
    skua__list_init(&reap_asleep);
    skua__list_init(&reap_polled);
    skua__process_forked();
}

static void reap_mind_forks(void)
{
    static _Atomic uint32_t minded; /* once; relaxed: whoever is late has nothing to see */
    uint32_t no = 0;

    skua__os_lock_over_fork(&reap_lock);
    skua__process_mind_forks();
    if (skua__cas_strong_acq_rel(&minded, &no, 1))
        (void)skua__os_at_fork(NULL, NULL, reap_forked); /* no memory: none for a fork either */
}

/* ON when there was a thread; OFF: the caller is to make one, and is CHANGING. */
static int reap_enter(void)
{
    int state;

    for (;;) {
        skua__lock_take(&reap_lock);
        state = reap_state;
        if (state != REAP_CHANGING)
            reap_children++;
        if (state == REAP_OFF)
            reap_state = REAP_CHANGING;
        skua__lock_drop(&reap_lock);
        if (state != REAP_CHANGING)
            return state;
        skua__os_thread_yield(); /* a thread is being made, or ends: some system calls */
    }
}

int skua__reaper_reserve(void)
{
    int rc;

    if (reap_enter() == REAP_ON)
        return 0;
    reap_mind_forks();
    rc = reap_open();
    skua__lock_take(&reap_lock);
    reap_state = rc == 0 ? REAP_ON : REAP_OFF;
    if (rc != 0)
        reap_children--;
    skua__lock_drop(&reap_lock);
    return rc;
}

/* Behind a change that the thread is to see. While somebody is here it neither leaves nor sleeps
 * without a limit. */
static void reap_ring(void)
{
    skua__os_eventfd_add(reap_bell);
    skua__lock_take(&reap_lock);
    reap_ringing--;
    skua__lock_drop(&reap_lock);
}

void skua__reaper_cancel(void)
{
    skua__lock_take(&reap_lock);
    reap_ringing++;
    reap_children--;
    skua__lock_drop(&reap_lock);
    reap_ring();
}

/* The set is not closed while this is under way, even if the child has ended by then. */
void skua__reaper_add(struct skua_process *process)
{
    bool added;

    skua__lock_take(&reap_lock);
    skua__list_push(&reap_asleep, &process->watched);
    reap_ringing++;
    skua__lock_drop(&reap_lock);
    added = process->pidfd >= 0 && skua__os_epoll_add(reap_set, process->pidfd, process) == 0;
    skua__lock_take(&reap_lock);
    if (added) {
        reap_ringing--;
    } else {
        skua__node_unlink(&process->watched);
        skua__list_push(&reap_polled, &process->watched);
    }
    skua__lock_drop(&reap_lock);
    if (!added)
        reap_ring();
}

#undef REAP_OFF
#undef REAP_CHANGING
#undef REAP_ON
#undef REAP_LINGER
#undef REAP_PAUSE_MIN
#undef REAP_PAUSE_MAX
#undef REAP_EVENTS
