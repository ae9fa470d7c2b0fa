/* config.c - the configuration: a file of lines of words.
 *
 *   # from here to the end of the line: for people
 *   listen 127.0.0.1:8080
 *   group NAME ADDRESS... [key=value]...
 *   route [HOST]/PREFIX GROUP [key=value]...
 *
 * What may stand there, with its unit and its bounds, is in two tables; gateway.conf explains it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"

#define WORDS_MAX 64
#define LINE_SIZE 2048

enum kind { KIND_NUMBER, KIND_BYTES, KIND_TIME, KIND_TEXT, KIND_BALANCE };

/* A key: what it may be, and where it goes. */
struct key {
    const char *name;
    enum kind kind;
    int64_t min, max, preset;
    size_t offset; /* of an int64_t, or of char[NAME_SIZE] */
};

#define OF_GROUP(member) offsetof(struct group, member)
#define OF_ROUTE(member) offsetof(struct route, member)
#define MOST ((int64_t)1 << 40)

/* clang-format off */
static const struct key group_keys[] = {
    {"balance", KIND_BALANCE, 0, 0, BALANCE_TWO, OF_GROUP(balance)},
    {"health", KIND_TEXT, 0, 0, 0, OF_GROUP(health)},
    {"interval", KIND_TIME, SKUA_MILLISECOND, SKUA_HOUR, 5 * SKUA_SECOND, OF_GROUP(interval)},
    {"connect", KIND_TIME, SKUA_MILLISECOND, SKUA_HOUR, 2 * SKUA_SECOND, OF_GROUP(connect)},
    {"timeout", KIND_TIME, SKUA_MILLISECOND, SKUA_HOUR, 30 * SKUA_SECOND, OF_GROUP(timeout)},
    {"idle", KIND_TIME, SKUA_MILLISECOND, 24 * SKUA_HOUR, SKUA_MINUTE, OF_GROUP(idle)},
    {"connections", KIND_NUMBER, 1, 100000, 256, OF_GROUP(connections)},
    {"retry-percent", KIND_NUMBER, 0, 1000, 20, OF_GROUP(retry_percent)},
    {"breaker-minimum", KIND_NUMBER, 1, 1000000, 10, OF_GROUP(breaker_minimum)},
    {"breaker-percent", KIND_NUMBER, 1, 100, 50, OF_GROUP(breaker_percent)},
    {"breaker-open", KIND_TIME, SKUA_MILLISECOND, SKUA_HOUR, 5 * SKUA_SECOND,
     OF_GROUP(breaker_open)},
    {NULL, 0, 0, 0, 0, 0},
};

static const struct key route_keys[] = {
    {"tries", KIND_NUMBER, 1, MEMBERS_MAX, 2, OF_ROUTE(tries)},
    {"body", KIND_BYTES, 0, MOST, 16 << 20, OF_ROUTE(body)},
    {"trust", KIND_NUMBER, 0, 1, 0, OF_ROUTE(trust)},
    {"rate", KIND_NUMBER, 0, 1000000, 0, OF_ROUTE(rate)},
    {"burst", KIND_NUMBER, 0, 1000000, 0, OF_ROUTE(burst)},
    {"keys", KIND_NUMBER, 1, 10000000, 10000, OF_ROUTE(keys)},
    {"running", KIND_NUMBER, 0, 1000000, 0, OF_ROUTE(running)},
    {"waiting", KIND_NUMBER, 0, 1000000, 0, OF_ROUTE(waiting)},
    {NULL, 0, 0, 0, 0, 0},
};
/* clang-format on */

/* Where we are, for messages. */
struct place {
    const char *path;
    int line;
};

static int config_refuse(const struct place *place, const char *what, const char *word)
{
    fprintf(stderr, "gateway: %s:%d: %s: '%s'\n", place->path, place->line, what, word);
    return -EINVAL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A number with a unit of its kind: "64k", "250ms"; -1: it is none. */
static int64_t config_number(const char *text, enum kind kind)
{
    static const struct {
        const char *name;
        enum kind kind;
        int64_t factor;
    } units[] = {{"", KIND_NUMBER, 1},          {"", KIND_BYTES, 1},
                 {"k", KIND_BYTES, 1 << 10},    {"m", KIND_BYTES, 1 << 20},
                 {"g", KIND_BYTES, 1 << 30},    {"ms", KIND_TIME, SKUA_MILLISECOND},
                 {"s", KIND_TIME, SKUA_SECOND}, {"min", KIND_TIME, SKUA_MINUTE},
                 {"h", KIND_TIME, SKUA_HOUR}};
    int64_t number = 0;
    char *end;

    if (!isdigit((unsigned char)*text) || strspn(text, "0123456789") > 12)
        return -1;
    number = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].kind == kind && strcmp(end, units[i].name) == 0)
            return __builtin_mul_overflow(number, units[i].factor, &number) ? -1 : number;
    return -1;
}

/* Visible, and nothing that a JSON string or a header would have to escape. */
static int config_text(const struct place *place, const char *text, char *ret)
{
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || strchr("\"\\<>{}|^`", *at) != NULL)
            return config_refuse(place, "not a name, an address or a path", text);
    if (*text == '\0' || strlen(text) >= NAME_SIZE)
        return config_refuse(place, "empty or too long", text);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int config_value(const struct place *place, const struct key *key, const char *text,
                        void *base)
{
    void *at = (char *)base + key->offset;
    int64_t number;

    switch (key->kind) {
    case KIND_TEXT:
        if (*text != '/')
            return config_refuse(place, "a path begins with '/'", text);
        return config_text(place, text, at);
    case KIND_BALANCE:
        if (strcmp(text, "two") != 0 && strcmp(text, "least") != 0)
            return config_refuse(place, "two or least", text);
        *(int64_t *)at = *text == 't' ? BALANCE_TWO : BALANCE_LEAST;
        return 0;
    case KIND_BYTES:
        if (strcmp(text, "any") == 0) {
            *(int64_t *)at = -1;
            return 0;
        }
        break;
    default:
        break;
    }
    number = config_number(text, key->kind);
    if (number < key->min || number > key->max)
        return config_refuse(place, "not a value of this key", text);
    *(int64_t *)at = number;
    return 0;
}

static void config_presets(const struct key *keys, void *base)
{
    for (; keys->name != NULL; keys++)
        if (keys->kind != KIND_TEXT)
            *(int64_t *)((char *)base + keys->offset) = keys->preset;
}

static int config_pair(const struct place *place, const struct key *keys, char *word, void *base)
{
    char *value = strchr(word, '=');

    if (value == NULL)
        return config_refuse(place, "key=value is expected", word);
    *value++ = '\0';
    for (; keys->name != NULL; keys++)
        if (strcmp(keys->name, word) == 0)
            return config_value(place, keys, value, base);
    return config_refuse(place, "no such key", word);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int config_group(struct gateway *gateway, const struct place *place, char **words, int count)
{
    struct group *group = &gateway->groups[gateway->groups_count];
    int rc = 0;

    if (gateway->groups_count == GROUPS_MAX || count < 3)
        return config_refuse(place, "too many groups, or no address", words[0]);
    config_presets(group_keys, group);
    rc = config_text(place, words[1], group->name);
    for (unsigned i = 0; rc == 0 && i < gateway->groups_count; i++)
        if (strcmp(gateway->groups[i].name, group->name) == 0)
            rc = config_refuse(place, "there is one already", group->name);
    for (int i = 2; rc == 0 && i < count; i++) {
        if (strchr(words[i], '=') != NULL)
            rc = config_pair(place, group_keys, words[i], group);
        else if (group->count == MEMBERS_MAX)
            rc = config_refuse(place, "too many addresses", words[i]);
        else
            rc = config_text(place, words[i], group->members[group->count++].address);
    }
    if (rc == 0 && group->count == 0)
        rc = config_refuse(place, "no address", group->name);
    gateway->groups_count++;
    return rc;
}

static int config_route(struct gateway *gateway, const struct place *place, char **words, int count)
{
    struct route *route = &gateway->routes[gateway->routes_count];
    char *prefix = count > 1 ? strchr(words[1], '/') : NULL;
    int rc = 0;

    if (gateway->routes_count == ROUTES_MAX || count < 3 || prefix == NULL)
        return config_refuse(place, "route [HOST]/PREFIX GROUP", words[0]);
    config_presets(route_keys, route);
    if (strlen(prefix) > 1 && prefix[strlen(prefix) - 1] == '/')
        prefix[strlen(prefix) - 1] = '\0';
    rc = config_text(place, prefix, route->prefix);
    *prefix = '\0';
    if (rc == 0 && *words[1] != '\0')
        rc = config_text(place, words[1], route->host);
    for (unsigned i = 0; i < gateway->groups_count; i++)
        if (strcmp(gateway->groups[i].name, words[2]) == 0)
            route->group = &gateway->groups[i];
    if (rc == 0 && route->group == NULL)
        rc = config_refuse(place, "no such group above", words[2]);
    for (int i = 3; rc == 0 && i < count; i++)
        rc = config_pair(place, route_keys, words[i], route);
    gateway->routes_count++;
    return rc;
}

static int config_log(struct gateway *gateway, const struct place *place, const char *word)
{
    static const char *const formats[] = {"off", "common", "combined", "json"};

    for (int i = 0; i < 4; i++)
        if (strcmp(word, formats[i]) == 0) {
            gateway->log = i;
            return 0;
        }
    return config_refuse(place, "off, common, combined or json", word);
}

static int config_line(struct gateway *gateway, const struct place *place, char **words, int count)
{
    if (strcmp(words[0], "group") == 0)
        return config_group(gateway, place, words, count);
    if (strcmp(words[0], "route") == 0)
        return config_route(gateway, place, words, count);
    if (count != 2)
        return config_refuse(place, "not understood", words[0]);
    if (strcmp(words[0], "listen") == 0)
        return config_text(place, words[1], gateway->listen);
    if (strcmp(words[0], "admin") == 0)
        return config_text(place, words[1], gateway->admin);
    if (strcmp(words[0], "via") == 0)
        return config_text(place, words[1], gateway->via);
    if (strcmp(words[0], "log") == 0)
        return config_log(gateway, place, words[1]);
    if (strcmp(words[0], "drain") == 0) {
        gateway->drain = config_number(words[1], KIND_TIME);
        return gateway->drain > 0 ? 0 : config_refuse(place, "not a time", words[1]);
    }
    return config_refuse(place, "not understood", words[0]);
}

int config_read(struct gateway *gateway, const char *path)
{
    struct place place = {path, 0};
    FILE *file = fopen(path, "re");
    char line[LINE_SIZE];
    int rc = 0;

    if (file == NULL)
        return config_refuse(&place, "cannot be read", path);
    while (rc == 0 && fgets(line, sizeof line, file) != NULL) {
        char *words[WORDS_MAX], *rest;
        int count = 0;

        place.line++;
        if (strchr(line, '\n') == NULL && !feof(file))
            rc = config_refuse(&place, "the line is too long", "");
        line[strcspn(line, "#\n")] = '\0';
        for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count < WORDS_MAX;
             word = strtok_r(NULL, " \t\r", &rest))
            words[count++] = word;
        if (rc == 0 && count != 0)
            rc = config_line(gateway, &place, words, count);
    }
    (void)fclose(file);
    if (rc == 0 && gateway->routes_count == 0)
        rc = config_refuse(&place, "no route", path);
    return rc;
}
