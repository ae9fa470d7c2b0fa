/* http_mem.c - memory: the C library's, and pieces that live as long as an exchange.
 *
 * An arena's block is 4 KiB, or as big as a piece that does not fit. What an arena was lent comes
 * first, so that an exchange that is small allocates nothing.
 */
#include <stddef.h>
#include <stdlib.h>

#include "http/core/http_impl.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define MEM_BLOCK ((size_t)4096)
#define MEM_ALIGN (_Alignof(max_align_t))

struct skua__http_block {
    struct skua__http_block *next;
    size_t size; /* of what follows */
    _Alignas(max_align_t) char bytes[];
};

static bool mem_fails(void)
{
#ifdef SKUA_FAULTS
    return skua__fault_hit(SKUA__FAULT_MALLOC) != 0;
#else
    return false;
#endif
}

void *skua__http_malloc(size_t size)
{
    return mem_fails() ? NULL : calloc(1, size);
}

void *skua__http_raw(size_t size)
{
    return mem_fails() ? NULL : malloc(size);
}

void *skua__http_aligned(size_t align, size_t size)
{
    void *memory;

    size = (size + align - 1) / align * align;
    memory = mem_fails() ? NULL : aligned_alloc(align, size);
    return memory != NULL ? memset(memory, 0, size) : NULL;
}

void *skua__http_realloc(void *old, size_t size)
{
    return mem_fails() ? NULL : realloc(old, size);
}

void skua__http_free(void *memory)
{
    free(memory);
}

static int mem_block(struct skua__http_arena *arena, size_t size)
{
    struct skua__http_block *block;

    if (size < MEM_BLOCK)
        size = MEM_BLOCK;
    block = mem_fails() ? NULL : malloc(sizeof *block + size);
    if (block == NULL)
        return -ENOMEM;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->next = block->bytes;
    arena->left = size;
    return 0;
}

void *skua__http_arena_alloc(struct skua__http_arena *arena, size_t size)
{
    void *piece;

    if (size > SIZE_MAX / 2)
        return NULL;
    if (size == 0)
        size = 1; /* NULL is for failure */
    size = (size + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    if (size > arena->left && mem_block(arena, size) != 0)
        return NULL;
    piece = arena->next;
    arena->next += size;
    arena->left -= size;
    return piece;
}

char *skua__http_arena_copy(struct skua__http_arena *arena, const char *text, size_t len)
{
    char *copy = skua__http_arena_alloc(arena, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void skua__http_arena_reset(struct skua__http_arena *arena)
{
    while (arena->blocks != NULL) {
        struct skua__http_block *gone = arena->blocks;

        arena->blocks = gone->next;
        free(gone);
    }
    arena->next = arena->lent;
    arena->left = arena->lent_size;
}

void skua__http_arena_lend(struct skua__http_arena *arena, char *memory, size_t size)
{
    arena->next = arena->lent = memory;
    arena->left = arena->lent_size = size;
}

void skua__http_arena_free(struct skua__http_arena *arena)
{
    skua__http_arena_lend(arena, NULL, 0);
    skua__http_arena_reset(arena);
}

#undef MEM_BLOCK
#undef MEM_ALIGN
