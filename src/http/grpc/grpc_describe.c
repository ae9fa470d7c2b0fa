/* grpc_describe.c - finds files, symbols and extensions in the descriptors of a server's services.
 *
 *     message FileDescriptorSet { repeated FileDescriptorProto file = 1; }
 *     message FileDescriptorProto { string name = 1; string package = 2; repeated string
 *         dependency = 3; repeated DescriptorProto message_type = 4; enum_type = 5; service = 6;
 *         repeated FieldDescriptorProto extension = 7; }
 *     message DescriptorProto { string name = 1; field = 2; nested_type = 3; enum_type = 4;
 *         extension = 6; oneof_decl = 8; }
 *     EnumDescriptorProto { name = 1; value = 2; }
 *     ServiceDescriptorProto { name = 1; method = 2; }
 *     FieldDescriptorProto { name = 1; extendee = 2; number = 3; }
 *
 * There is no index: whoever asks is a person with a tool, and a walk over the descriptors takes
 * less than the answer's way through the network. A symbol is looked for part by part, so the depth
 * of the walk is that of its dots.
 *
 * Source: google/protobuf/descriptor.proto.
 */
#include "http/grpc/grpc_impl.h"

/* How deep messages may be nested for their extensions to be found. */
#define DESCRIBE_DEPTH 32

static bool describe_text(struct skua__proto message, uint32_t id, struct skua__proto_field *ret)
{
    while (skua__proto_next(&message, ret) == 1)
        if (ret->id == id && ret->wire == 2)
            return true;
    *ret = (struct skua__proto_field){.wire = 2, .bytes = (const unsigned char *)""};
    return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

int skua__describe_next(struct skua__describe *self, struct skua__proto_field *file)
{
    for (;;) {
        const skua_grpc_service *service;

        while (skua__proto_next(&self->set, file) == 1)
            if (file->id == 1 && file->wire == 2)
                return 1;
        service = skua__grpc_service_at(self->server, self->index);
        if (service == NULL)
            return 0;
        self->index++;
        self->set = skua__proto_of(service->files, service->files != NULL ? service->files_len : 0);
    }
}

struct skua__describe skua__describe_of(const skua_grpc_server *server)
{
    return (struct skua__describe){.server = server, .set = skua__proto_of(NULL, 0)};
}

bool skua__describe_file(const skua_grpc_server *server, const char *name, size_t len,
                         struct skua__proto_field *ret)
{
    struct skua__describe files = skua__describe_of(server);
    struct skua__proto_field found;

    while (skua__describe_next(&files, ret) == 1)
        if (describe_text(skua__proto_of(ret->bytes, ret->len), 1, &found) &&
            skua__proto_is(&found, name, len))
            return true;
    return false;
}

/* ---- symbols --------------------------------------------------------------------------------- */

enum describe_scope {
    DESCRIBE_FILE,
    DESCRIBE_MESSAGE,
    DESCRIBE_ENUM,
    DESCRIBE_SERVICE,
    DESCRIBE_LEAF
};

/* What a field of a scope is, when it has a name in it. */
static enum describe_scope describe_child(enum describe_scope scope, uint32_t id)
{
    static const enum describe_scope file[] = {DESCRIBE_MESSAGE, DESCRIBE_ENUM, DESCRIBE_SERVICE,
                                               DESCRIBE_LEAF};

    if (scope == DESCRIBE_FILE)
        return id >= 4 && id <= 7 ? file[id - 4] : DESCRIBE_FILE;
    if (scope == DESCRIBE_MESSAGE && id == 3)
        return DESCRIBE_MESSAGE;
    if (scope == DESCRIBE_MESSAGE && id == 4)
        return DESCRIBE_ENUM;
    if (scope == DESCRIBE_MESSAGE && (id == 2 || id == 6 || id == 8))
        return DESCRIBE_LEAF;
    return scope != DESCRIBE_MESSAGE && id == 2 ? DESCRIBE_LEAF : DESCRIBE_FILE;
}

/* Whether a scope has the symbol, whose name is relative to it. */
static bool describe_in(struct skua__proto scope, enum describe_scope kind, const char *symbol,
                        size_t len)
{
    struct skua__proto_field field, name;

    while (skua__proto_next(&scope, &field) == 1) {
        enum describe_scope child = describe_child(kind, field.id);
        struct skua__proto inner = skua__proto_of(field.bytes, field.len);

        if (field.wire != 2 || child == DESCRIBE_FILE || !describe_text(inner, 1, &name))
            continue;
        if (skua__proto_is(&name, symbol, len))
            return true;
        /* The values of an enum have their names beside it. */
        if (child == DESCRIBE_ENUM && describe_in(inner, child, symbol, len))
            return true;
        if (child != DESCRIBE_LEAF && child != DESCRIBE_ENUM && name.len < len &&
            symbol[name.len] == '.' && memcmp(symbol, name.bytes, name.len) == 0 &&
            describe_in(inner, child, symbol + name.len + 1, len - name.len - 1))
            return true;
    }
    return false;
}

bool skua__describe_symbol(const skua_grpc_server *server, const char *symbol, size_t len,
                           struct skua__proto_field *ret)
{
    struct skua__describe files = skua__describe_of(server);

    while (skua__describe_next(&files, ret) == 1) {
        struct skua__proto file = skua__proto_of(ret->bytes, ret->len);
        struct skua__proto_field package;
        size_t skip;

        (void)describe_text(file, 2, &package);
        skip = package.len != 0 ? package.len + 1 : 0;
        if (len <= skip || (skip != 0 && (memcmp(symbol, package.bytes, package.len) != 0 ||
                                          symbol[package.len] != '.')))
            continue;
        if (describe_in(file, DESCRIBE_FILE, symbol + skip, len - skip))
            return true;
    }
    return false;
}

/* ---- extensions ------------------------------------------------------------------------------ */

/* Its number, if it extends the type; 0: it does not. */
static int32_t describe_extends(struct skua__proto extension, const char *type, size_t len)
{
    struct skua__proto_field field;
    int32_t number = 0;
    bool found = false;

    while (skua__proto_next(&extension, &field) == 1) {
        if (field.id == 2 && field.wire == 2 && field.len == len + 1)
            found = field.bytes[0] == '.' && memcmp(field.bytes + 1, type, len) == 0;
        if (field.id == 3 && field.wire == 0)
            number = (int32_t)field.number;
    }
    return found ? number : 0;
}

bool skua__describe_extensions(struct skua__proto scope, bool file, const char *type, size_t len,
                               skua__describe_fn fn, void *arg, unsigned depth)
{
    struct skua__proto_field field;

    while (depth < DESCRIBE_DEPTH && skua__proto_next(&scope, &field) == 1) {
        struct skua__proto inner = skua__proto_of(field.bytes, field.len);

        if (field.wire != 2)
            continue;
        if (field.id == (file ? 7u : 6u)) {
            int32_t number = describe_extends(inner, type, len);

            if (number != 0 && fn(number, arg))
                return true;
        } else if (field.id == (file ? 4u : 3u) &&
                   skua__describe_extensions(inner, false, type, len, fn, arg, depth + 1)) {
            return true;
        }
    }
    return false;
}

#undef DESCRIBE_DEPTH
