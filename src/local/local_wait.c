/* local_wait.c - see local_wait.h: the line, and whose thread it is. */
#include "local/local_wait.h"

static _Thread_local char local_here;

/* Out of line, and nothing of it may be kept: a fiber may come back from a wait on another thread,
 * which is what is to be found out. */
static SKUA__NOINLINE const void *local_thread(void)
{
    const void *here = &local_here;

    __asm__ __volatile__("" : "+r"(here));
    return here;
}

void skua__local_claim(skua_local_line *line)
{
    const void *here = local_thread();

    if (skua__unlikely(line->thread == NULL))
        line->thread = here;
    if (skua__unlikely(line->thread != here))
        skua__panic(__FILE__, __LINE__, __func__, "a local object is used by one thread only");
}

static void local_unlink(skua_local_line *line, skua_local_waiter *waiter)
{
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        line->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        line->last = waiter->prev;
}

void skua__local_line_up(skua_local_line *line, skua_local_waiter *waiter, skua_waker *waker)
{
    skua__local_claim(line);
    waiter->waker = skua_waker_ref(waker);
    waiter->next = NULL;
    waiter->prev = line->last;
    if (line->last != NULL)
        line->last->next = waiter;
    else
        line->first = waiter;
    line->last = waiter;
    waiter->state = SKUA__LOCAL_QUEUED;
}

void skua__local_grant(skua_local_line *line, skua_local_waiter *waiter)
{
    skua_waker *waker = waiter->waker;

    skua__local_claim(line);
    local_unlink(line, waiter);
    waiter->state = SKUA__LOCAL_GRANTED;
    skua_waker_wake(waker);
    skua_waker_unref(waker);
}

skua_poll skua__local_again(skua_local_waiter *waiter, skua_waker *waker)
{
    skua_waker *before = waiter->waker;

    if (waiter->state == SKUA__LOCAL_GRANTED) {
        waiter->state = SKUA__LOCAL_IDLE;
        return 0;
    }
    if (before != waker) {
        waiter->waker = skua_waker_ref(waker);
        skua_waker_unref(before);
    }
    return SKUA_PENDING;
}

bool skua__local_leave(skua_local_line *line, skua_local_waiter *waiter)
{
    bool granted = waiter->state == SKUA__LOCAL_GRANTED;

    waiter->state = SKUA__LOCAL_IDLE;
    if (!granted) {
        skua__local_claim(line);
        local_unlink(line, waiter);
        skua_waker_unref(waiter->waker);
    }
    return granted;
}
