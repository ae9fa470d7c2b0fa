/* net_address.c - addresses between their strings and the kernel's structs.
 *
 * Numeric only: resolving names may block, and belongs to the blocking pool. inet_pton and
 * inet_ntop do the reading and writing of IP addresses.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_impl.h"

static int address_port(const char *text, uint16_t *ret)
{
    unsigned long port = 0;

    if (*text == '\0' || strlen(text) > 5)
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        port = port * 10 + (unsigned long)(*text - '0');
    }
    if (port > 65535)
        return -EINVAL;
    *ret = htons((uint16_t)port);
    return 0;
}

static int address_v4(const char *host, uint16_t port, struct skua__address *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&ret->storage;

    in->sin_family = AF_INET;
    in->sin_port = port;
    ret->len = sizeof *in;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
}

static int address_v6(char *host, uint16_t port, struct skua__address *ret)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->storage;
    char *zone = strchr(host, '%');

    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    ret->len = sizeof *in6;
    if (zone != NULL) {
        *zone++ = '\0';
        in6->sin6_scope_id = if_nametoindex(zone);
        if (in6->sin6_scope_id == 0)
            return -EINVAL;
    }
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
}

int skua__address_parse(const char *text, struct skua__address *ret)
{
    char host[SKUA_ADDRESS_MAX];
    const char *colon = text == NULL ? NULL : strrchr(text, ':');
    size_t len;
    uint16_t port;

    memset(ret, 0, sizeof *ret);
    if (colon == NULL || address_port(colon + 1, &port) != 0)
        return -EINVAL;
    len = (size_t)(colon - text);
    if (len >= sizeof host)
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    if (len == 0 || strcmp(host, "*") == 0) {
        ret->any_family = true;
        memcpy(host, "::", 3);
        return address_v6(host, port, ret);
    }
    if (strcmp(host, "localhost") == 0)
        return address_v4("127.0.0.1", port, ret);
    if (host[0] != '[')
        return address_v4(host, port, ret);
    if (host[len - 1] != ']')
        return -EINVAL;
    host[len - 1] = '\0';
    return address_v6(host + 1, port, ret);
}

int skua__address_format(const struct skua__address *address, char *buf, size_t len)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
    char host[INET6_ADDRSTRLEN] = "";
    int n;

    if (address->storage.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        n = snprintf(buf, len, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        n = snprintf(buf, len, "%s:%u", host, ntohs(in->sin_port));
    }
    return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}
