/* disk_queue.c - the exporter around another one, with a queue on disk between the two.
 *
 * Flow       export_batch: encode -> append (room is made, or it is refused) -> send the oldest,
 *            one by one, until there are none, the collector is away, or the time is up.
 * One sends  the others only append: two calls at a time are announced, so that batches are taken
 *            while one hangs in the network.
 * Away       a failure that may be gone another time keeps the record. The collector is asked again
 *            by the first call behind a pause, which doubles from failure to failure.
 * Given up   when the oldest file must go while its record is being sent, that record's items are
 *            counted when it is known whether it has arrived.
 */
#include <unistd.h>

#include "otel/disk/disk_impl.h"

#define QUEUE_BYTES ((uint64_t)256 << 20)
#define QUEUE_BYTES_MIN ((uint64_t)64 << 10)
#define QUEUE_SEGMENT ((uint64_t)8 << 20) /* a file at most, or an eighth of all */
#define QUEUE_LOOK SKUA_MILLISECOND       /* how often flush looks whether another has finished */

void skua_otel_disk_options_init(skua_otel_disk_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* Gives up the oldest file. */
static void queue_drop_oldest(struct skua__disk *self)
{
    uint64_t lost = self->oldest->queued;

    if (self->sending && !self->doomed) { /* what is sent is of the oldest file */
        self->doomed = true;
        lost -= self->sending_of;
        self->stats.queued += self->sending_of; /* until it is known */
    }
    self->stats.dropped_full += lost;
    if (lost != 0)
        skua__otel_warn(SKUA__WARN_FULL, "the queue in %s is full: %llu items are given up",
                        self->path, (unsigned long long)lost);
    skua__disk_remove(self);
}

/* A youngest file into which so many bytes fit. */
static int queue_room(struct skua__disk *self, uint64_t need)
{
    if (need > self->bytes_max)
        return -EMSGSIZE;
    while (self->stats.bytes + need > self->bytes_max) {
        if (self->refuse_new && self->oldest->queued != 0)
            return -ENOSPC;
        queue_drop_oldest(self);
    }
    if (self->youngest != NULL &&
        (self->youngest->size == 0 || self->youngest->size + need <= self->segment_max))
        return 0;
    return skua__disk_grow(self);
}

struct queue_taken {
    struct skua__disk *self;
    skua_otel_signal signal;
    size_t items;
    bool seen; /* the encoder has come to the bytes */
};

/* The sink of the exporter's encoder. */
static int queue_append(void *arg, const void *bytes, size_t len)
{
    struct queue_taken *taken = arg;
    struct skua__disk *self = taken->self;
    int rc;

    taken->seen = true;
    pthread_mutex_lock(&self->mutex);
    rc = len <= UINT32_MAX ? queue_room(self, SKUA__DISK_HEAD + (uint64_t)len) : -EMSGSIZE;
    if (rc == 0) {
        rc = skua__disk_append(self->youngest, taken->signal, self->encoding, taken->items, bytes,
                               len, self->sync);
        if (rc != 0)
            self->stats.dropped_broken += taken->items;
    } else if (rc == -ENOSPC || rc == -EMSGSIZE) {
        self->stats.dropped_full += taken->items;
    } else {
        self->stats.dropped_broken += taken->items;
    }
    if (rc == 0) {
        self->stats.bytes += SKUA__DISK_HEAD + (uint64_t)len;
        self->stats.queued += taken->items;
    }
    self->stats.taken += taken->items;
    pthread_mutex_unlock(&self->mutex);
    if (rc != 0)
        skua__otel_warn(SKUA__WARN_FULL, "%zu items are not taken by the queue in %s: %s",
                        taken->items, self->path, skua_error_name(rc));
    return rc;
}

/* The encoder has failed. */
static void queue_refused(struct skua__disk *self, const struct queue_taken *taken)
{
    pthread_mutex_lock(&self->mutex);
    self->stats.taken += taken->items;
    self->stats.dropped_refused += taken->items;
    pthread_mutex_unlock(&self->mutex);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Counts a record of the oldest file that is done, and crosses it out. */
static void disk_done(struct skua__disk *self, const struct skua__disk_record *record,
                      enum skua__disk_state state)
{
    struct skua__disk_segment *segment = self->oldest;

    self->stats.queued -= record->items;
    if (self->doomed)
        return; /* its file is gone already */
    segment->queued -= record->items;
    segment->next_at = record->at + SKUA__DISK_HEAD + record->len;
    if (skua__disk_mark(segment, record, state) != 0)
        skua__otel_warn(SKUA__WARN_OTHER, "a record in %s cannot be crossed out", self->path);
}

/* What came of sending a record; mutex. 0: go on; else the collector is away. */
static int queue_sent(struct skua__disk *self, const struct skua__disk_record *record, int64_t rc)
{
    if (skua_otel_may_succeed(rc)) {
        self->pause =
            self->pause == 0 ? self->retry_initial : skua__otel_after(self->pause, self->pause);
        if (self->pause > self->retry_max)
            self->pause = self->retry_max;
        self->asked_at = skua__otel_after(skua_now(), self->pause);
        if (self->doomed) {
            self->stats.dropped_full += record->items;
            self->stats.queued -= record->items;
        }
        return (int)rc;
    }
    self->pause = 0;
    self->asked_at = 0;
    if (rc < 0) {
        self->stats.dropped_refused += record->items;
        disk_done(self, record, SKUA__DISK_DROPPED);
    } else {
        if (rc > (int64_t)record->items)
            rc = record->items;
        self->stats.rejected += (uint64_t)rc;
        self->stats.sent += record->items - (uint64_t)rc;
        disk_done(self, record, SKUA__DISK_SENT);
    }
    return 0;
}

/* The oldest record that is queued, with its body, to be freed; mutex. 1; 0: there is none;
 * -ENOMEM. What cannot be read is dropped. */
static int queue_oldest(struct skua__disk *self, struct skua__disk_record *record, void **ret)
{
    while (self->oldest != NULL) {
        struct skua__disk_segment *segment = self->oldest;
        int rc = skua__disk_next(segment, record);

        if (rc < 0) { /* nothing behind it can be found */
            self->stats.dropped_broken += segment->queued;
            skua__disk_remove(self);
            continue;
        }
        if (rc == 0) {
            /* A file that more is appended to stays, so that not each record makes one. */
            if (segment == self->youngest && segment->size < self->segment_max / 2)
                return 0;
            skua__disk_remove(self);
            continue;
        }
        *ret = skua__otel_raw((size_t)record->len + 1);
        if (*ret == NULL)
            return -ENOMEM;
        rc = skua__disk_body(segment, record, *ret);
        if (rc == 0 && record->encoding == self->encoding)
            return 1;
        skua__otel_free(*ret);
        if (rc == 0)
            self->stats.dropped_refused += record->items;
        else
            self->stats.dropped_broken += record->items;
        disk_done(self, record, SKUA__DISK_DROPPED);
    }
    return 0;
}

/* Sends the oldest one. 1: go on; 0: there is none, or another call sends; an error. */
static int queue_send_one(struct skua__disk *self, int64_t deadline)
{
    int64_t latest = skua__otel_after(skua_now(), self->send_timeout);
    struct skua__disk_record record;
    int64_t result;
    void *bytes;
    int rc;

    pthread_mutex_lock(&self->mutex);
    rc = self->sending ? 0 : queue_oldest(self, &record, &bytes);
    if (rc == 1) {
        self->sending = true;
        self->sending_of = record.items;
    }
    pthread_mutex_unlock(&self->mutex);
    if (rc != 1)
        return rc;
    result = self->inner->ops->export_bytes(self->inner, (skua_otel_signal)record.signal, bytes,
                                            record.len, record.items,
                                            deadline < latest ? deadline : latest);
    skua__otel_free(bytes);
    pthread_mutex_lock(&self->mutex);
    rc = queue_sent(self, &record, result);
    self->sending = self->doomed = false;
    pthread_mutex_unlock(&self->mutex);
    return rc == 0 ? 1 : rc;
}

/* Sends until there is nothing, or until it fails: 0, or why. */
static int queue_send(struct skua__disk *self, int64_t deadline)
{
    int rc = 1;

    while (rc == 1)
        rc = skua_now() < deadline ? queue_send_one(self, deadline) : -ETIMEDOUT;
    return rc;
}

/* ---- the exporter's functions ---------------------------------------------------------------- */

static bool queue_asks(struct skua__disk *self)
{
    bool asks;

    pthread_mutex_lock(&self->mutex);
    asks = !self->sending && skua_now() >= self->asked_at;
    pthread_mutex_unlock(&self->mutex);
    return asks;
}

static int64_t disk_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    struct skua__disk *self = (struct skua__disk *)exporter;
    struct queue_taken taken = {self, batch->signal, skua_otel_batch_size(batch), false};
    int rc;

    if (self->process != getpid())
        return -EBUSY;
    if (batch->count == 0)
        return 0;
    rc = self->inner->ops->encode(self->inner, batch, queue_append, &taken);
    if (!taken.seen)
        queue_refused(self, &taken);
    else if (rc == 0 && queue_asks(self))
        (void)queue_send(self, deadline); /* what is not sent is queued */
    return rc;
}

static int queue_flush(skua_otel_exporter *exporter, int64_t deadline)
{
    struct skua__disk *self = (struct skua__disk *)exporter;
    skua_otel_disk_stats stats;
    int rc;

    if (self->process != getpid())
        return -EBUSY;
    for (;;) {
        rc = queue_send(self, deadline);
        skua_otel_disk_stats_of(exporter, &stats);
        if (rc != 0 || stats.queued == 0)
            return rc;
        if (skua_sleep(QUEUE_LOOK) != 0) /* another call sends */
            return -ECANCELED;
    }
}

static int queue_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    struct skua__disk *self = (struct skua__disk *)exporter;
    int rc = queue_flush(exporter, deadline), inner = 0;

    if (self->inner->ops->shutdown != NULL)
        inner = self->inner->ops->shutdown(self->inner, deadline);
    return rc != 0 ? rc : inner;
}

static skua_otel_temporality queue_temporality(const skua_otel_exporter *exporter, int kind)
{
    const struct skua__disk *self = (const struct skua__disk *)exporter;

    return self->inner->ops->temporality(self->inner, kind);
}

static void queue_free_own(struct skua__disk *self)
{
    pthread_mutex_destroy(&self->mutex);
    skua__otel_free(self->path);
    skua__otel_free(self);
}

static void queue_free(skua_otel_exporter *exporter)
{
    struct skua__disk *self = (struct skua__disk *)exporter;

    if (self->inner->ops->free != NULL)
        self->inner->ops->free(self->inner);
    skua__disk_close(self);
    queue_free_own(self);
}

/* ---- making one ------------------------------------------------------------------------------ */

static void queue_numbers(struct skua__disk *self, const skua_otel_disk_options *options)
{
    self->bytes_max = options->bytes_max != 0 ? options->bytes_max : QUEUE_BYTES;
    self->segment_max = self->bytes_max / 8 < QUEUE_SEGMENT ? self->bytes_max / 8 : QUEUE_SEGMENT;
    self->refuse_new = options->refuse_new != 0;
    self->sync = options->sync != 0;
    self->retry_initial = options->retry_initial != 0 ? options->retry_initial : SKUA_SECOND;
    self->retry_max = options->retry_max != 0 ? options->retry_max : 30 * SKUA_SECOND;
    self->send_timeout = options->send_timeout != 0 ? options->send_timeout : 10 * SKUA_SECOND;
}

static void queue_ops(struct skua__disk *self, skua_otel_exporter *inner)
{
    self->inner = inner;
    self->encoding = skua__disk_sum(0, inner->ops->encoding, strlen(inner->ops->encoding));
    self->ops = (skua_otel_exporter_ops){
        .name = inner->ops->name,
        .export_batch = disk_export,
        .flush = queue_flush,
        .shutdown = queue_shutdown,
        .free = queue_free,
        .temporality = inner->ops->temporality != NULL ? queue_temporality : NULL,
        .concurrency = 2,
    };
    self->base.ops = &self->ops;
}

int skua_otel_disk_queue_new(skua_otel_exporter **ret, skua_otel_exporter *exporter,
                             const skua_otel_disk_options *options)
{
    struct skua__disk *self;
    size_t len;
    int rc;

    if (exporter == NULL || options == NULL || options->size != sizeof *options ||
        options->path == NULL || options->path[0] == '\0' || options->retry_initial < 0 ||
        options->retry_max < 0 || options->send_timeout < 0 ||
        (options->bytes_max != 0 && options->bytes_max < QUEUE_BYTES_MIN))
        return -EINVAL;
    if (exporter->ops->encode == NULL || exporter->ops->export_bytes == NULL ||
        exporter->ops->encoding == NULL)
        return -ENOTSUP;
    self = skua__otel_malloc(sizeof *self);
    len = strlen(options->path) + 1;
    if (self != NULL)
        self->path = skua__otel_raw(len);
    if (self == NULL || self->path == NULL) {
        skua__otel_free(self);
        return -ENOMEM;
    }
    memcpy(self->path, options->path, len);
    pthread_mutex_init(&self->mutex, NULL);
    queue_numbers(self, options);
    queue_ops(self, exporter);
    rc = skua__disk_open(self);
    if (rc != 0) {
        queue_free_own(self);
        return rc;
    }
    *ret = &self->base;
    return 0;
}

void skua_otel_disk_stats_of(skua_otel_exporter *queue, skua_otel_disk_stats *ret)
{
    struct skua__disk *self = (struct skua__disk *)queue;

    pthread_mutex_lock(&self->mutex);
    *ret = self->stats;
    pthread_mutex_unlock(&self->mutex);
    ret->dropped = ret->dropped_full + ret->dropped_refused + ret->dropped_broken;
}

#undef QUEUE_BYTES
#undef QUEUE_BYTES_MIN
#undef QUEUE_SEGMENT
#undef QUEUE_LOOK
