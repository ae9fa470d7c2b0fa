/* deque.h - a list with two ends: a ring of strings that doubles when it is full.
 *
 * Push and pop at either end cost O(1), as does looking at the n-th: LRANGE needs no walk.
 */
#ifndef MINI_REDIS_DEQUE_H
#define MINI_REDIS_DEQUE_H

#include "str.h"

enum deque_end { DEQUE_HEAD, DEQUE_TAIL };

struct deque {
    struct str **slots;
    size_t capacity; /* a power of two, or 0 */
    size_t head;     /* the slot of the first string */
    size_t len;
};

/* Takes over a reference. */
void deque_push(struct deque *deque, enum deque_end end, struct str *str);
/* Hands a reference over; the deque is not empty. */
struct str *deque_pop(struct deque *deque, enum deque_end end);
/* The n-th string, borrowed; n < len. */
struct str *deque_at(const struct deque *deque, size_t n);
/* Lets go of every string, and of the ring. */
void deque_clear(struct deque *deque);

#endif
