/* commands_string.c - commands on strings, and on the numbers written in them. */
#include "commands.h"

/* ---- GET, MGET ------------------------------------------------------------------------------- */

/* Replies with the string that `key` holds, or that there is none. */
static void string_reply(struct call *call, const struct key *key)
{
    if (key != NULL && key->type == KEY_STRING)
        reply_bulk_str(call->reply, key->value.string);
    else
        reply_null(call->reply);
}

void command_get(struct call *call)
{
    struct key *key;

    if (call_find_type(call, 1, KEY_STRING, &key))
        string_reply(call, key);
}

void command_mget(struct call *call)
{
    reply_array(call->reply, (size_t)call->argc - 1);
    for (int i = 1; i < call->argc; i++)
        string_reply(call, call_find(call, i));
}

/* ---- SET, MSET ------------------------------------------------------------------------------- */

/* Makes the key that argv[i] names hold a string, whatever it held. `key` is what call_find says
 * of it; its expiry stays as it is. */
static struct key *string_store(struct call *call, int i, struct key *key, struct str *value)
{
    if (key != NULL && key->type != KEY_STRING) {
        int64_t expiry = key->expiry.when;

        call_remove(call, key);
        key = call_add(call, i, KEY_STRING);
        call_expire(call, key, expiry);
    } else if (key == NULL)
        key = call_add(call, i, KEY_STRING);
    store_replace(key, value, &call->trash);
    return key;
}

void command_mset(struct call *call)
{
    if (call->argc % 2 == 0) {
        call_error_arity(call, "mset");
        return;
    }
    for (int i = 1; i < call->argc; i += 2) {
        struct key *key = string_store(call, i, call_find(call, i), call_str(call, i + 1));

        call_expire(call, key, HEAP_NEVER);
    }
    reply_status(call->reply, "OK");
}

#define SET_NX 0x1u      /* only a new key */
#define SET_XX 0x2u      /* only a key that is there */
#define SET_GET 0x4u     /* reply with the old value */
#define SET_KEEPTTL 0x8u /* the expiry stays */
#define SET_EX 0x10u     /* expires after seconds … */
#define SET_PX 0x20u     /* … or milliseconds */
#define SET_ENDING (SET_KEEPTTL | SET_EX | SET_PX)

/* The options of SET, and which of them exclude each other. */
/* clang-format off */
static const struct set_option {
    const char *name;
    unsigned flag;
    unsigned excludes;
} set_options[] = {
    {"nx", SET_NX, SET_XX},
    {"xx", SET_XX, SET_NX},
    {"get", SET_GET, 0},
    {"keepttl", SET_KEEPTTL, SET_EX | SET_PX},
    {"ex", SET_EX, SET_ENDING},
    {"px", SET_PX, SET_ENDING},
};
/* clang-format on */

static const struct set_option *set_option(const struct arg *arg)
{
    for (size_t n = 0; n < sizeof set_options / sizeof *set_options; n++)
        if (arg_is(arg, set_options[n].name))
            return &set_options[n];
    return NULL;
}

/* Reads SET's options: the flags, and the argument that holds the time, 0 if none does. */
static bool set_parse(struct call *call, unsigned *flags, int *time)
{
    *flags = 0;
    *time = 0;
    for (int i = 3; i < call->argc; i++) {
        const struct set_option *option = set_option(&call->argv[i]);
        bool timed = option != NULL && (option->flag & (SET_EX | SET_PX)) != 0;

        if (option == NULL || (*flags & option->excludes) || (timed && i + 1 == call->argc)) {
            call_error_syntax(call);
            return false;
        }
        *flags |= option->flag;
        if (timed)
            *time = ++i;
    }
    return true;
}

/* When the key will expire. False: the time is none, and that was said. */
static bool set_moment(struct call *call, unsigned flags, int time, int64_t *when)
{
    int64_t amount;

    *when = HEAP_NEVER;
    if (time == 0)
        return true;
    if (!call_integer(call, time, &amount))
        return false;
    if (amount <= 0 || __builtin_mul_overflow(amount, flags & SET_EX ? 1000 : 1, &amount) ||
        __builtin_add_overflow(amount, call->now, when) || *when == HEAP_NEVER) {
        reply_error(call->reply, "invalid expire time in 'set' command");
        return false;
    }
    return true;
}

void command_set(struct call *call)
{
    struct key *key;
    unsigned flags;
    int64_t when;
    int time;

    if (!set_parse(call, &flags, &time) || !set_moment(call, flags, time, &when))
        return;
    key = call_find(call, 1);
    if ((flags & SET_GET) && !call_find_type(call, 1, KEY_STRING, &key))
        return;
    if (flags & SET_GET)
        string_reply(call, key);
    if ((flags & SET_NX && key != NULL) || (flags & SET_XX && key == NULL)) {
        if (!(flags & SET_GET))
            reply_null(call->reply);
        return;
    }
    key = string_store(call, 1, key, call_str(call, 2));
    if (!(flags & SET_KEEPTTL))
        call_expire(call, key, when);
    if (!(flags & SET_GET))
        reply_status(call->reply, "OK");
}

/* ---- INCR and its kin ------------------------------------------------------------------------ */

static void number_add(struct call *call, int64_t amount)
{
    int64_t number = 0;
    struct key *key;

    if (!call_find_type(call, 1, KEY_STRING, &key))
        return;
    if (key != NULL && !integer_parse(key->value.string->bytes, key->value.string->len, &number)) {
        call_error_integer(call);
        return;
    }
    if (__builtin_add_overflow(number, amount, &number)) {
        reply_error(call->reply, "increment or decrement would overflow");
        return;
    }
    (void)string_store(call, 1, key, str_of_integer(number));
    reply_integer(call->reply, number);
}

void command_incr(struct call *call)
{
    number_add(call, 1);
}

void command_decr(struct call *call)
{
    number_add(call, -1);
}

void command_incrby(struct call *call)
{
    int64_t amount;

    if (call_integer(call, 2, &amount))
        number_add(call, amount);
}

void command_decrby(struct call *call)
{
    int64_t amount;

    if (!call_integer(call, 2, &amount))
        return;
    if (amount == INT64_MIN) { /* has no opposite */
        reply_error(call->reply, "decrement would overflow");
        return;
    }
    number_add(call, -amount);
}
