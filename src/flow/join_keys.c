/* join_keys.c - the table of a join map: which task has which key.
 *
 * Table      linear hashing (Litwin, 1980; Larson, 1988): each new key over one a bucket adds one
 *            bucket, and splits the one whose keys may belong there. So no step is longer than a
 *            chain, as fits a spin lock: a table that doubles would move all keys at once.
 * Memory     segments of 8, 8, 16, 32 ... pointers; the first one is in the map itself. Whoever
 *            brings the next one allocates it without the lock.
 * Order      nodes with the same key are in one bucket, newest first: a split keeps the order.
 * Hash       FNV-1a from a seed of the map's own, with its high bits folded in, because the low
 *            ones choose the bucket.
 */
#include <string.h>

#include "flow/join_impl.h"

/* ---- buckets --------------------------------------------------------------------------------- */

/* The largest power of two that is not larger. */
static size_t join_keys_level(size_t buckets)
{
    return (size_t)1 << (63 - __builtin_clzll(buckets));
}

static size_t join_keys_index(const struct skua__join_keys *keys, uint64_t hash)
{
    size_t level = join_keys_level(keys->buckets);
    size_t index = (size_t)hash & (2 * level - 1);

    return index < keys->buckets ? index : index - level; /* that one is not there yet */
}

/* Segment 0 has buckets 0 to 7, segment n > 0 those from 4 << n to (8 << n) - 1. */
static unsigned join_keys_segment(size_t index)
{
    return index < SKUA__JOIN_SEGMENT0 ? 0 : 61 - (unsigned)__builtin_clzll(index);
}

static struct skua__join_keyed **join_keys_bucket(struct skua__join_keys *keys, size_t index)
{
    unsigned segment = join_keys_segment(index);

    return &keys->segments[segment][segment == 0 ? index : index - ((size_t)4 << segment)];
}

/* ---- growing --------------------------------------------------------------------------------- */

void skua__join_keys_init(struct skua__join_keys *keys)
{
    keys->segments[0] = keys->first;
    keys->buckets = SKUA__JOIN_SEGMENT0;
    keys->seed = skua__os_random();
}

size_t skua__join_keys_wants(const struct skua__join_keys *keys)
{
    unsigned segment = join_keys_segment(keys->buckets);

    if (keys->count < keys->buckets || segment >= SKUA__JOIN_SEGMENTS ||
        keys->segments[segment] != NULL)
        return 0;
    return ((size_t)4 << segment) * sizeof(struct skua__join_keyed *);
}

bool skua__join_keys_bring(struct skua__join_keys *keys, void *memory, size_t size)
{
    /* Another may have brought it meanwhile; then the next one is of another size. */
    if (skua__join_keys_wants(keys) != size)
        return false;
    keys->segments[join_keys_segment(keys->buckets)] = memory;
    return true;
}

/* One bucket more, if there is memory for it. */
static void join_keys_grow(struct skua__join_keys *keys)
{
    unsigned segment = join_keys_segment(keys->buckets);
    struct skua__join_keyed **from;
    struct skua__join_keyed **to;
    struct skua__join_keyed *keyed;
    size_t fresh = keys->buckets;

    if (segment >= SKUA__JOIN_SEGMENTS || keys->segments[segment] == NULL)
        return; /* chains get longer, and that is all */
    from = join_keys_bucket(keys, fresh - join_keys_level(fresh));
    to = join_keys_bucket(keys, fresh);
    keys->buckets++;
    while ((keyed = *from) != NULL) {
        if (join_keys_index(keys, keyed->hash) != fresh) {
            from = &keyed->below;
            continue;
        }
        *from = keyed->below;
        *to = keyed;
        to = &keyed->below;
    }
    *to = NULL;
}

void skua__join_keys_free(struct skua__join_keys *keys)
{
    for (unsigned i = 1; i < SKUA__JOIN_SEGMENTS; i++)
        skua__os_free(keys->segments[i]);
}

/* ---- keys ------------------------------------------------------------------------------------ */

uint64_t skua__join_keys_hash(const struct skua__join_keys *keys, const void *key, size_t key_len)
{
    const unsigned char *bytes = key;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ keys->seed;

    for (size_t i = 0; i < key_len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

/* The first in a chain with a key. */
static struct skua__join_keyed *join_keys_scan(struct skua__join_keyed *chain, uint64_t hash,
                                               const void *key, size_t key_len)
{
    while (chain != NULL && (chain->hash != hash || chain->key_len != key_len ||
                             (key_len != 0 && memcmp(chain->key, key, key_len) != 0)))
        chain = chain->below;
    return chain;
}

/* Whether the table has a node with the key of this one, which is not in it. */
static bool join_keys_has(struct skua__join_keys *keys, const struct skua__join_keyed *keyed)
{
    return skua__join_keys_find(keys, keyed->hash, keyed->key, keyed->key_len) != NULL;
}

void skua__join_keys_add(struct skua__join_keys *keys, struct skua__join_keyed *keyed)
{
    struct skua__join_keyed **bucket;

    keys->count += !join_keys_has(keys, keyed);
    if (keys->count > keys->buckets)
        join_keys_grow(keys);
    bucket = join_keys_bucket(keys, join_keys_index(keys, keyed->hash));
    keyed->below = *bucket;
    *bucket = keyed;
}

void skua__join_keys_remove(struct skua__join_keys *keys, struct skua__join_keyed *keyed)
{
    struct skua__join_keyed **at = join_keys_bucket(keys, join_keys_index(keys, keyed->hash));

    while (*at != keyed)
        at = &(*at)->below;
    *at = keyed->below;
    keys->count -= !join_keys_has(keys, keyed);
}

struct skua__join_keyed *skua__join_keys_find(struct skua__join_keys *keys, uint64_t hash,
                                              const void *key, size_t key_len)
{
    return join_keys_scan(*join_keys_bucket(keys, join_keys_index(keys, hash)), hash, key, key_len);
}

struct skua__join_keyed *skua__join_keys_older(struct skua__join_keyed *keyed)
{
    return join_keys_scan(keyed->below, keyed->hash, keyed->key, keyed->key_len);
}
