/* traced.h - telemetry with an exporter in memory, for tests of what makes spans by itself.
 *
 *     traced_begin(NULL);
 *     … requests …
 *     MUST(traced_wait(2));
 *     CHECK_SPAN(traced_named("GET /orders/:id"), "http.route=/orders/:id");
 *     traced_end();
 */
#ifndef SKUA_TESTS_TRACED_H
#define SKUA_TESTS_TRACED_H

#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>

#include "../http/peer.h"

static skua_otel_exporter *traced_memory;
static skua_otel_span traced[512];
static size_t traced_count;

static inline void traced_begin(skua_otel_sampler *sampler)
{
    static skua_otel_destination to;

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    to = (skua_otel_destination){.exporter = traced_memory};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .sampler = sampler)) == 0);
    CHECK_EQ(skua_propagation_use("tracecontext,baggage"), 0);
}

/* Until there are so many spans: servers end theirs when the answer is on its way already. */
static inline bool traced_wait(size_t count)
{
    int64_t deadline = skua_now() + 2 * TEST_LATE;

    do {
        CHECK_EQ(skua_otel_flush(skua_now() + 2 * TEST_LATE), 0);
        traced_count = skua_otel_memory_spans(traced_memory, traced, TEST_LEN(traced));
        if (traced_count >= count)
            break;
        (void)skua_sleep(MS(1));
    } while (skua_now() < deadline);
    if (traced_count != count)
        test_note("there are %zu spans, not %zu", traced_count, count);
    return traced_count == count;
}

static inline void traced_end(void)
{
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_memory_free(traced_memory);
    CHECK_EQ(skua_propagation_use("none"), 0);
}

static inline bool traced_is(skua_otel_text text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.at, wanted, text.len) == 0;
}

/* The first of the kind (0: any) with the name (NULL: any) behind `from` (NULL: all). */
static inline const skua_otel_span *traced_next(const skua_otel_span *from, int kind,
                                                const char *name)
{
    for (const skua_otel_span *at = from != NULL ? from + 1 : traced; at < traced + traced_count;
         at++)
        if ((kind == 0 || at->kind == kind) && (name == NULL || traced_is(at->name, name)))
            return at;
    return NULL;
}

static inline bool traced_child(const skua_otel_span *child, const skua_otel_span *parent)
{
    return memcmp(child->trace_id, parent->trace_id, 16) == 0 &&
           memcmp(child->parent_id, parent->span_id, 8) == 0;
}

static inline bool traced_root(const skua_otel_span *span)
{
    return memcmp(span->parent_id, (const char[8]){0}, 8) == 0;
}

/* An attribute as text; "" when it is not there. */
static inline const char *traced_attr(const skua_otel_span *span, const char *key, char *room,
                                      size_t size)
{
    room[0] = '\0';
    for (uint32_t i = 0; i < span->attrs.count; i++) {
        const skua_attr *at = &span->attrs.at[i];

        if (at->key_len != strlen(key) || memcmp(at->key, key, at->key_len) != 0)
            continue;
        if (at->type == SKUA_ATTR_STR)
            (void)snprintf(room, size, "%.*s", (int)at->count, at->value.str);
        else if (at->type == SKUA_ATTR_I64)
            (void)snprintf(room, size, "%lld", (long long)at->value.i64);
        else
            (void)snprintf(room, size, "(of another type)");
    }
    return room;
}
#define ATTR(span, key) traced_attr((span), (key), (char[256]){""}, 256)

struct traced_row {
    const char *key, *wanted; /* "": it is not there */
};

static inline void traced_check(const skua_otel_span *span, const struct traced_row *rows,
                                size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!CHECK(strcmp(ATTR(span, rows[i].key), rows[i].wanted) == 0))
            test_note("%s is \"%s\", not \"%s\"", rows[i].key, ATTR(span, rows[i].key),
                      rows[i].wanted);
}
#define CHECK_ATTRS(span, ...)                                                                     \
    traced_check((span), (const struct traced_row[]){__VA_ARGS__},                                 \
                 sizeof((const struct traced_row[]){__VA_ARGS__}) / sizeof(struct traced_row))

#endif
