/* store.h - where users and orders are kept, whatever keeps them.
 *
 * Two stores stand behind it: store_sqlite.c and store_postgres.c. The rest of the service does not
 * know which one it has. All functions but open and close are called by any number of fibers at a
 * time, wait like any other call (cancellation, the request's deadline), and return 0 or a code:
 *
 *   -ENOENT               there is no such user or order
 *   -EEXIST               the idempotency key was used for another order
 *   -ENOTCONN, -EAGAIN    the database is not there, or has too much to do: nothing was done
 *   -ECONNRESET           it went away in the middle: what was asked for may have been done
 *   -ETIMEDOUT            it is too slow
 */
#ifndef ORDERS_STORE_H
#define ORDERS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_PAGE_MAX 100

/* Times are text, UTC: "2026-11-21T17:46:53.123Z". */
struct user {
    int64_t id;
    char name[64];
    char email[96];
    char created[32];
};

struct order {
    int64_t id;
    int64_t user;
    int64_t total; /* cents */
    char created[32];
    char *items; /* JSON text, as order_json.h makes it; order_free frees it */
};

struct new_order {
    int64_t user;
    int64_t total;
    const char *items;
    const char *key; /* idempotency key; NULL: none */
};

struct page_query {
    int64_t user;  /* whose orders; 0: all */
    int64_t after; /* those with greater ids */
    int limit;     /* 1 to STORE_PAGE_MAX */
};

struct page {
    int count;
    bool more; /* there are others behind them */
    struct order orders[STORE_PAGE_MAX + 1];
};

struct store {
    const char *name; /* "sqlite" */
    int (*ping)(struct store *self);
    int (*user)(struct store *self, int64_t id, struct user *ret);
    int (*order)(struct store *self, int64_t id, struct order *ret);
    int (*orders)(struct store *self, const struct page_query *query, struct page *ret);
    /* *again: the key was known, and *ret is the order that was made then. */
    int (*add)(struct store *self, const struct new_order *order, struct order *ret, bool *again);
    void (*close)(struct store *self);
};

/* Both make the schema where there is none, and some users where there are none. They tell on
 * standard error why they fail. */
int store_open_sqlite(struct store **ret, const char *path, unsigned connections);
int store_open_postgres(struct store **ret, const char *url, unsigned connections);

void order_free(struct order *order);
void page_free(struct page *page);

/* Copies text that came from a database; cut to fit. */
void store_copy(char *ret, size_t size, const char *text);

#endif
