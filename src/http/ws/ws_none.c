/* ws_none.c - in the place of all other files here, where there is no wslay: the same functions,
 * which say so.
 */
#include <errno.h>
#include <string.h>

#include <skua/http/websocket.h>

void skua_websocket_options_init(skua_websocket_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_websocket_accept(skua_websocket **ret, skua_http_exchange *exchange,
                          const skua_websocket_options *options)
{
    (void)ret;
    (void)exchange;
    (void)options;
    return -ENOSYS;
}

int skua_websocket_connect(skua_websocket **ret, const char *url,
                           const skua_websocket_options *options)
{
    (void)ret;
    (void)url;
    (void)options;
    return -ENOSYS;
}

void skua_websocket_info_of(skua_websocket *ws, skua_websocket_info *ret)
{
    (void)ws;
    memset(ret, 0, sizeof *ret);
    ret->protocol = "";
}

int skua_websocket_recv(skua_websocket *ws, skua_websocket_message *ret)
{
    (void)ws;
    (void)ret;
    return -ENOSYS;
}

int skua_websocket_recv_until(skua_websocket *ws, skua_websocket_message *ret, int64_t deadline)
{
    (void)deadline;
    return skua_websocket_recv(ws, ret);
}

int skua_websocket_next(skua_websocket *ws)
{
    (void)ws;
    return -ENOSYS;
}

ssize_t skua_websocket_read(skua_websocket *ws, void *buf, size_t len)
{
    (void)ws;
    (void)buf;
    (void)len;
    return -ENOSYS;
}

int skua_websocket_send(skua_websocket *ws, skua_websocket_type type, const void *data, size_t len)
{
    (void)ws;
    (void)type;
    (void)data;
    (void)len;
    return -ENOSYS;
}

int skua_websocket_send_text(skua_websocket *ws, const char *text)
{
    (void)ws;
    (void)text;
    return -ENOSYS;
}

int skua_websocket_send_piece(skua_websocket *ws, skua_websocket_type type, const void *data,
                              size_t len, int last)
{
    (void)last;
    return skua_websocket_send(ws, type, data, len);
}

int skua_websocket_ping(skua_websocket *ws, const void *data, size_t len)
{
    (void)ws;
    (void)data;
    (void)len;
    return -ENOSYS;
}

int skua_websocket_close(skua_websocket *ws, int code, const char *reason)
{
    (void)ws;
    (void)code;
    (void)reason;
    return -ENOSYS;
}

void skua_websocket_free(skua_websocket *ws)
{
    (void)ws;
}
