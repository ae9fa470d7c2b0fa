/* test_kqueue.c - the driver over kqueue, below the runtime: what is told, refused and undone.
 *
 * That tasks get what they wait for is in the tests that run on each driver. Here: an edge is told
 * once, the doorbell is not lost, an end is a hang-up, and a direction that is refused leaves
 * nothing behind or is remembered.
 */
#include <pthread.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drive/drive_impl.h"
#include "harness.h"

/* A source over one end of a pair of sockets, and a driver. */
struct pair {
    struct skua__driver *driver;
    struct skua__source source;
    int peer;
};

static void released(struct skua__source *source)
{
    source->fd = -1;
}

static struct pair *pair_new(bool raw)
{
    struct pair *self = skua__os_alloc_aligned(sizeof *self, SKUA__CACHE_LINE);
    int fds[2];

    MUST(self != NULL);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    MUST(skua__kqueue_ops.open(&self->driver) == 0);
    MUST(skua__kqueue_ops.start(self->driver) == 0);
    skua__source_init(&self->source, fds[0], released);
    self->source.raw = raw;
    self->peer = fds[1];
    return self;
}

static void pair_free(struct pair *self)
{
    skua__source_unref(&self->source);
    if (self->peer >= 0)
        close(self->peer);
    skua__kqueue_ops.close(self->driver);
    skua__os_free(self);
}

static int watch(struct pair *self, unsigned direction)
{
    return skua__kqueue_ops.watch(self->driver, &self->source, direction);
}

static int turn(struct pair *self, int64_t timeout)
{
    return skua__kqueue_ops.park.turn(self->driver, timeout);
}

static uint32_t bits(struct pair *self)
{
    return skua__source_look(&self->source) & (SKUA__CHANGE - 1);
}

/* Nothing is known to be ready: what is then set was told. */
static void forget(struct pair *self)
{
    skua__source_drained(&self->source, SKUA__READABLE | SKUA__WRITABLE | SKUA__HANGUP,
                         skua__source_look(&self->source));
    CHECK_EQ(bits(self), 0);
}

/* Turns until nothing is told any more. */
static void settle(struct pair *self)
{
    while (turn(self, MS(2)) > 0)
        continue;
}

TEST(kqueue_tells_each_edge_once)
{
    struct pair *self = pair_new(false);

    forget(self);
    CHECK_EQ(watch(self, SKUA__READ), 0);
    settle(self);
    CHECK_EQ(bits(self), SKUA__WRITABLE);
    forget(self);
    CHECK_EQ(turn(self, 0), 0); /* it still is, which is no news */
    CHECK_EQ(watch(self, SKUA__WRITE), 0);
    CHECK_EQ(turn(self, 0), 0); /* watched already */
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(send(self->peer, "x", 1, 0), 1);
        CHECK(turn(self, SKUA_SECOND) >= 1);
        CHECK(bits(self) & SKUA__READABLE);
        CHECK(!(bits(self) & SKUA__HANGUP));
        settle(self);
        forget(self);
        CHECK_EQ(turn(self, 0), 0); /* nobody read it: no news, either */
    }
    pair_free(self);
}

TEST(kqueue_tells_an_end_as_a_hang_up)
{
    for (int how = 0; how < 2; how++) {
        struct pair *self = pair_new(false);

        CHECK_EQ(watch(self, SKUA__WRITE), 0);
        settle(self);
        forget(self);
        CHECK_EQ(send(self->peer, "x", 1, 0), 1); /* the end comes with bytes in front of it */
        if (how == 0) {
            CHECK_EQ(shutdown(self->peer, SHUT_WR), 0);
        } else {
            close(self->peer);
            self->peer = -1;
        }
        CHECK(turn(self, SKUA_SECOND) >= 1);
        CHECK((bits(self) & SKUA__READABLE) && (bits(self) & SKUA__HANGUP));
        pair_free(self);
    }
}

static void *rings(void *arg)
{
    struct pair *self = arg;

    test_thread_sleep(MS(5));
    skua__kqueue_ops.park.unpark(self->driver);
    return NULL;
}

TEST(kqueue_doorbell_ends_a_wait_and_is_not_lost)
{
    struct pair *self = pair_new(false);
    pthread_t thread;
    int64_t begin = skua_now();

    for (int i = 0; i < 3; i++)
        skua__kqueue_ops.park.unpark(self->driver);
    CHECK_EQ(turn(self, INT64_MAX), 0); /* rung before: it ends at once, and tells nobody */
    MUST(pthread_create(&thread, NULL, rings, self) == 0);
    CHECK_EQ(turn(self, INT64_MAX), 0);
    pthread_join(thread, NULL);
    CHECK(skua_now() - begin < 5 * SKUA_SECOND);
    settle(self);
    begin = skua_now();
    CHECK_EQ(turn(self, MS(3) + 1), 0); /* and it does not ring on */
    CHECK(skua_now() - begin >= MS(3));
    pair_free(self);
}

/* One direction is refused, of the two that are added: writing is the first. */
static int watch_refused(struct pair *self, unsigned direction, unsigned refused, int error)
{
    int rc;

    forget(self);
    skua__fault_arm(SKUA__FAULT_SYSCALL, refused == SKUA__WRITE ? 1 : 2, 1, error);
    rc = watch(self, direction);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    return rc;
}

TEST(kqueue_undoes_one_direction_when_the_other_is_refused)
{
    for (unsigned refused = 0; refused < 2; refused++)
        for (unsigned direction = 0; direction < 2; direction++)
            for (int raw = 0; raw < 2; raw++) {
                struct pair *self = pair_new(raw != 0);

                CHECK_EQ(watch_refused(self, direction, refused, ENOMEM), -ENOMEM);
                CHECK(skua__load_seq(&self->source.driver) == NULL);
                /* Who waits for the other is to try again. */
                CHECK_EQ(bits(self), SKUA__READABLE | SKUA__WRITABLE);
                CHECK_EQ(send(self->peer, "x", 1, 0), 1);
                CHECK_EQ(turn(self, MS(2)), 0); /* nothing is watched */
                CHECK_EQ(watch(self, direction), 0);
                forget(self);
                CHECK(turn(self, SKUA_SECOND) >= 1);
                pair_free(self);
            }
}

TEST(kqueue_remembers_what_a_one_way_descriptor_refuses)
{
    for (unsigned refused = 0; refused < 2; refused++) {
        struct pair *self = pair_new(true);
        unsigned other = 1 - refused;

        CHECK_EQ(watch_refused(self, other, refused, EINVAL), 0);
        CHECK_EQ(watch(self, other), 0);
        CHECK_EQ(watch(self, refused), -EINVAL);
        /* Who came in between and was told "watched" tries again. */
        CHECK_EQ(bits(self), refused == SKUA__READ ? SKUA__READABLE : SKUA__WRITABLE);
        forget(self);
        CHECK_EQ(send(self->peer, "x", 1, 0), 1);
        settle(self);
        CHECK_EQ(bits(self), other == SKUA__READ ? SKUA__READABLE : SKUA__WRITABLE);
        pair_free(self);
        /* The one that is asked for must not be refused; and of a socket none. */
        self = pair_new(true);
        CHECK_EQ(watch_refused(self, refused, refused, EINVAL), -EINVAL);
        CHECK(skua__load_seq(&self->source.driver) == NULL);
        pair_free(self);
        self = pair_new(false);
        CHECK_EQ(watch_refused(self, other, refused, EINVAL), -EINVAL);
        CHECK(skua__load_seq(&self->source.driver) == NULL);
        pair_free(self);
    }
}

/* A socket may be waited for in several runtimes, and on several drivers. */
TEST(kqueue_leaves_the_polls_of_rings_alone)
{
    struct pair *self = pair_new(false);

    skua__store_seq(&self->source.polling[SKUA__READ], 1);
    CHECK_EQ(watch(self, SKUA__READ), 0);
    CHECK_EQ(watch(self, SKUA__READ), 0);
    CHECK_EQ(skua__load_seq(&self->source.polling[SKUA__READ]), 1);
    skua__store_seq(&self->source.polling[SKUA__READ], 0);
    pair_free(self);
}

TEST(kqueue_tells_nothing_of_what_was_closed)
{
    struct pair *self = pair_new(false);
    int fds[2];

    CHECK_EQ(watch(self, SKUA__READ), 0);
    settle(self);
    skua__source_ref(&self->source); /* the slot stays; its descriptor is given away */
    CHECK_EQ(skua__source_take(&self->source), -EBUSY);
    skua__source_unref(&self->source);
    fds[0] = skua__source_take(&self->source);
    MUST(fds[0] >= 0);
    CHECK_EQ(send(self->peer, "x", 1, 0), 1);
    CHECK_EQ(turn(self, MS(2)), 0);
    fds[1] = dup(self->peer);
    skua__source_init(&self->source, fds[0], released); /* the number comes again */
    CHECK_EQ(watch(self, SKUA__READ), 0);
    forget(self);
    CHECK(turn(self, SKUA_SECOND) >= 1);
    CHECK(bits(self) & SKUA__READABLE);
    close(fds[1]);
    pair_free(self);
}

TEST(kqueue_refuses_what_is_no_descriptor)
{
    struct pair *self = pair_new(false);
    int errors[2] = {0, 0};
    int kq = skua__os_kqueue_open();

    MUST(kq >= 0);
    skua__os_kqueue_add(kq, 100000, NULL, errors);
    CHECK(errors[SKUA__READ] < 0);
    CHECK(errors[SKUA__WRITE] < 0);
    skua__os_kqueue_remove(kq, 100000);
    CHECK_EQ(skua__os_close(kq), 0);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EMFILE);
    CHECK_EQ(skua__os_kqueue_open(), -EMFILE);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
#ifdef EVFILT_LIBKQUEUE
    CHECK_EQ(skua__kqueue_ops.descriptor(self->driver), -ENOSYS);
#else
    CHECK(skua__kqueue_ops.descriptor(self->driver) >= 0);
#endif
    pair_free(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kqueue_tells_each_edge_once),
        cmocka_unit_test(kqueue_tells_an_end_as_a_hang_up),
        cmocka_unit_test(kqueue_doorbell_ends_a_wait_and_is_not_lost),
        cmocka_unit_test(kqueue_undoes_one_direction_when_the_other_is_refused),
        cmocka_unit_test(kqueue_remembers_what_a_one_way_descriptor_refuses),
        cmocka_unit_test(kqueue_leaves_the_polls_of_rings_alone),
        cmocka_unit_test(kqueue_tells_nothing_of_what_was_closed),
        cmocka_unit_test(kqueue_refuses_what_is_no_descriptor),
    };

    return TEST_MAIN(tests);
}
