/* conn.c - the life of a connection, on a fiber of its own.
 *
 *     read what is there -> run every complete command of it -> write all replies at once -> read
 *
 * That is all; the waits are the two calls to skua_tcp_. While the client does not read its
 * replies the fiber waits in the write and reads no more commands: a slow reader costs one batch.
 * What arrives is kept in one buffer, which grows with what has arrived.
 *
 * Ends: the client closes or is gone; QUIT or a protocol error (`leaving`); the server stops, or
 * the client is too slow a subscriber: both cancel the fiber, and its wait says -ECANCELED.
 */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "conn.h"
#include "store/mem.h"

#define CONN_CHUNK_MIN 1024              /* of a connection's first read: most stay that small */
#define CONN_CHUNK_MAX (64 * 1024)       /* a read takes no more, so a batch stays short */
#define CONN_QUERY_MAX ((size_t)1 << 30) /* bytes of one incomplete command, as in the real one */
#define CONN_FLUSH_MIN (64 * 1024)       /* replies that are sent before the batch is done */
#define CONN_VECTOR 32
#define CONN_FAREWELL (200 * SKUA_MILLISECOND)
#define CONN_KEEPALIVE (300 * SKUA_SECOND)

/* ---- out ------------------------------------------------------------------------------------- */

int conn_send(skua_tcp *tcp, struct reply *reply)
{
    struct iovec iov[CONN_VECTOR];

    while (reply->bytes > 0) {
        ssize_t n = skua_tcp_writev(tcp, iov, reply_vector(reply, iov, CONN_VECTOR));

        if (n < 0)
            return (int)n;
        reply_sent(reply, (size_t)n);
    }
    return 0;
}

int conn_flush(struct conn *conn)
{
    if (conn->reply.overflowed)
        return SKUA_ELIMIT;
    if (conn->reply.bytes == 0)
        return 0;
    if (conn->subscriber != NULL)
        return subscriber_push(conn->subscriber, &conn->reply);
    return conn_send(conn->tcp, &conn->reply);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void conn_resize(struct conn *conn, size_t capacity)
{
    conn->buf = mem_resize(conn->buf, capacity);
    conn->capacity = capacity;
}

/* Reads what is there behind what is in the buffer. Returns as skua_tcp_read. */
static ssize_t conn_read(struct conn *conn)
{
    size_t room;
    ssize_t n;

    if (conn->len >= CONN_QUERY_MAX)
        return SKUA_ELIMIT;
    if (conn->capacity - conn->len < conn->chunk / 2)
        conn_resize(conn, conn->capacity < conn->chunk ? conn->chunk : 2 * conn->capacity);
    room = conn->capacity - conn->len;
    room = room < conn->chunk ? room : conn->chunk;
    n = skua_tcp_read(conn->tcp, conn->buf + conn->len, room);
    if (n <= 0)
        return n;
    conn->len += (size_t)n;
    if ((size_t)n == room && conn->chunk < CONN_CHUNK_MAX)
        conn->chunk *= 2; /* there is more where that came from */
    else if ((size_t)n < conn->chunk / 16 && conn->chunk > CONN_CHUNK_MIN)
        conn->chunk /= 2;
    return n;
}

/* Drops what was answered: the start of an incomplete command moves to the buffer's start, which
 * happens once to each. A buffer that is nearly empty shrinks to what the client has shown to
 * need. */
static void conn_compact(struct conn *conn)
{
    size_t answered = conn->parser.start;

    if (answered > 0) {
        conn->len -= answered;
        memmove(conn->buf, conn->buf + answered, conn->len);
        resp_shift(&conn->parser, answered);
    }
    if (conn->capacity > 2 * conn->chunk && conn->len < conn->chunk / 2)
        conn_resize(conn, conn->chunk);
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* Runs every complete command in the buffer. Returns 0 or the error that ends the connection. */
static int conn_answer(struct conn *conn)
{
    enum resp_result result = RESP_COMMAND;
    uint64_t commands = 0;
    int rc = 0;

    while (rc == 0 && !conn->leaving) {
        result = resp_parse(&conn->parser, conn->buf, conn->len);
        if (result != RESP_COMMAND)
            break;
        command_run(conn, conn->parser.argc, conn->parser.argv);
        commands++;
        if (conn->reply.bytes >= CONN_FLUSH_MIN)
            rc = conn_flush(conn);
    }
    server_count(&conn->server->commands, commands);
    if (rc != 0)
        return rc;
    if (result == RESP_ERROR) {
        reply_error(&conn->reply, "%s", conn->parser.error);
        conn->leaving = true;
    }
    if (result == RESP_MORE)
        conn_compact(conn);
    return conn_flush(conn);
}

/* ---- the fiber ------------------------------------------------------------------------------- */

/* A good-bye that arrives: closing a socket that has unread input resets the connection, and the
 * last reply may be lost on its way. So: send, say that this was all, and read on for a moment.
 * The shield lets it wait although the fiber may be cancelled; the deadline keeps it short. */
static void conn_farewell(struct conn *conn)
{
    int64_t deadline = skua_now() + CONN_FAREWELL;
    struct iovec iov;
    char ignored[512];

    (void)skua_shield_begin();
    while (reply_vector(&conn->reply, &iov, 1) == 1) {
        if (skua_tcp_write_all_until(conn->tcp, iov.iov_base, iov.iov_len, deadline) < 0)
            break;
        reply_sent(&conn->reply, iov.iov_len);
    }
    if (skua_tcp_shutdown(conn->tcp) == 0)
        while (skua_tcp_read_until(conn->tcp, ignored, sizeof ignored, deadline) > 0)
            continue;
    (void)skua_shield_end();
}

static void conn_free(struct conn *conn)
{
    if (conn->subscriber != NULL)
        subscriber_free(conn->subscriber);
    (void)skua_tcp_close(conn->tcp);
    reply_done(&conn->reply);
    resp_done(&conn->parser);
    str_unref(conn->name);
    free(conn->buf);
    server_count(&conn->server->clients, (uint64_t)-1);
    free(conn);
}

static int conn_serve(void *arg)
{
    struct conn *conn = arg;
    ssize_t rc;

    while ((rc = conn_read(conn)) > 0) {
        rc = conn_answer(conn);
        if (rc != 0 || conn->leaving)
            break;
    }
    if (conn->subscriber != NULL)
        subscriber_stop(conn->subscriber);
    if ((rc == 0 && conn->leaving) || rc == -ECANCELED)
        conn_farewell(conn);
    conn_free(conn);
    return 0; /* how one client ends is no failure of the server */
}

/* The server stopped before the connection's fiber had started. */
static void conn_drop(void *arg)
{
    conn_free(arg);
}

int conn_start(struct server *server, skua_tcp *tcp)
{
    struct conn *conn = mem_zeroed(1, sizeof *conn);
    int rc;

    conn->server = server;
    conn->tcp = tcp;
    conn->id = server_count(&server->clients_seen, 1) + 1;
    conn->chunk = CONN_CHUNK_MIN;
    resp_init(&conn->parser, (size_t)server->options->bulk_max);
    reply_init(&conn->reply, (size_t)server->options->output_max);
    server_count(&server->clients, 1);
    (void)skua_tcp_set_keepalive(tcp, CONN_KEEPALIVE, 0, 0);
    rc = skua_spawn(NULL, conn_serve, conn, .name = "connection", .drop = conn_drop);
    if (rc != 0)
        conn_free(conn);
    return rc;
}
