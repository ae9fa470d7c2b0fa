/* h1_upgrade.c - behind a 101: the connection's bytes are the handler's.
 *
 * What the client has sent behind its request is in our buffer already; it is read first. From then
 * on every call goes to the connection itself.
 *
 * Source: RFC 9110, 7.8 and 15.2.2.
 */
#include "http/h1/h1_impl.h"

static ssize_t upgrade_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct skua__h1 *h1 = object;

    if (h1->pos == h1->len)
        return h1->io.ops->read(h1->io.object, buf, len, deadline);
    if (len > h1->len - h1->pos)
        len = h1->len - h1->pos;
    memcpy(buf, h1->buf + h1->pos, len);
    h1->pos += len;
    return (ssize_t)len;
}

static ssize_t upgrade_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct skua__h1 *h1 = object;

    return h1->io.ops->write(h1->io.object, buf, len, deadline);
}

static ssize_t upgrade_writev(void *object, const struct iovec *iov, int count, int64_t deadline)
{
    struct skua__h1 *h1 = object;

    if (h1->io.ops->writev != NULL)
        return h1->io.ops->writev(h1->io.object, iov, count, deadline);
    while (count > 1 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    return h1->io.ops->write(h1->io.object, iov->iov_base, iov->iov_len, deadline);
}

static int upgrade_shutdown(void *object)
{
    return skua_io_shutdown(((struct skua__h1 *)object)->io);
}

static ssize_t upgrade_to_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    struct skua__h1 *h1 = object;

    if (h1->pos != h1->len || h1->io.ops->to_pipe == NULL)
        return -ENOSYS;
    return h1->io.ops->to_pipe(h1->io.object, pipe, len, deadline);
}

static ssize_t upgrade_from_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    struct skua__h1 *h1 = object;

    if (h1->io.ops->from_pipe == NULL)
        return -ENOSYS;
    return h1->io.ops->from_pipe(h1->io.object, pipe, len, deadline);
}

static const skua_io_ops upgrade_ops = {.name = "http upgrade",
                                        .read = upgrade_read,
                                        .write = upgrade_write,
                                        .writev = upgrade_writev,
                                        .shutdown = upgrade_shutdown,
                                        .to_pipe = upgrade_to_pipe,
                                        .from_pipe = upgrade_from_pipe};

/* Whether one of the headers with the name lists the token. */
static bool upgrade_lists(const skua_http_exchange *exchange, const char *name, const char *token)
{
    const struct skua__http_fields *fields = &exchange->request;
    const struct skua__http_field *at = NULL;
    size_t from = 0;

    while ((at = skua__http_fields_find(fields, name, strlen(name), from)) != NULL) {
        if (skua__http_has_token(at->value, token))
            return true;
        from = (size_t)(at - fields->at) + 1;
    }
    return false;
}

int skua__h1_upgrade(skua_http_exchange *exchange, const char *protocol, skua_io *ret)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;
    int rc;

    if (exchange->version != 11 || !upgrade_lists(exchange, "connection", "upgrade") ||
        !upgrade_lists(exchange, "upgrade", protocol))
        return -ENOTSUP;
    if (!exchange->body_ended)
        return -EBUSY;
    h1->keep_alive = false;
    rc = skua__h1_write_upgrade(h1, protocol);
    if (rc == 0)
        rc = skua__h1_flush(h1);
    *ret = (skua_io){&upgrade_ops, h1};
    return rc;
}
