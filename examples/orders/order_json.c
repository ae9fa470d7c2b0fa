/* order_json.c - orders and users as JSON.
 *
 * What comes from outside is taken apart once, here, and refused with the place and the reason:
 * 400 for what is no JSON (the library's), 422 for JSON that is no order (ours). What goes on from
 * here is checked.
 */
#include "order_json.h"

#include <ctype.h>
#include <errno.h>
#include <skua/http/extract.h>
#include <skua/http/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 100
#define SKU_MAX 64
#define QUANTITY_MAX 10000
#define PRICE_MAX 100000000 /* cents: a million */
#define DEPTH_MAX 8         /* of the JSON: an order has 4 */

/* ---- reading --------------------------------------------------------------------------------- */

static int refuse(skua_http_exchange *exchange, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(skua_http_exchange *exchange, int status, const char *format, ...)
{
    char reason[200];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(reason, sizeof reason, format, list);
    va_end(list);
    return skua_http_fail(exchange, -EINVAL, status, reason);
}

/* A whole number of an object. */
static bool read_number(const json_t *object, const char *name, int64_t min, int64_t max,
                        int64_t *ret)
{
    const json_t *value = json_object_get(object, name);

    *ret = json_integer_value(value);
    return json_is_integer(value) && *ret >= min && *ret <= max;
}

/* Letters, digits and some signs. */
static bool is_sku(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len > SKU_MAX || len != json_string_length(value))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL)
            return false;
    return true;
}

/* An object that has these members and no others. */
static bool has_only(const json_t *object, size_t count)
{
    return json_is_object(object) && json_object_size(object) == count;
}

static int read_items(skua_http_exchange *exchange, const json_t *items, int64_t *total)
{
    int64_t quantity, price;
    const json_t *item;
    size_t i;

    if (!json_is_array(items) || json_array_size(items) == 0 || json_array_size(items) > ITEMS_MAX)
        return refuse(exchange, 422, "items: an array of 1 to %d is wanted", ITEMS_MAX);
    *total = 0;
    json_array_foreach(items, i, item)
    {
        if (!has_only(item, 3))
            return refuse(exchange, 422, "items[%zu]: sku, quantity and price are wanted", i);
        if (!is_sku(json_object_get(item, "sku")))
            return refuse(exchange, 422,
                          "items[%zu].sku: 1 to %d letters, digits and -_. are wanted", i, SKU_MAX);
        if (!read_number(item, "quantity", 1, QUANTITY_MAX, &quantity))
            return refuse(exchange, 422,
                          "items[%zu].quantity: a whole number from 1 to %d is wanted", i,
                          QUANTITY_MAX);
        if (!read_number(item, "price", 0, PRICE_MAX, &price))
            return refuse(exchange, 422,
                          "items[%zu].price: a whole number of cents from 0 to %d is wanted", i,
                          PRICE_MAX);
        *total += quantity * price;
    }
    return 0;
}

/* The items in the one way that they are kept, so that the same order is the same text. */
static int keep_items(skua_http_exchange *exchange, const json_t *items, const char **ret)
{
    char *text = json_dumps(items, JSON_COMPACT | JSON_SORT_KEYS);
    size_t size = text != NULL ? strlen(text) + 1 : 0;
    char *kept = text != NULL ? skua_http_alloc(exchange, size) : NULL;

    if (kept != NULL)
        *ret = memcpy(kept, text, size);
    free(text);
    return kept != NULL ? 0 : -ENOMEM;
}

static int read_order(skua_http_exchange *exchange, const json_t *root, struct new_order *ret)
{
    const json_t *items = json_object_get(root, "items");
    int rc;

    if (!has_only(root, 2))
        return refuse(exchange, 422, "an object with user and items is wanted");
    if (!read_number(root, "user", 1, INT64_MAX, &ret->user))
        return refuse(exchange, 422, "user: the number of a user is wanted");
    rc = read_items(exchange, items, &ret->total);
    return rc == 0 ? keep_items(exchange, items, &ret->items) : rc;
}

int order_json_read(skua_http_exchange *exchange, struct new_order *ret, size_t limit)
{
    json_t *root;
    int rc = skua_http_read_json(
        exchange, &root, SKUA_HTTP_JSON_OPTIONS(.limit = limit, .depth = DEPTH_MAX, .unique = 1));

    return rc == 0 ? read_order(exchange, root, ret) : rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *order_object(const struct order *order)
{
    /* Ours, and so neither malformed nor deep. */
    return json_pack("{s:I, s:I, s:s, s:I, s:o}", "id", (json_int_t)order->id, "user",
                     (json_int_t)order->user, "created", order->created, "total",
                     (json_int_t)order->total, "items", json_loads(order->items, 0, NULL));
}

/* Replies with an object, and lets go of it. */
static int reply(skua_http_exchange *exchange, int status, json_t *object)
{
    int rc = object != NULL ? skua_http_reply_json(exchange, status, object) : -ENOMEM;

    json_decref(object);
    return rc;
}

int order_json_reply_user(skua_http_exchange *exchange, const struct user *user)
{
    return reply(exchange, 200,
                 json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)user->id, "name", user->name,
                           "email", user->email, "created", user->created));
}

int order_json_reply(skua_http_exchange *exchange, int status, const struct order *order)
{
    return reply(exchange, status, order_object(order));
}

int order_json_reply_page(skua_http_exchange *exchange, const struct page *page, const char *next)
{
    json_t *orders = json_array();
    bool good = orders != NULL;

    for (int i = 0; good && i < page->count; i++)
        good = json_array_append_new(orders, order_object(&page->orders[i])) == 0;
    if (!good) {
        json_decref(orders);
        return -ENOMEM;
    }
    return reply(exchange, 200, json_pack("{s:o, s:s?}", "orders", orders, "next", next));
}
