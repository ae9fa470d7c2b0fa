/* skua_pg.h - PostgreSQL through libpq: any number of fibers share a few connections, pipelined.
 *
 *     static const skua_pg_statement statements[] = {
 *         {"user", "SELECT name FROM users WHERE id = $1"},
 *     };
 *     skua_pg *pg;
 *     PGresult *result;
 *     const char *params[] = {"42"};
 *
 *     rc = skua_pg_open(&pg, SKUA_PG_OPTIONS(.url = "postgresql://localhost/shop",
 *                                            .statements = statements, .statements_count = 1));
 *     ...
 *     rc = skua_pg_query(pg, "user", params, 1, &result);       // any fiber, any plain thread
 *     if (rc == 0 && PQntuples(result) == 1)
 *         puts(PQgetvalue(result, 0, 0));
 *     PQclear(result);
 *     ...
 *     skua_pg_close(pg);
 *
 * Flow       a query goes into one line. Each connection is a fiber, the only one that touches its
 *            PGconn: it takes queries out of the line and sends them, without waiting for the
 *            answers to those before (libpq's pipeline mode), and reads answers, which come in the
 *            order of the queries. It waits for the socket by skua_fd_readable and
 *            skua_fd_writable; libpq never blocks, but in getaddrinfo, which the blocking pool does.
 * Isolation  each query has a sync of its own: it is a transaction by itself, and one that fails
 *            leaves its neighbours alone. What belongs together is one statement (WITH … INSERT …).
 * Deadlines  the caller's. A query that is let go of before it was sent is never sent; one that was
 *            sent runs to its end, and its result is dropped: a cancel request would hit whichever
 *            query of the pipeline is running. Have the server bound it: .setup with
 *            "SET statement_timeout = '5s'".
 * Loss       a connection that breaks fails the queries that were sent on it with -ECONNRESET:
 *            whether they were done is not known. It is made again, at once and then with growing
 *            pauses. While no connection is there, and the last attempt has failed, queries fail
 *            with -ENOTCONN at once.
 * Stopping   connections serve until skua_pg_close, also when their tasks are cancelled: what is
 *            still being answered may need them.
 * For libpq 14 and later. For your own program: copy it, or include it.
 */
#ifndef SKUA_PG_H
#define SKUA_PG_H

#include "skua_pg_connection.h"

/* ---- queries --------------------------------------------------------------------------------- */

static inline skua_pg_call *skua_pg_call_new(const char *statement, const char *const *params,
                                             int count)
{
    size_t size = sizeof(skua_pg_call);
    skua_pg_call *call;
    char *at;

    for (int i = 0; i < count; i++)
        size += params[i] != NULL ? strlen(params[i]) + 1 : 0;
    call = (skua_pg_call *)calloc(1, size);
    if (call == NULL)
        return NULL;
    at = (char *)(call + 1);
    for (int i = 0; i < count; i++) {
        if (params[i] == NULL)
            continue;
        size = strlen(params[i]) + 1;
        call->params[i] = (const char *)memcpy(at, params[i], size);
        at += size;
    }
    call->statement = statement;
    call->count = count;
    call->refs = 2;
    return call;
}

/* Runs a prepared statement and waits for its result.
 *
 * statement  one of the options'; lives as long as the pool
 * params     text; NULL: SQL's NULL; at most SKUA_PG_PARAMS_MAX. Copied
 * ret        receives the result, for PQclear; also that of a statement that failed, with the
 *            server's words (PQresultErrorMessage); NULL when there is none
 * Returns    0; what the server refused: -EEXIST, -EINVAL, -ETIMEDOUT, -EAGAIN (to be tried again),
 *            -EIO; -ECONNRESET: the connection broke, it is not known whether it was done;
 *            -ENOTCONN: there is no connection; -EAGAIN: too many wait; -EINVAL: too many
 *            parameters; -ENOMEM; SKUA_ECLOSED; -ETIMEDOUT, -ECANCELED: not waited for any longer
 * Threads    fibers, plain threads
 */
static inline int skua_pg_query(skua_pg *self, const char *statement, const char *const *params,
                                int count, PGresult **ret)
{
    skua_pg_call *call;
    int rc = 0;

    *ret = NULL;
    if (count < 0 || count > SKUA_PG_PARAMS_MAX)
        return -EINVAL;
    call = skua_pg_call_new(statement, params, count);
    if (call == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&self->lock);
    if (self->closing || self->alive == 0)
        rc = SKUA_ECLOSED;
    else if (self->up == 0 && self->failing)
        rc = -ENOTCONN;
    else if (self->line.count >= self->options.waiting_max)
        rc = -EAGAIN;
    else
        skua_pg_push(&self->line, call);
    if (rc == 0)
        skua_notify_one(&self->work);
    pthread_mutex_unlock(&self->lock); /* from here on it may be closed, and gone */
    if (rc != 0) {
        free(call);
        return rc;
    }
    rc = skua_event_wait(&call->done);
    if (rc == 0) {
        rc = call->rc;
        *ret = call->result;
        call->result = NULL;
    } else {
        __atomic_store_n(&call->left, 1, __ATOMIC_RELAXED); /* a hint: it need not be sent */
    }
    skua_pg_unref(call);
    return rc;
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* Waits until there is a connection; or until the first attempt has failed: -ENOTCONN. */
static inline int skua_pg_ready(skua_pg *self)
{
    int rc = skua_event_wait(&self->tried);

    return rc != 0 ? rc : skua_event_is_set(&self->usable) ? 0 : -ENOTCONN;
}

/* How many connections serve now. Any thread. */
static inline unsigned skua_pg_up(skua_pg *self)
{
    unsigned up;

    pthread_mutex_lock(&self->lock);
    up = self->up;
    pthread_mutex_unlock(&self->lock);
    return up;
}

/* Stops taking queries, lets those under way end (those in the line get SKUA_ECLOSED), closes the
 * connections, and frees it: nobody begins to use it any more. Fibers. NULL does nothing. */
static inline void skua_pg_close(skua_pg *self)
{
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->closing = 1;
    pthread_mutex_unlock(&self->lock);
    skua_notify_all(&self->work);
    skua_shield_begin();
    for (unsigned i = 0; i < self->options.connections; i++)
        if (self->connections[i].task != NULL) {
            skua_task_cancel(self->connections[i].task); /* heard by those that are being made */
            skua_task_join(self->connections[i].task, NULL);
        }
    skua_shield_end();
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static inline skua_pg_options skua_pg_defaults(const skua_pg_options *given)
{
    skua_pg_options options = *given;

    options.connections = options.connections ? options.connections : 4;
    options.pipeline_max = options.pipeline_max ? options.pipeline_max : 64;
    options.waiting_max = options.waiting_max ? options.waiting_max : 4096;
    options.connect_timeout = options.connect_timeout ? options.connect_timeout : 5 * SKUA_SECOND;
    options.answer_timeout = options.answer_timeout ? options.answer_timeout : 30 * SKUA_SECOND;
    options.retry_min = options.retry_min ? options.retry_min : 50 * SKUA_MILLISECOND;
    options.retry_max = options.retry_max ? options.retry_max : 2 * SKUA_SECOND;
    return options;
}

/* Makes a pool in the calling task's scope, and returns at once: connections are being made.
 *
 * ret        receives it, for skua_pg_close; untouched on failure
 * Returns    0; -EINVAL; -ENOMEM; what skua_spawn says
 * Threads    fibers
 */
static inline int skua_pg_open(skua_pg **ret, const skua_pg_options *options)
{
    static const skua_site site = {"postgres", __FILE__, __func__, __LINE__};
    skua_spawn_options spawn;
    skua_pg *self;
    int rc = 0;

    if (options == NULL || options->size != sizeof *options || options->url == NULL ||
        options->connections > SKUA_PG_CONNECTIONS_MAX)
        return -EINVAL;
    self = (skua_pg *)calloc(1, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->options = skua_pg_defaults(options);
    pthread_mutex_init(&self->lock, NULL);
    skua_spawn_options_init(&spawn);
    spawn.stack = SKUA_STACK_LARGE; /* libpq may speak TLS */
    spawn.drop = skua_pg_gone;      /* instead of skua_pg_keep, when it was cancelled before */
    for (unsigned i = 0; rc == 0 && i < self->options.connections; i++) {
        self->connections[i].pool = self;
        self->connections[i].number = i + 1;
        spawn.task = &self->connections[i].task;
        pthread_mutex_lock(&self->lock);
        self->alive++;
        pthread_mutex_unlock(&self->lock);
        rc = skua_spawn_at(&site, NULL, skua_pg_keep, &self->connections[i], &spawn);
        if (rc != 0)
            skua_pg_gone(&self->connections[i]);
    }
    if (rc == 0)
        *ret = self;
    else
        skua_pg_close(self);
    return rc;
}

#endif
