/* relay.c - an answer on its way to the client.
 *
 * A piece is read, then written: a client that reads slowly makes the upstream wait, and no body is
 * ever in memory as a whole. What does not fill the buffer is all that there is now, and is sent at
 * once: events, progress, a slow download. Of a body in chunks the head goes ahead of its first
 * piece.
 *
 * Trailers are not passed on: RFC 9110, 6.5.1 lets an intermediary drop them, and this library's
 * server has no call for them.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway.h"

#define PIECE 16384
#define LISTED_MAX 16

/* Status and headers. */
static int relay_head(struct passage *passage, skua_http_response *response)
{
    skua_http_exchange *exchange = passage->exchange;
    int status = skua_http_response_status(response);
    int64_t length = skua_http_response_length(response);
    const char *listed[LISTED_MAX], *name, *value, *via = NULL;
    size_t listed_count = 0;
    char digits[24];
    int rc = skua_http_set_status(exchange, status);

    for (size_t i = 0; skua_http_response_header_at(response, i, &name, &value); i++)
        if (strcasecmp(name, "connection") == 0 && listed_count < LISTED_MAX)
            listed[listed_count++] = value;
    for (size_t i = 0; rc == 0 && skua_http_response_header_at(response, i, &name, &value); i++) {
        if (strcasecmp(name, "via") == 0)
            via = value;
        else if (strcasecmp(name, "date") != 0 && !field_is_hop(name, listed, listed_count))
            rc = skua_http_add_header(exchange, name, value);
    }
    if (rc == 0) {
        value =
            field_via(exchange, via, skua_http_response_version(response), passage->gateway->via);
        rc = value != NULL ? skua_http_set_header(exchange, "Via", value) : -ENOMEM;
    }
    (void)snprintf(digits, sizeof digits, "%lld", (long long)length);
    if (rc == 0 && length >= 0 && status != 204)
        rc = skua_http_set_header(exchange, "Content-Length", digits);
    return rc;
}

/* Takes the headers back: the answer is one of ours. */
static void relay_forget(skua_http_exchange *exchange, skua_http_response *response)
{
    const char *name, *value;

    for (size_t i = 0; skua_http_response_header_at(response, i, &name, &value); i++)
        if (strcasecmp(name, "date") != 0 && strcasecmp(name, "connection") != 0 &&
            strcasecmp(name, "transfer-encoding") != 0)
            (void)skua_http_set_header(exchange, name, NULL);
}

/* Writes a piece, and sends it at once if there is no more now. */
static int relay_piece(skua_http_exchange *exchange, const char *buf, size_t len, bool last)
{
    ssize_t n = skua_http_write(exchange, buf, len);

    if (n < 0)
        return (int)n;
    return len < PIECE && !last ? skua_http_flush(exchange) : 0;
}

int relay(struct passage *passage, struct choice *choice, skua_http_response *response)
{
    skua_http_exchange *exchange = passage->exchange;
    bool head = strcmp(skua_http_method(exchange), "HEAD") == 0;
    int64_t length = skua_http_response_length(response);
    int64_t sum = 0;
    char buf[PIECE];
    ssize_t n = 0;
    int rc = relay_head(passage, response);

    if (rc != 0) {
        relay_forget(exchange, response);
        return answer_for(passage, rc == -ENOMEM ? rc : -EBADMSG);
    }
    if (length < 0 && !head && skua_http_response_status(response) >= 200)
        rc = skua_http_flush(exchange);
    while (rc == 0 && (n = skua_http_response_read(response, buf, sizeof buf)) > 0) {
        sum += n;
        rc = relay_piece(exchange, buf, (size_t)n, sum == length);
    }
    if (rc != 0)
        return rc; /* the client is gone, or too slow */
    if (n < 0 && n != -ECANCELED)
        choice_blame(choice);
    if (n < 0 && !skua_http_begun(exchange)) {
        relay_forget(exchange, response);
        return answer_for(passage, (int)n);
    }
    if (n < 0)
        return (int)n; /* cut short, so that the client sees it */
    /* No body at all: begins it, else it would be taken for a handler that said nothing. */
    n = skua_http_begun(exchange) ? 0 : skua_http_write(exchange, "", 0);
    return n < 0 ? (int)n : 0;
}
