/* skua_pg_connection.h - one connection of skua_pg.h: its task, which makes it, serves, and makes it
 * anew.
 *
 *     made     PQconnectStart on the blocking pool, PQconnectPoll as the socket is ready, .setup, the
 *              statements; within .connect_timeout, and it can be cancelled
 *     serves   queries out, answers in, until it is closed or breaks; under a shield
 *     lost     what was under way fails; a pause; made again
 *
 * Only this task touches the PGconn. What others touch, the pool's line and counts, has a lock.
 * For skua_pg.h alone.
 */
#ifndef SKUA_PG_CONNECTION_H
#define SKUA_PG_CONNECTION_H

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skua/skua.h>

#define SKUA_PG_CONNECTIONS_MAX 64
#define SKUA_PG_PARAMS_MAX 16

typedef struct skua_pg_statement {
    const char *name;
    const char *sql; /* prepared once on each connection */
} skua_pg_statement;

/* Zero means the default. Strings and statements are the caller's, as long as the pool. */
typedef struct skua_pg_options {
    size_t size;       /* SKUA_PG_OPTIONS sets it */
    const char *url;   /* as PQconnectdb takes it; no default */
    const char *setup; /* SQL that a new connection runs first, as one transaction: SET, CREATE
                          TABLE IF NOT EXISTS; NULL: nothing */
    const skua_pg_statement *statements;
    size_t statements_count;
    unsigned connections;    /* default 4 */
    unsigned pipeline_max;   /* queries under way on one; default 64 */
    size_t waiting_max;      /* queries in line, more get -EAGAIN; default 4,096 */
    int64_t connect_timeout; /* ns for a connection with its setup; default 5 s */
    int64_t answer_timeout;  /* ns without an answer, then a connection is broken; default 30 s */
    int64_t retry_min;       /* ns: the first pause between two attempts; default 50 ms */
    int64_t retry_max;       /* ns: the longest; default 2 s */
    void (*log)(const char *text, void *arg); /* what happens to connections; NULL: nobody asks */
    void *arg;
} skua_pg_options;

#define SKUA_PG_OPTIONS(...)                                                                       \
    (&(const skua_pg_options){.size = sizeof(skua_pg_options), __VA_ARGS__})

/* One query: of whoever asks, and of the line or the connection; the last one frees it. */
typedef struct skua_pg_call {
    struct skua_pg_call *next;
    const char *statement;
    const char *params[SKUA_PG_PARAMS_MAX]; /* copies, behind the struct; NULL: SQL's */
    int count;
    int left;         /* atomic: nobody waits for it any more */
    int refs;         /* atomic */
    int64_t sent;     /* when */
    int rc;           /* these two: before `done` the connection's, then the caller's */
    PGresult *result; /* NULL: no answer */
    skua_event done;
} skua_pg_call;

typedef struct skua_pg_line {
    skua_pg_call *first, *last;
    size_t count;
} skua_pg_line;

typedef struct skua_pg_connection {
    struct skua_pg *pool;
    unsigned number;
    PGconn *pg;
    skua_fd *socket;   /* a second number of libpq's */
    skua_pg_line sent; /* under way, in this order */
    int unflushed;     /* libpq has bytes that the socket did not take */
    int64_t since;     /* when it came up; 0: it has not */
    int64_t heard;     /* when the last answer came */
    skua_task *task;
} skua_pg_connection;

typedef struct skua_pg {
    skua_pg_options options;
    pthread_mutex_t lock; /* of the next five; held for a few instructions, never in a wait */
    skua_pg_line line;
    unsigned up;    /* connections that serve */
    unsigned alive; /* their tasks */
    int failing;    /* the last attempt at a connection has failed */
    int closing;
    skua_notify work;  /* something was put in the line, or it is closing */
    skua_event usable; /* .up is not 0 */
    skua_event tried;  /* the first attempt has ended, well or not */
    skua_pg_connection connections[SKUA_PG_CONNECTIONS_MAX];
} skua_pg;

/* ---- a line of queries --------------------------------------------------------------------------- */

static inline void skua_pg_push(skua_pg_line *line, skua_pg_call *call)
{
    call->next = NULL;
    if (line->first == NULL)
        line->first = call;
    else
        line->last->next = call;
    line->last = call;
    line->count++;
}

static inline skua_pg_call *skua_pg_pop(skua_pg_line *line)
{
    skua_pg_call *call = line->first;

    if (call != NULL) {
        line->first = call->next;
        line->count--;
    }
    return call;
}

/* Both sides come here last: acquire and release, so that who frees it sees what the other did. */
static inline void skua_pg_unref(skua_pg_call *call)
{
    if (__atomic_sub_fetch(&call->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    PQclear(call->result);
    free(call);
}

static inline void skua_pg_finish(skua_pg_call *call, int rc)
{
    call->rc = rc;
    skua_event_set(&call->done);
    skua_pg_unref(call);
}

static inline void skua_pg_fail(skua_pg_line *line, int rc)
{
    skua_pg_call *call;

    while ((call = skua_pg_pop(line)) != NULL)
        skua_pg_finish(call, rc);
}

/* What the server's five letters of SQLSTATE are among the codes. */
static inline int skua_pg_code(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return 0;
    if (state == NULL)
        return -EIO;
    if (strcmp(state, "23505") == 0) /* unique_violation */
        return -EEXIST;
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0) /* data, constraints */
        return -EINVAL;
    if (strcmp(state, "57014") == 0) /* query_canceled: statement_timeout */
        return -ETIMEDOUT;
    if (strncmp(state, "40", 2) == 0 || strncmp(state, "53", 2) == 0 ||
        strncmp(state, "57", 2) == 0) /* rolled back, too busy, shutting down: try again */
        return -EAGAIN;
    return -EIO;
}

/* ---- a connection that serves ---------------------------------------------------------------- */

/* How many are taken at a time, so that other connections get some, too; and how late an answer may
 * be before no more are sent behind it: they would wait for a slow one that is not theirs. */
#define SKUA_PG_BATCH 8
#define SKUA_PG_LATE (20 * SKUA_MILLISECOND)

/* Since when it waits for the next answer; SKUA_FOREVER: it waits for none. */
static inline int64_t skua_pg_waits(const skua_pg_connection *self)
{
    if (self->sent.count == 0)
        return SKUA_FOREVER;
    return self->sent.first->sent > self->heard ? self->sent.first->sent : self->heard;
}

/* Whether it may have more under way. */
static inline int skua_pg_room(const skua_pg_connection *self)
{
    int64_t waits = skua_pg_waits(self);

    return self->sent.count < self->pool->options.pipeline_max &&
           (waits == SKUA_FOREVER || skua_now() - waits < SKUA_PG_LATE);
}

/* Takes queries out of the line and sends them. 0; 1: closing, and nothing is under way;
 * -ECONNRESET: the connection is broken. */
static inline int skua_pg_send(skua_pg_connection *self)
{
    skua_pg *pool = self->pool;
    skua_pg_line batch = {NULL, NULL, 0};
    skua_pg_call *call;
    int room = skua_pg_room(self), more, closing;

    pthread_mutex_lock(&pool->lock);
    closing = pool->closing;
    while (room && !closing && batch.count < SKUA_PG_BATCH && pool->line.first != NULL &&
           self->sent.count + batch.count < pool->options.pipeline_max)
        skua_pg_push(&batch, skua_pg_pop(&pool->line));
    more = pool->line.first != NULL;
    pthread_mutex_unlock(&pool->lock);
    if (more)
        skua_notify_one(&pool->work); /* for another connection, or for the next turn of this one */
    while ((call = skua_pg_pop(&batch)) != NULL) {
        if (__atomic_load_n(&call->left, __ATOMIC_RELAXED)) {
            skua_pg_unref(call);
            continue;
        }
        call->sent = skua_now();
        if (!PQsendQueryPrepared(self->pg, call->statement, call->count, call->params, NULL, NULL,
                                 0) ||
            !PQpipelineSync(self->pg)) {
            skua_pg_push(&self->sent, call); /* with those under way it fails */
            while ((call = skua_pg_pop(&batch)) != NULL)
                skua_pg_push(&self->sent, call);
            return -ECONNRESET;
        }
        skua_pg_push(&self->sent, call);
    }
    self->unflushed = PQflush(self->pg);
    return self->unflushed < 0 ? -ECONNRESET : closing && self->sent.count == 0 ? 1 : 0;
}

/* Hands out the answers that have come: of each query its result, an end (NULL), and its sync. */
static inline int skua_pg_receive(skua_pg_connection *self)
{
    PGresult *result;
    int ends = 0;

    if (!PQconsumeInput(self->pg))
        return -ECONNRESET;
    self->heard = skua_now();
    while (self->sent.count != 0 && ends < 2 && !PQisBusy(self->pg)) {
        result = PQgetResult(self->pg);
        ends = result == NULL ? ends + 1 : 0;
        if (result == NULL)
            continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            skua_pg_call *call = skua_pg_pop(&self->sent);

            PQclear(result);
            skua_pg_finish(call, call->result != NULL ? skua_pg_code(call->result) : -EIO);
        } else if (self->sent.first->result == NULL) {
            self->sent.first->result = result;
        } else {
            PQclear(result);
        }
    }
    return PQstatus(self->pg) == CONNECTION_OK ? 0 : -ECONNRESET;
}

/* Until it closes (0) or breaks. */
static inline int skua_pg_serve(skua_pg_connection *self)
{
    skua_fd_future reads, writes;
    skua_sleep_future late;
    skua_sync_future told;
    skua_future *futures[4];
    int64_t result = 0, waits;
    int which, rc;

    for (;;) {
        /* Made before the line is looked at: who comes in between is not missed. */
        futures[0] = skua_notified_init(&told, &self->pool->work);
        rc = skua_pg_send(self);
        if (rc != 0)
            return rc > 0 ? 0 : rc;
        if (!skua_pg_room(self))
            futures[0] = NULL; /* an answer comes first */
        futures[1] = skua_fd_readable_init(&reads, self->socket);
        futures[2] = self->unflushed ? skua_fd_writable_init(&writes, self->socket) : NULL;
        waits = skua_pg_waits(self);
        futures[3] = waits == SKUA_FOREVER
                         ? NULL
                         : skua_sleep_until_init(&late, waits + self->pool->options.answer_timeout);
        which = skua_select_from(futures, 4, NULL, &result);
        if (which < 0 || which == 3)
            return which < 0 ? which : -ETIMEDOUT;
        if (which != 0 && result != 0)
            return (int)result;
        if (which != 0 && (rc = skua_pg_receive(self)) != 0)
            return rc;
    }
}

/* ---- a connection that is made --------------------------------------------------------------- */

/* libpq closes its socket when it likes, and opens another one: a second number is watched. */
static inline int skua_pg_watch(skua_pg_connection *self)
{
    int copy = fcntl(PQsocket(self->pg), F_DUPFD_CLOEXEC, 3);
    int rc = copy < 0 ? -errno : skua_fd_adopt(&self->socket, copy, 0);

    if (rc != 0 && copy >= 0)
        close(copy);
    return rc;
}

static inline void skua_pg_unwatch(skua_pg_connection *self)
{
    skua_fd_close(self->socket);
    self->socket = NULL;
}

/* The server's notices ("relation exists already, skipping") are nobody's business. */
static inline void skua_pg_hush(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

/* On the blocking pool: it may look up a name. */
static inline int skua_pg_start(void *arg)
{
    skua_pg_connection *self = (skua_pg_connection *)arg;

    self->pg = PQconnectStart(self->pool->options.url);
    if (self->pg != NULL)
        PQsetNoticeReceiver(self->pg, skua_pg_hush, NULL);
    return self->pg == NULL ? -ENOMEM : PQstatus(self->pg) == CONNECTION_BAD ? -ENOTCONN : 0;
}

static inline int skua_pg_dial(skua_pg_connection *self)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    int rc = skua_blocking_with(skua_pg_start, self, NULL);

    while (rc == 0 && state != PGRES_POLLING_OK) {
        rc = skua_pg_watch(self);
        if (rc == 0)
            rc = state == PGRES_POLLING_READING ? skua_fd_readable(self->socket)
                                                : skua_fd_writable(self->socket);
        skua_pg_unwatch(self);
        if (rc == 0 && (state = PQconnectPoll(self->pg)) == PGRES_POLLING_FAILED)
            rc = -ENOTCONN;
    }
    return rc;
}

/* Waits for the results of what was sent outside of the pipeline. */
static inline int skua_pg_settle(skua_pg_connection *self)
{
    PGresult *result;
    int rc = 0, flushed;

    for (;;) {
        while ((flushed = PQflush(self->pg)) == 1 && rc == 0)
            rc = skua_fd_writable(self->socket);
        while (rc == 0 && PQisBusy(self->pg)) {
            rc = skua_fd_readable(self->socket);
            if (rc == 0 && !PQconsumeInput(self->pg))
                rc = -ECONNRESET;
        }
        if (rc != 0 || flushed < 0)
            return rc != 0 ? rc : -ECONNRESET;
        if ((result = PQgetResult(self->pg)) == NULL)
            return 0;
        rc = skua_pg_code(result);
        PQclear(result);
        if (rc != 0)
            return rc;
    }
}

static inline int skua_pg_connect(skua_pg_connection *self)
{
    const skua_pg_options *options = &self->pool->options;
    int rc = skua_pg_dial(self);

    if (rc == 0)
        rc = skua_pg_watch(self);
    if (rc == 0 && PQsetnonblocking(self->pg, 1) != 0)
        rc = -ENOTCONN;
    if (rc == 0 && options->setup != NULL)
        rc = PQsendQuery(self->pg, options->setup) ? skua_pg_settle(self) : -ENOTCONN;
    for (size_t i = 0; rc == 0 && i < options->statements_count; i++)
        rc = PQsendPrepare(self->pg, options->statements[i].name, options->statements[i].sql, 0,
                           NULL)
                 ? skua_pg_settle(self)
                 : -ENOTCONN;
    return rc == 0 && !PQenterPipelineMode(self->pg) ? -ENOTCONN : rc;
}

static inline void skua_pg_say(skua_pg_connection *self, const char *what, int rc)
{
    const char *why = rc == 0 ? "" : self->pg != NULL ? PQerrorMessage(self->pg) : "";
    char text[512];

    if (self->pool->options.log == NULL)
        return;
    if (rc != 0 && *why == '\0')
        why = skua_strerror(rc);
    snprintf(text, sizeof text, "PostgreSQL connection %u %s%s%.*s", self->number, what,
             rc == 0 ? "" : ": ", (int)strcspn(why, "\n"), why);
    self->pool->options.log(text, self->pool->options.arg);
}

/* Counts it in or out; queries that wait for nothing fail. */
static inline void skua_pg_count(skua_pg *self, int up, int failing)
{
    skua_pg_line lost = {NULL, NULL, 0};

    pthread_mutex_lock(&self->lock);
    self->up += (unsigned)up;
    self->failing = failing;
    if (self->up == 0 && failing) {
        lost = self->line;
        memset(&self->line, 0, sizeof self->line);
    }
    if (self->up != 0)
        skua_event_set(&self->usable);
    else
        skua_event_reset(&self->usable);
    pthread_mutex_unlock(&self->lock);
    skua_pg_fail(&lost, -ENOTCONN);
    if (up > 0 || failing)
        skua_event_set(&self->tried);
}

/* Makes it, serves, and ends it. 0: closing; else why it is to be made again. */
static inline int skua_pg_once(skua_pg_connection *self)
{
    skua_deadline frame;
    int rc;

    self->since = 0;
    skua_deadline_begin(&frame, skua_now() + self->pool->options.connect_timeout);
    rc = skua_pg_connect(self);
    skua_deadline_end(&frame);
    if (rc == 0) {
        self->since = skua_now();
        skua_pg_count(self->pool, 1, 0);
        skua_pg_say(self, "is up", 0);
        skua_shield_begin();
        rc = skua_pg_serve(self);
        skua_shield_end();
        skua_pg_count(self->pool, -1, 0);
    } else if (rc != -ECANCELED) {
        skua_pg_count(self->pool, 0, 1);
    }
    if (rc != 0 && rc != -ECANCELED)
        skua_pg_say(self, self->since != 0 ? "is lost" : "cannot be made", rc);
    skua_pg_fail(&self->sent, -ECONNRESET);
    skua_pg_unwatch(self);
    PQfinish(self->pg);
    self->pg = NULL;
    return rc;
}

/* The last one fails what is left in the line. */
static inline void skua_pg_gone(void *arg)
{
    skua_pg *pool = ((skua_pg_connection *)arg)->pool;
    skua_pg_line lost = {NULL, NULL, 0};

    pthread_mutex_lock(&pool->lock);
    if (--pool->alive == 0) {
        lost = pool->line;
        memset(&pool->line, 0, sizeof pool->line);
    }
    pthread_mutex_unlock(&pool->lock);
    skua_pg_fail(&lost, SKUA_ECLOSED);
    skua_event_set(&pool->tried);
}

/* The task of a connection. */
static inline int skua_pg_keep(void *arg)
{
    skua_pg_connection *self = (skua_pg_connection *)arg;
    const skua_pg_options *options = &self->pool->options;
    int64_t pause = 0;

    while (skua_pg_once(self) != 0) {
        /* One that has served for a while is made anew at once. */
        if (self->since != 0 && skua_now() - self->since > options->retry_max)
            pause = 0;
        else
            pause = pause == 0 ? options->retry_min : 2 * pause;
        pause = pause < options->retry_max ? pause : options->retry_max;
        if (skua_sleep(pause) != 0)
            break;
    }
    skua_pg_gone(self);
    return 0;
}

#endif
