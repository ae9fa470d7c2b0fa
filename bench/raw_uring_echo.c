/* raw_uring_echo.c - the echo server as one would write it by hand over io_uring: the other bar
 * that skua_echo.c is measured against. Linux 6.1 or newer; liburing 2.3.
 *
 * One thread, one ring, one io_uring_enter a turn: it submits all sends of the last turn and waits
 * for the next requests.
 *
 * Requests  one multishot recv a connection, armed once. The kernel picks a buffer of the shared
 *           ring only when bytes are there.
 * Replies   one send a request, straight from that buffer, tried at once: MSG_DONTWAIT says never
 *           to wait, MSG_WAITALL makes a short send a failure, CQE_SKIP_SUCCESS keeps success
 *           silent. So a send that has been submitted and has no completion is done, in full; and
 *           what is worth more, a turn's own sends never end its wait.
 * Order     a connection has one send under way. Pieces that come meanwhile queue behind it. When
 *           something hangs on a silent send (a next piece, the end of the connection, a buffer)
 *           the turn does not wait, for no completion would wake it.
 * Slow      a send that found no room is repeated as one that may wait and does complete; its
 * peers     pieces keep their buffers. A recv that found no buffer is armed again when some come
 *           back.
 * Buffers   go around in a ring, so each is touched before one is used again: as few as suffice
 *           are handed out, for the cache's sake. Whenever they do not, their number doubles.
 * Files     connections are direct descriptors, which spares each send the look-up of its file.
 *           (setsockopt cannot name such; they have TCP_NODELAY from the listening socket.)
 *
 * Not here  fairness: peers that send and never read may hold all 64 MiB of buffers, and then
 *           everybody waits for them. A bar to measure against, not a server for strangers.
 *
 *     raw_uring_echo [--port N]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/meter_server.h"

#define SQ_ENTRIES 1024u
#define CQ_ENTRIES 8192u
#define CONNS_MAX 32768
#define BUFFERS_MAX 4096 /* a power of two */
#define BUFFERS_FIRST 128
#define BUFFER_BYTES (16 * 1024)
#define TRIED_MAX (4 * CONNS_MAX)
#define NONE (-1)

enum op {
    OP_STOP = 1,
    OP_ACCEPT,
    OP_RECV,
    OP_SEND,      /* completes only if it did not send all */
    OP_SEND_WAIT, /* completes when it did */
    OP_IGNORED,
};

/* What lies in a buffer: a link of its connection's queue. */
struct piece {
    unsigned start;
    unsigned end;
    int next;
};

struct conn {
    int first; /* piece being sent, or NONE */
    int last;
    bool ending;   /* no recv is armed any more: close when the queue is empty */
    unsigned step; /* counts what happened to the queue's front, in all the slot's life */
};

/* An OP_SEND that has been submitted. If its connection is still at the same step when all
 * completions have been seen, it has succeeded. */
struct tried {
    int conn;
    unsigned step;
};

static struct {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
    int listener;
    int handed_out;                /* buffers that the kernel or we have in use */
    bool accepting;                /* multishot accept is armed */
    struct tried tried[TRIED_MAX]; /* oldest first */
    int tried_count;
    int starved[CONNS_MAX]; /* connections without a recv, for want of a buffer */
    int starved_count;
    bool returned; /* some buffer came back this turn */
    bool hurry;    /* something waits for a silent send to be known as done: do not sleep */
    uint64_t echoes;
    uint64_t bytes;
} server;

static struct piece pieces[BUFFERS_MAX];
static struct conn conns[CONNS_MAX];

/* Requests */

static struct io_uring_sqe *sqe_get(void)
{
    struct io_uring_sqe *sqe;

    while ((sqe = io_uring_get_sqe(&server.ring)) == NULL)
        io_uring_submit(&server.ring);
    return sqe;
}

static uint64_t mark_of(enum op op, int conn)
{
    return (uint64_t)op << 32 | (unsigned)conn;
}

static void sqe_mark(struct io_uring_sqe *sqe, enum op op, int conn, unsigned flags)
{
    sqe->flags |= (__u8)flags;
    sqe->user_data = mark_of(op, conn);
}

static void accept_arm(void)
{
    struct io_uring_sqe *sqe = sqe_get();

    io_uring_prep_multishot_accept_direct(sqe, server.listener, NULL, NULL, 0);
    sqe_mark(sqe, OP_ACCEPT, 0, 0);
    server.accepting = true;
}

static void recv_arm(int conn)
{
    struct io_uring_sqe *sqe = sqe_get();

    io_uring_prep_recv_multishot(sqe, conn, NULL, 0, 0);
    sqe->buf_group = 0;
    sqe_mark(sqe, OP_RECV, conn, IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT);
}

static void send_first(int conn, bool wait)
{
    int id = conns[conn].first;
    struct piece *piece = &pieces[id];
    struct io_uring_sqe *sqe = sqe_get();

    io_uring_prep_send(sqe, conn, server.memory + (size_t)id * BUFFER_BYTES + piece->start,
                       piece->end - piece->start,
                       MSG_NOSIGNAL | MSG_WAITALL | (wait ? 0 : MSG_DONTWAIT));
    conns[conn].step++;
    if (wait) {
        sqe_mark(sqe, OP_SEND_WAIT, conn, IOSQE_FIXED_FILE);
        return;
    }
    sqe_mark(sqe, OP_SEND, conn, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
    if (server.tried_count == TRIED_MAX)
        meter_die("too many sends under way", ENOBUFS);
    server.tried[server.tried_count++] = (struct tried){conn, conns[conn].step};
}

/* Buffers */

static void buffer_add(int id)
{
    io_uring_buf_ring_add(server.buffers, server.memory + (size_t)id * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFERS_MAX), 0);
    io_uring_buf_ring_advance(server.buffers, 1);
    server.returned = true;
}

static void buffers_hand_out(int total)
{
    while (server.handed_out < total && server.handed_out < BUFFERS_MAX)
        buffer_add(server.handed_out++);
}

/* Connections */

static void conn_close(int conn)
{
    struct io_uring_sqe *sqe = sqe_get();

    io_uring_prep_close_direct(sqe, (unsigned)conn);
    sqe_mark(sqe, OP_IGNORED, 0, IOSQE_CQE_SKIP_SUCCESS);
    if (!server.accepting)
        accept_arm(); /* the table was full */
}

static void conn_open(int conn)
{
    conns[conn] = (struct conn){.first = NONE, .last = NONE, .step = conns[conn].step};
    recv_arm(conn);
}

/* The first piece is done with. What is behind it may follow. */
static void conn_pop(int conn)
{
    struct conn *c = &conns[conn];
    int id = c->first;

    c->first = pieces[id].next;
    c->step++;
    buffer_add(id);
    if (c->first == NONE) {
        if (c->ending)
            conn_close(conn);
        return;
    }
    send_first(conn, false);
    server.hurry |= c->ending || pieces[c->first].next != NONE;
}

static void conn_push(int conn, int id, unsigned bytes)
{
    struct conn *c = &conns[conn];

    pieces[id] = (struct piece){.end = bytes, .next = NONE};
    server.echoes++;
    server.bytes += bytes;
    if (c->first == NONE) {
        c->first = c->last = id;
        send_first(conn, false);
        return;
    }
    pieces[c->last].next = id;
    c->last = id;
    server.hurry = true;
}

/* The peer takes no more: all pieces go, and the recv is cancelled if it has not ended. (Not by a
 * shutdown of the socket: the kernel runs that in a worker thread, which looks up the descriptor
 * late and may find the next connection there.) */
static void conn_break(int conn)
{
    struct conn *c = &conns[conn];
    struct io_uring_sqe *sqe;

    for (; c->first != NONE; c->first = pieces[c->first].next)
        buffer_add(c->first);
    c->step++;
    if (c->ending) {
        conn_close(conn);
        return;
    }
    sqe = sqe_get();
    io_uring_prep_cancel64(sqe, mark_of(OP_RECV, conn), 0);
    sqe_mark(sqe, OP_IGNORED, 0, IOSQE_CQE_SKIP_SUCCESS);
}

/* Completions */

static void on_accept(const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0)
        conn_open(cqe->res);
    if ((cqe->flags & IORING_CQE_F_MORE) != 0)
        return;
    server.accepting = false;
    if (cqe->res != -ENFILE)
        accept_arm();
}

static void on_recv(int conn, const struct io_uring_cqe *cqe)
{
    int id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

    if (cqe->res > 0) {
        conn_push(conn, id, (unsigned)cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            recv_arm(conn);
        return;
    }
    if (cqe->res == -ENOBUFS) {
        server.starved[server.starved_count++] = conn;
        buffers_hand_out(server.handed_out * 2);
        return;
    }
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
        buffer_add(id);
    conns[conn].ending = true;
    server.hurry = true;
    if (conns[conn].first == NONE)
        conn_close(conn);
}

/* Either kind of send. -EAGAIN and a short count are what an OP_SEND that had no room says. */
static void on_send(int conn, int res, bool waited)
{
    struct piece *piece = &pieces[conns[conn].first];

    if (res >= 0)
        piece->start += (unsigned)res;
    if (piece->start == piece->end)
        conn_pop(conn);
    else if (!waited && (res >= 0 || res == -EAGAIN))
        send_first(conn, true);
    else
        conn_break(conn);
}

/* False when told to stop. */
static bool on_completion(const struct io_uring_cqe *cqe)
{
    int conn = (int)(cqe->user_data & 0xffffffff);

    switch ((enum op)(cqe->user_data >> 32)) {
    case OP_STOP:
        return false;
    case OP_ACCEPT:
        on_accept(cqe);
        break;
    case OP_RECV:
        on_recv(conn, cqe);
        break;
    case OP_SEND:
        on_send(conn, cqe->res, false);
        break;
    case OP_SEND_WAIT:
        on_send(conn, cqe->res, true);
        break;
    case OP_IGNORED:
        break;
    }
    return true;
}

/* The first `count` sends were submitted before the completions that have now been seen, so those
 * of them that failed have said so, which was a step. The others are done. */
static void sends_settle(int count)
{
    int left;

    for (int i = 0; i < count; i++) {
        struct tried tried = server.tried[i];

        if (conns[tried.conn].step == tried.step)
            conn_pop(tried.conn);
    }
    left = server.tried_count - count;
    memmove(server.tried, server.tried + count, (size_t)left * sizeof server.tried[0]);
    server.tried_count = left;
}

static void starved_arm(void)
{
    while (server.returned && server.starved_count > 0)
        recv_arm(server.starved[--server.starved_count]);
    server.returned = false;
}

static void serve(void)
{
    for (;;) {
        int tried = server.tried_count;
        bool hurry = server.hurry || (server.starved_count > 0 && tried > 0);
        int rc = io_uring_submit_and_wait(&server.ring, hurry ? 0 : 1);
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;

        server.hurry = false;
        if (rc < 0 && rc != -EINTR)
            meter_die("io_uring_enter", -rc);
        io_uring_for_each_cqe(&server.ring, head, cqe)
        {
            seen++;
            if (!on_completion(cqe))
                return;
        }
        io_uring_cq_advance(&server.ring, seen);
        /* Completions that did not fit wait in the kernel: a failed send may be among them. */
        if (!io_uring_cq_has_overflow(&server.ring))
            sends_settle(tried);
        starved_arm();
    }
}

/* Start */

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        meter_die("mmap", errno);
    return memory;
}

static void start(int stop, int files)
{
    struct io_uring_params params = {.cq_entries = CQ_ENTRIES};
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS_MAX};
    struct io_uring_sqe *sqe;
    int rc;

    params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    rc = io_uring_queue_init_params(SQ_ENTRIES, &server.ring, &params);
    if (rc == 0)
        rc = io_uring_register_files_sparse(&server.ring,
                                            (unsigned)(files < CONNS_MAX ? files : CONNS_MAX));
    server.memory = map((size_t)BUFFERS_MAX * BUFFER_BYTES);
    server.buffers = map(BUFFERS_MAX * sizeof(struct io_uring_buf));
    reg.ring_addr = (uintptr_t)server.buffers;
    if (rc == 0)
        rc = io_uring_register_buf_ring(&server.ring, &reg, 0);
    if (rc != 0)
        meter_die("io_uring", -rc);
    io_uring_register_ring_fd(&server.ring); /* a little faster; works without */
    io_uring_buf_ring_init(server.buffers);
    buffers_hand_out(BUFFERS_FIRST);
    sqe = sqe_get();
    io_uring_prep_poll_add(sqe, stop, POLL_IN);
    sqe_mark(sqe, OP_STOP, 0, 0);
    accept_arm();
}

int main(int argc, char **argv)
{
    int port = 0;
    int files;
    int stop;

    if (argc == 3 && strcmp(argv[1], "--port") == 0) {
        port = atoi(argv[2]);
    } else if (argc != 1) {
        fprintf(stderr, "usage: raw_uring_echo [--port N]\n");
        return 2;
    }
    files = meter_files_raise();
    stop = meter_stop_fd();
    server.listener = meter_listen(port, 0);
    start(stop, files);
    serve();
    meter_server_end(server.echoes, server.bytes);
    return 0;
}
