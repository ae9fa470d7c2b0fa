/* coro.h - a stack that can be left and come back to.
 *
 * A coro is the saved stack pointer of a parked stack, everything else lies on that stack. A
 * switch saves the callee-saved registers, swaps the stack pointers and jumps: no system call, no
 * signal mask, no allocation. It says nothing about threads: who may resume what is the business
 * of task/fiber.c.
 *
 *     skua__coro_thread(&loop);                    // the thread's own stack
 *     skua__coro_make(&coro, stack, entry, arg);   // nothing runs yet
 *     skua__coro_switch(&loop, &coro);             // entry(arg) runs, until it switches back
 *
 * Moving     a running coro may be assigned to another struct, and goes on under that name: it is
 *            how a fiber leaves its stack to its successor. A parked one may not.
 * Dying      skua__coro_leave switches away for good; then, from another stack, skua__coro_free.
 * Sanitizers are told of each switch. In a normal build a coro is 8 bytes, and thread and free
 *            do nothing. TSan can tell about 8,000 coros and threads apart and then ends the
 *            process; it keeps up to 1 MB for each. MSan is not told.
 * Traps      compilers keep thread-local addresses over a switch. Who may come back on another
 *            thread asks again, through a function that is not inlined.
 *            The rounding mode and the like are the thread's, not the coro's, but for coros that
 *            use skua__coro_switch_fp throughout.
 */
#ifndef SKUA_CORO_CORO_H
#define SKUA_CORO_CORO_H

#include "base/check.h"
#include "base/defs.h"
#include "coro/stack.h"

#if SKUA__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if SKUA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Guard of all fields: whoever may resume the coro; while it runs, itself. */
struct skua__coro {
    void *sp; /* while parked; points at the frame that coro_switch.c describes */
#if SKUA__ASAN
    void *fake;              /* its frames that ASan moved to the heap; while parked */
    const void *low;         /* of its stack */
    size_t size;             /* of its stack; a thread's is known once it was left */
    struct skua__coro *from; /* who switched here last */
    void (*entry)(void *arg);
    void *arg;
#endif
#if SKUA__TSAN
    void *tsan; /* the context that TSan keeps for it */
#endif
};

/* Makes `self` stand for the stack that the calling thread runs on. */
void skua__coro_thread(struct skua__coro *self);
/* Makes a coro that will run entry(arg) on `stack`, of which it touches the top page. `entry` must
 * not return. Nothing fails. */
void skua__coro_make(struct skua__coro *coro, struct skua__stack *stack, void (*entry)(void *arg),
                     void *arg);

/* The assembly (coro_switch.c). skua__switch returns when somebody switches to *save_sp. */
__attribute__((visibility("hidden"))) void skua__switch(void **save_sp,
                                                        void *to_sp); /* jumped to */
__attribute__((visibility("hidden"))) void skua__switch_fp(void **save_sp, void *to_sp,
                                                           uint64_t *words);
__attribute__((visibility("hidden"))) void skua__fp_read(uint64_t *words);
__attribute__((visibility("hidden"))) void skua__fp_write(const uint64_t *words);

/* Enters skua__switch and comes out of it when resumed: on x86-64 without a call, whose return
 * address would stay in the processor's return predictor for ever. Everything that a call may
 * change is named as changed. */
#if defined(__x86_64__)
#if defined(__AVX512F__)
#define SKUA__CORO_WIDE                                                                            \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define SKUA__CORO_WIDE
#endif
SKUA__INLINE void skua__coro_jump(void **save_sp, void *to_sp)
{
    __asm__ __volatile__("leaq 1f(%%rip), %%rax\n\tjmp skua__switch\n1:"
                         : "+D"(save_sp), "+S"(to_sp)
                         :
                         : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
                           "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                           "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)",
                           "st(4)", "st(5)", "st(6)", "st(7)", "memory", "cc" SKUA__CORO_WIDE);
}
#undef SKUA__CORO_WIDE
#else
SKUA__INLINE void skua__coro_jump(void **save_sp, void *to_sp)
{
    skua__switch(save_sp, to_sp);
}
#endif

/* The last thing before the registers are swapped. `fake` is where ASan puts the frames it moved,
 * or NULL to have them freed. TSan must be told right here, in a function that is inlined: the
 * entries and exits of functions that it counts would else be booked on the wrong stack. */
SKUA__INLINE void *skua__coro_depart(void **fake, struct skua__coro *from, struct skua__coro *to)
{
    void *to_sp = to->sp;

    (void)fake;
    (void)from;
#if SKUA__ASAN
    to->from = from;
    __sanitizer_start_switch_fiber(fake, to->low, to->size);
#endif
#if SKUA__TSAN
    /* With synchronization: what runs on one thread, one after the other, is ordered indeed. */
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    return to_sp;
}

/* The first thing after them. */
SKUA__INLINE void skua__coro_arrive(struct skua__coro *self)
{
    (void)self;
#if SKUA__ASAN
    /* Tells where the stack that was left lies: of a thread's nobody knew before. */
    __sanitizer_finish_switch_fiber(self->fake, &self->from->low, &self->from->size);
#endif
}

#if SKUA__ASAN
#define SKUA__CORO_FAKE(coro) (&(coro)->fake)
#else
#define SKUA__CORO_FAKE(coro) ((void **)NULL)
#endif

/* Parks `from`, which is running, and resumes `to`. Returns when `from` is resumed. 2 to 3 ns. */
SKUA__INLINE void skua__coro_switch(struct skua__coro *from, struct skua__coro *to)
{
    void *to_sp = skua__coro_depart(SKUA__CORO_FAKE(from), from, to);

    skua__coro_jump(&from->sp, to_sp);
    skua__coro_arrive(from);
}

/* ---- coros with floating-point control words of their own (rounding, traps, flush to zero) ------
 *
 * Such a coro calls skua__coro_fp_begin when it starts, leaves only by skua__coro_switch_fp, and
 * calls skua__coro_fp_end before it ends or leaves the stack to another. Others need not know:
 * it puts the thread's words back whenever it leaves. */

SKUA__INLINE void skua__coro_fp_begin(struct skua__stack *stack)
{
    skua__fp_read(&stack->fp_words);
}

SKUA__INLINE void skua__coro_fp_end(struct skua__stack *stack)
{
    skua__fp_write(&stack->fp_words);
}

/* The same for `from`, which runs on `stack`. */
SKUA__INLINE void skua__coro_switch_fp(struct skua__coro *from, struct skua__coro *to,
                                       struct skua__stack *stack)
{
    void *to_sp = skua__coro_depart(SKUA__CORO_FAKE(from), from, to);

    skua__switch_fp(&from->sp, to_sp, &stack->fp_words);
    skua__coro_arrive(from);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Leaves `from`, which is running, for good and resumes `to`. */
_Noreturn SKUA__INLINE void skua__coro_leave(struct skua__coro *from, struct skua__coro *to)
{
    void *to_sp = skua__coro_depart(NULL, from, to);

    skua__coro_jump(&from->sp, to_sp);
    __builtin_trap(); /* somebody resumed a coro that had left */
}

/* Frees what a sanitizer keeps for a coro that has left, or has never run. From another stack. */
SKUA__INLINE void skua__coro_free(struct skua__coro *coro)
{
    (void)coro;
#if SKUA__TSAN
    __tsan_destroy_fiber(coro->tsan);
#endif
}

#undef SKUA__CORO_FAKE

#endif
