/* grpc_judged.c - both sides of gRPC for tests/http/judges/grpc.
 *
 *     grpc_judged serve FILE      serves; prints "address A"; FILE is a FileDescriptorSet
 *     grpc_judged ask URL         asks a server of others that has the same service; 0: all right
 *
 * The service is judge.Judge: Echo (unary; metadata "x-…" comes back in front and behind), Stream
 * ("count size"), Count, Chat, Fail ("code message"; details are the bytes 08 code), Sleep, Left
 * (of the deadline, in ms), Cancels (how many calls of Sleep were cancelled).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/grpc_client.h>
#include <skua/http/grpc_services.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#define BIG ((size_t)3 << 20)

/* ---- the server ------------------------------------------------------------------------------ */

static atomic_int cancels;

/* The request as a string. */
static int text_of(skua_grpc_call *call, char *text, size_t size)
{
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    if (rc == 0)
        (void)snprintf(text, size, "%.*s", (int)len, (const char *)message);
    return rc;
}

static int echo(skua_grpc_call *call, void *state)
{
    const skua_grpc_entry *entry;
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    for (size_t i = 0; rc == 0 && (entry = skua_grpc_metadata_at(call, i)) != NULL; i++)
        if (strncmp(entry->name, "x-", 2) == 0) {
            rc = skua_grpc_add_header(call, entry);
            if (rc == 0)
                rc = skua_grpc_add_trailer(call, entry);
        }
    return rc == 0 ? skua_grpc_send(call, message, len) : rc;
}

static int stream(skua_grpc_call *call, void *state)
{
    char text[64], *end;
    void *bytes;
    long count, size;
    int rc = text_of(call, text, sizeof text);

    (void)state;
    count = strtol(text, &end, 10);
    size = strtol(end, NULL, 10);
    bytes = skua_grpc_alloc(call, (size_t)size);
    if (bytes == NULL)
        return -ENOMEM;
    memset(bytes, 'a', (size_t)size);
    while (rc == 0 && count-- > 0)
        rc = skua_grpc_send(call, bytes, (size_t)size);
    return rc;
}

static int count(skua_grpc_call *call, void *state)
{
    const void *message;
    char text[48];
    size_t len, sum = 0, messages = 0;
    int rc;

    (void)state;
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1) {
        sum += len;
        messages++;
    }
    (void)snprintf(text, sizeof text, "%zu %zu", messages, sum);
    return rc == 0 ? skua_grpc_send(call, text, strlen(text)) : rc;
}

static int chat(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc;

    (void)state;
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1)
        if ((rc = skua_grpc_send(call, message, len)) != 0)
            return rc;
    return rc;
}

static int fail(skua_grpc_call *call, void *state)
{
    char text[256], details[2], *end;
    int rc = text_of(call, text, sizeof text);

    (void)state;
    if (rc != 0)
        return rc;
    details[0] = 8;
    details[1] = (char)strtol(text, &end, 10);
    return skua_grpc_fail_with(call, details[1], end + (*end == ' '), details, 2);
}

static int sleeps(skua_grpc_call *call, void *state)
{
    int rc = skua_grpc_flush(call);

    (void)state;
    if (rc == 0)
        rc = skua_sleep(SKUA_HOUR);
    atomic_fetch_add(&cancels, rc == -ECANCELED);
    return rc;
}

static int left(skua_grpc_call *call, void *state)
{
    int64_t deadline = skua_grpc_deadline(call);
    char text[32];

    (void)state;
    (void)snprintf(
        text, sizeof text, "%lld",
        deadline == SKUA_FOREVER ? -1LL : (long long)((deadline - skua_now()) / SKUA_MILLISECOND));
    return skua_grpc_send(call, text, strlen(text));
}

static int cancelled(skua_grpc_call *call, void *state)
{
    char text[16];

    (void)state;
    (void)snprintf(text, sizeof text, "%d", atomic_load(&cancels));
    return skua_grpc_send(call, text, strlen(text));
}

static const skua_grpc_method methods[] = {
    {"Echo", SKUA_GRPC_UNARY, echo},           {"Stream", SKUA_GRPC_SERVER_STREAM, stream},
    {"Count", SKUA_GRPC_CLIENT_STREAM, count}, {"Chat", SKUA_GRPC_BIDI, chat},
    {"Fail", SKUA_GRPC_UNARY, fail},           {"Sleep", SKUA_GRPC_UNARY, sleeps},
    {"Left", SKUA_GRPC_UNARY, left},           {"Cancels", SKUA_GRPC_UNARY, cancelled}};

static int serve_on(skua_grpc_server *grpc)
{
    char address[SKUA_ADDRESS_MAX];
    skua_http_server *server;
    skua_listener *listener;
    int rc = skua_http_server_new(&server, skua_grpc_handler, grpc,
                                  SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = SKUA_SECOND));

    if (rc != 0)
        return rc;
    rc = skua_tcp_listen(&listener, "127.0.0.1:0", NULL);
    if (rc == 0) {
        (void)skua_listener_address(listener, address, sizeof address);
        printf("address %s\n", address);
        (void)fflush(stdout);
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    return rc == -ECANCELED ? 0 : rc;
}

static int serve(const char *path)
{
    static char files[65536];
    static skua_grpc_service service = {"judge.Judge", methods, 8, files, 0};
    skua_grpc_server *grpc;
    skua_grpc_health *health;
    FILE *file = fopen(path, "rb");
    int rc = file == NULL;

    if (rc == 0) {
        service.files_len = fread(files, 1, sizeof files, file);
        (void)fclose(file);
        rc = skua_grpc_server_new(&grpc, SKUA_GRPC_SERVER_OPTIONS(.compress_min = 1000));
    }
    if (rc != 0)
        return rc;
    rc = skua_grpc_health_new(&health);
    if (rc == 0) {
        rc = skua_grpc_add(grpc, &service, NULL);
        if (rc == 0)
            rc = skua_grpc_add_health(grpc, health);
        if (rc == 0)
            rc = skua_grpc_add_reflection(grpc);
        if (rc == 0)
            rc = skua_grpc_health_set(health, "judge.Judge", SKUA_GRPC_NOT_SERVING);
        if (rc == 0)
            rc = serve_on(grpc);
        skua_grpc_health_free(health);
    }
    skua_grpc_server_free(grpc);
    return rc;
}

/* ---- the client ------------------------------------------------------------------------------ */

static skua_http_client *client;
static const char *url;
static int failures;

#define RIGHT(cond) right((cond), __LINE__, #cond)

static void right(int ok, int line, const char *text)
{
    if (ok)
        return;
    failures++;
    printf("line %d: %s\n", line, text);
}

static int asks(const char *method, const void *request, size_t len,
                const skua_grpc_call_options *options, skua_grpc_call **call, const void **reply,
                size_t *reply_len)
{
    int rc = skua_grpc_unary(client, url, method, request, len, options, call, reply, reply_len);

    if (rc < 0)
        printf("%s: %s\n", method, skua_strerror(rc));
    return rc;
}

static void asks_unary(void)
{
    static const skua_grpc_entry entries[] = {{"x-text", "some words", 0},
                                              {"x-data-bin", "\0\xff\1", 3}};
    static char big[BIG];
    skua_grpc_call *call;
    const void *reply;
    size_t len;

    memset(big, 'b', sizeof big);
    RIGHT(asks("judge.Judge/Echo", "hello", 5,
               SKUA_GRPC_CALL_OPTIONS(.metadata = entries, .metadata_count = 2), &call, &reply,
               &len) == 0);
    RIGHT(len == 5 && memcmp(reply, "hello", 5) == 0);
    for (int i = 0; i < 2; i++) {
        const skua_grpc_entry *head = skua_grpc_metadata(call, entries[i].name);
        const skua_grpc_entry *trailer = skua_grpc_trailer(call, entries[i].name);
        size_t size = i == 0 ? 10 : 3;

        RIGHT(head != NULL && head->len == size &&
              memcmp(head->value, entries[i].value, size) == 0);
        RIGHT(trailer != NULL && trailer->len == size &&
              memcmp(trailer->value, entries[i].value, size) == 0);
    }
    skua_grpc_close(call);
    for (size_t pack = 0; pack < 2; pack++) {
        RIGHT(asks("judge.Judge/Echo", big, sizeof big,
                   SKUA_GRPC_CALL_OPTIONS(.compress_min = pack), &call, &reply, &len) == 0);
        RIGHT(len == sizeof big && memcmp(reply, big, len) == 0);
        skua_grpc_close(call);
    }
    RIGHT(asks("judge.Judge/Echo", "", 0, NULL, &call, &reply, &len) == 0 && len == 0);
    skua_grpc_close(call);
}

static void asks_status(void)
{
    skua_grpc_call *call;
    const void *reply;
    size_t len;

    for (int code = 1; code <= 16; code++) {
        char text[64];
        const skua_grpc_status *status;

        (void)snprintf(text, sizeof text, "%d n\xc3\xa4mlich, 100%%", code);
        RIGHT(asks("judge.Judge/Fail", text, strlen(text), NULL, &call, &reply, &len) == code);
        status = skua_grpc_status_of(call);
        RIGHT(strcmp(status->message, "n\xc3\xa4mlich, 100%") == 0);
        RIGHT(status->details_len == 2 && ((const char *)status->details)[1] == code);
        skua_grpc_close(call);
    }
    RIGHT(asks("judge.Judge/None", "", 0, NULL, &call, &reply, &len) == SKUA_GRPC_UNIMPLEMENTED);
    skua_grpc_close(call);
    RIGHT(asks("judge.Judge/Sleep", "", 0,
               SKUA_GRPC_CALL_OPTIONS(.timeout = 100 * SKUA_MILLISECOND), &call, &reply,
               &len) == SKUA_GRPC_DEADLINE_EXCEEDED);
    skua_grpc_close(call);
    RIGHT(asks("judge.Judge/Left", "", 0, SKUA_GRPC_CALL_OPTIONS(.timeout = 100 * SKUA_SECOND),
               &call, &reply, &len) == 0);
    RIGHT(atoi(reply) > 60000 && atoi(reply) <= 100100);
    skua_grpc_close(call);
}

static void asks_streams(void)
{
    skua_grpc_call *call;
    const void *message;
    size_t len, sum = 0;
    int rc;

    rc = skua_grpc_open(client, url, "judge.Judge/Stream", SKUA_GRPC_SERVER_STREAM, NULL, &call);
    RIGHT(rc == 0 && skua_grpc_send(call, "100 20000", 9) == 0);
    while (rc == 0 && skua_grpc_recv(call, &message, &len) == 1)
        sum += len;
    RIGHT(sum == 2000000 && skua_grpc_finish(call) == 0);
    skua_grpc_close(call);

    rc = skua_grpc_open(client, url, "judge.Judge/Count", SKUA_GRPC_CLIENT_STREAM, NULL, &call);
    for (int i = 0; rc == 0 && i < 1000; i++)
        rc = skua_grpc_send_more(call, "0123456789", 10);
    RIGHT(rc == 0 && skua_grpc_half_close(call) == 0);
    RIGHT(skua_grpc_recv_only(call, &message, &len) == 0);
    RIGHT(len == 10 && memcmp(message, "1000 10000", 10) == 0);
    skua_grpc_close(call);

    rc = skua_grpc_open(client, url, "judge.Judge/Chat", SKUA_GRPC_BIDI, NULL, &call);
    for (int i = 0; rc == 0 && i < 100; i++) {
        RIGHT(skua_grpc_send(call, &i, sizeof i) == 0);
        RIGHT(skua_grpc_recv(call, &message, &len) == 1);
        RIGHT(len == sizeof i && memcmp(message, &i, len) == 0);
    }
    RIGHT(skua_grpc_finish(call) == 0);
    skua_grpc_close(call);
}

static void asks_and_cancels(void)
{
    skua_grpc_call *call;
    const void *reply;
    size_t len;
    int rc, n = 0;

    rc = skua_grpc_open(client, url, "judge.Judge/Sleep", SKUA_GRPC_UNARY, NULL, &call);
    RIGHT(rc == 0 && skua_grpc_send(call, "", 0) == 0 && skua_grpc_wait_head(call) == 0);
    skua_grpc_cancel(call);
    RIGHT(skua_grpc_finish(call) == SKUA_GRPC_CANCELLED);
    skua_grpc_close(call);
    for (int i = 0; n == 0 && i < 500; i++) {
        RIGHT(asks("judge.Judge/Cancels", "", 0, NULL, &call, &reply, &len) == 0);
        n = atoi(reply);
        skua_grpc_close(call);
        (void)skua_sleep(10 * SKUA_MILLISECOND);
    }
    RIGHT(n != 0);
}

static int ask(void)
{
    int rc = skua_http_client_new(&client, NULL);

    if (rc != 0)
        return rc;
    asks_unary();
    asks_status();
    asks_streams();
    asks_and_cancels();
    RIGHT(skua_http_client_free(client) == 0);
    return failures != 0 ? -EIO : 0;
}

static int start(void *arg)
{
    char **words = arg;

    url = words[2];
    return strcmp(words[1], "ask") == 0 ? ask() : serve(words[2]);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    return skua_main(
        start, argv,
        SKUA_RUNTIME_OPTIONS(.name = "grpc_judged", .workers = 2, .stop_on = SKUA_SIGNALS_TERM));
}
