/* heap.c - the heap of expiries; see heap.h. */
#include <string.h>

#include "heap.h"
#include "mem.h"

static void heap_put(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place] = node;
    node->place = place;
}

static void heap_up(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;

    while (place > 0) {
        struct heap_node *parent = heap->nodes[(place - 1) / 2];

        if (parent->when <= node->when)
            break;
        heap_put(heap, place, parent);
        place = (place - 1) / 2;
    }
    heap_put(heap, place, node);
}

static void heap_down(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;

    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= heap->len)
            break;
        if (child + 1 < heap->len && heap->nodes[child + 1]->when < heap->nodes[child]->when)
            child++;
        if (node->when <= heap->nodes[child]->when)
            break;
        heap_put(heap, place, heap->nodes[child]);
        place = child;
    }
    heap_put(heap, place, node);
}

static void heap_append(struct heap *heap, struct heap_node *node)
{
    if (heap->len == heap->capacity) {
        heap->capacity = heap->capacity > 0 ? 2 * heap->capacity : 16;
        heap->nodes = mem_resize(heap->nodes, heap->capacity * sizeof(struct heap_node *));
    }
    heap_put(heap, heap->len++, node);
}

static void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *last = heap->nodes[--heap->len];

    node->when = HEAP_NEVER;
    if (last == node)
        return;
    heap_put(heap, node->place, last);
    heap_up(heap, last);
    heap_down(heap, last);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t when)
{
    if (when == HEAP_NEVER) {
        if (node->when != HEAP_NEVER)
            heap_remove(heap, node);
        return;
    }
    if (node->when == HEAP_NEVER)
        heap_append(heap, node);
    node->when = when;
    heap_up(heap, node);
    heap_down(heap, node);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->len > 0 ? heap->nodes[0] : NULL;
}

void heap_clear(struct heap *heap)
{
    free(heap->nodes);
    memset(heap, 0, sizeof *heap);
}
