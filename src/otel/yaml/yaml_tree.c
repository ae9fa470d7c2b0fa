/* yaml_tree.c - libyaml's document as a tree of typed nodes, and what plugins ask of it.
 *
 * Types      plain scalars are null, a truth, a number or text by YAML 1.2's core schema, after the
 *            references in them have been replaced; quoted ones are text.
 * Bounds     aliases are copied, so a tree is bounded: 100,000 nodes, 64 levels, 16 MiB of text;
 *            that ends cycles, too.
 * Keys       text, each once, at most 2,000 of a mapping: each is compared with all the others.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <yaml.h>

#include "otel/yaml/yaml_impl.h"

#define TREE_NODES 100000
#define TREE_DEPTH 64
#define TREE_BYTES ((size_t)16 << 20)
#define TREE_MEMBERS 2000

bool skua__yaml_fail(struct skua__yaml *self, int line, const char *format, ...)
{
    va_list args;

    if (self->rc != 0)
        return false;
    self->rc = -EINVAL;
    self->fault->line = line;
    va_start(args, format);
    (void)vsnprintf(self->fault->text, sizeof self->fault->text, format, args);
    va_end(args);
    return false;
}

bool skua__yaml_no_memory(struct skua__yaml *self)
{
    (void)skua__yaml_fail(self, 0, "no memory");
    if (self->rc == -EINVAL && self->fault->line == 0)
        self->rc = -ENOMEM;
    return false;
}

void *skua__yaml_alloc(struct skua__yaml *self, size_t size)
{
    void *memory = skua__config_alloc(self->config, size);

    if (memory == NULL)
        (void)skua__yaml_no_memory(self);
    return memory;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool tree_is(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static bool tree_integer(const char *text, int64_t *ret)
{
    int base = strncmp(text, "0x", 2) == 0 ? 16 : strncmp(text, "0o", 2) == 0 ? 8 : 10;
    const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "01234567";

    if (base == 10)
        return skua__config_integer(text, ret);
    if (text[2] == '\0' || strspn(text + 2, digits) != strlen(text + 2))
        return false;
    errno = 0;
    *ret = strtoll(text + 2, NULL, base);
    return errno == 0;
}

static bool tree_float(const char *text, double *ret)
{
    const char *at = text + (*text == '-' || *text == '+');

    if (tree_is(at, ".inf", ".Inf", ".INF"))
        *ret = *text == '-' ? -INFINITY : INFINITY;
    else if (tree_is(text, ".nan", ".NaN", ".NAN"))
        *ret = NAN;
    else
        return skua__config_number(text, ret);
    return true;
}

static void tree_resolve(struct skua_otel_properties *node)
{
    const char *text = node->text;

    if (*text == '\0' || strcmp(text, "~") == 0 || tree_is(text, "null", "Null", "NULL")) {
        node->kind = SKUA__YAML_NULL;
    } else if (tree_is(text, "true", "True", "TRUE") || tree_is(text, "false", "False", "FALSE")) {
        node->kind = SKUA__YAML_BOOL;
        node->i64 = *text == 't' || *text == 'T';
    } else if (tree_integer(text, &node->i64)) {
        node->kind = SKUA__YAML_INT;
        node->f64 = (double)node->i64;
    } else if (tree_float(text, &node->f64)) {
        node->kind = SKUA__YAML_FLOAT;
    }
}

/* Counts text, a key's or a value's. */
static bool tree_text(struct skua__yaml *self, size_t len, int line)
{
    self->bytes += len;
    return self->bytes <= TREE_BYTES ||
           skua__yaml_fail(self, line, "more than %zu bytes of text", TREE_BYTES);
}

static bool tree_scalar(struct skua__yaml *self, const yaml_node_t *from,
                        struct skua_otel_properties *to)
{
    const char *text = (const char *)from->data.scalar.value;

    if (strlen(text) != from->data.scalar.length)
        return skua__yaml_fail(self, to->line, "a NUL in text");
    to->kind = SKUA__YAML_STR;
    to->text = skua__yaml_substitute(self, text, to->line);
    if (to->text == NULL || !tree_text(self, strlen(to->text), to->line))
        return false;
    if (from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        tree_resolve(to);
    return true;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool tree_node(struct skua__yaml *self, yaml_document_t *document, int index, unsigned depth,
                      struct skua_otel_properties *to);

static bool tree_map(struct skua__yaml *self, yaml_document_t *document, const yaml_node_t *from,
                     unsigned depth, struct skua_otel_properties *to)
{
    size_t count = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);
    struct skua_otel_properties *at = skua__yaml_alloc(self, (count + 1) * sizeof *at);

    if (at == NULL)
        return false;
    if (count > TREE_MEMBERS)
        return skua__yaml_fail(self, to->line, "more than %d members", TREE_MEMBERS);
    to->kind = SKUA__YAML_MAP;
    to->at = at;
    to->count = count;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_pair_t *pair = &from->data.mapping.pairs.start[i];
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        int line = (int)key->start_mark.line + 1;

        if (key->type != YAML_SCALAR_NODE ||
            strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
            return skua__yaml_fail(self, line, "a key that is no text");
        if (!tree_text(self, key->data.scalar.length, line))
            return false;
        if (!tree_node(self, document, pair->value, depth + 1, &at[i]))
            return false;
        at[i].line = line;
        at[i].key = skua__config_copy(self->config, (const char *)key->data.scalar.value,
                                      key->data.scalar.length);
        if (at[i].key == NULL)
            return skua__yaml_no_memory(self);
        for (size_t j = 0; j < i; j++)
            if (strcmp(at[j].key, at[i].key) == 0)
                return skua__yaml_fail(self, line, "%.80s: twice", at[i].key);
    }
    return true;
}

static bool tree_seq(struct skua__yaml *self, yaml_document_t *document, const yaml_node_t *from,
                     unsigned depth, struct skua_otel_properties *to)
{
    size_t count = (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);
    struct skua_otel_properties *at = skua__yaml_alloc(self, (count + 1) * sizeof *at);

    if (at == NULL)
        return false;
    to->kind = SKUA__YAML_SEQ;
    to->at = at;
    to->count = count;
    for (size_t i = 0; i < count; i++)
        if (!tree_node(self, document, from->data.sequence.items.start[i], depth + 1, &at[i]))
            return false;
    return true;
}

static bool tree_node(struct skua__yaml *self, yaml_document_t *document, int index, unsigned depth,
                      struct skua_otel_properties *to)
{
    const yaml_node_t *from = yaml_document_get_node(document, index);

    to->line = (int)from->start_mark.line + 1;
    to->key = "";
    to->text = "";
    if (depth > TREE_DEPTH || ++self->nodes > TREE_NODES)
        return skua__yaml_fail(self, to->line, "more than %d nodes, or %d levels", TREE_NODES,
                               TREE_DEPTH);
    switch (from->type) {
    case YAML_SCALAR_NODE:
        return tree_scalar(self, from, to);
    case YAML_MAPPING_NODE:
        return tree_map(self, document, from, depth, to);
    case YAML_SEQUENCE_NODE:
        return tree_seq(self, document, from, depth, to);
    default:
        return skua__yaml_fail(self, to->line, "neither text, mapping nor sequence");
    }
}

const skua_otel_properties *skua__yaml_tree(struct skua__yaml *self, const char *text, size_t len)
{
    struct skua_otel_properties *root = skua__yaml_alloc(self, sizeof *root);
    yaml_parser_t parser;
    yaml_document_t document;
    bool good = false;

    if (root == NULL)
        return NULL;
    if (!yaml_parser_initialize(&parser)) {
        (void)skua__yaml_no_memory(self);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &document)) {
        (void)skua__yaml_fail(self, (int)parser.problem_mark.line + 1, "%s",
                              parser.problem != NULL ? parser.problem : "no YAML");
        yaml_parser_delete(&parser);
        return NULL;
    }
    if (yaml_document_get_root_node(&document) == NULL)
        (void)skua__yaml_fail(self, 1, "nothing in it");
    else
        good = tree_node(self, &document, 1, 0, root);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return good ? root : NULL;
}

/* ---- questions ------------------------------------------------------------------------------- */

static int tree_find(const skua_otel_properties *self, const char *key,
                     const skua_otel_properties **ret)
{
    if (self != NULL && self->kind != SKUA__YAML_MAP && *key == '\0') {
        *ret = self;
        return self->kind == SKUA__YAML_NULL ? -ENOENT : 0;
    }
    for (size_t i = 0; self != NULL && self->kind == SKUA__YAML_MAP && i < self->count; i++)
        if (strcmp(self->at[i].key, key) == 0) {
            *ret = &self->at[i];
            return self->at[i].kind == SKUA__YAML_NULL ? -ENOENT : 0;
        }
    return -ENOENT;
}

int skua_otel_properties_str(const skua_otel_properties *self, const char *key, const char **ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_STR)
        rc = -EINVAL;
    if (rc == 0)
        *ret = node->text;
    return rc;
}

int skua_otel_properties_i64(const skua_otel_properties *self, const char *key, int64_t *ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_INT)
        rc = -EINVAL;
    if (rc == 0)
        *ret = node->i64;
    return rc;
}

int skua_otel_properties_f64(const skua_otel_properties *self, const char *key, double *ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_INT && node->kind != SKUA__YAML_FLOAT)
        rc = -EINVAL;
    if (rc == 0)
        *ret = node->f64;
    return rc;
}

int skua_otel_properties_bool(const skua_otel_properties *self, const char *key, int *ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_BOOL)
        rc = -EINVAL;
    if (rc == 0)
        *ret = node->i64 != 0;
    return rc;
}

int skua_otel_properties_child(const skua_otel_properties *self, const char *key,
                               const skua_otel_properties **ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_MAP)
        rc = -EINVAL;
    if (rc == 0)
        *ret = node;
    return rc;
}

int skua_otel_properties_item(const skua_otel_properties *self, const char *key, size_t index,
                              const skua_otel_properties **ret)
{
    const skua_otel_properties *node;
    int rc = tree_find(self, key, &node);

    if (rc == 0 && node->kind != SKUA__YAML_SEQ)
        rc = -EINVAL;
    if (rc == 0 && index >= node->count)
        rc = -ENOENT;
    if (rc == 0)
        *ret = &node->at[index];
    return rc;
}

#undef TREE_NODES
#undef TREE_DEPTH
#undef TREE_BYTES
#undef TREE_MEMBERS
