/* otlp_json.h - requests of the OpenTelemetry protocol as JSON.
 *
 *   otlp_json.c          values, attributes, resource, scope, and the request
 *   otlp_json_items.c    spans and log records
 *   otlp_json_metric.c   metrics
 *
 * Protobuf's JSON mapping, as the protocol changes it: keys are lowerCamelCase, ids are hex instead
 * of base64, enums are numbers; 64-bit integers are strings. What is zero or empty is left out, as
 * in protobuf.
 *
 * Source     opentelemetry-proto 1.11, docs/specification.md: JSON Protobuf encoding.
 */
#ifndef SKUA_OTEL_OTLP_JSON_H
#define SKUA_OTEL_OTLP_JSON_H

#include "otel/json/otel_json.h"
#include "otel/otlp/otlp_impl.h"

/* Writes a request behind what is there. 0; -EMSGSIZE: it is longer than the writer's max;
 * -ENOMEM. */
int skua__otlp_json_request(struct skua__json *out, const skua_otel_batch *batch);

void skua__otlp_json_span(struct skua__json *out, const skua_otel_span *span);
void skua__otlp_json_log(struct skua__json *out, const skua_otel_log *log);
void skua__otlp_json_metric(struct skua__json *out, const skua_otel_metric *metric);

/* Fields; what is zero or empty is left out. */
void skua__otlp_json_texts(struct skua__json *out, const char *key, skua_otel_text text);
void skua__otlp_json_time(struct skua__json *out, const char *key, int64_t time);
void skua__otlp_json_count(struct skua__json *out, const char *key, int64_t count);
void skua__otlp_json_id(struct skua__json *out, const char *key, const uint8_t *id, size_t size);
/* "attributes" and "droppedAttributesCount". */
void skua__otlp_json_attrs(struct skua__json *out, const char *key, const skua_otel_attrs *attrs);
/* An AnyValue. */
void skua__otlp_json_value(struct skua__json *out, const skua_attr *attr, unsigned depth);

#endif
