/* forward.c - the way of a request: its route, a member of the group, another one if that is
 * allowed, and the answer.
 *
 * Again, on another member, if all of these hold:
 *
 *   - nothing of the answer was passed on: no answer, or 502, 503, 504 as its status
 *   - the method is idempotent (RFC 9110, 9.2.2), or not even a connection came about
 *   - the body can be had again: there is none, it is a small one that was read as a whole, or
 *     nothing of its stream was read
 *   - the route has a try left, the group's budget a retry, and there is a member that was not
 *     asked: retries do not multiply the load of a group that is down
 *
 * A route is found by the path as an upstream may understand it: decoded, one slash for several.
 * Else "/%61dmin" would get by the limits of "/admin". A path with "." or ".." for a segment is
 * refused: the upstream would resolve it, and answer for another prefix than that of the route.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway.h"

/* Bodies of idempotent requests up to here are kept until the answer has come. */
#define BODY_KEPT ((int64_t)64 * 1024)

/* ---- the route ------------------------------------------------------------------------------- */

static int path_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a path, decoded; -1: what may not be in one. */
static int path_char(const char **at)
{
    int c = (unsigned char)*(*at)++;
    int high = c == '%' ? path_digit(**at) : -1;
    int low = high >= 0 ? path_digit((*at)[1]) : -1;

    if (c == '%') {
        if (low < 0 || 16 * high + low == 0)
            return -1;
        c = 16 * high + low;
        *at += 2;
    }
    return c == '\\' ? '/' : c; /* as some servers have it */
}

/* Whether a segment is "." or "..", also with parameters: "..;a". */
static bool path_is_dots(const char *segment)
{
    size_t dots = strspn(segment, ".");

    return (dots == 1 || dots == 2) && (segment[dots] == '\0' || strchr("/;", segment[dots]));
}

/* The path by which the route is found, into `ret`, which has as much room: 0 or -EINVAL. */
static int path_plain(const char *path, char *ret)
{
    char *to = ret;

    while (*path != '\0') {
        int c = path_char(&path);

        if (c < 0)
            return -EINVAL;
        if (c != '/' || to == ret || to[-1] != '/')
            *to++ = (char)c;
    }
    *to = '\0';
    for (const char *at = strchr(ret, '/'); at != NULL; at = strchr(at + 1, '/'))
        if (path_is_dots(at + 1))
            return -EINVAL;
    return 0;
}

static bool route_has_host(const struct route *route, const char *authority)
{
    size_t len = strlen(route->host);

    if (len == 0)
        return true;
    if (strncasecmp(authority, route->host, len) != 0)
        return false;
    authority += len + (authority[len] == '.'); /* "example.org." is the same */
    return *authority == '\0' || *authority == ':';
}

static bool route_has_path(const struct route *route, const char *path)
{
    size_t len = strlen(route->prefix);

    return len == 1 ||
           (strncmp(path, route->prefix, len) == 0 && (path[len] == '\0' || path[len] == '/'));
}

/* The one with the longest prefix; a host comes before none. */
static struct route *route_find(struct gateway *gateway, const char *authority, const char *path)
{
    struct route *best = NULL;
    size_t best_rank = 0;

    for (unsigned i = 0; i < gateway->routes_count; i++) {
        struct route *route = &gateway->routes[i];
        size_t rank = strlen(route->prefix) + (*route->host != '\0' ? NAME_SIZE : 0);

        if (rank > best_rank && route_has_host(route, authority) && route_has_path(route, path)) {
            best = route;
            best_rank = rank;
        }
    }
    return best;
}

static int gateway_key; /* its address is the note's */

int forward(skua_http_exchange *exchange, void *state)
{
    const char *path = skua_http_path(exchange);
    char *plain = skua_http_alloc(exchange, strlen(path) + 1);
    struct route *route;
    int rc;

    if (plain == NULL)
        return -ENOMEM;
    if (strcmp(path, "*") == 0) /* OPTIONS of the server: that is us */
        return skua_http_reply(exchange, 204, NULL, NULL, 0);
    if (path_plain(path, plain) != 0)
        return skua_http_refuse(exchange, 400, "the path has dots, or is not encoded well");
    route = route_find(state, skua_http_authority(exchange), plain);
    if (route == NULL)
        return skua_http_refuse(exchange, 404, NULL);
    rc = skua_http_note(exchange, &gateway_key, state);
    return rc == 0 ? skua_http_chain_run(exchange, &route->chain) : rc;
}

/* ---- one try --------------------------------------------------------------------------------- */

static ssize_t body_read(void *state, void *buf, size_t len)
{
    struct passage *passage = state;
    ssize_t n = skua_http_read(passage->exchange, buf, len);

    passage->begun = true;
    if (n < 0)
        passage->body_error = (int)n;
    return n;
}

static int ask(struct passage *passage, struct choice *choice, skua_http_response **response)
{
    skua_http_exchange *exchange = passage->exchange;
    struct group *group = passage->route->group;
    size_t size = sizeof "http://" + strlen(choice->member->address) + strlen(passage->target);
    char *url = skua_http_alloc(exchange, size);
    int64_t length = skua_http_body_length(exchange);
    skua_deadline limit;
    int rc;

    if (url == NULL)
        return -ENOMEM;
    (void)snprintf(url, size, "http://%s%s", choice->member->address, passage->target);
    /* A body takes as long as the client sends it; what is without one has no excuse. */
    (void)skua_deadline_begin(&limit, passage->stream ? SKUA_FOREVER : skua_now() + group->timeout);
    rc = skua_http_client_send(
        group->client,
        SKUA_HTTP_REQUEST(.url = url, .method = skua_http_method(exchange),
                          .headers = passage->fields.at, .headers_count = passage->fields.count,
                          .body = passage->body, .body_len = passage->body_len,
                          .body_read = passage->stream ? body_read : NULL, .body_state = passage,
                          .body_length = passage->stream && length > 0 ? length : 0,
                          .expect_continue =
                              passage->stream && skua_http_header(exchange, "Expect") != NULL),
        response);
    (void)skua_deadline_end(&limit);
    return rc == -EAGAIN ? -EHOSTUNREACH : rc; /* of a name: -EAGAIN is for "nobody was asked" */
}

/* What the answer says of the member. */
static int verdict(const struct passage *passage, int rc, const skua_http_response *response)
{
    int status = rc == 0 ? skua_http_response_status(response) : 0;

    if (passage->body_error != 0 || rc == -EINVAL || rc == -ENOMEM)
        return -ECANCELED; /* the client's fault, or ours */
    return status >= 502 && status <= 504 ? -EIO : rc;
}

/* ---- again ----------------------------------------------------------------------------------- */

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

/* No connection came about: nobody has heard of the request. */
static bool is_unheard(int rc)
{
    return rc == -ECONNREFUSED || rc == -EHOSTUNREACH || rc == -ENETUNREACH || rc == -ENOENT;
}

static bool may_again(struct passage *passage, int rc)
{
    struct group *group = passage->route->group;

    if (rc == 0 || rc == -ECANCELED || passage->begun ||
        __builtin_popcount(passage->tried) >= passage->route->tries)
        return false;
    if (!is_idempotent(skua_http_method(passage->exchange)) && !is_unheard(rc))
        return false;
    return skua_retry_budget_try_withdraw(&group->budget) == 0;
}

/* Asks until there is an answer to pass on, or nobody to ask. *choice is judged, and still to be
 * ended, unless this is -EAGAIN. */
static int ask_all(struct passage *passage, struct choice *choice, skua_http_response **response)
{
    struct group *group = passage->route->group;
    int rc = group_choose(group, 0, choice);

    if (rc != 0)
        return rc;
    skua_retry_budget_deposit(&group->budget);
    for (;;) {
        struct choice next;
        int judged;

        passage->tried |= choice->bit;
        rc = ask(passage, choice, response);
        judged = verdict(passage, rc, rc == 0 ? *response : NULL);
        choice_judge(choice, judged);
        if (!may_again(passage, judged) || group_choose(group, passage->tried, &next) != 0)
            return rc;
        if (rc == 0)
            skua_http_response_close(*response);
        choice_end(choice);
        count_one(&next.member->retries);
        *choice = next;
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

int answer_for(struct passage *passage, int rc)
{
    skua_http_exchange *exchange = passage->exchange;
    char seconds[24];

    if (passage->body_error != 0)
        return passage->body_error; /* 400, 408 or 413 */
    switch (rc) {
    case -ECANCELED:
    case -ENOMEM:
        return rc;
    case -EINVAL:
        return skua_http_refuse(exchange, 400, "not to be passed on");
    case -ETIMEDOUT:
        return skua_http_refuse(exchange, 504, "the upstream is too slow");
    case -EAGAIN:
        (void)snprintf(seconds, sizeof seconds, "%lld",
                       (long long)(group_retry_after(passage->route->group) / SKUA_SECOND + 1));
        (void)skua_http_set_header(exchange, "Retry-After", seconds);
        return skua_http_refuse(exchange, 503, "no upstream is available");
    default:
        return skua_http_refuse(exchange, 502, "the upstream has failed");
    }
}

/* How the body goes along. */
static int passage_body(struct passage *passage)
{
    skua_http_exchange *exchange = passage->exchange;
    int64_t length = skua_http_body_length(exchange);
    int64_t max = passage->route->body;
    char *body;
    int rc;

    (void)skua_http_set_body_max(exchange, max);
    if (length == 0)
        return 0;
    if (max >= 0 && length > max)
        return SKUA_ELIMIT;
    passage->stream = true;
    if (length < 0 || length > BODY_KEPT || !is_idempotent(skua_http_method(exchange)))
        return 0;
    rc = skua_http_read_all(exchange, &body, &passage->body_len, (size_t)length);
    passage->body = body;
    passage->stream = false;
    return rc;
}

static int passage_target(struct passage *passage)
{
    const char *path = skua_http_path(passage->exchange);
    const char *query = skua_http_query(passage->exchange);
    size_t size = strlen(path) + strlen(query) + 2;
    char *target = skua_http_alloc(passage->exchange, size);

    if (target != NULL)
        (void)snprintf(target, size, "%s%s%s", path, *query != '\0' ? "?" : "", query);
    passage->target = target;
    return target != NULL ? 0 : -ENOMEM;
}

int forward_on(skua_http_exchange *exchange, void *state)
{
    struct passage passage = {
        .exchange = exchange, .gateway = skua_http_noted(exchange, &gateway_key), .route = state};
    const char *upgrade = skua_http_header(exchange, "Upgrade");
    const char *connection = skua_http_header(exchange, "Connection");
    skua_http_response *response;
    struct choice choice;
    int rc = passage_target(&passage);

    if (rc == 0)
        rc = fields_of_request(exchange, passage.gateway, passage.route, &passage.fields);
    /* In a tunnel to HTTP/2 there would be requests that no route has seen. */
    if (rc == 0 && upgrade != NULL && connection != NULL && field_lists(connection, "upgrade") &&
        !field_lists(upgrade, "h2c") && skua_http_version(exchange) == 11 &&
        skua_http_body_length(exchange) == 0)
        return tunnel(&passage, upgrade);
    if (rc == 0)
        rc = passage_body(&passage);
    if (rc != 0)
        return rc;
    rc = ask_all(&passage, &choice, &response);
    if (rc == 0) {
        rc = relay(&passage, &choice, response);
        skua_http_response_close(response);
        choice_end(&choice);
        return rc;
    }
    if (rc != -EAGAIN)
        choice_end(&choice);
    return answer_for(&passage, rc);
}
