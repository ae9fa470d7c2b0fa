/* client_link.c - what connects: one row a scheme. TLS will be a row more.
 */
#include <skua/net.h>
#include <skua/unix.h>

#include "http/client/client_impl.h"

struct link_transport {
    const char *scheme;
    /* NULL: known, but not spoken. */
    int (*connect)(struct skua__h1c_link *link, const char *address, const char *unix_path,
                   int64_t deadline);
};

static ssize_t link_tcp_try_read(void *object, void *buf, size_t len)
{
    return skua_tcp_try_read(object, buf, len);
}

static void link_tcp_close(void *object)
{
    (void)skua_tcp_close(object);
}

static int link_tcp(struct skua__h1c_link *link, const char *address, const char *unix_path,
                    int64_t deadline)
{
    skua_tcp *tcp;
    int rc = *unix_path != '\0'
                 ? skua_unix_connect_until(&tcp, unix_path, deadline)
                 : skua_tcp_connect(&tcp, address, SKUA_CONNECT_OPTIONS(.deadline = deadline));

    if (rc == 0)
        *link = (struct skua__h1c_link){skua_tcp_io(tcp), tcp, link_tcp_try_read, link_tcp_close};
    return rc;
}

static const struct link_transport link_transports[] = {{"http", link_tcp}, {"https", NULL}};

static const struct link_transport *link_of(const char *scheme)
{
    for (size_t i = 0; i < sizeof link_transports / sizeof link_transports[0]; i++)
        if (strcmp(link_transports[i].scheme, scheme) == 0)
            return &link_transports[i];
    return NULL;
}

bool skua__client_scheme_known(const char *scheme)
{
    const struct link_transport *transport = link_of(scheme);

    return transport != NULL && transport->connect != NULL;
}

int skua__client_connect(struct skua__h1c_link *link, const char *scheme, const char *address,
                         const char *unix_path, int64_t deadline)
{
    return link_of(scheme)->connect(link, address, unix_path, deadline);
}
