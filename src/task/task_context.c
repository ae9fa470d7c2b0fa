/* task_context.c - what a task inherits: deadlines and task-locals.
 *
 * A context is a chain of immutable links, each with one reference on the one outside it. A frame
 * (skua_deadline, skua_local) puts a link in front of its fiber's chain and takes it off again; a
 * spawn takes one more reference on the front. So inheriting costs one increment, an empty
 * context nothing, and a task may outlive the frame that gave it its context.
 */
#include "task/task_impl.h"

/* What a frame holds whose link could not be made: ending it is no mistake. */
static struct skua__context context_failed;

static void context_free(struct skua__context *context)
{
    bool lent = context->lent; /* the value may take it along */

    if (context->key != NULL && context->key->unref != NULL)
        context->key->unref(context->value);
    if (!lent)
        skua__os_free(context);
}

void skua__context_unref(struct skua__context *context)
{
    while (context != NULL) {
        struct skua__context *outer = context->outer;

        /* Release and acquire: whoever frees it comes after everybody's last look. */
        if (skua__sub_acq_rel(&context->refs, 1) != 1)
            return;
        context_free(context);
        context = outer;
    }
}

/* Puts a link in front of the calling fiber's context. */
static int context_push(struct skua__context **ret_outer, struct skua__context **ret_inner,
                        int64_t deadline, const skua_local_key *key, void *value)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    struct skua__context *link;

    *ret_outer = NULL;
    *ret_inner = NULL;
    if (fiber == NULL)
        return SKUA_EUSAGE;
    link = skua__os_alloc(sizeof *link);
    *ret_outer = fiber->task.context;
    *ret_inner = &context_failed;
    if (link == NULL)
        return -ENOMEM;
    link->outer = fiber->task.context; /* the fiber's reference becomes the link's */
    link->maker = &fiber->task;
    skua__store_relaxed(&link->refs, 1);
    link->deadline = skua__context_deadline(link->outer);
    if (deadline < link->deadline)
        link->deadline = deadline;
    link->queue = link->outer != NULL ? link->outer->queue : NULL;
    link->key = key;
    link->value = value;
    link->span = link->outer != NULL ? link->outer->span : NULL;
    link->lent = false;
    if (key != NULL && key->ref != NULL)
        key->ref(value);
    fiber->task.context = link;
    *ret_inner = link;
    return 0;
}

/* Takes it off again. A frame that is not open holds NULL. */
static int context_pop(struct skua__context **outer, struct skua__context **inner)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    struct skua__context *link = *inner;

    if (fiber == NULL || link == NULL)
        return SKUA_EUSAGE;
    if (link != &context_failed) {
        if (fiber->task.context != link || link->maker != &fiber->task)
            return SKUA_EUSAGE;
        fiber->task.context = skua__context_ref(*outer);
        skua__context_unref(link);
    }
    *inner = NULL;
    return 0;
}

struct skua__context *skua__context_with_queue(struct skua__context *outer, skua_task_queue *queue)
{
    struct skua__context *link = skua__os_alloc(sizeof *link);

    if (link == NULL)
        return NULL;
    link->outer = skua__context_ref(outer);
    link->maker = NULL; /* no frame ends it */
    skua__store_relaxed(&link->refs, 1);
    link->deadline = skua__context_deadline(outer);
    link->queue = queue;
    link->key = NULL;
    link->value = NULL;
    link->span = outer != NULL ? outer->span : NULL;
    link->lent = false;
    return link;
}

/* ---- lent links ------------------------------------------------------------------------------ */

/* Where the caller's context hangs: a fiber's, or a plain thread's; NULL: a poll task's. */
static struct skua__context **context_place(struct skua__thread *self)
{
    struct skua__fiber *fiber = skua__fiber_current(self);

    if (fiber != NULL)
        return &fiber->task.context;
    return self->current == NULL ? &self->context : NULL;
}

bool skua__context_enter(struct skua__context *link, const skua_local_key *key, void *value,
                         skua_span *span)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__context **place = context_place(self);
    struct skua__context *outer;

    if (place == NULL)
        return false;
    outer = *place;
    link->outer = outer;
    if (self->current == NULL)
        skua__context_ref(outer); /* a job's is borrowed; and so are a plain thread's own */
    link->maker = self->current;
    skua__store_relaxed(&link->refs, 1);
    link->deadline = skua__context_deadline(outer);
    link->queue = outer != NULL ? outer->queue : NULL;
    link->key = key;
    link->value = value;
    link->span = span != NULL ? span : outer != NULL ? outer->span : NULL;
    link->lent = true;
    *place = link;
    return true;
}

bool skua__context_leave(struct skua__context *link)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__context **place = context_place(self);

    if (place == NULL || *place != link || link->maker != self->current)
        return false;
    if (self->current != NULL && skua__load_acquire(&link->refs) == 1) {
        *place = link->outer; /* nobody inherited the link: what it holds goes back as it came */
        context_free(link);
        return true;
    }
    *place = self->current != NULL ? skua__context_ref(link->outer) : link->outer;
    skua__context_unref(link);
    return true;
}

/* ---- deadlines and locals -------------------------------------------------------------------- */

int skua_deadline_begin(skua_deadline *frame, int64_t deadline)
{
    return context_push(&frame->outer, &frame->inner, deadline, NULL, NULL);
}

int skua_deadline_end(skua_deadline *frame)
{
    return context_pop(&frame->outer, &frame->inner);
}

int64_t skua_deadline_current(void)
{
    return skua__context_deadline(skua__context_current(skua__thread_self()));
}

int skua_local_begin(skua_local *frame, const skua_local_key *key, void *value)
{
    if (key == NULL)
        return -EINVAL;
    return context_push(&frame->outer, &frame->inner, SKUA_FOREVER, key, value);
}

int skua_local_end(skua_local *frame)
{
    return context_pop(&frame->outer, &frame->inner);
}

void *skua_local_get(const skua_local_key *key)
{
    struct skua__context *link = skua__context_current(skua__thread_self());

    while (link != NULL && link->key != key)
        link = link->outer;
    return link == NULL ? NULL : link->value;
}
