/* layer.h - what stands around handlers: layers, observers, error pages, notes.
 *
 *     static int timed(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
 *     {
 *         int64_t begin = skua_now();
 *         int rc = skua_http_chain_run(exchange, rest);
 *
 *         add_to_histogram(state, skua_now() - begin);
 *         return rc;
 *     }
 *
 *     static const skua_http_layer around[] = {{timed, &histogram}, {skua_http_cors_layer, &cors}};
 *     skua_http_chain app = SKUA_HTTP_CHAIN(around, skua_http_router_handler, router);
 *
 *     skua_http_serve("127.0.0.1:8080", skua_http_chain_handler, &app, NULL);
 *
 * A layer runs before and behind what it stands around, or answers itself and does not run it. The
 * first one of a chain is the outermost. A chain is a handler: around a router, around one route.
 * Around all routes of a router, which may then be nested in another one: skua_http_route_layer.
 * Layers that many need are in middleware.h.
 *
 * What a layer wants to add to every response, also to an error page that the server makes, it adds
 * just before the head is sent (skua_http_on_head). What it wants to know of the whole exchange it
 * asks at its end (skua_http_on_end).
 *
 * Source     tower's layers, Go's handlers around handlers.
 */
#ifndef SKUA_HTTP_LAYER_H
#define SKUA_HTTP_LAYER_H

#include <skua/http/exchange.h>

SKUA_C_BEGIN

typedef struct skua_http_chain skua_http_chain;

/* One layer.
 *
 * rest       what it stands around, for skua_http_chain_run; until it returns
 * state      what was given with it; shared by all requests
 * Returns    as a handler; mostly what the rest has returned
 */
typedef int (*skua_http_layer_fn)(skua_http_exchange *exchange, const skua_http_chain *rest,
                                  void *state);

typedef struct skua_http_layer {
    skua_http_layer_fn call;
    void *state;
} skua_http_layer;

/* Layers around a handler. In the caller's memory, as what it points to, as long as it is used. */
struct skua_http_chain {
    const skua_http_layer *layers; /* the outermost first */
    size_t count;
    skua_http_handler handler;
    void *state;
};

/* Of an array of layers. */
#define SKUA_HTTP_CHAIN(layers, handler, state)                                                    \
    {                                                                                              \
        (layers), sizeof(layers) / sizeof((layers)[0]), (handler), (state)                         \
    }

/* Runs a chain, or what is left of it.
 *
 * Returns    as the handler, or the layer that did not run it
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_chain_run(skua_http_exchange *exchange, const skua_http_chain *chain);

/* A chain as a handler: hand it to a server or a route, with the chain as its state.
 *
 * chain      a skua_http_chain
 * Returns    as skua_http_chain_run
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_chain_handler(skua_http_exchange *exchange, void *chain);

/* ---- observers ------------------------------------------------------------------------------- */

/* Is told that the head is about to be sent: status and headers may still be changed. It does not
 * reply or write: that fails with SKUA_EUSAGE. */
typedef void (*skua_http_head_fn)(skua_http_exchange *exchange, void *state);

/* Has a function called just before the head of the response is sent, once. Of several the last one
 * that was added is called first.
 *
 * state      handed to it; alive until the exchange has ended
 * Returns    0; -EALREADY: the response was begun; -EINVAL: no function; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_on_head(skua_http_exchange *exchange, skua_http_head_fn fn, void *state);

/* An exchange that has ended. */
typedef struct skua_http_summary {
    int status;        /* of the response */
    int code;          /* what the handler has returned */
    int error;         /* 0: the response is whole; why it is not */
    int64_t began;     /* monotonic ns: when the handler was called */
    int64_t duration;  /* ns from then to now */
    uint64_t received; /* bytes of the request's body that were read by the handler */
    uint64_t sent;     /* bytes of the response's body */
} skua_http_summary;

/* Is told that an exchange has ended; the request can still be asked. What was gathered of the
 * response may be on its way. */
typedef void (*skua_http_end_fn)(skua_http_exchange *exchange, const skua_http_summary *summary,
                                 void *state);

/* Has a function called when the exchange has ended, however. Of several the last one that was
 * added is called first.
 *
 * state      handed to it; alive until then
 * Returns    0; -EINVAL: no function; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_on_end(skua_http_exchange *exchange, skua_http_end_fn fn, void *state);

/* The status as it is so far; after the response was begun, as it was sent.
 *
 * Returns    200 to 599
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_status(const skua_http_exchange *exchange);

/* ---- error pages ----------------------------------------------------------------------------- */

/* Makes the page of an error: replies with the status. One that fails, or does not reply, leaves it
 * to the plain page.
 *
 * detail     what is wrong, for people; NULL: nothing more than the status says. It may quote the
 *            request: escape it
 */
typedef int (*skua_http_page_fn)(skua_http_exchange *exchange, int status, const char *detail,
                                 void *state);

/* Replies with the page of an error: the exchange's (skua_http_pages_layer), or a plain one. The
 * headers that were set are sent with it.
 *
 * status     400 to 599
 * detail     see skua_http_page_fn
 * Returns    as skua_http_reply
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_refuse(skua_http_exchange *exchange, int status, const char *detail);

/* Who makes error pages.
 *
 * page       NULL: nobody, they are plain
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API void skua_http_set_page(skua_http_exchange *exchange, skua_http_page_fn page, void *state);

/* ---- notes ----------------------------------------------------------------------------------- */

/* Notes something for whoever comes later: the user whom a layer has found, for the handler.
 *
 * key        any address that nobody else uses: of a static variable
 * value      the caller's, until the exchange has ended; NULL takes the note away
 * Returns    0; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_note(skua_http_exchange *exchange, const void *key, void *value);

/* What was noted.
 *
 * Returns    the value; NULL: nothing was
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API void *skua_http_noted(const skua_http_exchange *exchange, const void *key);

SKUA_C_END

#endif
