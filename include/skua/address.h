/* address.h - where a socket is: an address as a value.
 *
 * skua_address holds the address of a peer without memory of its own: it is copied, compared and
 * kept as an int is, and no string is made for each datagram:
 *
 *     skua_address server;
 *
 *     rc = skua_address_parse(&server, "192.0.2.7:53");
 *     n = skua_udp_send_to(udp, query, len, &server);
 *
 * Strings: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "localhost:80" (IPv4); "*:80" and ":80"
 * are every address, to bind to. Behind "%" is an interface's name, or its number: then it need not
 * be there. "/run/x.sock", "./x.sock" and "@name" are Unix sockets' (unix.h), the last one
 * abstract: a name that is in no file system. Names of hosts are resolve.h's.
 */
#ifndef SKUA_ADDRESS_H
#define SKUA_ADDRESS_H

#include <skua/base.h>

SKUA_C_BEGIN

/* Room for any address as a string, with its closing zero. */
#define SKUA_ADDRESS_MAX 112

/* An address. Its members are private; all zero is "none". */
typedef struct skua_address {
    uint32_t len; /* of the kernel's struct in `words`, in bytes; 0 = none */
    uint32_t any; /* 1: "*:80", both IP versions */
    uint64_t words[14];
} skua_address;

typedef enum skua_address_kind {
    SKUA_ADDRESS_NONE, /* also the name of a Unix socket that has none */
    SKUA_ADDRESS_V4,
    SKUA_ADDRESS_V6,
    SKUA_ADDRESS_UNIX
} skua_address_kind;

/* Reads a string.
 *
 * ret        receives the address; untouched on failure
 * text       see the top
 * Returns    0; -EINVAL: it is none; -ENAMETOOLONG (a Unix path over 107 bytes)
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_address_parse(skua_address *ret, const char *text);

/* The address of a Unix socket, whatever its path looks like.
 *
 * path       at most 107 bytes; "@name" is abstract
 * Returns    0; -EINVAL (empty), -ENAMETOOLONG
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_address_unix(skua_address *ret, const char *path);

/* The address in one of the system's structs, as getaddrinfo and getpeername fill them in.
 *
 * from, len  a struct sockaddr of IPv4, IPv6 or a Unix socket, and its length
 * Returns    0; -EINVAL: it is none of these, or too short
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_address_from_sockaddr(skua_address *ret, const void *from,
                                                       size_t len);

/* Writes an address as a string, which skua_address_parse reads; "none" is the empty string.
 *
 * buf, len   SKUA_ADDRESS_MAX bytes are always enough
 * Returns    0; -ENOSPC
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_address_format(const skua_address *address, char *buf, size_t len);

/* What kind of address it is.
 *
 * Returns    one of skua_address_kind
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_address_kind skua_address_kind_of(const skua_address *address);

/* The port.
 *
 * Returns    0 to 65535; -EINVAL when it has none (Unix, none)
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_address_port(const skua_address *address);

/* Changes the port.
 *
 * port       0 to 65535
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_address_set_port(skua_address *address, int port);

/* Whether two addresses are the same: kind, host, port, interface; or the name.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_address_equal(const skua_address *a, const skua_address *b);

SKUA_C_END

#endif
