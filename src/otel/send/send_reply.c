/* send_reply.c - the bodies of answers, in protobuf: partial successes and errors.
 *
 * Bytes of a stranger. The reader knows where they end, takes no length that goes beyond it, and
 * leaves out fields that it does not know; what is malformed is no answer at all. Groups, which
 * proto3 does not have, are malformed.
 *
 *     Export*ServiceResponse { 1: partial_success { 1: rejected (int64), 2: error_message } }
 *     google.rpc.Status      { 1: code, 2: message, 3: details }
 */
#include "otel/send/send_impl.h"

/* What is left of a message, and the field that was read last. */
struct reply {
    const uint8_t *at, *end;
    unsigned field, wire;
    uint64_t number;      /* of a varint */
    const uint8_t *bytes; /* of a message or text */
    size_t len;
};

static bool reply_varint(struct reply *in, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;

        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool reply_skip(struct reply *in, uint64_t size)
{
    if (size > (uint64_t)(in->end - in->at))
        return false;
    in->bytes = in->at;
    in->len = (size_t)size;
    in->at += size;
    return true;
}

/* 1: a field; 0: the end; -EBADMSG. */
static int reply_next(struct reply *in)
{
    uint64_t tag, size;
    bool good;

    if (in->at == in->end)
        return 0;
    if (!reply_varint(in, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return -EBADMSG;
    in->field = (unsigned)(tag >> 3);
    in->wire = (unsigned)(tag & 7);
    switch (in->wire) {
    case SKUA__WIRE_VARINT:
        good = reply_varint(in, &in->number);
        break;
    case SKUA__WIRE_64:
        good = reply_skip(in, 8);
        break;
    case SKUA__WIRE_32:
        good = reply_skip(in, 4);
        break;
    case SKUA__WIRE_BYTES:
        good = reply_varint(in, &size) && reply_skip(in, size);
        break;
    default:
        good = false;
    }
    return good ? 1 : -EBADMSG;
}

static int reply_partial(const uint8_t *bytes, size_t len, struct skua__send_answer *answer)
{
    struct reply in = {.at = bytes, .end = bytes + len};
    int rc;

    while ((rc = reply_next(&in)) > 0) {
        if (in.field == 1 && in.wire == SKUA__WIRE_VARINT)
            answer->rc = (int64_t)in.number > 0 ? (int64_t)in.number : 0;
        else if (in.field == 2 && in.wire == SKUA__WIRE_BYTES)
            skua__send_text(answer->text, in.bytes, in.len);
    }
    answer->partial = answer->rc > 0 || answer->text[0] != '\0';
    return rc;
}

int skua__send_reply(const void *bytes, size_t len, struct skua__send_answer *answer)
{
    struct reply in = {.at = bytes, .end = (const uint8_t *)bytes + len};
    struct skua__send_answer found = *answer;
    int rc;

    found.rc = 0;
    while ((rc = reply_next(&in)) > 0)
        if (in.field == 1 && in.wire == SKUA__WIRE_BYTES &&
            reply_partial(in.bytes, in.len, &found) != 0)
            return -EBADMSG;
    if (rc == 0)
        *answer = found;
    return rc;
}

void skua__send_status(const void *bytes, size_t len, char *text)
{
    struct reply in = {.at = bytes, .end = (const uint8_t *)bytes + len};
    const uint8_t *said = NULL;
    size_t said_len = 0;
    int rc;

    while ((rc = reply_next(&in)) > 0) {
        if (in.field == 2 && in.wire == SKUA__WIRE_BYTES) {
            said = in.bytes;
            said_len = in.len;
        }
    }
    if (rc == 0 && said != NULL)
        skua__send_text(text, said, said_len);
}
