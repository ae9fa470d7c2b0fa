/* test_glib.c - a runtime inside a GLib main context. drivers: both
 *
 * Specifies adapters/skua_glib.h.
 */
#include "skua_glib.h"

#include "adapter.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(guest_of_glib),
                                       cmocka_unit_test(guest_of_glib_must_be_current_thread)};

    return TEST_MAIN(tests);
}
