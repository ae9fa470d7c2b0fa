/* h2s_carrier.c - an exchange on a stream: its body, its response, trailers both ways.
 *
 * Tasks      one may read the body while another writes the response. The reading side touches the
 *            exchange's body_* and nothing of the response, the writing side the other way round.
 * Head       of a response without a body the only frame: it ends the stream ("trailers only" is
 *            how gRPC calls that).
 * Slow       as in h1_body.c: a time-out between two pieces, and a budget for the whole.
 */
#include <stddef.h>
#include <time.h>

#include "http/h2/h2s_impl.h"

/* Of a head, before it needs memory; what a body may take in any case. */
#define CARRIER_FIELDS 24u
#define CARRIER_GRACE (5 * SKUA_SECOND)

static struct skua__h2s_stream *carrier_of(skua_http_exchange *exchange)
{
    return (struct skua__h2s_stream *)((char *)exchange -
                                       offsetof(struct skua__h2s_stream, exchange));
}

/* ---- the request's body ---------------------------------------------------------------------- */

static int64_t carrier_deadline(const struct skua__h2s_stream *self, int64_t now)
{
    const skua_http_server_options *options = self->h2s->call->options;
    int64_t deadline = skua__http_after(now, options->body_timeout);
    int64_t rate = options->body_rate_min;
    int64_t came = self->exchange.body_read;
    int64_t budget;

    if (self->exchange.patient)
        return SKUA_FOREVER;
    if (rate < 0 || came / rate > SKUA_HOUR / SKUA_SECOND)
        return deadline;
    budget =
        CARRIER_GRACE - self->waited + came / rate * SKUA_SECOND + came % rate * SKUA_SECOND / rate;
    return now + budget < deadline ? now + budget : deadline;
}

static ssize_t carrier_read(skua_http_exchange *exchange, void *buf, size_t len)
{
    struct skua__h2s_stream *self = carrier_of(exchange);
    int64_t begun = skua_now();
    int64_t deadline = carrier_deadline(self, begun);
    ssize_t n;

    if (self->continue_wanted) {
        int rc = skua__h2_inform(&self->stream, 100);

        self->continue_wanted = false;
        if (rc != 0)
            return rc;
    }
    n = skua__h2_read(&self->stream, buf, len, deadline);
    self->waited += skua_now() - begun;
    if (n == -ETIMEDOUT && skua_now() >= deadline) /* else it is the handler's own */
        exchange->body_error = -ETIMEDOUT;
    if (n == 0)
        exchange->trailers = self->stream.trailers; /* whole: nobody adds to them */
    return n;
}

/* ---- the response ---------------------------------------------------------------------------- */

static nghttp2_nv carrier_field(const char *name, size_t name_len, const char *value, size_t len)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, name_len, len,
                        NGHTTP2_NV_FLAG_NONE};
}

static void carrier_date(struct skua__h2s *h2s, char out[SKUA__HTTP_DATE])
{
    int64_t now = (int64_t)time(NULL);

    pthread_mutex_lock(&h2s->h2.mutex);
    if (now != h2s->date_second) {
        skua__http_date(h2s->date, now);
        h2s->date_second = now;
    }
    memcpy(out, h2s->date, SKUA__HTTP_DATE);
    pthread_mutex_unlock(&h2s->h2.mutex);
}

/* Of HTTP/1.1's connections: RFC 9113, 8.2.2. */
static bool carrier_forbidden(const struct skua__http_field *field)
{
    static const struct {
        const char *name;
        size_t len;
    } names[] = {{"keep-alive", 10}, {"proxy-connection", 16}, {"upgrade", 7}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field->name_len == names[i].len &&
            skua__http_same(field->name, names[i].name, names[i].len))
            return true;
    return false;
}

static size_t carrier_digits(char out[20], uint64_t number)
{
    char *at = out + 20;

    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    memmove(out, at, (size_t)(out + 20 - at));
    return (size_t)(out + 20 - at);
}

/* All fields of the head, into `at`; how many. */
static size_t carrier_head(struct skua__h2s_stream *self, nghttp2_nv *at, char status[3],
                           char date[SKUA__HTTP_DATE], char length[20])
{
    skua_http_exchange *exchange = &self->exchange;
    const char *server = self->h2s->call->options->server_name;
    size_t count = 0;

    status[0] = (char)('0' + exchange->status / 100);
    status[1] = (char)('0' + exchange->status / 10 % 10);
    status[2] = (char)('0' + exchange->status % 10);
    carrier_date(self->h2s, date);
    at[count++] = carrier_field(":status", 7, status, 3);
    at[count++] = carrier_field("date", 4, date, SKUA__HTTP_DATE - 1);
    if (server != NULL)
        at[count++] = carrier_field("server", 6, server, strlen(server));
    for (size_t i = 0; i < exchange->response.count; i++) {
        const struct skua__http_field *field = &exchange->response.at[i];

        if (!carrier_forbidden(field))
            at[count++] =
                carrier_field(field->name, field->name_len, field->value, field->value_len);
    }
    if (exchange->response_left >= 0 && exchange->status != 204) {
        size_t len = carrier_digits(length, (uint64_t)exchange->response_left);

        at[count++] = carrier_field("content-length", 14, length, len);
    }
    return count;
}

static int carrier_begin(skua_http_exchange *exchange)
{
    struct skua__h2s_stream *self = carrier_of(exchange);
    bool end = exchange->bodiless ||
               (exchange->response_left == 0 && exchange->response_trailers.count == 0);
    nghttp2_nv few[CARRIER_FIELDS];
    nghttp2_nv *fields = few;
    char status[3], date[SKUA__HTTP_DATE], length[20];
    size_t count;
    int rc;

    if (exchange->response.count + 4 > CARRIER_FIELDS) {
        fields = skua__http_raw((exchange->response.count + 4) * sizeof *fields);
        if (fields == NULL)
            return -ENOMEM;
    }
    count = carrier_head(self, fields, status, date, length);
    rc = skua__h2_respond(&self->stream, fields, count, end);
    if (fields != few)
        skua__http_free(fields);
    return rc;
}

static int carrier_write(skua_http_exchange *exchange, const void *buf, size_t len)
{
    struct skua__h2s_stream *self = carrier_of(exchange);

    return skua__h2_write(&self->stream, buf, len,
                          exchange->patient ? SKUA_FOREVER
                                            : self->h2s->call->options->write_timeout);
}

static int carrier_flush(skua_http_exchange *exchange)
{
    struct skua__h2_stream *stream = &carrier_of(exchange)->stream;
    int rc;

    pthread_mutex_lock(&stream->h2->mutex);
    rc = stream->over && !stream->out_sent ? stream->error : 0;
    pthread_mutex_unlock(&stream->h2->mutex);
    return rc == 0 ? skua__h2_flush(stream->h2) : rc;
}

static int carrier_end(skua_http_exchange *exchange)
{
    struct skua__h2s_stream *self = carrier_of(exchange);
    const struct skua__http_fields *trailers = &exchange->response_trailers;
    nghttp2_nv *fields = NULL;
    int rc;

    if (trailers->count != 0) {
        fields = skua__http_arena_alloc(&exchange->arena, trailers->count * sizeof *fields);
        if (fields == NULL)
            return -ENOMEM;
    }
    for (size_t i = 0; i < trailers->count; i++)
        fields[i] = carrier_field(trailers->at[i].name, trailers->at[i].name_len,
                                  trailers->at[i].value, trailers->at[i].value_len);
    rc = skua__h2_end(&self->stream, fields, trailers->count);
    return rc == 0 ? skua__h2_flush(self->stream.h2) : rc;
}

const struct skua__http_carrier skua__h2s_carrier = {.read = carrier_read,
                                                     .begin = carrier_begin,
                                                     .write = carrier_write,
                                                     .flush = carrier_flush,
                                                     .end = carrier_end};

#undef CARRIER_FIELDS
#undef CARRIER_GRACE
