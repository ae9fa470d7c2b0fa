/* h2s.h - a server's connection of HTTP/2, as the server sees it; without nghttp2.
 */
#ifndef SKUA_HTTP_H2S_H
#define SKUA_HTTP_H2S_H

#include <skua/http/server.h>
#include <skua/notify.h>

#include "http/core/http_impl.h"

/* What every connection begins with: RFC 9113, 3.4. */
#define SKUA__H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SKUA__H2_PREFACE_LEN 24u

/* What the server is told, and tells. */
struct skua__h2s_watch {
    /* Whom to tell when the server begins to stop; NULL: nobody any more. */
    void (*listen)(void *arg, skua_notify *told);
    /* Whether it has begun to. */
    bool (*stopping)(void *arg);
    /* A request was answered without a handler. By any task of the connection. */
    void (*refused)(void *arg);
};

struct skua__h2s_call {
    skua_io io;
    const skua_http_server_options *options;
    const struct skua__h2s_watch *watch;
    void *watcher;
    skua_http_handler handler; /* with `watcher` as its state; by many tasks at a time */
    const char *peer;
    bool secure;
};

/* Whether this library speaks HTTP/2. */
bool skua__h2s_there(void);
/* Until the connection ends. bytes: what has come already, of skua__http_raw's, which it frees as
 * soon as it can; NULL: nothing. 0, or why it ended otherwise. */
int skua__h2s_serve(const struct skua__h2s_call *call, char *bytes, size_t len);

#endif
