/* otel_json.h - JSON, written from its beginning into one buffer that grows.
 *
 *     skua__json_open(out, '{');
 *     skua__json_key(out, "name");
 *     skua__json_text(out, name, len);
 *     skua__json_close(out, '}');
 *
 * Commas     are written where they belong: before whatever does not follow an opening bracket or a
 *            key. So the writer looks at the last byte, and has no state of its own.
 * Errors     stay in the writer: nobody looks before the end.
 * Source     RFC 8259; protobuf's JSON mapping for numbers of 64 bits and those that are none.
 */
#ifndef SKUA_OTEL_JSON_H
#define SKUA_OTEL_JSON_H

#include "otel/core/otel_impl.h"

struct skua__json {
    char *bytes;
    size_t len, room;
    size_t max; /* bytes at most */
    int error;  /* -ENOMEM, -EMSGSIZE; 0: none */
};

/* To be freed by skua__json_free; it may be begun again, and keeps its memory then. */
void skua__json_begin(struct skua__json *out, size_t max);
void skua__json_free(struct skua__json *out);

/* Bytes as they are; a comma is nobody's business. */
void skua__json_raw(struct skua__json *out, const char *bytes, size_t len);
/* An opening bracket, with its comma, and a closing one. */
void skua__json_open(struct skua__json *out, char bracket);
void skua__json_close(struct skua__json *out, char bracket);
/* A key that needs no escapes, and its colon. */
void skua__json_key(struct skua__json *out, const char *key);

/* Values, with their commas. */
void skua__json_text(struct skua__json *out, const char *text, size_t len); /* repaired */
void skua__json_hex(struct skua__json *out, const uint8_t *bytes, size_t len);
void skua__json_base64(struct skua__json *out, const uint8_t *bytes, size_t len);
void skua__json_null(struct skua__json *out);
void skua__json_bool(struct skua__json *out, bool value);
void skua__json_number(struct skua__json *out, int64_t value);
/* In quotes, as protobuf has numbers of 64 bits. */
void skua__json_i64(struct skua__json *out, int64_t value);
void skua__json_u64(struct skua__json *out, uint64_t value);
/* The shortest that reads back as the same; "NaN", "Infinity", "-Infinity". */
void skua__json_f64(struct skua__json *out, double value);

#endif
