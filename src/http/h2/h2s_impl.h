/* h2s_impl.h - a server's connection of HTTP/2: two fibers, and one for each request.
 *
 *   h2s_serve.c     the connection's own fiber: sends, keeps the times, begins what had to wait,
 *                   stops; and the one that reads
 *   h2s_request.c   a request's fiber: from the head to the handler, and behind it
 *   h2s_carrier.c   the exchange's carrier
 *
 * Ready      heads that are whole wait in `ready` until a fiber is begun for each: by the reader,
 *            or, when as many run as streams are allowed, by the connection's fiber when one has
 *            ended. A stream that was reset has a fiber as long as its handler runs, so that who
 *            opens and resets has no more of them than who does not.
 * Cancelled  a stream that the client resets, before all of the response is out, has its handler's
 *            fiber cancelled: by the reader, outside of the mutex (`cancels`).
 * Left       a stream whose handler has ended, and whose response is not out yet, because the
 *            client's window is full: the connection's fiber resets it after write_timeout.
 */
#ifndef SKUA_HTTP_H2S_IMPL_H
#define SKUA_HTTP_H2S_IMPL_H

#include <skua/runtime.h>
#include <skua/task.h>

#include "http/h2/h2_impl.h"
#include "http/h2/h2s.h"

#define SKUA__H2S_ARENA 1024

struct skua__h2s_stream {
    struct skua__h2_stream stream; /* the first: one is made of the other */
    struct skua__h2s *h2s;         /* constant */
    /* guard of these: the mutex */
    struct skua__h2s_stream *next_ready, *next_cancel;
    skua_task_id task; /* of its fiber, as long as that runs the handler; 0 */
    bool to_cancel;    /* in the list of those */

    /* its fiber's */
    bool continue_wanted;
    int64_t waited; /* ns, for the body */
    skua_http_exchange exchange;
    _Alignas(16) char arena[SKUA__H2S_ARENA];      /* the exchange's to begin with */
    _Alignas(16) char head_arena[SKUA__H2S_ARENA]; /* the stream's */
};

struct skua__h2s {
    struct skua__h2 h2;                /* the first */
    const struct skua__h2s_call *call; /* constant */
    skua_runtime *runtime;             /* constant */
    skua_scope scope;
    skua_task_id reader; /* constant, once it runs */

    /* guard: the mutex */
    struct skua__h2s_stream *ready, **ready_end;
    size_t ready_count;
    struct skua__h2s_stream *cancels;
    size_t handlers;   /* fibers of requests */
    uint64_t requests; /* heads so far */
    bool reading;      /* the reader has not ended */
    int64_t date_second;
    char date[SKUA__HTTP_DATE];

    int64_t left_at; /* ns: when the streams that are left are looked at; its fiber's */
};

/* h2s_request.c: begins a fiber for each head that waits, as long as there may be more. */
void skua__h2s_start(struct skua__h2s *h2s);
extern const struct skua__h2_hooks skua__h2s_hooks;

/* h2s_carrier.c */
extern const struct skua__http_carrier skua__h2s_carrier;

#endif
