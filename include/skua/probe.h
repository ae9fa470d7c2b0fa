/* probe.h - observation points: what the runtime tells whoever listens.
 *
 * At every arrow of a task's circle, and where an operation of the library begins and ends, the
 * runtime calls its listeners. With nobody listening to a kind of event it costs one load and one
 * predicted branch. The events' meaning is fixed here and nowhere else, so that traces, metrics,
 * monitors and tests read the same story: SKUA_TRACE=file.json is a listener, so is libskua-otel.
 *
 *     static void count(const skua_probe_event *event, void *arg)
 *     {
 *         atomic_fetch_add_explicit((atomic_ulong *)arg, 1, memory_order_relaxed);
 *     }
 *
 *     static atomic_ulong turns;
 *     static const skua_probe_listener listener = {
 *         .size = sizeof listener, .kinds = SKUA_PROBE_BIT(SKUA_PROBE_POLLED),
 *         .event = count, .arg = &turns};
 *
 *     skua_probe_attach(&listener);
 *
 * Of one task the events come in this order, whatever the threads:
 *
 *     SPAWNED { POLLED ( PARKED [WOKEN] | YIELDED ) } POLLED DONE
 *
 * CANCELLED may come anywhere in between, and from another thread also a moment before SPAWNED or
 * behind DONE. A task that is cancelled before its first turn has none: SPAWNED CANCELLED DONE. No
 * WOKEN behind PARKED: the wake came before the task was idle.
 *
 * Operations are told where somebody calls and waits for them; each BEGUN has its ENDED, also when
 * the caller is cancelled (-ECANCELED) or out of time. A listener that is attached or detached
 * between the two gets one of them alone.
 *
 *   tcp.connect unix.connect         target: as it was given; names are looked up inside
 *   tcp.accept unix.accept           from the wait for a connection on
 *   dns.lookup                       target: the host, where somebody was asked; result: a count
 *   file.open                        target: the path
 *   file.read file.write             bytes; all reads and writes, with a cursor or without
 *   file.close file.sync file.truncate file.allocate file.advise file.stat file.chmod file.lock
 *   file.unlock
 *   fs.read fs.write fs.copy         whole files; target: the path; bytes
 *   fs.stat fs.chmod fs.realpath fs.rename fs.remove fs.rmdir fs.link fs.symlink fs.readlink
 *   fs.mkdir fs.remove_all           target: the path (of two: where from)
 *   process.run                      from its spawn to its end, which is told on a thread of the
 *                                    library's; target: what was executed; result: its code, 128
 *                                    and the signal that killed it, or why there was no spawn
 *   blocking.run                     a job of the user's; queued
 *
 * Futures that are polled or selected are not told as operations. What goes through sockets is
 * told as MOVED, of every form: "tcp.read", "tcp.write"; "udp.recv", "udp.send"; "unix.read",
 * "unix.write" of streams, "unix.recv", "unix.send" of packets.
 *
 * A listener is called on the thread where the event happens, in the middle of the library: it must
 * not wait, spawn, wake, or lock what others hold while they call the library. It may be attached
 * and detached at any time, also while runtimes run; a call that is under way then may still come,
 * so its functions and what they use stay valid for ever. Of a runtime that is .unseen (runtime.h)
 * nothing is told.
 */
#ifndef SKUA_PROBE_H
#define SKUA_PROBE_H

#include <skua/task.h>

SKUA_C_BEGIN

typedef enum skua_probe_kind {
    SKUA_PROBE_SPAWNED,   /* task, parent; on the spawner's thread */
    SKUA_PROBE_POLLED,    /* task: a turn begins */
    SKUA_PROBE_PARKED,    /* task, waiting_for: the turn ended, it waits */
    SKUA_PROBE_YIELDED,   /* task: the turn ended, it is runnable */
    SKUA_PROBE_WOKEN,     /* task, parent: it is runnable again; on the waker's thread */
    SKUA_PROBE_STOLEN,    /* arg: how many tasks; on the thief */
    SKUA_PROBE_DONE,      /* task, arg: its result; the turn ended with it */
    SKUA_PROBE_CANCELLED, /* task */
    SKUA_PROBE_SLEEP,     /* a worker has nothing to do */
    SKUA_PROBE_AWAKE,     /* a worker goes on; arg: events that woke it */
    SKUA_PROBE_BLOCKED,   /* task, arg: ns of a turn that was too long: 10 ms; of a sample */
    SKUA_PROBE_BEGUN,     /* op: an operation of the library begins; on the thread that asks */
    SKUA_PROBE_ENDED,     /* op: it ended; on the thread that learns of it */
    SKUA_PROBE_MOVED,     /* what, arg: bytes that went through a socket, in any form of call */
    SKUA_PROBE_KINDS
} skua_probe_kind;

#define SKUA_PROBE_BIT(kind) (1u << (unsigned)(kind))
#define SKUA_PROBE_ALL (SKUA_PROBE_BIT(SKUA_PROBE_KINDS) - 1)

/* The most listeners of a process. */
#define SKUA_PROBE_LISTENERS 8

/* An operation: between its two events it stays where it is, in its caller's memory. */
typedef struct skua_probe_op {
    const char *name;   /* static: "tcp.connect", "dns.lookup", "file.read" … */
    const char *target; /* what it works on, until ENDED: an address, a path, a host; or NULL */
    const char *peer;   /* ENDED of a connection over TCP: the other side's address; or NULL */
    int64_t start;      /* monotonic, ns */
    int64_t end;        /* monotonic, ns; ENDED only */
    int64_t bytes;      /* moved, or 0; ENDED only */
    int64_t number;     /* process.run, ENDED: its id; else 0 */
    int64_t queued;     /* blocking.run, ENDED: ns until a thread began it; 0: none did, or the
                           job has a .drop; else 0 */
    int result;         /* 0, a count or a negative code; ENDED only */
    /* room[listener's place] is the listener's. NULL at BEGUN, and at an ENDED whose BEGUN it was
     * not told. */
    void *room[SKUA_PROBE_LISTENERS];
    const void *told[SKUA_PROBE_LISTENERS]; /* whose room it is; private */
} skua_probe_op;

typedef struct skua_probe_event {
    skua_probe_kind kind;
    unsigned worker;         /* index, or ~0u outside the workers */
    unsigned place;          /* the listener's, for op->room */
    skua_task_id task;       /* 0 where the event has none */
    skua_task_id parent;     /* SPAWNED, WOKEN: the task that did it; 0: none */
    const skua_site *site;   /* of the task; valid as long as the process */
    const char *waiting_for; /* PARKED: the future's name, static */
    int64_t arg;             /* see the kinds */
    skua_probe_op *op;       /* BEGUN, ENDED */
    skua_runtime *runtime;   /* the task's, whose ids are its own; else the worker's; NULL:
                                    none. Since 0.5 */
    const char *what;        /* MOVED: "tcp.read" …; static */
} skua_probe_event;

typedef struct skua_probe_listener {
    size_t size;    /* sizeof(skua_probe_listener) */
    uint32_t kinds; /* SKUA_PROBE_BIT of each that it wants */
    void (*event)(const skua_probe_event *event, void *arg);
    void *arg;
} skua_probe_listener;

/* Begins to listen.
 *
 * listener   static, and not changed while attached
 * Returns    0; -EINVAL: its size, no function, no kinds; -EBUSY: it is attached, or there are
 *            SKUA_PROBE_LISTENERS others
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_probe_attach(const skua_probe_listener *listener);

/* Ends listening. Calls that are under way may outlast it.
 *
 * Returns    0; -ENOENT: it is not attached
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_probe_detach(const skua_probe_listener *listener);

SKUA_C_END

#endif
