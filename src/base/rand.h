/* rand.h - a fast random number generator for one thread: xorshift64* (Vigna, 2016).
 *
 * For victims, jitter and shuffles; never for secrets. The state is the owner thread's alone.
 */
#ifndef SKUA_BASE_RAND_H
#define SKUA_BASE_RAND_H

#include "base/defs.h"

struct skua__rand {
    uint64_t state; /* never zero */
};

SKUA__INLINE void skua__rand_seed(struct skua__rand *rng, uint64_t seed)
{
    /* One step of splitmix64, so that neighbouring seeds are strangers. */
    seed += 0x9e3779b97f4a7c15u;
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
    seed ^= seed >> 31;
    rng->state = seed != 0 ? seed : 1;
}

SKUA__INLINE uint64_t skua__rand_next(struct skua__rand *rng)
{
    uint64_t x = rng->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* A number below `bound`, by multiplication instead of division (Lemire, 2018). */
SKUA__INLINE uint32_t skua__rand_below(struct skua__rand *rng, uint32_t bound)
{
    return (uint32_t)(((skua__rand_next(rng) >> 32) * bound) >> 32);
}

#endif
