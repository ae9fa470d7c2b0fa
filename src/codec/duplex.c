/* duplex.c - a connection in memory: two rings of bytes under one lock.
 *
 * Flow       each direction has a ring. A reader or writer moves what it can; when that is nothing
 *            it leaves a waiter, and whoever changes that side grants it: it tries again. Nothing
 *            is handed over with the grant, so that a dropped wait has nothing to pass on.
 * Ends       writing ends by shutdown or close of the writer's end: the reader drains the ring and
 *            reads 0. Reading ends by close of the reader's end: the writer gets -EPIPE.
 * Memory     one allocation for the pair and its rings, counted: an end each, and each future that
 *            waits, so that an end may be closed under a task that waits there.
 * Cost       the lock is held for a copy of DUPLEX_PIECE bytes at most.
 */
#include "codec/codec_impl.h"
#include "sync/sync_wait.h"

#define DUPLEX_PIECE ((size_t)4096)

struct skua_duplex {
    uint8_t side;   /* which of the pair's; constant */
    uint8_t closed; /* lock */
};

/* One direction; everything is under the lock, but buf: constant. */
struct skua__duplex_way {
    char *buf;
    size_t from;
    size_t count;
    skua_waiter_list reader; /* one at most, as the next */
    skua_waiter_list writer;
    bool ended; /* nothing more is written */
};

struct skua__duplex_pair {
    struct skua_duplex end[2];
    struct skua__lock lock;
    unsigned refs;                  /* lock */
    size_t capacity;                /* constant */
    struct skua__duplex_way way[2]; /* by the side that writes */
    char bytes[];
};

static struct skua__duplex_pair *duplex_pair(skua_duplex *end)
{
    return skua__container(end - end->side, struct skua__duplex_pair, end);
}

static struct skua__duplex_way *duplex_way(struct skua__duplex_pair *pair, unsigned side,
                                           bool writes)
{
    return &pair->way[writes ? side : 1 - side];
}

static void duplex_grant(skua_waiter_list *list, struct skua__chain *chain)
{
    if (list->first != NULL)
        skua__waiters_grant(list, list->first, chain);
}

/* Gives a reference back and lets go of the lock: nothing of the pair is touched afterwards. */
static void duplex_unref(struct skua__duplex_pair *pair)
{
    bool last = --pair->refs == 0;

    skua__lock_drop(&pair->lock);
    if (last)
        skua__os_free(pair);
}

/* ---- moving bytes: under the lock ------------------------------------------------------------ */

/* Up to a piece, in one or two parts around the ring's edge. */
static size_t duplex_take(struct skua__duplex_way *way, size_t capacity, char *buf, size_t len)
{
    size_t n = skua__min_size(skua__min_size(len, way->count), DUPLEX_PIECE);
    size_t part = skua__min_size(n, capacity - way->from);

    memcpy(buf, way->buf + way->from, part);
    memcpy(buf + part, way->buf, n - part);
    way->from = (way->from + n) % capacity;
    way->count -= n;
    return n;
}

static size_t duplex_put(struct skua__duplex_way *way, size_t capacity, const char *buf, size_t len)
{
    size_t n = skua__min_size(skua__min_size(len, capacity - way->count), DUPLEX_PIECE);
    size_t at = (way->from + way->count) % capacity;
    size_t part = skua__min_size(n, capacity - at);

    memcpy(way->buf + at, buf, part);
    memcpy(way->buf, buf + part, n - part);
    way->count += n;
    return n;
}

/* A count, 0 for the end, a negative code, or -EAGAIN. */
static ssize_t duplex_move(struct skua__duplex_pair *pair, const skua_duplex_future *self,
                           size_t done, struct skua__chain *chain)
{
    struct skua__duplex_way *way = duplex_way(pair, self->end->side, self->writes);
    size_t n;

    if (self->end->closed)
        return SKUA_ECLOSED;
    if (self->writes && (way->ended || pair->end[1 - self->end->side].closed))
        return -EPIPE;
    if (self->writes)
        n = duplex_put(way, pair->capacity, self->buf + done, self->len - done);
    else
        n = duplex_take(way, pair->capacity, self->buf + done, self->len - done);
    if (n != 0)
        duplex_grant(self->writes ? &way->reader : &way->writer, chain);
    else if (self->writes || !way->ended)
        return -EAGAIN;
    return (ssize_t)n;
}

/* All that can be moved now, a piece at a time. With a waker: -EAGAIN becomes SKUA_PENDING, the
 * waiter is in its place. */
static int64_t duplex_try(skua_duplex_future *self, skua_waker *waker)
{
    struct skua__duplex_pair *pair = duplex_pair(self->end);
    struct skua__duplex_way *way = duplex_way(pair, self->end->side, self->writes);
    skua_waiter_list *line = self->writes ? &way->writer : &way->reader;
    size_t done = 0;
    int64_t n;

    do {
        struct skua__chain chain = {NULL, NULL};

        skua__lock_take(&pair->lock);
        n = line->first != NULL ? -EBUSY : duplex_move(pair, self, done, &chain);
        if (n == -EAGAIN && done == 0 && waker != NULL) {
            n = SKUA_PENDING;
            pair->refs++;
            skua__waiters_push(line, &self->waiter, waker);
        }
        skua__lock_drop(&pair->lock);
        skua__chain_wake(&chain);
        done += n > 0 ? (size_t)n : 0;
    } while (n == (int64_t)DUPLEX_PIECE && done < self->len);
    return done != 0 ? (int64_t)done : n;
}

/* ---- the future ------------------------------------------------------------------------------ */

/* After a wait: its reference is given back once the next try has been made. */
static int64_t duplex_try_again(skua_duplex_future *self, skua_waker *waker)
{
    struct skua__duplex_pair *pair = duplex_pair(self->end);
    int64_t n = duplex_try(self, waker);

    skua__lock_take(&pair->lock);
    duplex_unref(pair);
    return n;
}

static skua_poll duplex_poll(skua_future *future, skua_waker *waker)
{
    skua_duplex_future *self = skua__container(future, skua_duplex_future, future);

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return self->len == 0 ? 0 : duplex_try(self, waker);
    if (skua__waiter_again(&self->waiter, &duplex_pair(self->end)->lock, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    return duplex_try_again(self, waker);
}

static void duplex_drop(skua_future *future)
{
    skua_duplex_future *self = skua__container(future, skua_duplex_future, future);
    struct skua__duplex_pair *pair;
    struct skua__duplex_way *way;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return;
    pair = duplex_pair(self->end);
    way = duplex_way(pair, self->end->side, self->writes);
    (void)skua__waiter_leave(&self->waiter, &pair->lock,
                             self->writes ? &way->writer : &way->reader);
    skua__lock_take(&pair->lock);
    duplex_unref(pair);
}

static const skua_future_ops duplex_read_ops = {
    .name = "duplex.read", .poll = duplex_poll, .drop = duplex_drop};
static const skua_future_ops duplex_write_ops = {
    .name = "duplex.write", .poll = duplex_poll, .drop = duplex_drop};

static skua_future *duplex_future_init(skua_duplex_future *self, skua_duplex *end, void *buf,
                                       size_t len, bool writes)
{
    self->future.ops = writes ? &duplex_write_ops : &duplex_read_ops;
    self->end = end;
    self->buf = buf;
    self->len = len;
    self->writes = writes;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

skua_future *skua_duplex_read_init(skua_duplex_future *read, skua_duplex *end, void *buf,
                                   size_t len)
{
    return duplex_future_init(read, end, buf, len, false);
}

skua_future *skua_duplex_write_init(skua_duplex_future *write, skua_duplex *end, const void *buf,
                                    size_t len)
{
    return duplex_future_init(write, end, (void *)(uintptr_t)buf, len, true);
}

/* ---- direct calls ---------------------------------------------------------------------------- */

static ssize_t duplex_call(skua_duplex *end, void *buf, size_t len, bool writes, int64_t deadline)
{
    skua_duplex_future self;
    int64_t n = skua__task_leaf();

    if (n != 0)
        return (ssize_t)n;
    (void)duplex_future_init(&self, end, buf, len, writes);
    n = len == 0 ? 0 : duplex_try(&self, NULL);
    return (ssize_t)(n == -EAGAIN ? skua_await_until(&self.future, deadline) : n);
}

ssize_t skua_duplex_read_until(skua_duplex *end, void *buf, size_t len, int64_t deadline)
{
    return duplex_call(end, buf, len, false, deadline);
}

ssize_t skua_duplex_read(skua_duplex *end, void *buf, size_t len)
{
    return skua_duplex_read_until(end, buf, len, SKUA_FOREVER);
}

ssize_t skua_duplex_write_until(skua_duplex *end, const void *buf, size_t len, int64_t deadline)
{
    return duplex_call(end, (void *)(uintptr_t)buf, len, true, deadline);
}

ssize_t skua_duplex_write(skua_duplex *end, const void *buf, size_t len)
{
    return skua_duplex_write_until(end, buf, len, SKUA_FOREVER);
}

/* ---- the pair -------------------------------------------------------------------------------- */

int skua_duplex_new(skua_duplex **a, skua_duplex **b, size_t capacity)
{
    struct skua__duplex_pair *pair;

    if (capacity == 0 || capacity > SIZE_MAX / 4)
        return -EINVAL;
    pair = skua__os_alloc(sizeof *pair + 2 * capacity);
    if (pair == NULL)
        return -ENOMEM;
    pair->end[1].side = 1;
    pair->refs = 2;
    pair->capacity = capacity;
    pair->way[0].buf = pair->bytes;
    pair->way[1].buf = pair->bytes + capacity;
    *a = &pair->end[0];
    *b = &pair->end[1];
    return 0;
}

int skua_duplex_shutdown(skua_duplex *end)
{
    struct skua__duplex_pair *pair = duplex_pair(end);
    struct skua__duplex_way *way = duplex_way(pair, end->side, true);
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&pair->lock);
    way->ended = true;
    duplex_grant(&way->reader, &chain);
    duplex_grant(&way->writer, &chain);
    skua__lock_drop(&pair->lock);
    skua__chain_wake(&chain);
    return 0;
}

void skua_duplex_close(skua_duplex *end)
{
    struct skua__duplex_pair *pair;
    struct skua__chain chain = {NULL, NULL};

    if (end == NULL)
        return;
    pair = duplex_pair(end);
    skua__lock_take(&pair->lock);
    end->closed = 1;
    pair->way[end->side].ended = true;
    for (unsigned i = 0; i < 2; i++) {
        duplex_grant(&pair->way[i].reader, &chain);
        duplex_grant(&pair->way[i].writer, &chain);
    }
    duplex_unref(pair);
    skua__chain_wake(&chain);
}

/* ---- as a stream of bytes -------------------------------------------------------------------- */

static ssize_t duplex_io_read(void *object, void *buf, size_t len, int64_t deadline)
{
    return skua_duplex_read_until(object, buf, len, deadline);
}

static ssize_t duplex_io_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    return skua_duplex_write_until(object, buf, len, deadline);
}

static int duplex_io_shutdown(void *object)
{
    return skua_duplex_shutdown(object);
}

static const skua_io_ops duplex_io_ops = {.name = "duplex",
                                          .read = duplex_io_read,
                                          .write = duplex_io_write,
                                          .shutdown = duplex_io_shutdown};

skua_io skua_duplex_io(skua_duplex *end)
{
    return (skua_io){.ops = &duplex_io_ops, .object = end};
}

#undef DUPLEX_PIECE
