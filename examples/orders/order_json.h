/* order_json.h - orders and users as JSON: read from requests, written into responses. */
#ifndef ORDERS_ORDER_JSON_H
#define ORDERS_ORDER_JSON_H

#include <skua/http/exchange.h>

#include "store.h"

/* Reads the body of a request as a new order.
 *
 * ret        receives it; .items lives as long as the exchange, .key is not touched
 * limit      bytes at most
 * Returns    0; a code, having said why (skua_http_fail): 400, 413, 415 or 422
 */
int order_json_read(skua_http_exchange *exchange, struct new_order *ret, size_t limit);

/* Each replies, as skua_http_reply. */
int order_json_reply_user(skua_http_exchange *exchange, const struct user *user);
int order_json_reply(skua_http_exchange *exchange, int status, const struct order *order);

/* next       the path of the next page; NULL: this is the last one */
int order_json_reply_page(skua_http_exchange *exchange, const struct page *page, const char *next);

#endif
