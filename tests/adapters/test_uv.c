/* test_uv.c - a runtime inside a libuv loop. drivers: both
 *
 * Specifies adapters/skua_uv.h.
 */
#include "skua_uv.h"

#include "adapter.h"

struct host {
    struct adapter adapter;
    skua_uv guest;
};

static void quit(struct adapter *self)
{
    skua_uv_stop(&((struct host *)(void *)self)->guest);
}

TEST(guest_of_libuv)
{
    int fds = test_fd_count();
    struct host host;
    uv_loop_t loop;

    MUST(uv_loop_init(&loop) == 0);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_uv_start(&host.guest, &loop, host.adapter.runtime), 0);
    CHECK_EQ(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(host.guest.closing, 0);
    adapter_end(&host.adapter);
    CHECK_EQ(uv_loop_close(&loop), 0);
    CHECK(test_fd_settle(fds) <= fds + 4); /* libuv keeps descriptors for signals */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(guest_of_libuv)};

    return TEST_MAIN(tests);
}
