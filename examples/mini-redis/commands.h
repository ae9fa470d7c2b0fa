/* commands.h - a command: its row in the table, its call, its handler.
 *
 * command_run looks the name up, checks the number of arguments, locks the shards of the keys that
 * the row names, runs the handler, unlocks. A handler therefore sees nothing of locks: it reads
 * call->argv, uses the store, and says call->reply. It must not wait; the handlers that do
 * (SUBSCRIBE) have no keys, hence no lock.
 */
#ifndef MINI_REDIS_COMMANDS_H
#define MINI_REDIS_COMMANDS_H

#include "conn.h"

/* One run of a command. */
struct call {
    struct server *server;
    struct conn *conn;
    const struct command *command;
    int argc;
    const struct arg *argv; /* argv[0] is the command's name */
    struct reply *reply;
    int64_t now;              /* ms */
    uint64_t hash;            /* of the first key */
    struct str **prepared;    /* long arguments that were copied before the lock; or NULL */
    struct store_trash trash; /* freed after the unlock */
    int64_t expires;          /* the first expiry that was set, HEAP_NEVER if none */
};

#define COMMAND_WRITES 0x1u     /* may store its arguments */
#define COMMAND_WHOLE 0x2u      /* needs every shard */
#define COMMAND_SUBSCRIBED 0x4u /* a subscriber may use it */

struct command {
    const char *name; /* lower case */
    void (*run)(struct call *call);
    int arity; /* arguments with the name; -n = at least n */
    unsigned flags;
    int first_key; /* argv[first_key], every `step`-th up to last_key (-1: the last argument) */
    int last_key;  /* first_key 0 = no keys */
    int step;
};

/* Runs one command of a connection; the reply goes to conn->reply. */
void command_run(struct conn *conn, int argc, const struct arg *argv);

/* All commands, sorted by name. */
extern const struct command command_table[];
extern const size_t command_table_len;

/* ---- for handlers ---------------------------------------------------------------------------- */

/* Whether an argument is this word, in upper or lower case. */
bool arg_is(const struct arg *arg, const char *word);

/* The key that argv[i] names, or NULL. */
struct key *call_find(struct call *call, int i);
/* As call_find, into *key, for a key of this type. False: it is of another, and that was said. */
bool call_find_type(struct call *call, int i, enum key_type type, struct key **key);
/* Adds the key that argv[i] names; there is none. */
struct key *call_add(struct call *call, int i, enum key_type type);
void call_remove(struct call *call, struct key *key);
void call_expire(struct call *call, struct key *key, int64_t when);
/* argv[i] as a string to be stored: a reference for the caller. */
struct str *call_str(struct call *call, int i);
/* argv[i] as a number. False: it is none, and that was said. */
bool call_integer(struct call *call, int i, int64_t *number);

void call_error_syntax(struct call *call);
void call_error_integer(struct call *call);
/* "wrong number of arguments for 'name' command" */
void call_error_arity(struct call *call, const char *name);

/* ---- the handlers: commands_server.c, _keys.c, _string.c, _collection.c ---------------------- */

/* clang-format off */
#define COMMAND_HANDLERS(X)                                                                        \
    X(client) X(command) X(config) X(echo) X(info) X(ping) X(publish) X(quit) X(subscribe)         \
    X(unsubscribe)                                                                                 \
    X(dbsize) X(del) X(exists) X(expire) X(flushall) X(persist) X(pexpire) X(pttl) X(ttl) X(type)  \
    X(decr) X(decrby) X(get) X(incr) X(incrby) X(mget) X(mset) X(set)                              \
    X(llen) X(lpop) X(lpush) X(lrange) X(rpop) X(rpush)                                            \
    X(sadd) X(scard) X(sismember) X(smembers)                                                      \
    X(hget) X(hgetall) X(hset)
/* clang-format on */
#define COMMAND_DECLARE(name) void command_##name(struct call *call);
COMMAND_HANDLERS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
