/* grpc_proto.c - the wire format of Protocol Buffers, as much as gRPC's own messages need.
 *
 * A message is a row of fields: a varint (number << 3 | wire type), and a value by the wire type. A
 * field that is not known is skipped by whoever reads; groups (types 3 and 4) are not in use any
 * more, and are refused.
 *
 * Source: protobuf.dev, "Encoding".
 */
#include "http/grpc/grpc_impl.h"

/* ---- reading --------------------------------------------------------------------------------- */

struct skua__proto skua__proto_of(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    return (struct skua__proto){at, len != 0 ? at + len : at};
}

/* At most ten bytes, of whose last one a bit is left. */
static int proto_varint(struct skua__proto *self, uint64_t *ret)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 70 && self->at < self->end; shift += 7) {
        unsigned char byte = *self->at++;

        if (shift == 63 && byte > 1)
            return -EBADMSG;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = number;
            return 0;
        }
    }
    return -EBADMSG;
}

static int proto_fixed(struct skua__proto *self, size_t size, uint64_t *ret)
{
    *ret = 0;
    if ((size_t)(self->end - self->at) < size)
        return -EBADMSG;
    for (size_t i = 0; i < size; i++)
        *ret |= (uint64_t)self->at[i] << 8 * i;
    self->at += size;
    return 0;
}

int skua__proto_next(struct skua__proto *self, struct skua__proto_field *field)
{
    uint64_t key, len;
    int rc;

    if (self->at == self->end)
        return 0;
    rc = proto_varint(self, &key);
    if (rc != 0 || key >> 3 == 0 || key > UINT32_MAX)
        return -EBADMSG;
    *field = (struct skua__proto_field){.id = (uint32_t)(key >> 3), .wire = key & 7};
    switch (field->wire) {
    case 0:
        rc = proto_varint(self, &field->number);
        break;
    case 1:
        rc = proto_fixed(self, 8, &field->number);
        break;
    case 2:
        rc = proto_varint(self, &len);
        if (rc == 0 && len > (size_t)(self->end - self->at))
            rc = -EBADMSG;
        if (rc == 0) {
            field->bytes = self->at;
            field->len = (size_t)len;
            self->at += len;
        }
        break;
    case 5:
        rc = proto_fixed(self, 4, &field->number);
        break;
    default:
        rc = -EBADMSG;
    }
    return rc == 0 ? 1 : rc;
}

bool skua__proto_is(const struct skua__proto_field *field, const char *text, size_t len)
{
    return field->wire == 2 && field->len == len &&
           (len == 0 || memcmp(field->bytes, text, len) == 0);
}

/* ---- writing --------------------------------------------------------------------------------- */

void skua__proto_put_raw(struct skua__proto_out *self, const void *bytes, size_t len)
{
    if (len != 0 && self->at != NULL && self->len <= self->room && len <= self->room - self->len)
        memcpy(self->at + self->len, bytes, len);
    self->len += len;
}

static void proto_put_varint(struct skua__proto_out *self, uint64_t number)
{
    unsigned char bytes[10];
    size_t len = 0;

    do {
        bytes[len] = (unsigned char)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
        len++;
    } while (number != 0);
    skua__proto_put_raw(self, bytes, len);
}

void skua__proto_put_number(struct skua__proto_out *self, uint32_t id, uint64_t number)
{
    if (number == 0)
        return; /* proto3: what is the default is left out */
    proto_put_varint(self, (uint64_t)id << 3);
    proto_put_varint(self, number);
}

void skua__proto_put_head(struct skua__proto_out *self, uint32_t id, size_t len)
{
    proto_put_varint(self, (uint64_t)id << 3 | 2);
    proto_put_varint(self, len);
}

void skua__proto_put_bytes(struct skua__proto_out *self, uint32_t id, const void *bytes, size_t len)
{
    skua__proto_put_head(self, id, len);
    skua__proto_put_raw(self, bytes, len);
}
