/* config.c - the environment, checked: a wrong value, or a name that is none, is a start that fails
 * at once, and not a surprise at night. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

struct config_text {
    const char *name;
    const char *fallback;
    size_t offset; /* of a const char * in struct config */
};

struct config_number {
    const char *name;
    int64_t fallback, min, max;
    size_t offset; /* of an int64_t */
};

static const struct config_text config_texts[] = {
    {"ORDERS_LISTEN", "127.0.0.1:8080", offsetof(struct config, listen)},
    {"DATABASE_URL", NULL, offsetof(struct config, database_url)},
    {"ORDERS_DB", ":memory:", offsetof(struct config, db)},
    {"ORDERS_TLS_CERT", NULL, offsetof(struct config, tls_cert)},
    {"ORDERS_TLS_KEY", NULL, offsetof(struct config, tls_key)},
};

static const struct config_number config_numbers[] = {
    {"ORDERS_DB_CONNECTIONS", 4, 1, 64, offsetof(struct config, db_connections)},
    {"ORDERS_MAX_CLIENTS", 10000, 1, 1000000, offsetof(struct config, clients)},
    {"ORDERS_MAX_RUNNING", 256, 1, 100000, offsetof(struct config, running)},
    {"ORDERS_MAX_WAITING", 1024, 0, 1000000, offsetof(struct config, waiting)},
    {"ORDERS_MAX_BODY", 65536, 64, 1 << 20, offsetof(struct config, body_bytes)},
    {"ORDERS_TIMEOUT_MS", 5000, 1, 600000, offsetof(struct config, timeout_ms)},
    {"ORDERS_DRAIN_MS", 8000, 1, 600000, offsetof(struct config, drain_ms)},
};

static const char *const config_logs[] = {"json", "common", "off"};

#define CONFIG_COUNT(array) (sizeof(array) / sizeof *(array))

static bool config_refuse(const char *name, const char *value, const char *wanted)
{
    fprintf(stderr, "orders: %s=%s: %s\n", name, value, wanted);
    return false;
}

/* A variable that is set to nothing is one that is not set. */
static const char *config_get(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static bool config_number(const struct config_number *number, int64_t *ret)
{
    const char *value = config_get(number->name);
    char wanted[80];
    char *end;

    *ret = number->fallback;
    if (value == NULL)
        return true;
    errno = 0;
    *ret = strtoll(value, &end, 10);
    if (errno == 0 && *end == '\0' && *ret >= number->min && *ret <= number->max)
        return true;
    snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld is wanted",
             (long long)number->min, (long long)number->max);
    return config_refuse(number->name, value, wanted);
}

static bool config_log(int64_t *ret)
{
    const char *value = config_get("ORDERS_LOG");

    *ret = CONFIG_LOG_JSON;
    if (value == NULL)
        return true;
    for (size_t i = 0; i < CONFIG_COUNT(config_logs); i++)
        if (strcmp(value, config_logs[i]) == 0) {
            *ret = (int64_t)i;
            return true;
        }
    return config_refuse("ORDERS_LOG", value, "json, common or off is wanted");
}

/* Whether "NAME=value" is one of ours: somebody who wrote ORDERS_MAX_CLIENT wants to know. */
static bool config_known(const char *entry)
{
    size_t len = strcspn(entry, "=");

    if (strncmp(entry, "ORDERS_", 7) != 0 || (len == 10 && strncmp(entry, "ORDERS_LOG", 10) == 0))
        return true;
    for (size_t i = 0; i < CONFIG_COUNT(config_texts); i++)
        if (strlen(config_texts[i].name) == len && strncmp(entry, config_texts[i].name, len) == 0)
            return true;
    for (size_t i = 0; i < CONFIG_COUNT(config_numbers); i++)
        if (strlen(config_numbers[i].name) == len &&
            strncmp(entry, config_numbers[i].name, len) == 0)
            return true;
    fprintf(stderr, "orders: %.*s: there is no such variable\n", (int)len, entry);
    return false;
}

/* What is wrong only together with others. A URL may have a password: it is not printed. */
static bool config_sound(const struct config *config)
{
    const char *url = config->database_url;
    const char *colon = strrchr(config->listen, ':');

    if (strncmp(config->listen, "unix:", 5) == 0 ? config->listen[5] == '\0'
                                                 : colon == NULL || colon[1] == '\0')
        return config_refuse("ORDERS_LISTEN", config->listen,
                             "ADDRESS:PORT or unix:PATH is wanted");
    if (url != NULL && strncmp(url, "postgresql://", 13) != 0 &&
        strncmp(url, "postgres://", 11) != 0)
        return config_refuse("DATABASE_URL", "…",
                             "postgresql://USER@HOST/DATABASE is wanted (for SQLite: ORDERS_DB)");
    if ((config->tls_cert == NULL) != (config->tls_key == NULL))
        return config_refuse(config->tls_cert != NULL ? "ORDERS_TLS_CERT" : "ORDERS_TLS_KEY",
                             config->tls_cert != NULL ? config->tls_cert : config->tls_key,
                             "ORDERS_TLS_CERT and ORDERS_TLS_KEY belong together");
    return true;
}

bool config_read(struct config *config)
{
    bool good = true;

    for (char **entry = environ; *entry != NULL; entry++)
        good = config_known(*entry) && good;
    for (size_t i = 0; i < CONFIG_COUNT(config_texts); i++) {
        const char *value = config_get(config_texts[i].name);

        *(const char **)((char *)config + config_texts[i].offset) =
            value != NULL ? value : config_texts[i].fallback;
    }
    for (size_t i = 0; i < CONFIG_COUNT(config_numbers); i++)
        good = config_number(&config_numbers[i],
                             (int64_t *)((char *)config + config_numbers[i].offset)) &&
               good;
    good = config_log(&config->log) && good;
    return good && config_sound(config);
}
