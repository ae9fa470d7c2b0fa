/* join_impl.h - what the files of the join set share: join_set.c (spawning, ends, letting go),
 * join_next.c (taking), join_map.c and join_keys.c (keys).
 *
 * A node stands for each task, from its spawn until its result is taken:
 *
 *   from       event                               to        in
 *   -          spawn begins                        SPAWNING  no list
 *   SPAWNING   its task ends already               WOKEN     no list
 *   SPAWNING   spawn done                          RUNNING   set->running, then ->cancelled
 *   WOKEN      spawn done                          ENDED     set->ended
 *   RUNNING    its task ends                       ENDED     set->ended
 *   ENDED      taken                               TAKEN     nobody else has it
 *   RUNNING, ENDED  detached                       TAKEN
 *
 * So a node belongs to its spawner while it is SPAWNING or WOKEN, then to the set, under its lock,
 * and to one taker at the end. In an ordered set it is in set->line from the beginning, too; in a
 * map in the table of keys, unless another has replaced it.
 */
#ifndef SKUA_FLOW_JOIN_IMPL_H
#define SKUA_FLOW_JOIN_IMPL_H

#include <skua/join_set.h>

#include "base/list.h"
#include "sync/sync_wait.h"

/* skua__join_node.state */
#define SKUA__JOIN_SPAWNING 0u
#define SKUA__JOIN_WOKEN 1u
#define SKUA__JOIN_RUNNING 2u
#define SKUA__JOIN_ENDED 3u
#define SKUA__JOIN_TAKEN 4u

struct skua__join_node {
    struct skua__node link;  /* see above; lock */
    struct skua__node line;  /* ordered: the spawns, oldest first; lock */
    skua_join_set *set;      /* constant */
    skua_custom_waker waker; /* what the task's end wakes; constant */
    skua_join_future join;   /* the spawner's, then the taker's */
    skua_task_id id;         /* the spawner's, then constant */
    uint64_t tag;            /* constant */
    int result;              /* the taker's */
    uint8_t state;           /* lock */
    bool unwanted;           /* lock: while spawning: is to be cancelled */
    bool replaced;           /* lock, until taken: its key is another's */
};

/* A node of a map. */
struct skua__join_keyed {
    struct skua__join_node node;
    struct skua__join_keyed *below; /* in its bucket, newest first; lock */
    uint64_t hash;                  /* constant, as the next */
    size_t key_len;
    unsigned char key[];
};

/* A table of keys that grows bucket by bucket (join_keys.c). Guard: the set's lock. */
#define SKUA__JOIN_SEGMENT0 8u
#define SKUA__JOIN_SEGMENTS 48u

struct skua__join_keys {
    struct skua__join_keyed **segments[SKUA__JOIN_SEGMENTS];
    struct skua__join_keyed *first[SKUA__JOIN_SEGMENT0];
    size_t buckets; /* in use */
    size_t count;   /* keys: while one is being replaced it has several nodes */
    uint64_t seed;  /* constant */
};

struct skua_join_set {
    skua_runtime *runtime;        /* constant, as the next */
    skua_scope *scope;            /* looked at by spawns only: it may be gone before the set */
    struct skua__join_keys *keys; /* NULL: not a map; constant */
    skua_waiter_list waiters;     /* lock, as all below */
    struct skua__node running;
    struct skua__node cancelled; /* still running, too: those that cancel_all has met */
    struct skua__node ended;
    struct skua__node line; /* ordered: all, by skua__join_node.line */
    size_t len;
    size_t refs; /* the owner's, and one of each waiter: the last one frees */
    uint8_t lock;
    bool ordered; /* constant */
    bool closed;
};

struct skua_join_map {
    struct skua_join_set set; /* first: it is one */
    struct skua__join_keys keys;
};

/* What is to be spawned. */
struct skua__join_spawn {
    const skua_site *site;
    skua_fiber_fn fn;
    void *arg;
    bool polls; /* a poll task: the next three instead */
    skua_poll_fn poll;
    const void *state;
    size_t state_size;
    const skua_spawn_options *options;
};

SKUA__INLINE struct skua__lock *skua__join_lock(skua_join_set *set)
{
    return skua__sync_lock(&set->lock);
}

SKUA__INLINE struct skua__join_keyed *skua__join_keyed(struct skua__join_node *node)
{
    return skua__container(node, struct skua__join_keyed, node);
}

/* ---- join_set.c ------------------------------------------------------------------------------ */

/* 0, or why a set may not be opened; fills in `set`, which is zeroed, on success. */
int skua__join_set_init(skua_join_set *set, skua_scope *scope,
                        const skua_join_set_options *options);
/* Gives back a reference on the set; the last one frees it. */
void skua__join_release(skua_join_set *set);
void skua__join_free(skua_join_set *set);
/* Spawns; the node is zeroed but for its tag and key, and is the set's or freed afterwards. */
int skua__join_spawn(skua_join_set *set, struct skua__join_node *node,
                     const struct skua__join_spawn *spawn);
/* Under the lock: whoever waits is to look, if there is something to see. */
void skua__join_tell(skua_join_set *set, struct skua__chain *chain);
/* Under the lock: takes the node that is next in turn, or NULL. */
struct skua__join_node *skua__join_take(skua_join_set *set);

/* ---- join_next.c ----------------------------------------------------------------------------- */

/* How nodes are given out. */
struct skua__join_taker {
    skua_future_ops ops; /* the future's */
    /* Fills in the caller's `joined` from a node that is to be freed; NULL: close, which throws all
     * away. */
    void (*give)(const struct skua__join_node *node, void *joined);
};

skua_future *skua__join_next_init(skua_sync_future *self, skua_join_set *set, void *joined,
                                  const struct skua__join_taker *taker);
int skua__join_next(skua_join_set *set, void *joined, const struct skua__join_taker *taker,
                    int64_t deadline);
int skua__join_try_next(skua_join_set *set, void *joined, const struct skua__join_taker *taker);
skua_poll skua__join_next_poll(skua_future *future, skua_waker *waker);
void skua__join_next_drop(skua_future *future);
/* Waits, shielded, until a closed set is empty. */
void skua__join_drain(skua_join_set *set);

/* ---- join_keys.c: all under the lock --------------------------------------------------------- */

void skua__join_keys_init(struct skua__join_keys *keys);
/* The bytes of memory that the table needs before it can grow, or 0; and who brings them. True when
 * they are taken. */
size_t skua__join_keys_wants(const struct skua__join_keys *keys);
bool skua__join_keys_bring(struct skua__join_keys *keys, void *memory, size_t size);
/* Frees the table's own memory. Without the lock. */
void skua__join_keys_free(struct skua__join_keys *keys);
uint64_t skua__join_keys_hash(const struct skua__join_keys *keys, const void *key, size_t key_len);
/* Puts a node before all others with its key. */
void skua__join_keys_add(struct skua__join_keys *keys, struct skua__join_keyed *keyed);
void skua__join_keys_remove(struct skua__join_keys *keys, struct skua__join_keyed *keyed);
/* The newest node with a key; the next older one with the same key; or NULL. */
struct skua__join_keyed *skua__join_keys_find(struct skua__join_keys *keys, uint64_t hash,
                                              const void *key, size_t key_len);
struct skua__join_keyed *skua__join_keys_older(struct skua__join_keyed *keyed);

#endif
