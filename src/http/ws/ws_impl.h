/* ws_impl.h - a WebSocket's own parts.
 *
 *   ws_accept.c   a server's handshake          ws_connect.c  a client's
 *   ws_key.c      Sec-WebSocket-Accept          ws.c          options, making, close, free
 *   ws_frame.c    what comes in, frame by frame, and what control frames mean
 *   ws_recv.c     messages out of frames        ws_send.c     messages into frames
 *   ws_urgent.c   control frames that go out    ws_deflate.c  RFC 7692
 *   ws_utf8.h     text
 *
 * Locks      reading   held by who receives, over its waits: wslay's input, the message
 *            sending   held by who sends, for a frame: wslay's output, `out`
 *            mutex     for a few instructions, never over a wait: what is urgent, what is told
 * Order      reading, sending, mutex. wslay keeps input and output apart, so that the two may be
 *            used in two tasks.
 */
#ifndef SKUA_HTTP_WS_IMPL_H
#define SKUA_HTTP_WS_IMPL_H

#include <pthread.h>

#include <wslay/wslay.h>

#include <skua/http/websocket.h>
#include <skua/scheduler.h>
#include <skua/sync.h>

#include "http/core/http_impl.h"
#include "http/ws/ws_utf8.h"

#define SKUA__WS_CONTROL 125u /* bytes of a control frame's payload */
#define SKUA__WS_HEAD 14u     /* of a frame's head */

/* One control frame that is to go out. */
struct skua__ws_urgent {
    bool wanted;
    uint8_t len;
    uint8_t data[SKUA__WS_CONTROL];
};

struct skua__ws_zip; /* ws_deflate.c */

/* What RFC 7692 lets two sides agree on, as this side sees it. */
struct skua__ws_deflate {
    bool on;
    bool send_alone, recv_alone; /* without the context of the messages before */
    uint8_t send_bits, recv_bits;
};

struct skua_websocket {
    skua_io io;
    wslay_frame_context_ptr frames;
    skua_websocket_options options;  /* constant, with its defaults; its strings are gone */
    struct skua__ws_deflate deflate; /* constant */
    char *protocol;                  /* constant */
    bool server;                     /* constant */
    void (*end)(void *object);       /* closes what is below; NULL: it is not ours. Constant */
    void *object;

    skua_mutex reading, sending;
    pthread_mutex_t mutex;

    /* receiving; guard: reading */
    char *early; /* what came behind the handshake; NULL: nothing, or all was read */
    size_t early_pos, early_len;
    int64_t deadline;           /* of the call */
    ssize_t read_error;         /* of the stream, in the callback */
    struct wslay_frame_iocb in; /* what has come last */
    uint64_t frame_left;        /* bytes of its frame to come */
    bool in_frame;              /* a frame has begun, and not ended */
    uint8_t control[SKUA__WS_CONTROL];
    uint8_t control_len;
    const uint8_t *chunk; /* of the message, in wslay's buffer, and not taken yet */
    size_t chunk_len;
    bool message; /* one has begun, and its end was not told */
    bool last;    /* its last frame was read, but for the chunk */
    bool zipped;  /* it is compressed */
    bool tail;    /* and its end was given to zlib */
    bool whole;   /* recv gathers it */
    bool given;   /* what recv has gathered is the caller's */
    skua_websocket_type type;
    uint64_t frames_len;  /* bytes of its frames so far */
    uint64_t message_len; /* bytes that were handed out of it */
    struct skua__ws_utf8 text;
    int error; /* it is over, and says so again; 0: no */
    char *buf; /* of recv */
    size_t buf_len, buf_room;
    struct skua__ws_zip *unzip; /* NULL: not needed yet */
    int64_t heard;              /* when the last byte came */
    int64_t asked;              /* when a ping was sent to hear more; 0: it was not */
    int64_t window;             /* when the count of control frames began */
    size_t controls;

    /* sending; guard: sending */
    uint8_t head[SKUA__WS_HEAD];
    size_t head_len;
    uint8_t *gather; /* a client's masked bytes; NULL: not needed yet */
    size_t gather_len;
    uint8_t out[SKUA__WS_HEAD + SKUA__WS_CONTROL]; /* a control frame on its way */
    size_t out_pos, out_len;
    bool urgent;          /* what is written goes there */
    ssize_t write_error;  /* of the stream, in the callback */
    bool broken;          /* a frame was cut in two: nothing can follow */
    bool closed;          /* a close is on its way or sent: nothing may follow */
    uint8_t sending_type; /* of a message in pieces; 0: there is none */
    struct skua__ws_utf8 sending_text;
    struct skua__ws_zip *zip; /* NULL: not needed yet */

    /* told; guard: mutex */
    struct skua__ws_urgent pong, ping, close;
    bool left;        /* a part of `out` waits */
    bool cut;         /* as broken, for who has not the lock */
    int64_t asked_at; /* when the last ping was made; 0: it was answered */
    skua_websocket_info info;
};

/* ---- ws.c ------------------------------------------------------------------------------------ */

/* 0; -EINVAL. */
int skua__ws_options(skua_websocket_options *ret, const skua_websocket_options *given);
/* A connection on a stream, behind the handshake; protocol may be NULL. 0; -ENOMEM. */
int skua__ws_new(skua_websocket **ret, skua_io io, bool server,
                 const skua_websocket_options *options, const struct skua__ws_deflate *deflate,
                 const char *protocol, size_t protocol_len);
/* The next entry of a list with commas, without its blanks: its length, 0: there is none. */
size_t skua__ws_token(const char **at, const char **token);

/* ---- ws_key.c -------------------------------------------------------------------------------- */

#define SKUA__WS_KEY 25    /* 16 bytes in base64, and a NUL */
#define SKUA__WS_ACCEPT 29 /* 20 bytes, and a NUL */

void skua__ws_base64(char *out, const uint8_t *data, size_t len);
/* The answer to a key. */
void skua__ws_answer(char out[SKUA__WS_ACCEPT], const char *key);

/* ---- ws_frame.c ------------------------------------------------------------------------------ */

/* wslay's, to read. */
ssize_t skua__ws_fill(uint8_t *buf, size_t len, int flags, void *arg);
/* The next chunk of the message, or of the next one; the chunk before was taken. Control frames on
 * the way are heard. 0, or an error. */
int skua__ws_more(skua_websocket *ws);
/* The peer has done something wrong: it is told, and the connection is over. Returns `error`. */
int skua__ws_fail(skua_websocket *ws, int code, int error);
/* Whether a close may say so. */
bool skua__ws_code_is_good(int code);

/* ---- ws_recv.c ------------------------------------------------------------------------------- */

/* Takes `reading`, if nobody has it. */
int skua__ws_enter(skua_websocket *ws, int64_t deadline);

/* ---- ws_urgent.c ----------------------------------------------------------------------------- */

/* wslay's, to write. */
ssize_t skua__ws_put(const uint8_t *data, size_t len, int flags, void *arg);
/* One frame; with `sending`, and `out` empty. 0, or an error: it is broken. */
int skua__ws_frame(skua_websocket *ws, uint8_t opcode, uint8_t rsv, bool fin, const void *data,
                   size_t len);
/* Of one of the three: replaces what waits. False: a close is under way. */
bool skua__ws_urge(skua_websocket *ws, struct skua__ws_urgent *which, const void *data, size_t len);
/* All that is urgent, with `sending`: 0, or an error. -ETIMEDOUT, -ECANCELED: a part is left. */
int skua__ws_rush(skua_websocket *ws, int64_t deadline);
/* The same, without the lock and without waiting. */
void skua__ws_rush_now(skua_websocket *ws);
/* The same, waiting for both. */
int skua__ws_rush_until(skua_websocket *ws, int64_t deadline);
/* Unlocks, and sends what has become urgent meanwhile. */
void skua__ws_unlock(skua_websocket *ws);
/* Whether something urgent waits. */
bool skua__ws_is_urgent(skua_websocket *ws);

/* ---- ws_deflate.c ---------------------------------------------------------------------------- */

/* A server's: reads the offers of all headers, and writes the answer into `text`; false: none. */
bool skua__ws_deflate_accept(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                             skua_http_exchange *exchange, char *text, size_t size);
/* A client's: what it offers; "" for nothing. */
void skua__ws_deflate_offer(const skua_websocket_options *options, char *text, size_t size);
/* A client's: false: the answer is none to the offer. */
bool skua__ws_deflate_agree(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                            const char *answer);
/* Bytes out of the chunk, and out of what zlib still has: the count; 0: more is needed; -EBADMSG,
 * -ENOMEM. */
ssize_t skua__ws_unzip(skua_websocket *ws, void *buf, size_t len);
/* The message has ended. */
void skua__ws_unzip_end(skua_websocket *ws);
/* Sends a piece as frames, or one without zlib's tail when it is the last one. */
int skua__ws_zip_send(skua_websocket *ws, uint8_t opcode, const void *data, size_t len, bool last);
void skua__ws_zip_free(skua_websocket *ws);

#endif
