/* net_impl.h - sockets as the files of this folder see them.
 *
 * A socket is a source in a type-stable slot (drive/drive_impl.h), which is reused for sockets
 * only.
 */
#ifndef SKUA_NET_NET_IMPL_H
#define SKUA_NET_NET_IMPL_H

#include <sys/socket.h>

#include <skua/net.h>
#include <skua/udp.h>

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
    void *next_free;            /* the slots' */
};

/* What users hold: the whole stream, or a half. Part of source.owner. */
struct skua_tcp {
    _Atomic uint32_t life;
    _Atomic uint32_t rights; /* SKUA__MAY_READ …; relaxed: life tells whose */
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
    uint32_t kind;              /* SKUA__LISTENS_…; constant */
    uint32_t nodelay;           /* 1: each connection is to be told; constant */
    _Atomic uint32_t exhausted; /* 1: descriptors ran out, and that was said */
    void *next_free;            /* the slots' */
};

/* A datagram socket: UDP, or Unix datagram and seqpacket (unix.c). */
struct skua_udp {
    struct skua__source source; /* first: the slot */
    _Atomic uint32_t life;
    _Atomic int family; /* AF_…; relaxed: life tells whose */
    void *next_free;    /* the slots' */
};

#define SKUA__MAY_READ 1u
#define SKUA__MAY_WRITE 2u
#define SKUA__MAY_BOTH (SKUA__MAY_READ | SKUA__MAY_WRITE)
/* Unix: a read may end early, at descriptors that came with the bytes, and more may be there. */
#define SKUA__HAS_MARKS 4u

/* What a listener's connections are. */
#define SKUA__LISTENS_TCP 0u
#define SKUA__LISTENS_STREAM 1u /* Unix, as streams */
#define SKUA__LISTENS_PACKET 2u /* Unix seqpacket: accepted as skua_udp */

struct skua__address {
    struct sockaddr_storage storage;
    unsigned len;
    bool any_family; /* "*:80": IPv6 if there is any, with IPv4 in it */
};

/* "127.0.0.1:80" and the like: 0 or -EINVAL. */
int skua__address_parse(const char *text, struct skua__address *ret);
/* "*:80" on a machine without IPv6. */
void skua__address_any_v4(struct skua__address *address);
/* The string of an address: 0 or -ENOSPC. */
int skua__address_format(const struct skua__address *address, char *buf, size_t len);
/* Between it and the value that users hold (address.h). */
void skua__address_store(skua_address *ret, const struct skua__address *from);
void skua__address_load(struct skua__address *ret, const skua_address *from);
/* Makes an IPv4 address of one that is mapped into IPv6. */
void skua__address_unmap(skua_address *address);

/* The stream behind a handle, with a reference; NULL: it is closed. */
struct skua__stream *skua__tcp_hold(skua_tcp *tcp);
/* Polls a future of tcp_future.c once, without a waker: -EAGAIN where it would wait. */
ssize_t skua__tcp_try(skua_future *future);
/* Awaits a future of tcp_future.c on a fiber or a plain thread. */
int64_t skua__tcp_await(skua_future *future, int64_t deadline);
skua_future *skua__tcp_vector_init(skua_tcp_future *self, skua_tcp *tcp, const struct iovec *iov,
                                   int count, unsigned direction);

/* Moves stashed bytes into the buffers: the count, or what became of them. The reader, who has seen
 * SKUA__STASHED. */
ssize_t skua__tcp_take_stash(struct skua__stream *stream, const struct iovec *iov, size_t count);

/* Makes a socket of an open descriptor; takes it over, closes it on failure. */
int skua__tcp_adopt(int fd, skua_tcp **ret);
int skua__udp_adopt(int fd, int family, skua_udp **ret);
/* The same of a Unix stream. */
int skua__unix_adopt(int fd, skua_tcp **ret);
/* The same of one that listens; kind: SKUA__LISTENS_…. */
int skua__listener_adopt(int fd, uint32_t kind, skua_listener **ret);
/* skua_tcp_accept and its future, of packets too: ret is a skua_tcp ** or a skua_udp **. */
int skua__accept_until(skua_listener *listener, void *ret, bool packets, int64_t deadline);
skua_future *skua__accept_init(skua_accept_future *accept, skua_listener *listener, void *ret,
                               bool packets);

/* ---- one attempt to connect (tcp_connect.c) -------------------------------------------------- */

struct skua__attempt {
    skua_tcp *tcp;     /* NULL: none is under way */
    skua_waker *waker; /* left in its source */
};

/* Begins one, where none is under way: 0, or why it could not begin. */
int skua__attempt_begin(struct skua__attempt *self, const skua_address *to,
                        const skua_connect_options *options);
/* How it goes: 0: it is connected; SKUA_PENDING; or why not. On workers. */
skua_poll skua__attempt_poll(struct skua__attempt *self, skua_waker *waker);
/* The same for plain threads, with -EAGAIN for SKUA_PENDING; then its descriptor is waited for. */
int skua__attempt_outcome(const struct skua__attempt *self);
int skua__attempt_fd(const struct skua__attempt *self);
/* Lets go of it and closes it, if one is under way. */
void skua__attempt_end(struct skua__attempt *self);
/* Hands out the socket of one that is connected: 0, or an error: it is closed then. */
int skua__attempt_take(struct skua__attempt *self, skua_tcp **ret);

/* The datagram socket with a reference, while it is open. */
SKUA__INLINE bool skua__udp_hold(skua_udp *udp)
{
    return skua__slot_hold(&udp->life, skua__load_acquire(&udp->life), &udp->source);
}

/* Tells of bytes that went through a socket, if any did. (tcp.c) */
SKUA__COLD void skua__tcp_tell(const skua_tcp *tcp, unsigned direction, int64_t bytes);
SKUA__INLINE void skua__tcp_moved(const skua_tcp *tcp, unsigned direction, int64_t bytes)
{
    if (skua__probe_on(SKUA_PROBE_MOVED))
        skua__tcp_tell(tcp, direction, bytes);
}

/* The same of a future's socket that is a skua_udp. */
SKUA__INLINE void skua__udp_moved(const skua_udp_future *self, int64_t bytes)
{
    const struct skua_udp *udp = (const struct skua_udp *)self->source; /* its first member */

    if (skua__probe_on(SKUA_PROBE_MOVED) && bytes > 0) {
        bool local = skua__load_relaxed(&udp->family) == AF_UNIX;

        if (self->kind & SKUA__WRITE)
            skua__tell_moved(local ? "unix.send" : "udp.send", bytes);
        else
            skua__tell_moved(local ? "unix.recv" : "udp.recv", bytes);
    }
}

/* ---- trying and waiting (udp_future.c) ------------------------------------------------------- */

/* Besides SKUA__READ or SKUA__WRITE: there is no event to wait for, it is tried now and then. */
#define SKUA__BACKS_OFF 2u

/* Makes a future that makes an attempt whenever it may be worth it: a system call that gives
 * -EAGAIN where it would wait. */
skua_future *skua__udp_future_init(skua_udp_future *self, struct skua__source *source,
                                   _Atomic uint32_t *life, uint32_t kind,
                                   int64_t (*attempt)(skua_udp_future *self, int fd));
/* Awaits one on a fiber or a plain thread. */
int64_t skua__udp_await(skua_future *future, int64_t deadline);
/* One attempt: -EAGAIN where it would wait. */
int64_t skua__udp_try(skua_future *future);

#endif
