/* dict.h - a hash table whose entries live inside what they find.
 *
 * One table for everything that has names: the keys of a shard, the members of a set, the fields
 * of a hash, the channels. The owner embeds a dict_entry as the FIRST member of its struct, so
 * that a key costs one allocation and an entry never moves.
 *
 * The hash is SipHash-1-2 with a key drawn at start: names come from strangers, and a stranger
 * who knew the hash could put all of them into one bucket.
 */
#ifndef MINI_REDIS_DICT_H
#define MINI_REDIS_DICT_H

#include "str.h"

struct dict_entry {
    struct dict_entry *next; /* in the bucket */
    struct str *name;        /* one reference */
    uint64_t hash;           /* dict_hash of the name */
};

struct dict {
    struct dict_entry **buckets;
    size_t capacity; /* buckets: a power of two, or 0 */
    size_t len;
};

/* Where an iteration is; zeroed before the first step. */
struct dict_cursor {
    size_t bucket;
    struct dict_entry *next;
};

/* Draws the hash's key; before the first table is used. */
void dict_seed(void);
uint64_t dict_hash(const char *name, size_t len);

struct dict_entry *dict_find(const struct dict *dict, const char *name, size_t len, uint64_t hash);
/* Adds an entry whose name and hash are set, and whose name is not in the table. */
void dict_add(struct dict *dict, struct dict_entry *entry);
/* Takes out an entry that is in the table; it stays the owner's. */
void dict_remove(struct dict *dict, struct dict_entry *entry);
/* The next entry, or NULL; the one that was returned last may have been freed. */
struct dict_entry *dict_next(const struct dict *dict, struct dict_cursor *cursor);
/* Frees the buckets; the entries are the owner's. */
void dict_clear(struct dict *dict);

#endif
