/* zipkin_spans.c - spans as Zipkin has them; what becomes what stands in output_impl.h.
 */
#include <stdio.h>

#include "otel/output/output_impl.h"

/* The text of a value, to become a string: scratch is begun anew. */
static skua_otel_text zipkin_text(struct skua__json *out, struct skua__json *scratch,
                                  const skua_attr *attr)
{
    if (attr->type == SKUA_ATTR_STR)
        return (skua_otel_text){attr->value.str, attr->count};
    skua__json_begin(scratch, SIZE_MAX);
    skua__plain_value(scratch, attr, 0);
    if (scratch->error != 0) {
        out->error = scratch->error;
        return (skua_otel_text){"", 0};
    }
    if (scratch->bytes[0] == '"') /* bytes, NaN */
        return (skua_otel_text){scratch->bytes + 1, scratch->len - 2};
    return (skua_otel_text){scratch->bytes, scratch->len};
}

static bool zipkin_is(const skua_attr *attr, const char *key)
{
    return attr->key_len == strlen(key) && memcmp(attr->key, key, attr->key_len) == 0;
}

static const skua_attr *zipkin_find(const skua_otel_attrs *attrs, const char *key)
{
    for (uint32_t i = 0; i < attrs->count; i++)
        if (zipkin_is(&attrs->at[i], key) && attrs->at[i].type != SKUA_ATTR_NONE)
            return &attrs->at[i];
    return NULL;
}

static void zipkin_field(struct skua__json *out, const char *key, const char *text, size_t len)
{
    skua__json_key(out, key);
    skua__json_text(out, text, len);
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void zipkin_local(struct skua__json *out, const skua_otel_resource *resource)
{
    const skua_attr *name = resource != NULL ? zipkin_find(&resource->attrs, "service.name") : NULL;

    skua__json_key(out, "localEndpoint");
    skua__json_open(out, '{');
    if (name != NULL && name->type == SKUA_ATTR_STR && name->count != 0)
        zipkin_field(out, "serviceName", name->value.str, name->count);
    else
        zipkin_field(out, "serviceName", "unknown_service", 15);
    skua__json_close(out, '}');
}

/* The specification's ranking; a port is added where there is one. */
static const struct {
    const char *key, *port;
    bool address; /* of a socket */
} zipkin_peers[] = {{"peer.service", NULL, false},
                    {"server.address", NULL, false},
                    {"net.peer.name", NULL, false},
                    {"network.peer.address", "network.peer.port", true},
                    {"server.socket.domain", NULL, false},
                    {"server.socket.address", "server.socket.port", true},
                    {"net.sock.peer.name", NULL, false},
                    {"net.sock.peer.addr", "net.sock.peer.port", true},
                    {"peer.hostname", NULL, false},
                    {"peer.address", NULL, false},
                    {"db.name", NULL, false}};

/* "ipv4", "ipv6", or what else it is (a path, say). */
static const char *zipkin_address(const skua_attr *peer)
{
    bool digits = true;

    for (uint32_t i = 0; i < peer->count; i++) {
        if (peer->value.str[i] == ':')
            return "ipv6";
        digits = digits && strchr("0123456789.", peer->value.str[i]) != NULL;
    }
    return digits ? "ipv4" : "serviceName";
}

static void zipkin_remote(struct skua__json *out, const skua_otel_span *span)
{
    for (size_t i = 0; i < sizeof zipkin_peers / sizeof *zipkin_peers; i++) {
        const skua_attr *peer = zipkin_find(&span->attrs, zipkin_peers[i].key);
        const skua_attr *port =
            zipkin_peers[i].port != NULL ? zipkin_find(&span->attrs, zipkin_peers[i].port) : NULL;

        if (peer == NULL || peer->type != SKUA_ATTR_STR || peer->count == 0)
            continue;
        skua__json_key(out, "remoteEndpoint");
        skua__json_open(out, '{');
        zipkin_field(out, zipkin_peers[i].address ? zipkin_address(peer) : "serviceName",
                     peer->value.str, peer->count);
        if (port != NULL && port->type == SKUA_ATTR_I64 && port->value.i64 > 0 &&
            port->value.i64 <= UINT16_MAX) {
            skua__json_key(out, "port");
            skua__json_number(out, port->value.i64);
        }
        skua__json_close(out, '}');
        return;
    }
}

/* ---- annotations ----------------------------------------------------------------------------- */

static void zipkin_annotation(struct skua__json *out, struct skua__json *scratch,
                              const skua_otel_event *event)
{
    skua_attr attrs =
        skua_attr_many("", SKUA_ATTR_MAP, event->attrs.at, (size_t)event->attrs.count);

    skua__json_open(out, '{');
    skua__json_key(out, "timestamp");
    skua__json_number(out, event->time / 1000);
    skua__json_key(out, "value");
    if (event->attrs.count == 0) {
        skua__json_text(out, event->name.at, event->name.len);
    } else {
        skua__json_begin(scratch, SIZE_MAX);
        skua__json_text(scratch, event->name.at, event->name.len);
        skua__json_raw(scratch, ":", 1);
        skua__plain_value(scratch, &attrs, 0);
        if (scratch->error == 0)
            skua__json_text(out, scratch->bytes, scratch->len);
        else
            out->error = scratch->error;
    }
    skua__json_close(out, '}');
}

static void zipkin_annotations(struct skua__json *out, struct skua__json *scratch,
                               const skua_otel_span *span)
{
    if (span->events_count == 0)
        return;
    skua__json_key(out, "annotations");
    skua__json_open(out, '[');
    for (uint32_t i = 0; i < span->events_count; i++)
        zipkin_annotation(out, scratch, &span->events[i]);
    skua__json_close(out, ']');
}

/* ---- tags ------------------------------------------------------------------------------------ */

static void zipkin_dropped(struct skua__json *out, const char *key, uint32_t count)
{
    char text[16];

    if (count == 0)
        return;
    zipkin_field(out, key, text, (size_t)snprintf(text, sizeof text, "%u", count));
}

/* Tags that are made here; attributes with their keys give way. */
static const char *const zipkin_own[] = {
    "otel.status_code",          "otel.scope.name",         "otel.scope.version",
    "otel.library.name",         "otel.library.version",    "otel.dropped_attributes_count",
    "otel.dropped_events_count", "otel.dropped_links_count"};

static bool zipkin_left_out(const skua_otel_span *span, const skua_attr *attr)
{
    for (size_t i = 0; i < sizeof zipkin_own / sizeof *zipkin_own; i++)
        if (zipkin_is(attr, zipkin_own[i]))
            return true;
    if (!zipkin_is(attr, "error"))
        return false;
    /* Zipkin takes any span with this tag for a failed one. */
    return span->status == 2 || (attr->type == SKUA_ATTR_BOOL && attr->value.i64 == 0) ||
           (attr->type == SKUA_ATTR_STR && attr->count == 5 &&
            memcmp(attr->value.str, "false", 5) == 0);
}

static void zipkin_status(struct skua__json *out, const skua_otel_span *span)
{
    if (span->status == 1)
        zipkin_field(out, "otel.status_code", "OK", 2);
    if (span->status != 2)
        return;
    zipkin_field(out, "otel.status_code", "ERROR", 5);
    zipkin_field(out, "error", span->status_text.at, span->status_text.len);
}

static void zipkin_scope(struct skua__json *out, const skua_otel_scope *scope)
{
    if (scope->name.len != 0) {
        zipkin_field(out, "otel.scope.name", scope->name.at, scope->name.len);
        zipkin_field(out, "otel.library.name", scope->name.at, scope->name.len);
    }
    if (scope->version.len != 0) {
        zipkin_field(out, "otel.scope.version", scope->version.at, scope->version.len);
        zipkin_field(out, "otel.library.version", scope->version.at, scope->version.len);
    }
}

static bool zipkin_has_tags(const skua_otel_span *span)
{
    return span->attrs.count != 0 || span->status != 0 || span->scope != NULL ||
           (span->attrs.dropped | span->events_dropped | span->links_dropped) != 0;
}

static void zipkin_tags(struct skua__json *out, struct skua__json *scratch,
                        const skua_otel_span *span)
{
    if (!zipkin_has_tags(span))
        return;
    skua__json_key(out, "tags");
    skua__json_open(out, '{');
    for (uint32_t i = 0; i < span->attrs.count; i++) {
        const skua_attr *attr = &span->attrs.at[i];
        skua_otel_text text;

        if (attr->type == SKUA_ATTR_NONE || zipkin_left_out(span, attr))
            continue;
        skua__json_text(out, attr->key, attr->key_len);
        skua__json_raw(out, ":", 1);
        text = zipkin_text(out, scratch, attr);
        skua__json_text(out, text.at, text.len);
    }
    zipkin_status(out, span);
    if (span->scope != NULL)
        zipkin_scope(out, span->scope);
    zipkin_dropped(out, "otel.dropped_attributes_count", span->attrs.dropped);
    zipkin_dropped(out, "otel.dropped_events_count", span->events_dropped);
    zipkin_dropped(out, "otel.dropped_links_count", span->links_dropped);
    skua__json_close(out, '}');
}

/* ---- spans ----------------------------------------------------------------------------------- */

static void zipkin_span(struct skua__json *out, struct skua__json *scratch,
                        const skua_otel_span *span, const skua_otel_resource *resource)
{
    static const char *const kinds[] = {NULL, NULL, "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    static const uint8_t none[8];
    int64_t took = (span->end - span->start) / 1000;
    const char *kind = span->kind < sizeof kinds / sizeof *kinds ? kinds[span->kind] : NULL;

    skua__json_open(out, '{');
    skua__json_key(out, "traceId");
    skua__json_hex(out, span->trace_id, 16);
    skua__json_key(out, "id");
    skua__json_hex(out, span->span_id, 8);
    if (memcmp(span->parent_id, none, sizeof none) != 0) {
        skua__json_key(out, "parentId");
        skua__json_hex(out, span->parent_id, 8);
    }
    if (kind != NULL)
        zipkin_field(out, "kind", kind, strlen(kind));
    if (span->name.len != 0)
        zipkin_field(out, "name", span->name.at, span->name.len);
    skua__json_key(out, "timestamp");
    skua__json_number(out, span->start / 1000);
    skua__json_key(out, "duration");
    skua__json_number(out, took > 0 ? took : 1); /* less is rounded up */
    zipkin_local(out, resource);
    if (span->kind == 3 || span->kind == 4)
        zipkin_remote(out, span);
    zipkin_annotations(out, scratch, span);
    zipkin_tags(out, scratch, span);
    skua__json_close(out, '}');
}

int skua__zipkin_spans(struct skua__json *out, const skua_otel_batch *batch)
{
    struct skua__json scratch = {.bytes = NULL};

    skua__json_open(out, '[');
    for (uint32_t i = 0; batch->signal == SKUA_OTEL_TRACES && i < batch->count && out->error == 0;
         i++)
        zipkin_span(out, &scratch, &batch->items.spans[i], batch->resource);
    skua__json_close(out, ']');
    skua__json_free(&scratch);
    return out->error;
}
