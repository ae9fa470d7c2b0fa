/* h2c_impl.h - what the files of this folder have in common. */
#ifndef SKUA_HTTP_H2C_IMPL_H
#define SKUA_HTTP_H2C_IMPL_H

#include "http/h2/h2_impl.h"
#include "http/h2client/h2c.h"

/* Of a stream: what its server may send before somebody reads it. */
#define SKUA__H2C_WINDOW ((uint32_t)512 * 1024)

struct skua__h2c {
    struct skua__h2 h2;
    struct skua__http_link link;             /* constant */
    const skua_http_client_options *options; /* constant */
    size_t crowd; /* requests that wait until the peer allows one more; guard: h2.mutex */
};

struct skua__h2c_stream {
    struct skua__h2_stream stream; /* the first member */
    struct skua__h2c *h2c;         /* constant */
    bool refused;                  /* it was not even opened; its opener's */
};

#endif
