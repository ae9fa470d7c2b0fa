/* drivers: both */
/* test_wakers.c - a future that is polled with one waker, and then with another.
 *
 * Specifies rule 3 of future.h for everything that waits for the system: only the newest waker is
 * woken. The future does not find itself in its own way (-EBUSY), no reference on either waker is
 * left behind, and what was dropped wakes nobody.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "event.h"
#include "shell.h"
#include "sockets.h"

/* ---- wakers that count ----------------------------------------------------------------------- */

struct counter {
    skua_custom_waker waker;
    atomic_int wakes;
    atomic_int refs;
};

static void counter_wake(skua_custom_waker *self)
{
    atomic_fetch_add(&((struct counter *)self)->wakes, 1);
}

static void counter_ref(skua_custom_waker *self)
{
    atomic_fetch_add(&((struct counter *)self)->refs, 1);
}

static void counter_unref(skua_custom_waker *self)
{
    atomic_fetch_sub(&((struct counter *)self)->refs, 1);
}

static void counter_init(struct counter *self)
{
    self->waker = (skua_custom_waker){counter_wake, counter_ref, counter_unref};
    atomic_init(&self->wakes, 0);
    atomic_init(&self->refs, 0);
}

static skua_poll poll_for(skua_future *future, struct counter *counter)
{
    return future->ops->poll(future, skua_waker_custom(&counter->waker));
}

/* ---- what is waited for ---------------------------------------------------------------------- */

/* All that a kind of future may need. */
struct subject {
    skua_tcp *a, *b;
    skua_tcp_future tcp;
    skua_listener *listener;
    skua_accept_future accept;
    skua_tcp *accepted;
    skua_udp *accepted_udp;
    skua_udp *u, *v;
    skua_udp_future udp;
    skua_udp_message message;
    skua_address to;
    skua_unix_message with_fds;
    skua_fd *reader, *writer;
    skua_fd_future fd;
    skua_fifo_future fifo;
    skua_fs_watch *watch;
    skua_fs_event event;
    skua_process *process;
    skua_process_future process_wait;
    skua_process_status status;
    skua_signals *signals, *witness;
    skua_sync_future next;
    skua_blocking_future blocking;
    skua_file *file;
    skua_file_future file_io;
    struct test_area area;
    skua_task *occupier;
    atomic_int occupied, free;
    char address[TEST_PATH + 8]; /* or a path */
    char buf[64];
};

struct kind {
    const char *name;
    /* The future, which is to be pending. */
    skua_future *(*begin)(struct subject *);
    /* Makes it ready. */
    void (*give)(struct subject *);
    void (*end)(struct subject *);
};

/* An abstract name that nobody has or had: a ring may let go of the last one late. */
static const char *new_name(struct subject *s)
{
    static atomic_int count;

    (void)snprintf(s->address, sizeof s->address, "@skua-test-wakers-%d-%d", (int)getpid(),
                   atomic_fetch_add(&count, 1));
    return s->address;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void tcp_pair(struct subject *s)
{
    test_tcp_pair(&s->a, &s->b);
    CHECK_EQ(skua_tcp_try_read(s->a, s->buf, 1), -EAGAIN);
}

static void tcp_full(struct subject *s)
{
    test_tcp_pair(&s->a, &s->b);
    (void)test_tcp_fill(s->a, 0);
}

static skua_future *tcp_read_begin(struct subject *s)
{
    tcp_pair(s);
    return skua_tcp_read_init(&s->tcp, s->a, s->buf, 8);
}

static skua_future *tcp_readable_begin(struct subject *s)
{
    tcp_pair(s);
    return skua_tcp_readable_init(&s->tcp, s->a);
}

static skua_future *tcp_write_begin(struct subject *s)
{
    tcp_full(s);
    return skua_tcp_write_init(&s->tcp, s->a, s->buf, 8);
}

static skua_future *tcp_writable_begin(struct subject *s)
{
    tcp_full(s);
    return skua_tcp_writable_init(&s->tcp, s->a);
}

static void tcp_write_one(struct subject *s)
{
    CHECK_EQ(skua_tcp_write(s->b, "x", 1), 1);
}

static void tcp_take_all(struct subject *s)
{
    static char bytes[1 << 16];

    for (int64_t until = skua_now() + MS(50); skua_now() < until; skua_sleep(MS(1)))
        while (skua_tcp_try_read(s->b, bytes, sizeof bytes) > 0)
            continue;
}

static void tcp_end(struct subject *s)
{
    CHECK_EQ(skua_tcp_close(s->a), 0);
    CHECK_EQ(skua_tcp_close(s->b), 0);
}

static skua_future *recv_fds_begin(struct subject *s)
{
    MUST(skua_unix_pair(&s->a, &s->b) == 0);
    s->with_fds = (skua_unix_message){.buf = s->buf, .len = 8};
    return skua_unix_recv_fds_init(&s->udp, s->a, &s->with_fds);
}

static skua_future *send_fds_begin(struct subject *s)
{
    static char bytes[1 << 16];

    MUST(skua_unix_pair(&s->a, &s->b) == 0);
    while (skua_tcp_try_write(s->a, bytes, sizeof bytes) > 0)
        continue;
    s->with_fds = (skua_unix_message){.buf = s->buf, .len = 8};
    return skua_unix_send_fds_init(&s->udp, s->a, &s->with_fds);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static skua_future *accept_begin(struct subject *s)
{
    s->listener = test_listen(s->address);
    return skua_tcp_accept_init(&s->accept, s->listener, &s->accepted);
}

static void accept_give(struct subject *s)
{
    MUST(skua_tcp_connect(&s->a, s->address, NULL) == 0);
}

static skua_future *packets_begin(struct subject *s)
{
    MUST(skua_unix_seqpacket_listen(&s->listener, new_name(s), NULL) == 0);
    return skua_unix_seqpacket_accept_init(&s->accept, s->listener, &s->accepted_udp);
}

static void packets_give(struct subject *s)
{
    MUST(skua_unix_seqpacket_connect(&s->u, s->address, SKUA_FOREVER) == 0);
}

static void accept_end(struct subject *s)
{
    CHECK_EQ(skua_tcp_close(s->accepted), 0);
    CHECK_EQ(skua_udp_close(s->accepted_udp), 0);
    CHECK_EQ(skua_tcp_close(s->a), 0);
    CHECK_EQ(skua_udp_close(s->u), 0);
    CHECK_EQ(skua_listener_close(s->listener), 0);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static skua_udp *udp_pair(struct subject *s)
{
    MUST(skua_unix_datagram_pair(&s->u, &s->v) == 0);
    return s->u;
}

static skua_udp *udp_full(struct subject *s)
{
    (void)udp_pair(s);
    while (skua_udp_try_send_to(s->u, "x", 1, NULL) == 1)
        continue;
    return s->u;
}

static skua_future *udp_recv_begin(struct subject *s)
{
    return skua_udp_recv_init(&s->udp, udp_pair(s), s->buf, 8, NULL);
}

static skua_future *udp_recv_many_begin(struct subject *s)
{
    s->message = (skua_udp_message){.buf = s->buf, .len = 8};
    return skua_udp_recv_many_init(&s->udp, udp_pair(s), &s->message, 1);
}

static skua_future *udp_readable_begin(struct subject *s)
{
    CHECK_EQ(skua_udp_try_recv_from(udp_pair(s), s->buf, 8, NULL), -EAGAIN);
    return skua_udp_readable_init(&s->udp, s->u);
}

static skua_future *udp_send_begin(struct subject *s)
{
    return skua_udp_send_init(&s->udp, udp_full(s), "y", 1, NULL);
}

static skua_future *udp_writable_begin(struct subject *s)
{
    return skua_udp_writable_init(&s->udp, udp_full(s));
}

static void udp_send_one(struct subject *s)
{
    CHECK_EQ(skua_udp_send(s->v, "x", 1), 1);
}

static void udp_take_all(struct subject *s)
{
    while (skua_udp_try_recv_from(s->v, s->buf, 8, NULL) > 0)
        continue;
}

static void udp_end(struct subject *s)
{
    CHECK_EQ(skua_udp_close(s->u), 0);
    CHECK_EQ(skua_udp_close(s->v), 0);
}

/* To a name nothing tells when there is room: it asks again and again. */
static skua_future *udp_back_off_begin(struct subject *s)
{
    MUST(skua_unix_datagram_bind(&s->v, new_name(s), NULL) == 0);
    MUST(skua_unix_datagram_bind(&s->u, NULL, NULL) == 0);
    MUST(skua_udp_local_address(s->v, &s->to) == 0);
    while (skua_udp_try_send_to(s->u, "x", 1, &s->to) == 1)
        continue;
    return skua_udp_send_init(&s->udp, s->u, "y", 1, &s->to);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static skua_future *fd_read_begin(struct subject *s)
{
    MUST(skua_pipe_new(&s->reader, &s->writer, NULL) == 0);
    return skua_fd_read_init(&s->fd, s->reader, s->buf, 8);
}

static skua_future *fd_readable_begin(struct subject *s)
{
    MUST(skua_pipe_new(&s->reader, &s->writer, NULL) == 0);
    return skua_fd_readable_init(&s->fd, s->reader);
}

static skua_fd *fd_full(struct subject *s)
{
    static char bytes[1 << 16];

    MUST(skua_pipe_new(&s->reader, &s->writer, NULL) == 0);
    while (skua_fd_try_write(s->writer, bytes, sizeof bytes) > 0)
        continue;
    return s->writer;
}

static skua_future *fd_write_begin(struct subject *s)
{
    return skua_fd_write_init(&s->fd, fd_full(s), s->buf, 8);
}

static skua_future *fd_writable_begin(struct subject *s)
{
    return skua_fd_writable_init(&s->fd, fd_full(s));
}

static void fd_write_one(struct subject *s)
{
    CHECK_EQ(skua_fd_write(s->writer, "x", 1), 1);
}

static void fd_take_all(struct subject *s)
{
    static char bytes[1 << 16];

    while (skua_fd_try_read(s->reader, bytes, sizeof bytes) > 0)
        continue;
}

static void fd_end(struct subject *s)
{
    CHECK_EQ(skua_fd_close(s->reader), 0);
    CHECK_EQ(skua_fd_close(s->writer), 0);
}

static skua_future *fifo_begin(struct subject *s)
{
    test_area_open(&s->area);
    MUST(mkfifo(test_area_name(&s->area, "fifo"), 0600) == 0);
    (void)snprintf(s->address, sizeof s->address, "%s/fifo", s->area.path);
    return skua_fifo_open_init(&s->fifo, &s->writer, s->address, SKUA_FIFO_WRITE);
}

static void fifo_give(struct subject *s)
{
    MUST(skua_fifo_open(&s->reader, s->address, SKUA_FIFO_READ) == 0);
}

static void fifo_end(struct subject *s)
{
    fd_end(s);
    test_area_close(&s->area);
}

static skua_future *fs_watch_begin(struct subject *s)
{
    test_area_open(&s->area);
    MUST(skua_fs_watch_open(&s->watch) == 0);
    MUST(skua_fs_watch_add(s->watch, s->area.path, SKUA_FS_CREATE) >= 0);
    return skua_fs_watch_next_init(&s->fd, s->watch, &s->event);
}

static void fs_watch_give(struct subject *s)
{
    (void)test_area_put(&s->area, "new", "");
}

static void fs_watch_end(struct subject *s)
{
    CHECK_EQ(skua_fs_watch_close(s->watch), 0);
    test_area_close(&s->area);
}

/* ---- the system's ---------------------------------------------------------------------------- */

static skua_future *process_begin(struct subject *s)
{
    s->process = shell_start("exec sleep 60");
    return skua_process_wait_init(&s->process_wait, s->process, &s->status);
}

static void process_give(struct subject *s)
{
    CHECK_EQ(skua_process_signal(s->process, SIGKILL), 0);
}

static void process_end(struct subject *s)
{
    CHECK_EQ(skua_process_close(s->process), 0);
}

static skua_future *signals_begin(struct subject *s)
{
    static const int number = SIGUSR1;

    MUST(skua_signals_open(&s->signals, &number, 1) == 0);
    MUST(skua_signals_open(&s->witness, &number, 1) == 0);
    return skua_signals_next_init(&s->next, s->signals);
}

static void signals_give(struct subject *s)
{
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(skua_signals_next(s->witness), SIGUSR1); /* before a close lets it end the process */
}

static void signals_end(struct subject *s)
{
    skua_signals_close(s->signals);
    skua_signals_close(s->witness);
}

/* The pool has one thread: while it is occupied, jobs wait. */
static int occupies(void *arg)
{
    struct subject *s = arg;

    atomic_store(&s->occupied, 1);
    while (!atomic_load(&s->free))
        test_thread_sleep(MS(1));
    return 0;
}

static int occupier(void *arg)
{
    return skua_blocking(occupies, arg);
}

static void pool_occupy(struct subject *s)
{
    MUST(skua_spawn(NULL, occupier, s, .task = &s->occupier) == 0);
    test_yield_until(&s->occupied);
}

static void pool_free(struct subject *s)
{
    atomic_store(&s->free, 1);
}

static void pool_end(struct subject *s)
{
    pool_free(s); /* also where nothing was given */
    CHECK_EQ(skua_task_join(s->occupier, NULL), 0);
}

static void drops_nothing(void *arg)
{
    (void)arg;
}

static skua_future *blocking_begin(struct subject *s)
{
    static const skua_blocking_options options = {.size = sizeof options, .drop = drops_nothing};

    pool_occupy(s);
    return skua_blocking_init(&s->blocking, test_fiber_return, NULL, &options);
}

static void file_open(struct subject *s)
{
    test_area_open(&s->area);
    (void)snprintf(s->address, sizeof s->address, "%s/file", s->area.path);
    MUST(skua_file_open(&s->file, s->address,
                        SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)) == 0);
    pool_occupy(s);
}

static skua_future *pread_begin(struct subject *s)
{
    file_open(s);
    return skua_file_pread_init(&s->file_io, s->file, s->buf, 8, 0);
}

static skua_future *pwrite_begin(struct subject *s)
{
    file_open(s);
    return skua_file_pwrite_init(&s->file_io, s->file, s->buf, 8, 0);
}

static void file_end(struct subject *s)
{
    pool_end(s);
    CHECK_EQ(skua_file_close(s->file), 0);
    test_area_close(&s->area);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct kind kinds[] = {
    {"tcp read", tcp_read_begin, tcp_write_one, tcp_end},
    {"tcp readable", tcp_readable_begin, tcp_write_one, tcp_end},
    {"tcp write", tcp_write_begin, tcp_take_all, tcp_end},
    {"tcp writable", tcp_writable_begin, tcp_take_all, tcp_end},
    {"unix recv_fds", recv_fds_begin, tcp_write_one, tcp_end},
    {"unix send_fds", send_fds_begin, tcp_take_all, tcp_end},
    {"accept", accept_begin, accept_give, accept_end},
    {"seqpacket accept", packets_begin, packets_give, accept_end},
    {"udp recv", udp_recv_begin, udp_send_one, udp_end},
    {"udp recv_many", udp_recv_many_begin, udp_send_one, udp_end},
    {"udp readable", udp_readable_begin, udp_send_one, udp_end},
    {"udp send", udp_send_begin, udp_take_all, udp_end},
    {"udp writable", udp_writable_begin, udp_take_all, udp_end},
    {"udp send that asks again", udp_back_off_begin, udp_take_all, udp_end},
    {"fd read", fd_read_begin, fd_write_one, fd_end},
    {"fd readable", fd_readable_begin, fd_write_one, fd_end},
    {"fd write", fd_write_begin, fd_take_all, fd_end},
    {"fd writable", fd_writable_begin, fd_take_all, fd_end},
    {"fifo", fifo_begin, fifo_give, fifo_end},
    {"fs_watch", fs_watch_begin, fs_watch_give, fs_watch_end},
    {"process", process_begin, process_give, process_end},
    {"signals", signals_begin, signals_give, signals_end},
    {"blocking", blocking_begin, pool_free, pool_end},
    {"file pread", pread_begin, pool_free, file_end},
    {"file pwrite", pwrite_begin, pool_free, file_end},
};

static void wait_for(atomic_int *count)
{
    for (int64_t until = skua_now() + 4 * TEST_LATE; skua_now() < until; skua_sleep(MS(1)))
        if (atomic_load(count) > 0)
            return;
    CHECK(!"woken");
}

static void counters_idle(struct counter *first, struct counter *second)
{
    for (int i = 0; i < 1000 && atomic_load(&second->refs) != 0; i++)
        skua_sleep(MS(1)); /* whoever woke it is about to let go of it */
    CHECK_EQ(atomic_load(&first->refs), 0);
    CHECK_EQ(atomic_load(&second->refs), 0);
}

/* A future that is pending for the second waker, after the first. */
static skua_future *begin_twice(const struct kind *kind, struct subject *s, struct counter *first,
                                struct counter *second)
{
    skua_future *future;

    memset(s, 0, sizeof *s);
    counter_init(first);
    counter_init(second);
    future = kind->begin(s);
    CHECK_EQ(poll_for(future, first), SKUA_PENDING);
    CHECK_EQ(poll_for(future, second), SKUA_PENDING);
    CHECK_EQ(atomic_load(&first->refs), 0);
    return future;
}

static void newest_is_woken(const struct kind *kind)
{
    struct counter first, second;
    struct subject s;
    skua_future *future = begin_twice(kind, &s, &first, &second);
    skua_poll answer;

    kind->give(&s);
    do {
        wait_for(&second.wakes);
        atomic_store(&second.wakes, 0);
        answer = poll_for(future, &second);
    } while (answer == SKUA_PENDING && test_failures() == 0);
    CHECK(answer >= 0);
    CHECK_EQ(atomic_load(&first.wakes), 0);
    counters_idle(&first, &second);
    kind->end(&s);
}

/* Dropped, and nobody waits any more. */
static void dropped_is_not_woken(const struct kind *kind)
{
    struct counter first, second;
    struct subject s;
    skua_future *future = begin_twice(kind, &s, &first, &second);

    skua_future_drop(future);
    counters_idle(&first, &second);
    atomic_store(&second.wakes, 0); /* a wake for nothing, before */
    kind->give(&s);
    CHECK_EQ(atomic_load(&first.wakes), 0);
    CHECK_EQ(atomic_load(&second.wakes), 0);
    kind->end(&s);
}

static int each_kind(void *arg)
{
    for (size_t i = 0; i < TEST_LEN(kinds) && test_failures() == 0; i++) {
        test_variant(kinds[i].name);
        newest_is_woken(&kinds[i]);
        dropped_is_not_woken(&kinds[i]);
    }
    (void)arg;
    return 0;
}

TEST(wakers_newest_counts)
{
    test_limit(60);
    for (size_t i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[i], (skua_runtime_options){.blocking_threads = 1});

        test_run(runtime, each_kind, NULL);
        test_runtime_free(runtime);
    }
}

/* ---- a buffer that the kernel has ------------------------------------------------------------ */

/* Awaited on a fiber: polls its read for the fiber first, on io_uring lends its buffer so, and then
 * for the counter. Ready at the second poll. */
struct relay {
    skua_future future;
    skua_future *read;
    struct counter *counter;
    bool polled;
};

static skua_poll relay_poll(skua_future *future, skua_waker *waker)
{
    struct relay *self = (struct relay *)future;
    skua_waker *for_whom = self->polled ? skua_waker_custom(&self->counter->waker) : waker;
    skua_poll answer = self->read->ops->poll(self->read, for_whom);

    CHECK_EQ(answer, SKUA_PENDING);
    if (self->polled)
        return 0;
    self->polled = true;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static void relay_drop(skua_future *future)
{
    (void)future;
}

static const skua_future_ops relay_ops = {"test.relay", relay_poll, relay_drop};

enum relay_end { BYTES_COME, IT_IS_CLOSED, IT_IS_DROPPED };

static void relays(enum relay_end end)
{
    struct counter counter, other;
    struct subject s;
    struct relay relay = {.future = {&relay_ops}, .counter = &counter};
    skua_poll answer;

    memset(&s, 0, sizeof s);
    counter_init(&counter);
    counter_init(&other);
    relay.read = tcp_read_begin(&s);
    CHECK_EQ(skua_await(&relay.future), 0);
    CHECK_EQ(poll_for(relay.read, &other), SKUA_PENDING);
    CHECK_EQ(poll_for(relay.read, &counter), SKUA_PENDING);
    if (end == IT_IS_DROPPED) {
        skua_future_drop(relay.read);
        tcp_write_one(&s);
    } else {
        if (end == BYTES_COME)
            tcp_write_one(&s);
        else
            CHECK_EQ(skua_tcp_close(s.a), 0);
        do {
            wait_for(&counter.wakes);
            atomic_store(&counter.wakes, 0);
            answer = poll_for(relay.read, &counter);
        } while (answer == SKUA_PENDING && test_failures() == 0);
        CHECK_EQ(answer, end == BYTES_COME ? 1 : SKUA_ECLOSED);
    }
    CHECK_EQ(atomic_load(&other.wakes), 0);
    counters_idle(&counter, &other);
    if (end != IT_IS_CLOSED)
        CHECK_EQ(skua_tcp_close(s.a), 0);
    CHECK_EQ(skua_tcp_close(s.b), 0);
}

TEST_FIBER(wakers_of_a_read_in_flight)
{
    relays(BYTES_COME);
    relays(IT_IS_CLOSED);
    relays(IT_IS_DROPPED);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakers_newest_counts),
        cmocka_unit_test(wakers_of_a_read_in_flight),
    };

    return TEST_MAIN(tests);
}
