/* store_none.c - instead of store_postgres.c, where there was no libpq when this was built. */
#include <errno.h>
#include <stdio.h>

#include "store.h"

int store_open_postgres(struct store **ret, const char *url, unsigned connections)
{
    (void)ret;
    (void)url;
    (void)connections;
    fputs("orders: DATABASE_URL is set, but this program was built without libpq\n", stderr);
    return -ENOSYS;
}
