/* os_lookup.c - names of hosts, as the system resolves them.
 *
 * getaddrinfo may take as long as it likes, cannot be stopped, and does what the machine's
 * administrator has set up: files, servers, plug-ins. Its own codes become -errno here, see
 * include/skua/resolve.h for which. It sorts by RFC 6724, and sockets of one type give each address
 * once.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "os/os.h"

static int lookup_error(int code, int error)
{
    switch (code) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return error > 0 ? -error : -EIO;
    case EAI_OVERFLOW:
        return -ENAMETOOLONG;
    case EAI_FAIL:
        return -EIO;
    default: /* flags, service, type: none are given; a family that the system does not have */
        return -EINVAL;
    }
}

int skua__os_lookup(const char *host, int family,
                    int (*found)(void *arg, const struct sockaddr *addr, unsigned len), void *arg)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    rc = getaddrinfo(host, NULL, &hints, &all);
    if (rc != 0)
        return lookup_error(rc, errno);
    for (const struct addrinfo *at = all; rc == 0 && at != NULL; at = at->ai_next)
        rc = found(arg, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(all);
    return rc;
}
