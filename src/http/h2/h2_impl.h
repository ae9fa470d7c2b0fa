/* h2_impl.h - a connection that speaks HTTP/2: what a server and a client have in common.
 *
 *   h2_session.c    nghttp2: a session, its options, what it tells of frames
 *   h2_head.c       heads and trailers: kept, counted, cookies joined
 *   h2_stream.c     a stream: opened, read, written, reset, let go of
 *   h2_wait.c       who waits, who reads for all, who sends for all
 *   h2_frames.c     frames as they come: what they may cost us, and strays
 *   h2s_*.c         the server: a connection's fibers, and an exchange on a stream
 *
 * The client stands on this, too, in a folder of its own.
 *
 * Lock         one thread's mutex a connection. It guards the session and everything of all its
 *              streams; it is held for calls of nghttp2 and some copying, never over a wait, never
 *              over code of the user's. Hooks are called under it. Tasks are woken under it: so
 *              whoever is woken, and frees what it waited on, has had the mutex after the waker.
 * Streams      nghttp2 has one as long as it is open (`known`), its owner until it lets go of it
 *              (`owned`), and lists may hold one for a moment (`refs` counts all of them). The last
 *              one frees it through the hook. The connection outlives its streams: each has been
 *              let go of before skua__h2_free.
 *
 *                  reading   fresh -> head -> (data)* -> trailers? -> ended       or   over
 *                  sending   fresh -> begun -> (data)* -> ended                   or   over
 *
 *              Both sides go through their states for themselves. `over` is both's: the stream was
 *              reset, by either side, or the connection has failed; `error` says why, and what came
 *              before may still be read, unless we have reset it.
 * Receiving    bytes of a body lie in the stream's `in`, which is never longer than its window: who
 *              reads them gives the window back. The connection's window is given back at once, so
 *              that a stream which nobody reads does not hold up the others: streams times window
 *              is what a peer can make us keep.
 * Sending      what is written is copied into the stream's `out`, SKUA__H2_OUT at most: then the
 *              writer waits for room. nghttp2 takes from there as the windows allow.
 * Wires        frames are gathered in the connection's `wire`, and sent with one call. One task
 *              sends at a time (`sending`), and goes on until nothing is left, so nobody's bytes
 *              stay behind: whoever comes meanwhile goes away.
 *                server   its fiber sends, whoever has something tells it (`work`)
 *                client   who has something sends it, if nobody does. One that is cancelled in the
 *                         middle hands on to a task that waits; when there is none it has a second
 *                         to get the rest out, or the connection has failed
 * Reading      one task reads at a time (`leading`), outside of the mutex, into `in`, and then
 *              feeds nghttp2, which wakes who it concerns.
 *                server   a fiber of the connection's own, always
 *                client   there is none: of the tasks that wait for something one leads, reads for
 *                         all, and when it has what it wanted, or is cancelled, wakes the next,
 *                         which leads on. Fibers and plain threads, mixed
 * Cancel       a wait that is cancelled has taken nothing. The stream is as before; its owner
 *              resets it, or goes on.
 * Errors       of a stream: the peer's code in `code`, what our callers get in `error`:
 *                CANCEL, REFUSED_STREAM and the like -> -ECONNRESET, with `refused` when the peer
 *                says that it has done nothing with it; malformed -> -EBADMSG
 *              of the connection: `error`, which every stream then has: SKUA_EEOF it has ended,
 *              -EBADMSG it spoke nonsense, -ETIMEDOUT it took nothing, or what the stream said.
 * Shutdown     skua__h2_stop begins: GOAWAY with the highest number and a PING; when its answer has
 *              come, or after a second, GOAWAY with the last stream that we know of (RFC 9113,
 *              6.8). A GOAWAY from the peer: `draining`: nothing is opened any more, streams beyond
 *              its last one are over and `refused`, the others go on.
 *
 * Sources: RFC 9113; nghttp2; the leader and its followers after Schmidt's pattern.
 */
#ifndef SKUA_HTTP_H2_IMPL_H
#define SKUA_HTTP_H2_IMPL_H

#include <pthread.h>

#include <nghttp2/nghttp2.h>

#include <skua/notify.h>
#include <skua/scheduler.h>
#include <skua/time.h>

#include "http/core/http_impl.h"

/* Bytes of a body that wait to be sent; of a stream. */
#define SKUA__H2_OUT ((size_t)32768)
/* Gathered for one call; and the longest frame that nghttp2 makes, with what is around it. */
#define SKUA__H2_WIRE ((size_t)65536)
#define SKUA__H2_FRAME ((size_t)16384 + 256)
#define SKUA__H2_IN ((size_t)16384)
/* The same on the reader's stack, as long as that is enough. */
#define SKUA__H2_FEW ((size_t)1024)
/* Of the connection: it is given back at once, and only has to be as much as is on its way. */
#define SKUA__H2_CONNECTION_WINDOW (1 << 20)

/* Streams of which is known for how they ended. */
#define SKUA__H2_PAST 64u

struct skua__h2;
struct skua__h2_stream;

struct skua__h2_buffer {
    char *bytes;
    size_t pos, len, room; /* bytes[pos .. len) are there */
};

/* What the role adds. All are called under the mutex, and neither wait nor call back. */
struct skua__h2_hooks {
    /* The peer opens a stream: one with its own fields set, and `refs` 0; NULL: no memory. NULL for
     * a client. */
    struct skua__h2_stream *(*open)(struct skua__h2 *h2);
    /* A head is whole, in stream->head and the fields beside it (a client's 1xx is not told). The
     * stream is referenced for as long as the hook runs. */
    void (*head)(struct skua__h2_stream *stream);
    /* It is over, or both sides have ended: nghttp2 does not know it any more. */
    void (*closed)(struct skua__h2_stream *stream);
    /* Nobody refers to it. */
    void (*free)(struct skua__h2_stream *stream);
};

struct skua__h2_setup {
    bool server;
    const struct skua__h2_hooks *hooks;
    size_t head_max;       /* of a head, as RFC 9113, 6.5.2 counts it; beyond: stream->too_large */
    size_t headers_max;    /* the same of fields; 0: any number */
    uint32_t streams_max;  /* that the peer may have open at a time; a client's: 0 */
    uint32_t window;       /* of a stream; bytes */
    int64_t write_timeout; /* without the peer taking a byte */
};

/* A task that waits for something of a stream, or of the connection. On its stack. */
struct skua__h2_waiter {
    struct skua__h2_waiter *next, **link;          /* of all that wait here; guard: mutex */
    struct skua__h2_waiter *line_next, *line_prev; /* in the line for the lead; guard: mutex */
    bool writes;                                   /* what it wants is room in `out` */
    skua_notify notify;
};

struct skua__h2 {
    skua_io io;                  /* constant */
    struct skua__h2_setup setup; /* constant */
    void *owner;                 /* the role's; constant */

    pthread_mutex_t mutex;
    /* guard of all that follows: mutex */
    nghttp2_session *session;
    struct skua__h2_stream *streams; /* that nghttp2 knows, or that are owned */
    size_t known;                    /* streams that nghttp2 knows */
    int64_t idle_since;              /* ns: when that became 0 */
    int error;                       /* 0; it has failed, or ended */
    bool broken;                     /* nothing can be sent any more */
    bool stuffed;                    /* nghttp2 has more than fits into the wire */
    bool dirty;                      /* nghttp2 may have something to send */
    bool draining;                   /* the peer's GOAWAY: nothing more may be opened */
    int32_t last_id;                 /* the last stream it will answer; when draining */
    uint32_t goaway_code, said_code; /* reasons: its, ours */
    unsigned stopping;               /* ours: SKUA__H2_STOP_… */
    int64_t stop_next;               /* ns: when the second GOAWAY goes out in any case */
    bool in_head;                    /* a head has begun, and is not whole */
    bool head_ends;                  /* with the frame that is coming */
    int64_t head_began;              /* ns */
    unsigned head_frames;            /* CONTINUATIONs of it */
    uint8_t frame[9];                /* the head of the one that is coming, so far */
    uint8_t frame_len;
    uint32_t frame_left;         /* bytes of it that have not come */
    int32_t opened;              /* the last stream that the peer has opened */
    int32_t past[SKUA__H2_PAST]; /* a ring: streams that have ended; below 0: we have reset it */
    unsigned past_next;
    int64_t resets, calm, calm_at;   /* h2_frames.c: what is left of the peer's budgets */
    uint64_t pings, pongs;           /* ours that were sent, and answered: in their order */
    struct skua__h2_waiter *waiters; /* for something of the connection */
    struct skua__h2_waiter *line_first, *line_last; /* that may lead: a client's, but the leader */
    bool leading;                                   /* a task reads */
    const struct skua__h2_stream *leads_for;        /* what it waits for; NULL: the connection's */
    bool sending;                                   /* a task sends */
    bool owed;     /* somebody in line was called to send, and has not begun to */
    int64_t stuck; /* ns that was tried to send, since the peer has taken something */

    skua_notify work;          /* a server's fiber has something to do */
    char *wire;                /* SKUA__H2_WIRE bytes; the sender's */
    size_t wire_pos, wire_len; /* the sender's, and under the mutex */
    char *in;                  /* SKUA__H2_IN bytes; the leader's */
};

enum { SKUA__H2_GOING, SKUA__H2_STOP_NOTICED, SKUA__H2_STOP_SAID };

/* Part of the role's own. guard of all, but where it is said: the connection's mutex. */
struct skua__h2_stream {
    struct skua__h2 *h2;                  /* constant */
    struct skua__h2_stream *next, **link; /* of the connection */
    int32_t id;                           /* 0: not opened yet */
    unsigned refs;
    bool known, owned;
    bool over;     /* reset, or the connection has failed */
    int error;     /* why; 0: it is not over */
    uint32_t code; /* HTTP/2's; with over */
    bool reset;    /* our RST_STREAM is out */
    bool cut;      /* by us: what came is gone */
    bool let_go;   /* what comes is thrown away */
    bool refused;  /* over, and the peer has not looked at it: it may be sent again */

    /* what came: constant once head_done (trailers: in_ended) was seen under the mutex */
    struct skua__http_arena arena;                  /* of the strings */
    const char *method, *scheme, *authority, *path; /* a request's; NULL: not said */
    int status;                                     /* a response's */
    struct skua__http_fields head, trailers;        /* without pseudo-headers */
    size_t head_size, head_count;                   /* so far; of trailers then */
    int informed;                                   /* the last 1xx that came before; 0 */
    unsigned informs;                               /* how many of them */
    bool too_large;                                 /* more than the limits: fields are missing */
    bool no_memory;                                 /* the same for want of it */
    bool head_done, in_ended;
    int64_t length;            /* content-length; -1: not said */
    struct skua__h2_buffer in; /* of the body */
    uint64_t came;             /* bytes of the body */

    /* what goes */
    struct skua__h2_buffer out;
    bool begun;     /* the head is with nghttp2 */
    bool deferred;  /* nghttp2 has found nothing in out, and is to be told when there is */
    bool out_ended; /* nothing will be added to out */
    bool out_cut;   /* ... and it is not whole: RST_STREAM with out_code follows */
    uint32_t out_code;
    bool out_sent;            /* END_STREAM has been given to the wire */
    int64_t moved;            /* ns: when nghttp2 has taken something, or it was begun */
    nghttp2_nv *out_trailers; /* the role's, until it frees the stream */
    size_t out_trailers_count;

    struct skua__h2_waiter *waiters; /* one reader and one writer at a time */
};

/* ---- the connection (h2_session.c) ----------------------------------------------------------- */

/* The preface is queued. 0 or -ENOMEM. */
int skua__h2_init(struct skua__h2 *h2, skua_io io, const struct skua__h2_setup *setup, void *owner);
/* No task uses it, and all streams were let go of. */
void skua__h2_free(struct skua__h2 *h2);
/* Under the mutex: it has failed; everybody is told. The first error stays. */
void skua__h2_fail(struct skua__h2 *h2, int error);
/* Under the mutex: begins to stop; or goes on doing so, when it is time (see stop_next). */
void skua__h2_stop(struct skua__h2 *h2);
/* The same, without the notice: the last GOAWAY, with a code. */
void skua__h2_say_goaway(struct skua__h2 *h2, uint32_t code);
/* Under the mutex: a PING; pongs reaches what pings is then. 0 or -ENOMEM. */
int skua__h2_ping(struct skua__h2 *h2);
/* Under the mutex: how many more streams we may open now; 0 too when it drains or has failed. */
size_t skua__h2_room(struct skua__h2 *h2);

/* ---- waiting, reading, sending (h2_wait.c) --------------------------------------------------- */

/* Reads once, and feeds: 0, or the connection's error; -ECANCELED, -ETIMEDOUT: nothing was read.
 * By who leads. */
int skua__h2_fill(struct skua__h2 *h2, int64_t deadline);
/* Gets everything out that there is, or finds that somebody does so. On a server it tells the fiber
 * that sends. 0, or an error: the connection's, or -ECANCELED and -ETIMEDOUT of the caller's.
 * Without the mutex. */
int skua__h2_flush(struct skua__h2 *h2);
/* The same, but a client's only until then: -ETIMEDOUT, the rest stays in the wire. */
int skua__h2_flush_until(struct skua__h2 *h2, int64_t until);
/* The same for a second, of what is only polite. */
void skua__h2_flush_soon(struct skua__h2 *h2);
/* What the server's fiber does to send: until nothing is left. 0 or an error. */
int skua__h2_send(struct skua__h2 *h2, int64_t until);
/* Waits until ready(arg), which is asked under the mutex, says so. The caller has the mutex, and
 * has it again afterwards. stream: whose news matter; NULL: the connection's. writes: it waits for
 * room in `out`. 0; or -ECANCELED, -ETIMEDOUT, of which ready() may be true nonetheless. A
 * connection that has failed wakes everybody: ready() must be true then. */
int skua__h2_wait(struct skua__h2 *h2, struct skua__h2_stream *stream, bool writes,
                  bool (*ready)(void *arg), void *arg, int64_t deadline);
/* Under the mutex: wakes who waits for the stream, or for the connection. */
void skua__h2_wake(struct skua__h2_stream *stream);
void skua__h2_wake_connection(struct skua__h2 *h2);

/* ---- streams (h2_stream.c) ------------------------------------------------------------------- */

/* All without the mutex, but where it is said. Errors: the stream's, -ECANCELED, -ETIMEDOUT. */

/* Under the mutex: makes it one of the connection's; its fields are zero, without a reference. */
void skua__h2_stream_add(struct skua__h2 *h2, struct skua__h2_stream *stream);
/* Under the mutex: with the owner's reference, which skua__h2_let_go gives back. */
void skua__h2_own(struct skua__h2_stream *stream);
/* A client's request: opens the stream. end: without a body. 0, -ENOMEM, SKUA_ECLOSED: the
 * connection takes no more, -EAGAIN: not now, see skua__h2_room. Nothing is sent before a flush. */
int skua__h2_request(struct skua__h2_stream *stream, const nghttp2_nv *fields, size_t count,
                     bool end);
/* A server's head. end: without a body (and trailers). */
int skua__h2_respond(struct skua__h2_stream *stream, const nghttp2_nv *fields, size_t count,
                     bool end);
/* A server's "100 Continue" and other 1xx. */
int skua__h2_inform(struct skua__h2_stream *stream, int status);
/* Waits for the head. 0 or an error. */
int skua__h2_read_head(struct skua__h2_stream *stream, int64_t deadline);
/* What there is of the body: the count; 0: the end, trailers are there; or an error. */
ssize_t skua__h2_read(struct skua__h2_stream *stream, void *buf, size_t len, int64_t deadline);
/* All of it, into out. timeout: without the peer taking anything. 0 or an error: a part of it was
 * taken. Nothing is sent before `out` is full, or a flush. */
int skua__h2_write(struct skua__h2_stream *stream, const void *buf, size_t len, int64_t timeout);
/* No more will be written. The trailers must live until the stream is freed. */
int skua__h2_end(struct skua__h2_stream *stream, nghttp2_nv *trailers, size_t count);
/* RST_STREAM, if it is open: it is over at once, for us, with error. */
void skua__h2_reset(struct skua__h2_stream *stream, uint32_t code, int error);
/* The same, once what was written is out. */
void skua__h2_reset_behind(struct skua__h2_stream *stream, uint32_t code, int error);
/* The owner is done with it; what was written and ended still goes out, what was not is reset. It
 * is gone for the caller. */
void skua__h2_let_go(struct skua__h2_stream *stream);
/* Under the mutex. */
void skua__h2_ref(struct skua__h2_stream *stream);
void skua__h2_unref(struct skua__h2_stream *stream);
/* Under the mutex: the same as skua__h2_reset, but it does not flush. */
void skua__h2_cut(struct skua__h2_stream *stream, uint32_t code, int error);
/* Under the mutex: it is over, and everybody is told. */
void skua__h2_over(struct skua__h2_stream *stream, uint32_t code, int error);
/* nghttp2 asks for what there is in `out`. */
ssize_t skua__h2_on_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                        uint32_t *flags, nghttp2_data_source *source, void *arg);
int skua__h2_buffer_add(struct skua__h2_buffer *buffer, const void *bytes, size_t len);
void skua__h2_buffer_free(struct skua__h2_buffer *buffer);
/* What our callers are told of a code of HTTP/2. */
int skua__h2_error_of(uint32_t code);

/* ---- heads (h2_head.c) ----------------------------------------------------------------------- */

/* Under the mutex: one field of what is coming. 0; -1: it is not allowed there. */
int skua__h2_field(struct skua__h2_stream *stream, bool trailer, const char *name, size_t name_len,
                   const char *value, size_t value_len);
/* Under the mutex: the head is whole: joins its cookies, finds its length. */
void skua__h2_head_done(struct skua__h2_stream *stream);
/* Under the mutex: it was a 1xx. */
void skua__h2_head_informed(struct skua__h2_stream *stream);

/* ---- frames (h2_frames.c) -------------------------------------------------------------------- */

void skua__h2_frames_begin(struct skua__h2 *h2);
/* Gives nghttp2 what has come. 0, or the connection's error, which it then has. Without the
 * mutex. */
int skua__h2_feed(struct skua__h2 *h2, const char *bytes, size_t len);
/* Under the mutex: the peer is asked to calm down, and the connection ends. */
void skua__h2_flooded(struct skua__h2 *h2);
/* Under the mutex: a frame that costs us and brings nothing; a reset; something worth having.
 * False: it is too much. */
bool skua__h2_calm_frame(struct skua__h2 *h2);
bool skua__h2_calm_reset(struct skua__h2 *h2);
void skua__h2_calm_worth(struct skua__h2 *h2);

#endif
