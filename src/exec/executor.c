/* executor.c - work that waits, and is run by whoever the executor has call.
 *
 * Flow       submit: the work into the executor's line -> ops->launch: one call of run_one more ->
 *            run_one: the oldest work out of the line, decorators, fn, decorators
 * Moving     the line is the executor's own, and each launch takes whatever is first when it comes:
 *            so work that is moved away leaves a call that finds nothing, which does no harm.
 */
#include <string.h>

#include "exec/exec_impl.h"
#include "sync/sync_wait.h"

struct skua__work_item {
    struct skua__work_item *next; /* lock: the executor's */
    skua_work work;
};

static struct skua__lock *exec_lock(skua_executor *executor)
{
    return skua__sync_lock(&executor->lock);
}

void skua_executor_init(skua_executor *executor, const skua_executor_ops *ops)
{
    memset(executor, 0, sizeof *executor);
    executor->ops = ops;
}

int skua_executor_decorate(skua_executor *executor, skua_decorator *decorator)
{
    if (decorator == NULL)
        return -EINVAL;
    if (executor->count == SKUA_DECORATORS_MAX)
        return SKUA_ELIMIT;
    executor->decorators[executor->count++] = decorator;
    return 0;
}

/* ---- the line -------------------------------------------------------------------------------- */

static void exec_push(skua_executor *executor, struct skua__work_item *item)
{
    item->next = NULL;
    skua__lock_take(exec_lock(executor));
    if (executor->last != NULL)
        executor->last->next = item;
    else
        executor->first = item;
    executor->last = item;
    executor->waiting++;
    skua__lock_drop(exec_lock(executor));
}

static struct skua__work_item *exec_pop(skua_executor *executor)
{
    struct skua__work_item *item;

    skua__lock_take(exec_lock(executor));
    item = executor->first;
    if (item != NULL) {
        executor->first = item->next;
        if (item->next == NULL)
            executor->last = NULL;
        executor->waiting--;
    }
    skua__lock_drop(exec_lock(executor));
    return item;
}

/* Back where it was taken from. */
static void exec_unpop(skua_executor *executor, struct skua__work_item *item)
{
    skua__lock_take(exec_lock(executor));
    item->next = executor->first;
    executor->first = item;
    if (executor->last == NULL)
        executor->last = item;
    executor->waiting++;
    skua__lock_drop(exec_lock(executor));
}

/* Takes this item out; false: it has begun already. */
static bool exec_remove(skua_executor *executor, struct skua__work_item *item)
{
    struct skua__work_item *before = NULL;
    struct skua__work_item *at;

    skua__lock_take(exec_lock(executor));
    for (at = executor->first; at != NULL && at != item; at = at->next)
        before = at;
    if (at != NULL) {
        *(before != NULL ? &before->next : &executor->first) = item->next;
        if (executor->last == item)
            executor->last = before;
        executor->waiting--;
    }
    skua__lock_drop(exec_lock(executor));
    return at != NULL;
}

/* ---- running --------------------------------------------------------------------------------- */

/* The decorators before: how many began; *ret_rc: why not all. */
static unsigned exec_begin(skua_executor *executor, const skua_work *work, int *ret_rc)
{
    unsigned begun = 0;

    for (*ret_rc = 0; begun < executor->count; begun++) {
        skua_decorator *decorator = executor->decorators[begun];

        *ret_rc = decorator->begin != NULL ? decorator->begin(decorator, work) : 0;
        if (*ret_rc < 0)
            break;
    }
    return begun;
}

int skua_executor_run_one(skua_executor *executor)
{
    struct skua__work_item *item = exec_pop(executor);
    int64_t start;
    int64_t ns;
    unsigned begun;
    int rc;

    if (item == NULL)
        return 0;
    begun = exec_begin(executor, &item->work, &rc);
    start = skua_now();
    if (rc == 0)
        rc = item->work.fn(item->work.arg);
    else if (item->work.drop != NULL)
        item->work.drop(item->work.arg);
    ns = skua_now() - start;
    while (begun-- > 0) {
        skua_decorator *decorator = executor->decorators[begun];

        if (decorator->end != NULL)
            decorator->end(decorator, &item->work, ns, rc);
    }
    skua__os_free(item);
    return 1;
}

void skua__executor_drop_one(skua_executor *executor)
{
    struct skua__work_item *item = exec_pop(executor);

    if (item != NULL && item->work.drop != NULL)
        item->work.drop(item->work.arg);
    skua__os_free(item);
}

/* ---- for users ------------------------------------------------------------------------------- */

int skua_executor_submit_work(skua_executor *executor, const skua_work *work)
{
    struct skua__work_item *item;
    int rc;

    if (work->fn == NULL)
        return -EINVAL;
    item = skua__os_alloc(sizeof *item);
    if (item == NULL)
        return -ENOMEM;
    item->work = *work;
    exec_push(executor, item);
    rc = executor->ops->launch(executor);
    if (rc >= 0 || !exec_remove(executor, item)) /* another call has run it */
        return 0;
    skua__os_free(item);
    return rc;
}

int64_t skua_executor_move(skua_executor *from, skua_executor *to)
{
    struct skua__work_item *item;
    int64_t moved = 0;

    if (from == to)
        return 0;
    while ((item = exec_pop(from)) != NULL) {
        int rc;

        exec_push(to, item);
        rc = to->ops->launch(to);
        if (rc < 0 && exec_remove(to, item)) {
            exec_unpop(from, item);
            return moved != 0 ? moved : rc;
        }
        moved++;
    }
    return moved;
}

size_t skua_executor_waiting(skua_executor *executor)
{
    size_t waiting;

    skua__lock_take(exec_lock(executor));
    waiting = executor->waiting;
    skua__lock_drop(exec_lock(executor));
    return waiting;
}

void skua_executor_close(skua_executor *executor)
{
    if (executor != NULL)
        executor->ops->close(executor);
}
