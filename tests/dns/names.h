/* names.h - the system's getaddrinfo as the tests want it.
 *
 * A program's own getaddrinfo goes before libc's: names that end in ".test" are the script's, so
 * that no test asks a server of the world.
 *
 *   two.test      127.0.0.7 and ::7          four.test     127.0.0.4 alone
 *   missing.test  EAI_NONAME                 later.test    EAI_AGAIN
 *   broken.test   EAI_FAIL                   memory.test   EAI_MEMORY
 *   system.test   EAI_SYSTEM, EMFILE         long.test     EAI_OVERFLOW
 *   slow.test     127.0.0.7, once names_open is set
 */
#ifndef SKUA_TESTS_NAMES_H
#define SKUA_TESTS_NAMES_H

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "harness.h"

static atomic_int names_inside, names_open, names_over;

#define NAMES_OURS 0x5eed /* an entry's ai_flags */

/* An entry and its address in one piece. */
static struct addrinfo *names_entry(int family, unsigned char last, struct addrinfo *next)
{
    struct {
        struct addrinfo entry;
        struct sockaddr_in6 room;
    } *made = calloc(1, sizeof *made);
    struct sockaddr_in in = {.sin_family = AF_INET};

    MUST(made != NULL);
    made->entry.ai_flags = NAMES_OURS;
    made->entry.ai_family = family;
    made->entry.ai_addr = (struct sockaddr *)(void *)&made->room;
    made->entry.ai_addrlen = family == AF_INET6 ? sizeof made->room : sizeof in;
    made->entry.ai_next = next;
    made->room.sin6_family = AF_INET6;
    made->room.sin6_addr.s6_addr[15] = last;
    in.sin_addr.s_addr = htonl(0x7f000000u + last);
    if (family == AF_INET)
        memcpy(&made->room, &in, sizeof in);
    return &made->entry;
}

static int names_answer(const char *host, int family, struct addrinfo **ret)
{
    static const struct {
        const char *name;
        int code;
    } wrong[] = {{"missing.test", EAI_NONAME}, {"later.test", EAI_AGAIN},
                 {"broken.test", EAI_FAIL},    {"memory.test", EAI_MEMORY},
                 {"system.test", EAI_SYSTEM},  {"long.test", EAI_OVERFLOW}};

    for (size_t i = 0; i < TEST_LEN(wrong); i++)
        if (strcmp(host, wrong[i].name) == 0) {
            errno = EMFILE;
            return wrong[i].code;
        }
    if (strcmp(host, "slow.test") == 0) {
        atomic_fetch_add(&names_inside, 1);
        while (!atomic_load(&names_open))
            test_thread_sleep(MS(1));
        atomic_fetch_add(&names_over, 1);
    }
    *ret = NULL;
    if (family != AF_INET && strcmp(host, "two.test") == 0)
        *ret = names_entry(AF_INET6, 7, NULL);
    if (family != AF_INET6)
        *ret = names_entry(AF_INET, strcmp(host, "four.test") == 0 ? 4 : 7, *ret);
    return *ret != NULL ? 0 : EAI_NONAME;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    size_t len = host == NULL ? 0 : strlen(host);
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (len > 5 && strcmp(host + len - 5, ".test") == 0)
        return names_answer(host, hints->ai_family, ret);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, service, hints, ret);
}

void freeaddrinfo(struct addrinfo *all)
{
    void (*real)(struct addrinfo *);

    if (all != NULL && all->ai_flags != NAMES_OURS) {
        *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
        real(all);
        return;
    }
    while (all != NULL) {
        struct addrinfo *next = all->ai_next;

        free(all);
        all = next;
    }
}

#endif
