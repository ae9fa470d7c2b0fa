/* model_atomic.h - the atomics of base/atomic.h, handed to the model checker.
 *
 * Included before any header of the library: it takes the include guard of base/atomic.h and gives
 * all its names, so that the library's own text, header or .c file, is what a test explores. The
 * text of the operand, the function and the line name the site in a printed schedule and among the
 * controls (model_control.c). A name that base/atomic.h gains is to be added here: until then the
 * tests that use it do not compile.
 */
#ifndef SKUA_MODEL_ATOMIC_H
#define SKUA_MODEL_ATOMIC_H

#ifdef SKUA_BASE_ATOMIC_H
#error "model_atomic.h comes before every header of the library"
#endif
#define SKUA_BASE_ATOMIC_H

#include <stdatomic.h>
#include <string.h>

#include "base/defs.h"
#include "model.h"

/* The tests are instrumented for data races (model_plain.c), but the sanitizer is not there. */
#undef SKUA__TSAN
#define SKUA__TSAN 0
#undef memcpy
#undef memset
#define memcpy(to, from, size) model_copy((to), (from), (size))
#define memset(to, byte, size) model_fill((to), (byte), (size))

#define MODEL_AT(p) MODEL_SITE(#p)
/* What *p gives when it is read: the type without _Atomic. */
#define MODEL_TYPE(p) __typeof__(((void)0, *(p)))

/* Statement expressions: a value that nobody uses is nothing to warn about. */
#define MODEL_LOAD(p, order)                                                                       \
    ({ (MODEL_TYPE(p)) model_load((p), sizeof *(p), (order), MODEL_AT(p)); })
#define MODEL_STORE(p, v, order) model_store((p), sizeof *(p), (uint64_t)(v), (order), MODEL_AT(p))
#define MODEL_RMW(kind, p, v, order)                                                               \
    ({ (MODEL_TYPE(p)) model_rmw((kind), (p), sizeof *(p), (uint64_t)(v), (order), MODEL_AT(p)); })
#define MODEL_CAS(p, want, v, order, fails)                                                        \
    model_cas((p), sizeof *(p), (want), (uint64_t)(v), (order), (fails), MODEL_AT(p))

#define skua__load_relaxed(p) MODEL_LOAD(p, memory_order_relaxed)
#define skua__load_acquire(p) MODEL_LOAD(p, memory_order_acquire)
#define skua__load_seq(p) MODEL_LOAD(p, memory_order_seq_cst)
#define skua__store_relaxed(p, v) MODEL_STORE(p, v, memory_order_relaxed)
#define skua__store_release(p, v) MODEL_STORE(p, v, memory_order_release)
#define skua__store_seq(p, v) MODEL_STORE(p, v, memory_order_seq_cst)
#define skua__xchg_acq_rel(p, v) MODEL_RMW(MODEL_SWAP, p, v, memory_order_acq_rel)
#define skua__xchg_seq(p, v) MODEL_RMW(MODEL_SWAP, p, v, memory_order_seq_cst)
#define skua__add_relaxed(p, v) MODEL_RMW(MODEL_ADD, p, v, memory_order_relaxed)
#define skua__sub_relaxed(p, v) MODEL_RMW(MODEL_SUB, p, v, memory_order_relaxed)
#define skua__add_acq_rel(p, v) MODEL_RMW(MODEL_ADD, p, v, memory_order_acq_rel)
#define skua__sub_acq_rel(p, v) MODEL_RMW(MODEL_SUB, p, v, memory_order_acq_rel)
#define skua__add_seq(p, v) MODEL_RMW(MODEL_ADD, p, v, memory_order_seq_cst)
#define skua__sub_seq(p, v) MODEL_RMW(MODEL_SUB, p, v, memory_order_seq_cst)
#define skua__or_acq_rel(p, v) MODEL_RMW(MODEL_OR, p, v, memory_order_acq_rel)
#define skua__or_seq(p, v) MODEL_RMW(MODEL_OR, p, v, memory_order_seq_cst)
#define skua__and_acq_rel(p, v) MODEL_RMW(MODEL_AND, p, v, memory_order_acq_rel)
/* A weak one never fails for nothing here: each use of it is a loop. */
#define skua__cas_acq_rel(p, want, v)                                                              \
    MODEL_CAS(p, want, v, memory_order_acq_rel, memory_order_acquire)
#define skua__cas_strong_acq_rel(p, want, v)                                                       \
    MODEL_CAS(p, want, v, memory_order_acq_rel, memory_order_acquire)
#define skua__cas_strong_seq(p, want, v)                                                           \
    MODEL_CAS(p, want, v, memory_order_seq_cst, memory_order_seq_cst)

#define skua__bump(p) skua__store_relaxed((p), skua__load_relaxed(p) + 1)
#define skua__bump_by(p, n) skua__store_relaxed((p), skua__load_relaxed(p) + (n))

#define skua__fence_seq() model_fence(MODEL_AT(fence))

/* Looking once more without anybody else having done anything shows nothing new. */
SKUA__INLINE void skua__relax(void)
{
    model_pause();
}

/* base/lock.h says its one exchange in C11. */
#undef atomic_exchange_explicit
#define atomic_exchange_explicit(p, v, order) MODEL_RMW(MODEL_SWAP, p, v, order)

#endif
