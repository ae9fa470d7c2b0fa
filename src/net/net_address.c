/* net_address.c - addresses between their strings and the kernel's structs.
 *
 * Numeric only: resolving names may block, and belongs to the blocking pool. inet_pton and
 * inet_ntop do the reading and writing of IP addresses. A name of a Unix socket is its path, or
 * abstract: a zero byte and then any bytes up to the struct's length, whose zeros are shown as '@'.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net/net_impl.h"

#define ADDRESS_UNIX_HEAD offsetof(struct sockaddr_un, sun_path)

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

/* An interface by its name or its number (RFC 4007): what is behind "%"; 0: neither. */
static uint32_t address_zone(const char *text)
{
    uint64_t number = if_nametoindex(text);

    if (number != 0 || strlen(text) > 11)
        return (uint32_t)number;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return *text == '\0' && number <= UINT32_MAX ? (uint32_t)number : 0;
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
        in6->sin6_scope_id = address_zone(zone);
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

void skua__address_any_v4(struct skua__address *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;

    memcpy(&in6, &address->storage, sizeof in6);
    memset(address, 0, sizeof *address);
    address->len = sizeof *in;
    in->sin_family = AF_INET;
    in->sin_port = in6.sin6_port;
}

/* A Unix socket's name; none is the empty string. Zeros at the end of a path are not part of it. */
static int address_format_unix(const struct skua__address *address, char *buf, size_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    size_t n = address->len > ADDRESS_UNIX_HEAD ? address->len - ADDRESS_UNIX_HEAD : 0;

    if (n > 0 && un->sun_path[0] != '\0')
        n = strnlen(un->sun_path, n);
    if (n >= len)
        return -ENOSPC;
    for (size_t i = 0; i < n; i++)
        buf[i] = un->sun_path[i];
    for (size_t i = 0; i < n; i++)
        if (buf[i] == '\0')
            buf[i] = '@';
    buf[n] = '\0';
    return 0;
}

static int address_format_v6(const struct sockaddr_in6 *in6, char *buf, size_t len)
{
    char host[INET6_ADDRSTRLEN] = "";
    char zone[1 + IF_NAMESIZE] = "%";

    if (in6->sin6_scope_id == 0)
        zone[0] = '\0';
    else if (if_indextoname(in6->sin6_scope_id, zone + 1) == NULL) /* it has gone */
        snprintf(zone + 1, sizeof zone - 1, "%u", in6->sin6_scope_id);
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    return snprintf(buf, len, "[%s%s]:%u", host, zone, ntohs(in6->sin6_port));
}

int skua__address_format(const struct skua__address *address, char *buf, size_t len)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
    char host[INET_ADDRSTRLEN] = "";
    int n;

    if (address->storage.ss_family != AF_INET && address->storage.ss_family != AF_INET6)
        return address_format_unix(address, buf, len);
    if (address->storage.ss_family == AF_INET6) {
        n = address_format_v6((const struct sockaddr_in6 *)&address->storage, buf, len);
    } else {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        n = snprintf(buf, len, "%s:%u", host, ntohs(in->sin_port));
    }
    return n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

/* ---- addresses as values (address.h) --------------------------------------------------------- */

void skua__address_store(skua_address *ret, const struct skua__address *from)
{
    _Static_assert(sizeof(struct sockaddr_un) <= sizeof ret->words, "the room");
    _Static_assert(INET6_ADDRSTRLEN + IF_NAMESIZE + 8 <= SKUA_ADDRESS_MAX, "the string");
    memset(ret, 0, sizeof *ret);
    ret->len = from->len <= sizeof ret->words ? from->len : (unsigned)sizeof ret->words;
    ret->any = from->any_family;
    memcpy(ret->words, &from->storage, ret->len);
}

void skua__address_load(struct skua__address *ret, const skua_address *from)
{
    memset(ret, 0, sizeof *ret);
    ret->len = from->len <= sizeof from->words ? from->len : 0;
    ret->any_family = from->any != 0;
    memcpy(&ret->storage, from->words, ret->len);
}

/* An IPv4 peer of an IPv6 socket is an IPv4 address to whoever asks. */
void skua__address_unmap(skua_address *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (address->len != sizeof in6)
        return;
    memcpy(&in6, address->words, sizeof in6);
    if (in6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return;
    in.sin_port = in6.sin6_port;
    memcpy(&in.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof in.sin_addr);
    memset(address, 0, sizeof *address);
    address->len = sizeof in;
    memcpy(address->words, &in, sizeof in);
}

int skua_address_unix(skua_address *ret, const char *path)
{
    struct skua__address address = {.storage = {.ss_family = AF_UNIX}};
    struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;
    size_t len = path == NULL ? 0 : strlen(path);

    if (len == 0)
        return -EINVAL;
    if (len >= sizeof un->sun_path)
        return -ENAMETOOLONG;
    memcpy(un->sun_path, path, len);
    if (path[0] == '@')
        un->sun_path[0] = '\0';
    /* The zero belongs to a path, and would to an abstract name. */
    address.len = (unsigned)(ADDRESS_UNIX_HEAD + len + (path[0] != '@'));
    skua__address_store(ret, &address);
    return 0;
}

int skua_address_from_sockaddr(skua_address *ret, const void *from, size_t len)
{
    struct skua__address address = {.len = (unsigned)len};
    size_t least;

    if (from == NULL || len < sizeof address.storage.ss_family || len > sizeof ret->words)
        return -EINVAL;
    memcpy(&address.storage, from, len);
    least = address.storage.ss_family == AF_INET    ? sizeof(struct sockaddr_in)
            : address.storage.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : ADDRESS_UNIX_HEAD;
    if (len < least || (least == ADDRESS_UNIX_HEAD && address.storage.ss_family != AF_UNIX))
        return -EINVAL;
    if (least != ADDRESS_UNIX_HEAD) /* what is behind it is nobody's */
        address.len = (unsigned)least;
    skua__address_store(ret, &address);
    return 0;
}

int skua_address_parse(skua_address *ret, const char *text)
{
    struct skua__address address;
    int rc;

    if (text != NULL && (text[0] == '/' || text[0] == '.' || text[0] == '@'))
        return skua_address_unix(ret, text);
    rc = skua__address_parse(text, &address);
    if (rc == 0)
        skua__address_store(ret, &address);
    return rc;
}

int skua_address_format(const skua_address *address, char *buf, size_t len)
{
    struct skua__address loaded;

    skua__address_load(&loaded, address);
    return skua__address_format(&loaded, buf, len);
}

skua_address_kind skua_address_kind_of(const skua_address *address)
{
    struct skua__address loaded;

    skua__address_load(&loaded, address);
    if (loaded.storage.ss_family == AF_INET)
        return SKUA_ADDRESS_V4;
    if (loaded.storage.ss_family == AF_INET6)
        return SKUA_ADDRESS_V6;
    return loaded.len > ADDRESS_UNIX_HEAD ? SKUA_ADDRESS_UNIX : SKUA_ADDRESS_NONE;
}

/* Where the port is: at one place in both versions' structs. */
#define ADDRESS_PORT offsetof(struct sockaddr_in, sin_port)
_Static_assert(ADDRESS_PORT == offsetof(struct sockaddr_in6, sin6_port), "see above");

static bool address_has_port(const skua_address *address)
{
    skua_address_kind kind = skua_address_kind_of(address);

    return kind == SKUA_ADDRESS_V4 || kind == SKUA_ADDRESS_V6;
}

int skua_address_port(const skua_address *address)
{
    uint16_t port;

    if (!address_has_port(address))
        return -EINVAL;
    memcpy(&port, (const char *)address->words + ADDRESS_PORT, sizeof port);
    return ntohs(port);
}

int skua_address_set_port(skua_address *address, int port)
{
    uint16_t value = htons((uint16_t)port);

    if (port < 0 || port > 65535 || !address_has_port(address))
        return -EINVAL;
    memcpy((char *)address->words + ADDRESS_PORT, &value, sizeof value);
    return 0;
}

static bool address_is_abstract(const skua_address *address)
{
    return ((const char *)address->words)[ADDRESS_UNIX_HEAD] == '\0';
}

int skua_address_equal(const skua_address *a, const skua_address *b)
{
    skua_address_kind kind = skua_address_kind_of(a);
    char left[SKUA_ADDRESS_MAX];
    char right[SKUA_ADDRESS_MAX];
    struct sockaddr_in6 one;
    struct sockaddr_in6 two;

    if (kind != skua_address_kind_of(b) || (a->any != 0) != (b->any != 0))
        return 0;
    if (kind == SKUA_ADDRESS_UNIX && (address_is_abstract(a) || address_is_abstract(b)))
        return a->len == b->len && memcmp(a->words, b->words, a->len) == 0;
    if (kind == SKUA_ADDRESS_UNIX) /* a path may be told with its zero or without */
        return skua_address_format(a, left, sizeof left) == 0 &&
               skua_address_format(b, right, sizeof right) == 0 && strcmp(left, right) == 0;
    if (kind == SKUA_ADDRESS_V4)
        return memcmp(a->words, b->words, offsetof(struct sockaddr_in, sin_zero)) == 0;
    memcpy(&one, a->words, sizeof one); /* none: whatever is there is zero */
    memcpy(&two, b->words, sizeof two);
    return kind == SKUA_ADDRESS_NONE ||
           (one.sin6_port == two.sin6_port && one.sin6_scope_id == two.sin6_scope_id &&
            memcmp(&one.sin6_addr, &two.sin6_addr, sizeof one.sin6_addr) == 0);
}

#undef ADDRESS_UNIX_HEAD
#undef ADDRESS_PORT
