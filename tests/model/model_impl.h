/* model_impl.h - between the explorer (model.c) and its memory (model_memory.c). */
#ifndef SKUA_MODEL_IMPL_H
#define SKUA_MODEL_IMPL_H

#include "model.h"

#define MODEL_LOCS 640   /* atomic objects of a case */
#define MODEL_STEPS 2000 /* operations of a schedule; more of them: it does not end */

struct model_loc;

/* An operation that a thread is about to do, or has done. */
struct model_op {
    enum model_kind kind;
    int order;
    int fails;             /* cas: the order of a failure */
    struct model_loc *loc; /* NULL: fence, point */
    uint64_t value;
    uint64_t want; /* cas */
    const struct model_site *at;
    uint64_t result; /* done: what was read */
    bool stored;     /* done: the cas has stored */
    unsigned behind; /* done: how many stores newer than the one that was read there are */
};

struct model_step {
    int thread;
    struct model_op op;
};

/* Prints a schedule, one operation a line (model_print.c). */
void model_print(const struct model_step *steps, unsigned count);
const char *model_kind_name(enum model_kind kind);
/* Without folders. */
const char *model_file_name(const struct model_site *site);

/* ---- model.c --------------------------------------------------------------------------------- */

/* Until a schedule fails, none is left or `limit` were run. NULL: none has failed. */
const char *model_explore(const struct model_case *the_case, unsigned limit, unsigned *ret_count);
/* Schedules run so far, of all cases. */
unsigned long model_runs(void);

/* ---- model_control.c: what a site lacks while it is weakened --------------------------------- */

#define MODEL_NO_SEQ 1u     /* seq_cst is acq_rel; a fence is none */
#define MODEL_NO_ACQUIRE 2u /* acquire is relaxed, acq_rel release */
#define MODEL_NO_RELEASE 4u /* release is relaxed, acq_rel acquire */
#define MODEL_NO_ATOMIC 8u  /* a read-modify-write is a load and a store */

/* The case passes: the controls are going to run it. */
void model_control_case(const struct model_case *the_case);
/* An operation of the running case. */
void model_control_site(struct model_site *site, enum model_kind kind, int order);

/* ---- model_memory.c -------------------------------------------------------------------------- */

/* Forgets what is known of the places, for a new case. */
void memory_forget(void);
/* A new schedule: all views begin at what begin() has left in memory. */
void memory_begin(void);
/* The place of an address, and (in *grew) whether it is now known to be shared by this use. */
struct model_loc *memory_loc(const volatile void *addr, size_t size, int thread, bool stores,
                             bool *grew);
/* No other thread of this case has anything to do with the place, as far as is known. */
bool memory_private(const struct model_op *op, int thread);
/* The operation is not blocked. */
bool memory_ready(const struct model_op *op, int thread);
/* Their order may matter: to one another, or to whom they enable. */
bool memory_conflict(const struct model_op *a, const struct model_op *b);
/* How many stores a load may return, at least 1; 0 is the newest. */
unsigned memory_choices(const struct model_op *op, int thread);
void memory_do(struct model_op *op, int thread, unsigned choice);
/* The thread sees the newest store of each place from here on: time has passed. */
void memory_settle(int thread);
/* Whether all uses of the datum so far happen before this one. */
bool memory_use(struct model_loc *loc, int thread);
/* Which schedule this is, of all so far. */
uint64_t memory_schedule(void);
/* How many operations of each thread happen before now, as this one knows. */
const uint16_t *memory_clocks(int thread);
/* The yield of a thread waits for a change of this. */
struct model_loc *memory_last_loaded(int thread);

/* ---- model_plain.c --------------------------------------------------------------------------- */

/* The running thread's atomic access: not a race with others of its kind. */
void plain_atomic(const volatile void *addr, size_t size, bool stores);
/* Where in the code the failing access was, if it was a plain one. */
void plain_print(void);

#endif
