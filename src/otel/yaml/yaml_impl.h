/* yaml_impl.h - a file of configuration, from text to skua_otel_config.
 *
 *   yaml_tree.c        libyaml's document -> a tree of typed nodes; plugins' questions about it
 *   yaml_substitute.c  ${VAR:-default} in a scalar
 *   yaml_read.c        mappings by tables of fields
 *   yaml_model.c       the root, resource, processors
 *   yaml_exporter.c, yaml_metric.c, yaml_sampler.c   these parts
 *
 * Faults     the first one ends it: it is told with its line, and there is no configuration.
 */
#ifndef SKUA_OTEL_YAML_IMPL_H
#define SKUA_OTEL_YAML_IMPL_H

#include <stddef.h>

#include "otel/config/config_impl.h"

typedef enum skua__yaml_kind {
    SKUA__YAML_NULL,
    SKUA__YAML_BOOL,
    SKUA__YAML_INT,
    SKUA__YAML_FLOAT,
    SKUA__YAML_STR,
    SKUA__YAML_MAP,
    SKUA__YAML_SEQ
} skua__yaml_kind;

/* A node: of a mapping with its key. */
struct skua_otel_properties {
    skua__yaml_kind kind;
    int line;
    const char *key;                       /* in a mapping; else "" */
    const char *text;                      /* of scalars, as substituted */
    int64_t i64;                           /* INT, BOOL */
    double f64;                            /* FLOAT, INT */
    const struct skua_otel_properties *at; /* MAP, SEQ */
    size_t count;
};

struct skua__yaml {
    skua_otel_config *config;
    const struct skua__config_env *env;
    skua_otel_config_fault *fault; /* never NULL */
    size_t nodes, bytes;           /* made so far; bytes of text */
    int rc;                        /* 0 until something is wrong */
};

/* Tells the first fault. Always false. */
bool skua__yaml_fail(struct skua__yaml *self, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool skua__yaml_no_memory(struct skua__yaml *self);
void *skua__yaml_alloc(struct skua__yaml *self, size_t size);

/* The tree; NULL: told. */
const skua_otel_properties *skua__yaml_tree(struct skua__yaml *self, const char *text, size_t len);
/* A scalar with its references replaced; NULL: told. */
const char *skua__yaml_substitute(struct skua__yaml *self, const char *text, int line);

/* ---- by tables (yaml_read.c) ----------------------------------------------------------------- */

typedef bool skua__yaml_fn(struct skua__yaml *self, const skua_otel_properties *node, void *out);

enum skua__yaml_type {
    SKUA__FIELD_ANY,  /* fn(node, the whole struct) */
    SKUA__FIELD_PART, /* fn(node, the member) */
    SKUA__FIELD_BOOL,
    SKUA__FIELD_NOT, /* a truth that is kept as its opposite */
    SKUA__FIELD_U32, /* from min */
    SKUA__FIELD_I64, /* from min */
    SKUA__FIELD_MS,  /* ms, kept as ns */
    SKUA__FIELD_F64, /* from 0 to 1 */
    SKUA__FIELD_STR,
    SKUA__FIELD_ENUM,  /* an int, by names */
    SKUA__FIELD_NAMES, /* struct skua__config_names */
    SKUA__FIELD_NONE   /* a mapping with nothing in it, or null */
};

struct skua__yaml_field {
    const char *name; /* NULL ends the table */
    enum skua__yaml_type type;
    size_t offset;
    int64_t min;
    skua__yaml_fn *fn;
    const char *const *names;
    bool required;
};

/* Rows of a table. */
#define SKUA__ROW(name, type, owner, member)                                                       \
    {                                                                                              \
        name, SKUA__FIELD_##type, offsetof(owner, member), 0, NULL, NULL, false                    \
    }
#define SKUA__ROW_MIN(name, type, owner, member, min)                                              \
    {                                                                                              \
        name, SKUA__FIELD_##type, offsetof(owner, member), min, NULL, NULL, false                  \
    }
#define SKUA__ROW_ENUM(name, owner, member, names)                                                 \
    {                                                                                              \
        name, SKUA__FIELD_ENUM, offsetof(owner, member), 0, NULL, names, false                     \
    }
#define SKUA__ROW_PART(name, owner, member, fn)                                                    \
    {                                                                                              \
        name, SKUA__FIELD_PART, offsetof(owner, member), 0, fn, NULL, false                        \
    }
#define SKUA__ROW_ANY(name, fn)                                                                    \
    {                                                                                              \
        name, SKUA__FIELD_ANY, 0, 0, fn, NULL, false                                               \
    }
#define SKUA__ROW_MUST(name, fn)                                                                   \
    {                                                                                              \
        name, SKUA__FIELD_ANY, 0, 0, fn, NULL, true                                                \
    }
#define SKUA__ROW_END                                                                              \
    {                                                                                              \
        NULL, SKUA__FIELD_NONE, 0, 0, NULL, NULL, false                                            \
    }

/* A mapping's members into `out`; null ones, and a node that is null, leave it as it is. */
bool skua__yaml_map(struct skua__yaml *self, const skua_otel_properties *node,
                    const struct skua__yaml_field *fields, void *out);
/* The one member of a mapping that must have one; NULL: told. */
const skua_otel_properties *skua__yaml_one(struct skua__yaml *self,
                                           const skua_otel_properties *node);
/* A sequence, each element of `size` bytes by fn. */
bool skua__yaml_each(struct skua__yaml *self, const skua_otel_properties *node, size_t size,
                     skua__yaml_fn *fn, const void **ret, size_t *ret_count);
bool skua__yaml_filter(struct skua__yaml *self, const skua_otel_properties *node, void *out);
/* A component that nobody here knows: a plugin, when somebody provides it. */
bool skua__yaml_plugin(struct skua__yaml *self, const skua_otel_properties *node,
                       skua_otel_component component, struct skua__config_plugin *out);
/* Nothing inside. */
bool skua__yaml_empty(struct skua__yaml *self, const skua_otel_properties *node);

/* ---- parts ----------------------------------------------------------------------------------- */

bool skua__yaml_exporter(struct skua__yaml *self, const skua_otel_properties *node,
                         skua_otel_signal signal, struct skua__config_exporter *out);
bool skua__yaml_pull_exporter(struct skua__yaml *self, const skua_otel_properties *node, void *out);
bool skua__yaml_sampler(struct skua__yaml *self, const skua_otel_properties *node, void *out);
bool skua__yaml_meter_provider(struct skua__yaml *self, const skua_otel_properties *node,
                               void *out);
bool skua__yaml_resource(struct skua__yaml *self, const skua_otel_properties *node, void *out);
bool skua__yaml_severity(struct skua__yaml *self, const skua_otel_properties *node, void *out);
bool skua__yaml_scopes(struct skua__yaml *self, const skua_otel_properties *node, const char *list,
                       struct skua__config_scopes *out);

#endif
