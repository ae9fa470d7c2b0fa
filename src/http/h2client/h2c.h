/* h2c.h - a connection that asks in HTTP/2: what the client sees of it. It knows nothing of
 * nghttp2, and is there without it: then nothing can be made.
 *
 *   h2c_connection.c   a connection: made, looked at, ended
 *   h2c_ask.c          a stream's request: its head, its body as there is room for it
 *   h2c_answer.c       its response: head, body, trailers; its end
 *   h2c_none.c         instead of all, without nghttp2
 *
 * A connection is used by any number of tasks and threads at a time, a stream by one that reads and
 * one that writes. A stream that has failed says why until it is closed; all are closed before the
 * connection is freed.
 */
#ifndef SKUA_HTTP_H2C_H
#define SKUA_HTTP_H2C_H

#include "http/core/http_ask.h"

struct skua__h2c;
struct skua__h2c_stream;

/* ---- connections ----------------------------------------------------------------------------- */

/* 0; -ENOMEM; -EPROTONOSUPPORT: without nghttp2. The link is the connection's only afterwards. A
 * read whose deadline is 0 must take what is there. The options must stay. */
int skua__h2c_new(struct skua__h2c **ret, const struct skua__http_link *link,
                  const skua_http_client_options *options);
/* Closes the link, too. */
void skua__h2c_free(struct skua__h2c *h2c);
/* Looks what has come, without a wait; then as usable. */
bool skua__h2c_alive(struct skua__h2c *h2c);
/* Whether streams may be opened, now or later. */
bool skua__h2c_usable(struct skua__h2c *h2c);
/* Streams that the peer allows at a time; 0: it is not usable. */
size_t skua__h2c_places(struct skua__h2c *h2c);

/* ---- streams --------------------------------------------------------------------------------- */

/* Opens one with the request's head, which is sent: 0 or an error. *ret: the stream, also when it
 * failed; NULL: it was not even made. */
int skua__h2c_open(struct skua__h2c *h2c, const struct skua__http_ask *ask,
                   struct skua__h2c_stream **ret);
/* Sends the body, and reads the head of the final response. */
int skua__h2c_exchange(struct skua__h2c_stream *stream, const struct skua__http_ask *ask,
                       struct skua__http_answer *answer);
/* Writes all of it, until `deadline`, or for as long as the peer takes something in each `timeout`.
 * end: nothing more comes. */
int skua__h2c_write(struct skua__h2c_stream *stream, const void *buf, size_t len, bool end,
                    int64_t timeout, int64_t deadline);
/* The head of the final response: once. */
int skua__h2c_head(struct skua__h2c_stream *stream, struct skua__http_answer *answer,
                   int64_t deadline);
/* As skua_http_response_read, until `deadline`; with its end come the trailers. */
ssize_t skua__h2c_read(struct skua__h2c_stream *stream, struct skua__http_answer *answer, void *buf,
                       size_t len, int64_t deadline);
/* All of the response has come: nothing is left to be read, but trailers. */
bool skua__h2c_ended(struct skua__h2c_stream *stream);
/* Resets it: whoever uses it is told `error`. */
void skua__h2c_cancel(struct skua__h2c_stream *stream, uint32_t code, int error);
/* The peer's code of RST_STREAM; -1: there was none. */
int64_t skua__h2c_reset_code(struct skua__h2c_stream *stream);
/* It has failed, and the peer has not begun to act on it. */
bool skua__h2c_unprocessed(struct skua__h2c_stream *stream);
/* It has failed because the connection has, and nothing of the answer has come. */
bool skua__h2c_lost(struct skua__h2c_stream *stream);
/* Lets go of it; resets it, unless both sides have ended. NULL does nothing. */
void skua__h2c_close(struct skua__h2c_stream *stream);

#endif
