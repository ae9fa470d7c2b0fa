/* resolve_name.c - what a text says: an address, a name, and a port perhaps.
 *
 * Flow       skua__name_parse -> name_split: host | port -> an address? "localhost"? -> a name:
 *            name_check
 * Colons     none or one: the port is behind it. More: an IPv6 address without brackets, and no
 *            port. In brackets is an IPv6 address, never a name.
 * Numbers    getaddrinfo takes "127.1", "0x7f000001" and "017700000001" for 127.0.0.1. What is
 *            called an address here is what skua_address_parse reads; other hosts that end in a
 *            number are refused, as no top-level domain is one (RFC 3696; WHATWG's URLs likewise).
 */
#include <stdio.h>
#include <string.h>

#include "dns/dns_impl.h"

struct name_parts {
    const char *host;
    size_t len;
    const char *port; /* NULL: none */
    bool v6;          /* in brackets, or without any: nothing but an IPv6 address */
};

static int name_split(const char *text, struct name_parts *ret)
{
    const char *colon = strchr(text, ':');
    const char *end;

    *ret = (struct name_parts){.host = text, .len = strlen(text)};
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return -EINVAL;
        *ret = (struct name_parts){.host = text + 1,
                                   .len = (size_t)(end - text - 1),
                                   .port = end[1] == ':' ? end + 2 : NULL,
                                   .v6 = true};
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        ret->v6 = true;
    } else if (colon != NULL) {
        ret->len = (size_t)(colon - text);
        ret->port = colon + 1;
    }
    return 0;
}

static int name_port(const char *text)
{
    int port = 0;

    if (*text == '\0' || strlen(text) > 5)
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        port = port * 10 + (*text - '0');
    }
    return port > 65535 ? -EINVAL : port;
}

/* An address with its port, so that one function says what an address is. */
static int name_address(const char *host, bool v6, int port, skua_address *ret)
{
    char text[SKUA_ADDRESS_MAX];
    int n = snprintf(text, sizeof text, v6 ? "[%s]:%d" : "%s:%d", host, port < 0 ? 0 : port);

    return n < 0 || (size_t)n >= sizeof text ? -EINVAL : skua_address_parse(ret, text);
}

/* Bytes beyond ASCII are the resolver's affair: some know internationalized names. */
static bool name_may_have(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || (unsigned char)c >= 0x80;
}

/* "0x" and hexadecimal digits are a number, too. */
static bool name_is_number(const char *label, size_t len)
{
    bool hex = len >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X');

    for (size_t i = hex ? 2 : 0; i < len; i++) {
        bool digit = label[i] >= '0' && label[i] <= '9';
        char low = (char)(label[i] | 0x20);

        if (!digit && !(hex && low >= 'a' && low <= 'f'))
            return false;
    }
    return true;
}

/* Whether a server may be asked about it: labels of 1 to 63 bytes with dots between. */
static int name_check(const char *host)
{
    const char *label = host;
    size_t len;
    bool last;

    for (;;) {
        for (len = 0; label[len] != '\0' && label[len] != '.'; len++)
            if (!name_may_have(label[len]))
                return -EINVAL;
        last =
            label[len] == '\0' || label[len + 1] == '\0'; /* a dot behind it: no search domains */
        if (len == 0 || (last && name_is_number(label, len)))
            return -EINVAL;
        if (len > 63)
            return -ENAMETOOLONG;
        if (last)
            return 0;
        label += len + 1;
    }
}

static bool name_is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t i = 0;

    while (name[i] != '\0' && (host[i] | 0x20) == name[i])
        i++;
    return name[i] == '\0' && (host[i] == '\0' || (host[i] == '.' && host[i + 1] == '\0'));
}

int skua__name_parse(struct skua__name *ret, const char *text)
{
    struct name_parts parts;
    int rc;

    memset(ret, 0, sizeof *ret);
    ret->port = -1;
    if (text == NULL || text[0] == '\0')
        return -EINVAL;
    if (text[0] == '/' || text[0] == '.' || text[0] == '@') {
        ret->known_count = 1;
        return skua_address_parse(&ret->known[0], text);
    }
    rc = name_split(text, &parts);
    if (rc == 0 && parts.port != NULL)
        rc = ret->port = name_port(parts.port);
    if (rc < 0)
        return rc;
    if (parts.len > SKUA__HOST_MAX)
        return -ENAMETOOLONG;
    memcpy(ret->host, parts.host, parts.len);
    ret->host[parts.len] = '\0';
    if (name_is_localhost(ret->host) && !parts.v6) {
        ret->known_count = 2;
        ret->host[0] = '\0';
        rc = name_address("127.0.0.1", false, ret->port, &ret->known[0]);
        return rc == 0 ? name_address("::1", true, ret->port, &ret->known[1]) : rc;
    }
    if (name_address(ret->host, parts.v6, ret->port, &ret->known[0]) == 0) {
        ret->known_count = 1;
        ret->host[0] = '\0';
        return 0;
    }
    if (parts.v6)
        return -EINVAL;
    if (parts.len - (parts.len > 0 && ret->host[parts.len - 1] == '.') > 253)
        return -ENAMETOOLONG;
    return name_check(ret->host);
}
