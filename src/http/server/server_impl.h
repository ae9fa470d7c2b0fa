/* server_impl.h - a server, the fibers that accept for it, and its connections.
 *
 * Idle         a connection says when it begins to wait for a request, and when one has come. Who
 *              stops the server says so, then cancels those that are idle; a request that came
 *              first is served, and its answer says that it is the last. Nobody but a connection
 *              closes its socket: a handle that is closed may be another socket's by the time that
 *              its fiber, which was about to wait, comes to use it.
 *
 *                  stopper                       connection
 *                  stopping = true               state = IDLE
 *                  state: IDLE -> STOPPED        stopping?
 *
 *              Both sides are sequentially consistent: at least one of them sees the other. Who
 *              takes the state out of IDLE decides whether the connection goes on.
 * HTTP/2       is BUSY all the time: who stops tells it, and it finds out itself whether there is
 *              anything to wait for.
 * Peers        connections hang in chains by the address that they come from, too, so that those of
 *              one can be counted; only where they are limited.
 * Counts       each connection's own, relaxed: a question adds them up under the lock.
 * Lock         the server's mutex guards the list. It is held for a few instructions, but for a
 *              stop and a question.
 */
#ifndef SKUA_HTTP_SERVER_IMPL_H
#define SKUA_HTTP_SERVER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <skua/notify.h>
#include <skua/runtime.h>
#include <skua/sync.h>
#include <skua/task.h>

#include "http/h1/h1_impl.h"
#include "http/h2/h2s.h"

/* Chains of peers; a power of two. */
#define SKUA__SERVER_CHAINS 1024u

enum { SKUA__SERVER_BUSY, SKUA__SERVER_IDLE, SKUA__SERVER_STOPPED };

/* One fiber that accepts. */
struct skua__server_run {
    skua_http_server *server; /* constant */
    atomic_bool stopping;     /* seq_cst, see above */
    skua_runtime *runtime;    /* constant */
    atomic_size_t open;       /* connections; the last one wakes; acquire, release */
    skua_notify ended;        /* a connection has ended */
    skua_scope scope;         /* of the connections */
};

struct skua__server_connection {
    struct skua__server_connection *next, **link; /* guard: the server's mutex */
    struct skua__server_run *run;                 /* constant */
    skua_tcp *tcp;                                /* its fiber's, which closes it */
    skua_task_id id;                              /* its fiber's; set before it is idle */
    atomic_int state;                             /* seq_cst, see above */
    skua_notify *told;                            /* of HTTP/2: see above; guard: the mutex */
    _Atomic uint64_t begun, done, refused;        /* requests; its fiber's, of HTTP/2
                                              its fibers'; a question reads, relaxed */
    struct skua__server_connection *peer_next;    /* in its chain; guard: the mutex */
    struct skua__server_connection **peer_link;   /* NULL: in none; guard: the mutex */
    size_t host_len;                              /* of peer, without the port; constant */
    char peer[SKUA_ADDRESS_MAX];                  /* constant */
};

struct skua_http_server {
    skua_http_server_options options; /* constant */
    skua_http_handler handler;        /* constant */
    void *state;                      /* constant */
    skua_semaphore room;              /* of connections */
    pthread_mutex_t mutex;
    struct skua__server_connection *list; /* guard: mutex */
    /* SKUA__SERVER_CHAINS of them; NULL: no limit; guard: mutex */
    struct skua__server_connection **chains;
    skua_http_server_stats past; /* of connections that have ended; guard: mutex */
};

/* server_connection.c: begins a connection, whose socket is its own from here on. */
int skua__server_begin(struct skua__server_run *run, skua_tcp *tcp);
/* Adds what a connection has done so far. Under the mutex. */
void skua__server_add(skua_http_server_stats *stats, struct skua__server_connection *connection);

#endif
