/* skua_glib.h - a Skua runtime inside a GLib main context.
 *
 *     GSource *guest = skua_glib_source_new(runtime);   // a current-thread runtime
 *
 *     g_source_attach(guest, NULL);
 *     skua_spawn_on(runtime, serve, NULL);
 *     g_main_loop_run(loop);
 *     g_source_destroy(guest);
 *     g_source_unref(guest);
 *
 * Everything here is called on the context's thread. For your own program: copy it, or include it.
 */
#ifndef SKUA_GLIB_H
#define SKUA_GLIB_H

#include <glib-unix.h>
#include <glib.h>

#include <skua/skua.h>

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

#endif
