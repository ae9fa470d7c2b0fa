/* coro_switch.c - the switch itself: thirty instructions of assembly an architecture.
 *
 * Each parked stack ends, at its lowest address, with the same frame: the callee-saved registers
 * and the address to go on at. x86-64, eight bytes each, from sp upwards:
 *
 *     r15 r14 r13 r12 rbx rbp pc
 *
 * aarch64, 160 bytes: x29 x30(pc) x19..x28 d8..d15. A new coro gets the same frame, made by hand:
 * its pc is skua__coro_start, which finds entry and arg in two callee-saved registers.
 *
 * Why so
 *   - Out of line: an inline switch is 1 or 2 ns faster, but has no unwind information, and a
 *     profiler that samples it walks into nowhere. Here the CFI is right at every instruction,
 *     because both stacks have the same layout: the swap of sp changes nothing for the unwinder.
 *     A debugger shows a parked stack with sp = coro.sp, pc = skua__switch_parked.
 *   - A jump, not a return: the return-address predictor holds the way back of the other stack
 *     and would be wrong wherever two coros parked at different places (9 ns instead of 3). And
 *     on x86-64 no call either: a call that no return answers leaves that predictor one entry off,
 *     so that every return after a switch is mispredicted (measured: a yield of 28 ns instead of
 *     16). The caller hands its address over in a register and jumps, see skua__coro_jump.
 *   - The bottom frame has an undefined return address and a frame pointer of zero, for the two
 *     kinds of unwinders; both have run off the end of a stack elsewhere.
 *   - Control words (MXCSR, x87, FPCR) are not swapped; skua__switch_fp does, for coros that ask.
 *   - Landing pads stand at each entry (endbr64, bti). Return addresses have none, so the jump is
 *     `notrack`, and on aarch64 with BTI it is a `ret`, which need not land on one.
 *   - Shadow stacks (CET) do not go with one stack pointer alone. This file makes no claim to
 *     support them; but the compiler claims it for us with -fcf-protection=full, so that the
 *     library should be built with =branch, and a thread that has one is refused.
 *
 * The assembly stands at top level, so that the file can be compiled as a part of another.
 */
#include "coro/coro.h"

/* What a new coro starts at; never called from C. */
__attribute__((visibility("hidden"))) void skua__coro_start(void);

#if defined(__x86_64__)

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl skua__switch\n"
        ".hidden skua__switch\n"
        ".type skua__switch, @function\n"
        "skua__switch:\n" /* (save_sp, to_sp), and in rax where to go on */
        ".cfi_startproc\n"
        ".cfi_def_cfa %rsp, 0\n"
        ".cfi_register %rip, %rax\n"
        "    leaq -128(%rsp), %rsp\n" /* over the caller's red zone */
        ".cfi_adjust_cfa_offset 128\n"
        "    pushq %rax\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %rip, 0\n"
        "    pushq %rbp\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %rbp, 0\n"
        "    pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %rbx, 0\n"
        "    pushq %r12\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %r12, 0\n"
        "    pushq %r13\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %r13, 0\n"
        "    pushq %r14\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %r14, 0\n"
        "    pushq %r15\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %r15, 0\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        ".globl skua__switch_parked\n"
        ".hidden skua__switch_parked\n"
        "skua__switch_parked:\n"
        "    popq %r15\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %r15\n"
        "    popq %r14\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %r14\n"
        "    popq %r13\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %r13\n"
        "    popq %r12\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %r12\n"
        "    popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %rbx\n"
        "    popq %rbp\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore %rbp\n"
        "    popq %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_register %rip, %rcx\n"
        "    leaq 128(%rsp), %rsp\n"
        ".cfi_adjust_cfa_offset -128\n"
        "    notrack jmpq *%rcx\n"
        ".cfi_endproc\n"
        ".size skua__switch, . - skua__switch\n"

        ".p2align 4\n"
        ".globl skua__switch_fp\n"
        ".hidden skua__switch_fp\n"
        ".type skua__switch_fp, @function\n"
        "skua__switch_fp:\n" /* (save_sp, to_sp, the thread's words) */
        ".cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset %rbp, 0\n"
        "    movq %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "    pushq %rbx\n"
        ".cfi_offset %rbx, -24\n"
        "    subq $24, %rsp\n"
        "    movq %rdx, %rbx\n"
        "    stmxcsr (%rsp)\n" /* ours to the frame, the thread's from *words */
        "    fnstcw 4(%rsp)\n"
        "    ldmxcsr (%rbx)\n"
        "    fldcw 4(%rbx)\n"
        "    leaq 1f(%rip), %rax\n"
        "    jmp skua__switch\n"
        "1:\n"
        "    stmxcsr (%rbx)\n" /* maybe another thread's: take its words, restore ours */
        "    fnstcw 4(%rbx)\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    movq -8(%rbp), %rbx\n"
        ".cfi_restore %rbx\n"
        "    leave\n"
        ".cfi_def_cfa %rsp, 8\n"
        ".cfi_restore %rbp\n"
        "    popq %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_register %rip, %rcx\n"
        "    notrack jmpq *%rcx\n"
        ".cfi_endproc\n"
        ".size skua__switch_fp, . - skua__switch_fp\n"

        ".globl skua__fp_read\n"
        ".hidden skua__fp_read\n"
        ".type skua__fp_read, @function\n"
        "skua__fp_read:\n"
        ".cfi_startproc\n"
        "    endbr64\n"
        "    stmxcsr (%rdi)\n"
        "    fnstcw 4(%rdi)\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size skua__fp_read, . - skua__fp_read\n"

        ".globl skua__fp_write\n"
        ".hidden skua__fp_write\n"
        ".type skua__fp_write, @function\n"
        "skua__fp_write:\n"
        ".cfi_startproc\n"
        "    endbr64\n"
        "    ldmxcsr (%rdi)\n"
        "    fldcw 4(%rdi)\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size skua__fp_write, . - skua__fp_write\n"

        ".p2align 4\n"
        ".globl skua__coro_start\n"
        ".hidden skua__coro_start\n"
        ".type skua__coro_start, @function\n"
        "skua__coro_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined %rip\n"
        "    endbr64\n"
        "    xorl %ebp, %ebp\n"
        "    movq %rbx, %rdi\n"
        "    callq *%r12\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size skua__coro_start, . - skua__coro_start\n"
        ".popsection\n"
        ".pushsection .note.GNU-stack, \"\", @progbits\n"
        ".popsection\n");

/* The frame of a parked coro. */
struct coro_frame {
    uintptr_t r15;
    uintptr_t r14;
    uintptr_t r13;
    uintptr_t r12;
    uintptr_t rbx;
    uintptr_t rbp;
    uintptr_t pc;
    uintptr_t end; /* not of the frame: zero where a naive unwinder looks for a return address */
};

static void coro_frame_fill(struct coro_frame *frame, void (*entry)(void *), void *arg)
{
    frame->r12 = (uintptr_t)entry;
    frame->rbx = (uintptr_t)arg;
    frame->pc = (uintptr_t)skua__coro_start;
}

/* Above the frame: skua__coro_start wants &frame->end to be a multiple of 16. */
#define CORO_FRAME_PAD 8
#define CORO_RED_ZONE 128 /* skipped when the frame is left */
_Static_assert(offsetof(struct coro_frame, pc) == 48, "what the assembly says");
_Static_assert((sizeof(uintptr_t) + CORO_FRAME_PAD) % 16 == 0, "sp at the call of entry");

#elif defined(__aarch64__)

/* `ret` by another register than x30 predicts no better than `br`; only BTI tells them apart. */
#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define CORO_JUMP "    ret x9\n"
#else
#define CORO_JUMP "    br x9\n"
#endif

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl skua__switch\n"
        ".hidden skua__switch\n"
        ".type skua__switch, %function\n"
        "skua__switch:\n"
        ".cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        ".cfi_def_cfa_offset 160\n"
        "    stp x29, x30, [sp]\n"
        "    stp x19, x20, [sp, #16]\n"
        "    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        ".cfi_rel_offset x29, 0\n"
        ".cfi_rel_offset x30, 8\n"
        ".cfi_rel_offset x19, 16\n"
        ".cfi_rel_offset x20, 24\n"
        ".cfi_rel_offset x21, 32\n"
        ".cfi_rel_offset x22, 40\n"
        ".cfi_rel_offset x23, 48\n"
        ".cfi_rel_offset x24, 56\n"
        ".cfi_rel_offset x25, 64\n"
        ".cfi_rel_offset x26, 72\n"
        ".cfi_rel_offset x27, 80\n"
        ".cfi_rel_offset x28, 88\n"
        ".cfi_rel_offset d8, 96\n"
        ".cfi_rel_offset d9, 104\n"
        ".cfi_rel_offset d10, 112\n"
        ".cfi_rel_offset d11, 120\n"
        ".cfi_rel_offset d12, 128\n"
        ".cfi_rel_offset d13, 136\n"
        ".cfi_rel_offset d14, 144\n"
        ".cfi_rel_offset d15, 152\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        ".globl skua__switch_parked\n"
        ".hidden skua__switch_parked\n"
        "skua__switch_parked:\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp x25, x26, [sp, #64]\n"
        "    ldp x23, x24, [sp, #48]\n"
        "    ldp x21, x22, [sp, #32]\n"
        "    ldp x19, x20, [sp, #16]\n"
        "    ldp x29, x30, [sp]\n"
        "    mov x9, x30\n"
        "    add sp, sp, #160\n"
        ".cfi_def_cfa_offset 0\n"
        ".cfi_restore x29\n"
        ".cfi_restore x30\n"
        ".cfi_restore x19\n"
        ".cfi_restore x20\n"
        ".cfi_restore x21\n"
        ".cfi_restore x22\n"
        ".cfi_restore x23\n"
        ".cfi_restore x24\n"
        ".cfi_restore x25\n"
        ".cfi_restore x26\n"
        ".cfi_restore x27\n"
        ".cfi_restore x28\n"
        ".cfi_restore d8\n"
        ".cfi_restore d9\n"
        ".cfi_restore d10\n"
        ".cfi_restore d11\n"
        ".cfi_restore d12\n"
        ".cfi_restore d13\n"
        ".cfi_restore d14\n"
        ".cfi_restore d15\n" CORO_JUMP ".cfi_endproc\n"
        ".size skua__switch, . - skua__switch\n"

        ".p2align 4\n"
        ".globl skua__switch_fp\n"
        ".hidden skua__switch_fp\n"
        ".type skua__switch_fp, %function\n"
        "skua__switch_fp:\n" /* (save_sp, to_sp, the thread's word) */
        ".cfi_startproc\n"
        "    hint #34\n"
        "    stp x29, x30, [sp, #-32]!\n"
        ".cfi_def_cfa_offset 32\n"
        ".cfi_rel_offset x29, 0\n"
        ".cfi_rel_offset x30, 8\n"
        "    mov x29, sp\n"
        "    str x19, [sp, #16]\n"
        ".cfi_rel_offset x19, 16\n"
        "    mov x19, x2\n"
        "    mrs x9, fpcr\n" /* ours to the frame, the thread's from *words */
        "    str x9, [sp, #24]\n"
        "    ldr x9, [x19]\n"
        "    msr fpcr, x9\n"
        "    bl skua__switch\n"
        "    mrs x9, fpcr\n" /* maybe another thread's: take its word, restore ours */
        "    str x9, [x19]\n"
        "    ldr x9, [sp, #24]\n"
        "    msr fpcr, x9\n"
        "    ldr x19, [sp, #16]\n"
        ".cfi_restore x19\n"
        "    ldp x29, x30, [sp], #32\n"
        ".cfi_restore x29\n"
        ".cfi_restore x30\n"
        ".cfi_def_cfa_offset 0\n"
        "    mov x9, x30\n" CORO_JUMP ".cfi_endproc\n"
        ".size skua__switch_fp, . - skua__switch_fp\n"

        ".globl skua__fp_read\n"
        ".hidden skua__fp_read\n"
        ".type skua__fp_read, %function\n"
        "skua__fp_read:\n"
        ".cfi_startproc\n"
        "    hint #34\n"
        "    mrs x9, fpcr\n"
        "    str x9, [x0]\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size skua__fp_read, . - skua__fp_read\n"

        ".globl skua__fp_write\n"
        ".hidden skua__fp_write\n"
        ".type skua__fp_write, %function\n"
        "skua__fp_write:\n"
        ".cfi_startproc\n"
        "    hint #34\n"
        "    ldr x9, [x0]\n"
        "    msr fpcr, x9\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size skua__fp_write, . - skua__fp_write\n"

        ".p2align 4\n"
        ".globl skua__coro_start\n"
        ".hidden skua__coro_start\n"
        ".type skua__coro_start, %function\n"
        "skua__coro_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "    hint #38\n" /* bti jc */
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, x20\n"
        "    blr x19\n"
        "    brk #0x1\n"
        ".cfi_endproc\n"
        ".size skua__coro_start, . - skua__coro_start\n"
        ".popsection\n"
        ".pushsection .note.GNU-stack, \"\", %progbits\n"
        ".popsection\n");

#undef CORO_JUMP

/* The frame of a parked coro. */
struct coro_frame {
    uintptr_t x29;
    uintptr_t pc;
    uintptr_t x19;
    uintptr_t x20;
    uintptr_t x21_28[8];
    uintptr_t d8_15[8];
};

static void coro_frame_fill(struct coro_frame *frame, void (*entry)(void *), void *arg)
{
    frame->x19 = (uintptr_t)entry;
    frame->x20 = (uintptr_t)arg;
    frame->pc = (uintptr_t)skua__coro_start;
}

#define CORO_FRAME_PAD 0
#define CORO_RED_ZONE 0
_Static_assert(sizeof(struct coro_frame) == 160, "what the assembly says");

#else
#error "coro_switch.c knows x86-64 and aarch64 only"
#endif

/* Stacks lie at even distances, so their tops would share a few sets of the first-level cache:
 * they begin at different lines, up to 1 KiB apart; the first frames stay in the top page. */
#define CORO_COLOURS 16u

static uintptr_t coro_top(const struct skua__stack *stack)
{
    /* Descriptors lie next to each other, a cache line each: neighbours get different colours. */
    uintptr_t colour = (uintptr_t)stack / SKUA__CACHE_LINE % CORO_COLOURS;

    return (uintptr_t)stack->low + stack->size - colour * SKUA__CACHE_LINE;
}

#if SKUA__ASAN
/* The bottom frame in ASan builds: reports the arrival, which nobody else could here. */
__attribute__((no_sanitize_address)) static void coro_begin(void *arg)
{
    struct skua__coro *self = arg;

    self->fake = NULL;
    skua__coro_arrive(self);
    self->entry(self->arg);
    __builtin_trap();
}
#endif

static bool coro_shadow_stack(void)
{
    uintptr_t shadow = 0;

#if defined(__x86_64__) && defined(__CET__)
    __asm__ __volatile__("rdsspq %0" : "+r"(shadow)); /* does nothing where there is none */
#endif
    return shadow != 0;
}

void skua__coro_thread(struct skua__coro *self)
{
    skua__assert(!coro_shadow_stack());
    *self = (struct skua__coro){.sp = NULL};
#if SKUA__TSAN
    self->tsan = __tsan_get_current_fiber();
#endif
}

void skua__coro_make(struct skua__coro *coro, struct skua__stack *stack, void (*entry)(void *arg),
                     void *arg)
{
    struct coro_frame *frame =
        (struct coro_frame *)(coro_top(stack) - CORO_FRAME_PAD - CORO_RED_ZONE - sizeof *frame);

    *frame = (struct coro_frame){.pc = 0};
    *coro = (struct skua__coro){.sp = frame};
#if SKUA__ASAN
    coro->low = stack->low;
    coro->size = stack->size;
    coro->entry = entry;
    coro->arg = arg;
    entry = coro_begin;
    arg = coro;
#endif
#if SKUA__TSAN
    coro->tsan = __tsan_create_fiber(0);
#endif
    coro_frame_fill(frame, entry, arg);
}

#undef CORO_COLOURS
#undef CORO_FRAME_PAD
#undef CORO_RED_ZONE
