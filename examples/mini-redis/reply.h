/* reply.h - what goes back to a client: bytes, and references on long strings.
 *
 * Replies of a batch of commands are collected here and written with one call. Short things are
 * copied behind each other; a string of 16 KiB or more is not copied but referred to, so that GET
 * of 64 MiB costs nothing under the key's lock and a message to 10,000 subscribers is kept once.
 *
 *     buf     |$70000 \r\n|\r\n+OK\r\n|
 *     pieces              ^ the 70,000 bytes go in here
 *
 * A reply has a limit: past it everything is let go and `overflowed` stays set; the client is
 * asking for more than anybody should keep, and will be disconnected. Knows nothing of sockets.
 */
#ifndef MINI_REDIS_REPLY_H
#define MINI_REDIS_REPLY_H

#include <stdbool.h>
#include <sys/uio.h>

#include "store/str.h"

#define REPLY_SHARE_MIN (16 * 1024) /* strings from here on are referred to */

/* A string to be sent behind the first `at` bytes of the buffer. */
struct reply_piece {
    size_t at;
    struct str *str;
};

struct reply {
    char *buf;
    size_t len;
    size_t capacity;
    struct reply_piece *pieces;
    size_t pieces_len;
    size_t pieces_capacity;
    size_t bytes; /* still to be sent, those of the pieces too */
    size_t limit; /* of `bytes` */
    bool overflowed;
    size_t sent;       /* of the buffer */
    size_t piece;      /* the first that is not sent entirely … */
    size_t piece_sent; /* … and how much of it is */
};

void reply_init(struct reply *reply, size_t limit);
/* Lets go of everything that was not sent, and of the memory. */
void reply_done(struct reply *reply);

/* ---- the kinds of reply ---------------------------------------------------------------------- */

void reply_status(struct reply *reply, const char *status);
/* "-ERR ...", or another code if the text starts with '-'. Line ends in it become spaces. */
void reply_error(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, int64_t number);
void reply_bulk(struct reply *reply, const char *bytes, size_t len);
void reply_bulk_text(struct reply *reply, const char *text);
void reply_bulk_str(struct reply *reply, struct str *str);
void reply_null(struct reply *reply);
void reply_null_array(struct reply *reply);
/* Opens an array; its elements follow. */
void reply_array(struct reply *reply, size_t count);
/* A whole reply that was made elsewhere: a published message. */
void reply_raw(struct reply *reply, struct str *str);

/* Moves everything from one reply, of which nothing was sent yet, to the end of another. */
void reply_move(struct reply *to, struct reply *from);

/* ---- sending --------------------------------------------------------------------------------- */

/* What is to be sent next, in at most `count` buffers. Returns how many. */
int reply_vector(const struct reply *reply, struct iovec *iov, int count);
/* `count` bytes of that were sent. */
void reply_sent(struct reply *reply, size_t count);

#endif
