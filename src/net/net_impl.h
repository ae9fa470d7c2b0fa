/* net_impl.h - sockets as the files of this folder see them.
 *
 * A socket is a source in a type-stable slot (drive/drive_impl.h), which is reused for sockets
 * only.
 */
#ifndef SKUA_NET_NET_IMPL_H
#define SKUA_NET_NET_IMPL_H

#include <sys/socket.h>

#include <skua/net.h>

#include "drive/drive_impl.h"

/* What was received for a read that was dropped at that moment: the next read gets it. */
struct skua__stash {
    size_t from;
    size_t len;
    char bytes[];
};

/* A stream, or the whole of it, with the two handles that users hold: one, or two when it was
 * split. They are in the source's first cache line, and found from there. */
struct skua__stream {
    struct skua__source source; /* first: the slot */
    _Atomic uint32_t halves;    /* handles that are open */
    int stash_error;            /* the stash could not be kept: the next read says so; reader */
    struct skua__stash *stash;  /* the reader's; SKUA__STASHED says that it or the error is there */
    struct skua__stream *next_free; /* lock: the slots' */
};

/* What users hold: the whole stream, or a half. Part of source.owner. */
struct skua_tcp {
    _Atomic uint32_t life;
    _Atomic uint32_t rights; /* SKUA__MAY_READ | SKUA__MAY_WRITE; relaxed: life tells whose */
};

_Static_assert(2 * sizeof(struct skua_tcp) == sizeof(((struct skua__source *)0)->owner),
               "the room");

SKUA__INLINE struct skua_tcp *skua__tcp_handle(struct skua__stream *stream, unsigned index)
{
    return (struct skua_tcp *)(void *)&stream->source.owner[2 * index];
}

/* The handle's stream: streams begin with a cache line, and their handles are in it. */
SKUA__INLINE struct skua__stream *skua__tcp_stream(struct skua_tcp *tcp)
{
    return (struct skua__stream *)((uintptr_t)tcp & ~(uintptr_t)(SKUA__CACHE_LINE - 1));
}

struct skua_listener {
    struct skua__source source; /* first: the slot */
    _Atomic uint32_t life;
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

/* The stream behind a handle, with a reference; NULL: it is closed. */
struct skua__stream *skua__tcp_hold(skua_tcp *tcp);
/* Polls a future of tcp_future.c once, without a waker: -EAGAIN where it would wait. */
ssize_t skua__tcp_try(skua_future *future);
/* Awaits a future of tcp_future.c on a fiber or a plain thread. */
int64_t skua__tcp_await(skua_future *future, int64_t deadline);
skua_future *skua__tcp_vector_init(skua_tcp_future *self, skua_tcp *tcp, const struct iovec *iov,
                                   int count, unsigned direction);

/* Makes a socket of an open descriptor; takes it over, closes it on failure. */
int skua__tcp_adopt(int fd, skua_tcp **ret);

#endif
