/* heap.h - which key expires first: a binary heap whose nodes know where they are.
 *
 * The place is kept in the node, so that a key which gets another expiry, or none, costs
 * O(log n) and leaves nothing stale behind: SET k v EX 10 in a loop keeps one node, not thousands.
 */
#ifndef MINI_REDIS_HEAP_H
#define MINI_REDIS_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_NEVER INT64_MAX

struct heap_node {
    int64_t when; /* ms; HEAP_NEVER = not in the heap */
    size_t place; /* its index while it is in the heap */
};

struct heap {
    struct heap_node **nodes; /* nodes[0] is the first */
    size_t len;
    size_t capacity;
};

/* Puts a node in, moves it, or (HEAP_NEVER) takes it out. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t when);
/* The node that comes first, or NULL. */
struct heap_node *heap_first(const struct heap *heap);
/* Frees the array; the nodes are their owners'. */
void heap_clear(struct heap *heap);

#endif
