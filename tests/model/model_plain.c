/* model_plain.c - plain memory: races by happens-before, and use of what was freed.
 *
 * The tests are compiled with the compiler's own instrumentation for data races, which calls a
 * function at each access to memory; but instead of its library they are linked with this file. So
 * each load and store of the library's text is seen, to locks' objects, to cells, to frames of
 * another thread.
 *
 * Clocks     each thread counts its atomic operations; what it knows of the others' counts travels
 *            with its view (model_memory.c), by release, acquire and fences as C11 has it. Two
 *            accesses to a byte are a race when one is a store, not both are atomic, and the later
 *            thread does not know of the earlier one's moment. Whether they met in this schedule
 *            does not matter: one in which they are not ordered is enough.
 * Free       model_free counts as a store to all of it; what comes later, by anybody, fails.
 * Bytes      are kept by granules of 8; what is of an earlier schedule counts as untouched.
 */
#include "model_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRANULE 8u
#define GRANULES (1u << 15)
#define ACCESSES 4

/* A number for each byte. */
typedef uint16_t lanes __attribute__((vector_size(2 * GRANULE)));

struct granule {
    uintptr_t key; /* address / GRANULE; 0: unused */
    uint64_t schedule;
    lanes freed;                        /* all bits of a byte's number: it is */
    lanes did[ACCESSES][MODEL_THREADS]; /* the thread's latest moment; 0: never */
};

enum access { PLAIN_LOAD, PLAIN_STORE, ATOMIC_LOAD, ATOMIC_STORE };

/* With which an access is a race, when it is not ordered behind it. */
static const uint8_t races_with[ACCESSES] = {[PLAIN_LOAD] = 1u << PLAIN_STORE | 1u << ATOMIC_STORE,
                                             [PLAIN_STORE] = 1u << PLAIN_LOAD | 1u << PLAIN_STORE |
                                                             1u << ATOMIC_LOAD | 1u << ATOMIC_STORE,
                                             [ATOMIC_LOAD] = 1u << PLAIN_STORE,
                                             [ATOMIC_STORE] = 1u << PLAIN_LOAD | 1u << PLAIN_STORE};

static struct granule granules[GRANULES];
static unsigned granule_count;
static const void *guilty; /* the code of the failing access */

static struct granule *granule_of(uintptr_t key)
{
    unsigned at = (unsigned)(key * 0x9e3779b97f4a7c15u >> 40) % GRANULES;
    struct granule *granule;

    while (granules[at].key != key && granules[at].key != 0)
        at = (at + 1) % GRANULES;
    granule = &granules[at];
    if (granule->key == 0) {
        if (++granule_count == GRANULES / 2) {
            fprintf(stderr, "model: too much plain memory\n");
            abort();
        }
        granule->key = key;
    }
    if (granule->schedule != memory_schedule()) {
        granule->schedule = memory_schedule();
        granule->freed = (lanes){0};
        memset(granule->did, 0, sizeof granule->did);
    }
    return granule;
}

static bool lanes_any(lanes bits)
{
    uint64_t halves[2];

    memcpy(halves, &bits, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* `count` bytes from the first one on: all bits of their numbers. */
static lanes lanes_of(unsigned first, unsigned count)
{
    static const uint16_t window[] = {0,     0,     0,     0,     0,     0,     0,     0,
                                      65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535,
                                      0,     0,     0,     0,     0,     0,     0,     0};
    lanes from, to;

    memcpy(&from, window + GRANULE - first, sizeof from);
    memcpy(&to, window + 2 * GRANULE - first - count, sizeof to);
    return from & to;
}

static void granule_access(struct granule *granule, lanes bytes, enum access access, int self,
                           const uint16_t *known)
{
    uint8_t others = races_with[access];
    lanes bad = {0};

    if (lanes_any(granule->freed & bytes))
        model_fail("memory is used after it was freed");
    for (unsigned kind = 0; kind < ACCESSES; kind++)
        for (int t = 0; t < MODEL_THREADS && others & 1u << kind; t++)
            if (t != self)
                bad |= (lanes)(granule->did[kind][t] > known[t]);
    if (lanes_any(bad & bytes))
        model_fail(access >= ATOMIC_LOAD ? "race: an atomic, and a plain access to it"
                                         : "race: plain memory, by two at a time");
    granule->did[access][self] =
        (granule->did[access][self] & ~bytes) | ((bytes & 1) * known[self]);
}

static void plain_access(const volatile void *addr, size_t size, enum access access,
                         const void *code)
{
    uintptr_t at = (uintptr_t)addr;
    int self = model_self();
    const uint16_t *known;

    if (self < 0 || size == 0)
        return;
    known = memory_clocks(self);
    guilty = code;
    while (size != 0) {
        unsigned first = at % GRANULE;
        unsigned count = size < GRANULE - first ? (unsigned)size : GRANULE - first;

        granule_access(granule_of(at / GRANULE), lanes_of(first, count), access, self, known);
        at += count;
        size -= count;
    }
    guilty = NULL;
}

void plain_atomic(const volatile void *addr, size_t size, bool stores)
{
    plain_access(addr, size, stores ? ATOMIC_STORE : ATOMIC_LOAD, NULL);
}

void model_free(void *ptr, size_t size)
{
    uintptr_t at = (uintptr_t)ptr;

    if (model_self() < 0)
        return;
    plain_access(ptr, size, PLAIN_STORE, __builtin_return_address(0));
    for (size_t i = 0; i < size; i++, at++)
        granule_of(at / GRANULE)->freed |= lanes_of(at % GRANULE, 1);
}

void plain_print(void)
{
    extern const char __executable_start[];

    if (guilty != NULL)
        printf("model: by the code at 0x%tx (addr2line -fie)\n",
               (const char *)guilty - __executable_start);
    guilty = NULL;
}

/* ---- what the compiler calls ----------------------------------------------------------------- */

void *model_copy(void *to, const void *from, size_t size)
{
    plain_access(from, size, PLAIN_LOAD, __builtin_return_address(0));
    plain_access(to, size, PLAIN_STORE, __builtin_return_address(0));
    return memcpy(to, from, size);
}

void *model_fill(void *to, int byte, size_t size)
{
    plain_access(to, size, PLAIN_STORE, __builtin_return_address(0));
    return memset(to, byte, size);
}

#define PLAIN_ACCESS(name, size, access)                                                           \
    void name(void *addr);                                                                         \
    void name(void *addr)                                                                          \
    {                                                                                              \
        plain_access(addr, size, access, __builtin_return_address(0));                             \
    }

#define PLAIN_RANGE(name, access)                                                                  \
    void name(void *addr, size_t size);                                                            \
    void name(void *addr, size_t size)                                                             \
    {                                                                                              \
        plain_access(addr, size, access, __builtin_return_address(0));                             \
    }

#define PLAIN_NOTHING(name)                                                                        \
    void name(void *unused);                                                                       \
    void name(void *unused)                                                                        \
    {                                                                                              \
        (void)unused;                                                                              \
    }

/* clang-format off */
PLAIN_ACCESS(__tsan_read1, 1, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_read2, 2, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_read4, 4, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_read8, 8, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_read16, 16, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_write1, 1, PLAIN_STORE)
PLAIN_ACCESS(__tsan_write2, 2, PLAIN_STORE)
PLAIN_ACCESS(__tsan_write4, 4, PLAIN_STORE)
PLAIN_ACCESS(__tsan_write8, 8, PLAIN_STORE)
PLAIN_ACCESS(__tsan_write16, 16, PLAIN_STORE)
PLAIN_ACCESS(__tsan_unaligned_read2, 2, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_unaligned_read4, 4, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_unaligned_read8, 8, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_unaligned_read16, 16, PLAIN_LOAD)
PLAIN_ACCESS(__tsan_unaligned_write2, 2, PLAIN_STORE)
PLAIN_ACCESS(__tsan_unaligned_write4, 4, PLAIN_STORE)
PLAIN_ACCESS(__tsan_unaligned_write8, 8, PLAIN_STORE)
PLAIN_ACCESS(__tsan_unaligned_write16, 16, PLAIN_STORE)
PLAIN_RANGE(__tsan_read_range, PLAIN_LOAD)
PLAIN_RANGE(__tsan_write_range, PLAIN_STORE)
PLAIN_NOTHING(__tsan_func_entry)
PLAIN_NOTHING(__tsan_func_exit)
PLAIN_NOTHING(__tsan_init)
/* clang-format on */

/* Statistics, which are atomics without base/atomic.h: seen, but no scheduling points. */
uint64_t __tsan_atomic64_load(const volatile uint64_t *addr, int order);
void __tsan_atomic64_store(volatile uint64_t *addr, uint64_t value, int order);

uint64_t __tsan_atomic64_load(const volatile uint64_t *addr, int order)
{
    (void)order;
    plain_access(addr, sizeof *addr, ATOMIC_LOAD, __builtin_return_address(0));
    return *addr;
}

void __tsan_atomic64_store(volatile uint64_t *addr, uint64_t value, int order)
{
    (void)order;
    plain_access(addr, sizeof *addr, ATOMIC_STORE, __builtin_return_address(0));
    *addr = value;
}

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memset(void *to, int byte, size_t size);

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    return model_copy(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size)
{
    return model_fill(to, byte, size);
}
