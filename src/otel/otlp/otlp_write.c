/* otlp_write.c - protobuf, written from its end.
 *
 * The buffer doubles when it is full: what is there moves to the end of the new one. Behind the
 * first request of a size there are no allocations any more.
 */
#include "otel/otlp/otlp_impl.h"

#define WRITE_FIRST ((size_t)4096)

void skua__otlp_begin(struct skua__otlp *out, size_t max)
{
    out->at = out->room;
    out->max = max;
    out->error = 0;
}

void skua__otlp_free(struct skua__otlp *out)
{
    skua__otel_free(out->bytes);
    *out = (struct skua__otlp){.max = out->max};
}

uint8_t *skua__otlp_grow(struct skua__otlp *out, size_t size)
{
    size_t used = skua__otlp_size(out), room = out->room < WRITE_FIRST ? WRITE_FIRST : out->room;
    uint8_t *bytes;

    if (out->error != 0)
        return NULL;
    if (used > out->max || size > out->max - used) {
        out->error = -EMSGSIZE;
        return NULL;
    }
    while (room - used < size)
        room *= 2;
    bytes = skua__otel_raw(room);
    if (bytes == NULL) {
        out->error = -ENOMEM;
        return NULL;
    }
    if (used != 0)
        memcpy(bytes + room - used, out->bytes + out->at, used);
    skua__otel_free(out->bytes);
    out->bytes = bytes;
    out->room = room;
    out->at = room - used - size;
    return bytes + out->at;
}

void skua__otlp_varint_long(struct skua__otlp *out, uint64_t value)
{
    /* 7 bits a byte; value is not 0 */
    size_t size = (size_t)(64 - __builtin_clzll(value) + 6) / 7;
    uint8_t *at = skua__otlp_room(out, size);

    if (at == NULL)
        return;
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at = (uint8_t)value;
}

static void write_le(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

void skua__otlp_u64(struct skua__otlp *out, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    skua__otlp_varint(out, value);
    skua__otlp_tag(out, field, SKUA__WIRE_VARINT);
}

void skua__otlp_s32(struct skua__otlp *out, unsigned field, int32_t value)
{
    uint32_t bits = (uint32_t)value;

    skua__otlp_u64(out, field, (bits << 1) ^ (value < 0 ? UINT32_MAX : 0));
}

void skua__otlp_fixed32(struct skua__otlp *out, unsigned field, uint32_t value)
{
    uint8_t *at = value != 0 ? skua__otlp_room(out, 4) : NULL;

    if (at == NULL)
        return;
    write_le(at, value, 4);
    skua__otlp_tag(out, field, SKUA__WIRE_32);
}

void skua__otlp_fixed64_always(struct skua__otlp *out, unsigned field, uint64_t value)
{
    uint8_t *at = skua__otlp_room(out, 8);

    if (at == NULL)
        return;
    write_le(at, value, 8);
    skua__otlp_tag(out, field, SKUA__WIRE_64);
}

void skua__otlp_fixed64(struct skua__otlp *out, unsigned field, uint64_t value)
{
    if (value != 0)
        skua__otlp_fixed64_always(out, field, value);
}

void skua__otlp_f64_always(struct skua__otlp *out, unsigned field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    skua__otlp_fixed64_always(out, field, bits);
}

void skua__otlp_f64(struct skua__otlp *out, unsigned field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    skua__otlp_fixed64(out, field, bits); /* -0.0 is not left out */
}

void skua__otlp_bytes(struct skua__otlp *out, unsigned field, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    skua__otlp_raw(out, bytes, size);
    skua__otlp_varint(out, size);
    skua__otlp_tag(out, field, SKUA__WIRE_BYTES);
}

void skua__otlp_id(struct skua__otlp *out, unsigned field, const uint8_t *id, size_t size)
{
    static const uint8_t none[16];

    if (memcmp(id, none, size) != 0)
        skua__otlp_bytes(out, field, id, size);
}

void skua__otlp_text_always(struct skua__otlp *out, unsigned field, const char *text, size_t len)
{
    size_t size = len;

    if (skua__otel_utf8(text, len) == len) {
        skua__otlp_raw(out, text, len);
    } else {
        uint8_t *at;

        size = skua__otel_repaired(text, len);
        at = skua__otlp_room(out, size);
        if (at != NULL)
            skua__otel_repair((char *)at, text, len);
    }
    skua__otlp_varint(out, size);
    skua__otlp_tag(out, field, SKUA__WIRE_BYTES);
}

void skua__otlp_text(struct skua__otlp *out, unsigned field, const char *text, size_t len)
{
    if (len != 0)
        skua__otlp_text_always(out, field, text, len);
}

void skua__otlp_packed64(struct skua__otlp *out, unsigned field, const void *values, size_t count)
{
    uint8_t *at = count != 0 ? skua__otlp_room(out, count * 8) : NULL;

    if (at == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;

        memcpy(&bits, (const char *)values + i * 8, sizeof bits);
        write_le(at + i * 8, bits, 8);
    }
    skua__otlp_varint(out, count * 8);
    skua__otlp_tag(out, field, SKUA__WIRE_BYTES);
}

void skua__otlp_packed_varint(struct skua__otlp *out, unsigned field, const uint64_t *values,
                              size_t count)
{
    size_t from = skua__otlp_size(out);

    if (count == 0)
        return;
    for (size_t i = count; i-- > 0;)
        skua__otlp_varint(out, values[i]);
    skua__otlp_message(out, field, from);
}

#undef WRITE_FIRST
