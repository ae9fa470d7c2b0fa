/* grpc_reflect.c - the services grpc.reflection.v1 and v1alpha: what a server has to offer.
 *
 *     message ServerReflectionRequest { string host = 1; oneof { string file_by_filename = 3;
 *         string file_containing_symbol = 4; ExtensionRequest file_containing_extension = 5;
 *         string all_extension_numbers_of_type = 6; string list_services = 7; } }
 *     message ServerReflectionResponse { string valid_host = 1; ServerReflectionRequest
 *         original_request = 2; oneof { FileDescriptorResponse file_descriptor_response = 4;
 *         ExtensionNumberResponse all_extension_numbers_response = 5; ListServiceResponse
 *         list_services_response = 6; ErrorResponse error_response = 7; } }
 *
 * Flow     a request is answered with one message, and a failure is one, too. A file comes with all
 *          that it imports, itself first.
 * Memory   an answer's is used for the next one of the stream, and freed with it.
 *
 * Source: grpc/doc/server-reflection.md, grpc/reflection/v1/reflection.proto.
 */
#include <skua/http/grpc_services.h>

#include "http/grpc/grpc_impl.h"

struct reflect {
    const skua_grpc_server *server;
    struct skua__grpc_buffer files; /* of skua__proto_field: those of the answer */
    size_t count;
    struct skua__grpc_buffer inner; /* the answer's part that is not in every answer */
    size_t inner_len;
    struct skua__grpc_buffer bytes; /* the answer */
    int error;                      /* -ENOMEM */
};

static struct skua__proto_field *reflect_files(const struct reflect *self)
{
    return (struct skua__proto_field *)(void *)self->files.at; /* as realloc has aligned it */
}

/* ---- the part that answers ------------------------------------------------------------------- */

/* Appends a field to the part. */
static void reflect_put(struct reflect *self, uint32_t id, const void *bytes, size_t len)
{
    struct skua__proto_out out = {.at = NULL};
    size_t room;

    skua__proto_put_bytes(&out, id, bytes, len);
    room = self->inner_len + out.len;
    if (room > self->inner.room &&
        skua__grpc_buffer_grow(&self->inner,
                               room < 2 * self->inner.room ? 2 * self->inner.room : room) != 0) {
        self->error = -ENOMEM;
        return;
    }
    out = (struct skua__proto_out){.at = (unsigned char *)self->inner.at + self->inner_len,
                                   .room = self->inner.room - self->inner_len};
    skua__proto_put_bytes(&out, id, bytes, len);
    self->inner_len += out.len;
}

static void reflect_put_number(struct reflect *self, uint32_t id, uint64_t number)
{
    struct skua__proto_out out;

    if (skua__grpc_buffer_grow(&self->inner, self->inner_len + 16) != 0) {
        self->error = -ENOMEM;
        return;
    }
    out = (struct skua__proto_out){.at = (unsigned char *)self->inner.at + self->inner_len,
                                   .room = 16};
    skua__proto_put_number(&out, id, number);
    self->inner_len += out.len;
}

static uint32_t reflect_fails(struct reflect *self, int code, const char *message)
{
    self->inner_len = 0;
    reflect_put_number(self, 1, (uint64_t)code);
    reflect_put(self, 2, message, strlen(message));
    return 7;
}

static bool reflect_has(const struct reflect *self, const struct skua__proto_field *file)
{
    for (size_t i = 0; i < self->count; i++)
        if (reflect_files(self)[i].bytes == file->bytes)
            return true;
    return false;
}

static void reflect_add(struct reflect *self, const struct skua__proto_field *file)
{
    size_t room = (self->count + 1) * sizeof *file;

    if (reflect_has(self, file))
        return;
    if (room > self->files.room && skua__grpc_buffer_grow(&self->files, 2 * room) != 0) {
        self->error = -ENOMEM;
        return;
    }
    reflect_files(self)[self->count] = *file;
    self->count++;
}

/* The file and what it imports. */
static uint32_t reflect_answer_files(struct reflect *self, const struct skua__proto_field *first)
{
    reflect_add(self, first);
    for (size_t i = 0; i < self->count && self->error == 0; i++) {
        struct skua__proto_field file = reflect_files(self)[i];
        struct skua__proto fields = skua__proto_of(file.bytes, file.len);
        struct skua__proto_field field, found;

        reflect_put(self, 1, file.bytes, file.len);
        while (skua__proto_next(&fields, &field) == 1)
            if (field.id == 3 && field.wire == 2 &&
                skua__describe_file(self->server, (const char *)field.bytes, field.len, &found))
                reflect_add(self, &found);
    }
    return 4;
}

/* ---- extensions ------------------------------------------------------------------------------ */

static bool reflect_is_number(int32_t number, void *arg)
{
    return number == *(int32_t *)arg;
}

static bool reflect_put_extension(int32_t number, void *arg)
{
    reflect_put_number(arg, 2, (uint64_t)(int64_t)number);
    return false;
}

static uint32_t reflect_extension(struct reflect *self, struct skua__proto request)
{
    struct skua__describe files = skua__describe_of(self->server);
    struct skua__proto_field field, file;
    const char *type = "";
    size_t len = 0;
    int32_t number = 0;

    while (skua__proto_next(&request, &field) == 1) {
        if (field.id == 1 && field.wire == 2) {
            type = (const char *)field.bytes;
            len = field.len;
        }
        if (field.id == 2 && field.wire == 0)
            number = (int32_t)field.number;
    }
    while (skua__describe_next(&files, &file) == 1)
        if (skua__describe_extensions(skua__proto_of(file.bytes, file.len), true, type, len,
                                      reflect_is_number, &number, 0))
            return reflect_answer_files(self, &file);
    return reflect_fails(self, SKUA_GRPC_NOT_FOUND, "there is no such extension");
}

static uint32_t reflect_extensions(struct reflect *self, const char *type, size_t len)
{
    struct skua__describe files = skua__describe_of(self->server);
    struct skua__proto_field file, first;
    struct skua__proto_field name;

    if (!skua__describe_symbol(self->server, type, len, &file))
        return reflect_fails(self, SKUA_GRPC_NOT_FOUND, "there is no such type");
    reflect_put(self, 1, type, len);
    while (skua__describe_next(&files, &file) == 1) {
        struct skua__proto fields = skua__proto_of(file.bytes, file.len);

        /* A file that several services brought along is counted once. */
        if (skua__proto_next(&fields, &name) == 1 && name.id == 1 && name.wire == 2 &&
            skua__describe_file(self->server, (const char *)name.bytes, name.len, &first) &&
            first.bytes == file.bytes)
            (void)skua__describe_extensions(skua__proto_of(file.bytes, file.len), true, type, len,
                                            reflect_put_extension, self, 0);
    }
    return 5;
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint32_t reflect_services(struct reflect *self)
{
    const char *name;

    for (size_t i = 0; (name = skua_grpc_service_at(self->server, i)) != NULL; i++) {
        struct skua__proto_out head = {.at = NULL};
        unsigned char bytes[300];

        head = (struct skua__proto_out){.at = bytes, .room = sizeof bytes};
        skua__proto_put_bytes(&head, 1, name, strlen(name));
        if (head.len <= sizeof bytes)
            reflect_put(self, 1, bytes, head.len);
    }
    return 6;
}

/* The answer's part; which one it is. */
static uint32_t reflect_answer(struct reflect *self, const struct skua__proto_field *asked)
{
    const char *text = (const char *)asked->bytes;
    struct skua__proto_field file;

    switch (asked->id) {
    case 3:
        return skua__describe_file(self->server, text, asked->len, &file)
                   ? reflect_answer_files(self, &file)
                   : reflect_fails(self, SKUA_GRPC_NOT_FOUND, "there is no such file");
    case 4:
        return skua__describe_symbol(self->server, text, asked->len, &file)
                   ? reflect_answer_files(self, &file)
                   : reflect_fails(self, SKUA_GRPC_NOT_FOUND, "there is no such symbol");
    case 5:
        return reflect_extension(self, skua__proto_of(asked->bytes, asked->len));
    case 6:
        return reflect_extensions(self, text, asked->len);
    case 7:
        return reflect_services(self);
    default:
        return reflect_fails(self, SKUA_GRPC_INVALID_ARGUMENT, "nothing is asked for");
    }
}

static void reflect_write(const struct reflect *self, struct skua__proto_out *out, uint32_t part,
                          const struct skua__proto_field *host, const void *message, size_t len)
{
    if (host->len != 0)
        skua__proto_put_bytes(out, 1, host->bytes, host->len);
    skua__proto_put_bytes(out, 2, message, len);
    skua__proto_put_bytes(out, part, self->inner.at, self->inner_len);
}

static int reflect_request(struct reflect *self, skua_grpc_call *call, const void *message,
                           size_t len)
{
    struct skua__proto fields = skua__proto_of(message, len);
    struct skua__proto_field field, host = {.len = 0}, asked = {.id = 0};
    struct skua__proto_out out = {.at = NULL};
    uint32_t part;
    int rc;

    while ((rc = skua__proto_next(&fields, &field)) == 1) {
        if (field.id == 1 && field.wire == 2)
            host = field;
        if (field.id >= 3 && field.id <= 7 && field.wire == 2)
            asked = field;
    }
    if (rc != 0)
        return skua_grpc_fail(call, SKUA_GRPC_INTERNAL, "the request is malformed");
    self->count = self->inner_len = 0;
    part = reflect_answer(self, &asked);
    if (self->error != 0)
        return self->error;
    reflect_write(self, &out, part, &host, message, len);
    if (skua__grpc_buffer_grow(&self->bytes, out.len) != 0)
        return -ENOMEM;
    out = (struct skua__proto_out){.at = (unsigned char *)self->bytes.at, .room = out.len};
    reflect_write(self, &out, part, &host, message, len);
    return skua_grpc_send(call, self->bytes.at, out.len);
}

static int reflect_info(skua_grpc_call *call, void *state)
{
    struct reflect self = {.server = state};
    const void *message;
    size_t len;
    int rc;

    while ((rc = skua_grpc_recv(call, &message, &len)) == 1)
        if ((rc = reflect_request(&self, call, message, len)) != 0)
            break;
    skua__http_free(self.files.at);
    skua__http_free(self.inner.at);
    skua__http_free(self.bytes.at);
    return rc;
}

int skua_grpc_add_reflection(skua_grpc_server *server)
{
    static const skua_grpc_method methods[] = {
        {"ServerReflectionInfo", SKUA_GRPC_BIDI, reflect_info}};
    static const skua_grpc_service now = {"grpc.reflection.v1.ServerReflection", methods, 1, NULL,
                                          0};
    static const skua_grpc_service before = {"grpc.reflection.v1alpha.ServerReflection", methods, 1,
                                             NULL, 0};
    int rc = skua_grpc_add(server, &now, server);

    return rc == 0 ? skua_grpc_add(server, &before, server) : rc;
}
