/* skua_glib.h - a Skua runtime inside a GLib main context, and a context inside a runtime.
 *
 *     GSource *guest = skua_glib_source_new(runtime);   // a current-thread runtime
 *
 *     g_source_attach(guest, NULL);
 *     skua_spawn_on(runtime, serve, NULL);
 *     g_main_loop_run(loop);
 *     g_source_destroy(guest);
 *     g_source_unref(guest);
 *
 * Everything there is called on the context's thread. The other way round, in a fiber of any
 * runtime:
 *
 *     GMainLoop *loop = g_main_loop_new(context, TRUE);
 *
 *     rc = skua_glib_run(loop);          // until g_main_loop_quit, and other tasks run, too
 *
 * For your own program: copy it, or include it (with skua_foreign.h).
 */
#ifndef SKUA_GLIB_H
#define SKUA_GLIB_H

#include <glib-unix.h>
#include <glib.h>

#include <skua/skua.h>

#include "skua_foreign.h"

/* ---- a runtime inside a context -------------------------------------------------------------- */

typedef struct skua_glib_source {
    GSource source; /* first */
    skua_runtime *runtime;
    gpointer tag; /* of its descriptor */
} skua_glib_source;

static inline gboolean skua_glib_check(GSource *source)
{
    skua_glib_source *self = (skua_glib_source *)source;

    return g_source_query_unix_fd(source, self->tag) != 0;
}

/* GLib's own ready time has microseconds of the same clock. */
static inline gboolean skua_glib_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    skua_glib_source *self = (skua_glib_source *)source;
    int64_t next = skua_runtime_turn(self->runtime);

    (void)callback;
    (void)data;
    g_source_set_ready_time(
        source, next == SKUA_FOREVER || next < 0 ? -1 : (gint64)((next + 999) / SKUA_MICROSECOND));
    return G_SOURCE_CONTINUE;
}

/* A source that is not attached yet; NULL: the runtime is no current-thread one, or is without a
 * descriptor. */
static inline GSource *skua_glib_source_new(skua_runtime *runtime)
{
    static GSourceFuncs funcs = {NULL, skua_glib_check, skua_glib_dispatch, NULL, NULL, NULL};
    int fd = skua_runtime_fd(runtime);
    GSource *source;

    if (fd < 0)
        return NULL;
    source = g_source_new(&funcs, sizeof(skua_glib_source));
    ((skua_glib_source *)source)->runtime = runtime;
    ((skua_glib_source *)source)->tag = g_source_add_unix_fd(source, fd, G_IO_IN);
    g_source_set_ready_time(source, 0); /* what was spawned before */
    return source;
}

/* ---- a context inside a runtime -------------------------------------------------------------- */

/* What a context has to be polled. */
typedef struct skua_glib_polls {
    skua_foreign set;
    GPollFD *fds;
    gint room;
} skua_glib_polls;

/* One iteration; 0 or an error. */
static inline int skua_glib_turn(GMainContext *context, skua_glib_polls *polls)
{
    int64_t deadline = SKUA_FOREVER;
    gint priority, timeout, count;
    int rc = 0;

    (void)g_main_context_prepare(context, &priority);
    while ((count = g_main_context_query(context, priority, &timeout, polls->fds, polls->room)) >
           polls->room) {
        polls->fds = g_renew(GPollFD, polls->fds, count);
        polls->room = count;
    }
    /* G_IO_… are poll's and epoll's numbers. Errors and ends GLib leaves out, as poll tells them in
     * any case. */
    for (gint i = 0; rc == 0 && i < count; i++)
        rc = skua_foreign_want(&polls->set, polls->fds[i].fd,
                               polls->fds[i].events | (uint32_t)(EPOLLERR | EPOLLHUP));
    if (timeout >= 0)
        deadline = timeout == 0 ? 0 : skua_now() + timeout * SKUA_MILLISECOND;
    if (rc == 0)
        rc = skua_foreign_wait(&polls->set, deadline);
    if (rc != 0)
        return rc;
    (void)g_main_context_get_poll_func(context)(polls->fds, (guint)count, 0);
    if (g_main_context_check(context, priority, polls->fds, count))
        g_main_context_dispatch(context);
    return 0;
}

/* Runs a loop in the calling fiber, as g_main_loop_run does: until g_main_loop_quit. Meanwhile the
 * other tasks of the worker run.
 *
 * Callbacks run on the fiber's stack (SKUA_STACK_LARGE, if they need it), and may do what a fiber
 * may; one that waits holds the loop up, and nobody else. The context belongs to the worker's
 * thread as long as it lasts. Sources that other threads attach wake it. GLib does not do that for
 * the thread itself: a task of the same worker that attaches a source (g_idle_add, say) calls
 * g_main_context_wakeup afterwards, unless the context was made with
 * G_MAIN_CONTEXT_FLAGS_OWNERLESS_POLLING.
 *
 * loop       made by g_main_loop_new(context, TRUE): running from the beginning
 * Returns    0: it was quit; -ECANCELED, -ETIMEDOUT: the task is to end, and the loop may be run
 *            again; -EBUSY: the context is another thread's; -EMFILE, -ENOMEM …
 * Threads    fibers, but no SKUA_MIGRATABLE ones
 */
static inline int skua_glib_run(GMainLoop *loop)
{
    GMainContext *context = g_main_loop_get_context(loop);
    skua_glib_polls polls;
    int rc;

    if (!g_main_context_acquire(context))
        return -EBUSY;
    polls.fds = NULL;
    polls.room = 0;
    rc = skua_foreign_open(&polls.set);
    if (rc == 0) {
        g_main_loop_ref(loop);
        while (rc == 0 && g_main_loop_is_running(loop))
            rc = skua_glib_turn(context, &polls);
        skua_foreign_close(&polls.set);
        g_free(polls.fds);
        g_main_context_release(context);
        g_main_loop_unref(loop);
    } else {
        g_main_context_release(context);
    }
    return rc;
}

#endif
