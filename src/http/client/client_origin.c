/* client_origin.c - where requests go to: found by what tells origins from each other, and there as
 * long as there are requests for them, or connections.
 */
#include "http/client/client_impl.h"

static struct skua__client_origin **origin_bucket(skua_http_client *client, const char *address,
                                                  const char *unix_path)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *address != '\0'; address++)
        hash = (hash ^ (unsigned char)*address) * 16777619u;
    for (; *unix_path != '\0'; unix_path++)
        hash = (hash ^ (unsigned char)*unix_path) * 16777619u;
    return &client->buckets[hash % SKUA__CLIENT_BUCKETS];
}

void skua__client_origin_free(skua_http_client *client, struct skua__client_origin *origin)
{
    struct skua__client_origin **at;

    if (origin->users != 0 || origin->count != 0)
        return;
    at = origin_bucket(client, origin->address, origin->unix_path);
    while (*at != origin)
        at = &(*at)->next;
    *at = origin->next;
    skua__http_free(origin);
}

static struct skua__client_origin *origin_new(const struct skua__client_place *place)
{
    size_t scheme = strlen(place->scheme) + 1;
    size_t address = strlen(place->address) + 1;
    size_t path = strlen(place->unix_path) + 1;
    struct skua__client_origin *origin =
        skua__http_malloc(sizeof *origin + scheme + address + path);
    char *text = (char *)(origin + 1);

    if (origin == NULL)
        return NULL;
    origin->scheme = memcpy(text, place->scheme, scheme);
    origin->address = memcpy(text + scheme, place->address, address);
    origin->unix_path = memcpy(text + scheme + address, place->unix_path, path);
    origin->proxy = place->proxy;
    origin->http2 = place->http2;
    origin->eager = place->http2 == SKUA_HTTP2_OFF;
    return origin;
}

static bool origin_is(const struct skua__client_origin *origin,
                      const struct skua__client_place *place)
{
    return origin->http2 == place->http2 && strcmp(origin->address, place->address) == 0 &&
           strcmp(origin->scheme, place->scheme) == 0 &&
           strcmp(origin->unix_path, place->unix_path) == 0;
}

int skua__client_origin_get(skua_http_client *client, const struct skua__client_place *place,
                            struct skua__client_origin **ret)
{
    struct skua__client_origin **bucket = origin_bucket(client, place->address, place->unix_path);
    struct skua__client_origin *origin;

    pthread_mutex_lock(&client->mutex);
    for (origin = *bucket; origin != NULL; origin = origin->next)
        if (origin_is(origin, place))
            break;
    if (origin == NULL)
        origin = origin_new(place);
    if (origin != NULL && origin->users == 0 && origin->count == 0) {
        origin->next = *bucket;
        *bucket = origin;
    }
    if (origin != NULL)
        origin->users++;
    pthread_mutex_unlock(&client->mutex);
    *ret = origin;
    return origin != NULL ? 0 : -ENOMEM;
}

void skua__client_origin_put(skua_http_client *client, struct skua__client_origin *origin)
{
    pthread_mutex_lock(&client->mutex);
    origin->users--;
    skua__client_origin_free(client, origin);
    pthread_mutex_unlock(&client->mutex);
}
