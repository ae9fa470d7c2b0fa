/* tracker_tree.c - the task tracker's tasks as a tree, and the tree as text.
 *
 * Flow     all that the filter lets through are copied, sorted by runtime and id, and found there
 *          by their children; then they hang together as a tree, which is gone through without
 *          recursion: a chain of tasks may be as long as there are tasks.
 * Cycles   cannot be: a parent is known before its child is. The ids of a runtime that is gone may
 *          come again, with another one at its address; then who is younger is no parent.
 */
#include <stdlib.h>

#include "watch/tracker_impl.h"
#include "watch/watch_text.h"

/* Columns of a task's name, and bytes of a line. */
#define TREE_NAME 40
#define TREE_LINE 512

struct tree_node {
    skua_tracked_task task;
    struct tree_node *parent, *child, *sibling;
};

struct tree_all {
    struct tree_node *nodes;
    struct tree_node **eldest; /* by age */
    size_t count, room;
    bool failed;
};

static void tree_take(const skua_tracked_task *task, void *arg)
{
    struct tree_all *all = arg;

    if (all->count == all->room) {
        size_t room = all->room != 0 ? all->room * 2 : 64;
        struct tree_node *nodes = skua__os_alloc_unset(room * sizeof *nodes);

        if (nodes == NULL) {
            all->failed = true;
            return;
        }
        if (all->count != 0)
            memcpy(nodes, all->nodes, all->count * sizeof *nodes);
        skua__os_free(all->nodes);
        all->nodes = nodes;
        all->room = room;
    }
    all->nodes[all->count++] = (struct tree_node){.task = *task};
}

/* ---- order ----------------------------------------------------------------------------------- */

static int tree_compare(const skua_runtime *runtime, skua_task_id id, const skua_tracked_task *task)
{
    if (runtime != task->runtime)
        return (uintptr_t)runtime < (uintptr_t)task->runtime ? -1 : 1;
    return id == task->id ? 0 : id < task->id ? -1 : 1;
}

/* Of two that are the same the one that has ended comes first: it is newer. */
static int tree_by_id(const void *a, const void *b)
{
    const skua_tracked_task *one = &((const struct tree_node *)a)->task;
    const skua_tracked_task *other = &((const struct tree_node *)b)->task;
    int order = tree_compare(one->runtime, one->id, other);

    return order != 0 ? order : (int)other->state - (int)one->state;
}

static bool tree_older(const skua_tracked_task *one, const skua_tracked_task *other)
{
    if (one->seen != other->seen)
        return one->seen < other->seen;
    return tree_compare(one->runtime, one->id, other) < 0;
}

static int tree_by_age(const void *a, const void *b)
{
    const struct tree_node *one = *(struct tree_node *const *)a;
    const struct tree_node *other = *(struct tree_node *const *)b;

    return one == other ? 0 : tree_older(&one->task, &other->task) ? -1 : 1;
}

static void tree_sort(struct tree_all *all)
{
    size_t count = 0;

    if (all->count == 0)
        return;
    qsort(all->nodes, all->count, sizeof *all->nodes, tree_by_id);
    for (size_t i = 0; i < all->count; i++) {
        const skua_tracked_task *task = &all->nodes[i].task;

        if (count == 0 || tree_compare(task->runtime, task->id, &all->nodes[count - 1].task) != 0)
            all->nodes[count++] = all->nodes[i];
    }
    all->count = count;
    for (size_t i = 0; i < count; i++)
        all->eldest[i] = &all->nodes[i];
    qsort(all->eldest, count, sizeof(struct tree_node *), tree_by_age);
}

static struct tree_node *tree_lookup(const struct tree_all *all, const skua_runtime *runtime,
                                     skua_task_id id)
{
    size_t low = 0, high = all->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tree_compare(runtime, id, &all->nodes[middle].task);

        if (order == 0)
            return &all->nodes[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Hangs all under their parents, or under `root`, the eldest first. */
static void tree_link(const struct tree_all *all, struct tree_node *root)
{
    for (size_t i = all->count; i-- > 0;) {
        struct tree_node *node = all->eldest[i];
        struct tree_node *parent = NULL;

        if (node->task.parent != 0)
            parent = tree_lookup(all, node->task.parent_runtime, node->task.parent);
        if (parent == NULL || parent == node || !tree_older(&parent->task, &node->task))
            parent = root;
        node->parent = parent;
        node->sibling = parent->child;
        parent->child = node;
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void tree_visit(const struct tree_node *root,
                       void (*fn)(const skua_tracked_task *task, unsigned depth, void *arg),
                       void *arg)
{
    const struct tree_node *node = root->child;
    unsigned depth = 0;

    while (node != NULL) {
        fn(&node->task, depth, arg);
        if (node->child != NULL) {
            node = node->child;
            depth++;
            continue;
        }
        while (node != root && node->sibling == NULL) {
            node = node->parent;
            depth--;
        }
        node = node != root ? node->sibling : NULL;
    }
}

int64_t skua_task_tracker_walk(const skua_tracked_filter *filter,
                               void (*fn)(const skua_tracked_task *task, unsigned depth, void *arg),
                               void *arg)
{
    struct tree_all all = {.count = 0};
    struct tree_node root = {.parent = NULL};
    int64_t count = skua_task_tracker_each(filter, tree_take, &all);

    if (count > 0) {
        all.eldest = skua__os_alloc_unset(all.room * sizeof(struct tree_node *));
        if (all.failed || all.eldest == NULL) {
            count = -ENOMEM;
        } else {
            tree_sort(&all);
            tree_link(&all, &root);
            count = (int64_t)all.count;
            if (fn != NULL)
                tree_visit(&root, fn, arg);
        }
    }
    skua__os_free(all.eldest);
    skua__os_free(all.nodes);
    return count;
}

/* ---- text ------------------------------------------------------------------------------------ */

struct tree_text {
    void (*fn)(const char *line, size_t len, void *arg);
    void *arg;
};

static void tree_say(const struct tree_text *text, char *line, int len)
{
    size_t size = len < 0 ? 0 : (size_t)len;

    if (size > TREE_LINE - 2)
        size = TREE_LINE - 2;
    line[size++] = '\n';
    text->fn(line, size, text->arg);
}

static const char *tree_state(const skua_tracked_task *task)
{
    switch (task->state) {
    case SKUA_TRACKED_RUNNABLE:
        return "runnable";
    case SKUA_TRACKED_RUNNING:
        return "running";
    case SKUA_TRACKED_WAITING:
        return task->waiting_for != NULL ? task->waiting_for : "waiting";
    default:
        return task->result < 0 ? "failed" : "done";
    }
}

/* What is said behind the columns: the warnings, and the trace. */
static void tree_remarks(char *to, size_t size, const skua_tracked_task *task)
{
    static const char zeros[sizeof task->trace_id];
    size_t at = 0;

    at += (size_t)snprintf(to, size, "%s%s%s%s%s", task->cancelled != 0 ? " cancelled" : "",
                           task->warnings & SKUA_TRACKED_SELF_WAKES ? " !self-wakes" : "",
                           task->warnings & SKUA_TRACKED_LONG_TURN ? " !long-turn" : "",
                           task->warnings & SKUA_TRACKED_STARVED ? " !starved" : "",
                           task->warnings & SKUA_TRACKED_LINGERS ? " !lingers" : "");
    if (memcmp(task->trace_id, zeros, sizeof zeros) == 0)
        return;
    at += (size_t)snprintf(to + at, size - at, " trace=");
    for (size_t i = 0; i < sizeof task->trace_id; i++)
        at += (size_t)snprintf(to + at, size - at, "%02x", task->trace_id[i]);
}

/* Where it was spawned, without the folders. */
static const char *tree_file(const skua_tracked_task *task)
{
    const char *file = task->site != NULL && task->site->file != NULL ? task->site->file : "?";
    const char *slash = strrchr(file, '/');

    return slash != NULL ? slash + 1 : file;
}

static void tree_line(const skua_tracked_task *task, unsigned depth, void *arg)
{
    char line[TREE_LINE], name[TREE_NAME], state[20], file[80], remarks[128];
    char since[SKUA__WATCH_TIME], busy[SKUA__WATCH_TIME], scheduled[SKUA__WATCH_TIME],
        idle[SKUA__WATCH_TIME];
    int indent = depth < 12 ? 2 * (int)depth : 24;
    int64_t now = skua__os_now();

    skua__watch_name(name, sizeof name - (size_t)indent,
                     task->site != NULL ? task->site->name : "?");
    skua__watch_name(state, sizeof state, tree_state(task));
    skua__watch_name(file, sizeof file, tree_file(task));
    skua__watch_time(since, now > task->since ? now - task->since : 0);
    skua__watch_time(busy, task->busy);
    skua__watch_time(scheduled, task->scheduled);
    skua__watch_time(idle, task->idle);
    tree_remarks(remarks, sizeof remarks, task);
    tree_say(arg, line,
             snprintf(line, sizeof line, "%*s%-*.*s %-18s %8s %9llu %8s %8s %8s  %s:%d%s", indent,
                      "", TREE_NAME - indent, TREE_NAME - indent, name, state, since,
                      (unsigned long long)task->polls, busy, scheduled, idle, file,
                      task->site != NULL ? task->site->line : 0, remarks));
}

int64_t skua_task_tracker_lines(const skua_tracked_filter *filter,
                                void (*fn)(const char *line, size_t len, void *arg), void *arg)
{
    struct tree_text text = {.fn = fn, .arg = arg};
    char line[TREE_LINE];

    if (filter != NULL && filter->size != sizeof *filter)
        return -EINVAL;
    tree_say(&text, line,
             snprintf(line, sizeof line, "%-*s %-18s %8s %9s %8s %8s %8s  %s", TREE_NAME, "TASK",
                      "STATE", "FOR", "TURNS", "BUSY", "QUEUED", "IDLE", "SPAWNED AT"));
    return skua_task_tracker_walk(filter, tree_line, &text);
}

struct tree_print {
    FILE *to;
    bool failed;
};

static void tree_write(const char *line, size_t len, void *arg)
{
    struct tree_print *print = arg;

    if (fwrite(line, 1, len, print->to) != len)
        print->failed = true;
}

int64_t skua_task_tracker_print(FILE *to)
{
    struct tree_print print = {.to = to};
    int64_t count = skua_task_tracker_lines(NULL, tree_write, &print);

    if (fflush(to) != 0)
        print.failed = true;
    return count >= 0 && print.failed ? -EIO : count;
}

#undef TREE_NAME
#undef TREE_LINE
