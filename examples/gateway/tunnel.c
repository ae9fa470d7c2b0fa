/* tunnel.c - WebSocket and the like: the request goes to an upstream over a connection of its own,
 * and behind a 101 the bytes go both ways until both ends have said all.
 *
 *   client                gateway                        upstream
 *   GET, Upgrade: x  ->   GET, Upgrade: x           ->
 *                    <-   101                       <-   101
 *   bytes            <->  skua_copy_bidirectional   <->  bytes
 *
 * An upstream that will not (any other status) is answered for with its status and headers; its
 * body is not passed on. A request with a body is not a tunnel, nor is one to "h2c", whose requests
 * would go past all routes: it goes the usual way, where the Upgrade is dropped. A connection that
 * was made for a tunnel is never used for anything else.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway.h"

#define HEAD_SIZE 16384
#define LISTED_MAX 4

/* The upstream's answer. */
struct head {
    char *text; /* lines, with NULs for their ends once they are cut */
    size_t len; /* of the head, with its empty line */
    size_t all; /* and what has come behind it */
    int status;
};

/* ---- asking ---------------------------------------------------------------------------------- */

static int tunnel_send(struct passage *passage, skua_tcp *tcp, const char *protocol,
                       int64_t deadline)
{
    const struct fields *fields = &passage->fields;
    char *text = skua_http_alloc(passage->exchange, HEAD_SIZE);
    size_t len = 0;

    if (text == NULL)
        return -ENOMEM;
    len += (size_t)snprintf(text, HEAD_SIZE, "%s %s HTTP/1.1\r\n",
                            skua_http_method(passage->exchange), passage->target);
    for (size_t i = 0; i < fields->count && len < HEAD_SIZE; i++)
        len += (size_t)snprintf(text + len, HEAD_SIZE - len, "%s: %s\r\n", fields->at[i].name,
                                fields->at[i].value);
    if (len < HEAD_SIZE)
        len += (size_t)snprintf(text + len, HEAD_SIZE - len,
                                "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol);
    if (len >= HEAD_SIZE)
        return SKUA_ELIMIT;
    return skua_tcp_write_all_until(tcp, text, len, deadline) < 0 ? -EPIPE : 0;
}

/* Reads until the empty line. */
static int tunnel_hear(struct head *head, skua_tcp *tcp, int64_t deadline)
{
    while (head->all < HEAD_SIZE - 1) {
        ssize_t n =
            skua_tcp_read_until(tcp, head->text + head->all, HEAD_SIZE - 1 - head->all, deadline);
        const char *end;

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : (int)n;
        head->all += (size_t)n;
        head->text[head->all] = '\0';
        end = strstr(head->text, "\r\n\r\n");
        if (end == NULL && strlen(head->text) < head->all)
            return -EBADMSG; /* a NUL */
        if (end == NULL)
            continue;
        head->len = (size_t)(end - head->text) + 4;
        if (sscanf(head->text, "HTTP/1.1 %3d", &head->status) != 1 || head->status < 101 ||
            head->status > 599)
            return -EBADMSG;
        return 0;
    }
    return SKUA_ELIMIT;
}

/* ---- the answer's head ----------------------------------------------------------------------- */

/* Cuts the next line into name and value: 1; 0: there is none; -EBADMSG: what is no header. */
static int tunnel_line(char **at, char **name, char **value)
{
    char *line = *at, *end = strstr(line, "\r\n"), *colon;

    if (end == line)
        return 0;
    *end = '\0';
    *at = end + 2;
    colon = strchr(line, ':');
    if (colon == NULL || colon == line || strpbrk(line, "\r\n") != NULL ||
        strcspn(line, " \t") < (size_t)(colon - line))
        return -EBADMSG;
    *colon = '\0';
    *name = line;
    *value = colon + 1 + strspn(colon + 1, " \t");
    for (end = *value + strlen(*value); end > *value && strchr(" \t", end[-1]) != NULL;)
        *--end = '\0';
    return 1;
}

/* Sets status and headers; *protocol: the one that was chosen. */
static int tunnel_headers(struct passage *passage, struct head *head, const char **protocol)
{
    char *at = strstr(head->text, "\r\n") + 2, *name, *value;
    skua_http_exchange *exchange = passage->exchange;
    int rc;

    while ((rc = tunnel_line(&at, &name, &value)) > 0) {
        if (strcasecmp(name, "upgrade") == 0)
            *protocol = value;
        if (field_is_hop(name, NULL, 0) || strcasecmp(name, "date") == 0)
            continue;
        rc = skua_http_add_header(exchange, name, value);
        if (rc != 0)
            return -EBADMSG;
    }
    return rc;
}

/* The protocol is spoken: what came behind the head, then everything. */
static int tunnel_run(struct passage *passage, struct head *head, skua_tcp *tcp,
                      const char *protocol)
{
    skua_io client;
    ssize_t n = skua_http_upgrade(passage->exchange, protocol, &client);

    if (n != 0)
        return (int)n;
    n = skua_io_write_all(client, head->text + head->len, head->all - head->len);
    if (n >= 0)
        n = skua_copy_bidirectional(client, skua_tcp_io(tcp), NULL, NULL, NULL);
    return (int)(n < 0 ? n : 0);
}

static int tunnel_answer(struct passage *passage, struct head *head, skua_tcp *tcp)
{
    const char *protocol = NULL;
    int rc = tunnel_headers(passage, head, &protocol);

    if (rc == 0 && (head->status < 200) != (head->status == 101 && protocol != NULL))
        rc = -EBADMSG;
    if (rc == 0 && head->status == 101)
        return tunnel_run(passage, head, tcp, protocol);
    if (rc == 0)
        return skua_http_reply(passage->exchange, head->status, NULL, NULL, 0);
    return answer_for(passage, rc);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* A connection to a member; the next one is asked if there is none to be had. */
static int tunnel_connect(struct passage *passage, struct choice *choice, skua_tcp **tcp)
{
    struct group *group = passage->route->group;
    int rc = group_choose(group, 0, choice);

    if (rc != 0)
        return rc;
    skua_retry_budget_deposit(&group->budget);
    for (;;) {
        struct choice next;

        passage->tried |= choice->bit;
        rc = skua_tcp_connect(tcp, choice->member->address,
                              SKUA_CONNECT_OPTIONS(.deadline = skua_now() + group->connect));
        if (rc == 0)
            return 0;
        choice_judge(choice, rc);
        choice_end(choice);
        if (rc == -ECANCELED || __builtin_popcount(passage->tried) >= passage->route->tries ||
            skua_retry_budget_try_withdraw(&group->budget) != 0)
            return rc;
        if (group_choose(group, passage->tried, &next) != 0)
            return rc;
        count_one(&next.member->retries);
        *choice = next;
    }
}

int tunnel(struct passage *passage, const char *protocol)
{
    int64_t deadline = skua_now() + passage->route->group->timeout;
    struct head head = {.text = skua_http_alloc(passage->exchange, HEAD_SIZE)};
    struct choice choice;
    skua_tcp *tcp;
    int rc = head.text != NULL ? tunnel_connect(passage, &choice, &tcp) : -ENOMEM;

    if (rc != 0)
        return answer_for(passage, rc);
    /* Who says nothing for hours may be there: only the kernel can tell. */
    (void)skua_tcp_set_keepalive(tcp, SKUA_MINUTE, 10 * SKUA_SECOND, 6);
    rc = tunnel_send(passage, tcp, protocol, deadline);
    if (rc == 0)
        rc = tunnel_hear(&head, tcp, deadline);
    if (rc == 0 && head.status >= 502 && head.status <= 504)
        choice_judge(&choice, -EIO);
    else
        choice_judge(&choice, rc == SKUA_ELIMIT || rc == -ENOMEM ? -ECANCELED : rc);
    rc = rc == 0 ? tunnel_answer(passage, &head, tcp) : answer_for(passage, rc);
    (void)skua_tcp_close(tcp);
    choice_end(&choice);
    return rc;
}
