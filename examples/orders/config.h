/* config.h - what the environment says: see main.c for the list. */
#ifndef ORDERS_CONFIG_H
#define ORDERS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum config_log { CONFIG_LOG_JSON, CONFIG_LOG_COMMON, CONFIG_LOG_OFF };

struct config {
    const char *listen;       /* "127.0.0.1:8080", "unix:/run/orders.sock" */
    const char *database_url; /* NULL: SQLite */
    const char *db;           /* SQLite's file, or ":memory:" */
    const char *tls_cert;     /* both or none */
    const char *tls_key;
    int64_t log;            /* enum config_log */
    int64_t db_connections; /* to the database */
    int64_t clients;        /* connections at a time */
    int64_t running;        /* requests at a time … */
    int64_t waiting;        /* … and so many more in line; others get 503 */
    int64_t timeout_ms;     /* of a request */
    int64_t drain_ms;       /* of an orderly stop */
    int64_t body_bytes;     /* of a request */
};

/* Reads the environment. False: something is wrong there, and was said on standard error. */
bool config_read(struct config *config);

#endif
