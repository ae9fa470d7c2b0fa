/* store.c - shards, keys and their end; see store.h. */
#include "store.h"
#include "mem.h"

#define STORE_SMALL (16 * 1024) /* a string that is freed on the spot, even under a lock */

static struct store_shard *store_shard(struct store *store, uint64_t hash)
{
    return &store->shards[hash >> 58]; /* the top bits: a shard's table uses the low ones */
}

uint64_t store_shard_of(uint64_t hash)
{
    return UINT64_C(1) << (hash >> 58);
}

/* ---- life ------------------------------------------------------------------------------------ */

void store_init(struct store *store)
{
    *store = (struct store){0};
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        pthread_mutex_init(&store->shards[i].lock, NULL);
}

void store_done(struct store *store)
{
    struct store_trash trash = {0};

    store_flush(store, &trash);
    store_trash_empty(&trash);
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        pthread_mutex_destroy(&store->shards[i].lock);
}

/* ---- locking --------------------------------------------------------------------------------- */

void store_lock(struct store *store, uint64_t shards)
{
    for (; shards != 0; shards &= shards - 1)
        pthread_mutex_lock(&store->shards[__builtin_ctzll(shards)].lock);
}

void store_unlock(struct store *store, uint64_t shards)
{
    for (; shards != 0; shards &= shards - 1)
        pthread_mutex_unlock(&store->shards[__builtin_ctzll(shards)].lock);
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct key *store_find(struct store *store, const char *name, size_t len, uint64_t hash,
                       int64_t now, struct store_trash *trash)
{
    struct key *key = (struct key *)dict_find(&store_shard(store, hash)->keys, name, len, hash);

    if (key != NULL && key->expiry.when <= now) {
        store_remove(store, key, trash);
        return NULL;
    }
    return key;
}

struct key *store_add(struct store *store, const char *name, size_t len, uint64_t hash,
                      enum key_type type)
{
    struct key *key = mem_alloc(sizeof *key);

    *key = (struct key){.entry = {.name = str_new(name, len), .hash = hash},
                        .expiry.when = HEAP_NEVER,
                        .type = type};
    dict_add(&store_shard(store, hash)->keys, &key->entry);
    return key;
}

static void store_throw(struct key *key, struct store_trash *trash)
{
    key->entry.next = trash->first != NULL ? &trash->first->entry : NULL;
    trash->first = key;
}

void store_remove(struct store *store, struct key *key, struct store_trash *trash)
{
    struct store_shard *shard = store_shard(store, key->entry.hash);

    heap_set(&shard->expiries, &key->expiry, HEAP_NEVER);
    dict_remove(&shard->keys, &key->entry);
    store_throw(key, trash);
}

void store_replace(struct key *key, struct str *value, struct store_trash *trash)
{
    struct str *old = key->value.string;

    key->value.string = value;
    if (old == NULL || old->len < STORE_SMALL) {
        str_unref(old);
        return;
    }
    trash->strings = mem_resize(trash->strings, (trash->strings_len + 1) * sizeof old);
    trash->strings[trash->strings_len++] = old;
}

void store_expire(struct store *store, struct key *key, int64_t when)
{
    heap_set(&store_shard(store, key->entry.hash)->expiries, &key->expiry, when);
}

/* ---- the whole store ------------------------------------------------------------------------- */

size_t store_len(const struct store *store)
{
    size_t len = 0;

    for (unsigned i = 0; i < STORE_SHARDS; i++)
        len += store->shards[i].keys.len;
    return len;
}

void store_flush(struct store *store, struct store_trash *trash)
{
    for (unsigned i = 0; i < STORE_SHARDS; i++) {
        struct store_shard *shard = &store->shards[i];
        struct dict_cursor cursor = {0};
        struct dict_entry *entry;

        while ((entry = dict_next(&shard->keys, &cursor)) != NULL)
            store_throw((struct key *)entry, trash); /* the cursor has its next already */
        dict_clear(&shard->keys);
        heap_clear(&shard->expiries);
    }
}

int64_t store_sweep(struct store *store, unsigned shard_index, int64_t now, size_t limit)
{
    struct store_shard *shard = &store->shards[shard_index];
    struct store_trash trash = {0};
    struct heap_node *first;
    int64_t next;

    pthread_mutex_lock(&shard->lock);
    while ((first = heap_first(&shard->expiries)) != NULL && first->when <= now && limit-- > 0)
        store_remove(store, (struct key *)((char *)first - offsetof(struct key, expiry)), &trash);
    next = first != NULL ? first->when : HEAP_NEVER;
    pthread_mutex_unlock(&shard->lock);
    store_trash_empty(&trash);
    return next;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void members_free(struct dict *members)
{
    struct dict_cursor cursor = {0};
    struct member *member;

    while ((member = (struct member *)dict_next(members, &cursor)) != NULL) {
        str_unref(member->entry.name);
        str_unref(member->value);
        free(member);
    }
    dict_clear(members);
}

void store_trash_empty(struct store_trash *trash)
{
    struct key *key;

    while (trash->strings_len > 0)
        str_unref(trash->strings[--trash->strings_len]);
    free(trash->strings);
    trash->strings = NULL;
    while ((key = trash->first) != NULL) {
        trash->first = (struct key *)key->entry.next;
        if (key->type == KEY_STRING)
            str_unref(key->value.string);
        else if (key->type == KEY_LIST)
            deque_clear(&key->value.list);
        else
            members_free(&key->value.members);
        str_unref(key->entry.name);
        free(key);
    }
}

struct member *member_find(const struct key *key, const char *name, size_t len)
{
    return (struct member *)dict_find(&key->value.members, name, len, dict_hash(name, len));
}

struct member *member_add(struct key *key, const char *name, size_t len, bool *added)
{
    struct member *member = member_find(key, name, len);

    *added = member == NULL;
    if (member != NULL)
        return member;
    member = mem_alloc(sizeof *member);
    *member = (struct member){.entry = {.name = str_new(name, len), .hash = dict_hash(name, len)}};
    dict_add(&key->value.members, &member->entry);
    return member;
}
