/* client_pool.c - connections kept by origin, and the line for them.
 *
 * Kinds      one of HTTP/1.1 is somebody's, or idle; one of HTTP/2 is shared by as many as its peer
 *            allows, and idle when nobody has it. What an origin speaks is known when a connection
 *            was made: so its first one is waited for before a second one is begun, unless it is
 *            known to be of no use to others (`eager`).
 * Room       a connection counts from before it is made until it is closed, towards its origin's
 *            limit and the client's. Who takes gets a place on one that is shared; else one that is
 *            idle, the one used last; else room to make one. When only the client's limit stands in
 *            the way, the one that has been idle longest makes room, whichever origin's it is.
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

/* ---- connections that are shared: guard: mutex ----------------------------------------------- */

static void cpool_share(skua_http_client *client, struct skua__client_conn *conn)
{
    conn->streams = 1;
    client->stats.streams_now++;
    conn->below = conn->origin->shared;
    conn->origin->shared = conn;
}

static void cpool_unshare(struct skua__client_conn *conn)
{
    struct skua__client_conn **at = &conn->origin->shared;

    while (*at != conn)
        at = &(*at)->below;
    *at = conn->below;
}

/* One with a place; NULL: there is none. */
static struct skua__client_conn *cpool_shared(const struct skua__client_origin *origin)
{
    struct skua__client_conn *conn = origin->shared;

    while (conn != NULL && conn->streams >= skua__h2c_places(conn->h2c))
        conn = conn->below;
    return conn;
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
    skua__client_origin_free(client, conn->origin);
    conn->below = *doomed;
    *doomed = conn;
}

static bool cpool_can_grant(const skua_http_client *client,
                            const struct skua__client_origin *origin)
{
    if (origin->idle != NULL || cpool_shared(origin) != NULL)
        return true;
    if (!origin->eager && origin->making != 0)
        return false; /* it may be for all */
    return origin->count < client->options.connections_per_origin &&
           (client->stats.connections_now < client->options.connections_max ||
            client->oldest != NULL);
}

/* What can be granted: a connection, or a place on one, or NULL: room. */
static struct skua__client_conn *cpool_grant(skua_http_client *client,
                                             struct skua__client_origin *origin,
                                             struct skua__client_conn **doomed)
{
    struct skua__client_conn *conn = cpool_shared(origin);

    if (conn != NULL) {
        conn->streams++;
        client->stats.streams_now++;
        return conn;
    }
    conn = origin->idle;
    if (conn != NULL) {
        cpool_idle_unlink(client, conn);
        if (conn->h2c != NULL)
            cpool_share(client, conn);
        return conn;
    }
    if (client->stats.connections_now >= client->options.connections_max)
        cpool_doom(client, client->oldest, doomed);
    origin->making++;
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

static void cpool_close(struct skua__client_conn *conn)
{
    if (conn->h2c != NULL)
        skua__h2c_free(conn->h2c);
    else
        skua__h1c_free(&conn->h1c);
    skua__http_free(conn);
}

/* Lets go of the mutex, and closes what is doomed. */
static void cpool_leave(skua_http_client *client, struct skua__client_conn *doomed)
{
    pthread_mutex_unlock(&client->mutex);
    while (doomed != NULL) {
        struct skua__client_conn *conn = doomed;

        doomed = conn->below;
        cpool_close(conn);
    }
}

/* ---- for requests ---------------------------------------------------------------------------- */

/* Of a connection that there is not any more; or, not made, that there never was. */
static void cpool_room_back(skua_http_client *client, struct skua__client_origin *origin, bool made)
{
    struct skua__client_conn *doomed = NULL;

    pthread_mutex_lock(&client->mutex);
    if (!made)
        origin->making--;
    origin->count--;
    client->stats.connections_now--;
    cpool_serve(client, &doomed);
    skua__client_origin_free(client, origin);
    cpool_leave(client, doomed);
}

/* Under the mutex: a place is given back. Whether the connection is idle now, and good. */
static bool cpool_place_back(skua_http_client *client, struct skua__client_conn *conn,
                             struct skua__client_conn **doomed)
{
    client->stats.streams_now--;
    if (--conn->streams != 0)
        return false;
    cpool_unshare(conn);
    if (skua__h2c_usable(conn->h2c))
        return true;
    conn->origin->count--;
    client->stats.connections_now--;
    skua__client_origin_free(client, conn->origin);
    conn->below = *doomed;
    *doomed = conn;
    return false;
}

void skua__client_pool_put(skua_http_client *client, struct skua__client_conn *conn)
{
    struct skua__client_conn *doomed = NULL;
    int64_t now = skua_now();

    pthread_mutex_lock(&client->mutex);
    if (conn->h2c == NULL || cpool_place_back(client, conn, &doomed)) {
        conn->idle_since = now;
        cpool_idle_push(client, conn);
    }
    cpool_reap(client, now, &doomed);
    cpool_serve(client, &doomed);
    cpool_leave(client, doomed);
}

void skua__client_pool_end(skua_http_client *client, struct skua__client_conn *conn, bool room)
{
    struct skua__client_origin *origin = conn->origin;

    cpool_close(conn);
    if (!room) {
        cpool_room_back(client, origin, true);
        return;
    }
    pthread_mutex_lock(&client->mutex);
    origin->making++;
    pthread_mutex_unlock(&client->mutex);
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
        cpool_room_back(client, origin, false);
    return rc;
}

static int cpool_take(skua_http_client *client, struct skua__client_origin *origin,
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
    if (rc == 0)
        *ret = waiter.conn;
    return rc;
}

int skua__client_pool_take(skua_http_client *client, struct skua__client_origin *origin,
                           int64_t deadline, struct skua__client_conn **ret)
{
    for (;;) {
        int rc = cpool_take(client, origin, deadline, ret);

        if (rc != 0 || *ret == NULL)
            return rc;
        if ((*ret)->h2c == NULL) {
            if (!skua__h1c_alive(&(*ret)->h1c)) {
                skua__client_pool_end(client, *ret, true);
                *ret = NULL;
            }
            return 0;
        }
        if (skua__h2c_alive((*ret)->h2c))
            return 0;
        skua__client_pool_put(client, *ret); /* which is not granted to anybody any more */
    }
}

static int cpool_connect(skua_http_client *client, struct skua__client_origin *origin,
                         struct skua__client_conn *conn, struct skua__client_asker asker,
                         bool *resumed)
{
    struct skua__client_link link;
    int rc;

    asker.deadline = skua__http_deadline(client->options.connect_timeout, asker.deadline);
    rc = skua__client_connect(client, &link, origin, &asker);
    if (rc != 0)
        return rc;
    *resumed = link.resumed;
    rc = link.http2 ? skua__h2c_new(&conn->h2c, &link.link, &client->options)
                    : skua__h1c_init(&conn->h1c, &link.link, &client->options);
    if (rc != 0)
        link.link.close(link.link.object);
    return rc;
}

/* It is there: others may share it, or make more like it. */
static void cpool_made(skua_http_client *client, struct skua__client_conn *conn, bool resumed)
{
    struct skua__client_conn *doomed = NULL;

    pthread_mutex_lock(&client->mutex);
    client->stats.connections++;
    client->stats.resumed += resumed;
    client->stats.http2 += conn->h2c != NULL;
    conn->origin->making--;
    conn->origin->eager = conn->h2c == NULL;
    if (conn->h2c != NULL)
        cpool_share(client, conn);
    cpool_serve(client, &doomed);
    cpool_leave(client, doomed);
}

int skua__client_pool_make(skua_http_client *client, struct skua__client_origin *origin,
                           const struct skua__client_asker *asker, struct skua__client_conn **ret)
{
    struct skua__client_conn *conn = skua__http_malloc(sizeof *conn);
    bool resumed = false;
    int rc = conn != NULL ? 0 : -ENOMEM;

    if (rc == 0)
        rc = cpool_connect(client, origin, conn, *asker, &resumed);
    if (rc != 0) {
        skua__http_free(conn);
        pthread_mutex_lock(&client->mutex);
        origin->eager = true; /* those in line do not try one after the other */
        pthread_mutex_unlock(&client->mutex);
        cpool_room_back(client, origin, false);
        return rc;
    }
    conn->origin = origin;
    cpool_made(client, conn, resumed);
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
