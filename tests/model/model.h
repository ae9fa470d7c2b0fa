/* model.h - a small model checker: every schedule of two to four threads, one after the other.
 *
 * A case gives threads as functions. Each of their atomic operations (model_atomic.h) is a
 * scheduling point; the explorer (model.c) runs the case again and again from the start, depth
 * first, until every order of these points was seen. A failing order is printed as a list.
 *
 * Memory     model_memory.c: not a picture of one processor, but C11's own rules in a simplified
 *            form: a load may return any store that the thread does not know to be overwritten.
 *            That is what store buffers do (x86-TSO: a store that waits in one is not read by
 *            others yet) and what weaker machines do; see there for what is left out.
 * Plain      accesses to plain memory take place at once; races between them are told by
 *            happens-before (model_plain.c), as is the use of what was freed. What has no memory of
 *            its own to be seen a test marks with model_use.
 * Controls   model_control.c: when its cases have passed, a test weakens each atomic operation of
 *            the library that they ran, and fails unless one of them fails then.
 * Rules      a case does the same each time: begin() sets everything up again, no clock, no real
 *            randomness, the same addresses. Threads touch shared plain memory only behind
 *            their first atomic operation.
 * Bounds     a case that is too large for all its schedules limits the preemptions (most bugs need
 *            two), and the loads that return old values.
 */
#ifndef SKUA_MODEL_H
#define SKUA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS 4
#define MODEL_ALL (~0u) /* no bound */

struct model_case {
    const char *name;
    void (*begin)(void); /* sets the shared state up; on no thread: atomics are plain there */
    void (*thread[MODEL_THREADS])(void); /* NULL: fewer */
    void (*end)(void);                   /* NULL, or checks: all have ended, or sleep for good */
    bool sleep_ends;      /* everybody in model_sleep: not a deadlock, but an end like another */
    unsigned preemptions; /* switches away from a thread that could go on; 0 = no bound */
    unsigned stale;       /* loads in a schedule that return an overwritten value; 0 = no bound */
};

/* Explores the case: fails the running test, with the schedule printed, when one of them fails.
 * Returns how many there are that differ. */
unsigned model_pass(const struct model_case *model);
/* The opposite: fails the test unless a failure with `text` in its message is found. */
void model_catch(const struct model_case *model, const char *text);

/* ---- for threads, begin and end -------------------------------------------------------------- */

#define model_check(cond) ((cond) ? (void)0 : model_fail(#cond))

/* Ends this schedule, and the exploration, as failed. Returns only in begin and end. */
void model_fail(const char *message);
/* The index of the running thread; -1 in begin and end. */
int model_self(void);
/* A scheduling point of its own. */
void model_point(void);
/* The caller has looked in vain and is going to look again: it goes on when another thread has done
 * something, or nobody else can. For loops that are not written with skua__os_thread_yield. */
void model_pause(void);
/* The caller takes possession of a plain datum: all earlier uses must happen before this one. */
void model_use(const void *datum);

/* The object is gone: whoever uses it from here on, or may still be using it, fails. Its memory
 * must not be made anew in the same schedule. */
void model_free(void *ptr, size_t size);
void *model_copy(void *to, const void *from, size_t size); /* memcpy, seen */
void *model_fill(void *to, int byte, size_t size);         /* memset, seen */

/* For what a stand-in does to its own counters: not looked at. */
#define MODEL_UNSEEN __attribute__((noinline, no_sanitize("thread")))

/* Something to sleep on that is rung, like an eventfd or a futex; ringing is remembered. */
struct model_bell {
    uint32_t rung;
};

void model_ring(struct model_bell *bell);
void model_sleep(struct model_bell *bell);
/* Takes what was rung without sleeping. */
bool model_hear(struct model_bell *bell);

/* ---- negative controls (model_control.c) ----------------------------------------------------- */

/* A weakening that no case has to find, by its name as a failing control prints it. */
struct model_allow {
    const char *control;
    const char *why;
};

/* To be called when all cases have passed: weakens each atomic that they ran of the `parts` of the
 * library, files and functions with spaces between, one at a time, and fails the test unless a case
 * fails then. `allow` ends with a NULL; NULL: none. */
void model_controls(const char *parts, const struct model_allow *allow);

/* ---- for model_atomic.h: orders are C11's memory_order --------------------------------------- */

enum model_kind {
    MODEL_LOAD_,
    MODEL_STORE_,
    MODEL_SWAP,
    MODEL_ADD,
    MODEL_SUB,
    MODEL_OR,
    MODEL_AND,
    MODEL_CAS_,
    MODEL_FENCE,
    MODEL_POINT,
    MODEL_YIELD, /* blocked until what was last loaded has changed */
    MODEL_SLEEP, /* blocked until not 0, then an exchange with 0 */
    MODEL_LOCK,  /* blocked until 0, then an exchange with 1 */
    MODEL_PAUSE, /* blocked until another thread has done something, or none can */
    MODEL_ENDED
};

/* An atomic operation in the text. */
struct model_site {
    const char *file;
    const char *func;
    const char *operand;
    int line;
    /* Of the controls: */
    bool known;
    uint8_t kind;
    uint8_t order;
    uint8_t weak;   /* in force: MODEL_NO_…, see model_impl.h */
    uint64_t cases; /* which ones have come here: bits */
    struct model_site *next;
};

#define MODEL_SITE(text)                                                                           \
    ({                                                                                             \
        static struct model_site site_ = {                                                         \
            .file = __FILE__, .func = __func__, .operand = (text), .line = __LINE__};              \
        &site_;                                                                                    \
    })

uint64_t model_load(const volatile void *addr, size_t size, int order, struct model_site *at);
void model_store(volatile void *addr, size_t size, uint64_t value, int order,
                 struct model_site *at);
uint64_t model_rmw(enum model_kind kind, volatile void *addr, size_t size, uint64_t value,
                   int order, struct model_site *at);
bool model_cas(volatile void *addr, size_t size, void *want, uint64_t value, int order, int fails,
               struct model_site *at);
void model_fence(struct model_site *at);
/* Waits: MODEL_LOCK or MODEL_SLEEP on a word; and for a change of what was just loaded. */
void model_block(enum model_kind kind, volatile void *addr, size_t size, int order,
                 struct model_site *at);
void model_yield(struct model_site *at);

#endif
