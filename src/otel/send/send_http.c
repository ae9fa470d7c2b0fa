/* send_http.c - one try over HTTP: a request, its answer, and what that means.
 *
 *   200 to 299                 arrived; the body may say that a part of it was rejected
 *   429, 502, 503, 504         again, not before Retry-After
 *   300 to 399                 an error: a redirect would show the headers to somebody else
 *   others                     an error for good
 *   no answer                  again, but where it would be the same again
 *
 * The whole answer is read, so that the connection is good for the next request.
 */
#include <strings.h>

#include "otel/send/send_impl.h"

/* The headers of one request: the user's, and the protocol's own. */
#define HTTP_OWN 2

static const char *http_type(const struct skua__send *self)
{
    return self->protocol == SKUA_OTLP_HTTP_JSON ? "application/json" : "application/x-protobuf";
}

/* Whether an answer's Content-Type is `type`, whatever its parameters. */
static bool http_is(const skua_http_response *response, const char *type)
{
    const char *said = skua_http_response_header(response, "Content-Type");
    size_t len = strlen(type);

    return said != NULL && strncasecmp(said, type, len) == 0 &&
           (said[len] == '\0' || said[len] == ';' || said[len] == ' ');
}

/* Success: what the body says. A body that is not what was asked for is from somebody else. */
static void http_success(const struct skua__send *self, const skua_http_response *response,
                         const char *body, size_t len, struct skua__send_answer *answer)
{
    answer->rc = 0;
    if (len == 0 || self->zipkin)
        return; /* an empty message of protobuf is empty; Zipkin's bodies say nothing */
    if (http_is(response, "application/x-protobuf"))
        answer->rc = skua__send_reply(body, len, answer) == 0 ? answer->rc : -EBADMSG;
    else if (http_is(response, "application/json"))
        answer->rc = skua__send_reply_json(body, len, answer) == 0 ? answer->rc : -EBADMSG;
    else
        answer->rc = -EBADMSG;
    if (answer->rc == -EBADMSG)
        skua__send_text(answer->text, "the answer is none of the OpenTelemetry protocol", 48);
}

static void http_failure(const skua_http_response *response, const char *body, size_t len,
                         struct skua__send_answer *answer)
{
    switch (answer->status) {
    case 429:
    case 502:
    case 503:
    case 504:
        answer->rc = -EAGAIN;
        answer->again = true;
        answer->after = skua__send_after(skua_http_response_header(response, "Retry-After"),
                                         skua_http_response_header(response, "Date"));
        break;
    case 400:
        answer->rc = -EINVAL;
        break;
    case 401:
    case 403:
        answer->rc = -EACCES;
        break;
    case 404:
        answer->rc = -ENOENT;
        break;
    case 413:
        answer->rc = -EMSGSIZE;
        break;
    default:
        answer->rc = -EPROTO;
        break;
    }
    if (http_is(response, "application/x-protobuf"))
        skua__send_status(body, len, answer->text);
    else if (http_is(response, "application/json"))
        skua__send_status_json(body, len, answer->text);
    else if (http_is(response, "text/plain"))
        skua__send_text(answer->text, body, len);
}

/* There was no answer, or only a part of one. */
static void http_error(int rc, struct skua__send_answer *answer)
{
    if (answer->status == 0 && (rc == -ENOENT || rc == -EIO))
        rc = -EHOSTUNREACH; /* of a name: a resolver knows it another time */
    answer->rc = rc;
    answer->again = skua_otel_may_succeed(rc) != 0 && rc != -ECANCELED;
}

static void http_answer(const struct skua__send *self, skua_http_response *response,
                        struct skua__send_answer *answer)
{
    int rc = 0;
    size_t len;
    char *body;

    answer->status = skua_http_response_status(response);
    answer->answered = true;
    if (skua_http_response_length(response) > (int64_t)self->response_max)
        rc = SKUA_ELIMIT;
    if (rc == 0)
        rc = skua_http_response_read_all(response, &body, &len, self->response_max);
    if (rc != 0)
        http_error(rc, answer);
    else if (answer->status >= 200 && answer->status <= 299)
        http_success(self, response, body, len, answer);
    else
        http_failure(response, body, len, answer);
}

void skua__send_http(struct skua__send *self, skua_http_client *client,
                     const struct skua__send_request *request, struct skua__send_answer *answer)
{
    skua_http_field fields[HTTP_OWN + SKUA__SEND_HEADERS];
    int64_t left = request->deadline - skua_now();
    skua_http_response *response;
    size_t count = 0;
    int rc;

    fields[count++] = (skua_http_field){"Content-Type", http_type(self)};
    if (request->coded)
        fields[count++] = (skua_http_field){"Content-Encoding", "gzip"};
    for (size_t i = 0; i < self->headers_count; i++)
        fields[count++] = self->headers[i];
    rc = skua_http_client_send(
        client,
        SKUA_HTTP_REQUEST(.url = self->urls[request->signal], .method = "POST", .headers = fields,
                          .headers_count = count, .body = request->body, .body_len = request->len,
                          .timeout = left > 0 ? left : 1, .unix_path = self->unix_path,
                          .error_text = answer->text, .error_size = sizeof answer->text),
        &response);
    if (rc != 0) {
        http_error(rc, answer);
        return;
    }
    http_answer(self, response, answer);
    skua_http_response_close(response);
}

#undef HTTP_OWN
