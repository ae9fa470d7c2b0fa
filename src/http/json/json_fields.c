/* json_fields.c - members of an object, of the type that is wanted, into a struct: or a 400 that
 * says which one is not.
 */
#include <stdio.h>

#include "http/json/json_impl.h"

/* Of a reason. */
#define FIELDS_TEXT 256

static int fields_bad(skua_http_exchange *exchange, const char *path, size_t len, const char *what)
{
    char text[FIELDS_TEXT];

    (void)snprintf(text, sizeof text, "\"%.*s\" in the JSON %s", (int)(len < 128 ? len : 128), path,
                   what);
    return skua_http_fail(exchange, -EINVAL, 400, text);
}

static int fields_missing(skua_http_exchange *exchange, const skua_http_json_field *field)
{
    return field->required != 0
               ? fields_bad(exchange, field->path, strlen(field->path), "is missing")
               : 0;
}

/* The member, or NULL with *rc: what is to be returned. */
static json_t *fields_find(skua_http_exchange *exchange, const json_t *json,
                           const skua_http_json_field *field, int *rc)
{
    const char *at = field->path;

    for (;;) {
        size_t len = strcspn(at, ".");

        if (!json_is_object(json)) {
            *rc = fields_bad(exchange, field->path, (size_t)(at - 1 - field->path), "is no object");
            return NULL;
        }
        json = json_object_getn(json, at, len);
        if (json == NULL || json_is_null(json)) {
            *rc = fields_missing(exchange, field);
            return NULL;
        }
        at += len;
        if (*at == '\0')
            return (json_t *)(uintptr_t)json;
        at++;
    }
}

static bool fields_bounded(const skua_http_json_field *field)
{
    return field->min != 0 || field->max != 0;
}

static bool fields_size_is_good(const skua_http_json_field *field, size_t size)
{
    return !fields_bounded(field) ||
           ((field->min <= 0 || size >= (uint64_t)field->min) && size <= (uint64_t)field->max);
}

static int fields_each(skua_http_exchange *exchange, const skua_http_json_field *field,
                       json_t *array, void *into)
{
    int rc = 0;

    for (size_t i = 0; rc >= 0 && i < json_array_size(array); i++)
        rc = field->each(exchange, json_array_get(array, i), i, into);
    return rc < 0 ? rc : 0;
}

/* What is wrong with it; NULL: nothing, and it is in its place. */
static const char *fields_take(const skua_http_json_field *field, json_t *json, void *to)
{
    double number;

    switch (field->type) {
    case SKUA_HTTP_JSON_INT64:
        if (!json_is_integer(json))
            return "is no whole number";
        if (fields_bounded(field) &&
            (json_integer_value(json) < field->min || json_integer_value(json) > field->max))
            return "is out of range";
        *(int64_t *)to = json_integer_value(json);
        return NULL;
    case SKUA_HTTP_JSON_DOUBLE:
        if (!json_is_number(json))
            return "is no number";
        number = json_number_value(json);
        if (fields_bounded(field) &&
            !(number >= (double)field->min && number <= (double)field->max))
            return "is out of range";
        *(double *)to = number;
        return NULL;
    case SKUA_HTTP_JSON_BOOL:
        if (!json_is_boolean(json))
            return "is neither true nor false";
        *(int *)to = json_is_true(json);
        return NULL;
    case SKUA_HTTP_JSON_STRING:
        if (!json_is_string(json))
            return "is no string";
        if (!fields_size_is_good(field, json_string_length(json)))
            return "is too long, or too short";
        *(const char **)to = json_string_value(json);
        return NULL;
    case SKUA_HTTP_JSON_ARRAY:
        if (!json_is_array(json))
            return "is no array";
        return fields_size_is_good(field, json_array_size(json)) ? NULL
                                                                 : "is too long, or too short";
    default:
        *(json_t **)to = json;
        return NULL;
    }
}

static bool fields_is_row(const skua_http_json_field *field)
{
    return field->path != NULL && *field->path != '\0' && field->type >= SKUA_HTTP_JSON_INT64 &&
           field->type <= SKUA_HTTP_JSON_ARRAY && field->required <= 1 &&
           (field->type == SKUA_HTTP_JSON_ARRAY) == (field->each != NULL);
}

int skua_http_json_extract(skua_http_exchange *exchange, const json_t *json,
                           const skua_http_json_field *fields, size_t count, void *into)
{
    if (!json_is_object(json))
        return skua_http_fail(exchange, -EINVAL, 400, "the JSON is no object");
    for (size_t i = 0; i < count; i++) {
        const skua_http_json_field *field = &fields[i];
        const char *wrong;
        json_t *member;
        int rc = 0;

        if (!fields_is_row(field))
            return SKUA_EUSAGE;
        member = fields_find(exchange, json, field, &rc);
        if (rc != 0)
            return rc;
        if (member == NULL)
            continue;
        wrong = fields_take(field, member, (char *)into + field->offset);
        if (wrong != NULL)
            return fields_bad(exchange, field->path, strlen(field->path), wrong);
        if (field->type == SKUA_HTTP_JSON_ARRAY)
            rc = fields_each(exchange, field, member, into);
        if (rc != 0)
            return rc;
    }
    return 0;
}

#undef FIELDS_TEXT
