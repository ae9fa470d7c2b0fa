/* decompress.c - the layer that decodes the bodies of requests.
 *
 * It puts itself between the exchange and its carrier: the table it sets is the carrier's, with a
 * read of its own. The exchange then counts and limits what is decoded. At the exchange's end it
 * goes, and the carrier is what it was.
 */
#include <skua/http/compress.h>

#include "http/coding/coding_impl.h"

struct decompress {
    struct skua__http_carrier ways;         /* the exchange's carrier, as long as it stands */
    const struct skua__http_carrier *below; /* constant */
    struct skua__decoding *decoding;
};

static const char decompress_key;

static ssize_t decompress_raw(void *state, void *buf, size_t len)
{
    skua_http_exchange *exchange = state;
    const struct decompress *self = skua_http_noted(exchange, &decompress_key);

    return self->below->read(exchange, buf, len);
}

static ssize_t decompress_read(skua_http_exchange *exchange, void *buf, size_t len)
{
    const struct decompress *self = skua_http_noted(exchange, &decompress_key);

    return skua__decoding_read(self->decoding, buf, len, exchange->body_max);
}

static void decompress_end(skua_http_exchange *exchange, const skua_http_summary *summary,
                           void *state)
{
    struct decompress *self = state;

    (void)summary;
    skua__decoding_free(self->decoding);
    exchange->carrier = self->below; /* whoever came later has gone before */
}

static int decompress_begin(skua_http_exchange *exchange, const enum skua__coding *codings,
                            size_t count)
{
    struct decompress *self = skua_http_alloc(exchange, sizeof *self);
    int rc;

    if (self == NULL)
        return -ENOMEM;
    self->below = exchange->carrier;
    self->ways = *self->below;
    self->ways.read = decompress_read;
    self->decoding = skua__decoding_new(codings, count, decompress_raw, exchange);
    if (self->decoding == NULL)
        return -ENOMEM;
    rc = skua_http_note(exchange, &decompress_key, self);
    if (rc == 0)
        rc = skua_http_on_end(exchange, decompress_end, self);
    if (rc != 0) {
        skua__decoding_free(self->decoding);
        return rc;
    }
    exchange->carrier = &self->ways;
    exchange->body_length = -1;
    return 0;
}

static int decompress_refuse(skua_http_exchange *exchange, int rc)
{
    const char *list = skua__coding_list();

    if (rc == -EBADMSG)
        return skua_http_refuse(exchange, 400, NULL);
    rc = skua_http_set_header(exchange, "Accept-Encoding", *list != '\0' ? list : "identity");
    return rc == 0 ? skua_http_refuse(exchange, 415, NULL) : rc;
}

int skua_http_decompress_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                               void *state)
{
    enum skua__coding codings[SKUA__CODING_ROW];
    size_t count;
    int rc;

    (void)state;
    if (exchange->body_ended || exchange->body_read != 0)
        return skua_http_chain_run(exchange, rest);
    rc = skua__decoding_codings(&exchange->request, codings, &count);
    if (rc != 0)
        return decompress_refuse(exchange, rc);
    if (count != 0) {
        rc = decompress_begin(exchange, codings, count);
        if (rc != 0)
            return rc;
        skua__http_fields_remove(&exchange->request, "content-length", 14);
    }
    skua__http_fields_remove(&exchange->request, "content-encoding", 16);
    return skua_http_chain_run(exchange, rest);
}
