/* test_glib.c - a runtime inside a GLib main context, and the other way round. drivers: both
 *
 * Specifies adapters/skua_glib.h.
 */
#include "skua_glib.h"

#include "foreign.h"

struct host {
    struct adapter adapter;
    GMainLoop *loop;
};

static void quit(struct adapter *self)
{
    g_main_loop_quit(((struct host *)(void *)self)->loop);
}

TEST(guest_of_glib)
{
    GMainContext *context = g_main_context_new();
    struct host host = {.loop = g_main_loop_new(context, FALSE)};
    GSource *guest;

    adapter_begin(&host.adapter, quit);
    guest = skua_glib_source_new(host.adapter.runtime);
    MUST(guest != NULL);
    g_source_attach(guest, context);
    g_main_loop_run(host.loop);
    g_source_destroy(guest);
    g_source_unref(guest);
    adapter_end(&host.adapter);
    g_main_loop_unref(host.loop);
    g_main_context_unref(context);
}

TEST(guest_of_glib_must_be_current_thread)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);

    CHECK(skua_glib_source_new(runtime) == NULL);
    test_runtime_free(runtime);
}

/* ---- a loop in a fiber ----------------------------------------------------------------------- */

struct loop {
    struct foreign foreign; /* first */
    GMainContext *context;
    GMainLoop *loop;
    GSource *timer, *io;
    GSource *bell; /* under ThreadSanitizer */
};

static struct loop *loop_of(struct foreign *self)
{
    return (struct loop *)(void *)self;
}

static gboolean loop_beats(gpointer arg)
{
    foreign_beats(arg);
    return G_SOURCE_CONTINUE;
}

static gboolean loop_hears(gint fd, GIOCondition condition, gpointer arg)
{
    (void)fd;
    CHECK((condition & G_IO_IN) != 0);
    foreign_hears(arg);
    return G_SOURCE_CONTINUE;
}

static gboolean loop_notified(gpointer arg)
{
    foreign_notified(arg);
    return G_SOURCE_REMOVE;
}

static void loop_make(struct foreign *foreign, int period)
{
    struct loop *self = loop_of(foreign);

    self->context = g_main_context_new();
    self->loop = g_main_loop_new(self->context, TRUE);
    self->timer = g_timeout_source_new((guint)period);
    g_source_set_callback(self->timer, loop_beats, foreign, NULL);
    g_source_attach(self->timer, self->context);
    self->io = g_unix_fd_source_new(foreign->pipe[0], G_IO_IN);
    g_source_set_callback(self->io, G_SOURCE_FUNC(loop_hears), foreign, NULL);
    g_source_attach(self->io, self->context);
    self->bell = g_timeout_source_new_seconds(3600);
    g_source_set_callback(self->bell, loop_notified, foreign, NULL);
    g_source_attach(self->bell, self->context);
}

static int loop_run(struct foreign *foreign)
{
    return skua_glib_run(loop_of(foreign)->loop);
}

static void loop_stop(struct foreign *foreign)
{
    g_main_loop_quit(loop_of(foreign)->loop);
}

/* ThreadSanitizer does not know GLib's locks: it is shown no memory that goes from hand to hand. */
static void loop_notify(struct foreign *foreign)
{
    GSource *source;

    if (TEST_TSAN) {
        g_source_set_ready_time(loop_of(foreign)->bell, 0);
        return;
    }
    source = g_idle_source_new();
    g_source_set_callback(source, loop_notified, foreign, NULL);
    g_source_attach(source, loop_of(foreign)->context);
    g_source_unref(source);
}

static void loop_end(struct foreign *foreign)
{
    struct loop *self = loop_of(foreign);

    CHECK_EQ(skua_glib_run(self->loop), 0); /* it was quit */
    CHECK((fcntl(foreign->pipe[1], F_GETFL) & O_NONBLOCK) != 0);
    g_source_destroy(self->timer);
    g_source_unref(self->timer);
    g_source_destroy(self->bell);
    g_source_unref(self->bell);
    g_source_destroy(self->io);
    g_source_unref(self->io);
    g_main_loop_unref(self->loop);
    g_main_context_unref(self->context);
}

TEST_FIBER(glib_in_a_fiber)
{
    struct loop loop = {.foreign = {.make = loop_make,
                                    .run = loop_run,
                                    .stop = loop_stop,
                                    .notify = loop_notify,
                                    .end = loop_end,
                                    .stopped = 0}};

    foreign_all(&loop.foreign);
    return 0;
}

/* A context is one thread's. */
static void *owns(void *arg)
{
    MUST(g_main_context_acquire(arg));
    return NULL;
}

TEST_FIBER(glib_of_another_thread)
{
    GMainContext *context = g_main_context_new();
    GMainLoop *loop = g_main_loop_new(context, TRUE);
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, owns, context) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_glib_run(loop), -EBUSY);
    g_main_loop_unref(loop);
    g_main_context_unref(context);
    return 0;
}

/* ---- descriptors that change under their number, and that cannot be waited for --------------- */

struct swap {
    GMainContext *context;
    GMainLoop *loop;
    GSource *source;
    int number, other; /* read here; the writing end */
    int kept;          /* the first pipe's reading end under another number, as the next */
    int kept_writer;
    int rounds;
};

static gboolean swap_hears(gint fd, GIOCondition condition, gpointer arg);

static int swap_writes(void *arg)
{
    struct swap *swap = arg;

    CHECK_EQ(skua_sleep(MS(2)), 0);
    MUST(write(swap->other, "x", 1) == 1);
    return 0;
}

static void swap_watch(struct swap *swap)
{
    int ends[2];

    MUST(pipe2(ends, O_CLOEXEC) == 0);
    if (swap->number >= 0) { /* the same number, another file */
        swap->kept = dup(swap->number);
        swap->kept_writer = swap->other;
        MUST(dup2(ends[0], swap->number) == swap->number);
        close(ends[0]);
        MUST(write(swap->kept_writer, "stale", 5) == 5);
    } else {
        swap->number = ends[0];
    }
    swap->other = ends[1];
    swap->source = g_unix_fd_source_new(swap->number, G_IO_IN);
    g_source_set_callback(swap->source, G_SOURCE_FUNC(swap_hears), swap, NULL);
    g_source_attach(swap->source, swap->context);
    MUST(skua_spawn(NULL, swap_writes, swap) == 0);
}

static gboolean swap_hears(gint fd, GIOCondition condition, gpointer arg)
{
    struct swap *swap = arg;
    char byte;

    (void)condition;
    MUST(read(fd, &byte, 1) == 1);
    g_source_unref(swap->source);
    if (swap->rounds++ == 0)
        swap_watch(swap);
    else
        g_main_loop_quit(swap->loop);
    return G_SOURCE_REMOVE;
}

TEST_FIBER(glib_number_that_becomes_another_file)
{
    struct swap swap = {.number = -1};

    swap.context = g_main_context_new();
    swap.loop = g_main_loop_new(swap.context, TRUE);
    swap_watch(&swap);
    CHECK_EQ(skua_glib_run(swap.loop), 0);
    CHECK_EQ(swap.rounds, 2);
    close(swap.number);
    close(swap.other);
    close(swap.kept);
    close(swap.kept_writer);
    g_main_loop_unref(swap.loop);
    g_main_context_unref(swap.context);
    return 0;
}

static int file_calls;

static gboolean file_hears(gint fd, GIOCondition condition, gpointer arg)
{
    (void)fd;
    (void)condition;
    if (++file_calls == 3)
        g_main_loop_quit(arg);
    return G_SOURCE_CONTINUE;
}

TEST_FIBER(foreign_file_is_ready_always)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    skua_foreign set;

    MUST(file >= 0 && skua_foreign_open(&set) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_foreign_want(&set, file, EPOLLIN), 0);
        CHECK_EQ(skua_foreign_wait(&set, SKUA_FOREVER), 0);
    }
    close(file); /* and what is closed is not */
    CHECK_EQ(skua_foreign_want(&set, file, EPOLLIN), 0);
    CHECK_EQ(skua_foreign_wait(&set, skua_now() + MS(2)), 0);
    skua_foreign_close(&set);
    return 0;
}

TEST_FIBER(glib_file_is_ready_always)
{
    GMainContext *context = g_main_context_new();
    GMainLoop *loop = g_main_loop_new(context, TRUE);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    GSource *source = g_unix_fd_source_new(file, G_IO_IN);

    MUST(file >= 0);
    g_source_set_callback(source, G_SOURCE_FUNC(file_hears), loop, NULL);
    g_source_attach(source, context);
    file_calls = 0;
    CHECK_EQ(skua_glib_run(loop), 0);
    CHECK_EQ(file_calls, 3);
    g_source_destroy(source);
    g_source_unref(source);
    close(file);
    g_main_loop_unref(loop);
    g_main_context_unref(context);
    return 0;
}

static gboolean hangup_hears(gint fd, GIOCondition condition, gpointer arg)
{
    CHECK(condition & G_IO_HUP);
    (void)fd;
    g_main_loop_quit(arg);
    return G_SOURCE_REMOVE;
}

static int hangs_up(void *arg)
{
    CHECK_EQ(skua_sleep(MS(5)), 0);
    close(*(int *)arg);
    return 0;
}

/* Errors and ends are told also of what nothing else is asked of; a file has none. */
TEST_FIBER(glib_end_that_alone_is_waited_for)
{
    static const GIOCondition asked[] = {G_IO_HUP, (GIOCondition)0};

    for (size_t i = 0; i < TEST_LEN(asked); i++) {
        GMainContext *context = g_main_context_new();
        GMainLoop *loop = g_main_loop_new(context, TRUE);
        int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        GSource *of_file = g_unix_fd_source_new(file, asked[i]);
        skua_task *task;
        GSource *source;
        int ends[2];

        MUST(file >= 0 && pipe2(ends, O_CLOEXEC) == 0);
        source = g_unix_fd_source_new(ends[0], asked[i]);
        g_source_set_callback(source, G_SOURCE_FUNC(hangup_hears), loop, NULL);
        g_source_attach(source, context);
        g_source_set_callback(of_file, G_SOURCE_FUNC(hangup_hears), loop, NULL);
        g_source_attach(of_file, context);
        CHECK_EQ(skua_spawn(NULL, hangs_up, &ends[1], .task = &task), 0);
        CHECK_EQ(skua_glib_run(loop), 0);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        g_source_destroy(of_file);
        g_source_unref(of_file);
        g_source_unref(source);
        close(ends[0]);
        close(file);
        g_main_loop_unref(loop);
        g_main_context_unref(context);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_of_glib),
        cmocka_unit_test(guest_of_glib_must_be_current_thread),
        cmocka_unit_test(glib_in_a_fiber),
        cmocka_unit_test(glib_of_another_thread),
        cmocka_unit_test(glib_number_that_becomes_another_file),
        cmocka_unit_test(foreign_file_is_ready_always),
        cmocka_unit_test(glib_file_is_ready_always),
        cmocka_unit_test(glib_end_that_alone_is_waited_for),
    };

    return TEST_MAIN(tests);
}
