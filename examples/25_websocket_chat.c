/* 25_websocket_chat.c - a chat room: what one says, all hear.
 *
 *     ./25_websocket_chat 127.0.0.1:8080       a room, with a page for browsers at /
 *     ./25_websocket_chat                      opens a room, and three clients who talk there
 *
 * A guest is two tasks: the handler receives and says it to a broadcast channel; another one hears
 * the channel and sends. Whoever is too slow for the talk misses some of it, and is told so; nobody
 * waits for anybody.
 *
 *     cc 25_websocket_chat.c $(pkg-config --cflags --libs skua-http) && ./a.out 127.0.0.1:8080
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skua/http/router.h>
#include <skua/http/server.h>
#include <skua/http/websocket.h>
#include <skua/skua.h>

#define LINE_MAX_BYTES 400

struct line {
    char text[LINE_MAX_BYTES];
};

struct guest {
    skua_websocket *ws;
    skua_broadcast_receiver *room;
};

/* ---- the room -------------------------------------------------------------------------------- */

static int hears(void *arg)
{
    struct guest *guest = arg;
    struct line line;
    int rc = 0;

    while (rc == 0) {
        rc = skua_broadcast_recv(guest->room, &line);
        if (rc == SKUA_ELAGGED) {
            (void)snprintf(line.text, sizeof line.text, "(%llu lines were missed)",
                           (unsigned long long)skua_broadcast_lag(guest->room));
            rc = 0;
        }
        if (rc == 0)
            rc = skua_websocket_send_text(guest->ws, line.text);
    }
    return rc;
}

static int says(struct guest *guest, skua_broadcast_sender *room, const char *name)
{
    skua_websocket_message message;
    struct line line;
    int rc;

    while ((rc = skua_websocket_recv(guest->ws, &message)) == 0) {
        int len = snprintf(line.text, sizeof line.text, "%s: %s", name, message.data);

        if (len < (int)sizeof line.text && message.type == SKUA_WEBSOCKET_TEXT)
            (void)skua_broadcast_send(room, &line);
    }
    return rc;
}

static int enter(skua_http_exchange *exchange, void *room)
{
    const char *name = skua_http_query_value(exchange, "name");
    struct guest guest;
    skua_scope scope;
    int rc = skua_broadcast_subscribe(room, &guest.room);

    if (rc != 0)
        return rc;
    rc = skua_websocket_accept(&guest.ws, exchange,
                               SKUA_WEBSOCKET_OPTIONS(.message_max = LINE_MAX_BYTES / 2,
                                                      .deflate = 1, .deflate_no_context = 1));
    if (rc == 0) {
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        rc = skua_spawn(&scope, hears, &guest);
        if (rc == 0)
            rc = says(&guest, room, name != NULL && *name != '\0' ? name : "somebody");
        (void)skua_scope_cancel(&scope);
        (void)skua_websocket_close(guest.ws, rc == -ECANCELED ? 1001 : 1000, NULL);
        (void)skua_scope_join(&scope);
        skua_websocket_free(guest.ws);
    }
    skua_broadcast_receiver_close(guest.room);
    return rc == SKUA_ECLOSED ? 0 : rc;
}

static int page(skua_http_exchange *exchange, void *state)
{
    static const char text[] =
        "<!doctype html><title>Chat</title><meta charset=utf-8>\n"
        "<pre id=talk></pre><form id=say><input id=line autofocus maxlength=100></form>\n"
        "<script>\n"
        "const name = prompt('Who are you?') || '';\n"
        "const ws = new WebSocket('ws://' + location.host + '/room?name=' +\n"
        "                         encodeURIComponent(name));\n"
        "const add = (text) => talk.append(text + '\\n');\n"
        "ws.onmessage = (e) => add(e.data);\n"
        "ws.onclose = (e) => add('(closed: ' + e.code + ')');\n"
        "say.onsubmit = () => { ws.send(line.value); line.value = ''; return false; };\n"
        "</script>\n";

    (void)state;
    return skua_http_reply(exchange, 200, "text/html", text, sizeof text - 1);
}

struct house {
    skua_broadcast_sender *room;
    skua_http_router *router;
    skua_http_server *server;
    skua_listener *listener;
};

static int open_house(struct house *house, const char *address)
{
    int rc = skua_broadcast_new(&house->room, sizeof(struct line), 64);

    rc = rc == 0 ? skua_http_router_new(&house->router) : rc;
    rc = rc == 0 ? skua_http_route(house->router, "GET", "/", page, NULL) : rc;
    rc = rc == 0 ? skua_http_route(house->router, "GET", "/room", enter, house->room) : rc;
    if (rc == 0)
        rc = skua_http_server_new(&house->server, skua_http_router_handler, house->router,
                                  SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = SKUA_SECOND / 4));
    return rc == 0 ? skua_tcp_listen(&house->listener, address, NULL) : rc;
}

static int keep_house(void *arg)
{
    struct house *house = arg;

    return skua_http_server_run(house->server, house->listener);
}

static void leave_house(struct house *house)
{
    (void)skua_listener_close(house->listener);
    skua_http_server_free(house->server);
    skua_http_router_free(house->router);
    skua_broadcast_sender_close(house->room);
}

/* ---- without arguments: clients -------------------------------------------------------------- */

struct client {
    const char *url, *line;
    skua_wait_group *inside; /* who is not in the room yet */
    int heard;
};

/* Says a line when all are there, and hears three: its own and the others'. */
static int visits(void *arg)
{
    struct client *self = arg;
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_connect(&ws, self->url, SKUA_WEBSOCKET_OPTIONS(.deflate = 1));

    (void)skua_wait_group_done(self->inside);
    if (rc != 0)
        return rc;
    rc = skua_wait_group_wait(self->inside);
    if (rc == 0)
        rc = skua_websocket_send_text(ws, self->line);
    while (rc == 0 && self->heard < 3) {
        rc = skua_websocket_recv(ws, &message);
        if (rc == 0) {
            printf("%s hears \"%s\"\n", strchr(self->url, '=') + 1, message.data);
            self->heard++;
        }
    }
    (void)skua_websocket_close(ws, 1000, "good night");
    skua_websocket_free(ws);
    return rc;
}

static int talk_in(const char *address)
{
    static const char *const names[] = {"ada", "bob", "eve"};
    static const char *const lines[] = {"good evening", "hello", "who is there?"};
    skua_wait_group inside = SKUA_WAIT_GROUP_INIT;
    struct client clients[3];
    char urls[3][SKUA_ADDRESS_MAX + 32];
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_FAIL_FAST);

    (void)skua_wait_group_add(&inside, 3);
    for (int i = 0; rc == 0 && i < 3; i++) {
        (void)snprintf(urls[i], sizeof urls[i], "ws://%s/room?name=%s", address, names[i]);
        clients[i] = (struct client){urls[i], lines[i], &inside, 0};
        rc = skua_spawn(&scope, visits, &clients[i]);
    }
    return skua_scope_join(&scope);
}

static int app(void *arg)
{
    const char *given = arg;
    struct house house = {0};
    char address[SKUA_ADDRESS_MAX];
    skua_scope scope;
    int rc = open_house(&house, given != NULL ? given : "127.0.0.1:0");

    if (rc == 0)
        rc = skua_listener_address(house.listener, address, sizeof address);
    if (rc == 0 && given != NULL) {
        printf("a room at http://%s/\n", address);
        rc = keep_house(&house);
    } else if (rc == 0) {
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        rc = skua_spawn(&scope, keep_house, &house);
        rc = rc == 0 ? talk_in(address) : rc;
        (void)skua_scope_cancel(&scope);
        (void)skua_scope_join(&scope);
    }
    leave_house(&house);
    if (rc != 0 && rc != -ECANCELED)
        fprintf(stderr, "%s\n", skua_strerror(rc));
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    return skua_main(app, argc > 1 ? argv[1] : NULL,
                     SKUA_RUNTIME_OPTIONS(.name = "chat", .stop_on = SKUA_SIGNALS_TERM));
}
