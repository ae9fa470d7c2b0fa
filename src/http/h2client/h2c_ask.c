/* h2c_ask.c - a request on a stream: its head, and its body as there is room for it.
 *
 *   head       pseudo-headers, the request's own fields in lower case, what is said of the body
 *              (RFC 9113, 8.3). Secrets are not put into the tables of HPACK (RFC 7541, 7.1.3)
 *   asked      with "Expect: 100-continue": waits a second for an interim or a final response
 *   body       a piece at a time, as the stream's buffer has room. A final response of 300 and more
 *              ends it: the stream is reset when the response was read
 */
#include <stdio.h>

#include "http/h2client/h2c_impl.h"

/* A stream's body is read in pieces of this. */
#define ASK_BUFFER ((size_t)16384)
/* Pseudo-headers, and what is said of the body. */
#define ASK_MORE 7
/* Not an error: the response is there already, the rest of the request is not sent. */
#define ASK_ANSWERED 1

/* ---- the head -------------------------------------------------------------------------------- */

struct ask_head {
    struct skua__http_arena arena; /* of the array and of names; values are the request's */
    nghttp2_nv *fields;
    size_t count;
};

static void ask_put(struct ask_head *head, const char *name, size_t name_len, const char *value,
                    size_t value_len, bool secret)
{
    head->fields[head->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, name_len, value_len,
                     secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE};
}

static void ask_text(struct ask_head *head, const char *name, const char *value)
{
    ask_put(head, name, strlen(name), value, strlen(value), false);
}

static bool ask_is(const struct skua__http_field *field, const char *name)
{
    return field->name_len == strlen(name) && skua__http_same(field->name, name, field->name_len);
}

/* Guessed byte by byte it would be known: so short cookies, too. */
static bool ask_is_secret(const struct skua__http_field *field)
{
    return ask_is(field, "authorization") || ask_is(field, "proxy-authorization") ||
           (ask_is(field, "cookie") && field->value_len < 20);
}

/* The request's own, but Host, which is :authority. */
static int ask_fields(struct ask_head *head, const struct skua__http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct skua__http_field *field = &fields->at[i];
        char *name;

        if (ask_is(field, "host"))
            continue;
        name = skua__http_arena_copy(&head->arena, field->name, field->name_len);
        if (name == NULL)
            return -ENOMEM;
        for (char *at = name; *at != '\0'; at++)
            if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at | 0x20);
        ask_put(head, name, field->name_len, field->value, field->value_len, ask_is_secret(field));
    }
    return 0;
}

static int ask_head(struct ask_head *head, const struct skua__http_ask *ask, char digits[24])
{
    bool stream = ask->read != NULL || ask->later;
    uint64_t length = stream ? (uint64_t)ask->length : ask->body_len;
    int rc;

    head->fields = skua__http_arena_alloc(&head->arena,
                                          (ask->fields->count + ASK_MORE) * sizeof *head->fields);
    if (head->fields == NULL)
        return -ENOMEM;
    ask_text(head, ":method", ask->method);
    ask_text(head, ":scheme", ask->scheme);
    ask_text(head, ":authority", ask->fields->at[0].value);
    ask_text(head, ":path", ask->target);
    rc = ask_fields(head, ask->fields);
    (void)snprintf(digits, 24, "%llu", (unsigned long long)length);
    if (stream ? length != 0
               : ask->body != NULL || length != 0 || skua__http_ask_has_length(ask->method))
        ask_text(head, "content-length", digits);
    if (ask->expect)
        ask_text(head, "expect", "100-continue");
    return rc;
}

static bool ask_has_body(const struct skua__http_ask *ask)
{
    return ask->read != NULL || ask->later || ask->body_len != 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool ask_room(void *arg)
{
    struct skua__h2 *h2 = arg;

    return skua__h2_room(h2) != 0 || h2->error != 0 || h2->draining ||
           nghttp2_session_check_request_allowed(h2->session) == 0;
}

/* Until the peer allows one more. It was counted, but the peer may have changed its mind. */
static int ask_wait_room(struct skua__h2c *h2c, const struct skua__http_ask *ask)
{
    struct skua__h2 *h2 = &h2c->h2;
    int64_t deadline = skua__http_deadline(ask->options->head_timeout, ask->deadline);
    int rc;

    pthread_mutex_lock(&h2->mutex);
    h2c->crowd++;
    rc = skua__h2_wait(h2, NULL, false, ask_room, h2, deadline);
    h2c->crowd--;
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

static int ask_open(struct skua__h2c_stream *stream, const struct skua__http_ask *ask)
{
    struct ask_head head = {.count = 0};
    char digits[24];
    int rc = ask_head(&head, ask, digits);

    while (rc == 0) {
        rc = skua__h2_request(&stream->stream, head.fields, head.count, !ask_has_body(ask));
        if (rc != -EAGAIN)
            break;
        rc = ask_wait_room(stream->h2c, ask);
    }
    skua__http_arena_free(&head.arena);
    stream->refused = rc == SKUA_ECLOSED;
    return rc;
}

int skua__h2c_open(struct skua__h2c *h2c, const struct skua__http_ask *ask,
                   struct skua__h2c_stream **ret)
{
    struct skua__h2c_stream *stream = skua__http_malloc(sizeof *stream);
    int rc;

    *ret = stream;
    if (stream == NULL)
        return -ENOMEM;
    stream->h2c = h2c;
    pthread_mutex_lock(&h2c->h2.mutex);
    skua__h2_stream_add(&h2c->h2, &stream->stream);
    skua__h2_own(&stream->stream);
    pthread_mutex_unlock(&h2c->h2.mutex);
    rc = ask_open(stream, ask);
    if (rc == 0 && (ask->later || ask->expect || !ask_has_body(ask)))
        rc = skua__h2_flush_until(&h2c->h2, ask->deadline);
    return rc;
}

/* ---- the body -------------------------------------------------------------------------------- */

/* Whether the response says that the body is not wanted. */
static bool ask_is_answered(const struct skua__h2_stream *stream)
{
    return stream->head_done && stream->status >= 300;
}

static size_t ask_out_room(const struct skua__h2_stream *stream)
{
    return SKUA__H2_OUT - (stream->out.len - stream->out.pos);
}

static bool ask_out_ready(void *arg)
{
    const struct skua__h2_stream *stream = arg;

    return stream->over || ask_out_room(stream) >= SKUA__H2_OUT / 2;
}

static bool ask_out_or_answer(void *arg)
{
    return ask_out_ready(arg) || ask_is_answered(arg);
}

/* Waits for room, and says how much there is; 0: it is answered; or an error. stops: a response
 * ends it. */
static ssize_t ask_wait_out(struct skua__h2_stream *stream, bool stops, int64_t timeout,
                            int64_t whole)
{
    int64_t deadline = skua__http_deadline(timeout, whole);
    struct skua__h2 *h2 = stream->h2;
    ssize_t n = 0;
    int rc = 0;

    pthread_mutex_lock(&h2->mutex);
    while (n == 0) {
        rc = skua__h2_wait(h2, stream, true, stops ? ask_out_or_answer : ask_out_ready, stream,
                           deadline);
        if (stream->over)
            n = stream->error;
        else if (stops && ask_is_answered(stream))
            break;
        else if (ask_out_room(stream) != 0)
            n = (ssize_t)ask_out_room(stream);
        else if (rc == -ETIMEDOUT && skua_now() >= deadline && deadline < whole &&
                 skua__http_after(stream->moved, timeout) > deadline)
            /* The peer takes a little now and then: that is enough. */
            deadline = skua__http_after(stream->moved, timeout);
        else if (rc != 0)
            n = rc;
    }
    pthread_mutex_unlock(&h2->mutex);
    return n;
}

/* 0, ASK_ANSWERED or an error. */
static int ask_write(struct skua__h2_stream *stream, const char *data, size_t len, bool stops,
                     int64_t timeout, int64_t deadline)
{
    int rc = 0;

    while (rc == 0 && len != 0) {
        ssize_t room = ask_wait_out(stream, stops, timeout, deadline);
        size_t part = (size_t)room < len ? (size_t)room : len;

        if (room <= 0)
            return room < 0 ? (int)room : ASK_ANSWERED;
        rc = skua__h2_write(stream, data, part, timeout); /* for which there is room */
        data += part;
        len -= part;
    }
    return rc;
}

int skua__h2c_write(struct skua__h2c_stream *stream, const void *buf, size_t len, bool end,
                    int64_t timeout, int64_t deadline)
{
    int rc = ask_write(&stream->stream, buf, len, false, timeout, deadline);

    if (rc == 0 && end)
        rc = skua__h2_end(&stream->stream, NULL, 0);
    return rc == 0 ? skua__h2_flush_until(&stream->h2c->h2, deadline) : rc;
}

/* One piece of a stream after the other. */
static int ask_stream(struct skua__h2_stream *stream, const struct skua__http_ask *ask, char *buf)
{
    int64_t left = ask->length;
    int rc = 0;

    while (rc == 0 && (ask->length == 0 || left != 0)) {
        size_t room = ask->length != 0 && (uint64_t)left < ASK_BUFFER ? (size_t)left : ASK_BUFFER;
        ssize_t n;

        pthread_mutex_lock(&stream->h2->mutex);
        rc = stream->over ? stream->error : ask_is_answered(stream) ? ASK_ANSWERED : 0;
        pthread_mutex_unlock(&stream->h2->mutex);
        if (rc != 0)
            return rc;
        n = ask->read(ask->state, buf, room);
        if (n < 0 || (size_t)n > room)
            return n < 0 ? (int)n : -EINVAL;
        if (n == 0)
            break;
        left -= n;
        rc = ask_write(stream, buf, (size_t)n, true, ask->options->write_timeout, ask->deadline);
        if (rc == 0)
            rc = skua__h2_flush_until(stream->h2,
                                      ask->deadline); /* the next piece may take its time */
    }
    return rc == 0 && ask->length != 0 && left != 0 ? -EMSGSIZE : rc;
}

static int ask_body(struct skua__h2_stream *stream, const struct skua__http_ask *ask)
{
    char *buf;
    int rc;

    if (ask->read == NULL)
        return ask_write(stream, ask->body, ask->body_len, true, ask->options->write_timeout,
                         ask->deadline);
    buf = skua__http_raw(ASK_BUFFER);
    if (buf == NULL)
        return -ENOMEM;
    rc = ask_stream(stream, ask, buf);
    skua__http_free(buf);
    return rc;
}

static bool ask_informed(void *arg)
{
    const struct skua__h2_stream *stream = arg;

    return stream->informed != 0 || stream->head_done || stream->over;
}

/* Waits to be asked for the body. */
static int ask_asked(struct skua__h2_stream *stream, const struct skua__http_ask *ask)
{
    int64_t deadline = skua__http_deadline(SKUA__ASK_ASKED, ask->deadline);
    struct skua__h2 *h2 = stream->h2;
    int rc;

    pthread_mutex_lock(&h2->mutex);
    rc = skua__h2_wait(h2, stream, false, ask_informed, stream, deadline);
    if (stream->over)
        rc = stream->error;
    else if (stream->head_done)
        rc = ASK_ANSWERED;
    else if (rc == -ETIMEDOUT && skua_now() >= deadline && deadline < ask->deadline)
        rc = 0; /* it may not know of asking */
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int ask_send(struct skua__h2_stream *stream, const struct skua__http_ask *ask)
{
    int rc = 0;

    if (!ask_has_body(ask))
        return 0;
    if (ask->expect)
        rc = ask_asked(stream, ask);
    if (rc == 0)
        rc = ask_body(stream, ask);
    if (rc == 0)
        rc = skua__h2_end(stream, NULL, 0);
    return rc == 0 ? skua__h2_flush_until(stream->h2, ask->deadline) : rc;
}

int skua__h2c_exchange(struct skua__h2c_stream *stream, const struct skua__http_ask *ask,
                       struct skua__http_answer *answer)
{
    int rc = ask_send(&stream->stream, ask);
    bool there;

    pthread_mutex_lock(&stream->h2c->h2.mutex);
    there = stream->stream.head_done;
    if (stream->stream.over && rc < 0 && rc != stream->stream.error)
        there = false; /* not the stream's: the body's */
    pthread_mutex_unlock(&stream->h2c->h2.mutex);
    if (rc < 0 && !(there && (rc == -EPIPE || rc == -ETIMEDOUT)))
        return rc;
    return skua__h2c_head(stream, answer,
                          skua__http_deadline(ask->options->head_timeout, ask->deadline));
}

#undef ASK_BUFFER
#undef ASK_MORE
#undef ASK_ANSWERED
