/* test_model_source.c - drive_source.c: whoever waits for a descriptor is woken, and only while
 * it is there.
 *
 * The reader does what a leaf future of net/ does: try, tell that it would block, leave the waker,
 * sleep. The kernel is a word: how much there is to read, and whether somebody watches. A wake
 * that comes when its waiter is gone, or is not over by then, fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model_atomic.h"
#include "model_stand.h"

#include "drive/drive_source.c"

#define READ_BITS (SKUA__READABLE | SKUA__HANGUP)
#define NEVER_SLEPT 0x7fff /* an answer: gave up instead of sleeping */

/* Stands for a task: its address is the waker. */
struct waiter {
    struct model_bell bell;
    int refs;
    bool gone;
    int answer; /* a count, or an error */
};

static struct skua__source source;
static struct skua__driver driver;
static struct skua__driver heir;
static struct skua__thread thread;
static struct waiter waiters[2];
static struct model_bell events; /* epoll: something has happened */
static _Atomic uint32_t arrived; /* the kernel: 2 a byte, and 1: watched */
static _Atomic uint32_t lent;    /* io_uring: a receive was started */
static struct model_bell shut;   /* a plain thread's poll(2): the socket is shut down */
static int shutdowns;
static int closes;
static int releases;

/* ---- wakers ---------------------------------------------------------------------------------- */

static struct waiter *waiter_of(skua_waker *waker)
{
    return (struct waiter *)(void *)waker;
}

static skua_waker *waker_of(struct waiter *waiter)
{
    return (skua_waker *)(void *)waiter;
}

void skua_waker_wake(skua_waker *waker)
{
    model_check(!waiter_of(waker)->gone);
    model_ring(&waiter_of(waker)->bell);
    /* A wake goes on after the task has begun to run. */
    model_check(!waiter_of(waker)->gone);
    model_use(waker);
}

MODEL_UNSEEN skua_waker *skua_waker_ref(skua_waker *waker)
{
    waiter_of(waker)->refs++;
    return waker;
}

MODEL_UNSEEN void skua_waker_unref(skua_waker *waker)
{
    model_check(!waiter_of(waker)->gone);
    model_check(waiter_of(waker)->refs-- > 0);
}

static void waiter_ends(struct waiter *self, int answer)
{
    model_check(self->refs == 0);
    model_use(self); /* all wakes happen before it goes */
    self->answer = answer;
    self->gone = true;
}

/* ---- the driver and the kernel -----------------------------------------------------------------
 */

struct skua__thread *skua__thread_self(void)
{
    return &thread;
}

/* As epoll: what is there already is an event, too. */
static int watch(struct skua__driver *self, struct skua__source *it, unsigned direction)
{
    (void)direction;
    if (skua__source_enlist(it, self) && skua__or_acq_rel(&arrived, 1) >= 2)
        model_ring(&events);
    return 0;
}

/* A system call on the driver's set: it is made without the lock. */
static void unwatch(struct skua__source *it)
{
    struct skua__driver *its = it->driver;

    model_point();
    model_check(its->ops != NULL);
}

static const struct skua__driver_ops ops = {.watch = watch, .unwatch = unwatch};

static void arrive(void)
{
    if (skua__add_acq_rel(&arrived, 2) & 1)
        model_ring(&events);
}

/* The kernel knows its own buffers: a read-modify-write sees the newest. */
static int receive(void)
{
    uint32_t now = skua__or_acq_rel(&arrived, 0);

    if (now < 2)
        return -EAGAIN;
    skua__sub_acq_rel(&arrived, 2);
    return 1;
}

void skua__os_lock_over_fork(struct skua__lock *lock)
{
    (void)lock; /* nobody forks */
}

int skua__os_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    (void)before;
    (void)parent;
    (void)child;
    model_fail(__func__);
    return 0;
}

int skua__os_shutdown(int fd, int how)
{
    (void)fd;
    (void)how;
    shutdowns++;
    model_ring(&shut);
    return 0;
}

int skua__os_close(int fd)
{
    (void)fd;
    closes++;
    return 0;
}

static void release(struct skua__source *it)
{
    model_use(it);
    model_check(it->driver == NULL && !skua__node_linked(&it->watched));
    releases++;
}

/* The socket is empty, but nobody knows. */
static void begin(void)
{
    memset(waiters, 0, sizeof waiters);
    memset(&thread, 0, sizeof thread);
    events = (struct model_bell){0};
    shut = (struct model_bell){0};
    skua__store_relaxed(&arrived, 0);
    skua__store_relaxed(&lent, 0);
    shutdowns = closes = releases = 0;
    source_lock = (struct skua__lock){0};
    memset(&driver, 0, sizeof driver);
    driver.ops = &ops;
    skua__list_init(&driver.sources);
    thread.driver = &driver;
    skua__source_init(&source, 3, release);
}

/* The reader knows that it is empty, and the driver watches it. */
static void begin_watched(void)
{
    begin();
    skua__store_relaxed(&source.ready, 0);
    skua__source_enlist(&source, &driver);
    skua__store_relaxed(&arrived, 1);
}

/* ---- readers --------------------------------------------------------------------------------- */

static int try(void)
{
    uint32_t seen = skua__source_look(&source);
    int n;

    if (seen & SKUA__CLOSED_READ)
        return SKUA_ECLOSED;
    if (!(seen & READ_BITS))
        return -EAGAIN;
    n = receive();
    if (n == -EAGAIN)
        skua__source_drained(&source, READ_BITS, seen);
    return n;
}

/* One read; with `patient` false it gives up where it would sleep. */
static int read_one(struct waiter *self, bool patient)
{
    bool left = false;
    int rc;

    for (;;) {
        rc = try();
        if (rc == -EAGAIN)
            rc = skua__source_poll(&source, SKUA__READ, waker_of(self));
        else
            break;
        if (rc < 0)
            break;
        left |= rc == 0; /* also when it looks again: the place is still its own */
        if (rc == 0 && !patient) {
            rc = NEVER_SLEPT;
            break;
        }
        if (rc == 0)
            model_sleep(&self->bell);
    }
    if (left)
        skua__source_forget(&source, SKUA__READ, waker_of(self));
    return rc;
}

static void reader(void)
{
    waiter_ends(&waiters[0], read_one(&waiters[0], true));
}

static void reader_of_two(void)
{
    int n = read_one(&waiters[0], true);

    if (n == 1)
        n += read_one(&waiters[0], true);
    waiter_ends(&waiters[0], n);
}

static void impatient(void)
{
    waiter_ends(&waiters[1], read_one(&waiters[1], false));
}

static void second_reader(void)
{
    waiter_ends(&waiters[1], read_one(&waiters[1], true));
}

/* ---- others ---------------------------------------------------------------------------------- */

static void driver_turns(void)
{
    for (;;) {
        model_sleep(&events);
        skua__source_tell(&source, SKUA__READABLE);
    }
}

static void sender(void)
{
    arrive();
}

static void sender_of_two(void)
{
    arrive();
    arrive();
}

/* The driver's thread itself sends: one thread less. */
static void send_and_tell(void)
{
    skua__add_acq_rel(&arrived, 2);
    skua__source_tell(&source, SKUA__READABLE);
}

static void send_and_tell_twice(void)
{
    send_and_tell();
    send_and_tell();
}

static void closer(void)
{
    model_check(skua__source_close(&source, SKUA__CLOSED));
}

static void end_read_one(void)
{
    model_check(waiters[0].gone && waiters[0].answer == 1);
}

static void end_read_two(void)
{
    model_check(waiters[0].gone && waiters[0].answer == 2);
}

/* ---- tell and poll -----------------------------------------------------------------------------
 */

static void test_tell(void **state)
{
    struct model_case tell = {.name = "a reader, a sender, a driver",
                              .begin = begin,
                              .thread = {reader, driver_turns, sender},
                              .end = end_read_one,
                              .sleep_ends = true};

    (void)state;
    model_pass(&tell);
    tell.name = "a reader of two, a sender, a driver";
    tell.thread[0] = reader_of_two;
    tell.thread[2] = sender_of_two;
    tell.end = end_read_two;
    tell.preemptions = 3;
    tell.stale = 2;
    model_pass(&tell);
}

static void test_tell_twice(void **state)
{
    struct model_case twice = {.name = "a reader of two, tells in a row",
                               .begin = begin_watched,
                               .thread = {reader_of_two, send_and_tell_twice},
                               .end = end_read_two,
                               .sleep_ends = true};

    (void)state;
    model_pass(&twice);
    twice.name = "a reader of two, tells at a time";
    twice.thread[1] = twice.thread[2] = send_and_tell;
    twice.preemptions = 3;
    twice.stale = 2;
    model_pass(&twice);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void end_closed(void)
{
    model_check(waiters[0].gone);
    model_check(waiters[0].answer == 1 || waiters[0].answer == SKUA_ECLOSED);
    model_check(skua__load_relaxed(&source.ready) & SKUA__CLOSED_READ);
}

static void test_close(void **state)
{
    struct model_case close = {.name = "a reader, a closer",
                               .begin = begin,
                               .thread = {reader, closer},
                               .end = end_closed,
                               .sleep_ends = true};

    (void)state;
    model_pass(&close);
    close.name = "a reader, a sender, a closer";
    close.begin = begin_watched;
    close.thread[2] = send_and_tell;
    close.preemptions = 3;
    close.stale = 2;
    model_pass(&close);
}

/* As tcp_lend. */
static void lender(void)
{
    if (skua__source_fly(&source, SKUA__READ))
        skua__store_relaxed(&lent, 1);
}

static void end_lent(void)
{
    model_check(skua__load_relaxed(&lent) == 0 || shutdowns == 1);
}

/* As skua__tcp_await on a plain thread, with nothing to read: two polls, should the first end. */
static void thread_waits(void)
{
    if (!skua__source_fly(&source, SKUA__READ)) {
        waiter_ends(&waiters[0], SKUA_ECLOSED);
        return;
    }
    while (!(skua__source_look(&source) & SKUA__CLOSED_READ))
        model_sleep(&shut);
    skua__source_land(&source);
    waiter_ends(&waiters[0], SKUA_ECLOSED);
}

static void comes_and_goes(void)
{
    if (skua__source_fly(&source, SKUA__WRITE))
        skua__source_land(&source);
}

static void end_thread(void)
{
    model_check(waiters[0].gone && skua__load_relaxed(&source.in_flight) == 0);
}

static void test_close_in_flight(void **state)
{
    struct model_case flight = {.name = "a receive in flight, a closer",
                                .begin = begin,
                                .thread = {lender, closer},
                                .end = end_lent};

    (void)state;
    model_pass(&flight);
    flight.name = "a plain thread in poll(2), a closer";
    flight.thread[0] = thread_waits;
    flight.end = end_thread;
    model_pass(&flight);
    flight.name = "a plain thread in poll(2), another one that leaves, a closer";
    flight.thread[2] = comes_and_goes;
    model_pass(&flight);
}

/* ---- forget ---------------------------------------------------------------------------------- */

static void end_first_read(void)
{
    model_check(waiters[1].gone);
    model_check(waiters[1].answer == 1 || waiters[1].answer == -EBUSY ||
                waiters[1].answer == NEVER_SLEPT);
    model_check(waiters[0].gone);
    model_check(waiters[0].answer == 1 || waiters[0].answer == -EBUSY);
}

static void end_forgotten(void)
{
    model_check(waiters[1].gone && waiters[1].refs == 0);
}

static void test_forget(void **state)
{
    struct model_case forget = {.name = "one gives up, a sender",
                                .begin = begin_watched,
                                .thread = {impatient, send_and_tell},
                                .end = end_forgotten};

    (void)state;
    model_pass(&forget);
    forget.name = "one gives up, two tell";
    forget.thread[2] = send_and_tell;
    model_pass(&forget);
    forget.name = "one gives up, another reads, a sender of two";
    forget.thread[1] = send_and_tell_twice;
    forget.thread[2] = reader;
    forget.end = end_first_read;
    forget.preemptions = 3;
    forget.stale = 2;
    forget.sleep_ends = true;
    model_pass(&forget);
}

/* Two in one direction: one is refused, or both come through one after the other. */
static void test_two_readers(void **state)
{
    struct model_case two = {.name = "two readers, a sender of two",
                             .begin = begin_watched,
                             .thread = {reader, send_and_tell_twice, second_reader},
                             .end = end_first_read,
                             .preemptions = 3,
                             .stale = 2,
                             .sleep_ends = true};

    (void)state;
    model_pass(&two);
}

/* ---- references ------------------------------------------------------------------------------ */

static void owner_lets_go(void)
{
    model_use(&source);
    skua__source_unref(&source);
}

static void other_holds(void)
{
    if (!skua__source_ref_alive(&source))
        return;
    model_check(releases == 0);
    skua__source_unref(&source);
}

static void driver_ends(void)
{
    skua__source_orphan(&driver);
    model_free(&driver, sizeof driver);
}

/* The reader is of another runtime, whose driver watches from now on. */
static void begin_orphaned(void)
{
    begin_watched();
    skua__list_init(&heir.sources);
    heir.ops = &ops;
    thread.driver = &heir;
}

static void end_inherited(void)
{
    model_check(!waiters[0].gone && source.driver == &heir);
}

static void test_driver_ends(void **state)
{
    struct model_case end = {.name = "a reader, the end of the driver that watches",
                             .begin = begin_orphaned,
                             .thread = {reader, driver_ends},
                             .end = end_inherited,
                             .sleep_ends = true};

    (void)state;
    model_pass(&end);
}

static void end_released(void)
{
    model_check(releases == 1 && closes == 1 && !skua__node_linked(&source.watched));
}

static void test_release(void **state)
{
    struct model_case last = {.name = "the last reference, a late one",
                              .begin = begin_watched,
                              .thread = {owner_lets_go, other_holds},
                              .end = end_released};

    (void)state;
    model_pass(&last);
    last.name = "the last reference, the driver's end";
    last.thread[1] = driver_ends;
    model_pass(&last);
    last.name = "the last reference, a late one, the driver's end";
    last.thread[2] = other_holds;
    last.preemptions = 3;
    last.stale = 2;
    model_pass(&last);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__source_ref_alive: cas &source->refs: acquire", "a slot's next life is in no case"},
    {"skua__source_ref_alive: cas &source->refs: release",
     "a reference more: nothing is handed over"},
    {"skua__source_look: load &source->ready: acquire",
     "what is looked for is the kernel's, which has an order of its own"},
    {"skua__source_poll: load &source->ready: acquire",
     "what is looked for is the kernel's, which has an order of its own"},
    {"source_wake: cas &source->waiter[direction]: seq", "the look before it is the handshake's"},
    {"skua__source_forget: cas &source->waiter[direction]: seq",
     "the look before it is the handshake's"},
    {"skua__source_forget: load &source->waiter[direction]: seq",
     "its own waker, or one that came later"},
    {"skua__source_drained: cas &source->ready: acquire",
     "a bit is taken back: nothing is handed over, and the next look acquires"},
    {"skua__source_drained: cas &source->ready: release",
     "a bit is taken back: nothing is handed over, and the next look acquires"},
    {"source_wake: cas &source->waiter[direction]: seq and release",
     "the place is free only behind the store of NULL, which releases"},
    {"skua__source_forget: cas &source->waiter[direction]: seq and release",
     "an empty place tells nothing"},
    {"source_unwatch: add &driver->leaving: atomic", "there is one source"},
    {"source_unwatch: sub &driver->leaving: atomic", "there is one source"},
    {"source_unwatch: sub &driver->leaving: acquire", "nothing comes after it"},
    {"skua__source_enlist: load &source->driver: order",
     "the look at ready before it is sequential, and meets the tell of the driver's end"},
    {"skua__source_enlist: store &source->driver: order",
     "the look at ready before it is sequential, and meets the tell of the driver's end"},
    {"skua__source_orphan: store &source->driver: order",
     "the look at ready before it is sequential, and meets the tell of the driver's end"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("drive_impl.h drive_source.c", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tell),        cmocka_unit_test(test_tell_twice),
        cmocka_unit_test(test_close),       cmocka_unit_test(test_close_in_flight),
        cmocka_unit_test(test_forget),      cmocka_unit_test(test_two_readers),
        cmocka_unit_test(test_driver_ends), cmocka_unit_test(test_release),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
