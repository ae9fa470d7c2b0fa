/* server.h - what all connections share. */
#ifndef MINI_REDIS_SERVER_H
#define MINI_REDIS_SERVER_H

#include "expire.h"
#include "pubsub.h"
#include "store/store.h"

/* How the server was started; constant afterwards. */
struct options {
    const char *bind;
    skua_driver driver;
    int64_t port;    /* 0 = any */
    int64_t workers; /* 0 = as many as processors */
    int64_t clients_max;
    int64_t bulk_max;   /* bytes of one argument */
    int64_t output_max; /* bytes of replies that wait for one client */
};

struct server {
    const struct options *options;
    struct store store;
    struct expirer expirer;
    struct pubsub pubsub;
    int64_t started; /* ms, clock_ms */
    unsigned port;   /* the one that the system chose, if any; constant once ready */

    /* Only counted, nothing hangs on their order: relaxed throughout. */
    _Atomic uint64_t clients;      /* now */
    _Atomic uint64_t clients_seen; /* since the start; a client's id is its number */
    _Atomic uint64_t clients_rejected;
    _Atomic uint64_t commands;
};

/* Adds to a counter, and returns what it was. */
static inline uint64_t server_count(_Atomic uint64_t *counter, uint64_t n)
{
    return atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
