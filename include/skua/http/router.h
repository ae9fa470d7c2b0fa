/* router.h - which handler answers which request.
 *
 *     skua_http_router_new(&router);
 *     skua_http_route(router, "GET", "/users/:id", show_user, db);
 *     skua_http_route(router, "POST", "/users", add_user, db);
 *     skua_http_route(router, "GET", "/files/" "*path", send_file, root);
 *     skua_http_serve("127.0.0.1:8080", skua_http_router_handler, router, NULL);
 *
 * A path is compared segment by segment. A segment of a pattern is text, ":name", which takes any
 * one segment that is not empty, or, as the last one, "*name", which takes all that is left, also
 * nothing. Text comes before ":name", and ":name" before "*name", whatever the order in which they
 * were added. The request's segments are percent-decoded, each by itself: "%2F" is no slash between
 * two. What a name has taken is a parameter of the exchange (skua_http_param).
 *
 * HEAD is answered as GET where no route of its own is there; OPTIONS with the methods that the
 * path has. A path that is known, but not with the method, gets 405 and an Allow header (RFC 9110,
 * 15.5.6); one that is not known goes to the fallback, or gets 404; a malformed one gets 400.
 *
 * A router is made, then used: routes are added before the first request. From then on any number
 * of connections may use it at once.
 *
 * Source: axum's Router, Go's ServeMux.
 */
#ifndef SKUA_HTTP_ROUTER_H
#define SKUA_HTTP_ROUTER_H

#include <skua/http/layer.h>

SKUA_C_BEGIN

typedef struct skua_http_router skua_http_router;

/* Makes a router without routes.
 *
 * ret        receives it, to be ended by skua_http_router_free; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_http_router_new(skua_http_router **ret);

/* Adds a route.
 *
 * method     "GET"; NULL: every method that has none of its own
 * pattern    begins with '/'; copied
 * handler    called for each request
 * state      handed to it; the caller's, as long as the router
 * Returns    0; -EINVAL: the pattern is malformed (no '/', an empty or doubled name, "*name" not at
 *            the end, more than 16 names); -EEXIST: there is one that takes the same; -ENOMEM
 * Threads    one at a time, before the first request
 * Since      0.2
 */
SKUA_API int skua_http_route(skua_http_router *router, const char *method, const char *pattern,
                             skua_http_handler handler, void *state);

/* Adds all routes of another router behind a prefix: nested routers.
 *
 * prefix     as a pattern, without "*name"; "/api" or "/users/:id"
 * inner      its routes are copied; the caller's, as before
 * Returns    as skua_http_route; on failure nothing was added
 * Threads    as skua_http_route
 * Since      0.2
 */
SKUA_API int skua_http_route_nest(skua_http_router *router, const char *prefix,
                                  const skua_http_router *inner);

/* Puts a layer around every route that the router has now, outside of those that are there: around
 * a group, before it is nested. Not around the fallback, and what the router answers itself.
 *
 * call, state  see skua_http_layer_fn; the caller's, as long as the router, and as
 *            those in which it was nested
 * Returns    0; -EINVAL: no layer; -ENOMEM: it is around none
 * Threads    as skua_http_route
 * Since      0.3
 */
SKUA_API int skua_http_route_layer(skua_http_router *router, skua_http_layer_fn call, void *state);

/* Sets what answers paths that no route knows. It sets the status itself.
 *
 * Threads    as skua_http_route
 * Since      0.2
 */
SKUA_API void skua_http_route_fallback(skua_http_router *router, skua_http_handler handler,
                                       void *state);

/* A router as a handler: hand it to a server, with the router as its state.
 *
 * router     a skua_http_router
 * Returns    as the handler that it called
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API int skua_http_router_handler(skua_http_exchange *exchange, void *router);

/* The pattern of the route that answers: "/users/:id", for logs and metrics.
 *
 * Returns    as long as the router; NULL: no route (yet)
 * Threads    the handler's
 * Since      0.2
 */
SKUA_API const char *skua_http_route_of(const skua_http_exchange *exchange);

/* Frees a router that nobody uses any more.
 *
 * router     NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_http_router_free(skua_http_router *router);

SKUA_C_END

#endif
