/* h2_none.c - instead of all others of this folder where nghttp2 is missing: the server does not
 * speak HTTP/2.
 */
#include "http/h2/h2s.h"

bool skua__h2s_there(void)
{
    return false;
}

int skua__h2s_serve(const struct skua__h2s_call *call, char *bytes, size_t len)
{
    (void)call;
    skua__http_free(bytes);
    (void)len;
    return -ENOSYS;
}
