/* skua_libevent.h - a Skua runtime inside a libevent loop.
 *
 *     skua_libevent guest;
 *
 *     skua_libevent_start(&guest, base, runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     event_base_dispatch(base);                    // ends after skua_libevent_stop
 *
 * Everything here is called on the loop's thread. For your own program: copy it, or include it.
 */
#ifndef SKUA_LIBEVENT_H
#define SKUA_LIBEVENT_H

#include <event2/event.h>

#include <skua/skua.h>

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

#endif
