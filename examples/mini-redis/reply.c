/* reply.c - building and draining replies; see reply.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "reply.h"
#include "store/mem.h"

#define REPLY_CAPACITY_MIN 512
#define REPLY_CAPACITY_KEPT (16 * 1024) /* an idle connection keeps no more */

void reply_init(struct reply *reply, size_t limit)
{
    *reply = (struct reply){.limit = limit};
}

/* Empty again. A buffer of the usual size stays. */
static void reply_reset(struct reply *reply)
{
    for (; reply->piece < reply->pieces_len; reply->piece++)
        str_unref(reply->pieces[reply->piece].str);
    free(reply->pieces);
    if (reply->capacity > REPLY_CAPACITY_KEPT) {
        free(reply->buf);
        reply->buf = NULL;
        reply->capacity = 0;
    }
    *reply = (struct reply){.buf = reply->buf,
                            .capacity = reply->capacity,
                            .limit = reply->limit,
                            .overflowed = reply->overflowed};
}

void reply_done(struct reply *reply)
{
    reply_reset(reply);
    free(reply->buf);
    reply->buf = NULL;
    reply->capacity = 0;
}

/* ---- building -------------------------------------------------------------------------------- */

/* Counts bytes in; false when that is too much, and nothing is kept any more. */
static bool reply_admit(struct reply *reply, size_t count)
{
    if (reply->overflowed)
        return false;
    if (count <= reply->limit && reply->bytes <= reply->limit - count) {
        reply->bytes += count;
        return true;
    }
    reply->overflowed = true;
    reply_reset(reply);
    return false;
}

static void reply_copy(struct reply *reply, const char *bytes, size_t len)
{
    if (len > reply->capacity - reply->len) {
        size_t capacity = reply->capacity > 0 ? reply->capacity : REPLY_CAPACITY_MIN;

        while (capacity - reply->len < len)
            capacity *= 2;
        reply->buf = mem_resize(reply->buf, capacity);
        reply->capacity = capacity;
    }
    if (len > 0)
        memcpy(reply->buf + reply->len, bytes, len);
    reply->len += len;
}

static void reply_add(struct reply *reply, const char *bytes, size_t len)
{
    if (reply_admit(reply, len))
        reply_copy(reply, bytes, len);
}

static void reply_refer(struct reply *reply, size_t at, struct str *str)
{
    if (reply->pieces_len == reply->pieces_capacity) {
        reply->pieces_capacity = reply->pieces_capacity > 0 ? 2 * reply->pieces_capacity : 4;
        reply->pieces = mem_resize(reply->pieces, reply->pieces_capacity * sizeof *reply->pieces);
    }
    reply->pieces[reply->pieces_len++] = (struct reply_piece){.at = at, .str = str};
}

void reply_raw(struct reply *reply, struct str *str)
{
    if (!reply_admit(reply, str->len))
        return;
    if (str->len < REPLY_SHARE_MIN)
        reply_copy(reply, str->bytes, str->len);
    else
        reply_refer(reply, reply->len, str_ref(str));
}

void reply_move(struct reply *to, struct reply *from)
{
    size_t base = to->len;

    if (reply_admit(to, from->bytes)) {
        reply_copy(to, from->buf, from->len);
        for (; from->piece < from->pieces_len; from->piece++) /* their references move along */
            reply_refer(to, base + from->pieces[from->piece].at, from->pieces[from->piece].str);
    }
    reply_reset(from);
}

/* "$5\r\n" and the like, without the cost of printf: this is most of what a server says. */
static void reply_prefix(struct reply *reply, char kind, int64_t number)
{
    char line[24];
    char *at = line + sizeof line;
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    if (number < 0)
        *--at = '-';
    *--at = kind;
    reply_add(reply, at, (size_t)(line + sizeof line - at));
}

void reply_status(struct reply *reply, const char *status)
{
    reply_add(reply, "+", 1);
    reply_add(reply, status, strlen(status));
    reply_add(reply, "\r\n", 2);
}

void reply_error(struct reply *reply, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\r' || *c == '\n')
            *c = ' ';
    if (text[0] != '-')
        reply_add(reply, "-ERR ", 5);
    reply_add(reply, text, strlen(text));
    reply_add(reply, "\r\n", 2);
}

void reply_integer(struct reply *reply, int64_t number)
{
    reply_prefix(reply, ':', number);
}

void reply_bulk(struct reply *reply, const char *bytes, size_t len)
{
    reply_prefix(reply, '$', (int64_t)len);
    reply_add(reply, bytes, len);
    reply_add(reply, "\r\n", 2);
}

void reply_bulk_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, text, strlen(text));
}

void reply_bulk_str(struct reply *reply, struct str *str)
{
    reply_prefix(reply, '$', (int64_t)str->len);
    reply_raw(reply, str);
    reply_add(reply, "\r\n", 2);
}

void reply_null(struct reply *reply)
{
    reply_add(reply, "$-1\r\n", 5);
}

void reply_null_array(struct reply *reply)
{
    reply_add(reply, "*-1\r\n", 5);
}

void reply_array(struct reply *reply, size_t count)
{
    reply_prefix(reply, '*', (int64_t)count);
}

/* ---- sending --------------------------------------------------------------------------------- */

int reply_vector(const struct reply *reply, struct iovec *iov, int count)
{
    size_t sent = reply->sent;
    size_t piece_sent = reply->piece_sent;
    size_t piece = reply->piece;
    int used = 0;

    while (used < count) {
        size_t until = piece < reply->pieces_len ? reply->pieces[piece].at : reply->len;

        if (sent < until) {
            iov[used++] = (struct iovec){reply->buf + sent, until - sent};
            sent = until;
        } else if (piece < reply->pieces_len) {
            struct str *str = reply->pieces[piece++].str;

            iov[used++] = (struct iovec){str->bytes + piece_sent, str->len - piece_sent};
            piece_sent = 0;
        } else
            break;
    }
    return used;
}

void reply_sent(struct reply *reply, size_t count)
{
    reply->bytes -= count;
    if (reply->bytes == 0) {
        reply_reset(reply);
        return;
    }
    while (count > 0) {
        bool in_piece =
            reply->piece < reply->pieces_len && reply->pieces[reply->piece].at == reply->sent;
        struct str *str = in_piece ? reply->pieces[reply->piece].str : NULL;
        size_t until =
            reply->piece < reply->pieces_len ? reply->pieces[reply->piece].at : reply->len;
        size_t left = in_piece ? str->len - reply->piece_sent : until - reply->sent;
        size_t step = count < left ? count : left;

        count -= step;
        if (!in_piece)
            reply->sent += step;
        else if (step < left)
            reply->piece_sent += step;
        else {
            str_unref(str);
            reply->piece++;
            reply->piece_sent = 0;
        }
    }
}
