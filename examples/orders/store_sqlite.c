/* store_sqlite.c - the store in a SQLite file, or in memory.
 *
 * SQLite blocks: it reads, writes and syncs files. So each use of it is a job on the blocking
 * pool's threads, and the fiber that wants it waits. A connection is used by one job at a time:
 * pools have them, each with its statements prepared.
 *
 * Writers   SQLite has one at a time: a fiber, which takes all orders that wait and writes them in
 *           one transaction (batch.h). The busy time-out is for other processes that use the file.
 * Durable   journal_mode=WAL, synchronous=FULL: an order that was acknowledged survives a crash of
 *           the machine, too. Readers and the writer do not wait for each other.
 * Memory    ":memory:" is a database for each connection: there is one then, for all.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#include "batch.h"
#include "store.h"
#include "telemetry.h"

#define BUSY_MS 1000

enum { ASK_PING, ASK_USER, ASK_ONE, ASK_PAGE, ASK_ADD, ASK_BY_KEY, ASK_ALL };

#define ORDER_COLUMNS "id, user_id, total, created, items"

static const char *const sqlite_statements[ASK_ALL] = {
    [ASK_PING] = "SELECT count(*) FROM users WHERE id = 1",
    [ASK_USER] = "SELECT id, name, email, created FROM users WHERE id = ?1",
    [ASK_ONE] = "SELECT " ORDER_COLUMNS " FROM orders WHERE id = ?1",
    /* The index on (user_id, id) or the primary key: a page costs the same wherever it is. */
    [ASK_PAGE] = "SELECT " ORDER_COLUMNS " FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2",
    [ASK_ADD] = "INSERT INTO orders (user_id, total, items, key) VALUES (?1, ?2, ?3, ?4)"
                " ON CONFLICT (user_id, key) DO NOTHING RETURNING " ORDER_COLUMNS,
    [ASK_BY_KEY] = "SELECT " ORDER_COLUMNS " FROM orders WHERE user_id = ?1 AND key = ?2",
};

static const char sqlite_page_of_user[] =
    "SELECT " ORDER_COLUMNS " FROM orders WHERE user_id = ?3 AND id > ?1 ORDER BY id LIMIT ?2";

#define SCHEMA_NOW "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"

static const char sqlite_schema[] =
    "PRAGMA journal_mode = WAL;"
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " email TEXT NOT NULL UNIQUE, created TEXT NOT NULL DEFAULT " SCHEMA_NOW ");"
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " user_id INTEGER NOT NULL REFERENCES users (id), total INTEGER NOT NULL, items TEXT NOT NULL,"
    " key TEXT, created TEXT NOT NULL DEFAULT " SCHEMA_NOW ", UNIQUE (user_id, key));"
    "CREATE INDEX IF NOT EXISTS orders_of_user ON orders (user_id, id);"
    "INSERT OR IGNORE INTO users (id, name, email) SELECT 1, 'Ada', 'ada@example.org'"
    " WHERE NOT EXISTS (SELECT 1 FROM users) UNION ALL SELECT 2, 'Grace', 'grace@example.org'"
    " WHERE NOT EXISTS (SELECT 1 FROM users) UNION ALL SELECT 3, 'Edsger', 'edsger@example.org'"
    " WHERE NOT EXISTS (SELECT 1 FROM users);"
    "COMMIT;";

/* ---- connections ----------------------------------------------------------------------------- */

struct connection {
    sqlite3 *db;
    sqlite3_stmt *statements[ASK_ALL];
    sqlite3_stmt *page_of_user;
};

struct sqlite_store {
    struct store store; /* first */
    const char *path;
    skua_pool *readers;
    skua_pool *writers; /* of one; in memory: the same */
    struct batch adding;
    bool made; /* the schema: by the first connection, before there are others */
};

static int sqlite_code(sqlite3 *db, int status)
{
    switch (status & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EAGAIN;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CONSTRAINT: /* there is one that a request can break: orders.user_id */
        return -ENOENT;
    default:
        fprintf(stderr, "orders: SQLite: %s\n",
                db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(status));
        return -EIO;
    }
}

static int sqlite_disconnect(void *arg)
{
    struct connection *self = arg;

    for (int i = 0; i < ASK_ALL; i++)
        (void)sqlite3_finalize(self->statements[i]);
    (void)sqlite3_finalize(self->page_of_user);
    (void)sqlite3_close(self->db);
    free(self);
    return 0;
}

struct sqlite_connecting {
    const char *path;
    const char *schema; /* SQL; NULL: it is made */
    struct connection *ret;
};

static int sqlite_connect(void *arg)
{
    struct sqlite_connecting *connecting = arg;
    struct connection *self = calloc(1, sizeof *self);
    int status;

    if (self == NULL)
        return -ENOMEM;
    status =
        sqlite3_open_v2(connecting->path, &self->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_busy_timeout(self->db, BUSY_MS);
    if (status == SQLITE_OK)
        status = sqlite3_exec(self->db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                              NULL, NULL, NULL);
    if (status == SQLITE_OK && connecting->schema != NULL)
        status = sqlite3_exec(self->db, connecting->schema, NULL, NULL, NULL);
    for (int i = 0; status == SQLITE_OK && i < ASK_ALL; i++)
        status = sqlite3_prepare_v3(self->db, sqlite_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &self->statements[i], NULL);
    if (status == SQLITE_OK)
        status = sqlite3_prepare_v3(self->db, sqlite_page_of_user, -1, SQLITE_PREPARE_PERSISTENT,
                                    &self->page_of_user, NULL);
    if (status == SQLITE_OK) {
        connecting->ret = self;
        return 0;
    }
    status = sqlite_code(self->db, status);
    (void)sqlite_disconnect(self);
    return status;
}

/* The pool's two callbacks: the pool calls them on fibers, which wait. */
static int sqlite_pool_create(void *ctx, void **object)
{
    struct sqlite_store *self = ctx;
    struct sqlite_connecting connecting = {self->path, self->made ? NULL : sqlite_schema, NULL};
    int rc = skua_block_in_place(sqlite_connect, &connecting);

    *object = connecting.ret;
    return rc;
}

static void sqlite_pool_destroy(void *ctx, void *object)
{
    (void)ctx;
    (void)skua_block_in_place(sqlite_disconnect, object);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* What is asked, and room for the answer: of all kinds of jobs. */
struct job {
    struct connection *connection;
    int64_t id;
    const struct page_query *query;
    struct user *user;
    struct order *order;
    struct page *page;
    struct batch_item *adding; /* a chain of struct adding */
};

static int sqlite_use(skua_pool *pool, skua_fiber_fn fn, struct job *job)
{
    void *object;
    int rc = skua_pool_get(pool, &object);

    if (rc != 0)
        return rc;
    job->connection = object;
    rc = skua_blocking(fn, job);
    (void)skua_pool_put(pool, object);
    return rc;
}

/* A job that is one statement. */
static int sqlite_work(struct sqlite_store *self, const char *sql, skua_fiber_fn fn,
                       struct job *job)
{
    skua_sql statement;
    int rc;

    skua_sql_begin(&statement, "sqlite", sql);
    rc = sqlite_use(self->readers, fn, job);
    sql_end(&statement, rc);
    return rc;
}

static int sqlite_read_order(sqlite3_stmt *row, struct order *ret)
{
    const char *items = (const char *)sqlite3_column_text(row, 4);

    ret->id = sqlite3_column_int64(row, 0);
    ret->user = sqlite3_column_int64(row, 1);
    ret->total = sqlite3_column_int64(row, 2);
    store_copy(ret->created, sizeof ret->created, (const char *)sqlite3_column_text(row, 3));
    ret->items = strdup(items != NULL ? items : "[]");
    return ret->items != NULL ? 0 : -ENOMEM;
}

/* The first row as an order: 0; 1: there is none. The statement is ready for the next use. */
static int sqlite_first_order(struct connection *self, sqlite3_stmt *statement, struct order *ret)
{
    int status = sqlite3_step(statement);
    int rc = status == SQLITE_ROW ? sqlite_read_order(statement, ret) : 1;

    /* An INSERT … RETURNING is done when it says so. */
    while (status == SQLITE_ROW)
        status = sqlite3_step(statement);
    if (status != SQLITE_DONE) {
        if (rc == 0)
            order_free(ret);
        rc = sqlite_code(self->db, status);
    }
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return rc;
}

static int sqlite_job_ping(void *arg)
{
    struct job *job = arg;
    sqlite3_stmt *statement = job->connection->statements[ASK_PING];
    int rc = sqlite_code(job->connection->db, sqlite3_step(statement));

    (void)sqlite3_reset(statement);
    return rc;
}

static int sqlite_job_user(void *arg)
{
    struct job *job = arg;
    sqlite3_stmt *row = job->connection->statements[ASK_USER];
    int status, rc;

    (void)sqlite3_bind_int64(row, 1, job->id);
    status = sqlite3_step(row);
    rc = status == SQLITE_DONE ? -ENOENT : sqlite_code(job->connection->db, status);
    if (status == SQLITE_ROW) {
        job->user->id = sqlite3_column_int64(row, 0);
        store_copy(job->user->name, sizeof job->user->name,
                   (const char *)sqlite3_column_text(row, 1));
        store_copy(job->user->email, sizeof job->user->email,
                   (const char *)sqlite3_column_text(row, 2));
        store_copy(job->user->created, sizeof job->user->created,
                   (const char *)sqlite3_column_text(row, 3));
    }
    (void)sqlite3_reset(row);
    return rc;
}

static int sqlite_job_order(void *arg)
{
    struct job *job = arg;
    sqlite3_stmt *statement = job->connection->statements[ASK_ONE];
    int rc;

    (void)sqlite3_bind_int64(statement, 1, job->id);
    rc = sqlite_first_order(job->connection, statement, job->order);
    return rc == 1 ? -ENOENT : rc;
}

static int sqlite_job_orders(void *arg)
{
    struct job *job = arg;
    struct page *page = job->page;
    sqlite3_stmt *row = job->query->user != 0 ? job->connection->page_of_user
                                              : job->connection->statements[ASK_PAGE];
    int status, rc = 0;

    (void)sqlite3_bind_int64(row, 1, job->query->after);
    (void)sqlite3_bind_int(row, 2, job->query->limit + 1); /* one more: are there others? */
    if (job->query->user != 0)
        (void)sqlite3_bind_int64(row, 3, job->query->user);
    while (rc == 0 && (status = sqlite3_step(row)) == SQLITE_ROW) {
        rc = sqlite_read_order(row, &page->orders[page->count]);
        page->count += rc == 0;
    }
    if (rc == 0)
        rc = sqlite_code(job->connection->db, status);
    (void)sqlite3_reset(row);
    return rc;
}

/* ---- orders, many at a time ------------------------------------------------------------------ */

struct adding {
    struct batch_item item; /* first */
    const struct new_order *new_order;
    struct order *order;
    bool again;
    skua_span_context asker; /* whose transaction it becomes a part of */
};

static int sqlite_add_one(struct connection *self, struct adding *adding)
{
    const struct new_order *order = adding->new_order;
    sqlite3_stmt *add = self->statements[ASK_ADD];
    sqlite3_stmt *by_key = self->statements[ASK_BY_KEY];
    int rc;

    (void)sqlite3_bind_int64(add, 1, order->user);
    (void)sqlite3_bind_int64(add, 2, order->total);
    (void)sqlite3_bind_text(add, 3, order->items, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(add, 4, order->key, -1, SQLITE_STATIC); /* NULL binds NULL */
    rc = sqlite_first_order(self, add, adding->order);
    if (rc != 1)
        return rc;
    /* The key was there before: that order, if it is the same one. */
    adding->again = true;
    (void)sqlite3_bind_int64(by_key, 1, order->user);
    (void)sqlite3_bind_text(by_key, 2, order->key, -1, SQLITE_STATIC);
    rc = sqlite_first_order(self, by_key, adding->order);
    if (rc == 0 && strcmp(adding->order->items, order->items) != 0) {
        order_free(adding->order);
        rc = -EEXIST;
    }
    return rc == 1 ? -EAGAIN : rc;
}

/* One transaction. An order that is refused (no such user, a key that was used) leaves the others
 * alone; any other failure is everybody's, and nothing was written. */
static int sqlite_job_add(void *arg)
{
    struct job *job = arg;
    sqlite3 *db = job->connection->db;
    int rc = sqlite_code(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
    struct batch_item *at, *end = job->adding; /* of those that were done */

    for (at = job->adding; rc == 0 && at != NULL; at = at->next) {
        at->rc = sqlite_add_one(job->connection, (struct adding *)at);
        rc = at->rc == -ENOENT || at->rc == -EEXIST ? 0 : at->rc;
        end = at->next;
    }
    if (rc == 0)
        rc = sqlite_code(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    if (rc == 0)
        return 0;
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    for (at = job->adding; at != end; at = at->next)
        if (at->rc == 0)
            order_free(((struct adding *)at)->order);
    return rc;
}

/* For batch.h: what fails as a whole has failed for each. */
static void sqlite_add_all(void *ctx, struct batch_item *first)
{
    struct sqlite_store *self = ctx;
    struct sql_batch batch = {.count = 0};
    skua_sql statement;
    int rc;

    for (struct batch_item *at = first; at != NULL; at = at->next)
        sql_batch_add(&batch, &((struct adding *)at)->asker);
    sql_batch_begin(&statement, &batch, "sqlite", sqlite_statements[ASK_ADD]);
    rc = sqlite_use(self->writers, sqlite_job_add, &(struct job){.adding = first});
    sql_end(&statement, rc);
    for (struct batch_item *at = first; rc != 0 && at != NULL; at = at->next)
        at->rc = rc;
}

/* ---- the store ------------------------------------------------------------------------------- */

static struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

static int sqlite_ping(struct store *self)
{
    return sqlite_work(sqlite_of(self), sqlite_statements[ASK_PING], sqlite_job_ping,
                       &(struct job){.id = 1});
}

static int sqlite_user(struct store *self, int64_t id, struct user *ret)
{
    return sqlite_work(sqlite_of(self), sqlite_statements[ASK_USER], sqlite_job_user,
                       &(struct job){.id = id, .user = ret});
}

static int sqlite_order(struct store *self, int64_t id, struct order *ret)
{
    return sqlite_work(sqlite_of(self), sqlite_statements[ASK_ONE], sqlite_job_order,
                       &(struct job){.id = id, .order = ret});
}

static int sqlite_orders(struct store *self, const struct page_query *query, struct page *ret)
{
    const char *sql = query->user != 0 ? sqlite_page_of_user : sqlite_statements[ASK_PAGE];
    int rc;

    ret->count = 0;
    rc = sqlite_work(sqlite_of(self), sql, sqlite_job_orders,
                     &(struct job){.query = query, .page = ret});
    if (rc != 0)
        page_free(ret);
    ret->more = ret->count > query->limit;
    if (ret->more)
        order_free(&ret->orders[--ret->count]);
    return rc;
}

static int sqlite_add(struct store *self, const struct new_order *order, struct order *ret,
                      bool *again)
{
    struct adding adding = {.new_order = order, .order = ret};
    skua_sql statement;
    int rc;

    skua_sql_begin(&statement, "sqlite", sqlite_statements[ASK_ADD]);
    (void)skua_span_context_of(statement.span, &adding.asker);
    rc = batch_add(&sqlite_of(self)->adding, &adding.item);
    sql_end(&statement, rc);
    *again = adding.again;
    return rc;
}

static void sqlite_close(struct store *store)
{
    struct sqlite_store *self = sqlite_of(store);

    batch_close(&self->adding);
    if (self->writers != self->readers)
        (void)skua_pool_free(self->writers);
    (void)skua_pool_free(self->readers);
    free(self);
}

static int sqlite_pool(struct sqlite_store *self, skua_pool **ret, size_t connections)
{
    return skua_pool_new(ret, SKUA_POOL_OPTIONS(.create = sqlite_pool_create,
                                                .destroy = sqlite_pool_destroy, .ctx = self,
                                                .max = connections));
}

int store_open_sqlite(struct store **ret, const char *path, unsigned connections)
{
    bool memory = strcmp(path, ":memory:") == 0;
    struct sqlite_store *self = calloc(1, sizeof *self);
    int rc;

    if (self == NULL)
        return -ENOMEM;
    self->store = (struct store){"sqlite",      sqlite_ping, sqlite_user, sqlite_order,
                                 sqlite_orders, sqlite_add,  sqlite_close};
    self->path = path;
    rc = batch_open(&self->adding, sqlite_add_all, self);
    if (rc != 0) {
        free(self);
        return rc;
    }
    rc = sqlite_pool(self, &self->readers, memory ? 1 : connections);
    if (rc == 0 && memory)
        self->writers = self->readers;
    else if (rc == 0)
        rc = sqlite_pool(self, &self->writers, 1);
    if (rc == 0)
        rc = sqlite_ping(&self->store); /* makes a connection, and so the schema */
    self->made = rc == 0;
    if (rc == 0)
        *ret = &self->store;
    else
        sqlite_close(&self->store);
    return rc;
}
