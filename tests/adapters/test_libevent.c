/* test_libevent.c - a runtime inside a libevent loop. drivers: both
 *
 * Specifies adapters/skua_libevent.h.
 */
#include "skua_libevent.h"

#include "adapter.h"

struct host {
    struct adapter adapter;
    skua_libevent guest;
};

static void quit(struct adapter *self)
{
    skua_libevent_stop(&((struct host *)(void *)self)->guest);
}

TEST(guest_of_libevent)
{
    int fds = test_fd_count();
    struct event_base *base = event_base_new();
    struct host host;

    MUST(base != NULL);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_libevent_start(&host.guest, base, host.adapter.runtime), 0);
    CHECK_EQ(event_base_dispatch(base), 1); /* nothing is left to wait for */
    adapter_end(&host.adapter);
    event_base_free(base);
    CHECK_EQ(test_fd_settle(fds), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(guest_of_libevent)};

    return TEST_MAIN(tests);
}
