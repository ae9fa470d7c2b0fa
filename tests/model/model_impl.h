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
    const char *at;
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
/* The yield of a thread waits for a change of this. */
struct model_loc *memory_last_loaded(int thread);

#endif
