/* sched_queue.c - in which queue a runnable task waits, and which one goes next.
 *
 * Flow       spawn, wake -> skua__sched_schedule -> lane, deque, inject or inbox ->
 *            skua__queue_pick -> the loop (sched_worker.c), or straight to the next fiber
 *            (task/fiber.c)
 * Fairness   lane and deque take turns. High priority goes first, but for every fourth turn; low
 *            goes last, but has every sixteenth turn to itself, and the background one of 64. Where
 *            both the lanes and the shared queue have tasks of such a priority, the turns are
 *            divided. The shared queue is looked at every inject_interval turns, then for normal
 *            tasks first; in one turn of four at most, so that a busy one starves no lane. And
 *            whenever there is nothing else.
 * Shuffling  a test runtime with a seed draws the next task of a lane (include/skua/test.h).
 * Inbox      a stack pushed by anybody with compare-and-swap and taken whole by exchange: no ABA.
 *            Taken tasks are reversed into the order they were woken in.
 */
#include "sched/sched_impl.h"

/* In a shuffled runtime: how many tasks the next one is drawn from, and how many waits one may
 * complete in a turn. */
#define QUEUE_SHUFFLED 64
#define QUEUE_SHUFFLED_WAITS 8

/* ---- shared queue ---------------------------------------------------------------------------- */

/* Under the lock. Relaxed: a hint for skua__queue_pick. */
static void queue_mark_special(struct skua__sched *sched)
{
    skua__store_relaxed(&sched->inject_special,
                        (sched->inject[SKUA_HIGH].head != 0 ? SKUA__SOME_HIGH : 0) |
                            (sched->inject[SKUA_LOW].head != 0 ? SKUA__SOME_LOW : 0) |
                            (sched->inject[SKUA_BACKGROUND].head != 0 ? SKUA__SOME_BACKGROUND : 0));
}

void skua__queue_inject(struct skua__sched *sched, unsigned priority, uint32_t head, uint32_t tail,
                        uint32_t count)
{
    struct skua__lane *lane = &sched->inject[priority];
    const void *base = sched->core->cells.base;

    skua__cell_of(base, tail)->next = 0;
    skua__lock_take(&sched->inject_lock);
    if (lane->head == 0)
        lane->head = head;
    else
        skua__cell_of(base, lane->tail)->next = head;
    lane->tail = tail;
    lane->len += count;
    /* Sequentially consistent: skua__idle_park reads it after having said that it sleeps. */
    skua__add_seq(&sched->inject_len, count);
    if (priority != SKUA_NORMAL)
        queue_mark_special(sched);
    skua__lock_drop(&sched->inject_lock);
}

/* Whose turn this is before all others: by the count of turns. Low and background do not share. */
SKUA__INLINE bool queue_low_turn(const struct skua__worker *worker)
{
    return worker->picks % 16 == 15;
}

SKUA__INLINE bool queue_background_turn(const struct skua__worker *worker)
{
    return worker->picks % 64 == 55;
}

/* Unlinks up to `want` tasks: the highest priority first, but for the turns of the others, and for
 * looks (`looks`), which are normal's: high has turns of its own. */
static uint32_t queue_uninject(struct skua__worker *worker, bool looks, uint32_t want,
                               uint32_t *cells)
{
    static const unsigned orders[][SKUA__PRIORITIES] = {
        {SKUA_HIGH, SKUA_NORMAL, SKUA_LOW, SKUA_BACKGROUND},
        {SKUA_LOW, SKUA_HIGH, SKUA_NORMAL, SKUA_BACKGROUND},
        {SKUA_BACKGROUND, SKUA_HIGH, SKUA_NORMAL, SKUA_LOW},
        {SKUA_NORMAL, SKUA_HIGH, SKUA_LOW, SKUA_BACKGROUND}};
    const unsigned *order = orders[queue_low_turn(worker)          ? 1
                                   : queue_background_turn(worker) ? 2
                                   : looks                         ? 3
                                                                   : 0];
    struct skua__sched *sched = worker->sched;
    const void *base = sched->core->cells.base;
    uint32_t count = 0;

    skua__lock_take(&sched->inject_lock);
    for (unsigned i = 0; i < SKUA__PRIORITIES; i++) {
        struct skua__lane *lane = &sched->inject[order[i]];
        /* All but the normal come one at a time: a batch would carry them past their turn. */
        uint32_t most = order[i] == SKUA_NORMAL ? want : 1;

        while (count < want && most-- > 0 && lane->head != 0)
            cells[count++] = skua__cell_index(skua__lane_pop(lane, base));
        if (count == 0)
            continue;
        if (order[i] != SKUA_NORMAL)
            queue_mark_special(sched);
        break;
    }
    skua__sub_seq(&sched->inject_len, count);
    skua__lock_drop(&sched->inject_lock);
    return count;
}

/* Brings the task that is `steps` behind the first to the front. */
static void queue_bring_forward(struct skua__lane *lane, const void *base, uint32_t steps)
{
    struct skua_task *before = skua__cell_of(base, lane->head);
    struct skua_task *chosen;

    if (steps == 0)
        return;
    while (--steps != 0)
        before = skua__cell_of(base, before->next);
    chosen = skua__cell_of(base, before->next);
    if (lane->tail == before->next)
        lane->tail = skua__cell_index(before);
    before->next = chosen->next;
    chosen->next = lane->head;
    lane->head = skua__cell_index(chosen);
}

/* A test's dice: which of a lane's tasks is next, and how many waits it may complete in its turn.
 * An inject_interval of 1 leads here before each turn, at no cost to other runtimes. */
static SKUA__COLD void queue_shuffle(struct skua__worker *worker)
{
    if (!skua__queue_own(worker))
        return; /* how often an idle worker looks is not the seed's to say */
    worker->sched->core->budget = 1 + skua__rand_below(&worker->rng, QUEUE_SHUFFLED_WAITS);
    for (unsigned i = 0; i < SKUA__PRIORITIES; i++) {
        struct skua__lane *lane = &worker->lanes[i];
        uint32_t among = lane->len < QUEUE_SHUFFLED ? lane->len : QUEUE_SHUFFLED;

        if (among > 1)
            queue_bring_forward(lane, worker->sched->core->cells.base,
                                skua__rand_below(&worker->rng, among));
    }
}

static void queue_local(struct skua__worker *worker, struct skua_task *task);

struct skua_task *skua__queue_take_injected(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    uint32_t cells[SKUA__DEQUE_GRAB];
    uint32_t len = skua__load_relaxed(&sched->inject_len); /* a hint: the lock decides */
    uint32_t want = len / sched->count + 1;
    bool looks = worker->inject_left == 0;
    uint32_t count;

    if (looks) /* high work, which comes here in its own turns, does not put a look off */
        worker->inject_left = sched->inject_interval;
    if (skua__unlikely(worker->shuffles))
        queue_shuffle(worker);
    if (len == 0)
        return NULL;
    if (want > SKUA__DEQUE_GRAB)
        want = SKUA__DEQUE_GRAB;
    count = queue_uninject(worker, looks, want, cells);
    for (uint32_t i = 1; i < count; i++)
        queue_local(worker, skua__cell_of(sched->core->cells.base, cells[i]));
    skua__stat(worker, injected, count);
    return count == 0 ? NULL : skua__cell_of(sched->core->cells.base, cells[0]);
}

/* ---- a worker's own -------------------------------------------------------------------------- */

SKUA__INLINE void queue_lane(struct skua__worker *worker, struct skua_task *task)
{
    unsigned priority = (task->flags & SKUA__PRIORITY) >> 4;

    worker->special += priority != SKUA_NORMAL;
    skua__lane_push(&worker->lanes[priority], task);
}

/* The deque is full: its oldest tasks and the new one go to the shared queue in one piece. */
static SKUA__COLD void queue_overflow(struct skua__worker *worker, struct skua_task *task)
{
    const void *base = task;
    uint32_t head = 0;
    uint32_t tail = 0;
    uint32_t count = 0;
    uint32_t cell;

    while (count < SKUA__DEQUE_GRAB && (cell = skua__deque_pop(&worker->deque)) != 0) {
        if (head == 0)
            head = cell;
        else
            skua__cell_of(base, tail)->next = cell;
        tail = cell;
        count++;
    }
    cell = skua__cell_index(task);
    if (head == 0)
        head = cell;
    else
        skua__cell_of(base, tail)->next = cell;
    skua__queue_inject(worker->sched, SKUA_NORMAL, head, cell, count + 1);
    skua__stat(worker, overflows, 1);
}

/* Queues a task that is bound to this worker. */
SKUA__INLINE void queue_bound(struct skua__worker *worker, struct skua_task *task)
{
    if (skua__unlikely(worker->policy != NULL))
        skua__policy_push(worker, task);
    else
        queue_lane(worker, task);
}

/* Queues a task on this worker, wherever it belongs here. */
static void queue_local(struct skua__worker *worker, struct skua_task *task)
{
    if (worker->sched->simple) {
        queue_lane(worker, task);
        return;
    }
    if (skua__task_bound(task)) {
        queue_bound(worker, task);
        return;
    }
    if (skua__unlikely((task->flags & SKUA__PRIORITY) != 0)) {
        uint32_t cell = skua__cell_index(task);

        skua__queue_inject(worker->sched, (task->flags & SKUA__PRIORITY) >> 4, cell, cell, 1);
        return;
    }
    if (skua__unlikely(!skua__deque_push(&worker->deque, skua__cell_index(task))))
        queue_overflow(worker, task);
}

/* ---- inbox ----------------------------------------------------------------------------------- */

static void queue_mail(struct skua__worker *owner, struct skua_task *task)
{
    uint32_t head = skua__load_relaxed(&owner->inbox); /* the CAS synchronises */

    do {
        task->next = head;
        /* Sequentially consistent, for the handshake with parking; release for the task. */
    } while (!skua__cas_strong_seq(&owner->inbox, &head, skua__cell_index(task)));
    skua__idle_unpark(owner);
}

static SKUA__NOINLINE void queue_open_inbox(struct skua__worker *worker)
{
    const void *base = worker->sched->core->cells.base;
    uint32_t cell = skua__xchg_acq_rel(&worker->inbox, 0); /* acquires the tasks */
    uint32_t reversed = 0;
    unsigned count = 0;

    while (cell != 0) {
        struct skua_task *task = skua__cell_of(base, cell);

        cell = task->next;
        task->next = reversed;
        reversed = skua__cell_index(task);
        count++;
    }
    while (reversed != 0) {
        struct skua_task *task = skua__cell_of(base, reversed);

        reversed = task->next;
        queue_bound(worker, task);
    }
    skua__stat(worker, injected, count);
}

/* ---- which one goes next --------------------------------------------------------------------- */

static struct skua_task *queue_pick_special(struct skua__worker *worker)
{
    const void *base = worker->sched->core->cells.base;
    struct skua_task *task = NULL;

    if (queue_low_turn(worker))
        task = skua__lane_pop(&worker->lanes[SKUA_LOW], base);
    else if (queue_background_turn(worker))
        task = skua__lane_pop(&worker->lanes[SKUA_BACKGROUND], base);
    else if (worker->picks % 4 != 3)
        task = skua__lane_pop(&worker->lanes[SKUA_HIGH], base);
    return task;
}

SKUA__INLINE struct skua_task *queue_pick_normal(struct skua__worker *worker)
{
    const void *base = worker->sched->core->cells.base;
    struct skua_task *task = NULL;
    uint32_t cell;

    if (worker->sched->simple)
        return skua__lane_pop(&worker->lanes[SKUA_NORMAL], base);
    if (skua__unlikely(worker->policy != NULL))
        return skua__policy_pop(worker);
    if (worker->lane_first)
        task = skua__lane_pop(&worker->lanes[SKUA_NORMAL], base);
    if (task == NULL) {
        cell = skua__deque_pop(&worker->deque);
        task = cell != 0 ? skua__cell_of(base, cell) : NULL;
    }
    if (task == NULL)
        task = skua__lane_pop(&worker->lanes[SKUA_NORMAL], base);
    worker->lane_first = !worker->lane_first;
    return task;
}

/* Whether this turn belongs to what the shared queue holds (a hint) of other than normal priority.
 * Of high priority it has two turns of four, and a third one that the lane does not want; of the
 * others' turns every second one, and those that the lane does not want. */
static bool queue_special_turn(struct skua__worker *worker, uint32_t special)
{
    const struct skua__lane *lanes = worker->lanes;
    unsigned picks = worker->picks;

    if (special & SKUA__SOME_HIGH &&
        (picks % 4 < 2 || (picks % 4 == 2 && lanes[SKUA_HIGH].head == 0)))
        return true;
    if (special & SKUA__SOME_LOW && queue_low_turn(worker))
        return lanes[SKUA_LOW].head == 0 || (picks & 16) != 0;
    return special & SKUA__SOME_BACKGROUND && queue_background_turn(worker) &&
           (lanes[SKUA_BACKGROUND].head == 0 || (picks & 64) != 0);
}

/* It is time to look at the shared queue: now, or in the next turn that is not the lanes'. */
static SKUA__NOINLINE struct skua_task *queue_look_at_shared(struct skua__worker *worker)
{
    if (worker->picks % 4 == 1 || worker->shuffles) /* a test's dice: before each turn */
        return skua__queue_take_injected(worker);
    worker->inject_left = 1;
    return NULL;
}

/* Nothing of normal priority is here: what else there is, in order. */
static struct skua_task *queue_pick_rest(struct skua__worker *worker)
{
    static const unsigned order[] = {SKUA_HIGH, SKUA_LOW, SKUA_BACKGROUND};
    struct skua_task *task = NULL;

    for (unsigned i = 0; task == NULL && i < sizeof order / sizeof order[0]; i++)
        task = skua__lane_pop(&worker->lanes[order[i]], worker->sched->core->cells.base);
    worker->special--;
    return task;
}

SKUA__INLINE struct skua_task *queue_pick(struct skua__worker *worker)
{
    struct skua_task *task = NULL;
    uint32_t special;

    worker->picks++;
    if (skua__unlikely(skua__load_relaxed(&worker->inbox) != 0)) /* a hint; the exchange acquires */
        queue_open_inbox(worker);
    if (skua__unlikely(--worker->inject_left == 0))
        task = queue_look_at_shared(worker);
    special = skua__load_relaxed(&worker->sched->inject_special);
    if (skua__unlikely(special != 0) && task == NULL && queue_special_turn(worker, special))
        task = skua__queue_take_injected(worker);
    if (skua__unlikely(worker->special != 0) && task == NULL) {
        task = queue_pick_special(worker);
        worker->special -= task != NULL;
    }
    if (skua__likely(task == NULL))
        task = queue_pick_normal(worker);
    if (skua__unlikely(task == NULL && worker->special != 0))
        task = queue_pick_rest(worker);
    if (skua__likely(task != NULL))
        skua__stat(worker, polls, 1);
    return task;
}

struct skua_task *skua__queue_pick(struct skua__worker *worker)
{
    return queue_pick(worker);
}

bool skua__queue_own(struct skua__worker *worker)
{
    for (unsigned i = 0; i < SKUA__PRIORITIES; i++)
        if (worker->lanes[i].head != 0)
            return true;
    return worker->thread.handoff != NULL || worker->policed != 0 ||
           skua__load_seq(&worker->inbox) != 0 || skua__deque_len(&worker->deque) != 0;
}

bool skua__queue_any(struct skua__worker *worker)
{
    return skua__queue_own(worker) || skua__load_seq(&worker->sched->inject_len) != 0;
}

/* ---- the interface to the floor below -------------------------------------------------------- */

static struct skua__sched *queue_sched(struct skua_task *task)
{
    return skua__task_core(task)->sched;
}

void skua__sched_schedule(struct skua__thread *self, struct skua_task *task)
{
    struct skua__core *core = skua__task_core(task);
    uint32_t cell;

    if (skua__likely(self->core == core)) {
        struct skua__worker *worker = skua__worker_of(self);

        if (worker->sched->simple) {
            queue_lane(worker, task);
            return;
        }
        if (skua__task_bound(task)) {
            struct skua__worker *owner = worker->sched->workers[skua__task_owner(task)];

            if (owner == worker)
                queue_bound(worker, task);
            else
                queue_mail(owner, task);
            return;
        }
        queue_local(worker, task);
        skua__idle_notify(worker->sched);
        return;
    }
    if (skua__task_bound(task) || queue_sched(task)->count == 1) {
        queue_mail(queue_sched(task)->workers[skua__task_owner(task)], task);
        return;
    }
    cell = skua__cell_index(task);
    skua__queue_inject(queue_sched(task), (task->flags & SKUA__PRIORITY) >> 4, cell, cell, 1);
    skua__idle_notify(queue_sched(task));
}

void skua__sched_requeue(struct skua__thread *self, struct skua_task *task)
{
    queue_local(skua__worker_of(self), task);
}

struct skua_task *skua__sched_next(struct skua__thread *self)
{
    struct skua__worker *worker = skua__worker_of(self);

    if (skua__unlikely(worker->turns_left == 0))
        return NULL;
    worker->turns_left--;
    return queue_pick(worker);
}

struct skua_task *skua__sched_swap(struct skua__thread *self, struct skua_task *task)
{
    queue_local(skua__worker_of(self), task);
    return skua__sched_next(self);
}

uint64_t skua__sched_random(struct skua__thread *self)
{
    return skua__rand_next(&skua__worker_of(self)->rng);
}

#undef QUEUE_SHUFFLED
#undef QUEUE_SHUFFLED_WAITS
