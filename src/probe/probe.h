/* probe.h - observation points: what the runtime tells whoever listens.
 *
 * At every arrow of a task's circle the runtime calls skua__probe. Nobody listening costs one
 * load and one predicted branch; the events' meaning is fixed here and nowhere else, so that
 * traces, metrics and tests read the same story.
 *
 * Guards     the listener is one pointer for the process: set before the runtime that is to be
 *            seen starts, cleared after it ended. Its functions are called on the thread where
 *            the event happens, possibly under no lock of the library's, and must not wait.
 */
#ifndef SKUA_PROBE_PROBE_H
#define SKUA_PROBE_PROBE_H

#include <skua/task.h>

#include "base/atomic.h"

enum skua__probe_kind {
    SKUA__PROBE_SPAWNED,   /* task; on the spawner's thread */
    SKUA__PROBE_POLLED,    /* task: a turn begins */
    SKUA__PROBE_PARKED,    /* task: the turn ended, it waits */
    SKUA__PROBE_YIELDED,   /* task: the turn ended, it is runnable */
    SKUA__PROBE_WOKEN,     /* task: it is runnable again; on the waker's thread */
    SKUA__PROBE_STOLEN,    /* arg: how many tasks; on the thief */
    SKUA__PROBE_DONE,      /* task; arg: its result */
    SKUA__PROBE_CANCELLED, /* task */
    SKUA__PROBE_SLEEP,     /* a worker has nothing to do */
    SKUA__PROBE_AWAKE,     /* a worker goes on; arg: events that woke it */
    SKUA__PROBE_BLOCKED,   /* task: arg: ns of a turn that was too long */
    SKUA__PROBE_KINDS
};

struct skua__probe_event {
    enum skua__probe_kind kind;
    unsigned worker;         /* index, or ~0u outside the workers */
    skua_task_id task;       /* 0 where the event has none */
    const skua_site *site;   /* of the task */
    const char *waiting_for; /* PARKED: the future's name */
    int64_t arg;
};

struct skua__probe_listener {
    void (*event)(const struct skua__probe_event *event, void *arg);
    void *arg;
};

extern _Atomic(const struct skua__probe_listener *) skua__probe_table;

/* Relaxed: the listener is set before the threads that look are started. */
#define skua__probe_on() skua__unlikely(skua__load_relaxed(&skua__probe_table) != NULL)

/* Starts or (NULL) ends listening. Returns false when another listener is set already. */
bool skua__probe_listen(const struct skua__probe_listener *listener);

/* Hands an event to the listener, if there still is one. */
SKUA__COLD void skua__probe_emit(const struct skua__probe_event *event);

/* The listener behind SKUA_TRACE=file.json (probe_trace.c): begins when the first runtime of the
 * process starts, writes the file when the last one ends. Both count their calls. */
void skua__probe_trace_begin(void);
void skua__probe_trace_end(void);

#endif
