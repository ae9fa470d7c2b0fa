/* tracker.c - the task tracker's table, and what events do to it.
 *
 *   event       a task that is not known       one that is
 *   SPAWNED     runnable                       -
 *   POLLED      running                        running: what passed was scheduled
 *   PARKED      waiting                        waiting: what passed was busy
 *   YIELDED     runnable                       runnable: what passed was busy
 *   WOKEN       runnable                       runnable: what passed was idle
 *   CANCELLED   -                              marked
 *   DONE        into the ring                  into the ring: what passed was busy
 *
 * Events of one task come in the order of this circle, whatever threads they come from: the task's
 * state word orders them. Only CANCELLED may be late, behind DONE, or early, before SPAWNED: an
 * early one cannot be told from a late one, and is not kept. A task that is polled while it waits
 * was woken during its own turn, of which no event tells: a self-wake, most often.
 *
 * Fork       the child begins with an empty table: the parent's tasks are not its own.
 */
#include "watch/tracker_impl.h"

#define TRACK_TASKS 65536u
#define TRACK_DONE 1024u
#define TRACK_TASKS_MAX 16777216u
#define TRACK_DONE_MAX 16384u /* a ring is searched under its lock */

enum track_life { TRACK_OFF, TRACK_CHANGING, TRACK_ON };

struct skua__track_part skua__track_parts[SKUA__TRACK_PARTS];
_Atomic uint64_t skua__track_listings;

static _Atomic int track_life; /* acquire, release: the parts are set up */

/* ---- the table ------------------------------------------------------------------------------- */

struct skua__track_part *skua__track_part_of(const skua_runtime *runtime, skua_task_id id,
                                             uint32_t *ret_chain)
{
    uint64_t hash = (id ^ (uint64_t)(uintptr_t)runtime << 20) * 0x9e3779b97f4a7c15u;

    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    *ret_chain = (uint32_t)(hash >> 16);
    return &skua__track_parts[hash >> 60];
}

struct skua__track_slot *skua__track_find(struct skua__track_part *part, uint32_t chain,
                                          const skua_runtime *runtime, skua_task_id id)
{
    uint32_t at = part->slots != NULL ? part->chains[chain & (part->slots_max - 1)] : 0;

    while (at != 0) {
        struct skua__track_slot *slot = &part->slots[at - 1];

        if (slot->task.id == id && slot->task.runtime == runtime)
            return slot;
        at = slot->next;
    }
    return NULL;
}

struct skua__track_slot *skua__track_insert(struct skua__track_part *part, uint32_t chain,
                                            skua_runtime *runtime, skua_task_id id,
                                            const skua_site *site, int64_t now)
{
    uint32_t at = part->free;
    uint32_t *head;
    struct skua__track_slot *slot;

    if (part->slots == NULL)
        return NULL;
    if (at != 0)
        part->free = part->slots[at - 1].next;
    else if (part->fresh < part->slots_max)
        at = ++part->fresh;
    else
        return NULL;
    slot = &part->slots[at - 1];
    head = &part->chains[chain & (part->slots_max - 1)];
    slot->task = (skua_tracked_task){.size = sizeof slot->task,
                                     .id = id,
                                     .runtime = runtime,
                                     .site = site,
                                     .since = now,
                                     .seen = now,
                                     .worker = ~0u};
    slot->listing = skua__load_acquire(&skua__track_listings);
    slot->touched = now;
    slot->next = *head;
    *head = at;
    return slot;
}

void skua__track_remove(struct skua__track_part *part, uint32_t chain,
                        struct skua__track_slot *slot)
{
    uint32_t *at = &part->chains[chain & (part->slots_max - 1)];
    uint32_t number = (uint32_t)(slot - part->slots) + 1;

    while (*at != number)
        at = &part->slots[*at - 1].next;
    *at = slot->next;
    slot->task.id = 0;
    slot->next = part->free;
    part->free = number;
}

const skua_tracked_task *skua__track_ended(const struct skua__track_part *part,
                                           const skua_runtime *runtime, skua_task_id id)
{
    for (uint32_t i = 0; part->ring != NULL && i < part->ring_max; i++) {
        /* The newest first. */
        uint32_t at = (part->ring_at + part->ring_max - 1 - i) % part->ring_max;
        const skua_tracked_task *task = &part->ring[at];

        if (task->id == id && (runtime == NULL || task->runtime == runtime))
            return task;
    }
    return NULL;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The state it was in is over. Who listed the task meanwhile may have looked at the clock later. */
static void track_change(skua_tracked_task *task, skua_tracked_state state, int64_t now)
{
    int64_t passed = now > task->since ? now - task->since : 0;

    switch (task->state) {
    case SKUA_TRACKED_RUNNING:
        task->busy += passed;
        task->longest = passed > task->longest ? passed : task->longest;
        break;
    case SKUA_TRACKED_RUNNABLE:
        task->scheduled += passed;
        break;
    case SKUA_TRACKED_WAITING:
        task->idle += passed;
        break;
    case SKUA_TRACKED_DONE:
        break;
    }
    task->state = state;
    task->since += passed;
    task->waiting_for = NULL;
}

static void track_polled(skua_tracked_task *task, unsigned worker, int64_t now)
{
    if (task->state == SKUA_TRACKED_WAITING)
        task->self_wakes++;
    task->polls++;
    task->worker = worker;
    track_change(task, SKUA_TRACKED_RUNNING, now);
}

static void track_span(skua_tracked_task *task, const skua_span_context *span)
{
    memcpy(task->trace_id, span->trace_id, sizeof task->trace_id);
    memcpy(task->span_id, span->span_id, sizeof task->span_id);
}

/* The slot may be one that is new for this event: then nothing passed in the state before. */
static void track_event_on(skua_tracked_task *task, const skua_probe_event *event,
                           const skua_span_context *span, int64_t now)
{
    switch (event->kind) {
    case SKUA_PROBE_POLLED:
        track_polled(task, event->worker, now);
        break;
    case SKUA_PROBE_PARKED:
        track_change(task, SKUA_TRACKED_WAITING, now);
        task->waiting_for = event->waiting_for;
        track_span(task, span);
        break;
    case SKUA_PROBE_YIELDED:
        task->yields++;
        track_change(task, SKUA_TRACKED_RUNNABLE, now);
        break;
    case SKUA_PROBE_WOKEN:
        task->wakes++;
        task->waker = event->parent;
        track_change(task, SKUA_TRACKED_RUNNABLE, now);
        break;
    case SKUA_PROBE_CANCELLED:
        task->cancelled = now;
        break;
    default:
        break;
    }
}

static void track_spawned(struct skua__track_part *part, struct skua__track_slot *slot,
                          const skua_probe_event *event, skua_runtime *parent,
                          const skua_span_context *span, int64_t now)
{
    part->spawned++;
    if (slot == NULL) {
        part->dropped++;
        return;
    }
    slot->task.spawned = now;
    slot->task.parent = event->parent;
    slot->task.parent_runtime = event->parent != 0 ? parent : NULL;
    track_span(&slot->task, span);
}

/* Of one that is not known nothing but its end is: who lists tasks right now must see that. */
static void track_done(struct skua__track_part *part, uint32_t chain, struct skua__track_slot *slot,
                       const skua_probe_event *event, int64_t now)
{
    skua_tracked_task *task;

    if (part->ring == NULL)
        return;
    part->done++;
    task = &part->ring[part->ring_at];
    part->ring_at = (part->ring_at + 1) % part->ring_max;
    if (slot != NULL)
        *task = slot->task;
    else
        *task = (skua_tracked_task){.size = sizeof *task,
                                    .id = event->task,
                                    .runtime = event->runtime,
                                    .site = event->site,
                                    .since = now,
                                    .seen = now,
                                    .worker = event->worker};
    track_change(task, SKUA_TRACKED_DONE, now);
    task->result = (int)event->arg;
    if (slot != NULL)
        skua__track_remove(part, chain, slot);
}

static void track_event(const skua_probe_event *event, void *arg)
{
    int64_t now = skua__os_now();
    bool spawned = event->kind == SKUA_PROBE_SPAWNED;
    skua_span_context span = {.flags = 0};
    skua_runtime *parent = NULL;
    struct skua__track_part *part;
    struct skua__track_slot *slot;
    uint32_t chain;

    (void)arg;
    if (event->task == 0)
        return;
    if (spawned || event->kind == SKUA_PROBE_PARKED)
        (void)skua_span_context_of(skua_span_current(), &span); /* none: zeros */
    if (spawned)
        parent = skua_runtime_current();
    part = skua__track_part_of(event->runtime, event->task, &chain);
    skua__lock_take(&part->lock);
    slot = skua__track_find(part, chain, event->runtime, event->task);
    if (slot == NULL && event->kind != SKUA_PROBE_DONE && event->kind != SKUA_PROBE_CANCELLED)
        slot = skua__track_insert(part, chain, event->runtime, event->task, event->site, now);
    if (slot != NULL)
        slot->touched = now;
    if (spawned)
        track_spawned(part, slot, event, parent, &span, now);
    else if (event->kind == SKUA_PROBE_DONE)
        track_done(part, chain, slot, event, now);
    else if (slot != NULL)
        track_event_on(&slot->task, event, &span, now);
    skua__lock_drop(&part->lock);
}

static const skua_probe_listener track_listener = {
    .size = sizeof(skua_probe_listener),
    .kinds = SKUA_PROBE_BIT(SKUA_PROBE_SPAWNED) | SKUA_PROBE_BIT(SKUA_PROBE_POLLED) |
             SKUA_PROBE_BIT(SKUA_PROBE_PARKED) | SKUA_PROBE_BIT(SKUA_PROBE_YIELDED) |
             SKUA_PROBE_BIT(SKUA_PROBE_WOKEN) | SKUA_PROBE_BIT(SKUA_PROBE_DONE) |
             SKUA_PROBE_BIT(SKUA_PROBE_CANCELLED),
    .event = track_event};

/* ---- fork ------------------------------------------------------------------------------------ */

/* Who was in a part, or was starting or stopping, is not here: nothing is kept that may be half
 * done. So nobody is waited for before a fork. */
static void track_fork_child(void)
{
    bool on = skua__load_relaxed(&track_life) == TRACK_ON; /* one thread */

    for (unsigned i = 0; i < SKUA__TRACK_PARTS; i++) {
        struct skua__track_part *part = &skua__track_parts[i];

        if (on) {
            memset(part->chains, 0, part->slots_max * sizeof *part->chains);
            memset(part->ring, 0, part->ring_max * sizeof *part->ring);
            part->fresh = part->free = part->ring_at = 0;
            part->spawned = part->done = part->dropped = 0;
            skua__lock_drop(&part->lock);
        } else {
            memset(part, 0, sizeof *part);
        }
    }
    if (!on)
        skua__store_relaxed(&track_life, TRACK_OFF);
}

/* Once in a process's life. While the life is changing: one thread. */
static int track_fork_ready(void)
{
    static bool ready;
    int rc = 0;

    if (!ready)
        rc = skua__os_at_fork(NULL, NULL, track_fork_child);
    ready = rc == 0;
    return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

void skua_task_tracker_options_init(skua_task_tracker_options *options)
{
    *options = (skua_task_tracker_options){.size = sizeof *options};
}

/* Takes the memory out of all parts, and frees it. */
static void track_clear(void)
{
    for (unsigned i = 0; i < SKUA__TRACK_PARTS; i++) {
        struct skua__track_part *part = &skua__track_parts[i];
        struct skua__track_slot *slots;
        skua_tracked_task *ring;
        uint32_t *chains;

        skua__lock_take(&part->lock);
        slots = part->slots;
        chains = part->chains;
        ring = part->ring;
        part->slots = NULL;
        part->chains = NULL;
        part->ring = NULL;
        part->slots_max = part->ring_max = part->fresh = part->free = part->ring_at = 0;
        part->spawned = part->done = part->dropped = 0;
        skua__lock_drop(&part->lock);
        skua__os_free(slots);
        skua__os_free(chains);
        skua__os_free(ring);
    }
}

static bool track_part_fill(struct skua__track_part *part, uint32_t slots_max, uint32_t ring_max)
{
    struct skua__track_slot *slots = skua__os_alloc(slots_max * sizeof *slots);
    uint32_t *chains = skua__os_alloc(slots_max * sizeof *chains);
    skua_tracked_task *ring = skua__os_alloc(ring_max * sizeof *ring);

    if (slots == NULL || chains == NULL || ring == NULL) {
        skua__os_free(slots);
        skua__os_free(chains);
        skua__os_free(ring);
        return false;
    }
    skua__lock_take(&part->lock);
    part->slots = slots;
    part->chains = chains;
    part->ring = ring;
    part->slots_max = slots_max;
    part->ring_max = ring_max;
    skua__lock_drop(&part->lock);
    return true;
}

static int track_set_up(uint32_t tasks_max, uint32_t done_max)
{
    uint32_t slots = 1;
    int rc = track_fork_ready();

    while (slots * SKUA__TRACK_PARTS < tasks_max)
        slots *= 2;
    for (unsigned i = 0; i < SKUA__TRACK_PARTS && rc == 0; i++)
        if (!track_part_fill(&skua__track_parts[i], slots,
                             (done_max + SKUA__TRACK_PARTS - 1) / SKUA__TRACK_PARTS))
            rc = -ENOMEM;
    if (rc == 0) {
        (void)skua_probe_detach(&track_listener); /* of the parent of a fork, that was starting */
        rc = skua_probe_attach(&track_listener);
    }
    if (rc != 0)
        track_clear();
    return rc;
}

int skua_task_tracker_start(const skua_task_tracker_options *options)
{
    uint32_t tasks = options != NULL && options->tasks_max != 0 ? options->tasks_max : TRACK_TASKS;
    uint32_t done = options != NULL && options->done_max != 0 ? options->done_max : TRACK_DONE;
    int off = TRACK_OFF;
    int rc;

    if ((options != NULL && options->size != sizeof *options) || tasks < SKUA__TRACK_PARTS ||
        tasks > TRACK_TASKS_MAX || done < SKUA__TRACK_PARTS || done > TRACK_DONE_MAX)
        return -EINVAL;
    if (!skua__cas_strong_acq_rel(&track_life, &off, TRACK_CHANGING))
        return -EBUSY;
    rc = track_set_up(tasks, done);
    skua__store_release(&track_life, rc == 0 ? TRACK_ON : TRACK_OFF);
    return rc;
}

int skua_task_tracker_stop(void)
{
    int on = TRACK_ON;

    if (!skua__cas_strong_acq_rel(&track_life, &on, TRACK_CHANGING))
        return -ENOENT;
    (void)skua_probe_detach(&track_listener);
    track_clear();
    skua__store_release(&track_life, TRACK_OFF);
    return 0;
}

#undef TRACK_TASKS
#undef TRACK_DONE
#undef TRACK_TASKS_MAX
#undef TRACK_DONE_MAX
