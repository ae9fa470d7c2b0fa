/* resolve.h - names of hosts: from "example.org:80" to addresses.
 *
 *     skua_addresses found = SKUA_ADDRESSES_INIT;
 *
 *     rc = skua_resolve(&found, "example.org:443", SKUA_RESOLVE_OPTIONS(.deadline = soon));
 *     for (size_t i = 0; i < found.count; i++)
 *         try(&found.all[i]);                        // best first, as RFC 6724 sorts them
 *     skua_addresses_free(&found);
 *
 * Names     "example.org:80", "example.org" (the port is .port's, or 0), and all that is an address
 *           already, with its port or without: "127.0.0.1", "::1", "[::1]:80", "/run/x.sock". An
 *           address, and "localhost" (127.0.0.1, then ::1; RFC 6761), is answered at once and asks
 *           nobody. Ports are numbers. A name whose last label is a number is a mistyped address,
 *           and -EINVAL: "127.0.1" means nothing here.
 * Resolver  whoever is asked for all other names: the one of the options, or the process's own,
 *           which is the system's unless skua_resolver_set_default has named another. The system's
 *           is getaddrinfo on the blocking pool (blocking.h), with all that the machine is set up
 *           for: /etc/hosts, nsswitch, search domains. A call of it cannot be stopped: whoever is
 *           cancelled, or late, goes on at once, and the pool's thread ends the call by itself.
 *           adapters/skua_cares.h is one that needs no threads.
 *
 * Errors, whichever resolver it is (getaddrinfo's and c-ares' names for them behind it):
 *
 *   -ENOENT        there is no such name, or it has no address of that family (EAI_NONAME,
 *                  EAI_NODATA; Go's IsNotFound)
 *   -EAGAIN        no server gave an answer, it may be another time (EAI_AGAIN)
 *   -EIO           servers gave an answer that is of no use (EAI_FAIL)
 *   -EINVAL        that cannot be a name; -ENAMETOOLONG: over 253 bytes, or a label over 63
 *   -ETIMEDOUT     the deadline; never a server that is silent
 *
 * net.h connects to names by itself.
 * Source    getaddrinfo(3), Tokio's lookup_host, Go's net.Resolver.
 */
#ifndef SKUA_RESOLVE_H
#define SKUA_RESOLVE_H

#include <skua/address.h>
#include <skua/blocking.h>
#include <skua/time.h>

SKUA_C_BEGIN

/* ---- what is found --------------------------------------------------------------------------- */

/* A list of addresses, which grows. All zero, or SKUA_ADDRESSES_INIT, is an empty one. */
typedef struct skua_addresses {
    skua_address *all; /* best first; the list's */
    size_t count;
    size_t room; /* private */
} skua_addresses;

/* clang-format off */
#define SKUA_ADDRESSES_INIT {0, 0, 0}
/* clang-format on */

/* Adds an address at the end.
 *
 * address    copied
 * Returns    0; -ENOMEM: the list is as it was
 * Threads    the list's owner
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_addresses_add(skua_addresses *addresses,
                                               const skua_address *address);

/* Frees what is in a list. It is empty then, and may be used again.
 *
 * Threads    the list's owner
 * Since      0.3
 */
SKUA_API void skua_addresses_free(skua_addresses *addresses);

/* ---- who is asked ---------------------------------------------------------------------------- */

typedef struct skua_resolver skua_resolver;

/* What a resolver is asked. */
typedef struct skua_query {
    const char *host;         /* a name, neither an address nor "localhost"; until the return */
    skua_address_kind family; /* SKUA_ADDRESS_V4 or _V6: no others are wanted; _NONE: both */
    int64_t deadline;         /* monotonic ns; SKUA_FOREVER: none */
} skua_query;

/* How a resolver resolves. For one of your own: a static table. */
typedef struct skua_resolver_ops {
    const char *name;
    /* Adds what it finds, best first; an address with a port keeps it, the others get the query's.
     * 0 or an error as above. It is called by any number of tasks and threads at a time: on a fiber
     * it may wait, is cancelled as any call, and is under the deadline; on a plain thread, also one
     * of the blocking pool, it looks after the deadline itself, as well as it can. */
    int (*resolve)(skua_resolver *self, const skua_query *query, skua_addresses *ret);
} skua_resolver_ops;

/* The head of every resolver; embed it as the first member. In place and alive as long as anybody
 * may ask it: also for a future that was dropped (see skua_resolve_init). */
struct skua_resolver {
    const skua_resolver_ops *ops; /* constant */
};

/* The system's resolver.
 *
 * Returns    static
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_resolver *skua_resolver_system(void);

/* Names the resolver that is asked from now on by whoever names none.
 *
 * resolver   NULL = the system's
 * Returns    the one before; it may still be at work for those who asked before
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_resolver *skua_resolver_set_default(skua_resolver *resolver);

/* ---- resolving ------------------------------------------------------------------------------- */

typedef struct skua_resolve_options {
    size_t size;              /* stamped by the macro */
    int64_t deadline;         /* monotonic ns (default 0: none but the task's own) */
    skua_resolver *resolver;  /* (default: see skua_resolver_set_default) */
    skua_address_kind family; /* SKUA_ADDRESS_V4 or _V6: only these (default: any) */
    int port;                 /* for a name without one, 0 to 65535 (default 0) */
    size_t max;               /* keep at most so many, the best ones (default 0: all) */
    unsigned numeric;         /* 1: addresses only, a name is -EINVAL (default 0) */
} skua_resolve_options;

#ifndef __cplusplus
#define SKUA_RESOLVE_OPTIONS(...)                                                                  \
    (&(const skua_resolve_options){.size = sizeof(skua_resolve_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_resolve_options_init(skua_resolve_options *options);

/* Resolves a name.
 *
 * ret        receives the addresses, one at least, to be given back by skua_addresses_free;
 *            untouched on failure, and nothing in it is freed
 * name       see the top
 * options    NULL = defaults
 * Returns    0; see the top; -ENOMEM, -ECANCELED, -ETIMEDOUT; -EINVAL for options that do not exist
 * Threads    fibers, plain threads; a name that asks nobody is resolved in poll tasks, too
 * Cancel     safe
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_resolve(skua_addresses *ret, const char *name,
                                         const skua_resolve_options *options);

/* A wait for a name's addresses. Its members are private. */
typedef struct skua_resolve_future {
    skua_future future;
    skua_blocking_future blocking;
    skua_sleep_future timer;
    skua_addresses *ret;
    const char *name;
    struct skua__lookup *lookup; /* under way */
    skua_resolve_options options;
} skua_resolve_future;

/* Makes a future of that: ready as skua_resolve returns. A resolver is called on a thread of the
 * blocking pool, whichever it is, and goes on there after the future was dropped: it is not told.
 *
 * ret, name  in place until it is finished; options are copied
 * Returns    &resolve->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.3
 */
SKUA_API skua_future *skua_resolve_init(skua_resolve_future *resolve, skua_addresses *ret,
                                        const char *name, const skua_resolve_options *options);

#ifndef __cplusplus
/* The same in the caller's block: skua_resolving(&found, "example.org", .port = 80).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.3
 */
#define skua_resolving(ret, name, ...)                                                             \
    skua_resolve_init(&(skua_resolve_future){.lookup = 0}, (ret), (name),                          \
                      SKUA_RESOLVE_OPTIONS(__VA_ARGS__))
#endif

SKUA_C_END

#endif
