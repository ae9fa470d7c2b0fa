/* call.h - a request whose body is written while its answer is read: both ways at once.
 *
 *     skua_http_call *call;
 *     skua_http_response *response;
 *
 *     rc = skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = url, .method = "POST",
 *                                                          .http2 = SKUA_HTTP2_ONLY), &call);
 *     if (rc != 0)
 *         return rc;
 *     rc = skua_http_call_write(call, "question", 8);
 *     if (rc == 0)
 *         rc = skua_http_call_response(call, &response);
 *     while (rc == 0 && (n = skua_http_response_read(response, buf, sizeof buf)) > 0)
 *         ...                                            -- and writes more, or another task does
 *     (void)skua_http_call_end(call);
 *     skua_http_call_close(call);
 *
 * It is one stream of an HTTP/2 connection of the client's pool, which other requests share. Over
 * HTTP/1.1 a body is sent before the answer is read: there is no such call there.
 *
 * Tasks      one that writes (write, write_end, end) and one that reads (response, and the calls of
 *            the response) at the same time; cancel comes from anywhere. open and close are alone.
 * Flow       a write waits while the peer takes no more of this stream, or of the connection; what
 *            nobody reads holds up this stream alone.
 * Not done   redirects are not followed, and nothing is sent a second time but a head that the
 *            server has not looked at (client.h, "Again"): of what was written nothing is kept.
 * Errors     -ECONNRESET: the peer has reset the stream: skua_http_call_reset_code says with what;
 *            -ECONNABORTED: skua_http_call_cancel was called; what ends a connection ends its calls
 *            (SKUA_EEOF, -EPIPE, -EPROTO …); skua_http_call_unprocessed says whether a call that
 *            has failed may be made again, whatever it does.
 * Sources    RFC 9113; Go's net/http, hyper.
 */
#ifndef SKUA_HTTP_CALL_H
#define SKUA_HTTP_CALL_H

#include <skua/http/client.h>
#include <skua/trace.h>

SKUA_C_BEGIN

typedef struct skua_http_call skua_http_call;

/* Sends a request's head, and returns: what comes behind it is still to be written.
 *
 * request    as for skua_http_client_send, the caller's until this returns; without `body`,
 *            `body_read` and `expect_continue`. With `body_length` just so many bytes will be
 *            written. A header "TE: trailers" may be among its own. `timeout` is that of the whole
 *            call; the client's total_timeout does not count here
 * ret        receives the call, to be ended by skua_http_call_close; untouched on failure
 * Returns    0; -EPROTONOSUPPORT: the server does not speak HTTP/2; else as skua_http_client_send,
 *            as far as it comes from connecting and sending
 * Threads    fibers, plain threads
 * Cancel     nothing was sent, or the stream is reset
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_open(skua_http_client *client,
                                                  const skua_http_request *request,
                                                  skua_http_call **ret);

/* Writes bytes of the body, all of them; when it returns they are on their way.
 *
 * buf, len   the caller's
 * Returns    0; -EPIPE: the body is ended, or the server wants no more of it and has answered: its
 *            response can be read; -EMSGSIZE: it would be more than .body_length; -ETIMEDOUT: the
 *            peer took nothing for the client's write_timeout; -ECANCELED; see "Errors" above
 * Cancel     a part may be written: the call is only good to be cancelled
 * Threads    fibers, plain threads; one at a time
 * Since      0.3
 */
SKUA_API int skua_http_call_write(skua_http_call *call, const void *buf, size_t len);

/* As skua_http_call_write, without bound but `deadline`'s: a peer may be slow on purpose.
 *
 * deadline   monotonic ns; SKUA_FOREVER
 * Returns    as skua_http_call_write
 * Cancel     as skua_http_call_write
 * Threads    as skua_http_call_write
 * Since      0.3
 */
SKUA_API int skua_http_call_write_until(skua_http_call *call, const void *buf, size_t len,
                                        int64_t deadline);

/* Writes the last bytes, and ends the body with them: one frame less than two calls.
 *
 * buf, len   the caller's; 0 bytes are fine
 * Returns    as skua_http_call_write; -EMSGSIZE: it would be less than .body_length
 * Cancel     as skua_http_call_write
 * Threads    as skua_http_call_write
 * Since      0.3
 */
SKUA_API int skua_http_call_write_end(skua_http_call *call, const void *buf, size_t len);

/* Ends the body, with nothing more to come. Again it does nothing.
 *
 * Returns    as skua_http_call_write_end
 * Cancel     as skua_http_call_write
 * Threads    as skua_http_call_write
 * Since      0.3
 */
SKUA_API int skua_http_call_end(skua_http_call *call);

/* Waits for the head of the response, for the client's head_timeout at most.
 *
 * response   receives the response, the call's own: it lives until skua_http_call_close, and
 *            skua_http_response_close of it does nothing. Asked again it is the same one. Its body
 *            is read with skua_http_response_read or skua_http_response_read_until; at its end
 *            there are the trailers
 * Returns    0; -EBADMSG: it is malformed; SKUA_ELIMIT: it is too long; -ETIMEDOUT: not yet; the
 *            call goes on; -ECANCELED; -ENOMEM; see "Errors" above
 * Cancel     safe
 * Threads    fibers, plain threads; one at a time
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_call_response(skua_http_call *call,
                                                    skua_http_response **response);

/* As skua_http_call_response, at most until `deadline`.
 *
 * deadline   monotonic ns; SKUA_FOREVER: the call's own time-out is the only bound
 * Returns    as skua_http_call_response
 * Cancel     safe
 * Threads    as skua_http_call_response
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_call_response_until(skua_http_call *call,
                                                          skua_http_response **response,
                                                          int64_t deadline);

/* Resets the stream, and wakes who writes or reads: they and all that comes later say
 * -ECONNABORTED. The connection lives on. When the stream is at its end already, nothing is sent.
 *
 * code       of RFC 9113, 7: 8 is CANCEL
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_call_cancel(skua_http_call *call, uint32_t code);

/* With which code the peer has reset the stream.
 *
 * Returns    of RFC 9113, 7; -1: it has not
 * Threads    any
 * Since      0.3
 */
SKUA_API int64_t skua_http_call_reset_code(const skua_http_call *call);

/* Whether the server has not begun to act on it: it has refused the stream, or has gone away before
 * it (RFC 9113, 8.7). So it may be made again, whatever it does.
 *
 * Returns    1: so it is; 0: it is not known
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_call_unprocessed(const skua_http_call *call);

/* Its span, to be described further by whoever speaks a protocol over it. It ends with the call.
 *
 * Returns    borrowed, as long as the call; NULL: telemetry is off
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_span *skua_http_call_span(const skua_http_call *call);

/* Ends a call. When it is not at its end, both ways, the stream is reset with CANCEL.
 *
 * call       gone afterwards, with its response; NULL does nothing
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API void skua_http_call_close(skua_http_call *call);

SKUA_C_END

#endif
