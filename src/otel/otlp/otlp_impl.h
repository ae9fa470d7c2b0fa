/* otlp_impl.h - batches as the OpenTelemetry protocol has them.
 *
 *   otlp_write.c    protobuf, written from its end
 *   otlp_common.c   values, attributes, resource, scope
 *   otlp_trace.c, otlp_metric.c, otlp_log.c   requests of a signal
 *
 * From the end   the length of a protobuf message stands before it. Who writes forwards must know
 *                it: by measuring everything first, or by leaving room and moving bytes. Who writes
 *                backwards knows it when he comes to it: one pass, nothing moved, and each length
 *                as short as can be. So all functions here put what stands last first; items of an
 *                array, too.
 * Memory         one buffer, the caller's to free, which grows towards its front. An error stays in
 *                the writer: nobody looks before the end.
 * Source         opentelemetry-proto 1.11; protobuf's encoding.
 */
#ifndef SKUA_OTEL_OTLP_IMPL_H
#define SKUA_OTEL_OTLP_IMPL_H

#include "otel/core/otel_impl.h"

/* Kinds of fields on the wire. */
enum { SKUA__WIRE_VARINT = 0, SKUA__WIRE_64 = 1, SKUA__WIRE_BYTES = 2, SKUA__WIRE_32 = 5 };

/* bytes[at .. room) is what was written so far. */
struct skua__otlp {
    uint8_t *bytes;
    size_t at, room;
    size_t max; /* bytes of a request at most */
    int error;  /* -ENOMEM, -EMSGSIZE; 0: none */
};

/* ---- the writer (otlp_write.c) --------------------------------------------------------------- */

/* To be freed by skua__otlp_free; it may be begun again, and keeps its memory then. */
void skua__otlp_begin(struct skua__otlp *out, size_t max);
void skua__otlp_free(struct skua__otlp *out);

/* Room for `size` more bytes before the others; NULL: an error. */
uint8_t *skua__otlp_grow(struct skua__otlp *out, size_t size);

static inline size_t skua__otlp_size(const struct skua__otlp *out)
{
    return out->room - out->at;
}

static inline uint8_t *skua__otlp_room(struct skua__otlp *out, size_t size)
{
    if (__builtin_expect(out->at < size, 0))
        return skua__otlp_grow(out, size);
    out->at -= size;
    return out->bytes + out->at;
}

static inline void skua__otlp_raw(struct skua__otlp *out, const void *bytes, size_t size)
{
    uint8_t *at = skua__otlp_room(out, size);

    if (at != NULL)
        memcpy(at, bytes, size);
}

void skua__otlp_varint_long(struct skua__otlp *out, uint64_t value);

static inline void skua__otlp_varint(struct skua__otlp *out, uint64_t value)
{
    if (__builtin_expect(value < 0x80, 1)) {
        uint8_t *at = skua__otlp_room(out, 1);

        if (at != NULL)
            *at = (uint8_t)value;
    } else {
        skua__otlp_varint_long(out, value);
    }
}

static inline void skua__otlp_tag(struct skua__otlp *out, unsigned field, unsigned wire)
{
    skua__otlp_varint(out, field << 3 | wire);
}

/* Fields; what is zero or empty is left out, as proto3 says, but by those that say "always". */
void skua__otlp_u64(struct skua__otlp *out, unsigned field, uint64_t value);
void skua__otlp_s32(struct skua__otlp *out, unsigned field, int32_t value); /* zigzag */
void skua__otlp_fixed32(struct skua__otlp *out, unsigned field, uint32_t value);
void skua__otlp_fixed64(struct skua__otlp *out, unsigned field, uint64_t value);
void skua__otlp_fixed64_always(struct skua__otlp *out, unsigned field, uint64_t value);
void skua__otlp_f64_always(struct skua__otlp *out, unsigned field, double value);
void skua__otlp_f64(struct skua__otlp *out, unsigned field, double value);
void skua__otlp_bytes(struct skua__otlp *out, unsigned field, const void *bytes, size_t size);
/* Bytes that are an id: left out when they are all zero. */
void skua__otlp_id(struct skua__otlp *out, unsigned field, const uint8_t *id, size_t size);
/* Repaired. */
void skua__otlp_text(struct skua__otlp *out, unsigned field, const char *text, size_t len);
void skua__otlp_text_always(struct skua__otlp *out, unsigned field, const char *text, size_t len);
/* Repeated numbers, packed. */
void skua__otlp_packed64(struct skua__otlp *out, unsigned field, const void *values, size_t count);
void skua__otlp_packed_varint(struct skua__otlp *out, unsigned field, const uint64_t *values,
                              size_t count);

/* A message: what was written since `from` (skua__otlp_size then) becomes a field, even when it is
 * empty. */
static inline void skua__otlp_message(struct skua__otlp *out, unsigned field, size_t from)
{
    skua__otlp_varint(out, skua__otlp_size(out) - from);
    skua__otlp_tag(out, field, SKUA__WIRE_BYTES);
}

/* ---- what all signals have (otlp_common.c) --------------------------------------------------- */

/* Attributes deeper than this are cut: a receiver's parser has a limit of messages inside messages,
 * 100 in many, and each level of a map is three. */
#define SKUA__OTLP_DEPTH 30

/* The content of an AnyValue. */
void skua__otlp_value(struct skua__otlp *out, const skua_attr *attr, unsigned depth);
/* KeyValue fields; those without a value are left out. */
void skua__otlp_attrs(struct skua__otlp *out, unsigned field, const skua_attr *attrs, size_t count,
                      unsigned depth);
/* The scope of an item of any signal. */
const skua_otel_scope *skua__otlp_scope_of(const skua_otel_batch *batch, uint32_t index);
/* The end of a Scope* message, at its beginning: the scope, and its length since `from` as field 2
 * of Resource*. */
void skua__otlp_scope_end(struct skua__otlp *out, const skua_otel_scope *scope, size_t from);
/* Likewise of the whole request. */
void skua__otlp_resource_end(struct skua__otlp *out, const skua_otel_resource *resource);

/* ---- requests -------------------------------------------------------------------------------- */

/* Writes Export{Trace,Metrics,Logs}ServiceRequest. 0; -EMSGSIZE: it is longer than the writer's
 * max; -ENOMEM. The bytes are out->bytes + out->at, skua__otlp_size of them. */
int skua__otlp_request(struct skua__otlp *out, const skua_otel_batch *batch);

void skua__otlp_span(struct skua__otlp *out, const skua_otel_span *span);
void skua__otlp_log(struct skua__otlp *out, const skua_otel_log *log);
void skua__otlp_metric(struct skua__otlp *out, const skua_otel_metric *metric);

#endif
