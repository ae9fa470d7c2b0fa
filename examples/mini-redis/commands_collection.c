/* commands_collection.c - commands on lists, sets and hashes.
 *
 * One rule holds for all three: a collection that becomes empty is no key any more.
 */
#include "commands.h"

/* As call_find_type, but a missing key is made. */
static struct key *collection_open(struct call *call, enum key_type type)
{
    struct key *key;

    if (!call_find_type(call, 1, type, &key))
        return NULL;
    return key != NULL ? key : call_add(call, 1, type);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_push(struct call *call, enum deque_end end)
{
    struct key *key = collection_open(call, KEY_LIST);

    if (key == NULL)
        return;
    for (int i = 2; i < call->argc; i++)
        deque_push(&key->value.list, end, call_str(call, i));
    reply_integer(call->reply, (int64_t)key->value.list.len);
}

void command_lpush(struct call *call)
{
    list_push(call, DEQUE_HEAD);
}

void command_rpush(struct call *call)
{
    list_push(call, DEQUE_TAIL);
}

static void list_pop_one(struct call *call, struct key *key, enum deque_end end)
{
    struct str *str = deque_pop(&key->value.list, end);

    reply_bulk_str(call->reply, str);
    str_unref(str);
}

/* LPOP key: a string. LPOP key count: an array. */
static void list_pop(struct call *call, enum deque_end end)
{
    bool counted = call->argc == 3;
    int64_t count = 1;
    struct key *key;

    if (call->argc > 3) {
        call_error_arity(call, call->command->name);
        return;
    }
    if (counted && (!integer_parse(call->argv[2].bytes, call->argv[2].len, &count) || count < 0)) {
        reply_error(call->reply, "value is out of range, must be positive");
        return;
    }
    if (!call_find_type(call, 1, KEY_LIST, &key))
        return;
    if (key == NULL) {
        if (counted)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (count > (int64_t)key->value.list.len)
        count = (int64_t)key->value.list.len;
    if (counted)
        reply_array(call->reply, (size_t)count);
    for (; count > 0; count--)
        list_pop_one(call, key, end);
    if (key->value.list.len == 0)
        call_remove(call, key);
}

void command_lpop(struct call *call)
{
    list_pop(call, DEQUE_HEAD);
}

void command_rpop(struct call *call)
{
    list_pop(call, DEQUE_TAIL);
}

void command_llen(struct call *call)
{
    struct key *key;

    if (call_find_type(call, 1, KEY_LIST, &key))
        reply_integer(call->reply, key != NULL ? (int64_t)key->value.list.len : 0);
}

void command_lrange(struct call *call)
{
    int64_t first;
    int64_t last;
    int64_t len;
    struct key *key;

    if (!call_integer(call, 2, &first) || !call_integer(call, 3, &last) ||
        !call_find_type(call, 1, KEY_LIST, &key))
        return;
    len = key != NULL ? (int64_t)key->value.list.len : 0;
    first = first < 0 ? first + len : first; /* negative counts from the end */
    first = first < 0 ? 0 : first;
    last = last < 0 ? last + len : last;
    last = last >= len ? len - 1 : last;
    if (first > last) {
        reply_array(call->reply, 0);
        return;
    }
    reply_array(call->reply, (size_t)(last - first + 1));
    for (; first <= last; first++)
        reply_bulk_str(call->reply, deque_at(&key->value.list, (size_t)first));
}

/* ---- sets ------------------------------------------------------------------------------------ */

void command_sadd(struct call *call)
{
    struct key *key = collection_open(call, KEY_SET);
    int64_t count = 0;

    if (key == NULL)
        return;
    for (int i = 2; i < call->argc; i++) {
        bool added;

        (void)member_add(key, call->argv[i].bytes, call->argv[i].len, &added);
        count += added;
    }
    reply_integer(call->reply, count);
}

void command_scard(struct call *call)
{
    struct key *key;

    if (call_find_type(call, 1, KEY_SET, &key))
        reply_integer(call->reply, key != NULL ? (int64_t)key->value.members.len : 0);
}

void command_sismember(struct call *call)
{
    struct key *key;

    if (call_find_type(call, 1, KEY_SET, &key))
        reply_integer(call->reply, key != NULL && member_find(key, call->argv[2].bytes,
                                                              call->argv[2].len) != NULL);
}

void command_smembers(struct call *call)
{
    struct dict_cursor cursor = {0};
    struct dict_entry *entry;
    struct key *key;

    if (!call_find_type(call, 1, KEY_SET, &key))
        return;
    reply_array(call->reply, key != NULL ? key->value.members.len : 0);
    while (key != NULL && (entry = dict_next(&key->value.members, &cursor)) != NULL)
        reply_bulk_str(call->reply, entry->name);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

void command_hset(struct call *call)
{
    int64_t count = 0;
    struct key *key;

    if (call->argc % 2 != 0) {
        call_error_arity(call, "hset");
        return;
    }
    key = collection_open(call, KEY_HASH);
    if (key == NULL)
        return;
    for (int i = 2; i < call->argc; i += 2) {
        bool added;
        struct member *member = member_add(key, call->argv[i].bytes, call->argv[i].len, &added);

        str_unref(member->value);
        member->value = call_str(call, i + 1);
        count += added;
    }
    reply_integer(call->reply, count);
}

void command_hget(struct call *call)
{
    struct member *member;
    struct key *key;

    if (!call_find_type(call, 1, KEY_HASH, &key))
        return;
    member = key != NULL ? member_find(key, call->argv[2].bytes, call->argv[2].len) : NULL;
    if (member != NULL)
        reply_bulk_str(call->reply, member->value);
    else
        reply_null(call->reply);
}

void command_hgetall(struct call *call)
{
    struct dict_cursor cursor = {0};
    struct member *member;
    struct key *key;

    if (!call_find_type(call, 1, KEY_HASH, &key))
        return;
    reply_array(call->reply, key != NULL ? 2 * key->value.members.len : 0);
    while (key != NULL &&
           (member = (struct member *)dict_next(&key->value.members, &cursor)) != NULL) {
        reply_bulk_str(call->reply, member->entry.name);
        reply_bulk_str(call->reply, member->value);
    }
}
