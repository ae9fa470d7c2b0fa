/* adapter.h - what a runtime is to do as the guest of somebody's loop, whichever it is.
 *
 * Each test includes this, defines loop_make, loop_run and loop_end for its library, and calls
 * adapter_test: a fiber that sleeps, talks over TCP, and is woken by a thread stops the loop.
 */
#ifndef SKUA_TESTS_ADAPTER_H
#define SKUA_TESTS_ADAPTER_H

#include <pthread.h>

#include "event.h"
#include "usage.h"

struct adapter {
    skua_runtime *runtime;
    struct test_event event;
    void (*quit)(struct adapter *self); /* the loop is to end */
    int steps;
};

static int adapter_echoes(void *arg)
{
    char buf[8];
    ssize_t n = skua_tcp_read(arg, buf, sizeof buf);

    CHECK_EQ(skua_tcp_write_all(arg, buf, (size_t)n), n);
    skua_tcp_close(arg);
    return 0;
}

static void adapter_talk(void)
{
    skua_listener *listener;
    skua_tcp *client, *served;
    char address[64], buf[8];

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &served) == 0);
    CHECK_EQ(skua_spawn(NULL, adapter_echoes, served), 0);
    CHECK_EQ(skua_tcp_write_all(client, "ping", 4), 4);
    CHECK_EQ(skua_tcp_read(client, buf, sizeof buf), 4);
    skua_tcp_close(client);
    skua_listener_close(listener);
}

static void *adapter_wakes(void *arg)
{
    test_thread_sleep(MS(2));
    test_event_set(arg);
    return NULL;
}

static int adapter_guest(void *arg)
{
    struct adapter *self = arg;
    int64_t begin = skua_now();
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_RANGE(skua_now() - begin, MS(6), MS(6) + TEST_LATE);
    self->steps++;
    adapter_talk();
    self->steps++;
    MUST(pthread_create(&thread, NULL, adapter_wakes, &self->event) == 0);
    CHECK_EQ(test_event_wait(&self->event), 0);
    pthread_join(thread, NULL);
    self->steps++;
    self->quit(self);
    return 0;
}

/* The runtime, with its fiber spawned before the loop knows of it. */
static void adapter_begin(struct adapter *self, void (*quit)(struct adapter *self))
{
    const struct test_kind kind = {"guest", SKUA_CURRENT_THREAD, 0, false};

    self->runtime = test_runtime(&kind);
    self->quit = quit;
    self->steps = 0;
    test_event_init(&self->event);
    CHECK_EQ(skua_spawn_on(self->runtime, adapter_guest, self), 0);
}

static void adapter_end(struct adapter *self)
{
    CHECK_EQ(self->steps, 3);
    test_runtime_free(self->runtime);
}

#endif
