/* test_sd_event.c - a runtime inside an sd-event loop. drivers: both
 *
 * Specifies adapters/skua_sd_event.h.
 */
#include "skua_sd_event.h"

#include "adapter.h"

struct host {
    struct adapter adapter;
    sd_event *loop;
};

static void quit(struct adapter *self)
{
    sd_event_exit(((struct host *)(void *)self)->loop, 0);
}

TEST(guest_of_sd_event)
{
    int fds = test_fd_count();
    struct host host = {.loop = NULL};
    skua_sd_event guest;

    MUST(sd_event_new(&host.loop) >= 0);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_sd_event_start(&guest, host.loop, host.adapter.runtime), 0);
    CHECK_EQ(sd_event_loop(host.loop), 0);
    skua_sd_event_stop(&guest);
    adapter_end(&host.adapter);
    sd_event_unref(host.loop);
    CHECK_EQ(test_fd_settle(fds), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(guest_of_sd_event)};

    return TEST_MAIN(tests);
}
