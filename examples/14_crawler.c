/* 14_crawler.c - a crawler that is polite: 200 pages a second at most, 8 connections at a time.
 *
 * The server is a fiber of the same program, on the loopback. Its protocol is one line each way:
 * a page's number, and the numbers of the pages that it links to. Each page is a fiber of one
 * scope, spawned by the first page that links to it: the scope ends when all have been seen.
 *
 *     cc 14_crawler.c -lskua && ./a.out
 */
#include <skua/skua.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGES = 200, RATE = 200, BURST = 10, CONNECTIONS = 8 };

/* ---- the server ------------------------------------------------------------------------------ */

static int serve(void *arg)
{
    skua_tcp *conn = arg;
    char line[64];
    int page, len;
    ssize_t n = skua_tcp_read(conn, line, sizeof line - 1);

    if (n > 0 && line[n - 1] == '\n') {
        line[n] = 0;
        page = atoi(line);
        len = snprintf(line, sizeof line, "%d %d %d\n", (2 * page + 1) % PAGES,
                       (2 * page + 2) % PAGES, 7 * page % PAGES);
        if ((n = skua_sleep(10 * SKUA_MILLISECOND)) == 0) /* it takes its time */
            n = skua_tcp_write_all(conn, line, (size_t)len);
    }
    skua_tcp_close(conn);
    return n < 0 ? (int)n : 0;
}

static int server(void *arg)
{
    skua_listener *listener = arg;
    skua_scope scope;
    skua_tcp *conn;

    skua_scope_open(&scope, SKUA_COLLECT);
    while (skua_tcp_accept(listener, &conn) == 0)
        if (skua_spawn(&scope, serve, conn) < 0)
            skua_tcp_close(conn);
    skua_scope_join(&scope);
    return 0;
}

/* ---- the crawler ----------------------------------------------------------------------------- */

static struct {
    char address[SKUA_ADDRESS_MAX];
    skua_rate_limiter rate;
    skua_limiter connections;
    skua_scope scope;
    skua_mutex mutex; /* guards the next two */
    bool seen[PAGES]; /* a page's fiber gets its place in here */
    int fetched;
} crawl = {.mutex = SKUA_MUTEX_INIT};

/* Asks for a page: its links, as text. */
static int fetch(int number, char *links, size_t size)
{
    skua_tcp *conn;
    ssize_t n = skua_tcp_connect(&conn, crawl.address, NULL);
    size_t have = 0;

    if (n < 0)
        return (int)n;
    n = skua_tcp_write_all(conn, links, (size_t)snprintf(links, size, "%d\n", number));
    while (n > 0 && have + 1 < size && (n = skua_tcp_read(conn, links + have, size - 1 - have)) > 0)
        have += (size_t)n;
    links[have] = 0;
    skua_tcp_close(conn);
    return n < 0 ? (int)n : 0;
}

static int visit(void *arg);

/* A page that nobody has seen yet gets a fiber. */
static int follow(int number)
{
    int rc = skua_mutex_lock(&crawl.mutex);
    bool seen;

    if (rc != 0)
        return rc;
    seen = crawl.seen[number];
    crawl.seen[number] = true;
    skua_mutex_unlock(&crawl.mutex);
    return seen ? 0 : skua_spawn(&crawl.scope, visit, &crawl.seen[number], .name = "page");
}

static int visit(void *arg)
{
    char links[64], *next = links, *end;
    int rc;

    if ((rc = skua_rate_limiter_acquire(&crawl.rate, 1)) != 0 ||
        (rc = skua_limiter_enter(&crawl.connections)) != 0)
        return rc;
    rc = fetch((int)((bool *)arg - crawl.seen), links, sizeof links);
    skua_limiter_leave(&crawl.connections);
    if (rc == 0 && (rc = skua_mutex_lock(&crawl.mutex)) == 0) {
        crawl.fetched++;
        skua_mutex_unlock(&crawl.mutex);
    }
    for (long link; rc == 0 && (link = strtol(next, &end, 10), end != next); next = end)
        if (link >= 0 && link < PAGES)
            rc = follow((int)link);
    return rc;
}

static int app(void *arg)
{
    skua_listener *listener;
    int64_t begin = skua_now();
    int rc = skua_tcp_listen(&listener, "127.0.0.1:0", NULL);

    (void)arg;
    if (rc < 0)
        return rc;
    skua_listener_address(listener, crawl.address, sizeof crawl.address);
    skua_rate_limiter_init(&crawl.rate, SKUA_RATE_LIMITER_OPTIONS(.rate = RATE, .burst = BURST));
    skua_limiter_init(&crawl.connections,
                      SKUA_LIMITER_OPTIONS(.running = CONNECTIONS, .waiting = SKUA_UNLIMITED));
    if ((rc = skua_spawn(NULL, server, listener)) == 0) {
        int joined;

        skua_scope_open(&crawl.scope, SKUA_FAIL_FAST);
        rc = follow(0);
        joined = skua_scope_join(&crawl.scope);
        rc = rc != 0 ? rc : joined;
        printf("%d pages of %d, %.0f a second\n", crawl.fetched, PAGES,
               (double)crawl.fetched * 1e9 / (double)(skua_now() - begin));
    }
    skua_listener_close(listener);
    return rc != 0 ? rc : crawl.fetched == PAGES ? 0 : -EIO;
}

int main(void)
{
    return skua_main(app, NULL,
                     SKUA_RUNTIME_OPTIONS(.name = "crawler", .stop_on = SKUA_SIGNALS_TERM));
}
