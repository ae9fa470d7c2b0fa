/* grpc_health.c - the service grpc.health.v1.Health.
 *
 *     message HealthCheckRequest { string service = 1; }
 *     message HealthCheckResponse { ServingStatus status = 1; }
 *
 * Check answers once, NOT_FOUND for a service that nobody has spoken of; Watch answers at once and
 * with each change, SERVICE_UNKNOWN for such a one. Whoever watches makes the future of the next
 * change before it looks, and so misses none; of changes that follow each other quickly it may see
 * the last one alone.
 *
 * Source: grpc/doc/health-checking.md, grpc/health/v1/health.proto.
 */
#include <pthread.h>

#include <skua/future.h>
#include <skua/http/grpc_services.h>
#include <skua/notify.h>

#include "http/grpc/grpc_impl.h"

/* On the wire, beside those of the header. */
#define HEALTH_NOBODY 3 /* SERVICE_UNKNOWN */

struct health_entry {
    struct health_entry *next;
    skua_grpc_serving serving;
    char name[];
};

struct skua_grpc_health {
    pthread_mutex_t mutex;        /* never held over a wait */
    struct health_entry *entries; /* guard: mutex */
    bool stopped;                 /* guard: mutex */
    skua_notify changed;
};

/* Under the mutex. */
static struct health_entry *health_find(const skua_grpc_health *self, const char *name, size_t len)
{
    struct health_entry *entry = self->entries;

    while (entry != NULL && (strncmp(entry->name, name, len) != 0 || entry->name[len] != '\0'))
        entry = entry->next;
    return entry;
}

int skua_grpc_health_new(skua_grpc_health **ret)
{
    skua_grpc_health *self = skua__http_malloc(sizeof *self);

    if (self == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->changed = (skua_notify)SKUA_NOTIFY_INIT;
    if (skua_grpc_health_set(self, "", SKUA_GRPC_SERVING) != 0) {
        skua_grpc_health_free(self);
        return -ENOMEM;
    }
    *ret = self;
    return 0;
}

void skua_grpc_health_free(skua_grpc_health *health)
{
    if (health == NULL)
        return;
    while (health->entries != NULL) {
        struct health_entry *gone = health->entries;

        health->entries = gone->next;
        skua__http_free(gone);
    }
    (void)pthread_mutex_destroy(&health->mutex);
    skua__http_free(health);
}

int skua_grpc_health_set(skua_grpc_health *health, const char *service, skua_grpc_serving serving)
{
    size_t len = strlen(service);
    struct health_entry *entry;
    int rc = 0;

    if ((unsigned)serving > SKUA_GRPC_NOT_SERVING)
        return -EINVAL;
    (void)pthread_mutex_lock(&health->mutex);
    entry = health_find(health, service, len);
    if (health->stopped) {
        rc = SKUA_ESTOPPED;
    } else if (entry == NULL) {
        entry = skua__http_malloc(sizeof *entry + len + 1);
        if (entry != NULL) {
            memcpy(entry->name, service, len + 1);
            entry->next = health->entries;
            health->entries = entry;
        }
        rc = entry != NULL ? 0 : -ENOMEM;
    }
    if (rc == 0)
        entry->serving = serving;
    (void)pthread_mutex_unlock(&health->mutex);
    if (rc == 0)
        skua_notify_all(&health->changed);
    return rc;
}

void skua_grpc_health_stop(skua_grpc_health *health)
{
    (void)pthread_mutex_lock(&health->mutex);
    health->stopped = true;
    for (struct health_entry *entry = health->entries; entry != NULL; entry = entry->next)
        entry->serving = SKUA_GRPC_NOT_SERVING;
    (void)pthread_mutex_unlock(&health->mutex);
    skua_notify_all(&health->changed);
}

/* ---- the service ----------------------------------------------------------------------------- */

/* The service that is asked for: its name lives as long as the message. */
static int health_asked(skua_grpc_call *call, const char **name, size_t *len)
{
    struct skua__proto fields;
    struct skua__proto_field field;
    const void *message;
    int rc = skua_grpc_recv_only(call, &message, len);

    if (rc != 0)
        return rc;
    fields = skua__proto_of(message, *len);
    *name = "";
    *len = 0;
    while ((rc = skua__proto_next(&fields, &field)) == 1)
        if (field.id == 1 && field.wire == 2) {
            *name = (const char *)field.bytes;
            *len = field.len;
        }
    if (rc == 0 && memchr(*name, '\0', *len) != NULL)
        rc = -EBADMSG;
    return rc == 0 ? 0 : skua_grpc_fail(call, SKUA_GRPC_INTERNAL, "the request is malformed");
}

/* How it is, on the wire. */
static int health_look(skua_grpc_health *self, const char *name, size_t len, bool *stopped)
{
    struct health_entry *entry;
    int serving;

    (void)pthread_mutex_lock(&self->mutex);
    entry = health_find(self, name, len);
    serving = entry != NULL ? (int)entry->serving : HEALTH_NOBODY;
    *stopped = self->stopped;
    (void)pthread_mutex_unlock(&self->mutex);
    return serving;
}

static int health_send(skua_grpc_call *call, int serving)
{
    unsigned char bytes[2];
    struct skua__proto_out out = {.at = bytes, .room = sizeof bytes};

    skua__proto_put_number(&out, 1, (uint64_t)serving);
    return skua_grpc_send(call, bytes, out.len);
}

static int health_check(skua_grpc_call *call, void *state)
{
    const char *name;
    size_t len;
    bool stopped;
    int rc = health_asked(call, &name, &len);
    int serving;

    if (rc != 0)
        return rc;
    serving = health_look(state, name, len, &stopped);
    if (serving == HEALTH_NOBODY)
        return skua_grpc_fail(call, SKUA_GRPC_NOT_FOUND, "nothing is known of the service");
    return health_send(call, serving);
}

static int health_watch(skua_grpc_call *call, void *state)
{
    skua_grpc_health *self = state;
    const char *name;
    size_t len;
    bool stopped;
    int last = -1;
    int rc = health_asked(call, &name, &len);

    while (rc == 0) {
        skua_sync_future future;
        skua_future *changed = skua_notified_init(&future, &self->changed);
        int serving = health_look(self, name, len, &stopped);

        if (serving != last || stopped) {
            skua_future_drop(changed);
            rc = serving != last ? health_send(call, serving) : 0;
            last = serving;
            if (rc == 0 && stopped)
                rc = skua_grpc_fail(call, SKUA_GRPC_UNAVAILABLE, "the server is stopping");
        } else {
            rc = (int)skua_await(changed);
        }
    }
    return rc;
}

int skua_grpc_add_health(skua_grpc_server *server, skua_grpc_health *health)
{
    static const skua_grpc_method methods[] = {{"Check", SKUA_GRPC_UNARY, health_check},
                                               {"Watch", SKUA_GRPC_SERVER_STREAM, health_watch}};
    static const skua_grpc_service service = {"grpc.health.v1.Health", methods, 2, NULL, 0};

    return skua_grpc_add(server, &service, health);
}

#undef HEALTH_NOBODY
