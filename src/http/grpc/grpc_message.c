/* grpc_message.c - messages out of a stream of bytes, and into one; the same for both sides.
 *
 *     flag   1 byte: 1: the message is compressed, as grpc-encoding says
 *     len    4 bytes, the highest first
 *     …      the message
 *
 * Flow     what has come of a message is kept in the call, so that a receive that was cancelled is
 *          made again. A stream that has failed fails again.
 * Turns    messages that are there, or find room, need no wait: so now and then a task lets others
 *          go first, who reads the connection among them, and sees whether it is cancelled.
 * Memory   the buffer grows as bytes come, not as a length says: who claims 4 MiB has to send them.
 */
#include "http/grpc/grpc_impl.h"

#define FRAME_FIRST ((size_t)4096) /* room for a message, at first */
#define FRAME_TURN 32u             /* messages, until others have a turn */

void skua__grpc_call_fini(skua_grpc_call *call)
{
    skua__http_free(call->in.bytes.at);
    skua__http_free(call->in.plain.at);
    skua__http_free(call->out.packed.at);
}

static int frame_turn(unsigned *count)
{
    *count += 1;
    return *count % FRAME_TURN != 0 ? 0 : skua_yield();
}

/* ---- receiving ------------------------------------------------------------------------------- */

static int frame_bad(struct skua__grpc_in *in, int error, const char *why, const char **told)
{
    in->error = error;
    *told = why;
    return error;
}

/* The head of the next message: 1; 0: there is none; or an error. */
static int frame_head(skua_grpc_call *call, const char **why)
{
    struct skua__grpc_in *in = &call->in;
    ssize_t n;

    if (in->error != 0)
        return in->error;
    while (!in->ended && in->head_len < SKUA__GRPC_HEAD) {
        n = call->pipe->read(call, in->head + in->head_len, SKUA__GRPC_HEAD - in->head_len);
        if (n < 0)
            return (int)n;
        in->head_len += (size_t)n;
        in->ended = n == 0;
    }
    if (in->head_len == SKUA__GRPC_HEAD)
        return 1;
    return in->head_len == 0 ? 0 : frame_bad(in, -EBADMSG, "a message is cut short", why);
}

static size_t frame_wanted(const struct skua__grpc_in *in)
{
    return (size_t)in->head[1] << 24 | (size_t)in->head[2] << 16 | (size_t)in->head[3] << 8 |
           in->head[4];
}

static int frame_check(struct skua__grpc_in *in, const char **why)
{
    if (in->head[0] > 1)
        return frame_bad(in, -EBADMSG, "a message has a flag that nobody knows", why);
    if (in->head[0] == 1 && in->coding == SKUA__GRPC_IDENTITY)
        return frame_bad(in, -EBADMSG, "a message is compressed, but nothing says how", why);
    if (frame_wanted(in) > in->max)
        return frame_bad(in, SKUA_ELIMIT, "a message is longer than is received", why);
    return 0;
}

/* The message's bytes, as they came: 0 or an error. */
static int frame_bytes(skua_grpc_call *call, size_t wanted, const char **why)
{
    struct skua__grpc_in *in = &call->in;

    while (in->len < wanted) {
        size_t room = in->bytes.room;
        ssize_t n;

        if (in->len == room) {
            room = room < FRAME_FIRST ? FRAME_FIRST : 2 * room;
            if (skua__grpc_buffer_grow(&in->bytes, room < wanted ? room : wanted + 1) != 0)
                return -ENOMEM;
            room = in->bytes.room;
        }
        n = call->pipe->read(call, in->bytes.at + in->len,
                             (room < wanted ? room : wanted) - in->len);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return frame_bad(in, -EBADMSG, "a message is cut short", why);
        in->len += (size_t)n;
    }
    if (skua__grpc_buffer_grow(&in->bytes, wanted + 1) != 0)
        return -ENOMEM;
    in->bytes.at[wanted] = '\0';
    return 0;
}

static int frame_next(skua_grpc_call *call, const void **message, size_t *len, const char **why)
{
    struct skua__grpc_in *in = &call->in;
    int rc = frame_turn(&in->turns);
    ssize_t n;

    if (rc == 0)
        rc = frame_head(call, why);
    if (rc != 1)
        return rc;
    rc = frame_check(in, why);
    if (rc == 0)
        rc = frame_bytes(call, frame_wanted(in), why);
    if (rc != 0)
        return rc;
    *message = in->bytes.at;
    *len = in->len;
    if (in->head[0] == 1) {
        n = skua__grpc_unpack(in->coding, in->bytes.at, in->len, in->max, &in->plain);
        if (n < 0)
            return frame_bad(in, (int)n,
                             n == SKUA_ELIMIT ? "a message is longer than is received"
                                              : "a message does not unpack",
                             why);
        if (skua__grpc_buffer_grow(&in->plain, (size_t)n + 1) != 0)
            return -ENOMEM;
        in->plain.at[n] = '\0';
        *message = in->plain.at;
        *len = (size_t)n;
    }
    in->head_len = 0;
    in->len = 0;
    return 1;
}

int skua_grpc_recv(skua_grpc_call *call, const void **message, size_t *len)
{
    const char *why = NULL;
    int rc = frame_next(call, message, len, &why);

    return rc < 0 ? call->pipe->failed(call, rc, why, false) : rc;
}

int skua_grpc_recv_only(skua_grpc_call *call, const void **message, size_t *len)
{
    struct skua__grpc_in *in = &call->in;
    const char *why = NULL;
    int rc = in->kept ? 1 : skua_grpc_recv(call, &in->kept_at, &in->kept_len);

    if (rc < 0)
        return rc;
    if (rc == 1) {
        in->kept = true; /* what is read below is not of this message */
        rc = frame_head(call, &why);
        if (rc < 0)
            rc = call->pipe->failed(call, rc, why, false);
        if (rc < 0)
            return rc;
        *message = in->kept_at;
        *len = in->kept_len;
        rc = rc == 0 ? 1 : 2;
    }
    rc = call->pipe->only(call, rc);
    if (rc >= 0)
        in->kept = false;
    return rc;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Packs a message where that is wanted, and worth it: 1; 0: as it is; -ENOMEM. */
static int frame_pack(struct skua__grpc_out *out, const void **message, size_t *len)
{
    ssize_t n;

    if (*len < out->pack_min || *len == 0)
        return 0;
    n = skua__grpc_pack(*message, *len, &out->packed);
    if (n < 0)
        return (int)n;
    if ((size_t)n >= *len)
        return 0;
    *message = out->packed.at;
    *len = (size_t)n;
    return 1;
}

static int frame_send(skua_grpc_call *call, const void *message, size_t len, const char **why)
{
    struct skua__grpc_out *out = &call->out;
    unsigned char head[SKUA__GRPC_HEAD];
    int rc;

    if (out->closed || (out->alone && out->count != 0))
        return SKUA_EUSAGE;
    if (len > out->max) {
        *why = "a message is longer than is sent";
        return -EMSGSIZE;
    }
    rc = frame_turn(&out->turns);
    if (rc == 0)
        rc = frame_pack(out, &message, &len);
    if (rc < 0)
        return rc;
    head[0] = (unsigned char)rc;
    for (int i = 0; i < 4; i++)
        head[1 + i] = (unsigned char)(len >> (24 - 8 * i));
    rc = call->pipe->write(call, head, sizeof head);
    if (rc == 0 && len != 0)
        rc = call->pipe->write(call, message, len);
    if (rc == 0)
        out->count++;
    return rc;
}

int skua_grpc_send_more(skua_grpc_call *call, const void *message, size_t len)
{
    const char *why = NULL;
    int rc = frame_send(call, message, len, &why);

    return rc < 0 ? call->pipe->failed(call, rc, why, true) : 0;
}

int skua_grpc_flush(skua_grpc_call *call)
{
    int rc = call->out.closed ? SKUA_EUSAGE : call->pipe->flush(call, false);

    return rc < 0 ? call->pipe->failed(call, rc, NULL, true) : 0;
}

int skua_grpc_send(skua_grpc_call *call, const void *message, size_t len)
{
    int rc = skua_grpc_send_more(call, message, len);

    if (rc != 0)
        return rc;
    rc = call->pipe->flush(call, call->out.alone);
    return rc < 0 ? call->pipe->failed(call, rc, NULL, true) : 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

const skua_grpc_entry *skua_grpc_metadata(const skua_grpc_call *call, const char *name)
{
    return skua__grpc_entries_find(&call->metadata, name);
}

const skua_grpc_entry *skua_grpc_metadata_at(const skua_grpc_call *call, size_t index)
{
    return index < call->metadata.count ? &call->metadata.at[index] : NULL;
}

void *skua_grpc_alloc(skua_grpc_call *call, size_t size)
{
    return skua__http_arena_alloc(call->arena, size);
}

int64_t skua_grpc_deadline(const skua_grpc_call *call)
{
    return call->deadline;
}

#undef FRAME_FIRST
#undef FRAME_TURN
