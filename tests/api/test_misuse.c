/* test_misuse.c - wrong use that the headers answer with an error instead of harm.
 *
 * Specifies every SKUA_EUSAGE, -EINVAL and "NULL does nothing" that the other files do not: called
 * outside a fiber, on a worker, out of order, twice, with nothing. After each the caller and the
 * runtime are as good as before.
 */
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/sockets.h"

/* ---- nothing --------------------------------------------------------------------------------- */

TEST(misuse_null_does_nothing)
{
    skua_future_drop(NULL);
    skua_waker_unref(NULL);
    skua_task_detach(NULL);
    CHECK_EQ(skua_runtime_free(NULL), 0);
    CHECK_EQ(skua_tcp_close(NULL), 0);
    CHECK_EQ(skua_listener_close(NULL), 0);
}

/* ---- outside --------------------------------------------------------------------------------- */

static skua_poll never_polled_here(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    CHECK(!"polled");
    return 0;
}

TEST(misuse_on_a_thread)
{
    skua_scope scope;

    memset(&scope, 0, sizeof scope);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), SKUA_EUSAGE);
    CHECK_EQ(skua_scope_join(&scope), SKUA_EUSAGE);
    CHECK_EQ(skua_scope_cancel(&scope), SKUA_EUSAGE);
    CHECK_EQ(skua_shield_begin(), SKUA_EUSAGE);
    CHECK_EQ(skua_shield_end(), SKUA_EUSAGE);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_spawn_poll(NULL, never_polled_here, "x"), SKUA_EUSAGE);
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK(skua_runtime_current() == NULL);
}

static void *plain_thread(void *arg)
{
    CHECK(skua_runtime_current() == NULL);
    CHECK_EQ(skua_task_current_id(), 0);
    CHECK_EQ(skua_scope_open(arg, SKUA_COLLECT), SKUA_EUSAGE);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    return NULL;
}

/* A thread that a fiber started is no part of the runtime. */
TEST_FIBER(misuse_on_a_thread_of_a_fiber)
{
    pthread_t thread;
    skua_scope scope;

    MUST(pthread_create(&thread, NULL, plain_thread, &scope) == 0);
    pthread_join(thread, NULL);
    CHECK(skua_runtime_current() == arg);
    return 0;
}

/* ---- out of order ---------------------------------------------------------------------------- */

TEST_FIBER(misuse_of_shields)
{
    CHECK_EQ(skua_shield_end(), SKUA_EUSAGE);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_shield_begin(), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_shield_end(), SKUA_EUSAGE);
    CHECK_EQ(skua_yield(), 0);
    return 0;
}

static int ends_foreign_frame(void *arg)
{
    CHECK_EQ(skua_deadline_end(arg), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(misuse_of_deadline_frames)
{
    skua_deadline deadline;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + SKUA_HOUR), 0);
    CHECK_EQ(skua_spawn(&scope, ends_foreign_frame, &deadline), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_deadline_end(&deadline), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    return 0;
}

static const skua_local_key misuse_key = {"misuse", NULL, NULL};

TEST_FIBER(misuse_of_local_frames)
{
    skua_local local;

    CHECK_EQ(skua_local_begin(&local, &misuse_key, "x"), 0);
    CHECK_EQ(skua_local_end(&local), 0);
    CHECK_EQ(skua_local_end(&local), SKUA_EUSAGE);
    CHECK(skua_local_get(&misuse_key) == NULL);
    return 0;
}

TEST_FIBER(misuse_of_the_root_scope)
{
    skua_scope *root = skua_runtime_scope(arg);

    CHECK(root != NULL);
    CHECK_EQ(skua_scope_join(root), SKUA_EUSAGE);
    CHECK_EQ(skua_scope_join(skua_scope_current()), SKUA_EUSAGE); /* block_on's, not ours */
    CHECK_EQ(skua_yield(), 0);
    return 0;
}

/* ---- on a worker ----------------------------------------------------------------------------- */

TEST_FIBER(misuse_of_the_runtime_from_inside)
{
    int result = 77;

    CHECK_EQ(skua_runtime_stop(arg, skua_now()), SKUA_EUSAGE);
    CHECK_EQ(skua_block_on(arg, test_fiber_return, NULL, &result), SKUA_EUSAGE);
    CHECK_EQ(skua_thread_timers(), SKUA_EUSAGE);
    CHECK_EQ(result, 77);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    return 0;
}

/* ---- sockets --------------------------------------------------------------------------------- */

TEST_FIBER(misuse_of_sockets)
{
    struct iovec iov = {.iov_base = NULL, .iov_len = 0};
    char address[SKUA_ADDRESS_MAX], tiny[2];
    skua_listener *listener = test_listen(address);
    skua_tcp *a, *b, *reader, *writer, *r2, *w2;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_local_address(a, tiny, sizeof tiny), -ENOSPC);
    CHECK_EQ(skua_tcp_peer_address(a, tiny, 0), -ENOSPC);
    CHECK_EQ(skua_tcp_readv(a, &iov, 1025), -EINVAL);
    CHECK_EQ(skua_tcp_readv(a, &iov, -1), -EINVAL);
    CHECK_EQ(skua_tcp_writev(a, &iov, 1025), -EINVAL);
    CHECK_EQ(skua_tcp_writev(a, &iov, -1), -EINVAL);
    CHECK_EQ(skua_tcp_split(a, &reader, &writer), 0);
    CHECK_EQ(skua_tcp_split(reader, &r2, &w2), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_split(writer, &r2, &w2), SKUA_EUSAGE);
    CHECK_EQ(skua_tcp_close(reader), 0);
    CHECK_EQ(skua_tcp_close(writer), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_null_does_nothing),
        cmocka_unit_test(misuse_on_a_thread),
        cmocka_unit_test(misuse_on_a_thread_of_a_fiber),
        cmocka_unit_test(misuse_of_shields),
        cmocka_unit_test(misuse_of_deadline_frames),
        cmocka_unit_test(misuse_of_local_frames),
        cmocka_unit_test(misuse_of_the_root_scope),
        cmocka_unit_test(misuse_of_the_runtime_from_inside),
        cmocka_unit_test(misuse_of_sockets),
    };

    return TEST_MAIN(tests);
}
