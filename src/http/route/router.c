/* router.c - routes: a tree of segments, and at its nodes the methods.
 *
 * Match      the tree is walked down with the request's segments: text first, then ":name", then
 *            "*name", and back up where a branch ends in nothing. What the names take is noted by
 *            position: the route that is found at the end has the names.
 * Copy       the path is copied into the exchange's memory once, cut at its slashes and decoded.
 * Nesting    a router keeps its routes as a list, too: nesting adds each behind the prefix.
 */
#include <stdlib.h>

#include <skua/http/router.h>

#include "http/core/http_trace.h"

/* Segments of a path; one with more is known to no route. */
#define ROUTER_SEGMENTS 64
#define ROUTER_PATTERN 1024

struct router_route {
    struct router_route *next;   /* of the router, in the order in which they were added */
    struct router_route *sister; /* of the node */
    char *method;                /* NULL: any */
    char *pattern;
    skua_http_handler handler;
    void *state;
    skua_http_layer *layers; /* around the handler; the outermost first */
    size_t layers_count;
    unsigned params_count;
    char *params[SKUA__HTTP_PARAMS];
};

struct router_node {
    struct router_node *next;  /* another text at this place */
    struct router_node *texts; /* below */
    struct router_node *any;   /* below: ":name" */
    struct router_node *rest;  /* below: "*name" */
    struct router_route *routes;
    char *text;
};

struct skua_http_router {
    struct router_node root;
    struct router_route *routes;
    struct router_route **last;
    skua_http_handler fallback;
    void *fallback_state;
};

/* A request's path, cut. */
struct router_path {
    unsigned count;
    char *decoded[ROUTER_SEGMENTS];
    const char *raw[ROUTER_SEGMENTS]; /* from the segment's begin to the path's end */
    struct router_node *found;
    const char *values[SKUA__HTTP_PARAMS];
};

/* ---- making ---------------------------------------------------------------------------------- */

static char *router_copy(const char *text, size_t len)
{
    char *copy = skua__http_malloc(len + 1);

    return copy != NULL ? memcpy(copy, text, len) : NULL;
}

static void router_route_free(struct router_route *route)
{
    if (route == NULL)
        return;
    for (unsigned i = 0; i < route->params_count; i++)
        skua__http_free(route->params[i]);
    skua__http_free(route->method);
    skua__http_free(route->pattern);
    skua__http_free(route->layers);
    skua__http_free(route);
}

static void router_node_free(struct router_node *node)
{
    while (node->texts != NULL) {
        struct router_node *gone = node->texts;

        node->texts = gone->next;
        router_node_free(gone);
        skua__http_free(gone);
    }
    if (node->any != NULL)
        router_node_free(node->any);
    if (node->rest != NULL)
        router_node_free(node->rest);
    skua__http_free(node->any);
    skua__http_free(node->rest);
    skua__http_free(node->text);
}

int skua_http_router_new(skua_http_router **ret)
{
    skua_http_router *router = skua__http_malloc(sizeof *router);

    if (router == NULL)
        return -ENOMEM;
    router->last = &router->routes;
    *ret = router;
    return 0;
}

void skua_http_router_free(skua_http_router *router)
{
    if (router == NULL)
        return;
    router_node_free(&router->root);
    while (router->routes != NULL) {
        struct router_route *gone = router->routes;

        router->routes = gone->next;
        router_route_free(gone);
    }
    skua__http_free(router);
}

void skua_http_route_fallback(skua_http_router *router, skua_http_handler handler, void *state)
{
    router->fallback = handler;
    router->fallback_state = state;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static int router_param(struct router_route *route, const char *name, size_t len)
{
    if (len == 0 || route->params_count == SKUA__HTTP_PARAMS)
        return -EINVAL;
    for (unsigned i = 0; i < route->params_count; i++)
        if (strlen(route->params[i]) == len && memcmp(route->params[i], name, len) == 0)
            return -EINVAL;
    route->params[route->params_count] = router_copy(name, len);
    if (route->params[route->params_count] == NULL)
        return -ENOMEM;
    route->params_count++;
    return 0;
}

/* The names of a pattern that is well-formed. */
static int router_params(struct router_route *route, const char *pattern)
{
    if (*pattern != '/' || strlen(pattern) > ROUTER_PATTERN)
        return -EINVAL;
    while (*pattern == '/') {
        size_t len = strcspn(++pattern, "/");
        int rc = 0;

        if (*pattern == '*' && pattern[len] != '\0')
            return -EINVAL;
        if (*pattern == ':' || *pattern == '*')
            rc = router_param(route, pattern + 1, len - 1);
        if (rc != 0)
            return rc;
        pattern += len;
    }
    return 0;
}

/* The node of a segment below another; made when there is none. NULL: no memory. */
static struct router_node *router_below(struct router_node *node, const char *text, size_t len)
{
    struct router_node **at = *text == ':' ? &node->any : *text == '*' ? &node->rest : &node->texts;
    struct router_node *below;

    if (at == &node->texts)
        while (*at != NULL && (strlen((*at)->text) != len || memcmp((*at)->text, text, len) != 0))
            at = &(*at)->next;
    if (*at != NULL)
        return *at;
    below = skua__http_malloc(sizeof *below);
    if (below == NULL)
        return NULL;
    below->text = router_copy(text, len);
    if (below->text == NULL) {
        skua__http_free(below);
        return NULL;
    }
    *at = below; /* a node without routes is never found: it may stay when the rest fails */
    return below;
}

static struct router_route *router_method(const struct router_node *node, const char *method)
{
    for (struct router_route *at = node->routes; at != NULL; at = at->sister)
        if (at->method == NULL ? method == NULL : method && strcmp(at->method, method) == 0)
            return at;
    return NULL;
}

static int router_hang(skua_http_router *router, struct router_route *route)
{
    struct router_node *node = &router->root;
    const char *at = route->pattern;

    while (*at == '/') {
        size_t len = strcspn(++at, "/");

        node = router_below(node, at, len);
        if (node == NULL)
            return -ENOMEM;
        at += len;
    }
    if (router_method(node, route->method) != NULL)
        return -EEXIST;
    route->sister = node->routes;
    node->routes = route;
    *router->last = route;
    router->last = &route->next;
    return 0;
}

int skua_http_route(skua_http_router *router, const char *method, const char *pattern,
                    skua_http_handler handler, void *state)
{
    struct router_route *route;
    int rc;

    if (handler == NULL || (method != NULL && !skua__http_is_token(method, strlen(method))))
        return -EINVAL;
    route = skua__http_malloc(sizeof *route);
    if (route == NULL)
        return -ENOMEM;
    route->handler = handler;
    route->state = state;
    rc = router_params(route, pattern);
    if (rc == 0) {
        route->pattern = router_copy(pattern, strlen(pattern));
        route->method = method != NULL ? router_copy(method, strlen(method)) : NULL;
        if (route->pattern == NULL || (method != NULL && route->method == NULL))
            rc = -ENOMEM;
    }
    if (rc == 0)
        rc = router_hang(router, route);
    if (rc != 0)
        router_route_free(route);
    return rc;
}

/* Takes a route out of its node, wherever below that is. */
static void router_unhang(struct router_node *node, const struct router_route *route)
{
    for (struct router_route **at = &node->routes; *at != NULL; at = &(*at)->sister)
        if (*at == route) {
            *at = route->sister;
            return;
        }
    for (struct router_node *at = node->texts; at != NULL; at = at->next)
        router_unhang(at, route);
    if (node->any != NULL)
        router_unhang(node->any, route);
    if (node->rest != NULL)
        router_unhang(node->rest, route);
}

/* The routes that were added last, from `mark` on, are taken back. */
static void router_take_back(skua_http_router *router, struct router_route **mark)
{
    while (*mark != NULL) {
        struct router_route *gone = *mark;

        *mark = gone->next;
        router_unhang(&router->root, gone);
        router_route_free(gone);
    }
    router->last = mark;
}

/* The route that was added last has the same layers as another. */
static int router_layers(skua_http_router *router, const struct router_route *from)
{
    struct router_route *route = router->routes;

    while (route->next != NULL)
        route = route->next;
    route->layers = skua__http_malloc(from->layers_count * sizeof *route->layers);
    if (route->layers == NULL)
        return -ENOMEM;
    memcpy(route->layers, from->layers, from->layers_count * sizeof *route->layers);
    route->layers_count = from->layers_count;
    return 0;
}

int skua_http_route_layer(skua_http_router *router, skua_http_layer_fn call, void *state)
{
    if (call == NULL)
        return -EINVAL;
    /* First room for all, then all: it is around every route, or around none. */
    for (struct router_route *at = router->routes; at != NULL; at = at->next) {
        void *layers = skua__http_realloc(at->layers, (at->layers_count + 1) * sizeof *at->layers);

        if (layers == NULL)
            return -ENOMEM;
        at->layers = layers;
    }
    for (struct router_route *at = router->routes; at != NULL; at = at->next) {
        memmove(at->layers + 1, at->layers, at->layers_count++ * sizeof *at->layers);
        at->layers[0] = (skua_http_layer){call, state};
    }
    return 0;
}

int skua_http_route_nest(skua_http_router *router, const char *prefix,
                         const skua_http_router *inner)
{
    struct router_route **mark = router->last;
    char pattern[2 * ROUTER_PATTERN + 2];
    size_t len = strlen(prefix);
    int rc = 0;

    if (*prefix != '/' || len > ROUTER_PATTERN || strstr(prefix, "/*") != NULL || router == inner)
        return -EINVAL;
    len -= prefix[len - 1] == '/';
    memcpy(pattern, prefix, len);
    for (const struct router_route *at = inner->routes; rc == 0 && at != NULL; at = at->next) {
        bool whole = len != 0 && strcmp(at->pattern, "/") == 0; /* "/api" has "/api", not "/api/" */

        memcpy(pattern + len, whole ? "" : at->pattern, whole ? 1 : strlen(at->pattern) + 1);
        rc = skua_http_route(router, at->method, pattern, at->handler, at->state);
        if (rc == 0 && at->layers_count != 0)
            rc = router_layers(router, at);
    }
    if (rc != 0)
        router_take_back(router, mark);
    return rc;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Cuts and decodes: 0; the status to answer with. */
static int router_cut(skua_http_exchange *exchange, struct router_path *path)
{
    char *at = skua__http_arena_copy(&exchange->arena, exchange->path, strlen(exchange->path));
    const char *raw = exchange->path;

    if (at == NULL)
        return 503;
    path->count = 0;
    while (*raw == '/') {
        size_t len = strcspn(++raw, "/");
        ssize_t n;

        if (path->count == ROUTER_SEGMENTS)
            return 404;
        at++;
        path->raw[path->count] = raw;
        path->decoded[path->count++] = at;
        n = skua__http_decode(at, raw, len, false);
        if (n < 0)
            return 400;
        at[n] = '\0';
        at += len;
        raw += len;
    }
    return 0;
}

/* Walks down from `node`, which stands for all before segment `i`. */
static bool router_find(struct router_node *node, struct router_path *path, unsigned i,
                        unsigned params)
{
    if (i == path->count && node->routes != NULL) {
        path->found = node;
        return true;
    }
    if (i < path->count) {
        for (struct router_node *at = node->texts; at != NULL; at = at->next)
            if (strcmp(at->text, path->decoded[i]) == 0 && router_find(at, path, i + 1, params))
                return true;
        if (node->any != NULL && *path->decoded[i] != '\0') {
            path->values[params] = path->decoded[i];
            if (router_find(node->any, path, i + 1, params + 1))
                return true;
        }
    }
    if (node->rest == NULL || i == path->count)
        return false;
    path->values[params] = path->raw[i];
    path->found = node->rest;
    return true;
}

/* The parameters get their names. "*name" has its part of the path, decoded. */
static int router_bind(skua_http_exchange *exchange, const struct router_route *route,
                       const struct router_path *path)
{
    const char *last = strrchr(route->pattern, '/');

    exchange->params_count = route->params_count;
    for (unsigned i = 0; i < route->params_count; i++)
        exchange->params[i] =
            (struct skua__http_param){.name = route->params[i], .value = path->values[i]};
    if (last[1] == '*') {
        struct skua__http_param *rest = &exchange->params[route->params_count - 1];
        size_t len = strlen(rest->value);
        char *text = skua__http_arena_copy(&exchange->arena, rest->value, len);
        ssize_t n = text != NULL ? skua__http_decode(text, text, len, false) : -1;

        if (n < 0)
            return -ENOMEM; /* it was well-formed, segment by segment */
        text[n] = '\0';
        rest->value = text;
    }
    exchange->route = route->pattern;
    if (exchange->span != NULL)
        skua__http_trace_route(exchange);
    return 0;
}

/* The methods of a path, for Allow. */
static const char *router_allow(skua_http_exchange *exchange, const struct router_node *node)
{
    bool head = router_method(node, "GET") != NULL && router_method(node, "HEAD") == NULL;
    size_t len = sizeof "HEAD, OPTIONS";
    char *text, *at;

    for (const struct router_route *route = node->routes; route != NULL; route = route->sister)
        len += route->method != NULL ? strlen(route->method) + 2 : 0;
    text = at = skua__http_arena_alloc(&exchange->arena, len);
    if (text == NULL)
        return NULL;
    for (const struct router_route *route = node->routes; route != NULL; route = route->sister) {
        size_t n = route->method != NULL ? strlen(route->method) : 0;

        if (n == 0)
            continue;
        memcpy(at, route->method, n);
        memcpy(at + n, ", ", 2);
        at += n + 2;
    }
    if (head) {
        memcpy(at, "HEAD, ", 6);
        at += 6;
    }
    memcpy(at, "OPTIONS", 8);
    if (router_method(node, "OPTIONS") != NULL)
        at[-2] = '\0'; /* it is in the list already */
    return text;
}

/* The path is there, the method is not. */
static int router_other_method(skua_http_exchange *exchange, const struct router_node *node)
{
    const char *allow = router_allow(exchange, node);
    int rc = allow != NULL ? skua_http_set_header(exchange, "Allow", allow) : -ENOMEM;

    if (rc != 0)
        return rc;
    if (strcmp(exchange->method, "OPTIONS") == 0)
        return skua_http_reply(exchange, 204, NULL, NULL, 0);
    return skua_http_refuse(exchange, 405, NULL);
}

int skua_http_router_handler(skua_http_exchange *exchange, void *arg)
{
    skua_http_router *router = arg;
    struct router_path path;
    const struct router_route *route;
    int status = router_cut(exchange, &path);
    int rc;

    if (status != 0 && status != 404)
        return skua_http_refuse(exchange, status, NULL);
    if (status != 0 || !router_find(&router->root, &path, 0, 0)) {
        return router->fallback != NULL ? router->fallback(exchange, router->fallback_state)
                                        : skua_http_refuse(exchange, 404, NULL);
    }
    route = router_method(path.found, exchange->method);
    if (route == NULL && strcmp(exchange->method, "HEAD") == 0)
        route = router_method(path.found, "GET");
    if (route == NULL)
        route = router_method(path.found, NULL);
    if (route == NULL)
        return router_other_method(exchange, path.found);
    rc = router_bind(exchange, route, &path);
    return rc == 0 ? skua_http_chain_run(exchange, &(skua_http_chain){.layers = route->layers,
                                                                      .count = route->layers_count,
                                                                      .handler = route->handler,
                                                                      .state = route->state})
                   : rc;
}

const char *skua_http_route_of(const skua_http_exchange *exchange)
{
    return exchange->route;
}

#undef ROUTER_SEGMENTS
#undef ROUTER_PATTERN
