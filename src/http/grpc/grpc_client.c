/* grpc_client.c - a call as the client has it: opened, cancelled, and ended by a status.
 *
 *   open      the head was sent; messages go and come
 *   ended     there is a status. It came in trailers, in the head (Trailers-Only), or is made here:
 *             of an HTTP status without one, of a stream that was reset, of a server that is not
 *             there, of a deadline, of a message that nobody wants
 *
 * Two tasks  the status is the receiving task's alone. The sending one, when the stream takes
 *            nothing more, says SKUA_ECLOSED, and leaves it to the other to find out why. An end
 *            that the receiver finds resets the stream, which wakes the sender.
 * Gathering  small messages are put behind their heads, so that a message is one frame, and a
 *            unary call's the last one.
 * Deadline   a wait that ends with -ETIMEDOUT is the call's when its deadline has passed; else it
 *            is one of the caller's own, who may go on.
 *
 * Sources: gRPC over HTTP/2 (Responses, Errors, Client Cancellation);
 * grpc/doc/http-grpc-status-mapping.md.
 */
#include <stdio.h>

#include <skua/http/call.h>

#include "http/grpc/grpc_impl.h"

/* Gathered before it is sent. */
#define CLIENT_GATHERED ((size_t)16384)
/* Codes of RFC 9113, 7. */
#define CLIENT_NO_ERROR 0
#define CLIENT_CANCEL 8

struct client_call {
    skua_grpc_call call; /* first */
    struct skua__http_arena arena;
    skua_http_call *http;         /* constant; NULL: it could not be opened */
    skua_http_response *response; /* NULL: not there yet; the receiver's, as all that follows */
    bool ended;
    skua_grpc_status status;
    struct skua__grpc_entries trailers;
    struct skua__grpc_buffer gathered; /* the sender's */
    size_t gathered_len;
};

static struct client_call *client_of(const skua_grpc_call *call)
{
    return (struct client_call *)(uintptr_t)call; /* who was given a const one does not write */
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The first status stays. */
static void client_end(struct client_call *self, int code, const char *message, uint32_t reset)
{
    if (self->ended)
        return;
    self->ended = true;
    self->call.in.ended = true;
    self->status.code = code;
    self->status.message = message;
    if (self->http != NULL)
        skua_http_call_cancel(self->http, reset);
}

static int client_code_of(const struct client_call *self, int rc)
{
    int64_t reset = self->http != NULL ? skua_http_call_reset_code(self->http) : -1;

    if (rc == -ECONNABORTED)
        return SKUA_GRPC_CANCELLED;
    if (rc == -ECONNRESET && reset >= 0)
        return skua__grpc_code_of_reset(reset);
    if (rc == -EBADMSG || rc == SKUA_ELIMIT || rc == -ENOMEM)
        return skua_grpc_code_of(rc);
    return SKUA_GRPC_UNAVAILABLE;
}

/* What carries the call has failed: 0: that is its status now; or what is the caller's alone. */
static int client_fails(struct client_call *self, int rc, const char *why)
{
    bool late = skua_now() >= self->call.deadline;

    if (rc == -ECANCELED)
        return rc;
    if (late && (rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -ECONNABORTED))
        client_end(self, SKUA_GRPC_DEADLINE_EXCEEDED, "the deadline has passed", CLIENT_CANCEL);
    else if (rc == -ETIMEDOUT)
        return rc;
    else
        client_end(self, client_code_of(self, rc), why != NULL ? why : skua_strerror(rc),
                   CLIENT_CANCEL);
    return 0;
}

/* ---- what the server says -------------------------------------------------------------------- */

typedef int (*client_at_fn)(const skua_http_response *response, size_t index, const char **name,
                            const char **value);

static const char *client_field(const struct client_call *self, client_at_fn at, const char *wanted)
{
    const char *name, *value;

    for (size_t i = 0; at(self->response, i, &name, &value) == 1; i++)
        if (strlen(name) == strlen(wanted) && skua__http_same(name, wanted, strlen(wanted)))
            return value;
    return NULL;
}

static bool client_take(struct client_call *self, client_at_fn at, struct skua__grpc_entries *into)
{
    const char *name, *value;

    for (size_t i = 0; at(self->response, i, &name, &value) == 1; i++)
        if (skua__grpc_entries_take(into, &self->arena, name, value) != 0)
            return false;
    return true;
}

static bool client_take_details(struct client_call *self, const char *text)
{
    size_t len = strlen(text);
    char *bytes = skua__http_arena_alloc(&self->arena, len + 1);
    ssize_t n = bytes != NULL ? skua__grpc_base64_read(bytes, text, len) : -1;

    if (n >= 0) {
        self->status.details = bytes;
        self->status.details_len = (size_t)n;
    }
    return bytes != NULL;
}

/* A status out of the fields; false: it is not there. */
static bool client_take_status(struct client_call *self, client_at_fn at)
{
    const char *code = client_field(self, at, "grpc-status");
    const char *message = client_field(self, at, "grpc-message");
    const char *details = client_field(self, at, "grpc-status-details-bin");
    int64_t number = code != NULL ? skua__http_number(code, strlen(code)) : -1;
    char *text = NULL;

    if (code == NULL)
        return false;
    message = message != NULL ? message : "";
    text = skua__http_arena_copy(&self->arena, message, strlen(message));
    if (text == NULL || !client_take(self, at, &self->trailers) ||
        (details != NULL && !client_take_details(self, details))) {
        client_end(self, SKUA_GRPC_RESOURCE_EXHAUSTED, "no memory for the status", CLIENT_NO_ERROR);
        return true;
    }
    skua__grpc_percent_read(text);
    if (number == SKUA_GRPC_CANCELLED && skua_now() >= self->call.deadline)
        number = SKUA_GRPC_DEADLINE_EXCEEDED; /* the server has seen it first */
    client_end(self, number >= 0 ? skua_grpc_code_of(number) : SKUA_GRPC_UNKNOWN, text,
               CLIENT_NO_ERROR);
    return true;
}

/* The head of the response: 0: it is there, or the call has ended; or an error. */
static int client_head(struct client_call *self)
{
    const char *type;
    char *text;
    int status, rc;

    if (self->ended || self->response != NULL)
        return 0;
    rc = skua_http_call_response_until(self->http, &self->response, self->call.deadline);
    if (rc != 0)
        return client_fails(self, rc, NULL);
    status = skua_http_response_status(self->response);
    type = skua_http_response_header(self->response, "content-type");
    if (client_take_status(self, skua_http_response_header_at))
        return 0;
    if (status != 200 || type == NULL || strncmp(type, SKUA__GRPC_TYPE, 16) != 0) {
        text = skua__http_arena_alloc(&self->arena, 80);
        if (text != NULL)
            (void)snprintf(text, 80, "the answer is no gRPC: HTTP status %d, %.30s", status,
                           type != NULL ? type : "without a type");
        client_end(self, skua__grpc_code_of_http(status), text != NULL ? text : "", CLIENT_CANCEL);
        return 0;
    }
    if (!client_take(self, skua_http_response_header_at, &self->call.metadata))
        client_end(self, SKUA_GRPC_RESOURCE_EXHAUSTED, "no memory for metadata", CLIENT_CANCEL);
    self->call.in.coding =
        skua__grpc_coding_of(skua_http_response_header(self->response, "grpc-encoding"));
    return 0;
}

/* ---- the pipe -------------------------------------------------------------------------------- */

static ssize_t client_read(skua_grpc_call *call, void *buf, size_t len)
{
    struct client_call *self = client_of(call);
    int rc = client_head(self);
    ssize_t n;

    if (rc != 0 || self->ended)
        return rc;
    n = skua_http_response_read_until(self->response, buf, len, call->deadline);
    if (n != 0)
        return n < 0 ? client_fails(self, (int)n, NULL) : n;
    if (call->in.head_len != 0)
        return 0; /* in the middle of a message: whatever the trailers say */
    if (!client_take_status(self, skua_http_response_trailer_at))
        client_end(self, SKUA_GRPC_UNKNOWN, "the server has ended the call without a status",
                   CLIENT_NO_ERROR);
    return 0;
}

static int client_send_gathered(struct client_call *self)
{
    size_t len = self->gathered_len;

    self->gathered_len = 0;
    return len == 0 ? 0
                    : skua_http_call_write_until(self->http, self->gathered.at, len,
                                                 self->call.deadline);
}

static int client_write(skua_grpc_call *call, const void *buf, size_t len)
{
    struct client_call *self = client_of(call);
    int rc = 0;

    if (self->http == NULL)
        return -EPIPE;
    if (self->gathered_len + len > CLIENT_GATHERED)
        rc = client_send_gathered(self);
    if (rc != 0 || len > CLIENT_GATHERED)
        return rc != 0 ? rc : skua_http_call_write_until(self->http, buf, len, call->deadline);
    rc = skua__grpc_buffer_grow(&self->gathered, CLIENT_GATHERED);
    if (rc == 0) {
        memcpy(self->gathered.at + self->gathered_len, buf, len);
        self->gathered_len += len;
    }
    return rc;
}

static int client_flush(skua_grpc_call *call, bool last)
{
    struct client_call *self = client_of(call);
    size_t len = self->gathered_len;

    if (self->http == NULL)
        return -EPIPE;
    if (!last)
        return client_send_gathered(self);
    call->out.closed = true;
    self->gathered_len = 0;
    return len != 0 ? skua_http_call_write_end(self->http, self->gathered.at, len)
                    : skua_http_call_end(self->http);
}

static int client_failed(skua_grpc_call *call, int rc, const char *why, bool sending)
{
    if (!sending)
        return client_fails(client_of(call), rc, why);
    if (rc == -ECANCELED || rc == -EMSGSIZE || rc == -ENOMEM || rc == SKUA_EUSAGE)
        return rc;
    return rc == -ETIMEDOUT && skua_now() < call->deadline ? rc : SKUA_ECLOSED;
}

static int client_only(skua_grpc_call *call, int count)
{
    struct client_call *self = client_of(call);
    int rc;

    if (count == 2)
        client_end(self, SKUA_GRPC_UNIMPLEMENTED, "the server has sent more than one message",
                   CLIENT_CANCEL);
    rc = skua_grpc_finish(call);
    if (rc == 0 && count == 0) {
        self->status.code = SKUA_GRPC_UNIMPLEMENTED;
        self->status.message = "the server has sent no message";
        rc = SKUA_GRPC_UNIMPLEMENTED;
    }
    return rc;
}

static const struct skua__grpc_pipe client_pipe = {client_read, client_write, client_flush,
                                                   client_failed, client_only};

/* ---- opening --------------------------------------------------------------------------------- */

void skua_grpc_call_options_init(skua_grpc_call_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static bool client_names(const skua_grpc_call_options *options, const char *name)
{
    for (size_t i = 0; i < options->metadata_count; i++)
        if (options->metadata[i].name != NULL && strcmp(options->metadata[i].name, name) == 0)
            return true;
    return false;
}

/* The head, of fixed fields and the metadata. Their count, or an error. */
static int client_fields(struct client_call *self, const skua_grpc_call_options *options,
                         skua_http_field **ret)
{
    size_t count = 0;
    char *timeout = skua__http_arena_alloc(&self->arena, SKUA__GRPC_TIMEOUT);
    skua_http_field *fields =
        skua__http_arena_alloc(&self->arena, (options->metadata_count + 6) * sizeof *fields);

    if (timeout == NULL || fields == NULL)
        return -ENOMEM;
    fields[count++] = (skua_http_field){"te", "trailers"};
    if (self->call.deadline != SKUA_FOREVER) {
        skua__grpc_timeout_write(timeout, self->call.deadline - skua_now());
        fields[count++] = (skua_http_field){"grpc-timeout", timeout};
    }
    fields[count++] = (skua_http_field){"content-type", SKUA__GRPC_TYPE};
    if (!client_names(options, "user-agent"))
        fields[count++] = (skua_http_field){"user-agent", "grpc-c-skua/" SKUA_VERSION};
    fields[count++] = (skua_http_field){"grpc-accept-encoding", skua__grpc_codings()};
    if (self->call.out.pack_min != SIZE_MAX)
        fields[count++] = (skua_http_field){"grpc-encoding", "gzip"};
    for (size_t i = 0; i < options->metadata_count; i++) {
        const skua_grpc_entry *entry = &options->metadata[i];
        int rc = skua__grpc_entry_check(entry);

        if (rc != 0)
            return rc;
        fields[count].name = entry->name;
        fields[count].value = skua__grpc_entry_text(&self->arena, entry);
        if (fields[count++].value == NULL)
            return -ENOMEM;
    }
    *ret = fields;
    return (int)count;
}

/* 0: it is open, or has ended; or an error: there is to be no call. */
static int client_open(struct client_call *self, skua_http_client *client, const char *url,
                       const char *method, const skua_grpc_call_options *options)
{
    skua_http_request request = {.size = sizeof request, .method = "POST"};
    skua_http_field *fields = NULL;
    int count = client_fields(self, options, &fields);
    int rc;

    if (count < 0)
        return count;
    request.url = skua__grpc_url(&self->arena, url, method);
    if (request.url == NULL)
        return -ENOMEM;
    request.headers = fields;
    request.headers_count = (size_t)count;
    request.http2 = SKUA_HTTP2_ONLY;
    request.unix_path = options->unix_path;
    request.timeout = SKUA_FOREVER;
    if (self->call.deadline != SKUA_FOREVER) {
        request.timeout = self->call.deadline - skua_now();
        if (request.timeout <= 0)
            return client_fails(self, -ETIMEDOUT, NULL);
    }
    rc = skua_http_client_open(client, &request, &self->http);
    skua__grpc_trace_call(self->http, method, NULL);
    if (rc == -EINVAL || rc == -ENOMEM || rc == -ECANCELED)
        return rc;
    if (rc == -ETIMEDOUT && skua_now() < self->call.deadline)
        client_end(self, SKUA_GRPC_UNAVAILABLE, "the server could not be reached in time", 0);
    return rc != 0 && !self->ended ? client_fails(self, rc, NULL) : 0;
}

int skua_grpc_open(skua_http_client *client, const char *url, const char *method,
                   skua_grpc_kind kind, const skua_grpc_call_options *options, skua_grpc_call **ret)
{
    static const skua_grpc_call_options none = {.size = sizeof none};
    struct client_call *self;
    int64_t current = skua_deadline_current();
    int rc;

    options = options != NULL ? options : &none;
    if (options->size != sizeof *options || options->timeout < 0 ||
        options->recv_max > UINT32_MAX || options->send_max > SKUA__GRPC_SEND_MAX ||
        *method == '\0' || (unsigned)kind > SKUA_GRPC_BIDI)
        return -EINVAL;
    self = skua__http_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->call.pipe = &client_pipe;
    self->call.arena = &self->arena;
    self->call.in.max = options->recv_max != 0 ? options->recv_max : SKUA__GRPC_RECV_MAX;
    self->call.out.max = options->send_max != 0 ? options->send_max : SKUA__GRPC_SEND_MAX;
    self->call.out.pack_min = SIZE_MAX;
    if (options->compress_min != 0 && skua__grpc_coding_of("gzip") == SKUA__GRPC_GZIP)
        self->call.out.pack_min = options->compress_min;
    self->call.out.alone = kind == SKUA_GRPC_UNARY || kind == SKUA_GRPC_SERVER_STREAM;
    self->call.deadline =
        options->timeout != 0 ? skua__http_after(skua_now(), options->timeout) : SKUA_FOREVER;
    if (current < self->call.deadline)
        self->call.deadline = current;
    self->status = (skua_grpc_status){.code = SKUA_GRPC_UNKNOWN, .message = ""};
    rc = client_open(self, client, url, method, options);
    if (rc != 0)
        skua_grpc_close(&self->call);
    else
        *ret = &self->call;
    return rc;
}

int skua_grpc_unary(skua_http_client *client, const char *url, const char *method,
                    const void *request, size_t len, const skua_grpc_call_options *options,
                    skua_grpc_call **call, const void **reply, size_t *reply_len)
{
    int rc;

    *call = NULL;
    *reply = "";
    *reply_len = 0;
    rc = skua_grpc_open(client, url, method, SKUA_GRPC_UNARY, options, call);
    if (rc == 0)
        rc = skua_grpc_send(*call, request, len);
    if (rc == 0 || rc == SKUA_ECLOSED)
        rc = skua_grpc_recv_only(*call, reply, reply_len);
    if (rc < 0) {
        skua_grpc_close(*call);
        *call = NULL;
    }
    return rc;
}

/* ---- the rest -------------------------------------------------------------------------------- */

int skua_grpc_half_close(skua_grpc_call *call)
{
    int rc = call->out.closed ? 0 : client_flush(call, true);

    return rc < 0 ? client_failed(call, rc, NULL, true) : 0;
}

int skua_grpc_wait_head(skua_grpc_call *call)
{
    return client_head(client_of(call));
}

int skua_grpc_finish(skua_grpc_call *call)
{
    struct client_call *self = client_of(call);
    const void *message;
    size_t len;
    int rc = self->ended ? 0 : skua_grpc_half_close(call);

    while (!self->ended && (rc == 0 || rc == 1 || rc == SKUA_ECLOSED))
        rc = skua_grpc_recv(call, &message, &len);
    return self->ended ? self->status.code : rc;
}

const skua_grpc_status *skua_grpc_status_of(const skua_grpc_call *call)
{
    return &client_of(call)->status;
}

const skua_grpc_entry *skua_grpc_trailer(const skua_grpc_call *call, const char *name)
{
    return skua__grpc_entries_find(&client_of(call)->trailers, name);
}

const skua_grpc_entry *skua_grpc_trailer_at(const skua_grpc_call *call, size_t index)
{
    const struct skua__grpc_entries *trailers = &client_of(call)->trailers;

    return index < trailers->count ? &trailers->at[index] : NULL;
}

void skua_grpc_cancel(skua_grpc_call *call)
{
    struct client_call *self = client_of(call);

    if (self->http != NULL)
        skua_http_call_cancel(self->http, CLIENT_CANCEL);
}

int skua_grpc_unprocessed(const skua_grpc_call *call)
{
    const struct client_call *self = client_of(call);

    return self->http == NULL || skua_http_call_unprocessed(self->http) != 0;
}

void skua_grpc_close(skua_grpc_call *call)
{
    struct client_call *self = client_of(call);

    if (call == NULL)
        return;
    skua__grpc_trace_call(self->http, NULL, self->ended ? &self->status : NULL);
    skua_http_call_close(self->http);
    skua__grpc_call_fini(call);
    skua__http_free(self->gathered.at);
    skua__http_arena_free(&self->arena);
    skua__http_free(self);
}

#undef CLIENT_GATHERED
#undef CLIENT_NO_ERROR
#undef CLIENT_CANCEL
