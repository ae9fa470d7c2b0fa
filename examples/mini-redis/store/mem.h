/* mem.h - memory, or the end.
 *
 * A store that cannot hold what it was told to hold has nothing sensible left to say; like the
 * real server, this one ends with a message. So no caller has to look for NULL, and no half-made
 * change has to be taken back. What a stranger can announce is bounded elsewhere: the parser
 * allocates for what has arrived, replies have a limit.
 */
#ifndef MINI_REDIS_MEM_H
#define MINI_REDIS_MEM_H

#include <stdio.h>
#include <stdlib.h>

static inline void *mem_checked(void *memory, size_t size)
{
    if (memory == NULL && size > 0) {
        fprintf(stderr, "mini-redis: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

static inline void *mem_alloc(size_t size)
{
    return mem_checked(malloc(size), size);
}

static inline void *mem_zeroed(size_t count, size_t size)
{
    return mem_checked(calloc(count, size), count * size);
}

static inline void *mem_resize(void *memory, size_t size)
{
    return mem_checked(realloc(memory, size), size);
}

#endif
