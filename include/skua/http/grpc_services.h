/* grpc_services.h - the services that gRPC itself knows: health checks, and reflection.
 *
 *     skua_grpc_health_new(&health);
 *     skua_grpc_add_health(server, health);
 *     skua_grpc_add_reflection(server);
 *     ...
 *     skua_grpc_health_set(health, "hello.Greeter", SKUA_GRPC_SERVING);
 *     ...
 *     skua_grpc_health_stop(health);          -- before the server is stopped
 *
 * Source     grpc/doc/health-checking.md, grpc/doc/server-reflection.md.
 */
#ifndef SKUA_HTTP_GRPC_SERVICES_H
#define SKUA_HTTP_GRPC_SERVICES_H

#include <skua/http/grpc_server.h>

SKUA_C_BEGIN

/* ---- health: grpc.health.v1.Health, with Check and Watch ------------------------------------- */

typedef struct skua_grpc_health skua_grpc_health;

typedef enum skua_grpc_serving {
    SKUA_GRPC_SERVING_UNKNOWN = 0,
    SKUA_GRPC_SERVING = 1,
    SKUA_GRPC_NOT_SERVING = 2
} skua_grpc_serving;

/* Makes a table of how services are. The server as a whole, whose name is "", is SERVING.
 *
 * ret        receives it, to be ended by skua_grpc_health_free; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_grpc_health_new(skua_grpc_health **ret);

/* Frees it; no server uses it any more.
 *
 * health     NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_grpc_health_free(skua_grpc_health *health);

/* Says how a service is; those who watch it are told.
 *
 * service    "package.Service", copied; "": the server
 * Returns    0; -EINVAL: no such state; SKUA_ESTOPPED; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_grpc_health_set(skua_grpc_health *health, const char *service,
                                  skua_grpc_serving serving);

/* All services are NOT_SERVING from now on, and who watches is told, and that it is over: a server
 * that is about to stop.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_grpc_health_stop(skua_grpc_health *health);

/* Adds the service to a server.
 *
 * health     the caller's, as long as the server
 * Returns    as skua_grpc_add
 * Threads    as skua_grpc_add
 * Since      0.3
 */
SKUA_API int skua_grpc_add_health(skua_grpc_server *server, skua_grpc_health *health);

/* ---- reflection: grpc.reflection.v1 and v1alpha ---------------------------------------------- */

/* Lets clients ask what services there are, and how their messages look: of those that have
 * `files`, which are answered with all the files that they import.
 *
 * Returns    as skua_grpc_add
 * Threads    as skua_grpc_add
 * Since      0.3
 */
SKUA_API int skua_grpc_add_reflection(skua_grpc_server *server);

SKUA_C_END

#endif
