/* chain.c - layers around a handler: each gets what is left of the chain. */
#include "http/core/http_impl.h"

int skua_http_chain_run(skua_http_exchange *exchange, const skua_http_chain *chain)
{
    skua_http_chain rest;

    if (chain->count == 0)
        return chain->handler(exchange, chain->state);
    rest = *chain;
    rest.layers++;
    rest.count--;
    return chain->layers[0].call(exchange, &rest, chain->layers[0].state);
}

int skua_http_chain_handler(skua_http_exchange *exchange, void *chain)
{
    return skua_http_chain_run(exchange, chain);
}
