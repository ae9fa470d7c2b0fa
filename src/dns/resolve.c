/* resolve.c - a name, whoever asks, whichever resolver answers.
 *
 * Flow       skua_resolve -> resolve_known: an address? ->
 *              a fiber and a resolver of one's own     its function, under the deadline
 *              a fiber and the system's                the future, awaited
 *              a plain thread                          its function; the system's with a deadline
 *                                                      on a thread that is left behind if need be
 * Future     resolve_poll -> a lookup, as a job of the blocking pool with .drop: one that runs is
 *            let go of, and frees the lookup when it has ended. The answer is in the lookup, so
 *            that what the pool says by itself (no thread) is not taken for it.
 * Memory     a lookup belongs to whoever was handed it last: the future or its job; for a plain
 *            thread's see resolve_on_thread. The list moves from it to the user.
 */
#include <string.h>
#include <sys/socket.h>

#include "dns/dns_impl.h"
#include "flow/flow_impl.h"

struct skua__lookup {
    skua_resolver *resolver; /* constant, as the query */
    skua_query query;
    struct skua__name name;
    skua_addresses found; /* the job's, then the waiter's, as the next */
    int result;
    _Atomic uint32_t state; /* RESOLVE_…, of a plain thread's */
};

#define RESOLVE_RUNNING 0u
#define RESOLVE_ENDED 1u
#define RESOLVE_LEFT 2u

/* ---- lists ----------------------------------------------------------------------------------- */

int skua_addresses_add(skua_addresses *addresses, const skua_address *address)
{
    size_t room = addresses->room == 0 ? 4 : 2 * addresses->room;
    skua_address *all;

    if (addresses->count == addresses->room) {
        all = skua__os_alloc(room * sizeof *all);
        if (all == NULL)
            return -ENOMEM;
        if (addresses->count > 0)
            memcpy(all, addresses->all, addresses->count * sizeof *all);
        skua__os_free(addresses->all);
        addresses->all = all;
        addresses->room = room;
    }
    addresses->all[addresses->count++] = *address;
    return 0;
}

void skua_addresses_free(skua_addresses *addresses)
{
    skua__os_free(addresses->all);
    *addresses = (skua_addresses)SKUA_ADDRESSES_INIT;
}

/* ---- resolvers ------------------------------------------------------------------------------- */

static int resolve_system_found(void *arg, const struct sockaddr *addr, unsigned len)
{
    skua_address address;

    if (skua_address_from_sockaddr(&address, addr, len) != 0)
        return 0; /* of a kind that nobody can connect to */
    return skua_addresses_add(arg, &address);
}

static int resolve_system(skua_resolver *self, const skua_query *query, skua_addresses *ret)
{
    int family = query->family == SKUA_ADDRESS_V4   ? AF_INET
                 : query->family == SKUA_ADDRESS_V6 ? AF_INET6
                                                    : AF_UNSPEC;

    (void)self;
    return skua__os_lookup(query->host, family, resolve_system_found, ret);
}

static const skua_resolver_ops resolve_system_ops = {.name = "system", .resolve = resolve_system};
static skua_resolver resolve_system_resolver = {.ops = &resolve_system_ops};
static _Atomic(skua_resolver *) resolve_default; /* NULL: the system's */

skua_resolver *skua_resolver_system(void)
{
    return &resolve_system_resolver;
}

skua_resolver *skua_resolver_set_default(skua_resolver *resolver)
{
    /* Both ways: who finds it sees what was written before, and what is returned is whole. */
    skua_resolver *old = skua__xchg_acq_rel(&resolve_default, resolver);

    return old != NULL ? old : &resolve_system_resolver;
}

static skua_resolver *resolve_whom(const skua_resolve_options *options)
{
    skua_resolver *resolver = options->resolver;

    if (resolver == NULL)
        resolver = skua__load_acquire(&resolve_default);
    return resolver != NULL ? resolver : &resolve_system_resolver;
}

/* ---- before and after ------------------------------------------------------------------------ */

/* Options that are there; the size of those that are not what they should be is 0. */
static void resolve_options(skua_resolve_options *ret, const skua_resolve_options *given)
{
    skua_resolve_options_init(ret);
    if (given == NULL)
        return;
    if (given->size == sizeof *given)
        *ret = *given;
    if (given->size != sizeof *given || given->numeric > 1 || given->port < 0 ||
        given->port > 65535 || (int)given->family < SKUA_ADDRESS_NONE ||
        given->family > SKUA_ADDRESS_V6)
        ret->size = 0;
}

/* Makes of what was found what was asked for. The list is freed, unless 0 is returned. */
static int resolve_finish(const skua_resolve_options *options, int port, skua_addresses *found,
                          int rc)
{
    size_t kept = 0;

    for (size_t i = 0; rc == 0 && i < found->count; i++) {
        skua_address *address = &found->all[i];

        if (options->family != SKUA_ADDRESS_NONE &&
            skua_address_kind_of(address) != options->family)
            continue;
        if (skua_address_port(address) == 0)
            (void)skua_address_set_port(address, port < 0 ? options->port : port);
        found->all[kept++] = *address;
        if (kept == options->max)
            break;
    }
    found->count = kept;
    if (rc == 0 && kept == 0)
        rc = -ENOENT;
    if (rc > 0) /* a resolver's own idea */
        rc = -EIO;
    if (rc != 0)
        skua_addresses_free(found);
    return rc;
}

/* 1: somebody must be asked about name->host; else the answer. */
static int resolve_known(struct skua__name *name, const char *text, skua_addresses *ret,
                         const skua_resolve_options *options)
{
    skua_addresses found = SKUA_ADDRESSES_INIT;
    int rc = options->size == 0 ? -EINVAL : skua__name_parse(name, text);

    if (rc != 0)
        return rc;
    if (name->known_count == 0)
        return options->numeric ? -EINVAL : 1;
    for (unsigned i = 0; rc == 0 && i < name->known_count; i++)
        rc = skua_addresses_add(&found, &name->known[i]);
    rc = resolve_finish(options, name->port, &found, rc);
    if (rc == 0)
        *ret = found;
    return rc;
}

/* When it has to be over by the clock of who asks. */
static int64_t resolve_deadline(const skua_resolve_options *options)
{
    int64_t deadline = skua_deadline_current();

    return options->deadline != 0 && options->deadline < deadline ? options->deadline : deadline;
}

/* The same on a plain thread, whose clock is the system's: a test's may be another. */
static int64_t resolve_deadline_outside(const skua_resolve_options *options)
{
    int64_t deadline = resolve_deadline(options);
    int64_t there = skua__os_now();
    int64_t here = skua_now();
    int64_t left = deadline > here ? deadline - here : 0;

    return deadline == SKUA_FOREVER || left > SKUA_FOREVER - there ? SKUA_FOREVER : there + left;
}

/* ---- a lookup -------------------------------------------------------------------------------- */

static struct skua__lookup *resolve_lookup_new(const struct skua__name *name,
                                               const skua_resolve_options *options)
{
    struct skua__lookup *lookup = skua__os_alloc(sizeof *lookup);

    if (lookup == NULL)
        return NULL;
    lookup->resolver = resolve_whom(options);
    lookup->name = *name;
    lookup->query = (skua_query){.host = lookup->name.host,
                                 .family = options->family,
                                 .deadline = resolve_deadline_outside(options)};
    return lookup;
}

static void resolve_lookup_free(void *arg)
{
    struct skua__lookup *lookup = arg;

    skua_addresses_free(&lookup->found);
    skua__os_free(lookup);
}

static int resolve_lookup_run(void *arg)
{
    struct skua__lookup *lookup = arg;
    skua_resolver *resolver = lookup->resolver;

    lookup->result = resolver->ops->resolve(resolver, &lookup->query, &lookup->found);
    return 0;
}

/* The answer of one that has ended, which it does not outlive. */
static int resolve_lookup_take(struct skua__lookup *lookup, const skua_resolve_options *options,
                               skua_addresses *ret)
{
    int rc = resolve_finish(options, lookup->name.port, &lookup->found, lookup->result);

    if (rc == 0)
        *ret = lookup->found;
    skua__os_free(lookup);
    return rc;
}

/* ---- the future ------------------------------------------------------------------------------ */

static void resolve_drop(skua_future *future)
{
    skua_resolve_future *self = skua__container(future, skua_resolve_future, future);

    skua__sleep_drop(&self->timer.future);
    if (self->lookup != NULL)
        skua_future_drop(&self->blocking.future); /* which frees it, or leaves it to the job */
    self->lookup = NULL;
}

static skua_poll resolve_begin(skua_resolve_future *self)
{
    const skua_blocking_options options = {.size = sizeof options, .drop = resolve_lookup_free};
    struct skua__name name;
    int rc = resolve_known(&name, self->name, self->ret, &self->options);

    if (rc != 1)
        return rc;
    self->lookup = resolve_lookup_new(&name, &self->options);
    if (self->lookup == NULL)
        return -ENOMEM;
    skua_blocking_init(&self->blocking, resolve_lookup_run, self->lookup, &options);
    return 1;
}

static skua_poll resolve_poll(skua_future *future, skua_waker *waker)
{
    skua_resolve_future *self = skua__container(future, skua_resolve_future, future);
    skua_poll answer;

    if (self->lookup == NULL) {
        answer = resolve_begin(self);
        if (answer != 1)
            return answer;
    }
    answer = skua__future_poll_raw(&self->blocking.future, waker);
    if (answer == SKUA_PENDING) {
        if (!skua__flow_late(&self->timer, waker))
            return SKUA_PENDING;
        resolve_drop(future);
        return -ETIMEDOUT;
    }
    if (answer == 0) /* else the pool had no thread for it, and it is gone */
        answer = resolve_lookup_take(self->lookup, &self->options, self->ret);
    self->lookup = NULL;
    skua__sleep_drop(&self->timer.future);
    return answer;
}

static const skua_future_ops resolve_ops = {
    .name = "resolve", .poll = resolve_poll, .drop = resolve_drop};

skua_future *skua_resolve_init(skua_resolve_future *resolve, skua_addresses *ret, const char *name,
                               const skua_resolve_options *options)
{
    resolve->future.ops = &resolve_ops;
    resolve->ret = ret;
    resolve->name = name;
    resolve->lookup = NULL;
    resolve_options(&resolve->options, options);
    skua_sleep_until_init(
        &resolve->timer, resolve->options.deadline != 0 ? resolve->options.deadline : SKUA_FOREVER);
    return &resolve->future;
}

void skua_resolve_options_init(skua_resolve_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- direct calls ---------------------------------------------------------------------------- */

/* A resolver's function on the caller's fiber or thread. */
static int resolve_here(const struct skua__name *name, const skua_resolve_options *options,
                        bool fiber, skua_addresses *ret)
{
    skua_resolver *resolver = options->resolver;
    skua_addresses found = SKUA_ADDRESSES_INIT;
    skua_query query = {
        .host = name->host, .family = options->family, .deadline = resolve_deadline(options)};
    skua_deadline frame;
    int rc = 0;

    if (fiber)
        rc = skua_deadline_begin(&frame, query.deadline);
    if (rc == 0)
        rc = resolver->ops->resolve(resolver, &query, &found);
    if (fiber)
        skua_deadline_end(&frame);
    rc = resolve_finish(options, name->port, &found, rc);
    if (rc == 0)
        *ret = found;
    return rc;
}

static void *resolve_thread(void *arg)
{
    struct skua__lookup *lookup = arg;

    resolve_lookup_run(lookup);
    /* Releases the answer to the waiter, who may free it all from here on: a wake of an address
     * that is nobody's any more wakes nobody. Acquires the waiter's leave. */
    if (skua__xchg_acq_rel(&lookup->state, RESOLVE_ENDED) == RESOLVE_LEFT)
        resolve_lookup_free(lookup);
    else
        skua__os_futex_wake(&lookup->state, 1);
    return NULL;
}

/* A plain thread that may not wait for the system's resolver to its end. */
static int resolve_on_thread(const struct skua__name *name, const skua_resolve_options *options,
                             skua_addresses *ret)
{
    struct skua__lookup *lookup = resolve_lookup_new(name, options);
    struct skua__cpus anywhere = {{0}};
    skua__thread_handle handle;
    int rc;

    if (lookup == NULL)
        return -ENOMEM;
    rc = skua__os_thread_start(&handle, "skua-resolve", &anywhere, resolve_thread, lookup);
    if (rc != 0) {
        resolve_lookup_free(lookup);
        return rc;
    }
    skua__os_thread_detach(handle);
    while (skua__load_acquire(&lookup->state) == RESOLVE_RUNNING)
        if (skua__os_futex_wait(&lookup->state, RESOLVE_RUNNING, lookup->query.deadline) ==
                -ETIMEDOUT &&
            skua__xchg_acq_rel(&lookup->state, RESOLVE_LEFT) == RESOLVE_RUNNING)
            return -ETIMEDOUT;
    return resolve_lookup_take(lookup, options, ret);
}

/* Asks about what `text` says, which is `name`. */
static int resolve_ask(skua_addresses *ret, const char *text, const struct skua__name *name,
                       const skua_resolve_options *options)
{
    struct skua__thread *self = skua__thread_self();
    bool fiber = skua__fiber_current(self) != NULL;
    bool system = options->resolver == &resolve_system_resolver;
    skua_resolve_future resolve;

    if (fiber && system)
        return (int)skua_await(skua_resolve_init(&resolve, ret, text, options));
    if (!fiber && self->core != NULL)
        return SKUA_EUSAGE;
    if (!fiber && system && resolve_deadline(options) != SKUA_FOREVER)
        return resolve_on_thread(name, options, ret);
    return resolve_here(name, options, fiber, ret);
}

int skua_resolve(skua_addresses *ret, const char *text, const skua_resolve_options *given)
{
    skua_resolve_options options;
    struct skua__name name;
    skua_probe_op op;
    bool told;
    int rc = skua__task_leaf();

    if (rc != 0)
        return rc;
    resolve_options(&options, given);
    rc = resolve_known(&name, text, ret, &options);
    if (rc != 1)
        return rc;
    options.resolver = resolve_whom(&options); /* once: the default may change meanwhile */
    told = skua__probe_ops();
    if (told)
        skua__op_begin(&op, "dns.lookup", name.host);
    rc = resolve_ask(ret, text, &name, &options);
    if (told)
        skua__op_end(&op, rc == 0 ? (int64_t)ret->count : rc, 0);
    return rc;
}

#undef RESOLVE_RUNNING
#undef RESOLVE_ENDED
#undef RESOLVE_LEFT
