/* runtime_impl.h - the composition root: one struct that wires os, sched and drive together.
 *
 * States of a runtime: running -> stopping (no new task; all cancelled) -> drained -> freed. A
 * stop that times out leaves it stopping: it may be stopped again, never started again.
 */
#ifndef SKUA_RUNTIME_RUNTIME_IMPL_H
#define SKUA_RUNTIME_RUNTIME_IMPL_H

#include "block/block_impl.h"
#include "drive/drive_impl.h"
#include "sched/sched_impl.h"

struct skua_runtime {
    struct skua__core core; /* first: the floor below knows the runtime by it */
    struct skua__sched sched;
    const struct skua__driver_ops *driver_ops; /* constant, as all below but `driving`, `started` */
    skua_runtime_options options;
    char name[16];
    struct skua__cpus *cpus;     /* of each worker; none: anywhere */
    unsigned workers_made;       /* workers[0 .. made) exist; the maker's */
    unsigned threads_started;    /* and so many have threads; the maker's, then the stopper's */
    _Atomic uint32_t driving;    /* current-thread: a thread is inside the loop */
    _Atomic int owner_thread;    /* current-thread: the thread whose it is since its first drive */
    struct skua__lock stop_lock; /* threads_started, while stopping */
    struct skua_runtime *next;   /* of all runtimes; lock: runtime_fork.c's, as the next */
    struct skua_runtime **link;
    bool whole; /* made: skua_runtime_each finds it; same lock */
};

/* Lists the runtime, so that the child of a fork knows it for its parent's: 0, -ENOMEM. */
int skua__runtime_list(skua_runtime *runtime);
/* It is made, and found by skua_runtime_each. */
void skua__runtime_show(skua_runtime *runtime);
/* Takes it out again; told to skua_runtime_at_free's. Once more does nothing. */
void skua__runtime_unlist(skua_runtime *runtime);
/* Whether it is of the process that this one was forked from; that is told once. */
bool skua__runtime_forked(const skua_runtime *runtime);

/* Options with defaults and environment filled in: 0 or -EINVAL. */
int skua__options_resolve(const skua_runtime_options *given, skua_runtime_options *ret);

/* How many workers the options' processors are enough for; -EINVAL. */
int skua__place_count(const skua_runtime_options *options);
/* The same on a machine that allows these, and the time of `quota` of them. */
int skua__place_count_among(const skua_runtime_options *options, const struct skua__cpus *allowed,
                            unsigned quota);
/* The processors of each of options->workers, none: anywhere. 0; -EINVAL, -ENOMEM. */
int skua__place_workers(const skua_runtime_options *options, struct skua__cpus *ret);
/* The same on a machine that allows these. */
int skua__place_workers_among(const skua_runtime_options *options, const struct skua__cpus *allowed,
                              struct skua__cpus *ret);
/* Whether these leave a processor for each worker; anywhere does. */
bool skua__place_is_wide(const struct skua__cpus *cpus, unsigned workers);

/* Whether the calling thread may drive a current-thread runtime: nobody does, and it is nobody
 * else's. */
bool skua__runtime_may_drive(skua_runtime *runtime);
/* Drives a current-thread runtime on the calling thread until until(arg), which is asked at
 * `deadline` at the latest. SKUA_EUSAGE when the thread may not. */
int skua__runtime_drive(skua_runtime *runtime, bool (*until)(void *arg), void *arg,
                        int64_t deadline);
/* Tasks that have not ended. */
uint64_t skua__runtime_alive(skua_runtime *runtime);
/* Cancels every task, but for those that are being made at this moment. */
void skua__runtime_cancel_all(skua_runtime *runtime);

#endif
