/* skua_sd_event.h - a Skua runtime inside an sd-event loop.
 *
 *     skua_sd_event guest;
 *
 *     skua_sd_event_start(&guest, loop, runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     sd_event_loop(loop);                          // ends after sd_event_exit
 *     skua_sd_event_stop(&guest);
 *
 * Everything here is called on the loop's thread. For your own program: copy it, or include it.
 */
#ifndef SKUA_SD_EVENT_H
#define SKUA_SD_EVENT_H

#include <sys/epoll.h>
#include <time.h>

#include <systemd/sd-event.h>

#include <skua/skua.h>

typedef struct skua_sd_event {
    skua_runtime *runtime;
    sd_event_source *io;
    sd_event_source *timer;
} skua_sd_event;

static inline void skua_sd_event_turn(skua_sd_event *self)
{
    int64_t next = skua_runtime_turn(self->runtime);

    if (next == SKUA_FOREVER || next < 0) {
        sd_event_source_set_enabled(self->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(self->timer, (uint64_t)((next + 999) / SKUA_MICROSECOND));
    sd_event_source_set_enabled(self->timer, SD_EVENT_ONESHOT);
}

static inline int skua_sd_event_on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    skua_sd_event_turn((skua_sd_event *)arg);
    return 0;
}

static inline int skua_sd_event_on_time(sd_event_source *source, uint64_t usec, void *arg)
{
    (void)source;
    (void)usec;
    skua_sd_event_turn((skua_sd_event *)arg);
    return 0;
}

static inline void skua_sd_event_stop(skua_sd_event *self)
{
    sd_event_source_unref(self->io);
    sd_event_source_unref(self->timer);
    self->io = NULL;
    self->timer = NULL;
}

/* 0, or the runtime's or sd-event's error (-errno). */
static inline int skua_sd_event_start(skua_sd_event *self, sd_event *loop, skua_runtime *runtime)
{
    int fd = skua_runtime_fd(runtime);
    int rc;

    if (fd < 0)
        return fd;
    self->runtime = runtime;
    self->io = NULL;
    self->timer = NULL;
    rc = sd_event_add_io(loop, &self->io, fd, EPOLLIN, skua_sd_event_on_io, self);
    if (rc >= 0) /* at once: what was spawned before */
        rc = sd_event_add_time(loop, &self->timer, CLOCK_MONOTONIC, 0, 1, skua_sd_event_on_time,
                               self);
    if (rc < 0)
        skua_sd_event_stop(self);
    return rc < 0 ? rc : 0;
}

#endif
