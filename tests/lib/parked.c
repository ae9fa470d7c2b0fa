/* parked.c - see parked.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "parked.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "net/net_impl.h"
#include "task/task_impl.h"

/* One look in vain: the others' turn. Many: the machine is busy, and we are not to keep it so. */
static void look_again(unsigned *looks)
{
    if (++*looks < 100)
        (void)skua_yield();
    else
        (void)skua_sleep(MS(1));
}

static bool is_idle(skua_task *task)
{
    /* Acquire pairs with the transition to idle: what was written before the wait is seen. */
    return (skua__load_acquire(&task->state) & (SKUA__ACTIVE | SKUA__DONE)) == 0;
}

static bool is_parked(skua_task *task, const char *name)
{
    const char *waits;

    if (!is_idle(task))
        return false;
    if (name == NULL || task->poll != NULL)
        return true;
    waits = skua__load_relaxed(&skua__fiber_of(task)->waiting_for);
    /* Idle once more: it has not just been woken from the wait before, and named the next one
     * without having begun it. */
    return waits != NULL && strcmp(waits, name) == 0 && is_idle(task);
}

bool test_parks(skua_task *task, const char *name)
{
    unsigned looks = 0;

    while (!is_parked(task, name)) {
        if (skua_task_done(task))
            return false;
        look_again(&looks);
    }
    return true;
}

static void until_waited(struct skua__source *source, unsigned direction)
{
    unsigned looks = 0;

    while (skua__load_seq(&source->waiter[direction]) == NULL)
        look_again(&looks);
}

void test_until_tcp_read(skua_tcp *tcp)
{
    until_waited(&skua__tcp_stream(tcp)->source, SKUA__READ);
}

void test_until_udp_read(skua_udp *udp)
{
    until_waited(&udp->source, SKUA__READ);
}

void test_until_udp_written(skua_udp *udp)
{
    until_waited(&udp->source, SKUA__WRITE);
}

void test_until_accepted(skua_listener *listener)
{
    until_waited(&listener->source, SKUA__READ);
}

void test_thread_is(atomic_int *id)
{
    atomic_store(id, (int)syscall(SYS_gettid));
}

static char state_of(int id)
{
    char path[64], state = '?';
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    file = fopen(path, "r");
    MUST(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
    fclose(file);
    return state;
}

/* Twice in a row: a page that is read, a lock for a moment, are no wait. */
void test_until_asleep(const atomic_int *id)
{
    unsigned looks = 0;

    for (int asleep = 0; asleep < 2;) {
        asleep = atomic_load(id) != 0 && state_of(atomic_load(id)) == 'S' ? asleep + 1 : 0;
        look_again(&looks);
    }
}
