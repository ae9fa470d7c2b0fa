/* net_impl.h - sockets as the files of this folder see them.
 *
 * A socket is a source (drive) in a type-stable slot: slots are reused for sockets only and never
 * given back to the system, so that a driver's event that comes late, or a second close, finds a
 * socket and not somebody's memory. Each operation takes a reference before its first look and
 * then asks whether the slot's `life` is still the one that it began with: so it is never done to
 * the next socket in the slot, or to the next file with the descriptor's number.
 */
#ifndef SKUA_NET_NET_IMPL_H
#define SKUA_NET_NET_IMPL_H

#include <sys/socket.h>

#include <skua/net.h>

#include "drive/drive_impl.h"

/* A slot's life: odd while it is open; every opening and every close adds one. */
#define SKUA__LIFE_OPEN 1u

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

/* The end of a life, once: false when it had ended before. */
SKUA__INLINE bool skua__slot_close(_Atomic uint32_t *life)
{
    uint32_t open = skua__load_acquire(life);

    return (open & SKUA__LIFE_OPEN) && skua__cas_strong_acq_rel(life, &open, open + 1);
}

/* Begins a life. Release: who sees it sees the slot as it was filled in. */
SKUA__INLINE void skua__slot_open(_Atomic uint32_t *life)
{
    skua__store_release(life, skua__load_relaxed(life) + 1);
}

/* A reference on a slot's source, if the life that was seen (open) still lasts: then the handle's
 * own reference was there, and the source is the one that was meant. Acquire: the look at `life`
 * comes after the reference, and after what the slot was filled in with. */
SKUA__INLINE bool skua__slot_hold(_Atomic uint32_t *life, uint32_t seen,
                                  struct skua__source *source)
{
    if (!(seen & SKUA__LIFE_OPEN) || !skua__source_ref_alive(source))
        return false;
    if (skua__likely(skua__load_acquire(life) == seen))
        return true;
    skua__source_unref(source);
    return false;
}

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
