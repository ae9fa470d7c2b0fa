/* skua_uv.h - a Skua runtime inside a libuv loop, and a libuv loop inside a Skua runtime.
 *
 *     skua_uv guest;
 *
 *     skua_uv_start(&guest, uv_default_loop(), runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);           // ends after skua_uv_stop
 *
 * Everything here is called on the loop's thread. For your own program: copy it, or include it.
 */
#ifndef SKUA_UV_H
#define SKUA_UV_H

#include <uv.h>

#include <skua/skua.h>

typedef struct skua_uv {
    skua_runtime *runtime;
    uv_poll_t poll;
    uv_timer_t timer;
    int closing; /* handles that are not closed yet */
} skua_uv;

static inline void skua_uv_turn(skua_uv *self);

static inline void skua_uv_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    skua_uv_turn((skua_uv *)poll->data);
}

static inline void skua_uv_on_timer(uv_timer_t *timer)
{
    skua_uv_turn((skua_uv *)timer->data);
}

/* Runs the runtime, and has the loop come back when it is time. libuv counts milliseconds. */
static inline void skua_uv_turn(skua_uv *self)
{
    int64_t next = skua_runtime_turn(self->runtime);
    int64_t left = next == SKUA_FOREVER ? SKUA_FOREVER : next - skua_now();

    if (left == SKUA_FOREVER || next < 0)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, skua_uv_on_timer,
                       left <= 0 ? 0 : (uint64_t)((left + 999999) / SKUA_MILLISECOND), 0);
}

/* 0, or the runtime's or libuv's error (libuv's are -errno, too). */
static inline int skua_uv_start(skua_uv *self, uv_loop_t *loop, skua_runtime *runtime)
{
    int fd = skua_runtime_fd(runtime);
    int rc;

    if (fd < 0)
        return fd;
    self->runtime = runtime;
    self->closing = 0;
    rc = uv_poll_init(loop, &self->poll, fd);
    if (rc != 0)
        return rc;
    uv_timer_init(loop, &self->timer);
    self->poll.data = self;
    self->timer.data = self;
    rc = uv_poll_start(&self->poll, UV_READABLE, skua_uv_on_poll);
    if (rc == 0)
        uv_timer_start(&self->timer, skua_uv_on_timer, 0, 0); /* what was spawned before */
    return rc;
}

static inline void skua_uv_closed(uv_handle_t *handle)
{
    ((skua_uv *)handle->data)->closing--;
}

/* The loop forgets the runtime; `self` stays until the loop has run once more. */
static inline void skua_uv_stop(skua_uv *self)
{
    self->closing = 2;
    uv_close((uv_handle_t *)&self->poll, skua_uv_closed);
    uv_close((uv_handle_t *)&self->timer, skua_uv_closed);
}

#endif
