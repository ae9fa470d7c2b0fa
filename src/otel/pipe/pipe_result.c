/* pipe_result.c - what an export's result means.
 */
#include <skua/otel/exporter.h>

#include "otel/core/otel_impl.h"

int skua_otel_may_succeed(int64_t rc)
{
    switch (rc) {
    case -EAGAIN:
    case -ETIMEDOUT:
    case -ECANCELED:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case -EHOSTUNREACH:
    case -EHOSTDOWN:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -EADDRNOTAVAIL: /* no port of one's own is free */
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case SKUA_EEOF:
    case SKUA_ESTOPPED:
        return 1;
    default:
        return 0;
    }
}
