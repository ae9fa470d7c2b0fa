/* dns_impl.h - names, from their text to a resolver's answer.
 *
 *   text      "example.org:80"                              the user's
 *   name      host and port apart, or an address            resolve_name.c
 *   lookup    a name that somebody must be asked about      resolve.c
 *   list      what was found, cut to what was asked for
 *   dial      the list, tried until one answers             tcp_dial.c
 */
#ifndef SKUA_DNS_DNS_IMPL_H
#define SKUA_DNS_DNS_IMPL_H

#include <skua/resolve.h>

#include "task/task_impl.h"

/* A name has 253 bytes, and perhaps a dot behind it. */
#define SKUA__HOST_MAX 255

struct skua__name {
    char host[SKUA__HOST_MAX + 1]; /* empty: it is in `known` */
    int port;                      /* -1: none was given */
    skua_address known[2];         /* nobody needs to be asked */
    unsigned known_count;
};

/* Reads a name: 0, -EINVAL, -ENAMETOOLONG. */
int skua__name_parse(struct skua__name *ret, const char *text);

#endif
