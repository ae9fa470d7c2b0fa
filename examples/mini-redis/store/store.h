/* store.h - the keys and their values, shared by all workers.
 *
 * The keyspace is cut in 64 shards by the top bits of a name's hash; a shard is a table, a heap of
 * expiries and a plain mutex. A command names the shards it needs as a bit mask and locks them all
 * before it starts, lowest first, so that no two commands can wait for each other in a circle.
 * Therefore every command is atomic, MSET over ten shards too, and no command handler contains a
 * lock.
 *
 * A mutex of the system is right here although fibers run on it: it is held for microseconds and
 * never over a wait, and a fiber stays on its thread between its waits. What takes long, freeing
 * above all, is put into a store_trash and done after the unlock.
 *
 * This folder knows nothing of Skua: time comes in as milliseconds of any steady clock.
 */
#ifndef MINI_REDIS_STORE_H
#define MINI_REDIS_STORE_H

#include <pthread.h>

#include "deque.h"
#include "dict.h"
#include "heap.h"

#define STORE_SHARDS 64
#define STORE_ALL_SHARDS UINT64_MAX

enum key_type { KEY_STRING, KEY_LIST, KEY_SET, KEY_HASH };

struct key {
    struct dict_entry entry; /* first: its name, in its shard's table; shard lock */
    struct heap_node expiry; /* shard lock */
    enum key_type type;      /* constant */
    union {                  /* shard lock */
        struct str *string;
        struct deque list;
        struct dict members; /* KEY_SET, KEY_HASH: of struct member */
    } value;
};

/* An element of a set, or a field of a hash. */
struct member {
    struct dict_entry entry; /* first: the element, the field's name */
    struct str *value;       /* the field's; NULL in a set */
};

struct store_shard {
    pthread_mutex_t lock;
    struct dict keys;           /* lock */
    struct heap expiries;       /* lock */
} __attribute__((aligned(64))); /* two workers on two shards do not share a cache line */

struct store {
    struct store_shard shards[STORE_SHARDS];
};

/* What is out of the store and waits to be freed, outside the locks. Starts zeroed. */
struct store_trash {
    struct key *first; /* linked by entry.next */
    struct str **strings;
    size_t strings_len;
};

void store_init(struct store *store);
/* Frees everything; nobody uses the store any more. */
void store_done(struct store *store);

/* The bit of the shard in which a name with this hash lives. */
uint64_t store_shard_of(uint64_t hash);
void store_lock(struct store *store, uint64_t shards);
void store_unlock(struct store *store, uint64_t shards);

/* ---- with the lock of the key's shard -------------------------------------------------------- */

/* The key, or NULL; one whose time has come is thrown away here already. */
struct key *store_find(struct store *store, const char *name, size_t len, uint64_t hash,
                       int64_t now, struct store_trash *trash);
/* Adds an empty key; there is none of that name. A string's value is for the caller to set. */
struct key *store_add(struct store *store, const char *name, size_t len, uint64_t hash,
                      enum key_type type);
/* Takes a key out. */
void store_remove(struct store *store, struct key *key, struct store_trash *trash);
/* Gives a string key another value, whose reference it takes over. */
void store_replace(struct key *key, struct str *value, struct store_trash *trash);
/* Sets when a key expires, HEAP_NEVER for never. */
void store_expire(struct store *store, struct key *key, int64_t when);

/* ---- with the locks of all shards ------------------------------------------------------------ */

size_t store_len(const struct store *store);
/* Takes everything out. */
void store_flush(struct store *store, struct store_trash *trash);

/* ---- without any lock ------------------------------------------------------------------------ */

/* Frees what was thrown away. */
void store_trash_empty(struct store_trash *trash);

/* Throws away at most `limit` keys of one shard whose time has come.
 *
 * Returns    when the shard's next key expires (not after `now`: there are more), or HEAP_NEVER
 */
int64_t store_sweep(struct store *store, unsigned shard, int64_t now, size_t limit);

/* ---- values ---------------------------------------------------------------------------------- */

struct member *member_find(const struct key *key, const char *name, size_t len);
/* The member of that name, made if there was none; *added tells. */
struct member *member_add(struct key *key, const char *name, size_t len, bool *added);

#endif
