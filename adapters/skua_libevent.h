/* skua_libevent.h - a Skua runtime inside a libevent loop, and such a loop inside a runtime.
 *
 *     skua_libevent guest;
 *
 *     skua_libevent_start(&guest, base, runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     event_base_dispatch(base);                    // ends after skua_libevent_stop
 *
 * Everything there is called on the loop's thread. The other way round, in a fiber of any runtime:
 *
 *     rc = skua_libevent_run(base, SKUA_FOREVER);   // as event_base_dispatch, and other
 *                                                      // tasks run, too
 *
 * For your own program: copy it, or include it (with skua_foreign.h).
 */
#ifndef SKUA_LIBEVENT_H
#define SKUA_LIBEVENT_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include <skua/skua.h>

#include "skua_foreign.h"

/* ---- a runtime inside a loop ----------------------------------------------------------------- */

typedef struct skua_libevent {
    skua_runtime *runtime;
    struct event *event; /* the runtime's descriptor, with the next timer as its time-out */
} skua_libevent;

static inline void skua_libevent_turn(evutil_socket_t fd, short what, void *arg)
{
    skua_libevent *self = (skua_libevent *)arg;
    int64_t next = skua_runtime_turn(self->runtime);
    int64_t left = next == SKUA_FOREVER ? SKUA_FOREVER : next - skua_now();
    struct timeval wait;

    (void)fd;
    (void)what;
    if (self->event == NULL)
        return; /* stopped by a task */
    left = left < 0 ? 0 : left;
    wait.tv_sec = (long)(left / SKUA_SECOND);
    wait.tv_usec = (long)((left % SKUA_SECOND + 999) / SKUA_MICROSECOND);
    event_add(self->event, left == SKUA_FOREVER ? NULL : &wait);
}

/* 0; the runtime's error; -ENOMEM. */
static inline int skua_libevent_start(skua_libevent *self, struct event_base *base,
                                      skua_runtime *runtime)
{
    static const struct timeval at_once = {0, 0};
    int fd = skua_runtime_fd(runtime);

    if (fd < 0)
        return fd;
    self->runtime = runtime;
    self->event = event_new(base, fd, EV_READ, skua_libevent_turn, self);
    if (self->event == NULL || event_add(self->event, &at_once) != 0) /* what was spawned before */
        return -12;                                                   /* -ENOMEM */
    return 0;
}

static inline void skua_libevent_stop(skua_libevent *self)
{
    event_free(self->event);
    self->event = NULL;
}

/* ---- a loop inside a runtime ----------------------------------------------------------------- */

/* What a timer is late at least, when the turn before did not see that it was due: libevent's clock
 * is a coarse one. */
#define SKUA_LIBEVENT_LATE SKUA_MILLISECOND

/* What the events of a base wait for. */
typedef struct skua_libevent_view {
    skua_foreign set;
    int64_t deadline; /* of the next timer; SKUA_FOREVER */
    int error;
} skua_libevent_view;

/* One event that is pending, libevent's own ones among them (signals). The base is locked:
 * so the event is looked at, and not asked. Timers count on the monotonic clock; the upper bits of
 * their microseconds are libevent's own. */
static inline int skua_libevent_see(const struct event_base *base, const struct event *event,
                                    void *arg)
{
    skua_libevent_view *view = (skua_libevent_view *)arg;
    short what = event_get_events(event);
    uint32_t events = 0;
    int64_t due;

    (void)base;
    if (event->ev_evcallback.evcb_flags & EVLIST_INSERTED) {
        events |= what & EV_READ ? (uint32_t)EPOLLIN : 0;
        events |= what & EV_WRITE ? (uint32_t)EPOLLOUT : 0;
        events |= what & EV_CLOSED ? (uint32_t)EPOLLRDHUP : 0;
    }
    if (events != 0)
        view->error = skua_foreign_want(&view->set, event_get_fd(event),
                                        events | (what & EV_ET ? (uint32_t)EPOLLET : 0));
    if (event->ev_evcallback.evcb_flags & EVLIST_TIMEOUT) {
        due = event->ev_timeout.tv_sec * SKUA_SECOND +
              (event->ev_timeout.tv_usec & 0xfffff) * SKUA_MICROSECOND;
        view->deadline = due < view->deadline ? due : view->deadline;
    }
    return view->error;
}

/* Waits for what the events wait for: 0 or an error. */
static inline int skua_libevent_wait(skua_libevent_view *view, struct event_base *base,
                                     int64_t pause)
{
    int64_t now = skua_now();
    int64_t soon = now + SKUA_LIBEVENT_LATE;

    view->deadline = pause < SKUA_FOREVER - now ? now + pause : SKUA_FOREVER;
    view->error = 0;
    (void)event_base_foreach_event(base, skua_libevent_see, view);
    if (view->error != 0)
        return view->error;
    if (view->deadline < soon)
        view->deadline = soon;
    if (event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) > 0)
        view->deadline = 0;
    return skua_foreign_wait(&view->set, view->deadline);
}

/* Runs a loop in the calling fiber, as event_base_dispatch does: until no event is pending, or
 * event_base_loopbreak or _loopexit. Meanwhile the other tasks of the worker run.
 *
 * libevent keeps to itself the descriptor that stands for all of its events. So they are asked one
 * by one in each turn, and each descriptor costs a system call a turn: good for the loop of a
 * library that has a few dozen; a server of thousands had better have a thread of its own, or make
 * the runtime its guest.
 *
 * Callbacks run on the fiber's stack (SKUA_STACK_LARGE, if they need it), and may do what a fiber
 * may; one that waits holds the loop up, and nobody else. Descriptors, signals and timers wake it.
 * What tasks and threads do to the loop from outside (event_add, event_active, loopexit) does not:
 * libevent tells of that only while it waits by itself. It is seen when something else has woken
 * the fiber, or after `pause`; or wake it with an event of a pipe or an eventfd. A loopbreak by
 * another thread may be lost, since each turn begins by forgetting it: use loopexit there.
 *
 * base       nobody else runs it
 * pause      ns, above 0, after which it looks again in any case; SKUA_FOREVER: never
 * Returns    0: it was stopped; 1: no event is pending; -ECANCELED, -ETIMEDOUT: the task is to end,
 *            and the loop may be run again; -EIO: libevent fails; -EMFILE, -ENOMEM …
 * Threads    fibers
 */
static inline int skua_libevent_run(struct event_base *base, int64_t pause)
{
    skua_libevent_view view;
    int rc = pause <= 0 ? -EINVAL : skua_foreign_open(&view.set);
    int over = 0;

    if (rc != 0)
        return rc;
    while (rc == 0 && !over) {
        int answer = event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);

        over = event_base_got_break(base) || event_base_got_exit(base);
        rc = answer < 0 ? -EIO : over ? 0 : answer;
        if (rc == 0 && !over)
            rc = skua_libevent_wait(&view, base, pause);
        /* The next turn would forget a break of meanwhile. */
        over = over || (rc == 0 && (event_base_got_break(base) || event_base_got_exit(base)));
    }
    skua_foreign_close(&view.set);
    return rc;
}

#undef SKUA_LIBEVENT_LATE

#endif
