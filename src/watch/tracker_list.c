/* tracker_list.c - what is asked of the task tracker: one task, those that a filter lets through.
 *
 * A listing copies a few tasks at a time under a part's lock, and calls the user's function behind
 * it. What is going on right now, and warnings, are added to the copy.
 */
#include "watch/tracker_impl.h"

/* Copies that are handed out at a time, and slots that are looked at under the lock for them. */
#define LIST_COPIES 8
#define LIST_LOOKS 64

#define LIST_LONG SKUA_SECOND /* a turn, in a queue, from the cancellation to the end */
#define LIST_TURNS 16         /* so few tell nothing of self-wakes */

/* ---- a copy ---------------------------------------------------------------------------------- */

static unsigned list_warnings(const skua_tracked_task *task, int64_t now)
{
    unsigned warnings = 0;

    if (task->polls >= LIST_TURNS && task->self_wakes * 2 > task->polls)
        warnings |= SKUA_TRACKED_SELF_WAKES;
    if (task->longest >= LIST_LONG)
        warnings |= SKUA_TRACKED_LONG_TURN;
    if (task->state == SKUA_TRACKED_RUNNABLE && now - task->since >= LIST_LONG)
        warnings |= SKUA_TRACKED_STARVED;
    if (task->state != SKUA_TRACKED_DONE && task->cancelled != 0 &&
        now - task->cancelled >= LIST_LONG)
        warnings |= SKUA_TRACKED_LINGERS;
    return warnings;
}

/* Adds what has passed in the present state. */
static void list_finish(skua_tracked_task *task, int64_t now)
{
    int64_t passed = now > task->since ? now - task->since : 0;

    if (task->state == SKUA_TRACKED_RUNNING) {
        task->busy += passed;
        task->longest = passed > task->longest ? passed : task->longest;
    } else if (task->state == SKUA_TRACKED_RUNNABLE) {
        task->scheduled += passed;
    } else if (task->state == SKUA_TRACKED_WAITING) {
        task->idle += passed;
    }
    task->warnings = list_warnings(task, now);
}

/* Under the part's lock. */
static const skua_tracked_task *list_find(struct skua__track_part *part, uint32_t chain,
                                          skua_runtime *runtime, skua_task_id id)
{
    struct skua__track_slot *slot = skua__track_find(part, chain, runtime, id);

    return slot != NULL ? &slot->task : skua__track_ended(part, runtime, id);
}

/* Of any runtime: by going through all of them. */
struct list_search {
    skua_task_id id;
    skua_tracked_task *ret;
    bool found;
};

static void list_search(const skua_tracked_task *task, void *arg)
{
    struct list_search *search = arg;

    if (task->id != search->id || search->found)
        return;
    *search->ret = *task;
    search->found = true;
}

int skua_task_tracker_get(skua_runtime *runtime, skua_task_id id, skua_tracked_task *ret)
{
    const skua_tracked_task *task;
    struct skua__track_part *part;
    uint32_t chain;

    if (ret == NULL || ret->size != sizeof *ret)
        return -EINVAL;
    if (id == 0)
        return -ESRCH;
    if (runtime == NULL) {
        struct list_search search = {.id = id, .ret = ret};

        (void)skua_task_tracker_each(SKUA_TRACKED_FILTER(.states = SKUA_TRACKED_ALL), list_search,
                                     &search);
        return search.found ? 0 : -ESRCH;
    }
    part = skua__track_part_of(runtime, id, &chain);
    skua__lock_take(&part->lock);
    task = list_find(part, chain, runtime, id);
    if (task != NULL)
        *ret = *task;
    skua__lock_drop(&part->lock);
    if (task == NULL)
        return -ESRCH;
    list_finish(ret, skua__os_now());
    return 0;
}

/* ---- the filter ------------------------------------------------------------------------------ */

static bool list_name_fits(const char *wanted, const skua_site *site)
{
    size_t len = strlen(wanted);
    const char *name = site != NULL && site->name != NULL ? site->name : "";

    if (len > 0 && wanted[len - 1] == '*')
        return strncmp(wanted, name, len - 1) == 0;
    return strcmp(wanted, name) == 0;
}

/* Of a finished copy. */
static bool list_passes(const skua_tracked_filter *filter, const skua_tracked_task *task,
                        int64_t now)
{
    unsigned states = filter->states != 0 ? filter->states : SKUA_TRACKED_ALIVE;
    skua_runtime *runtime = filter->parent != 0 ? task->parent_runtime : task->runtime;

    return (states & SKUA_TRACKED_BIT(task->state)) != 0 &&
           (filter->parent == 0 || filter->parent == task->parent) &&
           (filter->runtime == NULL || filter->runtime == runtime) &&
           (filter->warnings == 0 || (filter->warnings & task->warnings) != 0) &&
           (filter->name == NULL || list_name_fits(filter->name, task->site)) &&
           now - task->seen >= filter->age;
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct list_walk {
    const skua_tracked_filter *filter;
    void (*fn)(const skua_tracked_task *task, void *arg);
    void *arg;
    int64_t count;
    skua_tracked_task copies[LIST_COPIES];
};

static void list_hand_out(struct list_walk *walk, unsigned count)
{
    int64_t now = skua__os_now();

    for (unsigned i = 0; i < count; i++) {
        list_finish(&walk->copies[i], now);
        if (!list_passes(walk->filter, &walk->copies[i], now))
            continue;
        walk->count++;
        if (walk->fn != NULL)
            walk->fn(&walk->copies[i], walk->arg);
    }
}

/* Some of the slots from *at on, which moves. False: there are no more. */
static bool list_some_alive(struct list_walk *walk, struct skua__track_part *part, uint32_t *at)
{
    unsigned count = 0;
    bool more;

    skua__lock_take(&part->lock);
    for (unsigned i = 0; i < LIST_LOOKS && *at < part->fresh && count < LIST_COPIES; i++, ++*at)
        if (part->slots[*at].task.id != 0)
            walk->copies[count++] = part->slots[*at].task;
    more = *at < part->fresh;
    skua__lock_drop(&part->lock);
    list_hand_out(walk, count);
    return more;
}

static bool list_some_ended(struct list_walk *walk, struct skua__track_part *part, uint32_t *at)
{
    unsigned count = 0;
    bool more;

    skua__lock_take(&part->lock);
    for (unsigned i = 0; i < LIST_LOOKS && *at < part->ring_max && count < LIST_COPIES; i++, ++*at)
        if (part->ring[*at].id != 0)
            walk->copies[count++] = part->ring[*at];
    more = *at < part->ring_max;
    skua__lock_drop(&part->lock);
    list_hand_out(walk, count);
    return more;
}

int64_t skua_task_tracker_each(const skua_tracked_filter *filter,
                               void (*fn)(const skua_tracked_task *task, void *arg), void *arg)
{
    struct list_walk walk = {
        .filter = filter != NULL ? filter : SKUA_TRACKED_FILTER(.states = 0), .fn = fn, .arg = arg};

    if (walk.filter->size != sizeof *walk.filter)
        return -EINVAL;
    for (unsigned i = 0; i < SKUA__TRACK_PARTS; i++) {
        uint32_t at = 0;

        /* The living first: one that ends meanwhile is in one of both. */
        while (list_some_alive(&walk, &skua__track_parts[i], &at))
            continue;
        at = 0;
        while ((walk.filter->states & SKUA_TRACKED_BIT(SKUA_TRACKED_DONE)) != 0 &&
               list_some_ended(&walk, &skua__track_parts[i], &at))
            continue;
    }
    return walk.count;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void list_count(const skua_tracked_task *task, void *arg)
{
    skua_task_tracker_stats *stats = arg;

    stats->runnable += task->state == SKUA_TRACKED_RUNNABLE;
    stats->running += task->state == SKUA_TRACKED_RUNNING;
    stats->waiting += task->state == SKUA_TRACKED_WAITING;
}

int skua_task_tracker_read(skua_task_tracker_stats *stats)
{
    bool started = true;

    if (stats == NULL || stats->size != sizeof *stats)
        return -EINVAL;
    *stats = (skua_task_tracker_stats){.size = sizeof *stats};
    for (unsigned i = 0; i < SKUA__TRACK_PARTS; i++) {
        struct skua__track_part *part = &skua__track_parts[i];

        skua__lock_take(&part->lock);
        started = started && part->slots != NULL;
        stats->spawned += part->spawned;
        stats->done += part->done;
        stats->dropped += part->dropped;
        stats->bytes += part->slots_max * (sizeof *part->slots + sizeof *part->chains) +
                        part->ring_max * sizeof *part->ring;
        skua__lock_drop(&part->lock);
    }
    (void)skua_task_tracker_each(NULL, list_count, stats);
    return started ? 0 : -ENOENT;
}

/* ---- tasks that were there before ------------------------------------------------------------ */

struct list_adding {
    skua_runtime *runtime;
    uint64_t listing;
    int64_t now;
};

/* One that a runtime has. It may have ended by now: then it is in the ring, since only its end was
 * heard of. */
static void list_add(const skua_task_info *info, void *arg)
{
    struct list_adding *adding = arg;
    struct skua__track_part *part;
    struct skua__track_slot *slot;
    uint32_t chain;

    part = skua__track_part_of(adding->runtime, info->id, &chain);
    skua__lock_take(&part->lock);
    slot = skua__track_find(part, chain, adding->runtime, info->id);
    if (slot == NULL && part->slots != NULL &&
        skua__track_ended(part, adding->runtime, info->id) == NULL) {
        slot = skua__track_insert(part, chain, adding->runtime, info->id, info->site, adding->now);
        if (slot == NULL) {
            part->dropped++;
        } else if (info->waiting_for != NULL) {
            slot->task.state = SKUA_TRACKED_WAITING;
            slot->task.waiting_for = info->waiting_for;
        }
    }
    if (slot != NULL && slot->listing < adding->listing)
        slot->listing = adding->listing;
    skua__lock_drop(&part->lock);
}

/* Whoever was listed so late that even its end had gone by, with all others of its ring, is not
 * known to the runtime any more. Such a one is gone at the next listing. Not so one that a listing
 * has seen which is newer than this one, or that came meanwhile: this one knows nothing of it. */
static bool list_forget_some(const struct list_adding *adding, struct skua__track_part *part,
                             uint32_t *at)
{
    bool more;

    skua__lock_take(&part->lock);
    for (unsigned i = 0; i < LIST_LOOKS && *at < part->fresh; i++, ++*at) {
        struct skua__track_slot *slot = &part->slots[*at];
        uint32_t chain;

        if (slot->task.id == 0 || slot->task.runtime != adding->runtime ||
            slot->listing >= adding->listing || slot->touched >= adding->now)
            continue;
        (void)skua__track_part_of(slot->task.runtime, slot->task.id, &chain);
        skua__track_remove(part, chain, slot);
    }
    more = *at < part->fresh;
    skua__lock_drop(&part->lock);
    return more;
}

static int64_t list_add_all(skua_runtime *runtime)
{
    struct list_adding adding = {.runtime = runtime, .now = skua__os_now()};
    int64_t count;

    adding.listing = skua__add_acq_rel(&skua__track_listings, 1) + 1;
    count = skua_runtime_each_task(runtime, list_add, &adding);
    for (unsigned i = 0; i < SKUA__TRACK_PARTS && count >= 0; i++) {
        uint32_t at = 0;

        while (list_forget_some(&adding, &skua__track_parts[i], &at))
            continue;
    }
    return count;
}

/* Under the lock of all runtimes, so that this one stays. */
static void list_add_runtime(skua_runtime *runtime, void *arg)
{
    int64_t count = list_add_all(runtime);

    *(int64_t *)arg += count > 0 ? count : 0;
}

int64_t skua_task_tracker_add(skua_runtime *runtime)
{
    skua_task_tracker_stats stats = {.size = sizeof stats};
    int64_t count = 0;

    if (skua_task_tracker_read(&stats) != 0)
        return -ENOENT;
    if (runtime != NULL)
        return list_add_all(runtime);
    (void)skua_runtime_each(list_add_runtime, &count);
    return count;
}

#undef LIST_COPIES
#undef LIST_LOOKS
#undef LIST_LONG
#undef LIST_TURNS
