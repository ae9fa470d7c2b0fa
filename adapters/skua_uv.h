/* skua_uv.h - a Skua runtime inside a libuv loop, and a libuv loop inside a Skua runtime.
 *
 *     skua_uv guest;
 *
 *     skua_uv_start(&guest, uv_default_loop(), runtime);   // a current-thread runtime
 *     skua_spawn_on(runtime, serve, NULL);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);           // ends after skua_uv_stop
 *
 * Everything there is called on the loop's thread. The other way round, in a fiber of any runtime:
 *
 *     rc = skua_uv_run(loop);                              // as uv_run, and other tasks run, too
 *
 * For your own program: copy it, or include it (with skua_foreign.h).
 */
#ifndef SKUA_UV_H
#define SKUA_UV_H

#include <uv.h>

#include <skua/skua.h>

#include "skua_foreign.h"

/* ---- a runtime inside a loop ----------------------------------------------------------------- */

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

/* ---- a loop inside a runtime ----------------------------------------------------------------- */

/* An older uv_backend_timeout does not know of descriptors that epoll has not been told of yet. */
#if UV_VERSION_HEX >= 0x012c00

/* The fiber waits in a callback of the loop, just before the loop asks the system. An idle handle
 * sees to it that it asks without waiting. Neither handle keeps the loop alive. */
typedef struct skua_uv_host {
    uv_prepare_t prepare;
    uv_idle_t idle;
    skua_fd *backend;
    int open; /* handles that are not closed yet */
    int result;
} skua_uv_host;

static inline void skua_uv_host_on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static inline void skua_uv_host_closed(uv_handle_t *handle)
{
    ((skua_uv_host *)handle->data)->open--;
}

static inline void skua_uv_host_close(skua_uv_host *self)
{
    if (uv_is_closing((uv_handle_t *)&self->prepare))
        return;
    uv_close((uv_handle_t *)&self->prepare, skua_uv_host_closed);
    uv_close((uv_handle_t *)&self->idle, skua_uv_host_closed);
}

static inline void skua_uv_host_on_prepare(uv_prepare_t *prepare)
{
    skua_uv_host *self = (skua_uv_host *)prepare->data;
    uv_loop_t *loop = prepare->loop;
    int64_t deadline = SKUA_FOREVER;
    int left;

    uv_idle_stop(&self->idle); /* with it there is never time to wait */
    uv_update_time(loop);
    left = uv_backend_timeout(loop); /* 0, too, while there are descriptors to be told to epoll */
    if (left >= 0)
        deadline = left == 0 ? 0 : skua_now() + left * SKUA_MILLISECOND;
    uv_idle_start(&self->idle, skua_uv_host_on_idle);
    self->result = skua_foreign_pause(self->backend, deadline);
    if (self->result != 0) {
        uv_stop(loop);
        skua_uv_host_close(self);
    }
}

/* Runs a loop in the calling fiber, as uv_run with UV_RUN_DEFAULT does: until nothing in it is
 * alive, or uv_stop. Meanwhile the other tasks of the worker run.
 *
 * Callbacks run on the fiber's stack (SKUA_STACK_LARGE, if they need it), and may do what a fiber
 * may; one that waits holds the loop up, and nobody else. What other tasks and threads want of the
 * loop they tell by uv_async_send, as always: a timer that is started beside the fiber is seen when
 * something else has woken it. The end closes two handles, for which the loop goes round once
 * more without waiting, unless it was a cancellation.
 *
 * loop       nobody else runs it
 * Returns    0: nothing is alive in it; 1: uv_stop; -ECANCELED, -ETIMEDOUT: the task is to end,
 *            and the loop may be run again; -EMFILE, -ENOMEM …
 * Threads    fibers
 */
static inline int skua_uv_run(uv_loop_t *loop)
{
    skua_uv_host self;
    int rc = skua_foreign_dup(&self.backend, uv_backend_fd(loop));

    if (rc != 0)
        return rc;
    self.open = 2;
    self.result = 0;
    uv_prepare_init(loop, &self.prepare);
    uv_idle_init(loop, &self.idle);
    self.prepare.data = &self;
    self.idle.data = &self;
    uv_prepare_start(&self.prepare, skua_uv_host_on_prepare);
    uv_idle_start(&self.idle, skua_uv_host_on_idle);
    uv_unref((uv_handle_t *)&self.prepare);
    uv_unref((uv_handle_t *)&self.idle);
    uv_run(loop, UV_RUN_DEFAULT);
    skua_uv_host_close(&self);
    while (self.open > 0)
        uv_run(loop, UV_RUN_NOWAIT);
    skua_foreign_undup(self.backend);
    return self.result != 0 ? self.result : uv_loop_alive(loop) != 0;
}

#endif

#endif
