/* store_postgres.c - the store in PostgreSQL, through adapters/skua_pg.h.
 *
 * A few connections carry the queries of all fibers, pipelined: nobody waits for a connection of
 * his own, and a query that is sent does not wait for the answer to the one before. Each call here
 * is one statement, and so one transaction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skua_pg.h"
#include "store.h"
#include "telemetry.h"

/* Of several that start at once one makes the schema, and the others wait: the lock's number is any
 * that nobody else uses. */
static const char postgres_schema[] =
    "SELECT pg_advisory_xact_lock(721955300);"
    "CREATE TABLE IF NOT EXISTS users (id bigserial PRIMARY KEY, name text NOT NULL,"
    " email text NOT NULL UNIQUE, created timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY,"
    " user_id bigint NOT NULL REFERENCES users, total bigint NOT NULL, items text NOT NULL,"
    " key text, created timestamptz NOT NULL DEFAULT now(), UNIQUE (user_id, key));"
    "CREATE INDEX IF NOT EXISTS orders_of_user ON orders (user_id, id);"
    "INSERT INTO users (name, email) SELECT * FROM (VALUES ('Ada', 'ada@example.org'),"
    " ('Grace', 'grace@example.org'), ('Edsger', 'edsger@example.org')) AS seed"
    " WHERE NOT EXISTS (SELECT 1 FROM users);";

/* The server gives up what takes longer than anybody here waits. */
static const char postgres_setup[] = "SET statement_timeout = '5s'";

#define TIME_TEXT(column)                                                                          \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
#define ORDER_COLUMNS "id, user_id, total, " TIME_TEXT("created") ", items"

static const skua_pg_statement postgres_statements[] = {
    {"ping", "SELECT 1"},
    {"user", "SELECT id, name, email, " TIME_TEXT("created") " FROM users WHERE id = $1"},
    {"order", "SELECT " ORDER_COLUMNS " FROM orders WHERE id = $1"},
    {"page", "SELECT " ORDER_COLUMNS " FROM orders WHERE id > $1 ORDER BY id LIMIT $2"},
    {"page_of_user",
     "SELECT " ORDER_COLUMNS " FROM orders WHERE id > $1 AND user_id = $3 ORDER BY id LIMIT $2"},
    {"add", "INSERT INTO orders (user_id, total, items, key) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (user_id, key) DO NOTHING RETURNING " ORDER_COLUMNS},
    {"by_key", "SELECT " ORDER_COLUMNS " FROM orders WHERE user_id = $1 AND key = $2"},
};

struct postgres_store {
    struct store store; /* first */
    skua_pg *pg;
};

/* A number as a parameter. */
struct number {
    char text[24];
};

static const char *number_text(struct number *self, int64_t value)
{
    (void)snprintf(self->text, sizeof self->text, "%lld", (long long)value);
    return self->text;
}

/* ---- queries --------------------------------------------------------------------------------- */

/* The text of a statement that is there. */
static const char *postgres_sql(const char *name)
{
    size_t i = 0;

    while (strcmp(postgres_statements[i].name, name) != 0)
        i++;
    return postgres_statements[i].sql;
}

static void postgres_complain(const char *statement, const char *text)
{
    skua_log_error(&orders_log, "the database refuses", SKUA_STR("db.system.name", "postgresql"),
                   SKUA_STR("db.statement.name", statement),
                   SKUA_TEXT("exception.message", text, strcspn(text, "\n")));
}

/* As skua_pg_query; what the server says against a statement is a line in the log. */
static int postgres_ask(struct store *store, const char *statement, const char *const *params,
                        int count, PGresult **result)
{
    const char *state;
    skua_sql sql;
    int rc;

    skua_sql_begin(&sql, "postgresql", postgres_sql(statement));
    rc = skua_pg_query(((struct postgres_store *)store)->pg, statement, params, count, result);
    state = *result != NULL ? PQresultErrorField(*result, PG_DIAG_SQLSTATE) : NULL;
    if (state != NULL)
        skua_sql_status(&sql, state);
    sql_end(&sql, rc);
    if (rc == 0)
        return 0;
    if (state != NULL && strcmp(state, "23503") == 0) /* foreign_key_violation: orders.user_id */
        rc = -ENOENT;
    else if (*result != NULL)
        postgres_complain(statement, PQresultErrorMessage(*result));
    PQclear(*result);
    *result = NULL;
    return rc;
}

static int postgres_read_order(const PGresult *result, int row, struct order *ret)
{
    ret->id = strtoll(PQgetvalue(result, row, 0), NULL, 10);
    ret->user = strtoll(PQgetvalue(result, row, 1), NULL, 10);
    ret->total = strtoll(PQgetvalue(result, row, 2), NULL, 10);
    store_copy(ret->created, sizeof ret->created, PQgetvalue(result, row, 3));
    ret->items = strdup(PQgetvalue(result, row, 4));
    return ret->items != NULL ? 0 : -ENOMEM;
}

/* The first row as an order: 0; 1: there is none. */
static int postgres_one_order(struct store *self, const char *statement, const char *const *params,
                              int count, struct order *ret)
{
    PGresult *result;
    int rc = postgres_ask(self, statement, params, count, &result);

    if (rc == 0)
        rc = PQntuples(result) == 0 ? 1 : postgres_read_order(result, 0, ret);
    PQclear(result);
    return rc;
}

/* ---- the store ------------------------------------------------------------------------------- */

static int postgres_ping(struct store *self)
{
    PGresult *result;
    int rc = postgres_ask(self, "ping", NULL, 0, &result);

    PQclear(result);
    return rc;
}

static int postgres_user(struct store *self, int64_t id, struct user *ret)
{
    struct number number;
    const char *params[] = {number_text(&number, id)};
    PGresult *result;
    int rc = postgres_ask(self, "user", params, 1, &result);

    if (rc == 0 && PQntuples(result) == 0)
        rc = -ENOENT;
    if (rc == 0) {
        ret->id = id;
        store_copy(ret->name, sizeof ret->name, PQgetvalue(result, 0, 1));
        store_copy(ret->email, sizeof ret->email, PQgetvalue(result, 0, 2));
        store_copy(ret->created, sizeof ret->created, PQgetvalue(result, 0, 3));
    }
    PQclear(result);
    return rc;
}

static int postgres_order(struct store *self, int64_t id, struct order *ret)
{
    struct number number;
    const char *params[] = {number_text(&number, id)};
    int rc = postgres_one_order(self, "order", params, 1, ret);

    return rc == 1 ? -ENOENT : rc;
}

static int postgres_orders(struct store *self, const struct page_query *query, struct page *ret)
{
    struct number after, limit, user;
    const char *params[] = {number_text(&after, query->after),
                            number_text(&limit, query->limit + 1), /* are there others behind? */
                            number_text(&user, query->user)};
    PGresult *result;
    int rc = query->user != 0 ? postgres_ask(self, "page_of_user", params, 3, &result)
                              : postgres_ask(self, "page", params, 2, &result);
    int rows = rc == 0 ? PQntuples(result) : 0;

    ret->count = 0;
    ret->more = rows > query->limit;
    while (rc == 0 && ret->count < rows && ret->count < query->limit) {
        rc = postgres_read_order(result, ret->count, &ret->orders[ret->count]);
        ret->count += rc == 0;
    }
    PQclear(result);
    if (rc != 0)
        page_free(ret);
    return rc;
}

static int postgres_add(struct store *self, const struct new_order *order, struct order *ret,
                        bool *again)
{
    struct number user, total;
    const char *params[] = {number_text(&user, order->user), number_text(&total, order->total),
                            order->items, order->key};
    const char *by_key[] = {user.text, order->key};
    int rc = postgres_one_order(self, "add", params, 4, ret);

    *again = rc == 1;
    if (rc != 1)
        return rc;
    /* The key was there before: that order, if it is the same one. */
    rc = postgres_one_order(self, "by_key", by_key, 2, ret);
    if (rc == 0 && strcmp(ret->items, order->items) != 0) {
        order_free(ret);
        rc = -EEXIST;
    }
    return rc == 1 ? -EAGAIN : rc;
}

static void postgres_close(struct store *self)
{
    skua_pg_close(((struct postgres_store *)self)->pg);
    free(self);
}

static void postgres_log(const char *text, void *arg)
{
    (void)arg;
    skua_log_at(&orders_log, strstr(text, " is up") != NULL ? SKUA_INFO : SKUA_WARN, text);
}

/* Makes the schema where there is none, on a connection of its own, once: the others come up later
 * whatever is locked then. */
static int postgres_migrate(const char *url)
{
    skua_pg *pg;
    int rc = skua_pg_open(&pg, SKUA_PG_OPTIONS(.url = url, .setup = postgres_schema,
                                               .connections = 1, .log = postgres_log));

    if (rc != 0)
        return rc;
    rc = skua_pg_ready(pg);
    skua_pg_close(pg);
    return rc;
}

int store_open_postgres(struct store **ret, const char *url, unsigned connections)
{
    struct postgres_store *self;
    int rc = postgres_migrate(url);

    if (rc != 0)
        return rc;
    self = calloc(1, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->store = (struct store){"postgresql",    postgres_ping, postgres_user, postgres_order,
                                 postgres_orders, postgres_add,  postgres_close};
    rc = skua_pg_open(&self->pg, SKUA_PG_OPTIONS(.url = url, .setup = postgres_setup,
                                                 .statements = postgres_statements,
                                                 .statements_count = sizeof postgres_statements /
                                                                     sizeof *postgres_statements,
                                                 .connections = connections, .log = postgres_log));
    if (rc != 0) {
        free(self);
        return rc;
    }
    rc = skua_pg_ready(self->pg);
    if (rc == 0)
        *ret = &self->store;
    else
        postgres_close(&self->store);
    return rc;
}
