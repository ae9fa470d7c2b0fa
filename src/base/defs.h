/* defs.h - the few words every file of the library uses.
 *
 * Attributes, branch hints and small arithmetic. Nothing here knows an operating system, a task
 * or a thread. GNU extensions that the library needs are named here and nowhere else.
 */
#ifndef SKUA_BASE_DEFS_H
#define SKUA_BASE_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SKUA__CACHE_LINE 64

#define skua__likely(x) __builtin_expect(!!(x), 1)
#define skua__unlikely(x) __builtin_expect(!!(x), 0)

#define SKUA__INLINE static inline __attribute__((always_inline))
#define SKUA__NOINLINE __attribute__((noinline))
#define SKUA__COLD __attribute__((cold, noinline))
#define SKUA__ALIGNED(n) __attribute__((aligned(n)))
#define SKUA__UNUSED __attribute__((unused))

/* The struct of type `type` whose member `member` is at `ptr`. */
#define skua__container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Sanitizers, as gcc and clang each announce them. */
#if defined(__SANITIZE_ADDRESS__)
#define SKUA__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKUA__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SKUA__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SKUA__TSAN 1
#endif
#endif
#ifndef SKUA__ASAN
#define SKUA__ASAN 0
#endif
#ifndef SKUA__TSAN
#define SKUA__TSAN 0
#endif

SKUA__INLINE size_t skua__min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

SKUA__INLINE size_t skua__max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Rounds `n` up to a multiple of `step`, a power of two. */
SKUA__INLINE size_t skua__round_up(size_t n, size_t step)
{
    return (n + step - 1) & ~(step - 1);
}

/* `duration` ns after `from`, or never (INT64_MAX); 0 and less is no time. For what users give. */
SKUA__INLINE int64_t skua__time_after(int64_t from, int64_t duration)
{
    if (duration <= 0)
        return from;
    return from < INT64_MAX - duration ? from + duration : INT64_MAX;
}

#endif
