/* deque.c - the ring behind a list; see deque.h. */
#include <string.h>

#include "deque.h"
#include "mem.h"

#define DEQUE_CAPACITY_MIN 4

static size_t deque_slot(const struct deque *deque, size_t n)
{
    return (deque->head + n) & (deque->capacity - 1);
}

/* Moves everything into a ring of another size, the first string to slot 0. */
static void deque_rebuild(struct deque *deque, size_t capacity)
{
    struct str **slots = mem_alloc(capacity * sizeof *slots);

    for (size_t n = 0; n < deque->len; n++)
        slots[n] = deque->slots[deque_slot(deque, n)];
    free(deque->slots);
    deque->slots = slots;
    deque->capacity = capacity;
    deque->head = 0;
}

void deque_push(struct deque *deque, enum deque_end end, struct str *str)
{
    if (deque->len == deque->capacity)
        deque_rebuild(deque, deque->capacity > 0 ? 2 * deque->capacity : DEQUE_CAPACITY_MIN);
    if (end == DEQUE_HEAD)
        deque->head = deque_slot(deque, deque->capacity - 1);
    deque->len++;
    deque->slots[deque_slot(deque, end == DEQUE_HEAD ? 0 : deque->len - 1)] = str;
}

struct str *deque_pop(struct deque *deque, enum deque_end end)
{
    struct str *str = deque->slots[deque_slot(deque, end == DEQUE_HEAD ? 0 : deque->len - 1)];

    if (end == DEQUE_HEAD)
        deque->head = deque_slot(deque, 1);
    deque->len--;
    /* An eighth, not a half: a list that breathes around a power of two must not rebuild. */
    if (deque->capacity > DEQUE_CAPACITY_MIN && deque->len <= deque->capacity / 8)
        deque_rebuild(deque, deque->capacity / 2);
    return str;
}

struct str *deque_at(const struct deque *deque, size_t n)
{
    return deque->slots[deque_slot(deque, n)];
}

void deque_clear(struct deque *deque)
{
    for (size_t n = 0; n < deque->len; n++)
        str_unref(deque_at(deque, n));
    free(deque->slots);
    memset(deque, 0, sizeof *deque);
}
