/* commands_keys.c - commands about keys whatever they hold: existence, type, expiry.
 *
 * Expiries are moments on the server's clock in milliseconds; what a client gives or gets is how
 * long it is until then.
 */
#include "commands.h"

void command_del(struct call *call)
{
    int64_t count = 0;

    for (int i = 1; i < call->argc; i++) {
        struct key *key = call_find(call, i);

        if (key == NULL)
            continue;
        call_remove(call, key);
        count++;
    }
    reply_integer(call->reply, count);
}

void command_exists(struct call *call)
{
    int64_t count = 0;

    for (int i = 1; i < call->argc; i++)
        count += call_find(call, i) != NULL;
    reply_integer(call->reply, count);
}

void command_type(struct call *call)
{
    static const char *const names[] = {
        [KEY_STRING] = "string", [KEY_LIST] = "list", [KEY_SET] = "set", [KEY_HASH] = "hash"};
    struct key *key = call_find(call, 1);

    reply_status(call->reply, key != NULL ? names[key->type] : "none");
}

void command_dbsize(struct call *call)
{
    reply_integer(call->reply, (int64_t)store_len(&call->server->store));
}

void command_flushall(struct call *call)
{
    if (call->argc > 2 ||
        (call->argc == 2 && !arg_is(&call->argv[1], "sync") && !arg_is(&call->argv[1], "async"))) {
        call_error_syntax(call);
        return;
    }
    store_flush(&call->server->store, &call->trash); /* freed after the unlock: always "async" */
    reply_status(call->reply, "OK");
}

/* ---- EXPIRE, PEXPIRE ------------------------------------------------------------------------- */

#define EXPIRE_NX 0x1u /* only where there is no expiry */
#define EXPIRE_XX 0x2u /* only where there is one */
#define EXPIRE_GT 0x4u /* only to a later one; never is the latest */
#define EXPIRE_LT 0x8u /* only to an earlier one */

/* Reads the options behind the time. False: one is wrong, and that was said. */
static bool expire_flags(struct call *call, unsigned *flags)
{
    static const char *const names[] = {"nx", "xx", "gt", "lt"};

    *flags = 0;
    for (int i = 3; i < call->argc; i++) {
        unsigned n = 0;

        while (n < 4 && !arg_is(&call->argv[i], names[n]))
            n++;
        if (n == 4) {
            reply_error(call->reply, "Unsupported option %.*s",
                        (int)(call->argv[i].len < 256 ? call->argv[i].len : 256),
                        call->argv[i].bytes);
            return false;
        }
        *flags |= 1u << n;
    }
    if ((*flags & EXPIRE_NX) && (*flags & ~EXPIRE_NX)) {
        reply_error(call->reply, "NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*flags & EXPIRE_GT) && (*flags & EXPIRE_LT)) {
        reply_error(call->reply, "GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* Reads the time, in units of `unit` ms, as a moment. False: it is no time, and that was said. */
static bool expire_moment(struct call *call, int64_t unit, int64_t *when)
{
    int64_t time;

    if (!call_integer(call, 2, &time))
        return false;
    if (__builtin_mul_overflow(time, unit, &time) ||
        __builtin_add_overflow(time, call->now, when) || *when == HEAP_NEVER) {
        reply_error(call->reply, "invalid expire time in '%s' command", call->command->name);
        return false;
    }
    return true;
}

static bool expire_wanted(const struct key *key, unsigned flags, int64_t when)
{
    int64_t current = key->expiry.when;

    return !((flags & EXPIRE_NX) && current != HEAP_NEVER) &&
           !((flags & EXPIRE_XX) && current == HEAP_NEVER) &&
           !((flags & EXPIRE_GT) && when <= current) && !((flags & EXPIRE_LT) && when >= current);
}

static void expire_after(struct call *call, int64_t unit)
{
    struct key *key;
    unsigned flags;
    int64_t when;

    if (!expire_flags(call, &flags) || !expire_moment(call, unit, &when))
        return;
    key = call_find(call, 1);
    if (key == NULL || !expire_wanted(key, flags, when)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (when <= call->now)
        call_remove(call, key);
    else
        call_expire(call, key, when);
    reply_integer(call->reply, 1);
}

void command_expire(struct call *call)
{
    expire_after(call, 1000);
}

void command_pexpire(struct call *call)
{
    expire_after(call, 1);
}

/* ---- TTL, PTTL, PERSIST ---------------------------------------------------------------------- */

#define TTL_NO_KEY (-2)
#define TTL_NO_EXPIRY (-1)

static int64_t ttl_ms(struct call *call)
{
    struct key *key = call_find(call, 1);

    if (key == NULL)
        return TTL_NO_KEY;
    return key->expiry.when == HEAP_NEVER ? TTL_NO_EXPIRY : key->expiry.when - call->now;
}

void command_pttl(struct call *call)
{
    reply_integer(call->reply, ttl_ms(call));
}

void command_ttl(struct call *call)
{
    int64_t ms = ttl_ms(call);

    reply_integer(call->reply, ms < 0 ? ms : ms / 1000 + (ms % 1000 >= 500));
}

void command_persist(struct call *call)
{
    struct key *key = call_find(call, 1);
    bool had = key != NULL && key->expiry.when != HEAP_NEVER;

    if (had)
        call_expire(call, key, HEAP_NEVER);
    reply_integer(call->reply, had);
}
