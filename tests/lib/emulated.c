/* emulated.c - what libkqueue cannot pass on Linux: tests and whole programs, with the reasons.
 *
 * libkqueue (2.7.0 was looked at) is kqueue on top of epoll. On a system that has a kqueue of its
 * own nothing is left out.
 */
#include "emulated.h"

#include <stdlib.h>
#include <string.h>

/* To fill in fflags it asks for SO_ERROR, which takes the error away: the call that is woken finds
 * none, and a reset looks like an end. A kernel's filter leaves it where it is. */
#define TAKES_ERROR "libkqueue takes a socket's error away when it tells the event"
/* The descriptor is a pipe's end that is there to be closed, and never readable. */
#define NO_GUEST "libkqueue's descriptor cannot be waited for"
/* Each event of its epoll set may become two of kqueue's. What does not fit is left out, although
 * an edge comes once: so more than half as many sockets as events fit, at once, lose some. */
#define LOSES_EDGES "libkqueue loses edges when many sockets are ready at once"
/* Its BUGS.md says so: its lock and its thread are not there in a child without exec. */
#define FORKS "libkqueue does not work in the child of a fork"

static const struct {
    const char *name;
    const char *why;
} not_emulated[] = {
    {"copy_tcp_ends_at_each_wait", TAKES_ERROR},
    {"no_descriptor_is_left", TAKES_ERROR},
    {"tcp_reset_by_the_peer", TAKES_ERROR},
    {"tcp_write_waits_and_then_fails", TAKES_ERROR},
    {"udp_refused_is_told_once", TAKES_ERROR},
    {"udp_refused_ends_a_wait", TAKES_ERROR},
    {"accept_storm", LOSES_EDGES},
    {"stress_echo_storm", LOSES_EDGES},
    {"test_guest", NO_GUEST}, /* these two whole */
    {"test_fork", FORKS},
};

/* libkqueue's own, for tests; not there: a kqueue of the system's, or none. */
extern void libkqueue_drain_pending_close(void) __attribute__((weak));
extern int kqueue(void) __attribute__((weak));

const char *test_not_emulated(const char *name)
{
    const char *driver = getenv("SKUA_DRIVER");

#ifndef __linux__
    return NULL;
#endif
    if (driver == NULL || strcmp(driver, "kqueue") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof not_emulated / sizeof not_emulated[0]; i++)
        if (strcmp(name, not_emulated[i].name) == 0)
            return not_emulated[i].why;
    return NULL;
}

void test_kqueue_keep(void)
{
    const char *driver = getenv("SKUA_DRIVER");

    if (driver != NULL && strcmp(driver, "kqueue") == 0 && libkqueue_drain_pending_close != NULL)
        (void)kqueue(); /* until the program ends */
}

void test_kqueues_close(void)
{
    if (libkqueue_drain_pending_close != NULL)
        libkqueue_drain_pending_close();
}
