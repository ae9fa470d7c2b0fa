/* health.c - members that are asked how they are: two bad answers in a row take one out, a good one
 * (2xx, 3xx) takes it in again.
 */
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define BAD_MAX 2

struct watch {
    struct group *group;
    struct member *member;
};

static struct watch watches[GROUPS_MAX * MEMBERS_MAX];

static bool health_good(struct watch *watch)
{
    skua_http_response *response;
    char url[2 * NAME_SIZE + 8];
    int status;

    (void)snprintf(url, sizeof url, "http://%s%s", watch->member->address, watch->group->health);
    if (skua_http_client_send(watch->group->client,
                              SKUA_HTTP_REQUEST(.url = url, .timeout = watch->group->interval),
                              &response) != 0)
        return false;
    status = skua_http_response_status(response);
    skua_http_response_close(response);
    return status < 400;
}

static int health_run(void *arg)
{
    struct watch *watch = arg;
    int bad = 0;

    do {
        bool good = health_good(watch);

        bad = good ? 0 : bad + 1;
        if (good || bad >= BAD_MAX)
            atomic_store_explicit(&watch->member->down, !good, memory_order_relaxed);
    } while (skua_sleep(watch->group->interval) == 0);
    return 0;
}

int health_start(struct gateway *gateway, skua_scope *scope)
{
    struct watch *watch = watches;
    int rc = 0;

    for (unsigned g = 0; g < gateway->groups_count; g++) {
        struct group *group = &gateway->groups[g];

        for (unsigned m = 0; rc >= 0 && *group->health != '\0' && m < group->count; m++) {
            *watch = (struct watch){group, &group->members[m]};
            rc = skua_spawn(scope, health_run, watch++, .name = "health");
        }
    }
    return rc < 0 ? rc : 0;
}
