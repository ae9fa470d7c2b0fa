/* gateway.h - what the parts of the gateway know of each other.
 *
 *   a request -> a route, by host and prefix -> a group of upstreams -> one of its members
 *
 * Everything but the counts, the breakers and the budgets is constant once the configuration was
 * read, so any number of fibers on any worker use it without a lock.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <skua/http/client.h>
#include <skua/http/middleware.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#define GROUPS_MAX 32
#define MEMBERS_MAX 16
#define ROUTES_MAX 64
#define NAME_SIZE 64 /* of names and addresses, with their NUL */

/* ---- what the configuration has made --------------------------------------------------------- */

/* One upstream. */
struct member {
    char address[NAME_SIZE]; /* "127.0.0.1:9001" */
    skua_breaker breaker;
    atomic_bool down; /* says the health check, if there is one */

    /* Only counted, nothing hangs on their order: relaxed throughout. */
    _Atomic uint64_t running;  /* now: until the response has ended */
    _Atomic uint64_t requests; /* tried here */
    _Atomic uint64_t failures; /* no answer, half of one, or 502, 503, 504 */
    _Atomic uint64_t retries;  /* of the requests, after another one had failed */
};

enum balance {
    BALANCE_TWO = 0, /* the less busy one of two that chance picks */
    BALANCE_LEAST    /* the least busy one of all */
};

struct group {
    char name[NAME_SIZE];
    struct member members[MEMBERS_MAX];
    unsigned count;
    int64_t balance;
    char health[NAME_SIZE]; /* the path that is asked; "": none */
    int64_t interval;       /* ns between two health checks */
    int64_t connect;        /* ns, time-outs */
    int64_t timeout;        /* until the answer begins */
    int64_t idle;           /* without a byte of a body */
    int64_t connections;    /* to one member at a time */
    int64_t retry_percent;  /* of requests, at most */
    int64_t breaker_minimum, breaker_percent, breaker_open;

    skua_http_client *client;
    skua_retry_budget budget;
    _Atomic uint64_t turn; /* what chance is made of */
};

struct route {
    char host[NAME_SIZE];   /* without a port, in lower case; "": any */
    char prefix[NAME_SIZE]; /* "/" or "/api": no slash at its end */
    struct group *group;
    int64_t tries;   /* members that are asked for one request, at most */
    int64_t body;    /* bytes of a request's body, at most; -1: any */
    int64_t trust;   /* 1: the client is a proxy of ours, what it says of others is passed on */
    int64_t rate;    /* requests a second of one client; 0: any number */
    int64_t burst;   /* 0: rate */
    int64_t keys;    /* clients that are remembered for it */
    int64_t running; /* requests at a time; 0: any number */
    int64_t waiting; /* more of them, in line */

    skua_http_rates *rates;
    skua_limiter limiter;
    skua_http_limit limit;
    skua_http_layer layers[2];
    skua_http_chain chain;
};

struct gateway {
    char listen[NAME_SIZE];
    char admin[NAME_SIZE]; /* "": none */
    char via[NAME_SIZE];   /* our name in Via */
    int64_t log;           /* 0: none; else a skua_http_log_format and one */
    int64_t drain;         /* ns for requests under way at a stop */
    struct group groups[GROUPS_MAX];
    unsigned groups_count;
    struct route routes[ROUTES_MAX];
    unsigned routes_count;
    skua_http_server *server;
};

/* ---- config.c -------------------------------------------------------------------------------- */

/* Reads a file: 0, or -EINVAL after having told what is wrong in which line. */
int config_read(struct gateway *gateway, const char *path);

/* ---- group.c: whom to ask -------------------------------------------------------------------- */

/* Makes clients, breakers, budgets, limits. 0 or an error. */
int group_open(struct group *group);
void group_close(struct group *group);

/* A member that may be asked once, and is told how that went. */
struct choice {
    struct member *member;
    skua_breaker_ticket ticket;
    unsigned bit; /* of the member */
};

/* Picks one that is not among `tried`, is not down, and whose breaker lets us through: 0, or
 * -EAGAIN: there is none. */
int group_choose(struct group *group, unsigned tried, struct choice *ret);
/* The head of the answer is there, or it failed with `rc`: a negative code counts against it, but
 * -ECANCELED. */
void choice_judge(struct choice *choice, int rc);
/* The answer broke off in its body, after it was judged well. */
void choice_blame(struct choice *choice);
/* All is over. */
void choice_end(struct choice *choice);
/* ns until somebody may be asked again. */
int64_t group_retry_after(const struct group *group);

/* ---- fields.c: which headers go along -------------------------------------------------------- */

struct fields {
    skua_http_field *at; /* the exchange's */
    size_t count;
};

/* The request's headers for an upstream: 0 or -ENOMEM. */
int fields_of_request(skua_http_exchange *exchange, const struct gateway *gateway,
                      const struct route *route, struct fields *ret);
/* Whether a header is about one connection alone. `listed`: what its Connection headers say. */
bool field_is_hop(const char *name, const char *const *listed, size_t count);
/* Whether a list of tokens has this one; without case. */
bool field_lists(const char *list, const char *token);
/* Of whom a request is, for its rate: the peer's address, or what a trusted one says last. */
const char *field_client(skua_http_exchange *exchange, void *route);
/* Our Via, in front of nothing or behind what was said: the exchange's, or NULL: no memory. */
const char *field_via(skua_http_exchange *exchange, const char *said, int version,
                      const char *name);

/* ---- forward.c, relay.c, tunnel.c: the way of a request -------------------------------------- */

/* All that belongs to one request on its way. Its fiber's. */
struct passage {
    skua_http_exchange *exchange;
    struct gateway *gateway;
    struct route *route;
    const char *target; /* path and query */
    struct fields fields;
    const char *body; /* a small one that can be sent again; NULL: none, or a stream */
    size_t body_len;
    bool stream;    /* the body is passed on as it comes */
    bool begun;     /* something of the stream was read: it cannot be had again */
    int body_error; /* the client's side has failed; 0: no */
    unsigned tried; /* bits of members */
};

/* A handler; its state is the gateway. */
int forward(skua_http_exchange *exchange, void *gateway);
/* The same for a route that was found; behind the limits. */
int forward_on(skua_http_exchange *exchange, void *route);
/* Passes the answer on: as a handler returns. */
int relay(struct passage *passage, struct choice *choice, skua_http_response *response);
/* The answer to a request for another protocol, and then that protocol. */
int tunnel(struct passage *passage, const char *protocol);
/* Answers for an upstream that did not: 502, 503, 504. */
int answer_for(struct passage *passage, int rc);

/* ---- health.c, admin.c ----------------------------------------------------------------------- */

/* Spawns a fiber for each member that is to be watched. */
int health_start(struct gateway *gateway, skua_scope *scope);
/* A handler; its state is the gateway. */
int admin(skua_http_exchange *exchange, void *gateway);

static inline void count_one(_Atomic uint64_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

#endif
