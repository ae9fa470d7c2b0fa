/* pubsub.c - who listens where, and how a message reaches them; see pubsub.h.
 *
 * A subscription stands in two places: in its channel's array, for PUBLISH, and in its subscriber's
 * table, for UNSUBSCRIBE. It knows its index in the array, and the last one takes the place of one
 * that leaves: joining and leaving cost O(1) however many there are.
 *
 * Lifetimes: a publisher touches a subscriber only under the registry's lock, and a subscriber
 * leaves the registry before it dies.
 */
#include "conn.h"
#include "pubsub.h"
#include "store/mem.h"

#define SUBSCRIBER_DRAIN (500 * SKUA_MILLISECOND) /* for the last words of an outbox */

struct channel {
    struct dict_entry entry;             /* first: its name */
    struct subscription **subscriptions; /* the registry's lock, as the next two */
    size_t len;
    size_t capacity;
};

struct subscription {
    struct dict_entry entry; /* first: the channel's name */
    struct subscriber *subscriber;
    struct channel *channel;
    size_t index; /* in the channel; the registry's lock */
};

/* ---- the registry ---------------------------------------------------------------------------- */

void pubsub_init(struct pubsub *pubsub)
{
    *pubsub = (struct pubsub){.channels = {0}};
    pthread_mutex_init(&pubsub->lock, NULL);
}

void pubsub_done(struct pubsub *pubsub)
{
    dict_clear(&pubsub->channels);
    pthread_mutex_destroy(&pubsub->lock);
}

static struct channel *channel_open(struct pubsub *pubsub, struct str *name, uint64_t hash)
{
    struct channel *channel =
        (struct channel *)dict_find(&pubsub->channels, name->bytes, name->len, hash);

    if (channel == NULL) {
        channel = mem_zeroed(1, sizeof *channel);
        channel->entry.name = str_ref(name);
        channel->entry.hash = hash;
        dict_add(&pubsub->channels, &channel->entry);
    }
    return channel;
}

static void channel_add(struct channel *channel, struct subscription *subscription)
{
    if (channel->len == channel->capacity) {
        channel->capacity = channel->capacity > 0 ? 2 * channel->capacity : 4;
        channel->subscriptions =
            mem_resize(channel->subscriptions, channel->capacity * sizeof(struct subscription *));
    }
    subscription->index = channel->len;
    channel->subscriptions[channel->len++] = subscription;
}

/* Takes a subscription out; a channel that nobody listens to any more is forgotten. */
static void channel_remove(struct pubsub *pubsub, struct subscription *subscription)
{
    struct channel *channel = subscription->channel;
    struct subscription *last = channel->subscriptions[--channel->len];

    channel->subscriptions[subscription->index] = last;
    last->index = subscription->index;
    if (channel->len > 0)
        return;
    dict_remove(&pubsub->channels, &channel->entry);
    str_unref(channel->entry.name);
    free(channel->subscriptions);
    free(channel);
}

/* ---- the outbox ------------------------------------------------------------------------------ */

/* Cuts a subscriber off: its fiber's waits end from now on. Outbox locked. */
static void outbox_cut_off(struct subscriber *self)
{
    if (self->cut_off)
        return;
    self->cut_off = true;
    (void)skua_task_cancel_id(self->runtime, self->reader);
}

static void outbox_add_message(struct subscriber *self, struct str *message)
{
    pthread_mutex_lock(&self->lock);
    reply_raw(&self->waiting, message);
    if (self->waiting.overflowed)
        outbox_cut_off(self);
    pthread_mutex_unlock(&self->lock);
    bell_ring(&self->bell);
}

/* "subscribe" or "unsubscribe", the channel (NULL: none), and how many there are now. */
static void outbox_add_confirmation(struct subscriber *self, const char *what, struct str *channel,
                                    size_t count)
{
    pthread_mutex_lock(&self->lock);
    reply_array(&self->waiting, 3);
    reply_bulk_text(&self->waiting, what);
    if (channel != NULL)
        reply_bulk_str(&self->waiting, channel);
    else
        reply_null(&self->waiting);
    reply_integer(&self->waiting, (int64_t)count);
    if (self->waiting.overflowed)
        outbox_cut_off(self);
    pthread_mutex_unlock(&self->lock);
    bell_ring(&self->bell);
}

int subscriber_push(struct subscriber *self, struct reply *reply)
{
    int rc;

    pthread_mutex_lock(&self->lock);
    reply_move(&self->waiting, reply);
    rc = self->waiting.overflowed ? SKUA_ELIMIT : 0;
    pthread_mutex_unlock(&self->lock);
    bell_ring(&self->bell);
    return rc;
}

size_t pubsub_publish(struct pubsub *pubsub, const char *channel_name, size_t channel_len,
                      const char *text, size_t text_len)
{
    uint64_t hash = dict_hash(channel_name, channel_len);
    struct reply encoded;
    struct channel *channel;
    struct str *message;
    size_t count = 0;

    reply_init(&encoded, SIZE_MAX);
    reply_array(&encoded, 3);
    reply_bulk_text(&encoded, "message");
    reply_bulk(&encoded, channel_name, channel_len);
    reply_bulk(&encoded, text, text_len);
    message = str_new(encoded.buf, encoded.len);
    reply_done(&encoded);

    pthread_mutex_lock(&pubsub->lock);
    channel = (struct channel *)dict_find(&pubsub->channels, channel_name, channel_len, hash);
    if (channel != NULL)
        for (count = 0; count < channel->len; count++)
            outbox_add_message(channel->subscriptions[count]->subscriber, message);
    pthread_mutex_unlock(&pubsub->lock);
    str_unref(message);
    return count;
}

/* ---- the pushing fiber ----------------------------------------------------------------------- */

/* Takes everything out of the outbox. Returns whether this was all for ever. */
static bool outbox_take(struct subscriber *self, struct reply *batch)
{
    bool closing;

    pthread_mutex_lock(&self->lock);
    *batch = self->waiting;
    reply_init(&self->waiting, self->output_max - batch->bytes);
    self->waiting.overflowed = batch->overflowed;
    closing = self->closing;
    pthread_mutex_unlock(&self->lock);
    return closing;
}

static void outbox_written(struct subscriber *self)
{
    pthread_mutex_lock(&self->lock);
    self->waiting.limit = self->output_max;
    pthread_mutex_unlock(&self->lock);
}

static int subscriber_run(void *arg)
{
    struct subscriber *self = arg;
    bool closing = false;
    int64_t rc = 0;

    while (rc == 0 && !closing && (rc = bell_wait_until(&self->bell, SKUA_FOREVER)) == 0) {
        struct reply batch;

        closing = outbox_take(self, &batch);
        rc = conn_send(self->tcp, &batch);
        reply_done(&batch);
        outbox_written(self);
    }
    if (rc != 0) { /* the peer is gone, or we are cancelled: so is, or shall be, the reader */
        pthread_mutex_lock(&self->lock);
        outbox_cut_off(self);
        pthread_mutex_unlock(&self->lock);
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct subscriber *subscriber_new(struct pubsub *pubsub, skua_tcp *tcp, size_t output_max)
{
    struct subscriber *self = mem_zeroed(1, sizeof *self);

    self->pubsub = pubsub;
    self->tcp = tcp;
    self->runtime = skua_runtime_current();
    self->reader = skua_task_current_id();
    self->output_max = output_max;
    reply_init(&self->waiting, output_max);
    pthread_mutex_init(&self->lock, NULL);
    bell_init(&self->bell);
    if (skua_scope_open(&self->scope, SKUA_COLLECT) == 0) {
        if (skua_spawn(&self->scope, subscriber_run, self, .name = "pusher") == 0)
            return self;
        (void)skua_scope_join(&self->scope);
    }
    subscriber_free(self);
    return NULL;
}

/* Ends a subscription that is out of its subscriber's table. */
static void subscription_end(struct subscription *subscription)
{
    struct pubsub *pubsub = subscription->subscriber->pubsub;

    pthread_mutex_lock(&pubsub->lock);
    channel_remove(pubsub, subscription);
    pthread_mutex_unlock(&pubsub->lock);
    str_unref(subscription->entry.name);
    free(subscription);
}

/* Ends all of them; with a word about each, if wanted. The table is taken aside and walked once:
 * taking out the first one again and again would look at more and more empty buckets. */
static void subscriber_end_all(struct subscriber *self, bool confirm)
{
    struct dict channels = self->channels;
    struct dict_cursor cursor = {0};
    struct subscription *subscription;

    self->channels = (struct dict){0};
    while ((subscription = (struct subscription *)dict_next(&channels, &cursor)) != NULL) {
        struct str *name = str_ref(subscription->entry.name);

        subscription_end(subscription);
        if (confirm)
            outbox_add_confirmation(self, "unsubscribe", name, --channels.len);
        str_unref(name);
    }
    dict_clear(&channels);
}

void subscriber_stop(struct subscriber *self)
{
    skua_deadline deadline;

    subscriber_end_all(self, false);
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_mutex_unlock(&self->lock);
    bell_ring(&self->bell);
    /* The join cancels the fiber when time is up, and at once when we are cancelled ourselves. */
    (void)skua_deadline_begin(&deadline, skua_now() + SUBSCRIBER_DRAIN);
    (void)skua_scope_join(&self->scope);
    (void)skua_deadline_end(&deadline);
}

void subscriber_free(struct subscriber *self)
{
    reply_done(&self->waiting);
    dict_clear(&self->channels);
    bell_done(&self->bell);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ------------------------------------------------------------------ */

void subscriber_join(struct subscriber *self, const char *name, size_t len)
{
    uint64_t hash = dict_hash(name, len);
    struct subscription *subscription =
        (struct subscription *)dict_find(&self->channels, name, len, hash);
    bool joined = subscription != NULL;

    if (!joined) {
        subscription = mem_zeroed(1, sizeof *subscription);
        subscription->entry.name = str_new(name, len);
        subscription->entry.hash = hash;
        subscription->subscriber = self;
        dict_add(&self->channels, &subscription->entry);
    }
    /* Confirmed under the registry's lock: no message can come before. */
    pthread_mutex_lock(&self->pubsub->lock);
    outbox_add_confirmation(self, "subscribe", subscription->entry.name, self->channels.len);
    if (!joined) {
        subscription->channel = channel_open(self->pubsub, subscription->entry.name, hash);
        channel_add(subscription->channel, subscription);
    }
    pthread_mutex_unlock(&self->pubsub->lock);
}

void subscriber_leave(struct subscriber *self, const char *name, size_t len)
{
    struct subscription *subscription =
        (struct subscription *)dict_find(&self->channels, name, len, dict_hash(name, len));
    struct str *copy = str_new(name, len);

    if (subscription != NULL) {
        dict_remove(&self->channels, &subscription->entry);
        subscription_end(subscription);
    }
    outbox_add_confirmation(self, "unsubscribe", copy, self->channels.len);
    str_unref(copy);
}

void subscriber_leave_all(struct subscriber *self)
{
    if (self->channels.len == 0)
        outbox_add_confirmation(self, "unsubscribe", NULL, 0);
    else
        subscriber_end_all(self, true);
}
