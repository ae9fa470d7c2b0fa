/* batch.c - see batch.h. */
#include "batch.h"

static struct batch_item *batch_take(struct batch *self, bool *closing)
{
    struct batch_item *first;

    pthread_mutex_lock(&self->lock);
    first = self->first;
    self->first = NULL;
    self->last = &self->first;
    for (struct batch_item *item = first; item != NULL; item = item->next)
        item->taken = true;
    *closing = self->closing;
    pthread_mutex_unlock(&self->lock);
    return first;
}

static void batch_tell(struct batch_item *item)
{
    struct batch_item *next;

    for (; item != NULL; item = next) {
        next = item->next; /* once it is told, it may be gone */
        skua_event_set(&item->done);
    }
}

static int batch_task(void *arg)
{
    struct batch *self = arg;
    struct batch_item *item;
    bool closing;

    (void)skua_shield_begin(); /* requests that are being drained need it */
    for (;;) {
        item = batch_take(self, &closing);
        if (item == NULL && closing)
            break;
        if (item == NULL && skua_notified(&self->work) == 0)
            continue;
        if (item != NULL)
            self->run(self->ctx, item);
        batch_tell(item);
    }
    return skua_shield_end();
}

/* Instead of the task, when it was cancelled before it began. */
static void batch_drop(void *arg)
{
    struct batch *self = arg;
    struct batch_item *first;
    bool closing;

    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_mutex_unlock(&self->lock);
    first = batch_take(self, &closing);
    for (struct batch_item *item = first; item != NULL; item = item->next)
        item->rc = SKUA_ECLOSED;
    batch_tell(first);
}

int batch_open(struct batch *self, batch_fn run, void *ctx)
{
    int rc;

    *self = (struct batch){.run = run, .ctx = ctx, .work = SKUA_NOTIFY_INIT};
    self->last = &self->first;
    (void)pthread_mutex_init(&self->lock, NULL);
    rc = skua_spawn(NULL, batch_task, self, .drop = batch_drop, .task = &self->task);
    if (rc != 0)
        (void)pthread_mutex_destroy(&self->lock);
    return rc;
}

/* Takes it out of the line again. False: it was taken. */
static bool batch_withdraw(struct batch *self, struct batch_item *item)
{
    struct batch_item **at = &self->first;
    bool taken;

    pthread_mutex_lock(&self->lock);
    taken = item->taken;
    if (!taken) {
        while (*at != item)
            at = &(*at)->next;
        *at = item->next;
        if (self->last == &item->next)
            self->last = at;
    }
    pthread_mutex_unlock(&self->lock);
    return !taken;
}

int batch_add(struct batch *self, struct batch_item *item)
{
    bool closing;
    int rc;

    item->next = NULL;
    item->taken = false;
    item->done = (skua_event)SKUA_EVENT_INIT;
    pthread_mutex_lock(&self->lock);
    closing = self->closing;
    if (!closing) {
        *self->last = item;
        self->last = &item->next;
        skua_notify_one(&self->work);
    }
    pthread_mutex_unlock(&self->lock);
    if (closing)
        return SKUA_ECLOSED;
    rc = skua_event_wait(&item->done);
    if (rc == 0)
        return item->rc;
    if (batch_withdraw(self, item))
        return rc;
    (void)skua_shield_begin(); /* it is being done: what became of it? */
    while (skua_event_wait(&item->done) != 0)
        continue;
    (void)skua_shield_end();
    return item->rc;
}

void batch_close(struct batch *self)
{
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_mutex_unlock(&self->lock);
    skua_notify_one(&self->work);
    (void)skua_shield_begin();
    (void)skua_task_join(self->task, NULL);
    (void)skua_shield_end();
    (void)pthread_mutex_destroy(&self->lock);
}
