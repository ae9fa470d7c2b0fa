/* net_impl.h - sockets as the files of this folder see them.
 *
 * A socket is a source (drive) in a type-stable slot: slots are reused for sockets only and never
 * given back to the system, so that a driver's event that comes late, or a second close, finds a
 * socket and not somebody's memory. `magic` tells whether the slot is in use.
 */
#ifndef SKUA_NET_NET_IMPL_H
#define SKUA_NET_NET_IMPL_H

#include <sys/socket.h>

#include <skua/net.h>

#include "drive/drive_impl.h"

#define SKUA__SLOT_OPEN 0x5ca1ab1eu
#define SKUA__SLOT_CLOSED 0u

/* What was received for a read that was dropped at that moment: the next read gets it. */
struct skua__stash {
    size_t from;
    size_t len;
    char bytes[];
};

/* The common part of a stream: one, or shared by two halves. */
struct skua__stream {
    struct skua__source source;     /* first: the slot */
    _Atomic uint32_t halves;        /* handles that are open */
    struct skua__stash *stash;      /* the reader's */
    int stash_error;                /* the stash could not be kept: the next read says so; reader */
    struct skua__stream *next_free; /* lock: the slots' */
};

/* What users hold: the whole stream, or a half. */
struct skua_tcp {
    _Atomic uint32_t magic;
    uint32_t rights;             /* SKUA__MAY_READ | SKUA__MAY_WRITE; constant while open */
    struct skua__stream *stream; /* one reference */
    struct skua_tcp *next_free;  /* lock: the slots' */
};

struct skua_listener {
    struct skua__source source; /* first: the slot */
    _Atomic uint32_t magic;
    uint32_t nodelay;                /* constant */
    _Atomic uint32_t exhausted;      /* 1: descriptors ran out, and that was said */
    struct skua_listener *next_free; /* lock: the slots' */
};

#define SKUA__MAY_READ 1u
#define SKUA__MAY_WRITE 2u

struct skua__address {
    struct sockaddr_storage storage;
    unsigned len;
    bool any_family; /* "*:80": IPv6 if there is any, with IPv4 in it */
};

/* "127.0.0.1:80" and the like: 0 or -EINVAL. */
int skua__address_parse(const char *text, struct skua__address *ret);
/* The string of an address: 0 or -ENOSPC. */
int skua__address_format(const struct skua__address *address, char *buf, size_t len);

/* Awaits a future of tcp_future.c on a fiber or a plain thread. */
int64_t skua__tcp_await(skua_future *future, int64_t deadline);
skua_future *skua__tcp_vector_init(skua_tcp_future *self, skua_tcp *tcp, const struct iovec *iov,
                                   int count, unsigned direction);

/* Makes a socket of an open descriptor; takes it over, closes it on failure. */
int skua__tcp_adopt(int fd, skua_tcp **ret);

#endif
