/* grpc_server.c - a table of services as a handler: from a request to a method, and to its status.
 *
 * Flow     a request that is not gRPC goes to the fallback; then what must be right before a method
 *          can run is looked at: HTTP/2, POST, the time-out, the coding, the path. The method runs
 *          with the call's deadline in force. Its status goes out in trailers; when it has failed
 *          and nothing was sent, in the head of a response without a body (Trailers-Only).
 * Failed   a code that recv or send has given, and the method has handed on, brings its reason
 *          along as the message.
 * Gone     a client that has cancelled has cancelled the handler's task: nobody is told a status.
 *          The same when the server stops and will not wait any longer: the carrier answers then.
 *
 * Sources: gRPC over HTTP/2; grpc/doc/statuscodes.md.
 */
#include "http/grpc/grpc_impl.h"

struct server_entry {
    const skua_grpc_service *service;
    void *state;
};

struct skua_grpc_server {
    skua_grpc_server_options options; /* constant, as the rest once it serves */
    struct server_entry *services;
    size_t count, room;
};

/* A code, and why it was given. */
struct server_told {
    int rc;
    const char *why;
};

struct server_call {
    skua_grpc_call call;               /* first */
    struct server_told received, sent; /* each of the task that does so */
    struct skua__grpc_entries trailers;
    bool headed; /* there is metadata for the head */
    int code;    /* of skua_grpc_fail, with what follows */
    const char *message;
    const void *details;
    size_t details_len;
};

static struct server_call *server_call_of(const skua_grpc_call *call)
{
    return (struct server_call *)(uintptr_t)call; /* who was given a const one does not write */
}

/* ---- the table ------------------------------------------------------------------------------- */

void skua_grpc_server_options_init(skua_grpc_server_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_grpc_server_new(skua_grpc_server **ret, const skua_grpc_server_options *options)
{
    skua_grpc_server *self;

    if (options != NULL &&
        (options->size != sizeof *options || options->timeout_max < 0 ||
         options->recv_max > UINT32_MAX || options->send_max > SKUA__GRPC_SEND_MAX))
        return -EINVAL;
    self = skua__http_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    if (options != NULL)
        self->options = *options;
    if (self->options.recv_max == 0)
        self->options.recv_max = SKUA__GRPC_RECV_MAX;
    if (self->options.send_max == 0)
        self->options.send_max = SKUA__GRPC_SEND_MAX;
    if (self->options.timeout_max == 0)
        self->options.timeout_max = SKUA_FOREVER;
    *ret = self;
    return 0;
}

void skua_grpc_server_free(skua_grpc_server *server)
{
    if (server == NULL)
        return;
    skua__http_free(server->services);
    skua__http_free(server);
}

static bool server_is_name(const char *name)
{
    return name != NULL && *name != '\0' && strchr(name, '/') == NULL;
}

/* Of the first `len` bytes. */
static struct server_entry *server_find(const skua_grpc_server *self, const char *name, size_t len)
{
    for (size_t i = 0; i < self->count; i++) {
        const char *other = self->services[i].service->name;

        if (strncmp(other, name, len) == 0 && other[len] == '\0')
            return &self->services[i];
    }
    return NULL;
}

int skua_grpc_add(skua_grpc_server *server, const skua_grpc_service *service, void *state)
{
    struct server_entry *services = server->services;

    if (!server_is_name(service->name))
        return -EINVAL;
    for (size_t i = 0; i < service->count; i++)
        if (!server_is_name(service->methods[i].name) || service->methods[i].call == NULL ||
            (unsigned)service->methods[i].kind > SKUA_GRPC_BIDI)
            return -EINVAL;
    if (server_find(server, service->name, strlen(service->name)) != NULL)
        return -EEXIST;
    if (server->count == server->room) {
        size_t room = server->room != 0 ? 2 * server->room : 8;

        services = skua__http_realloc(services, room * sizeof *services);
        if (services == NULL)
            return -ENOMEM;
        server->services = services;
        server->room = room;
    }
    services[server->count] = (struct server_entry){service, state};
    server->count++;
    return 0;
}

const char *skua_grpc_service_at(const skua_grpc_server *server, size_t index)
{
    return index < server->count ? server->services[index].service->name : NULL;
}

const skua_grpc_service *skua__grpc_service_at(const skua_grpc_server *server, size_t index)
{
    return index < server->count ? server->services[index].service : NULL;
}

/* ---- the pipe -------------------------------------------------------------------------------- */

static ssize_t server_read(skua_grpc_call *call, void *buf, size_t len)
{
    return skua_http_read(call->exchange, buf, len);
}

static int server_write(skua_grpc_call *call, const void *buf, size_t len)
{
    ssize_t n = skua_http_write(call->exchange, buf, len);

    return n < 0 ? (int)n : 0;
}

static int server_flush(skua_grpc_call *call, bool last)
{
    return last ? 0 : skua_http_flush(call->exchange);
}

static int server_failed(skua_grpc_call *call, int rc, const char *why, bool sending)
{
    struct server_call *self = server_call_of(call);

    *(sending ? &self->sent : &self->received) = (struct server_told){rc, why};
    return rc;
}

static int server_only(skua_grpc_call *call, int count)
{
    if (count == 1)
        return 0;
    return skua_grpc_fail(call, SKUA_GRPC_UNIMPLEMENTED,
                          count == 0 ? "the method wants one message, and got none"
                                     : "the method wants one message, and got more");
}

static const struct skua__grpc_pipe server_pipe = {server_read, server_write, server_flush,
                                                   server_failed, server_only};

/* ---- the status ------------------------------------------------------------------------------ */

static int server_put(struct server_call *self, bool head, const char *name, const char *value)
{
    if (value == NULL)
        return -ENOMEM;
    return head ? skua_http_add_header(self->call.exchange, name, value)
                : skua_http_add_trailer(self->call.exchange, name, value);
}

static int server_put_status(struct server_call *self, bool head, int code, const char *message)
{
    char number[12] = {(char)('0' + code / 10), (char)('0' + code % 10)};
    struct skua__http_arena *arena = self->call.arena;
    int rc = server_put(self, head, "grpc-status", code < 10 ? number + 1 : number);

    if (rc == 0 && message != NULL && *message != '\0') {
        char *text = skua__http_arena_alloc(arena, skua__grpc_percent_room(message));

        if (text != NULL)
            skua__grpc_percent_write(text, message);
        rc = server_put(self, head, "grpc-message", text);
    }
    if (rc == 0 && self->details != NULL && code == self->code) {
        skua_grpc_entry details = {"x-bin", self->details, self->details_len};

        rc = server_put(self, head, "grpc-status-details-bin",
                        skua__grpc_entry_text(arena, &details));
    }
    for (size_t i = 0; rc == 0 && i < self->trailers.count; i++) {
        rc = server_put(self, head, self->trailers.at[i].name, self->trailers.at[i].value);
        if (rc == -EINVAL)
            rc = 0; /* HTTP has the name for heads alone */
    }
    return rc;
}

static int server_answer(struct server_call *self, int code, const char *message)
{
    skua_http_exchange *exchange = self->call.exchange;
    bool head = code != SKUA_GRPC_OK && !self->headed && !skua_http_begun(exchange);
    int rc = server_put_status(self, head, code, message);

    skua__grpc_trace_end(exchange->span, code, true);
    if (rc != 0)
        return rc;
    if (head)
        return skua_http_reply(exchange, 200, NULL, NULL, 0);
    /* Without a message there must be a head yet; the carrier ends it with the trailers. */
    return skua_http_begun(exchange) ? 0 : skua_http_flush(exchange);
}

static const char *server_message(const struct server_call *self, int rc, int code)
{
    if (self->message != NULL && code == self->code)
        return self->message;
    if (rc < 0 && rc == self->received.rc && self->received.why != NULL)
        return self->received.why;
    if (rc < 0 && rc == self->sent.rc && self->sent.why != NULL)
        return self->sent.why;
    return rc < 0 ? skua_strerror(rc) : NULL;
}

static int server_end(struct server_call *self, int rc)
{
    int code = skua_grpc_code_of(rc);

    if (rc == -ECANCELED && skua_cancelled() == -ECANCELED)
        return rc;
    if (rc == 0 && self->call.out.alone && self->call.out.count == 0) {
        code = skua_grpc_fail(&self->call, SKUA_GRPC_INTERNAL, "the method has sent no message");
        rc = code;
    }
    return server_answer(self, code, server_message(self, rc, code));
}

/* ---- the call -------------------------------------------------------------------------------- */

/* The method of "/package.Service/Method". */
static const skua_grpc_method *server_route(struct server_call *self,
                                            const skua_grpc_server *server, void **state)
{
    const char *path = skua_http_path(self->call.exchange);
    const char *name = strrchr(path, '/');
    const struct server_entry *entry =
        name > path ? server_find(server, path + 1, (size_t)(name - path - 1)) : NULL;

    if (entry == NULL) {
        (void)skua_grpc_fail(&self->call, SKUA_GRPC_UNIMPLEMENTED, "there is no such service");
        return NULL;
    }
    *state = entry->state;
    for (size_t i = 0; i < entry->service->count; i++)
        if (strcmp(entry->service->methods[i].name, name + 1) == 0) {
            skua__grpc_trace(self->call.exchange->span, path + 1);
            return &entry->service->methods[i];
        }
    (void)skua_grpc_fail(&self->call, SKUA_GRPC_UNIMPLEMENTED, "the service has no such method");
    return NULL;
}

/* Headers of the request: 0, or a status. */
static int server_heads(struct server_call *self, const skua_grpc_server *server, int64_t *deadline)
{
    skua_http_exchange *exchange = self->call.exchange;
    const char *timeout = skua_http_header(exchange, "grpc-timeout");
    const char *name, *value;
    int64_t ns = timeout != NULL ? skua__grpc_timeout_read(timeout) : SKUA_FOREVER;

    if (ns < 0)
        return skua_grpc_fail(&self->call, SKUA_GRPC_INTERNAL, "the time-out is malformed");
    if (ns > server->options.timeout_max)
        ns = server->options.timeout_max;
    *deadline = skua__http_after(skua_now(), ns);
    self->call.in.coding = skua__grpc_coding_of(skua_http_header(exchange, "grpc-encoding"));
    if (self->call.in.coding == SKUA__GRPC_OTHER)
        return skua_grpc_fail(&self->call, SKUA_GRPC_UNIMPLEMENTED,
                              "the messages' encoding is not known");
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value) == 1; i++)
        if (skua__grpc_entries_take(&self->call.metadata, self->call.arena, name, value) != 0)
            return -ENOMEM;
    return 0;
}

/* What each response has. */
static int server_prepare(struct server_call *self, const skua_grpc_server *server)
{
    skua_http_exchange *exchange = self->call.exchange;
    const char *accepts = skua_http_header(exchange, "grpc-accept-encoding");
    int rc = skua_http_set_header(exchange, "content-type", SKUA__GRPC_TYPE);

    if (rc == 0)
        rc = skua_http_set_header(exchange, "grpc-accept-encoding", skua__grpc_codings());
    self->call.out.pack_min = SIZE_MAX;
    if (rc == 0 && server->options.compress_min != 0 && accepts != NULL &&
        skua__http_has_token(accepts, "gzip") && skua__grpc_coding_of("gzip") == SKUA__GRPC_GZIP) {
        self->call.out.pack_min = server->options.compress_min;
        rc = skua_http_set_header(exchange, "grpc-encoding", "gzip");
    }
    return rc;
}

static int server_call_method(struct server_call *self, const skua_grpc_server *server)
{
    const skua_grpc_method *method;
    skua_deadline frame;
    int64_t deadline = SKUA_FOREVER;
    void *state = NULL;
    int rc = server_heads(self, server, &deadline);

    if (rc != 0)
        return rc;
    method = server_route(self, server, &state);
    if (method == NULL)
        return SKUA_GRPC_UNIMPLEMENTED;
    self->call.out.alone =
        method->kind == SKUA_GRPC_UNARY || method->kind == SKUA_GRPC_CLIENT_STREAM;
    rc = skua_deadline_begin(&frame, deadline);
    self->call.deadline = skua_deadline_current();
    if (rc == 0)
        rc = method->call(&self->call, state);
    (void)skua_deadline_end(&frame);
    return rc;
}

static bool server_is_grpc(const char *type)
{
    size_t len = sizeof SKUA__GRPC_TYPE - 1;

    return type != NULL && skua__http_same(type, SKUA__GRPC_TYPE, strnlen(type, len)) &&
           strlen(type) >= len && strchr("+; \t", type[len]) != NULL; /* and a NUL is among them */
}

int skua_grpc_handler(skua_http_exchange *exchange, void *server)
{
    const skua_grpc_server *table = server;
    struct server_call self = {.call = {.pipe = &server_pipe, .exchange = exchange}};
    int rc;

    if (!server_is_grpc(skua_http_header(exchange, "content-type"))) {
        if (table->options.fallback != NULL)
            return table->options.fallback(exchange, table->options.fallback_state);
        return skua_http_refuse(exchange, 415, "this is a server of gRPC: application/grpc");
    }
    if (skua_http_version(exchange) < 20)
        return skua_http_refuse(exchange, 505, "gRPC is spoken over HTTP/2 alone");
    if (strcmp(skua_http_method(exchange), "POST") != 0) {
        rc = skua_http_set_header(exchange, "Allow", "POST");
        return rc == 0 ? skua_http_refuse(exchange, 405, "gRPC calls are made with POST") : rc;
    }
    self.call.arena = &exchange->arena;
    self.call.in.max = table->options.recv_max;
    self.call.out.max = table->options.send_max;
    self.call.deadline = SKUA_FOREVER;
    (void)skua_http_set_body_max(exchange, -1);
    exchange->patient = true;
    rc = server_prepare(&self, table);
    if (rc == 0)
        rc = server_end(&self, server_call_method(&self, table));
    skua__grpc_call_fini(&self.call);
    return rc;
}

/* ---- for methods ----------------------------------------------------------------------------- */

skua_http_exchange *skua_grpc_exchange(const skua_grpc_call *call)
{
    return call->exchange;
}

const char *skua_grpc_path(const skua_grpc_call *call)
{
    return skua_http_path(call->exchange);
}

int skua_grpc_add_header(skua_grpc_call *call, const skua_grpc_entry *entry)
{
    int rc = skua__grpc_entry_check(entry);
    const char *text;

    if (rc != 0)
        return rc;
    text = skua__grpc_entry_text(call->arena, entry);
    rc = text != NULL ? skua_http_add_header(call->exchange, entry->name, text) : -ENOMEM;
    if (rc == 0)
        server_call_of(call)->headed = true;
    return rc;
}

int skua_grpc_add_trailer(skua_grpc_call *call, const skua_grpc_entry *entry)
{
    int rc = skua__grpc_entry_check(entry);
    const char *text = rc == 0 ? skua__grpc_entry_text(call->arena, entry) : NULL;

    if (text == NULL)
        return rc != 0 ? rc : -ENOMEM;
    return skua__grpc_entries_put(&server_call_of(call)->trailers, call->arena, entry->name, text);
}

int skua_grpc_fail_with(skua_grpc_call *call, int code, const char *message, const void *details,
                        size_t details_len)
{
    struct server_call *self = server_call_of(call);

    self->code = skua_grpc_code_of(code);
    self->message = self->details = NULL;
    if (message != NULL) {
        self->message = skua__http_arena_copy(call->arena, message, strlen(message));
        if (self->message == NULL)
            return -ENOMEM;
    }
    if (details != NULL) {
        self->details = skua__http_arena_copy(call->arena, details, details_len);
        if (self->details == NULL)
            return -ENOMEM;
        self->details_len = details_len;
    }
    return self->code;
}

int skua_grpc_fail(skua_grpc_call *call, int code, const char *message)
{
    (void)skua_grpc_fail_with(call, code, message, NULL, 0);
    return server_call_of(call)->code;
}
