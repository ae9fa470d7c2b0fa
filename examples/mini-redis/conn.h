/* conn.h - a connection: one fiber, one socket, one buffer in, one reply out. */
#ifndef MINI_REDIS_CONN_H
#define MINI_REDIS_CONN_H

#include <skua/skua.h>

#include "reply.h"
#include "resp_parse.h"
#include "server.h"

/* All of it belongs to the connection's own fiber. */
struct conn {
    struct server *server;
    skua_tcp *tcp;
    uint64_t id;
    struct str *name; /* CLIENT SETNAME; NULL = none */

    char *buf; /* what has arrived and is not answered */
    size_t len;
    size_t capacity;
    size_t chunk;              /* how much a read asks for */
    struct resp_parser parser; /* of buf */

    struct reply reply;            /* to the commands of this batch */
    struct subscriber *subscriber; /* NULL before the first SUBSCRIBE */
    bool leaving;                  /* the connection ends after this reply */
};

/* Makes a connection of a socket, which it takes over, and spawns its fiber into the caller's
 * scope. Returns 0 or what skua_spawn says; the socket is closed then. */
int conn_start(struct server *server, skua_tcp *tcp);

/* Sends the replies that have been collected: writes them, or hands them to the fiber that pushes
 * messages. Returns 0, or the error that ends the connection. */
int conn_flush(struct conn *conn);

/* Writes a whole reply to a socket. Returns 0 or an error. */
int conn_send(skua_tcp *tcp, struct reply *reply);

#endif
