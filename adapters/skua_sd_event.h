/* skua_sd_event.h - a Skua runtime inside an sd-event loop, and such a loop inside a runtime.
 *
 *     skua_sd_event guest;
 *
 *     skua_sd_event_start(&guest, loop, runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     sd_event_loop(loop);                          // ends after sd_event_exit
 *     skua_sd_event_stop(&guest);
 *
 * Everything there is called on the loop's thread. The other way round, in a fiber of any runtime:
 *
 *     code = skua_sd_event_run(loop);               // as sd_event_loop, and other tasks run, too
 *
 * For your own program: copy it, or include it (with skua_foreign.h).
 */
#ifndef SKUA_SD_EVENT_H
#define SKUA_SD_EVENT_H

#include <sys/epoll.h>
#include <time.h>

#include <systemd/sd-event.h>

#include <skua/skua.h>

#include "skua_foreign.h"

/* ---- a runtime inside a loop ----------------------------------------------------------------- */

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

/* ---- a loop inside a runtime ----------------------------------------------------------------- */

/* One round: 1: there is another; 0: the loop has ended; or an error. */
static inline int skua_sd_event_round(sd_event *loop, skua_fd *fd)
{
    int rc = sd_event_prepare(loop);
    int paused;

    if (rc < 0)
        return rc;
    paused = skua_foreign_pause(fd, rc == 0 ? SKUA_FOREVER : 0);
    /* Also when the task is to end: what was prepared is brought to an end. */
    if (rc == 0)
        rc = sd_event_wait(loop, 0);
    if (rc > 0)
        rc = sd_event_dispatch(loop);
    else if (rc == 0)
        rc = 1;
    return rc > 0 && paused != 0 ? paused : rc;
}

/* Runs a loop in the calling fiber, as sd_event_loop does: until sd_event_exit. Meanwhile the other
 * tasks of the worker run.
 *
 * Callbacks run on the fiber's stack (SKUA_STACK_LARGE, if they need it), and may do what a fiber
 * may; one that waits holds the loop up, and nobody else. What another task adds to the loop is
 * seen at once if it is a descriptor; a timer, a deferred call and sd_event_exit when something
 * else has woken the fiber: better done in a callback, of an eventfd, say.
 *
 * loop       nobody else runs it
 * Returns    the code of sd_event_exit; -ECANCELED, -ETIMEDOUT: the task is to end, at most one
 *            more callback has run, and the loop may be run again; -ESTALE: it has ended before;
 *            what sd-event says; -EMFILE, -ENOMEM …
 * Threads    fibers
 */
static inline int skua_sd_event_run(sd_event *loop)
{
    skua_fd *fd;
    int code = 0;
    int rc = skua_foreign_dup(&fd, sd_event_get_fd(loop));

    if (rc != 0)
        return rc;
    do {
        rc = skua_sd_event_round(loop, fd);
    } while (rc > 0);
    skua_foreign_undup(fd);
    if (rc == 0)
        rc = sd_event_get_exit_code(loop, &code);
    return rc < 0 ? rc : code;
}

#endif
