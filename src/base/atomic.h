/* atomic.h - C11 atomics behind a shim.
 *
 * Every atomic of the library goes through these names, so that a model checker or a recording
 * build can replace them in one place. The suffix states the ordering; a use that is not
 * sequentially consistent says beside it which operation it pairs with, and why that is enough.
 */
#ifndef SKUA_BASE_ATOMIC_H
#define SKUA_BASE_ATOMIC_H

#include <stdatomic.h>

#include "base/defs.h"

#define skua__load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define skua__load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define skua__load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)
#define skua__store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define skua__store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define skua__store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define skua__xchg_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define skua__xchg_seq(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define skua__add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define skua__sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define skua__add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define skua__sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define skua__add_seq(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define skua__sub_seq(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define skua__or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define skua__or_seq(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define skua__and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define skua__cas_acq_rel(p, want, v)                                                              \
    atomic_compare_exchange_weak_explicit((p), (want), (v), memory_order_acq_rel,                  \
                                          memory_order_acquire)
#define skua__cas_strong_acq_rel(p, want, v)                                                       \
    atomic_compare_exchange_strong_explicit((p), (want), (v), memory_order_acq_rel,                \
                                            memory_order_acquire)
#define skua__cas_strong_seq(p, want, v)                                                           \
    atomic_compare_exchange_strong_explicit((p), (want), (v), memory_order_seq_cst,                \
                                            memory_order_seq_cst)

/* A counter with one writer and any number of readers: a plain add that tears for nobody. */
#define skua__bump(p) skua__store_relaxed((p), skua__load_relaxed(p) + 1)
#define skua__bump_by(p, n) skua__store_relaxed((p), skua__load_relaxed(p) + (n))

/* The full fence of a store-then-load handshake (Dekker). TSan does not model fences: there it is
 * a read-modify-write of a shared word, which TSan does understand, and which orders as strongly.
 */
#if SKUA__TSAN
extern _Atomic unsigned skua__tsan_fence;
#define skua__fence_seq() ((void)atomic_fetch_add(&skua__tsan_fence, 1))
#else
#define skua__fence_seq() atomic_thread_fence(memory_order_seq_cst)
#endif

/* Tells the processor that this is a spin loop. */
SKUA__INLINE void skua__relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
