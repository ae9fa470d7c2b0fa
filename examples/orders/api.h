/* api.h - the routes of the service, and what stands around them. */
#ifndef ORDERS_API_H
#define ORDERS_API_H

#include <skua/http/health.h>
#include <skua/http/middleware.h>
#include <skua/http/router.h>

#include "config.h"
#include "store.h"

/* In the caller's memory, as long as the server runs. */
struct api {
    const struct config *config;
    struct store *store;
    skua_http_router *router;
    skua_http_health *health; /* whoever serves says when it is ready */
    skua_limiter running;
    skua_http_limit limit;
    skua_http_log log;
    skua_http_pages pages;
    int64_t timeout;
    skua_http_layer around[3];
    skua_http_chain chain; /* the whole: skua_http_chain_handler's state */
};

/* Returns    0, -ENOMEM …: nothing was made */
int api_init(struct api *self, const struct config *config, struct store *store);
void api_done(struct api *self);

#endif
