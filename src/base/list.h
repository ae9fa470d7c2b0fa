/* list.h - intrusive lists: a doubly linked ring with a head, and a FIFO of single links.
 *
 * A node lives inside what it lists, so that queuing never allocates. Neither list locks: each
 * head names its guard. Every operation is O(1).
 */
#ifndef SKUA_BASE_LIST_H
#define SKUA_BASE_LIST_H

#include "base/defs.h"

struct skua__node {
    struct skua__node *next;
    struct skua__node *prev;
};

/* An empty list is a head that points at itself; a node that is in no list has next == NULL. */
SKUA__INLINE void skua__list_init(struct skua__node *head)
{
    head->next = head;
    head->prev = head;
}

SKUA__INLINE bool skua__list_empty(const struct skua__node *head)
{
    return head->next == head;
}

SKUA__INLINE bool skua__node_linked(const struct skua__node *node)
{
    return node->next != NULL;
}

SKUA__INLINE void skua__list_push(struct skua__node *head, struct skua__node *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

SKUA__INLINE void skua__node_unlink(struct skua__node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = NULL;
    node->prev = NULL;
}

/* Takes the oldest node, or NULL. */
SKUA__INLINE struct skua__node *skua__list_pop(struct skua__node *head)
{
    struct skua__node *node = head->next;

    if (node == head)
        return NULL;
    skua__node_unlink(node);
    return node;
}

/* Moves everything in `from` behind what is in `to`. */
SKUA__INLINE void skua__list_splice(struct skua__node *to, struct skua__node *from)
{
    if (skua__list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    skua__list_init(from);
}

#endif
