/* h2c_none.c - in the place of all other files here, where there is no nghttp2: nothing can be
 * made, so nothing else is ever called.
 */
#include "http/h2client/h2c.h"

int skua__h2c_new(struct skua__h2c **ret, const struct skua__http_link *link,
                  const skua_http_client_options *options)
{
    (void)ret;
    (void)link;
    (void)options;
    return -EPROTONOSUPPORT;
}

void skua__h2c_free(struct skua__h2c *h2c)
{
    (void)h2c;
}

bool skua__h2c_alive(struct skua__h2c *h2c)
{
    (void)h2c;
    return false;
}

bool skua__h2c_usable(struct skua__h2c *h2c)
{
    (void)h2c;
    return false;
}

size_t skua__h2c_places(struct skua__h2c *h2c)
{
    (void)h2c;
    return 0;
}

int skua__h2c_open(struct skua__h2c *h2c, const struct skua__http_ask *ask,
                   struct skua__h2c_stream **ret)
{
    (void)h2c;
    (void)ask;
    *ret = NULL;
    return -EPROTONOSUPPORT;
}

int skua__h2c_exchange(struct skua__h2c_stream *stream, const struct skua__http_ask *ask,
                       struct skua__http_answer *answer)
{
    (void)stream;
    (void)ask;
    (void)answer;
    return -EPROTONOSUPPORT;
}

int skua__h2c_write(struct skua__h2c_stream *stream, const void *buf, size_t len, bool end,
                    int64_t timeout, int64_t deadline)
{
    (void)stream;
    (void)buf;
    (void)len;
    (void)end;
    (void)timeout;
    (void)deadline;
    return -EPROTONOSUPPORT;
}

int skua__h2c_head(struct skua__h2c_stream *stream, struct skua__http_answer *answer,
                   int64_t deadline)
{
    (void)deadline;
    return skua__h2c_exchange(stream, NULL, answer);
}

ssize_t skua__h2c_read(struct skua__h2c_stream *stream, struct skua__http_answer *answer, void *buf,
                       size_t len, int64_t deadline)
{
    (void)buf;
    (void)len;
    return skua__h2c_head(stream, answer, deadline);
}

bool skua__h2c_ended(struct skua__h2c_stream *stream)
{
    (void)stream;
    return true;
}

void skua__h2c_cancel(struct skua__h2c_stream *stream, uint32_t code, int error)
{
    (void)stream;
    (void)code;
    (void)error;
}

int64_t skua__h2c_reset_code(struct skua__h2c_stream *stream)
{
    (void)stream;
    return -1;
}

bool skua__h2c_unprocessed(struct skua__h2c_stream *stream)
{
    (void)stream;
    return false;
}

bool skua__h2c_lost(struct skua__h2c_stream *stream)
{
    (void)stream;
    return false;
}

void skua__h2c_close(struct skua__h2c_stream *stream)
{
    (void)stream;
}
