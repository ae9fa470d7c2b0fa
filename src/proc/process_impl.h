/* process_impl.h - a child and who reaps it.
 *
 *   state      from          event                                to
 *              RUNNING       the reaper finds that it has ended  REAPING   still a zombie
 *              REAPING       nobody is signalling it: reaped      ENDED     who waits is told
 *
 * The number of a child is its own until it is reaped; with a pidfd it does not matter.
 *
 * Forks      a handle that was made before a fork is the parent's: in its copy nothing happens any
 *            more, for nobody reaps there. `forks` tells.
 *
 * The files: process.c (the handle, waiting), process_spawn.c (options and pipes),
 * process_plan.c (strings for the child), process_reap.c (the thread), process_output.c.
 */
#ifndef SKUA_PROC_PROCESS_IMPL_H
#define SKUA_PROC_PROCESS_IMPL_H

#include <skua/process.h>

#include "base/list.h"
#include "sync/sync_wait.h"

#define SKUA__PROCESS_RUNNING 0u
#define SKUA__PROCESS_REAPING 1u
#define SKUA__PROCESS_ENDED 2u

/* Counted: the handle has a reference, the reaper has one until the end, each wait one. */
struct skua_process {
    _Atomic uint32_t refs;
    _Atomic uint32_t state;      /* the reaper's; sequential with `signalling` */
    _Atomic uint32_t signalling; /* who is between a look at the state and a system call */
    uint32_t forks;              /* how many there were between the first process and its own */
    bool reaped;                 /* the reaper has let go; lock: of process.c, as the next two */
    bool closed;
    skua_waiter_list waiters;
    struct skua__node watched; /* in one of the reaper's lists; lock: its */
    int pid;                   /* constant */
    int pidfd;                 /* constant until the last reference; -1: none */
    int lost;                  /* 0 or -ECHILD; written before ENDED, as status */
    skua_process_status status;
    skua_fd *pipes[3]; /* ours, until they are taken; the handle's owner */
    bool grouped;      /* constant, as the next two */
    int kill_on_close;
    struct skua__process_told *told; /* NULL: nobody is told of its run */
};

/* A run as an operation, which is longer than any call. */
struct skua__process_told {
    skua_probe_op op; /* who spawns, then the reaper */
    char program[];
};

/* Fills in what a handle begins with, all else being zero: one reference. */
void skua__process_init(struct skua_process *process);
void skua__process_unref(struct skua_process *process);
/* What spawning and closing do to pipes. */
void skua__process_close_pipes(struct skua_process *process);
/* The reaper: the child has ended. Reaps it and tells everybody; takes the reaper's reference. */
void skua__process_end(struct skua_process *process);
/* Before the first child: a fork is not to find the waits' lock taken. */
void skua__process_mind_forks(void);
/* In the child of a fork: all the handles that there are are the parent's. */
void skua__process_forked(void);
/* Wakes everybody who waits. Under no lock. */
void skua__process_tell(struct skua_process *process, bool closed);

/* The calling task's runtime counts one more that something of a child is waited for, so that a
 * test's clock knows that it will come. What skua__process_ignore takes; NULL outside tasks. */
struct skua__core *skua__process_expect(void);
/* No more. */
void skua__process_ignore(struct skua__core *core);

/* ---- the reaper (process_reap.c) ----------------------------------------------------------- */

/* Sees to it that there is a thread, and that it stays for one more child: 0, or an error. */
int skua__reaper_reserve(void);
/* That child is not to be. */
void skua__reaper_cancel(void);
/* That child is this one. The reference goes along. */
void skua__reaper_add(struct skua_process *process);

/* ---- the plan (process_plan.c) --------------------------------------------------------------- */

/* What skua__os_spawn reads, in one piece of memory. */
struct skua__plan {
    struct skua__spawn spawn;
    struct skua__spawn_fd fds[SKUA__SPAWN_FDS];
};

/* Everything but the descriptors: 0, -EINVAL, -ENOMEM. Freed with skua__os_free. */
int skua__plan_make(const char *const *argv, const skua_process_options *options,
                    struct skua__plan **ret);
/* Adds a descriptor, in order of `theirs`. */
void skua__plan_add(struct skua__plan *plan, int theirs, int ours);

#endif
