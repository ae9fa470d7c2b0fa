/* join_map.c - a join set whose tasks have keys; see join_impl.h.
 *
 * A map is a set with a table of keys: the same nodes, with the key behind them, the same lock, and
 * the same ways to end, to wait and to close.
 *
 *   event                          table                            the older task
 *   spawn begins                   the new node before the old one  untouched
 *   spawn fails                    the new node is out              keeps the key
 *   spawn done                     the old node is out              cancelled; whoever takes its
 *                                                                   result throws it away
 *   taken, detached                out, unless replaced
 *
 * Race       several spawns with one key at a time: the one whose node came last wins, whichever of
 *            them is done first. One that loses while it is spawning cancels its task itself.
 */
#include <string.h>

#include "flow/join_impl.h"

/* ---- opening and closing --------------------------------------------------------------------- */

int skua_join_map_open(skua_join_map **ret, skua_scope *scope, const skua_join_set_options *options)
{
    skua_join_map *map;
    int rc;

    if (ret == NULL)
        return -EINVAL;
    map = skua__os_alloc(sizeof *map);
    if (map == NULL)
        return -ENOMEM;
    rc = skua__join_set_init(&map->set, scope, options);
    if (rc != 0) {
        skua__os_free(map);
        return rc;
    }
    map->set.keys = &map->keys;
    skua__join_keys_init(&map->keys);
    *ret = map;
    return 0;
}

int skua_join_map_close(skua_join_map *map)
{
    return map == NULL ? 0 : skua_join_set_close(&map->set);
}

/* ---- spawning -------------------------------------------------------------------------------- */

/* Memory for the table to grow. */
static int join_map_provide(skua_join_map *map)
{
    struct skua__lock *lock = skua__join_lock(&map->set);
    void *memory;
    size_t size;
    bool taken;

    skua__lock_take(lock);
    size = skua__join_keys_wants(&map->keys);
    skua__lock_drop(lock);
    if (size == 0)
        return 0;
    memory = skua__os_alloc(size);
    if (memory == NULL)
        return -ENOMEM;
    skua__lock_take(lock);
    taken = skua__join_keys_bring(&map->keys, memory, size);
    skua__lock_drop(lock);
    if (!taken)
        skua__os_free(memory);
    return 0;
}

static int join_map_spawn(skua_join_map *map, const void *key, size_t key_len,
                          const struct skua__join_spawn *spawn)
{
    struct skua__join_keyed *keyed;
    int rc;

    if (key_len > SKUA_JOIN_KEY_MAX || (key == NULL && key_len != 0) ||
        (spawn->options != NULL && spawn->options->size != sizeof *spawn->options))
        return -EINVAL;
    rc = join_map_provide(map);
    if (rc != 0)
        return rc;
    keyed = skua__os_alloc(sizeof *keyed + key_len);
    if (keyed == NULL)
        return -ENOMEM;
    keyed->hash = skua__join_keys_hash(&map->keys, key, key_len);
    keyed->key_len = key_len;
    if (key_len != 0)
        memcpy(keyed->key, key, key_len);
    return skua__join_spawn(&map->set, &keyed->node, spawn);
}

int skua_join_map_spawn_at(const skua_site *site, skua_join_map *map, const void *key,
                           size_t key_len, skua_fiber_fn fn, void *arg,
                           const skua_spawn_options *options)
{
    const struct skua__join_spawn spawn = {.site = site, .fn = fn, .arg = arg, .options = options};

    return join_map_spawn(map, key, key_len, &spawn);
}

int skua_join_map_spawn_poll_at(const skua_site *site, skua_join_map *map, const void *key,
                                size_t key_len, skua_poll_fn fn, const void *state,
                                size_t state_size, const skua_spawn_options *options)
{
    const struct skua__join_spawn spawn = {.site = site,
                                           .polls = true,
                                           .poll = fn,
                                           .state = state,
                                           .state_size = state_size,
                                           .options = options};

    return join_map_spawn(map, key, key_len, &spawn);
}

/* ---- taking results -------------------------------------------------------------------------- */

static void join_map_give(const struct skua__join_node *node, void *to)
{
    const struct skua__join_keyed *keyed = skua__container(node, struct skua__join_keyed, node);
    skua_map_joined *joined = to;
    size_t part = keyed->key_len < joined->key_room ? keyed->key_len : joined->key_room;

    joined->key_len = keyed->key_len;
    joined->id = node->id;
    joined->result = node->result;
    if (joined->key != NULL && part != 0)
        memcpy(joined->key, keyed->key, part);
}

static const struct skua__join_taker join_map_taker = {
    .ops = {"join_map.next", skua__join_next_poll, skua__join_next_drop}, .give = join_map_give};

skua_future *skua_join_map_next_init(skua_sync_future *next, skua_join_map *map,
                                     skua_map_joined *joined)
{
    return skua__join_next_init(next, &map->set, joined, &join_map_taker);
}

int skua_join_map_next(skua_join_map *map, skua_map_joined *joined)
{
    return skua__join_next(&map->set, joined, &join_map_taker, SKUA_FOREVER);
}

int skua_join_map_next_until(skua_join_map *map, skua_map_joined *joined, int64_t deadline)
{
    return skua__join_next(&map->set, joined, &join_map_taker, deadline);
}

int skua_join_map_try_next(skua_join_map *map, skua_map_joined *joined)
{
    return skua__join_try_next(&map->set, joined, &join_map_taker);
}

/* ---- keys ------------------------------------------------------------------------------------ */

int skua_join_map_contains(skua_join_map *map, const void *key, size_t key_len)
{
    uint64_t hash = skua__join_keys_hash(&map->keys, key, key_len);
    bool found;

    skua__lock_take(skua__join_lock(&map->set));
    found = skua__join_keys_find(&map->keys, hash, key, key_len) != NULL;
    skua__lock_drop(skua__join_lock(&map->set));
    return found;
}

size_t skua_join_map_len(skua_join_map *map)
{
    size_t count;

    skua__lock_take(skua__join_lock(&map->set));
    count = map->keys.count;
    skua__lock_drop(skua__join_lock(&map->set));
    return count;
}

int skua_join_map_cancel(skua_join_map *map, const void *key, size_t key_len)
{
    uint64_t hash = skua__join_keys_hash(&map->keys, key, key_len);
    struct skua__join_keyed *keyed;
    skua_task *task = NULL;
    int rc = -ESRCH;

    skua__lock_take(skua__join_lock(&map->set));
    keyed = skua__join_keys_find(&map->keys, hash, key, key_len);
    /* Their spawners cancel them; but such a spawn may fail, and leave the key to the one below. */
    for (; keyed != NULL && keyed->node.state == SKUA__JOIN_SPAWNING;
         keyed = skua__join_keys_older(keyed)) {
        keyed->node.unwanted = true;
        rc = 0;
    }
    if (keyed != NULL && keyed->node.state == SKUA__JOIN_RUNNING &&
        skua__task_ref_alive(keyed->node.join.task, 0)) {
        task = keyed->node.join.task;
        rc = 0;
    }
    skua__lock_drop(skua__join_lock(&map->set));
    if (task != NULL) {
        (void)skua__task_cancel(task);
        skua__task_unref(skua__thread_self(), task);
    }
    return rc;
}

void skua_join_map_cancel_all(skua_join_map *map)
{
    skua_join_set_cancel_all(&map->set);
}

void skua_join_map_detach_all(skua_join_map *map)
{
    skua_join_set_detach_all(&map->set);
}
