/* client_pool.c - connections kept by origin, and the line for them.
 *
 * Room       a connection counts from before it is made until it is closed, towards its origin's
 *            limit and the client's. Who takes gets one that is idle, the one used last; else room
 *            to make one. When only the client's limit stands in the way, the connection that has
 *            been idle longest makes room, whichever origin's it is.
 * Line       one for each origin, with tickets over all of them. Whenever the mutex is let go of,
 *            nobody in line could be served: so who comes may take what there is.
 * Waking     a waiter is in its own frame, and gone once it has returned. So it is woken under the
 *            mutex: who gives up takes the mutex, and then either was not granted anything, or is
 *            not touched any more and has something to pass on.
 * Closing    waits for nothing, but is left for after the mutex: a list of what is doomed.
 */
#include "http/client/client_impl.h"

/* ---- idle connections: guard: mutex ---------------------------------------------------------- */

static void cpool_idle_push(skua_http_client *client, struct skua__client_conn *conn)
{
    conn->below = conn->origin->idle;
    conn->origin->idle = conn;
    conn->younger = NULL;
    conn->older = client->youngest;
    if (client->youngest != NULL)
        client->youngest->younger = conn;
    else
        client->oldest = conn;
    client->youngest = conn;
    client->stats.connections_idle++;
}

static void cpool_idle_unlink(skua_http_client *client, struct skua__client_conn *conn)
{
    struct skua__client_conn **at = &conn->origin->idle;

    while (*at != conn)
        at = &(*at)->below;
    *at = conn->below;
    if (conn->older != NULL)
        conn->older->younger = conn->younger;
    else
        client->oldest = conn->younger;
    if (conn->younger != NULL)
        conn->younger->older = conn->older;
    else
        client->youngest = conn->older;
    client->stats.connections_idle--;
}

/* ---- origins --------------------------------------------------------------------------------- */

static struct skua__client_origin **cpool_bucket(skua_http_client *client, const char *address,
                                                 const char *unix_path)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *address != '\0'; address++)
        hash = (hash ^ (unsigned char)*address) * 16777619u;
    for (; *unix_path != '\0'; unix_path++)
        hash = (hash ^ (unsigned char)*unix_path) * 16777619u;
    return &client->buckets[hash % SKUA__CLIENT_BUCKETS];
}

/* Guard: mutex. */
static void cpool_origin_free(skua_http_client *client, struct skua__client_origin *origin)
{
    struct skua__client_origin **at;

    if (origin->users != 0 || origin->count != 0)
        return;
    at = cpool_bucket(client, origin->address, origin->unix_path);
    while (*at != origin)
        at = &(*at)->next;
    *at = origin->next;
    skua__http_free(origin);
}

static struct skua__client_origin *cpool_origin_new(const struct skua__client_url *url,
                                                    const char *unix_path)
{
    size_t scheme = strlen(url->scheme) + 1;
    size_t address = strlen(url->address) + 1;
    size_t path = strlen(unix_path) + 1;
    struct skua__client_origin *origin =
        skua__http_malloc(sizeof *origin + scheme + address + path);
    char *text = (char *)(origin + 1);

    if (origin == NULL)
        return NULL;
    origin->scheme = memcpy(text, url->scheme, scheme);
    origin->address = memcpy(text + scheme, url->address, address);
    origin->unix_path = memcpy(text + scheme + address, unix_path, path);
    return origin;
}

int skua__client_origin_get(skua_http_client *client, const struct skua__client_url *url,
                            const char *unix_path, struct skua__client_origin **ret)
{
    struct skua__client_origin **bucket = cpool_bucket(client, url->address, unix_path);
    struct skua__client_origin *origin;

    pthread_mutex_lock(&client->mutex);
    for (origin = *bucket; origin != NULL; origin = origin->next)
        if (strcmp(origin->address, url->address) == 0 &&
            strcmp(origin->scheme, url->scheme) == 0 && strcmp(origin->unix_path, unix_path) == 0)
            break;
    if (origin == NULL)
        origin = cpool_origin_new(url, unix_path);
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
    cpool_origin_free(client, origin);
    pthread_mutex_unlock(&client->mutex);
}

/* ---- the line: guard: mutex ------------------------------------------------------------------ */

static void cpool_line_enter(skua_http_client *client, struct skua__client_origin *origin,
                             struct skua__client_waiter *waiter)
{
    if (origin->first == NULL) {
        origin->at = &client->hungry;
        origin->hungry = client->hungry;
        if (origin->hungry != NULL)
            origin->hungry->at = &origin->hungry;
        client->hungry = origin;
    }
    waiter->ticket = client->tickets++;
    waiter->next = NULL;
    waiter->prev = origin->last;
    if (origin->last != NULL)
        origin->last->next = waiter;
    else
        origin->first = waiter;
    origin->last = waiter;
    client->stats.waiting_now++;
}

static void cpool_line_leave(skua_http_client *client, struct skua__client_origin *origin,
                             struct skua__client_waiter *waiter)
{
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        origin->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        origin->last = waiter->prev;
    client->stats.waiting_now--;
    if (origin->first == NULL) {
        *origin->at = origin->hungry;
        if (origin->hungry != NULL)
            origin->hungry->at = origin->at;
    }
}

/* ---- granting: guard: mutex ------------------------------------------------------------------ */

/* Takes an idle connection off, to be closed later; its room is free. */
static void cpool_doom(skua_http_client *client, struct skua__client_conn *conn,
                       struct skua__client_conn **doomed)
{
    cpool_idle_unlink(client, conn);
    conn->origin->count--;
    client->stats.connections_now--;
    cpool_origin_free(client, conn->origin);
    conn->below = *doomed;
    *doomed = conn;
}

static bool cpool_can_grant(const skua_http_client *client,
                            const struct skua__client_origin *origin)
{
    if (origin->idle != NULL)
        return true;
    return origin->count < client->options.connections_per_origin &&
           (client->stats.connections_now < client->options.connections_max ||
            client->oldest != NULL);
}

/* What can be granted: an idle connection, or NULL: room. */
static struct skua__client_conn *cpool_grant(skua_http_client *client,
                                             struct skua__client_origin *origin,
                                             struct skua__client_conn **doomed)
{
    struct skua__client_conn *conn = origin->idle;

    if (conn != NULL) {
        cpool_idle_unlink(client, conn);
        return conn;
    }
    if (client->stats.connections_now >= client->options.connections_max)
        cpool_doom(client, client->oldest, doomed);
    origin->count++;
    client->stats.connections_now++;
    return NULL;
}

/* Serves who can be served, the oldest ticket first. */
static void cpool_serve(skua_http_client *client, struct skua__client_conn **doomed)
{
    for (;;) {
        struct skua__client_origin *best = NULL;
        struct skua__client_waiter *waiter;

        for (struct skua__client_origin *at = client->hungry; at != NULL; at = at->hungry)
            if (cpool_can_grant(client, at) &&
                (best == NULL || at->first->ticket < best->first->ticket))
                best = at;
        if (best == NULL)
            return;
        waiter = best->first;
        cpool_line_leave(client, best, waiter);
        waiter->conn = cpool_grant(client, best, doomed);
        waiter->granted = true;
        skua_event_set(&waiter->event); /* under the mutex: see above */
    }
}

/* Those that have been idle for too long. */
static void cpool_reap(skua_http_client *client, int64_t now, struct skua__client_conn **doomed)
{
    while (client->oldest != NULL &&
           now - client->oldest->idle_since >= client->options.idle_timeout)
        cpool_doom(client, client->oldest, doomed);
}

/* Lets go of the mutex, and closes what is doomed. */
static void cpool_leave(skua_http_client *client, struct skua__client_conn *doomed)
{
    pthread_mutex_unlock(&client->mutex);
    while (doomed != NULL) {
        struct skua__client_conn *conn = doomed;

        doomed = conn->below;
        skua__h1c_free(&conn->h1c);
        skua__http_free(conn);
    }
}

/* ---- for requests ---------------------------------------------------------------------------- */

static void cpool_room_back(skua_http_client *client, struct skua__client_origin *origin)
{
    struct skua__client_conn *doomed = NULL;

    pthread_mutex_lock(&client->mutex);
    origin->count--;
    client->stats.connections_now--;
    cpool_serve(client, &doomed);
    cpool_origin_free(client, origin);
    cpool_leave(client, doomed);
}

void skua__client_pool_put(skua_http_client *client, struct skua__client_conn *conn)
{
    struct skua__client_conn *doomed = NULL;

    pthread_mutex_lock(&client->mutex);
    conn->idle_since = skua_now();
    cpool_idle_push(client, conn);
    cpool_reap(client, conn->idle_since, &doomed);
    cpool_serve(client, &doomed);
    cpool_leave(client, doomed);
}

void skua__client_pool_end(skua_http_client *client, struct skua__client_conn *conn, bool room)
{
    struct skua__client_origin *origin = conn->origin;

    skua__h1c_free(&conn->h1c);
    skua__http_free(conn);
    if (!room)
        cpool_room_back(client, origin);
}

/* In line, until something was granted. */
static int cpool_wait(skua_http_client *client, struct skua__client_origin *origin,
                      struct skua__client_waiter *waiter, int64_t deadline)
{
    int rc = skua_event_wait_until(&waiter->event, deadline);
    bool granted;

    if (rc == 0)
        return 0;
    pthread_mutex_lock(&client->mutex);
    granted = waiter->granted;
    if (!granted)
        cpool_line_leave(client, origin, waiter);
    pthread_mutex_unlock(&client->mutex);
    if (granted && waiter->conn != NULL)
        skua__client_pool_put(client, waiter->conn);
    else if (granted)
        cpool_room_back(client, origin);
    return rc;
}

int skua__client_pool_take(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret)
{
    struct skua__client_waiter waiter = {.event = SKUA_EVENT_INIT};
    struct skua__client_conn *doomed = NULL;
    int rc = 0;

    pthread_mutex_lock(&client->mutex);
    cpool_reap(client, skua_now(), &doomed);
    cpool_serve(client, &doomed);
    waiter.granted = cpool_can_grant(client, origin);
    if (waiter.granted)
        waiter.conn = cpool_grant(client, origin, &doomed);
    else
        cpool_line_enter(client, origin, &waiter);
    rc = waiter.granted ? 0 : 1;
    cpool_leave(client, doomed);
    if (rc != 0)
        rc = cpool_wait(client, origin, &waiter, deadline);
    if (rc != 0)
        return rc;
    if (waiter.conn != NULL)
        waiter.conn->used = true;
    if (waiter.conn != NULL && !skua__h1c_alive(&waiter.conn->h1c)) {
        skua__client_pool_end(client, waiter.conn, true);
        waiter.conn = NULL;
    }
    *ret = waiter.conn;
    return 0;
}

static int cpool_connect(skua_http_client *client, struct skua__client_origin *origin,
                         struct skua__client_conn *conn, int64_t deadline)
{
    struct skua__h1c_link link;
    int rc =
        skua__client_connect(&link, origin->scheme, origin->address, origin->unix_path, deadline);

    if (rc != 0)
        return rc;
    rc = skua__h1c_init(&conn->h1c, &link, &client->options);
    if (rc != 0)
        link.close(link.object);
    return rc;
}

int skua__client_pool_make(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret)
{
    struct skua__client_conn *conn = skua__http_malloc(sizeof *conn);
    int rc = conn != NULL ? 0 : -ENOMEM;

    if (rc == 0)
        rc = cpool_connect(client, origin, conn,
                           skua__http_deadline(client->options.connect_timeout, deadline));
    if (rc != 0) {
        skua__http_free(conn);
        cpool_room_back(client, origin);
        return rc;
    }
    conn->origin = origin;
    pthread_mutex_lock(&client->mutex);
    client->stats.connections++;
    pthread_mutex_unlock(&client->mutex);
    *ret = conn;
    return 0;
}

size_t skua_http_client_close_idle(skua_http_client *client)
{
    struct skua__client_conn *doomed = NULL;
    size_t count = 0;

    pthread_mutex_lock(&client->mutex);
    for (; client->oldest != NULL; count++)
        cpool_doom(client, client->oldest, &doomed);
    cpool_serve(client, &doomed);
    cpool_leave(client, doomed);
    return count;
}
